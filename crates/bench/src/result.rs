//! What is kept of a run: one JSON document. Every number has its unit in its name or is of an id of [`crate::definition`], in milliseconds.
//!
//! Readers take fields that they do not know for new ones; a field that went away or means something else is another [`FORMAT`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{BenchRow, Database, DatabaseError, RUNNING};

use crate::cell::Cell;
use crate::compare::Delta;
use crate::definition;
use crate::quantile::Quantile;
use crate::search::{Bracket, Tried};
use crate::slo::{Attained, Slo, Verdict};

/// What is said of a result whose run may be under way still.
const NOT_OVER: &str = "its run was not over when this was kept: it was killed, or is still under way";

/// The form of the document.
pub const FORMAT: &str = "crossfade.bench/1";

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchResult {
    /// [`FORMAT`].
    pub format: String,
    /// What it is called in the store.
    pub name: String,
    /// When it began, Unix microseconds.
    pub at_us: u64,
    /// When it ended.
    pub ended_us: u64,
    /// The version of Crossfade that made it.
    pub crossfade: String,
    /// `load`, `search`, `recovery`, `cold_start` or `matrix`.
    pub kind: String,
    /// `valid`, or `invalid` where this process lagged or nothing was measured.
    pub verdict: String,
    /// Somebody stopped it: what is here is what there was by then.
    pub partial: bool,
    /// Why it is invalid, and what else a reader has to know.
    pub why: Vec<String>,
    /// A provider that makes answers up took part.
    pub simulated: bool,
    /// Where it was measured from, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What the operator says of the server: quantisation, batch, GPU, flags.
    pub metadata: BTreeMap<String, String>,
    /// Who was asked, the baseline first.
    pub targets: Vec<TargetFacts>,
    /// What was planned, as it was understood.
    pub plan: Value,
    /// What was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
    /// One for each target and load.
    pub levels: Vec<Level>,
    /// Where targets were asked in turns: each beside the first.
    pub deltas: Vec<Delta>,
    /// Where the most load was searched.
    pub found: Vec<Found>,
    /// Where a backend was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// Where it was started from cold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_start: Option<ColdStart>,
    /// What each id means.
    pub definitions: BTreeMap<String, String>,
    /// Requests that the levels so far sent, those of warm-ups included: a run that goes on sends none of them again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_sent: u64,
    /// Of a matrix: every server with its settings. Levels and searches have a cell's label as their target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
}

impl BenchResult {
    /// One of now, with nothing measured.
    #[must_use]
    pub fn new(name: &str, kind: &str, at_us: u64) -> BenchResult {
        BenchResult {
            format: FORMAT.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            at_us,
            crossfade: env!("CARGO_PKG_VERSION").to_owned(),
            verdict: "valid".to_owned(),
            definitions: definition::ALL.iter().map(|(id, words)| ((*id).to_owned(), (*words).to_owned())).collect(),
            ..BenchResult::default()
        }
    }

