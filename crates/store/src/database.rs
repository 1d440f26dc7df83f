//! The SQLite database: what the shipper brings, what the controller decides, and the questions asked of both.

mod alerts;
mod benches;
mod blind;
mod calls;
mod checks;
mod control;
mod costs;
mod datasets;
mod dump;
mod egress;
mod epoch;
mod evals;
mod exchanges;
mod feedback;
mod filed;
mod inventories;
mod keys;
mod pairs;
mod panels;
mod prompts;
#[cfg(test)]
mod questions;
mod refusing;
mod replay;
mod requests;
mod retention;
mod rows;
mod schema;
mod shadow;
#[cfg(test)]
mod tests;
mod traffic;
mod vector_runs;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use alerts::{AlertDetail, AlertRow, DeliveryRow, ProbeRow, Tried, WebhookState};
pub use benches::{BenchLine, BenchRow, RUNNING};
pub use blind::{BlindAssignedRow, BlindPairRow, BlindPlanRow, BlindVerdict, Took};
pub use calls::CallRow;
pub(crate) use checks::insert_checks;
pub use checks::{CheckRow, ReferralRow, ReviewRow, VerdictSums};
pub use control::{CommitError, Held};
pub use datasets::DatasetRow;
pub use egress::CallSums;
pub(crate) use egress::insert_connections;
pub use epoch::EpochOutcome;
pub use evals::{AnsweredRow, ClaimedBlock, EvalRunRow, EvalWriter, ScoredRow};
pub use feedback::{EXTERNAL_METRIC, EpochSignal, FEEDBACK_METRIC, FeedbackRow, Judged, JudgedPlace, UnitOutcomeRow};
pub(crate) use feedback::{insert_feedback, insert_unit_outcomes};
pub use filed::FiledRow;
pub use inventories::InventoryRow;
pub use keys::{AuditRow, KeyChangeError, KeyRow, SecretRow, SpendRow};
pub use panels::{PanelItemRow, PanelJudgedRow, PanelPairRow, PanelRow, ShownRow};
pub use prompts::{PromptLabelRow, PromptRow};
pub use refusing::Refusing;
pub use replay::PrunedInputs;
pub use requests::RequestRow;
pub use retention::{KeptFor, Part, Pruned, Pruner, StoreSize, Turn};
pub use rows::{
    ArmCost, AttemptRow, Beside, BodyKind, BodyRow, CopyBody, CostRow, CountedRow, Counts, EvidenceRow, ExchangeDetail,
    ExchangeFilter, ExchangeRow, GapRow, InputsRow, Measured, OutcomeRow, PairCounts, PairRow, RolloutRow, SeenUnit,
    TargetCost, TransitionRow,
};
pub use shadow::{BothCopied, ComparedRow, CopySpend, DeferredCounts, DeferredRow};
pub(crate) use shadow::{insert_drawn, insert_pairs};
pub use traffic::{Lateness, RequestShape, RouteTraffic};
pub use vector_runs::VectorRunRow;

/// How long a control transaction waits for another writer.
const CONTROL_WAIT: Duration = Duration::from_secs(5);
/// How long a question waits: readers do not block in WAL, only a recovery does.
const READ_WAIT: Duration = Duration::from_secs(5);

/// An open database. Questions and control transactions use connections of their own, so neither waits for the other.
pub struct Database {
    path: PathBuf,
    control: Option<Mutex<Connection>>,
    read: Mutex<Connection>,
    /// In a drill: whether writes are refused.
    refusing: Option<Refusing>,
}

