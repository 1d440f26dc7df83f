//! Methods and models that are handed on: to what runs them, under another name, or through a function of the file.

use super::walk::{At, Walker};
use super::{Hit, Object, State};
use crate::scan::facts::{BindingKind, Chain, Root, Step, Value};
use crate::scan::finding::Confidence;
use crate::scan::language::Language;

/// Functions of Python that run what they are given in another thread.
const RUNNERS: [&str; 5] = ["to_thread", "run_in_executor", "run_in_threadpool", "run_sync", "submit"];

impl Walker<'_> {
    /// `asyncio.to_thread(client.chat.completions.create, …)`, and `create = client.chat.completions.create; create(…)`.
    pub(super) fn handed<'f>(&self, at: &At<'_, 'f>, hits: &mut Option<&mut Vec<Hit<'f>>>) -> Option<State> {
        if self.language() != Language::Python || self.hops > 9 {
            return None;
        }
        if RUNNERS.contains(&at.last()) {
            let given = at.call.arguments.iter().take(2).filter(|argument| argument.name.is_none());
            return given.into_iter().find_map(|argument| self.method(&argument.value, at, hits));
        }
        let Root::Name(name) = at.root else { return None };
        let known = at.named.is_empty().then(|| self.repository.binding_value(self.file, name, at.line)).flatten()?;
        match known {
            Value::Chain(chain) if !chain.steps.is_empty() && is_name(chain) => self.method(known, at, hits),
            _ => None,
        }
    }

    /// What calling the method does that the value is.
    fn method<'f>(&self, value: &Value, at: &At<'_, 'f>, hits: &mut Option<&mut Vec<Hit<'f>>>) -> Option<State> {
        match self.repository.value(self.file, value, self.hops + 1) {
            State::Object(object) => {
                let method = self.rules().of_type(object.of, &object.path).filter(|_| !object.path.is_empty())?;
                let confidence = if object.is_guess { Confidence::Likely } else { Confidence::Certain };
                Some(self.does(method, &object, confidence, at, hits))
            }
            State::Unknown => {
                let Value::Chain(chain) = value else { return None };
                let own = At { is_bare: false, root: &chain.root, named: &chain.steps, ..at.again() };
                let state = if is_name(chain) { self.call_unknown(&own, hits) } else { State::Unknown };
                (state != State::Unknown).then_some(state)
            }
            _ => None,
        }
    }

    /// What a function of the file makes of the model that it is given: `return prompt | llm`.
    pub(super) fn through(&self, at: &At<'_, '_>) -> Option<State> {
        let is_ours = self.language() == Language::Python || self.language().is_script();
        let Root::Name(name) = at.root else { return None };
        if !is_ours || !at.named.is_empty() || self.hops > 6 {
            return None;
        }
        let mut returned = self.repository.named(self.file, name).map(|(_, binding)| binding);
        let returned = returned.find(|binding| binding.kind == BindingKind::Return && binding.value.is_some())?;
        let Some(Value::Chain(Chain { root, steps, .. })) = &returned.value else { return None };
        let Root::Group(parts) = root else { return None };
        let is_given = |part: &Value| {
            let Value::Chain(Chain { root: Root::Name(part), steps, .. }) = part else { return false };
            let bound = self.repository.binding_at(self.file, part, returned.line);
            let bindings = &self.repository.files[self.file].facts.bindings;
            steps.is_empty() && bound.is_some_and(|at| bindings[at].kind == BindingKind::Parameter)
        };
        let given =
            (steps.is_empty() && flat(parts).into_iter().any(is_given)).then(|| self.object_in(at.call)).flatten()?;
        let of = self.rules().sdks[given.sdk].wraps?;
        Some(State::Object(Object { of, path: String::new(), ..given }))
    }
}

/// Whether the chain names something and calls nothing.
fn is_name(chain: &Chain) -> bool {
    matches!(chain.root, Root::Name(_) | Root::Itself)
        && chain.steps.iter().all(|step| matches!(step, Step::Member(..)))
}

/// The operands of operands.
fn flat(values: &[Value]) -> Vec<&Value> {
    let mut all: Vec<&Value> = Vec::new();
    for value in values {
        match value {
            Value::Chain(Chain { root: Root::Group(inner), steps, .. }) if steps.is_empty() => all.extend(flat(inner)),
            value => all.push(value),
        }
    }
    all
}
