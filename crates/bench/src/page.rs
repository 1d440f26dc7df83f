//! A result as one page that needs nothing else: what it comes to, the curves, the figures, and what each id means.

mod plot;

use std::fmt::Write as _;

use crate::cell::CellState;
use crate::definition;
use crate::result::{BenchResult, Distribution, Level, short};
use crate::slo::Verdict;

use plot::{Axis, Curve, plot};

const STYLE: &str = "\
:root{color-scheme:light dark;background:Canvas;color:CanvasText;--pass:#1a7f37;--fail:#cf222e;--undecided:#9a6700;--small:#59636e}\
@media(prefers-color-scheme:dark){:root{--pass:#3fb950;--fail:#f85149;--undecided:#d29922;--small:#9198a1}}\
body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;overflow-wrap:break-word}td:last-child,p{overflow-wrap:anywhere}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884}\
th{vertical-align:bottom;font-weight:600}.scroll th,.scroll td{overflow-wrap:normal}.scroll td{white-space:nowrap}.scroll td.wraps{white-space:normal;min-width:16rem}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.n .small{display:block}\
.pass{color:var(--pass)}.fail{color:var(--fail)}.undecided{color:var(--undecided)}.small{color:var(--small);font-size:.8rem}.verdict{font-size:1.1rem}.verdict b{text-transform:uppercase}\
figure{margin:1rem 0;overflow-x:auto}figcaption{font-size:.9rem}svg{width:100%;max-width:60rem;min-width:42rem;height:auto;font:12px system-ui,sans-serif}\
svg text{fill:currentColor}svg .halo{paint-order:stroke;stroke:Canvas;stroke-width:4px}svg .grid{stroke:#8883}svg .axis{fill:none;stroke:#888}svg .limit{stroke:#cf222e;stroke-dasharray:4 3}\
svg polyline{fill:none;stroke-width:2}";

/// Nothing runs and nothing is fetched, whatever a name or a value holds.
const POLICY: &str =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">";

/// The page.
#[must_use]
pub fn html(result: &BenchResult) -> String {
    let title = format!("Benchmark {}", result.name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">{POLICY}<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{0}</title><style>{STYLE}</style>\n<h1>{0}</h1>\n",
        escaped(&title)
    );
    // Writing to a String cannot fail.
    head(&mut page, result).unwrap_or_default();
    cells(&mut page, result).unwrap_or_default();
    found(&mut page, result).unwrap_or_default();
    curves(&mut page, result).unwrap_or_default();
    levels(&mut page, result).unwrap_or_default();
    deltas(&mut page, result).unwrap_or_default();
    recovery(&mut page, result).unwrap_or_default();
    about(&mut page, result).unwrap_or_default();
    reachable(&page) + "</html>\n"
}

/// What scrolls by itself on a narrow screen is reached by keyboard. Texts of others are escaped and hold no such tag.
fn reachable(page: &str) -> String {
    page.replace("<div class=\"scroll\">", "<div class=\"scroll\" tabindex=\"0\">")
        .replace("<figure>", "<figure tabindex=\"0\">")
}

fn head(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    if let (Some(slo), Some(verdict)) = (&result.slo, result.slo_verdict()) {
        let word = verdict.as_str();
        writeln!(page, "<p class=\"verdict {word}\"><b>{word}</b> {}</p>", escaped(&slo.words()))?;
    }
    if result.simulated {
        writeln!(
            page,
            "<p class=\"undecided\">Answers of a simulated provider: nothing here is evidence of a real server.</p>"
        )?;
    }
    if result.partial {
        writeln!(page, "<p class=\"undecided\">Partial: somebody stopped the run.</p>")?;
    }
    if result.verdict != "valid" {
        writeln!(page, "<p class=\"fail\">INVALID: these figures are no evidence.</p>")?;
    }
    for why in &result.why {
        writeln!(page, "<p>{}</p>", escaped(why))?;
    }
    Ok(())
}

