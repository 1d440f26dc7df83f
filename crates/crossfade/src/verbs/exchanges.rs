//! `crossfade exchanges list|show|pairs`: the record, read back.

use clap::{Subcommand, ValueEnum};
use operations::ExchangeFilter;
use serde_json::Value;

use super::source::{Source, names_like, percent};
use super::time::{ago, us_to_text};
use super::{NOISE_UNKNOWN, Place};
use crate::out::{Exit, Out, Stop, table};

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The newest exchanges.
    List(Filter),
    /// One exchange with every attempt.
    Show {
        /// The id, as `x-crossfade-exchange-id` gave it.
        id: String,
    },
    /// How baseline and candidate answered the same requests; `show` has both answers in full.
    Pairs(Filter),
}

/// Which exchanges.
#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// At most so many, newest first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Only this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only this rollout.
    #[arg(long, value_name = "NAME")]
    rollout: Option<String>,
    /// Only this epoch.
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,
    /// Only this arm.
    #[arg(long, value_enum)]
    arm: Option<Arm>,
    /// Only those that ended like this.
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    /// Only those of the last while, such as `15m`.
    #[arg(long, value_name = "DURATION", value_parser = ago)]
    last: Option<u64>,
    /// Only those older than this one: the last of the page before.
    #[arg(long, value_name = "ID")]
    before: Option<wire::ids::ExchangeId>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Arm {
    Baseline,
    Candidate,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Outcome {
    Complete,
    Truncated,
    ClientGone,
    Failed,
    Refused,
}

impl Filter {
    fn resolve(&self) -> ExchangeFilter {
        let word = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        ExchangeFilter {
            route: self.route.clone(),
            rollout: self.rollout.clone(),
            epoch: self.epoch,
            arm: word(self.arm.and_then(|arm| arm.to_possible_value())),
            outcome: word(self.outcome.and_then(|outcome| outcome.to_possible_value())),
            since_us: self.last,
            until_us: None,
            limit: Some(self.limit),
            before: self.before,
        }
    }
}

/// Reads the record.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    match verb {
        Verb::List(filter) => {
            let filter = filter.resolve();
            let path = format!("/api/exchanges?{}", query(&filter)?);
            let page = source.read(&path, |database| operations::exchanges::list(database, &filter))?;
            let rows = &page["exchanges"];
            known_route(&source, &filter, rows)?;
            known_rollout(&source, &filter, rows)?;
            out.answer(rows, || list(rows));
            out.say(format_args!("the record holds: {}", counted(&page["counts"])));
        }
        Verb::Show { id } => {
            let path = format!("/api/exchanges/{}", percent(&id));
            let exchange = source.read(&path, |database| operations::exchanges::show(database, &id));
            let exchange = exchange.map_err(|stop| match stop.exit {
                Exit::Usage => stop.hint("`crossfade exchanges list` shows the ids of the newest"),
                _ => stop,
            })?;
            out.answer(&exchange, || show(&exchange));
            raise(&exchange).into_iter().for_each(|hint| out.say(hint));
        }
        Verb::Pairs(filter) => {
            let filter = filter.resolve();
            let path = format!("/api/exchanges/pairs?{}", query(&filter)?);
            let page = source.read(&path, |database| operations::exchanges::pairs(database, &filter))?;
            let rows = &page["pairs"];
            known_route(&source, &filter, rows)?;
            known_rollout(&source, &filter, rows)?;
            out.answer(rows, || pairs(rows));
            let mut counts = page["counts"].clone();
            let is_whole = counts.as_object_mut().and_then(|counts| counts.remove("whole")) != Some(Value::Bool(false));
            let of = if is_whole { "the record holds" } else { "the newest 20000 exchanges hold" };
            out.say(format_args!("{of}: {}", counted(&counts)));
        }
    }
    Ok(Exit::Ok)
}

