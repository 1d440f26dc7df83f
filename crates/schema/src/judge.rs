//! What an answer is worth that was to have a form: the text against the schema asked for, each call of a function against the
//! function's parameters.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use wire::openai::content::{ChoiceText, verdict};
use wire::openai::{ResponseFormat, well_formed};
use wire::record::Endpoint;
use wire::request::RequestView;
use wire::scan::{self, Kind, Next, ScanError};

use crate::cache::Validator;
use crate::compile::{Finding, Unvalidated, Verdict};

/// What came of it. Every field is `None` where there was nothing to judge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The text is JSON where it should be, and so are the arguments of every call.
    pub format_valid: Option<bool>,
    /// The text is as the schema says that was asked for.
    pub schema_valid: Option<bool>,
    /// Every call names a function that was offered and has arguments as its parameters say.
    pub tool_calls_valid: Option<bool>,
    /// The first thing that is wrong.
    pub violation: Option<Violation>,
    /// Why something was not held against its schema, when it was not. What it could not be held against is not judged.
    pub not_validated: Option<Unvalidated>,
}

/// The first thing that is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub part: Part,
    /// What.
    pub finding: Finding,
}

/// A part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The text.
    Content,
    /// The call at this place.
    ToolCall(usize),
}

/// Where, and the keyword: `content /items/3/price: type`. Holds nothing that the model said.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Content => f.write_str("content")?,
            Part::ToolCall(idx) => write!(f, "tool_calls/{idx}")?,
        }
        let Finding { path, keyword, .. } = &self.finding;
        if path.is_empty() { write!(f, ": {keyword}") } else { write!(f, " {path}: {keyword}") }
    }
}

impl Judgement {
    /// Whether anything is known to be wrong.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        [self.format_valid, self.schema_valid, self.tool_calls_valid].contains(&Some(false))
    }

    fn is(valid: &mut Option<bool>, more: bool) {
        *valid = Some(valid.unwrap_or(true) && more);
    }

    fn wrong(&mut self, part: Part, finding: Finding) {
        self.violation.get_or_insert(Violation { part, finding });
    }
}

/// Judges what the choices of an answer say by the request in `body`, of which `view` was read. `None` instead of choices: more was
/// said than was kept.
pub fn judge(
    validator: &mut Validator,
    (view, body): (&RequestView, &[u8]),
    choices: Option<&[ChoiceText]>,
) -> Judgement {
    let mut judgement = Judgement::default();
    if !view.has_format() {
        return judgement;
    }
    let Some(choices) = choices else {
        return Judgement { not_validated: Some(Unvalidated::AnswerTooLong), ..judgement };
    };
    judgement.format_valid = verdict(view.response_format, choices);
    let schema = if view.response_format == ResponseFormat::JsonSchema { content_schema(view, body) } else { None };
    let mut tools: Option<Vec<Tool<'_>>> = None;
    let mut n_calls = 0;
    for choice in choices {
        if !(choice.content.is_empty() && (choice.refused || !choice.tool_calls.is_empty())) {
            content(
                validator,
                view,
                (schema.map(|schema| &body[schema.start..schema.end]), &choice.content),
                &mut judgement,
            );
        }
        for call in choice.tool_calls.iter().filter(|_| view.tools.is_some()) {
            let tools = tools.get_or_insert_with(|| offered(view, body));
            let (valid, finding) = held(
                validator,
                tools,
                (&call.name, call.arguments.as_deref().unwrap_or_default()),
                &mut judgement.not_validated,
            );
            if let Some(valid) = valid {
                Judgement::is(&mut judgement.tool_calls_valid, valid);
            }
            if let Some(finding) = finding {
                judgement.wrong(Part::ToolCall(n_calls), finding);
            }
            n_calls += 1;
        }
    }
    judgement
}

/// A place in a body.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
}

impl From<Range<usize>> for Place {
    fn from(range: Range<usize>) -> Place {
        Place { start: range.start, end: range.end }
    }
}