fn cells(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    if result.cells.is_empty() {
        return Ok(());
    }
    let names: std::collections::BTreeSet<&String> =
        result.cells.iter().flat_map(|cell| cell.settings.keys()).collect();
    page.push_str("<h2>The cells beside each other</h2>\n<div class=\"scroll\"><table><tr>");
    names.iter().try_for_each(|name| write!(page, "<th>{}", escaped(name)))?;
    page.push_str("<th>state<th class=\"n\">ready, s<th class=\"n\">sustained<th class=\"n\">tokens/s<th class=\"n\">against the first<th class=\"n\">requests/s<th>at<th class=\"n\">ttft.intended p95, ms<th class=\"n\">e2e.intended p95, ms<th class=\"n\">tpot p50, ms<th>objective\n");
    let number = |value: Option<f64>| value.map_or("-".to_owned(), short);
    for row in crate::matrix::rows(result) {
        let cell = row.cell;
        page.push_str("<tr>");
        for name in &names {
            write!(page, "<td>{}", cell.settings.get(*name).map_or("-".to_owned(), |value| escaped(value)))?;
        }
        let state = match cell.state {
            CellState::Done if cell.is_valid => "done".to_owned(),
            CellState::Done => "<span class=\"fail\">INVALID</span>".to_owned(),
            CellState::Failed => "<span class=\"fail\">failed</span>".to_owned(),
            CellState::NotRun => "<span class=\"undecided\">not run</span>".to_owned(),
        };
        writeln!(
            page,
            "<td>{state}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}",
            number(cell.ready_ms.map(|ms| ms / 1e3)),
            number(row.sustained),
            number(row.best.and_then(|level| level.out_tok_s)),
            row.against_first.map_or("-".to_owned(), |part| format!("{:+.1} %", part * 100.0)),
            number(row.best.and_then(|level| level.requests_per_s)),
            row.best.map_or("-".to_owned(), |level| level.load_words()),
            number(row.latency(definition::TTFT_INTENDED, "p95")),
            number(row.latency(definition::E2E_INTENDED, "p95")),
            number(row.tpot_ms()),
            cell.slo.map_or("-".to_owned(), marked)
        )?;
    }
    page.push_str("</table></div>\n<p class=\"small\">Each cell where it gave the most tokens a second, or, of a search, where it sustained the most. Cells were measured one after the other: what changed on the machine in between is in their differences.</p>\n");
    Ok(())
}

