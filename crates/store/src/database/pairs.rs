//! Both answers to the same request, side by side.

use rusqlite::Row;
use wire::ids::ExchangeId;

use super::exchanges::{conditions, exchange_id, limit, measured, whole};
use super::rows::{ExchangeFilter, PairCounts, PairRow};
use super::shadow::compared_row;
use super::{Database, DatabaseError, during, unsigned};

/// A shadow `s`, the exchange `e` it copies, and the last live call `l`: the one whose answer the caller got.
const JOIN: &str = "FROM attempts s
    LEFT JOIN exchanges e ON e.id = s.exchange_id
    LEFT JOIN attempts l ON l.exchange_id = s.exchange_id AND l.shadow = 0
        AND l.idx = (SELECT max(idx) FROM attempts WHERE exchange_id = s.exchange_id AND shadow = 0)
    LEFT JOIN pairs p ON p.exchange_id = s.exchange_id AND p.rollout = s.rollout
    WHERE s.shadow = 1";

const COLUMNS: &str = "s.exchange_id, e.received_at_us, e.route, s.rollout, s.epoch, e.unit, e.outcome, e.served_by,
    e.status, e.failure, e.time_to_first_token_us, e.duration_us, e.input_tokens, e.output_tokens, e.cached_tokens,
    e.reasoning_tokens, e.cache_write_tokens, e.usage_json, e.cost_nanos, e.cost_row, e.cost_unknown, l.finish_reason,
    l.format_valid, l.schema_valid, l.tool_calls_valid, l.violation, l.not_validated, s.target, s.status, s.failure, s.time_to_first_token_us, s.duration_us, s.input_tokens,
    s.output_tokens, s.cached_tokens, s.reasoning_tokens, s.cache_write_tokens, s.usage_json, s.cost_nanos, s.cost_row,
    s.cost_unknown, s.finish_reason, s.format_valid, s.schema_valid, s.tool_calls_valid, s.violation,
    s.not_validated, s.dropped, s.simulated OR coalesce(l.simulated, 0), p.rollout, p.epoch, p.at_us, p.probability,
    p.size, p.task, p.streamed, p.deferred, p.altered, p.teacher_forced, p.comparisons, p.not_compared";

/// How many exchanges are counted at most: a longer record is not read whole to say how many pairs it has.
const COUNTED: u32 = 20_000;

impl Database {
    /// Pairs that match, newest first; dropped copies are among them, with their reason.
    pub fn pairs(&self, filter: &ExchangeFilter) -> Result<Vec<PairRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing pairs");
        let (conditions, values) = shadow_conditions(filter);
        let sql =
            format!("SELECT {COLUMNS} {JOIN} AND {conditions} ORDER BY s.exchange_id DESC LIMIT {}", limit(filter));
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map(rusqlite::params_from_iter(values), pair_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The same of the copies of the newest `span` exchanges before the page's beginning alone, and from where to go on; as [`Database::list_within`].
    pub fn pairs_within(
        &self,
        filter: &ExchangeFilter,
        span: u32,
    ) -> Result<(Vec<PairRow>, Option<ExchangeId>), DatabaseError> {
        let within = self.within(filter, span)?;
        let connection = self.reading();
        let what = during("listing pairs");
        let (conditions, values) = within.narrowed(shadow_conditions(filter), "s.exchange_id");
        let sql =
            format!("SELECT {COLUMNS} {JOIN} AND {conditions} ORDER BY s.exchange_id DESC LIMIT {}", limit(filter));
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map(rusqlite::params_from_iter(values), pair_row).map_err(&what)?;
        let rows: Vec<PairRow> = rows.collect::<Result<_, _>>().map_err(&what)?;
        let is_full = rows.len() >= limit(filter) as usize;
        Ok((rows, within.rest.filter(|_| !is_full)))
    }

    /// How many pairs match of the newest [`COUNTED`] exchanges that the filter may be of, whatever the limit.
    pub fn pair_counts(&self, filter: &ExchangeFilter) -> Result<PairCounts, DatabaseError> {
        self.pair_counts_of(filter, COUNTED)
    }

    pub(super) fn pair_counts_of(&self, filter: &ExchangeFilter, span: u32) -> Result<PairCounts, DatabaseError> {
        let within = self.within(filter, span)?;
        let connection = self.reading();
        let what = during("counting pairs");
        let (conditions_of_pair, values) = within.narrowed(shadow_conditions(filter), "s.exchange_id");
        let sql = format!(
            "SELECT coalesce(s.dropped, iif(e.id IS NULL, '', NULL)), count(*) {JOIN} AND {conditions_of_pair} GROUP BY 1"
        );
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select
            .query_map(rusqlite::params_from_iter(values), |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get(1).map(unsigned)?))
            })
            .map_err(&what)?;
        let mut counts = PairCounts { whole: within.rest.is_none(), ..PairCounts::default() };
        for row in rows {
            match row.map_err(&what)? {
                (None, n) => counts.complete = n,
                (Some(reason), n) if !reason.is_empty() => {
                    counts.dropped.insert(reason, n);
                }
                // The copy is answered, the exchange is not in the database yet.
                (Some(_), _) => {}
            }
        }
        let (conditions, values) = within.narrowed(conditions(filter, "e.id", Some("e.outcome")), "e.id");
        let sql = format!(
            "SELECT count(*) FROM exchanges e WHERE {conditions} AND e.rollout IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM attempts s WHERE s.exchange_id = e.id AND s.shadow = 1)"
        );
        counts.without_shadow = connection
            .query_row(&sql, rusqlite::params_from_iter(values), |row| row.get(0).map(unsigned))
            .map_err(&what)?;
        Ok(counts)
    }
}

/// The rollout and epoch of a pair are the shadow's own.
fn shadow_conditions(filter: &ExchangeFilter) -> (String, Vec<rusqlite::types::Value>) {
    let (text, values) = conditions(filter, "s.exchange_id", Some("e.outcome"));
    (text.replace("e.rollout", "s.rollout").replace("e.epoch", "s.epoch"), values)
}

fn pair_row(row: &Row<'_>) -> rusqlite::Result<PairRow> {
    let shadow_target: Option<String> = row.get(27)?;
    Ok(PairRow {
        id: exchange_id(row, 0)?,
        received_at_us: whole(row, 1)?,
        route: row.get(2)?,
        rollout: row.get(3)?,
        epoch: row.get(4)?,
        unit: whole(row, 5)?,
        outcome: row.get(6)?,
        live_target: row.get(7)?,
        live: measured(row, 8)?,
        shadow: if shadow_target.is_some() { Some(measured(row, 28)?) } else { None },
        shadow_target,
        dropped: row.get(47)?,
        simulated: row.get(48)?,
        compared: if row.get::<_, Option<String>>(49)?.is_some() { Some(compared_row(row, 49)?) } else { None },
    })
}
