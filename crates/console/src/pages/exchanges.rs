//! The record: exchanges that match a filter, which stands in the address, and one exchange with its attempts and bodies.

use maud::{Markup, html};
use operations::exchanges::{self, AttemptRow, CostRow, ExchangeRow, ExchangeView, Page};
use operations::{ExchangeFilter, OperationError};

use super::fields::{address, escape};
use super::frame::{self, badge, table};
use super::words::{count, cut, dollars, inert, moment_of, short, span_of};
use super::{PageAnswer, Visit};

/// Rows on a page.
const PAGE: u32 = 50;
/// Bytes of a body that are shown before somebody asks for more.
const SHOWN: usize = 64 << 10;
/// What the address may filter by.
const FILTERS: [&str; 7] = ["route", "rollout", "epoch", "arm", "outcome", "since_us", "until_us"];
const OUTCOMES: [&str; 6] = ["", "complete", "truncated", "client_gone", "failed", "refused"];
const ARMS: [&str; 3] = ["", "baseline", "candidate"];

/// Those that match.
pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    if let Some(id) = visit.query.text("id") {
        return Ok(frame::see(&format!("/exchanges/{}", escape(id))));
    }
    let (filter, chosen) = filter(visit)?;
    let found = exchanges::newest(&visit.desk.reader(), &filter)?;
    let rows = &found.rows;
    let main = html! {
        h1 { "Exchanges" }
        (search(visit, "/exchanges", true))
        @if rows.is_empty() {
            @if chosen.is_empty() && filter.before.is_none() {
                (frame::empty("Nothing is on record: set the base URL of an application to the address of the data listener, or send one request by hand.", &by_hand(visit)))
            } @else { (nothing("/exchanges", found.before.is_some())) }
        } @else { (lines(rows)) }
        (further("/exchanges", &chosen, &found))
    };
    frame::page(visit, "Exchanges", &main)
}

/// A request to the first route.
fn by_hand(visit: &Visit<'_>) -> String {
    let config = (visit.desk.resolved)();
    let listen = config["listen"].as_str().unwrap_or_default();
    let routes = config["routes"].as_object();
    let route = routes.and_then(|routes| routes.keys().next()).map_or("ROUTE", String::as_str);
    let body = serde_json::json!({ "model": route, "messages": [{ "role": "user", "content": "hello" }] });
    let key = if (visit.desk.asks_for_keys)() { " -H 'authorization: Bearer KEY'" } else { "" };
    format!("curl http://{listen}/v1/chat/completions -H 'content-type: application/json'{key} -d '{body}'")
}

/// The filter of the address, a page long, and what of it to keep in links.
pub(super) fn filter(visit: &Visit<'_>) -> Result<(ExchangeFilter, Vec<(String, String)>), OperationError> {
    let chosen = visit.query.only(&FILTERS);
    let mut pairs = chosen.clone();
    pairs.extend(visit.query.only(&["before"]));
    let filter = exchanges::filter(&pairs)?;
    Ok((ExchangeFilter { limit: Some(PAGE), ..filter }, chosen))
}

/// Nothing here; `goes_on` when there is more to look through.
pub(super) fn nothing(path: &str, goes_on: bool) -> Markup {
    html! { p.none { @if goes_on { "Nothing here matches; there is more of the record. " } @else { "Nothing matches. " } a href=(path) { "Without a filter" } } }
}

/// The way to the next page of a part of the record.
pub(super) fn further<T>(path: &str, chosen: &[(String, String)], found: &Page<T>) -> Markup {
    let Some(before) = found.before else { return html! {} };
    let link = address(path, &[chosen, &[("before".to_owned(), before.to_string())]].concat());
    html! { p.more { a href=(link) rel="next" { @if found.is_full { "Older ones" } @else { "Look further back" } } } }
}

/// The way to the next page, by the last row of this one.
pub(super) fn older(path: &str, chosen: &[(String, String)], last: Option<String>) -> Markup {
    let link = last.map(|last| address(path, &[chosen, &[("before".to_owned(), last)]].concat()));
    html! { @if let Some(link) = link { p.more { a href=(link) rel="next" { "Older ones" } } } }
}

