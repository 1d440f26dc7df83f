//! Metrics by name, with their settings.

use regex::Regex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use super::classes::{self, Average, Figure};
use super::rouge::{self, Rouge};
use super::{Metric, bleu, chrf, squad, text};

/// Every name there is.
pub const NAMES: [&str; 27] = [
    "exact_match",
    "contains",
    "contains_all",
    "icontains",
    "starts_with",
    "regex",
    "levenshtein",
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
struct RawLabels {
    labels: Option<Vec<String>>,
}

/// The metric of this name with these settings, `null` or an object.
///
/// # Errors
/// When there is none of this name, or it has no such setting.
pub fn named(name: &str, settings: &Value) -> Result<Metric, UnknownMetric> {
    if let Some((figure, average)) = of_classes(name) {
        let RawLabels { labels } = read(name, settings)?;
        return Ok(classes::metric(name, figure, average, labels));
    }
    if let Some(kind) = of_rouge(name) {
        let RawStemmed { stemmed } = read(name, settings)?;
        return Ok(rouge::metric(name, kind, stemmed));
    }
    if name == "regex" {
        let RawPattern { pattern } = read(name, settings)?;
        let pattern = pattern.map(|pattern| Regex::new(&pattern)).transpose();
        let pattern = pattern.map_err(|error| wrong(name, format!("`pattern`: {error}")))?;
        return Ok(text::regex(pattern));
    }
    let make = without_settings(name).ok_or_else(|| unknown(name))?;
    let RawNone {} = read(name, settings)?;
    Ok(make())
}

fn without_settings(name: &str) -> Option<fn() -> Metric> {
    Some(match name {
        "exact_match" => text::exact_match,
        "contains" => text::contains,
        "contains_all" => text::contains_all,
        "icontains" => text::icontains,
        "starts_with" => text::starts_with,
        "levenshtein" => text::levenshtein,
        "non_empty" => text::non_empty,
        "squad_em" => squad::exact_match,
        "squad_f1" => squad::f1,
        "bleu" => bleu::metric,
        "chrf" => || chrf::metric("chrf", 0),
        "chrf_plus_plus" => || chrf::metric("chrf_plus_plus", 2),
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
    let nearest = NAMES.iter().min_by_key(|known| strsim::levenshtein(known, name)).copied().unwrap_or_default();
    UnknownMetric::Name { name: name.to_owned(), nearest }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_has_a_metric_and_no_two_share_an_id() {
        let ids: BTreeSet<String> = NAMES.iter().map(|name| named(name, &Value::Null).unwrap().id).collect();
        assert_eq!(ids.len(), NAMES.len());
        for (id, name) in NAMES.iter().map(|name| (named(name, &Value::Null).unwrap().id, name)) {
            assert!(id.starts_with(&format!("{name}@")), "{id} of {name}");
        }
    }

    #[test]
    fn a_wrong_name_or_setting_is_an_error_that_says_what_is_near() {
        let told = |name: &str, settings: Value| named(name, &settings).unwrap_err().to_string();
        assert_eq!(told("exact-match", Value::Null), "there is no metric `exact-match`; the nearest is `exact_match`");
        assert!(told("squad_f1", serde_json::json!({ "case": true })).contains("unknown field `case`"));
    }
}
