//! Cases of a promptfoo configuration: every prompt with the variables of every test, and what is asserted of the answer.
//!
//! What would change what is asked or asserted and has no counterpart here (files, scripts, transforms, filters in
//! templates, metrics that are not ours) is a problem, so that nothing is imported that means something else. What does not
//! bear on the cases (providers, outputs, sharing) is left out and named.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::own::{asking, check_messages, unknown};
use super::read::{Imported, Placed, digest_of_file, unique};
use super::{Dataset, Format, Origin, Problems};
use crate::case::{Case, Check};
use crate::metric::NAMES;

/// A node of YAML with the line it stands on. This room reads no YAML: whoever does hands over the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The line, from 1.
    pub line: usize,
    /// What it is.
    pub kind: LocatedKind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum LocatedKind {
    /// A text, a number, a boolean or nothing, as YAML reads it.
    Scalar(Value),
    /// A list.
    List(Vec<Located>),
    /// A map in the order it was written.
    Map(Vec<(String, Located)>),
}

/// Top-level members that are about running and not about cases.
const BESIDE: [&str; 12] = [
    "description",
    "providers",
    "targets",
    "outputPath",
    "sharing",
    "tags",
    "env",
    "evaluateOptions",
    "metadata",
    "commandLineOptions",
    "writeLatestResults",
    "$schema",
];
/// Top-level members that make or change cases in ways that have no counterpart.
const REFUSED: [&str; 6] =
    ["scenarios", "nunjucksFilters", "extensions", "derivedMetrics", "redteam", "assertionTemplates"];

/// The metric that means what a promptfoo assertion means, as far as it is one of ours.
fn metric_of(kind: &str) -> Option<&'static str> {
    let name = match kind {
        "equals" => "exact_match",
        "contains" | "contains-any" => "contains",
        "icontains" | "icontains-any" => "icontains",
        "contains-all" => "contains_all",
        "starts-with" => "starts_with",
        "regex" => "regex",
        "is-json" => "json_schema",
        "is-refusal" => "refusal",
        _ => return None,
    };
    NAMES.contains(&name).then_some(name)
}

/// Reads a configuration.
///
/// # Errors
/// Everything of it that cannot be said here.
pub fn from_promptfoo(name: &str, path: &str, (bytes, root): (&[u8], &Located)) -> Result<Imported, Problems> {
    let mut reading = Reading { problems: Problems::of(path), left_out: BTreeMap::new() };
    let placed = reading.root(root);
    let Reading { mut problems, left_out } = reading;
    let cases = unique(placed, &mut problems);
    let format = Format::Promptfoo.as_str().to_owned();
    let origin = Origin::File { path: path.to_owned(), format, sha256: digest_of_file(bytes) };
    problems.or(Imported { dataset: Dataset { name: name.to_owned(), cases }, origin, left_out })
}

struct Reading {
    problems: Problems,
    left_out: BTreeMap<String, u64>,
}

/// A prompt: what it is called, and its template.
struct Prompt {
    label: String,
    text: String,
    line: usize,
}

impl Reading {
    fn root(&mut self, root: &Located) -> Placed {
        let LocatedKind::Map(members) = &root.kind else {
            self.problems.note(root.line, "", "expected a map with `prompts` and `tests`");
            return Vec::new();
        };
        let (mut prompts, mut tests, mut usual) = (Vec::new(), &[][..], None);
        for (name, node) in members {
            match name.as_str() {
                "prompts" => prompts = self.prompts(node),
                "tests" => match &node.kind {
                    LocatedKind::List(list) => tests = list.as_slice(),
                    _ => self.problems.note(
                        node.line,
                        "tests",
                        "expected a list; tests in other files cannot be read here",
                    ),
                },
                "defaultTest" => usual = Some(node),
                name if BESIDE.contains(&name) => self.leave(name),
                name if REFUSED.contains(&name) => {
                    self.problems.note(node.line, name, "changes the cases in a way that has no counterpart");
                }
                name => {
                    let known = [&BESIDE[..], &REFUSED[..], &["prompts", "tests", "defaultTest"]].concat();
                    self.problems.note(node.line, name, unknown(name, &known));
                }
            }
        }
        let many = prompts.len() > 1;
        let mut placed = Vec::new();
        for (idx, test) in tests.iter().enumerate() {
            let Some(parts) = self.test(&format!("tests[{idx}]"), test, usual) else { continue };
            for variables in combinations(&parts.variables) {
                for prompt in &prompts {
                    placed.extend(self.case(prompt, many, (&parts, &variables)).map(|case| (test.line, case)));
                }
            }
        }
        placed
    }

