//! One chunk of a streamed chat completion: what it tells, found in one pass without a document model.

use std::ops::Range;

use crate::refusal::Says;
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{Kind, ScanError};
use crate::usage::{Tier, Usage};

/// What the data of one event tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkFacts {
    /// False when it is neither `[DONE]` nor a JSON object.
    pub valid: bool,
    /// It is `[DONE]`.
    pub done: bool,
    /// It has a top-level `error` that the SDKs raise, or is an error object.
    pub error: bool,
    /// A delta in it holds content, reasoning, a refusal or a tool call.
    pub has_content: bool,
    /// The first finish reason in it, quotation marks included.
    pub finish_reason: Option<Range<usize>>,
    /// The usage in it.
    pub usage: Option<Usage>,
    /// It has a usage and `choices` is empty: the chunk that `include_usage` asks for.
    pub usage_only: bool,
    /// What to cut so that its `"usage":null` is gone, a comma included.
    pub usage_null_range: Option<Range<usize>>,
    /// What it says; of several choices, the text of the first.
    pub says: Says,
}

/// What to do with a chunk on its way to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Send it as it is.
    Pass,
    /// Do not send it: only Crossfade asked for it.
    Drop,
    /// Send it without this part of its data.
    Cut(Range<usize>),
}

impl ChunkFacts {
    /// The finish reason in `data`, the data these facts were read from. As written, without unescaping.
    pub fn finish_reason_in<'d>(&self, data: &'d [u8]) -> Option<&'d str> {
        let literal = data.get(self.finish_reason.clone()?)?;
        std::str::from_utf8(literal.get(1..literal.len() - 1)?).ok()
    }

    /// What to do with the chunk. `usage_added` says that Crossfade put `include_usage` into the request and the caller
    /// did not ask for it.
    pub fn disposition(&self, usage_added: bool) -> Disposition {
        match &self.usage_null_range {
            _ if !usage_added || self.error => Disposition::Pass,
            _ if self.usage_only => Disposition::Drop,
            Some(range) => Disposition::Cut(range.clone()),
            None => Disposition::Pass,
        }
    }
}

/// Reads the data of one event. Never fails: what cannot be read is not `valid`.
pub fn inspect(data: &[u8]) -> ChunkFacts {
    if data.trim_ascii() == b"[DONE]" {
        return ChunkFacts { valid: true, done: true, ..ChunkFacts::default() };
    }
    read(data).unwrap_or_default()
}

fn read(data: &[u8]) -> Result<ChunkFacts, ScanError> {
    let mut facts = ChunkFacts { valid: true, ..ChunkFacts::default() };
    let mut no_choices = false;
    let mut previous_end = None;
    let mut cut_to_next_key = None;
    let mut tier = Tier::default();
    let mut top = Object::open_top(data)?;
    while let Some(key) = top.next_key()? {
        if let Some(start) = cut_to_next_key.take() {
            facts.usage_null_range = Some(start..key.range.start);
        }
        if key.name.as_ref() == b"choices" && begins_with(data, top.at(), b'[') {
            let mut choices = Array::open(data, top.at())?;
            no_choices = true;
            while choices.next_value()? {
                no_choices = false;
                if begins_with(data, choices.at(), b'{') {
                    let end = choice(data, choices.at(), &mut facts)?;
                    choices.resume(end);
                } else {
                    choices.skip()?;
                }
            }
            top.resume(choices.at());
        } else {
            let (kind, value) = top.skip()?;
            match key.name.as_ref() {
                b"usage" if kind == Kind::Null => match previous_end {
                    Some(end) => facts.usage_null_range = Some(end..value.end),
                    None => {
                        facts.usage_null_range = Some(key.range.start..value.end);
                        cut_to_next_key = Some(key.range.start);
                    }
                },
                b"usage" => facts.usage = Usage::read(data, value),
                b"service_tier" => tier = Tier::read(&data[value]),
                b"error" => facts.error |= truthy(data, kind, &value),
                b"object" => facts.error |= &data[value] == b"\"error\"",
                _ => {}
            }
        }
        previous_end = Some(top.at());
    }
    top.close_top()?;
    facts.usage = facts.usage.map(|usage| Usage { tier, ..usage });
    facts.usage_only = no_choices && facts.usage.is_some();
    Ok(facts)
}

/// Reads one element of `choices`, which begins at `at`, and returns its end.
fn choice(data: &[u8], at: usize, facts: &mut ChunkFacts) -> Result<usize, ScanError> {
    let mut walk = Object::open(data, at)?;
    while let Some(key) = walk.next_key()? {
        let name = key.name.as_ref();
        if (name == b"delta" || name == b"message") && begins_with(data, walk.at(), b'{') {
            let mut delta = Object::open(data, walk.at())?;
            while let Some(key) = delta.next_key()? {
                let (kind, value) = delta.skip()?;
                if carries(&key.name) && not_empty(data, kind, &value) {
                    facts.has_content = true;
                    says(&key.name, kind, value, &mut facts.says);
                }
            }
            walk.resume(delta.at());
            continue;
        }
        let (kind, value) = walk.skip()?;
        match name {
            b"finish_reason" if kind == Kind::String && facts.finish_reason.is_none() => {
                facts.finish_reason = Some(value);
            }
            b"text" if not_empty(data, kind, &value) => {
                facts.has_content = true;
                // A text that is gone on with declines nothing.
                facts.says.otherwise = true;
            }
            _ => {}
        }
    }
    Ok(walk.at())
}

/// Notes what a member of a delta says.
fn says(name: &[u8], kind: Kind, value: Range<usize>, says: &mut Says) {
    match (name, kind) {
        (b"content", Kind::String) => {
            says.text.get_or_insert(value);
        }
        (b"refusal", _) => says.refused = true,
        (b"reasoning" | b"reasoning_content" | b"reasoning_details", _) => {}
        _ => says.otherwise = true,
    }
}

/// The members of a delta that are what the caller waits for.
fn carries(name: &[u8]) -> bool {
    matches!(
        name,
        b"content"
            | b"reasoning"
            | b"reasoning_content"
            | b"reasoning_details"
            | b"refusal"
            | b"tool_calls"
            | b"function_call"
            | b"text"
            | b"audio"
    )
}

/// Whether a value holds anything: a string, an array or an object that is not empty.
pub(crate) fn not_empty(data: &[u8], kind: Kind, value: &Range<usize>) -> bool {
    match kind {
        Kind::String => value.len() > 2,
        Kind::Array | Kind::Object => !data[value.start + 1..value.end - 1].trim_ascii().is_empty(),
        Kind::Number | Kind::True | Kind::False | Kind::Null => false,
    }
}

/// What the SDKs take for an error: a value that is true in Python.
pub(crate) fn truthy(data: &[u8], kind: Kind, value: &Range<usize>) -> bool {
    match kind {
        Kind::True => true,
        Kind::Number => data[value.clone()].iter().any(|b| (b'1'..=b'9').contains(b)),
        _ => not_empty(data, kind, value),
    }
}

#[cfg(test)]
mod tests;
