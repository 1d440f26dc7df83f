//! Crates of Rust: what one file of a crate brings in from another, and which crates are the repository's own.

use super::State;
use super::repository::{HOPS, Repository, directory, stem};
use crate::scan::facts::{BindingKind, Import};
use crate::scan::language::Language;

impl Repository<'_> {
    /// What `use crate::module::Name` brings in where it leads to a library: a name of its own for a client's type, a client
    /// that is made once, something that a module passes on.
    pub(super) fn in_crate(&self, file: usize, import: &Import, hops: u32) -> State {
        if hops >= HOPS {
            return State::Unknown;
        }
        let whole = format!("{}.{}", import.module, import.symbol);
        let parts: Vec<&str> =
            whole.split('.').filter(|part| !matches!(*part, "" | "crate" | "super" | "self")).collect();
        let Some((name, modules)) = parts.split_last() else { return State::Unknown };
        let files = match modules.last() {
            Some(module) => self.files_of(module, Language::Rust),
            None => self.roots_of(file),
        };
        let found = files.into_iter().filter(|other| *other != file).map(|other| self.passed(other, name, hops + 1));
        found.into_iter().find(|state| *state != State::Unknown).unwrap_or(State::Unknown)
    }

    /// What a file passes on under a name, where it is a library's.
    fn passed(&self, file: usize, name: &str, hops: u32) -> State {
        let is_public = |kind: BindingKind| matches!(kind, BindingKind::Local | BindingKind::Return);
        let bound = self.named(file, name).find(|(_, binding)| binding.from == 1 && is_public(binding.kind));
        let state = match bound {
            Some((at, _)) => self.bound(file, at, hops),
            None => {
                let imports = &self.files[file].facts.imports;
                let import = imports.iter().find(|import| import.local == name && hops < HOPS);
                import.map_or(State::Unknown, |import| self.import(file, import, hops + 1))
            }
        };
        match &state {
            State::Symbol { .. } | State::Object(_) => state,
            State::Returns(inner) if matches!(**inner, State::Object(_)) => state,
            _ => State::Unknown,
        }
    }

    /// Where the crate of a file begins: its `lib.rs` and `main.rs`.
    fn roots_of(&self, file: usize) -> Vec<usize> {
        let path = self.files[file].path;
        let roots = ["lib", "main"].iter().flat_map(|name| self.stems.get(name).into_iter().flatten().copied());
        let around = roots.filter(|root| {
            let root = &self.files[*root];
            let place = directory(root.path);
            root.language == Language::Rust
                && matches!(stem(root.path), "lib" | "main")
                && path.strip_prefix(place).is_some_and(|rest| place.is_empty() || rest.starts_with('/'))
        });
        let mut around: Vec<usize> = around.collect();
        let deepest = around.iter().map(|root| directory(self.files[*root].path).len()).max();
        around.retain(|root| Some(directory(self.files[*root].path).len()) == deepest);
        around
    }
}
