//! Questions about exchanges.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::usage::Usage;

use super::feedback::{FEEDBACK, feedback_row};
use super::rows::{
    AttemptRow, BodyKind, BodyRow, CopyBody, CostRow, Counts, ExchangeDetail, ExchangeFilter, ExchangeRow, GapRow,
    Measured, OutcomeRow,
};
use super::shadow::{COMPARED_OF, compared_row};
use super::{Database, DatabaseError, during, signed, unsigned};

/// What a page holds when nobody says.
const DEFAULT_LIMIT: u32 = 100;

const EXCHANGE: &str = "SELECT e.id, e.received_at_us, e.finished_at_us, e.endpoint, e.route, e.principal, e.streamed,
    e.rollout, e.epoch, e.share, e.unit, e.unit_source, e.arm, e.forced, e.status, e.outcome, e.failure, e.served_by,
    e.time_to_first_token_us, e.duration_us, e.input_tokens, e.output_tokens, e.cached_tokens, e.reasoning_tokens,
    e.cache_write_tokens, e.usage_json, e.cost_nanos, e.cost_row, e.cost_unknown, e.client_retry, e.adaptations, EXISTS (SELECT 1 FROM attempts a WHERE a.exchange_id = e.id AND a.simulated = 1),
    e.asked, e.decisions,
    (SELECT a.failure FROM attempts a WHERE a.exchange_id = e.id AND a.shadow = 0 AND a.arm = e.arm ORDER BY a.idx DESC LIMIT 1)
    FROM exchanges e";

const ATTEMPT: &str = "SELECT idx, role, arm, rollout, epoch, dropped, target, provider, model, started_us, status,
    failure, time_to_first_token_us, duration_us, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    cache_write_tokens, usage_json, cost_nanos, cost_row, cost_unknown, finish_reason, format_valid,
    schema_valid, tool_calls_valid, violation, not_validated, truncated, simulated, answer_bytes, declined FROM attempts
    WHERE exchange_id = ?1 ORDER BY shadow, idx";

