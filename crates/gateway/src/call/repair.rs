//! The request of a repair: the caller's own, its model's answer, and what is wrong with that.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use schema::judge::{Part, Violation};
use serde_json::{Value, json};
use wire::messages;
use wire::openai::content::{ChoiceText, ToolCallText};
use wire::openai::{answer, response, well_formed};
use wire::record::Endpoint;

use super::{Content, Opened};
use crate::parse::Parsed;
use crate::record::Exchange;

/// The request that asks for a corrected answer. `None` where that cannot be said: several choices, or nothing that could be told;
/// then the same request is sent again.
pub(super) fn request(exchange: &Exchange, opened: &Opened) -> Option<Arc<Parsed>> {
    let request = &exchange.request;
    if request.n_choices() > 1 {
        return None;
    }
    let violation = exchange.form.violation.as_ref()?;
    let said = match &opened.content {
        Content::Whole(body) => in_one(&said(request.endpoint, body)?)?,
        Content::Stream(open) => in_one(open.upstream.choices()?)?,
        Content::Pieces(_) => return None,
    };
    // Where a model that thinks called a tool, Anthropic wants its own thinking back, with its signature.
    let thinks =
        request.endpoint == Endpoint::Messages && request.view.named(&request.body, "thinking").next().is_some();
    if thinks && violation.part != Part::Content {
        return None;
    }
    let body = with_turns(request, &turns(request.endpoint, &said, violation)?)?;
    let memory = (&exchange.prepared.snapshot.limits, &exchange.worker.bodies);
    request.with_body(body, memory).ok().map(Arc::new)
}

/// What a whole answer says, in the caller's dialect.
fn said(endpoint: Endpoint, body: &[u8]) -> Option<Vec<ChoiceText>> {
    match endpoint {
        Endpoint::ChatCompletions => Some(answer::inspect(body).texts(body)),
        Endpoint::Responses => Some(response::inspect(body).texts(body)),
        Endpoint::Messages => Some(vec![messages::answer::inspect(body).said(body)]),
        _ => None,
    }
}

/// What one answer says in several parts: of Responses, every text and every call is one.
fn in_one(parts: &[ChoiceText]) -> Option<ChoiceText> {
    let mut all = parts.first()?.clone();
    for part in &parts[1..] {
        all.content.extend_from_slice(&part.content);
        all.tool_calls.extend_from_slice(&part.tool_calls);
    }
    Some(all)
}

/// The request with turns at the end of its conversation.
fn with_turns(request: &Parsed, turns: &[Value]) -> Option<Bytes> {
    let view = &request.view;
    let list = if request.endpoint == Endpoint::Responses { view.input.clone() } else { view.messages.clone() }?;
    let (before, conversation, after) =
        (request.body.get(..list.start)?, request.body.get(list.clone())?, request.body.get(list.end..)?);
    let turns = turns.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let turns = turns.as_bytes();
    // A conversation may be one text of the user's.
    if conversation.first() == Some(&b'"') {
        let user: &[u8] = br#"[{"role":"user","content":"#;
        return Some(Bytes::from([before, user, conversation, b"},", turns, b"]", after].concat()));
    }
    let inner = conversation.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let comma: &[u8] = if inner.trim_ascii().is_empty() { b"" } else { b"," };
    Some(Bytes::from([before, b"[", inner, comma, turns, b"]", after].concat()))
}

