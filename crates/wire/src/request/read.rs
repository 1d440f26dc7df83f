//! Reading a request.

use std::ops::Range;

use super::{Field, RequestView, SystemMessage, Value, beyond, wrong_type};
use crate::openai::ResponseFormat;
use crate::record::Endpoint;
use crate::scan::cursor::{Array, Object};
use crate::scan::{self, Kind, ScanError};

/// The keys Crossfade reads at the top level. Each may come once: two readers of the same bytes must not disagree on
/// what was asked. Those from [`N_COMMON`] on are read only beyond chat completions and embeddings.
const KEYS: [&str; 23] = [
    "model",
    "stream",
    "stream_options",
    "user",
    "metadata",
    "messages",
    "input",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "tools",
    "response_format",
    "store",
    "functions",
    "prompt",
    "stream_format",
    "instructions",
    "previous_response_id",
    "conversation",
    "text",
    "max_output_tokens",
    "system",
    "output_config",
];

const N_COMMON: usize = 14;

/// The place of a key in [`KEYS`]. A `match` looks at the length first, so that most keys cost one comparison.
pub(super) fn known_key(endpoint: Endpoint, name: &[u8]) -> Option<usize> {
    let place = match name {
        b"model" => 0,
        b"stream" => 1,
        b"stream_options" => 2,
        b"user" => 3,
        b"metadata" => 4,
        b"messages" => 5,
        b"input" => 6,
        b"max_tokens" => 7,
        b"max_completion_tokens" => 8,
        b"n" => 9,
        b"tools" => 10,
        b"response_format" => 11,
        b"store" => 12,
        b"functions" => 13,
        b"prompt" => 14,
        b"stream_format" => 15,
        b"instructions" => 16,
        b"previous_response_id" => 17,
        b"conversation" => 18,
        b"text" => 19,
        b"max_output_tokens" => 20,
        b"system" => 21,
        b"output_config" => 22,
        _ => return None,
    };
    (place < keys_of(endpoint).len()).then_some(place)
}

pub(super) fn keys_of(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Embeddings => &KEYS[..N_COMMON],
        _ => &KEYS,
    }
}

/// Reads `body`, the body of a request to `endpoint`. An error says what is wrong for the caller to read, and which
/// field it is about.
pub fn parse(endpoint: Endpoint, body: &[u8]) -> Result<RequestView, ScanError> {
    parse_for(endpoint, body, None)
}

/// As [`parse`], when the path may have named the model: that counts, whatever the body says.
pub fn parse_for(endpoint: Endpoint, body: &[u8], in_path: Option<&str>) -> Result<RequestView, ScanError> {
    let mut view = RequestView::empty(endpoint);
    let mut has_model = false;
    let mut seen = 0_u32;
    let mut top = Object::open_top(body)?;
    while let Some(key) = top.next_key()? {
        let known = known_key(endpoint, &key.name);
        if known.is_none()
            && let Some(name) = look_alike(endpoint, &key.name)
        {
            let what = format!("a field is named like `{name}` but written differently");
            return Err(ScanError::new(key.range.start, what).about(name));
        }
        let start = top.at();
        let turns = known.and_then(|idx| conversation_key(endpoint).filter(|name| KEYS[idx] == *name));
        let (kind, value) = if let Some(name) = turns.filter(|_| scan::cursor::begins_with(body, start, b'[')) {
            let end = messages(body, (start, name), &mut view)?;
            top.resume(end);
            (Kind::Array, start..end)
        } else {
            top.skip()?
        };
        if let Some(idx) = known {
            if seen & 1 << idx != 0 {
                return Err(twice(key.range.start, KEYS[idx]));
            }
            seen |= 1 << idx;
            has_model |= KEYS[idx] == "model";
            if in_path.is_some() && KEYS[idx] == "model" && kind == Kind::Null {
                view.model_range = value.clone(); // LangChain says so beside a deployment
            } else {
                known_field(body, KEYS[idx], Value { range: value.clone(), kind }, &mut view)?;
            }
        }
        view.fields.push(Field { key: key.range, value, kind });
    }
    top.close_top()?;
    if let Some(model) = in_path {
        view.model = model.to_owned();
    } else if !has_model {
        match model_when_none_is_named(endpoint) {
            Some(model) => view.model = model.to_owned(),
            None => return Err(ScanError::new(0, "you must provide a `model`").about("model")),
        }
    }
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::CountTokens if view.messages.is_none() => {
            Err(ScanError::new(0, "you must provide `messages`").about("messages"))
        }
        Endpoint::Embeddings | Endpoint::Moderations | Endpoint::Speech if view.input.is_none() => {
            Err(ScanError::new(0, "you must provide an `input`").about("input"))
        }
        _ => Ok(view),
    }
}

