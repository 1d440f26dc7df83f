//! Making a database refuse every write at once, for drills: what a file that turned read-only does, said by SQLite itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

/// Common to all connections of one drill. Off until it is switched on; connections heed it before every transaction.
#[derive(Debug, Clone, Default)]
pub struct Refusing(Arc<AtomicBool>);

impl Refusing {
    /// Writes are refused from now on, or taken again.
    pub fn switch(&self, on: bool) {
        self.0.store(on, Ordering::Release);
    }

    /// `SQLITE_READONLY` for every write of this connection, or no more. A full disk says `SQLITE_FULL` as soon; nobody tells them apart.
    pub(crate) fn heed(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "query_only", self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;

    #[test]
    fn a_database_that_refuses_says_read_only_at_once_and_takes_writes_again() {
        let dir = tempfile::tempdir().unwrap();
        let refusing = Refusing::default();
        let database = Database::open_refusing(dir.path().join("c.db"), &refusing).unwrap();
        database.probe().unwrap();
        refusing.switch(true);
        // Without a rollout the probe has nothing to change: the audit has.
        let audit = || {
            let (actor, action, subject) = ("ana".to_owned(), "drill".to_owned(), "rollout:r".to_owned());
            let (reason, detail_json) = (String::new(), "{}".to_owned());
            database.note(&crate::AuditRow { at_us: 1, actor, action, subject, reason, detail_json })
        };
        let error = audit().unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("readonly"), "{source}");
        refusing.switch(false);
        audit().unwrap();
        assert_eq!(database.audit(None).unwrap().len(), 1);
    }
}
