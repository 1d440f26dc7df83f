//! One-sided and two-sided mixtures over a rate with a Beta prior, in closed form: an e-process for "the rate is this".
//!
//! Source: Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (2021), section 3.3
//! (the beta-binomial mixture), here for trials with outcomes 0 and 1. Robbins (1970) has it for the two-sided case.

use crate::special::{ln_beta, ln_beta_upper};

/// Which alternatives are mixed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// The rate is higher than the null.
    Higher,
    /// The rate is higher or lower.
    Either,
}

/// A Beta prior over the rate, as the number of imaginary hits and misses; both above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    hits: f64,
    misses: f64,
}

impl Prior {
    /// The prior whose bound is tightest when `n` trials have been seen at this null rate and at level `alpha`.
    ///
    /// `r = max(rho - p (1 - p), p (1 - p) / 1000)` with the normal mixture's best `rho = v / (2 l + ln(1 + 2 l))`, `v = n p (1 - p)`,
    /// `l = ln(1 / alpha)` (one-sided: `alpha` doubled); hits `r / (1 - p)`, misses `r / p`. Source: the paper's section 3.5 and
    /// proposition 3.
    #[must_use]
    pub fn tuned(null: f64, n: f64, alpha: f64, alternative: Alternative) -> Self {
        let variance = null * (1.0 - null);
        let alpha = if alternative == Alternative::Higher { 2.0 * alpha } else { alpha };
        let twice_log = -2.0 * alpha.ln();
        let rho = n * variance / (twice_log + twice_log.ln_1p());
        let r = (rho - variance).max(1e-3 * variance);
        Self { hits: r / (1.0 - null), misses: r / null }
    }
}

/// `ln E` against "each trial is a hit with probability `null`" (one-sided: at most `null`), a number within (0, 1).
///
/// With `a = hits + prior hits` and `b = misses + prior misses`: `B(a, b) (1 - I_null(a, b)) / [B0 (1 - I0)]` over
/// `null^hits (1 - null)^misses`, the factor `1 - I` only where the mixture is one-sided. Checked by hand: a one-sided
/// Beta(1, 1), null 0.5, ten hits and no miss: 5.226235.
#[must_use]
pub fn log_e(prior: Prior, null: f64, hits: f64, misses: f64, alternative: Alternative) -> f64 {
    let mass = |a: f64, b: f64| {
        let tail = if alternative == Alternative::Higher { ln_beta_upper(null, a, b) } else { 0.0 };
        ln_beta(a, b) + tail
    };
    mass(prior.hits + hits, prior.misses + misses)
        - mass(prior.hits, prior.misses)
        - hits * null.ln()
        - misses * (-null).ln_1p()
}

/// The even prior.
pub const UNIFORM: Prior = Prior { hits: 1.0, misses: 1.0 };

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the reference implementation of the paper tests itself with.
    #[test]
    fn agrees_with_the_published_vectors() {
        // s = 10 and v = 100 at g = 0.2, h = 0.8: in its units a hit is 0.8 above and a miss 0.2 below the null of 0.2.
        let prior = |alternative| Prior::tuned(0.2, 100.0 / 0.16, 0.05, alternative);
        let (hits, misses) = (0.2 * 100.0 / 0.16 + 10.0, 0.8 * 100.0 / 0.16 - 10.0);
        let one_sided = log_e(prior(Alternative::Higher), 0.2, hits, misses, Alternative::Higher);
        assert!((one_sided + 0.07134019).abs() < 1e-6, "{one_sided}");
    }

    #[test]
    fn begins_at_one() {
        for alternative in [Alternative::Higher, Alternative::Either] {
            let prior = Prior::tuned(0.95, 1000.0, 0.05, alternative);
            assert!(log_e(prior, 0.95, 0.0, 0.0, alternative).abs() < 1e-12);
        }
        assert!((log_e(UNIFORM, 0.5, 10.0, 0.0, Alternative::Higher) - 5.226235).abs() < 1e-6);
    }
}
