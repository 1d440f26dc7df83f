//! Latency and cost of the same answers, beside their quality.

use std::collections::BTreeSet;

use serde::Serialize;
use stats::bootstrap::Bootstrap;
use stats::interval::quantile_ranks;
use stats::random::Random;

use super::{ALPHA, Interval};
use crate::results::Results;

/// Draws of the bootstrap.
const RESAMPLES: usize = 2000;

/// How long answers took, in milliseconds; repeats and cases together, answers that were taken over from earlier calls included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Speed {
    /// Answers that were measured.
    pub n: u64,
    /// The middle one.
    pub p50_ms: f64,
    /// Slower than 95 of 100.
    pub p95_ms: f64,
    /// Between which two answers the middle one of all answers lies (order statistics), cases taken as independent and repeats as one. `None` where there
    /// are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_interval: Option<Interval>,
    /// The same of the one slower than 95 of 100: it takes 72 cases to bound it from above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_interval: Option<Interval>,
}

/// What a target's answers took and cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeedAndCost {
    /// How long they took.
    pub latency: Option<Speed>,
    /// Of streamed answers, from the call to the first content.
    pub time_to_first_token: Option<Speed>,
    /// Of streamed answers with more than one event of content, the mean gap between two.
    pub gap: Option<Speed>,
    /// Of the same, the longest gap.
    pub longest_gap: Option<Speed>,
    /// What a case cost on average, in dollars: all attempts of all its repeats, over its repeats. `None` where any cost is not known.
    pub cost_per_case: Option<f64>,
    /// Its bootstrap interval.
    pub cost_interval: Option<Interval>,
    /// All costs over the sum of the metric that decides: with outcomes of 0 and 1, what one right answer costs.
    pub cost_per_successful_task: Option<f64>,
    /// Its bootstrap interval, by cases. `None` where a draw of these cases could have no success at all in more than one of a hundred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_interval: Option<Interval>,
    /// Answers whose cost is not known.
    pub n_unpriced: u64,
    /// Calls that were made, over those that would do: 1.0 where nothing was tried again.
    pub attempts_per_answer: f64,
}

/// Of a target, where it is known what each of its cases is worth, its repeats added; 0 where a case has no number.
pub(super) fn of(results: &Results, target_idx: usize, worth: Option<&[f64]>, seed: u64) -> SpeedAndCost {
    let records = || results.records.iter().filter(move |record| record.item.target_idx == target_idx);
    let paces = || records().filter_map(|record| Some((record.item.case_idx, record.answered.pace?)));
    let n_unpriced = records().filter(|record| record.answered.cost_nanos.is_none()).count() as u64;
    let mut by_case = vec![(0_u64, 0.0); results.cases.len()];
    for record in records() {
        let cell = &mut by_case[record.item.case_idx];
        *cell = (cell.0 + 1, cell.1 + record.answered.cost_nanos.unwrap_or(0) as f64 * 1e-9);
    }
    let per_case: Vec<(u64, f64)> = by_case.iter().copied().filter(|(n, _)| *n > 0).collect();
    let is_known = n_unpriced == 0 && !per_case.is_empty();
    let total: f64 = per_case.iter().map(|(_, sum)| sum).sum();
    let n: u64 = per_case.iter().map(|(n, _)| n).sum();
    let bootstrap = is_known.then(|| Bootstrap::of_mean(&per_case, RESAMPLES, seed));
    let ends = bootstrap.as_ref().and_then(|bootstrap| bootstrap.percentile(ALPHA));
    let attempts: u64 = records().map(|record| u64::from(record.answered.attempts)).sum();
    let n_called = records().filter(|record| record.answered.attempts > 0).count();
    let worth = worth.filter(|worth| is_known && worth.iter().sum::<f64>() > 0.0);
    let asked = by_case.iter().enumerate().filter(|(_, (n, _))| *n > 0);
    let successes: Option<Vec<(f64, f64)>> =
        worth.map(|worth| asked.map(|(idx, (_, cost))| (*cost, worth[idx])).collect());
    SpeedAndCost {
        latency: speed(records().filter_map(|record| {
            record.answered.answer.as_ref().map(|_| (record.item.case_idx, record.answered.latency_us as f64))
        })),
        time_to_first_token: speed(paces().map(|(case_idx, pace)| (case_idx, pace.time_to_first_token_us as f64))),
        gap: speed(
            paces()
                .filter(|(_, pace)| pace.n_gaps > 0)
                .map(|(case_idx, pace)| (case_idx, pace.gaps_us as f64 / pace.n_gaps as f64)),
        ),
        longest_gap: speed(
            paces().filter(|(_, pace)| pace.n_gaps > 0).map(|(case_idx, pace)| (case_idx, pace.longest_gap_us as f64)),
        ),
        cost_per_case: is_known.then(|| total / n as f64),
        cost_interval: ends.map(at_95),
        cost_per_successful_task: worth.map(|worth| total / worth.iter().sum::<f64>()),
        success_interval: successes.and_then(|cases| per_success(&cases, seed)),
        n_unpriced,
        attempts_per_answer: if n_called == 0 { 0.0 } else { attempts as f64 / n_called as f64 },
    }
}

