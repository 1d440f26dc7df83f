//! Costs added up while attempts are shipped, so that nobody has to scan the record for them. One row is written per key and
//! batch; an attempt that is there already is not added again.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Statement, Transaction, params};
use wire::ids::ExchangeId;
use wire::record::{AttemptRecord, AttemptRole, Charge, RequestRecord};

use super::insert::arm;
use crate::database::signed;

const US_PER_DAY: u64 = 86_400_000_000;

const ADD: &str = "INSERT INTO costs (rollout, epoch, arm, role, day, target, requests, known, unknown, nanos)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, known = known + excluded.known,
        unknown = unknown + excluded.unknown, nanos = nanos + excluded.nanos";

/// What [`Belonging::find`] asks.
pub(super) const BELONGING: &str = "SELECT rollout, epoch, coalesce(client_retry, 0) FROM exchanges WHERE id = ?1";

/// Where an attempt belongs: its exchange's place in a rollout, and whether its request counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Belonging {
    pub(super) rollout: Option<(String, u32)>,
    /// The caller's SDK had tried before.
    pub(super) is_retry: bool,
}

impl Belonging {
    /// Of a request that is in the same batch.
    pub(super) fn of(request: &RequestRecord) -> Belonging {
        let rollout = request.rollout.as_ref().map(|rollout| (rollout.name.clone(), rollout.epoch));
        Belonging { rollout, is_retry: request.client_retry > 0 }
    }

    /// Of one that was shipped before; `select` is [`BELONGING`].
    pub(super) fn find(select: &mut Statement<'_>, id: ExchangeId) -> rusqlite::Result<Belonging> {
        let found = select.query_row([id.to_bytes()], |row| {
            let (rollout, epoch): (Option<String>, Option<u32>) = (row.get(0)?, row.get(1)?);
            Ok(Belonging { rollout: rollout.zip(epoch), is_retry: row.get::<_, u16>(2)? > 0 })
        });
        Ok(found.optional()?.unwrap_or_default())
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    requests: u64,
    known: u64,
    unknown: u64,
    nanos: u64,
}

/// Rollout, epoch, arm, role, day, target.
type Key = (String, u32, &'static str, &'static str, u64, String);

/// How many rows one batch adds, by what they are.
#[derive(Debug, Default)]
pub(super) struct Tallies(BTreeMap<String, usize>);

impl Tallies {
    pub(super) fn add_exchanges(&mut self, outcome: &str, n: usize) {
        self.add(&format!("exchange:{outcome}"), n);
    }

    /// A new call: live, or a copy; others are not counted.
    pub(super) fn add_attempt(&mut self, shadow: u8) {
        match shadow {
            0 => self.add("attempt", 1),
            1 => self.add("shadow", 1),
            _ => {}
        }
    }

    fn add(&mut self, what: &str, n: usize) {
        match self.0.get_mut(what) {
            Some(sum) => *sum += n,
            None if n > 0 => drop(self.0.insert(what.to_owned(), n)),
            None => {}
        }
    }

    pub(super) fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut add =
            transaction.prepare("INSERT INTO tallies VALUES (?1, ?2) ON CONFLICT DO UPDATE SET n = n + excluded.n")?;
        for (what, n) in &self.0 {
            add.execute(params![what, signed(*n as u64)])?;
        }
        Ok(())
    }
}

/// What one batch adds.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<Key, Sum>);

impl Sums {
    pub(super) fn add(&mut self, attempt: &AttemptRecord, belonging: &Belonging) {
        let is_unknown = matches!(attempt.cost, Some(Charge::Unknown { .. }));
        let was_made = attempt.cost.is_some() || attempt.status.is_some();
        if !was_made {
            return;
        }
        let (rollout, epoch) = belonging.rollout.clone().unwrap_or_default();
        let (arm, day) = (attempt.arm.map_or("", arm), attempt.started_us / US_PER_DAY);
        // Further tries for a request belong to what its target cost, not to how many requests it had.
        let (role, is_further) = match attempt.role {
            AttemptRole::Retry | AttemptRole::Replaced => (AttemptRole::Live, true),
            AttemptRole::CallerRetry => (AttemptRole::Live, belonging.is_retry),
            role => (role, belonging.is_retry),
        };
        let sum = self.0.entry((rollout, epoch, arm, role.as_str(), day, attempt.target.clone())).or_default();
        sum.requests += u64::from(!is_further && !is_unknown);
        sum.unknown += u64::from(is_unknown);
        if let Some(Charge::Priced { nanos, .. }) = &attempt.cost {
            sum.known += 1;
            sum.nanos = sum.nanos.saturating_add(*nanos);
        }
    }

    pub(super) fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut add = transaction.prepare(ADD)?;
        for ((rollout, epoch, arm, role, day, target), sum) in &self.0 {
            let Sum { requests, known, unknown, nanos } = *sum;
            add.execute(params![
                rollout,
                epoch,
                arm,
                role,
                signed(*day),
                target,
                signed(requests),
                signed(known),
                signed(unknown),
                signed(nanos)
            ])?;
        }
        Ok(())
    }
}
