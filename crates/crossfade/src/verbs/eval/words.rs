//! A comparison as text.

use eval::compare::{Comparison, Interval, Rag, Ranked, RankedPair, Ranking, Report};
use eval::report::{
    SHOWN, SIMULATED, Table, agreement, definitions, dollars, entailment, label, lines, matrices, sentence, tables,
};

use crate::out::table;
use crate::verbs::dataset::short;

/// What a run came to: targets, differences with their intervals, slices, and a verdict for each candidate.
pub(super) fn comparison(report: &Report) -> String {
    let mut text = format!("{}  {}@{}, {} cases", report.run, report.dataset, short(&report.version), report.n_cases);
    if report.repeats > 1 {
        text += &format!(", each {} times", report.repeats);
    }
    text += "\n";
    if report.simulated {
        text += &format!("{SIMULATED}\n");
    }
    text += &agreement(report).map(|words| format!("{words}\n")).unwrap_or_default();
    text += &format!("\n{}{}\n", targets(report), definitions(report));
    for target in report.targets.iter().filter(|target| target.n_withheld > 0) {
        let n = target.n_withheld;
        text += &format!(
            "{}: {n} not asked, because the cases may not leave the house; no failures, and no numbers\n",
            target.name
        );
    }
    for (target, (metric, counts)) in
        report.targets.iter().flat_map(|target| target.outcomes.iter().map(move |of| (target, of)))
    {
        let counts: Vec<String> = counts.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
        text += &format!("{} by {metric}: {}\n", target.name, counts.join(", "));
    }
    for (of, note) in matrices(report, SHOWN) {
        let headings: Vec<&str> = of.headings.iter().map(String::as_str).collect();
        text += &format!("\n{}\n{}", of.title, table(&headings, &of.rows));
        text += &note.map(|note| note + "\n").unwrap_or_default();
    }
    text += &report.ranking.as_ref().map(ranking).unwrap_or_default();
    text += &report.rag.as_ref().map(rag).unwrap_or_default();
    for candidate in &report.candidates {
        let mut rows = vec![row(&format!("{} (decides)", label(report, &report.primary)), &candidate.primary)];
        rows.extend(candidate.others.iter().map(|(name, comparison)| row(&label(report, name), comparison)));
        for slice in &candidate.slices {
            let mark = if slice.worse { " WORSE" } else { "" };
            rows.push(row(&format!("  {} {}{mark}", slice.slice, slice.value), &slice.comparison));
        }
        let title = format!("{} by", candidate.candidate);
        let headings =
            [title.as_str(), "cases", "baseline", "candidate", "difference", "interval", "lost", "won", "missing"];
        text += &format!("\n{}", table(&headings, &rows));
        text += &parity(&candidate.primary);
        text += &format!("{}\n", sentence(&candidate.candidate, report, &candidate.primary));
    }
    if let Some(encoder) = &report.encoder {
        text += &format!("\n{}\n", encoder.line());
    }
    if let Some(of) = &report.entailment {
        text += &format!("\n{}\n", entailment(of).join("\n"));
    }
    for judge in &report.judges {
        text += &format!("\n{}\n", lines(judge).join("\n"));
    }
    text
}

fn targets(report: &Report) -> String {
    let metrics: Vec<&String> = report.definitions.keys().collect();
    let mut headings = vec!["target", "answers", "failed", "reused"];
    headings.extend(metrics.iter().map(|name| name.as_str()));
    headings.extend(["p50 ms", "p95 ms", "$ per case, 95 %", "$ per success"]);
    let is_streamed = report.targets.iter().any(|target| target.speed_and_cost.time_to_first_token.is_some());
    if is_streamed {
        headings.extend(["first token p50", "p95", "gap p50", "longest gap p95"]);
    }
    let rows: Vec<Vec<String>> = report
        .targets
        .iter()
        .map(|target| {
            let money = &target.speed_and_cost;
            let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
            let mut cells = vec![
                target.name.clone(),
                target.n_answered.to_string(),
                target.n_failed.to_string(),
                target.n_reused.to_string(),
            ];
            cells.extend(metrics.iter().map(|name| number(target.means.get(*name).copied().flatten())));
            cells.extend([
                ms(money.latency.as_ref().map(|speed| speed.p50_ms)),
                ms(money.latency.as_ref().map(|speed| speed.p95_ms)),
                dollars(money.cost_per_case, money.cost_interval),
                dollars(money.cost_per_successful_task, None),
            ]);
            if is_streamed {
                cells.extend([
                    ms(money.time_to_first_token.map(|speed| speed.p50_ms)),
                    ms(money.time_to_first_token.map(|speed| speed.p95_ms)),
                    ms(money.gap.map(|speed| speed.p50_ms)),
                    ms(money.longest_gap.map(|speed| speed.p95_ms)),
                ]);
            }
            cells
        })
        .collect();
    table(&headings, &rows)
}

