//! Assertions as checks: by the name of our metric and its settings, or why there is none.

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::case::Check;
use crate::metric::named;
use crate::run::CHECKS;

/// What an assertion becomes.
pub(super) enum Meaning {
    /// A check, with what is not quite the same.
    Check(Check, Option<&'static str>),
    /// It asserts nothing.
    Nothing(&'static str),
    /// A model is to judge it.
    Judge,
    /// It has no counterpart.
    None { why: String, hint: &'static str },
}

fn none(why: &str, hint: &'static str) -> Meaning {
    Meaning::None { why: why.to_owned(), hint }
}

const CODE_HINT: &str = "say it with `regex`, `json_path` or `contains_json`, or run the code on what `crossfade eval report -o FILE.csv` writes";

/// What an assertion of this type (without `not-`) means. The check's `not` is still to be set.
pub(super) fn meaning(kind: &str, value: &Value, threshold: Option<f64>) -> Meaning {
    let plain = |metric: &str| Meaning::Check(Check::of(metric, value.clone()), None);
    let texts = |metric: &str| Meaning::Check(Check::of(metric, listed(value)), None);
    match kind {
        "equals" if value.is_object() || value.is_array() => {
            let settings = Map::from_iter([("path".to_owned(), "$".into())]);
            let mut check = Check { settings, ..Check::of("json_path", value.clone()) };
            // A list as the value of a check is several right answers: the setting says that it is one.
            check.settings.insert("equals".to_owned(), value.clone());
            check.value = Value::Null;
            Meaning::Check(check, Some("as JSON: the order of members and blanks do not matter"))
        }
        "equals" => {
            Meaning::Check(Check::of("exact_match", value.clone()), Some("white space around both does not matter"))
        }
        "contains" | "icontains" | "finish-reason" => plain(&kind.replace('-', "_")),
        "contains-any" => texts("contains"),
        "icontains-any" => texts("icontains"),
        "contains-all" => texts("contains_all"),
        "icontains-all" => texts("icontains_all"),
        "starts-with" => plain("starts_with"),
        "regex" => pattern(value),
        "is-json" if value.is_null() => plain("json_valid"),
        "is-json" => schema("json_schema", value),
        "contains-json" => schema("contains_json", value),
        "is-refusal" => Meaning::Check(Check::of("refusal", Value::Null), Some("by our own words of a refusal")),
        "levenshtein" => at("edit_distance", value, threshold.unwrap_or(5.0), None),
        "rouge-n" => at("rouge_1", value, threshold.unwrap_or(0.75), Some("F1 as rouge-score computes it")),
        "bleu" => {
            let note = "as sacreBLEU computes it, from 0 to 100: the threshold is a hundred times as large";
            at("bleu", value, threshold.unwrap_or(0.5) * 100.0, Some(note))
        }
        "similar" | "similar:cosine" => at("embedding_cosine", value, threshold.unwrap_or(0.75), Some(ENCODER)),
        "latency" => limit("latency_ms", threshold, None),
        "cost" => limit("cost_dollars", threshold, Some("by the prices of the config, all attempts included")),
        "word-count" => words(value),
        _ => without(kind),
    }
}

/// Whether promptfoo has an assertion of this type (without `not-`), as far as is known here.
pub(super) fn is_known(kind: &str) -> bool {
    let unknown = |why: &str| why.ends_with(UNKNOWN);
    !matches!(meaning(kind, &Value::Null, None), Meaning::None { why, .. } if unknown(&why))
}

/// How the words of an assertion nobody knows end.
const UNKNOWN: &str = "is no assertion that is known here";

/// Whether an assertion of this type reads its `threshold`.
pub(super) fn reads_threshold(kind: &str) -> bool {
    matches!(kind, "levenshtein" | "rouge-n" | "bleu" | "latency" | "cost") || is_by_meaning(kind)
}

/// Whether an assertion of this type compares vectors.
pub(super) fn is_by_meaning(kind: &str) -> bool {
    matches!(kind, "similar" | "similar:cosine")
}

/// What is still to be said where vectors are compared.
const ENCODER: &str = "by the cosine of an encoder that the suite has to name: `encoder: TARGET`, which makes embeddings; another model than the source's \
                       needs another threshold";

/// Assertions without a metric of ours.
fn without(kind: &str) -> Meaning {
    match kind {
        "llm-rubric"
        | "g-eval"
        | "factuality"
        | "model-graded-factuality"
        | "model-graded-closedqa"
        | "answer-relevance"
        | "context-faithfulness"
        | "context-recall"
        | "context-relevance"
        | "conversation-relevance"
        | "search-rubric"
        | "pi"
        | "select-best" => Meaning::Judge,
        "javascript" | "python" | "ruby" | "webhook" => none("code that comes with cases is not run", CODE_HINT),
        "similar:dot" | "similar:euclidean" => none(
            "vectors are compared by their cosine alone here",
            "use `similar` with a threshold for the cosine, which becomes `embedding_cosine`",
        ),
        "is-xml" | "contains-xml" | "is-html" | "contains-html" | "is-sql" | "contains-sql" => {
            none("there is no parser of it here", "say with `regex` what has to be there")
        }
        "is-valid-function-call" | "is-valid-openai-function-call" | "is-valid-openai-tools-call" | "tool-call-f1" => {
            none(
                "tools are the provider's there, and the case's here",
                "put `tools` into the case's request, and measure by `tool_call_health` or `tool_calls`",
            )
        }
        "perplexity" | "perplexity-score" => none("log probabilities are not asked for", "leave it out"),
        "gleu" | "meteor" => none("it is none of our metrics", "`bleu`, `chrf` and `rouge_l` measure the like"),
        "classifier" | "moderation" | "guardrails" => {
            none("no classifier is called here", "let a judge say it, or set a `policy` on the route")
        }
        "max-score" => none("it picks one of several answers", "compare the candidates: `crossfade eval compare`"),
        "human" => Meaning::Nothing("people judge pairs by `crossfade eval review`"),
        _ if kind.starts_with("trajectory:") || kind.starts_with("trace-") || kind == "skill-used" => {
            none("there are no traces of agents here", "check the calls of tools by `tool_calls`")
        }
        _ if kind.contains("redteam") => none("it is a check of an attack", "leave it to a red-team suite"),
        _ => none(&format!("`{kind}` {UNKNOWN}"), "look up what it does"),
    }
}

/// A list, or the parts of a text between commas, as promptfoo reads it.
fn listed(value: &Value) -> Value {
    match value {
        Value::String(text) => text.split(',').map(|part| Value::from(part.trim())).collect(),
        other => other.clone(),
    }
}

fn pattern(value: &Value) -> Meaning {
    let Some(text) = value.as_str() else { return none("the pattern is no text", "write it as a text") };
    match Regex::new(text) {
        Ok(_) => Meaning::Check(Check::of("regex", value.clone()), None),
        // With variables in it the pattern is known only in the case.
        Err(_) if text.contains("{{") => Meaning::Check(Check::of("regex", value.clone()), None),
        Err(_) => none(
            "the pattern is not one that takes linear time (look-around, back-references)",
            "write one without them, or several checks, some with `not`",
        ),
    }
}

fn schema(metric: &str, value: &Value) -> Meaning {
    if !value.is_object() && !value.is_null() {
        return none("the schema is no map", "write the schema in place");
    }
    let settings = if value.is_null() { Value::Null } else { json!({ "schema": value }) };
    match named(metric, &settings) {
        Ok(_) => Meaning::Check(Check::of(metric, value.clone()), None),
        Err(error) => Meaning::None { why: error.to_string(), hint: "write the schema without what is not validated" },
    }
}

fn at(metric: &str, value: &Value, threshold: f64, note: Option<&'static str>) -> Meaning {
    Meaning::Check(Check { threshold: Some(threshold), ..Check::of(metric, value.clone()) }, note)
}

fn limit(metric: &str, threshold: Option<f64>, note: Option<&'static str>) -> Meaning {
    match threshold {
        None => Meaning::Nothing("without a threshold it only reports, which every report does"),
        Some(_) => Meaning::Check(Check { threshold, ..Check::of(metric, Value::Null) }, note),
    }
}

/// A number of words, or `{ min, max }`.
fn words(value: &Value) -> Meaning {
    let (min, max) = (value["min"].as_f64(), value["max"].as_f64());
    let least = min.map(|min| Check { threshold: Some(min), ..Check::of("word_count", Value::Null) });
    let most = max.map(|max| Check { threshold: Some(max + 1.0), not: true, ..Check::of("word_count", Value::Null) });
    let note = Some("words are what stands between white space");
    match (least, most) {
        (Some(least), Some(most)) => Meaning::Check(Check::of(CHECKS, json!([least, most])), note),
        (Some(one), None) | (None, Some(one)) => Meaning::Check(one, note),
        (None, None) if value.is_object() => none("neither `min` nor `max`", "say one of them"),
        (None, None) => Meaning::Check(Check::of("word_count", value.clone()), note),
    }
}
