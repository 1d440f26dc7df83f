//! What came in on a route: how much in which hour, in how many units, and what its target made of it.

use rusqlite::params;
use wire::ids::ExchangeId;

use super::exchanges::exchange_id;
use super::{Database, DatabaseError, EpochOutcome, during, unsigned};

/// Requests of a route over a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteTraffic {
    /// Requests in each hour in which any came, by hours since 1970.
    pub per_hour: Vec<(u64, u64)>,
    /// The most in any 60 seconds in a row, told apart by whole seconds.
    pub peak_per_minute: u64,
    /// Requests whose unit is known.
    pub with_unit: u64,
    /// Distinct units of these.
    pub units: u64,
    /// Mean duration of complete answers.
    pub mean_duration_us: Option<f64>,
    /// Mean tokens of a request and of its answer, where both were counted.
    pub mean_tokens: Option<(f64, f64)>,
    /// Mean of what requests cost in nano-dollars, and mean of its square, where it is known.
    pub mean_nanos: Option<(f64, f64)>,
    /// Requests of which somebody said whether the answer was good, and those of which somebody said that it was bad.
    pub judged: (u64, u64),
    /// When the first and the last came, in Unix microseconds.
    pub between_us: Option<(u64, u64)>,
    /// Requests that said they were a caller's own retry.
    pub client_retries: u64,
}

/// When a request came, its tokens and those of its answer, those of it from a cache, and whose it is.
pub type RequestShape = (u64, u64, u64, u64, u64);

/// Calls of a target held against the times that answers may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Calls whose duration is known, and those that took longer than the objective.
    pub total: (u64, u64),
    /// Calls for streams that had a first token, and those whose first token was later than the objective.
    pub first_token: (u64, u64),
}

