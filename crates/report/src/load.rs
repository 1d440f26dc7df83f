//! What was recorded of a move: which calls may be counted, and how much came in.

use std::collections::BTreeMap;

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

/// The busiest minute, as requests a second.
pub(crate) fn peak_per_second(calls: &[&Call]) -> Option<f64> {
    per_minute(calls).values().max().map(|n| *n as f64 / 60.0)
}

/// The calls of minutes with at least so many a second.
pub(crate) fn at_load<'r>(calls: &[&'r Call], per_s: f64) -> Vec<&'r Call> {
    let minutes = per_minute(calls);
    // A target load that is the busiest minute's own is reached by it.
    let is_at = |call: &&&Call| minutes[&minute(call)] as f64 / 60.0 >= per_s * 0.999;
    calls.iter().filter(is_at).copied().collect()
}

fn minute(call: &Call) -> u64 {
    call.at_us / 60_000_000
}

fn per_minute(calls: &[&Call]) -> BTreeMap<u64, u64> {
    let mut minutes = BTreeMap::new();
    calls.iter().for_each(|call| *minutes.entry(minute(call)).or_default() += 1);
    minutes
}
