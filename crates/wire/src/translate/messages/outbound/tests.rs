use std::fmt::Write;

use expect_test::{ExpectFile, expect, expect_file};

use super::{Claude, Stream, answer, request};
use crate::failure::FailureKind;
use crate::translate::messages::support::{CONTEXT, drop_all, fold_chat, pretty, run, shown, value};
use crate::translate::{Context, Policy};

fn check(body: &str, policy: &Policy, claude: &Claude, expected: ExpectFile) {
    let translated = request(body.as_bytes(), policy, "claude", claude);
    expected.assert_eq(&shown(&translated.unwrap_or_else(|refusal| panic!("{:?}", refusal.body))));
}

#[test]
fn plain_request() {
    let body = include_str!("fixtures/plain.json");
    let claude = Claude::default();
    check(body, &Policy::default(), &claude, expect_file!["fixtures/plain.messages.txt"]);
    let older = Claude { sampling: true, max_tokens: 100 };
    check(body, &Policy::default(), &older, expect_file!["fixtures/plain_sampled.messages.txt"]);
    assert_eq!((claude.version(), older.version()), ("2026-10-21", "2023-06-01"));
}

#[test]
fn roles_in_every_order_and_parts_of_every_kind() {
    let body = include_str!("fixtures/roles.json");
    check(body, &Policy::default(), &Claude::default(), expect_file!["fixtures/roles.messages.txt"]);
}

#[test]
fn tools_their_calls_and_results() {
    let body = include_str!("fixtures/tools.json");
    check(body, &Policy::default(), &Claude::default(), expect_file!["fixtures/tools.messages.txt"]);
}

#[test]
fn functions_from_before_there_were_tools() {
    let body = include_str!("fixtures/functions.json");
    check(body, &Policy::default(), &Claude::default(), expect_file!["fixtures/functions.messages.txt"]);
}

#[test]
fn whatever_can_be_dropped_is_dropped_and_counted() {
    let body = include_str!("fixtures/lost.json");
    check(body, &drop_all(), &Claude::default(), expect_file!["fixtures/lost.messages.txt"]);
}

