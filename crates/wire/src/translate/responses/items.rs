//! The items of `input` as messages of a chat.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::json::{self, Object};
use super::super::{Changes, Loss};
use super::wrong;
use crate::openai::Refusal;

/// A message of a chat.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    role: Cow<'a, str>,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    /// `null`: an assistant that only calls tools.
    Nothing,
    /// A string, as it was written.
    Text(&'a RawValue),
    Parts(Vec<Part<'a>>),
    Empty(&'static str),
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a RawValue },
    Refusal { refusal: &'a RawValue },
    ImageUrl { image_url: ImageUrl<'a> },
    File { file: File<'a> },
    InputAudio { input_audio: &'a RawValue },
}

#[derive(Debug, Clone, Serialize)]
struct ImageUrl<'a> {
    url: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a RawValue>,
}

#[derive(Debug, Clone, Serialize)]
struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a RawValue>,
    file_data: &'a RawValue,
}

#[derive(Debug, Serialize)]
struct ToolCall<'a> {
    id: Cow<'a, str>,
    #[serde(flatten)]
    call: Call<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Call<'a> {
    Function { function: Function<'a> },
    Custom { custom: Custom<'a> },
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
struct Custom<'a> {
    name: Cow<'a, str>,
    input: Cow<'a, str>,
}

impl<'a> Message<'a> {
    fn new(role: impl Into<Cow<'a, str>>, content: Content<'a>) -> Message<'a> {
        Message { role: role.into(), content, refusal: None, tool_calls: Vec::new(), tool_call_id: None }
    }

    /// The system message that `instructions` are.
    pub(super) fn instructions(text: &'a RawValue) -> Message<'a> {
        Message::new("system", Content::Text(text))
    }

    fn is_assistant(&self) -> bool {
        self.role == "assistant"
    }
}

/// Reads `input` and appends its messages.
pub(super) fn messages<'a>(
    input: &'a RawValue,
    messages: &mut Vec<Message<'a>>,
    changes: &mut Changes<'_>,
) -> Result<(), Refusal> {
    if json::is_text(input) {
        messages.push(Message::new("user", Content::Text(input)));
        return Ok(());
    }
    let items = json::elements(input).ok_or_else(|| wrong("input", "a string or an array"))?;
    for (idx, item) in items.into_iter().enumerate() {
        let at = format!("input[{idx}]");
        let item = json::object(item).ok_or_else(|| wrong(&at, "an object"))?;
        let word = item.text("type");
        match word.as_deref() {
            None | Some("message") => message(&item, &at, messages, changes)?,
            Some("function_call") => call(tool_call(&item, &at, changes)?, messages),
            Some("custom_tool_call") => call(custom_call(&item, &at, changes)?, messages),
            Some("function_call_output" | "custom_tool_call_output") => {
                messages.push(tool_output(&item, &at, changes)?);
            }
            Some("reasoning") => reasoning(&item, &at, changes)?,
            Some(word) => other(word, at, changes)?,
        }
    }
    Ok(())
}

fn message<'a>(
    item: &Object<'a>,
    at: &str,
    messages: &mut Vec<Message<'a>>,
    changes: &mut Changes<'_>,
) -> Result<(), Refusal> {
    let role = item.text("role").ok_or_else(|| wrong(format!("{at}.role"), "a string"))?;
    let content = item.get("content").ok_or_else(|| wrong(format!("{at}.content"), "a string or an array"))?;
    let parts = if json::is_text(content) {
        vec![Part::Text { text: content }]
    } else {
        parts(content, &format!("{at}.content"), changes)?
    };
    let mut new = Message::new(role, Content::Nothing);
    if new.is_assistant() {
        if let Some(last) = messages.last_mut().filter(|last| last.is_assistant() && !last.tool_calls.is_empty()) {
            // Between its tool calls and their results an assistant's message has no place of its own.
            join(last, parts);
            return Ok(());
        }
        join(&mut new, parts);
    } else {
        new.content = content_of(parts);
    }
    messages.push(new);
    Ok(())
}

/// Text alone is a string: every chat template takes that.
fn content_of(parts: Vec<Part<'_>>) -> Content<'_> {
    match parts.as_slice() {
        [] => Content::Empty(""),
        [Part::Text { text }] => Content::Text(text),
        _ => Content::Parts(parts),
    }
}

/// Adds to what an assistant said.
fn join<'a>(message: &mut Message<'a>, mut more: Vec<Part<'a>>) {
    let mut parts = match std::mem::replace(&mut message.content, Content::Nothing) {
        Content::Nothing | Content::Empty(_) => Vec::new(),
        Content::Text(text) => vec![Part::Text { text }],
        Content::Parts(parts) => parts,
    };
    parts.extend(message.refusal.take().map(|refusal| Part::Refusal { refusal }));
    parts.append(&mut more);
    match parts.as_slice() {
        [Part::Refusal { refusal }] => message.refusal = Some(refusal),
        [] if !message.tool_calls.is_empty() => {}
        _ => message.content = content_of(parts),
    }
}

fn parts<'a>(content: &'a RawValue, at: &str, changes: &mut Changes<'_>) -> Result<Vec<Part<'a>>, Refusal> {
    let elements = json::elements(content).ok_or_else(|| wrong(at, "a string or an array"))?;
    let mut parts = Vec::with_capacity(elements.len());
    for (idx, element) in elements.into_iter().enumerate() {
        let at = format!("{at}[{idx}]");
        let object = json::object(element).ok_or_else(|| wrong(&at, "an object"))?;
        parts.extend(part(&object, at, changes)?);
    }
    Ok(parts)
}

fn part<'a>(part: &Object<'a>, at: String, changes: &mut Changes<'_>) -> Result<Option<Part<'a>>, Refusal> {
    let need = |key: &str| match part.get(key) {
        Some(value) if json::is_text(value) => Ok(value),
        _ => Err(wrong(format!("{at}.{key}"), "a string")),
    };
    if part.get("prompt_cache_breakpoint").is_some() {
        changes.lose(Loss::Hints, "input.prompt_cache_breakpoint", format!("{at}.prompt_cache_breakpoint"))?;
    }
    let word = part.text("type").ok_or_else(|| wrong(format!("{at}.type"), "a string"))?;
    let found = match word.as_ref() {
        "input_text" | "output_text" | "text" => Part::Text { text: need("text")? },
        "refusal" => Part::Refusal { refusal: need("refusal")? },
        "input_image" if part.get("file_id").is_some() => {
            return changes
                .lose(Loss::FileReference, "input.input_image.file_id", format!("{at}.file_id"))
                .map(|()| None);
        }
        "input_image" => Part::ImageUrl { image_url: ImageUrl { url: need("image_url")?, detail: part.get("detail") } },
        "input_file" if part.get("file_data").is_some() => {
            Part::File { file: File { filename: part.get("filename"), file_data: need("file_data")? } }
        }
        "input_file" if part.get("file_url").is_some() => {
            return changes.lose(Loss::Media, "input.input_file.file_url", format!("{at}.file_url")).map(|()| None);
        }
        "input_file" => {
            return changes
                .lose(Loss::FileReference, "input.input_file.file_id", format!("{at}.file_id"))
                .map(|()| None);
        }
        "input_audio" => {
            let audio = part.get("input_audio").ok_or_else(|| wrong(format!("{at}.input_audio"), "an object"))?;
            Part::InputAudio { input_audio: audio }
        }
        _ => return changes.lose(Loss::Media, "input.content.other", at).map(|()| None),
    };
    Ok(Some(found))
}

/// A call belongs to the message of the assistant that made it.
fn call<'a>(call: ToolCall<'a>, messages: &mut Vec<Message<'a>>) {
    match messages.last_mut().filter(|last| last.is_assistant()) {
        Some(last) => last.tool_calls.push(call),
        None => {
            let mut message = Message::new("assistant", Content::Nothing);
            message.tool_calls.push(call);
            messages.push(message);
        }
    }
}

fn needed<'a>(item: &Object<'a>, at: &str, key: &str) -> Result<Cow<'a, str>, Refusal> {
    item.text(key).ok_or_else(|| wrong(format!("{at}.{key}"), "a string"))
}

