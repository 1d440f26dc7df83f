//! The response object: what every one of an answer's repeats from the request, and its output.

use serde_json::value::RawValue;

use super::super::Context;
use super::super::chat::{TokenLogProbability, Usage};
use super::super::json::{self, Object, Writer};
use crate::openai::ErrorBody;

/// What all response objects of one answer have in common.
#[derive(Debug)]
pub(super) struct Head {
    id: String,
    created_s: u64,
    /// What is repeated from the request, member after member.
    repeated: Vec<(&'static str, String)>,
    /// The model the request named, until the answer names one.
    pub(super) model: String,
    /// The tier the target says it answered in.
    pub(super) service_tier: Option<String>,
    /// The caller asked for a summary of the reasoning and looks for it there: so the reasoning is shown in its place.
    pub(super) shows_summary: bool,
}

/// What a response object repeats, and what stands there when the request did not say.
const REPEATED: [(&str, &str); 14] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("background", "false"),
];

/// What a response object repeats only when the request said it.
const REPEATED_IF_SAID: [&str; 7] = [
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "conversation",
    "user",
];

/// How a response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State<'a> {
    InProgress,
    Completed,
    /// Why it is not whole: `max_output_tokens` or `content_filter`.
    Incomplete(&'static str),
    Failed(&'a ErrorBody),
}

impl State<'_> {
    const fn as_str(self) -> &'static str {
        match self {
            State::InProgress => "in_progress",
            State::Completed => "completed",
            State::Incomplete(_) => "incomplete",
            State::Failed(_) => "failed",
        }
    }

    /// How the finish reason of a chat stands for a response. `None` when the server says that it gave up.
    pub(super) fn of_finish_reason(reason: &str) -> Option<State<'static>> {
        match reason {
            "length" | "max_tokens" | "model_length" => Some(State::Incomplete("max_output_tokens")),
            "content_filter" => Some(State::Incomplete("content_filter")),
            "error" | "abort" | "cancelled" => None,
            _ => Some(State::Completed),
        }
    }
}

impl Head {
    pub(super) fn new(context: &Context<'_>) -> Head {
        // A request that cannot be read was never translated; then there is nothing to repeat.
        let request: Object<'_> = serde_json::from_slice(context.request).unwrap_or_default();
        let said = |name: &str| request.get(name).map(|value| repeated(name, value));
        let always = REPEATED.iter().map(|(name, usual)| (*name, said(name).unwrap_or_else(|| (*usual).to_owned())));
        let if_said = REPEATED_IF_SAID.iter().filter_map(|name| Some((*name, said(name)?)));
        Head {
            id: context.id.to_owned(),
            created_s: context.created_s,
            repeated: always.chain(if_said).collect(),
            model: request.text("model").unwrap_or_default().into_owned(),
            service_tier: None,
            shows_summary: request.get("reasoning").is_some_and(asks_for_summary),
        }
    }

    /// The id of the item at `idx`.
    pub(super) fn item_id(&self, item: &Item, idx: usize) -> String {
        format!("{}_{}{idx:04}", item.prefix(), self.id)
    }

    /// An id for a call that the target gave none.
    pub(super) fn call_id(&self, idx: usize) -> String {
        format!("call_{}{idx:04}", self.id)
    }

