//! The controller's work between two turns: what it takes up at the start, and what it looks at in every tick. Commands are in
//! `commands.rs`, the way of one rollout through one event in `moves.rs`, the store's refusals in `storing.rs`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rollout::{Decision, Event, Filed, Health, Policy, Status};
use store::{CountedRow, Database, Journal, RolloutRow};

use super::managed::{self, Managed, Moment, StoredState};
use super::{CandidateFacts, ControllerParts, StartError};
use crate::detour::Detour;
use crate::drill::Drill;
use crate::lately::Lately;
use crate::live::{self, Counted, LiveTable, Waker};
use crate::snapshot::Snapshot;
use crate::targets::Lanes;

/// Evidence is at most this old in the store, and so at most this much of it has to be replayed after a crash.
const SAVE_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Work {
    pub(super) database: Database,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) live: Arc<LiveTable>,
    pub(super) journal: Journal,
    pub(super) lanes: Arc<Lanes>,
    pub(super) wake: Waker,
    pub(super) tick: Duration,
    pub(super) patience: Duration,
    /// While set, nothing is live: what earlier processes recorded is not all in the store.
    pub(super) withheld: Option<Box<dyn Fn() -> bool + Send>>,
    pub(super) rollouts: BTreeMap<String, Managed>,
    pub(super) saved: HashMap<String, (u32, u64)>,
    /// What was counted and could not be saved.
    pub(super) unsaved: HashMap<String, CountedRow>,
    pub(super) saved_at: Instant,
    pub(super) refusing: Option<Refusing>,
    pub(super) journal_base: HashMap<String, (u64, u64)>,
    /// What was filed for each rollout, as it was when evidence was saved last.
    pub(super) filed: HashMap<String, Vec<Filed>>,
    /// Drills that are on, or whose result is not filed yet.
    pub(super) drills: BTreeMap<String, Arc<Drill>>,
    /// The detour that is on, or is not written down yet.
    pub(super) detour: Option<Arc<Detour>>,
    /// When nothing was left to prune.
    pub(super) pruned_at: Option<Instant>,
}

/// A store that does not take writes.
pub(super) struct Refusing {
    pub(super) since: Instant,
    pub(super) probed: Instant,
    pub(super) lost: bool,
}

impl Work {
    pub(super) fn load(parts: ControllerParts, wake: Waker) -> Result<Self, StartError> {
        let ControllerParts { database, snapshot, live, journal, lanes, record_ready, tick, store_patience } = parts;
        let mut work = Self {
            database,
            snapshot,
            live,
            journal,
            lanes,
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
            filed: HashMap::new(),
            drills: BTreeMap::new(),
            detour: None,
            pruned_at: None,
        };
        work.take_up()?;
        Ok(work)
    }

