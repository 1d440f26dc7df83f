//! What a copy has done, so that it can be taken up again where it stood.
//!
//! One SQLite file in the run's directory. Partitions stand in it before the first read, and nothing ever plans them again: bounds that are drawn anew after a
//! stop leave rows between the old and the new ones that nobody reads. A partition's cursor moves after the target has acknowledged what was read up to it,
//! in the same transaction as the rows that were put aside on the way; what was written and not yet marked is written again, by the same identifiers.

use std::path::Path;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::schema::Schema;
use crate::store::{Cursor, Partition};

/// The file, in the run's directory.
pub const JOURNAL: &str = "journal.db";

/// Why the journal fails.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory.
    #[error("could not make the run's directory {0}")]
    Directory(String, #[source] std::io::Error),
    /// The database.
    #[error("could not use the run's journal")]
    Sqlite(#[from] rusqlite::Error),
    /// What stands in it.
    #[error("the run's journal holds something else than it should")]
    Json(#[from] serde_json::Error),
}

/// What a run was begun for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The address of the source.
    pub source: String,
    /// The address of the target.
    pub target: String,
    /// How many rows the source said it had.
    pub n_rows: u64,
    /// What the rows look like.
    pub schema: Schema,
}

/// A partition and how far it is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The partition.
    pub partition: Partition,
    /// How far it was read and acknowledged.
    pub cursor: Option<Cursor>,
    /// How many batches were acknowledged.
    pub n_parts: u64,
    /// How many rows.
    pub n_rows: u64,
    /// The sum of their digests.
    pub digest: u128,
    /// Whether it is through.
    pub is_done: bool,
}

/// A row that the target did not take, or that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Its namespace and identifier, or where it was found.
    pub place: String,
    /// Why it was put aside.
    pub why: String,
    /// All of it, as a line of JSON where it is a row.
    pub found: String,
}

/// The journal of one run.
pub struct Journal {
    connection: Connection,
}

impl Journal {
    /// Opens the journal of a directory, or makes it.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn open(directory: &Path) -> Result<Journal, JournalError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| JournalError::Directory(directory.display().to_string(), error))?;
        let connection = Connection::open(directory.join(JOURNAL))?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS run (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), begun TEXT NOT NULL, is_sealed INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS partition (idx INTEGER PRIMARY KEY, spec TEXT NOT NULL, cursor TEXT, n_parts INTEGER NOT NULL,
               n_rows INTEGER NOT NULL, digest BLOB NOT NULL, is_done INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS aside (n INTEGER PRIMARY KEY, idx INTEGER NOT NULL, place TEXT NOT NULL, why TEXT NOT NULL, found TEXT NOT NULL);",
        )?;
        Ok(Journal { connection })
    }

    /// The journal behind a connection that may only read.
    pub(crate) fn over(connection: Connection) -> Journal {
        Journal { connection }
    }

    /// What the run was begun for; none of one that was not begun.
    ///
    /// # Errors
    /// Where the journal fails.
    pub fn begun(&self) -> Result<Option<Begun>, JournalError> {
        let mut statement = self.connection.prepare("SELECT begun FROM run")?;
        let text: Option<String> = statement.query_map([], |row| row.get(0))?.next().transpose()?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Writes down what is to be done, once and for all.
    ///
    /// # Errors
    /// Where the journal fails, or the run was begun before.
    pub fn begin(&mut self, begun: &Begun, partitions: &[Partition]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        transaction.execute("INSERT INTO run VALUES (1, ?1, 0)", [serde_json::to_string(begun)?])?;
        for (idx, partition) in partitions.iter().enumerate() {
            let sql = "INSERT INTO partition VALUES (?1, ?2, NULL, 0, 0, ?3, 0)";
            transaction.execute(sql, params![index(idx), serde_json::to_string(partition)?, 0_u128.to_be_bytes()])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// How far each partition is.
    ///
    /// # Errors
    /// Where the journal fails.
    pub fn progress(&self) -> Result<Vec<Progress>, JournalError> {
        let sql = "SELECT spec, cursor, n_parts, n_rows, digest, is_done FROM partition ORDER BY idx";
        let mut statement = self.connection.prepare(sql)?;
        let mut found = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = found.next()? {
            let (spec, cursor): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            all.push(Progress {
                partition: serde_json::from_str(&spec)?,
                cursor: cursor.map(|cursor| serde_json::from_str(&cursor)).transpose()?,
                n_parts: count(row.get(2)?),
                n_rows: count(row.get(3)?),
                digest: u128::from_be_bytes(row.get(4)?),
                is_done: row.get(5)?,
            });
        }
        Ok(all)
    }

    /// Moves a partition on, after the target acknowledged what was read up to there.
    ///
    /// # Errors
    /// Where the journal fails.
    pub fn acknowledge(&mut self, idx: usize, progress: &Progress, asides: &[Aside]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        let cursor = progress.cursor.as_ref().map(serde_json::to_string).transpose()?;
        let sql =
            "UPDATE partition SET cursor = ?2, n_parts = ?3, n_rows = ?4, digest = ?5, is_done = ?6 WHERE idx = ?1";
        let (n_parts, n_rows) = (progress.n_parts.cast_signed(), progress.n_rows.cast_signed());
        transaction.execute(
            sql,
            params![index(idx), cursor, n_parts, n_rows, progress.digest.to_be_bytes(), progress.is_done],
        )?;
        for aside in asides {
            let sql = "INSERT INTO aside (idx, place, why, found) VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(sql, params![index(idx), aside.place, aside.why, aside.found])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// All is written and the target sealed.
    ///
    /// # Errors
    /// Where the journal fails.
    pub fn seal(&mut self) -> Result<(), JournalError> {
        self.connection.execute("UPDATE run SET is_sealed = 1", [])?;
        Ok(())
    }

    /// Whether the run is through.
    ///
    /// # Errors
    /// Where the journal fails.
    pub fn is_sealed(&self) -> Result<bool, JournalError> {
        let mut statement = self.connection.prepare("SELECT is_sealed FROM run")?;
        Ok(statement.query_map([], |row| row.get(0))?.next().transpose()?.unwrap_or(false))
    }

    /// How many rows were put aside.
    ///
    /// # Errors
    /// Where the journal fails.
    pub fn n_aside(&self) -> Result<u64, JournalError> {
        Ok(count(self.connection.query_row("SELECT count(*) FROM aside", [], |row| row.get(0))?))
    }

    /// Rows that were put aside, at most so many.
    ///
    /// # Errors
    /// Where the journal fails.
    pub fn asides(&self, limit: u32) -> Result<Vec<Aside>, JournalError> {
        let mut statement = self.connection.prepare("SELECT place, why, found FROM aside ORDER BY n LIMIT ?1")?;
        let found = statement
            .query_map([limit], |row| Ok(Aside { place: row.get(0)?, why: row.get(1)?, found: row.get(2)? }))?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

fn index(idx: usize) -> i64 {
    i64::try_from(idx).unwrap_or(i64::MAX)
}

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
