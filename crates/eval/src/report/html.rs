//! One page that needs nothing else: numbers with their intervals, plots, and every case side by side. Its filters are in the page itself and
//! work without a script. Whatever a model or a user said is escaped.

use std::fmt::Write as _;

use super::plot::{Bar, intervals};
use super::{SIMULATED, agreement, dollars, ends, ms, number, sentence, signed};
use crate::compare::{CandidateReport, CaseRow, Comparison, Report, Side, SliceRow, TargetSummary};
use crate::metric::rag::Cause;

/// Says to the browser what is so anyway: nothing runs, and nothing is fetched.
pub(crate) const POLICY: &str =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">";

/// `bdi` alone would not keep direction marks in: an isolate that is left open inside takes its end. A block of its own does.
const STYLE: &str = "\
:root{color-scheme:light dark;background:Canvas;color:CanvasText}\
body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.pass{color:#1a7f37}.fail{color:#cf222e}.undecided{color:#9a6700}.small{color:#59636e;font-size:.85rem}\
.verdict{font-size:1.1rem}.verdict b{text-transform:uppercase}\
svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:currentColor}\
svg .zero{stroke:#8888}svg .margin{stroke:#cf222e;stroke-dasharray:4 3}svg .bar{stroke:#0969da;stroke-width:3}svg circle{fill:#0969da}\
svg .worse .bar{stroke:#cf222e}svg .worse circle{fill:#cf222e}\
details.case{border:1px solid #8884;border-radius:.4rem;margin:.4rem 0;padding:.3rem .7rem}summary{cursor:pointer}\
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:.8rem;margin:.5rem 0}\
.side{background:#8881;border-radius:.3rem;padding:.5rem .7rem}.side pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0;font:inherit}\
ins{background:#1a7f3733;text-decoration:none}del{background:#cf222e33;text-decoration:none}\
@media(max-width:60rem){table,div.wide{display:block;overflow-x:auto}svg{min-width:40rem}div.plot{overflow-x:auto}}\
body{overflow-wrap:anywhere}table{overflow-wrap:normal}bdi{display:inline-block}\
@media(prefers-color-scheme:dark){.pass{color:#3fb950}.fail{color:#ff7b72}.undecided{color:#d29922}.small{color:#9198a1}}\
input[name=show]{margin:.2rem .3rem .8rem 0}label{margin-right:1rem}\
#worse:checked~.cases .case:not(.is-worse),#better:checked~.cases .case:not(.is-better),#failed:checked~.cases .case:not(.is-failed),\
#retriever:checked~.cases .case:not(.is-retriever),#model:checked~.cases .case:not(.is-model){display:none}";

/// The page of a report.
#[must_use]
pub fn html(report: &Report) -> String {
    let title = format!("Evaluation {} on {}", report.run, report.dataset);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{POLICY}\
         <title>{0}</title><style>{STYLE}</style>\n<h1>{0}</h1>\n",
        escaped(&title)
    );
    // Writing to a String cannot fail.
    head(&mut page, report).unwrap_or_default();
    targets(&mut page, report).unwrap_or_default();
    page.push_str(&super::classes::outcomes_html(report));
    page.push_str(&super::classes::matrices_html(report));
    page.push_str(&report.ranking.as_ref().map(super::ranking::html).unwrap_or_default());
    page.push_str(&report.rag.as_ref().map(super::rag::html).unwrap_or_default());
    for candidate in &report.candidates {
        beside(&mut page, report, candidate).unwrap_or_default();
    }
    super::judges::html(&mut page, report).unwrap_or_default();
    if let Some(encoder) = &report.encoder {
        page += &format!("<p class=\"small\">{}</p>\n", escaped(&encoder.line()));
    }
    if let Some(entailment) = &report.entailment {
        let lines: Vec<String> = super::entailment(entailment).iter().map(|line| escaped(line)).collect();
        page += &format!("<h2>Entailment</h2>\n<pre class=\"small\">{}</pre>\n", lines.join("\n"));
    }
    definitions(&mut page, report).unwrap_or_default();
    cases(&mut page, report).unwrap_or_default();
    reachable(&page) + "</html>\n"
}

/// What scrolls by itself on a narrow screen is reached by keyboard. Texts of others are escaped and hold no such tag.
fn reachable(page: &str) -> String {
    ["<table", "<div class=\"plot\"", "<div class=\"wide\""]
        .iter()
        .fold(page.to_owned(), |page, tag| page.replace(&format!("{tag}>"), &format!("{tag} tabindex=\"0\">")))
}

