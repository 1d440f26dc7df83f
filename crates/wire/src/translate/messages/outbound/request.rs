//! A chat request as a Messages request.

use super::content::Conversation;
use super::tools;
use crate::messages::{VERSION, VERSION_BEFORE};
use crate::openai::Refusal;
use crate::scan::Kind;
use crate::translate::messages::json::Json;
use crate::translate::messages::turn::{Image, Part, Role, Turn, texts, write_joined};
use crate::translate::messages::unreadable;
use crate::translate::messages::view::{Members, View};
use crate::translate::{Changes, Loss, Policy, Translated};

/// What a target that speaks Messages takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claude {
    /// Whether it takes `temperature`, `top_p` and `top_k`. Version 2026-10-21 of the API does not, nor do models from
    /// Claude 4.7 on in any version.
    pub sampling: bool,
    /// `max_tokens` of a request that names no bound: Messages must have one. An answer that reaches it ends with the finish
    /// reason `length`.
    pub max_tokens: u64,
}

impl Default for Claude {
    /// No sampling, and 8192 tokens: enough for what an application lets run without a bound, and every Claude gives as many.
    fn default() -> Claude {
        Claude { sampling: false, max_tokens: 8192 }
    }
}

impl Claude {
    /// The version to send as the header `anthropic-version`: the newest that takes what is translated.
    pub const fn version(&self) -> &'static str {
        if self.sampling { VERSION_BEFORE } else { VERSION }
    }
}

/// `body`, a chat request, as a Messages request for `target`. The table in [`crate::translate::messages`] says what
/// becomes of each field.
///
/// # Errors
///
/// A refusal that names the field: the body is no chat request, or `policy` refuses what the target cannot be told.
pub fn request(body: &[u8], policy: &Policy, target: &str, claude: &Claude) -> Result<Translated, Refusal> {
    let mut changes = Changes::new(policy, target);
    let mut top = Members::whole(body).map_err(unreadable)?;
    let mut json = Json::with_capacity(body.len() + 256);
    json.open(b'{');
    json.member("model", required(&mut top, "model")?.raw());
    let conversation = Conversation::read(required(&mut top, "messages")?, &mut changes)?;
    max_tokens(&mut json, &mut top, claude, &mut changes);
    if !conversation.system.is_empty() {
        json.key("system");
        write_parts(&mut json, &conversation.system);
    }
    json.key("messages");
    json.open(b'[');
    conversation.turns.iter().for_each(|turn| write_turn(&mut json, turn));
    json.close(b']');
    sampling(&mut json, &mut top, claude, &mut changes)?;
    tools::write(&mut json, &mut top, &mut changes)?;
    output(&mut json, &mut top, &mut changes)?;
    provider(&mut json, &mut top, &mut changes)?;
    if let Some(stream) = top.take("stream") {
        json.member("stream", stream.raw());
    }
    // What it asks for is done by `Stream`.
    top.take("stream_options");
    for (name, value) in top.rest().filter(|(_, value)| value.kind != Kind::Null) {
        json.member(&name, value.raw());
    }
    json.close(b'}');
    Ok(Translated { body: json.into_bytes().into(), changes: changes.finish() })
}

fn required<'a>(top: &mut Members<'a>, name: &'static str) -> Result<View<'a>, Refusal> {
    top.take(name).ok_or_else(|| Refusal::invalid_value(format!("`{name}` is required."), name))
}

fn max_tokens(json: &mut Json, top: &mut Members<'_>, claude: &Claude, changes: &mut Changes<'_>) {
    let older = top.take("max_tokens");
    match top.take("max_completion_tokens").or(older) {
        Some(bound) => json.member("max_tokens", bound.raw()),
        None => {
            json.member_number("max_tokens", claude.max_tokens);
            changes.added("max_tokens");
        }
    }
}

