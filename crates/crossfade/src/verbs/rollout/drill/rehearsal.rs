//! The rehearsal itself: a gateway, traffic, a fault, and what came of it.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use gateway::drill::{Check, Kind as Fault, MOST_BAD_EVENTS, lateness};
use gateway::live::LiveRollout;
use operations::{Actor, OperationError, Role, rollouts};
use rollout::{Arm, Metric, Policy, Stage};
use serde_json::{Value, json};
use store::{Refusing, TransitionRow};

use super::{Kind, StoreFault, config_of};
use crate::out::Stop;
use crate::running::{Manner, Running};
use crate::verbs::quickstart::traffic::{Sent, Traffic};
use crate::verbs::source::operation;

pub(super) const ROLLOUT: &str = "drill";
const CONNECTIONS: usize = 8;
/// Bad events more that an outage may take, where good answers under way come between.
const UNDER_WAY: u64 = 2;
/// How often the rehearsal looks.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long a store may refuse before the control plane counts as lost; a minute in production.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// A control transaction waits so long for another writer; a state that a waiting controller must see takes a little longer.
pub(super) const CONTROLLER_MAY_TAKE: Duration = Duration::from_secs(20);
/// How long the gateway waits for a candidate that hangs.
const CANDIDATE_PATIENCE: Duration = Duration::from_millis(500);
/// Late answers take so many times as long as they may.
const LATER: f64 = 1.5;
/// Good answers of the candidate before anything fails.
const HONEYMOON: u64 = 50;
/// The switch, from the breaching outcome to a share of 0.
const MOST_SWITCH_MS: f64 = 10.0;
/// From the switch to its row in the store.
const MOST_PERSIST: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub checks: Vec<Check>,
    pub undecided: Option<String>,
    pub detected_after: Option<Duration>,
    pub requests: u64,
}

/// What is to be rehearsed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rehearsal {
    pub kind: Kind,
    pub step_idx: usize,
    pub seed: u32,
    pub at_most: Duration,
    pub verify: Duration,
    pub store_fault: StoreFault,
}

/// Everything that runs.
pub(super) struct Stagehand<'a> {
    pub(super) plan: Rehearsal,
    policy: &'a Policy,
    pub(super) running: &'a Running,
    pub(super) traffic: &'a Traffic,
    pub(super) live: Arc<LiveRollout>,
    pub(super) played: Played,
    /// The file of the store, and what makes it refuse.
    pub(super) store: &'a Path,
    pub(super) refusing: &'a Refusing,
    /// The highest share seen while waiting for something.
    pub(super) peak: Cell<f64>,
}

impl Rehearsal {
    /// Plays it from the first request to the last check.
    pub(super) fn play(self, directory: &Path, policy: &Policy) -> Result<Played, Stop> {
        let knobs = match self.knobs(policy) {
            Ok(knobs) => knobs,
            Err(why) => return Ok(Played { undecided: Some(why), ..Played::default() }),
        };
        let (config, path) = config_of(directory, (self.seed, self.patience(policy)), policy)?;
        let refusing = Refusing::default();
        let manner = Manner { store_patience: STORE_PATIENCE, refusing: Some(refusing.clone()) };
        let running = Running::start_in(&config, path, &manner)?;
        let traffic = Traffic::start(running.data_address(), self.seed, CONNECTIONS)?;
        let played = self.with((&running, &traffic), policy, &knobs, (&config.store, &refusing));
        let sent = traffic.stop();
        running.drain();
        Ok(Played { requests: sent.requests, ..played? })
    }

    /// The candidate's fault as the knobs of its simulated provider; why the policy could not see it, otherwise.
    fn knobs(self, policy: &Policy) -> Result<Value, String> {
        let fault = self.kind.fault().unwrap_or(Fault::Error);
        if let Some(why) = fault.why_unseen(policy, self.step_idx == 0) {
            return Err(why);
        }
        let late = lateness(policy, true).map(|(_, after)| after).unwrap_or_default();
        Ok(match fault {
            Fault::Error => json!({ "error_rate": 1.0 }),
            Fault::Hang => json!({ "hang_rate": 1.0 }),
            Fault::Malformed => json!({ "malformed_json_rate": 1.0 }),
            Fault::Refusal => json!({ "refusal_rate": 1.0 }),
            Fault::Latency => {
                let late_ms = late.mul_f64(LATER).as_secs_f64() * 1e3;
                json!({ "time_to_first_token": { "median": late_ms, "sigma": 0.0 } })
            }
        })
    }

