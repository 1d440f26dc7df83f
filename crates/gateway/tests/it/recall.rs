//! Responses that a caller goes on from, whoever answers the next turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use providers::ProviderConfig;
use scripted::{Received, Script, Upstream, chat_completion, chat_stream};
use serde_json::Value;
use wire::translate::Dialect;

use crate::client::{Answer, Connection};
use crate::harness::{Gateway, Setup, rollout, until};

fn chat_server() -> Upstream {
    Upstream::with(|received: &Received| {
        if received.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&["hel", "lo"], true))
        } else {
            Script::json(chat_completion("hello"))
        }
    })
}

/// A provider with responses of its own. The first is `resp_native`, and each has another id.
fn native() -> Upstream {
    let n_made = AtomicUsize::new(0);
    Upstream::with(move |received: &Received| {
        let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
        let before = body["previous_response_id"].as_str();
        if before.is_some_and(|id| !id.starts_with("resp_native")) {
            return Script::error(400, "invalid_request_error", "previous_response_not_found");
        }
        let n = n_made.fetch_add(1, Ordering::Relaxed);
        let id = if n == 0 { "resp_native".to_owned() } else { format!("resp_native_{n}") };
        Script::json(format!(
            r#"{{"id":"{id}","object":"response","status":"completed","output":[{{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{{"type":"output_text","text":"from the vendor","annotations":[]}}]}}]}}"#,
        ))
    })
}

fn speaks_responses(setup: &mut Setup, idx: usize) {
    let mut provider: ProviderConfig = (*setup.targets[idx].provider).clone();
    provider.speaks = vec![Dialect::Responses];
    setup.targets[idx].provider = Arc::new(provider);
}

fn send(gateway: &Gateway, method: &str, path: &str, body: &str, key: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    let headers = [("authorization", key), ("content-type", "application/json")];
    connection.send(method, path, &headers, body.as_bytes());
    connection.answer().expect("an answer")
}

const KEY: &str = "Bearer sk-canary-caller";

fn respond(gateway: &Gateway, body: &str) -> Answer {
    send(gateway, "POST", "/v1/responses", body, KEY)
}

fn get(gateway: &Gateway, path: &str) -> Answer {
    send(gateway, "GET", path, "", KEY)
}

