//! Whether the machine has anything left for copies. Every worker looks ten times a second how late its own timer is, and one of
//! them how much of the machine the process uses; while either is too much, nothing is copied. The next look that finds it in order
//! takes the sample back to what it was. What other processes use shows as lateness.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::drain::Phase;
use crate::record::micros;
use crate::worker::Worker;

/// How often a worker looks.
const TICK: Duration = Duration::from_millis(100);

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overload {
    /// A worker's timer this late.
    pub lag: Duration,
    /// The process's part of all cores, 0..1.
    pub cpu: f64,
}

impl Default for Overload {
    fn default() -> Self {
        Self { lag: Duration::from_millis(5), cpu: 0.8 }
    }
}

/// What all workers see together.
#[derive(Debug)]
pub(crate) struct Governor {
    limit: Option<Overload>,
    began: Instant,
    n_cores: f64,
    /// One for each worker.
    seats: Vec<Seat>,
    cpu_is_high: AtomicBool,
    overloaded: AtomicBool,
    times: AtomicU64,
}

#[derive(Debug, Default)]
struct Seat {
    lag_us: AtomicU64,
    /// When it looked last, from the beginning; a worker that does not get to look is late by as much.
    looked_us: AtomicU64,
}

impl Governor {
    pub(crate) fn new(limit: Option<Overload>, n_workers: usize) -> Arc<Self> {
        let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            limit,
            began: Instant::now(),
            n_cores: u32::try_from(n_cores).map_or(1.0, f64::from),
            seats: (0..n_workers).map(|_| Seat::default()).collect(),
            cpu_is_high: AtomicBool::new(false),
            overloaded: AtomicBool::new(false),
            times: AtomicU64::new(0),
        })
    }

    /// Whether nothing is to be copied now.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed)
    }

    /// How often it came to that.
    pub(crate) fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }

    /// Looks for the worker at `seat` for as long as it runs.
    pub(crate) async fn watch(self: Arc<Self>, seat: usize, worker: Rc<Worker>) {
        if self.limit.is_none() {
            return;
        }
        let (mut used, mut at) = (cpu_time(), Instant::now());
        while worker.phase.get() < Phase::Closing {
            let due = Instant::now() + TICK;
            tokio::time::sleep_until(due.into()).await;
            let now = Instant::now();
            if seat == 0 {
                let (used_now, span) = (cpu_time(), now.saturating_duration_since(at));
                let part = used_now.saturating_sub(used).as_secs_f64() / (span.as_secs_f64() * self.n_cores);
                (used, at) = (used_now, now);
                self.note_cpu(part);
            }
            self.note_lag(seat, now.saturating_duration_since(due), now.saturating_duration_since(self.began));
        }
    }

    fn note_cpu(&self, part: f64) {
        let is_high = self.limit.is_some_and(|limit| part > limit.cpu);
        self.cpu_is_high.store(is_high, Ordering::Relaxed);
    }

    /// A timer fires up to a millisecond after it is due: that is how fine it is, and no lateness.
    fn note_lag(&self, seat: usize, lag: Duration, since_beginning: Duration) {
        let (Some(limit), Some(own)) = (self.limit, self.seats.get(seat)) else { return };
        let now_us = micros(since_beginning);
        own.lag_us.store(micros(lag.saturating_sub(Duration::from_millis(1))), Ordering::Relaxed);
        own.looked_us.store(now_us, Ordering::Relaxed);
        let (limit_us, tick_us) = (micros(limit.lag), micros(TICK));
        let is_late = |seat: &Seat| {
            let looked_us = seat.looked_us.load(Ordering::Relaxed);
            // A worker that has not looked yet is being started.
            let missing_us = if looked_us == 0 { 0 } else { now_us.saturating_sub(looked_us + 2 * tick_us) };
            seat.lag_us.load(Ordering::Relaxed).max(missing_us) > limit_us
        };
        let is_overloaded = self.cpu_is_high.load(Ordering::Relaxed) || self.seats.iter().any(is_late);
        if is_overloaded && !self.overloaded.swap(true, Ordering::Relaxed) {
            self.times.fetch_add(1, Ordering::Relaxed);
        } else if !is_overloaded {
            self.overloaded.store(false, Ordering::Relaxed);
        }
    }
}

/// CPU time that the process has used, all threads together.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn governor() -> Arc<Governor> {
        Governor::new(Some(Overload::default()), 2)
    }

    #[test]
    fn one_late_look_stops_copies_and_the_next_good_one_lets_them_go_on() {
        let governor = governor();
        governor.note_lag(0, 3 * MS, 100 * MS);
        assert!(!governor.is_overloaded());
        governor.note_lag(0, 7 * MS, 200 * MS);
        assert!(governor.is_overloaded());
        governor.note_lag(1, 2 * MS, 205 * MS);
        assert!(governor.is_overloaded(), "the other worker is late still");
        governor.note_lag(0, 2 * MS, 300 * MS);
        assert!(!governor.is_overloaded());
        assert_eq!(governor.times(), 1);
    }

    #[test]
    fn a_worker_that_does_not_get_to_look_is_late() {
        let governor = governor();
        governor.note_lag(0, MS, 100 * MS);
        governor.note_lag(1, MS, 100 * MS);
        governor.note_lag(1, MS, 300 * MS);
        assert!(!governor.is_overloaded());
        governor.note_lag(1, MS, 400 * MS);
        assert!(governor.is_overloaded());
    }

    #[test]
    fn a_busy_process_copies_nothing() {
        let governor = governor();
        governor.note_cpu(0.81);
        governor.note_lag(0, MS, 100 * MS);
        assert!(governor.is_overloaded());
        governor.note_cpu(0.79);
        governor.note_lag(0, MS, 200 * MS);
        assert!(!governor.is_overloaded());
    }

    #[test]
    fn without_a_limit_nothing_is_too_much() {
        let governor = Governor::new(None, 1);
        governor.note_cpu(1.0);
        governor.note_lag(0, Duration::from_secs(1), Duration::from_secs(2));
        assert!(!governor.is_overloaded());
    }
}
