//! The conversation of a chat request, read into the turns of Messages.

use std::borrow::Cow;

use crate::openai::Refusal;
use crate::scan::Kind;
use crate::translate::messages::turn::{
    Call, Document, Escaped, Image, Part, Role, ToolResult, Turn, messages_id, owned,
};
use crate::translate::messages::unreadable;
use crate::translate::messages::view::{Members, View};
use crate::translate::{Changes, Loss};

/// What is said where Messages wants the user to begin and the caller let somebody else begin.
const OPENING: &str = "(The conversation begins.)";

/// A conversation, the system prompt apart.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Part<'a>>,
    /// User and assistant in turn; the user begins.
    pub(super) turns: Vec<Turn<'a>>,
}

impl<'a> Conversation<'a> {
    pub(super) fn read(messages: View<'a>, changes: &mut Changes<'_>) -> Result<Conversation<'a>, Refusal> {
        let mut conversation = Conversation { system: Vec::new(), turns: Vec::new() };
        for (idx, message) in messages.elements().map_err(unreadable)?.into_iter().enumerate() {
            let members = message.members().map_err(unreadable)?;
            Message { members, at: format!("messages[{idx}]") }.read_into(&mut conversation, changes)?;
        }
        let turns = &mut conversation.turns;
        if turns.first().is_none_or(|first| first.role == Role::Assistant) {
            let mut opening = Turn::new(Role::User);
            opening.parts.push(Part::Text(owned(OPENING)));
            turns.insert(0, opening);
            changes.added("messages.opening");
        }
        if turns.last().is_some_and(|last| last.role == Role::Assistant) {
            changes.lose(Loss::Prefill, "messages.prefill", "messages")?;
        }
        Ok(conversation)
    }

    /// The turn of `role` that goes on now: Messages has the two in turn, and the results of all calls in one.
    fn turn(&mut self, role: Role) -> &mut Turn<'a> {
        if self.turns.last().is_none_or(|last| last.role != role) {
            self.turns.push(Turn::new(role));
        }
        let last = self.turns.len() - 1;
        &mut self.turns[last]
    }
}

/// A message, some of its members taken out.
struct Message<'a> {
    members: Members<'a>,
    /// Where it is: `messages[0]`.
    at: String,
}

impl<'a> Message<'a> {
    fn read_into(mut self, conversation: &mut Conversation<'a>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
        let role = self.members.take("role").and_then(View::text).unwrap_or_default();
        match role.as_ref() {
            "system" | "developer" => {
                if !conversation.turns.is_empty() {
                    changes.replaced("messages.system");
                }
                self.content(&mut conversation.system, changes)?;
            }
            "user" => {
                let mut parts = Vec::new();
                self.content(&mut parts, changes)?;
                if !parts.is_empty() {
                    conversation.turn(Role::User).parts.append(&mut parts);
                }
            }
            "assistant" => self.assistant(conversation, changes)?,
            "tool" => {
                let id = self.members.take_inner("tool_call_id").ok_or_else(|| self.required("tool_call_id"))?;
                self.result(messages_id(id), conversation, changes)?;
            }
            "function" => {
                let name = self.members.take_inner("name").ok_or_else(|| self.required("name"))?;
                self.result(function_id(name), conversation, changes)?;
            }
            _ => {
                let field = format!("{}.role", self.at);
                let roles = "`system`, `developer`, `user`, `assistant`, `tool` or `function`";
                return Err(Refusal::invalid_value(format!("`{field}` must be {roles}."), field));
            }
        }
        if self.members.take("name").is_some() {
            changes.lose(Loss::Labels, "messages.name", format!("{}.name", self.at))?;
        }
        if self.members.has_rest() {
            changes.removed("messages.other");
        }
        Ok(())
    }

    fn required(&self, name: &str) -> Refusal {
        let field = format!("{}.{name}", self.at);
        Refusal::invalid_value(format!("`{field}` is required."), field)
    }

