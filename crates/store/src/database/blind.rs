//! Pairs of answers that people judge without knowing whose they are.

use rusqlite::{OptionalExtension, Row, params};

use super::control::begin;
use super::{Database, DatabaseError, during, signed, unsigned};

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
    /// What was said: `first`, `second` or `tie`.
    pub choice: Option<String>,
    /// How long it took, in microseconds; nothing where nobody measured it.
    pub took_us: Option<u64>,
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
    /// Writes down that a pair is shown. Says whether it is new: a pair is shown to a person once.
    pub fn show_pair(&self, pair: &BlindPairRow) -> Result<bool, DatabaseError> {
        let values = params![
            pair.token,
            pair.run,
            pair.candidate,
            signed(pair.case_idx),
            pair.reviewer,
            signed(pair.shown_at_us),
            pair.candidate_first
        ];
        let n = self
            .controlling()?
            .execute("INSERT OR IGNORE INTO blind_pairs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values);
        n.map(|n| n == 1).map_err(during("showing a pair"))
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
