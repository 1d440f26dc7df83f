//! The call itself: which target, whether it may be tried, how long it may take, and who takes over when it fails. Another
//! target is tried only while nothing of an answer has been seen by anybody.

mod attempt;
mod open;
mod steps;

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use wire::failure::{Failure, FailureKind};
use wire::openai::chunk::ChunkFacts;
use wire::record::{Arm, AttemptRole};
use wire::sse::Event;

use crate::record::Exchange;
use crate::relay::bytes::Pieces;
use crate::translate::Translator;
use crate::upstream::Upstream;
use crate::worker::Destination;

pub(crate) use attempt::{Attempt, end_attempt, left, note};

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
    /// Bytes that are passed through as they come.
    Pieces(Box<Pieces>),
}

/// A stream up to its first content.
pub(crate) struct Open {
    pub(crate) upstream: Upstream,
    /// What the caller gets first, and what is known of it.
    pub(crate) held: Vec<Heard>,
    /// What came together with it and was not looked at.
    pub(crate) rest: Vec<Event>,
    pub(crate) usage_added: bool,
    /// Says it in the caller's dialect, when that is another.
    pub(crate) translator: Option<Translator>,
}

/// One event of a stream, looked at.
pub(crate) struct Heard {
    pub(crate) event: Event,
    pub(crate) facts: ChunkFacts,
    /// The same in the caller's dialect, when that is another.
    pub(crate) said: Option<Bytes>,
}

/// Looks at an event, and says it in the caller's dialect when that is another.
pub(crate) fn hear(
    upstream: &mut Upstream,
    translator: &mut Option<Translator>,
    event: Event,
) -> Result<Heard, Failure> {
    let facts = upstream.look(&event)?;
    let said = translator.as_mut().map(|translator| translator.event(&event)).transpose()?;
    Ok(Heard { event, facts, said })
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

/// Calls the target the request was assigned to, then whoever may take over.
pub(crate) async fn call(exchange: &mut Exchange) -> Result<Opened, Dead> {
    let mut dead: Option<Dead> = None;
    for step in steps::steps(exchange) {
        // An emergency is no evidence, whatever came before it.
        let live = exchange.attempts.is_empty() && !step.emergency;
        let role = if live { AttemptRole::Live } else { AttemptRole::Failover };
        match attempt::attempt(exchange, &step, role).await {
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