fn namespace(item: &Object<'_>, at: &str, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    match item.get("namespace") {
        Some(_) => changes.lose(Loss::ToolFormat, "input.namespace", format!("{at}.namespace")),
        None => Ok(()),
    }
}

fn tool_call<'a>(item: &Object<'a>, at: &str, changes: &mut Changes<'_>) -> Result<ToolCall<'a>, Refusal> {
    namespace(item, at, changes)?;
    let function = Function { name: needed(item, at, "name")?, arguments: needed(item, at, "arguments")? };
    Ok(ToolCall { id: needed(item, at, "call_id")?, call: Call::Function { function } })
}

fn custom_call<'a>(item: &Object<'a>, at: &str, changes: &mut Changes<'_>) -> Result<ToolCall<'a>, Refusal> {
    namespace(item, at, changes)?;
    let custom = Custom { name: needed(item, at, "name")?, input: needed(item, at, "input")? };
    Ok(ToolCall { id: needed(item, at, "call_id")?, call: Call::Custom { custom } })
}

fn tool_output<'a>(item: &Object<'a>, at: &str, changes: &mut Changes<'_>) -> Result<Message<'a>, Refusal> {
    let output = item.get("output").ok_or_else(|| wrong(format!("{at}.output"), "a string or an array"))?;
    let content = if json::is_text(output) {
        Content::Text(output)
    } else {
        let mut texts = Vec::new();
        for part in parts(output, &format!("{at}.output"), changes)? {
            match part {
                Part::Text { .. } => texts.push(part),
                // A chat server reads nothing but text from a tool.
                _ => changes.lose(Loss::Media, "input.function_call_output.media", format!("{at}.output"))?,
            }
        }
        content_of(texts)
    };
    let mut message = Message::new("tool", content);
    message.tool_call_id = Some(needed(item, at, "call_id")?);
    Ok(message)
}

