//! Errors of the dialect: `{"type":"error","error":{"type":…,"message":…}}`, and what they mean in Crossfade's words.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;

use crate::failure::FailureKind;
use crate::openai::{ErrorBody, Refusal};

/// The status a caller of this dialect gets with `refusal`: the same but for two that the dialect has its own for, 529
/// (overloaded) and 402 (billing).
pub fn status(refusal: &Refusal) -> u16 {
    match class(Some(refusal.status), &refusal.body) {
        "overloaded_error" => 529,
        "billing_error" => 402,
        _ => refusal.status,
    }
}

/// The body a caller of this dialect gets with `refusal`. `request_id` is what the header `request-id` says; null when nobody knows it.
pub fn body(refusal: &Refusal, request_id: Option<&str>) -> Bytes {
    Bytes::from(envelope(class(Some(refusal.status), &refusal.body), &refusal.body.message, request_id))
}

/// The event that tells a caller that the stream failed. After it comes nothing, above all no `message_stop`.
pub fn event(body: &ErrorBody) -> Bytes {
    let json = envelope(class(None, body), &body.message, None);
    Bytes::from([b"event: error\ndata: ", json.as_slice(), b"\n\n"].concat())
}

/// What a provider's error means, by its `error.type`. In the middle of a stream it is
/// [`FailureKind::ErrorInStream`] whatever it says, except for what another target cannot better either.
pub fn kind(error_type: &str) -> FailureKind {
    match error_type {
        "rate_limit_error" => FailureKind::RateLimited,
        "billing_error" => FailureKind::QuotaExhausted,
        "authentication_error" | "permission_error" => FailureKind::Authentication,
        "invalid_request_error" | "not_found_error" | "request_too_large" | "conflict_error" => {
            FailureKind::HttpClientError
        }
        _ => FailureKind::HttpServerError,
    }
}

/// `error.type` for an error in OpenAI's words. The status, when there is one, knows better than the words.
pub(crate) fn class(status: Option<u16>, body: &ErrorBody) -> &'static str {
    match status {
        Some(401) => return "authentication_error",
        Some(402) => return "billing_error",
        Some(403) => return "permission_error",
        Some(404) => return "not_found_error",
        Some(409) => return "conflict_error",
        Some(413) => return "request_too_large",
        Some(504) => return "timeout_error",
        Some(503 | 529) => return "overloaded_error",
        _ => {}
    }
    let code = body.code.as_deref().unwrap_or_default();
    match (body.kind.as_ref(), code) {
        ("insufficient_quota", _) | (_, "insufficient_quota") => "billing_error",
        (_, "rate_limit_exceeded") | ("rate_limit_error" | "rate_limit_exceeded" | "tokens" | "requests", _) => {
            "rate_limit_error"
        }
        (_, "model_not_found" | "unknown_url") => "not_found_error",
        (_, "request_too_large") => "request_too_large",
        (_, "breaker_open" | "capacity" | "record_unavailable" | "shutting_down" | "overloaded") => "overloaded_error",
        (_, code) if code.starts_with("timeout") => "timeout_error",
        _ if status == Some(429) => "rate_limit_error",
        _ if status.is_some_and(|status| (400..500).contains(&status)) => "invalid_request_error",
        ("invalid_request_error", _) if status.is_none() => "invalid_request_error",
        _ => "api_error",
    }
}

