//! What a comparison in turns can see, on made-up latencies.

use std::time::Duration;

use stats::random::Random;

use super::*;
use crate::clock::seconds;
use crate::sample::Outcome;

const N_BLOCKS: usize = 100;
const PER_BLOCK: usize = 20;
const SIGMA: f64 = 0.3;

/// 2,000 requests a target in blocks of 20; latencies are log-normal around 200 ms, times what the machine does meanwhile.
fn run(seed: u64, candidate: f64, drift: f64) -> Vec<Sample> {
    run_of(N_BLOCKS, seed, candidate, drift)
}

fn run_of(n_blocks: usize, seed: u64, candidate: f64, drift: f64) -> Vec<Sample> {
    let mut random = Random::new(seed);
    let mut samples = Vec::new();
    for block in 0..n_blocks {
        // A slow wave, and a jump of its own in each block.
        let wave = (block as f64 / n_blocks as f64 * 5.0).sin() + 0.3 * random.normal();
        let level = (drift * wave).exp();
        for (target, factor) in [(0, 1.0), (1, candidate)] {
            for _ in 0..PER_BLOCK {
                samples.push(sample((target, block), 0.2 * level * factor * (SIGMA * random.normal()).exp()));
            }
        }
    }
    samples
}

fn sample((target, block): (usize, usize), latency_s: f64) -> Sample {
    let mut sample = Sample::begun(target, block, (Duration::ZERO, Duration::ZERO));
    sample.sent = Some(Duration::ZERO);
    (sample.first, sample.last) = (Some(seconds(latency_s)), Some(seconds(latency_s)));
    sample.outcome = Outcome::Good;
    sample
}

/// So many runs; at full size with `CROSSFADE_SLOW_TESTS`.
fn size(quick: u64, full: u64) -> u64 {
    if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { full } else { quick }
}

fn of(samples: &[Sample], quantile: &str) -> Delta {
    let targets = ["a".to_owned(), "b".to_owned()];
    let deltas = deltas(&targets, samples, 1);
    deltas.into_iter().find(|delta| delta.metric == definition::TTFT_INTENDED && delta.quantile == quantile).unwrap()
}

/// Which of p50 and p95 are called different.
fn shown(mut samples: Vec<Sample>) -> [bool; 2] {
    // One metric is enough, and half the work.
    samples.iter_mut().for_each(|sample| sample.last = None);
    let targets = ["a".to_owned(), "b".to_owned()];
    let deltas = deltas(&targets, &samples, 1);
    assert_eq!(deltas.len(), 2);
    ["p50", "p95"].map(|quantile| deltas.iter().any(|delta| delta.quantile == quantile && delta.is_shown()))
}

#[test]
fn five_percent_of_the_median_and_ten_of_the_p95_are_seen_in_2000_requests() {
    let (n_runs, mut n_seen) = (size(40, 2000), [0; 2]);
    for seed in 0..n_runs {
        n_seen[0] += usize::from(shown(run(seed, 1.05, 0.1))[0]);
        n_seen[1] += usize::from(shown(run(seed, 1.10, 0.1))[1]);
    }
    println!("seen: p50 and p95 in {n_seen:?} of {n_runs} runs");
    assert!(n_seen.iter().all(|n| *n as f64 >= 0.9 * n_runs as f64), "{n_seen:?} of {n_runs}");
}

#[test]
fn the_same_target_twice_is_rarely_called_different() {
    // Also where blocks are so few that a percentile interval would be wrong in 7 %.
    for (n_blocks, n_runs) in [(10, size(400, 10_000)), (20, size(200, 10_000)), (N_BLOCKS, size(200, 10_000))] {
        let mut n_false = [0; 2];
        for seed in 0..n_runs {
            let shown = shown(run_of(n_blocks, seed + 1000, 1.0, 0.1));
            n_false.iter_mut().zip(shown).for_each(|(n, is_shown)| *n += usize::from(is_shown));
        }
        println!("called different in {n_blocks} blocks: p50 and p95 in {n_false:?} of {n_runs} runs");
        // 5 %, and two standard errors of luck: 16 of 200, 543 of 10,000.
        let n = n_runs as f64;
        let most = n * 0.05 + 2.0 * (n * 0.05 * 0.95).sqrt();
        assert!(n_false.iter().all(|n| *n as f64 <= most), "{n_blocks} blocks: {n_false:?} of {n_runs}");
    }
}

