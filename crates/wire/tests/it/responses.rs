//! A caller that speaks Responses, a target that speaks chat completions. Each case is a file under `tests/responses`, with
//! what becomes of it beside it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use expect_test::expect_file;
use wire::failure::Failure;
use wire::openai::{self, Refusal};
use wire::responses::event;
use wire::sse::{Decoder, Event};
use wire::translate::responses::{self, Stream};
use wire::translate::{Context, Fate, Loss, Policy, Translated};

const CONTEXT: Context<'static> =
    Context { id: "0123", created_s: 1_700_000_000, request: br#"{"model":"gpt-4o","input":"Hi"}"# };

/// The cases in a directory, without the files that hold what is expected.
fn cases(directory: &str, extension: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/responses").join(directory);
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    cases.sort();
    assert!(cases.len() > 10);
    cases
}

/// JSON on many lines with every token as it was written.
fn pretty(json: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut after_open = false;
    for c in json.trim().chars() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        if after_open && !matches!(c, '}' | ']') {
            depth += 1;
            write!(out, "\n{}", "  ".repeat(depth)).unwrap();
        }
        match c {
            '}' | ']' if !after_open => {
                depth -= 1;
                write!(out, "\n{}", "  ".repeat(depth)).unwrap();
                out.push(c);
            }
            ',' => write!(out, ",\n{}", "  ".repeat(depth)).unwrap(),
            ':' => out.push_str(": "),
            ' ' | '\n' | '\r' | '\t' => {}
            _ => out.push(c),
        }
        in_string = c == '"';
        after_open = matches!(c, '{' | '[');
    }
    out
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn requests_become_chat_completions() {
    for case in cases("request", "json") {
        let body = std::fs::read(&case).unwrap();
        let Translated { body, changes } = responses::request(&body, &Policy::default(), "qwen").unwrap();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        let mut out = pretty(text(&body));
        out.push('\n');
        for change in changes {
            writeln!(out, "{} {}", change.action.as_str(), change.field).unwrap();
        }
        expect_file![case.with_extension("chat")].assert_eq(&out);
    }
}

#[test]
fn answers_become_responses() {
    for case in cases("answer", "json") {
        let body = std::fs::read(&case).unwrap();
        let failed = case.file_name().unwrap().to_str().unwrap().starts_with("failed_");
        let out = match responses::answer(&body, &CONTEXT) {
            Ok(answer) => {
                serde_json::from_slice::<serde_json::Value>(&answer).unwrap();
                format!("{}\n", pretty(text(&answer)))
            }
            Err(failure) => format!("{failure}\n"),
        };
        assert_eq!(out.starts_with('{'), !failed, "{}", case.display());
        assert!(!out.contains("canary"), "{}: what a provider said about itself stays inside", case.display());
        expect_file![case.with_extension("response")].assert_eq(&out);
    }
}

#[test]
fn a_translated_answer_tells_what_the_answer_told() {
    for case in cases("answer", "json") {
        let body = std::fs::read(&case).unwrap();
        let Ok(translated) = responses::answer(&body, &CONTEXT) else { continue };
        let (chat, response) = (openai::answer::inspect(&body), wire::responses::answer::inspect(&translated));
        assert!(response.valid && response.has_answer && !response.is_error_object, "{}", case.display());
        assert_eq!(response.usage, chat.usage, "{}", case.display());
        let says_stop_for_calls = response.has_call && chat.finish_reason.as_deref() == Some("stop");
        let told = if says_stop_for_calls { Some("tool_calls") } else { chat.finish_reason.as_deref() };
        assert_eq!(response.finish_reason(), told, "{}", case.display());
        for format in [openai::ResponseFormat::Text, openai::ResponseFormat::JsonObject] {
            let one_choice = chat.choices.len() == 1 && chat.choices[0].content.is_some();
            let told = chat.format_valid(&body, format);
            assert!(!one_choice || response.format_valid(&translated, format) == told, "{}", case.display());
        }
    }
}

#[test]
fn a_translated_stream_tells_what_the_stream_told() {
    for case in cases("stream", "sse") {
        let chunks = [Bytes::from(std::fs::read(&case).unwrap())];
        let (out, failure) = relayed(&chunks, &CONTEXT);
        let of_chat: Vec<_> = decoded(&chunks).iter().map(|event| openai::chunk::inspect(&event.data)).collect();
        let told: Vec<_> = decoded(&[out.into()]).iter().map(|event| event::inspect(&event.data)).collect();
        assert!(told.iter().all(|event| event.valid), "{}", case.display());
        let numbers: Vec<_> = told.iter().filter_map(|event| event.sequence_number).collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "{}", case.display());
        assert_eq!(
            told.iter().filter(|event| event.done).count(),
            usize::from(failure.is_none()),
            "{}",
            case.display()
        );
        assert_eq!(told.iter().any(|event| event.error), failure.is_some(), "{}", case.display());
        let Some(last) = told.last().filter(|last| last.done) else { continue };
        let other_choices = case.ends_with("two_choices.sse");
        let said = of_chat.iter().any(|chunk| chunk.has_content);
        assert_eq!(told.iter().any(|event| event.has_content), said || other_choices, "{}", case.display());
        let response = last.response.as_ref().unwrap();
        assert_eq!(response.usage, of_chat.iter().find_map(|chunk| chunk.usage), "{}", case.display());
        assert_eq!(response.has_content, said, "{}", case.display());
    }
}

