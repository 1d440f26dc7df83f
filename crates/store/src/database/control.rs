//! What the controller keeps: rollouts, their audit, and their evidence.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::replay::{write_decision, write_inputs};
use super::{
    Beside, CountedRow, Database, DatabaseError, EvidenceRow, RolloutRow, SeenUnit, TransitionRow, during, signed,
    unsigned,
};
use crate::failpoint;

/// Why a transition was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else moved the rollout first: read it again.
    #[error("rollout {rollout} is at generation {found}, not {expected}")]
    Conflict {
        /// The rollout.
        rollout: String,
        /// The generation the caller knew.
        expected: u64,
        /// The generation in the database; 0 when there is no such rollout.
        found: u64,
    },
    /// The database failed; nothing was changed.
    #[error("the transition could not be saved")]
    Database(#[from] DatabaseError),
}

/// Nobody else writes while this lives.
#[derive(Debug)]
pub struct Held(Connection);

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = self.0.execute_batch("ROLLBACK") {
            tracing::debug!(%error, "the connection ends its transaction with itself");
        }
    }
}

const TRANSITION: &str =
    "SELECT rollout, generation, at_us, from_stage, to_stage, from_share, to_share, epoch, actor, event,
    reason, evidence_json, policy_hash FROM transitions";

impl Database {
    /// Moves a rollout on: state, audit row and what stands beside them in one transaction, if it is still at
    /// `expected_generation` (0: it does not exist). The new generation is returned and is `expected_generation + 1`.
    pub fn commit_transition(
        &self,
        expected_generation: u64,
        rollout: &RolloutRow,
        transition: &TransitionRow,
        beside: &Beside<'_>,
    ) -> Result<u64, CommitError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let found = generation(&transaction, &rollout.name)?;
        if found != expected_generation {
            return Err(CommitError::Conflict { rollout: rollout.name.clone(), expected: expected_generation, found });
        }
        let generation = expected_generation + 1;
        write_rollout(&transaction, rollout, generation)?;
        write_transition(&transaction, transition, generation)?;
        if let Some(counted) = beside.counted {
            write_counted(&transaction, counted)?;
        }
        if let Some(evidence) = beside.begun {
            write_evidence(&transaction, evidence)?;
        }
        if let Some(json) = beside.decided_json {
            write_decision(&transaction, &rollout.name, generation, json)?;
        }
        failpoint!("control.before_commit");
        transaction.commit().map_err(during("committing a transition"))?;
        failpoint!("control.after_commit");
        Ok(generation)
    }

    /// Writes what is said beside the state of a rollout, when its generation is still the row's: no transition, and no audit. True when it
    /// was written.
    pub fn renew_rollout(&self, row: &RolloutRow) -> Result<bool, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("renewing a rollout");
        let sql = "UPDATE rollouts SET state_json = ?3 WHERE name = ?1 AND generation = ?2";
        let n = transaction.execute(sql, params![row.name, signed(row.generation), row.state_json]).map_err(&what)?;
        transaction.commit().map_err(&what)?;
        Ok(n > 0)
    }

    /// Saves evidence, the units and the entries it has newly counted, in one transaction, when the rollout is still at `expected_generation`. False when another one moved it:
    /// then nothing is written, for whoever moved it leads it.
    pub fn save_evidence(&self, expected_generation: u64, counted: &CountedRow) -> Result<bool, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        if generation(&transaction, &counted.evidence.rollout)? != expected_generation {
            return Ok(false);
        }
        write_counted(&transaction, counted)?;
        failpoint!("control.before_commit");
        transaction.commit().map_err(during("saving evidence"))?;
        failpoint!("control.after_commit");
        Ok(true)
    }

    /// Whether the control tables can be written now: one empty transaction. Used to tell when control is lost.
    pub fn probe(&self) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("probing the database");
        transaction
            .execute("UPDATE rollouts SET generation = generation WHERE name = (SELECT max(name) FROM rollouts)", [])
            .map_err(&what)?;
        transaction.commit().map_err(&what)
    }

    /// Keeps every other writer out until the returned value is dropped: what a full or read-only disk does, for a drill.
    pub fn hold(&self) -> Result<Held, DatabaseError> {
        let connection = super::writable(self.path(), "FULL", super::CONTROL_WAIT)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(during("holding the database"))?;
        Ok(Held(connection))
    }

    /// Every rollout, by name.
    pub fn load_rollouts(&self) -> Result<Vec<RolloutRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("loading rollouts");
        let mut select = connection
            .prepare("SELECT name, generation, state_json, policy_json FROM rollouts ORDER BY name")
            .map_err(&what)?;
        let rows = select.query_map([], rollout_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// One rollout.
    pub fn load_rollout(&self, name: &str) -> Result<Option<RolloutRow>, DatabaseError> {
        let select = "SELECT name, generation, state_json, policy_json FROM rollouts WHERE name = ?1";
        self.reading().query_row(select, [name], rollout_row).optional().map_err(during("loading a rollout"))
    }

    /// The evidence of one epoch.
    pub fn load_evidence(&self, rollout: &str, epoch: u32) -> Result<Option<EvidenceRow>, DatabaseError> {
        let select =
            "SELECT rollout, epoch, updated_at_us, json, lately FROM evidence WHERE rollout = ?1 AND epoch = ?2";
        self.reading()
            .query_row(select, params![rollout, epoch], |row| {
                Ok(EvidenceRow {
                    rollout: row.get(0)?,
                    epoch: row.get(1)?,
                    updated_at_us: row.get(2).map(unsigned)?,
                    json: row.get(3)?,
                    lately: row.get(4)?,
                })
            })
            .optional()
            .map_err(during("loading evidence"))
    }

    /// The units the evidence of an epoch has counted.
    pub fn seen_units(&self, rollout: &str, epoch: u32) -> Result<Vec<SeenUnit>, DatabaseError> {
        let connection = self.reading();
        let what = during("loading seen units");
        let mut select = connection
            .prepare("SELECT unit, flags FROM seen_units WHERE rollout = ?1 AND epoch = ?2")
            .map_err(&what)?;
        let unit = |row: &rusqlite::Row<'_>| {
            Ok(SeenUnit { unit: row.get(0).map(unsigned)?, flags: row.get(1).map(unsigned)? })
        };
        let rows = select.query_map(params![rollout, epoch], unit).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The audit of a rollout, oldest first; of all rollouts when no name is given.
    pub fn transitions(&self, rollout: Option<&str>) -> Result<Vec<TransitionRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the audit");
        let of = if rollout.is_some() { "rollout = ?1" } else { "?1 IS NULL" };
        let mut select = connection.prepare(&format!("{TRANSITION} WHERE {of} ORDER BY number")).map_err(&what)?;
        let rows = select.query_map([rollout], transition_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The newest transitions of a rollout, the last first, at most so many.
    pub fn last_transitions(&self, rollout: &str, most: usize) -> Result<Vec<TransitionRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the audit");
        let sql = format!("{TRANSITION} WHERE rollout = ?1 ORDER BY generation DESC LIMIT ?2");
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map(params![rollout, signed(most as u64)], transition_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

pub(super) fn begin(connection: &mut Connection) -> Result<Transaction<'_>, DatabaseError> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(during("starting a transaction"))
}

fn generation(transaction: &Transaction<'_>, name: &str) -> Result<u64, DatabaseError> {
    let found: Option<i64> = transaction
        .query_row("SELECT generation FROM rollouts WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(during("reading a generation"))?;
    Ok(found.map_or(0, unsigned))
}

fn write_rollout(transaction: &Transaction<'_>, row: &RolloutRow, generation: u64) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO rollouts VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
             SET generation = excluded.generation, state_json = excluded.state_json, policy_json = excluded.policy_json",
            params![row.name, signed(generation), row.state_json, row.policy_json],
        )
        .map_err(during("saving a rollout"))?;
    Ok(())
}

fn write_transition(transaction: &Transaction<'_>, row: &TransitionRow, generation: u64) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO transitions (rollout, generation, at_us, from_stage, to_stage, from_share, to_share, epoch,
                                      actor, event, reason, evidence_json, policy_hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                row.rollout,
                signed(generation),
                signed(row.at_us),
                row.from,
                row.to,
                row.from_share,
                row.to_share,
                row.epoch,
                row.actor,
                row.event,
                row.reason,
                row.evidence_json,
                row.policy_hash,
            ],
        )
        .map_err(during("writing the audit"))?;
    Ok(())
}

