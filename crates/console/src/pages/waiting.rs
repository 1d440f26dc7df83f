//! What waits for a person: rollouts that ask for approval or stand still, pairs that reviewers have not judged, and what policies referred.

use maud::{Markup, html};
use operations::reviews::{self, Decision, Referred, Request};
use operations::rollouts::{self, Status};
use operations::{OperationError, Role, panels};

use super::exchanges::link;
use super::fields::escape;
use super::frame::{self, badge, table, token};
use super::rollout::status_kind;
use super::words::{cut, inert, moment, moment_of, short};
use super::{PageAnswer, Visit};

/// Referrals on the page; the oldest come first, so that none is forgotten behind the others.
const MOST: u32 = 100;
/// Bytes of a text that are shown.
const SHOWN: usize = 64 << 10;

pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let all = visit.query.text("all").is_some();
    let lines = rollouts::list(&visit.desk.reader())?;
    let stands = |status: Status| {
        matches!(status, Status::AwaitingApproval | Status::Paused | Status::Held | Status::RolledBack)
    };
    let standing: Vec<_> = lines.iter().filter(|line| stands(line.status)).collect();
    let own = panels::mine(&visit.desk.reader(), &visit.actor())?;
    let open: Vec<_> = own.iter().filter(|(_, progress)| progress.judged < progress.of).collect();
    let referred = reviews::list(&visit.desk.reader(), all, MOST)?;
    let main = html! {
        h1 { "Waiting for a person" }
        h2 { "Rollouts" }
        @if standing.is_empty() { p.none { "No rollout asks for approval, and none is held, paused or thrown back." } }
        @else { (table("Rollouts that go no further by themselves", &["Name", "Route", "Where", "Since", "What it asks", "Why"], &html! {
            @for line in standing {
                tr { td { (frame::rollout_link(&line.name)) } td { bdi { (line.route) } } td { (badge(status_kind(line.status), &line.label)) } td { (moment_of(line.since_us)) }
                    td { (asks(line.status)) }
                    td.wide { bdi { (short(&line.because)) } } }
            }
        })) }
        h2 { "Pairs for you to judge" }
        @if open.is_empty() { p.none { "None. " a href="/review" { "Every panel" } } }
        @else { ul { @for (panel, progress) in open { li { a href=(format!("/review/{}", escape(panel))) { bdi { (panel) } } " – " (progress.of - progress.judged) " of " (progress.of) } } } }
        h2 { "Referred by policies" }
        p { @if all { a href="/waiting" { "Only what nobody has decided" } } @else { a href="/waiting?all=1" { "With what is decided" } } }
        @if referred.is_empty() {
            (frame::empty("Nothing is referred to anybody: a check of a route's policy does that with `then: escalate`.", "crossfade check"))
        } @else { (table("Oldest first", &["When", "Exchange", "Route", "Check", "Why", "Decided", ""], &html! {
            @for row in &referred {
                @let id = row.check.exchange.to_string();
                tr {
                    td { (moment(row.check.at_us)) } td { (link(&id)) } td { bdi { (row.check.route) } }
                    td { bdi { (row.check.name) } " " span.hint { (row.check.phase) } } td.wide { bdi { (inert(row.check.detail.as_deref().unwrap_or("–"))) } }
                    td { @match &row.review { Some(review) => { (badge(kind(&review.decision), &review.decision)) " " bdi { (review.actor) } } None => span.none { "nobody yet" } } }
                    td { a href=(format!("/waiting/{id}")) { @if row.review.is_some() { "Look at it" } @else { "Decide" } } }
                }
            }
        })) }
        @if referred.len() >= MOST as usize { p.hint { "The oldest " (MOST) "; the others come up when these are decided." } }
    };
    frame::page(visit, "Waiting", &main)
}

/// What a person is to do of a rollout that goes no further by itself.
const fn asks(status: Status) -> &'static str {
    match status {
        Status::AwaitingApproval => "approval, on the evidence that its page shows",
        Status::Held => "more time, to be accepted as it is, or aborted",
        Status::RolledBack => "to be looked at: everybody is on the baseline, and stays there until it is begun again",
        _ => "to be resumed or aborted",
    }
}

fn kind(decision: &str) -> &'static str {
    if decision == "approve" { "good" } else { "bad" }
}

pub(super) fn one(visit: &Visit<'_>) -> PageAnswer {
    let found = reviews::show(&visit.desk.reader(), visit.name())?;
    let id = found.exchange.detail.exchange.id.to_string();
    let main = html! {
        h1 { "Referred: " (link(&id)) }
        (checks(&found))
        @match &found.review {
            Some(review) => { p { (badge(kind(&review.decision), &review.decision)) " by " bdi { (review.actor) } ", " (moment(review.at_us)) ": " bdi { (inert(&review.reason)) } } }
            None => (form(visit, &id))
        }
        @for (name, text) in [("Request", found.exchange.request.as_deref()), ("Answer that the caller got", found.exchange.answer.as_deref())] {
            @if let Some(text) = text {
                h2 { (name) }
                pre.body tabindex="0" role="region" aria-label=(name) { (inert(cut(text, SHOWN).0)) }
                @if !cut(text, SHOWN).1 { p.hint { "Cut here; " a href=(format!("/exchanges/{id}?whole=1")) { "all of it" } } }
            }
        }
    };
    frame::page(visit, "Referred", &main)
}

fn checks(found: &Referred) -> Markup {
    if found.checks.is_empty() {
        return html! { p.none { "No check looked at this exchange." } };
    }
    table(
        "Checks of it",
        &["Check", "When", "Verdict", "Whose answer", "Why"],
        &html! {
            @for check in &found.checks {
                tr {
                    td { bdi { (check.name) } } td { (check.phase) }
                    td { (badge(match check.verdict.as_str() { "allow" => "good", "block" => "bad", _ => "warn" }, &check.verdict)) @if check.shadow { " " span.hint { "of a copy" } } }
                    td { bdi { (check.target.as_deref().unwrap_or("–")) } } td.wide { bdi { (inert(check.detail.as_deref().unwrap_or("–"))) } }
                }
            }
        },
    )
}

fn form(visit: &Visit<'_>, id: &str) -> Markup {
    html! {
        @if visit.has(Role::Operator) {
            form.card.narrow method="post" action=(format!("/waiting/{id}")) {
                (token(visit))
                h2 { "Decide it, once" }
                label for="reason" { "Why, for the record" }
                input #reason name="reason" required autocomplete="off";
                button name="decision" value="approve" { "It was in order" } " "
                button.danger name="decision" value="reject" { "It was not" }
            }
        } @else { p.none { "Who decides needs the role operator." } }
    }
}

pub(super) fn decide(visit: &Visit<'_>) -> PageAnswer {
    let decision = match visit.form.text("decision") {
        Some("approve") => Decision::Approve,
        Some("reject") => Decision::Reject,
        other => {
            let words = format!("`{}` is no decision: approve or reject", other.unwrap_or_default());
            return Err(OperationError::Invalid(words));
        }
    };
    let reason = visit.form.text("reason").unwrap_or_default().to_owned();
    let request = Request { decision, reason, actor: None };
    reviews::resolve(visit.desk.keys.database(), &visit.actor(), (visit.name(), reviews::now()), &request)?;
    Ok(frame::see(&format!("/waiting/{}", escape(visit.name()))))
}
