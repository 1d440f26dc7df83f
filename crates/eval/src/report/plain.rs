//! CSV, JUnit and Markdown.

use std::fmt::Write as _;

use super::{SIMULATED, agreement, defined, definitions, dollars, ends, ms, number, sentence, signed};
use crate::compare::{CaseRow, Report, Side, Verdict};

/// Cases that a comment on a pull request shows.
const SHOWN: usize = 10;

/// One row per case and target (RFC 4180). The column of a metric is headed by the id of its definition: sheets of two runs put together mix no two.
#[must_use]
pub fn csv(report: &Report) -> String {
    let metrics: Vec<&String> = report.definitions.keys().collect();
    let mut heading: Vec<String> =
        ["case", "target", "answer", "failure", "latency_ms", "cost_dollars", "gain"].map(str::to_owned).to_vec();
    heading.extend(report.definitions.iter().map(|(name, definition)| defined(name, &definition.id)));
    heading.extend(
        [
            "question",
            "expected",
            "slices",
            "exchange",
            "time_to_first_token_ms",
            "longest_gap_ms",
            "outcome",
            "outcomes",
        ]
        .map(str::to_owned),
    );
    let mut text = row(&heading);
    for case in &report.cases {
        for (idx, side) in case.sides.iter().enumerate() {
            let gain = idx.checked_sub(1).and_then(|idx| case.gains.get(idx).copied().flatten());
            let plain = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            let answer = if side.tool_calls.is_empty() { side.text.clone() } else { side.tool_calls.join("\n") };
            let mut cells = vec![
                case.id.clone(),
                report.targets.get(idx).map(|target| target.name.clone()).unwrap_or_default(),
                answer,
                side.failure.clone().unwrap_or_default(),
                format!("{:.3}", side.latency_ms),
                plain(side.cost),
                plain(gain),
            ];
            cells.extend(metrics.iter().map(|name| plain(side.worth.get(*name).copied().flatten())));
            let slices: Vec<String> = case.slices.iter().map(|(name, value)| format!("{name}={value}")).collect();
            cells.extend([
                case.question.clone(),
                case.expected.join("\n"),
                slices.join(";"),
                case.exchange.clone().unwrap_or_default(),
                plain(side.time_to_first_token_ms),
                plain(side.longest_gap_ms),
                side.outcome.map(|outcome| outcome.as_str().to_owned()).unwrap_or_default(),
                words(side).join(";"),
            ]);
            text += &row(&cells);
        }
    }
    text
}

/// How an answer came out, by metric.
fn words(side: &Side) -> Vec<String> {
    side.outcomes.iter().map(|(metric, word)| format!("{metric}={word}")).collect()
}

fn row(cells: &[String]) -> String {
    let cell = |cell: &String| {
        // A spreadsheet runs what begins like a formula: it is made text, unless it is a number.
        let is_formula = cell.starts_with(['=', '+', '-', '@']) && cell.parse::<f64>().is_err();
        let cell = if is_formula { format!("'{cell}") } else { cell.clone() };
        if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A test suite per candidate: the verdict is one test, which fails unless it is a pass, and each case another. Where the verdict is a fail, cases
/// fail in which the candidate is worse than the baseline: they are why. A pass, or a run that decides nothing, comes with lost cases too: there
/// they are passed tests whose output says what was lost.
#[must_use]
pub fn junit(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"crossfade eval\">\n");
    for (idx, candidate) in report.candidates.iter().enumerate() {
        let worse: Vec<&CaseRow> =
            report.cases.iter().filter(|case| case.gains[idx].is_some_and(|gain| gain < 0.0)).collect();
        let skipped = report.cases.iter().filter(|case| case.gains[idx].is_none()).count();
        let decided = candidate.primary.verdict != Verdict::Pass;
        let lost_fail = candidate.primary.verdict == Verdict::Fail;
        let n_failures = usize::from(decided) + if lost_fail { worse.len() } else { 0 };
        // Writing to a String cannot fail.
        write!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{skipped}\">\n    <testcase classname=\"verdict\" name=\"{} against {}\">",
            attribute(&candidate.candidate),
            report.cases.len() + 1,
            n_failures,
            attribute(&candidate.candidate),
            attribute(report.targets.first().map_or("", |target| &target.name)),
        )
        .unwrap_or_default();
        let text = sentence(&candidate.candidate, report, &candidate.primary);
        if decided {
            write!(xml, "<failure type=\"{}\" message=\"{}\"/>", candidate.primary.verdict.as_str(), attribute(&text))
                .unwrap_or_default();
        } else {
            write!(xml, "<system-out>{}</system-out>", attribute(&text)).unwrap_or_default();
        }
        xml += "</testcase>\n";
        for case in &report.cases {
            let side = &case.sides[idx + 1];
            let seconds = side.latency_ms / 1000.0;
            let outcomes: String = words(side).iter().map(|word| format!("\n{word}")).collect();
            write!(
                xml,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.6}\">",
                attribute(&report.dataset),
                attribute(&case.id)
            )
            .unwrap_or_default();
            match case.gains[idx] {
                Some(gain) if gain < 0.0 => {
                    let mut said = side.failure.as_ref().unwrap_or(&side.text).clone();
                    for (name, note) in &side.notes {
                        said += &format!("\n\n{name}: {note}");
                    }
                    said += &outcomes;
                    let message = attribute(&format!("{gain:+.4} in {}", report.primary));
                    let said = attribute(&said);
                    xml += &if lost_fail {
                        format!("<failure type=\"worse\" message=\"{message}\">{said}</failure>")
                    } else {
                        format!("<system-out>worse, {message}: {said}</system-out>")
                    };
                }
                Some(_) if outcomes.is_empty() => {}
                Some(_) => xml += &format!("<system-out>{}</system-out>", attribute(outcomes.trim())),
                None => xml += "<skipped message=\"no number\"/>",
            }
            xml += "</testcase>\n";
        }
        xml += "  </testsuite>\n";
    }
    xml + "</testsuites>\n"
}

