//! What Crossfade reads of a request: a few fields and where they are. One pass, no document model.

mod read;

use std::borrow::Cow;
use std::ops::Range;

use crate::openai::ResponseFormat;
use crate::record::Endpoint;
use crate::scan::{Kind, ScanError};

pub use read::parse;

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
    /// `model`: the route it names.
    pub model: String,
    /// Where the value of `model` is, quotation marks included.
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
    /// `input` of an embeddings request.
    pub input: Option<Range<usize>>,
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