    /// Whether its figures are evidence: the client kept up and nobody stopped it.
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        self.verdict == "valid" && !self.partial
    }

    /// Says that it is no evidence, and why.
    pub fn invalidate(&mut self, why: String) {
        "invalid".clone_into(&mut self.verdict);
        if !self.why.contains(&why) {
            self.why.push(why);
        }
    }

    /// The levels of one target.
    pub fn levels_of<'r>(&'r self, target: &'r str) -> impl Iterator<Item = &'r Level> {
        self.levels.iter().filter(move |level| level.target == target)
    }

    /// Milliseconds for an output token by how many answers were under way on the mean, ascending: the curve that a capacity is computed from.
    /// Only levels that are evidence.
    #[must_use]
    pub fn tpot_curve(&self, target: &str) -> Vec<(f64, f64)> {
        let point = |level: &Level| Some((level.mean_active?, level.latency.get(definition::TPOT)?.mean?));
        let mut curve: Vec<(f64, f64)> =
            self.levels_of(target).filter(|level| level.invalid.is_none()).filter_map(point).collect();
        curve.sort_by(|a, b| a.0.total_cmp(&b.0));
        curve
    }

    /// What all its levels and searches say of the objective: a failure of one is a failure, and no evidence is undecided. Of a matrix, one cell that
    /// keeps to it is enough. `None` without an objective.
    #[must_use]
    pub fn slo_verdict(&self) -> Option<Verdict> {
        self.slo?;
        if !self.cells.is_empty() {
            return Some(crate::cell::verdict(&self.cells));
        }
        let of_search = |found: &Found| found.verdict.or(found.sustained.map(|_| Verdict::Pass));
        let verdicts: Vec<Verdict> = if self.found.is_empty() {
            self.levels.iter().filter_map(|level| level.verdict).collect()
        } else {
            self.found.iter().map(|found| of_search(found).unwrap_or(Verdict::Undecided)).collect()
        };
        Some(if !self.is_evidence() || verdicts.is_empty() {
            Verdict::Undecided
        } else if verdicts.contains(&Verdict::Fail) {
            Verdict::Fail
        } else if verdicts.contains(&Verdict::Undecided) {
            Verdict::Undecided
        } else {
            Verdict::Pass
        })
    }

    /// Says of the target `through` what the gateway before it takes: the p50 of its `ttft.sent`, less that of the first target, which is the same server
    /// without it. Below zero where noise is more than the gateway.
    pub fn gateway_part(&mut self, through: &str) {
        let Some(direct) = self.targets.first().map(|target| target.name.clone()) else { return };
        let p50 = |level: &Level| level.latency.get(definition::TTFT_SENT)?.value("p50");
        let of_direct: Vec<(Load, f64)> =
            self.levels_of(&direct).filter_map(|level| Some((level.load, p50(level)?))).collect();
        for level in self.levels.iter_mut().filter(|level| level.target == through && through != direct) {
            let same = of_direct.iter().find(|(load, _)| *load == level.load);
            let Some(part) = p50(level).zip(same).map(|(ms, (_, direct))| ms - direct) else { continue };
            level.budget.gateway_ms = Some(part);
            level.budget.queue_ms = level.budget.queue_ms.map(|ms| (ms - part.max(0.0)).max(0.0));
        }
    }

    /// Keeps it under its name. Says whether it is new; one that is there stays as it is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep(&self, database: &Database, actor: &str) -> Result<bool, ResultError> {
        let verdict = if self.partial { "partial" } else { &self.verdict };
        self.kept_as(verdict, database, actor)
    }

    /// Keeps what a run has so far, so that a run which is killed loses no level that was over. It is no evidence, and what the same run comes to takes its place.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_so_far(&self, database: &Database, actor: &str) -> Result<bool, ResultError> {
        let mut so_far = BenchResult { partial: true, ..self.clone() };
        so_far.why.push(NOT_OVER.to_owned());
        so_far.kept_as(RUNNING, database, actor)
    }

    /// What was kept of a run that was cut off, as the beginning of the same run that goes on at this moment.
    pub fn go_on(&mut self, at: &str) {
        self.partial = false;
        self.why.retain(|why| why != NOT_OVER);
        let n = self.levels.len();
        self.why.push(format!("it was cut off and went on at {at} UTC: the first {n} levels are of before, and the machine may have been another then"));
    }

    fn kept_as(&self, verdict: &str, database: &Database, actor: &str) -> Result<bool, ResultError> {
        let row = BenchRow {
            name: self.name.clone(),
            at_us: self.at_us,
            actor: actor.to_owned(),
            kind: self.kind.clone(),
            verdict: verdict.to_owned(),
            result_json: serde_json::to_string(self)?,
        };
        Ok(database.keep_bench(&row)?)
    }

    /// The one of this name.
    ///
    /// # Errors
    /// When the store cannot be read, or it is in a form of another version.
    pub fn load(database: &Database, name: &str) -> Result<Option<BenchResult>, ResultError> {
        database.bench(name)?.map(|row| BenchResult::parse(&row.result_json)).transpose()
    }

    /// Every one, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or one is in a form of another version.
    pub fn all(database: &Database) -> Result<Vec<BenchResult>, ResultError> {
        database.benches()?.iter().map(|row| BenchResult::parse(&row.result_json)).collect()
    }

    /// Reads the document.
    ///
    /// # Errors
    /// When it is none, or one of another format.
    pub fn parse(text: &str) -> Result<BenchResult, ResultError> {
        let found: Value = serde_json::from_str(text)?;
        let format = found["format"].as_str().unwrap_or("none");
        if format != FORMAT {
            return Err(ResultError::Format(format.to_owned()));
        }
        Ok(serde_json::from_value(found)?)
    }
}

