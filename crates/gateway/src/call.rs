//! The call itself: which target, whether it may be tried, how long it may take, and who takes over when it fails. Another
//! target is tried only while nothing of an answer has been seen by anybody.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use providers::breaker::Signal;
use providers::{Call, Permit, Reply, ReplyBody};
use wire::failure::{Failure, FailureKind};
use wire::openai::chunk::ChunkFacts;
use wire::record::{Arm, AttemptRecord, AttemptRole};
use wire::sse::Event;

use crate::adapt;
use crate::answer;
use crate::counters::add;
use crate::drain::Phase;
use crate::live::CandidateAttempt;
use crate::memory::Held;
use crate::observe;
use crate::record::{Exchange, Served, micros};
use crate::shadow;
use crate::upstream::Upstream;
use crate::worker::Destination;

/// The longest answer that is held back as a whole, so that it can be recorded and failed over.
const MAX_WHOLE_ANSWER: usize = 64 << 20;

/// An answer up to this size is not counted: a connection may buffer as much anyway.
const SMALL_ANSWER: usize = 64 << 10;

/// One call under way.
pub(crate) struct Attempt {
    pub(crate) record: AttemptRecord,
    pub(crate) started: Instant,
    permit: Option<Permit>,
    _candidate: Option<CandidateAttempt>,
}

/// An answer whose beginning is there.
pub(crate) struct Opened {
    pub(crate) destination: Rc<Destination>,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// The answer of a candidate that serves because everything else failed.
    pub(crate) emergency: bool,
}

/// The rest of an answer.
pub(crate) enum Content {
    /// All of it.
    Whole(Bytes),
    /// A stream whose first events are held back.
    Stream(Box<Open>),
}

/// A stream up to its first content.
pub(crate) struct Open {
    pub(crate) upstream: Upstream,
    /// What the caller gets first, and what is known of it.
    pub(crate) held: Vec<(Event, ChunkFacts)>,
    /// What came together with it and was not looked at.
    pub(crate) rest: Vec<Event>,
    pub(crate) usage_added: bool,
}

/// Why there is no answer.
pub(crate) struct Dead {
    pub(crate) failure: Failure,
    /// The provider's own words, when they are meant for the caller.
    pub(crate) answer: Option<(StatusCode, HeaderMap, Bytes)>,
    /// More than one target was tried.
    pub(crate) exhausted: bool,
}

impl From<Failure> for Dead {
    fn from(failure: Failure) -> Self {
        Self { failure, answer: None, exhausted: false }
    }
}

/// A target that may be tried, and why.
struct Step {
    destination: Rc<Destination>,
    arm: Option<Arm>,
    emergency: bool,
}

/// Calls the target the request was assigned to, then whoever may take over.
pub(crate) async fn call(exchange: &mut Exchange) -> Result<Opened, Dead> {
    let mut dead: Option<Dead> = None;
    for step in steps(exchange) {
        // An emergency is no evidence, whatever came before it.
        let live = exchange.attempts.is_empty() && !step.emergency;
        let role = if live { AttemptRole::Live } else { AttemptRole::Failover };
        match attempt(exchange, &step, role).await {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => {}
            Err(next) => {
                end_attempt(exchange, Some(&next.failure));
                exchange.forget_answer();
                let elsewhere = may_go_elsewhere(&next.failure, step.arm);
                // The words of a target that was called say more than a breaker's.
                let keep = next.failure.kind == FailureKind::BreakerOpen && dead.is_some();
                dead = if keep { dead } else { Some(next) };
                if !elsewhere {
                    break;
                }
            }
        }
    }
    let no_target = || Failure::new(FailureKind::Internal, "no target of the route can be called").into();
    let mut dead = dead.unwrap_or_else(no_target);
    dead.exhausted = exchange.attempts.len() > 1;
    Err(dead)
}

/// What the gateway let through and only the candidate refuses is the candidate's failure; what the baseline refuses is the
/// caller's. What Crossfade itself cannot do, no other target can.
fn may_go_elsewhere(failure: &Failure, arm: Option<Arm>) -> bool {
    match failure.kind {
        FailureKind::RecordUnavailable | FailureKind::ShuttingDown => false,
        FailureKind::Capacity if failure.status.is_some() => false,
        FailureKind::HttpClientError => arm == Some(Arm::Candidate) || failure.may_fail_over(),
        _ => failure.may_fail_over(),
    }
}

