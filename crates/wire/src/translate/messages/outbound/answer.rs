//! A Messages answer as a chat answer.

use crate::failure::{Failure, FailureKind};
use crate::messages::Tokens;
use crate::translate::Context;
use crate::translate::messages::json::Json;
use crate::translate::messages::view::{Members, View};
use crate::translate::messages::{is_error, malformed};

/// What an answer needs to know of the request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The model's name as the caller wrote it, escaped.
    pub(super) model: Vec<u8>,
    /// The caller wants the usage at the end of its stream.
    pub(super) usage: bool,
    /// The caller offered functions and no tools, and reads `function_call`.
    pub(super) functions: bool,
}

impl Asked {
    /// Reads the caller's request, which was read before: what is wrong with it now was right then.
    pub(super) fn read(request: &[u8]) -> Asked {
        let Ok(mut top) = Members::whole(request) else {
            return Asked { model: Vec::new(), usage: false, functions: false };
        };
        let model = top.take_inner("model").unwrap_or_default().to_vec();
        let usage = top.take("stream_options").and_then(|options| options.get("include_usage"));
        let (functions, tools) = (top.take("functions"), top.take("tools"));
        Asked { model, usage: usage.is_some_and(View::is_true), functions: functions.is_some() && tools.is_none() }
    }
}

/// `body`, a whole Messages answer, as a chat answer.
///
/// # Errors
///
/// `malformed` when it is no Messages answer; `error_in_body` when it is an error.
pub fn answer(body: &[u8], context: &Context<'_>) -> Result<Vec<u8>, Failure> {
    let asked = Asked::read(context.request);
    let mut top = Members::whole(body).map_err(malformed)?;
    if is_error(&mut top) {
        return Err(Failure::new(FailureKind::ErrorInBody, "the answer is an error object"));
    }
    let no_content = || Failure::new(FailureKind::Malformed, "a Messages answer without content");
    let blocks = top.take("content").ok_or_else(no_content)?.elements().map_err(malformed)?;
    let said = Said::read(&blocks)?;
    let stop = top.take("stop_reason").and_then(View::text);
    let tokens = top.take("usage").and_then(|usage| Tokens::read(usage.raw(), 0..usage.raw().len()));

    let mut json = Json::with_capacity(body.len() + 512);
    json.open(b'{');
    json.member_escaped("id", &[b"chatcmpl-", context.id.as_bytes()]);
    json.member_text("object", "chat.completion");
    json.member_number("created", context.created_s);
    json.member_escaped("model", &[&asked.model]);
    json.key("choices");
    json.open(b'[');
    json.open(b'{');
    json.member("index", b"0");
    json.key("message");
    said.write(&mut json, asked.functions)?;
    json.member("logprobs", b"null");
    json.member_text("finish_reason", finish_reason(stop.as_deref(), asked.functions));
    json.close(b'}');
    json.close(b']');
    json.key("usage");
    write_usage(&mut json, &tokens.unwrap_or_default());
    json.close(b'}');
    Ok(json.into_bytes())
}

/// What a chat message can hold of the blocks of an answer.
struct Said<'a> {
    thinking: Vec<&'a [u8]>,
    texts: Vec<&'a [u8]>,
    calls: Vec<Members<'a>>,
}

impl<'a> Said<'a> {
    fn read(blocks: &[View<'a>]) -> Result<Said<'a>, Failure> {
        let mut said = Said { thinking: Vec::new(), texts: Vec::new(), calls: Vec::new() };
        for block in blocks {
            let mut block = block.members().map_err(malformed)?;
            match block.take("type").and_then(View::text).as_deref() {
                Some("text") => said.texts.extend(block.take_inner("text")),
                Some("thinking") => said.thinking.extend(block.take_inner("thinking").filter(|text| !text.is_empty())),
                Some("tool_use") => said.calls.push(block),
                // Redacted thinking says nothing, and tools of the provider's were not offered.
                _ => {}
            }
        }
        Ok(said)
    }

    fn write(self, json: &mut Json, functions: bool) -> Result<(), Failure> {
        json.open(b'{');
        json.member_text("role", "assistant");
        json.key("content");
        if self.texts.is_empty() {
            json.raw(b"null");
        } else {
            json.escaped(&self.texts);
        }
        json.member("refusal", b"null");
        if !self.thinking.is_empty() {
            json.member_escaped("reasoning_content", &self.thinking);
        }
        let calls = self.calls.into_iter().map(Call::read).collect::<Result<Vec<_>, _>>()?;
        if functions {
            // There is room for one.
            if let Some(call) = calls.first() {
                json.key("function_call");
                call.write_function(json);
            }
        } else if !calls.is_empty() {
            json.key("tool_calls");
            json.open(b'[');
            for call in &calls {
                json.open(b'{');
                json.member_escaped("id", &[call.id]);
                json.member_text("type", "function");
                json.key("function");
                call.write_function(json);
                json.close(b'}');
            }
            json.close(b']');
        }
        json.close(b'}');
        Ok(())
    }
}

/// A `tool_use` block.
struct Call<'a> {
    id: &'a [u8],
    name: &'a [u8],
    input: View<'a>,
}

impl<'a> Call<'a> {
    fn read(mut block: Members<'a>) -> Result<Call<'a>, Failure> {
        let (id, name) = (block.take_inner("id"), block.take_inner("name"));
        match (id, name, block.take("input")) {
            (Some(id), Some(name), Some(input)) => Ok(Call { id, name, input }),
            _ => Err(Failure::new(FailureKind::Malformed, "a call without id, name or input")),
        }
    }

    fn write_function(&self, json: &mut Json) {
        json.open(b'{');
        json.member_escaped("name", &[self.name]);
        json.key("arguments");
        json.quoted(self.input.raw());
        json.close(b'}');
    }
}

/// `finish_reason` for a stop reason. An answer that paused is not finished, and one that refused was filtered: the SDKs
/// raise on both where a schema was asked for.
pub(super) fn finish_reason(stop: Option<&str>, functions: bool) -> &'static str {
    match stop {
        Some("tool_use") if functions => "function_call",
        Some("tool_use") => "tool_calls",
        Some("max_tokens" | "model_context_window_exceeded" | "pause_turn") => "length",
        Some("refusal") => "content_filter",
        _ => "stop",
    }
}

/// `usage`, in which the prompt is all of it.
pub(super) fn write_usage(json: &mut Json, tokens: &Tokens) {
    let (prompt, output) = (tokens.prompt(), tokens.output.unwrap_or(0));
    json.open(b'{');
    json.member_number("prompt_tokens", prompt);
    json.member_number("completion_tokens", output);
    json.member_number("total_tokens", prompt.saturating_add(output));
    json.key("prompt_tokens_details");
    json.open(b'{');
    json.member_number("cached_tokens", tokens.cache_read.unwrap_or(0));
    if let Some(written) = tokens.cache_write {
        json.member_number("cache_write_tokens", written);
    }
    json.close(b'}');
    json.key("completion_tokens_details");
    json.open(b'{');
    json.member_number("reasoning_tokens", tokens.thinking.unwrap_or(0));
    json.close(b'}');
    json.close(b'}');
}
