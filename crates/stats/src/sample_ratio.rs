//! T5: does the split of units match the share? If not, the evidence is not what it says it is.

use crate::eprocess::count;
use crate::special::ln_gamma;

/// How strongly the prior believes in the intended split.
const CONCENTRATION: f64 = 100.0;

/// The log Bayes factor against "units fall on the arms with these weights" (Lindon and Malek 2022).
///
/// An e-value: `exp` of it reaching 1000 is a mismatch at one in a thousand, at any time. `weights` are positive and sum
/// to 1. Checked by hand: (5300, 4700) at an even split is 15.524012.
#[must_use]
pub fn log_bayes_factor(counts: &[u64], weights: &[f64]) -> f64 {
    let total: u64 = counts.iter().sum();
    let alphas = weights.iter().map(|weight| CONCENTRATION * weight);
    let sum: f64 = alphas.clone().sum();
    let mut log_factor = ln_gamma(sum) - ln_gamma(sum + count(total));
    for ((n, alpha), weight) in counts.iter().zip(alphas).zip(weights) {
        log_factor += ln_gamma(alpha + count(*n)) - ln_gamma(alpha) - count(*n) * weight.ln();
    }
    log_factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_vectors() {
        let vectors = [
            ([5000, 5000], [0.5, 0.5], -2.310035),
            ([5100, 4900], [0.5, 0.5], -0.329512),
            ([5300, 4700], [0.5, 0.5], 15.524012),
            ([1100, 8900], [0.1, 0.9], 2.989252),
            ([1000, 9000], [0.1, 0.9], -2.315900),
        ];
        for (counts, weights, expected) in vectors {
            let actual = log_bayes_factor(&counts, &weights);
            assert!((actual - expected).abs() < 1e-6, "{counts:?}: {actual}");
        }
    }
}
