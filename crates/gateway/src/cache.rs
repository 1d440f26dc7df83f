//! Answers that were given before, for the same request again: per route, in memory, bounded by bytes and by time.
//!
//! A request in a live rollout neither reads nor fills it: its evidence is about answers of models. What a caller gets from here is an
//! exchange like any other, on record and counted by its limits, that nobody was called for.

mod key;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderMap};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use wire::failure::Failure;
use wire::ids::ExchangeId;
use wire::record::{Charge, DecidedBy, Decision};

use crate::authenticate;
use crate::record::Exchange;
use crate::snapshot::Snapshot;

/// Who answered, on record and in `x-crossfade-target`, when nobody was called.
pub(crate) const CACHE: &str = "cache";

/// What an entry takes beside its body: its key, its place, its numbers.
const OVERHEAD: u64 = 256;

/// The answers of every route with a cache. Outlives snapshots.
#[derive(Debug, Default)]
pub(crate) struct Caches(Mutex<HashMap<String, Arc<RouteCache>>>);

/// What a cache holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStatus {
    /// Its route.
    pub route: String,
    /// Answers.
    pub n_answers: u64,
    /// Their bytes.
    pub n_bytes: u64,
}

/// The answers of one route.
#[derive(Debug)]
pub(crate) struct RouteCache {
    answers: Cache<[u8; 32], Arc<Kept>, ByBytes>,
    max_bytes: usize,
}

/// An answer that may be given again.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) body: Bytes,
    pub(crate) content_type: Option<HeaderValue>,
    /// The exchange that it was first given in.
    exchange: ExchangeId,
    at: Instant,
    /// What it cost then, in nano-dollars, as far as that is known.
    nanos: u64,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<[u8; 32], Arc<Kept>> for ByBytes {
    fn weight(&self, _key: &[u8; 32], kept: &Arc<Kept>) -> u64 {
        kept.body.len() as u64 + OVERHEAD
    }
}

impl RouteCache {
    fn new(max_bytes: usize) -> Self {
        let n_answers = (max_bytes / 4096).clamp(16, 1 << 16);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(n_answers)
            .weight_capacity(max_bytes as u64)
            .shards(1)
            .build();
        let answers = match options {
            Ok(options) => Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), Default::default()),
            Err(_) => Cache::with_weighter(n_answers, max_bytes as u64, ByBytes),
        };
        Self { answers, max_bytes }
    }

    fn find(&self, key: &[u8; 32], oldest: Duration) -> Option<Arc<Kept>> {
        let kept = self.answers.get(key)?;
        if kept.at.elapsed() <= oldest {
            return Some(kept);
        }
        None
    }
}

impl Caches {
    fn of(&self, route: &str, max_bytes: usize) -> Arc<RouteCache> {
        let mut caches = self.lock();
        if let Some(cache) = caches.get(route).filter(|cache| cache.max_bytes == max_bytes) {
            return Arc::clone(cache);
        }
        let cache = Arc::new(RouteCache::new(max_bytes));
        caches.insert(route.to_owned(), Arc::clone(&cache));
        cache
    }

    /// Forgets the answers of routes that have no cache any more.
    pub(crate) fn retain(&self, snapshot: &Snapshot) {
        self.lock().retain(|route, _| snapshot.routes.get(route).is_some_and(|route| route.cache.is_some()));
    }

    pub(crate) fn statuses(&self) -> Vec<CacheStatus> {
        let status = |(route, cache): (&String, &Arc<RouteCache>)| CacheStatus {
            route: route.clone(),
            n_answers: cache.answers.len() as u64,
            n_bytes: cache.answers.weight(),
        };
        let mut statuses: Vec<_> = self.lock().iter().map(status).collect();
        statuses.sort_by(|a, b| a.route.cmp(&b.route));
        statuses
    }

