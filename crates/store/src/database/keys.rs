//! Keys: who may call. The text of a key never comes here, only its SHA-256.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::control::begin;
use super::{Database, DatabaseError, during, signed, unsigned};

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its public id.
    pub id: String,
    /// What people call it; no two keys that are not revoked have the same.
    pub name: String,
    /// What it may do, as JSON.
    pub spec_json: String,
    /// When it was made, Unix microseconds.
    pub created_at_us: u64,
    /// Who made it.
    pub created_by: String,
    /// When it ends, Unix microseconds; `None` is never.
    pub expires_at_us: Option<u64>,
    /// When it was revoked, Unix microseconds.
    pub revoked_at_us: Option<u64>,
    /// When it was used last, Unix microseconds, to a minute or so.
    pub last_used_us: Option<u64>,
    /// The secrets it has and had, oldest first.
    pub secrets: Vec<SecretRow>,
}

/// One secret of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretRow {
    /// SHA-256 of the whole text of the key.
    pub digest: [u8; 32],
    /// When it was made, Unix microseconds.
    pub created_at_us: u64,
    /// When it ends, Unix microseconds; `None` is with the key.
    pub ends_at_us: Option<u64>,
}

/// One line of the audit of what is no rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When, Unix microseconds.
    pub at_us: u64,
    /// Who.
    pub actor: String,
    /// What was done, such as `key.revoke`.
    pub action: String,
    /// What it was done to, such as `key:01hx3k9q2m4n`.
    pub subject: String,
    /// Why, in plain words; may be empty.
    pub reason: String,
    /// What changed, as JSON.
    pub detail_json: String,
}

/// What somebody with a budget has spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendRow {
    /// Who: `key:ID`, `tenant:NAME` or `route:NAME`.
    pub subject: String,
    /// In which period.
    pub period: u64,
    /// Nano-dollars.
    pub nanos: u64,
}

/// Why a key was not changed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError<E> {
    /// Whoever asked thought better of it.
    #[error("the change was refused")]
    Refused(E),
    /// Another key that is not revoked has the name.
    #[error("there is a key of this name")]
    NameTaken,
    /// Another key has the same secret.
    #[error("there is a key with this secret")]
    SecretTaken,
    /// The database failed.
    #[error("the key could not be saved")]
    Database(#[from] DatabaseError),
}

