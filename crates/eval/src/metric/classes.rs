//! Classification: confusion matrix, accuracy, precision, recall and F1, as scikit-learn 1.9 defines them.
//!
//! A class with no prediction has precision 0 and one with no case recall 0 (`zero_division=0`). The classes are the sorted union of
//! what was expected and what was predicted, unless they are given. An answer that names no class is a prediction of the class
//! [`UNPARSEABLE`]: it is wrong, and it is seen.

use std::collections::BTreeMap;

use super::{Basis, Metric, Score, Unscored};

/// The class of an answer that names none.
pub const UNPARSEABLE: &str = "(unparseable)";

/// How often each class was predicted for each one expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// The classes, sorted where they were not given.
    pub classes: Vec<String>,
    /// Row: expected; column: predicted; in the order of `classes`.
    pub counts: Vec<Vec<u64>>,
    /// Cases whose expected class is in `classes` and whose prediction is not, by expected class.
    missed: Vec<u64>,
    /// Predictions of each class for cases of none of them.
    stray: Vec<u64>,
    /// Cases, those with neither class in `classes` included.
    pub n_cases: u64,
    n_right: u64,
}

/// How the figures of the classes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// From the sums of the counts of all classes.
    Micro,
    /// The mean over classes.
    Macro,
    /// The mean over classes, weighted by the cases of each.
    Weighted,
}

/// Precision, recall and F1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Right among those predicted.
    pub precision: f64,
    /// Right among those expected.
    pub recall: f64,
    /// 2·right / (predicted + expected).
    pub f1: f64,
    /// Cases of the class; of all classes for an average.
    pub support: u64,
}

impl Confusion {
    /// Counts pairs of expected and predicted class. `classes`: count only these, in this order.
    pub fn of<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>, classes: Option<&[String]>) -> Confusion {
        let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        match classes {
            Some(classes) => index.extend(classes.iter().enumerate().map(|(idx, class)| (class.as_str(), idx))),
            None => {
                index.extend(pairs.iter().flat_map(|(expected, predicted)| [(*expected, 0), (*predicted, 0)]));
                index.values_mut().enumerate().for_each(|(place, idx)| *idx = place);
            }
        }
        let names = classes.map_or_else(|| index.keys().map(|class| (*class).to_owned()).collect(), <[String]>::to_vec);
        let n = names.len();
        let mut confusion = Confusion {
            classes: names,
            counts: vec![vec![0; n]; n],
            missed: vec![0; n],
            stray: vec![0; n],
            n_cases: pairs.len() as u64,
            n_right: 0,
        };
        for (expected, predicted) in pairs {
            confusion.n_right += u64::from(expected == predicted);
            match (index.get(expected), index.get(predicted)) {
                (Some(row), Some(column)) => confusion.counts[*row][*column] += 1,
                (Some(row), None) => confusion.missed[*row] += 1,
                (None, Some(column)) => confusion.stray[*column] += 1,
                (None, None) => {}
            }
        }
        confusion
    }

    /// The pairs in the bases of scores.
    pub fn of_scores(scores: &[&Score], classes: Option<&[String]>) -> Confusion {
        let pairs = scores.iter().filter_map(|score| match &score.basis {
            Basis::Classes { expected, predicted } => Some((expected.as_str(), predicted.as_str())),
            _ => None,
        });
        Confusion::of(pairs, classes)
    }

    /// Right answers among all cases. 0 without cases.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.n_right as f64, self.n_cases as f64)
    }

    /// The figures of each class.
    ///
    /// By hand: of two cases of `a` one is called `a` and one `b`, and one `b` is called `a`: precision and recall of `a` are 1/2.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        (0..self.classes.len()).map(|class| figures(self.counts_of(class))).collect()
    }

    /// One figure of all classes.
    #[must_use]
    pub fn average(&self, average: Average) -> Figures {
        let all = self.figures();
        let support = all.iter().map(|figures| figures.support).sum::<u64>();
        if average == Average::Micro {
            let sums = (0..all.len()).map(|class| self.counts_of(class));
            let (right, predicted, expected) =
                sums.fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2));
            return figures((right, predicted, expected));
        }
        let mut sum = Figures { support, ..Figures::default() };
        let mut weights = 0.0;
        for one in &all {
            let weight = if average == Average::Macro { 1.0 } else { one.support as f64 };
            weights += weight;
            sum.precision += weight * one.precision;
            sum.recall += weight * one.recall;
            sum.f1 += weight * one.f1;
        }
        for value in [&mut sum.precision, &mut sum.recall, &mut sum.f1] {
            *value = ratio(*value, weights);
        }
        sum
    }

    /// Right, predicted and expected.
    fn counts_of(&self, class: usize) -> (u64, u64, u64) {
        let predicted = self.counts.iter().map(|row| row[class]).sum::<u64>() + self.stray[class];
        let expected = self.counts[class].iter().sum::<u64>() + self.missed[class];
        (self.counts[class][class], predicted, expected)
    }
}

