//! The sync thread: makes what was written durable, so that no write waits behind a sync.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Mode;
use super::buffer::Buffer;
use super::frame::{self, FRAME_HEAD, Frame};
use super::queue::{Dirty, Segment, Shared, Written, lock};
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
    for Written { segment, .. } in &dirty.batches {
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
        let n_batches = dirty.batches.iter().take_while(|written| written.segment.seq == segment.seq).count();
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
                for written in dirty.batches.drain(..self.n_batches) {
                    shared.unsynced_bytes.fetch_sub(written.batch.len, Ordering::Relaxed);
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

/// After a failed sync the kernel takes the pages for clean, and no later sync writes them: the segment is never synced again
/// and nothing in it counts as durable. Its unsynced records are read back at once, before their pages can be given up, and
/// written to a new one. What cannot be read back whole is lost with the power, and is told.
fn poison(shared: &Shared, dirty: &mut Dirty, seq: u64) {
    dirty.poisoned = dirty.poisoned.max(seq);
    while let Some(mut written) = dirty.batches.pop_front_if(|written| written.segment.seq <= seq) {
        let batch = &mut written.batch;
        batch.n_failed_syncs += 1;
        let given_up = shared.mode != Mode::Durable && batch.n_failed_syncs >= MAX_FAILED_SYNCS;
        let read = if given_up { Err(io::ErrorKind::Other.into()) } else { read_back(shared, &written) };
        let batch = written.batch;
        match read {
            Ok(bytes) => dirty.again.push_back((batch, bytes)),
            Err(error) => {
                let n_records = batch.last + 1 - batch.first;
                tracing::error!(%error, segment = seq, n_records, "journal records may be lost with the power");
                shared.unsynced_bytes.fetch_sub(batch.len, Ordering::Relaxed);
                shared.fail(batch.first, batch.last, error.kind());
            }
        }
    }
    shared.settle(dirty);
}

/// The records of a batch as the segment has them now.
fn read_back(shared: &Shared, written: &Written) -> io::Result<Buffer> {
    let Written { segment, at, batch } = written;
    let mut bytes = vec![0; usize::try_from(batch.len).map_err(io::Error::other)?];
    let mut n_read = 0;
    while n_read < bytes.len() {
        match shared.files.read(segment.seq, at + n_read as u64, &mut bytes[n_read..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n_read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut buffer = Buffer::default();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let Frame::Whole(payload) = frame::decode(rest, segment.nonce) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        buffer.push_payload(payload).map_err(io::Error::other)?;
        rest = &rest[FRAME_HEAD + payload.len()..];
    }
    Ok(buffer)
}
