//! T3 and T4 for bad events: how much worse is the candidate, paired (shadow) or by arm (canary)?
//!
//! Both count events, centre their predictions at "no difference", and so are functions of four integers: they merge by
//! adding, need no order of events, and can be recomputed from the record.

use serde::{Deserialize, Serialize};

use crate::bounded::EmpiricalBernstein;
use crate::eprocess::count;

/// Both arms answered the same request: D is 1 where only the candidate was bad, -1 where only the baseline was, else 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedDifference {
    n: u64,
    n_candidate_worse: u64,
    n_baseline_worse: u64,
}

impl PairedDifference {
    /// Counts one pair.
    pub fn observe(&mut self, baseline_bad: bool, candidate_bad: bool) {
        self.n += 1;
        self.n_candidate_worse += u64::from(candidate_bad && !baseline_bad);
        self.n_baseline_worse += u64::from(baseline_bad && !candidate_bad);
    }

    /// From counters kept elsewhere.
    #[must_use]
    pub fn from_counts(n: u64, n_candidate_worse: u64, n_baseline_worse: u64) -> Self {
        Self { n, n_candidate_worse, n_baseline_worse }
    }

    /// `ln E` against "the candidate is worse by at least `margin`, on average over the pairs so far".
    #[must_use]
    pub fn log_e(&self, margin: f64) -> f64 {
        self.improvement().log_e(-margin)
    }

    /// The candidate's excess of bad events is below this at all times, with probability `1 - alpha`.
    #[must_use]
    pub fn upper_bound(&self, alpha: f64) -> Option<f64> {
        self.improvement().lower_bound(alpha).map(|bound| -bound)
    }

    /// The candidate's excess of bad events per pair.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        (self.n > 0).then(|| (count(self.n_candidate_worse) - count(self.n_baseline_worse)) / count(self.n))
    }

    /// Pairs so far.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Pairs in which only the candidate was bad, and in which only the baseline was.
    #[must_use]
    pub fn discordant(&self) -> (u64, u64) {
        (self.n_candidate_worse, self.n_baseline_worse)
    }

    /// `-D`, centred at 0: it never falls more than 1 below.
    fn improvement(&self) -> EmpiricalBernstein {
        let (worse, better) = (count(self.n_candidate_worse), count(self.n_baseline_worse));
        EmpiricalBernstein::from_totals(1.0, self.n, better - worse, better + worse)
    }
}

/// Each unit is on one arm: `Z = A (Y - centre) / share - (1 - A)(Y - centre) / (1 - share)` has mean `p1 - p0`.
///
/// `share` and `centre` (a guess of the bad rate made before the epoch) are fixed per epoch; a poor guess costs power, never
/// validity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnpairedDifference {
    share: f64,
    centre: f64,
    n_candidate: u64,
    bad_candidate: u64,
    n_baseline: u64,
    bad_baseline: u64,
}

impl UnpairedDifference {
    /// For one epoch with a fixed `share` of the candidate.
    #[must_use]
    pub fn new(share: f64, centre: f64) -> Self {
        Self { share, centre: centre.clamp(0.0, 1.0), n_candidate: 0, bad_candidate: 0, n_baseline: 0, bad_baseline: 0 }
    }

    /// Counts one unit's outcome.
    pub fn observe(&mut self, is_candidate: bool, bad: bool) {
        self.add(is_candidate, 1, u64::from(bad));
    }

    /// Counts many outcomes of one arm at once.
    pub fn add(&mut self, is_candidate: bool, n: u64, n_bad: u64) {
        if is_candidate {
            self.n_candidate += n;
            self.bad_candidate += n_bad;
        } else {
            self.n_baseline += n;
            self.bad_baseline += n_bad;
        }
    }

    /// `ln E` against "the candidate's bad rate is higher by at least `margin`". 0 where the share leaves one arm empty.
    #[must_use]
    pub fn log_e(&self, margin: f64) -> f64 {
        self.improvement().map_or(0.0, |improvement| improvement.log_e(-margin))
    }

