//! `litellm_settings`, `router_settings` and `general_settings`: what of them the deployments and routes need is gathered
//! here; the rest is settled.

use std::time::Duration;

use super::super::Importing;
use super::super::ledger::Outcome;
use super::super::rules;
use super::super::tree::{Node, Value};
use super::tables;

/// What the deployments and routes need of the settings.
#[derive(Debug, Default)]
pub(super) struct Settings<'n> {
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// How long a stream may be silent.
    pub stream_timeout: Option<Duration>,
    /// Calls to one target for one request, the first included.
    pub max_attempts: Option<u64>,
    /// Other names of groups.
    pub aliases: Vec<(&'n str, &'n Node)>,
    /// Groups and who takes over from them; `*` is any group.
    pub fallbacks: Vec<(&'n str, &'n [Node])>,
    /// Who takes over from a group that has nobody.
    pub default_fallbacks: &'n [Node],
}

/// Reads all three.
pub(super) fn read<'n>(root: &'n Node, importing: &mut Importing<'_>) -> Settings<'n> {
    let mut settings = Settings::default();
    let sections = [
        ("litellm_settings", tables::LITELLM),
        ("general_settings", tables::GENERAL),
        ("router_settings", tables::ROUTER),
    ];
    for (name, rules) in sections {
        let Some(section) = root.get(name) else { continue };
        rules::settle(section, rules, &mut importing.ledger);
        for (key, node) in section.entries() {
            setting(key, node, &mut settings, importing);
        }
    }
    settings
}

fn setting<'n>(key: &str, node: &'n Node, settings: &mut Settings<'n>, importing: &mut Importing<'_>) {
    match key {
        // Router settings are read last: they win.
        "request_timeout" | "timeout" => settings.timeout = timeout(node, importing).or(settings.timeout),
        "stream_timeout" => settings.stream_timeout = timeout(node, importing).or(settings.stream_timeout),
        "num_retries" | "max_retries" => settings.max_attempts = retries(node, importing).or(settings.max_attempts),
        "max_parallel_requests" => key_concurrency(node, importing),
        "model_group_alias" => settings.aliases.extend(node.entries().iter().map(|(name, node)| (name.as_str(), node))),
        "fallbacks" => {
            for (group, node) in node.items().iter().flat_map(Node::entries) {
                settings.fallbacks.push((group, node.items()));
            }
        }
        "default_fallbacks" => settings.default_fallbacks = node.items(),
        "context_window_fallbacks" | "content_policy_fallbacks" => no_reason(key, node, importing),
        "callbacks" | "success_callback" | "failure_callback" | "service_callback" => callbacks(node, importing),
        "drop_params" => drop_params(node, importing),
        "master_key" => master_key(node, importing),
        "max_request_size_mb" => max_body(node, importing),
        "routing_strategy" => strategy(node, importing),
        "cache" | "enable_tag_filtering" | "store_model_in_db" => switch(key, node, importing),
        _ => {}
    }
}

fn timeout(node: &Node, importing: &mut Importing<'_>) -> Option<Duration> {
    let timeout = seconds(node);
    match timeout {
        Some(_) => importing.ledger.mapped(node, "providers.*.timeouts"),
        None => {
            importing.ledger.unsupported(node, "not a number of seconds", "write the time into `providers.*.timeouts`")
        }
    }
    timeout
}

/// What is not the same about retries.
pub(super) const BUDGET: &str = "retries share the provider's `retry_budget`";

fn retries(node: &Node, importing: &mut Importing<'_>) -> Option<u64> {
    let attempts = node.attempts();
    match attempts {
        Some(_) => importing.ledger.mapped_but(node, "routes.*.retries.max_attempts", BUDGET),
        None => importing.ledger.unsupported(node, "not a number of retries", "write `routes.*.retries.max_attempts`"),
    }
    attempts
}

fn key_concurrency(node: &Node, importing: &mut Importing<'_>) {
    match node.count() {
        Some(n) => {
            importing.draft.key_concurrency = Some(n);
            importing.ledger.mapped_but(node, "auth.key_limits.concurrency", "of keys that say none themselves");
        }
        None => importing.ledger.unsupported(node, "not a number of requests", "write `auth.key_limits.concurrency`"),
    }
}