/// All targets in order, with the ranks that are left to them, and each two.
fn ranking(ranking: &Ranking) -> String {
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    let row = |of: &Ranked| {
        let rank = if of.best_rank == of.worst_rank {
            of.best_rank.to_string()
        } else {
            format!("{} to {}", of.best_rank, of.worst_rank)
        };
        let dollars = of.cost_per_successful_task.map_or_else(|| "-".to_owned(), |value| format!("{value:.6}"));
        vec![rank, of.target.clone(), number(Some(of.mean)), ms(of.p50_ms), ms(of.p95_ms), dollars]
    };
    let rows: Vec<Vec<String>> = ranking.targets.iter().map(row).collect();
    let targets = table(&["rank", "target", "mean", "p50 ms", "p95 ms", "$ per success"], &rows);
    let row = |pair: &RankedPair| {
        let p = pair.p_adjusted.map_or_else(|| "-".to_owned(), |p| format!("{p:.4}"));
        let interval = pair.interval.map_or_else(|| "-".to_owned(), ends);
        let proven = if pair.proven { "better" } else { "open" };
        let two = format!("{} over {}", pair.first, pair.second);
        vec![two, format!("{:+.4}", pair.difference), interval, p, proven.to_owned()]
    };
    let rows: Vec<Vec<String>> = ranking.pairs.iter().map(row).collect();
    let pairs = table(&["each two", "difference", "95 % for all at once", "p (Holm)", "proven"], &rows);
    format!("\n{targets}\n{pairs}")
}

/// Who lost what.
fn rag(rag: &Rag) -> String {
    let one = |of: Table| {
        let headings: Vec<&str> = of.headings.iter().map(String::as_str).collect();
        format!("\n{}\n{}", of.title, table(&headings, &of.rows))
    };
    tables(rag).into_iter().map(one).collect()
}

fn row(name: &str, comparison: &Comparison) -> Vec<String> {
    let flips = comparison.flips;
    vec![
        name.to_owned(),
        comparison.n.to_string(),
        number(comparison.baseline),
        number(comparison.candidate),
        comparison.difference.map_or_else(|| "-".to_owned(), |difference| format!("{difference:+.4}")),
        comparison.interval.map_or_else(|| "-".to_owned(), ends),
        flips.map_or_else(|| "-".to_owned(), |flips| flips.lost.to_string()),
        flips.map_or_else(|| "-".to_owned(), |flips| flips.won.to_string()),
        comparison.n_missing.to_string(),
    ]
}

fn parity(comparison: &Comparison) -> String {
    let Some(parity) = &comparison.parity else { return String::new() };
    let percent = |interval: Option<Interval>| {
        interval.map_or_else(String::new, |interval| {
            let Interval { low, high, level } = interval;
            format!(" ({:.1} % interval {:.1} to {:.1} %)", level * 100.0, low * 100.0, high * 100.0)
        })
    };
    let mut text = format!("parity {:.1} %{}", parity.share * 100.0, percent(parity.interval));
    if let Some(kept) = parity.kept {
        text += &format!(
            "; of what the baseline gets right {:.1} % is kept{}",
            kept * 100.0,
            percent(parity.kept_interval)
        );
    }
    text + "\n"
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

fn ends(Interval { low, high, .. }: Interval) -> String {
    format!("[{low:+.4}, {high:+.4}]")
}
