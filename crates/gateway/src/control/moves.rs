//! One rollout through one event: a rise is committed before it is published, a fall published before it is committed.

use std::sync::Arc;

use rollout::{Decided, Event, Evidence, Stage, State, Status, Transition};
use store::{Beside, CommitError, CountedRow, EvidenceRow};

use super::ControlError;
use super::managed::{self, Managed, Moment, Pending};
use super::run::Work;
use super::storing::PROBE_EVERY;
use crate::lately::Lately;
use crate::live::{self, Counting, View};

impl Work {
    /// Takes one rollout through one event: a rise is committed first, a fall published first.
    pub(super) fn happen(&mut self, name: &str, event: &Event) -> Result<Transition, ControlError> {
        let rollout = self.rollouts.get(name).ok_or_else(|| ControlError::Unknown(name.into()))?;
        if rollout.pending.is_some() {
            return Err(ControlError::Refused("an earlier change is still waiting for the store".into()));
        }
        let live = Arc::clone(&rollout.live);
        let health = self.health(name);
        let counted = live.with_counting(Counting::take);
        self.happen_at(name, event, Moment { counted, health, decided: false })
    }

    /// The same with the evidence of one moment, which is written down whatever comes of the event.
    pub(super) fn happen_at(&mut self, name: &str, event: &Event, moment: Moment) -> Result<Transition, ControlError> {
        let Moment { counted, health, decided } = moment;
        let (evidence, now) = (counted.evidence.clone(), counted.at);
        let position = counted.position;
        let counted = self.counted_row(name, counted, health.clone());
        let rollout = self.rollouts.get(name).ok_or_else(|| ControlError::Unknown(name.into()))?;
        let applied = rollout::apply(&rollout.policy, &rollout.state, event, Some(&evidence), now);
        let (state, transition) = match applied {
            Ok(moved) => moved,
            Err(error) => {
                self.keep_for_later(name, counted);
                return Err(refused(error));
            }
        };
        let begins = state.epoch != rollout.state.epoch;
        let begun = begins.then(|| Evidence::begin(&rollout.policy, &state, Some(&evidence)));
        let record = Decided {
            position: Some(position),
            health: decided.then_some(health),
            ..Decided::without_evidence(now, rollout.state.clone(), rollout.policy.clone(), event.clone())
        };
        let pending = Pending { state, transition: transition.clone(), counted, begun, decided: record };
        if transition.to_share < transition.from_share || matches!(event, Event::Rollback { .. } | Event::Abort { .. })
        {
            return self.fall(name, pending);
        }
        // One of several contenders goes on; the others have no right to the route while it serves.
        if transition.to_share > 0.0
            && rollout.state.share(&rollout.policy) <= 0.0
            && let Some(other) = self.serving_on(&rollout.route, name)
        {
            let (route, other) = (&rollout.route, other.to_owned());
            return Err(ControlError::Refused(format!(
                "route `{route}` is served by rollout `{other}`; abort that first"
            )));
        }
        if transition.to_share > 0.0
            && rollout.state.share(&rollout.policy) <= 0.0
            && let Some(unmet) = self.settings(name).and_then(|settings| settings.facts.unmet.first().cloned())
        {
            return Err(ControlError::Refused(format!("the candidate is out: {unmet}")));
        }
        // An open breaker is not in the evidence: a rise on it would be in the store for whoever starts after a crash.
        if transition.to_share > transition.from_share && rollout.live.pending_trip().is_some() {
            self.keep_for_later(name, pending.counted);
            return Err(ControlError::Refused("a breach has just taken the share to 0".into()));
        }
        let expected = rollout.state.generation;
        if let Err(error) = self.commit(name, &pending, expected) {
            self.keep_for_later(name, pending.counted);
            return Err(error);
        }
        self.adopt(name, pending);
        Ok(transition)
    }

    /// Somebody else leads: this process moves the rollout no more. As when the control plane is lost, shadow and canary go back to the
    /// baseline and later stages stay, with their guards armed.
    pub(super) fn strand(&mut self, name: &str) {
        let Some(rollout) = self.rollouts.get_mut(name) else { return };
        rollout.stranded = true;
        let early = rollout.state.stage(&rollout.policy) <= Stage::Canary;
        if early {
            let view = managed::view(&rollout.policy, &rollout.state);
            let back = View { share: 0.0, shadow_sample: 0.0, watching: false, ..view };
            rollout.live.publish(back, None);
        }
        tracing::error!(rollout = name, reverted = early, "another process leads this rollout");
    }

