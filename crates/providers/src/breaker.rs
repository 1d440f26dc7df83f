//! Whether a target (a model at a provider) is worth a call. Each has a breaker of its own, held by whoever makes the calls:
//! two models of one provider may fail apart.
//!
//! **Trip.** Five failures in a row open the breaker: no call is admitted. A failure is what says that the target is
//! down (no connection, a timeout, a cut, a 5xx); any success starts the count again. 429, a used-up quota, a refused key
//! or a caller's mistake show a target that answers: they neither count nor clear. Failures of calls that were
//! admitted before the breaker changed its state are ignored.
//!
//! **Cold start.** A new breaker is closed: the first call needs no permission from history. It keeps its state over a
//! reload as long as the target is the same; a restarted process starts closed.
//!
//! **Recovery.** After a pause (1 s, doubled by every failed probe up to 30 s, ± 20 % of jitter) exactly one call is
//! admitted as a probe; all others are refused until its result is known. A success lets calls in again on probation: for
//! the next five successes one failure opens it again, with the longer pause. A failure opens it again at once. A 429,
//! a neutral result or a probe that was given up (its caller left) frees the probe for the next call.
//!
//! **From elsewhere.** Where nobody calls, no probe is made, and a breaker that is open stays so for good. Whoever has found by other calls
//! that the target answers may close it, as good as new, once its pause is over: what a single probe would have shown is shown already. One
//! whose pause lasts was told of a failure by calls of its own just now, and stays as it is.
//!
//! **Ramp.** A target that was down comes back cold. For ten seconds after the probe the breaker lets in a share of the calls
//! that rises in a straight line from a tenth to all, spread evenly (each call adds the share to a credit, and a whole credit
//! is one call). For the others it gives a permit that should only be used when nobody else can take the call: shedding what
//! others can take protects the target, refusing what nobody can take would only prolong the outage.
//!
//! Time and jitter are arguments. A closed breaker without a failure costs two atomic loads and takes no lock.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::failure::{Failure, FailureKind, Retry};

/// Failures in a row that open a breaker.
pub const TRIP_AFTER: u32 = 5;
/// Successes after a recovery during which one failure opens it again.
pub const PROBATION: u32 = 5;
/// From the probe's success to the whole load.
pub const RAMP: Duration = Duration::from_secs(10);
/// The share of calls at the beginning of the ramp.
const RAMP_FROM: f64 = 0.1;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One target's breaker, common to the threads of a lane.
#[derive(Debug)]
pub struct Breaker {
    /// Closed, no failure counted, no probation, no ramp: the lock need not be taken.
    steady: AtomicBool,
    /// Goes up with every change of phase; a permit of an older one is ignored.
    generation: AtomicU64,
    n_opened: AtomicU64,
    longest_pause: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: State,
    /// When open, the end of the pause; when recovering, the end of the ramp.
    until: Option<Instant>,
    n_failures: u32,
    /// Trips since the last time it was closed for good: the exponent of the pause.
    n_trips: u32,
    probation: u32,
    /// Parts of calls that the ramp has let in and nobody has made: below 1.
    credit: f64,
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every call is admitted.
    Closed,
    /// A rising share of calls is admitted.
    Recovering,
    /// No call is admitted until the pause has passed.
    Open,
    /// One probe is out.
    Probing,
}

impl State {
    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Recovering => "recovering",
            State::Open => "open",
            State::Probing => "probing",
        }
    }
}

/// Whether a call may be made.
#[derive(Debug)]
#[must_use]
pub enum Admission {
    /// It may. Record its result with the permit; dropping the permit says nothing about the target.
    Yes(Permit),
    /// It may, and it is the probe: its result closes the breaker or opens it again.
    Probe(Permit),
    /// It should not, because the target has only just recovered and this call is beyond its share. It may, when nobody else
    /// can take it.
    Spare(Permit),
    /// It may not. The next probe is possible after this long at the earliest.
    No {
        /// Time left of the pause; zero while a probe is out.
        retry_in: Duration,
    },
}

