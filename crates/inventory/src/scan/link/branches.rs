//! Clients that one name stands for in turn: `if azure { client = A } else { client = B }`.

use std::collections::BTreeMap;

use super::State;
use super::repository::Repository;
use crate::scan::facts::{Binding, BindingKind, Chain, Root, Step, Value};
use crate::scan::finding::Confidence;

/// Whose services the branches choose among, and how sure each is.
pub(crate) type Branches = BTreeMap<&'static str, Confidence>;

impl Repository<'_> {
    /// Whose services the client may call that a chain begins with, where branches make it: none where there is one alone.
    pub(crate) fn branches(&self, file: usize, chain: &Chain) -> Branches {
        let name = match (&chain.root, chain.steps.first()) {
            (Root::Name(name), _) | (Root::Itself, Some(Step::Member(name, _))) => name,
            _ => return Branches::new(),
        };
        let facts = self.files[file].facts;
        let Some(own) = self.binding_at(file, name, chain.line).map(|at| &facts.bindings[at]) else {
            return Branches::new();
        };
        let is_variable = matches!(own.kind, BindingKind::Local | BindingKind::Field);
        let is_beside = |other: &Binding| {
            (other.from, other.to, other.kind) == (own.from, own.to, own.kind) && other.line < own.line && is_variable
        };
        let others = self.named(file, name).filter(|(_, other)| other.value.is_some() && is_beside(other));
        let mut found = Branches::new();
        self.chosen(file, own.value.as_ref(), &mut found);
        for (_, other) in others {
            let mut more = Branches::new();
            self.chosen(file, other.value.as_ref(), &mut more);
            more.retain(|vendor, _| !found.contains_key(vendor));
            // Of a name that is used between two of its values the later one holds.
            if !more.is_empty() && !is_used(facts.values.iter(), name, other.line + 1..own.line) {
                found.extend(more);
            }
        }
        if found.len() < 2 { Branches::new() } else { found }
    }

    /// Whose services a value may be, of which there are several where it is a choice by itself.
    fn chosen(&self, file: usize, value: Option<&Value>, found: &mut Branches) {
        let Some(value) = value else { return };
        if let Value::Chain(Chain { root: Root::Group(values), steps, .. }) = value
            && steps.is_empty()
        {
            return values.iter().for_each(|value| self.chosen(file, Some(value), found));
        }
        if let State::Object(object) = self.value(file, value, 0)
            && !matches!(object.vendor, "-" | "unknown" | "openai-compatible")
        {
            found.entry(object.vendor).or_insert(object.confidence);
        }
    }
}

/// Whether a chain begins with the name on one of these lines.
fn is_used<'v>(mut values: impl Iterator<Item = &'v Value>, name: &str, lines: std::ops::Range<u32>) -> bool {
    values.any(|value| is_used_in(value, name, &lines, 0))
}

fn is_used_in(value: &Value, name: &str, lines: &std::ops::Range<u32>, depth: u32) -> bool {
    let within = |value: &Value| depth < 12 && is_used_in(value, name, lines, depth + 1);
    match value {
        Value::Object(pairs) => pairs.iter().any(|(_, value)| within(value)),
        Value::List(values) => values.iter().any(within),
        Value::Chain(Chain { root, line, steps }) => {
            let begins = match (root, steps.first()) {
                (Root::Name(own), _) | (Root::Itself, Some(Step::Member(own, _))) => own == name,
                _ => false,
            };
            let of_group = matches!(root, Root::Group(values) if values.iter().any(within));
            let given = |step: &Step| match step {
                Step::Call(call) => call.arguments.iter().any(|argument| within(&argument.value)),
                Step::Member(..) => false,
            };
            begins && lines.contains(line) || of_group || steps.iter().any(given)
        }
        _ => false,
    }
}
