//! A promptfoo configuration: every prompt with the variables of every test, what is asserted of the answer, and who is asked.
//!
//! Every value of it ends as converted, left out or unsupported ([`Entry`]). As a dataset ([`from_promptfoo`]) a configuration is
//! read whole or not at all: what is unsupported is a problem there, so that nothing is imported that means something else.

mod assertions;
mod cases;
mod checks;
mod ledger;
mod prompts;
mod providers;
mod sheet;
mod write;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::read::{Imported, Placed, digest_of_file, unique};
use super::{Dataset, Format, Origin, Problems};
use crate::case::{Case, Check};
use ledger::{Ledger, below};
use prompts::Prompt;

pub use ledger::{Entry, Fate};
pub use providers::Suggestion;
pub use write::files;

/// A node of YAML with the place it stands at. This room reads no YAML: whoever does hands over the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
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

/// What stands beside the configuration.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// A file that it names, by the path written in it.
    pub read: &'a dyn Fn(&str) -> Option<String>,
    /// A text of YAML or JSON as a tree.
    pub parse: &'a dyn Fn(&str) -> Option<Located>,
}

impl Beside<'static> {
    /// Nothing can be read.
    #[must_use]
    pub fn nothing() -> Beside<'static> {
        Beside { read: &|_| None, parse: &|_| None }
    }
}

/// What a model is to judge, for which a case has no check.
#[derive(Debug)]
pub struct Judged {
    /// What it goes by.
    pub rubric: String,
    /// Whether it is to fail.
    pub not: bool,
    /// Where it is asked.
    pub paths: Vec<String>,
}

/// What a configuration becomes.
#[derive(Debug)]
pub struct Converted {
    /// Its cases.
    pub cases: Vec<Case>,
    /// Whom it asks, the first one the baseline.
    pub targets: Vec<Suggestion>,
    /// Its prompts as files of ours, by name.
    pub prompts: Vec<(String, String)>,
    /// What a model is to judge.
    pub judged: Vec<Judged>,
    /// How often each case is asked.
    pub repeats: Option<u64>,
    /// What became of every value.
    pub entries: Vec<Entry>,
}

/// Top-level members that are about running and not about what is asked.
const BESIDE: [(&str, &str); 9] = [
    ("description", "words for people"),
    ("outputPath", "`crossfade eval report RUN -o FILE` writes results"),
    ("sharing", "results stay where they are"),
    ("tags", "words for people"),
    ("metadata", "words for people"),
    ("env", "variables are set where Crossfade runs; their values are neither copied nor shown"),
    ("commandLineOptions", "`crossfade eval run` has options of its own"),
    ("writeLatestResults", "every run is kept in the store"),
    ("$schema", "it names the format"),
];
/// Top-level members that make or change cases or numbers in ways that have no counterpart.
const REFUSED: [(&str, &str, &str); 7] = [
    ("nunjucksFilters", "code that comes with a configuration is not run", "write the values as they are to be"),
    ("extensions", "code that comes with a configuration is not run", "prepare the cases beforehand"),
    ("derivedMetrics", "numbers are not computed of other numbers", "use one of the metrics: docs/metrics.md"),
    ("redteam", "it makes attacks, not cases", "leave it to a red-team suite"),
    ("tracing", "there are no traces of agents here", "leave it out"),
    ("providerPromptMap", "every case asks every target", "make one suite for each target"),
    ("defaultTest.providerOutput", "a given answer asks nobody", "leave it out"),
];

/// Reads a configuration as a dataset.
///
/// # Errors
/// Everything of it that cannot be said here.
pub fn from_promptfoo(name: &str, path: &str, (bytes, root): (&[u8], &Located)) -> Result<Imported, Problems> {
    let converted = convert(path, root, &Beside::nothing())?;
    let mut problems = Problems::of(path);
    let mut left_out = BTreeMap::new();
    // The members of one assertion end alike: it is one problem.
    let mut told = (String::new(), String::new());
    for entry in &converted.entries {
        let top = entry.key.split(['.', '[']).next().unwrap_or_default();
        match &entry.fate {
            Fate::Unsupported { .. } if matches!(top, "providers" | "targets" | "evaluateOptions") => {}
            Fate::Unsupported { why, hint } => {
                let of = entry.key.rsplit_once('.').map_or("", |(of, _)| of);
                let what = (of.to_owned(), format!("{why}; {hint}"));
                if what != told || of.is_empty() {
                    problems.note(entry.line, entry.key.clone(), what.1.clone());
                }
                told = what;
                continue;
            }
            Fate::Converted { to, .. } if to.starts_with("cases") => continue,
            Fate::Converted { .. } | Fate::LeftOut { .. } => {}
        }
        *left_out.entry(top.to_owned()).or_default() += 1;
    }
    let format = Format::Promptfoo.as_str().to_owned();
    let origin = Origin::File { path: path.to_owned(), format, sha256: digest_of_file(bytes) };
    problems.or(Imported { dataset: Dataset { name: name.to_owned(), cases: converted.cases }, origin, left_out })
}