impl Admission {
    /// The permit, when there is one.
    pub fn permit(self) -> Result<Permit, Failure> {
        match self {
            Admission::Yes(permit) | Admission::Probe(permit) | Admission::Spare(permit) => Ok(permit),
            Admission::No { retry_in } => {
                Err(Failure::new(FailureKind::BreakerOpen, "the breaker is open").with_retry(Retry::After(retry_in)))
            }
        }
    }
}

/// What a call told about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It answered.
    Success,
    /// It is down, or as good as down.
    Failure,
    /// It answered that it is busy: 429.
    Throttled,
    /// Nothing.
    Neutral,
}

impl Signal {
    /// What a failure tells.
    pub fn of(failure: &Failure) -> Self {
        match failure.kind {
            FailureKind::Connect
            | FailureKind::Dns
            | FailureKind::Tls
            | FailureKind::TimeoutConnect
            | FailureKind::TimeoutFirstToken
            | FailureKind::TimeoutInterToken
            | FailureKind::TimeoutTotal
            | FailureKind::Disconnected
            | FailureKind::HttpServerError
            | FailureKind::ErrorInStream
            | FailureKind::ErrorInBody
            | FailureKind::Malformed => Signal::Failure,
            FailureKind::RateLimited | FailureKind::QuotaExhausted => Signal::Throttled,
            _ => Signal::Neutral,
        }
    }
}

/// The right to make one call.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    generation: u64,
    probe: bool,
    recorded: bool,
}

impl Permit {
    /// Whether this call is the probe.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// Records what the call told. `jitter` is a random number in 0..1, used when this opens the breaker. Returns true
    /// when it did.
    pub fn record(mut self, now: Instant, signal: Signal, jitter: f64) -> bool {
        self.recorded = true;
        if signal == Signal::Success && self.breaker.steady.load(Ordering::Acquire) {
            return false;
        }
        self.breaker.record(&self, now, signal, jitter)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe && !self.recorded {
            let mut inner = self.breaker.lock();
            if self.generation == self.breaker.generation.load(Ordering::Acquire) {
                self.breaker.enter(&mut inner, State::Open);
            }
        }
    }
}

impl Inner {
    /// The share of calls that the ramp lets in.
    fn ramp_share(&self, now: Instant) -> f64 {
        let left = self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        1.0 - (1.0 - RAMP_FROM) * (left.as_secs_f64() / RAMP.as_secs_f64()).min(1.0)
    }
}

impl Default for Breaker {
    fn default() -> Self {
        let inner = Inner { phase: State::Closed, until: None, n_failures: 0, n_trips: 0, probation: 0, credit: 0.0 };
        Self {
            steady: AtomicBool::new(true),
            generation: AtomicU64::new(0),
            n_opened: AtomicU64::new(0),
            longest_pause: LONGEST_PAUSE,
            inner: Mutex::new(inner),
        }
    }
}

impl Breaker {
    /// One that never pauses for longer than this, for rehearsals that nobody should wait for.
    #[must_use]
    pub fn impatient(longest_pause: Duration) -> Self {
        Self { longest_pause, ..Self::default() }
    }

