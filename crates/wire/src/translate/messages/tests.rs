//! Random answers and conversations: what is streamed is what is answered whole, however the network cuts it, and what both
//! dialects can say survives the way there and back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{CONTEXT, fold_chat, fold_messages, run, value};
use super::{inbound, outbound};
use crate::translate::{Context, Policy};

const CHAT: &[u8] = br#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}"#;
const MESSAGES: &[u8] = br#"{"model":"claude-x","thinking":{"type":"adaptive"}}"#;

fn n_cases() -> ProptestConfig {
    let n_cases = if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 10_000 } else { 200 };
    ProptestConfig::with_cases(std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(n_cases))
}

fn chat_context() -> Context<'static> {
    Context { request: CHAT, ..CONTEXT }
}

fn messages_context() -> Context<'static> {
    Context { request: MESSAGES, ..CONTEXT }
}

/// An answer as both dialects can give it.
#[derive(Debug, Clone)]
struct Answer {
    thinking: Vec<String>,
    text: Vec<String>,
    calls: Vec<(String, Value)>,
    cut: bool,
    tokens: (u64, u64, u64, u64),
    /// Everything outside of ASCII is escaped, as Python's servers do.
    ascii: bool,
    /// Bytes of the pieces the arguments come in.
    piece: usize,
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ -~]{0,8}|\\PC{1,4}|[\"\\\\\n\u{1F600}é/]{1,5}", 0..5)
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        "[ -~]{0,8}|[\"\\\\\n\u{1F600}é{}]{1,5}".prop_map(Value::from),
    ]
}

fn object() -> impl Strategy<Value = Value> {
    let nested = leaf().prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"{]{1,3}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    });
    prop::collection::btree_map("[a-z\\\\\"]{1,4}", nested, 0..4).prop_map(|map| json!(map))
}

fn answer() -> impl Strategy<Value = Answer> {
    let calls = prop::collection::vec(("[a-z_]{1,6}", object()), 0..4);
    let tokens = (0..10_000_u64, 0..500_u64, 0..500_u64, 0..10_000_u64);
    (texts(), texts(), calls, any::<bool>(), tokens, any::<bool>(), 1..9_usize).prop_map(
        |(thinking, text, calls, cut, tokens, ascii, piece)| Answer {
            thinking,
            text,
            calls,
            cut,
            tokens,
            ascii,
            piece,
        },
    )
}

impl Answer {
    fn write(&self, value: &Value) -> String {
        let text = value.to_string();
        if !self.ascii {
            return text;
        }
        let mut units = [0; 2];
        let mut out = String::new();
        for c in text.chars() {
            match c {
                ' '..='~' => out.push(c),
                c => c.encode_utf16(&mut units).iter().for_each(|unit| out += &format!("\\u{unit:04x}")),
            }
        }
        out
    }

    fn pieces(&self, arguments: &Value) -> Vec<String> {
        let text: Vec<char> = arguments.to_string().chars().collect();
        text.chunks(self.piece).map(|piece| piece.iter().collect()).collect()
    }