#[test]
fn what_cannot_be_said_in_messages_is_refused_by_its_name() {
    let said = r#""model":"m","messages":[{"role":"user","content":"x"}]"#;
    let field = |field: &str| format!("{{{said},{field}}}");
    let messages = |messages: &str| format!(r#"{{"model":"m","messages":[{messages}]}}"#);
    let part = |part: &str| messages(&format!(r#"{{"role":"user","content":[{part}]}}"#));
    let call = |arguments: &str| {
        messages(&format!(
            r#"{{"role":"assistant","tool_calls":[{{"id":"a","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#
        ))
    };
    let bodies = [
        "[]".to_owned(),
        r#"{"messages":[]}"#.to_owned(),
        r#"{"model":"m"}"#.to_owned(),
        messages(r#"{"role":"narrator","content":"x"}"#),
        messages(r#"{"role":"user","content":3}"#),
        messages(r#"{"role":"tool","content":"x"}"#),
        messages(r#"{"role":"user","content":"x"},{"role":"assistant","content":"The answer is"}"#),
        part(r#"{"type":"input_audio","input_audio":{}}"#),
        part(r#"{"type":"file","file":{"file_id":"f"}}"#),
        part(r#"{"type":"file","file":{"file_data":"data:text/csv;base64,eA=="}}"#),
        part(r#"{"type":"image_url","image_url":{"url":"data:image/png,raw"}}"#),
        part(r#"{"type":"image_url","image_url":{}}"#),
        call("{"),
        call("null"),
        field(r#""n":2"#),
        field(r#""logprobs":true"#),
        field(r#""top_logprobs":2"#),
        field(r#""logit_bias":{"1":2}"#),
        field(r#""response_format":{"type":"json_object"}"#),
        field(r#""response_format":{"type":"json_schema"}"#),
        field(r#""stop":"\n""#),
        field(r#""tools":[{"type":"custom","custom":{"name":"x"}}]"#),
        field(r#""tool_choice":"maybe""#),
        field(r#""web_search_options":{}"#),
        field(r#""modalities":["audio"]"#),
    ];
    let mut table = String::new();
    for body in &bodies {
        let refusal = request(body.as_bytes(), &Policy::default(), "claude", &Claude::default()).unwrap_err();
        assert_eq!(refusal.status, 400);
        writeln!(table, "{}: {}", refusal.body.param.as_deref().unwrap_or("-"), refusal.body.message).unwrap();
    }
    expect![[r#"
        -: We could not parse the JSON body of your request: expected a JSON object (at byte 0).
        model: `model` is required.
        messages: `messages` is required.
        messages[0].role: `messages[0].role` must be `system`, `developer`, `user`, `assistant`, `tool` or `function`.
        messages[0].content: `messages[0].content` must be a string or a list of parts.
        messages[0].tool_call_id: `messages[0].tool_call_id` is required.
        messages: `messages` ends with the beginning of the answer, which this model's server does not go on from.
        messages[0].content[0]: `messages[0].content[0]` holds media in a form that this model's server does not take.
        messages[0].content[0]: `messages[0].content[0]` names a file kept at another provider; send its content instead.
        messages[0].content[0]: `messages[0].content[0]` holds media in a form that this model's server does not take.
        messages[0].content[0]: `messages[0].content[0]` holds media in a form that this model's server does not take.
        messages[0].content[0].image_url.url: `messages[0].content[0].image_url.url` is required.
        messages[0].tool_calls[0].function.arguments: `messages[0].tool_calls[0].function.arguments` must be a JSON object in a string.
        messages[0].tool_calls[0].function.arguments: `messages[0].tool_calls[0].function.arguments` must be a JSON object in a string.
        n: `n` asks for several answers, and this model's server gives one.
        logprobs: `logprobs` asks for log probabilities, which this model's server does not give.
        top_logprobs: `top_logprobs` asks for log probabilities, which this model's server does not give.
        logit_bias: `logit_bias` holds token ids, which mean something else to this model.
        response_format: `response_format` asks for a format that this model's server cannot promise.
        response_format.json_schema.schema: `response_format.json_schema.schema` is required.
        stop: `stop` asks for a format that this model's server cannot promise.
        tools[0]: `tools[0]` describes a tool in a form that this model's server does not take.
        tool_choice: `tool_choice` is none of the choices there are.
        web_search_options: `web_search_options` needs a tool that runs at the provider, and this model's server has none.
        modalities: `modalities` holds media in a form that this model's server does not take.
    "#]].assert_eq(&table);
}

#[test]
fn every_choice_of_a_tool() {
    let mut table = String::new();
    for choice in [
        r#""parallel_tool_calls":true"#,
        r#""parallel_tool_calls":false"#,
        r#""tool_choice":"auto""#,
        r#""tool_choice":"none","parallel_tool_calls":false"#,
        r#""tool_choice":"required","parallel_tool_calls":false"#,
        r#""tool_choice":{"type":"function","function":{"name":"f"}}"#,
        r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
        r#""tool_choice":null"#,
    ] {
        let tools =
            r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]"#;
        let body =
            format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],{tools},{choice}}}"#);
        let translated = request(body.as_bytes(), &Policy::default(), "claude", &Claude::default()).unwrap();
        let body = value(&translated.body);
        let names = body["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap());
        writeln!(table, "{} {}", names.collect::<String>(), body["tool_choice"]).unwrap();
    }
    expect![[r#"
        fg null
        fg {"disable_parallel_tool_use":true,"type":"auto"}
        fg {"type":"auto"}
        fg {"type":"none"}
        fg {"disable_parallel_tool_use":true,"type":"any"}
        fg {"name":"f","type":"tool"}
        f {"type":"auto"}
        fg null
    "#]]
    .assert_eq(&table);
}

fn asking(request: &'static str) -> Context<'static> {
    Context { request: request.as_bytes(), ..CONTEXT }
}

const PLAIN: &str = r#"{"model":"gpt-\"4o\""}"#;
const USAGE: &str = r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}"#;
const FUNCTIONS: &str = r#"{"model":"gpt-4o","functions":[]}"#;

fn check_answer(body: &str, context: &Context<'_>, expected: ExpectFile) {
    expected.assert_eq(&pretty(&answer(body.as_bytes(), context).unwrap()));
}

#[test]
fn plain_answer() {
    let body = include_str!("fixtures/answer_plain.json");
    check_answer(body, &asking(PLAIN), expect_file!["fixtures/answer_plain.chat.json"]);
}

#[test]
fn answer_with_calls() {
    let body = include_str!("fixtures/answer_tools.json");
    check_answer(body, &asking(PLAIN), expect_file!["fixtures/answer_tools.chat.json"]);
    check_answer(body, &asking(FUNCTIONS), expect_file!["fixtures/answer_function.chat.json"]);
}

#[test]
fn every_stop_reason_has_a_finish_reason() {
    let mut table = String::new();
    for stop in [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
        "a_new_one",
    ] {
        let body = format!(r#"{{"content":[],"stop_reason":"{stop}"}}"#);
        let answer = value(&answer(body.as_bytes(), &asking(PLAIN)).unwrap());
        writeln!(table, "{stop} {}", answer["choices"][0]["finish_reason"]).unwrap();
    }
    expect![[r#"
        end_turn "stop"
        max_tokens "length"
        stop_sequence "stop"
        tool_use "tool_calls"
        pause_turn "length"
        refusal "content_filter"
        model_context_window_exceeded "length"
        a_new_one "stop"
    "#]]
    .assert_eq(&table);
}

#[test]
fn what_is_no_answer_is_a_failure_of_the_target() {
    for (body, kind) in [
        ("<html>", FailureKind::Malformed),
        ("{}", FailureKind::Malformed),
        (r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#, FailureKind::ErrorInBody),
        (r#"{"content":[{"type":"tool_use"}]}"#, FailureKind::Malformed),
    ] {
        assert_eq!(answer(body.as_bytes(), &asking(PLAIN)).unwrap_err().kind, kind, "{body}");
    }
}

#[test]
fn a_stream_has_the_chunks_of_the_dialect() {
    let sse = include_str!("fixtures/stream_tools.sse");
    for (context, expected) in [
        (asking(PLAIN), expect_file!["fixtures/stream_tools.chat.sse"]),
        (asking(USAGE), expect_file!["fixtures/stream_tools_usage.chat.sse"]),
        (asking(FUNCTIONS), expect_file!["fixtures/stream_function.chat.sse"]),
    ] {
        let (out, failure) = run(&mut Stream::new(&context), sse.as_bytes(), &[]);
        assert_eq!(failure, None);
        expected.assert_eq(std::str::from_utf8(&out).unwrap());
        if context.request != FUNCTIONS.as_bytes() {
            fold_chat(&out);
        }
    }
}

#[test]
fn a_stream_that_failed_ends_in_an_error_and_nothing_else() {
    let whole = include_str!("fixtures/stream_tools.sse");
    let error = |kind: &str| {
        format!("event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"x\"}}}}\n\n")
    };
    let begun = &whole[..whole.find("event: content_block_stop").unwrap()];
    for (sse, kind) in [
        (String::new(), FailureKind::Disconnected),
        (begun.to_owned(), FailureKind::Disconnected),
        (whole[..whole.find("event: message_stop").unwrap()].to_owned(), FailureKind::Disconnected),
        (begun.to_owned() + &error("overloaded_error"), FailureKind::ErrorInStream),
        (begun.to_owned() + &error("rate_limit_error"), FailureKind::RateLimited),
        (begun.to_owned() + "event: error\ndata: boom\n\n", FailureKind::ErrorInStream),
        (begun.to_owned() + "data: <html>\n\n", FailureKind::Malformed),
        ("data: {\"type\":\"message_stop\"}\n\n".to_owned(), FailureKind::Malformed),
        (
            "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"x\"}}\n\n".to_owned(),
            FailureKind::Malformed,
        ),
    ] {
        let mut stream = Stream::new(&asking(USAGE));
        let (out, failure) = run(&mut stream, sse.as_bytes(), &[]);
        assert_eq!(failure.map(|failure| failure.kind), Some(kind), "{sse}");
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("[DONE]"));
        assert!(text.lines().rfind(|line| !line.is_empty()).unwrap().starts_with("data: {\"error\":{"));
        assert!(run(&mut stream, whole.as_bytes(), &[]).0.is_empty());
    }
}
