//! Datasets: cases that belong together, in versions named by their content.
//!
//! A version is the SHA-256 of its cases in their canonical form, sorted by id: the same cases in another order are the same
//! version, and any change of any of them is another. Files are read whole or not at all; everything wrong in one is
//! reported at once, each by file, line and field.

mod csv;
mod openai;
mod own;
mod problem;
pub mod promptfoo;
mod read;
pub mod redact;
#[cfg(test)]
mod tests;
pub mod traffic;
pub mod tuning;

pub(crate) use csv::rows as csv_rows;
pub use problem::{Problem, Problems};
pub use promptfoo::{Located, LocatedKind, from_promptfoo};
pub use read::{Columns, Format, Imported, read};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::case::{Case, canonical, digest};

/// Cases in the order they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// What it is called.
    pub name: String,
    /// Its cases; their ids differ.
    pub cases: Vec<Case>,
}

/// Where a dataset came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Origin {
    /// A file.
    File {
        /// Its name as it was typed.
        path: String,
        /// How it was read.
        format: String,
        /// SHA-256 of its bytes.
        sha256: String,
    },
    /// The record of exchanges.
    Traffic {
        /// What was asked of it, as it was typed.
        selection: String,
    },
}

/// The version of cases that are at hand as their ids and canonical texts: SHA-256 of the texts sorted by id.
#[must_use]
pub fn version_of(cases: &[(String, String)]) -> String {
    let mut lines: Vec<&(String, String)> = cases.iter().collect();
    lines.sort_unstable();
    let parts: Vec<&[u8]> = lines.iter().map(|(_, line)| line.as_bytes()).collect();
    digest(&parts)
}

impl Dataset {
    /// The version: SHA-256 of the canonical cases sorted by id.
    #[must_use]
    pub fn version(&self) -> String {
        let lines: Vec<(String, String)> = self.cases.iter().map(|case| (case.id.clone(), case.canonical())).collect();
        version_of(&lines)
    }

    /// Chats that end with the first right answer, as fine-tuning takes them, and how many cases have none.
    #[must_use]
    pub fn to_chats(&self) -> (String, usize) {
        let mut text = String::new();
        let mut n_left_out = 0;
        for case in &self.cases {
            let answer = match case.expected.first() {
                Some(Value::String(answer)) => json!({ "role": "assistant", "content": answer }),
                Some(answer) if answer["tool_calls"].is_array() => {
                    let calls = answer["tool_calls"].as_array().into_iter().flatten().enumerate();
                    let calls: Vec<Value> =
                        calls.map(|(idx, call)| tuning::call(idx, call, tuning::Style::OpenAi)).collect();
                    json!({ "role": "assistant", "content": null, "tool_calls": calls })
                }
                Some(answer) => json!({ "role": "assistant", "content": answer.to_string() }),
                None => {
                    n_left_out += 1;
                    continue;
                }
            };
            let mut chat = case.request.clone();
            if let Some(Value::Array(messages)) = chat.get_mut("messages") {
                messages.push(answer);
            }
            chat.retain(|name, _| matches!(name.as_str(), "messages" | "tools" | "parallel_tool_calls"));
            text.push_str(&canonical(&Value::Object(chat)));
            text.push('\n');
        }
        (text, n_left_out)
    }

    /// One line of JSON per case, which is how a dataset is written to a file of our own.
    #[must_use]
    pub fn to_jsonl(&self) -> String {
        self.cases.iter().map(|case| case.canonical() + "\n").collect()
    }
}