    /// The response object.
    pub(super) fn object(&self, state: State<'_>, output: &[Item], usage: Option<&Usage>) -> String {
        let mut out = Writer::with_capacity(1024);
        out.member("id", &format!("resp_{}", self.id));
        out.member("object", "response");
        out.member("created_at", &self.created_s);
        out.member("status", state.as_str());
        match state {
            State::Failed(error) => out.raw("error", &error_in_object(error)),
            _ => out.raw("error", "null"),
        }
        match state {
            State::Incomplete(reason) => out.raw("incomplete_details", &format!(r#"{{"reason":"{reason}"}}"#)),
            _ => out.raw("incomplete_details", "null"),
        }
        self.repeated.iter().for_each(|(name, value)| out.raw(name, value));
        out.member("model", &self.model);
        if let Some(tier) = &self.service_tier {
            out.raw("service_tier", tier);
        }
        out.raw("output", &self.output(output));
        if let Some(usage) = usage {
            out.raw("usage", &usage_json(usage));
        }
        out.finish()
    }

    /// The items as an array.
    pub(super) fn output(&self, items: &[Item]) -> String {
        let items: Vec<String> = items.iter().enumerate().map(|(idx, item)| self.item(item, idx)).collect();
        format!("[{}]", items.join(","))
    }

    /// The item at `idx` when it has just begun: nothing in it yet.
    pub(super) fn item_begun(&self, item: &Item, idx: usize) -> String {
        let mut out = Writer::with_capacity(128);
        out.member("id", &self.item_id(item, idx));
        match &item.body {
            Body::Reasoning { .. } => {
                out.member("type", "reasoning");
                out.raw("summary", "[]");
                if !self.shows_summary {
                    out.raw("content", "[]");
                }
            }
            Body::Message { .. } => {
                out.member("type", "message");
                out.member("role", "assistant");
                out.raw("content", "[]");
            }
            Body::Call(call) => call.write("", &mut out),
        }
        out.member("status", Status::InProgress.as_str());
        out.finish()
    }

    /// The item at `idx`.
    pub(super) fn item(&self, item: &Item, idx: usize) -> String {
        let mut out = Writer::with_capacity(256);
        out.member("id", &self.item_id(item, idx));
        match &item.body {
            Body::Reasoning { text } if self.shows_summary => {
                out.member("type", "reasoning");
                out.raw("summary", &format!("[{}]", summary_part(text)));
            }
            Body::Reasoning { text } => {
                out.member("type", "reasoning");
                out.raw("summary", "[]");
                out.raw("content", &format!("[{}]", reasoning_part(text)));
            }
            Body::Message { parts } => {
                out.member("type", "message");
                out.member("role", "assistant");
                let parts: Vec<String> = parts.iter().map(Part::to_json).collect();
                out.raw("content", &format!("[{}]", parts.join(",")));
            }
            Body::Call(call) => call.write(&call.input, &mut out),
        }
        out.member("status", item.status.as_str());
        out.finish()
    }
}

/// A value of the request as a response shows it.
fn repeated(name: &str, value: &RawValue) -> String {
    match name {
        "tools" => match json::elements(value) {
            Some(tools) => format!("[{}]", tools.into_iter().map(tool).collect::<Vec<_>>().join(",")),
            None => "[]".to_owned(),
        },
        "text" => match json::object(value) {
            Some(text) if text.get("format").is_none() => {
                let mut out = Writer::with_capacity(64);
                out.raw("format", r#"{"type":"text"}"#);
                text.iter()
                    .filter(|(key, _)| *key != "format")
                    .for_each(|(key, value)| out.raw(key, &json::compact(value)));
                out.finish()
            }
            _ => json::compact(value),
        },
        _ => json::compact(value),
    }
}

/// A function in a response always says its parameters and whether they are strict.
fn tool(tool: &RawValue) -> String {
    let Some(object) = json::object(tool).filter(|tool| tool.text("type").as_deref() == Some("function")) else {
        return json::compact(tool);
    };
    let mut out = Writer::with_capacity(tool.get().len() + 32);
    object.iter().for_each(|(key, value)| out.raw(key, &json::compact(value)));
    for needed in ["parameters", "strict"] {
        if !object.iter().any(|(key, _)| key == needed) {
            out.raw(needed, "null");
        }
    }
    out.finish()
}

/// One item of the output.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) body: Body,
    pub(super) status: Status,
}

/// Whether an item is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Incomplete => "incomplete",
        }
    }
}

/// What an item holds.
#[derive(Debug)]
pub(super) enum Body {
    Reasoning { text: String },
    Message { parts: Vec<Part> },
    Call(Call),
}

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Call {
    /// Its input is text and not JSON.
    pub(super) custom: bool,
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) input: String,
}

/// The log probabilities of a token as JSON.
#[derive(Debug)]
pub(super) struct LogProbability {
    /// As a part has it, with the bytes of the tokens.
    in_part: String,
    /// As an event has it, without.
    in_event: String,
}

impl Call {
    /// Writes the call with this input.
    fn write(&self, input: &str, out: &mut Writer) {
        let (kind, key) = if self.custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        out.member("type", kind);
        out.member("call_id", &self.call_id);
        out.member("name", &self.name);
        out.member(key, input);
    }
}

/// A part of a message.
#[derive(Debug)]
pub(super) enum Part {
    Text { text: String, annotations: Vec<String>, logprobs: Vec<LogProbability> },
    Refusal { refusal: String },
}

impl Item {
    pub(super) fn new(body: Body, status: Status) -> Item {
        Item { body, status }
    }

    /// The call that it is.
    pub(super) fn as_call(&self) -> Option<&Call> {
        match &self.body {
            Body::Call(call) => Some(call),
            Body::Reasoning { .. } | Body::Message { .. } => None,
        }
    }

    const fn prefix(&self) -> &'static str {
        match &self.body {
            Body::Reasoning { .. } => "rs",
            Body::Message { .. } => "msg",
            Body::Call(Call { custom: false, .. }) => "fc",
            Body::Call(Call { custom: true, .. }) => "ctc",
        }
    }
}

