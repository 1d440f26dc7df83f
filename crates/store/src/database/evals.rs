//! Evaluation runs: plans, claims, answers and scores. Workers of one run share nothing but these tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::control::begin;
use super::{Database, DatabaseError, during, signed, unsigned, writable};

/// How long a worker waits for the others.
const WAIT: Duration = Duration::from_secs(30);

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvalRunRow {
    /// Its name.
    pub run: String,
    /// When it was planned, Unix microseconds.
    pub at_us: u64,
    /// How many answers it is made of.
    pub n_items: u64,
    /// What it does, as JSON.
    pub plan: serde_json::Value,
    /// Answers there are.
    pub n_answered: u64,
    /// Of these, without an answer for good.
    pub n_failed: u64,
    /// Of these, taken over from an earlier call of the same content.
    pub n_reused: u64,
    /// What its calls cost so far, in billionths of a dollar.
    pub spent_nanos: u64,
}

/// An answer to an item, or the failure that stands for it.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredRow {
    /// Which item.
    pub item: u64,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// Hash of everything the answer depends on.
    pub key: Vec<u8>,
    /// Whether no call was made for it: an earlier one had the same key.
    pub reused: bool,
    /// Why there is no answer.
    pub failure: Option<String>,
    /// What the calls for it cost, in billionths of a dollar.
    pub spent_nanos: u64,
    /// The answer and what is known of its calls, as JSON.
    pub json: String,
    /// What it is worth.
    pub scores: Vec<ScoredRow>,
}

/// What a metric says of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredRow {
    /// The id of the metric's definition.
    pub metric: String,
    /// What it says, as JSON.
    pub json: String,
}

/// A block of items that a worker may work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedBlock {
    /// Its number.
    pub block: u64,
    /// The items of it that have no answer yet.
    pub items: Vec<u64>,
    /// What the run has cost so far, in billionths of a dollar.
    pub spent_nanos: u64,
}

/// A worker's way to write: a connection of its own, whose commits survive the death of the process but are not synced one by
/// one, so that a power cut may cost the last of them.
#[derive(Debug)]
pub struct EvalWriter {
    connection: Connection,
    run: String,
    worker: String,
    settled: Settled,
}

/// The blocks from the first that are all done: nothing of them is claimed or answered any more, so that nothing of them is read again. What a claim
/// costs does not grow with the run.
#[derive(Debug, Clone, Copy, Default)]
struct Settled {
    n_blocks: u64,
    spent_nanos: u64,
}

/// Pages of the database that a writer keeps, in KiB.
const CACHE_KIB: i64 = 16 << 10;

impl EvalWriter {
    /// For the worker of this name.
    pub fn open(path: &Path, run: &str, worker: &str) -> Result<EvalWriter, DatabaseError> {
        let connection = writable(path, "NORMAL", WAIT)?;
        // Keys come in no order: with SQLite's own two megabytes a run of 100 000 answers reads their index again and again.
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(during("opening a run"))?;
        let settled = Settled::default();
        Ok(EvalWriter { connection, run: run.to_owned(), worker: worker.to_owned(), settled })
    }

    /// Claims the first block that nobody works on, until `until_us`; `None` when there is none at `now_us`.
    pub fn claim(
        &mut self,
        (size, n_items): (u64, u64),
        now_us: u64,
        until_us: u64,
    ) -> Result<Option<ClaimedBlock>, DatabaseError> {
        let transaction = begin(&mut self.connection)?;
        let what = during("claiming a part of a run");
        let settled = settle(&transaction, &self.run, (self.settled, size)).map_err(&what)?;
        let left: Option<i64> = transaction
            .prepare(
                "SELECT block FROM eval_claims WHERE run = ?1 AND block >= ?2 AND done = 0 AND until_us < ?3 ORDER BY block LIMIT 1",
            )
            .and_then(|mut select| {
                select.query_row(params![self.run, signed(settled.n_blocks), signed(now_us)], |row| row.get(0)).optional()
            })
            .map_err(&what)?;
        let block = match left {
            Some(block) => unsigned(block),
            None => next_block(&transaction, &self.run).map_err(&what)?,
        };
        let (from, to) = (block * size, ((block + 1) * size).min(n_items));
        if from >= n_items {
            return Ok(None);
        }
        transaction
            .prepare(
                "INSERT INTO eval_claims VALUES (?1, ?2, ?3, ?4, 0)
                 ON CONFLICT DO UPDATE SET worker = excluded.worker, until_us = excluded.until_us",
            )
            .and_then(|mut insert| insert.execute(params![self.run, signed(block), self.worker, signed(until_us)]))
            .map_err(&what)?;
        let answered: Vec<u64> = transaction
            .prepare("SELECT item FROM eval_answers WHERE run = ?1 AND item >= ?2 AND item < ?3")
            .and_then(|mut select| {
                select.query_map(params![self.run, signed(from), signed(to)], |row| row.get(0).map(unsigned))?.collect()
            })
            .map_err(&what)?;
        let open = spent(&transaction, &self.run, (settled.n_blocks * size, n_items)).map_err(&what)?;
        transaction.commit().map_err(&what)?;
        self.settled = settled;
        let items = (from..to).filter(|item| !answered.contains(item)).collect();
        Ok(Some(ClaimedBlock { block, items, spent_nanos: settled.spent_nanos + open }))
    }

