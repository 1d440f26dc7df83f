//! Whether the baseline could take all traffic back: a small real call, and what its answer says of limits, held against the peak that
//! was seen. A rollback that finds the vendor's quota gone is an outage of one's own making.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use providers::{ProviderConfig, Special};
use serde::{Deserialize, Serialize};
use wire::failure::FailureKind;
use wire::record::Endpoint;

/// A probe that is to be made, again and again.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The rollout whose baseline it is.
    pub rollout: String,
    /// The target.
    pub target: String,
    /// Its provider.
    pub provider: Arc<ProviderConfig>,
    /// What is called.
    pub endpoint: Endpoint,
    /// With what.
    pub body: Bytes,
    /// What is different about the call.
    pub special: Option<Box<Special>>,
    /// How often.
    pub every: Duration,
}

/// The call that a probe made.
#[derive(Debug, Clone)]
pub struct Made {
    /// When it began, Unix microseconds.
    pub started_us: u64,
    /// How long it took.
    pub took: Duration,
    /// The status of the answer, if there was one.
    pub status: Option<StatusCode>,
    /// Why there was none, or not all of it.
    pub failure: Option<FailureKind>,
    /// The answer.
    pub body: Bytes,
}

/// What was seen of the traffic that would come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// Requests in the busiest minute; 0 when none was seen.
    pub requests_per_minute: f64,
    /// Tokens in it, by the mean of the last requests; `None` when that is not known.
    pub tokens_per_minute: Option<f64>,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The target.
    pub target: String,
    /// Whether the baseline could take everything back, as far as one can see.
    pub ok: bool,
    /// One sentence.
    pub words: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// Requests a minute that the provider says it allows.
    pub requests_limit: Option<f64>,
    /// Tokens a minute that the provider says it allows.
    pub tokens_limit: Option<f64>,
    /// What was seen of the traffic.
    pub peak: Peak,
    /// Whether the provider is simulated.
    pub simulated: bool,
}

/// Where providers say how much they allow in a minute: OpenAI and Azure first, then Anthropic. With Anthropic input and output
/// have limits of their own; the smaller one of those that are there binds.
const REQUESTS: [&str; 2] = ["x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit"];
const TOKENS: [&str; 4] = [
    "x-ratelimit-limit-tokens",
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-output-tokens-limit",
];

/// What an answer, or the lack of one, says.
#[must_use]
pub fn judge(plan: &Plan, answer: Result<(StatusCode, &HeaderMap), &str>, latency: Duration, peak: Peak) -> Finding {
    let limit = |names: &[&str]| {
        let (_, headers) = answer.ok()?;
        let numbers = names.iter().filter_map(|name| headers.get(*name)?.to_str().ok()?.trim().parse::<f64>().ok());
        numbers.filter(|number| number.is_finite() && *number >= 0.0).reduce(f64::min)
    };
    let (requests_limit, tokens_limit) = (limit(&REQUESTS), limit(&TOKENS));
    let refused = match answer {
        Err(why) => Some(format!("no answer: {why}")),
        Ok((status, _)) => match status.as_u16() {
            200..=299 | 400 | 422 => None,
            401 | 403 => Some(format!("the credentials were refused with {}", status.as_u16())),
            404 => Some("the model or the path is not there (404)".to_owned()),
            429 => Some("the quota or the rate limit is used up (429)".to_owned()),
            status => Some(format!("it answered {status}")),
        },
    };
    let short = |what: &str, limit: Option<f64>, needed: f64| {
        limit
            .filter(|limit| *limit < needed)
            .map(|limit| format!("{what} are limited to {limit:.0} a minute, and the busiest minute had {needed:.0}"))
    };
    let problem = refused
        .or_else(|| short("requests", requests_limit, peak.requests_per_minute))
        .or_else(|| short("tokens", tokens_limit, peak.tokens_per_minute.unwrap_or(0.0)));
    let words = match &problem {
        Some(problem) => format!("{} could not take all traffic back: {problem}", plan.target),
        None => format!("{} answers{}", plan.target, room(requests_limit, tokens_limit, peak)),
    };
    Finding {
        target: plan.target.clone(),
        ok: problem.is_none(),
        words,
        status: answer.ok().map(|(status, _)| status.as_u16()),
        latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
        requests_limit,
        tokens_limit,
        peak,
        simulated: plan.provider.is_simulated(),
    }
}

fn room(requests: Option<f64>, tokens: Option<f64>, peak: Peak) -> String {
    let mut parts = Vec::new();
    if let Some(limit) = requests {
        parts.push(format!("{limit:.0} requests a minute are allowed, {:.0} were needed", peak.requests_per_minute));
    }
    if let (Some(limit), Some(needed)) = (tokens, peak.tokens_per_minute) {
        parts.push(format!("{limit:.0} tokens a minute are allowed, {needed:.0} were needed"));
    }
    if parts.is_empty() {
        return ", and says nothing of its limits".to_owned();
    }
    format!("; {}", parts.join("; "))
}

