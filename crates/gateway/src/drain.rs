//! How a shutdown proceeds. The phase only ever moves forward: readiness goes off, then the door closes, then what is left is
//! cut with an error that says why.

use std::cell::{Cell, RefCell};
use std::task::Waker;

/// Where the process is between serving and gone. Ordered: a later phase includes the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Requests are served.
    Serving,
    /// Still serving, but `/ready` says no and answers ask the caller to connect elsewhere.
    Unready,
    /// No new connection is accepted; requests under way finish.
    Closing,
    /// Requests still under way end with an error.
    Cutting,
    /// Connections that are left are dropped.
    Stopped,
}

/// One worker's view of the phase, and the connections that must hear of a change.
///
/// A connection is one task: waking it polls its request too, so nothing else has to be told.
#[derive(Debug)]
pub(crate) struct LocalPhase {
    phase: Cell<Phase>,
    connections: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

impl LocalPhase {
    pub(crate) fn new() -> Self {
        Self { phase: Cell::new(Phase::Serving), connections: RefCell::default(), free: RefCell::default() }
    }

    pub(crate) fn get(&self) -> Phase {
        self.phase.get()
    }

    /// Moves on and wakes every connection.
    pub(crate) fn advance(&self, phase: Phase) {
        if phase > self.phase.get() {
            self.phase.set(phase);
            for waker in self.connections.borrow().iter().flatten() {
                waker.wake_by_ref();
            }
        }
    }

    /// A place for one connection's waker, given back by [`LocalPhase::leave`].
    pub(crate) fn enter(&self) -> usize {
        if let Some(seat) = self.free.borrow_mut().pop() {
            return seat;
        }
        let mut connections = self.connections.borrow_mut();
        connections.push(None);
        connections.len() - 1
    }

    /// Remembers whom to wake. Cheap when it is the same task as last time.
    pub(crate) fn remember(&self, seat: usize, waker: &Waker) {
        if let Some(kept) = self.connections.borrow_mut().get_mut(seat) {
            match kept {
                Some(kept) => kept.clone_from(waker),
                None => *kept = Some(waker.clone()),
            }
        }
    }

    pub(crate) fn leave(&self, seat: usize) {
        if let Some(kept) = self.connections.borrow_mut().get_mut(seat) {
            *kept = None;
        }
        self.free.borrow_mut().push(seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_never_goes_back() {
        let phase = LocalPhase::new();
        phase.advance(Phase::Cutting);
        phase.advance(Phase::Unready);
        assert_eq!(phase.get(), Phase::Cutting);
    }

    #[test]
    fn a_seat_is_used_again_after_its_connection_left() {
        let phase = LocalPhase::new();
        let first = phase.enter();
        assert_ne!(phase.enter(), first);
        phase.leave(first);
        assert_eq!(phase.enter(), first);
    }
}
