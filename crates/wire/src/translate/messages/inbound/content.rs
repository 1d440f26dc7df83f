//! The conversation of a Messages request, read into turns a chat server can be told.

use std::borrow::Cow;

use crate::openai::Refusal;
use crate::scan::Kind;
use crate::translate::messages::turn::{Call, Document, Escaped, Image, Part, Role, ToolResult, Turn};
use crate::translate::messages::unreadable;
use crate::translate::messages::view::{Members, View};
use crate::translate::{Changes, Loss};

/// The turns of a conversation, the system prompt first. Messages of one role in a row are one turn, as the API has it.
pub(super) fn turns<'a>(
    system: Option<View<'a>>,
    messages: View<'a>,
    changes: &mut Changes<'_>,
) -> Result<Vec<Turn<'a>>, Refusal> {
    let mut turns: Vec<Turn<'a>> = Vec::new();
    if let Some(system) = system {
        let mut turn = Turn::new(Role::System);
        content(&mut turn, system, "system", changes)?;
        turns.extend((!turn.parts.is_empty()).then_some(turn));
    }
    let messages = messages.elements().map_err(unreadable)?;
    if messages.is_empty() {
        return Err(Refusal::invalid_value("`messages` must hold at least one message.", "messages"));
    }
    for (idx, message) in messages.into_iter().enumerate() {
        let at = format!("messages.{idx}");
        let mut message = message.members().map_err(unreadable)?;
        let role = match message.take("role").and_then(View::text).as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => {
                let message = format!("`{at}.role` must be `user`, `assistant` or `system`.");
                return Err(Refusal::invalid_value(message, format!("{at}.role")));
            }
        };
        let at = format!("{at}.content");
        let blocks = message
            .take("content")
            .ok_or_else(|| Refusal::invalid_value(format!("`{at}` is required."), at.clone()))?;
        let mut turn = match turns.pop() {
            Some(before) if before.role == role => before,
            before => {
                turns.extend(before);
                Turn::new(role)
            }
        };
        content(&mut turn, blocks, &at, changes)?;
        turns.push(turn);
    }
    if turns.last().is_some_and(|last| last.role == Role::Assistant) {
        changes.lose(Loss::Prefill, "messages.prefill", "messages")?;
    }
    Ok(turns)
}

/// Reads a string or a list of blocks into `turn`.
fn content<'a>(turn: &mut Turn<'a>, content: View<'a>, at: &str, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    if let Some(text) = content.inner() {
        turn.parts.extend((!text.is_empty()).then_some(Part::Text(Cow::Borrowed(text))));
        return Ok(());
    }
    if content.kind != Kind::Array {
        return Err(Refusal::invalid_value(format!("`{at}` must be a string or a list of blocks."), at.to_owned()));
    }
    for (idx, block) in content.elements().map_err(unreadable)?.into_iter().enumerate() {
        let (kind, block) = Block::read(block, format!("{at}.{idx}"))?;
        match (kind.as_ref(), turn.role) {
            ("tool_use", Role::Assistant) => turn.calls.push(block.call(changes)?),
            ("tool_result", Role::User) => turn.results.push(block.result(changes)?),
            ("thinking", Role::Assistant) => changes.lose(Loss::Reasoning, "messages.content.thinking", block.at)?,
            ("redacted_thinking", Role::Assistant) => {
                changes.lose(Loss::EncryptedReasoning, "messages.content.redacted_thinking", block.at)?;
            }
            ("text", _) => block.text(&mut turn.parts, changes)?,
            (kind, Role::User) => block.shown(kind, &mut turn.parts, changes)?,
            (kind, _) => block.unknown(kind, changes)?,
        }
    }
    Ok(())
}

/// A block, its type taken out.
struct Block<'a> {
    members: Members<'a>,
    /// Where it is, as Anthropic's own errors say it: `messages.0.content.1`.
    at: String,
}