/// The envelope.
pub(crate) fn envelope(class: &str, message: &str, request_id: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Inner<'a> {
        #[serde(rename = "type")]
        class: &'a str,
        message: Cow<'a, str>,
    }
    #[derive(Serialize)]
    struct Envelope<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        error: Inner<'a>,
        request_id: Option<&'a str>,
    }
    let error = Inner { class, message: Cow::Borrowed(message) };
    // Strings only: there is nothing in it that cannot be written.
    serde_json::to_vec(&Envelope { kind: "error", error, request_id }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;
    use crate::failure::Failure;

    #[test]
    fn every_failure_has_a_status_and_a_type_of_the_dialect() {
        let mut table = String::new();
        for &kind in FailureKind::ALL {
            let refusal = Refusal::of(&Failure::new(kind, "secret"));
            let in_stream = class(None, &refusal.body);
            writeln!(
                table,
                "{kind}: {} {} ({in_stream})",
                status(&refusal),
                class(Some(refusal.status), &refusal.body)
            )
            .unwrap();
        }
        expect![[r#"
            connect: 502 api_error (api_error)
            dns: 502 api_error (api_error)
            tls: 502 api_error (api_error)
            timeout_connect: 504 timeout_error (timeout_error)
            timeout_first_token: 504 timeout_error (timeout_error)
            timeout_inter_token: 504 timeout_error (timeout_error)
            timeout_total: 504 timeout_error (timeout_error)
            disconnected: 502 api_error (api_error)
            http_client_error: 400 invalid_request_error (invalid_request_error)
            http_server_error: 502 api_error (api_error)
            rate_limited: 429 rate_limit_error (rate_limit_error)
            quota_exhausted: 402 billing_error (billing_error)
            authentication: 502 api_error (api_error)
            error_in_body: 502 api_error (api_error)
            error_in_stream: 502 api_error (api_error)
            malformed: 502 api_error (api_error)
            breaker_open: 529 overloaded_error (overloaded_error)
            capacity: 529 overloaded_error (overloaded_error)
            client_gone: 499 invalid_request_error (invalid_request_error)
            invalid_request: 400 invalid_request_error (invalid_request_error)
            not_found: 404 not_found_error (not_found_error)
            too_large: 413 request_too_large (request_too_large)
            record_unavailable: 529 overloaded_error (overloaded_error)
            shutting_down: 529 overloaded_error (overloaded_error)
            internal: 500 api_error (api_error)
            unsupported: 400 invalid_request_error (invalid_request_error)
            unauthenticated: 401 authentication_error (invalid_request_error)
            forbidden: 403 permission_error (invalid_request_error)
            recovering: 529 overloaded_error (api_error)
            retry_budget: 529 overloaded_error (api_error)
            caller_deadline: 504 timeout_error (api_error)
            request_limit: 429 rate_limit_error (rate_limit_error)
            token_limit: 429 rate_limit_error (rate_limit_error)
            concurrency_limit: 429 rate_limit_error (rate_limit_error)
            budget_limit: 402 billing_error (billing_error)
            too_slow: 504 timeout_error (api_error)
            residency: 403 permission_error (invalid_request_error)
            policy: 400 invalid_request_error (invalid_request_error)
            referred: 403 permission_error (invalid_request_error)
            drill: 529 overloaded_error (api_error)
            withdrawn: 529 overloaded_error (api_error)
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn an_error_has_its_own_envelope() {
        let refusal = Refusal::unsupported("`tools.0` needs a tool that runs at the provider.", "tools.0");
        expect![[r#"{"type":"error","error":{"type":"invalid_request_error","message":"`tools.0` needs a tool that runs at the provider."},"request_id":"req_1"}"#]].assert_eq(std::str::from_utf8(&body(&refusal, Some("req_1"))).unwrap());
        let refusal = Refusal::of(&Failure::new(FailureKind::Capacity, ""));
        expect![[r#"
            event: error
            data: {"type":"error","error":{"type":"overloaded_error","message":"The gateway is at capacity."},"request_id":null}

        "#]]
        .assert_eq(std::str::from_utf8(&event(&refusal.body)).unwrap());
    }

    #[test]
    fn a_providers_error_has_a_kind() {
        for (error_type, expected) in [
            ("overloaded_error", FailureKind::HttpServerError),
            ("api_error", FailureKind::HttpServerError),
            ("rate_limit_error", FailureKind::RateLimited),
            ("billing_error", FailureKind::QuotaExhausted),
            ("permission_error", FailureKind::Authentication),
            ("not_found_error", FailureKind::HttpClientError),
            ("a_new_one", FailureKind::HttpServerError),
        ] {
            assert_eq!(kind(error_type), expected, "{error_type}");
        }
    }
}
