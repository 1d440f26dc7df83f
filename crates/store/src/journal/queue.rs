//! What the request threads, the writer and the syncer share.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wire::record::Record;

use super::buffer::Buffer;
use super::recover::Recovered;
use super::ticket::{Ticket, Waiter, WriteError};
use super::writer::Tail;
use super::{Config, Mode, SubmitError};
use crate::failpoints;
use crate::files::{Files, SegmentFile};

/// Failed ranges remembered for tickets that were not polled yet.
const MAX_FAILURES: usize = 1024;

pub(super) struct Shared {
    pub mode: Mode,
    pub segment_bytes: u64,
    pub fsync_every: Duration,
    pub files: Arc<dyn Files>,
    max_queue_bytes: u64,
    max_spool_bytes: u64,
    /// Records waiting for the writer, already framed.
    pub queue: Mutex<Queue>,
    pub work: Condvar,
    /// The end of the log, for whoever writes. Taken before `queue` and `dirty`.
    pub tail: Mutex<Tail>,
    /// Batches the disk may still lose.
    pub dirty: Mutex<Dirty>,
    pub dirty_work: Condvar,
    /// Highest sequence the writer is done with, and highest the syncer is done with.
    pub written: AtomicU64,
    pub synced: AtomicU64,
    pub waiters: Mutex<VecDeque<Waiter>>,
    failures: Mutex<Failures>,
    n_failures: AtomicU64,
    /// The segment being written and its good length: what a reader may see.
    pub active: Mutex<(u64, u64)>,
    pub unsynced_bytes: AtomicU64,
    pub spool_bytes: AtomicU64,
    pub counters: Counters,
    pub acknowledges_before_write: bool,
}

#[derive(Default)]
pub(super) struct Counters {
    pub records: AtomicU64,
    pub bytes: AtomicU64,
    pub batches: AtomicU64,
    pub syncs: AtomicU64,
    pub sync_errors: AtomicU64,
    pub write_errors: AtomicU64,
    pub dropped: AtomicU64,
    pub failed: AtomicU64,
}

#[derive(Default)]
pub(super) struct Queue {
    pub buffer: Buffer,
    /// Sequence of the last record taken; the first is 1.
    pub last: u64,
    /// Whether the writer waits, and who has to wake it.
    pub writer: WriterState,
    /// The syncer moved batches back: they are written again to a new segment.
    pub rewrite: bool,
    pub closed: bool,
    pub gap: Option<Gap>,
}

/// What the writer does while nothing is to be written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriterState {
    /// It is at work, or about to be.
    #[default]
    Awake,
    /// It looks again by itself in a moment: only somebody who waits for a record wakes it.
    Dozing,
    /// It sleeps until it is woken.
    Asleep,
}

/// Records that are missing, until a gap record says so in the journal.
pub(super) struct Gap {
    pub from_us: u64,
    pub to_us: u64,
    pub n: u64,
    pub reason: &'static str,
}

/// Records that belong together: they were written, or are to be written, in one piece.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    /// Sequences `first..=last`.
    pub first: u64,
    pub last: u64,
    /// Bytes they take on the disk.
    pub len: u64,
    /// How often a sync of their segment failed.
    pub n_failed_syncs: u32,
}

/// A batch on the disk. Its bytes are not kept in memory: memory that is used again at once stays in the processor's caches,
/// and a sync that fails leaves the bytes in the page cache, from where they are read back.
pub(super) struct Written {
    pub segment: Segment,
    /// Offset in the segment.
    pub at: u64,
    pub batch: Batch,
}

/// A segment as the writer and the syncer share it.
#[derive(Clone)]
pub(super) struct Segment {
    pub seq: u64,
    pub nonce: u64,
    pub file: Arc<dyn SegmentFile>,
}

