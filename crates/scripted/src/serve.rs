use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::script::{After, Cut, Framing, Hang, Script};
use crate::{Accepted, Log, Received, locked};

pub(crate) type Handler = Arc<dyn Fn(&Received) -> Script + Send + Sync>;

/// The upstream's thread: accepts until told to stop, then drops every connection.
pub(crate) fn run(
    runtime: &tokio::runtime::Runtime,
    listener: std::net::TcpListener,
    handler: Handler,
    log: Arc<Log>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let mut connections = JoinSet::new();
        let mut stopped = stopped;
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => {
                    let Ok((stream, peer)) = accepted else { continue };
                    let connection = {
                        let mut accepted = locked(&log.accepted);
                        accepted.push(Accepted { peer, bytes_read: 0, bytes_written: 0 });
                        accepted.len() - 1
                    };
                    let connection = Connection { stream, buffer: Vec::new(), connection, log: Arc::clone(&log) };
                    connections.spawn(connection.serve(Arc::clone(&handler)));
                }
            }
        }
    });
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    connection: usize,
    log: Arc<Log>,
}

/// Why an answer was not finished.
enum Stopped {
    /// The client went away first.
    Gone(Cut),
    /// The script said to cut here.
    Cut(Cut),
}

impl Connection {
    async fn serve(mut self, handler: Handler) {
        drop(self.stream.set_nodelay(true));
        let mut nth = 0;
        loop {
            let Ok(Some(request)) = self.read_request(nth).await else { return };
            let script = handler(&request);
            let idx = self.log.push(request);
            nth += 1;
            match self.play(&script).await {
                Ok(()) => self.log.update(idx, |request| request.answered = Some(Instant::now())),
                Err(Stopped::Gone(how)) => {
                    self.log.update(idx, |request| request.disconnected = Some((Instant::now(), how)));
                    return;
                }
                Err(Stopped::Cut(Cut::Fin)) => return,
                Err(Stopped::Cut(Cut::Rst)) => return self.reset(),
            }
            match script.after {
                After::KeepAlive if script.framing != Framing::UntilClose => {}
                After::CloseOnNext => {
                    if let Ok(Some(request)) = self.read_request(nth).await {
                        self.log.push(request);
                    }
                    return;
                }
                _ => return,
            }
        }
    }

    /// One request, or `None` when the client closed between two.
    async fn read_request(&mut self, nth: usize) -> io::Result<Option<Received>> {
        let head_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        };
        let head: Vec<u8> = self.buffer.drain(..head_end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let mut first = lines.next().unwrap_or_default().split(' ');
        let method = first.next().unwrap_or_default().to_owned();
        let path = first.next().unwrap_or_default().to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let body = self.read_body(&headers).await?;
        let connection = self.connection;
        let at = Instant::now();
        let received =
            Received { connection, nth, method, path, headers, body, at, answered: None, disconnected: None };
        Ok(Some(received))
    }

    async fn read_body(&mut self, headers: &[(String, String)]) -> io::Result<Vec<u8>> {
        let value = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if value("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            let mut body = Vec::new();
            loop {
                let line = self.take_line().await?;
                let n_bytes = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                body.extend(self.take(n_bytes).await?);
                self.take_line().await?;
                if n_bytes == 0 {
                    return Ok(body);
                }
            }
        }
        let n_bytes = value("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        self.take(n_bytes).await
    }

    async fn take_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn take(&mut self, n_bytes: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < n_bytes {
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..n_bytes).collect())
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let n_bytes = self.stream.read_buf(&mut self.buffer).await?;
        self.log.count(self.connection, |accepted| accepted.bytes_read += n_bytes as u64);
        Ok(n_bytes)
    }