fn value(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// The id of a response, whole or streamed.
fn id_of(answer: &Answer) -> String {
    let text = answer.text();
    let whole = text.rsplit_once("data: ").map_or(text.as_str(), |(_, data)| data);
    let value: Value = serde_json::from_str(whole.trim()).unwrap_or_else(|_| panic!("{text}"));
    let response = value.get("response").unwrap_or(&value);
    response["id"].as_str().unwrap().to_owned()
}

/// What was said so far, as the chat server got it last.
fn told(upstream: &Upstream) -> Vec<String> {
    let body: Value = serde_json::from_slice(&upstream.requests().last().unwrap().body).unwrap();
    let text = |message: &Value| match &message["content"] {
        Value::String(text) => text.clone(),
        parts => parts[0]["text"].as_str().unwrap_or_default().to_owned(),
    };
    body["messages"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn a_conversation_goes_on_by_the_id_of_its_last_response_whole_and_streamed() {
    let upstream = chat_server();
    let gateway = Setup::to(&[&upstream]).start();
    let first = respond(&gateway, r#"{"model":"gpt-4o","instructions":"be brief","input":"one"}"#);
    let id = id_of(&first);
    let second = respond(
        &gateway,
        &format!(r#"{{"model":"gpt-4o","input":"two","stream":true,"previous_response_id":"{id}"}}"#),
    );
    assert_eq!(told(&upstream), ["one", "hello", "two"], "the instructions of a turn are its own");
    let id = id_of(&second);
    let third = respond(&gateway, &format!(r#"{{"model":"gpt-4o","input":"three","previous_response_id":"{id}"}}"#));
    assert_eq!(told(&upstream), ["one", "hello", "two", "hello", "three"]);
    assert_eq!(value(&third)["previous_response_id"], id);
}

#[test]
fn a_conversation_goes_on_after_a_restart_from_the_record_alone() {
    let upstream = chat_server();
    let gateway = Setup::to(&[&upstream]).start();
    let first = id_of(&respond(&gateway, r#"{"model":"gpt-4o","input":"one"}"#));
    let second = respond(
        &gateway,
        &format!(r#"{{"model":"gpt-4o","input":"two","stream":true,"previous_response_id":"{first}"}}"#),
    );
    let second = id_of(&second);
    gateway.exchanges(2);
    let gateway = gateway.with_an_empty_memory();
    respond(&gateway, &format!(r#"{{"model":"gpt-4o","input":"three","previous_response_id":"{second}"}}"#));
    assert_eq!(told(&upstream), ["one", "hello", "two", "hello", "three"]);
    let again = value(&get(&gateway, &format!("/v1/responses/{second}")));
    assert_eq!(
        (again["id"].as_str(), again["output"][0]["content"][0]["text"].as_str()),
        (Some(second.as_str()), Some("hello"))
    );
}

#[test]
fn what_was_said_by_one_caller_is_not_there_for_another() {
    let upstream = chat_server();
    let gateway = Setup::to(&[&upstream]).start();
    let id = id_of(&respond(&gateway, r#"{"model":"gpt-4o","input":"one"}"#));
    let body = format!(r#"{{"model":"gpt-4o","input":"two","previous_response_id":"{id}"}}"#);
    let refused = send(&gateway, "POST", "/v1/responses", &body, "Bearer sk-canary-other");
    assert_eq!((refused.status, refused.error()["code"].as_str()), (400, Some("previous_response_not_found")));
    assert_eq!(refused.error()["param"], "previous_response_id");
    assert_eq!(send(&gateway, "GET", &format!("/v1/responses/{id}"), "", "Bearer sk-canary-other").status, 404);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn what_the_caller_does_not_want_kept_is_not_kept() {
    let upstream = chat_server();
    let gateway = Setup::to(&[&upstream]).start();
    let id = id_of(&respond(&gateway, r#"{"model":"gpt-4o","input":"one","store":false}"#));
    gateway.exchanges(1);
    let body = format!(r#"{{"model":"gpt-4o","input":"two","previous_response_id":"{id}"}}"#);
    assert_eq!(respond(&gateway, &body).status, 400);
    assert_eq!(get(&gateway, &format!("/v1/responses/{id}")).status, 404);
}

#[test]
fn a_gateway_that_keeps_nothing_says_so() {
    let upstream = chat_server();
    let mut setup = Setup::to(&[&upstream]);
    setup.keeping.keep = false;
    let gateway = setup.start();
    let id = id_of(&respond(&gateway, r#"{"model":"gpt-4o","input":"one"}"#));
    let refused = respond(&gateway, &format!(r#"{{"model":"gpt-4o","input":"two","previous_response_id":"{id}"}}"#));
    assert_eq!((refused.status, refused.error()["code"].as_str()), (400, Some("responses_not_kept")));
    assert!(refused.error()["message"].as_str().unwrap().contains("responses: { keep: true }"));
}

#[test]
fn a_kept_response_can_be_seen_its_input_listed_and_it_can_be_deleted_for_good() {
    let upstream = chat_server();
    let gateway = Setup::to(&[&upstream]).start();
    let answer = respond(&gateway, r#"{"model":"gpt-4o","input":"one"}"#);
    let path = format!("/v1/responses/{}", id_of(&answer));
    assert_eq!(get(&gateway, &path).text(), answer.text());
    let items = value(&get(&gateway, &format!("{path}/input_items")));
    assert_eq!((items["data"][0]["role"].as_str(), items["has_more"].as_bool()), (Some("user"), Some(false)));
    assert_eq!(send(&gateway, "POST", &format!("{path}/cancel"), "", KEY).status, 400);
    gateway.exchanges(1);
    assert_eq!(value(&send(&gateway, "DELETE", &path, "", KEY))["deleted"], true);
    assert_eq!(get(&gateway, &path).status, 404);
    until("the deletion is in the record", || gateway.exchange().outcomes.len() == 1);
    let gateway = gateway.with_an_empty_memory();
    assert_eq!(get(&gateway, &path).status, 404);
    assert_eq!(upstream.requests().len(), 1, "nobody else was asked");
}

#[test]
fn a_vendors_own_conversation_goes_on_at_the_vendor_and_after_failover_elsewhere() {
    let (vendor, chat) = (native(), chat_server());
    let mut setup = Setup::to(&[&vendor, &chat]);
    speaks_responses(&mut setup, 0);
    let gateway = setup.start();
    let id = id_of(&respond(&gateway, r#"{"model":"gpt-4o","input":"one"}"#));
    assert_eq!(id, "resp_native");
    let body = format!(r#"{{"model":"gpt-4o","input":"two","previous_response_id":"{id}"}}"#);
    respond(&gateway, &body);
    assert_eq!(vendor.requests()[1].text(), body.replace("gpt-4o", "model-a"), "as it came");
    // The same caller, on the route of a server that never heard of it.
    respond(&gateway, &body.replace("gpt-4o", "to-b-directly"));
    assert_eq!(told(&chat), ["one", "from the vendor", "two"]);
}

#[test]
fn a_vendor_is_told_a_conversation_that_others_had() {
    let (chat, vendor) = (chat_server(), native());
    let mut setup = Setup::to(&[&chat, &vendor]);
    speaks_responses(&mut setup, 1);
    let gateway = setup.start();
    let id = id_of(&respond(&gateway, r#"{"model":"gpt-4o","input":"one"}"#));
    let body = format!(r#"{{"model":"to-b-directly","input":"two","previous_response_id":"{id}"}}"#);
    assert_eq!(respond(&gateway, &body).status, 200);
    let told: Value = serde_json::from_slice(&vendor.requests()[0].body).unwrap();
    assert_eq!((told["input"].as_array().unwrap().len(), told.get("previous_response_id")), (3, None));
    // The next turn is the vendor's own.
    respond(&gateway, r#"{"model":"to-b-directly","input":"three","previous_response_id":"resp_native"}"#);
    assert!(vendor.requests()[1].text().contains("\"previous_response_id\":\"resp_native\""));
}

#[test]
fn a_response_that_only_the_vendor_knows_stays_with_the_vendor_and_is_no_evidence() {
    let (vendor, chat) = (native(), chat_server());
    let live = rollout(1.0, 0.0);
    let mut setup = Setup::to(&[&vendor, &chat]).with(&live);
    speaks_responses(&mut setup, 0);
    let gateway = setup.start();
    let answer = respond(&gateway, r#"{"model":"gpt-4o","input":"two","previous_response_id":"resp_native"}"#);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")));
    assert!(gateway.exchange().exchange.rollout.is_none());
    assert_eq!(chat.requests().len(), 0);
}

#[test]
fn a_conversation_stays_on_its_arm_from_turn_to_turn() {
    let (vendor, chat) = (native(), chat_server());
    let live = {
        let mut live = rollout(0.5, 0.0);
        Arc::get_mut(&mut live).unwrap().identity.unit = rollout::Unit::Conversation;
        live
    };
    let mut setup = Setup::to(&[&vendor, &chat]).with(&live);
    speaks_responses(&mut setup, 0);
    let gateway = setup.start();
    for n in 0..20 {
        let first = respond(&gateway, &format!(r#"{{"model":"gpt-4o","input":"conversation {n}"}}"#));
        let target = first.header("x-crossfade-target").unwrap().to_owned();
        let mut id = id_of(&first);
        for turn in 0..2 {
            let body = format!(r#"{{"model":"gpt-4o","input":"turn {turn}","previous_response_id":"{id}"}}"#);
            let next = respond(&gateway, &body);
            assert_eq!(next.header("x-crossfade-target"), Some(target.as_str()));
            id = id_of(&next);
        }
    }
    assert!(!vendor.requests().is_empty() && !chat.requests().is_empty());
}
