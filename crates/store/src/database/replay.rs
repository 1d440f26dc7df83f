//! What a rollout's evidence counted and what its transitions were made of: everything that is needed to decide again.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::control::begin;
use super::keys::{AuditRow, write_audit};
use super::{CountedRow, Database, DatabaseError, InputsRow, during, signed, unsigned};

/// A part is numbers and words in lines that are much alike.
const LEVEL: i32 = 3;

impl Database {
    /// The number the next entry of an epoch gets.
    pub fn next_input(&self, rollout: &str, epoch: u32) -> Result<u64, DatabaseError> {
        let select = "SELECT coalesce(max(first + n), 0) FROM inputs WHERE rollout = ?1 AND epoch = ?2";
        let next = self.reading().query_row(select, params![rollout, epoch], |row| row.get(0).map(unsigned));
        next.map_err(during("reading what was counted"))
    }

    /// The first part of an epoch that begins with entry `from` or a later one.
    pub fn next_inputs(&self, rollout: &str, epoch: u32, from: u64) -> Result<Option<InputsRow>, DatabaseError> {
        let select = "SELECT first, n, at_us, looked_json, bytes, data FROM inputs
                      WHERE rollout = ?1 AND epoch = ?2 AND first >= ?3 ORDER BY first LIMIT 1";
        let what = during("reading what was counted");
        let connection = self.reading();
        let found = connection.query_row(select, params![rollout, epoch, signed(from)], |row| {
            let part = InputsRow {
                first: row.get(0).map(unsigned)?,
                n: row.get(1).map(unsigned)?,
                at_us: row.get(2).map(unsigned)?,
                looked_json: row.get(3)?,
                lines: Vec::new(),
            };
            Ok((part, row.get::<_, i64>(4)?, row.get::<_, Vec<u8>>(5)?))
        });
        let Some((part, bytes, data)) = found.optional().map_err(what)? else { return Ok(None) };
        let capacity = usize::try_from(bytes).unwrap_or(0);
        let lines = zstd::bulk::decompress(&data, capacity).map_err(DatabaseError::Body)?;
        Ok(Some(InputsRow { lines, ..part }))
    }

    /// Asks several questions of one moment, whoever writes meanwhile.
    pub fn at_one_moment<T>(&self, ask: impl FnOnce(&Self) -> T) -> Result<T, DatabaseError> {
        self.reading().execute_batch("BEGIN").map_err(during("holding a moment"))?;
        let answer = ask(self);
        self.reading().execute_batch("COMMIT").map_err(during("letting a moment go"))?;
        Ok(answer)
    }

    /// What the transitions of a rollout were made of, by the generation they led to, oldest first.
    pub fn decisions(&self, rollout: &str) -> Result<Vec<(u64, String)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading decisions");
        let mut select = connection
            .prepare("SELECT generation, json FROM decisions WHERE rollout = ?1 ORDER BY generation")
            .map_err(&what)?;
        let rows = select.query_map([rollout], |row| Ok((row.get(0).map(unsigned)?, row.get(1)?))).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

/// Entries of an epoch that were deleted because their time was over: those before `until`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedInputs {
    /// The epoch.
    pub epoch: u32,
    /// The first entry that may still be there.
    pub until: u64,
    /// They were counted before this, Unix microseconds.
    pub before_us: u64,
}

/// What a row of the audit calls it.
const PRUNED: &str = "rollout.prune_inputs";