    /// Whether a call may be made now.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Admission {
        if self.steady.load(Ordering::Acquire) {
            return Admission::Yes(self.permit(false));
        }
        let mut inner = self.lock();
        self.settle(&mut inner, now);
        match inner.phase {
            State::Closed => Admission::Yes(self.permit(false)),
            State::Recovering => {
                inner.credit += inner.ramp_share(now);
                if inner.credit < 1.0 {
                    return Admission::Spare(self.permit(false));
                }
                inner.credit -= 1.0;
                Admission::Yes(self.permit(false))
            }
            State::Probing => Admission::No { retry_in: Duration::ZERO },
            State::Open => {
                let retry_in = inner.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
                if !retry_in.is_zero() {
                    return Admission::No { retry_in };
                }
                self.enter(&mut inner, State::Probing);
                Admission::Probe(self.permit(true))
            }
        }
    }

    /// What it is doing. A pause or a ramp that has passed is noticed by the next call.
    pub fn state(&self) -> State {
        if self.steady.load(Ordering::Acquire) { State::Closed } else { self.lock().phase }
    }

    /// Whether a call would be refused now.
    pub fn is_shut(&self, now: Instant) -> bool {
        if self.steady.load(Ordering::Acquire) {
            return false;
        }
        let inner = self.lock();
        match inner.phase {
            State::Closed | State::Recovering => false,
            State::Probing => true,
            State::Open => inner.until.is_some_and(|until| until > now),
        }
    }

    /// Closes one that is open although its pause is over, because the target was found to answer elsewhere. Returns true when it did.
    pub fn close_from_elsewhere(&self, now: Instant) -> bool {
        let mut inner = self.lock();
        if inner.phase != State::Open || inner.until.is_some_and(|until| until > now) {
            return false;
        }
        inner.until = None;
        self.enter(&mut inner, State::Closed);
        self.settle(&mut inner, now);
        true
    }

    /// How many times it went from closed to open. A failed probe does not count again.
    pub fn opened(&self) -> u64 {
        self.n_opened.load(Ordering::Acquire)
    }

    fn record(&self, permit: &Permit, now: Instant, signal: Signal, jitter: f64) -> bool {
        let mut inner = self.lock();
        if permit.generation != self.generation.load(Ordering::Acquire) {
            return false;
        }
        match (inner.phase, signal) {
            (State::Closed | State::Recovering, Signal::Success) => {
                inner.n_failures = 0;
                inner.probation = inner.probation.saturating_sub(1);
                self.settle(&mut inner, now);
            }
            (State::Closed | State::Recovering, Signal::Failure) => {
                self.steady.store(false, Ordering::Release);
                inner.n_failures += 1;
                if inner.n_failures >= TRIP_AFTER || inner.probation > 0 {
                    self.n_opened.fetch_add(1, Ordering::AcqRel);
                    self.open(&mut inner, now, jitter);
                    return true;
                }
            }
            (State::Probing, Signal::Success) if permit.probe => {
                inner.n_failures = 0;
                inner.probation = PROBATION;
                inner.until = Some(now + RAMP);
                inner.credit = 0.0;
                self.enter(&mut inner, State::Recovering);
            }
            (State::Probing, Signal::Failure) if permit.probe => self.open(&mut inner, now, jitter),
            (State::Probing, Signal::Throttled | Signal::Neutral) if permit.probe => {
                self.enter(&mut inner, State::Open);
            }
            _ => {}
        }
        false
    }

    fn open(&self, inner: &mut Inner, now: Instant, jitter: f64) {
        let pause = FIRST_PAUSE.saturating_mul(1 << inner.n_trips.min(5)).min(self.longest_pause);
        inner.until = Some(now + pause.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)));
        inner.n_trips += 1;
        inner.n_failures = 0;
        inner.probation = 0;
        self.enter(inner, State::Open);
    }

    /// Ends a ramp that has passed, and forgets the past of a breaker that has proven itself.
    fn settle(&self, inner: &mut Inner, now: Instant) {
        if inner.phase == State::Recovering && inner.until.is_none_or(|until| now >= until) {
            inner.phase = State::Closed;
        }
        if inner.phase == State::Closed && inner.probation == 0 && inner.n_failures == 0 {
            inner.n_trips = 0;
            self.steady.store(true, Ordering::Release);
        }
    }

    fn enter(&self, inner: &mut Inner, phase: State) {
        inner.phase = phase;
        self.steady.store(false, Ordering::Release);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn permit(self: &Arc<Self>, probe: bool) -> Permit {
        let generation = self.generation.load(Ordering::Acquire);
        Permit { breaker: Arc::clone(self), generation, probe, recorded: false }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