fn found(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    if result.found.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>The most that keeps to the objective</h2>\n<div class=\"scroll\"><table><tr><th>target<th>over<th class=\"n\">sustained<th class=\"n\">failed<th class=\"n\">tokens/s there<th class=\"n\">peak<th>peak with 20 % headroom<th class=\"n\">probes\n");
    let number = |value: Option<f64>| value.map_or("none".to_owned(), short);
    for found in &result.found {
        let verdict = found.verdict.map_or(String::new(), marked);
        writeln!(
            page,
            "<tr><td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{verdict}<td class=\"n\">{}",
            escaped(&found.target),
            found.over,
            number(found.sustained),
            number(found.failed),
            number(found.out_tok_s),
            found.peak.map_or(String::new(), short),
            found.tried.len()
        )?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn marked(verdict: Verdict) -> String {
    format!("<span class=\"{0}\">{0}</span>", verdict.as_str())
}

fn curves(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    let limit = |read: fn(&crate::slo::Slo) -> Option<f64>| result.slo.as_ref().and_then(read);
    let (ttft_limit, e2e_limit) = (limit(|slo| slo.ttft_ms), limit(|slo| slo.e2e_ms));
    let mut figures = String::new();
    let e2e = over_levels(result, |level| level.out_tok_s, (definition::E2E_INTENDED, "p95"));
    let axes = (Axis::linear("output tokens a second"), Axis::log("e2e.intended p95, ms"));
    let words = "Throughput and latency: a curve for each target, its levels in order of load; those that are no evidence are left out. Further right and lower is better.";
    figure(&mut figures, words, &plot(&e2e, axes, e2e_limit))?;
    let by_load =
        |quantile| over_levels(result, |level| Some(level.load.number()), (definition::TTFT_INTENDED, quantile));
    let (mut ttft, mut medians) = (by_load("p95"), by_load("p50"));
    medians.iter_mut().for_each(|curve| curve.is_dashed = true);
    // Where there are many targets, the p95 alone: that is what an objective is held against.
    if ttft.len() * 2 <= plot::MOST {
        ttft.append(&mut medians);
    }
    let is_closed = result.levels.iter().any(|level| matches!(level.load, crate::result::Load::Concurrency { .. }));
    let x = if is_closed { "answers under way at once" } else { "requests a second" };
    figure(
        &mut figures,
        "Time to the first token by load.",
        &plot(&ttft, (Axis::linear(x), Axis::log("ttft.intended, ms")), ttft_limit),
    )?;
    for (id, allowed) in [(definition::TTFT_INTENDED, ttft_limit), (definition::E2E_INTENDED, e2e_limit)] {
        let axes = (Axis::linear("share of requests"), Axis::log(&format!("{id}, ms")));
        let (curves, n_all) = shares(result, id);
        let left_out = n_all.saturating_sub(curves.len());
        let left_out =
            if left_out > 0 { format!(" The last {} of {n_all} levels.", curves.len()) } else { String::new() };
        let words = format!("{id}: the share of requests that were as fast or faster.{left_out}");
        figure(&mut figures, &words, &plot(&curves, axes, allowed))?;
    }
    if !figures.is_empty() {
        write!(page, "<h2>Curves</h2>\n{figures}")?;
    }
    Ok(())
}

/// A curve for each target: a quantile of a latency over something of its levels, in order of load. Levels that are no evidence are left out.
fn over_levels(result: &BenchResult, x: fn(&Level) -> Option<f64>, (id, quantile): (&str, &str)) -> Vec<Curve> {
    let curve = |(colour, target): (usize, &crate::result::TargetFacts)| {
        let point = |level: &&Level| x(level).zip(level.latency.get(id)?.value(quantile));
        let mut levels: Vec<&Level> = result.levels_of(&target.name).filter(|level| level.invalid.is_none()).collect();
        levels.sort_by(|a, b| a.load.number().total_cmp(&b.load.number()));
        let points = levels.iter().filter_map(point).collect();
        Curve { name: format!("{} {quantile}", target.name), points, colour, is_dashed: false }
    };
    result.targets.iter().enumerate().map(curve).collect()
}

/// The distribution at each level: more curves than can be told apart say nothing. And of how many levels.
fn shares(result: &BenchResult, id: &str) -> (Vec<Curve>, usize) {
    const TOLD_APART: usize = 8;
    let of = |level: &&Level| level.shares.get(id).is_some_and(|shares| !shares.is_empty());
    let levels: Vec<&Level> = result.levels.iter().filter(of).collect();
    let curve = |(colour, level): (usize, &&Level)| Curve {
        name: format!("{} {}", level.target, level.load_words()),
        points: level.shares.get(id).into_iter().flatten().map(|(ms, share)| (*share, *ms)).collect(),
        colour,
        is_dashed: false,
    };
    let shown = &levels[levels.len().saturating_sub(TOLD_APART)..];
    (shown.iter().enumerate().map(curve).collect(), levels.len())
}

fn figure(page: &mut String, words: &str, svg: &str) -> std::fmt::Result {
    if svg.is_empty() {
        return Ok(());
    }
    let svg = svg.replacen("<svg ", &format!("<svg aria-label=\"{}\" ", escaped(words)), 1);
    writeln!(page, "<figure>{svg}<figcaption>{}</figcaption></figure>", escaped(words))
}

const SHOWN: [(&str, &[&str]); 7] = [
    (definition::TTFT_INTENDED, &["p50", "p95", "p99"]),
    (definition::TTFT_SENT, &["p50"]),
    (definition::E2E_INTENDED, &["p50", "p95", "p99"]),
    (definition::E2E_SENT, &["p50"]),
    (definition::TPOT, &["p50"]),
    (definition::GAP, &["p99"]),
    (definition::GAP_MAX, &["p99"]),
];

fn levels(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    if result.levels.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Levels</h2>\n<div class=\"scroll\"><table><tr><th>target<th>load<th class=\"n\">good<th class=\"n\">tokens/s<th class=\"n\">requests/s<th class=\"n\">active<th class=\"n\">goodput/s<th>objective<th class=\"n\">client_lag p99, ms<th>tokens from<th>errors\n");
    let number = |value: Option<f64>| value.map_or("-".to_owned(), short);
    for level in &result.levels {
        let counted = |counts: &std::collections::BTreeMap<String, u64>| {
            let words: Vec<String> = counts.iter().map(|(word, n)| format!("{word} {n}")).collect();
            if words.is_empty() { "-".to_owned() } else { words.join(", ") }
        };
        let verdict = match (&level.invalid, level.verdict) {
            (Some(_), _) => "<span class=\"fail\">INVALID</span>".to_owned(),
            (None, verdict) => verdict.map_or("-".to_owned(), marked),
        };
        writeln!(
            page,
            "<tr><td>{}<td>{}<td class=\"n\">{} of {}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{verdict}<td class=\"n\">{}<td>{}<td class=\"wraps\">{}",
            escaped(&level.target),
            level.load_words(),
            level.n_good,
            level.n_requests,
            number(level.out_tok_s),
            number(level.requests_per_s),
            number(level.mean_active),
            number(level.goodput.and_then(|goodput| goodput.per_s)),
            level.client_lag.value("p99").map_or("-".to_owned(), |ms| format!("{ms:.2}")),
            counted(&level.tokens_from),
            counted(&level.errors)
        )?;
    }
    page.push_str("</table></div>\n");
    latencies(page, result)?;
    budgets(page, result)?;
    token_checks(page, result)
}

