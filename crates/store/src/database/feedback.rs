//! What users and other systems say of answers, and what of it is evidence.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use wire::ids::ExchangeId;
use wire::record::{FeedbackRecord, UnitOutcomeRecord};

use super::{Database, DatabaseError, during, signed, unsigned};

/// What somebody says of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedbackRow {
    /// When it came in, Unix microseconds.
    pub at_us: u64,
    /// `thumb`, `score`, `label` or `comment`.
    pub kind: String,
    /// Who says so.
    pub source: String,
    /// 0 for down and 1 for up, or the score.
    pub value: Option<f64>,
    /// The label.
    pub label: Option<String>,
    /// What was written with it.
    pub comment: Option<String>,
    /// Whether it says that the answer was bad; `None` when it says neither.
    pub bad: Option<bool>,
}

/// An exchange as whoever has something to say of it needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Whose it is.
    pub principal: Option<String>,
    /// When it arrived, Unix microseconds.
    pub received_at_us: u64,
    /// Where it stands in a rollout.
    pub place: Option<JudgedPlace>,
    /// Why it is no evidence of its arm although it has a place; `None` when it is.
    pub no_evidence: Option<&'static str>,
    /// What has been said of it.
    pub feedback: Vec<FeedbackRow>,
}

/// What another system counted of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitOutcomeRow {
    /// What was counted.
    pub metric: String,
    /// Who says so.
    pub source: String,
    /// When it happened, Unix microseconds.
    pub happened_us: u64,
    /// When it came in, Unix microseconds.
    pub at_us: u64,
    /// Whether it is bad.
    pub bad: bool,
}

/// The place of an exchange in a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedPlace {
    /// The rollout.
    pub rollout: String,
    /// The epoch it was admitted in.
    pub epoch: u32,
    /// Its unit.
    pub unit: u64,
    /// `baseline` or `candidate`.
    pub arm: String,
}

/// Something learnt of a unit of an epoch that is evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochSignal {
    /// The metric.
    pub metric: String,
    /// The unit.
    pub unit: u64,
    /// `baseline` or `candidate`.
    pub arm: String,
    /// When the exchange arrived, or when it happened, Unix microseconds.
    pub admitted_us: u64,
    /// When it came in, Unix microseconds.
    pub at_us: u64,
    /// Whether it is bad.
    pub bad: bool,
    /// The exchange, when there is one.
    pub exchange: Option<ExchangeId>,
}

pub(super) const FEEDBACK: &str =
    "SELECT at_us, kind, source, value, label, comment, bad FROM feedback WHERE exchange_id = ?1
    ORDER BY at_us, kind, source";

/// The name of the metric that feedback counts for.
pub const FEEDBACK_METRIC: &str = "feedback";
/// The name of the metric that other systems' counts are events of.
pub const EXTERNAL_METRIC: &str = "external";

/// Writes what was said; of one exchange, kind and source the first stands.
pub(crate) fn insert_feedback(transaction: &Transaction<'_>, records: &[FeedbackRecord]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT OR IGNORE INTO feedback VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for record in records {
        let comment = record.comment.expose();
        let comment = (!comment.is_empty()).then(|| String::from_utf8_lossy(comment).into_owned());
        insert.execute(params![
            record.id.to_bytes(),
            record.kind.as_str(),
            record.source,
            signed(record.at_us),
            record.value,
            record.label,
            comment,
            record.bad,
        ])?;
    }
    Ok(())
}

