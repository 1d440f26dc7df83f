//! Requests that are not what they should be.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use scripted::{Script, Upstream, chat_completion};

use crate::client::{Connection, post};
use crate::endpoints::change;
use crate::harness::{Gateway, PLAIN, Setup, until};

fn upstream() -> Upstream {
    Upstream::start(vec![Script::json(chat_completion("x"))])
}

#[test]
fn bad_requests_get_the_envelope_and_reach_nobody() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).start();
    let cases = [
        ("", 400, None),
        ("{\"model\":", 400, None),
        ("[]", 400, None),
        (r#"{"messages":[]}"#, 400, Some("model")),
        (r#"{"model":3}"#, 400, Some("model")),
        (r#"{"model":"gpt-4o","model":"x","messages":[]}"#, 400, Some("model")),
        (r#"{"model":"nope","messages":[]}"#, 404, Some("model")),
    ];
    for (body, status, param) in cases {
        let answer = post(gateway.addr, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!(answer.error()["param"].as_str(), param, "{body}");
        assert_eq!(answer.header("x-crossfade-origin"), Some("caller"));
        assert!(answer.header("x-crossfade-exchange-id").is_some());
    }
    assert_eq!(post(gateway.addr, &format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000))).status, 400);
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).limits(|limits| limits.max_body = 1000).start();
    let mut connection = Connection::open(gateway.addr);
    connection
        .stream
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n")
        .unwrap();
    let answer = connection.answer().unwrap();
    assert_eq!((answer.status, answer.error()["code"].as_str()), (413, Some("request_too_large")));
    let mut chunked = Connection::open(gateway.addr);
    chunked
        .stream
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    chunked.stream.write_all(format!("7d0\r\n{}\r\n", "x".repeat(2000)).as_bytes()).unwrap();
    assert_eq!(chunked.answer().unwrap().status, 413);
}

#[test]
fn more_bodies_at_once_than_there_is_room_for_are_refused_until_there_is() {
    let upstream = upstream();
    let gateway =
        Setup::to(&[&upstream]).limits(|limits| (limits.max_body, limits.max_bodies) = (60_000, 60_000)).start();
    let body = PLAIN.replace("hi", &"x".repeat(50_000));
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let first = RefCell::new(None);
    until("the second body is refused", || {
        // The second may overtake the first: then a new first, until it is in time. Not before the room of the last one is
        // free again, else it is the new first that is refused.
        drop(first.take());
        until("there is room", || post(gateway.addr, &body).status == 200);
        let mut slow = Connection::open(gateway.addr);
        slow.stream.write_all(head.as_bytes()).unwrap();
        slow.stream.write_all(&body.as_bytes()[..body.len() - 10]).unwrap();
        first.replace(Some(slow));
        let answer = post(gateway.addr, &body);
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
        answer.status == 503
    });
    let mut slow = first.into_inner().unwrap();
    let refused = post(gateway.addr, &body);
    assert_eq!((refused.status, refused.error()["code"].as_str()), (503, Some("capacity")));
    assert_eq!((refused.header("retry-after"), refused.header("x-crossfade-origin")), (Some("1"), Some("crossfade")));
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    slow.stream.write_all(&body.as_bytes()[body.len() - 10..]).unwrap();
    assert_eq!(slow.answer().unwrap().status, 200);
    drop(slow);
    until("there is room again", || post(gateway.addr, &body).status == 200);
}

#[test]
fn an_answer_there_is_no_room_for_is_refused_and_not_asked_for_elsewhere() {
    let large = || Upstream::start(vec![Script::json(chat_completion(&"x".repeat(200_000)))]);
    let (a, b) = (large(), large());
    let gateway = Setup::to(&[&a, &b])
        .falling_back_to(&["b"])
        .limits(|limits| (limits.max_body, limits.max_bodies) = (1000, 100_000))
        .start();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("capacity")));
    assert_eq!(b.requests().len(), 0);
}

#[test]
fn a_head_that_does_not_arrive_is_closed_and_others_are_served_meanwhile() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).limits(|limits| limits.header_timeout = Duration::from_millis(200)).start();
    let mut slow = Connection::open(gateway.addr);
    slow.stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost").unwrap();
    let begun = Instant::now();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    let mut rest = Vec::new();
    slow.stream.read_to_end(&mut rest).unwrap_or_default();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_body_that_does_not_arrive_is_refused() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).limits(|limits| limits.body_timeout = Duration::from_millis(100)).start();
    let mut slow = Connection::open(gateway.addr);
    slow.stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{").unwrap();
    assert_eq!(slow.answer().unwrap().status, 408);
}

#[test]
fn too_many_headers_are_refused() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    let headers: String = (0..1000).map(|n| format!("h{n}: v\r\n")).collect();
    connection.stream.write_all(format!("POST /v1/chat/completions HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
    assert_eq!(connection.head().unwrap().status, 431);
}

#[test]
fn a_compressed_body_is_refused_with_words() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/chat/completions", &[("content-encoding", "gzip")], b"\x1f\x8b");
    let answer = connection.answer().unwrap();
    assert_eq!(answer.status, 415);
    answer.error();
}

