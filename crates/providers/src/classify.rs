//! What an answer that is no success means.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use wire::failure::{Failure, FailureKind, Origin, Retry};

/// The longest pause a provider's `retry-after` can impose; longer ones, and nonsense, are cut to it or dropped.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);
/// How much of a body is read to classify it. Error bodies are shorter; longer ones are judged by their status.
pub const PREFIX: usize = 16 * 1024;

/// Classifies an answer whose status is no success. `body` is its body, or the beginning of it; `now` is the wall clock, to
/// read a date in `retry-after`.
pub fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Failure {
    let error = read(body).unwrap_or_default();
    let kind = match status.as_u16() {
        429 if error.says_quota() => FailureKind::QuotaExhausted,
        429 => FailureKind::RateLimited,
        402 => FailureKind::QuotaExhausted,
        401 | 403 => FailureKind::Authentication,
        408 => FailureKind::HttpServerError,
        500..=599 => FailureKind::HttpServerError,
        _ => FailureKind::HttpClientError,
    };
    let mut failure = Failure::new(kind, error.words()).with_status(status.as_u16());
    let wait = retry_after(headers, now);
    match kind {
        FailureKind::RateLimited => {
            failure = failure.with_retry(wait.map_or(Retry::Elsewhere, Retry::After));
        }
        FailureKind::HttpServerError => {
            if let Some(wait) = wait {
                failure = failure.with_retry(Retry::After(wait));
            }
        }
        // A request that is too long for this model, or a model that is not there, may be fine for another target; a
        // malformed one is not.
        FailureKind::HttpClientError => {
            if status.as_u16() == 404 || error.says_not_for_this_model() {
                failure = failure.with_retry(Retry::Elsewhere);
            }
            // What the caller did not do cannot be the caller's fault.
            if status.as_u16() == 404 || status.is_redirection() {
                failure = failure.with_origin(Origin::Provider).with_retry(Retry::Elsewhere);
            }
        }
        _ => {}
    }
    failure
}

/// The error in a body that came with status 200: an object with a truthy `error`, or vLLM's older
/// `{"object":"error"}`. A whole healthy answer is not parsed: its first bytes tell.
pub fn error_in_body(body: &[u8]) -> Option<Failure> {
    let head = &body[..body.len().min(256)];
    let suspicious = contains(head, b"\"error\"");
    if !suspicious || body.len() > PREFIX {
        return None;
    }
    let error = read(body)?;
    let kind = if error.says_quota() {
        FailureKind::QuotaExhausted
    } else if error.is_rate_limit() {
        FailureKind::RateLimited
    } else {
        FailureKind::ErrorInBody
    };
    Some(Failure::new(kind, error.words()).with_status(200))
}

/// How long the provider asks to wait: `retry-after-ms`, else `retry-after` in seconds or as a date. Negative, not a
/// number and unreadable count as not given; more than two minutes counts as two.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let number = |value: &str| value.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let clamp = |seconds: f64| Duration::from_secs_f64(seconds.min(LONGEST_RETRY_AFTER.as_secs_f64()));
    if let Some(millis) = headers.get("retry-after-ms").and_then(|value| value.to_str().ok()).and_then(number) {
        return Some(clamp(millis / 1000.0));
    }
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Some(seconds) = number(value) {
        return Some(clamp(seconds));
    }
    let until = httpdate::parse_http_date(value.trim()).ok()?;
    until.duration_since(now).ok().map(|wait| wait.min(LONGEST_RETRY_AFTER))
}

/// The parts of an error body that classification reads.
#[derive(Debug, Default)]
struct ErrorFacts {
    kind: String,
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    error: serde_json::Value,
    #[serde(default)]
    object: serde_json::Value,
    #[serde(default)]
    message: serde_json::Value,
    #[serde(default, rename = "type")]
    kind: serde_json::Value,
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    detail: serde_json::Value,
}

fn read(body: &[u8]) -> Option<ErrorFacts> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let facts = |kind: &serde_json::Value, code: &serde_json::Value, message: &serde_json::Value| ErrorFacts {
        kind: text(kind),
        code: text(code),
        message: text(message),
    };
    match &envelope.error {
        serde_json::Value::Object(error) => {
            let part = |name: &str| error.get(name).cloned().unwrap_or_default();
            Some(facts(&part("type"), &part("code"), &part("message")))
        }
        serde_json::Value::String(message) if !message.is_empty() => {
            Some(ErrorFacts { message: message.clone(), ..ErrorFacts::default() })
        }
        serde_json::Value::Array(_) | serde_json::Value::Bool(true) => Some(ErrorFacts::default()),
        _ if envelope.object == "error" => Some(facts(&envelope.kind, &envelope.code, &envelope.message)),
        _ if !envelope.detail.is_null() => {
            Some(ErrorFacts { message: envelope.detail.to_string(), ..ErrorFacts::default() })
        }
        _ => None,
    }
}

fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl ErrorFacts {
    fn says_quota(&self) -> bool {
        self.code == "insufficient_quota"
            || self.kind == "insufficient_quota"
            || self.code == "billing_hard_limit_reached"
    }

    fn is_rate_limit(&self) -> bool {
        self.code == "rate_limit_exceeded" || self.kind == "rate_limit_error" || self.code == "429"
    }

    /// llama.cpp says `exceed_context_size_error`; vLLM only says so in words.
    fn says_not_for_this_model(&self) -> bool {
        self.code == "context_length_exceeded"
            || self.kind == "exceed_context_size_error"
            || self.code == "model_not_found"
            || self.message.contains("maximum context length")
    }

    /// Type and code only: a message may quote the prompt or the key, and this goes to the log.
    fn words(&self) -> String {
        match (self.kind.as_str(), self.code.as_str()) {
            ("", "") => "no type and code given".to_owned(),
            (kind, "") => shortened(kind),
            ("", code) => shortened(code),
            (kind, code) => format!("{}, {}", shortened(kind), shortened(code)),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn classified(status: u16, body: &str) -> Failure {
        classify(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), NOW)
    }

    #[track_caller]
    fn check(status: u16, body: &str, kind: FailureKind, origin: Origin, fails_over: bool) {
        let failure = classified(status, body);
        assert_eq!((failure.kind, failure.origin, failure.may_fail_over()), (kind, origin, fails_over), "{failure}");
        assert_eq!(failure.status, Some(status));
    }

    #[test]
    fn every_status_has_its_class_and_advice() {
        use FailureKind as Kind;
        use Origin::{Caller, Provider};
        let code = |code: &str| format!(r#"{{"error":{{"message":"m","type":"t","param":null,"code":"{code}"}}}}"#);
        check(429, &code("rate_limit_exceeded"), Kind::RateLimited, Provider, true);
        check(429, &code("insufficient_quota"), Kind::QuotaExhausted, Provider, true);
        check(429, "<html>slow down</html>", Kind::RateLimited, Provider, true);
        check(402, "", Kind::QuotaExhausted, Provider, true);
        check(401, &code("invalid_api_key"), Kind::Authentication, Provider, true);
        check(403, "", Kind::Authentication, Provider, true);
        check(400, &code("invalid_value"), Kind::HttpClientError, Caller, false);
        check(400, &code("context_length_exceeded"), Kind::HttpClientError, Caller, true);
        check(404, &code("model_not_found"), Kind::HttpClientError, Provider, true);
        check(413, "", Kind::HttpClientError, Caller, false);
        check(422, "", Kind::HttpClientError, Caller, false);
        check(302, "", Kind::HttpClientError, Provider, true);
        check(408, "", Kind::HttpServerError, Provider, true);
        check(500, "", Kind::HttpServerError, Provider, true);
        check(503, "upstream gone", Kind::HttpServerError, Provider, true);
        check(529, "", Kind::HttpServerError, Provider, true);
    }

    #[test]
    fn the_dialects_of_other_servers_are_read() {
        let llama = r#"{"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_ctx":512}}"#;
        assert!(classified(400, llama).may_fail_over());
        let vllm = r#"{"object":"error","message":"This model's maximum context length is 4096","type":"BadRequestError","code":400}"#;
        assert!(classified(400, vllm).may_fail_over());
        assert_eq!(classified(500, r#"{"detail":"oops"}"#).detail, "no type and code given");
    }

    #[test]
    fn what_a_message_quotes_does_not_reach_the_log() {
        let body = r#"{"error":{"message":"Incorrect API key provided: sk-canary","type":"invalid_request_error","code":"invalid_api_key"}}"#;
        let failure = classified(401, body);
        assert_eq!(failure.detail, "invalid_request_error, invalid_api_key");
    }

    #[test]
    fn an_error_under_status_200_is_found_and_a_healthy_answer_is_not_one() {
        let kind = |body: &str| error_in_body(body.as_bytes()).map(|failure| failure.kind);
        assert_eq!(
            kind(r#"{"error":{"message":"m","type":"server_error","code":null}}"#),
            Some(FailureKind::ErrorInBody)
        );
        assert_eq!(kind(r#"{"error":"overloaded"}"#), Some(FailureKind::ErrorInBody));
        assert_eq!(kind(r#"{"object":"error","message":"m","code":400}"#), Some(FailureKind::ErrorInBody));
        assert_eq!(kind(r#"{"error":{"code":"insufficient_quota"}}"#), Some(FailureKind::QuotaExhausted));
        assert_eq!(kind(r#"{"id":"1","error":null,"choices":[]}"#), None);
        assert_eq!(kind(r#"{"choices":[{"message":{"content":"the word \"error\" in a text"}}]}"#), None);
        assert_eq!(kind(""), None);
    }

    #[test]
    fn retry_after_is_read_in_every_form_and_clamped() {
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers, NOW).map(|wait| wait.as_millis())
        };
        assert_eq!(wait("retry-after", "7"), Some(7_000));
        assert_eq!(wait("retry-after", "0.5"), Some(500));
        assert_eq!(wait("retry-after-ms", "250"), Some(250));
        assert_eq!(wait("retry-after", "Thu, 01 Jan 1970 00:00:30 GMT"), Some(30_000));
        assert_eq!(wait("retry-after", "Tue, 01 Jan 1980 00:00:00 GMT"), Some(120_000), "ten years");
        assert_eq!(wait("retry-after", "315360000"), Some(120_000), "ten years");
        assert_eq!(wait("retry-after", "1e300"), Some(120_000));
        for nonsense in ["-1", "NaN", "inf", "soon", "", "Thu, 01 Jan 1969 00:00:00 GMT"] {
            assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_rate_limit_passes_the_pause_on() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "3".parse().unwrap());
        let failure = classify(StatusCode::TOO_MANY_REQUESTS, &headers, b"", NOW);
        assert_eq!(failure.retry, Retry::After(Duration::from_secs(3)));
        assert!(failure.may_fail_over());
    }
}
