//! The words of each template family. The forms are those of the families' published chat templates and model cards.

use serde_json::{Map, Value};

use super::{LeakedCall, call, json_prefix, named_call, python};

/// Whose words a leaked call is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Hermes, Qwen 2.5 and 3: JSON between `<tool_call>` tags; Qwen3-Coder and GLM write XML between them.
    Hermes,
    /// Llama 3 and 4: bare JSON with `parameters`, after `<|python_tag|>` or not; `<function=name>{…}</function>`; a list of
    /// Python calls.
    Llama,
    /// Mistral: `[TOOL_CALLS]` and a list of JSON objects, or a name and its JSON.
    Mistral,
    /// DeepSeek V3 and R1: marks with full-width bars, arguments in a JSON fence or bare.
    Deepseek,
    /// GPT-OSS: the Harmony format's commentary channel, with its special tokens or with them stripped.
    Harmony,
    /// Gemma: a Python call in a `tool_code` fence; FunctionGemma's `<start_function_call>`.
    Gemma,
    /// Granite and Phi: `<|tool_call|>`, or `functools`, and a list of JSON objects.
    Granite,
    /// Kimi K2: a section of calls with `functions.name:0` for an id.
    Kimi,
}

/// Words that begin a family's calls and no prose.
pub(super) const MARKS: [&str; 16] = [
    "<tool_call>",
    "<function=",
    "<|python_tag|>",
    "[TOOL_CALLS]",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<|channel|>commentary",
    "<|start|>assistant",
    "commentary to=functions.",
    "assistantcommentary",
    "```tool_code",
    "```tool_call",
    "<start_function_call>",
    "<|tool_call|>",
    "functools[",
    "<|tool_calls_section_begin|>",
];

/// Whether a text begins like a form without a mark, so that only its end tells what it is.
pub(super) fn begins_bare(text: &str) -> bool {
    let text = after_thought(text).trim_start();
    // A fence, or the beginning of one.
    let text = match text.strip_prefix("```json") {
        Some(inner) if inner.trim_start().is_empty() => return true,
        Some(inner) => inner.trim_start(),
        None if !text.is_empty() && "```json".starts_with(text) => return true,
        None => text,
    };
    match text.strip_prefix('[').map(str::trim_start) {
        Some("") => true,
        Some(list) => begins_object(list) || begins_python(list),
        None => begins_object(text),
    }
}

/// Whether an object begins whose first key is one of a call.
fn begins_object(text: &str) -> bool {
    const KEYS: [&str; 9] = ["name", "type", "function", "tool", "tool_name", "arguments", "parameters", "args", "id"];
    let Some(inside) = text.strip_prefix('{').map(str::trim_start) else { return false };
    let Some(key) = inside.strip_prefix('"') else { return inside.is_empty() };
    match key.split_once('"') {
        Some((key, _)) => KEYS.contains(&key),
        None => KEYS.iter().any(|known| known.starts_with(key)),
    }
}

/// Whether a Python call begins.
fn begins_python(text: &str) -> bool {
    let name = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
    name > 0 && !text.as_bytes()[0].is_ascii_digit() && matches!(text.as_bytes().get(name), None | Some(b'('))
}

type Calls = (usize, Vec<LeakedCall>);

impl Family {
    /// Every family, those with the clearest marks first.
    pub const ALL: [Family; 8] = [
        Family::Hermes,
        Family::Mistral,
        Family::Deepseek,
        Family::Harmony,
        Family::Granite,
        Family::Kimi,
        Family::Gemma,
        Family::Llama,
    ];

    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Family::Hermes => "hermes",
            Family::Llama => "llama",
            Family::Mistral => "mistral",
            Family::Deepseek => "deepseek",
            Family::Harmony => "harmony",
            Family::Gemma => "gemma",
            Family::Granite => "granite",
            Family::Kimi => "kimi",
        }
    }

    /// Where this family's words begin in `text`, and the calls they make. `None` when they are not there, not whole, or
    /// followed by anything else.
    pub(super) fn calls(self, text: &str) -> Option<Calls> {
        match self {
            Family::Hermes => hermes(text),
            Family::Llama => llama(text),
            Family::Mistral => mistral(text),
            Family::Deepseek => deepseek(text),
            Family::Harmony => harmony(text),
            Family::Gemma => gemma(text),
            Family::Granite => granite(text),
            Family::Kimi => kimi(text),
        }
    }
}

