//! Another try at the same target: whether a failure allows it, how long to wait, how often.

use std::time::Duration;

use wire::failure::{Failure, FailureKind};

/// Tries at one target when nobody else can take over and nothing else is configured. As many as the official SDKs make.
pub const DEFAULT_ATTEMPTS: u32 = 3;
const DEFAULT_BASE: Duration = Duration::from_millis(250);
const DEFAULT_CAP: Duration = Duration::from_secs(4);

/// What one level of the config (provider, target or route) says about retries. What it leaves open, the level below says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryRules {
    /// Calls to one target for one request, the first included.
    pub max_attempts: Option<u32>,
    /// The longest wait before the second call; doubled before each further one.
    pub base: Option<Duration>,
    /// The longest wait before any.
    pub cap: Option<Duration>,
    /// Whether a call that may have been carried out (a timeout, a cut) is made again at the same target.
    pub replay_ambiguous: Option<bool>,
}

impl RetryRules {
    /// These rules, with `below` where they say nothing.
    #[must_use]
    pub fn over(self, below: RetryRules) -> RetryRules {
        RetryRules {
            max_attempts: self.max_attempts.or(below.max_attempts),
            base: self.base.or(below.base),
            cap: self.cap.or(below.cap),
            replay_ambiguous: self.replay_ambiguous.or(below.replay_ambiguous),
        }
    }

    /// Calls to one target for one request. When nothing is configured: one where somebody else can take over, because that
    /// is sooner than a wait, else [`DEFAULT_ATTEMPTS`].
    #[must_use]
    pub fn max_attempts(&self, somebody_else: bool) -> u32 {
        self.max_attempts.unwrap_or(if somebody_else { 1 } else { DEFAULT_ATTEMPTS })
    }

    /// Whether the same target may be called again after this failure, nothing of an answer having been shown.
    #[must_use]
    pub fn allow(&self, failure: &Failure) -> bool {
        match after(failure) {
            After::Safe => true,
            After::Ambiguous => self.replay_ambiguous.unwrap_or(false),
            After::Useless => false,
        }
    }

    /// The wait before the next call after `n_failed` (from 1): `random · min(cap, base · 2^(n_failed − 1))`, with `random`
    /// in 0..1.
    ///
    /// "Full jitter", M. Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog, 2015. By hand: base 250 ms, cap 4 s,
    /// `n_failed` 3 and random 0.5 give 500 ms.
    #[must_use]
    pub fn wait(&self, n_failed: u32, random: f64) -> Duration {
        let doubled = 1_u32.checked_shl(n_failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.longest_base().saturating_mul(doubled).min(self.longest_wait());
        longest.mul_f64(random.clamp(0.0, 1.0))
    }

    /// The longest wait before any call.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.cap.unwrap_or(DEFAULT_CAP)
    }

    /// The longest wait before the second call.
    #[must_use]
    pub fn longest_base(&self) -> Duration {
        self.base.unwrap_or(DEFAULT_BASE)
    }
}

/// What another call to the same target would be after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The provider did not begin, or says itself that it failed.
    Safe,
    /// The provider may have done the work and may be paid for it.
    Ambiguous,
    /// It would fail again, or must not be made: the provider asked to slow down, or no call was made in the first place.
    Useless,
}

/// What another call to the same target would be.
#[must_use]
pub fn after(failure: &Failure) -> After {
    match failure.kind {
        FailureKind::Connect
        | FailureKind::Dns
        | FailureKind::Tls
        | FailureKind::TimeoutConnect
        | FailureKind::ErrorInBody
        | FailureKind::ErrorInStream => After::Safe,
        // A redirect, "not implemented" and "loop detected" stay what they are.
        FailureKind::HttpServerError => match failure.status {
            Some(300..=399 | 501 | 505 | 508) => After::Useless,
            _ => After::Safe,
        },
        FailureKind::TimeoutFirstToken
        | FailureKind::TimeoutInterToken
        | FailureKind::TimeoutTotal
        | FailureKind::Disconnected => After::Ambiguous,
        _ => After::Useless,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_may_have_been_done_is_done_again_only_where_allowed() {
        let strict = RetryRules::default();
        let lax = RetryRules { replay_ambiguous: Some(true), ..strict };
        for &kind in FailureKind::ALL {
            let failure = Failure::new(kind, "");
            match after(&failure) {
                After::Safe => assert!(strict.allow(&failure) && lax.allow(&failure), "{kind}"),
                After::Ambiguous => assert!(!strict.allow(&failure) && lax.allow(&failure), "{kind}"),
                After::Useless => assert!(!strict.allow(&failure) && !lax.allow(&failure), "{kind}"),
            }
        }
        let kinds = |what| FailureKind::ALL.iter().filter(move |kind| after(&Failure::new(**kind, "")) == what);
        assert_eq!(kinds(After::Ambiguous).count(), 4);
        assert_eq!(after(&Failure::new(FailureKind::RateLimited, "")), After::Useless);
        assert_eq!(after(&Failure::new(FailureKind::HttpServerError, "").with_status(501)), After::Useless);
    }

    #[test]
    fn the_nearest_level_that_says_something_decides() {
        let route = RetryRules { max_attempts: Some(5), ..RetryRules::default() };
        let target = RetryRules { max_attempts: Some(2), cap: Some(Duration::from_secs(1)), ..RetryRules::default() };
        let both = route.over(target);
        assert_eq!((both.max_attempts(true), both.longest_wait()), (5, Duration::from_secs(1)));
        assert_eq!(RetryRules::default().max_attempts(true), 1);
        assert_eq!(RetryRules::default().max_attempts(false), DEFAULT_ATTEMPTS);
    }

    #[test]
    fn the_wait_is_a_random_part_of_a_doubling_bound() {
        let rules = RetryRules::default();
        let ms = |n_failed, random| rules.wait(n_failed, random).as_millis();
        assert_eq!((ms(1, 1.0), ms(2, 1.0), ms(3, 0.5), ms(9, 1.0), ms(1, 0.0)), (250, 500, 500, 4000, 0));
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_its_cap(n_failed in 0_u32..100, random in 0.0..1.0_f64, cap_ms in 0_u64..10_000) {
            let rules = RetryRules { cap: Some(Duration::from_millis(cap_ms)), ..RetryRules::default() };
            prop_assert!(rules.wait(n_failed, random) <= Duration::from_millis(cap_ms));
        }
    }
}
