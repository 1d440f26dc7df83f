//! Where a rollout stands. The only thing that sets the share, and it changes only by [`apply`](crate::apply).

use serde::{Deserialize, Serialize};

use crate::Timestamp;
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
            Self::Paused => "paused",
            Self::RolledBack => "rolled_back",
            Self::Aborted => "aborted",
            Self::Completed => "completed",
        }
    }

    /// Whether units may be on the candidate, and so whether guards must run.
    #[must_use]
    pub fn is_serving(self) -> bool {
        matches!(self, Self::Active | Self::AwaitingApproval | Self::Paused | Self::Completed)
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

    /// Distinct people who approved this epoch's step.
    #[must_use]
    pub fn n_approvals(&self) -> u32 {
        let valid = self.approvals.iter().filter(|a| a.epoch == self.epoch && a.step_idx == self.step_idx);
        u32::try_from(valid.count()).unwrap_or(u32::MAX)
    }

    /// Where it stands, in the words of an audit row: `canary 5 %`, or its status where it is not simply active.
    #[must_use]
    pub fn label(&self, policy: &Policy) -> String {
        let place = || format!("{} {}", self.stage(policy).as_str(), crate::breach::percent(self.share(policy)));
        match self.status {
            Status::Active => place(),
            Status::AwaitingApproval | Status::Paused => format!("{} ({})", place(), self.status.as_str()),
            Status::Draft | Status::RolledBack | Status::Aborted | Status::Completed => self.status.as_str().to_owned(),
        }
    }
}
