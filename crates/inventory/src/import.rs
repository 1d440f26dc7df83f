//! The config of another gateway as one of Crossfade's.
//!
//! Nothing is dropped in silence: every value of the source ends as mapped, harmless or unsupported, with its line. What a
//! reader does not decide about is unsupported; no reader can forget a key. Keys and other secrets written in the source
//! reach neither the config nor the report: they become `${NAME}` of an environment variable.

mod address;
mod decimal;
mod draft;
mod ledger;
mod litellm;
mod portkey;
mod render;
mod rules;
mod tensorzero;
mod tree;
mod variables;
mod vendors;

pub mod reference;

#[cfg(test)]
mod tests;

use serde::Serialize;

use draft::Draft;
use ledger::Ledger;
use rules::Rule;
use tree::{Place, Tree};
use variables::Variables;

pub use ledger::{Key, Outcome};
pub use variables::{Variable, VariableKind};

/// Whose config it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// LiteLLM's proxy: `config.yaml`.
    Litellm,
    /// TensorZero's gateway: `tensorzero.toml`.
    Tensorzero,
    /// Portkey's gateway: a config as JSON.
    Portkey,
}

impl Source {
    /// The name a person knows it by.
    pub const fn title(self) -> &'static str {
        match self {
            Source::Litellm => "LiteLLM",
            Source::Tensorzero => "TensorZero",
            Source::Portkey => "Portkey",
        }
    }

    /// Whose config it is, going by the end of the file's name: each gateway has its own language.
    pub fn detect(file: &str) -> Option<Source> {
        let (_, end) = file.rsplit_once('.')?;
        match end.to_lowercase().as_str() {
            "yaml" | "yml" => Some(Source::Litellm),
            "toml" => Some(Source::Tensorzero),
            "json" => Some(Source::Portkey),
            _ => None,
        }
    }

    /// What becomes of the keys at the top of its config.
    const fn top(self) -> &'static [Rule] {
        match self {
            Source::Litellm => litellm::tables::TOP,
            Source::Tensorzero => tensorzero::tables::TOP,
            Source::Portkey => portkey::tables::CONFIG,
        }
    }

    fn parse(self, text: &str) -> Result<Tree, Unreadable> {
        match self {
            Source::Litellm => tree::yaml::parse(text),
            Source::Tensorzero => tree::toml::parse(text),
            Source::Portkey => tree::json::parse(text),
        }
    }
}

/// The text cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct Unreadable {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub what: String,
}

impl Unreadable {
    fn at(place: Place, what: impl Into<String>) -> Unreadable {
        Unreadable { line: place.line, column: place.column, what: what.into() }
    }
}

/// What an importer is given besides the text.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The name of the config's file, for people to read.
    pub file: &'a str,
    /// A file that the config names, by the path written in it. `None` when it cannot be read.
    pub read: Files<'a>,
    /// The day, `2026-11-25`, for what has to say when somebody looked.
    pub today: &'a str,
    /// The model names that applications send, for a config that says none; empty for any.
    pub routes: &'a [String],
}

type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Imported {
    /// A `crossfade.yaml`, with a comment wherever a choice was made.
    pub config: String,
    /// What became of every value of the source, in the order of its lines.
    pub keys: Vec<Key>,
    /// The environment variables the config reads, by name.
    pub environment: Vec<Variable>,
    /// Whether the source knows none of the keys at the top: the file is something else.
    pub is_foreign: bool,
}

impl Imported {
    /// How many values are mapped, harmless and unsupported.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for key in &self.keys {
            match key.outcome {
                Outcome::Mapped { .. } => counts.mapped += 1,
                Outcome::Harmless { .. } => counts.harmless += 1,
                Outcome::Unsupported { .. } => counts.unsupported += 1,
            }
        }
        counts
    }
}

/// How many values ended as what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Carried over.
    pub mapped: usize,
    /// Not carried over, and nobody will miss it.
    pub harmless: usize,
    /// Not carried over, and somebody may.
    pub unsupported: usize,
}

/// Reads `text`, a config of `source`'s.
///
/// # Errors
/// When it is not in the format its gateway reads.
pub fn import(source: Source, text: &str, beside: &Beside<'_>) -> Result<Imported, Unreadable> {
    let tree = source.parse(text)?;
    let mut importing = Importing::new(&tree, beside);
    importing.read(source, beside);
    Ok(importing.finish(source))
}

/// An import under way.
struct Importing<'t> {
    ledger: Ledger<'t>,
    draft: Draft,
    variables: Variables,
    /// The name of the source's file.
    file: String,
    today: String,
}

impl<'t> Importing<'t> {
    fn new(tree: &'t Tree, beside: &Beside<'_>) -> Importing<'t> {
        let mut ledger = Ledger::new(tree);
        for (node, line) in &tree.overwritten {
            ledger.harmless(node, format!("written again on line {line}; only the last of two equal keys counts"));
        }
        for node in &tree.unnameable {
            let why = "its key looks like a secret, and keys are shown";
            ledger.unsupported(node, why, "if it is one, make a new one; if not, give it another name");
        }
        let (file, today) = (beside.file.to_owned(), beside.today.to_owned());
        Importing { ledger, draft: Draft::default(), variables: Variables::default(), file, today }
    }

    fn read(&mut self, source: Source, beside: &Beside<'_>) {
        let root = &self.ledger.tree().root;
        if root.entries().is_empty() {
            return self.ledger.harmless(root, "there is nothing in it");
        }
        match source {
            Source::Litellm => litellm::read(root, self),
            Source::Tensorzero => tensorzero::read(root, beside.read, self),
            Source::Portkey => portkey::read(root, beside.routes, self),
        }
    }

    fn finish(self, source: Source) -> Imported {
        let top = self.ledger.tree().root.entries();
        let is_foreign = !top.is_empty() && top.iter().all(|(key, _)| rules::find(source.top(), key).is_none());
        let keys = self.ledger.finish(source.title());
        let environment = self.variables.finish();
        let config = render::config(&self.draft, source.title(), &self.file, &keys, &environment);
        Imported { config, keys, environment, is_foreign }
    }
}
