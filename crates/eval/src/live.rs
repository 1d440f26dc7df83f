//! Checks of answers that just came, with no case written for them: what can be said of an answer alone, or by the baseline's own
//! answer to the same request.
//!
//! Only metrics whose cost is bounded by the length of the texts are taken, and none that needs a model. A check against the baseline is
//! about agreement: a baseline does not even agree with itself every time, so that whoever uses one compares the candidate's agreement
//! with the baseline's own, on a second answer to the same request.

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::case::{canonical, digest};
use crate::metric::{self, Answer, Case, Measured, Metric, Tool, UnknownMetric, Unscored};

/// Metrics that say something of an answer alone.
const ALONE: [&str; 16] = [
    "contains",
    "contains_all",
    "contains_json",
    "exact_match",
    "finish_reason",
    "icontains",
    "icontains_all",
    "json_path",
    "json_schema",
    "json_valid",
    "non_empty",
    "refusal",
    "regex",
    "starts_with",
    "tool_call_health",
    "word_count",
];
/// Metrics that hold an answer against the baseline's.
const AGAINST: [&str; 13] = [
    "bleu",
    "chrf",
    "chrf_plus_plus",
    "exact_match",
    "field_accuracy",
    "icontains",
    "rouge_1",
    "rouge_2",
    "rouge_l",
    "rouge_lsum",
    "squad_em",
    "squad_f1",
    "tool_calls",
];
/// Of them, those whose value is rarely 1 for two good answers: what is enough must be said.
const GRADED: [&str; 9] =
    ["bleu", "chrf", "chrf_plus_plus", "field_accuracy", "rouge_1", "rouge_2", "rouge_l", "rouge_lsum", "squad_f1"];
/// Metrics that read the request: its tools, or its schema.
const OF_REQUEST: [&str; 3] = ["json_schema", "tool_call_health", "tool_calls"];
/// Metrics that are about a text, which somebody names.
const OF_TEXT: [&str; 8] =
    ["contains", "contains_all", "exact_match", "finish_reason", "icontains", "icontains_all", "regex", "starts_with"];
/// Metrics that say how much there is of something: from which value on that is good must be said.
const COUNTED: [&str; 1] = ["word_count"];
/// A longer request is not read for its tools and its schema.
const LONGEST_REQUEST: usize = 1 << 20;

/// One check as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spec {
    /// The metric's name.
    pub metric: String,
    /// What it is held against: a text, or several any of which will do.
    pub value: Value,
    /// It is held against the baseline's answer.
    pub against_baseline: bool,
    /// At or above this the check holds; 1 where it is not said.
    pub threshold: Option<f64>,
    /// It holds when the metric says no.
    pub not: bool,
    /// The metric's own settings.
    pub settings: Map<String, Value>,
}

/// Why a check cannot be made of live answers.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum WrongCheck {
    /// There is no such metric, or it has no such setting.
    #[error(transparent)]
    Metric(#[from] UnknownMetric),
    /// It needs what only a case knows, or a model.
    #[error(
        "`{metric}` is not measured on live answers: {because}; there are: {there}",
        because = why_not(metric),
        there = names(*against).join(", ")
    )]
    NotLive {
        /// The metric.
        metric: String,
        /// It was to be held against the baseline.
        against: bool,
    },
    /// Nothing says what the answer is held against.
    #[error("`{metric}` needs a `value` to be held against{}", if *or_against { ", or `against: baseline`" } else { "" })]
    NeedsValue {
        /// The metric.
        metric: String,
        /// The baseline's answer would do.
        or_against: bool,
    },
    /// It compares two answers.
    #[error("`{metric}` is held against the baseline's answer: write `against: baseline`")]
    NeedsBaseline {
        /// The metric.
        metric: String,
    },
    /// A value where none is read.
    #[error("`{metric}` reads no `value`{}", if *against { " beside `against: baseline`" } else { "" })]
    NoValue {
        /// The metric.
        metric: String,
        /// Because it is held against the baseline.
        against: bool,
    },
    /// It counts something.
    #[error(
        "`{metric}` counts: say with `threshold` from which number on that is good (with `not: true`, from which on it is not)"
    )]
    NeedsNumber {
        /// The metric.
        metric: String,
    },
    /// Nothing says how much is enough.
    #[error("two good answers rarely agree in full: say with `threshold` from which value of `{metric}` on they do")]
    NeedsThreshold {
        /// The metric.
        metric: String,
    },
}