    fn chat_usage(&self) -> Value {
        let (input, read, written, output) = self.tokens;
        json!({"prompt_tokens": input + read + written, "completion_tokens": output, "total_tokens": input + read + written + output,
            "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": 0}})
    }

    fn messages_usage(&self) -> Value {
        let (input, read, written, output) = self.tokens;
        json!({"input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": written, "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": 0}})
    }

    fn finish_reason(&self) -> &'static str {
        match (self.cut, self.calls.is_empty()) {
            (true, _) => "length",
            (_, true) => "stop",
            _ => "tool_calls",
        }
    }

    fn stop_reason(&self) -> &'static str {
        match (self.cut, self.calls.is_empty()) {
            (true, _) => "max_tokens",
            (_, true) => "end_turn",
            _ => "tool_use",
        }
    }

    fn chat_whole(&self) -> String {
        let calls: Vec<Value> = (self.calls.iter().enumerate())
            .map(|(idx, (name, input))| {
                json!({"id": format!("call_{idx}"), "type": "function", "function": {"name": name, "arguments": input.to_string()}})
            })
            .collect();
        let mut message =
            json!({"role": "assistant", "content": self.text.concat(), "reasoning_content": self.thinking.concat()});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        self.write(&json!({"choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason()}], "usage": self.chat_usage()}))
    }

    fn chat_stream(&self) -> Vec<u8> {
        let mut sse = String::from(": hello\r\n\r\n");
        let mut chunk = |value: Value| {
            sse += &format!("data: {}\n\n", self.write(&value));
        };
        let delta =
            |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}], "usage": null});
        chunk(delta(json!({"role": "assistant", "content": ""})));
        self.thinking.iter().for_each(|piece| chunk(delta(json!({ "reasoning_content": piece }))));
        self.text.iter().for_each(|piece| chunk(delta(json!({ "content": piece }))));
        for (idx, (name, input)) in self.calls.iter().enumerate() {
            let first = json!({"index": idx, "id": format!("call_{idx}"), "type": "function", "function": {"name": name, "arguments": ""}});
            chunk(delta(json!({ "tool_calls": [first] })));
            for piece in self.pieces(input) {
                chunk(delta(json!({"tool_calls": [{"index": idx, "function": {"arguments": piece}}]})));
            }
        }
        chunk(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish_reason()}]}));
        chunk(json!({"choices": [], "usage": self.chat_usage()}));
        sse += "data: [DONE]\n\n";
        sse.into_bytes()
    }

    fn messages_whole(&self) -> String {
        let mut content = Vec::new();
        if !self.thinking.is_empty() {
            content.push(json!({"type": "thinking", "thinking": self.thinking.concat(), "signature": "Eq"}));
        }
        if !self.text.is_empty() {
            content.push(json!({"type": "text", "text": self.text.concat()}));
        }
        for (idx, (name, input)) in self.calls.iter().enumerate() {
            content.push(json!({"type": "tool_use", "id": format!("toolu_{idx}"), "name": name, "input": input}));
        }
        self.write(&json!({"id": "msg_1", "type": "message", "role": "assistant", "content": content, "stop_reason": self.stop_reason(),
            "stop_sequence": null, "usage": self.messages_usage()}))
    }

    fn messages_stream(&self) -> Vec<u8> {
        let mut sse = String::new();
        let mut event = |value: Value| {
            sse += &format!("event: {}\ndata: {}\n\n", value["type"].as_str().unwrap(), self.write(&value));
        };
        let mut usage = self.messages_usage();
        usage["output_tokens"] = 1.into();
        event(json!({"type": "message_start", "message": {"content": [], "usage": usage}}));
        event(json!({"type": "ping"}));
        let mut n_blocks = 0;
        let mut block = |start: Value, deltas: Vec<Value>| {
            event(json!({"type": "content_block_start", "index": n_blocks, "content_block": start}));
            for delta in deltas {
                event(json!({"type": "content_block_delta", "index": n_blocks, "delta": delta}));
            }
            event(json!({"type": "content_block_stop", "index": n_blocks}));
            n_blocks += 1;
        };
        if !self.thinking.is_empty() {
            let deltas = self.thinking.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
            let signed = deltas.chain([json!({"type": "signature_delta", "signature": "Eq"})]).collect();
            block(json!({"type": "thinking", "thinking": "", "signature": ""}), signed);
        }
        if !self.text.is_empty() {
            let deltas = self.text.iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect();
            block(json!({"type": "text", "text": ""}), deltas);
        }
        for (idx, (name, input)) in self.calls.iter().enumerate() {
            let pieces = if *input == json!({}) { Vec::new() } else { self.pieces(input) };
            let deltas =
                pieces.iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect();
            block(json!({"type": "tool_use", "id": format!("toolu_{idx}"), "name": name, "input": {}}), deltas);
        }
        event(json!({"type": "message_delta", "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
            "usage": {"output_tokens": self.tokens.3}}));
        event(json!({"type": "message_stop"}));
        sse.into_bytes()
    }
}

/// A chat answer in which nothing said is `null` and arguments are read: how their JSON is spelled is the server's choice.
fn normal(mut answer: Value) -> Value {
    let message = &mut answer["choices"][0]["message"];
    if message["content"] == "" {
        message["content"] = Value::Null;
    }
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        let arguments = &mut call["function"]["arguments"];
        *arguments = value(arguments.as_str().unwrap().as_bytes());
    }
    answer
}

