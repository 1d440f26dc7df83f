//! Answers that are to be JSON: valid at all, as a schema says, with the right fields, with what a path finds.
//!
//! The whole message has to be JSON. A value inside a fence of a code block is an outcome of its own, `fenced`, and is wrong: a parser
//! that reads the message fails on it. It is told apart because a change of the prompt usually mends it.

use std::sync::Arc;

use schema::{Compiled, Documents, Verdict};
use serde_json::{Map, Value};

use crate::case::{canonical, digest};

use super::path::Path;
use super::{Answer, Basis, Case, Metric, Score, Unscored};

/// `json_valid`.
pub(super) fn valid() -> Metric {
    Metric::new("json_valid@rfc8259", "1 when the whole message is one JSON value, else 0", |_: &Case, answer| {
        match read(answer) {
            Ok(_) => Score::is(true).with_outcome("valid"),
            Err(outcome) => Score::is(false).with_outcome(outcome),
        }
    })
}

/// `json_schema`, with the schema of the settings or of the case, which may refer to `documents` by their URIs.
///
/// # Errors
/// When the schema of the settings is not one that is validated against, or something is no document.
pub(super) fn schema(schema: Option<&Value>, documents: &Map<String, Value>) -> Result<Metric, String> {
    let beside = read_documents(documents)?;
    let own = schema.map(|schema| compiled(schema, &beside)).transpose()?.map(Arc::new);
    let id = format!("json_schema@2020-12{}", named_by(schema, documents));
    let definition = "1 when the whole message is JSON that is valid by the schema (its `$schema`, else draft 2020-12; `format` asserts \
                      nothing), else 0; what cannot be validated within bounds is unscored";
    Ok(Metric::new(id, definition, move |case, answer| {
        let of_case;
        let compiled = match (&own, &case.schema) {
            (Some(own), _) => own.as_ref(),
            (None, None) => return Score::unscored(Unscored::NoSchema),
            (None, Some(schema)) => match Compiled::with_documents(schema.to_string().as_bytes(), &beside) {
                Err(why) => return Score::unscored(Unscored::NotValidated).with_outcome(why.as_str()),
                Ok(compiled) => {
                    of_case = compiled;
                    &of_case
                }
            },
        };
        match compiled.check(answer.text.as_bytes()) {
            Some(Verdict::Valid) => Score::is(true).with_outcome("valid"),
            Some(Verdict::Invalid(_)) => Score::is(false).with_outcome("invalid"),
            Some(Verdict::Unknown(why)) => Score::unscored(Unscored::NotValidated).with_outcome(why.as_str()),
            None => Score::is(false).with_outcome(if fenced(&answer.text) { "fenced" } else { "not_json" }),
        }
    }))
}

/// `contains_json`, with a schema or without.
///
/// # Errors
/// When the schema is not one that is validated against, or something is no document.
pub(super) fn contains(schema: Option<&Value>, documents: &Map<String, Value>) -> Result<Metric, String> {
    let beside = read_documents(documents)?;
    let compiled = schema.map(|schema| compiled(schema, &beside)).transpose()?.map(Arc::new);
    let id = format!("contains_json@crossfade-1{}", named_by(schema, documents));
    let definition = "1 when a JSON object or array stands anywhere in the message (one that is valid by the schema, where there is one), \
                      else 0; of nested ones the outermost is looked at";
    Ok(Metric::new(id, definition, move |_: &Case, answer| {
        let mut seen = "not_json";
        for value in values_in(&answer.text) {
            let Some(compiled) = &compiled else { return Score::is(true).with_outcome("valid") };
            match compiled.check(value.as_bytes()) {
                Some(Verdict::Valid) => return Score::is(true).with_outcome("valid"),
                Some(Verdict::Unknown(why)) => {
                    return Score::unscored(Unscored::NotValidated).with_outcome(why.as_str());
                }
                Some(Verdict::Invalid(_)) | None => seen = "invalid",
            }
        }
        Score::is(false).with_outcome(seen)
    }))
}

fn read_documents(documents: &Map<String, Value>) -> Result<Documents, String> {
    let texts: Vec<_> = documents.iter().map(|(uri, document)| (uri.as_str(), document.to_string())).collect();
    let texts = texts.iter().map(|(uri, text)| (*uri, text.as_bytes()));
    Documents::new(texts).map_err(|no_document| format!("`documents`: {no_document}"))
}

fn compiled(schema: &Value, documents: &Documents) -> Result<Compiled, String> {
    let compiled = Compiled::with_documents(schema.to_string().as_bytes(), documents);
    compiled.map_err(|why| format!("`schema` is not validated against: {}", why.as_str()))
}