/// The turns that are added to the conversation, in the dialect of an endpoint.
fn turns(endpoint: Endpoint, said: &ChoiceText, violation: &Violation) -> Option<Vec<Value>> {
    let content = String::from_utf8_lossy(&said.content);
    let wrong = wrong(violation);
    let invalid = match violation.part {
        Part::Content if content.is_empty() && endpoint == Endpoint::Messages => return None,
        Part::Content => {
            let ask = "Answer again: the whole answer, corrected, and nothing else.";
            let told = format!("Your answer does not have the form that was asked for. {wrong} {ask}");
            return Some(vec![
                json!({ "role": "assistant", "content": content }),
                json!({ "role": "user", "content": told }),
            ]);
        }
        Part::ToolCall(invalid) => invalid,
    };
    let told = |(idx, call): (usize, &ToolCallText)| {
        if idx == invalid {
            format!("This call was not made, because it is not valid. {wrong}{} Call again, corrected.", quoted(call))
        } else {
            "This call was not made, because another one beside it is not valid. Call again.".to_owned()
        }
    };
    let calls = || said.tool_calls.iter().enumerate();
    let content = (!content.is_empty()).then_some(content);
    Some(match endpoint {
        Endpoint::Messages => {
            let text = content.map(|content| json!({ "type": "text", "text": content }));
            let called: Vec<Value> = text.into_iter().chain(calls().map(tool_use)).collect();
            let result = |(idx, call)| json!({ "type": "tool_result", "tool_use_id": id(idx), "is_error": true, "content": told((idx, call)) });
            let results: Vec<Value> = calls().map(result).collect();
            vec![json!({ "role": "assistant", "content": called }), json!({ "role": "user", "content": results })]
        }
        Endpoint::Responses => {
            let text = content.map(|content| json!({ "role": "assistant", "content": content }));
            let result = |(idx, call)| json!({ "type": "function_call_output", "call_id": id(idx), "output": told((idx, call)) });
            text.into_iter().chain(calls().map(function_call)).chain(calls().map(result)).collect()
        }
        _ => {
            let called: Vec<Value> = calls().map(call).collect();
            let asked = json!({ "role": "assistant", "content": content, "tool_calls": called });
            let result = |(idx, call)| json!({ "role": "tool", "tool_call_id": id(idx), "content": told((idx, call)) });
            std::iter::once(asked).chain(calls().map(result)).collect()
        }
    })
}

/// `At /items/3/price: the value is not of type "number" (type).`
fn wrong(violation: &Violation) -> String {
    let finding = &violation.finding;
    let mut words = String::new();
    if !finding.path.is_empty() {
        // Writing to a String cannot fail.
        write!(words, "At {}: ", finding.path).unwrap_or_default();
    }
    words + finding.words.expose().trim_end_matches('.') + &format!(" ({}).", finding.keyword)
}

/// A call as the conversation of a chat has it.
fn call((idx, call): (usize, &ToolCallText)) -> Value {
    let (name, arguments) = (String::from_utf8_lossy(&call.name), repeated(call));
    json!({ "id": id(idx), "type": "function", "function": { "name": name, "arguments": arguments } })
}

/// The same of Responses.
fn function_call((idx, call): (usize, &ToolCallText)) -> Value {
    let (name, arguments) = (String::from_utf8_lossy(&call.name), repeated(call));
    json!({ "type": "function_call", "call_id": id(idx), "name": name, "arguments": arguments })
}

/// The same of Messages, whose inputs are objects.
fn tool_use((idx, call): (usize, &ToolCallText)) -> Value {
    let input = serde_json::from_str(&arguments(call)).ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
    json!({ "type": "tool_use", "id": id(idx), "name": String::from_utf8_lossy(&call.name), "input": input })
}

/// What the call was made with. Some servers parse what they are told was called, so it is JSON in any case.
fn repeated(call: &ToolCallText) -> Cow<'_, str> {
    let arguments = arguments(call);
    if well_formed(arguments.as_bytes()) { arguments } else { Cow::Borrowed("{}") }
}

/// What was said instead of JSON.
fn quoted(call: &ToolCallText) -> String {
    let arguments = arguments(call);
    if well_formed(arguments.as_bytes()) { String::new() } else { format!(" They were: {arguments}") }
}

fn arguments(call: &ToolCallText) -> Cow<'_, str> {
    String::from_utf8_lossy(call.arguments.as_deref().unwrap_or_default())
}

