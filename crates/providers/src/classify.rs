//! What an answer that is no success means.

#[cfg(test)]
mod tests;

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
        400 | 401 | 403 | 429 if error.says_quota() => FailureKind::QuotaExhausted,
        429 => FailureKind::RateLimited,
        402 => FailureKind::QuotaExhausted,
        401 | 403 => FailureKind::Authentication,
        // A redirect is not followed and not passed on: its caller would follow it past the gateway.
        300..=399 | 408 | 500..=599 => FailureKind::HttpServerError,
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
            if status.as_u16() == 404 {
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
    let suspicious = wire::scan::contains(head, b"\"error\"");
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
    /// The words of vendors for an account that is used up or not paid.
    fn says_quota(&self) -> bool {
        const WORDS: [&str; 4] =
            ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"];
        let says = |word: &String| WORDS.contains(&word.as_str());
        // Anthropic has no code for it, and answers 400.
        says(&self.code) || says(&self.kind) || self.message.contains("credit balance is too low")
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
