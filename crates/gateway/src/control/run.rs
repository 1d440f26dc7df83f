//! The controller's work between two turns: commands, breaches, decisions, and saving evidence.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rollout::{Breach, Decision, Event, Evidence, Health, Policy, Stage, State, Status, Transition};
use store::{CommitError, Database, DatabaseError, Journal, RolloutRow, SeenUnit};

use super::managed::{self, Managed, Pending, StoredState};
use super::{ControlError, ControllerParts, RolloutSettings, StartError, Verb};
use crate::live::{self, LiveTable, Waker};
use crate::snapshot::Snapshot;

/// Evidence is at most this old in the store, and so at most this much of it has to be replayed after a crash.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// How often the store is probed while it refuses.
const PROBE_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Work {
    database: Database,
    snapshot: Arc<ArcSwap<Snapshot>>,
    live: Arc<LiveTable>,
    journal: Journal,
    wake: Waker,
    tick: Duration,
    patience: Duration,
    /// While set, nothing is live: what earlier processes recorded is not all in the store.
    withheld: Option<Box<dyn Fn() -> bool + Send>>,
    rollouts: BTreeMap<String, Managed>,
    saved: HashMap<String, (u32, u64)>,
    /// Units counted whose saving failed, with their epoch.
    unsaved: HashMap<String, (u32, Vec<SeenUnit>)>,
    saved_at: Instant,
    refusing: Option<Refusing>,
    journal_base: HashMap<String, (u64, u64)>,
}

/// A store that does not take writes.
struct Refusing {
    since: Instant,
    probed: Instant,
    lost: bool,
}

impl Work {
    pub fn load(parts: ControllerParts, wake: Waker) -> Result<Self, StartError> {
        let ControllerParts { database, snapshot, live, journal, record_ready, tick, store_patience } = parts;
        let mut work = Self {
            database,
            snapshot,
            live,
            journal,
            wake,
            tick,
            patience: store_patience,
            withheld: Some(record_ready),
            rollouts: BTreeMap::new(),
            saved: HashMap::new(),
            unsaved: HashMap::new(),
            saved_at: Instant::now(),
            refusing: None,
            journal_base: HashMap::new(),
        };
        work.take_up()?;
        Ok(work)
    }

    /// Takes up what the store holds, once it holds everything: the last evidence of a process that died is in the record.
    fn take_up(&mut self) -> Result<(), StartError> {
        let Some(record_ready) = &self.withheld else { return Ok(()) };
        let ready = record_ready();
        let rows = self.database.load_rollouts().map_err(StartError::Load)?;
        for row in rows {
            let rollout = self.restore(&row, ready)?;
            self.rollouts.insert(row.name, rollout);
        }
        if !ready {
            // Their candidates are nobody's fallback meanwhile.
            let barred = self.rollouts.values().map(|rollout| rollout.state.candidate.clone()).collect();
            self.live.publish([], barred);
            self.rollouts.clear();
            return Ok(());
        }
        self.withheld = None;
        self.heed_restored_breaches();
        // Before anybody sees a share: one that was proven for other targets is not served.
        for name in self.rollouts.keys().cloned().collect::<Vec<_>>() {
            self.heed_config(&name);
        }
        self.publish_table();
        Ok(())
    }

    fn restore(&self, row: &RolloutRow, with_record: bool) -> Result<Managed, StartError> {
        let corrupt = |source| StartError::Corrupt { name: row.name.clone(), source };
        let stored: StoredState = serde_json::from_str(&row.state_json).map_err(corrupt)?;
        let policy: Policy = serde_json::from_str(&row.policy_json).map_err(corrupt)?;
        let epoch = stored.state.epoch;
        let evidence = self.database.load_evidence(&row.name, epoch).map_err(StartError::Load)?;
        let counted = self.database.seen_units(&row.name, epoch).map_err(StartError::Load)?;
        let saved_at = evidence.as_ref().map_or(0, |saved| saved.updated_at_us);
        let outcomes = if with_record && stored.state.status.is_serving() {
            self.database.epoch_outcomes(&row.name, epoch, saved_at).map_err(StartError::Load)?
        } else {
            Vec::new()
        };
        let saved = managed::Saved { evidence, counted, outcomes };
        let evidence = managed::restore(&policy, &stored.state, saved).map_err(corrupt)?;
        Ok(Managed::new(stored, policy, evidence, self.wake.clone()))
    }

    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// Writes down breaches that the request path found, and whatever else the store has not taken yet.
    pub fn persist_trips(&mut self) {
        let names: Vec<String> = self.rollouts.keys().cloned().collect();
        for name in names {
            self.persist_trip(&name);
            self.retry_pending(&name);
        }
    }

