//! What changes by itself, read often: one look at a rollout costs a row of the store and a copy of what is counted in memory.

use rollout::{Arm, Metric};
use serde::Serialize;

use crate::desk::{Desk, OperationError};
use crate::rollouts::now;

/// Tells whether anything changed since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// One higher with every transition.
    pub generation: u64,
    /// What was counted of the epoch in memory: units, then pairs, then requests of both arms.
    pub counted: [u64; 3],
}

/// Both arms at one moment, by all that the epoch counted until then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Beat {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// The epoch.
    pub epoch: u32,
    /// The baseline's.
    pub baseline: ArmBeat,
    /// The candidate's; in shadow these are the copies.
    pub candidate: ArmBeat,
}

/// One arm of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ArmBeat {
    /// Failed requests of all, 0..1.
    pub error_rate: Option<f64>,
    /// The 95th percentile of times to the end, in milliseconds.
    pub p95_ms: Option<f64>,
}

/// The mark of a rollout as it is now.
///
/// # Errors
/// When there is no such rollout, or the store cannot be read.
pub fn mark(desk: &Desk, name: &str) -> Result<Mark, OperationError> {
    let generation = crate::rollouts::load(&desk.reader(), name)?.generation;
    let live = desk.live.all().into_iter().find(|live| live.identity.name == name);
    let counted = live.map(|live| {
        let evidence = live.evidence();
        let requests = [Arm::Baseline, Arm::Candidate].map(|arm| evidence.arm(arm).tally(Metric::Error).n);
        [evidence.n_units(), evidence.n_pairs(), requests.iter().sum()]
    });
    Ok(Mark { generation, counted: counted.unwrap_or_default() })
}

/// A beat of every rollout that is live, by name.
#[must_use]
pub fn beats(desk: &Desk) -> Vec<(String, Beat)> {
    let at_ms = now().0 / 1000;
    let of = |live: std::sync::Arc<gateway::live::LiveRollout>| {
        let evidence = live.evidence();
        let arm = |arm| {
            let seen = evidence.arm(arm);
            let tally = seen.tally(Metric::Error);
            ArmBeat {
                error_rate: (tally.n > 0).then(|| tally.bad as f64 / tally.n as f64),
                p95_ms: seen.duration.quantiles().map(|found| found.p95_us as f64 / 1e3),
            }
        };
        let beat =
            Beat { at_ms, epoch: evidence.epoch(), baseline: arm(Arm::Baseline), candidate: arm(Arm::Candidate) };
        (live.identity.name.clone(), beat)
    };
    desk.live.all().into_iter().map(of).collect()
}