fn figures((right, predicted, expected): (u64, u64, u64)) -> Figures {
    Figures {
        precision: ratio(right as f64, predicted as f64),
        recall: ratio(right as f64, expected as f64),
        f1: ratio(2.0 * right as f64, (predicted + expected) as f64),
        support: expected,
    }
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// Which figure a metric prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Accuracy,
    Precision,
    Recall,
    F1,
}

/// `accuracy` and the averages of precision, recall and F1. The value of one case is whether its class is right; the number of
/// many cases is the figure.
pub(super) fn metric(name: &str, figure: Figure, average: Average, labels: Option<Vec<String>>) -> Metric {
    let id = match &labels {
        Some(labels) => format!("{name}@scikit-learn-1.9:labels={}", serde_json::Value::from(labels.clone())),
        None => format!("{name}@scikit-learn-1.9"),
    };
    let (known, averaged) = (labels.clone(), labels.clone());
    let metric = Metric::new(
        id,
        "of one case: whether the answer, white space around it apart, is the first reference; of many: the figure of the \
         classes, with zero_division=0 and an answer that is no known label as a class of its own",
        move |case, answer| {
            let Some(expected) = case.references.first() else { return Score::unscored(Unscored::NoReference) };
            let said = answer.text.trim();
            let is_label = known.as_ref().map_or(!said.is_empty(), |known| known.iter().any(|label| label == said));
            let predicted = if is_label { said } else { UNPARSEABLE };
            Score::is(expected.trim() == predicted)
                .with_outcome(if is_label { "label" } else { "unparseable" })
                .with_basis(Basis::Classes { expected: expected.trim().to_owned(), predicted: predicted.to_owned() })
        },
    );
    let metric = Metric { classes: Some(labels), ..metric };
    if figure == Figure::Accuracy {
        return metric;
    }
    metric.pooled(move |scores| {
        let figures = Confusion::of_scores(scores, averaged.as_deref()).average(average);
        Some(match figure {
            Figure::Accuracy | Figure::F1 => figures.f1,
            Figure::Precision => figures.precision,
            Figure::Recall => figures.recall,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Case, named};
    use super::*;

    #[test]
    fn the_matrix_and_its_figures_are_those_worked_out_by_hand() {
        let confusion = Confusion::of([("a", "a"), ("a", "b"), ("b", "a"), ("c", "c")], None);
        assert_eq!(confusion.classes, ["a", "b", "c"]);
        assert_eq!(confusion.counts, [[1, 1, 0], [1, 0, 0], [0, 0, 1]]);
        assert_eq!(confusion.accuracy(), 0.5);
        let a = confusion.figures()[0];
        assert_eq!((a.precision, a.recall, a.f1, a.support), (0.5, 0.5, 0.5, 2));
        assert_eq!(confusion.average(Average::Macro).f1, 0.5);
        assert_eq!(confusion.average(Average::Micro).f1, 0.5);
        assert_eq!(confusion.average(Average::Weighted).f1, 0.5);
    }

    #[test]
    fn given_classes_leave_the_others_out_of_the_table_and_not_out_of_the_counts() {
        let classes = ["a".to_owned()];
        let confusion = Confusion::of([("a", "x"), ("x", "a"), ("a", "a"), ("x", "x")], Some(&classes));
        let a = confusion.figures()[0];
        assert_eq!((a.precision, a.recall, a.support), (0.5, 0.5, 2));
        assert_eq!(confusion.accuracy(), 0.5);
    }

    #[test]
    fn an_answer_that_names_no_label_is_wrong_and_seen() {
        let metric = named("f1_macro", &serde_json::json!({ "labels": ["yes", "no"] })).unwrap();
        let case = Case { references: vec!["yes".into()], ..Case::default() };
        let scores: Vec<Score> = ["yes", "I would say yes", " yes\n"]
            .map(|text| metric.score(&case, &Answer { text: text.to_owned(), ..Answer::default() }))
            .into();
        let summary = metric.summarise(&scores);
        assert_eq!(summary.outcomes["unparseable"], 1);
        // Of `yes` 2 of 3 found and all right: F1 0.8; `no` never came up: 0.
        assert_eq!(summary.value, Some(0.4));
    }
}
