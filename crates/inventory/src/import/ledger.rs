//! What became of every value of the source.

use serde::Serialize;

use super::tree::{Node, Tree};

/// What became of one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is in the config.
    Mapped {
        /// Under which keys of Crossfade's.
        to: String,
        /// What is not quite the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It is not in the config and nothing is lost.
    Harmless {
        /// Why not.
        why: String,
    },
    /// It is not in the config and something is lost.
    Unsupported {
        /// What Crossfade cannot do.
        why: String,
        /// What to do about it.
        hint: String,
    },
}

impl Outcome {
    /// The word in reports.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Outcome::Mapped { .. } => "mapped",
            Outcome::Harmless { .. } => "harmless",
            Outcome::Unsupported { .. } => "unsupported",
        }
    }

    /// What there is to say about it, in one line.
    pub fn words(&self) -> String {
        match self {
            Outcome::Mapped { to, note: None } => to.clone(),
            Outcome::Mapped { to, note: Some(note) } => format!("{to} ({note})"),
            Outcome::Harmless { why } => why.clone(),
            Outcome::Unsupported { why, hint } => format!("{why}; {hint}"),
        }
    }
}

/// One value of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Line it is on, from 1.
    pub line: usize,
    /// Column it begins at, from 1.
    pub column: usize,
    /// Its full key path.
    pub key: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Every leaf of a tree and what was decided about it.
#[derive(Debug)]
pub(super) struct Ledger<'t> {
    tree: &'t Tree,
    outcomes: Vec<Option<Outcome>>,
    /// Leaves about which something was decided twice: a mistake of the reader, for its tests to find.
    contested: Vec<String>,
}

impl<'t> Ledger<'t> {
    /// Nothing decided yet.
    pub(super) fn new(tree: &'t Tree) -> Ledger<'t> {
        Ledger { tree, outcomes: vec![None; tree.leaves.len()], contested: Vec::new() }
    }

    /// What it is about.
    pub(super) fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// Everything at and below `node` is in the config, under `to`.
    pub(super) fn mapped(&mut self, node: &Node, to: impl Into<String>) {
        self.decide(node, &Outcome::Mapped { to: to.into(), note: None });
    }

    /// The same, with what is not quite the same.
    pub(super) fn mapped_but(&mut self, node: &Node, to: impl Into<String>, note: impl Into<String>) {
        self.decide(node, &Outcome::Mapped { to: to.into(), note: Some(note.into()) });
    }

    /// Everything at and below `node` is left out and not missed.
    pub(super) fn harmless(&mut self, node: &Node, why: impl Into<String>) {
        self.decide(node, &Outcome::Harmless { why: why.into() });
    }

    /// Everything at and below `node` is left out and may be missed.
    pub(super) fn unsupported(&mut self, node: &Node, why: impl Into<String>, hint: impl Into<String>) {
        self.decide(node, &Outcome::Unsupported { why: why.into(), hint: hint.into() });
    }

    fn decide(&mut self, node: &Node, outcome: &Outcome) {
        node.each_leaf(&mut |leaf, node| match self.outcomes.get_mut(leaf) {
            Some(slot @ None) => *slot = Some(outcome.clone()),
            _ => self.contested.push(node.path.clone()),
        });
    }

    /// What is at and below `node` and not decided yet ends like this.
    pub(super) fn rest(&mut self, node: &Node, outcome: &Outcome) {
        node.each_leaf(&mut |leaf, _| {
            if let Some(slot @ None) = self.outcomes.get_mut(leaf) {
                *slot = Some(outcome.clone());
            }
        });
    }

    /// Leaves about which something was decided twice.
    #[cfg(test)]
    pub(super) fn contested(&self) -> &[String] {
        &self.contested
    }

    /// No reader sees a withheld text, so what one says of it is about the lack of it; the reason is another.
    fn withhold(&mut self) {
        let outcomes = &mut self.outcomes;
        self.tree.root.each_leaf(&mut |leaf, node| {
            let slot = outcomes.get_mut(leaf).filter(|_| node.is_withheld());
            if let Some(slot @ (None | Some(Outcome::Unsupported { .. }))) = slot {
                *slot = Some(Outcome::Unsupported {
                    why: "it looks like a secret, where none belongs, and is neither copied nor shown".to_owned(),
                    hint: "if it is one, make a new one: this file has been read; if not, write it by hand".to_owned(),
                });
            }
        });
    }

    /// Every leaf, in the order of its place. What nobody decided about is unsupported.
    pub(super) fn finish(mut self, title: &str) -> Vec<Key> {
        self.withhold();
        let undecided = || Outcome::Unsupported {
            why: format!("not a key of {title} that the importer knows"),
            hint: "look up what it does, and whether it is still wanted".to_owned(),
        };
        let leaves = self.tree.leaves.iter().zip(self.outcomes);
        let mut keys: Vec<Key> = leaves
            .map(|((path, place), outcome)| Key {
                line: place.line,
                column: place.column,
                key: path.clone(),
                outcome: outcome.unwrap_or_else(undecided),
            })
            .collect();
        keys.sort_by_key(|key| (key.line, key.column));
        keys
    }
}
