//! Inventories and replacement matrices that were filed.

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::control::begin;
use super::keys::{AuditRow, write_audit};
use super::{Database, DatabaseError, during, signed, unsigned};

/// One that was filed. It is never changed: a later one of its kind is shown in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InventoryRow {
    /// `inventory` or `matrix`.
    pub kind: String,
    /// When it was filed, Unix microseconds.
    pub at_us: u64,
    /// Who filed it.
    pub actor: String,
    /// What was looked through.
    pub names: String,
    /// SHA-256 of the document.
    pub digest: String,
    /// The document.
    #[serde(skip)]
    pub document: String,
}

const SELECT: &str = "SELECT kind, at_us, actor, names, digest, document FROM inventories";

fn read(row: &Row<'_>) -> rusqlite::Result<InventoryRow> {
    Ok(InventoryRow {
        kind: row.get(0)?,
        at_us: row.get(1).map(unsigned)?,
        actor: row.get(2)?,
        names: row.get(3)?,
        digest: row.get(4)?,
        document: row.get(5)?,
    })
}

impl Database {
    /// Files one, with its audit row.
    pub fn file_inventory(&self, row: &InventoryRow, audit: &AuditRow) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("filing an inventory");
        transaction
            .execute(
                "INSERT INTO inventories (kind, at_us, actor, names, digest, document) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![row.kind, signed(row.at_us), row.actor, row.names, row.digest, row.document],
            )
            .map_err(&what)?;
        write_audit(&transaction, audit)?;
        transaction.commit().map_err(&what)
    }

    /// The newest of a kind.
    pub fn last_inventory(&self, kind: &str) -> Result<Option<InventoryRow>, DatabaseError> {
        let sql = format!("{SELECT} WHERE kind = ?1 ORDER BY number DESC LIMIT 1");
        self.reading().query_row(&sql, [kind], read).optional().map_err(during("reading a filed inventory"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_kind_is_the_one_that_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("c.db")).unwrap();
        let row = |kind: &str, at_us: u64| InventoryRow {
            kind: kind.into(),
            at_us,
            actor: "ana".into(),
            names: "shop".into(),
            digest: "d".into(),
            document: format!("{{\"at\":{at_us}}}"),
        };
        let audit = AuditRow {
            at_us: 1,
            actor: "ana".into(),
            action: "inventory.file".into(),
            subject: "inventory:shop".into(),
            reason: String::new(),
            detail_json: "{}".into(),
        };
        assert_eq!(database.last_inventory("matrix").unwrap(), None);
        for filed in [row("inventory", 1), row("matrix", 2), row("inventory", 3)] {
            database.file_inventory(&filed, &audit).unwrap();
        }
        assert_eq!(database.last_inventory("inventory").unwrap(), Some(row("inventory", 3)));
        assert_eq!(database.last_inventory("matrix").unwrap(), Some(row("matrix", 2)));
        assert_eq!(database.audit(Some("inventory:shop")).unwrap().len(), 3);
    }
}
