//! What leaves the record: bodies first, whole exchanges later, oldest first, a few at a time.
//!
//! Each turn is one short transaction, so that whoever writes beside it never waits long, and a process that dies in between leaves
//! nothing half gone. What a rollout rests on, and what waits for a person or a copy, stays whatever its age. The audit, filed
//! results, decisions, the saved evidence, costs by day and the ledger of connections are never touched.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Statement, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use wire::ids::ExchangeId;

use super::keys::write_audit;
use super::{AuditRow, Database, DatabaseError, during, signed, unsigned, writable};

/// How long a turn waits for another writer; then it is tried again later.
const WAIT: Duration = Duration::from_millis(500);
/// At most so many exchanges, or rows of what was counted, are looked at in one turn.
const MOST_PER_TURN: u32 = 256;
/// At most about so many bytes of bodies go in one turn: as much as the shipper brings.
const MOST_BYTES: u64 = 4 << 20;
/// So many exchanges are read at once where nothing is to go.
const MOST_PER_LOOK: u32 = 4096;

/// What of the record is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Bodies of requests, answers and copies.
    Bodies,
    /// Exchanges with everything that belongs to them: bodies, attempts, checks, pairs, feedback.
    Exchanges,
    /// Which units, and which outcomes of units, the evidence of ended epochs counted. The entries for a replay are not among them.
    Counted,
}

/// A rollout whose exchanges stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFor {
    /// The rollout.
    pub rollout: String,
    /// Those received since then, Unix microseconds; 0 is all of them.
    pub since_us: u64,
}

/// What went, or would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Exchanges.
    pub exchanges: u64,
    /// Bodies.
    pub bodies: u64,
    /// Their bytes as stored.
    pub body_bytes: u64,
    /// Rows of what evidence counted.
    pub counted: u64,
    /// Exchanges that are old enough and stay: a rollout rests on them, or something waits for them.
    pub kept: u64,
}

impl Pruned {
    /// Adds what another turn did.
    pub fn add(&mut self, other: &Pruned) {
        self.exchanges += other.exchanges;
        self.bodies += other.bodies;
        self.body_bytes += other.body_bytes;
        self.counted += other.counted;
        self.kept += other.kept;
    }
}

/// One turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// What went.
    pub gone: Pruned,
    /// Where the next turn begins; `None` at the end.
    pub after: Option<ExchangeId>,
}

/// How large the database is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSize {
    /// Bytes in use.
    pub used: u64,
    /// Bytes of the file that hold nothing and are used again before it grows.
    pub free: u64,
}

/// A connection that takes things away. What it deletes is overwritten with zeros.
#[derive(Debug)]
pub struct Pruner(Connection);

impl Pruner {
    /// Opens the database of this file, whose tables are there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Pruner, DatabaseError> {
        let connection = writable(path, "NORMAL", WAIT)?;
        connection.pragma_update(None, "secure_delete", true).map_err(during("preparing to prune"))?;
        Ok(Pruner(connection))
    }

    /// How large the database is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn size(&self) -> Result<StoreSize, DatabaseError> {
        size(&self.0)
    }

    /// Takes away a few things of `part` that are older than `before_us` and that nothing in `kept` holds, beginning after `after`.
    ///
    /// # Errors
    /// When the database is busy or fails; then nothing went.
    pub fn turn(
        &mut self,
        part: Part,
        (after, before_us): (Option<ExchangeId>, u64),
        kept: &[KeptFor],
    ) -> Result<Turn, DatabaseError> {
        let what = during("pruning the record");
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&what)?;
        let turn = match part {
            Part::Counted => counted(&transaction, before_us, kept).map_err(&what)?,
            _ => {
                let looked = look(&transaction, (part, MOST_PER_TURN), (after, before_us), kept).map_err(&what)?;
                delete(&transaction, part, &looked.may_go).map_err(&what)?;
                Turn { gone: looked.sum, after: looked.after }
            }
        };
        transaction.commit().map_err(&what)?;
        Ok(turn)
    }

    /// Writes down who pruned by hand.
    ///
    /// # Errors
    /// When the database is busy or fails.
    pub fn audit(&mut self, row: &AuditRow) -> Result<(), DatabaseError> {
        let what = during("writing the audit");
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&what)?;
        write_audit(&transaction, row)?;
        transaction.commit().map_err(&what)
    }

    /// Gives free pages back to the file system. The database is copied, which takes as much room again, and nobody else may use it.
    ///
    /// # Errors
    /// When somebody else uses it, or there is no room.
    pub fn compact(&self) -> Result<(), DatabaseError> {
        self.0.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").map_err(during("compacting the database"))
    }
}

