//! A provider within the process, for quickstart, drills and tests. Every answer of it carries `x-simulated: true`, and
//! every report made from it says "simulated".
//!
//! It answers chat (whole or streamed) and embeddings in OpenAI's shape. How fast, how well and how often wrong is set by
//! [`Knobs`] that can be turned while it runs; a call reads them once, when it begins.
//!
//! **Latency.** Time to first token and time per output token are drawn from log-normal distributions and multiplied by
//! `1 + (calls in flight - 1) / capacity`: a lone call sees the knob's median, `capacity` more calls at once double it. Both
//! lanes of a process (live and shadow) load the same server. Pauses end on whole milliseconds, as tokio's timer does.
//!
//! **Chance.** What happens to a call depends on the seed, the bytes of the request and how many times these bytes came
//! before, on nothing else. Every draw is made for every call, so turning one knob does not change what the others do: with
//! the same seed, a call that fails at an error rate of 2 % also fails at 4 %.
//!
//! **Quality.** The [`questions`] are a small labelled set about a made-up product. A prompt whose last user message
//! contains one of them is answered correctly with probability `quality`, else with the answer to another question. A prompt with numbered passages is answered from
//! these ([`reader`]): quoted, cited, and not at all where they do not say; `wrong_citation_rate` and `unfounded_rate` plant what goes wrong there.

mod answer;
mod body;
mod draws;
mod embed;
mod knobs;
mod questions;
mod reader;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::json;
use tokio::time::Instant;
use wire::failure::Failure;
use wire::record::Endpoint;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::client::{Call, Sent};
use crate::reply::{InFlight, Reply, ReplyBody};
use answer::{ChatAnswer, ChatRequest};
use draws::Draws;

pub(crate) use body::SimulatedBody;
pub use knobs::{Distribution, KnobError, Knobs};
pub use questions::{Question, questions};

const X_SIMULATED: HeaderName = HeaderName::from_static("x-simulated");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Slots of the table that counts how many times the same bytes came. Two requests in one slot only change each other's
/// luck.
const N_SLOTS: usize = 4096;

/// How a simulated provider begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedConfig {
    /// What all chance in it is derived from.
    pub seed: u64,
    /// The knobs it starts with.
    pub knobs: Knobs,
}

/// One simulated server. Common to all threads and lanes.
#[derive(Debug)]
pub struct Simulated {
    name: String,
    seed: u64,
    knobs: Arc<ArcSwap<Knobs>>,
    in_flight: Arc<AtomicUsize>,
    seen: Box<[AtomicU32]>,
}

impl Simulated {
    /// A server that nobody calls yet.
    pub fn new(name: &str, config: SimulatedConfig) -> Self {
        Self {
            name: name.to_owned(),
            seed: config.seed,
            knobs: Arc::new(ArcSwap::from_pointee(config.knobs)),
            in_flight: Arc::default(),
            seen: (0..N_SLOTS).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// The provider's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The knobs as they are now.
    pub fn knobs(&self) -> Arc<Knobs> {
        self.knobs.load_full()
    }

    /// Turns the knobs, for all calls that begin from now on.
    pub fn set_knobs(&self, knobs: Knobs) -> Result<(), KnobError> {
        knobs.validate()?;
        self.knobs.store(Arc::new(knobs));
        Ok(())
    }

    /// How many calls are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) async fn call(&self, call: Call, permit: InFlight) -> Result<Reply, Failure> {
        let started = Instant::now();
        let knobs = self.knobs.load_full();
        let body = call.body.to_bytes();
        let draws = self.draws(&body);
        let load = self.enter(knobs.capacity);
        fire(call.sent);
        let first_token = knobs.time_to_first_token.sample(draws.first_token).mul_f64(load.factor);
        let answer = match self.fate(&knobs, &draws) {
            Fate::Hang => std::future::pending().await,
            Fate::Refused(status) => {
                // An error comes sooner than a token.
                tokio::time::sleep_until(started + first_token / 4).await;
                error_answer(status)
            }
            Fate::Served => match call.endpoint {
                Endpoint::ChatCompletions => chat(&body, &knobs, &draws),
                Endpoint::Embeddings => embed::embeddings(&body, &knobs),
                _ => error_answer(404),
            },
        };
        let pace = knobs.time_per_output_token.sample(draws.per_token).mul_f64(load.factor);
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(X_SIMULATED, HeaderValue::from_static("true"));
        if let Ok(id) = HeaderValue::try_from(format!("sim-{:016x}", draws.id)) {
            headers.insert(X_REQUEST_ID, id);
        }
        let (status, body) = match answer {
            Answer::Whole { status, retry_after, bytes, n_tokens } => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                if let Some(seconds) = retry_after {
                    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                if status.is_success() {
                    tokio::time::sleep_until(started + first_token + pace.mul_f64(f64::from(n_tokens))).await;
                }
                let cut = (status.is_success() && draws.cut < knobs.cut_rate).then_some(draws.cut_at);
                (status, SimulatedBody::whole(bytes, cut, load.in_flight))
            }
            Answer::Stream(answer) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
                let pace = pace.mul_f64(f64::from(knobs.tokens_per_chunk));
                let ending = body::Ending::drawn(&knobs, &draws);
                let plan = body::StreamPlan { answer: *answer, first: started + first_token, pace, ending };
                (StatusCode::OK, SimulatedBody::stream(plan, &knobs, load.in_flight))
            }
        };
        Ok(Reply { status, headers, body: ReplyBody::simulated(body, permit), simulated: true })
    }

