//! Moments of a run, as time since it began, and the numbers they are printed as.

use std::time::Duration;

/// A time in milliseconds.
#[must_use]
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A time of so many seconds; no time for what is negative or no number, and the longest one for what is beyond it.
#[must_use]
pub fn seconds(seconds: f64) -> Duration {
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) => time,
        Err(_) if seconds > 0.0 => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}

/// The whole number below `number`; 0 for what is negative or no number.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from f64 saturates, which is what is wanted"
)]
pub fn whole(number: f64) -> u64 {
    number.floor() as u64
}

/// The same for a place in a list.
#[must_use]
pub fn place(number: f64) -> usize {
    usize::try_from(whole(number)).unwrap_or(usize::MAX)
}

/// Whole microseconds, the unit of the histograms.
#[must_use]
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_none() {
        assert_eq!([seconds(-1.0), seconds(f64::NAN)], [Duration::ZERO; 2]);
        assert_eq!((seconds(1.5), seconds(f64::INFINITY)), (Duration::from_millis(1500), Duration::MAX));
        assert_eq!((whole(-3.0), whole(f64::NAN), whole(7.9)), (0, 0, 7));
    }
}
