use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};
use tokio_util::task::TaskTracker;
use wire::failure::{Failure, FailureKind};
use wire::record::Endpoint;
use wire::splice::Pieces;

use crate::config::{Http2, Identity, Timeouts};
use crate::connect::Connector;
use crate::errors;
use crate::ledger::Account;
use crate::provider::Provider;
use crate::reply::{InFlight, Reply, ReplyBody};

/// What a provider is paid by. Only its config sets these.
const CREDENTIALS: [HeaderName; 3] =
    [AUTHORIZATION, HeaderName::from_static("api-key"), HeaderName::from_static("x-api-key")];

/// Says how many gateways a request has come through.
pub const HOPS: HeaderName = HeaderName::from_static("x-crossfade-hops");

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Called once the request has been handed to the connection whole, before the answer is there.
pub type Sent = Box<dyn FnOnce()>;

/// What is different about a call that is not a plain JSON request to an endpoint's own path. Most calls have none of it.
#[derive(Clone, Debug, Default)]
pub struct Special {
    /// Another method than `POST`.
    pub method: Option<Method>,
    /// Another path and query below the provider's base URL than the endpoint's. Checked by whoever makes the call: it is
    /// text that a caller wrote.
    pub below: Option<PathAndQuery>,
    /// The model, where the provider has it in the path ([`ProviderConfig::has_deployments`](crate::ProviderConfig)).
    pub deployment: Option<String>,
    /// Headers that come with it, `content-type` and `accept` among them. They never replace a credential.
    pub headers: HeaderMap,
}

/// One call. Everything that goes out is here or in the provider's config.
pub struct Call {
    /// What is called. The URL comes from the provider.
    pub endpoint: Endpoint,
    /// The body, in pieces that are not copied.
    pub body: Pieces,
    /// Whether the answer is asked for as a stream.
    pub streamed: bool,
    /// Sent as `x-request-id`.
    pub request_id: Option<HeaderValue>,
    /// How many gateways the request has come through, this one included: sent as [`HOPS`], so that gateways that call one another
    /// notice. 0 where nobody's request is passed on; then it is not sent.
    pub hops: u8,
    /// How long to wait for the head of the answer: `first_token` if streamed, else `total`.
    pub timeouts: Timeouts,
    /// Fired once the connection has taken the last byte of the body: it is in the socket, or (a large body) in the
    /// connection's write buffer. Not fired if the call fails before.
    pub sent: Option<Sent>,
    /// How long others have their turn between two pieces of a large body; zero where somebody waits for the answer.
    pub pause: Duration,
    /// What is different about it.
    pub special: Option<Box<Special>>,
}

/// The caller's side of every provider on one thread: its connection pools. It lives on a current-thread runtime; the
/// futures it returns are not `Send`.
pub struct Client {
    pools: RefCell<HashMap<Identity, Rc<Pool>>>,
    tasks: TaskTracker,
}

impl Client {
    /// A client without any connection.
    pub fn new() -> Self {
        Self { pools: RefCell::default(), tasks: TaskTracker::new() }
    }

    /// Makes one call and waits for the head of the answer.
    ///
    /// Giving up the future aborts the upstream. The call is made a second time, on another connection, only when the
    /// provider surely did nothing with it; every other decision about trying again is the caller's. The breaker is not
    /// asked here: the caller holds its permit until it knows how the answer ended.
    pub async fn call(&self, provider: &Provider, call: Call) -> Result<Reply, Failure> {
        let state = &provider.state;
        let in_flight = InFlight::take(&state.in_flight, provider.config().max_connections).ok_or_else(|| {
            Failure::new(FailureKind::Capacity, "as many calls to this provider as allowed are in flight")
        })?;
        let deadline = if call.streamed { call.timeouts.first_token } else { call.timeouts.whole_answer() };
        let streamed = call.streamed;
        let answer = async {
            match &state.simulated {
                Some(simulated) => simulated.call(call, in_flight).await,
                None => self.call_upstream(provider, call, in_flight).await,
            }
        };
        match tokio::time::timeout(deadline, Box::pin(answer)).await {
            Ok(answer) => answer,
            Err(_) => Err(no_head_within(deadline, streamed)),
        }
    }

    /// Lets the connections whose answers were read to their ends go back to their pools, so that a call right after takes one of them and makes none.
    ///
    /// A connection's task says that it is free in the turn in which it hands over the end, and what puts it back is woken then: it stands before
    /// what is spawned now in the runtime's queue, and behind whoever reads the end.
    pub async fn give_back(&self) {
        // Only a runtime that ends has an error, and then nobody calls again.
        self.tasks.spawn(std::future::ready(())).await.ok();
    }

