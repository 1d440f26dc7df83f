//! Calls one by one, as a report reads them.

use rusqlite::params;
use wire::ids::ExchangeId;

use super::{Database, DatabaseError, during, signed, unsigned};

/// A call that was made, or refused before it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRow {
    /// When its request came, Unix microseconds.
    pub at_us: u64,
    /// Who was called.
    pub target: String,
    /// The model that was asked for; empty when no call was made.
    pub model: String,
    /// Whether it was a copy for comparison.
    pub is_shadow: bool,
    /// Whether the answer was to be streamed.
    pub streamed: bool,
    /// When its first token came, microseconds after the call.
    pub first_token_us: Option<u64>,
    /// How long it took, microseconds.
    pub duration_us: Option<u64>,
    /// Tokens that went in.
    pub input_tokens: Option<u64>,
    /// Tokens that came out.
    pub output_tokens: Option<u64>,
    /// What it cost, billionths of a dollar.
    pub cost_nanos: Option<u64>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Whether the answer is made up.
    pub simulated: bool,
}

impl Database {
    /// The newest `most` first calls of requests of `route` since `since_us`, and copies of these requests, newest first.
    pub fn route_calls(&self, route: &str, since_us: u64, most: u64) -> Result<Vec<CallRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the calls of a route");
        let mut select = connection
            .prepare(
                "SELECT e.received_at_us, a.target, coalesce(a.model, ''), a.shadow, coalesce(e.streamed, 0), a.time_to_first_token_us,
                        a.duration_us, a.input_tokens, a.output_tokens, a.cost_nanos, a.failure, a.simulated
                 FROM exchanges e JOIN attempts a ON a.exchange_id = e.id
                 WHERE e.id >= ?1 AND e.route = ?2 AND e.received_at_us IS NOT NULL AND a.target IS NOT NULL
                   AND (a.shadow = 1 OR a.idx = 0)
                 ORDER BY e.id DESC, a.shadow, a.idx LIMIT ?3",
            )
            .map_err(&what)?;
        let first = ExchangeId::new(since_us / 1000, [0; 10]).to_bytes();
        let rows = select
            .query_map(params![first, route, signed(most)], |row| {
                let number = |idx: usize| row.get::<_, Option<i64>>(idx).map(|value| value.map(unsigned));
                Ok(CallRow {
                    at_us: row.get(0).map(unsigned)?,
                    target: row.get(1)?,
                    model: row.get(2)?,
                    is_shadow: row.get(3)?,
                    streamed: row.get(4)?,
                    first_token_us: number(5)?,
                    duration_us: number(6)?,
                    input_tokens: number(7)?,
                    output_tokens: number(8)?,
                    cost_nanos: number(9)?,
                    failure: row.get(10)?,
                    simulated: row.get(11)?,
                })
            })
            .map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}
