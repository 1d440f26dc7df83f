//! What is done on start: cut the torn tail off the last segment. Older segments are not read.

use std::io;

use serde::Serialize;

use super::OpenError;
use super::frame::{self, Frame, HEADER_LEN, Header};
use crate::files::Files;

const CHUNK: usize = 128 << 10;
/// More than a process leaves unsynced at the default bound on its queue.
const SYNCED_BYTES: u64 = 320 << 20;

/// What a start found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Segments left by earlier processes.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whole records in the last segment.
    pub records_in_last: u64,
    /// Bytes cut off the last segment: a record that was never acknowledged.
    pub unacknowledged_bytes: u64,
    /// The first segment this process will write.
    pub(crate) next_seq: u64,
}

pub(super) fn recover(files: &dyn Files, segments: &[(u64, u64)]) -> Result<Recovered, OpenError> {
    let mut recovered = Recovered {
        segments: segments.len() as u64,
        bytes: segments.iter().map(|(_, len)| len).sum(),
        next_seq: 1,
        ..Recovered::default()
    };
    let Some(&(seq, len)) = segments.last() else { return Ok(recovered) };
    recovered.next_seq = seq + 1;
    let tail = |source| OpenError::Recover { seq, source };
    files.sync_dir().map_err(tail)?;
    let scan = scan(files, seq).map_err(tail)?;
    if scan.foreign {
        return Err(OpenError::Version { seq });
    }
    recovered.records_in_last = scan.n_records;
    if scan.good < len {
        files.truncate(seq, scan.good).map_err(tail)?;
        recovered.unacknowledged_bytes = len - scan.good;
        recovered.bytes -= recovered.unacknowledged_bytes;
    }
    Ok(recovered)
}

/// A killed process may have left records that it acknowledged and had not synced: they are synced now, so that they
/// survive the power from here on. The sync thread does it before anything else, so that a start waits for no disk.
pub(super) fn sync_newest(files: &dyn Files, segments: &[(u64, u64)]) {
    let mut n_bytes = 0;
    for (seq, len) in segments.iter().rev() {
        match files.sync(*seq) {
            Ok(()) => {}
            // Shipped and deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // The shipper reads them all the same; there is nothing better to do.
            Err(error) => tracing::warn!(%error, segment = seq, "segment of an earlier process not synced"),
        }
        n_bytes += len;
        if n_bytes >= SYNCED_BYTES {
            return;
        }
    }
}

#[derive(Default)]
struct Scan {
    good: u64,
    n_records: u64,
    foreign: bool,
}

fn scan(files: &dyn Files, seq: u64) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let mut tail = Tail { files, seq, end: 0, held: Vec::new(), chunk: vec![0; CHUNK] };
    tail.fill(HEADER_LEN)?;
    let nonce = match frame::read_header(&tail.held) {
        Some(Header::Ours(nonce)) => nonce,
        // A damaged header was never synced: nothing behind it was promised to survive the power.
        None | Some(Header::Damaged) => return Ok(scan),
        Some(Header::OtherVersion) => {
            scan.foreign = true;
            return Ok(scan);
        }
    };
    scan.good = HEADER_LEN as u64;
    let mut at = HEADER_LEN;
    loop {
        match frame::decode(&tail.held[at..], nonce) {
            Frame::Whole(payload) => {
                let size = frame::FRAME_HEAD + payload.len();
                at += size;
                scan.good += size as u64;
                scan.n_records += 1;
            }
            Frame::Short(needed) => {
                tail.held.drain(..at);
                at = 0;
                if !tail.fill(needed)? {
                    return Ok(scan);
                }
            }
            Frame::Torn => return Ok(scan),
        }
    }
}

/// The segment as it is read; `held` ends at the offset `end`.
struct Tail<'a> {
    files: &'a dyn Files,
    seq: u64,
    end: u64,
    held: Vec<u8>,
    chunk: Vec<u8>,
}

impl Tail<'_> {
    /// Reads on until `needed` bytes are held; false at the end of the segment. What is held grows by what the file
    /// gives, not by what a torn length asks for.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        while self.held.len() < needed {
            match self.files.read(self.seq, self.end, &mut self.chunk) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.held.extend_from_slice(&self.chunk[..n]);
                    self.end += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
