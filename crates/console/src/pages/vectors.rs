//! Indexes of vectors and their moves: how far each is, what both stores answered, who turned it, and the buttons that turn it.

use maud::{Markup, html};
use operations::vectors::{self, EventView, IndexView, MoveView, ShadowView, Turn};
use operations::{OperationError, Role};

use super::fields::escape;
use super::frame::{self, badge, table};
use super::words::{count, inert, moment};
use super::{PageAnswer, Visit};

/// All of them.
pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let indexes = vectors::indexes(visit.desk)?;
    let main = html! {
        h1 { "Vectors" }
        p.sub { "Indexes that this gateway serves to Pinecone's clients. Copies by " code { "vectors copy" } " and " code { "vectors reembed" } " keep a journal beside their target and are shown by these verbs." }
        @if indexes.is_empty() { (frame::empty("No index is in the config: name one under `vectors.indexes`.", "crossfade vectors doctor STORE")) }
        @for index in &indexes { (one(visit, index)) }
    };
    frame::page(visit, "Vectors", &main)
}

/// Turns the move of an index.
pub(super) fn turn(visit: &Visit<'_>, forward: bool) -> PageAnswer {
    let reason = visit.form.text("reason").unwrap_or_default().to_owned();
    if reason.is_empty() {
        return Err(OperationError::Invalid("say why: the journal keeps it".to_owned()));
    }
    let wish = Turn { index: visit.name().to_owned(), forward, actor: String::new(), reason };
    vectors::turn(visit.desk, &visit.actor(), wish)?;
    Ok(frame::see("/vectors"))
}

fn one(visit: &Visit<'_>, index: &IndexView) -> Markup {
    html! {
        section.card {
            h2 { bdi { (index.name) } }
            @match &index.moves {
                None => { p { "Served from " code { (index.source) } ". It moves nowhere." } p.next { "Next: " code { "moves_to: { store: … }" } " below it in the config" } }
                Some(moves) => { (moving(visit, index, moves)) }
            }
        }
    }
}

fn moving(visit: &Visit<'_>, index: &IndexView, moves: &MoveView) -> Markup {
    let is_there = moves.mode == "target";
    html! {
        dl.facts {
            div { dt { "Mode" } dd { (badge(if is_there { "good" } else { "calm" }, &moves.mode)) } }
            div { dt { "From" } dd { code { (index.source) } } }
            div { dt { "To" } dd { code { (moves.target) } } }
            div { dt { "Answers now" } dd { code { (moves.answers) } } }
            div { dt { "Changes that wait" } dd { (count(moves.n_waiting)) } }
            div { dt { "Changes refused" } dd { @if moves.n_refused > 0 { (badge("bad", &count(moves.n_refused))) } @else { "0" } } }
        }
        @if let Some(trouble) = &moves.trouble { p.problem { "The other store takes no changes now: " bdi { (inert(trouble)) } } }
        @for (row, why) in &moves.refused { p.problem { "Refused: " bdi { (inert(row)) } ": " bdi { (inert(why)) } } }
        h3 { "What both answered" }
        @match &moves.shadow {
            None => { p.none { "No query was asked of both stores." } p.next { "Next: " code { "crossfade vectors mode " (index.name) " shadow" } } }
            Some(shadow) => { (parity(shadow)) }
        }
        (deeds(visit, index, moves))
        h3 { "Who turned it" }
        @if moves.events.is_empty() { p.none { "Nobody yet." } p.next { "Next: " code { "crossfade vectors mode " (index.name) " collect" } } }
        @else { (table("The newest first", &["When", "From", "To", "By", "Why", "Decided by"], &html! { @for event in &moves.events { (turned(event)) } })) }
    }
}

fn parity(shadow: &ShadowView) -> Markup {
    let kind = match shadow.verdict.as_str() {
        "pass" => "good",
        "fail" => "bad",
        _ => "warn",
    };
    let [(source, source_95), (target, target_95)] = shadow.latency_ms;
    html! {
        p { (badge(kind, &shadow.verdict)) " " bdi { (shadow.why) } }
        (table("Queries asked of both", &["Figure", "Value", "95 % interval"], &html! {
            tr { th scope="row" { "different queries, of those that decide" } td.number { (count(shadow.n_reads)) " of " (count(shadow.n_needed)) } td { "–" } }
            tr { th scope="row" { "not answered by the target" } td.number { (count(shadow.n_failed)) } td { "–" } }
            tr { th scope="row" { "came too fast to be asked of both" } td.number { (count(shadow.n_lost)) } td { "–" } }
            @for (name, mean, interval) in &shadow.alike { tr { th scope="row" { (name) } td.number { (format!("{mean:.3}")) } td.number { (interval.map_or_else(|| "–".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}"))) } } }
            tr { th scope="row" { "source: half of the time, 95 of 100 times" } td.number { (format!("{source:.2} ms, {source_95:.2} ms")) } td { "–" } }
            tr { th scope="row" { "target: the same" } td.number { (format!("{target:.2} ms, {target_95:.2} ms")) } td { "–" } }
        }))
    }
}

/// What may be done now by who looks.
fn deeds(visit: &Visit<'_>, index: &IndexView, moves: &MoveView) -> Markup {
    let is_proven = moves.mode == "shadow" && moves.shadow.as_ref().is_some_and(|shadow| shadow.verdict == "pass");
    let path = format!("/vectors/{}", escape(&index.name));
    let form = |verb: &str, words: &str, role: Role| {
        html! {
            @if visit.has(role) { form.filter method="post" action=(format!("{path}/{verb}")) {
                (frame::token(visit))
                label { "Why" input name="reason" required autocomplete="off"; }
                button.danger[verb == "rollback"] { (words) }
            } } @else { p.hint { (words) ": this needs the role " (role.as_str()) "." } }
        }
    };
    html! {
        @if moves.mode == "target" { (form("rollback", "Answer from the old store again", Role::Operator)) }
        @if is_proven { (form("switch", "Answer from the new store", Role::Approver)) }
    }
}

fn turned(event: &EventView) -> Markup {
    html! { tr {
        td { (moment(event.at_us)) } td { (event.from) } td { (event.to) } td { bdi { (event.actor) } } td.wide { bdi { (event.reason) } }
        td { @if let Some(evidence) = &event.evidence { details { summary { "Evidence" } pre { (inert(&serde_json::to_string_pretty(evidence).unwrap_or_default())) } } } @else { "–" } }
    } }
}