#[test]
fn streams_become_events_of_responses() {
    for case in cases("stream", "sse") {
        let failed = case.file_name().unwrap().to_str().unwrap().starts_with("failed_");
        let (out, failure) = relayed(&[std::fs::read(&case).unwrap().into()], &CONTEXT);
        assert_eq!(failure.is_some(), failed, "{}", case.display());
        let ends_well = out.contains("\nevent: response.completed\n") || out.contains("\nevent: response.incomplete\n");
        assert_eq!(ends_well, !failed, "{}", case.display());
        assert!(!out.contains("canary"), "{}", case.display());
        expect_file![case.with_extension("events")].assert_eq(&out);
    }
}

#[test]
fn reasoning_is_the_summary_for_a_caller_who_asks_for_one() {
    let context = Context { request: br#"{"model":"gpt-4o","input":"Hi","reasoning":{"summary":"auto"}}"#, ..CONTEXT };
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/responses/stream/reasoning_then_text.sse");
    let (out, failure) = relayed(&[std::fs::read(&case).unwrap().into()], &context);
    assert_eq!(failure, None);
    expect_file!["../responses/stream/reasoning_as_summary.events"].assert_eq(&out);
}

fn decoded(pieces: &[Bytes]) -> Vec<Event> {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    pieces.iter().for_each(|piece| decoder.push(piece.clone(), &mut events).unwrap());
    events.extend(decoder.finish().event);
    events
}

/// What a caller gets of a stream, and why it failed.
fn relayed(pieces: &[Bytes], context: &Context<'_>) -> (String, Option<Failure>) {
    let mut stream = Stream::new(context);
    let mut out = Vec::new();
    let mut run = || -> Result<(), Failure> {
        for event in decoded(pieces) {
            out.extend(stream.event(&event)?);
        }
        out.extend(stream.end()?);
        Ok(())
    };
    let failure = run().err();
    if let Some(failure) = &failure {
        out.extend(stream.fail(&Refusal::of(failure).body));
    }
    assert!(stream.fail(&Refusal::no_such_path("GET", "/").body).is_empty(), "nothing follows the end");
    assert!(stream.end().unwrap().is_empty());
    (String::from_utf8(out).unwrap(), failure)
}

fn check_refusal(fields: &str, policy: &Policy) -> String {
    let body = format!(r#"{{"model":"m","input":"Hi",{fields}}}"#);
    match responses::request(body.as_bytes(), policy, "qwen") {
        Ok(Translated { body, changes }) => {
            let changes: Vec<String> =
                changes.iter().map(|change| format!("{} {}", change.action.as_str(), change.field)).collect();
            format!("{} [{}]", text(&body), changes.join(", "))
        }
        Err(refusal) => {
            assert_eq!(refusal.status, 400);
            let (param, code) = (refusal.body.param.unwrap_or_default(), refusal.body.code.unwrap_or_default());
            format!("{code} {param}: {}", refusal.body.message)
        }
    }
}

/// One thing each that a chat server cannot be told.
const LOST: [&str; 27] = [
    r#""previous_response_id":"resp_1""#,
    r#""conversation":{"id":"conv_1"}"#,
    r#""background":true"#,
    r#""prompt":{"id":"pmpt_1"}"#,
    r#""truncation":"auto""#,
    r#""context_management":[{"type":"compaction"}]"#,
    r#""metadata":{"a":"b"}"#,
    r#""tools":[{"type":"function","name":"f"},{"type":"web_search"}]"#,
    r#""tools":[{"type":"mcp","server_label":"x","server_url":"https://example.com"}],"tool_choice":"required""#,
    r#""tools":[{"type":"apply_patch"}]"#,
    r#""tools":[{"type":"Made Up!"}]"#,
    r#""tools":[{"type":"function","name":"f","defer_loading":true}]"#,
    r#""tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"file_search"}"#,
    r#""text":{"format":{"type":"regex"}}"#,
    r#""reasoning":{"summary":"auto","context":"all_turns"}"#,
    r#""include":["message.output_text.logprobs","web_search_call.results"]"#,
    r#""input":[{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}]"#,
    r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"file_1"}]}]"#,
    r#""input":[{"role":"user","content":[{"type":"input_file","file_url":"https://example.com/a.pdf"}]}]"#,
    r#""input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_video"}]}]"#,
    r#""input":[{"role":"user","content":"a"},{"type":"item_reference","id":"msg_1"}]"#,
    r#""input":[{"role":"user","content":"a"},{"type":"compaction","encrypted_content":"x"}]"#,
    r#""input":[{"role":"user","content":"a"},{"type":"web_search_call","id":"ws_1","status":"completed"}]"#,
    r#""input":[{"role":"user","content":"a"},{"type":"shell_call","call_id":"c"}]"#,
    r#""input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:"}]}]"#,
    r#""input":[{"role":"user","content":"a"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"}]"#,
    r#""input":[{"role":"user","content":"a"},{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"Hm."}]}]"#,
];

