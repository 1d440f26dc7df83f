use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::draws::Draws;
use super::knobs::Knobs;
use super::questions::{Question, questions};
use super::reader;

/// What is read of a chat request.
#[derive(Deserialize)]
pub(crate) struct ChatRequest<'a> {
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(borrow, default)]
    response_format: Option<&'a RawValue>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct ResponseFormat {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    json_schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct JsonSchema {
    #[serde(default)]
    schema: Value,
}

/// A chat answer: its text as tokens, and what stands around it.
#[derive(Debug)]
pub(crate) struct ChatAnswer {
    id: String,
    created: u64,
    model: String,
    content: String,
    refused: bool,
    /// Where each token ends in `content`.
    ends: Vec<usize>,
    finish_reason: &'static str,
    prompt_tokens: usize,
    include_usage: bool,
}

const REFUSAL: &str = "I'm sorry, but I can't help with that.";
const FILLER: &str = "You find more about this in the manual, or ask us again and name the model of your unit. ";

impl ChatAnswer {
    pub(crate) fn new(request: &ChatRequest<'_>, knobs: &Knobs, draws: &Draws, created: u64) -> Self {
        let format = request.response_format.and_then(|raw| serde_json::from_str::<ResponseFormat>(raw.get()).ok());
        let refused = draws.refusal < knobs.refusal_rate;
        let n_tokens = knobs.output_tokens.value(draws.n_tokens).round().clamp(1.0, 100_000.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 1 and 100 000")]
        let n_tokens = n_tokens as usize;
        let content = if refused {
            REFUSAL.to_owned()
        } else {
            let read = read(request, knobs, draws);
            match (format, read) {
                (Some(format), read) if format.kind != "text" => {
                    let words = read.unwrap_or_else(|| words(request, knobs, draws));
                    json_content(&words, &format, draws.malformed < knobs.malformed_json_rate)
                }
                // What is said beside a quote would have to be cited, too.
                (_, Some(words)) => words,
                (_, None) => padded(words(request, knobs, draws), n_tokens),
            }
        };
        let mut ends = ends_of_tokens(&content);
        let limit = request.max_completion_tokens.or(request.max_tokens).map_or(usize::MAX, |limit| limit as usize);
        let finish_reason = if ends.len() > limit { "length" } else { "stop" };
        ends.truncate(limit);
        let content = content[..ends.last().copied().unwrap_or(0)].to_owned();
        let prompt_bytes: usize =
            request.messages.iter().filter_map(|message| message.content).map(|content| content.get().len()).sum();
        Self {
            id: format!("chatcmpl-sim-{:016x}", draws.id),
            created,
            model: request.model.clone().into_owned(),
            content,
            refused,
            ends,
            finish_reason,
            prompt_tokens: prompt_bytes.div_ceil(4),
            include_usage: request.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true)),
        }
    }

    pub(crate) fn n_tokens(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// The answer in one piece.
    pub(crate) fn whole(&self) -> Bytes {
        let mut text = String::with_capacity(512 + self.content.len());
        self.begin(&mut text, "chat.completion");
        text.push_str(r#","choices":[{"index":0,"message":{"role":"assistant","content":"#);
        self.said(&mut text, &self.content);
        text.push_str(r#","annotations":[]},"logprobs":null,"finish_reason":""#);
        text.push_str(self.finish_reason);
        text.push_str(r#""}],"usage":"#);
        self.usage(&mut text);
        text.push('}');
        Bytes::from(text)
    }

    /// Appends the event that opens a stream.
    pub(crate) fn opening(&self, text: &mut String) {
        self.event(text, |text| {
            text.push_str(r#""choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]"#);
        });
    }

    /// Appends the event with these tokens.
    pub(crate) fn delta(&self, text: &mut String, tokens: Range<usize>) {
        let begin = if tokens.start == 0 { 0 } else { self.ends[tokens.start - 1] };
        let end = if tokens.end == 0 { 0 } else { self.ends[tokens.end - 1] };
        self.event(text, |text| {
            text.push_str(r#""choices":[{"index":0,"delta":{"#);
            text.push_str(if self.refused { r#""refusal":"# } else { r#""content":"# });
            push_json(text, &self.content[begin..end]);
            text.push_str(r#"},"logprobs":null,"finish_reason":null}]"#);
        });
    }

    /// Appends the events that end a stream.
    pub(crate) fn closing(&self, text: &mut String) {
        self.event(text, |text| {
            text.push_str(r#""choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":""#);
            text.push_str(self.finish_reason);
            text.push_str(r#""}]"#);
        });
        if self.include_usage {
            let mut usage = String::new();
            self.usage(&mut usage);
            text.push_str("data: ");
            self.begin(text, "chat.completion.chunk");
            text.push_str(r#","choices":[],"usage":"#);
            text.push_str(&usage);
            text.push_str("}\n\n");
        }
        text.push_str("data: [DONE]\n\n");
    }

    fn event(&self, text: &mut String, choices: impl FnOnce(&mut String)) {
        text.push_str("data: ");
        self.begin(text, "chat.completion.chunk");
        text.push(',');
        choices(text);
        // With `include_usage`, every chunk but the last carries a null.
        text.push_str(if self.include_usage { ",\"usage\":null}\n\n" } else { "}\n\n" });
    }

    fn begin(&self, text: &mut String, object: &str) {
        text.push_str(r#"{"id":""#);
        text.push_str(&self.id);
        text.push_str(r#"","object":""#);
        text.push_str(object);
        text.push_str(r#"","created":"#);
        // Writing to a string cannot fail.
        write!(text, "{}", self.created).ok();
        text.push_str(r#","model":"#);
        push_json(text, &self.model);
        text.push_str(r#","system_fingerprint":"fp_simulated""#);
    }

    fn said(&self, text: &mut String, words: &str) {
        if self.refused {
            text.push_str("null,\"refusal\":");
            push_json(text, words);
        } else {
            push_json(text, words);
            text.push_str(",\"refusal\":null");
        }
    }

    fn usage(&self, text: &mut String) {
        let (prompt, completion) = (self.prompt_tokens, self.ends.len());
        let total = prompt + completion;
        write!(
            text,
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0}}}}"#
        ).ok();
    }
}

/// What numbered passages of the prompt say.
fn read(request: &ChatRequest<'_>, knobs: &Knobs, draws: &Draws) -> Option<String> {
    let numbered = |raw: &&RawValue| raw.get().contains("[1] ");
    if !request.messages.iter().filter_map(|message| message.content).any(|raw| numbered(&raw)) {
        return None;
    }
    let texts = request.messages.iter();
    let texts = texts.map(|message| (message.role == "user", message.content.map(text_of).unwrap_or_default()));
    reader::answer(&texts.collect::<Vec<_>>(), knobs, draws)
}

/// What the answer says: the answer to the question asked, or to another one, or a polite nothing.
fn words(request: &ChatRequest<'_>, knobs: &Knobs, draws: &Draws) -> String {
    let asked =
        request.messages.iter().rev().find(|message| message.role == "user").and_then(|message| message.content);
    match asked.and_then(|raw| Question::find(&text_of(raw))) {
        Some((_, question)) if draws.quality < knobs.quality => question.answer.to_owned(),
        Some((idx, _)) => {
            let others = questions().len() - 1;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a number in 0..1 times a small count"
            )]
            let step = 1 + ((draws.wrong * others as f64) as usize).min(others - 1);
            questions()[(idx + step) % questions().len()].answer.to_owned()
        }
        None => "Thank you for your question. ".to_owned(),
    }
}

/// The text of a message: a string, or the text parts of a list.
fn text_of(content: &RawValue) -> String {
    match serde_json::from_str::<Value>(content.get()) {
        Ok(Value::String(text)) => text,
        Ok(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn padded(mut words: String, n_tokens: usize) -> String {
    let n_missing = n_tokens.saturating_sub(ends_of_tokens(&words).len());
    if n_missing > 0 && !words.ends_with(' ') {
        words.push(' ');
    }
    words.extend(FILLER.split_inclusive(' ').cycle().take(n_missing));
    words.truncate(words.trim_end().len());
    words
}

fn json_content(words: &str, format: &ResponseFormat, malformed: bool) -> String {
    let schema = format.json_schema.as_ref().map(|named| &named.schema).filter(|schema| schema.is_object());
    let value =
        schema.map_or_else(|| json!({ "answer": words, "confidence": 0.9 }), |schema| instance(schema, words, 0));
    let mut text = value.to_string();
    if malformed {
        // What a model does that runs out of tokens: the end is missing.
        text.pop();
        text.push(',');
    }
    text
}

/// A value that fits the usual schemas: objects, arrays, enums and scalars; strings are the answer's words.
fn instance(schema: &Value, words: &str, depth: usize) -> Value {
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return first.clone();
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ => "string",
    };
    match kind {
        "object" if depth < 16 => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties.into_iter().flatten();
            Value::Object(members.map(|(name, schema)| (name.clone(), instance(schema, words, depth + 1))).collect())
        }
        "object" => json!({}),
        "array" => match schema.get("items") {
            Some(items) if depth < 16 => json!([instance(items, words, depth + 1)]),
            _ => json!([]),
        },
        "number" | "integer" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!(words),
    }
}

/// A token is a word with the space after it.
fn ends_of_tokens(text: &str) -> Vec<usize> {
    let mut end = 0;
    text.split_inclusive(' ')
        .map(|token| {
            end += token.len();
            end
        })
        .collect()
}

/// Appends `words` as a JSON string.
fn push_json(text: &mut String, words: &str) {
    text.push('"');
    for character in words.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            control if control < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
}
