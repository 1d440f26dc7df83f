//! Why a call failed: a closed list, with the two answers everybody needs (whose fault, and is it worth another try).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One failed call. `detail` is for the log; what a caller reads is made by [`crate::openai::Refusal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Failure {
    /// What happened; the metric label.
    pub kind: FailureKind,
    /// Who caused it.
    pub origin: Origin,
    /// Whether the same request may succeed later or elsewhere. Never once a byte reached the caller.
    pub retry: Retry,
    /// Words for the log. Not for callers.
    pub detail: String,
    /// The status the provider answered with, when it answered.
    pub status: Option<u16>,
}

/// Who caused a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The application that called.
    Caller,
    /// Crossfade itself.
    Crossfade,
    /// The provider or the way to it.
    Provider,
}

/// Whether another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same request fails everywhere.
    Never,
    /// Another target may answer it.
    Elsewhere,
    /// The same target may answer it after this long; another target may answer it now.
    After(Duration),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $text:literal),+ $(,)?) => {
        /// What happened. The order is the encoding in the journal: new kinds go at the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FailureKind { $($(#[$doc])* $kind),+ }

        impl FailureKind {
            /// Every kind, in the order of the list.
            pub const ALL: &'static [FailureKind] = &[$(FailureKind::$kind),+];

            /// The metric label, also used in reports and in `code` of an error.
            pub const fn as_str(self) -> &'static str {
                match self { $(FailureKind::$kind => $text),+ }
            }
        }
    };
}

kinds! {
    /// The connection was refused or reset before a request could be written.
    Connect = "connect",
    /// The provider's name did not resolve.
    Dns = "dns",
    /// The TLS handshake failed.
    Tls = "tls",
    /// No connection in time.
    TimeoutConnect = "timeout_connect",
    /// No first content in time.
    TimeoutFirstToken = "timeout_first_token",
    /// The stream stalled between two events with data.
    TimeoutInterToken = "timeout_inter_token",
    /// The whole call took too long.
    TimeoutTotal = "timeout_total",
    /// The connection ended in the middle of an answer.
    Disconnected = "disconnected",
    /// The provider answered 4xx and none of the kinds below fits.
    HttpClientError = "http_client_error",
    /// The provider answered 5xx, 408 or a redirect.
    HttpServerError = "http_server_error",
    /// The provider asked to slow down.
    RateLimited = "rate_limited",
    /// The account at the provider is used up.
    QuotaExhausted = "quota_exhausted",
    /// The provider refused Crossfade's key.
    Authentication = "authentication",
    /// Status 200 with an error object as the body.
    ErrorInBody = "error_in_body",
    /// An error event inside a stream.
    ErrorInStream = "error_in_stream",
    /// The answer is not what the dialect says it should be.
    Malformed = "malformed",
    /// The breaker of the target is open: no call was made.
    BreakerOpen = "breaker_open",
    /// Crossfade or the pool to the provider is full: no call was made.
    Capacity = "capacity",
    /// The caller went away first.
    ClientGone = "client_gone",
    /// The request cannot be read.
    InvalidRequest = "invalid_request",
    /// No such route or path.
    NotFound = "not_found",
    /// The request is larger than the limit.
    TooLarge = "too_large",
    /// The journal cannot take the record, so the request is not served.
    RecordUnavailable = "record_unavailable",
    /// The process is draining.
    ShuttingDown = "shutting_down",
    /// A fault of Crossfade itself.
    Internal = "internal",
    /// The target is known not to do what the request asks for, and is declared to refuse it: no call was made.
    Unsupported = "unsupported",
    /// The caller's key opens nothing.
    Unauthenticated = "unauthenticated",
    /// The caller's key does not open this.
    Forbidden = "forbidden",
    /// The target has just recovered and this call is beyond its share of the load: no call was made.
    Recovering = "recovering",
    /// Too large a part of what the provider gets are retries already: no call was made.
    RetryBudget = "retry_budget",
    /// The time that the caller waits for an answer is over.
    CallerDeadline = "caller_deadline",
    /// Requests per minute of the caller's key, its tenant or the route are used up: no call was made.
    RequestLimit = "request_limit",
    /// Tokens per minute are: no call was made.
    TokenLimit = "token_limit",
    /// As many requests as allowed are under way: no call was made.
    ConcurrencyLimit = "concurrency_limit",
    /// The budget is spent, or would be: no call was made.
    BudgetLimit = "budget_limit",
    /// It takes longer than the route's cascade waits for a step; the next one is asked.
    TooSlow = "too_slow",
    /// The request may not leave the house, and would: no call was made.
    Residency = "residency",
    /// The policy of the route stopped it.
    Policy = "policy",
    /// The policy of the route refers it to a person.
    Referred = "referred",
    /// A drill answered in the candidate's place: the answer was judged, and another target is asked.
    Drill = "drill",
    /// The candidate was thrown back before anything of its answer was shown, and another target is asked.
    Withdrawn = "withdrawn",
}

