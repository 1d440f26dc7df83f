//! What copies hold in memory: as much as their requests and answers are long, within a bound that they share. A copy begins with room
//! for its request and a short answer, and takes more as the answer comes. Where there is no more the copy goes on: its answer is read
//! and counted, and no longer kept.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of an answer that there is room for from the beginning: most answers are not longer.
const SHORT_ANSWER: usize = 8 << 10;

/// A bound on what several copies hold together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    held: Arc<AtomicUsize>,
    most: usize,
}

impl Pool {
    pub(crate) fn new(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    /// The same bytes under another bound.
    pub(super) fn within(&self, most: usize) -> Self {
        Self { held: Arc::clone(&self.held), most }
    }

    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Room for this much, when there is.
    pub(super) fn take(&self, n_bytes: usize) -> Option<Room> {
        let mut room = Room { pools: Vec::with_capacity(2), n_bytes };
        room.also_of(self.clone()).then_some(room)
    }

    fn add(&self, n_bytes: usize) -> bool {
        let add = |held: usize| held.checked_add(n_bytes).filter(|sum| *sum <= self.most);
        self.held.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add).is_ok()
    }

    fn give_back(&self, n_bytes: usize) {
        self.held.fetch_sub(n_bytes, Ordering::AcqRel);
    }
}

/// Bytes held, of each of its pools; given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pools: Vec<Pool>,
    n_bytes: usize,
}

impl Room {
    /// Holds what it holds of this pool, too, when there is room for it.
    pub(super) fn also_of(&mut self, pool: Pool) -> bool {
        let has_room = pool.add(self.n_bytes);
        if has_room {
            self.pools.push(pool);
        }
        has_room
    }

    pub(super) const fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Room of the same pools that holds nothing yet.
    fn beside(&self) -> Self {
        Self { pools: self.pools.clone(), n_bytes: 0 }
    }

    /// Holds this much more, of all pools or of none.
    fn grow(&mut self, n_bytes: usize) -> bool {
        let n_grown = self.pools.iter().take_while(|pool| pool.add(n_bytes)).count();
        let has_room = n_grown == self.pools.len();
        if has_room {
            self.n_bytes += n_bytes;
        } else {
            self.pools[..n_grown].iter().for_each(|pool| pool.give_back(n_bytes));
        }
        has_room
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.pools.iter().for_each(|pool| pool.give_back(self.n_bytes));
    }
}

/// What a copy holds from its beginning: its request, and a short answer or two.
pub(super) fn at_first(n_request: usize, n_answers: usize, max_answer: usize) -> usize {
    n_request + n_answers * 2 * SHORT_ANSWER.min(max_answer)
}

/// Room for one answer as it comes: for what is kept of it, and for as much again to make sense of it with.
#[derive(Debug)]
pub(crate) struct AnswerRoom {
    room: RefCell<Room>,
    limit: usize,
    /// Bytes of the answer that there is room for.
    covered: Cell<usize>,
    is_full: Cell<bool>,
}

impl AnswerRoom {
    /// For the answer to a copy that holds `copy`, of which `limit` bytes are kept at most.
    pub(super) fn beside(copy: Option<&Room>, limit: usize) -> Self {
        let room = RefCell::new(copy.map(Room::beside).unwrap_or_default());
        Self { room, limit, covered: Cell::new(SHORT_ANSWER.min(limit)), is_full: Cell::new(false) }
    }

    /// This many bytes have come. Whether there is room for as many of them as are kept.
    pub(crate) fn cover(&self, n_bytes: u64) -> bool {
        if self.is_full.get() {
            return false;
        }
        let needed = usize::try_from(n_bytes).unwrap_or(usize::MAX).min(self.limit);
        let covered = self.covered.get();
        if needed > covered {
            // Doubled, so that a long answer asks seldom.
            let more = needed.max(covered * 2).min(self.limit);
            let has_room = self.room.borrow_mut().grow(2 * (more - covered));
            if has_room {
                self.covered.set(more)
            } else {
                self.is_full.set(true)
            }
            return has_room;
        }
        true
    }

    /// Bytes of the answer that there is room for.
    pub(crate) fn covered(&self) -> usize {
        self.covered.get()
    }

    /// Whether more came than there was room for.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.get()
    }

    /// What it holds.
    pub(super) fn take(&self) -> Room {
        std::mem::take(&mut self.room.borrow_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_holds_what_it_needs_and_gives_it_back() {
        let (all, own) = (Pool::new(100_000), Pool::new(90_000));
        let mut room = all.take(at_first(1_000, 1, 64 << 10)).unwrap();
        assert_eq!(all.held(), 1_000 + 2 * SHORT_ANSWER);
        assert!(room.also_of(own.clone()));
        let answer = AnswerRoom::beside(Some(&room), 64 << 10);
        assert!(answer.cover(1) && answer.cover(8 << 10));
        assert_eq!((all.held(), answer.covered()), (17_384, 8 << 10), "a short answer has its room");
        assert!(answer.cover((8 << 10) + 1));
        assert_eq!((all.held(), own.held()), (33_768, 33_768), "twice its length, of both");
        let kept = answer.take();
        drop((room, answer));
        assert_eq!(all.held(), 16_384, "what is still compared is still held");
        drop(kept);
        assert_eq!((all.held(), own.held()), (0, 0));
    }

    #[test]
    fn an_answer_without_room_is_no_longer_kept_and_nothing_goes_beyond_the_bound() {
        let (all, own) = (Pool::new(1 << 20), Pool::new(40_000));
        let mut room = all.take(at_first(1_000, 1, 64 << 10)).unwrap();
        assert!(room.also_of(own.within(40_000)));
        let answer = AnswerRoom::beside(Some(&room), 64 << 10);
        assert!(answer.cover(9_000) && !answer.cover(30_000));
        assert!(answer.is_full() && !answer.cover(9_000), "also when there is room again");
        assert_eq!((all.held(), own.held()), (33_768, 33_768), "of all pools or of none");
        assert!(!all.take(1 << 20).is_some_and(|_| true), "more than is left");
    }

    #[test]
    fn no_more_than_the_limit_is_ever_held_for_an_answer() {
        let all = Pool::new(1 << 30);
        let room = all.take(at_first(0, 2, 20_000)).unwrap();
        let answer = AnswerRoom::beside(Some(&room), 20_000);
        assert!(answer.cover(u64::MAX));
        assert_eq!((answer.covered(), all.held()), (20_000, 4 * SHORT_ANSWER + 2 * (20_000 - SHORT_ANSWER)));
        assert_eq!(at_first(5, 1, 100), 205, "nor a short one, where less is kept");
    }
}