    fn assistant(&mut self, conversation: &mut Conversation<'a>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
        let mut said = Turn::new(Role::Assistant);
        self.content(&mut said.parts, changes)?;
        if let Some(refusal) = self.members.take_inner("refusal").filter(|refusal| !refusal.is_empty()) {
            said.parts.push(Part::Text(Cow::Borrowed(refusal)));
        }
        if let Some(calls) = self.members.take("tool_calls") {
            for (idx, call) in calls.elements().map_err(unreadable)?.into_iter().enumerate() {
                let at = format!("{}.tool_calls[{idx}]", self.at);
                let mut call = call.members().map_err(unreadable)?;
                let Some(function) = call.take("function") else {
                    changes.lose(Loss::ToolFormat, "messages.tool_calls.custom", at)?;
                    continue;
                };
                let id = call
                    .take_inner("id")
                    .ok_or_else(|| Refusal::invalid_value(format!("`{at}.id` is required."), format!("{at}.id")))?;
                said.calls.push(read_call(messages_id(id), function, &format!("{at}.function"))?);
            }
        }
        if let Some(function) = self.members.take("function_call") {
            let id = function.get("name").and_then(View::inner).map(function_id).unwrap_or_default();
            said.calls.push(read_call(id, function, &format!("{}.function_call", self.at))?);
        }
        for name in ["reasoning_content", "reasoning", "reasoning_details"] {
            if self.members.take(name).is_some() {
                changes.lose(Loss::Reasoning, "messages.reasoning", format!("{}.{name}", self.at))?;
            }
        }
        if self.members.take("audio").is_some() {
            changes.lose(Loss::Media, "messages.audio", format!("{}.audio", self.at))?;
        }
        self.members.take("annotations");
        if said.is_empty() {
            changes.removed("messages.empty");
        } else {
            let turn = conversation.turn(Role::Assistant);
            turn.parts.append(&mut said.parts);
            turn.calls.append(&mut said.calls);
        }
        Ok(())
    }

    fn result(
        &mut self,
        id: Escaped<'a>,
        conversation: &mut Conversation<'a>,
        changes: &mut Changes<'_>,
    ) -> Result<(), Refusal> {
        let mut parts = Vec::new();
        self.content(&mut parts, changes)?;
        conversation.turn(Role::User).results.push(ToolResult { id, parts, is_error: false });
        Ok(())
    }

    /// Reads `content`. An empty text is nothing said: Messages takes none.
    fn content(&mut self, parts: &mut Vec<Part<'a>>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
        let Some(content) = self.members.take("content") else { return Ok(()) };
        if let Some(text) = content.inner() {
            parts.extend((!text.is_empty()).then_some(Part::Text(Cow::Borrowed(text))));
            return Ok(());
        }
        let at = format!("{}.content", self.at);
        if content.kind != Kind::Array {
            return Err(Refusal::invalid_value(format!("`{at}` must be a string or a list of parts."), at));
        }
        for (idx, part) in content.elements().map_err(unreadable)?.into_iter().enumerate() {
            read_part(part, format!("{at}[{idx}]"), parts, changes)?;
        }
        Ok(())
    }
}

fn read_call<'a>(id: Escaped<'a>, function: View<'a>, at: &str) -> Result<Call<'a>, Refusal> {
    let mut function = function.members().map_err(unreadable)?;
    let wrong = |field: String, what: &str| Refusal::invalid_value(format!("`{field}` {what}."), field);
    let name = function.take_inner("name").ok_or_else(|| wrong(format!("{at}.name"), "is required"))?;
    let arguments = function.take("arguments").and_then(View::text).unwrap_or_default();
    let input: Cow<'a, [u8]> = match arguments {
        text if text.trim_ascii().is_empty() => Cow::Borrowed(b"{}"),
        text if text.trim_ascii().starts_with('{') && crate::openai::well_formed(text.as_bytes()) => match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
        _ => return Err(wrong(format!("{at}.arguments"), "must be a JSON object in a string")),
    };
    Ok(Call { id, name: Cow::Borrowed(name), input })
}

