//! Prompts: those of the config that targets name, and a file of a registered prompt, read like the config.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eval::prompt::{
    Delimiters, Expectation, Field, Form, Golden, Message, Placement, Prompt, RenderError, Role, Shot, Template, Type,
    ValueError, Variable, Variant,
};
use gateway::snapshot::{Parameters, PromptSource, PromptVariant};
use serde_json::{Map, Value};

use super::error::ConfigError;
use super::reader::{Item, Section, Written};
use super::targets::Named;
use super::with_root;

/// `prompts`: what targets name as their `prompt_variant`: a system prompt, or a variant of a registered prompt in a file.
pub(crate) fn bound(root: &Section<'_>) -> Named<PromptVariant> {
    let read = |(name, item): (Written<String>, Item<'_>)| {
        let prompt = item.section().and_then(|section| {
            let system = section.get("system").and_then(|item| item.string());
            let variant = section.get("variant");
            let file = section.get("file");
            let prompt = match (system, file) {
                (Some(_), Some(file)) => {
                    file.note("`system` and `file` are two ways to say the same", Some("remove one".to_owned()));
                    None
                }
                (_, Some(file)) => of_file(&name.value, &file, variant),
                (system, None) => {
                    if let Some(variant) = variant {
                        variant.note("`variant` is one of a `file`", None);
                    }
                    if system.is_none() {
                        section.need("system");
                    }
                    system.map(|system| PromptVariant { name: name.value.clone(), system: system.value, source: None })
                }
            };
            section.finish();
            prompt
        });
        (name.value, prompt)
    };
    Named { what: "prompt", found: root.named("prompts").into_iter().map(read).collect() }
}

/// What the files of the config's prompts say, for its hash.
pub(crate) fn texts(prompts: &Named<PromptVariant>) -> Vec<String> {
    let of_files = prompts.found.values().flatten().filter(|prompt| prompt.source.is_some());
    of_files.map(|prompt| format!("{prompt:?}")).collect()
}

/// What a variant sets, where the target itself says nothing of the field.
pub(crate) fn override_parameters(parameters: &mut Parameters, source: &PromptSource) {
    for (name, json) in &source.parameters {
        let said = parameters.set.iter().any(|(field, _)| field == name) || parameters.remove.contains(name);
        match json.as_str() {
            _ if said => {}
            "null" => parameters.remove.push(name.clone()),
            json => parameters.set.push((name.clone(), json.to_owned())),
        }
    }
}

fn of_file(name: &str, file: &Item<'_>, variant: Option<Item<'_>>) -> Option<PromptVariant> {
    let path = file.path()?;
    let shown = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            file.note(format!("cannot read {shown}: {error}"), None);
            return None;
        }
    };
    let prompt = match self::prompt(&shown, &text) {
        Ok(prompt) => prompt,
        Err(errors) => {
            file.adopt(errors);
            return None;
        }
    };
    let (variant, place) = match variant {
        None => (None, file.clone()),
        Some(item) => (Some(item.string()?.value), item),
    };
    let system = match bindable(&prompt, variant.as_deref()) {
        Ok(system) => system,
        Err(Unbindable { why, hint }) => {
            place.note(format!("{shown}: {why}"), Some(hint));
            return None;
        }
    };
    let own = variant.as_ref().and_then(|name| prompt.variants.get(name));
    let parameters = own.map(|variant| variant.parameters.iter().map(|(name, json)| (name.clone(), json.to_string())));
    let source = PromptSource {
        prompt: prompt.name.clone(),
        variant,
        version: prompt.version(),
        parameters: parameters.into_iter().flatten().collect(),
    };
    Some(PromptVariant { name: name.to_owned(), system, source: Some(source) })
}

/// A prompt of the config that is a file's.
#[derive(Debug)]
pub(crate) struct Binding {
    /// What targets name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// The variant; the form for all where there is none.
    pub variant: Option<String>,
}

