//! What a connection carried. The bytes are counted where the socket is, below TLS, so that a connection whose handshake failed
//! is on the ledger as well, and so that the numbers are those a network sees.
//!
//! Not on the ledger: attempts that found nobody. Of a name with addresses of both families, the connection that lost the race
//! is closed before it is anybody's, and has no entry either.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;
use wire::record::{ConnectionRecord, Lane};

use crate::config::ProviderConfig;

/// Hears of every connection, when it is opened and when it is closed. Called on the thread that makes calls, so it may not
/// wait for anything.
pub trait Ledger: Send + Sync {
    /// Takes one entry.
    fn write(&self, connection: ConnectionRecord);
}

/// The ledger, and what the connections are for.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) lane: Lane,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("lane", &self.lane).finish_non_exhaustive()
    }
}

/// A provider as the ledger knows it.
pub(crate) struct Account {
    watch: Watch,
    provider: String,
    region: Option<String>,
    class: &'static str,
    host: String,
    sni: Option<String>,
}

impl Account {
    pub(crate) fn new(watch: &Watch, config: &ProviderConfig) -> Arc<Self> {
        let host = config.base_url.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let has_name = config.base_url.is_https() && host.parse::<IpAddr>().is_err();
        Arc::new(Self {
            watch: watch.clone(),
            provider: config.name.clone(),
            region: config.region.clone(),
            class: config.class.as_str(),
            sni: has_name.then(|| host.clone()),
            host,
        })
    }

    /// Opens the entry of a connection. `None` when the system does not know its ends any more: it is closed already.
    fn open(self: &Arc<Self>, stream: &TcpStream) -> Option<Box<Entry>> {
        let record = ConnectionRecord {
            opened_at_us: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX)),
            closed_at_us: None,
            lane: self.watch.lane,
            provider: self.provider.clone(),
            region: self.region.clone(),
            class: self.class.to_owned(),
            host: self.host.clone(),
            sni: self.sni.clone(),
            local: stream.local_addr().ok()?,
            remote: stream.peer_addr().ok()?,
            bytes_out: 0,
            bytes_in: 0,
        };
        self.watch.ledger.write(record.clone());
        Some(Box::new(Entry { ledger: Arc::clone(&self.watch.ledger), opened: Instant::now(), record }))
    }
}

/// The entry of an open connection; closed when dropped.
struct Entry {
    ledger: Arc<dyn Ledger>,
    opened: Instant,
    record: ConnectionRecord,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // By the clock that does not jump: a connection is never closed before it was opened.
        let open_for = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.record.closed_at_us = Some(self.record.opened_at_us.saturating_add(open_for));
        self.ledger.write(self.record.clone());
    }
}

/// A connection whose bytes are counted, when anybody wants to know.
pub(crate) struct Metered {
    tcp: TcpStream,
    entry: Option<Box<Entry>>,
}

impl Metered {
    pub(crate) fn new(tcp: TcpStream, account: Option<&Arc<Account>>) -> Self {
        let entry = account.and_then(|account| account.open(&tcp));
        Self { tcp, entry }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.tcp
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Some(entry), Poll::Ready(Ok(n_bytes))) = (&mut self.entry, written) {
            entry.record.bytes_out += *n_bytes as u64;
        }
    }
}

impl Connection for Metered {
    fn connected(&self) -> Connected {
        self.tcp.connected()
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, into);
        if let Some(entry) = &mut self.entry {
            entry.record.bytes_in += (into.filled().len() - before) as u64;
        }
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.wrote(&written);
        written
    }
}

/// Opens sockets, and the entries of the ledger with them.
#[derive(Clone)]
pub(crate) struct Opener<R> {
    tcp: HttpConnector<R>,
    account: Option<Arc<Account>>,
}

impl<R> Opener<R> {
    pub(crate) fn new(tcp: HttpConnector<R>, account: Option<Arc<Account>>) -> Self {
        Self { tcp, account }
    }
}

impl<R> Service<Uri> for Opener<R>
where
    HttpConnector<R>: Service<Uri, Response = TokioIo<TcpStream>>,
    <HttpConnector<R> as Service<Uri>>::Future: Send + 'static,
{
    type Response = TokioIo<Metered>;
    type Error = <HttpConnector<R> as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let (opening, account) = (self.tcp.call(destination), self.account.clone());
        Box::pin(async move { Ok(TokioIo::new(Metered::new(opening.await?.into_inner(), account.as_ref()))) })
    }
}
