//! The first page: how far the migration is, and where each rollout stands.

use maud::{Markup, html};
use operations::journey::{self, Phase, Standing};
use operations::rollouts;
use operations::{Desk, OperationError};

use super::frame::{self, badge, table};
use super::rollout::status_kind;
use super::words::{coded, moment_of, percent, short};
use super::{PageAnswer, Visit};

pub(super) fn page(visit: &Visit<'_>) -> PageAnswer {
    let main = html! {
        h1 { "Migration" }
        div #live hx-sse:connect="/events" { (parts(visit.desk, false)?) }
    };
    frame::page(visit, "Migration", &main)
}

/// Everything that changes by itself; as fragments that take the place of those with the same id, where it is pushed.
pub(super) fn parts(desk: &Desk, is_push: bool) -> Result<Markup, OperationError> {
    let phases = journey::phases_here(desk)?;
    let rollouts = rollouts::list_now(desk)?;
    let is_new = |name: &String| rollouts.iter().all(|line| line.name != *name);
    let planned: Vec<String> = rollouts::planned(desk).into_iter().filter(is_new).collect();
    let oob = is_push.then_some("outerMorph");
    Ok(html! {
        section #rollouts hx-swap-oob=[oob] {
            h2 { "Rollouts" }
            @if rollouts.is_empty() && planned.is_empty() {
                (frame::empty("No rollout is in the config: name a route, a baseline and a candidate under `rollouts`.", "crossfade init --print"))
            } @else { (lines(&rollouts, &planned)) }
        }
        section #journey hx-swap-oob=[oob] {
            h2 { "The journey" }
            ol.phases { @for phase in &phases { (shown(phase)) } }
        }
    })
}

fn lines(rollouts: &[rollouts::RolloutLine], planned: &[String]) -> Markup {
    table(
        "Every rollout",
        &["Name", "Route", "Status", "Since", "Share", "Baseline → candidate", "Why"],
        &html! {
            @for line in rollouts {
                tr {
                    td { (frame::rollout_link(&line.name)) }
                    td { bdi { (line.route) } }
                    td { (badge(status_kind(line.status), &line.label)) }
                    td { (moment_of(line.since_us)) }
                    td.number { (percent(line.share)) @if line.is_asked_anyway() { ", but the route asks it itself" } }
                    td { bdi { (line.baseline) } " → " bdi { (line.candidate) } }
                    td.wide { bdi { (short(&line.because)) } }
                }
            }
            @for name in planned {
                tr { td { (frame::rollout_link(name)) } td { "–" } td { (badge("calm", "not started")) } td { "–" } td.number { "–" } td { "–" } td { "–" } }
            }
        },
    )
}

/// The page with what a phase is judged by.
fn where_it_is(phase: u8) -> &'static str {
    match phase {
        0 => "/inventory",
        1 => "/exchanges",
        2 => "/evaluations",
        3 => "/benches",
        4 => "/pairs",
        5 => "#rollouts",
        6 => "/vectors",
        7 => "/keys",
        _ => "/reports",
    }
}

fn shown(phase: &Phase) -> Markup {
    let kind = match phase.standing {
        Standing::Done => "good",
        Standing::Undecided => "warn",
        Standing::Missing => "calm",
    };
    html! {
        li.card {
            h3 { span.step { (phase.number) } " " a href=(where_it_is(phase.number)) { (phase.name) } " " (badge(kind, phase.standing.as_str())) }
            p.hint { (phase.question) }
            ul { @for fact in &phase.facts { li { bdi { (coded(fact)) } } } }
            @if !phase.next.is_empty() { p.next { "Next: " code { (phase.next) } } }
        }
    }
}
