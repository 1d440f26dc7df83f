//! Whether one replica of a target is worth a call now: its breaker, and the pause its provider asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use wire::failure::{Failure, FailureKind};

use crate::breaker::{Admission, Breaker, Permit, Signal, State};
use crate::cool_down::{CoolDown, Cooling};

/// What is known of one replica, shared by the threads of a lane. Outlives a reload.
#[derive(Debug)]
pub struct Health {
    breaker: Arc<Breaker>,
    cool_down: CoolDown,
    whose: Whose,
    /// Why the breaker is open; taken only when it turns.
    trouble: Mutex<Option<Trouble>>,
}

/// Whom a log line about a replica is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whose {
    /// The target.
    pub target: String,
    /// The provider of the replica.
    pub provider: String,
    /// `live`, or `shadow` for copies.
    pub lane: &'static str,
}

/// Why a breaker opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When it went from closed to open.
    pub since: SystemTime,
    /// What kind of failure was the last before it.
    pub kind: FailureKind,
    /// What that failure said.
    pub detail: String,
}

impl Trouble {
    /// Whether no request got there at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        use FailureKind::{Connect, Dns, TimeoutConnect, Tls};
        matches!(self.kind, Connect | Dns | Tls | TimeoutConnect)
    }

    /// The innermost cause, as short as it can be said: `connection refused`.
    #[must_use]
    pub fn words(&self) -> String {
        let innermost = self.detail.rsplit(": ").next().unwrap_or_default();
        let innermost = innermost.split(" (os error").next().unwrap_or_default().trim();
        if innermost.is_empty() { self.kind.as_str().replace('_', " ") } else { innermost.to_lowercase() }
    }
}

/// The answer to whoever wants to call.
#[derive(Debug)]
#[must_use]
pub enum Entry {
    /// Call, and report with the permit.
    Yes(Permit),
    /// Call only when nobody else can: the replica has just recovered.
    Spare(Permit),
    /// Do not call.
    No(Failure),
}

impl Health {
    /// Nothing known yet: closed, no pause.
    pub fn new(now: Instant, whose: Whose) -> Self {
        Self { breaker: Arc::default(), cool_down: CoolDown::new(now), whose, trouble: Mutex::default() }
    }

    /// The same with a breaker that never pauses for longer than this.
    pub fn impatient(now: Instant, whose: Whose, longest_pause: Duration) -> Self {
        Self { breaker: Arc::new(Breaker::impatient(longest_pause)), ..Self::new(now, whose) }
    }

    /// Whether a call may be made now.
    pub fn enter(&self, now: Instant) -> Entry {
        if let Some(cooling) = self.cool_down.cooling(now) {
            return Entry::No(cooling.failure());
        }
        match self.breaker.admit(now) {
            Admission::Spare(permit) => Entry::Spare(permit),
            admission => match admission.permit() {
                Ok(permit) => Entry::Yes(permit),
                Err(failure) => Entry::No(failure),
            },
        }
    }

    /// Whether a call would be refused now.
    pub fn is_shut(&self, now: Instant) -> bool {
        self.cool_down.cooling(now).is_some() || self.breaker.is_shut(now)
    }

    /// Whether its breaker would refuse a call now; a pause that its provider asked for is none of the breaker.
    pub fn is_refused(&self, now: Instant) -> bool {
        self.breaker.is_shut(now)
    }

    /// Closes a breaker that is open from long ago, as in [`Breaker::close_from_elsewhere`].
    pub fn close_from_elsewhere(&self, now: Instant) {
        if self.breaker.close_from_elsewhere(now) {
            self.note_closed();
        }
    }