/// The first place of `mark` where it is not quoted as code, and what comes after it.
fn after_mark<'t>(text: &'t str, mark: &str) -> Option<(usize, &'t str)> {
    let at = text.find(mark)?;
    let quoted = text[..at].ends_with(['`', '"', '\'']);
    (!quoted).then(|| (at, &text[at + mark.len()..]))
}

/// What comes after the model's thoughts, when they are in the text.
fn after_thought(text: &str) -> &str {
    match text.trim_start().strip_prefix("<think>").and_then(|thought| thought.split_once("</think>")) {
        Some((_, answer)) => answer,
        None => text,
    }
}

fn start_of(text: &str, part: &str) -> usize {
    text.len() - part.len()
}

fn hermes(text: &str) -> Option<Calls> {
    let (at, mut rest) = after_mark(text, "<tool_call>")?;
    let mut calls = Vec::new();
    loop {
        let inner = rest.trim_start();
        let (made, after) = if inner.starts_with('{') {
            let (value, after) = json_prefix(inner)?;
            (named_call(&value)?, after)
        } else if let Some(function) = inner.strip_prefix("<function=") {
            coder_function(function)?
        } else {
            glm_call(inner)?
        };
        calls.push(made);
        let after = after.trim_start();
        // The last closing tag is lost when it is a stop word.
        let after = after.strip_prefix("</tool_call>").unwrap_or(after).trim_start();
        match after.strip_prefix("<tool_call>") {
            Some(next) => rest = next,
            None => return after.is_empty().then_some((at, calls)),
        }
    }
}

/// Qwen3-Coder: `name>` then `<parameter=key>value</parameter>` each, then `</function>`.
fn coder_function(text: &str) -> Option<(LeakedCall, &str)> {
    let (name, mut rest) = text.split_once('>')?;
    let mut arguments = Map::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("</function>") {
            return Some((call(name, &Value::Object(arguments))?, after));
        }
        let (key, after) = rest.strip_prefix("<parameter=")?.split_once('>')?;
        let (value, after) = after.split_once("</parameter>")?;
        arguments.insert(key.to_owned(), loose_value(value));
        rest = after;
    }
}

/// GLM: a name on its line, then `<arg_key>` and `<arg_value>` each.
fn glm_call(text: &str) -> Option<(LeakedCall, &str)> {
    let end = text.find(['\n', '<'])?;
    let name = text[..end].trim();
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return None;
    }
    let mut rest = text[end..].trim_start();
    let mut arguments = Map::new();
    while let Some(after) = rest.strip_prefix("<arg_key>") {
        let (key, after) = after.split_once("</arg_key>")?;
        let (value, after) = after.trim_start().strip_prefix("<arg_value>")?.split_once("</arg_value>")?;
        arguments.insert(key.to_owned(), loose_value(value));
        rest = after.trim_start();
    }
    rest.starts_with("</tool_call>").then_some(())?;
    Some((call(name, &Value::Object(arguments))?, rest))
}

/// A value between tags: JSON if it is that, else a text without the line breaks around it.
fn loose_value(text: &str) -> Value {
    let text = text.trim_matches('\n');
    serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::String(text.to_owned()))
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn llama(text: &str) -> Option<Calls> {
    if let Some((at, rest)) = after_mark(text, "<|python_tag|>") {
        let calls = json_calls(rest, ';').or_else(|| python::calls(rest.trim()))?;
        return Some((at, calls));
    }
    if let Some((at, rest)) = after_mark(text, "<function=") {
        return Some((at, llama_functions(rest)?));
    }
    let bare = after_thought(text).trim();
    let at = start_of(text, after_thought(text).trim_start());
    let fenced = bare.strip_prefix("```json").and_then(|rest| rest.strip_suffix("```")).map(str::trim);
    let bare = fenced.unwrap_or(bare);
    let calls = match bare.as_bytes().first()? {
        b'{' => json_calls(bare, ';')?,
        b'[' => json_list(bare).or_else(|| python::list(bare))?,
        _ => return None,
    };
    Some((at, calls))
}

