//! Is it the same within a margin? Two one-sided tests (TOST) for a fixed sample: rates on the same requests, and means.
//!
//! Not finding a difference proves nothing; these tests turn the burden round: the null is that the difference is at least the margin. One
//! of the two p-values alone is a non-inferiority test. Sources: Schuirmann (1987) for TOST; Tango, "Equivalence test and confidence interval for the
//! difference in proportions for the paired-sample design" (1998), sections 2 and 3; Welch (1947) for unequal variances.

use crate::eprocess::count;
use crate::special::{normal_tail, student_tail};

/// The two one-sided p-values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Equivalence {
    /// Against "the difference is at least the margin".
    pub p_below_margin: f64,
    /// Against "the difference is at most minus the margin".
    pub p_above_minus_margin: f64,
}

/// How many values, their mean, and their variance (divided by n - 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// How many.
    pub n: u64,
    /// Their mean.
    pub mean: f64,
    /// Their variance, divided by `n - 1`.
    pub variance: f64,
}

impl Equivalence {
    /// The p-value of the equivalence test: the larger of the two.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.p_below_margin.max(self.p_above_minus_margin)
    }
}

impl Moments {
    /// Of these values; a variance of fewer than two is NaN.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Self { n: values.len() as u64, mean, variance: if values.len() < 2 { f64::NAN } else { squares / (n - 1.0) } }
    }
}

/// Bad rates on the same `n` requests, of which `only_candidate` and `only_baseline` were bad for one arm alone. `None` for no request.
///
/// Tango's score statistic `(b - c - n d) / sqrt(n (2 q + d (1 - d)))`, with `q` the most likely rate of baseline-only pairs where the
/// difference of rates is `d`. It stays defined and keeps its size where no pair disagrees, unlike Wald's.
#[must_use]
pub fn paired_rates(n: u64, only_candidate: u64, only_baseline: u64, margin: f64) -> Option<Equivalence> {
    if n == 0 {
        return None;
    }
    let score = |difference: f64| tango(count(n), count(only_candidate), count(only_baseline), difference);
    let (below, above) = (score(margin), score(-margin));
    Some(Equivalence { p_below_margin: normal_tail(-below), p_above_minus_margin: normal_tail(above) })
}

/// Means of paired differences (candidate minus baseline), by Student's t. `None` for fewer than two, or where all are equal.
#[must_use]
pub fn paired_means(differences: Moments, margin: f64) -> Option<Equivalence> {
    let error = (differences.variance / count(differences.n)).sqrt();
    let df = count(differences.n) - 1.0;
    two_tails(differences.mean, error, df, margin)
}

/// Means of two groups (candidate minus baseline), by Welch's t. `None` where a group has fewer than two, or neither varies.
#[must_use]
pub fn group_means(candidate: Moments, baseline: Moments, margin: f64) -> Option<Equivalence> {
    let parts = [candidate, baseline].map(|group| group.variance / count(group.n));
    let both = parts[0] + parts[1];
    let df = both * both
        / (parts[0] * parts[0] / (count(candidate.n) - 1.0) + parts[1] * parts[1] / (count(baseline.n) - 1.0));
    two_tails(candidate.mean - baseline.mean, both.sqrt(), df, margin)
}

fn two_tails(difference: f64, error: f64, df: f64, margin: f64) -> Option<Equivalence> {
    if !(error > 0.0 && df > 0.0) {
        return None;
    }
    Some(Equivalence {
        p_below_margin: student_tail((margin - difference) / error, df),
        p_above_minus_margin: student_tail((difference + margin) / error, df),
    })
}

fn tango(n: f64, only_candidate: f64, only_baseline: f64, difference: f64) -> f64 {
    let linear = (2.0 * n - only_candidate + only_baseline) * difference - only_candidate - only_baseline;
    let constant = -only_baseline * difference * (1.0 - difference);
    let rate = ((linear * linear - 8.0 * n * constant).max(0.0).sqrt() - linear) / (4.0 * n);
    let variance = n * (2.0 * rate + difference * (1.0 - difference));
    (only_candidate - only_baseline - n * difference) / variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tango's own example: crossover trial of two lens disinfection systems, 44 pairs, 1 and 0 discordant, margin 0.1.
    #[test]
    fn the_papers_example() {
        let test = paired_rates(44, 0, 1, 0.1).unwrap();
        assert!((test.p_above_minus_margin - normal_tail(1.709)).abs() < 1e-3, "{test:?}");
    }

    #[test]
    fn no_disagreement_among_many_is_equivalence_and_among_few_is_not() {
        assert!(paired_rates(1000, 0, 0, 0.01).unwrap().p_value() < 0.01);
        assert!(paired_rates(20, 0, 0, 0.01).unwrap().p_value() > 0.3);
        assert_eq!(paired_rates(0, 0, 0, 0.01), None);
    }

    #[test]
    fn a_difference_at_the_margin_is_even() {
        let at = Moments { n: 40, mean: 0.02, variance: 0.01 };
        assert!((paired_means(at, 0.02).unwrap().p_below_margin - 0.5).abs() < 1e-12);
        let zero = Moments { mean: 0.0, ..at };
        assert!((group_means(at, zero, 0.02).unwrap().p_below_margin - 0.5).abs() < 1e-12);
        assert_eq!(paired_means(Moments::of(&[1.0, 1.0]), 0.1), None);
        assert_eq!(paired_means(Moments::of(&[1.0]), 0.1), None);
    }
}
