//! A filter as Chroma is asked it.
//!
//! What 1.5.9 was seen to do: it holds a float against integers without what stands behind its point, so that 1 equals 1.5, and against floats as it is; a text equals no list, `$contains` finds the
//! element of a list; `$ne`, `$nin` and `$not_contains` find rows without the field too. It cannot be asked whether a field is there: for that the names of all fields stand in one of their own.

use serde_json::{Value, json};

use super::record::{FIELDS, is_kept};
use crate::facade::filter::{Filter, Order, Scalar, Test};

/// The condition of a filter.
///
/// # Errors
/// What in it cannot be asked of Chroma.
pub(super) fn condition(filter: &Filter) -> Result<Value, String> {
    holds(filter, true)
}

fn holds(filter: &Filter, is_so: bool) -> Result<Value, String> {
    match filter {
        Filter::Not(other) => holds(other, !is_so),
        Filter::And(parts) => joined(parts, is_so, is_so),
        Filter::Or(parts) => joined(parts, !is_so, is_so),
        Filter::Field { name, test } => field(name, test, is_so),
    }
}

fn joined(parts: &[Filter], are_all: bool, is_so: bool) -> Result<Value, String> {
    let parts: Vec<Value> = parts.iter().map(|part| holds(part, is_so)).collect::<Result<_, _>>()?;
    Ok(all_or_some(parts, are_all))
}

fn all_or_some(mut parts: Vec<Value>, are_all: bool) -> Value {
    match parts.len() {
        // A field that nothing has: not to have it is true, to have it is false.
        0 => json!({FIELDS: {if are_all { "$not_contains" } else { "$contains" }: ""}}),
        1 => parts.swap_remove(0),
        _ => json!({if are_all { "$and" } else { "$or" }: parts}),
    }
}

fn field(name: &str, test: &Test, is_so: bool) -> Result<Value, String> {
    if let Test::Exists = test {
        return Ok(json!({FIELDS: {if is_so { "$contains" } else { "$not_contains" }: name}}));
    }
    if !is_kept(name) {
        return Err(format!(
            "`{name}` is no name of a field that Chroma can be asked about: it is empty or begins with `#`, `$`, `chroma:` or `crossfade_`"
        ));
    }
    match test {
        Test::Exists => Ok(Value::Null),
        Test::Order(_, _) if !is_so => Err(format!("`{name}`: that a comparison does not hold Chroma cannot be asked")),
        Test::Order(order, bound) => Ok(ordered(name, *order, *bound)),
        Test::In(values) => Ok(one_of(name, values, is_so)),
    }
}

/// A number that stands so to a bound. What is behind the bound's point is cut off for integers, which moves it towards 0: where that is to the wrong side, who equals it decides.
fn ordered(name: &str, order: Order, bound: f64) -> Value {
    let (sign, below) = match order {
        Order::Greater | Order::GreaterOrEqual => ("$gt", bound > 0.0),
        Order::Less | Order::LessOrEqual => ("$lt", bound < 0.0),
    };
    let with = matches!(order, Order::GreaterOrEqual | Order::LessOrEqual);
    let bare = json!({name: {sign: bound}});
    let or_equal = json!({name: {format!("{sign}e"): bound}});
    match (bound.fract() == 0.0, below, with) {
        (true, _, false) | (false, true, false) => bare,
        (true, _, true) | (false, false, true) => or_equal,
        (false, true, true) => all_or_some(vec![bare, equal(name, bound, true)], false),
        (false, false, false) => all_or_some(vec![or_equal, equal(name, bound, false)], true),
    }
}

/// Whether a number is this one, which is no integer: of integers Chroma takes the one without what is behind the point for it.
fn equal(name: &str, number: f64, is_so: bool) -> Value {
    let (is, is_not) = if is_so { ("$eq", "$ne") } else { ("$ne", "$eq") };
    all_or_some(vec![json!({name: {is: number}}), json!({name: {is_not: number.trunc()}})], is_so)
}

