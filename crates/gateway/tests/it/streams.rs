//! Streams that do not end as they should: a caller always learns of it.

use std::io::{Read, Write};
use std::time::Duration;

use scripted::{Cut, Framing, Hang, Script, Upstream, chat_stream};

use crate::client::{Connection, post};
use crate::harness::{STREAMED, Setup};

const SHORT: Duration = Duration::from_millis(150);

/// The last event is an error with all four keys, `[DONE]` never came, and the body has no proper end.
#[track_caller]
fn assert_cut(answer: &crate::client::Answer, code: &str) {
    let text = answer.text();
    assert!(!answer.whole, "a clean end: {text}");
    assert!(!text.contains("[DONE]"), "{text}");
    let last = text.trim_end().rsplit("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
    let error: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(error["error"]["code"], code, "{text}");
    assert!(error["error"].get("param").is_some());
}

#[test]
fn a_stream_cut_at_any_byte_never_ends_cleanly() {
    let stream = chat_stream(&["one", " two"], false).concat();
    let slow = std::env::var_os("CROSSFADE_SLOW_TESTS").is_some();
    for cut in [Cut::Fin, Cut::Rst] {
        for at in (0..stream.len() - 1).step_by(if slow { 1 } else { 13 }) {
            let upstream = Upstream::start(vec![Script::stream([stream.as_str()]).cut_after(at, cut)]);
            let gateway = Setup::to(&[&upstream]).start();
            let answer = post(gateway.addr, STREAMED);
            if answer.status == 200 {
                assert_cut(&answer, "upstream_disconnected");
            } else {
                assert_eq!(answer.status, 502, "cut at {at}");
                answer.error();
            }
            let outcome = gateway.exchange().exchange.outcome;
            assert!(outcome == "truncated" || outcome == "failed", "{outcome} for a cut at {at}");
        }
    }
}

#[test]
fn a_caller_without_chunks_learns_of_a_cut_by_a_reset_and_of_the_end_by_a_close() {
    let ask = |upstream: &Upstream| {
        let gateway = Setup::to(&[upstream]).start();
        let mut stream = std::net::TcpStream::connect(gateway.addr).unwrap();
        stream.set_read_timeout(Some(crate::client::PATIENCE)).unwrap();
        let head = format!("POST /v1/chat/completions HTTP/1.0\r\ncontent-length: {}\r\n\r\n", STREAMED.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(STREAMED.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        (String::from_utf8(answer).unwrap(), end.map_err(|error| error.kind()))
    };
    let events = chat_stream(&["one", "two"], false);
    let (answer, end) = ask(&Upstream::start(vec![Script::stream(events.clone())]));
    assert!(answer.ends_with("data: [DONE]\n\n") && end.is_ok(), "{end:?} {answer}");
    let cut = events[..3].concat().len();
    for how in [Cut::Fin, Cut::Rst] {
        let (answer, end) = ask(&Upstream::start(vec![Script::stream([events.concat()]).cut_after(cut, how)]));
        assert!(answer.contains("upstream_disconnected"), "{answer}");
        assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset), "{answer}");
    }
}

#[test]
fn a_close_without_a_length_in_the_middle_is_a_cut_too() {
    let events = chat_stream(&["one", "two"], false);
    let upstream = Upstream::start(vec![Script::stream(events[..3].to_vec()).framing(Framing::UntilClose)]);
    let gateway = Setup::to(&[&upstream]).start();
    assert_cut(&post(gateway.addr, STREAMED), "upstream_disconnected");
}

#[test]
fn a_finish_reason_without_done_is_a_whole_answer() {
    let events = chat_stream(&["one"], false);
    let upstream = Upstream::start(vec![Script::stream(events[..3].to_vec())]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(gateway.addr, STREAMED);
    assert!(answer.whole);
    assert_eq!(answer.text(), events[..3].concat());
    assert_eq!(gateway.exchange().exchange.outcome, "complete");
}

#[test]
fn a_whole_stream_that_takes_too_long_is_cut() {
    let script = Script::stream(chat_stream(&["x"; 100], false)).pace(Duration::from_millis(20));
    let upstream = Upstream::start(vec![script]);
    let gateway = Setup::to(&[&upstream]).timeouts(|timeouts| timeouts.total = SHORT * 2).start();
    assert_cut(&post(gateway.addr, STREAMED), "timeout_total");
}

#[test]
fn an_error_event_after_content_is_passed_on_and_ends_the_stream() {
    let error = "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";
    let mut events = chat_stream(&["one"], false)[..2].to_vec();
    events.push(error.to_owned());
    events.push("data: [DONE]\n\n".to_owned());
    let upstream = Upstream::start(vec![Script::stream(events).pace(Duration::from_millis(5))]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(gateway.addr, STREAMED);
    assert!(answer.text().contains(error));
    assert_cut(&answer, "upstream_error");
    assert_eq!(gateway.exchange().exchange.failure.as_deref(), Some("error_in_stream"));
}

#[test]
fn a_slow_caller_is_not_taken_for_a_slow_provider() {
    let big = "x".repeat(1 << 20);
    let script = Script::stream(chat_stream(&[&big[..500_000]; 8], false));
    let upstream = Upstream::start(vec![script]);
    let gateway = Setup::to(&[&upstream])
        .timeouts(|timeouts| timeouts.inter_token = Duration::from_millis(300))
        .limits(|limits| limits.write_timeout = Duration::from_secs(20))
        .start();
    let mut connection = Connection::open(gateway.addr);
    connection.post(STREAMED);
    connection.head().unwrap();
    connection.chunk().unwrap();
    // The caller does something else for longer than the provider may be silent.
    std::thread::sleep(Duration::from_millis(700));
    let mut last = connection.chunk();
    while last.as_ref().is_some_and(|chunk| !chunk.is_empty()) {
        last = connection.chunk();
    }
    assert_eq!(last, Some(Vec::new()), "the stream was cut");
    assert_eq!(gateway.exchange().exchange.outcome, "complete");
}

#[test]
fn a_caller_that_never_reads_is_given_up() {
    // More than the caller's socket takes. It has no end: on its way to the gateway the kernel may take all of it (up to 32 MiB).
    let events = chat_stream(&["y".repeat(900_000).as_str(); 20], false);
    let script = Script::stream(events[..events.len() - 2].to_vec()).hang(Hang::AfterPieces);
    let upstream = Upstream::start(vec![script]);
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    connection.post(STREAMED);
    let received = upstream.wait_until(crate::client::PATIENCE, |all| all.iter().any(|one| one.disconnected.is_some()));
    assert!(received[0].disconnected.is_some(), "the upstream was left running");
    assert_eq!(gateway.exchange().exchange.outcome, "client_gone");
    drop(connection);
}
