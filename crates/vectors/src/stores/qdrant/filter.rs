//! A filter as Qdrant is asked it.
//!
//! What its engine was seen to do (qdrant-edge 0.9.0): an element of a list is as good as the value itself, which here only texts are; a whole number equals no float, a range holds numbers against each other as 64-bit floats; an empty list
//! is as if it were not there; a name in quotation marks is taken as it stands, and has none itself.

use serde_json::{Value, json};

use super::point::{MARK, NAMED, THERE, named};
use crate::facade::filter::{Filter, Order, Scalar, Test};
use crate::stores::beside::OURS;

/// The condition of a filter.
///
/// # Errors
/// What in it cannot be asked of Qdrant.
pub(super) fn condition(filter: &Filter) -> Result<Value, String> {
    Ok(match filter {
        Filter::Not(other) => json!({"must_not": [condition(other)?]}),
        Filter::And(parts) if parts.is_empty() => json!({"must_not": [{"has_id": [MARK]}]}),
        Filter::And(parts) => json!({"must": parts.iter().map(condition).collect::<Result<Vec<_>, _>>()?}),
        Filter::Or(parts) if parts.is_empty() => json!({"must": [{"has_id": []}]}),
        Filter::Or(parts) => json!({"should": parts.iter().map(condition).collect::<Result<Vec<_>, _>>()?}),
        Filter::Field { name, test } => field(name, test)?,
    })
}

fn field(name: &str, test: &Test) -> Result<Value, String> {
    if name.starts_with(OURS) {
        return Err(format!("`{name}` begins with `{OURS}`: Crossfade keeps such fields for itself there"));
    }
    let path = if name.contains('"') { format!("{NAMED}.{}", named(name)) } else { format!("\"{name}\"") };
    Ok(match test {
        Test::Exists => json!({"should": [
            {"must_not": [{"is_empty": {"key": path}}]},
            {"key": THERE, "match": {"value": name}},
        ]}),
        Test::Order(order, bound) => {
            let sign = match order {
                Order::Greater => "gt",
                Order::GreaterOrEqual => "gte",
                Order::Less => "lt",
                Order::LessOrEqual => "lte",
            };
            alone(&path, "range", &json!({sign: bound}))
        }
        Test::In(values) => json!({"should": one_of(&path, values)}),
    })
}

/// What holds of the value, and not of an element of a list.
fn alone(path: &str, kind: &str, test: &Value) -> Value {
    json!({
        "must": [{"key": path, kind: test}],
        "must_not": [{"key": format!("{path}[]"), kind: test}],
    })
}

fn one_of(path: &str, values: &[Scalar]) -> Vec<Value> {
    let (mut texts, mut parts) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            Scalar::Text(text) => texts.push(text),
            Scalar::Number(number) => parts.push(alone(path, "range", &json!({"gte": number, "lte": number}))),
            Scalar::Bool(is_true) => parts.push(alone(path, "match", &json!({"value": is_true}))),
        }
    }
    if !texts.is_empty() {
        parts.push(json!({"key": path, "match": {"any": texts}}));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filter: &str, expected: Value) {
        assert_eq!(condition(&Filter::parse(filter).unwrap().unwrap()).unwrap(), expected);
    }

    #[test]
    fn each_test_is_asked_in_what_qdrant_understands() {
        check(
            r#"{"a":5}"#,
            json!({"should": [{
                "must": [{"key": "\"a\"", "range": {"gte": 5.0, "lte": 5.0}}],
                "must_not": [{"key": "\"a\"[]", "range": {"gte": 5.0, "lte": 5.0}}],
            }]}),
        );
        check(
            r#"{"a.b":{"$lt":-1}}"#,
            json!({"must": [{"key": "\"a.b\"", "range": {"lt": -1.0}}], "must_not": [{"key": "\"a.b\"[]", "range": {"lt": -1.0}}]}),
        );
        check(
            r#"{"a":{"$nin":["x",true,"y"]}}"#,
            json!({"must_not": [{"should": [
                {"must": [{"key": "\"a\"", "match": {"value": true}}], "must_not": [{"key": "\"a\"[]", "match": {"value": true}}]},
                {"key": "\"a\"", "match": {"any": ["x", "y"]}},
            ]}]}),
        );
        check(
            r#"{"$or":[{"a":{"$exists":true}},{}]}"#,
            json!({"should": [
                {"should": [{"must_not": [{"is_empty": {"key": "\"a\""}}]}, {"key": "crossfade_there", "match": {"value": "a"}}]},
                {"must_not": [{"has_id": [MARK]}]},
            ]}),
        );
    }

    #[test]
    fn a_name_with_a_quotation_mark_is_asked_for_where_it_stands_in_digits() {
        check(r#"{"a\"":"x"}"#, json!({"should": [{"key": "crossfade_named.6122", "match": {"any": ["x"]}}]}));
        let ours = Filter::parse(r#"{"crossfade_row":"x"}"#).unwrap().unwrap();
        assert!(condition(&ours).unwrap_err().contains("begins with `crossfade_`"));
    }
}
