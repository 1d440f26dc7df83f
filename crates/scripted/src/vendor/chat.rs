//! Chat completions.

use serde_json::{Map, Value, json};

use super::words::{Text, say, stopped, tokens};
use super::{CONTEXT, MODEL, Quirk, Said, Vendor};
use crate::Script;

/// The fields the dialect has, as far as this server cares.
const KNOWN: [&str; 30] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "logprobs",
    "top_logprobs",
    "seed",
    "logit_bias",
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "reasoning_effort",
    "frequency_penalty",
    "presence_penalty",
    "verbosity",
];

/// One choice.
pub(super) struct Choice {
    pub(super) message: Map<String, Value>,
    pub(super) words: Vec<String>,
    pub(super) finish: &'static str,
    pub(super) logprobs: Value,
    pub(super) n_tokens: u64,
}

impl Vendor {
    pub(super) fn chat(&self, body: &Value) -> Script {
        let streamed = body["stream"] == true && !self.has(Quirk::NoStreams);
        if let Some(refusal) = self.refusal(body) {
            if streamed && self.has(Quirk::ErrorsInStreams) {
                return self.after_stream(Script::stream([format!("data: {}\n\n", refusal.body)]));
            }
            return self.said(&refusal);
        }
        let choices = self.choices(body);
        let usage = self.usage(body, &choices);
        if streamed { self.stream(body, &choices, &usage) } else { self.said(&self.whole(choices, usage)) }
    }

