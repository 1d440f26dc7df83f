//! Writing: takes everything that waits, one write per batch, then resolves the tickets. The writer thread does it, or a
//! request thread that has nothing else to do (`write_here`).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

use wire::record::{GapRecord, Record};

use super::Mode;
use super::buffer::Buffer;
use super::frame::{self, HEADER_LEN};
use super::queue::{Batch, Gap, Queue, Segment, Shared, WriterState, Written, lock, unix_micros};
use crate::failpoint;

/// The longest that a record waits for company when nobody waits for it: a request is then written together with its answer,
/// one write and one waking of this thread for both.
const LINGER: Duration = Duration::from_millis(5);
/// How often the writer looks by itself after the last record. It sleeps then, until it is woken.
const DOZES: u32 = 20;
/// A buffer that grew larger than this is not used again.
const MAX_SPARE: usize = 16 << 20;
/// How long the writer waits before it tries again to save what a poisoned segment may have lost.
const RETRY: Duration = Duration::from_millis(100);
/// How often a closing journal waits for a sync, and how often it tries a disk that takes nothing.
const CLOSING_TURNS: u32 = 50;
const CLOSING_FAILURES: u32 = 3;

/// A write by a request thread that takes longer than this waited for the disk, or for a core.
const SLOW: Duration = Duration::from_micros(200);
/// How much of that goes before the next writes are left to the writer thread.
const PATIENCE: Duration = Duration::from_millis(5);
/// It is forgotten so many times slower than time goes by: a core waits on a slow disk for a fiftieth of the time at most.
const FORGETS: u32 = 50;
/// Bytes that a request thread writes at most: some 100 us of copying.
const MOST_HERE: usize = 256 << 10;

pub(super) fn run(shared: &Shared) {
    while wait(shared) {
        Writer::new(shared, &mut lock(&shared.tail)).step();
    }
    Writer::new(shared, &mut lock(&shared.tail)).finish();
    let mut dirty = lock(&shared.dirty);
    dirty.closed = true;
    shared.dirty_work.notify_all();
}

