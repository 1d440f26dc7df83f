//! What is called as a vendor's object is and is none: a list of models, a function of the program's own.

use crate::scan::facts::{Call, Chain, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::link::{Hit, Repository};

/// Types of Java and Kotlin that hold several of something.
const COLLECTIONS: [&str; 10] = [
    "List",
    "Collection",
    "Set",
    "Iterable",
    "Map",
    "MutableList",
    "ArrayList",
    "SortedSet",
    "Stream",
    "ObjectProvider",
];

/// Whether the call is none of the vendor's.
pub(super) fn is_none(repository: &Repository<'_>, file: usize, hit: &Hit<'_>, chain: &Chain) -> bool {
    match repository.files()[file].language {
        language if language.is_jvm() => is_of_collection(repository, file, hit, chain),
        Language::CSharp => is_of_own_plugin(repository, file, hit),
        _ => false,
    }
}

/// `chatModels.stream()` of a `List<ChatModel>`: the list's own.
fn is_of_collection(repository: &Repository<'_>, file: usize, hit: &Hit<'_>, chain: &Chain) -> bool {
    let names = match (&chain.root, chain.steps.as_slice()) {
        (Root::Name(name), [Step::Member(called, _), ..]) => Some((name, called)),
        (Root::Itself, [Step::Member(name, _), Step::Member(called, _), ..]) => Some((name, called)),
        _ => None,
    };
    let Some((name, _)) = names.filter(|(_, called)| *called == "stream" && hit.call.arguments.is_empty()) else {
        return false;
    };
    let facts = repository.files()[file].facts;
    let declared = repository.binding_at(file, name, chain.line).map(|at| &facts.bindings[at].types);
    declared.is_some_and(|types| types.iter().any(|of| COLLECTIONS.contains(&of.rsplit('.').next().unwrap_or(of))))
}

/// `kernel.InvokeAsync(kernel.Plugins.GetFunction(nameof(ChatPlugin), "Chat"))`, where the program has the class `ChatPlugin`: what
/// that asks of a model is asked in the class.
fn is_of_own_plugin(repository: &Repository<'_>, file: usize, hit: &Hit<'_>) -> bool {
    if !hit.seen.ends_with("InvokeAsync") && !hit.seen.ends_with("InvokeStreamingAsync") {
        return false;
    }
    let Some(first) = hit.call.arguments.first() else { return false };
    let gets = |chain: &Chain| {
        let named = chain.steps.windows(2).find_map(|pair| match pair {
            [Step::Member(name, _), Step::Call(call)] if name == "GetFunction" => Some(call),
            _ => None,
        });
        named.and_then(|call: &Call| call.arguments.first()).is_some_and(|named| {
            class_named(repository, file, &named.value, hit.line, 0)
                .is_some_and(|class| repository.classes_named(&class).next().is_some())
        })
    };
    match &first.value {
        Value::Chain(chain) if chain.steps.is_empty() => match &chain.root {
            Root::Name(name) => {
                matches!(repository.binding_value(file, name, hit.line), Some(Value::Chain(bound)) if gets(bound))
            }
            Root::Group(values) => values.iter().any(|value| match value {
                Value::Chain(Chain { root: Root::Name(name), steps, .. }) if steps.is_empty() => {
                    matches!(repository.binding_value(file, name, hit.line), Some(Value::Chain(bound)) if gets(bound))
                }
                _ => false,
            }),
            Root::Itself => false,
        },
        Value::Chain(chain) => gets(chain),
        _ => false,
    }
}

/// The class that `nameof(Class)` names, also behind a constant.
fn class_named(repository: &Repository<'_>, file: usize, value: &Value, line: u32, depth: u32) -> Option<String> {
    let Value::Chain(Chain { root: Root::Name(name), steps, .. }) = value else { return None };
    match steps.as_slice() {
        [Step::Call(call)] if name == "nameof" => match &call.arguments.first()?.value {
            Value::Chain(Chain { root: Root::Name(class), steps, .. }) => {
                let last = steps.iter().rev().find_map(|step| match step {
                    Step::Member(member, _) => Some(member.clone()),
                    Step::Call(_) => None,
                });
                Some(last.unwrap_or_else(|| class.clone()))
            }
            _ => None,
        },
        [] if depth < 3 => class_named(repository, file, repository.binding_value(file, name, line)?, line, depth + 1),
        _ => None,
    }
}
