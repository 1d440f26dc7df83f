//! How much a gate will need, before it is started.

use serde::{Deserialize, Serialize};
use stats::{PairedDifference, UnpairedDifference};

use crate::metric::Metric;
use crate::policy::{Policy, Stage};

/// What one gate needs on one step if the candidate is as good as the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Needed {
    /// The step.
    pub step_idx: usize,
    /// Its stage.
    pub stage: Stage,
    /// Its share.
    pub share: f64,
    /// The gate's metric.
    pub metric: Metric,
    /// Its margin.
    pub margin: f64,
    /// Pairs (in shadow) or units of both arms that pass it half of the time; `None` if no number does.
    pub typical: Option<u64>,
    /// The same for nine times out of ten.
    pub nine_in_ten: Option<u64>,
}

const MOST: u64 = 1_000_000_000;

/// What every gate of a policy needs, where `base_rate` is the bad rate of both arms, failing independently.
#[must_use]
pub fn plan_lite(policy: &Policy, base_rate: impl Fn(Metric) -> f64) -> Vec<Needed> {
    let gated = policy.steps.iter().enumerate().filter(|(_, step)| step.stage != Stage::Full);
    gated
        .flat_map(|(step_idx, step)| policy.gates.iter().map(move |gate| (step_idx, step, gate)))
        .map(|(step_idx, step, gate)| {
            let rate = base_rate(gate.metric).clamp(0.0, 1.0);
            let needs = |quantile: f64| {
                needed(gate.alpha.unwrap_or(policy.alpha_promote), gate.margin, step.share, rate, quantile)
            };
            Needed {
                step_idx,
                stage: step.stage,
                share: step.share,
                metric: gate.metric,
                margin: gate.margin,
                typical: needs(0.0),
                nine_in_ten: needs(1.2816),
            }
        })
        .collect()
}

/// The smallest n whose expected evidence, less `quantile` standard deviations of luck, is enough.
pub(crate) fn needed(alpha: f64, margin: f64, share: f64, rate: f64, quantile: f64) -> Option<u64> {
    let enough = |n: u64| {
        let log_e = if share > 0.0 {
            unlucky_units(n, share, rate, quantile).log_e(margin)
        } else {
            unlucky_pairs(n, rate, quantile).log_e(margin)
        };
        log_e >= -alpha.ln()
    };
    if share >= 1.0 || !enough(MOST) {
        return None;
    }
    let (mut too_few, mut plenty) = (0, MOST);
    while plenty - too_few > 1 {
        let middle = too_few.midpoint(plenty);
        if enough(middle) {
            plenty = middle;
        } else {
            too_few = middle;
        }
    }
    Some(plenty)
}

fn unlucky_pairs(n: u64, rate: f64, quantile: f64) -> PairedDifference {
    let each = n as f64 * rate * (1.0 - rate);
    let luck = quantile * (2.0 * each).sqrt() / 2.0;
    PairedDifference::from_counts(n, rounded(each + luck), rounded(each - luck))
}

fn unlucky_units(n: u64, share: f64, rate: f64, quantile: f64) -> UnpairedDifference {
    let (candidate, baseline) = (n as f64 * share, n as f64 * (1.0 - share));
    let spread = |units: f64| quantile * (units * rate * (1.0 - rate)).sqrt();
    // The two arms' luck adds in quadrature; each takes its part of it.
    let both = (share.recip() + (1.0 - share).recip()).sqrt();
    let (to_candidate, to_baseline) = (share.recip().sqrt() / both, (1.0 - share).recip().sqrt() / both);
    let mut difference = UnpairedDifference::new(share, rate);
    difference.add(true, rounded(candidate), rounded(candidate * rate + spread(candidate) * to_candidate));
    difference.add(false, rounded(baseline), rounded(baseline * rate - spread(baseline) * to_baseline));
    difference
}

fn rounded(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, below 2^53")]
    let whole = value.max(0.0).round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Risk;

    #[test]
    fn medium_at_a_one_percent_base_rate() {
        let policy = Policy::template(Risk::Medium);
        let plan = plan_lite(&policy, |_| 0.01);
        assert_eq!(plan.len(), 15, "three gates on five steps");
        for needed in &plan {
            let (typical, nine_in_ten) = (needed.typical.unwrap(), needed.nine_in_ten.unwrap());
            assert!(typical < nine_in_ten, "{needed:?}");
            assert!(typical < 60_000, "{needed:?}");
        }
    }

    #[test]
    fn nothing_can_be_compared_at_a_share_of_one() {
        assert_eq!(needed(0.05, 0.01, 1.0, 0.01, 0.0), None);
    }
}
