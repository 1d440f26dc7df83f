//! A rollout: where it stands, what the numbers say, what is missing, and what one can do. What is pushed to browsers while it changes is made
//! of the same functions as the page.

mod deeds;
mod evidence;
mod standing;

use maud::{Markup, html};
use operations::rollouts::{self, RolloutView};
use operations::{Desk, OperationError};

use super::fields::escape;
use super::frame::{self, badge, table};
use super::words::{moment, percent};
use super::{PageAnswer, Visit};

pub(super) use deeds::{approve, change};
pub(super) use standing::status_kind;

/// The page.
pub(super) fn page(visit: &Visit<'_>) -> PageAnswer {
    let name = visit.name();
    // Before the rest is read: the page is of this generation or a later one.
    let seen = operations::pulse::mark(visit.desk, name).map(|mark| mark.generation).unwrap_or_default();
    let view = match rollouts::status_live(visit.desk, name) {
        Ok(view) => view,
        Err(OperationError::NotFound(_)) if rollouts::is_planned(visit.desk, name) => return planned(visit, name),
        Err(error) => return Err(error),
    };
    let main = html! {
        (head(visit, &view))
        // What is pushed takes the place of the sections; this only listens.
        div #live hx-sse:connect=(format!("/rollouts/{}/events?seen={seen}", escape(name))) {}
        (standing_part(&view, false))
        (deeds::deeds(visit, &view)?)
        (evidence_parts(&view, false))
        (curves(visit, &view))
        (trail_part(&view, false))
        p.more { a href=(format!("/rollouts/{}/trail", escape(name))) { "The whole audit trail" } " · "
            a href=(format!("/exchanges?rollout={}", escape(name))) { "Its exchanges" } " · "
            a href=(format!("/pairs?rollout={}", escape(name))) { "Its pairs" } " · "
            a href=(format!("/review?rollout={}", escape(name))) { "Review some of them" } }
    };
    frame::page(visit, &view.name, &main)
}

/// What stands above everything: which rollout, and the way out.
fn head(visit: &Visit<'_>, view: &RolloutView) -> Markup {
    html! {
        div.head {
            div {
                h1 { bdi { (view.name) } @if view.simulated { " " (badge("warn", "simulated")) } }
                p.sub { bdi { (view.explanation.baseline) } " → " bdi { (view.explanation.candidate) } " on the route " bdi { (view.route) } }
            }
            (deeds::abort(visit, view))
        }
    }
}

/// How a part that is pushed finds its place.
fn place(is_push: bool) -> Option<&'static str> {
    is_push.then_some("outerMorph")
}

fn standing_part(view: &RolloutView, is_push: bool) -> Markup {
    html! { section #standing hx-swap-oob=[place(is_push)] aria-live="polite" { (standing::standing(view)) } }
}

fn evidence_parts(view: &RolloutView, is_push: bool) -> Markup {
    html! {
        section #gates hx-swap-oob=[place(is_push)] { (evidence::gates(view)) }
        section #guards hx-swap-oob=[place(is_push)] { (evidence::guards(view)) }
        section #arms hx-swap-oob=[place(is_push)] { (evidence::arms(view)) }
    }
}

fn trail_part(view: &RolloutView, is_push: bool) -> Markup {
    html! {
        section #trail hx-swap-oob=[place(is_push)] {
            h2 { "Last transitions" }
            (transitions("The last transitions", &view.transitions))
        }
    }
}

/// What everybody who looks at it is sent when it changed.
pub(super) fn pushed(desk: &Desk, name: &str) -> Result<Markup, OperationError> {
    let view = rollouts::status_live(desk, name)?;
    Ok(html! { (standing_part(&view, true)) (evidence_parts(&view, true)) (trail_part(&view, true)) })
}

/// What its page follows.
pub(super) fn topic(visit: &Visit<'_>) -> Result<String, OperationError> {
    operations::pulse::mark(visit.desk, visit.name())?;
    Ok(visit.name().to_owned())
}

/// Errors and times of both arms since the epoch began, drawn by a script and written out for who has none.
fn curves(visit: &Visit<'_>, view: &RolloutView) -> Markup {
    let curve = visit.watch.curve(&view.name);
    let points = curve.points();
    let json = serde_json::to_string(points).unwrap_or_default();
    let rate = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), percent);
    let time = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0} ms"));
    let step = (points.len() / 12).max(1);
    html! {
        section #curves data-points=(json) data-epoch=(view.explanation.epoch) {
            h2 { "Over time, by all that this epoch counted until then" }
            @if points.is_empty() { p.none { "Nothing was counted yet while this gateway runs." } }
            @if !points.is_empty() || view.explanation.status.is_serving() { div.cards {
                figure.card { figcaption { "Requests that failed, %" } div.plot data-plot="error_rate" aria-hidden="true" {} }
                figure.card { figcaption { "95th percentile to the end, ms" } div.plot data-plot="p95_ms" aria-hidden="true" {} }
            } }
            @if !points.is_empty() {
                details { summary { "The same as a table" }
                    (table("Both arms over time", &["When", "Failed, baseline", "Failed, candidate", "p95, baseline", "p95, candidate"], &html! {
                        @for point in points.iter().rev().step_by(step) {
                            tr { td { (moment(point.at_ms * 1000)) } td.number { (rate(point.baseline.error_rate)) } td.number { (rate(point.candidate.error_rate)) }
                                td.number { (time(point.baseline.p95_ms)) } td.number { (time(point.candidate.p95_ms)) } }
                        }
                    }))
                }
            }
        }
    }
}

/// A rollout of the config that nobody has started.
fn planned(visit: &Visit<'_>, name: &str) -> PageAnswer {
    let main = html! {
        h1 { bdi { (name) } }
        (frame::empty("It is in the config and has not been started: both sides will be asked, and users see the baseline.", &format!("crossfade rollout start {name}")))
        (deeds::start(visit, name))
    };
    frame::page(visit, name, &main)
}

/// Every transition, newest first, with the hash of what it rests on.
pub(super) fn trail(visit: &Visit<'_>) -> PageAnswer {
    let name = visit.name();
    let mut rows = rollouts::history(&visit.desk.reader(), name)?;
    rows.reverse();
    let main = html! {
        h1 { "Audit trail of " (frame::rollout_link(name)) }
        p.sub { "Every change of its state and every drill, with who, why, and the hash of the evidence it rests on." }
        (transitions("Transitions", &rows))
    };
    frame::page(visit, &format!("Trail of {name}"), &main)
}

fn transitions(caption: &str, rows: &[rollouts::TransitionRow]) -> Markup {
    if rows.is_empty() {
        return frame::empty("Nothing has happened to it yet.", "");
    }
    let lines = html! {
        @for row in rows {
            tr {
                td { (moment(row.at_us)) }
                td { (row.from) " → " (row.to) }
                td.number { (percent(row.to_share)) }
                td { bdi { (row.actor) } }
                td.wide { bdi { (row.reason) } }
                td { code title=(rollouts::evidence_hash(row)) { (rollouts::evidence_hash(row).get(..12).unwrap_or_default()) } }
            }
        }
    };
    table(caption, &["When", "From → to", "Share", "Who", "Why", "Evidence"], &lines)
}