impl Database {
    /// Exchanges that match, newest first.
    pub fn list(&self, filter: &ExchangeFilter) -> Result<Vec<ExchangeRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing exchanges");
        let (conditions, values) = conditions(filter, "e.id", Some("e.outcome"));
        let sql = format!("{EXCHANGE} WHERE {conditions} ORDER BY e.id DESC LIMIT {}", limit(filter));
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map(rusqlite::params_from_iter(values), exchange_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The same of the newest `span` exchanges before the page's beginning alone, so that a filter that finds little does not read the whole record. Where that ended
    /// before the page was full and the record goes on, the id from which to go on.
    pub fn list_within(
        &self,
        filter: &ExchangeFilter,
        span: u32,
    ) -> Result<(Vec<ExchangeRow>, Option<ExchangeId>), DatabaseError> {
        let within = self.within(filter, span)?;
        let connection = self.reading();
        let what = during("listing exchanges");
        let (conditions, values) = conditions(filter, "e.id", Some("e.outcome"));
        let (conditions, values) = within.narrowed((conditions, values), "e.id");
        let sql = format!("{EXCHANGE} WHERE {conditions} ORDER BY e.id DESC LIMIT {}", limit(filter));
        let mut select = connection.prepare(&sql).map_err(&what)?;
        let rows = select.query_map(rusqlite::params_from_iter(values), exchange_row).map_err(&what)?;
        let rows: Vec<ExchangeRow> = rows.collect::<Result<_, _>>().map_err(&what)?;
        let is_full = rows.len() >= limit(filter) as usize;
        Ok((rows, within.rest.filter(|_| !is_full)))
    }

    /// Where the newest `span` exchanges before the beginning of a page end.
    pub(super) fn within(&self, filter: &ExchangeFilter, span: u32) -> Result<Within, DatabaseError> {
        let from = filter.since_us.map(|us| id_of(us.saturating_sub(APART_US)));
        let until = filter.until_us.map(|us| id_of(us.saturating_add(APART_US)));
        let before = [filter.before.map(ExchangeId::to_bytes), until].into_iter().flatten().min();
        let last: Option<[u8; 16]> = self
            .reading()
            .query_row(
                "SELECT id FROM exchanges WHERE id < ?1 AND id >= ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3",
                rusqlite::params![before.unwrap_or([0xff; 16]), from.unwrap_or([0; 16]), span.saturating_sub(1)],
                |row| row.get(0),
            )
            .optional()
            .map_err(during("looking how far a page goes"))?;
        let rest = last.map(ExchangeId::from_bytes);
        Ok(Within { from: last.or(from).unwrap_or([0; 16]), before: before.unwrap_or([0xff; 16]), rest })
    }

    /// Everything about one exchange; `None` when there is none with this id, or it is still under way.
    pub fn show(&self, id: ExchangeId) -> Result<Option<ExchangeDetail>, DatabaseError> {
        let connection = self.reading();
        let sql = format!("{EXCHANGE} WHERE e.id = ?1");
        let exchange = connection
            .query_row(&sql, [id.to_bytes()], exchange_row)
            .optional()
            .map_err(during("showing an exchange"))?;
        let Some(exchange) = exchange else { return Ok(None) };
        Ok(Some(ExchangeDetail {
            exchange,
            attempts: of(&connection, id, ATTEMPT, attempt_row)?,
            outcomes: of(
                &connection,
                id,
                "SELECT at_us, name, value, source FROM outcomes WHERE exchange_id = ?1 ORDER BY at_us",
                outcome_row,
            )?,
            bodies: of(
                &connection,
                id,
                "SELECT kind, bytes, length(data) FROM bodies WHERE exchange_id = ?1
                 UNION ALL SELECT 2 + duplicate, bytes, length(data) FROM copy_bodies WHERE exchange_id = ?1 ORDER BY 1",
                body_row,
            )?
            .into_iter()
            .flatten()
            .collect(),
            feedback: of(&connection, id, FEEDBACK, feedback_row)?,
            pairs: of(&connection, id, COMPARED_OF, |row| compared_row(row, 0))?,
        }))
    }

    /// The bytes of a body; `None` when there is none. Of copies, the first rollout's.
    pub fn body(&self, id: ExchangeId, kind: BodyKind) -> Result<Option<Private<Vec<u8>>>, DatabaseError> {
        if let BodyKind::Shadow | BodyKind::Duplicate = kind {
            let is_duplicate = kind == BodyKind::Duplicate;
            let copies = self.copy_bodies(id)?;
            return Ok(copies.into_iter().find(|copy| copy.duplicate == is_duplicate).map(|copy| copy.body));
        }
        let select = "SELECT bytes, data FROM bodies WHERE exchange_id = ?1 AND kind = ?2";
        let stored = self
            .reading()
            .query_row(select, rusqlite::params![id.to_bytes(), kind.code()], |row| {
                Ok((row.get(0).map(unsigned)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()
            .map_err(during("reading a body"))?;
        stored.map(|(bytes, data)| as_it_was(bytes, data)).transpose()
    }

    /// The answers to copies of an exchange, and the second answers of its baseline.
    pub fn copy_bodies(&self, id: ExchangeId) -> Result<Vec<CopyBody>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the answers to copies");
        // Of before several rollouts could copy one request: the one copy's body is with the others.
        let sql = "SELECT rollout, duplicate, bytes, data FROM copy_bodies WHERE exchange_id = ?1
            UNION ALL SELECT coalesce(s.rollout, ''), 0, b.bytes, b.data FROM bodies b
                LEFT JOIN attempts s ON s.exchange_id = b.exchange_id AND s.shadow = 1
                WHERE b.exchange_id = ?1 AND b.kind = 2
            ORDER BY 1, 2";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let rows = select
            .query_map([id.to_bytes()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2).map(unsigned)?, row.get::<_, Vec<u8>>(3)?))
            })
            .map_err(&what)?;
        rows.map(|row| {
            let (rollout, duplicate, bytes, data) = row.map_err(&what)?;
            Ok(CopyBody { rollout, duplicate, body: as_it_was(bytes, data)? })
        })
        .collect()
    }

    /// How much the database holds, by what was counted as it came.
    pub fn counts(&self) -> Result<Counts, DatabaseError> {
        let connection = self.reading();
        let what = during("counting exchanges");
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get(0).map(unsigned)).map_err(&what);
        let mut select = connection.prepare("SELECT what, n FROM tallies WHERE n > 0").map_err(&what)?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1).map(unsigned)?))).map_err(&what)?;
        let tallies: BTreeMap<String, u64> = rows.collect::<Result<_, _>>().map_err(&what)?;
        let of = |what: &str| tallies.get(what).copied().unwrap_or(0);
        let outcome = |(what, n): (&String, &u64)| Some((what.strip_prefix("exchange:")?.to_owned(), *n));
        Ok(Counts {
            exchanges: tallies.iter().filter_map(outcome).collect(),
            pending: count("SELECT count(*) FROM pending")?,
            attempts: of("attempt"),
            shadows: of("shadow"),
            missing: count("SELECT coalesce(sum(n), 0) FROM gaps")?,
        })
    }

    /// Spans in which records are missing, newest first.
    pub fn gaps(&self, limit: u32) -> Result<Vec<GapRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing gaps");
        let mut select = connection
            .prepare("SELECT from_us, to_us, n, reason FROM gaps ORDER BY from_us DESC LIMIT ?1")
            .map_err(&what)?;
        let gap = |row: &Row<'_>| {
            Ok(GapRow {
                from_us: row.get(0).map(unsigned)?,
                to_us: row.get(1).map(unsigned)?,
                n: row.get(2).map(unsigned)?,
                reason: row.get(3)?,
            })
        };
        let rows = select.query_map([limit], gap).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

