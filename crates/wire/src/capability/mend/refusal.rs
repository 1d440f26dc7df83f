//! Answers that say no.

use bytes::Bytes;
use serde_json::Value;

use super::{Findings, Plan};
use crate::capability::{Capability, Treatment};
use crate::openai::ErrorBody;
use crate::record::AdaptationAction;

/// The dialect's code for a conversation that is too long.
const TOO_LONG: &str = "context_length_exceeded";

/// A longer body is no error of a server.
const MAX_BYTES: usize = 64 << 10;

/// Looks at a refusal; the body put right, when there was something to be.
pub(super) fn mend(plan: &Plan, status: u16, body: &[u8], findings: &mut Findings) -> Option<Bytes> {
    if body.len() > MAX_BYTES {
        return None;
    }
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error = json.as_ref().and_then(|json| json.get("error")).filter(|error| error.is_object());
    let fits = error.is_some_and(conforms);
    let told = json.as_ref().map_or_else(|| Told::text(body), Told::json);
    let too_long =
        plan.fixes(Capability::ContextLength) && told.is_too_long() && told.code.as_deref() != Some(TOO_LONG);
    if too_long {
        findings.note(Capability::ContextLength, AdaptationAction::Fixed);
    }
    match plan.treatment(Capability::ErrorEnvelope) {
        Treatment::Fix if !fits => findings.note(Capability::ErrorEnvelope, AdaptationAction::Fixed),
        Treatment::Count if !fits => {
            plan.count(Capability::ErrorEnvelope, findings);
            // Another envelope has no place for the code.
            return None;
        }
        _ if !too_long => return None,
        _ => {}
    }
    Some(told.enveloped(status, too_long))
}

/// All four members, each of its type.
fn conforms(error: &Value) -> bool {
    let text_or_null = |name: &str| error.get(name).is_some_and(|value| value.is_string() || value.is_null());
    error["message"].is_string() && error["type"].is_string() && text_or_null("param") && text_or_null("code")
}

/// What a server said, whatever it put it in.
struct Told {
    message: String,
    kind: Option<String>,
    param: Option<String>,
    code: Option<String>,
}

impl Told {
    fn text(body: &[u8]) -> Told {
        let message: String = String::from_utf8_lossy(body).trim().chars().take(1000).collect();
        Told { message, kind: None, param: None, code: None }
    }

    fn json(json: &Value) -> Told {
        // OpenAI's own, llama.cpp's: an object under `error`. TGI's: a text under it, with `error_type` beside. vLLM's older
        // one: no `error` at all. FastAPI's: `detail`, a text or a list of what is wrong where.
        let (inside, kind) = match json.get("error") {
            Some(error @ Value::Object(_)) => (error, &error["type"]),
            Some(Value::String(_)) => (json, &json["error_type"]),
            _ => (json, &json["type"]),
        };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let first_detail = &json["detail"][0];
        let message = [&inside["message"], &json["error"], &json["message"], &json["detail"], &first_detail["msg"]]
            .into_iter()
            .find_map(text)
            .unwrap_or_else(|| json.to_string().chars().take(1000).collect());
        let last_place = first_detail["loc"].as_array().and_then(|place| place.last()).and_then(text);
        Told { message, kind: text(kind), param: text(&inside["param"]).or(last_place), code: text(&inside["code"]) }
    }

    /// llama.cpp says so in the type; vLLM, SGLang and TGI in words.
    fn is_too_long(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        self.kind.as_deref() == Some("exceed_context_size_error")
            || ["maximum context length", "context size", "context length", "inputs tokens + max_new_tokens"]
                .iter()
                .any(|words| message.contains(words))
    }

    fn enveloped(self, status: u16, too_long: bool) -> Bytes {
        let usual = if status >= 500 { "server_error" } else { "invalid_request_error" };
        let kind = if too_long { usual.to_owned() } else { self.kind.unwrap_or_else(|| usual.to_owned()) };
        let mut body = ErrorBody::new(self.message, kind);
        body.param = self.param.map(Into::into).or(too_long.then_some("messages".into()));
        body.code = if too_long { Some(TOO_LONG.into()) } else { self.code.map(Into::into) };
        body.to_json()
    }
}
