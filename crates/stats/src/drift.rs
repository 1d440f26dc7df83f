//! Has a distribution moved? For a value by bins (PSI) or exactly (Kolmogorov-Smirnov), for embeddings by kernel distance (MMD).
//!
//! These compare two fixed samples. PSI has no error rate: it is a size, read by custom as small below 0.1 and large above 0.25. Sources: Siddiqi, "Credit
//! Risk Scorecards" (2006) for PSI; Hodges, "The significance probability of the Smirnov two-sample test" (1958) for the exact distribution, the
//! series of Kolmogorov (1933) for large samples; Gretton et al., "A kernel two-sample test" (2012), lemma 6 and section 8.

use crate::eprocess::count;
use crate::random::Random;

/// More steps of the exact count than this, and the limiting distribution is used.
const MOST_EXACT_STEPS: u64 = 20_000_000;

/// A statistic and how likely one at least as large is where both samples come from one distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoSample {
    /// The distance between the samples.
    pub statistic: f64,
    /// The p-value.
    pub p_value: f64,
}

/// The population stability index of two histograms over the same bins, `Σ (c - r) ln(c / r)` of their parts.
///
/// A part of less than `floor` (0.0001, say) counts as `floor`: an empty bin would make it infinite. `None` for an empty histogram, unequal numbers
/// of bins or a floor that is not above 0.
#[must_use]
pub fn population_stability(reference: &[u64], current: &[u64], floor: f64) -> Option<f64> {
    let (n_reference, n_current) = (count(reference.iter().sum()), count(current.iter().sum()));
    if reference.len() != current.len() || n_reference == 0.0 || n_current == 0.0 || floor.is_nan() || floor <= 0.0 {
        return None;
    }
    let parts = reference.iter().zip(current).map(|(reference, current)| {
        ((count(*reference) / n_reference).max(floor), (count(*current) / n_current).max(floor))
    });
    Some(parts.map(|(reference, current)| (current - reference) * (current / reference).ln()).sum())
}

/// Edges that cut `reference` into at most `n_bins` bins of about as many values each, for [`binned`]; fewer where values repeat.
#[must_use]
pub fn quantile_edges(reference: &[f64], n_bins: usize) -> Vec<f64> {
    let mut ascending: Vec<f64> = reference.iter().copied().filter(|value| !value.is_nan()).collect();
    ascending.sort_unstable_by(f64::total_cmp);
    let mut edges: Vec<f64> =
        (1..n_bins).filter_map(|bin| ascending.get(bin * ascending.len() / n_bins).copied()).collect();
    edges.dedup();
    edges
}

/// How many values lie below the first edge, from each edge up to the next, and at or above the last one.
#[must_use]
pub fn binned(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut bins = vec![0; edges.len() + 1];
    values
        .iter()
        .filter(|value| !value.is_nan())
        .for_each(|value| bins[edges.partition_point(|edge| edge <= value)] += 1);
    bins
}

/// The two-sided Kolmogorov-Smirnov test of two samples; `None` where one is empty or holds what is not a number.
///
/// The p-value is exact (conservative where values repeat) up to some twenty million steps of counting, the product of both sizes; beyond that it is the limit's.
#[must_use]
pub fn kolmogorov_smirnov(first: &[f64], second: &[f64]) -> Option<TwoSample> {
    if first.is_empty() || second.is_empty() || first.iter().chain(second).any(|value| value.is_nan()) {
        return None;
    }
    let (mut first, mut second) = (first.to_vec(), second.to_vec());
    first.sort_unstable_by(f64::total_cmp);
    second.sort_unstable_by(f64::total_cmp);
    let (n, m) = (first.len() as u64, second.len() as u64);
    // In whole steps of 1 / (n m), so that no rounding decides what is at least as large.
    let apart = |value: &f64| {
        let below = |sample: &[f64]| sample.partition_point(|other| other <= value) as u64;
        (below(&first) * m).abs_diff(below(&second) * n)
    };
    let most = first.iter().chain(&second).map(apart).max().unwrap_or(0);
    let statistic = count(most) / (count(n) * count(m));
    let p_value = if n * m <= MOST_EXACT_STEPS {
        exact_tail(n, m, most)
    } else {
        kolmogorov_tail(statistic * (count(n) * count(m) / count(n + m)).sqrt())
    };
    Some(TwoSample { statistic, p_value })
}

