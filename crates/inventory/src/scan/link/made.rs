//! Java and Kotlin: interfaces that a framework makes objects of.

use super::State;
use super::repository::{HOPS, Repository, directory};
use crate::scan::language::Language;
use crate::scan::rules::Rules;

impl Repository<'_> {
    /// An object of a type that a framework makes: an interface that is said to be a service, or is given to a maker of services.
    pub(super) fn made_by_framework(&self, file: usize, name: &str, hops: u32) -> Option<State> {
        let known = self.types.get(name)?;
        if hops >= HOPS || !self.files[file].language.is_jvm() {
            return None;
        }
        let package = self.package_of(file, name);
        let same = known.iter().filter(|(other, _)| self.package_of(*other, name) == package);
        let states = same.map(|(other, at)| self.bound(*other, *at, hops + 1));
        let found = states.into_iter().find_map(|state| match state {
            State::Object(object) => Some(object),
            _ => None,
        });
        found.map(|mut object| {
            // A builder is kept in a variable, and builds later.
            let built =
                Rules::of(Language::Java).of_type(object.of, "build").filter(|method| method.operation.is_none());
            object.of = built.and_then(|method| method.returns).unwrap_or(object.of);
            State::Object(object)
        })
    }

    /// The package that the name is of in the file: what it is imported from, else the file's own.
    fn package_of(&self, file: usize, name: &str) -> String {
        let source = &self.files[file];
        if let Some(import) = source.facts.imports.iter().find(|import| import.local == name) {
            return import.module.clone();
        }
        let own = directory(source.path);
        let roots = ["java/", "kotlin/"].iter().filter_map(|root| Some(own.rfind(root)? + root.len()));
        own[roots.max().unwrap_or_default()..].replace('/', ".")
    }
}
