//! Where a rollout stands: the rail of its steps, the verdict, and what is missing.

use maud::{Markup, html};
use operations::rollouts::{RolloutView, Status, Verdict};

use crate::pages::frame::badge;
use crate::pages::words::{count, moment, percent, span_s};

/// The kind of badge for what a rollout is doing.
pub(in crate::pages) const fn status_kind(status: Status) -> &'static str {
    match status {
        Status::Completed => "good",
        Status::RolledBack | Status::Aborted => "bad",
        Status::AwaitingApproval | Status::Held | Status::Paused => "warn",
        Status::Active | Status::Draft => "calm",
    }
}

pub(super) fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Pass => badge("good", "pass"),
        Verdict::Fail => badge("bad", "fail"),
        Verdict::Undecided => badge("calm", "undecided"),
    }
}

/// A guard that has not failed: no harm seen is no proof of none.
pub(super) fn guard_verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Fail => badge("bad", "harm"),
        _ => badge("calm", "no harm seen"),
    }
}

pub(super) fn standing(view: &RolloutView) -> Markup {
    let facts = &view.explanation;
    html! {
        h2.hidden { "Where it stands" }
        (rail(view))
        (notices(view))
        dl.facts {
            div { dt { "Status" } dd { (badge(status_kind(facts.status), &view.label)) } }
            @if let Some(last) = view.transitions.first() { div { dt { "Since" } dd { (moment(last.at_us)) } } }
            div { dt { "Verdict" } dd { (verdict(facts.verdict)) " " (facts.decision) } }
            div { dt { "Candidate's share" } dd { (percent(facts.share)) } }
            @if facts.status.is_serving() {
                // A step asks for pairs or for units.
                @for (name, of) in [("Pairs", &facts.pairs), ("Units", &facts.units)] {
                    @if of.have > 0 || of.need > 0 { div { dt { (name) } dd { (progress(of.have, of.need)) } } }
                }
                div { dt { "In this epoch" } dd { (span_s(facts.epoch_age_s)) " of at least " (span_s(facts.min_duration_s)) } }
                @if let Some(per_hour) = view.why.per_hour { div { dt { "Pairs or units an hour" } dd { (format!("{per_hour:.0}")) } } }
                @if facts.approvals_needed > 0 { div { dt { "Approvals" } dd { (facts.approvals.len()) " of " (facts.approvals_needed) } } }
            }
        }
        p { "Because: " bdi { (facts.reason) } }
        @if !facts.missing.is_empty() && facts.status.is_serving() {
            h3 { "Missing" }
            ul { @for missing in &facts.missing { li { bdi { (missing) } } } }
        }
        @if !facts.stuck.is_empty() {
            h3 { "Waiting alone does not help" }
            ul { @for stuck in &facts.stuck { li { bdi { (stuck) } } } }
        }
        @if !view.why.waits.is_empty() {
            h3 { "Time to a decision" }
            ul {
                @for wait in &view.why.waits {
                    li { bdi { (wait.what) }
                        @if let Some(more) = wait.more { ": about " (count(more)) " more" }
                        @match wait.left_s { Some(left) => { ", about " (span_s(left)) " at the present rate" } None => { ", no end in sight at the present rate" } }
                    }
                }
            }
        }
        @if !facts.approvals.is_empty() {
            h3 { "Approved by" }
            ul { @for approval in &facts.approvals {
                li { bdi { (approval.actor) } " " (moment(approval.at.0)) ", on the evidence " code.hash { (approval.evidence_hash) } }
            } }
        }
    }
}

fn progress(have: u64, need: u64) -> Markup {
    html! { (count(have)) " of " (count(need)) " " @if need > 0 { meter min="0" max=(need) value=(have.min(need)) aria-label="progress" {} } }
}

/// What changes how everything below is to be read.
fn notices(view: &RolloutView) -> Markup {
    html! {
        @if let Some(down) = &view.down {
            p.problem { @if down.unreachable { "The candidate is unreachable: " } @else { "The candidate fails: " } bdi { (down.words) } "; its breaker is open since " (moment(down.since_us)) }
        }
        @if let Some(breach) = &view.explanation.breach { p.problem { "A guard was breached: " bdi { (breach.words()) } } }
        @for alarm in &view.explanation.alarms { p.notice { "A guard that pauses has its proof: " bdi { (alarm.words()) } } }
        @if let Some(drill) = &view.drill { p.notice { "A drill is on, begun by " bdi { (drill.actor) } "; nothing counts as evidence meanwhile." } }
        @if view.taken_over { p.notice { "It is done and out of the config: the route asks its own target." } }
    }
}

fn rail(view: &RolloutView) -> Markup {
    html! {
        ol.rail aria-label="Stages" {
            @for step in &view.explanation.steps {
                li class=(if step.is_current { "now" } else if step.is_done { "done" } else { "" }) aria-current=[step.is_current.then_some("step")] {
                    span.stage { (step.stage.as_str()) }
                    span.share { (percent(step.share)) }
                    @if step.is_done { span.hidden { " (left behind)" } }
                }
            }
        }
    }
}
