//! Skipping one value, without recursion.

use memchr::{memchr, memchr3};

use super::{Kind, MAX_DEPTH, ScanError};

/// The byte at `at`, if there is one.
pub(super) fn byte(body: &[u8], at: usize) -> Option<u8> {
    body.get(at).copied()
}

/// The first place from `at` on that holds no white space.
pub(super) fn white(body: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = body.get(at) {
        at += 1;
    }
    at
}

/// Checks that only white space follows.
pub(super) fn nothing_after(body: &[u8], at: usize) -> Result<(), ScanError> {
    let end = white(body, at);
    if end == body.len() { Ok(()) } else { Err(ScanError::new(end, "something follows the end of the JSON value")) }
}

/// Where the value begins that belongs to a key ending at `key_end`.
pub(super) fn after_colon(body: &[u8], key_end: usize) -> Result<usize, ScanError> {
    let colon = white(body, key_end);
    match byte(body, colon) {
        Some(b':') => Ok(white(body, colon + 1)),
        _ => Err(ScanError::new(colon, "expected `:`")),
    }
}

/// The end of the string that begins at `at`, its closing quotation mark included.
pub(super) fn skip_string(body: &[u8], at: usize) -> Result<usize, ScanError> {
    if byte(body, at) != Some(b'"') {
        return Err(ScanError::new(at, "expected a string"));
    }
    let start = at + 1;
    let mut from = start;
    loop {
        let Some(found) = body.get(from..).and_then(next_quote) else {
            return Err(ScanError::new(at, "this string does not end"));
        };
        let quote = from + found;
        let n_backslashes = body[start..quote].iter().rev().take_while(|&&b| b == b'\\').count();
        if n_backslashes % 2 == 0 {
            return Ok(quote + 1);
        }
        from = quote + 1;
    }
}

/// Where the next quotation mark is. The first 32 bytes are looked at eight at a time, because keys are short and code in
/// a prompt is full of quotation marks; beyond them `memchr` is faster.
fn next_quote(rest: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    let mut n_seen = 0;
    for word in rest.as_chunks::<8>().0.iter().take(4) {
        let word = u64::from_le_bytes(*word) ^ QUOTES;
        // The lowest bit set marks the first zero byte (Hacker's Delight, 6-1); those above it may be wrong.
        let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
        if zeros != 0 {
            return Some(n_seen + zeros.trailing_zeros() as usize / 8);
        }
        n_seen += 8;
    }
    memchr(b'"', &rest[n_seen..]).map(|idx| n_seen + idx)
}

/// The kind of the value that begins at `at` (no white space before it) and the place after its end.
pub fn skip_value(body: &[u8], at: usize) -> Result<(Kind, usize), ScanError> {
    match byte(body, at) {
        Some(b'"') => Ok((Kind::String, skip_string(body, at)?)),
        Some(b'{') => Ok((Kind::Object, skip_nested(body, at)?)),
        Some(b'[') => Ok((Kind::Array, skip_nested(body, at)?)),
        _ => skip_scalar(body, at),
    }
}

/// The containers open around a place: one bit each, set for an object.
struct Open {
    bits: u128,
    depth: u32,
}

impl Open {
    fn push(&mut self, object: bool, at: usize) -> Result<(), ScanError> {
        if self.depth == MAX_DEPTH {
            return Err(ScanError::new(at, "nested too deeply"));
        }
        self.bits = self.bits << 1 | u128::from(object);
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
    }

    fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

/// The end of the object or array that begins at `at`.
fn skip_nested(body: &[u8], at: usize) -> Result<usize, ScanError> {
    let mut open = Open { bits: 0, depth: 0 };
    let mut at = at;
    loop {
        // Here a value begins at `at`.
        let after = match byte(body, at) {
            Some(b'{') => {
                open.push(true, at)?;
                let first = white(body, at + 1);
                if byte(body, first) != Some(b'}') {
                    at = after_key(body, first)?;
                    continue;
                }
                open.pop();
                first + 1
            }
            Some(b'[') => {
                open.push(false, at)?;
                let first = white(body, at + 1);
                let Some(end) = short_cut(body, first) else {
                    at = first;
                    continue;
                };
                open.pop();
                end
            }
            Some(b'"') => skip_string(body, at)?,
            _ => skip_scalar(body, at)?.1,
        };
        match closed(body, after, &mut open)? {
            Step::Value(next) => at = next,
            Step::End(end) => return Ok(end),
        }
    }
}

/// What comes after a value.
enum Step {
    /// Another value, here.
    Value(usize),
    /// The end of the outermost container.
    End(usize),
}

/// Goes on after a value that ended at `at`: closes what is closed there, then finds the next value.
fn closed(body: &[u8], mut at: usize, open: &mut Open) -> Result<Step, ScanError> {
    while open.depth > 0 {
        at = white(body, at);
        match (byte(body, at), open.in_object()) {
            (Some(b','), true) => return Ok(Step::Value(after_key(body, white(body, at + 1))?)),
            (Some(b','), false) => return Ok(Step::Value(white(body, at + 1))),
            (Some(b'}'), true) | (Some(b']'), false) => open.pop(),
            (None, _) => return Err(ScanError::new(at, "the JSON ends too early")),
            (_, true) => return Err(ScanError::new(at, "expected `,` or `}`")),
            (_, false) => return Err(ScanError::new(at, "expected `,` or `]`")),
        }
        at += 1;
    }
    Ok(Step::End(at))
}

/// Where the value of the member begins whose key begins at `at`.
fn after_key(body: &[u8], at: usize) -> Result<usize, ScanError> {
    let key_end = skip_string(body, at)?;
    after_colon(body, key_end)
}

/// The end of an array whose first element would be at `at`, when it is empty or holds numbers and nothing that could
/// hide a `]`. Token arrays and vectors are long; what is between their commas is left to the server that reads it.
fn short_cut(body: &[u8], at: usize) -> Option<usize> {
    match byte(body, at)? {
        b']' => Some(at + 1),
        b'-' | b'0'..=b'9' => {
            let end = at + memchr3(b']', b'"', b'{', &body[at..])?;
            let flat = body[end] == b']' && memchr(b'[', &body[at..end]).is_none();
            flat.then_some(end + 1)
        }
        _ => None,
    }
}

/// The kind and the end of a number, `true`, `false` or `null`.
fn skip_scalar(body: &[u8], at: usize) -> Result<(Kind, usize), ScanError> {
    let rest = body.get(at..).unwrap_or_default();
    let (kind, len) = match rest.first() {
        Some(b't') if rest.starts_with(b"true") => (Kind::True, 4),
        Some(b'f') if rest.starts_with(b"false") => (Kind::False, 5),
        Some(b'n') if rest.starts_with(b"null") => (Kind::Null, 4),
        Some(b'-' | b'0'..=b'9') => {
            let len = number_len(rest).ok_or_else(|| ScanError::new(at, "this is not a number"))?;
            (Kind::Number, len)
        }
        None => return Err(ScanError::new(at, "the JSON ends too early")),
        _ => return Err(ScanError::new(at, "expected a JSON value")),
    };
    Ok((kind, at + len))
}

/// The length of the number that `rest` begins with, by the grammar of RFC 8259.
fn number_len(rest: &[u8]) -> Option<usize> {
    let digits = |from: usize| rest[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(rest.first() == Some(&b'-'));
    let n_digits = digits(at);
    if n_digits == 0 || (n_digits > 1 && rest[at] == b'0') {
        return None;
    }
    at += n_digits;
    if rest.get(at) == Some(&b'.') {
        let n_digits = digits(at + 1);
        if n_digits == 0 {
            return None;
        }
        at += 1 + n_digits;
    }
    if let Some(b'e' | b'E') = rest.get(at) {
        let sign = usize::from(matches!(rest.get(at + 1), Some(b'+' | b'-')));
        let n_digits = digits(at + 1 + sign);
        if n_digits == 0 {
            return None;
        }
        at += 1 + sign + n_digits;
    }
    Some(at)
}