    /// How long the gateway waits for the candidate's first token: not long, but longer than an answer that is to be late takes.
    fn patience(self, policy: &Policy) -> Duration {
        let objectives = policy.objectives;
        let late = objectives.first_token.max(objectives.total).filter(|_| self.kind == Kind::Latency);
        late.map_or(CANDIDATE_PATIENCE, |late| (late * 4).max(CANDIDATE_PATIENCE))
    }

    fn with(
        self,
        (running, traffic): (&Running, &Traffic),
        policy: &Policy,
        knobs: &Value,
        (store, refusing): (&Path, &Refusing),
    ) -> Result<Played, Stop> {
        change(running, "start")?;
        for _ in 0..self.step_idx {
            change(running, "promote")?;
        }
        let live = running.live(ROLLOUT).context("the rehearsed rollout did not become live")?;
        let (played, peak) = (Played::default(), Cell::new(0.0));
        let mut hand = Stagehand { plan: self, policy, running, traffic, live, played, store, refusing, peak };
        if !hand.until(CONTROLLER_MAY_TAKE, |hand| hand.candidate_answers() >= HONEYMOON || !hand.is_watching())?
            || !hand.is_watching()
        {
            hand.played.undecided = Some("the candidate did not answer well before anything was broken".to_owned());
            return Ok(hand.played);
        }
        let before = traffic.so_far();
        match self.kind {
            Kind::StoreDown => hand.store_down(knobs)?,
            Kind::LeaderLoss => hand.leader_loss(knobs)?,
            _ => hand.candidate_fails(knobs)?,
        }
        hand.callers(before);
        Ok(hand.played)
    }
}

