//! What is asked, what comes back, and what it is worth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use crate::entail::labels::PeopleSay;

/// One thing to ask, with what is known of a right answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is called; no two cases of a dataset share it.
    pub id: String,
    /// The members of a chat request: `messages`, and whatever else the request has, but never a model. Or those of a request to rank the
    /// documents: `query`, and whatever else it has.
    pub request: Map<String, Value>,
    /// Right answers, any of which will do: texts, or values where the answer is JSON or tool calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<Value>,
    /// What the answer has to rest on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// Whether what is in `documents` is enough to answer; not said where that is no matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answerable: Option<bool>,
    /// What this case alone asks of its answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Where it belongs, by dimension: `topic` → `billing`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slices: BTreeMap<String, String>,
    /// Cases with the same are not independent: of one document, one conversation, one user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The exchange it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Lineage>,
    /// How relevant each document of the corpus is to what is asked, by its id; what is not named is not relevant. Said and without any that is: the
    /// corpus holds no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relevance: Option<BTreeMap<String, f64>>,
    /// What of the documents a right answer rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What a task of code has beside its question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What people say of statements and answers, to hold a model's word on entailment against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<PeopleSay>,
}

/// What a task of code has beside its question: never a command, which is the suite's to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Code {
    /// Files that are there before the answer, by their paths.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Files that are put there before the tests are run, in place of whatever has their paths; no patch may touch them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tests: BTreeMap<String, String>,
    /// What is read and what is to be written then: each a test.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<CodeRun>,
    /// How many tests there are, where a program says which of them pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_tests: Option<u64>,
}

/// A run of a program, and what it is to write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodeRun {
    /// Arguments after those of the suite's command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// What it reads.
    pub stdin: String,
    /// What it is to write.
    pub stdout: String,
}

/// A span of a document that a right answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The document's id.
    pub document: String,
    /// The words, as they stand in it.
    pub text: String,
}

/// Something an answer may cite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// How it is cited.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// An assertion about one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The metric's name.
    pub metric: String,
    /// What it is held against; `expected` of the case where there is none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// At or above this the check holds, at or below it where less is better and there is no bound; 1 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether it holds when the metric says no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
    /// The metric's settings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// What it counts for among others, 1 where it is not said; what counts for nothing decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// Where a case comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The exchange's id.
    pub exchange: String,
    /// The route it came in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The target whose answer `expected` is, when it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// Exchanges that asked the same and are not cases of their own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicates: u64,
    /// Places in which something was made unreadable.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redactions: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What a target answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text; empty where there is none.
    #[serde(default)]
    pub text: String,
    /// Tools it called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The refusal, where the provider keeps it apart from the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Why it ended, as the provider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Of an answer that ranks documents: which of the case's, best first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Vec<usize>>,
    /// What the answer rests on, where it brings that along: the first is cited as `[1]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<Document>,
}

/// A call of a tool as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments as the text that came; it may not be JSON.
    pub arguments: String,
}

impl Check {
    /// A check of this metric, held against this.
    #[must_use]
    pub fn of(metric: impl Into<String>, value: Value) -> Check {
        Check { metric: metric.into(), value, threshold: None, not: false, settings: Map::new(), weight: None }
    }
}

impl Case {
    /// A case that asks one question.
    #[must_use]
    pub fn asking(id: impl Into<String>, question: &str, expected: impl IntoIterator<Item = Value>) -> Case {
        let message = serde_json::json!([{ "role": "user", "content": question }]);
        Case {
            id: id.into(),
            request: Map::from_iter([("messages".to_owned(), message)]),
            expected: expected.into_iter().collect(),
            documents: Vec::new(),
            answerable: None,
            checks: Vec::new(),
            slices: BTreeMap::new(),
            cluster: None,
            source: None,
            relevance: None,
            evidence: Vec::new(),
            code: None,
            verdicts: Vec::new(),
        }
    }

    /// The case as one line of JSON in which members are sorted: the same case is always the same text.
    #[must_use]
    pub fn canonical(&self) -> String {
        // A struct of strings, numbers and maps with text keys always serialises.
        serde_json::to_value(self).map(|value| canonical(&value)).unwrap_or_default()
    }

    /// How many documents are to be ranked, where that is what is asked.
    #[must_use]
    pub fn ranks(&self) -> Option<usize> {
        let is_query = self.request.contains_key("query") && !self.request.contains_key("messages");
        is_query.then_some(self.documents.len())
    }

    /// The last text that a user wrote, or what documents are ranked for: what pages show of a case.
    #[must_use]
    pub fn question(&self) -> String {
        if self.ranks().is_some() {
            return self.request.get("query").map(text_of).unwrap_or_default();
        }
        let messages = self.request.get("messages").and_then(Value::as_array);
        let mut users = messages.into_iter().flatten().filter(|message| message["role"] == "user");
        users.next_back().map(|message| text_of(&message["content"])).unwrap_or_default()
    }

    /// Right answers that are text.
    pub fn expected_texts(&self) -> impl Iterator<Item = &str> {
        self.expected.iter().filter_map(Value::as_str)
    }
}

/// The text of a message's content: as it is, or the text parts one after the other.
#[must_use]
pub fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// JSON without a choice: no blanks, members sorted by their names' bytes.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (idx, item) in items.iter().enumerate() {
                if idx > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            text.push('{');
            for (idx, name) in names.into_iter().enumerate() {
                if idx > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write(&members[name], text);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length before it, no two lists of parts are the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_the_same_text_however_its_members_were_ordered() {
        let one: Case = serde_json::from_str(
            r#"{"id":"a","request":{"messages":[{"role":"user","content":"Hi"}],"n":1},"slices":{"b":"2","a":"1"}}"#,
        )
        .unwrap();
        let other: Case = serde_json::from_str(
            r#"{"slices":{"a":"1","b":"2"},"request":{"n":1,"messages":[{"content":"Hi","role":"user"}]},"id":"a"}"#,
        )
        .unwrap();
        assert_eq!(one.canonical(), other.canonical());
        assert_eq!(one.question(), "Hi");
    }

    #[test]
    fn digests_of_other_parts_differ() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_eq!(digest(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