    /// Carries out an operator's command.
    pub fn command(&mut self, verb: Verb, name: &str, actor: &str, reason: &str) -> Result<Transition, ControlError> {
        if self.withheld.is_some() {
            let why = "what the last process recorded is still being read; everybody is on the baseline meanwhile";
            return Err(ControlError::Refused(why.into()));
        }
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        let event = match verb {
            Verb::Start => return self.start(name, &actor),
            Verb::Promote => Event::ForcePromote { actor, reason },
            Verb::Approve => Event::Approve { actor },
            Verb::Pause => Event::Pause { actor, reason },
            Verb::Abort => Event::Abort { actor, reason },
            Verb::Resume => return self.resume(name, Event::Resume { actor, reason }),
        };
        self.happen(name, &event)
    }

    /// After a pause, on as before. After a rollback or an abort, from shadow under what the config says now.
    fn resume(&mut self, name: &str, event: Event) -> Result<Transition, ControlError> {
        self.refuse_taken_route(name)?;
        let settings = self.settings(name);
        let Some(rollout) = self.rollouts.get_mut(name) else { return Err(ControlError::Unknown(name.into())) };
        let (Status::RolledBack | Status::Aborted, Some(settings)) = (rollout.state.status, settings) else {
            return self.happen(name, &event);
        };
        let before = (rollout.policy.clone(), rollout.state.clone(), rollout.fingerprint.clone());
        rollout.policy = settings.policy.clone();
        rollout.fingerprint.clone_from(&settings.fingerprint);
        rollout.state.baseline.clone_from(&settings.baseline);
        rollout.state.candidate.clone_from(&settings.candidate);
        rollout.state.policy_hash = settings.policy.hash();
        let result = self.happen(name, &event);
        if result.is_ok() {
            self.renew_identity(name);
        } else if let Some(rollout) = self.rollouts.get_mut(name) {
            (rollout.policy, rollout.state, rollout.fingerprint) = before;
        }
        result
    }

    /// Looks at every rollout once: config, harm, gates, evidence to save, a store that refuses.
    pub fn tick_all(&mut self) {
        if self.withheld.as_ref().is_some_and(|record_ready| record_ready())
            && let Err(error) = self.take_up()
        {
            tracing::error!(error = &error as &dyn std::error::Error, "the stored rollouts cannot be taken up");
        }
        self.probe_store();
        let names: Vec<String> = self.rollouts.keys().cloned().collect();
        for name in &names {
            self.heed_config(name);
            self.decide(name);
        }
        if self.saved_at.elapsed() >= SAVE_EVERY {
            self.save_all_evidence();
        }
    }

    /// Saves the evidence of every live rollout that has new evidence.
    pub fn save_all_evidence(&mut self) {
        self.saved_at = Instant::now();
        let names: Vec<String> = self.rollouts.keys().cloned().collect();
        for name in names {
            if let Err(error) = self.save_evidence(&name) {
                self.store_refused(&error);
            }
        }
    }

    fn start(&mut self, name: &str, actor: &str) -> Result<Transition, ControlError> {
        let settings = self.settings(name).ok_or_else(|| ControlError::Unknown(name.into()))?;
        if let Some(known) = self.rollouts.get(name) {
            let status = known.state.status.as_str().replace('_', " ");
            return Err(ControlError::Refused(format!(
                "rollout `{name}` is {status}; `resume` begins it again from shadow"
            )));
        }
        self.refuse_taken_route(name)?;
        let salt = format!("{name}-{}", live::now().0);
        let targets = (settings.baseline.as_str(), settings.candidate.as_str());
        let draft = State::draft(name, &salt, actor, targets, &settings.policy);
        let event = Event::Start { actor: actor.into() };
        let now = live::now();
        let (state, transition) = rollout::apply(&settings.policy, &draft, &event, None, now).map_err(refused)?;
        let evidence = Evidence::begin(&settings.policy, &state, None);
        let stored = StoredState {
            route: settings.route.clone(),
            fingerprint: settings.fingerprint.clone(),
            simulated: self.is_simulated(&settings),
            state: state.clone(),
        };
        let rollout = Managed::new(stored, settings.policy.clone(), evidence.clone(), self.wake.clone());
        self.rollouts.insert(name.to_owned(), rollout);
        let pending = Pending { state, transition: transition.clone(), evidence: Some(evidence) };
        if let Err(error) = self.commit(name, &pending, 0) {
            self.rollouts.remove(name);
            return Err(error);
        }
        self.note_journal(name);
        self.publish_table();
        tracing::info!(rollout = name, actor, "rollout started");
        Ok(transition)
    }

