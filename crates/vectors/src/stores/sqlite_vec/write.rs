//! Rows into the tables.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::declared;
use crate::digest::RowDigest;
use crate::metadata::Metadata;
use crate::row::{Dense, Dtype, Row, floats_to_bytes};
use crate::schema::Schema;

/// Why rows were not written.
pub(super) enum WriteError {
    Sqlite(rusqlite::Error),
    Poison(String),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> WriteError {
        WriteError::Sqlite(error)
    }
}

/// Makes the tables. The inner error says why they cannot be this run's.
pub(super) fn prepare(
    connection: &Connection,
    table: &str,
    schema: &Schema,
    is_resumed: bool,
) -> rusqlite::Result<Result<(), String>> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    // A text always has a form in JSON.
    let json = serde_json::to_string(schema).unwrap_or_default();
    let exists = |name: &str| {
        let sql = "SELECT 1 FROM sqlite_schema WHERE name = ?1";
        connection.query_row(sql, [name], |_| Ok(())).optional().map(|found| found.is_some())
    };
    if exists(&format!("{table}_schema"))? {
        let written: String =
            connection.query_row(&format!("SELECT json FROM \"{table}_schema\""), [], |row| row.get(0))?;
        let n_rows: i64 = connection.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0))?;
        return Ok(match () {
            () if !is_resumed && n_rows > 0 => Err(format!("it is there already and has {n_rows} rows")),
            () if written != json => Err("it is there already, for rows of another shape".to_owned()),
            () => Ok(()),
        });
    }
    if exists(table)? {
        return Ok(Err("there is a table of that name that Crossfade did not make".to_owned()));
    }
    let mut sql = format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE \"{table}\" (rowid INTEGER PRIMARY KEY, namespace TEXT NOT NULL, id TEXT NOT NULL, text TEXT, metadata TEXT, space TEXT,
           UNIQUE (namespace, id));
         CREATE TABLE \"{table}_sparse\" (\"row\" INTEGER NOT NULL, name TEXT NOT NULL, indices BLOB NOT NULL, \"values\" BLOB NOT NULL,
           PRIMARY KEY (\"row\", name)) WITHOUT ROWID;
         CREATE TABLE \"{table}_multi\" (\"row\" INTEGER NOT NULL, name TEXT NOT NULL, dims INTEGER NOT NULL, \"values\" BLOB NOT NULL,
           PRIMARY KEY (\"row\", name)) WITHOUT ROWID;
         CREATE TABLE \"{table}_schema\" (json TEXT NOT NULL);"
    );
    for (name, shape) in &schema.dense {
        match declared(name, shape) {
            Ok(declared) => {
                sql += &format!("CREATE VIRTUAL TABLE \"{table}_vec_{name}\" USING vec0(embedding {declared});")
            }
            Err(why) => return Ok(Err(why)),
        }
    }
    connection.execute_batch(&sql)?;
    connection.execute(&format!("INSERT INTO \"{table}_schema\" VALUES (?1)"), [json])?;
    connection.execute_batch("COMMIT")?;
    Ok(Ok(()))
}

