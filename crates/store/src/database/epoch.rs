//! The record read back as evidence: what the assigned arm's own attempt made of each request of one epoch.

use rusqlite::{Row, params};
use wire::ids::ExchangeId;

use super::exchanges::whole;
use super::{Database, DatabaseError, during, signed, unsigned};

/// One request of an epoch, judged by the attempt of the arm its unit is assigned to. Forced assignments are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochOutcome {
    /// The unit.
    pub unit: u64,
    /// `baseline` or `candidate`.
    pub arm: String,
    /// When the request arrived, Unix microseconds.
    pub received_at_us: u64,
    /// When the attempt ended, Unix microseconds.
    pub ended_at_us: u64,
    /// Whether another target took the request after this attempt.
    pub served_elsewhere: bool,
    /// Why the attempt failed, when it failed.
    pub failure: Option<String>,
    /// Whether the answer was well-formed; `None` when it did not have to be.
    pub format_valid: Option<bool>,
    /// Whether its text was as the schema that was asked for.
    pub schema_valid: Option<bool>,
    /// Whether its tool calls were as the tools that were offered.
    pub tool_calls_valid: Option<bool>,
    /// Something that had a schema was not held against it.
    pub not_validated: bool,
    /// To the first content.
    pub time_to_first_token_us: Option<u64>,
    /// To the end.
    pub duration_us: Option<u64>,
    /// The exchange.
    pub exchange: ExchangeId,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// Whether the answer declines or says nothing; `None` when that is not known.
    pub declined: Option<bool>,
    /// What the attempt cost, when that is known.
    pub cost_nanos: Option<u64>,
}

/// What the candidate refuses is judged when the exchange ends: what the baseline makes of it decides.
const OUTCOMES: &str = "SELECT e.unit, e.arm, e.received_at_us,
        iif(a.arm = 'candidate' AND a.failure IN ('http_client_error', 'unsupported'), e.finished_at_us,
            a.started_us + a.duration_us) AS ended, a.failure,
        a.format_valid, a.time_to_first_token_us, a.duration_us,
        coalesce(e.outcome = 'complete' AND e.served_by <> a.target, 0), a.schema_valid,
        a.tool_calls_valid, a.not_validated IS NOT NULL, e.id, coalesce(e.streamed, 0), a.finish_reason, a.declined,
        a.cost_nanos
    FROM exchanges e JOIN attempts a
      ON a.exchange_id = e.id AND a.shadow = 0 AND a.role = 'live' AND a.arm = e.arm
    WHERE e.rollout = ?1 AND e.epoch = ?2 AND e.unit IS NOT NULL AND coalesce(e.forced, 0) = 0";

impl Database {
    /// The outcomes of an epoch whose attempts ended after `since_us`, oldest first. With 0, all of them.
    pub fn epoch_outcomes(&self, rollout: &str, epoch: u32, since_us: u64) -> Result<Vec<EpochOutcome>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading an epoch's outcomes");
        let sql = format!("{OUTCOMES} AND ended > ?3 ORDER BY ended");
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map(params![rollout, epoch, signed(since_us)], outcome).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The outcomes of an epoch whose requests arrived since `from_us`, oldest first, `most` at most: those of a sample of units, by the low
    /// digits of their positions, which say nothing of their arms.
    pub fn sampled_outcomes(
        &self,
        rollout: &str,
        epoch: u32,
        (from_us, sample): (u64, f64),
        most: u32,
    ) -> Result<Vec<EpochOutcome>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading a sample of an epoch's outcomes");
        let sql = format!(
            "{OUTCOMES} AND e.id >= ?3 AND (?4 >= 1.0 OR abs(e.unit % 1000003) < ?4 * 1000003) ORDER BY e.id LIMIT ?5"
        );
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let from = ExchangeId::from_u128(u128::from(from_us / 1000) << 80).to_bytes();
        let rows = select.query_map(params![rollout, epoch, from, sample, most], outcome).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

fn outcome(row: &Row<'_>) -> rusqlite::Result<EpochOutcome> {
    Ok(EpochOutcome {
        unit: row.get(0).map(unsigned)?,
        arm: row.get(1)?,
        received_at_us: row.get(2).map(unsigned)?,
        ended_at_us: row.get(3).map(unsigned)?,
        failure: row.get(4)?,
        format_valid: row.get(5)?,
        time_to_first_token_us: whole(row, 6)?,
        duration_us: whole(row, 7)?,
        served_elsewhere: row.get(8)?,
        schema_valid: row.get(9)?,
        tool_calls_valid: row.get(10)?,
        not_validated: row.get(11)?,
        exchange: row.get(12).map(ExchangeId::from_bytes)?,
        streamed: row.get(13)?,
        finish_reason: row.get(14)?,
        declined: row.get(15)?,
        cost_nanos: whole(row, 16)?,
    })
}
