//! Copies of vectors by their journals; indexes and their moves: how far each is, what both stores answered, who turned it, and the buttons that turn it.

use maud::{Markup, html};
use operations::vectors::{self, EventView, IndexView, MoveView, RunStanding, RunView, ShadowView, Turn};
use operations::{OperationError, Role};

use super::fields::escape;
use super::frame::{self, badge, table};
use super::words::{count, inert, moment, short};
use super::{PageAnswer, Visit};

/// Runs on a page.
const PAGE: u32 = 25;

/// All of them.
pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let indexes = vectors::indexes(visit.desk)?;
    let runs = vectors::runs(visit.desk, (visit.number("before")?, PAGE))?;
    let more =
        runs.last().filter(|_| runs.len() == PAGE as usize).map(|last| format!("/vectors?before={}#runs", last.number));
    let main = html! {
        h1 { "Vectors" }
        p.sub { "Copies of collections, and indexes that this gateway serves to Pinecone's clients." }
        h2 #runs { "Copies" }
        @if runs.is_empty() && visit.query.text("before").is_none() { (frame::empty("No copy was begun from the directory of this config: look through a collection first, then `crossfade vectors copy SOURCE TARGET`.", "crossfade vectors doctor SOURCE")) }
        @else if runs.is_empty() { p.none { "There are no earlier ones." } }
        @else { (table("Copies, the newest first", &["Begun", "What", "From", "To", "State", "Rows", "Every row compared", "What is found"], &html! { @for run in &runs { (run_line(run)) } })) }
        @if let Some(more) = more { p.more { a rel="next" href=(more) { "Earlier ones" } } }
        h2 #indexes { "Indexes" }
        @if indexes.is_empty() { (frame::empty("No index is in the config: name one under `vectors.indexes`, and applications keep their Pinecone client.", "vectors: { indexes: { NAME: { store: STORE } } }")) }
        @for index in &indexes { (one(visit, index, &runs)) }
    };
    frame::page(visit, "Vectors", &main)
}

/// A run.
pub(super) fn run(visit: &Visit<'_>) -> PageAnswer {
    let unknown = || OperationError::NotFound(format!("there is no run of vectors `{}`", visit.name()));
    let run = vectors::run(visit.desk, visit.name().parse().map_err(|_| unknown())?)?;
    let indexes = vectors::indexes(visit.desk)?;
    let main = html! {
        h1 { (of_kind(&run.kind)) " " (run.number) }
        p.sub { a href="/vectors" { "Vectors" } " · begun " (moment(run.at_us)) }
        @match &run.standing {
            Err(why) => {
                p.problem { "Its journal in " code { (inert(&run.directory)) } " cannot be read: " bdi { (inert(why)) } ". Whoever moved the directory begins the command again with " code { "--run DIR" } "; what was copied stays in the target." }
            }
            Ok(standing) => { (run_facts(&run, standing, &indexes)) }
        }
    };
    frame::page(visit, &format!("Vectors, run {}", run.number), &main)
}

fn of_kind(kind: &str) -> &'static str {
    if kind == "reembed" { "Vectors made anew" } else { "Copy" }
}

fn state(standing: &RunStanding) -> Markup {
    let kind = match standing.state.as_str() {
        "through" if standing.n_aside == 0 => "good",
        "running" => "calm",
        _ => "warn",
    };
    badge(kind, &standing.state)
}

fn verdict_of(standing: &RunStanding, kind: &str) -> Markup {
    let Some(proof) = standing.proof(kind) else { return html! { span.none { "not yet" } } };
    verdict(&proof.verdict)
}

fn verdict(word: &str) -> Markup {
    let kind = match word {
        "pass" => "good",
        "fail" => "bad",
        _ => "warn",
    };
    badge(kind, word)
}

/// Rows that were acknowledged, of those that there were.
fn done(standing: &RunStanding) -> Markup {
    html! {
        (count(standing.n_done)) " of " (count(standing.n_rows))
        @if standing.n_aside > 0 { ", " (count(standing.n_aside)) " put aside" }
        " " progress max=(standing.n_rows.max(1)) value=((standing.n_done + standing.n_aside).min(standing.n_rows.max(1))) aria-label="Rows" {}
    }
}

