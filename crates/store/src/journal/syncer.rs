//! The sync thread: makes what was written durable, so that no write waits behind a sync.

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
    let mut segments: Vec<Segment> = Vec::new();
    for (segment, _) in &dirty.batches {
        if segments.last().is_none_or(|last| last.seq != segment.seq) {
            segments.push(segment.clone());
        }
    }
    Some(segments)
}

fn sync(shared: &Shared, segment: &Segment) -> bool {
    let (n_batches, new) = {
        let dirty = lock(&shared.dirty);
        let n_batches = dirty.batches.iter().take_while(|(of, _)| of.seq == segment.seq).count();
        (n_batches, segment.seq > dirty.dir_synced)
    };
    if n_batches == 0 {
        return true;
    }
    failpoint!("journal.before_sync");
    let directory = if new { shared.files.sync_dir() } else { Ok(()) };
    let result = directory.and_then(|()| segment.file.sync_data());
    failpoint!("journal.after_sync");
    let mut dirty = lock(&shared.dirty);
    match result {
        Ok(()) => {
            dirty.dir_synced = dirty.dir_synced.max(segment.seq);
            shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
            for (_, batch) in dirty.batches.drain(..n_batches) {
                shared.unsynced_bytes.fetch_sub(batch.bytes.len() as u64, Ordering::Relaxed);
                shared.recycle(batch.bytes);
            }
            shared.settle(&dirty);
            true
        }
        Err(error) => {
            tracing::error!(%error, segment = segment.seq, "journal sync failed");
            shared.counters.sync_errors.fetch_add(1, Ordering::Relaxed);
            poison(shared, &mut dirty, segment.seq);
            drop(dirty);
            lock(&shared.queue).rewrite = true;
            shared.work.notify_all();
            false
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
            shared.fail(batch.first, batch.last, std::io::ErrorKind::Other);
        } else {
            dirty.again.push_back(batch);
        }
    }
    shared.settle(dirty);
}
