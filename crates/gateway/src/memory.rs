//! How many bytes of bodies the process holds at once: the requests being read or served, and the answers that are held back
//! as a whole. One number for all workers, so that many large bodies at once are refused instead of ending the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use wire::failure::{Failure, FailureKind};

use crate::snapshot::Limits;

/// The bytes held by all workers.
#[derive(Debug, Default)]
pub(crate) struct Bodies(AtomicUsize);

impl Bodies {
    /// Whether a body of this length would fit now. Nothing is taken: who announces a body may never send it.
    pub(crate) fn has_room(&self, n_bytes: u64, limits: &Limits) -> bool {
        let left = bound(limits).saturating_sub(self.0.load(Ordering::Relaxed));
        n_bytes <= left as u64
    }
}

/// One body's part of them, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bodies: Arc<Bodies>,
    n_bytes: usize,
}

impl Held {
    pub(crate) fn nothing(bodies: &Arc<Bodies>) -> Self {
        Self { bodies: Arc::clone(bodies), n_bytes: 0 }
    }

    /// Holds this much more, when there is room for it.
    pub(crate) fn grow(&mut self, n_bytes: usize, limits: &Limits) -> Result<(), Failure> {
        let before = self.bodies.0.fetch_add(n_bytes, Ordering::Relaxed);
        self.n_bytes += n_bytes;
        if before.saturating_add(n_bytes) <= bound(limits) {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Capacity, format!("{before} bytes of bodies are held already")))
    }

    /// The body, which is counted for as long as any part of it is used.
    pub(crate) fn keep(self, body: Bytes) -> Bytes {
        if self.n_bytes == 0 { body } else { Bytes::from_owner(Counted { body, _held: self }) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bodies.0.fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

struct Counted {
    body: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// One request of the largest size is always possible.
fn bound(limits: &Limits) -> usize {
    limits.max_bodies.max(limits.max_body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back_with_the_last_part_of_the_body() {
        let limits = Limits { max_body: 10, max_bodies: 100, ..Limits::default() };
        let bodies = Arc::new(Bodies::default());
        let mut first = Held::nothing(&bodies);
        first.grow(60, &limits).unwrap();
        first.grow(30, &limits).unwrap();
        assert!(bodies.has_room(10, &limits) && !bodies.has_room(11, &limits));
        let mut second = Held::nothing(&bodies);
        assert_eq!(second.grow(11, &limits).unwrap_err().kind, FailureKind::Capacity);
        drop(second);
        let body = first.keep(Bytes::from_static(b"body"));
        let part = body.slice(1..2);
        drop(body);
        assert!(!bodies.has_room(11, &limits));
        drop(part);
        assert!(bodies.has_room(100, &limits));
    }
}
