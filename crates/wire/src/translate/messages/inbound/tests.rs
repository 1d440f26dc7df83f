use std::fmt::Write;

use expect_test::{ExpectFile, expect, expect_file};

use super::{Stream, answer, request};
use crate::failure::FailureKind;
use crate::translate::messages::support::{CONTEXT, drop_all, fold_messages, pretty, run, shown, value};
use crate::translate::{Context, Policy};

fn check(body: &str, policy: &Policy, expected: ExpectFile) {
    let translated = request(body.as_bytes(), policy, "qwen").unwrap_or_else(|refusal| panic!("{:?}", refusal.body));
    expected.assert_eq(&shown(&translated));
}

#[test]
fn plain_request() {
    check(include_str!("fixtures/plain.json"), &Policy::default(), expect_file!["fixtures/plain.chat.txt"]);
}

#[test]
fn blocks_of_every_kind() {
    check(include_str!("fixtures/blocks.json"), &Policy::default(), expect_file!["fixtures/blocks.chat.txt"]);
}

#[test]
fn tools_their_calls_and_results() {
    check(include_str!("fixtures/tools.json"), &Policy::default(), expect_file!["fixtures/tools.chat.txt"]);
}

#[test]
fn output_format_thinking_and_user() {
    check(include_str!("fixtures/output.json"), &Policy::default(), expect_file!["fixtures/output.chat.txt"]);
}

#[test]
fn whatever_can_be_dropped_is_dropped_and_counted() {
    check(include_str!("fixtures/lost.json"), &drop_all(), expect_file!["fixtures/lost.chat.txt"]);
}