/// `name>{…}</function>`, one after the other.
fn llama_functions(text: &str) -> Option<Vec<LeakedCall>> {
    let (mut rest, mut calls) = (text, Vec::new());
    loop {
        let (name, after) = rest.split_once('>')?;
        let (value, after) = json_prefix(after)?;
        calls.push(call(name, &value)?);
        let after = after.trim_start();
        let after = after.strip_prefix("</function>").unwrap_or(after).trim_start();
        match after.strip_prefix("<function=") {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(calls),
        }
    }
}

/// JSON objects with a name and arguments, `separator` between them, and nothing else.
fn json_calls(text: &str, separator: char) -> Option<Vec<LeakedCall>> {
    let (mut rest, mut calls) = (text.trim(), Vec::new());
    loop {
        let (value, after) = json_prefix(rest)?;
        calls.push(named_call(&value)?);
        let after = after.trim_start();
        if after.is_empty() {
            return Some(calls);
        }
        rest = after.strip_prefix(separator).unwrap_or(after).trim_start();
        if !rest.starts_with('{') {
            return None;
        }
    }
}

/// One JSON list of objects with a name and arguments, and nothing else.
fn json_list(text: &str) -> Option<Vec<LeakedCall>> {
    let (value, rest) = json_prefix(text.trim())?;
    rest.trim().is_empty().then_some(())?;
    value.as_array()?.iter().map(named_call).collect()
}

fn mistral(text: &str) -> Option<Calls> {
    let (at, rest) = after_mark(text, "[TOOL_CALLS]")?;
    let rest = rest.trim_start();
    if rest.starts_with('[') {
        return Some((at, json_list(rest)?));
    }
    let (mut rest, mut calls) = (rest, Vec::new());
    loop {
        let end = rest.bytes().position(|b| !is_name_byte(b))?;
        let (name, after) = rest.split_at(end);
        // Newer templates give each call an id.
        let after = match after.strip_prefix("[CALL_ID]") {
            Some(id) => &id[id.find("[ARGS]")?..],
            None => after,
        };
        let after = after.strip_prefix("[ARGS]").unwrap_or(after);
        let (value, after) = json_prefix(after)?;
        calls.push(call(name, &value)?);
        let after = after.trim_start();
        match after.strip_prefix("[TOOL_CALLS]") {
            Some(next) => rest = next.trim_start(),
            None => return after.is_empty().then_some((at, calls)),
        }
    }
}

fn deepseek(text: &str) -> Option<Calls> {
    const CALL: &str = "<｜tool▁call▁begin｜>";
    let (at, rest) = after_mark(text, "<｜tool▁calls▁begin｜>").or_else(|| {
        let (at, _) = after_mark(text, CALL)?;
        Some((at, &text[at..]))
    })?;
    let (mut rest, mut calls) = (rest.trim_start(), Vec::new());
    while let Some(inner) = rest.strip_prefix(CALL) {
        let (head, after) = inner.split_once("<｜tool▁sep｜>")?;
        let (name, arguments) = if head.trim() == "function" {
            let (name, fenced) = after.split_once('\n')?;
            (name.trim(), fenced.trim_start().strip_prefix("```json")?)
        } else {
            (head.trim(), after)
        };
        let (value, after) = json_prefix(arguments)?;
        calls.push(call(name, &value)?);
        let after = after.trim_start();
        let after = after.strip_prefix("```").unwrap_or(after).trim_start();
        rest = after.strip_prefix("<｜tool▁call▁end｜>").unwrap_or(after).trim_start();
    }
    let rest = rest.strip_prefix("<｜tool▁calls▁end｜>").unwrap_or(rest);
    (rest.trim().is_empty() && !calls.is_empty()).then_some((at, calls))
}

