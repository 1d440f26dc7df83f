//! The texts in a body, by place: what a person or a model said, and not the words a dialect is made of.

use std::ops::Range;

use bytes::Bytes;

use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{Kind, ScanError, unescape_lossy};
use crate::splice::{Edit, Pieces, json_string};

/// Members whose text a dialect chooses, not a person or a model.
const WORDS: [&[u8]; 22] = [
    b"type",
    b"role",
    b"model",
    b"id",
    b"object",
    b"tool_call_id",
    b"tool_use_id",
    b"call_id",
    b"item_id",
    b"response_id",
    b"previous_response_id",
    b"finish_reason",
    b"stop_reason",
    b"status",
    b"system_fingerprint",
    b"service_tier",
    b"encoding_format",
    b"obfuscation",
    b"detail",
    b"format",
    b"media_type",
    b"encrypted_content",
];

/// Calls `visit` with the name of the member and the place of the literal, quotation marks included, of each text in the JSON
/// value that `body` is. Texts that are `data:` URLs hold no words and are left out.
///
/// # Errors
/// When `body` is not JSON, or `visit` says so.
pub fn each_text(
    body: &[u8],
    visit: &mut impl FnMut(&[u8], Range<usize>) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let mut at = body.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    walk(body, &mut at, b"", visit)
}

fn walk(
    body: &[u8],
    at: &mut usize,
    name: &[u8],
    visit: &mut impl FnMut(&[u8], Range<usize>) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    if begins_with(body, *at, b'{') {
        let mut object = Object::open(body, *at)?;
        while let Some(key) = object.next_key()? {
            let mut end = object.at();
            walk(body, &mut end, &key.name, visit)?;
            object.resume(end);
        }
        *at = object.at();
        return Ok(());
    }
    if begins_with(body, *at, b'[') {
        let mut array = Array::open(body, *at)?;
        while array.next_value()? {
            let mut end = array.at();
            walk(body, &mut end, name, visit)?;
            array.resume(end);
        }
        *at = array.at();
        return Ok(());
    }
    let (kind, end) = crate::scan::skip_value(body, *at)?;
    let literal = std::mem::replace(at, end)..end;
    let is_data = body[literal.start + 1..].len() > 5
        && body[literal.start + 1..literal.start + 6].eq_ignore_ascii_case(b"data:");
    if kind == Kind::String && !WORDS.contains(&name) && !is_data {
        visit(name, literal)?;
    }
    Ok(())
}

/// What a stream says, gathered from its events: the pieces of a text joined, whatever the dialect. Texts of different places (a
/// choice, an item, a member) are kept apart, so that two of them are never read as one.
#[derive(Clone, Default)]
pub struct Gathered {
    lanes: Vec<Lane>,
    n_bytes: usize,
    limit: usize,
    overflown: bool,
}

/// The texts of one place under one name.
#[derive(Clone)]
struct Lane {
    place: u64,
    name: Vec<u8>,
    text: Vec<u8>,
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<private {} bytes>", self.n_bytes)
    }
}

impl Gathered {
    /// Nothing yet, and room for `limit` bytes.
    pub fn with_limit(limit: usize) -> Gathered {
        Gathered { limit, ..Gathered::default() }
    }

    /// Takes the data of the next event. What is no JSON, `[DONE]` say, adds nothing.
    pub fn push(&mut self, data: &[u8]) {
        if self.overflown || data.first() != Some(&b'{') {
            return;
        }
        let place = place_of(data).unwrap_or_default();
        let mut add = |name: &[u8], literal: Range<usize>| {
            let known = self.lanes.iter().position(|lane| lane.place == place && lane.name == name);
            let idx = known.unwrap_or_else(|| {
                self.lanes.push(Lane { place, name: name.to_vec(), text: Vec::new() });
                self.lanes.len() - 1
            });
            let text = &mut self.lanes[idx].text;
            let before = text.len();
            unescape_lossy(data, literal, text);
            self.n_bytes += text.len() - before;
            Ok(())
        };
        // An event that cannot be read is a failure of its own.
        each_text(data, &mut add).unwrap_or_default();
        self.overflown = self.n_bytes > self.limit || self.lanes.len() > 4096;
    }

