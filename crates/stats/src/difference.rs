//! T3 and T4 for bad events: how much worse is the candidate, paired (shadow) or by arm (canary)?
//!
//! Both are functions of three or four integers: they merge by adding, need no order of events, and can be recomputed from the
//! record. The e-value is a mixture of fixed bets ([`running_mean`]), so it speaks about the average over the epoch and a traffic
//! mix that drifts cannot fake a pass.

use serde::{Deserialize, Serialize};

use crate::eprocess::count;
use crate::running_mean::{self, Cell};

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
        running_mean::log_e(self.improvements(), -margin, -1.0)
    }

    /// The candidate's excess of bad events is below this at all times, with probability `1 - alpha`.
    #[must_use]
    pub fn upper_bound(&self, alpha: f64) -> Option<f64> {
        running_mean::lower_bound(self.improvements(), -1.0, alpha).map(|bound| -bound)
    }

    /// Adds the pairs of another replica.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.n_candidate_worse += other.n_candidate_worse;
        self.n_baseline_worse += other.n_baseline_worse;
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

    /// The values of `-D`, and how often each was seen.
    fn improvements(&self) -> impl Iterator<Item = Cell> + Clone {
        let n_equal = self.n.saturating_sub(self.n_candidate_worse).saturating_sub(self.n_baseline_worse);
        [(self.n_candidate_worse, -1.0), (n_equal, 0.0), (self.n_baseline_worse, 1.0)].into_iter()
    }
}

/// Each unit is on one arm: `Z = A (Y - centre) / share - (1 - A)(Y - centre) / (1 - share)` has mean `p1 - p0`.
///
/// `share` and `centre` (a guess of the bad rate made before the epoch) are fixed per epoch; a poor guess costs power, never
/// validity. `Z` is the Horvitz-Thompson estimate of one unit's effect: unbiased for any share that was fixed before the unit came.
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

    /// Adds the units of another replica, counted in the same epoch.
    pub fn merge(&mut self, other: &Self) {
        self.add(true, other.n_candidate, other.bad_candidate);
        self.add(false, other.n_baseline, other.bad_baseline);
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
        self.improvements().map_or(0.0, |(cells, floor)| running_mean::log_e(cells, -margin, floor))
    }

    /// The candidate's excess of bad events is below this at all times, with probability `1 - alpha`.
    #[must_use]
    pub fn upper_bound(&self, alpha: f64) -> Option<f64> {
        let (cells, floor) = self.improvements()?;
        running_mean::lower_bound(cells, floor, alpha).map(|bound| -bound)
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

    /// The values of `-Z` with how often each was seen, and the lowest it can be.
    fn improvements(&self) -> Option<(impl Iterator<Item = Cell> + Clone + use<>, f64)> {
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
        let floor = -((1.0 - self.centre) * to_candidate).max(self.centre * to_baseline);
        Some((cells.into_iter(), floor))
    }
}

/// `ln E` over several epochs, each with its own share, against "the candidate's bad rate is higher by at least `margin`".
///
/// The epochs' counts are never pooled (a mix that moves with the share would turn a worse candidate into a better one: Simpson's
/// paradox); their log growth is added bet by bet. Within an epoch every unit counts alike; between epochs a unit weighs
/// `1 / (-margin - floor)`, which is about its epoch's smaller share: the average that is proven is over units so weighted.
#[must_use]
pub fn log_e_across(epochs: &[UnpairedDifference], margin: f64) -> f64 {
    let mut sum = [0.0; running_mean::N_BETS];
    for (cells, floor) in epochs.iter().filter_map(UnpairedDifference::improvements) {
        for (sum, wealth) in sum.iter_mut().zip(running_mean::wealth(cells, -margin, floor)) {
            *sum += wealth;
        }
    }
    running_mean::mixture(&sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arms_without_errors_pass_one_point_within_five_hundred_pairs() {
        let needed = (1..).find(|n| PairedDifference::from_counts(*n, 0, 0).log_e(0.01) >= 20_f64.ln());
        assert!(needed.is_some_and(|n| (300..500).contains(&n)), "{needed:?}");
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
    fn epochs_with_other_shares_add_their_growth_and_never_their_counts() {
        // The base rate falls while the share rises: pooled counts would say that a worse candidate is better.
        let (mut early, mut late) = (UnpairedDifference::new(0.1, 0.2), UnpairedDifference::new(0.9, 0.01));
        early.add(true, 1000, 220);
        early.add(false, 9000, 1800);
        late.add(true, 9000, 270);
        late.add(false, 1000, 10);
        let pooled = (490.0 / 10_000.0) - (1810.0 / 10_000.0);
        assert!(pooled < -0.1, "{pooled}");
        assert!((log_e_across(&[early], 0.03) - early.log_e(0.03)).abs() < 1e-12);
        assert!(log_e_across(&[early, late], 0.02) < 0.0, "a candidate worse by the margin in both epochs");
        let mut twice = early;
        twice.merge(&early);
        assert!((log_e_across(&[early, early], 0.1) - twice.log_e(0.1)).abs() < 1e-9, "two halves are the whole");
        assert!(log_e_across(&[], 0.05).abs() < 1e-12);
    }

    #[test]
    fn a_share_of_one_compares_nothing() {
        let mut difference = UnpairedDifference::new(1.0, 0.01);
        difference.add(true, 1000, 0);
        assert!(difference.log_e(0.01).abs() < 1e-12);
        assert_eq!(difference.upper_bound(0.05), None);
    }
}
