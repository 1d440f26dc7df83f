//! The tools of a chat request, and how to choose among them.

use std::borrow::Cow;

use crate::openai::Refusal;
use crate::scan::Kind;
use crate::translate::messages::json::Json;
use crate::translate::messages::unreadable;
use crate::translate::messages::view::{Members, View};
use crate::translate::{Changes, Loss};

/// A function the model may call.
struct Function<'a> {
    name: &'a [u8],
    description: Option<View<'a>>,
    parameters: Option<View<'a>>,
    strict: Option<View<'a>>,
}

/// How the model chooses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice<'a> {
    Auto,
    None,
    Any,
    Tool(&'a [u8]),
}

/// Writes `tools` and `tool_choice`.
pub(super) fn write(json: &mut Json, top: &mut Members<'_>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let mut functions = read(top, changes)?;
    let (choice, allowed) = choice(top, changes)?;
    let parallel = top.take("parallel_tool_calls");
    if let Some(allowed) = allowed {
        functions.retain(|function| allowed.contains(&function.name));
    }
    if functions.is_empty() {
        // Messages takes no choice without tools.
        return Ok(());
    }
    json.key("tools");
    json.open(b'[');
    for function in &functions {
        json.open(b'{');
        json.member_escaped("name", &[function.name]);
        if let Some(description) = function.description {
            json.member("description", description.raw());
        }
        json.member("input_schema", &input_schema(function.parameters)?);
        if let Some(strict) = function.strict {
            json.member("strict", strict.raw());
        }
        json.close(b'}');
    }
    json.close(b']');
    let one_at_a_time = parallel.is_some_and(|parallel| parallel.kind == Kind::False);
    let choice = match choice {
        Some(choice) => choice,
        None if one_at_a_time => Choice::Auto,
        None => return Ok(()),
    };
    json.key("tool_choice");
    json.open(b'{');
    match choice {
        Choice::Auto => json.member_text("type", "auto"),
        Choice::None => json.member_text("type", "none"),
        Choice::Any => json.member_text("type", "any"),
        Choice::Tool(name) => {
            json.member_text("type", "tool");
            json.member_escaped("name", &[name]);
        }
    }
    if one_at_a_time && choice != Choice::None {
        json.member("disable_parallel_tool_use", b"true");
    }
    json.close(b'}');
    Ok(())
}

/// `tools`, and `functions` from before there were tools.
fn read<'a>(top: &mut Members<'a>, changes: &mut Changes<'_>) -> Result<Vec<Function<'a>>, Refusal> {
    let mut functions = Vec::new();
    if let Some(tools) = top.take("tools") {
        for (idx, tool) in tools.elements().map_err(unreadable)?.into_iter().enumerate() {
            match tool.get("function") {
                Some(function) => functions.push(read_function(function, format!("tools[{idx}].function"))?),
                None => changes.lose(Loss::ToolFormat, "tools.custom", format!("tools[{idx}]"))?,
            }
        }
    }
    if let Some(list) = top.take("functions") {
        for (idx, function) in list.elements().map_err(unreadable)?.into_iter().enumerate() {
            functions.push(read_function(function, format!("functions[{idx}]"))?);
        }
    }
    Ok(functions)
}

fn read_function(function: View<'_>, at: String) -> Result<Function<'_>, Refusal> {
    let mut function = function.members().map_err(unreadable)?;
    let name = function
        .take_inner("name")
        .ok_or_else(|| Refusal::invalid_value(format!("`{at}.name` is required."), format!("{at}.name")))?;
    Ok(Function {
        name,
        description: function.take("description"),
        parameters: function.take("parameters"),
        strict: function.take("strict"),
    })
}

/// Messages wants a schema, and in it the type `object`; chat takes a function without either.
fn input_schema(parameters: Option<View<'_>>) -> Result<Cow<'_, [u8]>, Refusal> {
    let Some(parameters) = parameters else {
        return Ok(Cow::Borrowed(br#"{"type":"object","properties":{}}"#));
    };
    let mut members = parameters.members().map_err(unreadable)?;
    if members.take("type").is_some() {
        return Ok(Cow::Borrowed(parameters.raw()));
    }
    let mut json = Json::with_capacity(parameters.raw().len() + 24);
    json.open(b'{');
    json.member_text("type", "object");
    for (name, value) in members.rest() {
        json.member(&name, value.raw());
    }
    json.close(b'}');
    Ok(Cow::Owned(json.into_bytes()))
}

/// The names of the tools that may be called, when not all may.
type Allowed<'a> = Option<Vec<&'a [u8]>>;

/// `tool_choice`, or `function_call` from before there were tools.
fn choice<'a>(top: &mut Members<'a>, changes: &mut Changes<'_>) -> Result<(Option<Choice<'a>>, Allowed<'a>), Refusal> {
    let (choice, legacy) = (top.take("tool_choice"), top.take("function_call"));
    let Some(choice) = choice.or(legacy) else { return Ok((None, None)) };
    let invalid = || Refusal::invalid_value("`tool_choice` is none of the choices there are.", "tool_choice");
    if let Some(word) = choice.text() {
        return match word.as_ref() {
            "auto" => Ok((Some(Choice::Auto), None)),
            "none" => Ok((Some(Choice::None), None)),
            "required" => Ok((Some(Choice::Any), None)),
            _ => Err(invalid()),
        };
    }
    let mut members = choice.members().map_err(unreadable)?;
    let kind = members.take("type").and_then(View::text);
    match kind.as_deref() {
        Some("function") => {
            let name = members.take("function").and_then(|function| function.get("name")?.inner());
            Ok((Some(Choice::Tool(name.ok_or_else(invalid)?)), None))
        }
        // `function_call` names the function without more ado.
        None => Ok((Some(Choice::Tool(members.take_inner("name").ok_or_else(invalid)?)), None)),
        Some("allowed_tools") => {
            let mut allowed = members.take("allowed_tools").ok_or_else(invalid)?.members().map_err(unreadable)?;
            let required = allowed.take("mode").is_some_and(|mode| mode.is("required"));
            let tools = allowed.take("tools").ok_or_else(invalid)?.elements().map_err(unreadable)?;
            let names = tools.iter().filter_map(|tool| tool.get("function")?.get("name")?.inner()).collect();
            changes.replaced("tool_choice.allowed_tools");
            Ok((Some(if required { Choice::Any } else { Choice::Auto }), Some(names)))
        }
        Some(_) => {
            changes.lose(Loss::ToolChoice, "tool_choice", "tool_choice")?;
            Ok((None, None))
        }
    }
}
