use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{After, Cut, Framing, Hang, Script, Upstream, chat_stream};

const SECOND: Duration = Duration::from_secs(1);
const REQUEST: &[u8] = b"POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";

/// Sends one request and reads until the connection ends; the text, and whether it ended in a reset.
fn exchange(upstream: &Upstream) -> (String, bool) {
    let mut stream = TcpStream::connect(upstream.addr()).unwrap();
    stream.write_all(REQUEST).unwrap();
    stream.set_read_timeout(Some(SECOND)).unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (String::from_utf8(bytes).unwrap(), end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset))
}

fn play(script: Script) -> (String, bool) {
    exchange(&Upstream::start(vec![script]))
}

#[test]
fn a_request_is_recorded_and_answered() {
    let upstream = Upstream::start(vec![Script::json("{}").header("x-a", "b").after(After::Close)]);
    let (answer, reset) = exchange(&upstream);
    assert_eq!(
        answer,
        "HTTP/1.1 200 Scripted\r\ncontent-type: application/json\r\nx-a: b\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
    );
    assert!(!reset);
    let seen = &upstream.wait_until(SECOND, |received| received.iter().all(|request| request.answered.is_some()))[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.text().as_str()), ("POST", "/v1/x", "hello"));
    assert_eq!((seen.header("host"), seen.connection, seen.nth), (Some("h"), 0, 0));
    assert!(seen.answered.is_some() && seen.disconnected.is_none());
}

#[test]
fn scripts_are_played_in_order_and_the_last_repeats() {
    let scripts = [201, 202].map(|status| Script::status(status).after(After::CloseSilently)).to_vec();
    let upstream = Upstream::start(scripts);
    let status = || exchange(&upstream).0[9..12].to_owned();
    assert_eq!([status(), status(), status()], ["201", "202", "202"]);
    assert_eq!(upstream.n_connections(), 3);
}

#[test]
fn a_closure_may_answer_by_what_was_asked() {
    let upstream = Upstream::with(|request| Script::json(request.body.clone()).after(After::CloseSilently));
    assert!(exchange(&upstream).0.ends_with("\r\n\r\nhello"));
}

#[test]
fn a_cut_comes_at_its_byte_and_in_its_manner() {
    let script = |cut| Script::json("0123456789").cut_after(4, cut);
    let (answer, reset) = play(script(Cut::Fin));
    assert!(answer.ends_with("content-length: 10\r\n\r\n0123") && !reset, "{answer}");
    let (answer, reset) = play(script(Cut::Rst).pace(Duration::from_millis(20)));
    assert!(answer.contains("content-length: 10") && reset, "{answer}");
    let (answer, _) = play(Script::stream(["abcd", "efgh"]).cut_after(6, Cut::Fin));
    assert!(answer.ends_with("4\r\nabcd\r\n2\r\nef\r\n"), "{answer}");
    assert_eq!(play(Script::hang_up(Cut::Fin)), (String::new(), false));
    assert_eq!(play(Script::hang_up(Cut::Rst)), (String::new(), true));
}

#[test]
fn streams_are_chunked_and_lies_are_told() {
    let stream = Script::stream(chat_stream(&["a"], true)).after(After::CloseSilently);
    let (answer, _) = play(stream);
    assert!(answer.contains("\"usage\"") && answer.ends_with("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"), "{answer}");
    let (answer, _) = play(Script::json("{}").framing(Framing::WrongLength(9)).after(After::CloseSilently));
    assert!(answer.contains("content-length: 9\r\n"));
    let (answer, _) = play(Script::json("{}").framing(Framing::UntilClose));
    assert!(answer.ends_with("application/json\r\n\r\n{}"));
    let (answer, _) = play(Script::stream(["a"]).comments(2, Duration::from_millis(1)).after(After::CloseSilently));
    assert_eq!(answer.matches(": ping\n\n").count(), 2);
}

#[test]
fn a_client_that_leaves_a_hanging_answer_is_noticed() {
    for hang in [Hang::BeforeHeaders, Hang::AfterHeaders, Hang::AfterPieces] {
        let upstream = Upstream::start(vec![Script::stream(["a"]).hang(hang)]);
        let mut stream = TcpStream::connect(upstream.addr()).unwrap();
        stream.write_all(REQUEST).unwrap();
        upstream.wait_for(1, SECOND);
        let left = Instant::now();
        drop(stream);
        let seen = upstream.wait_until(SECOND, |received| received[0].disconnected.is_some());
        assert!(seen[0].disconnected.is_some_and(|(at, _)| at - left < SECOND), "{hang:?}");
        assert!(seen[0].answered.is_none());
    }
}

#[test]
fn a_connection_that_is_promised_to_be_kept_and_is_not() {
    let upstream = Upstream::start(vec![Script::json("{}").after(After::CloseOnNext)]);
    let mut stream = TcpStream::connect(upstream.addr()).unwrap();
    stream.write_all(REQUEST).unwrap();
    stream.read_exact(&mut [0; 64]).unwrap();
    stream.write_all(REQUEST).unwrap();
    let seen = upstream.wait_for(2, SECOND);
    assert_eq!((seen.len(), seen[1].nth, seen[1].answered), (2, 1, None));
}
