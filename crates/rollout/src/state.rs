//! Where a rollout stands. The only thing that sets the share, and it changes only by [`apply`](crate::apply).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::breach::Alarm;
use crate::policy::{Policy, Stage};

/// What a rollout is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Defined, not started.
    Draft,
    /// On a step, collecting evidence.
    Active,
    /// The gates have passed; people have not approved yet. Share and guards stay.
    AwaitingApproval,
    /// Time is up, or time will not help: a person extends it, accepts it or throws it back. Share and guards stay.
    Held,
    /// Stopped by an operator. Share and guards stay.
    Paused,
    /// Thrown back by evidence. Share 0.
    RolledBack,
    /// Thrown back by an operator. Share 0.
    Aborted,
    /// At full, soaked. Share and guards stay.
    Completed,
}

impl Status {
    /// The word used in audit rows and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::RolledBack => "rolled_back",
            Self::Aborted => "aborted",
            Self::Completed => "completed",
        }
    }

    /// Whether units may be on the candidate, and so whether guards must run.
    #[must_use]
    pub fn is_serving(self) -> bool {
        matches!(self, Self::Active | Self::AwaitingApproval | Self::Held | Self::Paused | Self::Completed)
    }
}

/// One person's consent to leave one step of one epoch, bound to the evidence it was given on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// The epoch it holds for.
    pub epoch: u32,
    /// The step it holds for.
    pub step_idx: usize,
    /// The summary of evidence that was shown, hashed.
    pub evidence_hash: String,
    /// The rollout it is for.
    #[serde(default)]
    pub rollout: String,
    /// In which role it was given.
    #[serde(default)]
    pub role: String,
    /// When it ceases to count; `None` for one of an older store.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Its name.
    pub name: String,
    /// The salt of its assignment hash; new for every rollout.
    pub salt: String,
    /// Who defined it.
    pub author: String,
    /// The target in production today.
    pub baseline: String,
    /// The target on trial.
    pub candidate: String,
    /// What it is doing.
    pub status: Status,
    /// The step it is on.
    pub step_idx: usize,
    /// The span of constant share it is in; 0 before the start.
    pub epoch: u32,
    /// When that span began.
    pub epoch_started: Timestamp,
    /// One higher with every transition: what the store compares before it writes.
    pub generation: u64,
    /// Consent given in this epoch.
    pub approvals: Vec<Approval>,
    /// The policy it runs under.
    pub policy_hash: String,
    /// Why it is in this state, in words.
    pub reason: String,
    /// When it came into this state.
    #[serde(default)]
    pub moved_at: Timestamp,
    /// Time that people gave this step beyond what its policy says.
    #[serde(default)]
    pub extended: Duration,
    /// Alarms of this epoch that people have seen and let pass.
    #[serde(default)]
    pub acknowledged: Vec<Alarm>,
    /// The alarm that paused it.
    #[serde(default)]
    pub alarm: Option<Alarm>,
}

impl State {
    /// A rollout that is defined but not started.
    #[must_use]
    pub fn draft(name: &str, salt: &str, author: &str, targets: (&str, &str), policy: &Policy) -> Self {
        Self {
            name: name.to_owned(),
            salt: salt.to_owned(),
            author: author.to_owned(),
            baseline: targets.0.to_owned(),
            candidate: targets.1.to_owned(),
            status: Status::Draft,
            step_idx: 0,
            epoch: 0,
            epoch_started: Timestamp::default(),
            generation: 0,
            approvals: Vec::new(),
            policy_hash: policy.hash(),
            reason: "defined".to_owned(),
            moved_at: Timestamp::default(),
            extended: Duration::ZERO,
            acknowledged: Vec::new(),
            alarm: None,
        }
    }

    /// The candidate's fraction of units: the step's while units may be on the candidate, else 0.
    #[must_use]
    pub fn share(&self, policy: &Policy) -> f64 {
        if self.status.is_serving() { policy.step(self.step_idx).map_or(0.0, |step| step.share) } else { 0.0 }
    }

    /// The stage it is in.
    #[must_use]
    pub fn stage(&self, policy: &Policy) -> Stage {
        policy.step(self.step_idx).map_or(Stage::Shadow, |step| step.stage)
    }

    /// Whether requests are copied to the candidate.
    #[must_use]
    pub fn is_shadowing(&self, policy: &Policy) -> bool {
        self.status.is_serving() && self.stage(policy) == Stage::Shadow
    }

    /// Distinct people whose approval of this epoch's step counts at `now`.
    #[must_use]
    pub fn n_approvals(&self, now: Timestamp) -> u32 {
        let counts = |approval: &&Approval| {
            let is_of_this_step = approval.epoch == self.epoch && approval.step_idx == self.step_idx;
            is_of_this_step && approval.expires_at.is_none_or(|end| now < end)
        };
        u32::try_from(self.approvals.iter().filter(counts).count()).unwrap_or(u32::MAX)
    }

    /// How long its step may last; `None` for ever.
    #[must_use]
    pub fn max_duration(&self, policy: &Policy) -> Option<Duration> {
        Some(policy.step(self.step_idx)?.max_duration?.saturating_add(self.extended))
    }

    /// Where it stands, in the words of an audit row: `canary 5 %`, or its status where it is not simply active.
    #[must_use]
    pub fn label(&self, policy: &Policy) -> String {
        let place = || format!("{} {}", self.stage(policy).as_str(), crate::breach::percent(self.share(policy)));
        match self.status {
            Status::Active => place(),
            Status::AwaitingApproval | Status::Held | Status::Paused => {
                format!("{} ({})", place(), self.status.as_str())
            }
            Status::Draft | Status::RolledBack | Status::Aborted | Status::Completed => self.status.as_str().to_owned(),
        }
    }
}
