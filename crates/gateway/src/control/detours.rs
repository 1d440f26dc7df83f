//! Detours of routes: begun here, looked at in every turn, ended and written down here. No rollout is ever moved by one.

use std::sync::Arc;
use std::time::Instant;

use rollout::{FiledKind, Status};
use sha2::{Digest, Sha256};
use store::{AuditRow, FiledRow};

use super::ControlError;
use super::run::Work;
use super::storing::PROBE_EVERY;
use crate::detour::{Detour, DetourReport, Due, Plan, Probes, WayBack};
use crate::drill::{Asked, Verdict};
use crate::live;

/// How an exit drill is called among the drills that are filed for a rollout.
const EXIT: &str = "exit";

impl Work {
    /// Begins one, when the route could go there and back.
    pub(super) fn begin_detour(&mut self, route: &str, plan: Plan, asked: Asked) -> Result<DetourReport, ControlError> {
        let refused = |why: String| Err(ControlError::Refused(why));
        let snapshot = self.snapshot.load_full();
        let Some(named) = snapshot.routes.get(route) else {
            return refused(format!("there is no route `{route}` in the config"));
        };
        let (Some(own), Some(alternative)) = (snapshot.target(&named.target), snapshot.target(&plan.to)) else {
            return refused(format!("there is no target `{}` in the config", plan.to));
        };
        if named.target == plan.to {
            return refused(format!("`{}` is the route's own target already", plan.to));
        }
        if let Some(why) = plan.problem() {
            return refused(why);
        }
        if self.withheld.is_some() {
            return refused("what the last process recorded is still being read".to_owned());
        }
        if let Some(on) = self.live.detour().filter(|detour| !detour.is_over()) {
            return refused(format!("an exit drill of route `{}` is on already", on.route()));
        }
        let of_route = || self.rollouts.iter().filter(|(_, rollout)| rollout.route == route);
        if let Some((name, _)) =
            of_route().find(|(_, it)| it.state.status == Status::RolledBack && it.state.candidate == plan.to)
        {
            let why = format!(
                "rollout `{name}` was rolled back from `{}`: what does harm is not rehearsed with callers",
                plan.to
            );
            return refused(why);
        }
        if let Some((name, _)) = of_route().find(|(name, _)| self.drills.get(*name).is_some_and(|drill| drill.is_on()))
        {
            return refused(format!("a drill is on for rollout `{name}`"));
        }
        // Nobody may have asked the alternative since its breaker opened: what counts of it is whether it is refused now.
        for (target, nobody_asks) in [(own, false), (alternative, true)] {
            if self.lanes.is_down(target, nobody_asks) {
                return refused(format!("`{}` takes no calls now: this is no time for a drill", target.name));
            }
        }
        let simulated = [own, alternative].iter().any(|target| target.providers().any(|it| it.is_simulated()));
        let audit = AuditRow {
            at_us: live::now().0,
            actor: asked.actor.clone(),
            action: "exit.drill".into(),
            subject: format!("route:{route}"),
            reason: asked.reason.clone(),
            detail_json: serde_json::to_string(&plan).unwrap_or_default(),
        };
        // What nobody could read about afterwards does not begin.
        self.database.note(&audit).map_err(ControlError::Store)?;
        let detour = Detour::new((plan, asked), (route, &named.target), &snapshot.hash, simulated);
        let detour = Arc::new(detour);
        tracing::warn!(route, to = detour.to(), "an exit drill begins");
        self.live.note_detour(Some(Arc::clone(&detour)));
        self.detour = Some(Arc::clone(&detour));
        Ok(detour.report())
    }

    /// Sends the route back, and notes what was found meanwhile.
    pub(super) fn end_detour(
        &mut self,
        route: &str,
        (probes, why): (Option<Probes>, WayBack),
    ) -> Result<DetourReport, ControlError> {
        let Some(detour) = self.detour.clone().filter(|detour| detour.route() == route && !detour.is_over()) else {
            return Err(ControlError::Refused(format!("no exit drill of route `{route}` is on")));
        };
        if let Some(probes) = probes {
            detour.note_probes(probes);
        }
        detour.go_back(why);
        Ok(detour.report())
    }

    /// Moves it on where that is due, and writes it down once it is over.
    pub(super) fn turn_detour(&mut self) {
        let Some(detour) = self.detour.clone() else { return };
        let config = self.snapshot.load().hash.clone();
        match detour.due(&config, Instant::now()) {
            Some(Due::Switch) => {
                detour.switch();
                tracing::warn!(route = detour.route(), to = detour.to(), "an exit drill switches the route over");
            }
            Some(Due::Back(why)) => detour.go_back(why),
            Some(Due::Over) => self.close_detour(&detour),
            None => {}
        }
        if detour.is_over() {
            self.write_down(&detour);
        }
    }

    pub(super) fn stop_detour(&mut self) {
        let Some(detour) = self.detour.clone() else { return };
        detour.go_back(WayBack::Stopped);
        self.close_detour(&detour);
        self.write_down(&detour);
    }

    fn close_detour(&self, detour: &Detour) {
        let report = detour.end();
        let verdict = report.verdict.map_or("-", Verdict::as_str);
        tracing::warn!(route = detour.route(), verdict, words = report.words(), "an exit drill is over");
    }

    /// The whole report goes to the audit; a verdict is also filed for rollouts of the route to that target. What the store does not take
    /// is tried again in the next turn.
    fn write_down(&mut self, detour: &Detour) {
        if self.refusing.as_ref().is_some_and(|refusing| refusing.probed.elapsed() < PROBE_EVERY) {
            return;
        }
        let report = detour.report();
        let now_us = live::now().0;
        let json = serde_json::to_string(&report).unwrap_or_default();
        let audit = |subject: String| AuditRow {
            at_us: now_us,
            actor: report.actor.clone(),
            action: "exit.drill_over".into(),
            subject,
            reason: report.words(),
            detail_json: json.clone(),
        };
        let written = self.database.note(&audit(format!("route:{}", report.route)));
        if let Err(error) = written {
            return self.store_refused(&error);
        }
        self.detour = None;
        let passed = match report.verdict {
            Some(Verdict::Pass) => true,
            Some(Verdict::Fail) => false,
            Some(Verdict::Undecided) | None => return,
        };
        let is_of = |name: &&String| {
            self.rollouts.get(*name).is_some_and(|it| it.route == report.route && it.state.candidate == report.to)
        };
        for name in self.rollouts.keys().filter(is_of) {
            let row = FiledRow {
                rollout: name.clone(),
                kind: FiledKind::Drill.as_str().to_owned(),
                name: EXIT.to_owned(),
                passed,
                at_us: report.at_us,
                digest: Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect(),
                n: report.away.moved(),
                filed_at_us: now_us,
                actor: report.actor.clone(),
                note: report.words(),
                fingerprint: None,
            };
            if let Err(error) = self.database.file_result(&row, &audit(format!("rollout:{name}"))) {
                tracing::warn!(rollout = name, %error, "an exit drill is not filed for a rollout; the audit has it");
            }
        }
    }
}
