//! Crates of Rust: what one file of a crate brings in from another, and which crates are the repository's own.

use super::State;
use super::repository::{HOPS, Repository, directory, stem};
use crate::scan::facts::{BindingKind, Import};
use crate::scan::hosts;
use crate::scan::language::Language;
use crate::scan::rules::{Rules, Sdk};
use crate::scan::site::bases_of;

impl Repository<'_> {
    /// The library that a crate of the repository is like: it is one of the vendor whose addresses its source has.
    pub(super) fn crate_like(&self, name: &str) -> Option<usize> {
        let known = self.crates.get_or_init(|| {
            let crates = self.modules.iter().map(|(begins, name)| ((*name).to_owned(), self.like(begins)));
            crates.collect()
        });
        known.get(name).copied().flatten()
    }

    /// Names of crates of the repository that are libraries of a vendor.
    pub(super) fn crates_of_vendors(&self) -> impl Iterator<Item = String> {
        self.modules.iter().filter(|(_, name)| self.crate_like(name).is_some()).map(|(_, name)| (*name).to_owned())
    }

    fn like(&self, begins: &str) -> Option<usize> {
        let source = if begins.is_empty() { "src/".to_owned() } else { format!("{begins}/src/") };
        let files = self.files.iter().filter(|file| file.language == Language::Rust && file.path.starts_with(&source));
        let addresses = files.flat_map(|file| bases_of(file.facts));
        let mut vendors: Vec<&'static str> = addresses.filter_map(hosts::vendor_of).collect();
        vendors.dedup();
        let first = *vendors.first()?;
        let rules = Rules::of(Language::Rust);
        let is_of = |sdk: &Sdk| sdk.is_named && sdk.vendor == first;
        rules.sdks.iter().position(is_of).filter(|_| vendors.iter().all(|other| *other == first))
    }

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
