//! Which class was said for which, by metrics of classes: the confusion matrix of each target, with precision, recall and F1 of each class.

use std::collections::BTreeMap;

use serde::Serialize;

use super::pooled;
use crate::metric::classes::{Confusion, UNPARSEABLE};
use crate::metric::{Basis, Score};
use crate::results::{Results, Yardstick};

/// With more classes there are figures and no matrix: it would have the square of them.
const MOST_CLASSES: usize = 100;

/// The classes of a target's answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfusionMatrix {
    /// The target.
    pub target: String,
    /// The metric whose classes these are, or the first of several that share them.
    pub metric: String,
    /// The id of its definition.
    pub id: String,
    /// The classes: the metric's labels in their order, what else was expected or said, and last the answers that name none.
    pub classes: Vec<ClassRow>,
    /// How often each class was said (column) where each was right (row), both in the order of `classes`; empty where there are more than a hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<Vec<u64>>,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassRow {
    /// Its name.
    pub class: String,
    /// Answers for which it was right.
    pub support: u64,
    /// Answers that say it.
    pub predicted: u64,
    /// Both.
    pub right: u64,
    /// Right among those that say it; 0 where none does.
    pub precision: f64,
    /// Right among those for which it was right; 0 where there is none.
    pub recall: f64,
    /// 2·right / (predicted + support).
    pub f1: f64,
}

/// One matrix for each target and set of labels.
pub(super) fn of(results: &Results, yardsticks: &[Yardstick]) -> Vec<ConfusionMatrix> {
    let mut by_labels: BTreeMap<&str, (&Yardstick, Option<&[String]>)> = BTreeMap::new();
    for yardstick in yardsticks {
        let Some(labels) = results.scorer.metric(&yardstick.name).and_then(|metric| metric.classes.as_ref()) else {
            continue;
        };
        let settings = yardstick.id.split_once('@').map_or("", |(_, settings)| settings);
        by_labels.entry(settings).or_insert((yardstick, labels.as_deref()));
    }
    let of_target = |(yardstick, labels): &(&Yardstick, Option<&[String]>), target_idx: usize| {
        let of_case = |case_idx| pooled::scores(results, yardstick, (case_idx, target_idx));
        let scores: Vec<Score> = (0..results.cases.len()).flat_map(of_case).collect();
        let target = results.plan.targets[target_idx].name.clone();
        matrix(&scores, *labels).map(|(classes, counts)| ConfusionMatrix {
            target,
            metric: yardstick.name.clone(),
            id: yardstick.id.clone(),
            classes,
            counts,
        })
    };
    let n_targets = results.plan.targets.len();
    by_labels.values().flat_map(|one| (0..n_targets).filter_map(|target_idx| of_target(one, target_idx))).collect()
}

fn matrix(scores: &[Score], labels: Option<&[String]>) -> Option<(Vec<ClassRow>, Vec<Vec<u64>>)> {
    let pairs: Vec<(&str, &str)> = scores
        .iter()
        .filter_map(|score| match &score.basis {
            Basis::Classes { expected, predicted } => Some((expected.as_str(), predicted.as_str())),
            _ => None,
        })
        .collect();
    if pairs.is_empty() {
        return None;
    }
    // By class: right, predicted, expected.
    let mut sums: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for &(expected, predicted) in &pairs {
        sums.entry(expected).or_default().2 += 1;
        let said = sums.entry(predicted).or_default();
        said.1 += 1;
        said.0 += u64::from(expected == predicted);
    }
    let mut names: Vec<String> = labels.unwrap_or_default().to_vec();
    let others = sums.keys().filter(|class| **class != UNPARSEABLE && !names.iter().any(|name| name == *class));
    let others: Vec<String> = others.map(|class| (*class).to_owned()).collect();
    names.extend(others);
    names.push(UNPARSEABLE.to_owned());
    let rows = names.iter().map(|class| {
        let (right, predicted, support) = sums.get(class.as_str()).copied().unwrap_or_default();
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        ClassRow {
            class: class.clone(),
            support,
            predicted,
            right,
            precision: ratio(right, predicted),
            recall: ratio(right, support),
            f1: ratio(2 * right, predicted + support),
        }
    });
    let rows = rows.collect();
    let counts = if names.len() > MOST_CLASSES { Vec::new() } else { Confusion::of(pairs, Some(&names)).counts };
    Some((rows, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pairs: &[(&str, &str)]) -> Vec<Score> {
        let score = |(expected, predicted): &(&str, &str)| {
            let basis = Basis::Classes { expected: (*expected).to_owned(), predicted: (*predicted).to_owned() };
            Score::is(expected == predicted).with_basis(basis)
        };
        pairs.iter().map(score).collect()
    }

    #[test]
    fn a_matrix_has_the_labels_first_and_last_what_names_none() {
        let scores = said(&[("b", "b"), ("b", "a"), ("a", UNPARSEABLE), ("c", "b"), ("a", "a")]);
        let (rows, counts) = matrix(&scores, Some(&["b".to_owned(), "a".to_owned()])).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.class.as_str()).collect();
        assert_eq!(names, ["b", "a", "c", UNPARSEABLE]);
        assert_eq!(counts, [[1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]);
        let (b, a) = (&rows[0], &rows[1]);
        assert_eq!((b.precision, b.recall, b.f1, b.support), (0.5, 0.5, 0.5, 2));
        assert_eq!((a.precision, a.recall, a.support, a.predicted), (0.5, 0.5, 2, 2));
        assert!(matrix(&[Score::is(true)], None).is_none());
    }

    #[test]
    fn of_many_classes_there_are_figures_and_no_matrix() {
        let names: Vec<String> = (0..150).map(|n| format!("c{n:03}")).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        let (rows, counts) = matrix(&said(&pairs), None).unwrap();
        assert_eq!((rows.len(), rows[7].f1, counts.len()), (151, 1.0, 0));
    }
}
