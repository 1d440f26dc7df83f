//! A whole answer, a response object: what it tells, found in one pass without a document model.

use std::ops::Range;

use crate::openai::ResponseFormat;
use crate::openai::chunk::{not_empty, truthy};
use crate::openai::content::{ChoiceText, ToolCallText, verdict};
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{self, Kind, ScanError};
use crate::usage::Usage;

/// How a response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `completed`
    Completed,
    /// `incomplete`: there is an answer, but not all of it.
    Incomplete,
    /// `failed`
    Failed,
    /// `in_progress`
    InProgress,
    /// `queued`
    Queued,
    /// `cancelled`
    Cancelled,
}

impl Status {
    fn of(literal: &[u8]) -> Option<Status> {
        Some(match literal {
            b"\"completed\"" => Status::Completed,
            b"\"incomplete\"" => Status::Incomplete,
            b"\"failed\"" => Status::Failed,
            b"\"in_progress\"" => Status::InProgress,
            b"\"queued\"" => Status::Queued,
            b"\"cancelled\"" => Status::Cancelled,
            _ => return None,
        })
    }
}

/// What an answer tells. Every range is a place in the body it was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    /// False when it is not one JSON object.
    pub valid: bool,
    /// It is an error, whatever its HTTP status: it has an `error` that is true in Python. A failed response has one.
    pub is_error_object: bool,
    /// `error.code`, when it is a string.
    pub error_code: Option<String>,
    /// It has `output`, as an answer should.
    pub has_answer: bool,
    /// An item of its output holds text, reasoning, a refusal or a call.
    pub has_content: bool,
    /// `id`
    pub id: Option<String>,
    /// `status`
    pub status: Option<Status>,
    /// `incomplete_details.reason`
    pub incomplete_reason: Option<String>,
    /// The usage.
    pub usage: Option<Usage>,
    /// Where the array `output` is.
    pub output: Option<Range<usize>>,
    /// The texts of its messages: string literals, quotation marks included.
    pub texts: Vec<Range<usize>>,
    /// A part of a message is a refusal.
    pub refused: bool,
    /// `arguments` of each call of a function.
    pub tool_arguments: Vec<Range<usize>>,
    /// It has a call that the caller must run.
    pub has_call: bool,
}

impl AnswerFacts {
    /// Why the model stopped, in the words of chat completions, so that both dialects are counted and compared as one.
    pub fn finish_reason(&self) -> Option<&str> {
        match (self.status?, self.incomplete_reason.as_deref()) {
            (Status::Completed, _) if self.has_call => Some("tool_calls"),
            (Status::Completed, _) => Some("stop"),
            (Status::Incomplete, Some("max_output_tokens")) => Some("length"),
            (Status::Incomplete, reason) => reason.or(Some("incomplete")),
            (Status::Failed | Status::InProgress | Status::Queued | Status::Cancelled, _) => None,
        }
    }

    /// Whether the texts in `body`, together, have the format asked for, and the arguments of every call are JSON; see
    /// [`crate::openai::content::Accumulator::format_valid`].
    pub fn format_valid(&self, body: &[u8], format: ResponseFormat) -> Option<bool> {
        let mut said = ChoiceText { refused: self.refused, ..ChoiceText::default() };
        self.texts.iter().for_each(|literal| scan::unescape_lossy(body, literal.clone(), &mut said.content));
        for literal in &self.tool_arguments {
            let mut arguments = Vec::with_capacity(literal.len());
            scan::unescape_lossy(body, literal.clone(), &mut arguments);
            said.tool_calls.push(ToolCallText { arguments: Some(arguments), ..ToolCallText::default() });
        }
        if said.content.is_empty() && self.has_call && self.tool_arguments.is_empty() {
            return None;
        }
        verdict(format, &[said])
    }
}

/// Reads an answer. Never fails: what cannot be read is not `valid`.
pub fn inspect(body: &[u8]) -> AnswerFacts {
    read(body).unwrap_or_default()
}

fn read(body: &[u8]) -> Result<AnswerFacts, ScanError> {
    let mut top = Object::open_top(body)?;
    let facts = members(body, &mut top)?;
    top.close_top()?;
    Ok(facts)
}

/// Reads the response object that begins at `at` and returns its end too.
pub(super) fn object(body: &[u8], at: usize) -> Result<(AnswerFacts, usize), ScanError> {
    let mut walk = Object::open(body, at)?;
    let facts = members(body, &mut walk)?;
    Ok((facts, walk.at()))
}