fn latencies(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    if result.levels.iter().all(|level| level.n_good == 0) {
        return Ok(());
    }
    page.push_str("<h2>Latencies, ms</h2>\n<div class=\"scroll\"><table><tr><th>target<th>load");
    for (id, quantiles) in SHOWN {
        for quantile in quantiles {
            write!(page, "<th class=\"n\">{id}<br>{quantile}")?;
        }
    }
    page.push('\n');
    for level in &result.levels {
        write!(page, "<tr><td>{}<td>{}", escaped(&level.target), level.load_words())?;
        for (id, quantiles) in SHOWN {
            for quantile in quantiles {
                write!(page, "<td class=\"n\">{}", with_interval(level.latency.get(id), quantile))?;
            }
        }
        page.push('\n');
    }
    page.push_str("</table></div>\n<p class=\"small\">Below each: 95 % intervals from order statistics; ? is an end that so few requests do not show. \"beyond\": later than any answer that was waited for.</p>\n");
    Ok(())
}

fn budgets(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    page.push_str("<h2>Where a median request's time goes, ms</h2>\n<div class=\"scroll\"><table><tr><th>target<th>load<th class=\"n\">network, at most<th class=\"n\">gateway<th class=\"n\">queue<th class=\"n\">prefill<th class=\"n\">decode\n");
    for level in &result.levels {
        let budget = &level.budget;
        write!(page, "<tr><td>{}<td>{}", escaped(&level.target), level.load_words())?;
        for part in [budget.network_ms, budget.gateway_ms, budget.queue_ms, budget.prefill_ms, budget.decode_ms] {
            write!(page, "<td class=\"n\">{}", part.map_or("unknown".to_owned(), |ms| format!("{ms:.2}")))?;
        }
        page.push('\n');
    }
    page.push_str("</table></div>\n");
    Ok(())
}

/// Where tokens were counted twice.
fn token_checks(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    let checks = || result.levels.iter().flat_map(|level| level.token_checks.iter().map(move |check| (level, check)));
    if checks().next().is_none() {
        return Ok(());
    }
    page.push_str("<h2>Tokens counted twice</h2>\n<div class=\"scroll\"><table><tr><th>target<th>load<th class=\"n\">answers<th>used<th class=\"n\">tokens<th>held against<th class=\"n\">tokens<th class=\"n\">apart\n");
    for (level, check) in checks() {
        let class = if check.is_off() { "fail" } else { "pass" };
        writeln!(
            page,
            "<tr><td>{}<td>{}<td class=\"n\">{}<td>{}<td class=\"n\">{}<td>{}<td class=\"n\">{}<td class=\"n\"><span class=\"{class}\">{:.2} %</span>",
            escaped(&level.target),
            level.load_words(),
            check.n_answers,
            escaped(&check.used),
            check.n_used,
            escaped(&check.other),
            check.n_other,
            check.apart * 100.0
        )?;
    }
    page.push_str("</table></div>\n<p class=\"small\">More than 1 % apart is flagged. The token that ends an answer is in what servers count and in no text: it is allowed for.</p>\n");
    Ok(())
}

