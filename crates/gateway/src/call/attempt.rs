//! One attempt, from the permission to make it to what everybody learns of its end.

use std::rc::Rc;
use std::time::Instant;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use providers::breaker::Signal;
use providers::{Call, Permit, Reply};
use wire::capability::Unsupported;
use wire::failure::{Failure, FailureKind};
use wire::openai::Refusal;
use wire::record::{Arm, AttemptRecord, AttemptRole};

use super::open::{guarded, is_event_stream, open_pieces, open_stream, read_whole};
use super::steps::Step;
use super::{Content, Dead, Opened};
use crate::adapt;
use crate::asked::Outbound;
use crate::authenticate;
use crate::counters::add;
use crate::live::CandidateAttempt;
use crate::observe;
use crate::record::{Exchange, begun, micros};
use crate::refuse::SHOULD_RETRY;
use crate::relay::bytes::is_passed_through;
use crate::shadow;
use crate::snapshot::Target;
use crate::translate::{self, Translation};
use crate::worker::Destination;

/// One call under way.
pub(crate) struct Attempt {
    pub(crate) record: AttemptRecord,
    pub(crate) started: Instant,
    permit: Option<Permit>,
    _candidate: Option<CandidateAttempt>,
}

/// Tries one target. `None` when it is not to be tried at all: the rollout took its share back since the assignment.
pub(super) async fn attempt(exchange: &mut Exchange, step: &Step, role: AttemptRole) -> Result<Option<Opened>, Dead> {
    authenticate::still_good(&exchange.principal, &exchange.worker.deps.keys)?;
    let trial = step.arm == Some(Arm::Candidate) && !step.emergency;
    if trial && !still_covered(exchange) {
        return Ok(None);
    }
    let destination = &step.destination;
    let permit = destination.breaker.admit(Instant::now()).permit();
    let candidate = match (&exchange.assignment, &permit) {
        (Some(assignment), Ok(_)) if trial => match assignment.live.begin_candidate(assignment.unit) {
            Some(candidate) => Some(candidate),
            None => return Ok(None),
        },
        _ => None,
    };
    let (permit, refused) = match permit {
        Ok(permit) => (Some(permit), None),
        Err(failure) => (None, Some(failure)),
    };
    begin_attempt(exchange, step, role, (permit, candidate));
    if let Some(refused) = refused {
        return Err(refused.into());
    }
    let translation = match translated(exchange, &destination.target) {
        Ok(translation) => translation,
        Err(refusal) => return Err(unsupported(exchange, destination, &refusal)),
    };
    let asked = translation.as_ref().map_or(&*exchange.request, |translation| &translation.request);
    let adapted = match adapt::adapt(asked, &destination.target, &exchange.route.name) {
        Ok(adapted) => adapted,
        Err(Unsupported(capability)) => {
            exchange.adaptations.push(adapt::refused(capability, &destination.target));
            return Err(refused_here(&Refusal::not_capable(capability)));
        }
    };
    let endpoint = asked.endpoint;
    exchange.adaptations.extend(adapted.changes);
    let call = Call {
        endpoint,
        body: adapted.body,
        streamed: exchange.request.streamed(),
        request_id: HeaderValue::try_from(exchange.id.to_string()).ok(),
        timeouts: destination.provider.config().timeouts,
        special: exchange.request.beside.special(&Outbound {
            provider: destination.provider.config(),
            endpoint,
            model: &destination.target.model_for(&exchange.route.name, exchange.request.model()),
        }),
        sent: shadow::on_sent(exchange, step.arm),
    };
    let worker = Rc::clone(&exchange.worker);
    let Reply { status, headers, body, simulated } =
        guarded(exchange, worker.client.call(&destination.provider, call)).await?;
    note(exchange, |record| {
        record.status = Some(status.as_u16());
        record.simulated = simulated;
    });
    let content = if status.is_success() && exchange.request.streamed() && is_event_stream(&headers) {
        Content::Stream(Box::new(
            open_stream(exchange, destination, body, (translation.as_ref(), adapted.usage_added)).await?,
        ))
    } else if status.is_success() && is_passed_through(&exchange.request, &headers) {
        Content::Pieces(Box::new(open_pieces(exchange, destination, (status, body)).await?))
    } else {
        Content::Whole(read_whole(exchange, destination, (status, &headers), body, translation.as_ref()).await?)
    };
    let opened = Opened { destination: Rc::clone(destination), status, headers, content, emergency: step.emergency };
    Ok(Some(opened))
}

