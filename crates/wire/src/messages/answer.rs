//! A whole answer: what it tells, found in one pass without a document model.

use std::ops::Range;

use super::Tokens;
use crate::openai::content::{ChoiceText, ToolCallText};
use crate::refusal::{Beginning, Manner, Says};
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{self, Kind, ScanError};

/// What an answer tells. Every range is a place in the body it was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    /// False when it is not one JSON object.
    pub valid: bool,
    /// It is an error, whatever its status: its type is `error`, or it has an object `error`.
    pub is_error_object: bool,
    /// `error.type`, when it is an error; read it with [`super::error::kind`].
    pub error_type: Option<String>,
    /// It has `content`, as an answer should.
    pub has_answer: bool,
    /// A block of `content` holds text, thinking, a call or a result.
    pub has_content: bool,
    /// The usage.
    pub tokens: Option<Tokens>,
    /// `stop_reason`
    pub stop_reason: Option<String>,
    /// The texts, string literals with their quotation marks. Text with citations comes in several.
    pub texts: Vec<Range<usize>>,
    /// Each `tool_use` block: the caller's own tools, not those that run at the provider.
    pub calls: Vec<Call>,
    /// It has a block that is neither text nor thinking.
    pub says_otherwise: bool,
}

impl AnswerFacts {
    /// Whether the answer in `body` declines in plain words, or says nothing and calls nothing.
    pub fn declines(&self, body: &[u8]) -> bool {
        let mut beginning = Beginning::default();
        for text in &self.texts {
            let text = Some(text.clone());
            beginning.push(body, &Says { text, refused: false, otherwise: self.says_otherwise });
        }
        !self.says_otherwise && beginning.manner() != Manner::Answered
    }

    /// What the answer in `body` says.
    pub fn said(&self, body: &[u8]) -> ChoiceText {
        let mut said = ChoiceText { refused: self.stop_reason.as_deref() == Some("refusal"), ..ChoiceText::default() };
        self.texts.iter().for_each(|literal| scan::unescape_lossy(body, literal.clone(), &mut said.content));
        let call = |call: &Call| {
            let mut name = Vec::new();
            call.name.iter().for_each(|literal| scan::unescape_lossy(body, literal.clone(), &mut name));
            ToolCallText { name, arguments: call.input.clone().map(|input| body[input].to_vec()) }
        };
        said.tool_calls = self.calls.iter().map(call).collect();
        said
    }
}

/// A call of a tool, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// `name`, a string literal with its quotation marks.
    pub name: Option<Range<usize>>,
    /// `input`, JSON by the nature of the dialect.
    pub input: Option<Range<usize>>,
}

/// Reads an answer. Never fails: what cannot be read is not `valid`.
pub fn inspect(body: &[u8]) -> AnswerFacts {
    read(body).unwrap_or_default()
}

fn read(body: &[u8]) -> Result<AnswerFacts, ScanError> {
    let mut facts = AnswerFacts { valid: true, ..AnswerFacts::default() };
    let mut top = Object::open_top(body)?;
    while let Some(key) = top.next_key()? {
        if key.name.as_ref() == b"content" && begins_with(body, top.at(), b'[') {
            facts.has_answer = true;
            let mut blocks = Array::open(body, top.at())?;
            while blocks.next_value()? {
                if begins_with(body, blocks.at(), b'{') {
                    let end = block(body, blocks.at(), &mut facts)?;
                    blocks.resume(end);
                } else {
                    blocks.skip()?;
                }
            }
            top.resume(blocks.at());
            continue;
        }
        let (kind, value) = top.skip()?;
        match (key.name.as_ref(), kind) {
            (b"usage", _) => facts.tokens = Tokens::read(body, value),
            (b"type", Kind::String) => facts.is_error_object |= &body[value] == b"\"error\"",
            (b"error", Kind::Object) => {
                facts.is_error_object = true;
                facts.error_type = text_member(body, value.start, b"type")?;
            }
            (b"stop_reason", Kind::String) => facts.stop_reason = Some(scan::unescape(body, value)?.into_owned()),
            _ => {}
        }
    }
    top.close_top()?;
    Ok(facts)
}

/// Reads the block that begins at `at` and returns its end.
fn block(body: &[u8], at: usize, facts: &mut AnswerFacts) -> Result<usize, ScanError> {
    let mut walk = Object::open(body, at)?;
    let (mut kind_of_block, mut text, mut call) = (None, None, Call::default());
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"type", Kind::String) => kind_of_block = Some(value),
            (b"text" | b"thinking", Kind::String) => text = Some(value),
            (b"name", Kind::String) => call.name = Some(value),
            (b"input", _) => call.input = Some(value),
            _ => {}
        }
    }
    match kind_of_block.map(|value| &body[value]) {
        Some(b"\"text\"") => {
            facts.has_content |= text.as_ref().is_some_and(|literal| literal.len() > 2);
            facts.texts.extend(text);
        }
        Some(b"\"thinking\"") => facts.has_content |= text.is_some_and(|literal| literal.len() > 2),
        Some(b"\"tool_use\"") => {
            (facts.has_content, facts.says_otherwise) = (true, true);
            facts.calls.push(call);
        }
        // Thinking that is not shown.
        Some(b"\"redacted_thinking\"") => facts.has_content = true,
        Some(_) => (facts.has_content, facts.says_otherwise) = (true, true),
        None => {}
    }
    Ok(walk.at())
}

/// The string member `name` of the object that begins at `at`.
pub(super) fn text_member(body: &[u8], at: usize, name: &[u8]) -> Result<Option<String>, ScanError> {
    let mut found = None;
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        if key.name.as_ref() == name && kind == Kind::String {
            found = Some(scan::unescape(body, value)?.into_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_its_texts_calls_stop_reason_and_usage() {
        let body = br#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[
            {"type":"thinking","thinking":"so","signature":"x"},{"type":"text","text":"{\"a\":","citations":null},
            {"text":"1}","type":"text"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"text":"no"}}],
            "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4}}"#;
        let facts = inspect(body);
        assert!(facts.valid && facts.has_answer && facts.has_content && !facts.is_error_object);
        assert_eq!(facts.stop_reason.as_deref(), Some("tool_use"));
        assert_eq!(facts.tokens.unwrap().output, Some(4));
        let shown = |ranges: &[Range<usize>]| {
            ranges.iter().map(|r| String::from_utf8_lossy(&body[r.clone()]).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(shown(&facts.texts), [r#""{\"a\":""#, r#""1}""#]);
        let said = facts.said(body);
        assert_eq!((said.content.as_slice(), said.refused), (br#"{"a":1}"#.as_slice(), false));
        let calls: Vec<_> = said.tool_calls.iter().map(|call| (&*call.name, call.arguments.as_deref())).collect();
        assert_eq!(calls, [(b"f".as_slice(), Some(br#"{"text":"no"}"#.as_slice()))]);
    }

    #[test]
    fn an_error_is_one_whatever_its_status() {
        let facts = inspect(br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        assert!(facts.valid && facts.is_error_object && !facts.has_answer);
        assert_eq!(facts.error_type.as_deref(), Some("overloaded_error"));
    }

    #[test]
    fn an_empty_answer_has_no_content_and_what_is_cut_is_not_valid() {
        let facts = inspect(br#"{"content":[{"type":"text","text":""}],"stop_reason":"end_turn"}"#);
        assert!(facts.has_answer && !facts.has_content);
        assert!(!inspect(br#"{"content":[{"type":"text","text":"#).valid);
        assert!(!inspect(b"<html>").valid);
    }
}
