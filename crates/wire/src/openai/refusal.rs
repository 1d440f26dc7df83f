//! What a caller reads when a request fails: written for the caller, with nothing in it about what is inside.

use std::borrow::Cow;
use std::time::Duration;

use super::ErrorBody;
use crate::capability::Capability;
use crate::failure::{Failure, FailureKind, Origin, Retry};
use crate::scan::ScanError;

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: ErrorBody,
    /// For `retry-after`.
    pub retry_after: Option<Duration>,
    /// Who caused it, for `x-crossfade-origin`.
    pub origin: Origin,
    /// What to count it as.
    pub kind: FailureKind,
    /// False when the same request fails again whatever the caller waits: send `x-should-retry: false`.
    pub may_retry: bool,
}

impl Refusal {
    /// What the caller reads about `failure`. Its `detail` stays inside.
    pub fn of(failure: &Failure) -> Refusal {
        if failure.kind == FailureKind::HttpServerError && failure.status == Some(LOOPS) {
            // Said on by every gateway of the circle, so that none of them tries again.
            return Refusal { origin: failure.origin, kind: failure.kind, ..Refusal::loops() };
        }
        let (status, class, message) = words(failure.kind);
        let retry_after = match failure.retry {
            Retry::After(wait) => Some(wait),
            Retry::Never => None,
            Retry::Elsewhere => default_wait(failure.kind),
        };
        Refusal {
            status: if failure.kind == FailureKind::HttpClientError {
                failure.status.filter(|status| (400..500).contains(status)).unwrap_or(status)
            } else {
                status
            },
            body: ErrorBody::new(message, class).with_code(code(failure.kind)),
            retry_after,
            origin: failure.origin,
            kind: failure.kind,
            may_retry: failure.retry != Retry::Never
                && !matches!(
                    failure.kind,
                    FailureKind::QuotaExhausted
                        | FailureKind::Authentication
                        | FailureKind::Unsupported
                        | FailureKind::RetryBudget
                ),
        }
    }