    /// Holds this worker's claims until `until_us`.
    pub fn hold(&mut self, until_us: u64) -> Result<(), DatabaseError> {
        self.connection
            .prepare("UPDATE eval_claims SET until_us = ?3 WHERE run = ?1 AND worker = ?2 AND done = 0")
            .and_then(|mut update| update.execute(params![self.run, self.worker, signed(until_us)]))
            .map(drop)
            .map_err(during("holding a claim"))
    }

    /// Gives up the claims of a worker that works no more: this one at its end, or one that is known to be dead.
    pub fn release(&mut self, worker: &str) -> Result<(), DatabaseError> {
        self.connection
            .execute(
                "UPDATE eval_claims SET until_us = 0 WHERE run = ?1 AND worker = ?2 AND done = 0",
                params![self.run, worker],
            )
            .map(drop)
            .map_err(during("releasing claims"))
    }

    /// Writes answers with their scores, and marks the blocks that are whole, in one transaction. An item that has an answer keeps it:
    /// returns of each whether it had none.
    pub fn write(&mut self, rows: &[AnsweredRow], done: &[u64]) -> Result<Vec<bool>, DatabaseError> {
        let transaction = begin(&mut self.connection)?;
        let what = during("writing answers of a run");
        let mut is_new = Vec::with_capacity(rows.len());
        {
            let mut answer = transaction
                .prepare("INSERT OR IGNORE INTO eval_answers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
                .map_err(&what)?;
            let mut score = transaction.prepare("INSERT INTO eval_scores VALUES (?1, ?2, ?3, ?4)").map_err(&what)?;
            for row in rows {
                let (item, at_us, spent) = (signed(row.item), signed(row.at_us), signed(row.spent_nanos));
                let values =
                    params![self.run, item, at_us, self.worker, row.key, row.reused, row.failure, spent, row.json];
                is_new.push(answer.execute(values).map_err(&what)? == 1);
                if is_new.last() == Some(&false) {
                    continue;
                }
                for scored in &row.scores {
                    score.execute(params![self.run, item, scored.metric, scored.json]).map_err(&what)?;
                }
            }
            let mut finish =
                transaction.prepare("UPDATE eval_claims SET done = 1 WHERE run = ?1 AND block = ?2").map_err(&what)?;
            for block in done {
                finish.execute(params![self.run, signed(*block)]).map_err(&what)?;
            }
        }
        transaction.commit().map_err(&what)?;
        Ok(is_new)
    }

    /// Whether another worker works on a part of the run.
    pub fn busy(&self) -> Result<bool, DatabaseError> {
        self.connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM eval_claims WHERE run = ?1 AND worker <> ?2 AND done = 0)",
                params![self.run, self.worker],
                |row| row.get(0),
            )
            .map_err(during("asking who works on a run"))
    }
}

/// What is settled now, where so much was before.
fn settle(connection: &Connection, run: &str, (before, size): (Settled, u64)) -> rusqlite::Result<Settled> {
    let open: Option<u64> = connection
        .prepare("SELECT block FROM eval_claims WHERE run = ?1 AND block >= ?2 AND done = 0 ORDER BY block LIMIT 1")?
        .query_row(params![run, signed(before.n_blocks)], |row| row.get(0).map(unsigned))
        .optional()?;
    let n_blocks = match open {
        Some(block) => block,
        None => next_block(connection, run)?,
    };
    let newly = spent(connection, run, (before.n_blocks * size, n_blocks * size))?;
    Ok(Settled { n_blocks, spent_nanos: before.spent_nanos + newly })
}

/// The first block that nobody ever claimed: they are claimed one after the other.
fn next_block(connection: &Connection, run: &str) -> rusqlite::Result<u64> {
    connection
        .prepare("SELECT coalesce(max(block) + 1, 0) FROM eval_claims WHERE run = ?1")?
        .query_row([run], |row| row.get(0).map(unsigned))
}