    fn leave(&mut self, name: &str) {
        *self.left_out.entry(name.to_owned()).or_default() += 1;
    }

    fn prompts(&mut self, node: &Located) -> Vec<Prompt> {
        let one = std::slice::from_ref(node);
        let list = if let LocatedKind::List(list) = &node.kind { list.as_slice() } else { one };
        let mut prompts = Vec::new();
        for (idx, node) in list.iter().enumerate() {
            let mut prompt = Prompt { label: format!("prompt {}", idx + 1), text: String::new(), line: node.line };
            match &node.kind {
                LocatedKind::Scalar(Value::String(text)) => prompt.text.clone_from(text),
                LocatedKind::Map(members) => {
                    for (name, node) in members {
                        match (name.as_str(), &node.kind) {
                            ("raw", LocatedKind::Scalar(Value::String(text))) => prompt.text.clone_from(text),
                            ("label" | "id", LocatedKind::Scalar(Value::String(text))) => prompt.label.clone_from(text),
                            _ => self.problems.note(node.line, format!("prompts[{idx}].{name}"), "has no counterpart"),
                        }
                    }
                }
                _ => self.problems.note(node.line, format!("prompts[{idx}]"), "expected a text"),
            }
            if prompt.text.starts_with("file://") || prompt.text.contains("{%") {
                self.problems.note(
                    node.line,
                    format!("prompts[{idx}]"),
                    "only a template of texts and {{variables}} can be read here",
                );
                continue;
            }
            prompts.push(prompt);
        }
        prompts
    }

    fn test(&mut self, field: &str, test: &Located, usual: Option<&Located>) -> Option<Parts> {
        let before = self.problems.n;
        let mut parts = Parts::default();
        let sources = usual.into_iter().map(|node| ("defaultTest".to_owned(), node)).chain([(field.to_owned(), test)]);
        for (field, node) in sources {
            let LocatedKind::Map(members) = &node.kind else {
                self.problems.note(node.line, field, "expected a map");
                continue;
            };
            for (name, node) in members {
                match name.as_str() {
                    "vars" => self.variables(&format!("{field}.vars"), node, &mut parts),
                    "assert" => self.checks(&format!("{field}.assert"), node, &mut parts),
                    "description" => parts.slices.extend(node.text().map(|text| ("test".to_owned(), text))),
                    "metadata" => self.slices(node, &mut parts),
                    "threshold" | "providerOutput" | "options" => {
                        self.problems.note(node.line, format!("{field}.{name}"), "has no counterpart");
                    }
                    _ => self.leave(&format!("tests.{name}")),
                }
            }
        }
        (self.problems.n == before).then_some(parts)
    }

