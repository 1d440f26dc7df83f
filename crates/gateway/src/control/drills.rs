//! Drills on live rollouts: begun here, looked at in every turn, ended and filed here. The rollout itself is never moved by one.

use std::sync::Arc;
use std::time::Instant;

use rollout::FiledKind;
use sha2::{Digest, Sha256};
use store::{AuditRow, FiledRow};

use super::ControlError;
use super::run::Work;
use super::storing::PROBE_EVERY;
use crate::drill::{Asked, Drill, DrillReport, End, Plan, Verdict};
use crate::live;

impl Work {
    /// Begins one, when the rollout stands where it can be played and its baseline could take the traffic.
    pub(super) fn begin_drill(&mut self, name: &str, plan: Plan, asked: Asked) -> Result<DrillReport, ControlError> {
        let refused = |why: String| Err(ControlError::Refused(why));
        let rollout = self.rollouts.get(name).ok_or_else(|| ControlError::Unknown(name.into()))?;
        if self.drills.get(name).is_some_and(|drill| drill.is_on()) {
            return refused(format!("a drill is on for `{name}` already"));
        }
        if !rollout.is_live() || rollout.stranded || rollout.pending.is_some() {
            return refused(format!("`{name}` takes no traffic: there is nothing to rehearse"));
        }
        let view = rollout.live.view();
        let on_copies = view.share <= 0.0;
        let is_copying = view.shadow_sample > 0.0;
        drop(view);
        if plan.shadow.is_some_and(|shadow| shadow != on_copies) {
            let has = if on_copies {
                "copies alone; leave `--live` for `--shadow`"
            } else {
                "callers; copies are made in shadow alone"
            };
            return refused(format!("`{name}` is at {} and has {has}", rollout.state.label(&rollout.policy)));
        }
        if on_copies && !is_copying {
            return refused(format!("`{name}` copies nothing now"));
        }
        if on_copies && self.settings(name).is_some_and(|settings| settings.shadow.deferred.is_some()) {
            return refused(format!("the copies of `{name}` are made later: a drill would meet none"));
        }
        if let Some(why) = plan.kind.why_unseen(&rollout.policy, on_copies).or_else(|| plan.problem(&rollout.policy)) {
            return refused(why);
        }
        self.refuse_without_way_back(name)?;
        let rollout = self.rollouts.get(name).ok_or_else(|| ControlError::Unknown(name.into()))?;
        let config = self.snapshot.load().hash.clone();
        let kind = plan.kind;
        let order = serde_json::to_string(&plan).unwrap_or_default();
        let audit = AuditRow {
            at_us: live::now().0,
            actor: asked.actor.clone(),
            action: "rollout.drill".into(),
            subject: format!("rollout:{name}"),
            reason: asked.reason.clone(),
            detail_json: order,
        };
        // What nobody could read about afterwards does not begin.
        self.database.note(&audit).map_err(ControlError::Store)?;
        let (live, wake) = (Arc::clone(&rollout.live), self.wake.clone());
        let drill = Drill::new((plan, asked), (&rollout.policy, &rollout.state), (&live, &config), wake);
        let drill = Arc::new(drill);
        self.live.note_drill(name, &drill);
        self.drills.insert(name.to_owned(), Arc::clone(&drill));
        live.drill(Some(Arc::clone(&drill)));
        tracing::warn!(rollout = name, kind = kind.as_str(), on_copies, "a drill begins");
        Ok(drill.report())
    }

    /// No drill where the baseline is down, or the candidate is already.
    fn refuse_without_way_back(&self, name: &str) -> Result<(), ControlError> {
        let Some(rollout) = self.rollouts.get(name) else { return Ok(()) };
        let snapshot = self.snapshot.load();
        for (target, is_candidate) in [(&rollout.state.baseline, false), (&rollout.state.candidate, true)] {
            let shadowing = is_candidate && rollout.state.share(&rollout.policy) <= 0.0;
            if snapshot.target(target).is_some_and(|target| self.lanes.is_down(target, shadowing)) {
                let why = format!("`{target}` takes no calls now: this is no time for a drill");
                return Err(ControlError::Refused(why));
            }
        }
        Ok(())
    }

    pub(super) fn end_drill(&mut self, name: &str, actor: &str) -> Result<DrillReport, ControlError> {
        let Some(drill) = self.drills.get(name).filter(|drill| drill.is_on()).cloned() else {
            return Err(ControlError::Refused(format!("no drill is on for `{name}`")));
        };
        tracing::info!(rollout = name, actor, "a drill is ended by hand");
        self.close_drill(name, &drill, End::Ended);
        Ok(drill.report())
    }

    /// Ends those that are due, and files what is not filed yet.
    pub(super) fn turn_drills(&mut self) {
        let drills: Vec<_> = self.drills.iter().map(|(name, drill)| (name.clone(), Arc::clone(drill))).collect();
        for (name, drill) in drills {
            if drill.is_on() {
                let config = self.snapshot.load().hash.clone();
                let live = self.rollouts.get(&name).map(|rollout| &rollout.live);
                let Some(end) = drill.due((live, &config), Instant::now()) else { continue };
                self.close_drill(&name, &drill, end);
            }
            self.file_drill(&name, &drill);
        }
    }

    pub(super) fn stop_drills(&mut self) {
        let drills: Vec<_> = self.drills.iter().map(|(name, drill)| (name.clone(), Arc::clone(drill))).collect();
        for (name, drill) in drills {
            self.close_drill(&name, &drill, End::Stopped);
            self.file_drill(&name, &drill);
        }
    }

    /// The rollout serves by itself again before anything else is done.
    fn close_drill(&self, name: &str, drill: &Drill, end: End) {
        if let Some(rollout) = self.rollouts.get(name) {
            rollout.live.drill(None);
        }
        let report = drill.end(end);
        let verdict = report.verdict.map_or("-", Verdict::as_str);
        tracing::warn!(rollout = name, verdict, words = report.words(), "a drill is over");
    }

    /// Files a verdict for the gates that ask for one; a drill without one is written down alone. What the store does not take is tried
    /// again in the next turn.
    fn file_drill(&mut self, name: &str, drill: &Drill) {
        if self.refusing.as_ref().is_some_and(|refusing| refusing.probed.elapsed() < PROBE_EVERY) {
            return;
        }
        let report = drill.report();
        let filed_at_us = live::now().0;
        let json = serde_json::to_string(&report).unwrap_or_default();
        let audit = AuditRow {
            at_us: filed_at_us,
            actor: report.actor.clone(),
            action: "rollout.drill_over".into(),
            subject: format!("rollout:{name}"),
            reason: report.words(),
            detail_json: json.clone(),
        };
        let passed = match report.verdict {
            Some(Verdict::Pass) => Some(true),
            Some(Verdict::Fail) => Some(false),
            Some(Verdict::Undecided) | None => None,
        };
        let written = match passed {
            None => self.database.note(&audit),
            Some(passed) => {
                let digest = Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect();
                let row = FiledRow {
                    rollout: name.to_owned(),
                    kind: FiledKind::Drill.as_str().to_owned(),
                    name: report.kind.as_str().to_owned(),
                    passed,
                    at_us: report.at_us,
                    digest,
                    n: report.faults,
                    filed_at_us,
                    actor: report.actor.clone(),
                    note: report.words(),
                    fingerprint: None,
                };
                self.database.file_result(&row, &audit)
            }
        };
        match written {
            Ok(()) => drop(self.drills.remove(name)),
            Err(error) => self.store_refused(&error),
        }
    }
}
