//! What a chat server answers, as far as a translation needs it. Every field may be missing: servers differ.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json;
use crate::failure::{Failure, FailureKind};

/// A whole answer, or one chunk of a stream.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(crate) model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) object: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    #[serde(borrow, default)]
    pub(crate) service_tier: Option<&'a RawValue>,
}

/// One choice. A stream calls its message `delta`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(default)]
    pub(crate) index: Option<u64>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    delta: Option<Message<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) logprobs: Option<LogProbabilities<'a>>,
}

impl<'a> Choice<'a> {
    /// The message, or what the chunk adds to it.
    pub(crate) fn said(&self) -> Option<&Message<'a>> {
        self.delta.as_ref().or(self.message.as_ref())
    }

    /// Why the model stopped, once it has.
    pub(crate) fn finish_reason(&self) -> Option<Cow<'a, str>> {
        json::text(self.finish_reason?)
    }
}

/// A message, or what a chunk adds to it.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    pub(crate) annotations: Option<Vec<&'a RawValue>>,
}

impl Message<'_> {
    /// The reasoning in it. The same words come under one name or the other, or under both.
    pub(crate) fn reasoning(&self) -> Option<&str> {
        let under = |text: &'_ Option<Text<'_>>| text.as_ref().is_some_and(|text| !text.0.is_empty());
        let text = if under(&self.reasoning_content) { &self.reasoning_content } else { &self.reasoning };
        text.as_ref().map(|text| text.0.as_ref()).filter(|text| !text.is_empty())
    }

    /// The text in it.
    pub(crate) fn text(&self) -> Option<&str> {
        self.content.as_ref().map(|text| text.0.as_ref()).filter(|text| !text.is_empty())
    }

    /// The words with which it refuses.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refusal.as_ref().map(|text| text.0.as_ref()).filter(|text| !text.is_empty())
    }
}

/// A string, or the texts of a list of parts one after the other. Anything else is no text.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        #[derive(serde::Deserialize)]
        struct Part<'a> {
            #[serde(borrow, default)]
            text: Option<Cow<'a, str>>,
        }
        let raw = <&'a RawValue>::deserialize(deserializer)?;
        if let Some(text) = json::text(raw) {
            return Ok(Text(text));
        }
        let parts: Vec<Part<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
        Ok(Text(Cow::Owned(parts.into_iter().filter_map(|part| part.text).collect())))
    }
}

/// A call of a tool, or what a chunk adds to one.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct ToolCall<'a> {
    #[serde(default)]
    pub(crate) index: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) function: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub(crate) custom: Option<Function<'a>>,
}

/// What is called, and with what.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Function<'a> {
    #[serde(borrow, default)]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

impl<'a> Function<'a> {
    /// The arguments as text. Some servers send the object itself.
    pub(crate) fn arguments(&self) -> Cow<'a, str> {
        match self.arguments.or(self.input) {
            None => Cow::Borrowed(""),
            Some(raw) => json::text(raw).unwrap_or_else(|| Cow::Owned(json::compact(raw))),
        }
    }
}

/// Log probabilities of what a choice says.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct LogProbabilities<'a> {
    #[serde(borrow, default)]
    pub(crate) content: Option<Vec<TokenLogProbability<'a>>>,
}

/// One token and what else might have stood there.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct TokenLogProbability<'a> {
    #[serde(borrow)]
    pub(crate) token: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) logprob: &'a RawValue,
    #[serde(default)]
    pub(crate) bytes: Option<Vec<u8>>,
    #[serde(borrow, default)]
    pub(crate) top_logprobs: Option<Vec<TokenLogProbability<'a>>>,
}

/// Counted tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: Count,
    pub(crate) completion_tokens: Count,
    pub(crate) total_tokens: Option<Count>,
    pub(crate) prompt_tokens_details: Option<PromptDetails>,
    pub(crate) completion_tokens_details: Option<CompletionDetails>,
}

/// A number that may be null, which is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        Ok(Count(Option::<u64>::deserialize(deserializer)?.unwrap_or(0)))
    }
}

/// Of the tokens of the prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(crate) struct PromptDetails {
    pub(crate) cached_tokens: Count,
    pub(crate) cache_write_tokens: Count,
}

/// Of the tokens of the completion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(crate) struct CompletionDetails {
    pub(crate) reasoning_tokens: Count,
}

impl<'a> Answer<'a> {
    /// Reads an answer or a chunk; an error object is a failure.
    pub(crate) fn read(body: &'a [u8], error_kind: FailureKind) -> Result<Answer<'a>, Failure> {
        let answer: Answer<'a> = serde_json::from_slice(body).map_err(|error| {
            let at = (error.line(), error.column());
            Failure::new(FailureKind::Malformed, format!("not a chat completion: line {} column {}", at.0, at.1))
        })?;
        if answer.is_error() {
            return Err(Failure::new(error_kind, "the chat server answered with an error object"));
        }
        Ok(answer)
    }

    /// A top-level `error` that the SDKs raise, or `"object":"error"`.
    fn is_error(&self) -> bool {
        let truthy = |error: &RawValue| !matches!(error.get(), "null" | "false" | "0" | "\"\"" | "{}" | "[]");
        self.error.is_some_and(truthy) || self.object.is_some_and(|object| object.get() == r#""error""#)
    }

    /// The first choice: the others were not asked for.
    pub(crate) fn choice(&self) -> Option<&Choice<'a>> {
        self.choices.as_ref()?.iter().find(|choice| choice.index.unwrap_or(0) == 0)
    }
}
