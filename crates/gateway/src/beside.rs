//! A listener beside the data listener, whose requests another room answers: it knows the HTTP server and the callers' keys, and nothing of what is asked.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use govern::KeyTable;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::authenticate::{self, Principal};
use crate::snapshot::Snapshot;

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request body.
const MAX_BODY: usize = 16 << 20;
/// Requests that are answered at once; others wait for one of them.
const MAX_THREADS: usize = 32;
/// Connections at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// How long requests under way may take to finish when it stops.
const GRACE: Duration = Duration::from_secs(5);

/// Somebody who was let in.
#[derive(Debug)]
pub struct Caller(Principal);

impl Caller {
    /// Whether the thing of this name may be reached: as the account behind a route, a tenant's key reaches it only where it names it.
    #[must_use]
    pub fn may_reach(&self, name: &str) -> bool {
        self.0.may_reach_account(name)
    }
}

/// Why somebody was not let in, or was not heard.
#[derive(Debug)]
pub struct Unheard {
    /// The status to answer with.
    pub status: u16,
    /// What to tell the caller.
    pub message: String,
}

/// What answers. It may wait: it has a thread of its own meanwhile.
pub type Answer = dyn Fn(Result<(Caller, Request<Bytes>), Unheard>) -> Response<Bytes> + Send + Sync;

/// A running listener.
#[derive(Debug)]
pub struct Beside {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops accepting, lets requests under way finish for a while, and waits for the thread.
    pub fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a listener panicked");
        }
    }
}

/// What decides who is let in, as it is now.
#[derive(Clone)]
struct Gate {
    keys: Arc<ArcSwap<KeyTable>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    answer: Arc<Answer>,
    stopped: watch::Receiver<bool>,
}

/// Starts a listener, in a thread of this name.
///
/// # Errors
/// When the socket or the thread cannot be set up.
pub fn start(
    name: &str,
    listener: TcpListener,
    keys: Arc<ArcSwap<KeyTable>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    answer: Arc<Answer>,
) -> io::Result<Beside> {
    let addr = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let (stop, stopped) = watch::channel(false);
    let gate = Gate { keys, snapshot, answer, stopped };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(MAX_THREADS).build()?;
    let body = move || {
        runtime.block_on(accept(listener, gate));
        // A store that does not answer does not keep the process.
        runtime.shutdown_timeout(GRACE);
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body)?;
    Ok(Beside { addr, stop, thread: Some(thread) })
}

async fn accept(listener: TcpListener, gate: Gate) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be registered"),
    };
    let (connections, room) = (TaskTracker::new(), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    let mut stopped = gate.stopped.clone();
    loop {
        let next = async {
            let seat = Arc::clone(&room).acquire_owned().await;
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            next = next => next,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let Ok((socket, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, %peer, "connection gone before it was served");
            continue;
        }
        let gate = gate.clone();
        connections.spawn(async move {
            connection(socket, gate, peer.ip()).await;
            drop(seat);
        });
    }
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!("connections were cut at shutdown");
    }
}

async fn connection(socket: tokio::net::TcpStream, gate: Gate, from: IpAddr) {
    let mut stopped = gate.stopped.clone();
    let service = service_fn(move |request| {
        let gate = gate.clone();
        async move { Ok::<_, Infallible>(answer(request, &gate, from).await.map(Full::new)) }
    });
    let mut connection = std::pin::pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(socket), service)
    );
    let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
    let finished = tokio::select! {
        served = connection.as_mut() => Some(served),
        () = stop => None,
    };
    let served = match finished {
        Some(served) => served,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended early");
    }
}

async fn answer(request: Request<Incoming>, gate: &Gate, from: IpAddr) -> Response<Bytes> {
    let heard = hear(request, gate, from).await;
    let answer = Arc::clone(&gate.answer);
    // What answers waits for a store: off this thread, so that one slow answer delays no other.
    match tokio::task::spawn_blocking(move || answer(heard)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "what answers panicked");
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

async fn hear(request: Request<Incoming>, gate: &Gate, from: IpAddr) -> Result<(Caller, Request<Bytes>), Unheard> {
    let unheard = |status, message: &str| Unheard { status, message: message.to_owned() };
    let required = gate.snapshot.load().auth.required;
    let principal = authenticate::principal(request.headers(), Some(from), &gate.keys, required);
    let principal = principal.map_err(|refusal| match refusal.status {
        401 => unheard(401, "Invalid API Key"),
        status => unheard(status, "this key is not taken from there"),
    })?;
    let (mut head, body) = request.into_parts();
    // The key was looked at and goes no further.
    for name in ["authorization", "api-key", "x-api-key"] {
        head.headers.remove(name);
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Err(unheard(413, "the body is larger than 16 MiB or was cut")),
        Err(_) => return Err(unheard(408, "the body did not arrive in time")),
    };
    Ok((Caller(principal), Request::from_parts(head, body)))
}