/// The order of targets: the arm's own, the baseline, the route's fallbacks. The candidate of a rollout, under way or thrown
/// back, is nobody's fallback unless the route says so; then it comes last.
fn steps(exchange: &Exchange) -> Vec<Step> {
    let (prepared, route) = (&exchange.prepared, &exchange.route);
    let mut steps: Vec<Step> = Vec::with_capacity(2);
    let arm_of = |name: &str| exchange.assignment.as_ref().and_then(|assignment| assignment.arm_of(name));
    let mut push = |name: &str, arm: Option<Arm>, emergency: bool| {
        if let Some(destination) = prepared.destination(name)
            && !steps.iter().any(|step| Rc::ptr_eq(&step.destination, destination))
        {
            steps.push(Step { destination: Rc::clone(destination), arm, emergency });
        }
    };
    match &exchange.assignment {
        Some(assignment) => {
            if assignment.arm == Arm::Candidate {
                push(&assignment.live.identity.candidate, Some(Arm::Candidate), false);
            }
            let baseline = &assignment.live.identity.baseline;
            push(baseline, Some(Arm::Baseline), false);
            // A reload took it out of the config: the route's own target serves, and is no evidence.
            if prepared.destination(baseline).is_none() {
                push(&route.target, None, false);
            }
        }
        None => push(&route.target, None, false),
    }
    let is_barred = |name: &&String| exchange.worker.deps.live.is_barred(name);
    for name in route.fallback.iter().filter(|name| !is_barred(name)) {
        push(name, arm_of(name), false);
    }
    if route.emergency_fallback {
        let under_way = exchange.assignment.as_ref().map(|assignment| &assignment.live.identity.candidate);
        for name in route.fallback.iter().filter(is_barred).chain(under_way) {
            push(name, arm_of(name), true);
        }
    }
    steps
}

/// Tries one target. `None` when it is not to be tried at all: the rollout took its share back since the assignment.
async fn attempt(exchange: &mut Exchange, step: &Step, role: AttemptRole) -> Result<Option<Opened>, Dead> {
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
    let adapted = adapt::adapt(&exchange.request, &destination.target);
    exchange.adaptations.extend(adapted.changes);
    let call = Call {
        endpoint: exchange.request.endpoint,
        body: adapted.body,
        streamed: exchange.request.streamed(),
        request_id: HeaderValue::try_from(exchange.id.to_string()).ok(),
        timeouts: destination.provider.config().timeouts,
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
        Content::Stream(Box::new(open_stream(exchange, destination, body, adapted.usage_added).await?))
    } else {
        Content::Whole(read_whole(exchange, destination, (status, &headers), body).await?)
    };
    let opened = Opened { destination: Rc::clone(destination), status, headers, content, emergency: step.emergency };
    Ok(Some(opened))
}

fn still_covered(exchange: &Exchange) -> bool {
    exchange.assignment.as_ref().is_some_and(|assignment| {
        let view = assignment.live.view();
        rollout::assign::arm(assignment.unit, view.share, view.holdback) == rollout::Arm::Candidate
    })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// Waits for `work`, unless the process is at the end of its patience or the request turns out not to be on record. The
/// ticket is only looked at when something else happens: most are there long before the provider answers.
async fn guarded<T>(exchange: &mut Exchange, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if exchange.worker.phase.get() >= Phase::Cutting {
            return Poll::Ready(Err(Failure::new(FailureKind::ShuttingDown, "cut at the drain's deadline")));
        }
        if let Some(Err(error)) = exchange.request_ticket().as_ref().and_then(store::Ticket::peek) {
            return Poll::Ready(Err(Failure::new(FailureKind::RecordUnavailable, error.to_string())));
        }
        work.as_mut().poll(cx)
    })
    .await
}

