//! Benchmarks of a move's candidate, read from the documents that `crossfade bench` keeps (format `crossfade.bench/1`).

use serde_json::Value;

use crate::figure::Unit;
use crate::report::Stale;
use crate::rows::Rows;
use crate::settings::{LatencyDemand, LatencyOf, Move, TargetFacts};
use crate::words::{each, n_of};

/// The only form that is read.
const FORMAT: &str = "crossfade.bench/1";
/// What is said before the reason of a run that is none.
const NO_EVIDENCE: &str = "it is no evidence: ";

/// A 95th percentile at an open loop, of all requests: those without a whole answer count as later than all that had one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Level {
    pub file: String,
    /// Which document it is of, the newest last.
    pub document: usize,
    /// When that began, Unix microseconds.
    pub at_us: u64,
    /// Requests a second while this target was asked.
    pub per_s: f64,
    /// The same over all of the time: less where others had their turns meanwhile.
    pub mean_per_s: f64,
    /// `None` where it is beyond all answers that came.
    pub value_ms: Option<f64>,
    pub low_ms: Option<f64>,
    pub high_ms: Option<f64>,
    /// Which quantile of the whole answers stands for the 95th of all requests: with failures it is a higher one.
    pub stands_for_p95: &'static str,
    /// The share of all requests with a whole answer within the limit, and its 95 % interval, where the run's objective counted them.
    pub kept: Option<(f64, [f64; 2])>,
    pub n_requests: u64,
    /// Requests without a whole answer.
    pub n_failed: u64,
    /// Those of them of which it is known that no answer came within the limit, however long one had waited.
    pub n_lost: u64,
    pub simulated: bool,
}

/// The end of a search for the most load that keeps to the run's objective, in requests a second.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Most {
    pub file: String,
    pub sustained: Option<f64>,
    /// The least that the server is shown not to hold.
    pub failed: Option<f64>,
    /// Whether the objective asks for at least as much as the scorecard: so late at most, for 19 in 20.
    pub is_strict: bool,
    /// The benchmark's own process was what could do no more.
    pub is_client_bound: bool,
    pub simulated: bool,
}

/// Both targets in turns at one load: the candidate's 95th percentile less the baseline's, of whole answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InTurns {
    pub file: String,
    pub per_s: f64,
    pub baseline_ms: f64,
    pub candidate_ms: f64,
    pub delta_ms: f64,
    pub interval_ms: (f64, f64),
}

/// A benchmark that counts, and what of it there is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    pub number: usize,
    pub name: String,
    /// Why one of its levels is no evidence.
    pub invalid: Option<String>,
    /// Whether more than its levels says something: a search, or turns with the baseline.
    pub says_more: bool,
}

/// What counts of the benchmarks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Benches {
    pub levels: Vec<Level>,
    pub in_turns: Vec<InTurns>,
    pub most: Option<Most>,
    /// Those that count, by their numbers.
    pub counted: Vec<Counted>,
    /// How many count.
    pub n_counted: usize,
    /// Those that do not, and why.
    pub refused: Vec<Stale>,
}

impl Benches {
    /// Benchmarks that count and yet say nothing of the scorecard, and why: `decided` is the number of the one that latency is held against.
    pub fn without_say(&self, decided: Option<usize>, target: Option<f64>) -> Vec<Stale> {
        let shown = |load: f64| Unit::PerSecond.shown(load);
        let why = |of: &Counted| {
            let loads = self.levels.iter().filter(|level| level.document == of.number).map(|level| level.mean_per_s);
            match (loads.reduce(f64::max), target) {
                (None, _) => of.invalid.as_ref().map_or_else(
                    || {
                        "its loop is closed: it was sent at no rate that could be held against the target load"
                            .to_owned()
                    },
                    |why| format!("{NO_EVIDENCE}{why}"),
                ),
                (Some(_), None) => "no target load is known that it could be held against".to_owned(),
                (Some(most), Some(target)) if most < target * 0.999 => {
                    format!("its load of {} is below the target load of {}", shown(most), shown(target))
                }
                _ => "another one nearer the target load, or newer, stands before it".to_owned(),
            }
        };
        let silent = self.counted.iter().filter(|of| !of.says_more && Some(of.number) != decided);
        silent.map(|of| Stale { what: format!("benchmark `{}`", of.name), why: why(of) }).collect()
    }

    /// What there is that does not count, in words; `None` where there is nothing.
    pub fn uncounted(&self) -> Option<String> {
        if self.refused.is_empty() {
            return None;
        }
        let is_invalid = self.refused.iter().all(|one| one.why.starts_with(NO_EVIDENCE));
        let none = if is_invalid { "none valid" } else { "none counts" };
        let n = n_of(self.refused.len(), "benchmark");
        let whys = each(&self.refused).replace(NO_EVIDENCE, "");
        Some(format!("{n} of the candidate on record, {none}: {whys}"))
    }
}

