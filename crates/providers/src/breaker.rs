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
//! **Recovery.** After a cool-down (1 s, doubled by every failed probe up to 30 s, ± 20 % of jitter) exactly one call is
//! admitted as a probe; all others are refused until its result is known. A success closes the breaker on probation: for
//! the next five successes one failure opens it again, with the longer cool-down. A failure opens it again at once. A 429,
//! a neutral result or a probe that was given up (its caller left) frees the probe for the next call.
//!
//! Time and jitter are arguments. A closed breaker without a failure costs two atomic loads and takes no lock.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::failure::{Failure, FailureKind};

/// Failures in a row that open a breaker.
pub const TRIP_AFTER: u32 = 5;
/// Successes after a recovery during which one failure opens it again.
pub const PROBATION: u32 = 5;
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(30);

/// One target's breaker, common to the threads of a lane.
#[derive(Debug)]
pub struct Breaker {
    /// Closed, no failure counted, no probation: the lock need not be taken.
    steady: AtomicBool,
    /// Goes up with every change of phase; a permit of an older one is ignored.
    generation: AtomicU64,
    n_opened: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: State,
    /// When open: the end of the cool-down.
    until: Option<Instant>,
    n_failures: u32,
    /// Trips since the last time it was closed for good: the exponent of the cool-down.
    n_trips: u32,
    probation: u32,
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every call is admitted.
    Closed,
    /// No call is admitted until the cool-down has passed.
    Open,
    /// One probe is out.
    Probing,
}

impl State {
    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
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
    /// It may not. The next probe is possible after this long at the earliest.
    No {
        /// Time left of the cool-down; zero while a probe is out.
        retry_in: Duration,
    },
}

impl Admission {
    /// The permit, when there is one.
    pub fn permit(self) -> Result<Permit, Failure> {
        match self {
            Admission::Yes(permit) | Admission::Probe(permit) => Ok(permit),
            Admission::No { retry_in } => {
                Err(Failure::new(FailureKind::BreakerOpen, format!("breaker open for another {retry_in:?}")))
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

impl Default for Breaker {
    fn default() -> Self {
        let inner = Inner { phase: State::Closed, until: None, n_failures: 0, n_trips: 0, probation: 0 };
        Self {
            steady: AtomicBool::new(true),
            generation: AtomicU64::new(0),
            n_opened: AtomicU64::new(0),
            inner: Mutex::new(inner),
        }
    }
}

impl Breaker {
    /// Whether a call may be made now.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Admission {
        if self.steady.load(Ordering::Acquire) {
            return Admission::Yes(self.permit(false));
        }
        let mut inner = self.lock();
        match inner.phase {
            State::Closed => Admission::Yes(self.permit(false)),
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

    /// What it is doing.
    pub fn state(&self) -> State {
        if self.steady.load(Ordering::Acquire) { State::Closed } else { self.lock().phase }
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
            (State::Closed, Signal::Success) => {
                inner.n_failures = 0;
                inner.probation = inner.probation.saturating_sub(1);
                if inner.probation == 0 {
                    inner.n_trips = 0;
                    self.steady.store(true, Ordering::Release);
                }
            }
            (State::Closed, Signal::Failure) => {
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
                self.enter(&mut inner, State::Closed);
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
        let cool_down = FIRST_COOL_DOWN.saturating_mul(1 << inner.n_trips.min(5)).min(LONGEST_COOL_DOWN);
        inner.until = Some(now + cool_down.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)));
        inner.n_trips += 1;
        inner.n_failures = 0;
        inner.probation = 0;
        self.enter(inner, State::Open);
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
