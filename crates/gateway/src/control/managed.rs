//! One rollout in the controller's hands: what is stored of it, and what is published.

use std::sync::Arc;

use rollout::{
    Arm, CostOutcome, Decided, Evidence, Filed, FiledKind, Health, Input, InputLog, Looked, Metric, MetricSet,
    Objectives, Outcome, Policy, SeenUnit, Signal, State, Status, Timestamp, Transition,
};
use store::{CountedRow, EvidenceRow, InputsRow, RolloutRow, TransitionRow};
use wire::failure::FailureKind;

use super::CandidateFacts;
use crate::lately::Lately;
use crate::live::{Counted, Counting, Identity, LiveRollout, View, Waker};
use crate::{feedback, observe};

/// A transition that is decided, published where it lowers the share, and not yet in the store.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub state: State,
    pub transition: Transition,
    /// The evidence of the epoch it happened in, with what was counted since the last saving.
    pub counted: Option<CountedRow>,
    /// The evidence of the epoch it begins.
    pub begun: Option<Evidence>,
    /// What it was made of.
    pub decided: Decided,
}

/// What an event sees: everything counted up to one moment.
pub(super) struct Moment {
    pub counted: Counted,
    pub health: Health,
    /// Whether the evidence of this moment decided the event.
    pub decided: bool,
}

/// A rollout and its live counterpart.
#[derive(Debug)]
pub(super) struct Managed {
    pub route: String,
    pub fingerprint: String,
    pub simulated: bool,
    pub facts: CandidateFacts,
    pub taken_back: Option<String>,
    pub released: bool,
    pub policy: Policy,
    pub state: State,
    pub live: Arc<LiveRollout>,
    /// Lowered already, to be committed as soon as the store takes it.
    pub pending: Option<Pending>,
    /// Somebody else moved it in the store: this process does not move it any more.
    pub stranded: bool,
}

/// What is stored as a rollout's state: `rollout::State` and what only the gateway needs.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StoredState {
    /// The route it splits.
    pub route: String,
    /// Hash of both targets when the evidence began.
    pub fingerprint: String,
    /// Whether either target is simulated: then everything shown from the rollout says so.
    #[serde(default)]
    pub simulated: bool,
    /// What the config said of the candidate when it began.
    #[serde(default)]
    pub facts: CandidateFacts,
    /// Why the candidate was taken back, where it was begun again with nothing of its targets changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<String>,
    /// Whether it completed and the config has let it go since: it splits nothing again by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// Where it stands.
    pub state: State,
}

impl Managed {
    /// A rollout as it begins or as the store holds it, ready to be published.
    pub fn new(stored: StoredState, policy: Policy, counting: Counting, wake: Waker) -> Self {
        let StoredState { route, fingerprint, simulated, facts, taken_back, released, state } = stored;
        let identity = Identity {
            name: state.name.clone(),
            route: route.clone(),
            baseline: state.baseline.clone(),
            candidate: state.candidate.clone(),
            unit: policy.unit,
            salt: state.salt.clone(),
            fingerprint: fingerprint.clone(),
        };
        let live = LiveRollout::new(identity, view(&policy, &state), Evidence::begin(&policy, &state, None), wake);
        let live = Arc::new(live.counting(counting));
        let (pending, stranded) = (None, false);
        Self { route, fingerprint, simulated, facts, taken_back, released, policy, state, live, pending, stranded }
    }

    /// The row the store keeps of `state`.
    pub fn row(&self, state: &State) -> Result<RolloutRow, serde_json::Error> {
        let stored = StoredState {
            route: self.route.clone(),
            fingerprint: self.fingerprint.clone(),
            simulated: self.simulated,
            facts: self.facts.clone(),
            taken_back: self.taken_back.clone(),
            released: self.released && state.status == Status::Completed,
            state: state.clone(),
        };
        Ok(RolloutRow {
            name: state.name.clone(),
            generation: state.generation,
            state_json: serde_json::to_string(&stored)?,
            policy_json: serde_json::to_string(&self.policy)?,
        })
    }

    /// Whether it occupies its route: a draft, a thrown-back or an aborted rollout leaves it to others.
    pub fn is_live(&self) -> bool {
        self.state.status.is_serving()
    }
}

