//! Reading the few strings and numbers Crossfade needs.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::ScanError;

/// The text of the string literal at `literal`, quotation marks included. Borrowed when it holds no escape. Invalid
/// UTF-8, an unknown escape, a lone surrogate or a raw control character is an error.
pub fn unescape(body: &[u8], literal: Range<usize>) -> Result<Cow<'_, str>, ScanError> {
    let start = literal.start + 1;
    let inner = inside(body, &literal)?;
    if let Some(idx) = inner.iter().position(|&b| b < 0x20) {
        return Err(ScanError::new(start + idx, "a control character inside a string"));
    }
    let Some(_) = memchr(b'\\', inner) else {
        return match std::str::from_utf8(inner) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => Err(ScanError::new(start + error.valid_up_to(), "invalid UTF-8")),
        };
    };
    let mut out = Vec::with_capacity(inner.len());
    if !decode(inner, &mut out, Surrogates::Refuse) {
        return Err(ScanError::new(literal.start, "an invalid escape inside a string"));
    }
    match String::from_utf8(out) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => Err(ScanError::new(literal.start, "invalid UTF-8")),
    }
}

/// Appends the text of the string literal at `literal` to `out`, with U+FFFD for lone surrogates and the bytes of
/// unknown escapes as they are. For content that is only looked at.
pub fn unescape_lossy(body: &[u8], literal: Range<usize>, out: &mut Vec<u8>) {
    if let Ok(inner) = inside(body, &literal) {
        decode(inner, out, Surrogates::Replace);
    }
}

/// The same for the beginning of a literal: what its first `most` bytes stand for. An escape that they cut stays as it is, and so does
/// the beginning of a character.
pub fn unescape_start(body: &[u8], literal: Range<usize>, most: usize, out: &mut Vec<u8>) {
    if let Ok(inner) = inside(body, &literal) {
        decode(&inner[..inner.len().min(most)], out, Surrogates::Replace);
    }
}

/// The number that `text` is, when it is a whole one that fits.
pub fn unsigned(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0_u64, |n, &b| {
        if b.is_ascii_digit() { n.checked_mul(10)?.checked_add(u64::from(b - b'0')) } else { None }
    })
}

fn inside<'a>(body: &'a [u8], literal: &Range<usize>) -> Result<&'a [u8], ScanError> {
    let whole = body.get(literal.clone()).unwrap_or_default();
    match whole {
        [b'"', inner @ .., b'"'] => Ok(inner),
        _ => Err(ScanError::new(literal.start, "expected a string")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Surrogates {
    Refuse,
    Replace,
}

/// Appends what `inner` stands for. False when an escape is invalid and `surrogates` says refuse.
fn decode(inner: &[u8], out: &mut Vec<u8>, surrogates: Surrogates) -> bool {
    let mut rest = inner;
    while let Some(idx) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..idx]);
        let escape = &rest[idx..];
        let plain = match escape.get(1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(&b @ (b'"' | b'\\' | b'/')) => b,
            Some(b'u') => match code_point(escape) {
                Some((c, len)) => {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &escape[len..];
                    continue;
                }
                None if surrogates == Surrogates::Refuse => return false,
                None => {
                    out.extend_from_slice("\u{fffd}".as_bytes());
                    rest = escape.get(6..).unwrap_or_default();
                    continue;
                }
            },
            _ if surrogates == Surrogates::Refuse => return false,
            _ => {
                out.push(b'\\');
                rest = &escape[1..];
                continue;
            }
        };
        out.push(plain);
        rest = &escape[2..];
    }
    out.extend_from_slice(rest);
    true
}

/// The character of the `\u0041` (or the pair of them) that `escape` begins with, and its length in bytes.
fn code_point(escape: &[u8]) -> Option<(char, usize)> {
    let high = hex4(escape.get(2..6)?)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Some((char::from_u32(high)?, 6));
    }
    if escape.get(6..8)? != b"\\u" {
        return None;
    }
    let low = hex4(escape.get(8..12)?)?;
    if !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12))
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, &b| Some(n << 4 | char::from(b).to_digit(16)?))
}
