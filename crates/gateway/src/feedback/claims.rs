//! Signals whose rows may not be in the database yet, so that the same one sent twice is one.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::{FeedbackRow, UnitOutcomeRow};
use wire::ids::ExchangeId;

use super::read::{Counted, Posted};

/// What is remembered signals of. By the time this many others came, the rows of the oldest are in the database.
const MOST: usize = 16_384;

/// The signals that may not be in the database yet, of all workers.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Feedback, by its exchange.
    pub(super) feedback: Claims<ExchangeId>,
    /// What other systems counted, by rollout, epoch and unit.
    pub(super) outcomes: Claims<(String, u32, u64)>,
}

/// A signal as far as it is the same or another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// Of what there can be one: kind and source, or metric, source and time.
    one: (String, String),
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
    /// Something else of which there can be one was said.
    Differs,
    /// The same is being written.
    Busy,
}

/// The signals about the last things of one kind.
#[derive(Debug)]
pub(super) struct Claims<K>(Mutex<Memory<K>>);

#[derive(Debug)]
struct Memory<K> {
    by_key: HashMap<K, Vec<Claim>>,
    order: VecDeque<K>,
}

#[derive(Debug)]
struct Claim {
    said: Said,
    is_done: bool,
}

impl Said {
    pub(super) fn of(posted: &Posted) -> Self {
        let Posted { kind, source, value, label, bad, .. } = posted;
        Self { one: (kind.as_str().to_owned(), source.clone()), value: *value, label: label.clone(), bad: *bad }
    }

    pub(super) fn counted(counted: &Counted) -> Self {
        let one = (format!("{} {}", counted.metric, counted.happened_us), counted.source.clone());
        Self { one, value: None, label: Some(counted.bad.to_string()), bad: Some(counted.bad) }
    }

    pub(super) fn on_record(row: &FeedbackRow) -> Self {
        let FeedbackRow { kind, source, value, label, bad, .. } = row;
        Self { one: (kind.clone(), source.clone()), value: *value, label: label.clone(), bad: *bad }
    }

    pub(super) fn counted_on_record(row: &UnitOutcomeRow) -> Self {
        let one = (format!("{} {}", row.metric, row.happened_us), row.source.clone());
        Self { one, value: None, label: Some(row.bad.to_string()), bad: Some(row.bad) }
    }

    /// The same signal; what it was taken to mean may have changed with the config.
    fn is_same(&self, other: &Said) -> bool {
        self.one == other.one && self.value == other.value && self.label == other.label
    }
}

impl<K> Default for Claims<K> {
    fn default() -> Self {
        Self(Mutex::new(Memory { by_key: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<K: Clone + Eq + Hash> Claims<K> {
    /// Claims a signal about something of which `recorded` is on record.
    pub(super) fn claim(&self, key: &K, said: &Said, recorded: &[Said]) -> Claimed {
        let mut memory = self.lock();
        let claims = memory.by_key.get(key).map_or(&[][..], Vec::as_slice);
        if let Some(before) = recorded.iter().find(|before| before.one == said.one) {
            return if before.is_same(said) { Claimed::Again } else { Claimed::Differs };
        }
        if let Some(before) = claims.iter().find(|before| before.said.one == said.one) {
            return match (before.said.is_same(said), before.is_done) {
                (false, _) => Claimed::Differs,
                (true, true) => Claimed::Again,
                (true, false) => Claimed::Busy,
            };
        }
        let before = recorded.iter().chain(claims.iter().map(|claim| &claim.said)).filter_map(|before| before.bad);
        // A bad signal counts unless another did; a good one unless any did.
        let counts = said.bad.is_some_and(|bad| before.into_iter().all(|before| bad && !before));
        memory.remember(key, Claim { said: said.clone(), is_done: false });
        Claimed::New { counts }
    }

    /// It is on record.
    pub(super) fn done(&self, key: &K, said: &Said) {
        let mut memory = self.lock();
        let claims = memory.by_key.get_mut(key).into_iter().flatten();
        claims.filter(|claim| claim.said.one == said.one).for_each(|claim| claim.is_done = true);
    }

    /// It could not be written: whoever sends it again begins anew.
    pub(super) fn give_up(&self, key: &K, said: &Said) {
        if let Some(claims) = self.lock().by_key.get_mut(key) {
            claims.retain(|claim| claim.said.one != said.one);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Memory<K> {
    fn remember(&mut self, key: &K, claim: Claim) {
        if !self.by_key.contains_key(key) {
            self.order.push_back(key.clone());
            if self.order.len() > MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_key.remove(&oldest);
            }
        }
        self.by_key.entry(key.clone()).or_default().push(claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(source: &str, value: f64) -> Said {
        let (one, bad) = (("thumb".to_owned(), source.to_owned()), Some(value < 0.5));
        Said { one, value: Some(value), label: None, bad }
    }

    #[test]
    fn a_signal_is_new_once_whether_its_row_is_there_or_not() {
        let claims = Claims::<ExchangeId>::default();
        let id = ExchangeId::from_u128(1);
        let (up, down) = (said("user", 1.0), said("user", 0.0));
        assert_eq!(claims.claim(&id, &up, &[]), Claimed::New { counts: true });
        assert_eq!(claims.claim(&id, &up, &[]), Claimed::Busy);
        claims.done(&id, &up);
        assert_eq!(claims.claim(&id, &up, &[]), Claimed::Again);
        assert_eq!(claims.claim(&id, &down, &[]), Claimed::Differs);
        assert_eq!(Claims::<ExchangeId>::default().claim(&id, &up, std::slice::from_ref(&up)), Claimed::Again);
        assert_eq!(Claims::<ExchangeId>::default().claim(&id, &down, std::slice::from_ref(&up)), Claimed::Differs);
    }

    #[test]
    fn what_could_not_be_written_can_be_sent_again() {
        let (claims, id, up) = (Claims::<ExchangeId>::default(), ExchangeId::from_u128(1), said("user", 1.0));
        claims.claim(&id, &up, &[]);
        claims.give_up(&id, &up);
        assert_eq!(claims.claim(&id, &up, &[]), Claimed::New { counts: true });
    }

    #[test]
    fn an_exchange_counts_once_as_good_and_once_as_bad_and_never_as_good_after_bad() {
        let check = |before: &[f64], now: f64| {
            let (claims, id) = (Claims::<ExchangeId>::default(), ExchangeId::from_u128(1));
            for (n, value) in before.iter().enumerate() {
                claims.claim(&id, &said(&n.to_string(), *value), &[]);
            }
            claims.claim(&id, &said("user", now), &[]) == Claimed::New { counts: true }
        };
        assert!(check(&[], 1.0) && check(&[], 0.0) && check(&[1.0], 0.0));
        assert!(!check(&[1.0], 1.0) && !check(&[0.0], 1.0) && !check(&[0.0], 0.0) && !check(&[1.0, 0.0], 0.0));
    }

    #[test]
    fn the_oldest_exchanges_are_forgotten() {
        let (claims, up) = (Claims::<ExchangeId>::default(), said("user", 1.0));
        for n in 0..=MOST {
            claims.claim(&ExchangeId::from_u128(n as u128), &up, &[]);
        }
        let memory = claims.lock();
        assert_eq!((memory.by_key.len(), memory.order.len()), (MOST, MOST));
        assert!(!memory.by_key.contains_key(&ExchangeId::from_u128(0)));
    }
}