/// Nothing found of a route that is neither in the config nor on record is a name typed wrong, not an answer.
fn known_route(source: &Source, filter: &ExchangeFilter, rows: &Value) -> Result<(), Stop> {
    let is_empty = |rows: &Value| rows.as_array().is_none_or(Vec::is_empty);
    let Some(route) = filter.route.as_ref().filter(|_| is_empty(rows)) else { return Ok(()) };
    let Some(known) = source.routes().filter(|known| !known.contains(route)) else { return Ok(()) };
    let of_route = ExchangeFilter { route: Some(route.clone()), limit: Some(1), ..ExchangeFilter::default() };
    let path = format!("/api/exchanges?{}", query(&of_route)?);
    let page = source.read(&path, |database| operations::exchanges::list(database, &of_route))?;
    if !is_empty(&page["exchanges"]) {
        return Ok(());
    }
    let stop = Stop::usage(format!("there is no route `{route}`, neither in the config nor on record"));
    Err(if known.is_empty() {
        stop.hint("the config has no routes; `crossfade exchanges list` shows what is on record")
    } else {
        stop.hint(names_like(route, known.iter().map(String::as_str)))
    })
}

/// The same of a rollout that is neither in the config nor has been started.
fn known_rollout(source: &Source, filter: &ExchangeFilter, rows: &Value) -> Result<(), Stop> {
    let is_empty = rows.as_array().is_none_or(Vec::is_empty);
    let Some(name) = filter.rollout.as_ref().filter(|_| is_empty) else { return Ok(()) };
    // Another gateway's config may have it.
    if source.routes().is_none() || source.has_rollout(name) {
        return Ok(());
    }
    let started = source.read("/api/rollouts", operations::rollouts::list)?;
    if started.as_array().into_iter().flatten().any(|line| line["name"] == **name) {
        return Ok(());
    }
    Err(source.with_rollouts(Stop::usage(format!("there is no rollout `{name}`")), name))
}

fn query(filter: &ExchangeFilter) -> Result<String, Stop> {
    let fields = serde_json::to_value(filter).map_err(Stop::failed)?;
    let fields = fields.as_object().cloned().unwrap_or_default();
    let pair = |(key, value): (String, Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{key}={}", percent(&text))),
        other => Some(format!("{key}={}", percent(&other.to_string()))),
    };
    Ok(fields.into_iter().filter_map(pair).collect::<Vec<_>>().join("&"))
}

fn list(rows: &Value) -> String {
    let row = |row: &Value| {
        vec![
            text(&row["id"]),
            row["received_at_us"].as_u64().map_or_else(|| "-".into(), us_to_text),
            text(&row["route"]),
            text(&row["arm"]),
            // What the caller saw is in the last columns: another target may have answered.
            text(&row["arm_failure"]),
            if row["simulated"] == true {
                format!("{} (simulated)", text(&row["served_by"]))
            } else {
                text(&row["served_by"])
            },
            text(&row["status"]),
            text(&row["outcome"]),
            text(&row["failure"]),
            ms(&row["time_to_first_token_us"]),
            ms(&row["duration_us"]),
            usd(&row["cost"]),
        ]
    };
    let rows: Vec<Vec<String>> = rows.as_array().into_iter().flatten().map(row).collect();
    let headings = [
        "id",
        "received (UTC)",
        "route",
        "arm",
        "arm failed",
        "served by",
        "status",
        "outcome",
        "failure",
        "ttft ms",
        "total ms",
        "cost $",
    ];
    table(&headings, &rows)
}

fn pairs(rows: &Value) -> String {
    let row = |row: &Value| {
        let side = |side: &Value| match (&side["failure"], &side["status"]) {
            (Value::Null, status) => text(status),
            (failure, _) => text(failure),
        };
        vec![
            text(&row["id"]),
            text(&row["live_target"]),
            side(&row["live"]),
            ms(&row["live"]["duration_us"]),
            text(&row["shadow_target"]),
            side(&row["shadow"]),
            ms(&row["shadow"]["duration_us"]),
            text(&row["dropped"]),
            apart(&row["compared"]["comparisons"]),
            text(&row["compared"]["probability"]),
            if row["simulated"] == true { "simulated".into() } else { "-".into() },
        ]
    };
    let all = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let headings =
        ["id", "live", "result", "ms", "shadow", "result", "ms", "dropped", "apart (noise)", "drawn at", "note"];
    let mut page = table(&headings, &rows);
    let mut compared =
        all.iter().flat_map(|row| row["compared"]["comparisons"].as_array().into_iter().flatten()).peekable();
    if compared.peek().is_some() && compared.all(|one| one["noise"].is_null()) {
        page += &format!("{NOISE_UNKNOWN}\n");
    }
    page
}

