//! Where requests go by what they ask for, as `crossfade check` shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::snapshot::Route;
use serde_json::{Value, json};

use crate::out::table;

/// The rules of a route, in order.
pub(super) fn rules(route: &Route) -> Value {
    let rule = |rule: &gateway::snapshot::RouteRule| json!({ "name": rule.name, "when": rule.when.to_string(), "to": rule.to.choice() });
    route.rules.iter().map(rule).collect()
}

/// A table of the rules of all routes; nothing when there are none.
pub(super) fn table_of_rules(routes: &BTreeMap<String, Arc<Route>>) -> String {
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
