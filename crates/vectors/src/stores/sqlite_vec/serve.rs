//! Answers to an application, from the tables.

use std::collections::BTreeMap;

use rusqlite::types::ToSql;
use rusqlite::{Transaction, TransactionBehavior, params_from_iter};

use super::{SqliteVec, of, read, shape, write};
use crate::facade::backend::{Ask, Backend, Which};
use crate::facade::filter::{Clause, Dialect, Filter};
use crate::nearest::Hit;
use crate::retry::Trouble;
use crate::row::{Dtype, Row, floats_to_bytes};
use crate::schema::{Metric, Schema};

/// The most that `vec0` finds at once.
const MAX_K: usize = 4096;

impl SqliteVec {
    /// Does something in a transaction, whose writes are on the disk when it returns.
    fn within<T>(
        &mut self,
        what: &str,
        behavior: TransactionBehavior,
        does: impl FnOnce(&Transaction<'_>, &str, &Schema) -> Result<T, Failed>,
    ) -> Result<T, Trouble> {
        let (table, doing) = (self.table.clone(), self.doing(what));
        if self.open.is_none() {
            let connection = &self.reading()?.0;
            connection.execute_batch("PRAGMA synchronous = FULL").map_err(|error| of(doing.clone(), &error))?;
            connection.set_prepared_statement_cache_capacity(64);
        }
        let (connection, schema) = self.reading()?;
        let work = || {
            let transaction = Transaction::new_unchecked(connection, behavior)?;
            let done = does(&transaction, &table, schema)?;
            transaction.commit()?;
            Ok(done)
        };
        work().map_err(|failed| match failed {
            Failed::Sqlite(error) => of(doing, &error),
            Failed::Poison(why) => Trouble::poison(doing, why),
            Failed::Other(why) => Trouble::permanent(doing, why),
        })
    }
}

/// Why something was not done.
enum Failed {
    Sqlite(rusqlite::Error),
    Poison(String),
    Other(String),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed::Sqlite(error)
    }
}

impl From<read::ReadError> for Failed {
    fn from(error: read::ReadError) -> Failed {
        match error {
            read::ReadError::Sqlite(error) => Failed::Sqlite(error),
            read::ReadError::Other(why) => Failed::Other(why),
        }
    }
}

impl From<write::WriteError> for Failed {
    fn from(error: write::WriteError) -> Failed {
        match error {
            write::WriteError::Sqlite(error) => Failed::Sqlite(error),
            write::WriteError::Poison(why) => Failed::Poison(why),
        }
    }
}

impl Backend for SqliteVec {
    fn shape(&mut self) -> Result<Schema, Trouble> {
        Ok(self.reading()?.1.clone())
    }

    fn nearest(&mut self, ask: &Ask<'_>) -> Result<Vec<Hit>, Trouble> {
        self.within("search", TransactionBehavior::Deferred, |transaction, table, schema| {
            nearest(transaction, table, schema, ask)
        })
    }

    fn fetch(&mut self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Trouble> {
        self.within("read", TransactionBehavior::Deferred, |transaction, table, schema| {
            let sql = format!("SELECT {} FROM \"{table}\" WHERE namespace = ?1 AND id = ?2", read::FIXED);
            let mut statement = transaction.prepare_cached(&sql)?;
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                let mut found = statement.query([namespace, id])?;
                if let Some(one) = found.next()? {
                    rows.push(read::row(transaction, table, schema, one)?);
                }
            }
            Ok(rows)
        })
    }

