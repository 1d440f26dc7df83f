//! The state machine: what may happen in which state, and the row that is written when it does.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Timestamp;
use crate::breach::Breach;
use crate::decide::{Decision, HeldBecause, Reason};
use crate::evidence::{Carry, Evidence};
use crate::policy::{Policy, hex};
use crate::state::{Approval, State, Status};

/// Something that changes where a rollout stands: a decision, or an operator's command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An operator starts it: shadow, share 0.
    Start {
        /// Who.
        actor: String,
    },
    /// The evidence promotes it to the next step.
    Promote {
        /// The step's index.
        to: usize,
    },
    /// An operator promotes it to the next step without waiting for the gates.
    ForcePromote {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// The evidence is complete, consent is not.
    AwaitApproval,
    /// The evidence that people were to approve does not pass any more.
    Withdraw {
        /// What is missing, in words.
        missing: String,
    },
    /// Somebody consents.
    Approve {
        /// Who.
        actor: String,
        /// In which role.
        #[serde(default)]
        role: String,
    },
    /// Only a person can say how it goes on.
    Hold {
        /// Why.
        because: HeldBecause,
    },
    /// A person gives a held rollout more time: as much again as its step may last.
    Extend {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// A person takes a held rollout to the next step as it is.
    Accept {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// A guard that pauses has its proof.
    Alarm {
        /// The proof.
        breach: Breach,
    },
    /// An operator stops it where it is.
    Pause {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// An operator lets it go on: where it was if paused, from shadow if it was thrown back.
    Resume {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// The evidence throws it back.
    Rollback {
        /// The proof.
        breach: Breach,
    },
    /// An operator throws it back.
    Abort {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// It has soaked at full.
    Complete,
    /// A target, prompt or the policy changed: the evidence no longer says anything, back to shadow.
    Changed {
        /// What, in words.
        what: String,
        /// The baseline from now on.
        baseline: String,
        /// The candidate from now on.
        candidate: String,
    },
}

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not possible in this state.
    #[error(
        "`{verb}` is not possible while the rollout is {state}",
        verb = .event.trim_start_matches("force_"),
        state = .status.replace('_', " ")
    )]
    NotNow {
        /// The event.
        event: &'static str,
        /// The state.
        status: &'static str,
    },
    /// A share is raised on evidence alone, and there is none for this epoch.
    #[error("there is no evidence for epoch {epoch}")]
    NoEvidence {
        /// The epoch.
        epoch: u32,
    },
    /// A promotion goes one step up.
    #[error("step {to} is not the one after step {from}")]
    NotTheNextStep {
        /// Where it is.
        from: usize,
        /// Where it was to go.
        to: usize,
    },
    /// A guard is breached; nothing raises the share any more.
    #[error("a guard is breached: {words}")]
    Breached {
        /// The breach, in words.
        words: String,
    },
    /// The policy does not let an operator overrule the gates.
    #[error("this policy does not allow a promotion before the gates have passed")]
    NotForced,
    /// Approvals the step needs are missing.
    #[error("the step needs {need} approvals and has {have}")]
    NotApproved {
        /// Given.
        have: u32,
        /// Needed.
        need: u32,
    },
    /// The author may not approve.
    #[error("`{actor}` started this rollout and may not approve it")]
    OwnRollout {
        /// Who.
        actor: String,
    },
    /// Approved already.
    #[error("`{actor}` has approved this step already")]
    ApprovedAlready {
        /// Who.
        actor: String,
    },
    /// A command that overrules evidence must say why.
    #[error("say why: a reason is needed")]
    NoReason,
}

/// One row of the audit trail: what changed, who or what did it, on which evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Which rollout.
    pub rollout: String,
    /// Where it stood.
    pub from: String,
    /// Where it stands.
    pub to: String,
    /// The share before.
    pub from_share: f64,
    /// The share after.
    pub to_share: f64,
    /// The epoch after.
    pub epoch: u32,
    /// The generation after.
    pub generation: u64,
    /// Who; `crossfade` for a decision.
    pub actor: String,
    /// What.
    pub event: String,
    /// Why, in plain words.
    pub reason: String,
    /// The numbers it was based on, as JSON; `null` where there was no evidence.
    pub evidence_json: String,
    /// SHA-256 of those numbers: what an approval is bound to.
    pub evidence_hash: String,
    /// The policy it ran under.
    pub policy_hash: String,
}

/// The name a decision's audit row carries.
pub const DECIDED: &str = "crossfade";

impl Decision {
    /// The event that carries the decision out; `None` for staying where it is.
    #[must_use]
    pub fn into_event(self) -> Option<Event> {
        match self {
            Self::Hold { .. } => None,
            Self::AwaitApproval { .. } => Some(Event::AwaitApproval),
            Self::Promote { to } => Some(Event::Promote { to }),
            Self::Rollback { because } => Some(Event::Rollback { breach: because }),
            Self::Pause { because } => Some(Event::Alarm { breach: because }),
            Self::HoldForPerson { because } => Some(Event::Hold { because }),
            Self::Withdraw { because } => {
                let missing = because.iter().map(Reason::words).collect::<Vec<_>>().join("; ");
                Some(Event::Withdraw { missing })
            }
            Self::Complete => Some(Event::Complete),
        }
    }
}

/// Takes a rollout from one state to the next, and says what to write down. Changes nothing where it refuses.
///
/// The share rises by [`Event::Promote`], [`Event::ForcePromote`] and [`Event::Accept`] alone, one step at a time, and only with evidence of this epoch that
/// holds no breach. Persist the result before a higher share is published; publish a lower one first.
///
/// # Errors
/// [`Refused`] says why the event is not possible.
pub fn apply(
    policy: &Policy,
    state: &State,
    event: &Event,
    evidence: Option<&Evidence>,
    now: Timestamp,
) -> Result<(State, Transition), Refused> {
    let evidence_json = evidence.map_or("null".to_owned(), |evidence| crate::explain::summary_json(policy, evidence));
    let evidence_hash = hash_of(&evidence_json);
    let mut next = step(policy, state, event, (evidence, now))?;
    if next.epoch != state.epoch {
        next = State { epoch_started: now, extended: Duration::ZERO, acknowledged: Vec::new(), alarm: None, ..next };
    }
    if next.status != state.status || next.epoch != state.epoch {
        next.moved_at = now;
    }
    if let Event::Approve { actor, role } = event {
        next.approvals.push(Approval {
            actor: actor.clone(),
            at: now,
            epoch: state.epoch,
            step_idx: state.step_idx,
            evidence_hash: evidence_hash.clone(),
            rollout: state.name.clone(),
            role: role.clone(),
            expires_at: Some(now.plus(policy.approval_expiry)),
        });
    }
    next.generation = state.generation + 1;
    next.reason = event.words(policy, &next);
    let transition = Transition {
        at: now,
        rollout: state.name.clone(),
        from: state.label(policy),
        to: next.label(policy),
        from_share: state.share(policy),
        to_share: next.share(policy),
        epoch: next.epoch,
        generation: next.generation,
        actor: event.actor().to_owned(),
        event: event.name().to_owned(),
        reason: next.reason.clone(),
        evidence_json,
        evidence_hash,
        policy_hash: next.policy_hash.clone(),
    };
    Ok((next, transition))
}

/// What names a summary of evidence: an approval is bound to it.
#[must_use]
pub fn hash_of(evidence_json: &str) -> String {
    hex(&Sha256::digest(evidence_json))
}

/// The table of the state machine.
fn step(
    policy: &Policy,
    state: &State,
    event: &Event,
    (evidence, now): (Option<&Evidence>, Timestamp),
) -> Result<State, Refused> {
    use Status::{Aborted, Active, AwaitingApproval, Completed, Draft, Held, Paused, RolledBack};
    let to = |status: Status| State { status, ..state.clone() };
    // Whatever interrupts the waiting makes what was approved void.
    let without_approvals = |status: Status| State { approvals: Vec::new(), ..to(status) };
    let at_step = |step_idx: usize| State {
        status: Active,
        step_idx,
        epoch: state.epoch + 1,
        approvals: Vec::new(),
        ..state.clone()
    };
    let risen = |to: usize| {
        may_rise(policy, state, to, evidence)?;
        approved(policy, state, now)?;
        Ok(at_step(to))
    };
    match (state.status, event) {
        (Draft, Event::Start { .. }) => Ok(at_step(0)),

        (Active | AwaitingApproval, Event::Promote { to }) => risen(*to),
        (Active | AwaitingApproval, Event::ForcePromote { reason, .. }) => {
            may_overrule(policy, reason)?;
            risen(state.step_idx + 1)
        }
        (Active, Event::AwaitApproval) => Ok(to(AwaitingApproval)),
        (AwaitingApproval, Event::Withdraw { .. }) => Ok(without_approvals(Active)),
        (AwaitingApproval | Held, Event::Approve { actor, .. }) => {
            may_approve(policy, state, actor, now)?;
            // One that has expired makes room for another by the same person.
            let mut next = state.clone();
            next.approvals.retain(|approval| approval.expires_at.is_none_or(|end| now < end));
            Ok(next)
        }

        (Active | AwaitingApproval, Event::Hold { .. }) => Ok(without_approvals(Held)),
        (Held, Event::Extend { reason, .. }) => {
            given(reason)?;
            let more = policy.step(state.step_idx).and_then(|step| step.max_duration).unwrap_or_default();
            Ok(State { extended: state.extended.saturating_add(more), ..without_approvals(Active) })
        }
        (Held, Event::Accept { reason, .. }) => {
            may_overrule(policy, reason)?;
            if policy.is_last(state.step_idx) {
                return Ok(to(Completed));
            }
            risen(state.step_idx + 1)
        }

        (Active | AwaitingApproval | Held, Event::Pause { .. }) => Ok(without_approvals(Paused)),
        (Active | AwaitingApproval, Event::Alarm { breach }) => {
            Ok(State { alarm: Some(breach.alarm()), ..without_approvals(Paused) })
        }
        (Paused, Event::Resume { reason, .. }) => {
            let mut next = without_approvals(Active);
            if let Some(alarm) = next.alarm.take() {
                given(reason)?;
                next.acknowledged.push(alarm);
            }
            Ok(next)
        }
        (RolledBack | Aborted, Event::Resume { reason, .. }) => {
            given(reason)?;
            Ok(at_step(0))
        }

        (Active | AwaitingApproval | Held | Paused | Completed, Event::Rollback { .. }) => {
            Ok(without_approvals(RolledBack))
        }
        (Draft | Active | AwaitingApproval | Held | Paused | Completed, Event::Abort { .. }) => {
            Ok(without_approvals(Aborted))
        }
        (Active | AwaitingApproval, Event::Complete) if policy.is_last(state.step_idx) => Ok(to(Completed)),

        (status, Event::Changed { baseline, candidate, .. }) => {
            let paused_or_active = if status == Paused { Paused } else { Active };
            let again = || State { status: paused_or_active, ..at_step(0) };
            let changed = if status.is_serving() { again() } else { state.clone() };
            let (baseline, candidate) = (baseline.clone(), candidate.clone());
            Ok(State { baseline, candidate, policy_hash: policy.hash(), ..changed })
        }

        (status, event) => Err(Refused::NotNow { event: event.name(), status: status.as_str() }),
    }
}

/// Whether a person may go on without the gates.
fn may_overrule(policy: &Policy, reason: &str) -> Result<(), Refused> {
    given(reason)?;
    if policy.forced_promotion { Ok(()) } else { Err(Refused::NotForced) }
}

/// What every rise of the share needs, whoever asks for it.
fn may_rise(policy: &Policy, state: &State, to: usize, evidence: Option<&Evidence>) -> Result<(), Refused> {
    if to != state.step_idx + 1 || to >= policy.steps.len() {
        return Err(Refused::NotTheNextStep { from: state.step_idx, to });
    }
    let of_this_epoch = |evidence: &&Evidence| evidence.epoch() == state.epoch && evidence.step_idx() == state.step_idx;
    let evidence = evidence.filter(of_this_epoch).ok_or(Refused::NoEvidence { epoch: state.epoch })?;
    evidence.breach().map_or(Ok(()), |breach| Err(Refused::Breached { words: breach.words() }))
}

/// Gates can be overruled, people cannot.
fn approved(policy: &Policy, state: &State, now: Timestamp) -> Result<(), Refused> {
    let need = policy.step(state.step_idx).map_or(0, |step| step.approvals);
    let have = state.n_approvals(now);
    if have < need { Err(Refused::NotApproved { have, need }) } else { Ok(()) }
}

fn may_approve(policy: &Policy, state: &State, actor: &str, now: Timestamp) -> Result<(), Refused> {
    if !policy.author_may_approve && actor == state.author {
        return Err(Refused::OwnRollout { actor: actor.to_owned() });
    }
    let counts = |approval: &Approval| approval.epoch == state.epoch && approval.expires_at.is_none_or(|end| now < end);
    if state.approvals.iter().any(|approval| approval.actor == actor && counts(approval)) {
        return Err(Refused::ApprovedAlready { actor: actor.to_owned() });
    }
    Ok(())
}

fn given(reason: &str) -> Result<(), Refused> {
    if reason.trim().is_empty() { Err(Refused::NoReason) } else { Ok(()) }
}

impl Evidence {
    /// The evidence a state begins with: what `before` carries over if the state is the step after it, else nothing.
    #[must_use]
    pub fn begin(policy: &Policy, state: &State, before: Option<&Self>) -> Self {
        let follows = |before: &&Self| before.epoch() + 1 == state.epoch && before.step_idx() + 1 == state.step_idx;
        let carry = before.filter(follows).map_or_else(Carry::none, Self::carry);
        Self::new(policy, state.epoch, state.step_idx, &carry, state.epoch_started)
    }
}

impl Event {
    /// The word used in audit rows.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Promote { .. } => "promote",
            Self::ForcePromote { .. } => "force_promote",
            Self::AwaitApproval => "await_approval",
            Self::Withdraw { .. } => "withdraw",
            Self::Hold { .. } => "hold",
            Self::Extend { .. } => "extend",
            Self::Accept { .. } => "accept",
            Self::Alarm { .. } => "alarm",
            Self::Approve { .. } => "approve",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Rollback { .. } => "rollback",
            Self::Abort { .. } => "abort",
            Self::Complete => "complete",
            Self::Changed { .. } => "changed",
        }
    }

    /// Who is behind it.
    #[must_use]
    pub fn actor(&self) -> &str {
        match self {
            Self::Start { actor }
            | Self::Approve { actor, .. }
            | Self::Extend { actor, .. }
            | Self::Accept { actor, .. }
            | Self::ForcePromote { actor, .. }
            | Self::Pause { actor, .. }
            | Self::Resume { actor, .. }
            | Self::Abort { actor, .. } => actor,
            Self::Promote { .. }
            | Self::AwaitApproval
            | Self::Withdraw { .. }
            | Self::Hold { .. }
            | Self::Alarm { .. }
            | Self::Rollback { .. }
            | Self::Complete
            | Self::Changed { .. } => DECIDED,
        }
    }

    fn words(&self, policy: &Policy, next: &State) -> String {
        match self {
            Self::Start { actor } => format!("started by {actor}"),
            Self::Promote { .. } => format!("every gate passed; on to {}", next.label(policy)),
            Self::ForcePromote { actor, reason } => {
                format!("promoted by {actor} without waiting for the gates: {reason}")
            }
            Self::AwaitApproval => "every gate passed; waiting for approval".to_owned(),
            Self::Withdraw { missing } => format!("what was to be approved does not pass any more: {missing}"),
            Self::Approve { actor, .. } => {
                let need = policy.step(next.step_idx).map_or(0, |step| step.approvals);
                format!("approved by {actor} ({} of {need})", next.approvals.len())
            }
            Self::Hold { because } => format!("held for a person: {}", because.words()),
            Self::Extend { actor, reason } => said("extended", actor, reason),
            Self::Accept { actor, reason } => said("accepted as it is", actor, reason),
            Self::Alarm { breach } => format!("paused: {}", breach.words()),
            Self::Pause { actor, reason } => said("paused", actor, reason),
            Self::Resume { actor, reason } => said("resumed", actor, reason),
            Self::Rollback { breach } => breach.words(),
            Self::Abort { actor, reason } => said("aborted", actor, reason),
            Self::Complete => "soaked at full".to_owned(),
            Self::Changed { what, .. } => format!("{what} changed: evidence starts again"),
        }
    }
}

fn said(done: &str, actor: &str, reason: &str) -> String {
    if reason.trim().is_empty() { format!("{done} by {actor}") } else { format!("{done} by {actor}: {reason}") }
}
