//! The body of an answer that is an error. Both dialects have the same envelope; what differs are the names of fields in it.

use serde_json::value::RawValue;

use super::super::json::{self, Object};
use crate::openai::ErrorBody;

/// Chat fields and what a caller of Responses calls them.
const NAMES: [(&str, &str); 8] = [
    ("max_completion_tokens", "max_output_tokens"),
    ("max_tokens", "max_output_tokens"),
    ("messages", "input"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
    ("logprobs", "include"),
    ("functions", "tools"),
];

/// The body of an answer with an error status, as a caller of Responses expects it: the envelope with all four keys, and
/// `param` in the words of Responses. The two older forms of inference servers (`{"object":"error","message":…}` and
/// `{"error":"…"}`) and bodies that are no JSON get an envelope too.
pub fn error(status: u16, body: &[u8]) -> Vec<u8> {
    let body = serde_json::from_slice::<&RawValue>(body).ok().and_then(|body| read(status, body));
    body.unwrap_or_else(|| ErrorBody::new("The model provider answered with an error.", class(status)))
        .to_json()
        .to_vec()
}

fn read(status: u16, body: &RawValue) -> Option<ErrorBody> {
    let top = json::object(body)?;
    match top.get("error") {
        Some(error) if json::is_text(error) => Some(ErrorBody::new(json::text(error)?.into_owned(), class(status))),
        Some(error) => of(status, &json::object(error)?),
        None => of(status, &top),
    }
}

fn of(status: u16, error: &Object<'_>) -> Option<ErrorBody> {
    let message = error.text("message")?.into_owned();
    let kind = error.text("type").map_or(class(status).into(), |kind| kind.into_owned().into());
    let mut body = ErrorBody { message: message.into(), kind, param: None, code: None };
    if let Some(code) = error.get("code") {
        // Some servers repeat the status here, as a number.
        body.code = Some(json::text(code).map_or_else(|| code.get().to_owned(), |code| code.into_owned()).into());
    }
    body.param = error.text("param").map(|param| renamed(&param).into());
    Some(body)
}

/// `messages[0].content` becomes `input`: places in one do not fit the other.
fn renamed(param: &str) -> String {
    let (head, _) = param.split_at(param.find(['[', '.']).unwrap_or(param.len()));
    match NAMES.iter().find(|(chat, _)| *chat == head) {
        Some((_, responses)) => (*responses).to_owned(),
        None => param.to_owned(),
    }
}

const fn class(status: u16) -> &'static str {
    match status {
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}
