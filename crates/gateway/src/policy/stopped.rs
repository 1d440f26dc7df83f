//! What a caller is told whose request or answer does not go on.

use bytes::Bytes;
use govern::policy::BlockedAs;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use wire::failure::{Failure, FailureKind};
use wire::record::{Endpoint, Verdict};

use crate::call::{Dead, Effort};
use crate::record::Exchange;
use crate::translate::{self, Marks};

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
    let answer = (as_answer && verdict == Verdict::Block).then(|| filtered(exchange)).flatten();
    Dead { failure, answer, effort: Effort::Some }
}

/// An answer without text that ended for `content_filter`, in the words of the caller's dialect: for Responses an incomplete one, for
/// Messages one that stopped for `refusal`. `None` where an answer is no text.
fn filtered(exchange: &Exchange) -> Option<(StatusCode, HeaderMap, Bytes)> {
    let (request, streamed) = (&exchange.request, exchange.request.streamed());
    let body = if request.endpoint == Endpoint::Completions {
        completion(exchange)
    } else {
        let marks = Marks { id: exchange.id, created_us: exchange.arrival.unix_us };
        translate::said_to(request.endpoint, (&chat(exchange), streamed), (&request.body, marks))?
    };
    let kind = if streamed { "text/event-stream" } else { "application/json" };
    Some((StatusCode::OK, HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]), body))
}

fn chat(exchange: &Exchange) -> Bytes {
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
    of_choice(exchange, ("chatcmpl", object), &said)
}

fn completion(exchange: &Exchange) -> Bytes {
    let said = json!({ "index": 0, "text": "", "logprobs": null, "finish_reason": "content_filter" });
    of_choice(exchange, ("cmpl", "text_completion"), &said)
}

fn of_choice(exchange: &Exchange, (prefix, object): (&str, &str), said: &Value) -> Bytes {
    let (model, created) = (exchange.request.model(), exchange.arrival.unix_us / 1_000_000);
    let id = format!("{prefix}-{}", exchange.id);
    let mut body = json!({ "id": id, "object": object, "created": created, "model": model, "choices": [said] });
    if exchange.request.streamed() {
        return Bytes::from(format!("data: {body}\n\ndata: [DONE]\n\n"));
    }
    body["usage"] = json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 });
    Bytes::from(body.to_string())
}
