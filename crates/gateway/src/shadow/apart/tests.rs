use bytes::Bytes;
use rollout::Comparison;
use serde_json::{Value, json};
use wire::failure::FailureKind;

use super::{Apart, Ignore, Side, compare};
use crate::shadow::Heard;

fn chat(message: Value, finish: &str) -> Heard {
    let answer = json!({ "choices": [{ "index": 0, "message": message, "finish_reason": finish }] }).to_string();
    heard(answer)
}

fn text(text: &str) -> Heard {
    chat(json!({ "role": "assistant", "content": text }), "stop")
}

fn heard(answer: String) -> Heard {
    Heard { n_bytes: answer.len() as u64, answer: Bytes::from(answer), ..Heard::default() }
}

fn check(one: &Heard, other: &Heard, ignore: &[&str]) -> Apart {
    let ignore: Vec<String> = ignore.iter().map(|rule| (*rule).to_owned()).collect();
    compare(&Side::of(one), &Side::of(other), &Ignore::of(&ignore))
}

fn distance(apart: &Apart, kind: Comparison) -> Option<f64> {
    apart.distances.get(&kind).map(|(distance, _)| *distance)
}

fn call(name: &str, arguments: &Value) -> Heard {
    let call =
        json!({ "id": "call_1", "type": "function", "function": { "name": name, "arguments": arguments.to_string() } });
    chat(json!({ "content": null, "tool_calls": [call] }), "tool_calls")
}

#[test]
fn the_same_words_are_no_distance_in_any_respect() {
    let apart = check(&text("hello"), &text("hello"), &[]);
    assert!(apart.both_answered);
    assert!(apart.distances.values().all(|(distance, _)| *distance == 0.0), "{apart:?}");
    assert_eq!(distance(&apart, Comparison::Json), None, "prose has no fields");
}

