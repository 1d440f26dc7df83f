//! The one engine behind the guards: a mixture of bets over a fixed grid of alternatives, with money kept back for
//! alternatives that only become true later.

use serde::{Deserialize, Serialize};

const STEADY_RESTARTS: f64 = 30.0;

/// A mergeable e-process over a grid of alternatives.
///
/// Each grid point holds a log wealth that grows by that alternative's log-likelihood ratio (or log betting factor).
/// `E = sum(exp(log_wealth)) + unspent`, so `E = 1` at the start and every update multiplies each point by a factor of
/// conditional mean at most 1 under the null: a non-negative supermartingale.
///
/// Increments add. Replicas that saw different events may sum their increment vectors between two restarts and apply the sum
/// once; the result is the statistic of all events together.
///
/// # Restarts that never run out
/// Wealth lost to a long clean past would hide a change that comes later, so part of the starting money is kept and spent on
/// restarts. After `j` restarts the money kept is `1 - start_weight` times a sequence that falls to 0 but never reaches it; restart `j`
/// gets the difference to the value before. The parts telescope, and start, restarts and rest always sum to exactly 1: the
/// whole is a convex combination of e-processes that begin at the restart times, which is an e-process if each time is
/// decided by the past alone (a stopping time).
///
/// Two sequences, for two kinds of restart. [`restart`](Self::restart) keeps `1 / (1 + ln(1 + j))`: most goes to the first few. Restart `j`
/// begins with about `1 / ((j + 1)(1 + ln(1 + j))^2)` of the money, that is `ln(1 + j) + 2 ln(1 + ln(1 + j))` nats: with
/// `start_weight` 0.5, 1.6 nats for the first, 8.8 for the 100th, 12.6 for the 2000th; the absolute breaker keeps by sequences of its
/// own. [`restart_steadily`](Self::restart_steadily) keeps
/// `(1 + j / 30)^(-1/2)`: the first thirty get about the same, 4.8 nats each with 0.5, the 100th 7.0, the 2000th 11.1. Starting itself costs
/// `-ln(start_weight)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EProcess {
    log_wealth: Vec<f64>,
    start_weight: f64,
    unspent: f64,
    n_restarts: u64,
}

impl EProcess {
    /// A process over `n_points` alternatives that bets `start_weight` (in `(0, 1]`) at once and keeps the rest for restarts.
    #[must_use]
    pub fn new(n_points: usize, start_weight: f64) -> Self {
        let n_points = n_points.max(1);
        Self::weighted(&vec![1.0 / as_f64(n_points); n_points], start_weight)
    }

    /// The same with weights for the alternatives; they are positive and sum to 1.
    #[must_use]
    pub fn weighted(weights: &[f64], start_weight: f64) -> Self {
        let start_weight = start_weight.clamp(f64::MIN_POSITIVE, 1.0);
        Self {
            log_wealth: weights.iter().map(|weight| (start_weight * weight).ln()).collect(),
            start_weight,
            unspent: 1.0 - start_weight,
            n_restarts: 0,
        }
    }

    /// Adds one log increment per grid point.
    pub fn update(&mut self, increments: &[f64]) {
        for (wealth, increment) in self.log_wealth.iter_mut().zip(increments) {
            *wealth += increment;
        }
    }

    /// Adds the same increments `times` times.
    pub fn update_repeated(&mut self, increments: &[f64], times: u64) {
        if times == 0 {
            return;
        }
        for (wealth, increment) in self.log_wealth.iter_mut().zip(increments) {
            *wealth += increment * count(times);
        }
    }

    /// Spends the next part of the kept money evenly over the grid, most of it on the first few restarts.
    pub fn restart(&mut self) {
        self.n_restarts += 1;
        let even = 1.0 / as_f64(self.log_wealth.len());
        let part = 1.0 / (1.0 + (1.0 + count(self.n_restarts)).ln());
        self.spend(self.kept_at_start() * part, std::iter::repeat(even));
    }

    /// Spends the next part of the kept money over the grid by these weights, about as much on each of the first thirty restarts.
    pub fn restart_steadily(&mut self, weights: &[f64]) {
        self.n_restarts += 1;
        let part = (1.0 + count(self.n_restarts) / STEADY_RESTARTS).powf(-0.5);
        self.spend(self.kept_at_start() * part, weights.iter().copied());
    }

    /// Spends `money` of what is kept, or what is left of it, over the grid by these weights, which sum to 1.
    pub fn restart_with(&mut self, money: f64, weights: &[f64]) {
        self.n_restarts += 1;
        let spent = money.clamp(0.0, self.unspent);
        self.spend(self.unspent - spent, weights.iter().copied());
    }

