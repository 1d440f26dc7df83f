//! A pair: what both arms made of the same request. Whichever side ends last reports it.

use std::sync::{Arc, Mutex, PoisonError};

use rollout::{MetricSet, PairOutcome, Timestamp};
use wire::ids::ExchangeId;

use crate::live::LiveRollout;

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

/// Both sides of a pair, shared by the live side and the shadow.
#[derive(Debug)]
pub(crate) struct Pair {
    rollout: Arc<LiveRollout>,
    epoch: u32,
    unit: u64,
    admitted_us: u64,
    exchange: ExchangeId,
    sides: Mutex<Sides>,
}

#[derive(Debug, Default)]
struct Sides {
    live: Option<Half>,
    shadow: Option<Half>,
}

impl Pair {
    pub(crate) fn new(
        rollout: &Arc<LiveRollout>,
        epoch: u32,
        unit: u64,
        (admitted_us, exchange): (u64, ExchangeId),
    ) -> Self {
        Self { rollout: Arc::clone(rollout), epoch, unit, admitted_us, exchange, sides: Mutex::default() }
    }

    /// The live side ended.
    pub(crate) fn live(&self, half: Half) {
        self.settle(|sides| sides.live = Some(half));
    }

    /// The shadow's side ended.
    pub(crate) fn shadow(&self, half: Half) {
        self.settle(|sides| sides.shadow = Some(half));
    }

    fn settle(&self, ended: impl FnOnce(&mut Sides)) {
        let (live, shadow) = {
            let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
            ended(&mut sides);
            (sides.live, sides.shadow)
        };
        if let (
            Some(Half::Known { observed, bad: baseline_bad, .. }),
            Some(Half::Known { observed: candidate_observed, bad: candidate_bad, times }),
        ) = (live, shadow)
        {
            // A baseline that failed says nothing about the quality of a pair: what only whole answers are judged on is then
            // not observed, and neither side can be bad on it.
            let observed = observed.and(candidate_observed);
            self.rollout.observe_paired_exchange(
                self.epoch,
                &PairOutcome {
                    unit: self.unit,
                    admitted_at: Timestamp(self.admitted_us),
                    at: crate::live::now(),
                    observed,
                    baseline_bad: baseline_bad.and(observed),
                    candidate_bad: candidate_bad.and(observed),
                    time_to_first_token_us: times.0,
                    duration_us: times.1,
                },
                self.exchange,
            );
        }
    }
}
