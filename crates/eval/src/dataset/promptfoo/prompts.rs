//! Prompts: in place, or in files beside the configuration.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ledger::below;
use super::providers::slug;
use super::{Located, LocatedKind, Reading};
use crate::prompt::{Template, Type, Variable};

/// A prompt: what it is called, and its template.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    pub(super) label: String,
    /// Its `id`, where it has one.
    pub(super) id: Option<String>,
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) path: String,
}

impl Reading<'_> {
    pub(super) fn read_prompts(&mut self, node: &Located) -> Vec<Prompt> {
        let (path, one) = ("prompts", std::slice::from_ref(node));
        let mut prompts = Vec::new();
        match &node.kind {
            LocatedKind::List(items) => {
                for (idx, item) in items.iter().enumerate() {
                    self.prompt((&format!("{path}[{idx}]"), item), idx, &mut prompts);
                }
            }
            // `{ file: label }`
            LocatedKind::Map(members) => {
                for (idx, (file, label)) in members.iter().enumerate() {
                    let text = Located { kind: LocatedKind::Scalar(Value::from(file.as_str())), ..label.clone() };
                    let before = prompts.len();
                    self.prompt((&below(path, file), &text), idx, &mut prompts);
                    if let (Some(prompt), Some(label)) = (prompts.get_mut(before), label.text()) {
                        prompt.label = label;
                    }
                }
            }
            LocatedKind::Scalar(_) => self.prompt((path, &one[0]), 0, &mut prompts),
        }
        prompts
    }

    fn prompt(&mut self, (path, node): (&str, &Located), idx: usize, prompts: &mut Vec<Prompt>) {
        let mut prompt = Prompt {
            label: format!("prompt {}", idx + 1),
            id: None,
            text: String::new(),
            line: node.line,
            path: path.to_owned(),
        };
        match &node.kind {
            LocatedKind::Scalar(Value::String(text)) => prompt.text.clone_from(text),
            LocatedKind::Map(members) => {
                for (name, node) in members {
                    let path = below(path, name);
                    match (name.as_str(), node.text()) {
                        ("raw", Some(text)) => prompt.text = text,
                        ("label", Some(text)) => prompt.label = text,
                        ("id", Some(text)) => {
                            if prompt.text.is_empty() && text.starts_with("file://") {
                                prompt.text.clone_from(&text);
                            }
                            if prompt.label.starts_with("prompt ") {
                                prompt.label.clone_from(&text);
                            }
                            prompt.id = Some(text);
                        }
                        _ => {
                            self.ledger.unsupported(
                                &path,
                                "not of a prompt that is a template",
                                "put it into the prompt's text",
                            );
                        }
                    }
                }
            }
            _ => self.problems.note(node.line, path, "expected a text"),
        }
        self.of_file(prompt, prompts);
    }

    /// The prompt, or those in the file that it names.
    fn of_file(&mut self, prompt: Prompt, prompts: &mut Vec<Prompt>) {
        let is_path = |text: &str| {
            !text.contains(char::is_whitespace)
                && [".txt", ".json", ".yaml", ".yml", ".md", ".j2"].iter().any(|end| text.ends_with(end))
        };
        let file = prompt.text.strip_prefix("file://").or(Some(prompt.text.as_str()).filter(|text| is_path(text)));
        let Some(file) = file.map(str::to_owned) else { return self.keep(prompt, prompts) };
        let text = (self.beside.read)(&file).filter(|_| is_path(&file));
        let Some(text) = text else {
            let hint = "write the template in its place: texts and {{variables}}";
            return self.ledger.unsupported(&prompt.path, "the file cannot be read here, or is a program", hint);
        };
        if file.ends_with(".yaml") || file.ends_with(".yml") {
            // A chat in YAML is the same in JSON.
            let chat = (self.beside.parse)(&text).map(|tree| tree.value()).filter(Value::is_array);
            let text = chat.map_or(text, |chat| chat.to_string());
            return self.keep(Prompt { text, ..prompt }, prompts);
        }
        let pieces: Vec<&str> = if file.ends_with(".txt") { text.split("\n---\n").collect() } else { vec![&text] };
        let many = pieces.len() > 1;
        for (idx, piece) in pieces.into_iter().enumerate() {
            let label = if many { format!("{} {}", prompt.label, idx + 1) } else { prompt.label.clone() };
            self.keep(Prompt { label, text: piece.trim().to_owned(), ..prompt.clone() }, prompts);
        }
    }

    fn keep(&mut self, prompt: Prompt, prompts: &mut Vec<Prompt>) {
        let tags =
            || prompt.text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(tag, _)| tag.trim());
        let is_name = |tag: &str| {
            tag != "_conversation"
                && !tag.starts_with("env.")
                && tag.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c))
        };
        if prompt.text.contains("{%") || tags().any(|tag| !is_name(tag)) {
            let hint = "write it as texts and {{variables}}, one prompt for each way it can turn out";
            self.ledger.unsupported(&prompt.path, "a template with logic, filters or the conversation", hint);
            return;
        }
        let to = "cases.jsonl: request";
        let other: Vec<&str> = tags().filter(|tag| word(tag) != **tag).collect();
        match prompt.file() {
            None => {
                self.ledger.converted_but(&prompt.path, to, "no file in prompts/: it is no chat of texts and variables")
            }
            Some(_) if !other.is_empty() => {
                let renamed: Vec<String> = other.iter().map(|tag| format!("`{tag}` is `{}`", word(tag))).collect();
                let note = format!("in prompts/ a variable is one word: {}", renamed.join(", "));
                self.ledger.converted_but(&prompt.path, to, note);
            }
            Some(_) => self.ledger.converted(&prompt.path, to),
        }
        prompts.push(prompt);
    }
}

