//! The request: Responses to chat completions.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::json::{self, Object, Writer};
use super::super::{Changes, Loss, Policy, Translated};
use super::items::{self, Message};
use super::{tools, wrong};
use crate::openai::Refusal;

/// The request in the chat dialect; the model name stays what it was. `target` is who the changes are counted for.
///
/// Refused are a request that cannot be read, and what cannot be carried over when `policy` says so.
pub fn request(body: &[u8], policy: &Policy, target: &str) -> Result<Translated, Refusal> {
    let mut fields = Object::of_request(body)?;
    let mut changes = Changes::new(policy, target);
    let mut out = Writer::with_capacity(body.len() + 128);
    if let Some(model) = fields.take("model") {
        out.raw("model", model.get());
    }
    refuse_what_only_a_provider_has(&mut fields, &mut changes)?;
    out.member("messages", &conversation(&mut fields, &mut changes)?);
    tools_and_choice(&mut fields, &mut out, &mut changes)?;
    text(fields.take("text"), &mut out, &mut changes)?;
    reasoning(fields.take("reasoning"), &mut out, &mut changes)?;
    log_probabilities(&mut fields, &mut out, &mut changes)?;
    stream(&mut fields, &mut out, &mut changes)?;
    if let Some(limit) = fields.take("max_output_tokens") {
        out.raw("max_completion_tokens", limit.get());
        changes.renamed("max_output_tokens");
    }
    // What has the same name and meaning in both dialects, and what no dialect knows.
    for (key, value) in fields.iter().filter(|(_, value)| !json::is_null(value)) {
        out.raw(key, value.get());
    }
    Ok(Translated { body: Bytes::from(out.finish()), changes: changes.finish() })
}

/// Fields for which a chat server has no counterpart at all.
fn refuse_what_only_a_provider_has(fields: &mut Object<'_>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    const FIELDS: [(&str, Loss); 9] = [
        ("previous_response_id", Loss::ServerState),
        ("conversation", Loss::ServerState),
        ("background", Loss::Background),
        ("prompt", Loss::PromptTemplate),
        ("context_management", Loss::ContextManagement),
        ("truncation", Loss::ContextManagement),
        // A chat server takes it only together with `store`, which keeps the exchange at the provider.
        ("metadata", Loss::Labels),
        ("access_programs", Loss::Labels),
        ("image", Loss::Hints),
    ];
    for (name, loss) in FIELDS {
        let says_nothing = |value: &RawValue| matches!(value.get(), "false" | r#""disabled""#);
        if fields.take(name).is_some_and(|value| !says_nothing(value)) {
            changes.lose(loss, name, name)?;
        }
    }
    // Whoever calls keeps the response. The limit is on calls of the provider's own tools, of which there are none.
    for name in ["store", "max_tool_calls"] {
        if fields.take(name).is_some() {
            changes.removed(name);
        }
    }
    Ok(())
}

fn conversation<'a>(fields: &mut Object<'a>, changes: &mut Changes<'_>) -> Result<Vec<Message<'a>>, Refusal> {
    let mut messages = Vec::new();
    match fields.take("instructions") {
        Some(text) if json::is_text(text) => messages.push(Message::instructions(text)),
        Some(_) => return Err(wrong("instructions", "a string")),
        None => {}
    }
    if let Some(input) = fields.take("input") {
        items::messages(input, &mut messages, changes)?;
    }
    if messages.is_empty() {
        return Err(Refusal::invalid_value("`input` is missing or empty.", "input"));
    }
    Ok(messages)
}

fn tools_and_choice(fields: &mut Object<'_>, out: &mut Writer, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let tools = tools::tools(fields.take("tools"), fields.take("tool_choice"), changes)?;
    if let Some(choice) = &tools.choice {
        out.raw("tool_choice", choice);
    }
    if !tools.list.is_empty() {
        out.member("tools", &tools.list);
    } else if fields.take("parallel_tool_calls").is_some() {
        // Without tools a chat server refuses the field.
        changes.removed("parallel_tool_calls");
    }
    Ok(())
}

/// `text.format` and `text.verbosity`.
fn text(text: Option<&RawValue>, out: &mut Writer, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let Some(text) = text else { return Ok(()) };
    let mut text = json::object(text).ok_or_else(|| wrong("text", "an object"))?;
    if let Some(format) = text.take("format") {
        let mut format = json::object(format).ok_or_else(|| wrong("text.format", "an object"))?;
        match format.text("type").as_deref() {
            Some("text") => {}
            Some("json_schema") => {
                format.take("type");
                let mut schema = Writer::with_capacity(256);
                let members = format.iter().filter(|(_, value)| !json::is_null(value));
                members.for_each(|(key, value)| schema.raw(key, value.get()));
                let mut response_format = Writer::with_capacity(256);
                response_format.member("type", "json_schema");
                response_format.raw("json_schema", &schema.finish());
                out.raw("response_format", &response_format.finish());
            }
            Some("json_object") => out.raw("response_format", r#"{"type":"json_object"}"#),
            _ => changes.lose(Loss::OutputFormat, "text.format", "text.format")?,
        }
    }
    if let Some(verbosity) = text.take("verbosity") {
        out.raw("verbosity", verbosity.get());
        changes.renamed("text.verbosity");
    }
    Ok(())
}

/// `reasoning.effort`. A chat server writes no summary; the reasoning itself is shown in its place.
fn reasoning(reasoning: Option<&RawValue>, out: &mut Writer, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let Some(reasoning) = reasoning else { return Ok(()) };
    let mut reasoning = json::object(reasoning).ok_or_else(|| wrong("reasoning", "an object"))?;
    if let Some(effort) = reasoning.take("effort") {
        out.raw("reasoning_effort", effort.get());
        changes.renamed("reasoning.effort");
    }
    for (name, field) in [("summary", "reasoning.summary"), ("generate_summary", "reasoning.generate_summary")] {
        if reasoning.take(name).is_some() {
            changes.replaced(field);
        }
    }
    for (name, field) in [("context", "reasoning.context"), ("mode", "reasoning.mode")] {
        if reasoning.take(name).is_some() {
            changes.lose(Loss::Extras, field, field)?;
        }
    }
    Ok(())
}

/// `include` and `top_logprobs`.
fn log_probabilities(fields: &mut Object<'_>, out: &mut Writer, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let top = fields.take("top_logprobs").filter(|top| top.get() != "0");
    let mut wanted = top.is_some();
    if let Some(include) = fields.take("include") {
        let include = json::elements(include).ok_or_else(|| wrong("include", "an array"))?;
        for (idx, addition) in include.into_iter().enumerate() {
            if json::text(addition).as_deref() == Some("message.output_text.logprobs") {
                wanted = true;
            } else {
                changes.lose(Loss::Extras, "include", format!("include[{idx}]"))?;
            }
        }
    }
    if wanted {
        out.member("logprobs", &true);
    }
    if let Some(top) = top {
        out.raw("top_logprobs", top.get());
    }
    Ok(())
}

/// A stream ends with its usage, because a response shows it.
fn stream(fields: &mut Object<'_>, out: &mut Writer, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let stream = fields.take("stream");
    if fields.take("stream_options").is_some() {
        changes.lose(Loss::Extras, "stream_options", "stream_options")?;
    }
    match stream {
        Some(value) if json::is_true(value) => {
            out.member("stream", &true);
            out.raw("stream_options", r#"{"include_usage":true}"#);
        }
        Some(value) => out.raw("stream", value.get()),
        None => {}
    }
    Ok(())
}