fn with_interval(found: Option<&Distribution>, quantile: &str) -> String {
    let Some(found) = found.filter(|found| found.n + found.n_beyond > 0) else { return "-".to_owned() };
    let Some(quantile) = found.quantiles.get(quantile) else { return "-".to_owned() };
    let Some(value) = quantile.value else { return "beyond".to_owned() };
    match (quantile.low, quantile.high) {
        (None, None) => format!("{value:.1}"),
        (low, high) => {
            let end = |end: Option<f64>| end.map_or("?".to_owned(), |ms| format!("{ms:.1}"));
            format!("{value:.1}<span class=\"small\">{} to {}</span>", end(low), end(high))
        }
    }
}

fn deltas(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    if result.deltas.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Beside each other, asked in turns</h2>\n<div class=\"scroll\"><table><tr><th>candidate<th>baseline<th>figure<th class=\"n\">baseline, ms<th class=\"n\">candidate, ms<th class=\"n\">delta, ms<th>95 % interval<th class=\"n\">blocks\n");
    for delta in &result.deltas {
        let interval = delta.interval_ms.map_or("too few blocks".to_owned(), |(low, high)| {
            format!("{low:+.2} to {high:+.2}{}", if delta.is_shown() { "" } else { ": not shown to differ" })
        });
        writeln!(
            page,
            "<tr><td>{}<td>{}<td>{} {}<td class=\"n\">{:.2}<td class=\"n\">{:.2}<td class=\"n\">{:+.2} ({:+.1} %)<td>{interval}<td class=\"n\">{}",
            escaped(&delta.candidate),
            escaped(&delta.baseline),
            delta.metric,
            delta.quantile,
            delta.baseline_ms,
            delta.candidate_ms,
            delta.delta_ms,
            delta.relative() * 100.0,
            delta.n_blocks
        )?;
    }
    page.push_str("</table></div>\n<p class=\"small\">Each interval holds for itself; of twenty figures of the same server one may seem to differ.</p>\n");
    Ok(())
}

fn recovery(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    if let Some(recovery) = &result.recovery {
        let seconds = |value: Option<f64>| value.map_or("not seen".to_owned(), |s| format!("{s:.2} s"));
        writeln!(
            page,
            "<h2>Recovery</h2>\n<p>Killed {:.1} s into the run, started again {:.2} s later. First good answer after {}, steady after {}; {} of {} requests failed.</p>",
            recovery.killed_at_s,
            recovery.restarted_after_s,
            seconds(recovery.first_good_s),
            seconds(recovery.steady_s),
            recovery.n_failed,
            recovery.n_affected
        )?;
    }
    if let Some(cold) = &result.cold_start {
        page.push_str("<h2>Cold start</h2>\n<table><tr><th>phase<th class=\"n\">starts<th class=\"n\">p50, ms<th class=\"n\">largest, ms\n");
        for (phase, found) in &cold.phases {
            let number = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.0}"));
            writeln!(
                page,
                "<tr><td>{phase}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}",
                found.n,
                number(found.value("p50")),
                number(found.max)
            )?;
        }
        page.push_str("</table>\n");
    }
    Ok(())
}

fn about(page: &mut String, result: &BenchResult) -> std::fmt::Result {
    page.push_str("<h2>What was asked</h2>\n<table>\n");
    for target in &result.targets {
        writeln!(
            page,
            "<tr><td>target<td>{}<td>{} at {}",
            escaped(&target.name),
            escaped(&target.model),
            escaped(&target.url)
        )?;
    }
    for (name, value) in &result.metadata {
        writeln!(page, "<tr><td>said of it<td>{}<td>{}", escaped(name), escaped(value))?;
    }
    if let Some(location) = &result.location {
        writeln!(page, "<tr><td>from<td><td>{}", escaped(location))?;
    }
    for (name, value) in result.plan.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        writeln!(page, "<tr><td>plan<td>{}<td>{}", escaped(name), escaped(&text))?;
    }
    writeln!(
        page,
        "<tr><td>made by<td><td>Crossfade {}, format {}\n</table>",
        escaped(&result.crossfade),
        escaped(&result.format)
    )?;
    page.push_str("<h2>Definitions</h2>\n<table>\n");
    for (id, words) in &result.definitions {
        writeln!(page, "<tr><td>{}<td>{}", escaped(id), escaped(words))?;
    }
    page.push_str("</table>\n");
    Ok(())
}

/// Text inside a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
pub(crate) mod tests;
