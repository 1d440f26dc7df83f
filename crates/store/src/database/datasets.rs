//! Datasets for evaluation, by name and version.

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::control::begin;
use super::{Database, DatabaseError, during, signed, unsigned};

/// A version of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetRow {
    /// Its name.
    pub name: String,
    /// SHA-256 of its cases.
    pub version: String,
    /// When it came in, Unix microseconds.
    pub at_us: u64,
    /// How many cases it has.
    pub n_cases: u64,
    /// Where it came from, as JSON.
    pub origin: serde_json::Value,
}

const DATASET: &str = "SELECT name, version, at_us, n_cases, origin_json FROM datasets";

impl Database {
    /// Keeps a version, its cases as `(id, JSON)` in their order. Says whether it is new; one that is there already stays as it is.
    pub fn put_dataset(&self, row: &DatasetRow, cases: &[(String, String)]) -> Result<bool, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("keeping a dataset");
        let is_new = transaction
            .execute(
                "INSERT OR IGNORE INTO datasets VALUES (?1, ?2, ?3, ?4, ?5)",
                params![row.name, row.version, signed(row.at_us), signed(row.n_cases), row.origin.to_string()],
            )
            .map_err(&what)?;
        {
            // The same cases under another name are there already.
            let mut insert =
                transaction.prepare("INSERT OR IGNORE INTO dataset_cases VALUES (?1, ?2, ?3, ?4)").map_err(&what)?;
            for (idx, (id, json)) in cases.iter().enumerate() {
                insert.execute(params![row.version, signed(idx as u64), id, json]).map_err(&what)?;
            }
        }
        transaction.commit().map_err(&what)?;
        Ok(is_new == 1)
    }

    /// Every version of every dataset, by name, the newest first.
    pub fn datasets(&self) -> Result<Vec<DatasetRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing datasets");
        let mut select = connection.prepare(&format!("{DATASET} ORDER BY name, at_us DESC, version")).map_err(&what)?;
        let rows = select.query_map([], dataset_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// How many versions of datasets there are.
    pub fn n_datasets(&self) -> Result<u64, DatabaseError> {
        let count = self.reading().query_row("SELECT count(*) FROM datasets", [], |row| row.get(0).map(unsigned));
        count.map_err(during("counting datasets"))
    }

    /// The newest version of a name whose hash begins so; `None` when there is none.
    pub fn dataset(&self, name: &str, version: &str) -> Result<Option<DatasetRow>, DatabaseError> {
        let select =
            format!("{DATASET} WHERE name = ?1 AND substr(version, 1, length(?2)) = ?2 ORDER BY at_us DESC LIMIT 1");
        let row = self.reading().query_row(&select, [name, version], dataset_row).optional();
        row.map_err(during("reading a dataset"))
    }

    /// The first so many cases of a version, in their order, each as `read` reads its place and its JSON: the texts are not held beside what is
    /// read of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dataset_cases<T>(
        &self,
        version: &str,
        n_cases: u64,
        mut read: impl FnMut(usize, &str) -> T,
    ) -> Result<Vec<T>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the cases of a dataset");
        let most = signed(n_cases.min(i64::MAX.unsigned_abs()));
        let mut select = connection
            .prepare("SELECT json FROM dataset_cases WHERE version = ?1 ORDER BY idx LIMIT ?2")
            .map_err(&what)?;
        let mut rows = select.query(params![version, most]).map_err(&what)?;
        let mut cases = Vec::new();
        while let Some(row) = rows.next().map_err(&what)? {
            let json = row.get_ref(0).and_then(|json| Ok(json.as_str()?)).map_err(&what)?;
            cases.push(read(cases.len(), json));
        }
        Ok(cases)
    }
}

fn dataset_row(row: &Row<'_>) -> rusqlite::Result<DatasetRow> {
    let origin: String = row.get(4)?;
    Ok(DatasetRow {
        name: row.get(0)?,
        version: row.get(1)?,
        at_us: row.get(2).map(unsigned)?,
        n_cases: row.get(3).map(unsigned)?,
        origin: serde_json::from_str(&origin).unwrap_or_default(),
    })
}
