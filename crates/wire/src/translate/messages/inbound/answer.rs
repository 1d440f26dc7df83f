//! A chat answer as a Messages answer.

use std::borrow::Cow;

use super::arguments;
use super::stop::{Stop, chat_tokens};
use crate::failure::{Failure, FailureKind};
use crate::messages::Tokens;
use crate::messages::thinking::SIGNATURE;
use crate::scan::Kind;
use crate::translate::Context;
use crate::translate::messages::json::Json;
use crate::translate::messages::turn::{Escaped, messages_id};
use crate::translate::messages::view::{Members, View};
use crate::translate::messages::{is_error, malformed};

/// What an answer needs to know of the request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The model's name as the caller wrote it, escaped.
    pub(super) model: Vec<u8>,
    /// Thinking was asked for and is to be shown. An application that did not ask looks for text in the first block.
    pub(super) thinking: bool,
}

impl Asked {
    /// Reads the caller's request, which was read before: what is wrong with it now was right then.
    pub(super) fn read(request: &[u8]) -> Asked {
        let mut top = match Members::whole(request) {
            Ok(top) => top,
            Err(_) => return Asked { model: Vec::new(), thinking: false },
        };
        let model = top.take_inner("model").unwrap_or_default().to_vec();
        let thinking = top.take("thinking").is_some_and(|thinking| {
            let is = |name: &str, text: &str| thinking.get(name).is_some_and(|value| value.is(text));
            !is("type", "disabled") && thinking.get("type").is_some() && !is("display", "omitted")
        });
        Asked { model, thinking }
    }
}

/// `body`, a whole chat answer, as a Messages answer.
///
/// # Errors
///
/// `malformed` when it is no chat answer or a call's arguments are no JSON object; `error_in_body` when it is an error.
pub fn answer(body: &[u8], context: &Context<'_>) -> Result<Vec<u8>, Failure> {
    let asked = Asked::read(context.request);
    let mut top = Members::whole(body).map_err(malformed)?;
    if is_error(&mut top) {
        return Err(Failure::new(FailureKind::ErrorInBody, "the answer is an error object"));
    }
    let choices = top.take("choices").ok_or_else(|| no_answer("no choices"))?.elements().map_err(malformed)?;
    let choice = choices.first().ok_or_else(|| no_answer("no choice"))?;
    let mut choice = choice.members().map_err(malformed)?;
    let mut message = choice.take("message").ok_or_else(|| no_answer("no message"))?.members().map_err(malformed)?;
    let finish = choice.take("finish_reason").and_then(View::text);
    let cut = matches!(finish.as_deref(), Some("length" | "content_filter"));

    let mut json = Json::with_capacity(body.len() + 256);
    json.open(b'{');
    json.member_escaped("id", &[b"msg_", context.id.as_bytes()]);
    json.member_text("type", "message");
    json.member_text("role", "assistant");
    json.member_escaped("model", &[&asked.model]);
    json.key("content");
    json.open(b'[');
    let reasoning = ["reasoning_content", "reasoning"].iter().find_map(|name| message.take_inner(name));
    if let Some(reasoning) = reasoning.filter(|reasoning| asked.thinking && !reasoning.is_empty()) {
        json.open(b'{');
        json.member_text("type", "thinking");
        json.member_escaped("thinking", &[reasoning]);
        json.member_text("signature", SIGNATURE);
        json.close(b'}');
    }
    let refusal = message.take_inner("refusal").filter(|refusal| !refusal.is_empty());
    let said = message.take("content").map(said).transpose()?.unwrap_or_default();
    let pieces: Vec<&[u8]> = said.iter().map(|piece| piece.as_ref()).chain(refusal).collect();
    if pieces.iter().any(|piece| !piece.is_empty()) {
        json.open(b'{');
        json.member_text("type", "text");
        json.member_escaped("text", &pieces);
        json.member("citations", b"null");
        json.close(b'}');
    }
    let calls = message.take("tool_calls").map(View::elements).transpose().map_err(malformed)?.unwrap_or_default();
    for (idx, call) in calls.iter().enumerate() {
        write_call(&mut json, *call, idx, cut, context)?;
    }
    json.close(b']');
    let matched = choice.take("stop_reason").or(choice.take("matched_stop")).and_then(View::inner);
    let stop = Stop::of(finish.as_deref(), matched, !calls.is_empty(), refusal.is_some());
    stop.ok_or_else(|| Failure::new(FailureKind::ErrorInBody, "the chat server gave up"))?.write(&mut json);
    let tokens = top.take("usage").map(chat_tokens).unwrap_or_default();
    json.key("usage");
    write_usage(&mut json, &tokens, Part::Message);
    json.close(b'}');
    Ok(json.into_bytes())
}