    /// Takes in how a call ended; `failure` is `None` for a success. Of a call that was made without a permit the breaker hears
    /// nothing. `jitter` as in [`Permit::record`]. Returns true when this opened the breaker. The log hears of a breaker that opens
    /// or lets calls in again, once each time; of a probe that fails it hears nothing.
    pub fn record(&self, permit: Option<Permit>, failure: Option<&Failure>, now: Instant, jitter: f64) -> bool {
        if let Some(failure) = failure {
            self.cool_down.heed(failure, now);
        }
        let Some(permit) = permit else { return false };
        let is_probe = permit.is_probe();
        let opened = permit.record(now, failure.map_or(Signal::Success, Signal::of), jitter);
        match failure {
            Some(failure) if opened => self.note_opened(failure),
            None if is_probe && self.state() != State::Open => self.note_closed(),
            _ => {}
        }
        opened
    }

    fn note_opened(&self, failure: &Failure) {
        let Whose { target, provider, lane } = &self.whose;
        let (kind, detail) = (failure.kind, &failure.detail);
        tracing::warn!(target_name = %target, %provider, lane, failure = %kind, %detail, "breaker opened");
        let trouble = Trouble { since: SystemTime::now(), kind, detail: detail.clone() };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    fn note_closed(&self) {
        let Whose { target, provider, lane } = &self.whose;
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        let open_s = trouble.and_then(|trouble| trouble.since.elapsed().ok()).map_or(0, |open| open.as_secs());
        tracing::info!(target_name = %target, %provider, lane, open_s, "breaker closed");
    }

    /// Why the breaker is open, while it is.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the breaker is doing.
    pub fn state(&self) -> State {
        self.breaker.state()
    }

    /// How often the breaker opened.
    pub fn opened(&self) -> u64 {
        self.breaker.opened()
    }

    /// The pause that lasts.
    pub fn cooling(&self, now: Instant) -> Option<Cooling> {
        self.cool_down.cooling(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wire::failure::{FailureKind, Retry};

    use super::*;

    #[test]
    fn a_429_pauses_without_opening_and_frees_the_probe() {
        let mut now = Instant::now();
        let health = Health::new(now, Whose::default());
        let call = |now, failure: &Failure| match health.enter(now) {
            Entry::Yes(permit) => health.record(Some(permit), Some(failure), now, 0.5),
            other => panic!("{other:?}"),
        };
        let down = Failure::new(FailureKind::Connect, "");
        let busy = Failure::new(FailureKind::RateLimited, "").with_status(429);
        let busy_for = |seconds| busy.clone().with_retry(Retry::After(Duration::from_secs(seconds)));
        for _ in 0..5 {
            call(now, &down);
        }
        assert_eq!(health.state(), State::Open);
        now += Duration::from_secs(1);
        assert!(!call(now, &busy_for(7)), "the probe met a 429");
        assert!(matches!(health.enter(now), Entry::No(failure) if failure.kind == FailureKind::RateLimited));
        assert!(health.is_shut(now));
        now += Duration::from_secs(7);
        assert!(!health.is_shut(now));
        assert!(!call(now, &busy), "the probe was free");
        assert_eq!((health.opened(), health.state()), (1, State::Open));
    }

    #[test]
    fn an_open_breaker_says_why_until_it_lets_calls_in_again() {
        let mut now = Instant::now();
        let health = Health::new(now, Whose::default());
        let refused = Failure::new(FailureKind::Connect, "tcp connect error: Connection refused (os error 111)");
        let call = |now, failure: Option<&Failure>| match health.enter(now) {
            Entry::Yes(permit) => health.record(Some(permit), failure, now, 0.5),
            other => panic!("{other:?}"),
        };
        (0..4).for_each(|_| assert!(!call(now, Some(&refused))));
        assert_eq!(health.trouble(), None, "not open yet");
        assert!(call(now, Some(&refused)));
        let trouble = health.trouble().unwrap();
        assert!(trouble.is_unreachable());
        assert_eq!(trouble.words(), "connection refused");
        now += Duration::from_secs(1);
        assert!(!call(now, Some(&Failure::new(FailureKind::TimeoutConnect, "no connection in time"))));
        assert_eq!(health.trouble(), Some(trouble), "a probe that fails changes nothing");
        now += Duration::from_secs(3);
        assert!(!call(now, None));
        assert_eq!(health.trouble(), None);
    }
}
