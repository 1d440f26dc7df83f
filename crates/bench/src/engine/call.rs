//! One request: sent, its answer read chunk by chunk with the moment of each read.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use providers::{Call, Client, Provider, Reply, Special, Timeouts};
use serde_json::Value;
use wire::failure::{Failure, FailureKind};
use wire::openai::chunk;
use wire::record::Endpoint;
use wire::splice::Pieces;
use wire::sse::Event;
use wire::usage::Usage;

use super::Due;
use super::context::Context;
use crate::clock::millis;
use crate::sample::{Outcome, Sample, ServerTimes, TokenSource, request_id};
use crate::tokens::Kept;

/// The longest answer that is read whole.
const LONGEST: usize = 64 << 20;

/// By so much of the wanted length an answer may be shorter or longer (the guard of MLPerf Inference).
const LENGTH: f64 = 0.1;

/// Asks once and writes what it saw into the book.
pub(super) async fn ask(context: &Rc<Context>, mut due: Due) -> Outcome {
    let place = context.begin(&due);
    let outcome = match tokio::time::timeout(context.timeout, Box::pin(asked(context, &mut due, place))).await {
        Ok(Ok(())) => length(context, place, due.wanted),
        Ok(Err(failure)) => Outcome::of(failure.kind),
        Err(_) => Outcome::Timeout,
    };
    context.end(place, outcome);
    outcome
}

async fn asked(context: &Rc<Context>, due: &mut Due, place: usize) -> Result<(), Failure> {
    let all = context.timeout;
    let timeouts = Timeouts {
        connect: all.min(Duration::from_secs(10)),
        first_token: all,
        inter_token: all,
        total: all,
        answer: Some(all),
    };
    let mut call = due.asked.call(timeouts);
    // So that a request that was slow can be found in the server's own log.
    call.request_id = HeaderValue::from_str(&request_id(due.number)).ok();
    let sent: Rc<Cell<Option<Duration>>> = Rc::default();
    let (tells, clock) = (Rc::clone(&sent), Rc::clone(context));
    let begins = due.begins.take();
    call.sent = Some(Box::new(move || {
        tells.set(Some(clock.common.now()));
        drop(begins);
    }));
    let provider = &context.targets[due.target].provider;
    let reply = context.client.call(provider, call).await;
    context.update(place, |sample| sample.sent = sent.get());
    let Reply { status, headers, mut body, .. } = reply?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !status.is_success() {
        let body = body.collect(LONGEST).await?;
        return Err(providers::classify(status, &headers, &body, SystemTime::now()));
    }
    let mut gathered = Gathered {
        context,
        place,
        target: due.target,
        is_counted: context.counts(due.intended),
        kept: context.keeps(due.target),
        ..Gathered::new(context)
    };
    gathered.server.queue_ms = header_ms(&headers);
    if !content_type.starts_with("text/event-stream") {
        let body = body.collect(LONGEST).await?;
        return gathered.whole(&body);
    }
    let (mut reader, mut chunks) = (due.asked.reader(), Vec::new());
    while let Some(piece) = body.next().await {
        // The moment of the read; what is in it is looked at after.
        let now = context.common.now();
        reader.push(&piece?, &mut chunks)?;
        for event in chunks.drain(..) {
            gathered.take(&event, now)?;
        }
    }
    reader.end(&mut chunks)?;
    let now = context.common.now();
    for event in chunks.drain(..) {
        gathered.take(&event, now)?;
    }
    gathered.finish()
}

/// What an answer without an end or of another length counts as.
fn length(context: &Context, place: usize, wanted: Option<u64>) -> Outcome {
    let mut outcome = Outcome::Good;
    context.update(place, |sample| {
        let n = sample.output.map(|(n, _)| n);
        outcome = match (n, wanted) {
            _ if sample.n_chunks == 0 => Outcome::Empty,
            (Some(n), Some(wanted)) if (n as f64 / wanted as f64 - 1.0).abs() > LENGTH => Outcome::WrongLength,
            _ => Outcome::Good,
        };
    });
    outcome
}

/// A wait that a server says in a header (text-generation-inference).
fn header_ms(headers: &HeaderMap) -> Option<f64> {
    headers.get("x-queue-time")?.to_str().ok()?.parse().ok()
}

/// What the chunks of one answer have said so far.
struct Gathered<'c> {
    context: &'c Context,
    place: usize,
    target: usize,
    is_counted: bool,
    latest: Option<Duration>,
    longest_gap: Option<Duration>,
    n_chunks: u64,
    usage: Option<Usage>,
    /// Usage stood on a chunk with content.
    is_on_chunks: bool,
    first_chunk_tokens: u64,
    server: ServerTimes,
    is_ended: bool,
    kept: Option<Kept>,
}

