//! One event of a streamed answer: what it tells, found in one pass without a document model.

use std::ops::Range;

use super::Tokens;
use super::answer::text_member;
use crate::refusal::Says;
use crate::scan::cursor::{Object, begins_with};
use crate::scan::{Kind, ScanError};

/// What an event is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `message_start`
    MessageStart,
    /// `content_block_start`
    BlockStart,
    /// `content_block_delta`
    BlockDelta,
    /// `content_block_stop`
    BlockStop,
    /// `message_delta`
    MessageDelta,
    /// `message_stop`: the end of a whole answer.
    MessageStop,
    /// `ping`: a sign of life, no progress.
    Ping,
    /// `error`
    Error,
    /// One this version does not know. The dialect asks readers to pass over it.
    #[default]
    Other,
}

/// What the data of one event tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFacts {
    /// False when it is not a JSON object.
    pub valid: bool,
    /// What it is.
    pub event: EventType,
    /// It is the last event of a whole answer.
    pub done: bool,
    /// It says that the stream failed.
    pub error: bool,
    /// `error.type`, of an error; read it with [`super::error::kind`].
    pub error_type: Option<String>,
    /// It holds text, thinking or a part of a call. A call's beginning is content: it has the name of the tool.
    pub has_content: bool,
    /// What it says.
    pub says: Says,
    /// Where `delta.stop_reason` is, quotation marks included.
    pub stop_reason: Option<Range<usize>>,
    /// What it says of the usage. Gather it over the stream with [`Tokens::update`].
    pub tokens: Option<Tokens>,
}

impl EventFacts {
    /// The stop reason in `data`, the data these facts were read from.
    pub fn stop_reason_in<'d>(&self, data: &'d [u8]) -> Option<&'d str> {
        let literal = data.get(self.stop_reason.clone()?)?;
        std::str::from_utf8(literal.get(1..literal.len() - 1)?).ok()
    }
}

/// Reads the data of one event. Never fails: what cannot be read is not `valid`.
pub fn inspect(data: &[u8]) -> EventFacts {
    read(data).unwrap_or_default()
}

fn read(data: &[u8]) -> Result<EventFacts, ScanError> {
    let mut facts = EventFacts { valid: true, ..EventFacts::default() };
    let (mut delta, mut block) = (None, None);
    let mut top = Object::open_top(data)?;
    while let Some(key) = top.next_key()? {
        if key.name.as_ref() == b"message" && begins_with(data, top.at(), b'{') {
            let end = message(data, top.at(), &mut facts)?;
            top.resume(end);
            continue;
        }
        let (kind, value) = top.skip()?;
        match (key.name.as_ref(), kind) {
            (b"type", Kind::String) => facts.event = event_type(&data[value]),
            (b"delta", Kind::Object) => delta = Some(value.start),
            (b"content_block", Kind::Object) => block = Some(value.start),
            (b"usage", Kind::Object) => facts.tokens = Tokens::read(data, value),
            (b"error", Kind::Object) => facts.error_type = text_member(data, value.start, b"type")?,
            _ => {}
        }
    }
    top.close_top()?;
    facts.done = facts.event == EventType::MessageStop;
    facts.error = facts.event == EventType::Error;
    match (facts.event, delta, block) {
        (EventType::BlockDelta, Some(at), _) => facts.has_content = any_text(data, (at, false), &mut facts.says)?,
        (EventType::BlockStart, _, Some(at)) => facts.has_content = any_text(data, (at, true), &mut facts.says)?,
        (EventType::MessageDelta, Some(at), _) => {
            let mut walk = Object::open(data, at)?;
            while let Some(key) = walk.next_key()? {
                let (kind, value) = walk.skip()?;
                if key.name.as_ref() == b"stop_reason" && kind == Kind::String {
                    facts.stop_reason = Some(value);
                }
            }
        }
        _ => {}
    }
    Ok(facts)
}

fn event_type(literal: &[u8]) -> EventType {
    match literal {
        b"\"message_start\"" => EventType::MessageStart,
        b"\"content_block_start\"" => EventType::BlockStart,
        b"\"content_block_delta\"" => EventType::BlockDelta,
        b"\"content_block_stop\"" => EventType::BlockStop,
        b"\"message_delta\"" => EventType::MessageDelta,
        b"\"message_stop\"" => EventType::MessageStop,
        b"\"ping\"" => EventType::Ping,
        b"\"error\"" => EventType::Error,
        _ => EventType::Other,
    }
}

/// Reads the usage of the message that begins at `at` and returns its end.
fn message(data: &[u8], at: usize, facts: &mut EventFacts) -> Result<usize, ScanError> {
    let mut walk = Object::open(data, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        if key.name.as_ref() == b"usage" && kind == Kind::Object {
            facts.tokens = Tokens::read(data, value);
        }
    }
    Ok(walk.at())
}

/// Whether the delta or the block that begins at `at` holds text, thinking or a part of a call. A block of another type
/// than text and thinking does by being there.
fn any_text(data: &[u8], (at, is_block): (usize, bool), says: &mut Says) -> Result<bool, ScanError> {
    let (mut any, mut other) = (false, false);
    let mut walk = Object::open(data, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"text" | b"thinking" | b"partial_json", Kind::String) if value.len() > 2 => {
                any = true;
                match key.name.as_ref() {
                    b"text" => says.text = Some(value),
                    b"partial_json" => says.otherwise = true,
                    _ => {}
                }
            }
            (b"type", Kind::String) => other = is_block && !matches!(&data[value], b"\"text\"" | b"\"thinking\""),
            _ => {}
        }
    }
    says.otherwise |= other;
    Ok(any || other)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    fn each_event_of_a_stream_tells_what_it_is() {
        let events = [
            r#"{"type":"message_start","message":{"id":"m","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_read_input_tokens":9,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type": "ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"abc"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":15}}"#,
            r#"{"type":"message_stop"}"#,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            r#"{"type":"a_new_one"}"#,
            r#"{"type":"message_stop""#,
        ];
        let mut told = String::new();
        let mut total = Tokens::default();
        for data in events {
            let facts = inspect(data.as_bytes());
            total.update(facts.tokens.unwrap_or_default());
            let mut line = format!("{:?}", facts.event);
            for (is, word) in [
                (!facts.valid, "invalid"),
                (facts.done, "done"),
                (facts.error, "error"),
                (facts.has_content, "content"),
                (facts.tokens.is_some(), "usage"),
            ] {
                if is {
                    write!(line, " {word}").unwrap();
                }
            }
            let words = facts.stop_reason_in(data.as_bytes()).or(facts.error_type.as_deref());
            writeln!(told, "{line} {}", words.unwrap_or_default()).unwrap();
        }
        expect![[r#"
            MessageStart usage 
            BlockStart 
            Ping 
            BlockDelta content 
            BlockDelta 
            BlockDelta content 
            BlockStop 
            BlockStart content 
            BlockDelta 
            BlockDelta content 
            MessageDelta usage tool_use
            MessageStop done 
            Error error overloaded_error
            Other 
            Other invalid 
        "#]]
        .assert_eq(&told);
        assert_eq!((total.prompt(), total.output), (34, Some(15)));
    }
}
