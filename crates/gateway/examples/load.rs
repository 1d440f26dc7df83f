//! A raw keep-alive load generator: `--connections` callers on one thread, each sending its next request when the last
//! answer is whole (closed loop), or at fixed times with `--rate` (open loop, measured from the time it was due).
//! Every answer is checked: status 200, the content marker, `[DONE]` for a stream, nothing cut. Figures as JSON on stdout.
//!
//! `load --address 127.0.0.1:4000 --body request.json [--stream] [--connections 8] [--seconds 5] [--rate 0]
//!  [--path /v1/chat/completions] [--marker TEXT] [--key sk-bench] [--header 'NAME: VALUE'] … [--vary-header NAME] [--samples FILE]
//!  [--timeout-ms 10000]`

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

type AnyError = Box<dyn Error + Send + Sync>;

struct Settings {
    address: SocketAddr,
    path: String,
    body: Vec<u8>,
    streamed: bool,
    n_connections: u32,
    run: Duration,
    rate: f64,
    marker: String,
    key: String,
    headers: Vec<String>,
    vary_header: Option<String>,
    samples: Option<String>,
    timeout: Duration,
}

#[derive(Clone, Copy)]
struct Sample {
    began: Duration,
    took: Duration,
    /// When the marker was read; for a plain answer that is with the answer.
    first_content: Duration,
}

#[derive(Default)]
struct Tally {
    samples: Vec<Sample>,
    n_errors: u64,
    n_events: u64,
    first_error: Option<String>,
    n_sent: u64,
}

fn main() -> Result<(), AnyError> {
    let settings = Rc::new(settings()?);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    LocalSet::new().block_on(&runtime, async {
        let callers: Vec<_> = (0..settings.n_connections)
            .map(|idx| tokio::task::spawn_local(call_until_over(settings.clone(), tally.clone(), began, idx)))
            .collect();
        for caller in callers {
            caller.await?;
        }
        Ok::<(), AnyError>(())
    })?;
    let elapsed = began.elapsed();
    let tally = tally.borrow();
    if let Some(path) = &settings.samples {
        let mut text = String::with_capacity(tally.samples.len() * 24);
        for sample in &tally.samples {
            writeln!(text, "{},{}", sample.began.as_micros(), micros(sample.took))?;
        }
        std::fs::write(path, text)?;
    }
    writeln!(std::io::stdout(), "{}", figures(&tally, elapsed))?;
    Ok(())
}

