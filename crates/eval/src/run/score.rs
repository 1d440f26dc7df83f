//! What an answer is worth by the metrics of a plan.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::ScoredRow;

use crate::case::{Answer, Case, Check};
use crate::metric::{self, Metric, Score, UnknownMetric, Unscored};

/// The name of the metric that says whether everything holds that a case asks of its answer.
pub const CHECKS: &str = "checks";
/// The id of its definition.
const CHECKS_ID: &str = "checks@crossfade-1";

/// A metric by its name, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The name.
    pub name: String,
    /// The settings.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub settings: Value,
}

/// The metrics of a plan, ready to be applied.
#[derive(Debug)]
pub struct Scorer {
    metrics: Vec<(String, Option<Metric>)>,
}

impl Scorer {
    /// Finds the metrics.
    ///
    /// # Errors
    /// When there is none of a name, or it has no such setting.
    pub fn of(specs: &[Spec]) -> Result<Scorer, UnknownMetric> {
        let one = |spec: &Spec| match spec.name.as_str() {
            CHECKS => Ok((CHECKS.to_owned(), None)),
            name => metric::named(name, &spec.settings).map(|metric| (name.to_owned(), Some(metric))),
        };
        Ok(Scorer { metrics: specs.iter().map(one).collect::<Result<_, _>>()? })
    }

    /// Name and id of each.
    pub fn ids(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metrics
            .iter()
            .map(|(name, metric)| (name.as_str(), metric.as_ref().map_or(CHECKS_ID, |metric| metric.id.as_str())))
    }

    /// The definition of the metric of this name; `None` for one that is not ours to define.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|(known, _)| known == name)?.1.as_ref()
    }

    /// What each says of an answer.
    #[must_use]
    pub fn score(&self, case: &Case, answer: &Answer) -> Vec<(String, Score)> {
        let (asked, answered) = (as_metrics_want(case), of_answer(answer));
        let scores = self.metrics.iter().map(|(_, metric)| match metric {
            Some(metric) => (metric.id.clone(), metric.score(&asked, &answered)),
            None => (CHECKS_ID.to_owned(), checks(case, &asked, &answered)),
        });
        scores.collect()
    }

    pub(super) fn rows(&self, case: &Case, answer: &Answer) -> Vec<ScoredRow> {
        let row = |(metric, score): (String, Score)| ScoredRow {
            metric,
            // A score is numbers and words: it always serialises.
            json: serde_json::to_string(&score).unwrap_or_default(),
        };
        self.score(case, answer).into_iter().map(row).collect()
    }

    /// Checks of cases that name no metric there is.
    ///
    /// # Errors
    /// The first one, with the case's id.
    pub fn check_cases<'c>(cases: impl IntoIterator<Item = &'c Case>) -> Result<(), (String, UnknownMetric)> {
        for case in cases {
            for check in &case.checks {
                check_metric(check).map_err(|error| (case.id.clone(), error))?;
            }
        }
        Ok(())
    }
}

/// 1 when every check of the case holds, else 0; no value where it has none, or one of them cannot be measured.
fn checks(case: &Case, asked: &metric::Case, answered: &metric::Answer) -> Score {
    if case.checks.is_empty() {
        return Score::unscored(Unscored::NoReference);
    }
    for check in &case.checks {
        let Ok(metric) = check_metric(check) else { return Score::unscored(Unscored::MalformedCase) };
        let score = metric.score(&held_against(check, asked), answered);
        match score.measured {
            metric::Measured::Value(value) if (value >= check.threshold.unwrap_or(1.0)) != check.not => {}
            metric::Measured::Value(_) => return Score::is(false),
            metric::Measured::Unscored(why) => return Score::unscored(why),
        }
    }
    Score::is(true)
}

fn check_metric(check: &Check) -> Result<Metric, UnknownMetric> {
    let settings = match (check.metric.as_str(), &check.value) {
        ("regex", Value::String(pattern)) => {
            Value::Object(Map::from_iter([("pattern".to_owned(), pattern.clone().into())]))
        }
        _ => Value::Null,
    };
    metric::named(&check.metric, &settings)
}

