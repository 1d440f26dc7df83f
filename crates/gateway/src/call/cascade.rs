//! Small models first: each step of a route's cascade is asked and its answer judged while nobody has seen any of it. What is not
//! good enough, fails or takes too long gives way to the next step, at last to the route's own target. When nothing better comes, the
//! last answer that was set aside is the answer after all.

use std::sync::Arc;

use bytes::Bytes;
use routing::cascade::{Why, judge};
use schema::judge::Judgement;
use wire::failure::{Failure, FailureKind};
use wire::record::{DecidedBy, Decision};

use super::attempt::{end_attempt, was_not_called};
use super::steps::Step;
use super::{Content, Dead, Opened, may_go_elsewhere, rescue, target, through};
use crate::detour::Seat;
use crate::record::{Exchange, Served};
use crate::snapshot::{Cascade, CascadeStreams};

/// Whether the cascade of the route is for this request. A rollout decides by itself who answers; what only a provider knows, no other
/// target goes on with.
pub(super) fn applies(exchange: &Exchange) -> bool {
    let Some(cascade) = &exchange.route.cascade else { return false };
    let request = &exchange.request;
    request.endpoint.is_generation()
        && (!request.streamed() || cascade.streams == CascadeStreams::Hold)
        && !request.goes_on_elsewhere()
        && exchange.assignment.is_none()
        && !exchange.detour.as_ref().is_some_and(Seat::is_away)
        && exchange.worker.deps.live.for_route(&exchange.route.name).is_none()
}

/// An answer that was not good enough.
struct Aside {
    opened: Opened,
    served: Option<Served>,
    answer: Option<Bytes>,
    form: Judgement,
}

/// What came of a step.
enum Outcome {
    Good(Opened),
    /// Not good enough; `None` when it was too long to be judged, and is gone.
    Worse(Option<Opened>, &'static str, String),
    Failed(Dead),
    /// Not tried at all.
    Nothing,
}

/// Asks the first `n` of these steps as a cascade, then the others as usual.
pub(super) async fn cascade(exchange: &mut Exchange, steps: &[Step], n: usize) -> Result<Opened, Dead> {
    let route = Arc::clone(&exchange.route);
    let Some(cascade) = &route.cascade else { return through(exchange, steps).await };
    let mut aside: Option<Aside> = None;
    for (idx, step) in steps[..n].iter().enumerate() {
        if exchange.is_overdue() && aside.is_some() {
            break;
        }
        exchange.judging = true;
        let outcome = one(exchange, cascade, (step, &steps[idx + 1..])).await;
        exchange.judging = false;
        let next = steps.get(idx + 1).map_or("", |step| step.destination.target.name.as_str());
        let told = &step.destination.target.name;
        let (result, because) = match outcome {
            Outcome::Good(opened) => {
                decide(exchange, told, "accepted", format!("{told}: its answer is good enough"));
                if let Some(aside) = aside {
                    rescue::leave(exchange, aside.opened);
                }
                return Ok(opened);
            }
            Outcome::Worse(opened, result, because) => {
                let kept = opened.map(|opened| Aside {
                    opened,
                    served: exchange.served.take(),
                    answer: exchange.whole_answer.take(),
                    form: std::mem::take(&mut exchange.form),
                });
                end_attempt(exchange, None);
                exchange.forget_answer();
                exchange.escalating = true;
                if let Some(before) = kept.and_then(|kept| aside.replace(kept)) {
                    rescue::leave(exchange, before.opened);
                }
                (result, because)
            }
            Outcome::Failed(dead) => {
                let elsewhere = may_go_elsewhere(&dead.failure, step);
                let because = format!("it failed: {}", dead.failure.kind);
                if !elsewhere {
                    decide(exchange, told, "failed", format!("{told}: {because}"));
                    return Err(dead);
                }
                let result = if dead.failure.kind == FailureKind::TooSlow { "too_slow" } else { "failed" };
                (result, because)
            }
            Outcome::Nothing => continue,
        };
        exchange.worker.counters.choices.count_cascade(&route.name, told, result);
        record(exchange, next, format!("{told}: {because}"));
    }
    let ended = through(exchange, &steps[n..]).await;
    match (ended, aside) {
        (Ok(opened), aside) => {
            if let Some(aside) = aside {
                rescue::leave(exchange, aside.opened);
            }
            Ok(opened)
        }
        (Err(dead), Some(aside))
            if !matches!(dead.failure.kind, FailureKind::RecordUnavailable | FailureKind::ShuttingDown) =>
        {
            let told = aside.opened.destination.target.name.clone();
            let because = format!("{told}: nothing better came ({})", dead.failure.kind);
            decide(exchange, &told, "kept", because);
            exchange.forget_answer();
            (exchange.served, exchange.whole_answer, exchange.form) = (aside.served, aside.answer, aside.form);
            Ok(Opened { kept: true, ..aside.opened })
        }
        (Err(dead), _) => Err(dead),
    }
}

/// Counts and writes down that `target` answers, or nobody does.
fn decide(exchange: &mut Exchange, target: &str, result: &'static str, because: String) {
    exchange.worker.counters.choices.count_cascade(&exchange.route.name, target, result);
    record(exchange, target, because);
}

fn record(exchange: &mut Exchange, target: &str, because: String) {
    exchange.decisions.push(Decision { by: DecidedBy::Cascade, choice: format!("target {target}"), because });
}

/// Asks one step and judges its answer.
async fn one(exchange: &mut Exchange, cascade: &Cascade, (step, rest): (&Step, &[Step])) -> Outcome {
    let tried = match cascade.within {
        None => Ok(target(exchange, step, rest).await),
        Some(within) => tokio::time::timeout(within, target(exchange, step, rest)).await,
    };
    let opened = match tried {
        Ok(Ok(Some(opened))) => opened,
        Ok(Ok(None)) => return Outcome::Nothing,
        Ok(Err(dead)) => return Outcome::Failed(dead),
        Err(_) => return Outcome::Failed(too_slow(exchange).into()),
    };
    if let Content::Stream(open) = &opened.content
        && !open.whole
    {
        // Its connection goes with it: what is left of a long answer is not waited for.
        return Outcome::Worse(None, "too_long", "its answer is too long to be judged".to_owned());
    }
    let Some(told) = exchange.told.take() else { return Outcome::Good(opened) };
    match judge(&cascade.escalate, &told) {
        Ok(()) => Outcome::Good(opened),
        Err(why) => Outcome::Worse(Some(opened), Why::as_str(why), why.to_string()),
    }
}

/// Ends the attempt that took longer than the cascade waits. It is no failure of the target to its breaker: the limit is the route's.
fn too_slow(exchange: &mut Exchange) -> Failure {
    let called = exchange.attempt.as_ref().is_some_and(|attempt| attempt.called().is_some());
    let kind = if called { FailureKind::TooSlow } else { FailureKind::Capacity };
    let failure = Failure::new(kind, "longer than the route's cascade waits");
    debug_assert!(called || was_not_called(&failure));
    end_attempt(exchange, Some(&failure));
    exchange.forget_answer();
    failure
}
