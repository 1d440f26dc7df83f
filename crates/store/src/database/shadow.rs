//! What the shadow leaves and finds: how pairs compare, requests that are copied later, and what copies cost.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use wire::ids::ExchangeId;
use wire::record::{ComparisonRecord, DrawnRecord, PairRecord};

use super::control::begin;
use super::exchanges::exchange_id;
use super::{Database, DatabaseError, during, signed, unsigned};

/// How a pair was drawn and how far its answers are apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRow {
    /// The rollout.
    pub rollout: String,
    /// Its epoch.
    pub epoch: u32,
    /// When it was compared, Unix microseconds.
    pub at_us: u64,
    /// The chance with which the request was drawn.
    pub probability: f64,
    /// How large the request is.
    pub size: String,
    /// What its caller says it is for.
    pub task: Option<String>,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// The copy was made later than its request came.
    pub deferred: bool,
    /// What a provider would have run was taken out of the copy.
    pub altered: bool,
    /// The request holds results of tools: only the next step is compared.
    pub teacher_forced: bool,
    /// One for each kind that could be compared.
    pub comparisons: Vec<ComparisonRecord>,
    /// What could not be compared, and why.
    pub not_compared: Option<String>,
}

/// A request that waits to be copied.
#[derive(Debug, Clone, PartialEq)]
pub struct DeferredRow {
    /// How it was drawn.
    pub drawn: DrawnRecord,
    /// When it was taken, Unix microseconds; `None` while it waits.
    pub taken_at_us: Option<u64>,
}

/// How many requests wait to be copied later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeferredCounts {
    /// They wait.
    pub waiting: u64,
    /// They were taken, and no copy is on record yet.
    pub taken: u64,
}

/// What the copies of a rollout, or the questions to its judge, have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopySpend {
    /// Nano-dollars at a known price.
    pub nanos: u64,
    /// Tokens read and written.
    pub tokens: u64,
    /// Calls.
    pub calls: u64,
}

/// The pairs of one exchange.
pub(super) const COMPARED_OF: &str =
    "SELECT rollout, epoch, at_us, probability, size, task, streamed, deferred, altered,
    teacher_forced, comparisons, not_compared FROM pairs WHERE exchange_id = ?1 ORDER BY rollout";

const DEFERRED: &str = "SELECT exchange_id, rollout, epoch, at_us, probability, size, task, streamed, unit, duplicate,
    internal, taken_at_us FROM deferred";