fn run_line(run: &RunView) -> Markup {
    let link = html! { a href=(format!("/vectors/runs/{}", run.number)) { (of_kind(&run.kind)) " " (run.number) } };
    html! { tr {
        td { (moment(run.at_us)) }
        td { (link) }
        @match &run.standing {
            Err(why) => { td.wide colspan="6" { (badge("bad", "unreadable")) " " bdi { (short(why)) } } }
            Ok(standing) => {
                td { code { (short(standing.plain_source().0)) } }
                td { code { (short(&standing.target)) } }
                td { (state(standing)) }
                td.number { (done(standing)) }
                td { (verdict_of(standing, "verify")) }
                td { (verdict_of(standing, "eval")) }
            }
        }
    } }
}

fn run_facts(run: &RunView, standing: &RunStanding, indexes: &[IndexView]) -> Markup {
    let (source, vector) = standing.plain_source();
    let (n_through, n_partitions) = standing.partitions;
    let moved: Vec<&IndexView> = indexes.iter().filter(|index| is_of(index, standing)).collect();
    html! {
        dl.facts {
            div { dt { "State" } dd { (state(standing)) } }
            div { dt { "Rows" } dd { (done(standing)) } }
            div { dt { "From" } dd { code { (inert(source)) } } }
            div { dt { "To" } dd { code { (inert(&standing.target)) } } }
            @if let Some(vector) = vector { div { dt { "Made anew" } dd { code { (inert(vector)) } } } }
            div { dt { "Partitions that are through" } dd { (count(n_through)) " of " (count(n_partitions)) } }
            div { dt { "Journal" } dd { code { (inert(&run.directory)) } } }
            div { dt { "Digest of what was written" } dd { code.hash { (standing.digest) } } }
            @for index in &moved { div { dt { "Index" } dd { a href=(format!("/vectors#index-{}", index.name)) { (index.name) } @if let Some(moves) = &index.moves { " " (badge("calm", &moves.mode)) } } } }
        }
        @if let Some(next) = standing.next(&run.kind) { p.next { "Next: " code { (inert(&next)) } } }
        h2 { "Proof" }
        @if standing.proofs.is_empty() { p.none { "Nobody has compared the two yet." } }
        @else { (table("What was proved, and when", &["What", "Verdict", "When", "What it came to"], &html! { @for proof in &standing.proofs { tr {
            th scope="row" { (if proof.kind == "verify" { "every row" } else { "what is found" }) }
            td { (verdict(&proof.verdict)) } td { (moment(proof.at_us)) } td.wide { bdi { (short(&proof.words)) } }
        } } })) }
        h2 { "Put aside" }
        @if standing.asides.is_empty() { p.none { "No row." } }
        @else {
            (table("Rows that the target did not take, or that could not be read", &["Where", "Why"], &html! { @for (place, why) in &standing.asides { tr { td { bdi { (short(place)) } } td.wide { bdi { (short(why)) } } } } }))
            p.hint { "All " (count(standing.n_aside)) " are whole in the table " code { "aside" } " of " code { "journal.db" } " there." }
        }
    }
}

/// Whether a run fills the store that an index is served from or moves to.
fn is_of(index: &IndexView, standing: &RunStanding) -> bool {
    let fills = |store: &String| *store == standing.target || *store == standing.target_at;
    fills(&index.source) || index.moves.as_ref().is_some_and(|moves| fills(&moves.target))
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

fn one(visit: &Visit<'_>, index: &IndexView, runs: &[RunView]) -> Markup {
    let into = |run: &&RunView| run.standing.as_ref().is_ok_and(|standing| is_of(index, standing));
    html! {
        section.card #(format!("index-{}", index.name)) {
            h3 { bdi { (index.name) } }
            @for run in runs.iter().filter(into) { p.hint { "Filled by " a href=(format!("/vectors/runs/{}", run.number)) { (of_kind(&run.kind)) " " (run.number) } @if let Ok(standing) = &run.standing { " into " code { (short(&standing.target)) } ": " (state(standing)) } } }
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
        h4 { "What both answered" }
        @match &moves.shadow {
            None => { p.none { "No query was asked of both stores." } p.next { "Next: " code { "crossfade vectors mode " (index.name) " shadow" } } }
            Some(shadow) => { (parity(shadow)) }
        }
        (deeds(visit, index, moves))
        h4 { "Who turned it" }
        @if moves.events.is_empty() { p.none { "Nobody yet." } p.next { "Next: " code { "crossfade vectors mode " (index.name) " collect" } } }
        @else { (table("The newest first", &["When", "From", "To", "By", "Why", "Decided by"], &html! { @for event in &moves.events { (turned(event)) } })) }
    }
}

fn parity(shadow: &ShadowView) -> Markup {
    let [(source, source_95), (target, target_95)] = shadow.latency_ms;
    html! {
        p { (verdict(&shadow.verdict)) " " bdi { (shadow.why) } }
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
