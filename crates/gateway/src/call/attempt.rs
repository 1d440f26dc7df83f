//! One attempt, from the permission to make it to what everybody learns of its end.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use providers::{Call, Place, Provider, Reply, ReplyBody, Timeouts};
use wire::capability::Unsupported;
use wire::capability::mend::Plan;
use wire::failure::{Failure, FailureKind};
use wire::openai::Refusal;
use wire::record::{Arm, AttemptRecord, AttemptRole, Endpoint};
use wire::usage::Usage;

use super::enter::{Grant, enter};
use super::open::{guarded, is_event_stream, open_pieces, open_stream, read_whole};
use super::steps::Step;
use super::tries::Tries;
use super::watch::{self, Watch};
use super::{Content, Dead, Effort, Opened};
use crate::adapt::{self, AddedFields};
use crate::asked::Outbound;
use crate::authenticate;
use crate::counters::add;
use crate::detour::Seat;
use crate::observe;
use crate::parse::Parsed;
use crate::record::{Exchange, begun, bytes_sent, micros};
use crate::refuse::{self, SHOULD_RETRY};
use crate::relay::bytes::is_passed_through;
use crate::shadow;
use crate::snapshot::{Cascade, Target};
use crate::targets::Destination;
use crate::translate::{self, Translation};

/// One call under way, or on its way through the queue.
pub(crate) struct Attempt {
    pub(crate) record: AttemptRecord,
    pub(crate) started: Instant,
    /// How long each part may take, from `started`.
    pub(super) timeouts: Timeouts,
    destination: Rc<Destination>,
    grant: Option<Grant>,
    /// Tells the guards when the answer is late.
    pub(crate) watch: Option<Watch>,
    /// A drill's script answered, and nobody was called.
    drilled: bool,
}

impl Attempt {
    /// The replica that was called, if one was.
    pub(super) fn called(&self) -> Option<usize> {
        self.grant.as_ref().filter(|_| !self.drilled).map(|grant| grant.picked.idx)
    }

    /// Gives the place among the calls under way to whoever comes after.
    pub(super) fn hand_over(&mut self) -> Option<Place> {
        self.grant.as_mut().and_then(|grant| grant.place.take())
    }
}

/// Tries one target once. `None` when it is not to be tried at all: the rollout took its share back since the assignment.
pub(super) async fn attempt(
    exchange: &mut Exchange,
    step: &Step,
    rest: &[Step],
    tries: &mut Tries,
) -> Result<Option<Opened>, Dead> {
    authenticate::still_good(&exchange.principal, &exchange.worker.deps.keys)?;
    if step.is_trial() && !still_covered(exchange) {
        return Ok(None);
    }
    if step.detour && !exchange.detour.as_ref().is_some_and(Seat::is_away) {
        return Ok(None);
    }
    let destination = &step.destination;
    begin_attempt(exchange, step, tries.role);
    let Some(grant) = enter(exchange, step, rest, tries).await? else {
        exchange.attempt = None;
        return Ok(None);
    };
    let n_adaptations = exchange.adaptations.len();
    let request = exchange.instead.clone().unwrap_or_else(|| Arc::clone(&exchange.request));
    let translation = match translated(exchange, &request, &destination.target) {
        Ok(translation) => translation,
        Err(refusal) => return Err(unsupported(exchange, destination, &refusal)),
    };
    let asked = translation.as_ref().map_or(&*request, |translation| &translation.request);
    let adapted = match adapt::adapt(asked, &destination.target, (&exchange.route.name, wants_logprobs(exchange))) {
        Ok(adapted) => adapted,
        Err(Unsupported(capability)) => {
            exchange.adaptations.push(adapt::refused(capability, &destination.target));
            let refusal = Refusal::not_capable(capability);
            return Err(refused_here(FailureKind::Unsupported, exchange.request.endpoint, &refusal));
        }
    };
    let (endpoint, version) =
        (asked.endpoint, translate::anthropic_version(&exchange.request, asked, &destination.target));
    exchange.adaptations.extend(adapted.changes);
    // Another try at the same target changes nothing more.
    exchange.adaptations.truncate(if tries.is_first() { usize::MAX } else { n_adaptations });
    let provider = Arc::clone(&destination.replicas[grant.picked.idx].provider);
    let timeouts = dispatch(exchange, &provider, grant);
    let call = Call {
        endpoint,
        body: adapted.body,
        streamed: exchange.request.streamed(),
        request_id: HeaderValue::try_from(exchange.id.to_string()).ok(),
        hops: exchange.request.hops() + 1,
        pause: Duration::ZERO,
        timeouts,
        special: exchange.request.beside.special(&Outbound {
            provider: provider.config(),
            endpoint,
            model: &destination.target.model_for(&exchange.route.name, exchange.request.model()),
            version,
        }),
        sent: shadow::on_sent(exchange, step.arm),
    };
    let Reply { status, headers, body, simulated } = match drilled(exchange, step, &call).await {
        Some(answer) => answer?,
        None => send(exchange, &provider, call).await?,
    };
    note(exchange, |record| {
        record.status = Some(status.as_u16());
        record.simulated = simulated;
    });
    let made = (translation.as_ref(), &adapted.added, adapted.plan);
    let content = content(exchange, destination, (status, &headers, body), made).await?;
    let opened = Opened {
        destination: Rc::clone(destination),
        status,
        headers,
        content,
        emergency: step.emergency,
        kept: false,
    };
    Ok(Some(opened))
}

