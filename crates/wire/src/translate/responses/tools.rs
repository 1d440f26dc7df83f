//! Tools and the choice among them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::json::{self, Object};
use super::super::{Changes, Loss};
use super::wrong;
use crate::openai::Refusal;

/// The tools of a request in the chat dialect, each as JSON, and the choice among them.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// What the target may call.
    pub(super) list: Vec<Tool>,
    /// `tool_choice`, as JSON; `None` to leave it to the target.
    pub(super) choice: Option<String>,
}

/// One tool.
#[derive(Debug)]
pub(super) struct Tool {
    kind: ToolKind,
    name: String,
    json: String,
}

impl Serialize for Tool {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Built by this file from JSON, so it is JSON.
        serde_json::from_str::<&RawValue>(&self.json).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// The two kinds of tools that run at the caller and that both dialects know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ToolKind {
    Function,
    Custom,
}

impl ToolKind {
    const fn as_str(self) -> &'static str {
        match self {
            ToolKind::Function => "function",
            ToolKind::Custom => "custom",
        }
    }

    fn of(word: &str) -> Option<ToolKind> {
        [ToolKind::Function, ToolKind::Custom].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What runs at the caller but is described in words only one provider's models know.
const CALLER_SIDE: [&str; 9] = [
    "local_shell",
    "shell",
    "apply_patch",
    "computer",
    "computer_use",
    "computer_use_preview",
    "namespace",
    "tool_search",
    "programmatic_tool_calling",
];

/// Reads `tools` and `tool_choice`.
pub(super) fn tools(
    tools: Option<&RawValue>,
    choice: Option<&RawValue>,
    changes: &mut Changes<'_>,
) -> Result<Tools, Refusal> {
    let mut found = Tools::default();
    let elements = match tools {
        Some(tools) => json::elements(tools).ok_or_else(|| wrong("tools", "an array"))?,
        None => Vec::new(),
    };
    let n_asked = elements.len();
    for (idx, element) in elements.into_iter().enumerate() {
        if let Some(tool) = tool(element, idx, changes)? {
            found.list.push(tool);
        }
    }
    match choice {
        // None of the tools asked for is left: there is nothing to choose from.
        Some(_) if found.list.is_empty() && n_asked > 0 => changes.removed("tool_choice"),
        Some(choice) => choose(choice, &mut found, changes)?,
        None => {}
    }
    Ok(found)
}

fn tool(element: &RawValue, idx: usize, changes: &mut Changes<'_>) -> Result<Option<Tool>, Refusal> {
    let param = format!("tools[{idx}]");
    let mut tool = json::object(element).ok_or_else(|| wrong(&param, "an object"))?;
    let Some(word) = tool.take("type").and_then(json::text) else {
        return Err(wrong(format!("{param}.type"), "a string"));
    };
    let Some(kind) = ToolKind::of(&word) else {
        lose(&word, "tools", param, changes)?;
        return Ok(None);
    };
    let Some(name) = tool.text("name") else { return Err(wrong(format!("{param}.name"), "a string")) };
    // These say when and from where a tool may be called; a server without them always offers it, directly.
    for field in ["defer_loading", "allowed_callers", "output_schema", "async"] {
        if tool.take(field).is_some() {
            changes.lose(Loss::Hints, format!("tools.{field}"), format!("{param}.{field}"))?;
        }
    }
    let mut inner = json::Writer::with_capacity(element.get().len());
    for (key, value) in tool.iter().filter(|(_, value)| !json::is_null(value)) {
        match (kind, key) {
            (ToolKind::Custom, "format") => inner.raw(key, &custom_format(value, &param)?),
            _ => inner.raw(key, value.get()),
        }
    }
    let mut outer = json::Writer::with_capacity(element.get().len() + 32);
    outer.member("type", kind.as_str());
    outer.raw(kind.as_str(), &inner.finish());
    Ok(Some(Tool { kind, name: name.into_owned(), json: outer.finish() }))
}

/// `{"type":"grammar","syntax":…,"definition":…}` holds its grammar one level deeper in the chat dialect.
fn custom_format(value: &RawValue, param: &str) -> Result<String, Refusal> {
    let mut format = json::object(value).ok_or_else(|| wrong(format!("{param}.format"), "an object"))?;
    if format.text("type").as_deref() != Some("grammar") {
        return Ok(value.get().to_owned());
    }
    format.take("type");
    let mut grammar = json::Writer::with_capacity(value.get().len());
    format.iter().for_each(|(key, value)| grammar.raw(key, value.get()));
    let mut outer = json::Writer::with_capacity(value.get().len() + 32);
    outer.member("type", "grammar");
    outer.raw("grammar", &grammar.finish());
    Ok(outer.finish())
}

/// A tool or a choice of the kind `word`, which the chat dialect does not know.
fn lose(word: &str, field: &'static str, param: String, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let loss = if CALLER_SIDE.contains(&word) { Loss::ToolFormat } else { Loss::ServerTools };
    // A word the caller made up does not become a metric label.
    let plain = word.len() <= 40 && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    changes.lose(loss, if plain { format!("{field}.{word}") } else { format!("{field}.other") }, param)
}

#[derive(Serialize)]
#[serde(untagged)]
enum Named<'a> {
    Function { r#type: &'static str, function: Name<'a> },
    Custom { r#type: &'static str, custom: Name<'a> },
}

#[derive(Serialize)]
struct Name<'a> {
    name: Cow<'a, str>,
}

fn named(kind: ToolKind, name: Cow<'_, str>) -> Named<'_> {
    let (r#type, name) = (kind.as_str(), Name { name });
    match kind {
        ToolKind::Function => Named::Function { r#type, function: name },
        ToolKind::Custom => Named::Custom { r#type, custom: name },
    }
}

fn choose(choice: &RawValue, tools: &mut Tools, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    const FIELD: &str = "tool_choice";
    if json::is_text(choice) {
        // Without tools a chat server refuses the field, and these two say nothing then.
        let says_nothing = tools.list.is_empty() && matches!(choice.get(), r#""auto""# | r#""none""#);
        if says_nothing {
            changes.removed(FIELD);
        } else {
            tools.choice = Some(choice.get().to_owned());
        }
        return Ok(());
    }
    let object = json::object(choice).ok_or_else(|| wrong(FIELD, "a string or an object"))?;
    let Some(word) = object.text("type") else { return Err(wrong("tool_choice.type", "a string")) };
    if word == "allowed_tools" {
        return allow(&object, tools, changes);
    }
    match (ToolKind::of(&word), object.text("name")) {
        (Some(kind), Some(name)) => tools.choice = Some(json::write(&named(kind, name))),
        (Some(_), None) => return Err(wrong("tool_choice.name", "a string")),
        (None, _) => lose(&word, FIELD, FIELD.to_owned(), changes)?,
    }
    Ok(())
}

/// A choice among some of the tools is the same as offering only those, and every server understands that.
fn allow(choice: &Object<'_>, tools: &mut Tools, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let elements =
        choice.get("tools").and_then(json::elements).ok_or_else(|| wrong("tool_choice.tools", "an array"))?;
    let mut allowed = Vec::with_capacity(elements.len());
    for (idx, element) in elements.into_iter().enumerate() {
        let param = format!("tool_choice.tools[{idx}]");
        let tool = json::object(element).ok_or_else(|| wrong(&param, "an object"))?;
        let Some(word) = tool.text("type") else { return Err(wrong(format!("{param}.type"), "a string")) };
        match (ToolKind::of(&word), tool.text("name")) {
            (Some(kind), Some(name)) => allowed.push((kind, name.into_owned())),
            (Some(_), None) => return Err(wrong(format!("{param}.name"), "a string")),
            (None, _) => lose(&word, "tool_choice.tools", param, changes)?,
        }
    }
    tools.list.retain(|tool| allowed.iter().any(|(kind, name)| *kind == tool.kind && *name == tool.name));
    changes.replaced("tool_choice.allowed_tools");
    match choice.text("mode").as_deref() {
        Some("required") => tools.choice = Some(json::write("required")),
        Some("auto") | None => tools.choice = None,
        Some(_) => {
            return Err(Refusal::invalid_value("`tool_choice.mode` must be `auto` or `required`.", "tool_choice.mode"));
        }
    }
    Ok(())
}