/// What the id says of a schema, and of the documents by the beginning of their hash.
fn named_by(schema: Option<&Value>, documents: &Map<String, Value>) -> String {
    let schema = schema.map(|schema| format!("schema={schema}"));
    let documents = (!documents.is_empty()).then(|| {
        let text = canonical(&Value::Object(documents.clone()));
        format!("documents={}", &digest(&[text.as_bytes()])[..12])
    });
    let all: Vec<_> = schema.into_iter().chain(documents).collect();
    if all.is_empty() { String::new() } else { format!(":{}", all.join(",")) }
}

/// How many places that may begin a value are tried.
const MOST_BEGINNINGS: usize = 1000;

/// The objects and arrays that stand in a text, outermost only.
fn values_in(text: &str) -> Vec<&str> {
    let (mut values, mut from, mut n_tried) = (Vec::new(), 0, 0);
    while let Some(at) = text[from..].find(['{', '[']).map(|at| from + at) {
        n_tried += 1;
        if n_tried > MOST_BEGINNINGS {
            break;
        }
        let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<serde::de::IgnoredAny>();
        from = match stream.next() {
            Some(Ok(_)) => {
                let end = at + stream.byte_offset();
                values.push(&text[at..end]);
                end
            }
            _ => at + 1,
        };
    }
    values
}

/// `json_path`: the path finds something, or something equal to this.
pub(super) fn path(text: &str, path: Path, equals: Option<Value>) -> Metric {
    let mut id = format!("json_path@rfc9535:{}", Value::from(text));
    if let Some(equals) = &equals {
        id.push_str(&format!("={equals}"));
    }
    let definition = "1 when the message is JSON in which the path selects a node (equal to the value given), else 0";
    Metric::new(id, definition, move |_: &Case, answer| {
        let value = match read(answer) {
            Ok(value) => value,
            Err(outcome) => return Score::is(false).with_outcome(outcome),
        };
        let Some(nodes) = path.select(&value) else { return Score::unscored(Unscored::TooLong) };
        let holds = match &equals {
            None => !nodes.is_empty(),
            Some(equals) => nodes.iter().any(|node| same(node, equals, 0.0)),
        };
        Score::is(holds).with_outcome(if nodes.is_empty() { "absent" } else { "present" })
    })
}

/// How fields are compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields {
    /// Numbers this far apart, relative to the larger one, are equal.
    pub tolerance: f64,
    /// JSON pointers of what is not compared; `*` stands for any one name or index.
    pub ignore: Vec<String>,
}

/// How many fields of a reference a value has right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FieldCounts {
    /// Fields of the reference that are there and equal.
    pub right: usize,
    /// Fields of the reference.
    pub expected: usize,
    /// Fields of the value that the reference does not have.
    pub extra: usize,
}

/// `field_accuracy`.
pub(super) fn field_accuracy(fields: Fields) -> Metric {
    let mut id = "field_accuracy@crossfade-2".to_owned();
    if fields.tolerance != 0.0 {
        id.push_str(&format!(":tolerance={}", fields.tolerance));
    }
    if !fields.ignore.is_empty() {
        id.push_str(&format!(":ignore={}", Value::from(fields.ignore.clone())));
    }
    let definition = "fields of the reference value (its scalars and empty containers, by JSON pointer) that the message has equal, among all \
                      of them; numbers by value, all else exactly; of several references the best; fields that are too many are counted beside it";
    Metric::new(id, definition, move |case, answer| {
        let read_texts =
            || case.references.iter().map(|text| serde_json::from_str(text)).collect::<Result<Vec<_>, _>>();
        let references = match read_texts() {
            _ if !case.values.is_empty() => case.values.clone(),
            Ok(values) => values,
            Err(_) => return Score::unscored(Unscored::MalformedCase),
        };
        let (value, outcome) = match read(answer) {
            Ok(value) => (Some(value), "compared"),
            Err(outcome) => (None, outcome),
        };
        let compared = references.iter().map(|reference| compare(reference, value.as_ref(), &fields));
        // More of them right is better, and then fewer that are too many; of equal ones the first.
        let better = |one: &FieldCounts, other: &FieldCounts| {
            let (right, other_right) = (one.right * other.expected, other.right * one.expected);
            right > other_right || (right == other_right && one.extra < other.extra)
        };
        let best = compared
            .filter(|counts| counts.expected > 0)
            .reduce(|best, counts| if better(&counts, &best) { counts } else { best });
        let Some(counts) = best else { return Score::unscored(Unscored::NoReference) };
        let basis = [counts.right, counts.expected, counts.extra].map(|n| n as f64).to_vec();
        Score::value(counts.right as f64 / counts.expected as f64)
            .with_outcome(outcome)
            .with_basis(Basis::Counts(basis))
    })
}

