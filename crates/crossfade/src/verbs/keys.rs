//! `crossfade keys …`: who may call, and who may steer.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use cost::decimal::dollars;
use exit::signing::SigningKey;
use operations::keys::{KeyView, Keys, LimitsRequest, Request, RotationRequest};
use operations::{Actor, Budget, OperationError, Period};
use serde::Serialize;
use serde_json::{Value, json};
use store::{AuditRow, Database, Lease};
use wire::private::Private;

use super::Place;
use super::source::{Source, operation, percent};
use super::time::{from_now, seconds, us_to_text};
use crate::config::nanodollars;
use crate::out::{Exit, Out, Stop, table};

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a key and print it: this once, it is kept nowhere.
    Create(Create),
    /// Every key that is not revoked, by name.
    List {
        /// Revoked ones too.
        #[arg(long)]
        all: bool,
    },
    /// One key.
    Show {
        /// Its id or its name.
        key: String,
    },
    /// Give a key a new secret and print it; the one before stays good for a while.
    Rotate(Rotate),
    /// Change how much a key may call; what is not given stays.
    Limit {
        /// Its id or its name.
        key: String,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        who: Who,
    },
    /// End a key for good. A running gateway refuses it from then on.
    Revoke {
        /// Its id or its name.
        key: String,
        #[command(flatten)]
        who: Who,
    },
    /// Make a key that signs exports: the private half into a file, the public half beside it and on stdout.
    Signing {
        /// The file of the private half; one that is there is not written over.
        #[arg(default_value = "signing.key")]
        file: std::path::PathBuf,
    },
    /// What was done to a key, by whom and why; to all of them when none is named.
    History {
        /// Its id or its name.
        key: Option<String>,
    },
}

/// A key to be made.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// What to call it: letters, digits, `.`, `_`, `-`, `@`.
    name: String,
    /// The routes it may call, with commas between; `*` is all. Default: all, but none for a role below admin.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    routes: Option<Vec<String>>,
    /// Whose requests its requests are.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// What it may do on the admin listener. Without one it only calls models.
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// An address or a network such as `10.0.0.0/8` it may be used from; may be given again. Default: anywhere.
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// When it ends, from now: `90d`.
    #[arg(long, value_name = "DURATION", value_parser = from_now)]
    expires: Option<u64>,
    /// Which part of the world its requests are from, for rules and cohorts.
    #[arg(long, value_name = "NAME")]
    geography: Option<String>,
    /// It may say with `x-crossfade-arm: baseline` or `candidate` which arm of a rollout answers; such requests are no evidence.
    #[arg(long)]
    force_arm: bool,
    #[command(flatten)]
    limits: Limits,
    /// Read from stdin a key its holder has already, and take it as it is.
    #[arg(long)]
    existing: bool,
    #[command(flatten)]
    who: Who,
}

/// How much a key may call. Where it does not say, `auth.key_limits` of the config does.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Limits {
    /// Requests per minute; 0 is none of its own.
    #[arg(long, value_name = "N")]
    rpm: Option<u64>,
    /// Tokens per minute, of prompts and answers; 0 is none of its own.
    #[arg(long, value_name = "N")]
    tpm: Option<u64>,
    /// Requests under way at once; 0 is none of its own.
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// US dollars and for how long: `100/month`, `2.50/day`, `500/total`; `none` (or `0/total`) is none of its own.
    #[arg(long, value_name = "USD/PERIOD", value_parser = budget)]
    budget: Option<Budget>,
}

fn budget(text: &str) -> Result<Budget, String> {
    if text.trim() == "none" {
        return Ok(Budget { nanos: 0, per: Period::Total });
    }
    let read = || {
        let (usd, per) = text.split_once('/')?;
        let per = Period::ALL.into_iter().find(|period| period.as_str() == per.trim())?;
        Some(Budget { nanos: nanodollars(usd.trim())?, per })
    };
    read().ok_or_else(|| {
        "expected US dollars and a period, such as `100/month`, `2.50/day` or `500/total`; `none` takes it away"
            .to_owned()
    })
}

