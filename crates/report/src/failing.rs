//! Whether a target that was made the route's fails today: no guard watches it any more, so the report looks at its newest calls.

use std::collections::BTreeMap;

use stats::interval::wilson;

use crate::latency::NOT_LATE;
use crate::load::Traffic;
use crate::rows::Call;
use crate::settings::Move;

/// So many of the newest calls are looked at.
const NEWEST: usize = 100;
/// Fewer calls say nothing.
const FEWEST: usize = 20;
/// More than this share failing, beyond chance, is a fault: what the latency's 95th percentile forgives.
const FORGIVEN: f64 = 0.05;
/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_964;

/// The newest calls of a route's new target, where too many of them failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failing {
    /// Calls that failed.
    pub n_failed: usize,
    /// Calls looked at.
    pub n: usize,
    /// What most of them failed by: `server_error`.
    pub most: String,
    /// When the newest failed, Unix microseconds.
    pub last_us: u64,
}

/// Of a move that is made: its newest calls for users, where more fail than is forgiven, at 95 %.
pub(crate) fn failing(mv: &Move, traffic: &Traffic<'_>) -> Option<Failing> {
    if !mv.switched {
        return None;
    }
    let calls: Vec<&Call> = traffic.candidate.iter().filter(|call| !call.is_shadow).copied().collect();
    let newest = newest(&calls)?;
    let (low, _) = wilson(newest.n_failed as u64, newest.n as u64, Z)?;
    (low > FORGIVEN).then_some(newest)
}

/// Whether an outage on record is over: of the newest calls no more fail than is forgiven.
pub(crate) fn is_over(calls: &[&Call]) -> bool {
    newest(calls).is_some_and(|newest| newest.n == NEWEST && newest.n_failed as f64 <= FORGIVEN * newest.n as f64)
}

fn newest(calls: &[&Call]) -> Option<Failing> {
    let mut calls: Vec<&Call> = calls.to_vec();
    calls.sort_by_key(|call| std::cmp::Reverse(call.at_us));
    calls.truncate(NEWEST);
    let is_fault = |failure: &&str| !NOT_LATE.contains(failure);
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    let mut last_us = 0;
    for call in &calls {
        if let Some(failure) = call.failure.as_deref().filter(is_fault) {
            *by_kind.entry(failure).or_default() += 1;
            last_us = last_us.max(call.at_us);
        }
    }
    let n_failed = by_kind.values().sum();
    let most = by_kind.into_iter().max_by_key(|(_, n)| *n).map(|(kind, _)| kind.to_owned()).unwrap_or_default();
    (calls.len() >= FEWEST).then_some(Failing { n_failed, n: calls.len(), most, last_us })
}