#[test]
fn what_cannot_be_carried_over_is_refused_or_dropped_as_the_policy_says() {
    let everything = |fate| Loss::ALL.iter().fold(Policy::default(), |policy, &loss| policy.with(loss, fate));
    let mut out = String::new();
    for fields in LOST {
        writeln!(out, "{fields}").unwrap();
        writeln!(out, "  usual   {}", check_refusal(fields, &Policy::default())).unwrap();
        writeln!(out, "  refused {}", check_refusal(fields, &everything(Fate::Refuse))).unwrap();
        writeln!(out, "  dropped {}", check_refusal(fields, &everything(Fate::Drop))).unwrap();
        assert!(
            responses::request(
                format!(r#"{{"model":"m","input":"Hi",{fields}}}"#).as_bytes(),
                &everything(Fate::Refuse),
                "qwen"
            )
            .is_err(),
            "{fields}"
        );
    }
    expect_file!["../responses/lost.txt"].assert_eq(&out);
}

#[test]
fn what_is_not_as_the_dialect_says_is_refused_with_its_place() {
    let mut out = String::new();
    for fields in [
        r#""input":[]"#,
        r#""input":3"#,
        r#""input":null"#,
        r#""input":["x"]"#,
        r#""input":[{"role":"user"}]"#,
        r#""input":[{"content":"x"}]"#,
        r#""input":[{"role":"user","content":[{"text":"x"}]}]"#,
        r#""input":[{"role":"user","content":[{"type":"input_text"}]}]"#,
        r#""input":[{"role":"user","content":"x"},{"type":"made_up canary"}]"#,
        r#""input":[{"type":"function_call","name":"f","arguments":"{}"}]"#,
        r#""input":[{"type":"function_call_output","call_id":"c"}]"#,
        r#""instructions":[]"#,
        r#""tools":{}"#,
        r#""tools":[{"type":"function"}]"#,
        r#""tools":[{"name":"f"}]"#,
        r#""tool_choice":7"#,
        r#""tool_choice":{"type":"function"}"#,
        r#""tool_choice":{"type":"allowed_tools","mode":"never","tools":[]}"#,
        r#""text":[]"#,
        r#""reasoning":"high""#,
        r#""include":"x""#,
    ] {
        let said = check_refusal(fields, &Policy::default());
        assert!(said.starts_with("invalid_value ") || said.starts_with("unsupported_parameter "), "{said}");
        writeln!(out, "{fields}\n  {said}").unwrap();
    }
    assert!(!out.replace("made_up canary", "").contains("canary"));
    expect_file!["../responses/wrong.txt"].assert_eq(&out);
    let refusal = responses::request(b"{\"model\": canary}", &Policy::default(), "qwen").unwrap_err();
    assert!(!refusal.body.message.contains("canary"));
}

#[test]
fn errors_of_chat_servers_are_in_the_words_of_responses() {
    let mut out = String::new();
    for (status, body) in [
        (
            400,
            r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ),
        (400, r#"{"error":{"message":"bad","param":"messages[0].content[1]"}}"#),
        (400, r#"{"error":{"message":"bad","type":"t","param":"max_completion_tokens","code":400}}"#),
        (400, r#"{"object":"error","message":"bad","type":"BadRequestError","param":null,"code":400}"#),
        (429, r#"{"error":"slow down"}"#),
        (422, r#"{"detail":"x"}"#),
        (500, "<html>canary</html>"),
    ] {
        writeln!(out, "{status} {body}\n    {}", text(&responses::error(status, body.as_bytes()))).unwrap();
    }
    expect_file!["../responses/errors.txt"].assert_eq(&out);
}

#[test]
fn a_request_on_many_lines_does_not_break_the_events() {
    let request = b"{\n  \"model\": \"m\",\r\n  \"input\": \"Hi\",\n  \"text\": {\n    \"verbosity\": \"low\"\n  },\n \"tools\": [\n {\"type\": \"function\",\n \"name\": \"a  b\\n\"}]\n}";
    let context = Context { request, ..CONTEXT };
    let chunk =
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\ndata: \"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let (out, failure) = relayed(&[Bytes::from(chunk)], &context);
    assert_eq!(failure, None);
    for event in out.split("\n\n").filter(|event| !event.is_empty()) {
        assert_eq!(event.lines().count(), 2, "{event}");
    }
    assert!(out.contains(r#""text":{"format":{"type":"text"},"verbosity":"low"},"tool_choice":"auto","tools":[{"type":"function","name":"a  b\n","parameters":null,"strict":null}]"#), "{out}");
}

#[test]
fn a_conversation_goes_on_from_what_was_kept() {
    let first = br#"{"model":"m","input":"One?","instructions":"Old."}"#;
    let whole = br#"{"choices":[{"message":{"content":"One."},"finish_reason":"stop"}]}"#;
    let answer: serde_json::Value = serde_json::from_slice(&responses::answer(whole, &CONTEXT).unwrap()).unwrap();
    let kept = responses::kept(first, answer["output"].to_string().as_bytes()).unwrap();

    let second = br#"{"model":"m","previous_response_id":"resp_0123","input":[{"role":"user","content":"Two?"}],"instructions":"New."}"#;
    assert_eq!(responses::previous_response_id(second).as_deref(), Some("resp_0123"));
    assert_eq!(responses::previous_response_id(first), None);
    let second = responses::prepend(second, &kept).unwrap();
    assert_eq!(responses::previous_response_id(&second), None);
    let Translated { body, changes } = responses::request(&second, &Policy::default(), "qwen").unwrap();
    assert_eq!(
        text(&body),
        r#"{"model":"m","messages":[{"role":"system","content":"New."},{"role":"user","content":"One?"},{"role":"assistant","content":"One."},{"role":"user","content":"Two?"}]}"#
    );
    assert_eq!(changes, []);

    let kept = responses::kept(&second, br#" [ ] "#.trim_ascii()).unwrap();
    let third = responses::prepend(br#"{"model":"m","previous_response_id":"resp_4","input":[]}"#, &kept).unwrap();
    let third: serde_json::Value = serde_json::from_slice(&third).unwrap();
    assert_eq!(third["input"].as_array().unwrap().len(), 3);
    assert_eq!(text(&responses::prepend(br#"{"input":null}"#, b"[]").unwrap()), r#"{"input":[]}"#);
    assert!(responses::kept(first, b"{}").is_none() && responses::kept(b"[", b"[]").is_none());
    assert!(responses::prepend(br#"{"input":3}"#, b"[]").is_err());
}