/// An exchange's id is as old as its request, but for so much.
const APART_US: u64 = 60_000_000;

/// The smallest id of a moment: its first 48 bits are milliseconds.
fn id_of(us: u64) -> [u8; 16] {
    let mut id = [0; 16];
    let [_, _, ms @ ..] = (us / 1000).to_be_bytes();
    id[..6].copy_from_slice(&ms);
    id
}

/// A part of the record, by ids.
pub(super) struct Within {
    from: [u8; 16],
    before: [u8; 16],
    /// From where to go on, when the record does.
    pub(super) rest: Option<ExchangeId>,
}

impl Within {
    /// Conditions that hold in this part alone; with them no index of another order is taken.
    pub(super) fn narrowed(&self, (text, mut values): (String, Vec<Value>), id: &str) -> (String, Vec<Value>) {
        values.extend([self.from, self.before].map(|id| Value::Blob(id.to_vec())));
        let (from, before) = (values.len() - 1, values.len());
        let text = text.replace("AND e.", "AND +e.").replace("AND s.", "AND +s.").replace(&format!("+{id}"), id);
        (format!("{text} AND {id} >= ?{from} AND {id} < ?{before}"), values)
    }
}

/// A stored body, uncompressed when it was compressed.
pub(super) fn as_it_was(bytes: u64, data: Vec<u8>) -> Result<Private<Vec<u8>>, DatabaseError> {
    if data.len() as u64 == bytes {
        return Ok(Private::new(data));
    }
    let capacity = usize::try_from(bytes).unwrap_or(usize::MAX);
    zstd::bulk::decompress(&data, capacity).map(Private::new).map_err(DatabaseError::Body)
}

pub(super) fn limit(filter: &ExchangeFilter) -> u32 {
    filter.limit.unwrap_or(DEFAULT_LIMIT)
}

/// The WHERE clause of a filter over the table `e`, with its values in order. No value ever becomes text of the query.
pub(super) fn conditions(filter: &ExchangeFilter, id: &str, outcome: Option<&str>) -> (String, Vec<Value>) {
    let mut text = String::from("1");
    let mut values = Vec::new();
    let mut and = |column: &str, operator: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            text.push_str(&format!(" AND {column} {operator} ?{}", values.len()));
        }
    };
    let word = |value: &Option<String>| value.clone().map(Value::Text);
    let number = |value: u64| Value::Integer(signed(value));
    and("e.route", "=", word(&filter.route));
    and("e.rollout", "=", word(&filter.rollout));
    and("e.epoch", "=", filter.epoch.map(|epoch| number(epoch.into())));
    and("e.arm", "=", word(&filter.arm));
    if let Some(outcome) = outcome {
        and(outcome, "=", word(&filter.outcome));
    }
    and("e.received_at_us", ">=", filter.since_us.map(number));
    and("e.received_at_us", "<", filter.until_us.map(number));
    and(id, "<", filter.before.map(|id| Value::Blob(id.to_bytes().to_vec())));
    (text, values)
}

