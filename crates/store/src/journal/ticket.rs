//! What a request waits on: the promise that its record is safe.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use super::queue::{Shared, lock};
use super::{Mode, writer};

/// Resolves when the record is as safe as the journal's mode promises.
///
/// Dropping a ticket gives up waiting, not the record.
#[must_use = "a record is not safe before its ticket resolves"]
pub struct Ticket {
    /// `None` when there is nothing to wait for.
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) seq: u64,
    pub(super) registered: bool,
}

/// The record is not safe: the caller must not be told that its exchange is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal could not be written: {kind}")]
pub struct WriteError {
    /// What kind of error the disk gave.
    pub kind: io::ErrorKind,
}

impl Ticket {
    pub(super) fn resolved() -> Ticket {
        Ticket { shared: None, seq: 0, registered: false }
    }

    /// Waits for the record to be safe; no task is parked when it already is.
    pub async fn wait(self) -> Result<(), WriteError> {
        self.await
    }

    /// Writes the record on this thread if that can be done at once: for a caller that has nothing else to do than to wait
    /// for it. The disk may hold up this thread until a write has shown it to be slow; the writer thread then writes alone for a while.
    pub fn write_here(&self) {
        if let Some(shared) = &self.shared
            && shared.mode == Mode::Durable
            && self.peek().is_none()
        {
            writer::write_here(shared);
        }
    }

    /// Waits on a thread without a runtime.
    pub fn wait_blocking(self) -> Result<(), WriteError> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut ticket = std::pin::pin!(self);
        loop {
            match ticket.as_mut().poll(&mut context) {
                Poll::Ready(result) => return result,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    /// The result, if it is known already.
    pub fn peek(&self) -> Option<Result<(), WriteError>> {
        match &self.shared {
            None => Some(Ok(())),
            Some(shared) if shared.watermark().load(Ordering::Acquire) >= self.seq => Some(shared.verdict(self.seq)),
            Some(_) => None,
        }
    }
}

impl Future for Ticket {
    type Output = Result<(), WriteError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.peek() {
            self.registered = false;
            return Poll::Ready(result);
        }
        if let Some(shared) = self.shared.clone() {
            let mut waiters = lock(&shared.waiters);
            // Looked at again under the lock: the writer moves the watermark first and takes the lock after.
            if let Some(result) = self.peek() {
                drop(waiters);
                return Poll::Ready(result);
            }
            let known = if self.registered { waiters.iter_mut().find(|waiter| waiter.seq == self.seq) } else { None };
            match known {
                Some(waiter) => waiter.waker.clone_from(context.waker()),
                None => waiters.push_back(Waiter { seq: self.seq, waker: context.waker().clone() }),
            }
            drop(waiters);
            if !self.registered {
                shared.hurry();
            }
            self.registered = true;
        }
        Poll::Pending
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.registered
            && let Some(shared) = &self.shared
        {
            let mut waiters = lock(&shared.waiters);
            if let Some(idx) = waiters.iter().position(|waiter| waiter.seq == self.seq) {
                waiters.remove(idx);
            }
        }
    }
}

/// One parked ticket.
pub(super) struct Waiter {
    pub(super) seq: u64,
    pub(super) waker: Waker,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
