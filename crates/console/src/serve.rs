//! The listener itself: one thread, one current-thread runtime, HTTP/1.1.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use operations::{Desk, Door, NotAdmitted};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::events::{self, Follow, Watch};
use crate::pages::{self, Asked, Sessions};
use crate::{answers, routes};

/// Largest request body the admin API reads.
const MAX_BODY: usize = 1 << 20;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the admin listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket or the thread could not be set up.
    #[error("could not set up the admin listener")]
    Setup(#[source] std::io::Error),
    /// Beyond loopback nobody comes in who brings nothing.
    #[error("the admin listener at {0} is reachable from other machines and asks nobody for a key")]
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
/// When the socket or the thread cannot be set up, or the door is open beyond loopback.
pub fn start(listener: TcpListener, door: Door, desk: Arc<Desk>) -> Result<Admin, ServeError> {
    let addr = listener.local_addr().map_err(ServeError::Setup)?;
    if !addr.ip().is_loopback() && (door.on_loopback || door.token.is_none() && !(desk.asks_for_keys)()) {
        return Err(ServeError::Unprotected(addr));
    }
    listener.set_nonblocking(true).map_err(ServeError::Setup)?;
    let sessions = Sessions::new().map_err(|error| ServeError::Setup(std::io::Error::other(error)))?;
    let hall = Arc::new(Hall { desk, door, sessions, watch: Arc::new(Watch::new()), tasks: TaskTracker::new() });
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Setup)?;
    let thread = std::thread::Builder::new()
        .name("admin".into())
        .spawn(move || runtime.block_on(accept(listener, hall, stopped)))
        .map_err(ServeError::Setup)?;
    Ok(Admin { addr, stop, thread: Some(thread) })
}

/// What requests are answered from.
struct Hall {
    desk: Arc<Desk>,
    door: Door,
    sessions: Sessions,
    watch: Arc<Watch>,
    /// Fills streams, and connections.
    tasks: TaskTracker,
}

type Body = BoxBody<Bytes, Infallible>;

async fn accept(listener: TcpListener, hall: Arc<Hall>, mut stopped: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "admin listener lost");
            return;
        }
    };
    hall.tasks.spawn(events::run(Arc::clone(&hall.watch), Arc::clone(&hall.desk), stopped.clone()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let Ok((socket, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY on an admin connection");
        }
        let answering = Arc::clone(&hall);
        hall.tasks.spawn(async move {
            let service = service_fn(move |request| {
                let hall = Arc::clone(&answering);
                async move { Ok::<_, Infallible>(answer(request, hall, peer.ip()).await) }
            });
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
    hall.tasks.close();
    if tokio::time::timeout(Duration::from_secs(1), hall.tasks.wait()).await.is_err() {
        tracing::debug!("admin connections cut at shutdown");
    }
}

async fn answer(request: Request<Incoming>, hall: Arc<Hall>, from: IpAddr) -> Response<Body> {
    if hall.door.is_open(&hall.desk) && !is_local_name(&request) {
        let words = "the admin API answers to an IP address or `localhost` as host";
        return whole(answers::failure(StatusCode::FORBIDDEN, words));
    }
    if !pages::has(request.uri().path()) {
        return whole(api(request, hall, from).await);
    }
    let (head, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(problem) => return whole(problem),
    };
    let serving = Arc::clone(&hall);
    let work = off_this_thread(move || {
        let asked = Asked { method: &head.method, uri: &head.uri, headers: &head.headers, body: &body, from };
        pages::serve(&serving.desk, (&serving.door, &serving.sessions, &serving.watch), &asked)
    });
    let mut response = work.await.unwrap_or_else(|problem| problem);
    match response.extensions_mut().remove::<Follow>() {
        Some(follow) => stream(&hall, follow, response, from),
        None => whole(response),
    }
}

/// The answer's headers, and a body that goes on while the session lasts.
fn stream(hall: &Arc<Hall>, follow: Follow, answer: Response<Full<Bytes>>, from: IpAddr) -> Response<Body> {
    let asking = Arc::clone(hall);
    let brought = answer.extensions().get::<pages::ByHeader>().cloned();
    let lasts = move |cookie: &str| {
        pages::lasts(&asking.desk, (&asking.door, &asking.sessions), (brought.as_ref(), cookie), from)
    };
    let Some((mut response, fill)) = events::open(&hall.watch, follow, lasts) else {
        return whole(answers::failure(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open"));
    };
    hall.tasks.spawn(fill);
    for (name, value) in answer.headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.map(BodyExt::boxed)
}

fn whole(response: Response<Full<Bytes>>) -> Response<Body> {
    response.map(BodyExt::boxed)
}

async fn api(request: Request<Incoming>, hall: Arc<Hall>, from: IpAddr) -> Response<Full<Bytes>> {
    let admitted = match hall.door.admit(&hall.desk, request.headers(), Some(from)) {
        Ok(admitted) => admitted,
        Err(outside) => return turned_away(outside),
    };
    let (head, body) = request.into_parts();
    // A page in a browser may post to loopback: only JSON, which a form cannot send without asking first, changes anything.
    let is_json = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if head.method != http::Method::GET && !is_json {
        return answers::failure(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send `content-type: application/json`");
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(problem) => return problem,
    };
    let work = off_this_thread(move || routes::route(&hall.desk, &admitted, (&head.method, &head.uri, &body)));
    work.await.unwrap_or_else(|problem| problem)
}

async fn read(body: Incoming) -> Result<Bytes, Response<Full<Bytes>>> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(answers::failure(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB or was cut")),
        Err(_) => Err(answers::failure(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

/// Operations read SQLite and wait for the controller: off this thread, so that one slow answer delays no other.
async fn off_this_thread(
    work: impl FnOnce() -> Response<Full<Bytes>> + Send + 'static,
) -> Result<Response<Full<Bytes>>, Response<Full<Bytes>>> {
    match tokio::time::timeout(REQUEST_TIMEOUT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            tracing::error!(%error, "admin request panicked");
            Err(answers::failure(StatusCode::INTERNAL_SERVER_ERROR, "the operation failed; the log has the reason"))
        }
        Err(_) => Err(answers::failure(StatusCode::GATEWAY_TIMEOUT, "the operation took longer than a minute")),
    }
}

fn turned_away(outside: NotAdmitted) -> Response<Full<Bytes>> {
    let status = match outside {
        NotAdmitted::WithoutRole => StatusCode::FORBIDDEN,
        NotAdmitted::NothingBrought | NotAdmitted::Refused(_) | NotAdmitted::Several => StatusCode::UNAUTHORIZED,
    };
    let mut response = answers::failure(status, &outside.to_string());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A page in a browser can point a name of its own at loopback; it cannot make the browser send another `Host` than that name.
fn is_local_name(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() || host.split(':').next() == Some("localhost")
}
