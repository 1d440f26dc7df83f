//! The tables into rows, by key.

use rusqlite::{Connection, OptionalExtension, params};

use crate::metadata::Metadata;
use crate::row::{Dense, Dtype, Multi, Row, Sparse, floats_of_bytes};
use crate::schema::{DenseShape, Schema};
use crate::store::{Budget, Cursor, Page, Partition};

/// Why rows were not read.
pub(super) enum ReadError {
    Sqlite(rusqlite::Error),
    Other(String),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> ReadError {
        ReadError::Sqlite(error)
    }
}

/// Bounds by key that a run keeps to: a row that comes or goes meanwhile moves none of them.
pub(super) fn partitions(
    connection: &Connection,
    table: &str,
    n_rows: u64,
    each: u64,
) -> rusqlite::Result<Vec<Partition>> {
    let sql = format!("SELECT namespace, id FROM \"{table}\" ORDER BY namespace, id LIMIT 1 OFFSET ?1");
    let mut partitions = Vec::new();
    let mut after = None;
    for n in 1..n_rows.div_ceil(each).max(1) {
        let at = i64::try_from(n * each - 1).unwrap_or(i64::MAX);
        let until: Option<(String, String)> =
            connection.query_row(&sql, [at], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some(until) = until else { break };
        partitions.push(Partition::Keys { after: after.replace(until.clone()), until: Some(until) });
    }
    partitions.push(Partition::Keys { after, until: None });
    Ok(partitions)
}

/// A page of a partition.
pub(super) fn page(
    connection: &Connection,
    table: &str,
    schema: &Schema,
    (partition, after, budget): (&Partition, Option<&Cursor>, Budget),
) -> Result<Page, ReadError> {
    let Partition::Keys { after: begin, until } = partition else {
        return Err(ReadError::Other("the journal has a file for it, not keys".to_owned()));
    };
    let after = match after {
        Some(Cursor::Key(namespace, id)) => Some((namespace.clone(), id.clone())),
        Some(Cursor::Offset(_)) => {
            return Err(ReadError::Other("the journal has an offset for it, not a key".to_owned()));
        }
        None => begin.clone(),
    };
    let sql = format!(
        "SELECT {FIXED} FROM \"{table}\"
         WHERE (?1 IS NULL OR (namespace, id) > (?1, ?2)) AND (?3 IS NULL OR (namespace, id) <= (?3, ?4)) ORDER BY namespace, id"
    );
    // Without a lower bound the comparison with nothing would be unknown: both forms have a plan of their own.
    let sql = match (&after, until) {
        (Some(_), Some(_)) => sql.replace("?1 IS NULL OR ", "").replace("?3 IS NULL OR ", ""),
        (Some(_), None) => sql.replace("?1 IS NULL OR ", ""),
        (None, _) => sql,
    };
    let (after_namespace, after_id) = after.unzip();
    let (until_namespace, until_id) = until.clone().unzip();
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params![after_namespace, after_id, until_namespace, until_id])?;
    let mut page = Page::default();
    let mut n_bytes = 0;
    while let Some(one) = found.next()? {
        if page.rows.len() >= budget.n_rows || n_bytes >= budget.n_bytes {
            page.next = page.rows.last().map(|row| Cursor::Key(row.namespace.clone(), row.id.clone()));
            break;
        }
        let row = row(connection, table, schema, one)?;
        n_bytes += row.n_bytes();
        page.rows.push(row);
    }
    Ok(page)
}

/// What [`row`] is read from.
pub(super) const FIXED: &str = "rowid, namespace, id, text, metadata, space";

/// The row whose columns of [`FIXED`] these are.
pub(super) fn row(
    connection: &Connection,
    table: &str,
    schema: &Schema,
    one: &rusqlite::Row<'_>,
) -> Result<Row, ReadError> {
    let rowid: i64 = one.get(0)?;
    let metadata: Option<String> = one.get(4)?;
    let mut row =
        Row { namespace: one.get(1)?, id: one.get(2)?, text: one.get(3)?, space: one.get(5)?, ..Row::default() };
    let wrong = |why: String| {
        ReadError::Other(format!(
            "row `{}` of namespace `{}`: {why}",
            one.get::<_, String>(2).unwrap_or_default(),
            one.get::<_, String>(1).unwrap_or_default()
        ))
    };
    row.metadata = metadata.map(|text| Metadata::parse(&text)).transpose().map_err(|error| wrong(error.to_string()))?;
    for (name, shape) in &schema.dense {
        let sql = format!("SELECT embedding FROM \"{table}_vec_{name}\" WHERE rowid = ?1");
        let bytes: Option<Vec<u8>> =
            connection.prepare_cached(&sql)?.query_row([rowid], |row| row.get(0)).optional()?;
        if let Some(bytes) = bytes {
            let dense = dense(shape, &bytes)
                .ok_or_else(|| wrong(format!("vector `{name}` is not {} × {:?}", shape.dims, shape.dtype)))?;
            row.dense.insert(name.clone(), dense);
        }
    }
    if !schema.sparse.is_empty() {
        sparse(connection, table, rowid, &mut row).map_err(&wrong)?;
    }
    if !schema.multi.is_empty() {
        multi(connection, table, rowid, &mut row).map_err(&wrong)?;
    }
    Ok(row)
}

fn dense(shape: &DenseShape, bytes: &[u8]) -> Option<Dense> {
    match shape.dtype {
        Dtype::F16 => {
            let wide = floats_of_bytes(bytes)?;
            let dense = Dense::F16(wide.into_iter().map(|wide| half::f16::from_f32(wide).to_bits()).collect());
            (dense.dims() == shape.dims).then_some(dense)
        }
        dtype => Dense::from_bytes(dtype, shape.dims, bytes),
    }
}

/// Name, indices and values.
type FoundSparse = (String, Vec<u8>, Vec<u8>);

fn sparse(connection: &Connection, table: &str, rowid: i64, row: &mut Row) -> Result<(), String> {
    let sql = format!("SELECT name, indices, \"values\" FROM \"{table}_sparse\" WHERE \"row\" = ?1");
    let read = || -> rusqlite::Result<Vec<FoundSparse>> {
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([rowid], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    };
    for (name, indices, values) in read().map_err(|error| error.to_string())? {
        let indices =
            indices.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect();
        let sparse = floats_of_bytes(&values).and_then(|values| Sparse::new(indices, values));
        row.sparse.insert(name.clone(), sparse.ok_or_else(|| format!("sparse vector `{name}` is broken"))?);
    }
    Ok(())
}

fn multi(connection: &Connection, table: &str, rowid: i64, row: &mut Row) -> Result<(), String> {
    let sql = format!("SELECT name, dims, \"values\" FROM \"{table}_multi\" WHERE \"row\" = ?1");
    let read = || -> rusqlite::Result<Vec<(String, i64, Vec<u8>)>> {
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([rowid], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    };
    for (name, dims, values) in read().map_err(|error| error.to_string())? {
        let multi = floats_of_bytes(&values).and_then(|values| Multi::new(usize::try_from(dims).ok()?, values));
        row.multi.insert(name.clone(), multi.ok_or_else(|| format!("multi-vector `{name}` is broken"))?);
    }
    Ok(())
}
