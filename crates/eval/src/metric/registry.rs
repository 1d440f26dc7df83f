//! Metrics by name, with their settings.

use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use super::calls::{self, Matching};
use super::citations::{self, Abstains};
use super::classes::{self, Average, Figure};
use super::code::{self, Bench};
use super::json::{self, Fields};
use super::path::Path;
use super::rag::{self, Part, Rules, Source};
use super::ranking::{self, Ranked};
use super::rouge::{self, Rouge};
use super::{Metric, Pool, bleu, chrf, refusal, spans, spent, squad, text, vectors};

/// Every name there is.
pub const NAMES: [&str; 62] = [
    "exact_match",
    "contains",
    "contains_all",
    "icontains",
    "icontains_all",
    "starts_with",
    "regex",
    "levenshtein",
    "edit_distance",
    "word_count",
    "non_empty",
    "squad_em",
    "squad_f1",
    "rouge_1",
    "rouge_2",
    "rouge_l",
    "rouge_lsum",
    "bleu",
    "chrf",
    "chrf_plus_plus",
    "accuracy",
    "precision_micro",
    "precision_macro",
    "precision_weighted",
    "recall_micro",
    "recall_macro",
    "recall_weighted",
    "f1_micro",
    "f1_macro",
    "f1_weighted",
    "tool_calls",
    "tool_call_health",
    "json_valid",
    "json_schema",
    "contains_json",
    "json_path",
    "field_accuracy",
    "embedding_cosine",
    "bertscore",
    "citation_recall",
    "citation_precision",
    "citation_format",
    "quote_in_source",
    "groundedness",
    "abstention",
    "k_precision",
    "evidence_precision",
    "evidence_recall",
    "rag_end_to_end",
    "rag_generation",
    "rag_retrieval",
    "refusal",
    "ndcg_at_k",
    "mrr",
    "recall_at_k",
    "precision_at_k",
    "map_at_k",
    "diff_applies",
    "diff_quality",
    "finish_reason",
    "latency_ms",
    "cost_dollars",
];