impl Database {
    /// Reads a key, lets `change` make of it what it becomes, and saves that with its audit row: one transaction. Secrets
    /// are added or ended, never removed.
    pub fn change_key<E>(
        &self,
        id: &str,
        change: impl FnOnce(Option<KeyRow>) -> Result<(KeyRow, AuditRow), E>,
    ) -> Result<KeyRow, KeyChangeError<E>> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let before = load(&transaction, "WHERE id = ?1", [id])?.pop();
        let (row, audit) = change(before).map_err(KeyChangeError::Refused)?;
        write_key(&transaction, &row)?;
        for secret in &row.secrets {
            write_secret(&transaction, &row.id, secret)?;
        }
        write_audit(&transaction, &audit)?;
        let what = during("committing a key");
        transaction.execute("UPDATE keys_version SET version = version + 1", []).map_err(&what)?;
        transaction.commit().map_err(&what)?;
        Ok(row)
    }

    /// Every key, by name and age, and the version of them all.
    pub fn keys(&self) -> Result<(u64, Vec<KeyRow>), DatabaseError> {
        let mut connection = self.reading();
        // One transaction: the version belongs to the rows.
        let transaction = connection.transaction().map_err(during("reading keys"))?;
        let version = version(&transaction)?;
        Ok((version, load(&transaction, "ORDER BY name, created_at_us", [])?))
    }

    /// One key: by its id, else by its name if it is not revoked.
    pub fn find_key(&self, word: &str) -> Result<Option<KeyRow>, DatabaseError> {
        let connection = self.reading();
        if let Some(row) = load(&connection, "WHERE id = ?1", [word])?.pop() {
            return Ok(Some(row));
        }
        Ok(load(&connection, "WHERE name = ?1 AND revoked_at_us IS NULL", [word])?.pop())
    }

    /// Grows with every change of a key.
    pub fn keys_version(&self) -> Result<u64, DatabaseError> {
        version(&self.reading())
    }

    /// Notes when keys were used last: id and Unix microseconds.
    pub fn touch_keys(&self, used: &[(String, u64)]) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("noting when keys were used");
        for (id, at_us) in used {
            let update = "UPDATE keys SET last_used_us = max(coalesce(last_used_us, 0), ?2) WHERE id = ?1";
            transaction.execute(update, params![id, signed(*at_us)]).map_err(&what)?;
        }
        transaction.commit().map_err(&what)
    }

    /// What was spent, of everybody with a budget.
    pub fn spend(&self) -> Result<Vec<SpendRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading what was spent");
        let mut select = connection.prepare("SELECT subject, period, nanos FROM spend").map_err(&what)?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(SpendRow { subject: row.get(0)?, period: row.get(1).map(unsigned)?, nanos: row.get(2).map(unsigned)? })
        };
        let rows = select.query_map([], row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Writes down what was spent, in the place of what was written before.
    pub fn save_spend(&self, rows: &[SpendRow]) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("saving what was spent");
        for SpendRow { subject, period, nanos } in rows {
            let insert = "INSERT OR REPLACE INTO spend VALUES (?1, ?2, ?3)";
            transaction.execute(insert, params![subject, signed(*period), signed(*nanos)]).map_err(&what)?;
        }
        transaction.commit().map_err(&what)
    }

    /// The audit of `subject`, oldest first; of everything that is no rollout when none is given.
    pub fn audit(&self, subject: Option<&str>) -> Result<Vec<AuditRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the audit");
        let mut select = connection
            .prepare(
                "SELECT at_us, actor, action, subject, reason, detail_json FROM audit
                 WHERE ?1 IS NULL OR subject = ?1 ORDER BY number",
            )
            .map_err(&what)?;
        let audit_row = |row: &rusqlite::Row<'_>| {
            Ok(AuditRow {
                at_us: row.get(0).map(unsigned)?,
                actor: row.get(1)?,
                action: row.get(2)?,
                subject: row.get(3)?,
                reason: row.get(4)?,
                detail_json: row.get(5)?,
            })
        };
        let rows = select.query_map([subject], audit_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

impl Database {
    /// What was done in one way to subjects of one kind (`route`, `prompt` …), the last first, each with its number: a page, before the row of this number.
    pub fn audit_of(
        &self,
        (kind, action): (&str, &str),
        (before, limit): (Option<u64>, u32),
    ) -> Result<Vec<(u64, AuditRow)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the audit");
        // `;` comes behind `:`, so that the index of subjects finds those of the kind.
        let mut select = connection
            .prepare(
                "SELECT number, at_us, actor, action, subject, reason, detail_json FROM audit
                 WHERE subject >= ?1 || ':' AND subject < ?1 || ';' AND action = ?2 AND number < ?3
                 ORDER BY number DESC LIMIT ?4",
            )
            .map_err(&what)?;
        let before = before.map_or(i64::MAX, signed);
        let rows = select.query_map(params![kind, action, before, limit], numbered).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// A page of the audit, newest first: of one subject or of all, and only rows before the one of this number. Each with its number.
    pub fn audit_page(
        &self,
        subject: Option<&str>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, AuditRow)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the audit");
        let mut select = connection
            .prepare(
                "SELECT number, at_us, actor, action, subject, reason, detail_json FROM audit
                 WHERE (?1 IS NULL OR subject = ?1) AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3",
            )
            .map_err(&what)?;
        let rows = select.query_map(rusqlite::params![subject, before.map(signed), limit], numbered).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

/// A row of the audit behind its number.
fn numbered(row: &rusqlite::Row<'_>) -> rusqlite::Result<(u64, AuditRow)> {
    let audit = AuditRow {
        at_us: row.get(1).map(unsigned)?,
        actor: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        reason: row.get(5)?,
        detail_json: row.get(6)?,
    };
    Ok((row.get(0).map(unsigned)?, audit))
}

fn version(connection: &Connection) -> Result<u64, DatabaseError> {
    let select = "SELECT version FROM keys_version";
    connection.query_row(select, [], |row| row.get(0).map(unsigned)).map_err(during("reading the version of the keys"))
}

/// `which` is one of the constants above, never a caller's words; those are bound.
fn load<P: rusqlite::Params>(
    connection: &Connection,
    which: &'static str,
    bound: P,
) -> Result<Vec<KeyRow>, DatabaseError> {
    let what = during("reading keys");
    let columns = "id, name, spec_json, created_at_us, created_by, expires_at_us, revoked_at_us, last_used_us";
    let mut select = connection.prepare(&format!("SELECT {columns} FROM keys {which}")).map_err(&what)?;
    let row = |row: &rusqlite::Row<'_>| {
        let optional = |idx| row.get::<_, Option<i64>>(idx).map(|at| at.map(unsigned));
        Ok(KeyRow {
            id: row.get(0)?,
            name: row.get(1)?,
            spec_json: row.get(2)?,
            created_at_us: row.get(3).map(unsigned)?,
            created_by: row.get(4)?,
            expires_at_us: optional(5)?,
            revoked_at_us: optional(6)?,
            last_used_us: optional(7)?,
            secrets: Vec::new(),
        })
    };
    let rows = select.query_map(bound, row).map_err(&what)?;
    let mut keys: Vec<KeyRow> = rows.collect::<Result<_, _>>().map_err(&what)?;
    let mut select = connection
        .prepare("SELECT digest, created_at_us, ends_at_us FROM key_secrets WHERE key = ?1 ORDER BY created_at_us")
        .map_err(&what)?;
    for key in &mut keys {
        let secret = |row: &rusqlite::Row<'_>| {
            Ok(SecretRow {
                digest: row.get(0)?,
                created_at_us: row.get(1).map(unsigned)?,
                ends_at_us: row.get::<_, Option<i64>>(2)?.map(unsigned),
            })
        };
        let secrets = select.query_map([&key.id], secret).map_err(&what)?;
        key.secrets = secrets.collect::<Result<_, _>>().map_err(&what)?;
    }
    Ok(keys)
}

