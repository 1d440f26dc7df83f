//! The request of a repair: the caller's own, its model's answer, and what is wrong with that.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use schema::judge::{Part, Violation};
use serde_json::json;
use wire::openai::answer::inspect;
use wire::openai::content::{ChoiceText, ToolCallText};
use wire::openai::well_formed;
use wire::record::Endpoint;

use super::{Content, Opened};
use crate::parse::Parsed;
use crate::record::Exchange;

/// The request that asks for a corrected answer. `None` where that cannot be said: not a chat, several choices, or nothing that
/// could be told; then the same request is sent again.
pub(super) fn request(exchange: &Exchange, opened: &Opened) -> Option<Arc<Parsed>> {
    let request = &exchange.request;
    if request.endpoint != Endpoint::ChatCompletions || request.n_choices() > 1 {
        return None;
    }
    let violation = exchange.form.violation.as_ref()?;
    let messages = match &opened.content {
        Content::Whole(body) => messages(inspect(body).texts(body).first()?, violation),
        Content::Stream(open) => messages(open.upstream.choices()?.first()?, violation),
        Content::Pieces(_) => return None,
    };
    let list = request.view.messages.clone()?;
    let (before, after) = request.body.split_at_checked(list.end.checked_sub(1)?)?;
    let is_empty = request.body.get(list.start + 1..list.end - 1)?.trim_ascii().is_empty();
    let comma: &[u8] = if is_empty { b"" } else { b"," };
    let body = Bytes::from([before, comma, messages.as_bytes(), after].concat());
    let memory = (&exchange.prepared.snapshot.limits, &exchange.worker.bodies);
    request.said_as(Endpoint::ChatCompletions, body, memory).ok().map(Arc::new)
}

/// The messages that are added to the conversation, without the brackets around them.
fn messages(said: &ChoiceText, violation: &Violation) -> String {
    let content = String::from_utf8_lossy(&said.content);
    let wrong = wrong(violation);
    let mut list = Vec::new();
    match violation.part {
        Part::Content => {
            list.push(json!({ "role": "assistant", "content": content }));
            let ask = "Answer again: the whole answer, corrected, and nothing else.";
            list.push(json!({ "role": "user", "content": format!("Your answer does not have the form that was asked for. {wrong} {ask}") }));
        }
        Part::ToolCall(invalid) => {
            let calls: Vec<_> = said.tool_calls.iter().enumerate().map(call).collect();
            let content = (!content.is_empty()).then_some(content);
            list.push(json!({ "role": "assistant", "content": content, "tool_calls": calls }));
            for (idx, call) in said.tool_calls.iter().enumerate() {
                let told = if idx == invalid {
                    format!(
                        "This call was not made, because it is not valid. {wrong}{} Call again, corrected.",
                        quoted(call)
                    )
                } else {
                    "This call was not made, because another one beside it is not valid. Call again.".to_owned()
                };
                list.push(json!({ "role": "tool", "tool_call_id": id(idx), "content": told }));
            }
        }
    }
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
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

/// A call as the conversation has it. Some servers parse what they are told was called, so it is JSON in any case.
fn call((idx, call): (usize, &ToolCallText)) -> serde_json::Value {
    let arguments = arguments(call);
    let arguments = if well_formed(arguments.as_bytes()) { arguments } else { Cow::Borrowed("{}") };
    let name = String::from_utf8_lossy(&call.name);
    json!({ "id": id(idx), "type": "function", "function": { "name": name, "arguments": arguments } })
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

    fn check(said: &ChoiceText, part: Part, (path, keyword, words): (&str, &str, &str), expected: Expect) {
        let finding = Finding { path: path.into(), keyword: keyword.into(), words: words.to_owned().into() };
        expected.assert_eq(&messages(said, &Violation { part, finding }).replace("},{\"content", "},\n{\"content"));
    }

    #[test]
    fn the_model_reads_its_answer_and_what_is_wrong_with_it() {
        let said = ChoiceText { content: br#"{"a":"1"}"#.to_vec(), ..ChoiceText::default() };
        check(
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
            &said,
            Part::ToolCall(1),
            ("", "json", "The arguments are not valid JSON."),
            expect![[r#"
            {"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{\"city\":\"Bern\"}","name":"weather"},"id":"repair000","type":"function"},{"function":{"arguments":"{}","name":"weather"},"id":"repair001","type":"function"}]},
            {"content":"This call was not made, because another one beside it is not valid. Call again.","role":"tool","tool_call_id":"repair000"},
            {"content":"This call was not made, because it is not valid. The arguments are not valid JSON (json). They were: {\"city\": Call again, corrected.","role":"tool","tool_call_id":"repair001"}"#]],
        );
    }
}