    /// A panic elsewhere leaves a map behind that is whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<RouteCache>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the cache has to do with an exchange that was not answered from it.
#[derive(Debug)]
pub(crate) enum Missed {
    /// Nothing: neither this request nor its answer is for it.
    Bypassed,
    /// Its answer may be kept.
    Fills(Box<Filling>),
}

/// An answer on its way into the cache.
#[derive(Debug)]
pub(crate) struct Filling {
    cache: Arc<RouteCache>,
    key: [u8; 32],
    content_type: Option<HeaderValue>,
    max_answer: usize,
    /// What the caller was sent of a stream so far.
    sent: Vec<u8>,
    too_long: bool,
    exchange: ExchangeId,
    nanos: u64,
}

/// What a caller says about caches (RFC 9111 §5.2.1), as far as it is heeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Said {
    no_store: bool,
    no_cache: bool,
    max_age: Option<Duration>,
}

impl Said {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        for directive in
            values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase())
        {
            match directive.split_once('=') {
                None if directive == "no-store" => said.no_store = true,
                None if directive == "no-cache" => said.no_cache = true,
                Some(("max-age", seconds)) => {
                    said.max_age = seconds.trim_matches('"').parse().ok().map(Duration::from_secs);
                }
                _ => {}
            }
        }
        said
    }
}

/// The answer that was given before, when there is one and it may be given again. Else what becomes of the answer is on the exchange.
/// Only for routes with a cache.
pub(crate) fn look(exchange: &mut Exchange, headers: &HeaderMap) -> Result<Option<Arc<Kept>>, Failure> {
    let (said, Some(caching)) = (Said::read(headers), exchange.route.cache.clone()) else { return Ok(None) };
    let counters = &exchange.worker.counters;
    let count = |result| counters.choices.count_cache(&exchange.route.name, result, 0);
    let is_in_rollout =
        exchange.assignment.is_some() || exchange.worker.deps.live.for_route(&exchange.route.name).is_some();
    let for_it = !said.no_store && !is_in_rollout && key::is_cacheable(&exchange.request, caching.requests);
    let Some(key) = for_it.then(|| key::key(exchange, caching.scope)).flatten() else {
        count("bypass");
        exchange.cache = Some(Missed::Bypassed);
        return Ok(None);
    };
    let cache = exchange.worker.caches.of(&exchange.route.name, caching.max_bytes);
    let oldest = said.max_age.map_or(caching.ttl, |max_age| max_age.min(caching.ttl));
    if let Some(kept) = (!said.no_cache).then(|| cache.find(&key, oldest)).flatten() {
        authenticate::still_good(&exchange.principal, &exchange.worker.deps.keys)?;
        counters.choices.count_cache(&exchange.route.name, "hit", kept.nanos);
        let because = format!("the answer of exchange {}, {} s old", kept.exchange, kept.at.elapsed().as_secs());
        exchange.decisions.push(Decision { by: DecidedBy::Cache, choice: CACHE.to_owned(), because });
        return Ok(Some(kept));
    }
    count("miss");
    let filling = Filling {
        cache,
        key,
        content_type: None,
        max_answer: caching.max_answer,
        sent: Vec::new(),
        too_long: false,
        exchange: exchange.id,
        nanos: 0,
    };
    exchange.cache = Some(Missed::Fills(Box::new(filling)));
    Ok(None)
}

/// The cache to be filled with the answer whose last attempt has just ended, if it is one to be given again: whole, of the route's own
/// target or a step of its cascade, in the form asked for, and ended by the model itself.
pub(crate) fn filling(exchange: &mut Exchange) -> Option<Box<Filling>> {
    let Some(Missed::Fills(mut filling)) = exchange.cache.take_if(|cache| matches!(cache, Missed::Fills(_))) else {
        return None;
    };
    let attempt = exchange.attempts.last()?;
    let served = exchange.served.as_ref()?;
    let route = &exchange.route;
    let is_own = attempt.target == route.target
        || route.cascade.as_ref().is_some_and(|cascade| cascade.steps.contains(&attempt.target));
    let validity = &attempt.validity;
    let is_bad = [attempt.format_valid, validity.schema_valid, validity.tool_calls_valid].contains(&Some(false))
        || validity.not_validated.is_some();
    let ended_well = match attempt.finish_reason.as_deref() {
        Some(reason) => GOOD_ENDS.contains(&reason),
        None => !exchange.request.endpoint.is_generation(),
    };
    let is_good = attempt.failure.is_none() && served.status == 200 && served.target == attempt.target;
    if !(is_good && is_own && ended_well && !is_bad && !attempt.simulated) {
        return None;
    }
    let cost = Charge::sum(exchange.attempts.iter().filter_map(|attempt| attempt.cost.as_ref()));
    filling.nanos = match cost {
        Some(Charge::Priced { nanos, .. }) => nanos,
        Some(Charge::Unknown { .. }) | None => 0,
    };
    Some(filling)
}

