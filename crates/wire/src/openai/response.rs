//! A whole response, the answer of the Responses API: what it tells, found in one pass without a document model.

use super::answer::{AnswerFacts, Choice, Function};
use super::chunk::truthy;
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{self, Kind, ScanError};
use crate::usage::Usage;

/// Reads a response. Never fails: what cannot be read is not `valid`. Each text and each call of a tool is a choice of its
/// own; `finish_reason` is why it is incomplete, else its status. One that failed is an error.
pub fn inspect(body: &[u8]) -> AnswerFacts {
    read(body).unwrap_or_default()
}

/// The `response` in the data of an event, when there is one.
pub fn of_event(data: &[u8]) -> Option<AnswerFacts> {
    let mut top = Object::open_top(data).ok()?;
    while let Some(key) = top.next_key().ok()? {
        let (kind, value) = top.skip().ok()?;
        if key.name.as_ref() == b"response" && kind == Kind::Object {
            // Its places are in the data, not in the response: read it where it stands.
            return read_at(data, value.start).ok();
        }
    }
    None
}

fn read(body: &[u8]) -> Result<AnswerFacts, ScanError> {
    let mut top = Object::open_top(body)?;
    let facts = walk(body, &mut top)?;
    top.close_top()?;
    Ok(facts)
}

fn read_at(data: &[u8], at: usize) -> Result<AnswerFacts, ScanError> {
    walk(data, &mut Object::open(data, at)?)
}

fn walk(body: &[u8], top: &mut Object<'_>) -> Result<AnswerFacts, ScanError> {
    let mut facts = AnswerFacts { valid: true, ..AnswerFacts::default() };
    let mut incomplete = None;
    while let Some(key) = top.next_key()? {
        if key.name.as_ref() == b"output" && begins_with(body, top.at(), b'[') {
            facts.has_answer = true;
            let mut items = Array::open(body, top.at())?;
            while items.next_value()? {
                let (kind, value) = items.skip()?;
                if kind == Kind::Object {
                    item(body, value.start, &mut facts)?;
                }
            }
            top.resume(items.at());
            continue;
        }
        let (kind, value) = top.skip()?;
        match (key.name.as_ref(), kind) {
            (b"usage", Kind::Object) => facts.usage = Usage::read(body, value),
            (b"error", _) => facts.is_error_object |= truthy(body, kind, &value),
            (b"object", Kind::String) => facts.is_error_object |= &body[value] == b"\"error\"",
            (b"status", Kind::String) => {
                let status = scan::unescape(body, value)?.into_owned();
                facts.is_error_object |= status == "failed";
                facts.finish_reason = Some(status);
            }
            (b"incomplete_details", Kind::Object) => {
                scan::each_member(body, value, |member| {
                    if member.key == "reason" && member.kind == Kind::String {
                        incomplete = Some(scan::unescape(body, member.value)?.into_owned());
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
    }
    facts.finish_reason = incomplete.or(facts.finish_reason);
    Ok(facts)
}

/// An item of the output: a message has texts, a call has arguments.
fn item(body: &[u8], at: usize, facts: &mut AnswerFacts) -> Result<(), ScanError> {
    let mut walk = Object::open(body, at)?;
    let (mut is_call, mut function) = (false, Function::default());
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"type", Kind::String) => is_call = &body[value] == b"\"function_call\"",
            (b"name", Kind::String) => function.name = Some(value),
            (b"arguments", Kind::String) => function.arguments = Some(value),
            (b"content", Kind::Array) => {
                let mut parts = Array::open(body, value.start)?;
                while parts.next_value()? {
                    let (kind, value) = parts.skip()?;
                    if kind == Kind::Object {
                        part(body, value.start, facts)?;
                    }
                }
            }
            _ => {}
        }
    }
    if is_call {
        facts.choices.push(Choice { tool_calls: vec![function], ..Choice::default() });
    }
    Ok(())
}

fn part(body: &[u8], at: usize, facts: &mut AnswerFacts) -> Result<(), ScanError> {
    let mut walk = Object::open(body, at)?;
    let (mut choice, mut is_text) = (Choice::default(), false);
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"type", Kind::String) => is_text = matches!(&body[value], b"\"output_text\"" | b"\"refusal\""),
            (b"text", Kind::String) => choice.content = Some(value),
            (b"refusal", Kind::String) => choice.refusal = Some(value),
            _ => {}
        }
    }
    if is_text {
        facts.choices.push(choice);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::ResponseFormat::{JsonSchema, Text};

    const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,
        "output":[{"type":"reasoning","summary":[]},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"{\"a\":1}","annotations":[]}]},
            {"type":"function_call","name":"f","arguments":"{\"b\":"}],
        "usage":{"input_tokens":7,"input_tokens_details":{"cached_tokens":2},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":1}}}"#;

    #[test]
    fn a_response_tells_its_usage_its_end_and_its_format() {
        let facts = inspect(RESPONSE.as_bytes());
        assert!(facts.valid && facts.has_answer && !facts.is_error_object);
        assert_eq!(facts.finish_reason.as_deref(), Some("completed"));
        let usage = facts.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.cached_tokens, usage.reasoning_tokens), (7, 2, 1));
        assert_eq!(facts.format_valid(RESPONSE.as_bytes(), JsonSchema), Some(false), "the call's arguments are cut");
        let whole = RESPONSE.replace(r#"{\"b\":"#, "{}");
        assert_eq!(inspect(whole.as_bytes()).format_valid(whole.as_bytes(), JsonSchema), Some(true));
        assert_eq!(inspect(whole.as_bytes()).format_valid(whole.as_bytes(), Text), Some(true), "the call is judged");
    }

    #[test]
    fn an_end_before_its_time_and_a_failure_are_told() {
        let cut = r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}"#;
        assert_eq!(inspect(cut.as_bytes()).finish_reason.as_deref(), Some("max_output_tokens"));
        assert!(inspect(br#"{"status":"failed","error":{"code":"server_error"},"output":[]}"#).is_error_object);
        assert!(!inspect(b"[]").valid);
    }

    #[test]
    fn a_response_inside_an_event_is_read_where_it_stands() {
        let event = format!(r#"{{"type":"response.completed","response":{RESPONSE},"sequence_number":9}}"#);
        let facts = of_event(event.as_bytes()).unwrap();
        assert_eq!(facts.format_valid(event.as_bytes(), JsonSchema), Some(false));
        assert_eq!(of_event(br#"{"type":"x"}"#), None);
    }
}