fn members(body: &[u8], walk: &mut Object<'_>) -> Result<AnswerFacts, ScanError> {
    let mut facts = AnswerFacts { valid: true, ..AnswerFacts::default() };
    while let Some(key) = walk.next_key()? {
        if key.name.as_ref() == b"output" && begins_with(body, walk.at(), b'[') {
            let start = walk.at();
            let end = output(body, start, &mut facts)?;
            facts.has_answer = true;
            facts.output = Some(start..end);
            walk.resume(end);
            continue;
        }
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"id", Kind::String) => facts.id = Some(scan::unescape(body, value)?.into_owned()),
            (b"status", Kind::String) => facts.status = Status::of(&body[value]),
            (b"usage", Kind::Object) => facts.usage = Usage::read(body, value),
            (b"object", Kind::String) => facts.is_error_object |= &body[value] == b"\"error\"",
            (b"error", _) => {
                facts.is_error_object |= truthy(body, kind, &value);
                facts.error_code = string_member(body, kind, value.start, b"code")?;
            }
            (b"incomplete_details", _) => facts.incomplete_reason = string_member(body, kind, value.start, b"reason")?,
            _ => {}
        }
    }
    Ok(facts)
}

/// The string under `name` in the object at `at`, if both are.
pub(super) fn string_member(body: &[u8], kind: Kind, at: usize, name: &[u8]) -> Result<Option<String>, ScanError> {
    let mut found = None;
    if kind == Kind::Object {
        let mut walk = Object::open(body, at)?;
        while let Some(key) = walk.next_key()? {
            let (kind, value) = walk.skip()?;
            if key.name.as_ref() == name && kind == Kind::String {
                found = Some(scan::unescape(body, value)?.into_owned());
            }
        }
    }
    Ok(found)
}

/// Reads the items of the array at `at` and returns its end.
fn output(body: &[u8], at: usize, facts: &mut AnswerFacts) -> Result<usize, ScanError> {
    let mut items = Array::open(body, at)?;
    while items.next_value()? {
        if begins_with(body, items.at(), b'{') {
            let end = item(body, items.at(), facts)?;
            items.resume(end);
        } else {
            items.skip()?;
        }
    }
    Ok(items.at())
}

/// Reads the item that begins at `at` and returns its end.
pub(super) fn item(body: &[u8], at: usize, facts: &mut AnswerFacts) -> Result<usize, ScanError> {
    let (mut word, mut content, mut arguments, mut any_words) = (0..0, None, None, false);
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"type", Kind::String) => word = value,
            (b"content", Kind::Array) => content = Some(value),
            (b"arguments", Kind::String) => arguments = Some(value),
            (b"summary", Kind::Array) | (b"encrypted_content", Kind::String) => {
                any_words |= not_empty(body, kind, &value);
            }
            _ => {}
        }
    }
    match &body[word] {
        b"\"message\"" => {
            if let Some(content) = content {
                parts(body, content.start, facts)?;
            }
        }
        b"\"reasoning\"" => {
            facts.has_content |= any_words || content.is_some_and(|content| not_empty(body, Kind::Array, &content))
        }
        b"\"function_call\"" => {
            facts.tool_arguments.extend(arguments);
            facts.has_call = true;
            facts.has_content = true;
        }
        b"\"custom_tool_call\""
        | b"\"local_shell_call\""
        | b"\"shell_call\""
        | b"\"apply_patch_call\""
        | b"\"computer_call\"" => {
            facts.has_call = true;
            facts.has_content = true;
        }
        // What else there is ran at the provider.
        _ => facts.has_content = true,
    }
    Ok(walk.at())
}

