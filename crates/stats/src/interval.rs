//! T7: intervals for a page to show. They decide nothing.

use crate::eprocess::count;
use crate::special::ln_beta_upper;

/// The Wilson score interval of a rate. For display only: it holds at a fixed n, not under peeking.
///
/// `z` is the normal quantile, 1.96 for 95 %. `None` for no trials. Checked by hand: 10 of 100 at 1.96 is
/// (0.055229, 0.174367).
#[must_use]
pub fn wilson(n_bad: u64, n: u64, z: f64) -> Option<(f64, f64)> {
    if n == 0 {
        return None;
    }
    let (bad, n) = (count(n_bad.min(n)), count(n));
    let rate = bad / n;
    let squash = 1.0 + z * z / n;
    let centre = (rate + z * z / (2.0 * n)) / squash;
    let half = z / squash * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
    Some(((centre - half).max(0.0), (centre + half).min(1.0)))
}

/// The most that the true rate may be where `n_bad` of `n` are bad, at this chance of being wrong: Clopper and Pearson's one-sided bound, "The use of
/// confidence or fiducial limits illustrated in the case of the binomial", 1934. Of 0 of 25 at 5 % it is `1 - 0.05^(1/25)`, 11.3 %. `None` of nothing.
#[must_use]
pub fn at_most(n_bad: u64, n: u64, alpha: f64) -> Option<f64> {
    if n == 0 || n_bad > n {
        return None;
    }
    if n_bad == n {
        return Some(1.0);
    }
    // So many or fewer are as likely as `alpha` at the rate that is looked for.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if ln_beta_upper(middle, n_bad as f64 + 1.0, (n - n_bad) as f64) > alpha.ln() {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

/// Of `n` independent values in ascending order, the first being 1, which two hold a quantile between them at level `1 - alpha` or more, whatever the values
/// are distributed as.
///
/// How many values lie below a quantile `q` is binomial. The lower rank is the largest `l` with `P(Bin(n, q) < l) <= alpha / 2`, the upper one the smallest
/// `u` with `P(Bin(n, q) >= u) <= alpha / 2`; `None` where even the smallest, or the largest, value is no bound. Source: David and Nagaraja, "Order
/// Statistics" (2003), section 7.1. Checked by hand: the median of 10 lies between the 2nd and the 9th, since 11 of 1024 is at most 2.5 % and 56 is not.
#[must_use]
pub fn quantile_ranks(quantile: f64, n: u64, alpha: f64) -> (Option<u64>, Option<u64>) {
    let half = (0.5 * alpha).ln();
    // P(Bin(n, q) < l) = P(Beta(l, n - l + 1) > q), and of u or more the same from the other end.
    let holds = |quantile: f64, rank: u64| ln_beta_upper(quantile, count(rank), count(n - rank + 1)) <= half;
    let largest = |quantile: f64| {
        let (mut kept, mut refused) = (0, n + 1);
        while refused - kept > 1 {
            let middle = u64::midpoint(kept, refused);
            if holds(quantile, middle) { kept = middle } else { refused = middle }
        }
        (kept > 0).then_some(kept)
    };
    (largest(quantile), largest(1.0 - quantile).map(|from_above| n + 1 - from_above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_without_a_bad_one_show_little() {
        let check = |n_bad, n, expected: Option<f64>| {
            let found = at_most(n_bad, n, 0.05);
            let is_near = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1e-6,
                (found, expected) => found == expected,
            };
            assert!(is_near, "{n_bad} of {n}: {found:?}");
        };
        check(0, 25, Some(1.0 - 0.05f64.powf(1.0 / 25.0)));
        check(0, 299, Some(1.0 - 0.05f64.powf(1.0 / 299.0)));
        // The 95 % quantile of Beta(4, 17).
        check(3, 20, Some(0.343_664));
        check(20, 20, Some(1.0));
        check(0, 0, None);
    }

    #[test]
    fn the_ranks_that_hold_a_quantile_are_those_of_the_tables() {
        for (quantile, n, expected) in [
            (0.5, 0, (None, None)),
            (0.5, 5, (None, None)),
            (0.5, 6, (Some(1), Some(6))),
            (0.5, 10, (Some(2), Some(9))),
            (0.5, 100, (Some(40), Some(61))),
            (0.95, 58, (Some(51), None)),
            (0.95, 100, (Some(90), Some(100))),
        ] {
            assert_eq!(quantile_ranks(quantile, n, 0.05), expected, "{quantile} of {n}");
        }
    }

    #[test]
    fn a_rank_more_on_either_side_would_say_more_than_the_level() {
        let at_most = |k: u64, n: u64, q: f64| -> f64 {
            let mut term = (1.0 - q).powf(count(n));
            let mut sum = 0.0;
            for idx in 0..=k {
                sum += term;
                term *= count(n - idx) / count(idx + 1) * q / (1.0 - q);
            }
            sum
        };
        for (quantile, n) in [(0.5, 37), (0.95, 200), (0.95, 150), (0.9, 80)] {
            let (low, high) = quantile_ranks(quantile, n, 0.05);
            let (low, high) = (low.unwrap(), high.unwrap());
            assert!(at_most(low - 1, n, quantile) <= 0.025 && at_most(low, n, quantile) > 0.025);
            assert!(1.0 - at_most(high - 1, n, quantile) <= 0.025 && 1.0 - at_most(high - 2, n, quantile) > 0.025);
        }
    }

    #[test]
    fn ten_of_a_hundred() {
        let (low, high) = wilson(10, 100, 1.96).unwrap();
        assert!((low - 0.055229).abs() < 1e-6, "{low}");
        assert!((high - 0.174367).abs() < 1e-6, "{high}");
        assert_eq!(wilson(0, 0, 1.96), None);
    }
}
