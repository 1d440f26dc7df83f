//! What the record keeps, and for how long: the thread that takes away what the config says is old, or too much.
//!
//! It works beside the traffic: short turns on a connection of its own, and after each a rest of four times as long. What a rollout
//! rests on stays (see [`kept`]); when nothing more may go and the database is still too large, that is a number people can be told
//! of, not a reason to take away more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rollout::Status as RolloutStatus;
use serde::{Deserialize, Serialize};
use store::{Database, DatabaseError, KeptFor, Part, Pruned, Pruner, StoreSize};
use wire::ids::ExchangeId;

use crate::control::StoredState;
use crate::live::now;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);
/// How often it looks again at what stayed: something may not be held any more, or have come late.
const AGAIN: Duration = Duration::from_secs(6 * 3600);
/// The shortest rest between two turns.
const SHORTEST_REST: Duration = Duration::from_millis(20);
/// What is younger is not taken away, neither for its age nor for its size: requests under way and their copies need it, callers go on
/// from answers, people look at what just happened.
pub const SAFE_AGE: Duration = Duration::from_secs(3600);
/// When there is too much, it goes on until this fraction of the bound is left free.
const SLACK: u64 = 20;
/// A completed rollout's exchanges stay for at least this long: its gates are read anew from them.
pub const COMPLETED: Duration = Duration::from_secs(31 * 86_400);

/// What the config says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Bodies older than this go.
    pub bodies: Option<Duration>,
    /// Exchanges older than this go, with their bodies.
    pub rows: Option<Duration>,
    /// While the database is larger than this, the oldest bodies go, and when there are none left, the oldest exchanges. Bytes.
    pub max_size: Option<u64>,
}

/// What it has done since the start, and what it found last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// What went.
    pub gone: Pruned,
    /// How often the store refused.
    pub failures: u64,
    /// How large the database is.
    pub size: StoreSize,
    /// Bytes beyond the bound, with nothing left that may go.
    pub over: u64,
}

/// The rollouts whose exchanges stay: those under way keep all of theirs; a completed one that is in the config keeps those of the last
/// while. One that cannot be read keeps all. `window` is how far back a completed rollout's gates are read anew; `None` when it is
/// not in the config.
///
/// # Errors
/// When the store cannot be read.
pub fn kept(
    database: &Database,
    window: impl Fn(&str) -> Option<Duration>,
    now_us: u64,
) -> Result<Vec<KeptFor>, DatabaseError> {
    let since = |row: &store::RolloutRow| match serde_json::from_str::<StoredState>(&row.state_json) {
        Err(_) => Some(0),
        Ok(stored) => match stored.state.status {
            RolloutStatus::Draft | RolloutStatus::RolledBack | RolloutStatus::Aborted => None,
            RolloutStatus::Active | RolloutStatus::AwaitingApproval | RolloutStatus::Held | RolloutStatus::Paused => {
                Some(0)
            }
            RolloutStatus::Completed => {
                window(&row.name).map(|window| now_us.saturating_sub(micros(window.max(COMPLETED))))
            }
        },
    };
    let rows = database.load_rollouts()?;
    let kept = rows.iter().filter_map(|row| Some(KeptFor { rollout: row.name.clone(), since_us: since(row)? }));
    Ok(kept.collect())
}

/// The thread; it stops when this is dropped.
#[derive(Debug)]
pub struct Retention {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<(Status, bool)>,
    changed: Condvar,
}

impl Retention {
    /// Starts it. `window` as in [`kept`].
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(
        database: Database,
        settings: Settings,
        window: impl Fn(&str) -> Option<Duration> + Send + 'static,
    ) -> std::io::Result<Retention> {
        let shared = Arc::new(Shared::default());
        let mine = Arc::clone(&shared);
        let run = move || {
            let mut sweeper = Sweeper::new(settings);
            let mut was_refused = false;
            while mine.rest(if was_refused { SHORTEST_REST * 250 } else { EVERY.min(sweeper.first_rest()) }) {
                let done = look(&database, &mut sweeper, &window, &mine);
                if let Err(error) = &done
                    && !was_refused
                {
                    tracing::warn!(
                        error = error as &dyn std::error::Error,
                        "nothing is taken from the record, trying again"
                    );
                }
                was_refused = done.is_err();
                mine.lock().0.failures += u64::from(was_refused);
            }
        };
        let thread = std::thread::Builder::new().name("retention".to_owned()).spawn(run)?;
        Ok(Retention { shared, thread: Mutex::new(Some(thread)) })
    }

    /// What it has done so far.
    pub fn status(&self) -> Status {
        self.shared.lock().0
    }

    /// Stops it after its turn.
    pub fn stop(&self) {
        self.shared.lock().1 = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("retention thread panicked");
        }
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Status, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; false when it is to stop.
    fn rest(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |state| !state.1);
        !waited.unwrap_or_else(PoisonError::into_inner).0.1
    }
}

