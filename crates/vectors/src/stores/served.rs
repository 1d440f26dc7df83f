//! A server of HTTP for tests of what asks one: it says what a function says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What is asked.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
}

/// What is said.
#[derive(Default)]
pub(super) struct Said {
    pub(super) status: u16,
    /// `NAME: VALUE` and an end of line, of each.
    pub(super) headers: &'static str,
    pub(super) body: String,
    /// The connection ends in the middle of the body.
    pub(super) is_cut: bool,
}

/// It listens as long as this is there.
pub(super) struct Served {
    /// `HOST:PORT`.
    pub(super) host: String,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(super) fn new(says: impl Fn(&Asked<'_>) -> Said + Send + Sync + 'static) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let says = &says;
            std::thread::scope(|scope| {
                for stream in listener.incoming() {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    scope.spawn(move || serve(&stream.unwrap(), says));
                }
            });
        });
        Served { host, is_over, thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.host));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(stream: &TcpStream, says: &(impl Fn(&Asked<'_>) -> Said + Sync)) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut n_body) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                n_body = length.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            head += &line;
        }
        let mut body = vec![0; n_body];
        reader.read_exact(&mut body).unwrap();
        let mut words = head.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let said = says(&Asked { method, path, body: &body });
        let Said { status, headers, body, is_cut } = said;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        let n_sent = if is_cut { answer.len() - length / 2 } else { answer.len() };
        let mut stream = stream;
        // Who asked may have gone.
        if stream.write_all(&answer.as_bytes()[..n_sent]).is_err() || is_cut {
            return;
        }
    }
}