impl<'a> Block<'a> {
    fn read(block: View<'a>, at: String) -> Result<(Cow<'a, str>, Block<'a>), Refusal> {
        let mut members = block.members().map_err(unreadable)?;
        let kind = members.take("type").and_then(View::text).unwrap_or_default();
        Ok((kind, Block { members, at }))
    }

    fn needed(&mut self, name: &str) -> Result<View<'a>, Refusal> {
        self.members.take(name).ok_or_else(|| self.required(name))
    }

    /// What stands in the string `name`.
    fn needed_text(&mut self, name: &str) -> Result<&'a [u8], Refusal> {
        self.members.take_inner(name).ok_or_else(|| self.required(name))
    }

    fn required(&self, name: &str) -> Refusal {
        let field = format!("{}.{name}", self.at);
        Refusal::invalid_value(format!("`{field}` is required."), field)
    }

    /// Counts what is left of a block that was carried over.
    fn finish(mut self, changes: &mut Changes<'_>) -> Result<(), Refusal> {
        if self.members.take("cache_control").is_some() {
            changes.lose(Loss::Hints, "cache_control", format!("{}.cache_control", self.at))?;
        }
        if let Some(citations) = self.members.take("citations") {
            let asked = match citations.kind {
                Kind::Array => citations.raw() != b"[]",
                _ => citations.get("enabled").is_some_and(View::is_true),
            };
            if asked {
                changes.lose(Loss::Extras, "messages.content.citations", format!("{}.citations", self.at))?;
            }
        }
        if self.members.take("transformations").is_some_and(|value| value.raw() != b"{}") {
            changes.lose(Loss::Hints, "messages.content.transformations", format!("{}.transformations", self.at))?;
        }
        // Who called: the model itself, or a tool of the provider's, which is refused where it stands.
        self.members.take("caller");
        if self.members.has_rest() {
            changes.removed("messages.content.other");
        }
        Ok(())
    }

    fn text(mut self, parts: &mut Vec<Part<'a>>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
        let text = self.needed_text("text")?;
        parts.extend((!text.is_empty()).then_some(Part::Text(Cow::Borrowed(text))));
        self.finish(changes)
    }

    fn call(mut self, changes: &mut Changes<'_>) -> Result<Call<'a>, Refusal> {
        let (id, name) = (self.needed_text("id")?, self.needed_text("name")?);
        let input = self.needed("input")?;
        if input.kind != Kind::Object {
            let field = format!("{}.input", self.at);
            return Err(Refusal::invalid_value(format!("`{field}` must be an object."), field));
        }
        self.finish(changes)?;
        Ok(Call { id: Cow::Borrowed(id), name: Cow::Borrowed(name), input: Cow::Borrowed(input.raw()) })
    }

    fn result(mut self, changes: &mut Changes<'_>) -> Result<ToolResult<'a>, Refusal> {
        let id = Cow::Borrowed(self.needed_text("tool_use_id")?);
        let is_error = self.members.take("is_error").is_some_and(View::is_true);
        let mut parts = Vec::new();
        match self.members.take("content") {
            None => {}
            Some(content) if content.kind == Kind::String => {
                parts.extend(content.inner().map(|text| Part::Text(Cow::Borrowed(text))));
            }
            Some(content) => {
                for (idx, block) in content.elements().map_err(unreadable)?.into_iter().enumerate() {
                    let (kind, block) = Block::read(block, format!("{}.content.{idx}", self.at))?;
                    match kind.as_ref() {
                        "text" => block.text(&mut parts, changes)?,
                        kind => block.shown(kind, &mut parts, changes)?,
                    }
                }
            }
        }
        if is_error {
            changes.replaced("messages.content.is_error");
        }
        if parts.iter().any(|part| !matches!(part, Part::Text(_))) {
            changes.replaced("messages.content.tool_result.media");
        }
        self.finish(changes)?;
        Ok(ToolResult { id, parts, is_error })
    }

    /// What a user or a tool can show.
    fn shown(mut self, kind: &str, parts: &mut Vec<Part<'a>>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
        match kind {
            "image" => {
                let mut source = self.needed("source")?.members().map_err(unreadable)?;
                let image = match source.take("type").and_then(View::text).as_deref() {
                    Some("base64") => {
                        source.take_inner("media_type").zip(source.take_inner("data")).map(|(media_type, data)| {
                            Image::Base64 { media_type: Cow::Borrowed(media_type), data: Cow::Borrowed(data) }
                        })
                    }
                    Some("url") => source.take_inner("url").map(|url| Image::Url(Cow::Borrowed(url))),
                    Some("file") => {
                        return changes.lose(Loss::FileReference, "messages.content.image.file", self.at);
                    }
                    _ => None,
                };
                parts.push(Part::Image(image.ok_or_else(|| self.required("source"))?));
            }
            "document" => {
                if !self.document(parts, changes)? {
                    return Ok(());
                }
            }
            "search_result" => {
                let (title, source) = (self.needed_text("title")?, self.needed_text("source")?);
                let mut text = [title, b"\\n", source].concat();
                for block in self.needed("content")?.elements().map_err(unreadable)? {
                    text.extend_from_slice(b"\\n\\n");
                    text.extend_from_slice(block.get("text").and_then(View::inner).unwrap_or_default());
                }
                parts.push(Part::Text(Cow::Owned(text)));
                changes.replaced("messages.content.search_result");
            }
            kind => return self.unknown(kind, changes),
        }
        self.finish(changes)
    }

    /// False when it cannot be carried over and the policy says to go on without it.
    fn document(&mut self, parts: &mut Vec<Part<'a>>, changes: &mut Changes<'_>) -> Result<bool, Refusal> {
        let mut source = self.needed("source")?.members().map_err(unreadable)?;
        let title = self.members.take_inner("title").filter(|title| !title.is_empty());
        let context = self.members.take_inner("context").filter(|context| !context.is_empty());
        let heading = [title, context].into_iter().flatten().map(Escaped::Borrowed).map(Part::Text);
        let kind = source.take("type").and_then(View::text).unwrap_or_default();
        match kind.as_ref() {
            "text" => {
                let text = source.take_inner("data").ok_or_else(|| self.required("source.data"))?;
                parts.extend(heading);
                parts.push(Part::Text(Cow::Borrowed(text)));
                changes.replaced("messages.content.document");
            }
            "base64" => {
                let data = source.take_inner("media_type").zip(source.take_inner("data"));
                let (media_type, data) = data.ok_or_else(|| self.required("source.data"))?;
                parts.extend(context.map(Escaped::Borrowed).map(Part::Text));
                parts.push(Part::Document(Document {
                    name: title.map(Cow::Borrowed),
                    media_type: Cow::Borrowed(media_type),
                    data: Cow::Borrowed(data),
                }));
            }
            "content" => {
                let mut shown = Turn::new(Role::User);
                let inside = source.take("content").ok_or_else(|| self.required("source.content"))?;
                content(&mut shown, inside, &format!("{}.source.content", self.at), changes)?;
                parts.extend(heading);
                parts.append(&mut shown.parts);
                changes.replaced("messages.content.document");
            }
            "file" => {
                changes.lose(Loss::FileReference, "messages.content.document.file", self.at.clone())?;
                return Ok(false);
            }
            _ => {
                changes.lose(Loss::Media, "messages.content.document.url", self.at.clone())?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A block of a type that a chat server has no word for.
    fn unknown(self, kind: &str, changes: &mut Changes<'_>) -> Result<(), Refusal> {
        let (loss, field) = match kind {
            "server_tool_use" | "mcp_tool_use" => (Loss::ServerTools, "messages.content.server_tool_use"),
            "container_upload" => (Loss::ServerState, "messages.content.container_upload"),
            "tool_reference" | "browser_state" => (Loss::ToolFormat, "messages.content.tool_reference"),
            kind if kind.ends_with("_tool_result") => (Loss::ServerTools, "messages.content.server_tool_result"),
            "image" | "document" => (Loss::Media, "messages.content.media"),
            _ => (Loss::Media, "messages.content.unknown"),
        };
        changes.lose(loss, field, self.at)
    }
}
