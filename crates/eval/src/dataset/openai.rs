//! Lines of others: OpenAI evals, the items of its Evals API, and chats with their answer.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::own::{asking, check_messages};
use super::{Columns, Problems};
use crate::case::{Case, text_of};
use crate::metric::calls::unreadable;

type Beside<'a> = (&'a mut BTreeMap<String, u64>, &'a mut Problems);

const INPUTS: [&str; 4] = ["input", "messages", "question", "prompt"];
const ANSWERS: [&str; 8] =
    ["ideal", "expected", "answer", "reference", "label", "correct_label", "reference_answer", "output"];

/// `{"input": chat or text, "ideal": text or texts}`, or the same within `item`.
pub(super) fn eval(line: usize, value: Value, columns: &Columns, (left_out, problems): Beside<'_>) -> Option<Case> {
    let Value::Object(mut members) = value else {
        problems.note(line, "", "expected an object");
        return None;
    };
    let mut prefix = "";
    if let Some(item) = members.remove("item") {
        // The answer that some model gave is not part of what is asked.
        members.keys().for_each(|name| count(left_out, name));
        let Value::Object(item) = item else {
            problems.note(line, "item", "expected an object");
            return None;
        };
        (members, prefix) = (item, "item.");
    }
    let input = found(&members, columns.input.as_deref(), &INPUTS);
    let answer_name = found(&members, columns.expected.as_deref(), &ANSWERS);
    let Some(input) = input else {
        problems.note(line, format!("{prefix}{}", columns.input.as_deref().unwrap_or("input")), "missing");
        return None;
    };
    let request = match members.remove(&input) {
        Some(Value::String(text)) => asking(None, &text),
        messages => {
            if !check_messages(line, &format!("{prefix}{input}"), messages.as_ref(), problems) {
                return None;
            }
            Map::from_iter([("messages".to_owned(), messages.unwrap_or_default())])
        }
    };
    let expected = match answer_name.as_ref().and_then(|name| members.remove(name)) {
        Some(Value::Array(answers)) => answers,
        Some(Value::Null) | None => Vec::new(),
        Some(answer) => vec![answer],
    };
    let wrong = unreadable(&expected);
    for (place, what) in &wrong {
        let place = place.replacen("expected", answer_name.as_deref().unwrap_or("ideal"), 1);
        problems.note(line, format!("{prefix}{place}"), what.clone());
    }
    if !wrong.is_empty() {
        return None;
    }
    let id = columns.id.as_deref().unwrap_or("id");
    let id = members.remove(id).map(|id| plain(&id)).unwrap_or_default();
    let cluster = members.remove(columns.cluster.as_deref().unwrap_or("cluster")).map(|value| plain(&value));
    let slices = columns.slices.iter();
    let slices = slices.filter_map(|name| members.remove(name).map(|value| (name.clone(), plain(&value)))).collect();
    members.keys().for_each(|name| count(left_out, &format!("{prefix}{name}")));
    Some(Case { request, expected, slices, cluster, ..Case::asking(id, "", []) })
}

/// `{"messages": [..., answer], "tools"}`, or `{"conversations": [{"from", "value"}]}`.
pub(super) fn chat(line: usize, value: Value, (left_out, problems): Beside<'_>) -> Option<Case> {
    let Value::Object(mut members) = value else {
        problems.note(line, "", "expected an object");
        return None;
    };
    let (field, messages) = match (members.remove("messages"), members.remove("conversations")) {
        (Some(messages), None) => ("messages", messages),
        (None, Some(turns)) => ("conversations", turns_as_messages(line, &turns, problems)?),
        _ => {
            problems.note(line, "messages", "expected `messages`, or `conversations` in its place");
            return None;
        }
    };
    if !check_messages(line, field, Some(&messages), problems) {
        return None;
    }
    let Value::Array(mut messages) = messages else { return None };
    let answer = messages.pop().filter(|last| last["role"] == "assistant" && !messages.is_empty());
    let Some(answer) = answer else {
        problems.note(line, field, "expected a question and, last, the answer to it");
        return None;
    };
    let expected = match &answer["tool_calls"] {
        Value::Null => Value::String(text_of(&answer["content"])),
        calls => json!({ "tool_calls": calls }),
    };
    let wrong = unreadable(std::slice::from_ref(&expected));
    for (place, what) in &wrong {
        problems.note(line, place.replacen("expected", &format!("{field}[{}]", messages.len()), 1), what.clone());
    }
    if !wrong.is_empty() {
        return None;
    }
    let mut request = Map::from_iter([("messages".to_owned(), Value::Array(messages))]);
    for name in ["tools", "functions", "parallel_tool_calls", "response_format"] {
        if let Some(value) = members.remove(name).filter(|value| !value.is_null()) {
            request.insert(name.to_owned(), value);
        }
    }
    let id = members.remove("id").map(|id| plain(&id)).unwrap_or_default();
    members.keys().for_each(|name| count(left_out, name));
    Some(Case { request, expected: vec![expected], ..Case::asking(id, "", []) })
}

fn turns_as_messages(line: usize, turns: &Value, problems: &mut Problems) -> Option<Value> {
    let Value::Array(turns) = turns else {
        problems.note(line, "conversations", "expected a list");
        return None;
    };
    let before = problems.n;
    let mut messages = Vec::with_capacity(turns.len());
    for (idx, turn) in turns.iter().enumerate() {
        let role = match turn["from"].as_str() {
            Some("human" | "user") => "user",
            Some("gpt" | "assistant") => "assistant",
            Some("system") => "system",
            _ => {
                problems.note(line, format!("conversations[{idx}].from"), "expected `system`, `human` or `gpt`");
                continue;
            }
        };
        messages.push(json!({ "role": role, "content": turn["value"] }));
    }
    (problems.n == before).then_some(Value::Array(messages))
}

fn found(members: &Map<String, Value>, named: Option<&str>, usual: &[&str]) -> Option<String> {
    match named {
        Some(name) => members.contains_key(name).then(|| name.to_owned()),
        None => usual.iter().find(|name| members.contains_key(**name)).map(|name| (*name).to_owned()),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn count(left_out: &mut BTreeMap<String, u64>, name: &str) {
    *left_out.entry(name.to_owned()).or_default() += 1;
}
