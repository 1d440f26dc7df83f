//! One rollout through one event: a rise is committed before it is published, a fall published before it is committed.

use std::sync::Arc;

use rollout::{Event, Evidence, State, Status, Transition};
use store::CommitError;

use super::ControlError;
use super::managed::{self, Pending};
use super::run::Work;
use super::storing::PROBE_EVERY;
use crate::live;

impl Work {
    /// Takes one rollout through one event: a rise is committed first, a fall published first.
    pub(super) fn happen(&mut self, name: &str, event: &Event) -> Result<Transition, ControlError> {
        let rollout = self.rollouts.get(name).ok_or_else(|| ControlError::Unknown(name.into()))?;
        if rollout.pending.is_some() {
            return Err(ControlError::Refused("an earlier change is still waiting for the store".into()));
        }
        let evidence = rollout.live.evidence();
        let now = live::now();
        let (state, transition) =
            rollout::apply(&rollout.policy, &rollout.state, event, Some(&evidence), now).map_err(refused)?;
        let begins = state.epoch != rollout.state.epoch;
        // Where counting goes on, the evidence in the store stays the one that was saved with its units.
        let next = begins.then(|| Evidence::begin(&rollout.policy, &state, Some(&evidence)));
        let pending = Pending { state, transition: transition.clone(), evidence: next };
        if transition.to_share < transition.from_share || matches!(event, Event::Rollback { .. } | Event::Abort { .. })
        {
            return self.fall(name, pending);
        }
        // An open breaker is not in the evidence: a rise on it would be in the store for whoever starts after a crash.
        if transition.to_share > transition.from_share && rollout.live.pending_trip().is_some() {
            return Err(ControlError::Refused("a breach has just taken the share to 0".into()));
        }
        let expected = rollout.state.generation;
        self.commit(name, &pending, expected)?;
        self.adopt(name, pending);
        Ok(transition)
    }

    /// Share down at once; the store afterwards, as often as it takes.
    pub(super) fn fall(&mut self, name: &str, pending: Pending) -> Result<Transition, ControlError> {
        let Some(rollout) = self.rollouts.get_mut(name) else { return Err(ControlError::Unknown(name.into())) };
        let expected = rollout.state.generation;
        rollout.live.publish(managed::view(&rollout.policy, &pending.state), None);
        let transition = pending.transition.clone();
        let committed = self.commit(name, &pending, expected);
        if let Err(error @ ControlError::Store(_)) = committed {
            if let Some(rollout) = self.rollouts.get_mut(name) {
                rollout.pending = Some(pending);
            }
            return Err(error);
        }
        committed?;
        self.adopt(name, pending);
        Ok(transition)
    }

    pub(super) fn commit(&mut self, name: &str, pending: &Pending, expected: u64) -> Result<(), ControlError> {
        let Some(rollout) = self.rollouts.get(name) else { return Err(ControlError::Unknown(name.into())) };
        let unreadable =
            |error: serde_json::Error| ControlError::Refused(format!("the state cannot be stored: {error}"));
        let row = rollout.row(&pending.state).map_err(unreadable)?;
        let evidence =
            pending.evidence.as_ref().map(|evidence| managed::evidence_row(name, evidence, pending.transition.at));
        let evidence = evidence.transpose().map_err(unreadable)?;
        let audit = managed::audit(&pending.transition);
        match self.database.commit_transition(expected, &row, &audit, evidence.as_ref()) {
            Ok(_) => {
                self.store_took_it();
                Ok(())
            }
            Err(CommitError::Database(error)) => {
                self.store_refused(&error);
                Err(ControlError::Store(error))
            }
            Err(conflict @ CommitError::Conflict { .. }) => {
                tracing::error!(rollout = name, error = %conflict, "another writer moved the rollout");
                if let Some(rollout) = self.rollouts.get_mut(name) {
                    rollout.stranded = true;
                }
                Err(ControlError::Refused(format!("{conflict}; restart this gateway to take up what the store holds")))
            }
        }
    }

    /// The store has it: now the controller and the request path have it too.
    pub(super) fn adopt(&mut self, name: &str, pending: Pending) {
        let Some(rollout) = self.rollouts.get_mut(name) else { return };
        let Pending { state, transition, evidence } = pending;
        let begins = state.epoch != rollout.state.epoch;
        rollout.state = state;
        rollout.pending = None;
        let view = managed::view(&rollout.policy, &rollout.state);
        rollout.live.publish(view, evidence.filter(|_| begins));
        tracing::info!(
            rollout = name,
            from = transition.from,
            to = transition.to,
            actor = transition.actor,
            event = transition.event,
            reason = transition.reason,
            "rollout moved"
        );
        if begins {
            self.note_journal(name);
        }
        self.publish_table();
    }

    pub(super) fn persist_trip(&mut self, name: &str) {
        let Some(rollout) = self.rollouts.get(name) else { return };
        let Some(trip) = rollout.live.pending_trip() else { return };
        if rollout.pending.is_some() {
            return;
        }
        let mut evidence = rollout.live.evidence();
        evidence.note_breach(trip.breach.clone());
        let event = Event::Rollback { breach: trip.breach.clone() };
        match rollout::apply(&rollout.policy, &rollout.state, &event, Some(&evidence), trip.at) {
            Ok((state, mut transition)) => {
                transition.reason = format!("{}; {}", transition.reason, timing(&trip));
                let state = State { reason: transition.reason.clone(), ..state };
                let pending = Pending { state, transition, evidence: Some(evidence) };
                let live = Arc::clone(&rollout.live);
                // An error leaves it pending; the share is 0 either way.
                if self.fall(name, pending).is_ok() {
                    live.trip_persisted();
                }
            }
            Err(error) => {
                // An operator threw it back in the same instant: the share is 0 and stays 0.
                tracing::warn!(rollout = name, %error, "a breach found the rollout already stopped");
                rollout.live.trip_persisted();
            }
        }
    }

    pub(super) fn retry_pending(&mut self, name: &str) {
        let Some(rollout) = self.rollouts.get_mut(name) else { return };
        if self.refusing.as_ref().is_some_and(|refusing| refusing.probed.elapsed() < PROBE_EVERY) {
            return;
        }
        let Some(pending) = rollout.pending.clone().filter(|_| !rollout.stranded) else { return };
        let expected = rollout.state.generation;
        let live = Arc::clone(&rollout.live);
        if self.commit(name, &pending, expected).is_ok() {
            self.adopt(name, pending);
            live.trip_persisted();
        }
    }

    pub(super) fn publish_table(&self) {
        let live = self.rollouts.values().filter(|rollout| rollout.is_live() || rollout.pending.is_some());
        let on_trial = self.rollouts.values().filter(|rollout| rollout.state.status != Status::Completed);
        let barred = on_trial.map(|rollout| rollout.state.candidate.clone()).collect();
        self.live.publish(live.map(|rollout| Arc::clone(&rollout.live)), barred);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function for map_err")]
pub(super) fn refused(refused: rollout::Refused) -> ControlError {
    ControlError::Refused(refused.to_string())
}

/// How fast it went, for the audit row.
fn timing(trip: &live::Trip) -> String {
    format!(
        "time_to_detect {:.3} s and {} candidate attempts, time_to_switch {:.3} ms, {} attempts in flight at the switch",
        trip.time_to_detect.as_secs_f64(),
        trip.candidate_attempts,
        trip.time_to_switch.as_secs_f64() * 1e3,
        trip.in_flight
    )
}
