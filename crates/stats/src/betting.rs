//! T3 as a guard: is the mean of a bounded score below (or above) a null value?

use serde::{Deserialize, Serialize};

use crate::eprocess::{EProcess, log_spaced};

const N_BETS: usize = 20;
const RESTART_EVERY: u64 = 50;

/// Which side of the null is betted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Rejects "each mean, given the past, is at most the null".
    Above,
    /// Rejects "each mean, given the past, is at least the null".
    Below,
}

/// Bets on scores in `[0, 1]` against a null mean: `ln(1 + bet * g)` with `g = (x - null) / max(null, 1 - null)`.
///
/// Valid when every conditional mean obeys the null, which is what a guard asks. A promotion gate asks about the running
/// average and uses [`EmpiricalBernstein`](crate::EmpiricalBernstein).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BettingGuard {
    null: f64,
    side: Side,
    n: u64,
    sum: f64,
    process: EProcess,
}

impl BettingGuard {
    /// A guard against `null`, a number within (0, 1).
    #[must_use]
    pub fn new(null: f64, side: Side, start_weight: f64) -> Self {
        Self { null, side, n: 0, sum: 0.0, process: EProcess::new(N_BETS, start_weight) }
    }

    /// Counts one score in `[0, 1]`; what lies outside is cut to it.
    pub fn observe(&mut self, score: f64) {
        let score = score.clamp(0.0, 1.0);
        let scaled = (score - self.null) / self.null.max(1.0 - self.null);
        let gain = if self.side == Side::Above { scaled } else { -scaled };
        let increments: Vec<f64> = bets().iter().map(|bet| log_factor(*bet, gain)).collect();
        self.process.update(&increments);
        self.n += 1;
        self.sum += score;
        if self.n.is_multiple_of(RESTART_EVERY) {
            self.process.restart();
        }
    }

    /// The natural logarithm of the e-value.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        self.process.log_e()
    }

    /// Scores so far and their sum.
    #[must_use]
    pub fn totals(&self) -> (u64, f64) {
        (self.n, self.sum)
    }
}

/// `ln(1 + bet * gain)`: one bet's log growth.
#[must_use]
pub fn log_factor(bet: f64, gain: f64) -> f64 {
    (bet * gain).ln_1p()
}

fn bets() -> Vec<f64> {
    log_spaced(0.002, 0.9, N_BETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> impl Iterator<Item = f64> {
        [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0].into_iter().cycle().take(200)
    }

    #[test]
    fn agrees_with_the_published_vectors() {
        let mut guard = BettingGuard::new(0.5, Side::Above, 1.0);
        let mut crossed = None;
        for score in scores() {
            guard.observe(score);
            let (n, _) = guard.totals();
            let expected = match n {
                10 => Some(0.249100),
                50 => Some(2.282308),
                200 => Some(13.712972),
                _ => None,
            };
            if let Some(expected) = expected {
                assert!((guard.log_e() - expected).abs() < 1e-6, "after {n}: {}", guard.log_e());
            }
            if crossed.is_none() && guard.log_e() >= 20_f64.ln() {
                crossed = Some(n);
            }
        }
        assert_eq!(crossed, Some(58));
    }

    #[test]
    fn a_single_bet_agrees_with_confseq() {
        let log_e: f64 = scores().map(|score| log_factor(0.3, score - 0.5)).sum();
        assert!((log_e - 9.815536).abs() < 1e-6, "{log_e}");
    }

    #[test]
    fn the_other_side_loses_on_the_same_scores() {
        let mut guard = BettingGuard::new(0.5, Side::Below, 0.5);
        scores().for_each(|score| guard.observe(score));
        assert!(guard.log_e() < 0.0);
    }
}
