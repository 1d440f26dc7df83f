//! Conversations that go on by the id of the last response.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::wrong;
use crate::openai::Refusal;
use crate::scan::{self, Kind, Member};

/// The id in `previous_response_id` of a request; `None` when there is none. A request that cannot be read has none: that it
/// cannot be read is found out elsewhere.
pub fn previous_response_id(request: &[u8]) -> Option<String> {
    let members = scan::top_level(request).ok()?;
    let member = last(&members, "previous_response_id").filter(|member| member.kind == Kind::String)?;
    scan::unescape(request, member.value.clone()).ok().map(std::borrow::Cow::into_owned)
}

/// The array of items to keep of an exchange, so that a later request can go on from it: the input of `request`, then
/// `output`, the array of items of its response. `None` when one of them cannot be read.
pub fn kept(request: &[u8], output: &[u8]) -> Option<Bytes> {
    let members = scan::top_level(request).ok()?;
    let mut items = items_of(request, last(&members, "input")).ok()?;
    let (kind, end) = scan::skip_value(output, 0).ok()?;
    if kind != Kind::Array || end != output.len() {
        return None;
    }
    append(&mut items, output);
    Some(array(&items))
}

/// The request without `previous_response_id` and with the items in `kept`, an array, before its own input. Nothing else
/// of the earlier request comes with them: its instructions, tools and parameters do not, as the API says.
pub fn prepend(request: &[u8], kept: &[u8]) -> Result<Bytes, Refusal> {
    let members = scan::top_level(request).map_err(|error| Refusal::from(&error))?;
    let mut items = BytesMut::with_capacity(request.len() + kept.len());
    append(&mut items, kept);
    let input = last(&members, "input");
    let own = items_of(request, input)?;
    if !own.is_empty() {
        if !items.is_empty() {
            items.extend_from_slice(b",");
        }
        items.extend_from_slice(&own);
    }
    let mut out = BytesMut::with_capacity(items.len() + request.len());
    out.extend_from_slice(b"{");
    for member in members.iter().filter(|member| !matches!(member.key.as_ref(), "previous_response_id" | "input")) {
        put(&mut out, &request[member.key_range.clone()], &request[member.value.clone()]);
    }
    put(&mut out, b"\"input\"", &array(&items));
    out.extend_from_slice(b"}");
    Ok(out.freeze())
}

fn put(out: &mut BytesMut, key: &[u8], value: &[u8]) {
    if out.len() > 1 {
        out.extend_from_slice(b",");
    }
    out.extend_from_slice(key);
    out.extend_from_slice(b":");
    out.extend_from_slice(value);
}

/// Of a key that comes twice the last counts.
fn last<'m, 'a>(members: &'m [Member<'a>], key: &str) -> Option<&'m Member<'a>> {
    members.iter().rev().find(|member| member.key == key)
}

/// The items of an input, without the brackets around them. A string is a message of the user.
fn items_of(request: &[u8], input: Option<&Member<'_>>) -> Result<BytesMut, Refusal> {
    let mut items = BytesMut::new();
    match input.map(|member| (member.kind, member.value.clone())) {
        None | Some((Kind::Null, _)) => {}
        Some((Kind::Array, value)) => append(&mut items, &request[value]),
        Some((Kind::String, value)) => {
            items.extend_from_slice(br#"{"type":"message","role":"user","content":"#);
            items.extend_from_slice(&request[value]);
            items.extend_from_slice(b"}");
        }
        Some(_) => return Err(wrong("input", "a string or an array")),
    }
    Ok(items)
}

/// Appends the elements of `array` as they are written.
fn append(items: &mut BytesMut, array: &[u8]) {
    let Range { start, end } = 1..array.len().saturating_sub(1);
    let inner = array.get(start..end).unwrap_or_default().trim_ascii();
    if !inner.is_empty() {
        if !items.is_empty() {
            items.extend_from_slice(b",");
        }
        items.extend_from_slice(inner);
    }
}

fn array(items: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(items.len() + 2);
    out.extend_from_slice(b"[");
    out.extend_from_slice(items);
    out.extend_from_slice(b"]");
    out.freeze()
}
