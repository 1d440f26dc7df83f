use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn check(endpoint: Endpoint, body: &str, expected: &Expect) {
    expected.assert_eq(&show(endpoint, body));
}

fn show(endpoint: Endpoint, body: &str) -> String {
    let view = match parse(endpoint, body.as_bytes()) {
        Ok(view) => view,
        Err(error) => return format!("{error} [{}]\n", error.param.unwrap_or("-")),
    };
    let mut out = String::new();
    let at = |range: &Range<usize>| body[range.clone()].to_owned();
    writeln!(out, "model {} {}", view.model, at(&view.model_range)).unwrap();
    writeln!(out, "stream {} usage {}", view.stream, view.wants_usage()).unwrap();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(out, "{name} {value}").unwrap();
        }
    };
    line("user", view.user.clone());
    line("conversation", view.conversation_id.clone());
    line("messages", view.messages.as_ref().map(at));
    line("prefix", view.conversation_prefix.as_ref().map(at));
    line("system", view.system.as_ref().and_then(|s| s.content.as_ref()).map(|c| at(&c.range)));
    line("input", view.input.as_ref().map(at));
    line("max_tokens", view.max_tokens.map(|n| n.to_string()));
    line("max_completion_tokens", view.max_completion_tokens.map(|n| n.to_string()));
    line("n", view.n.map(|n| n.to_string()));
    line("tools", view.tools.as_ref().map(at));
    line("format", view.has_format().then(|| format!("{:?}", view.response_format)));
    line("store", view.store.map(|s| s.to_string()));
    out
}