/// Which files the config's `prompts` name, whatever else is wrong with the config; none where its text cannot be read.
pub(crate) fn bindings(source_name: &str, text: &str) -> Vec<Binding> {
    let as_written = |name: &str| Some(format!("${{{name}}}"));
    let found = with_root(source_name, text, &as_written, |root| {
        let read = |(name, item): (Written<String>, Item<'_>)| {
            let section = item.section()?;
            let variant = section.get("variant").and_then(|item| item.string()).map(|written| written.value);
            Some(Binding { name: name.value, file: section.get("file")?.path()?, variant })
        };
        root.named("prompts").into_iter().filter_map(read).collect::<Vec<_>>()
    });
    found.unwrap_or_default()
}

/// Why no target can be bound to a form of a prompt.
#[derive(Debug)]
pub(crate) struct Unbindable {
    /// What is in the way.
    pub why: String,
    /// What to do.
    pub hint: String,
}

/// The system message that the gateway would send in a variant, or in the form for all.
///
/// # Errors
/// When the variant is not there, or the gateway cannot send it as it is.
pub(crate) fn bindable(prompt: &Prompt, variant: Option<&str>) -> Result<String, Unbindable> {
    let unbindable = |why: String, hint: &str| Unbindable { why, hint: hint.to_owned() };
    let Some(form) = prompt.form(variant) else {
        let known: Vec<&str> = prompt.variants.keys().map(String::as_str).collect();
        let hint = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        return Err(unbindable(format!("there is no variant `{}`", variant.unwrap_or_default()), &hint));
    };
    if form.system == Placement::User {
        let why = "its system message is put into the user's, which the gateway does not";
        return Err(unbindable(why.to_owned(), "bind a variant with `system: system`"));
    }
    match prompt.system(variant) {
        Ok(system) if system.is_empty() => {
            Err(unbindable("there is no system message".to_owned(), "a target takes nothing else of a prompt"))
        }
        Ok(system) => Ok(system),
        Err(error) => {
            let hint = "the gateway has no values: give the variables of the system message a `default`";
            Err(unbindable(error.to_string(), hint))
        }
    }
}

/// Reads a file of one prompt. Nothing in it is replaced from the environment.
///
/// # Errors
/// Every problem found, in the order of the file.
pub(crate) fn prompt(source_name: &str, text: &str) -> Result<Prompt, Vec<ConfigError>> {
    let as_written = |name: &str| Some(format!("${{{name}}}"));
    let stem = Path::new(source_name).file_stem().and_then(std::ffi::OsStr::to_str).unwrap_or("prompt");
    let read = with_root(source_name, text, &as_written, |root| {
        let prompt = whole(&root, stem);
        root.finish();
        prompt
    });
    // Whatever is not there was noted.
    read.and_then(|prompt| prompt.ok_or_else(Vec::new))
}

