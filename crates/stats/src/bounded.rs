//! T3 as a promotion gate: a bound on the running average of a bounded quantity.

use serde::{Deserialize, Serialize};

use crate::eprocess::{count, log_spaced, log_sum_exp};

const N_BETS: usize = 16;
const LOWEST_BET: f64 = 0.02;
const HIGHEST_BET: f64 = 0.95;

/// An empirical-Bernstein e-process for "the running average of X is at most m" (Howard et al. 2021, after Fan et al. 2015).
///
/// For a bet `b` in (0, 1) and any centre decided before X is seen, with `X - centre >= -scale`:
/// `exp(b (X - m) / scale - psi(b) ((X - centre) / scale)^2)`, `psi(b) = -ln(1 - b) - b`, has conditional mean at most 1.
/// Unlike betting, it holds for the running average of the means, so a traffic mix that drifts cannot fake a pass.
/// It needs three numbers, which add across replicas; it can be read for every `m` at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmpiricalBernstein {
    scale: f64,
    n: u64,
    sum: f64,
    sum_sq_deviations: f64,
}

impl EmpiricalBernstein {
    /// For a quantity that never falls more than `scale` below its centre.
    #[must_use]
    pub fn new(scale: f64) -> Self {
        Self::from_totals(scale, 0, 0.0, 0.0)
    }

    /// From totals counted elsewhere: the number, the sum, and the sum of squared deviations from the predicted centres.
    #[must_use]
    pub fn from_totals(scale: f64, n: u64, sum: f64, sum_sq_deviations: f64) -> Self {
        Self { scale: scale.max(f64::MIN_POSITIVE), n, sum, sum_sq_deviations }
    }

    /// Counts one value; `centre` must have been decided before it was seen.
    pub fn observe(&mut self, value: f64, centre: f64) {
        self.n += 1;
        self.sum += value;
        self.sum_sq_deviations += (value - centre) * (value - centre);
    }

    /// Adds the totals of another replica.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.sum_sq_deviations += other.sum_sq_deviations;
    }

    /// `ln E` against "the running average is at most `null`".
    #[must_use]
    pub fn log_e(&self, null: f64) -> f64 {
        let gain = (self.sum - count(self.n) * null) / self.scale;
        let spread = self.sum_sq_deviations / (self.scale * self.scale);
        let bets = log_spaced(LOWEST_BET, HIGHEST_BET, N_BETS);
        let log_weight = -(count(N_BETS as u64)).ln();
        log_sum_exp(bets.iter().map(|bet| log_weight + bet * gain - psi(*bet) * spread))
    }

    /// The largest m that is rejected at `alpha`: with probability `1 - alpha` the running average is above it at all times.
    ///
    /// `None` before any value.
    #[must_use]
    pub fn lower_bound(&self, alpha: f64) -> Option<f64> {
        if self.n == 0 {
            return None;
        }
        let threshold = -alpha.ln();
        let mean = self.sum / count(self.n);
        let mut width = self.scale;
        while self.log_e(mean - width) < threshold {
            width *= 2.0;
            if width > 1e12 * self.scale {
                return None;
            }
        }
        let (mut rejected, mut open) = (mean - width, mean);
        for _ in 0..80 {
            let middle = 0.5 * (rejected + open);
            if self.log_e(middle) >= threshold {
                rejected = middle;
            } else {
                open = middle;
            }
        }
        Some(rejected)
    }

    /// How many values were counted.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }
}

/// `-ln(1 - b) - b`.
fn psi(bet: f64) -> f64 {
    -(-bet).ln_1p() - bet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hundred_perfect_scores_by_hand() {
        let mut bound = EmpiricalBernstein::new(1.0);
        (0..100).for_each(|_| bound.observe(0.5, 0.5));
        let bets = log_spaced(0.02, 0.95, 16);
        let by_hand = (bets.iter().map(|bet| (bet * 100.0 * 0.05).exp()).sum::<f64>() / 16.0).ln();
        assert!((bound.log_e(0.45) - by_hand).abs() < 1e-12);
    }

    #[test]
    fn the_bound_is_where_the_e_value_reaches_one_over_alpha() {
        let mut bound = EmpiricalBernstein::new(1.0);
        for idx in 0..400 {
            bound.observe(if idx % 7 == 0 { -1.0 } else { 0.5 }, 0.0);
        }
        let lower = bound.lower_bound(0.05).unwrap();
        assert!((bound.log_e(lower) - 20_f64.ln()).abs() < 1e-6);
        assert!(lower < 0.285);
    }

    #[test]
    fn nothing_seen_bounds_nothing() {
        assert_eq!(EmpiricalBernstein::new(1.0).lower_bound(0.05), None);
        assert!(EmpiricalBernstein::new(1.0).log_e(0.0).abs() < 1e-12);
    }

    #[test]
    fn replicas_merge_by_adding() {
        let (mut all, mut left, mut right) =
            (EmpiricalBernstein::new(1.0), EmpiricalBernstein::new(1.0), EmpiricalBernstein::new(1.0));
        for idx in 0..100 {
            let value = f64::from(idx % 3) / 2.0;
            all.observe(value, 0.5);
            if idx % 2 == 0 { &mut left } else { &mut right }.observe(value, 0.5);
        }
        left.merge(&right);
        assert!((left.log_e(0.3) - all.log_e(0.3)).abs() < 1e-9);
    }
}
