//! What would change it: how far the guards are from throwing the candidate back, how long the gates will need at the present rate, and
//! which exchanges were bad. Read off the page of facts and the evidence; nothing is decided by it.

use serde::{Deserialize, Serialize};

use crate::assign::Arm;
use crate::breach::rounded;
use crate::decide::duration;
use crate::evidence::Evidence;
use crate::explain::{Explanation, GuardKind, Verdict};
use crate::metric::{Metric, MetricSet};
use crate::policy::Stage;

/// So many further bad events are tried; a guard that needs more is far.
const FAR: u64 = 500;

/// What would change where a rollout stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The guards, the one that is nearest to throwing the candidate back first.
    pub guards: Vec<GuardDistance>,
    /// What must still come before the step can be left, the one that takes longest first.
    pub waits: Vec<Wait>,
    /// Pairs (in shadow) or units an hour, over the epoch; `None` before any.
    pub per_hour: Option<f64>,
    /// Some of the bad exchanges: names for `exchanges show`.
    pub bad_exchanges: Vec<BadExchanges>,
}

/// How far a guard is from throwing the candidate back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardDistance {
    /// What is watched.
    pub metric: Metric,
    /// Relative to the baseline, or against a fixed limit.
    pub kind: GuardKind,
    /// Further bad events of the candidate, each of another unit and none of the baseline in between, that would be enough; `None`
    /// when more than 500 would not be.
    pub more_bad: Option<u64>,
    /// The e-value that counts: of all relative guards together, or of the limit.
    pub e_value: f64,
    /// The e-value that throws back.
    pub threshold: f64,
}

/// Something that must still come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// What.
    pub what: String,
    /// About how many more pairs or units; `None` for time.
    pub more: Option<u64>,
    /// About how long at the present rate; `None` when nothing comes, or when it may never be enough.
    pub left_s: Option<u64>,
}

/// Some of the bad exchanges of one metric and arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadExchanges {
    /// What they were bad on.
    pub metric: Metric,
    /// Whose they were.
    pub arm: Arm,
    /// The first ones, then the last ones.
    pub exchanges: Vec<String>,
}

impl Why {
    /// Read off a page of facts and its evidence.
    #[must_use]
    pub fn of(facts: &Explanation, evidence: &Evidence) -> Self {
        let per_hour = per_hour(facts);
        let serves = facts.status.is_serving();
        Self {
            guards: if serves { distances(evidence) } else { Vec::new() },
            waits: if serves { waits(facts, per_hour) } else { Vec::new() },
            per_hour,
            bad_exchanges: bad_exchanges(evidence),
        }
    }

    /// The guard that is nearest, in words.
    #[must_use]
    pub fn nearest_words(&self) -> Option<String> {
        let nearest = self.guards.first()?;
        let what = match nearest.kind {
            GuardKind::Relative { .. } => {
                format!("{} of the candidate against the baseline", nearest.metric.rate_name())
            }
            GuardKind::Absolute { .. } => format!("{} of the candidate against its limit", nearest.metric.rate_name()),
        };
        let (e_value, threshold) = (rounded(nearest.e_value), rounded(nearest.threshold));
        Some(match nearest.more_bad {
            Some(1) => {
                format!("{what}: 1 more bad unit of the candidate's throws it back (e-value {e_value} of {threshold})")
            }
            Some(more) => format!(
                "{what}: {more} more bad units of the candidate's, and none of the baseline's, throw it back (e-value {e_value} of {threshold})"
            ),
            None => format!("{what}: more than {FAR} bad units away (e-value {e_value} of {threshold})"),
        })
    }
}

impl Wait {
    /// It in words.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.more, self.left_s) {
            (None, Some(left_s)) => format!("{}: {}", self.what, duration(left_s)),
            (Some(more), Some(left_s)) => {
                format!("{}: about {more} more, {} at the present rate", self.what, duration(left_s))
            }
            (Some(more), None) => format!("{}: about {more} more; none come at present", self.what),
            (None, None) => format!("{}: more of the same is not enough", self.what),
        }
    }
}

fn per_hour(facts: &Explanation) -> Option<f64> {
    let n = if facts.stage == Stage::Shadow { facts.pairs.have } else { facts.units.have };
    (n > 0 && facts.epoch_age_s > 0).then(|| n as f64 * 3600.0 / facts.epoch_age_s as f64)
}

fn waits(facts: &Explanation, per_hour: Option<f64>) -> Vec<Wait> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates, and no rate is negative"
    )]
    let time = |more: u64| per_hour.map(|rate| (more as f64 * 3600.0 / rate).ceil() as u64);
    let mut waits = Vec::new();
    let left_s = facts.min_duration_s.saturating_sub(facts.epoch_age_s);
    if left_s > 0 {
        waits.push(Wait { what: "time of the step".to_owned(), more: None, left_s: Some(left_s) });
    }
    for (what, progress) in [("pairs", facts.pairs), ("units", facts.units)] {
        let more = progress.need.saturating_sub(progress.have);
        if more > 0 {
            waits.push(Wait { what: what.to_owned(), more: Some(more), left_s: time(more) });
        }
    }
    for gate in facts.gates.iter().filter(|gate| gate.verdict != Verdict::Pass) {
        let what = format!("gate {}", gate.metric);
        // As many as would be enough for equal arms have come: time alone does not pass it.
        let more = gate.n_more.filter(|more| *more > 0);
        waits.push(Wait { what, more, left_s: more.and_then(time) });
    }
    // What never comes by itself is first.
    waits.sort_by_key(|wait| std::cmp::Reverse(wait.left_s.unwrap_or(u64::MAX)));
    waits
}

fn distances(evidence: &Evidence) -> Vec<GuardDistance> {
    let guards = evidence.guards();
    let relative = guards.relative.iter().map(|relative| GuardDistance {
        metric: relative.metric,
        kind: GuardKind::Relative { weight: relative.weight },
        more_bad: {
            let (metrics, mut next) = (MetricSet::of(&[relative.metric]), guards.clone());
            (1..=FAR).find(|_| {
                next.observe_bad(metrics, Arm::Candidate);
                next.harm() >= next.harm_threshold()
            })
        },
        e_value: guards.harm(),
        threshold: guards.harm_threshold(),
    });
    let absolute = guards.limits().map(|absolute| GuardDistance {
        metric: absolute.metric,
        kind: GuardKind::Absolute { limit: absolute.limit },
        more_bad: {
            let mut next = absolute.guard.clone();
            (1..=FAR).find(|_| {
                next.observe_bad();
                next.log_e() >= -absolute.alpha.ln()
            })
        },
        e_value: absolute.guard.log_e().min(690.0).exp(),
        threshold: 1.0 / absolute.alpha,
    });
    let mut distances: Vec<GuardDistance> = relative.chain(absolute).collect();
    distances.sort_by_key(|distance| distance.more_bad.unwrap_or(u64::MAX));
    distances
}

/// Some of the bad exchanges in the evidence.
pub(crate) fn bad_exchanges(evidence: &Evidence) -> Vec<BadExchanges> {
    let arms = Metric::ALL.into_iter().flat_map(|metric| [(metric, Arm::Baseline), (metric, Arm::Candidate)]);
    let named = arms.map(|(metric, arm)| {
        let exchanges = evidence.examples().of(metric, arm).map(str::to_owned).collect();
        BadExchanges { metric, arm, exchanges }
    });
    named.filter(|bad| !bad.exchanges.is_empty()).collect()
}
