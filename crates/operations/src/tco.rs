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
    /// A point for each load that was evidence.
    pub points: Vec<CurvePoint>,
    /// Tokens of prompts read in a second, the most of any load.
    pub prompt_tokens_per_second: Option<f64>,
    /// Whether its answers are made up.
    pub simulated: bool,
}

/// What a load came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Answers that were being written at once, on the mean.
    pub active: f64,
    /// Milliseconds for a token of each.
    pub token_ms: f64,
    /// Tokens of prompts that were read in a second.
    pub read_per_s: f64,
}

impl CurvePoint {
    /// Of a level. By Little's law so many answers were being written as came to an end in a second, times the time from the first token to the last:
    /// requests in line and prompts being read are not among them, however many the load. Where a level lacks one of these, the requests under way and
    /// the mean time for a token stand in.
    fn of(level: &Value) -> Option<CurvePoint> {
        let number = |name: &str| level[name].as_f64();
        let mean = |id: &str| level["latency"][id]["mean"].as_f64();
        let tokens = number("mean_output_tokens");
        let requests_per_s = || {
            let per_s = number("out_tok_s_steady").filter(|n| *n > 0.0).or_else(|| number("out_tok_s"))?;
            Some(per_s / tokens?)
        };
        let written = || {
            let (tokens, writing_ms) = (tokens.filter(|n| *n > 1.5)?, mean("e2e.sent")? - mean("ttft.sent")?);
            Some((requests_per_s()? * writing_ms / 1e3, writing_ms / (tokens - 1.0)))
        };
        let under_way = || Some((number("mean_active")?, mean("tpot")?));
        let is_right = |(n, ms): &(f64, f64)| *n > 0.0 && *ms > 0.0 && n.is_finite() && ms.is_finite();
        let (active, token_ms) = written().filter(is_right).or_else(under_way).filter(is_right)?;
        let uncached = 1.0 - number("cached_share").unwrap_or(0.0);
        let read_per_s =
            requests_per_s().zip(number("mean_input_tokens")).map_or(0.0, |(n, input)| n * input * uncached);
        Some(CurvePoint { active, token_ms, read_per_s })
    }
}

impl Benchmark {
    /// Answers written at once, and milliseconds for a token of each, for a replica that reads prompts at so many tokens a second: the part of the time
    /// in which prompts were read is taken out of a token's time, for who reckons with the reading itself. Times that fall where more are at work are
    /// noise: the greatest so far stands, which errs towards more replicas.
    #[must_use]
    pub fn curve(&self, reads: Option<f64>) -> Vec<(f64, f64)> {
        let of = |point: &CurvePoint| {
            let reading = reads.map_or(0.0, |reads| (point.read_per_s / reads).clamp(0.0, 0.95));
            (point.active, point.token_ms * (1.0 - reading))
        };
        let mut curve: Vec<(f64, f64)> = self.points.iter().map(of).collect();
        curve.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        curve.dedup_by(|next, before| next.0 <= before.0);
        let mut greatest = 0.0_f64;
        for (_, ms) in &mut curve {
            greatest = greatest.max(*ms);
            *ms = greatest;
        }
        curve
    }
}

/// Why a benchmark says nothing of a replica.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BenchmarkError {
    /// The store has none of this name.
    #[error("no benchmark is called `{0}`{1}")]
    None(String, String),
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
    /// No server was started from cold in it.
    #[error("benchmark `{0}` has no start that came to a token; `crossfade bench cold-start` measures one")]
    Start(String),
    /// The store could not be read.
    #[error("{0}")]
    Store(String),
}

/// What the benchmark `name` says of `target`, or of its only one.
///
/// # Errors
/// When there is none, it is invalid or partial, or says nothing of how fast tokens come.
pub fn benchmark(database: &Database, name: &str, target: Option<&str>) -> Result<Benchmark, BenchmarkError> {
    let (at_us, result) = result(database, name)?;
    let nothing = |words: &str| BenchmarkError::Curve(name.to_owned(), words.to_owned());
    let levels = result["levels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<&str> = levels.iter().filter_map(|level| level["target"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let chosen = match (target, names.as_slice()) {
        (Some(target), names) if names.contains(&target) => target,
        (None, [only]) => only,
        (_, []) => return Err(nothing("")),
        (_, names) => return Err(nothing(&format!("; it is of: {}", names.join(", ")))),
    };
    let of_target = || levels.iter().filter(|level| level["target"] == chosen && level["invalid"].is_null());
    let points: Vec<CurvePoint> = of_target().filter_map(CurvePoint::of).collect();
    if points.is_empty() {
        return Err(nothing(""));
    }
    let reads = of_target().filter_map(|level| level["prefill_tok_s"].as_f64()).reduce(f64::max);
    Ok(Benchmark {
        target: chosen.to_owned(),
        at_us,
        points,
        prompt_tokens_per_second: reads,
        simulated: result["simulated"] == true,
    })
}

