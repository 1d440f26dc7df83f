//! What an attempt cost, by the prices of the snapshot it ran on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use cost::{Meter, Prices, Tariff, Unknown, When};
use wire::failure::FailureKind;
use wire::record::{AttemptRecord, Charge, Endpoint, Service};

/// The prices of every target.
#[derive(Debug, Default, Clone)]
pub struct TargetPrices {
    /// All that is known.
    pub all: Arc<Prices>,
    /// How each target is priced, by its name; one that is not here has no known price.
    pub of: BTreeMap<String, PricedBy>,
}

/// How a target is priced.
#[derive(Debug, Clone)]
pub enum PricedBy {
    /// By these rows.
    Tariff(Arc<Tariff>),
    /// By this vendor's rows for whatever model a request names.
    Vendor(String),
}

/// The most a call may use.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Most {
    /// Tokens of the prompt.
    pub(crate) prompt: u64,
    /// Tokens of the answer.
    pub(crate) answer: u64,
    /// Microseconds of a server's time.
    pub(crate) busy_us: u64,
}

/// Whether calls at `endpoint` are charged for at all.
pub(crate) fn is_charged_for(endpoint: Endpoint) -> bool {
    endpoint.service() != Service::Provider && !matches!(endpoint, Endpoint::CountTokens | Endpoint::InputTokens)
}

impl TargetPrices {
    /// The rows that price calls of `model` at `target`.
    #[must_use]
    pub fn tariff(&self, target: &str, model: &str) -> Option<&Arc<Tariff>> {
        match self.of.get(target)? {
            PricedBy::Tariff(tariff) => Some(tariff),
            PricedBy::Vendor(vendor) => self.all.tariff(vendor, model),
        }
    }

    /// What an attempt that ended cost. `None` when nothing was charged: no call was made, the provider refused it, or it was
    /// about something the provider keeps, or tokens were counted only.
    pub(crate) fn charge(&self, endpoint: Endpoint, attempt: &AttemptRecord) -> Option<Charge> {
        if !is_charged_for(endpoint) || !is_charged(attempt) {
            return None;
        }
        let charge = self.price(attempt).unwrap_or_else(|why| Charge::Unknown { why: Cow::Borrowed(why.as_str()) });
        Some(charge)
    }

    /// The most that a call of `model` at `target` costs, whatever service it asks for: prompts may be written to a cache at a
    /// higher price. `None` when it has no known price.
    pub(crate) fn at_most(&self, (target, model): (&str, &str), most: &Most, at_us: u64) -> Option<u64> {
        let when = When::from_us(at_us);
        let tokens = cost::Usage::new().with(Meter::Input, most.prompt).with(Meter::Output, most.answer);
        let tokens = tokens.with(Meter::BusyUs, most.busy_us);
        let rows = self.tariff(target, model)?.rows().iter().filter(|row| row.holds(when, &row.service));
        let costs = rows.flat_map(|row| {
            let written = [Meter::CacheWrite1h, Meter::CacheWrite];
            let written = written.into_iter().filter(|meter| row.meters().any(|priced| priced == *meter));
            let usages = written.map(|meter| tokens.with(meter, most.prompt)).chain([tokens]);
            usages.filter_map(|usage| row.charge(&usage).ok())
        });
        costs.map(|cost| cost.nanos).max()
    }

    /// What a call of `model` at `target` costs that used this, began then and took so long (Unix microseconds, microseconds); in
    /// billionths of a dollar, `None` when that is not known.
    #[must_use]
    pub fn price_of(
        &self,
        (target, model): (&str, &str),
        usage: Option<&wire::usage::Usage>,
        (started_us, duration_us): (u64, u64),
    ) -> Option<u64> {
        match self.call((target, model), usage, (started_us, duration_us)) {
            Ok(Charge::Priced { nanos, .. }) => Some(nanos),
            Ok(Charge::Unknown { .. }) | Err(_) => None,
        }
    }

    fn price(&self, attempt: &AttemptRecord) -> Result<Charge, Unknown> {
        let when = (attempt.started_us, attempt.duration_us);
        self.call((&attempt.target, &attempt.model), attempt.usage.as_ref(), when)
    }

