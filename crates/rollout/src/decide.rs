//! What the evidence says should happen next.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::breach::{Breach, percent, rounded};
use crate::evidence::Evidence;
use crate::metric::Metric;
use crate::policy::{Policy, Stage, StepPolicy};
use crate::state::{State, Status};

/// An e-value against the intended split of units of 1000 makes the evidence invalid.
const SAMPLE_RATIO_E: f64 = 1000.0;

/// What else must be in order before anything is promoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Records offered to the journal.
    pub journal_records: u64,
    /// Those that were lost.
    pub journal_dropped: u64,
    /// Whether the candidate's circuit breaker is open.
    pub candidate_breaker_open: bool,
}

/// What should happen next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Stay. Undecided is a reason to stay.
    Hold {
        /// What is missing.
        because: Vec<Reason>,
    },
    /// Everything is proven; people must consent.
    AwaitApproval {
        /// How many have.
        have: u32,
        /// How many must.
        need: u32,
    },
    /// Go to the next step.
    Promote {
        /// Its index.
        to: usize,
    },
    /// Throw the candidate back.
    Rollback {
        /// The proof.
        because: Breach,
    },
    /// The rollout is done.
    Complete,
}

/// Why a rollout stays where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// It is not collecting evidence.
    NotActive {
        /// What it is doing instead.
        status: Status,
    },
    /// The evidence belongs to another epoch.
    StaleEvidence,
    /// The step's time is not up.
    TooEarly {
        /// Seconds to go.
        left_s: u64,
    },
    /// Not enough pairs of distinct units.
    TooFewPairs {
        /// Pairs seen.
        have: u64,
        /// Pairs needed.
        need: u64,
    },
    /// Not enough distinct units.
    TooFewUnits {
        /// Units seen.
        have: u64,
        /// Units needed.
        need: u64,
    },
    /// A gate has not proven its margin.
    GateUndecided {
        /// Which.
        metric: Metric,
        /// Pairs or units counted.
        n: u64,
        /// The e-value reached.
        e_value: f64,
        /// The e-value needed.
        threshold: f64,
    },
    /// Too many sampled requests have no complete pair.
    Coverage {
        /// The complete fraction, if anything settled.
        fraction: Option<f64>,
        /// The fraction needed.
        need: f64,
        /// The reason that cost most.
        worst: Option<String>,
    },
    /// The journal lost too many records.
    JournalDrops {
        /// The lost fraction.
        fraction: f64,
        /// The fraction allowed.
        allowed: f64,
    },
    /// Units are not split as the share says: something keeps an arm from being counted.
    SampleRatio {
        /// The natural log of the Bayes factor.
        log_bayes_factor: f64,
    },
    /// In shadow, the candidate cannot be reached at all.
    BreakerOpen,
}

impl Reason {
    /// What is missing, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::NotActive { status } => format!("the rollout is {}", status.as_str().replace('_', " ")),
            Self::StaleEvidence => "the evidence belongs to another epoch".to_owned(),
            Self::TooEarly { left_s } => format!("{} of the step's time left", duration(*left_s)),
            Self::TooFewPairs { have, need } => format!("{have} of {need} pairs"),
            Self::TooFewUnits { have, need } => format!("{have} of {need} units"),
            Self::GateUndecided { metric, n, e_value, threshold } => format!(
                "{} not proven within its margin after {n} (e-value {}, {} needed)",
                metric.rate_name(),
                rounded(*e_value),
                rounded(*threshold)
            ),
            Self::Coverage { fraction, need, worst } => {
                let have = fraction.map_or("none".to_owned(), percent);
                let worst = worst.as_ref().map_or(String::new(), |worst| format!(", most lost to {worst}"));
                format!("{have} of sampled requests have a complete pair, {} needed{worst}", percent(*need))
            }
            Self::JournalDrops { fraction, allowed } => {
                format!("the journal lost {} of its records, {} allowed", percent(*fraction), percent(*allowed))
            }
            Self::SampleRatio { log_bayes_factor } => format!(
                "units are not split as the share says (log Bayes factor {}): the evidence is not valid",
                rounded(*log_bayes_factor)
            ),
            Self::BreakerOpen => "the candidate's circuit breaker is open".to_owned(),
        }
    }
}

