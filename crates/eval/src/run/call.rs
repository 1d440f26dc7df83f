//! One item: the call, the calls after it that its failure allows, and what they took.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use providers::{Call, Client, Provider, RetryRules, Timeouts};
use serde_json::Value;
use stats::random::Random;
use wire::failure::{Failure, FailureKind, Retry};
use wire::openai::answer::inspect;
use wire::request::without_model;
use wire::sse::Event;
use wire::usage::Usage;

use super::{Answered, Pace, stream};
use crate::answer::{ranked, whole};
use crate::case::{Answer, Case};
use crate::encode;

/// The longest answer that is read.
pub(super) const LONGEST_ANSWER: usize = 16 << 20;
/// The longest wait that a provider that asks to slow down is granted.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a call is made again because the provider asks to slow down, beside the other attempts.
const MOST_PAUSES: u32 = 8;

/// How a target is asked. Whoever knows its config says.
pub trait Ask {
    /// The request as the target gets it.
    ///
    /// # Errors
    /// When the target cannot be asked that.
    fn prepare(&self, case: &Case, body: Bytes) -> Result<Box<dyn Asked>, Failure>;

    /// What a call costs, in billionths of a dollar; `None` when that is not known.
    fn price(&self, used: &Used) -> Option<u64>;
}

/// A request ready to be sent.
pub trait Asked {
    /// Its bytes.
    fn body(&self) -> &Bytes;

    /// The call that sends it once.
    fn call(&self, timeouts: Timeouts) -> Call;

    /// The answer: to a chat as a chat completion, else as it came.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, body: &Bytes) -> Result<Bytes, Failure>;

    /// Of how many texts it asks for vectors, where it is no chat completion.
    fn n_texts(&self) -> Option<usize> {
        None
    }

    /// What reads a streamed answer.
    fn reader(&self) -> Box<dyn ReadStream>;

    /// How many documents are to be ranked; `None` where a chat is asked.
    fn ranks(&self) -> Option<usize> {
        None
    }
}

/// A streamed answer on its way to chunks of a chat completion.
pub trait ReadStream {
    /// Takes the next bytes and appends the chunks that they complete.
    ///
    /// # Errors
    /// When they cannot be read.
    fn push(&mut self, bytes: &Bytes, chunks: &mut Vec<Event>) -> Result<(), Failure>;

    /// The body has ended: the last chunks.
    ///
    /// # Errors
    /// When they cannot be read.
    fn end(&mut self, chunks: &mut Vec<Event>) -> Result<(), Failure>;
}

/// What a call used.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// What the provider counted.
    pub usage: Option<Usage>,
    /// When it began, Unix microseconds.
    pub started_us: u64,
    /// How long it took.
    pub duration_us: u64,
}

/// The body of a case's request, before a target's own changes.
pub(super) fn body(case: &Case, seed: Option<u64>, stream: bool) -> Bytes {
    let mut request = case.request.clone();
    if case.ranks().is_some() {
        // Nothing in it is drawn by chance, and servers of rerankers know no seed.
        let texts: Vec<&str> = case.documents.iter().map(|document| document.text.as_str()).collect();
        request.insert("documents".to_owned(), Value::from(texts));
        return without_model(request);
    }
    if let Some(seed) = seed {
        request.entry("seed").or_insert_with(|| Value::from(seed));
    }
    if stream {
        request.insert("stream".to_owned(), Value::from(true));
    }
    without_model(request)
}

/// Whether a failure says nothing about the answer to this case: every other case would fail alike until somebody does something.
pub(super) fn is_standstill(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Connect
            | FailureKind::Dns
            | FailureKind::Tls
            | FailureKind::TimeoutConnect
            | FailureKind::Authentication
            | FailureKind::QuotaExhausted
            | FailureKind::RateLimited
    )
}

/// What one attempt came to.
struct Attempt {
    result: Result<Answer, Failure>,
    usage: Option<Usage>,
    pace: Option<Pace>,
    simulated: bool,
    duration: Duration,
    cost_nanos: Option<u64>,
}

/// The client and the target of a call.
pub(super) struct Way<'w> {
    pub(super) client: &'w Client,
    pub(super) provider: &'w Arc<Provider>,
    pub(super) retries: RetryRules,
    pub(super) ask: &'w Rc<dyn Ask>,
    pub(super) stream: bool,
}

