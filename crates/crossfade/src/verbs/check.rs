//! `crossfade check`: the config as it is understood, or everything that is wrong with it.

mod calling;
mod choosing;
mod policy;
mod telling;

use std::fmt::Write as _;
use std::num::NonZeroU64;

use cost::When;
use cost::decimal::dollars;
use gateway::prices::PricedBy;
use gateway::snapshot::Target;
use govern::limits::Limits;
use serde_json::{Value, json};

use super::Place;
use crate::config::Config;
use crate::load;
use crate::out::{Exit, Out, Stop, table};

/// Reads the config and prints it resolved.
pub(crate) fn run(place: &Place, out: &Out) -> Result<Exit, Stop> {
    let config = load::config(&place.config)?;
    out.answer(&facts(&config), || text(&config));
    if config.snapshot.routes.is_empty() {
        out.say(format_args!(
            "no routes: every request would be answered 404; `crossfade init --print` shows a config to start from, and `crossfade init` \
             writes it once this file is gone"
        ));
    }
    let unpriced = unpriced(&config);
    if !unpriced.is_empty() {
        out.say(format_args!(
            "no price is known for {}: keys and tenants with a budget are refused there; `crossfade prices list` shows what is known",
            unpriced.join(", ")
        ));
    }
    out.say(format_args!("{} is valid", place.config.display()));
    Ok(Exit::Ok)
}

/// The config as it is understood, without anything secret.
pub(crate) fn facts(config: &Config) -> Value {
    let targets = config.snapshot.targets.values().map(|target| {
        let facts = json!({
            "provider": target.provider.name, "base_url": target.provider.base_url.as_str(), "model": target.model,
            "class": target.provider.class.as_str(), "region": target.provider.region, "simulated": target.provider.is_simulated(),
            "fingerprint": target.fingerprint, "has_key": target.provider.api_key.is_some(),
            "prompt_variant": target.prompt.as_ref().map(|prompt| &prompt.name),
            "kind": target.provider.capabilities.kind().as_str(), "capabilities": treated(target),
            "calling": calling::facts(target),
            "price": price(config, target),
        });
        (target.name.clone(), facts)
    });
    let routes = config.snapshot.routes.values().map(|route| {
        let facts = json!({
            "limits": route.limits, "target": route.target, "fallback": route.fallback, "emergency_fallback": route.emergency_fallback,
            "workload": route.workload, "residency": route.residency.as_str(), "policy": calling::policy(route), "panic": route.panic, "validation": calling::validation(route), "retries": calling::retries(&route.retries),
            "rules": choosing::rules(route), "cascade": choosing::cascade(route), "cache": choosing::cache(route),
        });
        (route.name.clone(), facts)
    });
    let rollouts = config.snapshot.rollouts.values().map(|rollout| {
        let facts = json!({
            "route": rollout.route, "baseline": rollout.baseline, "candidate": rollout.candidate,
            "policy": rollout.policy, "policy_hash": rollout.policy.hash(),
        });
        (rollout.name.clone(), facts)
    });
    json!({
        "hash": config.hash, "listen": config.listen, "keys_required": config.snapshot.auth.required, "admin": config.admin.listen, "store": config.store,
        "record": { "mode": config.record.mode, "dir": config.record.dir, "retention": config.record.retention }, "workers": config.workers,
        "key_limits": config.snapshot.auth.key_limits, "tenants": config.snapshot.tenants, "unpriced_routes": unpriced(config),
        "targets": targets.collect::<serde_json::Map<_, _>>(), "routes": routes.collect::<serde_json::Map<_, _>>(),
        "rollouts": rollouts.collect::<serde_json::Map<_, _>>(),
        "alerts": telling::alerts(config), "feedback": telling::feedback(config),
    })
}

/// How calls of the target are priced now: the id of a row, or the vendor whose rows fit the model a request names.
fn price(config: &Config, target: &Target) -> Option<String> {
    match config.snapshot.prices.of.get(&target.name)? {
        PricedBy::Tariff(tariff) => {
            let row = tariff.row(When::from_us(super::time::now_us()), cost::sheet::STANDARD);
            row.map(|row| row.id.to_string())
        }
        PricedBy::Vendor(vendor) => Some(format!("{vendor}/*")),
    }
}

/// The routes at which a budget of a tenant or of keys cannot be kept, where the config gives one.
fn unpriced(config: &Config) -> Vec<&str> {
    let snapshot = &config.snapshot;
    let budgets = snapshot.tenants.values().chain([&snapshot.auth.key_limits]).filter(|limits| limits.budget.is_some());
    if budgets.count() == 0 {
        return Vec::new();
    }
    let routes = snapshot.routes.values().filter(|route| !snapshot.prices.of.contains_key(&route.target));
    routes.map(|route| route.name.as_str()).collect()
}

/// The capabilities that are treated, and how.
fn treated(target: &Target) -> Value {
    let treated = target.provider.capabilities.treated().iter();
    Value::Object(treated.map(|(capability, how)| (capability.id().to_owned(), how.as_str().into())).collect())
}

