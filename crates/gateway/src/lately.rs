//! Which exchanges the evidence has counted lately. It is saved with the evidence, in the same transaction, so that what is counted again from
//! the record after a crash is what had not been counted, and nothing else: neither is an answer lost that ended before the saving and was
//! counted after it, nor is one counted twice. Times alone cannot tell: an answer ends some moments before it is counted.

use std::collections::{BTreeMap, HashSet, VecDeque};

use rollout::{Metric, MetricSet};
use wire::ids::ExchangeId;

/// Exchanges that ended longer ago than this are taken to have been counted. Between the end of an attempt and its counting lie
/// microseconds, and on a machine that is out of breath milliseconds.
const HORIZON_US: u64 = 2_000_000;
/// So many are remembered at most: 32 KiB of them are saved.
const MOST: usize = 4096;
/// Lateness is remembered of so many attempts under way at most.
const MOST_LATE: usize = 4096;

/// What is told of an attempt before its end, by its bit.
const LATE: [Metric; 2] = [Metric::Slow, Metric::SlowFirstToken];

/// The exchanges that were counted lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lately {
    /// Of what ended up to here, all has been counted, Unix microseconds.
    since_us: u64,
    /// When it ended, and which it is.
    counted: VecDeque<(u64, u64)>,
    /// What was counted of attempts before their end: that they are late.
    late: BTreeMap<u64, u8>,
}

/// A part of the id that is random.
fn key(exchange: ExchangeId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = exchange.to_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Lately {
    /// An exchange was counted whose attempt ended at `ended_us`.
    pub(crate) fn counted(&mut self, exchange: ExchangeId, ended_us: u64) {
        self.late.remove(&key(exchange));
        self.push(ended_us, key(exchange));
    }

    fn push(&mut self, ended_us: u64, key: u64) {
        self.counted.push_back((ended_us, key));
        while let Some((oldest_us, _)) = self.counted.front().copied() {
            if self.counted.len() <= MOST && oldest_us.saturating_add(HORIZON_US) >= ended_us {
                break;
            }
            self.counted.pop_front();
            self.since_us = self.since_us.max(oldest_us);
        }
    }

    /// An attempt that is under way was counted as late.
    pub(crate) fn late(&mut self, exchange: ExchangeId, metrics: MetricSet) {
        if self.late.len() < MOST_LATE {
            *self.late.entry(key(exchange)).or_default() |= bits(metrics);
        }
    }

    /// Of what ended up to here, all has been counted.
    pub(crate) const fn since_us(&self) -> u64 {
        self.since_us
    }

    /// Whether an exchange that ended after that has been counted.
    pub(crate) fn has(&self) -> impl Fn(ExchangeId) -> bool + use<> {
        let keys: HashSet<u64> = self.counted.iter().map(|(_, key)| *key).collect();
        move |exchange| keys.contains(&key(exchange))
    }

    /// What had been counted of an exchange before its end.
    pub(crate) fn late_of(&self, exchange: ExchangeId) -> MetricSet {
        let bits = self.late.get(&key(exchange)).copied().unwrap_or_default();
        LATE.iter().enumerate().filter(|(idx, _)| bits & (1 << idx) != 0).map(|(_, metric)| *metric).collect()
    }

    /// As it is stored: the time, how many were counted and which, and what was late; all numbers little-endian.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.counted.len() * 8 + self.late.len() * 9);
        bytes.extend(self.since_us.to_le_bytes());
        bytes.extend((self.counted.len() as u64).to_le_bytes());
        self.counted.iter().for_each(|(_, key)| bytes.extend(key.to_le_bytes()));
        for (key, metrics) in &self.late {
            bytes.extend(key.to_le_bytes());
            bytes.push(*metrics);
        }
        bytes
    }

    /// What was stored with evidence that was saved at `saved_us`. Evidence of before has nothing with it: then times have to do.
    pub(crate) fn from_bytes(bytes: &[u8], saved_us: u64) -> Self {
        Self::read(bytes, saved_us).unwrap_or_else(|| Self { since_us: saved_us, ..Self::default() })
    }

    fn read(bytes: &[u8], saved_us: u64) -> Option<Self> {
        let (since_us, rest) = number(bytes)?;
        let (n, mut rest) = number(rest)?;
        let mut lately = Self { since_us, ..Self::default() };
        for _ in 0..n {
            let (key, after) = number(rest)?;
            lately.counted.push_back((saved_us, key));
            rest = after;
        }
        while !rest.is_empty() {
            let (key, after) = number(rest)?;
            let (metrics, after) = after.split_first()?;
            lately.late.insert(key, *metrics);
            rest = after;
        }
        Some(lately)
    }

    /// The process that counted these is gone, and none of its attempts is under way any more.
    pub(crate) fn forget_late(&mut self) {
        self.late.clear();
    }
}

fn bits(metrics: MetricSet) -> u8 {
    LATE.iter().enumerate().filter(|(_, metric)| metrics.contains(**metric)).fold(0, |bits, (idx, _)| bits | (1 << idx))
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(n: u8) -> ExchangeId {
        ExchangeId::new(1, [n; 10])
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let mut lately = Lately::default();
        lately.counted(exchange(1), 50);
        lately.counted(exchange(2), 40);
        lately.late(exchange(3), MetricSet::of(&[Metric::SlowFirstToken]));
        let mut read = Lately::from_bytes(&lately.to_bytes(), 60);
        let has = read.has();
        assert_eq!((read.since_us(), [1, 2, 3].map(|n| has(exchange(n)))), (0, [true, true, false]));
        assert_eq!(read.late_of(exchange(3)), MetricSet::of(&[Metric::SlowFirstToken]));
        assert_eq!(read.late_of(exchange(1)), MetricSet::EMPTY);
        read.forget_late();
        assert_eq!(read.late_of(exchange(3)), MetricSet::EMPTY);
        for cut in [&[][..], &lately.to_bytes()[..20]] {
            assert_eq!(Lately::from_bytes(cut, 60).since_us(), 60, "evidence of before, and what cannot be read");
        }
    }

    #[test]
    fn what_ended_long_ago_is_taken_to_be_counted() {
        let mut lately = Lately::default();
        lately.counted(exchange(1), 100);
        lately.counted(exchange(2), 200);
        lately.counted(exchange(3), 150 + HORIZON_US);
        let has = lately.has();
        assert_eq!((lately.since_us(), [1, 2, 3].map(|n| has(exchange(n)))), (100, [false, true, true]));
        for n in 0..5000 {
            lately.push(1_000 + HORIZON_US + n, n);
        }
        assert_eq!(lately.counted.len(), MOST);
    }

    #[test]
    fn an_attempt_that_ended_is_not_late_before_its_end_any_more() {
        let mut lately = Lately::default();
        lately.late(exchange(1), MetricSet::of(&[Metric::Slow]));
        lately.late(exchange(1), MetricSet::of(&[Metric::SlowFirstToken]));
        assert_eq!(lately.late_of(exchange(1)), MetricSet::of(&[Metric::Slow, Metric::SlowFirstToken]));
        lately.counted(exchange(1), 5);
        assert_eq!(lately.late_of(exchange(1)), MetricSet::EMPTY);
    }
}
