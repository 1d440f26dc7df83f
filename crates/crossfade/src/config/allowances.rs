//! `limits` of routes, tenants and keys: how much may be called. Sizes and times of the listener are the top level's `limits`.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use gateway::prices::TargetPrices;
use govern::Residency;
use govern::limits::{Budget, Limits, Period};

use super::reader::{Item, Section};
use super::targets::Routes;
use super::{residency, value};

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
        budget: section.get("budget").and_then(|item| budget(&item)),
    };
    section.finish();
    limits
}

/// A route with a budget whose target has no price would be refused every request: better said now.
pub(crate) fn unpriced_budgets(root: &Section<'_>, routes: &Routes, prices: &TargetPrices) {
    for (name, item) in root.named("routes").into_iter().filter(|(_, item)| item.is_map()) {
        let limits = item.section().and_then(|section| section.get("limits")).filter(Item::is_map);
        let budget = limits.and_then(|item| item.section()).and_then(|section| section.get("budget"));
        let (Some(budget), Some(read)) = (budget, routes.get(&name.value)) else { continue };
        let target = &read.route.target;
        if !prices.of.contains_key(target) {
            let hint = format!(
                "give target `{target}` or its provider a `price`; `crossfade prices list` shows what is known"
            );
            budget.note(
                format!("what target `{target}` costs is not known, and a budget cannot be kept without"),
                Some(hint),
            );
        }
    }
}

/// `{ usd: 100, per: month }`.
fn budget(item: &Item<'_>) -> Option<Budget> {
    let section = item.section()?;
    let usd = section.need("usd").and_then(|item| {
        item.parsed("an amount of US dollars above 0, such as `100` or `0.25`", |text| {
            value::nanodollars(text).filter(|nanos| *nanos > 0)
        })
    });
    let per = section.need("per").and_then(|item| item.word(&Period::ALL.map(|period| (period.as_str(), period))));
    section.finish();
    Some(Budget { nanos: usd?, per: per? })
}

/// `tenants`: how much each may call, and how far its requests may go.
pub(crate) fn tenants(root: &Section<'_>) -> BTreeMap<String, (Limits, Residency)> {
    let read = |item: &Item<'_>| {
        let section = item.section()?;
        let limits = limits(&section, "limits");
        let residency = residency::read(&section);
        section.finish();
        Some((limits, residency))
    };
    root.named("tenants").iter().filter_map(|(name, item)| Some((name.value.clone(), read(item)?))).collect()
}