/// What these items cost, in billionths of a dollar.
fn spent(connection: &Connection, run: &str, (from, to): (u64, u64)) -> rusqlite::Result<u64> {
    connection
        .prepare("SELECT coalesce(sum(spent_nanos), 0) FROM eval_answers WHERE run = ?1 AND item >= ?2 AND item < ?3")?
        .query_row(params![run, signed(from), signed(to)], |row| row.get(0).map(unsigned))
}

const RUN: &str =
    "SELECT r.run, r.at_us, r.n_items, r.plan_json, coalesce(s.n_answered, 0), coalesce(s.n_failed, 0), coalesce(s.n_reused, 0),
    coalesce(s.spent_nanos, 0) FROM eval_runs r LEFT JOIN eval_sums s ON s.run = r.run";

impl Database {
    /// Plans a run. Says whether it is new; one of the same name keeps its plan.
    pub fn plan_run(&self, run: &str, at_us: u64, (n_items, plan): (u64, &str)) -> Result<bool, DatabaseError> {
        let n = self
            .controlling()?
            .execute(
                "INSERT OR IGNORE INTO eval_runs VALUES (?1, ?2, ?3, ?4)",
                params![run, signed(at_us), signed(n_items), plan],
            )
            .map_err(during("planning a run"))?;
        Ok(n == 1)
    }

    /// An answer of any run with this key for which a call was made, as JSON.
    pub fn reusable_answer(&self, key: &[u8]) -> Result<Option<String>, DatabaseError> {
        let select = "SELECT json FROM eval_answers WHERE key = ?1 AND reused = 0 AND failure IS NULL LIMIT 1";
        let found = self.reading().query_row(select, [key], |row| row.get(0)).optional();
        found.map_err(during("looking for an answer"))
    }

    /// A run and how far it is; `None` when there is none of this name.
    pub fn eval_run(&self, run: &str) -> Result<Option<EvalRunRow>, DatabaseError> {
        let select = format!("{RUN} WHERE r.run = ?1");
        self.reading().query_row(&select, [run], run_row).optional().map_err(during("reading a run"))
    }

