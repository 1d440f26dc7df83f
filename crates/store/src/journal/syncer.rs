//! The sync thread: makes what was written durable, so that no write waits behind a sync.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Mode;
use super::queue::{Dirty, Segment, Shared, lock};
use crate::failpoint;

/// A batch whose sync fails this often is given up in the modes whose tickets wait for it or never do.
const MAX_FAILED_SYNCS: u32 = 2;
/// Longest pause after syncs that failed.
const MAX_PAUSE: Duration = Duration::from_secs(2);

pub(super) fn run(shared: &Shared) {
    let mut last: Option<Instant> = None;
    let mut n_failed: u32 = 0;
    while let Some(segments) = next(shared, last, n_failed) {
        last = Some(Instant::now());
        for segment in segments {
            n_failed = if sync(shared, &segment) { 0 } else { n_failed.saturating_add(1) };
        }
        let closing = lock(&shared.dirty).hurry;
        if closing {
            shared.work.notify_all();
        }
    }
}

/// Waits until a sync is due and says which segments need it, oldest first; `None` at the end.
fn next(shared: &Shared, last: Option<Instant>, n_failed: u32) -> Option<Vec<Segment>> {
    let mut dirty = lock(&shared.dirty);
    while dirty.batches.is_empty() {
        if dirty.closed {
            return None;
        }
        dirty.parked = true;
        dirty = shared.dirty_work.wait(dirty).unwrap_or_else(PoisonError::into_inner);
    }
    dirty.parked = false;
    let pause = match (n_failed, shared.mode) {
        (0, Mode::Strict) => Duration::ZERO,
        (0, _) => shared.fsync_every,
        (n, _) => shared.fsync_every.saturating_mul(1 << n.min(6)).min(MAX_PAUSE),
    };
    let due = last.map(|last| last + pause);
    while let Some(left) = due.map(|due| due.saturating_duration_since(Instant::now()))
        && !left.is_zero()
        && !dirty.hurry
    {
        dirty = shared.dirty_work.wait_timeout(dirty, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    Some(segments(&dirty))
}

/// The segments with something to sync, oldest first.
pub(super) fn segments(dirty: &Dirty) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (segment, _) in &dirty.batches {
        if segments.last().is_none_or(|last| last.seq != segment.seq) {
            segments.push(segment.clone());
        }
    }
    segments
}

fn sync(shared: &Shared, segment: &Segment) -> bool {
    match Syncing::start(shared, segment) {
        None => true,
        Some(syncing) => {
            let result = syncing.perform();
            syncing.complete(&result)
        }
    }
}

/// One sync of one segment; what is written while it runs waits for the next.
pub(super) struct Syncing<'a> {
    shared: &'a Shared,
    segment: &'a Segment,
    n_batches: usize,
    /// The segment's directory entry is not durable yet.
    new: bool,
}

impl<'a> Syncing<'a> {
    pub(super) fn start(shared: &'a Shared, segment: &'a Segment) -> Option<Syncing<'a>> {
        let dirty = lock(&shared.dirty);
        let n_batches = dirty.batches.iter().take_while(|(of, _)| of.seq == segment.seq).count();
        let new = segment.seq > dirty.dir_synced;
        (n_batches > 0).then_some(Syncing { shared, segment, n_batches, new })
    }

    pub(super) fn perform(&self) -> io::Result<()> {
        failpoint!("journal.before_sync");
        if self.new {
            self.shared.files.sync_dir()?;
        }
        self.segment.file.sync_data()?;
        failpoint!("journal.after_sync");
        Ok(())
    }

    pub(super) fn complete(self, result: &io::Result<()>) -> bool {
        let shared = self.shared;
        let mut dirty = lock(&shared.dirty);
        match result {
            Ok(()) => {
                dirty.dir_synced = dirty.dir_synced.max(self.segment.seq);
                shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
                for (_, batch) in dirty.batches.drain(..self.n_batches) {
                    shared.unsynced_bytes.fetch_sub(batch.bytes.len() as u64, Ordering::Relaxed);
                    shared.recycle(batch.bytes);
                }
                shared.settle(&dirty);
                true
            }
            Err(error) => {
                tracing::error!(%error, segment = self.segment.seq, "journal sync failed");
                shared.counters.sync_errors.fetch_add(1, Ordering::Relaxed);
                poison(shared, &mut dirty, self.segment.seq);
                drop(dirty);
                lock(&shared.queue).rewrite = true;
                shared.work.notify_all();
                false
            }
        }
    }
}

/// After a failed sync the kernel may have dropped the pages: the segment is never synced again and nothing in it counts
/// as durable. What memory still holds is written to a new one.
fn poison(shared: &Shared, dirty: &mut Dirty, seq: u64) {
    dirty.poisoned = dirty.poisoned.max(seq);
    while dirty.batches.front().is_some_and(|(segment, _)| segment.seq <= seq) {
        let Some((_, mut batch)) = dirty.batches.pop_front() else { break };
        batch.n_failed_syncs += 1;
        if shared.mode != Mode::Durable && batch.n_failed_syncs >= MAX_FAILED_SYNCS {
            shared.unsynced_bytes.fetch_sub(batch.bytes.len() as u64, Ordering::Relaxed);
            shared.fail(batch.first, batch.last, io::ErrorKind::Other);
        } else {
            dirty.again.push_back(batch);
        }
    }
    shared.settle(dirty);
}
