//! SQLite with the sqlite-vec extension: the embedded store.
//!
//! A collection `rows` is the table `rows` (`namespace`, `id`, `text`, `metadata`, `space`), for each dense vector a `vec0` table `rows_vec_NAME` with the
//! same `rowid`, and the tables `rows_sparse`, `rows_multi` (their bytes, which nothing in SQLite searches) and `rows_schema`. Sixteen-bit floats are kept
//! as 32-bit ones and come back as they were.

mod read;
mod serve;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

use crate::digest::RowDigest;
use crate::nearest::{Hit, Query};
use crate::retry::{Class, Trouble};
use crate::row::{Dtype, Row, floats_to_bytes};
use crate::schema::{DenseShape, Metric, Schema};
use crate::store::{Budget, Cursor, Page, Partition, Sealed, Search, Slot, Source, Survey, Target};

/// What one transaction takes.
const BUDGET: Budget = Budget { n_rows: 2000, n_bytes: 8 << 20 };

/// How many rows a partition has about.
const PARTITION: u64 = 50_000;

/// How long another writer is waited for before it is a failure that is tried again.
const BUSY: Duration = Duration::from_secs(5);

/// A collection in a database.
pub struct SqliteVec {
    file: PathBuf,
    table: String,
    open: Option<(Connection, Schema)>,
}

impl SqliteVec {
    /// The table of this name, which was checked, in the database of this file.
    #[must_use]
    pub fn new(file: &Path, table: &str) -> SqliteVec {
        SqliteVec { file: file.to_owned(), table: table.to_owned(), open: None }
    }

    /// The distance of the nearest row, as sqlite-vec says it.
    #[cfg(test)]
    pub(super) fn nearest(&self, name: &str, query: &[f32]) -> f64 {
        let sql = format!("SELECT distance FROM \"{}_vec_{name}\" WHERE embedding MATCH ?1 AND k = 1", self.table);
        let (connection, _) = self.open.as_ref().unwrap();
        connection.query_row(&sql, [crate::row::floats_to_bytes(query)], |row| row.get(0)).unwrap()
    }

    fn doing(&self, what: &str) -> String {
        format!("could not {what} {} in {}", self.table, self.file.display())
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, Trouble> {
        let wrong = |error| of(self.doing("open"), &error);
        let connection =
            Connection::open_with_flags(&self.file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(wrong)?;
        connection.busy_timeout(BUSY).map_err(wrong)?;
        load_extension(&connection).map_err(|why| Trouble::permanent(self.doing("open"), why))?;
        Ok(connection)
    }

    /// The connection and what the collection looks like, for reading.
    fn reading(&mut self) -> Result<&(Connection, Schema), Trouble> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
                let sql = format!("SELECT json FROM \"{}_schema\"", self.table);
                let json: String = connection.query_row(&sql, [], |row| row.get(0)).map_err(|error| {
                    let why = format!("{error}: it is no collection that Crossfade wrote");
                    Trouble::permanent(self.doing("read"), why)
                })?;
                let schema =
                    serde_json::from_str(&json).map_err(|error| Trouble::permanent(self.doing("read"), error))?;
                (connection, schema)
            }
        };
        Ok(self.open.insert(open))
    }
}

impl Source for SqliteVec {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        let (table, doing) = (self.table.clone(), self.doing("count"));
        let (connection, schema) = self.reading()?;
        let sql = format!("SELECT count(*) FROM \"{table}\"");
        let n_rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).map_err(|error| of(doing, &error))?;
        Ok(Survey { n_rows: u64::try_from(n_rows).unwrap_or(0), schema: schema.clone() })
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        let n_rows = self.survey()?.n_rows;
        let (table, doing) = (self.table.clone(), self.doing("divide"));
        let (connection, _) = self.reading()?;
        read::partitions(connection, &table, n_rows, PARTITION).map_err(|error| of(doing, &error))
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let (table, doing) = (self.table.clone(), self.doing("read"));
        let (connection, schema) = self.reading()?;
        read::page(connection, &table, schema, (partition, after, budget)).map_err(|error| match error {
            read::ReadError::Sqlite(error) => of(doing, &error),
            read::ReadError::Other(why) => Trouble::permanent(doing, why),
        })
    }
}

impl Target for SqliteVec {
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        write::prepare(&connection, &self.table, schema, acknowledged.is_some())
            .map_err(|error| of(self.doing("make"), &error))?
            .map_err(|why| Trouble::permanent(self.doing("make"), why))?;
        self.open = Some((connection, schema.clone()));
        Ok(())
    }

    fn budget(&self) -> Budget {
        BUDGET
    }

    fn write(&mut self, _slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        let (table, doing) = (self.table.clone(), self.doing("write to"));
        let (connection, schema) =
            self.open.as_mut().ok_or_else(|| Trouble::permanent(&doing, "it was not prepared"))?;
        write::rows(connection, &table, schema, rows).map_err(|error| match error {
            write::WriteError::Sqlite(error) => of(doing, &error),
            write::WriteError::Poison(why) => Trouble::poison(doing, why),
        })
    }

    fn seal(&mut self, _sealed: &Sealed) -> Result<(), Trouble> {
        let doing = self.doing("close");
        if let Some((connection, _)) = self.open.take() {
            // One file again, without a log beside it: it may be moved.
            connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .map_err(|error| of(doing, &error))?;
        }
        Ok(())
    }
}

