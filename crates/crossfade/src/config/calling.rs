//! How targets are called: retries and their budget, replicas, places and the queue before them.

use std::sync::Arc;

use gateway::snapshot::Calling;
use gateway::targets::MAX_REPLICAS;
use wire::private::Private;

use providers::{BaseUrl, BudgetLimits, ProviderConfig, Queue, RetryRules};

use super::providers::Providers;
use super::reader::{Item, Section};

/// `retries` of a provider, a target or a route. What is not written is left to the level below.
pub(crate) fn retries(section: &Section<'_>) -> RetryRules {
    let section = section.section("retries");
    let backoff = section.section("backoff");
    let attempts = section.get("max_attempts").and_then(|item| item.count(1, 10));
    let cap = backoff.get("cap");
    let rules = RetryRules {
        max_attempts: attempts.and_then(|n| u32::try_from(n).ok()),
        base: backoff.get("base").and_then(|item| item.duration()),
        cap: cap.as_ref().and_then(Item::duration),
        replay_ambiguous: section.get("replay_ambiguous").and_then(|item| item.boolean()),
    };
    if let (Some(item), Some(base), Some(longest)) = (cap, rules.base, rules.cap)
        && longest < base
    {
        item.note("the longest wait is shorter than `base`", Some("make `cap` the larger one".into()));
    }
    backoff.finish();
    section.finish();
    rules
}

/// `retry_budget` of a provider.
pub(crate) fn retry_budget(section: &Section<'_>) -> BudgetLimits {
    let section = section.section("retry_budget");
    let default = BudgetLimits::default();
    let floor = section.get("floor").and_then(|item| item.count(0, 1000)).and_then(|n| u32::try_from(n).ok());
    let limits = BudgetLimits {
        ratio: section.get("ratio").and_then(|item| item.share()).map_or(default.ratio, |ratio| ratio.value),
        floor: floor.unwrap_or(default.floor),
    };
    section.finish();
    limits
}

/// What a target says about how it is called; `provider` is its first replica's.
pub(crate) fn calling(section: &Section<'_>, providers: &Providers, provider: Option<&ProviderConfig>) -> Calling {
    let own = retries(section);
    let limit = section.get("max_concurrency").and_then(|item| item.count(1, 1 << 20));
    let queue = section.get("queue");
    if let (Some(item), None) = (&queue, limit) {
        item.note("nobody waits where nothing is bounded", Some("write `max_concurrency` too".into()));
    }
    Calling {
        replicas: replicas(section, providers, provider),
        retries: provider.map_or(own, |provider| own.over(provider.retries)),
        max_concurrency: limit.and_then(|n| usize::try_from(n).ok()),
        queue: queue.and_then(|item| item.section()).map(self::queue).unwrap_or_default(),
        longest_pause: None,
    }
}

fn queue(section: Section<'_>) -> Queue {
    let default = Queue::default();
    let max = section.need("max").and_then(|item| item.count(0, 1 << 20)).and_then(|n| usize::try_from(n).ok());
    let timeout = section.get("timeout").and_then(|item| item.duration());
    section.finish();
    Queue { max: max.unwrap_or(default.max), timeout: timeout.unwrap_or(default.timeout) }
}

/// `replicas: [URL or provider, …]`. A URL is another place of the target's own provider.
fn replicas(
    section: &Section<'_>,
    providers: &Providers,
    provider: Option<&ProviderConfig>,
) -> Vec<Arc<ProviderConfig>> {
    let items = section.get("replicas").and_then(|item| item.list("URLs or providers")).unwrap_or_default();
    let mut replicas: Vec<Arc<ProviderConfig>> = Vec::new();
    for item in items {
        let Some(replica) = replica(&item, providers, provider) else { continue };
        let is_it = |other: &ProviderConfig| other.name == replica.name && other.base_url == replica.base_url;
        let is_there = provider.is_some_and(is_it) || replicas.iter().any(|other| is_it(other));
        // The same place with another account is another replica.
        let is_same = |own: &ProviderConfig| {
            own.base_url == replica.base_url
                && own.api_key.as_ref().map(Private::expose) == replica.api_key.as_ref().map(Private::expose)
        };
        if is_there || provider.is_some_and(|own| is_same(own) && !own.is_simulated()) {
            item.note("this replica is there already", Some("the target's own provider is the first one".into()));
        } else if let Some(own) = provider.filter(|own| own.class != replica.class) {
            let message = format!("a replica of class {} of a target of class {}", replica.class, own.class);
            item.note(message, Some("what may not leave the house must not leave it by a replica".into()));
        } else if replicas.len() + 1 >= MAX_REPLICAS {
            item.note(format!("a target has at most {MAX_REPLICAS} replicas"), None);
        } else {
            replicas.push(replica);
        }
    }
    replicas
}

fn replica(item: &Item<'_>, providers: &Providers, provider: Option<&ProviderConfig>) -> Option<Arc<ProviderConfig>> {
    let written = item.string()?;
    if !written.value.contains("://") {
        let name = providers.reference(item)?;
        return providers.get(&name.value).cloned();
    }
    let url = match BaseUrl::parse(&written.value) {
        Ok(url) => url,
        Err(error) => {
            item.note(error.to_string(), None);
            return None;
        }
    };
    let provider = provider?;
    if provider.is_simulated() {
        item.note("a simulated provider has no place", Some("name another simulated provider".into()));
        return None;
    }
    Some(Arc::new(provider.at(url)))
}