/// Compares a value with a reference, field by field. `None`: there is no value.
///
/// By hand: `{"a": 1, "b": [2, 3]}` has three fields; `{"a": 1.0, "b": [2], "c": 0}` has two of them right and one too many.
#[must_use]
pub fn compare(reference: &Value, value: Option<&Value>, fields: &Fields) -> FieldCounts {
    let mut counts = FieldCounts::default();
    leaves(reference, &mut Vec::new(), &mut |pointer, expected| {
        if fields.ignores(pointer) {
            return;
        }
        counts.expected += 1;
        let found = value.and_then(|value| at(value, pointer));
        counts.right += usize::from(found.is_some_and(|found| same(found, expected, fields.tolerance)));
    });
    if let Some(value) = value {
        leaves(value, &mut Vec::new(), &mut |pointer, _| {
            let is_leaf = at(reference, pointer).is_some_and(is_leaf);
            counts.extra += usize::from(!is_leaf && !fields.ignores(pointer));
        });
    }
    counts
}

impl Fields {
    fn ignores(&self, pointer: &[String]) -> bool {
        self.ignore.iter().any(|ignored| {
            let mut segments = ignored.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"));
            let mut fits = true;
            for name in pointer {
                match segments.next() {
                    // What is below something ignored is ignored.
                    None => return fits,
                    Some(segment) => fits &= segment == "*" || segment == *name,
                }
            }
            fits && segments.next().is_none()
        })
    }
}

fn is_leaf(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => true,
    }
}

fn leaves(value: &Value, pointer: &mut Vec<String>, each: &mut impl FnMut(&[String], &Value)) {
    let mut below = |name: String, value: &Value| {
        pointer.push(name);
        leaves(value, pointer, each);
        pointer.pop();
    };
    match value {
        Value::Array(elements) if !elements.is_empty() => {
            elements.iter().enumerate().for_each(|(idx, element)| below(idx.to_string(), element));
        }
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(name, member)| below(name.clone(), member));
        }
        leaf => each(pointer, leaf),
    }
}

fn at<'v>(value: &'v Value, pointer: &[String]) -> Option<&'v Value> {
    pointer.iter().try_fold(value, |value, name| match value {
        Value::Array(elements) => elements.get(name.parse::<usize>().ok().filter(|idx| idx.to_string() == *name)?),
        Value::Object(members) => members.get(name),
        _ => None,
    })
}

/// Equal, numbers by value and up to a tolerance relative to the larger one.
fn same(one: &Value, other: &Value, tolerance: f64) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one != other => {
            let (Some(a), Some(b)) = (one.as_f64(), other.as_f64()) else { return false };
            // Two integers that a double cannot tell apart are equal only when they are the same.
            let are_integers = !one.is_f64() && !other.is_f64();
            if tolerance == 0.0 { a == b && !are_integers } else { (a - b).abs() <= tolerance * a.abs().max(b.abs()) }
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other, tolerance))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other, tolerance)))
        }
        _ => one == other,
    }
}

/// The message as JSON, or what it is instead.
fn read(answer: &Answer) -> Result<Value, &'static str> {
    serde_json::from_str(&answer.text).map_err(|_| if fenced(&answer.text) { "fenced" } else { "not_json" })
}