fn at_95((low, high): (f64, f64)) -> Interval {
    Interval { low, high, level: 1.0 - ALPHA }
}

/// The interval of all costs over all successes, each case drawn with both.
fn per_success(cases: &[(f64, f64)], seed: u64) -> Option<Interval> {
    let mut random = Random::new(seed);
    let mut ratio = || {
        let drawn = (0..cases.len()).map(|_| cases[random.below(cases.len())]);
        let (cost, worth) = drawn.fold((0.0, 0.0), |(cost, worth), (c, w)| (cost + c, worth + w));
        if worth > 0.0 { cost / worth } else { f64::NAN }
    };
    let ratios: Vec<f64> = (0..RESAMPLES).map(|_| ratio()).collect();
    if ratios.iter().filter(|ratio| ratio.is_nan()).count() > RESAMPLES / 100 {
        return None;
    }
    Bootstrap::from_parts(f64::NAN, ratios, Vec::new()).percentile(ALPHA).map(at_95)
}

/// Of times in microseconds, each of a case.
fn speed(times: impl Iterator<Item = (usize, f64)>) -> Option<Speed> {
    let (cases, mut ms): (BTreeSet<usize>, Vec<f64>) =
        times.map(|(case_idx, micros)| (case_idx, micros / 1000.0)).unzip();
    ms.sort_unstable_by(f64::total_cmp);
    let last = ms.len().checked_sub(1)?;
    // The nearest rank: the smallest value that so many are not above.
    let rank = |percent: usize| ms[((last + 1) * percent).div_ceil(100).saturating_sub(1).min(last)];
    // With repeats that say the same, each case stands so often in a row: the ends are those of cases.
    let (n, n_cases) = (ms.len(), cases.len());
    let between = |quantile: f64| {
        let (low, high) = quantile_ranks(quantile, n_cases as u64, ALPHA);
        let (low, high) = (usize::try_from(low?).ok()?, usize::try_from(high?).ok()?);
        Some(at_95((ms[((low - 1) * n / n_cases).min(last)], ms[(high * n).div_ceil(n_cases).clamp(1, n) - 1])))
    };
    Some(Speed {
        n: ms.len() as u64,
        p50_ms: rank(50),
        p95_ms: rank(95),
        p50_interval: between(0.5),
        p95_interval: between(0.95),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_of_a_case_make_no_interval_narrower_and_too_few_cases_have_none() {
        let ends = |repeats: usize, n: usize| {
            let times = (0..n).flat_map(|idx| (0..repeats).map(move |_| (idx, (idx + 1) as f64 * 1000.0)));
            let speed = speed(times).unwrap();
            [speed.p50_interval, speed.p95_interval].map(|of| of.map(|of| (of.low, of.high)))
        };
        assert_eq!(ends(1, 100), [Some((40.0, 61.0)), Some((90.0, 100.0))]);
        assert_eq!(ends(5, 100), ends(1, 100));
        assert_eq!((ends(1, 71)[1], ends(1, 72)[1].is_some(), ends(9, 5)), (None, true, [None, None]));
    }

    #[test]
    fn what_a_success_costs_has_an_interval_where_there_are_successes_to_draw() {
        let cases =
            |n_good: usize| -> Vec<(f64, f64)> { (0..100).map(|idx| (0.01, f64::from(idx < n_good))).collect() };
        let Interval { low, high, .. } = per_success(&cases(50), 1).unwrap();
        // About 0.01 over 0.5 plus or minus 0.1.
        assert!((0.0158..0.0178).contains(&low) && (0.0235..0.0265).contains(&high), "{low} {high}");
        assert_eq!(per_success(&cases(1), 1), None);
        assert!(per_success(&cases(100), 1).is_some_and(|of| (of.low - of.high).abs() < 1e-9));
    }
}
