//! Pairs: the baseline's and the candidate's answer to one request, and what differs between them.

use maud::{Markup, html};
use operations::exchanges::PairRow;
use operations::pairs::{self, PairView, Side};

use super::diff::{self, Piece};
use super::exchanges::{filter, further, link, nothing, outcome, search};
use super::fields::address;
use super::frame::{self, badge, table};
use super::words::{cut, inert, moment_of, percent, short, span_of};
use super::{PageAnswer, Visit};

/// Where only those that are apart are asked for, so many are looked through for a page.
const LOOKED_THROUGH: u32 = 500;
/// Bytes of an answer that are shown.
const SHOWN: usize = 256 << 10;

/// Those that match.
pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let (mut filter, mut chosen) = filter(visit)?;
    let only_apart = visit.query.text("apart").is_some();
    if only_apart {
        filter.limit = Some(LOOKED_THROUGH);
    }
    let toggled =
        if only_apart { chosen.clone() } else { [chosen.as_slice(), &[("apart".to_owned(), "1".to_owned())]].concat() };
    if only_apart {
        chosen.push(("apart".to_owned(), "1".to_owned()));
    }
    let found = pairs::newest(&visit.desk.reader(), &filter)?;
    let rows: Vec<&PairRow> = found.rows.iter().filter(|pair| !only_apart || pairs::is_apart(pair)).collect();
    let main = html! {
        h1 { "Pairs" }
        p.sub { "The same request, answered by the baseline and by the candidate." }
        (search(visit, "/pairs", false))
        p { a href=(address("/pairs", &toggled)) { @if only_apart { "All of them" } @else { "Only those that are farther apart than noise" } } }
        @if rows.is_empty() {
            @if found.rows.is_empty() && found.before.is_some() { (nothing("/pairs", true)) }
            @else if found.rows.is_empty() { (frame::empty("No pair matches: pairs come while a rollout is in shadow.", "crossfade rollout start NAME")) }
            @else { p.none { "None of the newest " (found.rows.len()) " is farther apart than the baseline's answers are from each other." } }
        } @else { (lines(&rows)) }
        (further("/pairs", &chosen, &found))
    };
    frame::page(visit, "Pairs", &main)
}

fn lines(rows: &[&PairRow]) -> Markup {
    table(
        "Pairs, newest first",
        &["Received", "Exchange", "Rollout", "Candidate", "Times", "Apart (noise beside)", ""],
        &html! {
            @for row in rows {
                tr {
                    td { (moment_of(row.received_at_us)) }
                    td { (link(&row.id.to_string())) }
                    td { @if let Some(rollout) = &row.rollout { (frame::rollout_link(rollout)) } }
                    td { @match (&row.dropped, &row.shadow) {
                        (Some(why), _) => (badge("warn", why)),
                        (None, Some(shadow)) => { @match &shadow.failure { Some(failure) => (badge("bad", failure)), None => (outcome("complete")) } }
                        (None, None) => "–"
                    } @if row.simulated { " " (badge("warn", "simulated")) } }
                    td.number { (span_of(row.live.duration_us)) " / " (span_of(row.shadow.as_ref().and_then(|shadow| shadow.duration_us))) }
                    td { @if let Some(compared) = &row.compared { @for one in &compared.comparisons {
                        (badge(if one.distance > one.noise.unwrap_or(0.0) { "warn" } else { "calm" }, &format!("{} {}{}", one.kind, percent(one.distance), one.noise.map_or_else(String::new, |noise| format!(" ({})", percent(noise)))))) " "
                    } } @else { span.none { "not compared" } } }
                    td { a href=(format!("/pairs/{}", row.id)) { "Side by side" } }
                }
            }
        },
    )
}

/// One of them.
pub(super) fn one(visit: &Visit<'_>) -> PageAnswer {
    let view = pairs::show(&visit.desk.reader(), visit.name())?;
    let main = html! {
        h1 { "Pair of " (link(&view.id)) }
        @if view.bodies_pruned { p.notice { "Its bodies were on record and have been taken away since." } }
        @if let Some(question) = &view.question { h2 { "Asked" } pre.body tabindex="0" role="region" aria-label="Asked" { (inert(cut(question, SHOWN).0)) } }
        (distances(&view))
        @match (&view.live, &view.copy) {
            (Some(live), Some(copy)) => { (both(&view, live, copy)) (tools(live, copy)) }
            (Some(live), None) => { p.none { "The copy has no answer on record." } (alone("Baseline", live)) }
            _ => (frame::empty("No answer of it is on record: it is still under way, or bodies are not recorded.", ""))
        }
        @if let Some(again) = &view.again {
            h2 { "The baseline, asked again" }
            p.sub { "How far two answers of one model are apart: a difference no larger than this says nothing." }
            @if let Some(live) = &view.live { (differing("The baseline's first answer against its second", &live.text, &again.text)) }
        }
    };
    frame::page(visit, &format!("Pair {}", view.id), &main)
}

