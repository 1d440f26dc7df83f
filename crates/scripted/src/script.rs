use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

/// What the upstream does with one request. Built by chaining; every part has a harmless default.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) delay: Duration,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) cut: Option<(usize, Cut)>,
    pub(crate) hang: Option<Hang>,
    pub(crate) after: After,
    pub(crate) feed: Option<Feed>,
}

/// Pieces that somebody else makes while the answer is sent.
pub(crate) type Feed = Arc<Mutex<mpsc::Receiver<Vec<u8>>>>;

#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) delay: Duration,
    pub(crate) bytes: Vec<u8>,
}

/// How the end of the body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `content-length` of all pieces together.
    ContentLength,
    /// A `content-length` that is this number, whatever the pieces are.
    WrongLength(usize),
    /// `transfer-encoding: chunked`, one chunk per piece.
    Chunked,
    /// `transfer-encoding: chunked`, and then bytes that are no chunk.
    BadChunk,
    /// Neither: the body ends when the connection does.
    UntilClose,
}

/// How the connection dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// An orderly close: the peer reads an end of file.
    Fin,
    /// A reset: the peer reads `ECONNRESET`.
    Rst,
}

/// Where the upstream falls silent, with the connection open, until the client goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// The request was read and nothing is answered.
    BeforeHeaders,
    /// The head is sent and no byte of the body.
    AfterHeaders,
    /// All pieces are sent and the body is not ended.
    AfterPieces,
}

/// What happens to the connection after a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It is kept for the next request.
    KeepAlive,
    /// `connection: close` is announced and done.
    Close,
    /// Nothing is announced, and it is closed: what llama-server does after a stream.
    CloseSilently,
    /// Nothing is announced, and it is closed when the next request has been read: that request gets no answer.
    CloseOnNext,
}

impl Script {
    /// An empty answer with this status.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            framing: Framing::ContentLength,
            delay: Duration::ZERO,
            pieces: Vec::new(),
            cut: None,
            hang: None,
            after: After::KeepAlive,
            feed: None,
        }
    }

    /// `200` with a JSON body.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).header("content-type", "application/json").piece(body)
    }

    /// `200` with an event stream, chunked; every item is sent as it is, as one piece.
    pub fn stream<I: IntoIterator<Item = T>, T: Into<Vec<u8>>>(pieces: I) -> Self {
        let script = Self::status(200).header("content-type", "text/event-stream").framing(Framing::Chunked);
        pieces.into_iter().fold(script, |script, piece| script.piece(piece))
    }

    /// An error answer in OpenAI's envelope.
    pub fn error(status: u16, kind: &str, code: &str) -> Self {
        let body =
            format!(r#"{{"error":{{"message":"scripted {status}","type":"{kind}","param":null,"code":"{code}"}}}}"#);
        Self { status, ..Self::json(body) }
    }

    /// Reads the request and closes the connection without a byte of an answer.
    pub fn hang_up(how: Cut) -> Self {
        Self { cut: Some((0, how)), ..Self::silent() }
    }

    /// Reads the request and never answers.
    pub fn silent() -> Self {
        Self::status(200).hang(Hang::BeforeHeaders)
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets how the body's end is marked.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// After the pieces so far, sends what comes from here until nobody holds the other end. The answer is chunked, and asked for once.
    #[must_use]
    pub fn fed(mut self, feed: mpsc::Receiver<Vec<u8>>) -> Self {
        self.feed = Some(Arc::new(Mutex::new(feed)));
        self
    }

    /// Waits before the head of the answer.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Adds a piece of the body, written at once.
    #[must_use]
    pub fn piece(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.piece_after(Duration::ZERO, bytes)
    }

    /// Adds a piece of the body, written after a pause.
    #[must_use]
    pub fn piece_after(mut self, delay: Duration, bytes: impl Into<Vec<u8>>) -> Self {
        self.pieces.push(Piece { delay, bytes: bytes.into() });
        self
    }

    /// Puts the same pause before every piece.
    #[must_use]
    pub fn pace(mut self, delay: Duration) -> Self {
        for piece in &mut self.pieces {
            piece.delay = delay;
        }
        self
    }

    /// Sends exactly this many bytes of the body, then kills the connection.
    #[must_use]
    pub fn cut_after(mut self, n_bytes: usize, cut: Cut) -> Self {
        self.cut = Some((n_bytes, cut));
        self
    }

    /// Falls silent at this point until the client goes away.
    #[must_use]
    pub fn hang(mut self, hang: Hang) -> Self {
        self.hang = Some(hang);
        self
    }

    /// Sends comments (`: ping`) at this interval `n` times after the pieces so far.
    #[must_use]
    pub fn comments(mut self, n: usize, every: Duration) -> Self {
        for _ in 0..n {
            self = self.piece_after(every, ": ping\n\n");
        }
        self
    }

    /// What happens to the connection after a whole answer.
    #[must_use]
    pub fn after(mut self, after: After) -> Self {
        self.after = after;
        self
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.framing {
            Framing::ContentLength => {
                let n_bytes: usize = self.pieces.iter().map(|piece| piece.bytes.len()).sum();
                head.push_str(&format!("content-length: {n_bytes}\r\n"));
            }
            Framing::WrongLength(n_bytes) => head.push_str(&format!("content-length: {n_bytes}\r\n")),
            Framing::Chunked | Framing::BadChunk => head.push_str("transfer-encoding: chunked\r\n"),
            Framing::UntilClose => {}
        }
        if self.after == After::Close {
            head.push_str("connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}
