//! Changing a body without rebuilding it: what stays is slices of the original, what changes is spliced in between.

mod patch;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

pub use patch::{Patch, SystemPrompt};

/// Puts `with` in the place of `range`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What goes; empty for an insertion.
    pub range: Range<usize>,
    /// What comes.
    pub with: Bytes,
}

impl Edit {
    /// An edit.
    pub fn new(range: Range<usize>, with: impl Into<Bytes>) -> Edit {
        Edit { range, with: with.into() }
    }
}

/// A body in pieces, to be written one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    parts: Vec<Bytes>,
    len: usize,
}

impl Pieces {
    /// `body` with `edits` made. Edits are made in the order of their places; one that begins inside an earlier one or
    /// outside of the body is left out.
    pub fn of(body: Bytes, edits: &[Edit]) -> Pieces {
        let mut pieces = Pieces { parts: Vec::with_capacity(2 * edits.len() + 1), len: 0 };
        let mut at = 0;
        let mut order: Vec<&Edit> = edits.iter().collect();
        order.sort_by_key(|edit| edit.range.start);
        for edit in order {
            if edit.range.start < at || edit.range.end < edit.range.start || edit.range.end > body.len() {
                continue;
            }
            pieces.push(body.slice(at..edit.range.start));
            pieces.push(edit.with.clone());
            at = edit.range.end;
        }
        pieces.push(body.slice(at..));
        pieces
    }

    /// `body` without the bytes of `range`.
    pub fn cut(body: Bytes, range: Range<usize>) -> Pieces {
        Pieces::of(body, &[Edit::new(range, Bytes::new())])
    }

    fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.len += part.len();
            self.parts.push(part);
        }
    }

    /// How many bytes there are in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces, none of them empty.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// The pieces in one. Copies nothing when there is one.
    pub fn to_bytes(&self) -> Bytes {
        match self.parts.as_slice() {
            [] => Bytes::new(),
            [whole] => whole.clone(),
            parts => {
                let mut out = BytesMut::with_capacity(self.len);
                parts.iter().for_each(|part| out.extend_from_slice(part));
                out.freeze()
            }
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Pieces {
        let mut pieces = Pieces::default();
        pieces.push(whole);
        pieces
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.parts.into_iter()
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(parts: I) -> Pieces {
        let mut pieces = Pieces::default();
        parts.into_iter().for_each(|part| pieces.push(part));
        pieces
    }
}

/// `text` as a JSON string, quotation marks included.
pub fn json_string(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