fn write_key<E>(transaction: &Transaction<'_>, row: &KeyRow) -> Result<(), KeyChangeError<E>> {
    let written = transaction.execute(
        "INSERT INTO keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE
         SET name = excluded.name, spec_json = excluded.spec_json, expires_at_us = excluded.expires_at_us,
             revoked_at_us = excluded.revoked_at_us",
        params![
            row.id,
            row.name,
            row.spec_json,
            signed(row.created_at_us),
            row.created_by,
            row.expires_at_us.map(signed),
            row.revoked_at_us.map(signed),
            row.last_used_us.map(signed),
        ],
    );
    written.map(drop).map_err(|error| {
        if is_taken(&error) { KeyChangeError::NameTaken } else { during("saving a key")(error).into() }
    })
}

/// A secret that is there already is another key's, unless it is this key's: then only its end moves.
fn write_secret<E>(transaction: &Transaction<'_>, key: &str, secret: &SecretRow) -> Result<(), KeyChangeError<E>> {
    let what = during("saving a secret");
    let found: Option<String> = transaction
        .query_row("SELECT key FROM key_secrets WHERE digest = ?1", [secret.digest], |row| row.get(0))
        .optional()
        .map_err(&what)?;
    let ends_at_us = secret.ends_at_us.map(signed);
    let written = match found {
        None => transaction.execute(
            "INSERT INTO key_secrets VALUES (?1, ?2, ?3, ?4)",
            params![secret.digest, key, signed(secret.created_at_us), ends_at_us],
        ),
        Some(owner) if owner == key => transaction
            .execute("UPDATE key_secrets SET ends_at_us = ?2 WHERE digest = ?1", params![secret.digest, ends_at_us]),
        Some(_) => return Err(KeyChangeError::SecretTaken),
    };
    Ok(written.map(drop).map_err(&what)?)
}

pub(super) fn write_audit(transaction: &Transaction<'_>, row: &AuditRow) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO audit (at_us, actor, action, subject, reason, detail_json) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![signed(row.at_us), row.actor, row.action, row.subject, row.reason, row.detail_json],
        )
        .map_err(during("writing the audit"))?;
    Ok(())
}

