//! T3 and T4 for scores in `[0, 1]`: how much lower does the candidate score, paired (shadow) or by arm (canary)?
//!
//! A score may be a judge's (win 1, tie 0.5, loss 0), a similarity, a rating, or a label's agreement. Scores are counted in
//! thousandths, a candidate's rounded down and a baseline's up, so that rounding never helps a candidate to pass. What is kept is a
//! histogram: it merges by adding, needs no order, can be recomputed from the record, and answers for every margin at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::eprocess::count;
use crate::running_mean::{self, Cell};

const THOUSANDTHS: f64 = 1000.0;

/// How often each score was seen, in thousandths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Histogram(BTreeMap<i32, u64>);

/// Both arms' scores of the same request, as the difference candidate minus baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedScores {
    differences: Histogram,
}

/// Each unit is on one arm and gets a score; see [`UnpairedDifference`](crate::UnpairedDifference) for the estimate behind it.
///
/// `share` and `centre` (a guess of the mean score made before the epoch) are fixed per epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnpairedScores {
    share: f64,
    centre: f64,
    candidate: Histogram,
    baseline: Histogram,
}

impl PairedScores {
    /// Counts one pair of scores in `[0, 1]`; what lies outside is cut to it, what is not a number is not counted.
    pub fn observe(&mut self, baseline: f64, candidate: f64) {
        if !baseline.is_nan() && !candidate.is_nan() {
            self.differences.count(thousandths_down(candidate.clamp(0.0, 1.0) - baseline.clamp(0.0, 1.0)));
        }
    }

    /// Adds the pairs of another replica.
    pub fn merge(&mut self, other: &Self) {
        self.differences.merge(&other.differences);
    }

    /// `ln E` against "the candidate scores lower by at least `margin`, on average over the pairs so far". A margin of 0 asks
    /// whether it scores higher.
    #[must_use]
    pub fn log_e(&self, margin: f64) -> f64 {
        if !is_margin(margin) {
            return 0.0;
        }
        running_mean::log_e(self.differences.cells(), -margin, -1.0)
    }

    /// The candidate's score minus the baseline's is above this at all times, with probability `1 - alpha`.
    #[must_use]
    pub fn lower_bound(&self, alpha: f64) -> Option<f64> {
        running_mean::lower_bound(self.differences.cells(), -1.0, alpha)
    }

    /// The candidate's mean score minus the baseline's.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        self.differences.mean()
    }

    /// Pairs so far.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.differences.n()
    }
}

impl UnpairedScores {
    /// For one epoch with a fixed `share` of the candidate.
    #[must_use]
    pub fn new(share: f64, centre: f64) -> Self {
        let (candidate, baseline) = (Histogram::default(), Histogram::default());
        Self { share, centre: centre.clamp(0.0, 1.0), candidate, baseline }
    }

    /// Counts one unit's score in `[0, 1]`; what lies outside is cut to it, what is not a number is not counted.
    pub fn observe(&mut self, is_candidate: bool, score: f64) {
        let score = score.clamp(0.0, 1.0);
        if score.is_nan() {
            return;
        }
        if is_candidate {
            self.candidate.count(thousandths_down(score));
        } else {
            self.baseline.count(-thousandths_down(-score));
        }
    }

    /// Adds the units of another replica, counted in the same epoch.
    pub fn merge(&mut self, other: &Self) {
        self.candidate.merge(&other.candidate);
        self.baseline.merge(&other.baseline);
    }

    /// `ln E` against "the candidate scores lower by at least `margin`". 0 where the share leaves one arm empty.
    #[must_use]
    pub fn log_e(&self, margin: f64) -> f64 {
        if !is_margin(margin) {
            return 0.0;
        }
        self.effects().map_or(0.0, |(cells, floor)| running_mean::log_e(cells, -margin, floor))
    }

    /// The candidate's score minus the baseline's is above this at all times, with probability `1 - alpha`.
    #[must_use]
    pub fn lower_bound(&self, alpha: f64) -> Option<f64> {
        let (cells, floor) = self.effects()?;
        running_mean::lower_bound(cells, floor, alpha)
    }

