//! The config of another gateway as one of Crossfade's.
//!
//! Nothing is dropped in silence: every value of the source ends as mapped, harmless or unsupported, with its line. What a
//! reader does not decide about is unsupported; no reader can forget a key. Keys and other secrets written in the source
//! reach neither the config nor the report: they become `${NAME}` of an environment variable.

mod address;
mod draft;
mod ledger;
mod litellm;
mod render;
mod rules;
mod tree;
mod variables;
mod vendors;

pub mod reference;

#[cfg(test)]
mod tests;

use serde::Serialize;

use draft::Draft;
use ledger::Ledger;
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
}

impl Source {
    /// The name a person knows it by.
    pub const fn title(self) -> &'static str {
        match self {
            Source::Litellm => "LiteLLM",
        }
    }

    /// Whose config the text looks like, going by the file's name and its first keys.
    pub fn detect(file: &str, _text: &str) -> Option<Source> {
        let name = file.to_lowercase();
        (name.ends_with(".yaml") || name.ends_with(".yml")).then_some(Source::Litellm)
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

/// A file beside the config, by the path written in it. `None` when it cannot be read.
pub type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Imported {
    /// A `crossfade.yaml`, with a comment wherever a choice was made.
    pub config: String,
    /// What became of every value of the source, in the order of its lines.
    pub keys: Vec<Key>,
    /// The environment variables the config reads, by name.
    pub environment: Vec<Variable>,
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

/// Reads `text`, the config called `file`.
///
/// # Errors
/// When it is not in the format its gateway reads.
pub fn import(source: Source, file: &str, text: &str, _files: Files<'_>) -> Result<Imported, Unreadable> {
    let tree = match source {
        Source::Litellm => tree::yaml::parse(text)?,
    };
    let mut importing = Importing::new(&tree);
    match source {
        Source::Litellm => litellm::read(&tree.root, &mut importing),
    }
    Ok(importing.finish(source, file))
}

/// An import under way.
struct Importing<'t> {
    ledger: Ledger<'t>,
    draft: Draft,
    variables: Variables,
}

impl<'t> Importing<'t> {
    fn new(tree: &'t Tree) -> Importing<'t> {
        let mut ledger = Ledger::new(tree);
        for (node, line) in &tree.overwritten {
            ledger.harmless(node, format!("written again on line {line}; only the last of two equal keys counts"));
        }
        Importing { ledger, draft: Draft::default(), variables: Variables::default() }
    }

    fn finish(self, source: Source, file: &str) -> Imported {
        let keys = self.ledger.finish(source.title());
        let environment = self.variables.finish();
        let config = render::config(&self.draft, source.title(), file, &keys, &environment);
        Imported { config, keys, environment }
    }
}