    fn call(
        &self,
        (target, model): (&str, &str),
        usage: Option<&wire::usage::Usage>,
        (started_us, duration_us): (u64, u64),
    ) -> Result<Charge, Unknown> {
        let tariff = self.tariff(target, model).ok_or(Unknown::Model)?;
        let tier = usage.map_or(wire::usage::Tier::default(), |usage| usage.tier);
        let row = tariff.row(When::from_us(started_us), tier.as_str()).ok_or(Unknown::Row)?;
        let by_call = row.meters().all(Meter::is_of_every_call);
        let used = match usage {
            Some(usage) => metered(usage),
            None if by_call => cost::Usage::new(),
            None => return Err(Unknown::Usage),
        };
        let cost = row.charge(&used.with(Meter::BusyUs, duration_us))?;
        Ok(Charge::Priced { nanos: cost.nanos, row: cost.row.to_owned() })
    }
}

/// Whether somebody charges for it, as far as one can know: an answer was begun, or the call was made and its end is not known.
fn is_charged(attempt: &AttemptRecord) -> bool {
    match (attempt.status, attempt.failure) {
        (Some(status), _) => (200..300).contains(&status),
        (None, None) => true,
        (None, Some(kind)) => matches!(
            kind,
            FailureKind::TimeoutFirstToken
                | FailureKind::TimeoutInterToken
                | FailureKind::TimeoutTotal
                | FailureKind::Disconnected
                | FailureKind::ClientGone
                | FailureKind::ShuttingDown
                | FailureKind::TooSlow
                | FailureKind::Withdrawn
        ),
    }
}

/// The usage in the meters of price sheets.
fn metered(usage: &wire::usage::Usage) -> cost::Usage {
    cost::Usage::new()
        .with(Meter::Input, usage.input_tokens)
        .with(Meter::Output, usage.output_tokens)
        .with(Meter::Cached, usage.cached_tokens)
        .with(Meter::Reasoning, usage.reasoning_tokens)
        .with(Meter::CacheWrite, usage.cache_write_tokens)
        .with(Meter::CacheWrite1h, usage.cache_write_1h_tokens)
        .with(Meter::AudioInput, usage.audio_input_tokens)
        .with(Meter::AudioOutput, usage.audio_output_tokens)
        .with(Meter::ImageInput, usage.image_input_tokens)
        .with(Meter::ImageOutput, usage.image_output_tokens)
        .with(Meter::WebSearches, usage.web_searches)
        .with(Meter::AudioInputSeconds, usage.audio_seconds)
}

#[cfg(test)]
mod tests {
    use wire::record::AttemptRole;
    use wire::usage::{Tier, Usage};

    use super::*;