    /// Every run, the newest first.
    pub fn eval_runs(&self) -> Result<Vec<EvalRunRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing runs");
        let mut select = connection.prepare(&format!("{RUN} ORDER BY r.at_us DESC, r.run")).map_err(&what)?;
        let rows = select.query_map([], run_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The newest runs first, at most so many, after the one of the name `after`; from the newest where there is none of it.
    pub fn eval_runs_page(&self, after: Option<&str>, most: u32) -> Result<Vec<EvalRunRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing runs");
        let place: Option<(i64, String)> = match after {
            Some(after) => connection
                .query_row("SELECT at_us, run FROM eval_runs WHERE run = ?1", [after], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
                .map_err(&what)?,
            None => None,
        };
        let (at_us, run) = place.unwrap_or((i64::MAX, String::new()));
        let sql =
            format!("{RUN} WHERE r.at_us <= ?1 AND (r.at_us < ?1 OR r.run > ?2) ORDER BY r.at_us DESC, r.run LIMIT ?3");
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map(params![at_us, run, most], run_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// How many runs there are, and how many of them are answered whole.
    pub fn eval_counts(&self) -> Result<(u64, u64), DatabaseError> {
        let sql = "SELECT count(*), coalesce(sum(s.n_answered >= r.n_items AND r.n_items > 0), 0)
            FROM eval_runs r LEFT JOIN eval_sums s ON s.run = r.run";
        let row = self.reading().query_row(sql, [], |row| Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?)));
        row.map_err(during("counting runs"))
    }

    /// Every answer of a run with its scores, by item, one after the other: a long run is not held twice.
    ///
    /// # Errors
    /// When the store fails, or what `each` says, which ends it.
    pub fn eval_answers<E: From<DatabaseError>>(
        &self,
        run: &str,
        mut each: impl FnMut(AnsweredRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let connection = self.reading();
        let what = during("reading the answers of a run");
        let mut answers = connection
            .prepare("SELECT item, at_us, key, reused, failure, spent_nanos, json FROM eval_answers WHERE run = ?1 ORDER BY item")
            .map_err(&what)?;
        let mut scores = connection
            .prepare("SELECT item, metric, json FROM eval_scores WHERE run = ?1 ORDER BY item, metric")
            .map_err(&what)?;
        let mut scores = scores.query([run]).map_err(&what)?;
        let mut next = scored_row(&mut scores).map_err(&what)?;
        for row in answers.query_map([run], answered_row).map_err(&what)? {
            let mut row = row.map_err(&what)?;
            while let Some((item, scored)) = next.take_if(|(item, _)| *item <= row.item) {
                if item == row.item {
                    row.scores.push(scored);
                }
                next = scored_row(&mut scores).map_err(&what)?;
            }
            each(row)?;
        }
        Ok(())
    }
}

fn scored_row(rows: &mut rusqlite::Rows<'_>) -> rusqlite::Result<Option<(u64, ScoredRow)>> {
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((row.get(0).map(unsigned)?, ScoredRow { metric: row.get(1)?, json: row.get(2)? })))
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<EvalRunRow> {
    let plan: String = row.get(3)?;
    Ok(EvalRunRow {
        run: row.get(0)?,
        at_us: row.get(1).map(unsigned)?,
        n_items: row.get(2).map(unsigned)?,
        plan: serde_json::from_str(&plan).unwrap_or_default(),
        n_answered: row.get(4).map(unsigned)?,
        n_failed: row.get(5).map(unsigned)?,
        n_reused: row.get(6).map(unsigned)?,
        spent_nanos: row.get(7).map(unsigned)?,
    })
}

fn answered_row(row: &Row<'_>) -> rusqlite::Result<AnsweredRow> {
    Ok(AnsweredRow {
        item: row.get(0).map(unsigned)?,
        at_us: row.get(1).map(unsigned)?,
        key: row.get(2)?,
        reused: row.get(3)?,
        failure: row.get(4)?,
        spent_nanos: row.get(5).map(unsigned)?,
        json: row.get(6)?,
        scores: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u64, u64) = (4, 20);

    fn answered(item: u64, spent_nanos: u64) -> AnsweredRow {
        AnsweredRow {
            item,
            at_us: 1,
            key: item.to_be_bytes().to_vec(),
            reused: false,
            failure: None,
            spent_nanos,
            json: "{}".to_owned(),
            scores: Vec::new(),
        }
    }

    #[test]
    fn a_claim_knows_what_everyone_spent_though_it_reads_no_settled_block_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let database = Database::open(&path).unwrap();
        database.plan_run("r", 1, (SIZE.1, "{}")).unwrap();
        let [mut one, mut other] = ["one", "other"].map(|name| EvalWriter::open(&path, "r", name).unwrap());
        let claimed = |writer: &mut EvalWriter, now_us| {
            let claimed = writer.claim(SIZE, now_us, now_us + 10).unwrap();
            claimed.map(|claimed| (claimed.block, claimed.items, claimed.spent_nanos))
        };
        assert_eq!(claimed(&mut one, 1), Some((0, vec![0, 1, 2, 3], 0)));
        assert_eq!(claimed(&mut other, 1), Some((1, vec![4, 5, 6, 7], 0)));
        let rows: Vec<AnsweredRow> = (4..8).map(|item| answered(item, 100)).collect();
        other.write(&rows, &[1]).unwrap();
        one.write(&[answered(0, 1), answered(1, 2)], &[]).unwrap();
        // The second block is done, the first is not: nothing is settled, and everything is counted.
        assert_eq!(claimed(&mut other, 1), Some((2, vec![8, 9, 10, 11], 403)));
        assert_eq!(other.settled.n_blocks, 0);
        one.write(&[answered(2, 4), answered(3, 8)], &[0]).unwrap();
        assert_eq!(claimed(&mut one, 1), Some((3, vec![12, 13, 14, 15], 415)));
        assert_eq!((one.settled.n_blocks, one.settled.spent_nanos), (2, 415));
        one.write(&[answered(12, 16)], &[]).unwrap();
        // Claims run out, and what was answered within them stays.
        let mut third = EvalWriter::open(&path, "r", "third").unwrap();
        assert_eq!(claimed(&mut third, 100), Some((2, vec![8, 9, 10, 11], 431)));
        assert_eq!(claimed(&mut one, 100), Some((3, vec![13, 14, 15], 431)));
        one.write(&[answered(13, 0), answered(14, 0), answered(15, 0)], &[3]).unwrap();
        third.write(&(8..12).map(|item| answered(item, 1000)).collect::<Vec<_>>(), &[2]).unwrap();
        assert_eq!(claimed(&mut one, 100), Some((4, vec![16, 17, 18, 19], 4431)));
        assert_eq!((one.settled.n_blocks, one.settled.spent_nanos), (4, 4431));
        one.write(&(16..20).map(|item| answered(item, 1)).collect::<Vec<_>>(), &[4]).unwrap();
        assert_eq!(claimed(&mut one, 100), None);
    }
}
