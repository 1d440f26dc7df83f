//! Versions of prompts, and the labels that name them.

use rusqlite::{Row, params};
use serde::Serialize;

use super::control::begin;
use super::keys::{AuditRow, write_audit};
use super::{Database, DatabaseError, during, signed, unsigned};

/// A version of a prompt. It is never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptRow {
    /// The prompt's name.
    pub name: String,
    /// SHA-256 of what it says.
    pub version: String,
    /// When it was kept, Unix microseconds.
    pub at_us: u64,
    /// Who kept it.
    pub actor: String,
    /// The file it was read from.
    #[serde(skip)]
    pub text: String,
}

/// What a label names since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptLabelRow {
    /// The prompt's name.
    pub name: String,
    /// The label.
    pub label: String,
    /// The version.
    pub version: String,
    /// Since when, Unix microseconds.
    pub at_us: u64,
    /// Who said so.
    pub actor: String,
    /// Why.
    pub reason: String,
}

impl Database {
    /// Keeps a version. Says whether it is new; one that is there stays as it is.
    pub fn keep_prompt(&self, row: &PromptRow) -> Result<bool, DatabaseError> {
        let n = self
            .controlling()?
            .execute(
                "INSERT OR IGNORE INTO prompt_versions VALUES (?1, ?2, ?3, ?4, ?5)",
                params![row.name, row.version, signed(row.at_us), row.actor, row.text],
            )
            .map_err(during("keeping a prompt"))?;
        Ok(n == 1)
    }

    /// The names of prompts of which versions are kept, in their order: a page, behind this name. Each with how many there are, and when the last was kept.
    pub fn prompt_names(&self, after: &str, limit: u32) -> Result<Vec<(String, u64, u64)>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing prompts");
        let mut select = connection
            .prepare(
                "SELECT name, count(*), max(at_us) FROM prompt_versions WHERE name > ?1 GROUP BY name ORDER BY name LIMIT ?2",
            )
            .map_err(&what)?;
        let rows = select
            .query_map(params![after, limit], |row| {
                Ok((row.get(0)?, row.get(1).map(unsigned)?, row.get(2).map(unsigned)?))
            })
            .map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The versions of a prompt, the newest first.
    pub fn prompt_versions(&self, name: &str) -> Result<Vec<PromptRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing the versions of a prompt");
        let mut select = connection
            .prepare(
                "SELECT name, version, at_us, actor, text FROM prompt_versions WHERE name = ?1
                 ORDER BY at_us DESC, version",
            )
            .map_err(&what)?;
        let read = |row: &Row<'_>| {
            Ok(PromptRow {
                name: row.get(0)?,
                version: row.get(1)?,
                at_us: row.get(2).map(unsigned)?,
                actor: row.get(3)?,
                text: row.get(4)?,
            })
        };
        let rows = select.query_map([name], read).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Lets a label name a version that is kept, with its audit row.
    pub fn label_prompt(&self, row: &PromptLabelRow, audit: &AuditRow) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        transaction
            .execute(
                "INSERT INTO prompt_labels (name, label, version, at_us, actor, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![row.name, row.label, row.version, signed(row.at_us), row.actor, row.reason],
            )
            .map_err(during("labelling a prompt"))?;
        write_audit(&transaction, audit)?;
        transaction.commit().map_err(during("labelling a prompt"))
    }

    /// What the labels of a prompt name and named, the newest first: the first of each label is what it names now.
    pub fn prompt_labels(&self, name: &str) -> Result<Vec<PromptLabelRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing the labels of a prompt");
        let mut select = connection
            .prepare(
                "SELECT name, label, version, at_us, actor, reason FROM prompt_labels WHERE name = ?1
                 ORDER BY number DESC",
            )
            .map_err(&what)?;
        let read = |row: &Row<'_>| {
            Ok(PromptLabelRow {
                name: row.get(0)?,
                label: row.get(1)?,
                version: row.get(2)?,
                at_us: row.get(3).map(unsigned)?,
                actor: row.get(4)?,
                reason: row.get(5)?,
            })
        };
        let rows = select.query_map([name], read).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_kept_once_and_labels_remember_where_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("c.db")).unwrap();
        let row = |version: &str, at_us| PromptRow {
            name: "support".into(),
            version: version.into(),
            at_us,
            actor: "ana".into(),
            text: format!("text of {version}"),
        };
        assert!(database.keep_prompt(&row("a", 1)).unwrap());
        assert!(database.keep_prompt(&row("b", 2)).unwrap());
        assert!(!database.keep_prompt(&row("a", 3)).unwrap());
        assert_eq!(database.prompt_versions("support").unwrap(), [row("b", 2), row("a", 1)]);
        assert_eq!(database.prompt_names("", 9).unwrap(), [("support".to_owned(), 2, 2)]);
        assert_eq!(database.prompt_names("support", 9).unwrap(), []);
        let audit = AuditRow {
            at_us: 5,
            actor: "ana".into(),
            action: "prompt.label".into(),
            subject: "prompt:support".into(),
            reason: "why".into(),
            detail_json: "{}".into(),
        };
        let label = |version: &str, at_us| PromptLabelRow {
            name: "support".into(),
            label: "production".into(),
            version: version.into(),
            at_us,
            actor: "ana".into(),
            reason: "why".into(),
        };
        for named in [label("a", 5), label("b", 6)] {
            database.label_prompt(&named, &audit).unwrap();
        }
        assert_eq!(database.prompt_labels("support").unwrap(), [label("b", 6), label("a", 5)]);
        assert_eq!(database.prompt_labels("other").unwrap(), []);
    }
}