impl Database {
    /// What [`Pruner::turn`] would take away in all turns together.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn prunable(&self, part: Part, before_us: u64, kept: &[KeptFor]) -> Result<Pruned, DatabaseError> {
        let connection = self.reading();
        let what = during("reading what would go");
        if part == Part::Counted {
            return countable(&connection, before_us, kept).map_err(&what);
        }
        let (mut sum, mut after) = (Pruned::default(), None);
        loop {
            let looked = look(&connection, (part, MOST_PER_LOOK), (after, before_us), kept).map_err(&what)?;
            sum.add(&looked.sum);
            after = looked.after;
            if after.is_none() {
                return Ok(sum);
            }
        }
    }

    /// How large the database is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn size(&self) -> Result<StoreSize, DatabaseError> {
        size(&self.reading())
    }

    /// When the oldest exchange on record, and the oldest whose bodies are, was received, Unix microseconds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn oldest(&self) -> Result<(Option<u64>, Option<u64>), DatabaseError> {
        let connection = self.reading();
        let first = |sql: &str| {
            let id: Option<[u8; 16]> = connection.query_row(sql, [], |row| row.get(0))?;
            Ok(id.map(|id| ExchangeId::from_bytes(id).unix_ms().saturating_mul(1000)))
        };
        let both = first("SELECT min(id) FROM exchanges")
            .and_then(|exchange| Ok((exchange, first("SELECT min(exchange_id) FROM bodies")?)));
        both.map_err(during("reading the oldest exchange"))
    }
}

fn size(connection: &Connection) -> Result<StoreSize, DatabaseError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0).map(unsigned));
    let read = || {
        let (page, pages, free) = (pragma("page_size")?, pragma("page_count")?, pragma("freelist_count")?);
        Ok(StoreSize { used: page * pages.saturating_sub(free), free: page * free })
    };
    read().map_err(during("reading the size of the database"))
}

/// What was found of one part.
struct Looked {
    may_go: Vec<ExchangeId>,
    sum: Pruned,
    after: Option<ExchangeId>,
}

/// An exchange with how many bodies it has, and their bytes.
type Found = (ExchangeId, u64, u64);

fn look(
    connection: &Connection,
    (part, at_most): (Part, u32),
    (after, before_us): (Option<ExchangeId>, u64),
    kept: &[KeptFor],
) -> rusqlite::Result<Looked> {
    let before = ExchangeId::from_u128(u128::from(before_us / 1000) << 80);
    let span = (after.unwrap_or(ExchangeId::from_u128(0)), before);
    let (found, is_end) = match part {
        Part::Exchanges => exchanges(connection, span, at_most)?,
        _ => bodies(connection, span, at_most)?,
    };
    let mut holders = Holders::prepare(connection, kept)?;
    let mut looked = Looked { may_go: Vec::new(), sum: Pruned::default(), after: None };
    for (idx, (id, n, bytes)) in found.iter().copied().enumerate() {
        if holders.hold(id)? {
            looked.sum.kept += 1;
        } else {
            looked.may_go.push(id);
            looked.sum.bodies += n;
            looked.sum.body_bytes += bytes;
            looked.sum.exchanges += u64::from(part == Part::Exchanges);
        }
        let is_last = idx + 1 == found.len();
        if looked.sum.body_bytes >= MOST_BYTES || is_last {
            looked.after = (!is_last || !is_end).then_some(id);
            break;
        }
    }
    Ok(looked)
}

const BODIES: &str = "SELECT exchange_id, length(data) FROM bodies WHERE exchange_id > ?1 AND exchange_id < ?2
    UNION ALL SELECT exchange_id, length(data) FROM copy_bodies WHERE exchange_id > ?1 AND exchange_id < ?2
    ORDER BY 1 LIMIT ?3";

