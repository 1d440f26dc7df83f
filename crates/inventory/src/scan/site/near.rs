//! The model of what is sent, where the same function says it beside: by a setter, a key, a form or a text of JSON.

use super::known::model_in_json;
use super::request::{model_of, plain};
use crate::scan::facts::{Argument, Binding, BindingKind, Chain, Root, Step, Value};
use crate::scan::finding::Model;
use crate::scan::language::Language;
use crate::scan::link::Repository;

/// The model that a setter of Java gives an object under the name, the last above the line.
pub(super) fn set_before<'r>(
    repository: &'r Repository<'_>,
    file: usize,
    name: &str,
    line: u32,
) -> Option<(&'r Value, u32)> {
    let source = &repository.files()[file];
    if !source.language.is_jvm() {
        return None;
    }
    let from = repository.bound_value(file, name, line).map_or(1, |at| source.facts.bindings[at].line);
    let mut set = source.facts.values.iter().filter_map(|value| {
        let Value::Chain(chain) = value else { return None };
        let is_it = matches!(&chain.root, Root::Name(own) if own == name) && (from..=line).contains(&chain.line);
        chain.steps.windows(2).filter(|_| is_it).find_map(|pair| match pair {
            [Step::Member(setter, _), Step::Call(call)]
                if matches!(setter.as_str(), "setModel" | "setModelId" | "setModelName" | "model") =>
            {
                Some((&call.arguments.first()?.value, chain.line))
            }
            _ => None,
        })
    });
    set.next_back()
}

/// How many lines above what is sent a form is filled in.
const NEAR: u32 = 40;

/// Rust's `Form::new().text("model", "whisper-1")` above the line.
fn in_parts(repository: &Repository<'_>, file: usize, line: u32) -> Option<Model> {
    let facts = repository.files()[file].facts;
    let bound = facts.bindings.iter().filter_map(|own| own.value.as_ref());
    let near = facts.values.iter().chain(bound).filter_map(|value| match value {
        Value::Chain(chain) if chain.line <= line && chain.line + NEAR > line => Some(chain),
        _ => None,
    });
    let said = near.flat_map(|chain| chain.steps.windows(2)).filter_map(|pair| match pair {
        [Step::Member(name, _), Step::Call(call)] if name == "text" => match call.arguments.as_slice() {
            [key, given] if key.value.text() == Some("model") => Some((&given.value, call.line)),
            _ => None,
        },
        _ => None,
    });
    let (value, at) = said.filter(|(_, at)| *at <= line).max_by_key(|(_, at)| *at)?;
    Some(model_of(repository, file, value, at))
}

/// C#'s `form.Add(new StringContent("whisper-1"), "model");` above the line.
pub(super) fn in_form(repository: &Repository<'_>, file: usize, line: u32) -> Option<Model> {
    let source = &repository.files()[file];
    if source.language == crate::scan::language::Language::Rust {
        return in_parts(repository, file, line);
    }
    if source.language != crate::scan::language::Language::CSharp {
        return None;
    }
    let near = source.facts.values.iter().filter_map(|value| match value {
        Value::Chain(chain) if chain.line <= line && chain.line + NEAR > line => Some(chain),
        _ => None,
    });
    near.filter_map(|chain| match chain.steps.as_slice() {
        [Step::Member(name, _), Step::Call(call)] if name == "Add" => match call.arguments.as_slice() {
            [given, named] if named.value.text().is_some_and(|text| text.trim_matches('"') == "model") => {
                let Value::Chain(Chain { steps, .. }) = &given.value else { return None };
                let Some(Step::Call(made)) = steps.first() else { return None };
                Some(model_of(repository, file, &made.arguments.first()?.value, chain.line))
            }
            _ => None,
        },
        _ => None,
    })
    .last()
}

/// The model in a text of JSON somewhere in the value.
fn model_written(repository: &Repository<'_>, file: usize, value: &Value, depth: u32) -> Option<Model> {
    if depth > 4 {
        return None;
    }
    match value {
        // Kotlin's text may have a name in it.
        Value::Text(text) if text.value.contains("\"{") && repository.files()[file].language == Language::Kotlin => {
            model_in_json(&repository.filled(file, &text.value, text.line))
        }
        Value::Text(text) => model_in_json(&text.value),
        Value::Chain(chain) => {
            let within = |value: &Value| model_written(repository, file, value, depth + 1);
            let of_root = match &chain.root {
                Root::Group(values) => values.iter().find_map(within),
                _ => None,
            };
            of_root.or_else(|| {
                chain.steps.iter().find_map(|step| match step {
                    Step::Call(call) => call.arguments.iter().find_map(|given| within(&given.value)),
                    Step::Member(..) => None,
                })
            })
        }
        _ => None,
    }
}