fn head(page: &mut String, report: &Report) -> std::fmt::Result {
    if report.simulated {
        writeln!(page, "<p><strong>{SIMULATED}</strong></p>")?;
    }
    if let Some(words) = agreement(report) {
        writeln!(page, "<p><strong>{}</strong></p>", escaped(&words))?;
    }
    for candidate in &report.candidates {
        let verdict = candidate.primary.verdict.as_str();
        let text = sentence(&candidate.candidate, report, &candidate.primary);
        writeln!(page, "<p class=\"verdict {verdict}\"><b>{verdict}</b> {}</p>", escaped(&text))?;
    }
    writeln!(
        page,
        "<p class=\"small\">{} cases of {}@{}, each asked {} per target · {} decides, margin {} · chance of a wrong verdict at most {} · planned \
         {} UTC{}</p>",
        report.n_cases,
        escaped(&report.dataset),
        report.version,
        if report.repeats == 1 { "once".to_owned() } else { format!("{} times", report.repeats) },
        escaped(&report.primary),
        report.margin,
        report.alpha,
        utc(report.at_us),
        if report.whole { "" } else { " · <strong>the run is not whole</strong>" }
    )
}

fn targets(page: &mut String, report: &Report) -> std::fmt::Result {
    page.push_str("<h2>Targets</h2>\n<table><tr><th>target<th>model");
    for name in report.definitions.keys() {
        write!(page, "<th class=\"n\">{}", escaped(name))?;
    }
    page.push_str("<th class=\"n\">failed<th class=\"n\">unscored<th class=\"n\">p50 ms<th class=\"n\">p95 ms<th class=\"n\">dollars per case<th class=\"n\">dollars per success<th class=\"n\">calls per answer<th class=\"n\">own noise\n");
    for target in &report.targets {
        target_row(page, report, target)?;
    }
    page.push_str(
        "</table>\n<p class=\"small\">In brackets: 95 % intervals, of times by order statistics, of dollars by bootstrap over the cases.</p>\n",
    );
    pace(page, report)
}

/// Of streamed answers, how they came.
fn pace(page: &mut String, report: &Report) -> std::fmt::Result {
    if report.targets.iter().all(|target| target.speed_and_cost.time_to_first_token.is_none()) {
        return Ok(());
    }
    page.push_str("<h3>Streams</h3>\n<table><tr><th>target<th class=\"n\">streamed<th class=\"n\">first token p50 ms<th class=\"n\">p95 ms<th class=\"n\">mean gap p50 ms<th class=\"n\">p95 ms<th class=\"n\">longest gap p50 ms<th class=\"n\">p95 ms\n");
    for target in &report.targets {
        let money = &target.speed_and_cost;
        let n = money.time_to_first_token.map_or(0, |speed| speed.n);
        write!(page, "<tr><td>{}<td class=\"n\">{n}", escaped(&target.name))?;
        for speed in [money.time_to_first_token, money.gap, money.longest_gap] {
            match speed {
                Some(speed) => {
                    let (p50, p95) = (ms(speed.p50_ms, speed.p50_interval), ms(speed.p95_ms, speed.p95_interval));
                    write!(page, "<td class=\"n\">{p50}<td class=\"n\">{p95}")?;
                }
                None => page.push_str("<td class=\"n\">-<td class=\"n\">-"),
            }
        }
        page.push('\n');
    }
    page.push_str("</table>\n<p class=\"small\">Gaps are between events with content, as their bytes arrived.</p>\n");
    Ok(())
}

/// Calls that failed, and cases that were not asked.
fn failed(target: &TargetSummary) -> String {
    match target.n_withheld {
        0 => target.n_failed.to_string(),
        n => format!("{} ({n} withheld)", target.n_failed),
    }
}

