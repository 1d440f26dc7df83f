//! A connection that notices when the provider has closed it, and says whether the request was lost for certain.
//!
//! A provider may close a kept connection at any time (llama-server does after every stream, without a word). The runtime
//! learns of it at its next look at the sockets; a request written before that look meets a closed door. A `POST` to a
//! model may cost money, so it is sent again only when nobody can have processed it. Two cases are certain, the third is
//! as good as that:
//!
//! 1. **Nothing was written.** Before the first byte of each request the socket itself is asked (one `recv` with `MSG_PEEK`,
//!    about 0.3 µs). An end of file or an error fails the write. Unread bytes on a connection that has answered before
//!    count as closed too: they are a TLS goodbye or a `408` to nobody.
//! 2. **Nothing was acknowledged.** The close may come between that look and the write. When the connection ends without a
//!    byte of an answer, the kernel is asked how much of what was written the other side's kernel has acknowledged. If
//!    that is not a byte of this request, the provider has not read it. (One misreading is possible: a provider that reads
//!    a whole request and resets the connection within the time its kernel delays acknowledgements, 40 ms on Linux.)
//!
//! 3. **A connection kept after a stream ended at once.** llama-server shuts down its side after a stream, then reads what
//!    still comes and throws it away, so the request is acknowledged although nobody looks at it (1 request in 300 with 8
//!    connections in use). So an end within [`CROSSING`] of the request, without a byte of an answer, on a connection
//!    whose last answer was a stream, counts as a close that crossed the request. What this can cost: a request that the
//!    provider read and dropped within that time, without a word, is sent to it once more.
//!
//! All end in [`Stale`], and the client makes the call once more on a new connection. Every other end is left as it is.
//! Only HTTP/1.1: HTTP/2 itself says which streams were not processed. The second case needs Linux; elsewhere it is not
//! certain, so it is not claimed.

mod unacknowledged;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::ledger::Metered;

/// The provider had closed the connection, and nobody can have processed the request.
#[derive(Debug, thiserror::Error)]
#[error("the provider had closed the kept connection")]
pub(crate) struct Stale;

/// The first read after a request goes through a buffer of this size, to tell an end of file from an answer.
const FIRST_READ: usize = 4096;

/// How long after a request its kept connection's end still counts as older than the request: a way there and back.
const CROSSING: Duration = Duration::from_millis(100);

/// How much of a request is looked at for what it accepts; head and body may come in one piece.
const LONGEST_HEAD: usize = 1024;

pub(crate) struct Checked {
    io: MaybeHttpsStream<TokioIo<Metered>>,
    http1: bool,
    /// At least one request was written before.
    reused: bool,
    /// The current or last request asked for a stream.
    streamed: bool,
    /// When the current request was begun, if the one before it on this connection asked for a stream.
    after_stream: Option<Instant>,
    /// A request was begun, and no byte of an answer has come.
    awaiting: bool,
    /// Bytes of the current request that were written.
    n_written: usize,
}

impl Checked {
    pub(crate) fn new(io: MaybeHttpsStream<TokioIo<Metered>>, http1: bool) -> Self {
        let http1 = http1 && !io.connected().is_negotiated_h2();
        Self { io, http1, reused: false, streamed: false, after_stream: None, awaiting: false, n_written: 0 }
    }

    fn socket(&self) -> &TcpStream {
        match &self.io {
            MaybeHttpsStream::Http(tcp) => tcp.inner().socket(),
            MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner().inner().socket(),
        }
    }

    /// Called with what is about to be written. This room sends nothing but `POST`; a piece of a body that happens to
    /// begin with the same letters while its connection is fine only costs one look more.
    fn before_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.http1 || self.awaiting || !bytes.starts_with(b"POST ") {
            return Ok(());
        }
        let closed = match SockRef::from(self.socket()).peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => true,
            // On a new TLS connection the unread bytes are session tickets.
            Ok(_) => self.reused,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        };
        if closed {
            return Err(stale());
        }
        self.after_stream = (self.reused && self.streamed).then(Instant::now);
        self.streamed = asks_for_stream(bytes);
        self.reused = true;
        self.awaiting = true;
        self.n_written = 0;
        Ok(())
    }

    fn after_write(&mut self, written: io::Result<usize>) -> io::Result<usize> {
        match written {
            Ok(n_bytes) => {
                self.n_written += n_bytes;
                Ok(n_bytes)
            }
            Err(_) if self.is_lost() => Err(stale()),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing of the current request can have reached the provider.
    fn is_lost(&self) -> bool {
        let unacknowledged = || unacknowledged::n_bytes(self.socket()).is_some_and(|n_bytes| n_bytes >= self.n_written);
        self.awaiting && (self.n_written == 0 || unacknowledged())
    }

    /// Whether an end that is seen now was on its way before the current request arrived.
    fn is_crossed(&self) -> bool {
        self.awaiting && self.after_stream.is_some_and(|since| since.elapsed() < CROSSING)
    }

    fn poll_first_read(&mut self, cx: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [MaybeUninit::uninit(); FIRST_READ];
        let n_bytes = into.remaining().min(FIRST_READ);
        let mut buffer = ReadBuf::uninit(&mut bytes[..n_bytes]);
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer.unfilled()));
        if buffer.filled().is_empty() && (self.is_crossed() || self.is_lost()) {
            return Poll::Ready(Err(stale()));
        }
        self.awaiting = buffer.filled().is_empty();
        into.put_slice(buffer.filled());
        Poll::Ready(read)
    }
}