#[test]
fn what_cannot_be_said_in_chat_is_refused_by_its_name() {
    let rest = r#""model":"m","max_tokens":9"#;
    let said = r#""messages":[{"role":"user","content":"x"}]"#;
    let block = |block: &str| format!(r#"{{{rest},"messages":[{{"role":"user","content":[{block}]}}]}}"#);
    let field = |field: &str| format!("{{{rest},{said},{field}}}");
    let bodies = [
        "[]".to_owned(),
        "{".to_owned(),
        format!("{{{said},\"model\":\"m\"}}"),
        format!("{{{rest}}}"),
        format!("{{{rest},\"messages\":[]}}"),
        format!("{{{rest},\"messages\":[{{\"role\":\"tool\",\"content\":\"x\"}}]}}"),
        format!("{{{rest},\"messages\":[{{\"role\":\"user\"}}]}}"),
        format!(r#"{{{rest},"messages":[{{"role":"user","content":"x"}},{{"role":"assistant","content":"Y"}}]}}"#),
        field(r#""tools":[{"name":"a","input_schema":{}},{"type":"web_search_20260318","name":"web_search"}]"#),
        field(r#""tools":[{"name":"a"}]"#),
        field(r#""tools":[{"name":"a","input_schema":{}}],"tool_choice":{"type":"some"}"#),
        field(r#""mcp_servers":[{"type":"url"}]"#),
        field(r#""container":"c_1""#),
        field(r#""inference_geo":"us""#),
        field(r#""output_config":{"format":{"type":"json_object"}}"#),
        format!(r#"{{"model":"m","max_tokens":0,{said}}}"#),
        block(r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#),
        block(r#"{"type":"image"}"#),
        block(r#"{"type":"document","source":{"type":"url","url":"u"}}"#),
        block(r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"tool_reference","tool_name":"x"}]}"#),
        block(r#"{"type":"hologram"}"#),
        block(r#"{"type":"text"}"#),
    ];
    let mut table = String::new();
    for body in &bodies {
        let refusal = request(body.as_bytes(), &Policy::default(), "qwen").unwrap_err();
        assert_eq!(refusal.status, 400);
        writeln!(table, "{}: {}", refusal.body.param.as_deref().unwrap_or("-"), refusal.body.message).unwrap();
    }
    expect![[r#"
        -: We could not parse the JSON body of your request: expected a JSON object (at byte 0).
        -: We could not parse the JSON body of your request: expected a string (at byte 1).
        max_tokens: `max_tokens` is required.
        messages: `messages` is required.
        messages: `messages` must hold at least one message.
        messages.0.role: `messages.0.role` must be `user`, `assistant` or `system`.
        messages.0.content: `messages.0.content` is required.
        messages: `messages` ends with the beginning of the answer, which this model's server does not go on from.
        tools.1: `tools.1` needs a tool that runs at the provider, and this model's server has none.
        tools.0.input_schema: `tools.0.input_schema` is required.
        tool_choice.type: `tool_choice.type` must be `auto`, `any`, `tool` or `none`.
        mcp_servers: `mcp_servers` needs a tool that runs at the provider, and this model's server has none.
        container: `container` names state that this model's server does not keep.
        inference_geo: `inference_geo` asks for a region, which this model's server does not choose by request.
        output_config.format: `output_config.format` must have the type `json_schema` and a `schema`.
        max_tokens: `max_tokens` is 0, which only fills a prompt cache; this model's server has none to fill.
        messages.0.content.0: `messages.0.content.0` names a file kept at another provider; send its content instead.
        messages.0.content.0.source: `messages.0.content.0.source` is required.
        messages.0.content.0: `messages.0.content.0` holds media in a form that this model's server does not take.
        messages.0.content.0.content.0: `messages.0.content.0.content.0` describes a tool in a form that this model's server does not take.
        messages.0.content.0: `messages.0.content.0` holds media in a form that this model's server does not take.
        messages.0.content.0.text: `messages.0.content.0.text` is required.
    "#]].assert_eq(&table);
}

fn asking(request: &'static str) -> Context<'static> {
    Context { request: request.as_bytes(), ..CONTEXT }
}

const PLAIN: &str = r#"{"model":"claude-\"x\"","max_tokens":9}"#;
const THINKS: &str = r#"{"model":"claude-x","thinking":{"type":"adaptive"}}"#;

fn check_answer(body: &str, context: &Context<'_>, expected: ExpectFile) {
    expected.assert_eq(&pretty(&answer(body.as_bytes(), context).unwrap()));
}

#[test]
fn plain_answer() {
    let body = include_str!("fixtures/answer_plain.json");
    check_answer(body, &asking(PLAIN), expect_file!["fixtures/answer_plain.messages.json"]);
    check_answer(body, &asking(THINKS), expect_file!["fixtures/answer_thinks.messages.json"]);
}

#[test]
fn answer_with_calls() {
    let body = include_str!("fixtures/answer_tools.json");
    check_answer(body, &asking(PLAIN), expect_file!["fixtures/answer_tools.messages.json"]);
}

#[test]
fn every_end_of_an_answer_has_a_stop_reason() {
    let call = r#""tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"a\":1,\"b\":\"c"}}]"#;
    let choices = [
        (r#""content":"x""#, r#""finish_reason":"stop""#),
        (r#""content":"x""#, r#""finish_reason":"stop","stop_reason":"END\n""#),
        (r#""content":"x""#, r#""finish_reason":"stop","stop_reason":151645"#),
        (r#""content":"x""#, r#""finish_reason":"stop","matched_stop":"END""#),
        (r#""content":"x""#, r#""finish_reason":"length""#),
        (r#""content":"","refusal":"No.""#, r#""finish_reason":"stop""#),
        (r#""content":"x""#, r#""finish_reason":"content_filter""#),
        (r#""content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#, r#""finish_reason":null"#),
        (r#""content":null"#, r#""finish_reason":"eos""#),
        (call, r#""finish_reason":"length""#),
    ];
    let mut table = String::new();
    for (message, end) in choices {
        let body = format!(r#"{{"choices":[{{"message":{{"role":"assistant",{message}}},{end}}}]}}"#);
        let answer = value(&answer(body.as_bytes(), &asking(PLAIN)).unwrap());
        writeln!(table, "{} {} {}", answer["stop_reason"], answer["stop_sequence"], answer["content"]).unwrap();
    }
    expect![[r#"
        "end_turn" null [{"citations":null,"text":"x","type":"text"}]
        "stop_sequence" "END\n" [{"citations":null,"text":"x","type":"text"}]
        "end_turn" null [{"citations":null,"text":"x","type":"text"}]
        "stop_sequence" "END" [{"citations":null,"text":"x","type":"text"}]
        "max_tokens" null [{"citations":null,"text":"x","type":"text"}]
        "refusal" null [{"citations":null,"text":"No.","type":"text"}]
        "refusal" null [{"citations":null,"text":"x","type":"text"}]
        "end_turn" null [{"citations":null,"text":"ab","type":"text"}]
        "end_turn" null []
        "max_tokens" null [{"caller":{"type":"direct"},"id":"a","input":{"a":1},"name":"f","type":"tool_use"}]
    "#]]
    .assert_eq(&table);
}

#[test]
fn what_is_no_answer_is_a_failure_of_the_target() {
    for (body, kind) in [
        ("<html>", FailureKind::Malformed),
        ("{}", FailureKind::Malformed),
        (r#"{"choices":[]}"#, FailureKind::Malformed),
        (r#"{"error":{"message":"x"}}"#, FailureKind::ErrorInBody),
        (r#"{"object":"error","message":"x"}"#, FailureKind::ErrorInBody),
        (
            r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{"}}]}}]}"#,
            FailureKind::Malformed,
        ),
        (
            r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]}}]}"#,
            FailureKind::Malformed,
        ),
    ] {
        assert_eq!(answer(body.as_bytes(), &asking(PLAIN)).unwrap_err().kind, kind, "{body}");
    }
}

#[test]
fn a_stream_has_the_events_of_the_dialect() {
    let sse = include_str!("fixtures/stream_tools.sse");
    let (out, failure) = run(&mut Stream::new(&asking(THINKS)), sse.as_bytes(), &[]);
    assert_eq!(failure, None);
    expect_file!["fixtures/stream_tools.messages.sse"].assert_eq(std::str::from_utf8(&out).unwrap());
    fold_messages(&out);
}

#[test]
fn calls_whose_pieces_alternate_come_one_after_the_other() {
    let sse = include_str!("fixtures/stream_interleaved.sse");
    let (out, failure) = run(&mut Stream::new(&asking(PLAIN)), sse.as_bytes(), &[]);
    assert_eq!(failure, None);
    expect_file!["fixtures/stream_interleaved.messages.sse"].assert_eq(std::str::from_utf8(&out).unwrap());
    fold_messages(&out);
}

fn check_failure(sse: &str, kind: FailureKind) {
    let (out, failure) = run(&mut Stream::new(&asking(PLAIN)), sse.as_bytes(), &[]);
    assert_eq!(failure.map(|failure| failure.kind), Some(kind), "{sse}");
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains("message_stop"));
    assert!(text.ends_with("\n\n") && text.contains("event: error\ndata: {\"type\":\"error\","), "{text}");
}

#[test]
fn a_stream_that_failed_ends_in_an_error_and_nothing_else() {
    let begun = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    check_failure("", FailureKind::Disconnected);
    check_failure(begun, FailureKind::Disconnected);
    check_failure("data: [DONE]\n\n", FailureKind::Malformed);
    check_failure(&format!("{begun}data: {{\"error\":{{\"message\":\"x\"}}}}\n\n"), FailureKind::ErrorInStream);
    check_failure(&format!("{begun}event: error\ndata: boom\n\n"), FailureKind::ErrorInStream);
    check_failure(&format!("{begun}data: <html>\n\n"), FailureKind::Malformed);
    let call = |arguments: &str, finish: &str| {
        let call = format!(r#"{{"index":0,"id":"a","function":{{"name":"f","arguments":"{arguments}"}}}}"#);
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{call}]}},\"finish_reason\":\"{finish}\"}}]}}\n\ndata: [DONE]\n\n"
        )
    };
    check_failure(&call("null", "tool_calls"), FailureKind::Malformed);
    check_failure(&call("{", "tool_calls"), FailureKind::Malformed);
    let (out, failure) = run(&mut Stream::new(&asking(PLAIN)), call("{", "length").as_bytes(), &[]);
    assert!(failure.is_none() && out.ends_with(b"{\"type\":\"message_stop\"}\n\n"));
}

#[test]
fn nothing_follows_the_end() {
    let sse = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let mut stream = Stream::new(&asking(PLAIN));
    let (out, _) = run(&mut stream, sse.as_bytes(), &[]);
    assert!(!out.is_empty());
    let (more, failure) = run(&mut stream, sse.as_bytes(), &[]);
    assert!(more.is_empty() && failure.is_none());
    assert!(stream.fail(&crate::openai::ErrorBody::new("x", "y")).is_empty());
}

#[test]
fn calls_that_wait_for_others_without_end_are_a_failure() {
    let call = |index: u32, arguments: &str| {
        let function = format!(r#""function":{{"name":"f","arguments":"{arguments}"}}"#);
        format!("data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"index\":{index},{function}}}]}}}}]}}\n\n")
    };
    let piece = "x".repeat(500_000);
    let mut sse = call(0, "{") + &call(1, "{");
    (0..20).for_each(|_| sse += &call(1, &piece));
    check_failure(&sse, FailureKind::Malformed);
    let mut many = String::new();
    (0..1025).for_each(|index| many += &call(index, "{}"));
    check_failure(&many, FailureKind::Malformed);
}