fn target_row(page: &mut String, report: &Report, target: &TargetSummary) -> std::fmt::Result {
    let simulated = if target.simulated { " (simulated)" } else { "" };
    write!(page, "<tr><td>{}{simulated}<td>{}", escaped(&target.name), escaped(&target.model))?;
    for name in report.definitions.keys() {
        write!(page, "<td class=\"n\">{}", number(target.means.get(name).copied().flatten()))?;
    }
    let unscored: u64 = target.unscored.get(&report.primary).map_or(0, |reasons| reasons.values().sum());
    let money = &target.speed_and_cost;
    let time = |pick: fn(&crate::compare::Speed) -> String| money.latency.as_ref().map_or_else(|| "-".to_owned(), pick);
    writeln!(
        page,
        "<td class=\"n\">{}<td class=\"n\">{unscored}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{:.2}<td class=\"n\">{}",
        failed(target),
        time(|speed| ms(speed.p50_ms, speed.p50_interval)),
        time(|speed| ms(speed.p95_ms, speed.p95_interval)),
        dollars(money.cost_per_case, money.cost_interval),
        dollars(money.cost_per_successful_task, money.success_interval),
        money.attempts_per_answer,
        target.noise.map_or_else(|| "-".to_owned(), |noise| format!("{:.1} %", noise * 100.0))
    )
}

fn beside(page: &mut String, report: &Report, candidate: &CandidateReport) -> std::fmt::Result {
    let baseline = report.targets.first().map_or("", |target| target.name.as_str());
    writeln!(page, "<h2>{} beside {}</h2>", escaped(&candidate.candidate), escaped(baseline))?;
    page.push_str("<table><tr><th>metric<th class=\"n\">cases<th class=\"n\">baseline<th class=\"n\">candidate<th class=\"n\">difference<th>interval<th class=\"n\">p non-inferior<th class=\"n\">p equivalent<th class=\"n\">p different<th class=\"n\">lost<th class=\"n\">won<th class=\"n\">no number<th>made by\n");
    metric_row(page, &super::label(report, &report.primary), &candidate.primary)?;
    for (name, comparison) in &candidate.others {
        metric_row(page, &super::label(report, name), comparison)?;
    }
    page.push_str("</table>\n");
    details(page, &candidate.primary)?;
    let mut bars = vec![bar("all cases".to_owned(), &candidate.primary, false)];
    bars.extend(
        candidate.slices.iter().map(|row| bar(format!("{} {}", row.slice, row.value), &row.comparison, row.worse)),
    );
    writeln!(page, "<h3>By slice</h3>\n<div class=\"plot\">{}</div>", intervals(&bars, report.margin))?;
    if !candidate.slices.is_empty() {
        page.push_str("<table><tr><th>slice<th><th class=\"n\">cases<th class=\"n\">baseline<th class=\"n\">candidate<th class=\"n\">difference<th>interval<th class=\"n\">p different, adjusted<th>\n");
        for row in &candidate.slices {
            slice_row(page, row)?;
        }
        page.push_str("</table>\n");
    }
    Ok(())
}

fn bar(label: String, comparison: &Comparison, worse: bool) -> Bar {
    Bar { label, value: comparison.difference, interval: comparison.interval, worse }
}

fn metric_row(page: &mut String, name: &str, comparison: &Comparison) -> std::fmt::Result {
    let flip = |pick: fn(&crate::compare::Flips) -> u64| {
        comparison.flips.as_ref().map_or_else(|| "-".to_owned(), |flips| pick(flips).to_string())
    };
    writeln!(
        page,
        "<tr><td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"small\">{}",
        escaped(name),
        comparison.n,
        number(comparison.baseline),
        number(comparison.candidate),
        signed(comparison.difference),
        ends(comparison.interval),
        number(comparison.p_non_inferior),
        number(comparison.p_equivalent),
        number(comparison.p_different),
        flip(|flips| flips.lost),
        flip(|flips| flips.won),
        comparison.n_missing,
        comparison.method
    )
}

fn details(page: &mut String, comparison: &Comparison) -> std::fmt::Result {
    if let Some(parity) = &comparison.parity {
        writeln!(
            page,
            "<p>Parity: the candidate keeps {:.1} % of the baseline's mean {}",
            parity.share * 100.0,
            percent(parity.interval)
        )?;
        if let Some(kept) = parity.kept {
            write!(
                page,
                "; of the cases the baseline gets right it gets {:.1} % right {}",
                kept * 100.0,
                percent(parity.kept_interval)
            )?;
        }
        page.push_str(".</p>\n");
    }
    let or_none = |value: Option<f64>| number(value);
    writeln!(
        page,
        "<p class=\"small\">So many cases find a difference of {} and prove a margin of {}, four times in five. A decision four times in five takes {} \
         cases. {} clusters.</p>",
        or_none(comparison.detectable),
        or_none(comparison.provable_margin),
        comparison.needed.map_or_else(|| "unknown".to_owned(), |needed| needed.to_string()),
        comparison.n_clusters
    )
}