impl Part {
    /// A text without a word.
    pub(super) fn text() -> Part {
        Part::Text { text: String::new(), annotations: Vec::new(), logprobs: Vec::new() }
    }

    /// A refusal without a word.
    pub(super) fn refusal() -> Part {
        Part::Refusal { refusal: String::new() }
    }

    /// The same part when it has just begun.
    pub(super) fn begun(&self) -> Part {
        match self {
            Part::Text { .. } => Part::text(),
            Part::Refusal { .. } => Part::refusal(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut out = Writer::with_capacity(128);
        match self {
            Part::Text { text, annotations, logprobs } => {
                out.member("type", "output_text");
                out.raw("annotations", &format!("[{}]", annotations.join(",")));
                let logprobs: Vec<&str> = logprobs.iter().map(|logprob| logprob.in_part.as_str()).collect();
                out.raw("logprobs", &format!("[{}]", logprobs.join(",")));
                out.member("text", text);
            }
            Part::Refusal { refusal } => {
                out.member("type", "refusal");
                out.member("refusal", refusal);
            }
        }
        out.finish()
    }
}

pub(super) fn reasoning_part(text: &str) -> String {
    format!(r#"{{"type":"reasoning_text","text":{}}}"#, json::write(text))
}

pub(super) fn summary_part(text: &str) -> String {
    format!(r#"{{"type":"summary_text","text":{}}}"#, json::write(text))
}

/// Whether the `reasoning` of a request asks for a summary.
pub(super) fn asks_for_summary(reasoning: &RawValue) -> bool {
    json::object(reasoning)
        .is_some_and(|reasoning| ["summary", "generate_summary"].iter().any(|key| reasoning.get(key).is_some()))
}

/// A citation of the chat dialect, without the level it has more; `None` for what is no citation.
pub(super) fn annotation(annotation: &RawValue) -> Option<String> {
    let annotation = json::object(annotation)?;
    let citation = json::object(annotation.get("url_citation")?)?;
    let mut out = Writer::with_capacity(128);
    out.member("type", "url_citation");
    for key in ["start_index", "end_index", "url", "title"] {
        let missing = if key.ends_with("index") { "0" } else { r#""""# };
        out.raw(key, &citation.get(key).map_or_else(|| missing.to_owned(), json::compact));
    }
    Some(out.finish())
}

impl LogProbability {
    /// Those of one token. A server that gives no bytes gets those of the token.
    pub(super) fn of(logprob: &TokenLogProbability<'_>) -> LogProbability {
        LogProbability { in_part: logprob_json(logprob, true), in_event: logprob_json(logprob, false) }
    }

    /// Several, as an event has them.
    pub(super) fn in_event(logprobs: &[LogProbability]) -> String {
        let logprobs: Vec<&str> = logprobs.iter().map(|logprob| logprob.in_event.as_str()).collect();
        format!("[{}]", logprobs.join(","))
    }
}

fn logprob_json(logprob: &TokenLogProbability<'_>, with_bytes: bool) -> String {
    let one = |logprob: &TokenLogProbability<'_>| {
        let mut out = Writer::with_capacity(128);
        out.member("token", &logprob.token);
        if with_bytes {
            out.member("bytes", logprob.bytes.as_deref().unwrap_or(logprob.token.as_bytes()));
        }
        out.raw("logprob", logprob.logprob.get());
        out
    };
    let top: Vec<String> = logprob.top_logprobs.iter().flatten().map(|top| one(top).finish()).collect();
    let mut out = one(logprob);
    out.raw("top_logprobs", &format!("[{}]", top.join(",")));
    out.finish()
}

fn usage_json(usage: &Usage) -> String {
    let input = usage.prompt_tokens.0;
    let output = usage.completion_tokens.0;
    let total = usage.total_tokens.map_or(0, |total| total.0).max(input.saturating_add(output));
    let prompt = usage.prompt_tokens_details.unwrap_or_default();
    let reasoning = usage.completion_tokens_details.unwrap_or_default().reasoning_tokens.0;
    let (cached, written) = (prompt.cached_tokens.0, prompt.cache_write_tokens.0);
    format!(
        r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":{cached},"cache_write_tokens":{written}}},"output_tokens":{output},"output_tokens_details":{{"reasoning_tokens":{reasoning}}},"total_tokens":{total}}}"#
    )
}

/// The error inside a failed response: its codes are a closed list.
fn error_in_object(error: &ErrorBody) -> String {
    let code = match error.code.as_deref() {
        Some("rate_limit_exceeded" | "insufficient_quota") => "rate_limit_exceeded",
        _ => "server_error",
    };
    format!(r#"{{"code":"{code}","message":{}}}"#, json::write(&error.message))
}