#[test]
fn every_field_crossfade_reads_is_found() {
    check(
        Endpoint::ChatCompletions,
        r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"user":"u\u002d1",
            "metadata":{"x":"y","conversation_id":"c-9"},"max_tokens":10,"max_completion_tokens":20,"n":2,"store":false,
            "tools":[{"type":"function"}],"response_format":{"type":"json_schema","json_schema":{"type":"object"}},
            "messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}"#,
        &expect![[r#"
            model gpt-4o "gpt-4o"
            stream true usage true
            user u-1
            conversation c-9
            messages [{"role":"system","content":"be brief"},{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]
            prefix [{"role":"system","content":"be brief"},{"role":"user","content":"hi"}
            system "be brief"
            max_tokens 10
            max_completion_tokens 20
            n 2
            tools [{"type":"function"}]
            format JsonSchema
            store false
        "#]],
    );
}

#[test]
fn what_is_null_or_missing_is_not_there() {
    check(
        Endpoint::ChatCompletions,
        r#"{"messages":[],"model":"m","stream":null,"stream_options":null,"user":null,"metadata":null,"max_tokens":null,
            "n":null,"tools":null,"response_format":null,"store":null,"unknown":{"model":"x"}}"#,
        &expect![[r#"
            model m "m"
            stream false usage false
            messages []
            prefix []
        "#]],
    );
}

#[test]
fn an_embeddings_request_has_an_input_and_no_messages() {
    check(
        Endpoint::Embeddings,
        r#"{"model":"e","input":["a",[1,2]],"encoding_format":"base64"}"#,
        &expect![[r#"
        model e "e"
        stream false usage false
        input ["a",[1,2]]
    "#]],
    );
    check(
        Endpoint::Embeddings,
        r#"{"model":"e"}"#,
        &expect![[r#"
        you must provide an `input` (at byte 0) [input]
    "#]],
    );
}

#[test]
fn the_prefix_ends_with_the_first_user_message_and_does_not_see_what_follows() {
    let prefix = |messages: &str| {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        let view = parse(Endpoint::ChatCompletions, body.as_bytes()).unwrap();
        String::from_utf8(view.prefix_bytes(body.as_bytes()).unwrap().to_vec()).unwrap()
    };
    let first = r#"[{"role":"developer","content":"d"}, {"content":[{"type":"text","text":"hi"}],"role":"user"}"#;
    assert_eq!(prefix(&format!("{first}]")), first);
    assert_eq!(
        prefix(&format!(r#"{first},{{"role":"assistant","content":"x"}},{{"role":"user","content":"y"}}]"#)),
        first
    );
    let none = r#"[{"role":"system","content":"s"},{"role":"assistant"}]"#;
    assert_eq!(prefix(none), none);
}

#[test]
fn a_wrong_type_is_refused_by_the_name_of_its_field() {
    let mut out = String::new();
    for fields in [
        r#""messages":[]"#,
        r#""model":null,"messages":[]"#,
        r#""model":7,"messages":[]"#,
        r#""model":"m""#,
        r#""model":"m","messages":{}"#,
        r#""model":"m","messages":null"#,
        r#""model":"m","messages":["hi"]"#,
        r#""model":"m","messages":[{"role":1}]"#,
        r#""model":"m","messages":[],"stream":"true""#,
        r#""model":"m","messages":[],"stream_options":true"#,
        r#""model":"m","messages":[],"user":5"#,
        r#""model":"m","messages":[],"metadata":[]"#,
        r#""model":"m","messages":[],"max_tokens":"9""#,
        r#""model":"m","messages":[],"n":"2""#,
        r#""model":"m","messages":[],"tools":{}"#,
        r#""model":"m","messages":[],"response_format":"json""#,
        r#""model":"m","messages":[],"store":1"#,
        r#""model":"\ud800","messages":[]"#,
    ] {
        out += &show(Endpoint::ChatCompletions, &format!("{{{fields}}}"));
    }
    expect![[r#"
        you must provide a `model` (at byte 0) [model]
        `model` must be a string, not null (at byte 9) [model]
        `model` must be a string, not a number (at byte 9) [model]
        you must provide `messages` (at byte 0) [messages]
        `messages` must be an array, not an object (at byte 24) [messages]
        `messages` must be an array, not null (at byte 24) [messages]
        `messages` must be an array of objects, not a string (at byte 25) [messages]
        `messages.role` must be a string, not a number (at byte 33) [messages.role]
        `stream` must be a boolean, not a string (at byte 36) [stream]
        `stream_options` must be an object, not a boolean (at byte 44) [stream_options]
        `user` must be a string, not a number (at byte 34) [user]
        `metadata` must be an object, not an array (at byte 38) [metadata]
        `max_tokens` must be a number, not a string (at byte 40) [max_tokens]
        `n` must be a number, not a string (at byte 31) [n]
        `tools` must be an array, not an object (at byte 35) [tools]
        `response_format` must be an object, not a string (at byte 45) [response_format]
        `store` must be a boolean, not a number (at byte 35) [store]
        `model` is not a valid string: an invalid escape inside a string (at byte 9) [model]
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_field_given_twice_is_refused_where_crossfade_reads_it() {
    let mut out = String::new();
    for body in [
        r#"{"model":"m","messages":[],"model":"n"}"#,
        r#"{"model":"m","messages":[],"mod\u0065l":"n"}"#,
        r#"{"model":"m","messages":[],"messages":[]}"#,
        r#"{"model":"m","messages":[],"stream":true,"stream":false}"#,
        r#"{"model":"m","messages":[],"stream_options":{"include_usage":true,"include_usage":false}}"#,
        r#"{"model":"m","messages":[],"metadata":{"conversation_id":"a","conversation\u005fid":"b"}}"#,
        r#"{"model":"m","messages":[{"role":"user","role":"system"}]}"#,
        r#"{"model":"m","messages":[{"role":"system","content":"a","content":"b"}]}"#,
        r#"{"model":"m","messages":[],"response_format":{"type":"text","type":"json_object"}}"#,
    ] {
        out += &show(Endpoint::ChatCompletions, body);
    }
    expect![[r#"
        `model` is given twice (at byte 27) [model]
        `model` is given twice (at byte 27) [model]
        `messages` is given twice (at byte 27) [messages]
        `stream` is given twice (at byte 41) [stream]
        `stream_options.include_usage` is given twice (at byte 66) [stream_options.include_usage]
        `metadata.conversation_id` is given twice (at byte 61) [metadata.conversation_id]
        `messages.role` is given twice (at byte 40) [messages.role]
        `messages.content` is given twice (at byte 56) [messages.content]
        `response_format.type` is given twice (at byte 60) [response_format.type]
    "#]]
    .assert_eq(&out);
    assert!(parse(Endpoint::ChatCompletions, br#"{"model":"m","messages":[],"seed":1,"seed":2}"#).is_ok());
}

#[test]
fn what_is_no_json_is_refused_without_a_field() {
    let mut out = String::new();
    for body in [
        "",
        "[]",
        r#"{"model":"m","messages":[]"#,
        r#"{"model":"m","messages":[{"role":"user"}}"#,
        r#"{"model":"m"} x"#,
    ] {
        out += &show(Endpoint::ChatCompletions, body);
    }
    expect![[r#"
        expected a JSON object (at byte 0) [-]
        expected a JSON object (at byte 0) [-]
        expected `,` or `}` (at byte 26) [-]
        expected `,` or `]` (at byte 40) [-]
        something follows the end of the JSON value (at byte 14) [-]
    "#]]
    .assert_eq(&out);
    assert_eq!(parse(Endpoint::ChatCompletions, b"{\"model\":\"\xff\"}").unwrap_err().param, Some("model"));
    assert!(
        parse(Endpoint::ChatCompletions, format!("{{\"model\":\"m\",\"messages\":{}", "[".repeat(10_000)).as_bytes())
            .is_err()
    );
}

#[test]
fn a_body_cut_anywhere_is_refused() {
    let body =
        br#"{"model":"m","messages":[{"role":"system","content":"a\"b"},{"role":"user","content":[1,2.5]}],"n":2}"#;
    assert!(parse(Endpoint::ChatCompletions, body).is_ok());
    for end in 0..body.len() {
        assert!(parse(Endpoint::ChatCompletions, &body[..end]).is_err(), "{end}");
    }
}

#[test]
fn a_field_that_a_case_blind_server_would_mistake_for_another_is_refused() {
    let mut out = String::new();
    for name in ["Model", "STREAM", "\u{17f}tore", "\\u017ftore", "toolſ"] {
        out += &show(Endpoint::ChatCompletions, &format!(r#"{{"model":"m","messages":[],"{name}":true}}"#));
    }
    expect![[r#"
        a field is named like `model` but written differently (at byte 27) [model]
        a field is named like `stream` but written differently (at byte 27) [stream]
        a field is named like `store` but written differently (at byte 27) [store]
        a field is named like `store` but written differently (at byte 27) [store]
        a field is named like `tools` but written differently (at byte 27) [tools]
    "#]]
    .assert_eq(&out);
    assert!(parse(Endpoint::ChatCompletions, r#"{"model":"m","messages":[],"ünknown":1}"#.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn a_damaged_body_is_read_or_refused_by_every_reader_without_a_panic(
        body in prop::sample::select(vec![
            r#"{"model":"m","messages":[{"role":"user","content":[{"text":"\u00e9"}]}],"stream_options":{"x":1},"metadata":{}}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"x","tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":"stop"}],"usage":null}"#,
            r#"{"choices":[{"message":{"content":"{}","tool_calls":[]}}],"usage":{"prompt_tokens":1,"prompt_tokens_details":{}},"error":{}}"#,
        ]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\"\\[]{},:0u \xff".to_vec())), 0..4),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut body = body.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if cut {
            body.truncate(end.index(body.len()));
        }
        for endpoint in [Endpoint::ChatCompletions, Endpoint::Embeddings] {
            if let Ok(view) = parse(endpoint, &body) {
                let body = bytes::Bytes::from(body.clone());
                let mut patch = crate::splice::Patch::new(&body, &view, "t");
                patch.model("other");
                patch.include_usage();
                patch.remove("metadata");
                patch.system_prompt(&crate::splice::SystemPrompt::Prepend("p".to_owned()));
                let (pieces, _) = patch.finish();
                prop_assert!(parse(endpoint, &pieces.to_bytes()).is_ok());
            }
        }
        let facts = crate::openai::chunk::inspect(&body);
        prop_assert!(facts.finish_reason_in(&body).is_none_or(|reason| reason.len() < body.len()));
        let mut gathered = crate::openai::content::Accumulator::new();
        gathered.push(&body);
        let judged = gathered.format_valid(ResponseFormat::JsonObject).is_some();
        prop_assert!(!judged || !body.is_empty());
        let facts = crate::openai::answer::inspect(&body);
        prop_assert!(facts.valid || facts.format_valid(&body, ResponseFormat::JsonSchema).is_none());
    }
}

#[test]
fn every_key_is_found_at_its_own_place() {
    for endpoint in [Endpoint::ChatCompletions, Endpoint::Responses] {
        for (place, key) in read::keys_of(endpoint).iter().enumerate() {
            assert_eq!(read::known_key(endpoint, key.as_bytes()), Some(place), "{key}");
        }
    }
    assert_eq!(read::known_key(Endpoint::ChatCompletions, b"prompt"), None);
}

#[test]
fn tokens_instead_of_text_are_seen() {
    let tokens = |endpoint, field: &str, value: &str| {
        parse(endpoint, format!(r#"{{"model":"m","{field}":{value}}}"#).as_bytes()).unwrap().has_token_arrays
    };
    for value in ["[1,2]", "[ [ 3 ], [4]]", "[[-1]]"] {
        assert!(tokens(Endpoint::Embeddings, "input", value), "{value}");
        assert!(tokens(Endpoint::Completions, "prompt", value), "{value}");
    }
    for value in [r#""1""#, r#"["1"]"#, "[]", "[[]]", r#"[["1"]]"#] {
        assert!(!tokens(Endpoint::Embeddings, "input", value), "{value}");
        assert!(!tokens(Endpoint::Completions, "prompt", value), "{value}");
    }
}

#[test]
fn a_model_that_may_be_left_out_is_the_vendors_choice() {
    let view = parse(Endpoint::Moderations, br#"{"input":"x"}"#).unwrap();
    assert_eq!((view.model.as_str(), view.model_range), ("omni-moderation-latest", 0..0));
    let missing = parse(Endpoint::Speech, br#"{"input":"x","voice":"alloy"}"#).unwrap_err();
    assert_eq!(missing.param, Some("model"));
}

#[test]
fn a_model_in_the_path_counts_and_null_beside_it_is_none() {
    let body = br#"{"model":null,"messages":[]}"#;
    let view = parse_for(Endpoint::ChatCompletions, body, Some("deployed")).unwrap();
    assert_eq!((view.model.as_str(), &body[view.model_range]), ("deployed", &b"null"[..]));
    assert_eq!(parse(Endpoint::ChatCompletions, body).unwrap_err().param, Some("model"));
    let wrong = parse_for(Endpoint::ChatCompletions, br#"{"model":7,"messages":[]}"#, Some("deployed")).unwrap_err();
    assert_eq!(wrong.param, Some("model"));
}

#[test]
fn a_conversation_is_found_in_every_dialect() {
    check(
        Endpoint::Responses,
        r#"{"model":"m","instructions":"be brief","previous_response_id":null,"text":{"format":{"type":"json_schema","name":"x"}},
            "input":[{"type":"reasoning","summary":[]},{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}"#,
        &expect![[r#"
            model m "m"
            stream false usage false
            prefix [{"type":"reasoning","summary":[]},{"role":"user","content":"hi"}
            input [{"type":"reasoning","summary":[]},{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]
            format JsonSchema
        "#]],
    );
    check(
        Endpoint::Messages,
        r#"{"model":"m","max_tokens":9,"system":"s","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}"#,
        &expect![[r#"
            model m "m"
            stream false usage false
            messages [{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]
            prefix [{"role":"user","content":"hi"}
            max_tokens 9
        "#]],
    );
    check(
        Endpoint::Completions,
        r#"{"model":"m","prompt":"once upon","stream":true}"#,
        &expect![[r#"
            model m "m"
            stream true usage false
            prefix "once upon"
        "#]],
    );
    check(
        Endpoint::Responses,
        r#"{"model":"m","input":[7]}"#,
        &expect![[r#"
        `input` must be an array of objects, not a number (at byte 22) [input]
    "#]],
    );
}

#[test]
fn a_request_without_a_model_has_something_in_its_place_that_is_found_there() {
    let messages = serde_json::json!([{ "role": "user", "content": "hi" }]);
    let request = serde_json::Map::from_iter([("messages".to_owned(), messages), ("seed".to_owned(), 7.into())]);
    let body = super::without_model(request);
    let view = super::parse(Endpoint::ChatCompletions, &body).unwrap();
    assert_eq!(&body[view.model_range.clone()], b"\"evaluation\"");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["seed"], &body["messages"][0]["content"]), (&7.into(), &"hi".into()));
}