/// A variable's name as one word, as a prompt of ours has them: `user.name` is `user_name`.
fn word(tag: &str) -> String {
    tag.replace(['.', '-'], "_")
}

impl Prompt {
    /// Whether a test that names these prompts asks this one.
    pub(super) fn is_among(&self, names: Option<&[String]>) -> bool {
        let Some(names) = names else { return true };
        let own = [Some(&self.label), self.id.as_ref()];
        names.iter().any(|name| {
            own.iter().flatten().any(|own| match name.strip_suffix('*') {
                Some(start) => own.starts_with(start),
                None => *own == name,
            })
        })
    }

    /// The prompt as a file of ours, by its name; `None` where it cannot be one.
    pub(super) fn file(&self) -> Option<(String, String)> {
        let mut template = self.text.clone();
        let mut words: BTreeMap<String, &str> = BTreeMap::new();
        for (tag, _) in self.text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")) {
            // Two that would be one are no file.
            if words.insert(word(tag.trim()), tag.trim()).is_some_and(|other| other != tag.trim()) {
                return None;
            }
            template = template.replace(&format!("{{{{{tag}}}}}"), &format!("{{{{{}}}}}", word(tag)));
        }
        let messages: Vec<(String, String)> = match serde_json::from_str::<Value>(&template) {
            Ok(Value::Array(messages)) => messages
                .iter()
                .map(|message| Some((message["role"].as_str()?.to_owned(), message["content"].as_str()?.to_owned())))
                .collect::<Option<_>>()?,
            _ => vec![("user".to_owned(), template)],
        };
        let mut names = BTreeSet::new();
        for (_, text) in &messages {
            let tags = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
            names.extend(tags.map(|(tag, _)| tag.trim().to_owned()));
        }
        let string = || Variable { of: Type::String, default: None, optional: false, delimited: false };
        let variables: BTreeMap<String, Variable> = names.iter().map(|name| (name.clone(), string())).collect();
        if messages.is_empty() || messages.iter().any(|(_, text)| Template::parse(text, &variables).is_err()) {
            return None;
        }
        let quoted = |text: &str| Value::from(text).to_string();
        let mut text = String::new();
        if !names.is_empty() {
            text += "variables:\n";
            for name in &names {
                text += &format!("  {}: string\n", quoted(name));
            }
        }
        text += "messages:\n";
        for (role, content) in &messages {
            text += &format!("  - {{ role: {role}, text: {} }}\n", quoted(content));
        }
        let name = self.label.rsplit('/').next().unwrap_or_default();
        let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        Some((slug(name), text))
    }
}