/// Converts a configuration, whatever of it can be.
///
/// # Errors
/// Everything that is not of promptfoo's form.
pub fn convert(path: &str, root: &Located, beside: &Beside<'_>) -> Result<Converted, Problems> {
    let mut reading = Reading::new(path, root, *beside);
    let placed = reading.root(root);
    let Reading { mut problems, ledger, targets, judged, repeats, prompts, .. } = reading;
    let entries = ledger.finish();
    let lost = entries.iter().any(|entry| matches!(entry.fate, Fate::Unsupported { .. }));
    // Where something was lost, that is why there is no case.
    let cases = if placed.is_empty() && lost { Vec::new() } else { unique(placed, &mut problems) };
    let prompts = prompts.iter().filter_map(Prompt::file).collect();
    problems.or(Converted { cases, targets, prompts, judged, repeats, entries })
}

struct Reading<'a> {
    problems: Problems,
    ledger: Ledger,
    beside: Beside<'a>,
    prompts: Vec<Prompt>,
    targets: Vec<Suggestion>,
    judged: Vec<Judged>,
    repeats: Option<u64>,
    /// Where the default test is.
    usual: String,
    /// `assertionTemplates`, by name.
    templates: BTreeMap<String, Located>,
}

/// A place in the configuration with what stands there.
type At<'n> = (String, &'n Located);

