//! What was recorded of a move: which calls may be counted, and how much came in.

use std::collections::BTreeMap;

use crate::rows::{CALLS, Call, Rows, SETTINGS};
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
    /// The file that says so.
    pub load_from: &'static str,
}

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
    let recorded = peak_per_second(of_route().filter(|call| !call.is_shadow));
    let (target_load, load_from) = match mv.target_load {
        Some(load) => (Some(load.0), SETTINGS),
        None => (recorded, CALLS),
    };
    Traffic { baseline, candidate, n_other_model, target_load, load_from }
}

/// The busiest minute, as requests a second.
pub(crate) fn peak_per_second<'r>(calls: impl Iterator<Item = &'r Call>) -> Option<f64> {
    let mut minutes: BTreeMap<u64, u64> = BTreeMap::new();
    for call in calls {
        *minutes.entry(call.at_us / 60_000_000).or_default() += 1;
    }
    minutes.values().max().map(|n| *n as f64 / 60.0)
}
