use super::*;
use ResponseFormat::{JsonObject, JsonSchema, Text};

fn check(format: ResponseFormat, deltas: &[&str]) -> Option<bool> {
    let mut gathered = Accumulator::new();
    for delta in deltas {
        gathered.push(format!(r#"{{"choices":[{delta}]}}"#).as_bytes());
    }
    gathered.push(b"[DONE]");
    gathered.format_valid(format)
}

#[test]
fn content_is_judged_as_a_whole() {
    let parts = [
        r#"{"index":0,"delta":{"role":"assistant","content":""}}"#,
        r#"{"index":0,"delta":{"content":"{\"na"}}"#,
        r#"{"index":0,"delta":{"content":"me\":\"\\"}}"#,
        r#"{"index":0,"delta":{"content":"n\"}"}}"#,
        r#"{"index":0,"delta":{},"finish_reason":"stop"}"#,
    ];
    assert_eq!(check(JsonObject, &parts), Some(true));
    assert_eq!(check(JsonSchema, &parts[..3]), Some(false));
    assert_eq!(check(Text, &parts), None);
    assert_eq!(check(JsonObject, &[]), None);
}

#[test]
fn choices_and_tool_calls_are_kept_apart_by_their_index() {
    let choices = [
        r#"{"index":0,"delta":{"content":"{"}}"#,
        r#"{"index":1,"delta":{"content":"{}"}}"#,
        r#"{"index":0,"delta":{"content":"}"}}"#,
    ];
    assert_eq!(check(JsonObject, &choices), Some(true));
    let calls = [
        r#"{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}}"#,
        r#"{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}}"#,
        r#"{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"[1"}}]}}"#,
        r#"{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}},{"index":1,"function":{"arguments":"]"}}]}}"#,
    ];
    assert_eq!(check(Text, &calls), Some(true));
    assert_eq!(check(JsonObject, &calls), Some(true));
    assert_eq!(check(Text, &calls[..3]), Some(false));
}

#[test]
fn a_refusal_is_not_a_broken_format() {
    assert_eq!(check(JsonObject, &[r#"{"index":0,"delta":{"refusal":"I cannot"}}"#]), None);
}

#[test]
fn too_much_is_not_judged() {
    let huge = format!(r#"{{"index":0,"delta":{{"content":"{}"}}}}"#, "x".repeat(MAX_BYTES));
    assert_eq!(check(JsonObject, &[&huge]), None);
    assert_eq!(check(JsonObject, &[r#"{"index":99999999999999999999,"delta":{"content":"{}"}}"#]), None);
    assert_eq!(
        check(Text, &[r#"{"index":0,"delta":{"tool_calls":[{"index":123456,"function":{"arguments":"{}"}}]}}"#]),
        None
    );
}

#[test]
fn what_is_gathered_does_not_print() {
    let mut gathered = Accumulator::new();
    gathered.push(br#"{"choices":[{"delta":{"content":"canary"}}]}"#);
    assert!(!format!("{gathered:?}").contains("canary"));
}

#[test]
fn no_more_is_gathered_than_there_is_room_for() {
    let events = [
        format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(1000)),
        r#"{"choices":[{"index":120,"delta":{"content":"x"}}]}"#.to_owned(),
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1000,"function":{"arguments":"x"}}]}}]}"#.to_owned(),
    ];
    for event in events {
        let mut gathered = Accumulator::with_limit(1000);
        gathered.push(event.as_bytes());
        assert!(gathered.has_overflown() && gathered.choices.is_empty(), "{event}");
        assert_eq!(gathered.format_valid(JsonObject), None);
    }
}
