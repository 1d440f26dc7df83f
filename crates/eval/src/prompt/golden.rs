//! Golden tests: values to fill in, and what the answer has to be like.

use serde::Serialize;
use serde_json::{Map, Value};

use super::trial::Said;
use crate::metric::{self, Measured, Metric};

/// What is filled in, and what is expected of the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Golden {
    /// What it is called.
    pub name: String,
    /// What is filled in.
    #[serde(rename = "with", skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
    /// What the answer has to be like; all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// The language of the answer, as two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether the right answer is to refuse.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refuses: bool,
}

/// One thing that is expected of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expectation {
    /// As it was written: `contains`, `not_contains`.
    pub name: String,
    /// What it is held against.
    pub value: Value,
    /// What that comes to.
    #[serde(skip)]
    pub kind: Kind,
}

/// What an expectation holds an answer against.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// No more characters than this.
    MaxLength(u64),
    /// The whole text is JSON.
    Json,
    /// A tool of this name is called.
    Calls(String),
    /// A metric reaches a value, or does not.
    Metric {
        /// The metric's name.
        name: String,
        /// Its settings.
        settings: Value,
        /// What the answer is held against.
        case: Box<metric::Case>,
        /// At or above this it holds.
        at_least: f64,
        /// Whether it holds when the metric says no.
        not: bool,
    },
}

/// There is no such expectation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownExpectation(String);

/// What became of an expectation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Held {
    Yes,
    /// In words.
    No(String),
    /// There is no value, and why.
    Unscored(&'static str),
}

impl Expectation {
    /// The expectation of this name: `json`, `max_length`, `calls`, or a metric's, with `not_` before it for the contrary.
    ///
    /// `value` is what the answer is held against, or `{ value, at_least, settings }` with `at_least` or `settings`: those of the metric.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be held against this value.
    pub fn named(name: &str, value: Value) -> Result<Expectation, UnknownExpectation> {
        let wrong = |words: String| UnknownExpectation(words);
        let kind = match name {
            "json" => Kind::Json,
            "max_length" => Kind::MaxLength(
                value.as_u64().ok_or_else(|| wrong("`max_length` takes a number of characters".to_owned()))?,
            ),
            "calls" => {
                let tool = value.as_str().ok_or_else(|| wrong("`calls` takes the name of a tool".to_owned()))?;
                Kind::Calls(tool.to_owned())
            }
            _ => of_metric(name, &value)?,
        };
        Ok(Expectation { name: name.to_owned(), value, kind })
    }

    /// Holds an answer against it, where these tools were offered.
    pub(super) fn hold(&self, said: &Said, tools: &[metric::Tool]) -> Held {
        match &self.kind {
            Kind::MaxLength(most) => {
                let length = said.answer.text.chars().count() as u64;
                if length <= *most {
                    Held::Yes
                } else {
                    Held::No(format!("{length} characters, and at most {most} are wanted"))
                }
            }
            Kind::Json => match serde_json::from_str::<Value>(said.answer.text.trim()) {
                Ok(_) => Held::Yes,
                Err(error) => Held::No(format!("no JSON: {error}")),
            },
            Kind::Calls(tool) => {
                let called: Vec<&str> = said.answer.calls.iter().map(|call| call.name.as_str()).collect();
                if called.contains(&tool.as_str()) {
                    Held::Yes
                } else {
                    Held::No(format!("`{tool}` was not called{}", list(&called)))
                }
            }
            Kind::Metric { name, settings, case, at_least, not } => {
                // It was found when the file was read.
                let Ok(metric) = metric::named(name, settings) else { return Held::Unscored("malformed_case") };
                let case = metric::Case { tools: tools.to_vec(), ..metric::Case::clone(case) };
                measured(&metric, (&case, *at_least, *not), said)
            }
        }
    }
}

fn measured(metric: &Metric, (case, at_least, not): (&metric::Case, f64, bool), said: &Said) -> Held {
    match metric.score(case, &said.answer).measured {
        Measured::Unscored(why) => Held::Unscored(why.as_str()),
        Measured::Value(value) if (value >= at_least) != not => Held::Yes,
        Measured::Value(value) => {
            let wanted = if not { "below" } else { "at least" };
            Held::No(format!("{} is {}, wanted {wanted} {}", metric.id, rounded(value), rounded(at_least)))
        }
    }
}

fn list(called: &[&str]) -> String {
    if called.is_empty() { String::new() } else { format!("; called: {}", called.join(", ")) }
}

fn rounded(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn of_metric(written: &str, value: &Value) -> Result<Kind, UnknownExpectation> {
    let (name, not) = written.strip_prefix("not_").map_or((written, false), |name| (name, true));
    let told = || {
        UnknownExpectation(format!(
            "`{written}` takes a value, or `{{ value, at_least, settings }}`, where `at_least` is a number"
        ))
    };
    let (value, at_least, settings) = match value {
        Value::Object(members) if members.contains_key("at_least") || members.contains_key("settings") => {
            if !members.keys().all(|key| matches!(key.as_str(), "value" | "at_least" | "settings")) {
                return Err(told());
            }
            let at_least = match members.get("at_least") {
                None => 1.0,
                Some(number) => number.as_f64().ok_or_else(told)?,
            };
            (members.get("value").unwrap_or(&Value::Null), at_least, members.get("settings").cloned())
        }
        value => (value, 1.0, None),
    };
    let settings = match (value, settings) {
        (_, Some(settings)) => settings,
        (Value::String(pattern), None) if name == "regex" => {
            Value::Object(Map::from_iter([("pattern".to_owned(), pattern.clone().into())]))
        }
        _ => Value::Null,
    };
    metric::named(name, &settings).map_err(|error| UnknownExpectation(error.to_string()))?;
    if let ("tool_calls", Value::Array(_)) = (name, value)
        && let Some((place, what)) =
            metric::calls::unreadable(&[serde_json::json!({ "tool_calls": value })]).into_iter().next()
    {
        let place = place.trim_start_matches("expected.");
        return Err(UnknownExpectation(format!("`{place}`: {what}")));
    }
    let case = Box::new(held_against(name, value));
    Ok(Kind::Metric { name: name.to_owned(), settings, case, at_least, not })
}

fn held_against(name: &str, value: &Value) -> metric::Case {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if name.contains("schema") {
        return metric::Case { schema: Some(value.clone()), ..metric::Case::default() };
    }
    if let ("tool_calls", Value::Array(calls)) = (name, value) {
        return metric::Case { calls: vec![calls.clone()], ..metric::Case::default() };
    }
    let references = match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().map(text).collect(),
        value => vec![text(value)],
    };
    metric::Case { references, values: vec![value.clone()], ..metric::Case::default() }
}
