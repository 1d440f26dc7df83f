//! An instant OpenAI-like upstream for benchmarks, so that what is measured is what stands before it.
//!
//! `mock_upstream --listen 127.0.0.1:0 [--workers 1] [--delay-ms 0] [--hang] [--http2]` prints `listening ADDRESS`.
//! A completion is 595 bytes with usage. A stream has `max_tokens` content chunks, `seed` microseconds apart (0: at once).
//! `--delay-ms` answers late; `--hang` reads the request and never answers. `GET /count` says how many requests came.
//! `--http2` speaks HTTP/2 with prior knowledge, any number of streams on a connection.

use std::convert::Infallible;
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::LocalSet;
use tokio::time::{Instant, Sleep};

type AnyError = Box<dyn Error + Send + Sync>;

/// The text every answer carries; the load generator looks for it.
const MARKER: &str = "ACME GmbH";

/// Requests read whole, over all workers.
static N_REQUESTS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy)]
struct Settings {
    listen: SocketAddr,
    n_workers: usize,
    delay: Duration,
    hang: bool,
    http2: bool,
}

/// Runs the streams of an HTTP/2 connection beside it.
#[derive(Clone)]
struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// What the mock reads of a request.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Asked {
    stream: bool,
    max_tokens: Option<u32>,
    seed: Option<u64>,
    stream_options: Option<StreamOptions>,
    input: Option<serde::de::IgnoredAny>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

fn main() -> Result<(), AnyError> {
    let settings = settings()?;
    let first = listener(settings.listen)?;
    let address = first.local_addr()?;
    writeln!(std::io::stdout(), "listening {address}")?;
    let mut threads = Vec::new();
    for idx in 0..settings.n_workers {
        let listener = if idx == 0 { first.try_clone()? } else { listener(address)? };
        threads.push(std::thread::Builder::new().name(format!("mock-{idx}")).spawn(move || work(listener, settings))?);
    }
    drop(first);
    for thread in threads {
        thread.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}

fn settings() -> Result<Settings, AnyError> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut settings = Settings { listen, n_workers: 1, delay: Duration::ZERO, hang: false, http2: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if let Some(switch) = match name.as_str() {
            "--hang" => Some(&mut settings.hang),
            "--http2" => Some(&mut settings.http2),
            _ => None,
        } {
            *switch = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => settings.listen = value.parse()?,
            "--workers" => settings.n_workers = value.parse()?,
            "--delay-ms" => settings.delay = Duration::from_millis(value.parse()?),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(settings)
}

fn listener(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn work(listener: std::net::TcpListener, settings: Settings) -> Result<(), AnyError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| answer(request, settings));
                let stream = TokioIo::new(stream);
                // A caller that goes away is part of the exercise.
                if settings.http2 {
                    let mut http2 = hyper::server::conn::http2::Builder::new(Local);
                    drop(http2.max_concurrent_streams(1 << 20).serve_connection(stream, service).await);
                } else {
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await);
                }
            });
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    settings: Settings,
) -> Result<Response<Either<Full<Bytes>, Stream>>, AnyError> {
    if request.uri().path() == "/health" {
        return json(Bytes::from_static(b"{\"ok\":true}"));
    }
    if request.uri().path() == "/count" {
        return json(Bytes::from(N_REQUESTS.load(Ordering::Relaxed).to_string()));
    }
    let embeddings = request.uri().path().ends_with("/embeddings");
    let body = request.into_body().collect().await?.to_bytes();
    N_REQUESTS.fetch_add(1, Ordering::Relaxed);
    if settings.hang {
        std::future::pending::<()>().await;
    }
    if !settings.delay.is_zero() {
        tokio::time::sleep(settings.delay).await;
    }
    let asked: Asked = serde_json::from_slice(&body)?;
    if embeddings || asked.input.is_some() {
        return json(Bytes::from(embedding()));
    }
    if asked.stream {
        let include_usage = asked.stream_options.is_some_and(|options| options.include_usage);
        let body = Stream::new(asked.max_tokens.unwrap_or(50), asked.seed.unwrap_or(0), include_usage);
        return Ok(Response::builder().header("content-type", "text/event-stream").body(Either::Right(body))?);
    }
    json(Bytes::from(completion()))
}

fn json(body: Bytes) -> Result<Response<Either<Full<Bytes>, Stream>>, AnyError> {
    Ok(Response::builder().header("content-type", "application/json").body(Either::Left(Full::new(body)))?)
}

/// 595 bytes, the size of a short completion with usage.
fn completion() -> String {
    let head = "{\"id\":\"chatcmpl-bench000000000000000001\",\"object\":\"chat.completion\",\"created\":1760000000,\"model\":\"mock-1\",\
                \"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The invoice was issued by ACME GmbH. ";
    let tail = "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":32,\
                \"total_tokens\":152,\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}},\
                \"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\"}";
    format!("{head}{}{tail}", ".".repeat(595_usize.saturating_sub(head.len() + tail.len())))
}

fn embedding() -> String {
    let numbers: Vec<String> = (0..64).map(|idx| format!("0.0{idx:03}")).collect();
    let numbers = numbers.join(",");
    format!(
        "{{\"object\":\"list\",\"data\":[{{\"object\":\"embedding\",\"index\":0,\"embedding\":[{numbers}]}}],\"model\":\"mock-1\",\
         \"usage\":{{\"prompt_tokens\":8,\"total_tokens\":8}}}}"
    )
}

/// One chunk a frame, paced by a timer, as an inference server writes them.
struct Stream {
    n_chunks: u32,
    next_idx: u32,
    pace: Duration,
    include_usage: bool,
    sleep: Pin<Box<Sleep>>,
}

impl Stream {
    fn new(n_chunks: u32, pace_us: u64, include_usage: bool) -> Self {
        let pace = Duration::from_micros(pace_us);
        let sleep = Box::pin(tokio::time::sleep_until(Instant::now() + pace));
        Self { n_chunks, next_idx: 0, pace, include_usage, sleep }
    }

    /// Content chunks, then the finish reason, then usage if asked, then the end; `None` after it.
    fn event(&self) -> Option<String> {
        let chunk = |choices: &str, usage: &str| {
            format!(
                "data: {{\"id\":\"chatcmpl-bench000000000000000001\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\
                 \"model\":\"mock-1\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\",\"choices\":{choices}{usage}}}\n\n"
            )
        };
        let null_usage = if self.include_usage { ",\"usage\":null" } else { "" };
        let after = self.next_idx.checked_sub(self.n_chunks);
        Some(match (after, self.include_usage) {
            (None, _) => {
                let text = if self.next_idx == 0 { MARKER } else { " token" };
                let delta = format!(
                    "[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":null}}]"
                );
                chunk(&delta, null_usage)
            }
            (Some(0), _) => {
                chunk("[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]", null_usage)
            }
            (Some(1), true) => {
                let usage = format!(
                    ",\"usage\":{{\"prompt_tokens\":120,\"completion_tokens\":{},\"total_tokens\":{}}}",
                    self.n_chunks,
                    self.n_chunks + 120
                );
                chunk("[]", &usage)
            }
            (Some(1), false) | (Some(2), true) => "data: [DONE]\n\n".to_owned(),
            _ => return None,
        })
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // Only content is paced: the last events follow the last token at once, as they do on a real server.
        if !self.pace.is_zero() && self.next_idx < self.n_chunks {
            if self.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let next = self.sleep.deadline() + self.pace;
            self.sleep.as_mut().reset(next);
        }
        let event = self.event();
        self.next_idx += 1;
        Poll::Ready(event.map(|event| Ok(Frame::data(Bytes::from(event)))))
    }
}
