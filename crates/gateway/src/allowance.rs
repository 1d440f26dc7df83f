//! How much the caller may still call: what a request may come to is taken from the accounts of its key, its tenant and its
//! route before anything is called, and what it came to is settled when it ends, however it ends.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use govern::limits::{Ask, Exceeded, LimitKind, Limits, Moment, Standing, Taken, Used};
use govern::{Accounts, Key, Shared, Subject};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use wire::failure::FailureKind;
use wire::openai::Refusal;
use wire::record::{AttemptRecord, Charge};
use wire::request::{answer_at_most, prompt_at_most};

use crate::authenticate::Principal;
use crate::parse::Parsed;
use crate::prices::{Most, is_charged_for};
use crate::record::Arrival;
use crate::snapshot::{Route, Snapshot};
use crate::worker::Worker;

/// How long to wait for another request to end, when nobody knows.
const CONCURRENCY_WAIT: Duration = Duration::from_secs(1);
/// Bytes of a streamed answer per token when the provider did not say how many: an event with one token has 150 to 300.
const STREAMED_BYTES_PER_TOKEN: u64 = 150;
/// The same of a whole answer.
const WHOLE_BYTES_PER_TOKEN: u64 = 4;

/// What was taken for one request. Whatever drops it gives back what was not used.
pub(crate) struct Allowance {
    accounts: Arc<Accounts>,
    held: [Option<Held>; 4],
    /// How the tightest account stood after it.
    pub(crate) standing: Standing,
    worst: Worst,
    /// What was reserved, in each account.
    ask: Ask,
}

struct Held {
    account: Shared,
    limits: Limits,
    taken: Taken,
}

/// The most a request may come to.
#[derive(Debug, Clone, Copy, Default)]
struct Worst {
    prompt: u64,
    answer: u64,
    streamed: bool,
}

/// A request that is not let in, and how the tightest account stands.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) standing: Standing,
}

/// Takes from every account with limits what `request` may come to, or nothing from any.
pub(crate) fn admit(
    worker: &Worker,
    snapshot: &Snapshot,
    principal: &Principal,
    (routes, request): (Routes<'_>, &Parsed),
    arrival: Arrival,
) -> Result<Allowance, Box<Refused>> {
    let accounts = &worker.deps.accounts;
    let subjects = subjects(snapshot, principal, routes);
    let route = routes.chosen;
    let has = |limited: fn(&Limits) -> bool| subjects.iter().flatten().any(|(_, limits)| limited(limits));
    let has_budget = has(|limits| limits.budget.is_some());
    let worst = if has_budget || has(|limits| limits.tokens_per_minute.is_some()) {
        Worst::of(request, snapshot.limits.assumed_answer_tokens)
    } else {
        Worst::default()
    };
    let nanos = if has_budget { worst.nanos(worker, snapshot, (route, request), arrival.unix_us) } else { Some(0) };
    let ask = Ask { tokens: worst.tokens(), nanos: nanos.unwrap_or(0) };
    let mut allowance = Allowance {
        accounts: Arc::clone(accounts),
        held: [None, None, None, None],
        standing: Standing::default(),
        worst,
        ask,
    };
    let now = accounts.moment(arrival.at, arrival.unix_us);
    for (place, (subject, limits)) in allowance.held.iter_mut().zip(subjects.iter().flatten()) {
        let account = accounts.of(*subject);
        let admitted = {
            let mut account = account.lock();
            let admitted = account.admit(limits, ask, now);
            allowance.standing = allowance.standing.tighter(account.standing(limits, now));
            admitted
        };
        let refusal = match admitted {
            Ok(taken) => {
                *place = Some(Held { account, limits: *limits, taken });
                // What nobody knows the price of would be spent without end.
                (nanos.is_none() && limits.budget.is_some()).then(|| unpriced(*subject, request.model()))
            }
            Err(exceeded) => Some(refusal(*subject, exceeded, ask)),
        };
        if let Some(refusal) = refusal {
            let standing = allowance.standing;
            allowance.undo(now);
            return Err(Box::new(Refused { refusal, standing }));
        }
    }
    Ok(allowance)
}

/// The route that a request named, and the one that its rules chose: a limit of either holds.
#[derive(Clone, Copy)]
pub(crate) struct Routes<'a> {
    pub(crate) named: &'a Route,
    pub(crate) chosen: &'a Route,
}

