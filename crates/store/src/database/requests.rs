//! Requests one after the other, for who adds them up: never more than one of them in memory.

use rusqlite::params;
use rusqlite::types::ValueRef;

use super::exchanges::as_it_was;
use super::traffic::first_id;
use super::{Database, DatabaseError, during, unsigned};

/// A request as it is on record. It lives as long as it is looked at.
pub struct RequestRow<'r> {
    /// When it came, in Unix microseconds.
    pub received_at_us: u64,
    /// Which path it came in on.
    pub endpoint: &'r str,
    /// The route it named.
    pub route: &'r str,
    /// The id of the key it came with, or its hash.
    pub principal: Option<&'r str>,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// Whether its caller said that it had tried before.
    pub is_retry: bool,
    /// How it ended.
    pub outcome: &'r str,
    /// From its arrival to the first content.
    pub time_to_first_token_us: Option<u64>,
    /// From its arrival to its end.
    pub duration_us: Option<u64>,
    /// Tokens of the prompt and of the answer, where both were counted.
    pub tokens: Option<(u64, u64)>,
    /// Provider, model and whether its answer was made up, of the last call.
    pub served: Option<(&'r str, &'r str, bool)>,
    /// The request's bytes, where they were asked for and are on record.
    pub body: Option<&'r [u8]>,
}

const SELECT: &str =
    "SELECT e.received_at_us, e.endpoint, e.route, e.principal, e.streamed, e.client_retry, e.outcome, e.time_to_first_token_us,
            e.duration_us, e.input_tokens, e.output_tokens, a.provider, a.model, a.simulated, b.bytes, b.data
     FROM exchanges e
     LEFT JOIN attempts a ON a.exchange_id = e.id AND a.shadow = 0
        AND a.idx = (SELECT max(l.idx) FROM attempts l WHERE l.exchange_id = e.id AND l.shadow = 0)
     LEFT JOIN bodies b ON b.exchange_id = e.id AND b.kind = 0 AND hex(substr(e.id, 13)) < ?2
     WHERE e.id >= ?1 AND e.received_at_us IS NOT NULL ORDER BY e.id";

impl Database {
    /// Shows `each` every request since `since_us`, the oldest first, and about `most_bodies` of their bodies, drawn by what is random in their names:
    /// the same ones every time. What is still in the journal alone is not among them.
    pub fn each_request(
        &self,
        since_us: u64,
        most_bodies: u64,
        mut each: impl FnMut(&RequestRow<'_>),
    ) -> Result<(), DatabaseError> {
        let connection = self.reading();
        let what = during("reading requests one by one");
        let since = first_id(since_us);
        let count = "SELECT count(*) FROM exchanges WHERE id >= ?1";
        let n = connection.query_row(count, [since], |row| row.get(0).map(unsigned)).map_err(&what)?;
        let mut select = connection.prepare(SELECT).map_err(&what)?;
        let mut rows = select.query(params![since, below(most_bodies, n)]).map_err(&what)?;
        while let Some(row) = rows.next().map_err(&what)? {
            let text = |idx: usize| row.get_ref(idx).ok().and_then(|value| value.as_str_or_null().ok().flatten());
            let whole = |idx: usize| super::exchanges::whole(row, idx);
            let body = match (row.get_ref(14).map_err(&what)?, row.get_ref(15).map_err(&what)?) {
                // One that cannot be uncompressed is none.
                (ValueRef::Integer(bytes), ValueRef::Blob(data)) => as_it_was(unsigned(bytes), data.to_vec()).ok(),
                _ => None,
            };
            each(&RequestRow {
                received_at_us: row.get(0).map(unsigned).map_err(&what)?,
                endpoint: text(1).unwrap_or_default(),
                route: text(2).unwrap_or_default(),
                principal: text(3),
                streamed: row.get::<_, Option<bool>>(4).map_err(&what)?.unwrap_or(false),
                is_retry: whole(5).map_err(&what)?.is_some_and(|n| n > 0),
                outcome: text(6).unwrap_or_default(),
                time_to_first_token_us: whole(7).map_err(&what)?,
                duration_us: whole(8).map_err(&what)?,
                tokens: whole(9).map_err(&what)?.zip(whole(10).map_err(&what)?),
                served: text(11).zip(text(12)).map(|(provider, model)| (provider, model, row.get(13).unwrap_or(false))),
                body: body.as_ref().map(|body| body.expose().as_slice()),
            });
        }
        Ok(())
    }
}

/// The names, in hexadecimal, whose last four bytes are below this are `most` of `n`, about.
fn below(most: u64, n: u64) -> String {
    if most >= n {
        // After every hexadecimal digit.
        return "G".to_owned();
    }
    format!("{:08X}", (u128::from(most) << 32) / u128::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_below_the_end_and_half_below_the_middle() {
        assert_eq!(below(10, 10), "G");
        assert!("FFFFFFFF" < below(10, 5).as_str());
        assert_eq!(below(5, 10), "80000000");
        assert_eq!(below(0, 10), "00000000");
    }
}
