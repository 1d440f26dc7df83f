//! Tool calls that leaked into the text.
//!
//! A model writes a tool call in the words of its own template; a server is expected to parse them into `tool_calls`. One
//! without the right parser answers status 200, finish reason `stop` and a text with the template's words in it: an agent
//! then shows the words to its user and stops. [`find`] recognises the words of the common template families.
//!
//! It is strict, because a text about tool calls is no tool call: the call names a tool of the request, its arguments are
//! whole, and nothing comes after it but the template's own end marks. Words before it are allowed where the template has a
//! mark that no prose has; the forms without such a mark must be the whole text.

mod families;
mod python;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use families::Family;

/// A tool call found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeakedCall {
    /// The tool, one of the request's.
    pub name: String,
    /// Its arguments, one JSON object.
    pub arguments: String,
}

/// Tool calls found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Whose words they are.
    pub family: Family,
    /// Where the template's words begin: what is before is meant for the reader.
    pub at: usize,
    /// The calls, at least one.
    pub calls: Vec<LeakedCall>,
}

/// More text than this is not looked at: a tool call of this length is no tool call.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// What the templates end a turn with. It shows when a server does not hide special tokens.
const END_MARKS: [&str; 9] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|call|>",
    "<|return|>",
    "<|end|>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
    "</s>",
];

/// Finds tool calls in `text`, the whole content of a message, when `tools` are the names of the request's tools.
pub fn find<N: AsRef<str>>(text: &str, tools: &[N]) -> Option<Leak> {
    if text.len() > MAX_BYTES || tools.is_empty() {
        return None;
    }
    let body = without_end_marks(text);
    let is_tool = |name: &str| tools.iter().any(|tool| tool.as_ref() == name);
    Family::ALL.iter().find_map(|family| {
        let (at, calls) = family.calls(body)?;
        let known = !calls.is_empty() && calls.iter().all(|call| is_tool(&call.name));
        known.then_some(Leak { family: *family, at, calls })
    })
}

/// Whether words stand in `text` that begin a family's calls and no prose. [`find`] says whether a call can be read from them.
#[must_use]
pub fn is_marked(text: &str) -> bool {
    families::MARKS.iter().any(|mark| text.contains(mark))
}

fn without_end_marks(text: &str) -> &str {
    let mut rest = text.trim_end();
    while let Some(shorter) = END_MARKS.iter().find_map(|mark| rest.strip_suffix(mark)) {
        rest = shorter.trim_end();
    }
    rest
}

/// How much of a growing text may be shown while it is not known whether a call begins in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Growing {
    shown: usize,
    /// The mark of a family follows what was shown: nothing more is, until the text is whole.
    marked: bool,
    /// Where the answer begins, after the model's thoughts; `None` while it is thinking.
    answer: Option<usize>,
    /// How much was searched for the end of the thoughts.
    searched: usize,
}

impl Growing {
    /// How much of `text`, which only grows between calls, may be shown: all of it, or up to the last place at which the words
    /// of a family begin or may be about to begin. Never less than before.
    pub fn safe_len(&mut self, text: &str) -> usize {
        // The forms without a mark of their own are the whole text, so one that begins like them is held from its beginning.
        let answer = self.answer_start(text);
        if self.marked {
            return self.shown;
        }
        if answer.is_some_and(|at| self.shown <= at && families::begins_bare(&text[at..])) {
            self.shown = answer.unwrap_or(self.shown);
            return self.shown;
        }
        let rest = &text[self.shown..];
        let first_mark = families::MARKS.iter().filter_map(|mark| rest.find(mark)).min();
        self.marked = first_mark.is_some();
        let may_continue =
            |mark: &&str| (1..mark.len()).rev().find(|n| mark.is_char_boundary(*n) && rest.ends_with(&mark[..*n]));
        let half_mark = families::MARKS.iter().filter_map(may_continue).max().map(|n| rest.len() - n);
        self.shown += first_mark.or(half_mark).unwrap_or(rest.len());
        self.shown
    }

    /// Where the answer begins: after white space, and after the thoughts when the text begins with some.
    fn answer_start(&mut self, text: &str) -> Option<usize> {
        const THOUGHTS: (&str, &str) = ("<think>", "</think>");
        let blank = |at: usize| at + (text.len() - at - text[at..].trim_start().len());
        if let Some(at) = self.answer {
            return Some(blank(at));
        }
        let first = blank(0);
        if THOUGHTS.0.starts_with(&text[first..]) {
            return None;
        }
        if !text[first..].starts_with(THOUGHTS.0) {
            self.answer = Some(first);
            return Some(first);
        }
        // Back over what may have been the beginning of the mark.
        let mut from = self.searched.saturating_sub(THOUGHTS.1.len());
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        self.searched = text.len();
        self.answer = text[from..].find(THOUGHTS.1).map(|at| from + at + THOUGHTS.1.len());
        self.answer.map(blank)
    }
}

/// One JSON value at the beginning of `text`, and what comes after it.
fn json_prefix(text: &str) -> Option<(Value, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

/// The call that a JSON object with a name and its arguments is. Arguments may be written as a text that holds the object.
fn named_call(value: &Value) -> Option<LeakedCall> {
    let object = value.as_object()?;
    // `{"type":"function","function":{…}}`, as in the request's own words.
    if let Some(function @ Value::Object(_)) = object.get("function") {
        return named_call(function);
    }
    let name = ["name", "function", "tool", "tool_name"].iter().find_map(|key| object.get(*key)?.as_str())?;
    let arguments = ["arguments", "parameters", "args"].iter().find_map(|key| object.get(*key))?;
    call(name, arguments)
}

fn call(name: &str, arguments: &Value) -> Option<LeakedCall> {
    let arguments = match arguments {
        Value::Object(_) => arguments.to_string(),
        Value::String(text) if matches!(serde_json::from_str(text), Ok(Value::Object(_))) => text.clone(),
        Value::Null => "{}".to_owned(),
        _ => return None,
    };
    Some(LeakedCall { name: name.to_owned(), arguments })
}
