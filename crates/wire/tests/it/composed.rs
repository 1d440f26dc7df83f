//! Two pairs one after the other: a caller that speaks Responses, a target that speaks Messages, chat completions between them.

use bytes::Bytes;
use expect_test::expect;
use serde_json::Value;
use wire::failure::Failure;
use wire::openai::Refusal;
use wire::sse::{Decoder, Event};
use wire::translate::messages::outbound::{self, Claude};
use wire::translate::{Context, Policy, responses};

const REQUEST: &[u8] = br#"{"model":"claude","instructions":"Be brief.","max_output_tokens":100,"stream":true,"reasoning":{"effort":"low","summary":"auto"},
    "tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{"z":{},"a":{}}}}],
    "input":[{"role":"user","content":"Hi"},{"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"z\":1}"},
        {"type":"function_call_output","call_id":"call_1","output":"12"}]}"#;

const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_a","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"usage":{"input_tokens":9,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"12 \"degrees\"."}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"z\":2}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":7}}

event: message_stop
data: {"type":"message_stop"}

"#;

const WHOLE: &[u8] = br#"{"id":"msg_a","type":"message","role":"assistant","model":"claude-x","stop_reason":"tool_use","content":[
    {"type":"thinking","thinking":"Hm.","signature":"s"},{"type":"text","text":"12 \"degrees\"."},{"type":"tool_use","id":"toolu_1","name":"f","input":{"z":2}}],
    "usage":{"input_tokens":9,"output_tokens":7}}"#;

fn chat_request() -> Bytes {
    responses::request(REQUEST, &Policy::default(), "claude").unwrap().body
}

fn context(request: &[u8]) -> Context<'_> {
    Context { id: "0123", created_s: 1_700_000_000, request }
}

fn events(bytes: impl Into<Bytes>) -> Vec<Event> {
    let mut events = Vec::new();
    Decoder::new().push(bytes.into(), &mut events).unwrap();
    events
}

/// The data of what the caller gets of the target's `stream`.
fn relayed(stream: &'static str) -> Vec<Value> {
    let chat = chat_request();
    let (mut first, mut second) = (outbound::Stream::new(&context(&chat)), responses::Stream::new(&context(REQUEST)));
    let mut out = Vec::new();
    let mut run = || -> Result<(), Failure> {
        let mut forward = |bytes: Vec<u8>| -> Result<(), Failure> {
            events(bytes).iter().try_for_each(|event| second.event(event).map(|bytes| out.extend(bytes)))
        };
        for event in events(stream) {
            forward(first.event(&event)?)?;
        }
        forward(first.end()?)?;
        out.extend(second.end()?);
        Ok(())
    };
    let failed = run();
    if let Err(failure) = failed {
        out.extend(second.fail(&Refusal::of(&failure).body));
    }
    events(out).iter().map(|event| serde_json::from_slice(&event.data).unwrap()).collect()
}

#[test]
fn a_responses_request_reaches_a_target_that_speaks_messages() {
    let claude = Claude { max_tokens: 1000, ..Claude::default() };
    let request = outbound::request(&chat_request(), &Policy::default(), "claude", &claude).unwrap();
    expect![[r#"{"model":"claude","max_tokens":100,"system":"Be brief.","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"f","input":{"z":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"12"}]}],"tools":[{"name":"f","input_schema":{"type":"object","properties":{"z":{},"a":{}}}}],"output_config":{"effort":"low"},"stream":true}"#]]
        .assert_eq(std::str::from_utf8(&request.body).unwrap());
}

#[test]
fn its_answer_comes_back_the_same_streamed_or_whole() {
    let whole = outbound::answer(WHOLE, &context(&chat_request())).unwrap();
    let whole: Value = serde_json::from_slice(&responses::answer(&whole, &context(REQUEST)).unwrap()).unwrap();
    let events = relayed(STREAM);
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    assert_eq!(events.last().unwrap()["response"], whole);
    expect![[r#"[{"call_id":null,"type":"reasoning"},{"call_id":null,"type":"message"},{"call_id":"toolu_1","type":"function_call"}] {"input_tokens":9,"input_tokens_details":{"cache_write_tokens":0,"cached_tokens":0},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":16}"#]]
    .assert_eq(&{
        let items: Vec<Value> = whole["output"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| serde_json::json!({"type": item["type"], "call_id": item["call_id"]}))
            .collect();
        format!("{} {}", serde_json::json!(items), whole["usage"])
    });
}

#[test]
fn a_cut_on_the_way_reaches_the_caller_as_a_failure() {
    let (before, _) = STREAM.split_at(STREAM.find("event: message_delta").unwrap());
    let events = relayed(before);
    let last: Vec<_> = events.iter().rev().take(2).map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(last, ["error", "response.failed"]);
    assert!(events.iter().all(|event| event["type"] != "response.completed"));
}

#[test]
fn an_error_comes_back_in_the_callers_envelope() {
    let error = br#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}"#;
    let error = responses::error(400, &outbound::error(400, error));
    expect![[r#"{"error":{"message":"max_tokens: too large","type":"invalid_request_error","param":"max_output_tokens","code":null}}"#]]
    .assert_eq(std::str::from_utf8(&error).unwrap());
}
