//! Targets that were asked in turns in one run, so that they share what the machine and the network did meanwhile: deltas of quantiles, with the block
//! as the unit of chance. In a run that sends every arrival to both, a block is one arrival.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stats::bootstrap::Bootstrap;

use crate::clock::{millis, place};
use crate::definition;
use crate::sample::{Outcome, Sample};

/// Fewest blocks that an interval is made from.
pub const FEWEST_BLOCKS: usize = 10;

/// 2000 less one, so that the ends of an interval are resamples and not between two.
const N_RESAMPLES: usize = 1999;

/// One figure of the candidate beside the baseline's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// The target that others are held against: the first.
    pub baseline: String,
    /// The other one.
    pub candidate: String,
    /// The definition's id.
    pub metric: String,
    /// `p50` or `p95`.
    pub quantile: String,
    /// The baseline's value.
    pub baseline_ms: f64,
    /// The candidate's value.
    pub candidate_ms: f64,
    /// Candidate less baseline.
    pub delta_ms: f64,
    /// Its 95 % interval over resampled blocks; `None` for too few blocks.
    pub interval_ms: Option<(f64, f64)>,
    /// Blocks in which both were asked.
    pub n_blocks: usize,
}

impl Delta {
    /// Whether the interval leaves 0 out.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.interval_ms.is_some_and(|(low, high)| low > 0.0 || high < 0.0)
    }

    /// By how much of the baseline's value the candidate's is more.
    #[must_use]
    pub fn relative(&self) -> f64 {
        self.delta_ms / self.baseline_ms
    }
}

/// A metric as it is read off a request, in milliseconds.
type Read = fn(&Sample) -> Option<f64>;

const METRICS: [(&str, Read); 3] = [
    (definition::TTFT_INTENDED, |sample| late_or(sample, Sample::ttft_intended)),
    (definition::E2E_INTENDED, |sample| late_or(sample, Sample::e2e_intended)),
    (definition::TPOT, |sample| sample.is_good().then(|| sample.tpot_ms()).flatten()),
];

/// The time of a whole answer; one that did not come in time is later than all.
fn late_or(sample: &Sample, read: fn(&Sample) -> Option<Duration>) -> Option<f64> {
    match sample.outcome {
        Outcome::Good => read(sample).map(millis),
        outcome => outcome.is_later().then_some(f64::INFINITY),
    }
}

/// The deltas between the first target and each other one, over the blocks in which both have whole answers or none in time. A quantile that lies
/// beyond what was waited for has no delta.
#[must_use]
pub fn deltas(targets: &[String], samples: &[Sample], seed: u64) -> Vec<Delta> {
    let mut deltas = Vec::new();
    for (candidate_idx, candidate) in targets.iter().enumerate().skip(1) {
        for (metric, read) in METRICS {
            let mut blocks: BTreeMap<usize, [Vec<f64>; 2]> = BTreeMap::new();
            for sample in samples {
                let side = match sample.target {
                    0 => 0,
                    idx if idx == candidate_idx => 1,
                    _ => continue,
                };
                if let Some(value) = read(sample) {
                    blocks.entry(sample.block).or_default()[side].push(value);
                }
            }
            let blocks: Vec<[Vec<f64>; 2]> =
                blocks.into_values().filter(|sides| sides.iter().all(|side| !side.is_empty())).collect();
            for (quantile, p) in [("p50", 0.5), ("p95", 0.95)] {
                let Some((values, delta_ms, interval_ms)) = delta(&blocks, p, seed) else { continue };
                deltas.push(Delta {
                    baseline: targets[0].clone(),
                    candidate: candidate.clone(),
                    metric: metric.to_owned(),
                    quantile: quantile.to_owned(),
                    baseline_ms: values[0],
                    candidate_ms: values[1],
                    delta_ms,
                    interval_ms,
                    n_blocks: blocks.len(),
                });
            }
        }
    }
    deltas
}

type Found = ([f64; 2], f64, Option<(f64, f64)>);

/// The quantile on both sides, the delta, and its interval over resampled blocks, expanded for their number.
fn delta(blocks: &[[Vec<f64>; 2]], p: f64, seed: u64) -> Option<Found> {
    let sides = [Side::new(blocks, 0), Side::new(blocks, 1)];
    let all = vec![1; blocks.len()];
    let values = [sides[0].quantile(&all, p)?, sides[1].quantile(&all, p)?];
    if !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let of = |drawn: &[usize]| {
        let mut weights = vec![0; blocks.len()];
        drawn.iter().for_each(|idx| weights[*idx] += 1);
        let side = |side: &Side| side.quantile(&weights, p).unwrap_or(f64::NAN);
        side(&sides[1]) - side(&sides[0])
    };
    let interval = (blocks.len() >= FEWEST_BLOCKS)
        .then(|| Bootstrap::resampled(blocks.len(), N_RESAMPLES, seed, of).expanded(blocks.len(), 0.05))
        .flatten()
        .filter(|(low, high)| low.is_finite() && high.is_finite());
    Some((values, values[1] - values[0], interval))
}

/// The values of one target in ascending order, each with its block.
struct Side(Vec<(f64, usize)>);

impl Side {
    fn new(blocks: &[[Vec<f64>; 2]], side: usize) -> Side {
        let of = |(block, sides): (usize, &[Vec<f64>; 2])| sides[side].iter().map(|value| (*value, block)).collect();
        let mut values: Vec<(f64, usize)> =
            blocks.iter().enumerate().flat_map(|block| -> Vec<_> { of(block) }).collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Side(values)
    }

    /// The quantile when each block counts so often.
    fn quantile(&self, weights: &[usize], p: f64) -> Option<f64> {
        let n: usize = self.0.iter().map(|(_, block)| weights[*block]).sum();
        let wanted = place((n as f64 * p - 1e-9).ceil()).max(1);
        let mut seen = 0;
        self.0
            .iter()
            .find(|(_, block)| {
                seen += weights[*block];
                seen >= wanted
            })
            .map(|(value, _)| *value)
    }
}

#[cfg(test)]
mod tests;
