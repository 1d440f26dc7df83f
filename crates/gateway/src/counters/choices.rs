//! Which way requests went, on routes that have several: a map that is locked, because such routes are not the common case.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// One worker's numbers.
#[derive(Debug, Default)]
pub(crate) struct Choices(Mutex<ChoiceTotals>);

/// Which way requests went.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct ChoiceTotals {
    /// By route and rule, with what the rule chooses; the rule is `none` where no rule held.
    pub rules: BTreeMap<String, BTreeMap<String, Followed>>,
    /// By route, target and result: answers of a cascade's steps.
    pub cascades: BTreeMap<String, BTreeMap<String, BTreeMap<&'static str, u64>>>,
    /// By route with a cache.
    pub caches: BTreeMap<String, CacheTotal>,
}

/// What a cache did.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct CacheTotal {
    /// Requests by `hit`, `miss` and `bypass`.
    pub results: BTreeMap<&'static str, u64>,
    /// What its hits had cost the first time, in nano-dollars.
    pub saved_nanos: u64,
}

/// How often a rule was followed, and where to.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Followed {
    /// What it chooses: `route NAME`, `target NAME`.
    pub to: String,
    /// How often.
    pub n: u64,
}

impl Choices {
    /// Counts a request to `route` that `rule` sent to what `to` says.
    pub(crate) fn count_rule(&self, route: &str, rule: &str, to: impl Fn() -> String) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(followed) = totals.rules.get_mut(route).and_then(|rules| rules.get_mut(rule)) {
            followed.n += 1;
            return;
        }
        let followed = Followed { to: to(), n: 1 };
        totals.rules.entry(route.to_owned()).or_default().insert(rule.to_owned(), followed);
    }

    /// Counts what came of asking a step of the cascade of `route`.
    pub(crate) fn count_cascade(&self, route: &str, target: &str, result: &'static str) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !totals.cascades.contains_key(route) {
            totals.cascades.insert(route.to_owned(), BTreeMap::new());
        }
        let Some(targets) = totals.cascades.get_mut(route) else { return };
        if !targets.contains_key(target) {
            targets.insert(target.to_owned(), BTreeMap::new());
        }
        if let Some(results) = targets.get_mut(target) {
            *results.entry(result).or_default() += 1;
        }
    }

    /// Counts a request to `route` by what its cache had for it.
    pub(crate) fn count_cache(&self, route: &str, result: &'static str, saved_nanos: u64) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !totals.caches.contains_key(route) {
            totals.caches.insert(route.to_owned(), CacheTotal::default());
        }
        if let Some(total) = totals.caches.get_mut(route) {
            *total.results.entry(result).or_default() += 1;
            total.saved_nanos = total.saved_nanos.saturating_add(saved_nanos);
        }
    }

    pub(crate) fn add_to(&self, sum: &mut ChoiceTotals) {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (route, rules) in &totals.rules {
            let sum = sum.rules.entry(route.clone()).or_default();
            for (rule, followed) in rules {
                let sum = sum.entry(rule.clone()).or_default();
                *sum = Followed { to: followed.to.clone(), n: sum.n + followed.n };
            }
        }
        for (route, total) in &totals.caches {
            let sum = sum.caches.entry(route.clone()).or_default();
            total.results.iter().for_each(|(result, n)| *sum.results.entry(result).or_default() += n);
            sum.saved_nanos = sum.saved_nanos.saturating_add(total.saved_nanos);
        }
        for (route, targets) in &totals.cascades {
            for (target, results) in targets {
                let sum = sum.cascades.entry(route.clone()).or_default().entry(target.clone()).or_default();
                results.iter().for_each(|(result, n)| *sum.entry(result).or_default() += n);
            }
        }
    }
}
