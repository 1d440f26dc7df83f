//! Anthropic's Messages on both sides: as it is between two that speak it, translated from and to chat, and by way of chat
//! from Responses.

use std::sync::Arc;

use providers::{BaseUrl, Dialect, ProviderConfig};
use scripted::{Cut, Received, Script, Upstream, chat_completion, chat_stream};
use serde_json::{Value, json};
use wire::private::Private;

use crate::client::{Answer, Connection};
use crate::harness::{Gateway, PROVIDER_KEY, Setup, rollout, until};

const ASKED: &str = r#"{"model":"gpt-4o","max_tokens":64,"system":"be brief","messages":[{"role":"user","content":"hi"}],"metadata":{"user_id":"u-1"}}"#;
const STREAMED: &str =
    r#"{"model":"gpt-4o","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const MESSAGE: &str = r#"{"id":"msg_01","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"cache_read_input_tokens":4,"cache_creation_input_tokens":0,"output_tokens":3}}"#;

pub fn events() -> Vec<String> {
    [
        r#"{"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":3}}"#,
        r#"{"type":"message_stop"}"#,
    ]
    .iter()
    .map(|data| {
        let kind: Value = serde_json::from_str(data).unwrap();
        format!("event: {}\ndata: {data}\n\n", kind["type"].as_str().unwrap())
    })
    .collect()
}

fn answering() -> Upstream {
    Upstream::with(|received: &Received| {
        if received.text().contains("\"stream\":true") { Script::stream(events()) } else { Script::json(MESSAGE) }
    })
}

/// Has the target at this place be one of Anthropic's.
pub fn at_anthropic(setup: &mut Setup, idx: usize, upstream: &Upstream) {
    let base = BaseUrl::parse_for(&upstream.url(), &Dialect::Anthropic).unwrap();
    let mut provider = ProviderConfig::new("anthropic", Dialect::Anthropic, base);
    provider.api_key = Some(Private::new(PROVIDER_KEY.to_owned()));
    setup.targets[idx].provider = Arc::new(provider);
}

fn to_anthropic(upstream: &Upstream) -> Gateway {
    let mut setup = Setup::to(&[upstream]);
    at_anthropic(&mut setup, 0, upstream);
    setup.start()
}

fn send(gateway: &Gateway, method: &str, path: &str, body: &str) -> Answer {
    let headers = [
        ("x-api-key", "sk-canary-caller"),
        ("anthropic-version", "2024-01-01"),
        ("anthropic-beta", "a-beta"),
        ("anthropic-beta", "b-beta"),
        ("content-type", "application/json"),
    ];
    let mut connection = Connection::open(gateway.addr);
    connection.send(method, path, &headers, body.as_bytes());
    connection.answer().expect("an answer")
}

fn post(gateway: &Gateway, body: &str) -> Answer {
    send(gateway, "POST", "/v1/messages", body)
}

fn chat(gateway: &Gateway, body: &str) -> Answer {
    send(gateway, "POST", "/v1/chat/completions", body)
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", answer.text()))
}

/// The data of the events of a stream, those that are JSON.
fn data(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    text.split("\n\n")
        .filter_map(|event| event.split_once("data: "))
        .filter_map(|(_, data)| serde_json::from_str(data).ok())
        .collect()
}

#[test]
fn between_two_that_speak_it_nothing_but_the_model_changes() {
    let upstream = answering();
    let gateway = to_anthropic(&upstream);
    assert_eq!(post(&gateway, ASKED).text(), MESSAGE);
    let received = upstream.requests().remove(0);
    assert_eq!((received.path.as_str(), received.text()), ("/v1/messages", ASKED.replace("gpt-4o", "model-a")));
    assert_eq!((received.header("x-api-key"), received.header("authorization")), (Some(PROVIDER_KEY), None));
    assert_eq!(received.header("anthropic-version"), Some("2024-01-01"));
    let betas: Vec<_> = received.headers.iter().filter(|(name, _)| name == "anthropic-beta").collect();
    assert_eq!(betas.len(), 2);
    let answer = post(&gateway, STREAMED);
    assert!(answer.whole);
    assert_eq!(answer.text(), events().concat());
    for exchange in gateway.exchanges(2) {
        assert_eq!(exchange.exchange.usage.unwrap().output_tokens, 3);
        assert_eq!(exchange.attempts[0].measured.finish_reason.as_deref(), Some("end_turn"));
        assert_eq!(exchange.exchange.endpoint.as_deref(), Some("messages"));
    }
}