fn one_of(name: &str, values: &[Scalar], is_so: bool) -> Value {
    let (mut texts, mut numbers, mut bools) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match value {
            Scalar::Text(text) => texts.push(text),
            Scalar::Number(number) => numbers.push(*number),
            Scalar::Bool(is_true) => bools.push(*is_true),
        }
    }
    let (is_in, contains) = if is_so { ("$in", "$contains") } else { ("$nin", "$not_contains") };
    let mut parts = Vec::new();
    if !texts.is_empty() {
        parts.push(json!({name: {is_in: texts}}));
        parts.extend(texts.iter().map(|text| json!({name: {contains: text}})));
    }
    let (whole, broken): (Vec<f64>, Vec<f64>) = numbers.into_iter().partition(|number| number.fract() == 0.0);
    if !whole.is_empty() {
        parts.push(json!({name: {is_in: whole}}));
    }
    parts.extend(broken.into_iter().map(|number| equal(name, number, is_so)));
    if !bools.is_empty() {
        parts.push(json!({name: {is_in: bools}}));
    }
    all_or_some(parts, !is_so)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filter: &str, expected: Value) {
        assert_eq!(condition(&Filter::parse(filter).unwrap().unwrap()).unwrap(), expected);
    }

    #[test]
    fn each_test_is_asked_in_what_chroma_understands() {
        check(r#"{"a":5}"#, json!({"a": {"$in": [5.0]}}));
        check(r#"{"a":{"$gt":5}}"#, json!({"a": {"$gt": 5.0}}));
        check(r#"{"a":"x"}"#, json!({"$or": [{"a": {"$in": ["x"]}}, {"a": {"$contains": "x"}}]}));
        check(r#"{"a":0.5}"#, json!({"$and": [{"a": {"$eq": 0.5}}, {"a": {"$ne": 0.0}}]}));
        check(
            r#"{"a":{"$nin":["x",true,1]}}"#,
            json!({"$and": [{"a": {"$nin": ["x"]}}, {"a": {"$not_contains": "x"}}, {"a": {"$nin": [1.0]}}, {"a": {"$nin": [true]}}]}),
        );
        check(r##"{"#a":{"$exists":false}}"##, json!({"crossfade_fields": {"$not_contains": "#a"}}));
        check(
            r#"{"$or":[{"a":true},{}]}"#,
            json!({"$or": [{"a": {"$in": [true]}}, {"crossfade_fields": {"$not_contains": ""}}]}),
        );
    }

    /// Whether a number is found by a condition, as Chroma 1.5.9 was seen to decide.
    fn finds(condition: &Value, number: f64, is_integer: bool) -> bool {
        let (key, value) = condition.as_object().unwrap().iter().next().unwrap();
        if let Some(parts) = value.as_array() {
            let mut found = parts.iter().map(|part| finds(part, number, is_integer));
            return if key == "$and" { found.all(|one| one) } else { found.any(|one| one) };
        }
        let (sign, bound) = value.as_object().unwrap().iter().next().unwrap();
        let cut = |bound: &Value| {
            let bound = bound.as_f64().unwrap();
            if is_integer { bound.trunc() } else { bound }
        };
        match sign.as_str() {
            "$in" => bound.as_array().unwrap().iter().any(|one| cut(one) == number),
            "$nin" => bound.as_array().unwrap().iter().all(|one| cut(one) != number),
            "$eq" => cut(bound) == number,
            "$ne" => cut(bound) != number,
            "$gt" => number > cut(bound),
            "$gte" => number >= cut(bound),
            "$lt" => number < cut(bound),
            "$lte" => number <= cut(bound),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_bound_that_is_no_integer_finds_the_right_integers_and_floats() {
        let numbers = [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5];
        for bound in numbers {
            for operator in ["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"] {
                let text = json!({"a": {operator: bound}}).to_string();
                let filter = Filter::parse(&text).unwrap().unwrap();
                let condition = condition(&filter).unwrap();
                for number in numbers {
                    let metadata = crate::metadata::Metadata::parse(&json!({"a": number}).to_string()).unwrap();
                    let expected = filter.matches(Some(&metadata));
                    assert_eq!(finds(&condition, number, false), expected, "{number} by {text}");
                    if number.fract() == 0.0 {
                        assert_eq!(finds(&condition, number, true), expected, "the integer {number} by {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_it_cannot_be_asked_is_refused() {
        for name in ["#a", "chroma:uri", "crossfade_row"] {
            let filter = Filter::parse(&json!({name: 1}).to_string()).unwrap().unwrap();
            assert!(condition(&filter).unwrap_err().contains("is no name of a field that Chroma can be asked about"));
        }
        let parsed = Filter::parse(r#"{"a":{"$gt":1}}"#).unwrap().unwrap();
        assert!(condition(&Filter::Not(Box::new(parsed))).unwrap_err().contains("does not hold"));
    }
}
