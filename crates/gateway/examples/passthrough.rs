//! The floor of the overhead benchmark: the least a hyper proxy can do. One current-thread runtime per core, a request
//! body streamed to the upstream and an answer streamed back, no parsing, no record, no limits. Never a product.
//!
//! `passthrough --listen 127.0.0.1:0 --upstream 127.0.0.1:9000 [--workers 2]` prints `listening ADDRESS`.

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;

use http::Uri;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::LocalSet;

type AnyError = Box<dyn Error + Send + Sync>;

struct Settings {
    listen: SocketAddr,
    upstream: String,
    n_workers: usize,
}

fn main() -> Result<(), AnyError> {
    let settings = settings()?;
    let first = listener(settings.listen)?;
    let address = first.local_addr()?;
    writeln!(std::io::stdout(), "listening {address}")?;
    let mut threads = Vec::new();
    for idx in 0..settings.n_workers {
        let listener = if idx == 0 { first.try_clone()? } else { listener(address)? };
        let upstream = settings.upstream.clone();
        threads
            .push(std::thread::Builder::new().name(format!("worker-{idx}")).spawn(move || work(listener, upstream))?);
    }
    drop(first);
    for thread in threads {
        thread.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}

fn settings() -> Result<Settings, AnyError> {
    let mut settings =
        Settings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), upstream: String::new(), n_workers: 2 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => settings.listen = value.parse()?,
            "--upstream" => settings.upstream = value,
            "--workers" => settings.n_workers = value.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    if settings.upstream.is_empty() { Err("--upstream is missing".into()) } else { Ok(settings) }
}

/// Every worker listens on the same address; the kernel spreads connections over them.
fn listener(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn work(listener: std::net::TcpListener, upstream: String) -> Result<(), AnyError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (client, upstream) = (client.clone(), upstream.clone());
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| forward(&client, &upstream, request));
                // A connection that breaks is the load generator's to report.
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}

async fn forward(
    client: &Client<HttpConnector, Incoming>,
    upstream: &str,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, AnyError> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::builder().scheme("http").authority(upstream).path_and_query(path).build()?;
    Ok(client.request(request).await?)
}