/// Whether a head, or its beginning, names the type of streams.
fn asks_for_stream(head: &[u8]) -> bool {
    wire::scan::contains(&head[..head.len().min(LONGEST_HEAD)], b"text/event-stream")
}

fn stale() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, Stale)
}

impl Connection for Checked {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl Read for Checked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.awaiting {
            return self.poll_first_read(cx, into);
        }
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl Write for Checked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.before_write(bytes)?;
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes));
        Poll::Ready(self.after_write(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty()) {
            self.before_write(first)?;
        }
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices));
        Poll::Ready(self.after_write(written))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    const REQUEST: &[u8] = b"POST /v1/chat/completions HTTP/1.1\r\n\r\n";

    async fn connected() -> (Checked, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(addr), listener.accept());
        let client = TokioIo::new(Metered::new(client.unwrap(), None));
        (Checked::new(MaybeHttpsStream::Http(client), true), server.unwrap().0)
    }

    async fn write(checked: &mut Checked) -> io::Result<usize> {
        poll_fn(|cx| Pin::new(&mut *checked).poll_write(cx, REQUEST)).await
    }

    async fn read(checked: &mut Checked) -> io::Result<usize> {
        let mut bytes = [0; 64];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|cx| Pin::new(&mut *checked).poll_read(cx, buffer.unfilled())).await?;
        Ok(buffer.filled().len())
    }

    #[track_caller]
    fn assert_stale(result: io::Result<usize>) {
        let error = result.unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Stale>()), "{error}");
    }

    #[tokio::test]
    async fn a_close_before_the_write_is_stale_and_nothing_is_written() {
        let (mut checked, server) = connected().await;
        drop(server);
        checked.socket().readable().await.unwrap();
        assert_stale(write(&mut checked).await);
        assert_eq!(checked.n_written, 0);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_close_between_the_look_and_the_write_is_stale() {
        let (mut checked, server) = connected().await;
        drop(server);
        checked.socket().readable().await.unwrap();
        // As if the look had been just before the close.
        checked.awaiting = true;
        assert_eq!(write(&mut checked).await.unwrap(), REQUEST.len());
        assert_stale(read(&mut checked).await);
    }

    #[tokio::test]
    async fn a_connection_kept_after_a_stream_that_ends_at_once_is_stale() {
        for (streamed, is_stale) in [(true, true), (false, false)] {
            let (mut checked, mut server) = connected().await;
            (checked.reused, checked.streamed) = (true, streamed);
            write(&mut checked).await.unwrap();
            server.read_exact(&mut [0; REQUEST.len()]).await.unwrap();
            drop(server);
            match read(&mut checked).await {
                Ok(n_bytes) => assert!(n_bytes == 0 && !is_stale, "an end of file as it is"),
                error => assert_stale(error),
            }
        }
    }

    #[tokio::test]
    async fn a_connection_kept_after_a_stream_that_ends_later_is_not_stale() {
        let (mut checked, mut server) = connected().await;
        (checked.reused, checked.streamed) = (true, true);
        write(&mut checked).await.unwrap();
        server.read_exact(&mut [0; REQUEST.len()]).await.unwrap();
        drop(server);
        checked.after_stream = Instant::now().checked_sub(CROSSING);
        assert_eq!(read(&mut checked).await.unwrap(), 0, "an end of file as it is");
    }

    #[tokio::test]
    async fn a_close_after_the_request_was_read_is_not_stale() {
        let (mut checked, mut server) = connected().await;
        write(&mut checked).await.unwrap();
        server.read_exact(&mut [0; REQUEST.len()]).await.unwrap();
        drop(server);
        assert_eq!(read(&mut checked).await.unwrap(), 0, "an end of file as it is");
    }

    #[tokio::test]
    async fn a_close_after_the_answer_began_is_not_stale() {
        let (mut checked, server) = connected().await;
        write(&mut checked).await.unwrap();
        server.writable().await.unwrap();
        server.try_write(b"HTTP/1.1 ").unwrap();
        assert_eq!(read(&mut checked).await.unwrap(), 9);
        drop(server);
        assert!(read(&mut checked).await.is_err_and(|error| error.get_ref().is_none()), "a reset as it is");
    }
}
