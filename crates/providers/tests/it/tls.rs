//! TLS with a self-signed certificate that `ca_file` trusts.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, rustls};

use providers::{BaseUrl, Client, Dialect, Http2, Ledger, Provider, ProviderConfig, Shared};
use wire::failure::FailureKind;
use wire::record::{ConnectionRecord, Lane};

use super::http2::{Act, Acts, serve};
use super::{ask, call, provider_with};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    addr: SocketAddr,
    ca_file: NamedTempFile,
    /// The protocol of every connection that was made.
    protocols: mpsc::Receiver<String>,
    _tasks: JoinSet<()>,
}

async fn start(protocols: &[&str]) -> Server {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut ca_file = NamedTempFile::new().unwrap();
    ca_file.write_all(certified.cert.pem().as_bytes()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (send, protocols) = mpsc::channel(64);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let protocol = stream.get_ref().1.alpn_protocol().unwrap_or(b"http/1.1").to_vec();
            send.send(String::from_utf8(protocol.clone()).unwrap()).await.ok();
            if protocol == b"h2" {
                let (saw, mut seen) = mpsc::channel(64);
                connections.spawn(async move { while seen.recv().await.is_some() {} });
                connections.spawn(serve(stream, Acts::new(&[Act::Answer]), saw));
            } else {
                connections.spawn(async move {
                    let mut request = Vec::new();
                    while !request.windows(5).any(|window| window == b"]}\r\n\r" || window.ends_with(b"}]}")) {
                        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    // Promises to keep the connection and closes it.
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"ok\":1}").await.unwrap();
                    stream.shutdown().await.ok();
                });
            }
        }
    });
    Server { addr, ca_file, protocols, _tasks: tasks }
}

fn tls_provider(addr: SocketAddr, ca_file: &Path, http2: Http2) -> Arc<Provider> {
    provider_with(&format!("https://localhost:{}", addr.port()), |config| {
        config.ca_file = Some(ca_file.to_owned());
        config.http2 = http2;
    })
}

#[tokio::test]
async fn alpn_chooses_http2_when_both_can_and_http1_when_one_cannot() {
    for (offered, http2, protocol, answer) in [
        (&["h2", "http/1.1"][..], Http2::Auto, "h2", "{\"ok\":2}"),
        (&["http/1.1"][..], Http2::Auto, "http/1.1", "{\"ok\":1}"),
        (&["h2", "http/1.1"][..], Http2::Never, "http/1.1", "{\"ok\":1}"),
        (&["h2"][..], Http2::PriorKnowledge, "h2", "{\"ok\":2}"),
    ] {
        let mut server = start(offered).await;
        let provider = tls_provider(server.addr, server.ca_file.path(), http2);
        assert_eq!(ask(&Client::new(), &provider, call()).await.unwrap(), answer, "{offered:?} {http2:?}");
        assert_eq!(server.protocols.recv().await.unwrap(), protocol);
    }
}

#[tokio::test]
async fn http2_calls_share_one_connection() {
    let mut server = start(&["h2"]).await;
    let provider = tls_provider(server.addr, server.ca_file.path(), Http2::Auto);
    let client = Client::new();
    for _ in 0..5 {
        ask(&client, &provider, call()).await.unwrap();
    }
    assert_eq!(server.protocols.recv().await.unwrap(), "h2");
    assert!(server.protocols.try_recv().is_err(), "one connection");
}

