//! Our own lines: a case as it is, with two shorter ways to say what is asked.
//!
//! `{"id", "input", "expected"}` is enough. Members: `id`, `request` or `messages` or `input` (with `system`), `expected`,
//! `documents`, `answerable`, `checks`, `slices`, `cluster`, `source`. Any other is an error.

use serde_json::{Map, Value, json};

use super::Problems;
use crate::case::Case;

const MEMBERS: [&str; 12] = [
    "id",
    "request",
    "messages",
    "input",
    "system",
    "expected",
    "documents",
    "answerable",
    "checks",
    "slices",
    "cluster",
    "source",
];

pub(super) fn case(line: usize, value: Value, problems: &mut Problems) -> Option<Case> {
    let before = problems.n;
    let Value::Object(mut members) = value else {
        problems.note(line, "", "expected an object");
        return None;
    };
    for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
        problems.note(line, name, unknown(name, &MEMBERS));
    }
    let request = request(line, &mut members, problems);
    let expected = match members.remove("expected") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(answers)) => answers,
        Some(answer) => vec![answer],
    };
    let slices = slices(line, members.remove("slices"), problems);
    let case = Case {
        id: text(line, "id", &mut members, problems).unwrap_or_default(),
        request: request?,
        expected,
        documents: typed(line, "documents", &mut members, problems).unwrap_or_default(),
        answerable: typed(line, "answerable", &mut members, problems),
        checks: typed(line, "checks", &mut members, problems).unwrap_or_default(),
        slices,
        cluster: text(line, "cluster", &mut members, problems),
        source: typed(line, "source", &mut members, problems),
    };
    (problems.n == before).then_some(case)
}

/// What is wrong with a member nobody knows, with the nearest one that is known.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    let near = known.iter().map(|word| (strsim::jaro_winkler(name, word), word));
    let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    near.map_or_else(|| "unknown member".to_owned(), |(_, word)| format!("unknown member; did you mean `{word}`?"))
}

fn request(line: usize, members: &mut Map<String, Value>, problems: &mut Problems) -> Option<Map<String, Value>> {
    let named: Vec<&str> =
        ["request", "messages", "input"].into_iter().filter(|name| members.contains_key(*name)).collect();
    let [one] = named[..] else {
        let what = if named.is_empty() {
            "one of `request`, `messages` and `input` is missing"
        } else {
            "only one of `request`, `messages` and `input` can be said"
        };
        problems.note(line, named.first().copied().unwrap_or_default(), what);
        return None;
    };
    let system = text(line, "system", members, problems);
    if system.is_some() && one != "input" {
        problems.note(line, "system", "goes with `input`; elsewhere it is a message");
    }
    match (one, members.remove(one)) {
        ("request", Some(Value::Object(request))) => {
            if request.contains_key("model") {
                problems.note(line, "request.model", "a case names no model: the targets of a run do");
            }
            let messages = request.get("messages").cloned();
            check_messages(line, "request.messages", messages.as_ref(), problems).then_some(request)
        }
        ("messages", messages) => {
            let valid = check_messages(line, "messages", messages.as_ref(), problems);
            valid.then(|| Map::from_iter([("messages".to_owned(), messages.unwrap_or_default())]))
        }
        ("input", Some(Value::String(input))) => Some(asking(system.as_deref(), &input)),
        (field, _) => {
            problems.note(line, field, if field == "input" { "expected a text" } else { "expected an object" });
            None
        }
    }
}

/// The request that asks one question.
pub(super) fn asking(system: Option<&str>, input: &str) -> Map<String, Value> {
    let system = system.map(|text| json!({ "role": "system", "content": text }));
    let messages: Vec<Value> = system.into_iter().chain([json!({ "role": "user", "content": input })]).collect();
    Map::from_iter([("messages".to_owned(), Value::Array(messages))])
}

/// Whether they are messages of a chat; what is wrong is noted.
pub(super) fn check_messages(line: usize, field: &str, messages: Option<&Value>, problems: &mut Problems) -> bool {
    const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];
    let before = problems.n;
    let Some(Value::Array(messages)) = messages else {
        problems.note(line, field, "expected a list of messages");
        return false;
    };
    if messages.is_empty() {
        problems.note(line, field, "expected at least one message");
    }
    for (idx, message) in messages.iter().enumerate() {
        match &message["role"] {
            Value::String(role) if ROLES.contains(&role.as_str()) => {}
            Value::String(role) => {
                problems.note(
                    line,
                    format!("{field}[{idx}].role"),
                    format!("`{role}` is none of {}", ROLES.join(", ")),
                );
            }
            _ => problems.note(line, format!("{field}[{idx}].role"), "expected a text"),
        }
        let content = &message["content"];
        let calls_tools = message["role"] == "assistant" && !message["tool_calls"].is_null();
        if !(content.is_string() || content.is_array() || (content.is_null() && calls_tools)) {
            problems.note(line, format!("{field}[{idx}].content"), "expected a text or a list of parts");
        }
    }
    problems.n == before
}

fn slices(line: usize, value: Option<Value>, problems: &mut Problems) -> std::collections::BTreeMap<String, String> {
    match value {
        None | Some(Value::Null) => Default::default(),
        Some(Value::Object(members)) => members
            .into_iter()
            .filter_map(|(name, value)| match value {
                Value::String(text) => Some((name, text)),
                Value::Number(_) | Value::Bool(_) => Some((name, value.to_string())),
                _ => {
                    problems.note(line, format!("slices.{name}"), "expected a text, a number or true or false");
                    None
                }
            })
            .collect(),
        Some(_) => {
            problems.note(line, "slices", "expected an object of texts");
            Default::default()
        }
    }
}

fn text(line: usize, name: &str, members: &mut Map<String, Value>, problems: &mut Problems) -> Option<String> {
    match members.remove(name)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        Value::Number(number) if name != "system" => Some(number.to_string()),
        _ => {
            problems.note(line, name, "expected a text");
            None
        }
    }
}

fn typed<T: serde::de::DeserializeOwned>(
    line: usize,
    name: &str,
    members: &mut Map<String, Value>,
    problems: &mut Problems,
) -> Option<T> {
    let value = members.remove(name)?;
    if value.is_null() {
        return None;
    }
    serde_json::from_value(value).map_err(|error| problems.note(line, name, error.to_string())).ok()
}
