//! Clients on real sockets: keep-alive connections that ask one question after another, whole and streamed, some for JSON,
//! some as the second turn of a conversation. What request `n` is depends on the seed and `n` alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use providers::simulated::questions;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::out::Stop;

const ROUTES: [&str; 2] = ["support", "billing"];
/// A client gives up on a request after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was sent and what came of it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sent {
    /// Requests sent.
    pub requests: u64,
    /// Answers whole and well.
    pub answered: u64,
    /// Answers with an error status.
    pub failed: u64,
    /// Streams without their end, and connections that broke.
    pub broken: u64,
}

#[derive(Default)]
struct Counters {
    numbers: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    broken: AtomicU64,
    route: AtomicUsize,
    stop: AtomicBool,
}

/// The clients, on one thread of their own.
pub(crate) struct Traffic {
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Starts `n_connections` clients of the gateway at `address`.
    pub(crate) fn start(address: SocketAddr, seed: u32, n_connections: usize) -> Result<Traffic, Stop> {
        let counters = Arc::new(Counters::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        let shared = Arc::clone(&counters);
        let clients = move || {
            let local = tokio::task::LocalSet::new();
            for _ in 0..n_connections {
                local.spawn_local(client(address, seed, Arc::clone(&shared)));
            }
            runtime.block_on(local);
        };
        let thread = std::thread::Builder::new().name("traffic".into()).spawn(clients).context("no thread")?;
        Ok(Traffic { counters, thread: Some(thread) })
    }

    /// Sends to this route from now on.
    pub(crate) fn send_to(&self, route: usize) {
        self.counters.route.store(route, Ordering::Release);
    }

    /// Requests sent so far.
    pub(crate) fn n_sent(&self) -> u64 {
        self.counters.numbers.load(Ordering::Relaxed)
    }

    /// What was sent so far.
    pub(crate) fn so_far(&self) -> Sent {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { numbers, answered, failed, broken, .. } = &*self.counters;
        Sent { requests: read(numbers), answered: read(answered), failed: read(failed), broken: read(broken) }
    }

    /// Lets requests under way finish, and says what was sent.
    pub(crate) fn stop(mut self) -> Sent {
        self.counters.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("traffic thread panicked");
        }
        self.so_far()
    }
}

/// One connection; a broken one is opened again.
async fn client(address: SocketAddr, seed: u32, counters: Arc<Counters>) {
    let mut connection: Option<SendRequest<Full<Bytes>>> = None;
    while !counters.stop.load(Ordering::Acquire) {
        let Some(sender) = connection.as_mut() else {
            connection = connect(address).await;
            if connection.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            continue;
        };
        let n = counters.numbers.fetch_add(1, Ordering::Relaxed);
        let route = ROUTES[counters.route.load(Ordering::Acquire) % ROUTES.len()];
        let ask = Ask::number(seed, n);
        let outcome = match ask.request(route) {
            Ok(request) => tokio::time::timeout(PATIENCE, exchange(sender, request, ask.streamed)).await,
            Err(_) => continue,
        };
        match outcome {
            Ok(Ok(true)) => counters.answered.fetch_add(1, Ordering::Relaxed),
            Ok(Ok(false)) => counters.failed.fetch_add(1, Ordering::Relaxed),
            Ok(Err(_)) | Err(_) => {
                connection = None;
                counters.broken.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let socket = TcpStream::connect(address).await.ok()?;
    socket.set_nodelay(true).ok()?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.ok()?;
    // The connection ends when its sender is dropped or the LocalSet is: the client owns it.
    tokio::task::spawn_local(async move { connection.await.ok() });
    Some(sender)
}

/// Whether the answer was whole and well.
async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    streamed: bool,
) -> anyhow::Result<bool> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let is_success = response.status().is_success();
    let body = response.into_body().collect().await?.to_bytes();
    anyhow::ensure!(!is_success || !streamed || body.ends_with(b"data: [DONE]\n\n"), "a stream without its end");
    Ok(is_success)
}

/// One request of the traffic.
struct Ask {
    conversation: String,
    is_second_turn: bool,
    in_header: bool,
    streamed: bool,
    json: bool,
    question: usize,
}

impl Ask {
    fn number(seed: u32, n: u64) -> Ask {
        let chance = mixed(u64::from(seed) << 40 ^ n);
        let part = |shift: u32| (chance >> shift) % 100;
        // Every eighth request goes on with the conversation eight before it.
        let is_second_turn = n % 8 == 7;
        let conversation = if is_second_turn { n - 7 } else { n };
        Ask {
            conversation: format!("{seed}-{conversation}"),
            is_second_turn,
            in_header: part(8) < 80,
            streamed: part(16) < 50,
            json: part(24) < 20,
            question: usize::try_from(chance >> 32).unwrap_or(0) % questions().len(),
        }
    }

    fn request(&self, route: &str) -> Result<Request<Full<Bytes>>, http::Error> {
        let question = &questions()[self.question];
        let mut messages = vec![
            json!({ "role": "system", "content": "You answer questions about parcel lockers." }),
            json!({ "role": "user", "content": format!("{} (conversation {})", question.text, self.conversation) }),
        ];
        if self.is_second_turn {
            messages.push(json!({ "role": "assistant", "content": question.answer }));
            messages.push(json!({ "role": "user", "content": "And what else should I know?" }));
        }
        let mut body = json!({ "model": route, "messages": messages, "stream": self.streamed });
        if self.json {
            body["response_format"] = json!({ "type": "json_object" });
        }
        let mut request = Request::post("/v1/chat/completions").header("host", "quickstart");
        request = request.header("content-type", "application/json");
        if self.in_header {
            request = request.header("x-crossfade-conversation-id", &self.conversation);
        } else {
            body["metadata"] = json!({ "conversation_id": self.conversation });
        }
        request.body(Full::new(Bytes::from(Value::to_string(&body))))
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): every bit of the number moves every bit of the result.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_depends_on_seed_and_number_alone_and_a_second_turn_keeps_its_conversation() {
        let body = |n| format!("{:?}", Ask::number(7, n).request("support").unwrap());
        assert_eq!(body(5), body(5));
        assert_eq!(Ask::number(7, 15).conversation, Ask::number(7, 8).conversation);
        let streamed = (0..10_000).filter(|n| Ask::number(7, *n).streamed).count();
        assert!((4_500..5_500).contains(&streamed), "{streamed}");
    }
}
