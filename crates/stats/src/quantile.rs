//! T6: which arm's p95 is higher? A sequential comparison of quantiles from sketches.
//!
//! Source: Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification"
//! (2022), section 4 (theorem 5). If both arms' quantiles lie on the wrong side of some value `x`, then for that `x` the counts below it
//! make one mixture supermartingale per arm, and their product is one too; the smallest product over all `x` is what is
//! reported. Nothing is assumed about the shape of latencies, nor that the arms see equally many.
//!
//! What is assumed: one `x` separates the quantiles for the whole epoch. A day's rhythm that moves both arms' latencies up and down
//! can make it conservative, and a null that is true only on average is not what is tested; the gates on latency are
//! objectives ("5 % are slower than T"), which need no quantile. Sketches are read against the claim: within a bucket, every value is where it
//! helps least.

use crate::beta_mixture::{Alternative, Prior, log_e};
use crate::eprocess::count;
use crate::sketch::LatencySketch;

/// The prior is tightest when each arm has about so many values.
const TUNED_FOR: f64 = 1000.0;
const TUNED_ALPHA: f64 = 0.05;

/// A distribution as counts of values: `(lowest, highest, n)` per bucket, in ascending order, buckets apart.
pub type Buckets = [(f64, f64, u64)];

/// `ln E` against "the `quantile` (0.95, say) of `slow` is at most `ratio` times that of `fast`": large when `slow` is slower.
///
/// With a ratio of 1 and the candidate as `slow` it is a guard. As a gate, the candidate is `fast` and the ratio `1 / (1 + margin)`:
/// rejecting "the baseline's quantile is at most the candidate's over `1 + margin`" proves that the candidate is slower by less than the margin.
#[must_use]
pub fn slower_log_e(quantile: f64, slow: &LatencySketch, fast: &LatencySketch, ratio: f64) -> f64 {
    let scale = |sketch: &LatencySketch, by: f64| -> Vec<(f64, f64, u64)> {
        sketch.ranges().map(|(low, high, n)| (low as f64 * by, high as f64 * by, n)).collect()
    };
    higher_log_e(quantile, &scale(slow, 1.0), &scale(fast, ratio))
}

/// `ln E` against "the `quantile` of `high` is at most that of `low`".
///
/// For every `x`: a mixture for "`high` has fewer than its share at or below `x`" times one for "`low` has more than its
/// share below `x`". Only the lowest values of `high`'s buckets, and anything below them, can be the smallest.
#[must_use]
pub fn higher_log_e(quantile: f64, high: &Buckets, low: &Buckets) -> f64 {
    if !(quantile > 0.0 && quantile < 1.0) {
        return 0.0;
    }
    let total = |buckets: &Buckets| -> u64 { buckets.iter().map(|(_, _, n)| n).sum() };
    let (n_high, n_low) = (total(high), total(low));
    let above = Prior::tuned(1.0 - quantile, TUNED_FOR, TUNED_ALPHA, Alternative::Higher);
    let below = Prior::tuned(quantile, TUNED_FOR, TUNED_ALPHA, Alternative::Higher);
    let product = |high_at_or_below: u64, low_below: u64| {
        let (at_or_below, over) = (count(high_at_or_below), count(n_high - high_at_or_below));
        let (under, at_or_over) = (count(low_below), count(n_low - low_below));
        log_e(above, 1.0 - quantile, over, at_or_below, Alternative::Higher)
            + log_e(below, quantile, under, at_or_over, Alternative::Higher)
    };
    let mut least = product(0, 0);
    let (mut high_at_or_below, mut low_below) = (0, 0);
    let mut remaining = low.iter().peekable();
    for (x, _, n) in high {
        high_at_or_below += n;
        while let Some((_, _, n)) = remaining.next_if(|(_, highest, _)| highest < x) {
            low_below += n;
        }
        least = least.min(product(high_at_or_below, low_below));
    }
    least
}

/// `ln E` against "both arms have the same `quantile`", from exact values in ascending order, with a prior tuned for `n_tuned` values.
///
/// The published two-sided test, to check the pieces against its reference implementation; what decides is [`higher_log_e`]. At each `x`,
/// each arm's count may be anything between those below and those at or below.
#[must_use]
pub fn unequal_log_e(quantile: f64, first: &[f64], second: &[f64], n_tuned: f64) -> f64 {
    let prior = Prior::tuned(quantile, n_tuned, TUNED_ALPHA, Alternative::Either);
    let at = |n: f64, hits: f64| log_e(prior, quantile, hits, n - hits, Alternative::Either);
    let least = |n: usize| {
        let n = n as f64;
        least_between(0.0, n, |hits| at(n, hits))
    };
    let (least_first, least_second) = (least(first.len()), least(second.len()));
    let at_x = |values: &[f64], least: f64, x: f64| {
        let below = values.partition_point(|value| *value < x) as f64;
        let at_or_below = values.partition_point(|value| *value <= x) as f64;
        at(values.len() as f64, least.max(below).min(at_or_below))
    };
    let product = |x: &f64| at_x(first, least_first, *x) + at_x(second, least_second, *x);
    first.iter().chain(second).map(product).fold(f64::INFINITY, f64::min)
}

