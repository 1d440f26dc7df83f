//! Answers made up in a provider's place, for drills: no socket is opened and no token is paid for. Each carries `x-simulated: true`.
//!
//! They are always whole, also where a stream was asked for: that is a provider's right, and what reads them has to cope.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use wire::record::Endpoint;

use crate::reply::{Reply, ReplyBody};
use crate::simulated::SimulatedBody;

const X_SIMULATED: HeaderName = HeaderName::from_static("x-simulated");
/// JSON that breaks off.
const BROKEN: &str = "{\"drill\": [1, 2";
const DECLINED: &str = "I cannot help with that. (drill)";

/// What is wrong with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is status 500.
    Error,
    /// Its text should be JSON and breaks off.
    Malformed,
    /// It declines.
    Refusal,
}

/// The answer of a provider with this fault, in the dialect of `endpoint`.
#[must_use]
pub fn answer(fault: Fault, endpoint: Endpoint) -> Reply {
    let (status, body) = match fault {
        Fault::Error => (StatusCode::INTERNAL_SERVER_ERROR, error(endpoint)),
        Fault::Malformed => (StatusCode::OK, said(endpoint, BROKEN, false)),
        Fault::Refusal => (StatusCode::OK, said(endpoint, DECLINED, true)),
    };
    let bytes = Bytes::from(body.to_string());
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CONTENT_LENGTH, HeaderValue::from(bytes.len())),
        (X_SIMULATED, HeaderValue::from_static("true")),
    ]);
    Reply { status, headers, body: ReplyBody::made_up(SimulatedBody::whole(bytes, None, None)), simulated: true }
}

fn error(endpoint: Endpoint) -> Value {
    let message = "a drill's error: no provider was called";
    match endpoint {
        Endpoint::Messages => json!({ "type": "error", "error": { "type": "api_error", "message": message } }),
        _ => json!({ "error": { "message": message, "type": "server_error", "param": null, "code": "drill" } }),
    }
}

/// An answer that says `text`, in the field for refusals where it `declines` and the dialect has one.
fn said(endpoint: Endpoint, text: &str, declines: bool) -> Value {
    match endpoint {
        Endpoint::Messages => json!({
            "id": "msg_drill", "type": "message", "role": "assistant", "model": "drill",
            "content": [{ "type": "text", "text": text }],
            "stop_reason": if declines { "refusal" } else { "end_turn" }, "stop_sequence": null,
            "usage": { "input_tokens": 0, "output_tokens": 0 },
        }),
        Endpoint::Responses => {
            let part = if declines {
                json!({ "type": "refusal", "refusal": text })
            } else {
                json!({ "type": "output_text", "text": text, "annotations": [] })
            };
            json!({
                "id": "resp_drill", "object": "response", "created_at": 0, "status": "completed", "model": "drill", "error": null,
                "output": [{
                    "type": "message", "id": "msg_drill", "status": "completed", "role": "assistant", "content": [part],
                }],
            })
        }
        Endpoint::Completions => json!({
            "id": "cmpl-drill", "object": "text_completion", "created": 0, "model": "drill",
            "choices": [{
                "index": 0, "text": if declines { "" } else { text }, "logprobs": null,
                "finish_reason": if declines { "content_filter" } else { "stop" },
            }],
        }),
        _ => {
            let message = if declines {
                json!({ "role": "assistant", "content": null, "refusal": text })
            } else {
                json!({ "role": "assistant", "content": text, "refusal": null })
            };
            json!({
                "id": "chatcmpl-drill", "object": "chat.completion", "created": 0, "model": "drill",
                "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" }],
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fault: Fault, endpoint: Endpoint) -> (u16, Bytes) {
        let reply = answer(fault, endpoint);
        assert!(reply.simulated);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        (reply.status.as_u16(), runtime.block_on(reply.body.collect(1 << 16)).unwrap())
    }

    #[test]
    fn a_fault_is_what_the_dialects_own_reader_takes_it_for() {
        use wire::openai::{answer, response};

        let (status, _) = body(Fault::Error, Endpoint::ChatCompletions);
        assert_eq!(status, 500);
        for (endpoint, inspect) in
            [(Endpoint::ChatCompletions, answer::inspect as fn(&[u8]) -> _), (Endpoint::Responses, response::inspect)]
        {
            let (_, refusal) = body(Fault::Refusal, endpoint);
            assert_eq!(inspect(&refusal).declines(&refusal), Some(true), "{endpoint:?}");
            let (_, malformed) = body(Fault::Malformed, endpoint);
            let facts = inspect(&malformed);
            assert_eq!(facts.declines(&malformed), Some(false), "{endpoint:?}");
            assert_eq!(facts.format_valid(&malformed, wire::openai::ResponseFormat::JsonObject), Some(false));
        }
        let (_, refusal) = body(Fault::Refusal, Endpoint::Messages);
        assert_eq!(wire::messages::answer::inspect(&refusal).stop_reason.as_deref(), Some("refusal"));
        let (_, malformed) = body(Fault::Malformed, Endpoint::Messages);
        assert!(wire::messages::answer::inspect(&malformed).has_answer);
    }
}
