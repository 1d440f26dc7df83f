//! Whether one replica of a target is worth a call now: its breaker, and the pause its provider asked for.

use std::sync::Arc;
use std::time::Instant;

use wire::failure::Failure;

use crate::breaker::{Admission, Breaker, Permit, Signal, State};
use crate::cool_down::{CoolDown, Cooling};

/// What is known of one replica, shared by the threads of a lane. Outlives a reload.
#[derive(Debug)]
pub struct Health {
    breaker: Arc<Breaker>,
    cool_down: CoolDown,
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
    pub fn new(now: Instant) -> Self {
        Self { breaker: Arc::default(), cool_down: CoolDown::new(now) }
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

    /// Takes in how a call ended; `failure` is `None` for a success. Of a call that was made without a permit the breaker hears
    /// nothing. `jitter` as in [`Permit::record`]. Returns true when this opened the breaker.
    pub fn record(&self, permit: Option<Permit>, failure: Option<&Failure>, now: Instant, jitter: f64) -> bool {
        if let Some(failure) = failure {
            self.cool_down.heed(failure, now);
        }
        permit.is_some_and(|permit| permit.record(now, failure.map_or(Signal::Success, Signal::of), jitter))
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
        let health = Health::new(now);
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
}