    /// 400: the request cannot be read, because of `param` when it is known.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>, param: Option<&'static str>) -> Refusal {
        let mut body = ErrorBody::new(message, INVALID_REQUEST);
        body.param = param.map(Cow::Borrowed);
        Refusal::by_caller(400, FailureKind::InvalidRequest, body)
    }

    /// 400: what `param` asks for cannot be had here. The message says what and why.
    pub fn unsupported(message: impl Into<Cow<'static, str>>, param: impl Into<Cow<'static, str>>) -> Refusal {
        let body = ErrorBody::new(message, INVALID_REQUEST).with_param(param).with_code("unsupported_parameter");
        Refusal::by_caller(400, FailureKind::InvalidRequest, body)
    }

    /// 400: `param` is not what the dialect says it should be.
    pub fn invalid_value(message: impl Into<Cow<'static, str>>, param: impl Into<Cow<'static, str>>) -> Refusal {
        let body = ErrorBody::new(message, INVALID_REQUEST).with_param(param).with_code("invalid_value");
        Refusal::by_caller(400, FailureKind::InvalidRequest, body)
    }

    /// 409: the caller wants vectors of one space, and the route's are of another, or nobody said of which.
    pub fn other_space(wanted: &str, own: Option<&str>) -> Refusal {
        let message = match own {
            Some(own) => format!("The vectors of this route live in the space `{own}`, not in `{wanted}`."),
            None => {
                format!("Nobody said in which space the vectors of this route live; it may be another than `{wanted}`.")
            }
        };
        let body = ErrorBody::new(message, INVALID_REQUEST).with_code("other_space");
        Refusal::by_caller(409, FailureKind::InvalidRequest, body)
    }

    /// 400: `field` makes whoever serves the request reach out, and the request may not leave the house.
    pub fn reaches_out(field: String) -> Refusal {
        let message = format!(
            "`{field}` would make the model's server reach out, and this request may not leave the house. Send the content \
             itself, as a `data:` URL or as text."
        );
        let body = ErrorBody::new(message, INVALID_REQUEST).with_param(field).with_code("residency");
        Refusal::by_caller(400, FailureKind::Residency, body)
    }

    /// 400: a file of requests that comes in parts, which cannot be looked into, and the request may not leave the house.
    pub fn upload_in_parts() -> Refusal {
        let message = "A file of requests that may not leave the house is looked into, and cannot be when it comes in parts. Upload it \
                       whole, as one file.";
        let body = ErrorBody::new(message, INVALID_REQUEST).with_param("purpose").with_code("residency");
        Refusal::by_caller(400, FailureKind::Residency, body)
    }

    /// 508: the request has come through gateways that call one another in a circle.
    pub fn loops() -> Refusal {
        let message = "This request has come through one gateway after another: their providers' addresses lead in a circle. Tell \
                       whoever runs them.";
        let body = ErrorBody::new(message, UPSTREAM).with_code("request_loop");
        let kind = FailureKind::InvalidRequest;
        Refusal { status: LOOPS, body, retry_after: None, origin: Origin::Crossfade, kind, may_retry: false }
    }

    /// 404: no route has the name `model`.
    pub fn model_not_found(model: &str) -> Refusal {
        let name: String = model.chars().take(256).collect();
        let message = format!("The model `{name}` does not exist or you do not have access to it.");
        let body = ErrorBody::new(message, INVALID_REQUEST).with_param("model").with_code("model_not_found");
        Refusal::by_caller(404, FailureKind::NotFound, body)
    }

    /// 400: the target behind the route is known not to do what `capability` is about.
    pub fn not_capable(capability: Capability) -> Refusal {
        let message = format!(
            "`{}` is not supported by the model behind this route ({}).",
            capability.field(),
            capability.what().to_lowercase()
        );
        let mut refusal = Refusal::of(&Failure::new(FailureKind::Unsupported, ""));
        refusal.body =
            ErrorBody::new(message, INVALID_REQUEST).with_param(capability.field()).with_code("unsupported_parameter");
        refusal
    }

    /// 401: no key came with the request.
    pub fn key_missing() -> Refusal {
        let message = "You didn't provide an API key. Send it as `Authorization: Bearer YOUR_KEY`.";
        Refusal::by_caller(401, FailureKind::Unauthenticated, ErrorBody::new(message, INVALID_REQUEST))
    }

    /// 401: the key opens nothing, for this reason. The key itself is not repeated.
    pub fn key_refused(reason: &'static str) -> Refusal {
        let body = ErrorBody::new(reason, INVALID_REQUEST).with_code("invalid_api_key");
        Refusal::by_caller(401, FailureKind::Unauthenticated, body)
    }

    /// 401: the key may not be used from where the caller is.
    pub fn address_refused() -> Refusal {
        let message = "Your IP address is not among those this API key may be used from.";
        let body = ErrorBody::new(message, INVALID_REQUEST).with_code("ip_not_authorized");
        Refusal::by_caller(401, FailureKind::Unauthenticated, body)
    }

    /// 403: the key may not call `model`. The same whether there is such a route or not.
    pub fn model_forbidden(model: &str) -> Refusal {
        let name: String = model.chars().take(256).collect();
        let message = format!("This API key does not have access to model `{name}`.");
        let body = ErrorBody::new(message, INVALID_REQUEST).with_param("model").with_code("model_not_found");
        Refusal::by_caller(403, FailureKind::Forbidden, body)
    }

    /// 429: a limit of the caller's is reached. `wait`: when there is room again; `never`: not even then for this request.
    pub fn over_limit(kind: FailureKind, message: String, wait: Option<Duration>, never: bool) -> Refusal {
        let mut refusal = Refusal::of(&Failure::new(kind, ""));
        refusal.body.message = message.into();
        refusal.retry_after = if never { None } else { wait };
        refusal.may_retry = !never && kind != FailureKind::BudgetLimit;
        refusal
    }

    /// 404: there is nothing at this path.
    pub fn no_such_path(method: &str, path: &str) -> Refusal {
        let path: String = path.chars().take(256).collect();
        let body = ErrorBody::new(format!("Unknown request URL: {method} {path}."), INVALID_REQUEST);
        Refusal::by_caller(404, FailureKind::NotFound, body.with_code("unknown_url"))
    }

    /// 404: what is asked for is kept by a provider, and the config names none for it.
    pub fn not_passed_on(what: &'static str) -> Refusal {
        let message = format!(
            "This gateway does not pass on requests about `{what}`: they are kept by one provider and no model is named in \
             them. Whoever runs it can name the provider in its config, as `passthrough: {{ {what}: PROVIDER }}`."
        );
        let body = ErrorBody::new(message, INVALID_REQUEST).with_code("not_passed_on");
        Refusal::by_caller(404, FailureKind::NotFound, body)
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: u64) -> Refusal {
        let message = format!("The request body is larger than the limit of {limit} bytes.");
        let body = ErrorBody::new(message, INVALID_REQUEST).with_code("request_too_large");
        Refusal::by_caller(413, FailureKind::TooLarge, body)
    }

    fn by_caller(status: u16, kind: FailureKind, body: ErrorBody) -> Refusal {
        Refusal { status, body, retry_after: None, origin: Origin::Caller, kind, may_retry: false }
    }
}

