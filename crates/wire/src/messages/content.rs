//! The text of an answer, gathered from the events of a stream, to see whether it has the format asked for.

use std::fmt;

use crate::openai::content::{ChoiceText, MAX_BYTES, ToolCallText};
use crate::scan::cursor::Object;
use crate::scan::{self, Kind, ScanError, unescape_lossy};

/// More blocks than this are not gathered, and the format is then not judged.
const MAX_BLOCKS: usize = 1024;

/// Gathers the blocks of a stream, as [`crate::openai::content::Accumulator`] does the deltas of a chat.
#[derive(Clone)]
pub struct Accumulator {
    /// One: Messages have one answer.
    said: [ChoiceText; 1],
    /// The blocks with an input, by index: which call each is, when it calls a tool of the caller's.
    blocks: Vec<(u64, Option<usize>)>,
    n_bytes: usize,
    limit: usize,
    overflown: bool,
}

impl Default for Accumulator {
    fn default() -> Accumulator {
        Accumulator::new()
    }
}

impl fmt::Debug for Accumulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<private {} bytes, {} calls>", self.said[0].content.len(), self.said[0].tool_calls.len())
    }
}

impl Accumulator {
    /// Nothing gathered yet, and room for [`MAX_BYTES`] of events.
    pub fn new() -> Accumulator {
        Accumulator::with_limit(MAX_BYTES)
    }

    /// Nothing gathered yet, and room for `limit` bytes of events.
    pub fn with_limit(limit: usize) -> Accumulator {
        Accumulator { said: Default::default(), blocks: Vec::new(), n_bytes: 0, limit, overflown: false }
    }

    /// Whether more was said than there was room for: the format is then not known.
    pub fn has_overflown(&self) -> bool {
        self.overflown
    }

    /// Forgets what was gathered and gathers no more, as if too much had been said.
    pub fn give_up(&mut self) {
        self.overflown = true;
        (self.said, self.blocks) = Default::default();
    }

    /// Takes the data of the next event. What is no delta adds nothing.
    pub fn push(&mut self, data: &[u8]) {
        self.n_bytes = self.n_bytes.saturating_add(data.len());
        self.overflown |= self.n_bytes > self.limit;
        if self.overflown {
            return self.give_up();
        }
        // An event that cannot be read is a failure of its own; it is counted by whoever inspects it.
        self.take(data).unwrap_or_default();
    }

    /// What was said so far: one choice. `None` when that was too much to be gathered.
    pub fn choices(&self) -> Option<&[ChoiceText]> {
        if self.overflown { None } else { Some(&self.said) }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), ScanError> {
        let (mut index, mut inner) = (0, None);
        let mut top = Object::open_top(data)?;
        while let Some(key) = top.next_key()? {
            let (kind, value) = top.skip()?;
            match (key.name.as_ref(), kind) {
                (b"index", Kind::Number) => index = scan::unsigned(&data[value]).unwrap_or(u64::MAX),
                (b"content_block" | b"delta", Kind::Object) => {
                    inner = Some((key.name.as_ref() == b"delta", value.start))
                }
                _ => {}
            }
        }
        match inner {
            Some((true, at)) => self.delta(data, index, at),
            Some((false, at)) => self.block(data, index, at),
            None => Ok(()),
        }
    }

    /// A block begins. The text in it is hardly ever there already; the name of a tool always is.
    fn block(&mut self, data: &[u8], index: u64, at: usize) -> Result<(), ScanError> {
        let (mut is_call, mut is_other, mut name, mut input) = (false, false, Vec::new(), b"{}".to_vec());
        let mut walk = Object::open(data, at)?;
        while let Some(key) = walk.next_key()? {
            let (kind, value) = walk.skip()?;
            match (key.name.as_ref(), kind) {
                (b"type", Kind::String) => {
                    is_call = &data[value.clone()] == b"\"tool_use\"";
                    is_other = !is_call && data[value].ends_with(b"tool_use\"");
                }
                (b"name", Kind::String) => unescape_lossy(data, value, &mut name),
                (b"input", Kind::Object) => input = data[value].to_vec(),
                (b"text", Kind::String) => unescape_lossy(data, value, &mut self.said[0].content),
                _ => {}
            }
        }
        if is_call || is_other {
            self.open(index, is_call.then_some(ToolCallText { name, arguments: Some(input) }));
        }
        Ok(())
    }

