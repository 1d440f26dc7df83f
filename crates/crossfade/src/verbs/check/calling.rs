//! How targets are called, as `crossfade check` shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::snapshot::{OnInvalid, Route, StreamValidation, Target};
use govern::policy::Kind;
use providers::RetryRules;
use serde_json::{Value, json};

use crate::config::{show_duration, show_share};
use crate::out::table;

/// What a target says beside what it answers.
pub(super) fn facts(target: &Target) -> Value {
    let calling = &target.calling;
    let budget = target.provider.retry_budget;
    let queue = calling
        .max_concurrency
        .map(|_| json!({ "max": calling.queue.max, "timeout": show_duration(calling.queue.timeout) }));
    let replicas = calling.replicas.iter().map(|replica| {
        json!({ "provider": replica.name, "base_url": replica.base_url.as_str(), "class": replica.class.as_str() })
    });
    json!({
        "replicas": replicas.collect::<Vec<_>>(), "retries": retries(&calling.retries),
        "retry_budget": { "ratio": budget.ratio, "floor": budget.floor },
        "max_concurrency": calling.max_concurrency, "queue": queue,
    })
}

/// Rules for retries; what is `null` is left to the level below, and `max_attempts` at last to who else could take over.
pub(super) fn retries(rules: &RetryRules) -> Value {
    json!({
        "max_attempts": rules.max_attempts,
        "backoff": { "base": rules.base.map(show_duration), "cap": rules.cap.map(show_duration) },
        "replay_ambiguous": rules.replay_ambiguous,
    })
}

/// What is done about invalid answers.
pub(super) fn validation(route: &Route) -> Value {
    json!({ "on_invalid": route.validation.on_invalid.as_str(), "streams": route.validation.streams.as_str() })
}

/// What is looked for in its requests and answers; `null` where nothing is.
pub(super) fn policy(route: &Route) -> Value {
    let Some(policy) = &route.policy else { return Value::Null };
    let checks = policy.checks.iter().map(|check| {
        json!({ "name": check.name, "looks_for": looks_for(&check.kind), "when": check.when.as_str(), "then": check.then.as_str() })
    });
    json!({
        "blocked": policy.blocked_as.as_str(), "streams": policy.streams.as_str(), "checks": checks.collect::<Vec<_>>(),
    })
}

fn looks_for(kind: &Kind) -> String {
    match kind {
        Kind::Deny(_) => "patterns".to_owned(),
        Kind::MaxBytes(most) => format!("more than {most} bytes"),
        Kind::Tools(_) => "tools that are not listed".to_owned(),
        Kind::Moderation(moderation) => {
            let (timeout, on_error) = (show_duration(moderation.timeout), moderation.on_error.as_str());
            format!("what {} flags within {timeout}, else {on_error}", moderation.target)
        }
        Kind::Always => "everything".to_owned(),
    }
}

/// A table of how each target is called.
pub(super) fn targets(targets: &BTreeMap<String, Arc<Target>>) -> String {
    let row = |target: &Arc<Target>| {
        let calling = &target.calling;
        let budget = target.provider.retry_budget;
        let at_once = calling.max_concurrency.map_or_else(|| "any".to_owned(), |limit| limit.to_string());
        let queue = match calling.queue.max {
            0 => "none".to_owned(),
            max => format!("{max} for {}", show_duration(calling.queue.timeout)),
        };
        vec![
            target.name.clone(),
            target.providers().map(|provider| provider.name.as_str()).collect::<Vec<_>>().join(", "),
            attempts(&calling.retries),
            wait(&calling.retries),
            if calling.retries.replay_ambiguous == Some(true) { "yes" } else { "no" }.to_owned(),
            format!("{} %, floor {}", show_share(budget.ratio * 100.0), budget.floor),
            at_once,
            queue,
        ]
    };
    let rows: Vec<Vec<String>> = targets.values().map(row).collect();
    let headings = ["target", "replicas", "attempts", "wait", "replays", "retry budget", "at once", "queue"];
    table(&headings, &rows)
}

/// What a route changes of that.
pub(super) fn route(route: &Route) -> String {
    let mut changes = Vec::new();
    if route.retries != RetryRules::default() {
        changes.push(format!("{} attempts, {} wait", attempts(&route.retries), wait(&route.retries)));
    }
    if route.panic {
        changes.push("panics".to_owned());
    }
    match (route.validation.on_invalid, route.validation.streams) {
        (OnInvalid::Count, _) => {}
        (policy, StreamValidation::Count) => changes.push(format!("invalid answers: {}", policy.as_str())),
        (policy, StreamValidation::Hold) => changes.push(format!("invalid answers: {}, streams held", policy.as_str())),
    }
    if let Some(policy) = &route.policy {
        let names: Vec<&str> = policy.checks.iter().map(|check| check.name.as_str()).collect();
        changes.push(format!("policy: {}", names.join(", ")));
    }
    if changes.is_empty() { "as its targets say".to_owned() } else { changes.join(", ") }
}

/// Calls to one target: one where somebody else can take over, three where nobody can, unless it is written.
fn attempts(rules: &RetryRules) -> String {
    let auto = || format!("{} or {}", rules.max_attempts(true), rules.max_attempts(false));
    rules.max_attempts.map_or_else(auto, |n| n.to_string())
}

fn wait(rules: &RetryRules) -> String {
    format!("{} to {}", show_duration(rules.longest_base()), show_duration(rules.longest_wait()))
}