/// How far the answers are apart, kind by kind, with how far the baseline's own are: `meaning 0.12 (0.08), tool_calls 0`.
fn apart(comparisons: &Value) -> String {
    let number = |value: &Value| value.as_f64().map(|number| format!("{}", (number * 1000.0).round() / 1000.0));
    let one = |comparison: &Value| {
        let distance = number(&comparison["distance"]).unwrap_or_default();
        let noise = number(&comparison["noise"]).map_or(String::new(), |noise| format!(" ({noise})"));
        format!("{} {distance}{noise}", text(&comparison["kind"]))
    };
    let all: Vec<String> = comparisons.as_array().into_iter().flatten().map(one).collect();
    if all.is_empty() { "-".into() } else { all.join(", ") }
}

/// How a pair was drawn and where its answers differ.
fn compared(pair: &Value) -> String {
    let flags = ["streamed", "deferred", "altered", "teacher_forced"].into_iter().filter(|flag| pair[*flag] == true);
    let mut facts = vec![
        format!("drawn at {}", text(&pair["probability"])),
        format!("size {}", text(&pair["size"])),
        format!("task {}", text(&pair["task"])),
    ];
    facts.extend(flags.map(|flag| flag.replace('_', " ")));
    let mut page = format!("\npair of {}: {}\n", text(&pair["rollout"]), facts.join(", "));
    let row = |comparison: &Value| {
        vec![
            text(&comparison["kind"]),
            text(&comparison["distance"]),
            comparison["noise"].as_f64().map_or_else(|| "not measured".to_owned(), |noise| noise.to_string()),
            text(&comparison["detail"]),
        ]
    };
    let rows: Vec<Vec<String>> = pair["comparisons"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        page += &table(&["in", "distance", "noise", "where"], &rows);
        if rows.iter().all(|row| row[2] == "not measured") {
            page += &format!("{NOISE_UNKNOWN}\n");
        }
    }
    if let Some(why) = pair["not_compared"].as_str() {
        page += &format!("not compared: {why}\n");
    }
    page
}

/// The facts of an exchange in the order in which they came about: who asked for what, which arm it was given, how it ended, what it took.
/// What is not here follows by name.
const ORDER: [&str; 27] = [
    "id",
    "received_at_us",
    "endpoint",
    "asked",
    "route",
    "principal",
    "streamed",
    "client_retry",
    "rollout",
    "epoch",
    "share",
    "unit",
    "unit_source",
    "arm",
    "forced",
    "arm_failure",
    "outcome",
    "status",
    "failure",
    "served_by",
    "simulated",
    "time_to_first_token_us",
    "duration_us",
    "finished_at_us",
    "usage",
    "cost",
    "no_evidence",
];

fn in_order(exchange: &Value) -> Vec<(&String, &Value)> {
    let place = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    let mut facts: Vec<(&String, &Value)> = exchange.as_object().into_iter().flatten().collect();
    facts.sort_by_key(|(name, _)| place(name));
    facts
}

/// What a timeout asks of whoever reads it: each key of the config that could be raised, once.
fn raise(exchange: &Value) -> Vec<String> {
    let hint = |attempt: &Value| {
        let (failure, provider) = (attempt["failure"].as_str()?, attempt["provider"].as_str()?);
        let key = failure.strip_prefix("timeout_")?;
        // An answer that is no stream has a time of its own, where the config gives it one.
        let other = if key == "total" && exchange["streamed"] == false { ", or `answer` where it is set," } else { "" };
        Some(format!(
            "hint: `{failure}`: where such answers may take longer, raise `providers.{provider}.timeouts.{key}`{other} in the config"
        ))
    };
    let mut hints: Vec<String> = exchange["attempts"].as_array().into_iter().flatten().filter_map(hint).collect();
    hints.dedup();
    hints
}

