//! Results that were filed for rollouts: evaluation suites, drills, reviews.

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::control::begin;
use super::keys::{AuditRow, write_audit};
use super::{Database, DatabaseError, during, signed, unsigned};

/// The newest of a rollout that are read: older ones have been superseded by them, or are too old for any gate.
const MOST: u32 = 1000;

/// One filed result. It is never changed: a later one of the same kind and name takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiledRow {
    /// The rollout it is for.
    pub rollout: String,
    /// `suite`, `drill`, `review` or `other`.
    pub kind: String,
    /// Which suite, drill or review.
    pub name: String,
    /// Whether it was a pass.
    pub passed: bool,
    /// When it was found, Unix microseconds.
    pub at_us: u64,
    /// What tells which report it comes from: its SHA-256, as a rule.
    pub digest: String,
    /// How many cases it covered.
    pub n: u64,
    /// When it was filed, Unix microseconds.
    pub filed_at_us: u64,
    /// Who filed it.
    pub actor: String,
    /// What they said of it.
    pub note: String,
    /// Hash of both targets of the rollout when it was filed; the store writes it. `None` where that was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Database {
    /// Files a result, with its audit row.
    pub fn file_result(&self, row: &FiledRow, audit: &AuditRow) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("filing a result");
        transaction
            .execute(
                "INSERT INTO filed (rollout, kind, name, passed, at_us, digest, n, filed_at_us, actor, note, fingerprint)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                         (SELECT json_extract(state_json, '$.fingerprint') FROM rollouts WHERE name = ?1))",
                params![
                    row.rollout,
                    row.kind,
                    row.name,
                    row.passed,
                    signed(row.at_us),
                    row.digest,
                    signed(row.n),
                    signed(row.filed_at_us),
                    row.actor,
                    row.note,
                ],
            )
            .map_err(&what)?;
        write_audit(&transaction, audit)?;
        transaction.commit().map_err(&what)
    }

    /// Writes down what somebody did that changes nothing by itself.
    pub fn note(&self, audit: &AuditRow) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        write_audit(&transaction, audit)?;
        transaction.commit().map_err(during("writing the audit"))
    }

    /// What was filed for a rollout, newest first.
    pub fn filed(&self, rollout: &str) -> Result<Vec<FiledRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading filed results");
        let mut select = connection
            .prepare(
                "SELECT rollout, kind, name, passed, at_us, digest, n, filed_at_us, actor, note, fingerprint FROM filed
                 WHERE rollout = ?1 ORDER BY at_us DESC, number DESC LIMIT ?2",
            )
            .map_err(&what)?;
        let rows = select.query_map(params![rollout, MOST], |row| read(row, 0)).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// What was filed of a kind for all rollouts, the last that was filed first, each with its number: a page, before the row of this number.
    pub fn filed_page(
        &self,
        kind: &str,
        (before, limit): (Option<u64>, u32),
    ) -> Result<Vec<(u64, FiledRow)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading filed results");
        let mut select = connection
            .prepare(
                "SELECT number, rollout, kind, name, passed, at_us, digest, n, filed_at_us, actor, note, fingerprint FROM filed
                 WHERE kind = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
            )
            .map_err(&what)?;
        let before = before.map_or(i64::MAX, signed);
        let rows = select
            .query_map(params![kind, before, limit], |row| Ok((row.get(0).map(unsigned)?, read(row, 1)?)))
            .map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

/// Eleven columns from `at`.
fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<FiledRow> {
    Ok(FiledRow {
        rollout: row.get(at)?,
        kind: row.get(at + 1)?,
        name: row.get(at + 2)?,
        passed: row.get(at + 3)?,
        at_us: row.get(at + 4).map(unsigned)?,
        digest: row.get(at + 5)?,
        n: row.get(at + 6).map(unsigned)?,
        filed_at_us: row.get(at + 7).map(unsigned)?,
        actor: row.get(at + 8)?,
        note: row.get(at + 9)?,
        fingerprint: row.get(at + 10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_filed_with_their_audit_and_read_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("c.db")).unwrap();
        let row = |rollout: &str, at_us| FiledRow {
            rollout: rollout.into(),
            kind: "drill".into(),
            name: "error".into(),
            passed: at_us > 1,
            at_us,
            digest: "d".into(),
            n: 3,
            filed_at_us: 9,
            actor: "ana".into(),
            note: "by the book".into(),
            fingerprint: None,
        };
        let audit = AuditRow {
            at_us: 9,
            actor: "ana".into(),
            action: "rollout.file".into(),
            subject: "rollout:r".into(),
            reason: "by the book".into(),
            detail_json: "{}".into(),
        };
        for filed in [row("r", 1), row("other", 2), row("r", 3), row("r", 2)] {
            database.file_result(&filed, &audit).unwrap();
        }
        assert_eq!(database.filed("r").unwrap(), [row("r", 3), row("r", 2), row("r", 1)]);
        assert_eq!(database.filed("nobody").unwrap(), []);
        let page = database.filed_page("drill", (None, 3)).unwrap();
        assert_eq!(
            page.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>(),
            [row("r", 2), row("r", 3), row("other", 2)]
        );
        assert_eq!(database.filed_page("drill", (Some(page[2].0), 3)).unwrap()[0].1, row("r", 1));
        assert_eq!(database.filed_page("suite", (None, 3)).unwrap(), []);
        // Of which targets it is stands with it, where the rollout is known.
        let known = r#"INSERT INTO rollouts (name, generation, state_json, policy_json) VALUES ('s', 1, '{"fingerprint":"f"}', '{}')"#;
        database.controlling().unwrap().execute(known, []).unwrap();
        database.file_result(&row("s", 4), &audit).unwrap();
        assert_eq!(database.filed("s").unwrap()[0].fingerprint.as_deref(), Some("f"));
    }
}
