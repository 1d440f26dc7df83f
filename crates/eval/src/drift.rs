//! Do two runs see the same inputs, and do their answers come out alike? Distributions side by side, not case by case: the datasets may differ.
//!
//! The population stability index is over ten bins with as many cases of the first run each; by custom below 0.1 is stable and above 0.25 is not. The
//! Kolmogorov-Smirnov test says whether a difference is more than chance. Holm adjusts its p-values for all rows.

use serde::Serialize;
use stats::drift::{binned, kolmogorov_smirnov, population_stability, quantile_edges};
use stats::multiplicity::holm;

use crate::compare::ALPHA;
use crate::results::Results;

/// Bins of the index.
const BINS: usize = 10;
/// The smallest part a bin counts as.
const FLOOR: f64 = 1e-4;

/// One quantity in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    /// What it is.
    pub what: String,
    /// Whose; the inputs are nobody's.
    pub target: Option<String>,
    /// How many values the first run has, and their mean.
    pub before: (u64, Option<f64>),
    /// The same of the second.
    pub after: (u64, Option<f64>),
    /// The population stability index.
    pub stability_index: Option<f64>,
    /// The largest distance between both distribution functions.
    pub distance: Option<f64>,
    /// How likely one as large is by chance.
    pub p_value: Option<f64>,
    /// The same, adjusted for all rows.
    pub p_adjusted: Option<f64>,
    /// Whether it is more than chance.
    pub drifted: bool,
}

/// Compares the inputs of two runs, and of every target that is in both the length and the worth of answers.
#[must_use]
pub fn drift(before: &Results, after: &Results) -> Vec<Drift> {
    let lengths = |results: &Results| -> Vec<f64> {
        results.cases.iter().map(|case| case.question().chars().count() as f64).collect()
    };
    let mut rows = vec![row("characters of the question", None, (&lengths(before), &lengths(after)))];
    for (before_idx, target) in before.plan.targets.iter().enumerate() {
        let Some(after_idx) = after.plan.targets.iter().position(|other| other.name == target.name) else { continue };
        let said = (answers(before, before_idx), answers(after, after_idx));
        rows.push(row("characters of the answer", Some(&target.name), (&said.0, &said.1)));
        for yardstick in before.yardsticks() {
            if !after.yardsticks().iter().any(|other| other.id == yardstick.id) {
                continue;
            }
            let worth = |results: &Results, target_idx| -> Vec<f64> {
                (0..results.cases.len())
                    .filter_map(|case_idx| results.worth(&yardstick, case_idx, target_idx).ok())
                    .collect()
            };
            let both = (worth(before, before_idx), worth(after, after_idx));
            rows.push(row(&yardstick.id, Some(&target.name), (&both.0, &both.1)));
        }
    }
    let tested: Vec<usize> = (0..rows.len()).filter(|idx| rows[*idx].p_value.is_some()).collect();
    let p_values: Vec<f64> = tested.iter().filter_map(|idx| rows[*idx].p_value).collect();
    for (idx, p_adjusted) in tested.into_iter().zip(holm(&p_values)) {
        rows[idx].p_adjusted = Some(p_adjusted);
        rows[idx].drifted = p_adjusted <= ALPHA;
    }
    rows
}

fn answers(results: &Results, target_idx: usize) -> Vec<f64> {
    let records = results.records.iter().filter(|record| record.item.target_idx == target_idx);
    let texts = records.filter_map(|record| record.answered.answer.as_ref());
    texts.map(|answer| answer.text.chars().count() as f64).collect()
}

fn row(what: &str, target: Option<&String>, (before, after): (&[f64], &[f64])) -> Drift {
    let of = |values: &[f64]| {
        let n = values.len() as u64;
        (n, (n > 0).then(|| values.iter().sum::<f64>() / n as f64))
    };
    let edges = quantile_edges(before, BINS);
    let test = kolmogorov_smirnov(before, after);
    Drift {
        what: what.to_owned(),
        target: target.cloned(),
        before: of(before),
        after: of(after),
        stability_index: population_stability(&binned(before, &edges), &binned(after, &edges), FLOOR),
        distance: test.map(|test| test.statistic),
        p_value: test.map(|test| test.p_value),
        p_adjusted: None,
        drifted: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_have_not_drifted_and_shifted_ones_have() {
        let values: Vec<f64> = (0..200_u32).map(|idx| f64::from(idx * 37 % 101)).collect();
        let shifted: Vec<f64> = values.iter().map(|value| value + 40.0).collect();
        let same = row("x", None, (&values, &values));
        assert_eq!((same.stability_index, same.distance), (Some(0.0), Some(0.0)));
        let other = row("x", None, (&values, &shifted));
        assert!(other.stability_index.unwrap() > 0.25 && other.p_value.unwrap() < 1e-6, "{other:?}");
        let none = row("x", None, (&[], &values));
        assert_eq!((none.before, none.p_value), ((0, None), None));
    }
}