/// Reads the parts of a message.
fn parts(body: &[u8], at: usize, facts: &mut AnswerFacts) -> Result<(), ScanError> {
    let mut parts = Array::open(body, at)?;
    while parts.next_value()? {
        if !begins_with(body, parts.at(), b'{') {
            parts.skip()?;
            continue;
        }
        let mut walk = Object::open(body, parts.at())?;
        while let Some(key) = walk.next_key()? {
            let (kind, value) = walk.skip()?;
            match (key.name.as_ref(), kind) {
                (b"text", Kind::String) => {
                    facts.has_content |= value.len() > 2;
                    facts.texts.push(value);
                }
                (b"refusal", Kind::String) => {
                    facts.has_content |= value.len() > 2;
                    facts.refused |= value.len() > 2;
                }
                _ => {}
            }
        }
        parts.resume(walk.at());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    const MESSAGE: &str =
        r#"{"type":"message","content":[{"type":"output_text","annotations":[],"text":"{\"a\":1}"}]}"#;
    const CALL: &str = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;

    fn response(status: &str, output: &str, more: &str) -> String {
        format!(r#"{{"id":"resp_1","object":"response","status":"{status}","output":[{output}]{more}}}"#)
    }

    #[test]
    fn an_answer_tells_how_it_stands_and_what_it_holds() {
        let incomplete = |reason: &str| format!(r#","incomplete_details":{{"reason":"{reason}"}}"#);
        let mut told = String::new();
        for body in [
            response("completed", MESSAGE, r#","error":null,"usage":{"input_tokens":3,"output_tokens":4}"#),
            response("completed", &format!("{MESSAGE},{CALL}"), ""),
            response("incomplete", MESSAGE, &incomplete("max_output_tokens")),
            response("incomplete", "", &incomplete("content_filter")),
            response("incomplete", "", ""),
            response("failed", "", r#","error":{"code":"server_error","message":"x"}"#),
            response("queued", "", ""),
            response("completed", r#"{"type":"reasoning","summary":[],"content":[]}"#, ""),
            response("completed", r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"x"}]}"#, ""),
            response("completed", r#"{"type":"message","content":[{"type":"refusal","refusal":"no"}]}"#, ""),
            response("completed", r#"{"type":"web_search_call"}"#, ""),
            r#"{"error":{"message":"x","code":"model_not_found"}}"#.to_owned(),
            r#"{"object":"error","message":"x"}"#.to_owned(),
            r#"{"id":"resp_1","output":["#.to_owned(),
            "<html>".to_owned(),
        ] {
            let facts = inspect(body.as_bytes());
            let words = [
                (facts.valid, "valid"),
                (facts.is_error_object, "error"),
                (facts.has_answer, "answer"),
                (facts.has_content, "content"),
                (facts.refused, "refused"),
            ];
            let words: Vec<&str> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
            let reason = facts.finish_reason().or(facts.error_code.as_deref()).unwrap_or("-");
            let tokens = facts.usage.map_or(0, |usage| usage.input_tokens + usage.output_tokens);
            writeln!(told, "{:?} {reason} {} {tokens}", facts.status, words.join(" ")).unwrap();
        }
        expect![[r#"
            Some(Completed) stop valid answer content 7
            Some(Completed) tool_calls valid answer content 0
            Some(Incomplete) length valid answer content 0
            Some(Incomplete) content_filter valid answer 0
            Some(Incomplete) incomplete valid answer 0
            Some(Failed) server_error valid error answer 0
            Some(Queued) - valid answer 0
            Some(Completed) stop valid answer 0
            Some(Completed) stop valid answer content 0
            Some(Completed) stop valid answer content refused 0
            Some(Completed) stop valid answer content 0
            None model_not_found valid error 0
            None - valid error 0
            None -  0
            None -  0
        "#]]
        .assert_eq(&told);
    }

    #[test]
    fn the_output_is_where_it_says() {
        let body = response("completed", &format!(" {MESSAGE} , {CALL}"), "");
        let facts = inspect(body.as_bytes());
        assert_eq!(&body[facts.output.clone().unwrap()], format!("[ {MESSAGE} , {CALL}]"));
        assert_eq!(&body[facts.texts[0].clone()], r#""{\"a\":1}""#);
        assert_eq!(&body[facts.tool_arguments[0].clone()], r#""{}""#);
        assert_eq!(facts.id.as_deref(), Some("resp_1"));
    }

    #[test]
    fn the_format_is_judged_over_texts_and_arguments() {
        use ResponseFormat::{JsonObject, Text};
        let valid = |output: &str, format| {
            let body = response("completed", output, "");
            inspect(body.as_bytes()).format_valid(body.as_bytes(), format)
        };
        assert_eq!(valid(MESSAGE, JsonObject), Some(true));
        assert_eq!(valid(MESSAGE, Text), None);
        assert_eq!(valid(&MESSAGE.replace('1', "x"), JsonObject), Some(false));
        assert_eq!(valid(CALL, JsonObject), Some(true));
        assert_eq!(valid(&CALL.replace("{}", "{"), Text), Some(false));
        assert_eq!(valid(r#"{"type":"custom_tool_call","input":"x"}"#, JsonObject), None);
        assert_eq!(valid(r#"{"type":"message","content":[{"refusal":"no"}]}"#, JsonObject), None);
    }
}