    fn ids(&mut self, which: &Which<'_>) -> Result<Vec<String>, Trouble> {
        self.within("list", TransactionBehavior::Deferred, |transaction, table, _| {
            let clause = Clause::of(which.filter, Dialect::Sqlite, 5);
            let sql = format!(
                "SELECT id FROM \"{table}\" WHERE namespace = ?1 AND id >= ?2 AND (?3 IS NULL OR id > ?3) AND substr(id, 1, length(?2)) = ?2 AND {}
                 ORDER BY id LIMIT ?4",
                clause.sql
            );
            let limit = i64::try_from(which.limit).unwrap_or(i64::MAX);
            let fixed: [&dyn ToSql; 4] = [&which.namespace, &which.prefix, &which.after, &limit];
            let given = fixed.into_iter().chain(clause.params.iter().map(|param| param as &dyn ToSql));
            let mut statement = transaction.prepare(&sql)?;
            let ids = statement.query_map(params_from_iter(given), |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(ids)
        })
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), Trouble> {
        self.within("write to", TransactionBehavior::Immediate, |transaction, table, schema| {
            for row in rows {
                write::one(transaction, table, schema, row)?;
            }
            Ok(())
        })
    }

    fn delete(&mut self, namespace: &str, ids: &[String]) -> Result<(), Trouble> {
        self.within("delete from", TransactionBehavior::Immediate, |transaction, table, schema| {
            for id in ids {
                write::delete(transaction, table, schema, namespace, id)?;
            }
            Ok(())
        })
    }

    fn count(&mut self, filter: Option<&Filter>) -> Result<BTreeMap<String, u64>, Trouble> {
        self.within("count", TransactionBehavior::Deferred, |transaction, table, _| {
            let clause = Clause::of(filter, Dialect::Sqlite, 1);
            let sql = format!("SELECT namespace, count(*) FROM \"{table}\" WHERE {} GROUP BY namespace", clause.sql);
            let mut statement = transaction.prepare(&sql)?;
            let counts = statement.query_map(params_from_iter(&clause.params), |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
            })?;
            Ok(counts.collect::<Result<_, _>>()?)
        })
    }
}

fn nearest(transaction: &Transaction<'_>, table: &str, schema: &Schema, ask: &Ask<'_>) -> Result<Vec<Hit>, Failed> {
    let shape = shape(schema, ask.vector, ask.metric).map_err(Failed::Other)?;
    if !matches!(shape.dtype, Dtype::F32 | Dtype::F16) {
        return Err(Failed::Other(format!("`{}` is of {:?}: search by it is not built", ask.vector, shape.dtype)));
    }
    let clause = Clause::of(ask.filter, Dialect::Sqlite, 4);
    let allowed = format!("SELECT rowid FROM \"{table}\" WHERE namespace = ?3 AND {}", clause.sql);
    let vectors = format!("\"{table}_vec_{}\"", ask.vector);
    let found = if ask.k <= MAX_K {
        format!("SELECT rowid, distance FROM {vectors} WHERE embedding MATCH ?1 AND k = ?2 AND rowid IN ({allowed})")
    } else {
        // More than `vec0` finds at once: every vector that is allowed is looked up and compared.
        let distance = if ask.metric == Metric::Cosine { "vec_distance_cosine" } else { "vec_distance_l2" };
        format!(
            "SELECT allowed.rowid, {distance}(vectors.embedding, ?1) AS distance FROM ({allowed}) AS allowed
             CROSS JOIN {vectors} AS vectors ON vectors.rowid = allowed.rowid ORDER BY distance LIMIT ?2"
        )
    };
    let sql = format!(
        "SELECT \"{table}\".id, found.distance FROM ({found}) AS found JOIN \"{table}\" ON \"{table}\".rowid = found.rowid
         ORDER BY found.distance, \"{table}\".id DESC"
    );
    let k = i64::try_from(ask.k).unwrap_or(i64::MAX);
    let bytes = floats_to_bytes(&ask.query.vector);
    let fixed: [&dyn ToSql; 3] = [&bytes, &k, &ask.query.namespace];
    let given = fixed.into_iter().chain(clause.params.iter().map(|param| param as &dyn ToSql));
    let mut statement = transaction.prepare_cached(&sql)?;
    let hits = statement
        .query_map(params_from_iter(given), |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<f64>>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    // The angle of a zero vector is none. A filter on it in SQL would be taken for one of `vec0`.
    let hits = hits.into_iter().filter_map(|(id, distance)| Some(Hit { id, distance: distance? }));
    Ok(hits.collect())
}
