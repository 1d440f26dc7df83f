//! Whether a target that was made the route's fails today: no guard watches it any more, so the report looks at its newest calls.

use std::collections::BTreeMap;

use stats::interval::wilson;

use crate::latency::NOT_LATE;
use crate::load::Traffic;
use crate::rows::Call;
use crate::settings::Move;
use crate::words::moment;

/// So many of the newest calls are looked at.
const NEWEST: usize = 100;
/// Fewer calls say nothing.
const FEWEST: usize = 20;
/// More than this share failing, beyond chance, is a fault: what the latency's 95th percentile forgives.
const FORGIVEN: f64 = 0.05;
/// A run of good calls this unlikely, had they failed as often as those before it, is an end of the outage.
const CHANCE: f64 = 0.01;
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
    /// Calls since that one, all of them good.
    pub n_since: usize,
}

impl Failing {
    /// Whether more fail than is forgiven.
    fn is_many(&self) -> bool {
        wilson(self.n_failed as u64, self.n as u64, Z).is_some_and(|(low, _)| low > FORGIVEN)
    }

    /// Whether so many were good since the last failure that it is no chance.
    fn has_ended(&self) -> bool {
        let share = self.n_failed as f64 / (self.n - self.n_since).max(1) as f64;
        self.n_since >= FEWEST && (1.0 - share).powf(self.n_since as f64) < CHANCE
    }
}

/// Of a move that is made its newest calls for users, of one that no rollout watches its newest calls, where more fail than is forgiven, at 95 %. A benchmark
/// that began after the last failure, at `benched_us`, is newer than they are, where nobody asks it any more.
pub(crate) fn failing(mv: &Move, traffic: &Traffic<'_>, is_watched: bool, benched_us: u64) -> Option<Failing> {
    if mv.switched {
        return failed(mv, traffic).filter(|newest| !newest.has_ended());
    }
    let newest = newest(&traffic.candidate).filter(|_| !is_watched)?;
    (newest.is_many() && !newest.has_ended() && benched_us <= newest.last_us).then_some(newest)
}

/// The same where it has ended: so many answers since the last failure that they are no chance.
pub(crate) fn repaired(mv: &Move, traffic: &Traffic<'_>) -> Option<Failing> {
    failed(mv, traffic).filter(Failing::has_ended)
}

fn failed(mv: &Move, traffic: &Traffic<'_>) -> Option<Failing> {
    if !mv.switched {
        return None;
    }
    let calls: Vec<&Call> = traffic.candidate.iter().filter(|call| !call.is_shadow).copied().collect();
    newest(&calls).filter(Failing::is_many)
}

/// When the newest call failed that did, Unix microseconds; 0 where none did.
pub(crate) fn last_us(calls: &[&Call]) -> u64 {
    calls.iter().filter(|call| is_fault(call)).map(|call| call.at_us).max().unwrap_or(0)
}

/// Of its calls for users in the day before `at_us`, where some failed: that they did.
pub(crate) fn lately(traffic: &Traffic<'_>, at_us: u64) -> Option<String> {
    const DAY_US: u64 = 86_400_000_000;
    let is_of_day = |call: &&&Call| !call.is_shadow && call.at_us + DAY_US >= at_us;
    let calls: Vec<&Call> = traffic.candidate.iter().filter(is_of_day).copied().collect();
    let n_failed = calls.iter().filter(|call| is_fault(call)).count();
    (n_failed > 0).then(|| {
        let last = moment(last_us(&calls));
        format!("Of its {} calls for users in the last day {n_failed} failed, the last at {last}.", calls.len())
    })
}

fn is_fault(call: &Call) -> bool {
    call.failure.as_deref().is_some_and(|failure| !NOT_LATE.contains(&failure))
}

/// Whether an outage on record is over: of the newest calls no more fail than is forgiven, or so many were good since the last failure that it is no chance.
pub(crate) fn is_over(calls: &[&Call]) -> bool {
    newest(calls).is_some_and(|newest| {
        newest.n == NEWEST && (newest.n_failed as f64 <= FORGIVEN * newest.n as f64 || newest.has_ended())
    })
}

fn newest(calls: &[&Call]) -> Option<Failing> {
    let mut calls: Vec<&Call> = calls.to_vec();
    calls.sort_by_key(|call| std::cmp::Reverse(call.at_us));
    calls.truncate(NEWEST);
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls.iter().filter(|call| is_fault(call)) {
        *by_kind.entry(call.failure.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let n_since = calls.iter().take_while(|call| !is_fault(call)).count();
    let n_failed = by_kind.values().sum();
    let most = by_kind.into_iter().max_by_key(|(_, n)| *n).map(|(kind, _)| kind.to_owned()).unwrap_or_default();
    (calls.len() >= FEWEST).then_some(Failing { n_failed, n: calls.len(), most, last_us: last_us(&calls), n_since })
}