impl Stagehand<'_> {
    /// The candidate's provider breaks: detected, switched, written down, and nothing reaches it any more.
    fn candidate_fails(&mut self, knobs: &Value) -> Result<(), Stop> {
        let bad_before = self.live.evidence().arm(Arm::Candidate).tally(Metric::Error).bad;
        let began = Instant::now();
        self.break_candidate(knobs)?;
        if !self.until(self.plan.at_most, |hand| !hand.is_watching())? {
            let within = format!("within {} s", self.plan.at_most.as_secs());
            self.check("the fault is seen", "no".to_owned(), within, false);
            return Ok(());
        }
        let (after, seen) = (began.elapsed(), Instant::now());
        self.played.detected_after = Some(after);
        self.check(
            "the fault is seen",
            format!("after {:.3} s", after.as_secs_f64()),
            format!("within {} s", self.plan.at_most.as_secs()),
            true,
        );
        let persisted = self.until(CONTROLLER_MAY_TAKE, |hand| hand.rollback().is_some())?;
        let took = seen.elapsed();
        self.check(
            "the rollback is in the store",
            format!("{:.0} ms after the switch", took.as_secs_f64() * 1e3),
            format!("within {} ms", MOST_PERSIST.as_millis()),
            persisted && took <= MOST_PERSIST,
        );
        if let Some(row) = self.rollback() {
            self.check_breach(&row, bad_before);
        }
        self.verify()
    }

    /// What the audit row says of the detection and the switch.
    fn check_breach(&mut self, row: &TransitionRow, bad_before: u64) {
        let evidence: Value = serde_json::from_str(&row.evidence_json).unwrap_or_default();
        let bad = evidence["breach"]["bad_candidate"].as_u64().map(|bad| bad.saturating_sub(bad_before));
        let cause = evidence["breach"]["cause"].as_str().unwrap_or("breaker_open").to_owned();
        let most = self.most_bad_events();
        // The promise is the breaker's, on what it watches.
        let is_counted = matches!(cause.as_str(), "relative" | "absolute")
            && evidence["breach"]["metric"].as_str() == self.policy.absolute.map(|breaker| breaker.metric.as_str());
        if let (Some(bad), Some(most)) = (bad.filter(|_| is_counted), most) {
            self.check(
                "bad events of the candidate until then",
                bad.to_string(),
                format!("at most {most}"),
                bad <= most,
            );
        }
        self.check("what saw it", cause, "a guard or a breaker".to_owned(), true);
        let switch_ms =
            row.reason.split("time_to_switch ").nth(1).and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        let words = switch_ms.map_or("not measured".to_owned(), |ms| format!("{ms:.3} ms"));
        let is_fast = switch_ms.is_some_and(|ms| ms <= MOST_SWITCH_MS);
        self.check("the switch, from the breaching outcome", words, format!("at most {MOST_SWITCH_MS:.0} ms"), is_fast);
    }

    /// An outage after a past must be found within so many bad events at any share. Good answers that were under way come between the
    /// first of them, and each takes away some of what a bad one has shown.
    fn most_bad_events(&self) -> Option<u64> {
        let is_outage = matches!(self.plan.kind, Kind::Error | Kind::Hang) && self.share() > 0.0;
        (is_outage && self.policy.absolute.is_some()).then_some(MOST_BAD_EVENTS + UNDER_WAY)
    }

    /// Nothing more reaches the candidate.
    pub(super) fn verify(&mut self) -> Result<(), Stop> {
        let reached = |hand: &Self| {
            let evidence = hand.live.evidence();
            hand.live.attempt_counts().begun + evidence.coverage().offered
        };
        let before = reached(self);
        let answered = self.traffic.so_far().answered;
        std::thread::sleep(self.plan.verify);
        let after = reached(self) - before;
        let target = format!("0 in {:.1} s", self.plan.verify.as_secs_f64());
        self.check("attempts and copies begun after the switch", after.to_string(), target, after == 0);
        let more = self.traffic.so_far().answered - answered;
        self.check("callers answered by the baseline meanwhile", more.to_string(), "more than 0".to_owned(), more > 0);
        Ok(())
    }

    /// With the control plane lost, a candidate that breaks is thrown back all the same, in memory.
    pub(super) fn guards_are_armed(&mut self, knobs: &Value) -> Result<(), Stop> {
        let began = Instant::now();
        self.break_candidate(knobs)?;
        let fell = self.until(self.plan.at_most, |hand| hand.live.view().share <= 0.0)?;
        self.played.detected_after = fell.then(|| began.elapsed());
        let words = if fell { format!("after {:.3} s", began.elapsed().as_secs_f64()) } else { "no".to_owned() };
        self.check(
            "guards are armed: a broken candidate is thrown back",
            words,
            format!("within {} s", self.plan.at_most.as_secs()),
            fell,
        );
        self.verify()
    }

    /// Nobody who asked may have noticed, but for answers that were under way when the candidate broke.
    fn callers(&mut self, before: Sent) {
        let now = self.traffic.so_far();
        let failed = (now.failed - before.failed) + (now.broken - before.broken);
        self.check("answers to callers that failed", failed.to_string(), "0".to_owned(), failed == 0);
    }

    fn break_candidate(&self, knobs: &Value) -> Result<(), Stop> {
        let actor = Actor::trusted("drill", Role::Operator);
        operations::simulated::turn(&self.running.desk, &actor, "candidate", knobs.to_string().as_bytes())
            .map_err(operation)?;
        Ok(())
    }

    pub(super) fn is_watching(&self) -> bool {
        self.live.view().watching
    }

    fn share(&self) -> f64 {
        self.policy.step(self.plan.step_idx).map_or(0.0, |step| step.share)
    }

    pub(super) fn is_early(&self) -> bool {
        self.policy.step(self.plan.step_idx).is_none_or(|step| step.stage <= Stage::Canary)
    }

    /// Answers of the candidate that were counted.
    fn candidate_answers(&self) -> u64 {
        self.live.evidence().arm(Arm::Candidate).tally(Metric::Error).n
    }

    pub(super) fn history(&self) -> Result<Vec<TransitionRow>, Stop> {
        rollouts::history(&self.running.desk.reader(), ROLLOUT).map_err(operation)
    }

    pub(super) fn rollback(&self) -> Option<TransitionRow> {
        self.history().ok()?.into_iter().find(|row| row.event == "rollback")
    }

    /// Waits for a state; whether it came in time.
    pub(super) fn until(&self, at_most: Duration, reached: impl Fn(&Self) -> bool) -> Result<bool, Stop> {
        let deadline = Instant::now() + at_most;
        while !reached(self) {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.peak.set(self.peak.get().max(self.live.view().share));
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }

    pub(super) fn check(&mut self, what: &str, measured: String, target: String, holds: bool) {
        self.played.checks.push(Check::new(what, measured, target, holds));
    }
}

fn change(running: &Running, verb: &str) -> Result<(), Stop> {
    change_as(running, verb).map_err(operation)
}

pub(super) fn change_as(running: &Running, verb: &str) -> Result<(), OperationError> {
    let actor = Actor::trusted("drill", Role::Admin);
    rollouts::change(&running.desk, &actor, ROLLOUT, verb, "drill").map(|_| ())
}