/// Nine letters and digits, which is what every server takes.
fn id(idx: usize) -> String {
    format!("repair{idx:03}")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use schema::Finding;

    use super::*;

    fn check(
        endpoint: Endpoint,
        said: &ChoiceText,
        part: Part,
        (path, keyword, words): (&str, &str, &str),
        expected: Expect,
    ) {
        let finding = Finding { path: path.into(), keyword: keyword.into(), words: words.to_owned().into() };
        let turns = turns(endpoint, said, &Violation { part, finding }).unwrap_or_default();
        expected.assert_eq(&turns.iter().map(ToString::to_string).collect::<Vec<_>>().join(",\n"));
    }

    #[test]
    fn the_model_reads_its_answer_and_what_is_wrong_with_it() {
        let said = ChoiceText { content: br#"{"a":"1"}"#.to_vec(), ..ChoiceText::default() };
        check(
            Endpoint::ChatCompletions,
            &said,
            Part::Content,
            ("/a", "type", r#"the value is not of type "integer""#),
            expect![[r#"
            {"content":"{\"a\":\"1\"}","role":"assistant"},
            {"content":"Your answer does not have the form that was asked for. At /a: the value is not of type \"integer\" (type). Answer again: the whole answer, corrected, and nothing else.","role":"user"}"#]],
        );
    }

    #[test]
    fn calls_are_repeated_with_an_answer_to_each() {
        let call =
            |name: &[u8], arguments: &[u8]| ToolCallText { name: name.to_vec(), arguments: Some(arguments.to_vec()) };
        let tool_calls = vec![call(b"weather", br#"{"city":"Bern"}"#), call(b"weather", b"{\"city\":")];
        let said = ChoiceText { tool_calls, ..ChoiceText::default() };
        check(
            Endpoint::ChatCompletions,
            &said,
            Part::ToolCall(1),
            ("", "json", "The arguments are not valid JSON."),
            expect![[r#"
            {"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{\"city\":\"Bern\"}","name":"weather"},"id":"repair000","type":"function"},{"function":{"arguments":"{}","name":"weather"},"id":"repair001","type":"function"}]},
            {"content":"This call was not made, because another one beside it is not valid. Call again.","role":"tool","tool_call_id":"repair000"},
            {"content":"This call was not made, because it is not valid. The arguments are not valid JSON (json). They were: {\"city\": Call again, corrected.","role":"tool","tool_call_id":"repair001"}"#]],
        );
        for endpoint in [Endpoint::Responses, Endpoint::Messages] {
            let wrong = ("", "json", "The arguments are not valid JSON.");
            let expected = if endpoint == Endpoint::Responses {
                expect![[r#"
                {"arguments":"{\"city\":\"Bern\"}","call_id":"repair000","name":"weather","type":"function_call"},
                {"arguments":"{}","call_id":"repair001","name":"weather","type":"function_call"},
                {"call_id":"repair000","output":"This call was not made, because another one beside it is not valid. Call again.","type":"function_call_output"},
                {"call_id":"repair001","output":"This call was not made, because it is not valid. The arguments are not valid JSON (json). They were: {\"city\": Call again, corrected.","type":"function_call_output"}"#]]
            } else {
                expect![[r#"
                {"content":[{"id":"repair000","input":{"city":"Bern"},"name":"weather","type":"tool_use"},{"id":"repair001","input":{},"name":"weather","type":"tool_use"}],"role":"assistant"},
                {"content":[{"content":"This call was not made, because another one beside it is not valid. Call again.","is_error":true,"tool_use_id":"repair000","type":"tool_result"},{"content":"This call was not made, because it is not valid. The arguments are not valid JSON (json). They were: {\"city\": Call again, corrected.","is_error":true,"tool_use_id":"repair001","type":"tool_result"}],"role":"user"}"#]]
            };
            check(endpoint, &said, Part::ToolCall(1), wrong, expected);
        }
    }

    #[test]
    fn the_turns_are_added_to_a_list_or_to_a_text() {
        let check = |endpoint: Endpoint, body: &'static str, expected: &str| {
            let request = Parsed::of_record(endpoint, Bytes::from_static(body.as_bytes())).unwrap();
            let said = with_turns(&request, &[json!({ "role": "user" })]).unwrap();
            assert_eq!(String::from_utf8_lossy(&said), expected);
        };
        let turn = r#"{"role":"user"}"#;
        check(
            Endpoint::Responses,
            r#"{"input":"hi","model":"m"}"#,
            &format!(r#"{{"input":[{{"role":"user","content":"hi"}},{turn}],"model":"m"}}"#),
        );
        check(
            Endpoint::Responses,
            r#"{"model":"m","input":[{"role":"user","content":"a"} ]}"#,
            &format!(r#"{{"model":"m","input":[{{"role":"user","content":"a"}} ,{turn}]}}"#),
        );
        check(
            Endpoint::ChatCompletions,
            r#"{"model":"m","messages":[]}"#,
            &format!(r#"{{"model":"m","messages":[{turn}]}}"#),
        );
    }
}
