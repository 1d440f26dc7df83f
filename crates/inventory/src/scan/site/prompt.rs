//! Where what is asked is written: followed from the call through names, in the file and into a file that it imports from.

use super::request::Request;
use crate::scan::facts::{BindingKind, Chain, Root, Step, Value};
use crate::scan::finding::{Prompt, PromptForm};
use crate::scan::link::Repository;
use crate::scan::models;

/// Operations that are asked in words.
const ASKED: [&str; 7] = ["chat", "completions", "responses", "images", "assistants", "realtime", "video"];

/// Parameters that hold what is asked, the most telling first.
const NAMES: [&str; 24] = [
    "messages",
    "prompt",
    "input",
    "contents",
    "instructions",
    "systeminstruction",
    "system",
    "systemprompt",
    "usermessage",
    "addusermessage",
    "addsystemmessage",
    "user",
    "chathistory",
    "history",
    "content",
    "message",
    "question",
    "query",
    "inputs",
    "text",
    "texts",
    "prompts",
    "parts",
    "additionalmessages",
];

/// Keys of a message that hold no words.
const NO_WORDS: [&str; 8] = ["role", "type", "name", "model", "id", "detail", "toolcallid", "cachecontrol"];

/// How many names and calls are followed.
const DEPTH: u32 = 6;

/// Where the prompt of a call is; none where nothing like one is given.
pub(super) fn prompt_of(
    repository: &Repository<'_>,
    file: usize,
    operation: &str,
    request: &Request,
    line: u32,
) -> Option<Prompt> {
    if !ASKED.contains(&operation) {
        return None;
    }
    let named = NAMES.iter().find_map(|name| request.get(&[name]));
    let value = named.or_else(|| request.unnamed().iter().find(|value| may_ask(value)))?;
    let (file, line, form) = place(repository, file, value, line, 0)?;
    let source = &repository.files()[file];
    Some(Prompt { path: source.path.to_owned(), line: source.facts.line_in_file(line), form })
}

/// Whether something given without a name can be what is asked.
fn may_ask(value: &Value) -> bool {
    match value {
        Value::Text(text) => models::vendor_of(&text.value).is_none(),
        Value::List(values) => !values.is_empty(),
        Value::Object(pairs) => pairs.iter().any(|(name, _)| name == "role" || name == "content"),
        Value::Chain(Chain { root: Root::Name(name), .. }) => {
            let name = name.to_lowercase();
            let is_other =
                ["ctx", "context", "option", "param", "config", "model", "request", "req", "client", "token"]
                    .iter()
                    .any(|other| name.contains(other));
            !is_other
        }
        Value::Chain(Chain { root: Root::Group(values), .. }) => values.iter().any(may_ask),
        _ => false,
    }
}

type Place = (usize, u32, PromptForm);

fn place(repository: &Repository<'_>, file: usize, value: &Value, line: u32, depth: u32) -> Option<Place> {
    if depth > DEPTH {
        return None;
    }
    match value {
        Value::Text(text) => Some((file, text.line, form_of(&text.value))),
        Value::List(values) => first(repository, file, values.iter(), line, depth),
        Value::Object(pairs) => {
            let telling =
                pairs.iter().filter(|(name, _)| !NO_WORDS.contains(&name.to_lowercase().replace('_', "").as_str()));
            first(repository, file, telling.map(|(_, value)| value), line, depth)
        }
        Value::Chain(chain) => of_chain(repository, file, chain, line, depth),
        Value::Flag(_) | Value::Number(_) | Value::Other => None,
    }
}

/// The first that is words, else the first that is anything.
fn first<'v>(
    repository: &Repository<'_>,
    file: usize,
    values: impl Iterator<Item = &'v Value>,
    line: u32,
    depth: u32,
) -> Option<Place> {
    let mut other = None;
    for value in values {
        match place(repository, file, value, line, depth + 1) {
            Some(found @ (_, _, PromptForm::Literal | PromptForm::Template)) => return Some(found),
            found => other = other.or(found),
        }
    }
    other
}

fn of_chain(repository: &Repository<'_>, file: usize, chain: &Chain, line: u32, depth: u32) -> Option<Place> {
    let given = chain.steps.iter().filter_map(|step| match step {
        Step::Call(call) => Some(call),
        Step::Member(..) => None,
    });
    let mut arguments = given.flat_map(|call| &call.arguments).map(|argument| &argument.value).peekable();
    if arguments.peek().is_some()
        && let Some(found) = first(repository, file, arguments, line, depth)
        && found.2 != PromptForm::Variable
    {
        return Some(found);
    }
    let name = match (&chain.root, chain.steps.first()) {
        (Root::Group(values), _) => return first(repository, file, values.iter(), line, depth),
        (Root::Itself, Some(Step::Member(name, _))) => name,
        (Root::Itself, _) => return None,
        (Root::Name(name), _) => name,
    };
    let from = line.max(chain.line);
    let Some((other, at)) = repository.defined(file, name, from) else {
        return Some((file, chain.line, PromptForm::Expression));
    };
    let binding = &repository.files()[other].facts.bindings[at];
    // Its own value is where it was before: `messages = messages + …`.
    let is_before = other != file || binding.line <= from;
    let inner = binding.value.as_ref().filter(|_| is_before && (other, binding.line) != (file, line));
    let found = inner.and_then(|value| place(repository, other, value, binding.line, depth + 1));
    found.or_else(|| {
        let form = if binding.kind == BindingKind::Parameter { PromptForm::Variable } else { PromptForm::Expression };
        Some((other, binding.line, form))
    })
}

/// A text with braces in it is filled in.
fn form_of(text: &str) -> PromptForm {
    let is_filled = text.find('{').is_some_and(|open| text[open..].contains('}')) || text.contains("%s");
    if is_filled { PromptForm::Template } else { PromptForm::Literal }
}
