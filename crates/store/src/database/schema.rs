//! The tables, by version. A version is never edited; a change is a new entry.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use super::{DatabaseError, during};

const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
    include_str!("schema/9.sql"),
    include_str!("schema/10.sql"),
    include_str!("schema/11.sql"),
    include_str!("schema/12.sql"),
    include_str!("schema/13.sql"),
    include_str!("schema/14.sql"),
    include_str!("schema/15.sql"),
    include_str!("schema/16.sql"),
    include_str!("schema/17.sql"),
    include_str!("schema/18.sql"),
    include_str!("schema/19.sql"),
    include_str!("schema/20.sql"),
    include_str!("schema/21.sql"),
];

/// Brings the schema up to date, each version in one transaction.
pub(super) fn migrate(connection: &Connection, path: &Path) -> Result<(), DatabaseError> {
    let what = during("schema migration");
    loop {
        connection.execute_batch("BEGIN IMMEDIATE").map_err(&what)?;
        let step = next_step(connection, path);
        let done = match step {
            Ok(Some((sql, version))) => connection
                .execute_batch(sql)
                .and_then(|()| connection.pragma_update(None, "user_version", version))
                .map_err(&what)
                .map(|()| false),
            Ok(None) => Ok(true),
            Err(error) => Err(error),
        };
        match done {
            Ok(done) => {
                connection.execute_batch("COMMIT").map_err(&what)?;
                if done {
                    return same_tables(connection, path);
                }
            }
            Err(error) => {
                connection.execute_batch("ROLLBACK").map_err(&what)?;
                return Err(error);
            }
        }
    }
}

/// Refuses a database that a newer version wrote, and one that was never set up.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), DatabaseError> {
    match next_step(connection, path)? {
        None => same_tables(connection, path),
        Some((_, version)) => {
            Err(DatabaseError::Version { path: path.to_path_buf(), found: version - 1, known: known() })
        }
    }
}

/// Refuses a database whose tables are not those of its version: a build between two versions made it, or somebody changed it.
/// What others added beside them is theirs.
fn same_tables(connection: &Connection, path: &Path) -> Result<(), DatabaseError> {
    let what = during("schema check");
    let fresh = Connection::open_in_memory().map_err(&what)?;
    MIGRATIONS.iter().try_for_each(|sql| fresh.execute_batch(sql)).map_err(&what)?;
    let found = objects(connection).map_err(&what)?;
    match objects(&fresh).map_err(&what)?.into_iter().find(|(name, sql)| found.get(name) != Some(sql)) {
        None => Ok(()),
        Some((name, _)) => Err(DatabaseError::Tables { path: path.to_path_buf(), name }),
    }
}

/// The statement that made each table, index and trigger.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn next_step(connection: &Connection, path: &Path) -> Result<Option<(&'static str, i64)>, DatabaseError> {
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|source| DatabaseError::Open { path: path.to_path_buf(), source })?;
    match usize::try_from(found) {
        Ok(done) if done <= MIGRATIONS.len() => Ok(MIGRATIONS.get(done).map(|sql| (*sql, found + 1))),
        _ => Err(DatabaseError::Version { path: path.to_path_buf(), found, known: known() }),
    }
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}