/// The answer, as far as it is read before anything of it goes on. A script's answer goes nowhere.
async fn content(
    exchange: &mut Exchange,
    destination: &Destination,
    (status, headers, body): (StatusCode, &HeaderMap, ReplyBody),
    made: (Option<&Translation>, &AddedFields, Option<Plan>),
) -> Result<Content, Dead> {
    let content = if status.is_success() && exchange.request.streamed() && is_event_stream(headers) {
        Content::Stream(Box::new(open_stream(exchange, destination, body, made).await?))
    } else if status.is_success() && is_passed_through(&exchange.request, headers) {
        Content::Pieces(Box::new(open_pieces(exchange, destination, (status, body)).await?))
    } else {
        Content::Whole(read_whole(exchange, destination, (status, headers), body, made).await?)
    };
    if exchange.attempt.as_ref().is_some_and(|attempt| attempt.drilled) {
        return Err(Failure::new(FailureKind::Drill, "a script's answer is for nobody").into());
    }
    Ok(content)
}

/// Whether the answer's log-probabilities are asked for, whatever the caller asked.
fn wants_logprobs(exchange: &Exchange) -> bool {
    let asks = |cascade: &Cascade| cascade.ask_logprobs && cascade.escalate.by_confidence();
    exchange.judging && exchange.route.cascade.as_deref().is_some_and(asks)
}

/// The answer of a drill's script in the candidate's place, when one is on and this call meets it. It counts as sent, and nothing was.
async fn drilled(exchange: &mut Exchange, step: &Step, call: &Call) -> Option<Result<Reply, Failure>> {
    let assignment = exchange.assignment.as_ref().filter(|_| step.is_trial())?;
    let fault = assignment.live.script()?.fault(&exchange.request, false)?;
    exchange.met_a_drill = true;
    if let Some(attempt) = &mut exchange.attempt {
        (attempt.drilled, attempt.record.simulated) = (true, true);
    }
    let (asked, timeouts) = ((call.endpoint, call.streamed), call.timeouts);
    let left = exchange.left(Instant::now());
    let played = async {
        let late = || Err(Failure::new(FailureKind::Drill, "a drill's late answer is for nobody"));
        fault.play(asked, &timeouts, left).await.unwrap_or_else(late)
    };
    Some(guarded(exchange, played).await)
}

/// Makes the call, and notes how much of it was sent.
async fn send(exchange: &mut Exchange, provider: &Provider, call: Call) -> Result<Reply, Failure> {
    let (worker, residency, n_bytes) = (Rc::clone(&exchange.worker), exchange.residency, call.body.len() as u64);
    let reply = guarded(exchange, worker.client.call(residency, provider, call)).await;
    note(exchange, |record| record.request_bytes = bytes_sent(reply.as_ref().err(), n_bytes));
    reply
}

