//! The calls that a case expects, in any of the forms in which files have them.
//!
//! * nested, as `OpenAI`'s messages have it: `{"type": "function", "function": {"name": "look", "arguments": "{\"id\": 1}"}}`;
//! * flat: `{"name": "look", "arguments": {"id": 1}}`. In both, arguments are an object or its text, and nothing but them is right;
//! * possible answers, as BFCL has them: `{"look": {"id": [1, 2], "lang": ["en", ""]}}`: of each argument every value that is right, the empty text
//!   among them where it may be left out.
//!
//! Whatever is none of these is an error: an expected call that nobody can read says nothing about what is right, and least of all that no call is.

use serde_json::{Map, Value};

use super::super::Tool;
use super::accept::Kind;

/// What the forms are called where one of them was wanted.
const FORMS: &str = "expected a call: `{\"name\", \"arguments\"}`, the same within `function`, or the values that are right as \
                     `{\"NAME\": {\"ARGUMENT\": [VALUE]}}`";

/// A call that is right.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// This one.
    Exactly {
        /// The tool.
        name: String,
        /// Its arguments.
        arguments: Map<String, Value>,
    },
    /// One of the tool with any of these values.
    AnyOf {
        /// The tool.
        name: String,
        /// By argument, a list of values.
        accepted: Map<String, Value>,
    },
}

impl Expected {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it: the place within the call, empty where it is the whole, and what.
    pub fn read(call: &Value) -> Result<Expected, (String, String)> {
        let at = |place: &str, what: &str| (place.to_owned(), what.to_owned());
        let Value::Object(members) = call else { return Err(at("", FORMS)) };
        if call["function"]["name"].is_string() {
            return plain(&call["function"], "function.");
        }
        if members.get("name").is_some_and(Value::is_string) {
            return plain(call, "");
        }
        let (Some((name, Value::Object(accepted))), 1) = (members.iter().next(), members.len()) else {
            return Err(at("", FORMS));
        };
        for (argument, values) in accepted {
            if !values.is_array() {
                let what = "expected a list of the values that are right, `\"\"` among them where it may be left out";
                return Err((format!("{name}.{argument}"), what.to_owned()));
            }
        }
        Ok(Expected::AnyOf { name: name.clone(), accepted: accepted.clone() })
    }

    /// The call as BFCL's rules compare it: the accepted values of each argument. How an argument of which there is one value is written in that
    /// form is for its schema to say: of an object each member has a list of values, too, and so have the objects of a list of objects.
    pub(super) fn as_accepted(&self, tools: &[Tool]) -> Value {
        let (name, accepted) = match self {
            Expected::AnyOf { name, accepted } => (name, accepted.clone()),
            Expected::Exactly { name, arguments } => {
                let tool = tools.iter().find(|tool| tool.name == *name);
                let accepted = arguments.iter().map(|(argument, value)| {
                    let schema = tool.map_or(&Value::Null, |tool| &tool.parameters["properties"][argument]);
                    (argument.clone(), Value::Array(vec![only(value, schema)]))
                });
                (name, accepted.collect())
            }
        };
        Value::Object(Map::from_iter([(name.clone(), Value::Object(accepted))]))
    }

    /// One call that is right: of several values of an argument the first, and none of what may be left out.
    #[must_use]
    pub fn example(&self) -> (&str, Map<String, Value>) {
        match self {
            Expected::Exactly { name, arguments } => (name, arguments.clone()),
            Expected::AnyOf { name, accepted } => (name, firsts(accepted)),
        }
    }
}

/// What is wrong with the calls among what a case expects: where in it, and what.
#[must_use]
pub fn unreadable(expected: &[Value]) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for (idx, calls) in expected.iter().enumerate().filter_map(|(idx, one)| Some((idx, one.get("tool_calls")?))) {
        let place = if expected.len() == 1 { "expected".to_owned() } else { format!("expected[{idx}]") };
        match calls {
            Value::Array(calls) => wrong.extend(calls.iter().enumerate().filter_map(|(idx, call)| {
                let (within, what) = Expected::read(call).err()?;
                let dot = if within.is_empty() { "" } else { "." };
                Some((format!("{place}.tool_calls[{idx}]{dot}{within}"), what))
            })),
            _ => wrong.push((
                format!("{place}.tool_calls"),
                "expected a list of calls; `[]` says that no call is right".to_owned(),
            )),
        }
    }
    wrong
}