#[test]
fn no_more_connections_than_allowed_are_served_at_once() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).limits(|limits| limits.max_connections = 2).start();
    let mut first = Connection::open(gateway.addr);
    first.post(PLAIN);
    first.answer().unwrap();
    let mut second = Connection::open(gateway.addr);
    second.post(PLAIN);
    second.answer().unwrap();
    let mut third = Connection::open(gateway.addr);
    third.post(PLAIN);
    third.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(third.answer().is_none(), "a third connection was served");
    drop(first);
    third.stream.set_read_timeout(Some(crate::client::PATIENCE)).unwrap();
    assert_eq!(third.answer().unwrap().status, 200);
}

/// What a caller would slip behind another request: a whole request of its own.
fn smuggled() -> String {
    let body = PLAIN.replace("hi", "smuggled");
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends bytes and reads what comes until the connection is closed, or nothing comes any more.
fn sent_raw(gateway: &Gateway, bytes: &str) -> String {
    let mut connection = Connection::open(gateway.addr);
    connection.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    connection.stream.write_all(bytes.as_bytes()).unwrap();
    let mut read = Vec::new();
    connection.stream.read_to_end(&mut read).unwrap_or_default();
    String::from_utf8_lossy(&read).into_owned()
}

#[test]
fn no_request_is_smuggled_in_another_ones_body() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).start();
    let is_smuggled = || upstream.requests().iter().any(|received| received.text().contains("smuggled"));
    let (inner, post) = (smuggled(), "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n");
    let (n, chunked) = (inner.len(), "0\r\n\r\n");
    for attack in [
        // Two lengths: whoever stands before the gateway may go by the other one.
        format!("{post}content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n{chunked}{inner}", n + 5),
        format!("{post}transfer-encoding: chunked\r\ncontent-length: {}\r\n\r\n{chunked}{inner}", n + 5),
        format!("{post}content-length: {n}\r\ncontent-length: 0\r\n\r\n{inner}"),
        // An encoding that only one of two readers takes for chunked.
        format!("{post}transfer-encoding: xchunked\r\n\r\n{chunked}{inner}"),
        format!("{post}transfer-encoding: chunked, identity\r\n\r\n{chunked}{inner}"),
        format!("{post}transfer-encoding : chunked\r\n\r\n{chunked}{inner}"),
        format!("{post}transfer-encoding:\u{b}chunked\r\n\r\n{chunked}{inner}"),
        format!("POST /v1/chat/completions HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n{chunked}{inner}"),
        // A length that only one of two readers can read.
        format!("{post}content-length: +0\r\n\r\n{inner}"),
        format!("{post}content-length: 0x0\r\n\r\n{inner}"),
        format!("{post}x: y\r\n content-length: 0\r\n\r\n{inner}"),
        // A body that nobody reads, because the request is refused before.
        format!("POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: {n}\r\n\r\n{inner}"),
        format!("GET /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: {n}\r\n\r\n{inner}"),
        format!("{post}content-encoding: gzip\r\ncontent-length: {n}\r\n\r\n{inner}"),
        format!(
            "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: {n}\r\n\r\n{inner}"
        ),
    ] {
        let answer = sent_raw(&gateway, &attack);
        assert!(!is_smuggled(), "{attack}\n{answer}");
        assert!(!answer.contains(" 101 "), "{answer}");
    }
    // Behind a request that ends where it says, the same bytes are a request.
    sent_raw(&gateway, &format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n{inner}"));
    assert!(is_smuggled());
}

#[test]
fn gateways_that_call_one_another_in_a_circle_notice() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).start();
    post(gateway.addr, PLAIN);
    assert_eq!(upstream.requests()[0].header("x-crossfade-hops"), Some("1"));
    let own = format!("http://{}/v1", gateway.addr);
    change(&gateway, |snapshot| {
        let target = std::sync::Arc::make_mut(snapshot.targets.get_mut("a").unwrap());
        target.model = "gpt-4o".to_owned();
        let mut provider = (*target.provider).clone();
        provider.base_url = providers::BaseUrl::parse(&own).unwrap();
        target.provider = provider.into();
    });
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.error()["code"].as_str()), (508, Some("request_loop")));
    // Each of the four asked once, and the one behind them said why not.
    let exchanges = gateway.exchanges(5);
    let looped: Vec<_> = exchanges.iter().filter(|one| one.exchange.outcome != "complete").collect();
    assert_eq!(looped.len(), 4);
    assert!(looped.iter().all(|one| one.attempts.len() == 1), "{looped:?}");
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/chat/completions", &[("x-crossfade-hops", "4")], PLAIN.as_bytes());
    let answer = connection.answer().unwrap();
    assert_eq!((answer.status, answer.error()["code"].as_str()), (508, Some("request_loop")));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}