/// Reads them, the newest last; why others do not count goes to `stale`.
pub(crate) fn benches(rows: &Rows, mv: &Move, stale: &mut Vec<Stale>) -> Benches {
    let mut found = Benches::default();
    let Some(candidate) = &mv.candidate else { return found };
    let mut documents: Vec<(String, Value)> = rows
        .benches
        .iter()
        .enumerate()
        .filter_map(|(idx, upload)| Some((Rows::bench_file(idx), serde_json::from_str(&upload.text).ok()?)))
        .filter(|(_, document): &(String, Value)| asks(document, candidate).is_some())
        .collect();
    documents.sort_by_key(|(_, document)| document["at_us"].as_u64());
    for (number, (file, document)) in documents.into_iter().enumerate() {
        match refused(rows, &document, candidate) {
            Some(why) => {
                let what = format!("benchmark `{}`", document["name"].as_str().unwrap_or_default());
                found.refused.push(Stale { what, why });
            }
            None => {
                found.n_counted += 1;
                let demand = &rows.settings.scorecard.latency;
                let turns = in_turns(&file, &document, (&mv.baseline, candidate), demand.of);
                let most = most(&file, &document, candidate, demand);
                let of_candidate = document["levels"].as_array().into_iter().flatten();
                let mut of_candidate = of_candidate.filter(|level| level["target"] == *candidate.name);
                found.counted.push(Counted {
                    number,
                    name: document["name"].as_str().unwrap_or_default().to_owned(),
                    invalid: of_candidate.find_map(|level| level["invalid"].as_str()).map(str::to_owned),
                    says_more: turns.is_some() || most.is_some(),
                });
                found.levels.extend(levels((&file, number), &document, candidate, demand));
                found.in_turns.extend(turns);
                found.most = most.or(found.most);
            }
        }
    }
    stale.extend(found.refused.iter().cloned());
    found
}

/// The target of a document by its name.
fn asks<'d>(document: &'d Value, candidate: &TargetFacts) -> Option<&'d Value> {
    document["targets"].as_array()?.iter().find(|target| target["name"] == *candidate.name)
}

fn refused(rows: &Rows, document: &Value, candidate: &TargetFacts) -> Option<String> {
    let text = |name: &str| document[name].as_str().unwrap_or("none");
    if text("format") != FORMAT {
        return Some(format!("its format is {}, and {FORMAT} is read", text("format")));
    }
    if text("verdict") != "valid" || document["partial"] == true {
        return Some(format!("{NO_EVIDENCE}{}", no_evidence(document)));
    }
    if let Some(days) = rows.settings.too_old(document["at_us"].as_u64().unwrap_or(0)) {
        return Some(format!("it is {days} days old; {} are the most", rows.settings.scorecard.max_age_days));
    }
    changed(document, candidate)
}

