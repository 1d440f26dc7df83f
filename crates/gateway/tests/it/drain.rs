//! The end of a process: readiness first, streams to their end, an error for those that take too long.

use std::sync::Arc;
use std::time::Duration;

use gateway::drain::Phase;
use gateway::snapshot::Drain;
use scripted::{Hang, Script, Upstream, chat_completion, chat_stream};

use crate::client::{Connection, get};
use crate::harness::{Gateway, PLAIN, STREAMED, Setup, until};

fn draining(upstream: &Upstream, pre_stop: Duration, deadline: Duration) -> Gateway {
    let mut setup = Setup::to(&[upstream]);
    setup.drain = Drain { pre_stop, deadline };
    setup.start()
}

#[test]
fn readiness_goes_first_and_requests_are_served_until_the_door_closes() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("x"))]);
    let gateway = draining(&upstream, Duration::from_secs(1), Duration::from_secs(5));
    let mut kept = Connection::open(gateway.addr);
    kept.post(PLAIN);
    kept.answer().unwrap();
    let serving = Arc::clone(&gateway.serving);
    let drain = std::thread::spawn(move || serving.drain());
    until("unready", || gateway.serving.phase() == Phase::Unready);
    assert_eq!(get(gateway.addr, "/ready").status, 503);
    assert_eq!(get(gateway.addr, "/health").status, 200);
    kept.post(PLAIN);
    let answer = kept.answer().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    let drained = drain.join().unwrap();
    assert_eq!(drained.cut, 0);
    assert!(std::net::TcpStream::connect(gateway.addr).is_err());
    assert_eq!(gateway.exchanges(2).len(), 2);
}

#[test]
fn a_stream_under_way_finishes() {
    let script = Script::stream(chat_stream(&["x"; 10], false)).pace(Duration::from_millis(30));
    let upstream = Upstream::start(vec![script]);
    let gateway = draining(&upstream, Duration::ZERO, Duration::from_secs(5));
    let mut connection = Connection::open(gateway.addr);
    connection.post(STREAMED);
    connection.head().unwrap();
    let serving = Arc::clone(&gateway.serving);
    let drain = std::thread::spawn(move || serving.drain());
    let mut text = Vec::new();
    loop {
        let chunk = connection.chunk().expect("a proper end");
        if chunk.is_empty() {
            break;
        }
        text.extend(chunk);
    }
    assert!(String::from_utf8(text).unwrap().ends_with("data: [DONE]\n\n"));
    assert_eq!(drain.join().unwrap().cut, 0);
}

#[test]
fn what_takes_longer_than_the_deadline_ends_with_an_error_and_is_on_record() {
    let endless = Script::stream(chat_stream(&["x"], false)[..2].to_vec()).hang(Hang::AfterPieces);
    let upstream =
        Upstream::with(
            move |request| {
                if request.text().contains("\"stream\":true") { endless.clone() } else { Script::silent() }
            },
        );
    let gateway = draining(&upstream, Duration::ZERO, Duration::from_millis(200));
    let mut stream = Connection::open(gateway.addr);
    stream.post(STREAMED);
    stream.head().unwrap();
    stream.chunk().unwrap();
    let mut plain = Connection::open(gateway.addr);
    plain.post(PLAIN);
    upstream.wait_for(2, crate::client::PATIENCE);
    assert_eq!(gateway.serving.drain().cut, 2);
    let last = stream.chunk().expect("an error event");
    assert!(String::from_utf8(last).unwrap().contains(r#""code":"shutting_down""#));
    assert_eq!(stream.chunk(), None, "a clean end");
    assert_eq!(plain.answer().unwrap().status, 503);
    for exchange in gateway.exchanges(2) {
        assert_eq!(exchange.exchange.failure.as_deref(), Some("shutting_down"));
        assert_ne!(exchange.exchange.outcome, "complete");
    }
}