impl Limits {
    fn change(self) -> operations::LimitsChange {
        let Limits { rpm, tpm, concurrency, budget } = self;
        operations::LimitsChange { requests_per_minute: rpm, tokens_per_minute: tpm, concurrency, budget }
    }
}

/// A rotation.
#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// Its id or its name.
    key: String,
    /// How long the secret before stays good.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = seconds)]
    overlap: u64,
    /// When two secrets are good already, end the older now.
    #[arg(long)]
    end_previous: bool,
    #[command(flatten)]
    who: Who,
}

/// Who answers for a change.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// Who asks; the audit row names you, unless CROSSFADE_ADMIN_TOKEN is a key: then it names that.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
    /// Why; the audit row keeps it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Reads.
    Viewer,
    /// And starts, pauses, resumes and aborts rollouts.
    Operator,
    /// And approves and promotes.
    Approver,
    /// And makes keys and reloads the config.
    Admin,
}

impl From<Role> for operations::Role {
    fn from(role: Role) -> operations::Role {
        match role {
            Role::Viewer => operations::Role::Viewer,
            Role::Operator => operations::Role::Operator,
            Role::Approver => operations::Role::Approver,
            Role::Admin => operations::Role::Admin,
        }
    }
}

/// Carries out one of them.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    if let Verb::Signing { file } = &verb {
        return signing(file, out);
    }
    let source = Source::open(place)?;
    match verb {
        Verb::Create(create) => {
            let doubts = doubts(place, &create);
            let exit = make(&source, create, out)?;
            doubts.iter().for_each(|doubt| out.say(format_args!("warning: {doubt}")));
            Ok(exit)
        }
        Verb::List { all } => list(&source, all, out),
        Verb::Show { key } => {
            let path = format!("/api/keys/{}", percent(&key));
            let value = source.read(&path, |database| operations::keys::show(database, &key)).map_err(unknown)?;
            let view = read(&value)?;
            out.answer(&value, || page(&view));
            Ok(Exit::Ok)
        }
        Verb::Rotate(rotate) => renew(&source, rotate, out),
        Verb::Limit { key, limits, who } => limit(&source, &key, limits, &who, out),
        Verb::Revoke { key, who } => revoke(&source, &key, &who, out),
        Verb::History { key } => history(&source, key.as_deref(), out),
        Verb::Signing { file } => signing(&file, out),
    }
}

/// Makes a key that signs exports.
fn signing(file: &Path, out: &Out) -> Result<Exit, Stop> {
    let pem = SigningKey::generate().map_err(Stop::failed)?;
    let public = SigningKey::from_pem(pem.expose()).map_err(Stop::failed)?.public();
    let beside = file.with_extension("pub");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut to = match options.open(file) {
        Ok(to) => to,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let stop = Stop::usage(format!("there is a file {} already", file.display()));
            return Err(stop.hint("what a lost key signed cannot be signed again: name another file"));
        }
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("could not write {}", file.display()));
            return Err(Stop::failed(error));
        }
    };
    to.write_all(pem.expose().as_bytes()).with_context(|| format!("could not write {}", file.display()))?;
    std::fs::write(&beside, public.to_pem()).with_context(|| format!("could not write {}", beside.display()))?;
    out.answer(&json!({ "private": file, "public": beside, "key": public.text() }), || {
        format!(
            "{}\n{}: keep it where nobody else reads it\n{}: hand it out\n",
            public.text(),
            file.display(),
            beside.display()
        )
    });
    Ok(Exit::Ok)
}