impl Search for SqliteVec {
    fn search(&mut self, name: &str, metric: Metric, query: &Query, k: usize) -> Result<Vec<Hit>, Trouble> {
        let (table, doing) = (self.table.clone(), self.doing("search"));
        let (connection, schema) = self.reading()?;
        let shape = shape(schema, name, metric).map_err(|why| Trouble::permanent(&doing, why))?;
        let bytes = match shape.dtype {
            Dtype::F32 | Dtype::F16 => floats_to_bytes(&query.vector),
            Dtype::I8 | Dtype::Binary => {
                return Err(Trouble::permanent(
                    doing,
                    format!("`{name}` is of {:?}: search by it is not built", shape.dtype),
                ));
            }
        };
        let sql = format!(
            "SELECT \"{table}\".id, found.distance FROM
               (SELECT rowid, distance FROM \"{table}_vec_{name}\"
                WHERE embedding MATCH ?1 AND k = ?2 AND rowid IN (SELECT rowid FROM \"{table}\" WHERE namespace = ?3)) AS found
             JOIN \"{table}\" ON \"{table}\".rowid = found.rowid ORDER BY found.distance, \"{table}\".id DESC"
        );
        let k = i64::try_from(k).unwrap_or(i64::MAX);
        let search = || -> rusqlite::Result<Vec<Hit>> {
            let mut statement = connection.prepare_cached(&sql)?;
            let found = statement.query_map(params![bytes, k, query.namespace], |row| {
                Ok(Hit { id: row.get(0)?, distance: row.get(1)? })
            })?;
            found.collect()
        };
        search().map_err(|error| of(doing, &error))
    }
}

/// The shape of a vector that is compared by `metric`.
fn shape<'schema>(schema: &'schema Schema, name: &str, metric: Metric) -> Result<&'schema DenseShape, String> {
    let shape = schema.dense.get(name).ok_or_else(|| format!("it has no vector `{name}`"))?;
    let is = shape.metric.unwrap_or(if shape.dtype == Dtype::Binary { Metric::Hamming } else { Metric::L2 });
    if is == metric { Ok(shape) } else { Err(format!("`{name}` is compared by {is:?} there, not by {metric:?}")) }
}

/// How a vector is declared to `vec0`, and why it cannot be, if it cannot.
///
/// # Errors
/// Why.
pub(crate) fn declared(name: &str, shape: &DenseShape) -> Result<String, String> {
    const MAX_DIMS: usize = 8192;
    super::check_name(name)?;
    let dims = shape.dims;
    if dims == 0 || dims > MAX_DIMS {
        return Err(format!("vector `{name}` has {dims} numbers, and sqlite-vec takes 1 to {MAX_DIMS}"));
    }
    let metric = match (shape.dtype, shape.metric) {
        (Dtype::Binary, None | Some(Metric::Hamming)) => "",
        (_, Some(Metric::Cosine)) if shape.dtype != Dtype::Binary => " distance_metric=cosine",
        (_, None | Some(Metric::L2)) => "",
        (_, Some(metric)) => {
            return Err(format!("vector `{name}` is compared by {metric:?}, which sqlite-vec does not do to it"));
        }
    };
    match shape.dtype {
        Dtype::F32 | Dtype::F16 => Ok(format!("float[{dims}]{metric}")),
        Dtype::I8 => Ok(format!("int8[{dims}]{metric}")),
        Dtype::Binary if dims.is_multiple_of(8) => Ok(format!("bit[{dims}]")),
        Dtype::Binary => Err(format!("vector `{name}` has {dims} bits, and sqlite-vec takes multiples of 8")),
    }
}

/// What an error of SQLite means.
fn of(doing: String, error: &rusqlite::Error) -> Trouble {
    use rusqlite::ErrorCode as Code;
    let class = match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            Code::DatabaseBusy | Code::DatabaseLocked => Class::Transient,
            Code::ConstraintViolation | Code::TypeMismatch | Code::TooBig => Class::Poison,
            _ => Class::Permanent,
        },
        _ => Class::Permanent,
    };
    Trouble::of(class, doing, error)
}

/// Gives a connection the functions of sqlite-vec.
#[expect(
    unsafe_code,
    reason = "an extension that is linked in is made known by its entry point, which rusqlite has no safe function for"
)]
fn load_extension(connection: &Connection) -> Result<(), String> {
    type Entry = unsafe extern "C" fn(
        *mut rusqlite::ffi::sqlite3,
        *mut *mut std::ffi::c_char,
        *const rusqlite::ffi::sqlite3_api_routines,
    ) -> std::ffi::c_int;
    // SAFETY: the crate declares the entry point of the C source without its arguments; these are the ones of every extension of SQLite. It is compiled with
    // SQLITE_CORE, so the table of functions is not read. The handle lives as long as the connection, which is borrowed.
    let code = unsafe {
        let entry = std::mem::transmute::<*const (), Entry>(sqlite_vec::sqlite3_vec_init as *const ());
        entry(connection.handle(), std::ptr::null_mut(), std::ptr::null())
    };
    if code == rusqlite::ffi::SQLITE_OK { Ok(()) } else { Err(format!("sqlite-vec did not start: code {code}")) }
}