fn show(exchange: &Value) -> String {
    let mut page = String::new();
    for (name, value) in in_order(exchange) {
        let is_body = matches!(name.as_str(), "request" | "answer" | "shadow" | "bodies_pruned");
        if !value.is_array() && !value.is_null() && !is_body {
            let shown = match name.as_str() {
                at if at.ends_with("_at_us") => us_to_text(value.as_u64().unwrap_or(0)),
                span if span.ends_with("_us") => format!("{} ms", ms(value)),
                "usage" => used(value),
                "cost" => match value["row"].as_str() {
                    Some(row) => format!("${} by {row}", usd(value)),
                    None => usd(value),
                },
                _ => text(value),
            };
            page += &format!("{:<24} {shown}\n", name.trim_end_matches("_us"));
        }
    }
    page += &format!("\n{}", attempts(exchange["attempts"].as_array().map_or(&[], Vec::as_slice)));
    let choice = |choice: &Value| vec![text(&choice["by"]), text(&choice["choice"]), text(&choice["because"])];
    let choices: Vec<Vec<String>> = exchange["decisions"].as_array().into_iter().flatten().map(choice).collect();
    if !choices.is_empty() {
        page += &format!("\n{}", table(&["decided by", "choice", "because"], &choices));
    }
    let change = |change: &Value| vec![text(&change["field"]), text(&change["action"]), text(&change["target"])];
    let changes: Vec<Vec<String>> = exchange["adaptations"].as_array().into_iter().flatten().map(change).collect();
    if !changes.is_empty() {
        page += &format!("\n{}", table(&["field", "was", "for target"], &changes));
    }
    let said = |said: &Value| {
        let value =
            [&said["value"], &said["label"]].into_iter().find(|value| !value.is_null()).map_or("-".into(), text);
        let means = match said["bad"].as_bool() {
            Some(true) => "bad",
            Some(false) => "good",
            None => "-",
        };
        let at = said["at_us"].as_u64().map_or_else(|| "-".into(), us_to_text);
        vec![at, text(&said["kind"]), value, text(&said["source"]), means.to_owned(), text(&said["comment"])]
    };
    let feedback: Vec<Vec<String>> = exchange["feedback"].as_array().into_iter().flatten().map(said).collect();
    if !feedback.is_empty() {
        page += &format!("\n{}", table(&["feedback (UTC)", "kind", "value", "by", "means", "comment"], &feedback));
    }
    exchange["pairs"].as_array().into_iter().flatten().for_each(|pair| page += &compared(pair));
    for name in ["request", "answer", "shadow"] {
        if let Some(body) = exchange[name].as_str() {
            page += &format!("\n{name}\n{}\n", body.trim_end());
        }
    }
    if exchange["bodies_pruned"] == true {
        page += "\nits bodies were pruned (`record.retention` or `crossfade record prune`)\n";
    }
    for copy in exchange["copies"].as_array().into_iter().flatten() {
        let what = if copy["duplicate"] == true { "duplicate of the baseline" } else { "shadow" };
        page += &format!("\n{what} ({})\n{}\n", text(&copy["rollout"]), text(&copy["answer"]).trim_end());
    }
    page
}

/// What was used, without what was not.
fn used(usage: &Value) -> String {
    let is_there = |(_, value): &(&String, &Value)| value.as_u64() != Some(0);
    let parts = usage.as_object().into_iter().flatten().filter(is_there);
    counted(&Value::Object(parts.map(|(name, value)| (name.clone(), value.clone())).collect()))
}

/// Every call in a row of its own; the note says what it was made for.
fn attempts(attempts: &[Value]) -> String {
    let failure =
        |attempt: &Value| text(if attempt["dropped"].is_null() { &attempt["failure"] } else { &attempt["dropped"] });
    let row = |(idx, attempt): (usize, &Value)| {
        // An attempt that did not fail is followed by another when its answer had not the form asked for.
        let ended = |attempt: &Value| match failure(attempt) {
            none if none == "-" => form(attempt),
            failure => failure,
        };
        let before = idx.checked_sub(1).and_then(|before| attempts.get(before)).map(ended);
        let why = match (attempt["role"].as_str(), before) {
            (Some("shadow" | "duplicate"), _) | (_, None) => None,
            (_, Some(before)) => Some(format!("after {before}")),
        };
        let simulated = (attempt["simulated"] == true).then(|| "simulated".to_owned());
        let declined = (attempt["declined"] == true).then(|| "declined".to_owned());
        let note: Vec<String> = why.into_iter().chain(declined).chain(simulated).collect();
        let is_copy = matches!(attempt["role"].as_str(), Some("shadow" | "duplicate"));
        vec![
            if is_copy { "-".into() } else { text(&attempt["idx"]) },
            text(&attempt["role"]),
            text(&attempt["arm"]),
            text(&attempt["target"]),
            text(&attempt["provider"]),
            text(&attempt["model"]),
            text(&attempt["status"]),
            failure(attempt),
            ms(&attempt["time_to_first_token_us"]),
            ms(&attempt["duration_us"]),
            usd(&attempt["cost"]),
            text(&attempt["cost"]["row"]),
            form(attempt),
            if note.is_empty() { "-".into() } else { note.join(", ") },
        ]
    };
    let rows: Vec<Vec<String>> = attempts.iter().enumerate().map(row).collect();
    let headings = [
        "#",
        "role",
        "arm",
        "target",
        "provider",
        "model",
        "status",
        "failure",
        "ttft ms",
        "total ms",
        "cost $",
        "price row",
        "form",
        "note",
    ];
    table(&headings, &rows)
}

