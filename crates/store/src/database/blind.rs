//! Pairs of answers that people judge without knowing whose they are.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::control::begin;
use super::keys::{AuditRow, write_audit};
use super::{Database, DatabaseError, during, signed, unsigned};

/// What stands in place of a verdict where a pair was withdrawn. Being kept as one, it and a verdict cannot both be.
const WITHDRAWN: &str = "withdrawn";

/// A pair that was shown to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindPairRow {
    /// What the reviewer calls it; says nothing.
    pub token: String,
    /// The run.
    pub run: String,
    /// The candidate whose answer is one of the two.
    pub candidate: String,
    /// The case's place in the run.
    pub case_idx: u64,
    /// Who judges.
    pub reviewer: String,
    /// When it was shown, Unix microseconds.
    pub shown_at_us: u64,
    /// Whether the candidate's answer stands first.
    pub candidate_first: bool,
    /// When it was judged, Unix microseconds.
    pub judged_at_us: Option<u64>,
    /// What was said: `first`, `second` or `tie`; `withdrawn` where nobody is to say anything any more.
    pub choice: Option<String>,
    /// How long it took, in microseconds; nothing where nobody measured it.
    pub took_us: Option<u64>,
}

impl BlindPairRow {
    /// Whether it waits for its verdict.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.choice.is_none()
    }

    /// Whether it was withdrawn before anybody judged it.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.choice.as_deref() == Some(WITHDRAWN)
    }

    /// Whether it has a verdict.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        !self.is_open() && !self.is_withdrawn()
    }
}

/// What was planned of the review of one candidate, before the first pair was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindPlanRow {
    /// The run.
    pub run: String,
    /// The candidate.
    pub candidate: String,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// Who planned it.
    pub actor: String,
    /// What, as JSON.
    pub plan_json: String,
}

/// A pair that somebody is to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindAssignedRow {
    /// The candidate whose answer is one of the two.
    pub candidate: String,
    /// The case's place in the run.
    pub case_idx: u64,
    /// Who is to judge it.
    pub reviewer: String,
    /// Why it was chosen.
    pub why: String,
}

/// How long a verdict took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// As long as it is since the pair was shown.
    SinceShown,
    /// So many microseconds, as somebody says.
    Micros(u64),
    /// Nobody knows.
    Unknown,
}

/// What is said of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlindVerdict<'v> {
    /// What the pair is called.
    pub token: &'v str,
    /// `first`, `second` or `tie`.
    pub choice: &'v str,
    /// Why.
    pub reason: Option<&'v str>,
    /// How long it took.
    pub took: Took,
}

const PAIR: &str =
    "SELECT p.token, p.run, p.candidate, p.case_idx, p.reviewer, p.shown_at_us, p.candidate_first, v.at_us, v.choice,
        iif(v.took_us = -1, max(0, v.at_us - p.shown_at_us), v.took_us)
    FROM blind_pairs p LEFT JOIN blind_verdicts v ON v.token = p.token";

