//! Go: packages whose files see each other's names, members of structs, what is embedded in them.

use super::State;
use super::repository::{HOPS, Repository, directory, extend};
use super::walk::{At, Walker};
use crate::scan::facts::{Binding, BindingKind, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::lower::INTERFACE;
use crate::scan::rules::{Distinct, Own, Rules};

impl Repository<'_> {
    pub(super) fn is_go(&self, file: usize) -> bool {
        self.files[file].language == Language::Go
    }

    /// A type of the file's package, in Go.
    pub(super) fn type_beside(&self, file: usize, name: &str) -> Option<(usize, usize)> {
        if !self.is_go(file) {
            return None;
        }
        let own = directory(self.files[file].path);
        let is_own = |other: &usize| self.is_go(*other) && directory(self.files[*other].path) == own;
        self.types.get(name)?.iter().copied().find(|(other, _)| is_own(other))
    }

    /// What a member of an object is whose type the repository declares.
    pub(super) fn member_of(&self, (file, at): (usize, usize), name: &str, hops: u32) -> State {
        if hops >= HOPS {
            return State::Unknown;
        }
        let facts = &self.files[file].facts;
        let of = &facts.bindings[at];
        let is_in =
            |binding: &Binding| binding.kind == BindingKind::Field && (binding.from, binding.to) == (of.from, of.to);
        let mut fields = self.named(file, name).filter(|(_, binding)| is_in(binding));
        if let Some((at, _)) = fields.next() {
            return match self.bound(file, at, hops + 1) {
                State::Unknown => self.member(file, name, false, hops),
                // What is put into a member says more than an interface of the repository's own.
                State::Typed(other, declared) if self.is_interface(other, declared) => {
                    self.put_into(file, name, hops).unwrap_or(State::Typed(other, declared))
                }
                state => state,
            };
        }
        // Members of what is embedded are members.
        let embedded = facts.bindings.iter().enumerate().filter(|(_, own)| {
            is_in(own) && own.types.first().is_some_and(|first| first.rsplit('.').next() == Some(own.target.as_str()))
        });
        for (at, _) in embedded {
            match self.bound(file, at, hops + 1) {
                State::Object(mut object) => {
                    extend(&mut object.path, name);
                    let rules = Rules::of(Language::Go);
                    if rules.of_type(object.of, &object.path).is_some() || rules.is_prefix(object.of, &object.path) {
                        return State::Object(object);
                    }
                }
                State::Typed(file, at) => match self.member_of((file, at), name, hops + 1) {
                    State::Unknown => {}
                    state => return state,
                },
                _ => {}
            }
        }
        let is_interface = of.types.iter().any(|declared| declared == INTERFACE);
        let beside = self.packages.get(directory(self.files[file].path)).into_iter().flatten();
        let methods = beside.filter(|_| !is_interface).flat_map(|other| {
            self.named(*other, name).filter(|(_, own)| own.kind == BindingKind::Return).map(|(at, _)| (*other, at))
        });
        let methods: Vec<(usize, usize)> = methods.collect();
        if let Some(found) = methods.iter().map(|(other, at)| self.bound(*other, *at, hops + 1)).find(returns_object) {
            return found;
        }
        if !methods.is_empty() || is_interface && self.defines(Language::Go, name) {
            return State::Foreign;
        }
        if is_interface { State::Unknown } else { self.member(file, name, false, hops) }
    }

    /// The client or model that a literal of the package puts into a member: `&own{client: made}`.
    fn put_into(&self, file: usize, name: &str, hops: u32) -> Option<State> {
        let beside = self.packages.get(directory(self.files[file].path)).into_iter().flatten();
        beside.copied().find_map(|other| {
            let facts = self.files[other].facts;
            let values = facts.values.iter().chain(facts.bindings.iter().filter_map(|own| own.value.as_ref()));
            let mut given = Vec::new();
            values.for_each(|value| given_as(name, value, 0, &mut given));
            let states = given.into_iter().map(|value| self.value(other, value, hops + 1));
            states.into_iter().find(|state| matches!(state, State::Object(_)))
        })
    }

    fn is_interface(&self, file: usize, at: usize) -> bool {
        self.files[file].facts.bindings[at].types.iter().any(|declared| declared == INTERFACE)
    }

    /// Whether the repository's own code has a function of the name.
    pub(super) fn defines(&self, language: Language, name: &str) -> bool {
        self.functions.contains(&(language.title(), name))
    }

    /// A file of the package of Go that is imported under the path, where the repository has it.
    pub(super) fn package(&self, path: &str) -> Option<usize> {
        self.modules.iter().find_map(|(begins, module)| {
            let rest = path.strip_prefix(module).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
            let directory = format!("{begins}{rest}");
            self.packages.get(directory.trim_matches('/'))?.first().copied()
        })
    }

    /// What a package exports under a name.
    pub(super) fn exported_by_package(&self, file: usize, name: &str, hops: u32) -> State {
        let files = self.packages.get(directory(self.files[file].path)).into_iter().flatten();
        let mut found = files.flat_map(|other| {
            let is_top = |binding: &Binding| {
                binding.kind == BindingKind::Return || binding.kind == BindingKind::Local && binding.from == 1
            };
            self.named(*other, name).filter(move |(_, binding)| is_top(binding)).map(|(at, _)| (*other, at))
        });
        found.next().map_or(State::Unknown, |(other, at)| self.bound(other, at, hops))
    }
}

fn returns_object(state: &State) -> bool {
    matches!(state, State::Returns(inner) if matches!(**inner, State::Object(_)))
}

/// What is given under the name somewhere in the value.
fn given_as<'v>(name: &str, value: &'v Value, depth: u32, given: &mut Vec<&'v Value>) {
    let Value::Chain(chain) = value else { return };
    if depth > 3 {
        return;
    }
    if let Root::Group(values) = &chain.root {
        values.iter().for_each(|value| given_as(name, value, depth + 1, given));
    }
    for step in &chain.steps {
        let Step::Call(call) = step else { continue };
        for argument in &call.arguments {
            match &argument.name {
                Some(own) if own == name => given.push(&argument.value),
                _ => given_as(name, &argument.value, depth + 1, given),
            }
        }
    }
}

impl Walker<'_> {
    /// Whether the method is so much a library's own, and the file imports that, that something around its client has it too.
    pub(super) fn is_imported_own(&self, at: &At<'_, '_>) -> bool {
        let rules = self.rules();
        let is_used = |own: &Own| rules.makers_of(own.of).any(|sdk| self.repository.imports(self.file, sdk));
        self.language() == Language::Go
            && !at.named.is_empty()
            && rules
                .own(at.last(), || at.dotted())
                .iter()
                .any(|own| own.distinct == Distinct::InRepository && own.fits(at.call) && is_used(own))
            && !self.is_wrapper(at)
    }
}
