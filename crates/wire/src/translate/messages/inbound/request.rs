//! A Messages request as a chat request.

use super::content;
use crate::openai::Refusal;
use crate::scan::Kind;
use crate::translate::messages::json::Json;
use crate::translate::messages::turn::{Image, Part, Role, Turn, texts, write_joined};
use crate::translate::messages::unreadable;
use crate::translate::messages::view::{Members, View};
use crate::translate::{Changes, Loss, Policy, Translated};

/// `body`, a Messages request, as a chat request for `target`. The table in [`crate::translate::messages`] says what
/// becomes of each field.
///
/// # Errors
///
/// A refusal that names the field: the body is no Messages request, or `policy` refuses what the target cannot be told.
pub fn request(body: &[u8], policy: &Policy, target: &str) -> Result<Translated, Refusal> {
    let mut changes = Changes::new(policy, target);
    let mut top = Members::whole(body).map_err(unreadable)?;
    let mut json = Json::with_capacity(body.len() + 256);
    json.open(b'{');
    json.member("model", required(&mut top, "model")?.raw());
    let system = top.take("system");
    let turns = content::turns(system, required(&mut top, "messages")?, &mut changes)?;
    write_turns(&mut json, &turns);
    sampling(&mut json, &mut top, &mut changes)?;
    tools(&mut json, &mut top, &mut changes)?;
    output(&mut json, &mut top, &mut changes)?;
    provider(&mut json, &mut top, &mut changes)?;
    for (name, value) in top.rest() {
        json.member(&name, value.raw());
    }
    json.close(b'}');
    Ok(Translated { body: json.into_bytes().into(), changes: changes.finish() })
}

fn required<'a>(top: &mut Members<'a>, name: &'static str) -> Result<View<'a>, Refusal> {
    top.take(name).ok_or_else(|| Refusal::invalid_value(format!("`{name}` is required."), name))
}

