//! What people are to be told, and whether they were: each event once, each delivery until it is done.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::control::{begin, transition_row};
use super::{Database, DatabaseError, TransitionRow, during, signed, unsigned};

/// Alerts older than this many newer ones go away, once nothing of them waits.
const KEPT_ALERTS: u32 = 10_000;
/// More deliveries than this do not wait for one webhook: the oldest is given up.
const MOST_WAITING: u32 = 1000;
/// Readings of probes that are kept of a rollout.
const KEPT_PROBES: u32 = 1000;

/// One event that people are told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRow {
    /// Its id, the same for the same event.
    pub id: String,
    /// When it happened, Unix microseconds.
    pub at_us: u64,
    /// What happened, such as `rollout.rolled_back`.
    pub kind: String,
    /// To what.
    pub subject: String,
    /// One sentence.
    pub words: String,
    /// Facts, as JSON.
    pub data: String,
}

/// An event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// The webhook.
    pub webhook: String,
    /// `waiting`, `delivered` or `given_up`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it is to be delivered, Unix microseconds.
    pub since_us: u64,
    /// When it is tried next, Unix microseconds.
    pub next_at_us: u64,
    /// When it was delivered or given up.
    pub done_at_us: Option<u64>,
    /// What was wrong the last time.
    pub problem: Option<String>,
}

/// An event and all its deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDetail {
    /// The event.
    #[serde(flatten)]
    pub alert: AlertRow,
    /// Who was to hear of it.
    pub deliveries: Vec<DeliveryRow>,
}

/// How one webhook stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookState {
    /// The webhook.
    pub webhook: String,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Since when the oldest of them waits, Unix microseconds.
    pub oldest_us: Option<u64>,
    /// Deliveries that were made.
    pub delivered: u64,
    /// Deliveries that were given up.
    pub given_up: u64,
    /// What was wrong with the delivery that waits longest.
    pub problem: Option<String>,
}

/// What became of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It arrived.
    Delivered,
    /// It is tried again then, Unix microseconds.
    Again {
        /// When.
        next_at_us: u64,
        /// What was wrong.
        problem: String,
    },
    /// It is not tried again.
    GivenUp {
        /// What was wrong.
        problem: String,
    },
}

/// A reading of whether the baseline could take all traffic back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRow {
    /// The rollout.
    pub rollout: String,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// Whether it could.
    pub ok: bool,
    /// What was read, as JSON.
    pub json: String,
}