/// The id of a call of a legacy function, which has none: one function is called at a time, and its result has its name.
fn function_id(name: &[u8]) -> Escaped<'_> {
    let name = messages_id(name);
    Cow::Owned([b"call_", name.as_ref()].concat())
}

fn read_part<'a>(
    part: View<'a>,
    at: String,
    parts: &mut Vec<Part<'a>>,
    changes: &mut Changes<'_>,
) -> Result<(), Refusal> {
    let mut part = part.members().map_err(unreadable)?;
    let kind = part.take("type").and_then(View::text).unwrap_or_default();
    let invalid = |name: &str| Refusal::invalid_value(format!("`{at}.{name}` is required."), format!("{at}.{name}"));
    match kind.as_ref() {
        "text" | "refusal" => {
            let text = part.take_inner(&kind).ok_or_else(|| invalid(&kind))?;
            parts.extend((!text.is_empty()).then_some(Part::Text(Cow::Borrowed(text))));
        }
        "image_url" => {
            let mut image =
                part.take("image_url").ok_or_else(|| invalid("image_url"))?.members().map_err(unreadable)?;
            let url = image.take_inner("url").ok_or_else(|| invalid("image_url.url"))?;
            if image.take("detail").is_some_and(|detail| !detail.is("auto")) {
                changes.lose(Loss::Hints, "messages.content.detail", format!("{at}.image_url.detail"))?;
            }
            parts.push(Part::Image(match data_url(url) {
                Some((media_type, data)) => Image::Base64 { media_type, data },
                None if starts_with_scheme(url, b"data:") => {
                    return changes.lose(Loss::Media, "messages.content.image_url", at);
                }
                None => Image::Url(Cow::Borrowed(url)),
            }));
        }
        "file" => {
            let mut file = part.take("file").ok_or_else(|| invalid("file"))?.members().map_err(unreadable)?;
            if file.take("file_id").is_some() {
                return changes.lose(Loss::FileReference, "messages.content.file", at);
            }
            let name = file.take_inner("filename").map(Cow::Borrowed);
            match file.take_inner("file_data").and_then(data_url) {
                Some((media_type, data)) if media_type.as_ref() == b"application/pdf" => {
                    parts.push(Part::Document(Document { name, media_type, data }));
                }
                _ => return changes.lose(Loss::Media, "messages.content.file", at),
            }
        }
        "input_audio" => return changes.lose(Loss::Media, "messages.content.input_audio", at),
        _ => return changes.lose(Loss::Media, "messages.content.unknown", at),
    }
    if part.take("prompt_cache_breakpoint").is_some() {
        changes.lose(
            Loss::Hints,
            "messages.content.prompt_cache_breakpoint",
            format!("{at}.prompt_cache_breakpoint"),
        )?;
    }
    if part.has_rest() {
        changes.removed("messages.content.other");
    }
    Ok(())
}

/// The media type and the data of `data:…;base64,…`; both as they stand inside a JSON string. A server may write `/` as `\/`.
fn data_url(url: &[u8]) -> Option<(Escaped<'_>, Escaped<'_>)> {
    let rest = starts_with_scheme(url, b"data:").then(|| &url[5..])?;
    let comma = memchr::memchr(b',', rest)?;
    let media_type = rest[..comma].strip_suffix(b";base64")?;
    // Parameters such as a character set say nothing about an image.
    let media_type = media_type.split(|&b| b == b';').next().filter(|media_type| !media_type.is_empty())?;
    Some((plain(media_type), Cow::Borrowed(&rest[comma + 1..])))
}

fn starts_with_scheme(url: &[u8], scheme: &[u8]) -> bool {
    url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

fn plain(media_type: &[u8]) -> Escaped<'_> {
    if media_type.contains(&b'\\') {
        Cow::Owned(media_type.iter().copied().filter(|&b| b != b'\\').collect())
    } else {
        Cow::Borrowed(media_type)
    }
}