/// The request in a dialect of the target, when it does not speak the caller's. What is lost is counted.
fn translated(exchange: &mut Exchange, request: &Parsed, target: &Target) -> Result<Option<Translation>, Refusal> {
    let around = (&*exchange.prepared.snapshot, &*exchange.route, &exchange.worker.bodies);
    let mut translation = translate::translate(request, target, around)?;
    if let Some(translation) = &mut translation {
        exchange.adaptations.append(&mut translation.changes);
    }
    Ok(translation)
}

/// No call is made: something in the request cannot be said in the target's dialect.
fn unsupported(exchange: &mut Exchange, destination: &Destination, refusal: &Refusal) -> Dead {
    exchange.adaptations.push(translate::refused(refusal, &destination.target));
    refused_here(FailureKind::Unsupported, exchange.request.endpoint, refusal)
}

/// No call is made: the target's server is declared not to do what is asked for, or does not speak of it, or it is not allowed to.
/// The caller reads which field it is about.
pub(crate) fn refused_here(kind: FailureKind, endpoint: Endpoint, refusal: &Refusal) -> Dead {
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (SHOULD_RETRY, HeaderValue::from_static("false")),
    ]);
    let (status, body) = refuse::said_in(refuse::Manner::of(endpoint), refusal, None);
    let code = refusal.body.code.as_deref().unwrap_or("unsupported");
    let failure = Failure::new(kind, code);
    Dead { failure, answer: Some((status, headers, body)), effort: Effort::Some }
}

fn still_covered(exchange: &Exchange) -> bool {
    exchange.assignment.as_ref().is_some_and(|assignment| {
        let view = assignment.live.view();
        let is_covered = || rollout::assign::arm(assignment.unit, view.share, view.holdback) == rollout::Arm::Candidate;
        if assignment.forced { view.watching } else { is_covered() }
    })
}

fn begin_attempt(exchange: &mut Exchange, step: &Step, role: AttemptRole) {
    let started = Instant::now();
    let target = &step.destination.target;
    match role {
        AttemptRole::Failover => add(&exchange.worker.counters.failovers, 1),
        AttemptRole::CallerRetry => add(&exchange.worker.counters.caller_retries, 1),
        _ => {}
    }
    let started_us = exchange.arrival.unix_us_at(started);
    let model = target.model_for(&exchange.route.name, exchange.request.model());
    let record = begun(target, &model, exchange.attempts.len(), (step.arm, role), started_us);
    let timeouts = target.provider.timeouts;
    exchange.attempt = Some(Attempt {
        record,
        started,
        timeouts,
        destination: Rc::clone(&step.destination),
        grant: None,
        watch: None,
        drilled: false,
    });
}

/// The call leaves now. Returns how long each part of it may take from here.
fn dispatch(exchange: &mut Exchange, provider: &Provider, grant: Grant) -> Timeouts {
    add(&exchange.worker.counters.attempts, 1);
    exchange.n_calls += 1;
    let mut timeouts = provider.config().timeouts;
    if let Some(left) = exchange.left(Instant::now()) {
        // The caller waits for the first content of a stream, and for all of any other answer.
        if exchange.request.streamed() {
            timeouts.first_token = left.min(timeouts.first_token);
        } else {
            timeouts.answer = Some(left.min(timeouts.whole_answer()));
        }
    }
    if let Some(attempt) = &mut exchange.attempt {
        if grant.picked.idx > 0 {
            attempt.record.provider.clone_from(&provider.config().name);
        }
        let Timeouts { first_token, total, answer, .. } = timeouts;
        attempt.timeouts = Timeouts {
            first_token: first_token + grant.waited,
            total: total + grant.waited,
            answer: answer.map(|answer| answer + grant.waited),
            ..timeouts
        };
        attempt.grant = Some(grant);
    }
    let of = exchange.attempt.as_ref().map(|attempt| (attempt.record.arm, attempt.record.role, attempt.started));
    let watch = of.and_then(|(arm, role, started)| watch::watch(exchange, (arm, role), started));
    if let Some(attempt) = &mut exchange.attempt {
        attempt.watch = watch;
    }
    timeouts
}

