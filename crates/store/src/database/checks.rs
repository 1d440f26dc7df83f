//! What policies found, and what people decided of what was referred to them.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use wire::ids::ExchangeId;
use wire::record::{Arm, ChecksRecord};

use super::control::begin;
use super::keys::{AuditRow, write_audit};
use super::{Database, DatabaseError, during, signed, unsigned};

/// One check of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRow {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Whether it is of the candidate's answer to a copy.
    pub shadow: bool,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// The route.
    pub route: String,
    /// The check.
    pub name: String,
    /// `before` or `after`.
    pub phase: String,
    /// `allow`, `redact`, `escalate` or `block`.
    pub verdict: String,
    /// Whose answer was looked at.
    pub target: Option<String>,
    /// The side of the rollout that target is on.
    pub arm: Option<String>,
    /// How long it took, microseconds.
    pub latency_us: u64,
    /// Why.
    pub detail: Option<String>,
    /// Whether it could not be made.
    pub failed: bool,
    /// The target that was asked for it.
    pub asked_target: Option<String>,
}

/// An exchange that was referred to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralRow {
    /// The check that referred it.
    pub check: CheckRow,
    /// What was decided; `None` while nobody has.
    pub review: Option<ReviewRow>,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRow {
    /// When, Unix microseconds.
    pub at_us: u64,
    /// Who.
    pub actor: String,
    /// `approve` or `reject`.
    pub decision: String,
    /// Why.
    pub reason: String,
}

/// Verdicts of one check, added up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictSums {
    /// The route.
    pub route: String,
    /// The check.
    pub name: String,
    /// `before` or `after`.
    pub phase: String,
    /// The side of the rollout whose answers these are.
    pub arm: Option<String>,
    /// Whether they are answers to copies.
    pub shadow: bool,
    /// How many were looked at.
    pub n: u64,
    /// How many came to `redact`.
    pub redacted: u64,
    /// How many came to `escalate`.
    pub escalated: u64,
    /// How many came to `block`.
    pub blocked: u64,
    /// How many could not be looked at.
    pub failed: u64,
    /// Microseconds they took together.
    pub latency_us: u64,
}

const COLUMNS: &str =
    "c.exchange_id, c.shadow, c.at_us, c.route, c.name, c.phase, c.verdict, c.target, c.arm, c.latency_us,
    c.detail, c.failed, c.asked_target";

/// Writes checks; once in effect, however often they come.
pub(crate) fn insert_checks(transaction: &Transaction<'_>, records: &[ChecksRecord]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT OR IGNORE INTO checks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    for record in records {
        for (idx, check) in record.checks.iter().enumerate() {
            // Several candidates may answer copies of one request, each under its target: their checks stand side by side.
            let of =
                check.target.as_ref().filter(|_| record.shadow).map_or(0, |target| crc32c::crc32c(target.as_bytes()));
            let idx = (u64::from(of) << 16) | idx as u64;
            let arm = check.arm.map(|arm| if arm == Arm::Baseline { "baseline" } else { "candidate" });
            let asked = check.asked.as_ref();
            insert.execute(params![
                record.id.to_bytes(),
                record.shadow,
                signed(idx),
                signed(record.at_us),
                record.route,
                check.name,
                check.phase.as_str(),
                check.verdict.as_str(),
                check.target,
                arm,
                signed(check.latency_us),
                check.detail.as_deref(),
                check.failed,
                asked.map(|(target, _)| target),
                asked.map(|(_, provider)| provider),
                signed(check.request_bytes),
                signed(check.answer_bytes),
            ])?;
        }
    }
    Ok(())
}

