//! A filter as Milvus is asked it: a condition over the field `metadata`, in which a text or a name is written as JSON writes it.
//!
//! What 2.3.5 was seen to do: an integer is held against a float as a float, so numbers are written as floats; a value of another kind, and one that is not there, equals nothing and stands in no order; a list in
//! a condition has values of one kind; `json_contains_any` finds the elements of a list.

use super::record::{KEY, METADATA};
use crate::facade::filter::{Filter, Order, Scalar, Test};

/// What every row is, and what none is.
pub(super) const EVERY: &str = "id >= \"\"";
const NONE: &str = "id < \"\"";

/// The condition of a filter.
///
/// # Errors
/// What in it cannot be asked of Milvus.
pub(super) fn condition(filter: &Filter) -> Result<String, String> {
    Ok(match filter {
        Filter::Not(other) => format!("not ({})", condition(other)?),
        Filter::And(parts) => joined(parts, " and ", EVERY)?,
        Filter::Or(parts) => joined(parts, " or ", NONE)?,
        Filter::Field { name, test } => field(name, test)?,
    })
}

fn joined(parts: &[Filter], word: &str, of_none: &str) -> Result<String, String> {
    let parts: Vec<String> =
        parts.iter().map(|part| Ok(format!("({})", condition(part)?))).collect::<Result<_, String>>()?;
    Ok(if parts.is_empty() { of_none.to_owned() } else { parts.join(word) })
}

fn field(name: &str, test: &Test) -> Result<String, String> {
    if name.is_empty() {
        return Err("a field without a name is none that Milvus can be asked about".to_owned());
    }
    let value = format!("{METADATA}[{}]", quoted(name));
    Ok(match test {
        Test::Exists => format!("exists {value}"),
        Test::Order(order, bound) => {
            let sign = match order {
                Order::Greater => ">",
                Order::GreaterOrEqual => ">=",
                Order::Less => "<",
                Order::LessOrEqual => "<=",
            };
            format!("{value} {sign} {bound:?}")
        }
        Test::In(values) => one_of(&value, values),
    })
}

fn one_of(value: &str, values: &[Scalar]) -> String {
    let (mut texts, mut numbers, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for one in values {
        match one {
            Scalar::Text(text) => texts.push(quoted(text)),
            Scalar::Number(number) => numbers.push(format!("{number:?}")),
            Scalar::Bool(is_true) => parts.push(format!("{value} == {is_true}")),
        }
    }
    if !texts.is_empty() {
        let texts = texts.join(", ");
        parts.push(format!("{value} in [{texts}]"));
        parts.push(format!("json_contains_any({value}, [{texts}])"));
    }
    if !numbers.is_empty() {
        parts.push(format!("{value} in [{}]", numbers.join(", ")));
    }
    parts.join(" or ")
}

/// A text as it stands in a condition.
pub(super) fn quoted(text: &str) -> String {
    // A text always has a form in JSON.
    serde_json::to_string(text).unwrap_or_default()
}

/// Both of two conditions, where there are two.
pub(super) fn both(one: &str, other: &str) -> String {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other.to_owned(),
        (_, true) => one.to_owned(),
        _ => format!("({one}) and ({other})"),
    }
}

/// One of these keys.
pub(super) fn keys(keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
    format!("{KEY} in [{}]", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filter: &str, expected: &str) {
        assert_eq!(condition(&Filter::parse(filter).unwrap().unwrap()).unwrap(), expected);
    }

    #[test]
    fn each_test_is_asked_in_what_milvus_understands() {
        check(r#"{"a":5}"#, r#"metadata["a"] in [5.0]"#);
        check(r#"{"a":{"$gte":-1}}"#, r#"metadata["a"] >= -1.0"#);
        check(r#"{"a":"x"}"#, r#"metadata["a"] in ["x"] or json_contains_any(metadata["a"], ["x"])"#);
        check(r#"{"a":{"$exists":false}}"#, r#"not (exists metadata["a"])"#);
        check(
            r#"{"a":{"$nin":[true,"x",1]}}"#,
            r#"not (metadata["a"] == true or metadata["a"] in ["x"] or json_contains_any(metadata["a"], ["x"]) or metadata["a"] in [1.0])"#,
        );
        check(r#"{"$or":[{"a":true},{}]}"#, r#"(metadata["a"] == true) or (id >= "")"#);
    }

    #[test]
    fn what_is_written_stands_between_its_marks() {
        check(
            r#"{"x\"] or 1 == 1 or m[\"":"\\\" or true"}"#,
            r#"metadata["x\"] or 1 == 1 or m[\""] in ["\\\" or true"] or json_contains_any(metadata["x\"] or 1 == 1 or m[\""], ["\\\" or true"])"#,
        );
        assert!(condition(&Filter::parse(r#"{"":1}"#).unwrap().unwrap()).unwrap_err().contains("without a name"));
    }

    #[test]
    fn two_conditions_are_one_and_none_is_none() {
        assert_eq!((both("", ""), both("a", ""), both("a", "b")), (String::new(), "a".into(), "(a) and (b)".into()));
        assert_eq!(keys(&["a".into(), "\"".into()]), r#"id in ["a", "\""]"#);
    }
}
