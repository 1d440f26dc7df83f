//! The pause a provider asked for. While it lasts the target is not called: that is the provider's wish, not a failure, and the
//! breaker hears nothing of it.
//!
//! Two causes are kept apart. **Throttled**: a 429 or a 5xx with `retry-after`; the pause is what it says, cut to
//! [`LONGEST_RETRY_AFTER`](crate::classify::LONGEST_RETRY_AFTER). Without that header there is no pause: a limit on tokens
//! refuses a large request and takes the next small one. **Quota**: the account is used up; nothing changes until somebody
//! pays, so the pause is [`QUOTA_PAUSE`] whatever the provider says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wire::failure::{Failure, FailureKind, Retry};

/// How long a target whose account is used up is left alone. Long enough not to bother, short enough that a paid bill is
/// noticed without a restart.
pub const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// Why a target is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It asked to slow down.
    Throttled,
    /// The account at the provider is used up.
    Quota,
}

impl Cause {
    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Throttled => "throttled",
            Cause::Quota => "quota_exhausted",
        }
    }
}

/// A pause that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooling {
    /// Why.
    pub cause: Cause,
    /// For how long still.
    pub left: Duration,
}

impl Cooling {
    /// What a call that is not made because of it fails with.
    pub fn failure(self) -> Failure {
        let kind = match self.cause {
            Cause::Throttled => FailureKind::RateLimited,
            Cause::Quota => FailureKind::QuotaExhausted,
        };
        Failure::new(kind, "in the pause the provider asked for").with_retry(Retry::After(self.left))
    }
}

/// One target's pause, shared by all who call it. Time is an argument; a target without a pause costs one atomic load.
#[derive(Debug)]
pub struct CoolDown {
    begun: Instant,
    /// Milliseconds from `begun` to the end, times two, plus one for a quota. 0 when there never was a pause.
    until: AtomicU64,
}

impl CoolDown {
    /// No pause.
    pub fn new(now: Instant) -> Self {
        Self { begun: now, until: AtomicU64::new(0) }
    }

    /// The pause that lasts at `now`.
    pub fn cooling(&self, now: Instant) -> Option<Cooling> {
        let until = self.until.load(Ordering::Acquire);
        if until == 0 {
            return None;
        }
        let end = self.begun + Duration::from_millis(until >> 1);
        let left = end.saturating_duration_since(now);
        let cause = if until & 1 == 1 { Cause::Quota } else { Cause::Throttled };
        (!left.is_zero()).then_some(Cooling { cause, left })
    }

    /// Heeds what a provider answered. Of two pauses the one that ends later counts.
    pub fn heed(&self, failure: &Failure, now: Instant) {
        // What Crossfade itself refused says nothing about the provider.
        if failure.status.is_none() {
            return;
        }
        let (pause, quota) = match (failure.kind, failure.retry) {
            (FailureKind::QuotaExhausted, _) => (QUOTA_PAUSE, 1),
            (FailureKind::RateLimited | FailureKind::HttpServerError, Retry::After(wait)) => (wait, 0),
            _ => return,
        };
        let end = now.saturating_duration_since(self.begun) + pause;
        let end_ms = u64::try_from(end.as_millis()).unwrap_or(u64::MAX / 2);
        self.until.fetch_max(end_ms << 1 | quota, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(wait: Option<u64>) -> Failure {
        let failure = Failure::new(FailureKind::RateLimited, "").with_status(429);
        wait.map_or(failure.clone(), |seconds| failure.with_retry(Retry::After(Duration::from_secs(seconds))))
    }

    #[track_caller]
    fn check(failures: &[Failure], expected: Option<(Cause, u64)>) {
        let now = Instant::now();
        let cool_down = CoolDown::new(now);
        failures.iter().for_each(|failure| cool_down.heed(failure, now));
        let cooling = cool_down.cooling(now).map(|cooling| (cooling.cause, cooling.left.as_secs()));
        assert_eq!(cooling, expected);
        if let Some((_, seconds)) = expected {
            assert_eq!(cool_down.cooling(now + Duration::from_secs(seconds)), None);
        }
    }

    #[test]
    fn a_pause_lasts_as_long_as_the_provider_asked() {
        check(&[limited(Some(7))], Some((Cause::Throttled, 7)));
        check(&[limited(Some(7)), limited(Some(3))], Some((Cause::Throttled, 7)));
        check(&[limited(Some(0))], None);
    }

    #[test]
    fn a_429_without_a_wait_is_no_pause() {
        check(&[limited(None)], None);
    }

    #[test]
    fn a_used_up_account_is_left_alone_for_longer_and_told_apart() {
        let quota = Failure::new(FailureKind::QuotaExhausted, "").with_status(429);
        check(&[limited(Some(7)), quota], Some((Cause::Quota, 60)));
    }

    #[test]
    fn only_a_provider_can_ask_for_a_pause() {
        let own = Cooling { cause: Cause::Throttled, left: Duration::from_secs(9) }.failure();
        check(&[own, Failure::new(FailureKind::HttpServerError, "").with_status(500)], None);
    }
}
