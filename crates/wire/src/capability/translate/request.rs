//! What a request uses, found on its bytes.

use bytes::Bytes;

use super::{CHAT_FIELDS, EMBEDDING_FIELDS, VENDOR_FIELDS};
use crate::capability::{Capability, Group};
use crate::openai::ResponseFormat;
use crate::record::Endpoint;
use crate::request::{Field, RequestView, Value};
use crate::scan::cursor::{Array, Object};
use crate::scan::{self, Kind, ScanError};
use crate::splice::{Edit, json_string};

/// A request that was read.
pub(in crate::capability) struct Asked<'a> {
    pub(in crate::capability) body: &'a [u8],
    pub(in crate::capability) view: &'a RequestView,
}

/// What a part of a message is.
#[derive(PartialEq, Eq)]
enum Part {
    Text,
    Image,
    Other,
}

/// A message, by place.
#[derive(Default)]
struct Message {
    role: Option<std::ops::Range<usize>>,
    content: Option<Value>,
    has_tool_calls: bool,
}

/// Fields that are numbers in the dialect and that the gateway does not read itself.
const NUMBERS: [&str; 6] = ["temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "top_logprobs"];

impl<'a> Asked<'a> {
    /// Whether the request uses `capability`. What every request uses, or only an answer shows, counts as used.
    pub(in crate::capability) fn uses(&self, capability: Capability) -> bool {
        use Capability as Can;
        let view = self.view;
        let is_embedding = view.endpoint == Endpoint::Embeddings;
        if capability.group() != Group::Errors && (capability.group() == Group::Embeddings) != is_embedding {
            return false;
        }
        let has = |name: &str| self.field(name).is_some();
        match capability {
            Can::MaxTokens => view.max_tokens.is_some(),
            Can::MaxCompletionTokens => view.max_completion_tokens.is_some(),
            Can::StopString => self.text("stop").is_some(),
            Can::StopArray => self.field("stop").is_some_and(|field| field.kind == Kind::Array),
            Can::N | Can::UsageN => view.n.is_some_and(|n| n > 1),
            Can::Logprobs => self.field("logprobs").is_some_and(|field| field.kind == Kind::True),
            Can::Seed | Can::LogitBias | Can::ReasoningEffort | Can::ParallelToolCalls | Can::Functions => {
                has(capability.field())
            }
            Can::Greedy => self.field("temperature").is_some_and(|field| is_zero(&self.body[field.value.clone()])),
            Can::VendorFields => VENDOR_FIELDS.iter().any(|name| has(name)),
            Can::UnknownFields => !self.unknown_fields().is_empty(),
            Can::WrongType => NUMBERS.iter().any(|name| self.field(name).is_some_and(|f| f.kind != Kind::Number)),
            Can::Stream | Can::StreamParity | Can::StreamDone | Can::StreamUsage | Can::StreamFinish => view.stream,
            Can::StreamOptions => view.stream_options.is_some(),
            Can::ToolsAuto | Can::ToolsFinishReason => view.tools.is_some(),
            Can::ToolsStream => view.tools.is_some() && view.stream,
            Can::ToolChoiceNamed => self.field("tool_choice").is_some_and(|field| field.kind == Kind::Object),
            Can::ToolChoiceRequired => self.text("tool_choice") == Some(b"\"required\""),
            Can::ToolChoiceNone => self.text("tool_choice") == Some(b"\"none\""),
            Can::ToolStrict => self.strict_members().is_ok_and(|members| !members.is_empty()),
            Can::JsonSchema => view.response_format == ResponseFormat::JsonSchema,
            Can::JsonObject => view.response_format == ResponseFormat::JsonObject,
            Can::DeveloperRole => self.any_message(|message| self.role(message) == Some(b"developer")),
            Can::ToolMessages => {
                self.any_message(|message| message.has_tool_calls || self.role(message) == Some(b"tool"))
            }
            Can::TextParts => self.any_message(|message| self.parts(message).is_some_and(|p| all_text(&p))),
            Can::ImagePart => self.any_message(|message| self.parts(message).is_some_and(|p| p.contains(&Part::Image))),
            Can::EmbeddingsBase64 => self.text("encoding_format") == Some(b"\"base64\""),
            Can::EmbeddingsDimensions => has("dimensions"),
            Can::EmbeddingsTokens => self.input_first() == Some(Kind::Number),
            Can::EmbeddingsBatch => self.input_first() == Some(Kind::String),
            _ => true,
        }
    }

    /// The first field called `name`, unless it is null.
    fn field(&self, name: &str) -> Option<&'a Field> {
        let found = self.view.named(self.body, name).next().map(|(idx, _)| idx)?;
        self.view.fields.get(found).filter(|field| field.kind != Kind::Null)
    }

    /// The text that is the field `name`, quotation marks included.
    pub(in crate::capability) fn text(&self, name: &str) -> Option<&'a [u8]> {
        let field = self.field(name).filter(|field| field.kind == Kind::String)?;
        self.body.get(field.value.clone())
    }

    /// The whole number that is the field `name`.
    pub(in crate::capability) fn number(&self, name: &str) -> Option<u64> {
        let field = self.field(name).filter(|field| field.kind == Kind::Number)?;
        scan::unsigned(&self.body[field.value.clone()])
    }

    /// The names of fields that the dialect does not have.
    pub(in crate::capability) fn unknown_fields(&self) -> Vec<String> {
        let known: &[&str] = if self.view.endpoint == Endpoint::Embeddings { &EMBEDDING_FIELDS } else { &CHAT_FIELDS };
        let names = self.view.fields.iter().filter_map(|field| scan::unescape(self.body, field.key.clone()).ok());
        names.filter(|name| !known.contains(&name.as_ref())).map(|name| name.into_owned()).collect()
    }

    /// Edits that make the role `developer` the role `system`.
    pub(in crate::capability) fn developer_roles(&self) -> Result<Vec<Edit>, ScanError> {
        let mut edits = Vec::new();
        self.each_message(|message| {
            if self.role(&message) == Some(b"developer")
                && let Some(role) = message.role
            {
                edits.push(Edit::new(role, Bytes::from_static(b"\"system\"")));
            }
        })?;
        Ok(edits)
    }

    /// Edits that make one text of content that is a list of texts; a line break between each two.
    pub(in crate::capability) fn joined_texts(&self) -> Result<Vec<Edit>, ScanError> {
        let mut edits = Vec::new();
        self.each_message(|message| {
            if self.parts(&message).is_some_and(|parts| all_text(&parts))
                && let Some(content) = message.content
                && let Ok(texts) = self.texts(content.range.start)
            {
                edits.push(Edit::new(content.range, json_string(&texts.join("\n"))));
            }
        })?;
        Ok(edits)
    }

    /// Edits that take `strict` out of the definitions of functions.
    pub(in crate::capability) fn strict_members(&self) -> Result<Vec<Edit>, ScanError> {
        let mut edits = Vec::new();
        let Some(tools) = self.view.tools.clone() else { return Ok(edits) };
        let mut walk = Array::open(self.body, tools.start)?;
        while walk.next_value()? {
            let (kind, tool) = walk.skip()?;
            if kind == Kind::Object
                && let Some((Kind::Object, function)) = member(self.body, tool.start, b"function")?
                && let Some(cut) = member_cut(self.body, function.start, b"strict")?
            {
                edits.push(Edit::new(cut, Bytes::new()));
            }
        }
        Ok(edits)
    }

    fn any_message(&self, mut holds: impl FnMut(&Message) -> bool) -> bool {
        let mut any = false;
        // A message that cannot be read uses nothing: its server will say what is wrong with it.
        let read = self.each_message(|message| any |= holds(&message));
        read.is_ok() && any
    }

    fn each_message(&self, mut visit: impl FnMut(Message)) -> Result<(), ScanError> {
        let Some(messages) = self.view.messages.clone() else { return Ok(()) };
        let mut walk = Array::open(self.body, messages.start)?;
        while walk.next_value()? {
            let mut message = Message::default();
            let mut members = Object::open(self.body, walk.at())?;
            while let Some(key) = members.next_key()? {
                let (kind, range) = members.skip()?;
                match (key.name.as_ref(), kind) {
                    (b"role", Kind::String) => message.role = Some(range),
                    (b"content", kind) => message.content = Some(Value { range, kind }),
                    (b"tool_calls", Kind::Array) => message.has_tool_calls = true,
                    _ => {}
                }
            }
            walk.resume(members.at());
            visit(message);
        }
        Ok(())
    }

    fn role(&self, message: &Message) -> Option<&'a [u8]> {
        let role = message.role.clone()?;
        self.body.get(role.start + 1..role.end - 1)
    }

    /// What the parts of a message's content are; `None` when it is no list.
    fn parts(&self, message: &Message) -> Option<Vec<Part>> {
        let content = message.content.as_ref().filter(|content| content.kind == Kind::Array)?;
        let mut parts = Vec::new();
        let mut walk = Array::open(self.body, content.range.start).ok()?;
        while walk.next_value().ok()? {
            let (kind, part) = walk.skip().ok()?;
            let what = if kind == Kind::Object { member(self.body, part.start, b"type").ok()? } else { None };
            parts.push(match what.map(|(_, range)| &self.body[range]) {
                Some(b"\"text\"") => Part::Text,
                Some(b"\"image_url\"") => Part::Image,
                _ => Part::Other,
            });
        }
        Some(parts)
    }

    fn texts(&self, at: usize) -> Result<Vec<String>, ScanError> {
        let mut texts = Vec::new();
        let mut walk = Array::open(self.body, at)?;
        while walk.next_value()? {
            let (_, part) = walk.skip()?;
            if let Some((Kind::String, text)) = member(self.body, part.start, b"text")? {
                texts.push(scan::unescape(self.body, text)?.into_owned());
            }
        }
        Ok(texts)
    }

    /// What the first element of `input` is, one level of lists below: a list of numbers and a list of lists of numbers are
    /// token ids.
    fn input_first(&self) -> Option<Kind> {
        let input = self.view.input.clone()?;
        let first = |at: usize| -> Option<(Kind, usize)> {
            let mut walk = Array::open(self.body, at).ok()?;
            if !walk.next_value().ok()? {
                return None;
            }
            let (kind, range) = walk.skip().ok()?;
            Some((kind, range.start))
        };
        match first(input.start)? {
            (Kind::Array, at) => first(at).map(|(kind, _)| kind),
            (kind, _) => Some(kind),
        }
    }
}

