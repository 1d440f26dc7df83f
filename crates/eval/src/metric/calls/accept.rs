//! Whether one call is one that is accepted.

use serde_json::{Map, Number, Value};

use super::super::Tool;
use super::{Malformed, Parsed};

/// What is wrong with a call, the farthest from right first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// More calls, or fewer, than are right.
    Count,
    /// Another tool than the right one.
    Name,
    /// A required argument is missing, or one that may not be left out.
    UnderSpecified,
    /// An argument that the tool or the case does not know.
    OverSpecified,
    /// An argument of another type.
    Type,
    /// An argument of another value.
    Value,
}

impl Mismatch {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mismatch::Count => "wrong_count",
            Mismatch::Name => "wrong_tool",
            Mismatch::UnderSpecified => "under_specified",
            Mismatch::OverSpecified => "over_specified",
            Mismatch::Type => "wrong_type",
            Mismatch::Value => "wrong_value",
        }
    }
}

/// Python's types, as BFCL tells values apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Integer,
    Float,
    Text,
    List,
    Object,
}

impl Kind {
    fn of(value: &Value) -> Kind {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            Value::Number(number) if number.is_f64() => Kind::Float,
            Value::Number(_) => Kind::Integer,
            Value::String(_) => Kind::Text,
            Value::Array(_) => Kind::List,
            Value::Object(_) => Kind::Object,
        }
    }

    /// The type a schema names. `None`: one that BFCL does not know, so that the accepted values say it.
    pub(super) fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "string" | "any" => Kind::Text,
            "integer" => Kind::Integer,
            "float" | "number" => Kind::Float,
            "boolean" => Kind::Boolean,
            "array" | "tuple" => Kind::List,
            "dict" | "object" => Kind::Object,
            _ => return None,
        })
    }
}

/// Whether `call` is one of the tool called `name` with accepted arguments.
pub(super) fn call(
    tool: &Tool,
    name: &str,
    call: &Parsed,
    accepted: &Map<String, Value>,
) -> Result<Result<(), Mismatch>, Malformed> {
    if call.name != name {
        return Ok(Err(Mismatch::Name));
    }
    let required = tool.parameters["required"].as_array().map_or(&[][..], Vec::as_slice);
    if required.iter().filter_map(Value::as_str).any(|name| !call.arguments.contains_key(name)) {
        return Ok(Err(Mismatch::UnderSpecified));
    }
    // What cannot be read matters only where nothing else is wrong: arguments have no order.
    let mut is_readable = true;
    for (argument, value) in &call.arguments {
        let (Some(schema), Some(accepted)) = (tool.parameters["properties"].get(argument), accepted.get(argument))
        else {
            return Ok(Err(Mismatch::OverSpecified));
        };
        match accepted.as_array().ok_or(Malformed).and_then(|accepted| one(schema, value, accepted)) {
            Ok(Ok(())) => {}
            Ok(Err(mismatch)) => return Ok(Err(mismatch)),
            Err(Malformed) => is_readable = false,
        }
    }
    for (_, values) in accepted.iter().filter(|(argument, _)| !call.arguments.contains_key(*argument)) {
        match may_be_left_out(values) {
            Ok(true) => {}
            Ok(false) => return Ok(Err(Mismatch::UnderSpecified)),
            Err(Malformed) => is_readable = false,
        }
    }
    if is_readable { Ok(Ok(())) } else { Err(Malformed) }
}

/// Whether one argument is accepted.
fn one(schema: &Value, value: &Value, accepted: &[Value]) -> Result<Result<(), Mismatch>, Malformed> {
    let of_accepted = accepted.iter().find(|value| **value != "").map(Kind::of);
    let expected = schema["type"].as_str().and_then(Kind::named).or(of_accepted).ok_or(Malformed)?;
    let nested = match expected {
        Kind::List => schema["items"]["type"].as_str().and_then(Kind::named),
        _ => None,
    };
    let as_float;
    let value = match value {
        Value::Number(number) if expected == Kind::Float && !number.is_f64() => {
            as_float = number.as_f64().and_then(Number::from_f64).map(Value::Number).ok_or(Malformed)?;
            &as_float
        }
        value => value,
    };
    let Some(is_variable) = typed(value, accepted, expected, nested) else { return Ok(Err(Mismatch::Type)) };
    let is_accepted = match (value, expected) {
        _ if is_variable => contains(accepted, value),
        (Value::Object(object), Kind::Object) => dictionary(object, accepted)?,
        (Value::Array(list), Kind::List) if nested == Some(Kind::Object) => dictionaries(list, accepted)?,
        (Value::String(text), Kind::Text) => {
            let text = standard(text);
            accepted.iter().filter_map(Value::as_str).any(|one| standard(one) == text)
        }
        (Value::Array(list), Kind::List) => in_lists(list, accepted)?,
        _ => contains(accepted, value),
    };
    Ok(if is_accepted { Ok(()) } else { Err(Mismatch::Value) })
}