    /// Closes the idle connections of every provider that is not among these identities. Calls in flight go on.
    pub fn retain(&self, keep: &[Identity]) {
        self.pools.borrow_mut().retain(|identity, _| keep.contains(identity));
    }

    /// Closes all idle connections and waits until no connection's task is left.
    pub async fn close(self) {
        self.pools.borrow_mut().clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn call_upstream(&self, provider: &Provider, mut call: Call, in_flight: InFlight) -> Result<Reply, Failure> {
        let deployment = call.special.as_ref().and_then(|special| special.deployment.as_deref());
        if deployment.is_some_and(|deployment| !is_one_name(deployment)) {
            return Err(Failure::new(FailureKind::NotFound, "no deployment can have this name"));
        }
        let pool = self.pool(provider);
        let mut sent = call.sent.take();
        let (request, taken) = outgoing(provider, &call, sent.is_some());
        let mut answer = announce(pool.kept.request(request), taken, &mut sent).await;
        if let Err(error) = &answer
            && errors::is_unprocessed(error)
        {
            tracing::debug!(provider = %provider.config().name, %error, "connection was stale, calling on a new one");
            let (request, taken) = outgoing(provider, &call, sent.is_some());
            answer = announce(pool.fresh.request(request), taken, &mut sent).await;
        }
        let (parts, incoming) = answer.map_err(|error| errors::without_answer(&error))?.into_parts();
        let body = ReplyBody::upstream(&parts, incoming, in_flight);
        Ok(Reply { status: parts.status, headers: parts.headers, body, simulated: false })
    }

    fn pool(&self, provider: &Provider) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let pool = pools.entry(provider.identity()).or_insert_with(|| Rc::new(Pool::new(provider, &self.tasks)));
        if pool.born.elapsed() >= provider.config().connection_lifetime {
            // Its idle connections are closed with it, and those in use when their calls end.
            *pool = Rc::new(Pool::new(provider, &self.tasks));
        }
        Rc::clone(pool)
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("n_pools", &self.pools.borrow().len()).finish_non_exhaustive()
    }
}

type Http = legacy::Client<Connector, Outgoing>;

/// The ways to one provider.
struct Pool {
    born: Instant,
    kept: Http,
    /// Makes a new connection for each call: for the call whose kept connection was stale, because the next kept one may
    /// be stale too.
    fresh: Http,
}

impl Pool {
    fn new(provider: &Provider, tasks: &TaskTracker) -> Self {
        let config = provider.config();
        let made = Arc::clone(&provider.state.n_connections);
        let lookup = provider.state.lookup.clone();
        let account = provider.state.watch.as_ref().map(|watch| Account::new(watch, config));
        let tls = provider.state.tls.clone();
        let connector = Connector::new(tls, config.http2, config.timeouts.connect, (lookup, made, account));
        let build = |max_idle| {
            legacy::Client::builder(Tracked(tasks.clone()))
                .timer(TokioTimer::new())
                .http2_keep_alive_interval(config.http2_ping)
                .http2_keep_alive_timeout(config.http2_ping.unwrap_or_default())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(config.idle_timeout)
                .pool_max_idle_per_host(max_idle)
                .http2_only(config.http2 == Http2::PriorKnowledge)
                .http2_adaptive_window(true)
                // A request that hyper hands back was never given to a connection.
                .retry_canceled_requests(true)
                .build(connector.clone())
        };
        Self { born: Instant::now(), kept: build(config.max_connections), fresh: build(0) }
    }
}

/// Whether a name is one part of a path for every server on the way: what is escaped, one of them may undo.
fn is_one_name(name: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '?' | '#' | '%' | ';');
    !name.is_empty() && name.chars().any(|c| c != '.') && name.chars().all(is_plain)
}

/// The request of a call: the provider's own headers and four of the call's, nothing else.
fn outgoing(provider: &Provider, call: &Call, announce: bool) -> (Request<Outgoing>, Option<oneshot::Receiver<()>>) {
    let (body, taken) = Outgoing::new(&call.body, call.pause, announce);
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = provider.state.uri(call.endpoint).clone();
    *request.headers_mut() = provider.state.headers.clone();
    let accept = if call.streamed { "text/event-stream" } else { "application/json" };
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(request_id) = &call.request_id {
        request.headers_mut().insert(X_REQUEST_ID, request_id.clone());
    }
    if call.hops > 0 {
        request.headers_mut().insert(HOPS, HeaderValue::from(u16::from(call.hops)));
    }
    if let Some(special) = &call.special {
        apply(special, (provider, call.endpoint), &mut request);
    }
    (request, taken)
}