impl Database {
    /// Requests that wait to be copied for a rollout in this epoch, oldest first.
    pub fn deferred(&self, rollout: &str, epoch: u32, at_most: u32) -> Result<Vec<DeferredRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing requests to copy");
        let sql = format!(
            "{DEFERRED} WHERE rollout = ?1 AND epoch = ?2 AND taken_at_us IS NULL ORDER BY exchange_id LIMIT ?3"
        );
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map(params![rollout, epoch, at_most], deferred_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// How many requests of a rollout's epoch wait, and how many were taken and have no copy on record.
    pub fn deferred_counts(&self, rollout: &str, epoch: u32) -> Result<DeferredCounts, DatabaseError> {
        let sql = "SELECT coalesce(sum(taken_at_us IS NULL), 0), coalesce(sum(taken_at_us IS NOT NULL), 0)
            FROM deferred WHERE rollout = ?1 AND epoch = ?2";
        let counts =
            |row: &Row<'_>| Ok(DeferredCounts { waiting: row.get(0).map(unsigned)?, taken: row.get(1).map(unsigned)? });
        self.reading().query_row(sql, params![rollout, epoch], counts).map_err(during("counting requests to copy"))
    }

    /// Takes requests to copy them, all or none: when this returns, no other process and no later life of this one takes them.
    /// Those that somebody took before are left out of the answer.
    pub fn take_deferred(
        &self,
        rollout: &str,
        ids: &[ExchangeId],
        now_us: u64,
    ) -> Result<Vec<ExchangeId>, DatabaseError> {
        let mut control = self.controlling()?;
        let what = during("taking requests to copy");
        let transaction = begin(&mut control)?;
        let sql =
            "UPDATE deferred SET taken_at_us = ?3 WHERE rollout = ?1 AND exchange_id = ?2 AND taken_at_us IS NULL";
        let mut taken = Vec::with_capacity(ids.len());
        for id in ids {
            let n = transaction.execute(sql, params![rollout, id.to_bytes(), signed(now_us)]).map_err(&what)?;
            if n > 0 {
                taken.push(*id);
            }
        }
        transaction.commit().map_err(&what)?;
        Ok(taken)
    }

    /// Requests that were taken before `before_us` and have no copy on record: the process that took them died. They go, and are
    /// the caller's to count.
    pub fn drop_interrupted(&self, before_us: u64) -> Result<Vec<DeferredRow>, DatabaseError> {
        let mut control = self.controlling()?;
        let what = during("counting interrupted copies");
        let transaction = begin(&mut control)?;
        let rows = {
            let sql = format!("{DEFERRED} WHERE taken_at_us < ?1");
            let mut select = transaction.prepare(&sql).map_err(&what)?;
            let rows = select.query_map([signed(before_us)], deferred_row).map_err(&what)?;
            rows.collect::<Result<Vec<_>, _>>().map_err(&what)?
        };
        transaction.execute("DELETE FROM deferred WHERE taken_at_us < ?1", [signed(before_us)]).map_err(&what)?;
        transaction.commit().map_err(&what)?;
        Ok(rows)
    }

    /// Forgets requests that wait for an epoch which has ended: they would be evidence of nothing.
    pub fn forget_deferred(&self, rollout: &str, before_epoch: u32) -> Result<u64, DatabaseError> {
        let sql = "DELETE FROM deferred WHERE rollout = ?1 AND epoch < ?2";
        let n = self.controlling()?.execute(sql, params![rollout, before_epoch]);
        n.map(|n| n as u64).map_err(during("forgetting requests to copy"))
    }

    /// What the copies of a rollout, and the second answers asked of its baseline, have used from one moment to another.
    pub fn copy_spend(&self, rollout: &str, span_us: (u64, u64)) -> Result<CopySpend, DatabaseError> {
        self.spend_of("1, 2", rollout, span_us)
    }

    /// What the questions to the judge of a rollout's pairs have used from one moment to another.
    pub fn judge_spend(&self, rollout: &str, span_us: (u64, u64)) -> Result<CopySpend, DatabaseError> {
        self.spend_of("5", rollout, span_us)
    }

    fn spend_of(
        &self,
        kinds: &str,
        rollout: &str,
        (since_us, until_us): (u64, u64),
    ) -> Result<CopySpend, DatabaseError> {
        let sql = format!(
            "SELECT coalesce(sum(cost_nanos), 0), coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), 0), count(*)
            FROM attempts WHERE rollout = ?1 AND shadow IN ({kinds}) AND exchange_id >= ?2 AND started_us >= ?3
                AND started_us < ?4"
        );
        // Ids sort by time: nothing older than a day before is looked at. A deferred copy may be of an older request.
        let from = ExchangeId::new((since_us / 1000).saturating_sub(DAYS_LOOKED_AT * 86_400_000), [0; 10]);
        self.reading()
            .query_row(&sql, params![rollout, from.to_bytes(), signed(since_us), signed(until_us)], |row| {
                let number = |column| row.get(column).map(unsigned);
                Ok(CopySpend { nanos: number(0)?, tokens: number(1)?, calls: number(2)? })
            })
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(during("adding up what copies used"))
    }
}

/// What of the requests that two rollouts copied is known of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BothCopied {
    /// Requests that both candidates were given a copy of.
    pub both: u64,
    /// Of these, the first candidate alone was bad.
    pub only_first_bad: u64,
    /// The second alone was.
    pub only_second_bad: u64,
}

