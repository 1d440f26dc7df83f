//! What is given to something and kept somewhere: models among arguments, clients in sessions and objects, wrappers.

use super::repository::{HOPS, Repository, extend};
use super::walk::{At, Walker, answers};
use super::{Object, State};
use crate::scan::facts::{Argument, BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::rules::Maker;

/// What LlamaIndex's model for everything is set as.
const DEFAULT_MODEL: &str = "Settings.llm";

/// Functions of Rust that hold what they are given.
const HOLDS: [&str; 21] = [
    "Arc.new",
    "Arc.from",
    "Arc.clone",
    "Rc.new",
    "Rc.clone",
    "Box.new",
    "Box.from",
    "Mutex.new",
    "RwLock.new",
    "RefCell.new",
    "Lazy.new",
    "LazyLock.new",
    "LazyCell.new",
    "OnceLock.from",
    "OnceCell.from",
    "OnceCell.new_with",
    "ArcSwap.from_pointee",
    "Data.new",
    "Some",
    "Ok",
    "Extension",
];

impl Walker<'_> {
    /// What Rust's `Arc::new(…)` and its like hold.
    pub(super) fn held(&self, at: &At<'_, '_>) -> Option<State> {
        let first = at.call.arguments.first().filter(|_| self.language() == Language::Rust)?;
        let last = at.last();
        HOLDS.iter().find(|name| name.rsplit('.').next() == Some(last))?;
        let dotted = at.dotted();
        let ends = |name: &str| dotted.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        HOLDS.iter().find(|name| ends(name))?;
        match self.repository.value(self.file, &first.value, self.hops + 1) {
            state @ (State::Object(_) | State::Returns(_)) => Some(state),
            _ => None,
        }
    }

    /// What was put under the whole name before, as in `session.state.chain = …`, or into an object under a key.
    pub(super) fn kept(&self, state: &State, chain: &Chain, idx: usize, name: &str) -> Option<State> {
        if !self.keeps() {
            return None;
        }
        let Root::Name(root) = &chain.root else { return None };
        let bound = |name: &str| self.repository.binding_at(self.file, name, chain.line);
        let bindings = &self.repository.files[self.file].facts.bindings;
        if idx == 0
            && let Some(Value::Object(pairs)) = bound(root).and_then(|at| bindings[at].value.as_ref())
            && let Some((_, value)) = pairs.iter().find(|(own, _)| own == name)
        {
            return Some(self.repository.value(self.file, value, self.hops + 1));
        }
        if !matches!(state, State::Unknown | State::Foreign) {
            return None;
        }
        let state = self.repository.bound(self.file, bound(&dotted(root, chain.steps.get(..=idx)?))?, self.hops + 1);
        matches!(state, State::Object(_) | State::Local).then_some(state)
    }

    /// A name of Ruby that the file does not say: a method that is inherited or mixed in, or that a class below writes anew.
    pub(super) fn inherited_name(&self, name: &str, line: u32) -> State {
        let state = match self.repository.binding_at(self.file, name, line) {
            None => self.repository.member(self.file, name, true, self.hops),
            Some(at) => match self.repository.files[self.file].facts.bindings[at].kind {
                BindingKind::Return => self.repository.of_heirs(self.file, name, self.hops),
                _ => State::Unknown,
            },
        };
        self.ruby_value(state)
    }

    /// Ruby's `self.class.name`: what the method of that name returns.
    pub(super) fn of_class(&self, name: &str) -> Option<State> {
        let named = self.repository.named(self.file, name).filter(|_| self.language() == Language::Ruby);
        let returned = named.filter(|(_, binding)| binding.kind == BindingKind::Return);
        let states = returned.map(|(at, _)| self.repository.bound(self.file, at, self.hops + 1));
        let is_library = |state: &State| match state {
            State::Returns(inner) => matches!(**inner, State::Symbol { .. } | State::Object(_)),
            _ => false,
        };
        states.into_iter().find(is_library)
    }

    /// Whether names with points in them are known in the language.
    pub(super) fn keeps(&self) -> bool {
        self.language() == Language::Python || self.language().is_script()
    }

    /// What was put into a store under a key: `session.set("chain", …)`, `session.get("chain")`.
    pub(super) fn stored(&self, at: &At<'_, '_>) -> Option<State> {
        if at.last() != "get" || !self.keeps() {
            return None;
        }
        let dotted = at.dotted();
        let store = dotted.strip_suffix(".get")?;
        let key = at.call.arguments.first()?.value.text()?;
        let bound = self.repository.binding_at(self.file, &format!("{store}.{key}"), at.line)?;
        Some(self.repository.bound(self.file, bound, self.hops + 1))
    }

    /// What a wrapper returns: the client, model or method that is given to it.
    pub(super) fn passed_on(&self, at: &At<'_, '_>) -> Option<State> {
        const WRAPPERS: [&str; 9] =
            ["wrap", "patch", "observe", "instrument", "trace", "partial", "cast", "retry", "memoize"];
        let last = at.last().to_lowercase();
        if self.hops > 9 || !WRAPPERS.iter().any(|part| last.contains(part)) {
            return None;
        }
        let states =
            at.call.arguments.iter().map(|argument| self.repository.value(self.file, &argument.value, self.hops + 1));
        states.into_iter().find(|state| matches!(state, State::Object(_)))
    }

    /// An object that calls a service later: of what is given to it, else of the model that is meant where none is.
    pub(super) fn made_silently(&self, sdk: usize, maker: &Maker, given: Option<&Object>, call: &Call) -> State {
        let vendor = maker.vendor.unwrap_or(self.rules().sdks[sdk].vendor);
        let default = Object::new(maker.makes, sdk, vendor);
        let embeds = || self.any_object_in(call).filter(|_| !answers(maker.makes));
        if let Some(given) = given.cloned().or_else(embeds) {
            return State::Object(Object { of: maker.makes, sdk, path: String::new(), ..given });
        }
        if self.is_given_local(call) {
            return State::Local;
        }
        let has_default = self.rules().sdks[sdk].wraps == Some("li_engine");
        match has_default.then(|| self.repository.default_of(self.file, self.hops)).flatten() {
            Some(State::Object(model)) => State::Object(Object { vendor: model.vendor, ..default }),
            Some(other) => other,
            None => State::Object(default),
        }
    }

    /// The first object that is given, also one that answers nothing.
    fn any_object_in(&self, call: &Call) -> Option<Object> {
        call.arguments.iter().filter(|_| self.hops <= 9).find_map(|argument| {
            match self.repository.value(self.file, &argument.value, self.hops + 1) {
                State::Object(object) => Some(object),
                _ => None,
            }
        })
    }

    /// Whether what the rule asks for is given.
    pub(super) fn is_allowed(&self, maker: &Maker, call: &Call) -> bool {
        let text = |value: &Value| self.repository.text(self.file, value, call.line);
        let first =
            || call.arguments.first().filter(|argument| argument.name.is_none()).map(|argument| &argument.value);
        let by = |name: &str| given_as(call, name).or_else(first).is_some_and(|value| text(value).is_some());
        let only = |part: &str| {
            if part == "()" {
                return call.arguments.is_empty();
            }
            call.arguments.iter().any(|argument| text(&argument.value).is_some_and(|text| text.contains(part)))
        };
        maker.by.is_none_or(by)
            && maker.only.is_none_or(only)
            && maker.given.is_none_or(|name| given_as(call, name).is_some_and(|value| !is_nothing(value)))
    }

    /// Whether a model of one's own machine is among what is given, not only one for embeddings or a store.
    pub(super) fn is_given_local(&self, call: &Call) -> bool {
        let is_model = |argument: &&Argument| {
            argument.name.as_deref().is_none_or(|name| {
                !["embed", "retriev", "vector", "store"].iter().any(|part| name.to_lowercase().contains(part))
            })
        };
        self.hops <= 9 && call.arguments.iter().filter(is_model).any(|argument| self.is_local(&argument.value, 0))
    }

    /// Whether what a framework of Java makes stands around a model of one's own machine: `ChatClient.builder(ollamaChatModel)`.
    pub(super) fn is_around_local(&self, maker: &Maker, given: Option<&Object>, call: &Call) -> bool {
        self.language().is_jvm() && maker.is_adapter && given.is_none() && self.is_given_local(call)
    }

    pub(super) fn is_local(&self, value: &Value, depth: u32) -> bool {
        match value {
            Value::Chain(_) => self.repository.value(self.file, value, self.hops + 1) == State::Local,
            Value::Object(pairs) if depth < 3 => pairs.iter().any(|(_, value)| self.is_local(value, depth + 1)),
            Value::List(values) if depth < 3 => values.iter().any(|value| self.is_local(value, depth + 1)),
            _ => false,
        }
    }
}

