//! Ruby: what a parameter stands for that is declared as nothing, by what its function is given elsewhere.

use super::quick::Map;
use super::repository::{HOPS, Repository, directory};
use super::{Object, State};
use crate::scan::facts::{Argument, Binding, BindingKind, Chain, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::lower::GIVEN;

/// What functions are given, by their names, a constructor by that of its class: the files and the arguments.
pub(super) type Callers = Map<String, Vec<(usize, Vec<Argument>)>>;

/// How many calls of a function are looked at, and how many are kept.
const LOOKED_AT: usize = 12;
const KEPT: usize = 24;

impl Repository<'_> {
    /// The first object among what a parameter is given.
    pub(super) fn given_elsewhere(&self, file: usize, binding: &Binding, hops: u32) -> State {
        let of = binding.types.first().and_then(|said| said.strip_prefix(GIVEN)?.rsplit_once('#'));
        let Some((function, idx)) = of.filter(|_| {
            hops < HOPS && binding.kind == BindingKind::Parameter && self.files[file].language == Language::Ruby
        }) else {
            return State::Unknown;
        };
        let callers = self.callers.get_or_init(|| self.gathered_callers());
        let idx = idx.parse::<usize>().unwrap_or(usize::MAX);
        let calls = callers.get(function).into_iter().flatten().take(LOOKED_AT);
        let given = calls.filter_map(|(other, arguments)| {
            let by_name = arguments.iter().find(|argument| argument.name.as_deref() == Some(&binding.target));
            let by_place = || arguments.get(idx).filter(|argument| argument.name.is_none());
            let given = by_name.or_else(by_place).filter(|given| matches!(given.value, Value::Chain(_)))?;
            match self.value(*other, &given.value, hops + 1) {
                State::Object(object) => Some((*other, Object { is_guess: true, ..object })),
                _ => None,
            }
        });
        let given: Vec<(usize, Object)> = given.collect();
        // Of functions of one name those that are near: in the same directory, or called by the file that the directory is of.
        let (path, place) = (self.files[file].path, directory(self.files[file].path));
        let is_near = |other: usize| {
            let caller = self.files[other].path;
            caller == path || caller.strip_suffix(".rb") == Some(place) || directory(caller) == place
        };
        let near = || given.iter().filter(|(other, _)| is_near(*other));
        let chosen: Vec<&Object> = match same(given.iter()) {
            true => given.iter().map(|(_, object)| object).collect(),
            false if same(near()) => near().map(|(_, object)| object).collect(),
            false => Vec::new(),
        };
        chosen.first().map_or(State::Unknown, |object| State::Object(Object::clone(object)))
    }

    fn gathered_callers(&self) -> Callers {
        let mut callers = Callers::default();
        for (idx, file) in self.files.iter().enumerate().filter(|(_, file)| file.language == Language::Ruby) {
            file.facts.values.iter().for_each(|value| add(&mut callers, idx, value));
        }
        callers
    }
}

/// Whether all are objects of one type.
fn same<'o>(mut objects: impl Iterator<Item = &'o (usize, Object)>) -> bool {
    let first = objects.next();
    first.is_some_and(|(_, first)| objects.all(|(_, object)| object.of == first.of))
}

fn add(callers: &mut Callers, file: usize, value: &Value) {
    match value {
        Value::Chain(chain) => add_chain(callers, file, chain),
        Value::Object(pairs) => pairs.iter().for_each(|(_, value)| add(callers, file, value)),
        Value::List(values) => values.iter().for_each(|value| add(callers, file, value)),
        _ => {}
    }
}

fn add_chain(callers: &mut Callers, file: usize, chain: &Chain) {
    if let Root::Group(values) = &chain.root {
        values.iter().for_each(|value| add(callers, file, value));
    }
    let (mut before, mut name) = match &chain.root {
        Root::Name(name) => ("", name.as_str()),
        _ => ("", ""),
    };
    for step in &chain.steps {
        match step {
            Step::Member(member, _) => (before, name) = (name, member),
            Step::Call(call) => {
                if call.arguments.iter().any(|argument| matches!(argument.value, Value::Chain(_))) {
                    let of = if name == "new" { format!("{before}.new") } else { name.to_owned() };
                    let known = callers.entry(of).or_default();
                    if known.len() < KEPT {
                        known.push((file, call.arguments.clone()));
                    }
                }
                call.arguments.iter().for_each(|argument| add(callers, file, &argument.value));
            }
        }
    }
}