fn plain(call: &Value, place: &str) -> Result<Expected, (String, String)> {
    let wrong = |what: String| Err((format!("{place}arguments"), what));
    let arguments = match &call["arguments"] {
        Value::Object(arguments) => arguments.clone(),
        // Some servers say so that there are none.
        Value::String(text) if text.trim().is_empty() => Map::new(),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(arguments)) => arguments,
            Ok(_) => return wrong("expected the text of an object".to_owned()),
            Err(error) => return wrong(format!("not JSON at column {}", error.column())),
        },
        Value::Null => return wrong("missing; `{}` says that there are none".to_owned()),
        _ => return wrong("expected an object, or its text".to_owned()),
    };
    Ok(Expected::Exactly { name: call["name"].as_str().unwrap_or_default().to_owned(), arguments })
}

/// A value that alone is right, as an element of the list of accepted ones.
fn only(value: &Value, schema: &Value) -> Value {
    let of = |schema: &Value| schema["type"].as_str().map(Kind::named);
    let of_members = |value: &Value| match value {
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (name.clone(), Value::Array(vec![value.clone()]))).collect(),
        ),
        other => other.clone(),
    };
    match value {
        // Without a type that is known the value's own counts.
        Value::Object(_) if matches!(of(schema), None | Some(None | Some(Kind::Object))) => of_members(value),
        Value::Array(elements)
            if matches!(of(schema), None | Some(None | Some(Kind::List)))
                && of(&schema["items"]) == Some(Some(Kind::Object)) =>
        {
            Value::Array(elements.iter().map(of_members).collect())
        }
        other => other.clone(),
    }
}

fn firsts(accepted: &Map<String, Value>) -> Map<String, Value> {
    let first = |value: &Value| match value {
        Value::Object(members) if members.values().all(Value::is_array) => Value::Object(firsts(members)),
        Value::Array(elements) => Value::Array(
            elements
                .iter()
                .map(|element| match element {
                    Value::Object(members) if members.values().all(Value::is_array) => Value::Object(firsts(members)),
                    other => other.clone(),
                })
                .collect(),
        ),
        other => other.clone(),
    };
    let of = |(name, values): (&String, &Value)| {
        let values = values.as_array()?;
        if values.iter().any(|value| value == "") {
            return None;
        }
        Some((name.clone(), first(values.first()?)))
    };
    accepted.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(call: Value, expected: &str) {
        let told = match Expected::read(&call) {
            Ok(read) => read.as_accepted(&[]).to_string(),
            Err((place, what)) => format!("{place}: {what}"),
        };
        assert!(told.starts_with(expected), "{call}: {told}");
    }

    #[test]
    fn a_call_is_read_in_each_of_its_forms_and_nothing_else_is_one() {
        let look = r#"{"look":{"id":[1]}}"#;
        check(json!({ "type": "function", "function": { "name": "look", "arguments": "{\"id\": 1}" } }), look);
        check(json!({ "name": "look", "arguments": { "id": 1 } }), look);
        check(json!({ "look": { "id": [1] } }), look);
        check(json!({ "function": { "name": ["a"] } }), r#"{"function":{"name":["a"]}}"#);
        check(json!({ "name": "look", "arguments": "" }), r#"{"look":{}}"#);
        // BFCL's own files have arguments of which nothing is right.
        check(json!({ "look": { "id": [] } }), r#"{"look":{"id":[]}}"#);
        check(json!({ "name": "look", "arguments": "{\"id\": " }), "arguments: not JSON at column 7");
        check(json!({ "function": { "name": "look" } }), "function.arguments: missing");
        check(json!({ "look": { "id": 1 } }), "look.id: expected a list of the values");
        check(json!({ "look": 1 }), ": expected a call");
        check(json!("look"), ": expected a call");
    }

    #[test]
    fn of_possible_answers_the_first_is_the_example() {
        let call = json!({ "look": { "id": [1, 2], "lang": ["en", ""], "at": [{ "city": ["Rome", "Roma"] }] } });
        let read = Expected::read(&call).unwrap();
        let (name, arguments) = read.example();
        assert_eq!((name, Value::Object(arguments)), ("look", json!({ "id": 1, "at": { "city": "Rome" } })));
    }
}