/// The form that makes the address.
pub(super) fn search(visit: &Visit<'_>, path: &str, by_id: bool) -> Markup {
    let text = |name: &str, words: &str| {
        html! {
            label { (words) input name=(name) value=(visit.query.get(name).unwrap_or_default()) autocomplete="off" spellcheck="false"; }
        }
    };
    let choice = |name: &str, words: &str, values: &[&str]| {
        html! {
            label { (words) select name=(name) {
                @for value in values {
                    option value=(value) selected[visit.query.get(name).unwrap_or_default() == *value] { @if value.is_empty() { "any" } @else { (value) } }
                }
            } }
        }
    };
    html! {
        form.filter method="get" action=(path) role="search" {
            (text("route", "Route"))
            (text("rollout", "Rollout"))
            @if by_id { (choice("arm", "Arm", &ARMS)) }
            (choice("outcome", "Outcome", &OUTCOMES))
            @if by_id { (text("id", "Or its id")) }
            button { "Find" }
        }
    }
}

fn lines(rows: &[ExchangeRow]) -> Markup {
    table(
        "Exchanges, newest first",
        &["Received", "Exchange", "Route", "Arm", "Served by", "Outcome", "First token", "Whole", "Tokens", "Cost"],
        &html! {
            @for row in rows {
                tr {
                    td { (moment_of(row.received_at_us)) }
                    td { (link(&row.id.to_string())) }
                    td { bdi { (row.route.as_deref().unwrap_or("–")) } }
                    td { (row.arm.as_deref().unwrap_or("–")) }
                    td { bdi { (row.served_by.as_deref().unwrap_or("–")) } @if row.simulated { " " (badge("warn", "simulated")) } }
                    td { (outcome(&row.outcome)) @if let Some(failure) = &row.failure { " " span.hint { (failure) } } }
                    td.number { (span_of(row.time_to_first_token_us)) }
                    td.number { (span_of(row.duration_us)) }
                    td.number { (row.usage.as_ref().map_or_else(|| "–".to_owned(), |usage| format!("{}+{}", count(usage.input_tokens), count(usage.output_tokens)))) }
                    td.number { (cost(row.cost.as_ref())) }
                }
            }
        },
    )
}

/// A link that shows the end of the id: ids of one time begin alike.
pub(super) fn link(id: &str) -> Markup {
    let end = id.get(id.len().saturating_sub(8)..).unwrap_or(id);
    html! { a.id href=(format!("/exchanges/{}", escape(id))) title=(id) { "…" (end) } }
}

pub(super) fn outcome(word: &str) -> Markup {
    match word {
        "complete" => badge("good", word),
        "client_gone" => badge("calm", word),
        _ => badge("bad", word),
    }
}

fn cost(cost: Option<&CostRow>) -> String {
    match cost {
        None => "–".to_owned(),
        Some(CostRow { nanos: Some(nanos), .. }) => dollars(*nanos),
        Some(_) => "unknown".to_owned(),
    }
}

/// One of them.
pub(super) fn one(visit: &Visit<'_>) -> PageAnswer {
    let view = exchanges::show(&visit.desk.reader(), visit.name())?;
    let row = &view.detail.exchange;
    let id = row.id.to_string();
    let most = if visit.query.get("whole").is_some() { usize::MAX } else { SHOWN };
    let main = html! {
        h1 { "Exchange " code { (id) } }
        (facts(row))
        h2 { "Attempts" }
        (attempts(&view.detail.attempts))
        @if !view.detail.pairs.is_empty() { p { a href=(format!("/pairs/{id}")) { "Both answers side by side" } } }
        @if view.bodies_pruned { p.notice { "Its bodies were on record and have been taken away since." } }
        (bodies(&view, &id, most))
        @if !view.detail.feedback.is_empty() {
            h2 { "Feedback" }
            ul { @for one in &view.detail.feedback { li { bdi { (short(&one.kind)) } ": " bdi { (short(one.label.as_deref().unwrap_or_default())) } " " (one.value.map_or_else(String::new, |value| value.to_string())) } } }
        }
        (json("What was decided about who should answer", &row.decisions))
        (json("What was changed in the request", &row.adaptations))
    };
    frame::page(visit, &format!("Exchange {id}"), &main)
}