    /// The natural logarithm of the e-value.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        self.log_e_after(&[], 0)
    }

    /// What [`log_e`](Self::log_e) would be after `increments` were added `times` times.
    #[must_use]
    pub fn log_e_after(&self, increments: &[f64], times: u64) -> f64 {
        let times = count(times);
        let pending = |point_idx: usize| increments.get(point_idx).map_or(0.0, |increment| increment * times);
        let mut most = if self.unspent > 0.0 { self.unspent.ln() } else { f64::NEG_INFINITY };
        for (point_idx, wealth) in self.log_wealth.iter().enumerate() {
            most = most.max(wealth + pending(point_idx));
        }
        if most == f64::NEG_INFINITY {
            return most;
        }
        let grid: f64 =
            self.log_wealth.iter().enumerate().map(|(idx, wealth)| (wealth + pending(idx) - most).exp()).sum();
        let rest = if self.unspent > 0.0 { (self.unspent.ln() - most).exp() } else { 0.0 };
        most + (grid + rest).ln()
    }

    fn spend(&mut self, kept: f64, weights: impl Iterator<Item = f64>) {
        let spent = self.unspent - kept;
        if spent <= 0.0 {
            return;
        }
        self.unspent = kept;
        for (wealth, weight) in self.log_wealth.iter_mut().zip(weights) {
            *wealth = log_add_exp(*wealth, (spent * weight).ln());
        }
    }

    /// How many restarts were made.
    #[must_use]
    pub fn n_restarts(&self) -> u64 {
        self.n_restarts
    }

    /// The money that was kept at the start, for all restarts.
    #[must_use]
    pub fn kept_at_start(&self) -> f64 {
        1.0 - self.start_weight
    }

    /// The money kept for later restarts.
    #[must_use]
    pub fn unspent(&self) -> f64 {
        self.unspent
    }
}

/// `n` points from `first` to `last`, evenly spaced in their logarithm.
#[must_use]
pub fn log_spaced(first: f64, last: f64, n: usize) -> Vec<f64> {
    let (low, high) = (first.ln(), last.ln());
    let steps = as_f64(n.saturating_sub(1).max(1));
    (0..n).map(|idx| (low + (high - low) * as_f64(idx) / steps).exp()).collect()
}

/// `ln(exp(a) + exp(b))` without overflow.
#[must_use]
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// `ln(sum(exp(values)))` without overflow; negative infinity for none.
#[must_use]
pub fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY { most } else { most + values.map(|value| (value - most).exp()).sum::<f64>().ln() }
}

/// A count as a number; exact up to 2^53.
pub(crate) fn count(n: u64) -> f64 {
    n as f64
}

fn as_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_one_and_restarts_alone_never_change_the_total() {
        let mut process = EProcess::new(24, 0.5);
        for _ in 0..10_000 {
            assert!(process.log_e().abs() < 1e-9, "{}", process.log_e());
            process.restart();
        }
        assert!(process.unspent() > 0.04, "money is left after ten thousand restarts");
        let weights = [0.7, 0.2, 0.1];
        let mut process = EProcess::weighted(&weights, 0.5);
        for _ in 0..10_000 {
            assert!(process.log_e().abs() < 1e-9, "{}", process.log_e());
            process.restart_steadily(&weights);
        }
        assert!(process.unspent() > 0.02, "money is left after ten thousand restarts");
    }

    #[test]
    fn a_restart_costs_what_the_documentation_says() {
        for (restart, nats) in [(1_u64, 1.6), (100, 8.8), (2000, 12.6)] {
            let kept = |j: u64| 0.5 / (1.0 + (1.0 + count(j)).ln());
            let cost = -(kept(restart - 1) - kept(restart)).ln();
            assert!((cost - nats).abs() < 0.06, "restart {restart} costs {cost}");
        }
        for (restart, nats) in [(1_u64, 4.8), (30, 5.8), (100, 7.0), (2000, 11.1)] {
            let mut process = EProcess::new(2, 0.5);
            (1..restart).for_each(|_| process.restart_steadily(&[0.5, 0.5]));
            let before = process.unspent();
            process.restart_steadily(&[0.5, 0.5]);
            let cost = -(before - process.unspent()).ln();
            assert!((cost - nats).abs() < 0.06, "steady restart {restart} costs {cost}");
        }
    }

    #[test]
    fn increments_of_two_replicas_add_up() {
        let (first, second) = ([0.3, -0.2, 0.1], [-0.4, 0.25, 0.6]);
        let mut one_by_one = EProcess::new(3, 0.75);
        one_by_one.update(&first);
        one_by_one.update(&second);
        let mut merged = EProcess::new(3, 0.75);
        merged.update(&[-0.1, 0.05, 0.7]);
        assert!((one_by_one.log_e() - merged.log_e()).abs() < 1e-12);
    }

    #[test]
    fn stays_finite_after_a_hundred_million_losses() {
        let mut process = EProcess::new(2, 0.5);
        process.update_repeated(&[-2.3, -0.1], 100_000_000);
        assert!((process.log_e() - 0.5_f64.ln()).abs() < 1e-12);
        process.restart();
        assert!(process.log_e().is_finite());
    }
}
