//! `crossfade review list|show|resolve|verdicts`: what policies referred to people, and what they found.

use clap::{Subcommand, ValueEnum};
use operations::reviews::{self, Decision, Request};
use operations::{Actor, Role};
use serde_json::Value;
use store::{Database, ReferralRow, VerdictSums};

use super::Place;
use super::source::{Source, operation, percent};
use super::time::{ago, now_us, us_to_text};
use crate::out::{Exit, Out, Stop, table};

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Exchanges that wait for a person, oldest first.
    List {
        /// Those that somebody has decided too.
        #[arg(long)]
        all: bool,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// One of them: what was asked, what was answered, and every check.
    Show {
        /// The exchange's id.
        id: String,
    },
    /// Decide one: once, with a reason, on record.
    Resolve {
        /// The exchange's id.
        id: String,
        /// What is decided.
        #[arg(long, value_enum)]
        decision: Word,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who decides, where no key says so.
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
    },
    /// What the checks found, by route, check and arm: baseline and candidate side by side.
    Verdicts {
        /// Of the last while, such as `24h`.
        #[arg(long, value_name = "DURATION", value_parser = ago, default_value = "7d")]
        last: u64,
    },
}

/// What can be decided.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Word {
    /// It was in order.
    Approve,
    /// It was not.
    Reject,
}

/// Reads the queue, or decides something of it.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    match verb {
        Verb::List { all, limit } => {
            let path = format!("/api/reviews/{}/{limit}", if all { "all" } else { "open" });
            let rows = source.read(&path, |database| reviews::list(database, all, limit))?;
            let rows: Vec<ReferralRow> = serde_json::from_value(rows).map_err(Stop::failed)?;
            out.answer(&rows, || list(&rows));
        }
        Verb::Show { id } => {
            let path = format!("/api/reviews/{}", percent(&id));
            let referred = source.read(&path, |database| reviews::show(database, &id))?;
            out.answer(&referred, || show(&referred));
        }
        Verb::Resolve { id, decision, reason, actor } => {
            let decision = match decision {
                Word::Approve => Decision::Approve,
                Word::Reject => Decision::Reject,
            };
            let request = Request { decision, reason, actor };
            let review = resolve(&source, &id, &request)?;
            out.answer(&review, || format!("{id} {}\n", review["decision"].as_str().unwrap_or_default()));
        }
        Verb::Verdicts { last } => {
            let (from, to) = (last, now_us().saturating_add(1));
            let path = format!("/api/verdicts/{from}/{to}");
            let rows = source.read(&path, |database| reviews::verdicts(database, from, to))?;
            let rows: Vec<VerdictSums> = serde_json::from_value(rows).map_err(Stop::failed)?;
            out.answer(&rows, || verdicts(&rows));
        }
    }
    Ok(Exit::Ok)
}

fn resolve(source: &Source, id: &str, request: &Request) -> Result<Value, Stop> {
    let body = serde_json::to_value(request).map_err(Stop::failed)?;
    if let Some(review) = source.change(&format!("/api/reviews/{}/resolve", percent(id)), &body)? {
        return Ok(review);
    }
    let database = Database::open(source.database()?.path()).map_err(Stop::failed)?;
    let actor = Actor::trusted(request.actor.clone().unwrap_or_else(|| "command-line".to_owned()), Role::Admin);
    let review = reviews::resolve(&database, &actor, (id, now_us()), request).map_err(operation)?;
    serde_json::to_value(review).map_err(Stop::failed)
}

fn dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

fn list(rows: &[ReferralRow]) -> String {
    let row = |row: &ReferralRow| {
        let decided = row.review.as_ref();
        vec![
            row.check.exchange.to_string(),
            us_to_text(row.check.at_us),
            row.check.route.clone(),
            row.check.name.clone(),
            row.check.phase.clone(),
            dash(row.check.target.as_deref()),
            dash(row.check.detail.as_deref()),
            dash(decided.map(|review| review.decision.as_str())),
            dash(decided.map(|review| review.actor.as_str())),
            dash(decided.map(|review| review.reason.as_str())),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    table(&["exchange", "at (UTC)", "route", "check", "phase", "target", "because", "decision", "by", "reason"], &rows)
}

fn show(referred: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut page = String::new();
    for name in ["id", "route", "outcome", "failure", "served_by"] {
        page += &format!("{name:<12} {}\n", text(&referred[name]));
    }
    let review = &referred["review"];
    if review.is_object() {
        page += &format!(
            "decision     {} by {}: {}\n",
            text(&review["decision"]),
            text(&review["actor"]),
            text(&review["reason"])
        );
    }
    let row = |check: &Value| {
        ["name", "phase", "verdict", "target", "arm", "shadow", "latency_us", "failed", "detail"]
            .iter()
            .map(|name| text(&check[*name]))
            .collect()
    };
    let rows: Vec<Vec<String>> = referred["checks"].as_array().into_iter().flatten().map(row).collect();
    let headings = ["check", "phase", "verdict", "target", "arm", "shadow", "us", "failed", "because"];
    page += &format!("\n{}", table(&headings, &rows));
    for name in ["request", "answer"] {
        if let Some(body) = referred[name].as_str() {
            page += &format!("\n{name}\n{}\n", body.trim_end());
        }
    }
    page
}

fn verdicts(rows: &[VerdictSums]) -> String {
    let row = |row: &VerdictSums| {
        let mean = row.latency_us.checked_div(row.n).unwrap_or(0);
        vec![
            row.route.clone(),
            row.name.clone(),
            row.phase.clone(),
            dash(row.arm.as_deref()),
            if row.shadow { "copies" } else { "live" }.to_owned(),
            row.n.to_string(),
            row.redacted.to_string(),
            row.escalated.to_string(),
            row.blocked.to_string(),
            row.failed.to_string(),
            mean.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    let headings =
        ["route", "check", "phase", "arm", "of", "looked at", "redacted", "escalated", "blocked", "failed", "mean us"];
    table(&headings, &rows)
}
