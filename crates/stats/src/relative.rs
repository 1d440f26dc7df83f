//! T1, the relative guard: are the candidate's bad events more than its share explains?

use serde::{Deserialize, Serialize};

use crate::beta_mixture;
use crate::eprocess::{EProcess, log_spaced, log_sum_exp};

/// Alternatives: the candidate's risk is this many times what the null allows.
const N_ALTERNATIVES: usize = 24;
const LOWEST_ALTERNATIVE: f64 = 1.2;
const HIGHEST_ALTERNATIVE: f64 = 100.0;
/// An alternative weighs `r^-1/2`: a small regression needs the most evidence, so it gets the most money. A large one is found within a few
/// events whatever it weighs, and the absolute breaker sees it too.
const WEIGHT_POWER: f64 = -0.5;
/// A restart every so many bad events (of either arm).
const RESTART_EVERY: u64 = 50;

/// Rejects "the candidate's risk is at most `ratio` times the baseline's".
///
/// Only bad events are looked at. While a unit is on the candidate with probability `share` and both arms live through the same
/// drift, a bad event is the candidate's with probability `theta(r) = share r / (share r + 1 - share)`, where `r` is the
/// ratio of risks: the base rate cancels, so the test is exact however the traffic changes. Two counters are all it needs.
/// At a share of 0 or 1 there is nothing to compare and the guard sleeps.
///
/// # What it costs to be late
/// The weights of the alternatives and the schedule of restarts were chosen together, for the first guard of the medium template
/// (medians in bad events, a doubling at a share of 50 %: from the start; after 500, 2 000 and 10 000 clean bad events). Even weights and
/// restarts that spend most on the first few: 144; 227, 272, 318. These weights and steady restarts: 134; 222, 234, 276. All four are
/// lower, and the latest is now 1.75 times the first at 2 000 where it was 1.89. A tenth of the events is `ln 2` nats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct RelativeGuard {
    kept: Kept,
    if_candidate: Vec<f64>,
    if_baseline: Vec<f64>,
    weights: Vec<f64>,
}

/// What is written down; the tables are computed from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    share: f64,
    ratio: f64,
    n_candidate: u64,
    n_baseline: u64,
    process: EProcess,
}

impl RelativeGuard {
    /// A guard for one epoch with a fixed `share`; `ratio` is the largest ratio of risks that is no harm (1 by default).
    #[must_use]
    pub fn new(share: f64, ratio: f64, start_weight: f64) -> Self {
        let process = EProcess::weighted(&weights(), start_weight);
        Self::from(Kept { share, ratio, n_candidate: 0, n_baseline: 0, process })
    }

    /// Counts one bad event.
    pub fn observe_bad(&mut self, is_candidate: bool) {
        let kept = &mut self.kept;
        if is_candidate {
            kept.n_candidate += 1;
            kept.process.update(&self.if_candidate);
        } else {
            kept.n_baseline += 1;
            kept.process.update(&self.if_baseline);
        }
        if (kept.n_candidate + kept.n_baseline).is_multiple_of(RESTART_EVERY) {
            kept.process.restart_steadily(&self.weights);
        }
    }

    /// Counts bad events of many replicas at once, as the sums of their counters since the last call.
    ///
    /// The same as one by one while no restart falls between; one that does is made after the sum. The past still decides it.
    pub fn add(&mut self, n_candidate: u64, n_baseline: u64) {
        let kept = &mut self.kept;
        let restarts = |kept: &Kept| (kept.n_candidate + kept.n_baseline) / RESTART_EVERY;
        let before = restarts(kept);
        kept.n_candidate += n_candidate;
        kept.n_baseline += n_baseline;
        kept.process.update_repeated(&self.if_candidate, n_candidate);
        kept.process.update_repeated(&self.if_baseline, n_baseline);
        for _ in before..restarts(kept) {
            kept.process.restart_steadily(&self.weights);
        }
    }

    /// The natural logarithm of the e-value.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        self.kept.process.log_e()
    }

    /// Bad events of the candidate.
    #[must_use]
    pub fn n_candidate(&self) -> u64 {
        self.kept.n_candidate
    }

    /// Bad events of the baseline.
    #[must_use]
    pub fn n_baseline(&self) -> u64 {
        self.kept.n_baseline
    }
}

impl From<Kept> for RelativeGuard {
    fn from(kept: Kept) -> Self {
        let (share, ratio) = (kept.share, kept.ratio);
        let asleep = !(share > 0.0 && share < 1.0);
        let null = theta(share, ratio);
        let factors = |of: fn(f64, f64) -> f64| -> Vec<f64> {
            alternatives(ratio).into_iter().map(|r| if asleep { 0.0 } else { of(theta(share, r), null) }).collect()
        };
        Self {
            kept,
            if_candidate: factors(|theta, null| (theta / null).ln()),
            if_baseline: factors(|theta, null| ((1.0 - theta) / (1.0 - null)).ln()),
            weights: weights(),
        }
    }
}

