//! Where Go sends a request that is made before: `client.Do(request)`.

use super::Visitor;
use crate::scan::facts::{Binding, BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::language::Language;

impl Visitor<'_> {
    /// Go's `resp, err := client.Do(req)`, the first below where `req` is made in the same function.
    pub(super) fn sent_below(&self, chain: &Chain) -> Option<u32> {
        if self.repository.files()[self.file].language != Language::Go {
            return None;
        }
        let is_made = |step: &Step| matches!(step, Step::Member(name, _) if name.starts_with("NewRequest"));
        let made = chain.steps.iter().find_map(|step| match step {
            Step::Member(_, line) if is_made(step) => Some(*line),
            _ => None,
        })?;
        let facts = self.repository.files()[self.file].facts;
        let is_it = |value: &Value| chains_in(value).contains(&chain);
        let is_local = |own: &&Binding| own.kind == BindingKind::Local && own.from > 1;
        let request = facts
            .bindings
            .iter()
            .filter(is_local)
            .find(|own| own.line <= made && own.value.as_ref().is_some_and(is_it))?;
        let again = facts.bindings.iter().filter(|own| own.target == request.target && own.line > made);
        let until = again.map(|own| own.line).chain([request.to]).min()?;
        let below = facts.values.iter().flat_map(chains_in).filter(|own| made < own.line && own.line <= until);
        below.filter_map(|own| sent_in(own, &request.target)).min()
    }
}

/// The chain that a value is, or those of its parts.
fn chains_in(value: &Value) -> Vec<&Chain> {
    match value {
        Value::Chain(Chain { root: Root::Group(values), steps, .. }) if steps.is_empty() => {
            values.iter().flat_map(chains_in).collect()
        }
        Value::List(values) => values.iter().flat_map(chains_in).collect(),
        Value::Chain(chain) => vec![chain],
        _ => Vec::new(),
    }
}

/// The line where the chain sends the request of the name.
fn sent_in(chain: &Chain, name: &str) -> Option<u32> {
    chain.steps.windows(2).find_map(|pair| match pair {
        [Step::Member(sends, line), Step::Call(call)]
            if matches!(sends.as_str(), "Do" | "do" | "RoundTrip") && is_given(call, name) =>
        {
            Some(*line)
        }
        _ => None,
    })
}

fn is_given(call: &Call, name: &str) -> bool {
    call.arguments.iter().any(|given| match &given.value {
        Value::Chain(Chain { root: Root::Name(own), steps, .. }) => own == name && steps.is_empty(),
        _ => false,
    })
}
