//! One connection to a server that speaks HTTP, one call at a time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::retry::{Class, Trouble};

/// The longest that a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest that one call may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// The longest answer that is taken.
const MAX_ANSWER: usize = 256 << 20;

/// How much of a refusal is told.
const MAX_TOLD: usize = 300;

/// The way to a server.
pub(super) struct Http {
    runtime: Runtime,
    place: String,
    token: Option<String>,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// What a server said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Http {
    /// To `HOST:PORT`, with a token where one is needed.
    pub(super) fn new(place: &str, token: Option<String>) -> Result<Http, Trouble> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Trouble::permanent("could not begin to speak HTTP", error))?;
        Ok(Http { runtime, place: place.to_owned(), token, open: None })
    }

    /// One call. A refusal is an answer; no answer is trouble that may pass.
    pub(super) fn call(
        &mut self,
        doing: &str,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, Trouble> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.place)
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header("x-chroma-token", token);
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Trouble::permanent(doing, error))?;
        let (place, kept) = (self.place.clone(), self.open.take());
        let exchange = async {
            let kept = match kept {
                Some(mut sender) => sender.ready().await.ok().map(|()| sender),
                None => None,
            };
            let mut sender = match kept {
                Some(sender) => sender,
                None => connect(&place).await?,
            };
            let answer = sender.send_request(request).await.map_err(|error| told(&error))?;
            let status = answer.status();
            let body =
                Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
            Ok((sender, Answer { status, body: body.to_bytes() }))
        };
        let done: Result<_, String> = match self.runtime.block_on(async { timeout(PATIENCE, exchange).await }) {
            Ok(done) => done,
            Err(_) => Err("no answer in ten minutes".to_owned()),
        };
        let (sender, answer) = done.map_err(|why| Trouble { class: Class::Transient, doing: doing.to_owned(), why })?;
        self.open = Some(sender);
        Ok(answer)
    }
}

async fn connect(place: &str) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = timeout(CONNECT, TcpStream::connect(place))
        .await
        .map_err(|_| format!("no connection to {place} in ten seconds"))?
        .map_err(|error| format!("no connection to {place}: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| told(&error))?;
    // It ends with the sender, and the runtime that owns it ends with both.
    drop(tokio::runtime::Handle::current().spawn(connection));
    Ok(sender)
}

fn told(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

impl Answer {
    /// The body of an answer that is no refusal.
    pub(super) fn accepted(self, doing: &str) -> Result<Bytes, Trouble> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let class = match self.status.as_u16() {
            400 | 413 | 422 => Class::Poison,
            408 | 425 | 429 | 500.. => Class::Transient,
            _ => Class::Permanent,
        };
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(MAX_TOLD).collect();
        Err(Trouble { class, doing: doing.to_owned(), why: format!("{}: {body}", self.status) })
    }
}