impl Database {
    /// Writes down that a pair is shown. Says whether it is new: a case is shown to a person once, with whichever candidate.
    pub fn show_pair(&self, pair: &BlindPairRow) -> Result<bool, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("showing a pair");
        let is_shown: bool = transaction
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM blind_pairs WHERE run = ?1 AND case_idx = ?2 AND reviewer = ?3)",
                params![pair.run, signed(pair.case_idx), pair.reviewer],
                |row| row.get(0),
            )
            .map_err(&what)?;
        let n = if is_shown { 0 } else { write_pair(&transaction, pair).map_err(&what)? };
        transaction.commit().map_err(&what)?;
        Ok(n == 1)
    }

    /// The pair of a token; `None` when none was shown by it.
    pub fn blind_pair(&self, token: &str) -> Result<Option<BlindPairRow>, DatabaseError> {
        let select = format!("{PAIR} WHERE p.token = ?1");
        self.reading().query_row(&select, [token], pair_row).optional().map_err(during("reading a pair"))
    }

    /// Every pair of a run that was shown, in the order in which they were.
    pub fn blind_pairs(&self, run: &str) -> Result<Vec<BlindPairRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading pairs");
        let mut select =
            connection.prepare(&format!("{PAIR} WHERE p.run = ?1 ORDER BY p.shown_at_us, p.token")).map_err(&what)?;
        let rows = select.query_map([run], pair_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Writes down who is to judge which pairs of a candidate, with its audit row: all of it, or nothing and `false` where there is such a plan or
    /// a pair of the candidate was shown.
    pub fn plan_review(
        &self,
        plan: &BlindPlanRow,
        assigned: &[BlindAssignedRow],
        audit: &AuditRow,
    ) -> Result<bool, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("planning a review");
        let n = transaction
            .execute(
                "INSERT OR IGNORE INTO blind_plans (run, candidate, at_us, actor, plan) SELECT ?1, ?2, ?3, ?4, ?5
                 WHERE NOT EXISTS (SELECT 1 FROM blind_pairs WHERE run = ?1 AND candidate = ?2)",
                params![plan.run, plan.candidate, signed(plan.at_us), plan.actor, plan.plan_json],
            )
            .map_err(&what)?;
        if n == 0 {
            return Ok(false);
        }
        for (place, one) in assigned.iter().enumerate() {
            let BlindAssignedRow { candidate, case_idx, reviewer, why } = one;
            transaction
                .execute(
                    "INSERT INTO blind_assigned VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![plan.run, candidate, signed(place as u64), signed(*case_idx), reviewer, why],
                )
                .map_err(&what)?;
        }
        write_audit(&transaction, audit)?;
        transaction.commit().map_err(&what)?;
        Ok(true)
    }

    /// What was planned of a run's review, by candidate.
    pub fn review_plans(&self, run: &str) -> Result<Vec<BlindPlanRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading plans of reviews");
        let select = "SELECT run, candidate, at_us, actor, plan FROM blind_plans WHERE run = ?1 ORDER BY candidate";
        let mut select = connection.prepare(select).map_err(&what)?;
        let read = |row: &Row<'_>| {
            Ok(BlindPlanRow {
                run: row.get(0)?,
                candidate: row.get(1)?,
                at_us: row.get(2).map(unsigned)?,
                actor: row.get(3)?,
                plan_json: row.get(4)?,
            })
        };
        let rows = select.query_map([run], read).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Who is to judge which pairs of a run, by candidate, in the order in which they are shown.
    pub fn review_assigned(&self, run: &str) -> Result<Vec<BlindAssignedRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading who judges which pairs");
        let select =
            "SELECT candidate, case_idx, reviewer, why FROM blind_assigned WHERE run = ?1 ORDER BY candidate, place";
        let mut select = connection.prepare(select).map_err(&what)?;
        let read = |row: &Row<'_>| {
            Ok(BlindAssignedRow {
                candidate: row.get(0)?,
                case_idx: row.get(1).map(unsigned)?,
                reviewer: row.get(2)?,
                why: row.get(3)?,
            })
        };
        let rows = select.query_map([run], read).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Writes down what was said of pairs: of all of them, or of none. Names the first on which there is a word already; a later one changes
    /// nothing.
    pub fn judge_pairs(&self, verdicts: &[BlindVerdict<'_>], at_us: u64) -> Result<Option<String>, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("judging pairs");
        for verdict in verdicts {
            let took = match verdict.took {
                Took::SinceShown => Some(-1),
                Took::Micros(us) => Some(signed(us)),
                Took::Unknown => None,
            };
            let n = transaction
                .execute(
                    "INSERT OR IGNORE INTO blind_verdicts (token, at_us, choice, reason, took_us) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![verdict.token, signed(at_us), verdict.choice, verdict.reason, took],
                )
                .map_err(&what)?;
            if n == 0 {
                return Ok(Some(verdict.token.to_owned()));
            }
        }
        transaction.commit().map_err(&what)?;
        Ok(None)
    }

    /// Withdraws pairs that nobody has judged, those that were not shown yet among them, with the audit row: all of them, or none. Names the
    /// first of which there is a verdict, or that is withdrawn already.
    pub fn withdraw_pairs(
        &self,
        pairs: &[BlindPairRow],
        (reason, at_us): (&str, u64),
        audit: &AuditRow,
    ) -> Result<Option<String>, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("withdrawing pairs");
        for pair in pairs {
            // A pair that is shown meanwhile keeps the name that it was shown by.
            write_pair(&transaction, pair).map_err(&what)?;
            let n = transaction
                .execute(
                    "INSERT OR IGNORE INTO blind_verdicts (token, at_us, choice, reason, took_us) SELECT token, ?5, ?6, ?7, NULL
                     FROM blind_pairs WHERE run = ?1 AND candidate = ?2 AND case_idx = ?3 AND reviewer = ?4",
                    params![
                        pair.run,
                        pair.candidate,
                        signed(pair.case_idx),
                        pair.reviewer,
                        signed(at_us),
                        WITHDRAWN,
                        reason
                    ],
                )
                .map_err(&what)?;
            if n == 0 {
                return Ok(Some(pair.token.clone()));
            }
        }
        write_audit(&transaction, audit)?;
        transaction.commit().map_err(&what)?;
        Ok(None)
    }
}

/// Writes a pair down where it is not there yet.
fn write_pair(connection: &Connection, pair: &BlindPairRow) -> rusqlite::Result<usize> {
    let values = params![
        pair.token,
        pair.run,
        pair.candidate,
        signed(pair.case_idx),
        pair.reviewer,
        signed(pair.shown_at_us),
        pair.candidate_first
    ];
    connection.execute("INSERT OR IGNORE INTO blind_pairs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values)
}

fn pair_row(row: &Row<'_>) -> rusqlite::Result<BlindPairRow> {
    Ok(BlindPairRow {
        token: row.get(0)?,
        run: row.get(1)?,
        candidate: row.get(2)?,
        case_idx: row.get(3).map(unsigned)?,
        reviewer: row.get(4)?,
        shown_at_us: row.get(5).map(unsigned)?,
        candidate_first: row.get(6)?,
        judged_at_us: row.get::<_, Option<i64>>(7)?.map(unsigned),
        choice: row.get(8)?,
        took_us: row.get::<_, Option<i64>>(9)?.map(unsigned),
    })
}
