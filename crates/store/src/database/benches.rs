//! Results of benchmarks.

use rusqlite::{OptionalExtension, Row, params};

use super::{Database, DatabaseError, during, signed, unsigned};

/// A result. It is never changed; what a run under way has so far gives way to what the same run has later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchRow {
    /// What it is called.
    pub name: String,
    /// When the run began, Unix microseconds.
    pub at_us: u64,
    /// Who ran it.
    pub actor: String,
    /// What kind of run it was.
    pub kind: String,
    /// `valid`, `invalid` or `partial`; [`RUNNING`] of a run under way, or one that was killed.
    pub verdict: String,
    /// The document.
    pub result_json: String,
}

/// A result without its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchLine {
    /// What it is called.
    pub name: String,
    /// When the run began, Unix microseconds.
    pub at_us: u64,
    /// Who ran it.
    pub actor: String,
    /// What kind of run it was.
    pub kind: String,
    /// As of [`BenchRow`].
    pub verdict: String,
}

/// The verdict of what a run has so far.
pub const RUNNING: &str = "running";

const SELECT: &str = "SELECT name, at_us, actor, kind, verdict, result FROM bench_results";

fn read(row: &Row<'_>) -> rusqlite::Result<BenchRow> {
    Ok(BenchRow {
        name: row.get(0)?,
        at_us: row.get(1).map(unsigned)?,
        actor: row.get(2)?,
        kind: row.get(3)?,
        verdict: row.get(4)?,
        result_json: row.get(5)?,
    })
}

impl Database {
    /// Keeps a result. Says whether it is there now; another one of its name stays as it is, unless it is what the same run had so far.
    pub fn keep_bench(&self, row: &BenchRow) -> Result<bool, DatabaseError> {
        let what = during("keeping a benchmark");
        let mut connection = self.controlling()?;
        let transaction = connection.transaction().map_err(&what)?;
        transaction
            .execute(
                "DELETE FROM bench_results WHERE name = ?1 AND at_us = ?2 AND verdict = ?3",
                params![row.name, signed(row.at_us), RUNNING],
            )
            .map_err(&what)?;
        let n = transaction
            .execute(
                "INSERT OR IGNORE INTO bench_results VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![row.name, signed(row.at_us), row.actor, row.kind, row.verdict, row.result_json],
            )
            .map_err(&what)?;
        transaction.commit().map_err(&what)?;
        Ok(n == 1)
    }

    /// The result of this name.
    pub fn bench(&self, name: &str) -> Result<Option<BenchRow>, DatabaseError> {
        Ok(self.select_benches(&format!("{SELECT} WHERE name = ?1"), [name])?.pop())
    }

    /// Every result, the newest first.
    pub fn benches(&self) -> Result<Vec<BenchRow>, DatabaseError> {
        self.select_benches(&format!("{SELECT} ORDER BY at_us DESC, name"), [])
    }

    /// The newest results first, at most so many, after the one of the name `after`; from the newest where there is none of it.
    pub fn benches_page(&self, after: Option<&str>, most: u32) -> Result<Vec<BenchLine>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing benchmarks");
        let place: Option<(i64, String)> = match after {
            Some(after) => {
                let select = "SELECT at_us, name FROM bench_results WHERE name = ?1";
                connection.query_row(select, [after], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(&what)?
            }
            None => None,
        };
        let (at_us, name) = place.unwrap_or((i64::MAX, String::new()));
        let sql = "SELECT name, at_us, actor, kind, verdict FROM bench_results
            WHERE at_us <= ?1 AND (at_us < ?1 OR name > ?2) ORDER BY at_us DESC, name LIMIT ?3";
        let line = |row: &Row<'_>| {
            Ok(BenchLine {
                name: row.get(0)?,
                at_us: row.get(1).map(unsigned)?,
                actor: row.get(2)?,
                kind: row.get(3)?,
                verdict: row.get(4)?,
            })
        };
        let mut select = connection.prepare(sql).map_err(&what)?;
        let rows = select.query_map(params![at_us, name, most], line).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// How many results there are, and how many of them are valid.
    pub fn bench_counts(&self) -> Result<(u64, u64), DatabaseError> {
        let sql = "SELECT count(*), coalesce(sum(verdict = 'valid'), 0) FROM bench_results";
        let row = self.reading().query_row(sql, [], |row| Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?)));
        row.map_err(during("counting benchmarks"))
    }

    fn select_benches<const N: usize>(&self, sql: &str, by: [&str; N]) -> Result<Vec<BenchRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading benchmarks");
        let mut select = connection.prepare(sql).map_err(&what)?;
        let rows = select.query_map(rusqlite::params_from_iter(by), read).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}
