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
use super::{Config, Mode, SubmitError};
use crate::failpoints;
use crate::files::{Files, SegmentFile};

/// Failed ranges remembered for tickets that were not polled yet.
const MAX_FAILURES: usize = 1024;
/// Memory kept for reuse, so that a batch does not fault in fresh pages: that costs more than the write itself.
const MAX_SPARE_BYTES: usize = 16 << 20;
/// Buffers kept, however small.
const MAX_SPARE: usize = 256;

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
    spare: Mutex<Spare>,
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
    /// True while the writer sleeps and must be woken.
    pub parked: bool,
    /// The syncer moved batches back: they are written again to a new segment.
    pub rewrite: bool,
    pub closed: bool,
    pub gap: Option<Gap>,
}

#[derive(Default)]
struct Spare {
    buffers: Vec<Buffer>,
    n_bytes: usize,
}

/// Records that are missing, until a gap record says so in the journal.
pub(super) struct Gap {
    pub from_us: u64,
    pub to_us: u64,
    pub n: u64,
    pub reason: &'static str,
}

/// Records that were written together.
pub(super) struct Batch {
    pub bytes: Buffer,
    /// Sequences `first..=last`.
    pub first: u64,
    pub last: u64,
    /// How often a sync of its segment failed.
    pub n_failed_syncs: u32,
}

/// A segment as the writer and the syncer share it.
#[derive(Clone)]
pub(super) struct Segment {
    pub seq: u64,
    pub file: Arc<dyn SegmentFile>,
}

#[derive(Default)]
pub(super) struct Dirty {
    /// Written and not yet synced, oldest first.
    pub batches: VecDeque<(Segment, Batch)>,
    /// To be written again, oldest first.
    pub again: VecDeque<Batch>,
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
            spare: Mutex::default(),
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
        let batches = dirty.batches.iter().map(|(_, batch)| batch).chain(&dirty.again);
        let to = match batches.map(|batch| batch.first).min() {
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

    pub fn queued_bytes(&self) -> u64 {
        lock(&self.queue).buffer.len() as u64
    }

    /// An empty buffer, warm if there is one.
    pub fn spare(&self) -> Buffer {
        let mut spare = lock(&self.spare);
        let buffer = spare.buffers.pop().unwrap_or_default();
        spare.n_bytes -= buffer.capacity();
        buffer
    }

    /// Takes a buffer back.
    pub fn recycle(&self, mut buffer: Buffer) {
        buffer.clear();
        let mut spare = lock(&self.spare);
        if spare.buffers.len() < MAX_SPARE && spare.n_bytes + buffer.capacity() <= MAX_SPARE_BYTES {
            spare.n_bytes += buffer.capacity();
            spare.buffers.push(buffer);
        }
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
    let wake = std::mem::take(&mut queue.parked);
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
