//! Reads the journal in order, behind the writer, never past what was written whole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::frame::{self, FRAME_HEAD, Frame, HEADER_LEN, Header};
use super::queue::{Shared, lock};

const CHUNK: usize = 128 << 10;

/// A place between two records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The segment.
    pub seq: u64,
    /// The offset in it.
    pub offset: u64,
    /// The segment's nonce: another segment may get the same number after a power loss, so a number alone is no place.
    pub nonce: u64,
}

/// What the reader found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome<'a> {
    /// One record.
    Record(&'a [u8]),
    /// The segment is read; the position is at the start of a later one.
    NextSegment,
    /// Nothing more is written yet.
    CaughtUp,
}

pub(crate) struct Reader {
    shared: Arc<Shared>,
    position: Position,
    /// Bytes read ahead; `held[at..]` is at `position`.
    held: Vec<u8>,
    at: usize,
    chunk: Vec<u8>,
    /// Segments that ended in a torn record.
    pub n_torn: u64,
    torn: bool,
    /// The segment is read to its end and there is no later one yet.
    exhausted: bool,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Reader {
        Reader {
            shared,
            position: Position::default(),
            held: Vec::new(),
            at: 0,
            chunk: vec![0; CHUNK],
            n_torn: 0,
            torn: false,
            exhausted: false,
        }
    }

    /// Continues from a position kept earlier. When that place is not there any more, the journal was replaced or lost
    /// its newest segment with the power: everything is read again, and the database takes each id once.
    pub fn seek(&mut self, position: Position) -> io::Result<()> {
        let known = position.seq > 0 && self.nonce_of(position.seq)? == Some(position.nonce);
        self.move_to(if known { position } else { Position::default() });
        Ok(())
    }

    fn nonce_of(&self, seq: u64) -> io::Result<Option<u64>> {
        let mut header = [0; HEADER_LEN];
        match self.shared.files.read(seq, 0, &mut header) {
            Ok(HEADER_LEN) => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        match frame::read_header(&header) {
            Some(Header::Ours(nonce)) => Ok(Some(nonce)),
            // Skipping it would end in deleting it.
            Some(Header::OtherVersion) => Err(io::Error::new(io::ErrorKind::InvalidData, "segment of another version")),
            Some(Header::Damaged) | None => Ok(None),
        }
    }

    /// Whether everything that was written before segment `seq` has been read.
    pub fn is_past(&self, seq: u64) -> bool {
        self.position.seq >= seq || self.exhausted
    }

    /// The place after the last record returned.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The segments that the position has left behind. The newest whose directory entry is durable is not among them:
    /// as long as it is there, no later segment gets a number that was used before.
    pub fn finished(&self) -> io::Result<Vec<(u64, u64)>> {
        let durable = lock(&self.shared.dirty).dir_synced;
        let mut segments = self.shared.files.list()?;
        segments.retain(|(seq, _)| *seq < self.position.seq && *seq < durable);
        Ok(segments)
    }

    /// Whether more segments will be finished once the writer's newest is in the directory for good.
    pub fn waits_to_finish(&self) -> bool {
        lock(&self.shared.dirty).dir_synced < self.position.seq
    }

    /// Deletes a segment that is in the database.
    pub fn delete(&self, (seq, len): (u64, u64)) -> io::Result<()> {
        self.shared.files.delete(seq)?;
        let spool = &self.shared.spool_bytes;
        spool.fetch_sub(len.min(spool.load(Ordering::Relaxed)), Ordering::Relaxed);
        Ok(())
    }

    /// The next record.
    pub fn next(&mut self) -> io::Result<ReadOutcome<'_>> {
        loop {
            if self.torn {
                return self.leave_segment();
            }
            let needed = match frame::decode(&self.held[self.at..], self.position.nonce) {
                Frame::Whole(payload) => {
                    let len = payload.len();
                    let start = self.at + FRAME_HEAD;
                    self.at += FRAME_HEAD + len;
                    self.position.offset += (FRAME_HEAD + len) as u64;
                    return Ok(ReadOutcome::Record(&self.held[start..start + len]));
                }
                Frame::Torn => {
                    self.tear();
                    continue;
                }
                Frame::Short(needed) => needed,
            };
            if !self.read_on(needed)? {
                if self.is_active() {
                    return Ok(ReadOutcome::CaughtUp);
                }
                // Sealed between the two looks: what came meanwhile is read first.
                if !self.read_on(needed)? {
                    if self.held.len() > self.at {
                        self.tear();
                    }
                    return self.leave_segment();
                }
            }
        }
    }

    fn tear(&mut self) {
        tracing::warn!(segment = self.position.seq, offset = self.position.offset, "journal segment ends torn");
        self.torn = true;
        self.n_torn += 1;
    }

    fn move_to(&mut self, position: Position) {
        self.position = position;
        self.held.clear();
        self.at = 0;
        self.torn = false;
        self.exhausted = false;
    }

    fn is_active(&self) -> bool {
        self.position.seq == lock(&self.shared.active).0
    }

    /// Reads until `needed` bytes are held; false when the segment has no more for now.
    fn read_on(&mut self, needed: usize) -> io::Result<bool> {
        self.held.drain(..self.at);
        self.at = 0;
        while self.held.len() < needed {
            let end = self.position.offset + self.held.len() as u64;
            let (active, len) = *lock(&self.shared.active);
            let room = if active == self.position.seq { len.saturating_sub(end) } else { u64::MAX };
            if room == 0 {
                return Ok(false);
            }
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(self.chunk.len());
            match self.shared.files.read(self.position.seq, end, &mut self.chunk[..room]) {
                Ok(0) => return Ok(false),
                Ok(n) => self.held.extend_from_slice(&self.chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Goes behind the header of the next segment there is; stays when there is none yet. One with a damaged header is
    /// passed over: nothing in it was synced.
    fn leave_segment(&mut self) -> io::Result<ReadOutcome<'_>> {
        let active = lock(&self.shared.active).0;
        let segments = self.shared.files.list()?;
        let mut n_damaged = 0;
        for (seq, _) in segments.into_iter().filter(|(seq, _)| (self.position.seq + 1..=active).contains(seq)) {
            match self.nonce_of(seq)? {
                Some(nonce) => {
                    self.n_torn += n_damaged;
                    self.move_to(Position { seq, offset: HEADER_LEN as u64, nonce });
                    return Ok(ReadOutcome::NextSegment);
                }
                None if seq < active => n_damaged += 1,
                // The writer is about to.
                None => {}
            }
        }
        self.exhausted = true;
        Ok(ReadOutcome::CaughtUp)
    }
}
