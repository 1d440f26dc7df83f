//! HTTP/2 in clear text, against a server whose every stream is in the test's hands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use providers::{Call, Client, Http2, Provider};
use wire::failure::FailureKind;

use super::{BODY, SECOND, ask, call, provider_with, spliced, streamed};

/// What the server does with a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    Answer,
    /// Sends a head and one event, then waits.
    BeginStream,
    /// Waits without an answer.
    Wait,
    /// `RST_STREAM(REFUSED_STREAM)`: not processed.
    Refuse,
    /// `RST_STREAM(INTERNAL_ERROR)`: perhaps processed.
    Fail,
}

/// What the server saw.
#[derive(Debug, PartialEq)]
pub enum Saw {
    Connection,
    Request(String),
    Reset(h2::Reason),
}

/// The acts in order, one per stream over all connections; the last one repeats.
pub struct Acts(&'static [Act], AtomicUsize);

impl Acts {
    pub fn new(acts: &'static [Act]) -> Arc<Self> {
        Arc::new(Self(acts, AtomicUsize::new(0)))
    }

    fn next(&self) -> Act {
        let idx = self.1.fetch_add(1, Ordering::Relaxed);
        self.0[idx.min(self.0.len() - 1)]
    }
}

/// Serves one connection.
pub async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, acts: Arc<Acts>, saw: mpsc::Sender<Saw>) {
    let mut connection = h2::server::handshake(io).await.unwrap();
    saw.send(Saw::Connection).await.ok();
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        streams.spawn(play(request, respond, acts.next(), saw.clone()));
    }
}

async fn play(request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>, act: Act, saw: mpsc::Sender<Saw>) {
    if act == Act::Refuse {
        return respond.send_reset(h2::Reason::REFUSED_STREAM);
    }
    let uri = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut text = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        body.flow_control().release_capacity(piece.len()).ok();
        text.extend_from_slice(&piece);
    }
    saw.send(Saw::Request(format!("{uri} {}", String::from_utf8_lossy(&text)))).await.ok();
    let head = http::Response::new(());
    match act {
        Act::Answer => {
            let mut stream = respond.send_response(head, false).unwrap();
            stream.send_data(Bytes::from_static(b"{\"ok\":2}"), true).unwrap();
        }
        Act::BeginStream => {
            let mut stream = respond.send_response(head, false).unwrap();
            stream.send_data(Bytes::from_static(b"data: 1\n\n"), false).unwrap();
            let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
            saw.send(Saw::Reset(reason)).await.ok();
        }
        Act::Wait => {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
            saw.send(Saw::Reset(reason)).await.ok();
        }
        Act::Fail => respond.send_reset(h2::Reason::INTERNAL_ERROR),
        Act::Refuse => {}
    }
}

async fn start(acts: &'static [Act]) -> (SocketAddr, mpsc::Receiver<Saw>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (saw, seen) = mpsc::channel(64);
    let mut server = JoinSet::new();
    let acts = Acts::new(acts);
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, Arc::clone(&acts), saw.clone()));
        }
    });
    (addr, seen, server)
}

fn h2_provider(addr: SocketAddr) -> Arc<Provider> {
    provider_with(&format!("http://{addr}"), |config| config.http2 = Http2::PriorKnowledge)
}

async fn next(seen: &mut mpsc::Receiver<Saw>) -> Saw {
    tokio::time::timeout(SECOND, seen.recv()).await.expect("within a second").unwrap()
}

#[tokio::test]
async fn calls_share_one_connection() {
    let (addr, mut seen, _server) = start(&[Act::Answer]).await;
    let (provider, client) = (h2_provider(addr), Client::new());
    assert_eq!(ask(&client, &provider, Call { body: spliced(), ..call() }).await.unwrap(), "{\"ok\":2}");
    ask(&client, &provider, call()).await.unwrap();
    assert_eq!(next(&mut seen).await, Saw::Connection);
    let expected = format!("/v1/chat/completions {}", BODY.replace("gpt-4o", "tiny"));
    assert_eq!(next(&mut seen).await, Saw::Request(expected));
    assert!(matches!(next(&mut seen).await, Saw::Request(_)), "and no second connection");
}

#[tokio::test]
async fn dropping_a_streams_body_resets_the_stream_and_keeps_the_connection() {
    let (addr, mut seen, _server) = start(&[Act::BeginStream, Act::Answer]).await;
    let (provider, client) = (h2_provider(addr), Client::new());
    let mut reply = client.call(&provider, streamed()).await.unwrap();
    reply.body.next().await.unwrap().unwrap();
    drop(reply);
    assert_eq!(next(&mut seen).await, Saw::Connection);
    assert!(matches!(next(&mut seen).await, Saw::Request(_)));
    assert_eq!(next(&mut seen).await, Saw::Reset(h2::Reason::CANCEL));
    ask(&client, &provider, call()).await.unwrap();
    assert!(matches!(next(&mut seen).await, Saw::Request(_)), "on the same connection");
}

#[tokio::test]
async fn giving_up_a_call_that_waits_for_its_answer_resets_the_stream() {
    let (addr, mut seen, _server) = start(&[Act::Wait]).await;
    let (provider, client) = (h2_provider(addr), Client::new());
    let given_up = tokio::time::timeout(Duration::from_millis(50), client.call(&provider, call())).await;
    assert!(given_up.is_err());
    assert_eq!(next(&mut seen).await, Saw::Connection);
    assert!(matches!(next(&mut seen).await, Saw::Request(_)));
    assert_eq!(next(&mut seen).await, Saw::Reset(h2::Reason::CANCEL));
}

#[tokio::test]
async fn a_refused_stream_is_called_again_once_and_a_failed_one_is_not() {
    let (addr, _seen, _server) = start(&[Act::Refuse, Act::Answer, Act::Fail, Act::Refuse]).await;
    let (provider, client) = (h2_provider(addr), Client::new());
    assert_eq!(ask(&client, &provider, call()).await.unwrap(), "{\"ok\":2}");
    let failed = ask(&client, &provider, call()).await.unwrap_err();
    assert_eq!(failed.kind, FailureKind::Disconnected, "{failed}");
    let refused_twice = ask(&client, &provider, call()).await.unwrap_err();
    assert_eq!(refused_twice.kind, FailureKind::Connect, "{refused_twice}");
}