/// Reads an answer that is not a stream, and judges it.
async fn read_whole(
    exchange: &mut Exchange,
    destination: &Destination,
    (status, headers): (StatusCode, &HeaderMap),
    body: ReplyBody,
) -> Result<Bytes, Dead> {
    let started = exchange.attempt.as_ref().map_or_else(Instant::now, |attempt| attempt.started);
    let deadline = started + destination.provider.config().timeouts.total;
    let (prepared, mut held) = (Rc::clone(&exchange.prepared), Held::nothing(&exchange.worker.bodies));
    let (mut n_bytes, mut n_held) = (0, 0);
    let count = |n_more: usize| {
        n_bytes += n_more;
        let uncounted = if n_bytes > SMALL_ANSWER { n_bytes - n_held } else { 0 };
        n_held += uncounted;
        match uncounted {
            0 => Ok(()),
            // With the provider's status, which says that a call was made.
            n => held.grow(n, &prepared.snapshot.limits).map_err(|failure| failure.with_status(status.as_u16())),
        }
    };
    let read = async {
        match tokio::time::timeout_at(deadline.into(), body.collect_counted(MAX_WHOLE_ANSWER, count)).await {
            Ok(body) => body,
            Err(_) => Err(Failure::new(FailureKind::TimeoutTotal, "the answer did not end in time")),
        }
    };
    let body = guarded(exchange, read).await?;
    let body = held.keep(body);
    note(exchange, |record| record.answer_bytes = body.len() as u64);
    let judged = match answer::whole(&exchange.request, status, headers, &body) {
        Ok(judged) => judged,
        Err(failure) => return Err(refused(failure, status, headers, body)),
    };
    let usage = judged.usage;
    note(exchange, |record| judged.write(record));
    exchange.served = Some(Served { usage, ..Served::new(destination, status.as_u16()) });
    exchange.whole_answer = Some(body.clone());
    Ok(body)
}

/// A refusal that is meant for the caller keeps the provider's own words, byte for byte.
fn refused(failure: Failure, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Dead {
    let meant_for_the_caller = !status.is_success()
        && matches!(
            failure.kind,
            FailureKind::HttpClientError | FailureKind::RateLimited | FailureKind::QuotaExhausted
        );
    let answer = meant_for_the_caller.then(|| (status, headers.clone(), body));
    Dead { failure, answer, exhausted: false }
}

/// Reads a stream up to its first content, or as much as may be held back. Until then another target can take over.
async fn open_stream(
    exchange: &mut Exchange,
    destination: &Destination,
    body: ReplyBody,
    usage_added: bool,
) -> Result<Open, Failure> {
    let started = exchange.attempt.as_ref().map_or_else(Instant::now, |attempt| attempt.started);
    let timeouts = destination.provider.config().timeouts;
    let mut upstream = Upstream::new(body, &exchange.request, &timeouts, started);
    let worker = Rc::clone(&exchange.worker);
    let limit = exchange.prepared.snapshot.limits.hold_bytes;
    let mut open = (Vec::new(), Vec::new());
    let mut n_held = 0;
    'opening: loop {
        let mut events = Vec::new();
        let more = guarded(exchange, upstream.read(&worker.phase, &mut events)).await?;
        let mut events = events.into_iter();
        for event in events.by_ref() {
            let facts = upstream.look(&event)?;
            n_held += event.raw.len();
            open.0.push((event, facts));
            if upstream.seen().content() || upstream.seen().done || n_held > limit {
                open.1 = events.collect();
                break 'opening;
            }
        }
        if !more {
            upstream.whole()?;
            break;
        }
    }
    let first = upstream.seen().time_to_first_token;
    note(exchange, |record| record.time_to_first_token_us = first.map(micros));
    exchange.served = Some(Served::new(destination, 200));
    Ok(Open { upstream, held: open.0, rest: open.1, usage_added })
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
    let record = AttemptRecord {
        idx: u16::try_from(exchange.attempts.len()).unwrap_or(u16::MAX),
        target: target.name.clone(),
        provider: target.provider.name.clone(),
        model: target.model.clone(),
        arm: step.arm,
        role,
        started_us: exchange.arrival.unix_us_at(started),
        status: None,
        failure: None,
        time_to_first_token_us: None,
        duration_us: 0,
        usage: None,
        finish_reason: None,
        format_valid: None,
        simulated: target.provider.is_simulated(),
        truncated: false,
        answer_bytes: 0,
    };
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
