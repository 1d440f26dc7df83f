//! Conversations that go on by the id of the last response, or by the ids of single items.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::wrong;
use crate::openai::Refusal;
use crate::scan::{self, Kind, Member, ScanError};

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

/// The ids of the responses to look up before [`resolve`]: those whose items the references in the input name. Only items of
/// responses that [`super::answer`] or [`super::Stream`] made can be told like that; others are no reference of ours.
pub fn referenced(request: &[u8]) -> Vec<String> {
    let mut responses: Vec<String> = Vec::new();
    let found = each_item(request, |item| {
        if let Some(response) = item.reference.as_deref().and_then(response_of).filter(|id| !responses.contains(id)) {
            responses.push(response);
        }
    });
    // A request that cannot be read refers to nothing: that it cannot be read is found out elsewhere.
    found.map_or_else(|_| Vec::new(), |_| responses)
}

/// The request with the items themselves in place of the references to them; `kept` are arrays of [`kept`] items. References to
/// items that are not among them stay, and are refused on translation.
pub fn resolve(request: &[u8], kept: &[&[u8]]) -> Result<Bytes, Refusal> {
    let mut known: Vec<(String, &[u8])> = Vec::new();
    for array in kept {
        elements(array, 0..array.len(), |item| {
            known.extend(item.id.map(|id| (id, &array[item.place])));
        })
        .map_err(|error| Refusal::from(&error))?;
    }
    let mut out = BytesMut::with_capacity(request.len());
    let mut done = 0;
    each_item(request, |item| {
        let reference = item.reference.and_then(|id| known.iter().find(|(known, _)| *known == id));
        if let Some((_, text)) = reference {
            out.extend_from_slice(&request[done..item.place.start]);
            out.extend_from_slice(text);
            done = item.place.end;
        }
    })
    .map_err(|error| Refusal::from(&error))?;
    out.extend_from_slice(&request[done..]);
    Ok(out.freeze())
}

/// An item of an input.
struct Item {
    place: Range<usize>,
    id: Option<String>,
    /// The id, when it is nothing but a reference.
    reference: Option<String>,
}

/// Calls `visit` with every item of the input of `request`, if that is an array.
fn each_item(request: &[u8], visit: impl FnMut(Item)) -> Result<(), ScanError> {
    let members = scan::top_level(request)?;
    match last(&members, "input").filter(|input| input.kind == Kind::Array) {
        Some(input) => elements(request, input.value.clone(), visit),
        None => Ok(()),
    }
}

fn elements(body: &[u8], array: Range<usize>, mut visit: impl FnMut(Item)) -> Result<(), ScanError> {
    scan::each_element(body, array, |element| {
        if element.kind == Kind::Object {
            let (mut id, mut is_reference, mut is_other) = (None, false, false);
            scan::each_member(body, element.value.clone(), |member| {
                match (member.key.as_ref(), member.kind) {
                    ("id", Kind::String) => id = Some(scan::unescape(body, member.value)?.into_owned()),
                    ("type", Kind::String) => {
                        is_reference = &body[member.value] == b"\"item_reference\"";
                        is_other |= !is_reference;
                    }
                    ("id" | "type", _) => {}
                    _ => is_other = true,
                }
                Ok(())
            })?;
            let reference = id.clone().filter(|_| is_reference || !is_other);
            visit(Item { place: element.value, id, reference });
        }
        Ok(scan::Next::Go)
    })
}

/// The id of the response that made the item with this id: `msg_01230002` is the third of `resp_0123`.
fn response_of(item_id: &str) -> Option<String> {
    let (prefix, rest) = item_id.split_once('_')?;
    let (response, place) = rest.split_at_checked(rest.len().checked_sub(4)?)?;
    let ours = matches!(prefix, "msg" | "rs" | "fc" | "ctc") && place.bytes().all(|b| b.is_ascii_digit());
    (ours && !response.is_empty()).then(|| format!("resp_{response}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_an_item_belongs_to_is_in_its_id() {
        assert_eq!(response_of("msg_01230002").as_deref(), Some("resp_0123"));
        assert_eq!(response_of("fc_019a0002").as_deref(), Some("resp_019a"));
        for other in ["msg_0002", "msg_é002", "call_01230002", "msg_0123000x", "msg", ""] {
            assert_eq!(response_of(other), None, "{other}");
        }
    }

    #[test]
    fn references_are_replaced_by_what_they_refer_to() {
        let request = br#"{"input": [ {"role":"user","content":"x"}, {"type":"item_reference","id":"msg_a0000"},{"id":"fc_a0001"} , {"type":"item_reference","id":"fc_b0000"}, {"type":"item_reference","id":"msg_68f"}],"a":1}"#;
        assert_eq!(referenced(request), ["resp_a", "resp_b"]);
        let a = br#"[{"id":"msg_a0000","type":"message","content":[ ]},{"id":"fc_a0001","type":"function_call"},{"role":"user"}]"#;
        let resolved = resolve(request, &[a, b"[]"]).unwrap();
        assert_eq!(
            std::str::from_utf8(&resolved).unwrap(),
            r#"{"input": [ {"role":"user","content":"x"}, {"id":"msg_a0000","type":"message","content":[ ]},{"id":"fc_a0001","type":"function_call"} , {"type":"item_reference","id":"fc_b0000"}, {"type":"item_reference","id":"msg_68f"}],"a":1}"#
        );
        assert_eq!(resolve(br#"{"input":"x"}"#, &[]).unwrap(), br#"{"input":"x"}"#.as_slice());
        assert!(
            referenced(b"[").is_empty() && referenced(br#"{"input":[{"role":"user","id":"msg_a0000"}]}"#).is_empty()
        );
        assert!(resolve(request, &[b"{}"]).is_err());
    }
}
