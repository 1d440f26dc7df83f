//! The text of an answer, gathered from the chunks of a stream, to see whether it has the format asked for.

use super::answer::{each_tool_call, index};
use super::{ResponseFormat, format_valid, well_formed};
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{Kind, ScanError, unescape_lossy};

/// More than this is not gathered, and the format is then not judged.
pub const MAX_BYTES: usize = 8 << 20;

const MAX_CHOICES: usize = 128;
const MAX_TOOL_CALLS: usize = 1024;

/// Gathers the deltas of a stream. Only for requests with a format to check, see
/// [`crate::request::RequestView::has_format`].
#[derive(Debug, Clone, Default)]
pub struct Accumulator {
    choices: Vec<ChoiceText>,
    n_bytes: usize,
    overflown: bool,
}

/// What one choice said.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct ChoiceText {
    pub(super) content: Vec<u8>,
    pub(super) refused: bool,
    pub(super) tool_arguments: Vec<Vec<u8>>,
}

impl std::fmt::Debug for ChoiceText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<private {} bytes, {} tool calls>", self.content.len(), self.tool_arguments.len())
    }
}

impl Accumulator {
    /// Nothing gathered yet.
    pub fn new() -> Accumulator {
        Accumulator::default()
    }

    /// Takes the data of the next event. What is no chunk adds nothing.
    pub fn push(&mut self, data: &[u8]) {
        if !self.overflown && self.n_bytes + data.len() > MAX_BYTES {
            self.overflown = true;
            self.choices.clear();
        }
        if !self.overflown {
            self.n_bytes += data.len();
            // A chunk that cannot be read is a failure of its own; it is counted by whoever inspects it.
            self.take(data).unwrap_or_default();
        }
    }

    /// Whether the answer has the format asked for. `None` when there is nothing to judge: no format was asked for and
    /// no tool called, the model refused, or too much was said to be gathered. Otherwise the content must be what
    /// `format` says ([`format_valid`]) and the arguments of every tool call well-formed JSON.
    pub fn format_valid(&self, format: ResponseFormat) -> Option<bool> {
        if self.overflown { None } else { verdict(format, &self.choices) }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), ScanError> {
        let mut top = Object::open_top(data)?;
        while let Some(key) = top.next_key()? {
            let (kind, value) = top.skip()?;
            if key.name.as_ref() == b"choices" && kind == Kind::Array {
                let mut choices = Array::open(data, value.start)?;
                while choices.next_value()? {
                    let (kind, choice) = choices.skip()?;
                    if kind == Kind::Object {
                        self.choice(data, choice.start)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn choice(&mut self, data: &[u8], at: usize) -> Result<(), ScanError> {
        let mut idx = 0;
        let mut delta = None;
        let mut walk = Object::open(data, at)?;
        while let Some(key) = walk.next_key()? {
            let (kind, value) = walk.skip()?;
            match (key.name.as_ref(), kind) {
                (b"index", Kind::Number) => idx = index(&data[value]),
                (b"delta", Kind::Object) => delta = Some(value.start),
                _ => {}
            }
        }
        if idx >= MAX_CHOICES {
            self.overflown = true;
            return Ok(());
        }
        if self.choices.len() <= idx {
            self.choices.resize_with(idx + 1, ChoiceText::default);
        }
        match delta {
            Some(at) if begins_with(data, at, b'{') => self.delta(data, at, idx),
            _ => Ok(()),
        }
    }

    fn delta(&mut self, data: &[u8], at: usize, idx: usize) -> Result<(), ScanError> {
        let choice = &mut self.choices[idx];
        let overflown = &mut self.overflown;
        let mut walk = Object::open(data, at)?;
        while let Some(key) = walk.next_key()? {
            let (kind, value) = walk.skip()?;
            match (key.name.as_ref(), kind) {
                (b"content", Kind::String) => unescape_lossy(data, value, &mut choice.content),
                (b"refusal", Kind::String) => choice.refused |= value.len() > 2,
                (b"tool_calls", Kind::Array) => each_tool_call(data, value.start, |call, arguments| {
                    if call >= MAX_TOOL_CALLS {
                        *overflown = true;
                        return;
                    }
                    if choice.tool_arguments.len() <= call {
                        choice.tool_arguments.resize_with(call + 1, Vec::new);
                    }
                    unescape_lossy(data, arguments, &mut choice.tool_arguments[call]);
                })?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The common judgement over choices; see [`Accumulator::format_valid`].
pub(super) fn verdict(format: ResponseFormat, choices: &[ChoiceText]) -> Option<bool> {
    let mut judged = None;
    for choice in choices {
        let arguments = choice.tool_arguments.iter().map(|arguments| well_formed(arguments));
        let content = if choice.content.is_empty() && (choice.refused || !choice.tool_arguments.is_empty()) {
            None
        } else {
            format_valid(format, &choice.content)
        };
        for valid in arguments.chain(content) {
            judged = Some(judged.unwrap_or(true) && valid);
        }
    }
    judged
}

#[cfg(test)]
mod tests;