/// Why a result cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// The store.
    #[error(transparent)]
    Store(#[from] DatabaseError),
    /// It is no such document.
    #[error("this is no result of a benchmark")]
    Json(#[from] serde_json::Error),
    /// Another format.
    #[error("this result has the format `{0}`, and this version reads `{FORMAT}`")]
    Format(String),
}

/// Who was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// The name in the config, or the URL.
    pub name: String,
    /// The model that was asked for.
    pub model: String,
    /// Where it is.
    pub url: String,
    /// It makes its answers up.
    pub simulated: bool,
    /// Hash of everything in the config that makes its answers; `None` of a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// How much was sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Load {
    /// An open loop: so many requests a second, whatever comes back.
    Rate {
        /// Requests a second.
        per_s: f64,
    },
    /// A closed loop: so many under way, the next when one has ended.
    Concurrency {
        /// How many.
        n: usize,
    },
    /// An open loop with the moments of a trace.
    Replay {
        /// Requests a second on the mean.
        per_s: f64,
    },
}

impl Load {
    /// Its number.
    #[must_use]
    pub fn number(self) -> f64 {
        match self {
            Load::Rate { per_s } | Load::Replay { per_s } => per_s,
            Load::Concurrency { n } => n as f64,
        }
    }

    /// It in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Load::Rate { per_s } => format!("{}/s", short(per_s)),
            Load::Replay { per_s } => format!("replay, {}/s", short(per_s)),
            Load::Concurrency { n } => format!("{n} at once"),
        }
    }
}

/// A number in up to four digits.
#[must_use]
pub fn short(number: f64) -> String {
    let places = if number.abs() >= 100.0 {
        0
    } else if number.abs() >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// One target at one load. `None` is what was not measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Whose it is.
    pub target: String,
    /// How much was sent.
    pub load: Load,
    /// How long requests were due that count.
    pub seconds: f64,
    /// The share of the time in which this target was asked: less than 1 where several had their turns. The load is that of its own turns; what
    /// is counted by the second is over all of the time.
    #[serde(default = "whole")]
    pub duty: f64,
    /// These requests.
    pub n_requests: u64,
    /// Those of them with a whole answer.
    pub n_good: u64,
    /// The others, by what went wrong (`Outcome::as_str`).
    pub errors: BTreeMap<String, u64>,
    /// Of a search, whether it was given up because too many requests could not keep to the objective any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gave_up: bool,
    /// Whole answers a second.
    pub requests_per_s: Option<f64>,
    /// Output tokens a second.
    pub out_tok_s: Option<f64>,
    /// The same in the middle eight tenths.
    pub out_tok_s_steady: Option<f64>,
    /// Tokens of prompts a second.
    pub in_tok_s: Option<f64>,
    /// Answers under way at once, on the mean.
    pub mean_active: Option<f64>,
    /// Tokens of prompts that the server says it read in a second of reading.
    pub prefill_tok_s: Option<f64>,
    /// Tokens of a prompt, on the mean.
    pub mean_input_tokens: Option<f64>,
    /// Tokens of an answer, on the mean.
    pub mean_output_tokens: Option<f64>,
    /// The share of prompt tokens that came from a cache, as the server counted.
    pub cached_share: Option<f64>,
    /// How many answers' tokens are from which source.
    pub tokens_from: BTreeMap<String, u64>,
    /// Latencies in milliseconds, by the id of their definition.
    pub latency: BTreeMap<String, Distribution>,
    /// Milliseconds by which requests began late.
    pub client_lag: Distribution,
    /// Why this level is no evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// Requests that met the objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodput: Option<Goodput>,
    /// Whether the objective is shown to be met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Where a median request's time goes.
    pub budget: Budget,
    /// Points `(milliseconds, share of requests up to there)` of some latencies, for plots.
    pub shares: BTreeMap<String, Vec<(f64, f64)>>,
    /// Tokens of the same answers by two sources, where two were to be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_checks: Vec<TokenCheck>,
}

