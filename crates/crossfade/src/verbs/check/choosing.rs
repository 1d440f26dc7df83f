//! Where requests go by what they ask for, as `crossfade check` shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::snapshot::Route;
use routing::cascade::Escalate;
use serde_json::{Value, json};

use crate::config::show_duration;
use crate::out::table;

/// The rules of a route, in order.
pub(super) fn rules(route: &Route) -> Value {
    let rule = |rule: &gateway::snapshot::RouteRule| json!({ "name": rule.name, "when": rule.when.to_string(), "to": rule.to.choice() });
    route.rules.iter().map(rule).collect()
}

/// The cascade of a route; `null` when it has none.
pub(super) fn cascade(route: &Route) -> Value {
    let Some(cascade) = &route.cascade else { return Value::Null };
    let escalate = &cascade.escalate;
    json!({
        "steps": cascade.steps, "within": cascade.within.map(show_duration), "streams": cascade.streams.as_str(),
        "logprobs": if cascade.ask_logprobs { "ask" } else { "if_asked" },
        "escalate": {
            "invalid": escalate.invalid, "refusal": escalate.refusal, "phrases": escalate.phrases,
            "mean_logprob": escalate.mean_logprob, "min_logprob": escalate.min_logprob,
            "without_logprobs": if escalate.without_logprobs { "escalate" } else { "accept" },
        },
    })
}

/// The cache of a route; `null` when it has none.
pub(super) fn cache(route: &Route) -> Value {
    let Some(cache) = &route.cache else { return Value::Null };
    json!({
        "ttl": show_duration(cache.ttl), "max_bytes": cache.max_bytes, "max_answer": cache.max_answer,
        "scope": cache.scope.as_str(), "requests": cache.requests.as_str(),
    })
}

fn table_of_caches(routes: &BTreeMap<String, Arc<Route>>) -> String {
    let row = |(name, route): (&String, &Arc<Route>)| {
        let cache = route.cache.as_ref()?;
        let (scope, requests) = (cache.scope.as_str().to_owned(), cache.requests.as_str().to_owned());
        Some(vec![name.clone(), show_duration(cache.ttl), cache.max_bytes.to_string(), scope, requests])
    };
    let rows: Vec<Vec<String>> = routes.iter().filter_map(row).collect();
    let headings = ["cache of", "for", "bytes", "shared by one", "requests"];
    if rows.is_empty() { String::new() } else { format!("\n{}", table(&headings, &rows)) }
}

/// What follows the table of routes: their rules, cascades and caches, as far as there are any.
pub(super) fn tables(routes: &BTreeMap<String, Arc<Route>>) -> String {
    table_of_rules(routes) + &table_of_cascades(routes) + &table_of_caches(routes)
}

fn table_of_cascades(routes: &BTreeMap<String, Arc<Route>>) -> String {
    let row = |(name, route): (&String, &Arc<Route>)| {
        let cascade = route.cascade.as_ref()?;
        let Escalate { invalid, refusal, phrases, mean_logprob, min_logprob, .. } = &cascade.escalate;
        let bound = |what: &str, bound: &Option<f64>| bound.map(|bound| format!("{what} logprob under {bound}"));
        let on = [
            invalid.then(|| "invalid".to_owned()),
            refusal.then(|| "refusal".to_owned()),
            (!phrases.is_empty()).then(|| format!("{} phrases", phrases.len())),
            bound("mean", mean_logprob),
            bound("a", min_logprob),
            cascade.within.map(|within| format!("over {}", show_duration(within))),
            Some("failure".to_owned()),
        ];
        let on: Vec<String> = on.into_iter().flatten().collect();
        let order = format!("{}, {}", cascade.steps.join(", "), route.target);
        Some(vec![name.clone(), order, on.join(", "), cascade.streams.as_str().to_owned()])
    };
    let rows: Vec<Vec<String>> = routes.iter().filter_map(row).collect();
    if rows.is_empty() {
        String::new()
    } else {
        format!("\n{}", table(&["cascade of", "asks", "goes on after", "streams"], &rows))
    }
}

/// A table of the rules of all routes; nothing when there are none.
fn table_of_rules(routes: &BTreeMap<String, Arc<Route>>) -> String {
    let mut rows = Vec::new();
    for route in routes.values().filter(|route| !route.rules.is_empty()) {
        let rule = |rule: &gateway::snapshot::RouteRule| {
            vec![route.name.clone(), rule.name.clone(), rule.when.to_string(), rule.to.choice()]
        };
        rows.extend(route.rules.iter().map(rule));
        rows.push(vec![route.name.clone(), "none".into(), "no rule holds".into(), format!("target {}", route.target)]);
    }
    if rows.is_empty() { String::new() } else { format!("\n{}", table(&["route", "rule", "when", "to"], &rows)) }
}