impl Database {
    /// Transitions that nobody was told of yet, oldest first of each rollout.
    pub fn untold_transitions(&self, limit: u32) -> Result<Vec<TransitionRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading transitions to tell of");
        let sql = "SELECT t.rollout, t.generation, t.at_us, t.from_stage, t.to_stage, t.from_share, t.to_share, t.epoch, t.actor,
                t.event, t.reason, t.evidence_json, t.policy_hash
            FROM transitions t LEFT JOIN alert_cursors c ON c.rollout = t.rollout
            WHERE t.generation > coalesce(c.generation, 0) ORDER BY t.rollout, t.generation LIMIT ?1";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let rows = select.query_map([limit], transition_row).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Writes down an event and who is to hear of it; once in effect, however often it comes. `told_of`: the transition it is of.
    /// True when it was new.
    pub fn add_alert(
        &self,
        alert: &AlertRow,
        webhooks: &[String],
        told_of: Option<(&str, u64)>,
        now_us: u64,
    ) -> Result<bool, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("writing an alert");
        let AlertRow { id, at_us, kind, subject, words, data } = alert;
        let n = transaction
            .execute(
                "INSERT OR IGNORE INTO alerts VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, signed(*at_us), kind, subject, words, data],
            )
            .map_err(&what)?;
        if n > 0 {
            for webhook in webhooks {
                enqueue(&transaction, (id, webhook), now_us).map_err(&what)?;
            }
            forget_old(&transaction).map_err(&what)?;
        }
        if let Some((rollout, generation)) = told_of {
            transaction
                .execute(
                    "INSERT INTO alert_cursors VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET generation = max(generation, excluded.generation)",
                    params![rollout, signed(generation)],
                )
                .map_err(&what)?;
        }
        transaction.commit().map_err(&what)?;
        Ok(n > 0)
    }

    /// The delivery to this webhook that is due first, if one is.
    pub fn due_delivery(&self, webhook: &str, now_us: u64) -> Result<Option<(AlertRow, DeliveryRow)>, DatabaseError> {
        let sql = "SELECT a.id, a.at_us, a.kind, a.subject, a.words, a.data,
                d.webhook, d.state, d.attempts, d.since_us, d.next_at_us, d.done_at_us, d.problem
            FROM deliveries d JOIN alerts a ON a.id = d.alert
            WHERE d.state = 'waiting' AND d.webhook = ?1 AND d.next_at_us <= ?2 ORDER BY d.next_at_us LIMIT 1";
        let row = |row: &Row<'_>| Ok((alert_row(row)?, delivery_row(row, 6)?));
        let found = self.reading().query_row(sql, params![webhook, signed(now_us)], row).optional();
        found.map_err(during("reading a delivery"))
    }

    /// Writes down what became of one try.
    pub fn tried(&self, alert: &str, webhook: &str, tried: &Tried, now_us: u64) -> Result<(), DatabaseError> {
        let (state, next, problem) = match tried {
            Tried::Delivered => ("delivered", None, None),
            Tried::Again { next_at_us, problem } => ("waiting", Some(*next_at_us), Some(problem)),
            Tried::GivenUp { problem } => ("given_up", None, Some(problem)),
        };
        let done = next.is_none().then(|| signed(now_us));
        let sql = "UPDATE deliveries SET state = ?3, attempts = attempts + 1, next_at_us = coalesce(?4, next_at_us),
            done_at_us = ?5, problem = ?6 WHERE alert = ?1 AND webhook = ?2";
        let connection = self.controlling()?;
        let done = connection.execute(sql, params![alert, webhook, state, next.map(signed), done, problem]);
        done.map(drop).map_err(during("writing down a delivery"))
    }

    /// Gives up what waits for webhooks that the config has no more.
    pub fn give_up_others(&self, webhooks: &[String], now_us: u64) -> Result<usize, DatabaseError> {
        let connection = self.controlling()?;
        let names = serde_json::to_string(webhooks).unwrap_or_else(|_| "[]".to_owned());
        let sql = "UPDATE deliveries SET state = 'given_up', done_at_us = ?2, problem = 'the config has no such webhook any more'
            WHERE state = 'waiting' AND webhook NOT IN (SELECT value FROM json_each(?1))";
        connection.execute(sql, params![names, signed(now_us)]).map_err(during("giving up deliveries"))
    }

    /// Delivers an alert again, to this webhook or to all that were to hear of it; how many deliveries wait for it now.
    pub fn resend_alert(&self, id: &str, webhook: Option<&str>, now_us: u64) -> Result<usize, DatabaseError> {
        let connection = self.controlling()?;
        let sql = "UPDATE deliveries SET state = 'waiting', since_us = ?3, next_at_us = ?3, done_at_us = NULL
            WHERE alert = ?1 AND (?2 IS NULL OR webhook = ?2)";
        connection.execute(sql, params![id, webhook, signed(now_us)]).map_err(during("sending an alert again"))
    }

    /// The newest alerts with their deliveries, newest first.
    pub fn alerts(&self, limit: u32) -> Result<Vec<AlertDetail>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing alerts");
        let sql = "SELECT id, at_us, kind, subject, words, data FROM alerts ORDER BY at_us DESC, id LIMIT ?1";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let rows = select.query_map([limit], alert_row).map_err(&what)?;
        let alerts = rows.collect::<Result<Vec<_>, _>>().map_err(&what)?;
        let sql = "SELECT webhook, state, attempts, since_us, next_at_us, done_at_us, problem FROM deliveries
            WHERE alert = ?1 ORDER BY webhook";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let mut details = Vec::with_capacity(alerts.len());
        for alert in alerts {
            let rows = select.query_map([&alert.id], |row| delivery_row(row, 0)).map_err(&what)?;
            let deliveries = rows.collect::<Result<_, _>>().map_err(&what)?;
            details.push(AlertDetail { alert, deliveries });
        }
        Ok(details)
    }

    /// The newest alert of one of these kinds about this subject.
    pub fn last_alert(&self, kinds: &[&str], subject: &str) -> Result<Option<AlertRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading the last alert");
        let sql = "SELECT id, at_us, kind, subject, words, data FROM alerts
            WHERE subject = ?1 AND kind = ?2 ORDER BY at_us DESC LIMIT 1";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let mut last: Option<AlertRow> = None;
        for kind in kinds {
            let found = select.query_row(params![subject, kind], alert_row).optional().map_err(&what)?;
            last = found.into_iter().chain(last).max_by_key(|row| row.at_us);
        }
        Ok(last)
    }

    /// How every webhook stands that anything was or is to be delivered to.
    pub fn webhook_states(&self) -> Result<Vec<WebhookState>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading how webhooks stand");
        let sql = "SELECT webhook, sum(n * (state = 'waiting')),
                (SELECT min(o.since_us) FROM deliveries o WHERE o.webhook = d.webhook AND o.state = 'waiting'),
                sum(n * (state = 'delivered')), sum(n * (state = 'given_up')),
                (SELECT o.problem FROM deliveries o WHERE o.webhook = d.webhook AND o.state = 'waiting'
                    ORDER BY o.since_us LIMIT 1)
            FROM delivery_sums d GROUP BY webhook HAVING sum(n) > 0 ORDER BY webhook";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let state = |row: &Row<'_>| {
            Ok(WebhookState {
                webhook: row.get(0)?,
                waiting: row.get(1).map(unsigned)?,
                oldest_us: row.get::<_, Option<i64>>(2)?.map(unsigned),
                delivered: row.get(3).map(unsigned)?,
                given_up: row.get(4).map(unsigned)?,
                problem: row.get(5)?,
            })
        };
        let rows = select.query_map([], state).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Writes down a reading of a probe.
    pub fn add_probe(&self, probe: &ProbeRow) -> Result<(), DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("writing down a probe");
        let ProbeRow { rollout, at_us, ok, json } = probe;
        transaction
            .execute(
                "INSERT OR REPLACE INTO baseline_probes VALUES (?1, ?2, ?3, ?4)",
                params![rollout, signed(*at_us), ok, json],
            )
            .map_err(&what)?;
        let forget = "DELETE FROM baseline_probes WHERE rollout = ?1 AND at_us <= (SELECT at_us FROM baseline_probes
            WHERE rollout = ?1 ORDER BY at_us DESC LIMIT 1 OFFSET ?2)";
        transaction.execute(forget, params![rollout, KEPT_PROBES]).map_err(&what)?;
        transaction.commit().map_err(&what)
    }

    /// Tokens of a request of this rollout, the mean of the last 200 whose usage is known.
    pub fn mean_tokens(&self, rollout: &str) -> Result<Option<f64>, DatabaseError> {
        let sql =
            "SELECT avg(n) FROM (SELECT coalesce(input_tokens, 0) + coalesce(output_tokens, 0) AS n FROM exchanges
            WHERE rollout = ?1 AND epoch = (SELECT max(epoch) FROM exchanges WHERE rollout = ?1 AND epoch < 2147483648)
              AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL) ORDER BY id DESC LIMIT 200)";
        self.reading().query_row(sql, [rollout], |row| row.get(0)).map_err(during("reading the tokens of requests"))
    }

    /// The newest readings of a rollout's probe, newest first.
    pub fn probes(&self, rollout: &str, limit: u32) -> Result<Vec<ProbeRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading probes");
        let sql =
            "SELECT rollout, at_us, ok, json FROM baseline_probes WHERE rollout = ?1 ORDER BY at_us DESC LIMIT ?2";
        let mut select = connection.prepare(sql).map_err(&what)?;
        let probe = |row: &Row<'_>| {
            Ok(ProbeRow { rollout: row.get(0)?, at_us: row.get(1).map(unsigned)?, ok: row.get(2)?, json: row.get(3)? })
        };
        let rows = select.query_map(params![rollout, limit], probe).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