proptest! {
    #![proptest_config(n_cases())]

    #[test]
    fn a_chat_stream_folds_to_the_whole_answer(answer in answer(), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        let (out, failure) = run(&mut inbound::Stream::new(&messages_context()), &answer.chat_stream(), &cuts);
        prop_assert_eq!(failure, None);
        let whole = inbound::answer(answer.chat_whole().as_bytes(), &messages_context()).unwrap();
        prop_assert_eq!(fold_messages(&out), value(&whole));
    }

    #[test]
    fn a_messages_stream_folds_to_the_whole_answer(answer in answer(), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        let (out, failure) = run(&mut outbound::Stream::new(&chat_context()), &answer.messages_stream(), &cuts);
        prop_assert_eq!(failure, None);
        let whole = outbound::answer(answer.messages_whole().as_bytes(), &chat_context()).unwrap();
        prop_assert_eq!(normal(fold_chat(&out)), normal(value(&whole)));
    }

    #[test]
    fn an_answer_survives_the_way_there_and_back(answer in answer()) {
        let there = inbound::answer(answer.chat_whole().as_bytes(), &messages_context()).unwrap();
        let back = outbound::answer(&there, &chat_context()).unwrap();
        let (back, before) = (value(&back), value(answer.chat_whole().as_bytes()));
        prop_assert_eq!(&back["usage"], &before["usage"]);
        prop_assert_eq!(&back["choices"][0]["finish_reason"], &before["choices"][0]["finish_reason"]);
        for part in ["content", "reasoning_content", "tool_calls"] {
            let of = |value: &Value| match normal(value.clone())["choices"][0]["message"][part].take() {
                Value::String(text) if text.is_empty() => Value::Null,
                other => other,
            };
            prop_assert_eq!(of(&back), of(&before), "{}", part);
        }
    }

    #[test]
    fn a_cut_stream_never_ends_cleanly(answer in answer(), at in any::<prop::sample::Index>()) {
        let (chat, messages) = (answer.chat_stream(), answer.messages_stream());
        let cut = &chat[..at.index(chat.len())];
        let (out, failure) = run(&mut inbound::Stream::new(&messages_context()), cut, &[]);
        let arrived = &cut[..cut.windows(2).rposition(|end| end == b"\n\n").unwrap_or(0)];
        let stopped = String::from_utf8_lossy(arrived).contains("\"finish_reason\":\"");
        prop_assert_eq!(failure.is_none(), stopped);
        prop_assert_eq!(failure.is_none(), out.ends_with(b"{\"type\":\"message_stop\"}\n\n"));
        let (out, failure) = run(&mut outbound::Stream::new(&chat_context()), &messages[..at.index(messages.len())], &[]);
        prop_assert!(failure.is_some());
        prop_assert!(!String::from_utf8_lossy(&out).contains("[DONE]"));
    }

    #[test]
    fn noise_never_breaks_a_translator(answer in answer(), noise in prop::collection::vec((any::<usize>(), any::<u8>()), 1..20)) {
        let (mut chat, mut messages) = (answer.chat_stream(), answer.messages_stream());
        for (at, byte) in noise {
            let (n_chat, n_messages) = (chat.len(), messages.len());
            chat[at % n_chat] = byte;
            messages[at % n_messages] = byte;
        }
        for body in [&chat, &messages] {
            run(&mut inbound::Stream::new(&messages_context()), body, &[]);
            run(&mut outbound::Stream::new(&chat_context()), body, &[]);
        }
        let (chat, messages) = (answer.chat_whole().into_bytes(), answer.messages_whole().into_bytes());
        for mut body in [chat, messages] {
            body.truncate(body.len() / 2);
            prop_assert!(inbound::answer(&body, &messages_context()).is_err());
            prop_assert!(outbound::answer(&body, &chat_context()).is_err());
        }
    }
}

