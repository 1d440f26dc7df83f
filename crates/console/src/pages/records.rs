//! What the house keeps of itself: the audit, the config as it is understood, keys with their limits and spend, and health.

use maud::{Markup, html};
use operations::keys::KeyView;
use operations::rollouts::{CandidateDown, TargetView};
use operations::{Budget, Period, audit, keys};

use super::fields::{address, escape};
use super::frame::{self, badge, table};
use super::words::{count, dollars, inert, moment, moment_of, percent, short};
use super::{PageAnswer, Visit};

const PAGE: u32 = 100;
/// What was paid is added up over so many days.
const DAYS: u32 = 30;

/// Who did what.
pub(super) fn audit(visit: &Visit<'_>) -> PageAnswer {
    let before = visit.number("before")?;
    let subject = visit.query.text("subject");
    let rows = audit::page(&visit.desk.reader(), subject, (before, PAGE))?;
    let chosen = visit.query.only(&["subject"]);
    let last = rows.last().filter(|_| rows.len() >= PAGE as usize).map(|(number, _)| number.to_string());
    let main = html! {
        h1 { "Audit log" }
        p.sub { "Every change of keys, results, drills and the record. What happened to a rollout is in its own trail, on its page." }
        @if let Some(subject) = subject { p { "Of " code { (subject) } ". " a href="/audit" { "Of everything" } } }
        @if rows.is_empty() { (frame::empty("Nothing is in it.", "crossfade keys create NAME")) }
        @else { (table("Newest first", &["When", "Who", "What", "To what", "Why", "More"], &html! {
            @for (_, row) in &rows {
                tr {
                    td { (moment(row.at_us)) } td { bdi { (row.actor) } } td { code { (row.action) } }
                    td { a href=(address("/audit", &[("subject".to_owned(), row.subject.clone())])) { bdi { (row.subject) } } }
                    td.wide { bdi { (row.reason) } }
                    td { @if row.detail_json.len() > 2 { details { summary { "Facts" } pre { (inert(&row.detail_json)) } } } }
                }
            }
        })) }
        (super::exchanges::older("/audit", &chosen, last))
    };
    frame::page(visit, "Audit log", &main)
}

