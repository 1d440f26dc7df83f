//! Answers that say no, in the dialect's envelope and with the status that its SDKs expect.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use wire::failure::{Failure, FailureKind, Retry};
use wire::ids::ExchangeId;
use wire::messages::error;
use wire::openai::Refusal;
use wire::record::Endpoint;

use crate::body::Body;
use crate::call::Effort;

/// Names the exchange in every answer.
pub(crate) const EXCHANGE_ID: HeaderName = HeaderName::from_static("x-crossfade-exchange-id");
/// Names the target that answered.
pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-crossfade-target");
/// Says whose fault an error is.
pub(crate) const ORIGIN: HeaderName = HeaderName::from_static("x-crossfade-origin");
/// Whether the answer was given before: `hit`, `miss`, or `bypass` where it is not for the cache.
pub(crate) const CACHED: HeaderName = HeaderName::from_static("x-crossfade-cache");
/// The provider's name of the request, else ours.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Tells the official SDKs whether another try makes sense.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// How long to wait, in milliseconds.
pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// The space of an answer's vectors, and the one that a caller wants.
pub(crate) const SPACE: HeaderName = HeaderName::from_static("x-crossfade-space");
/// Says that the candidate answered because everything else had failed.
pub(crate) const EMERGENCY: HeaderName = HeaderName::from_static("x-crossfade-emergency");

/// The id as a header.
pub(crate) fn id_value(id: ExchangeId) -> HeaderValue {
    HeaderValue::try_from(id.to_string()).unwrap_or(HeaderValue::from_static("-"))
}

/// The longest that a caller's SDK is made to wait for a breaker. Without `retry-after` the SDKs give up after a second and a half.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Whether the caller's SDK is told not to come back by itself.
pub(crate) fn is_final(failure: &Failure, effort: Effort) -> bool {
    match (failure.kind, failure.retry) {
        // Nothing changes until somebody pays.
        (FailureKind::QuotaExhausted, _) => true,
        // It ends by itself: its caller is to wait and come back, by then with a budget that is filled again.
        (FailureKind::RateLimited, Retry::After(_)) => false,
        (FailureKind::RateLimited, _) => effort == Effort::BudgetSpent,
        // To fail fast is to fail for the application too, not to have its SDK wait.
        (FailureKind::BreakerOpen, Retry::After(wait)) => effort != Effort::Some || wait > LONGEST_WAIT,
        _ => effort != Effort::Some,
    }
}

/// In whose manner a caller is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Openai,
    Anthropic,
}

impl Manner {
    /// The one of the dialect an endpoint belongs to.
    pub(crate) const fn of(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Messages | Endpoint::CountTokens | Endpoint::MessageBatches => Self::Anthropic,
            _ => Self::Openai,
        }
    }
}

/// The status and the body of a refusal in this manner. `id` is what `request-id` says.
pub(crate) fn said_in(manner: Manner, refusal: &Refusal, id: Option<&str>) -> (StatusCode, Bytes) {
    let (status, body) = match manner {
        Manner::Openai => (refusal.status, refusal.body.to_json()),
        Manner::Anthropic => (error::status(refusal), error::body(refusal, id)),
    };
    (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), body)
}

/// The answer as a caller of Anthropic's dialect expects it: an id under its own name, and a refusal of ours in its envelope.
/// What a provider or a translation said is in the caller's dialect already.
pub(crate) fn in_anthropics_manner(response: Response<Body>) -> Response<Body> {
    let (mut head, mut body) = response.into_parts();
    let id = head.headers.get(&REQUEST_ID).cloned();
    if let Some(refusal) = head.extensions.remove::<Refusal>() {
        let said = said_in(Manner::Anthropic, &refusal, id.as_ref().and_then(|id| id.to_str().ok()));
        head.status = said.0;
        body = Body::whole(said.1);
    }
    if let Some(id) = id {
        head.headers.entry("request-id").or_insert(id);
    }
    Response::from_parts(head, body)
}

/// The refusal as an answer.
pub(crate) fn refusal(refusal: &Refusal, id: ExchangeId) -> Response<Body> {
    let mut response =
        json(StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY), refusal.body.to_json());
    // For a caller of another dialect, who is answered in other words.
    response.extensions_mut().insert(refusal.clone());
    let headers = response.headers_mut();
    headers.insert(EXCHANGE_ID, id_value(id));
    headers.insert(REQUEST_ID, id_value(id));
    headers.insert(ORIGIN, HeaderValue::from_static(refusal.origin.as_str()));
    if let Some(wait) = refusal.retry_after {
        // Rounded up, so that who waits that long has waited long enough. The official SDKs look at the milliseconds first.
        let ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
        headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(ms));
    }
    if !refusal.may_retry {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    // RFC 9110 §11.6.1: a 401 says what would do.
    if refusal.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    // What is left of the request is not read.
    if matches!(refusal.status, 408 | 413 | 415) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Headers that belong to one connection or that are made anew, and those a provider's edge sets for itself.
const NOT_PASSED_ON: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "set-cookie",
    "alt-svc",
];

/// What Crossfade says of itself; nobody else may.
const OURS: &str = "x-crossfade-";

/// A provider's headers as the caller may see them. Those that `connection` names are for one connection too (RFC 9110 §7.6.1).
pub(crate) fn pass_on(mut headers: HeaderMap) -> HeaderMap {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let ours = headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with(OURS));
    let more: Vec<String> =
        named.flat_map(|names| names.split(',')).chain(ours).map(|name| name.trim().to_ascii_lowercase()).collect();
    for name in NOT_PASSED_ON.into_iter().chain(more.iter().map(String::as_str)) {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdk_comes_back_where_that_is_worth_a_short_wait() {
        let after = |kind, seconds| Failure::new(kind, "").with_retry(Retry::After(Duration::from_secs(seconds)));
        assert!(!is_final(&after(FailureKind::BreakerOpen, 2), Effort::Some));
        assert!(is_final(&after(FailureKind::BreakerOpen, 3), Effort::Some));
        assert!(!is_final(&after(FailureKind::RateLimited, 60), Effort::BudgetSpent));
        assert!(is_final(&Failure::new(FailureKind::RateLimited, ""), Effort::BudgetSpent));
        assert!(!is_final(&Failure::new(FailureKind::RateLimited, ""), Effort::All));
        assert!(is_final(&Failure::new(FailureKind::QuotaExhausted, ""), Effort::Some));
        assert!(is_final(&Failure::new(FailureKind::HttpServerError, ""), Effort::All));
        assert!(!is_final(&Failure::new(FailureKind::Capacity, ""), Effort::Some));
    }

    #[test]
    fn what_a_provider_may_not_say_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("connection", "x-other-hop,not a header"),
            ("x-hop", "1"),
            ("x-other-hop", "1"),
            ("x-crossfade-origin", "caller"),
            ("x-crossfade-emergency", "true"),
            ("x-request-id", "req_1"),
            ("openai-processing-ms", "12"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let passed_on = pass_on(headers);
        let mut names: Vec<_> = passed_on.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["openai-processing-ms", "x-request-id"]);
    }
}
