//! An answer as it came over the wire, read for what it says.

use bytes::Bytes;
use serde_json::{Value, json};
use wire::openai::answer::{AnswerFacts, inspect};
use wire::openai::content::{Accumulator, ChoiceText};
use wire::scan::unescape_lossy;
use wire::sse::{Decoder, Event};

use crate::case::{Answer, ToolCall};

impl Answer {
    /// The answer as what a right answer would be: its text, or the tools it called.
    #[must_use]
    pub fn as_expected(&self) -> Value {
        if self.tool_calls.is_empty() {
            return Value::String(self.text.clone());
        }
        let call = |call: &ToolCall| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "type": "function", "function": function })
        };
        json!({ "tool_calls": self.tool_calls.iter().map(call).collect::<Vec<_>>() })
    }
}

/// Reads the first choice of a chat completion, whole or as the events of a stream. `None` when it is neither.
#[must_use]
pub fn read(body: &[u8]) -> Option<Answer> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        let facts = inspect(body);
        return facts.has_answer.then(|| whole(body, &facts)).flatten();
    }
    let (mut decoder, mut events): (Decoder, Vec<Event>) = (Decoder::new(), Vec::new());
    decoder.push(Bytes::copy_from_slice(body), &mut events).ok()?;
    events.extend(decoder.finish().event);
    let mut gathered = Accumulator::new();
    let mut finish_reason = None;
    for event in &events {
        gathered.push(&event.data);
        let facts = wire::openai::chunk::inspect(&event.data);
        finish_reason = facts.finish_reason_in(&event.data).map(str::to_owned).or(finish_reason);
    }
    let first = gathered.choices()?.first()?;
    Some(Answer { finish_reason, ..of_choice(first) })
}

/// The first choice of a whole answer whose facts are known.
pub(crate) fn whole(body: &[u8], facts: &AnswerFacts) -> Option<Answer> {
    let texts = facts.texts(body);
    let first = texts.first()?;
    let refusal = facts.choices.first().and_then(|choice| choice.refusal.clone()).map(|literal| {
        let mut text = Vec::with_capacity(literal.len());
        unescape_lossy(body, literal, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let refusal = refusal.filter(|text| !text.is_empty());
    Some(Answer { refusal, finish_reason: facts.finish_reason.clone(), ..of_choice(first) })
}

pub(crate) fn of_choice(choice: &ChoiceText) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let calls = choice.tool_calls.iter();
    let tool_calls = calls.map(|call| ToolCall {
        name: text(&call.name),
        arguments: text(call.arguments.as_deref().unwrap_or_default()),
    });
    Answer { text: text(&choice.content), tool_calls: tool_calls.collect(), refusal: None, finish_reason: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_answers_and_streams_are_read_alike() {
        let whole = read(br#"{"choices":[{"index":0,"message":{"role":"assistant","content":"72 h\u00f6urs"},"finish_reason":"stop"}]}"#);
        let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"72 h\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"öurs\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let expected =
            Answer { text: "72 höurs".to_owned(), finish_reason: Some("stop".to_owned()), ..Answer::default() };
        assert_eq!(whole, Some(expected.clone()));
        assert_eq!(read(stream.as_bytes()), Some(expected));
    }

    #[test]
    fn tools_and_refusals_are_read_and_errors_are_no_answers() {
        let tools = read(br#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}]}"#).unwrap();
        assert_eq!((tools.tool_calls[0].name.as_str(), tools.tool_calls[0].arguments.as_str()), ("f", r#"{"a":1}"#));
        let refusal = read(br#"{"choices":[{"message":{"content":null,"refusal":"No."}}]}"#).unwrap();
        assert_eq!(refusal.refusal.as_deref(), Some("No."));
        assert_eq!(read(br#"{"error":{"message":"no"}}"#), None);
        assert_eq!(read(b""), None);
    }
}