#[test]
fn one_field_of_four_is_a_quarter_and_ignored_fields_are_none() {
    let one = text(r#"{"id":"a1","total":10,"items":[{"sku":"x","price":5}],"at":"09:00"}"#);
    let other = text(
        "```json\n{\"total\": 10.0, \"id\": \"b2\", \"items\": [{\"sku\": \"x\", \"price\": 6}], \"at\": \"10:00\"}\n```",
    );
    let apart = check(&one, &other, &["id"]);
    assert_eq!(distance(&apart, Comparison::Json), Some(0.5), "{apart:?}");
    let detail = apart.distances[&Comparison::Json].1.as_deref();
    assert_eq!(detail, Some("2 of 4 fields: at, items.0.price"));
    assert_eq!(distance(&check(&one, &other, &["id", "at", "items.*.price"]), Comparison::Json), Some(0.0));
}

#[test]
fn json_against_prose_is_as_far_as_it_gets() {
    assert_eq!(distance(&check(&text("{\"a\":1}"), &text("a is 1"), &[]), Comparison::Json), Some(1.0));
}

#[test]
fn calls_are_compared_by_name_and_arguments_and_not_by_id() {
    let bern = call("weather", &json!({ "city": "Bern", "days": 3 }));
    assert_eq!(distance(&check(&bern, &bern, &[]), Comparison::ToolCalls), Some(0.0));
    let basel = call("weather", &json!({ "days": 3, "city": "Basel" }));
    let apart = check(&bern, &basel, &[]);
    assert_eq!(apart.distances[&Comparison::ToolCalls], (1.0 / 3.0, Some("1 of 3 fields: 0.city".to_owned())));
    let other = check(&bern, &text("It is sunny."), &[]);
    assert_eq!(distance(&other, Comparison::ToolCalls), Some(1.0));
    assert_eq!(distance(&other, Comparison::Finish), Some(1.0));
}

#[test]
fn calls_in_another_order_are_the_same_calls() {
    let both = |first: &str, second: &str| {
        let call =
            |city: &str| json!({ "function": { "name": "weather", "arguments": json!({ "city": city }).to_string() } });
        chat(json!({ "tool_calls": [call(first), call(second)] }), "tool_calls")
    };
    assert_eq!(distance(&check(&both("Bern", "Basel"), &both("Basel", "Bern"), &[]), Comparison::ToolCalls), Some(0.0));
}

#[test]
fn a_stream_says_what_the_whole_answer_says_in_every_dialect() {
    let events = |events: &[Value]| {
        let lines = events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>();
        heard(lines + "data: [DONE]\n\n")
    };
    let arguments = json!({ "city": "Bern" });
    let chat_stream = events(&[
        json!({ "choices": [{ "index": 0, "delta": { "content": "Let me " } }] }),
        json!({ "choices": [{ "index": 0, "delta": { "content": "look." } }] }),
        json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "id": "c", "function": { "name": "weather", "arguments": "{\"ci" } }] } }] }),
        json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "function": { "arguments": "ty\":\"Bern\"}" } }] }, "finish_reason": "tool_calls" }] }),
    ]);
    let message = heard(
        json!({ "type": "message", "stop_reason": "tool_use", "content": [
            { "type": "text", "text": "Let me look." },
            { "type": "tool_use", "id": "t", "name": "weather", "input": arguments },
        ] })
        .to_string(),
    );
    let message_stream = events(&[
        json!({ "type": "message_start", "message": { "content": [] } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "Let me look." } }),
        json!({ "type": "content_block_start", "index": 1, "content_block": { "type": "tool_use", "name": "weather", "input": {} } }),
        json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "input_json_delta", "partial_json": "{\"city\":\"Bern\"}" } }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" } }),
    ]);
    let response = json!({ "status": "completed", "output": [
        { "type": "message", "content": [{ "type": "output_text", "text": "Let me look." }] },
        { "type": "function_call", "name": "weather", "arguments": arguments.to_string() },
    ] });
    let response_stream = events(&[json!({ "type": "response.completed", "response": response })]);
    let all = [&message, &message_stream, &heard(response.to_string()), &response_stream];
    for other in all {
        let apart = check(&chat_stream, other, &[]);
        assert!(apart.both_answered, "{other:?}");
        assert!(apart.distances.values().all(|(distance, _)| *distance == 0.0), "{apart:?}");
    }
}

#[test]
fn declining_and_saying_nothing_are_manners_of_their_own() {
    let declined = chat(json!({ "content": null, "refusal": "no" }), "stop");
    for other in [
        text("I\u{2019}m sorry, but I can\u{2019}t help with that."),
        chat(json!({ "content": "x" }), "content_filter"),
    ] {
        assert_eq!(distance(&check(&declined, &other, &[]), Comparison::Refusal), Some(0.0), "{other:?}");
    }
    for other in [text(""), text("Gladly.")] {
        assert_eq!(distance(&check(&declined, &other, &[]), Comparison::Refusal), Some(1.0), "{other:?}");
    }
}

#[test]
fn a_failure_is_compared_in_its_outcome_alone() {
    let failed = |kind| Heard { failure: Some(kind), ..Heard::default() };
    let apart = check(&text("hello"), &failed(FailureKind::TimeoutTotal), &[]);
    assert_eq!(apart.distances.len(), 1);
    assert_eq!(apart.distances[&Comparison::Outcome], (1.0, Some("answered / timeout_total".to_owned())));
    let (one, other) = (failed(FailureKind::TimeoutTotal), failed(FailureKind::TimeoutTotal));
    assert_eq!(distance(&check(&one, &other, &[]), Comparison::Outcome), Some(0.0));
}

#[test]
fn what_was_not_kept_whole_is_not_compared() {
    let cut = Heard { n_bytes: 1 << 20, ..text("hello") };
    let apart = check(&text("hello"), &cut, &[]);
    assert_eq!((apart.not_compared, apart.distances.len()), (Some("too_long"), 1));
    let vectors = heard(json!({ "data": [{ "embedding": [0.1] }] }).to_string());
    assert_eq!(check(&vectors, &vectors, &[]).not_compared, Some("no_text"));
}