/// The request in a dialect of the target, when it does not speak the caller's. What is lost is counted.
fn translated(exchange: &mut Exchange, target: &Target) -> Result<Option<Translation>, Refusal> {
    let memory = (&exchange.prepared.snapshot.limits, &exchange.worker.bodies);
    let mut translation = translate::translate(&exchange.request, target, memory)?;
    if let Some(translation) = &mut translation {
        exchange.adaptations.append(&mut translation.changes);
    }
    Ok(translation)
}

/// No call is made: something in the request cannot be said in the target's dialect.
fn unsupported(exchange: &mut Exchange, destination: &Destination, refusal: &Refusal) -> Dead {
    exchange.adaptations.push(translate::refused(refusal, &destination.target));
    refused_here(refusal)
}

/// No call is made: the target's server is declared not to do what is asked for, or does not speak of it. The caller reads
/// which field it is about.
fn refused_here(refusal: &Refusal) -> Dead {
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (SHOULD_RETRY, HeaderValue::from_static("false")),
    ]);
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let code = refusal.body.code.as_deref().unwrap_or("unsupported");
    let failure = Failure::new(FailureKind::Unsupported, code);
    Dead { failure, answer: Some((status, headers, refusal.body.to_json())), exhausted: false }
}

fn still_covered(exchange: &Exchange) -> bool {
    exchange.assignment.as_ref().is_some_and(|assignment| {
        let view = assignment.live.view();
        rollout::assign::arm(assignment.unit, view.share, view.holdback) == rollout::Arm::Candidate
    })
}

fn begin_attempt(
    exchange: &mut Exchange,
    step: &Step,
    role: AttemptRole,
    (permit, candidate): (Option<Permit>, Option<CandidateAttempt>),
) {
    let started = Instant::now();
    let target = &step.destination.target;
    let counters = &exchange.worker.counters;
    if permit.is_some() {
        add(&counters.attempts, 1);
    }
    if role == AttemptRole::Failover {
        add(&counters.failovers, 1);
    }
    let started_us = exchange.arrival.unix_us_at(started);
    let model = target.model_for(&exchange.route.name, exchange.request.model());
    let record = begun(target, &model, exchange.attempts.len(), (step.arm, role), started_us);
    exchange.attempt = Some(Attempt { record, started, permit, _candidate: candidate });
}

/// Writes something down about the attempt under way.
pub(crate) fn note(exchange: &mut Exchange, what: impl FnOnce(&mut AttemptRecord)) {
    if let Some(attempt) = &mut exchange.attempt {
        what(&mut attempt.record);
    }
}

/// What it says of the attempt under way that its caller left: nothing, or that the target kept it waiting for too long.
pub(crate) fn left(exchange: &Exchange) -> Failure {
    let waited_too_long = exchange.attempt.as_ref().is_some_and(|attempt| {
        let has_content = attempt.record.time_to_first_token_us.is_some() || exchange.whole_answer.is_some();
        let destination = exchange.prepared.destination(&attempt.record.target);
        let patience = destination.map(|destination| observe::patience(&destination.provider.config().timeouts));
        !has_content && patience.is_some_and(|patience| attempt.started.elapsed() >= patience)
    });
    if waited_too_long {
        Failure::new(FailureKind::TimeoutFirstToken, "the caller gave up before any content")
    } else {
        Failure::new(FailureKind::ClientGone, "the caller left")
    }
}

/// Closes the attempt under way: its breaker and the guards hear of it before this returns.
pub(crate) fn end_attempt(exchange: &mut Exchange, failure: Option<&Failure>) {
    let Some(attempt) = exchange.attempt.take() else { return };
    let Attempt { mut record, started, permit, _candidate: candidate } = attempt;
    let now = Instant::now();
    record.duration_us = micros(now.saturating_duration_since(started));
    record.failure = failure.map(|failure| failure.kind);
    record.truncated = failure.is_some() && record.answer_bytes > 0;
    record.cost = exchange.prepared.snapshot.prices.charge(exchange.request.endpoint, &record);
    exchange.worker.counters.count_cost(&record);
    if let Some(failure) = failure {
        exchange.worker.counters.attempt_failures.add(failure.kind);
        tracing::debug!(exchange = %exchange.id, target_name = %record.target, failure = %failure.kind, "attempt failed");
    }
    let signal = failure.map_or(Signal::Success, Signal::of);
    let opened = permit.is_some_and(|permit| permit.record(now, signal, exchange.worker.random_fraction()));
    if opened
        && record.arm == Some(Arm::Candidate)
        && let Some(assignment) = &exchange.assignment
    {
        assignment.live.breaker_opened();
    }
    drop(candidate);
    observe::attempt(exchange, &record);
    exchange.attempts.push(record);
}
