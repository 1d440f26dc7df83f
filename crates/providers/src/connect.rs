//! How a connection is made, and how a dead one is noticed before a request is written to it.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiFuture, GaiResolver, Name};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::config::Http2;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Tcp = HttpConnector<Resolver>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the host name did not resolve")]
    Dns(#[source] io::Error),
    #[error("no TCP connection")]
    Tcp(#[source] BoxError),
    #[error("no TLS session")]
    Tls(#[source] BoxError),
    #[error("no connection within {0:?}")]
    Timeout(Duration),
}

/// A pooled connection turned out to be closed by the provider before a byte of the request was written to it: nobody
/// can have processed the request.
#[derive(Debug, thiserror::Error)]
#[error("the provider had closed the pooled connection")]
pub(crate) struct Stale;

/// Connects within a time limit that covers name resolution, TCP and TLS, with the reason for a failure kept.
#[derive(Clone)]
pub(crate) struct Connector {
    https: Https,
    limit: Duration,
    http1: bool,
}

#[derive(Clone)]
enum Https {
    Clear(Tcp),
    Tls(HttpsConnector<Tcp>),
}

impl Connector {
    pub(crate) fn new(tls: Option<Arc<rustls::ClientConfig>>, http2: Http2, limit: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        tcp.set_connect_timeout(Some(limit));
        tcp.enforce_http(false);
        let https = match tls {
            None => Https::Clear(tcp),
            Some(tls) => Https::Tls(HttpsConnector::from((tcp, tls))),
        };
        Self { https, limit, http1: http2 != Http2::PriorKnowledge }
    }
}

impl Service<Uri> for Connector {
    type Response = Checked;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Checked, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let (limit, http1) = (self.limit, self.http1);
        let connecting: Pin<Box<dyn Future<Output = Result<Checked, ConnectError>> + Send>> = match &mut self.https {
            Https::Clear(tcp) => {
                let connecting = tcp.call(destination);
                Box::pin(async move {
                    let tcp = connecting.await.map_err(|error| without_session(Box::new(error), false))?;
                    Ok(Checked::new(MaybeHttpsStream::Http(tcp), http1))
                })
            }
            Https::Tls(https) => {
                let connecting = https.call(destination);
                Box::pin(async move {
                    let tls = connecting.await.map_err(|error| without_session(error, true))?;
                    Ok(Checked::new(tls, http1))
                })
            }
        };
        Box::pin(
            async move { tokio::time::timeout(limit, connecting).await.unwrap_or(Err(ConnectError::Timeout(limit))) },
        )
    }
}

/// Which part of connecting failed. The TCP connector's error type is known, a resolver's failure is marked by
/// [`Resolver`]; whatever else comes out of a TLS connector is TLS.
fn without_session(error: BoxError, tls: bool) -> ConnectError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    let mut tcp = false;
    while let Some(cause) = source {
        if cause.is::<Unresolved>() {
            return ConnectError::Dns(io::Error::other(error));
        }
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            tcp = true;
        }
        // The connector's own error type cannot be named; its text is the same since hyper 0.14.
        tcp |= cause.to_string().starts_with("tcp ");
        source = cause.source();
    }
    if tls && !tcp { ConnectError::Tls(error) } else { ConnectError::Tcp(error) }
}

/// The system's resolver, with its failures marked.
#[derive(Clone)]
struct Resolver(GaiResolver);

#[derive(Debug, thiserror::Error)]
#[error("name resolution failed")]
struct Unresolved(#[source] io::Error);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, Unresolved>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        self.0.poll_ready(cx).map_err(Unresolved)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving: GaiFuture = self.0.call(name);
        Box::pin(async move { resolving.await.map_err(Unresolved) })
    }
}

/// A connection that looks whether the provider has closed it before the first byte of each request is written.
///
/// A provider may close a kept connection at any time (llama-server does after every stream, without a word). The runtime
/// learns of it at its next look at the sockets; a request written before that look is lost, and whether it was processed
/// cannot be told. So the socket itself is asked (one `recv` with `MSG_PEEK`, about 0.3 µs, per request), and a closed one
/// fails the write with [`Stale`] while nothing of the request has left: the client then uses another connection. Unread
/// bytes on a connection that has answered before count as closed too: they are a TLS goodbye or a `408` to nobody.
///
/// Only HTTP/1.1: on an HTTP/2 connection writing is not tied to a request, and HTTP/2 itself says which streams were not
/// processed.
pub(crate) struct Checked {
    io: MaybeHttpsStream<TokioIo<TcpStream>>,
    http1: bool,
    reused: bool,
}

impl Checked {
    fn new(io: MaybeHttpsStream<TokioIo<TcpStream>>, http1: bool) -> Self {
        let http1 = http1 && !io.connected().is_negotiated_h2();
        Self { io, http1, reused: false }
    }

    /// Called with what is about to be written. This room sends nothing but `POST`; a piece of a body that happens to
    /// begin with the same letters costs one look more.
    fn check(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.http1 || !bytes.starts_with(b"POST ") {
            return Ok(());
        }
        let reused = std::mem::replace(&mut self.reused, true);
        let socket = match &self.io {
            MaybeHttpsStream::Http(tcp) => tcp.inner(),
            MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner().inner(),
        };
        let stale = match SockRef::from(socket).peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => true,
            // On a new TLS connection the unread bytes are session tickets.
            Ok(_) => reused,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        };
        if stale { Err(io::Error::new(io::ErrorKind::BrokenPipe, Stale)) } else { Ok(()) }
    }
}

impl Connection for Checked {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl Read for Checked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Checked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(bytes)?;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty()) {
            self.check(first)?;
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
