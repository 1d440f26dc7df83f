use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};
use wire::failure::{Failure, FailureKind};

use super::answer::ChatAnswer;
use super::draws::Draws;
use super::knobs::Knobs;
use crate::reply::InFlight;

/// The body of a simulated answer.
#[derive(Debug)]
pub(crate) struct SimulatedBody {
    source: Source,
    _in_flight: Option<InFlight>,
}

#[derive(Debug)]
enum Source {
    Whole { bytes: Option<Bytes>, cut: bool },
    Stream(Stream),
}

/// A stream before it begins.
pub(crate) struct StreamPlan {
    pub(crate) answer: ChatAnswer,
    /// When the first token is there.
    pub(crate) first: Instant,
    /// Between two chunks.
    pub(crate) pace: Duration,
    pub(crate) ending: Ending,
}

/// How a stream ends; a bad end comes after this part of the tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Proper,
    Cut(f64),
    Stall(f64),
}

impl Ending {
    pub(crate) fn drawn(knobs: &Knobs, draws: &Draws) -> Self {
        if draws.cut < knobs.cut_rate {
            Self::Cut(draws.cut_at)
        } else if draws.stall < knobs.stall_rate {
            Self::Stall(draws.cut_at)
        } else {
            Self::Proper
        }
    }
}

#[derive(Debug)]
struct Stream {
    answer: ChatAnswer,
    sleep: Pin<Box<Sleep>>,
    pace: Duration,
    ending: Ending,
    tokens_per_chunk: usize,
    /// Tokens already sent.
    n_sent: usize,
    /// Tokens after which the ending comes.
    n_all: usize,
    opened: bool,
    ended: bool,
}

impl SimulatedBody {
    /// A body that is there at once; a cut one breaks off at this part of it.
    pub(crate) fn whole(bytes: Bytes, cut: Option<f64>, in_flight: Option<InFlight>) -> Self {
        let n_bytes = cut.map_or(bytes.len(), |part| part_of(bytes.len(), part));
        let bytes = Some(bytes.slice(..n_bytes));
        Self { source: Source::Whole { bytes, cut: cut.is_some() }, _in_flight: in_flight }
    }

    pub(crate) fn stream(plan: StreamPlan, knobs: &Knobs, in_flight: Option<InFlight>) -> Self {
        let n_tokens = plan.answer.n_tokens() as usize;
        let n_all = match plan.ending {
            Ending::Proper => n_tokens,
            Ending::Cut(part) | Ending::Stall(part) => part_of(n_tokens, part),
        };
        let stream = Stream {
            answer: plan.answer,
            sleep: Box::pin(tokio::time::sleep_until(plan.first)),
            pace: plan.pace,
            ending: plan.ending,
            tokens_per_chunk: knobs.tokens_per_chunk as usize,
            n_sent: 0,
            n_all,
            opened: false,
            ended: false,
        };
        Self { source: Source::Stream(stream), _in_flight: in_flight }
    }

    /// How long the rest is, when a `content-length` said so.
    pub(crate) fn announced(&self) -> Option<u64> {
        match &self.source {
            Source::Whole { bytes, cut: false } => Some(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            _ => None,
        }
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        match &mut self.source {
            Source::Whole { bytes, cut } => Poll::Ready(match bytes.take() {
                Some(bytes) if !bytes.is_empty() => Some(Ok(bytes)),
                _ => cut.then(|| Err(was_cut())),
            }),
            Source::Stream(stream) => stream.poll_next(cx),
        }
    }
}

impl Stream {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        ready!(self.sleep.as_mut().poll(cx));
        if self.n_sent == self.n_all && self.opened {
            match self.ending {
                Ending::Stall(_) => return Poll::Pending,
                Ending::Cut(_) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(was_cut())));
                }
                Ending::Proper => {}
            }
        }
        let tokens: Range<usize> = self.n_sent..(self.n_sent + self.tokens_per_chunk).min(self.n_all);
        self.n_sent = tokens.end;
        let mut text = String::with_capacity(640);
        if !self.opened {
            self.opened = true;
            self.answer.opening(&mut text);
        }
        if !tokens.is_empty() {
            self.answer.delta(&mut text, tokens);
        }
        if self.n_sent == self.n_all && self.ending == Ending::Proper {
            self.answer.closing(&mut text);
            self.ended = true;
        } else {
            // From deadline to deadline: a late reader does not slow the server down.
            let next = self.sleep.deadline() + self.pace;
            self.sleep.as_mut().reset(next);
        }
        Poll::Ready(Some(Ok(Bytes::from(text))))
    }
}

fn was_cut() -> Failure {
    Failure::new(FailureKind::Disconnected, "a simulated cut")
}

/// This part of `n`, always less than all of it.
fn part_of(n: usize, part: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a length times a number in 0..1"
    )]
    let some = (n as f64 * part) as usize;
    some.min(n.saturating_sub(1))
}