/// Whose accounts a request is on: those of them that have limits. The key first: whoever has used up his own is told so,
/// whatever others did.
fn subjects<'a>(
    snapshot: &Snapshot,
    principal: &'a Principal,
    Routes { named, chosen }: Routes<'a>,
) -> [Option<(Subject<'a>, Limits)>; 4] {
    let [key, tenant] = principal.key().map(|key| own(snapshot, key)).unwrap_or_default();
    let of =
        |route: &'a Route| (!route.limits.is_empty()).then_some((Subject::Route(route.name.as_str()), route.limits));
    let named = if named.name == chosen.name { None } else { of(named) };
    [key, tenant, named, of(chosen)]
}

/// A key and its tenant, as far as they have limits.
fn own<'a>(snapshot: &Snapshot, key: &'a Key) -> [Option<(Subject<'a>, Limits)>; 2] {
    let tenant = key.scope.tenant.as_deref();
    let subjects = [
        Some((Subject::Key(key.id.as_str()), key.limits.or(&snapshot.auth.key_limits))),
        tenant.and_then(|name| Some((Subject::Tenant(name), *snapshot.tenants.get(name)?))),
    ];
    subjects.map(|subject| subject.filter(|(_, limits)| !limits.is_empty()))
}

/// Says how the holder of `key` stands, on an answer that was given before it came to that.
pub(crate) fn show_unless_shown(headers: &mut HeaderMap, accounts: &Accounts, snapshot: &Snapshot, key: &Key) {
    if headers.contains_key(LIMIT_REQUESTS) || headers.contains_key(LIMIT_TOKENS) {
        return;
    }
    let now = accounts.moment(Instant::now(), crate::live::now().0);
    let standing = own(snapshot, key).into_iter().flatten().fold(Standing::default(), |standing, (subject, limits)| {
        standing.tighter(accounts.of(subject).lock().standing(&limits, now))
    });
    show(headers, &standing);
}

impl Allowance {
    /// Settles by what the attempts came to.
    pub(crate) fn settle(&mut self, snapshot: &Snapshot, attempts: &[AttemptRecord], now: (Instant, u64)) {
        let mut used = Used::default();
        for attempt in attempts {
            let tokens = self.worst.came_to(attempt);
            used.tokens = used.tokens.saturating_add(tokens.prompt.saturating_add(tokens.answer));
            used.nanos = used.nanos.saturating_add(match &attempt.cost {
                None => 0,
                Some(Charge::Priced { nanos, .. }) => *nanos,
                // Its price by what it must have used, else what was reserved for it.
                Some(Charge::Unknown { .. }) => {
                    let what = (attempt.target.as_str(), attempt.model.as_str());
                    let most = Most { busy_us: attempt.duration_us, ..tokens };
                    snapshot.prices.at_most(what, &most, attempt.started_us).unwrap_or(self.ask.nanos)
                }
            });
        }
        self.give_back(used, self.accounts.moment(now.0, now.1));
    }

    fn give_back(&mut self, used: Used, now: Moment) {
        for Held { account, limits, taken } in self.held.iter_mut().filter_map(Option::take) {
            account.lock().settle(&limits, taken, used, now);
        }
    }

    fn undo(&mut self, now: Moment) {
        for Held { account, limits, taken } in self.held.iter_mut().filter_map(Option::take) {
            account.lock().undo(&limits, taken, now);
        }
    }
}

impl Drop for Allowance {
    /// Not settled: nothing was called.
    fn drop(&mut self) {
        if self.held.iter().any(Option::is_some) {
            let now = self.accounts.moment(Instant::now(), crate::live::now().0);
            self.give_back(Used::default(), now);
        }
    }
}

impl Worst {
    fn of(request: &Parsed, assumed_answer: u64) -> Worst {
        // A form holds files, not a prompt.
        let prompt = if request.boundary.is_some() { 0 } else { prompt_at_most(&request.body) };
        let answer = answer_at_most(&request.view, &request.body, request.n_choices(), assumed_answer);
        Worst { prompt, answer, streamed: request.streamed() }
    }

    fn tokens(&self) -> u64 {
        self.prompt.saturating_add(self.answer)
    }

    /// The most it costs at any target that may answer it, as far as their prices are known; `None` when that of the route's own
    /// target is not. What another without a price answers is charged as what was reserved.
    fn nanos(
        &self,
        worker: &Worker,
        snapshot: &Snapshot,
        (route, request): (&Route, &Parsed),
        at_us: u64,
    ) -> Option<u64> {
        if !is_charged_for(request.endpoint) {
            return Some(0);
        }
        let at = |name: &String| {
            let target = snapshot.target(name)?;
            let model = target.model_for(&route.name, request.model());
            let timeouts = &target.provider.timeouts;
            let longest = if request.streamed() { timeouts.total } else { timeouts.whole_answer() };
            let busy_us = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
            let use_of_it = Most { prompt: self.prompt, answer: self.answer, busy_us };
            snapshot.prices.at_most((name, &model), &use_of_it, at_us)
        };
        let own = at(&route.target)?;
        let live = worker.deps.live.for_route(&route.name);
        let arms = live.iter().flat_map(|live| [&live.identity.baseline, &live.identity.candidate]);
        let last = route.fallback.iter().chain(arms).filter_map(at).fold(own, u64::max);
        // The steps of a cascade are paid for too, all of them at worst.
        let before = route.cascade.iter().flat_map(|cascade| &cascade.steps).filter_map(at);
        Some(before.fold(last, u64::saturating_add))
    }

    /// The tokens an attempt came to: as the provider counted them, else by its bytes. One without an answer came to nothing.
    fn came_to(&self, attempt: &AttemptRecord) -> Most {
        let (prompt, answer) = match attempt.usage {
            Some(usage) => (usage.input_tokens, usage.output_tokens),
            None if attempt.answer_bytes == 0 || attempt.status.is_some_and(|status| status >= 400) => (0, 0),
            None => {
                let per_token = if self.streamed { STREAMED_BYTES_PER_TOKEN } else { WHOLE_BYTES_PER_TOKEN };
                (self.prompt, (attempt.answer_bytes / per_token).min(self.answer))
            }
        };
        Most { prompt, answer, busy_us: 0 }
    }
}

fn unpriced(subject: Subject<'_>, model: &str) -> Refusal {
    let model: String = model.chars().take(256).collect();
    let whose = whose(subject);
    let message =
        format!("The price of `{model}` is not known, and {whose} has a budget. Tell whoever runs the gateway.");
    Refusal::over_limit(FailureKind::BudgetLimit, message, None, true)
}

fn whose(subject: Subject<'_>) -> String {
    match subject {
        Subject::Key(_) => "this API key".to_owned(),
        Subject::Tenant(name) => format!("tenant `{name}`"),
        Subject::Route(name) => format!("model `{name}`"),
    }
}

fn refusal(subject: Subject<'_>, exceeded: Exceeded, ask: Ask) -> Refusal {
    let Exceeded { kind, limit, wait, never } = exceeded;
    let whose = whose(subject);
    let again = wait.map_or_else(String::new, |wait| format!(" Please try again in {}.", shown(wait)));
    let (kind, message, wait) = match kind {
        LimitKind::Requests => {
            let message = format!("Rate limit reached for {whose} on requests per min: limit {limit}.{again}");
            (FailureKind::RequestLimit, message, wait)
        }
        LimitKind::Tokens if never => {
            let requested = ask.tokens;
            let message = format!(
                "Request too large for {whose} on tokens per min: limit {limit}, requested up to {requested}. \
                 Send a shorter prompt or allow fewer tokens for the answer."
            );
            (FailureKind::TokenLimit, message, None)
        }
        LimitKind::Tokens => {
            let requested = ask.tokens;
            let message = format!(
                "Rate limit reached for {whose} on tokens per min: limit {limit}, requested up to {requested}.{again}"
            );
            (FailureKind::TokenLimit, message, wait)
        }
        LimitKind::Concurrency => {
            let message = format!("Rate limit reached for {whose} on requests at once: limit {limit}.");
            (FailureKind::ConcurrencyLimit, message, Some(CONCURRENCY_WAIT))
        }
        LimitKind::Budget if never => {
            let message = format!(
                "Request too large for the budget of {whose}: it may cost more than all of it. \
                 Send a shorter prompt or allow fewer tokens for the answer."
            );
            (FailureKind::BudgetLimit, message, None)
        }
        LimitKind::Budget => {
            let message =
                format!("The budget of {whose} is used up, or would be by this request. Ask whoever runs the gateway.");
            (FailureKind::BudgetLimit, message, None)
        }
    };
    Refusal::over_limit(kind, message, wait, never)
}

const LIMIT_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const REMAINING_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");
const LIMIT_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");
const REMAINING_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
const RESET_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-reset-tokens");

/// Says how the caller stands. What a provider said of its own limits goes: it is about Crossfade's account there.
pub(crate) fn show(headers: &mut HeaderMap, standing: &Standing) {
    if standing.requests.is_none() && standing.tokens.is_none() {
        return;
    }
    let theirs: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-ratelimit-")).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
    for (stands, limit, remaining, reset) in [
        (standing.requests, LIMIT_REQUESTS, REMAINING_REQUESTS, RESET_REQUESTS),
        (standing.tokens, LIMIT_TOKENS, REMAINING_TOKENS, RESET_TOKENS),
    ] {
        let Some((n, room, full_in)) = stands else { continue };
        headers.insert(limit, HeaderValue::from(n));
        headers.insert(remaining, HeaderValue::from(room));
        if let Ok(value) = HeaderValue::try_from(shown(full_in)) {
            headers.insert(reset, value);
        }
    }
}

/// A duration as OpenAI writes them: `12ms`, `1.5s`, `6m0s`, `1h2m3s`. Rounded up to milliseconds.
fn shown(duration: Duration) -> String {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (hours, minutes, seconds, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    let mut text = String::new();
    // Writing to a String cannot fail.
    if hours > 0 {
        write!(text, "{hours}h").unwrap_or_default();
    }
    if hours > 0 || minutes > 0 {
        write!(text, "{minutes}m").unwrap_or_default();
    }
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:03}").trim_end_matches('0').to_owned() };
    write!(text, "{seconds}{fraction}s").unwrap_or_default();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        for (ns, text) in [
            (0, "0ms"),
            (1, "1ms"),
            (12_000_000, "12ms"),
            (999_000_001, "1s"),
            (1_000_000_000, "1s"),
            (8_640_000_000, "8.64s"),
            (59_999_000_001, "1m0s"),
            (360_000_000_000, "6m0s"),
            (372_345_000_000, "6m12.345s"),
            (3_723_000_000_000, "1h2m3s"),
            (86_400_000_000_000, "24h0m0s"),
        ] {
            assert_eq!(shown(Duration::from_nanos(ns)), text, "{ns}");
        }
    }

    #[test]
    fn a_panic_gives_back_what_was_taken() {
        let accounts = Arc::new(Accounts::default());
        let account = accounts.of(Subject::Route("r"));
        let limits = Limits { tokens_per_minute: 100.try_into().ok(), ..Limits::default() };
        let now = accounts.moment(Instant::now(), 0);
        let taken = account.lock().admit(&limits, Ask { tokens: 100, nanos: 0 }, now).unwrap();
        // One guard for both: two in one expression would wait for each other.
        let held = || {
            let mut account = account.lock();
            (account.in_flight(), account.standing(&limits, now).tokens.unwrap().1)
        };
        assert_eq!(held(), (1, 0));
        let allowance = Allowance {
            accounts,
            held: [Some(Held { account: account.clone(), limits, taken }), None, None, None],
            standing: Standing::default(),
            worst: Worst::default(),
            ask: Ask::default(),
        };
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = allowance;
            panic!("in the middle of a request");
        }));
        assert!(died.is_err());
        assert_eq!(held(), (0, 100));
    }

    #[test]
    fn a_providers_own_limits_are_not_mixed_with_ours() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from(5));
        headers.insert("x-request-id", HeaderValue::from(7));
        let before = headers.clone();
        show(&mut headers, &Standing::default());
        assert_eq!(headers, before, "without limits of ours the provider's stay");
        show(&mut headers, &Standing { requests: Some((60, 59, Duration::from_secs(1))), tokens: None });
        let mut names: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        names.sort();
        assert_eq!(
            names,
            [
                "x-ratelimit-limit-requests: \"60\"",
                "x-ratelimit-remaining-requests: \"59\"",
                "x-ratelimit-reset-requests: \"1s\"",
                "x-request-id: \"7\"",
            ]
        );
    }
}
