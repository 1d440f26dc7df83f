//! The Responses API: as it is where the provider has it, translated to chat where it has not.

use std::sync::Arc;

use providers::ProviderConfig;
use scripted::{Cut, Received, Script, Upstream, chat_completion, chat_stream};
use serde_json::Value;
use store::BodyKind;
use wire::translate::Dialect;

use crate::client::{Answer, Connection};
use crate::harness::{Gateway, Setup, rollout, until};

const ASKED: &str = r#"{"model":"gpt-4o","instructions":"be brief","input":"hi","metadata":{"a":"b"}}"#;
const STREAMED: &str = r#"{"model":"gpt-4o","input":[{"role":"user","content":"hi"}],"stream":true}"#;

/// A whole response as the vendor gives it.
const RESPONSE: &str = r#"{"id":"resp_67ccd2bed1ec8190","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"model":"m","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hello","annotations":[]}]}],"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":7}}"#;

fn events() -> Vec<String> {
    let event = |kind: &str, more: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{more}}}\n\n");
    vec![
        event(
            "response.created",
            r#""sequence_number":0,"response":{"id":"resp_1","status":"in_progress","output":[]}"#,
        ),
        event("response.output_text.delta", r#""sequence_number":1,"item_id":"msg_1","delta":"hello""#),
        event("response.completed", &format!(r#""sequence_number":2,"response":{RESPONSE}"#)),
    ]
}

fn post(gateway: &Gateway, body: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/responses", &[("content-type", "application/json")], body.as_bytes());
    connection.answer().expect("an answer")
}

/// Has the provider of the target at this place speak Responses.
fn speaks_responses(setup: &mut Setup, idx: usize) {
    let mut provider: ProviderConfig = (*setup.targets[idx].provider).clone();
    provider.speaks = vec![Dialect::Chat, Dialect::Responses];
    setup.targets[idx].provider = Arc::new(provider);
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// The types of the events of a stream, in order, and that their numbers are.
fn kinds(answer: &Answer) -> Vec<String> {
    let text = answer.text();
    let data = text.split("\n\n").filter_map(|event| event.split_once("data: ").map(|(_, data)| data));
    let mut kinds = Vec::new();
    for (place, data) in data.enumerate() {
        let data: Value = serde_json::from_str(data).unwrap();
        if let Some(number) = data["sequence_number"].as_u64() {
            assert_eq!(number, place as u64);
        }
        kinds.push(data["type"].as_str().unwrap().to_owned());
    }
    kinds
}

#[test]
fn a_provider_that_has_responses_is_asked_as_the_caller_asks() {
    let upstream = Upstream::with(|received: &Received| {
        if received.text().contains("stream") { Script::stream(events()) } else { Script::json(RESPONSE) }
    });
    let mut setup = Setup::to(&[&upstream]);
    speaks_responses(&mut setup, 0);
    let gateway = setup.start();
    assert_eq!(post(&gateway, ASKED).text(), RESPONSE);
    assert_eq!(upstream.requests()[0].path, "/v1/responses");
    assert_eq!(upstream.requests()[0].text(), ASKED.replace("gpt-4o", "model-a"));
    let answer = post(&gateway, STREAMED);
    assert!(answer.whole);
    assert_eq!(answer.text(), events().concat());
    for exchange in gateway.exchanges(2) {
        let usage = exchange.exchange.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_tokens), (5, 2, 1));
        assert_eq!(exchange.attempts[0].measured.finish_reason.as_deref(), Some("completed"));
        assert_eq!(exchange.exchange.endpoint.as_deref(), Some("responses"));
        assert_eq!(exchange.exchange.time_to_first_token_us.is_some(), exchange.exchange.streamed == Some(true));
    }
}

#[test]
fn a_chat_server_is_asked_in_chat_and_its_answer_is_a_response() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("hello"))]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(&gateway, ASKED);
    let response = json(&answer);
    assert_eq!((answer.status, response["object"].as_str()), (200, Some("response")));
    assert_eq!(response["output"][0]["content"][0]["text"], "hello");
    assert_eq!(response["usage"]["input_tokens"], 9);
    let asked: Value = serde_json::from_slice(&upstream.requests()[0].body).unwrap();
    assert_eq!(upstream.requests()[0].path, "/v1/chat/completions");
    assert_eq!(asked["model"], "model-a");
    assert_eq!(asked["messages"][0]["content"], "be brief");
    let exchange = gateway.exchange();
    let id = exchange.exchange.id;
    assert_eq!(response["id"], format!("resp_{:032x}", id.as_u128()));
    assert!(exchange.exchange.adaptations.to_string().contains("metadata"), "what is lost is recorded");
    assert_eq!(exchange.exchange.usage.unwrap().output_tokens, 3);
    let body = |kind| String::from_utf8(gateway.database.body(id, kind).unwrap().unwrap().expose().clone()).unwrap();
    assert_eq!(body(BodyKind::Request), ASKED, "the request as it came");
    assert_eq!(body(BodyKind::Answer), chat_completion("hello"), "the answer as the provider sent it");
}