fn percent(interval: Option<crate::compare::Interval>) -> String {
    interval.map_or_else(String::new, |interval| {
        format!(
            "({:.0} % interval {:.1} to {:.1} %)",
            interval.level * 100.0,
            interval.low * 100.0,
            interval.high * 100.0
        )
    })
}

fn slice_row(page: &mut String, row: &SliceRow) -> std::fmt::Result {
    let comparison = &row.comparison;
    writeln!(
        page,
        "<tr><td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}<td class=\"n\">{}<td>{}",
        escaped(&row.slice),
        escaped(&row.value),
        comparison.n,
        number(comparison.baseline),
        number(comparison.candidate),
        signed(comparison.difference),
        ends(comparison.interval),
        number(row.p_adjusted),
        if row.worse { "<span class=\"fail\">worse</span>" } else { "" }
    )
}

fn definitions(page: &mut String, report: &Report) -> std::fmt::Result {
    page.push_str("<h2>What the numbers are</h2>\n<table><tr><th>metric<th>id<th>definition\n");
    for (name, definition) in &report.definitions {
        writeln!(
            page,
            "<tr><td>{}<td>{}<td>{}",
            escaped(name),
            escaped(&definition.id),
            escaped(&definition.definition)
        )?;
    }
    page.push_str("</table>\n");
    Ok(())
}

fn cases(page: &mut String, report: &Report) -> std::fmt::Result {
    page.push_str(
        "<h2>Cases</h2>\n<input type=\"radio\" name=\"show\" id=\"all\" checked><label for=\"all\">all</label>\
         <input type=\"radio\" name=\"show\" id=\"worse\"><label for=\"worse\">candidate worse</label>\
         <input type=\"radio\" name=\"show\" id=\"better\"><label for=\"better\">candidate better</label>\
         <input type=\"radio\" name=\"show\" id=\"failed\"><label for=\"failed\">call failed</label>\n",
    );
    if report.rag.is_some() {
        page.push_str(
            "<input type=\"radio\" name=\"show\" id=\"retriever\"><label for=\"retriever\">lost by the retriever</label>\
             <input type=\"radio\" name=\"show\" id=\"model\"><label for=\"model\">lost by the model</label>\n",
        );
    }
    page.push_str("<div class=\"cases\">\n");
    for case in &report.cases {
        case_block(page, report, case)?;
    }
    page.push_str("</div>\n");
    Ok(())
}

fn case_block(page: &mut String, report: &Report, case: &CaseRow) -> std::fmt::Result {
    let mut classes = String::from("case");
    let lost_by = |cause| case.sides.iter().any(|side| side.outcome.is_some_and(|of| of.cause() == Some(cause)));
    let any = |holds: fn(f64) -> bool| case.gains.iter().flatten().any(|gain| holds(*gain));
    for (class, holds) in [
        (" is-worse", any(|gain| gain < 0.0)),
        (" is-better", any(|gain| gain > 0.0)),
        (" is-failed", case.sides.iter().any(|side| side.failure.is_some())),
        (" is-retriever", lost_by(Cause::Retriever)),
        (" is-model", lost_by(Cause::Model)),
    ] {
        if holds {
            classes.push_str(class);
        }
    }
    let gains: Vec<String> = case.gains.iter().map(|gain| signed(*gain)).collect();
    writeln!(
        page,
        "<details class=\"{classes}\"><summary><bdi>{}</bdi> <span class=\"small\">{}</span> <bdi>{}</bdi></summary>",
        escaped(&case.id),
        gains.join(" "),
        escaped(&beginning(&case.question))
    )?;
    writeln!(page, "<p><b>Asked</b> <bdi>{}</bdi></p>", escaped(&case.question))?;
    if !case.expected.is_empty() {
        writeln!(page, "<p><b>Right</b> <bdi>{}</bdi></p>", escaped(&case.expected.join(" | ")))?;
    }
    if !case.slices.is_empty() || case.exchange.is_some() {
        let slices: Vec<String> = case.slices.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let exchange = case.exchange.as_ref().map(|id| format!(" · exchange {id}")).unwrap_or_default();
        writeln!(page, "<p class=\"small\">{}{}</p>", escaped(&slices.join(" · ")), escaped(&exchange))?;
    }
    page.push_str("<div class=\"sides\">");
    for (idx, side) in case.sides.iter().enumerate() {
        side_block(page, report, (case, idx, side))?;
    }
    page.push_str("</div></details>\n");
    Ok(())
}

