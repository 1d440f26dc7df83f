//! Benchmarks: every result, one with its loads, two beside each other, and the page with curves.

use maud::{Markup, html};
use operations::benches::{self, BenchResult, Level, definition, short};

use super::evaluations::{beside_form, other};
use super::exchanges::older;
use super::fields::escape;
use super::frame::{self, badge, table};
use super::words::{coded, count, moment, percent};
use super::{PageAnswer, Visit};

/// Results on a page, and to choose another one from.
const PAGE: usize = 50;

pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let rows = benches::list(&visit.desk.reader(), (visit.query.text("before"), PAGE))?;
    let last = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.name.clone());
    let main = html! {
        h1 { "Benchmarks" }
        p.sub { "What serving stacks do under load. Only what is valid is evidence." }
        @if rows.is_empty() { (frame::empty("No result is on record.", "crossfade bench run --target TARGET --rate 1,2,4 --duration 60s")) }
        @else { (table("Results, newest first", &["Name", "Kind", "Verdict", "When", "By"], &html! {
            @for row in &rows {
                tr { td { (at(&row.name)) } td { (row.kind) } td { (verdict(&row.verdict)) } td { (moment(row.at_us)) } td { bdi { (row.actor) } } }
            }
        })) }
        (older("/benches", &[], last))
    };
    frame::page(visit, "Benchmarks", &main)
}

fn at(name: &str) -> Markup {
    html! { a href=(format!("/benches/{}", escape(name))) { bdi { (name) } } }
}

fn verdict(word: &str) -> Markup {
    badge(
        match word {
            "valid" => "good",
            "invalid" => "bad",
            _ => "warn",
        },
        word,
    )
}

pub(super) fn one(visit: &Visit<'_>) -> PageAnswer {
    let result = benches::show(&visit.desk.reader(), visit.name())?;
    let others = benches::list(&visit.desk.reader(), (None, PAGE))?;
    let main = html! {
        h1 { "Benchmark " bdi { (result.name) } }
        (head(&result))
        @for why in &result.why { p.notice { bdi { (coded(why)) } } }
        p { a href=(format!("/benches/{}/page", escape(&result.name))) { "Every figure, curves and what was asked" } }
        @if !result.found.is_empty() { (table("The most that keeps to the objective", &["Target", "Over", "Sustained", "Tokens/s there"], &html! {
            @for one in &result.found { tr { td { bdi { (one.target) } } td { (one.over) } td.number { (number(one.sustained)) } td.number { (number(one.out_tok_s)) } } }
        })) }
        @if !result.levels.is_empty() { (levels(&result)) }
        @if !result.deltas.is_empty() { (table("Beside the first target, asked in turns", &["Candidate", "Figure", "Baseline", "Candidate's", "Delta", "95 % interval"], &html! {
            @for one in &result.deltas {
                tr { td { bdi { (one.candidate) } } td { (one.metric) " " (one.quantile) } td.number { (format!("{:.1} ms", one.baseline_ms)) } td.number { (format!("{:.1} ms", one.candidate_ms)) }
                    td.number { (format!("{:+.1} ms", one.delta_ms)) } td.number { (one.interval_ms.map_or_else(|| "too few blocks".to_owned(), |(low, high)| format!("[{low:+.1}, {high:+.1}] ms"))) } }
            }
        })) }
        (beside_form("/benches", &result.name, &others.iter().map(|row| row.name.as_str()).collect::<Vec<_>>()))
    };
    frame::page(visit, &format!("Benchmark {}", result.name), &main)
}

fn head(result: &BenchResult) -> Markup {
    html! {
        p { (verdict(if result.partial { "partial" } else { &result.verdict })) " " (result.kind) ", " (moment(result.at_us))
            @if result.simulated { " " (badge("warn", "simulated")) }
            @for (name, value) in &result.metadata { " · " bdi { (name) "=" (value) } } }
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), short)
}

fn levels(result: &BenchResult) -> Markup {
    let time = |level: &Level, id: &str, quantile: &str| {
        level
            .latency
            .get(id)
            .and_then(|found| found.value(quantile))
            .map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0} ms"))
    };
    table(
        "Loads; times from when a request was due",
        &[
            "Target",
            "Load",
            "Good",
            "Tokens/s",
            "Requests/s",
            "First token P50",
            "P95",
            "Whole P50",
            "P95",
            "Per token P50",
            "Attained",
        ],
        &html! {
            @for level in &result.levels {
                tr {
                    td { bdi { (level.target) } } td { (level.load_words()) @if level.invalid.is_some() { " " (badge("bad", "invalid")) } }
                    td.number { (count(level.n_good)) " of " (count(level.n_requests)) } td.number { (number(level.out_tok_s)) } td.number { (number(level.requests_per_s)) }
                    td.number { (time(level, definition::TTFT_INTENDED, "p50")) } td.number { (time(level, definition::TTFT_INTENDED, "p95")) }
                    td.number { (time(level, definition::E2E_INTENDED, "p50")) } td.number { (time(level, definition::E2E_INTENDED, "p95")) }
                    td.number { (time(level, definition::TPOT, "p50")) }
                    td.number { (level.goodput.and_then(|goodput| goodput.attained.share()).map_or_else(|| "–".to_owned(), percent)) }
                }
            }
        },
    )
}

/// The page that `crossfade bench show` writes.
pub(super) fn document(visit: &Visit<'_>) -> PageAnswer {
    Ok(frame::document(&benches::document(&visit.desk.reader(), visit.name())?))
}

pub(super) fn beside(visit: &Visit<'_>) -> PageAnswer {
    let first = benches::show(&visit.desk.reader(), visit.name())?;
    let second = benches::show(&visit.desk.reader(), other(visit)?)?;
    let rows = benches::beside(&first, &second);
    let main = html! {
        h1 { "Benchmarks " bdi { (first.name) } " and " bdi { (second.name) } }
        @for one in [&first, &second] { p { (at(&one.name)) } (head(one)) }
        @if rows.is_empty() { p.notice { "They have no load in common." } }
        @else { (table("Figures at the loads that both have", &["Target", "Load", "Figure", &first.name, &second.name, "Change", "95 % intervals"], &html! {
            @for row in &rows {
                tr { td { bdi { (row.target) } } td { (row.load) } td { (row.figure) } td.number { (number(row.first)) } td.number { (number(row.second)) }
                    td.number { (row.change.map_or_else(|| "–".to_owned(), |change| format!("{:+.1} %", change * 100.0))) }
                    td { (match row.is_apart { Some(true) => "apart", Some(false) => "overlap", None => "none" }) } }
            }
        })) }
        p.hint { "They were measured at different times: what changed on the machines in between is in every change. Targets of one run share it." }
    };
    frame::page(visit, "Two benchmarks", &main)
}
