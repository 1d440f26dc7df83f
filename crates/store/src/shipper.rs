//! Moves what the journal holds into the database: in batches, in order, each record once in effect.

mod insert;
mod sums;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde::Serialize;

use crate::database::{Database, DatabaseError, Refusing, during, signed, unsigned, writable};
use crate::failpoint;
use crate::journal::{Journal, Position, ReadOutcome, Reader};
use insert::Batch;
pub(crate) use insert::arm;

/// How long one attempt waits for another writer before the shipper backs off.
const BUSY_WAIT: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How the shipper behaves.
#[derive(Debug, Clone)]
pub struct ShipperConfig {
    /// At most so many records in a transaction.
    pub batch_records: usize,
    /// At most about so many bytes of records in a transaction.
    pub batch_bytes: usize,
    /// How often the journal is looked at.
    pub every: Duration,
    /// How long a stopping shipper goes on shipping what is left.
    pub stop_within: Duration,
}

impl Default for ShipperConfig {
    fn default() -> ShipperConfig {
        ShipperConfig {
            batch_records: 2000,
            batch_bytes: 4 << 20,
            every: Duration::from_millis(100),
            stop_within: Duration::from_secs(5),
        }
    }
}

/// What the shipper has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ShipperCounts {
    /// Records shipped.
    pub records: u64,
    /// Transactions.
    pub batches: u64,
    /// Bytes of bodies before compression.
    pub body_bytes: u64,
    /// Bytes of bodies as stored.
    pub stored_bytes: u64,
    /// Segments deleted.
    pub deleted_segments: u64,
    /// Segments that ended torn.
    pub torn_segments: u64,
    /// Records that could not be decoded.
    pub undecodable: u64,
    /// Transactions that failed and were tried again.
    pub failures: u64,
    /// Exchanges a dead process left without an answer.
    pub truncated: u64,
    /// CPU time of the thread, microseconds.
    pub cpu_us: u64,
    /// True when everything written was shipped at the last look.
    pub caught_up: bool,
    /// True once everything that earlier processes left is in the database.
    pub inherited_shipped: bool,
}

/// The shipping thread; it stops when this is dropped.
pub struct Shipper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Flushes asked for, and the last one done.
    asked: u64,
    done: u64,
    stop: bool,
    counts: ShipperCounts,
}