/// A positive number of seconds, rounded to milliseconds; `None` for what Crossfade's config would refuse.
pub(super) fn seconds(node: &Node) -> Option<Duration> {
    let seconds = node.number().filter(|seconds| *seconds >= 0.001)?;
    let duration = Duration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0).ok()?;
    (duration <= Duration::from_secs(366 * 86_400)).then_some(duration)
}

fn no_reason(key: &str, node: &Node, importing: &mut Importing<'_>) {
    let why = if key.starts_with("context") {
        "a route has one list of fallbacks, for failures of a target; a request too long for a model is the caller's error"
    } else {
        "a route has one list of fallbacks, for failures of a target; a refusal by content policy is an answer"
    };
    importing.ledger.unsupported(node, why, "send such requests to a route whose target has the room or the policy");
}

fn callbacks(node: &Node, importing: &mut Importing<'_>) {
    for item in node.one_or_more() {
        match item.text() {
            Some("prometheus") => {
                importing
                    .ledger
                    .harmless(item, "the admin listener serves Prometheus metrics at /metrics without being asked");
            }
            Some(name) if name.ends_with("_interception") => importing.ledger.unsupported(
                item,
                "Crossfade runs no tools for a model",
                "run the tool in the application, or name a target whose provider runs it",
            ),
            _ => importing.ledger.unsupported(
                item,
                "Crossfade calls no logging service; every exchange is in its own record",
                "read the record (`crossfade exchanges`), or keep the service's own SDK in the application",
            ),
        }
    }
}

pub(super) fn drop_params(node: &Node, importing: &mut Importing<'_>) {
    if node.boolean() == Some(false) {
        return importing.ledger.harmless(node, "parameters that LiteLLM passes on are passed on");
    }
    let hint = "name the fields that a target refuses in its `parameters.remove`, or have the `capabilities` of its provider drop them";
    importing.ledger.unsupported(
        node,
        "Crossfade drops what the `kind` of a provider is known not to do, and passes on everything else",
        hint,
    );
}

fn master_key(node: &Node, importing: &mut Importing<'_>) {
    if node.text().is_none() {
        return importing.ledger.harmless(node, "there is no key in it");
    }
    importing.draft.auth = true;
    let note = "make keys with `crossfade keys create`; this one and those made with it are not taken over";
    importing.ledger.mapped_but(node, "auth.required", note);
}

fn max_body(node: &Node, importing: &mut Importing<'_>) {
    let bytes = node
        .number()
        .filter(|megabytes| (0.001..=65_536.0).contains(megabytes))
        .map(|megabytes| megabytes * 1024.0 * 1024.0);
    match bytes {
        Some(bytes) => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 64 GiB, and positive")]
            let bytes = bytes as u64;
            importing.draft.max_body = Some(bytes);
            importing.ledger.mapped(node, "limits.max_body");
        }
        None => importing.ledger.unsupported(node, "not a size", "write `limits.max_body`"),
    }
}

fn strategy(node: &Node, importing: &mut Importing<'_>) {
    match node.text() {
        Some("simple-shuffle") => importing.ledger.harmless(node, "it is LiteLLM's default"),
        _ => importing.ledger.unsupported(
            node,
            "Crossfade does not choose among the deployments of a group by this",
            "the order of a route's targets is the order they are tried in",
        ),
    }
}

fn switch(key: &str, node: &Node, importing: &mut Importing<'_>) {
    if node.boolean() == Some(false) || node.value == Value::Nothing {
        return importing.ledger.harmless(node, "it is off");
    }
    let (why, hint) = match key {
        "cache" => (
            "nothing is cached unless a route says so, and then exact repetitions only",
            "`routes.*.cache`, see cache.md",
        ),
        "store_model_in_db" => (
            "models that were added through LiteLLM's API are in its database, not in this file",
            "add them to `targets` and `routes`",
        ),
        _ => ("routes do not look at the tags of a request", "give each tag a route of its own"),
    };
    importing.ledger.rest(node, &Outcome::Unsupported { why: why.into(), hint: hint.into() });
}
