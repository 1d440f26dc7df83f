//! A scripted upstream on a real socket: the fake at the outer wall of every test.
//!
//! It speaks just enough HTTP/1.1 over raw TCP to tell every lie an upstream tells: it hangs, stalls, cuts, resets,
//! sends wrong lengths and promises a keep-alive that it does not keep. It runs on its own thread, so that a test
//! with paused time or without a runtime can use it. It records every request, and when the client went away.
//!
//! ```ignore
//! let upstream = Upstream::start(vec![Script::json(r#"{"ok":true}"#), Script::silent()]);   // the last one repeats
//! let base_url = upstream.url();                                                            // http://127.0.0.1:<port>
//! let first = &upstream.wait_for(1, Duration::from_secs(1))[0];
//! ```
#![expect(clippy::expect_used, reason = "a tool of tests: a socket that cannot be had must stop the test")]

pub mod batching;
pub mod metronome;
mod sample;
mod script;
mod serve;
pub mod vendor;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use sample::{chat_completion, chat_stream};
pub use script::{After, Cut, Framing, Hang, Script};

/// A request as the upstream saw it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which TCP connection it came on, counted from 0.
    pub connection: usize,
    /// Its place on that connection, counted from 0.
    pub nth: usize,
    /// The method, `POST`.
    pub method: String,
    /// The path with its query, `/v1/chat/completions`.
    pub path: String,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// When the whole request had been read.
    pub at: Instant,
    /// When the last byte of a whole answer was written.
    pub answered: Option<Instant>,
    /// When the client was seen to be gone before the whole answer was written, and how.
    pub disconnected: Option<(Instant, Cut)>,
}

impl Received {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, for assertions.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection as the upstream saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The other end of it.
    pub peer: SocketAddr,
    /// Bytes read from it so far.
    pub bytes_read: u64,
    /// Bytes written to it so far, in writes that were not cut short.
    pub bytes_written: u64,
}

/// The upstream. It stops when it is dropped: every connection is closed, the port is free.
pub struct Upstream {
    addr: SocketAddr,
    log: Arc<Log>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Upstream {
    /// Plays the scripts in order, one per request over all connections; the last one repeats.
    pub fn start(scripts: Vec<Script>) -> Self {
        let next = Mutex::new(scripts.into_iter().peekable());
        let last: Mutex<Option<Script>> = Mutex::new(None);
        Self::with(move |_: &Received| {
            let mut next = locked(&next);
            let mut last = locked(&last);
            if let Some(script) = next.next() {
                *last = Some(script);
            }
            last.clone().unwrap_or_else(|| Script::status(500))
        })
    }

    /// Asks a closure what to do with each request.
    pub fn with(handler: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let addr = listener.local_addr().expect("the listener has an address");
        listener.set_nonblocking(true).expect("the listener can be non-blocking");
        let log = Arc::new(Log::default());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let seen = Arc::clone(&log);
        // Made here, so that whoever counts this process's descriptors afterwards counts these too.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let thread = std::thread::Builder::new()
            .name("scripted-upstream".to_owned())
            .spawn(move || serve::run(&runtime, listener, Arc::new(handler), seen, stopped))
            .expect("a thread for the upstream");
        Self { addr, log, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:<port>`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Everything received so far, in order of arrival.
    pub fn requests(&self) -> Vec<Received> {
        locked(&self.log.received).clone()
    }

    /// How many TCP connections were accepted so far.
    pub fn n_connections(&self) -> usize {
        locked(&self.log.accepted).len()
    }

    /// Every TCP connection that was accepted so far, in order.
    pub fn connections(&self) -> Vec<Accepted> {
        locked(&self.log.accepted).clone()
    }

    /// Waits (blocking this thread) until the log satisfies `done` and returns it; returns what there is at the end
    /// of `patience`, for the assertion to fail on. In an async test, wrap it in `spawn_blocking`, or use
    /// [`Upstream::until`].
    pub fn wait_until(&self, patience: Duration, done: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let received = locked(&self.log.received);
        let (received, _) = self
            .log
            .changed
            .wait_timeout_while(received, patience, |received| !done(received))
            .unwrap_or_else(PoisonError::into_inner);
        received.clone()
    }

    /// Waits (blocking this thread) for `n` requests.
    pub fn wait_for(&self, n: usize, patience: Duration) -> Vec<Received> {
        self.wait_until(patience, |received| received.len() >= n)
    }

    /// As [`Upstream::wait_until`], for async tests on a runtime whose other tasks must go on. Real time, not paused.
    pub async fn until(&self, patience: Duration, done: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + patience;
        loop {
            let received = self.requests();
            if done(&received) || Instant::now() >= deadline {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[derive(Default)]
struct Log {
    received: Mutex<Vec<Received>>,
    accepted: Mutex<Vec<Accepted>>,
    changed: Condvar,
}

impl Log {
    fn push(&self, received: Received) -> usize {
        let mut all = locked(&self.received);
        all.push(received);
        self.changed.notify_all();
        all.len() - 1
    }

    fn count(&self, connection: usize, change: impl FnOnce(&mut Accepted)) {
        change(&mut locked(&self.accepted)[connection]);
    }

    fn update(&self, idx: usize, change: impl FnOnce(&mut Received)) {
        change(&mut locked(&self.received)[idx]);
        self.changed.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
