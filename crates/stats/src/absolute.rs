//! T2, the absolute breaker: is the candidate's rate of bad events above a fixed limit, whatever the baseline does?

use serde::{Deserialize, Serialize};

use crate::eprocess::{EProcess, log_spaced, log_sum_exp};

const N_BETS: usize = 20;
const LOWEST_BET: f64 = 0.002;
const HIGHEST_BET: f64 = 0.9;

/// Rejects "the chance of a bad event, given the past, is at most `limit`".
///
/// A bad event multiplies bet `b` by `1 + b (1 - limit) / limit`, a good one by `1 - b`.
///
/// # When it restarts
/// After every bad event, and never after a good one. A restart at the first bad event of an outage begins with fresh money and
/// no losses, so a clean past costs next to nothing however long it was: with a limit of 5 % and alpha 1e-4, an outage is
/// found after 5 bad events at the start and after 6 when 500, 10 000 or 200 000 clean events came before. Restarts at every
/// 50th event were measured too: a bad event then meets bets that lost up to 49 times since their restart, and the same outage
/// takes 16, 18 and 20 bad events (95th percentile). The past decides each restart, so the test stays exact; the weights of
/// [`EProcess`] never run out. What makes detection slower is bad events in the past, by `ln` of their number: 10 events
/// after 200 000 requests of which 1 % were bad.
///
/// A good event is one addition; losses are applied when the next bad event comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct AbsoluteGuard {
    kept: Kept,
    if_bad: Vec<f64>,
    if_good: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    limit: f64,
    n_good: u64,
    n_bad: u64,
    n_good_pending: u64,
    process: EProcess,
}

impl AbsoluteGuard {
    /// A breaker for a rate above `limit`, a number within (0, 1).
    #[must_use]
    pub fn new(limit: f64, start_weight: f64) -> Self {
        let process = EProcess::new(N_BETS, start_weight);
        Self::from(Kept { limit, n_good: 0, n_bad: 0, n_good_pending: 0, process })
    }

    /// Counts one good event.
    pub fn observe_good(&mut self) {
        self.kept.n_good += 1;
        self.kept.n_good_pending += 1;
    }

    /// Counts one bad event.
    pub fn observe_bad(&mut self) {
        let kept = &mut self.kept;
        kept.process.update_repeated(&self.if_good, kept.n_good_pending);
        kept.n_good_pending = 0;
        kept.n_bad += 1;
        kept.process.update(&self.if_bad);
        kept.process.restart();
    }

    /// Counts events of many replicas at once, as the sums of their counters since the last call; restarts once if any was bad.
    pub fn add(&mut self, n_good: u64, n_bad: u64) {
        let kept = &mut self.kept;
        kept.n_good += n_good;
        kept.n_good_pending += n_good;
        if n_bad > 0 {
            kept.process.update_repeated(&self.if_good, kept.n_good_pending);
            kept.n_good_pending = 0;
            kept.n_bad += n_bad;
            kept.process.update_repeated(&self.if_bad, n_bad);
            kept.process.restart();
        }
    }

    /// The natural logarithm of the e-value.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        self.kept.process.log_e_after(&self.if_good, self.kept.n_good_pending)
    }

    /// Good events so far.
    #[must_use]
    pub fn n_good(&self) -> u64 {
        self.kept.n_good
    }

    /// Bad events so far.
    #[must_use]
    pub fn n_bad(&self) -> u64 {
        self.kept.n_bad
    }
}

impl From<Kept> for AbsoluteGuard {
    fn from(kept: Kept) -> Self {
        let gain = (1.0 - kept.limit) / kept.limit;
        let bets = log_spaced(LOWEST_BET, HIGHEST_BET, N_BETS);
        let if_bad = bets.iter().map(|bet| (bet * gain).ln_1p()).collect();
        let if_good = bets.iter().map(|bet| (-bet).ln_1p()).collect();
        Self { kept, if_bad, if_good }
    }
}

impl From<AbsoluteGuard> for Kept {
    fn from(guard: AbsoluteGuard) -> Self {
        guard.kept
    }
}

/// `ln E` against "the rate is at least `limit`", from two counters: a certificate that bad events are rare.
///
/// A p95 below T is certified by calling an answer slower than T a bad event and taking a limit of 0.05. The bets are fixed, so what is
/// rejected is that the running average is at or above the limit ([`running_mean`](crate::running_mean)): a rate that drifts is no excuse. The
/// counters of replicas add.
#[must_use]
pub fn certificate_log_e(limit: f64, n_good: u64, n_bad: u64) -> f64 {
    let (good, bad) = (n_good as f64, n_bad as f64);
    let bets = log_spaced(LOWEST_BET, HIGHEST_BET, N_BETS);
    let log_weight = -(bets.len() as f64).ln();
    let if_good = limit / (1.0 - limit);
    log_sum_exp(bets.iter().map(|bet| log_weight + good * (bet * if_good).ln_1p() + bad * (-bet).ln_1p()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad_events_until_breach(guard: &mut AbsoluteGuard) -> u64 {
        let threshold = 1e4_f64.ln();
        let before = guard.n_bad();
        while guard.log_e() < threshold {
            guard.observe_bad();
        }
        guard.n_bad() - before
    }

    #[test]
    fn an_outage_from_the_start_takes_five_events() {
        assert_eq!(bad_events_until_breach(&mut AbsoluteGuard::new(0.05, 0.5)), 5);
    }

    #[test]
    fn a_long_clean_past_costs_one_event_more() {
        for n_clean in [49, 500, 10_000, 200_000, 100_000_000] {
            let mut guard = AbsoluteGuard::new(0.05, 0.5);
            guard.kept.n_good = n_clean;
            guard.kept.n_good_pending = n_clean;
            assert_eq!(bad_events_until_breach(&mut guard), 6, "after {n_clean} clean events");
        }
    }

    #[test]
    fn losses_applied_late_are_the_losses_applied_at_once() {
        let mut guard = AbsoluteGuard::new(0.05, 0.5);
        let mut eager = EProcess::new(N_BETS, 0.5);
        for event_idx in 0..200 {
            if event_idx % 37 == 5 {
                guard.observe_bad();
                eager.update(&guard.if_bad);
                eager.restart();
            } else {
                guard.observe_good();
                eager.update(&guard.if_good);
            }
            assert!((guard.log_e() - eager.log_e()).abs() < 1e-9);
        }
        assert_eq!((guard.n_good(), guard.n_bad()), (194, 6));
    }

    #[test]
    fn a_certificate_that_five_percent_are_slow_takes_the_published_number_of_requests() {
        let requests = (1..).find(|n| certificate_log_e(0.05, *n, 0) >= 20_f64.ln());
        assert!(requests.is_some_and(|n| n < 169), "169 at a true rate of 1 %, fewer at none: {requests:?}");
    }
}
