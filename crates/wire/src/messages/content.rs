//! The text of an answer, gathered from the events of a stream, to see whether it has the format asked for.

use std::fmt;

use crate::openai::content::MAX_BYTES;
use crate::openai::{ResponseFormat, format_valid, well_formed};
use crate::scan::cursor::Object;
use crate::scan::{self, Kind, ScanError, unescape_lossy};

/// More blocks than this are not gathered, and the format is then not judged.
const MAX_BLOCKS: usize = 1024;

/// Gathers the deltas of a stream, as [`crate::openai::content::Accumulator`] does those of a chat.
#[derive(Clone)]
pub struct Accumulator {
    text: Vec<u8>,
    /// The pieces of each call's input, by the index of its block.
    inputs: Vec<(u64, Vec<u8>)>,
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
        write!(f, "<private {} bytes, {} calls>", self.text.len(), self.inputs.len())
    }
}

impl Accumulator {
    /// Nothing gathered yet, and room for [`MAX_BYTES`] of events.
    pub fn new() -> Accumulator {
        Accumulator::with_limit(MAX_BYTES)
    }

    /// Nothing gathered yet, and room for `limit` bytes of events.
    pub fn with_limit(limit: usize) -> Accumulator {
        Accumulator { text: Vec::new(), inputs: Vec::new(), n_bytes: 0, limit, overflown: false }
    }

    /// Whether more was said than there was room for: the format is then not known.
    pub fn has_overflown(&self) -> bool {
        self.overflown
    }

    /// Forgets what was gathered and gathers no more, as if too much had been said.
    pub fn give_up(&mut self) {
        self.overflown = true;
        self.text = Vec::new();
        self.inputs = Vec::new();
    }

    /// Takes the data of the next event. What is no delta adds nothing.
    pub fn push(&mut self, data: &[u8]) {
        self.n_bytes = self.n_bytes.saturating_add(data.len());
        self.overflown |= self.n_bytes > self.limit;
        if self.overflown {
            self.text = Vec::new();
            self.inputs = Vec::new();
            return;
        }
        // An event that cannot be read is a failure of its own; it is counted by whoever inspects it.
        self.take(data).unwrap_or_default();
    }

    /// Whether the answer has the format asked for. `None` when there is nothing to judge: no format was asked for and no
    /// tool called, nothing was said, or too much to be gathered. Otherwise the text must be what `format` says and the
    /// input of every call well-formed JSON.
    pub fn format_valid(&self, format: ResponseFormat) -> Option<bool> {
        if self.overflown {
            return None;
        }
        let said = if self.text.is_empty() { None } else { format_valid(format, &self.text) };
        let called = self.inputs.iter().map(|(_, input)| well_formed(input)).reduce(|all, valid| all && valid);
        match (said, called) {
            (Some(said), Some(called)) => Some(said && called),
            (said, called) => said.or(called),
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), ScanError> {
        let (mut index, mut delta) = (0, None);
        let mut top = Object::open_top(data)?;
        while let Some(key) = top.next_key()? {
            let (kind, value) = top.skip()?;
            match (key.name.as_ref(), kind) {
                (b"index", Kind::Number) => index = scan::unsigned(&data[value]).unwrap_or(u64::MAX),
                (b"delta", Kind::Object) => delta = Some(value.start),
                _ => {}
            }
        }
        let Some(at) = delta else { return Ok(()) };
        let mut walk = Object::open(data, at)?;
        while let Some(key) = walk.next_key()? {
            let (kind, value) = walk.skip()?;
            match (key.name.as_ref(), kind) {
                (b"text", Kind::String) => unescape_lossy(data, value, &mut self.text),
                (b"partial_json", Kind::String) if value.len() > 2 => {
                    let place = self.inputs.iter().rposition(|(known, _)| *known == index);
                    if place.is_none() && self.inputs.len() == MAX_BLOCKS {
                        self.overflown = true;
                        return Ok(());
                    }
                    let place = place.unwrap_or_else(|| {
                        self.inputs.push((index, Vec::new()));
                        self.inputs.len() - 1
                    });
                    unescape_lossy(data, value, &mut self.inputs[place].1);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(deltas: &[&str], format: ResponseFormat, expected: Option<bool>) {
        let mut accumulator = Accumulator::new();
        for (idx, delta) in deltas.iter().enumerate() {
            let index = idx / 2;
            accumulator.push(format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#).as_bytes());
        }
        assert_eq!(accumulator.format_valid(format), expected, "{deltas:?}");
    }

    #[test]
    fn text_and_inputs_are_judged_whole() {
        use ResponseFormat::{JsonSchema, Text};
        let text = |text: &str| format!(r#"{{"type":"text_delta","text":"{text}"}}"#);
        let input = |json: &str| format!(r#"{{"type":"input_json_delta","partial_json":"{json}"}}"#);
        let (open, close, half) = (text(r#"{\"a\""#), text(":1}"), input(r#"{\"b\":"#));
        let rest = input("2}");
        check(&[&open, &close], JsonSchema, Some(true));
        check(&[&open, &open], JsonSchema, Some(false));
        check(&[&open, &close], Text, None);
        check(&[&open, &close, &half, &rest], JsonSchema, Some(true));
        check(&[&half, &rest], Text, Some(true));
        check(&[&half, &rest, &half], JsonSchema, Some(false));
        check(&[r#"{"type":"thinking_delta","thinking":"x"}"#], JsonSchema, None);
    }

    #[test]
    fn what_is_too_much_is_not_judged() {
        let mut accumulator = Accumulator::new();
        accumulator.push(&vec![b'x'; MAX_BYTES + 1]);
        accumulator.push(br#"{"delta":{"text":"x"}}"#);
        assert_eq!(accumulator.format_valid(ResponseFormat::JsonSchema), None);
        assert_eq!(format!("{accumulator:?}"), "<private 0 bytes, 0 calls>");
    }
}
