//! What a caller is told whose request or answer does not go on.

use bytes::Bytes;
use govern::policy::BlockedAs;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::json;
use wire::failure::{Failure, FailureKind};
use wire::record::{Endpoint, Verdict};

use crate::call::{Dead, Effort};
use crate::record::Exchange;

/// What it is called on record.
pub(super) const fn kind(verdict: Verdict) -> FailureKind {
    match verdict {
        Verdict::Escalate => FailureKind::Referred,
        _ => FailureKind::Policy,
    }
}

/// The end of an exchange that does not go on.
pub(super) fn dead(exchange: &Exchange, verdict: Verdict) -> Dead {
    let failure = Failure::new(kind(verdict), "stopped by the route's policy");
    let as_answer = exchange.route.policy.as_ref().is_some_and(|policy| policy.blocked_as == BlockedAs::ContentFilter);
    let answer = (as_answer && verdict == Verdict::Block && exchange.request.endpoint == Endpoint::ChatCompletions)
        .then(|| filtered(exchange));
    Dead { failure, answer, effort: Effort::Some }
}

/// A chat without text that ended for `content_filter`.
fn filtered(exchange: &Exchange) -> (StatusCode, HeaderMap, Bytes) {
    let (model, created) = (exchange.request.model(), exchange.arrival.unix_us / 1_000_000);
    let id = format!("chatcmpl-{}", exchange.id);
    let streamed = exchange.request.streamed();
    let (object, said) = if streamed {
        (
            "chat.completion.chunk",
            json!({ "index": 0, "delta": { "role": "assistant", "content": "" }, "finish_reason": "content_filter" }),
        )
    } else {
        (
            "chat.completion",
            json!({ "index": 0, "message": { "role": "assistant", "content": null, "refusal": null }, "logprobs": null, "finish_reason": "content_filter" }),
        )
    };
    let mut body = json!({ "id": id, "object": object, "created": created, "model": model, "choices": [said] });
    if !streamed {
        body["usage"] = json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 });
    }
    let (kind, body) = if streamed {
        ("text/event-stream", format!("data: {body}\n\ndata: [DONE]\n\n"))
    } else {
        ("application/json", body.to_string())
    };
    (StatusCode::OK, HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]), Bytes::from(body))
}