fn look(
    database: &Database,
    sweeper: &mut Sweeper,
    window: &dyn Fn(&str) -> Option<Duration>,
    shared: &Shared,
) -> Result<(), DatabaseError> {
    let now_us = now().0;
    let kept = kept(database, window, now_us)?;
    let mut pruner = Pruner::open(database.path())?;
    let mut rest = |gone: &Pruned, took: Duration| {
        shared.lock().0.gone.add(gone);
        shared.rest((took * 4).max(SHORTEST_REST))
    };
    let over = sweeper.sweep(&mut pruner, (now_us, Instant::now()), &kept, &mut rest)?;
    let size = pruner.size()?;
    let mut state = shared.lock();
    (state.0.size, state.0.over) = (size, over);
    Ok(())
}

/// Where it is.
struct Sweeper {
    settings: Settings,
    /// Everything before was looked at.
    bodies_from: Option<ExchangeId>,
    rows_from: Option<ExchangeId>,
    /// What was held when it began from the start, and when that was.
    began: Option<(Vec<KeptFor>, Instant)>,
    /// There was too much and nothing more to take; until then it is not tried again.
    stuck_until: Option<Instant>,
}

/// Told what a turn took and how long it lasted; false when it is to stop.
type Rest<'a> = &'a mut dyn FnMut(&Pruned, Duration) -> bool;

impl Sweeper {
    fn new(settings: Settings) -> Sweeper {
        Sweeper { settings, bodies_from: None, rows_from: None, began: None, stuck_until: None }
    }

    /// The first look comes soon: it is what the size on the metrics page is from.
    fn first_rest(&self) -> Duration {
        if self.began.is_none() { Duration::from_secs(1) } else { EVERY }
    }

    /// One look: what is too old goes, then what is too much. Gives back how many bytes too many are left with nothing to take.
    fn sweep(
        &mut self,
        pruner: &mut Pruner,
        (now_us, now): (u64, Instant),
        kept: &[KeptFor],
        rest: Rest<'_>,
    ) -> Result<u64, DatabaseError> {
        let is_fresh =
            |(before, at): &(Vec<KeptFor>, Instant)| is_same(before, kept) && now.duration_since(*at) < AGAIN;
        if !self.began.as_ref().is_some_and(is_fresh) {
            (self.bodies_from, self.rows_from, self.stuck_until) = (None, None, None);
            self.began = Some((kept.to_vec(), now));
        }
        let before = |age: Duration| now_us.saturating_sub(micros(age));
        if let Some(age) = self.settings.bodies {
            let (after, _) = turns(pruner, Part::Bodies, (self.bodies_from, before(age)), kept, rest)?;
            self.bodies_from = after;
        }
        if let Some(age) = self.settings.rows {
            let (after, is_end) = turns(pruner, Part::Exchanges, (self.rows_from, before(age)), kept, rest)?;
            self.rows_from = after;
            if is_end {
                turns(pruner, Part::Counted, (None, before(age)), kept, rest)?;
            }
        }
        self.shrink(pruner, (before(SAFE_AGE), now), kept, rest)
    }

    fn shrink(
        &mut self,
        pruner: &mut Pruner,
        (before_us, now): (u64, Instant),
        kept: &[KeptFor],
        rest: Rest<'_>,
    ) -> Result<u64, DatabaseError> {
        let Some(bound) = self.settings.max_size else { return Ok(0) };
        let over = |pruner: &Pruner, bound: u64| Ok::<u64, DatabaseError>(pruner.size()?.used.saturating_sub(bound));
        if over(pruner, bound)? == 0 {
            self.stuck_until = None;
            return Ok(0);
        }
        if self.stuck_until.is_some_and(|until| now < until) {
            return over(pruner, bound);
        }
        for part in [Part::Bodies, Part::Exchanges] {
            let mut after = None;
            loop {
                if over(pruner, bound - bound / SLACK)? == 0 {
                    return Ok(0);
                }
                let began = Instant::now();
                let turn = pruner.turn(part, (after, before_us), kept)?;
                if !rest(&turn.gone, began.elapsed()) {
                    return over(pruner, bound);
                }
                after = turn.after;
                if after.is_none() {
                    break;
                }
            }
        }
        self.stuck_until = Some(now + SAFE_AGE);
        over(pruner, bound)
    }
}

/// Turn after turn until the end, or until it is to stop. Gives back where to go on, and whether the end was reached.
fn turns(
    pruner: &mut Pruner,
    part: Part,
    (mut after, before_us): (Option<ExchangeId>, u64),
    kept: &[KeptFor],
    rest: Rest<'_>,
) -> Result<(Option<ExchangeId>, bool), DatabaseError> {
    loop {
        let began = Instant::now();
        let turn = pruner.turn(part, (after, before_us), kept)?;
        let goes_on = rest(&turn.gone, began.elapsed());
        match turn.after {
            // All that is older was looked at.
            None => return Ok((Some(ExchangeId::from_u128(u128::from(before_us / 1000) << 80)), true)),
            Some(_) if !goes_on => return Ok((turn.after, false)),
            Some(_) => after = turn.after,
        }
    }
}

/// The same rollouts hold the same: that the last while of a completed one moves on is no change.
fn is_same(before: &[KeptFor], now: &[KeptFor]) -> bool {
    let what = |kept: &KeptFor| (kept.rollout.clone(), kept.since_us == 0);
    before.iter().map(what).eq(now.iter().map(what))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
