//! Requests of a drill's own, at a stated rate, through the data listener as an application's would come.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use wire::private::Private;

use crate::out::Stop;

/// No request is waited for longer than this; the gateway says what became of it.
const PATIENCE: Duration = Duration::from_secs(60);
const QUESTION: &str = "This is a rehearsal. Answer with one word: ready.";

/// Where they go, and what they say.
#[derive(Debug, Clone)]
pub(super) struct Where {
    address: SocketAddr,
    body: Bytes,
    key: Option<Private<String>>,
}

/// Requests that are being sent; no more begin once it is dropped, and those under way end.
pub(super) struct Own {
    is_over: Arc<AtomicBool>,
    unreachable: Arc<OnceLock<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Own {
    /// Why no request gets there, once one did not.
    pub(super) fn unreachable(&self) -> Option<&str> {
        self.unreachable.get().map(String::as_str)
    }
}

impl Where {
    /// To this route at this listener. `0.0.0.0` and `[::]` are reached over loopback.
    pub(super) fn new(mut address: SocketAddr, route: &str, key: Option<String>) -> Where {
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        let body = json!({ "model": route, "messages": [{ "role": "user", "content": QUESTION }] });
        Where { address, body: Bytes::from(body.to_string()), key: key.map(Private::new) }
    }

    /// Where they go.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends so many a second from now on.
    pub(super) fn start(&self, per_second: f64) -> Result<Own, Stop> {
        let (is_over, unreachable) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
        let (stop, place, why) = (Arc::clone(&is_over), self.clone(), Arc::clone(&unreachable));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        let send = move || {
            let local = LocalSet::new();
            local.spawn_local(async move {
                let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
                while !stop.load(Ordering::Acquire) {
                    pace.tick().await;
                    let (place, why) = (place.clone(), Arc::clone(&why));
                    tokio::task::spawn_local(async move {
                        if !matches!(tokio::time::timeout(PATIENCE, place.ask(&why)).await, Ok(Ok(()))) {
                            tracing::debug!("a request of the drill's own was not answered");
                        }
                    });
                }
            });
            runtime.block_on(local);
        };
        let thread = std::thread::Builder::new().name("exit-drill".into()).spawn(send).context("no thread")?;
        Ok(Own { is_over, unreachable, thread: Some(thread) })
    }

    async fn ask(&self, why: &OnceLock<String>) -> anyhow::Result<()> {
        let socket = TcpStream::connect(self.address).await.inspect_err(|error| {
            why.get_or_init(|| format!("nobody takes requests at {}: {error}", self.address));
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        let mut request = Request::post("/v1/chat/completions")
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header(gateway::detour::OWN, "1");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {}", key.expose()));
        }
        let request = request.body(Full::new(self.body.clone()))?;
        let work = async {
            sender.send_request(request).await?.into_body().collect().await?;
            anyhow::Ok(())
        };
        let (mut connection, mut work) = (std::pin::pin!(connection), std::pin::pin!(work));
        tokio::select! {
            done = &mut work => done,
            _ = &mut connection => work.await,
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the drill's own requests panicked");
        }
    }
}