#[derive(Default)]
pub(super) struct Dirty {
    /// Written and not yet synced, oldest first.
    pub batches: VecDeque<Written>,
    /// To be written again, oldest first.
    pub again: VecDeque<(Batch, Buffer)>,
    /// Highest sequence that was handed over or failed. Not the written mark: that one moves after the handing over, and
    /// the syncer may be done in between.
    pub seen: u64,
    /// The last segment that must not be trusted or written to any more.
    pub poisoned: u64,
    /// The last segment whose directory entry is durable.
    pub dir_synced: u64,
    /// True while the syncer sleeps without a date and must be woken.
    pub parked: bool,
    /// The journal is closing: sync at once.
    pub hurry: bool,
    pub closed: bool,
}

#[derive(Default)]
struct Failures {
    /// `(first, last, kind)`, as they failed.
    ranges: VecDeque<(u64, u64, io::ErrorKind)>,
    /// Everything up to here counts as failed for a ticket that asks this late.
    forgotten: u64,
}

impl Shared {
    pub fn new(config: Config, files: Arc<dyn Files>, recovered: &Recovered) -> Shared {
        Shared {
            mode: config.mode,
            segment_bytes: config.segment_bytes,
            fsync_every: config.fsync_every,
            files,
            max_queue_bytes: config.max_queue_bytes,
            max_spool_bytes: config.max_spool_bytes,
            queue: Mutex::default(),
            work: Condvar::new(),
            tail: Mutex::new(Tail::new(recovered.next_seq)),
            dirty: Mutex::new(Dirty { dir_synced: recovered.next_seq - 1, ..Dirty::default() }),
            dirty_work: Condvar::new(),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            waiters: Mutex::default(),
            failures: Mutex::default(),
            n_failures: AtomicU64::new(0),
            active: Mutex::new((recovered.next_seq, 0)),
            unsynced_bytes: AtomicU64::new(0),
            spool_bytes: AtomicU64::new(recovered.bytes),
            counters: Counters::default(),
            acknowledges_before_write: failpoints::acknowledges_before_write(),
        }
    }

    /// The mark a ticket waits for.
    pub fn watermark(&self) -> &AtomicU64 {
        match self.mode {
            Mode::Strict => &self.synced,
            Mode::Durable | Mode::BestEffort => &self.written,
        }
    }

    /// Moves a mark and wakes the tickets below it, if it is the mark they wait for.
    pub fn advance(&self, mark: &AtomicU64, to: u64) {
        mark.fetch_max(to, Ordering::Release);
        if !std::ptr::eq(mark, self.watermark()) {
            return;
        }
        let mut waiters = lock(&self.waiters);
        let mut idx = 0;
        while let Some(waiter) = waiters.get(idx) {
            if waiter.seq > to {
                idx += 1;
            } else if let Some(waiter) = waiters.swap_remove_back(idx) {
                waiter.waker.wake();
            }
        }
    }

    /// Moves the synced mark below the oldest record the disk may still lose.
    pub fn settle(&self, dirty: &Dirty) {
        let written = dirty.batches.iter().map(|written| written.batch.first);
        let to = match written.chain(dirty.again.iter().map(|(batch, _)| batch.first)).min() {
            Some(first) => first - 1,
            None => dirty.seen,
        };
        self.advance(&self.synced, to);
    }

