//! A streaming server that keeps time and writes down what it did: the truth that a load generator is held against.
//!
//! Its answers are chat streams of a token a chunk. It writes the moment just before each write, so that whatever a client says of it later can be held
//! against its own record, request by request (`x-request-id` names them). One thread serves everything; timers are a millisecond coarse, and the record
//! has what truly happened.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinSet, LocalSet};

use crate::locked;

/// What it does.
#[derive(Clone)]
pub struct Tempo {
    /// From the whole request to the first token; with [`Tempo::places`] that is the service of each.
    pub first: Duration,
    /// Between two tokens.
    pub gap: Duration,
    /// Tokens of an answer whose request does not say.
    pub n_tokens: u64,
    /// Only so many requests are served at once, first come first served, the others wait.
    pub places: Option<Places>,
    /// So long after the first request it stands still, this long: nothing is read and nothing written.
    pub stall: Option<(Duration, Duration)>,
    /// It keeps every prompt, and says in the usage how many words at the beginning of one were there before.
    pub remembers: bool,
}

impl Tempo {
    /// It takes `first` to the first token and `gap` from one to the next, for whoever asks.
    pub fn new(first: Duration, gap: Duration) -> Tempo {
        Tempo { first, gap, n_tokens: 16, places: None, stall: None, remembers: false }
    }
}

/// Places of a queue (G/G/k).
#[derive(Clone)]
pub struct Places {
    /// How many.
    pub n: usize,
    /// How long the service of request number so and so takes, counted from 0.
    pub service: Arc<dyn Fn(u64) -> Duration + Send + Sync>,
}

/// A request and its answer, as the server saw them.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Its `x-request-id`; empty without one.
    pub id: String,
    /// When it had been read whole.
    pub read: Instant,
    /// When its first token was written.
    pub first: Instant,
    /// When its last token was written.
    pub last: Instant,
    /// The longest time between two tokens.
    pub longest_gap: Duration,
    /// Tokens of the answer.
    pub n_tokens: u64,
    /// Words of the prompt.
    pub n_words: u64,
    /// Words at its beginning that an earlier prompt began with, where the server remembers.
    pub n_known: u64,
}

