//! `limits` of routes, tenants and keys: how much may be called. Sizes and times of the listener are the top level's `limits`.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use govern::limits::Limits;

use super::reader::{Item, Section};

/// More than any provider allows, and small enough to count with.
const MOST: u64 = 1_000_000_000_000;

/// The limits under `key`.
pub(crate) fn limits(parent: &Section<'_>, key: &'static str) -> Limits {
    let section = parent.section(key);
    let count = |key| section.get(key).and_then(|item| item.count(1, MOST)).and_then(NonZeroU64::new);
    let concurrency = section.get("concurrency").and_then(|item| item.count(1, u32::MAX.into()));
    let limits = Limits {
        requests_per_minute: count("requests_per_minute"),
        tokens_per_minute: count("tokens_per_minute"),
        concurrency: concurrency.and_then(|n| NonZeroU32::new(u32::try_from(n).ok()?)),
        budget: None,
    };
    section.finish();
    limits
}

/// `tenants`: how much each may call.
pub(crate) fn tenants(root: &Section<'_>) -> BTreeMap<String, Limits> {
    let read = |item: &Item<'_>| {
        let section = item.section()?;
        let limits = limits(&section, "limits");
        section.finish();
        Some(limits)
    };
    root.named("tenants").iter().filter_map(|(name, item)| Some((name.value.clone(), read(item)?))).collect()
}