/// Whether the message is one fence of a code block with JSON in it, words around it or not.
fn fenced(text: &str) -> bool {
    let mut parts = text.split("```");
    let (Some(_), Some(inside), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let inside = inside.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    serde_json::from_str::<Value>(inside).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::named;
    use super::*;

    fn check(name: &str, settings: Value, case: &Case, text: &str) -> (Option<f64>, String) {
        let answer = Answer { text: text.to_owned(), ..Answer::default() };
        let score = named(name, &settings).unwrap().score(case, &answer);
        (score.as_value(), score.outcome.unwrap_or_default().into_owned())
    }

    #[test]
    fn a_fence_is_wrong_and_seen() {
        let valid = |text| check("json_valid", Value::Null, &Case::default(), text);
        assert_eq!(valid(" {\"a\": 1}\n"), (Some(1.0), "valid".into()));
        assert_eq!(valid("```json\n{\"a\": 1}\n```"), (Some(0.0), "fenced".into()));
        assert_eq!(valid("{\"a\": 1} ok"), (Some(0.0), "not_json".into()));
    }

    #[test]
    fn an_answer_follows_its_schema_or_not_or_nobody_knows() {
        let case = Case { schema: Some(json!({ "type": "object", "required": ["a"] })), ..Case::default() };
        let follows = |case: &Case, text| check("json_schema", Value::Null, case, text);
        assert_eq!(follows(&case, "{\"a\": 1}"), (Some(1.0), "valid".into()));
        assert_eq!(follows(&case, "{}"), (Some(0.0), "invalid".into()));
        assert_eq!(follows(&case, "```\n{\"a\": 1}\n```"), (Some(0.0), "fenced".into()));
        let elsewhere = Case { schema: Some(json!({ "$ref": "https://example.com/s" })), ..Case::default() };
        assert_eq!(follows(&elsewhere, "{}"), (None, "reference".into()));
        assert_eq!(follows(&Case::default(), "{}").0, None);
        let beside = json!({ "documents": { "https://example.com/s": { "required": ["b"] } } });
        assert_eq!(check("json_schema", beside.clone(), &elsewhere, "{}"), (Some(0.0), "invalid".into()));
        assert_eq!(check("json_schema", beside, &elsewhere, r#"{"b": 1}"#), (Some(1.0), "valid".into()));
    }

    #[test]
    fn documents_are_part_of_the_id_and_what_is_none_is_told() {
        let id = |settings| named("json_schema", &settings).map(|metric| metric.id).map_err(|error| error.to_string());
        let one = id(json!({ "documents": { "urn:a": true } })).unwrap();
        assert!(one.starts_with("json_schema@2020-12:documents=") && one.len() == 42, "{one}");
        assert_ne!(id(json!({ "documents": { "urn:a": false } })).unwrap(), one);
        assert_eq!(id(json!({ "documents": {} })).unwrap(), "json_schema@2020-12");
        for (settings, problem) in [
            (json!({ "documents": { "a.json": {} } }), "`documents`: `a.json` is no URI with a scheme"),
            (json!({ "documents": { "urn:a": { "type": 3 } } }), "`urn:a` is no JSON Schema of draft 2020-12"),
            (
                json!({ "schema": { "$ref": "urn:b" }, "documents": { "urn:a": {} } }),
                "not validated against: reference",
            ),
        ] {
            let error = id(settings).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn json_among_words_is_found_where_that_is_asked() {
        let found = |settings, text| check("contains_json", settings, &Case::default(), text);
        assert_eq!(found(Value::Null, "Here [x] it is:\n```json\n{\"a\": 1}\n```"), (Some(1.0), "valid".into()));
        assert_eq!(found(Value::Null, "none {here"), (Some(0.0), "not_json".into()));
        let schema = json!({ "schema": { "type": "object", "required": ["b"] } });
        assert_eq!(found(schema.clone(), "[1] and {\"b\": {}}"), (Some(1.0), "valid".into()));
        assert_eq!(found(schema, "{\"a\": {\"b\": 1}}"), (Some(0.0), "invalid".into()));
        assert!(found(Value::Null, &"[".repeat(100_000)).0 == Some(0.0));
    }

    #[test]
    fn fields_are_counted_as_worked_out_by_hand() {
        let reference = json!({ "a": 1, "b": [2, 3] });
        let value = json!({ "a": 1.0, "b": [2], "c": 0 });
        let counts = compare(&reference, Some(&value), &Fields::default());
        assert_eq!(counts, FieldCounts { right: 2, expected: 3, extra: 1 });
        let fields = Fields { tolerance: 0.0, ignore: vec!["/b/*".into()] };
        assert_eq!(compare(&reference, Some(&value), &fields), FieldCounts { right: 1, expected: 1, extra: 1 });
        let case = Case { values: vec![reference], ..Case::default() };
        let settings = json!({ "tolerance": 0.01 });
        assert_eq!(
            check("field_accuracy", settings, &case, r#"{"a": 1.005, "b": [2, 3]}"#),
            (Some(1.0), "compared".into())
        );
        assert_eq!(check("field_accuracy", Value::Null, &case, "none"), (Some(0.0), "not_json".into()));
        let any = Case { values: vec![json!({ "a": 1 }), json!({ "a": 2, "b": 3 })], ..Case::default() };
        assert_eq!(check("field_accuracy", Value::Null, &any, r#"{"a": 2}"#).0, Some(0.5));
        assert_eq!(check("field_accuracy", Value::Null, &any, r#"{"a": 1}"#).0, Some(1.0));
    }

    #[test]
    fn a_path_asserts_that_something_is_there() {
        let found = |settings| check("json_path", settings, &Case::default(), r#"{"items": [{"id": 7}]}"#).0;
        assert_eq!(found(json!({ "path": "$.items[*].id" })), Some(1.0));
        assert_eq!(found(json!({ "path": "$.items[*].id", "equals": 7.0 })), Some(1.0));
        assert_eq!(found(json!({ "path": "$.items[1]" })), Some(0.0));
        assert!(named("json_path", &json!({ "path": "items" })).unwrap_err().to_string().contains("begins with"));
    }
}
