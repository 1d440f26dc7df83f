//! What one can do to a rollout: what its state allows and the reader's role covers.

use maud::{Markup, html};
use operations::rollouts::{self, RolloutView, Status};
use operations::{OperationError, Role};

use crate::pages::fields::escape;
use crate::pages::frame::{self, token};
use crate::pages::{PageAnswer, Visit};

/// A verb as a button: the verb, what stands on it, what it does, who may, and whether it needs a reason.
struct Deed {
    verb: &'static str,
    words: &'static str,
    means: &'static str,
    role: Role,
    needs_reason: bool,
}

const fn deed(verb: &'static str, words: &'static str, means: &'static str, role: Role, needs_reason: bool) -> Deed {
    Deed { verb, words, means, role, needs_reason }
}

const PAUSE: Deed =
    deed("pause", "Pause", "The share stays, promotions stop, guards stay armed.", Role::Operator, false);
const RESUME: Deed = deed("resume", "Resume", "Goes on where it was.", Role::Operator, false);
const AGAIN: Deed =
    deed("resume", "Begin again", "In shadow, with new evidence; nothing of before counts.", Role::Operator, true);
const EXTEND: Deed = deed("extend", "Extend", "As much time again as this step may last.", Role::Operator, true);
const ACCEPT: Deed =
    deed("accept", "Accept as it is", "To the next step without the proof; recorded as such.", Role::Approver, true);
const PROMOTE: Deed = deed(
    "promote",
    "Promote without waiting",
    "To the next step without waiting for the gates; recorded as such.",
    Role::Approver,
    true,
);
const START: Deed = deed("start", "Start in shadow", "Both answer, users see the baseline.", Role::Operator, false);

/// What a state allows, but for approving and aborting.
fn possible(status: Status) -> &'static [Deed] {
    match status {
        Status::Draft => &[START],
        Status::Active => &[PAUSE, PROMOTE],
        Status::AwaitingApproval => &[PAUSE],
        Status::Held => &[EXTEND, ACCEPT, PAUSE],
        Status::Paused => &[RESUME],
        Status::RolledBack | Status::Aborted => &[AGAIN],
        Status::Completed => &[],
    }
}

/// The way out: one click, on every page of a rollout. What it can do is asked again when the rollout moves, whoever moved it.
pub(super) fn abort(visit: &Visit<'_>, view: &RolloutView) -> Markup {
    let may = visit.has(Role::Operator);
    let is_over = matches!(view.explanation.status, Status::Aborted | Status::RolledBack) || view.taken_over;
    let page = format!("/rollouts/{}", escape(&view.name));
    html! {
        div #abort hx-get=(page) hx-select="#abort" hx-swap="outerHTML" hx-trigger="moved from:body" {
            form.abort method="post" action=(path(&view.name, "abort")) {
                (token(visit))
                input type="hidden" name="reason" value="aborted from the console";
                button.danger disabled[!may || is_over] aria-describedby="abort-means" { "Abort" }
                p.hint #abort-means {
                    @if is_over { "Everybody is on the baseline." } @else { "Everybody back to the baseline, now." }
                    @if !may { " This needs the role operator." }
                }
            }
        }
    }
}

/// Everything else.
pub(super) fn deeds(visit: &Visit<'_>, view: &RolloutView) -> Result<Markup, OperationError> {
    let deeds: Vec<&Deed> = possible(view.explanation.status).iter().filter(|deed| visit.has(deed.role)).collect();
    let asked = rollouts::to_approve(&visit.desk.reader(), &view.name)?;
    let reload = format!("/rollouts/{}", escape(&view.name));
    Ok(html! {
        section #deeds hx-get=(reload) hx-select="#deeds" hx-swap="outerHTML" hx-trigger="moved from:body" {
            h2 { "What you can do" }
            @if let Some((row, hash)) = &asked { (approval(visit, view, (&row.evidence_json, hash))) }
            @if deeds.is_empty() && asked.is_none() { p.none { "Nothing now, with your role." } }
            div.cards {
                @for deed in deeds { (form(visit, &view.name, deed)) }
            }
        }
    })
}

/// The first step of a rollout that the config has.
pub(super) fn start(visit: &Visit<'_>, name: &str) -> Markup {
    html! { @if visit.has(START.role) { div.cards { (form(visit, name, &START)) } } }
}

fn form(visit: &Visit<'_>, name: &str, deed: &Deed) -> Markup {
    let id = format!("reason-{}", deed.verb);
    html! {
        form.card method="post" action=(path(name, deed.verb)) {
            (token(visit))
            p { (deed.means) }
            // A start is written down without one.
            @if deed.verb != START.verb {
                label for=(id) { "Reason" @if !deed.needs_reason { " (may be empty)" } }
                input id=(id) name="reason" maxlength="500" required[deed.needs_reason] autocomplete="off";
            }
            (frame::whoever(visit, "Who does it (may be empty)"))
            button { (deed.words) }
        }
    }
}

/// Consent to what was shown: the hash names it, and other evidence is not approved by it.
fn approval(visit: &Visit<'_>, view: &RolloutView, (evidence, hash): (&str, &str)) -> Markup {
    let (have, need) = (view.explanation.approvals.len(), view.explanation.approvals_needed);
    html! {
        form.card.wide method="post" action=(path(&view.name, "approve")) {
            (token(visit))
            input type="hidden" name="hash" value=(hash);
            h3 { "Every gate passed: it waits for approval (" (have) " of " (need) ")" }
            p { "What is approved is the evidence with which the gates passed: " code.hash { (hash) } }
            details { summary { "That evidence" } pre.scroll tabindex="0" { (pretty(evidence)) } }
            @if visit.has(Role::Approver) {
                label for="reason-approve" { "Reason (may be empty)" }
                input #reason-approve name="reason" maxlength="500" autocomplete="off";
                (frame::whoever(visit, "Who approves"))
                button { "Approve this evidence" }
            } @else { p.hint { "Approving needs the role approver." } }
        }
    }
}

fn pretty(json: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(json).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}

fn path(name: &str, verb: &str) -> String {
    format!("/rollouts/{}/{verb}", escape(name))
}

/// Carries out a verb.
pub(in crate::pages) fn change(visit: &Visit<'_>, verb: &str) -> PageAnswer {
    let reason = visit.form.text("reason").unwrap_or_default();
    rollouts::change(visit.desk, &visit.actor(), visit.name(), verb, reason)?;
    Ok(frame::see(&format!("/rollouts/{}", escape(visit.name()))))
}

/// Approves what the form showed.
pub(in crate::pages) fn approve(visit: &Visit<'_>) -> PageAnswer {
    let of = |name| visit.form.text(name).unwrap_or_default();
    rollouts::approve_shown(visit.desk, &visit.actor(), visit.name(), (of("hash"), of("reason")))?;
    Ok(frame::see(&format!("/rollouts/{}", escape(visit.name()))))
}
