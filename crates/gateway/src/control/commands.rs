//! What operators ask for.

use std::sync::Arc;

use govern::Role;
use rollout::{Decided, Event, Evidence, State, Status, Transition};

use super::managed::{Managed, Pending, StoredState};
use super::moves::refused;
use super::run::Work;
use super::{ControlError, RolloutSettings, Verb};
use crate::live::{self, Counting};
use crate::snapshot::cohorts::cohort_of;

impl Work {
    /// Carries out an operator's command.
    pub(super) fn command(
        &mut self,
        verb: Verb,
        name: &str,
        actor: &str,
        reason: &str,
    ) -> Result<Transition, ControlError> {
        if self.withheld.is_some() {
            let why = "what the last process recorded is still being read; everybody is on the baseline meanwhile";
            return Err(ControlError::Refused(why.into()));
        }
        self.refuse_retired(name)?;
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        let reason = match verb {
            Verb::Promote | Verb::Accept => self.with_overruled(name, reason)?,
            _ => reason,
        };
        let event = match verb {
            Verb::Start => return self.start(name, &actor),
            Verb::Promote => Event::ForcePromote { actor, reason },
            // The admin listener lets nobody else through.
            Verb::Approve => Event::Approve { actor, role: Role::Approver.as_str().into() },
            Verb::Extend => Event::Extend { actor, reason },
            Verb::Accept => Event::Accept { actor, reason },
            Verb::Pause => Event::Pause { actor, reason },
            Verb::Abort => Event::Abort { actor, reason },
            Verb::Resume => return self.resume(name, Event::Resume { actor, reason }),
        };
        self.happen(name, &event)
    }

    /// A completed rollout that is out of the config splits nothing: no verb moves anybody.
    fn refuse_retired(&self, name: &str) -> Result<(), ControlError> {
        let snapshot = self.snapshot.load();
        let Some(rollout) = self.rollouts.get(name).filter(|rollout| rollout.live.is_retired(&snapshot)) else {
            return Ok(());
        };
        let (route, baseline) = (&rollout.route, &rollout.state.baseline);
        let target = snapshot.routes.get(route).map_or("nobody", |route| route.target.as_str());
        Err(ControlError::Refused(format!(
            "nothing is split any more: the config's route `{route}` asks `{target}` itself; to go back, set `routes.{route}.target: {baseline}` in \
             the config{} and reload",
            snapshot.routes.get(route).map_or("", |route| {
                if route.fallback.contains(baseline) { ", out of its `fallback`," } else { "" }
            })
        )))
    }

    /// The reason, and what it sets aside. Nobody is sent to a candidate that cannot be reached, whatever the reason.
    fn with_overruled(&self, name: &str, reason: String) -> Result<String, ControlError> {
        let Some(rollout) = self.rollouts.get(name).filter(|rollout| rollout.is_live()) else { return Ok(reason) };
        let health = self.health(name);
        if health.candidate_breaker_open {
            let snapshot = self.snapshot.load();
            let target = snapshot.target(&rollout.state.candidate);
            let why = target.and_then(|target| self.lanes.trouble(target, rollout.state.share(&rollout.policy) <= 0.0));
            let why = why.map_or_else(String::new, |why| format!(" ({})", why.words()));
            let said = format!("the candidate's circuit breaker is open{why}: promote it when it answers");
            return Err(ControlError::Refused(said));
        }
        if reason.trim().is_empty() {
            return Ok(reason);
        }
        let overruled = rollout.live.with_counting(|counting| {
            rollout::overruled(&rollout.policy, &rollout.state, &counting.evidence, &health, live::now())
        });
        Ok(if overruled.is_empty() { reason } else { format!("{reason}; overrules: {overruled}") })
    }

    pub(super) fn start(&mut self, name: &str, actor: &str) -> Result<Transition, ControlError> {
        let settings = self.settings(name).ok_or_else(|| ControlError::Unknown(name.into()))?;
        if let Some(known) = self.rollouts.get(name) {
            let status = known.state.status.as_str().replace('_', " ");
            let next = match known.state.status {
                Status::RolledBack | Status::Aborted => "`resume` begins it again from shadow",
                Status::Paused => "`resume` lets it go on",
                Status::Held => "`extend`, `accept` or `abort` says how it goes on",
                Status::Completed => "give a new one another name",
                Status::Draft | Status::Active | Status::AwaitingApproval => "`status` says where it stands",
            };
            return Err(ControlError::Refused(format!("rollout `{name}` is {status}; {next}")));
        }
        self.refuse_taken_route(name)?;
        let salt = format!("{name}-{}", live::now().0);
        let targets = (settings.baseline.as_str(), settings.candidate.as_str());
        let draft = State::draft(name, &salt, actor, targets, &settings.policy);
        let event = Event::Start { actor: actor.into() };
        let now = live::now();
        let (state, transition) = rollout::apply(&settings.policy, &draft, &event, None, now).map_err(refused)?;
        let begun = Evidence::begin(&settings.policy, &state, None);
        let stored = StoredState {
            route: settings.route.clone(),
            fingerprint: settings.fingerprint.clone(),
            simulated: self.is_simulated(&settings),
            facts: settings.facts.clone(),
            taken_back: None,
            released: false,
            state: state.clone(),
        };
        let counting = Counting::begin(begun.clone());
        let rollout = Managed::new(stored, settings.policy.clone(), counting, self.wake.clone());
        self.rollouts.insert(name.to_owned(), rollout);
        let decided = Decided::without_evidence(now, draft, settings.policy.clone(), event);
        let pending = Pending { state, transition: transition.clone(), counted: None, begun: Some(begun), decided };
        if let Err(error) = self.commit(name, &pending, 0) {
            self.rollouts.remove(name);
            return Err(error);
        }
        self.note_journal(name);
        self.publish_table();
        tracing::info!(rollout = name, actor, "rollout started");
        Ok(transition)
    }