/// Where a convex function is least.
fn least_between(low: f64, high: f64, convex: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..100 {
        let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if convex(left) < convex(right) { high = right } else { low = left }
    }
    f64::midpoint(low, high)
}

/// An interval for a quantile that holds at every n, in microseconds and rounded outward: where the mixture does not reject at `alpha`.
///
/// No lower end is 0, no upper end `None`: too few durations to bound it. For a page to show. Source: theorem 1 of the same paper with a
/// beta-binomial mixture.
#[must_use]
pub fn interval(quantile: f64, sketch: &LatencySketch, alpha: f64) -> (u64, Option<u64>) {
    let n = count(sketch.n());
    let prior = Prior::tuned(quantile, TUNED_FOR, TUNED_ALPHA, Alternative::Either);
    let at = |hits: f64| log_e(prior, quantile, hits, n - hits, Alternative::Either);
    let least = least_between(0.0, n, at);
    // At a duration, the null says that at most this part lies below and at least this part at or below.
    let is_kept = |below: f64, at_or_below: f64| at(least.max(below).min(at_or_below)) < -alpha.ln();
    let (mut low, mut high, mut below) = (None, None, 0.0);
    for (lowest, highest, n_here) in sketch.ranges() {
        let at_or_below = below + count(n_here);
        if is_kept(below, at_or_below) {
            low = low.or(Some(lowest));
            high = Some(highest);
        }
        below = at_or_below;
    }
    let low = if is_kept(0.0, 0.0) { 0 } else { low.unwrap_or(0) };
    (low, high.filter(|_| !is_kept(n, n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_sided_test_agrees_with_the_published_vectors() {
        let shifted = |by: u32| -> Vec<f64> { (1..=1000).map(|value| f64::from(value + by)).collect() };
        for (quantile, shift, expected) in
            [(0.5, 70, 0.814704), (0.5, 85, 0.0838055), (0.5, 100, 0.0054947), (0.9, 55, 0.0340463)]
        {
            let p = (-unequal_log_e(quantile, &shifted(0), &shifted(shift), 100.0)).exp().min(1.0);
            assert!((p - expected).abs() < 1e-6, "{p} instead of {expected}");
        }
    }

    fn buckets(values: &[f64]) -> Vec<(f64, f64, u64)> {
        values.iter().map(|value| (*value, *value, 1)).collect()
    }

    #[test]
    fn a_slower_tail_is_found_and_a_faster_one_is_not() {
        let arm = |by: f64| -> Vec<f64> { (1..=2000).map(|value| f64::from(value) * by).collect() };
        let (plain, slower) = (buckets(&arm(1.0)), buckets(&arm(1.2)));
        assert!(higher_log_e(0.95, &slower, &plain) > 1000_f64.ln());
        assert!(higher_log_e(0.95, &plain, &slower) < 0.0);
        assert!(higher_log_e(0.95, &plain, &plain) < 0.0);
    }

    #[test]
    fn an_interval_holds_the_quantile_and_narrows() {
        let width = |n: u64| {
            let mut sketch = LatencySketch::new();
            (0..n).for_each(|idx| sketch.record_us(1000 + idx * 100_000 / n));
            let (low, high) = interval(0.95, &sketch, 0.05);
            let high = high.unwrap();
            assert!(low <= 96_000 && 96_000 <= high, "{low} {high}");
            high - low
        };
        assert!(width(30_000) < width(1000));
        assert_eq!(interval(0.95, &LatencySketch::new(), 0.05), (0, None));
        let mut sketch = LatencySketch::new();
        (0..10).for_each(|idx| sketch.record_us(idx));
        assert_eq!(interval(0.95, &sketch, 0.05).1, None, "ten cannot bound a p95 from above");
    }

    #[test]
    fn nothing_seen_says_nothing() {
        assert!(higher_log_e(0.95, &[], &[]).abs() < 1e-12);
        assert!(higher_log_e(0.95, &buckets(&[1.0, 2.0]), &[]) <= 1e-12);
        assert!(slower_log_e(0.95, &LatencySketch::new(), &LatencySketch::new(), 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_sketch_never_says_more_than_the_exact_values() {
        for (slow, fast, ratio) in [(1200, 1000, 1.0), (1000, 1000, 1.0), (1000, 1000, 1.0 / 1.2), (1003, 1000, 1.0)] {
            let values = |per_mille: u64| (1..=3000_u64).map(move |value| value * 37 * per_mille / 1000);
            let sketch = |per_mille: u64| {
                let mut sketch = LatencySketch::new();
                values(per_mille).for_each(|value| sketch.record_us(value));
                sketch
            };
            let scaled =
                |per_mille: u64, by: f64| -> Vec<f64> { values(per_mille).map(|value| value as f64 * by).collect() };
            let exact = higher_log_e(0.95, &buckets(&scaled(slow, 1.0)), &buckets(&scaled(fast, ratio)));
            let sketched = slower_log_e(0.95, &sketch(slow), &sketch(fast), ratio);
            assert!(sketched <= exact + 1e-9, "{sketched} from sketches, {exact} from values");
        }
    }
}