#[tokio::test]
async fn a_connection_that_said_goodbye_is_noticed_before_a_request_is_written() {
    let server = start(&["http/1.1"]).await;
    let provider = tls_provider(server.addr, server.ca_file.path(), Http2::Never);
    let client = Client::new();
    for _ in 0..20 {
        ask(&client, &provider, call()).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_a_tls_failure() {
    let server = start(&["h2"]).await;
    let other = start(&["h2"]).await;
    let provider = tls_provider(server.addr, other.ca_file.path(), Http2::Auto);
    let failure = ask(&Client::new(), &provider, call()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Tls, "{failure}");
}

#[tokio::test]
async fn a_refused_connection_is_no_tls_failure() {
    let server = start(&["h2"]).await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let provider = tls_provider(unused, server.ca_file.path(), Http2::Auto);
    let failure = ask(&Client::new(), &provider, call()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Connect, "{failure}");
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_is_a_connect_timeout() {
    let server = start(&["h2"]).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = silent.local_addr().unwrap();
    let provider = provider_with(&format!("https://localhost:{}", addr.port()), |config| {
        config.ca_file = Some(server.ca_file.path().to_owned());
        config.timeouts.connect = Duration::from_millis(80);
    });
    let failure = ask(&Client::new(), &provider, call()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimeoutConnect, "{failure}");
}

#[test]
fn a_ca_file_that_cannot_be_read_is_named() {
    let mut config = ProviderConfig::new("test", Dialect::Openai, BaseUrl::parse("https://localhost").unwrap());
    config.ca_file = Some("/nowhere/ca.pem".into());
    let error = Shared::new().provider(Arc::new(config)).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the certificates of `ca_file` /nowhere/ca.pem");
}

/// A ledger that keeps what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<ConnectionRecord>>);

impl Ledger for Heard {
    fn write(&self, connection: ConnectionRecord) {
        self.0.lock().unwrap().push(connection);
    }
}

/// Takes one connection for `to` and carries it there: what went each way, once both ends are closed.
async fn carry_one(to: SocketAddr) -> (SocketAddr, JoinSet<(u64, u64)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut carrying = JoinSet::new();
    carrying.spawn(async move {
        let (from, _) = listener.accept().await.unwrap();
        let (mut from_read, mut from_write) = from.into_split();
        let (mut on_read, mut on_write) = TcpStream::connect(to).await.unwrap().into_split();
        tokio::join!(pump(&mut from_read, &mut on_write), pump(&mut on_read, &mut from_write))
    });
    (addr, carrying)
}

/// Carries one way until either end is closed, and counts.
async fn pump(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> u64 {
    let (mut n_bytes, mut buffer) = (0, vec![0; 16 << 10]);
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        n_bytes += n as u64;
        if to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
    n_bytes
}

#[tokio::test]
async fn a_row_of_tls_has_its_server_name_and_the_bytes_that_the_network_carried() {
    // A name that is vouched for, by both protocols; and one that is not: the handshake fails, and what it took is on the ledger.
    for (protocol, is_trusted) in [("http/1.1", true), ("h2", true), ("http/1.1", false)] {
        let server = start(&[protocol]).await;
        let (addr, mut carried) = carry_one(server.addr).await;
        let heard = Arc::new(Heard::default());
        let mut config = ProviderConfig::new(
            "test",
            Dialect::Openai,
            BaseUrl::parse(&format!("https://localhost:{}", addr.port())).unwrap(),
        );
        config.ca_file = is_trusted.then(|| server.ca_file.path().to_owned());
        let shared = Shared::new().watched(Arc::clone(&heard) as Arc<dyn Ledger>, Lane::Live);
        let provider = shared.provider(Arc::new(config)).unwrap();
        let client = Client::new();
        let answer = ask(&client, &provider, call()).await;
        assert_eq!(answer.is_ok(), is_trusted, "{answer:?}");
        drop((client, provider, shared));
        let (out, back) = timeout(PATIENCE, carried.join_next()).await.unwrap().unwrap().unwrap();
        let closed = async {
            loop {
                let rows = heard.0.lock().unwrap().clone();
                match rows.into_iter().find(|row| row.closed_at_us.is_some()) {
                    Some(row) => return row,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        let row = timeout(PATIENCE, closed).await.expect("the row is closed with its connection");
        assert_eq!((row.host.as_str(), row.sni.as_deref()), ("localhost", Some("localhost")));
        assert_eq!((row.remote, row.bytes_out), (addr, out), "{row:?}");
        // More than what was said in clear text: the handshake is in it. What came after the last read is not.
        assert!(row.bytes_in <= back && row.bytes_in > 600 && row.bytes_out > 200, "{row:?}, {back} came back");
    }
}