/// Text as it may stand in XML, characters left out that XML cannot hold.
fn attribute(text: &str) -> String {
    let is_allowed = |character: &char| {
        matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
            && !matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    super::html::escaped(&text.chars().filter(is_allowed).collect::<String>())
}

/// For a comment on a pull request: verdicts, numbers, slices where the candidate is worse, and the first cases it lost.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = format!("## Evaluation `{}` on `{}`\n\n", report.run, report.dataset);
    if report.simulated {
        text += &format!("**{SIMULATED}**\n\n");
    }
    text += &agreement(report).map(|words| format!("**{words}**\n\n")).unwrap_or_default();
    for candidate in &report.candidates {
        text += &format!(
            "**{}** {}\n\n",
            candidate.primary.verdict.as_str().to_uppercase(),
            sentence(&candidate.candidate, report, &candidate.primary)
        );
    }
    text += &targets(report);
    text += &super::classes::markdown(report);
    if !report.judges.is_empty() {
        text += "\n### Judges\n\n";
        for line in report.judges.iter().flat_map(super::lines) {
            let indent = if line.starts_with(' ') { "  " } else { "" };
            text += &format!("{indent}- {}\n", super::html::escaped(line.trim()));
        }
    }
    if let Some(encoder) = &report.encoder {
        text += &format!("\n{}\n", super::html::escaped(&encoder.line()));
    }
    if let Some(entailment) = &report.entailment {
        text += "\n### Entailment\n\n";
        for line in super::entailment(entailment) {
            let indent = " ".repeat(line.len() - line.trim_start().len());
            text += &format!("{indent}- {}\n", super::html::escaped(line.trim()));
        }
    }
    text += &report.ranking.as_ref().map(super::ranking::markdown).unwrap_or_default();
    text += &report.rag.as_ref().map(super::rag::markdown).unwrap_or_default();
    for (idx, candidate) in report.candidates.iter().enumerate() {
        for row in candidate.slices.iter().filter(|row| row.worse) {
            text += &format!(
                "\n`{}` is worse where {} is {}: {} {}\n",
                candidate.candidate,
                cell(&row.slice),
                cell(&row.value),
                signed(row.comparison.difference),
                ends(row.comparison.interval)
            );
        }
        let mut lost: Vec<&CaseRow> =
            report.cases.iter().filter(|case| case.gains[idx].is_some_and(|gain| gain < 0.0)).collect();
        lost.sort_by(|a, b| a.gains[idx].unwrap_or(0.0).total_cmp(&b.gains[idx].unwrap_or(0.0)));
        if !lost.is_empty() {
            text += &format!(
                "\n<details><summary>{} cases where {} is worse</summary>\n\n",
                lost.len(),
                super::html::escaped(&candidate.candidate)
            );
            for case in lost.iter().take(SHOWN) {
                text += &format!("- `{}` {}\n", case.id.replace('`', "'"), cell(&case.question));
            }
            text += "\n</details>\n";
        }
    }
    text
}

/// A row for each target, by the metric that decides, and what the numbers are by.
fn targets(report: &Report) -> String {
    let mut text = String::new();
    text += "| target | metric | mean | difference | interval | lost / won | failed | no number | p95 ms, 95 % interval | dollars per case, 95 % interval |\n\
             |---|---|---|---|---|---|---|---|---|---|\n";
    for (idx, target) in report.targets.iter().enumerate() {
        let comparison =
            idx.checked_sub(1).and_then(|idx| report.candidates.get(idx)).map(|candidate| &candidate.primary);
        let flips = comparison
            .and_then(|comparison| comparison.flips)
            .map_or_else(|| "-".to_owned(), |flips| format!("{} / {}", flips.lost, flips.won));
        let money = &target.speed_and_cost;
        let n_unscored: u64 = target.unscored.get(&report.primary).map_or(0, |reasons| reasons.values().sum());
        // Writing to a String cannot fail.
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {flips} | {} | {n_unscored} | {} | {} |",
            cell(&target.name),
            cell(&super::label(report, &report.primary)),
            number(target.means.get(&report.primary).copied().flatten()),
            signed(comparison.and_then(|comparison| comparison.difference)),
            ends(comparison.and_then(|comparison| comparison.interval)),
            target.n_failed,
            money.latency.as_ref().map_or_else(|| "-".to_owned(), |speed| ms(speed.p95_ms, speed.p95_interval)),
            dollars(money.cost_per_case, money.cost_interval),
        )
        .unwrap_or_default();
    }
    text += &format!("\n{}\n", cell_of_any_length(&definitions(report)));
    text
}

/// Text as it may stand in a table: one line, and no markup.
pub(super) fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = if line.chars().count() > 160 { line.chars().take(159).chain(['…']).collect() } else { line };
    cell_of_any_length(&short)
}

fn cell_of_any_length(line: &str) -> String {
    super::html::escaped(line).replace('|', "\\|").replace('`', "'")
}
