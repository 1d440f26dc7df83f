use std::time::{Duration, Instant};

use providers::Client;
use scripted::{Cut, Framing, Script, Upstream, chat_completion, chat_stream};
use wire::failure::FailureKind;

use super::{SECOND, ask, call, provider, provider_with, streamed};

async fn failure_of(script: Script) -> FailureKind {
    let upstream = Upstream::start(vec![script]);
    ask(&Client::new(), &provider(&upstream.url()), streamed()).await.unwrap_err().kind
}

#[tokio::test]
async fn a_cut_in_the_middle_is_never_a_clean_end() {
    let whole = chat_completion("hello").len();
    for n_bytes in (0..whole).step_by(17) {
        for cut in [Cut::Fin, Cut::Rst] {
            let script = Script::json(chat_completion("hello")).cut_after(n_bytes, cut);
            assert_eq!(failure_of(script).await, FailureKind::Disconnected, "whole answer, byte {n_bytes}, {cut:?}");
            let script = Script::stream(chat_stream(&["hello"], true)).cut_after(n_bytes, cut);
            assert_eq!(failure_of(script).await, FailureKind::Disconnected, "stream, byte {n_bytes}, {cut:?}");
        }
    }
}

#[tokio::test]
async fn a_length_that_is_too_long_is_a_cut() {
    let script = Script::json("{}").framing(Framing::WrongLength(10)).after(scripted::After::CloseSilently);
    assert_eq!(failure_of(script).await, FailureKind::Disconnected);
}

#[tokio::test]
async fn a_length_that_is_no_number_or_a_bad_chunk_is_malformed() {
    let script = Script::json("{}").framing(Framing::UntilClose).header("content-length", "many");
    assert_eq!(failure_of(script).await, FailureKind::Malformed);
    let script = Script::stream(["data: 1\n\n"]).framing(Framing::BadChunk);
    assert_eq!(failure_of(script).await, FailureKind::Malformed);
}

#[tokio::test]
async fn a_connection_that_closes_instead_of_answering_is_disconnected() {
    for how in [Cut::Fin, Cut::Rst] {
        let upstream = Upstream::start(vec![Script::hang_up(how)]);
        let failure = ask(&Client::new(), &provider(&upstream.url()), call()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Disconnected);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_dns() {
    let name = "a".repeat(64);
    let failure = ask(&Client::new(), &provider(&format!("http://{name}.invalid")), call()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Dns, "{failure}");
}

#[tokio::test]
async fn a_host_that_does_not_take_the_connection_is_a_connect_timeout() {
    // A backlog of one, filled: the kernel drops every further SYN.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let _filling: Vec<_> = (0..2)
        .map(|_| {
            let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            filler.connect(&addr.into()).ok();
            filler
        })
        .collect();
    let provider =
        provider_with(&format!("http://{addr}"), |config| config.timeouts.connect = Duration::from_millis(100));
    let started = Instant::now();
    let failure = ask(&Client::new(), &provider, call()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimeoutConnect, "{failure}");
    assert!(started.elapsed() < 5 * SECOND);
}

#[tokio::test]
async fn a_collected_body_has_a_limit() {
    let upstream = Upstream::start(vec![Script::stream(["12345", "67890"])]);
    let reply = Client::new().call(&provider(&upstream.url()), call()).await.unwrap();
    assert_eq!(reply.body.collect(9).await.unwrap_err().kind, FailureKind::Malformed);
}
