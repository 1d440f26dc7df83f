//! What an answer says, whatever its dialect and whether it was streamed: text, calls, why it ended.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use wire::refusal::{self, Manner};
use wire::sse::Decoder;

use crate::shadow::Spoken;

/// What an answer says.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in crate::shadow) struct Said {
    /// Its text; several choices are one below the other.
    pub(in crate::shadow) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Finish,
    pub(super) manner: Manner,
}

/// A call of a tool.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    /// What it is called with; a text that is no JSON stays one.
    pub(super) arguments: Value,
}

/// Why it ended, in the words of no dialect.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
    Tools,
    Filtered,
    #[default]
    Other,
}

impl Finish {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Tools => "tools",
            Self::Filtered => "filtered",
            Self::Other => "other",
        }
    }

    fn of(reason: &str) -> Self {
        match reason {
            "stop" | "end_turn" | "stop_sequence" | "completed" | "eos" | "eos_token" => Self::Stop,
            "length" | "max_tokens" | "max_output_tokens" | "model_context_window_exceeded" => Self::Length,
            "tool_calls" | "function_call" | "tool_use" => Self::Tools,
            "content_filter" | "refusal" => Self::Filtered,
            _ => Self::Other,
        }
    }
}

impl Said {
    /// The same for whoever judges it: arguments as text.
    pub(in crate::shadow) fn spoken(&self) -> Spoken {
        let arguments = |arguments: &Value| match arguments {
            // What was no JSON is as it came.
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let calls = self.calls.iter().map(|call| (call.name.clone(), arguments(&call.arguments))).collect();
        let finish = match self.finish {
            Finish::Tools => Some("tool_calls"),
            Finish::Filtered => Some("content_filter"),
            Finish::Stop | Finish::Length => Some(self.finish.as_str()),
            Finish::Other => None,
        };
        Spoken { text: self.text.clone(), calls, finish }
    }
}

/// Reads an answer; `None` when it says nothing that could be compared (embeddings, sound, no JSON).
pub(in crate::shadow) fn said(answer: &Bytes, finish_reason: Option<&str>) -> Option<Said> {
    let mut gathered = if answer.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        let mut gathered = Gathered::default();
        gathered.whole(&serde_json::from_slice(answer).ok()?);
        gathered
    } else {
        stream(answer)?
    };
    if gathered.n_parts == 0 {
        return None;
    }
    gathered.finish = gathered.finish.or_else(|| finish_reason.map(str::to_owned));
    Some(gathered.into_said())
}

fn stream(answer: &Bytes) -> Option<Gathered> {
    let (mut events, mut gathered) = (Vec::new(), Gathered::default());
    let mut decoder = Decoder::with_limit(answer.len());
    decoder.push(answer.clone(), &mut events).ok()?;
    events.extend(decoder.finish().event);
    for event in events {
        // `[DONE]` and comments are no JSON.
        if let Ok(value) = serde_json::from_slice(&event.data) {
            gathered.event(&value);
        }
    }
    Some(gathered)
}

/// What was said so far. Parts of a choice or a block are joined under its number.
#[derive(Debug, Default)]
struct Gathered {
    texts: BTreeMap<u64, String>,
    calls: BTreeMap<(u64, u64), (String, String)>,
    finish: Option<String>,
    refused: bool,
    n_parts: usize,
}

impl Gathered {
    /// An answer in one piece.
    fn whole(&mut self, answer: &Value) {
        for (idx, choice) in list(&answer["choices"]) {
            self.n_parts += 1;
            self.message(idx, &choice["message"]);
            self.text(idx, &choice["text"]);
            self.ends(&choice["finish_reason"]);
        }
        for (idx, item) in list(&answer["output"]) {
            self.n_parts += 1;
            match item["type"].as_str() {
                Some("function_call") => self.call((idx, 0), &item["name"], &item["arguments"]),
                Some("custom_tool_call") => self.call((idx, 0), &item["name"], &item["input"]),
                _ => self.content(idx, &item["content"]),
            }
        }
        if answer["output"].is_array() {
            self.ends(match answer["incomplete_details"]["reason"].as_str() {
                Some(_) => &answer["incomplete_details"]["reason"],
                None => &answer["status"],
            });
        }
        if answer["content"].is_array() {
            self.n_parts += 1;
            for (idx, block) in list(&answer["content"]) {
                self.block(idx, block);
            }
            self.ends(&answer["stop_reason"]);
        }
    }