/// Waits for work; false when the journal is closed and nothing waits.
fn wait(shared: &Shared) -> bool {
    let mut retry = !lock(&shared.dirty).again.is_empty();
    let mut queue = lock(&shared.queue);
    let mut n_dozes = 0;
    while queue.buffer.is_empty() && !queue.rewrite {
        if queue.closed {
            return false;
        }
        let work = &shared.work;
        if retry {
            queue.writer = WriterState::Asleep;
            queue = work.wait_timeout(queue, RETRY).unwrap_or_else(PoisonError::into_inner).0;
            queue.rewrite = true;
            retry = false;
        } else if n_dozes < DOZES {
            queue.writer = WriterState::Dozing;
            queue = work.wait_timeout(queue, LINGER).unwrap_or_else(PoisonError::into_inner).0;
            n_dozes += 1;
        } else {
            queue.writer = WriterState::Asleep;
            queue = work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
    queue.writer = WriterState::Awake;
    true
}

/// Writes what waits on the caller's thread: two changes of thread cost more than the write itself when the page cache
/// takes it, and the caller waits for it anyhow. Does nothing, and the writer thread is as it was, when that thread is at it, when
/// there is more to do than one append, or when the disk has lately been slow.
pub(super) fn write_here(shared: &Shared) {
    let mut tail = match shared.tail.try_lock() {
        Ok(tail) => tail,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    let began = Instant::now();
    if tail.is_full(shared.segment_bytes) || !tail.waited.is_little(began) {
        return;
    }
    let mut queue = lock(&shared.queue);
    let n_bytes = queue.buffer.len();
    if n_bytes == 0 || n_bytes > MOST_HERE || queue.rewrite || queue.gap.is_some() || queue.closed {
        return;
    }
    let work = tail.swap(&mut queue);
    drop(queue);
    Writer::new(shared, &mut tail).turn(work);
    tail.waited.add(began.elapsed());
}

/// How long request threads lately waited for slow writes.
#[derive(Default)]
struct Waited {
    lately: Duration,
    /// When that was.
    at: Option<Instant>,
}

impl Waited {
    fn is_little(&mut self, now: Instant) -> bool {
        let since = self.at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.lately = self.lately.saturating_sub(since / FORGETS);
        self.lately <= PATIENCE
    }

    fn add(&mut self, took: Duration) {
        if took > SLOW {
            self.lately += took;
        }
    }
}

/// The end of the log: where the next record goes. Whoever holds it writes.
pub(super) struct Tail {
    next_seq: u64,
    current: Option<Current>,
    /// Sequence of the last record taken from the queue.
    taken: u64,
    /// Swapped with the queue's: memory that was just written is still in the processor's caches.
    spare: Buffer,
    /// What request threads waited: with more of it they do not write.
    waited: Waited,
}

impl Tail {
    pub(super) fn new(first_seq: u64) -> Tail {
        Tail { next_seq: first_seq, current: None, taken: 0, spare: Buffer::default(), waited: Waited::default() }
    }

    /// Whether the next record begins a segment.
    fn is_full(&self, segment_bytes: u64) -> bool {
        self.current.as_ref().is_none_or(|current| current.len >= segment_bytes)
    }

    /// Takes everything that waits.
    fn swap(&mut self, queue: &mut Queue) -> Work {
        queue.rewrite = false;
        let bytes = std::mem::replace(&mut queue.buffer, std::mem::take(&mut self.spare));
        let (first, last) = (self.taken + 1, queue.last);
        self.taken = last;
        Work { bytes, first, last, gap: queue.gap.take() }
    }
}

pub(super) struct Writer<'a> {
    shared: &'a Shared,
    tail: &'a mut Tail,
}

struct Current {
    segment: Segment,
    /// Length up to which the segment is good.
    len: u64,
}

impl Current {
    /// Nothing more is appended: what an older life of the file left behind the last record goes. When it stays, a reader
    /// takes it for a torn record.
    fn seal(self) {
        if let Err(error) = self.segment.file.truncate(self.len) {
            tracing::debug!(%error, segment = self.segment.seq, "journal segment not cut to its length");
        }
    }
}

struct Work {
    bytes: Buffer,
    first: u64,
    last: u64,
    gap: Option<Gap>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(shared: &'a Shared, tail: &'a mut Tail) -> Writer<'a> {
        Writer { shared, tail }
    }

    /// Does what waits now.
    pub(super) fn step(&mut self) {
        let work = self.tail.swap(&mut lock(&self.shared.queue));
        self.turn(work);
    }

    fn turn(&mut self, mut work: Work) {
        if self.shared.acknowledges_before_write {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.save_again();
        if let Some(gap) = &work.gap
            && let Err(error) = work.bytes.push(&gap_record(gap))
        {
            tracing::error!(%error, "gap record not encoded");
        }
        if work.bytes.is_empty() {
            return self.recycle(work.bytes);
        }
        let len = work.bytes.len() as u64;
        let batch = Batch { first: work.first, last: work.last, len, n_failed_syncs: 0 };
        match self.write(&mut work.bytes) {
            Ok((segment, at)) => {
                let counters = &self.shared.counters;
                counters.records.fetch_add(work.last + 1 - work.first, Ordering::Relaxed);
                counters.bytes.fetch_add(len, Ordering::Relaxed);
                counters.batches.fetch_add(1, Ordering::Relaxed);
                self.shared.unsynced_bytes.fetch_add(len, Ordering::Relaxed);
                self.hand_over(Written { segment, at, batch }, work.bytes);
                self.shared.advance(&self.shared.written, work.last);
            }
            Err(error) => {
                self.shared.counters.write_errors.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, n_records = work.last + 1 - work.first, "journal write failed");
                if let Some(gap) = work.gap {
                    self.shared.restore_gap(gap);
                }
                self.shared.fail(work.first, work.last, error.kind());
                self.shared.advance(&self.shared.written, work.last);
                let mut dirty = lock(&self.shared.dirty);
                dirty.seen = dirty.seen.max(work.last);
                self.shared.settle(&dirty);
                drop(dirty);
                self.recycle(work.bytes);
            }
        }
    }

    /// Gives a written batch to the syncer, or back to ourselves when its segment was poisoned meanwhile.
    fn hand_over(&mut self, written: Written, bytes: Buffer) {
        let mut dirty = lock(&self.shared.dirty);
        dirty.seen = dirty.seen.max(written.batch.last);
        if dirty.poisoned >= written.segment.seq {
            dirty.again.push_back((written.batch, bytes));
            drop(dirty);
            lock(&self.shared.queue).rewrite = true;
            self.shared.work.notify_all();
            return;
        }
        dirty.batches.push_back(written);
        let wake = std::mem::take(&mut dirty.parked);
        drop(dirty);
        if wake {
            self.shared.dirty_work.notify_one();
        }
        self.recycle(bytes);
    }

    /// Keeps a buffer for the next batch. The bodies it held on to are let go.
    fn recycle(&mut self, mut buffer: Buffer) {
        buffer.clear();
        if buffer.capacity() <= MAX_SPARE {
            self.tail.spare = buffer;
        }
    }

    /// Leaves a poisoned segment, and writes what it may have lost to a new one. Records may then be there twice, which
    /// is harmless: the database takes each id once.
    fn save_again(&mut self) {
        let (poisoned, again) = {
            let mut dirty = lock(&self.shared.dirty);
            (dirty.poisoned, std::mem::take(&mut dirty.again))
        };
        let left = self.tail.current.take_if(|current| poisoned >= current.segment.seq);
        left.into_iter().for_each(Current::seal);
        let mut left: VecDeque<(Batch, Buffer)> = VecDeque::new();
        for (batch, mut bytes) in again {
            // Once one fails the others keep their order behind it.
            let written = if left.is_empty() { self.write(&mut bytes) } else { Err(io::ErrorKind::Other.into()) };
            match written {
                Ok((segment, at)) => self.hand_over(Written { segment, at, batch }, bytes),
                Err(_) if self.shared.mode == Mode::Durable => left.push_back((batch, bytes)),
                Err(error) => {
                    self.shared.counters.write_errors.fetch_add(1, Ordering::Relaxed);
                    self.shared.fail(batch.first, batch.last, error.kind());
                    self.shared.unsynced_bytes.fetch_sub(batch.len, Ordering::Relaxed);
                }
            }
        }
        let mut dirty = lock(&self.shared.dirty);
        // What the syncer gave back since comes after.
        left.append(&mut dirty.again);
        dirty.again = left;
        self.shared.settle(&dirty);
    }

    /// Appends whole, and says where: what a failed append left behind is taken back, else the segment is left for good.
    fn write(&mut self, bytes: &mut Buffer) -> io::Result<(Segment, u64)> {
        let shared = self.shared;
        let mut current = match self.tail.current.take() {
            Some(current) if current.len < shared.segment_bytes => current,
            full => {
                full.into_iter().for_each(Current::seal);
                self.rotate()?
            }
        };
        bytes.belong_to(current.segment.nonce);
        failpoint!("journal.before_write");
        if let Err((error, done)) = append(&current.segment, &mut bytes.slices()) {
            match current.segment.file.truncate(current.len) {
                Ok(()) => self.tail.current = Some(current),
                Err(_) => {
                    shared.spool_bytes.fetch_add(done as u64, Ordering::Relaxed);
                }
            }
            return Err(error);
        }
        failpoint!("journal.after_write");
        let at = current.len;
        current.len += bytes.len() as u64;
        shared.spool_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        *lock(&shared.active) = (current.segment.seq, current.len);
        let segment = current.segment.clone();
        self.tail.current = Some(current);
        Ok((segment, at))
    }

    fn rotate(&mut self) -> io::Result<Current> {
        failpoint!("journal.rotate");
        let file = loop {
            match self.shared.files.create(self.tail.next_seq) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.tail.next_seq += 1,
                other => break other?,
            }
        };
        let nonce = nonce();
        let segment = Segment { seq: self.tail.next_seq, nonce, file };
        if let Err((error, _)) = append(&segment, &mut [IoSlice::new(&frame::header(nonce))]) {
            if self.shared.files.delete(segment.seq).is_err() {
                // Left behind without a header; a reader skips it.
                self.tail.next_seq += 1;
            }
            return Err(error);
        }
        self.tail.next_seq += 1;
        self.shared.spool_bytes.fetch_add(HEADER_LEN as u64, Ordering::Relaxed);
        *lock(&self.shared.active) = (segment.seq, HEADER_LEN as u64);
        Ok(Current { segment, len: HEADER_LEN as u64 })
    }

    /// Closing: nothing new comes; wait until the syncer has everything, within reason.
    fn finish(&mut self) {
        let gap = lock(&self.shared.queue).gap.take();
        if let Some(gap) = gap {
            self.turn(Work {
                bytes: Buffer::default(),
                first: self.tail.taken + 1,
                last: self.tail.taken,
                gap: Some(gap),
            });
        }
        let mut n_failures = 0;
        for _ in 0..CLOSING_TURNS {
            self.save_again();
            let mut dirty = lock(&self.shared.dirty);
            if dirty.batches.is_empty() && dirty.again.is_empty() {
                return;
            }
            n_failures += u32::from(dirty.batches.is_empty());
            if n_failures >= CLOSING_FAILURES {
                break;
            }
            dirty.hurry = true;
            self.shared.dirty_work.notify_all();
            // The syncer drops the lock of `dirty` for the sync and notifies `work` after it.
            drop(dirty);
            let queue = lock(&self.shared.queue);
            drop(self.shared.work.wait_timeout(queue, RETRY).unwrap_or_else(PoisonError::into_inner));
        }
        self.give_up();
    }

    /// What could not be synced before the end: tickets still waiting for it fail.
    fn give_up(&self) {
        let mut dirty = lock(&self.shared.dirty);
        let (batches, again) = (std::mem::take(&mut dirty.batches), std::mem::take(&mut dirty.again));
        let mut n_records = 0;
        let written = batches.into_iter().map(|written| written.batch);
        for batch in written.chain(again.into_iter().map(|(batch, _)| batch)) {
            n_records += batch.last + 1 - batch.first;
            if self.shared.mode == Mode::Strict {
                self.shared.fail(batch.first, batch.last, io::ErrorKind::TimedOut);
            }
        }
        self.shared.settle(&dirty);
        tracing::error!(n_records, "journal closed with records not synced");
    }
}

/// Appends everything, or says how much was taken before it failed.
fn append(segment: &Segment, mut slices: &mut [IoSlice<'_>]) -> Result<(), (io::Error, usize)> {
    let mut done = 0;
    while !slices.is_empty() {
        match segment.file.append(slices) {
            Ok(0) => return Err((io::ErrorKind::WriteZero.into(), done)),
            Ok(n) => {
                done += n;
                IoSlice::advance_slices(&mut slices, n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((error, done)),
        }
    }
    Ok(())
}

/// A number for a segment: after a power loss a new file may get the number of one that vanished, and a position kept
/// for the old one must not be taken for one in the new.
fn nonce() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    (unix_micros() << 12).wrapping_add(count) ^ (u64::from(std::process::id()) << 48)
}

fn gap_record(gap: &Gap) -> Record {
    Record::Gap(GapRecord { from_us: gap.from_us, to_us: gap.to_us, n: gap.n, reason: gap.reason.to_owned() })
}