/// What goes from the record.
fn retention(settings: &gateway::retention::Settings) -> String {
    let days = |age: std::time::Duration| format!("after {:.3} d", age.as_secs_f64() / 86_400.0).replace(".000", "");
    let gone = [
        settings.bodies.map(|age| format!("bodies go {}", days(age))),
        settings.rows.map(|age| format!("exchanges go {}", days(age))),
        settings.max_size.map(|bytes| format!("the oldest go beyond {} MiB", bytes >> 20)),
    ];
    let gone: Vec<String> = gone.into_iter().flatten().collect();
    if gone.is_empty() { "nothing goes from it (record.retention)".to_owned() } else { gone.join(", ") }
}

fn text(config: &Config) -> String {
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        writeln!(text, "{words}").unwrap_or_default();
    };
    let workers = config.workers.map_or_else(|| "one per core".to_owned(), |workers| workers.to_string());
    line(format_args!("config    {}", &config.hash[..16]));
    let asks = if config.snapshot.auth.required { "asks every caller for a key" } else { "asks nobody for a key" };
    line(format_args!("listen    http://{}/v1, {asks}", config.listen));
    line(format_args!("admin     http://{}", config.admin.listen));
    line(format_args!("store     {}", config.store.display()));
    line(format_args!(
        "record    {}, {}; {}",
        json!(config.record.mode).as_str().unwrap_or_default(),
        config.record.dir.display(),
        retention(&config.record.retention)
    ));
    line(format_args!("workers   {workers}"));
    text += &sections(config);
    text += &limits(config);
    text += &telling::text(config);
    for rollout in config.snapshot.rollouts.values() {
        let (name, route) = (&rollout.name, &rollout.route);
        let hash = &rollout.policy.hash()[..16];
        let heading = format!("\nrollout {name}: {} -> {} on route {route}", rollout.baseline, rollout.candidate);
        let beside = policy::beside(rollout);
        text += &format!("{heading}\n{}{beside}  policy hash {hash}\n", policy::text(&rollout.policy));
    }
    text
}

/// Who is limited to what; nothing when nobody is.
fn limits(config: &Config) -> String {
    let snapshot = &config.snapshot;
    let keys = ("each key that says none".to_owned(), snapshot.auth.key_limits);
    let tenants = snapshot.tenants.iter().map(|(name, limits)| (format!("tenant {name}"), *limits));
    let routes = snapshot.routes.values().map(|route| (format!("route {}", route.name), route.limits));
    let limited = std::iter::once(keys).chain(tenants).chain(routes).filter(|(_, limits)| !limits.is_empty());
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let row = |(who, limits): (String, Limits)| {
        let budget = limits.budget.map(|budget| format!("{} USD per {}", dollars(budget.nanos), budget.per));
        vec![
            who,
            number(limits.requests_per_minute.map(NonZeroU64::get)),
            number(limits.tokens_per_minute.map(NonZeroU64::get)),
            number(limits.concurrency.map(|n| n.get().into())),
            budget.unwrap_or_else(|| "-".into()),
        ]
    };
    let rows: Vec<Vec<String>> = limited.map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", table(&["limits of", "requests/min", "tokens/min", "at once", "budget"], &rows))
}

fn sections(config: &Config) -> String {
    let targets: Vec<Vec<String>> = config
        .snapshot
        .targets
        .values()
        .map(|target| {
            let provider = &target.provider;
            let place = if provider.is_simulated() { "simulated".to_owned() } else { provider.base_url.to_string() };
            let key = if provider.api_key.is_some() { "set" } else { "none" };
            let prompt = target.prompt.as_ref().map_or("the caller's", |prompt| prompt.name.as_str());
            let kind = provider.capabilities.kind().as_str().to_owned();
            let side = match &provider.region {
                Some(region) => format!("{} in {region}", provider.class),
                None => provider.class.to_string(),
            };
            let (name, provider) = (target.name.clone(), provider.name.clone());
            let price = price(config, target).unwrap_or_else(|| "unknown".into());
            vec![name, provider, target.model.clone(), place, side, kind, key.into(), prompt.into(), price]
        })
        .collect();
    let routes: Vec<Vec<String>> = config
        .snapshot
        .routes
        .values()
        .map(|route| {
            let fallback = if route.fallback.is_empty() { "none".to_owned() } else { route.fallback.join(", ") };
            let workload = route.workload.clone().unwrap_or_else(|| "none".into());
            let residency = route.residency.as_str().to_owned();
            vec![route.name.clone(), route.target.clone(), fallback, workload, residency, calling::route(route)]
        })
        .collect();
    let targets =
        table(&["target", "provider", "model", "at", "class", "kind", "key", "system prompt", "price"], &targets);
    let routes = table(&["route", "target", "fallback", "workload", "residency", "calls"], &routes);
    let calls = calling::targets(&config.snapshot.targets);
    let choosing = choosing::tables(&config.snapshot.routes);
    format!("\n{targets}\n{calls}\n{routes}{choosing}")
}

/// The word a policy field is written with.
fn word(value: &impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}