fn harmony(text: &str) -> Option<Calls> {
    const TO: &str = "to=functions.";
    /// What may stand between the recipient and its arguments.
    const BETWEEN: [&str; 6] = ["<|channel|>", "commentary", "<|constrain|>", "json", "code", "<|message|>"];
    /// What may stand before the recipient and belongs to its message.
    const BEFORE: [&str; 4] = ["commentary", "<|channel|>", "<|start|>assistant", "assistant"];
    let first = text.find(TO)?;
    let mut head = &text[..first];
    let channelled = BEFORE.iter().any(|word| head.trim_end().ends_with(word));
    while let Some(shorter) = BEFORE.iter().find_map(|word| head.trim_end().strip_suffix(word)) {
        head = shorter;
    }
    let (at, mut rest, mut calls) = (head.len(), &text[first..], Vec::new());
    while let Some(named) = rest.strip_prefix(TO) {
        let end = named.bytes().position(|b| !is_name_byte(b))?;
        let (name, mut after) = named.split_at(end);
        while let Some(next) = BETWEEN.iter().find_map(|word| after.trim_start().strip_prefix(word)) {
            after = next;
        }
        let (value, after) = json_prefix(after)?;
        calls.push(call(name, &value)?);
        let mut after = after.trim_start();
        after = after.strip_prefix("<|call|>").unwrap_or(after).trim_start();
        for word in ["<|start|>assistant", "assistant", "<|channel|>", "commentary"] {
            after = after.strip_prefix(word).unwrap_or(after).trim_start();
        }
        rest = after;
    }
    // The words of the channel must be there: prose may speak of `to=functions.x`.
    (channelled && rest.is_empty()).then_some((at, calls))
}

fn gemma(text: &str) -> Option<Calls> {
    if let Some((at, rest)) = after_mark(text, "<start_function_call>") {
        return Some((at, function_gemma(rest)?));
    }
    for (mark, is_code) in [("```tool_code", true), ("```tool_call", false)] {
        if let Some(at) = text.find(mark) {
            let inner = text[at + mark.len()..].trim();
            let inner = inner.strip_suffix("```")?.trim();
            let calls =
                if is_code { python::calls(inner)? } else { json_calls(inner, ';').or_else(|| json_list(inner))? };
            return Some((at, calls));
        }
    }
    None
}

/// `call:name{key:<escape>text<escape>,other:1}<end_function_call>`, one after the other.
fn function_gemma(text: &str) -> Option<Vec<LeakedCall>> {
    let (mut rest, mut calls) = (text, Vec::new());
    loop {
        let (name, after) = rest.trim_start().strip_prefix("call:")?.split_once('{')?;
        let mut arguments = Map::new();
        let mut after = after;
        while !after.starts_with('}') {
            let (key, value) = after.split_once(':')?;
            let (value, next) = match value.strip_prefix("<escape>") {
                Some(text) => text.split_once("<escape>").map(|(text, next)| (Value::from(text), next))?,
                None => {
                    let end = value.find([',', '}'])?;
                    (loose_value(&value[..end]), &value[end..])
                }
            };
            arguments.insert(key.trim().to_owned(), value);
            after = next.strip_prefix(',').unwrap_or(next);
        }
        calls.push(call(name, &Value::Object(arguments))?);
        let after = after[1..].trim_start();
        let after = after.strip_prefix("<end_function_call>").unwrap_or(after).trim_start();
        match after.strip_prefix("<start_function_call>") {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(calls),
        }
    }
}

fn granite(text: &str) -> Option<Calls> {
    if let Some((at, rest)) = after_mark(text, "<|tool_call|>") {
        let rest = rest.trim();
        return Some((at, json_list(rest.strip_suffix("<|/tool_call|>").unwrap_or(rest))?));
    }
    let (at, _) = after_mark(text, "functools[")?;
    Some((at, json_list(&text[at + "functools".len()..])?))
}

fn kimi(text: &str) -> Option<Calls> {
    let (at, rest) = after_mark(text, "<|tool_calls_section_begin|>")?;
    let (mut rest, mut calls) = (rest.trim_start(), Vec::new());
    while let Some(inner) = rest.strip_prefix("<|tool_call_begin|>") {
        let (id, arguments) = inner.split_once("<|tool_call_argument_begin|>")?;
        let name = id.trim().strip_prefix("functions.").unwrap_or(id.trim());
        let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
        let (value, after) = json_prefix(arguments)?;
        calls.push(call(name, &value)?);
        let after = after.trim_start();
        rest = after.strip_prefix("<|tool_call_end|>").unwrap_or(after).trim_start();
    }
    let rest = rest.strip_prefix("<|tool_calls_section_end|>").unwrap_or(rest);
    (rest.trim().is_empty() && !calls.is_empty()).then_some((at, calls))
}
