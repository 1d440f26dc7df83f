//! The beginning of an answer: all of it when it is not a stream, up to the first content when it is one.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use providers::{ReplyBody, Timeouts};
use wire::capability::mend::{Findings, Plan};
use wire::failure::{Failure, FailureKind};
use wire::openai::{chunk, logprobs};
use wire::sse::Event;

use super::{Dead, Effort, Heard, Open, hear, note, told, withdrawal};
use crate::adapt::AddedFields;
use crate::answer;
use crate::drain::Phase;
use crate::memory::Held;
use crate::mend::{self, Expected};
use crate::record::{Exchange, Served, micros};
use crate::relay::bytes::Pieces;
use crate::snapshot::StreamValidation;
use crate::targets::Destination;
use crate::translate::Translation;
use crate::upstream::Upstream;

/// The longest answer that is held back as a whole, so that it can be recorded and failed over.
const MAX_WHOLE_ANSWER: usize = 64 << 20;

/// The longest stream that is held back to its end; a longer one is passed on and judged at its end.
const MAX_HELD_STREAM: usize = 4 << 20;

/// An answer up to this size is not counted: a connection may buffer as much anyway.
const SMALL_ANSWER: usize = 64 << 10;

pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// Waits for `work`, unless the process is at the end of its patience, the request turns out not to be on record, or the candidate that
/// is called was thrown back and its callers are not to wait for it. The ticket is only looked at when something else happens: most
/// are there long before the provider answers.
pub(super) async fn guarded<T>(
    exchange: &mut Exchange,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    let mut withdrawal = withdrawal::of(exchange);
    poll_fn(|cx| {
        if exchange.worker.phase.get() >= Phase::Cutting {
            return Poll::Ready(Err(Failure::new(FailureKind::ShuttingDown, "cut at the drain's deadline")));
        }
        if let Err(failure) = exchange.request_so_far() {
            return Poll::Ready(Err(failure));
        }
        if let Poll::Ready(answer) = work.as_mut().poll(cx) {
            return Poll::Ready(answer);
        }
        match &mut withdrawal {
            Some(withdrawal) => withdrawal.poll(cx).map(Err),
            None => Poll::Pending,
        }
    })
    .await
}

/// When the attempt under way began, and how long each part of it may take from there.
fn clock(exchange: &Exchange, destination: &Destination) -> (Instant, Timeouts) {
    let attempt = exchange.attempt.as_ref().map(|attempt| (attempt.started, attempt.timeouts));
    attempt.unwrap_or_else(|| (Instant::now(), destination.provider.config().timeouts))
}

/// Reads an answer that is not a stream, and judges it.
pub(super) async fn read_whole(
    exchange: &mut Exchange,
    destination: &Destination,
    (status, headers): (StatusCode, &HeaderMap),
    body: ReplyBody,
    (translation, added, plan): (Option<&Translation>, &AddedFields, Option<Plan>),
) -> Result<Bytes, Dead> {
    let (started, timeouts) = clock(exchange, destination);
    let deadline = started + timeouts.whole_answer();
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
    let asked = translation.map_or(&*exchange.request, |translation| &translation.request);
    let asked_at = asked.endpoint;
    let mut findings = Findings::default();
    let said = mend::whole(plan.as_ref(), status, &body, &mut findings);
    let judged = answer::whole(
        (asked, &exchange.worker.validator),
        status,
        headers,
        if status.is_success() { &said } else { &body },
    );
    if let Ok(judged) = &judged {
        let expected = Expected::of(asked, &destination.target);
        expected.missed(judged.usage.as_ref(), &judged.form, None, &mut findings);
    }
    exchange.adaptations.extend(findings.adaptations(&destination.target.name));
    let judged = match judged {
        Ok(judged) => judged,
        Err(failure) => return Err(refused(failure, (status, headers), said, translation)),
    };
    exchange.form = judged.form.clone();
    exchange.declined = judged.declined;
    if exchange.judging {
        told::whole(exchange, asked_at, &said, judged.finish_reason.as_deref());
    }
    let said = if added.logprobs { without_logprobs(said) } else { said };
    // What is recorded is what the provider said.
    let told = match translation {
        Some(translation) => translation.answer(&said, exchange.marks())?,
        None => said,
    };
    let usage = judged.usage;
    note(exchange, |record| judged.write(record));
    exchange.served = Some(Served { usage, ..Served::new(destination, status.as_u16()) });
    exchange.whole_answer = Some(body);
    Ok(told)
}

/// A refusal that is meant for the caller keeps the provider's own words, byte for byte where both speak the same dialect.
fn refused(
    failure: Failure,
    (status, headers): (StatusCode, &HeaderMap),
    body: Bytes,
    translation: Option<&Translation>,
) -> Dead {
    let meant_for_the_caller = !status.is_success()
        && matches!(
            failure.kind,
            FailureKind::HttpClientError | FailureKind::RateLimited | FailureKind::QuotaExhausted
        );
    let answer = meant_for_the_caller.then(|| match translation {
        None => (status, headers.clone(), body),
        Some(translation) => {
            let (said, body) = translation.error(status.as_u16(), &body);
            (StatusCode::from_u16(said).unwrap_or(status), headers.clone(), body)
        }
    });
    Dead { failure, answer, effort: Effort::Some }
}

