//! A client of the admin API: one request per connection, answered within a deadline.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use operations::Identity;
use serde_json::Value;
use wire::private::Private;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a running gateway's admin listener is.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    address: SocketAddr,
    token: Option<Private<String>>,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum AdminError {
    /// Nobody listens there.
    NobodyThere,
    /// It answered no.
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        message: String,
    },
    /// The gateway there is another one than was meant: which, and which was meant.
    Another(Box<Identity>, Box<Identity>),
    /// The exchange broke.
    Broken(anyhow::Error),
}

impl Admin {
    /// The listener at `address`. `0.0.0.0` and `[::]` are reached over loopback.
    pub(crate) fn new(mut address: SocketAddr, token: Option<Private<String>>) -> Admin {
        if address.ip().is_unspecified() {
            let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
            address.set_ip(loopback);
        }
        Admin { address, token }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads.
    ///
    /// # Errors
    /// When nobody is there, or the answer is no.
    pub(crate) fn get(&self, path: &str) -> Result<Value, AdminError> {
        self.call(Method::GET, path, None)
    }

    /// Changes something.
    ///
    /// # Errors
    /// When nobody is there, or the answer is no.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, AdminError> {
        self.call(Method::POST, path, Some(body))
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, AdminError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("could not start a runtime").map_err(AdminError::Broken)?;
        runtime.block_on(async {
            let socket = tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::TcpStream::connect(self.address)).await;
            let Ok(Ok(socket)) = socket else { return Err(AdminError::NobodyThere) };
            let exchange = self.exchange(socket, method, path, body);
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await;
            let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", ANSWER_TIMEOUT.as_secs())));
            let (status, body) = answer.map_err(AdminError::Broken)?;
            read(status, &body)
        })
    }

    async fn exchange(
        &self,
        socket: tokio::net::TcpStream,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::builder().method(method).uri(path).header("host", self.address.to_string());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = request.header("content-type", "application/json").body(Full::new(body))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        let work = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        let mut connection = std::pin::pin!(connection);
        let mut work = std::pin::pin!(work);
        tokio::select! {
            answer = &mut work => answer,
            _ = &mut connection => work.await,
        }
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<Value, AdminError> {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    if status.is_success() {
        return value.context("the answer is not JSON").map_err(AdminError::Broken);
    }
    let message = value.as_ref().and_then(|value| value["error"]["message"].as_str().map(str::to_owned));
    let message = message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    Err(AdminError::Refused { status, message })
}