    const SHEET: &str = r#"{ "source": "a test", "checked": "2026-11-25", "models": [
      { "vendor": "acme", "id": "one", "prices": [
        { "service": "batch", "rates": { "input": 1, "output": 5 } },
        { "rates": { "input": 2, "cached": 0.5, "output": 10 } } ] },
      { "vendor": "own", "id": "one", "prices": [{ "gpu": { "hour": 3.6, "gpus": 1, "concurrent_requests": 10 } }] } ] }"#;

    fn prices() -> TargetPrices {
        let sheet = cost::sheet::Sheet::parse(SHEET).unwrap();
        let all = Arc::new(Prices::new(&[("test", &sheet)]).unwrap());
        let own = PricedBy::Tariff(Arc::clone(all.tariff("own", "one").unwrap()));
        let of = [("vendor", PricedBy::Vendor("acme".into())), ("own", own)];
        TargetPrices { of: of.into_iter().map(|(name, by)| (name.to_owned(), by)).collect(), all }
    }

    #[test]
    fn the_most_a_call_costs_is_at_least_what_any_use_of_it_costs() {
        let prices = prices();
        let at = 1_800_000_000_000_000;
        let most = Most { prompt: 1_000, answer: 500, busy_us: 600_000_000 };
        // 1 000 tokens in at 2 and 500 out at 10 dollars per million.
        assert_eq!(prices.at_most(("vendor", "one"), &most, at), Some(7_000_000));
        // 3.60 dollars an hour shared by 10, for 600 s.
        assert_eq!(prices.at_most(("own", "one"), &most, at), Some(60_000_000));
        assert_eq!(prices.at_most(("vendor", "unheard-of"), &most, at), None);
        assert_eq!(prices.at_most(("nobody", "one"), &most, at), None);
        for (cached, output) in [(0, 500), (1_000, 500), (300, 7)] {
            let usage = Usage { input_tokens: 1_000, cached_tokens: cached, output_tokens: output, ..Usage::default() };
            let Some(Charge::Priced { nanos, .. }) =
                prices.charge(Endpoint::ChatCompletions, &attempt("vendor", Some(usage)))
            else {
                panic!("it has a price");
            };
            assert!(nanos <= 7_000_000);
        }
    }

    fn attempt(target: &str, usage: Option<Usage>) -> AttemptRecord {
        AttemptRecord {
            idx: 0,
            target: target.into(),
            provider: "p".into(),
            model: "one".into(),
            arm: None,
            role: AttemptRole::Live,
            started_us: 1_800_000_000_000_000,
            status: Some(200),
            failure: None,
            time_to_first_token_us: None,
            duration_us: 2_000_000,
            usage,
            finish_reason: None,
            format_valid: None,
            simulated: false,
            truncated: false,
            answer_bytes: 0,
            cost: None,
            validity: Default::default(),
            request_bytes: 0,
        }
    }

    /// Nano-dollars, or the word that says why there are none, or nothing.
    #[track_caller]
    fn check(attempt: &AttemptRecord, expected: &str) {
        let found = match prices().charge(Endpoint::ChatCompletions, attempt) {
            Some(Charge::Priced { nanos, .. }) => nanos.to_string(),
            Some(Charge::Unknown { why }) => why.into_owned(),
            None => "nothing".to_owned(),
        };
        assert_eq!(found, expected);
    }

    fn used(input: u64, cached: u64, output: u64) -> Option<Usage> {
        Some(Usage { input_tokens: input, cached_tokens: cached, output_tokens: output, ..Usage::default() })
    }

    #[test]
    fn tokens_are_priced_as_the_vendor_counts_them() {
        check(&attempt("vendor", used(1_000, 400, 10)), &(600 * 2_000 + 400 * 500 + 10 * 10_000).to_string());
        let batch = used(1_000, 400, 10).map(|usage| Usage { tier: Tier::Batch, ..usage });
        check(&attempt("vendor", batch), &(1_000 * 1_000 + 10 * 5_000).to_string());
        let flex = used(1, 0, 1).map(|usage| Usage { tier: Tier::Flex, ..usage });
        check(&attempt("vendor", flex), "no_row_then");
    }

    #[test]
    fn time_is_priced_with_and_without_usage() {
        // $3.60 an hour is 1 000 000 nano-dollars a second; two seconds, shared by ten.
        check(&attempt("own", used(5, 0, 5)), "200000");
        check(&attempt("own", None), "200000");
    }

    #[test]
    fn what_is_not_known_says_why_and_what_is_not_charged_says_nothing() {
        check(&attempt("vendor", None), "no_usage");
        check(&attempt("nobody", used(1, 0, 1)), "unknown_model");
        check(&attempt("vendor", used(1, 5, 1)), "inconsistent_usage");
        let failed = |status, kind| AttemptRecord { status, failure: Some(kind), ..attempt("vendor", None) };
        check(&failed(Some(429), FailureKind::RateLimited), "nothing");
        check(&failed(None, FailureKind::BreakerOpen), "nothing");
        check(&failed(None, FailureKind::Connect), "nothing");
        check(&failed(None, FailureKind::TimeoutFirstToken), "no_usage");
        check(&failed(Some(200), FailureKind::ClientGone), "no_usage");
        assert_eq!(prices().charge(Endpoint::Files, &attempt("vendor", None)), None);
    }
}
