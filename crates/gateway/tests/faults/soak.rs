//! Row 42: memory over time. Rounds of streams that are all open at once, of whole answers and of callers that leave, and a look at what
//! the process holds between them. The upstream here remembers nothing of what it was asked, so that nothing else grows.
//!
//! A trial is short: it finds what is held for good of every request. Half an hour of everything is `scripts/bench-memory soak`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use scripted::{chat_completion, chat_stream};

use crate::client::{Connection, PATIENCE};
use crate::harness::{PLAIN, STREAMED, Setup};
use crate::row::is_slow;
use crate::trial::{Stage, Trial};

/// Streams that are open at once.
const N_STREAMS: usize = 64;

/// Rounds before the first look: pools, caches and the allocator have then most of what they need. The last to be filled are the two
/// megabytes of pages that SQLite keeps, which takes 3 000 requests.
const N_FIRST: usize = 30;

/// What the process may hold more of after each request: less than an exchange that was kept would take.
const MOST_PER_REQUEST: usize = 1 << 10;

/// What it may hold more of whatever was asked: an arena of the allocator.
const MOST_AT_ALL: usize = 1 << 20;

/// What an open stream may take of the process, both ends of it included.
const MOST_PER_STREAM: usize = 256 << 10;

pub fn memory(trial: &mut Trial) {
    let upstream = Forgetful::start();
    let stage = trial.stage(Setup::to_urls(&[&format!("http://{}/v1", upstream.addr)]), &[]);
    // The stage reads back at most 10 000 exchanges.
    let n_rounds = if is_slow() { 48 } else { 16 };
    for _ in 0..N_FIRST {
        round(trial, &stage, &upstream);
    }
    let (mut held, mut n_asked) = (Vec::new(), 0);
    for _ in 0..n_rounds {
        let (n, open) = round(trial, &stage, &upstream);
        assert!(open / N_STREAMS <= MOST_PER_STREAM, "{open} bytes for {N_STREAMS} streams at once");
        n_asked += n;
        held.push(resident());
    }
    // What is held at the least says more than what is held at a moment.
    let (first, second) = held.split_at(n_rounds / 2);
    let more = second.iter().min().unwrap().saturating_sub(*first.iter().min().unwrap());
    println!("row 42: {more} bytes more after {} requests", n_asked / 2);
    assert!(more <= MOST_AT_ALL + n_asked / 2 * MOST_PER_REQUEST, "{more} more after {} requests", n_asked / 2);
    trial.end(stage);
}

/// So many streams at once and as many whole answers after them: how many requests that was, and what the process held more of while
/// all streams were open.
fn round(trial: &mut Trial, stage: &Stage<'_>, upstream: &Forgetful) -> (usize, usize) {
    upstream.hold();
    let before = resident();
    let mut open: Vec<Connection> = (0..N_STREAMS).map(|_| stage.begin(STREAMED)).collect();
    let mut heads: Vec<_> = open.iter_mut().map(|one| one.head().expect("an answer")).collect();
    for (connection, answer) in open.iter_mut().zip(&mut heads) {
        answer.body.extend(connection.chunk().expect("the first event"));
    }
    let held = resident().saturating_sub(before);
    let n_leaving = trial.dice.within(4..=16);
    drop(open.drain(..n_leaving));
    upstream.let_go();
    for (connection, answer) in open.iter_mut().zip(&mut heads[n_leaving..]) {
        connection.rest_of(answer);
        stage.note(Some(answer), true);
        stage.ask_on(connection, PLAIN);
    }
    (2 * N_STREAMS - n_leaving, held)
}

/// What of the process is in memory and no file's, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells what a process holds");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("how much is no file's");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}

/// An upstream that answers and remembers nothing. While it holds, a stream stops after its first content.
struct Forgetful {
    addr: SocketAddr,
    gate: Arc<(Mutex<bool>, Condvar)>,
    is_over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Forgetful {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (gate, is_over) = (Arc::new((Mutex::new(false), Condvar::new())), Arc::new(AtomicBool::new(false)));
        let (its_gate, its_end) = (Arc::clone(&gate), Arc::clone(&is_over));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if its_end.load(Ordering::Acquire) {
                    return;
                }
                let gate = Arc::clone(&its_gate);
                std::thread::spawn(move || serve(stream, &gate));
            }
        });
        Self { addr, gate, is_over, accepting: Some(accepting) }
    }

    fn hold(&self) {
        *self.gate.0.lock().unwrap() = true;
    }

    fn let_go(&self) {
        *self.gate.0.lock().unwrap() = false;
        self.gate.1.notify_all();
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        self.let_go();
        self.is_over.store(true, Ordering::Release);
        drop(TcpStream::connect(self.addr));
        drop(self.accepting.take().map(JoinHandle::join));
    }
}

/// Answers the requests of one connection until it is closed.
fn serve(mut stream: TcpStream, (gate, opened): &(Mutex<bool>, Condvar)) {
    stream.set_nodelay(true).unwrap();
    let (mut unread, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let head = unread.windows(4).position(|four| four == b"\r\n\r\n");
        let length = head.map(|end| content_length(&unread[..end]));
        if let (Some(head), Some(length)) = (head, length)
            && unread.len() >= head + 4 + length
        {
            let is_stream = contains(&unread[head..], b"\"stream\":true");
            unread.drain(..head + 4 + length);
            let events = chat_stream(&["one", "two", "three"], true);
            let answered = if is_stream {
                let first = events[..2].concat();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(format!("{head}{:x}\r\n{first}\r\n", first.len()).as_bytes()).and_then(|()| {
                    drop(opened.wait_timeout_while(gate.lock().unwrap(), PATIENCE, |held| *held));
                    let rest = events[2..].concat();
                    stream.write_all(format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()).as_bytes())
                })
            } else {
                let body = chat_completion("here");
                let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes())
            };
            if answered.is_err() {
                return;
            }
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => unread.extend_from_slice(&buffer[..n]),
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.map_or(0, |length| length.trim().parse().expect("a length"))
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}