/// Holds the text of one choice against the schema that was asked for.
fn content(
    validator: &mut Validator,
    view: &RequestView,
    (schema, text): (Option<&[u8]>, &[u8]),
    judgement: &mut Judgement,
) {
    let checked = match schema {
        Some(schema) => validator.check(schema, text),
        None if view.response_format == ResponseFormat::Text => return,
        // A schema was to be there and is not.
        None if view.response_format == ResponseFormat::JsonSchema => {
            judgement.not_validated.get_or_insert(Unvalidated::Schema);
            None
        }
        None => None,
    };
    match checked {
        Some(Verdict::Valid) => Judgement::is(&mut judgement.schema_valid, true),
        Some(Verdict::Invalid(finding)) => {
            Judgement::is(&mut judgement.schema_valid, false);
            judgement.wrong(Part::Content, finding);
        }
        Some(Verdict::Unknown(why)) => {
            judgement.not_validated.get_or_insert(why);
        }
        None if schema.is_some() || !is_format(view.response_format, text) => {
            if schema.is_some() {
                Judgement::is(&mut judgement.schema_valid, false);
            }
            judgement
                .wrong(Part::Content, not("json", "It is not valid JSON, or something stands before or after it."));
        }
        None => {}
    }
}

fn is_format(format: ResponseFormat, text: &[u8]) -> bool {
    wire::openai::format_valid(format, text) != Some(false)
}

/// A finding about the whole.
fn not(keyword: &str, words: &str) -> Finding {
    Finding { path: String::new(), keyword: keyword.to_owned(), words: words.to_owned().into() }
}

/// Holds one call against what was offered.
fn held(
    validator: &mut Validator,
    tools: &[Tool<'_>],
    (name, arguments): (&[u8], &[u8]),
    not_validated: &mut Option<Unvalidated>,
) -> (Option<bool>, Option<Finding>) {
    let Some(tool) = tools.iter().find(|tool| tool.name.as_bytes() == name) else {
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        let words = format!("No such function was offered. Offered: {}.", names.join(", "));
        return (Some(false), Some(not("name", &words)));
    };
    let checked = match tool.parameters {
        Some(schema) => validator.check(schema, arguments),
        None => well_formed(arguments).then_some(Verdict::Valid),
    };
    match checked {
        None => (Some(false), Some(not("json", "The arguments are not valid JSON."))),
        Some(Verdict::Valid) => (Some(true), None),
        Some(Verdict::Invalid(finding)) => (Some(false), Some(finding)),
        Some(Verdict::Unknown(why)) => {
            not_validated.get_or_insert(why);
            (None, None)
        }
    }
}

/// A function that may be called.
struct Tool<'b> {
    name: Cow<'b, str>,
    parameters: Option<&'b [u8]>,
}

/// The functions a request offers. What cannot be read is left out: a call of it is then a call of nothing that was offered.
fn offered<'b>(view: &RequestView, body: &'b [u8]) -> Vec<Tool<'b>> {
    let mut tools = Vec::new();
    let Some(list) = view.tools.clone() else { return tools };
    // The request was scanned whole when it came in, so that there is no error to meet here.
    scan::each_element(body, list, |element| {
        if element.kind == Kind::Object {
            let at = match view.endpoint {
                Endpoint::Responses | Endpoint::Messages => Some(element.value),
                _ => member(body, element.value, "function", Kind::Object)?,
            };
            if let Some(at) = at
                && let Some(name) = member(body, at.clone(), "name", Kind::String)?
            {
                let name = scan::unescape(body, name)?;
                let key = if view.endpoint == Endpoint::Messages { "input_schema" } else { "parameters" };
                let parameters = member(body, at, key, Kind::Object)?.map(|at| &body[at]);
                tools.push(Tool { name, parameters });
            }
        }
        Ok(Next::Go)
    })
    .unwrap_or_default();
    tools
}

/// The schema that the text of the answer was asked to follow.
fn content_schema(view: &RequestView, body: &[u8]) -> Option<Place> {
    let find = || {
        let path: &[&str] = match view.endpoint {
            Endpoint::Responses => &["text", "format", "schema"],
            Endpoint::Messages => &["output_config", "format", "schema"],
            _ => &["response_format", "json_schema", "schema"],
        };
        let Some(mut at) = view.named(body, path[0]).next().map(|(_, field)| field.value.clone()) else {
            return Ok(None);
        };
        for key in &path[1..] {
            match member(body, at, key, Kind::Object)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok::<_, ScanError>(Some(at.into()))
    };
    find().unwrap_or_default()
}

/// The member `key` of the object at `object`, when it is of this kind.
fn member(body: &[u8], object: Range<usize>, key: &str, kind: Kind) -> Result<Option<Range<usize>>, ScanError> {
    let mut found = None;
    scan::each_member(body, object, |member| {
        if member.key == key {
            found = (member.kind == kind).then_some(member.value);
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests;
