//! How much of a win rate is length.
//!
//! The length-controlled win rate of AlpacaEval 2 (Dubois et al. 2024, "Length-Controlled AlpacaEval: A Simple Way to Debias Automatic Evaluators"),
//! without its term for how hard each question is, which needs many models: a logistic regression of what pairs are worth on `tanh(d / s)`, `d` the
//! difference of the lengths in characters and `s` its standard deviation over all pairs, read off at `d = 0`. The slope has a penalty of 1, as
//! scikit-learn's default has. It says what the judge would prefer were the answers equally long, as far as a line in the log odds can say that.

use std::collections::BTreeMap;

use serde::Serialize;
use stats::bootstrap::Bootstrap;
use stats::interval::wilson;
use stats::logistic;
use stats::random::Random;

use super::Z;
use crate::compare::{ALPHA, Interval};

/// The penalty on the slope.
const PENALTY: f64 = 1.0;
/// Points that all draws of the bootstrap together fit at most; and draws at most, and at least.
const MOST_FITTED: usize = 400_000;
const RESAMPLES: (usize, usize) = (1000, 100);

/// A pair with a verdict and both answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Points with the same are drawn together.
    pub cluster: String,
    /// How many characters longer the candidate's answer is.
    pub longer_by: f64,
    /// What the pair is worth to the candidate.
    pub worth: f64,
}

/// How a judge's preference goes with length.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LengthControl {
    /// The win rate, were the answers equally long.
    pub win_rate: Option<f64>,
    /// Its percentile bootstrap interval over clusters.
    pub interval: Option<Interval>,
    /// How much the log odds of a win rise from an answer far shorter to one as long, or from one as long to one far longer; near 0 length is no matter.
    pub slope: Option<f64>,
    /// Pairs with a winner whose answers are not equally long.
    pub n_decided: u64,
    /// Of these, the part that the longer answer wins: far from 0.5, length and preference go together.
    pub longer_won: Option<f64>,
    /// Its Wilson interval.
    pub longer_won_interval: Option<Interval>,
}

/// Holds length out of the preference. `seed` decides the draws.
#[must_use]
pub fn control(points: &[Point], seed: u64) -> LengthControl {
    let decided = points.iter().filter(|point| point.longer_by != 0.0 && (point.worth - 0.5).abs() > 0.25);
    let (n_longer, n_decided) = decided.fold((0_u64, 0_u64), |(n_longer, n), point| {
        (n_longer + u64::from((point.longer_by > 0.0) == (point.worth > 0.5)), n + 1)
    });
    let mut found = LengthControl {
        n_decided,
        longer_won: (n_decided > 0).then(|| n_longer as f64 / n_decided as f64),
        longer_won_interval: wilson(n_longer, n_decided, Z).map(|(low, high)| Interval { low, high, level: 0.95 }),
        ..LengthControl::default()
    };
    if points.is_empty() {
        return found;
    }
    let n = points.len() as f64;
    let mean = points.iter().map(|point| point.longer_by).sum::<f64>() / n;
    let deviation = (points.iter().map(|point| (point.longer_by - mean).powi(2)).sum::<f64>() / n).sqrt();
    let mut clusters: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for point in points {
        let x = if deviation > 0.0 { (point.longer_by / deviation).tanh() } else { 0.0 };
        clusters.entry(&point.cluster).or_default().push((x, point.worth));
    }
    let clusters: Vec<Vec<(f64, f64)>> = clusters.into_values().collect();
    let all: Vec<(f64, f64)> = clusters.iter().flatten().copied().collect();
    found.slope = logistic::fit(&all, PENALTY).map(|line| line.slope);
    let estimate = at_equal_length(&all);
    found.win_rate = Some(estimate);
    // Of two clusters there is an interval, and it says nothing.
    if clusters.len() > 2 {
        let n_draws = (MOST_FITTED / all.len()).clamp(RESAMPLES.1, RESAMPLES.0);
        let mut random = Random::new(seed);
        let draws = (0..n_draws).map(|_| {
            let drawn = (0..clusters.len()).flat_map(|_| &clusters[random.below(clusters.len())]).copied();
            at_equal_length(&drawn.collect::<Vec<_>>())
        });
        let bootstrap = Bootstrap::from_parts(estimate, draws.collect(), Vec::new());
        let level = 1.0 - 2.0 * ALPHA;
        // Where no draw differs from another there are too few to tell: no width is no certainty.
        let ends = bootstrap.percentile(2.0 * ALPHA).filter(|(low, high)| low < high);
        found.interval = ends.map(|(low, high)| Interval { low, high, level });
    }
    found
}

/// What the line says at equal length; where all outcomes are the same, that outcome.
fn at_equal_length(points: &[(f64, f64)]) -> f64 {
    let mean = || points.iter().map(|(_, worth)| worth).sum::<f64>() / points.len() as f64;
    logistic::fit(points, PENALTY).map_or_else(mean, |line| line.at(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(idx: usize, longer_by: f64, worth: f64) -> Point {
        Point { cluster: idx.to_string(), longer_by, worth }
    }

    #[test]
    fn a_judge_that_takes_the_longer_one_has_a_win_rate_that_length_control_takes_back() {
        // The candidate is longer in nine of ten pairs, and the longer one always wins.
        let points: Vec<Point> = (0..100)
            .map(|idx| {
                let longer_by = if idx % 10 == 0 { -120.0 } else { 100.0 + idx as f64 };
                point(idx, longer_by, f64::from(u8::from(longer_by > 0.0)))
            })
            .collect();
        let found = control(&points, 1);
        assert_eq!((found.longer_won, found.n_decided), (Some(1.0), 100));
        let (win_rate, interval) = (found.win_rate.unwrap(), found.interval.unwrap());
        // As scikit-learn fits it; 0.9 as it is. Ten pairs with a shorter candidate say no more than that.
        assert!((win_rate - 0.754_037_187_8).abs() < 1e-6, "{win_rate}");
        assert!(interval.low <= win_rate && win_rate <= interval.high, "{interval:?}");
        assert!(found.slope.unwrap() > 1.0, "{found:?}");
    }

    #[test]
    fn a_preference_that_has_nothing_to_do_with_length_stays() {
        // Seven of ten are won, longer or shorter.
        let longer_by = |idx: usize| if (idx / 10).is_multiple_of(2) { 80.0 } else { -80.0 };
        let points: Vec<Point> =
            (0..100).map(|idx| point(idx, longer_by(idx), f64::from(u8::from(idx % 10 < 7)))).collect();
        let found = control(&points, 1);
        assert!((found.win_rate.unwrap() - 0.7).abs() < 1e-6, "{found:?}");
        let interval = found.longer_won_interval.unwrap();
        assert!(interval.low < 0.5 && interval.high > 0.5, "{found:?}");
    }

    #[test]
    fn answers_of_equal_length_and_no_answers_at_all_need_no_control() {
        let points: Vec<Point> = (0..8).map(|idx| point(idx, 0.0, f64::from(u8::from(idx < 6)))).collect();
        let found = control(&points, 1);
        assert!((found.win_rate.unwrap() - 0.75).abs() < 1e-9, "{found:?}");
        assert_eq!((found.longer_won, found.n_decided), (None, 0));
        assert_eq!(control(&[], 1), LengthControl::default());
        let always: Vec<Point> = (0..8).map(|idx| point(idx, idx as f64, 1.0)).collect();
        assert_eq!(control(&always, 1).win_rate, Some(1.0));
    }
}