#[test]
fn turns_cancel_what_drifts() {
    let mut widths = [0.0; 2];
    for seed in 0..size(10, 200) {
        let in_turns = run(seed, 1.0, 0.3);
        // One after the other: the candidate's blocks are of the run's second half, and no block has both.
        let mut after = run(seed, 1.0, 0.3);
        after.retain(|sample| (sample.block < N_BLOCKS / 2) == (sample.target == 0));
        let width = |delta: &Delta| delta.interval_ms.map(|(low, high)| high - low).unwrap();
        widths[0] += width(&of(&in_turns, "p50"));
        widths[1] += unpaired(&after);
    }
    println!("width in turns, by that one after the other: {}", widths[0] / widths[1]);
    assert!(widths[0] * 2.0 <= widths[1], "{widths:?}");
}

/// The width of the interval when the blocks of each side are drawn on their own.
fn unpaired(samples: &[Sample]) -> f64 {
    let blocks = |target: usize| {
        let mut blocks: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for sample in samples.iter().filter(|sample| sample.target == target) {
            blocks.entry(sample.block).or_default().push(millis(sample.first.unwrap()));
        }
        blocks.into_values().map(|values| [values, Vec::new()]).collect::<Vec<_>>()
    };
    let variance = |blocks: Vec<[Vec<f64>; 2]>| {
        let side = Side::new(&blocks, 0);
        let of = |drawn: &[usize]| {
            let mut weights = vec![0; blocks.len()];
            drawn.iter().for_each(|idx| weights[*idx] += 1);
            side.quantile(&weights, 0.5).unwrap()
        };
        let (low, high) = Bootstrap::resampled(blocks.len(), N_RESAMPLES, 1, of).expanded(blocks.len(), 0.05).unwrap();
        (high - low).powi(2)
    };
    (variance(blocks(0)) + variance(blocks(1))).sqrt()
}

#[test]
fn too_few_blocks_have_no_interval_and_failures_no_latency() {
    let mut samples = run(1, 1.0, 0.0);
    samples.retain(|sample| sample.block < FEWEST_BLOCKS - 1);
    let delta = of(&samples, "p50");
    assert_eq!((delta.interval_ms, delta.n_blocks, delta.is_shown()), (None, 9, false));
    samples.iter_mut().filter(|sample| sample.target == 1).for_each(|sample| sample.outcome = Outcome::Timeout);
    assert_eq!(deltas(&["a".to_owned(), "b".to_owned()], &samples, 1), []);
}

#[test]
fn answers_that_never_came_are_later_than_all_that_did() {
    let mut samples = run(7, 1.0, 0.0);
    let before = of(&samples, "p50").delta_ms;
    // The candidate gives up on its slowest tenth.
    let mut times: Vec<Duration> = samples.iter().filter(|one| one.target == 1).filter_map(|one| one.last).collect();
    times.sort_unstable();
    let limit = times[times.len() / 10 * 9];
    let slow = samples.iter_mut().filter(|one| one.target == 1 && one.last.is_some_and(|last| last >= limit));
    slow.for_each(|one| one.outcome = Outcome::Timeout);
    assert!((of(&samples, "p50").delta_ms - before).abs() < 1e-9, "what is faster than the median stays as it was");
    let targets = ["a".to_owned(), "b".to_owned()];
    let is_p95 = |delta: &Delta| delta.metric == definition::TTFT_INTENDED && delta.quantile == "p95";
    assert!(!deltas(&targets, &samples, 1).iter().any(is_p95), "nobody knows how late its p95 would have been");
}