/// The model the vendor takes where its description of the API lets the field be left out.
pub fn model_when_none_is_named(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::Moderations => Some("omni-moderation-latest"),
        Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::ImageVariations => Some("dall-e-2"),
        _ => None,
    }
}

/// The field whose elements are the turns of a conversation.
pub(super) const fn conversation_key(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::CountTokens => Some("messages"),
        Endpoint::Responses | Endpoint::InputTokens | Endpoint::Compaction => Some("input"),
        _ => None,
    }
}

/// The field Crossfade reads that a server written in Go would take `name` for: such servers ignore case, and take `ſ` for
/// `s` and the Kelvin sign for `k`. Left in, a second `Model` would undo the routing of the first.
fn look_alike(endpoint: Endpoint, name: &[u8]) -> Option<&'static str> {
    let alike = |name: &[u8]| keys_of(endpoint).iter().copied().find(|key| key.as_bytes().eq_ignore_ascii_case(name));
    if name.is_ascii() {
        return alike(name);
    }
    let folded = std::str::from_utf8(name).ok()?.replace('\u{17f}', "s").replace('\u{212a}', "k");
    alike(folded.as_bytes())
}

fn twice(at: usize, key: &'static str) -> ScanError {
    ScanError::new(at, format!("`{key}` is given twice")).about(key)
}

/// Takes the value of the top-level field `key`.
fn known_field(body: &[u8], key: &'static str, value: Value, view: &mut RequestView) -> Result<(), ScanError> {
    let at = value.range.start;
    let is = |expected: &str, kinds: &[Kind]| -> Result<bool, ScanError> {
        match value.kind {
            Kind::Null => Ok(false),
            kind if kinds.contains(&kind) => Ok(true),
            kind => Err(wrong_type(at, key, expected, kind)),
        }
    };
    match key {
        "model" if value.kind != Kind::String => return Err(wrong_type(at, key, "a string", value.kind)),
        "model" => {
            view.model = text(body, &value, key)?;
            view.model_range = value.range;
        }
        "stream" => view.stream = is("a boolean", &[Kind::True, Kind::False])? && value.kind == Kind::True,
        "store" => {
            view.store = is("a boolean", &[Kind::True, Kind::False])?.then_some(value.kind == Kind::True);
        }
        "stream_options" => {
            if is("an object", &[Kind::Object])? {
                view.include_usage = inside(body, &value.range, "include_usage", "stream_options.include_usage")?;
            }
            view.stream_options = Some(value);
        }
        "user" if is("a string", &[Kind::String])? => view.user = Some(text(body, &value, key)?),
        "metadata" if is("an object", &[Kind::Object])? => {
            let id = inside(body, &value.range, "conversation_id", "metadata.conversation_id")?;
            if let Some(id) = id.filter(|id| id.kind == Kind::String) {
                view.conversation_id = Some(text(body, &id, "metadata.conversation_id")?);
            }
            beyond::metadata(body, &value, view)?;
        }
        "messages" if conversation_key(view.endpoint) == Some(key) => {
            if value.kind != Kind::Array {
                return Err(wrong_type(at, key, "an array", value.kind));
            }
            if view.conversation_prefix.is_none() {
                view.conversation_prefix = Some(value.range.clone());
            }
            view.messages = Some(value.range);
        }
        "max_tokens" if is("a number", &[Kind::Number])? => view.max_tokens = scan::unsigned(&body[value.range]),
        "max_completion_tokens" if is("a number", &[Kind::Number])? => {
            view.max_completion_tokens = scan::unsigned(&body[value.range]);
        }
        "n" if is("a number", &[Kind::Number])? => view.n = scan::unsigned(&body[value.range]),
        "tools" if is("an array", &[Kind::Array])? => view.tools = Some(value.range),
        // Pictures and sound have a text under this name.
        "response_format" if view.endpoint == Endpoint::ChatCompletions && is("an object", &[Kind::Object])? => {
            let format = inside(body, &value.range, "type", "response_format.type")?;
            if let Some(format) = format {
                view.response_format = response_format(body, format)?;
            }
        }
        _ => return beyond::field(body, key, value, view),
    }
    Ok(())
}

