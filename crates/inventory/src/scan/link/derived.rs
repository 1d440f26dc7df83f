//! Classes of the repository: what they have from those above them, and what they are instead of a library's.

use super::State;
use super::repository::{HOPS, Repository, extend, is_known};
use super::walk::{At, Walker};
use crate::scan::facts::{BindingKind, Chain, Class, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::lower::imports::NAMESPACE;
use crate::scan::rules::{Own, Rules};

/// How many classes of one name are looked at.
const ALIKE: usize = 3;

/// Directories of a library in which it is used like anywhere else.
const USERS: [&str; 6] = ["test", "tests", "example", "examples", "demo", "demos"];

impl Repository<'_> {
    /// What a member is that a class of the file has from a base class or a trait, in this or another file.
    pub(super) fn inherited(&self, file: usize, name: &str, line: Option<u32>, hops: u32) -> State {
        let is_followed = matches!(self.files[file].language, Language::CSharp | Language::Php);
        if hops >= HOPS || !is_followed || !self.members.contains_key(name) {
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

    /// What a member is that only the classes have which inherit from one of the file: of Ruby, the first that is known.
    pub(super) fn of_heirs(&self, file: usize, name: &str, hops: u32) -> State {
        let source = &self.files[file];
        let known = self.members.get(name).filter(|_| source.language == Language::Ruby && hops < HOPS);
        let inherits = |other: usize| {
            self.files[other].facts.imports.iter().filter(|import| !import.local.is_empty()).any(|import| {
                let above = import.symbol.rsplit('.').next().unwrap_or_default();
                source.facts.classes.iter().any(|class| class.name.rsplit('.').next() == Some(above))
            })
        };
        let of_heirs = known.into_iter().flatten().filter(|(other, _)| *other != file && inherits(*other));
        let states = of_heirs.map(|(other, at)| self.bound(*other, *at, hops + 1));
        let is_object = |state: &State| match state {
            State::Object(_) => true,
            State::Returns(inner) => matches!(**inner, State::Object(_)),
            _ => false,
        };
        states.into_iter().find(is_object).unwrap_or(State::Unknown)
    }

    /// Whether the file is a library's own source: its namespace is the library's.
    fn is_of_library(&self, file: usize) -> bool {
        let rules = Rules::of(self.files[file].language);
        let mut own = self.files[file].facts.imports.iter().filter(|import| import.symbol == NAMESPACE);
        own.any(|import| !rules.of_module(&import.module).is_empty())
    }

    /// Whether the file is that library's own source, whose classes ask each other: what they send counts, not that they are asked.
    /// Its tests are like any other use of it.
    pub(super) fn is_within(&self, file: usize, sdk: usize) -> bool {
        let rules = Rules::of(self.files[file].language);
        let mut parts = self.files[file].path.split('/');
        if parts.any(|part| USERS.iter().any(|name| part.eq_ignore_ascii_case(name))) {
            return false;
        }
        // `OpenAI\Laravel` brings the library of another repository into a framework.
        let is_own =
            |module: &str| module.split('.').nth(1) != Some("Laravel") && rules.of_module(module).contains(&sdk);
        self.files[file].facts.imports.iter().any(|import| import.symbol == NAMESPACE && is_own(&import.module))
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
        let Some(at) = self.binding_at(file, name, line) else { return is_own(name) };
        let binding = &self.files[file].facts.bindings[at];
        // `this.client = client`: the member is what it is declared as.
        let declared =
            self.named(file, name).filter(|(_, own)| own.kind == BindingKind::Field && !own.types.is_empty());
        let is_member = language == Language::CSharp && binding.types.is_empty() && binding.kind == BindingKind::Field;
        if is_member && let Some((_, field)) = declared.into_iter().next() {
            return is_own(&field.types[0]);
        }
        match (binding.types.first(), &binding.value) {
            (Some(declared), _) => is_own(declared),
            (None, Some(Value::Chain(made))) if matches!(language, Language::Php | Language::CSharp) => {
                match (&made.root, made.steps.as_slice()) {
                    (Root::Name(class), [Step::Call(_)]) => is_own(class),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    /// The class of a library that a class of the repository is derived from. What only has a library's interface does the work
    /// itself: it stands around something else or in its place, and is none.
    pub(super) fn derived(&self, file: usize, name: &str, hops: u32) -> Option<State> {
        if hops >= HOPS {
            return None;
        }
        let language = self.files[file].language;
        let known = self.classes.get(name)?.iter().filter(|(idx, _)| self.files[*idx].language == language);
        let mut has_interface = false;
        for (idx, at) in known.take(ALIKE) {
            for parent in &self.files[*idx].facts.classes[*at].parents {
                match if parent == name { State::Unknown } else { self.declared(*idx, parent, hops + 1) } {
                    State::Object(_) if is_double(name) || is_interface(parent) => has_interface = true,
                    State::Object(object) => {
                        return Some(State::Symbol { sdks: vec![object.sdk], path: parent.clone() });
                    }
                    _ => {}
                }
            }
        }
        has_interface.then_some(State::Local)
    }
}

impl Walker<'_> {
    /// Whether it is a class of PHP in a namespace: `\Acme\Client`, also before a function of it.
    pub(super) fn is_php_class(&self, name: &str, chain: &Chain) -> bool {
        let is_class = |name: &str| name.starts_with(char::is_uppercase);
        let next = chain.steps.first().is_some_and(|step| matches!(step, Step::Member(next, _) if is_class(next)));
        self.language() == Language::Php && is_class(name) && next
    }

    /// `app(Client::class)`
    pub(super) fn php_service(&self, at: &At<'_, '_>) -> Option<State> {
        let is_asked = matches!(at.last(), "app" | "resolve" | "make" | "get" | "makeWith" | "service");
        let first = at.call.arguments.first().filter(|_| is_asked && self.language() == Language::Php)?;
        let Value::Chain(Chain { root: Root::Name(root), steps, .. }) = &first.value else { return None };
        let (Step::Member(class, _), names) = steps.split_last()? else { return None };
        let mut dotted = root.clone();
        for step in names {
            let Step::Member(name, _) = step else { return None };
            extend(&mut dotted, name);
        }
        match self.repository.declared(self.file, &dotted, self.hops + 1) {
            State::Object(object) if class == "class" => Some(State::Object(object)),
            _ => None,
        }
    }

    /// Whether it is asked of an object of a class that the Ruby application has itself: `Gemini.new(prompt).generate_content`.
    pub(super) fn is_of_own_class(&self, at: &At<'_, '_>) -> bool {
        let is_class = |name: &str| name.starts_with(char::is_uppercase) && self.repository.is_class_of_rails(name);
        let Root::Name(name) = at.root else { return false };
        is_class(name)
            || match self.repository.binding_value(self.file, name, at.line) {
                Some(Value::Chain(Chain { root: Root::Name(class), steps, .. })) => {
                    matches!(steps.as_slice(), [Step::Member(new, _), Step::Call(_)] if new == "new") && is_class(class)
                }
                _ => false,
            }
    }

    /// Whether Rust asks a member that the repository declares as a type of its own: `context.chat.create(…)` of a `ChatService`.
    pub(super) fn is_own_member(&self, at: &At<'_, '_>) -> bool {
        // A function by its name alone is none of an object.
        if at.is_bare && at.named.is_empty() {
            return true;
        }
        let [.., Step::Member(member, _), Step::Member(..)] = at.named else { return false };
        let repository = self.repository;
        let is_own_type = |name: &String| {
            let known = repository.classes.get(name.rsplit('.').next().unwrap_or(name)).into_iter().flatten();
            known.into_iter().any(|(idx, _)| repository.files[*idx].language == Language::Rust)
        };
        let known = repository.members.get(member.as_str()).into_iter().flatten();
        let mut fields = known
            .filter(|(idx, _)| repository.files[*idx].language == Language::Rust)
            .map(|(idx, at)| &repository.files[*idx].facts.bindings[*at])
            .filter(|own| own.kind == BindingKind::Field && !own.types.is_empty())
            .peekable();
        fields.peek().is_some() && fields.all(|own| own.types.iter().any(is_own_type))
    }

    /// Whether the file is a PHP library's own source, and the library the same.
    pub(super) fn is_within(&self, sdk: usize) -> bool {
        self.language() == Language::Php && self.repository.is_within(self.file, sdk)
    }

    /// Whether the object is declared as a class that the repository has itself.
    pub(super) fn is_of_own(&self, at: &At<'_, '_>) -> bool {
        let root = match at.root {
            Root::Name(name) => Some(name.as_str()),
            Root::Itself => None,
            Root::Group(_) => return false,
        };
        let members = at.named.iter().filter_map(|step| match step {
            Step::Member(name, _) => Some(name.as_str()),
            Step::Call(_) => None,
        });
        let names: Vec<&str> = root.into_iter().chain(members).collect();
        // `$gateway->threads()->create()`, but not what `$gateway->client()` hands out.
        let parts_of = |own: &&Own| own.path.split('.').count() + 1;
        let is_whole = names.len() == 2
            || self.language() == Language::Php
                && self.rules().own(at.last(), || at.dotted()).iter().map(parts_of).any(|parts| parts == names.len());
        is_whole && self.repository.is_of_own_class(self.file, names[0], at.line)
    }
}

/// Whether a type of PHP says what a class can do and not how.
fn is_interface(name: &str) -> bool {
    name.ends_with("Interface") || name.ends_with("Contract")
}

/// Whether a class is called like what stands in for another in tests.
fn is_double(name: &str) -> bool {
    ["Fake", "Mock", "Stub", "Dummy"].iter().any(|word| {
        let after = name.strip_prefix(word);
        name.ends_with(word) || after.is_some_and(|after| after.starts_with(|next: char| !next.is_lowercase()))
    })
}