/// Asks until there is an answer, or a failure that stands. `seed` decides how long it waits before another attempt.
pub(super) async fn call(way: &Way<'_>, asked: &dyn Asked, seed: u64) -> (Answered, Option<Failure>) {
    let mut random = Random::new(seed);
    let began = Instant::now();
    let (mut answered, mut n_pauses) = (Answered { cost_nanos: Some(0), ..Answered::default() }, 0);
    let most = way.retries.max_attempts(false) + MOST_PAUSES;
    loop {
        let attempt = once(way, asked).await;
        answered.attempts += 1;
        answered.simulated |= attempt.simulated;
        answered.usage = attempt.usage.or(answered.usage);
        answered.cost_nanos = answered.cost_nanos.zip(attempt.cost_nanos).map(|(sum, cost)| sum + cost);
        let failure = match attempt.result {
            Ok(answer) => {
                answered.latency_us = micros(attempt.duration);
                answered.answer = Some(answer);
                answered.pace = attempt.pace;
                answered.total_us = micros(began.elapsed());
                return (answered, None);
            }
            Err(failure) => failure,
        };
        let chance = (random.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        let wait = match failure.retry {
            Retry::After(wait) if n_pauses < MOST_PAUSES => {
                n_pauses += 1;
                Some(wait.min(LONGEST_PAUSE))
            }
            _ if failure.kind == FailureKind::RateLimited && n_pauses < MOST_PAUSES => {
                n_pauses += 1;
                Some(way.retries.wait(n_pauses, chance))
            }
            _ => {
                let n_failed = answered.attempts - n_pauses;
                let again = way.retries.allow(&failure) && n_failed < way.retries.max_attempts(false);
                again.then(|| way.retries.wait(n_failed, chance))
            }
        };
        match wait {
            Some(wait) if answered.attempts < most => tokio::time::sleep(wait).await,
            _ => {
                answered.total_us = micros(began.elapsed());
                answered.failure = Some(failure.to_string());
                return (answered, Some(failure));
            }
        }
    }
}

async fn once(way: &Way<'_>, asked: &dyn Asked) -> Attempt {
    let timeouts = way.provider.config().timeouts;
    let started_us = now_us();
    let began = Instant::now();
    let mut attempt = Attempt {
        result: Err(Failure::new(FailureKind::TimeoutTotal, "no whole answer in time")),
        usage: None,
        pace: None,
        simulated: false,
        duration: Duration::ZERO,
        cost_nanos: Some(0),
    };
    let answer = async {
        if way.stream && asked.ranks().is_none() {
            return stream::answer((way.client, way.provider), asked, timeouts).await;
        }
        let (body, simulated) = whole_answer(way.client, way.provider, asked.call(timeouts)).await?;
        Ok(stream::Came::whole(asked, &body, simulated))
    };
    let answer = tokio::time::timeout(timeouts.whole_answer(), answer).await;
    attempt.duration = began.elapsed();
    let mut was_paid = true;
    if let Ok(answer) = answer {
        match answer {
            Ok(stream::Came { result, usage, pace, simulated }) => {
                (attempt.result, attempt.usage, attempt.pace, attempt.simulated) = (result, usage, pace, simulated);
            }
            Err(failure) => {
                // A call that the provider refused, or that never reached it, is not charged for.
                was_paid = matches!(
                    failure.kind,
                    FailureKind::Disconnected | FailureKind::TimeoutTotal | FailureKind::TimeoutFirstToken
                );
                attempt.result = Err(failure);
            }
        }
    }
    if was_paid {
        let used = Used { usage: attempt.usage, started_us, duration_us: micros(attempt.duration) };
        attempt.cost_nanos = way.ask.price(&used);
    }
    attempt
}

/// The whole answer to a call, and whether it is simulated. It does not look at the time.
///
/// # Errors
/// When the provider cannot be reached, answers with an error, also one in a body of status 200, or with more than 16 MiB.
pub async fn whole_answer(client: &Client, provider: &Provider, call: Call) -> Result<(Bytes, bool), Failure> {
    let reply = client.call(provider, call).await?;
    let (status, headers, simulated) = (reply.status, reply.headers, reply.simulated);
    let body = reply.body.collect(LONGEST_ANSWER).await?;
    if !status.is_success() {
        return Err(providers::classify(status, &headers, &body, SystemTime::now()));
    }
    match providers::error_in_body(&body) {
        Some(failure) => Err(failure),
        None => Ok((body, simulated)),
    }
}

pub(super) fn read(asked: &dyn Asked, body: &Bytes, usage: &mut Option<Usage>) -> Result<Answer, Failure> {
    let body = asked.read(body)?;
    let facts = inspect(&body);
    *usage = facts.usage;
    if let Some(n_documents) = asked.ranks() {
        let ranking = ranked(&body, n_documents);
        let malformed = || Failure::new(FailureKind::Malformed, "the answer is no ranking of the documents");
        return ranking.map(|ranking| Answer { ranking: Some(ranking), ..Answer::default() }).ok_or_else(malformed);
    }
    if let Some(n_texts) = asked.n_texts() {
        return encode::read(&body, n_texts).map_err(|why| Failure::new(FailureKind::Malformed, why));
    }
    whole(&body, &facts).ok_or_else(|| Failure::new(FailureKind::Malformed, "the answer is no chat completion"))
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Now, in Unix microseconds.
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, micros)
}