    fn event(&mut self, event: &Value) {
        for (_, choice) in list(&event["choices"]) {
            self.n_parts += 1;
            let idx = choice["index"].as_u64().unwrap_or(0);
            self.message(idx, &choice["delta"]);
            self.text(idx, &choice["text"]);
            self.ends(&choice["finish_reason"]);
        }
        // A stream of responses repeats all of it at its end.
        if event["response"]["output"].is_array() && event["type"].as_str().is_some_and(is_last_of_response) {
            self.whole(&event["response"]);
        }
        let idx = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str() {
            Some("message_start") => self.n_parts += 1,
            Some("content_block_start") => self.block(idx, &event["content_block"]),
            Some("content_block_delta") => {
                self.text(idx, &event["delta"]["text"]);
                if let Some(json) = event["delta"]["partial_json"].as_str() {
                    self.calls.entry((idx, 0)).or_default().1.push_str(json);
                }
            }
            Some("message_delta") => self.ends(&event["delta"]["stop_reason"]),
            _ => {}
        }
    }

    /// A message of a chat, or a piece of one.
    fn message(&mut self, idx: u64, message: &Value) {
        self.content(idx, &message["content"]);
        self.declines(&message["refusal"]);
        for (place, call) in list(&message["tool_calls"]) {
            let place = call["index"].as_u64().unwrap_or(place);
            let (function, custom) = (&call["function"], &call["custom"]);
            if custom.is_object() {
                self.call((idx, place), &custom["name"], &custom["input"]);
            } else {
                self.call((idx, place), &function["name"], &function["arguments"]);
            }
        }
        let old = &message["function_call"];
        if old.is_object() {
            self.call((idx, 0), &old["name"], &old["arguments"]);
        }
    }

    /// A text, or a list of parts.
    fn content(&mut self, idx: u64, content: &Value) {
        self.text(idx, content);
        for (_, part) in list(content) {
            self.text(idx, &part["text"]);
            self.declines(&part["refusal"]);
        }
    }

    /// A block of Anthropic's.
    fn block(&mut self, idx: u64, block: &Value) {
        match block["type"].as_str() {
            Some("text") => self.text(idx, &block["text"]),
            Some("tool_use") => {
                // A stream begins with an empty object and tells the arguments piece by piece.
                let is_empty = block["input"].as_object().is_none_or(serde_json::Map::is_empty);
                self.call((idx, 0), &block["name"], if is_empty { &Value::Null } else { &block["input"] });
            }
            _ => {}
        }
    }

    fn text(&mut self, idx: u64, text: &Value) {
        if let Some(text) = text.as_str() {
            self.texts.entry(idx).or_default().push_str(text);
        }
    }

    fn declines(&mut self, refusal: &Value) {
        self.refused |= refusal.as_str().is_some_and(|refusal| !refusal.is_empty());
    }

    fn call(&mut self, place: (u64, u64), name: &Value, arguments: &Value) {
        let call = self.calls.entry(place).or_default();
        call.0.push_str(name.as_str().unwrap_or_default());
        match arguments {
            Value::Null => {}
            Value::String(piece) => call.1.push_str(piece),
            whole => call.1.push_str(&whole.to_string()),
        }
    }

    fn ends(&mut self, reason: &Value) {
        if let Some(reason) = reason.as_str() {
            self.finish.get_or_insert_with(|| reason.to_owned());
        }
    }

    fn into_said(self) -> Said {
        let text = self.texts.into_values().collect::<Vec<_>>().join("\n");
        let call = |(name, arguments): (String, String)| {
            let arguments = if arguments.trim().is_empty() {
                Value::Object(serde_json::Map::new())
            } else {
                serde_json::from_str(&arguments).unwrap_or(Value::String(arguments))
            };
            Call { name, arguments }
        };
        let calls: Vec<Call> = self.calls.into_values().map(call).collect();
        let mut finish = self.finish.as_deref().map_or(Finish::Other, Finish::of);
        // Some dialects say only that it is complete.
        if finish == Finish::Stop && !calls.is_empty() {
            finish = Finish::Tools;
        }
        let manner = match refusal::manner(&text) {
            _ if self.refused || finish == Finish::Filtered => Manner::Refused,
            // What calls has said something.
            _ if !calls.is_empty() => Manner::Answered,
            manner => manner,
        };
        Said { text, calls, finish, manner }
    }
}

fn is_last_of_response(kind: &str) -> bool {
    matches!(kind, "response.completed" | "response.incomplete" | "response.failed")
}

/// The items of a list, numbered; of anything else, none.
fn list(value: &Value) -> impl Iterator<Item = (u64, &Value)> {
    (0..).zip(value.as_array().into_iter().flatten())
}