impl Database {
    /// How two candidates did on the requests that both were given a copy of: failures, and answers without their form. A rollout is
    /// given with its epoch.
    pub fn copies_of_both(&self, first: (&str, u32), second: (&str, u32)) -> Result<BothCopied, DatabaseError> {
        let bad = |copy: &str| {
            format!(
                "({copy}.failure IS NOT NULL OR {copy}.format_valid = 0 OR {copy}.schema_valid = 0 OR {copy}.tool_calls_valid = 0
                    OR {copy}.declined = 1)"
            )
        };
        let (one, other) = (bad("a"), bad("b"));
        let sql = format!(
            "SELECT count(*), coalesce(sum({one} IS TRUE AND {other} IS NOT TRUE), 0),
                    coalesce(sum({other} IS TRUE AND {one} IS NOT TRUE), 0)
             FROM attempts a JOIN attempts b ON b.exchange_id = a.exchange_id AND b.shadow = 1
                 AND b.rollout = ?3 AND b.epoch = ?4 AND b.dropped IS NULL
             WHERE a.shadow = 1 AND a.rollout = ?1 AND a.epoch = ?2 AND a.dropped IS NULL"
        );
        let counts = |row: &Row<'_>| {
            Ok(BothCopied {
                both: row.get(0).map(unsigned)?,
                only_first_bad: row.get(1).map(unsigned)?,
                only_second_bad: row.get(2).map(unsigned)?,
            })
        };
        self.reading()
            .query_row(&sql, params![first.0, first.1, second.0, second.1], counts)
            .map_err(during("comparing the copies of two rollouts"))
    }
}

/// How much older than its copy a request may be for the copy to count.
const DAYS_LOOKED_AT: u64 = 7;

const DRAWN: &str = "INSERT OR IGNORE INTO deferred
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL
    WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE exchange_id = ?2 AND shadow = 1 AND rollout = ?1)";

/// Writes down requests that were drawn, unless their copies are there.
pub(crate) fn insert_drawn(transaction: &Transaction<'_>, drawn: &[DrawnRecord]) -> rusqlite::Result<()> {
    if drawn.is_empty() {
        return Ok(());
    }
    let mut insert = transaction.prepare(DRAWN)?;
    for DrawnRecord { id, rollout, epoch, at_us, probability, size, task, streamed, unit, duplicate, internal } in drawn
    {
        insert.execute(params![
            rollout,
            id.to_bytes(),
            epoch,
            signed(*at_us),
            probability,
            size,
            task,
            streamed,
            signed(*unit),
            duplicate,
            internal
        ])?;
    }
    Ok(())
}

/// Writes down how pairs compare.
pub(crate) fn insert_pairs(transaction: &Transaction<'_>, pairs: &[PairRecord]) -> rusqlite::Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    let sql = "INSERT OR IGNORE INTO pairs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let mut insert = transaction.prepare(sql)?;
    for pair in pairs {
        let drawn = &pair.drawn;
        insert.execute(params![
            drawn.id.to_bytes(),
            drawn.rollout,
            drawn.epoch,
            signed(pair.at_us),
            drawn.probability,
            drawn.size,
            drawn.task,
            drawn.streamed,
            pair.deferred,
            pair.altered,
            pair.teacher_forced,
            serde_json::to_string(&pair.comparisons).unwrap_or_else(|_| "[]".to_owned()),
            pair.not_compared,
        ])?;
    }
    Ok(())
}

/// Twelve columns of `pairs` from `at`, the rollout first.
pub(super) fn compared_row(row: &Row<'_>, at: usize) -> rusqlite::Result<ComparedRow> {
    let comparisons: String = row.get(at + 10)?;
    Ok(ComparedRow {
        rollout: row.get(at)?,
        epoch: row.get(at + 1)?,
        at_us: row.get(at + 2).map(unsigned)?,
        probability: row.get(at + 3)?,
        size: row.get(at + 4)?,
        task: row.get(at + 5)?,
        streamed: row.get(at + 6)?,
        deferred: row.get(at + 7)?,
        altered: row.get(at + 8)?,
        teacher_forced: row.get(at + 9)?,
        comparisons: serde_json::from_str(&comparisons).unwrap_or_default(),
        not_compared: row.get(at + 11)?,
    })
}

fn deferred_row(row: &Row<'_>) -> rusqlite::Result<DeferredRow> {
    Ok(DeferredRow {
        drawn: DrawnRecord {
            id: exchange_id(row, 0)?,
            rollout: row.get(1)?,
            epoch: row.get(2)?,
            at_us: row.get(3).map(unsigned)?,
            probability: row.get(4)?,
            size: row.get(5)?,
            task: row.get(6)?,
            streamed: row.get(7)?,
            unit: row.get(8).map(unsigned)?,
            duplicate: row.get(9)?,
            internal: row.get(10)?,
        },
        taken_at_us: row.get::<_, Option<i64>>(11)?.map(unsigned),
    })
}
