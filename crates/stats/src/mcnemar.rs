//! McNemar's test for a fixed number of pairs: do the two arms fail equally often on the same requests?
//!
//! For evaluation runs with a number of cases fixed before they began. Looking again as cases come in needs
//! [`PairedDifference`](crate::PairedDifference). Only pairs that disagree say anything: under the null each is either arm's with even chance.
//! Sources: McNemar (1947); Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than
//! exact conditional" (2013).

use crate::special::{fair_coins_cdf, fair_coins_pmf};

/// The exact two-sided p-value for so many pairs in which only the one arm, and only the other, was bad. 1 where none disagrees.
///
/// Checked by hand: 2 and 8 of 10 is `2 * 56 / 1024 = 0.109375`.
#[must_use]
pub fn exact(only_first: u64, only_second: u64) -> f64 {
    (2.0 * fair_coins_cdf(only_first.min(only_second), only_first + only_second)).min(1.0)
}

/// The mid-p value: half of the observed case's probability is left out, which gives a test of nearly the stated size; exact stays well below it.
///
/// Checked by hand: 2 and 8 of 10 is `(2 * 56 - 45) / 1024 = 0.065430`.
#[must_use]
pub fn mid_p(only_first: u64, only_second: u64) -> f64 {
    let n = only_first + only_second;
    if only_first == only_second {
        return 1.0;
    }
    2.0 * fair_coins_cdf(only_first.min(only_second), n) - fair_coins_pmf(only_first.min(only_second), n)
}

/// The exact one-sided p-value against "the candidate is not worse": small when it was the only bad one too often.
#[must_use]
pub fn worse(only_candidate: u64, only_baseline: u64) -> f64 {
    fair_coins_cdf(only_baseline, only_candidate + only_baseline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_and_eight_by_hand() {
        for (actual, expected) in [
            (exact(2, 8), 0.109375),
            (mid_p(2, 8), 0.0654296875),
            (mid_p(8, 2), 0.0654296875),
            (worse(8, 2), 0.0546875),
            (exact(5, 5), 1.0),
            (mid_p(5, 5), 1.0),
            (exact(0, 0), 1.0),
            (worse(0, 0), 1.0),
        ] {
            assert!((actual - expected).abs() < 1e-12, "{actual} instead of {expected}");
        }
    }
}