/// A stored benchmark that is evidence: when it was made, and its result.
fn result(database: &Database, name: &str) -> Result<(u64, Value), BenchmarkError> {
    let row = database.bench(name).map_err(|error| BenchmarkError::Store(error.to_string()))?;
    let Some(row) = row else {
        let known = database.benches().map_err(|error| BenchmarkError::Store(error.to_string()))?;
        let known: Vec<String> = known.into_iter().map(|row| row.name).collect();
        let there =
            if known.is_empty() { "; there is none".to_owned() } else { format!("; there are: {}", known.join(", ")) };
        return Err(BenchmarkError::None(name.to_owned(), there));
    };
    if row.verdict != "valid" {
        return Err(BenchmarkError::Verdict { name: name.to_owned(), verdict: row.verdict });
    }
    let nothing = |words: &str| BenchmarkError::Curve(name.to_owned(), words.to_owned());
    let result: Value = serde_json::from_str(&row.result_json).map_err(|_| nothing(""))?;
    if result["format"] != BENCH {
        return Err(nothing(&format!(", for it is not of the form `{BENCH}`")));
    }
    Ok((row.at_us, result))
}

/// Mean milliseconds from the start of a server to its first token, of the cold starts of the benchmark `name`.
///
/// # Errors
/// When there is no such benchmark, it is invalid or partial, or no start of it came to a token.
pub fn cold_start_ms(database: &Database, name: &str) -> Result<f64, BenchmarkError> {
    let (_, result) = result(database, name)?;
    let starts = result["cold_start"]["starts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let times: Vec<f64> = starts.iter().filter_map(|start| start["first_token_ms"].as_f64()).collect();
    if times.is_empty() {
        return Err(BenchmarkError::Start(name.to_owned()));
    }
    Ok(times.iter().sum::<f64>() / times.len() as f64)
}

/// When requests of `route` came since `since_us`, in Unix microseconds, with the tokens of each and of its answer.
///
/// # Errors
/// When the store cannot be read.
pub fn arrivals(database: &Database, route: &str, since_us: u64) -> Result<Vec<(u64, u64, u64)>, OperationError> {
    let failed = |source| OperationError::Store { doing: "read when requests came", source };
    database.route_arrivals(route, since_us).map_err(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn level(more: Value) -> Value {
        let mut level = json!({ "mean_active": 500.0, "out_tok_s_steady": 800.0, "mean_output_tokens": 41.0, "mean_input_tokens": 100.0,
            "cached_share": 0.5, "latency": { "tpot": { "mean": 90.0 }, "e2e.sent": { "mean": 9_000.0 }, "ttft.sent": { "mean": 5_000.0 } } });
        level.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        level
    }

    /// 800 / 41 answers a second were 4 s in the writing: 78 at once, not the 500 that were under way, most of them in line.
    #[test]
    fn who_waits_in_line_is_not_at_work() {
        let point = CurvePoint::of(&level(json!({}))).unwrap();
        assert!((point.active - 800.0 / 41.0 * 4.0).abs() < 1e-9 && (point.token_ms - 100.0).abs() < 1e-9, "{point:?}");
        assert!((point.read_per_s - 800.0 / 41.0 * 50.0).abs() < 1e-9, "{point:?}");
        let whole = CurvePoint::of(&level(json!({ "mean_output_tokens": null }))).unwrap();
        assert_eq!((whole.active, whole.token_ms, whole.read_per_s), (500.0, 90.0, 0.0));
        assert_eq!(CurvePoint::of(&json!({ "latency": {} })), None);
    }

    #[test]
    fn a_curve_has_no_reading_in_it_and_never_falls() {
        let point = |active: f64, token_ms: f64, read_per_s: f64| CurvePoint { active, token_ms, read_per_s };
        let points =
            vec![point(20.0, 30.0, 500.0), point(1.0, 20.0, 0.0), point(8.0, 19.0, 0.0), point(8.0, 22.0, 100.0)];
        let found =
            Benchmark { target: "t".to_owned(), at_us: 0, points, prompt_tokens_per_second: None, simulated: false };
        assert_eq!(found.curve(None), [(1.0, 20.0), (8.0, 22.0), (20.0, 30.0)]);
        assert_eq!(found.curve(Some(1_000.0)), [(1.0, 20.0), (8.0, 20.0), (20.0, 20.0)]);
        assert_eq!(found.curve(Some(2_000.0)), [(1.0, 20.0), (8.0, 20.9), (20.0, 22.5)]);
    }
}