fn apply(special: &Special, (provider, endpoint): (&Provider, Endpoint), request: &mut Request<Outgoing>) {
    if let Some(method) = &special.method {
        *request.method_mut() = method.clone();
    }
    if let Some(below) = &special.below {
        *request.uri_mut() = provider.config().uri_below(below);
    } else if let Some(deployment) = &special.deployment {
        *request.uri_mut() = provider.config().uri_of_deployment(endpoint, deployment);
    }
    for name in special.headers.keys().filter(|name| !CREDENTIALS.contains(name)) {
        request.headers_mut().remove(name);
        for value in special.headers.get_all(name) {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    // A request without a body has no type of it.
    if request.body().is_end_stream() {
        request.headers_mut().remove(CONTENT_TYPE);
    }
}

/// Waits for the answer; fires the hook between the moment the body was taken and the answer. The connection's task takes
/// the body and writes it to the socket in one go, so a write that failed is known here before the hook could fire.
async fn announce(
    answer: legacy::ResponseFuture,
    taken: Option<oneshot::Receiver<()>>,
    sent: &mut Option<Sent>,
) -> Result<http::Response<hyper::body::Incoming>, legacy::Error> {
    let mut answer = answer;
    if let Some(taken) = taken {
        tokio::select! {
            biased;
            answer = &mut answer => {
                // Answered before the body was taken whole, or at the same moment.
                if answer.is_ok() && let Some(sent) = sent.take() {
                    sent();
                }
                return answer;
            }
            Ok(()) = taken => {
                if let Some(sent) = sent.take() {
                    sent();
                }
            }
        }
    }
    answer.await
}

fn no_head_within(deadline: Duration, streamed: bool) -> Failure {
    let kind = if streamed { FailureKind::TimeoutFirstToken } else { FailureKind::TimeoutTotal };
    Failure::new(kind, format!("no answer within {deadline:?}"))
}

/// Runs the connections' tasks where [`Client::close`] can wait for them.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        TokioExecutor::new().execute(self.0.track_future(task));
    }
}

/// Bytes of a body that go out at once. To copy this much into a socket takes some 50 us; after it other calls of the thread have their turn.
const AT_ONCE: usize = 256 << 10;

/// The body on its way out: the pieces as they are, a large one in turns, and a word when the last one was taken.
pub(crate) struct Outgoing {
    pieces: std::vec::IntoIter<Bytes>,
    /// What is left of a large piece.
    rest: Bytes,
    /// Bytes that went out since others had their turn.
    n_at_once: usize,
    /// How long others have their turn.
    pause: Duration,
    /// While they have it.
    pausing: Option<Pin<Box<Sleep>>>,
    n_left: u64,
    taken: Option<oneshot::Sender<()>>,
}

impl Outgoing {
    fn new(body: &Pieces, pause: Duration, announce: bool) -> (Self, Option<oneshot::Receiver<()>>) {
        let pieces: Vec<Bytes> = body.parts().iter().filter(|piece| !piece.is_empty()).cloned().collect();
        let n_left = pieces.iter().map(|piece| piece.len() as u64).sum();
        let (taken, receiver) = if announce {
            let (taken, receiver) = oneshot::channel();
            (Some(taken), Some(receiver))
        } else {
            (None, None)
        };
        let (pieces, rest) = (pieces.into_iter(), Bytes::new());
        (Self { pieces, rest, n_at_once: 0, pause, pausing: None, n_left, taken }, receiver)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        if let Some(pausing) = &mut self.pausing {
            ready!(pausing.as_mut().poll(cx));
            self.pausing = None;
        }
        if self.n_at_once >= AT_ONCE {
            self.n_at_once = 0;
            self.pausing = (!self.pause.is_zero()).then(|| Box::pin(sleep(self.pause)));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            let Some(next) = self.pieces.next() else { return Poll::Ready(None) };
            self.rest = next;
        }
        let n = self.rest.len().min(AT_ONCE - self.n_at_once);
        let piece = self.rest.split_to(n);
        self.n_at_once += n;
        self.n_left -= piece.len() as u64;
        if self.n_left == 0
            && let Some(taken) = self.taken.take()
        {
            // Nobody listens any more: the call was given up.
            taken.send(()).ok();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.n_left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.n_left)
    }
}
