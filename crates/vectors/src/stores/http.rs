//! The way to a server that speaks HTTP, with or without TLS, one call at a time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
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
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a server said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// How long it asks to be left alone.
    after: Option<Duration>,
}

impl Http {
    /// To `http://HOST:PORT` or `https://HOST`; every call has these headers.
    pub(super) fn new(base: &str, headers: &[(&'static str, &str)]) -> Result<Http, Trouble> {
        const DOING: &str = "could not begin to speak HTTP";
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| Trouble::permanent(DOING, error))?;
        // A machine without any system certificate falls back to the built-in list; where there is no TLS that is the cheaper one.
        let is_tls = base.starts_with("https:");
        let roots = if is_tls { HttpsConnectorBuilder::new().with_native_roots().ok() } else { None };
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let roots = roots.unwrap_or_else(|| HttpsConnectorBuilder::new().with_webpki_roots());
        let connector = roots.https_or_http().enable_http1().wrap_connector(tcp);
        let mut kept = Vec::new();
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| Trouble::permanent(DOING, format!("what is to be sent as `{name}` is no header")))?;
            value.set_sensitive(true);
            kept.push((HeaderName::from_static(name), value));
        }
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Http { runtime, client, base: base.to_owned(), headers: kept })
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
            .uri(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Trouble::permanent(doing, error))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| told(&error))?;
            let status = answer.status();
            let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.trim().parse().ok());
            let body =
                Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
            Ok(Answer { status, body: body.to_bytes(), after: after.map(Duration::from_secs) })
        };
        let trouble = |why: &str| Trouble::transient(doing, format!("{}: {why}", self.base));
        match self.runtime.block_on(async { timeout(PATIENCE, exchange).await }) {
            Ok(done) => done.map_err(|why: String| trouble(&why)),
            Err(_) => Err(trouble("no answer in ten minutes").too_much(true)),
        }
    }
}

/// An error with all that caused it.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        told += &format!(": {one}");
        cause = one.source();
    }
    told
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
        // Not done in time, too large, too many, not done in time behind a proxy.
        let is_too_much = matches!(self.status.as_u16(), 408 | 413 | 429 | 504);
        let trouble = Trouble::of(class, doing, format!("{}: {body}", self.status)).too_much(is_too_much);
        Err(Trouble { after: self.after, ..trouble })
    }
}
