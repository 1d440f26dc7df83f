//! Reads the journal in order, behind the writer, never past what was written whole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::frame::{self, FRAME_HEAD, Frame, HEADER, HEADER_LEN};
use super::queue::{Shared, lock};

const CHUNK: u64 = 1 << 20;

/// A place between two records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The segment.
    pub seq: u64,
    /// The offset in it; 0 is before its header.
    pub offset: u64,
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
    /// Segments that ended in a torn record.
    pub n_torn: u64,
    torn: bool,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Reader {
        Reader { shared, position: Position::default(), held: Vec::new(), at: 0, n_torn: 0, torn: false }
    }

    /// Continues from a position kept earlier. One beyond the journal means that the journal was replaced: everything
    /// is read again, and the database takes each id once.
    pub fn seek(&mut self, position: Position) {
        let beyond = position.seq > lock(&self.shared.active).0;
        self.move_to(if beyond { Position::default() } else { position });
    }

    /// The place after the last record returned.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The segments on disk that the position has left behind, except the newest: its number keeps later ones apart.
    pub fn finished(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut segments = self.shared.files.list()?;
        segments.pop();
        segments.retain(|(seq, _)| *seq < self.position.seq);
        Ok(segments)
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
            let here = &self.held[self.at..];
            let needed = if self.position.offset < HEADER_LEN {
                match here.get(..HEADER.len()) {
                    Some(header) if header == HEADER => {
                        self.step(HEADER.len());
                        continue;
                    }
                    Some(_) => {
                        self.tear();
                        continue;
                    }
                    None => HEADER.len(),
                }
            } else {
                match frame::decode(here) {
                    Frame::Whole(payload) => {
                        let len = payload.len();
                        let start = self.at + FRAME_HEAD;
                        self.step(FRAME_HEAD + len);
                        return Ok(ReadOutcome::Record(&self.held[start..start + len]));
                    }
                    Frame::Torn => {
                        self.tear();
                        continue;
                    }
                    Frame::Short(needed) => needed,
                }
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

    fn step(&mut self, n: usize) {
        self.at += n;
        self.position.offset += n as u64;
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
            let room = if active == self.position.seq { len.saturating_sub(end).min(CHUNK) } else { CHUNK };
            if room == 0 {
                return Ok(false);
            }
            let start = self.held.len();
            self.held.resize(start + usize::try_from(room).unwrap_or(0), 0);
            let n = match self.shared.files.read(self.position.seq, end, &mut self.held[start..]) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
                other => other,
            };
            self.held.truncate(start + *n.as_ref().unwrap_or(&0));
            match n {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Goes to the next segment there is; stays when there is none yet.
    fn leave_segment(&mut self) -> io::Result<ReadOutcome<'_>> {
        let active = lock(&self.shared.active).0;
        if self.position.seq >= active {
            return Ok(ReadOutcome::CaughtUp);
        }
        let next = self.shared.files.list()?.iter().map(|(seq, _)| *seq).find(|seq| *seq > self.position.seq);
        // The active segment may not have a file yet; its number is known.
        let seq = next.map_or(active, |next| next.min(active));
        self.move_to(Position { seq, offset: 0 });
        Ok(ReadOutcome::NextSegment)
    }
}
