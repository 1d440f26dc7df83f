//! T7: intervals for a page to show that hold however often one looks. They decide nothing.
//!
//! [`rate`], [`NormalMixture`] and [`EmpiricalBernsteinSequence`] hold at every n; [`asymptotic_margin`] only from some n on, and is narrower. A quantile's
//! interval is in [`quantile`](crate::quantile), a fixed n's in [`interval`](crate::interval).

use serde::{Deserialize, Serialize};

use crate::beta_mixture::{Alternative, Prior, log_e};
use crate::eprocess::count;
use crate::special::normal_cdf;

/// The margin of an asymptotic confidence sequence for a running mean: `mean +- margin` at all times from some n on.
///
/// `sqrt((n v r^2 + 1) / (n^2 r^2) * ln((n v r^2 + 1) / alpha^2))` with the sample's variance `v`. `r` decides where it is tightest
/// ([`tuned`]). Infinite for n of 0. Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
/// asymptotic confidence sequences" (2024), proposition 2.5. Checked by hand: n 100, v 0.25, alpha 0.05, r 0.296341 is 0.161333.
#[must_use]
pub fn asymptotic_margin(n: u64, variance: f64, alpha: f64, r: f64) -> f64 {
    let (n, square) = (count(n), r * r);
    let spread = n * variance * square + 1.0;
    (spread / (n * n * square) * (spread / (alpha * alpha)).ln()).sqrt()
}

/// The `r` at which [`asymptotic_margin`] is tightest at `n`, for values with a variance near 1 (divide by the deviation for others).
///
/// `sqrt((l + ln(l + 1)) / n)` with `l = -2 ln(alpha)`; the same paper, appendix B.2. Checked by hand: n 5000 at 0.05 is 0.039840.
#[must_use]
pub fn tuned(n: u64, alpha: f64) -> f64 {
    let twice_log = -2.0 * alpha.ln();
    ((twice_log + twice_log.ln_1p()) / count(n)).sqrt()
}

/// A normal mixture: an e-process for a sum whose deviations are sub-Gaussian with a known variance, which [`asymptotic_margin`] is with an estimated one.
///
/// Source: Howard, Ramdas, McAuliffe and Sekhon (2021), sections 3.2 and 3.5 (propositions 5 and 3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalMixture {
    rho: f64,
    is_one_sided: bool,
}

impl NormalMixture {
    /// The mixture whose bound is tightest where the variance so far is `variance_tuned`, at level `alpha_tuned`.
    #[must_use]
    pub fn tuned(variance_tuned: f64, alpha_tuned: f64, is_one_sided: bool) -> Self {
        let twice_log = -2.0 * (if is_one_sided { 2.0 * alpha_tuned } else { alpha_tuned }).ln();
        Self { rho: variance_tuned / (twice_log + twice_log.ln_1p()), is_one_sided }
    }

    /// `ln E` against "the sum's expectation is 0" (one-sided: at most 0), where the sum so far is `sum` and its variance `variance`.
    ///
    /// Checked by hand: one-sided, tuned for 100 at 0.05, a sum of 10 with variance 100 is -0.065024.
    #[must_use]
    pub fn log_e(self, sum: f64, variance: f64) -> f64 {
        let total = variance + self.rho;
        let both = 0.5 * (self.rho / total).ln() + 0.5 * sum * sum / total;
        if self.is_one_sided { both + (2.0 * normal_cdf(sum / total.sqrt())).ln() } else { both }
    }

    /// The sum that is reached at this or any other variance with probability at most `alpha`.
    #[must_use]
    pub fn bound(self, variance: f64, alpha: f64) -> f64 {
        let is_reached = |sum: f64| self.log_e(sum, variance) >= -alpha.ln();
        let (mut below, mut above) = (0.0, (variance + self.rho).sqrt());
        while !is_reached(above) && above.is_finite() {
            (below, above) = (above, 2.0 * above);
        }
        for _ in 0..100 {
            let middle = f64::midpoint(below, above);
            if is_reached(middle) { above = middle } else { below = middle }
        }
        above
    }
}

/// An interval for a rate that holds at every n: the rates that a beta-binomial mixture does not reject at `alpha`.
///
/// `n_tuned` is where it is tightest. `None` for no trials. Source: Howard, Ramdas, McAuliffe and Sekhon (2021), section 3.3.
/// Checked by hand: 700 of 1000, alpha 0.05, tuned for 100, is (0.651629, 0.745949).
#[must_use]
pub fn rate(n_bad: u64, n: u64, alpha: f64, n_tuned: u64) -> Option<(f64, f64)> {
    if n == 0 {
        return None;
    }
    let (bad, good) = (count(n_bad.min(n)), count(n.saturating_sub(n_bad)));
    let is_rejected = |rate: f64| {
        let prior = Prior::tuned(rate, count(n_tuned), 0.05, Alternative::Either);
        log_e(prior, rate, bad, good, Alternative::Either) >= -alpha.ln()
    };
    let edge = |outer: f64| {
        let (mut rejected, mut kept) = (outer, bad / (bad + good));
        for _ in 0..60 {
            let middle = f64::midpoint(rejected, kept);
            if is_rejected(middle) { rejected = middle } else { kept = middle }
        }
        rejected
    };
    let low = if bad == 0.0 { 0.0 } else { edge(0.0) };
    let high = if good == 0.0 { 1.0 } else { edge(1.0) };
    Some((low, high))
}

