//! A caller's socket with the patience of the listener: a header that does not arrive, an idle connection and an answer that
//! is not read all end in a timeout, at the cost of one timer per connection and none per request.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::snapshot::Limits;

/// How long a connection may stay open between two requests. Longer than the keep-alive of common clients, so that they
/// close first and no request meets a closing socket.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// What one connection is doing, shared by its socket and its requests.
#[derive(Debug)]
pub(crate) struct Activity {
    doing: Cell<Doing>,
    deadline: Cell<Instant>,
    /// An answer under way has no end but that of the connection: until it is whole, the connection must not end in order.
    unfinished: Cell<bool>,
    header_timeout: Duration,
    write_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Between requests; nothing of the next one has arrived.
    Idle,
    /// The head of a request is arriving.
    Head,
    /// A request is being served: its own timers apply.
    Request,
}

/// Held by a request from its head to the end of its answer.
#[derive(Debug)]
pub(crate) struct Busy(Rc<Activity>);

impl Activity {
    pub(crate) fn new(limits: &Limits) -> Rc<Self> {
        Rc::new(Self {
            doing: Cell::new(Doing::Idle),
            deadline: Cell::new(Instant::now() + limits.header_timeout),
            unfinished: Cell::new(false),
            header_timeout: limits.header_timeout,
            write_timeout: limits.write_timeout,
        })
    }

    pub(crate) fn begin_request(self: &Rc<Self>) -> Busy {
        self.doing.set(Doing::Request);
        Busy(Rc::clone(self))
    }

    fn bytes_arrived(&self) {
        if self.doing.get() == Doing::Idle {
            self.doing.set(Doing::Head);
            self.deadline.set(Instant::now() + self.header_timeout);
        }
    }
}

impl Busy {
    /// The answer ends with its connection (HTTP/1.0 has no chunks): a cut one is then told by a reset.
    pub(crate) fn ends_with_connection(&self) {
        self.0.unfinished.set(true);
    }

    /// The answer came to its proper end.
    pub(crate) fn answer_is_whole(&self) {
        self.0.unfinished.set(false);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.doing.set(Doing::Idle);
        self.0.deadline.set(Instant::now() + KEEP_ALIVE);
    }
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    activity: Rc<Activity>,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, activity: Rc<Activity>) -> Self {
        Self { tcp, activity, read_timer: None, write_timer: None }
    }

    /// Ready when the connection was idle, or a head incomplete, for too long.
    ///
    /// The timer is moved only when it fires early or would fire late, so that a busy connection leaves it alone.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.activity.doing.get() == Doing::Request {
            return Poll::Pending;
        }
        let deadline = self.activity.deadline.get();
        let timer = self.read_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }

    /// What to make of a write: progress clears the timer, none for too long is an error.
    fn judge_write(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_timer = None;
            return written;
        }
        let patience = self.activity.write_timeout;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the caller does not read its answer")))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.activity.unfinished.get()
            && let Err(error) = self.tcp.set_zero_linger()
        {
            tracing::debug!(%error, "a cut answer looks like a whole one to its caller");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut socket.tcp).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > before {
                    socket.activity.bytes_arrived();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(socket.poll_patience(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no complete request head in time")))
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.tcp).poll_write(cx, buf);
        socket.judge_write(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.tcp).poll_write_vectored(cx, bufs);
        socket.judge_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        // The orderly end that a cut answer must not have; dropping the socket resets it.
        if socket.activity.unfinished.get() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut socket.tcp).poll_shutdown(cx)
    }
}
