//! Results that were found elsewhere: filed, and listed.

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;
use store::FiledRow;

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::source::{Source, percent};
use crate::verbs::time::us_to_text;

/// What was found.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Outcome {
    /// A gate that asks for it lets the rollout go on.
    Pass,
    /// It keeps the rollout where it is.
    Fail,
}

/// A result to file.
#[derive(Debug, clap::Args)]
pub(crate) struct Result {
    /// The rollout.
    rollout: String,
    /// What kind of result.
    #[arg(long, value_parser = ["suite", "drill", "review", "other"])]
    kind: String,
    /// Which suite, drill or review: the name that the gate asks for.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What was found.
    #[arg(long)]
    outcome: Outcome,
    /// What tells which report it comes from: its SHA-256, as a rule.
    #[arg(long, value_name = "TEXT")]
    digest: String,
    /// How many cases it covered.
    #[arg(long, value_name = "N", default_value_t = 0)]
    cases: u64,
    /// Who files it.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
    /// What there is to say of it; the record keeps it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Files a result through the running gateway.
pub(super) fn file(source: &Source, result: &Result, out: &Out) -> std::result::Result<Exit, Stop> {
    let passed = matches!(result.outcome, Outcome::Pass);
    let body = json!({
        "actor": result.actor,
        "kind": result.kind,
        "name": result.name,
        "passed": passed,
        "digest": result.digest,
        "n": result.cases,
        "reason": result.reason,
    });
    let path = format!("/api/rollouts/{}/file", percent(&result.rollout));
    let row = source.change(&path, &body).map_err(|stop| source.with_rollouts(stop, &result.rollout))?;
    let row = row.ok_or_else(|| source.nobody())?;
    out.answer(&row, || {
        let verdict = if passed { "pass" } else { "fail" };
        format!("{}: {} `{}` filed as a {verdict}\n", result.rollout, result.kind, result.name)
    });
    Ok(Exit::Ok)
}

/// Lists what was filed.
pub(super) fn filed(source: &Source, name: &str, out: &Out) -> std::result::Result<Exit, Stop> {
    let path = format!("/api/rollouts/{}/filed", percent(name));
    let value = source.read(&path, |database| operations::rollouts::filed(database, name));
    let value = value.map_err(|stop| source.with_rollouts(stop, name))?;
    let rows: Vec<FiledRow> = serde_json::from_value(value.clone()).context("could not read the answer")?;
    out.answer(&value, || {
        let row = |row: &FiledRow| {
            let verdict = if row.passed { "pass" } else { "fail" };
            let FiledRow { kind, name, digest, actor, note, .. } = row;
            let short = digest.chars().take(16).collect();
            let (at, n) = (us_to_text(row.at_us), row.n.to_string());
            vec![at, kind.clone(), name.clone(), verdict.to_owned(), n, short, actor.clone(), note.clone()]
        };
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        table(&["when (UTC)", "kind", "name", "verdict", "cases", "digest", "by", "note"], &rows)
    });
    if rows.is_empty() {
        out.say(format_args!("hint: nothing is filed; `crossfade rollout file {name} --help` says how"));
    }
    Ok(Exit::Ok)
}
