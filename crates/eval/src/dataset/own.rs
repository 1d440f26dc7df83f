//! Our own lines: a case as it is, with two shorter ways to say what is asked.
//!
//! `{"id", "input", "expected"}` is enough. Members: `id`, `request` or `messages` or `input` (with `system`) or `query`, `expected`,
//! `documents`, `answerable`, `relevance`, `evidence`, `checks`, `slices`, `cluster`, `source`, `code`, `verdicts`. Any other is an error.

use serde_json::{Map, Value, json};

use super::Problems;
use crate::case::{Case, Document};
use crate::metric::calls::unreadable;
use crate::metric::citations::stands;
use crate::run::Scorer;

const MEMBERS: [&str; 17] = [
    "id",
    "request",
    "messages",
    "input",
    "query",
    "system",
    "expected",
    "documents",
    "answerable",
    "relevance",
    "evidence",
    "checks",
    "slices",
    "cluster",
    "source",
    "code",
    "verdicts",
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
    let documents: Vec<Document> = typed(line, "documents", &mut members, problems).unwrap_or_default();
    let request = request(line, (&mut members, &documents), problems);
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
        documents,
        answerable: typed(line, "answerable", &mut members, problems),
        checks: typed(line, "checks", &mut members, problems).unwrap_or_default(),
        slices,
        cluster: text(line, "cluster", &mut members, problems),
        source: typed(line, "source", &mut members, problems),
        relevance: typed(line, "relevance", &mut members, problems),
        evidence: typed(line, "evidence", &mut members, problems).unwrap_or_default(),
        code: typed(line, "code", &mut members, problems),
        verdicts: typed(line, "verdicts", &mut members, problems).unwrap_or_default(),
    };
    check_labels(line, &case, problems);
    for (place, what) in unreadable(&case.expected) {
        problems.note(line, place, what);
    }
    for (idx, verdict) in case.verdicts.iter().enumerate() {
        if let Some((member, what)) = verdict.problem(&case.documents) {
            let dot = if member.is_empty() { "" } else { "." };
            problems.note(line, format!("verdicts[{idx}]{dot}{member}"), what);
        }
    }
    for (idx, check) in case.checks.iter().enumerate() {
        if let Err(error) = Scorer::check(check) {
            problems.note(line, format!("checks[{idx}]"), error.to_string());
        }
    }
    (problems.n == before).then_some(case)
}

/// What is wrong with a member nobody knows, with the nearest one that is known.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    let near = known.iter().map(|word| (strsim::jaro_winkler(name, word), word));
    let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    near.map_or_else(|| "unknown member".to_owned(), |(_, word)| format!("unknown member; did you mean `{word}`?"))
}

/// Notes labels that contradict the case's documents.
fn check_labels(line: usize, case: &Case, problems: &mut Problems) {
    for (id, gain) in case.relevance.iter().flatten().filter(|(_, gain)| !gain.is_finite() || **gain < 0.0) {
        problems.note(
            line,
            format!("relevance.{id}"),
            format!("`{gain}` is no relevance: 0 is none, and more is more"),
        );
    }
    let is_labelled = case.relevance.is_some() || !case.evidence.is_empty() || case.ranks().is_some();
    for (idx, document) in case.documents.iter().enumerate().filter(|_| is_labelled) {
        if case.documents[..idx].iter().any(|other| other.id == document.id) {
            problems.note(line, format!("documents[{idx}].id"), format!("`{}` is there already", document.id));
        }
    }
    for (idx, evidence) in case.evidence.iter().enumerate() {
        let shown = case.documents.iter().find(|document| document.id == evidence.document);
        if evidence.text.trim().is_empty() {
            problems.note(line, format!("evidence[{idx}].text"), "expected the words of a document");
        } else if shown.is_some_and(|document| stands(&evidence.text, &document.text).is_none()) {
            let what = format!("these words do not stand in the document `{}`", evidence.document);
            problems.note(line, format!("evidence[{idx}].text"), what);
        }
    }
}

/// The place in a text of a question for its documents.
const DOCUMENTS: &str = "{{documents}}";

/// The text with the documents in their place, each with the number it is cited by.
fn with_documents(text: &str, documents: &[Document]) -> String {
    if documents.is_empty() || !text.contains(DOCUMENTS) {
        return text.to_owned();
    }
    let numbered = documents.iter().enumerate().map(|(idx, document)| format!("[{}] {}", idx + 1, document.text));
    text.replace(DOCUMENTS, &numbered.collect::<Vec<_>>().join("\n"))
}

/// What documents are to be ranked for.
fn ranking(
    line: usize,
    field: &str,
    request: Map<String, Value>,
    problems: &mut Problems,
) -> Option<Map<String, Value>> {
    let before = problems.n;
    match request.get("query") {
        Some(Value::String(query)) if query.trim().is_empty() => problems.note(line, field, "empty"),
        Some(Value::String(_)) => {}
        _ => problems.note(line, field, "expected a text"),
    }
    if request.contains_key("documents") {
        problems.note(line, "request.documents", "the documents that are ranked are those of the case");
    }
    (problems.n == before).then_some(request)
}

fn request(
    line: usize,
    (members, documents): (&mut Map<String, Value>, &[Document]),
    problems: &mut Problems,
) -> Option<Map<String, Value>> {
    let named: Vec<&str> =
        ["request", "messages", "input", "query"].into_iter().filter(|name| members.contains_key(*name)).collect();
    let [one] = named[..] else {
        let what = if named.is_empty() {
            "one of `request`, `messages`, `input` and `query` is missing"
        } else {
            "only one of `request`, `messages`, `input` and `query` can be said"
        };
        problems.note(line, named.first().copied().unwrap_or_default(), what);
        return None;
    };
    let system = text(line, "system", members, problems);
    if system.is_some() && one != "input" {
        problems.note(line, "system", "goes with `input`; elsewhere it is a message");
    }
    let is_ranking = |request: &Map<String, Value>| request.contains_key("query") && !request.contains_key("messages");
    let asked = members.remove(one);
    if documents.is_empty() && (one == "query" || asked.as_ref().and_then(Value::as_object).is_some_and(is_ranking)) {
        problems.note(line, "documents", "there are none to be ranked");
    }
    match (one, asked) {
        ("query", Some(query)) => ranking(line, one, Map::from_iter([("query".to_owned(), query)]), problems),
        ("request", Some(Value::Object(request))) => {
            if request.contains_key("model") {
                problems.note(line, "request.model", "a case names no model: the targets of a run do");
            }
            if is_ranking(&request) {
                return ranking(line, "request.query", request, problems);
            }
            let messages = request.get("messages").cloned();
            check_messages(line, "request.messages", messages.as_ref(), problems).then_some(request)
        }
        ("messages", messages) => {
            let valid = check_messages(line, "messages", messages.as_ref(), problems);
            valid.then(|| Map::from_iter([("messages".to_owned(), messages.unwrap_or_default())]))
        }
        ("input", Some(Value::String(input))) if input.trim().is_empty() => {
            problems.note(line, one, "empty");
            None
        }
        ("input", Some(Value::String(input))) => {
            let system = system.map(|text| with_documents(&text, documents));
            Some(asking(system.as_deref(), &with_documents(&input, documents)))
        }
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