/// The chance that a path of `n` steps right and `m` up, each order as likely, leaves the strip `|i m - j n| < apart`.
fn exact_tail(n: u64, m: u64, apart: u64) -> f64 {
    let is_within = |right: u64, up: u64| (right * m).abs_diff(up * n) < apart;
    // inside[j]: the chance to have stayed within on the way to (i, j), given that the path comes through it.
    let mut inside: Vec<f64> = Vec::new();
    for up in 0..=m {
        let before = inside.last().copied().unwrap_or(1.0);
        inside.push(if is_within(0, up) { before } else { 0.0 });
    }
    for right in 1..=n {
        let mut from_below = 0.0;
        for up in 0..=m {
            let steps = count(right + up);
            let mixed = inside[usize_of(up)] * count(right) / steps + from_below * count(up) / steps;
            from_below = if is_within(right, up) { mixed } else { 0.0 };
            inside[usize_of(up)] = from_below;
        }
    }
    (1.0 - inside.last().copied().unwrap_or(0.0)).clamp(0.0, 1.0)
}

fn usize_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// `P(K > x)` of Kolmogorov's distribution: `2 Σ (-1)^(k-1) exp(-2 k² x²)`, for small x by its theta form. Checked by hand: 1.358099 is 0.05.
fn kolmogorov_tail(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.0 {
        let term = |k: i32| (-(f64::from(2 * k - 1) * PI / x).powi(2) / 8.0).exp();
        return 1.0 - (2.0 * PI).sqrt() / x * (1..=20).map(term).sum::<f64>();
    }
    let term = |k: i32| (if k % 2 == 1 { 2.0 } else { -2.0 }) * (-2.0 * f64::from(k * k) * x * x).exp();
    (1..=20).map(term).sum()
}

/// The maximum mean discrepancy of two sets of vectors under `exp(-|x - y|² / (2 bandwidth²))`, squared and without bias (so it may be below 0),
/// and its p-value from `n_permutations` shuffles of who belongs to which set.
///
/// Costs the square of the number of vectors, once for the kernel and once per shuffle: some thousand vectors. `None` where a set has fewer than two
/// vectors, lengths differ, or the bandwidth is not above 0.
#[must_use]
pub fn mean_discrepancy(
    first: &[&[f32]],
    second: &[&[f32]],
    bandwidth: f64,
    n_permutations: u32,
    seed: u64,
) -> Option<TwoSample> {
    let all: Vec<&[f32]> = first.iter().chain(second).copied().collect();
    let is_ragged = all.iter().any(|vector| vector.len() != all[0].len());
    if first.len() < 2 || second.len() < 2 || is_ragged || bandwidth.is_nan() || bandwidth <= 0.0 {
        return None;
    }
    let n = all.len();
    let mut kernel = vec![0.0; n * n];
    for row in 0..n {
        for column in 0..row {
            let value = (-squared_distance(all[row], all[column]) / (2.0 * bandwidth * bandwidth)).exp();
            kernel[row * n + column] = value;
            kernel[column * n + row] = value;
        }
    }
    let statistic_of = |in_first: &[bool]| {
        let (mut within_first, mut within_second, mut across) = (0.0, 0.0, 0.0);
        for row in 0..n {
            for column in 0..row {
                let value = kernel[row * n + column];
                match (in_first[row], in_first[column]) {
                    (true, true) => within_first += value,
                    (false, false) => within_second += value,
                    _ => across += value,
                }
            }
        }
        let (n_first, n_second) = (first.len() as f64, second.len() as f64);
        2.0 * within_first / (n_first * (n_first - 1.0)) + 2.0 * within_second / (n_second * (n_second - 1.0))
            - 2.0 * across / (n_first * n_second)
    };
    let mut in_first: Vec<bool> = (0..n).map(|idx| idx < first.len()).collect();
    let statistic = statistic_of(&in_first);
    let mut random = Random::new(seed);
    let mut n_at_least = 1_u32;
    for _ in 0..n_permutations {
        (1..n).rev().for_each(|idx| in_first.swap(idx, random.below(idx + 1)));
        n_at_least += u32::from(statistic_of(&in_first) >= statistic - 1e-12);
    }
    Some(TwoSample { statistic, p_value: f64::from(n_at_least) / (f64::from(n_permutations) + 1.0) })
}