fn no_answer(what: &str) -> Failure {
    Failure::new(FailureKind::Malformed, format!("a chat answer with {what}"))
}

/// The texts of `content`, which some servers give as parts.
fn said(content: View<'_>) -> Result<Vec<Escaped<'_>>, Failure> {
    if let Some(text) = content.inner() {
        return Ok(vec![Cow::Borrowed(text)]);
    }
    if content.kind != Kind::Array {
        return Err(no_answer("content that is no text"));
    }
    let parts = content.elements().map_err(malformed)?;
    Ok(parts.iter().filter_map(|part| part.get("text")?.inner().map(Cow::Borrowed)).collect())
}

fn write_call(json: &mut Json, call: View<'_>, idx: usize, cut: bool, context: &Context<'_>) -> Result<(), Failure> {
    let mut call = call.members().map_err(malformed)?;
    let mut function =
        call.take("function").ok_or_else(|| no_answer("a call of no function"))?.members().map_err(malformed)?;
    let name = function.take_inner("name").ok_or_else(|| no_answer("a call without a name"))?;
    let arguments = match function.take("arguments") {
        None => Cow::Borrowed(""),
        // Some servers give the object itself.
        Some(arguments) if arguments.kind == Kind::Object => String::from_utf8_lossy(arguments.raw()),
        Some(arguments) => arguments.text().ok_or_else(|| no_answer("arguments that are no text"))?,
    };
    let input = arguments::object(&arguments, cut).ok_or_else(|| no_answer("arguments that are no JSON object"))?;
    json.open(b'{');
    json.member_text("type", "tool_use");
    json.member_escaped("id", &[&call_id(call.take_inner("id"), idx, context.id)]);
    json.member_escaped("name", &[name]);
    json.member("input", input.as_bytes());
    json.member("caller", CALLER);
    json.close(b'}');
    Ok(())
}

/// The id of a call in a form the dialect takes, or one made here when the server gave none.
pub(super) fn call_id<'a>(id: Option<&'a [u8]>, idx: usize, answer_id: &str) -> Escaped<'a> {
    match id.filter(|id| !id.is_empty()) {
        Some(id) => messages_id(id),
        None => Cow::Owned(format!("toolu_{answer_id}_{idx}").into_bytes()),
    }
}

/// Who makes a call: the model itself, not code that it runs at its provider.
pub(super) const CALLER: &[u8] = br#"{"type":"direct"}"#;

/// Where `usage` is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A whole message, or the beginning of one.
    Message,
    /// The end of a streamed one, which says less.
    Delta,
}

/// `usage`, with the cache apart from the rest of the prompt as the dialect counts. Every member that Anthropic's published
/// description requires is there, null where a chat server says nothing of the kind.
pub(super) fn write_usage(json: &mut Json, tokens: &Tokens, part: Part) {
    json.open(b'{');
    json.member_number("input_tokens", tokens.input.unwrap_or(0));
    json.member_number("cache_creation_input_tokens", tokens.cache_write.unwrap_or(0));
    json.member_number("cache_read_input_tokens", tokens.cache_read.unwrap_or(0));
    json.member_number("output_tokens", tokens.output.unwrap_or(0));
    if let Some(thinking) = tokens.thinking {
        json.key("output_tokens_details");
        json.open(b'{');
        json.member_number("thinking_tokens", thinking);
        json.close(b'}');
    } else {
        json.member("output_tokens_details", b"null");
    }
    json.member("server_tool_use", b"null");
    if part == Part::Message {
        for unknown in ["cache_creation", "inference_geo", "service_tier"] {
            json.member(unknown, b"null");
        }
    }
    json.close(b'}');
}
