//! A streamed answer: gathered from its chunks, with the time at which they came.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use providers::{Client, Provider, Timeouts};
use serde_json::Value;
use wire::failure::{Failure, FailureKind};
use wire::openai::chunk;
use wire::openai::content::Accumulator;
use wire::sse::Event;
use wire::usage::Usage;

use super::Pace;
use super::call::{Asked, LONGEST_ANSWER, micros, read};
use crate::answer::{brings_passages, of_choice, passages};
use crate::case::{Answer, Document};

/// What came of a call that was answered.
pub(super) struct Came {
    pub(super) result: Result<Answer, Failure>,
    pub(super) usage: Option<Usage>,
    pub(super) pace: Option<Pace>,
    pub(super) simulated: bool,
}

impl Came {
    /// Of an answer that came whole.
    pub(super) fn whole(asked: &dyn Asked, body: &Bytes, simulated: bool) -> Came {
        let mut usage = None;
        let result = read(asked, body, &mut usage);
        Came { result, usage, pace: None, simulated }
    }
}

/// Calls and reads the stream. It does not look at the time.
///
/// # Errors
/// When the provider cannot be reached or answers with an error. What goes wrong later is the result's, beside the usage that was told by then.
pub(super) async fn answer(
    (client, provider): (&Client, &Provider),
    asked: &dyn Asked,
    timeouts: Timeouts,
) -> Result<Came, Failure> {
    let began = Instant::now();
    let mut reply = client.call(provider, asked.call(timeouts)).await?;
    let content_type = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !reply.status.is_success() || !content_type.starts_with("text/event-stream") {
        let body = reply.body.collect(LONGEST_ANSWER).await?;
        if !reply.status.is_success() {
            return Err(providers::classify(reply.status, &reply.headers, &body, SystemTime::now()));
        }
        // A server that does not stream answers whole: there is an answer and no pace.
        return match providers::error_in_body(&body) {
            Some(failure) => Err(failure),
            None => Ok(Came::whole(asked, &body, reply.simulated)),
        };
    }
    let (mut reader, mut gathered, mut chunks) = (asked.reader(), Gathered::new(began), Vec::new());
    let result = loop {
        let step = match reply.body.next().await {
            Some(Ok(bytes)) => reader.push(&bytes, &mut chunks).map(|()| false),
            Some(Err(failure)) => Err(failure),
            None => reader.end(&mut chunks).map(|()| true),
        };
        let now = Instant::now();
        let read = chunks.drain(..).try_for_each(|event| gathered.take(&event, now));
        match step.and_then(|is_end| read.map(|()| is_end)) {
            Ok(false) => {}
            Ok(true) => break gathered.answer(),
            Err(failure) => break Err(failure),
        }
    };
    let (usage, pace) = (gathered.usage, gathered.pace.filter(|_| result.is_ok()));
    Ok(Came { result, usage, pace, simulated: reply.simulated })
}

/// What the chunks have said so far.
struct Gathered {
    began: Instant,
    latest: Instant,
    texts: Accumulator,
    refusal: String,
    passages: Vec<Document>,
    finish_reason: Option<String>,
    usage: Option<Usage>,
    done: bool,
    pace: Option<Pace>,
}

impl Gathered {
    fn new(began: Instant) -> Gathered {
        Gathered {
            began,
            latest: began,
            texts: Accumulator::with_limit(LONGEST_ANSWER),
            refusal: String::new(),
            passages: Vec::new(),
            finish_reason: None,
            usage: None,
            done: false,
            pace: None,
        }
    }

    fn take(&mut self, event: &Event, now: Instant) -> Result<(), Failure> {
        let data = &event.data;
        let facts = chunk::inspect(data);
        if facts.error {
            let failure = providers::error_in_body(data);
            return Err(failure.unwrap_or_else(|| Failure::new(FailureKind::Malformed, "the stream ended in an error")));
        }
        self.done |= facts.done;
        self.usage = facts.usage.or(self.usage);
        self.finish_reason = facts.finish_reason_in(data).map(str::to_owned).or_else(|| self.finish_reason.take());
        self.texts.push(data);
        if self.texts.has_overflown() {
            return Err(Failure::new(FailureKind::Malformed, "the answer is longer than what is read"));
        }
        if self.texts.choices().and_then(<[_]>::first).is_some_and(|choice| choice.refused) {
            let chunk: Value = serde_json::from_slice(data).unwrap_or_default();
            self.refusal += chunk["choices"][0]["delta"]["refusal"].as_str().unwrap_or_default();
        }
        if self.passages.is_empty() && brings_passages(data) {
            let chunk: Value = serde_json::from_slice(data).unwrap_or_default();
            self.passages = passages(&chunk["choices"][0]["delta"]);
        }
        if facts.has_content {
            let gap_us = micros(now - self.latest);
            self.pace = Some(match self.pace {
                None => Pace { time_to_first_token_us: micros(now - self.began), ..Pace::default() },
                Some(pace) => Pace {
                    n_gaps: pace.n_gaps + 1,
                    gaps_us: pace.gaps_us + gap_us,
                    longest_gap_us: pace.longest_gap_us.max(gap_us),
                    ..pace
                },
            });
            self.latest = now;
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        if !self.done && self.finish_reason.is_none() {
            return Err(Failure::new(FailureKind::Disconnected, "the stream ended before the answer did"));
        }
        let first = self.texts.choices().and_then(<[_]>::first);
        let first = first.ok_or_else(|| Failure::new(FailureKind::Malformed, "the answer is no chat completion"))?;
        let refusal = Some(std::mem::take(&mut self.refusal)).filter(|text| !text.is_empty());
        let passages = std::mem::take(&mut self.passages);
        Ok(Answer { refusal, finish_reason: self.finish_reason.take(), passages, ..of_choice(first) })
    }
}