    /// The candidate's excess of bad events is below this at all times, with probability `1 - alpha`.
    #[must_use]
    pub fn upper_bound(&self, alpha: f64) -> Option<f64> {
        self.improvement()?.lower_bound(alpha).map(|bound| -bound)
    }

    /// The difference of the two arms' bad rates.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        let rate = |bad: u64, n: u64| (n > 0).then(|| count(bad) / count(n));
        Some(rate(self.bad_candidate, self.n_candidate)? - rate(self.bad_baseline, self.n_baseline)?)
    }

    /// Units of the candidate and how many were bad.
    #[must_use]
    pub fn candidate(&self) -> (u64, u64) {
        (self.n_candidate, self.bad_candidate)
    }

    /// Units of the baseline and how many were bad.
    #[must_use]
    pub fn baseline(&self) -> (u64, u64) {
        (self.n_baseline, self.bad_baseline)
    }

    /// `-Z`, centred at 0; it falls at most `max((1 - centre) / share, centre / (1 - share))` below.
    fn improvement(&self) -> Option<EmpiricalBernstein> {
        if !(self.share > 0.0 && self.share < 1.0) {
            return None;
        }
        let (to_candidate, to_baseline) = (1.0 / self.share, 1.0 / (1.0 - self.share));
        let cells = [
            (self.bad_candidate, -(1.0 - self.centre) * to_candidate),
            (self.n_candidate - self.bad_candidate, self.centre * to_candidate),
            (self.bad_baseline, (1.0 - self.centre) * to_baseline),
            (self.n_baseline - self.bad_baseline, -self.centre * to_baseline),
        ];
        let scale = ((1.0 - self.centre) * to_candidate).max(self.centre * to_baseline);
        let sum = cells.iter().map(|(n, value)| count(*n) * value).sum();
        let sum_sq = cells.iter().map(|(n, value)| count(*n) * value * value).sum();
        Some(EmpiricalBernstein::from_totals(scale, self.n_candidate + self.n_baseline, sum, sum_sq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arms_without_errors_pass_one_point_within_six_hundred_pairs() {
        let needed = (1..).find(|n| PairedDifference::from_counts(*n, 0, 0).log_e(0.01) >= 20_f64.ln());
        assert!(needed.is_some_and(|n| (400..600).contains(&n)), "{needed:?}");
    }

    #[test]
    fn a_candidate_at_the_margin_does_not_pass() {
        assert!(PairedDifference::from_counts(10_000, 150, 50).log_e(0.01) < 0.0);
        assert!(PairedDifference::from_counts(10_000, 100, 100).log_e(0.01) > 20_f64.ln());
    }

    #[test]
    fn the_estimate_of_the_arms_is_the_difference_of_their_rates() {
        let mut difference = UnpairedDifference::new(0.1, 0.01);
        difference.add(true, 1000, 20);
        difference.add(false, 9000, 90);
        assert!((difference.estimate().unwrap() - 0.01).abs() < 1e-12);
        assert_eq!((difference.candidate(), difference.baseline()), ((1000, 20), (9000, 90)));
    }

    #[test]
    fn both_bounds_agree_with_their_e_values() {
        let paired = PairedDifference::from_counts(4000, 30, 25);
        let bound = paired.upper_bound(0.05).unwrap();
        assert!((paired.log_e(bound) - 20_f64.ln()).abs() < 1e-6);
        let mut unpaired = UnpairedDifference::new(0.5, 0.01);
        unpaired.add(true, 5000, 50);
        unpaired.add(false, 5000, 50);
        let bound = unpaired.upper_bound(0.05).unwrap();
        assert!((unpaired.log_e(bound) - 20_f64.ln()).abs() < 1e-6);
        assert!(bound > 0.0 && bound < 0.02, "{bound}");
    }

    #[test]
    fn a_share_of_one_compares_nothing() {
        let mut difference = UnpairedDifference::new(1.0, 0.01);
        difference.add(true, 1000, 0);
        assert!(difference.log_e(0.01).abs() < 1e-12);
        assert_eq!(difference.upper_bound(0.05), None);
    }
}
