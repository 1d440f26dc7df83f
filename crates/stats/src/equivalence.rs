//! Is it the same within a margin? Two one-sided tests (TOST) for a fixed sample: rates on the same requests, and means.
//!
//! Not finding a difference proves nothing; these tests turn the burden round: the null is that the difference is at least the margin. One
//! of the two p-values alone is a non-inferiority test. Sources: Schuirmann (1987) for TOST; Tango, "Equivalence test and confidence interval for the
//! difference in proportions for the paired-sample design" (1998), sections 2 and 3; Welch (1947) for unequal variances; Waudby-Smith and Ramdas, "Estimating means
//! of bounded random variables by betting" (2024), section 4, where nothing but the bounds is known; Liang and Zeger (1986) for clusters.

use crate::eprocess::count;
use crate::special::{normal_quantile, normal_tail, student_tail};

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

    /// Of values that come in clusters, each as `(how many, their sum)`, as [`bootstrap::by_cluster`](crate::bootstrap::by_cluster) gathers them.
    ///
    /// The mean is over values; `n` counts clusters, and the variance is such that `variance / n` is the squared cluster-robust error of the mean.
    #[must_use]
    pub fn clustered(clusters: &[(u64, f64)]) -> Self {
        let groups = clusters.len() as f64;
        let n: f64 = clusters.iter().map(|(n_here, _)| count(*n_here)).sum();
        let mean = clusters.iter().map(|(_, sum)| sum).sum::<f64>() / n;
        let squares: f64 = clusters.iter().map(|(n_here, sum)| (sum - count(*n_here) * mean).powi(2)).sum();
        let variance = if clusters.len() < 2 { f64::NAN } else { squares * groups * groups / (groups - 1.0) / (n * n) };
        Self { n: clusters.len() as u64, mean, variance }
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

/// The interval of the difference of bad rates (candidate minus baseline) at level `1 - alpha`: what Tango's score does not reject. `None` for no request.
///
/// It agrees with [`paired_rates`]: an interval at `1 - 2 alpha` lies below the margin where the one-sided test rejects at `alpha`.
#[must_use]
pub fn paired_rates_interval(n: u64, only_candidate: u64, only_baseline: u64, alpha: f64) -> Option<(f64, f64)> {
    if n == 0 || !(alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let z = normal_quantile(1.0 - 0.5 * alpha);
    let estimate = (count(only_candidate) - count(only_baseline)) / count(n);
    let rejected = |difference: f64| tango(count(n), count(only_candidate), count(only_baseline), difference).abs() > z;
    let end_towards = |limit: f64| {
        let (mut kept, mut out) = (estimate, limit);
        for _ in 0..60 {
            let middle = f64::midpoint(kept, out);
            if rejected(middle) { out = middle } else { kept = middle }
        }
        kept
    };
    Some((end_towards(-1.0), end_towards(1.0)))
}

/// Means of differences within `[-1, 1]` (candidate minus baseline) in the order they came, with nothing assumed but independence.
///
/// Exact at every size, where Student's t needs some hundred values that are not skewed; in return it needs more of them. A bettor stakes
/// `sqrt(2 ln(1 / alpha) / (n v))` on each next value, with `v` the variance seen before it, at most half of what keeps the wealth above 0; the
/// p-value is one over the most wealth on the way. `alpha` only tunes the stakes. `None` for no values, or what is not a number.
#[must_use]
pub fn bounded_means(differences: &[f64], margin: f64, alpha: f64) -> Option<Equivalence> {
    if differences.is_empty() || differences.iter().any(|value| value.is_nan()) {
        return None;
    }
    let against = |sign: f64| {
        // Against "the mean of sign * difference is at least the margin": scores (1 - sign d) / 2 whose mean is at most (1 - margin) / 2.
        let scores = differences.iter().map(|value| 0.5 - 0.5 * sign * value.clamp(-1.0, 1.0));
        (-most_log_wealth(scores, 0.5 - 0.5 * margin, alpha)).exp().min(1.0)
    };
    Some(Equivalence { p_below_margin: against(1.0), p_above_minus_margin: against(-1.0) })
}

/// The most `ln` wealth on the way of betting that the mean of scores in `[0, 1]` is above `null`.
fn most_log_wealth(scores: impl ExactSizeIterator<Item = f64>, null: f64, alpha: f64) -> f64 {
    let stake_squared = -2.0 * alpha.ln() / scores.len() as f64;
    let (mut n, mut sum, mut squares) = (1.0, 0.5, 0.25);
    let (mut wealth, mut most) = (0.0_f64, 0.0_f64);
    for score in scores {
        let variance = squares / n;
        let stake = (stake_squared / variance).sqrt().min(0.5 / null);
        wealth += (stake * (score - null)).ln_1p();
        most = most.max(wealth);
        n += 1.0;
        sum += score;
        squares += (score - (sum / n).min(1.0)).powi(2);
    }
    most
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

    /// Without disagreement the score is `-n d / sqrt(n d (1 - d))`, so the end is `z² / (n + z²)`.
    #[test]
    fn the_interval_of_no_disagreement_by_hand() {
        let (low, high) = paired_rates_interval(100, 0, 0, 0.05).unwrap();
        assert!((high - 3.841459 / 103.841459).abs() < 1e-6 && (low + high).abs() < 1e-9, "{low} {high}");
        assert_eq!(paired_rates_interval(0, 0, 0, 0.05), None);
    }

    #[test]
    fn bounded_differences_need_no_shape_and_more_values() {
        let differences: Vec<f64> = (0..400_u32).map(|idx| f64::from(idx * 7 % 5) / 10.0 - 0.2).collect();
        let (exact, student) =
            (bounded_means(&differences, 0.1, 0.05).unwrap(), paired_means(Moments::of(&differences), 0.1).unwrap());
        assert!(student.p_value() < exact.p_value() && exact.p_value() < 0.01, "{exact:?} {student:?}");
        assert!(bounded_means(&differences[..10], 0.1, 0.05).unwrap().p_value() > 0.05);
        assert_eq!(bounded_means(&[], 0.1, 0.05), None);
    }

    #[test]
    fn clusters_of_one_are_values() {
        let values = [0.1, -0.4, 0.3, 0.2, -0.1];
        let (apart, clustered) = (Moments::of(&values), Moments::clustered(&values.map(|value| (1, value))));
        assert!((apart.variance - clustered.variance).abs() < 1e-12 && (apart.mean - clustered.mean).abs() < 1e-12);
        assert_eq!(clustered.n, 5);
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
