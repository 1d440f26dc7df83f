use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Findings, Mender, Plan};
use crate::capability::{BackendKind, Capability, Profile, Treatment};
use crate::record::Endpoint;
use crate::request;
use crate::sse::{Decoder, Event};

const CHAT: &str = r#"{"model":"m","messages":[]}"#;
const TOOLS: &str = r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"get_weather"}}]}"#;
const LEAK: &str = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>";

fn plan(overrides: &[(Capability, Treatment)], request: &str) -> Option<Plan> {
    let endpoint = if request.contains("\"input\"") { Endpoint::Embeddings } else { Endpoint::ChatCompletions };
    let view = request::parse(endpoint, request.as_bytes()).unwrap();
    Plan::of(&Profile::with(BackendKind::Openai, overrides), request.as_bytes(), &view)
}

fn report(findings: &Findings) -> String {
    let each: Vec<String> =
        findings.adaptations("t").map(|change| format!("{} {}", change.field, change.action.as_str())).collect();
    each.join(", ")
}

/// What becomes of a whole answer, and what is reported.
#[track_caller]
fn check(overrides: &[(Capability, Treatment)], request: &str, answer: &str, expected: Expect) {
    let mut findings = Findings::default();
    let plan = plan(overrides, request).expect("something to look at");
    let mended = plan.answer(&Bytes::copy_from_slice(answer.as_bytes()), &mut findings);
    let text = mended.map_or_else(|| "untouched".to_owned(), |mended| String::from_utf8(mended.to_vec()).unwrap());
    if text != "untouched" {
        serde_json::from_str::<Value>(&text).unwrap();
    }
    expected.assert_eq(&format!("{text}\n{}", report(&findings)));
}

fn answer(message: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-Ab1","choices":[{{"index":0,"message":{{"role":"assistant",{message}}},"logprobs":null,"finish_reason":"{finish}"}}]}}"#
    )
}

#[test]
fn nothing_is_looked_at_when_nothing_is_declared() {
    assert_eq!(plan(&[], TOOLS), None);
    assert_eq!(plan(&[(Capability::ToolsAuto, Treatment::Fix)], CHAT), None, "no tools, no calls");
    assert_eq!(plan(&[(Capability::ToolsAuto, Treatment::Refuse)], TOOLS), None, "refused before it is answered");
    assert_eq!(plan(&[(Capability::StreamDone, Treatment::Fix)], CHAT), None, "shows without reading a body");
    let generic = Profile::of(BackendKind::Generic);
    let view = request::parse(Endpoint::ChatCompletions, CHAT.as_bytes()).unwrap();
    assert_eq!(Plan::of(&generic, CHAT.as_bytes(), &view), None, "the common case costs nothing");
}

