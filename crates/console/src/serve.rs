//! The listener itself: one thread, one current-thread runtime, HTTP/1.1.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use operations::Desk;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::routes;

/// Largest request body the admin API reads.
const MAX_BODY: usize = 1 << 20;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What the admin listener needs beyond its socket.
#[derive(Debug, Clone, Default)]
pub struct AdminConfig {
    /// The bearer token every request must carry; `None` only on loopback.
    pub token: Option<wire::private::Private<String>>,
}

/// Why the admin listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket or the thread could not be set up.
    #[error("could not set up the admin listener")]
    Setup(#[source] std::io::Error),
    /// Beyond loopback every request must carry a token.
    #[error("the admin listener at {0} is reachable from other machines and has no `admin.token`")]
    Unprotected(SocketAddr),
}

/// A running admin listener.
#[derive(Debug)]
pub struct Admin {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops accepting, lets requests under way finish for a second, and waits for the thread.
    pub fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("admin thread panicked");
        }
    }
}

/// Starts the admin API on `listener`.
///
/// # Errors
/// When the socket or the thread cannot be set up, or a non-loopback address has no token.
pub fn start(listener: TcpListener, config: AdminConfig, desk: Arc<Desk>) -> Result<Admin, ServeError> {
    let addr = listener.local_addr().map_err(ServeError::Setup)?;
    if !addr.ip().is_loopback() && config.token.is_none() {
        return Err(ServeError::Unprotected(addr));
    }
    listener.set_nonblocking(true).map_err(ServeError::Setup)?;
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Setup)?;
    let thread = std::thread::Builder::new()
        .name("admin".into())
        .spawn(move || runtime.block_on(accept(listener, config, desk, stopped)))
        .map_err(ServeError::Setup)?;
    Ok(Admin { addr, stop, thread: Some(thread) })
}

async fn accept(listener: TcpListener, config: AdminConfig, desk: Arc<Desk>, mut stopped: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "admin listener lost");
            return;
        }
    };
    let config = Arc::new(config);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY on an admin connection");
        }
        let (desk, config) = (Arc::clone(&desk), Arc::clone(&config));
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&desk), Arc::clone(&config)));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(socket), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection ended early");
            }
        });
    }
    connections.close();
    if tokio::time::timeout(Duration::from_secs(1), connections.wait()).await.is_err() {
        tracing::debug!("admin connections cut at shutdown");
    }
}

async fn answer(
    request: Request<Incoming>,
    desk: Arc<Desk>,
    config: Arc<AdminConfig>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(token) = &config.token
        && !authorised(&request, token.expose())
    {
        return Ok(routes::failure(
            StatusCode::UNAUTHORIZED,
            "the admin API wants `Authorization: Bearer <admin.token>`",
        ));
    }
    if config.token.is_none() && !is_local_name(&request) {
        return Ok(routes::failure(
            StatusCode::FORBIDDEN,
            "the admin API answers to an IP address or `localhost` as host",
        ));
    }
    let (head, body) = request.into_parts();
    // A page in a browser may post to loopback: only JSON, which a form cannot send without asking first, changes anything.
    let is_json = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if head.method != http::Method::GET && !is_json {
        return Ok(routes::failure(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send `content-type: application/json`"));
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            return Ok(routes::failure(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB or was cut"));
        }
        Err(_) => return Ok(routes::failure(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    };
    let body = body.to_bytes();
    // Operations read SQLite and wait for the controller: off this thread, so that one slow answer delays no other.
    let work = tokio::task::spawn_blocking(move || routes::route(&desk, &head.method, &head.uri, &body));
    Ok(match tokio::time::timeout(REQUEST_TIMEOUT, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::error!(%error, "admin request panicked");
            routes::failure(StatusCode::INTERNAL_SERVER_ERROR, "the operation failed; the log has the reason")
        }
        Err(_) => routes::failure(StatusCode::GATEWAY_TIMEOUT, "the operation took longer than a minute"),
    })
}

fn authorised(request: &Request<Incoming>, token: &str) -> bool {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|given| same(given.as_bytes(), token.as_bytes()))
}

/// A page in a browser can point a name of its own at loopback; it cannot make the browser send another `Host` than that name.
fn is_local_name(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() || host.split(':').next() == Some("localhost")
}

/// Equal, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