impl Level {
    /// Its load in words; of a target that took turns with others, with the share of the time in which it had it.
    #[must_use]
    pub fn load_words(&self) -> String {
        let words = self.load.words();
        if self.duty > 0.995 { words } else { format!("{words} for {:.0} % of the time", self.duty * 100.0) }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A target that was asked all the time.
fn whole() -> f64 {
    1.0
}

/// Tokens of the same answers, counted twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenCheck {
    /// Where the numbers of this level are from (`TokenSource::as_str`).
    pub used: String,
    /// What they were held against.
    pub other: String,
    /// So many answers.
    pub n_answers: u64,
    /// Their tokens by the one.
    pub n_used: u64,
    /// Their tokens by the other.
    pub n_other: u64,
    /// How far these are apart, by the first, beyond the end-of-text token that the one may count and the other cannot see.
    pub apart: f64,
}

/// Two counts of tokens this far apart are not of the same thing.
pub const TOKENS_APART: f64 = 0.01;

impl TokenCheck {
    /// It in words.
    #[must_use]
    pub fn words(&self) -> String {
        let TokenCheck { used, other, n_answers, n_used, n_other, apart } = self;
        format!(
            "of {n_answers} answers, {used} counts {n_used} tokens and {other} {n_other}: {:.1} % apart{}",
            apart * 100.0,
            if self.is_off() { "; one of them is wrong, and so may be every figure made of tokens" } else { "" }
        )
    }

    /// Whether the two sources do not agree.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.apart > TOKENS_APART
    }
}

/// What many values come to, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Values.
    pub n: u64,
    /// How many more are larger than all of these, because nobody waited any longer.
    pub n_beyond: u64,
    /// Their mean, those beyond left out.
    pub mean: Option<f64>,
    /// The largest, those beyond left out.
    pub max: Option<f64>,
    /// `p50`, `p90`, `p95`, `p99` and `p99.9`, each with its interval.
    #[serde(flatten)]
    pub quantiles: BTreeMap<String, Quantile>,
}

impl Distribution {
    /// A quantile's value: `value("p95")`.
    #[must_use]
    pub fn value(&self, quantile: &str) -> Option<f64> {
        self.quantiles.get(quantile)?.value
    }
}

/// Requests that met the objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Goodput {
    /// So many a second.
    pub per_s: Option<f64>,
    /// So many of so many.
    pub attained: Attained,
    /// Wilson's 95 % interval of the share.
    pub interval: Option<(f64, f64)>,
}

/// Where a median request's time goes, in milliseconds; `None` is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// There and back, from the least of a few requests that need no model: an upper bound.
    pub network_ms: Option<f64>,
    /// In a gateway on the way, where the same server was asked without it too ([`BenchResult::gateway_part`]).
    pub gateway_ms: Option<f64>,
    /// Waiting at the server: as it says, else what is left of the time to the first token.
    pub queue_ms: Option<f64>,
    /// Reading the prompt, as the server says.
    pub prefill_ms: Option<f64>,
    /// Making the answer: as the server says, else from the first to the last content.
    pub decode_ms: Option<f64>,
}

