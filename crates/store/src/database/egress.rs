//! What left the house: calls from the record, and connections from the ledger.

use std::net::SocketAddr;

use rusqlite::types::Type;
use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};
use wire::ids::ExchangeId;
use wire::record::{ConnectionRecord, Lane};

use super::control::begin;
use super::{Database, DatabaseError, during, signed, unsigned};

/// Calls to one target for one reason, added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSums {
    /// The provider called.
    pub provider: String,
    /// The target called.
    pub target: String,
    /// The route of the requests.
    pub route: Option<String>,
    /// Why: `live`, `failover`, `shadow`, `retry`, `replaced`, `caller_retry`, `repair` or `moderation`.
    pub role: String,
    /// The side of a rollout the target is on: `baseline` or `candidate`.
    pub arm: Option<String>,
    /// Whether the answers were made up: then nothing left the process.
    pub simulated: bool,
    /// How many calls.
    pub calls: u64,
    /// Bytes of bodies sent.
    pub bytes_out: u64,
    /// Bytes of bodies received.
    pub bytes_in: u64,
}

pub(crate) const CONNECTION: &str = "INSERT INTO connections VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
    ON CONFLICT DO UPDATE SET closed_at_us = excluded.closed_at_us, bytes_out = excluded.bytes_out,
        bytes_in = excluded.bytes_in
    WHERE closed_at_us IS NULL AND excluded.closed_at_us IS NOT NULL";

/// Writes entries of the ledger; once in effect, however often they come.
pub(crate) fn insert_connections(
    transaction: &Transaction<'_>,
    connections: &[ConnectionRecord],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(CONNECTION)?;
    for connection in connections {
        insert.execute(params![
            signed(connection.opened_at_us),
            connection.local.to_string(),
            connection.remote.to_string(),
            connection.closed_at_us.map(signed),
            connection.lane.as_str(),
            connection.provider,
            connection.region,
            connection.class,
            connection.host,
            connection.sni,
            signed(connection.bytes_out),
            signed(connection.bytes_in),
        ])?;
    }
    Ok(())
}

impl Database {
    /// Writes entries of the ledger, for a process that has no journal.
    pub fn note_connections(&self, connections: &[ConnectionRecord]) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("writing the ledger of connections");
        insert_connections(&transaction, connections).map_err(&what)?;
        transaction.commit().map_err(&what)
    }

    /// Calls for exchanges that arrived from `from_us` to before `to_us`, added up by provider, target, route, role and arm.
    /// Attempts that were refused before a call was made are not among them.
    pub fn egress_calls(&self, from_us: u64, to_us: u64) -> Result<Vec<CallSums>, DatabaseError> {
        let connection = self.reading();
        let what = during("adding up calls");
        let sql = "SELECT a.provider, a.target, e.route, a.role, a.arm, a.simulated, count(*), sum(a.request_bytes),
                sum(a.answer_bytes)
            FROM attempts a LEFT JOIN exchanges e ON e.id = a.exchange_id
            WHERE a.exchange_id >= ?1 AND a.exchange_id < ?2 AND (a.request_bytes > 0 OR a.status IS NOT NULL)
            GROUP BY 1, 2, 3, 4, 5, 6
            UNION ALL SELECT asked_provider, asked_target, route, 'moderation', NULL, 0, count(*), sum(request_bytes),
                sum(answer_bytes)
            FROM checks WHERE exchange_id >= ?1 AND exchange_id < ?2 AND asked_target IS NOT NULL AND request_bytes > 0
            GROUP BY 1, 2, 3
            ORDER BY 1, 2, 3, 4, 5, 6";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let bound = |us: u64| ExchangeId::from_u128(u128::from(us / 1000) << 80).to_bytes();
        let rows =
            select.query_map(params![bound(from_us), bound(to_us.saturating_add(999))], call_sums).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Connections that were open at any moment from `from_us` to before `to_us`, oldest first, at most `limit` of them.
    pub fn connections(&self, from_us: u64, to_us: u64, limit: u32) -> Result<Vec<ConnectionRecord>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the ledger of connections");
        let sql =
            "SELECT opened_at_us, closed_at_us, lane, provider, region, class, host, sni, local, remote, bytes_out,
                bytes_in
            FROM connections WHERE opened_at_us < ?2 AND (closed_at_us IS NULL OR closed_at_us >= ?1)
            ORDER BY opened_at_us, local, remote LIMIT ?3";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let rows = select
            .query_map(params![signed_time(from_us), signed_time(to_us), limit], connection_row)
            .map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

/// A moment as it is compared: the end of time is the largest number.
fn signed_time(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

fn call_sums(row: &Row<'_>) -> rusqlite::Result<CallSums> {
    let number = |idx: usize| row.get(idx).map(unsigned);
    Ok(CallSums {
        provider: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
        target: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        route: row.get(2)?,
        role: row.get(3)?,
        arm: row.get(4)?,
        simulated: row.get(5)?,
        calls: number(6)?,
        bytes_out: number(7)?,
        bytes_in: number(8)?,
    })
}

fn connection_row(row: &Row<'_>) -> rusqlite::Result<ConnectionRecord> {
    let address = |idx: usize| -> rusqlite::Result<SocketAddr> {
        let text: String = row.get(idx)?;
        text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(idx, Type::Text, Box::new(error)))
    };
    let lane: String = row.get(2)?;
    let no_lane = || rusqlite::Error::FromSqlConversionFailure(2, Type::Text, format!("`{lane}` is no lane").into());
    Ok(ConnectionRecord {
        opened_at_us: row.get(0).map(unsigned)?,
        closed_at_us: row.get::<_, Option<i64>>(1)?.map(unsigned),
        lane: Lane::named(&lane).ok_or_else(no_lane)?,
        provider: row.get(3)?,
        region: row.get(4)?,
        class: row.get(5)?,
        host: row.get(6)?,
        sni: row.get(7)?,
        local: address(8)?,
        remote: address(9)?,
        bytes_out: row.get(10).map(unsigned)?,
        bytes_in: row.get(11).map(unsigned)?,
    })
}