/// What of a new key will not work with the config as it is; nothing where the config cannot be read.
fn doubts(place: &Place, create: &Create) -> Vec<String> {
    let Ok(config) = crate::load::config(&place.config) else { return Vec::new() };
    let snapshot = &config.snapshot;
    let named: Vec<&str> = create.routes.iter().flatten().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let is_pattern = |name: &str| name.contains('*');
    let fits = |route: &str, name: &str| {
        route == name || route.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix))
    };
    let is_known = |name: &str| snapshot.routes.keys().any(|route| fits(route, name));
    let unknown = named.iter().filter(|name| !is_pattern(name) && !is_known(name));
    let unknown: Vec<String> = unknown.map(|name| format!("the config has no route `{name}`")).collect();
    let may = |name: &str| named.is_empty() || named.contains(&"*") || named.contains(&name);
    let has_budget = create.limits.budget.is_some_and(|budget| budget.nanos > 0);
    let unpriced = snapshot
        .routes
        .values()
        .filter(|route| has_budget && may(&route.name) && !snapshot.prices.of.contains_key(&route.target));
    let unpriced = unpriced.map(|route| {
        format!("no price is known for route `{}`: with a budget every request there is answered 429", route.name)
    });
    unknown.into_iter().chain(unpriced).collect()
}

fn make(source: &Source, create: Create, out: &Out) -> Result<Exit, Stop> {
    let Create { name, routes, tenant, role, network, expires, geography, force_arm, limits, existing, who } = create;
    let request = Request {
        name,
        routes: routes.map(|names| names.into_iter().filter(|name| !name.is_empty()).collect()),
        tenant,
        role: role.map(Into::into),
        networks: network.into_iter().collect::<BTreeSet<_>>(),
        expires_at_us: expires,
        limits: limits.change(),
        geography,
        force_arm,
        existing: if existing { Some(from_stdin()?) } else { None },
        actor: Some(who.actor.clone()),
        reason: who.reason.clone(),
    };
    let body = serde_json::to_value(&request).map_err(Stop::failed)?;
    let issued = change(source, "/api/keys", &body, |database| {
        operations::keys::create(Keys::stored(database), &owner(&who), request)
    })?;
    shown_once(&issued, out)
}

fn renew(source: &Source, rotate: Rotate, out: &Out) -> Result<Exit, Stop> {
    let Rotate { key, overlap, end_previous, who } = rotate;
    let request = RotationRequest {
        overlap_s: Some(overlap),
        end_previous,
        actor: Some(who.actor.clone()),
        reason: who.reason.clone(),
    };
    let body = serde_json::to_value(&request).map_err(Stop::failed)?;
    let issued = change(source, &format!("/api/keys/{}/rotate", percent(&key)), &body, |database| {
        operations::keys::rotate(Keys::stored(database), &owner(&who), &key, request)
    });
    let issued = issued.map_err(unknown).map_err(|stop| {
        let two = stop.error.to_string().contains("two secrets");
        if two {
            stop.hint("`--end-previous` ends the older now; `crossfade keys show` says when it ends")
        } else {
            stop
        }
    })?;
    shown_once(&issued, out)
}

/// The key alone on stdout, so that `KEY=$(crossfade keys create …)` is all it takes; everything else is words.
fn shown_once(issued: &Value, out: &Out) -> Result<Exit, Stop> {
    let view = read(issued)?;
    out.answer(issued, || issued["key"].as_str().map_or_else(String::new, |key| format!("{key}\n")));
    out.say(format_args!("key {} ({}): {}", view.name, view.id, summary(&view)));
    if let Some(end) = view.previous_ends_at_us {
        out.say(format_args!("the secret before is good until {} UTC", us_to_text(end)));
    }
    if issued["key"].is_string() {
        out.say("hint: this is the only time the key is shown; put it where its holder keeps secrets");
    }
    Ok(Exit::Ok)
}