/// The case as a check sees it: what the check names in place of the right answers.
fn held_against(check: &Check, asked: &metric::Case) -> metric::Case {
    let texts = |values: &[Value]| values.iter().map(text).collect();
    match &check.value {
        Value::Null => asked.clone(),
        Value::Array(values) => metric::Case { references: texts(values), ..asked.clone() },
        value @ Value::Object(_) => {
            metric::Case { value: Some(value.clone()), schema: Some(value.clone()), ..asked.clone() }
        }
        value => metric::Case { references: texts(std::slice::from_ref(value)), ..asked.clone() },
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What metrics read of a case.
fn as_metrics_want(case: &Case) -> metric::Case {
    let other = case.expected.iter().find(|answer| !answer.is_string());
    let calls = other.and_then(|answer| answer["tool_calls"].as_array());
    let schema = case.request.get("response_format").map(|format| &format["json_schema"]["schema"]);
    let tools = case.request.get("tools").and_then(Value::as_array).into_iter().flatten();
    metric::Case {
        references: case.expected_texts().map(str::to_owned).collect(),
        value: if calls.is_some() { None } else { other.cloned() },
        schema: schema.filter(|schema| !schema.is_null()).cloned(),
        tools: tools
            .filter_map(|tool| {
                let function = &tool["function"];
                let name = function["name"].as_str()?.to_owned();
                Some(metric::Tool { name, parameters: function["parameters"].clone() })
            })
            .collect(),
        calls: calls.map(|calls| calls.iter().filter_map(accepted).collect()),
        documents: case
            .documents
            .iter()
            .map(|document| metric::Document { id: document.id.clone(), text: document.text.clone() })
            .collect(),
        answerable: case.answerable,
        ..metric::Case::default()
    }
}

/// A call that was made, as the one call that is right: each argument with the one value it had.
fn accepted(call: &Value) -> Option<Value> {
    let function = &call["function"];
    let name = function["name"].as_str()?;
    let arguments = match &function["arguments"] {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    let Value::Object(arguments) = arguments else { return None };
    let accepted: Map<String, Value> =
        arguments.into_iter().map(|(name, value)| (name, Value::Array(vec![value]))).collect();
    Some(Value::Object(Map::from_iter([(name.to_owned(), Value::Object(accepted))])))
}

fn of_answer(answer: &Answer) -> metric::Answer {
    let calls = answer.tool_calls.iter();
    let calls = calls.map(|call| metric::Call { name: call.name.clone(), arguments: call.arguments.clone() });
    metric::Answer {
        text: answer.text.clone(),
        calls: calls.collect(),
        refusal: answer.refusal.clone(),
        ..metric::Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metric: &str, value: Value, not: bool) -> Check {
        Check { metric: metric.to_owned(), value, threshold: None, not }
    }

    #[track_caller]
    fn check_score(checks: Vec<Check>, text: &str, expected: Option<f64>) {
        let case = Case { checks, ..Case::asking("a", "Q?", ["yes".into()]) };
        let scorer = Scorer::of(&[Spec { name: CHECKS.to_owned(), settings: Value::Null }]).unwrap();
        let answer = Answer { text: text.to_owned(), ..Answer::default() };
        assert_eq!(scorer.score(&case, &answer)[0].1.as_value(), expected);
    }

    #[test]
    fn a_case_passes_when_all_that_it_asks_holds() {
        let both = || vec![check("contains", "72".into(), false), check("contains", "sorry".into(), true)];
        check_score(both(), "72 hours", Some(1.0));
        check_score(both(), "sorry, 72 hours", Some(0.0));
        check_score(both(), "three days", Some(0.0));
        check_score(vec![check("regex", "^[0-9]+$".into(), false)], "72", Some(1.0));
        check_score(vec![check("exact_match", Value::Null, false)], "yes", Some(1.0));
        check_score(Vec::new(), "yes", None);
    }

    #[test]
    fn checks_of_no_known_metric_are_named_with_their_case() {
        let case = Case { checks: vec![check("contians", "x".into(), false)], ..Case::asking("a", "Q?", []) };
        let (id, error) = Scorer::check_cases([&case]).unwrap_err();
        assert_eq!(id, "a");
        assert!(error.to_string().contains("`contains`"), "{error}");
    }
}