    fn whole(&self, choices: Vec<Choice>, usage: Value) -> Said {
        let choices: Vec<Value> = choices
            .into_iter()
            .enumerate()
            .map(|(index, choice)| {
                let mut message = choice.message;
                if !self.has(Quirk::NoNulls) {
                    message.insert("refusal".to_owned(), Value::Null);
                }
                let mut one = json!({"index": index, "message": message, "finish_reason": choice.finish});
                if !self.has(Quirk::NoNulls) || !choice.logprobs.is_null() {
                    one["logprobs"] = choice.logprobs;
                }
                one
            })
            .collect();
        let mut body = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": MODEL, "choices": choices,
        });
        if !self.has(Quirk::NoUsage) {
            body["usage"] = usage;
        }
        if !self.has(Quirk::NoFingerprint) {
            body["system_fingerprint"] = "fp_scripted".into();
        }
        Said::ok(body)
    }

    fn refusal(&self, body: &Value) -> Option<Said> {
        let refuse = |status, message: &str, param: &str| Some(self.error(status, message, Some(param), None));
        if body["model"] != MODEL && !self.has(Quirk::AnyModel) {
            return Some(self.error(404, "The model does not exist.", Some("model"), Some("model_not_found")));
        }
        let Some(messages) = body["messages"].as_array() else {
            if self.has(Quirk::NoMessagesBroken) {
                return Some(Said { status: 500, body: "Internal Server Error".into() });
            }
            return refuse(400, "messages is missing.", "messages");
        };
        if !(body["temperature"].is_null() || body["temperature"].is_number() || self.has(Quirk::WrongTypeTaken)) {
            return refuse(400, "temperature must be a number.", "temperature");
        }
        let names = |key: &str| body.get(key).is_some_and(|value| !value.is_null());
        let unknown = body.as_object()?.keys().find(|key| !KNOWN.contains(&key.as_str()));
        if let Some(field) = unknown.filter(|_| self.has(Quirk::UnknownFieldsRefused)) {
            return refuse(422, "Extra inputs are not permitted.", field);
        }
        for (quirk, field, status) in [
            (Quirk::StreamOptionsRefused, "stream_options", 400),
            (Quirk::MetadataRefused, "metadata", 400),
            (Quirk::ReasoningEffortRefused, "reasoning_effort", 400),
        ] {
            if self.has(quirk) && names(field) {
                return refuse(status, "This field is not supported.", field);
            }
        }
        if body["stop"].is_string() && self.has(Quirk::StopStringRefused) {
            return refuse(422, "stop must be a list.", "stop");
        }
        let format = &body["response_format"]["type"];
        if format == "json_schema" && self.has(Quirk::JsonSchemaBroken) {
            return refuse(500, "internal_server_error", "response_format");
        }
        let strict = |tool: &Value| tool["function"]["strict"] == true;
        if self.has(Quirk::StrictRefused) && body["tools"].as_array().is_some_and(|tools| tools.iter().any(strict)) {
            return refuse(400, "strict is not supported.", "tools");
        }
        self.messages_refused(messages, body)
    }

    fn messages_refused(&self, messages: &[Value], body: &Value) -> Option<Said> {
        let refuse = |status, message: &str| Some(self.error(status, message, Some("messages"), None));
        for message in messages {
            if message["role"] == "developer" && self.has(Quirk::DeveloperRefused) {
                return refuse(400, "Unexpected role developer.");
            }
            if message["role"] == "tool" && self.has(Quirk::ToolMessagesRefused) {
                return refuse(500, "The template failed.");
            }
            let parts = message["content"].as_array().cloned().unwrap_or_default();
            if !parts.is_empty() && self.has(Quirk::PartsRefused) {
                return refuse(400, "content must be a text.");
            }
            if parts.iter().any(|part| part["type"] == "image_url") && self.has(Quirk::ImageBroken) {
                return refuse(500, "image input is not supported");
            }
        }
        if self.prompt_tokens(body) > CONTEXT {
            let code = (!self.has(Quirk::ContextWithoutCode)).then_some("context_length_exceeded");
            return Some(self.error(400, "The conversation is too long.", Some("messages"), code));
        }
        None
    }

    fn choices(&self, body: &Value) -> Vec<Choice> {
        let n = if self.has(Quirk::NIgnored) { 1 } else { body["n"].as_u64().unwrap_or(1) };
        (0..n).map(|index| self.choice(body, index)).collect()
    }

    fn choice(&self, body: &Value, index: u64) -> Choice {
        let question = question(body);
        if let Some(calls) = self.calls(body, &question) {
            return calls;
        }
        let format = body["response_format"]["type"].as_str().unwrap_or("text");
        let json = match format {
            "json_schema" if !self.has(Quirk::JsonSchemaIgnored) => Some(r#"{"verdict":"maple","certain":true}"#),
            "json_object" if !self.has(Quirk::JsonObjectIgnored) => Some(r#"{"answer":"maple"}"#),
            _ => None,
        };
        let mut text = match json {
            Some(json) => Text { words: vec![json.to_owned()], finish: "stop" },
            None => self.spoken(body, &question, index),
        };
        if self.has(Quirk::ThinksAloud) {
            text.words[0].insert_str(0, "<think>Let me see.</think>");
        }
        let logprobs = if body["logprobs"] == true && !self.has(Quirk::LogprobsIgnored) {
            let top = json!({"token": "a", "logprob": -1.5, "bytes": [97]});
            let tops = vec![top; usize::try_from(body["top_logprobs"].as_u64().unwrap_or(0)).unwrap_or(0)];
            let entry =
                |word: &String| json!({"token": word, "logprob": -0.5, "bytes": word.as_bytes(), "top_logprobs": tops});
            json!({"content": text.words.iter().map(entry).collect::<Vec<_>>(), "refusal": null})
        } else {
            Value::Null
        };
        let message = json!({"role": "assistant", "content": text.joined()});
        let n_tokens = text.words.len() as u64;
        Choice { message: members(message), words: text.words, finish: text.finish, logprobs, n_tokens }
    }

    fn spoken(&self, body: &Value, question: &str, index: u64) -> Text {
        let greedy = body["temperature"].as_f64().is_some_and(|temperature| temperature == 0.0);
        let seeded = body["seed"].as_u64().filter(|_| !self.has(Quirk::SeedIgnored));
        let draw = match (greedy, seeded) {
            (true, _) if self.has(Quirk::NotGreedy) => 1000 + self.count(),
            (true, _) => 0,
            (false, Some(seed)) => seed + index,
            (false, None) => 1000 + self.count(),
        };
        let limit = |name: &str, quirk| body[name].as_u64().filter(|_| !self.has(quirk));
        let limit = limit("max_completion_tokens", Quirk::MaxCompletionTokensIgnored)
            .or(limit("max_tokens", Quirk::MaxTokensIgnored))
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let bias = body["logit_bias"].as_object().filter(|bias| !bias.is_empty() && !self.has(Quirk::BiasIgnored));
        let text = say(question, draw, limit, bias.map(|_| "bias"));
        let stops: Vec<String> = match &body["stop"] {
            _ if self.has(Quirk::StopIgnored) => Vec::new(),
            Value::String(stop) => vec![stop.clone()],
            Value::Array(stops) => stops.iter().filter_map(|stop| stop.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        stopped(text, &stops)
    }

    /// The tool calls of an answer, when it makes some.
    fn calls(&self, body: &Value, question: &str) -> Option<Choice> {
        if let Some(name) = body["function_call"]["name"].as_str().filter(|_| !self.has(Quirk::FunctionsIgnored)) {
            let call = json!({"name": name, "arguments": "{\"city\":\"Paris\"}"});
            let message = members(json!({"role": "assistant", "content": null, "function_call": call}));
            return Some(Choice { message, words: Vec::new(), finish: "stop", logprobs: Value::Null, n_tokens: 9 });
        }
        let name = body["tools"][0]["function"]["name"].as_str()?;
        let choice = &body["tool_choice"];
        let forced = (choice.is_object() && !self.has(Quirk::NamedIgnored))
            || (choice == "required" && !self.has(Quirk::RequiredIgnored));
        let forbidden = choice == "none" && !self.has(Quirk::ToolsNoneIgnored);
        let last_is_result = body["messages"].as_array()?.last()?["role"] == "tool";
        let wanted = question.contains("weather") || question.contains(name);
        if forbidden || last_is_result || !(forced || wanted) {
            return None;
        }
        let both =
            question.contains("Rome") && (body["parallel_tool_calls"] != false || self.has(Quirk::ParallelIgnored));
        let cities: &[&str] = if both { &["Paris", "Rome"] } else { &["Paris"] };
        if self.has(Quirk::ToolsLeak) {
            let call = |city: &&str| {
                format!("<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {{\"city\": \"{city}\"}}}}\n</tool_call>")
            };
            let text = cities.iter().map(call).collect::<Vec<_>>().join("\n");
            let words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
            let message = members(json!({"role": "assistant", "content": text}));
            let n_tokens = words.len() as u64;
            return Some(Choice { message, words, finish: "stop", logprobs: Value::Null, n_tokens });
        }
        let call = |(idx, city): (usize, &&str)| {
            let arguments = format!("{{\"city\":\"{city}\"}}");
            json!({"id": format!("call_{idx}"), "type": "function", "function": {"name": name, "arguments": arguments}})
        };
        let calls: Vec<Value> = cities.iter().enumerate().map(call).collect();
        // A call that was forced by name ends with stop.
        let stops = choice.is_object() || self.has(Quirk::ToolsFinishStop);
        let finish = if stops { "stop" } else { "tool_calls" };
        let message = members(json!({"role": "assistant", "content": null, "tool_calls": calls}));
        Some(Choice { message, words: Vec::new(), finish, logprobs: Value::Null, n_tokens: 9 })
    }

    fn usage(&self, body: &Value, choices: &[Choice]) -> Value {
        let prompt = self.prompt_tokens(body);
        let counted = if self.has(Quirk::UsageCountsOne) { &choices[..1] } else { choices };
        let completion: u64 = counted.iter().map(|choice| choice.n_tokens).sum();
        let mut usage =
            json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
        if !self.has(Quirk::NoUsageDetails) {
            usage["prompt_tokens_details"] = json!({"cached_tokens": 0, "audio_tokens": 0});
            usage["completion_tokens_details"] = json!({
                "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            });
        }
        usage
    }

    fn prompt_tokens(&self, body: &Value) -> u64 {
        let part = |part: &Value| match part["type"].as_str() {
            Some("image_url") if self.has(Quirk::ImageIgnored) => 0,
            Some("image_url") => 85,
            _ => tokens(part["text"].as_str().unwrap_or_default()),
        };
        let message = |message: &Value| match &message["content"] {
            Value::String(text) => 3 + tokens(text),
            Value::Array(parts) => 3 + parts.iter().map(part).sum::<u64>(),
            _ => 3,
        };
        body["messages"].as_array().into_iter().flatten().map(message).sum()
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The words of the last user message.
fn question(body: &Value) -> String {
    let mut messages = body["messages"].as_array().into_iter().flatten();
    let last = messages.rfind(|message| message["role"] == "user");
    match last.map(|message| &message["content"]) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}