impl From<&Failure> for Refusal {
    fn from(failure: &Failure) -> Refusal {
        Refusal::of(failure)
    }
}

impl From<&ScanError> for Refusal {
    fn from(error: &ScanError) -> Refusal {
        let message = match error.param {
            Some(_) => error.what.clone(),
            None => Cow::Owned(format!("We could not parse the JSON body of your request: {error}.")),
        };
        Refusal::invalid_request(message, error.param)
    }
}

const INVALID_REQUEST: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";

/// Loop detected (RFC 5842 §7.2).
const LOOPS: u16 = 508;
const SERVER: &str = "server_error";

/// Status, class and message.
const fn words(kind: FailureKind) -> (u16, &'static str, &'static str) {
    match kind {
        FailureKind::Connect | FailureKind::Dns | FailureKind::Tls => {
            (502, UPSTREAM, "The model provider could not be reached.")
        }
        FailureKind::TimeoutConnect => (504, UPSTREAM, "The model provider could not be reached in time."),
        FailureKind::TimeoutFirstToken => (504, UPSTREAM, "The model provider did not begin to answer in time."),
        FailureKind::TimeoutInterToken => (504, UPSTREAM, "The model provider stopped answering before the end."),
        FailureKind::TimeoutTotal => (504, UPSTREAM, "The model provider did not finish in time."),
        FailureKind::Disconnected => (502, UPSTREAM, "The model provider closed the connection before the end."),
        FailureKind::HttpClientError => (400, INVALID_REQUEST, "The model provider refused the request."),
        FailureKind::HttpServerError | FailureKind::ErrorInBody | FailureKind::ErrorInStream => {
            (502, UPSTREAM, "The model provider answered with an error.")
        }
        FailureKind::Malformed => (502, UPSTREAM, "The model provider's answer could not be read."),
        FailureKind::RateLimited => (429, "rate_limit_error", "The rate limit of the model provider is reached."),
        FailureKind::QuotaExhausted => {
            (429, "insufficient_quota", "The quota at the model provider is used up. Check its plan and billing.")
        }
        FailureKind::Authentication => {
            (502, UPSTREAM, "The model provider did not accept the gateway's credentials. Tell whoever runs it.")
        }
        FailureKind::BreakerOpen => (503, SERVER, "The model is failing at the moment and is given a pause."),
        FailureKind::Recovering => (503, SERVER, "The model has just recovered and takes a part of the requests only."),
        FailureKind::RetryBudget => {
            (503, SERVER, "The model is failing at the moment, and too many requests to it are retries already.")
        }
        FailureKind::TooSlow => (504, UPSTREAM, "The model did not answer in the time that the route allows."),
        FailureKind::CallerDeadline => (504, UPSTREAM, "The model did not answer in the time that the caller allows."),
        FailureKind::Capacity => (503, SERVER, "The gateway is at capacity."),
        FailureKind::ClientGone => (499, INVALID_REQUEST, "The request was cancelled by its caller."),
        FailureKind::InvalidRequest => (400, INVALID_REQUEST, "The request could not be read."),
        FailureKind::NotFound => (404, INVALID_REQUEST, "The model does not exist or you do not have access to it."),
        FailureKind::TooLarge => (413, INVALID_REQUEST, "The request body is larger than the limit."),
        FailureKind::RecordUnavailable => {
            (503, SERVER, "The gateway cannot record exchanges at the moment and does not serve unrecorded ones.")
        }
        FailureKind::ShuttingDown => (503, SERVER, "The gateway is shutting down."),
        FailureKind::Internal => {
            (500, SERVER, "The gateway made an error. It is logged under the id of this exchange.")
        }
        FailureKind::Unsupported => (400, INVALID_REQUEST, "The model does not support what the request asks for."),
        FailureKind::Drill => (503, SERVER, "The model does not answer: its failure is being rehearsed."),
        FailureKind::Withdrawn => (503, SERVER, "The model was taken out of service while it answered."),
        FailureKind::Unauthenticated => (401, INVALID_REQUEST, "This API key opens nothing any more."),
        FailureKind::Forbidden => (403, INVALID_REQUEST, "This API key does not have access to that."),
        FailureKind::RequestLimit => (429, "requests", "The limit of requests per minute is reached."),
        FailureKind::TokenLimit => (429, "tokens", "The limit of tokens per minute is reached."),
        FailureKind::ConcurrencyLimit => (429, "requests", "As many requests as allowed are under way."),
        FailureKind::BudgetLimit => (429, "insufficient_quota", "The budget is used up."),
        FailureKind::Policy => (400, INVALID_REQUEST, "The policy of this route does not let this pass."),
        FailureKind::Referred => {
            (403, INVALID_REQUEST, "The policy of this route refers this to a person. It is not answered here.")
        }
        FailureKind::Residency => (
            403,
            INVALID_REQUEST,
            "This request may not leave the house, and the model behind this route is outside it.",
        ),
    }
}

