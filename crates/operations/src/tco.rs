//! What the record knows of what a study of costs needs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Database, TargetCost};

use crate::desk::OperationError;

const US_PER_DAY: u64 = 86_400_000_000;

/// What was recorded of a route, and what its targets cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Requests of the route.
    pub requests: u64,
    /// When the first and the last of them came, in Unix microseconds.
    pub between_us: Option<(u64, u64)>,
    /// Mean tokens of a request and of its answer.
    pub tokens: Option<(f64, f64)>,
    /// The most requests in a minute.
    pub peak_per_minute: u64,
    /// What calls for callers cost, by target; of all routes.
    pub costs: Vec<TargetCost>,
    /// Requests that were a caller's own retry.
    #[serde(default)]
    pub client_retries: u64,
}

/// What was recorded of `route` from the day `from_day` to before `to_day`, both counted from 1970 in UTC.
///
/// # Errors
/// When the store cannot be read.
pub fn recorded(database: &Database, route: &str, (from_day, to_day): (u32, u32)) -> Result<Recorded, OperationError> {
    let failed = |source| OperationError::Store { doing: "read what costs are made of", source };
    let traffic = database.route_traffic(route, u64::from(from_day) * US_PER_DAY).map_err(failed)?;
    let mut costs = database.target_costs(from_day, to_day).map_err(failed)?;
    costs.retain(|cost| cost.role == "live");
    Ok(Recorded {
        requests: traffic.per_hour.iter().map(|(_, n)| n).sum(),
        between_us: traffic.between_us,
        tokens: traffic.mean_tokens,
        peak_per_minute: traffic.peak_per_minute,
        costs,
        client_retries: traffic.client_retries,
    })
}

/// Longest review that is taken for one: who took longer was somewhere else.
const LONGEST_REVIEW_US: u64 = 3_600_000_000;

/// What a review took, in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReviewTimes {
    /// Reviews of at most an hour.
    pub n: u64,
    /// Longer ones, which are left out.
    pub n_longer: u64,
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

/// What reviews of pairs of answers took since `since_us`; `None` of fewer than two.
///
/// # Errors
/// When the store cannot be read.
pub fn review_times(database: &Database, since_us: u64) -> Result<Option<ReviewTimes>, OperationError> {
    let failed = |source| OperationError::Store { doing: "read how long reviews took", source };
    let all = database.review_times(since_us).map_err(failed)?;
    let minutes: Vec<f64> =
        all.iter().filter(|us| **us <= LONGEST_REVIEW_US).map(|us| *us as f64 / 60_000_000.0).collect();
    let n = minutes.len() as f64;
    if minutes.len() < 2 {
        return Ok(None);
    }
    let mean = minutes.iter().sum::<f64>() / n;
    let variance = minutes.iter().map(|minute| (minute - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let (n, n_all) = (minutes.len() as u64, all.len() as u64);
    Ok(Some(ReviewTimes { n, n_longer: n_all - n, mean, error: (variance / n as f64).sqrt() }))
}

/// The form of a stored benchmark that is read here.
const BENCH: &str = "crossfade.bench/1";

/// What a stored benchmark says of one replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    /// The target it is of.
    pub target: String,
    /// When it was made, in Unix microseconds.
    pub at_us: u64,
    /// Mean requests at once, and milliseconds for a token of each; neither falls from one to the next.
    pub curve: Vec<(f64, f64)>,
    /// Tokens of prompts read in a second, the most of any load.
    pub prompt_tokens_per_second: Option<f64>,
    /// Mean milliseconds from the start of a server to its first token.
    pub cold_start_ms: Option<f64>,
    /// Whether its answers are made up.
    pub simulated: bool,
}

/// Why a benchmark says nothing of a replica.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BenchmarkError {
    /// The store has none of this name.
    #[error("no benchmark is called `{0}`")]
    None(String),
    /// It is not to be used.
    #[error("benchmark `{name}` is {verdict}: it is no evidence")]
    Verdict {
        /// Its name.
        name: String,
        /// `invalid` or `partial`.
        verdict: String,
    },
    /// It is of another form, or lacks loads.
    #[error("benchmark `{0}` has no load with both a number of requests at once and a time for a token{1}")]
    Curve(String, String),
    /// The store could not be read.
    #[error("{0}")]
    Store(String),
}

/// What the benchmark `name` says of `target`, or of its only one. Measured times for a token that fall where more are at work are noise: the
/// greatest so far stands, which errs towards more replicas.
///
/// # Errors
/// When there is none, it is invalid or partial, or says nothing of how fast tokens come.
pub fn benchmark(database: &Database, name: &str, target: Option<&str>) -> Result<Benchmark, BenchmarkError> {
    let row = database.bench(name).map_err(|error| BenchmarkError::Store(error.to_string()))?;
    let row = row.ok_or_else(|| BenchmarkError::None(name.to_owned()))?;
    if row.verdict != "valid" {
        return Err(BenchmarkError::Verdict { name: name.to_owned(), verdict: row.verdict });
    }
    let nothing = |words: &str| BenchmarkError::Curve(name.to_owned(), words.to_owned());
    let result: Value = serde_json::from_str(&row.result_json).map_err(|_| nothing(""))?;
    if result["format"] != BENCH {
        return Err(nothing(&format!(", for it is not of the form `{BENCH}`")));
    }
    let levels = result["levels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<&str> = levels.iter().filter_map(|level| level["target"].as_str()).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    let chosen = match (target, names.as_slice()) {
        (Some(target), names) if names.contains(&target) => target,
        (None, [only]) => only,
        (_, names) => return Err(nothing(&format!("; it is of: {}", names.join(", ")))),
    };
    let of_target = || levels.iter().filter(|level| level["target"] == chosen && level["invalid"].is_null());
    let point = |level: &Value| Some((level["mean_active"].as_f64()?, level["latency"]["tpot"]["mean"].as_f64()?));
    let mut curve: Vec<(f64, f64)> = of_target().filter_map(point).filter(|(n, ms)| *n > 0.0 && *ms > 0.0).collect();
    curve.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    curve.dedup_by(|next, before| next.0 <= before.0);
    let mut greatest = 0.0_f64;
    for (_, ms) in &mut curve {
        greatest = greatest.max(*ms);
        *ms = greatest;
    }
    if curve.is_empty() {
        return Err(nothing(""));
    }
    let reads = of_target().filter_map(|level| level["prefill_tok_s"].as_f64()).reduce(f64::max);
    let cold = &result["cold_start"];
    let cold_start_ms = if cold["target"] == chosen { cold["phases"]["first_token"]["mean"].as_f64() } else { None };
    Ok(Benchmark {
        target: chosen.to_owned(),
        at_us: row.at_us,
        curve,
        prompt_tokens_per_second: reads,
        cold_start_ms,
        simulated: result["simulated"] == true,
    })
}

/// When requests of `route` came since `since_us`, in Unix microseconds, with the tokens of each and of its answer.
///
/// # Errors
/// When the store cannot be read.
pub fn arrivals(database: &Database, route: &str, since_us: u64) -> Result<Vec<(u64, u64, u64)>, OperationError> {
    let failed = |source| OperationError::Store { doing: "read when requests came", source };
    database.route_arrivals(route, since_us).map_err(failed)
}
