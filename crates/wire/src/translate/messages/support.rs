//! What the tests of both directions share: running a translator over bytes, and folding what it sends into one answer, as
//! strictly as the dialect is described.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{inbound, outbound};
use crate::failure::Failure;
use crate::openai::ErrorBody;
use crate::sse::{Decoder, Event};
use crate::translate::{Context, Fate, Loss, Policy, Translated};

pub(super) const CONTEXT: Context<'static> = Context { id: "01abc", created_s: 1_700_000_000, request: b"" };

pub(super) trait Translator {
    fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure>;
    fn end(&mut self) -> Result<Vec<u8>, Failure>;
    fn fail(&mut self, body: &ErrorBody) -> Vec<u8>;
}

macro_rules! translator {
    ($stream:ty) => {
        impl Translator for $stream {
            fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure> {
                <$stream>::event(self, event)
            }
            fn end(&mut self) -> Result<Vec<u8>, Failure> {
                <$stream>::end(self)
            }
            fn fail(&mut self, body: &ErrorBody) -> Vec<u8> {
                <$stream>::fail(self, body)
            }
        }
    };
}
translator!(inbound::Stream);
translator!(outbound::Stream);

/// What the caller gets for `sse`, cut at `cuts`; a failure is told as the gateway tells it.
pub(super) fn run(translator: &mut impl Translator, sse: &[u8], cuts: &[usize]) -> (Vec<u8>, Option<Failure>) {
    let mut out = Vec::new();
    let failure = translate(translator, sse, cuts, &mut out).err();
    if let Some(failure) = &failure {
        out.extend(translator.fail(&crate::openai::Refusal::of(failure).body));
    }
    (out, failure)
}

fn translate(translator: &mut impl Translator, sse: &[u8], cuts: &[usize], out: &mut Vec<u8>) -> Result<(), Failure> {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    let mut at = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (sse.len() + 1)).chain([sse.len()]).collect();
    ends.sort_unstable();
    for end in ends {
        decoder.push(Bytes::copy_from_slice(&sse[at..end]), &mut events).unwrap();
        at = end;
        for event in events.drain(..) {
            out.extend(translator.event(&event)?);
        }
    }
    if let Some(event) = decoder.finish().event {
        out.extend(translator.event(&event)?);
    }
    out.extend(translator.end()?);
    Ok(())
}

/// The name and the data of each event of `sse`.
pub(super) fn events(sse: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(sse).unwrap();
    let field =
        |event: &str, name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    text.split("\n\n").filter(|event| !event.is_empty()).map(|e| (field(e, "event: "), field(e, "data: "))).collect()
}

/// Folds a Messages stream into its message. Every rule of the dialect that is broken is a panic.
pub(super) fn fold_messages(sse: &[u8]) -> Value {
    let mut message = Value::Null;
    let mut open: Option<(usize, String)> = None;
    let (mut has_delta, mut stopped) = (false, false);
    for (name, data) in events(sse) {
        assert!(!stopped, "something follows the end: {data}");
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(data["type"], name.as_str());
        if name == "message_start" {
            assert!(message.is_null(), "a second beginning");
            message = data["message"].clone();
            continue;
        }
        if name == "error" {
            return json!({ "error": data["error"] });
        }
        assert!(!message.is_null(), "{name} before the beginning");
        let index = data["index"].as_u64().map(|index| usize::try_from(index).unwrap());
        let content = message["content"].as_array_mut().unwrap();
        match name.as_str() {
            "content_block_start" => {
                assert!(open.is_none() && !has_delta, "a block begins inside another");
                assert_eq!(index, Some(content.len()));
                content.push(data["content_block"].clone());
                open = Some((content.len() - 1, String::new()));
            }
            "content_block_delta" => {
                let (at, pieces) = open.as_mut().unwrap();
                assert_eq!(index, Some(*at));
                let (delta, block) = (&data["delta"], &mut content[*at]);
                let (kind, field) = match delta["type"].as_str().unwrap() {
                    "text_delta" => ("text", "text"),
                    "thinking_delta" => ("thinking", "thinking"),
                    "signature_delta" => ("thinking", "signature"),
                    "input_json_delta" => {
                        assert_eq!(block["type"], "tool_use");
                        pieces.push_str(delta["partial_json"].as_str().unwrap());
                        continue;
                    }
                    other => panic!("{other}"),
                };
                assert_eq!(block["type"], kind);
                let text = [block[field].as_str().unwrap(), delta[field].as_str().unwrap()].concat();
                block[field] = Value::from(text);
            }
            "content_block_stop" => {
                let (at, pieces) = open.take().unwrap();
                assert_eq!(index, Some(at));
                if !pieces.is_empty() {
                    content[at]["input"] = serde_json::from_str(&pieces).unwrap();
                }
            }
            "message_delta" => {
                assert!(open.is_none() && !has_delta);
                has_delta = true;
                for (key, value) in data["delta"].as_object().unwrap().iter().chain(data["usage"].as_object().unwrap())
                {
                    let is_usage = data["usage"].get(key).is_some();
                    let place = if is_usage { &mut message["usage"] } else { &mut message };
                    place[key] = value.clone();
                }
            }
            "message_stop" => {
                assert!(has_delta);
                stopped = true;
            }
            other => panic!("{other}"),
        }
    }
    assert!(stopped, "the stream has no end");
    message
}

