//! The id of a model behind names: a constant, a member, what a function of the file is given where it is called.

use super::request::model_at;
use crate::scan::facts::{Argument, Binding, BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::finding::{Model, ModelFrom};
use crate::scan::link::Repository;
use crate::scan::models;

/// How many names are followed one after the other.
const DEPTH: u32 = 5;

/// How many calls of a function are looked at.
const CALLS: usize = 12;

impl Repository<'_> {
    /// The model that a name or a member comes to, where what it is bound to is no text.
    pub(super) fn model_behind(&self, file: usize, chain: &Chain, line: u32, depth: u32) -> Option<Model> {
        let (name, key) = match (&chain.root, chain.steps.as_slice()) {
            (Root::Name(name), []) => (name, None),
            (Root::Itself, [Step::Member(name, _)]) => (name, None),
            // `MODELS.FAST`, `self::MODELS['fast']`
            (Root::Name(name), [Step::Member(key, _)]) => (name, Some(key)),
            (Root::Name(_) | Root::Itself, [Step::Member(name, _), Step::Member(key, _)]) => (name, Some(key)),
            _ => return None,
        };
        let own = self.bound_value(file, name, line.max(chain.line)).map(|at| (file, at));
        let (file, at) = own.or_else(|| self.defined(file, name, line)).filter(|_| depth < DEPTH)?;
        let binding = &self.files()[file].facts.bindings[at];
        let model = match (&binding.value, key) {
            (Some(Value::Chain(inner)), None) if inner == chain => return None,
            (Some(Value::Object(pairs)), Some(key)) => {
                let (_, value) = pairs.iter().find(|(own, _)| own == key)?;
                model_at(self, file, value, binding.line, depth + 1)
            }
            (_, Some(_)) => return None,
            (Some(value), None) => model_at(self, file, value, binding.line, depth + 1),
            (None, None) => self.model_passed(file, binding, depth)?,
        };
        match (model.id, model.from) {
            (Some(id), _) => Some(Model { id: Some(id), from: ModelFrom::Variable }),
            (None, ModelFrom::Config) => Some(Model { id: None, from: ModelFrom::Config }),
            _ => None,
        }
    }

    /// The one model that a parameter is given, wherever its function is called in the file.
    fn model_passed(&self, file: usize, binding: &Binding, depth: u32) -> Option<Model> {
        let mut models = self.passed_by_callers(file, binding).into_iter().map(|(value, line)| {
            let model = model_at(self, file, value, line, depth + 1);
            model.id.is_some().then_some(model)
        });
        let first = models.next()??;
        models.all(|model| model.is_some_and(|model| model.id == first.id)).then_some(first)
    }

    /// What a parameter is given where its function is called in the file, and where.
    pub(super) fn passed_by_callers(&self, file: usize, binding: &Binding) -> Vec<(&Value, u32)> {
        if binding.kind != BindingKind::Parameter || binding.from <= 1 {
            return Vec::new();
        }
        let facts = self.files()[file].facts;
        let is_within = |other: &&Binding| binding.from <= other.line && other.line <= binding.to;
        let returns = facts.bindings.iter().filter(|other| other.kind == BindingKind::Return).filter(is_within);
        // What the function is declared to return stands at its beginning.
        let Some(function) = returns.min_by_key(|other| other.line).map(|other| other.target.as_str()) else {
            return Vec::new();
        };
        let is_beside = |other: &&Binding| {
            other.kind == BindingKind::Parameter && (other.from, other.to) == (binding.from, binding.to)
        };
        let mut beside = facts.bindings.iter().filter(is_beside);
        let Some(idx) = beside.position(|other| other.target == binding.target) else { return Vec::new() };
        let mut given = Vec::new();
        for value in &facts.values {
            calls_in(value, 0, &mut |name, call| {
                let is_other = call.line < binding.from || call.line > binding.to;
                if name == function && is_other && given.len() < CALLS {
                    given.extend(given_as(call, &binding.target, idx).map(|value| (value, call.line)));
                }
            });
        }
        given
    }
}

/// What is given under a name, else in its place.
fn given_as<'c>(call: &'c Call, name: &str, idx: usize) -> Option<&'c Value> {
    let by_name = call.arguments.iter().find(|argument| argument.name.as_deref() == Some(name));
    let by_place = || call.arguments.get(idx).filter(|argument| argument.name.is_none());
    by_name.or_else(by_place).map(|Argument { value, .. }| value)
}

/// Every call in a value, by the name that is called.
pub(super) fn calls_in<'v>(value: &'v Value, depth: u32, to: &mut impl FnMut(&'v str, &'v Call)) {
    if depth > 12 {
        return;
    }
    match value {
        Value::Object(pairs) => pairs.iter().for_each(|(_, value)| calls_in(value, depth + 1, to)),
        Value::List(values) => values.iter().for_each(|value| calls_in(value, depth + 1, to)),
        Value::Chain(chain) => {
            let mut name = match &chain.root {
                Root::Name(name) => name.as_str(),
                Root::Group(values) => {
                    values.iter().for_each(|value| calls_in(value, depth + 1, to));
                    ""
                }
                Root::Itself => "",
            };
            for step in &chain.steps {
                match step {
                    Step::Member(member, _) => name = member,
                    Step::Call(call) => {
                        to(name, call);
                        call.arguments.iter().for_each(|argument| calls_in(&argument.value, depth + 1, to));
                    }
                }
            }
        }
        _ => {}
    }
}

/// The model in a text that is JSON.
pub(super) fn model_in_json(text: &str) -> Option<Model> {
    let mut rest = text;
    while let Some(at) = rest.find("model") {
        let is_key = rest[..at].ends_with('"');
        rest = &rest[at + 5..];
        let value = rest.trim_start_matches(['"', '\'', ' ', '\\']);
        if let Some(value) = value.strip_prefix(':') {
            let value = value.trim_start_matches(['"', '\'', ' ', '\\']);
            let id = value.split(['"', '\'', ' ', ',', '\\', '}']).next().unwrap_or_default();
            if models::vendor_of(id).is_some() || is_key && is_id(id) {
                return Some(Model { id: Some(id.to_owned()), from: ModelFrom::Literal });
            }
        }
    }
    None
}

/// Whether the text is written as ids of models are: letters and digits in parts.
fn is_id(text: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-._:/".contains(letter);
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.contains('-')
        && text.contains(|letter: char| letter.is_ascii_digit())
        && text.chars().all(is_part)
}