fn distances(view: &PairView) -> Markup {
    html! {
        @for compared in &view.compared {
            (table(&format!("How far apart, in {}, epoch {}", compared.rollout, compared.epoch), &["In which respect", "Distance", "Noise of the baseline", "Where"], &html! {
                @for one in &compared.comparisons {
                    tr { td { (one.kind) } td.number { (percent(one.distance)) } td.number { (one.noise.map_or_else(|| "not measured".to_owned(), percent)) } td.wide { bdi { (short(one.detail.as_deref().unwrap_or(""))) } } }
                }
            }))
            @if let Some(why) = &compared.not_compared { p.notice { "Not compared: " bdi { (short(why)) } } }
        }
    }
}

fn both(view: &PairView, live: &Side, copy: &Side) -> Markup {
    let of = |of: &Option<(String, operations::pairs::Measured)>| {
        of.as_ref()
            .map_or_else(String::new, |(target, measured)| format!("{target}, {}", span_of(measured.duration_us)))
    };
    html! {
        h2 { "Answers" }
        p { del { "only the baseline's" } " " ins { "only the candidate's" } }
        p.sub { "Baseline: " bdi { (of(&view.live_of)) } " · Candidate: " bdi { (of(&view.copy_of)) } }
        (differing("Baseline against candidate", &live.text, &copy.text))
        div.pair {
            (alone("Baseline", live))
            (alone("Candidate", copy))
        }
    }
}

/// The difference of two texts: by members where both are JSON, else by words.
fn differing(name: &str, first: &str, second: &str) -> Markup {
    if first == second {
        return html! { p { (badge("good", "the same")) " " (name) ": both texts are the same." } };
    }
    if let Some(places) = diff::json(first, second) {
        return html! {
            @if places.is_empty() { p { (badge("good", "the same")) " " (name) ": both are the same JSON, written differently." } }
            @else { (table(&format!("{name}: members of JSON"), &["Where", "First", "Second"], &html! {
                @for place in &places { tr { td { code { (inert(&place.at)) } } td.wide { @if let Some(first) = &place.first { del { (inert(first)) } } } td.wide { @if let Some(second) = &place.second { ins { (inert(second)) } } } } }
            })) }
        };
    }
    match diff::words(first, second) {
        None => html! { p.none { "These texts are too long to be compared word by word." } },
        Some(pieces) => html! {
            pre.body tabindex="0" role="region" aria-label=(name) {
                @for piece in &pieces {
                    @match piece {
                        Piece::Both(text) => (inert(text)),
                        Piece::First(text) => del { (inert(text)) },
                        Piece::Second(text) => ins { (inert(text)) },
                    }
                }
            }
        },
    }
}

fn alone(name: &str, side: &Side) -> Markup {
    let (text, is_whole) = cut(&side.text, SHOWN);
    html! {
        div {
            h3 { (name) @if !side.is_read { " " (badge("warn", "not a chat answer: as it came")) } }
            pre.body tabindex="0" role="region" aria-label=(name) { (inert(text)) }
            @if !is_whole { p.hint { "Cut here; the exchange has all of it." } }
            @if let Some(refusal) = &side.refusal { p.notice { "Refused: " bdi { (inert(refusal)) } } }
        }
    }
}

/// Tool calls by their places: names and arguments.
fn tools(live: &Side, copy: &Side) -> Markup {
    let most = live.tool_calls.len().max(copy.tool_calls.len());
    html! {
        @if most > 0 {
            h2 { "Tool calls" }
            @for idx in 0..most {
                @match (live.tool_calls.get(idx), copy.tool_calls.get(idx)) {
                    (Some(one), Some(other)) => {
                        h3 { (idx + 1) ": " @if one.0 == other.0 { bdi { (inert(&one.0)) } } @else { del { (inert(&one.0)) } " " ins { (inert(&other.0)) } } }
                        (differing("Arguments", &one.1, &other.1))
                    }
                    (Some(one), None) => p { (idx + 1) ": " del { (inert(&one.0)) " " (inert(&one.1)) } " is called by the baseline alone." },
                    (None, Some(other)) => p { (idx + 1) ": " ins { (inert(&other.0)) " " (inert(&other.1)) } " is called by the candidate alone." },
                    (None, None) => {}
                }
            }
        }
    }
}