/// The end of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Whose it is.
    pub target: String,
    /// `rate` (requests a second) or `concurrency`.
    pub over: String,
    /// The most that is shown to keep to the objective.
    pub sustained: Option<f64>,
    /// The least that is not.
    pub failed: Option<f64>,
    /// How far these are apart, by the lower one.
    pub width: Option<f64>,
    /// The client was the limit above `sustained`, not the server.
    pub is_client_bound: bool,
    /// Output tokens a second at `sustained`.
    pub out_tok_s: Option<f64>,
    /// The load that is expected at the peak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<f64>,
    /// Whether `sustained` is above the peak with its headroom; `None` without a peak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Every probe.
    pub tried: Vec<Tried>,
}

/// What a peak is given beyond itself: 20 %.
pub const HEADROOM: f64 = 0.2;

impl Found {
    /// Whether the last try of this load showed neither that it is held nor that it is not.
    #[must_use]
    pub fn is_undecided_at(&self, load: f64) -> bool {
        crate::search::is_undecided_at(&self.tried, load)
    }

    /// Of where a search ended, held against a peak where one is expected.
    #[must_use]
    pub fn of((target, over): (&str, &str), bracket: Bracket, peak: Option<f64>, out_tok_s: Option<f64>) -> Found {
        let judge = |peak: f64| {
            let wanted = peak * (1.0 + HEADROOM);
            if bracket.sustained.is_some_and(|most| most >= wanted) {
                Verdict::Pass
            } else if bracket.tried.iter().any(|tried| tried.load <= wanted && tried.verdict == Verdict::Fail) {
                Verdict::Fail
            } else {
                Verdict::Undecided
            }
        };
        Found {
            target: target.to_owned(),
            over: over.to_owned(),
            width: bracket.width(),
            verdict: peak.map(judge),
            sustained: bracket.sustained,
            failed: bracket.failed,
            is_client_bound: bracket.is_client_bound,
            out_tok_s,
            peak,
            tried: bracket.tried,
        }
    }
}

/// A backend that was killed under load and started again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Whose it is.
    pub target: String,
    /// Seconds into the run at which it was killed.
    pub killed_at_s: f64,
    /// Seconds from the kill until the command that starts it was given.
    pub restarted_after_s: f64,
    /// Requests due from the kill until it was steady again.
    pub n_affected: u64,
    /// Those of them without a whole answer.
    pub n_failed: u64,
    /// What went wrong with them.
    pub errors: BTreeMap<String, u64>,
    /// Seconds from the kill to the first whole answer of a request that was due after it; `None` when none came.
    pub first_good_s: Option<f64>,
    /// Seconds from the kill until a second's worth of requests was as good as before it; `None` when that did not come.
    pub steady_s: Option<f64>,
    /// The p50 of `ttft.intended` before the kill.
    pub before_ttft_ms: Option<f64>,
    /// Answers by second of the run: `(second, good, failed, p50 of ttft.intended)`.
    pub timeline: Vec<(u64, u64, u64, Option<f64>)>,
}

/// Starts from cold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColdStart {
    /// Whose they are.
    pub target: String,
    /// The operator's word for the state of caches before each start.
    pub cache: Option<String>,
    /// Each start.
    pub starts: Vec<Start>,
    /// What the phases come to, in milliseconds: `1 listening`, `2 health`, `3 first_token`, `4 steady`.
    pub phases: BTreeMap<String, Distribution>,
}