fn is_taken(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, name: &str) -> KeyRow {
        let mut digest = [0; 32];
        digest[..id.len()].copy_from_slice(id.as_bytes());
        KeyRow {
            id: id.into(),
            name: name.into(),
            spec_json: "{}".into(),
            created_at_us: 1,
            created_by: "ana".into(),
            expires_at_us: None,
            revoked_at_us: None,
            last_used_us: None,
            secrets: vec![SecretRow { digest, created_at_us: 1, ends_at_us: None }],
        }
    }

    fn audit(action: &str, id: &str) -> AuditRow {
        AuditRow {
            at_us: 2,
            actor: "ana".into(),
            action: action.into(),
            subject: format!("key:{id}"),
            reason: String::new(),
            detail_json: "{}".into(),
        }
    }

    fn save(database: &Database, row: &KeyRow, action: &str) -> Result<KeyRow, KeyChangeError<&'static str>> {
        database.change_key(&row.id, |_| Ok((row.clone(), audit(action, &row.id))))
    }

    fn open() -> (tempfile::TempDir, Database) {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("c.db")).unwrap();
        (dir, database)
    }

    #[test]
    fn a_key_its_audit_and_the_version_change_together() {
        let (_dir, database) = open();
        assert_eq!(database.keys().unwrap(), (0, vec![]));
        let mut row = key("a1", "app");
        save(&database, &row, "key.create").unwrap();
        row.secrets[0].ends_at_us = Some(9);
        row.secrets.push(SecretRow { digest: [7; 32], created_at_us: 5, ends_at_us: None });
        save(&database, &row, "key.rotate").unwrap();
        assert_eq!(database.keys().unwrap(), (2, vec![row.clone()]));
        let refused = database.change_key("a1", |row| Err::<(KeyRow, AuditRow), _>(row.is_some()));
        assert!(matches!(refused, Err(KeyChangeError::Refused(true))));
        assert_eq!(database.keys_version().unwrap(), 2);
        let actions: Vec<_> = database.audit(Some("key:a1")).unwrap().into_iter().map(|row| row.action).collect();
        assert_eq!(actions, ["key.create", "key.rotate"]);
    }

    #[test]
    fn names_and_secrets_have_one_owner() {
        let (_dir, database) = open();
        let mut first = key("a1", "app");
        save(&database, &first, "key.create").unwrap();
        assert!(matches!(save(&database, &key("b2", "app"), "key.create"), Err(KeyChangeError::NameTaken)));
        let thief = KeyRow { secrets: first.secrets.clone(), ..key("c3", "other") };
        assert!(matches!(save(&database, &thief, "key.create"), Err(KeyChangeError::SecretTaken)));
        assert_eq!(database.find_key("app").unwrap().unwrap().id, "a1");
        first.revoked_at_us = Some(3);
        save(&database, &first, "key.revoke").unwrap();
        assert_eq!(database.find_key("app").unwrap(), None);
        save(&database, &key("b2", "app"), "key.create").unwrap();
        assert_eq!(database.find_key("app").unwrap().unwrap().id, "b2");
        assert_eq!(database.audit(None).unwrap().len(), 3);
    }

    #[test]
    fn a_revoked_key_stays_revoked_and_its_audit_stays() {
        let (_dir, database) = open();
        let revoked = KeyRow { revoked_at_us: Some(3), ..key("a1", "app") };
        save(&database, &revoked, "key.revoke").unwrap();
        assert!(matches!(save(&database, &key("a1", "app"), "key.unrevoke"), Err(KeyChangeError::Database(_))));
        let connection = rusqlite::Connection::open(database.path()).unwrap();
        for change in ["DELETE FROM keys", "DELETE FROM audit", "UPDATE audit SET actor = 'eve'"] {
            assert!(connection.execute(change, []).is_err(), "{change}");
        }
        assert_eq!(database.find_key("a1").unwrap(), Some(revoked));
    }

    #[test]
    fn what_was_spent_is_what_was_saved_last() {
        let (_dir, database) = open();
        let row = |subject: &str, nanos| SpendRow { subject: subject.into(), period: 3 << 62, nanos };
        database.save_spend(&[row("key:a", 5), row("route:r", u64::MAX)]).unwrap();
        database.save_spend(&[row("key:a", 7)]).unwrap();
        assert_eq!(database.spend().unwrap(), [row("key:a", 7), row("route:r", u64::MAX)]);
    }

    #[test]
    fn the_last_use_only_moves_on_and_is_no_change_of_the_key() {
        let (_dir, database) = open();
        save(&database, &key("a1", "app"), "key.create").unwrap();
        database.touch_keys(&[("a1".into(), 50), ("gone".into(), 50)]).unwrap();
        database.touch_keys(&[("a1".into(), 40)]).unwrap();
        let (version, keys) = database.keys().unwrap();
        assert_eq!((version, keys[0].last_used_us), (1, Some(50)));
    }
}