/// `messages`: a message for the system, for each side of each turn and for each result of a tool.
fn write_turns(json: &mut Json, turns: &[Turn<'_>]) {
    json.key("messages");
    json.open(b'[');
    for turn in turns {
        match turn.role {
            Role::System => message(json, "system", &turn.parts),
            Role::User => write_user(json, turn),
            Role::Assistant => write_assistant(json, turn),
        }
    }
    json.close(b']');
}

fn message(json: &mut Json, role: &str, parts: &[Part<'_>]) {
    json.open(b'{');
    json.member_text("role", role);
    json.key("content");
    write_parts(json, parts);
    json.close(b'}');
}

/// The results of tools come first. What they show besides text opens the user's message: a tool's message holds text only.
fn write_user(json: &mut Json, turn: &Turn<'_>) {
    let mut shown = Vec::new();
    for result in &turn.results {
        json.open(b'{');
        json.member_text("role", "tool");
        json.member_escaped("tool_call_id", &[&result.id]);
        json.key("content");
        if texts(&result.parts).next().is_some() || result.parts.is_empty() {
            let mut pieces: Vec<&[u8]> = vec![if result.is_error { b"Error: " } else { b"" }];
            for (idx, text) in texts(&result.parts).enumerate() {
                pieces.push(if idx > 0 { b"\\n" } else { b"" });
                pieces.push(text);
            }
            json.escaped(&pieces);
        } else {
            json.text("The result is shown in the next message.");
        }
        json.close(b'}');
        shown.extend(result.parts.iter().filter(|part| !matches!(part, Part::Text(_))).cloned());
    }
    shown.extend(turn.parts.iter().cloned());
    if !shown.is_empty() || turn.results.is_empty() {
        message(json, "user", &shown);
    }
}

/// What the model said is one text: its blocks are pieces of one flow, cut where citations or calls stood.
fn write_assistant(json: &mut Json, turn: &Turn<'_>) {
    json.open(b'{');
    json.member_text("role", "assistant");
    json.key("content");
    if turn.calls.is_empty() || !turn.parts.is_empty() {
        write_joined(json, texts(&turn.parts));
    } else {
        json.raw(b"null");
    }
    if !turn.calls.is_empty() {
        json.key("tool_calls");
        json.open(b'[');
        for call in &turn.calls {
            json.open(b'{');
            json.member_escaped("id", &[&call.id]);
            json.member_text("type", "function");
            json.key("function");
            json.open(b'{');
            json.member_escaped("name", &[&call.name]);
            json.key("arguments");
            json.quoted(&call.input);
            json.close(b'}');
            json.close(b'}');
        }
        json.close(b']');
    }
    json.close(b'}');
}

/// One text as a string, anything else as a list of parts.
fn write_parts(json: &mut Json, parts: &[Part<'_>]) {
    match parts {
        [] => return json.text(""),
        [Part::Text(text)] => return json.escaped(&[text]),
        _ => {}
    }
    json.open(b'[');
    for part in parts {
        json.open(b'{');
        match part {
            Part::Text(text) => {
                json.member_text("type", "text");
                json.member_escaped("text", &[text]);
            }
            Part::Image(image) => {
                json.member_text("type", "image_url");
                json.key("image_url");
                json.open(b'{');
                match image {
                    Image::Url(url) => json.member_escaped("url", &[url]),
                    Image::Base64 { media_type, data } => {
                        json.member_escaped("url", &[b"data:", media_type, b";base64,", data]);
                    }
                }
                json.close(b'}');
            }
            Part::Document(document) => {
                json.member_text("type", "file");
                json.key("file");
                json.open(b'{');
                json.member_escaped("filename", &[document.name.as_deref().unwrap_or(b"document.pdf")]);
                json.member_escaped("file_data", &[b"data:", &document.media_type, b";base64,", &document.data]);
                json.close(b'}');
            }
        }
        json.close(b'}');
    }
    json.close(b']');
}

fn sampling(json: &mut Json, top: &mut Members<'_>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let max_tokens = required(top, "max_tokens")?;
    if max_tokens.unsigned() == Some(0) {
        let message = "`max_tokens` is 0, which only fills a prompt cache; this model's server has none to fill.";
        return Err(Refusal::unsupported(message, "max_tokens"));
    }
    json.member("max_tokens", max_tokens.raw());
    for name in ["temperature", "top_p", "top_k"] {
        if let Some(value) = top.take(name) {
            json.member(name, value.raw());
        }
    }
    if let Some(stop) = top.take("stop_sequences")
        && !stop.elements().map_err(unreadable)?.is_empty()
    {
        json.member("stop", stop.raw());
        changes.renamed("stop_sequences");
    }
    if let Some(stream) = top.take("stream") {
        json.member("stream", stream.raw());
        if stream.is_true() {
            json.member("stream_options", br#"{"include_usage":true}"#);
        }
    }
    Ok(())
}

fn tools(json: &mut Json, top: &mut Members<'_>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let mut n_tools = 0;
    if let Some(tools) = top.take("tools") {
        let tools = tools.elements().map_err(unreadable)?;
        let mut list = Json::default();
        list.open(b'[');
        for (idx, value) in tools.into_iter().enumerate() {
            n_tools += usize::from(tool(&mut list, idx, value, changes)?);
        }
        list.close(b']');
        if n_tools > 0 {
            json.member("tools", &list.into_bytes());
        }
    }
    let Some(choice) = top.take("tool_choice") else { return Ok(()) };
    let mut choice = choice.members().map_err(unreadable)?;
    let kind = choice.take("type").and_then(View::text).unwrap_or_default();
    if n_tools == 0 {
        return Ok(());
    }
    match kind.as_ref() {
        "auto" | "none" => json.member_text("tool_choice", &kind),
        "any" => json.member_text("tool_choice", "required"),
        "tool" => {
            let name = choice.take_inner("name").ok_or_else(|| {
                Refusal::invalid_value("`tool_choice.name` is required with the type `tool`.", "tool_choice.name")
            })?;
            json.key("tool_choice");
            json.open(b'{');
            json.member_text("type", "function");
            json.key("function");
            json.open(b'{');
            json.member_escaped("name", &[name]);
            json.close(b'}');
            json.close(b'}');
        }
        _ => {
            let message = "`tool_choice.type` must be `auto`, `any`, `tool` or `none`.";
            return Err(Refusal::invalid_value(message, "tool_choice.type"));
        }
    }
    if choice.take("disable_parallel_tool_use").is_some_and(View::is_true) {
        json.member("parallel_tool_calls", b"false");
    }
    Ok(())
}

/// Writes one tool; false when it is one that only the provider has, and the policy says to go on without it.
fn tool(list: &mut Json, idx: usize, tool: View<'_>, changes: &mut Changes<'_>) -> Result<bool, Refusal> {
    let mut tool = tool.members().map_err(unreadable)?;
    if let Some(kind) = tool.take("type")
        && !kind.is("custom")
    {
        let kind = kind.text().unwrap_or_default();
        changes.lose(Loss::ServerTools, server_tool(&kind), format!("tools.{idx}"))?;
        return Ok(false);
    }
    let missing = |name: &str| {
        Refusal::invalid_value(format!("`tools.{idx}.{name}` is required."), format!("tools.{idx}.{name}"))
    };
    list.open(b'{');
    list.member_text("type", "function");
    list.key("function");
    list.open(b'{');
    list.member_escaped("name", &[tool.take_inner("name").ok_or_else(|| missing("name"))?]);
    if let Some(description) = tool.take("description") {
        list.member("description", description.raw());
    }
    list.member("parameters", tool.take("input_schema").ok_or_else(|| missing("input_schema"))?.raw());
    if let Some(strict) = tool.take("strict") {
        list.member("strict", strict.raw());
    }
    list.close(b'}');
    list.close(b'}');
    if tool.take("cache_control").is_some() {
        changes.lose(Loss::Hints, "cache_control", format!("tools.{idx}.cache_control"))?;
    }
    for name in ["defer_loading", "eager_input_streaming", "input_examples", "allowed_callers"] {
        if tool.take(name).is_some_and(|value| value.kind != Kind::False) {
            changes.lose(Loss::Hints, format!("tools.{name}"), format!("tools.{idx}.{name}"))?;
        }
    }
    if tool.has_rest() {
        changes.removed("tools.other");
    }
    Ok(true)
}

/// The metric label of a tool that only the provider has: its type without the date.
fn server_tool(kind: &str) -> &'static str {
    const LABELS: [(&str, &str); 10] = [
        ("web_search", "tools.web_search"),
        ("web_fetch", "tools.web_fetch"),
        ("code_execution", "tools.code_execution"),
        ("bash", "tools.bash"),
        ("text_editor", "tools.text_editor"),
        ("computer", "tools.computer"),
        ("browser", "tools.browser"),
        ("memory", "tools.memory"),
        ("tool_search", "tools.tool_search"),
        ("mcp", "tools.mcp"),
    ];
    LABELS.iter().find(|(prefix, _)| kind.starts_with(prefix)).map_or("tools.unknown", |(_, label)| label)
}

/// `output_config` and `thinking`.
fn output(json: &mut Json, top: &mut Members<'_>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    let mut effort = None;
    let mut format = top.take("output_format");
    if let Some(config) = top.take("output_config") {
        let mut config = config.members().map_err(unreadable)?;
        effort = config.take("effort");
        format = config.take("format").or(format);
        if config.has_rest() {
            changes.removed("output_config.other");
        }
    }
    if let Some(format) = format {
        let mut format = format.members().map_err(unreadable)?;
        let schema = format.take("schema").filter(|_| format.take("type").is_some_and(|kind| kind.is("json_schema")));
        let schema = schema.ok_or_else(|| {
            let message = "`output_config.format` must have the type `json_schema` and a `schema`.";
            Refusal::invalid_value(message, "output_config.format")
        })?;
        json.key("response_format");
        json.open(b'{');
        json.member_text("type", "json_schema");
        json.key("json_schema");
        json.open(b'{');
        json.member_text("name", "output");
        json.member("schema", schema.raw());
        json.member("strict", b"true");
        json.close(b'}');
        json.close(b'}');
    }
    if let Some(effort) = effort {
        json.member("reasoning_effort", effort.raw());
        changes.renamed("output_config.effort");
    }
    let Some(thinking) = top.take("thinking") else { return Ok(()) };
    let mut thinking = thinking.members().map_err(unreadable)?;
    let kind = thinking.take("type").and_then(View::text).unwrap_or_default();
    match (kind.as_ref(), thinking.take("budget_tokens").and_then(View::unsigned)) {
        ("enabled", Some(budget)) if effort.is_none() => {
            json.member_text("reasoning_effort", effort_for(budget));
            changes.replaced("thinking");
        }
        ("adaptive", None) => {}
        // A chat server that thinks cannot be told in one way not to; `answer` and `Stream` leave the thinking out.
        _ => changes.removed("thinking"),
    }
    Ok(())
}

/// The effort nearest to a budget of thinking. Nobody publishes what an effort is worth in tokens. 1024 is the least budget
/// there is, and Anthropic's own guide begins with 16 thousand for hard problems.
const fn effort_for(budget_tokens: u64) -> &'static str {
    match budget_tokens {
        0..=4095 => "low",
        4096..=15_999 => "medium",
        _ => "high",
    }
}

/// What is meant for the provider, not for the model.
fn provider(json: &mut Json, top: &mut Members<'_>, changes: &mut Changes<'_>) -> Result<(), Refusal> {
    if let Some(metadata) = top.take("metadata") {
        let mut metadata = metadata.members().map_err(unreadable)?;
        if let Some(user) = metadata.take("user_id") {
            json.member("user", user.raw());
            changes.renamed("metadata.user_id");
        }
        if metadata.has_rest() {
            changes.lose(Loss::Labels, "metadata", "metadata")?;
        }
    }
    if let Some(tier) = top.take("service_tier")
        && tier.is("standard_only")
    {
        json.member_text("service_tier", "default");
        changes.replaced("service_tier");
    }
    let losses = [
        (Loss::ServerTools, "mcp_servers"),
        (Loss::ServerState, "container"),
        (Loss::ContextManagement, "context_management"),
        (Loss::Region, "inference_geo"),
        (Loss::Hints, "cache_control"),
        (Loss::Hints, "speed"),
        (Loss::Labels, "user_profile_id"),
        (Loss::Extras, "diagnostics"),
    ];
    for (loss, name) in losses {
        if top.take(name).is_some_and(|value| !matches!(value.raw(), b"[]" | b"{}")) {
            changes.lose(loss, name, name)?;
        }
    }
    Ok(())
}
