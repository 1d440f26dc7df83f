//! Latency and cost of the same answers, beside their quality.

use serde::Serialize;
use stats::bootstrap::Bootstrap;

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
    /// Answers whose cost is not known.
    pub n_unpriced: u64,
    /// Calls that were made, over those that would do: 1.0 where nothing was tried again.
    pub attempts_per_answer: f64,
}

/// Of a target, where the sum of what its answers are worth is known.
pub(super) fn of(results: &Results, target_idx: usize, worth: Option<f64>, seed: u64) -> SpeedAndCost {
    let records = || results.records.iter().filter(move |record| record.item.target_idx == target_idx);
    let paces = || records().filter_map(|record| record.answered.pace);
    let n_unpriced = records().filter(|record| record.answered.cost_nanos.is_none()).count() as u64;
    let mut per_case = vec![(0_u64, 0.0); results.cases.len()];
    for record in records() {
        let cell = &mut per_case[record.item.case_idx];
        *cell = (cell.0 + 1, cell.1 + record.answered.cost_nanos.unwrap_or(0) as f64 * 1e-9);
    }
    per_case.retain(|(n, _)| *n > 0);
    let is_known = n_unpriced == 0 && !per_case.is_empty();
    let total: f64 = per_case.iter().map(|(_, sum)| sum).sum();
    let n: u64 = per_case.iter().map(|(n, _)| n).sum();
    let bootstrap = is_known.then(|| Bootstrap::of_mean(&per_case, RESAMPLES, seed));
    let ends = bootstrap.as_ref().and_then(|bootstrap| bootstrap.percentile(2.0 * ALPHA));
    let attempts: u64 = records().map(|record| u64::from(record.answered.attempts)).sum();
    let n_called = records().filter(|record| record.answered.attempts > 0).count();
    SpeedAndCost {
        latency: speed(
            records().filter_map(|record| record.answered.answer.as_ref().map(|_| record.answered.latency_us as f64)),
        ),
        time_to_first_token: speed(paces().map(|pace| pace.time_to_first_token_us as f64)),
        gap: speed(paces().filter(|pace| pace.n_gaps > 0).map(|pace| pace.gaps_us as f64 / pace.n_gaps as f64)),
        longest_gap: speed(paces().filter(|pace| pace.n_gaps > 0).map(|pace| pace.longest_gap_us as f64)),
        cost_per_case: is_known.then(|| total / n as f64),
        cost_interval: ends.map(|(low, high)| Interval { low, high, level: 1.0 - 2.0 * ALPHA }),
        cost_per_successful_task: worth.filter(|worth| is_known && *worth > 0.0).map(|worth| total / worth),
        n_unpriced,
        attempts_per_answer: if n_called == 0 { 0.0 } else { attempts as f64 / n_called as f64 },
    }
}

fn speed(micros: impl Iterator<Item = f64>) -> Option<Speed> {
    let mut ms: Vec<f64> = micros.map(|micros| micros / 1000.0).collect();
    ms.sort_unstable_by(f64::total_cmp);
    let last = ms.len().checked_sub(1)?;
    // The nearest rank: the smallest value that so many are not above.
    let rank = |percent: usize| ms[((last + 1) * percent).div_ceil(100).saturating_sub(1).min(last)];
    Some(Speed { n: ms.len() as u64, p50_ms: rank(50), p95_ms: rank(95) })
}
