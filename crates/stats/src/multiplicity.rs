//! Many hypotheses at once: what may still be claimed.
//!
//! For e-values: [`familywise_log_e`] bounds the chance of any false claim, at all times at once; [`false_discovery`] bounds the
//! expected part of false claims, at one stopping time. Both hold however the hypotheses depend on each other. For p-values of a fixed
//! sample: [`holm`], [`hochberg`] and [`benjamini_hochberg`] (the latter two under independence or positive dependence).

use crate::eprocess::{count, log_add_exp};

/// Each hypothesis's `ln E`, adjusted so that rejecting all at or above `ln(1 / alpha)` rejects any true one with probability at most `alpha`.
///
/// The adjusted value is the least mean over all sets of hypotheses that contain this one, which is the mean with the `i` smallest
/// others for some `i`. A mean of e-processes is an e-process, so the bound holds at all times at once. Never less powerful than Holm's procedure on `1 / E`.
/// Source: Vovk and Wang, "E-values: calibration, combination and applications" (2021), section 5 and algorithm 1.
#[must_use]
pub fn familywise_log_e(log_e: &[f64]) -> Vec<f64> {
    let mut ascending: Vec<usize> = (0..log_e.len()).collect();
    ascending.sort_by(|a, b| log_e[*a].total_cmp(&log_e[*b]));
    let adjusted = |idx: usize| {
        let (mut sum, mut n, mut least) = (log_e[idx], 1, log_e[idx]);
        for other in ascending.iter().filter(|other| **other != idx) {
            sum = log_add_exp(sum, log_e[*other]);
            n += 1;
            least = least.min(sum - count(n).ln());
        }
        least
    };
    (0..log_e.len()).map(adjusted).collect()
}

/// Which hypotheses may be rejected so that the expected part of false ones among them is at most `alpha`: e-BH.
///
/// The `k` largest are rejected for the largest `k` whose k-th largest `E` is at least `n / (k alpha)`. Source: Wang and Ramdas,
/// "False discovery rate control with e-values" (2022), definition 4 and theorem 2.
#[must_use]
pub fn false_discovery(log_e: &[f64], alpha: f64) -> Vec<bool> {
    let mut descending = log_e.to_vec();
    descending.sort_by(|a, b| b.total_cmp(a));
    let n = count(log_e.len() as u64);
    let needed = |k: usize| (n / (count(k as u64) * alpha)).ln();
    let least = (1..=descending.len()).rev().find(|k| descending[k - 1] >= needed(*k)).map(|k| descending[k - 1]);
    log_e.iter().map(|value| least.is_some_and(|least| *value >= least)).collect()
}

/// Holm's adjusted p-values: reject those at or below `alpha`, and the chance of any false rejection is at most `alpha`.
///
/// Source: Holm, "A simple sequentially rejective multiple test procedure" (1979). Any dependence.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let ascending = ascending(p_values);
    let mut adjusted = vec![1.0; p_values.len()];
    let mut most = 0.0_f64;
    for (rank, idx) in ascending.iter().enumerate() {
        most = most.max(count((p_values.len() - rank) as u64) * p_values[*idx]).min(1.0);
        adjusted[*idx] = most;
    }
    adjusted
}

/// Hochberg's adjusted p-values: reject those at or below `alpha`, and the chance of any false rejection is at most `alpha`. Never more than Holm's.
///
/// Source: Hochberg, "A sharper Bonferroni procedure for multiple tests of significance" (1988). Independence or positive dependence.
#[must_use]
pub fn hochberg(p_values: &[f64]) -> Vec<f64> {
    let ascending = ascending(p_values);
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (rank, idx) in ascending.iter().enumerate().rev() {
        least = least.min(count((p_values.len() - rank) as u64) * p_values[*idx]);
        adjusted[*idx] = least;
    }
    adjusted
}

/// Benjamini and Hochberg's adjusted p-values: reject those at or below `alpha`, and the expected part of false rejections is at most `alpha`.
///
/// Source: Benjamini and Hochberg, "Controlling the false discovery rate" (1995). Independence or positive dependence.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let ascending = ascending(p_values);
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (rank, idx) in ascending.iter().enumerate().rev() {
        least = least.min(p_values[*idx] * count(p_values.len() as u64) / count(rank as u64 + 1));
        adjusted[*idx] = least;
    }
    adjusted
}

fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least mean over every set that contains the hypothesis.
    fn by_all_sets(e: &[f64], idx: usize) -> f64 {
        let sets = (1_u32..1 << e.len()).filter(|set| set >> idx & 1 == 1);
        sets.map(|set| {
            let members: Vec<f64> =
                (0..e.len()).filter(|member| set >> member & 1 == 1).map(|member| e[member]).collect();
            members.iter().sum::<f64>() / members.len() as f64
        })
        .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn the_adjusted_e_value_is_the_least_mean_over_all_sets() {
        let e = [0.3_f64, 120.0, 7.0, 0.01, 55.0, 1.0];
        let adjusted = familywise_log_e(&e.map(f64::ln));
        for (idx, adjusted) in adjusted.iter().enumerate() {
            assert!((adjusted.exp() - by_all_sets(&e, idx)).abs() < 1e-9, "{idx}");
        }
        assert_eq!(familywise_log_e(&[]), Vec::<f64>::new());
        assert_eq!(familywise_log_e(&[3.0]), [3.0]);
    }

    #[test]
    fn never_weaker_than_holm_on_inverse_e_values() {
        let e = [900.0_f64, 70.0, 40.0, 25.0, 0.5];
        let closed = familywise_log_e(&e.map(f64::ln));
        for (closed, holm) in closed.iter().zip(holm(&e.map(|e| 1.0 / e))) {
            assert!(closed.exp().max(1.0) >= 1.0 / holm - 1e-9, "{} against {}", closed.exp(), 1.0 / holm);
        }
    }

    #[test]
    fn false_discoveries_by_hand() {
        // 5 hypotheses at 5 %: the largest needs 100, two need 50, three need 33.3.
        let rejected = |e: [f64; 5]| false_discovery(&e.map(f64::ln), 0.05);
        assert_eq!(rejected([99.0, 51.0, 20.0, 1.0, 0.1]), [true, true, false, false, false]);
        assert_eq!(rejected([99.0, 49.0, 33.0, 1.0, 0.1]), [false; 5]);
        assert_eq!(rejected([1.0, 34.0, 34.0, 0.1, 34.0]), [false, true, true, false, true]);
        assert_eq!(false_discovery(&[], 0.05), [false; 0]);
    }

    #[test]
    fn p_values_by_hand() {
        let p = [0.01, 0.04, 0.03, 0.005];
        let close = |actual: Vec<f64>, expected: [f64; 4]| {
            assert!(actual.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{actual:?}");
        };
        close(holm(&p), [0.03, 0.06, 0.06, 0.02]);
        close(hochberg(&p), [0.03, 0.04, 0.04, 0.02]);
        close(benjamini_hochberg(&p), [0.02, 0.04, 0.04, 0.02]);
    }
}
