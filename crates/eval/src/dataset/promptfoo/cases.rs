//! A prompt with the variables of a test, as a case.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::prompts::Prompt;
use super::{Parts, Reading};
use crate::case::{Case, Check};
use crate::dataset::own::{asking, check_messages};
use crate::run::CHECKS;

impl Reading<'_> {
    pub(super) fn case(
        &mut self,
        prompt: &Prompt,
        many: bool,
        (parts, variables): (&Parts, &BTreeMap<String, Value>),
    ) -> Option<Case> {
        let before = self.problems.n;
        let variables = &self.resolved(prompt.line, variables);
        let template = format!("{}{}{}", parts.prefix, prompt.text, parts.suffix);
        let is_chat = matches!(serde_json::from_str::<Value>(&template), Ok(Value::Array(_)));
        let text = self.filled(prompt.line, &prompt.path, &template, (variables, is_chat));
        let mut request = match serde_json::from_str::<Value>(&text) {
            Ok(messages @ Value::Array(_)) => {
                check_messages(prompt.line, &prompt.path, Some(&messages), &mut self.problems);
                Map::from_iter([("messages".to_owned(), messages)])
            }
            _ => asking(None, &text),
        };
        request.extend(parts.request.clone());
        let mut case = Case { request, slices: parts.slices.clone(), ..Case::asking("", "", []) };
        for check in &parts.checks {
            let mut check = check.clone();
            self.fill((prompt.line, "assert.value"), &mut check.value, variables);
            for setting in check.settings.values_mut() {
                self.fill((prompt.line, "assert.value"), setting, variables);
            }
            case.checks.push(check);
        }
        if let Some(threshold) = parts.threshold.filter(|_| !case.checks.is_empty()) {
            let checks = std::mem::take(&mut case.checks);
            case.checks = vec![Check { threshold: Some(threshold), ..Check::of(CHECKS, json!(checks)) }];
        }
        if many {
            case.slices.insert("prompt".to_owned(), prompt.label.clone());
        }
        (self.problems.n == before).then_some(case)
    }

    /// Variables may name others: they are filled in until none does.
    fn resolved(&mut self, line: usize, variables: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let mut variables = variables.clone();
        for _ in 0..MOST_NESTED {
            if !variables.values().any(names_a_variable) {
                return variables;
            }
            let (before, n) = (variables.clone(), self.problems.n);
            for value in variables.values_mut() {
                self.fill((line, "vars"), value, &before);
            }
            if self.problems.n > n {
                return variables;
            }
        }
        self.problems.note(line, "vars", "variables name each other in a circle");
        variables
    }

    fn fill(&mut self, at: (usize, &str), value: &mut Value, variables: &BTreeMap<String, Value>) {
        match value {
            Value::String(text) => *text = self.filled(at.0, at.1, text, (variables, false)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(at, item, variables)),
            Value::Object(members) => members.values_mut().for_each(|item| self.fill(at, item, variables)),
            _ => {}
        }
    }

    /// The template with the variables in place of their names; within JSON, texts as JSON writes them.
    fn filled(
        &mut self,
        line: usize,
        field: &str,
        template: &str,
        (variables, in_json): (&BTreeMap<String, Value>, bool),
    ) -> String {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            text.push_str(before);
            let Some((name, after)) = after.split_once("}}") else {
                self.problems.note(line, field, "a `{{` without `}}`");
                return text;
            };
            match looked_up(name.trim(), variables) {
                Some(Value::String(value)) if in_json => {
                    let quoted = Value::from(value).to_string();
                    text.push_str(&quoted[1..quoted.len() - 1]);
                }
                Some(Value::String(value)) => text.push_str(&value),
                Some(value) => text.push_str(&value.to_string()),
                None => self.problems.note(line, field, format!("there is no variable `{}`", name.trim())),
            }
            rest = after;
        }
        text + rest
    }
}

/// Variables in variables in variables.
const MOST_NESTED: usize = 8;

fn names_a_variable(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(names_a_variable),
        Value::Object(members) => members.values().any(names_a_variable),
        _ => false,
    }
}

/// `name`, or `name.field` of a map.
fn looked_up(name: &str, variables: &BTreeMap<String, Value>) -> Option<Value> {
    let mut path = name.split('.');
    let mut value = variables.get(path.next()?)?;
    for field in path {
        value = value.get(field)?;
    }
    Some(value.clone())
}