/// `None` when the type is wrong; else whether the value stands for another type than the schema's, as a variable does.
fn typed(value: &Value, accepted: &[Value], expected: Kind, nested: Option<Kind>) -> Option<bool> {
    let of_accepted = accepted.iter().find(|value| **value != "").map(Kind::of);
    if Kind::of(value) != expected {
        return (of_accepted == Some(Kind::of(value))).then_some(true);
    }
    let is_variable = of_accepted.is_some_and(|kind| kind != expected);
    let (Some(nested), Value::Array(elements)) = (nested, value) else { return Some(is_variable) };
    let fits = accepted.iter().any(|one| match one {
        Value::Array(one) => elements.iter().all(|element| typed(element, one, nested, None).is_some()),
        _ => true,
    });
    fits.then_some(is_variable)
}

/// A list against lists of which one has to be equal, texts in standard form.
fn in_lists(list: &[Value], accepted: &[Value]) -> Result<bool, Malformed> {
    let list: Vec<Value> = list.iter().map(standard_value).collect();
    let mut found = false;
    for one in accepted {
        found |= equal(&Value::Array(elements(one)?), &Value::Array(list.clone()));
    }
    Ok(found)
}

/// A dictionary against dictionaries of accepted values.
fn dictionary(object: &Map<String, Value>, accepted: &[Value]) -> Result<bool, Malformed> {
    for one in accepted.iter().filter(|one| **one != "") {
        let one = one.as_object().ok_or(Malformed)?;
        let mut fits = true;
        for (key, value) in object {
            let Some(values) = one.get(key) else {
                fits = false;
                break;
            };
            if !contains(&elements(values)?, &standard_value(value)) {
                fits = false;
                break;
            }
        }
        for (_, values) in one.iter().filter(|(key, _)| !object.contains_key(*key)) {
            fits &= may_be_left_out(values)?;
        }
        if fits {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A list of dictionaries against lists of the same length, element by element.
fn dictionaries(list: &[Value], accepted: &[Value]) -> Result<bool, Malformed> {
    for one in accepted {
        let one = match one {
            Value::Array(one) => one.clone(),
            Value::String(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
            _ => return Err(Malformed),
        };
        if one.len() != list.len() {
            continue;
        }
        let mut fits = true;
        for (value, accepted) in list.iter().zip(&one) {
            fits = match value {
                Value::Object(object) => dictionary(object, std::slice::from_ref(accepted))?,
                _ => false,
            };
            if !fits {
                break;
            }
        }
        if fits {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the accepted values have the empty text among them.
fn may_be_left_out(accepted: &Value) -> Result<bool, Malformed> {
    match accepted {
        Value::Array(values) => Ok(values.iter().any(|value| *value == "")),
        // Python finds the empty text in every text.
        Value::String(_) => Ok(true),
        _ => Err(Malformed),
    }
}

/// The elements of a list in standard form; a text is the list of its characters, as in Python.
fn elements(value: &Value) -> Result<Vec<Value>, Malformed> {
    match value {
        Value::Array(values) => Ok(values.iter().map(standard_value).collect()),
        Value::String(text) => Ok(text.chars().map(|c| Value::from(standard(&c.to_string()))).collect()),
        _ => Err(Malformed),
    }
}

fn standard_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(standard(text)),
        other => other.clone(),
    }
}

/// Without ` ,./-_*^`, in lower case, with double quotes.
fn standard(text: &str) -> String {
    let text: String = text.chars().filter(|c| !" ,./-_*^".contains(*c)).collect();
    text.to_lowercase().replace('\'', "\"")
}

fn contains(values: &[Value], value: &Value) -> bool {
    values.iter().any(|one| equal(one, value))
}

/// Python's `==`: 1, 1.0 and True are equal.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => match (number(one), number(other)) {
            (Some(one), Some(other)) => same(&one, &other),
            _ => one == other,
        },
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(yes) => Some(Number::from(u8::from(*yes))),
        Value::Number(number) => Some(number.clone()),
        _ => None,
    }
}

/// Exactly equal, whatever the type.
#[expect(clippy::cast_possible_truncation, reason = "a whole double below 2^70 is exact in 128 bits")]
fn same(one: &Number, other: &Number) -> bool {
    let whole = |number: &Number| {
        let of_double = || number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e21).map(|n| n as i128);
        number.as_i128().or_else(of_double)
    };
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.as_f64() == other.as_f64(),
        _ => false,
    }
}
