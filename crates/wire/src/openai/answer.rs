//! A whole answer: what it tells, found in one pass without a document model.

use std::ops::Range;

use super::ResponseFormat;
use super::chunk::truthy;
use super::content::{ChoiceText, ToolCallText, verdict};
use crate::refusal::{Beginning, Manner, Says};
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{self, Kind, ScanError};
use crate::usage::{Tier, Usage};

/// What an answer tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    /// False when it is not one JSON object.
    pub valid: bool,
    /// It is an error, whatever its status: a top-level `error` that is true in Python, or `"object":"error"`.
    pub is_error_object: bool,
    /// It has `choices` or `data`, as an answer should.
    pub has_answer: bool,
    /// The usage.
    pub usage: Option<Usage>,
    /// The finish reason of the first choice.
    pub finish_reason: Option<String>,
    /// What each choice holds, by place.
    pub choices: Vec<Choice>,
}

/// One choice, by place. Every range is a string literal, quotation marks included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// `message.content`, when it is a string.
    pub content: Option<Range<usize>>,
    /// `message.refusal`, when it is a string.
    pub refusal: Option<Range<usize>>,
    /// The `function` of each tool call that has one.
    pub tool_calls: Vec<Function>,
    /// `message.content` is null or an empty string.
    pub is_empty: bool,
    /// It says something that is neither text nor a tool call: sound, or a call as it was made before there were tools.
    pub says_otherwise: bool,
}

/// The function that is called, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// `name`, when it is a string.
    pub name: Option<Range<usize>>,
    /// `arguments`, when they are a string.
    pub arguments: Option<Range<usize>>,
}

impl AnswerFacts {
    /// Whether the answer in `body` has the format asked for, see [`super::content::Accumulator::format_valid`].
    pub fn format_valid(&self, body: &[u8], format: ResponseFormat) -> Option<bool> {
        verdict(format, &self.texts(body))
    }

    /// Whether every choice of the answer in `body` declines, also in plain words, or says nothing and calls nothing; `None` when there is
    /// no choice to tell by.
    pub fn declines(&self, body: &[u8]) -> Option<bool> {
        let declines = |choice: &Choice| {
            if choice.refusal.as_ref().is_some_and(|literal| literal.len() > 2) {
                return true;
            }
            if choice.content.is_none() && !choice.is_empty {
                return false;
            }
            let mut beginning = Beginning::default();
            let otherwise = !choice.tool_calls.is_empty() || choice.says_otherwise;
            beginning.push(body, &Says { text: choice.content.clone(), refused: false, otherwise });
            beginning.manner() != Manner::Answered
        };
        (!self.choices.is_empty()).then(|| self.choices.iter().all(declines))
    }

    /// What each choice of the answer in `body` says.
    pub fn texts(&self, body: &[u8]) -> Vec<ChoiceText> {
        let text = |literal: &Range<usize>| {
            let mut out = Vec::with_capacity(literal.len());
            scan::unescape_lossy(body, literal.clone(), &mut out);
            out
        };
        let call = |function: &Function| {
            let mut call = ToolCallText::default();
            call.take(body, function.clone());
            call
        };
        let choice = |choice: &Choice| ChoiceText {
            content: choice.content.as_ref().map(text).unwrap_or_default(),
            refused: choice.refusal.as_ref().is_some_and(|literal| literal.len() > 2),
            tool_calls: choice.tool_calls.iter().map(call).collect(),
        };
        self.choices.iter().map(choice).collect()
    }
}

/// Reads an answer. Never fails: what cannot be read is not `valid`.
pub fn inspect(body: &[u8]) -> AnswerFacts {
    read(body).unwrap_or_default()
}

