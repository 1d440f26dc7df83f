//! Environment variables: those the source names, and those that take the place of secrets written in it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What a variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableKind {
    /// A secret.
    Key,
    /// A base URL.
    Url,
    /// Something else.
    Text,
}

/// One environment variable that the config reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: VariableKind,
    /// Where its value is to be taken from, when it is not set already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Text of a config value as it is written in `crossfade.yaml`: `${NAME}` is a variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text(String);

impl Text {
    /// This text and nothing else.
    pub(super) fn literal(text: impl Into<String>) -> Text {
        Text(text.into().replace("${", "$${"))
    }

    /// What was put together from texts as they are written.
    pub(super) fn written(text: String) -> Text {
        Text(text)
    }

    /// The value of a variable.
    fn variable(name: &str) -> Text {
        Text(format!("${{{name}}}"))
    }

    /// The same with `more`, a text without variables, after it.
    pub(super) fn followed_by(self, more: &str) -> Text {
        Text(self.0 + more)
    }

    /// As it is written, without quotes.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All variables met so far.
#[derive(Debug, Default)]
pub(super) struct Variables {
    found: BTreeMap<String, Variable>,
    /// Which variable stands for which secret, so that equal secrets share one. Never printed: it does not leave this type.
    secrets: BTreeMap<String, String>,
}

impl Variables {
    /// Keeps `name` from being given to a secret: the source uses it itself.
    pub(super) fn reserve(&mut self, name: &str) {
        self.secrets.entry(format!("${{{name}}}")).or_insert_with(|| name.to_owned());
    }

    /// The variable `name`, which the source reads as well.
    pub(super) fn named(&mut self, name: &str, kind: VariableKind) -> Text {
        self.reserve(name);
        let variable = || Variable { name: name.to_owned(), kind, hint: None };
        self.found.entry(name.to_owned()).or_insert_with(variable);
        Text::variable(name)
    }

    /// A variable in the place of `secret`, which is written on `line`; called `wanted` if that is free.
    pub(super) fn secret(&mut self, secret: &str, wanted: &str, line: usize) -> Text {
        if let Some(name) = self.secrets.get(secret) {
            return Text::variable(name);
        }
        let taken = |name: &String| self.secrets.values().any(|taken| taken == name) || self.found.contains_key(name);
        let numbered = (2..).map(|n| format!("{wanted}_{n}"));
        let name = std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default();
        self.secrets.insert(secret.to_owned(), name.clone());
        let hint = format!("the value is written in the source, on line {line}");
        let variable = Variable { name: name.clone(), kind: VariableKind::Key, hint: Some(hint) };
        self.found.insert(name.clone(), variable);
        Text::variable(&name)
    }

    /// A variable for a secret that is kept somewhere else.
    pub(super) fn kept(&mut self, name: &str, hint: &str) -> Text {
        self.reserve(name);
        let variable = || Variable { name: name.to_owned(), kind: VariableKind::Key, hint: Some(hint.to_owned()) };
        self.found.entry(name.to_owned()).or_insert_with(variable);
        Text::variable(name)
    }

    /// Whether the config reads the variable `name`.
    pub(super) fn is_used(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    /// All of them, by name.
    pub(super) fn finish(self) -> Vec<Variable> {
        self.found.into_values().collect()
    }
}

/// Whether a variable can be called so in `${NAME}`.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `Fake OpenAI` as `FAKE_OPENAI`.
pub(super) fn to_name(words: &str) -> String {
    let upper = words.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    let name: String = upper.collect();
    let name = name.trim_matches('_').to_owned();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { format!("X_{name}") } else { name }
}

/// Whether a key holds a secret, going by its name.
pub(super) fn is_secret_key(key: &str) -> bool {
    const WORDS: [&str; 7] = ["key", "token", "secret", "password", "credential", "authorization", "cookie"];
    const NOT: [&str; 6] = ["max_tokens", "tokens", "token_limit", "keyword", "prompt_cache_key", "tpm"];
    let key = key.to_lowercase();
    WORDS.iter().any(|word| key.contains(word)) && !NOT.iter().any(|word| key.contains(word))
}

/// A text for people to read: one that looks like a secret is not shown.
pub(super) fn shown(text: &str) -> &str {
    if looks_secret(text) { "…" } else { text }
}

/// Whether a text is or holds a secret, going by the way vendors write theirs and URLs carry them. It may stand in the middle:
/// after a vendor's name, in a header or a query.
pub(super) fn looks_secret(text: &str) -> bool {
    let has_password =
        text.split_once("://").is_some_and(|(_, rest)| rest.split('/').next().unwrap_or(rest).contains('@'));
    let is_between = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
    has_password || text.contains("Bearer ") || text.split(is_between).any(is_secret_word)
}

/// Whether a word begins as vendors' keys do and goes on for long enough.
fn is_secret_word(word: &str) -> bool {
    const MARKS: [&str; 12] =
        ["sk-", "sk_", "pk-", "csk-", "gsk_", "xai-", "nvapi-", "pplx-", "tgp_", "ghp_", "github_pat_", "eyJ"];
    // Beginnings that names of models and places have too; what follows is one word then, and a long one.
    const COMMON: [&str; 5] = ["hf_", "fw_", "AIza", "AKIA", "ASIA"];
    let after = |beginnings: &[&str]| beginnings.iter().find_map(|beginning| word.strip_prefix(beginning));
    after(&MARKS).is_some_and(|rest| rest.len() >= 6)
        || after(&COMMON).is_some_and(|rest| rest.len() >= 16 && rest.contains(|c: char| c.is_ascii_digit()))
}