/// Folds chunks into a chat answer. Every rule of the dialect that is broken is a panic.
pub(super) fn fold_chat(sse: &[u8]) -> Value {
    let mut answer = Value::Null;
    let mut message = json!({"role": null, "content": null, "refusal": null});
    let mut done = false;
    for (_, data) in events(sse) {
        assert!(!done, "something follows the end: {data}");
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(&data).unwrap();
        if chunk.get("error").is_some() {
            return json!({ "error": chunk["error"] });
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        if answer.is_null() {
            answer = json!({"id": chunk["id"], "object": "chat.completion", "created": chunk["created"], "model": chunk["model"],
                "choices": [{"index": 0, "message": null, "logprobs": null, "finish_reason": null}], "usage": null});
            assert_eq!(chunk["choices"][0]["delta"]["role"], "assistant");
        }
        assert_eq!(chunk["id"], answer["id"]);
        let Some(choice) = chunk["choices"].get(0) else {
            answer["usage"] = chunk["usage"].clone();
            continue;
        };
        assert!(answer["choices"][0]["finish_reason"].is_null(), "a chunk follows the last: {data}");
        answer["choices"][0]["finish_reason"] = choice["finish_reason"].clone();
        for (key, value) in choice["delta"].as_object().unwrap() {
            match key.as_str() {
                "role" => {
                    assert!(message["role"].is_null(), "a second role");
                    message["role"] = value.clone();
                }
                "tool_calls" => value.as_array().unwrap().iter().for_each(|piece| take_call(&mut message, piece)),
                _ if value.is_null() => {}
                _ => {
                    let before = message.get(key).and_then(Value::as_str).unwrap_or_default();
                    message[key] = Value::from([before, value.as_str().unwrap()].concat());
                }
            }
        }
    }
    assert!(done, "the stream has no end");
    assert!(!answer["choices"][0]["finish_reason"].is_null());
    answer["choices"][0]["message"] = message;
    answer
}

fn take_call(message: &mut Value, piece: &Value) {
    let index = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
    if message.get("tool_calls").is_none() {
        message["tool_calls"] = json!([]);
    }
    let calls = message["tool_calls"].as_array_mut().unwrap();
    if index == calls.len() {
        calls.push(json!({"id": piece["id"], "type": piece["type"], "function": piece["function"]}));
        assert!(piece["id"].is_string() && piece["function"]["name"].is_string());
        return;
    }
    assert!(piece.get("id").is_none() && piece["function"].get("name").is_none(), "said twice: {piece}");
    assert_eq!(index, calls.len() - 1, "calls alternate");
    let function = &mut calls[index]["function"];
    let arguments =
        [function["arguments"].as_str().unwrap(), piece["function"]["arguments"].as_str().unwrap()].concat();
    function["arguments"] = Value::from(arguments);
}

/// JSON as it stands, a line for each value of the upper levels.
pub(super) fn pretty(json: &[u8]) -> String {
    let text = std::str::from_utf8(json).unwrap();
    serde_json::from_str::<serde::de::IgnoredAny>(text).unwrap();
    const DEEPEST: usize = 3;
    let (mut out, mut depth, mut in_string, mut escape) = (String::new(), 0, false, false);
    for c in text.chars() {
        let closes = !in_string && matches!(c, '}' | ']');
        if closes {
            depth -= 1;
            if depth < DEEPEST && !out.ends_with(['{', '[']) {
                newline(&mut out, depth);
            }
        }
        out.push(c);
        match c {
            _ if escape => escape = false,
            '\\' if in_string => escape = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            '{' | '[' => depth += 1,
            _ => {}
        }
        if !in_string && matches!(c, ',' | '{' | '[') && depth <= DEEPEST {
            newline(&mut out, depth);
        }
    }
    out.push('\n');
    out.replace("{\n}", "{}")
}

fn newline(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// A translated request and what was lost on the way, for a golden file.
pub(super) fn shown(translated: &Translated) -> String {
    let mut text = pretty(&translated.body);
    for change in &translated.changes {
        writeln!(text, "{} {}", change.action.as_str(), change.field).unwrap();
    }
    text
}

/// The policy that drops whatever can be dropped.
pub(super) fn drop_all() -> Policy {
    Loss::ALL.iter().fold(Policy::default(), |policy, &loss| policy.with(loss, Fate::Drop))
}

/// JSON read whole, to be compared whatever its spelling.
pub(super) fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(json)))
}