fn all_text(parts: &[Part]) -> bool {
    !parts.is_empty() && parts.iter().all(|part| *part == Part::Text)
}

/// Whether a JSON number is 0, however it is written.
fn is_zero(number: &[u8]) -> bool {
    let mantissa = number.split(|b| matches!(b, b'e' | b'E')).next().unwrap_or_default();
    mantissa.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-')
        && !mantissa.iter().any(|b| (b'1'..=b'9').contains(b))
}

/// The member `name` of the object at `at`; the first, if there are several.
fn member(body: &[u8], at: usize, name: &[u8]) -> Result<Option<(Kind, std::ops::Range<usize>)>, ScanError> {
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let value = walk.skip()?;
        if key.name.as_ref() == name {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// What to cut so that the object at `at` is without its member `name`, one comma included.
pub(in crate::capability) fn member_cut(
    body: &[u8],
    at: usize,
    name: &[u8],
) -> Result<Option<std::ops::Range<usize>>, ScanError> {
    let mut previous_end = None;
    let mut first_cut: Option<std::ops::Range<usize>> = None;
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        if let Some(cut) = first_cut {
            return Ok(Some(cut.start..key.range.start));
        }
        let (_, value) = walk.skip()?;
        if key.name.as_ref() == name {
            match previous_end {
                Some(end) => return Ok(Some(end..value.end)),
                None => first_cut = Some(key.range.start..value.end),
            }
        }
        previous_end = Some(value.end);
    }
    Ok(first_cut)
}