/// Checks, each of which a good answer passes.
#[derive(Debug)]
pub struct Checks {
    checks: Vec<Check>,
    definition: String,
    needs_baseline: bool,
    reads_request: bool,
}

#[derive(Debug)]
struct Check {
    metric: Metric,
    references: Vec<String>,
    against_baseline: bool,
    threshold: f64,
    not: bool,
}

/// What the checks say of one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Worth {
    /// One of them does not hold.
    pub bad: bool,
    /// What each metric said, in the order of the checks.
    pub values: Vec<f64>,
}

impl Checks {
    /// Checks as they were written.
    ///
    /// # Errors
    /// The place of the first one that cannot be made, and why.
    pub fn of(specs: &[Spec]) -> Result<Checks, (usize, WrongCheck)> {
        let one = |(place, spec): (usize, &Spec)| Check::of(spec).map_err(|wrong| (place, wrong));
        let checks: Vec<Check> = specs.iter().enumerate().map(one).collect::<Result<_, _>>()?;
        let parts: Vec<String> = checks.iter().map(Check::canonical).collect();
        let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
        let needs_baseline = checks.iter().any(|check| check.against_baseline);
        let reads_request = specs.iter().any(|spec| OF_REQUEST.contains(&spec.metric.as_str()));
        let definition = format!("checks@crossfade-live-1:{}", &digest(&parts)[..12]);
        Ok(Checks { checks, definition, needs_baseline, reads_request })
    }

    /// The id of what they define: other checks, settings or thresholds are another one.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// The ids of the metrics, in the order of the checks.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().map(|check| check.metric.id.as_str())
    }

    /// Whether any of them is held against the baseline's answer.
    #[must_use]
    pub fn needs_baseline(&self) -> bool {
        self.needs_baseline
    }

    /// What they say of each of the answers to a request. `baseline` is what those against the baseline are held against.
    ///
    /// # Errors
    /// Why they say nothing: what one of them cannot say of one answer it says of none, so that no side of a comparison lacks what the
    /// other has.
    pub fn score(
        &self,
        request: &[u8],
        baseline: Option<&Answer>,
        answers: &[Answer],
    ) -> Result<Vec<Worth>, &'static str> {
        let asked = if self.reads_request { asked(request)? } else { Case::default() };
        let reference = match baseline {
            Some(answer) if self.needs_baseline => of_baseline(&asked, answer),
            _ if self.needs_baseline => return Err(Unscored::NoReference.as_str()),
            _ => Case::default(),
        };
        let of_answer = |answer: &Answer| {
            let values = self.checks.iter().map(|check| {
                let own;
                let case = if check.against_baseline {
                    &reference
                } else {
                    own = Case { references: check.references.clone(), ..asked.clone() };
                    &own
                };
                match check.metric.score(case, answer).measured {
                    Measured::Value(value) => Ok(value),
                    Measured::Unscored(why) => Err(why.as_str()),
                }
            });
            let values: Vec<f64> = values.collect::<Result<_, _>>()?;
            let holds = |(check, value): (&Check, &f64)| (*value >= check.threshold) != check.not;
            Ok(Worth { bad: !self.checks.iter().zip(&values).all(holds), values })
        };
        answers.iter().map(of_answer).collect()
    }
}

impl Check {
    fn of(spec: &Spec) -> Result<Check, WrongCheck> {
        let Spec { metric: name, value, against_baseline, threshold, not, .. } = spec;
        let (against, metric) = (*against_baseline, || name.clone());
        let mut settings = spec.settings.clone();
        let references: Vec<String> = match value {
            Value::Null => Vec::new(),
            Value::Array(values) => values.iter().map(text).collect(),
            value => vec![text(value)],
        };
        if name == "regex" && !references.is_empty() {
            settings.insert("pattern".to_owned(), references[0].clone().into());
        }
        let found = metric::named(name, &Value::Object(settings))?;
        let is_live = names(against).contains(&name.as_str());
        let other_way = names(!against).contains(&name.as_str());
        let of_text = OF_TEXT.contains(&name.as_str());
        if against && !value.is_null() {
            return Err(WrongCheck::NoValue { metric: metric(), against });
        }
        match (is_live, other_way) {
            (false, true) if !against => return Err(WrongCheck::NeedsBaseline { metric: metric() }),
            (false, _) => return Err(WrongCheck::NotLive { metric: metric(), against }),
            (true, _) => {}
        }
        if !against && of_text && references.is_empty() {
            return Err(WrongCheck::NeedsValue { metric: metric(), or_against: other_way });
        }
        if !against && !of_text && !references.is_empty() {
            return Err(WrongCheck::NoValue { metric: metric(), against });
        }
        if COUNTED.contains(&name.as_str()) && threshold.is_none() {
            return Err(WrongCheck::NeedsNumber { metric: metric() });
        }
        if GRADED.contains(&name.as_str()) && threshold.is_none() {
            return Err(WrongCheck::NeedsThreshold { metric: metric() });
        }
        let threshold = threshold.unwrap_or(1.0);
        Ok(Check { metric: found, references, against_baseline: against, threshold, not: *not })
    }

