//! What the official SDKs say of a request in its headers.
//!
//! Read in `openai` 3.52.0 for Python and 6.49.0 for Node: both count their retries in `x-stainless-retry-count`, from 0. Python
//! sends its read timeout in seconds as `x-stainless-read-timeout`, a float; Node its timeout in whole seconds, cut down, as
//! `x-stainless-timeout`. Both stop waiting when the answer's head has not come by then; after that Python's limit is between
//! two reads and Node has none, so for us it is the deadline of everything before the first byte of the answer.

use std::time::Duration;

use http::HeaderMap;
use providers::HOPS;

/// What of the caller's time is left for the way back, so that it reads our answer and not its own timeout: a fiftieth, at
/// most this.
const LONGEST_MARGIN: Duration = Duration::from_millis(200);

/// A caller that waits for longer waits for as long as it takes.
const LONGEST_PATIENCE: f64 = 86_400.0;

/// What is known of the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// How often the same request was sent before, as the SDK says itself.
    pub(crate) client_retry: u16,
    /// How long the caller waits for the beginning of its answer.
    pub(crate) patience: Option<Duration>,
    /// How many gateways the request has come through already.
    pub(crate) hops: u8,
}

impl Hints {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let count = text("x-stainless-retry-count").and_then(|count| count.trim().parse().ok());
        let seconds = text("x-stainless-read-timeout").or_else(|| text("x-stainless-timeout"));
        let seconds = seconds.and_then(|seconds| seconds.trim().parse::<f64>().ok());
        // A Node timeout below a second arrives as 0: unknown, not nothing.
        let patience = seconds.filter(|seconds| *seconds > 0.0 && *seconds < LONGEST_PATIENCE);
        let patience = patience.map(|seconds| {
            let patience = Duration::from_secs_f64(seconds);
            patience - (patience / 50).min(LONGEST_MARGIN)
        });
        // More than a byte holds is more than is allowed.
        let hops = headers
            .get(HOPS)
            .map_or(0, |hops| hops.to_str().ok().and_then(|hops| hops.parse().ok()).unwrap_or(u8::MAX));
        Self { client_retry: count.unwrap_or(0), patience, hops }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], client_retry: u16, patience_ms: Option<u64>) {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        let expected = Hints { client_retry, patience: patience_ms.map(Duration::from_millis), hops: 0 };
        assert_eq!(Hints::read(&headers.collect()), expected);
    }

    #[test]
    fn the_sdks_say_how_long_they_wait_and_how_often_they_tried() {
        check(&[], 0, None);
        check(&[("x-stainless-retry-count", "0"), ("x-stainless-read-timeout", "600")], 0, Some(599_800));
        check(&[("x-stainless-retry-count", "2"), ("x-stainless-timeout", "2")], 2, Some(1_960));
        check(&[("x-stainless-read-timeout", "0.5")], 0, Some(490));
    }

    #[test]
    fn what_makes_no_sense_is_not_heeded() {
        for nonsense in ["0", "-1", "nan", "inf", "1e300", "soon", "", "None"] {
            check(&[("x-stainless-read-timeout", nonsense), ("x-stainless-retry-count", nonsense)], 0, None);
        }
    }
}