fn whole(root: &Section<'_>, stem: &str) -> Option<Prompt> {
    let name = match root.get("name") {
        Some(item) => {
            let written = item.string();
            if written.as_ref().is_some_and(|name| !is_name(&name.value)) {
                item.note("a prompt's name has letters, digits, `-`, `_` and `.`", None);
            }
            written.map(|name| name.value)
        }
        None => Some(stem.to_owned()),
    };
    let task = root.get("task").and_then(|item| item.string()).map(|task| task.value);
    root.get("description");
    let variables = variables(root);
    let form = Form {
        messages: messages(root, &variables, true).unwrap_or_default(),
        few_shots: few_shots(root).unwrap_or_default(),
        parameters: parameters(root),
        system: root.get("system").and_then(|item| item.word(&Placement::WORDS)).unwrap_or_default(),
        delimiters: root.get("delimiters").and_then(|item| item.word(&Delimiters::WORDS)).unwrap_or_default(),
        instruction: instruction(root),
    };
    let variants = root.named("variants").into_iter().filter_map(|(name, item)| {
        let section = item.section()?;
        let variant = variant(&section, &variables);
        section.finish();
        Some((name.value, variant))
    });
    let variants = variants.collect();
    let mut prompt = Prompt { name: name?, task, variables, form, variants, tests: Vec::new() };
    for unused in prompt.unused() {
        let item = root.get("variables")?.inside([Err(unused)]);
        item.note(format!("no message names the variable `{unused}`"), Some("remove it, or name it".to_owned()));
    }
    let tests = root.get("tests").and_then(|item| item.list("golden tests")).unwrap_or_default();
    let tests: Vec<Golden> = tests.iter().filter_map(|item| golden(item, &prompt)).collect();
    for (idx, golden) in tests.iter().enumerate() {
        if let Some(first) = tests.iter().position(|other| other.name == golden.name).filter(|first| *first < idx) {
            let item = root.get("tests")?.inside([Ok(idx), Err("name")]);
            item.note(format!("test {} is called `{}` too", first + 1, golden.name), None);
        }
    }
    prompt.tests = tests;
    Some(prompt)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

const TYPES: [(&str, &str); 8] = [
    ("string", "string"),
    ("number", "number"),
    ("integer", "integer"),
    ("boolean", "boolean"),
    ("enum", "enum"),
    ("list", "list"),
    ("object", "object"),
    ("json", "json"),
];

fn variables(root: &Section<'_>) -> BTreeMap<String, Variable> {
    let read = |(name, item): (Written<String>, Item<'_>)| Some((name.value.clone(), variable(&name.value, &item)?));
    root.named("variables").into_iter().filter_map(read).collect()
}

/// `string`, or `{ type: string, … }`.
fn variable(name: &str, item: &Item<'_>) -> Option<Variable> {
    if !item.is_map() {
        let of = of_type(item, None)?;
        return Some(Variable { of, default: None, optional: false, delimited: false });
    }
    let section = item.section()?;
    let of = section.need("type").and_then(|item| of_type(&item, Some(&section)));
    section.get("values");
    section.get("fields");
    section.get("description");
    let default = section.get("default");
    let flag = |key: &'static str| section.get(key).and_then(|item| item.boolean()).unwrap_or(false);
    let (optional, delimited) = (flag("optional"), flag("delimited"));
    let value = default.as_ref().and_then(|item| item.json());
    if let (Some(of), Some(value), Some(item)) = (&of, &value, &default)
        && let Err(error) = of.check(name, value)
    {
        item.note(error.to_string(), None);
    }
    section.finish();
    Some(Variable { of: of?, default: value, optional, delimited })
}

fn of_type(item: &Item<'_>, section: Option<&Section<'_>>) -> Option<Type> {
    let fields = || {
        let named = section.map(|section| section.named("fields")).unwrap_or_default();
        let read = |(name, item): (Written<String>, Item<'_>)| Some((name.value, item.word(&Field::WORDS)?));
        named.into_iter().filter_map(read).collect::<BTreeMap<_, _>>()
    };
    Some(match item.word(&TYPES)? {
        "string" => Type::String,
        "number" => Type::Number,
        "integer" => Type::Integer,
        "boolean" => Type::Boolean,
        "list" => Type::List { fields: fields() },
        "object" => {
            let fields = fields();
            if fields.is_empty() {
                item.note("an object needs `fields`", Some("{ type: object, fields: { title: string } }".to_owned()));
                return None;
            }
            Type::Object { fields }
        }
        "enum" => {
            let values = section.and_then(|section| section.get("values")).and_then(|item| item.list("texts"));
            let values: Vec<String> =
                values.unwrap_or_default().iter().filter_map(Item::string).map(|text| text.value).collect();
            if values.is_empty() {
                item.note("an enum needs `values`", Some("{ type: enum, values: [short, long] }".to_owned()));
                return None;
            }
            Type::Enum { values }
        }
        _ => Type::Json,
    })
}

fn messages(section: &Section<'_>, variables: &BTreeMap<String, Variable>, is_needed: bool) -> Option<Vec<Message>> {
    let item = if is_needed { section.need("messages") } else { section.get("messages") }?;
    let items = item.list("messages")?;
    if items.is_empty() {
        item.note("a prompt has at least one message", None);
    }
    let read = |item: &Item<'_>| {
        let section = item.section()?;
        let role = section.need("role").and_then(|item| item.word(&Role::WORDS));
        let text = section.need("text").and_then(|item| template(&item, variables));
        section.finish();
        Some(Message { role: role?, text: text? })
    };
    Some(items.iter().filter_map(read).collect())
}

fn template(item: &Item<'_>, variables: &BTreeMap<String, Variable>) -> Option<Template> {
    let text = item.string()?.value;
    match Template::parse(&text, variables) {
        Ok(template) => Some(template),
        Err(errors) => {
            for error in errors {
                let nth = text.get(..error.at).unwrap_or_default().matches(&error.tag).count();
                item.note_piece((&error.tag, nth), error.message, error.hint);
            }
            None
        }
    }
}

fn few_shots(section: &Section<'_>) -> Option<Vec<Shot>> {
    let items = section.get("few_shots")?.list("examples")?;
    let read = |item: &Item<'_>| {
        let section = item.section()?;
        let text = |key: &'static str| section.need(key).and_then(|item| item.string()).map(|text| text.value);
        let (user, assistant) = (text("user"), text("assistant"));
        section.finish();
        Some(Shot { user: user?, assistant: assistant? })
    };
    Some(items.iter().filter_map(read).collect())
}

fn parameters(section: &Section<'_>) -> Map<String, Value> {
    const OWN: [&str; 3] = ["model", "messages", "stream"];
    let mut parameters = Map::new();
    for (name, item) in section.named("parameters") {
        if OWN.contains(&name.value.as_str()) {
            item.note(format!("`{}` is not a prompt's to say", name.value), None);
        }
        parameters.extend(item.json().map(|value| (name.value, value)));
    }
    parameters
}

fn instruction(section: &Section<'_>) -> Option<String> {
    section.get("instruction").and_then(|item| item.string()).map(|text| text.value)
}

fn variant(section: &Section<'_>, variables: &BTreeMap<String, Variable>) -> Variant {
    let targets = section.get("targets").and_then(|item| item.list("targets")).unwrap_or_default();
    Variant {
        targets: targets.iter().filter_map(Item::string).map(|name| name.value).collect(),
        messages: messages(section, variables, false),
        few_shots: few_shots(section),
        parameters: parameters(section),
        system: section.get("system").and_then(|item| item.word(&Placement::WORDS)),
        delimiters: section.get("delimiters").and_then(|item| item.word(&Delimiters::WORDS)),
        instruction: instruction(section),
    }
}

fn golden(item: &Item<'_>, prompt: &Prompt) -> Option<Golden> {
    let section = item.section()?;
    let name = section.need("name").and_then(|item| item.string());
    let with = section.get("with");
    let mut values = Map::new();
    for (name, item) in section.named("with") {
        values.extend(item.json().map(|value| (name.value, value)));
    }
    if let Err(RenderError::Values(errors)) = prompt.request(None, &values) {
        // A default of another type is told where it is written.
        for error in errors
            .into_iter()
            .filter(|error| values.contains_key(error.variable()) || !matches!(error, ValueError::Type { .. }))
        {
            let hint = match &error {
                ValueError::Missing { name } => Some(format!("write `with: {{ {name}: … }}`")),
                _ => None,
            };
            let place = with.as_ref().unwrap_or(item).inside([Err(error.variable())]);
            place.note(error.to_string(), hint);
        }
    }
    let mut expect = Vec::new();
    for item in section.get("expect").and_then(|item| item.list("expectations")).unwrap_or_default() {
        for (name, item) in item.named() {
            let Some(value) = item.json() else { continue };
            match Expectation::named(&name.value, value) {
                Ok(expectation) => expect.push(expectation),
                Err(error) => item.note(error.to_string(), None),
            }
        }
    }
    let language = section.get("language").and_then(|item| {
        let words: Vec<(&str, &str)> = routing::Language::words().map(|word| (word, word)).collect();
        item.word(&words)
    });
    let refuses = section.get("refuses").and_then(|item| item.boolean()).unwrap_or(false);
    section.finish();
    Some(Golden { name: name?.value, values, expect, language: language.map(str::to_owned), refuses })
}
