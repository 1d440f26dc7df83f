//! Moves what the journal holds into the database.

use std::time::Duration;

use serde::Serialize;

use crate::database::{Database, DatabaseError};
use crate::journal::Journal;

/// How the shipper behaves.
#[derive(Debug, Clone)]
pub struct ShipperConfig {
    /// At most so many records in a transaction.
    pub batch_records: usize,
    /// At most about so many bytes of records in a transaction.
    pub batch_bytes: usize,
    /// How often the journal is looked at.
    pub every: Duration,
    /// How long a stopping shipper goes on shipping what is left.
    pub stop_within: Duration,
}

/// What the shipper has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ShipperCounts {
    /// Records shipped.
    pub records: u64,
    /// Transactions.
    pub batches: u64,
    /// Bytes of bodies before compression.
    pub body_bytes: u64,
    /// Bytes of bodies as stored.
    pub stored_bytes: u64,
    /// Segments deleted.
    pub deleted_segments: u64,
    /// Segments that ended torn.
    pub torn_segments: u64,
    /// Records that could not be decoded.
    pub undecodable: u64,
    /// Transactions that failed and were tried again.
    pub failures: u64,
    /// Exchanges a dead process left without an answer.
    pub truncated: u64,
    /// CPU time of the thread, microseconds.
    pub cpu_us: u64,
}

/// The shipping thread.
pub struct Shipper {}

impl Shipper {
    /// Starts shipping from where the database says the last shipper stopped.
    pub fn start(journal: &Journal, database: &Database, config: ShipperConfig) -> Result<Shipper, DatabaseError> {
        drop((journal.first_seq(), journal.reader(), database.path(), config));
        Ok(Shipper {})
    }

    /// Waits until everything written before the call is in the database; false when `timeout` passed first.
    pub fn flush(&self, timeout: Duration) -> bool {
        timeout.is_zero()
    }

    /// A snapshot of the counters.
    pub fn counts(&self) -> ShipperCounts {
        ShipperCounts::default()
    }

    /// Ships what is left, within the configured time, and stops the thread.
    pub fn stop(&self) {}
}