fn limit(source: &Source, key: &str, limits: Limits, who: &Who, out: &Out) -> Result<Exit, Stop> {
    let request = LimitsRequest { limits: limits.change(), actor: Some(who.actor.clone()), reason: who.reason.clone() };
    let body = serde_json::to_value(&request).map_err(Stop::failed)?;
    let value = change(source, &format!("/api/keys/{}/limit", percent(key)), &body, |database| {
        operations::keys::limit(Keys::stored(database), &owner(who), key, &request)
    });
    let value = value.map_err(unknown)?;
    let view = read(&value)?;
    out.answer(&value, || format!("key {} ({}): {}\n", view.name, view.id, shown_limits(&view)));
    Ok(Exit::Ok)
}

fn revoke(source: &Source, key: &str, who: &Who, out: &Out) -> Result<Exit, Stop> {
    let body = json!({ "actor": who.actor, "reason": who.reason });
    let value = change(source, &format!("/api/keys/{}/revoke", percent(key)), &body, |database| {
        operations::keys::revoke(Keys::stored(database), &owner(who), key, &who.reason)
    });
    let value = value.map_err(unknown)?;
    let view = read(&value)?;
    out.answer(&value, || format!("key {} ({}) is revoked\n", view.name, view.id));
    Ok(Exit::Ok)
}

fn list(source: &Source, all: bool, out: &Out) -> Result<Exit, Stop> {
    let value = source.read("/api/keys", operations::keys::list)?;
    let views: Vec<KeyView> = serde_json::from_value(value).context("could not read the answer")?;
    let views: Vec<KeyView> = views.into_iter().filter(|view| all || view.state != "revoked").collect();
    let row = |view: &KeyView| {
        let at = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), us_to_text);
        vec![
            view.name.clone(),
            view.id.clone(),
            view.state.clone(),
            routes(view),
            view.tenant.clone().unwrap_or_else(|| "-".into()),
            view.role.map_or("-", operations::Role::as_str).to_owned(),
            at(view.expires_at_us),
            at(view.last_used_us),
        ]
    };
    let headings = ["name", "id", "state", "routes", "tenant", "role", "ends (UTC)", "last used (UTC)"];
    out.answer(&views, || table(&headings, &views.iter().map(row).collect::<Vec<_>>()));
    if views.is_empty() {
        out.say("hint: there is no key; `crossfade keys create NAME` makes one");
    }
    Ok(Exit::Ok)
}

fn history(source: &Source, key: Option<&str>, out: &Out) -> Result<Exit, Stop> {
    let path = key.map_or_else(|| "/api/keys/history".to_owned(), |key| format!("/api/keys/{}/history", percent(key)));
    let value = source.read(&path, |database| operations::keys::history(database, key)).map_err(unknown)?;
    let rows: Vec<AuditRow> = serde_json::from_value(value.clone()).context("could not read the answer")?;
    out.answer(&value, || {
        let row = |row: &AuditRow| {
            let detail: Value = serde_json::from_str(&row.detail_json).unwrap_or_default();
            let name = detail["name"].as_str().unwrap_or("-").to_owned();
            let id = row.subject.trim_start_matches("key:").to_owned();
            vec![us_to_text(row.at_us), row.action.clone(), name, id, row.actor.clone(), row.reason.clone()]
        };
        table(&["when (UTC)", "what", "key", "id", "who", "why"], &rows.iter().map(row).collect::<Vec<_>>())
    });
    Ok(Exit::Ok)
}

fn page(view: &KeyView) -> String {
    let networks = view.networks.iter().cloned().collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        ("name", view.name.clone()),
        ("id", view.id.clone()),
        ("state", view.state.clone()),
        ("routes", routes(view)),
        ("tenant", view.tenant.clone().unwrap_or_else(|| "none".into())),
        ("role", view.role.map_or("none", operations::Role::as_str).to_owned()),
        ("networks", if networks.is_empty() { "any".into() } else { networks }),
        ("limits", shown_limits(view)),
        ("geography", view.geography.clone().unwrap_or_else(|| "not said".into())),
        ("force arm", if view.force_arm { "yes" } else { "no" }.into()),
        ("made", format!("{} UTC by {}", us_to_text(view.created_at_us), view.created_by)),
        ("ends", view.expires_at_us.map_or_else(|| "never".into(), |at| format!("{} UTC", us_to_text(at)))),
        ("last used", view.last_used_us.map_or_else(|| "never".into(), |at| format!("{} UTC", us_to_text(at)))),
        ("secrets", format!("{} good", view.n_secrets)),
    ];
    if let Some(at) = view.previous_ends_at_us {
        lines.push(("", format!("the older ends {} UTC", us_to_text(at))));
    }
    if let Some(at) = view.revoked_at_us {
        lines.push(("revoked", format!("{} UTC", us_to_text(at))));
    }
    lines.into_iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
}

