//! The text of an answer, gathered from the chunks of a stream, to see whether it has the format asked for.

use super::answer::{Function, each_tool_call, index};
use super::{ResponseFormat, format_valid, well_formed};
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{Kind, ScanError, unescape_lossy};

/// More than this is not gathered when nothing else is said, and the format is then not judged.
pub const MAX_BYTES: usize = 8 << 20;

const MAX_CHOICES: usize = 128;
const MAX_TOOL_CALLS: usize = 1024;

/// Gathers the deltas of a stream. Only for requests with a format to check, see
/// [`crate::request::RequestView::has_format`].
#[derive(Debug, Clone)]
pub struct Accumulator {
    choices: Vec<ChoiceText>,
    n_bytes: usize,
    limit: usize,
    overflown: bool,
}

impl Default for Accumulator {
    fn default() -> Accumulator {
        Accumulator::new()
    }
}

/// What one choice said.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChoiceText {
    /// The text.
    pub content: Vec<u8>,
    /// The model said that it will not.
    pub refused: bool,
    /// The calls of functions, in order.
    pub tool_calls: Vec<ToolCallText>,
}

/// The call of a function.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ToolCallText {
    /// Its name.
    pub name: Vec<u8>,
    /// Its arguments, which should be JSON. `None` when there were none, not even empty ones.
    pub arguments: Option<Vec<u8>>,
}

impl std::fmt::Debug for ToolCallText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<private {} bytes>", self.name.len() + self.arguments.as_ref().map_or(0, Vec::len))
    }
}

impl std::fmt::Debug for ChoiceText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<private {} bytes, {} tool calls>", self.content.len(), self.tool_calls.len())
    }
}

impl Accumulator {
    /// Nothing gathered yet, and room for [`MAX_BYTES`] of events.
    pub fn new() -> Accumulator {
        Accumulator::with_limit(MAX_BYTES)
    }

    /// Nothing gathered yet, and room for `limit` bytes of events. What is gathered of them is never more.
    pub fn with_limit(limit: usize) -> Accumulator {
        Accumulator { choices: Vec::new(), n_bytes: 0, limit, overflown: false }
    }

    /// Whether more was said than there was room for: the format is then not known.
    pub fn has_overflown(&self) -> bool {
        self.overflown
    }

    /// Forgets what was gathered and gathers no more, as if too much had been said.
    pub fn give_up(&mut self) {
        self.overflown = true;
        self.choices = Vec::new();
    }

    /// Takes the data of the next event. What is no chunk adds nothing.
    pub fn push(&mut self, data: &[u8]) {
        if !self.overflown && self.n_bytes + data.len() > self.limit {
            self.overflown = true;
        }
        if !self.overflown {
            self.n_bytes += data.len();
            // A chunk that cannot be read is a failure of its own; it is counted by whoever inspects it.
            self.take(data).unwrap_or_default();
        }
        if self.overflown {
            self.choices = Vec::new();
        }
    }

    /// Whether the answer has the format asked for. `None` when there is nothing to judge: no format was asked for and
    /// no tool called, the model refused, or too much was said to be gathered. Otherwise the content must be what
    /// `format` says ([`format_valid`]) and the arguments of every tool call well-formed JSON.
    pub fn format_valid(&self, format: ResponseFormat) -> Option<bool> {
        verdict(format, self.choices()?)
    }

    /// What was said so far, by choice. `None` when that was too much to be gathered.
    pub fn choices(&self) -> Option<&[ChoiceText]> {
        if self.overflown { None } else { Some(&self.choices) }
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
        if self.choices.len() <= idx && self.has_room_for((idx + 1 - self.choices.len()) * size_of::<ChoiceText>()) {
            self.choices.resize_with(idx + 1, ChoiceText::default);
        }
        match delta {
            Some(at) if begins_with(data, at, b'{') && !self.overflown => self.delta(data, at, idx),
            _ => Ok(()),
        }
    }

    /// An event of a few bytes may name the last of many choices or tool calls: their places count too.
    fn has_room_for(&mut self, n_bytes: usize) -> bool {
        self.n_bytes += n_bytes;
        self.overflown |= self.n_bytes > self.limit;
        !self.overflown
    }

    fn delta(&mut self, data: &[u8], at: usize, idx: usize) -> Result<(), ScanError> {
        let Accumulator { choices, n_bytes, limit, overflown } = self;
        let choice = &mut choices[idx];
        let mut walk = Object::open(data, at)?;
        while let Some(key) = walk.next_key()? {
            let (kind, value) = walk.skip()?;
            match (key.name.as_ref(), kind) {
                (b"content", Kind::String) => unescape_lossy(data, value, &mut choice.content),
                (b"refusal", Kind::String) => choice.refused |= value.len() > 2,
                (b"tool_calls", Kind::Array) => each_tool_call(data, value.start, |call, function| {
                    if call >= MAX_TOOL_CALLS {
                        *overflown = true;
                        return;
                    }
                    if choice.tool_calls.len() <= call {
                        *n_bytes += (call + 1 - choice.tool_calls.len()) * size_of::<ToolCallText>();
                        *overflown |= *n_bytes > *limit;
                        if *overflown {
                            return;
                        }
                        choice.tool_calls.resize_with(call + 1, ToolCallText::default);
                    }
                    choice.tool_calls[call].take(data, function);
                })?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl ToolCallText {
    /// Takes the next piece of the call. Some servers repeat the name in each.
    pub(crate) fn take(&mut self, data: &[u8], function: Function) {
        if let Some(name) = function.name {
            let before = self.name.len();
            unescape_lossy(data, name, &mut self.name);
            if before > 0 && self.name[before..] == self.name[..before] {
                self.name.truncate(before);
            }
        }
        if let Some(arguments) = function.arguments {
            unescape_lossy(data, arguments, self.arguments.get_or_insert_default());
        }
    }
}

/// The common judgement over choices; see [`Accumulator::format_valid`].
pub fn verdict(format: ResponseFormat, choices: &[ChoiceText]) -> Option<bool> {
    let mut judged = None;
    for choice in choices {
        let arguments =
            choice.tool_calls.iter().filter_map(|call| call.arguments.as_ref()).map(|arguments| well_formed(arguments));
        let content = if choice.content.is_empty() && (choice.refused || !choice.tool_calls.is_empty()) {
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
