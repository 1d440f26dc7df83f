//! How a connection is made.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiFuture, GaiResolver, Name};
use tower_service::Service;

use crate::checked::Checked;
use crate::config::Http2;
use crate::ledger::{Account, Opener};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Tcp = Opener<Resolver>;

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

/// Connects within a time limit that covers name resolution, TCP and TLS, with the reason for a failure kept.
#[derive(Clone)]
pub(crate) struct Connector {
    https: Https,
    limit: Duration,
    http1: bool,
    /// Counts the connections made.
    made: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Https {
    Clear(Tcp),
    Tls(HttpsConnector<Tcp>),
}

impl Connector {
    pub(crate) fn new(
        tls: Option<Arc<rustls::ClientConfig>>,
        http2: Http2,
        limit: Duration,
        (lookup, made, account): (Option<Lookup>, Arc<AtomicU64>, Option<Arc<Account>>),
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(match lookup {
            None => Resolver::System(GaiResolver::new()),
            Some(lookup) => Resolver::Given(lookup),
        });
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        tcp.set_connect_timeout(Some(limit));
        tcp.enforce_http(false);
        let tcp = Opener::new(tcp, account);
        let https = match tls {
            None => Https::Clear(tcp),
            Some(tls) => Https::Tls(HttpsConnector::from((tcp, tls))),
        };
        Self { https, limit, http1: http2 != Http2::PriorKnowledge, made }
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
        let (limit, http1, made) = (self.limit, self.http1, Arc::clone(&self.made));
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
        Box::pin(async move {
            let connected = tokio::time::timeout(limit, connecting).await.unwrap_or(Err(ConnectError::Timeout(limit)));
            if connected.is_ok() {
                made.fetch_add(1, Ordering::Relaxed);
            }
            connected
        })
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

/// Where a name is, as somebody else than the system says. Called for every new connection to a provider with a name; it must
/// not block.
#[derive(Clone)]
pub struct Lookup(pub Arc<LookupFn>);

/// From a host's name to its addresses. A port of 0 stands for the URL's.
pub type LookupFn = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// The system's resolver or the one that was given, with its failures marked.
#[derive(Clone)]
enum Resolver {
    System(GaiResolver),
    Given(Lookup),
}

enum Addrs {
    System(GaiAddrs),
    Given(std::vec::IntoIter<SocketAddr>),
}

impl Iterator for Addrs {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match self {
            Self::System(addrs) => addrs.next(),
            Self::Given(addrs) => addrs.next(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("name resolution failed")]
struct Unresolved(#[source] io::Error);

impl Service<Name> for Resolver {
    type Response = Addrs;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Addrs, Unresolved>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        match self {
            Self::System(resolver) => resolver.poll_ready(cx).map_err(Unresolved),
            Self::Given(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, name: Name) -> Self::Future {
        match self {
            Self::System(resolver) => {
                let resolving: GaiFuture = resolver.call(name);
                Box::pin(async move { resolving.await.map(Addrs::System).map_err(Unresolved) })
            }
            Self::Given(lookup) => {
                let found = lookup.0(name.as_str()).map(|addrs| Addrs::Given(addrs.into_iter())).map_err(Unresolved);
                Box::pin(std::future::ready(found))
            }
        }
    }
}