impl Database {
    /// The checks of an exchange, in order, those of its copy last.
    pub fn checks(&self, id: ExchangeId) -> Result<Vec<CheckRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading checks");
        let sql = format!("SELECT {COLUMNS} FROM checks c WHERE c.exchange_id = ?1 ORDER BY c.shadow, c.idx");
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map([id.to_bytes()], check_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Exchanges that were referred to a person, oldest first; with `decided`, those that somebody has decided too.
    pub fn referrals(&self, decided: bool, limit: u32) -> Result<Vec<ReferralRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing referrals");
        let sql = format!(
            "SELECT {COLUMNS}, r.at_us, r.actor, r.decision, r.reason
            FROM checks c LEFT JOIN reviews r ON r.exchange_id = c.exchange_id
            WHERE c.verdict = 'escalate' AND c.shadow = 0 AND (?1 OR r.exchange_id IS NULL)
            ORDER BY c.exchange_id, c.idx LIMIT ?2"
        );
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let referral = |row: &Row<'_>| {
            let at_us: Option<i64> = row.get(13)?;
            let review = match at_us {
                None => None,
                Some(at_us) => Some(ReviewRow {
                    at_us: unsigned(at_us),
                    actor: row.get(14)?,
                    decision: row.get(15)?,
                    reason: row.get(16)?,
                }),
            };
            Ok(ReferralRow { check: check_row(row)?, review })
        };
        let rows = select.query_map(params![decided, limit], referral).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// What was decided of an exchange.
    pub fn review(&self, id: ExchangeId) -> Result<Option<ReviewRow>, DatabaseError> {
        let sql = "SELECT at_us, actor, decision, reason FROM reviews WHERE exchange_id = ?1";
        let review = |row: &Row<'_>| {
            Ok(ReviewRow {
                at_us: row.get(0).map(unsigned)?,
                actor: row.get(1)?,
                decision: row.get(2)?,
                reason: row.get(3)?,
            })
        };
        self.reading().query_row(sql, [id.to_bytes()], review).optional().map_err(during("reading a review"))
    }

    /// Writes down what was decided, with its audit row, in one transaction; false when somebody had decided before.
    pub fn decide_review(&self, id: ExchangeId, review: &ReviewRow, audit: &AuditRow) -> Result<bool, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("deciding a review");
        let n = transaction
            .execute(
                "INSERT OR IGNORE INTO reviews VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id.to_bytes(), signed(review.at_us), review.actor, review.decision, review.reason],
            )
            .map_err(&what)?;
        if n == 0 {
            return Ok(false);
        }
        write_audit(&transaction, audit)?;
        transaction.commit().map_err(&what)?;
        Ok(true)
    }

    /// Verdicts on exchanges that arrived from `from_us` to before `to_us`, added up by route, check, phase and arm.
    pub fn verdicts(&self, from_us: u64, to_us: u64) -> Result<Vec<VerdictSums>, DatabaseError> {
        let connection = self.reading();
        let what = during("adding up verdicts");
        let sql =
            "SELECT route, name, phase, arm, shadow, count(*), sum(verdict = 'redact'), sum(verdict = 'escalate'),
                sum(verdict = 'block'), sum(failed), sum(latency_us)
            FROM checks WHERE exchange_id >= ?1 AND exchange_id < ?2 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let bound = |us: u64| ExchangeId::from_u128(u128::from(us / 1000) << 80).to_bytes();
        let sums = |row: &Row<'_>| {
            let number = |idx: usize| row.get(idx).map(unsigned);
            Ok(VerdictSums {
                route: row.get(0)?,
                name: row.get(1)?,
                phase: row.get(2)?,
                arm: row.get(3)?,
                shadow: row.get(4)?,
                n: number(5)?,
                redacted: number(6)?,
                escalated: number(7)?,
                blocked: number(8)?,
                failed: number(9)?,
                latency_us: number(10)?,
            })
        };
        let rows = select.query_map(params![bound(from_us), bound(to_us.saturating_add(999))], sums).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

fn check_row(row: &Row<'_>) -> rusqlite::Result<CheckRow> {
    Ok(CheckRow {
        exchange: ExchangeId::from_bytes(row.get(0)?),
        shadow: row.get(1)?,
        at_us: row.get(2).map(unsigned)?,
        route: row.get(3)?,
        name: row.get(4)?,
        phase: row.get(5)?,
        verdict: row.get(6)?,
        target: row.get(7)?,
        arm: row.get(8)?,
        latency_us: row.get(9).map(unsigned)?,
        detail: row.get(10)?,
        failed: row.get(11)?,
        asked_target: row.get(12)?,
    })
}