    /// Takes up what the store holds, once it holds everything: the last evidence of a process that died is in the record.
    pub(super) fn take_up(&mut self) -> Result<(), StartError> {
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

    pub(super) fn restore(&self, row: &RolloutRow, with_record: bool) -> Result<Managed, StartError> {
        let corrupt = |source| StartError::Corrupt { name: row.name.clone(), source };
        let stored: StoredState = serde_json::from_str(&row.state_json).map_err(corrupt)?;
        let policy: Policy = serde_json::from_str(&row.policy_json).map_err(corrupt)?;
        let epoch = stored.state.epoch;
        let evidence = self.database.load_evidence(&row.name, epoch).map_err(StartError::Load)?;
        let counted = self.database.seen_units(&row.name, epoch).map_err(StartError::Load)?;
        let saved_at = evidence.as_ref().map_or(0, |saved| saved.updated_at_us);
        let lately = evidence.as_ref().map(|saved| Lately::from_bytes(&saved.lately, saved.updated_at_us));
        let lately = lately.unwrap_or_default();
        let outcomes = if with_record && stored.state.status.is_serving() {
            self.database.epoch_outcomes(&row.name, epoch, lately.since_us()).map_err(StartError::Load)?
        } else {
            Vec::new()
        };
        let signals = if with_record && stored.state.status.is_serving() {
            self.database.epoch_signals(&row.name, epoch, saved_at).map_err(StartError::Load)?
        } else {
            Vec::new()
        };
        let n_inputs = self.database.next_input(&row.name, epoch).map_err(StartError::Load)?;
        let saved = managed::Saved { evidence, counted, outcomes, signals, n_inputs, lately };
        let counting = managed::restore(&policy, &stored.state, saved).map_err(corrupt)?;
        Ok(Managed::new(stored, policy, counting, self.wake.clone()))
    }

    pub(super) fn tick(&self) -> Duration {
        self.tick
    }

    /// Writes down breaches that the request path found, and whatever else the store has not taken yet.
    pub(super) fn persist_trips(&mut self) {
        let names: Vec<String> = self.rollouts.keys().cloned().collect();
        for name in names {
            self.persist_trip(&name);
            self.retry_pending(&name);
        }
    }

    /// Looks at every rollout once: config, harm, gates, evidence to save, a store that refuses.
    pub(super) fn tick_all(&mut self) {
        if self.withheld.as_ref().is_some_and(|record_ready| record_ready())
            && let Err(error) = self.take_up()
        {
            tracing::error!(error = &error as &dyn std::error::Error, "the stored rollouts cannot be taken up");
        }
        self.probe_store();
        if self.withheld.is_none() {
            self.heed_retired();
        }
        let names: Vec<String> = self.rollouts.keys().cloned().collect();
        for name in &names {
            self.heed_config(name);
            self.decide(name);
        }
        if self.saved_at.elapsed() >= SAVE_EVERY {
            self.read_filed();
            self.heed_others();
            self.save_all_evidence();
            if self.withheld.is_none() {
                self.prune();
            }
        }
    }

    /// Whoever moved a rollout in the store leads it. What cannot be read is the store's refusal, which has its own patience.
    fn heed_others(&mut self) {
        let waiting = |rollout: &Managed| rollout.is_live() && !rollout.stranded && rollout.pending.is_none();
        let ours = self.rollouts.iter().filter(|(_, rollout)| waiting(rollout));
        let moved = ours.filter(|(name, rollout)| {
            let stored = self.database.load_rollout(name);
            stored.is_ok_and(|row| row.is_some_and(|row| row.generation != rollout.state.generation))
        });
        let moved: Vec<String> = moved.map(|(name, _)| name.clone()).collect();
        for name in moved {
            self.strand(&name);
        }
    }

    pub(super) fn decide(&mut self, name: &str) {
        let Some(rollout) = self.rollouts.get(name) else { return };
        if rollout.pending.is_some() || rollout.stranded || !rollout.is_live() {
            return;
        }
        // It splits nothing any more, so there is nothing to take back: what its candidate does now is the route's own.
        if rollout.live.is_retired(&self.snapshot.load()) {
            return;
        }
        let health = self.health(name);
        let status = rollout.state.status;
        let may_not_serve = rollout.state.share(&rollout.policy) <= 0.0
            && (self.serving_on(&rollout.route, name).is_some()
                || self.settings(name).is_some_and(|settings| !settings.facts.unmet.is_empty()));
        // Decided and taken in one moment: the evidence that is written down is the one that was decided on.
        let decided = rollout.live.with_counting(|counting| {
            let now = live::now();
            let decision = rollout::decide(&rollout.policy, &rollout.state, &counting.evidence, &health, now);
            if matches!((&decision, status), (Decision::AwaitApproval { .. }, Status::AwaitingApproval)) {
                return None;
            }
            let event = decision.into_event()?;
            // One of several contenders goes on, and the others wait until it is back.
            if may_not_serve && matches!(event, Event::Promote { .. }) {
                return None;
            }
            Some((event, Counted { at: now, ..counting.take() }))
        });
        let Some((event, counted)) = decided else { return };
        if let Err(error) = self.happen_at(name, &event, Moment { counted, health, decided: true }) {
            tracing::warn!(rollout = name, event = event.name(), %error, "a decision could not be carried out");
        }
    }

    /// Journal records and drops since this epoch began, and whether the candidate can be reached. In shadow the copies know, and
    /// callers of other routes while they are refused; once anybody is served, only callers count.
    pub(super) fn health(&self, name: &str) -> Health {
        let candidate = self.rollouts.get(name).and_then(|rollout| {
            let snapshot = self.snapshot.load();
            let target = snapshot.target(&rollout.state.candidate)?;
            Some(self.lanes.is_down(target, rollout.state.share(&rollout.policy) <= 0.0))
        });
        let counts = self.journal.counts();
        let (records, dropped) = self.journal_base.get(name).copied().unwrap_or_default();
        Health {
            journal_records: counts.records.saturating_sub(records),
            journal_dropped: (counts.dropped + counts.failed).saturating_sub(dropped),
            candidate_breaker_open: candidate.unwrap_or(false),
            filed: self.filed.get(name).cloned().unwrap_or_default(),
        }
    }

    /// Looks at what was filed since. What cannot be read is as good as not filed: nothing passes by it.
    fn read_filed(&mut self) {
        let live = self.rollouts.iter().filter(|(_, rollout)| rollout.is_live() && !rollout.policy.filed.is_empty());
        let read = live.map(|(name, _)| {
            let rows = self.database.filed(name).unwrap_or_else(|error| {
                tracing::warn!(rollout = name, %error, "filed results cannot be read");
                Vec::new()
            });
            (name.clone(), managed::latest(&rows))
        });
        self.filed = read.collect();
    }

    pub(super) fn note_journal(&mut self, name: &str) {
        let counts = self.journal.counts();
        self.journal_base.insert(name.to_owned(), (counts.records, counts.dropped + counts.failed));
    }

    /// What completed, was let go by the config and is in it again proves nothing of today: it is begun again by a person, with copies.
    fn heed_return(&mut self, name: &str) {
        let reason =
            "it completed and was taken out of the config; now that it is back nobody is split by what it proved then"
                .to_owned();
        match self.happen(name, &Event::Abort { actor: "config".into(), reason }) {
            Ok(_) => self.rollouts.get_mut(name).into_iter().for_each(|rollout| rollout.released = false),
            Err(error) => tracing::warn!(rollout = name, %error, "what is back in the config is not ended yet"),
        }
    }

    /// A changed target, prompt or parameter ends the evidence: back to shadow.
    pub(super) fn heed_config(&mut self, name: &str) {
        let Some(settings) = self.settings(name) else { return };
        if self.rollouts.get(name).is_some_and(|rollout| rollout.released && rollout.pending.is_none()) {
            return self.heed_return(name);
        }
        let Some(rollout) = self.rollouts.get(name) else { return };
        if !rollout.is_live() || rollout.pending.is_some() {
            return;
        }
        if rollout.fingerprint == settings.fingerprint {
            return self.heed_facts(name, &settings.facts);
        }
        let event = Event::Changed {
            what: "a target, a rule or a cohort".into(),
            baseline: settings.baseline.clone(),
            candidate: settings.candidate.clone(),
        };
        let Some(rollout) = self.rollouts.get_mut(name) else { return };
        let before = std::mem::replace(&mut rollout.fingerprint, settings.fingerprint.clone());
        let taken_back = rollout.taken_back.take();
        match self.happen(name, &event) {
            Ok(_) => self.renew_identity(name),
            Err(error) => {
                tracing::warn!(rollout = name, %error, "a changed target could not be taken up");
                if let Some(rollout) = self.rollouts.get_mut(name) {
                    rollout.fingerprint = before;
                    rollout.taken_back = taken_back;
                }
            }
        }
    }

    /// What the config says of the candidate, and what its route requires, is written down for whoever compares candidates. It is no
    /// change of the rollout.
    fn heed_facts(&mut self, name: &str, facts: &CandidateFacts) {
        let Some(rollout) = self.rollouts.get_mut(name).filter(|rollout| rollout.facts != *facts) else { return };
        rollout.facts = facts.clone();
        let written = rollout.row(&rollout.state).map(|row| self.database.renew_rollout(&row));
        match written {
            Ok(Ok(_)) => {
                tracing::info!(rollout = name, unmet = facts.unmet.join("; "), "the candidate's labels changed")
            }
            // The next transition writes them.
            Ok(Err(error)) => tracing::warn!(rollout = name, %error, "changed labels are not written down yet"),
            Err(error) => tracing::warn!(rollout = name, %error, "changed labels cannot be written down"),
        }
    }

    /// A process that died may have seen a breach it did not write down; the restored evidence knows.
    pub(super) fn heed_restored_breaches(&mut self) {
        let names: Vec<String> = self.rollouts.keys().cloned().collect();
        for name in names {
            let Some(rollout) = self.rollouts.get(&name) else { continue };
            let breach = rollout.live.with_counting(|counting| counting.evidence.breach().cloned());
            if let Some(breach) = breach.filter(|_| rollout.is_live()) {
                tracing::warn!(rollout = name, "the record holds a breach from before the restart");
                if let Err(error) = self.happen(&name, &Event::Rollback { breach }) {
                    tracing::error!(rollout = name, %error, "rollback not written down yet");
                }
            }
        }
    }
}