/// The config in force.
pub(super) fn config(visit: &Visit<'_>) -> PageAnswer {
    let resolved = (visit.desk.resolved)();
    let section =
        |name: &str| resolved[name].as_object().map(|all| all.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let main = html! {
        h1 { "Config as it is understood" }
        dl.facts {
            div { dt { "File" } dd { code { (visit.desk.identity.config) } } }
            div { dt { "Hash" } dd { code.hash { (resolved["hash"].as_str().unwrap_or_default()) } } }
            div { dt { "Store" } dd { code { (visit.desk.identity.store) } } }
        }
        p.sub { "With every default filled in, and nothing secret: what " code { "crossfade check --format json" } " prints. After a change of the file: " code { "crossfade reload" } "." }
        @for name in ["routes", "targets", "rollouts"] {
            h2 { (name) }
            @if section(name).is_empty() { p.none { "None." } }
            @for key in section(name) {
                details { summary { bdi { (key) } } pre.body tabindex="0" { (inert(&serde_json::to_string_pretty(&resolved[name][&key]).unwrap_or_default())) } }
            }
        }
        h2 { "Everything else" }
        (rest(&resolved))
    };
    frame::page(visit, "Config", &main)
}

fn rest(resolved: &serde_json::Value) -> Markup {
    let mut rest = resolved.clone();
    if let Some(all) = rest.as_object_mut() {
        all.retain(|name, _| !["routes", "targets", "rollouts", "hash"].contains(&name.as_str()));
    }
    html! { pre.body tabindex="0" role="region" aria-label="Everything else" { (inert(&serde_json::to_string_pretty(&rest).unwrap_or_default())) } }
}

/// Keys, what they may call and have spent, and what targets cost.
pub(super) fn keys(visit: &Visit<'_>) -> PageAnswer {
    let keys = keys::list(&visit.desk.reader())?;
    let today = u32::try_from(operations::reviews::now() / 86_400_000_000).unwrap_or(u32::MAX);
    let spent = operations::costs::spent(&visit.desk.reader(), today.saturating_sub(DAYS - 1), today + 1)?;
    let main = html! {
        h1 { "Keys, limits and spend" }
        @if keys.is_empty() { (frame::empty("There is no key.", "crossfade keys create NAME --routes ROUTE")) }
        @else { (table("Keys", &["Name", "State", "Role", "Routes", "Tenant", "Limits", "Spent", "Last used", ""], &html! {
            @for key in &keys { (line(key)) }
        })) }
        h2 { "What targets cost in the last 30 days" }
        @if spent.targets.is_empty() { (frame::empty("Nothing was charged in that time.", "crossfade prices list")) }
        @else { (table("By target and by why it was called", &["Target", "As", "Requests", "Cost", "Mean", "Price not known"], &html! {
            @for one in &spent.targets {
                tr { td { bdi { (one.target) } } td { (one.role) } td.number { (count(one.sums.requests)) } td.number { (dollars(one.sums.nanos)) }
                    td.number { (one.sums.mean_nanos().map_or_else(|| "–".to_owned(), dollars)) }
                    td.number { @if one.sums.unknown > 0 { (badge("warn", &count(one.sums.unknown))) } @else { "0" } } }
            }
        })) }
    };
    frame::page(visit, "Keys", &main)
}

fn line(key: &KeyView) -> Markup {
    let kind = if key.state == "live" { "good" } else { "bad" };
    let limits = [
        key.limits.requests_per_minute.map(|n| format!("{n} requests/min")),
        key.limits.tokens_per_minute.map(|n| format!("{n} tokens/min")),
        key.limits.concurrency.map(|n| format!("{n} at once")),
        key.limits.budget.map(budget),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    html! {
        tr {
            td { bdi { (key.name) } " " code { (key.id) } }
            td { (badge(kind, &key.state)) }
            td { (key.role.map_or("–", operations::Role::as_str)) }
            td.wide { bdi { (key.routes.iter().map(String::as_str).collect::<Vec<_>>().join(", ")) } }
            td { bdi { (key.tenant.as_deref().unwrap_or("–")) } }
            td { (if limits.is_empty() { "–".to_owned() } else { limits.join(", ") }) }
            td.number { @if let (Some(spent), Some(budget)) = (key.spent_nanos, key.limits.budget) {
                (dollars(spent)) " (" (percent(spent as f64 / budget.nanos.max(1) as f64)) ")" } @else { "–" } }
            td { (moment_of(key.last_used_us)) }
            td { a href=(format!("/audit?subject={}", escape(&format!("key:{}", key.id)))) { "History" } }
        }
    }
}

fn budget(budget: Budget) -> String {
    let nanos = dollars(budget.nanos);
    match budget.per {
        Period::Day => format!("{nanos} a day"),
        Period::Month => format!("{nanos} a month"),
        Period::Total => format!("{nanos} in all"),
    }
}

fn target_line(target: &TargetView) -> Markup {
    let state = |down: &Option<CandidateDown>| {
        html! { @match down {
            None => { (badge("good", "takes calls")) }
            Some(down) => { (badge("bad", if down.unreachable { "unreachable" } else { "failing" })) " since " (moment(down.since_us)) }
        } }
    };
    let last = target.down.as_ref().or(target.down_for_copies.as_ref());
    html! { tr {
        th scope="row" { bdi { (target.name) } }
        td { (state(&target.down)) }
        td { (state(&target.down_for_copies)) }
        td.wide { @match last { Some(down) => { bdi { (short(&down.words)) } } None => { "–" } } }
    } }
}

/// Whether everything runs.
pub(super) fn health(visit: &Visit<'_>) -> PageAnswer {
    let desk = visit.desk;
    let journal = desk.journal.counts();
    let record = operations::retention::status(&desk.reader())?;
    let alerts = operations::alerts::list(&desk.reader(), 20)?;
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let targets = operations::rollouts::targets(desk);
    let is_whole = journal.dropped + journal.failed + journal.write_errors + journal.sync_errors == 0;
    let main = html! {
        h1 { "Health" }
        dl.facts {
            div { dt { "Data listener" } dd { @if desk.is_ready() { (badge("good", "takes traffic")) } @else { (badge("bad", "not ready")) } } }
            div { dt { "Journal" } dd { @if is_whole { (badge("good", "whole")) } @else { (badge("bad", "records are missing")) } } }
            div { dt { "Version" } dd { (desk.identity.version) } }
            div { dt { "Callers need keys" } dd { @if (desk.asks_for_keys)() { "yes" } @else { "no" } } }
        }
        (table("Targets of the config", &["Target", "Callers", "Copies", "What it said last"], &html! { @for target in &targets { (target_line(target)) } }))
        (table("The journal since this process began", &["", "How many"], &html! {
            @for (name, n) in [("records written", journal.records), ("records dropped", journal.dropped), ("records whose write failed", journal.failed),
                ("failed writes", journal.write_errors), ("failed syncs", journal.sync_errors)] {
                tr { th scope="row" { (name) } td.number { (count(n)) } }
            }
        }))
        h2 { "The record" }
        dl.facts {
            div { dt { "In use" } dd { (mib(record.size.used)) } }
            div { dt { "Free again in its file" } dd { (mib(record.size.free)) } }
            div { dt { "Oldest exchange" } dd { (moment_of(record.oldest_exchange_us)) } }
            div { dt { "Oldest bodies" } dd { (moment_of(record.oldest_bodies_us)) } }
        }
        h2 { "What people were told" }
        @if !alerts.webhooks.is_empty() { (table("Webhooks", &["Webhook", "Delivered", "Waiting", "Given up", "Problem"], &html! {
            @for hook in &alerts.webhooks { tr { td { bdi { (hook.webhook) } } td.number { (count(hook.delivered)) } td.number { (count(hook.waiting)) } td.number { (count(hook.given_up)) }
                td.wide { bdi { (hook.problem.as_deref().unwrap_or("–")) } } } }
        })) }
        @if alerts.alerts.is_empty() { p.none { "Nothing yet." } }
        @else { (table("The newest alerts", &["When", "What", "To what", "In words"], &html! {
            @for one in &alerts.alerts { tr { td { (moment(one.alert.at_us)) } td { code { (one.alert.kind) } } td { bdi { (one.alert.subject) } } td.wide { bdi { (one.alert.words) } } } }
        })) }
        p { a href="/metrics" { "Everything else, as metrics" } }
    };
    frame::page(visit, "Health", &main)
}