    fn draws(&self, body: &[u8]) -> Draws {
        let request = xxh3_64_with_seed(body, self.seed);
        let slot = usize::try_from(request % N_SLOTS as u64).unwrap_or(0);
        let nth = self.seen[slot].fetch_add(1, Ordering::Relaxed);
        Draws::new(request ^ u64::from(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn enter(&self, capacity: f64) -> Load {
        let others = self.in_flight.load(Ordering::Relaxed);
        let in_flight = InFlight::take(&self.in_flight, usize::MAX);
        // A number of calls is far below 2^53.
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        let factor = 1.0 + others as f64 / capacity;
        Load { factor, in_flight }
    }

    fn fate(&self, knobs: &Knobs, draws: &Draws) -> Fate {
        if draws.limited < knobs.rate_limited_rate {
            Fate::Refused(429)
        } else if draws.error < knobs.error_rate {
            Fate::Refused(knobs.error_status)
        } else if draws.hang < knobs.hang_rate {
            Fate::Hang
        } else {
            Fate::Served
        }
    }
}

struct Load {
    factor: f64,
    in_flight: Option<InFlight>,
}

enum Fate {
    Served,
    Refused(u16),
    Hang,
}

/// What a call is answered with, before time is spent on it.
enum Answer {
    Whole { status: StatusCode, retry_after: Option<u64>, bytes: Bytes, n_tokens: u32 },
    Stream(Box<ChatAnswer>),
}

fn chat(body: &[u8], knobs: &Knobs, draws: &Draws) -> Answer {
    let request: ChatRequest<'_> = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return bad_request(&format!("the request cannot be read: {error}")),
    };
    let answer = ChatAnswer::new(&request, knobs, draws, unix_seconds());
    if request.stream == Some(true) {
        return Answer::Stream(Box::new(answer));
    }
    let n_tokens = answer.n_tokens();
    Answer::Whole { status: StatusCode::OK, retry_after: None, bytes: answer.whole(), n_tokens }
}

fn bad_request(message: &str) -> Answer {
    let body = json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": null } });
    let bytes = Bytes::from(body.to_string());
    Answer::Whole { status: StatusCode::BAD_REQUEST, retry_after: None, bytes, n_tokens: 0 }
}

fn error_answer(status: u16) -> Answer {
    let (kind, code) = match status {
        429 => ("requests", "rate_limit_exceeded"),
        400..=499 => ("invalid_request_error", "simulated_error"),
        _ => ("server_error", "simulated_error"),
    };
    let message = format!("a simulated error with status {status}");
    let body = json!({ "error": { "message": message, "type": kind, "param": null, "code": code } });
    Answer::Whole {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        retry_after: (status == 429).then_some(1),
        bytes: Bytes::from(body.to_string()),
        n_tokens: 0,
    }
}

fn fire(sent: Option<Sent>) {
    if let Some(sent) = sent {
        sent();
    }
}

/// `created` of an answer; nothing is decided by it.
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