impl Shipper {
    /// Starts shipping from where the database says the last shipper stopped. A database that fails does not stop it:
    /// the journal grows until the database is back.
    pub fn start(journal: &Journal, database: &Database, config: ShipperConfig) -> io::Result<Shipper> {
        let shared = Arc::new(Shared::default());
        let mut ship = Ship {
            reader: journal.reader(),
            first_seq: journal.first_seq(),
            path: database.path().to_path_buf(),
            config,
            refusing: database.refusing(),
            connection: None,
            batch: None,
            swept: false,
            finishing: false,
            compressor: insert::Compressor::new()?,
            shared: shared.clone(),
        };
        let thread = std::thread::Builder::new().name("shipper".to_owned()).spawn(move || ship.run())?;
        Ok(Shipper { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until everything written before the call is in the database; false when `timeout` passed first.
    pub fn flush(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut state = self.shared.lock();
        state.asked += 1;
        let mine = state.asked;
        self.shared.changed.notify_all();
        while state.done < mine {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// A snapshot of the counters.
    pub fn counts(&self) -> ShipperCounts {
        self.shared.lock().counts
    }

    /// Ships what is left, within the configured time, and stops the thread.
    pub fn stop(&self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("shipper thread panicked");
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a turn failed; the next one tries again.
#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error("database")]
    Database(#[from] DatabaseError),
    #[error("journal")]
    Journal(#[from] io::Error),
}

struct Ship {
    reader: Reader,
    /// The first segment of this process: older ones belong to dead ones.
    first_seq: u64,
    path: PathBuf,
    config: ShipperConfig,
    /// In a drill: whether writes are refused.
    refusing: Option<Refusing>,
    connection: Option<Connection>,
    /// Read and compressed, not yet committed; kept over a failure.
    batch: Option<Batch>,
    /// Whether what dead processes left without an answer has been closed.
    swept: bool,
    /// Segments are left that will be deleted when the journal is ready for it.
    finishing: bool,
    compressor: insert::Compressor,
    shared: Arc<Shared>,
}

impl Ship {
    fn run(&mut self) {
        let mut pause = FIRST_PAUSE;
        let mut stop_at: Option<Instant> = None;
        loop {
            let (asked, stop) = {
                let state = self.shared.lock();
                (state.asked, state.stop)
            };
            if stop && stop_at.is_none() {
                stop_at = Some(Instant::now() + self.config.stop_within);
            }
            let turn = self.turn();
            let late = stop_at.is_some_and(|at| Instant::now() >= at);
            match turn {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => {
                    pause = FIRST_PAUSE;
                    self.caught_up(asked);
                    if stop {
                        return;
                    }
                    self.wait(self.config.every, |state| state.stop || state.asked > asked);
                }
                Err(error) => {
                    if pause == FIRST_PAUSE {
                        tracing::warn!(error = &error as &dyn std::error::Error, "shipping failed, trying again");
                    }
                    self.failed();
                    if !late {
                        self.wait(pause, |state| state.stop && !stop);
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            if late {
                return;
            }
        }
    }

    /// Ships one batch; false when there was nothing to ship.
    fn turn(&mut self) -> Result<bool, ShipError> {
        if self.connection.is_none() {
            self.connect()?;
        }
        if let (Some(refusing), Some(connection)) = (&self.refusing, &self.connection) {
            refusing.heed(connection).map_err(during("heeding a drill"))?;
        }
        let mut batch = match self.batch.take() {
            Some(batch) => batch,
            None => match self.fill()? {
                Some(batch) => batch,
                None => {
                    if self.finishing {
                        self.delete_finished();
                    }
                    return Ok(false);
                }
            },
        };
        let Some(connection) = self.connection.as_mut() else { return Ok(false) };
        if let Err(error) = commit(connection, &mut batch) {
            self.batch = Some(batch);
            // A connection may be beyond use after an I/O error; a new one costs little.
            self.connection = None;
            return Err(error.into());
        }
        self.swept |= batch.sweep;
        self.shared.lock().counts.inherited_shipped = self.swept;
        self.count(&batch);
        if batch.crosses() {
            self.delete_finished();
        }
        Ok(true)
    }

    fn connect(&mut self) -> Result<(), ShipError> {
        let connection = writable(&self.path, "NORMAL", BUSY_WAIT)?;
        let what = during("reading the shipped position");
        let position = connection
            .query_row("SELECT seq, position, nonce FROM shipped", [], |row| {
                Ok(Position {
                    seq: row.get(0).map(unsigned)?,
                    offset: row.get(1).map(unsigned)?,
                    nonce: row.get(2).map(unsigned)?,
                })
            })
            .map_err(&what)?;
        // A commit that failed may still have happened, so the database decides where we are.
        if self.batch.as_ref().is_none_or(|batch| batch.start != position) {
            self.batch = None;
            self.reader.seek(position)?;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Reads and compresses the next batch; it never spans two segments.
    fn fill(&mut self) -> io::Result<Option<Batch>> {
        let start = self.reader.position();
        let past = self.reader.is_past(self.first_seq);
        let mut batch = Batch::new(start);
        let mut n_bytes = 0;
        while batch.n_records < self.config.batch_records && n_bytes < self.config.batch_bytes {
            match self.reader.next() {
                Ok(ReadOutcome::Record(payload)) => {
                    n_bytes += payload.len();
                    batch.add(payload, &mut self.compressor);
                }
                Ok(ReadOutcome::NextSegment | ReadOutcome::CaughtUp) => break,
                Err(error) => {
                    self.reader.seek(start)?;
                    return Err(error);
                }
            }
        }
        batch.end = self.reader.position();
        // Closed before the first record of this process is inserted, and after the last of an older one.
        batch.sweep = !self.swept && (past || batch.n_records == 0 && self.reader.is_past(self.first_seq));
        Ok((batch.end != start || batch.sweep).then_some(batch))
    }

    /// Deletes segments that are wholly in the database: the commit that left the last of them was synced.
    fn delete_finished(&mut self) {
        self.finishing = self.reader.waits_to_finish();
        let finished = match self.reader.finished() {
            Ok(finished) => finished,
            Err(error) => {
                tracing::warn!(%error, "journal segments not listed");
                return;
            }
        };
        for segment in finished {
            failpoint!("ship.before_delete");
            match self.reader.delete(segment) {
                Ok(()) => self.shared.lock().counts.deleted_segments += 1,
                Err(error) => tracing::warn!(%error, segment = segment.0, "shipped segment not deleted"),
            }
        }
    }

    fn count(&self, batch: &Batch) {
        let mut state = self.shared.lock();
        let counts = &mut state.counts;
        counts.records += batch.n_records as u64;
        counts.batches += 1;
        counts.body_bytes += batch.body_bytes;
        counts.stored_bytes += batch.stored_bytes;
        counts.undecodable += batch.n_undecodable;
        counts.truncated += batch.n_truncated;
        counts.torn_segments = self.reader.n_torn;
        counts.caught_up = false;
    }

    fn caught_up(&self, asked: u64) {
        let cpu_us = thread_cpu_us();
        let mut state = self.shared.lock();
        state.counts.caught_up = true;
        state.counts.torn_segments = self.reader.n_torn;
        state.counts.cpu_us = cpu_us;
        state.done = asked;
        self.shared.changed.notify_all();
    }

    fn failed(&self) {
        let mut state = self.shared.lock();
        state.counts.failures += 1;
        state.counts.caught_up = false;
    }

    fn wait(&self, time: Duration, until: impl Fn(&State) -> bool) {
        let state = self.shared.lock();
        drop(self.shared.changed.wait_timeout_while(state, time, |state| !until(state)));
    }
}

/// One transaction: the rows and the position behind them.
fn commit(connection: &mut Connection, batch: &mut Batch) -> Result<(), DatabaseError> {
    let what = during("shipping a batch");
    // A segment is deleted after the commit that leaves it, so that commit must survive a power loss; syncing the
    // write-ahead log makes all commits before it durable too.
    let synchronous = if batch.crosses() { "FULL" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", synchronous).map_err(&what)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&what)?;
    batch.insert(&transaction).map_err(&what)?;
    transaction
        .execute(
            "UPDATE shipped SET seq = ?1, position = ?2, nonce = ?3",
            [signed(batch.end.seq), signed(batch.end.offset), signed(batch.end.nonce)],
        )
        .map_err(&what)?;
    failpoint!("ship.before_commit");
    transaction.commit().map_err(&what)?;
    failpoint!("ship.after_commit");
    Ok(())
}

/// The kernel's account of this thread; 0 where it keeps none.
fn thread_cpu_us() -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc/thread-self/schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0) / 1000
}