    fn canonical(&self) -> String {
        canonical(&json!({
            "metric": self.metric.id, "references": self.references, "against_baseline": self.against_baseline,
            "threshold": self.threshold, "not": self.not,
        }))
    }
}

const fn names(against: bool) -> &'static [&'static str] {
    if against { &AGAINST } else { &ALONE }
}

/// Why a metric of evaluations is none of live answers.
fn why_not(metric: &str) -> &'static str {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| metric.starts_with(prefix));
    match metric {
        "latency_ms" | "cost_dollars" => "what answers take and cost has guards of its own (`slow`, `cost`)",
        "levenshtein" | "edit_distance" => "its time grows with the square of an answer's length",
        "ndcg_at_k" | "mrr" | "recall_at_k" | "precision_at_k" | "map_at_k" => {
            "it is about an order of documents, and answers are texts"
        }
        "accuracy" => "its number is one of many cases that each have a right class",
        _ if metric.ends_with("_micro") || metric.ends_with("_macro") || metric.ends_with("_weighted") => {
            "its number is one of many cases that each have a right class"
        }
        _ if starts(&["embedding", "bertscore", "bert_score"]) => {
            "it needs a model; `stages.shadow.meaning` compares meanings, and `judge` has a model judge"
        }
        _ if starts(&["citation", "quote", "evidence", "grounded", "abstention", "rag", "context", "faithful"]) => {
            "it needs the documents an answer has to rest on, which only a case names"
        }
        _ if starts(&["code", "compile", "unit_tests", "diff"]) => "it runs programs",
        _ => "it needs what only a case of a dataset knows",
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a request says of its answer: the tools it offers and the schema it asks for, in the words of any of the three dialects.
fn asked(request: &[u8]) -> Result<Case, &'static str> {
    if request.len() > LONGEST_REQUEST {
        return Err(Unscored::TooLong.as_str());
    }
    let request: Value = serde_json::from_slice(request).map_err(|_| Unscored::MalformedCase.as_str())?;
    let schemas = ["/response_format/json_schema/schema", "/text/format/schema", "/output_format/schema"];
    let schema = schemas.iter().find_map(|path| request.pointer(path)).filter(|schema| !schema.is_null());
    let tool = |tool: &Value| {
        let function = if tool["function"].is_object() { &tool["function"] } else { tool };
        let parameters = function.get("parameters").or_else(|| function.get("input_schema"));
        let name = function["name"].as_str()?.to_owned();
        Some(Tool { name, parameters: parameters.cloned().unwrap_or_default() })
    };
    let tools = request["tools"].as_array().into_iter().flatten().filter_map(tool).collect();
    Ok(Case { schema: schema.cloned(), tools, ..Case::default() })
}

/// The case in which the baseline's answer is the right one.
fn of_baseline(asked: &Case, answer: &Answer) -> Case {
    let call = |call: &metric::Call| {
        let parsed = metric::calls::Parsed::of(call)?;
        Some(serde_json::json!({ "name": parsed.name, "arguments": parsed.arguments }))
    };
    // Calls that cannot be read are no reference.
    let calls: Option<Vec<Value>> = answer.calls.iter().map(call).collect();
    let value: Option<Value> = serde_json::from_str(answer.text.trim()).ok();
    Case {
        references: vec![answer.text.clone()],
        values: value.into_iter().collect(),
        calls: calls.into_iter().collect(),
        ..asked.clone()
    }
}

#[cfg(test)]
mod tests;