    /// Whether a record the mark has passed is safe.
    pub fn verdict(&self, seq: u64) -> Result<(), WriteError> {
        if self.n_failures.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let failures = lock(&self.failures);
        if seq <= failures.forgotten {
            return Err(WriteError { kind: io::ErrorKind::Other });
        }
        match failures.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&seq)) {
            Some((_, _, kind)) => Err(WriteError { kind: *kind }),
            None => Ok(()),
        }
    }

    /// Marks a range as not safe. Call before the mark passes it.
    pub fn fail(&self, first: u64, last: u64, kind: io::ErrorKind) {
        if last < first {
            return;
        }
        let n = last - first + 1;
        if self.mode == Mode::BestEffort {
            self.note_drop(n, "write_failed");
        } else {
            self.counters.failed.fetch_add(n, Ordering::Relaxed);
            let mut failures = lock(&self.failures);
            match failures.ranges.back_mut() {
                Some((_, end, was)) if *end + 1 == first && *was == kind => *end = last,
                _ => failures.ranges.push_back((first, last, kind)),
            }
            if failures.ranges.len() > MAX_FAILURES
                && let Some((_, end, _)) = failures.ranges.pop_front()
            {
                failures.forgotten = failures.forgotten.max(end);
            }
            drop(failures);
            self.n_failures.fetch_add(n, Ordering::Release);
        }
    }

    /// Puts a gap back that could not be written.
    pub fn restore_gap(&self, gap: Gap) {
        let mut queue = lock(&self.queue);
        match &mut queue.gap {
            Some(newer) => {
                newer.from_us = newer.from_us.min(gap.from_us);
                newer.n += gap.n;
            }
            none => *none = Some(gap),
        }
    }

    /// Counts dropped records and widens the gap that the next batch will report.
    fn note_drop(&self, n: u64, reason: &'static str) {
        lock(&self.queue).note_drop(self, n, reason);
    }

    /// Asks the threads to finish.
    pub fn close(&self) {
        lock(&self.queue).closed = true;
        self.work.notify_all();
    }

    /// Somebody waits for a record: the writer looks at once.
    pub fn hurry(&self) {
        let mut queue = lock(&self.queue);
        if std::mem::take(&mut queue.writer) != WriterState::Awake {
            drop(queue);
            self.work.notify_one();
        }
    }

    pub fn queued_bytes(&self) -> u64 {
        lock(&self.queue).buffer.len() as u64
    }
}

impl Queue {
    fn note_drop(&mut self, shared: &Shared, n: u64, reason: &'static str) {
        shared.counters.dropped.fetch_add(n, Ordering::Relaxed);
        let now_us = unix_micros();
        let gap = self.gap.get_or_insert(Gap { from_us: now_us, to_us: now_us, n: 0, reason });
        gap.to_us = now_us.max(gap.from_us);
        gap.n += n;
    }
}

pub(super) fn submit(shared: &Arc<Shared>, record: &Record) -> Result<Ticket, SubmitError> {
    let mut queue = lock(&shared.queue);
    let refused = if queue.closed {
        Some((SubmitError::Closed, "closed"))
    } else if queue.buffer.len() as u64 + shared.unsynced_bytes.load(Ordering::Relaxed) >= shared.max_queue_bytes {
        Some((SubmitError::QueueFull, "queue_full"))
    } else if queue.buffer.len() as u64 + shared.spool_bytes.load(Ordering::Relaxed) >= shared.max_spool_bytes {
        Some((SubmitError::SpoolFull, "spool_full"))
    } else if queue.buffer.push(record).is_err() {
        Some((SubmitError::Encode, "encode"))
    } else {
        None
    };
    if let Some((error, reason)) = refused {
        if shared.mode == Mode::BestEffort {
            queue.note_drop(shared, 1, reason);
            return Ok(Ticket::resolved());
        }
        drop(queue);
        shared.counters.failed.fetch_add(1, Ordering::Relaxed);
        return Err(error);
    }
    queue.last += 1;
    let seq = queue.last;
    // In strict mode the sync of a request runs beside its call and must begin at once.
    let wake =
        queue.writer == WriterState::Asleep || queue.writer == WriterState::Dozing && shared.mode == Mode::Strict;
    if wake {
        queue.writer = WriterState::Awake;
    }
    drop(queue);
    if wake {
        shared.work.notify_one();
    }
    if shared.mode == Mode::BestEffort || shared.acknowledges_before_write {
        return Ok(Ticket::resolved());
    }
    Ok(Ticket { shared: Some(shared.clone()), seq, registered: false })
}

/// Locks, whatever a panicking thread left behind: every critical section here leaves whole values.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn unix_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
