//! A client that reads an answer byte by byte and tells a proper end from a cut.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(10);

/// An answer as it came over the wire.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body had its proper end.
    pub whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The error in the envelope, all four keys of which must be there.
    pub fn error(&self) -> serde_json::Value {
        let value: serde_json::Value = serde_json::from_slice(&self.body).expect("an envelope");
        for key in ["message", "type", "param", "code"] {
            assert!(value["error"].get(key).is_some(), "{key} is missing in {value}");
        }
        value["error"].clone()
    }
}

/// One connection.
pub struct Connection {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("the gateway listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes).unwrap();
    }

    pub fn post(&mut self, body: &str) {
        self.send("POST", "/v1/chat/completions", &[("content-type", "application/json")], body.as_bytes());
    }

    /// Reads until there are at least `n` bytes unread; false at the end of the connection.
    fn fill(&mut self, n: usize) -> bool {
        let mut buffer = [0; 16 << 10];
        while self.unread.len() < n {
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(n_read) => self.unread.extend_from_slice(&buffer[..n_read]),
            }
        }
        true
    }

    fn take_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 2);
                return Some(line);
            }
            if !self.fill(self.unread.len() + 1) {
                return None;
            }
        }
    }

    fn take(&mut self, n: usize, into: &mut Vec<u8>) -> bool {
        let whole = self.fill(n);
        let n = n.min(self.unread.len());
        into.extend(self.unread.drain(..n));
        whole
    }

    /// Status and headers; `None` when the connection ended before them.
    pub fn head(&mut self) -> Option<Answer> {
        let status = self.take_line()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let line = self.take_line()?;
            if line.is_empty() {
                return Some(Answer { status, headers, body: Vec::new(), whole: false });
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next chunk of a chunked body: `Some(empty)` is the proper end, `None` a cut.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(self.take_line()?.trim(), 16).ok()?;
        let mut chunk = Vec::new();
        let whole = self.take(size, &mut chunk);
        let end = self.take_line();
        (whole && end.is_some()).then_some(chunk)
    }

    /// Reads a chunked body to its end, or as far as it comes.
    pub fn rest_of(&mut self, answer: &mut Answer) {
        while let Some(chunk) = self.chunk() {
            if chunk.is_empty() {
                answer.whole = true;
                return;
            }
            answer.body.extend_from_slice(&chunk);
        }
    }

    /// The whole answer, or as much as came.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if answer.header("transfer-encoding") == Some("chunked") {
            self.rest_of(&mut answer);
        } else {
            let n = answer.header("content-length").map_or(0, |n| n.parse().unwrap());
            answer.whole = self.take(n, &mut answer.body);
        }
        Some(answer)
    }
}

/// One request on a connection of its own.
pub fn post(addr: SocketAddr, body: &str) -> Answer {
    let mut connection = Connection::open(addr);
    connection.post(body);
    connection.answer().expect("an answer")
}

pub fn get(addr: SocketAddr, path: &str) -> Answer {
    let mut connection = Connection::open(addr);
    connection.send("GET", path, &[], b"");
    connection.answer().expect("an answer")
}
