//! Evaluations on record: every run, what one comes to, two beside each other, and the page of one.

use std::collections::BTreeSet;

use eval::results::{Results, ResultsError};
use eval::run::Plan;
use store::{Database, DatabaseError, EvalRunRow};

use crate::desk::OperationError;
use crate::documents::Document;

pub use eval::compare::{CandidateReport, Comparison, Interval, Report, Speed, SpeedAndCost, TargetSummary, Verdict};
pub use eval::report::{SIMULATED, agreement, sentence};

/// What the bootstraps of reports draw with: the same run gives the same report, whoever asks.
pub const SEED: u64 = 1;

/// How many of the newest runs are looked through for one of two targets.
const LOOKED_THROUGH: u32 = 500;

/// A run in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLine {
    /// The run and how far it is.
    pub row: EvalRunRow,
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// The targets, the baseline first.
    pub targets: Vec<String>,
    /// The run whose answers this one judges or measures; `None` of one that asks targets.
    pub of: Option<String>,
}

/// Runs, newest first: so many, after the one of the name `after`.
///
/// # Errors
/// When the store cannot be read.
pub fn runs(database: &Database, (after, most): (Option<&str>, usize)) -> Result<Vec<RunLine>, OperationError> {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let rows = database.eval_runs_page(after, most).map_err(listing)?;
    Ok(rows.into_iter().map(line).collect())
}

fn listing(source: DatabaseError) -> OperationError {
    OperationError::Store { doing: "list runs", source }
}

fn line(row: EvalRunRow) -> RunLine {
    let text = |name: &str| row.plan[name].as_str().map(str::to_owned);
    let targets = row.plan["targets"].as_array().into_iter().flatten();
    RunLine {
        dataset: text("dataset").unwrap_or_default(),
        version: text("version").unwrap_or_default(),
        targets: targets.filter_map(|target| Some(target["name"].as_str()?.to_owned())).collect(),
        of: text("judge_of").or_else(|| text("encoder_of")),
        row,
    }
}

/// The newest whole run of a baseline that has asked this candidate too.
///
/// # Errors
/// When the store cannot be read.
pub fn newest_of(database: &Database, baseline: &str, candidate: &str) -> Result<Option<String>, OperationError> {
    let rows = database.eval_runs_page(None, LOOKED_THROUGH).map_err(listing)?;
    let is_of = |row: &&EvalRunRow| {
        let Ok(plan) = serde_json::from_value::<Plan>(row.plan.clone()) else { return false };
        plan.judge_of.is_none()
            && plan.encoder_of.is_none()
            && row.n_answered >= row.n_items
            && plan.targets.first().is_some_and(|target| target.name == baseline)
            && plan.targets.iter().skip(1).any(|target| target.name == candidate)
    };
    Ok(rows.iter().find(is_of).map(|row| row.run.clone()))
}

/// What a run comes to, without its cases.
///
/// # Errors
/// When there is no such run, or it cannot be read.
pub fn summary(database: &Database, run: &str) -> Result<Report, OperationError> {
    let results = Results::load_numbers(database, run).map_err(refused)?;
    Ok(eval::compare::summary_report(&results, SEED))
}

/// The page of a run: the one that `crossfade eval report` writes, with every case.
///
/// # Errors
/// When there is no such run, or it cannot be read.
pub fn document(database: &Database, run: &str) -> Result<Document, OperationError> {
    let results = Results::load(database, run).map_err(refused)?;
    Ok(Document::of(eval::report::html(&eval::compare::report(&results, SEED))))
}

fn refused(error: ResultsError) -> OperationError {
    match error {
        ResultsError::Store(source) => OperationError::Store { doing: "read the run", source },
        ResultsError::NoRun(_) => OperationError::NotFound(error.to_string()),
        other => OperationError::Invalid(other.to_string()),
    }
}

/// A figure of two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Whose.
    pub target: String,
    /// Which: a metric, or what an answer took or cost.
    pub figure: String,
    /// In the first run.
    pub first: Option<f64>,
    /// In the second.
    pub second: Option<f64>,
}

/// Two runs beside each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// Figure by figure, of the targets that both have.
    pub rows: Vec<Row>,
    /// Why the one is not to be held against the other, where it is not.
    pub notes: Vec<String>,
}

/// The figures of two runs by the targets that both have, and by metrics of one definition.
#[must_use]
pub fn beside(first: &Report, second: &Report) -> Beside {
    let mut notes = Vec::new();
    if (&first.dataset, &first.version) != (&second.dataset, &second.version) {
        notes.push(format!(
            "They asked different cases: {} and {}.",
            cases(&first.dataset, &first.version),
            cases(&second.dataset, &second.version)
        ));
    }
    let names: BTreeSet<&String> = first.definitions.keys().chain(second.definitions.keys()).collect();
    let is_alike = |name: &&&String| {
        let of = |report: &Report| report.definitions.get(**name).map(|one| one.id.clone());
        of(first).is_some() && of(first) == of(second)
    };
    let (alike, others): (Vec<&String>, Vec<&String>) = names.iter().partition(is_alike);
    if !others.is_empty() {
        let others: Vec<&str> = others.into_iter().map(String::as_str).collect();
        notes.push(format!("Not measured alike in both, and so left out: {}.", others.join(", ")));
    }
    let mut rows = Vec::new();
    let mut models = Vec::new();
    for one in &first.targets {
        let Some(other) = second.targets.iter().find(|other| other.name == one.name) else { continue };
        if one.model != other.model {
            models.push(format!("`{}` was {} and is {}", one.name, one.model, other.model));
        }
        let mut put =
            |figure: String, first, second| rows.push(Row { target: one.name.clone(), figure, first, second });
        for name in &alike {
            let mean = |of: &TargetSummary| of.means.get(*name).copied().flatten();
            put((*name).clone(), mean(one), mean(other));
        }
        let time = |of: &TargetSummary, pick: fn(&Speed) -> f64| of.speed_and_cost.latency.as_ref().map(pick);
        for (figure, pick) in
            [("P50, ms", (|speed| speed.p50_ms) as fn(&Speed) -> f64), ("P95, ms", |speed| speed.p95_ms)]
        {
            put(figure.to_owned(), time(one, pick), time(other, pick));
        }
        put("$ for a case".to_owned(), one.speed_and_cost.cost_per_case, other.speed_and_cost.cost_per_case);
        put("failed calls".to_owned(), Some(one.n_failed as f64), Some(other.n_failed as f64));
    }
    if !models.is_empty() {
        notes.push(format!("A target is not what it was: {}.", models.join("; ")));
    }
    if rows.is_empty() {
        notes.push("They have no target in common.".to_owned());
    }
    Beside { rows, notes }
}

fn cases(dataset: &str, version: &str) -> String {
    format!("{dataset}@{}", version.get(..12).unwrap_or(version))
}