    fn variables(&mut self, field: &str, node: &Located, parts: &mut Parts) {
        let LocatedKind::Map(members) = &node.kind else {
            self.problems.note(node.line, field, "expected a map");
            return;
        };
        for (name, node) in members {
            let values = match &node.kind {
                LocatedKind::List(items) => items.iter().map(Located::value).collect(),
                _ => vec![node.value()],
            };
            let is_file = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("file://"));
            if values.iter().any(is_file) {
                self.problems.note(node.line, format!("{field}.{name}"), "files cannot be read here");
            }
            parts.variables.insert(name.clone(), values);
        }
    }

    fn slices(&mut self, node: &Located, parts: &mut Parts) {
        let LocatedKind::Map(members) = &node.kind else { return };
        for (name, node) in members {
            match node.text() {
                Some(text) => drop(parts.slices.insert(name.clone(), text)),
                None => self.leave("tests.metadata"),
            }
        }
    }

    fn checks(&mut self, field: &str, node: &Located, parts: &mut Parts) {
        let LocatedKind::List(list) = &node.kind else {
            self.problems.note(node.line, field, "expected a list");
            return;
        };
        for (idx, node) in list.iter().enumerate() {
            let field = format!("{field}[{idx}]");
            let LocatedKind::Map(members) = &node.kind else {
                self.problems.note(node.line, field, "expected a map");
                continue;
            };
            let mut check = Check::of(String::new(), Value::Null);
            for (name, node) in members {
                match name.as_str() {
                    "type" => {
                        let word = node.text().unwrap_or_default();
                        let (not, kind) = word.strip_prefix("not-").map_or((false, word.as_str()), |kind| (true, kind));
                        check.not = not;
                        match metric_of(kind) {
                            Some(metric) => metric.clone_into(&mut check.metric),
                            None => self.problems.note(
                                node.line,
                                format!("{field}.type"),
                                format!("`{word}` has no counterpart"),
                            ),
                        }
                    }
                    "value" => check.value = node.value(),
                    "threshold" => check.threshold = node.value().as_f64(),
                    "weight" | "metric" => self.leave(&format!("assert.{name}")),
                    _ => self.problems.note(node.line, format!("{field}.{name}"), "has no counterpart"),
                }
            }
            // Without a schema any JSON will do.
            if check.metric == "json_schema" && check.value.is_null() {
                "json_valid".clone_into(&mut check.metric);
            }
            parts.checks.push(check);
        }
    }

    fn case(
        &mut self,
        prompt: &Prompt,
        many: bool,
        (parts, variables): (&Parts, &BTreeMap<String, Value>),
    ) -> Option<Case> {
        let before = self.problems.n;
        let text = self.filled(prompt.line, "prompts", &prompt.text, variables);
        let request = match serde_json::from_str::<Value>(&text) {
            Ok(messages @ Value::Array(_)) => {
                check_messages(prompt.line, "prompts", Some(&messages), &mut self.problems);
                Map::from_iter([("messages".to_owned(), messages)])
            }
            _ => asking(None, &text),
        };
        let mut case = Case { request, slices: parts.slices.clone(), ..Case::asking("", "", []) };
        for check in &parts.checks {
            let mut check = check.clone();
            self.fill(prompt.line, &mut check.value, variables);
            case.checks.push(check);
        }
        if many {
            case.slices.insert("prompt".to_owned(), prompt.label.clone());
        }
        (self.problems.n == before).then_some(case)
    }

    fn fill(&mut self, line: usize, value: &mut Value, variables: &BTreeMap<String, Value>) {
        match value {
            Value::String(text) => *text = self.filled(line, "assert.value", text, variables),
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(line, item, variables)),
            Value::Object(members) => members.values_mut().for_each(|item| self.fill(line, item, variables)),
            _ => {}
        }
    }

    /// The template with the variables in place of their names.
    fn filled(&mut self, line: usize, field: &str, template: &str, variables: &BTreeMap<String, Value>) -> String {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            text.push_str(before);
            let Some((name, after)) = after.split_once("}}") else {
                self.problems.note(line, field, "a `{{` without `}}`");
                return text;
            };
            match variables.get(name.trim()) {
                Some(Value::String(value)) => text.push_str(value),
                Some(value) => text.push_str(&value.to_string()),
                None => self.problems.note(line, field, format!("there is no variable `{}`", name.trim())),
            }
            rest = after;
        }
        text + rest
    }
}

/// What a test says, the default test's part before it.
#[derive(Default)]
struct Parts {
    variables: BTreeMap<String, Vec<Value>>,
    checks: Vec<Check>,
    slices: BTreeMap<String, String>,
}

/// One value for each variable, in every way there is.
fn combinations(variables: &BTreeMap<String, Vec<Value>>) -> Vec<BTreeMap<String, Value>> {
    let mut all = vec![BTreeMap::new()];
    for (name, values) in variables {
        let with = |chosen: &BTreeMap<String, Value>, value: &Value| {
            let mut chosen = chosen.clone();
            chosen.insert(name.clone(), value.clone());
            chosen
        };
        all = all.iter().flat_map(|chosen| values.iter().map(move |value| with(chosen, value))).collect();
    }
    all
}

impl Located {
    /// The same without lines.
    fn value(&self) -> Value {
        match &self.kind {
            LocatedKind::Scalar(value) => value.clone(),
            LocatedKind::List(items) => Value::Array(items.iter().map(Located::value).collect()),
            LocatedKind::Map(members) => {
                Value::Object(members.iter().map(|(name, node)| (name.clone(), node.value())).collect())
            }
        }
    }

    fn text(&self) -> Option<String> {
        match &self.kind {
            LocatedKind::Scalar(Value::String(text)) => Some(text.clone()),
            LocatedKind::Scalar(Value::Null) | LocatedKind::List(_) | LocatedKind::Map(_) => None,
            LocatedKind::Scalar(value) => Some(value.to_string()),
        }
    }
}