impl From<RelativeGuard> for Kept {
    fn from(guard: RelativeGuard) -> Self {
        guard.kept
    }
}

fn alternatives(ratio: f64) -> Vec<f64> {
    log_spaced(LOWEST_ALTERNATIVE, HIGHEST_ALTERNATIVE, N_ALTERNATIVES).into_iter().map(|r| ratio * r).collect()
}

/// The alternatives' weights; they sum to 1.
fn weights() -> Vec<f64> {
    let weights: Vec<f64> = alternatives(1.0).into_iter().map(|r| r.powf(WEIGHT_POWER)).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

fn theta(share: f64, ratio: f64) -> f64 {
    share * ratio / (share * ratio + 1.0 - share)
}

/// The grid's `ln E` from the two counters alone, with everything bet evenly at the start and no restarts: the published form.
///
/// Checked by hand: share 0.5, ten candidate events, no baseline event: 6.075362.
#[must_use]
pub fn grid_log_e(share: f64, ratio: f64, n_candidate: u64, n_baseline: u64) -> f64 {
    let even = [1.0 / N_ALTERNATIVES as f64; N_ALTERNATIVES];
    weighted_log_e(&even, share, ratio, n_candidate, n_baseline)
}

fn weighted_log_e(weights: &[f64], share: f64, ratio: f64, n_candidate: u64, n_baseline: u64) -> f64 {
    let null = theta(share, ratio);
    let (k1, k0) = (n_candidate as f64, n_baseline as f64);
    let grid = alternatives(ratio);
    log_sum_exp(grid.iter().zip(weights).map(|(r, weight)| {
        let theta = theta(share, *r);
        weight.ln() + k1 * (theta / null).ln() + k0 * ((1.0 - theta) / (1.0 - null)).ln()
    }))
}

/// The same test with a Beta(1, 1) prior on `theta`, cut off below the null `share`: a closed form to check the grid against.
///
/// `ln { B(1+k1, 1+k0) (1 - I_share(1+k1, 1+k0)) / [(1 - share) share^k1 (1 - share)^k0] }`, for a share within (0, 1).
/// Checked by hand: share 0.5, ten candidate events, no baseline event: 5.226235.
#[must_use]
pub fn truncated_beta_log_e(share: f64, n_candidate: u64, n_baseline: u64) -> f64 {
    beta_mixture::log_e(
        beta_mixture::UNIFORM,
        share,
        n_candidate as f64,
        n_baseline as f64,
        beta_mixture::Alternative::Higher,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// share, candidate events, baseline events, ln E of the grid, ln E of the truncated Beta.
    const VECTORS: [(f64, u64, u64, f64, f64); 7] = [
        (0.5, 10, 0, 6.075362, 5.226235),
        (0.5, 20, 10, 0.099793, 0.799349),
        (0.1, 4, 0, 7.647705, 7.706253),
        (0.1, 30, 120, 4.463504, 4.259328),
        (0.05, 3, 0, 7.099954, 7.652190),
        (0.9, 80, 0, 7.604832, 6.336781),
        (0.1, 100, 900, -4.744059, -4.283035),
    ];

    #[test]
    fn grid_and_closed_form_agree_with_the_published_vectors() {
        for (share, k1, k0, grid, beta) in VECTORS {
            assert!((grid_log_e(share, 1.0, k1, k0) - grid).abs() < 1e-6, "grid at {share} {k1} {k0}");
            assert!((truncated_beta_log_e(share, k1, k0) - beta).abs() < 1e-6, "beta at {share} {k1} {k0}");
        }
    }

    #[test]
    fn events_one_by_one_give_the_same_as_the_two_counters() {
        let mut guard = RelativeGuard::new(0.1, 1.0, 1.0);
        for event_idx in 0..150 {
            guard.observe_bad(event_idx % 5 == 0);
        }
        assert_eq!((guard.n_candidate(), guard.n_baseline()), (30, 120));
        assert!((guard.log_e() - weighted_log_e(&weights(), 0.1, 1.0, 30, 120)).abs() < 1e-9);
    }

    #[test]
    fn sleeps_where_there_is_nothing_to_compare() {
        for share in [0.0, 1.0] {
            let mut guard = RelativeGuard::new(share, 1.0, 0.75);
            (0..1000).for_each(|_| guard.observe_bad(true));
            assert!(guard.log_e().abs() < 1e-9);
        }
    }

    #[test]
    fn a_higher_allowed_ratio_needs_more_evidence() {
        let log_e = |ratio| {
            let mut guard = RelativeGuard::new(0.5, ratio, 0.75);
            (0..90).for_each(|event_idx| guard.observe_bad(event_idx % 3 != 0));
            guard.log_e()
        };
        assert!(log_e(1.25) < log_e(1.0));
    }
}
