//! Does the candidate cost more per request than the baseline, by more than is allowed?

use serde::{Deserialize, Serialize};
use stats::EmpiricalBernstein;

use crate::Timestamp;
use crate::assign::Arm;
use crate::breach::{Action, Breach, BreachCause};
use crate::policy::CostPolicy;

/// So many of the baseline's costs say what a cost is; they are not counted themselves.
const TO_CALIBRATE: u64 = 50;
/// A cost above this many times their mean counts as this many times.
const LARGEST: f64 = 20.0;
/// `exp` of this is the largest e-value written down.
const LARGEST_LOG_E: f64 = 690.0;

/// What one request cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostOutcome {
    /// The unit's position on the interval, or any other hash of its key.
    pub unit: u64,
    /// The arm the unit is assigned to; the cost is that of this arm's attempt.
    pub arm: Arm,
    /// When the request was admitted; one admitted before the epoch began is ignored.
    pub admitted_at: Timestamp,
    /// When the cost became known.
    pub at: Timestamp,
    /// The cost in nano-dollars.
    pub nanos: u64,
}

/// Rejects "the candidate's mean cost is at most `ratio` times the baseline's", by the first priced request of each unit.
///
/// `Z = A X / share - ratio (1 - A) X / (1 - share)` has mean `mean of the candidate - ratio * mean of the baseline`; X is the cost, cut off
/// at 20 times the mean of the baseline's first 50 and divided by that. Z is never below `-ratio / (1 - share)`, so that an
/// empirical-Bernstein e-process (Howard et al. 2021) bounds its running average at all times, however the prices and the mix of requests
/// drift. What is cut off hides from it: a candidate that is dear once in a thousand requests is for a budget to stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CostGuard {
    ratio: f64,
    alpha: f64,
    pub(crate) action: Action,
    share: f64,
    calibrated: Tally,
    counted: [Tally; 2],
    test: EmpiricalBernstein,
}

/// Costs and their sum in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    n: u64,
    sum: f64,
}

impl Tally {
    fn add(&mut self, cost: f64) {
        self.n += 1;
        self.sum += cost;
    }

    fn mean(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}

impl CostGuard {
    /// `None` where the share leaves one arm empty.
    pub(crate) fn new(policy: &CostPolicy, share: f64) -> Option<Self> {
        (share > 0.0 && share < 1.0).then(|| Self {
            ratio: policy.ratio,
            alpha: policy.alpha,
            action: policy.action,
            share,
            calibrated: Tally::default(),
            counted: Default::default(),
            test: EmpiricalBernstein::new(policy.ratio / (1.0 - share)),
        })
    }

    /// Counts the cost of a unit's first priced request.
    pub(crate) fn observe(&mut self, arm: Arm, nanos: u64) {
        let cost = nanos as f64;
        if self.calibrated.n < TO_CALIBRATE {
            if arm == Arm::Baseline {
                self.calibrated.add(cost);
            }
            return;
        }
        let Some(most) = self.calibrated.mean().map(|mean| mean * LARGEST).filter(|most| *most > 0.0) else { return };
        self.counted[arm.idx()].add(cost);
        let part = (cost / most).min(1.0);
        let z = match arm {
            Arm::Candidate => part / self.share,
            Arm::Baseline => -self.ratio * part / (1.0 - self.share),
        };
        self.test.observe(z, 0.0);
    }

    pub(crate) fn log_e(&self) -> f64 {
        self.test.log_e(0.0)
    }

    pub(crate) fn threshold(&self) -> f64 {
        1.0 / self.alpha
    }

    pub(crate) fn e_value(&self) -> f64 {
        self.log_e().min(LARGEST_LOG_E).exp()
    }

    /// Units counted and their mean cost in nano-dollars.
    pub(crate) fn mean(&self, arm: Arm) -> (u64, Option<f64>) {
        let tally = self.counted[arm.idx()];
        (tally.n, tally.mean())
    }

    pub(crate) fn ratio(&self) -> f64 {
        self.ratio
    }

    pub(crate) fn breach(&self) -> Option<Breach> {
        (self.e_value() >= self.threshold()).then(|| Breach {
            e_value: self.e_value(),
            threshold: self.threshold(),
            n_candidate: self.counted[Arm::Candidate.idx()].n,
            n_baseline: self.counted[Arm::Baseline.idx()].n,
            share: self.share,
            ..Breach::without_numbers(BreachCause::Cost)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units until the guard speaks, of at most 20 000: costs run through a cycle that both arms see alike.
    fn check(share: f64, times: u64) -> Option<u64> {
        let policy = CostPolicy { ratio: 1.5, alpha: 0.01, action: Action::Pause };
        let mut guard = CostGuard::new(&policy, share).unwrap();
        (0..20_000).find(|n| {
            // A golden-ratio walk spreads the arms evenly, and the costs over a decade.
            let position = (*n as f64 * 0.618_033_988_749_895).fract();
            let cost = 1000 * (1 + n * 7 % 10);
            let arm = if position < share { Arm::Candidate } else { Arm::Baseline };
            guard.observe(arm, if arm == Arm::Candidate { cost * times } else { cost });
            guard.breach().is_some()
        })
    }

    #[test]
    fn a_candidate_that_is_dearer_than_allowed_is_found_and_one_within_bounds_is_not() {
        for share in [0.05, 0.5, 0.98] {
            assert_eq!(check(share, 1), None, "as dear at a share of {share}");
        }
        let found = [check(0.05, 3), check(0.5, 3), check(0.5, 2)].map(Option::unwrap);
        assert!(found[0] < 15_000 && found[1] < 1000 && found[2] < 5000, "{found:?}");
    }

    #[test]
    fn free_answers_say_nothing() {
        let mut guard = CostGuard::new(&CostPolicy { ratio: 1.5, alpha: 0.01, action: Action::Pause }, 0.5).unwrap();
        for n in 0..1000 {
            guard.observe(if n % 2 == 0 { Arm::Candidate } else { Arm::Baseline }, 0);
        }
        assert_eq!((guard.breach(), guard.mean(Arm::Candidate)), (None, (0, None)));
        assert!(CostGuard::new(&CostPolicy { ratio: 1.5, alpha: 0.01, action: Action::Pause }, 1.0).is_none());
    }
}