/// Reads a stream up to its first content, or as much as may be held back; to its end when the route says so and it is to have a
/// form. Until then another target can take over.
pub(super) async fn open_stream(
    exchange: &mut Exchange,
    destination: &Destination,
    body: ReplyBody,
    (translation, added, plan): (Option<&Translation>, &AddedFields, Option<Plan>),
) -> Result<Open, Failure> {
    let (started, timeouts) = clock(exchange, destination);
    let asked = translation.map_or(&*exchange.request, |translation| &translation.request);
    let mut upstream = Upstream::new(body, (asked, &destination.target), &timeouts, started).mended_by(plan);
    let mut translator = translation.and_then(|translation| translation.stream(exchange.marks()));
    let worker = Rc::clone(&exchange.worker);
    let limits = exchange.prepared.snapshot.limits.clone();
    let validated = asked.view.has_format() && exchange.route.validation.streams == StreamValidation::Hold;
    let watched = exchange.route.policy.as_ref().is_some_and(|policy| policy.holds_streams());
    let again = translation.filter(|_| watched).and_then(|translation| translation.stream(exchange.marks()));
    let (hold, asked_at) = (validated || watched || exchange.judging, asked.endpoint);
    let limit = if hold { MAX_HELD_STREAM } else { limits.hold_bytes };
    let mut room = Held::nothing(&worker.bodies);
    let mut open = (Vec::new(), Vec::new());
    let (mut n_held, mut ended) = (0, false);
    'opening: loop {
        let mut events = Vec::new();
        let more = guarded(exchange, upstream.read(&worker.phase, &mut events)).await?;
        let mut events = events.into_iter();
        for event in events.by_ref() {
            let (facts, said) = hear(&mut upstream, &mut translator, &event)?;
            let n_heard = event.raw.len();
            n_held += n_heard;
            open.0.push(Heard { event, facts, said, shown: None });
            let is_over = n_held > limit || (hold && room.grow(n_heard, &limits).is_err());
            if (upstream.seen().content() && !hold) || upstream.seen().done || is_over {
                open.1 = events.collect();
                break 'opening;
            }
        }
        if !more {
            upstream.whole()?;
            ended = true;
            break;
        }
    }
    let whole = hold && (ended || upstream.seen().done);
    if whole {
        upstream.judge(&worker.validator);
        let (judged, n_bytes) = (answer::stream(&upstream), upstream.seen().n_bytes);
        exchange.form = judged.form.clone();
        exchange.declined = judged.declined;
        if exchange.judging {
            told::stream(exchange, asked_at, &open.0, judged.finish_reason.as_deref());
        }
        if added.logprobs {
            open.0.iter_mut().for_each(hide_logprobs);
        }
        note(exchange, |record| {
            record.answer_bytes = n_bytes;
            judged.write(record);
        });
    }
    let first = upstream.seen().time_to_first_token;
    note(exchange, |record| record.time_to_first_token_us = first.map(micros));
    exchange.served = Some(Served::new(destination, 200));
    let usage_added = added.usage;
    Ok(Open {
        upstream,
        held: open.0,
        rest: open.1,
        usage_added,
        whole,
        translator,
        again: again.map(Box::new),
        _room: room,
    })
}

/// A whole answer without the log-probabilities that its caller did not ask for.
fn without_logprobs(body: Bytes) -> Bytes {
    logprobs::without(&body).unwrap_or(body)
}

/// The same for an event of a stream that is held back.
fn hide_logprobs(heard: &mut Heard) {
    let Some(data) = logprobs::without(&heard.event.data) else { return };
    let event = Event::parse([b"data: ", &data[..], b"\n\n"].concat().into());
    let facts = chunk::inspect(&event.data);
    heard.shown = Some(Box::new((event, facts)));
}

/// Waits for the first bytes of an answer that is passed through. Until then another target can take over.
pub(super) async fn open_pieces(
    exchange: &mut Exchange,
    destination: &Destination,
    (status, body): (StatusCode, ReplyBody),
) -> Result<Pieces, Failure> {
    let started = exchange.attempt.as_ref().map_or_else(Instant::now, |attempt| attempt.started);
    let (worker, mut timeouts) = (Rc::clone(&exchange.worker), destination.provider.config().timeouts);
    if let Some(left) = exchange.left(Instant::now()) {
        timeouts.first_token = timeouts.first_token.min(left);
    }
    let pieces = guarded(exchange, Pieces::open(body, &worker.phase, (&timeouts, started))).await?;
    exchange.served = Some(Served::new(destination, status.as_u16()));
    Ok(pieces)
}