/// The code: the dialect's own word where it has one, else the metric label.
const fn code(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::RateLimited
        | FailureKind::RequestLimit
        | FailureKind::TokenLimit
        | FailureKind::ConcurrencyLimit => "rate_limit_exceeded",
        FailureKind::QuotaExhausted | FailureKind::BudgetLimit => "insufficient_quota",
        FailureKind::NotFound => "model_not_found",
        FailureKind::TooLarge => "request_too_large",
        FailureKind::Unauthenticated => "invalid_api_key",
        FailureKind::Policy => "content_filter",
        FailureKind::Authentication => "provider_authentication",
        FailureKind::Unsupported => "unsupported_parameter",
        FailureKind::Connect => "upstream_connect",
        FailureKind::Dns => "upstream_dns",
        FailureKind::Tls => "upstream_tls",
        FailureKind::Disconnected => "upstream_disconnected",
        FailureKind::Malformed => "upstream_malformed",
        FailureKind::HttpServerError | FailureKind::ErrorInBody | FailureKind::ErrorInStream => "upstream_error",
        other => other.as_str(),
    }
}

/// How long to wait when the provider did not say.
const fn default_wait(kind: FailureKind) -> Option<Duration> {
    match kind {
        FailureKind::RateLimited | FailureKind::BreakerOpen | FailureKind::Recovering | FailureKind::Capacity => {
            Some(Duration::from_secs(1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    fn every_failure_has_a_status_and_words_for_the_caller() {
        let mut table = String::new();
        for &kind in FailureKind::ALL {
            let refusal = Refusal::of(&Failure::new(kind, "10.0.0.7:8000 secret detail"));
            assert!(!String::from_utf8_lossy(&refusal.body.to_json()).contains("secret"));
            let wait = refusal.retry_after.map_or(String::from("-"), |wait| format!("{} s", wait.as_secs()));
            let retry = if refusal.may_retry { "retry" } else { "final" };
            let code = refusal.body.code.as_deref().unwrap_or("-");
            writeln!(
                table,
                "{kind}: {} {} {code} {} {retry} {wait}",
                refusal.status, refusal.body.kind, refusal.origin
            )
            .unwrap();
        }
        expect![[r#"
            connect: 502 upstream_error upstream_connect provider retry -
            dns: 502 upstream_error upstream_dns provider retry -
            tls: 502 upstream_error upstream_tls provider retry -
            timeout_connect: 504 upstream_error timeout_connect provider retry -
            timeout_first_token: 504 upstream_error timeout_first_token provider retry -
            timeout_inter_token: 504 upstream_error timeout_inter_token provider retry -
            timeout_total: 504 upstream_error timeout_total provider retry -
            disconnected: 502 upstream_error upstream_disconnected provider retry -
            http_client_error: 400 invalid_request_error http_client_error caller final -
            http_server_error: 502 upstream_error upstream_error provider retry -
            rate_limited: 429 rate_limit_error rate_limit_exceeded provider retry 1 s
            quota_exhausted: 429 insufficient_quota insufficient_quota provider final -
            authentication: 502 upstream_error provider_authentication provider final -
            error_in_body: 502 upstream_error upstream_error provider retry -
            error_in_stream: 502 upstream_error upstream_error provider retry -
            malformed: 502 upstream_error upstream_malformed provider retry -
            breaker_open: 503 server_error breaker_open provider retry 1 s
            capacity: 503 server_error capacity crossfade retry 1 s
            client_gone: 499 invalid_request_error client_gone caller final -
            invalid_request: 400 invalid_request_error invalid_request caller final -
            not_found: 404 invalid_request_error model_not_found caller final -
            too_large: 413 invalid_request_error request_too_large caller final -
            record_unavailable: 503 server_error record_unavailable crossfade retry 1 s
            shutting_down: 503 server_error shutting_down crossfade retry 1 s
            internal: 500 server_error internal crossfade final -
            unsupported: 400 invalid_request_error unsupported_parameter crossfade final -
            unauthenticated: 401 invalid_request_error invalid_api_key caller final -
            forbidden: 403 invalid_request_error forbidden caller final -
            recovering: 503 server_error recovering provider retry 1 s
            retry_budget: 503 server_error retry_budget crossfade final -
            caller_deadline: 504 upstream_error caller_deadline provider retry -
            request_limit: 429 requests rate_limit_exceeded caller final -
            token_limit: 429 tokens rate_limit_exceeded caller final -
            concurrency_limit: 429 requests rate_limit_exceeded caller final -
            budget_limit: 429 insufficient_quota insufficient_quota caller final -
            too_slow: 504 upstream_error too_slow provider retry -
            residency: 403 invalid_request_error residency caller final -
            policy: 400 invalid_request_error content_filter caller final -
            referred: 403 invalid_request_error referred caller final -
            drill: 503 server_error drill crossfade retry -
            withdrawn: 503 server_error withdrawn crossfade retry -
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn a_providers_wait_and_status_reach_the_caller() {
        let failure = Failure::new(FailureKind::RateLimited, "").with_retry(Retry::After(Duration::from_secs(7)));
        assert_eq!(Refusal::of(&failure).retry_after, Some(Duration::from_secs(7)));
        let failure = Failure::new(FailureKind::HttpClientError, "").with_status(422);
        assert_eq!(Refusal::of(&failure).status, 422);
    }

    #[test]
    fn a_body_that_cannot_be_read_names_the_field() {
        let refusal = Refusal::from(&ScanError::new(9, "`model` must be a string, not a number").about("model"));
        expect![[r#"{"error":{"message":"`model` must be a string, not a number","type":"invalid_request_error","param":"model","code":null}}"#]]
            .assert_eq(std::str::from_utf8(&refusal.body.to_json()).unwrap());
        let refusal = Refusal::from(&ScanError::new(9, "expected `:`"));
        assert_eq!(refusal.body.message, "We could not parse the JSON body of your request: expected `:` (at byte 9).");
        assert_eq!(refusal.status, 400);
        assert_eq!(Refusal::model_not_found("nope").body.code.as_deref(), Some("model_not_found"));
    }
}