impl<'c> Gathered<'c> {
    fn new(context: &'c Context) -> Gathered<'c> {
        Gathered {
            context,
            place: 0,
            target: 0,
            is_counted: false,
            latest: None,
            longest_gap: None,
            n_chunks: 0,
            usage: None,
            is_on_chunks: false,
            first_chunk_tokens: 1,
            server: ServerTimes::default(),
            is_ended: false,
            kept: None,
        }
    }

    fn take(&mut self, event: &Event, now: Duration) -> Result<(), Failure> {
        if event.is_comment() {
            return Ok(());
        }
        let facts = chunk::inspect(&event.data);
        if facts.error || !facts.valid {
            let failure = providers::error_in_body(&event.data);
            let kind = if facts.error { FailureKind::ErrorInStream } else { FailureKind::Malformed };
            return Err(
                failure.unwrap_or_else(|| Failure::new(kind, "an event of the stream is an error, or none of a chat"))
            );
        }
        if facts.has_content {
            self.content(now);
            if let Some(kept) = &mut self.kept {
                kept.push(&event.data, self.n_chunks == 1);
            }
        }
        if let (Some(kept), Some(reason)) = (&mut self.kept, facts.finish_reason_in(&event.data)) {
            kept.is_ended_by_itself = reason == "stop";
        }
        if let Some(usage) = facts.usage {
            if facts.has_content {
                self.is_on_chunks = true;
                if self.n_chunks == 1 {
                    self.first_chunk_tokens = usage.output_tokens.max(1);
                }
            }
            self.usage = Some(usage);
        }
        if facts.finish_reason.is_some() || facts.usage_only {
            self.is_ended |= facts.finish_reason.is_some();
            self.timings(&event.data);
        }
        // `[DONE]` alone ends nothing: an answer without a finish reason was cut.
        Ok(())
    }

    /// A chunk with content was read.
    fn content(&mut self, now: Duration) {
        self.n_chunks += 1;
        match self.latest {
            None => self.context.update(self.place, |sample| sample.first = Some(now)),
            Some(latest) => {
                let gap = now.saturating_sub(latest);
                self.longest_gap = self.longest_gap.max(Some(gap));
                if self.is_counted {
                    self.context.gap(self.target, gap);
                }
            }
        }
        self.latest = Some(now);
    }

    /// What llama.cpp says of its own time on the last chunks.
    fn timings(&mut self, data: &[u8]) {
        if !data.windows(9).any(|bytes| bytes == b"\"timings\"") {
            return;
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(data) else { return };
        let number = |name: &str| chunk["timings"][name].as_f64();
        let queue_ms = self.server.queue_ms;
        self.server = ServerTimes {
            prefill_ms: number("prompt_ms"),
            prefill_tokens: number("prompt_n"),
            decode_ms: number("predicted_ms"),
            queue_ms,
            gateway_ms: None,
        };
    }

    /// The stream has ended.
    fn finish(&mut self) -> Result<(), Failure> {
        self.write();
        if self.is_ended {
            Ok(())
        } else {
            Err(Failure::new(FailureKind::Disconnected, "the stream ended before the answer did"))
        }
    }

    /// An answer that came whole: its first content is its last.
    fn whole(&mut self, body: &[u8]) -> Result<(), Failure> {
        if let Some(failure) = providers::error_in_body(body) {
            return Err(failure);
        }
        let facts = chunk::inspect(body);
        if !facts.valid {
            return Err(Failure::new(FailureKind::Malformed, "the answer is no chat completion"));
        }
        if facts.has_content {
            self.content(self.context.common.now());
        }
        if let Some(kept) = &mut self.kept {
            kept.push(body, true);
            kept.is_ended_by_itself = facts.finish_reason_in(body) == Some("stop");
        }
        (self.usage, self.is_ended) = (facts.usage, facts.finish_reason.is_some());
        self.timings(body);
        self.finish()
    }

    fn write(&mut self) {
        let is_usage = self.usage.is_some_and(|usage| usage.output_tokens > 0);
        let kept = self.kept.take().map(|kept| self.context.keep(self.target, kept, is_usage));
        let output = match self.usage {
            Some(usage) if usage.output_tokens > 0 => {
                let source = if self.is_on_chunks { TokenSource::ChunkUsage } else { TokenSource::Usage };
                (usage.output_tokens, source)
            }
            _ => (self.n_chunks, TokenSource::Chunks),
        };
        self.context.update(self.place, |sample: &mut Sample| {
            sample.last = self.latest;
            sample.longest_gap = self.longest_gap;
            sample.n_chunks = self.n_chunks;
            sample.first_chunk_tokens = self.first_chunk_tokens;
            sample.output = Some(output);
            sample.kept = kept;
            sample.input = self.usage.map(|usage| (usage.input_tokens, usage.cached_tokens));
            sample.server = self.server;
        });
    }
}

/// The least time of five requests for the list of models, after one that made the connection.
pub(super) async fn round_trip_ms(provider: &Provider) -> Option<f64> {
    let client = Client::new();
    let mut least: Option<Duration> = None;
    for idx in 0..6 {
        let began = Instant::now();
        let reply = client.call(provider, models()).await.ok()?;
        let took = began.elapsed();
        reply.body.collect(LONGEST).await.ok()?;
        if idx > 0 {
            least = Some(least.map_or(took, |before| before.min(took)));
        }
    }
    least.map(millis)
}

/// Whether the list of models can be had.
pub(super) async fn is_healthy(provider: &Provider) -> bool {
    Client::new().call(provider, models()).await.is_ok_and(|reply| reply.status.is_success())
}

/// Asks for the list of models.
fn models() -> Call {
    let patience = Duration::from_secs(2);
    let timeouts = Timeouts {
        connect: patience,
        first_token: patience,
        inter_token: patience,
        total: patience,
        answer: Some(patience),
    };
    Call {
        endpoint: Endpoint::ChatCompletions,
        body: Pieces::from(bytes::Bytes::new()),
        streamed: false,
        request_id: None,
        hops: 0,
        timeouts,
        sent: None,
        pause: Duration::ZERO,
        special: Some(Box::new(Special {
            method: Some(Method::GET),
            below: Some(PathAndQuery::from_static("/models")),
            ..Special::default()
        })),
    }
}