/// How a model ends by itself, in every dialect. A bound or a filter is no such end.
const GOOD_ENDS: [&str; 7] =
    ["stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence", "completed"];

impl Filling {
    /// Says what the answer is.
    pub(crate) fn is_of(&mut self, content_type: Option<&HeaderValue>) {
        self.content_type = content_type.cloned();
    }

    /// Takes what the caller is sent next of a stream.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.too_long |= self.sent.len() + bytes.len() > self.max_answer;
        if self.too_long {
            self.sent = Vec::new();
        } else {
            self.sent.extend_from_slice(bytes);
        }
    }

    /// Keeps the stream that was sent, with what is sent last.
    pub(crate) fn keep_sent(mut self, last: &Bytes) {
        self.take(last);
        if !self.too_long {
            let sent = std::mem::take(&mut self.sent);
            self.keep(&sent);
        }
    }

    /// Keeps the answer, which is on record by now.
    pub(crate) fn keep(self, body: &[u8]) {
        if body.len() <= self.max_answer {
            let (content_type, exchange, nanos) = (self.content_type, self.exchange, self.nanos);
            // A copy of its own: a slice would keep what it is a slice of.
            let body = Bytes::copy_from_slice(body);
            let kept = Kept { body, content_type, exchange, at: Instant::now(), nanos };
            self.cache.answers.insert(self.key, Arc::new(kept));
        }
    }
}

impl Missed {
    /// What `x-crossfade-cache` says.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Missed::Bypassed => "bypass",
            Missed::Fills(_) => "miss",
        }
    }
}

impl Kept {
    /// Whole seconds since it was given first.
    pub(crate) fn age(&self) -> u64 {
        self.at.elapsed().as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(values: &[&str]) -> Said {
        let headers = values.iter().map(|value| (CACHE_CONTROL, HeaderValue::from_str(value).unwrap()));
        Said::read(&headers.collect())
    }

    #[test]
    fn what_callers_say_about_caches() {
        assert_eq!(said(&[]), Said::default());
        assert_eq!(said(&["No-Store, x"]), Said { no_store: true, ..Said::default() });
        let both = Said { no_cache: true, max_age: Some(Duration::from_secs(5)), ..Said::default() };
        assert_eq!(said(&["no-cache", "max-age=\"5\""]), both);
        assert_eq!(said(&["max-age=soon, only-if-cached"]), Said::default());
    }

    #[test]
    fn a_cache_holds_no_more_bytes_than_it_may_and_nothing_old() {
        let cache = RouteCache::new(10_000);
        let id = ExchangeId::new(0, [0; 10]);
        for n in 0..200_u8 {
            let (body, at) = (Bytes::from(vec![n; 1000]), Instant::now());
            let kept = Kept { body, content_type: None, exchange: id, at, nanos: 0 };
            cache.answers.insert([n; 32], Arc::new(kept));
            assert!(cache.answers.weight() <= 10_000);
        }
        assert!(cache.answers.len() >= 4, "{}", cache.answers.len());
        let there: Vec<_> = (0..200_u8).filter(|n| cache.find(&[*n; 32], Duration::from_secs(60)).is_some()).collect();
        assert!(!there.is_empty());
        assert!(there.iter().all(|n| cache.find(&[*n; 32], Duration::ZERO).is_none()), "too old by now");
    }
}