    /// Takes one rollout through one event: a rise is committed first, a fall published first.
    fn happen(&mut self, name: &str, event: &Event) -> Result<Transition, ControlError> {
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
    fn fall(&mut self, name: &str, pending: Pending) -> Result<Transition, ControlError> {
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

    fn commit(&mut self, name: &str, pending: &Pending, expected: u64) -> Result<(), ControlError> {
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
    fn adopt(&mut self, name: &str, pending: Pending) {
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

    fn persist_trip(&mut self, name: &str) {
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

    fn retry_pending(&mut self, name: &str) {
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

    fn decide(&mut self, name: &str) {
        let Some(rollout) = self.rollouts.get(name) else { return };
        if rollout.pending.is_some() || rollout.stranded || !rollout.is_live() {
            return;
        }
        let health = self.health(name);
        let now = live::now();
        let decision = rollout
            .live
            .with_evidence(|evidence| rollout::decide(&rollout.policy, &rollout.state, evidence, &health, now));
        if matches!((&decision, rollout.state.status), (Decision::AwaitApproval { .. }, Status::AwaitingApproval)) {
            return;
        }
        let Some(event) = decision.into_event() else { return };
        if let Err(error) = self.happen(name, &event) {
            tracing::warn!(rollout = name, event = event.name(), %error, "a decision could not be carried out");
        }
    }

    /// Journal records and drops since this epoch began.
    fn health(&self, name: &str) -> Health {
        let counts = self.journal.counts();
        let (records, dropped) = self.journal_base.get(name).copied().unwrap_or_default();
        Health {
            journal_records: counts.records.saturating_sub(records),
            journal_dropped: (counts.dropped + counts.failed).saturating_sub(dropped),
            candidate_breaker_open: false,
        }
    }

    fn note_journal(&mut self, name: &str) {
        let counts = self.journal.counts();
        self.journal_base.insert(name.to_owned(), (counts.records, counts.dropped + counts.failed));
    }

    /// A changed target, prompt or parameter ends the evidence: back to shadow.
    fn heed_config(&mut self, name: &str) {
        let Some(settings) = self.settings(name) else { return };
        let Some(rollout) = self.rollouts.get(name) else { return };
        if !rollout.is_live() || rollout.fingerprint == settings.fingerprint || rollout.pending.is_some() {
            return;
        }
        let event = Event::Changed {
            what: "a target".into(),
            baseline: settings.baseline.clone(),
            candidate: settings.candidate.clone(),
        };
        let Some(rollout) = self.rollouts.get_mut(name) else { return };
        let before = std::mem::replace(&mut rollout.fingerprint, settings.fingerprint.clone());
        match self.happen(name, &event) {
            Ok(_) => self.renew_identity(name),
            Err(error) => {
                tracing::warn!(rollout = name, %error, "a changed target could not be taken up");
                if let Some(rollout) = self.rollouts.get_mut(name) {
                    rollout.fingerprint = before;
                }
            }
        }
    }

    /// Names of targets may have changed with the config: the live rollout is made anew around the same state.
    fn renew_identity(&mut self, name: &str) {
        let Some(old) = self.rollouts.remove(name) else { return };
        let simulated = self.settings(name).map_or(old.simulated, |settings| self.is_simulated(&settings));
        let stored = StoredState { route: old.route, fingerprint: old.fingerprint, simulated, state: old.state };
        let renewed = Managed::new(stored, old.policy, old.live.evidence(), self.wake.clone());
        self.rollouts.insert(name.to_owned(), renewed);
        self.publish_table();
    }

    /// A process that died may have seen a breach it did not write down; the restored evidence knows.
    fn heed_restored_breaches(&mut self) {
        let names: Vec<String> = self.rollouts.keys().cloned().collect();
        for name in names {
            let Some(rollout) = self.rollouts.get(&name) else { continue };
            let breach = rollout.live.with_evidence(|evidence| evidence.breach().cloned());
            if let Some(breach) = breach.filter(|_| rollout.is_live()) {
                tracing::warn!(rollout = name, "the record holds a breach from before the restart");
                if let Err(error) = self.happen(&name, &Event::Rollback { breach }) {
                    tracing::error!(rollout = name, %error, "rollback not written down yet");
                }
            }
        }
    }

    fn save_evidence(&mut self, name: &str) -> Result<(), DatabaseError> {
        let Some(rollout) = self.rollouts.get(name) else { return Ok(()) };
        if !rollout.is_live() {
            return Ok(());
        }
        let mark = rollout.live.with_evidence(|evidence| (evidence.epoch(), managed::weight(evidence)));
        if self.saved.get(name) == Some(&mark) {
            return Ok(());
        }
        // Copied under the lock, serialized outside it: the request path waits some microseconds, twice a second.
        let (copy, counted, at) =
            rollout.live.with_evidence(|evidence| (evidence.snapshot(), evidence.take_new_seen_units(), live::now()));
        let counted = counted.into_iter().map(|seen| SeenUnit { unit: seen.unit, flags: seen.marks });
        let (_, units) = self.unsaved.remove(name).filter(|(epoch, _)| *epoch == copy.epoch()).unwrap_or_default();
        let units: Vec<SeenUnit> = units.into_iter().chain(counted).collect();
        match managed::evidence_row(name, &copy, at) {
            Ok(row) => {
                if let Err(error) = self.database.save_evidence(&row, &units) {
                    self.unsaved.insert(name.to_owned(), (copy.epoch(), units));
                    return Err(error);
                }
            }
            Err(error) => tracing::error!(rollout = name, %error, "evidence cannot be serialized"),
        }
        self.saved.insert(name.to_owned(), mark);
        self.store_took_it();
        Ok(())
    }

    fn store_took_it(&mut self) {
        if let Some(refusing) = self.refusing.take() {
            tracing::info!(for_s = refusing.since.elapsed().as_secs(), "the store takes writes again");
        }
    }

    fn store_refused(&mut self, error: &DatabaseError) {
        let now = Instant::now();
        match &mut self.refusing {
            Some(refusing) => refusing.probed = now,
            None => {
                tracing::error!(%error, "the store does not take writes; shares can fall but not rise");
                self.refusing = Some(Refusing { since: now, probed: now, lost: false });
            }
        }
    }

    fn probe_store(&mut self) {
        let Some(refusing) = &mut self.refusing else { return };
        if refusing.probed.elapsed() >= PROBE_EVERY {
            refusing.probed = Instant::now();
            if self.database.probe().is_ok() {
                self.store_took_it();
                return;
            }
        }
        let Some(refusing) = &mut self.refusing else { return };
        if !refusing.lost && refusing.since.elapsed() >= self.patience {
            refusing.lost = true;
            self.control_plane_lost();
        }
    }

    /// Shadow and canary go back to the baseline; majority and full stay, with their guards armed.
    fn control_plane_lost(&mut self) {
        let early = |rollout: &Managed| rollout.state.stage(&rollout.policy) <= Stage::Canary && rollout.is_live();
        let names: Vec<String> =
            self.rollouts.iter().filter(|(_, rollout)| early(rollout)).map(|(name, _)| name.clone()).collect();
        tracing::error!(reverted = ?names, "control plane lost: shadow and canary reverted, later stages frozen");
        for name in names {
            let event = Event::Rollback { breach: Breach::control_plane_lost() };
            // The store refuses, so this ends as pending: the share is 0 at once, the row follows.
            if let Err(error) = self.happen(&name, &event) {
                tracing::warn!(rollout = name, %error, "reverted; to be written down when the store is back");
            }
        }
    }

    fn settings(&self, name: &str) -> Option<Arc<RolloutSettings>> {
        self.snapshot.load().rollouts.get(name).cloned()
    }

    fn is_simulated(&self, settings: &RolloutSettings) -> bool {
        let snapshot = self.snapshot.load();
        [&settings.baseline, &settings.candidate]
            .into_iter()
            .any(|name| snapshot.target(name).is_some_and(|target| target.provider.is_simulated()))
    }

    fn refuse_taken_route(&self, name: &str) -> Result<(), ControlError> {
        let route = match self.rollouts.get(name) {
            Some(rollout) => rollout.route.clone(),
            None => self.settings(name).ok_or_else(|| ControlError::Unknown(name.into()))?.route.clone(),
        };
        let taken =
            self.rollouts.iter().find(|(other, rollout)| *other != name && rollout.is_live() && rollout.route == route);
        match taken {
            Some((other, _)) => {
                Err(ControlError::Refused(format!("route `{route}` is split by rollout `{other}`; abort that first")))
            }
            None => Ok(()),
        }
    }

    fn publish_table(&self) {
        let live = self.rollouts.values().filter(|rollout| rollout.is_live() || rollout.pending.is_some());
        let on_trial = self.rollouts.values().filter(|rollout| rollout.state.status != Status::Completed);
        let barred = on_trial.map(|rollout| rollout.state.candidate.clone()).collect();
        self.live.publish(live.map(|rollout| Arc::clone(&rollout.live)), barred);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function for map_err")]
fn refused(refused: rollout::Refused) -> ControlError {
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
