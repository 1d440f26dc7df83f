//! What became of every value of the configuration.

use std::collections::BTreeMap;

use super::{Located, LocatedKind};

/// What became of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is carried over.
    Converted {
        /// Where to.
        to: String,
        /// What is not quite the same.
        note: Option<String>,
    },
    /// It is not, and nobody will miss it.
    LeftOut {
        /// Why not.
        why: String,
    },
    /// It is not, and somebody may miss it.
    Unsupported {
        /// What there is no counterpart of.
        why: String,
        /// What to do about it.
        hint: String,
    },
}

impl Fate {
    /// Of several, the one that has to be told.
    fn rank(&self) -> u8 {
        match self {
            Fate::LeftOut { .. } => 0,
            Fate::Converted { note: None, .. } => 1,
            Fate::Converted { note: Some(_), .. } => 2,
            Fate::Unsupported { .. } => 3,
        }
    }
}

/// One value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Line it is on, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Its full key path, `tests[0].assert[1].type`.
    pub key: String,
    /// What became of it.
    pub fate: Fate,
}

/// Every leaf and what was decided about it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    leaves: BTreeMap<String, (usize, usize, Option<Fate>)>,
}

impl Ledger {
    /// Takes in a tree whose own path is `path`.
    pub(super) fn take_in(&mut self, path: &str, node: &Located) {
        match &node.kind {
            LocatedKind::List(items) if !items.is_empty() => {
                for (idx, item) in items.iter().enumerate() {
                    self.take_in(&format!("{path}[{idx}]"), item);
                }
            }
            LocatedKind::Map(members) if !members.is_empty() => {
                for (name, member) in members {
                    self.take_in(&below(path, name), member);
                }
            }
            _ => drop(self.leaves.insert(path.to_owned(), (node.line, node.column, None))),
        }
    }

    pub(super) fn converted(&mut self, path: &str, to: &str) {
        self.decide(path, &Fate::Converted { to: to.to_owned(), note: None });
    }

    pub(super) fn converted_but(&mut self, path: &str, to: &str, note: impl Into<String>) {
        self.decide(path, &Fate::Converted { to: to.to_owned(), note: Some(note.into()) });
    }

    pub(super) fn left_out(&mut self, path: &str, why: &str) {
        self.decide(path, &Fate::LeftOut { why: why.to_owned() });
    }

    pub(super) fn unsupported(&mut self, path: &str, why: impl Into<String>, hint: impl Into<String>) {
        self.decide(path, &Fate::Unsupported { why: why.into(), hint: hint.into() });
    }

    /// Everything at and below the path; of two decisions the one that has to be told stands.
    fn decide(&mut self, path: &str, fate: &Fate) {
        let under = self.leaves.range_mut(path.to_owned()..).take_while(|(key, _)| key.starts_with(path));
        for (key, (_, _, slot)) in under {
            let rest = &key[path.len()..];
            let is_in = rest.is_empty() || rest.starts_with(['.', '[']) || path.is_empty();
            if is_in && slot.as_ref().is_none_or(|before| before.rank() < fate.rank()) {
                *slot = Some(fate.clone());
            }
        }
    }

    /// Every leaf in the order of its place. What nobody decided about is unsupported.
    pub(super) fn finish(self) -> Vec<Entry> {
        let unknown = || Fate::Unsupported {
            why: "not a key of promptfoo's that is known here".to_owned(),
            hint: "look up what it does, and whether it is still wanted".to_owned(),
        };
        let entry = |(key, (line, column, fate)): (String, (usize, usize, Option<Fate>))| Entry {
            line,
            column,
            key,
            fate: fate.unwrap_or_else(unknown),
        };
        let mut entries: Vec<Entry> = self.leaves.into_iter().map(entry).collect();
        entries.sort_by_key(|entry| (entry.line, entry.column));
        entries
    }
}

/// The path of a member.
pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