/// One start, in milliseconds since the process was started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// To the first connection that was accepted.
    pub listening_ms: Option<f64>,
    /// To the first good health answer.
    pub health_ms: Option<f64>,
    /// To the first token of the first request.
    pub first_token_ms: Option<f64>,
    /// To the first request within 10 % of the steady p50.
    pub steady_ms: Option<f64>,
    /// What the steady p50 of `ttft.sent` was.
    pub steady_ttft_ms: Option<f64>,
    /// Why it came no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_kept_once_and_read_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path().join("c.db")).unwrap();
        let mut result = BenchResult::new("night", "load", 5);
        result.metadata.insert("quantisation".into(), "awq".into());
        assert!(result.keep(&database, "ana").unwrap());
        assert!(!BenchResult { at_us: 6, ..result.clone() }.keep(&database, "ana").unwrap());
        assert_eq!(BenchResult::load(&database, "night").unwrap(), Some(result.clone()));
        assert_eq!(BenchResult::load(&database, "day").unwrap(), None);
        assert_eq!(BenchResult::all(&database).unwrap(), [result]);
        let error = BenchResult::parse(r#"{"format":"crossfade.bench/9"}"#).unwrap_err();
        assert!(error.to_string().contains("crossfade.bench/9"), "{error}");
    }

    #[test]
    fn what_a_run_has_so_far_gives_way_to_the_same_run_alone() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path().join("c.db")).unwrap();
        let run = BenchResult::new("night", "load", 5);
        assert!(run.keep_so_far(&database, "ana").unwrap() && run.keep_so_far(&database, "ana").unwrap());
        let killed = BenchResult::load(&database, "night").unwrap().unwrap();
        assert!(killed.partial && !killed.is_evidence() && killed.why[0].contains("killed"), "{killed:?}");
        assert_eq!(database.benches().unwrap()[0].verdict, RUNNING);
        // Another run of the name is another run.
        assert!(!BenchResult { at_us: 6, ..run.clone() }.keep(&database, "ana").unwrap());
        assert!(run.keep(&database, "ana").unwrap());
        assert_eq!(BenchResult::load(&database, "night").unwrap(), Some(run.clone()));
        assert!(!run.keep_so_far(&database, "ana").unwrap(), "what is over stays as it is");
    }

    fn check_peak(sustained: Option<f64>, (failed, verdict): (f64, Verdict), expected: Verdict) {
        let probe = Tried { load: failed, attained: Attained::default(), interval: None, verdict, is_invalid: false };
        let bracket = Bracket { sustained, failed: Some(failed), tried: vec![probe], ..Bracket::default() };
        let found = Found::of(("a", "rate"), bracket, Some(10.0), None);
        assert_eq!(found.verdict, Some(expected), "{sustained:?} {failed:?}");
    }

    #[test]
    fn a_peak_needs_a_fifth_more_than_itself() {
        check_peak(Some(12.0), (12.3, Verdict::Fail), Verdict::Pass);
        check_peak(Some(11.0), (11.3, Verdict::Fail), Verdict::Fail);
        check_peak(Some(11.9), (12.2, Verdict::Fail), Verdict::Undecided);
        check_peak(None, (0.5, Verdict::Fail), Verdict::Fail);
        // A probe that shows neither is no proof that the peak is missed.
        check_peak(Some(11.0), (11.3, Verdict::Undecided), Verdict::Undecided);
    }

    #[test]
    fn no_evidence_is_no_pass() {
        let mut result = BenchResult::new("n", "load", 1);
        assert_eq!(result.slo_verdict(), None);
        result.slo = Some(Slo { ttft_ms: None, e2e_ms: Some(1.0), tpot_ms: None, gap_max_ms: None, share: 0.95 });
        assert_eq!(result.slo_verdict(), Some(Verdict::Undecided));
        result.found.push(Found::of(("a", "rate"), Bracket { sustained: Some(3.0), ..Bracket::default() }, None, None));
        assert_eq!(result.slo_verdict(), Some(Verdict::Pass));
        result.partial = true;
        assert_eq!(result.slo_verdict(), Some(Verdict::Undecided));
        assert_eq!([short(0.5), short(12.0), short(1234.5), short(100.0)], ["0.5", "12", "1234", "100"]);
    }
}
