//! The way to a target: its queue, a replica of it, the budget for retries, and the share of the rollout once more.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use providers::Place;
use wire::failure::{Failure, FailureKind};

use super::open::guarded;
use super::steps::Step;
use super::tries::Tries;
use crate::counters::add;
use crate::live::CandidateAttempt;
use crate::record::Exchange;
use crate::targets::Picked;

/// The right to make one call, and everything that is held while it lasts.
pub(crate) struct Grant {
    pub(super) picked: Picked,
    pub(super) place: Option<Place>,
    pub(super) _candidate: Option<CandidateAttempt>,
    /// Time spent in the queue.
    pub(super) waited: Duration,
}

/// What another replica has let in, with the place of the one that failed.
pub(super) struct Ready {
    pub(super) picked: Picked,
    pub(super) place: Option<Place>,
}

/// Asks everybody who may refuse. `None` when the rollout took its share back.
pub(super) async fn enter(
    exchange: &mut Exchange,
    step: &Step,
    rest: &[Step],
    tries: &mut Tries,
) -> Result<Option<Grant>, Failure> {
    let (picked, place, waited) = match tries.ready.take() {
        Some(Ready { picked, place }) => (picked, place, Duration::ZERO),
        None => {
            let (place, waited) = place(exchange, step, rest, tries).await?;
            (pick(exchange, step, rest, tries)?, place, waited)
        }
    };
    let candidate = match &exchange.assignment {
        Some(assignment) if step.is_trial() => match assignment.begin_candidate() {
            Some(candidate) => Some(candidate),
            None => return Ok(None),
        },
        _ => None,
    };
    Ok(Some(Grant { picked, place, _candidate: candidate, waited }))
}

/// A place among the calls under way, when they are bounded.
async fn place(
    exchange: &mut Exchange,
    step: &Step,
    rest: &[Step],
    tries: &Tries,
) -> Result<(Option<Place>, Duration), Failure> {
    let Some(places) = &step.destination.places else { return Ok((None, Duration::ZERO)) };
    if let Some(place) = places.try_take() {
        return Ok((Some(place), Duration::ZERO));
    }
    let began = Instant::now();
    // Nobody waits for a target that would not let it in; a permit that turns out to be there says nothing when dropped.
    if step.destination.is_shut(began) && !step.panic {
        drop(pick(exchange, step, rest, tries)?);
    }
    let patience = exchange.left(began).unwrap_or(Duration::MAX);
    let (places, queue) = (Arc::clone(places), step.destination.target.calling.queue);
    let place = guarded(exchange, async move { places.take(queue, patience).await }).await?;
    Ok((Some(place), began.elapsed()))
}

/// A replica that lets the call in, and what its provider's budget says.
fn pick(exchange: &mut Exchange, step: &Step, rest: &[Step], tries: &Tries) -> Result<Picked, Failure> {
    let now = Instant::now();
    let destination = Rc::clone(&step.destination);
    // The first time that this request wants this target, unless its caller sent it before.
    let is_new = tries.is_first() && !step.panic && !exchange.request.sent_before();
    let picked = destination.pick(tries.pick(exchange, step, rest, now), now).inspect_err(|_| {
        if is_new {
            destination.provider.budget().turned_away(now);
        }
    })?;
    let provider = &destination.replicas[picked.idx].provider;
    if is_new {
        provider.budget().first(now);
    } else if tries.is_first() && !provider.budget().another(provider.config().retry_budget, now) {
        exchange.budget_spent = true;
        add(&exchange.worker.counters.retries_denied, 1);
        return Err(Failure::new(FailureKind::RetryBudget, "as many retries as the provider's budget allows"));
    }
    Ok(picked)
}
