//! T2, the absolute breaker: is the candidate's rate of bad events above a fixed limit, whatever the baseline does?

use serde::{Deserialize, Serialize};

use crate::eprocess::{EProcess, count, log_spaced, log_sum_exp};

const N_BETS: usize = 20;
const LOWEST_BET: f64 = 0.002;
const HIGHEST_BET: f64 = 0.98;
/// A certificate bets less: one bad event must not cost nearly all.
const HIGHEST_CERTIFYING_BET: f64 = 0.9;

/// What is kept for restarts: for each length of a run of bad events an even part, spent as runs of that length come.
const RESTARTS: [Restarts; 3] = [
    Restarts { kept: |n| 1.0 / (1.0 + (1.0 + n).ln()), towards_high_bets: 0.0 },
    Restarts { kept: |n| (1.0 + n / 10.0).powf(-0.7), towards_high_bets: 1.5 },
    Restarts { kept: |n| (1.0 + n / 3.0).powf(-0.7), towards_high_bets: 4.0 },
];

struct Restarts {
    /// The part that is left after so many restarts; from 1 towards 0.
    kept: fn(f64) -> f64,
    /// Bet `b` gets a part `∝ b^towards_high_bets`: the longer the run, the surer it is an outage.
    towards_high_bets: f64,
}

/// Rejects "the chance of a bad event, given the past, is at most `limit`".
///
/// A bad event multiplies bet `b` by `1 + b (1 - limit) / limit`, a good one by `1 - b`.
///
/// # When it restarts
/// After bad events, and never after a good one: a restart at the beginning of an outage has fresh money and no losses, so a clean past
/// costs next to nothing however long it was. What makes detection slower is restarts that bad events of the past have used up, by `ln` of their number. So
/// there are three purses: one is spent after every bad event, one where it was the second or a later one in a row, one from the third on. Of 200 000
/// requests at 1 % errors 2 000 are bad, but only 20 end a run of two and none or one a run of three: whoever waits two events longer finds
/// a purse that is nearly full. The past decides each restart and the parts sum to 1, so the test stays exact.
///
/// With a limit of 5 % and alpha 1e-4, an outage is found after 5 bad events from the start, after 6 where only clean events came before, and after at
/// most 8 where up to 200 000 with 1 or 3 % errors did (measured; one purse took 10). No rule can promise 7 there: at a rate of exactly
/// 5 %, seven bad events in a row come among 200 000 with probability 1.5e-4. An outage of half the requests takes 13 from the start and 23
/// after 10 000 at 1 %, one of a fifth 81 and 136 (one purse: 13 and 26, 75 and 144).
///
/// A good event is one addition; losses are applied when the next bad event comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct AbsoluteGuard {
    kept: Kept,
    if_bad: Vec<f64>,
    if_good: Vec<f64>,
    restart_weights: [Vec<f64>; RESTARTS.len()],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    limit: f64,
    n_good: u64,
    n_bad: u64,
    n_good_pending: u64,
    process: EProcess,
    /// Bad events since the last good one.
    #[serde(default)]
    n_in_row: u64,
    /// Restarts by run length. An older store has none: what it spent is gone from the process, which never spends more than it has.
    #[serde(default)]
    n_restarts: [u64; RESTARTS.len()],
}

impl AbsoluteGuard {
    /// A breaker for a rate above `limit`, a number within (0, 1).
    #[must_use]
    pub fn new(limit: f64, start_weight: f64) -> Self {
        let process = EProcess::new(N_BETS, start_weight);
        let n_restarts = [0; RESTARTS.len()];
        Self::from(Kept { limit, n_good: 0, n_bad: 0, n_good_pending: 0, process, n_in_row: 0, n_restarts })
    }

    /// Counts one good event.
    pub fn observe_good(&mut self) {
        self.kept.n_good += 1;
        self.kept.n_good_pending += 1;
        self.kept.n_in_row = 0;
    }

    /// Counts one bad event.
    pub fn observe_bad(&mut self) {
        self.count_bad(1);
    }

    /// Counts events of many replicas at once, as the sums of their counters since the last call; the good ones are taken to have come first.
    pub fn add(&mut self, n_good: u64, n_bad: u64) {
        self.kept.n_good += n_good;
        self.kept.n_good_pending += n_good;
        if n_good > 0 {
            self.kept.n_in_row = 0;
        }
        if n_bad > 0 {
            self.count_bad(n_bad);
        }
    }