fn read(body: &[u8]) -> Result<AnswerFacts, ScanError> {
    let mut facts = AnswerFacts { valid: true, ..AnswerFacts::default() };
    let mut tier = Tier::default();
    let mut top = Object::open_top(body)?;
    while let Some(key) = top.next_key()? {
        if key.name.as_ref() == b"choices" && begins_with(body, top.at(), b'[') {
            facts.has_answer = true;
            let mut choices = Array::open(body, top.at())?;
            while choices.next_value()? {
                if begins_with(body, choices.at(), b'{') {
                    let end = choice(body, choices.at(), &mut facts)?;
                    choices.resume(end);
                } else {
                    choices.skip()?;
                }
            }
            top.resume(choices.at());
            continue;
        }
        let (kind, value) = top.skip()?;
        match key.name.as_ref() {
            b"usage" => facts.usage = Usage::read(body, value),
            b"service_tier" => tier = Tier::read(&body[value]),
            b"error" => facts.is_error_object |= truthy(body, kind, &value),
            b"object" => facts.is_error_object |= &body[value] == b"\"error\"",
            b"data" => facts.has_answer |= kind == Kind::Array,
            _ => {}
        }
    }
    top.close_top()?;
    facts.usage = facts.usage.map(|usage| Usage { tier, ..usage });
    Ok(facts)
}

fn choice(body: &[u8], at: usize, facts: &mut AnswerFacts) -> Result<usize, ScanError> {
    let mut choice = Choice::default();
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        if key.name.as_ref() == b"message" && begins_with(body, walk.at(), b'{') {
            let end = message(body, walk.at(), &mut choice)?;
            walk.resume(end);
            continue;
        }
        let (kind, value) = walk.skip()?;
        if key.name.as_ref() == b"finish_reason" && kind == Kind::String && facts.finish_reason.is_none() {
            facts.finish_reason = Some(scan::unescape(body, value)?.into_owned());
        }
    }
    facts.choices.push(choice);
    Ok(walk.at())
}

fn message(body: &[u8], at: usize, choice: &mut Choice) -> Result<usize, ScanError> {
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"content", Kind::String) => {
                choice.is_empty = value.len() <= 2;
                choice.content = Some(value);
            }
            (b"content", Kind::Null) => choice.is_empty = true,
            (b"refusal", Kind::String) => choice.refusal = Some(value),
            (b"function_call" | b"audio", Kind::Object) => choice.says_otherwise = true,
            (b"tool_calls", Kind::Array) => {
                each_tool_call(body, value.start, |_, function| choice.tool_calls.push(function))?;
            }
            _ => {}
        }
    }
    Ok(walk.at())
}

/// Calls `visit` with the `index` (or the place, when it has none) and the `function` of each element of the `tool_calls` that
/// begin at `at`.
pub(super) fn each_tool_call(body: &[u8], at: usize, mut visit: impl FnMut(usize, Function)) -> Result<(), ScanError> {
    let mut calls = Array::open(body, at)?;
    let mut place = 0;
    while calls.next_value()? {
        let (kind, call) = calls.skip()?;
        if kind == Kind::Object {
            let mut idx = place;
            let mut function = None;
            let mut walk = Object::open(body, call.start)?;
            while let Some(key) = walk.next_key()? {
                let (kind, value) = walk.skip()?;
                match (key.name.as_ref(), kind) {
                    (b"index", Kind::Number) => idx = index(&body[value]),
                    (b"function", Kind::Object) => function = Some(read_function(body, value.start)?),
                    _ => {}
                }
            }
            if let Some(function) = function {
                visit(idx, function);
            }
        }
        place += 1;
    }
    Ok(())
}

fn read_function(body: &[u8], at: usize) -> Result<Function, ScanError> {
    let mut found = Function::default();
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"name", Kind::String) => found.name = Some(value),
            (b"arguments", Kind::String) => found.arguments = Some(value),
            _ => {}
        }
    }
    Ok(found)
}

/// An index that does not fit is as good as one that is too large.
pub(super) fn index(number: &[u8]) -> usize {
    scan::unsigned(number).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