/// Whether an answer had the form it was asked for: the first thing that is wrong, or why nobody knows.
fn form(attempt: &Value) -> String {
    let parts = [&attempt["format_valid"], &attempt["schema_valid"], &attempt["tool_calls_valid"]];
    match (&attempt["violation"], &attempt["not_validated"]) {
        (Value::String(violation), _) => violation.clone(),
        _ if parts.contains(&&Value::Bool(false)) => "invalid".into(),
        (_, Value::String(why)) => format!("not validated: {why}"),
        _ if parts.contains(&&Value::Bool(true)) => "valid".into(),
        _ => "-".into(),
    }
}

/// Counts in words: `exchanges complete 402, failed 1; pending 0`.
fn counted(counts: &Value) -> String {
    let word = |(name, value): (&String, &Value)| match value.as_object() {
        Some(parts) if parts.is_empty() => format!("{name} none"),
        Some(_) => format!("{name} {}", counted(value)),
        None => format!("{} {}", name.replace('_', " "), text(value)),
    };
    let fields = counts.as_object();
    let flat = fields.is_none_or(|fields| fields.values().all(|value| !value.is_object()));
    let words: Vec<String> = fields.into_iter().flatten().map(word).collect();
    words.join(if flat { ", " } else { "; " })
}

/// A JSON value as a cell.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What it cost in dollars, or why that is not known; nothing when nothing was charged.
fn usd(cost: &Value) -> String {
    match (cost["nanos"].as_u64(), cost["unknown"].as_str()) {
        (Some(nanos), _) => cost::decimal::dollars(nanos),
        (None, Some(why)) => format!("unknown: {why}"),
        (None, None) => "-".into(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a duration of days is far below 2^53 microseconds")]
fn ms(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".into(), |us| format!("{:.1}", us as f64 / 1000.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_says_what_was_asked_of_a_provider() {
        let page = show(&json!({ "endpoint": "files", "asked": "GET /files?limit=2", "attempts": [] }));
        assert!(page.contains("asked                    GET /files?limit=2\n"), "{page}");
        assert!(!show(&json!({ "endpoint": "chat_completions", "asked": null, "attempts": [] })).contains("asked"));
    }

    #[test]
    fn a_page_begins_with_the_id_and_goes_on_as_the_exchange_did() {
        let page = show(&json!({
            "status": 200, "served_by": "gpt", "route": "gpt-4o", "id": "a", "outcome": "complete", "arm": "baseline",
            "another": "fact", "attempts": []
        }));
        let names: Vec<&str> = page.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names[..7], ["id", "route", "arm", "outcome", "status", "served_by", "another"], "{page}");
    }

    #[test]
    fn a_timeout_names_the_key_to_raise_once() {
        let late = json!({ "failure": "timeout_first_token", "provider": "gpu" });
        let other = json!({ "failure": "http_server_error", "provider": "gpu" });
        assert_eq!(
            raise(&json!({ "attempts": [late, late, other] })),
            [
                "hint: `timeout_first_token`: where such answers may take longer, raise `providers.gpu.timeouts.first_token` in the config"
            ]
        );
        assert!(raise(&json!({ "attempts": [] })).is_empty());
    }

    #[test]
    fn every_call_says_what_it_was_made_for() {
        let attempt =
            |role: &str, failure: Option<&str>| json!({ "role": role, "failure": failure, "simulated": false });
        let text = attempts(&[
            attempt("replaced", Some("connect")),
            attempt("live", Some("http_server_error")),
            attempt("failover", None),
            attempt("shadow", None),
        ]);
        let notes: Vec<_> = text.lines().map(|line| line.rsplit("  ").next().unwrap_or_default().trim()).collect();
        assert_eq!(notes[notes.len() - 4..], ["-", "after connect", "after http_server_error", "-"], "{text}");
    }
}