    /// The texts. `None` when there was more than was to be gathered.
    pub fn texts(&self) -> Option<impl Iterator<Item = &[u8]>> {
        (!self.overflown).then(|| self.lanes.iter().map(|lane| lane.text.as_slice()))
    }
}

/// Puts `with` in the place of what `find` finds in the texts of a stream, of which `datas` are the data of all events. What is found may
/// lie in several of them: the first gets what is put there. The data of each event, the same where nothing was found in it.
///
/// `find` is given a whole text and returns places in order that do not overlap.
pub fn replaced(datas: &[Bytes], with: &str, find: impl Fn(&[u8]) -> Vec<Range<usize>>) -> Vec<Bytes> {
    let mut lanes: Vec<(Lane, Vec<Piece>)> = Vec::new();
    for (event, data) in datas.iter().enumerate().filter(|(_, data)| data.first() == Some(&b'{')) {
        let place = place_of(data).unwrap_or_default();
        let mut add = |name: &[u8], literal: Range<usize>| {
            let known = lanes.iter().position(|(lane, _)| lane.place == place && lane.name == name);
            let idx = known.unwrap_or_else(|| {
                lanes.push((Lane { place, name: name.to_vec(), text: Vec::new() }, Vec::new()));
                lanes.len() - 1
            });
            let (lane, pieces) = &mut lanes[idx];
            let start = lane.text.len();
            unescape_lossy(data, literal.clone(), &mut lane.text);
            pieces.push(Piece { event, literal, text: start..lane.text.len() });
            Ok(())
        };
        each_text(data, &mut add).unwrap_or_default();
    }
    let mut edits: Vec<Vec<Edit>> = vec![Vec::new(); datas.len()];
    for (lane, pieces) in &lanes {
        let found = find(&lane.text);
        for piece in pieces {
            if let Some(left) = piece.without(&lane.text, &found, with) {
                edits[piece.event].push(Edit::new(piece.literal.clone(), json_string(&left)));
            }
        }
    }
    datas
        .iter()
        .zip(edits)
        .map(|(data, mut edits)| {
            edits.sort_unstable_by_key(|edit| edit.range.start);
            if edits.is_empty() { data.clone() } else { Pieces::of(data.clone(), &edits).to_bytes() }
        })
        .collect()
}

/// A piece of a text: which event it is in, where, and where it is in the text.
struct Piece {
    event: usize,
    literal: Range<usize>,
    text: Range<usize>,
}

impl Piece {
    /// The piece without what was found; `None` when nothing was found in it.
    fn without(&self, text: &[u8], found: &[Range<usize>], with: &str) -> Option<String> {
        let mut left = Vec::new();
        let mut at = self.text.start;
        let mut is_touched = false;
        for place in found.iter().filter(|place| place.start < self.text.end && place.end > self.text.start) {
            is_touched = true;
            left.extend_from_slice(&text[at..place.start.max(at)]);
            if place.start >= self.text.start {
                left.extend_from_slice(with.as_bytes());
            }
            at = place.end.min(self.text.end);
        }
        left.extend_from_slice(&text[at..self.text.end]);
        is_touched.then(|| String::from_utf8_lossy(&left).into_owned())
    }
}

/// Which choice, block or item an event is about: the first index in it, whatever it is called.
fn place_of(data: &[u8]) -> Option<u64> {
    let mut found = [None; 3];
    index(data, 0, &mut found, 0).ok()?;
    found.iter().flatten().copied().reduce(|all, one| all * 4096 + one)
}