pub(super) fn of<T>(
    connection: &Connection,
    id: ExchangeId,
    sql: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, DatabaseError> {
    let what = during("showing an exchange");
    let mut select = connection.prepare(sql).map_err(&what)?;
    let rows = select.query_map([id.to_bytes()], read).map_err(&what)?;
    rows.collect::<Result<_, _>>().map_err(&what)
}

fn exchange_row(row: &Row<'_>) -> rusqlite::Result<ExchangeRow> {
    let list = |text: Option<String>| {
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(serde_json::Value::Array(Vec::new()))
    };
    Ok(ExchangeRow {
        id: exchange_id(row, 0)?,
        received_at_us: whole(row, 1)?,
        finished_at_us: whole(row, 2)?,
        endpoint: row.get(3)?,
        route: row.get(4)?,
        principal: row.get(5)?,
        streamed: row.get(6)?,
        rollout: row.get(7)?,
        epoch: row.get(8)?,
        share: row.get(9)?,
        unit: whole(row, 10)?,
        unit_source: row.get(11)?,
        arm: row.get(12)?,
        forced: row.get::<_, Option<bool>>(13)?.unwrap_or(false),
        status: row.get(14)?,
        outcome: row.get(15)?,
        failure: row.get(16)?,
        arm_failure: row.get(34)?,
        served_by: row.get(17)?,
        time_to_first_token_us: whole(row, 18)?,
        duration_us: whole(row, 19)?,
        usage: usage(row, 20)?,
        cost: cost(row, 26)?,
        client_retry: row.get::<_, Option<u16>>(29)?.unwrap_or(0),
        adaptations: list(row.get(30)?),
        simulated: row.get(31)?,
        asked: row.get(32)?,
        decisions: list(row.get(33)?),
    })
}

fn attempt_row(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        idx: row.get(0)?,
        role: row.get(1)?,
        arm: row.get(2)?,
        rollout: row.get(3)?,
        epoch: row.get(4)?,
        dropped: row.get(5)?,
        target: row.get(6)?,
        provider: row.get(7)?,
        model: row.get(8)?,
        started_us: whole(row, 9)?,
        measured: measured(row, 10)?,
        truncated: row.get(29)?,
        simulated: row.get(30)?,
        answer_bytes: row.get(31).map(unsigned)?,
        declined: row.get(32)?,
    })
}

/// Nineteen columns from `at`, in the order of the table.
pub(super) fn measured(row: &Row<'_>, at: usize) -> rusqlite::Result<Measured> {
    Ok(Measured {
        status: row.get(at)?,
        failure: row.get(at + 1)?,
        time_to_first_token_us: whole(row, at + 2)?,
        duration_us: whole(row, at + 3)?,
        usage: usage(row, at + 4)?,
        cost: cost(row, at + 10)?,
        finish_reason: row.get(at + 13)?,
        format_valid: row.get(at + 14)?,
        schema_valid: row.get(at + 15)?,
        tool_calls_valid: row.get(at + 16)?,
        violation: row.get(at + 17)?,
        not_validated: row.get(at + 18)?,
    })
}

fn outcome_row(row: &Row<'_>) -> rusqlite::Result<OutcomeRow> {
    Ok(OutcomeRow { at_us: row.get(0).map(unsigned)?, name: row.get(1)?, value: row.get(2)?, source: row.get(3)? })
}

fn body_row(row: &Row<'_>) -> rusqlite::Result<Option<BodyRow>> {
    let kind = BodyKind::from_code(row.get(0)?);
    let (bytes, stored_bytes) = (row.get(1).map(unsigned)?, row.get(2).map(unsigned)?);
    Ok(kind.map(|kind| BodyRow { kind, bytes, stored_bytes }))
}

pub(super) fn exchange_id(row: &Row<'_>, at: usize) -> rusqlite::Result<ExchangeId> {
    row.get(at).map(ExchangeId::from_bytes)
}

pub(super) fn whole(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(unsigned))
}

/// Six columns from `at`.
fn usage(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Usage>> {
    let Some(input_tokens) = whole(row, at)? else { return Ok(None) };
    let more: Option<String> = row.get(at + 5)?;
    if let Some(usage) = more.and_then(|json| serde_json::from_str(&json).ok()) {
        return Ok(Some(usage));
    }
    Ok(Some(Usage {
        input_tokens,
        output_tokens: whole(row, at + 1)?.unwrap_or(0),
        cached_tokens: whole(row, at + 2)?.unwrap_or(0),
        reasoning_tokens: whole(row, at + 3)?.unwrap_or(0),
        cache_write_tokens: whole(row, at + 4)?.unwrap_or(0),
        ..Usage::default()
    }))
}

/// Three columns from `at`.
fn cost(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<CostRow>> {
    let cost = CostRow { nanos: whole(row, at)?, row: row.get(at + 1)?, unknown: row.get(at + 2)? };
    Ok((cost.nanos.is_some() || cost.unknown.is_some()).then_some(cost))
}