/// One side of a conversation and the messages of chat it makes, in the form in which they come back.
fn exchange() -> impl Strategy<Value = Vec<Value>> {
    let said = "[a-z\"\\\\é\u{1F600}\n]{1,9}";
    let part = prop_oneof![
        said.prop_map(|text| json!({"type": "text", "text": text})),
        "[A-Za-z0-9+/]{4,12}".prop_map(
            |data| json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}})
        ),
        "[a-z/]{1,9}"
            .prop_map(|path| json!({"type": "image_url", "image_url": {"url": format!("https://example.com/{path}")}})),
    ];
    let shown = prop_oneof![said.prop_map(Value::from), prop::collection::vec(part, 2..4).prop_map(Value::from)];
    let calls = prop::collection::vec(("[a-z_]{1,6}", object(), "[a-z \"]{0,6}"), 0..3);
    (shown, said, any::<bool>(), calls).prop_map(|(shown, said, silent, calls)| {
        let mut messages = vec![json!({"role": "user", "content": shown})];
        let mut answer = json!({"role": "assistant", "content": said});
        if !calls.is_empty() {
            let call = |(idx, (name, input, _)): (usize, &(String, Value, String))| {
                json!({"id": format!("call_{idx}"), "type": "function", "function": {"name": name, "arguments": input.to_string()}})
            };
            answer["tool_calls"] = calls.iter().enumerate().map(call).collect();
            if silent {
                answer["content"] = Value::Null;
            }
        }
        messages.push(answer);
        for (idx, (_, _, result)) in calls.iter().enumerate() {
            messages.push(json!({"role": "tool", "tool_call_id": format!("call_{idx}"), "content": result}));
        }
        messages
    })
}

fn chat_request() -> impl Strategy<Value = Value> {
    let options = prop::collection::btree_set(0..9_usize, 0..9);
    (prop::collection::vec(exchange(), 0..4), any::<bool>(), "[a-z]{1,9}", options).prop_map(
        |(exchanges, system, last, options)| {
            let mut messages = Vec::new();
            if system {
                messages.push(json!({"role": "system", "content": "Be brief."}));
            }
            messages.extend(exchanges.into_iter().flatten());
            messages.push(json!({"role": "user", "content": last}));
            let mut request = json!({"model": "m", "max_tokens": 9, "messages": messages});
            for option in options {
                let (key, option) = match option {
                    0 => ("temperature", json!(0.5)),
                    1 => ("top_p", json!(0.25)),
                    2 => ("stop", json!(["a\n", "b"])),
                    3 => ("user", json!("u")),
                    4 => ("reasoning_effort", json!("high")),
                    5 => ("service_tier", json!("default")),
                    6 => ("some_extension", json!({"a": [1]})),
                    7 => {
                        request["stream_options"] = json!({"include_usage": true});
                        ("stream", json!(true))
                    }
                    _ => {
                        request["tool_choice"] = json!({"type": "function", "function": {"name": "f"}});
                        request["parallel_tool_calls"] = json!(false);
                        request["response_format"] =
                            json!({"type": "json_schema", "json_schema": {"name": "output", "schema": {"type": "object"}, "strict": true}});
                        let function = json!({"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true});
                        ("tools", json!([{"type": "function", "function": function}]))
                    }
                };
                request[key] = option;
            }
            request
        },
    )
}

proptest! {
    #![proptest_config(n_cases())]

    #[test]
    fn a_request_survives_the_way_there_and_back(request in chat_request()) {
        let claude = outbound::Claude { sampling: true, max_tokens: 1 };
        let there = outbound::request(request.to_string().as_bytes(), &Policy::default(), "claude", &claude).unwrap();
        let messages = value(&there.body);
        let mut roles = messages["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap());
        prop_assert!(roles.by_ref().enumerate().all(|(idx, role)| role == ["user", "assistant"][idx % 2]));
        let back = inbound::request(&there.body, &Policy::default(), "chat").unwrap();
        prop_assert_eq!(value(&back.body), request);
    }
}

/// The streams of chat servers that the translation to Responses is tested with: whole ones stay whole, failed ones failed.
#[test]
fn what_chat_servers_really_send_is_understood_or_a_failure() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/responses/stream");
    let mut n_streams = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sse") {
            continue;
        }
        n_streams += 1;
        let sse = std::fs::read(&path).unwrap();
        let (out, failure) = run(&mut inbound::Stream::new(&messages_context()), &sse, &[]);
        let name = path.file_stem().unwrap().to_string_lossy();
        // Nobody who speaks Messages can ask for the calls of custom tools.
        let fails = name.starts_with("failed_") || name == "tool_call_custom";
        assert_eq!(failure.is_some(), fails, "{name}: {failure:?}");
        if name != "length_in_arguments" {
            fold_messages(&out);
        }
    }
    assert!(n_streams > 10);
}