impl FailureKind {
    /// Who usually causes this.
    pub const fn origin(self) -> Origin {
        match self {
            FailureKind::ClientGone
            | FailureKind::InvalidRequest
            | FailureKind::NotFound
            | FailureKind::TooLarge
            | FailureKind::HttpClientError
            | FailureKind::Unauthenticated
            | FailureKind::Forbidden
            | FailureKind::RequestLimit
            | FailureKind::TokenLimit
            | FailureKind::ConcurrencyLimit
            | FailureKind::BudgetLimit
            | FailureKind::Residency
            | FailureKind::Policy
            | FailureKind::Referred => Origin::Caller,
            FailureKind::Capacity
            | FailureKind::RetryBudget
            | FailureKind::RecordUnavailable
            | FailureKind::ShuttingDown
            | FailureKind::Internal
            | FailureKind::Unsupported
            | FailureKind::Drill
            | FailureKind::Withdrawn => Origin::Crossfade,
            _ => Origin::Provider,
        }
    }

    /// What another try is worth when nothing more is known.
    pub const fn retry(self) -> Retry {
        match self {
            FailureKind::ClientGone
            | FailureKind::InvalidRequest
            | FailureKind::NotFound
            | FailureKind::TooLarge
            | FailureKind::HttpClientError
            | FailureKind::Internal
            | FailureKind::Unauthenticated
            | FailureKind::Forbidden
            | FailureKind::RequestLimit
            | FailureKind::TokenLimit
            | FailureKind::ConcurrencyLimit
            | FailureKind::BudgetLimit
            | FailureKind::Residency
            | FailureKind::Policy
            | FailureKind::Referred => Retry::Never,
            FailureKind::RecordUnavailable | FailureKind::ShuttingDown => Retry::After(Duration::from_secs(1)),
            _ => Retry::Elsewhere,
        }
    }

    /// True for the four time limits of a call.
    pub const fn is_timeout(self) -> bool {
        matches!(
            self,
            FailureKind::TimeoutConnect
                | FailureKind::TimeoutFirstToken
                | FailureKind::TimeoutInterToken
                | FailureKind::TimeoutTotal
        )
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Origin {
    /// The word used in `x-crossfade-origin` and as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Caller => "caller",
            Origin::Crossfade => "crossfade",
            Origin::Provider => "provider",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no [`FailureKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no failure kind has this name")]
pub struct UnknownFailureKind;

impl FromStr for FailureKind {
    type Err = UnknownFailureKind;

    fn from_str(text: &str) -> Result<FailureKind, UnknownFailureKind> {
        FailureKind::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(UnknownFailureKind)
    }
}

impl Failure {
    /// A failure with the usual origin and retry advice of its kind.
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Failure {
        Failure { kind, origin: kind.origin(), retry: kind.retry(), detail: detail.into(), status: None }
    }

    /// The same with the status the provider answered.
    pub fn with_status(mut self, status: u16) -> Failure {
        self.status = Some(status);
        self
    }

    /// The same with other retry advice.
    pub fn with_retry(mut self, retry: Retry) -> Failure {
        self.retry = retry;
        self
    }

    /// The same with another origin.
    pub fn with_origin(mut self, origin: Origin) -> Failure {
        self.origin = origin;
        self
    }

    /// Whether another target may be tried with the same request.
    pub const fn may_fail_over(&self) -> bool {
        !matches!(self.retry, Retry::Never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_label() {
        for &kind in FailureKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        assert_eq!("nonsense".parse::<FailureKind>(), Err(UnknownFailureKind));
    }

    #[test]
    fn a_callers_mistake_is_never_tried_elsewhere() {
        for &kind in FailureKind::ALL {
            if kind.origin() == Origin::Caller {
                assert_eq!(kind.retry(), Retry::Never, "{kind}");
            }
        }
        assert!(Failure::new(FailureKind::Disconnected, "").may_fail_over());
    }
}