fn facts(row: &ExchangeRow) -> Markup {
    let facts = [
        ("Route", row.route.clone()),
        ("Endpoint", row.endpoint.clone()),
        ("Served by", row.served_by.clone()),
        ("Status", row.status.map(|status| status.to_string())),
        ("Why it failed", row.failure.clone()),
        ("Arm", row.arm.clone()),
        ("Epoch", row.epoch.map(|epoch| epoch.to_string())),
        ("Unit's key from", row.unit_source.clone()),
        ("First token", row.time_to_first_token_us.map(super::words::span_us)),
        ("Whole", row.duration_us.map(super::words::span_us)),
        ("Cost", row.cost.as_ref().map(|one| cost(Some(one)))),
    ];
    html! {
        dl.facts {
            div { dt { "Received" } dd { (moment_of(row.received_at_us)) } }
            div { dt { "Outcome" } dd { (outcome(&row.outcome)) @if row.simulated { " " (badge("warn", "simulated")) } @if row.forced { " " (badge("calm", "arm chosen by hand")) } } }
            @if let Some(rollout) = &row.rollout { div { dt { "Rollout" } dd { (frame::rollout_link(rollout)) } } }
            @for (name, value) in facts { @if let Some(value) = value { div { dt { (name) } dd { bdi { (short(&value)) } } } } }
        }
    }
}

fn attempts(rows: &[AttemptRow]) -> Markup {
    table(
        "Every call, live ones first",
        &["Began", "As", "Arm", "Target", "Model", "Status", "First token", "Whole", "Finish", "Cost"],
        &html! {
            @for row in rows {
                tr {
                    td { (moment_of(row.started_us)) }
                    td { (row.role) }
                    td { (row.arm.as_deref().unwrap_or("–")) }
                    td { bdi { (row.target.as_deref().unwrap_or("–")) } }
                    td { bdi { (row.model.as_deref().unwrap_or("–")) } }
                    td { (row.measured.status.map_or_else(|| "–".to_owned(), |status| status.to_string()))
                        @if let Some(why) = row.measured.failure.as_ref().or(row.dropped.as_ref()) { " " (badge("bad", why)) }
                        @if let Some(wrong) = &row.measured.violation { " " span.hint { bdi { (short(wrong)) } } } }
                    td.number { (span_of(row.measured.time_to_first_token_us)) }
                    td.number { (span_of(row.measured.duration_us)) }
                    td { bdi { (short(row.measured.finish_reason.as_deref().unwrap_or("–"))) } }
                    td.number { (cost(row.measured.cost.as_ref())) }
                }
            }
        },
    )
}

fn bodies(view: &ExchangeView, id: &str, most: usize) -> Markup {
    let mut bodies = vec![
        ("Request", view.request.as_deref()),
        ("Answer that the caller got", view.answer.as_deref()),
        ("Candidate's answer to the copy", view.shadow.as_deref()),
    ];
    bodies.extend(view.copies.iter().map(|copy| {
        (
            if copy.duplicate { "Baseline's second answer" } else { "Another candidate's answer" },
            Some(copy.answer.as_str()),
        )
    }));
    html! { @for (name, body) in bodies { @if let Some(body) = body { (shown(name, body, (id, most))) } } }
}

/// A body as text, and nothing of it as markup.
fn shown(name: &str, body: &str, (id, most): (&str, usize)) -> Markup {
    let (text, is_whole) = cut(body, most);
    html! {
        h2 { (name) }
        pre.body tabindex="0" role="region" aria-label=(name) { (inert(text)) }
        @if !is_whole { p.hint { "The first " (text.len() >> 10) " KiB of " (body.len() >> 10) ". " a href=(format!("/exchanges/{id}?whole=1")) { "All of it" } } }
    }
}

fn json(name: &str, value: &serde_json::Value) -> Markup {
    let is_empty = value.as_array().is_some_and(Vec::is_empty) || value.is_null();
    html! {
        @if !is_empty {
            details { summary { (name) } pre.body tabindex="0" { (inert(&serde_json::to_string_pretty(value).unwrap_or_default())) } }
        }
    }
}