/// The server. It stops when it is dropped.
pub struct Metronome {
    addr: SocketAddr,
    record: Arc<Record>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Metronome {
    /// Starts one on a free port of loopback.
    pub fn start(tempo: Tempo) -> Metronome {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let addr = listener.local_addr().expect("the listener has an address");
        listener.set_nonblocking(true).expect("the listener can be non-blocking");
        let record = Arc::new(Record { started: Instant::now(), answered: Mutex::default(), stalls: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let seen = Arc::clone(&record);
        let thread = std::thread::Builder::new()
            .name("metronome".to_owned())
            .spawn(move || run(listener, tempo, seen, stopped))
            .expect("a thread for the server");
        Metronome { addr, record, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:<port>`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every request that was answered whole so far, in the order in which that was done.
    pub fn answered(&self) -> Vec<Answered> {
        locked(&self.record.answered).clone()
    }

    /// When it stood still, from when to when.
    pub fn stalls(&self) -> Vec<(Instant, Instant)> {
        locked(&self.record.stalls).clone()
    }

    /// Waits until its thread ends, which it does when the process does.
    pub fn serve(mut self) {
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Metronome {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Record {
    started: Instant,
    answered: Mutex<Vec<Answered>>,
    stalls: Mutex<Vec<(Instant, Instant)>>,
}

impl Record {
    /// One JSON object a line, moments in microseconds since the server started; then it is empty.
    fn take_lines(&self) -> String {
        let answered = std::mem::take(&mut *locked(&self.answered));
        let at = |moment: Instant| moment.saturating_duration_since(self.started).as_nanos() as f64 / 1e3;
        let line = |of: &Answered| {
            format!(
                "{{\"id\":{},\"read_us\":{},\"first_us\":{},\"last_us\":{},\"longest_gap_us\":{},\"tokens\":{},\"words\":{},\"known\":{}}}\n",
                Value::from(of.id.as_str()),
                at(of.read),
                at(of.first),
                at(of.last),
                of.longest_gap.as_nanos() as f64 / 1e3,
                of.n_tokens,
                of.n_words,
                of.n_known
            )
        };
        answered.iter().map(line).collect()
    }
}

/// What the connections of the server share.
struct Server {
    tempo: Tempo,
    record: Arc<Record>,
    /// When each place is free, and how many requests there were.
    places: Mutex<(Vec<Instant>, u64)>,
    known: Mutex<HashSet<u64>>,
    /// Told of every request.
    asked: Notify,
}

fn run(listener: std::net::TcpListener, tempo: Tempo, record: Arc<Record>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let free = vec![record.started; tempo.places.as_ref().map_or(0, |places| places.n)];
    let server = Arc::new(Server {
        tempo,
        record,
        places: Mutex::new((free, 0)),
        known: Mutex::default(),
        asked: Notify::new(),
    });
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::from_std(listener).expect("a listener");
        let mut tasks = JoinSet::new();
        let stalls = Arc::clone(&server);
        tasks.spawn_local(async move { stalls.stall().await });
        let mut stopped = stopped;
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                Some(_) = tasks.join_next() => {}
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    // Tokens go out one by one.
                    drop(stream.set_nodelay(true));
                    let connection = Connection { stream, buffer: Vec::new(), server: Arc::clone(&server) };
                    tasks.spawn_local(async move { drop(connection.serve().await) });
                }
            }
        }
    });
}

impl Server {
    /// When the first token of a request that was read just now is due.
    fn due(&self, read: Instant) -> Instant {
        let Some(Places { service, .. }) = &self.tempo.places else { return read + self.tempo.first };
        let mut places = locked(&self.places);
        let number = places.1;
        places.1 += 1;
        let Some(free) = places.0.iter_mut().min() else { return read + self.tempo.first };
        *free = read.max(*free) + service(number);
        *free
    }

    /// Words at the beginning of a prompt that were there before; all of its beginnings are from now on.
    fn known(&self, text: &str) -> u64 {
        let mut known = locked(&self.known);
        let (mut hasher, mut n_known, mut is_known) = (DefaultHasher::new(), 0, true);
        for word in text.split(' ') {
            word.hash(&mut hasher);
            is_known &= !known.insert(hasher.finish());
            n_known += u64::from(is_known);
        }
        n_known
    }

    /// Stands still once, so long after the first request.
    async fn stall(&self) {
        let Some((after, length)) = self.tempo.stall else { return };
        self.asked.notified().await;
        tokio::time::sleep(after).await;
        let began = Instant::now();
        // The whole thread stands still, and everybody on it.
        std::thread::sleep(length);
        locked(&self.record.stalls).push((began, Instant::now()));
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    server: Arc<Server>,
}

/// What is read of a request.
struct Asked {
    is_get: bool,
    path: String,
    id: String,
    body: Vec<u8>,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        while let Some(asked) = self.read().await? {
            if asked.is_get {
                let body = match asked.path.as_str() {
                    "/log" => self.server.record.take_lines(),
                    _ => r#"{"object":"list","data":[{"id":"metronome","object":"model","created":1700000000,"owned_by":"nobody"}]}"#.to_owned(),
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                self.stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
                continue;
            }
            let read = Instant::now();
            self.server.asked.notify_one();
            self.answer(asked, read).await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> io::Result<Option<Asked>> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let header = |wanted: &str| {
            let of = |line: &str| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
            };
            head.split("\r\n").find_map(of)
        };
        let n_bytes: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while self.buffer.len() < end + n_bytes {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
        let asked = Asked {
            is_get: method == "GET",
            path: path.to_owned(),
            id: header("x-request-id").unwrap_or_default(),
            body: self.buffer[end..end + n_bytes].to_vec(),
        };
        self.buffer.drain(..end + n_bytes);
        Ok(Some(asked))
    }

    async fn answer(&mut self, asked: Asked, read: Instant) -> io::Result<()> {
        let server = Arc::clone(&self.server);
        let due = server.due(read);
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let limit = ["max_tokens", "max_completion_tokens"].iter().find_map(|name| body[*name].as_u64());
        let n_tokens = limit.unwrap_or(server.tempo.n_tokens).max(1);
        let text = prompt(&body);
        let n_words = text.split(' ').count() as u64;
        let n_known = if server.tempo.remembers { server.known(&text) } else { 0 };
        let gap = server.tempo.gap;
        let (token, mut latest, mut longest_gap, mut first) = (framed(TOKEN), read, Duration::ZERO, read);
        let mut out = Vec::new();
        for number in 0..n_tokens {
            let at = due + gap * u32::try_from(number).unwrap_or(u32::MAX);
            tokio::time::sleep_until(at.into()).await;
            out.clear();
            if number == 0 {
                out.extend_from_slice(HEAD);
            }
            out.extend_from_slice(&token);
            if number + 1 == n_tokens {
                end(&mut out, n_words, n_tokens, n_known);
            }
            let now = Instant::now();
            if number == 0 {
                first = now;
            } else {
                longest_gap = longest_gap.max(now - latest);
            }
            latest = now;
            self.stream.write_all(&out).await?;
        }
        let answered = Answered { id: asked.id, read, first, last: latest, longest_gap, n_tokens, n_words, n_known };
        locked(&server.record.answered).push(answered);
        Ok(())
    }
}

/// The texts of all messages, or the prompt.
fn prompt(body: &Value) -> String {
    let of = |content: &Value| match content {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        content => content.as_str().unwrap_or_default().to_owned(),
    };
    match body["messages"].as_array() {
        Some(messages) => messages.iter().map(|message| of(&message["content"])).collect::<Vec<_>>().join(" "),
        None => of(&body["prompt"]),
    }
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

const TOKEN: &str = "data: {\"id\":\"chatcmpl-metronome\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"metronome\",\
                     \"system_fingerprint\":\"fp_metronome\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tick\"},\"logprobs\":null,\
                     \"finish_reason\":null}]}\n\n";

/// A piece of a chunked body.
fn framed(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

/// The finish reason, the usage and the end.
fn end(out: &mut Vec<u8>, n_words: u64, n_tokens: u64, n_known: u64) {
    let head = "data: {\"id\":\"chatcmpl-metronome\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"metronome\"";
    let finish = format!(
        "{head},\"choices\":[{{\"index\":0,\"delta\":{{}},\"logprobs\":null,\"finish_reason\":\"length\"}}]}}\n\n"
    );
    let usage = format!(
        "{head},\"choices\":[],\"usage\":{{\"prompt_tokens\":{n_words},\"completion_tokens\":{n_tokens},\"total_tokens\":{},\"prompt_tokens_details\":{{\"cached_tokens\":{n_known}}}}}}}\n\n",
        n_words + n_tokens
    );
    for event in [finish.as_str(), usage.as_str(), "data: [DONE]\n\n"] {
        out.extend(framed(event));
    }
    out.extend_from_slice(b"0\r\n\r\n");
}
