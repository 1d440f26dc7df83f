//! Cases as data to fine-tune on: chats with their answers, in two files that share nothing.
//!
//! What depends on each other stays together: cases of one cluster, and cases that ask the same (letter case and blanks apart). Whole groups go
//! to validation, in an order that the seed decides, as long as that brings its size nearer to what is wanted. The manifest says which
//! case went where, of which exchange it was made, and the SHA-256 of each file.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Dataset;
use crate::case::{Case, canonical, digest};
use crate::metric::calls::Expected;

/// How chats are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Calls of tools as the OpenAI API has them: with an id, arguments as text.
    OpenAi,
    /// As chat templates of Hugging Face take them: arguments as an object.
    HuggingFace,
}

impl Style {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Style::OpenAi => "openai",
            Style::HuggingFace => "huggingface",
        }
    }
}

/// What a split came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// Lines to train on.
    pub train: String,
    /// Lines to validate on.
    pub validation: String,
    /// What is in them.
    pub manifest: Value,
}

/// Splits the cases that have a right answer; `share` (0 to 1) of them are for validation.
#[must_use]
pub fn split(dataset: &Dataset, (share, seed): (f64, u64), style: Style) -> Tuning {
    let lines: Vec<(&Case, Option<String>)> = dataset.cases.iter().map(|case| (case, line(case, style))).collect();
    let whole: Vec<(&Case, String)> = lines.iter().filter_map(|(case, line)| Some((*case, line.clone()?))).collect();
    let groups = groups(&whole);
    let mut ordered: Vec<(String, &Vec<usize>)> =
        groups.iter().map(|(key, members)| (digest(&[&seed.to_le_bytes(), key.as_bytes()]), members)).collect();
    ordered.sort_unstable();
    let wanted = whole.len() as f64 * share.clamp(0.0, 1.0);
    let mut is_validation = vec![false; whole.len()];
    let mut n = 0.0_f64;
    for (_, members) in ordered {
        let with = n + members.len() as f64;
        if (with - wanted).abs() < (n - wanted).abs() {
            members.iter().for_each(|idx| is_validation[*idx] = true);
            n = with;
        }
    }
    let text = |validation: bool| -> String {
        let part = whole.iter().zip(&is_validation).filter(|(_, is_validation)| **is_validation == validation);
        part.map(|((_, line), _)| format!("{line}\n")).collect()
    };
    let (train, validation) = (text(false), text(true));
    let cases = whole.iter().zip(&is_validation).map(|((case, _), is_validation)| {
        let part = if *is_validation { "validation" } else { "train" };
        json!({ "id": case.id, "part": part, "cluster": case.cluster, "source": case.source })
    });
    let left_out = lines.iter().filter(|(_, line)| line.is_none()).map(|(case, _)| case.id.as_str());
    let file = |name: &str, text: &str| json!({ "file": name, "n": text.lines().count(), "sha256": sha256(text) });
    let manifest = json!({
        "dataset": dataset.name,
        "version": dataset.version(),
        "style": style.as_str(),
        "seed": seed,
        "validation_share": share,
        "groups": groups.len(),
        "files": [file("train.jsonl", &train), file("validation.jsonl", &validation)],
        "cases": cases.collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    });
    Tuning { train, validation, manifest }
}

/// Cases that stay together, by the least of their ids: a union of clusters and of equal questions.
fn groups(cases: &[(&Case, String)]) -> BTreeMap<String, Vec<usize>> {
    let mut parent: Vec<usize> = (0..cases.len()).collect();
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for (idx, (case, _)) in cases.iter().enumerate() {
        let asked = canonical(&case.request.get("messages").cloned().unwrap_or_default()).to_lowercase();
        let asked = asked.split_whitespace().collect::<Vec<_>>().join(" ");
        let keys = [Some(format!("asked {asked}")), case.cluster.as_ref().map(|cluster| format!("cluster {cluster}"))];
        for key in keys.into_iter().flatten() {
            let other = *first.entry(key).or_insert(idx);
            let (one, other) = (root(&mut parent, idx), root(&mut parent, other));
            parent[one.max(other)] = one.min(other);
        }
    }
    let mut by_root: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for idx in 0..cases.len() {
        by_root.entry(root(&mut parent, idx)).or_default().push(idx);
    }
    let least = |members: &Vec<usize>| members.iter().map(|idx| cases[*idx].0.id.clone()).min().unwrap_or_default();
    by_root.into_values().map(|members| (least(&members), members)).collect()
}

