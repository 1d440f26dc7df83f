//! Where copies of vectors keep their journals.

use rusqlite::{OptionalExtension, Row, params};

use super::{Database, DatabaseError, during, signed, unsigned};

/// A copy of vectors, and where its journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorRunRow {
    /// A later one has a higher one.
    pub number: u64,
    /// Its directory.
    pub directory: String,
    /// `copy` or `reembed`.
    pub kind: String,
    /// When it was begun, Unix microseconds.
    pub at_us: u64,
}

const SELECT: &str = "SELECT number, directory, kind, at_us FROM vector_runs";

fn read(row: &Row<'_>) -> rusqlite::Result<VectorRunRow> {
    Ok(VectorRunRow {
        number: row.get(0).map(unsigned)?,
        directory: row.get(1)?,
        kind: row.get(2)?,
        at_us: row.get(3).map(unsigned)?,
    })
}

impl Database {
    /// Notes where a run keeps its journal. One that is noted stays as it is.
    pub fn note_vector_run(&self, directory: &str, kind: &str, at_us: u64) -> Result<(), DatabaseError> {
        let sql =
            "INSERT INTO vector_runs (directory, kind, at_us) VALUES (?1, ?2, ?3) ON CONFLICT (directory) DO NOTHING";
        let what = during("noting a run of vectors");
        self.controlling()?.execute(sql, params![directory, kind, signed(at_us)]).map(|_| ()).map_err(what)
    }

    /// The newest runs first, at most so many, before the one of the number `before`.
    pub fn vector_runs(&self, before: Option<u64>, most: u32) -> Result<Vec<VectorRunRow>, DatabaseError> {
        let what = during("listing runs of vectors");
        let connection = self.reading();
        let sql = format!("{SELECT} WHERE number < ?1 ORDER BY number DESC LIMIT ?2");
        let mut statement = connection.prepare(&sql).map_err(&what)?;
        let before = before.map_or(i64::MAX, signed);
        let rows = statement.query_map(params![before, most], read).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// A run.
    pub fn vector_run(&self, number: u64) -> Result<Option<VectorRunRow>, DatabaseError> {
        let sql = format!("{SELECT} WHERE number = ?1");
        let found = self.reading().query_row(&sql, [signed(number)], read).optional();
        found.map_err(during("reading a run of vectors"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_on_is_noted_once_and_the_newest_stands_first() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("c.db")).unwrap();
        assert_eq!(database.vector_runs(None, 10).unwrap(), []);
        for (directory, at_us) in [("/a", 1), ("/b", 2), ("/a", 3)] {
            database.note_vector_run(directory, "copy", at_us).unwrap();
        }
        let row = |number, directory: &str, at_us| VectorRunRow {
            number,
            directory: directory.into(),
            kind: "copy".into(),
            at_us,
        };
        let runs = database.vector_runs(None, 10).unwrap();
        assert_eq!(runs.iter().map(|run| run.directory.as_str()).collect::<Vec<_>>(), ["/b", "/a"]);
        assert_eq!(database.vector_runs(Some(runs[0].number), 10).unwrap(), [row(1, "/a", 1)]);
        assert_eq!(database.vector_run(1).unwrap(), Some(row(1, "/a", 1)));
        assert_eq!(database.vector_run(99).unwrap(), None);
    }
}
