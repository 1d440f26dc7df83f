//! Benchmarks of a move's candidate, read from the documents that `crossfade bench` keeps (format `crossfade.bench/1`).

use serde_json::Value;

use crate::report::Stale;
use crate::rows::Rows;
use crate::settings::{LatencyOf, Move, TargetFacts};

/// The only form that is read.
const FORMAT: &str = "crossfade.bench/1";

/// A 95th percentile at an open loop of so many requests a second.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Level {
    pub file: String,
    pub per_s: f64,
    pub value_ms: f64,
    pub low_ms: Option<f64>,
    pub high_ms: Option<f64>,
    pub simulated: bool,
}

/// The end of a search for the most load that keeps to the run's objective, in requests a second.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Most {
    pub file: String,
    pub sustained: Option<f64>,
    /// The least that the server did not hold; `None` where the client was the limit.
    pub failed: Option<f64>,
    pub simulated: bool,
}

/// What counts of the benchmarks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Benches {
    pub levels: Vec<Level>,
    pub most: Option<Most>,
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
    for (file, document) in documents {
        match refused(rows, &document, candidate) {
            Some(why) => {
                let what = format!("benchmark `{}`", document["name"].as_str().unwrap_or_default());
                stale.push(Stale { what, why });
            }
            None => {
                let of = rows.settings.scorecard.latency.of;
                found.levels.extend(levels(&file, &document, candidate, of));
                found.most = most(&file, &document, candidate).or(found.most);
            }
        }
    }
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
        let why = document["why"][0].as_str().unwrap_or("it was stopped");
        return Some(format!("it is no evidence: {why}"));
    }
    if let Some(days) = rows.settings.too_old(document["at_us"].as_u64().unwrap_or(0)) {
        return Some(format!("it is {days} days old; {} are the most", rows.settings.scorecard.max_age_days));
    }
    let model = asks(document, candidate)?["model"].as_str().unwrap_or_default();
    let is_same = model.is_empty() || candidate.model.contains('*') || model == candidate.model;
    (!is_same).then(|| format!("`{}` was the model {model} then and is {} now", candidate.name, candidate.model))
}

fn levels(file: &str, document: &Value, candidate: &TargetFacts, of: LatencyOf) -> Vec<Level> {
    let id = match of {
        LatencyOf::Total => "e2e.intended",
        LatencyOf::FirstToken => "ttft.intended",
    };
    let level = |level: &Value| {
        let is_open = matches!(level["load"]["kind"].as_str(), Some("rate" | "replay"));
        let counts = level["target"] == *candidate.name && level["invalid"].is_null() && is_open;
        let p95 = &level["latency"][id]["p95"];
        counts.then_some(Level {
            file: file.to_owned(),
            per_s: level["load"]["per_s"].as_f64()?,
            value_ms: p95["value"].as_f64()?,
            low_ms: p95["low"].as_f64(),
            high_ms: p95["high"].as_f64(),
            simulated: document["simulated"] == true,
        })
    };
    document["levels"].as_array().into_iter().flatten().filter_map(level).collect()
}

fn most(file: &str, document: &Value, candidate: &TargetFacts) -> Option<Most> {
    let found = document["found"].as_array()?.iter();
    let mut found = found.filter(|found| found["target"] == *candidate.name && found["over"] == "rate");
    let found = found.next()?;
    Some(Most {
        file: file.to_owned(),
        sustained: found["sustained"].as_f64(),
        failed: found["failed"].as_f64().filter(|_| found["is_client_bound"] != true),
        simulated: document["simulated"] == true,
    })
}