    fn count_bad(&mut self, n_bad: u64) {
        let kept = &mut self.kept;
        kept.process.update_repeated(&self.if_good, kept.n_good_pending);
        kept.n_good_pending = 0;
        kept.n_bad += n_bad;
        kept.n_in_row += n_bad;
        kept.process.update_repeated(&self.if_bad, n_bad);
        let purse = kept.process.kept_at_start() / RESTARTS.len() as f64;
        let purses = RESTARTS.iter().zip(&mut kept.n_restarts).zip(&self.restart_weights);
        for (((restarts, n), weights), run) in purses.zip(1..) {
            if kept.n_in_row >= run {
                let part = (restarts.kept)(count(*n)) - (restarts.kept)(count(*n + 1));
                *n += 1;
                kept.process.restart_with(purse * part, weights);
            }
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

fn bets() -> Vec<f64> {
    log_spaced(LOWEST_BET, HIGHEST_BET, N_BETS)
}

fn weights(towards_high_bets: f64) -> Vec<f64> {
    let powers: Vec<f64> = bets().iter().map(|bet| bet.powf(towards_high_bets)).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

impl From<Kept> for AbsoluteGuard {
    fn from(kept: Kept) -> Self {
        let gain = (1.0 - kept.limit) / kept.limit;
        let if_bad = bets().iter().map(|bet| (bet * gain).ln_1p()).collect();
        let if_good = bets().iter().map(|bet| (-bet).ln_1p()).collect();
        let restart_weights = RESTARTS.map(|restarts| weights(restarts.towards_high_bets));
        Self { kept, if_bad, if_good, restart_weights }
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
    let bets = log_spaced(LOWEST_BET, HIGHEST_CERTIFYING_BET, N_BETS);
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
        assert_eq!(bad_events_until_breach(&mut AbsoluteGuard::new(0.05, 0.4)), 5);
    }

    #[test]
    fn a_long_clean_past_costs_one_event_more() {
        for n_clean in [49, 500, 10_000, 200_000, 100_000_000] {
            let mut guard = AbsoluteGuard::new(0.05, 0.4);
            guard.add(n_clean, 0);
            assert_eq!(bad_events_until_breach(&mut guard), 6, "after {n_clean} clean events");
        }
    }

    /// 2 000 bad events, every hundredth of them with another one behind it, and one run of three.
    #[test]
    fn a_past_with_errors_costs_three_events_more() {
        let mut guard = AbsoluteGuard::new(0.05, 0.4);
        for idx in 0..2000 {
            guard.add(99, 0);
            let in_row = if idx == 1500 { 3 } else { 1 + u64::from(idx % 100 == 0) };
            (0..in_row).for_each(|_| guard.observe_bad());
        }
        guard.observe_good();
        assert_eq!(bad_events_until_breach(&mut guard), 8);
    }

    #[test]
    fn no_more_is_spent_than_there_is() {
        let mut guard = AbsoluteGuard::new(0.05, 0.4);
        (0..100_000).for_each(|_| guard.count_bad(1));
        let left = guard.kept.process.unspent();
        assert!(left > 0.0 && left < 0.6 * 0.05, "{left}");
        // Without any event that wins or loses, the parts sum to 1 at every time.
        let mut process = EProcess::new(N_BETS, 0.4);
        for (restarts, n) in RESTARTS.iter().flat_map(|restarts| (0_u32..50).map(move |n| (restarts, n))) {
            let part = (restarts.kept)(f64::from(n)) - (restarts.kept)(f64::from(n + 1));
            process.restart_with(0.2 * part, &weights(restarts.towards_high_bets));
            assert!(process.log_e().abs() < 1e-9);
        }
        process.restart_with(5.0, &weights(1.0));
        assert!(process.log_e().abs() < 1e-9 && process.unspent() == 0.0);
    }

    #[test]
    fn losses_applied_late_are_the_losses_applied_at_once() {
        let (mut guard, mut eager) = (AbsoluteGuard::new(0.05, 0.4), AbsoluteGuard::new(0.05, 0.4));
        for event_idx in 0..200 {
            if event_idx % 37 == 5 {
                guard.observe_bad();
                eager.observe_bad();
            } else {
                guard.observe_good();
                eager.observe_good();
                eager.kept.process.update(&eager.if_good);
                eager.kept.n_good_pending = 0;
            }
            assert!((guard.log_e() - eager.log_e()).abs() < 1e-9);
        }
        assert_eq!((guard.n_good(), guard.n_bad()), (194, 6));
    }

    #[test]
    fn a_breaker_of_an_older_store_goes_on_with_what_it_has_left() {
        let older = r#"{"limit":0.05,"n_good":3,"n_bad":1,"n_good_pending":3,"process":{"log_wealth":[0.0],"start_weight":0.5,"unspent":0.295,"n_restarts":1}}"#;
        let mut guard: AbsoluteGuard = serde_json::from_str(older).unwrap();
        (0..50).for_each(|_| guard.observe_bad());
        assert!(guard.kept.process.unspent() >= 0.0 && guard.n_bad() == 51);
    }

    #[test]
    fn a_certificate_that_five_percent_are_slow_takes_the_published_number_of_requests() {
        let requests = (1..).find(|n| certificate_log_e(0.05, *n, 0) >= 20_f64.ln());
        assert!(requests.is_some_and(|n| n < 169), "169 at a true rate of 1 %, fewer at none: {requests:?}");
    }
}