    fn delta(&mut self, data: &[u8], index: u64, at: usize) -> Result<(), ScanError> {
        let mut walk = Object::open(data, at)?;
        while let Some(key) = walk.next_key()? {
            let (kind, value) = walk.skip()?;
            match (key.name.as_ref(), kind) {
                (b"text", Kind::String) => unescape_lossy(data, value, &mut self.said[0].content),
                (b"stop_reason", Kind::String) => self.said[0].refused |= &data[value] == b"\"refusal\"",
                (b"partial_json", Kind::String) if value.len() > 2 => self.input(data, index, value),
                _ => {}
            }
        }
        Ok(())
    }

    fn input(&mut self, data: &[u8], index: u64, literal: std::ops::Range<usize>) {
        if !self.blocks.iter().any(|(known, _)| *known == index) {
            self.open(index, Some(ToolCallText::default()));
        }
        let Some((_, Some(call))) = self.blocks.iter().rfind(|(known, _)| *known == index) else { return };
        let arguments = self.said[0].tool_calls[*call].arguments.get_or_insert_default();
        // What a block begins with is an empty input.
        if arguments == b"{}" {
            arguments.clear();
        }
        unescape_lossy(data, literal, arguments);
    }

    /// A block with an input: of a call of the caller's tool, or of another.
    fn open(&mut self, index: u64, call: Option<ToolCallText>) {
        if self.blocks.len() == MAX_BLOCKS {
            return self.give_up();
        }
        let calls = &mut self.said[0].tool_calls;
        let place = call.map(|call| {
            calls.push(call);
            calls.len() - 1
        });
        self.blocks.push((index, place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(events: &[&str], expected: Option<(&str, &[(&str, &str)])>) {
        let mut accumulator = Accumulator::new();
        events.iter().for_each(|event| accumulator.push(event.as_bytes()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = accumulator.choices().map(|choices| {
            let calls = choices[0].tool_calls.iter();
            let calls = calls.map(|call| (text(&call.name), text(call.arguments.as_deref().unwrap_or(b"-"))));
            (text(&choices[0].content), calls.collect::<Vec<_>>())
        });
        let calls = |calls: &[(&str, &str)]| {
            calls.iter().map(|(name, input)| ((*name).to_owned(), (*input).to_owned())).collect()
        };
        assert_eq!(said, expected.map(|(content, all)| (content.to_owned(), calls(all))), "{events:?}");
    }

    #[test]
    fn texts_and_the_calls_of_the_callers_tools_are_gathered_whole() {
        let block = |index: u8, block: &str| {
            format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
        };
        let delta =
            |index: u8, delta: &str| format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#);
        let text = |index, text: &str| delta(index, &format!(r#"{{"type":"text_delta","text":"{text}"}}"#));
        let input =
            |index, json: &str| delta(index, &format!(r#"{{"type":"input_json_delta","partial_json":"{json}"}}"#));
        let call = |index, name: &str| {
            block(index, &format!(r#"{{"type":"tool_use","id":"t","name":"{name}","input":{{}}}}"#))
        };
        let server = block(1, r#"{"type":"server_tool_use","id":"t","name":"web_search","input":{}}"#);
        check(
            &[
                &block(0, r#"{"type":"text","text":""}"#),
                &text(0, r#"{\"a\""#),
                &text(0, ":1}"),
                &server,
                &input(1, r#"{\"q\":1}"#),
            ],
            Some((r#"{"a":1}"#, &[])),
        );
        check(
            &[&call(0, "f"), &input(0, ""), &input(0, r#"{\"b\":"#), &call(1, "g"), &input(0, "2}")],
            Some(("", &[("f", r#"{"b":2}"#), ("g", "{}")])),
        );
        check(&[&input(3, "[")], Some(("", &[("", "[")])));
        check(
            &[&delta(0, r#"{"type":"thinking_delta","thinking":"x"}"#), r#"{"type":"ping"}"#, "[DONE]"],
            Some(("", &[])),
        );
    }

    #[test]
    fn what_is_too_much_is_not_judged() {
        let mut accumulator = Accumulator::new();
        accumulator.push(&vec![b'x'; MAX_BYTES + 1]);
        accumulator.push(br#"{"delta":{"text":"x"}}"#);
        assert_eq!(accumulator.choices(), None);
        assert_eq!(format!("{accumulator:?}"), "<private 0 bytes, 0 calls>");
        let refused = br#"{"type":"message_delta","delta":{"stop_reason":"refusal"}}"#;
        let mut accumulator = Accumulator::new();
        accumulator.push(refused);
        assert!(accumulator.choices().unwrap()[0].refused);
    }
}