#[test]
fn a_chat_stream_is_a_stream_of_a_response_whose_end_waits_for_the_record() {
    let upstream = Upstream::start(vec![Script::stream(chat_stream(&["Hel", "lo"], true))]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(&gateway, STREAMED);
    assert!(answer.whole);
    assert_eq!(
        kinds(&answer),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    assert!(upstream.requests()[0].text().contains(r#""include_usage":true"#));
    let exchange = gateway.exchange();
    assert_eq!(exchange.exchange.usage.unwrap().input_tokens, 9);
    assert_eq!(exchange.exchange.outcome, "complete");
    assert!(exchange.exchange.time_to_first_token_us.is_some());
}

#[test]
fn a_translated_stream_that_is_cut_ends_with_an_error_and_no_completed_response() {
    let stream = chat_stream(&["Hel", "lo"], true);
    let script = Script::stream(stream.clone()).cut_after(stream[0].len() + stream[1].len(), Cut::Fin);
    let upstream = Upstream::start(vec![script]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(&gateway, STREAMED);
    assert!(!answer.whole);
    let kinds = kinds(&answer);
    assert!(kinds.contains(&"response.output_text.delta".to_owned()), "{kinds:?}");
    assert!(!kinds.contains(&"response.completed".to_owned()), "{kinds:?}");
    assert!(["error", "response.failed"].contains(&kinds.last().unwrap().as_str()), "{kinds:?}");
    assert_eq!(gateway.exchange().exchange.outcome, "truncated");
}

#[test]
fn a_native_stream_that_is_cut_ends_with_an_error_that_sdks_raise() {
    let script = Script::stream(events()[..2].to_vec());
    let upstream = Upstream::start(vec![script]);
    let mut setup = Setup::to(&[&upstream]);
    speaks_responses(&mut setup, 0);
    let gateway = setup.start();
    let answer = post(&gateway, STREAMED);
    assert!(!answer.whole);
    let text = answer.text();
    let last = text.rsplit_once("data: ").unwrap().1;
    let data: Value = serde_json::from_str(last.trim()).unwrap();
    assert_eq!((data["type"].as_str(), data["error"]["code"].as_str()), (Some("error"), Some("upstream_disconnected")));
}

#[test]
fn what_a_chat_server_cannot_do_is_refused_with_the_fields_name_unless_another_target_can() {
    let asked = r#"{"model":"gpt-4o","input":"hi","tools":[{"type":"web_search"}]}"#;
    let (chat, native) = (Upstream::start(vec![Script::status(500)]), Upstream::start(vec![Script::json(RESPONSE)]));
    let gateway = Setup::to(&[&chat]).start();
    let refused = post(&gateway, asked);
    assert_eq!((refused.status, refused.error()["param"].as_str()), (400, Some("tools[0]")));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!(chat.requests().len(), 0);
    let exchange = gateway.exchange();
    assert_eq!(exchange.attempts[0].measured.failure.as_deref(), Some("unsupported"));
    assert!(exchange.exchange.adaptations.to_string().contains("refused"));

    let mut setup = Setup::to(&[&chat, &native]).falling_back_to(&["b"]);
    speaks_responses(&mut setup, 1);
    let gateway = setup.start();
    let answer = post(&gateway, asked);
    assert_eq!((answer.text().as_str(), answer.header("x-crossfade-target")), (RESPONSE, Some("b")));
    assert_eq!(chat.requests().len(), 0);
}

#[test]
fn a_chat_target_that_fails_before_content_is_followed_by_one_that_has_responses() {
    let failing = Script::stream(["data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n"]);
    let (chat, native) = (Upstream::start(vec![failing]), Upstream::start(vec![Script::stream(events())]));
    let mut setup = Setup::to(&[&chat, &native]).falling_back_to(&["b"]);
    speaks_responses(&mut setup, 1);
    let gateway = setup.start();
    assert_eq!(post(&gateway, STREAMED).text(), events().concat());
    assert_eq!(gateway.exchange().attempts.len(), 2);
}

#[test]
fn an_error_of_a_chat_server_reaches_the_caller_in_the_words_of_responses() {
    let error = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages[0].content","code":"context_length_exceeded"}}"#;
    let upstream = Upstream::start(vec![Script::status(400).header("content-type", "application/json").piece(error)]);
    let gateway = Setup::to(&[&upstream]).start();
    let refused = post(&gateway, ASKED);
    assert_eq!((refused.status, refused.error()["param"].as_str()), (400, Some("input")));
    assert_eq!(refused.error()["code"], "context_length_exceeded");
}

#[test]
fn a_copy_of_a_response_goes_to_the_candidate_as_chat_and_is_evidence() {
    let (native, chat) =
        (Upstream::start(vec![Script::json(RESPONSE)]), Upstream::start(vec![Script::json(chat_completion("hello"))]));
    let live = rollout(0.0, 1.0);
    let mut setup = Setup::to(&[&native, &chat]).with(&live);
    speaks_responses(&mut setup, 0);
    let gateway = setup.start();
    assert_eq!(post(&gateway, ASKED).text(), RESPONSE);
    until("the copy is made", || chat.requests().len() == 1);
    assert_eq!(chat.requests()[0].path, "/v1/chat/completions");
    until("the pair is on record", || gateway.exchanges(1)[0].attempts.len() == 2);
    let pair = gateway.exchange();
    assert!(pair.attempts.iter().all(|attempt| attempt.measured.failure.is_none()));
}

#[test]
fn an_endpoint_of_responses_that_no_translation_has_is_refused_for_a_chat_server() {
    let upstream = Upstream::start(vec![Script::status(500)]);
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/responses/input_tokens", &[], ASKED.as_bytes());
    let refused = connection.answer().unwrap();
    assert_eq!((refused.status, refused.error()["code"].as_str()), (400, Some("unsupported_endpoint")));
    assert_eq!(upstream.requests().len(), 0);
}