impl Database {
    /// Every epoch that has evidence, and when it was saved last in Unix microseconds.
    pub fn epochs_of_evidence(&self) -> Result<Vec<(String, u32, u64)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading which epochs there are");
        let mut select = connection
            .prepare("SELECT rollout, epoch, updated_at_us FROM evidence ORDER BY rollout, epoch")
            .map_err(&what)?;
        let rows =
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2).map(unsigned)?))).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Deletes entries of an epoch that were counted before `before_us`, from its first on and `most` parts at most, with a row in the audit. `None`
    /// when there are none.
    pub fn prune_inputs(
        &self,
        (rollout, epoch): (&str, u32),
        (before_us, now_us): (u64, u64),
        most: u32,
    ) -> Result<Option<PrunedInputs>, DatabaseError> {
        let what = during("pruning what was counted");
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let front = "SELECT first + n, at_us FROM inputs WHERE rollout = ?1 AND epoch = ?2 ORDER BY first LIMIT ?3";
        let until = {
            let mut select = transaction.prepare(front).map_err(&what)?;
            let parts = select
                .query_map(params![rollout, epoch, most], |row| {
                    Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?))
                })
                .map_err(&what)?;
            let mut until = None;
            for part in parts {
                let (end, at_us): (u64, u64) = part.map_err(&what)?;
                if at_us >= before_us {
                    break;
                }
                until = Some(end);
            }
            until
        };
        let Some(until) = until else { return Ok(None) };
        let delete = "DELETE FROM inputs WHERE rollout = ?1 AND epoch = ?2 AND first < ?3";
        transaction.execute(delete, params![rollout, epoch, signed(until)]).map_err(&what)?;
        let pruned = PrunedInputs { epoch, until, before_us };
        let audit = AuditRow {
            at_us: now_us,
            actor: "crossfade".to_owned(),
            action: PRUNED.to_owned(),
            subject: format!("rollout:{rollout}"),
            reason: "`record.replay` is over".to_owned(),
            detail_json: serde_json::to_string(&pruned).unwrap_or_default(),
        };
        write_audit(&transaction, &audit)?;
        transaction.commit().map_err(&what)?;
        Ok(Some(pruned))
    }

    /// What was pruned of a rollout's entries, by epoch: the first entry that may still be there.
    pub fn pruned_inputs(&self, rollout: &str) -> Result<BTreeMap<u32, u64>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading what was pruned");
        let mut select = connection
            .prepare("SELECT detail_json FROM audit WHERE subject = ?1 AND action = ?2 ORDER BY number")
            .map_err(&what)?;
        let rows = select
            .query_map(params![format!("rollout:{rollout}"), PRUNED], |row| row.get::<_, String>(0))
            .map_err(&what)?;
        let mut pruned = BTreeMap::new();
        for row in rows {
            // What cannot be read explains nothing: the entries then are missing.
            if let Ok(PrunedInputs { epoch, until, .. }) = serde_json::from_str(&row.map_err(&what)?) {
                pruned.insert(epoch, until);
            }
        }
        Ok(pruned)
    }
}

/// Parts without an entry are left out: they say nothing. A part takes the place of what stands from its first number on: whoever writes began to count where the store
/// stood then, so that is what another one wrote who led meanwhile, or the same part of a writing that was not known to have come in. The evidence beside it is the
/// writer's as well, and what is now missing before it a replay says.
pub(super) fn write_inputs(transaction: &Transaction<'_>, counted: &CountedRow) -> Result<(), DatabaseError> {
    let evidence = &counted.evidence;
    for part in counted.inputs.iter().filter(|part| part.n > 0) {
        let data = zstd::bulk::compress(&part.lines, LEVEL).map_err(DatabaseError::Body)?;
        let what = during("saving what was counted");
        transaction
            .execute(
                "DELETE FROM inputs WHERE rollout = ?1 AND epoch = ?2 AND first + n > ?3",
                params![evidence.rollout, evidence.epoch, signed(part.first)],
            )
            .map_err(&what)?;
        transaction
            .execute(
                "INSERT INTO inputs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    evidence.rollout,
                    evidence.epoch,
                    signed(part.first),
                    signed(part.n),
                    signed(part.at_us),
                    part.looked_json,
                    signed(part.lines.len() as u64),
                    data,
                ],
            )
            .map_err(&what)?;
    }
    Ok(())
}

pub(super) fn write_decision(
    transaction: &Transaction<'_>,
    rollout: &str,
    generation: u64,
    json: &str,
) -> Result<(), DatabaseError> {
    transaction
        .execute("INSERT INTO decisions VALUES (?1, ?2, ?3)", params![rollout, signed(generation), json])
        .map_err(during("saving a decision"))?;
    Ok(())
}