/// The database failed, or holds what it should not.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It could not be opened.
    #[error("database {path} cannot be opened", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer version wrote it, or an older one that nobody brought up to date yet.
    #[error(
        "database {path} has schema version {found}; this program knows {known}{hint}", path = path.display(),
        hint = if found < known { " and brings it up to date when `crossfade serve` opens it" } else { "" }
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Its tables are not those of its version.
    #[error(
        "database {path} is not as this program makes it: `{name}` differs; move the file away, or use the build that made it",
        path = path.display()
    )]
    Tables {
        /// The file.
        path: PathBuf,
        /// The first table, index or trigger that is not there or is another.
        name: String,
    },
    /// A statement failed.
    #[error("database failed: {what}")]
    Statement {
        /// What was being done.
        what: &'static str,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A body could not be uncompressed.
    #[error("a stored body cannot be read")]
    Body(#[source] std::io::Error),
    /// The database was opened for reading only.
    #[error("the database was opened for reading only")]
    ReadOnly,
}

impl Database {
    /// Opens the database, creating it and bringing its schema up to date.
    pub fn open(path: impl AsRef<Path>) -> Result<Database, DatabaseError> {
        let path = path.as_ref().to_path_buf();
        let control = writable(&path, "FULL", CONTROL_WAIT)?;
        schema::migrate(&control, &path)?;
        let read = readable(&path)?;
        Ok(Database { path, control: Some(Mutex::new(control)), read: Mutex::new(read), refusing: None })
    }

    /// Opens it for a drill: while `refusing` is switched on, every write is refused.
    pub fn open_refusing(path: impl AsRef<Path>, refusing: &Refusing) -> Result<Database, DatabaseError> {
        Ok(Database { refusing: Some(refusing.clone()), ..Database::open(path)? })
    }

    /// What decides whether writes are refused, in a drill.
    pub(crate) fn refusing(&self) -> Option<Refusing> {
        self.refusing.clone()
    }

    /// Opens an existing database for questions only; a gateway may be running on it.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Database, DatabaseError> {
        let path = path.as_ref().to_path_buf();
        let read = readable(&path)?;
        schema::check(&read, &path)?;
        Ok(Database { path, control: None, read: Mutex::new(read), refusing: None })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn reading(&self) -> MutexGuard<'_, Connection> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn controlling(&self) -> Result<MutexGuard<'_, Connection>, DatabaseError> {
        let control = self.control.as_ref().ok_or(DatabaseError::ReadOnly)?;
        let control = control.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusing) = &self.refusing {
            refusing.heed(&control).map_err(during("heeding a drill"))?;
        }
        Ok(control)
    }
}

/// A connection that writes.
pub(crate) fn writable(path: &Path, synchronous: &str, wait: Duration) -> Result<Connection, DatabaseError> {
    let open = |source| DatabaseError::Open { path: path.to_path_buf(), source };
    crate::private::make_file(path);
    let connection = Connection::open(path).map_err(open)?;
    connection.busy_timeout(wait).map_err(open)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    connection.pragma_update(None, "synchronous", synchronous).map_err(open)?;
    // Without it INSERT OR REPLACE would delete audit rows behind the trigger's back.
    connection.pragma_update(None, "recursive_triggers", true).map_err(open)?;
    Ok(connection)
}

fn readable(path: &Path) -> Result<Connection, DatabaseError> {
    let open = |source| DatabaseError::Open { path: path.to_path_buf(), source };
    // WAL readers need the shared memory file, so the file itself is opened for writing where possible.
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)
        .or_else(|_| Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_READ_ONLY))
        .map_err(open)?;
    connection.busy_timeout(READ_WAIT).map_err(open)?;
    connection.pragma_update(None, "query_only", true).map_err(open)?;
    Ok(connection)
}

/// Names what was being done when a statement failed.
pub(crate) fn during(what: &'static str) -> impl Fn(rusqlite::Error) -> DatabaseError {
    move |source| DatabaseError::Statement { what, source }
}

/// SQLite's integers are signed: the same 64 bits.
#[expect(clippy::cast_possible_wrap, reason = "the bits are kept and read back by `unsigned`")]
pub(crate) fn signed(value: u64) -> i64 {
    value as i64
}

/// The 64 bits of a stored integer.
#[expect(clippy::cast_sign_loss, reason = "the bits were stored by `signed`")]
pub(crate) fn unsigned(value: i64) -> u64 {
    value as u64
}