/// Exchanges that have bodies, and whether there are no more.
fn bodies(
    connection: &Connection,
    (after, before): (ExchangeId, ExchangeId),
    at_most: u32,
) -> rusqlite::Result<(Vec<Found>, bool)> {
    let mut select = connection.prepare(BODIES)?;
    let rows = select.query_map(params![after.to_bytes(), before.to_bytes(), at_most], |row| {
        Ok((row.get(0).map(ExchangeId::from_bytes)?, row.get(1).map(unsigned)?))
    })?;
    let (mut found, mut n_rows): (Vec<Found>, u32) = (Vec::new(), 0);
    for row in rows {
        let (id, bytes) = row?;
        n_rows += 1;
        match found.last_mut().filter(|last| last.0 == id) {
            Some(last) => *last = (id, last.1 + 1, last.2 + bytes),
            None => found.push((id, 1, bytes)),
        }
    }
    let is_end = n_rows < at_most;
    if !is_end && found.len() > 1 {
        // The limit may have cut it in two.
        found.pop();
    }
    Ok((found, is_end))
}

const EXCHANGES: &str = "SELECT id,
        (SELECT count(*) FROM bodies WHERE exchange_id = id) + (SELECT count(*) FROM copy_bodies WHERE exchange_id = id),
        (SELECT coalesce(sum(length(data)), 0) FROM bodies WHERE exchange_id = id)
            + (SELECT coalesce(sum(length(data)), 0) FROM copy_bodies WHERE exchange_id = id)
    FROM exchanges WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3";

fn exchanges(
    connection: &Connection,
    (after, before): (ExchangeId, ExchangeId),
    at_most: u32,
) -> rusqlite::Result<(Vec<Found>, bool)> {
    let mut select = connection.prepare(EXCHANGES)?;
    let rows = select.query_map(params![after.to_bytes(), before.to_bytes(), at_most], |row| {
        Ok((row.get(0).map(ExchangeId::from_bytes)?, row.get(1).map(unsigned)?, row.get(2).map(unsigned)?))
    })?;
    let found: Vec<Found> = rows.collect::<Result<_, _>>()?;
    let is_end = found.len() < at_most as usize;
    Ok((found, is_end))
}

/// Rollouts that an exchange belongs to: by its own unit, by a copy of it, by a pair, by a copy that is still to be made.
const ROLLOUTS_OF: &str = "SELECT rollout FROM exchanges WHERE id = ?1 AND rollout IS NOT NULL
    UNION SELECT rollout FROM attempts WHERE exchange_id = ?1 AND rollout IS NOT NULL
    UNION SELECT rollout FROM pairs WHERE exchange_id = ?1";
const IS_TO_BE_COPIED: &str = "SELECT EXISTS (SELECT 1 FROM deferred WHERE rollout = ?2 AND exchange_id = ?1)";
/// Its answer is not there yet, or a person is to decide about it.
const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM pending WHERE id = ?1) OR EXISTS (
    SELECT 1 FROM checks c WHERE c.exchange_id = ?1 AND c.shadow = 0 AND c.verdict = 'escalate'
        AND NOT EXISTS (SELECT 1 FROM reviews r WHERE r.exchange_id = ?1))";

/// What holds an exchange back.
struct Holders<'c> {
    kept: &'c [KeptFor],
    rollouts_of: Statement<'c>,
    is_to_be_copied: Statement<'c>,
    waits: Statement<'c>,
}

impl<'c> Holders<'c> {
    fn prepare(connection: &'c Connection, kept: &'c [KeptFor]) -> rusqlite::Result<Holders<'c>> {
        Ok(Holders {
            kept,
            rollouts_of: connection.prepare(ROLLOUTS_OF)?,
            is_to_be_copied: connection.prepare(IS_TO_BE_COPIED)?,
            waits: connection.prepare(WAITS)?,
        })
    }

    fn hold(&mut self, id: ExchangeId) -> rusqlite::Result<bool> {
        let bytes = id.to_bytes();
        let is_in = |kept: &&KeptFor| id.unix_ms().saturating_mul(1000) >= kept.since_us;
        let kept: Vec<&KeptFor> = self.kept.iter().filter(is_in).collect();
        if !kept.is_empty() {
            let mut rows = self.rollouts_of.query([bytes])?;
            while let Some(row) = rows.next()? {
                let rollout: String = row.get(0)?;
                if kept.iter().any(|kept| kept.rollout == rollout) {
                    return Ok(true);
                }
            }
        }
        for kept in kept {
            if self.is_to_be_copied.query_row(params![bytes, kept.rollout], |row| row.get(0))? {
                return Ok(true);
            }
        }
        self.waits.query_row([bytes], |row| row.get(0))
    }
}