/// What made it no evidence; what else is noted of a run stands beside that, perhaps before it.
fn no_evidence(document: &Value) -> &str {
    let levels = || document["levels"].as_array().into_iter().flatten();
    let invalid = || levels().find_map(|level| level["invalid"].as_str());
    let notes = || document["why"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // Of a search with invalid levels, and of a run in which nothing was measured, the note itself says so.
    const VERDICTS: [&str; 4] = ["the client lagged", "no request had", "no cell has", "no start came"];
    let said = || notes().find(|note| VERDICTS.iter().any(|verdict| note.starts_with(verdict)));
    let stopped = || notes().find(|note| note.starts_with("its run was not over")).unwrap_or("it was stopped");
    if document["verdict"] == "invalid" {
        said().or_else(invalid).or_else(|| notes().next()).unwrap_or("it says so without a reason")
    } else {
        stopped()
    }
}

/// Why a target is not the one that was asked then.
fn changed(document: &Value, target: &TargetFacts) -> Option<String> {
    let asked = asks(document, target)?;
    let model = asked["model"].as_str().unwrap_or_default();
    if !(model.is_empty() || target.model.contains('*') || model == target.model) {
        return Some(format!("`{}` was the model {model} then and is {} now", target.name, target.model));
    }
    // Benchmarks of before results said so have none.
    let is_other = asked["fingerprint"].as_str().is_some_and(|then| then != target.fingerprint);
    is_other.then(|| format!("the address, the prompt or the parameters of `{}` have changed since", target.name))
}

/// Of a run whose levels have one load, as deltas of several are pooled, and in which hardly an answer is missing, as deltas are of those that came.
fn in_turns(
    file: &str,
    document: &Value,
    (baseline, candidate): (&TargetFacts, &TargetFacts),
    of: LatencyOf,
) -> Option<InTurns> {
    let is_of = |level: &&Value| level["target"] == *baseline.name || level["target"] == *candidate.name;
    let levels: Vec<&Value> = document["levels"].as_array()?.iter().filter(is_of).collect();
    let load = &levels.first()?["load"];
    let counts = |level: &&Value| {
        let is_open = matches!(level["load"]["kind"].as_str(), Some("rate" | "replay"));
        let (n, good) = (level["n_requests"].as_u64().unwrap_or(0), level["n_good"].as_u64().unwrap_or(0));
        level["invalid"].is_null() && is_open && level["load"] == *load && n.saturating_sub(good) * 20 <= n
    };
    if !levels.iter().all(counts) || changed(document, baseline).is_some() {
        return None;
    }
    let delta = document["deltas"].as_array()?.iter().find(|delta| {
        delta["baseline"] == *baseline.name
            && delta["candidate"] == *candidate.name
            && delta["metric"] == *ids(of).0
            && delta["quantile"] == "p95"
    })?;
    let end = |idx: usize| delta["interval_ms"][idx].as_f64();
    Some(InTurns {
        file: file.to_owned(),
        per_s: load["per_s"].as_f64()?,
        baseline_ms: delta["baseline_ms"].as_f64()?,
        candidate_ms: delta["candidate_ms"].as_f64()?,
        delta_ms: delta["delta_ms"].as_f64()?,
        interval_ms: (end(0)?, end(1)?),
    })
}

/// Which latency of a benchmark is meant, and what its objective calls the limit of it.
const fn ids(of: LatencyOf) -> (&'static str, &'static str) {
    match of {
        LatencyOf::Total => ("e2e.intended", "e2e_ms"),
        LatencyOf::FirstToken => ("ttft.intended", "ttft_ms"),
    }
}

fn levels(
    (file, number): (&str, usize),
    document: &Value,
    candidate: &TargetFacts,
    demand: &LatencyDemand,
) -> Vec<Level> {
    let (id, limit) = ids(demand.of);
    let is_limited = document["slo"][limit].as_f64().is_some_and(|ms| ms <= demand.p95_ms as f64);
    let kept = |level: &Value| {
        let goodput = &level["goodput"];
        let n = goodput["attained"]["n"].as_f64().filter(|n| *n > 0.0)?;
        let [low, high] = [0, 1].map(|end| goodput["interval"][end].as_f64());
        Some((goodput["attained"]["n_met"].as_f64()? / n, [low?, high?]))
    };
    let one = |level: &Value| {
        let is_open = matches!(level["load"]["kind"].as_str(), Some("rate" | "replay"));
        if level["target"] != *candidate.name || !level["invalid"].is_null() || !is_open {
            return None;
        }
        let found = &level["latency"][id];
        let n_good = found["n"].as_u64()?;
        let n_seen = n_good + found["n_beyond"].as_u64().unwrap_or(0);
        let n_requests = level["n_requests"].as_u64().unwrap_or(n_seen).max(n_seen);
        // Of those that are in its quantiles, the 95th percentile of all requests is this one; the next that is known is not below it.
        let share = 0.95 * n_requests as f64 / n_seen.max(1) as f64;
        let known = [("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)].into_iter().find(|(_, of)| *of >= share - 1e-9);
        let upper = |end: &str| known.and_then(|(name, _)| found[name][end].as_f64());
        let errors = level["errors"].as_object();
        let waited_ms = document["plan"]["timeout_s"].as_f64().unwrap_or(0.0) * 1e3;
        let is_lost = |word: &str| word != "unfinished" && (word != "timeout" || waited_ms >= demand.p95_ms as f64);
        let lost = errors.into_iter().flatten().filter(|(word, _)| is_lost(word)).filter_map(|(_, n)| n.as_u64());
        let per_s = level["load"]["per_s"].as_f64()?;
        Some(Level {
            file: file.to_owned(),
            document: number,
            at_us: document["at_us"].as_u64().unwrap_or(0),
            per_s,
            mean_per_s: per_s * level["duty"].as_f64().unwrap_or(1.0),
            value_ms: upper("value"),
            low_ms: found["p95"]["low"].as_f64(),
            high_ms: upper("high"),
            stands_for_p95: known.map_or("p95", |(name, _)| name),
            kept: is_limited.then(|| kept(level)).flatten(),
            n_requests,
            n_failed: n_requests - n_good,
            n_lost: lost.sum(),
            simulated: document["simulated"] == true,
        })
    };
    document["levels"].as_array().into_iter().flatten().filter_map(one).collect()
}

fn most(file: &str, document: &Value, candidate: &TargetFacts, demand: &LatencyDemand) -> Option<Most> {
    let found = document["found"].as_array()?.iter();
    let mut found = found.filter(|found| found["target"] == *candidate.name && found["over"] == "rate");
    let found = found.next()?;
    let (_, limit) = ids(demand.of);
    let objective = &document["slo"];
    let is_limited = objective[limit].as_f64().is_some_and(|ms| ms <= demand.p95_ms as f64);
    let is_share = objective["share"].as_f64().is_some_and(|share| share >= 0.95 - 1e-9);
    let refuted = |tried: &&Value| tried["verdict"] == "fail" && tried["is_invalid"] != true;
    let refuted = found["tried"].as_array().into_iter().flatten().filter(refuted);
    Some(Most {
        file: file.to_owned(),
        sustained: found["sustained"].as_f64(),
        failed: refuted.filter_map(|tried| tried["load"].as_f64()).reduce(f64::min),
        is_strict: is_limited && is_share,
        is_client_bound: found["is_client_bound"] == true,
        simulated: document["simulated"] == true,
    })
}