fn write_turn(json: &mut Json, turn: &Turn<'_>) {
    json.open(b'{');
    json.member_text("role", if turn.role == Role::Assistant { "assistant" } else { "user" });
    json.key("content");
    if turn.results.is_empty() && turn.calls.is_empty() {
        write_parts(json, &turn.parts);
        return json.close(b'}');
    }
    json.open(b'[');
    for result in &turn.results {
        json.open(b'{');
        json.member_text("type", "tool_result");
        json.member_escaped("tool_use_id", &[&result.id]);
        if !result.parts.is_empty() {
            json.key("content");
            write_parts(json, &result.parts);
        }
        json.close(b'}');
    }
    turn.parts.iter().for_each(|part| write_part(json, part));
    for call in &turn.calls {
        json.open(b'{');
        json.member_text("type", "tool_use");
        json.member_escaped("id", &[&call.id]);
        json.member_escaped("name", &[&call.name]);
        json.member("input", &call.input);
        json.close(b'}');
    }
    json.close(b']');
    json.close(b'}');
}

/// One text as a string, anything else as a list of blocks.
fn write_parts(json: &mut Json, parts: &[Part<'_>]) {
    if let [Part::Text(_)] = parts {
        return write_joined(json, texts(parts));
    }
    json.open(b'[');
    parts.iter().for_each(|part| write_part(json, part));
    json.close(b']');
}

fn write_part(json: &mut Json, part: &Part<'_>) {
    let base64 = |json: &mut Json, media_type: &[u8], data: &[u8]| {
        json.member_text("type", "base64");
        json.member_escaped("media_type", &[media_type]);
        json.member_escaped("data", &[data]);
    };
    json.open(b'{');
    match part {
        Part::Text(text) => {
            json.member_text("type", "text");
            json.member_escaped("text", &[text]);
        }
        Part::Image(image) => {
            json.member_text("type", "image");
            json.key("source");
            json.open(b'{');
            match image {
                Image::Base64 { media_type, data } => base64(json, media_type, data),
                Image::Url(url) => {
                    json.member_text("type", "url");
                    json.member_escaped("url", &[url]);
                }
            }
            json.close(b'}');
        }
        Part::Document(document) => {
            json.member_text("type", "document");
            json.key("source");
            json.open(b'{');
            base64(json, &document.media_type, &document.data);
            json.close(b'}');
            if let Some(name) = &document.name {
                json.member_escaped("title", &[name]);
            }
        }
    }
    json.close(b'}');
}

fn sampling(json: &mut Json, top: &mut Members<'_>, claude: &Claude, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    for name in ["temperature", "top_p", "top_k"] {
        let Some(value) = top.take(name) else { continue };
        match value.number() {
            // The scale of chat ends at 2, that of Messages at 1.
            Some(number) if claude.sampling && name == "temperature" && number > 1.0 => {
                json.member(name, b"1");
                changes.replaced(name);
            }
            _ if claude.sampling => json.member(name, value.raw()),
            // What both take when nothing is said.
            Some(number) if name != "top_k" && (number - 1.0).abs() < f64::EPSILON => changes.removed(name),
            _ => changes.lose(Loss::Sampling, name, name)?,
        }
    }
    if let Some(stop) = top.take("stop") {
        let sequences = match stop.kind {
            Kind::Array => stop.elements().map_err(unreadable)?,
            _ => vec![stop],
        };
        // Messages takes no sequence of white space.
        let (kept, lost): (Vec<View<'_>>, Vec<View<'_>>) =
            sequences.into_iter().partition(|sequence| sequence.text().is_some_and(|text| !text.trim().is_empty()));
        if !lost.is_empty() {
            changes.lose(Loss::OutputFormat, "stop", "stop")?;
        }
        if !kept.is_empty() {
            json.key("stop_sequences");
            json.open(b'[');
            kept.iter().for_each(|sequence| json.raw(sequence.raw()));
            json.close(b']');
            changes.renamed("stop");
        }
    }
    let asked = |value: &View<'_>, nothing: f64| value.number().is_none_or(|number| (number - nothing).abs() > 0.0);
    let losses: [(Loss, &'static str, f64); 6] = [
        (Loss::Choices, "n", 1.0),
        (Loss::Sampling, "frequency_penalty", 0.0),
        (Loss::Sampling, "presence_penalty", 0.0),
        (Loss::Sampling, "seed", f64::NAN),
        (Loss::LogProbabilities, "top_logprobs", 0.0),
        (Loss::Sampling, "repetition_penalty", 1.0),
    ];
    for (loss, name, nothing) in losses {
        if top.take(name).is_some_and(|value| nothing.is_nan() || asked(&value, nothing)) {
            changes.lose(loss, name, name)?;
        }
    }
    if top.take("logprobs").is_some_and(View::is_true) {
        changes.lose(Loss::LogProbabilities, "logprobs", "logprobs")?;
    }
    if top.take("logit_bias").is_some_and(|bias| bias.members().is_ok_and(|bias| bias.has_rest())) {
        changes.lose(Loss::LogitBias, "logit_bias", "logit_bias")?;
    }
    Ok(())
}

/// `response_format` and `reasoning_effort`.
fn output(json: &mut Json, top: &mut Members<'_>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let mut schema = None;
    if let Some(format) = top.take("response_format") {
        let mut format = format.members().map_err(unreadable)?;
        let kind = format.take("type").and_then(View::text).unwrap_or_default();
        match kind.as_ref() {
            "text" => {}
            "json_schema" => {
                schema = format.take("json_schema").and_then(|format| format.get("schema"));
                if schema.is_none() {
                    let field = "response_format.json_schema.schema";
                    return Err(Refusal::invalid_value(format!("`{field}` is required."), field));
                }
            }
            _ => changes.lose(Loss::OutputFormat, "response_format", "response_format")?,
        }
    }
    let mut effort = None;
    if let Some(asked) = top.take("reasoning_effort").and_then(View::text) {
        match asked.as_ref() {
            "none" => json.member("thinking", br#"{"type":"disabled"}"#),
            "minimal" => effort = Some("low".to_owned()),
            asked => effort = Some(asked.to_owned()),
        }
        changes.replaced("reasoning_effort");
    }
    if effort.is_none() && schema.is_none() {
        return Ok(());
    }
    json.key("output_config");
    json.open(b'{');
    if let Some(effort) = effort {
        json.member_text("effort", &effort);
    }
    if let Some(schema) = schema {
        json.key("format");
        json.open(b'{');
        json.member_text("type", "json_schema");
        json.member("schema", schema.raw());
        json.close(b'}');
    }
    json.close(b'}');
    Ok(())
}

/// What is meant for the provider, not for the model.
fn provider(json: &mut Json, top: &mut Members<'_>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let (safety, user) = (top.take("safety_identifier"), top.take("user"));
    if let Some(user) = safety.or(user) {
        json.key("metadata");
        json.open(b'{');
        json.member("user_id", user.raw());
        json.close(b'}');
        changes.renamed("user");
    }
    if let Some(tier) = top.take("service_tier").and_then(View::text) {
        match tier.as_ref() {
            "auto" => {}
            "default" => {
                json.member_text("service_tier", "standard_only");
                changes.replaced("service_tier");
            }
            _ => changes.lose(Loss::Hints, "service_tier", "service_tier")?,
        }
    }
    let spoken = |value: &View<'_>| value.elements().is_ok_and(|list| list.iter().any(|word| !word.is("text")));
    if top.take("modalities").is_some_and(|value| spoken(&value)) {
        changes.lose(Loss::Media, "modalities", "modalities")?;
    }
    // What it is used for is asked for by `modalities`.
    top.take("audio");
    if top.take("store").is_some_and(View::is_true) {
        changes.lose(Loss::Labels, "store", "store")?;
    }
    let losses = [
        (Loss::Labels, "metadata"),
        (Loss::Hints, "prediction"),
        (Loss::Hints, "prompt_cache_key"),
        (Loss::Hints, "prompt_cache_options"),
        (Loss::Hints, "prompt_cache_retention"),
        (Loss::Sampling, "verbosity"),
        (Loss::ServerTools, "web_search_options"),
        (Loss::Extras, "moderation"),
    ];
    for (loss, name) in losses {
        if top.take(name).is_some_and(|value| name == "web_search_options" || value.raw() != b"{}") {
            changes.lose(loss, name, name)?;
        }
    }
    Ok(())
}