fn write_evidence(transaction: &Transaction<'_>, row: &EvidenceRow) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO evidence VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
             SET updated_at_us = excluded.updated_at_us, json = excluded.json, lately = excluded.lately",
            params![row.rollout, row.epoch, signed(row.updated_at_us), row.json, row.lately],
        )
        .map_err(during("saving evidence"))?;
    Ok(())
}

fn write_counted(transaction: &Transaction<'_>, counted: &CountedRow) -> Result<(), DatabaseError> {
    let evidence = &counted.evidence;
    write_evidence(transaction, evidence)?;
    write_seen_units(transaction, evidence, &counted.units)?;
    write_inputs(transaction, counted)
}

fn write_seen_units(
    transaction: &Transaction<'_>,
    evidence: &EvidenceRow,
    new_units: &[SeenUnit],
) -> Result<(), DatabaseError> {
    if new_units.is_empty() {
        return Ok(());
    }
    let what = during("saving seen units");
    let mut insert = transaction
        .prepare(
            "INSERT INTO seen_units VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET flags = flags | excluded.flags",
        )
        .map_err(&what)?;
    for unit in new_units {
        insert
            .execute(params![evidence.rollout, evidence.epoch, signed(unit.unit), signed(unit.flags)])
            .map_err(&what)?;
    }
    Ok(())
}

fn rollout_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RolloutRow> {
    Ok(RolloutRow {
        name: row.get(0)?,
        generation: row.get(1).map(unsigned)?,
        state_json: row.get(2)?,
        policy_json: row.get(3)?,
    })
}

pub(super) fn transition_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<TransitionRow> {
    Ok(TransitionRow {
        rollout: row.get(0)?,
        generation: row.get(1).map(unsigned)?,
        at_us: row.get(2).map(unsigned)?,
        from: row.get(3)?,
        to: row.get(4)?,
        from_share: row.get(5)?,
        to_share: row.get(6)?,
        epoch: row.get(7)?,
        actor: row.get(8)?,
        event: row.get(9)?,
        reason: row.get(10)?,
        evidence_json: row.get(11)?,
        policy_hash: row.get(12)?,
    })
}
