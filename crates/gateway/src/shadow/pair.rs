//! A pair: what both arms made of the same request. Whichever side ends last reports it to guards and gates; how far the answers are
//! apart is the shadow's to find out, when both have ended.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rollout::{Metric, MetricSet, PairOutcome, Timestamp};
use tokio::sync::Notify;
use wire::failure::FailureKind;
use wire::ids::ExchangeId;

use super::{Room, Stratum};
use crate::live::LiveRollout;

/// What is about how long something took.
const TIMES: MetricSet = MetricSet::of(&[Metric::Timeout, Metric::Slow, Metric::SlowFirstToken]);

/// One side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// It ended and is evidence.
    Known {
        observed: MetricSet,
        bad: MetricSet,
        /// Time to the first token and to the end, for the candidate's side.
        times: (Option<u64>, Option<u64>),
    },
    /// It ended and is none.
    NoEvidence,
}

/// An answer, to be compared with another.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The bytes the provider sent, or the beginning of them.
    pub(crate) answer: Bytes,
    /// How many it sent.
    pub(crate) n_bytes: u64,
    /// Why there is no answer.
    pub(crate) failure: Option<FailureKind>,
    /// Why the model stopped.
    pub(crate) finish_reason: Option<String>,
    /// Gaps between the pieces of its stream, microseconds.
    pub(crate) gaps_us: Vec<u64>,
    /// There was no room to keep all of it.
    pub(crate) unkept: bool,
    /// What it holds of the shadow's memory.
    pub(crate) room: Option<Room>,
}

/// Both sides of a pair, shared by the live side and the shadow.
#[derive(Debug)]
pub(crate) struct Pair {
    rollout: Arc<LiveRollout>,
    epoch: u32,
    unit: u64,
    admitted_us: u64,
    exchange: ExchangeId,
    stratum: Arc<Stratum>,
    sides: Mutex<Sides>,
    live_ended: Notify,
}

#[derive(Debug, Default)]
struct Sides {
    live: Option<Half>,
    shadow: Option<Half>,
    heard: Option<Arc<Heard>>,
    /// The copy was made later than its request came.
    deferred: bool,
}

impl Pair {
    pub(crate) fn new(
        rollout: &Arc<LiveRollout>,
        epoch: u32,
        unit: u64,
        (admitted_us, exchange, stratum): (u64, ExchangeId, &Arc<Stratum>),
    ) -> Self {
        let (rollout, stratum) = (Arc::clone(rollout), Arc::clone(stratum));
        let (sides, live_ended) = (Mutex::default(), Notify::new());
        Self { rollout, epoch, unit, admitted_us, exchange, stratum, sides, live_ended }
    }

    /// A pair whose live side ended long ago.
    pub(crate) fn later(self, live: Half, heard: Option<Heard>) -> Self {
        let sides = Sides { live: Some(live), shadow: None, heard: heard.map(Arc::new), deferred: true };
        Self { sides: Mutex::new(sides), ..self }
    }

    /// The live side ended.
    pub(crate) fn live(&self, half: Half, heard: Option<Arc<Heard>>) {
        self.settle(|sides| {
            sides.live = Some(half);
            // Where there is no copy there is nothing to compare with.
            sides.heard = heard.filter(|_| sides.shadow != Some(Half::NoEvidence));
        });
        self.live_ended.notify_one();
    }

    /// The shadow's side ended.
    pub(crate) fn shadow(&self, half: Half) {
        self.settle(|sides| sides.shadow = Some(half));
    }

    /// Waits for the live side to end; its answer, when it is evidence.
    pub(crate) async fn baseline(&self) -> Option<Arc<Heard>> {
        loop {
            let ended = self.live_ended.notified();
            {
                let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
                if sides.live.is_some() {
                    return sides.heard.take();
                }
            }
            ended.await;
        }
    }

    fn settle(&self, ended: impl FnOnce(&mut Sides)) {
        let (live, shadow, deferred) = {
            let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
            ended(&mut sides);
            (sides.live, sides.shadow, sides.deferred)
        };
        if let (
            Some(Half::Known { observed, bad: baseline_bad, .. }),
            Some(Half::Known { observed: candidate_observed, bad: candidate_bad, times }),
        ) = (live, shadow)
        {
            // A baseline that failed says nothing about the quality of a pair: what only whole answers are judged on is then
            // not observed, and neither side can be bad on it.
            let observed = observed.and(candidate_observed);
            // A copy that is made later has the machine to itself: how long it took says nothing.
            let (observed, times) =
                if deferred { (observed.and(MetricSet::ALL.xor(TIMES)), (None, None)) } else { (observed, times) };
            let outcome = PairOutcome {
                unit: self.unit,
                admitted_at: Timestamp(self.admitted_us),
                at: crate::live::now(),
                observed,
                baseline_bad: baseline_bad.and(observed),
                candidate_bad: candidate_bad.and(observed),
                time_to_first_token_us: times.0,
                duration_us: times.1,
            };
            self.rollout.observe_paired_exchange(self.epoch, &outcome, (self.exchange, &self.stratum.name));
        }
    }
}