impl Repository<'_> {
    /// The model that is meant in a file where none is given: the one that is set there, else somewhere.
    pub(super) fn default_of(&self, file: usize, hops: u32) -> Option<State> {
        if hops >= HOPS {
            return None;
        }
        let said = |other: usize| self.named(other, DEFAULT_MODEL).map(move |(at, _)| (other, at));
        let others = (0..self.files.len()).filter(|other| *other != file).flat_map(said);
        said(file)
            .chain(others)
            .take(8)
            .map(|(other, at)| self.bound(other, at, hops + 1))
            .find(|state| matches!(state, State::Object(_) | State::Local))
    }
}

/// The names of a chain.
fn dotted(root: &str, steps: &[Step]) -> String {
    let mut dotted = root.to_owned();
    for step in steps {
        if let Step::Member(name, _) = step {
            extend(&mut dotted, name);
        }
    }
    dotted
}

/// What is given under a name, also as a key of an object.
fn given_as<'c>(call: &'c Call, name: &str) -> Option<&'c Value> {
    call.arguments.iter().find_map(|argument| match (&argument.name, &argument.value) {
        (Some(own), value) => (own == name).then_some(value),
        (None, Value::Object(pairs)) => pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value),
        _ => None,
    })
}

/// Whether the value says that there is none: `False`, `None`.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Flag(set) => !set,
        Value::Chain(Chain { root: Root::Name(name), steps, .. }) => {
            steps.is_empty() && matches!(name.as_str(), "None" | "null" | "undefined")
        }
        Value::Other => true,
        _ => false,
    }
}
