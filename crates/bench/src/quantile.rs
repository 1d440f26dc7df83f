//! Quantiles of what was measured, with intervals that assume nothing about its distribution.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{millis, place};

/// The quantiles of every distribution.
pub const SHOWN: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// The chance that an interval misses.
const ALPHA: f64 = 0.05;

/// A quantile and its 95 % interval, in milliseconds. What is beyond the longest time that was waited is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// The value.
    pub value: Option<f64>,
    /// The lower end; `None` when there are too few values for one.
    pub low: Option<f64>,
    /// The upper end; `None` when there are too few values for one.
    pub high: Option<f64>,
}

/// The ranks, from 1, between which the `p` quantile of `n` independent values lies with 95 %: the order statistics of a binomial count
/// (David and Nagaraja 2003, §7.1). `None` for an end that no value of so few reaches.
///
/// Checked by hand: the median of 10 values lies between the second and the ninth with 97.9 % (1 - 22/1024).
#[must_use]
pub fn ranks(p: f64, n: usize) -> (Option<usize>, Option<usize>) {
    let mean = n as f64 * p;
    let deviation = (mean * (1.0 - p)).sqrt();
    let from = place((mean - 12.0 * deviation - 20.0).max(0.0));
    let to = place(mean + 12.0 * deviation + 20.0).min(n);
    let ln_choose = |k: usize| {
        stats::special::ln_gamma(n as f64 + 1.0)
            - stats::special::ln_gamma(k as f64 + 1.0)
            - stats::special::ln_gamma((n - k) as f64 + 1.0)
    };
    let mut mass = (ln_choose(from) + from as f64 * p.ln() + (n - from) as f64 * (-p).ln_1p()).exp();
    // `below` is P(B <= k); what lies before `from` is less than 1e-20.
    let (mut below, mut low, mut high) = (0.0, None, None);
    for k in from..=to {
        below += mass;
        // The k+1st value is above the quantile when at most k values are at or below it.
        if below <= ALPHA / 2.0 {
            low = Some(k + 1);
        }
        if high.is_none() && 1.0 - below <= ALPHA / 2.0 && k < n {
            high = Some(k + 1);
        }
        mass *= (n - k) as f64 / (k as f64 + 1.0) * p / (1.0 - p);
    }
    (low, high)
}

/// The rank, from 1, of the `p` quantile of `n` values: the least value that at least that share do not exceed.
#[must_use]
pub fn rank(p: f64, n: usize) -> usize {
    // A share such as 0.95 of 20 is 19, not the 20 that rounding makes of it.
    place((n as f64 * p - 1e-9).ceil()).clamp(1, n.max(1))
}

/// The `p` quantile of values in ascending order of which `n_beyond` more are known to be larger.
#[must_use]
pub fn of_sorted(sorted: &[f64], n_beyond: usize, p: f64) -> Quantile {
    let n = sorted.len() + n_beyond;
    if n == 0 {
        return Quantile::default();
    }
    let at = |rank: usize| sorted.get(rank - 1).copied();
    let (low, high) = ranks(p, n);
    Quantile { value: at(rank(p, n)), low: low.and_then(at), high: high.and_then(at) }
}

/// Times as milliseconds in ascending order.
#[must_use]
pub fn sorted_ms(times: impl Iterator<Item = Duration>) -> Vec<f64> {
    let mut sorted: Vec<f64> = times.map(millis).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use stats::random::Random;

    #[test]
    fn ranks_of_ten_values_are_those_of_the_tables() {
        assert_eq!(ranks(0.5, 10), (Some(2), Some(9)));
        assert_eq!(ranks(0.5, 5), (None, None));
        assert_eq!((rank(0.95, 20), rank(0.5, 1), rank(0.5, 2), rank(0.999, 10)), (19, 1, 1, 10));
        // Of a thousand values the p99.9 has no upper end.
        assert!(ranks(0.999, 1000).1.is_none());
        let (low, high) = ranks(0.95, 1_000_000);
        assert!(low.unwrap().abs_diff(949_573) <= 2 && high.unwrap().abs_diff(950_428) <= 2, "{low:?} {high:?}");
    }

    #[test]
    fn intervals_hold_what_they_say() {
        let mut random = Random::new(20_261_126);
        let truth = 0.9_f64;
        let mut n_missed = 0;
        for _ in 0..4000 {
            let mut values: Vec<f64> = (0..150).map(|_| (random.bits() >> 11) as f64 / (1_u64 << 53) as f64).collect();
            values.sort_unstable_by(f64::total_cmp);
            let found = of_sorted(&values, 0, 0.9);
            n_missed += usize::from(found.low.unwrap() > truth || found.high.unwrap() < truth);
        }
        assert!((60..=210).contains(&n_missed), "{n_missed} of 4000 intervals of at most 5 % missed");
    }

    #[test]
    fn what_never_came_is_later_than_all_that_came() {
        let sorted = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        assert_eq!(of_sorted(&sorted, 0, 0.5).value, Some(5.0));
        assert_eq!(of_sorted(&sorted, 2, 0.5).value, Some(6.0));
        assert_eq!(of_sorted(&sorted, 2, 0.95).value, None);
        assert_eq!(of_sorted(&[], 0, 0.5), Quantile::default());
    }
}