impl<'a> Reading<'a> {
    fn new(path: &str, root: &Located, beside: Beside<'a>) -> Reading<'a> {
        let mut ledger = Ledger::default();
        ledger.take_in("", root);
        Reading {
            problems: Problems::of(path),
            ledger,
            beside,
            prompts: Vec::new(),
            targets: Vec::new(),
            judged: Vec::new(),
            repeats: None,
            usual: "defaultTest".to_owned(),
            templates: BTreeMap::new(),
        }
    }

    fn root(&mut self, root: &Located) -> Placed {
        let LocatedKind::Map(members) = &root.kind else {
            self.problems.note(root.line, "", "expected a map with `prompts` and `tests`");
            return Vec::new();
        };
        for (name, node) in members {
            match name.as_str() {
                "prompts" => self.prompts = self.read_prompts(node),
                "providers" | "targets" => self.targets = providers::read(name, node, &mut self.ledger),
                "evaluateOptions" => self.options_of_run(node),
                "assertionTemplates" => {
                    if let LocatedKind::Map(templates) = &node.kind {
                        self.templates = templates.iter().cloned().collect();
                    }
                    self.ledger.left_out(name, "it is looked up where it is named");
                }
                "tests" | "scenarios" | "defaultTest" => {}
                name => match REFUSED.iter().find(|(refused, ..)| *refused == name) {
                    Some((_, why, hint)) => self.ledger.unsupported(name, *why, *hint),
                    None => {
                        if let Some((_, why)) = BESIDE.iter().find(|(beside, _)| *beside == name) {
                            self.ledger.left_out(name, why);
                        }
                    }
                },
            }
        }
        let member = |name: &str| members.iter().find(|(found, _)| found == name).map(|(_, node)| node);
        let usual = member("defaultTest").and_then(|node| self.opened("defaultTest", node));
        if let Some((path, _)) = &usual {
            self.usual.clone_from(path);
        }
        let usual = usual.as_ref().map(|(path, node)| (path.clone(), node));
        let mut placed = Vec::new();
        if let Some(tests) = member("tests") {
            for (path, test) in self.listed("tests", tests) {
                let sources: Vec<At<'_>> = usual.iter().cloned().chain([(path, &test)]).collect();
                placed.extend(self.cases_of(&sources, test.line));
            }
        }
        if let Some(scenarios) = member("scenarios") {
            placed.extend(self.scenarios(scenarios, usual.as_ref()));
        }
        placed
    }

    /// Every configuration of a scenario with every one of its tests.
    fn scenarios(&mut self, node: &Located, usual: Option<&At<'_>>) -> Placed {
        let mut placed = Vec::new();
        for (path, scenario) in self.listed("scenarios", node) {
            let LocatedKind::Map(members) = &scenario.kind else { continue };
            let member = |name: &str| members.iter().find(|(found, _)| found == name).map(|(_, node)| node);
            if member("description").is_some() {
                self.ledger.left_out(&below(&path, "description"), "words for people");
            }
            let (Some(configs), Some(tests)) = (member("config"), member("tests")) else {
                self.problems.note(scenario.line, path, "a scenario has `config` and `tests`");
                continue;
            };
            let configs = self.listed(&below(&path, "config"), configs);
            let tests = self.listed(&below(&path, "tests"), tests);
            for (config_path, config) in &configs {
                for (test_path, test) in &tests {
                    let own = [(config_path.clone(), config), (test_path.clone(), test)];
                    let sources: Vec<At<'_>> = usual.cloned().into_iter().chain(own).collect();
                    placed.extend(self.cases_of(&sources, test.line));
                }
            }
        }
        placed
    }

    fn options_of_run(&mut self, node: &Located) {
        let LocatedKind::Map(members) = &node.kind else { return };
        for (name, node) in members {
            let path = below("evaluateOptions", name);
            match name.as_str() {
                "repeat" => {
                    self.repeats = node.value().as_u64();
                    self.ledger.converted(&path, "suite.yaml: repeats");
                }
                "maxConcurrency" => self.ledger.left_out(&path, "`crossfade eval run --concurrency N` says it"),
                "cache" => self.ledger.left_out(&path, "`--no-reuse` calls anew"),
                "timeoutMs" | "maxEvalTimeMs" => self.ledger.unsupported(
                    &path,
                    "a run has no time limit; a call has that of its provider",
                    "set `timeouts` of the provider in the config",
                ),
                "delay"
                | "showProgressBar"
                | "silent"
                | "generateSuggestions"
                | "interactiveProviders"
                | "eventSource" => {
                    self.ledger.left_out(&path, "it is about how a run looks, not what it measures");
                }
                _ => {}
            }
        }
    }

    /// The node, or what is in the file that it names.
    fn opened(&mut self, path: &str, node: &Located) -> Option<(String, Located)> {
        let LocatedKind::Scalar(Value::String(text)) = &node.kind else { return Some((path.to_owned(), node.clone())) };
        let file = text.strip_prefix("file://").unwrap_or(text);
        let is_data = [".yaml", ".yml", ".json"].iter().any(|end| file.ends_with(end));
        let found = is_data.then(|| (self.beside.read)(file)).flatten().and_then(|text| (self.beside.parse)(&text));
        let Some(found) = found else {
            self.ledger.unsupported(path, "the file cannot be read here", "write what is in it in its place");
            return None;
        };
        Some(self.taken_in(path, file, found))
    }

    /// What is in a file, each value of which is accounted for like one that stands in place.
    fn taken_in(&mut self, path: &str, file: &str, found: Located) -> (String, Located) {
        self.ledger.converted(path, "cases.jsonl");
        let name = file.trim_start_matches("./").to_owned();
        self.ledger.take_in(&name, &found);
        (name, found)
    }

    /// The same of tests, which may be in a table too.
    fn opened_tests(&mut self, path: &str, node: &Located) -> Option<(String, Located)> {
        let text = node.text().unwrap_or_default();
        let file = text.strip_prefix("file://").unwrap_or(&text);
        let Some(table) = Some(file).filter(|file| file.ends_with(".csv")).and_then(|file| (self.beside.read)(file))
        else {
            return self.opened(path, node);
        };
        match sheet::tests(file, &table) {
            Ok(tests) => Some(self.taken_in(path, file, tests)),
            Err(problems) => {
                problems.shown.into_iter().for_each(|problem| self.problems.note(node.line, path, problem.to_string()));
                None
            }
        }
    }

    /// The items of a list, of a list in a file, or of files in a list.
    fn listed(&mut self, path: &str, node: &Located) -> Vec<(String, Located)> {
        let Some((path, node)) = self.opened_tests(path, node) else { return Vec::new() };
        let LocatedKind::List(items) = node.kind else {
            self.ledger.unsupported(&path, "what makes tests by a program is not run", "write the tests in place");
            return Vec::new();
        };
        let mut all = Vec::new();
        for (idx, item) in items.into_iter().enumerate() {
            let path = format!("{path}[{idx}]");
            if item.text().is_none() {
                all.push((path, item));
            } else if let Some((path, inner)) = self.opened_tests(&path, &item) {
                match inner.kind {
                    LocatedKind::List(items) => {
                        all.extend(items.into_iter().enumerate().map(|(idx, item)| (format!("{path}[{idx}]"), item)));
                    }
                    _ => all.push((path, inner)),
                }
            }
        }
        all
    }

    /// The cases of a test, of which later sources go before earlier ones.
    fn cases_of(&mut self, sources: &[At<'_>], line: usize) -> Placed {
        let before = self.problems.n;
        let mut parts = Parts { expands: true, ..Parts::default() };
        if sources
            .last()
            .is_some_and(|(_, test)| test.get("options").is_some_and(|options| options.says("disableDefaultAsserts")))
        {
            parts.without_usual = true;
        }
        for (path, node) in sources {
            self.test(path, node, &mut parts);
        }
        if self.problems.n != before || parts.impossible {
            return Vec::new();
        }
        let variables = if parts.expands { combinations(&parts.variables) } else { vec![parts.plain_variables()] };
        let prompts = self.prompts.clone();
        let many = prompts.len() > 1;
        let mut placed = Vec::new();
        for variables in variables {
            for prompt in prompts.iter().filter(|prompt| prompt.is_among(parts.prompts.as_deref())) {
                placed.extend(self.case(prompt, many, (&parts, &variables)).map(|case| (line, case)));
            }
        }
        placed
    }

    fn test(&mut self, path: &str, node: &Located, parts: &mut Parts) {
        let LocatedKind::Map(members) = &node.kind else {
            self.problems.note(node.line, path, "expected a map");
            return;
        };
        for (name, node) in members {
            let path = below(path, name);
            match name.as_str() {
                "vars" => self.variables(&path, node, parts),
                "assert" => self.asserted(&path, node, parts),
                "description" => {
                    parts.slices.extend(node.text().map(|text| ("test".to_owned(), text)));
                    self.ledger.converted(&path, "cases.jsonl: slices.test");
                }
                "metadata" => self.slices(&path, node, parts),
                "options" => self.options(&path, node, parts),
                "threshold" => {
                    parts.threshold = node.value().as_f64();
                    self.ledger.converted_but(
                        &path,
                        "cases.jsonl: checks",
                        "each check counts as held or not, by weight",
                    );
                }
                "prompts" => {
                    let names = match node.value() {
                        Value::Array(names) => names,
                        one => vec![one],
                    };
                    parts.prompts = Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                    self.ledger.converted(&path, "cases.jsonl: of these prompts only");
                }
                "provider" | "providers" => self.ledger.unsupported(
                    &path,
                    "every case asks every target",
                    "put such tests into a suite of their own with `targets`",
                ),
                "providerOutput" => {
                    parts.impossible = true;
                    self.ledger.unsupported(&path, "a given answer asks nobody", "leave the test out");
                }
                "assertScoringFunction" => {
                    self.ledger.unsupported(
                        &path,
                        "code that comes with cases is not run",
                        "use `weight` and `threshold`",
                    );
                }
                _ => {}
            }
        }
    }

    fn variables(&mut self, path: &str, node: &Located, parts: &mut Parts) {
        let Some((path, node)) = self.opened(path, node) else {
            parts.impossible = true;
            return;
        };
        let LocatedKind::Map(members) = &node.kind else {
            self.problems.note(node.line, path, "expected a map");
            return;
        };
        for (name, node) in members {
            let path = below(&path, name);
            let mut values = match &node.kind {
                LocatedKind::List(items) => items.iter().map(Located::value).collect(),
                _ => vec![node.value()],
            };
            for value in &mut values {
                let file = value.as_str().and_then(|text| text.strip_prefix("file://")).map(str::to_owned);
                let Some(file) = file else { continue };
                let is_text =
                    [".txt", ".md", ".json", ".yaml", ".yml", ".html", ".csv"].iter().any(|end| file.ends_with(end));
                match is_text.then(|| (self.beside.read)(&file)).flatten() {
                    Some(text) => *value = Value::from(text.trim_end()),
                    None => {
                        parts.impossible = true;
                        self.ledger.unsupported(
                            &path,
                            "the file cannot be read here",
                            "write what is in it in its place",
                        );
                    }
                }
            }
            self.ledger.converted(&path, "cases.jsonl: request");
            parts.variables.insert(name.clone(), values);
        }
    }

    fn slices(&mut self, path: &str, node: &Located, parts: &mut Parts) {
        let LocatedKind::Map(members) = &node.kind else { return };
        for (name, node) in members {
            let path = below(path, name);
            match node.text() {
                Some(text) => {
                    parts.slices.insert(name.clone(), text);
                    self.ledger.converted(&path, "cases.jsonl: slices");
                }
                None => self.ledger.left_out(&path, "a slice is a text, a number or a boolean"),
            }
        }
    }

    fn options(&mut self, path: &str, node: &Located, parts: &mut Parts) {
        let LocatedKind::Map(members) = &node.kind else { return };
        for (name, node) in members {
            let path = below(path, name);
            match name.as_str() {
                "prefix" => parts.prefix = node.text().unwrap_or_default(),
                "suffix" => parts.suffix = node.text().unwrap_or_default(),
                "disableVarExpansion" => parts.expands = !node.says(""),
                "disableDefaultAsserts" => {}
                "disableConversationVar" | "runSerially" => {
                    self.ledger.left_out(&path, "cases are asked alone, in no order that matters");
                    continue;
                }
                "provider" | "rubricPrompt" | "factuality" => {
                    self.ledger.unsupported(
                        &path,
                        "it is about a model that judges",
                        "set it up as a judge of the suite",
                    );
                    continue;
                }
                "transformVars" => {
                    parts.impossible = true;
                    self.ledger.unsupported(
                        &path,
                        "code that comes with cases is not run",
                        "write the values as they are to be",
                    );
                    continue;
                }
                "transform" | "postprocess" | "storeOutputAs" => {
                    let hint = "the checks are made of the answer as it comes: see whether they still hold";
                    self.ledger.unsupported(&path, "code that changes answers is not run", hint);
                    continue;
                }
                "response_format" | "temperature" | "top_p" | "max_tokens" | "seed" | "stop" | "tools"
                | "tool_choice" => {
                    let value = node.value();
                    if value.as_str().is_some_and(|text| text.starts_with("file://")) {
                        self.ledger.unsupported(&path, "the file is not read", "write what is in it in its place");
                        continue;
                    }
                    parts.request.insert(name.clone(), value);
                }
                _ => continue,
            }
            self.ledger.converted(&path, "cases.jsonl: request");
        }
    }
}

/// What a test says, the default test's part before it.
#[derive(Default)]
struct Parts {
    variables: BTreeMap<String, Vec<Value>>,
    checks: Vec<Check>,
    slices: BTreeMap<String, String>,
    request: Map<String, Value>,
    prefix: String,
    suffix: String,
    threshold: Option<f64>,
    prompts: Option<Vec<String>>,
    /// Whether each value of a list makes a case.
    expands: bool,
    without_usual: bool,
    /// Whether no case can be made of it.
    impossible: bool,
}

impl Parts {
    /// Lists as they are.
    fn plain_variables(&self) -> BTreeMap<String, Value> {
        let plain = |values: &Vec<Value>| match values.as_slice() {
            [one] => one.clone(),
            many => Value::Array(many.to_vec()),
        };
        self.variables.iter().map(|(name, values)| (name.clone(), plain(values))).collect()
    }
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

    /// The member of a map.
    fn get(&self, name: &str) -> Option<&Located> {
        let LocatedKind::Map(members) = &self.kind else { return None };
        members.iter().find(|(found, _)| found == name).map(|(_, node)| node)
    }

    /// Whether it is true, or its member of this name is.
    fn says(&self, name: &str) -> bool {
        let node = if name.is_empty() { Some(self) } else { self.get(name) };
        node.is_some_and(|node| node.kind == LocatedKind::Scalar(Value::Bool(true)))
    }

    fn text(&self) -> Option<String> {
        match &self.kind {
            LocatedKind::Scalar(Value::String(text)) => Some(text.clone()),
            LocatedKind::Scalar(Value::Null) | LocatedKind::List(_) | LocatedKind::Map(_) => None,
            LocatedKind::Scalar(value) => Some(value.to_string()),
        }
    }
}