fn index(data: &[u8], at: usize, found: &mut [Option<u64>; 3], depth: u32) -> Result<usize, ScanError> {
    if begins_with(data, at, b'{') && depth < 6 {
        let mut object = Object::open(data, at)?;
        while let Some(key) = object.next_key()? {
            let start = object.at();
            let slot = match &*key.name {
                b"output_index" => Some(0),
                b"index" => Some(1),
                b"content_index" => Some(2),
                _ => None,
            };
            let end = index(data, start, found, depth + 1)?;
            if let Some(slot) = slot.filter(|slot| found[*slot].is_none()) {
                found[slot] = crate::scan::unsigned(&data[start..end]);
            }
            object.resume(end);
        }
        return Ok(object.at());
    }
    if begins_with(data, at, b'[') && depth < 6 {
        let mut array = Array::open(data, at)?;
        while array.next_value()? {
            let end = index(data, array.at(), found, depth + 1)?;
            array.resume(end);
        }
        return Ok(array.at());
    }
    Ok(crate::scan::skip_value(data, at)?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_text(body.as_bytes(), &mut |_, literal| {
            found.push(body[literal].to_owned());
            Ok(())
        })
        .unwrap();
        found
    }

    #[test]
    fn what_was_said_is_visited_and_the_words_of_the_dialect_are_not() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a\"b"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},
            {"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}],"n":1}"#;
        assert_eq!(texts(body), [r#""a\"b""#, r#""f""#, r#""{}""#]);
        assert!(each_text(b"{\"a\":", &mut |_, _| Ok(())).is_err());
    }

    #[test]
    fn what_is_found_is_replaced_wherever_its_pieces_are() {
        let secret = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).into_owned();
            text.match_indices("secret").map(|(at, found)| at..at + found.len()).collect()
        };
        let check = |events: &[&str], expected: &[&str]| {
            let datas: Vec<Bytes> = events.iter().map(|event| Bytes::from((*event).to_owned())).collect();
            let left = replaced(&datas, "[x]", secret);
            let left: Vec<_> = left.iter().map(|data| String::from_utf8_lossy(data).into_owned()).collect();
            assert_eq!(left, expected);
        };
        let chat =
            |index: u8, text: &str| format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"{text}"}}}}]}}"#);
        check(
            &[
                &chat(0, "a se"),
                &chat(1, "cret"),
                &chat(0, "cr"),
                &chat(0, "et\\n secretsec"),
                &chat(0, "ret!"),
                "[DONE]",
            ],
            &[&chat(0, "a [x]"), &chat(1, "cret"), &chat(0, ""), &chat(0, "\\n [x][x]"), &chat(0, "!"), "[DONE]"],
        );
        // The last event of a response says it all again.
        let delta = |text: &str| {
            format!(r#"{{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"{text}"}}"#)
        };
        let whole = |text: &str| {
            format!(r#"{{"type":"response.completed","response":{{"output":[{{"content":[{{"text":"{text}"}}]}}]}}}}"#)
        };
        check(&[&delta("sec"), &delta("ret"), &whole("secret")], &[&delta("[x]"), &delta(""), &whole("[x]")]);
    }

    #[test]
    fn the_pieces_of_a_stream_are_joined_by_choice_in_every_dialect() {
        let gather = |events: &[&str]| {
            let mut gathered = Gathered::with_limit(1000);
            events.iter().for_each(|event| gathered.push(event.as_bytes()));
            let texts: Vec<_> =
                gathered.texts().unwrap().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
            texts.join("|")
        };
        let chat = |index: u8, text: &str| {
            format!(
                r#"{{"id":"c","object":"x","model":"m","choices":[{{"index":{index},"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
            )
        };
        assert_eq!(gather(&[&chat(0, "se"), &chat(1, "x"), &chat(0, "cret"), "[DONE]"]), "secret|x");
        assert_eq!(
            gather(&[
                r#"{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"se"}"#,
                r#"{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"cret"}"#,
            ]),
            "secret"
        );
        assert_eq!(
            gather(&[
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"se"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"x"}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"cret"}}"#,
            ]),
            "secret|x"
        );
        let mut small = Gathered::with_limit(3);
        small.push(chat(0, "four").as_bytes());
        assert!(small.texts().is_none());
    }
}