fn settings() -> Result<Settings, AnyError> {
    let mut settings = Settings {
        address: SocketAddr::from(([127, 0, 0, 1], 4000)),
        path: "/v1/chat/completions".to_owned(),
        body: Vec::new(),
        streamed: false,
        n_connections: 8,
        run: Duration::from_secs(5),
        rate: 0.0,
        marker: "ACME GmbH".to_owned(),
        key: "sk-bench".to_owned(),
        headers: Vec::new(),
        vary_header: None,
        samples: None,
        timeout: Duration::from_secs(10),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--stream" {
            settings.streamed = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--address" => settings.address = value.parse()?,
            "--path" => settings.path = value,
            "--body" => settings.body = std::fs::read(value)?,
            "--connections" => settings.n_connections = value.parse()?,
            "--seconds" => settings.run = Duration::from_secs_f64(value.parse()?),
            "--rate" => settings.rate = value.parse()?,
            "--marker" => settings.marker = value,
            "--key" => settings.key = value,
            "--header" => settings.headers.push(value),
            "--vary-header" => settings.vary_header = Some(value),
            "--samples" => settings.samples = Some(value),
            "--timeout-ms" => settings.timeout = Duration::from_millis(value.parse()?),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    if settings.body.is_empty() { Err("--body is missing".into()) } else { Ok(settings) }
}

/// One connection: requests one after the other until the time is up. A failure costs its connection.
async fn call_until_over(settings: Rc<Settings>, tally: Rc<RefCell<Tally>>, began: Instant, idx: u32) {
    let mut connection = None;
    let every = if settings.rate > 0.0 {
        Duration::from_secs_f64(f64::from(settings.n_connections) / settings.rate)
    } else {
        Duration::ZERO
    };
    let mut due = began + every.mul_f64(f64::from(idx) / f64::from(settings.n_connections));
    while began.elapsed() < settings.run {
        let mut start = Instant::now();
        if !every.is_zero() {
            if due > start {
                tokio::time::sleep_until(due.into()).await;
                start = Instant::now();
            } else {
                start = due;
            }
            due += every;
        }
        let number = {
            let mut tally = tally.borrow_mut();
            tally.n_sent += 1;
            tally.n_sent
        };
        let outcome = match tokio::time::timeout(settings.timeout, exchange(&settings, &mut connection, number)).await {
            Ok(outcome) => outcome,
            Err(_) => Err("timed out".into()),
        };
        let mut tally = tally.borrow_mut();
        match outcome {
            Ok(answer) => {
                tally.n_events += answer.n_events;
                let first_content = answer.first_content.duration_since(start);
                tally.samples.push(Sample { began: start.duration_since(began), took: start.elapsed(), first_content });
            }
            Err(error) => {
                connection = None;
                tally.n_errors += 1;
                tally.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

struct Answer {
    first_content: Instant,
    n_events: u64,
}

async fn exchange(settings: &Settings, connection: &mut Option<TcpStream>, number: u64) -> Result<Answer, AnyError> {
    if connection.is_none() {
        let stream = TcpStream::connect(settings.address).await?;
        stream.set_nodelay(true)?;
        *connection = Some(stream);
    }
    let Some(stream) = connection.as_mut() else { return Err("no connection".into()) };
    let mut request = Vec::with_capacity(settings.body.len() + 256);
    write!(
        request,
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n",
        settings.path,
        settings.address,
        settings.key,
        settings.body.len()
    )?;
    for header in &settings.headers {
        write!(request, "{header}\r\n")?;
    }
    if let Some(name) = &settings.vary_header {
        write!(request, "{name}: load-{number}\r\n")?;
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(&settings.body);
    stream.write_all(&request).await?;
    let mut reader = Reader::default();
    while !reader.advance()? {
        if stream.read_buf(&mut reader.bytes).await? == 0 {
            return Err(format!("cut after {} bytes of an answer", reader.bytes.len()).into());
        }
        if reader.first_content.is_none() && find(&reader.bytes, settings.marker.as_bytes()).is_some() {
            reader.first_content = Some(Instant::now());
        }
    }
    if reader.close {
        *connection = None;
    }
    let body = &reader.body;
    if reader.status != 200 {
        return Err(
            format!("status {}: {}", reader.status, String::from_utf8_lossy(&body[..body.len().min(200)])).into()
        );
    }
    let Some(first_content) = reader.first_content else { return Err("the answer lacks the marker".into()) };
    if settings.streamed && !body.ends_with(b"data: [DONE]\n\n") {
        return Err("the stream does not end with [DONE]".into());
    }
    Ok(Answer { first_content, n_events: body.windows(6).filter(|window| window == b"data: ").count() as u64 })
}

/// Reads one HTTP/1.1 answer with a known length or chunks.
#[derive(Default)]
struct Reader {
    bytes: Vec<u8>,
    position: usize,
    state: State,
    status: u16,
    close: bool,
    body: Vec<u8>,
    first_content: Option<Instant>,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Head,
    Length(usize),
    ChunkSize,
    Chunk(usize),
    Trailer,
}

impl Reader {
    /// Reads on in what has arrived; true when the answer is whole.
    fn advance(&mut self) -> Result<bool, AnyError> {
        loop {
            let rest = &self.bytes[self.position..];
            match self.state {
                State::Head => {
                    let Some(length) = find(rest, b"\r\n\r\n") else { return Ok(false) };
                    let head = String::from_utf8_lossy(&rest[..length]).to_ascii_lowercase();
                    self.position += length + 4;
                    self.state = self.read_head(&head)?;
                }
                State::Length(length) => {
                    if rest.len() < length {
                        return Ok(false);
                    }
                    self.body.extend_from_slice(&rest[..length]);
                    return Ok(true);
                }
                State::ChunkSize => {
                    let Some(length) = find(rest, b"\r\n") else { return Ok(false) };
                    let line = std::str::from_utf8(&rest[..length])?;
                    let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)?;
                    self.position += length + 2;
                    self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
                }
                State::Chunk(size) => {
                    if rest.len() < size + 2 {
                        return Ok(false);
                    }
                    self.body.extend_from_slice(&rest[..size]);
                    self.position += size + 2;
                    self.state = State::ChunkSize;
                }
                State::Trailer => {
                    let Some(length) = find(rest, b"\r\n") else { return Ok(false) };
                    self.position += length + 2;
                    if length == 0 {
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn read_head(&mut self, head: &str) -> Result<State, AnyError> {
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default().split(' ').nth(1).ok_or("no status line")?;
        self.status = status.parse()?;
        let mut state = None;
        for line in lines {
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("content-length", value)) => state = Some(State::Length(value.parse()?)),
                Some(("transfer-encoding", "chunked")) => state = Some(State::ChunkSize),
                Some(("connection", "close")) => self.close = true,
                _ => {}
            }
        }
        state.ok_or_else(|| "an answer with neither a length nor chunks".into())
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

fn figures(tally: &Tally, elapsed: Duration) -> serde_json::Value {
    let total = quantiles(tally.samples.iter().map(|sample| micros(sample.took)).collect());
    let first = quantiles(tally.samples.iter().map(|sample| micros(sample.first_content)).collect());
    let n_answers = tally.samples.len();
    serde_json::json!({
        "requests": n_answers,
        "errors": tally.n_errors,
        "first_error": tally.first_error,
        "events": tally.n_events,
        "seconds": elapsed.as_secs_f64(),
        "rps": f64::from(u32::try_from(n_answers).unwrap_or(u32::MAX)) / elapsed.as_secs_f64(),
        "total_us": total,
        "time_to_first_token_us": first,
    })
}

fn quantiles(mut values: Vec<f64>) -> serde_json::Value {
    values.sort_by(f64::total_cmp);
    let at =
        |per_mille: usize| values.get((values.len() * per_mille / 1000).min(values.len().saturating_sub(1))).copied();
    let count = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / count);
    serde_json::json!({ "p50": at(500), "p90": at(900), "p99": at(990), "max": values.last(), "mean": mean })
}