fn reasoning(item: &Object<'_>, at: &str, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    if item.get("encrypted_content").is_some() {
        changes.lose(Loss::EncryptedReasoning, "input.encrypted_content", format!("{at}.encrypted_content"))?;
    }
    let has_words = ["content", "summary"]
        .iter()
        .any(|key| item.get(key).and_then(json::elements).is_some_and(|elements| !elements.is_empty()));
    if has_words { changes.lose(Loss::Reasoning, "input.reasoning", at.to_owned()) } else { Ok(()) }
}

/// The traces of tools the chat dialect does not know, and what only its own provider can read.
fn other(word: &str, at: String, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let (loss, field) = match word {
        "item_reference" => (Loss::ServerState, "input.item_reference"),
        "compaction" | "compaction_trigger" => (Loss::ServerState, "input.compaction"),
        "file_search_call" => (Loss::ServerTools, "input.file_search_call"),
        "web_search_call" => (Loss::ServerTools, "input.web_search_call"),
        "code_interpreter_call" => (Loss::ServerTools, "input.code_interpreter_call"),
        "image_generation_call" => (Loss::ServerTools, "input.image_generation_call"),
        "mcp_call" | "mcp_list_tools" | "mcp_approval_request" | "mcp_approval_response" => {
            (Loss::ServerTools, "input.mcp")
        }
        "computer_call" | "computer_call_output" => (Loss::ToolFormat, "input.computer_call"),
        "local_shell_call" | "local_shell_call_output" | "shell_call" | "shell_call_output" => {
            (Loss::ToolFormat, "input.shell_call")
        }
        "apply_patch_call" | "apply_patch_call_output" => (Loss::ToolFormat, "input.apply_patch_call"),
        "tool_search_call" | "tool_search_output" | "additional_tools" | "program" | "program_output" => {
            (Loss::ToolFormat, "input.tool_search")
        }
        _ => {
            let message = format!("`{at}.type` is none of the items that this model's server takes.");
            return Err(Refusal::unsupported(message, format!("{at}.type")));
        }
    };
    changes.lose(loss, field, at)
}
