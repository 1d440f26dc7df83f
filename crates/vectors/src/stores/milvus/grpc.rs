//! Calls of gRPC that are answered once, over HTTP/2, one at a time.
//!
//! A call is one POST whose body is a message behind five bytes: whether it is compressed, and its length. The outcome stands behind the answer, or, where there is no answer, before it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use hyper::{Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::protobuf::Message;
use crate::retry::{Class, Trouble};

/// The longest that a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest that one call may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// The longest answer that is taken.
const MAX_ANSWER: usize = 256 << 20;

/// The way to a server.
pub(super) struct Grpc {
    runtime: Runtime,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Grpc {
    /// To `http://HOST:PORT` or `https://HOST:PORT`; every call has these headers.
    pub(super) fn new(base: &str, headers: &[(&'static str, String)]) -> Result<Grpc, Trouble> {
        const DOING: &str = "could not begin to speak gRPC";
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| Trouble::permanent(DOING, error))?;
        let is_tls = base.starts_with("https:");
        let roots = if is_tls { HttpsConnectorBuilder::new().with_native_roots().ok() } else { None };
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let roots = roots.unwrap_or_else(|| HttpsConnectorBuilder::new().with_webpki_roots());
        let connector = roots.https_or_http().enable_http2().wrap_connector(tcp);
        let mut kept = Vec::new();
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| Trouble::permanent(DOING, format!("what is to be sent as `{name}` is no header")))?;
            value.set_sensitive(true);
            kept.push((HeaderName::from_static(name), value));
        }
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
        Ok(Grpc { runtime, client, base: base.to_owned(), headers: kept })
    }

    /// One call of a method, and the message that it is answered with.
    pub(super) fn call(&mut self, doing: &str, method: &str, message: Message) -> Result<Bytes, Trouble> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/{method}", self.base))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(framed(&message.into_bytes()))))
            .map_err(|error| Trouble::permanent(doing, error))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| crate::stores::http::told(&error))?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            if !status.is_success() {
                return Err(format!("{status}: no server of gRPC"));
            }
            let body =
                Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            Ok((outcome(&headers).or_else(|| outcome(&trailers)), body.to_bytes()))
        };
        let trouble = |why: &str| Trouble::transient(doing, format!("{}: {why}", self.base));
        let (outcome, body) = match self.runtime.block_on(async { timeout(PATIENCE, exchange).await }) {
            Ok(done) => done.map_err(|why: String| trouble(&why))?,
            Err(_) => return Err(trouble("no answer in five minutes").too_much(true)),
        };
        match outcome {
            Some((0, _)) => message_of(&body).ok_or_else(|| Trouble::transient(doing, "the answer breaks off")),
            Some((code, why)) => {
                // Deadline exceeded, resource exhausted: a message larger than the server takes among it.
                Err(Trouble::of(class(code), doing, format!("gRPC {code}: {why}")).too_much(matches!(code, 4 | 8)))
            }
            None => Err(Trouble::transient(doing, "the answer breaks off")),
        }
    }
}

/// What helps against an outcome, by gRPC's list of codes.
fn class(code: u32) -> Class {
    match code {
        // Invalid argument, out of range.
        3 | 11 => Class::Poison,
        // Cancelled, unknown, deadline exceeded, resource exhausted, aborted, internal, unavailable.
        1 | 2 | 4 | 8 | 10 | 13 | 14 => Class::Transient,
        _ => Class::Permanent,
    }
}

/// The outcome's code and words, where they stand there.
fn outcome(headers: &HeaderMap) -> Option<(u32, String)> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let why = headers.get("grpc-message").map(|why| String::from_utf8_lossy(why.as_bytes()).into_owned());
    Some((code, why.unwrap_or_default()))
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// The one message of a body; none where it is not whole, or compressed, which nobody asked for.
fn message_of(body: &Bytes) -> Option<Bytes> {
    let (head, message) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    (head[0] == 0 && usize::try_from(length).ok()? == message.len()).then(|| body.slice(5..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stands_behind_its_length_and_a_broken_one_is_none() {
        assert_eq!(framed(b"abc"), b"\0\0\0\0\x03abc");
        assert_eq!(message_of(&Bytes::from_static(b"\0\0\0\0\x03abc")).as_deref(), Some(&b"abc"[..]));
        for broken in [&b"\0\0\0\0\x03ab"[..], b"\0\0", b"\x01\0\0\0\x03abc"] {
            assert_eq!(message_of(&Bytes::copy_from_slice(broken)), None);
        }
    }

    #[test]
    fn the_outcome_says_what_helps() {
        assert_eq!([3, 14, 16, 12].map(class), [Class::Poison, Class::Transient, Class::Permanent, Class::Permanent]);
        let mut headers = HeaderMap::new();
        assert_eq!(outcome(&headers), None);
        headers.insert("grpc-status", HeaderValue::from_static("16"));
        headers.insert("grpc-message", HeaderValue::from_static("auth check failure"));
        assert_eq!(outcome(&headers), Some((16, "auth check failure".to_owned())));
    }

    #[test]
    fn who_is_not_there_may_come_back() {
        let mut grpc = Grpc::new("http://127.0.0.1:1", &[]).unwrap();
        assert_eq!(grpc.call("x", "y/z", Message::new()).unwrap_err().class, Class::Transient);
    }
}