/// The usual bandwidth: the median distance between two different vectors of both sets. `None` where that is 0 or nothing is there.
#[must_use]
pub fn median_bandwidth(first: &[&[f32]], second: &[&[f32]]) -> Option<f64> {
    let all: Vec<&[f32]> = first.iter().chain(second).copied().collect();
    let mut distances: Vec<f64> = (0..all.len())
        .flat_map(|row| (0..row).map(move |column| (row, column)))
        .map(|(row, column)| squared_distance(all[row], all[column]).sqrt())
        .collect();
    distances.sort_unstable_by(f64::total_cmp);
    let middle = distances.len().checked_sub(1)?;
    let median = f64::midpoint(distances[middle / 2], distances[middle.div_ceil(2)]);
    (median > 0.0).then_some(median)
}

fn squared_distance(first: &[f32], second: &[f32]) -> f64 {
    first.iter().zip(second).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stability_by_hand() {
        // (0.7 - 0.5) ln(0.7 / 0.5) + (0.3 - 0.5) ln(0.3 / 0.5) = 0.169460
        let index = population_stability(&[50, 50], &[70, 30], 1e-4).unwrap();
        assert!((index - 0.169_459_572).abs() < 1e-8, "{index}");
        assert_eq!(population_stability(&[1, 2], &[1], 1e-4), None);
        assert_eq!(population_stability(&[0], &[1], 1e-4), None);
        assert!(population_stability(&[10, 0], &[0, 10], 1e-4).unwrap().is_finite());
    }

    #[test]
    fn bins_of_about_as_many() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let edges = quantile_edges(&values, 4);
        assert_eq!(edges, [25.0, 50.0, 75.0]);
        assert_eq!(binned(&values, &edges), [25; 4]);
        assert_eq!(binned(&[-1.0, 25.0, 200.0, f64::NAN], &edges), [1, 1, 0, 1]);
        assert_eq!(quantile_edges(&[1.0; 10], 4), [1.0]);
    }

    /// Two against two, wholly apart: two of the six orders.
    #[test]
    fn smirnov_by_hand() {
        let test = kolmogorov_smirnov(&[1.0, 2.0], &[3.0, 4.0]).unwrap();
        assert!((test.statistic - 1.0).abs() < 1e-12 && (test.p_value - 2.0 / 6.0).abs() < 1e-12, "{test:?}");
        assert_eq!(kolmogorov_smirnov(&[1.0], &[1.0]), Some(TwoSample { statistic: 0.0, p_value: 1.0 }));
        assert_eq!(kolmogorov_smirnov(&[], &[1.0]), None);
    }

    #[test]
    fn both_forms_of_the_limit_meet() {
        assert!((kolmogorov_tail(1.0 - 1e-9) - kolmogorov_tail(1.0)).abs() < 1e-8);
        assert!((kolmogorov_tail(1.358_098_87) - 0.05).abs() < 1e-6);
    }

    #[test]
    fn vectors_that_moved_are_told_from_vectors_that_did_not() {
        let mut random = Random::new(11);
        let mut draw = |shift: f32| -> Vec<Vec<f32>> {
            let mut one = || (0..12).map(|_| random.below(1000) as f32 / 1000.0).sum::<f32>() - 6.0 + shift;
            (0..60).map(|_| vec![one(), one(), one()]).collect()
        };
        let (first, same, moved) = (draw(0.0), draw(0.0), draw(0.8));
        let views = |vectors: &[Vec<f32>]| -> Vec<Vec<f32>> { vectors.to_vec() };
        let test = |other: &[Vec<f32>]| {
            let (first, other) = (views(&first), views(other));
            let first: Vec<&[f32]> = first.iter().map(Vec::as_slice).collect();
            let other: Vec<&[f32]> = other.iter().map(Vec::as_slice).collect();
            let bandwidth = median_bandwidth(&first, &other).unwrap();
            mean_discrepancy(&first, &other, bandwidth, 199, 5).unwrap()
        };
        assert!(test(&moved).p_value < 0.01);
        assert!(test(&same).p_value > 0.05);
    }
}
