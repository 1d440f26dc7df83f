//! What goes through untouched, and the little that does not.

use std::sync::Arc;

use gateway::snapshot::{Route, Snapshot};
use scripted::{Script, Upstream, chat_completion, chat_stream};

use crate::client::{Connection, get, post};
use crate::harness::{PLAIN, STREAMED, Setup};

#[test]
fn a_plain_answer_arrives_byte_for_byte() {
    let body = chat_completion("hello");
    let upstream = Upstream::start(vec![
        Script::json(body.clone()).header("x-request-id", "req_upstream").header("x-ratelimit-limit-requests", "10"),
    ]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), body);
    assert_eq!(answer.header("x-request-id"), Some("req_upstream"));
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("10"));
    assert_eq!(answer.header("x-crossfade-target"), Some("a"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(upstream.requests()[0].text(), PLAIN.replace("gpt-4o", "model-a"));
    let exchange = gateway.exchange();
    assert_eq!(exchange.exchange.id.to_string(), answer.header("x-crossfade-exchange-id").unwrap());
    assert_eq!(exchange.exchange.outcome, "complete");
    assert_eq!(exchange.exchange.usage.unwrap().output_tokens, 3);
    assert_eq!(exchange.attempts.len(), 1);
}

#[test]
fn a_stream_arrives_event_by_event_without_the_usage_that_only_we_asked_for() {
    let upstream = Upstream::start(vec![Script::stream(chat_stream(&["Hel", "lo"], true))]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(gateway.addr, STREAMED);
    assert_eq!(answer.status, 200);
    assert!(answer.whole);
    assert_eq!(answer.text(), chat_stream(&["Hel", "lo"], false).concat());
    assert!(upstream.requests()[0].text().contains(r#""stream_options":{"include_usage":true}"#));
    let exchange = gateway.exchange();
    assert_eq!(exchange.exchange.usage.unwrap().input_tokens, 9);
    assert_eq!(exchange.exchange.outcome, "complete");
    assert!(exchange.exchange.adaptations.to_string().contains("stream_options.include_usage"));
    assert!(exchange.exchange.time_to_first_token_us.is_some());
}

#[test]
fn usage_is_shown_when_it_was_asked_for() {
    let upstream = Upstream::start(vec![Script::stream(chat_stream(&["x"], true))]);
    let gateway = Setup::to(&[&upstream]).start();
    let asked = r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    assert_eq!(post(gateway.addr, asked).text(), chat_stream(&["x"], true).concat());
}

#[test]
fn usage_null_that_we_caused_is_cut_out() {
    let chunk = |usage: &str| {
        format!(
            "data: {{\"id\":\"1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"x\"}},\"finish_reason\":null}}]{usage}}}\n\n"
        )
    };
    let end =
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let upstream = Upstream::start(vec![Script::stream([chunk(",\"usage\":null"), end.to_owned()])]);
    let gateway = Setup::to(&[&upstream]).start();
    assert_eq!(post(gateway.addr, STREAMED).text(), chunk("") + end);
}

#[test]
fn a_stream_survives_a_split_at_any_byte() {
    let stream = chat_stream(&["Grüße 🎚️", "日本語\r\n"], false).concat().into_bytes();
    for at in 1..stream.len() {
        let (before, after) = stream.split_at(at);
        let script = Script::stream([before.to_vec(), after.to_vec()]).pace(std::time::Duration::from_micros(1));
        let upstream = Upstream::start(vec![script]);
        let gateway = Setup::to(&[&upstream]).start();
        let answer = post(gateway.addr, STREAMED);
        assert!(answer.whole, "split at {at}");
        assert_eq!(answer.body, stream, "split at {at}");
        if at > 40 && std::env::var_os("CROSSFADE_SLOW_TESTS").is_none() {
            break;
        }
    }
}

#[test]
fn embeddings_pass_and_paths_work_without_v1() {
    let body = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAA"}],"usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    let upstream = Upstream::start(vec![Script::json(body)]);
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    for path in ["/v1/embeddings", "/embeddings"] {
        connection.send("POST", path, &[], br#"{"model":"gpt-4o","input":"x","encoding_format":"base64"}"#);
        assert_eq!(connection.answer().unwrap().text(), body);
    }
    assert_eq!(upstream.requests()[0].path, "/v1/embeddings");
    assert_eq!(gateway.exchanges(2)[0].exchange.endpoint.as_deref(), Some("embeddings"));
}

#[test]
fn the_other_paths_answer_or_refuse() {
    let upstream = Upstream::start(vec![Script::status(500)]);
    let gateway = Setup::to(&[&upstream]).start();
    assert_eq!(get(gateway.addr, "/health").status, 200);
    assert_eq!(get(gateway.addr, "/ready").status, 200);
    assert!(get(gateway.addr, "/v1/models").text().contains(r#""id":"gpt-4o""#));
    let nowhere = get(gateway.addr, "/v1/organization/projects");
    assert_eq!((nowhere.status, nowhere.header("x-crossfade-origin")), (404, Some("caller")));
    nowhere.error();
    let wrong = get(gateway.addr, "/v1/embeddings");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    wrong.error();
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_connection_carries_many_requests() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("x"))]);
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    for _ in 0..20 {
        connection.post(PLAIN);
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    assert_eq!(upstream.n_connections(), 1);
    assert_eq!(gateway.exchanges(20).len(), 20);
}

#[test]
fn a_reload_changes_new_requests_and_leaves_those_under_way_alone() {
    let (a, b) = (
        Upstream::start(vec![
            Script::stream(chat_stream(&["from a"; 5], false)).pace(std::time::Duration::from_millis(30)),
        ]),
        Upstream::start(vec![Script::json(chat_completion("from b"))]),
    );
    let gateway = Setup::to(&[&a, &b]).start();
    let mut under_way = Connection::open(gateway.addr);
    under_way.post(STREAMED);
    under_way.head().unwrap();
    let old = gateway.snapshot.load_full();
    let route = Route { name: "renamed".to_owned(), target: "b".to_owned(), fallback: Vec::new(), ..Route::default() };
    gateway.snapshot.store(Arc::new(Snapshot {
        hash: "changed".to_owned(),
        routes: [(route.name.clone(), Arc::new(route))].into(),
        ..(*old).clone()
    }));
    assert_eq!(post(gateway.addr, PLAIN).status, 404);
    assert!(post(gateway.addr, &PLAIN.replace("gpt-4o", "renamed")).text().contains("from b"));
    let mut text = Vec::new();
    while let Some(chunk) = under_way.chunk().filter(|chunk| !chunk.is_empty()) {
        text.extend(chunk);
    }
    assert_eq!(String::from_utf8(text).unwrap(), chat_stream(&["from a"; 5], false).concat());
}
