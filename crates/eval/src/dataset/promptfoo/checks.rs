//! What a test asserts, member by member.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::assertions::{Meaning, is_by_meaning, meaning, reads_threshold};
use super::ledger::below;
use super::write::judge;
use super::{Judged, Located, LocatedKind, Parts, Reading};
use crate::case::Check;
use crate::run::CHECKS;

impl Reading<'_> {
    pub(super) fn asserted(&mut self, path: &str, node: &Located, parts: &mut Parts) {
        if parts.without_usual && path == below(&self.usual, "assert") {
            self.ledger.left_out(path, "tests say `disableDefaultAsserts`");
            return;
        }
        parts.checks.extend(self.checks(path, node));
    }

    fn checks(&mut self, path: &str, node: &Located) -> Vec<Check> {
        let LocatedKind::List(list) = &node.kind else {
            self.problems.note(node.line, path, "expected a list");
            return Vec::new();
        };
        list.iter().enumerate().filter_map(|(idx, node)| self.check(&format!("{path}[{idx}]"), node)).collect()
    }

    fn check(&mut self, path: &str, node: &Located) -> Option<Check> {
        let LocatedKind::Map(own) = &node.kind else {
            self.problems.note(node.line, path, "expected a map");
            return None;
        };
        let mut members: BTreeMap<&str, &Located> = own.iter().map(|(name, node)| (name.as_str(), node)).collect();
        let template = members.remove("$ref").and_then(Located::text);
        let template = match template {
            Some(named) => {
                let found =
                    named.strip_prefix("#/assertionTemplates/").and_then(|name| self.templates.get(name)).cloned();
                if found.is_none() {
                    let hint = "write the assertion in its place";
                    self.ledger.unsupported(path, format!("`{named}` names no assertion template"), hint);
                    return None;
                }
                self.ledger.converted(&below(path, "$ref"), "cases.jsonl: checks");
                found
            }
            None => None,
        };
        if let Some(LocatedKind::Map(inner)) = template.as_ref().map(|node| &node.kind) {
            for (name, node) in inner {
                members.entry(name).or_insert(node);
            }
        }
        let Some(word) = members.get("type").and_then(|node| node.text()) else {
            self.problems.note(node.line, path, "an assertion has a `type`");
            return None;
        };
        let number = |name: &str| members.get(name).and_then(|node| node.value().as_f64());
        let (threshold, weight) = (number("threshold"), number("weight"));
        if word == "assert-set" {
            let inner = self.checks(&below(path, "assert"), members.get("assert")?);
            for name in ["type", "threshold", "weight"] {
                self.ledger.converted(&below(path, name), "cases.jsonl: checks");
            }
            self.ledger
                .left_out(&below(path, "metric"), "what checks come to is one number, without names of its parts");
            self.ledger.left_out(&below(path, "config"), "it is for code, which is not run");
            return Some(Check { threshold, weight, ..Check::of(CHECKS, json!(inner)) });
        }
        let value = self.value(&below(path, "value"), members.get("value").copied(), &word);
        self.mapped(path, &word, (value, threshold, weight), &members)
    }

    /// What an assertion is held against; a file of a schema or of words is read.
    fn value(&mut self, path: &str, node: Option<&Located>, word: &str) -> Value {
        let Some(node) = node else { return Value::Null };
        let text = node.text();
        let Some(file) = text.as_deref().and_then(|text| text.strip_prefix("file://")) else {
            let is_schema = word.ends_with("-json");
            // A schema may be written as a text of YAML.
            let inner = text.filter(|_| is_schema).and_then(|text| (self.beside.parse)(&text));
            return inner.map_or_else(|| node.value(), |inner| inner.value());
        };
        let found = (self.beside.read)(file);
        let is_data = [".json", ".yaml", ".yml"].iter().any(|end| file.ends_with(end));
        match found.filter(|_| !file.ends_with(".js") && !file.ends_with(".py")) {
            Some(text) if is_data => (self.beside.parse)(&text).map_or(Value::from(text), |inner| inner.value()),
            Some(text) => Value::from(text.trim_end()),
            None => {
                self.ledger.unsupported(path, "the file cannot be read here", "write what is in it in its place");
                node.value()
            }
        }
    }

    fn mapped(
        &mut self,
        path: &str,
        word: &str,
        (value, threshold, weight): (Value, Option<f64>, Option<f64>),
        members: &BTreeMap<&str, &Located>,
    ) -> Option<Check> {
        let (not, kind) = word.strip_prefix("not-").map_or((false, word), |kind| (true, kind));
        if members.contains_key("transform") || members.contains_key("contextTransform") {
            self.ledger.unsupported(path, "code that changes answers is not run", "say it of the answer as it comes");
            return None;
        }
        if not && is_by_meaning(kind) && value.is_array() {
            let why = "it holds when one of several texts is not similar, and a check with `not` when none is";
            self.ledger.unsupported(path, why, "write one assertion for each text");
            return None;
        }
        let rubric = value.as_str().unwrap_or(kind).to_owned();
        match meaning(kind, &value, threshold) {
            Meaning::Check(check, note) => {
                for name in members.keys() {
                    let path = below(path, name);
                    match *name {
                        "threshold" if !reads_threshold(kind) => {
                            self.ledger.left_out(&path, "this assertion does not read it: it holds, or it does not");
                        }
                        "type" | "value" | "threshold" | "weight" => match note.filter(|_| *name == "type") {
                            Some(note) => self.ledger.converted_but(&path, "cases.jsonl: checks", note),
                            None => self.ledger.converted(&path, "cases.jsonl: checks"),
                        },
                        "metric" => {
                            self.ledger
                                .left_out(&path, "what checks come to is one number, without names of its parts");
                        }
                        "provider" if is_by_meaning(kind) => {
                            let hint = "name a target that makes embeddings as the suite's `encoder`";
                            self.ledger.unsupported(&path, "a check has no encoder of its own", hint);
                        }
                        "provider" | "rubricPrompt" | "config" => {
                            self.ledger.left_out(&path, "this assertion does not read it")
                        }
                        _ => {}
                    }
                }
                Some(Check { not: check.not != not, weight, ..check })
            }
            Meaning::Nothing(why) => {
                self.ledger.left_out(path, why);
                None
            }
            Meaning::Judge => {
                let why = "a model is to judge it, which no check of a case does";
                self.ledger.unsupported(path, why, judge_to_write(&rubric, not));
                match self.judged.iter_mut().find(|judged| judged.rubric == rubric && judged.not == not) {
                    Some(before) => before.paths.push(path.to_owned()),
                    None => self.judged.push(Judged { rubric, not, paths: vec![path.to_owned()] }),
                }
                None
            }
            Meaning::None { why, hint } => {
                self.ledger.unsupported(path, why, hint);
                None
            }
        }
    }
}

/// The judge that would say the same, in a line of a suite.
fn judge_to_write(rubric: &str, not: bool) -> String {
    let turned = if not { ", where a pass is what is not to be" } else { "" };
    format!(
        "write a judge into suite.yaml, which grades every case of the suite{turned}: `judges: {{ NAME: {} }}`; its comment has it",
        judge(rubric)
    )
}