/// Who stands for the group of this one.
fn root(parent: &mut [usize], mut idx: usize) -> usize {
    while parent[idx] != idx {
        parent[idx] = parent[parent[idx]];
        idx = parent[idx];
    }
    idx
}

/// A chat that ends with the first right answer; nothing where there is none.
fn line(case: &Case, style: Style) -> Option<String> {
    let answer = match case.expected.first()? {
        Value::String(answer) => json!({ "role": "assistant", "content": answer }),
        answer => match answer["tool_calls"].as_array() {
            Some(calls) => {
                let calls: Vec<Value> = calls.iter().enumerate().map(|(idx, of)| call(idx, of, style)).collect();
                json!({ "role": "assistant", "content": null, "tool_calls": calls })
            }
            None => json!({ "role": "assistant", "content": answer.to_string() }),
        },
    };
    let mut chat = case.request.clone();
    chat.get_mut("messages")?.as_array_mut()?.push(answer);
    chat.retain(|name, _| matches!(name.as_str(), "messages" | "tools" | "parallel_tool_calls"));
    Some(canonical(&Value::Object(chat)))
}

/// A call as the style has it, in whichever form it was written; of several values of an argument the first. What cannot be read stays as it is.
pub(super) fn call(idx: usize, of: &Value, style: Style) -> Value {
    let Ok(expected) = Expected::read(of) else { return of.clone() };
    let (name, arguments) = expected.example();
    let arguments = match style {
        Style::HuggingFace => Value::Object(arguments),
        Style::OpenAi => Value::String(canonical(&Value::Object(arguments))),
    };
    let id = of["id"].as_str().map_or_else(|| format!("call_{idx}"), str::to_owned);
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

/// SHA-256 of the bytes, as `sha256sum` says it.
fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn dataset(n: usize) -> Dataset {
        let case = |idx: usize| {
            // Five to a cluster; every tenth asks what the one fifty before it asks, of another cluster.
            let asks = if idx.is_multiple_of(10) { idx % 50 } else { idx };
            let mut case = Case::asking(format!("c{idx:03}"), &format!("Question  {asks}?"), [Value::from("yes")]);
            case.cluster = Some(format!("k{}", idx / 5));
            if idx == 7 {
                case.expected.clear();
            }
            case
        };
        Dataset { name: "d".to_owned(), cases: (0..n).map(case).collect() }
    }

    #[test]
    fn nothing_is_in_both_files_nor_what_depends_on_it() {
        for seed in 0..20 {
            let tuning = split(&dataset(200), (0.2, seed), Style::OpenAi);
            let cases = tuning.manifest["cases"].as_array().unwrap();
            let of = |part: &str, what: &str| -> BTreeSet<String> {
                cases.iter().filter(|case| case["part"] == part).map(|case| case[what].to_string()).collect()
            };
            assert!(of("train", "cluster").is_disjoint(&of("validation", "cluster")));
            let asked = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
            assert!(asked(&tuning.train).is_disjoint(&asked(&tuning.validation)));
            let n = tuning.validation.lines().count();
            assert!((30..=50).contains(&n), "{n} of 199");
            assert_eq!(tuning.train.lines().count() + n, 199);
            assert_eq!(tuning.manifest["left_out"], json!(["c007"]));
            assert_eq!(tuning, split(&dataset(200), (0.2, seed), Style::OpenAi));
        }
    }

    #[test]
    fn calls_of_tools_are_written_as_the_style_has_them() {
        let calls = json!({ "tool_calls": [{ "name": "look", "arguments": { "b": 1, "a": 2 } }] });
        let case = Case::asking("c", "Where?", [calls]);
        let openai = line(&case, Style::OpenAi).unwrap();
        assert!(
            openai.contains(r#""function":{"arguments":"{\"a\":2,\"b\":1}","name":"look"},"id":"call_0""#),
            "{openai}"
        );
        let face = line(&case, Style::HuggingFace).unwrap();
        assert!(face.contains(r#""arguments":{"a":2,"b":1}"#), "{face}");
        // The hash of nothing, as sha256sum says it.
        assert!(sha256("").starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }
}
