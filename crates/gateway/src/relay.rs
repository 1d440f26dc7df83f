//! The answer on its way to the caller: the provider's bytes, but for what Crossfade itself asked for. The first byte waits
//! until the request is on record, the last until the answer is. A cut is told as an error and never looks like an end.

pub(crate) mod bytes;

use std::rc::Rc;
use std::time::{Duration, Instant};

use ::bytes::{Bytes, BytesMut};
use http::header::{AGE, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use providers::ReplyBody;
use wire::failure::{Failure, FailureKind};
use wire::messages;
use wire::openai::chunk::{ChunkFacts, Disposition};
use wire::openai::{ErrorBody, Refusal, typed};
use wire::record::{Endpoint, ExchangeOutcome};
use wire::sse::{self, Event, EventKind};

use crate::answer;
use crate::body::{Body, Ending, Outlet};
use crate::cache::{self, CACHE, Kept, Missed};
use crate::call::{Content, Dead, Open, Opened, end_attempt, hear, note};
use crate::policy;
use crate::recall;
use crate::record::{Exchange, Served, micros, on_record};
use crate::refuse::{self, CACHED, EMERGENCY, EXCHANGE_ID, ORIGIN, REQUEST_ID, SHOULD_RETRY, SPACE, TARGET, id_value};
use crate::translate::Translator;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// How long the end of a body may take after `[DONE]` before its connection is given up.
const TAIL: Duration = Duration::from_secs(1);

/// Sends an answer that has begun.
pub(crate) async fn relay(mut exchange: Box<Exchange>, opened: Opened) -> Response<Body> {
    let Opened { destination, status, headers, content, emergency, kept: _ } = opened;
    // A whole answer waits for both records at once: when it came quickly they leave in one write.
    let on_record = match &content {
        Content::Whole(_) => exchange.request_so_far(),
        Content::Stream(_) | Content::Pieces(_) => exchange.request_on_record().await,
    };
    if let Err(failure) = on_record {
        end_attempt(&mut exchange, Some(&failure));
        return refuse(exchange, failure.into()).await;
    }
    let mut headers = refuse::pass_on(headers);
    label(&mut headers, &exchange);
    headers.insert(TARGET, destination.label.clone());
    name_space(&mut headers, &exchange);
    if let Some(Missed::Fills(filling)) = &mut exchange.cache {
        filling.is_of(headers.get(CONTENT_TYPE));
    }
    if emergency {
        headers.insert(EMERGENCY, HeaderValue::from_static("true"));
    }
    let endpoint = exchange.request.endpoint;
    let body = match content {
        Content::Whole(bytes) => match whole(&mut exchange, &bytes).await {
            Ok(()) => {
                recall::keep(&exchange, &bytes, &destination.target.name);
                Body::whole(bytes)
            }
            Err(failure) => return refuse::refusal(&Refusal::of(&failure), exchange.id),
        },
        Content::Pieces(pieces) => {
            let outlet = Outlet::default();
            Body::relayed(Box::pin(bytes::send(exchange, *pieces, outlet.clone())), outlet, endpoint)
        }
        Content::Stream(open) => {
            let outlet = Outlet::default();
            Body::relayed(Box::pin(stream(exchange, *open, outlet.clone())), outlet, endpoint)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Sends the bad news, once it is on record.
pub(crate) async fn refuse(mut exchange: Box<Exchange>, dead: Dead) -> Response<Body> {
    let Dead { failure, answer, effort } = dead;
    let status = answer.as_ref().map(|(status, ..)| status.as_u16());
    let refusal = Refusal::of(&failure);
    // What a policy stopped is on record as the provider said it.
    let is_stopped = policy::is_stopped(failure.kind);
    if !is_stopped {
        exchange.forget_answer();
    }
    let target = exchange.attempts.last().map(|attempt| attempt.target.clone()).unwrap_or_default();
    exchange.served = Some(Served {
        target: target.clone(),
        status: status.unwrap_or(refusal.status),
        time_to_first_token: None,
        usage: None,
        released: None,
    });
    if let Some((_, _, body)) = answer.as_ref().filter(|_| !is_stopped) {
        exchange.whole_answer = Some(body.clone());
    }
    let outcome = if is_stopped || failure.kind == FailureKind::Residency {
        ExchangeOutcome::Refused
    } else {
        ExchangeOutcome::Failed
    };
    let recorded = close(&mut exchange, outcome, Some(failure.kind)).await;
    if let Err(failure) = recorded {
        return refuse::refusal(&Refusal::of(&failure), exchange.id);
    }
    let mut response = match answer {
        Some((status, headers, body)) => passed_on(status, headers, body),
        None => refuse::refusal(&refusal, exchange.id),
    };
    if refuse::is_final(&failure, effort) {
        response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    label(response.headers_mut(), &exchange);
    response.headers_mut().insert(ORIGIN, HeaderValue::from_static(failure.origin.as_str()));
    if let Some(destination) = exchange.prepared.destination(&target) {
        response.headers_mut().insert(TARGET, destination.label.clone());
    }
    response
}

/// A provider's refusal in its own words.
fn passed_on(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    *response.headers_mut() = refuse::pass_on(headers);
    response
}

/// Names the exchange; the provider's name of the request stays.
fn label(headers: &mut HeaderMap, exchange: &Exchange) {
    let id = id_value(exchange.id);
    if !headers.contains_key(&REQUEST_ID) {
        headers.insert(REQUEST_ID, id.clone());
    }
    headers.insert(EXCHANGE_ID, id);
    if let Some(missed) = &exchange.cache {
        headers.insert(CACHED, HeaderValue::from_static(missed.as_str()));
    }
}

/// Sends an answer that was given before, once that is on record.
pub(crate) async fn cached(mut exchange: Box<Exchange>, kept: &Kept) -> Response<Body> {
    let took = exchange.arrival.at.elapsed();
    exchange.is_cached = true;
    exchange.whole_answer = Some(kept.body.clone());
    exchange.served = Some(Served {
        target: CACHE.to_owned(),
        status: 200,
        time_to_first_token: exchange.request.endpoint.is_generation().then_some(took),
        usage: None,
        released: None,
    });
    if let Err(failure) = close(&mut exchange, ExchangeOutcome::Complete, None).await {
        return refuse::refusal(&Refusal::of(&failure), exchange.id);
    }
    let mut response = Response::new(Body::whole(kept.body.clone()));
    let headers = response.headers_mut();
    label(headers, &exchange);
    headers.insert(TARGET, HeaderValue::from_static(CACHE));
    name_space(headers, &exchange);
    headers.insert(CACHED, HeaderValue::from_static("hit"));
    headers.insert(AGE, HeaderValue::from(kept.age()));
    if let Some(content_type) = &kept.content_type {
        headers.insert(CONTENT_TYPE, content_type.clone());
    }
    response
}

/// Names the space of an answer's vectors: every target that may answer shares the one of the route's own.
fn name_space(headers: &mut HeaderMap, exchange: &Exchange) {
    if exchange.request.endpoint != Endpoint::Embeddings {
        return;
    }
    let own = exchange.prepared.snapshot.target(&exchange.route.target);
    let space = own.and_then(|own| own.space.as_deref());
    if let Some(space) = space.and_then(|space| HeaderValue::from_str(space).ok()) {
        headers.insert(SPACE, space);
    }
}

/// Keeps what the caller of a stream is sent, when it may be for the cache.
fn fill(exchange: &mut Exchange, sent: &Bytes) {
    if let Some(Missed::Fills(filling)) = &mut exchange.cache {
        filling.take(sent);
    }
}

/// Closes the exchange and waits until all of it is on record.
async fn close(exchange: &mut Exchange, outcome: ExchangeOutcome, failure: Option<FailureKind>) -> Result<(), Failure> {
    let ticket = exchange.finish(outcome, failure)?;
    on_record(&exchange.worker, ticket).await?;
    exchange.request_on_record().await
}

async fn whole(exchange: &mut Exchange, answer: &Bytes) -> Result<(), Failure> {
    end_attempt(exchange, None);
    let filling = cache::filling(exchange);
    close(exchange, ExchangeOutcome::Complete, None).await?;
    if let Some(filling) = filling {
        filling.keep(answer);
    }
    Ok(())
}

/// Sends a stream, frame by frame, and ends it.
async fn stream(mut exchange: Box<Exchange>, open: Open, outlet: Outlet) -> Ending {
    let Open { mut upstream, held, rest, usage_added, whole, mut translator, again: _, _room } = open;
    if let Some(served) = exchange.served.as_mut().filter(|_| whole) {
        served.released = Some(exchange.arrival.at.elapsed());
    }
    let mut frame = Frame::default();
    for heard in held {
        exchange.keep(&upstream.on_record(&heard.event.raw));
        exchange.findings.gather(&heard.event.data);
        let (event, facts) = match heard.shown.as_deref() {
            Some((event, facts)) => (event, facts),
            None => (&heard.event, &heard.facts),
        };
        frame.take(event, (facts, heard.said.as_ref()), usage_added);
    }
    let mut events = rest;
    let ended = loop {
        match forward(&mut exchange, (&mut upstream, &mut translator), &mut frame, (&mut events, usage_added)) {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(failure) => break Err(failure),
        }
        let seen = upstream.seen();
        let (n_bytes, first) = (seen.n_bytes, seen.time_to_first_token);
        note(&mut exchange, |record| {
            record.answer_bytes = n_bytes;
            record.time_to_first_token_us = first.map(micros);
        });
        if !frame.is_empty() {
            let (ready, bytes) = (Instant::now(), frame.bytes());
            fill(&mut exchange, &bytes);
            outlet.send(bytes).await;
            upstream.caller_took(ready.elapsed());
        }
        let phase = Rc::clone(&exchange.worker);
        match upstream.read(&phase.phase, &mut events).await {
            Ok(true) => {}
            Ok(false) => break upstream.whole(),
            Err(failure) => break Err(failure),
        }
    };
    let ended = match ended {
        Ok(()) => {
            policy::at_end(&mut exchange, upstream.seen().n_bytes).await.inspect_err(|_| frame = Frame::default())
        }
        failed => failed,
    };
    let ended = ended.and_then(|()| {
        // Some servers end without a word; the caller's dialect may need one.
        if translator.is_none() && upstream.owes_done() {
            frame.hold_back(&Bytes::from_static(sse::DONE));
        }
        let last = translator.as_mut().map(Translator::end).transpose()?;
        frame.hold_back(&last.unwrap_or_default());
        Ok(())
    });
    // Apart from the rest: a stream that goes on needs no room for how it ends.
    Box::pin(end(exchange, (upstream, translator), frame, ended)).await
}

/// Looks at what came and puts into the frame what the caller gets of it. True after `[DONE]`.
fn forward(
    exchange: &mut Exchange,
    (upstream, translator): (&mut Upstream, &mut Option<Translator>),
    frame: &mut Frame,
    (events, usage_added): (&mut Vec<Event>, bool),
) -> Result<bool, Failure> {
    for event in events.drain(..) {
        exchange.keep(&upstream.on_record(&event.raw));
        exchange.findings.gather(&event.data);
        match hear(upstream, translator, &event) {
            Ok((facts, said)) => frame.take(&event, (&facts, said.as_ref()), usage_added),
            Err(failure) => {
                // The provider's own error goes out as it came; ours follows, for clients that do not know its form.
                let is_theirs = failure.kind == FailureKind::ErrorInStream && event.kind == EventKind::Data;
                if is_theirs && translator.is_none() {
                    frame.push(&event.raw);
                }
                return Err(failure);
            }
        }
        if upstream.seen().done {
            return Ok(true);
        }
    }
    Ok(upstream.seen().done)
}

/// The last bytes of a stream: they leave when the answer is on record.
async fn end(
    mut exchange: Box<Exchange>,
    (mut upstream, mut translator): (Upstream, Option<Translator>),
    mut frame: Frame,
    ended: Result<(), Failure>,
) -> Ending {
    let seen = upstream.seen().clone();
    if ended.is_ok() {
        upstream.judge(&exchange.worker.validator);
    }
    let judged = answer::stream(&upstream);
    exchange.declined = judged.declined;
    exchange.keep(&upstream.on_record(&Bytes::new()));
    if ended.is_ok() {
        let target = exchange.served.as_ref().map(|served| served.target.clone()).unwrap_or_default();
        exchange.adaptations.extend(upstream.findings().adaptations(&target));
    }
    note(&mut exchange, |record| {
        record.answer_bytes = seen.n_bytes;
        record.time_to_first_token_us = seen.time_to_first_token.map(micros);
        judged.write(record);
    });
    let waited =
        exchange.attempt.as_ref().map(|attempt| attempt.started.saturating_duration_since(exchange.arrival.at));
    if let Some(served) = &mut exchange.served {
        served.usage = seen.usage;
        let came = seen.time_to_first_token.map(|token| token + waited.unwrap_or_default());
        served.time_to_first_token = served.released.or(came);
    }
    let failure = ended.as_ref().err().filter(|failure| !policy::is_stopped(failure.kind));
    end_attempt(&mut exchange, failure);
    let is_kept = exchange.request.endpoint == Endpoint::Responses;
    let target = exchange.served.as_ref().filter(|_| is_kept).map(|served| served.target.clone());
    let filling = if ended.is_ok() { cache::filling(&mut exchange) } else { None };
    let told = match ended {
        Ok(()) => {
            read_to_end(&exchange.worker, upstream.into_body());
            close(&mut exchange, ExchangeOutcome::Complete, None).await
        }
        Err(failure) => {
            // The provider hears of it now, not when the record is written.
            drop(upstream);
            let recorded = close(&mut exchange, ExchangeOutcome::Truncated, Some(failure.kind)).await;
            recorded.and(Err(failure))
        }
    };
    match told {
        Ok(()) => {
            let done = std::mem::take(&mut frame.done);
            recall::keep(&exchange, &done, target.as_deref().unwrap_or_default());
            frame.push(&done);
            let last = frame.bytes();
            if let Some(filling) = filling {
                filling.keep_sent(&last);
            }
            Ending::Whole(last)
        }
        Err(failure) => {
            let error = Refusal::of(&failure).body;
            frame.push(&match &mut translator {
                Some(translator) => translator.fail(&error),
                None => error_event(exchange.request.endpoint, &error),
            });
            Ending::Cut(frame.bytes())
        }
    }
}

/// The event that tells a caller that its stream failed, in the caller's dialect.
fn error_event(endpoint: Endpoint, error: &ErrorBody) -> Bytes {
    match endpoint {
        Endpoint::Messages => messages::error::event(error),
        Endpoint::Responses => typed::error_event(error),
        _ => sse::error_event(error),
    }
}

/// The last words of a stream that ran into a fault of ours. Bytes that are passed through have none.
pub(crate) fn broken_off(endpoint: Endpoint) -> Bytes {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Messages | Endpoint::Responses => {
            error_event(endpoint, &Refusal::of(&Failure::new(FailureKind::Internal, "a panic")).body)
        }
        _ => Bytes::new(),
    }
}

/// Sees to it that the connection of an answer that is whole can be used again.
pub(crate) fn read_to_end(worker: &Worker, body: ReplyBody) {
    if !body.is_end_stream() {
        worker.tasks.spawn_local(read_tail(body));
    }
}

/// Reads a body to its end, so that its connection can be used again.
async fn read_tail(mut body: ReplyBody) {
    let tail = async { while let Some(Ok(_)) = body.next().await {} };
    // A body that does not end is dropped, and its connection with it.
    tokio::time::timeout(TAIL, tail).await.unwrap_or_default();
}

/// What leaves in one write. One event is not copied.
#[derive(Default)]
struct Frame {
    first: Bytes,
    more: BytesMut,
    /// What ends the stream, `[DONE]` say, kept apart: it leaves only when the answer is on record.
    done: Bytes,
}

impl Frame {
    fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    fn take(&mut self, event: &Event, (facts, said): (&ChunkFacts, Option<&Bytes>), usage_added: bool) {
        match said {
            Some(said) if facts.done => return self.hold_back(said),
            Some(said) => return self.push(said),
            None if facts.done => return self.hold_back(&event.raw),
            None => {}
        }
        match facts.disposition(usage_added) {
            Disposition::Pass => self.push(&event.raw),
            Disposition::Drop => {}
            Disposition::Cut(range) => event.without(range).parts().iter().for_each(|part| self.push(part)),
        }
    }

    /// Keeps what says that the answer is whole until the answer is on record.
    fn hold_back(&mut self, last: &Bytes) {
        match (self.done.is_empty(), last.is_empty()) {
            (_, true) => {}
            (true, false) => self.done = last.clone(),
            (false, false) => self.done = Bytes::from([self.done.as_ref(), last.as_ref()].concat()),
        }
    }

    fn push(&mut self, bytes: &Bytes) {
        if bytes.is_empty() {
            return;
        }
        if self.first.is_empty() {
            self.first = bytes.clone();
            return;
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&self.first);
        }
        self.more.extend_from_slice(bytes);
    }

    fn bytes(&mut self) -> Bytes {
        let first = std::mem::take(&mut self.first);
        if self.more.is_empty() { first } else { self.more.split().freeze() }
    }
}
