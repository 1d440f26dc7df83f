//! Where an event ends: after a blank line, whether lines end in LF, CRLF or CR, and however the bytes are split.
//!
//! The one hard case is a blank line that ends in CR: an LF may follow and belong to it. When the line before ended in
//! a bare CR, none is expected and the event ends at once; otherwise the next byte decides. What is decided depends on
//! the bytes alone, never on how they were split.

use memchr::memchr2;

/// What is known about the bytes before the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Before {
    /// A line begins here.
    #[default]
    LineStart,
    /// A line begins here, and the one before ended in a bare CR.
    LineStartAfterCr,
    /// An event ended in CR just before; an LF here is the rest of that.
    EventEndedInCr,
    /// Inside a line.
    Line,
    /// A CR ended a line with something in it.
    Cr,
    /// A CR ended a blank line.
    BlankCr,
}

/// Finds the ends of events, one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Boundary {
    before: Before,
}

impl Boundary {
    /// Reads on through `chunk`: the place after the event that ends in it first, or `None` when all of it belongs to
    /// an event that goes on.
    pub(super) fn find(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            match (self.before, byte) {
                (Before::Cr, b'\n') => self.go(Before::LineStart, &mut at),
                (Before::Cr, _) => self.before = Before::LineStartAfterCr,
                (Before::BlankCr, b'\n') => return self.end(at + 1),
                // The CR was the end; this byte belongs to the next event.
                (Before::BlankCr, _) => return self.end(at),
                (Before::EventEndedInCr, b'\n') => return self.end(at + 1),
                (Before::LineStart | Before::LineStartAfterCr, b'\n') => return self.end(at + 1),
                (Before::LineStartAfterCr, b'\r') => {
                    self.before = Before::EventEndedInCr;
                    return Some(at + 1);
                }
                (Before::LineStart | Before::EventEndedInCr, b'\r') => self.go(Before::BlankCr, &mut at),
                (Before::LineStart | Before::LineStartAfterCr | Before::EventEndedInCr | Before::Line, _) => {
                    let Some(idx) = memchr2(b'\n', b'\r', &chunk[at..]) else {
                        self.before = Before::Line;
                        return None;
                    };
                    at += idx;
                    self.go(if chunk[at] == b'\n' { Before::LineStart } else { Before::Cr }, &mut at);
                }
            }
        }
        None
    }

    /// Whether the end of the stream would end the event here.
    pub(super) fn ends_here(&self) -> bool {
        self.before == Before::BlankCr
    }

    fn go(&mut self, before: Before, at: &mut usize) {
        self.before = before;
        *at += 1;
    }

    fn end(&mut self, at: usize) -> Option<usize> {
        self.before = Before::LineStart;
        Some(at)
    }
}
