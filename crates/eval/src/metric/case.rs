//! What a metric may read of a case and of an answer.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Unscored;
use super::citations::{Claim, Entailment};
use super::vectors::BertScore;

/// What a case says about a good answer. A case says what it knows; a metric that needs more leaves the answer unscored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// Texts that are right, each as good as the other. For classes the first one is the label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Values the answer should be as JSON, each as good as the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// The JSON Schema the answer should follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The tools that were offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Lists of calls that are right, each as good as the other; a call in any form that [`Expected`](super::calls::Expected) reads. An empty
    /// one among them: no call is right. No list at all: nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Vec<Value>>,
    /// What the answer was to be made of, in the order in which it was shown: the first is cited as `[1]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// Whether the documents hold the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answerable: Option<bool>,
    /// How relevant each document of the corpus is to the query, by its id; what is not named is not relevant.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub relevance: BTreeMap<String, f64>,
    /// Whether the corpus holds the answer, whatever of it was shown; `None` where nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_corpus: Option<bool>,
    /// The spans that a right answer rests on: the id of a document, and words of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<(String, String)>,
    /// What a task of code has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<crate::case::Code>,
}

/// A tool that was offered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

/// A document of the context.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Document {
    /// Its id in the corpus.
    pub id: String,
    /// Its text.
    pub text: String,
}

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// The text of the message.
    pub text: String,
    /// The calls of tools, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// The message's own `refusal`, where the server sends one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The ids of documents, best first, for retrievers and rerankers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranking: Vec<String>,
    /// What models said about this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
    /// Why it ended, as the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// From the call to the last byte, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What it cost with all attempts, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_dollars: Option<f64>,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// The name called.
    pub name: String,
    /// The arguments as they came: the text of a JSON object, if all is well.
    pub arguments: String,
}

/// What models said about an answer: whoever runs the metric asks them first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Judged {
    /// The vectors of the answer's text and of the references.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vectors: Option<Vectors>,
    /// How the tokens of the answer match those of a reference, by the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<HashMap<String, BertScore>>,
    /// Whether documents entail statements: the answers to [`questions`](super::citations::questions).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entailed: Option<Vec<Entailment>>,
    /// The claims of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<Claim>>,
    /// Whether the answer says that it does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abstained: Option<bool>,
    /// Why something that was asked of it has no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Unscored>,
}

/// Vectors of texts, by the text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vectors(pub HashMap<String, Vec<f32>>);