fn enqueue(transaction: &Transaction<'_>, (alert, webhook): (&str, &str), now_us: u64) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR IGNORE INTO deliveries VALUES (?1, ?2, 'waiting', 0, ?3, ?3, NULL, NULL)",
        params![alert, webhook, signed(now_us)],
    )?;
    let too_many =
        "UPDATE deliveries SET state = 'given_up', done_at_us = ?2, problem = 'too many wait for this webhook'
        WHERE webhook = ?1 AND state = 'waiting' AND since_us < (SELECT since_us FROM deliveries
            WHERE webhook = ?1 AND state = 'waiting' ORDER BY since_us DESC LIMIT 1 OFFSET ?3)";
    transaction.execute(too_many, params![webhook, signed(now_us), MOST_WAITING - 1]).map(drop)
}

fn forget_old(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let old =
        "SELECT a.id FROM alerts a WHERE a.at_us < (SELECT at_us FROM alerts ORDER BY at_us DESC LIMIT 1 OFFSET ?1)
        AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.alert = a.id AND d.state = 'waiting')";
    transaction.execute(&format!("DELETE FROM deliveries WHERE alert IN ({old})"), [KEPT_ALERTS])?;
    transaction.execute(&format!("DELETE FROM alerts WHERE id IN ({old})"), [KEPT_ALERTS]).map(drop)
}

fn alert_row(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    Ok(AlertRow {
        id: row.get(0)?,
        at_us: row.get(1).map(unsigned)?,
        kind: row.get(2)?,
        subject: row.get(3)?,
        words: row.get(4)?,
        data: row.get(5)?,
    })
}

fn delivery_row(row: &Row<'_>, from: usize) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        webhook: row.get(from)?,
        state: row.get(from + 1)?,
        attempts: row.get(from + 2)?,
        since_us: row.get(from + 3).map(unsigned)?,
        next_at_us: row.get(from + 4).map(unsigned)?,
        done_at_us: row.get::<_, Option<i64>>(from + 5)?.map(unsigned),
        problem: row.get(from + 6)?,
    })
}
