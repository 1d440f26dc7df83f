//! When a delivery that failed is tried again, and when it is given up.

use std::time::Duration;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_secs(5);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(3600);
/// What could not be delivered for this long is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long to wait after the `n_failed`-th failure: twice as long as the time before, an hour at most, less up to half of it by
/// `jitter` (0 to 1), so that what failed together does not come back together. A receiver that asks for a longer wait gets it, up to
/// an hour.
#[must_use]
pub fn wait(n_failed: u32, jitter: f64, asked: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(n_failed.saturating_sub(1)).unwrap_or(u32::MAX));
    let wait = doubled.min(LONGEST).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
    wait.max(asked.unwrap_or_default().min(LONGEST))
}

/// Whether a delivery that is tried at `next_us` would come too late for what happened at `since_us`.
#[must_use]
pub fn is_over(since_us: u64, next_us: u64) -> bool {
    Duration::from_micros(next_us.saturating_sub(since_us)) > GIVE_UP_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_jitter_takes_up_to_half() {
        let seconds = |n, jitter| wait(n, jitter, None).as_secs_f64();
        assert_eq!([1, 2, 3, 10, 11, 40].map(|n| seconds(n, 0.0)), [5.0, 10.0, 20.0, 2560.0, 3600.0, 3600.0]);
        assert_eq!((seconds(1, 1.0), seconds(11, 0.5)), (2.5, 2700.0));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_but_not_for_ever() {
        assert_eq!(wait(1, 0.0, Some(Duration::from_secs(60))), Duration::from_secs(60));
        assert_eq!(wait(3, 0.0, Some(Duration::from_secs(1))), Duration::from_secs(20));
        assert_eq!(wait(1, 0.0, Some(Duration::from_secs(1 << 30))), LONGEST);
    }

    #[test]
    fn a_day_of_failures_is_some_three_dozen_tries() {
        let (mut n_failed, mut at_us) = (0, 0);
        while !is_over(0, at_us) {
            n_failed += 1;
            at_us += u64::try_from(wait(n_failed, 0.5, None).as_micros()).unwrap();
        }
        assert_eq!(n_failed, 41);
    }
}