fn routes(view: &KeyView) -> String {
    match view.routes.len() {
        0 => "none".to_owned(),
        _ if view.routes.contains("*") => "all".to_owned(),
        _ => view.routes.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}

fn shown_limits(view: &KeyView) -> String {
    let limits = &view.limits;
    let parts: Vec<String> = [
        limits.requests_per_minute.map(|n| format!("{n} requests per minute")),
        limits.tokens_per_minute.map(|n| format!("{n} tokens per minute")),
        limits.concurrency.map(|n| format!("{n} at once")),
        limits.budget.map(|budget| shown_budget(&budget, view.spent_nanos)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "as the config says".to_owned() } else { parts.join(", ") }
}

fn shown_budget(budget: &Budget, spent_nanos: Option<u64>) -> String {
    let for_long = if budget.per == Period::Total { "in total".to_owned() } else { format!("per {}", budget.per) };
    let spent = spent_nanos.map_or_else(String::new, |nanos| format!(" ({} spent)", dollars(nanos)));
    format!("{} USD {for_long}{spent}", dollars(budget.nanos))
}

fn summary(view: &KeyView) -> String {
    let mut parts = vec![format!("routes {}", routes(view))];
    parts.extend(view.tenant.as_ref().map(|tenant| format!("tenant {tenant}")));
    parts.extend(view.role.map(|role| format!("role {}", role.as_str())));
    parts.push(view.expires_at_us.map_or_else(|| "never ends".into(), |at| format!("ends {} UTC", us_to_text(at))));
    let limits = shown_limits(view);
    parts.push(if limits == "as the config says" { format!("limits {limits}") } else { limits });
    parts.join(", ")
}

fn read(value: &Value) -> Result<KeyView, Stop> {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("key");
    }
    Ok(serde_json::from_value(value).context("could not read the answer")?)
}

/// Asks the running gateway, or does `in_store` where none runs and nobody else holds the store.
fn change<T: Serialize>(
    source: &Source,
    path: &str,
    body: &Value,
    in_store: impl FnOnce(&Database) -> Result<T, OperationError>,
) -> Result<Value, Stop> {
    if let Some(value) = source.change(path, body)? {
        return Ok(value);
    }
    if let Some(directory) = source.store().parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).with_context(|| format!("could not make {}", directory.display()))?;
    }
    let lease = Lease::acquire(source.store()).map_err(|error| {
        Stop::failed(error)
            .hint("a gateway runs but its admin listener does not answer at this address; use `--admin ADDRESS`")
    })?;
    let changed = in_store(&Database::open(source.store()).map_err(Stop::failed)?).map_err(operation)?;
    drop(lease);
    serde_json::to_value(changed).map_err(Stop::failed)
}

/// Whoever may write the store's file may do anything with it.
fn owner(who: &Who) -> Actor {
    Actor::trusted(who.actor.clone(), operations::Role::Admin)
}

fn from_stdin() -> Result<Private<String>, Stop> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("could not read the key from stdin")?;
    Ok(Private::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn unknown(stop: Stop) -> Stop {
    let is_unknown = stop.hint.is_none() && stop.error.to_string().starts_with("there is no key");
    if is_unknown { stop.hint("`crossfade keys list` shows names and ids") } else { stop }
}