/// What the request path needs of a state.
pub(super) fn view(policy: &Policy, state: &State) -> View {
    View {
        epoch: state.epoch,
        generation: state.generation,
        share: state.share(policy),
        holdback: policy.holdback,
        shadow_sample: if state.is_shadowing(policy) && state.status != Status::Paused {
            policy.shadow_sample
        } else {
            0.0
        },
        watching: state.status.is_serving(),
        completed: state.status == Status::Completed,
    }
}

/// What the store has of an epoch.
pub(super) struct Saved {
    /// The evidence, as it was saved last.
    pub evidence: Option<EvidenceRow>,
    /// The units it had counted.
    pub counted: Vec<store::SeenUnit>,
    /// What the record says became known since.
    pub outcomes: Vec<store::EpochOutcome>,
    /// What was said of its exchanges since.
    pub signals: Vec<store::EpochSignal>,
    /// How many entries it had counted.
    pub n_inputs: u64,
    /// Which exchanges it had counted lately.
    pub lately: Lately,
}

/// The evidence of `state` as the store has it, brought up to date from the record: a process that died may have seen a
/// breach it did not live to write down, and its last half second of counting is only in the exchanges. What is counted here is
/// counted for the first time.
pub(super) fn restore(policy: &Policy, state: &State, saved: Saved) -> Result<Counting, serde_json::Error> {
    let mut evidence = match saved.evidence {
        Some(row) => serde_json::from_str(&row.json)?,
        None => Evidence::begin(policy, state, None),
    };
    let counted = saved.counted.into_iter();
    evidence.import_seen_units(counted.map(|seen| SeenUnit { unit: seen.unit, marks: seen.flags }));
    let mut counting = Counting { evidence, log: InputLog::from_number(saved.n_inputs), lately: saved.lately };
    let is_counted = counting.lately.has();
    for outcome in saved.outcomes {
        if is_counted(outcome.exchange) {
            continue;
        }
        let Some((observed, bad)) = judged(&outcome) else { continue };
        let slow = slow(&outcome, counting.evidence.objectives());
        // That it was late may have been counted before its end.
        let not_yet = MetricSet::ALL.xor(counting.lately.late_of(outcome.exchange));
        let (observed, bad) = (observed.or(slow.0.and(not_yet)), bad.or(slow.1.and(not_yet)));
        counting.lately.counted(outcome.exchange, outcome.ended_at_us);
        let arm = if outcome.arm == Arm::Candidate.as_str() { Arm::Candidate } else { Arm::Baseline };
        let (admitted_at, exchange) = (Timestamp(outcome.received_at_us), outcome.exchange.to_string());
        if !bad.is_empty() {
            counting.count(Input::Example { arm, bad, admitted_at, exchange });
        }
        let (unit, at) = (outcome.unit, Timestamp(outcome.ended_at_us));
        // A breach is kept in the evidence: the controller looks for it before anything is published.
        counting.count(Input::Outcome(Outcome {
            unit,
            arm,
            admitted_at,
            at,
            observed,
            bad,
            time_to_first_token_us: outcome.time_to_first_token_us,
            duration_us: outcome.duration_us,
        }));
        if let (None, Some(nanos)) = (&outcome.failure, outcome.cost_nanos) {
            counting.count(Input::Cost(CostOutcome { unit, arm, admitted_at, at, nanos }));
        }
    }
    counting.lately.forget_late();
    for signal in saved.signals {
        let Some(metric) = Metric::named(&signal.metric).filter(|metric| metric.is_signal()) else { continue };
        let (admitted_at, at) = (Timestamp(signal.admitted_us), Timestamp(signal.at_us));
        let said =
            Signal { unit: signal.unit, arm: feedback::arm(&signal.arm), metric, bad: signal.bad, admitted_at, at };
        let outcome = Outcome::from(said);
        if let Some(exchange) = signal.exchange.filter(|_| !outcome.bad.is_empty()) {
            let (arm, bad, exchange) = (outcome.arm, outcome.bad, exchange.to_string());
            counting.count(Input::Example { arm, bad, admitted_at, exchange });
        }
        counting.count(Input::Outcome(outcome));
    }
    Ok(counting)
}

/// Whether a stored outcome, or its first token, was late.
fn slow(outcome: &store::EpochOutcome, objectives: Objectives) -> (MetricSet, MetricSet) {
    let Some(duration_us) = outcome.duration_us else { return Default::default() };
    let times = observe::Times {
        first_token_us: outcome.time_to_first_token_us,
        duration_us,
        has_failed: outcome.failure.is_some(),
    };
    observe::lateness(times, outcome.streamed, objectives)
}

