//! Classes of the repository: what they have from those above them, and what they are instead of a library's.

use super::State;
use super::repository::{HOPS, Repository, is_known};
use crate::scan::facts::{BindingKind, Class};
use crate::scan::lower::imports::NAMESPACE;
use crate::scan::rules::Rules;

/// How many classes of one name are looked at.
const ALIKE: usize = 3;

impl Repository<'_> {
    /// What a member is that a class of the file has from a base class or a trait, in this or another file.
    pub(super) fn inherited(&self, file: usize, name: &str, line: Option<u32>, hops: u32) -> State {
        if hops >= HOPS || !self.members.contains_key(name) {
            return State::Unknown;
        }
        let holds = |class: &&Class| line.is_none_or(|line| class.from <= line && line <= class.to);
        let classes = self.files[file].facts.classes.iter().filter(holds);
        classes.map(|class| self.of_parents(file, class, name, hops)).find(is_known).unwrap_or(State::Unknown)
    }

    fn of_parents(&self, file: usize, class: &Class, name: &str, hops: u32) -> State {
        if hops >= HOPS {
            return State::Unknown;
        }
        let language = self.files[file].language.title();
        for parent in class.parents.iter().filter(|parent| **parent != class.name) {
            let known = self.classes.get(parent.as_str()).map(Vec::as_slice).unwrap_or_default();
            let fits = |idx: usize| self.files[idx].language.title() == language;
            // A name that many classes have says nothing.
            for (idx, at) in known.iter().copied().filter(|(idx, _)| fits(*idx)).take(ALIKE) {
                let above = &self.files[idx].facts.classes[at];
                let own = self.named(idx, name).filter(|(_, binding)| {
                    matches!(binding.kind, BindingKind::Field | BindingKind::Return)
                        && above.from <= binding.line
                        && binding.line <= above.to
                });
                let states = own.map(|(at, _)| self.bound(idx, at, hops + 1));
                let state = states.into_iter().find(is_known);
                let state = state.unwrap_or_else(|| self.of_parents(idx, above, name, hops + 1));
                if is_known(&state) {
                    return state;
                }
            }
        }
        State::Unknown
    }

    /// Whether the file is a library's own source: its namespace is the library's.
    fn is_of_library(&self, file: usize) -> bool {
        let rules = Rules::of(self.files[file].language);
        let mut own = self.files[file].facts.imports.iter().filter(|import| import.symbol == NAMESPACE);
        own.any(|import| !rules.of_module(&import.module).is_empty())
    }

    /// Whether a name is a class of the repository, or is declared as one.
    pub(super) fn is_of_own_class(&self, file: usize, name: &str, line: u32) -> bool {
        let language = self.files[file].language;
        let is_own = |class: &str| {
            let known = self.classes.get(class.rsplit('.').next().unwrap_or(class));
            known.is_some_and(|known| {
                known.iter().any(|(idx, _)| self.files[*idx].language == language && !self.is_of_library(*idx))
            })
        };
        match self.binding_at(file, name, line) {
            Some(at) => self.files[file].facts.bindings[at].types.first().is_some_and(|declared| is_own(declared)),
            None => is_own(name),
        }
    }

    /// The class of a library that a class of the repository is derived from.
    pub(super) fn derived(&self, file: usize, name: &str, hops: u32) -> Option<State> {
        if hops >= HOPS {
            return None;
        }
        let language = self.files[file].language;
        let known = self.classes.get(name)?.iter().filter(|(idx, _)| self.files[*idx].language == language);
        for (idx, at) in known.take(ALIKE) {
            for parent in &self.files[*idx].facts.classes[*at].parents {
                let object = if parent == name { State::Unknown } else { self.declared(*idx, parent, hops + 1) };
                if let State::Object(object) = object {
                    return Some(State::Symbol { sdks: vec![object.sdk], path: parent.clone() });
                }
            }
        }
        None
    }
}
