//! The ledger of connections, in the journal.

use std::sync::atomic::{AtomicU64, Ordering};

use store::Journal;
use wire::record::{ConnectionRecord, Record};

use crate::counters::add;

/// Writes every connection to the journal. Nobody waits for it: what the journal does not take is counted.
pub struct JournalLedger {
    journal: Journal,
    n_lost: AtomicU64,
}

impl JournalLedger {
    /// The ledger in this journal.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self { journal, n_lost: AtomicU64::new(0) }
    }

    /// Entries the journal did not take.
    #[must_use]
    pub fn n_lost(&self) -> u64 {
        self.n_lost.load(Ordering::Relaxed)
    }
}

impl providers::Ledger for JournalLedger {
    fn write(&self, connection: ConnectionRecord) {
        if self.journal.submit(&Record::Connection(connection)).is_err() {
            add(&self.n_lost, 1);
        }
    }
}
