//! What was recorded of a move: which calls may be counted, and how much came in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::figure::Unit;
use crate::rows::{Call, Rows};
use crate::settings::{Move, TargetFacts};

/// The calls of a move that may be counted.
pub(crate) struct Traffic<'r> {
    /// Calls of the baseline for callers.
    pub baseline: Vec<&'r Call>,
    /// Calls of the candidate, copies included.
    pub candidate: Vec<&'r Call>,
    /// Calls of these targets as another model: not counted.
    pub n_other_model: u64,
    /// Requests a second that are to be held.
    pub target_load: Option<f64>,
    /// That the record which says so is too short to have seen a peak, where it is; then nothing is held.
    pub too_short: Option<String>,
}

impl Traffic<'_> {
    /// The load that is to be held, where the record is long enough to have seen it or somebody said it.
    pub(crate) fn known_load(&self) -> Option<f64> {
        self.target_load.filter(|_| self.too_short.is_none())
    }
}

/// The load that is to be held and where it is from, for people: a figure of the record is nobody's wish.
pub(crate) fn said(mv: &Move, traffic: &Traffic<'_>) -> String {
    let other = format!("`report.target_load: {{ {}: N }}` in the config sets another", mv.route);
    let load = traffic.target_load.map(|load| Unit::PerSecond.shown(load));
    match (mv.target_load, load) {
        (Some(_), Some(load)) => format!("Target load: {load}, as the config says (`report.target_load`)"),
        (None, Some(load)) => {
            let made_up = if mv.baseline.simulated { ", whose answers are simulated" } else { "" };
            let short = traffic.too_short.as_ref().map(|short| format!("; {short} and may not have seen the peak"));
            format!(
                "Target load: {load}, the busiest minute on record of the route `{}`{made_up}{}; {other}",
                mv.route,
                short.unwrap_or_default()
            )
        }
        _ => format!("Target load: not known, as nothing of the route `{}` is on record; {other}", mv.route),
    }
}

/// A record that is shorter has not seen every hour of a day.
const FEWEST_HOURS: u64 = 24;
const HOUR_US: u64 = 3_600_000_000;

/// Reads the calls of a move.
pub(crate) fn traffic<'r>(rows: &'r Rows, mv: &Move) -> Traffic<'r> {
    let of_route = || rows.calls.iter().filter(|call| call.route == mv.route);
    let mut n_other_model = 0;
    let mut of = |target: &TargetFacts, with_copies: bool| {
        let calls = of_route().filter(|call| call.target == target.name && (with_copies || !call.is_shadow));
        // A target whose model has a `*` calls many.
        let is_same = |call: &&Call| target.model.contains('*') || call.model == target.model;
        let (same, other): (Vec<&Call>, Vec<&Call>) = calls.partition(is_same);
        n_other_model += other.len() as u64;
        same
    };
    let baseline = of(&mv.baseline, false);
    let candidate = mv.candidate.as_ref().map(|target| of(target, true)).unwrap_or_default();
    let said = mv.target_load.map(|load| load.0);
    let hours = mv.recorded.map(|recorded| recorded.last_us.saturating_sub(recorded.first_us) / HOUR_US);
    let short = hours.filter(|hours| said.is_none() && *hours < FEWEST_HOURS);
    Traffic {
        baseline,
        candidate,
        n_other_model,
        target_load: said.or(mv.recorded.map(|recorded| recorded.peak_per_minute as f64 / 60.0)),
        too_short: short.map(|hours| format!("the record is shorter than a day ({hours} h)")),
    }
}

/// The busiest minute, as requests a second: any 60 seconds in a row, as the store counts them, for a minute of the clock would cut a burst in two.
pub(crate) fn peak_per_second(calls: &[&Call]) -> Option<f64> {
    minutes(&per_second(calls)).map(|(_, n)| n).max().map(|n| n as f64 / 60.0)
}

/// The calls of minutes with at least so many a second.
pub(crate) fn at_load<'r>(calls: &[&'r Call], per_s: f64) -> Vec<&'r Call> {
    let seconds = per_second(calls);
    let mut busy = BTreeSet::new();
    for (minute, n) in minutes(&seconds) {
        // A target load that is the busiest minute's own is reached by it.
        if n as f64 / 60.0 >= per_s * 0.999 {
            // What an earlier minute has put in is left alone, so that a long record is gone through once.
            let from = busy.last().map_or(*minute.start(), |last: &u64| *minute.start().max(&(last + 1)));
            busy.extend(seconds.range(from..=*minute.end()).map(|(second, _)| *second));
        }
    }
    calls.iter().filter(|call| busy.contains(&second(call))).copied().collect()
}

fn second(call: &Call) -> u64 {
    call.at_us / 1_000_000
}

fn per_second(calls: &[&Call]) -> BTreeMap<u64, u64> {
    let mut seconds = BTreeMap::new();
    calls.iter().for_each(|call| *seconds.entry(second(call)).or_default() += 1);
    seconds
}

/// The minutes that end with a second in which calls came, and the calls of each.
fn minutes(seconds: &BTreeMap<u64, u64>) -> impl Iterator<Item = (RangeInclusive<u64>, u64)> {
    let (mut first, mut n) = (seconds.iter().peekable(), 0);
    seconds.iter().map(move |(second, count)| {
        n += count;
        let start = second.saturating_sub(59);
        while let Some((_, gone)) = first.next_if(|(earlier, _)| **earlier < start) {
            n -= gone;
        }
        (start..=*second, n)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at_s: u64) -> Call {
        Call {
            route: "chat".to_owned(),
            at_us: at_s * 1_000_000,
            target: "own".to_owned(),
            model: "m".to_owned(),
            is_shadow: false,
            streamed: true,
            first_token_us: None,
            duration_us: None,
            input_tokens: None,
            output_tokens: None,
            cost_nanos: None,
            failure: None,
            simulated: false,
        }
    }

    #[test]
    fn a_burst_over_the_turn_of_a_minute_is_one_minute() {
        // Ten a second from 30 s before the turn to 30 s after it, and one alone long after.
        let calls: Vec<Call> = (6_030..6_090).flat_map(|second| [second; 10]).chain([9_000]).map(call).collect();
        let calls: Vec<&Call> = calls.iter().collect();
        assert_eq!(peak_per_second(&calls), Some(10.0));
        assert_eq!(at_load(&calls, 10.0).len(), 600);
        assert_eq!((at_load(&calls, 10.1).len(), at_load(&calls, 0.01).len(), peak_per_second(&[])), (0, 601, None));
    }
}