/// What a stored outcome was judged on, and bad on; `None` when it is no evidence.
#[must_use]
pub fn judged(outcome: &store::EpochOutcome) -> Option<(MetricSet, MetricSet)> {
    let failure = outcome.failure.as_deref().map(|name| {
        let known = FailureKind::ALL.iter().find(|kind| kind.as_str() == name);
        known.copied().unwrap_or(FailureKind::Internal)
    });
    // What only the candidate refused is its failure, as it is on the live path.
    let refused_alone =
        failure.is_some_and(observe::is_refusal) && outcome.arm == Arm::Candidate.as_str() && outcome.served_elsewhere;
    let failure = if refused_alone { Some(FailureKind::HttpServerError) } else { failure };
    let form = observe::Form {
        format_valid: outcome.format_valid,
        schema_valid: outcome.schema_valid,
        tool_calls_valid: outcome.tool_calls_valid,
        unknown: outcome.not_validated,
    };
    let (observed, bad) = observe::verdict(failure, form)?;
    let refusal = observe::manner(failure.is_some(), outcome.finish_reason.as_deref(), outcome.declined);
    Some((observed.or(refusal.0), bad.or(refusal.1)))
}

/// A filed result as gates read it; `None` for a kind that is not known.
pub fn filed(row: &store::FiledRow) -> Option<Filed> {
    Some(Filed {
        kind: FiledKind::named(&row.kind)?,
        name: row.name.clone(),
        passed: row.passed,
        at: Timestamp(row.at_us),
        digest: row.digest.clone(),
        n: row.n,
    })
}

/// The latest of each kind and name: no other is looked at. The rows are newest first.
pub(super) fn latest(rows: &[store::FiledRow]) -> Vec<Filed> {
    let mut latest: Vec<Filed> = Vec::new();
    for filed in rows.iter().filter_map(filed) {
        if latest.iter().all(|known| (known.kind, &known.name) != (filed.kind, &filed.name)) {
            latest.push(filed);
        }
    }
    latest
}

/// The audit row of a transition.
pub fn audit(transition: &Transition) -> TransitionRow {
    TransitionRow {
        rollout: transition.rollout.clone(),
        generation: transition.generation,
        at_us: transition.at.0,
        from: transition.from.clone(),
        to: transition.to.clone(),
        from_share: transition.from_share,
        to_share: transition.to_share,
        epoch: transition.epoch,
        actor: transition.actor.clone(),
        event: transition.event.clone(),
        reason: transition.reason.clone(),
        evidence_json: transition.evidence_json.clone(),
        policy_hash: transition.policy_hash.clone(),
    }
}

/// A saved copy of evidence. The time is taken with the copy: what became known later is replayed after a crash.
pub(super) fn evidence_row(
    name: &str,
    (evidence, lately): (&Evidence, &Lately),
    at: Timestamp,
) -> Result<EvidenceRow, serde_json::Error> {
    Ok(EvidenceRow {
        rollout: name.to_owned(),
        epoch: evidence.epoch(),
        updated_at_us: at.0,
        json: serde_json::to_string(evidence)?,
        lately: lately.to_bytes(),
    })
}

/// What was counted since the last saving, ready to be saved with what is decided of it.
pub(super) fn counted_row(
    (policy, state): (&Policy, &State),
    counted: Counted,
    health: Health,
) -> Result<CountedRow, serde_json::Error> {
    let Counted { at, evidence, units, inputs, lately, .. } = counted;
    let looked = Looked::at(policy, state, &evidence, health, at);
    let part = InputsRow {
        first: inputs.first,
        n: inputs.inputs.len() as u64,
        at_us: at.0,
        looked_json: serde_json::to_string(&looked)?,
        lines: inputs.to_lines(),
    };
    Ok(CountedRow {
        evidence: evidence_row(&state.name, (&evidence, &lately), at)?,
        units: units.into_iter().map(|seen| store::SeenUnit { unit: seen.unit, flags: seen.marks }).collect(),
        inputs: vec![part],
    })
}

/// Requests the evidence has judged so far: whether it changed since it was saved.
pub(super) fn weight(evidence: &Evidence) -> u64 {
    let judged = |arm| evidence.arm(arm).tally(Metric::Error).n;
    judged(Arm::Baseline) + judged(Arm::Candidate) + evidence.coverage().offered + evidence.coverage().n_dropped()
}

#[cfg(test)]
mod tests;