#[test]
fn a_chat_server_answers_a_messages_request_whole_and_streamed() {
    let upstream = Upstream::with(|received: &Received| {
        if received.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&["hel", "lo"], true))
        } else {
            Script::json(chat_completion("hello"))
        }
    });
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(&gateway, ASKED);
    let message = value(&answer);
    assert_eq!((message["type"].as_str(), message["content"][0]["text"].as_str()), (Some("message"), Some("hello")));
    assert_eq!(
        (message["stop_reason"].as_str(), message["usage"]["output_tokens"].as_u64()),
        (Some("end_turn"), Some(3))
    );
    assert!(answer.header("request-id").is_some());
    let received = upstream.requests().remove(0);
    let asked: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(
        (received.path.as_str(), asked["messages"][0]["content"].as_str()),
        ("/v1/chat/completions", Some("be brief"))
    );
    assert_eq!(received.header("anthropic-version"), None);

    let events = data(&post(&gateway, STREAMED));
    let kinds: Vec<_> =
        events.iter().map(|event| event["type"].as_str().unwrap()).filter(|kind| *kind != "ping").collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(gateway.exchanges(2).iter().filter(|one| one.exchange.outcome == "complete").count(), 2);
}

#[test]
fn a_target_at_anthropic_answers_a_chat_request_whole_and_streamed() {
    let upstream = answering();
    let gateway = to_anthropic(&upstream);
    let completion = value(&chat(&gateway, r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#));
    assert_eq!(completion["object"], "chat.completion");
    assert_eq!(completion["choices"][0]["message"]["content"], "hello");
    assert_eq!(completion["choices"][0]["finish_reason"], "stop");
    assert_eq!(completion["usage"]["prompt_tokens"], 13);
    let received = upstream.requests().remove(0);
    let asked: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!((received.path.as_str(), asked["model"].as_str()), ("/v1/messages", Some("model-a")));
    assert_eq!((asked["max_tokens"].as_u64(), received.header("anthropic-version")), (Some(8192), Some("2026-10-21")));
    assert_eq!(received.header("anthropic-beta"), None, "it was written for the caller's own request");
    assert!(gateway.exchange().exchange.adaptations.to_string().contains("max_tokens"));

    let answer = chat(&gateway, r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
    assert!(answer.whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let chunks = data(&answer);
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "hello");
    assert!(chunks.iter().all(|chunk| chunk["choices"].as_array().is_some_and(|choices| !choices.is_empty())));
    assert_eq!(gateway.exchanges(2).iter().filter_map(|one| one.exchange.usage).count(), 2);
}

#[test]
fn a_target_at_anthropic_answers_a_response_by_way_of_chat() {
    let upstream = answering();
    let gateway = to_anthropic(&upstream);
    let response = value(&send(&gateway, "POST", "/v1/responses", r#"{"model":"gpt-4o","input":"hi"}"#));
    assert_eq!((response["object"].as_str(), response["status"].as_str()), (Some("response"), Some("completed")));
    assert_eq!(response["output"][0]["content"][0]["text"], "hello");
    let answer = send(&gateway, "POST", "/v1/responses", r#"{"model":"gpt-4o","input":"hi","stream":true}"#);
    assert!(answer.whole);
    let events = data(&answer);
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    assert_eq!(events.last().unwrap()["response"]["usage"]["input_tokens"], 9);
    assert!(upstream.requests().iter().all(|received| received.path == "/v1/messages"));
}

#[test]
fn a_stream_that_is_cut_ends_with_an_error_in_the_callers_dialect() {
    let cut = |stream: Vec<String>, n: usize| {
        let end = stream[..n].concat().len();
        Upstream::start(vec![Script::stream(stream).cut_after(end, Cut::Fin)])
    };
    let anthropic = cut(events(), 3);
    let chat_server = cut(chat_stream(&["hel", "lo"], true), 2);
    let native = post(&to_anthropic(&anthropic), STREAMED);
    let translated = post(&Setup::to(&[&chat_server]).start(), STREAMED);
    for answer in [native, translated] {
        assert!(!answer.whole);
        let events = data(&answer);
        let last = events.last().unwrap();
        assert_eq!((last["type"].as_str(), last["error"]["type"].is_string()), (Some("error"), true), "{last}");
        assert!(events.iter().all(|event| event["type"] != "message_stop"));
    }
    let anthropic = cut(events(), 3);
    let streamed = r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = chat(&to_anthropic(&anthropic), streamed);
    assert!(!answer.whole && !answer.text().contains("[DONE]"));
    assert!(data(&answer).last().unwrap()["error"]["message"].is_string());
}

#[test]
fn what_crossfade_refuses_is_said_in_anthropics_envelope() {
    let upstream = Upstream::start(vec![Script::status(500)]);
    let gateway = Setup::to(&[&upstream]).start();
    let check = |answer: &Answer, status: u16, kind: &str| {
        let body = value(answer);
        assert_eq!(
            (answer.status, body["type"].as_str(), body["error"]["type"].as_str()),
            (status, Some("error"), Some(kind))
        );
        assert!(body["error"]["message"].is_string());
        assert_eq!(body["request_id"].as_str(), answer.header("request-id"));
    };
    check(&post(&gateway, &ASKED.replace("gpt-4o", "nope")), 404, "not_found_error");
    check(&post(&gateway, "{"), 400, "invalid_request_error");
    check(&post(&gateway, r#"{"model":"gpt-4o"}"#), 400, "invalid_request_error");
    let tool = ASKED.replacen('{', r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}],"#, 1);
    let refused = post(&gateway, &tool);
    assert_eq!((refused.status, value(&refused)["error"]["type"].as_str()), (400, Some("invalid_request_error")));
    let failed = post(&gateway, ASKED);
    assert_eq!((failed.status, value(&failed)["error"]["type"].as_str()), (502, Some("api_error")));
    assert_eq!(send(&gateway, "POST", "/v1/messages/count_tokens", ASKED).status, 400);
}

#[test]
fn a_providers_error_is_said_in_the_callers_dialect() {
    let error =
        r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#;
    let chat_server =
        Upstream::start(vec![Script::status(429).header("content-type", "application/json").piece(error)]);
    let refused = post(&Setup::to(&[&chat_server]).start(), ASKED);
    assert_eq!((refused.status, value(&refused)["error"]["type"].as_str()), (429, Some("rate_limit_error")));
    let error = r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"},"request_id":"req_1"}"#;
    let anthropic = Upstream::start(vec![Script::status(400).header("content-type", "application/json").piece(error)]);
    let gateway = to_anthropic(&anthropic);
    let refused = chat(&gateway, r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#);
    assert_eq!((refused.status, refused.error()["type"].as_str()), (400, Some("invalid_request_error")));
    assert_eq!(post(&gateway, ASKED).text(), error, "byte for byte where both speak the same");
}

#[test]
fn tokens_are_counted_by_a_target_that_speaks_messages() {
    let upstream = Upstream::start(vec![Script::json(r#"{"input_tokens":14}"#)]);
    let gateway = to_anthropic(&upstream);
    let counted = send(&gateway, "POST", "/v1/messages/count_tokens", ASKED);
    assert_eq!(counted.text(), r#"{"input_tokens":14}"#);
    assert_eq!(upstream.requests()[0].path, "/v1/messages/count_tokens");
}

#[test]
fn what_anthropic_has_no_endpoint_for_is_refused_before_it_is_asked() {
    let upstream = answering();
    let gateway = to_anthropic(&upstream);
    let cases = [
        ("/v1/completions", r#"{"model":"gpt-4o","prompt":"x"}"#),
        ("/v1/embeddings", r#"{"model":"gpt-4o","input":"x"}"#),
        ("/v1/moderations", r#"{"model":"gpt-4o","input":"x"}"#),
        ("/v1/images/generations", r#"{"model":"gpt-4o","prompt":"x"}"#),
        ("/v1/audio/speech", r#"{"model":"gpt-4o","input":"x","voice":"alloy"}"#),
    ];
    for (path, body) in cases {
        let answer = send(&gateway, "POST", path, body);
        assert_eq!((answer.status, answer.error()["code"].as_str()), (400, Some("unsupported_endpoint")), "{path}");
        assert!(answer.error()["message"].as_str().unwrap().contains(path.trim_start_matches("/v1")), "{path}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn thinking_that_another_model_did_does_not_reach_anthropic() {
    let upstream = answering();
    let gateway = to_anthropic(&upstream);
    let thought = json!({"model":"gpt-4o","max_tokens":64,"messages":[
        {"role":"user","content":"hi"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"crossfade:unsigned"},{"type":"text","text":"hello"}]},
        {"role":"user","content":"and?"}]});
    for streamed in [false, true] {
        let mut thought = thought.clone();
        thought["stream"] = json!(streamed);
        let expected = if streamed { events().concat() } else { MESSAGE.to_owned() };
        assert_eq!(post(&gateway, &thought.to_string()).text(), expected);
    }
    assert!(upstream.requests().iter().all(|received| !received.text().contains("thinking")));
    assert!(gateway.exchanges(2)[0].exchange.adaptations.to_string().contains("messages.thinking"));
}

#[test]
fn a_copy_of_a_message_goes_to_a_chat_candidate_and_is_evidence() {
    let (anthropic, chat) = (answering(), Upstream::start(vec![Script::json(chat_completion("hello"))]));
    let live = rollout(0.0, 1.0);
    let mut setup = Setup::to(&[&anthropic, &chat]).with(&live);
    at_anthropic(&mut setup, 0, &anthropic);
    let gateway = setup.start();
    assert_eq!(post(&gateway, ASKED).text(), MESSAGE);
    until("the copy is made", || chat.requests().len() == 1);
    assert_eq!(chat.requests()[0].path, "/v1/chat/completions");
    until("the pair is on record", || gateway.exchanges(1)[0].attempts.len() == 2);
    assert!(gateway.exchange().attempts.iter().all(|attempt| attempt.measured.failure.is_none()));
}

#[test]
fn the_list_of_models_is_in_the_form_of_who_asks() {
    let upstream = Upstream::start(vec![Script::status(500)]);
    let gateway = Setup::to(&[&upstream]).start();
    let page = value(&send(&gateway, "GET", "/v1/models", ""));
    assert_eq!((page["has_more"].as_bool(), page["data"][0]["type"].as_str()), (Some(false), Some("model")));
    assert_eq!(value(&send(&gateway, "GET", "/v1/models/gpt-4o", ""))["display_name"], "gpt-4o");
    assert_eq!(value(&send(&gateway, "GET", "/v1/models/nope", ""))["error"]["type"], "not_found_error");
}