    async fn play(&mut self, script: &Script) -> Result<(), Stopped> {
        self.wait(script.delay).await?;
        if script.hang == Some(Hang::BeforeHeaders) {
            if let Some((_, how)) = script.cut {
                return Err(Stopped::Cut(how));
            }
            return Err(self.silence().await);
        }
        let mut head = script.head();
        let whole_at_once = script.framing == Framing::ContentLength
            && script.cut.is_none()
            && script.hang.is_none()
            && script.pieces.iter().all(|piece| piece.delay.is_zero());
        if whole_at_once {
            head.extend(script.pieces.iter().flat_map(|piece| piece.bytes.iter().copied()));
            return self.write(&head).await;
        }
        self.write(&head).await?;
        if script.hang == Some(Hang::AfterHeaders) {
            return Err(self.silence().await);
        }
        self.play_pieces(script).await?;
        if script.hang == Some(Hang::AfterPieces) {
            return Err(self.silence().await);
        }
        match script.framing {
            Framing::Chunked => self.write(b"0\r\n\r\n").await,
            Framing::BadChunk => self.write(b"this is no chunk\r\n\r\n").await,
            _ => Ok(()),
        }
    }

    async fn play_pieces(&mut self, script: &Script) -> Result<(), Stopped> {
        let chunked = matches!(script.framing, Framing::Chunked | Framing::BadChunk);
        let mut n_sent = 0;
        for piece in &script.pieces {
            self.wait(piece.delay).await?;
            let n_bytes = script.cut.map_or(piece.bytes.len(), |(at, _)| piece.bytes.len().min(at - n_sent));
            let bytes = &piece.bytes[..n_bytes];
            if chunked && n_bytes > 0 {
                let mut chunk = format!("{n_bytes:x}\r\n").into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                self.write(&chunk).await?;
            } else {
                self.write(bytes).await?;
            }
            n_sent += n_bytes;
            if let Some((at, how)) = script.cut
                && n_sent == at
            {
                return Err(Stopped::Cut(how));
            }
        }
        self.feed(script).await?;
        script.cut.map_or(Ok(()), |(_, how)| Err(Stopped::Cut(how)))
    }

    /// Sends what comes from elsewhere, as it comes.
    async fn feed(&mut self, script: &Script) -> Result<(), Stopped> {
        let Some(feed) = &script.feed else { return Ok(()) };
        let mut feed = feed.lock().await;
        while let Some(bytes) = feed.recv().await {
            let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
            chunk.extend_from_slice(&bytes);
            chunk.extend_from_slice(b"\r\n");
            self.write(&chunk).await?;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        // A client that does not read must not hide that it is gone: the socket's end is watched while writing.
        let before = self.buffer.len();
        let (mut reader, mut writer) = self.stream.split();
        let buffer = &mut self.buffer;
        let written = tokio::select! {
            biased;
            written = writer.write_all(bytes) => written.map_err(|error| Stopped::Gone(kind_of(&error))),
            how = gone(&mut reader, buffer) => Err(Stopped::Gone(how)),
        };
        let (n_read, is_written) = (self.buffer.len() - before, written.is_ok());
        self.log.count(self.connection, |accepted| {
            accepted.bytes_read += n_read as u64;
            accepted.bytes_written += if is_written { bytes.len() as u64 } else { 0 };
        });
        written
    }

    async fn wait(&mut self, delay: Duration) -> Result<(), Stopped> {
        if delay.is_zero() {
            return Ok(());
        }
        let before = self.buffer.len();
        let (mut reader, _writer) = self.stream.split();
        let buffer = &mut self.buffer;
        let waited = tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            how = gone(&mut reader, buffer) => Err(Stopped::Gone(how)),
        };
        let n_read = self.buffer.len() - before;
        self.log.count(self.connection, |accepted| accepted.bytes_read += n_read as u64);
        waited
    }

    async fn silence(&mut self) -> Stopped {
        let (mut reader, _writer) = self.stream.split();
        Stopped::Gone(gone(&mut reader, &mut self.buffer).await)
    }

    fn reset(self) {
        // A linger of zero makes the close a reset.
        drop(socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)));
    }
}

/// Resolves when the client is gone. What it sends meanwhile is kept: it may be its next request.
async fn gone(reader: &mut tokio::net::tcp::ReadHalf<'_>, buffer: &mut Vec<u8>) -> Cut {
    loop {
        match reader.read_buf(buffer).await {
            Ok(0) => return Cut::Fin,
            Ok(_) => {}
            Err(error) => return kind_of(&error),
        }
    }
}

fn kind_of(error: &io::Error) -> Cut {
    if error.kind() == io::ErrorKind::ConnectionReset { Cut::Rst } else { Cut::Fin }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
