//! One event of a streamed answer: what it tells, found in one pass without a document model.

use super::answer::{self, AnswerFacts};
use crate::openai::chunk::truthy;
use crate::scan::cursor::{Object, begins_with};
use crate::scan::{self, Kind, ScanError};

/// What an event is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `response.created`, `response.queued`, `response.in_progress`: nothing was said yet.
    Begun,
    /// `response.output_item.added`
    ItemAdded,
    /// Any `….delta`.
    Delta,
    /// `response.completed`
    Completed,
    /// `response.incomplete`
    Incomplete,
    /// `response.failed`
    Failed,
    /// `error`
    Error,
    /// `[DONE]`, which some servers send after the last event. It is no end of a response by itself.
    Done,
    /// Another, known or not: it ends something that began, or tells of tools that run at the provider.
    #[default]
    Other,
}

/// What the data of one event tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFacts {
    /// False when it is neither `[DONE]` nor a JSON object.
    pub valid: bool,
    /// What it is.
    pub event: EventType,
    /// It is the last event of an answer: completed or incomplete.
    pub done: bool,
    /// It says that the stream failed.
    pub error: bool,
    /// The code of that error, when it has one.
    pub error_code: Option<String>,
    /// It holds text, reasoning, a refusal or a part of a call. A call's beginning is content: it has the name of the tool.
    pub has_content: bool,
    /// `sequence_number`
    pub sequence_number: Option<u64>,
    /// What the response object in it tells; its ranges are places in the data. The last event has all of the answer.
    pub response: Option<Box<AnswerFacts>>,
}

/// Reads the data of one event. Never fails: what cannot be read is not `valid`.
pub fn inspect(data: &[u8]) -> EventFacts {
    if data.trim_ascii() == b"[DONE]" {
        return EventFacts { valid: true, event: EventType::Done, ..EventFacts::default() };
    }
    read(data).unwrap_or_default()
}

fn read(data: &[u8]) -> Result<EventFacts, ScanError> {
    let mut facts = EventFacts { valid: true, ..EventFacts::default() };
    let (mut any_delta, mut item) = (false, AnswerFacts::default());
    let mut top = Object::open_top(data)?;
    while let Some(key) = top.next_key()? {
        let name = key.name.as_ref();
        if name == b"response" && begins_with(data, top.at(), b'{') {
            let (response, end) = answer::object(data, top.at())?;
            facts.response = Some(Box::new(response));
            top.resume(end);
            continue;
        }
        if name == b"item" && begins_with(data, top.at(), b'{') {
            let end = answer::item(data, top.at(), &mut item)?;
            top.resume(end);
            continue;
        }
        let (kind, value) = top.skip()?;
        match (name, kind) {
            (b"type", Kind::String) => facts.event = event_type(&data[value]),
            (b"sequence_number", Kind::Number) => facts.sequence_number = scan::unsigned(&data[value]),
            (b"delta", Kind::String) => any_delta = value.len() > 2,
            (b"code", Kind::String) => facts.error_code = Some(scan::unescape(data, value)?.into_owned()),
            (b"error", _) => {
                facts.error |= truthy(data, kind, &value);
                if let Some(code) = answer::string_member(data, kind, value.start, b"code")? {
                    facts.error_code = Some(code);
                }
            }
            _ => {}
        }
    }
    top.close_top()?;
    facts.error |= matches!(facts.event, EventType::Failed | EventType::Error);
    facts.done = matches!(facts.event, EventType::Completed | EventType::Incomplete) && !facts.error;
    facts.has_content = match facts.event {
        EventType::Delta => any_delta,
        EventType::ItemAdded => item.has_content,
        _ => false,
    };
    match &facts.response {
        Some(response) if facts.error => facts.error_code = facts.error_code.or_else(|| response.error_code.clone()),
        _ if !facts.error => facts.error_code = None,
        _ => {}
    }
    Ok(facts)
}

fn event_type(literal: &[u8]) -> EventType {
    match literal {
        b"\"response.created\"" | b"\"response.queued\"" | b"\"response.in_progress\"" => EventType::Begun,
        b"\"response.output_item.added\"" => EventType::ItemAdded,
        b"\"response.completed\"" => EventType::Completed,
        b"\"response.incomplete\"" => EventType::Incomplete,
        b"\"response.failed\"" => EventType::Failed,
        b"\"error\"" => EventType::Error,
        _ if literal.ends_with(b".delta\"") => EventType::Delta,
        _ => EventType::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    fn each_event_of_a_stream_tells_what_it_is() {
        let mut told = String::new();
        for data in [
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_item.added","sequence_number":1,"item":{"type":"message","content":[]}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f","arguments":""}}"#,
            r#"{"type":"response.output_text.delta","delta":"x","logprobs":[]}"#,
            r#"{"type":"response.output_text.delta","delta":""}"#,
            r#"{"delta":"x","type":"response.function_call_arguments.delta"}"#,
            r#"{"type":"response.reasoning_summary_text.delta","delta":"x"}"#,
            r#"{"type":"response.output_text.done","text":"x","code":"not an error"}"#,
            r#"{"type":"keepalive","sequence_number":7}"#,
            r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","error":null,"output":[{"type":"function_call","arguments":"{}"}],"usage":{"input_tokens":3,"output_tokens":4}}}"#,
            r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}}"#,
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"x"},"output":[]}}"#,
            r#"{"type":"error","code":"server_error","message":"x","param":null,"sequence_number":3}"#,
            r#"{"type":"error","error":{"code":"server_error","message":"x"}}"#,
            r#"{"error":{"message":"x"}}"#,
            "[DONE]",
            r#"{"type":"response.completed""#,
            "hello",
        ] {
            let facts = inspect(data.as_bytes());
            let words = [
                (!facts.valid, "invalid"),
                (facts.done, "done"),
                (facts.error, "error"),
                (facts.has_content, "content"),
            ];
            let mut words: Vec<String> =
                words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()).collect();
            words.extend(facts.error_code.map(|code| format!("code={code}")));
            words.extend(facts.sequence_number.map(|number| format!("number={number}")));
            if let Some(response) = facts.response {
                words.extend(response.finish_reason().map(|reason| format!("finish={reason}")));
                words.extend(
                    response.usage.map(|usage| format!("usage={}+{}", usage.input_tokens, usage.output_tokens)),
                );
            }
            writeln!(told, "{:?} {}", facts.event, words.join(" ")).unwrap();
        }
        expect![[r#"
            Begun number=0
            ItemAdded number=1
            ItemAdded content
            Delta content
            Delta 
            Delta content
            Delta content
            Other 
            Other number=7
            Completed done finish=tool_calls usage=3+4
            Incomplete done finish=length
            Failed error code=rate_limit_exceeded
            Error error code=server_error number=3
            Error error code=server_error
            Other error
            Done 
            Other invalid
            Other invalid
        "#]]
        .assert_eq(&told);
    }
}