/// Why there is no such metric.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UnknownMetric {
    /// Nothing is called that.
    #[error("there is no metric `{name}`; the nearest is `{nearest}`")]
    Name {
        /// What was asked for.
        name: String,
        /// The name that is spelt most like it.
        nearest: &'static str,
    },
    /// The metric does not take these settings.
    #[error("the settings of the metric `{name}`: {problem}")]
    Settings {
        /// The metric.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNone {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPattern {
    pattern: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStemmed {
    #[serde(default)]
    stemmed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRanking {
    k: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCalls {
    #[serde(default)]
    matching: RawMatching,
    #[serde(default)]
    dotless: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum RawMatching {
    #[default]
    Greedy,
    Maximum,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCosine {
    encoder: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJudged {
    judge: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAbstention {
    #[serde(default)]
    abstains: Abstains,
    judge: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBertScore {
    #[serde(default)]
    figure: vectors::Figure,
    encoder: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchema {
    schema: Option<Value>,
    /// What the schema may refer to, by URI.
    #[serde(default)]
    documents: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPath {
    path: String,
    equals: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFields {
    #[serde(default)]
    tolerance: f64,
    #[serde(default)]
    ignore: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRag {
    correct: Option<RawCorrect>,
    correct_at: Option<f64>,
    #[serde(default)]
    source: Source,
    #[serde(default)]
    abstains: Abstains,
    judge: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawCorrect {
    Name(String),
    Settled(serde_json::Map<String, Value>),
}

impl RawRag {
    fn resolve(self, name: &str) -> Result<Rules, UnknownMetric> {
        let correct = match self.correct {
            None => text::icontains(),
            Some(RawCorrect::Name(correct)) => named(&correct, &Value::Null)?,
            Some(RawCorrect::Settled(mut settings)) => {
                let correct = settings.remove("name").and_then(|correct| correct.as_str().map(str::to_owned));
                let correct =
                    correct.ok_or_else(|| wrong(name, "`correct` is a metric: its `name` is missing".to_owned()))?;
                named(&correct, &Value::Object(settings))?
            }
        };
        if matches!(correct.pool, Pool::Whole(_)) && !correct.id.starts_with("accuracy@") {
            return Err(wrong(
                name,
                format!("`correct` says whether one answer is right, and `{}` is no metric of one answer", correct.id),
            ));
        }
        let correct_at = self.correct_at.unwrap_or(correct.range.high);
        if !correct_at.is_finite() {
            return Err(wrong(
                name,
                "`correct` has no largest value: `correct_at` says from where on it is right".to_owned(),
            ));
        }
        Ok(Rules { correct, correct_at, source: self.source, abstains: self.abstains, judge: self.judge })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLabels {
    labels: Option<Vec<String>>,
}

/// The metric of this name with these settings, `null` or an object. Every metric takes a `threshold`: it is 1 then where the value
/// [reaches](Metric::reaches) it, else 0.
///
/// # Errors
/// When there is none of this name, or it has no such setting.
pub fn named(name: &str, settings: &Value) -> Result<Metric, UnknownMetric> {
    if code::NAMES.contains(&name) {
        return Err(wrong(name, "it runs code, which only a suite's metrics do".to_owned()));
    }
    with_threshold(name, settings, plain)
}

/// The metric of this name with these settings, one of those that run code among them. Without a bench these have no values.
///
/// # Errors
/// As [`named`].
pub fn of_suite(name: &str, settings: &Value, bench: Option<&Arc<Bench>>) -> Result<Metric, UnknownMetric> {
    with_threshold(name, settings, |name, settings| match code::metric(name, settings, bench) {
        Some(metric) => metric.map_err(|problem| wrong(name, problem)),
        None => plain(name, settings),
    })
}

fn with_threshold(
    name: &str,
    settings: &Value,
    make: impl Fn(&str, &Value) -> Result<Metric, UnknownMetric>,
) -> Result<Metric, UnknownMetric> {
    let mut settings = settings.clone();
    let threshold = settings.as_object_mut().and_then(|settings| settings.remove("threshold"));
    let metric = make(name, &settings)?;
    let Some(threshold) = threshold else { return Ok(metric) };
    let threshold = threshold.as_f64().ok_or_else(|| wrong(name, "`threshold` is a number".to_owned()))?;
    Ok(metric.at(threshold))
}

fn plain(name: &str, settings: &Value) -> Result<Metric, UnknownMetric> {
    if let Some((figure, average)) = of_classes(name) {
        let RawLabels { labels } = read(name, settings)?;
        return Ok(classes::metric(name, figure, average, labels));
    }
    if let Some(kind) = of_rouge(name) {
        let RawStemmed { stemmed } = read(name, settings)?;
        return Ok(rouge::metric(name, kind, stemmed));
    }
    if let Some(ranked) = of_ranking(name) {
        let RawRanking { k } = read(name, settings)?;
        if k == Some(0) {
            return Err(wrong(name, "`k` is at least 1".to_owned()));
        }
        return Ok(ranking::metric(name, ranked, k));
    }
    if let Some(make) = without_settings(name) {
        let RawNone {} = read(name, settings)?;
        return Ok(make());
    }
    with_settings(name, settings)
}

fn with_settings(name: &str, settings: &Value) -> Result<Metric, UnknownMetric> {
    Ok(match name {
        "regex" => {
            let RawPattern { pattern } = read(name, settings)?;
            let pattern = pattern.map(|pattern| Regex::new(&pattern)).transpose();
            text::regex(pattern.map_err(|error| wrong(name, format!("`pattern`: {error}")))?)
        }
        "rag_end_to_end" | "rag_generation" => {
            let part = if name == "rag_generation" { Part::Generation } else { Part::EndToEnd };
            rag::metric(name, part, read::<RawRag>(name, settings)?.resolve(name)?)
        }
        "rag_retrieval" => {
            let RawNone {} = read(name, settings)?;
            rag::metric(name, Part::Retrieval, read::<RawRag>(name, &Value::Null)?.resolve(name)?)
        }
        "tool_calls" => {
            let RawCalls { matching, dotless } = read(name, settings)?;
            let matching = match matching {
                RawMatching::Greedy => Matching::Greedy,
                RawMatching::Maximum => Matching::Maximum,
            };
            calls::metric(matching, dotless)
        }
        "embedding_cosine" => {
            let RawCosine { encoder } = read(name, settings)?;
            vectors::cosine_metric(encoder.as_deref())
        }
        "citation_recall" | "citation_precision" => {
            let RawJudged { judge } = read(name, settings)?;
            let part = if name == "citation_recall" { citations::Part::Recall } else { citations::Part::Precision };
            citations::metric(part, judge.as_deref())
        }
        "groundedness" => {
            let RawJudged { judge } = read(name, settings)?;
            citations::groundedness(judge.as_deref())
        }
        "abstention" => {
            let RawAbstention { abstains, judge } = read(name, settings)?;
            citations::abstention(abstains, judge.as_deref())
        }
        "bertscore" => {
            let RawBertScore { figure, encoder } = read(name, settings)?;
            vectors::bert_metric(figure, encoder.as_deref())
        }
        "json_schema" => {
            let RawSchema { schema, documents } = read(name, settings)?;
            json::schema(schema.as_ref(), &documents).map_err(|problem| wrong(name, problem))?
        }
        "contains_json" => {
            let RawSchema { schema, documents } = read(name, settings)?;
            json::contains(schema.as_ref(), &documents).map_err(|problem| wrong(name, problem))?
        }
        "json_path" => {
            let RawPath { path, equals } = read(name, settings)?;
            let parsed = Path::parse(&path).map_err(|error| wrong(name, format!("`path`: {error}")))?;
            json::path(&path, parsed, equals)
        }
        "field_accuracy" => {
            let RawFields { tolerance, ignore } = read(name, settings)?;
            if !(0.0..1.0).contains(&tolerance) {
                return Err(wrong(name, "`tolerance` is relative: from 0, and less than 1".to_owned()));
            }
            json::field_accuracy(Fields { tolerance, ignore })
        }
        _ => return Err(unknown(name)),
    })
}

fn without_settings(name: &str) -> Option<fn() -> Metric> {
    Some(match name {
        "exact_match" => text::exact_match,
        "contains" => text::contains,
        "contains_all" => text::contains_all,
        "icontains" => text::icontains,
        "icontains_all" => text::icontains_all,
        "starts_with" => text::starts_with,
        "levenshtein" => text::levenshtein,
        "edit_distance" => text::edit_distance,
        "word_count" => text::word_count,
        "finish_reason" => spent::finish_reason,
        "latency_ms" => spent::latency,
        "cost_dollars" => spent::cost,
        "non_empty" => text::non_empty,
        "diff_applies" => code::patch::applies,
        "diff_quality" => code::patch::quality,
        "squad_em" => squad::exact_match,
        "squad_f1" => squad::f1,
        "bleu" => bleu::metric,
        "tool_call_health" => calls::health,
        "json_valid" => json::valid,
        "citation_format" => citations::format,
        "quote_in_source" => citations::quote_in_source,
        "k_precision" => squad::k_precision,
        "evidence_precision" => spans::precision,
        "evidence_recall" => spans::recall,
        "refusal" => refusal::metric,
        "chrf" => || chrf::metric("chrf", 0),
        "chrf_plus_plus" => || chrf::metric("chrf_plus_plus", 2),
        _ => return None,
    })
}

fn of_ranking(name: &str) -> Option<Ranked> {
    Some(match name {
        "ndcg_at_k" => Ranked::Ndcg,
        "mrr" => Ranked::ReciprocalRank,
        "recall_at_k" => Ranked::Recall,
        "precision_at_k" => Ranked::Precision,
        "map_at_k" => Ranked::AveragePrecision,
        _ => return None,
    })
}

fn of_rouge(name: &str) -> Option<Rouge> {
    Some(match name {
        "rouge_1" => Rouge::N(1),
        "rouge_2" => Rouge::N(2),
        "rouge_l" => Rouge::L,
        "rouge_lsum" => Rouge::Lsum,
        _ => return None,
    })
}

fn of_classes(name: &str) -> Option<(Figure, Average)> {
    if name == "accuracy" {
        return Some((Figure::Accuracy, Average::Micro));
    }
    let (figure, average) = name.split_once('_')?;
    let figure = match figure {
        "precision" => Figure::Precision,
        "recall" => Figure::Recall,
        "f1" => Figure::F1,
        _ => return None,
    };
    let average = match average {
        "micro" => Average::Micro,
        "macro" => Average::Macro,
        "weighted" => Average::Weighted,
        _ => return None,
    };
    Some((figure, average))
}

fn read<T: DeserializeOwned>(name: &str, settings: &Value) -> Result<T, UnknownMetric> {
    let settings = if settings.is_null() { Value::Object(serde_json::Map::new()) } else { settings.clone() };
    serde_json::from_value(settings).map_err(|error| wrong(name, error.to_string()))
}

fn wrong(name: &str, problem: String) -> UnknownMetric {
    UnknownMetric::Settings { name: name.to_owned(), problem }
}

fn unknown(name: &str) -> UnknownMetric {
    let nearest = NAMES
        .iter()
        .chain(&code::NAMES)
        .min_by_key(|known| strsim::levenshtein(known, name))
        .copied()
        .unwrap_or_default();
    UnknownMetric::Name { name: name.to_owned(), nearest }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_has_a_metric_and_no_two_share_an_id() {
        let mut ids = BTreeSet::new();
        for name in NAMES {
            let settings = if name == "json_path" { serde_json::json!({ "path": "$" }) } else { Value::Null };
            let id = named(name, &settings).unwrap().id;
            assert!(id.starts_with(&format!("{name}@")), "{id} of {name}");
            ids.insert(id);
        }
        assert_eq!(ids.len(), NAMES.len());
    }

    #[test]
    fn a_wrong_name_or_setting_is_an_error_that_says_what_is_near() {
        let told = |name: &str, settings: Value| named(name, &settings).unwrap_err().to_string();
        assert_eq!(told("exact-match", Value::Null), "there is no metric `exact-match`; the nearest is `exact_match`");
        assert!(told("squad_f1", serde_json::json!({ "case": true })).contains("unknown field `case`"));
        assert!(told("rouge_l", serde_json::json!({ "threshold": "high" })).contains("`threshold` is a number"));
    }

    #[test]
    fn every_metric_takes_a_threshold_and_says_so_in_its_id() {
        use super::super::{Answer, Case};
        let metric = named("levenshtein", &serde_json::json!({ "threshold": 0.5 })).unwrap();
        assert_eq!(metric.id, "levenshtein@crossfade-1:threshold=0.5");
        let case = Case { references: vec!["sitting".to_owned()], ..Case::default() };
        let score = |text: &str, ms| {
            let answer = Answer { text: text.to_owned(), latency_ms: ms, ..Answer::default() };
            (metric.score(&case, &answer).as_value(), answer)
        };
        assert_eq!((score("kitten", None).0, score("no", None).0), (Some(1.0), Some(0.0)));
        let fast = named("latency_ms", &serde_json::json!({ "threshold": 100 })).unwrap();
        let of = |ms| fast.score(&case, &score("", ms).1).as_value();
        assert_eq!((of(Some(99.0)), of(Some(101.0)), of(None)), (Some(1.0), Some(0.0), None));
    }
}
