//! A backend that is killed under load and started again: what of the load was lost, and how long it took to come back. Reads what a run saw; who kills and
//! starts is the caller's.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::quantile::{of_sorted, sorted_ms};
use crate::result::Recovery;
use crate::sample::Sample;

/// A second whose p50 is within this of that before the kill is steady again: half as much more.
const STEADY: f64 = 1.5;

/// So many seconds in a row must be steady.
const IN_A_ROW: u64 = 2;

/// What the samples say. `killed` is when it was killed and `restarted` when the command that starts it was given, since the run began.
#[must_use]
pub fn recovery(target: &str, samples: &[Sample], (killed, restarted): (Duration, Duration)) -> Recovery {
    let before = samples.iter().filter(|sample| sample.intended < killed && sample.is_good() && sample.ended <= killed);
    let before_ttft_ms = p50(before);
    let first_good = samples
        .iter()
        .filter(|sample| sample.intended >= killed && sample.is_good())
        .filter_map(|sample| sample.last)
        .min();
    let timeline = timeline(samples);
    // Seconds are whole: the first good one may have begun before its first good answer.
    let steady = steady(&timeline, killed, before_ttft_ms).map(|at| first_good.map_or(at, |first| at.max(first)));
    let until = steady.unwrap_or(Duration::MAX);
    // What was under way at the kill was hit by it as well.
    let is_affected = |sample: &&Sample| sample.ended >= killed && sample.intended < until;
    let affected: Vec<&Sample> = samples.iter().filter(is_affected).collect();
    let failed: Vec<&&Sample> = affected.iter().filter(|sample| !sample.is_good()).collect();
    let mut errors = BTreeMap::new();
    failed.iter().for_each(|sample| *errors.entry(sample.outcome.as_str().to_owned()).or_default() += 1);
    let since = |at: Duration| at.saturating_sub(killed).as_secs_f64();
    Recovery {
        target: target.to_owned(),
        killed_at_s: killed.as_secs_f64(),
        restarted_after_s: since(restarted),
        n_affected: affected.len() as u64,
        n_failed: failed.len() as u64,
        errors,
        first_good_s: first_good.map(since),
        steady_s: steady.map(since),
        before_ttft_ms,
        timeline,
    }
}

fn p50<'s>(samples: impl Iterator<Item = &'s Sample>) -> Option<f64> {
    of_sorted(&sorted_ms(samples.filter_map(Sample::ttft_intended)), 0, 0.5).value
}

/// By the second in which requests were due: good, failed, and the p50 of the good.
fn timeline(samples: &[Sample]) -> Vec<(u64, u64, u64, Option<f64>)> {
    let mut seconds: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
    samples.iter().for_each(|sample| seconds.entry(sample.intended.as_secs()).or_default().push(sample));
    let row = |(second, samples): (u64, Vec<&Sample>)| {
        let good: Vec<&Sample> = samples.iter().copied().filter(|sample| sample.is_good()).collect();
        (second, good.len() as u64, (samples.len() - good.len()) as u64, p50(good.into_iter()))
    };
    seconds.into_iter().map(row).collect()
}

/// The beginning of the first seconds after the kill in which nothing failed and the p50 was as before.
fn steady(timeline: &[(u64, u64, u64, Option<f64>)], killed: Duration, before: Option<f64>) -> Option<Duration> {
    let before = before?;
    let mut n_steady = 0;
    for (second, n_good, n_failed, p50) in timeline.iter().filter(|row| Duration::from_secs(row.0) > killed) {
        let is_steady = *n_good > 0 && *n_failed == 0 && p50.is_some_and(|ms| ms <= before * STEADY);
        n_steady = if is_steady { n_steady + 1 } else { 0 };
        if n_steady == IN_A_ROW {
            return Some(Duration::from_secs(second + 1 - IN_A_ROW));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Outcome;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Ten requests a second for 20 s; killed at 5.25 s, and answers again from 8.0 s on, slowly until 10 s.
    fn samples() -> Vec<Sample> {
        let one = |idx: u64| {
            let at = ms(idx * 100);
            let mut sample = Sample::begun(0, 0, (at, at));
            let is_down = at >= ms(5_200) && at < ms(8_000);
            let took = if at >= ms(8_000) && at < ms(10_000) { 400 } else { 50 };
            (sample.sent, sample.ended) = (Some(at), at + ms(took));
            if is_down {
                sample.outcome = Outcome::Connect;
            } else {
                (sample.first, sample.last, sample.outcome) = (Some(at + ms(took)), Some(at + ms(took)), Outcome::Good);
            }
            sample
        };
        (0..200).map(one).collect()
    }

    #[test]
    fn what_was_lost_and_how_long_it_took_is_seen() {
        let found = recovery("a", &samples(), (ms(5_250), ms(6_250)));
        assert_eq!((found.restarted_after_s, found.n_failed, found.errors["connect"]), (1.0, 28, 28));
        // The request of 8.0 s was whole at 8.4 s.
        assert!((found.first_good_s.unwrap() - 3.15).abs() < 1e-9, "{:?}", found.first_good_s);
        assert_eq!(found.steady_s, Some(4.75));
        assert_eq!((found.before_ttft_ms, found.timeline.len()), (Some(50.0), 20));
        assert!(found.n_affected >= 48, "{}", found.n_affected);
    }

    #[test]
    fn what_never_came_back_is_said() {
        let mut samples = samples();
        samples
            .iter_mut()
            .filter(|sample| sample.intended >= ms(5_200))
            .for_each(|sample| sample.outcome = Outcome::Timeout);
        let found = recovery("a", &samples, (ms(5_250), ms(6_250)));
        assert_eq!((found.first_good_s, found.steady_s, found.n_failed), (None, None, 148));
    }
}
