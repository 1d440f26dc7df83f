//! A shallow scanner of JSON: it says where the members of one object are and skips what is inside them.
//!
//! Skipping checks the grammar of everything but the inside of strings and of flat arrays of numbers, without recursion,
//! to a depth of [`MAX_DEPTH`]. The end of a string is found by looking for quotation marks and counting the
//! backslashes before them, so that a long prompt full of `\n` costs one pass of `memchr`.

pub mod cursor;
mod text;
mod value;

use std::borrow::Cow;
use std::ops::Range;

pub use text::{unescape, unescape_lossy, unescape_start, unsigned};
pub use value::skip_value;

/// Nested deeper than this is refused (`serde_json` and most servers stop at the same depth).
pub const MAX_DEPTH: u32 = 128;

/// Whether `needle` is somewhere in `bytes`; of JSON or of anything else.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

impl Kind {
    /// The word in an error message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Object => "an object",
            Kind::Array => "an array",
            Kind::String => "a string",
            Kind::Number => "a number",
            Kind::True | Kind::False => "a boolean",
            Kind::Null => "null",
        }
    }
}

/// One member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its key, unescaped.
    pub key: Cow<'a, str>,
    /// Where the key is, quotation marks included.
    pub key_range: Range<usize>,
    /// Where the value is.
    pub value: Range<usize>,
    /// What the value is.
    pub kind: Kind,
}

/// One element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Where the value is.
    pub value: Range<usize>,
    /// What the value is.
    pub kind: Kind,
}

/// The bytes are not the JSON they should be. The message is fit for the caller: it quotes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at byte {offset})")]
pub struct ScanError {
    /// Where, in bytes from the beginning of the body.
    pub offset: usize,
    /// What is wrong.
    pub what: Cow<'static, str>,
    /// The field it is wrong in, when it is a field Crossfade reads.
    pub param: Option<&'static str>,
}

impl ScanError {
    /// An error at `offset`.
    pub fn new(offset: usize, what: impl Into<Cow<'static, str>>) -> ScanError {
        ScanError { offset, what: what.into(), param: None }
    }

    /// The same, about the field `param`.
    pub fn about(mut self, param: &'static str) -> ScanError {
        self.param = Some(param);
        self
    }
}

/// The members of the one object that `body` is. Trailing garbage, a second value or a broken one is an error; a key
/// that comes twice is not (see [`duplicate`]), because only the reader knows which keys matter.
pub fn top_level(body: &[u8]) -> Result<Vec<Member<'_>>, ScanError> {
    let mut members = Vec::with_capacity(16);
    each_top_level(body, |member| {
        members.push(member);
        Ok(())
    })?;
    Ok(members)
}

/// The first member whose key came before. For the few keys of a top level; it compares them all.
pub fn duplicate<'m, 'a>(members: &'m [Member<'a>]) -> Option<&'m Member<'a>> {
    members.iter().enumerate().find(|(idx, member)| members[..*idx].iter().any(|m| m.key == member.key)).map(|(_, m)| m)
}

/// Calls `visit` with each member of the one object that `body` is, then checks that nothing follows.
pub fn each_top_level<'a>(
    body: &'a [u8],
    visit: impl FnMut(Member<'a>) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    each_member(body, 0..body.len(), visit)
}

/// Calls `visit` with each member of the object at `object`, which may have white space around it and nothing else.
pub fn each_member<'a>(
    body: &'a [u8],
    object: Range<usize>,
    mut visit: impl FnMut(Member<'a>) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let body = bounded(body, &object)?;
    let mut at = value::white(body, object.start);
    if value::byte(body, at) != Some(b'{') {
        return Err(ScanError::new(at, "expected a JSON object"));
    }
    at = value::white(body, at + 1);
    if value::byte(body, at) == Some(b'}') {
        return value::nothing_after(body, at + 1);
    }
    loop {
        let key_end = value::skip_string(body, at)?;
        let key = unescape(body, at..key_end)?;
        let value_start = value::after_colon(body, key_end)?;
        let (kind, value_end) = skip_value(body, value_start)?;
        visit(Member { key, key_range: at..key_end, value: value_start..value_end, kind })?;
        let next = value::white(body, value_end);
        match value::byte(body, next) {
            Some(b',') => at = value::white(body, next + 1),
            Some(b'}') => return value::nothing_after(body, next + 1),
            _ => return Err(ScanError::new(next, "expected `,` or `}`")),
        }
    }
}

/// Whether [`each_element`] should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// With the next element.
    Go,
    /// No further.
    Stop,
}

/// Calls `visit` with each element of the array at `array` until it says stop.
pub fn each_element(
    body: &[u8],
    array: Range<usize>,
    mut visit: impl FnMut(Element) -> Result<Next, ScanError>,
) -> Result<(), ScanError> {
    let body = bounded(body, &array)?;
    let mut at = value::white(body, array.start);
    if value::byte(body, at) != Some(b'[') {
        return Err(ScanError::new(at, "expected a JSON array"));
    }
    at = value::white(body, at + 1);
    if value::byte(body, at) == Some(b']') {
        return value::nothing_after(body, at + 1);
    }
    loop {
        let (kind, value_end) = skip_value(body, at)?;
        if visit(Element { value: at..value_end, kind })? == Next::Stop {
            return Ok(());
        }
        let next = value::white(body, value_end);
        match value::byte(body, next) {
            Some(b',') => at = value::white(body, next + 1),
            Some(b']') => return value::nothing_after(body, next + 1),
            _ => return Err(ScanError::new(next, "expected `,` or `]`")),
        }
    }
}

/// The body up to the end of `range`, so that offsets stay those of the body.
fn bounded<'a>(body: &'a [u8], range: &Range<usize>) -> Result<&'a [u8], ScanError> {
    body.get(..range.end).ok_or_else(|| ScanError::new(body.len(), "the body ends too early"))
}

#[cfg(test)]
mod tests;
