//! Thinking that no Claude wrote.
//!
//! When another model's reasoning is shown to a caller that speaks Messages, its block needs a signature, and only Anthropic
//! can sign. Crossfade puts [`SIGNATURE`] there. A caller sends the block back with the next turn, and Anthropic refuses a
//! request with a signature it did not make: a rollback would break every open conversation. So these blocks are cut out of a
//! request before it goes to a real Anthropic endpoint. What cannot be helped: a model that was told to think, with the results
//! of tools as the last message, may insist on the thinking that led to the calls. Such a request fails at Anthropic, and the
//! caller's next try without `thinking` does not.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{Kind, ScanError};
use crate::splice::{Edit, Pieces};

/// The signature of a thinking block that Crossfade made.
pub const SIGNATURE: &str = "crossfade:unsigned";

/// The request without the thinking blocks Crossfade made, and how many there were; every other byte stays. A request
/// without any costs one search for [`SIGNATURE`]. A message that had nothing else is left with a text that says so, because
/// the dialect takes no empty message.
pub fn without_ours(body: &Bytes) -> (Pieces, usize) {
    if memmem::find(body, SIGNATURE.as_bytes()).is_none() {
        return (Pieces::from(body.clone()), 0);
    }
    // A body that cannot be read goes on as it is: its reader says what is wrong with it.
    let edits = edits(body).unwrap_or_default();
    let n_blocks = edits.iter().map(|(_, n_blocks)| n_blocks).sum();
    let edits: Vec<Edit> = edits.into_iter().map(|(edit, _)| edit).collect();
    (Pieces::of(body.clone(), &edits), n_blocks)
}

fn edits(body: &[u8]) -> Result<Vec<(Edit, usize)>, ScanError> {
    let mut edits = Vec::new();
    let mut top = Object::open_top(body)?;
    while let Some(key) = top.next_key()? {
        if key.name.as_ref() != b"messages" || !begins_with(body, top.at(), b'[') {
            top.skip()?;
            continue;
        }
        let mut messages = Array::open(body, top.at())?;
        while messages.next_value()? {
            let (kind, message) = messages.skip()?;
            if kind == Kind::Object {
                of_message(body, message.start, &mut edits)?;
            }
        }
        top.resume(messages.at());
    }
    Ok(edits)
}

fn of_message(body: &[u8], at: usize, edits: &mut Vec<(Edit, usize)>) -> Result<(), ScanError> {
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, content) = walk.skip()?;
        if key.name.as_ref() != b"content" || kind != Kind::Array {
            continue;
        }
        let mut blocks = Vec::new();
        let mut elements = Array::open(body, content.start)?;
        while elements.next_value()? {
            let (kind, block) = elements.skip()?;
            let ours = kind == Kind::Object && is_ours(body, block.start)?;
            blocks.push((block, ours));
        }
        cut(&blocks, content, edits);
    }
    Ok(())
}

/// Cuts each of our blocks with one comma beside it.
fn cut(blocks: &[(Range<usize>, bool)], content: Range<usize>, edits: &mut Vec<(Edit, usize)>) {
    let n_ours = blocks.iter().filter(|(_, ours)| *ours).count();
    if n_ours == 0 {
        return;
    }
    if n_ours == blocks.len() {
        let empty = Bytes::from_static(br#"[{"type":"text","text":"(no answer)"}]"#);
        edits.push((Edit::new(content, empty), n_ours));
        return;
    }
    let mut kept_end = None;
    for (idx, (block, ours)) in blocks.iter().enumerate() {
        match (ours, kept_end) {
            (false, _) => kept_end = Some(block.end),
            // From the end of what stays before it: its comma goes too.
            (true, Some(end)) => {
                edits.push((Edit::new(end..block.end, Bytes::new()), 1));
                kept_end = Some(block.end);
            }
            // Nothing stays before it: up to the next block.
            (true, None) => {
                let next = blocks.get(idx + 1).map_or(block.end, |(next, _)| next.start);
                edits.push((Edit::new(block.start..next, Bytes::new()), 1));
            }
        }
    }
}

fn is_ours(body: &[u8], at: usize) -> Result<bool, ScanError> {
    let (mut thinking, mut signed) = (false, false);
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let (_, value) = walk.skip()?;
        let text = body[value].strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        match key.name.as_ref() {
            b"type" => thinking = text == Some(b"thinking"),
            b"signature" => signed = text == Some(SIGNATURE.as_bytes()),
            _ => {}
        }
    }
    Ok(thinking && signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = r#"{"type":"thinking","thinking":"hm","signature":"crossfade:unsigned"}"#;
    const THEIRS: &str = r#"{"type":"thinking","thinking":"hm","signature":"EqoB"}"#;
    const TEXT: &str = r#"{"type":"text","text":"crossfade:unsigned"}"#;

    fn check(blocks: &[&str], expected: &[&str], n_expected: usize) {
        let body = |blocks: &[&str]| {
            let blocks = blocks.join(" , ");
            format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":"crossfade:unsigned"}},{{"role":"assistant","content":[{blocks}]}}]}}"#
            )
        };
        let (pieces, n_blocks) = without_ours(&Bytes::from(body(blocks)));
        let normal = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
        assert_eq!(normal(&pieces.to_bytes()), normal(body(expected).as_bytes()));
        assert_eq!(n_blocks, n_expected);
    }

    #[test]
    fn only_blocks_crossfade_made_are_cut() {
        check(&[OURS, TEXT], &[TEXT], 1);
        check(&[TEXT, OURS], &[TEXT], 1);
        check(&[OURS, OURS, TEXT, OURS, OURS, THEIRS, OURS], &[TEXT, THEIRS], 5);
        check(&[THEIRS, TEXT], &[THEIRS, TEXT], 0);
        check(&[OURS, OURS], &[r#"{"type":"text","text":"(no answer)"}"#], 2);
    }

    #[test]
    fn a_body_without_any_stays_as_it_is() {
        for body in [r#"{"messages":[]}"#, "not JSON crossfade:unsigned"] {
            let body = Bytes::from(body);
            assert_eq!(without_ours(&body), (Pieces::from(body.clone()), 0));
        }
    }
}