    /// The difference of the two arms' mean scores.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        Some(self.candidate.mean()? - self.baseline.mean()?)
    }

    /// Units of the candidate and of the baseline.
    #[must_use]
    pub fn n(&self) -> (u64, u64) {
        (self.candidate.n(), self.baseline.n())
    }

    /// `Z = A (X - centre) / share - (1 - A)(X - centre) / (1 - share)` with how often each value was seen, and the lowest it can be.
    fn effects(&self) -> Option<(impl Iterator<Item = Cell> + Clone + '_, f64)> {
        if !(self.share > 0.0 && self.share < 1.0) {
            return None;
        }
        let (centre, share) = (self.centre, self.share);
        let candidate = self.candidate.cells().map(move |(n, score)| (n, (score - centre) / share));
        let baseline = self.baseline.cells().map(move |(n, score)| (n, -(score - centre) / (1.0 - share)));
        let floor = -(centre / share).max((1.0 - centre) / (1.0 - share));
        Some((candidate.chain(baseline), floor))
    }
}

impl Histogram {
    fn count(&mut self, thousandths: i32) {
        *self.0.entry(thousandths).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (thousandths, n) in &other.0 {
            *self.0.entry(*thousandths).or_default() += n;
        }
    }

    fn cells(&self) -> impl Iterator<Item = Cell> + Clone + '_ {
        self.0.iter().map(|(thousandths, n)| (*n, f64::from(*thousandths) / THOUSANDTHS))
    }

    fn n(&self) -> u64 {
        self.0.values().sum()
    }

    fn mean(&self) -> Option<f64> {
        let sum: f64 = self.cells().map(|(n, score)| count(n) * score).sum();
        (self.n() > 0).then(|| sum / count(self.n()))
    }
}

/// The next lower thousandth; a number within a millionth above one is that one (0.3 - 0.2 is 0.1).
fn thousandths_down(score: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "between -1000 and 1000")]
    let thousandths = (score * THOUSANDTHS + 1e-6).floor() as i32;
    thousandths
}

/// Nothing is proven for any other.
fn is_margin(margin: f64) -> bool {
    margin > -1.0 && margin < 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PairedDifference;

    #[test]
    fn scores_of_zero_and_one_are_the_difference_of_bad_events() {
        let (mut scores, mut events) = (PairedScores::default(), PairedDifference::default());
        for idx in 0..900 {
            let (baseline_bad, candidate_bad) = (idx % 7 == 0, idx % 5 == 0);
            scores.observe(f64::from(u8::from(!baseline_bad)), f64::from(u8::from(!candidate_bad)));
            events.observe(baseline_bad, candidate_bad);
        }
        assert!((scores.log_e(0.1) - events.log_e(0.1)).abs() < 1e-9);
        assert!((scores.lower_bound(0.05).unwrap() + events.upper_bound(0.05).unwrap()).abs() < 1e-9);
        assert!((scores.estimate().unwrap() + events.estimate().unwrap()).abs() < 1e-12);
    }

    #[test]
    fn rounding_never_helps_the_candidate() {
        assert_eq!(
            (thousandths_down(0.3 - 0.2), thousandths_down(0.1004), thousandths_down(-0.1004)),
            (100, 100, -101)
        );
        let mut scores = UnpairedScores::new(0.5, 0.5);
        scores.observe(true, 0.12345);
        scores.observe(false, 0.12345);
        assert!((scores.estimate().unwrap() + 0.001).abs() < 1e-12);
    }

    #[test]
    fn replicas_merge_by_adding() {
        let new = || (PairedScores::default(), UnpairedScores::new(0.2, 0.7));
        let (mut all, mut left, mut right) = (new(), new(), new());
        for idx in 0..500_u32 {
            let (first, second) = (f64::from(idx % 11) / 10.0, f64::from(idx % 13) / 12.0);
            for part in [&mut all, if idx % 3 == 0 { &mut left } else { &mut right }] {
                part.0.observe(first, second);
                part.1.observe(idx % 5 == 0, second);
            }
        }
        left.0.merge(&right.0);
        left.1.merge(&right.1);
        assert_eq!(left, all);
        assert_eq!((all.0.n(), all.1.n()), (500, (100, 400)));
    }

    #[test]
    fn equal_arms_pass_and_nothing_is_proven_by_nothing() {
        let mut scores = UnpairedScores::new(0.5, 0.8);
        assert_eq!((scores.log_e(0.05), scores.lower_bound(0.05), scores.estimate()), (0.0, None, None));
        for idx in 0..4000_u32 {
            scores.observe(idx % 2 == 0, [0.6, 0.8, 0.9, 0.9][idx as usize / 2 % 4]);
        }
        assert!(scores.log_e(0.05) > 20_f64.ln(), "{}", scores.log_e(0.05));
        scores.observe(true, f64::NAN);
        assert_eq!(scores.n(), (2000, 2000));
        assert_eq!((scores.log_e(1.0), scores.log_e(f64::NAN)), (0.0, 0.0));
    }
}