fn delete(transaction: &Transaction<'_>, part: Part, ids: &[ExchangeId]) -> rusqlite::Result<()> {
    const BODIES: &[&str] =
        &["DELETE FROM bodies WHERE exchange_id = ?1", "DELETE FROM copy_bodies WHERE exchange_id = ?1"];
    const REST: &[&str] = &[
        "DELETE FROM attempts WHERE exchange_id = ?1",
        "DELETE FROM outcomes WHERE exchange_id = ?1",
        "DELETE FROM checks WHERE exchange_id = ?1",
        "DELETE FROM feedback WHERE exchange_id = ?1",
        "DELETE FROM pairs WHERE exchange_id = ?1",
        "DELETE FROM exchanges WHERE id = ?1",
    ];
    let rest = if part == Part::Exchanges { REST } else { &[] };
    for sql in BODIES.iter().chain(rest) {
        let mut delete = transaction.prepare(sql)?;
        for id in ids {
            delete.execute([id.to_bytes()])?;
        }
    }
    Ok(())
}

/// Epochs that are over: a later one of their rollout has evidence, and they have counted nothing for long.
const ENDED: &str = "SELECT e.rollout, e.epoch FROM evidence e WHERE e.updated_at_us < ?1
    AND e.epoch < (SELECT max(epoch) FROM evidence WHERE rollout = e.rollout) ORDER BY 1, 2";

fn ended(connection: &Connection, before_us: u64, kept: &[KeptFor]) -> rusqlite::Result<Vec<(String, u32)>> {
    let mut select = connection.prepare(ENDED)?;
    let rows = select.query_map([signed(before_us)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut epochs: Vec<(String, u32)> = rows.collect::<Result<_, _>>()?;
    epochs.retain(|(rollout, _)| !kept.iter().any(|kept| kept.rollout == *rollout));
    Ok(epochs)
}

const COUNTED: [(&str, &str); 2] = [
    (
        "DELETE FROM seen_units WHERE (rollout, epoch, unit) IN
            (SELECT rollout, epoch, unit FROM seen_units WHERE rollout = ?1 AND epoch = ?2 LIMIT ?3)",
        "SELECT count(*) FROM seen_units WHERE rollout = ?1 AND epoch = ?2",
    ),
    (
        "DELETE FROM unit_outcomes WHERE (rollout, epoch, unit, metric, source, happened_us) IN
            (SELECT rollout, epoch, unit, metric, source, happened_us FROM unit_outcomes
             WHERE rollout = ?1 AND epoch = ?2 LIMIT ?3)",
        "SELECT count(*) FROM unit_outcomes WHERE rollout = ?1 AND epoch = ?2",
    ),
];

fn counted(transaction: &Transaction<'_>, before_us: u64, kept: &[KeptFor]) -> rusqlite::Result<Turn> {
    let mut gone = 0;
    for (rollout, epoch) in ended(transaction, before_us, kept)? {
        for (delete, _) in COUNTED {
            let left = u64::from(MOST_PER_TURN).saturating_sub(gone);
            gone += transaction.prepare(delete)?.execute(params![rollout, epoch, signed(left)])? as u64;
        }
    }
    let after = (gone >= u64::from(MOST_PER_TURN)).then_some(ExchangeId::from_u128(0));
    Ok(Turn { gone: Pruned { counted: gone, ..Pruned::default() }, after })
}

fn countable(connection: &Connection, before_us: u64, kept: &[KeptFor]) -> rusqlite::Result<Pruned> {
    let mut n = 0;
    for (rollout, epoch) in ended(connection, before_us, kept)? {
        for (_, count) in COUNTED {
            n += connection.prepare(count)?.query_row(params![rollout, epoch], |row| row.get(0).map(unsigned))?;
        }
    }
    Ok(Pruned { counted: n, ..Pruned::default() })
}

#[cfg(test)]
mod tests;