/// Writes what other systems counted; once in effect, however often it comes.
pub(crate) fn insert_unit_outcomes(
    transaction: &Transaction<'_>,
    records: &[UnitOutcomeRecord],
) -> rusqlite::Result<()> {
    let mut insert =
        transaction.prepare("INSERT OR IGNORE INTO unit_outcomes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
    for record in records {
        insert.execute(params![
            record.rollout,
            record.epoch,
            signed(record.unit),
            record.metric,
            record.source,
            signed(record.happened_us),
            signed(record.at_us),
            crate::shipper::arm(record.arm),
            record.bad,
            record.exchange.map(ExchangeId::to_bytes),
        ])?;
    }
    Ok(())
}

impl Database {
    /// What has been said of an exchange, oldest first.
    pub fn feedback(&self, id: ExchangeId) -> Result<Vec<FeedbackRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading feedback");
        let mut select = connection.prepare(FEEDBACK).map_err(&what)?;
        let rows = select.query_map([id.to_bytes()], feedback_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// An exchange whose answer is on record; `None` when there is none with this id.
    pub fn judged(&self, id: ExchangeId) -> Result<Option<Judged>, DatabaseError> {
        let sql = "SELECT e.principal, coalesce(e.received_at_us, 0), e.rollout, e.epoch, e.unit, e.arm,
                coalesce(e.forced, 0), EXISTS (SELECT 1 FROM attempts a WHERE a.exchange_id = e.id AND a.shadow = 0
                    AND a.arm = e.arm AND a.target = e.served_by)
            FROM exchanges e WHERE e.id = ?1";
        let read = |row: &Row<'_>| {
            let rollout: Option<String> = row.get(2)?;
            let place = match (rollout, row.get::<_, Option<i64>>(4)?, row.get::<_, Option<String>>(5)?) {
                (Some(rollout), Some(unit), Some(arm)) => {
                    Some(JudgedPlace { rollout, epoch: row.get(3)?, unit: unsigned(unit), arm })
                }
                _ => None,
            };
            let (forced, own): (bool, bool) = (row.get(6)?, row.get(7)?);
            let no_evidence = match (forced, own) {
                (true, _) => Some("its arm was forced"),
                (false, false) => Some("another target than its arm's gave the answer"),
                (false, true) => None,
            };
            let (principal, received_at_us) = (row.get(0)?, row.get(1).map(unsigned)?);
            Ok(Judged { principal, received_at_us, place, no_evidence, feedback: Vec::new() })
        };
        let found = self.reading().query_row(sql, [id.to_bytes()], read).optional();
        let Some(mut judged) = found.map_err(during("looking up an exchange"))? else { return Ok(None) };
        judged.feedback = self.feedback(id)?;
        Ok(Some(judged))
    }

    /// What was learnt of the units of an epoch after `since_us` and is evidence, oldest first: of the feedback on one exchange
    /// the first good and the first bad signal, unless a bad one came before; of what other systems count of a unit likewise.
    pub fn epoch_signals(&self, rollout: &str, epoch: u32, since_us: u64) -> Result<Vec<EpochSignal>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading an epoch's feedback");
        let sql = "SELECT ?4, e.unit, e.arm, e.received_at_us, f.at_us, f.bad, e.id
            FROM exchanges e JOIN feedback f ON f.exchange_id = e.id
            WHERE e.rollout = ?1 AND e.epoch = ?2 AND e.unit IS NOT NULL AND coalesce(e.forced, 0) = 0
              AND f.at_us > ?3 AND f.bad IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM feedback g WHERE g.exchange_id = f.exchange_id AND g.bad >= f.bad
                  AND (g.at_us, g.kind, g.source) < (f.at_us, f.kind, f.source))
              AND EXISTS (SELECT 1 FROM attempts a WHERE a.exchange_id = e.id AND a.shadow = 0
                  AND a.arm = e.arm AND a.target = e.served_by)
            UNION ALL
            SELECT ?5, o.unit, o.arm, coalesce((SELECT e.received_at_us FROM exchanges e WHERE e.id = o.exchange_id), o.happened_us),
                o.at_us, o.bad, o.exchange_id
            FROM unit_outcomes o WHERE o.rollout = ?1 AND o.epoch = ?2 AND o.at_us > ?3
              AND NOT EXISTS (SELECT 1 FROM unit_outcomes p WHERE p.rollout = o.rollout AND p.epoch = o.epoch
                  AND p.unit = o.unit AND p.bad >= o.bad
                  AND (p.at_us, p.metric, p.source, p.happened_us) < (o.at_us, o.metric, o.source, o.happened_us))
            ORDER BY 5";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let signal = |row: &Row<'_>| {
            Ok(EpochSignal {
                metric: row.get(0)?,
                unit: row.get(1).map(unsigned)?,
                arm: row.get(2)?,
                admitted_us: row.get(3).map(unsigned)?,
                at_us: row.get(4).map(unsigned)?,
                bad: row.get(5)?,
                exchange: row.get::<_, Option<[u8; 16]>>(6)?.map(ExchangeId::from_bytes),
            })
        };
        let rows =
            select.query_map(params![rollout, epoch, signed(since_us), FEEDBACK_METRIC, EXTERNAL_METRIC], signal);
        rows.map_err(&what)?.collect::<Result<_, _>>().map_err(&what)
    }

    /// What other systems counted of a unit in an epoch, oldest first.
    pub fn unit_outcomes(&self, rollout: &str, epoch: u32, unit: u64) -> Result<Vec<UnitOutcomeRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading outcomes of a unit");
        let sql = "SELECT metric, source, happened_us, at_us, bad FROM unit_outcomes
            WHERE rollout = ?1 AND epoch = ?2 AND unit = ?3 ORDER BY at_us";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let row = |row: &Row<'_>| {
            Ok(UnitOutcomeRow {
                metric: row.get(0)?,
                source: row.get(1)?,
                happened_us: row.get(2).map(unsigned)?,
                at_us: row.get(3).map(unsigned)?,
                bad: row.get(4)?,
            })
        };
        let rows = select.query_map(params![rollout, epoch, signed(unit)], row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

pub(super) fn feedback_row(row: &Row<'_>) -> rusqlite::Result<FeedbackRow> {
    Ok(FeedbackRow {
        at_us: row.get(0).map(unsigned)?,
        kind: row.get(1)?,
        source: row.get(2)?,
        value: row.get(3)?,
        label: row.get(4)?,
        comment: row.get(5)?,
        bad: row.get(6)?,
    })
}
