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
    check(302, "", Kind::HttpServerError, Provider, true);
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
    assert_eq!(kind(r#"{"error":{"message":"m","type":"server_error","code":null}}"#), Some(FailureKind::ErrorInBody));
    assert_eq!(kind(r#"{"error":"overloaded"}"#), Some(FailureKind::ErrorInBody));
    assert_eq!(kind(r#"{"object":"error","message":"m","code":400}"#), Some(FailureKind::ErrorInBody));
    assert_eq!(kind(r#"{"error":{"code":"insufficient_quota"}}"#), Some(FailureKind::QuotaExhausted));
    assert_eq!(kind(r#"{"id":"1","error":null,"choices":[]}"#), None);
    assert_eq!(kind(r#"{"choices":[{"message":{"content":"the word \"error\" in a text"}}]}"#), None);
    assert_eq!(kind(""), None);
}

#[test]
fn a_used_up_account_is_told_from_a_rate_limit() {
    let kind = |status, body| classified(status, body).kind;
    for (status, body) in [
        (429, r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#),
        (429, r#"{"error":{"message":"m","type":"billing_not_active","code":"billing_not_active"}}"#),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
        ),
        (403, r#"{"type":"error","error":{"type":"billing_error","message":"m"}}"#),
    ] {
        assert_eq!(kind(status, body), FailureKind::QuotaExhausted, "{status} {body}");
    }
    assert_eq!(kind(429, r#"{"error":{"code":"rate_limit_exceeded"}}"#), FailureKind::RateLimited);
    assert_eq!(kind(403, r#"{"error":{"type":"permission_error"}}"#), FailureKind::Authentication);
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

proptest::proptest! {
    /// Nothing a provider can put into the header makes us wait for longer than the bound.
    #[test]
    fn no_header_imposes_a_longer_wait_than_the_bound(value in "[ -~]{0,40}", ms in proptest::bool::ANY) {
        let mut headers = HeaderMap::new();
        headers.insert(if ms { "retry-after-ms" } else { "retry-after" }, value.parse().unwrap());
        proptest::prop_assert!(retry_after(&headers, NOW).is_none_or(|wait| wait <= LONGEST_RETRY_AFTER));
    }
}