/// Writes rows in one transaction.
pub(super) fn rows(
    connection: &mut Connection,
    table: &str,
    schema: &Schema,
    rows: &[(Row, RowDigest)],
) -> Result<(), WriteError> {
    // Begun as a writer, it waits for another one; begun as a reader, it could not become one after somebody else wrote.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (row, _) in rows {
        one(&transaction, table, schema, row)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Writes a row in the place of the one of its namespace and identifier.
pub(super) fn one(transaction: &Transaction, table: &str, schema: &Schema, row: &Row) -> Result<(), WriteError> {
    let found = find(transaction, table, &row.namespace, &row.id)?;
    if let Some(rowid) = found {
        clear(transaction, table, schema, rowid)?;
    }
    let sql = format!(
        "INSERT INTO \"{table}\" (rowid, namespace, id, text, metadata, space) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    );
    let metadata = row.metadata.as_ref().map(Metadata::text);
    transaction.prepare_cached(&sql)?.execute(params![found, row.namespace, row.id, row.text, metadata, row.space])?;
    let rowid = found.unwrap_or_else(|| transaction.last_insert_rowid());
    for (name, dense) in &row.dense {
        let (bytes, as_type) = match dense {
            Dense::F16(values) => (
                widened(values).ok_or_else(|| {
                    WriteError::Poison(format!(
                        "vector `{name}` of 16-bit floats has a signalling NaN, which is not kept"
                    ))
                })?,
                "?2",
            ),
            other => (other.to_bytes(), as_type(other.dtype())),
        };
        let sql = format!("INSERT INTO \"{table}_vec_{name}\" (rowid, embedding) VALUES (?1, {as_type})");
        transaction.prepare_cached(&sql)?.execute(params![rowid, bytes])?;
    }
    for (name, sparse) in &row.sparse {
        let indices: Vec<u8> = sparse.indices().iter().flat_map(|index| index.to_le_bytes()).collect();
        let sql = format!("INSERT INTO \"{table}_sparse\" VALUES (?1, ?2, ?3, ?4)");
        transaction.prepare_cached(&sql)?.execute(params![rowid, name, indices, floats_to_bytes(sparse.values())])?;
    }
    for (name, multi) in &row.multi {
        let sql = format!("INSERT INTO \"{table}_multi\" VALUES (?1, ?2, ?3, ?4)");
        let dims = i64::try_from(multi.dims()).unwrap_or(i64::MAX);
        transaction.prepare_cached(&sql)?.execute(params![rowid, name, dims, floats_to_bytes(multi.values())])?;
    }
    Ok(())
}

/// Takes a row away, if it is there.
pub(super) fn delete(
    transaction: &Transaction,
    table: &str,
    schema: &Schema,
    namespace: &str,
    id: &str,
) -> rusqlite::Result<()> {
    match find(transaction, table, namespace, id)? {
        Some(rowid) => clear(transaction, table, schema, rowid),
        None => Ok(()),
    }
}

fn find(transaction: &Transaction, table: &str, namespace: &str, id: &str) -> rusqlite::Result<Option<i64>> {
    let sql = format!("SELECT rowid FROM \"{table}\" WHERE namespace = ?1 AND id = ?2");
    transaction.prepare_cached(&sql)?.query_row([namespace, id], |row| row.get(0)).optional()
}

/// Takes away what a row of before has: `vec0` replaces nothing.
fn clear(transaction: &Transaction, table: &str, schema: &Schema, rowid: i64) -> rusqlite::Result<()> {
    for name in schema.dense.keys() {
        transaction
            .prepare_cached(&format!("DELETE FROM \"{table}_vec_{name}\" WHERE rowid = ?1"))?
            .execute([rowid])?;
    }
    for other in ["sparse", "multi"] {
        transaction.prepare_cached(&format!("DELETE FROM \"{table}_{other}\" WHERE \"row\" = ?1"))?.execute([rowid])?;
    }
    transaction.prepare_cached(&format!("DELETE FROM \"{table}\" WHERE rowid = ?1"))?.execute([rowid])?;
    Ok(())
}

/// How bytes are told to be a vector of their type.
fn as_type(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 | Dtype::F16 => "?2",
        Dtype::I8 => "vec_int8(?2)",
        Dtype::Binary => "vec_bit(?2)",
    }
}

/// As 32-bit floats, if all of them come back.
fn widened(values: &[u16]) -> Option<Vec<u8>> {
    let wide: Vec<f32> = values.iter().map(|bits| half::f16::from_bits(*bits).to_f32()).collect();
    let comes_back = wide.iter().zip(values).all(|(wide, bits)| half::f16::from_f32(*wide).to_bits() == *bits);
    comes_back.then(|| floats_to_bytes(&wide))
}