impl Database {
    /// What came in on `route` since `since_us`.
    pub fn route_traffic(&self, route: &str, since_us: u64) -> Result<RouteTraffic, DatabaseError> {
        let connection = self.reading();
        let what = during("reading a route's traffic");
        let since = first_id(since_us);
        let mut hours = connection
            .prepare(
                "SELECT received_at_us / 3600000000 AS hour, count(*) FROM exchanges
                 WHERE id >= ?1 AND route = ?2 AND received_at_us IS NOT NULL GROUP BY hour ORDER BY hour",
            )
            .map_err(&what)?;
        let hour = |row: &rusqlite::Row<'_>| Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?));
        let per_hour = hours.query_map(params![since, route], hour).map_err(&what)?;
        let per_hour = per_hour.collect::<Result<_, _>>().map_err(&what)?;
        // A minute of the clock would cut a burst in two.
        let peak = "SELECT coalesce(max(n), 0) FROM (
                        SELECT sum(n) OVER (ORDER BY second RANGE BETWEEN 59 PRECEDING AND CURRENT ROW) AS n FROM (
                            SELECT received_at_us / 1000000 AS second, count(*) AS n FROM exchanges
                            WHERE id >= ?1 AND route = ?2 AND received_at_us IS NOT NULL GROUP BY second))";
        let peak_per_minute =
            connection.query_row(peak, params![since, route], |row| row.get(0).map(unsigned)).map_err(&what)?;
        let sums = "SELECT count(unit), count(DISTINCT unit), avg(iif(outcome = 'complete', duration_us, NULL)),
                           avg(iif(output_tokens IS NULL, NULL, input_tokens)), avg(iif(input_tokens IS NULL, NULL, output_tokens)),
                           avg(cost_nanos), avg(1.0 * cost_nanos * cost_nanos), min(received_at_us), max(received_at_us),
                           coalesce(sum(client_retry > 0), 0)
                    FROM exchanges WHERE id >= ?1 AND route = ?2";
        let both = |a: Option<f64>, b: Option<f64>| a.zip(b);
        let moment = |row: &rusqlite::Row<'_>, idx: usize| row.get::<_, Option<i64>>(idx).map(|us| us.map(unsigned));
        let mut traffic = connection
            .query_row(sums, params![since, route], |row| {
                Ok(RouteTraffic {
                    with_unit: row.get(0).map(unsigned)?,
                    units: row.get(1).map(unsigned)?,
                    mean_duration_us: row.get(2)?,
                    mean_tokens: both(row.get(3)?, row.get(4)?),
                    mean_nanos: both(row.get(5)?, row.get(6)?),
                    between_us: moment(row, 7)?.zip(moment(row, 8)?),
                    client_retries: row.get(9).map(unsigned)?,
                    ..RouteTraffic::default()
                })
            })
            .map_err(&what)?;
        let judged = "SELECT count(*), coalesce(sum(bad), 0) FROM (SELECT max(f.bad) AS bad FROM feedback f
                      JOIN exchanges e ON e.id = f.exchange_id
                      WHERE e.id >= ?1 AND e.route = ?2 AND f.bad IS NOT NULL GROUP BY f.exchange_id)";
        traffic.judged = connection
            .query_row(judged, params![since, route], |row| Ok((row.get(0).map(unsigned)?, row.get(1).map(unsigned)?)))
            .map_err(&what)?;
        Ok(RouteTraffic { per_hour, peak_per_minute, ..traffic })
    }

    /// When requests of `route` since `since_us` came, in Unix microseconds, with their tokens and those of their answers; those of which both
    /// were counted, the oldest first.
    pub fn route_arrivals(&self, route: &str, since_us: u64) -> Result<Vec<(u64, u64, u64)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading when a route's requests came");
        let mut select = connection
            .prepare(
                "SELECT received_at_us, input_tokens, output_tokens FROM exchanges
                 WHERE id >= ?1 AND route = ?2 AND received_at_us IS NOT NULL AND input_tokens IS NOT NULL
                   AND output_tokens IS NOT NULL ORDER BY id",
            )
            .map_err(&what)?;
        let number = |row: &rusqlite::Row<'_>, idx: usize| row.get(idx).map(unsigned);
        let rows = select
            .query_map(params![first_id(since_us), route], |row| {
                Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?))
            })
            .map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The same, each with the tokens of its prompt that came from a cache (0 where that is not known) and a number that its unit's other requests
    /// have too.
    pub fn route_shapes(&self, route: &str, since_us: u64) -> Result<Vec<RequestShape>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the shape of a route's requests");
        let mut select = connection
            .prepare(
                "SELECT received_at_us, input_tokens, output_tokens, coalesce(cached_tokens, 0), coalesce(unit, 0) FROM exchanges
                 WHERE id >= ?1 AND route = ?2 AND received_at_us IS NOT NULL AND input_tokens IS NOT NULL
                   AND output_tokens IS NOT NULL ORDER BY id",
            )
            .map_err(&what)?;
        let number = |row: &rusqlite::Row<'_>, idx: usize| row.get::<_, i64>(idx).map(i64::cast_unsigned);
        let rows = select
            .query_map(params![first_id(since_us), route], |row| {
                Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?, number(row, 3)?, number(row, 4)?))
            })
            .map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// How long people took over pairs of answers they were shown since `since_us`, in microseconds, wherever that was measured.
    pub fn review_times(&self, since_us: u64) -> Result<Vec<u64>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading how long reviews took");
        let mut select = connection
            .prepare(
                "SELECT took_us FROM panel_verdicts WHERE at_us >= ?1 AND took_us > 0
                 UNION ALL
                 SELECT iif(v.took_us = -1, max(0, v.at_us - p.shown_at_us), v.took_us) FROM blind_verdicts v
                 JOIN blind_pairs p ON p.token = v.token WHERE v.at_us >= ?1 AND v.took_us IS NOT NULL AND v.took_us <> 0",
            )
            .map_err(&what)?;
        let rows = select.query_map([super::signed(since_us)], |row| row.get(0).map(unsigned)).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// How many calls of `target` for requests of `route` since `since_us` took longer than these times, in microseconds.
    pub fn route_lateness(
        &self,
        (route, target): (&str, &str),
        since_us: u64,
        (total_us, first_token_us): (u64, u64),
    ) -> Result<Lateness, DatabaseError> {
        let select = "SELECT count(a.duration_us), coalesce(sum(a.duration_us > ?4), 0),
                             count(iif(e.streamed, a.time_to_first_token_us, NULL)),
                             coalesce(sum(e.streamed AND a.time_to_first_token_us > ?5), 0)
                      FROM exchanges e JOIN attempts a ON a.exchange_id = e.id AND a.shadow = 0 AND a.idx = 0
                      WHERE e.id >= ?1 AND e.route = ?2 AND a.target = ?3";
        let values = params![first_id(since_us), route, target, super::signed(total_us), super::signed(first_token_us)];
        let lateness = self.reading().query_row(select, values, |row| {
            Ok(Lateness {
                total: (row.get(0).map(unsigned)?, row.get(1).map(unsigned)?),
                first_token: (row.get(2).map(unsigned)?, row.get(3).map(unsigned)?),
            })
        });
        lateness.map_err(during("reading how late a route's answers are"))
    }

    /// What the first call of each request of `route` to `target` came to, and how often, since `since_us`. The units and times of these
    /// outcomes are those of one among many: only what they are judged by means something.
    pub fn route_outcomes(
        &self,
        route: &str,
        target: &str,
        since_us: u64,
    ) -> Result<Vec<(EpochOutcome, u64)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading a route's outcomes");
        let mut select = connection
            .prepare(
                "SELECT a.failure, a.format_valid, a.schema_valid, a.tool_calls_valid, a.not_validated IS NOT NULL,
                        coalesce(e.outcome = 'complete' AND e.served_by <> a.target, 0), count(*), min(e.id),
                        iif(a.finish_reason IN ('content_filter', 'refusal'), a.finish_reason, NULL), a.declined
                 FROM exchanges e JOIN attempts a ON a.exchange_id = e.id AND a.shadow = 0 AND a.idx = 0
                 WHERE e.id >= ?1 AND e.route = ?2 AND a.target = ?3 GROUP BY 1, 2, 3, 4, 5, 6, 9, 10",
            )
            .map_err(&what)?;
        let rows = select
            .query_map(params![first_id(since_us), route, target], |row| {
                let outcome = EpochOutcome {
                    exchange: exchange_id(row, 7)?,
                    unit: 0,
                    arm: "baseline".to_owned(),
                    received_at_us: 0,
                    ended_at_us: 0,
                    failure: row.get(0)?,
                    format_valid: row.get(1)?,
                    schema_valid: row.get(2)?,
                    tool_calls_valid: row.get(3)?,
                    not_validated: row.get(4)?,
                    served_elsewhere: row.get(5)?,
                    time_to_first_token_us: None,
                    duration_us: None,
                    streamed: false,
                    finish_reason: row.get(8)?,
                    declined: row.get(9)?,
                    cost_nanos: None,
                };
                Ok((outcome, row.get(6).map(unsigned)?))
            })
            .map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

/// The smallest name of an exchange of that time.
pub(super) fn first_id(us: u64) -> [u8; 16] {
    ExchangeId::new(us / 1000, [0; 10]).to_bytes()
}
