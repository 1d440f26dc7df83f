//! The crash-safe local log of exchanges: bounded, checksummed, written by its own thread, or by one that waits for it alone.

mod buffer;
mod frame;
mod queue;
mod reader;
mod recover;
mod syncer;
#[cfg(test)]
mod tests;
mod ticket;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use wire::record::Record;

use crate::files::{Files, RealFiles};
use queue::Shared;

pub(crate) use frame::HEADER_LEN;
pub(crate) use reader::{Position, ReadOutcome, Reader};
pub use recover::Recovered;
pub use ticket::{Ticket, WriteError};

/// What an acknowledged record survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Acknowledged once written: survives the death of the process; at most 50 ms are lost with the power.
    #[default]
    Durable,
    /// Acknowledged once synced: survives a power loss.
    Strict,
    /// Acknowledged at once: a drop is counted and leaves a gap record.
    BestEffort,
}

/// How a journal behaves.
#[derive(Clone)]
pub struct Config {
    /// What an acknowledgement promises.
    pub mode: Mode,
    /// A segment this large is followed by a new one.
    pub segment_bytes: u64,
    /// Time between syncs in the modes that do not wait for them.
    pub fsync_every: Duration,
    /// Bound on bytes the disk does not have yet: queued in memory, and written but not yet synced.
    pub max_queue_bytes: u64,
    /// Bound on bytes on disk that the database does not have yet.
    pub max_spool_bytes: u64,
    /// The disk; `None` is the real one.
    pub files: Option<Arc<dyn Files>>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::Durable,
            segment_bytes: 64 << 20,
            fsync_every: Duration::from_millis(50),
            max_queue_bytes: 256 << 20,
            max_spool_bytes: 10 << 30,
            files: None,
        }
    }
}

/// Why a journal did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory could not be made or listed.
    #[error("journal directory {dir} cannot be used", dir = dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The last segment could not be read or cut.
    #[error("journal segment {seq} cannot be recovered")]
    Recover {
        /// The segment.
        seq: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The last segment was written by a newer version.
    #[error("journal segment {seq} has a format this version does not know")]
    Version {
        /// The segment.
        seq: u64,
    },
    /// A thread could not be started.
    #[error("journal thread cannot be started")]
    Thread(#[source] io::Error),
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The disk does not keep up: the bound on bytes in memory is reached.
    #[error("the journal's queue is full")]
    QueueFull,
    /// The database does not keep up: the bound on bytes on disk is reached.
    #[error("the journal's spool is full")]
    SpoolFull,
    /// The record cannot be encoded, or is larger than 256 MiB.
    #[error("the record cannot be encoded")]
    Encode,
    /// The journal was shut down.
    #[error("the journal is closed")]
    Closed,
}

/// What a journal has done since it was opened, and what it holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct JournalCounts {
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Batches written: one write each.
    pub batches: u64,
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Syncs that failed; each poisoned a segment.
    pub sync_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Records dropped in best effort.
    pub dropped: u64,
    /// Records whose ticket failed or that were refused, in the other modes.
    pub failed: u64,
    /// Bytes waiting to be written.
    pub queued_bytes: u64,
    /// Bytes written and not yet synced.
    pub unsynced_bytes: u64,
    /// Bytes on disk.
    pub spool_bytes: u64,
}

/// A handle to the journal; clones share it, the last one to go closes it.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    first_seq: u64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal in `dir`, cuts off a torn tail, and starts its two threads.
    pub fn open(dir: impl Into<PathBuf>, config: Config) -> Result<(Journal, Recovered), OpenError> {
        let dir = dir.into();
        let directory = |source| OpenError::Directory { dir: dir.clone(), source };
        let files = match &config.files {
            Some(files) => files.clone(),
            None => Arc::new(RealFiles::open(&dir).map_err(directory)?),
        };
        let segments = files.list().map_err(directory)?;
        let recovered = recover::recover(files.as_ref(), &segments)?;
        let first_seq = recovered.next_seq;
        let shared = Arc::new(Shared::new(config, files, &recovered));
        let writer = {
            let shared = shared.clone();
            spawn("journal-writer", move || writer::run(&shared))?
        };
        let syncer = {
            let shared = shared.clone();
            spawn("journal-sync", move || {
                recover::sync_newest(shared.files.as_ref(), &segments);
                syncer::run(&shared);
            })?
        };
        let threads = Mutex::new(vec![writer, syncer]);
        Ok((Journal { inner: Arc::new(Inner { shared, first_seq, threads }) }, recovered))
    }

    /// Encodes a record and queues it. The ticket resolves when the record is as safe as the mode promises.
    ///
    /// Never blocks on the disk. In best effort a record that finds no room is dropped, counted and answered `Ok`.
    pub fn submit(&self, record: &Record) -> Result<Ticket, SubmitError> {
        queue::submit(&self.inner.shared, record)
    }

    /// What this journal promises.
    pub fn mode(&self) -> Mode {
        self.inner.shared.mode
    }

    /// A snapshot of the counters.
    pub fn counts(&self) -> JournalCounts {
        self.inner.shared.counts()
    }

    /// Writes and syncs what is queued, and stops both threads. Later submissions are refused.
    pub fn shutdown(&self) {
        self.inner.shutdown();
    }

    /// The first segment this process may write; older ones are another process's.
    pub(crate) fn first_seq(&self) -> u64 {
        self.inner.first_seq
    }

    /// A reader over everything written.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(self.inner.shared.clone())
    }
}

impl Inner {
    fn shutdown(&self) {
        self.shared.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("journal thread panicked");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(OpenError::Thread)
}

impl Shared {
    fn counts(&self) -> JournalCounts {
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        JournalCounts {
            records: get(&counters.records),
            bytes: get(&counters.bytes),
            batches: get(&counters.batches),
            syncs: get(&counters.syncs),
            sync_errors: get(&counters.sync_errors),
            write_errors: get(&counters.write_errors),
            dropped: get(&counters.dropped),
            failed: get(&counters.failed),
            queued_bytes: self.queued_bytes(),
            unsynced_bytes: get(&self.unsynced_bytes),
            spool_bytes: get(&self.spool_bytes),
        }
    }
}
