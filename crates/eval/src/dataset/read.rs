//! A file of cases in any format that is known.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Dataset, Origin, Problems, csv, openai, own};
use crate::case::{Case, digest};

/// How cases are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Our own: one case per line.
    Jsonl,
    /// OpenAI evals: `{"input", "ideal"}` per line, or the Evals API's `{"item", "sample"}`.
    OpenaiEvals,
    /// Chats whose last message is the answer, as Hugging Face data sets and fine-tuning files have them.
    Chat,
    /// Comma-separated values with a row of headings.
    Csv,
    /// A configuration of promptfoo.
    Promptfoo,
}

/// Which columns of a CSV file, or members of an Evals API item, are what. Others are left out, and named as such.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// The question; `input`, `question` or `prompt` when it is not said.
    pub input: Option<String>,
    /// The right answer; `expected`, `ideal`, `answer`, `reference` or `label` when it is not said.
    pub expected: Option<String>,
    /// The case's id; `id` when it is not said.
    pub id: Option<String>,
    /// What makes cases dependent; `cluster` when it is not said.
    pub cluster: Option<String>,
    /// Columns that are slices of the same name, beside those called `slice.NAME`.
    pub slices: Vec<String>,
}

/// What a file came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The cases.
    pub dataset: Dataset,
    /// Where from.
    pub origin: Origin,
    /// What of the file is not in the cases, with how often it was there.
    pub left_out: BTreeMap<String, u64>,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] = [Format::Jsonl, Format::OpenaiEvals, Format::Chat, Format::Csv, Format::Promptfoo];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::OpenaiEvals => "openai_evals",
            Format::Chat => "chat",
            Format::Csv => "csv",
            Format::Promptfoo => "promptfoo",
        }
    }

    /// What a file seems to be, by its name and its first line.
    #[must_use]
    pub fn of(path: &str, text: &str) -> Format {
        let lower = path.to_ascii_lowercase();
        if lower.ends_with(".csv") {
            return Format::Csv;
        }
        if lower.ends_with(".yaml") || lower.ends_with(".yml") {
            return Format::Promptfoo;
        }
        let first = text.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty()).unwrap_or("");
        let Ok(Value::Object(members)) = serde_json::from_str(first) else { return Format::Jsonl };
        let has = |name: &str| members.contains_key(name);
        let ends_with_answer = members
            .get("messages")
            .and_then(Value::as_array)
            .and_then(|messages| messages.last())
            .is_some_and(|last| last["role"] == "assistant");
        if has("item") || (has("input") && has("ideal")) {
            Format::OpenaiEvals
        } else if has("conversations") || (ends_with_answer && !has("expected")) {
            Format::Chat
        } else {
            Format::Jsonl
        }
    }
}

/// Reads a file's text.
///
/// # Errors
/// Everything that is wrong with it; then nothing of it is used. A promptfoo configuration is YAML and read by
/// [`from_promptfoo`](super::from_promptfoo).
pub fn read(
    name: &str,
    path: &str,
    bytes: &[u8],
    (format, columns): (Option<Format>, &Columns),
) -> Result<Imported, Problems> {
    let mut problems = Problems::of(path);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(error) => {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            problems.note(line, "", "not UTF-8");
            return Err(problems);
        }
    };
    let format = format.unwrap_or_else(|| Format::of(path, text));
    let mut left_out = BTreeMap::new();
    let cases = match format {
        Format::Jsonl => each_line(text, &mut problems, own::case),
        Format::OpenaiEvals => each_line(text, &mut problems, |line, value, problems| {
            openai::eval(line, value, columns, (&mut left_out, problems))
        }),
        Format::Chat => {
            each_line(text, &mut problems, |line, value, problems| openai::chat(line, value, (&mut left_out, problems)))
        }
        Format::Csv => csv::cases(text, columns, (&mut left_out, &mut problems)),
        Format::Promptfoo => {
            problems.note(1, "", "a promptfoo configuration is YAML: it is not read line by line");
            Vec::new()
        }
    };
    let cases = unique(cases, &mut problems);
    let origin =
        Origin::File { path: path.to_owned(), format: format.as_str().to_owned(), sha256: digest_of_file(bytes) };
    problems.or(Imported { dataset: Dataset { name: name.to_owned(), cases }, origin, left_out })
}

/// SHA-256 of a file's bytes as `sha256sum` prints it.
pub(super) fn digest_of_file(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Cases with the lines they began on.
pub(super) type Placed = Vec<(usize, Case)>;

fn each_line(
    text: &str,
    problems: &mut Problems,
    mut case: impl FnMut(usize, Value, &mut Problems) -> Option<Case>,
) -> Placed {
    let mut cases = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => cases.extend(case(idx + 1, value, problems).map(|case| (idx + 1, case))),
            Err(error) => {
                problems.note(idx + 1, "", format!("not JSON at column {}: {}", error.column(), plain(&error)))
            }
        }
    }
    cases
}

/// What serde_json says, without the place in a document of one line.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// The cases, each with an id of its own: one that has none gets the beginning of its content's hash.
pub(super) fn unique(placed: Placed, problems: &mut Problems) -> Vec<Case> {
    if placed.is_empty() && problems.n == 0 {
        problems.note(1, "", "there is no case in it");
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut cases = Vec::with_capacity(placed.len());
    for (line, mut case) in placed {
        let is_named = !case.id.is_empty();
        if !is_named {
            case.id = digest(&[case.canonical().as_bytes()])[..12].to_owned();
        }
        let n_before = seen.len();
        let first = *seen.entry(case.id.clone()).or_insert(line);
        let is_first = seen.len() > n_before;
        match (is_first, is_named) {
            (true, _) => {}
            (false, true) => {
                problems.note(line, "id", format!("`{}` is the id of the case at line {first} too", case.id))
            }
            (false, false) if first == line => {
                problems.note(line, "", "makes the same case more than once: give each something of its own");
            }
            (false, false) => {
                problems.note(line, "", format!("the same case as at line {first}: an `id` tells them apart"))
            }
        }
        cases.push(case);
    }
    cases
}
