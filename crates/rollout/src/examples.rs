//! Which exchanges were bad: the first and the last few of each metric and arm, so that whoever asks "why" can read them.
//! Names only; no number is ever computed from them.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::assign::Arm;
use crate::metric::{Metric, MetricSet};

/// So many of the first are kept, and so many of the last.
const KEPT: usize = 5;
/// A longer name is no exchange's.
const LONGEST: usize = 64;

/// Bad exchanges of one epoch. At most twice five names for each metric and arm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Examples {
    by_metric: BTreeMap<Metric, [Names; 2]>,
}

/// The bad exchanges of one metric and arm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Names {
    first: Vec<String>,
    last: VecDeque<String>,
}

impl Examples {
    /// Notes that `exchange` was bad on these metrics. Each exchange is to be noted once for each metric.
    pub fn note(&mut self, arm: Arm, bad: MetricSet, exchange: &str) {
        if exchange.len() > LONGEST {
            return;
        }
        for metric in bad.iter() {
            let names = &mut self.by_metric.entry(metric).or_default()[arm.idx()];
            if names.first.len() < KEPT {
                names.first.push(exchange.to_owned());
                continue;
            }
            if names.last.len() == KEPT {
                names.last.pop_front();
            }
            names.last.push_back(exchange.to_owned());
        }
    }

    /// The names kept of one metric and arm, in the order in which they came: the first ones, then the last ones.
    pub fn of(&self, metric: Metric, arm: Arm) -> impl Iterator<Item = &str> {
        let names = self.by_metric.get(&metric).map(|arms| &arms[arm.idx()]);
        names.into_iter().flat_map(|names| names.first.iter().chain(&names.last)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_bad_exchanges_are_kept_and_nothing_in_between() {
        let mut examples = Examples::default();
        let errors = MetricSet::of(&[Metric::Error]);
        for n in 0..100 {
            examples.note(Arm::Candidate, errors, &n.to_string());
        }
        examples.note(Arm::Baseline, errors.with(Metric::Timeout), "b");
        examples.note(Arm::Baseline, errors, &"x".repeat(LONGEST + 1));
        let kept = |metric, arm| examples.of(metric, arm).collect::<Vec<_>>().join(" ");
        assert_eq!(kept(Metric::Error, Arm::Candidate), "0 1 2 3 4 95 96 97 98 99");
        assert_eq!(
            (kept(Metric::Error, Arm::Baseline), kept(Metric::Timeout, Arm::Baseline)),
            ("b".into(), "b".into())
        );
        assert_eq!(kept(Metric::Format, Arm::Candidate), "");
        let text = serde_json::to_string(&examples).unwrap();
        assert_eq!(serde_json::from_str::<Examples>(&text).unwrap(), examples);
    }
}