    /// After a pause, on as before. After a rollback or an abort, from shadow under what the config says now.
    pub(super) fn resume(&mut self, name: &str, event: Event) -> Result<Transition, ControlError> {
        self.refuse_taken_route(name)?;
        let settings = self.settings(name);
        if settings.is_none()
            && let Some(over) = self.rollouts.get(name)
            && matches!(over.state.status, Status::RolledBack | Status::Aborted)
        {
            return Err(ControlError::Refused(format!(
                "it is out of the config, and the route `{}` goes where the config says: with its block back in the config and a `reload` it can be resumed",
                over.route
            )));
        }
        let Some(rollout) = self.rollouts.get_mut(name) else { return Err(ControlError::Unknown(name.into())) };
        let (Status::RolledBack | Status::Aborted, Some(settings)) = (rollout.state.status, settings) else {
            return self.happen(name, &event);
        };
        let before =
            (rollout.policy.clone(), rollout.state.clone(), rollout.fingerprint.clone(), rollout.taken_back.clone());
        rollout.taken_back = match (rollout.fingerprint == settings.fingerprint, rollout.state.status) {
            (false, _) => None,
            (true, Status::RolledBack) => Some(rollout.state.reason.clone()),
            (true, _) => rollout.taken_back.take(),
        };
        rollout.policy = settings.policy.clone();
        rollout.fingerprint.clone_from(&settings.fingerprint);
        rollout.state.baseline.clone_from(&settings.baseline);
        rollout.state.candidate.clone_from(&settings.candidate);
        rollout.state.policy_hash = settings.policy.hash();
        let result = self.happen(name, &event);
        if result.is_ok() {
            self.renew_identity(name);
        } else if let Some(rollout) = self.rollouts.get_mut(name) {
            (rollout.policy, rollout.state, rollout.fingerprint, rollout.taken_back) = before;
        }
        result
    }

    pub(super) fn settings(&self, name: &str) -> Option<Arc<RolloutSettings>> {
        self.snapshot.load().rollouts.get(name).cloned()
    }

    pub(super) fn is_simulated(&self, settings: &RolloutSettings) -> bool {
        let snapshot = self.snapshot.load();
        [&settings.baseline, &settings.candidate].into_iter().any(|name| {
            snapshot.target(name).is_some_and(|target| target.providers().any(|provider| provider.is_simulated()))
        })
    }

    /// A rollout may begin beside others of its route while all of them are in shadow: they are contenders, and one goes on.
    pub(super) fn refuse_taken_route(&self, name: &str) -> Result<(), ControlError> {
        let route = match self.rollouts.get(name) {
            Some(rollout) => rollout.route.clone(),
            None => self.settings(name).ok_or_else(|| ControlError::Unknown(name.into()))?.route.clone(),
        };
        match self.serving_on(&route, name) {
            Some(other) => {
                Err(ControlError::Refused(format!("route `{route}` is split by rollout `{other}`; abort that first")))
            }
            None => Ok(()),
        }
    }

    /// Another rollout of the route that serves anyone: while it does, none of its contenders goes beyond shadow.
    pub(super) fn serving_on(&self, route: &str, beside: &str) -> Option<&str> {
        let snapshot = self.snapshot.load();
        let serves = |rollout: &Managed| {
            rollout.is_live() && rollout.state.share(&rollout.policy) > 0.0 && !rollout.live.is_retired(&snapshot)
        };
        let mut others = self.rollouts.iter().filter(|(other, rollout)| {
            *other != beside && rollout.route == route && cohort_of(other) == cohort_of(beside)
        });
        others.find(|(_, rollout)| serves(rollout)).map(|(other, _)| other.as_str())
    }

    /// Names of targets may have changed with the config: the live rollout is made anew around the same state.
    pub(super) fn renew_identity(&mut self, name: &str) {
        let Some(old) = self.rollouts.remove(name) else { return };
        let simulated = self.settings(name).map_or(old.simulated, |settings| self.is_simulated(&settings));
        let facts = self.settings(name).map_or(old.facts, |settings| settings.facts.clone());
        let stored = StoredState {
            route: old.route,
            fingerprint: old.fingerprint,
            simulated,
            facts,
            taken_back: old.taken_back,
            released: old.released,
            state: old.state,
        };
        let renewed = Managed::new(stored, old.policy, old.live.hand_over(), self.wake.clone());
        self.rollouts.insert(name.to_owned(), renewed);
        self.publish_table();
    }
}