#[test]
fn leaked_calls_become_calls_or_are_counted() {
    let leaked = answer(&format!("\"content\":{}", json!(LEAK)), "stop");
    check(
        &[(Capability::ToolsAuto, Treatment::Fix)],
        TOOLS,
        &leaked,
        expect![[r#"
            {"id":"chatcmpl-Ab1","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_chatcmplAb10_0","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},"logprobs":null,"finish_reason":"tool_calls"}]}
            tool_calls fixed"#]],
    );
    check(
        &[(Capability::ToolsAuto, Treatment::Count)],
        TOOLS,
        &leaked,
        expect![[r#"
            untouched
            tool_calls counted"#]],
    );
    let after_words = answer(&format!("\"content\":{}", json!(format!("Let me look.\n{LEAK}"))), "stop");
    check(
        &[(Capability::ToolsAuto, Treatment::Fix)],
        TOOLS,
        &after_words,
        expect![[r#"
            {"id":"chatcmpl-Ab1","choices":[{"index":0,"message":{"role":"assistant","content":"Let me look.","tool_calls":[{"id":"call_chatcmplAb10_0","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},"logprobs":null,"finish_reason":"tool_calls"}]}
            tool_calls fixed"#]],
    );
    let plain = answer("\"content\":\"It is sunny.\"", "stop");
    check(
        &[(Capability::ToolsAuto, Treatment::Fix)],
        TOOLS,
        &plain,
        expect![[r#"
        untouched
    "#]],
    );
}

#[test]
fn a_choice_of_tools_that_is_not_kept_to_is_counted() {
    let with = |choice: &str| TOOLS.replace("\"tools\"", &format!("\"tool_choice\":{choice},\"tools\""));
    let count = [
        (Capability::ToolChoiceNamed, Treatment::Count),
        (Capability::ToolChoiceRequired, Treatment::Count),
        (Capability::ToolChoiceNone, Treatment::Count),
        (Capability::ParallelToolCalls, Treatment::Count),
        (Capability::ToolsAuto, Treatment::Count),
    ];
    let plain = answer("\"content\":\"hello\"", "stop");
    let call = r#"{"id":"c","type":"function","function":{"name":"get_weather","arguments":"{}"}}"#;
    let called = answer(&format!("\"content\":null,\"tool_calls\":[{call}]"), "tool_calls");
    let twice = answer(&format!("\"content\":null,\"tool_calls\":[{call},{call}]"), "tool_calls");
    let named = with(r#"{"type":"function","function":{"name":"get_weather"}}"#);
    check(
        &count,
        &named,
        &plain,
        expect![[r#"
        untouched
        tool_choice counted"#]],
    );
    check(
        &count,
        &named,
        &called,
        expect![[r#"
        untouched
    "#]],
    );
    check(
        &count,
        &with("\"required\""),
        &plain,
        expect![[r#"
        untouched
        tool_choice counted"#]],
    );
    check(
        &count,
        &with("\"none\""),
        &called,
        expect![[r#"
        untouched
        tool_choice counted"#]],
    );
    check(
        &count,
        &with("\"none\""),
        &plain,
        expect![[r#"
        untouched
    "#]],
    );
    let one = TOOLS.replace("\"tools\"", "\"parallel_tool_calls\":false,\"tools\"");
    check(
        &count,
        &one,
        &twice,
        expect![[r#"
        untouched
        parallel_tool_calls counted"#]],
    );
    check(
        &count,
        TOOLS,
        &twice,
        expect![[r#"
        untouched
    "#]],
    );
}

#[test]
fn what_a_schema_requires_is_put_in_and_a_call_ends_as_one() {
    let bare = r#"{"id":"x","choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"get_weather","arguments":"{}"}}]}}],"usage":{"prompt_tokens":1}}"#;
    check(
        &[(Capability::AnswerMembers, Treatment::Fix), (Capability::ToolsFinishReason, Treatment::Fix)],
        TOOLS,
        bare,
        expect![[r#"
            {"id":"x","choices":[{"logprobs":null,"finish_reason":"tool_calls","index":0,"message":{"refusal":null,"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"get_weather","arguments":"{}"}}]}}],"usage":{"prompt_tokens":1}}
            choices.members fixed, finish_reason fixed"#]],
    );
    check(
        &[
            (Capability::AnswerMembers, Treatment::Count),
            (Capability::UsageDetails, Treatment::Count),
            (Capability::SystemFingerprint, Treatment::Count),
            (Capability::ToolsFinishReason, Treatment::Count),
        ],
        TOOLS,
        bare,
        expect![[r#"
            untouched
            usage.details counted, system_fingerprint counted, choices.members counted, finish_reason counted"#]],
    );
}

#[test]
fn embeddings_are_flattened_and_encoded() {
    let request = r#"{"model":"m","input":"a","encoding_format":"base64"}"#;
    let nested = r#"{"object":"list","data":[{"index":0,"embedding":[[1.0,2.0],[3.0,0.0]]}],"usage":{}}"#;
    check(
        &[(Capability::Embeddings, Treatment::Fix)],
        &request.replace("base64", "float"),
        nested,
        expect![[r#"
            {"object":"list","data":[{"index":0,"embedding":[2.0,1.0]}],"usage":{}}
            embedding fixed"#]],
    );
    // 2.0 and 1.0 are 00 00 00 40 and 00 00 80 3f.
    check(
        &[(Capability::Embeddings, Treatment::Fix)],
        request,
        nested,
        expect![[r#"
            {"object":"list","data":[{"index":0,"embedding":"AAAAQAAAgD8="}],"usage":{}}
            embedding fixed"#]],
    );
    let flat = r#"{"data":[{"embedding":[2,1]},{"embedding":[1.0,1.0]}]}"#;
    check(
        &[(Capability::EmbeddingsBase64, Treatment::Fix)],
        request,
        flat,
        expect![[r#"
            {"data":[{"embedding":"AAAAQAAAgD8="},{"embedding":"AACAPwAAgD8="}]}
            encoding_format fixed"#]],
    );
    check(
        &[(Capability::EmbeddingsDimensions, Treatment::Count), (Capability::EmbeddingsBatch, Treatment::Count)],
        r#"{"model":"m","input":["a","b"],"dimensions":8}"#,
        r#"{"data":[{"embedding":[2,1]}]}"#,
        expect![[r#"
            untouched
            input counted, dimensions counted"#]],
    );
}

#[test]
fn every_envelope_becomes_the_dialects() {
    let plan = plan(&[(Capability::ErrorEnvelope, Treatment::Fix), (Capability::ContextLength, Treatment::Fix)], CHAT);
    let plan = plan.unwrap();
    let mut table = String::new();
    for (status, body) in [
        (400, r#"{"error":{"code":400,"message":"'messages' is required","type":"invalid_request_error"}}"#),
        (400, r#"{"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_ctx":2048}}"#),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}"#,
        ),
        (400, r#"{"object":"error","message":"no","type":"BadRequestError","param":"n","code":400}"#),
        (422, r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]}"#),
        (404, r#"{"detail":"Not Found"}"#),
        (422, r#"{"error":"`inputs` must not be empty","error_type":"validation"}"#),
        (500, "Internal Server Error"),
        (400, r#"{"error":{"message":"m","type":"t","param":null,"code":null}}"#),
    ] {
        let mut findings = Findings::default();
        let mended = plan.refusal(status, body.as_bytes(), &mut findings);
        let text = mended.map_or_else(|| "untouched".to_owned(), |body| String::from_utf8(body.to_vec()).unwrap());
        table += &format!("{text}  {}\n", report(&findings));
    }
    expect![[r#"
        {"error":{"message":"'messages' is required","type":"invalid_request_error","param":null,"code":null}}  error fixed
        {"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}  error.code fixed, error fixed
        {"error":{"message":"This model's maximum context length is 4096 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}  error.code fixed, error fixed
        {"error":{"message":"no","type":"BadRequestError","param":"n","code":null}}  error fixed
        {"error":{"message":"Field required","type":"invalid_request_error","param":"messages","code":null}}  error fixed
        {"error":{"message":"Not Found","type":"invalid_request_error","param":null,"code":null}}  error fixed
        {"error":{"message":"`inputs` must not be empty","type":"validation","param":null,"code":null}}  error fixed
        {"error":{"message":"Internal Server Error","type":"server_error","param":null,"code":null}}  error fixed
        untouched  
    "#]]
    .assert_eq(&table);
}

#[test]
fn refusals_of_embeddings_get_the_envelope_too() {
    let plan = plan(&[(Capability::ErrorEnvelope, Treatment::Fix)], r#"{"model":"m","input":"a"}"#).unwrap();
    let mended = plan.refusal(400, br#"{"detail":"no"}"#, &mut Findings::default());
    assert!(mended.is_some_and(|body| body.starts_with(br#"{"error":{"message":"no""#)));
}

/// Chunks of these deltas, the last with this finish reason.
fn stream(deltas: &[Value], finish: &str) -> Vec<u8> {
    let mut text = String::new();
    let chunk = |delta: &Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "chatcmpl-Ab1", "choices": [choice], "model": "m"}))
    };
    deltas.iter().for_each(|delta| text += &chunk(delta, Value::Null));
    text += &chunk(&json!({}), finish.into());
    text += "data: [DONE]\n\n";
    text.into_bytes()
}

fn words(text: &str, n: usize) -> Vec<Value> {
    let letters: Vec<char> = text.chars().collect();
    let first = json!({"role": "assistant", "content": ""});
    let rest = letters.chunks(n).map(|piece| json!({"content": piece.iter().collect::<String>()}));
    std::iter::once(first).chain(rest).collect()
}

fn events(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    Decoder::new().push(Bytes::copy_from_slice(bytes), &mut events).unwrap();
    events
}

fn mend(overrides: &[(Capability, Treatment)], request: &str, bytes: &[u8]) -> (Vec<Event>, String) {
    let request = request.replace("\"messages\"", "\"stream\":true,\"messages\"");
    let mut mender = Mender::new(plan(overrides, &request).unwrap());
    let mut out = Vec::new();
    for event in events(bytes) {
        mender.event(event, &mut out);
    }
    mender.end(&mut out);
    let report = report(mender.findings());
    (out, report)
}

/// What an SDK joins of a stream: the text, the calls' names and arguments, the finish reason, and whether it is done.
fn joined(events: &[Event]) -> (String, Vec<(String, String)>, Option<String>, bool) {
    let (mut text, mut calls, mut finish, mut done) = (String::new(), Vec::<(String, String)>::new(), None, false);
    for event in events {
        if &event.data[..] == b"[DONE]" {
            done = true;
            continue;
        }
        let chunk: Value = serde_json::from_slice(&event.data).unwrap();
        assert_eq!(chunk["id"], "chatcmpl-Ab1");
        let choice = &chunk["choices"][0];
        text += choice["delta"]["content"].as_str().unwrap_or_default();
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if calls.len() <= index {
                calls.resize(index + 1, (String::new(), String::new()));
            }
            calls[index].0 += call["function"]["name"].as_str().unwrap_or_default();
            calls[index].1 += call["function"]["arguments"].as_str().unwrap_or_default();
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            assert_eq!(finish, None, "two finish reasons");
            finish = Some(reason.to_owned());
        }
    }
    (text, calls, finish, done)
}

const FIX: [(Capability, Treatment); 2] =
    [(Capability::ToolsAuto, Treatment::Fix), (Capability::ToolsStream, Treatment::Fix)];

#[test]
fn a_streamed_leak_becomes_calls_however_it_is_cut() {
    for n in [1, 2, 3, 7, 16, 1000] {
        for before in ["", "Let me look.\n"] {
            let bytes = stream(&words(&format!("{before}{LEAK}"), n), "stop");
            let (out, report) = mend(&FIX, TOOLS, &bytes);
            let (text, calls, finish, done) = joined(&out);
            assert_eq!(text.trim_end(), before.trim_end(), "cut into {n}");
            assert_eq!(calls, [("get_weather".to_owned(), "{\"city\":\"Paris\"}".to_owned())], "cut into {n}");
            assert_eq!((finish.as_deref(), done), (Some("tool_calls"), true), "cut into {n}");
            assert_eq!(report, "stream.tool_calls fixed");
        }
    }
}

#[test]
fn a_stream_without_a_leak_goes_through_byte_for_byte() {
    for text in ["It is sunny in Paris.", "a < b", "Use `functools` for it", "[1] is a list", "✓ 日本語"] {
        for n in [1, 4, 1000] {
            let bytes = stream(&words(text, n), "stop");
            let (out, report) = mend(&FIX, TOOLS, &bytes);
            assert_eq!(joined(&out).0, text);
            assert_eq!(report, "");
        }
    }
    let bytes = stream(&words("It is sunny in Paris today.", 1000), "stop");
    let (out, _) = mend(&FIX, TOOLS, &bytes);
    let raw: Vec<u8> = out.iter().flat_map(|event| event.raw.to_vec()).collect();
    assert_eq!(String::from_utf8(raw).unwrap(), String::from_utf8(bytes).unwrap());
}

#[test]
fn a_leak_that_is_only_counted_and_a_call_that_is_real_are_left_as_they_are() {
    let bytes = stream(&words(LEAK, 5), "stop");
    let (out, report) = mend(&[(Capability::ToolsAuto, Treatment::Count)], TOOLS, &bytes);
    let raw: Vec<u8> = out.iter().flat_map(|event| event.raw.to_vec()).collect();
    assert_eq!((raw, report.as_str()), (bytes, "tool_calls counted"));
    let head = json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "get_weather", "arguments": ""}}]});
    let tail = json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]});
    let bytes = stream(&[json!({"role": "assistant", "content": null}), head, tail], "stop");
    let fix = [FIX[0], FIX[1], (Capability::ToolsFinishReason, Treatment::Fix)];
    let (out, report) = mend(&fix, TOOLS, &bytes);
    let (_, calls, finish, _) = joined(&out);
    assert_eq!((calls.len(), finish.as_deref(), report.as_str()), (1, Some("tool_calls"), "finish_reason fixed"));
}

#[test]
fn parts_of_calls_that_sdks_would_join_wrongly_are_put_right() {
    let part = |id: &str, name: &str, arguments: &str, index: Option<u64>| {
        let mut part = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        if let Some(index) = index {
            part["index"] = index.into();
        }
        json!({"tool_calls": [part]})
    };
    for index in [Some([0, 0, 1]), None] {
        let at = |place: usize| index.map(|index| index[place]);
        let parts = [
            part("a", "get_weather", "{\"city\":", at(0)),
            part("a", "get_weather", "1}", at(1)),
            part("b", "get_weather", "{}", at(2)),
        ];
        let (out, report) = mend(&FIX, TOOLS, &stream(&parts, "tool_calls"));
        let (_, calls, finish, _) = joined(&out);
        let name = "get_weather".to_owned();
        assert_eq!(calls, [(name.clone(), "{\"city\":1}".to_owned()), (name, "{}".to_owned())]);
        assert_eq!((finish.as_deref(), report.as_str()), (Some("tool_calls"), "stream.tool_calls fixed"));
    }
}

#[test]
fn a_usage_in_the_wrong_place_gets_a_chunk_of_its_own() {
    let chunk = |rest: &str| format!("data: {{\"id\":\"chatcmpl-Ab1\",\"choices\":[{rest}}}\n\n");
    let first = chunk("{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]");
    let last = chunk("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"total_tokens\":3}");
    let stream = format!("{first}{last}data: [DONE]\n\n");
    let (out, report) = mend(&[(Capability::StreamUsage, Treatment::Fix)], CHAT, stream.as_bytes());
    let text: String = out.iter().map(|event| String::from_utf8_lossy(&event.raw).into_owned()).collect();
    let alone = chunk("],\"usage\":{\"total_tokens\":3}");
    assert_eq!(text, format!("{first}{}{alone}data: [DONE]\n\n", last.replace(",\"usage\":{\"total_tokens\":3}", "")));
    assert_eq!(report, "stream.usage fixed");
}

#[test]
fn a_stream_that_is_cut_says_what_was_held() {
    let whole = stream(&words("Let me look <tool_c", 6), "stop");
    let cut = events(&whole);
    let mut mender = Mender::new(plan(&FIX, TOOLS).unwrap());
    let mut out = Vec::new();
    for event in cut.into_iter().take(5) {
        mender.event(event, &mut out);
    }
    mender.end(&mut out);
    assert_eq!(joined(&out).0, "Let me look <tool_c");
}

#[test]
fn a_text_of_any_length_is_looked_at_in_passing() {
    let long = "word ".repeat(100_000);
    let (out, _) = mend(&FIX, TOOLS, &stream(&words(&long, 50), "stop"));
    assert_eq!(joined(&out).0, long);
    let endless = format!("<tool_call>{}", "x".repeat(super::stream::MAX_HELD + 10));
    let (out, _) = mend(&FIX, TOOLS, &stream(&words(&endless, 500), "stop"));
    assert_eq!(joined(&out).0, endless);
}

proptest! {
    #[test]
    fn no_text_is_lost(text in "[a-z<>|_\\[\\]{}\"`\n ]{0,120}", n in 1_usize..9) {
        let (out, _) = mend(&FIX, TOOLS, &stream(&words(&text, n), "stop"));
        let (joined, calls, ..) = joined(&out);
        prop_assert!(calls.is_empty());
        prop_assert_eq!(joined, text);
    }
}