/// `String.format("{\"model\": \"%s\" …", MODEL)`: what is filled in as the model of a text of JSON.
fn model_formatted(value: &Value) -> Option<&Value> {
    let Value::Chain(chain) = value else { return None };
    let [.., Step::Member(name, _), Step::Call(call)] = chain.steps.as_slice() else { return None };
    let (text, given) = match (&chain.root, name.as_str()) {
        (Root::Group(values), "formatted") => (values.first()?.text()?, call.arguments.as_slice()),
        (_, "format" | "Sprintf" | "Format") => (call.arguments.first()?.value.text()?, call.arguments.get(1..)?),
        _ => return None,
    };
    let at = text.find("model")?;
    let rest = text[at + 5..].trim_start_matches(['"', '\'', ' ', '\\', ':']);
    let place =
        rest.starts_with("%s").then(|| text[..at].matches('%').count() - 2 * text[..at].matches("%%").count())?;
    given.get(place).map(|argument| &argument.value)
}

/// What is put under the key `model` by a call of the same function above the line: `body.put("model", …)`.
fn put_near(repository: &Repository<'_>, file: usize, line: u32) -> Option<Model> {
    let facts = repository.files()[file].facts;
    let is_around =
        |own: &&Binding| own.from > 1 && own.kind == BindingKind::Local && own.from <= line && line <= own.to;
    let around: Vec<&Binding> = facts.bindings.iter().filter(is_around).collect();
    let from = around.iter().map(|own| own.from).min()?;
    let to = around.iter().map(|own| own.to).max()?;
    let is_jvm = repository.files()[file].language.is_jvm();
    let put = |value: &Value| {
        let Value::Chain(chain) = value else { return None };
        let mut name = match &chain.root {
            Root::Name(root) => root.as_str(),
            _ => "",
        };
        let mut found = None;
        for step in chain.steps.iter().filter(|_| (from..=to).contains(&chain.line)) {
            match step {
                Step::Member(member, _) => name = member,
                Step::Call(call) if name == "setModel" && is_jvm && call.arguments.len() == 1 => {
                    found = call.arguments.first().map(|given| &given.value);
                }
                Step::Call(call) if matches!(name, "put" | "set" | "add" | "addProperty" | "append" | "of") => {
                    let pairs = call.arguments.chunks(2).filter(|_| name == "of" || call.arguments.len() == 2);
                    let key = |pair: &&[Argument]| pair[0].value.text() == Some("model");
                    found = pairs.filter(|pair| pair.len() == 2).find(key).map(|pair| &pair[1].value).or(found);
                }
                Step::Call(_) => {}
            }
        }
        found.map(|value| (chain.line, model_of(repository, file, value, chain.line)))
    };
    let bound = facts.bindings.iter().filter_map(|own| own.value.as_ref());
    let (above, below): (Vec<_>, Vec<_>) =
        facts.values.iter().chain(bound).filter_map(put).partition(|(at, _)| *at <= line);
    // Java's connection is opened before what is written to it is filled in.
    let below = below.into_iter().filter(|_| is_jvm);
    above.into_iter().next_back().or_else(|| below.min_by_key(|(at, _)| *at)).map(|(_, model)| model)
}

/// The model of the nearest object with one that the same function builds above the line, in Java else below it.
pub(super) fn model_near(repository: &Repository<'_>, file: usize, line: u32) -> Option<Model> {
    let bindings = &repository.files()[file].facts.bindings;
    let around = bindings.iter().filter(|binding| {
        binding.from > 1 && binding.kind == BindingKind::Local && binding.from <= line && line <= binding.to
    });
    // Java's connection is opened before what is written to it is built.
    let is_jvm = repository.files()[file].language.is_jvm();
    let (mut near, mut below): (Vec<&Binding>, Vec<&Binding>) = around.partition(|binding| binding.line <= line);
    near.sort_by_key(|binding| std::cmp::Reverse(binding.line));
    below.retain(|_| is_jvm);
    near.append(&mut below);
    let found = near.iter().find_map(|binding| {
        let formatted = || {
            let given = model_formatted(binding.value.as_ref()?)?;
            Some(model_of(repository, file, given, binding.line)).filter(|model| model.id.is_some())
        };
        let written =
            || binding.value.as_ref().and_then(|value| model_written(repository, file, value, 0)).or_else(formatted);
        let value = if plain(binding.target.rsplit('.').next().unwrap_or_default()) == "model"
            && binding.target.contains('.')
        {
            binding.value.as_ref()
        } else {
            binding.value.as_ref().and_then(|value| key_model(value, 0))
        };
        value.map(|value| model_of(repository, file, value, binding.line)).or_else(written)
    });
    found.or_else(|| put_near(repository, file, line))
}

/// What an object says of a model.
pub(super) fn key_model(value: &Value, depth: u32) -> Option<&Value> {
    if depth > 5 {
        return None;
    }
    match value {
        Value::Object(pairs) => pairs.iter().find(|(name, _)| plain(name) == "model").map(|(_, value)| value),
        Value::Chain(chain) => {
            let group = match &chain.root {
                Root::Group(values) => values.iter().find_map(|value| key_model(value, depth + 1)),
                _ => None,
            };
            group.or_else(|| {
                chain.steps.iter().find_map(|step| match step {
                    Step::Call(call) => call.arguments.iter().find_map(|argument| match argument.name.as_deref() {
                        Some(name) if plain(name) == "model" => Some(&argument.value),
                        _ => key_model(&argument.value, depth + 1),
                    }),
                    Step::Member(..) => None,
                })
            })
        }
        _ => None,
    }
}
