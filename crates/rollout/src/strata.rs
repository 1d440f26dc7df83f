//! Gates by kind of request: a candidate that is as good on the whole may be worse on the long prompts, or on one task.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stats::PairedDifference;

use crate::metric::{Metric, MetricSet};
use crate::policy::{GatePolicy, StrataGatePolicy};

/// The name of the kinds that are too small to be judged by themselves, taken together.
pub const THE_SMALL_ONES: &str = "the small ones";
/// Kinds kept apart; further ones count among the small ones.
const MOST_STRATA: usize = 64;

/// What the pairs of each kind of request say on each gated metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StrataGates(BTreeMap<String, BTreeMap<Metric, PairedDifference>>);

/// One kind of request, or all small ones, on one metric.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StratumReading {
    pub(crate) stratum: String,
    pub(crate) metric: Metric,
    pub(crate) n: u64,
    pub(crate) log_e: f64,
}

impl StrataGates {
    /// Counts a pair of `stratum` on the metrics it is counted for, once per unit as the gates are.
    pub(crate) fn observe(&mut self, stratum: &str, counted: impl Iterator<Item = Metric>, bad: [MetricSet; 2]) {
        let has_room = self.0.len() < MOST_STRATA || self.0.contains_key(stratum);
        let name = if has_room { stratum } else { THE_SMALL_ONES };
        let [baseline, candidate] = bad;
        for metric in counted {
            let of_metric = match self.0.get_mut(name) {
                Some(of_stratum) => of_stratum.entry(metric).or_default(),
                None => self.0.entry(name.to_owned()).or_default().entry(metric).or_default(),
            };
            of_metric.observe(baseline.contains(metric), candidate.contains(metric));
        }
    }

    /// `ln E` against "worse by the margin" for every kind with enough pairs, and for the rest together once that is enough.
    pub(crate) fn readings(&self, gates: &[GatePolicy], policy: &StrataGatePolicy) -> Vec<StratumReading> {
        let mut readings = Vec::new();
        for gate in gates {
            let mut small = PairedDifference::default();
            for (name, of_stratum) in &self.0 {
                let Some(pairs) = of_stratum.get(&gate.metric) else { continue };
                if pairs.n() < policy.min_pairs || name == THE_SMALL_ONES {
                    small.merge(pairs);
                } else {
                    readings.push(reading(name, gate, pairs, policy));
                }
            }
            if small.n() >= policy.min_pairs {
                readings.push(reading(THE_SMALL_ONES, gate, &small, policy));
            }
        }
        readings
    }
}

/// A kind need not prove more than the whole does.
fn reading(stratum: &str, gate: &GatePolicy, pairs: &PairedDifference, policy: &StrataGatePolicy) -> StratumReading {
    let log_e = pairs.log_e(policy.margin.max(gate.margin));
    StratumReading { stratum: stratum.to_owned(), metric: gate.metric, n: pairs.n(), log_e }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: GatePolicy = GatePolicy { metric: Metric::Error, margin: 0.005, alpha: None };
    const POLICY: StrataGatePolicy = StrataGatePolicy { margin: 0.02, min_pairs: 500 };

    fn observe(strata: &mut StrataGates, stratum: &str, n: u64, is_bad: impl Fn(u64) -> bool) {
        for idx in 0..n {
            let bad = if is_bad(idx) { MetricSet::of(&[Metric::Error]) } else { MetricSet::EMPTY };
            strata.observe(stratum, [Metric::Error].into_iter(), [MetricSet::EMPTY, bad]);
        }
    }

    #[test]
    fn one_kind_that_is_worse_shows_and_small_kinds_are_judged_together() {
        let mut strata = StrataGates::default();
        observe(&mut strata, "0k/-/whole", 5000, |_| false);
        observe(&mut strata, "64k/-/whole", 600, |idx| idx % 20 == 0);
        assert_eq!(strata.readings(&[GATE], &POLICY).len(), 2);
        observe(&mut strata, "0k/legal/whole", 300, |_| false);
        assert_eq!(strata.readings(&[GATE], &POLICY).len(), 2, "300 say nothing yet");
        observe(&mut strata, "1k/legal/whole", 300, |_| false);
        let readings = strata.readings(&[GATE], &POLICY);
        let passed: Vec<(&str, u64, bool)> =
            readings.iter().map(|one| (one.stratum.as_str(), one.n, one.log_e >= 20_f64.ln())).collect();
        assert_eq!(passed, [("0k/-/whole", 5000, true), ("64k/-/whole", 600, false), (THE_SMALL_ONES, 600, true)]);
    }

    #[test]
    fn more_kinds_than_are_kept_apart_are_counted_all_the_same() {
        let mut strata = StrataGates::default();
        (0..200).for_each(|kind| observe(&mut strata, &format!("{kind}"), 10, |_| false));
        let readings = strata.readings(&[GATE], &POLICY);
        assert_eq!((readings.len(), readings[0].n), (1, 2000));
        assert!(strata.0.len() <= MOST_STRATA + 1);
    }
}