/// Whether a failure says that no call was made at all.
pub(super) fn was_not_called(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::BreakerOpen | FailureKind::Recovering | FailureKind::RetryBudget => true,
        FailureKind::RateLimited | FailureKind::QuotaExhausted | FailureKind::Capacity => failure.status.is_none(),
        _ => false,
    }
}

/// A limit of time that was the caller's is not held against the target, unless it waited for as long as a caller may have to.
pub(super) fn blame(exchange: &Exchange, failure: Failure) -> Failure {
    if failure.kind.is_timeout() && exchange.is_overdue() && !waited_too_long(exchange) {
        return Failure::new(FailureKind::CallerDeadline, failure.detail);
    }
    failure
}

/// Writes something down about the attempt under way.
pub(crate) fn note(exchange: &mut Exchange, what: impl FnOnce(&mut AttemptRecord)) {
    if let Some(attempt) = &mut exchange.attempt {
        what(&mut attempt.record);
        if let Some(watch) = attempt.watch.as_ref().filter(|_| attempt.record.time_to_first_token_us.is_some()) {
            watch.answers();
        }
    }
}

/// What it says of the attempt under way that its caller left: nothing, or that the target kept it waiting for too long.
pub(crate) fn left(exchange: &Exchange) -> Failure {
    if waited_too_long(exchange) {
        Failure::new(FailureKind::TimeoutFirstToken, "the caller gave up before any content")
    } else {
        Failure::new(FailureKind::ClientGone, "the caller left")
    }
}

fn waited_too_long(exchange: &Exchange) -> bool {
    exchange.attempt.as_ref().is_some_and(|attempt| {
        let has_content = attempt.record.time_to_first_token_us.is_some() || exchange.whole_answer.is_some();
        let patience = observe::patience(&attempt.destination.provider.config().timeouts);
        !has_content && attempt.started.elapsed() >= patience
    })
}

/// Closes the attempt under way: its breaker and the guards hear of it before this returns.
pub(crate) fn end_attempt(exchange: &mut Exchange, failure: Option<&Failure>) {
    let Some(attempt) = exchange.attempt.take() else { return };
    let Attempt { mut record, started, destination, grant, watch, drilled, .. } = attempt;
    let now = Instant::now();
    record.duration_us = micros(now.saturating_duration_since(started));
    record.failure = failure.map(|failure| failure.kind);
    record.truncated = failure.is_some() && record.answer_bytes > 0;
    if drilled {
        record.usage = Some(Usage::default());
    } else {
        record.cost = exchange.prepared.snapshot.prices.charge(exchange.request.endpoint, &record);
    }
    exchange.worker.counters.count_cost(&record);
    exchange.worker.counters.forms.count(&record);
    if let Some(failure) = failure {
        exchange.worker.counters.attempt_failures.add(failure.kind);
        tracing::debug!(exchange = %exchange.id, target_name = %record.target, failure = %failure.kind, "attempt failed");
    }
    // What no provider did is no provider's health.
    let opened = grant.filter(|_| !drilled).is_some_and(|Grant { picked, .. }| {
        let health = &destination.replicas[picked.idx].health;
        health.record(picked.permit, failure, now, exchange.worker.random_fraction())
    });
    // The target's breaker, when it has several: open when the last of theirs opens.
    if opened
        && record.arm == Some(Arm::Candidate)
        && destination.is_down()
        && let Some(assignment) = &exchange.assignment
    {
        assignment.live.breaker_opened();
    }
    let late = watch.as_ref().map(Watch::late).unwrap_or_default();
    drop(watch);
    observe::attempt(exchange, &record, late);
    let declined = exchange.declined.filter(|_| record.failure.is_none());
    exchange.declined_by.extend(declined.map(|declined| (record.idx, declined)));
    exchange.attempts.push(record);
}
