//! Fields that are read beyond chat completions.

use super::read::{conversation_key, inside, response_format, text};
use super::{RequestView, Value, wrong_type};
use crate::openai::ResponseFormat;
use crate::record::Endpoint;
use crate::scan::{Kind, ScanError};

/// Takes the value of the top-level field `key`.
pub(super) fn field(body: &[u8], key: &'static str, value: Value, view: &mut RequestView) -> Result<(), ScanError> {
    let is_string = || match value.kind {
        Kind::Null => Ok(false),
        Kind::String => Ok(true),
        kind => Err(wrong_type(value.range.start, key, "a string", kind)),
    };
    match (key, view.endpoint) {
        ("input" | "prompt", _) if value.kind != Kind::Null => asked(body, key, value, view),
        // Speech says in this field what others say in `stream`.
        ("stream_format", Endpoint::Speech) if value.kind == Kind::String => {
            view.stream |= text(body, &value, key)? == "sse";
        }
        ("previous_response_id", Endpoint::Responses) if is_string()? => {
            view.previous_response_id = Some(text(body, &value, key)?);
        }
        ("conversation", Endpoint::Responses) => {
            let id = match value.kind {
                Kind::Object => inside(body, &value.range, "id", "conversation.id")?,
                _ => Some(value),
            };
            if let Some(id) = id.filter(|id| id.kind == Kind::String) {
                view.conversation_id = Some(text(body, &id, "conversation")?);
            }
        }
        ("text", Endpoint::Responses) if value.is_object() => {
            if let Some(format) = inside(body, &value.range, "format", "text.format")?.filter(Value::is_object)
                && let Some(kind) = inside(body, &format.range, "type", "text.format.type")?
            {
                view.response_format = response_format(body, kind)?;
            }
        }
        ("output_config", Endpoint::Messages) if value.is_object() => {
            let format = inside(body, &value.range, "format", "output_config.format")?;
            if format.is_some_and(|format| format.is_object()) {
                view.response_format = ResponseFormat::JsonSchema;
            }
        }
        _ => {}
    }
    Ok(())
}

/// What is asked about: text or tokens, or the turns of a conversation.
fn asked(body: &[u8], key: &'static str, value: Value, view: &mut RequestView) {
    let is_conversation = conversation_key(view.endpoint) == Some(key);
    let is_prompt = view.endpoint == Endpoint::Completions && key == "prompt";
    view.has_token_arrays |= (is_prompt || key == "input") && !is_conversation && holds_numbers(body, &value);
    if (is_conversation || is_prompt) && view.conversation_prefix.is_none() {
        view.conversation_prefix = Some(value.range.clone());
    }
    if key == "input" {
        view.input = Some(value.range);
    }
}

/// `metadata` of Messages names the user.
pub(super) fn metadata(body: &[u8], value: &Value, view: &mut RequestView) -> Result<(), ScanError> {
    if view.endpoint == Endpoint::Messages
        && let Some(user) = inside(body, &value.range, "user_id", "metadata.user_id")?
        && user.kind == Kind::String
    {
        view.user = Some(text(body, &user, "metadata.user_id")?);
    }
    Ok(())
}

/// Whether the value is an array of tokens or of arrays of tokens. Its first element tells: no server takes a mixture.
fn holds_numbers(body: &[u8], value: &Value) -> bool {
    let mut rest = &body[value.range.clone()];
    for _ in 0..2 {
        match rest.strip_prefix(b"[") {
            Some(elements) => rest = elements.trim_ascii_start(),
            None => return false,
        }
        if rest.first().is_some_and(|first| first.is_ascii_digit() || *first == b'-') {
            return true;
        }
    }
    false
}
