//! Do two runs see the same inputs, and do their answers come out alike? Distributions side by side, not case by case: the datasets may differ.
//!
//! The population stability index is over ten bins with as many cases of the first run each; by custom below 0.1 is stable and above 0.25 is not. The
//! Kolmogorov-Smirnov test says whether a difference is more than chance. What is many numbers a text ([`features`]) is held against each other by the
//! maximum mean discrepancy under a Gaussian kernel as wide as the median distance, with a p-value from shuffles. Holm adjusts the p-values for all rows.

mod features;

use serde::Serialize;
use stats::drift::{
    binned, kolmogorov_smirnov, mean_discrepancy, median_bandwidth, population_stability, quantile_edges,
};
use stats::multiplicity::holm;
use stats::random::Random;

use crate::case::Answer;
use crate::compare::ALPHA;
use crate::encode::Recorded;
use crate::results::Results;

/// Bins of the index.
const BINS: usize = 10;
/// The smallest part a bin counts as.
const FLOOR: f64 = 1e-4;

/// Vectors of a run that the discrepancy is computed from at most: its cost is their square, a thousand times. More are drawn from.
pub const MOST_VECTORS: usize = 400;
/// Shuffles behind a p-value, which is then no smaller than one in this and one.
const SHUFFLES: u32 = 999;
/// Decides what is drawn and how it is shuffled: the same runs give the same numbers.
pub const SEED: u64 = 7;

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
    /// The maximum mean discrepancy, squared and without bias, so that it may be below 0; of vectors only.
    pub mean_discrepancy: Option<f64>,
    /// How likely a distance, or a discrepancy, as large is by chance.
    pub p_value: Option<f64>,
    /// The same, adjusted for all rows.
    pub p_adjusted: Option<f64>,
    /// Whether it is more than chance.
    pub drifted: bool,
}

/// Compares the inputs of two runs, and of every target that is in both the answers and their worth; by their vectors too where both runs have some on record
/// ([`recorded`](crate::encode::recorded)) by one encoder.
#[must_use]
pub fn drift(before: &Results, after: &Results, recorded: Option<(&Recorded, &Recorded)>) -> Vec<Drift> {
    let lengths = |results: &Results| -> Vec<f64> {
        results.cases.iter().map(|case| case.question().chars().count() as f64).collect()
    };
    let inputs = |results: &Results| results.cases.iter().map(features::of_case).collect();
    let mut rows = vec![
        row("characters of the question", None, (&lengths(before), &lengths(after))),
        vectors("features of the input", None, features::scaled(inputs(before), inputs(after))),
    ];
    // Vectors of two encoders say nothing of each other.
    let recorded = recorded.filter(|(before, after)| before.encoder == after.encoder);
    if let Some((before, after)) = recorded {
        rows.push(vectors("vectors of the input", None, (before.inputs.clone(), after.inputs.clone())));
    }
    for (before_idx, target) in before.plan.targets.iter().enumerate() {
        let Some(after_idx) = after.plan.targets.iter().position(|other| other.name == target.name) else { continue };
        let said = (answers(before, before_idx), answers(after, after_idx));
        let lengths = |answers: &[&Answer]| -> Vec<f64> {
            answers.iter().map(|answer| answer.text.chars().count() as f64).collect()
        };
        rows.push(row("characters of the answer", Some(&target.name), (&lengths(&said.0), &lengths(&said.1))));
        let of = |answers: &[&Answer]| answers.iter().map(|answer| features::of_answer(answer)).collect();
        let scaled = features::scaled(of(&said.0), of(&said.1));
        rows.push(vectors("features of the answer", Some(&target.name), scaled));
        if let Some((before, after)) = recorded {
            let both = (before.answers[before_idx].clone(), after.answers[after_idx].clone());
            rows.push(vectors("vectors of the answer", Some(&target.name), both));
        }
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

fn answers(results: &Results, target_idx: usize) -> Vec<&Answer> {
    let records = results.records.iter().filter(|record| record.item.target_idx == target_idx);
    records.filter_map(|record| record.answered.answer.as_ref()).collect()
}

/// A row of vectors.
fn vectors(what: &str, target: Option<&String>, (before, after): (Vec<Vec<f32>>, Vec<Vec<f32>>)) -> Drift {
    let (drawn_before, drawn_after) = (drawn(&before), drawn(&after));
    let bandwidth = median_bandwidth(&drawn_before, &drawn_after);
    let test = bandwidth.and_then(|width| mean_discrepancy(&drawn_before, &drawn_after, width, SHUFFLES, SEED));
    Drift {
        what: what.to_owned(),
        target: target.cloned(),
        before: (before.len() as u64, None),
        after: (after.len() as u64, None),
        stability_index: None,
        distance: None,
        mean_discrepancy: test.map(|test| test.statistic),
        p_value: test.map(|test| test.p_value),
        p_adjusted: None,
        drifted: false,
    }
}

/// All of them, or so many drawn by chance.
fn drawn(vectors: &[Vec<f32>]) -> Vec<&[f32]> {
    let mut drawn: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    let mut random = Random::new(SEED);
    let most = MOST_VECTORS.min(drawn.len());
    (0..most).for_each(|idx| drawn.swap(idx, idx + random.below(vectors.len() - idx)));
    drawn.truncate(most);
    drawn
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
        mean_discrepancy: None,
        p_value: test.map(|test| test.p_value),
        p_adjusted: None,
        drifted: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;

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

    #[test]
    fn inputs_of_another_kind_are_told_by_all_their_features_together() {
        let texts = |form: fn(usize) -> String| -> Vec<Vec<f32>> {
            (0..60).map(|idx| features::of_case(&Case::asking("a", &form(idx), []))).collect()
        };
        // As long as each other, so that no length tells them apart.
        let words = || texts(|idx| "where is it ".repeat(2 + idx % 7));
        let codes = || texts(|idx| "X-100 24/7; ".repeat(2 + idx % 7));
        let same = vectors("x", None, features::scaled(words(), words()));
        assert!(same.p_value.unwrap() > 0.5 && same.mean_discrepancy.unwrap() < 0.01, "{same:?}");
        let other = vectors("x", None, features::scaled(words(), codes()));
        assert!(other.p_value.unwrap() <= 0.001 && other.mean_discrepancy.unwrap() > 0.1, "{other:?}");
        let none = vectors("x", None, features::scaled(Vec::new(), words()));
        assert_eq!((none.mean_discrepancy, none.p_value), (None, None));
    }

    #[test]
    fn of_many_vectors_so_many_different_ones_are_drawn() {
        let many: Vec<Vec<f32>> = (0..3 * MOST_VECTORS).map(|idx| vec![idx as f32]).collect();
        let mut drawn: Vec<u32> = drawn(&many).iter().map(|vector| vector[0].to_bits()).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), MOST_VECTORS);
    }
}
