//! Walking through JSON by hand, in one pass: whoever walks decides at each value whether to go in or to skip it.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::value::{after_colon, byte, nothing_after, skip_string, skip_value, white};
use super::{Kind, ScanError, unescape};

/// A walk through the members of an object.
#[derive(Debug)]
pub struct Object<'a> {
    body: &'a [u8],
    /// After the last value; at the value when a key was just read.
    at: usize,
    first: bool,
}

/// A key met on a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a> {
    /// Its text, unescaped. Not checked to be UTF-8: a known key is, and an unknown one is none of our business.
    pub name: Cow<'a, [u8]>,
    /// Where it is, quotation marks included.
    pub range: Range<usize>,
}

impl<'a> Object<'a> {
    /// Goes into the object that begins at `at`, or says that the value there is none.
    pub fn open(body: &'a [u8], at: usize) -> Result<Object<'a>, ScanError> {
        match byte(body, at) {
            Some(b'{') => Ok(Object { body, at: at + 1, first: true }),
            _ => Err(ScanError::new(at, "expected a JSON object")),
        }
    }

    /// Goes into the one object that `body` is.
    pub fn open_top(body: &'a [u8]) -> Result<Object<'a>, ScanError> {
        Object::open(body, white(body, 0))
    }

    /// The next key; afterwards the walk stands at its value, which must be skipped or walked. `None` at the end of the
    /// object; afterwards [`Object::at`] is the place after it.
    pub fn next_key(&mut self) -> Result<Option<Key<'a>>, ScanError> {
        let mut at = white(self.body, self.at);
        match (byte(self.body, at), self.first) {
            (Some(b'}'), _) => {
                self.at = at + 1;
                return Ok(None);
            }
            (_, true) => self.first = false,
            (Some(b','), false) => at = white(self.body, at + 1),
            (_, false) => return Err(ScanError::new(at, "expected `,` or `}`")),
        }
        let key_end = skip_string(self.body, at)?;
        let inner = &self.body[at + 1..key_end - 1];
        let name = match memchr(b'\\', inner) {
            None => Cow::Borrowed(inner),
            Some(_) => Cow::Owned(unescape(self.body, at..key_end)?.into_owned().into_bytes()),
        };
        self.at = after_colon(self.body, key_end)?;
        Ok(Some(Key { name, range: at..key_end }))
    }

    /// Where the walk stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Skips the value the walk stands at: its kind and place.
    pub fn skip(&mut self) -> Result<(Kind, Range<usize>), ScanError> {
        let start = self.at;
        let (kind, end) = skip_value(self.body, start)?;
        self.at = end;
        Ok((kind, start..end))
    }

    /// Says that the value the walk stands at ends at `end`, after it was walked.
    pub fn resume(&mut self, end: usize) {
        self.at = end;
    }

    /// Checks, after the last key, that only white space follows.
    pub fn close_top(self) -> Result<(), ScanError> {
        nothing_after(self.body, self.at)
    }
}

/// A walk through the elements of an array.
#[derive(Debug)]
pub struct Array<'a> {
    body: &'a [u8],
    at: usize,
    first: bool,
}

impl<'a> Array<'a> {
    /// Goes into the array that begins at `at`, or says that the value there is none.
    pub fn open(body: &'a [u8], at: usize) -> Result<Array<'a>, ScanError> {
        match byte(body, at) {
            Some(b'[') => Ok(Array { body, at: at + 1, first: true }),
            _ => Err(ScanError::new(at, "expected a JSON array")),
        }
    }

    /// True when the walk stands at another element, which must be skipped or walked; false at the end of the array.
    pub fn next_value(&mut self) -> Result<bool, ScanError> {
        self.at = white(self.body, self.at);
        match (byte(self.body, self.at), self.first) {
            (Some(b']'), _) => {
                self.at += 1;
                return Ok(false);
            }
            (_, true) => self.first = false,
            (Some(b','), false) => self.at = white(self.body, self.at + 1),
            (_, false) => return Err(ScanError::new(self.at, "expected `,` or `]`")),
        }
        Ok(true)
    }

    /// Where the walk stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Skips the value the walk stands at.
    pub fn skip(&mut self) -> Result<(Kind, Range<usize>), ScanError> {
        let start = self.at;
        let (kind, end) = skip_value(self.body, start)?;
        self.at = end;
        Ok((kind, start..end))
    }

    /// Says that the value the walk stands at ends at `end`, after it was walked.
    pub fn resume(&mut self, end: usize) {
        self.at = end;
    }
}

/// Whether the value at `at` begins like an object or an array (`{` or `[`).
pub fn begins_with(body: &[u8], at: usize, first: u8) -> bool {
    byte(body, at) == Some(first)
}
