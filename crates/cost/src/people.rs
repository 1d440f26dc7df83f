//! What people's time costs: reviewers of answers, by the hour.
//!
//! The times are measured, from showing a pair to its verdict. Verdicts whose time nobody knows are charged at the mean of the others; where none
//! is known, neither is the cost. Value checked by hand: 90 seconds on 3 of 4 verdicts at $45 an hour are `90 / 3600 * 45 * 4 / 3 = $1.50`.

use crate::decimal::Decimal;

/// Verdicts, and what they took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct People {
    /// Verdicts.
    pub n_verdicts: u64,
    /// Of these, such whose time is known.
    pub n_timed: u64,
    /// Their times together, microseconds.
    pub micros: u64,
}

impl People {
    /// Nano-dollars at so many dollars an hour, rounded half up; `None` where no time is known, or the digits are too many.
    #[must_use]
    pub fn nanos(self, per_hour: Decimal) -> Option<u64> {
        if self.n_timed == 0 {
            return None;
        }
        let (mantissa, scale) = per_hour.parts();
        // An hour is 3.6e9 microseconds, a dollar 1e9 nano-dollars.
        let product = u128::from(self.micros).checked_mul(u128::from(mantissa))?;
        let above = product.checked_mul(5)?.checked_mul(u128::from(self.n_verdicts))?;
        let below = 18_u128.checked_mul(10_u128.checked_pow(scale)?)?.checked_mul(u128::from(self.n_timed))?;
        u64::try_from(above.checked_add(below / 2)? / below).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check((n_verdicts, n_timed, micros): (u64, u64, u64), per_hour: &str, expected: Option<u64>) {
        assert_eq!(People { n_verdicts, n_timed, micros }.nanos(Decimal::parse(per_hour).unwrap()), expected);
    }

    #[test]
    fn time_costs_by_the_hour_and_unknown_times_are_as_the_known_ones() {
        check((4, 3, 90_000_000), "45", Some(1_500_000_000));
        check((1, 1, 3_600_000_000), "45.50", Some(45_500_000_000));
        check((1, 1, 1), "36", Some(10));
        check((1, 1, 1), "0", Some(0));
        check((5, 0, 0), "45", None);
    }
}