/// A confidence sequence for the mean of scores in `[0, 1]` by predictable mixtures of empirical-Bernstein bounds.
///
/// `mean_weighted +- (ln(2 / alpha) + sum(psi(b_t)(X_t - m_{t-1})^2)) / sum(b_t)` with the bet
/// `b_t = min(1/2, sqrt(2 ln(2 / alpha) / (v_{t-1} t ln(1 + t))))` and `psi(b) = -ln(1 - b) - b`. Source: Waudby-Smith and Ramdas,
/// "Estimating means of bounded random variables by betting" (2024), theorem 2. Holds for a mean that does not move.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmpiricalBernsteinSequence {
    alpha: f64,
    n: u64,
    sum: f64,
    sum_sq_about_smoothed: f64,
    sum_bets: f64,
    sum_weighted: f64,
    /// For the lower and the upper bound.
    spread: [f64; 2],
}

impl EmpiricalBernsteinSequence {
    /// An empty sequence at level `1 - alpha`.
    #[must_use]
    pub fn new(alpha: f64) -> Self {
        let (sum, sum_sq_about_smoothed, sum_bets) = (0.0, 0.0, 0.0);
        Self { alpha, n: 0, sum, sum_sq_about_smoothed, sum_bets, sum_weighted: 0.0, spread: [0.0; 2] }
    }

    /// Counts one score in `[0, 1]`; what lies outside is cut to it.
    ///
    /// Predicted is the mean so far; before any score, 0 for the lower bound and 1 for the upper.
    pub fn observe(&mut self, score: f64) {
        let score = score.clamp(0.0, 1.0);
        let t = count(self.n + 1);
        let variance = (0.25 + self.sum_sq_about_smoothed) / t;
        let log_term = 2.0 * (2.0 / self.alpha).ln();
        let bet = (log_term / (variance * t * t.ln_1p())).sqrt().min(0.5);
        for (spread, first) in self.spread.iter_mut().zip([0.0, 1.0]) {
            let predicted = if self.n == 0 { first } else { self.sum / count(self.n) };
            *spread += (-(-bet).ln_1p() - bet) * (score - predicted) * (score - predicted);
        }
        self.sum_bets += bet;
        self.sum_weighted += bet * score;
        self.n += 1;
        self.sum += score;
        let smoothed = (0.5 + self.sum) / (t + 1.0);
        self.sum_sq_about_smoothed += (score - smoothed) * (score - smoothed);
    }

    /// The interval; `None` before any score.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        if self.n == 0 {
            return None;
        }
        let centre = self.sum_weighted / self.sum_bets;
        let [below, above] = self.spread.map(|spread| ((2.0 / self.alpha).ln() + spread) / self.sum_bets);
        Some(((centre - below).max(0.0), (centre + above).min(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-6, "{actual} instead of {expected}");
    }

    #[test]
    fn margins_agree_with_the_published_vectors() {
        check(asymptotic_margin(100, 0.25, 0.05, 0.296341), 0.161333);
        check(tuned(5000, 0.05), 0.03984007);
        check(asymptotic_margin(5000, 1.0, 0.05, tuned(5000, 0.05)), 0.04292434);
        assert!(asymptotic_margin(0, 0.25, 0.05, 0.3).is_infinite());
    }

    #[test]
    fn normal_mixtures_agree_with_the_published_vectors() {
        let one_sided = NormalMixture::tuned(100.0, 0.05, true);
        check(one_sided.log_e(10.0, 100.0), -0.06502391);
        assert!((one_sided.bound(100.0, 0.05) - 27.66071).abs() < 1e-5, "{}", one_sided.bound(100.0, 0.05));
        let two_sided = NormalMixture::tuned(100.0, 0.05, false);
        assert!((two_sided.log_e(two_sided.bound(50.0, 0.01), 50.0) - 100_f64.ln()).abs() < 1e-9);
    }

    /// The values the reference implementation tests itself with.
    #[test]
    fn rates_agree_with_the_published_vectors() {
        for (bad, n, tuned, low, high) in
            [(700, 1000, 100, 0.651629, 0.745949), (15, 50, 50, 0.129556, 0.511896), (5, 50, 50, 0.013021, 0.269264)]
        {
            let (actual_low, actual_high) = rate(bad, n, 0.05, tuned).unwrap();
            check(actual_low, low);
            check(actual_high, high);
        }
        assert_eq!(rate(0, 0, 0.05, 100), None);
        assert_eq!(rate(0, 10, 0.05, 100).unwrap().0, 0.0);
        assert_eq!(rate(10, 10, 0.05, 100).unwrap().1, 1.0);
    }

    #[test]
    fn predictable_mixtures_agree_with_the_published_vectors() {
        let mut sequence = EmpiricalBernsteinSequence::new(0.05);
        assert_eq!(sequence.interval(), None);
        let scores = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0];
        for (idx, score) in scores.into_iter().cycle().take(200).enumerate() {
            sequence.observe(score);
            let expected = match idx + 1 {
                50 => (0.453285, 0.938228),
                200 => (0.581505, 0.814294),
                _ => continue,
            };
            let (low, high) = sequence.interval().unwrap();
            check(low, expected.0);
            check(high, expected.1);
        }
    }
}