/// The busiest minute of a counter that is read now and then.
#[derive(Debug, Clone, Default)]
pub struct Busiest {
    /// When and how much it was at the last readings, at most a minute's worth.
    readings: std::collections::VecDeque<(u64, u64)>,
    epoch: u32,
    /// The most that one minute had.
    pub per_minute: f64,
}

impl Busiest {
    /// Takes a reading. A counter that begins anew in another epoch is no loss.
    pub fn read(&mut self, epoch: u32, count: u64, now_us: u64) {
        const MINUTE_US: u64 = 60_000_000;
        if epoch != self.epoch {
            self.readings.clear();
            self.epoch = epoch;
        }
        self.readings.push_back((now_us, count));
        while self.readings.get(1).is_some_and(|(at_us, _)| now_us.saturating_sub(*at_us) >= MINUTE_US) {
            self.readings.pop_front();
        }
        let Some((from_us, from)) = self.readings.front().copied() else { return };
        let span_us = now_us.saturating_sub(from_us).max(MINUTE_US);
        #[expect(clippy::cast_precision_loss, reason = "counts and spans of minutes are far below 2^53")]
        let rate = count.saturating_sub(from) as f64 * MINUTE_US as f64 / span_us as f64;
        self.per_minute = self.per_minute.max(rate);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use providers::{BaseUrl, Dialect};

    use super::*;

    fn check(
        answer: Result<u16, &str>,
        headers: &[(&'static str, &'static str)],
        needed: (f64, Option<f64>),
    ) -> (bool, String) {
        let provider = ProviderConfig::new("openai", Dialect::Openai, BaseUrl::parse("http://127.0.0.1:9").unwrap());
        let plan = Plan {
            rollout: "to-b".into(),
            target: "gpt".into(),
            provider: Arc::new(provider),
            endpoint: Endpoint::ChatCompletions,
            body: Bytes::new(),
            special: None,
            every: Duration::from_secs(900),
        };
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let answer = answer.map(|status| (StatusCode::from_u16(status).unwrap(), &headers));
        let peak = Peak { requests_per_minute: needed.0, tokens_per_minute: needed.1 };
        let finding = judge(&plan, answer, Duration::from_millis(5), peak);
        (finding.ok, finding.words)
    }

    #[test]
    fn a_baseline_that_answers_and_has_room_passes() {
        let limits = [("x-ratelimit-limit-requests", "500"), ("x-ratelimit-limit-tokens", "30000")];
        assert_eq!(check(Ok(200), &[], (1e6, None)), (true, "gpt answers, and says nothing of its limits".into()));
        assert!(check(Ok(200), &limits, (500.0, Some(30_000.0))).0);
        assert!(check(Ok(400), &limits, (10.0, None)).0, "it was let in");
    }

    #[test]
    fn credentials_quota_and_limits_that_would_not_do_fail_and_say_so() {
        let limits = [("x-ratelimit-limit-requests", "500"), ("x-ratelimit-limit-tokens", "30000")];
        let claude =
            [("anthropic-ratelimit-requests-limit", "50"), ("anthropic-ratelimit-output-tokens-limit", "8000")];
        for (answer, headers, needed, words) in [
            (Ok(401), &limits, (1.0, None), "credentials were refused with 401"),
            (Ok(429), &limits, (1.0, None), "quota or the rate limit is used up"),
            (Ok(503), &limits, (1.0, None), "it answered 503"),
            (Ok(404), &limits, (1.0, None), "not there"),
            (Err("timeout_total"), &limits, (1.0, None), "no answer: timeout_total"),
            (Ok(200), &limits, (501.0, None), "limited to 500 a minute, and the busiest minute had 501"),
            (Ok(200), &limits, (1.0, Some(30_001.0)), "tokens are limited to 30000"),
            (Ok(200), &claude, (51.0, None), "limited to 50"),
            (Ok(200), &claude, (1.0, Some(9000.0)), "tokens are limited to 8000"),
        ] {
            let (ok, said) = check(answer, headers, needed);
            assert!(!ok && said.contains(words), "{said}");
        }
    }

    #[test]
    fn the_busiest_minute_is_found_whatever_the_epoch() {
        const S: u64 = 1_000_000;
        let mut busiest = Busiest::default();
        for n in 0..=12 {
            busiest.read(1, n * 100, n * 10 * S);
        }
        assert!((busiest.per_minute - 600.0).abs() < 1e-9, "{}", busiest.per_minute);
        busiest.read(2, 0, 130 * S);
        busiest.read(2, 50, 140 * S);
        assert!((busiest.per_minute - 600.0).abs() < 1e-9);
        busiest.read(2, 2000, 150 * S);
        assert!((busiest.per_minute - 2000.0).abs() < 1e-9, "what a part of a minute had, the minute had at least");
    }
}