/// Reads the evidence against the policy. Harm is looked for first, and whenever the candidate may serve anyone.
#[must_use]
pub fn decide(policy: &Policy, state: &State, evidence: &Evidence, health: &Health, now: Timestamp) -> Decision {
    let hold = |reason: Reason| Decision::Hold { because: vec![reason] };
    if !state.status.is_serving() {
        return hold(Reason::NotActive { status: state.status });
    }
    if evidence.epoch() != state.epoch || evidence.step_idx() != state.step_idx {
        return hold(Reason::StaleEvidence);
    }
    if let Some(breach) = evidence.breach() {
        return Decision::Rollback { because: breach.clone() };
    }
    if health.candidate_breaker_open && state.share(policy) > 0.0 {
        return Decision::Rollback { because: Breach::breaker_opened() };
    }
    if matches!(state.status, Status::Paused | Status::Completed) {
        return hold(Reason::NotActive { status: state.status });
    }
    let Some(step) = policy.step(state.step_idx) else {
        return hold(Reason::StaleEvidence);
    };
    let because = missing(policy, step, state, evidence, health, now);
    let have = state.n_approvals();
    if !because.is_empty() {
        Decision::Hold { because }
    } else if have < step.approvals {
        Decision::AwaitApproval { have, need: step.approvals }
    } else if policy.is_last(state.step_idx) {
        Decision::Complete
    } else {
        Decision::Promote { to: state.step_idx + 1 }
    }
}

/// Everything that keeps the step from being left.
fn missing(
    policy: &Policy,
    step: &StepPolicy,
    state: &State,
    evidence: &Evidence,
    health: &Health,
    now: Timestamp,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let left = step.min_duration.saturating_sub(now.since(state.epoch_started));
    if !left.is_zero() {
        reasons.push(Reason::TooEarly { left_s: left.as_secs().max(1) });
    }
    if evidence.n_pairs() < step.min_pairs {
        reasons.push(Reason::TooFewPairs { have: evidence.n_pairs(), need: step.min_pairs });
    }
    if evidence.n_units() < step.min_units {
        reasons.push(Reason::TooFewUnits { have: evidence.n_units(), need: step.min_units });
    }
    if step.stage != Stage::Full {
        reasons.extend(undecided_gates(policy, evidence));
    }
    if step.stage == Stage::Shadow {
        reasons.extend(poor_coverage(policy, evidence));
        reasons.extend(health.candidate_breaker_open.then_some(Reason::BreakerOpen));
    }
    let lost = health.journal_dropped as f64 / health.journal_records.max(1) as f64;
    if lost > policy.max_journal_drops {
        reasons.push(Reason::JournalDrops { fraction: lost, allowed: policy.max_journal_drops });
    }
    let mismatch = evidence.sample_ratio_log_bayes_factor().filter(|log_factor| *log_factor >= SAMPLE_RATIO_E.ln());
    reasons.extend(mismatch.map(|log_bayes_factor| Reason::SampleRatio { log_bayes_factor }));
    reasons
}

fn undecided_gates(policy: &Policy, evidence: &Evidence) -> impl Iterator<Item = Reason> {
    let threshold = 1.0 / policy.alpha_promote;
    evidence.gates().iter().filter_map(move |gate| {
        let log_e = gate.log_e(evidence.stage());
        (log_e < threshold.ln()).then(|| Reason::GateUndecided {
            metric: gate.metric,
            n: gate.reading(evidence.stage(), policy.alpha_promote).n,
            e_value: log_e.exp(),
            threshold,
        })
    })
}

fn poor_coverage(policy: &Policy, evidence: &Evidence) -> Option<Reason> {
    let coverage = evidence.coverage();
    let fraction = coverage.fraction();
    if fraction.is_some_and(|fraction| fraction >= policy.min_coverage) {
        return None;
    }
    let worst = coverage.worst().map(|(reason, _)| reason.to_owned());
    Some(Reason::Coverage { fraction, need: policy.min_coverage, worst })
}

/// A duration in the two largest units.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
