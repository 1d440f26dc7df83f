//! What Crossfade reads of a request: a few fields and where they are. One pass, no document model.

mod beyond;
mod read;
mod said;
mod worst;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::openai::ResponseFormat;
use crate::record::Endpoint;
use crate::scan::{Kind, ScanError};

pub use read::{model_when_none_is_named, parse, parse_for};
pub use worst::{answer_at_most, prompt_about, prompt_at_most};

/// What stands for the model in a request that was written for no target.
const NO_MODEL: &str = "evaluation";

/// The body of a request that was written without a model: of a case, a prompt, a question to a judge. Something stands in its place, for which whoever asks a
/// target puts the target's own name.
#[must_use]
pub fn without_model(mut request: serde_json::Map<String, serde_json::Value>) -> Bytes {
    request.insert("model".to_owned(), NO_MODEL.into());
    Bytes::from(serde_json::Value::Object(request).to_string())
}

/// A member of the top level of a body, by place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Where the key is, quotation marks included.
    pub key: Range<usize>,
    /// Where the value is.
    pub value: Range<usize>,
    /// What the value is.
    pub kind: Kind,
}

/// A value, by place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Where it is.
    pub range: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

impl Value {
    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.kind == Kind::Object
    }
}

/// The first message with the role `system` or `developer` before any user message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemMessage {
    /// Where the message is.
    pub message: Range<usize>,
    /// Its `content`.
    pub content: Option<Value>,
}

/// What Crossfade read of a request. All places are in the body it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestView {
    /// Which path it came in on.
    pub endpoint: Endpoint,
    /// The route it names: `model`, or what the path said.
    pub model: String,
    /// Where the value of `model` is, quotation marks included. Empty when the request names none and the vendor's own
    /// choice is the route.
    pub model_range: Range<usize>,
    /// Whether `stream` is true.
    pub stream: bool,
    /// `stream_options`.
    pub stream_options: Option<Value>,
    /// `stream_options.include_usage`.
    pub include_usage: Option<Value>,
    /// `user`.
    pub user: Option<String>,
    /// `metadata.conversation_id`.
    pub conversation_id: Option<String>,
    /// `messages`, the whole array.
    pub messages: Option<Range<usize>>,
    /// `messages` from its beginning to the end of the first user message; all of it when there is none.
    pub conversation_prefix: Option<Range<usize>>,
    /// The system message.
    pub system: Option<SystemMessage>,
    /// `input`, of an embeddings request say.
    pub input: Option<Range<usize>>,
    /// `input` or `prompt` holds tokens instead of text: they mean something only to models with the same tokenizer.
    pub has_token_arrays: bool,
    /// `previous_response_id` of a Responses request.
    pub previous_response_id: Option<String>,
    /// `max_tokens`, when it is a whole number.
    pub max_tokens: Option<u64>,
    /// `max_completion_tokens`, when it is a whole number.
    pub max_completion_tokens: Option<u64>,
    /// `n`, when it is a whole number.
    pub n: Option<u64>,
    /// `tools`.
    pub tools: Option<Range<usize>>,
    /// `response_format.type`.
    pub response_format: ResponseFormat,
    /// `store`.
    pub store: Option<bool>,
    /// Every member of the top level, in order.
    pub fields: Vec<Field>,
}

impl RequestView {
    /// A request to `endpoint` of which nothing was read.
    pub fn empty(endpoint: Endpoint) -> RequestView {
        RequestView {
            endpoint,
            model: String::new(),
            model_range: 0..0,
            stream: false,
            stream_options: None,
            include_usage: None,
            user: None,
            conversation_id: None,
            messages: None,
            conversation_prefix: None,
            system: None,
            input: None,
            has_token_arrays: false,
            previous_response_id: None,
            max_tokens: None,
            max_completion_tokens: None,
            n: None,
            tools: None,
            response_format: ResponseFormat::Text,
            store: None,
            fields: Vec::with_capacity(12),
        }
    }

    /// True when the caller asked for the usage chunk at the end of its stream.
    pub fn wants_usage(&self) -> bool {
        self.include_usage.as_ref().is_some_and(|value| value.kind == Kind::True)
    }

    /// True when an answer to this request has a format that can be checked: JSON was asked for, or tools may be called.
    pub fn has_format(&self) -> bool {
        self.response_format != ResponseFormat::Text || self.tools.is_some()
    }

    /// The fields of the top level named `name` in `body`, in order. More than one only for names Crossfade does not read.
    pub fn named<'v>(&'v self, body: &'v [u8], name: &'v str) -> impl Iterator<Item = (usize, &'v Field)> {
        self.fields.iter().enumerate().filter(move |(_, field)| key_is(body, &field.key, name))
    }

    /// How many prompts a request for completions holds: each is answered by itself.
    pub fn n_prompts(&self, body: &[u8]) -> u64 {
        let Some(prompt) = self.conversation_prefix.clone() else { return 1 };
        if body.get(prompt.start) != Some(&b'[') {
            return 1;
        }
        let (mut n, mut tokens) = (0, false);
        let counted = crate::scan::each_element(body, prompt, |element| {
            n += 1;
            tokens = element.kind == Kind::Number;
            Ok(if tokens { crate::scan::Next::Stop } else { crate::scan::Next::Go })
        });
        if counted.is_err() || tokens { 1 } else { n.max(1) }
    }

    /// The bytes that name the conversation when nothing else does.
    pub fn prefix_bytes<'b>(&self, body: &'b [u8]) -> Option<&'b [u8]> {
        body.get(self.conversation_prefix.clone()?)
    }
}

fn key_is(body: &[u8], key: &Range<usize>, name: &str) -> bool {
    let inner = &body[key.start + 1..key.end - 1];
    if inner == name.as_bytes() {
        return true;
    }
    inner.contains(&b'\\') && crate::scan::unescape(body, key.clone()).is_ok_and(|key| key == name)
}

/// An error about the field `param`: it should be `expected` and is `kind`.
fn wrong_type(at: usize, param: &'static str, expected: &str, kind: Kind) -> ScanError {
    ScanError::new(at, Cow::Owned(format!("`{param}` must be {expected}, not {}", kind.as_str()))).about(param)
}

#[cfg(test)]
mod tests;