    fn keep_for_later(&mut self, name: &str, counted: Option<CountedRow>) {
        if let Some(row) = counted {
            self.stash(name, row);
        }
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
        let begun = pending
            .begun
            .as_ref()
            .map(|evidence| managed::evidence_row(name, (evidence, &Lately::default()), pending.transition.at));
        let begun = begun.transpose().map_err(unreadable)?;
        let decided = serde_json::to_string(&pending.decided).map_err(unreadable)?;
        let beside = Beside { counted: pending.counted.as_ref(), begun: begun.as_ref(), decided_json: Some(&decided) };
        let audit = managed::audit(&pending.transition);
        match self.database.commit_transition(expected, &row, &audit, &beside) {
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
                self.strand(name);
                Err(ControlError::Refused(format!("{conflict}; restart this gateway to take up what the store holds")))
            }
        }
    }

    /// The store has it: now the controller and the request path have it too.
    pub(super) fn adopt(&mut self, name: &str, pending: Pending) {
        let Some(rollout) = self.rollouts.get_mut(name) else { return };
        let Pending { state, transition, begun, .. } = pending;
        let begins = state.epoch != rollout.state.epoch;
        if rollout.state.share(&rollout.policy) <= 0.0
            && state.share(&rollout.policy) > 0.0
            && let Some(target) = self.snapshot.load().target(&state.candidate)
        {
            // Before anybody is sent there: what callers met in an earlier trial is no breach of this one.
            self.lanes.begin_serving(target);
        }
        rollout.state = state;
        rollout.pending = None;
        let view = managed::view(&rollout.policy, &rollout.state);
        rollout.live.publish(view, begun.filter(|_| begins));
        announce(name, &transition);
        if begins {
            self.note_journal(name);
        }
        self.publish_table();
    }

    pub(super) fn persist_trip(&mut self, name: &str) {
        let Some(rollout) = self.rollouts.get(name) else { return };
        let Some(trip) = rollout.live.pending_trip() else { return };
        if rollout.pending.is_some() || rollout.stranded {
            return;
        }
        let live = Arc::clone(&rollout.live);
        let health = self.health(name);
        let counted = live.with_counting(Counting::take);
        let position = counted.position;
        let mut evidence = counted.evidence.clone();
        evidence.note_breach(trip.breach.clone());
        let counted = self.counted_row(name, counted, health).and_then(|row| with_evidence(row, &evidence));
        let event = Event::Rollback { breach: trip.breach.clone() };
        let Some(rollout) = self.rollouts.get(name) else { return };
        match rollout::apply(&rollout.policy, &rollout.state, &event, Some(&evidence), trip.at) {
            Ok((state, mut transition)) => {
                let measured = timing(&trip);
                transition.reason = format!("{}; {measured}", transition.reason);
                let state = State { reason: transition.reason.clone(), ..state };
                let decided = Decided {
                    position: Some(position),
                    noted: true,
                    measured,
                    ..Decided::without_evidence(trip.at, rollout.state.clone(), rollout.policy.clone(), event)
                };
                // What is counted from here on is counted by evidence that knows of the breach, as it is written down.
                live.with_counting(|counting| counting.evidence.note_breach(trip.breach.clone()));
                let pending = Pending { state, transition, counted, begun: None, decided };
                // An error leaves it pending; the share is 0 either way.
                if self.fall(name, pending).is_ok() {
                    live.trip_persisted();
                }
            }
            Err(error) => {
                // An operator threw it back in the same instant: the share is 0 and stays 0.
                tracing::warn!(rollout = name, %error, "a breach found the rollout already stopped");
                live.trip_persisted();
                self.keep_for_later(name, counted);
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

    /// Whether the request path is to see a rollout. A completed one that is out of the config is history.
    fn is_to_publish(&self, rollout: &Managed) -> bool {
        let is_retired = rollout.released || rollout.live.is_retired(&self.snapshot.load());
        let is_over = rollout.pending.is_none() && is_retired;
        (rollout.is_live() || rollout.pending.is_some()) && !is_over
    }

    /// Publishes anew where a reload has let a completed rollout go, and writes down that it has.
    pub(super) fn heed_retired(&mut self) {
        let snapshot = self.snapshot.load();
        for (name, rollout) in &mut self.rollouts {
            if rollout.released || rollout.pending.is_some() || !rollout.live.is_retired(&snapshot) {
                continue;
            }
            rollout.released = true;
            let written = rollout.row(&rollout.state).map(|row| self.database.renew_rollout(&row));
            if !matches!(written, Ok(Ok(true))) {
                // The next tick tries again.
                rollout.released = false;
                tracing::warn!(rollout = name, ?written, "that the config has let it go is not written down yet");
            }
        }
        drop(snapshot);
        let published = self.live.all();
        let is_published = |name: &str| published.iter().any(|live| live.identity.name == name);
        if self.rollouts.iter().any(|(name, rollout)| self.is_to_publish(rollout) != is_published(name)) {
            self.publish_table();
        }
    }

    pub(super) fn publish_table(&self) {
        let live = self.rollouts.values().filter(|rollout| self.is_to_publish(rollout));
        let on_trial = self.rollouts.values().filter(|rollout| rollout.state.status != Status::Completed);
        let barred = on_trial.map(|rollout| rollout.state.candidate.clone()).collect();
        self.live.publish(live.map(|rollout| Arc::clone(&rollout.live)), barred);
    }
}

/// One line for each transition; harm is louder than the rest.
fn announce(rollout: &str, transition: &Transition) {
    let Transition { from, to, actor, event, reason, .. } = transition;
    if event == "rollback" {
        tracing::warn!(rollout, from, to, actor, event, reason, "rollout rolled back");
    } else {
        tracing::info!(rollout, from, to, actor, event, reason, "rollout moved");
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function for map_err")]
pub(super) fn refused(refused: rollout::Refused) -> ControlError {
    ControlError::Refused(refused.to_string())
}

/// The row with the breach that the request path saw in its evidence.
fn with_evidence(row: CountedRow, evidence: &Evidence) -> Option<CountedRow> {
    let json = serde_json::to_string(evidence).ok()?;
    Some(CountedRow { evidence: EvidenceRow { json, ..row.evidence }, ..row })
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