pub(super) fn response_format(body: &[u8], kind: Value) -> Result<ResponseFormat, ScanError> {
    if kind.kind != Kind::String {
        return Ok(ResponseFormat::Text);
    }
    Ok(match scan::unescape(body, kind.range)?.as_ref() {
        "json_object" => ResponseFormat::JsonObject,
        "json_schema" => ResponseFormat::JsonSchema,
        _ => ResponseFormat::Text,
    })
}

pub(super) fn text(body: &[u8], value: &Value, param: &'static str) -> Result<String, ScanError> {
    scan::unescape(body, value.range.clone()).map(|text| text.into_owned()).map_err(|error| {
        ScanError::new(error.offset, format!("`{param}` is not a valid string: {}", error.what)).about(param)
    })
}

/// The member `key` of the object at `object`; `param` is its name in an error.
pub(super) fn inside(
    body: &[u8],
    object: &Range<usize>,
    key: &str,
    param: &'static str,
) -> Result<Option<Value>, ScanError> {
    let mut found: Option<Value> = None;
    let mut walk = Object::open(body, object.start)?;
    while let Some(member) = walk.next_key()? {
        let (kind, range) = walk.skip()?;
        if member.name.as_ref() == key.as_bytes() {
            if found.is_some() {
                return Err(twice(member.range.start, param));
            }
            found = Some(Value { range, kind });
        }
    }
    Ok(found)
}

/// Walks through the turns of the field `name`, which begin at `at`, and returns their end. Looks inside them up to the
/// first of a user.
fn messages(body: &[u8], (at, name): (usize, &'static str), view: &mut RequestView) -> Result<usize, ScanError> {
    let mut walk = Array::open(body, at)?;
    let mut user_seen = false;
    while walk.next_value()? {
        if user_seen {
            walk.skip()?;
            continue;
        }
        let start = walk.at();
        if !scan::cursor::begins_with(body, start, b'{') {
            let (kind, _) = walk.skip()?;
            return Err(wrong_type(start, name, "an array of objects", kind));
        }
        let message = message(body, start)?;
        walk.resume(message.end);
        match message.role {
            Role::User => {
                user_seen = true;
                view.conversation_prefix = Some(at..message.end);
            }
            Role::System if view.system.is_none() => {
                view.system = Some(SystemMessage { message: start..message.end, content: message.content });
            }
            Role::System | Role::Other => {}
        }
    }
    Ok(walk.at())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    User,
    System,
    Other,
}

struct Message {
    role: Role,
    content: Option<Value>,
    end: usize,
}

fn message(body: &[u8], at: usize) -> Result<Message, ScanError> {
    let mut walk = Object::open(body, at)?;
    let mut role = None;
    let mut content = None;
    while let Some(key) = walk.next_key()? {
        let (kind, range) = walk.skip()?;
        match key.name.as_ref() {
            b"role" if role.is_some() => return Err(twice(key.range.start, "messages.role")),
            b"role" if kind != Kind::String => return Err(wrong_type(range.start, "messages.role", "a string", kind)),
            b"role" => {
                role = Some(match text(body, &Value { range, kind }, "messages.role")?.as_str() {
                    "user" => Role::User,
                    "system" | "developer" => Role::System,
                    _ => Role::Other,
                });
            }
            b"content" if content.is_some() => return Err(twice(key.range.start, "messages.content")),
            b"content" => content = Some(Value { range, kind }),
            _ => {}
        }
    }
    Ok(Message { role: role.unwrap_or(Role::Other), content, end: walk.at() })
}
