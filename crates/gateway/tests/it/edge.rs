//! Requests that are not what they should be.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use scripted::{Script, Upstream, chat_completion};

use crate::client::{Connection, post};
use crate::harness::{PLAIN, Setup, until};

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