fn side_block(page: &mut String, report: &Report, (case, idx, side): (&CaseRow, usize, &Side)) -> std::fmt::Result {
    let name = report.targets.get(idx).map_or("", |target| target.name.as_str());
    let outcome = side.outcome.map(|outcome| outcome.as_str().to_owned());
    let worth = side.worth.iter().map(|(name, value)| {
        let word = side.outcomes.get(name).map(|word| format!(" ({word})")).unwrap_or_default();
        format!("{name} {}{word}", number(*value))
    });
    let worth: Vec<String> = outcome.into_iter().chain(worth).collect();
    let first = side.time_to_first_token_ms.map(|ms| format!(", the first token after {ms:.1}")).unwrap_or_default();
    write!(
        page,
        "<div class=\"side\"><b>{}</b> <span class=\"small\">{} · {:.1} ms{first}</span><pre>",
        escaped(name),
        escaped(&worth.join(" · ")),
        side.latency_ms
    )?;
    match (&side.failure, idx, case.sides.first()) {
        (Some(failure), ..) => write!(page, "<i class=\"fail\">{}</i>", escaped(failure))?,
        (None, 0, _) | (None, _, None) => page.push_str(&escaped(&side.text)),
        (None, _, Some(baseline)) => page.push_str(&difference(&baseline.text, &side.text)),
    }
    for call in &side.tool_calls {
        write!(page, "\n→ {}", escaped(call))?;
    }
    page.push_str("</pre>");
    for (name, note) in &side.notes {
        let first = note.lines().next().unwrap_or_default();
        write!(
            page,
            "<details><summary class=\"small\">{} {}</summary><pre>{}</pre></details>",
            escaped(name),
            escaped(first),
            escaped(note)
        )?;
    }
    page.push_str("</div>");
    Ok(())
}

/// Unix microseconds as `2026-11-26 07:04`.
fn utc(us: u64) -> String {
    let minutes = us / 60_000_000;
    // Days to a date, after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, eras have 400 of them. From 1970 on.
    let shifted = minutes / 1440 + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes % 1440 / 60, minutes % 60)
}

/// Texts with more words are shown as they are: what is marked in them would take too long to find.
const MOST_WORDS: usize = 1500;

/// The second text with what it has beside the first marked, and what it lacks of it, by words: the longest common subsequence.
fn difference(first: &str, second: &str) -> String {
    let (one, other): (Vec<&str>, Vec<&str>) =
        (first.split_inclusive(' ').collect(), second.split_inclusive(' ').collect());
    if one.len() > MOST_WORDS || other.len() > MOST_WORDS {
        return escaped(second);
    }
    let width = other.len() + 1;
    let mut longest = vec![0_u16; (one.len() + 1) * width];
    for i in (0..one.len()).rev() {
        for j in (0..other.len()).rev() {
            longest[i * width + j] = if one[i].trim_end() == other[j].trim_end() {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut marked) = (0, 0, String::new());
    while i < one.len() || j < other.len() {
        if i < one.len() && j < other.len() && one[i].trim_end() == other[j].trim_end() {
            marked += &escaped(other[j]);
            (i, j) = (i + 1, j + 1);
        } else if j < other.len() && (i == one.len() || longest[i * width + j + 1] >= longest[(i + 1) * width + j]) {
            marked += &format!("<ins>{}</ins>", escaped(other[j]));
            j += 1;
        } else {
            marked += &format!("<del>{}</del>", escaped(one[i]));
            i += 1;
        }
    }
    marked
}

fn beginning(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 100 { line.chars().take(99).chain(['…']).collect() } else { line.to_owned() }
}

/// Text as it may stand in a page.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_and_a_time_in_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00");
        assert_eq!(utc(1_709_210_096_000_000), "2024-02-29 12:34");
        assert_eq!(utc(1_795_675_880_978_586), "2026-11-26 06:51");
    }

    #[test]
    fn words_that_differ_are_marked_and_markup_is_escaped() {
        let marked = difference("It takes 72 hours.", "It takes <b>three days</b>.");
        assert_eq!(
            marked,
            "It takes <ins>&lt;b&gt;three </ins><ins>days&lt;/b&gt;.</ins><del>72 </del><del>hours.</del>"
        );
        assert_eq!(difference("same text", "same text"), "same text");
        assert_eq!(difference("", "new"), "<ins>new</ins>");
    }
}
