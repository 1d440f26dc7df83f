//! T7: intervals for a page to show. They decide nothing.

use crate::eprocess::count;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_of_a_hundred() {
        let (low, high) = wilson(10, 100, 1.96).unwrap();
        assert!((low - 0.055229).abs() < 1e-6, "{low}");
        assert!((high - 0.174367).abs() < 1e-6, "{high}");
        assert_eq!(wilson(0, 0, 1.96), None);
    }
}
