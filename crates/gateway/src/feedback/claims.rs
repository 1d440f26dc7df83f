//! Signals whose rows may not be in the database yet, so that the same one sent twice is one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::FeedbackRow;
use wire::ids::ExchangeId;
use wire::record::FeedbackKind;

use super::read::Posted;

/// Exchanges that are remembered. By the time this many others came, the rows of the oldest are in the database.
const MOST_EXCHANGES: usize = 16_384;

/// A signal as far as it is the same or another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    kind: FeedbackKind,
    source: String,
    value: Option<f64>,
    label: Option<String>,
    bad: Option<bool>,
}

/// What a signal is, among those before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// Nobody said it before: it is to be written, and counted or not.
    New { counts: bool },
    /// It is on record.
    Again,
    /// The same source said something else of this kind.
    Differs,
    /// The same is being written.
    Busy,
}

/// The signals of the last exchanges, of all workers.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    by_exchange: HashMap<ExchangeId, Vec<Claim>>,
    order: VecDeque<ExchangeId>,
}

#[derive(Debug)]
struct Claim {
    said: Said,
    is_done: bool,
}

impl Said {
    pub(super) fn of(signal: &Posted) -> Self {
        let Posted { kind, source, value, label, bad, .. } = signal;
        Self { kind: *kind, source: source.clone(), value: *value, label: label.clone(), bad: *bad }
    }

    fn is_about(&self, other: &Said) -> bool {
        self.kind == other.kind && self.source == other.source
    }

    fn on_record(row: &FeedbackRow) -> Option<Self> {
        let kind = FeedbackKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind)?;
        Some(Self { kind, source: row.source.clone(), value: row.value, label: row.label.clone(), bad: row.bad })
    }

    /// The same signal; what it was taken to mean may have changed with the config.
    fn is_same(&self, other: &Said) -> bool {
        self.is_about(other) && self.value == other.value && self.label == other.label
    }
}

impl Claims {
    /// Claims a signal about an exchange of which `rows` are on record.
    pub(super) fn claim(&self, exchange: ExchangeId, said: &Said, rows: &[FeedbackRow]) -> Claimed {
        let recorded: Vec<Said> = rows.iter().filter_map(Said::on_record).collect();
        let mut memory = self.lock();
        let claims = memory.by_exchange.get(&exchange).map_or(&[][..], Vec::as_slice);
        if let Some(before) = recorded.iter().find(|before| before.is_about(said)) {
            return if before.is_same(said) { Claimed::Again } else { Claimed::Differs };
        }
        if let Some(before) = claims.iter().find(|before| before.said.is_about(said)) {
            return match (before.said.is_same(said), before.is_done) {
                (false, _) => Claimed::Differs,
                (true, true) => Claimed::Again,
                (true, false) => Claimed::Busy,
            };
        }
        let before = recorded.iter().chain(claims.iter().map(|claim| &claim.said)).filter_map(|before| before.bad);
        // A bad signal counts unless another did; a good one unless any did.
        let counts = said.bad.is_some_and(|bad| before.into_iter().all(|before| bad && !before));
        memory.remember(exchange, Claim { said: said.clone(), is_done: false });
        Claimed::New { counts }
    }

    /// It is on record.
    pub(super) fn done(&self, exchange: ExchangeId, said: &Said) {
        let mut memory = self.lock();
        let claims = memory.by_exchange.get_mut(&exchange).into_iter().flatten();
        claims.filter(|claim| claim.said.is_about(said)).for_each(|claim| claim.is_done = true);
    }

    /// It could not be written: whoever sends it again begins anew.
    pub(super) fn give_up(&self, exchange: ExchangeId, said: &Said) {
        if let Some(claims) = self.lock().by_exchange.get_mut(&exchange) {
            claims.retain(|claim| !claim.said.is_about(said));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn remember(&mut self, exchange: ExchangeId, claim: Claim) {
        if !self.by_exchange.contains_key(&exchange) {
            self.order.push_back(exchange);
            if self.order.len() > MOST_EXCHANGES
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_exchange.remove(&oldest);
            }
        }
        self.by_exchange.entry(exchange).or_default().push(claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(source: &str, value: f64) -> Said {
        let (source, bad) = (source.to_owned(), Some(value < 0.5));
        Said { kind: FeedbackKind::Thumb, source, value: Some(value), label: None, bad }
    }

    fn row(said: &Said) -> FeedbackRow {
        FeedbackRow {
            at_us: 1,
            kind: said.kind.as_str().to_owned(),
            source: said.source.clone(),
            value: said.value,
            label: None,
            comment: None,
            bad: said.bad,
        }
    }

    #[test]
    fn a_signal_is_new_once_whether_its_row_is_there_or_not() {
        let claims = Claims::default();
        let id = ExchangeId::from_u128(1);
        let (up, down) = (said("user", 1.0), said("user", 0.0));
        assert_eq!(claims.claim(id, &up, &[]), Claimed::New { counts: true });
        assert_eq!(claims.claim(id, &up, &[]), Claimed::Busy);
        claims.done(id, &up);
        assert_eq!(claims.claim(id, &up, &[]), Claimed::Again);
        assert_eq!(claims.claim(id, &down, &[]), Claimed::Differs);
        assert_eq!(Claims::default().claim(id, &up, &[row(&up)]), Claimed::Again);
        assert_eq!(Claims::default().claim(id, &down, &[row(&up)]), Claimed::Differs);
    }

    #[test]
    fn what_could_not_be_written_can_be_sent_again() {
        let (claims, id, up) = (Claims::default(), ExchangeId::from_u128(1), said("user", 1.0));
        claims.claim(id, &up, &[]);
        claims.give_up(id, &up);
        assert_eq!(claims.claim(id, &up, &[]), Claimed::New { counts: true });
    }

    #[test]
    fn an_exchange_counts_once_as_good_and_once_as_bad_and_never_as_good_after_bad() {
        let check = |before: &[f64], now: f64| {
            let (claims, id) = (Claims::default(), ExchangeId::from_u128(1));
            for (n, value) in before.iter().enumerate() {
                claims.claim(id, &said(&n.to_string(), *value), &[]);
            }
            claims.claim(id, &said("user", now), &[]) == Claimed::New { counts: true }
        };
        assert!(check(&[], 1.0) && check(&[], 0.0) && check(&[1.0], 0.0));
        assert!(!check(&[1.0], 1.0) && !check(&[0.0], 1.0) && !check(&[0.0], 0.0) && !check(&[1.0, 0.0], 0.0));
    }

    #[test]
    fn the_oldest_exchanges_are_forgotten() {
        let (claims, up) = (Claims::default(), said("user", 1.0));
        for n in 0..=MOST_EXCHANGES {
            claims.claim(ExchangeId::from_u128(n as u128), &up, &[]);
        }
        let memory = claims.lock();
        assert_eq!((memory.by_exchange.len(), memory.order.len()), (MOST_EXCHANGES, MOST_EXCHANGES));
        assert!(!memory.by_exchange.contains_key(&ExchangeId::from_u128(0)));
    }
}
