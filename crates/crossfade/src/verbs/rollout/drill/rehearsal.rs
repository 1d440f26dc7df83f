//! The rehearsal itself: a gateway, traffic, a fault, and what came of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use gateway::drill::Check;
use gateway::live::LiveRollout;
use operations::{Actor, OperationError, Role, rollouts};
use rollout::{Arm, Metric, Policy, Stage};
use serde_json::{Value, json};
use store::{Database, TransitionRow};

use super::{Kind, config_of};
use crate::out::Stop;
use crate::running::Running;
use crate::verbs::quickstart::traffic::{Sent, Traffic};
use crate::verbs::source::operation;

const ROLLOUT: &str = "drill";
const CONNECTIONS: usize = 8;
/// How often the rehearsal looks.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long a store may refuse before the control plane counts as lost; a minute in production.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// A control transaction waits so long for another writer; a state that a waiting controller must see takes a little longer.
const CONTROLLER_MAY_TAKE: Duration = Duration::from_secs(20);
/// Good answers of the candidate before anything fails.
const HONEYMOON: u64 = 50;
/// Bad events of the candidate until an outage is found.
const MOST_BAD_EVENTS: u64 = 8;
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
}

/// Everything that runs.
struct Stagehand<'a> {
    plan: Rehearsal,
    policy: &'a Policy,
    running: &'a Running,
    traffic: &'a Traffic,
    live: Arc<LiveRollout>,
    played: Played,
}

impl Rehearsal {
    /// Plays it from the first request to the last check.
    pub(super) fn play(self, directory: &Path, policy: &Policy) -> Result<Played, Stop> {
        let knobs = match self.knobs(policy) {
            Ok(knobs) => knobs,
            Err(why) => return Ok(Played { undecided: Some(why), ..Played::default() }),
        };
        let (config, path) = config_of(directory, self.seed, policy)?;
        let running = Running::start_within(&config, path, STORE_PATIENCE)?;
        let traffic = Traffic::start(running.data_address(), self.seed, CONNECTIONS)?;
        let played = self.with(&running, &traffic, policy, &knobs, &config.store);
        let sent = traffic.stop();
        running.drain();
        Ok(Played { requests: sent.requests, ..played? })
    }

    /// The candidate's fault as the knobs of its simulated provider; why the policy could not see it, otherwise.
    fn knobs(self, policy: &Policy) -> Result<Value, String> {
        let watched = |metric: Metric| {
            let by_guard = policy.guards.iter().any(|guard| guard.metric == metric);
            let by_breaker = policy.absolute.is_some_and(|absolute| absolute.metric == metric) && self.step_idx > 0;
            let shadowed = self.step_idx > 0 || policy.shadow_guards;
            if (by_guard && shadowed) || by_breaker {
                Ok(())
            } else {
                Err(format!("the policy has no guard on the {}", metric.rate_name()))
            }
        };
        match self.kind {
            Kind::Hang => watched(Metric::Error).map(|()| json!({ "hang_rate": 1.0 })),
            Kind::Malformed => watched(Metric::Format).map(|()| json!({ "malformed_json_rate": 1.0 })),
            Kind::Refusal => watched(Metric::Refusal).map(|()| json!({ "refusal_rate": 1.0 })),
            Kind::Latency => {
                let objectives = policy.objectives;
                let late = objectives
                    .first_token
                    .or(objectives.total)
                    .ok_or("the policy has no latency objective: set `policy.objectives`")?;
                watched(if objectives.first_token.is_some() { Metric::SlowFirstToken } else { Metric::Slow })?;
                let late_ms = late.as_secs_f64() * 1500.0;
                Ok(json!({ "time_to_first_token": { "median": late_ms, "sigma": 0.0 } }))
            }
            Kind::Error | Kind::StoreDown | Kind::LeaderLoss => {
                watched(Metric::Error).map(|()| json!({ "error_rate": 1.0 }))
            }
        }
    }

    fn with(
        self,
        running: &Running,
        traffic: &Traffic,
        policy: &Policy,
        knobs: &Value,
        store: &Path,
    ) -> Result<Played, Stop> {
        change(running, "start")?;
        for _ in 0..self.step_idx {
            change(running, "promote")?;
        }
        let live = running.live(ROLLOUT).context("the rehearsed rollout did not become live")?;
        let mut hand = Stagehand { plan: self, policy, running, traffic, live, played: Played::default() };
        if !hand.until(CONTROLLER_MAY_TAKE, |hand| hand.candidate_answers() >= HONEYMOON || !hand.is_watching())?
            || !hand.is_watching()
        {
            hand.played.undecided = Some("the candidate did not answer well before anything was broken".to_owned());
            return Ok(hand.played);
        }
        let before = traffic.so_far();
        match self.kind {
            Kind::StoreDown => hand.store_down(store, knobs)?,
            Kind::LeaderLoss => hand.leader_loss(store, knobs)?,
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
        let is_counted = matches!(cause.as_str(), "relative" | "absolute");
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

    /// An outage must be found within so many bad events; good answers that were under way come between them.
    fn most_bad_events(&self) -> Option<u64> {
        let is_outage = matches!(self.plan.kind, Kind::Error | Kind::Hang) && self.share() > 0.0;
        (is_outage && self.policy.absolute.is_some()).then_some(MOST_BAD_EVENTS)
    }

    /// Nothing more reaches the candidate.
    fn verify(&mut self) -> Result<(), Stop> {
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

    fn store_down(&mut self, store: &Path, knobs: &Value) -> Result<(), Stop> {
        let database = Database::open(store).map_err(Stop::failed)?;
        let held = database.hold().map_err(Stop::failed)?;
        let began = Instant::now();
        if self.is_early() {
            let reverted = self.until(CONTROLLER_MAY_TAKE, |hand| !hand.is_watching())?;
            self.played.detected_after = reverted.then(|| began.elapsed());
            let target =
                format!("within {} s (patience {} s)", CONTROLLER_MAY_TAKE.as_secs(), STORE_PATIENCE.as_secs());
            self.check(
                "shadow and canary go back to the baseline",
                format!("after {:.1} s", began.elapsed().as_secs_f64()),
                target,
                reverted,
            );
            self.verify()?;
        } else {
            std::thread::sleep(STORE_PATIENCE + Duration::from_secs(8));
            let stays = self.is_watching() && self.live.view().share > 0.0;
            self.check("the share stays where it is", yes_no(stays), "yes".to_owned(), stays);
            self.guards_are_armed(knobs)?;
        }
        let share = self.live.view().share;
        drop(held);
        let written = self.until(CONTROLLER_MAY_TAKE, |hand| hand.rollback().is_some())?;
        self.check("written down once the store is back", yes_no(written), "yes".to_owned(), written);
        let never_rose = self.live.view().share <= share && share <= 0.0;
        self.check("no share above 0 afterwards", yes_no(never_rose), "yes".to_owned(), never_rose);
        Ok(())
    }

    fn leader_loss(&mut self, store: &Path, knobs: &Value) -> Result<(), Stop> {
        // What another gateway would do that leads now: it moves the rollout in the store.
        let other = Database::open(store).map_err(Stop::failed)?;
        let actor = Actor::trusted("another-gateway", Role::Operator);
        rollouts::abort_stored(&other, &actor, ROLLOUT, "drill: another process leads").map_err(operation)?;
        let began = Instant::now();
        if self.is_early() {
            let reverted = self.until(CONTROLLER_MAY_TAKE, |hand| !hand.is_watching())?;
            self.played.detected_after = reverted.then(|| began.elapsed());
            self.check(
                "shadow and canary go back to the baseline",
                format!("after {:.1} s", began.elapsed().as_secs_f64()),
                "within 2 s".to_owned(),
                reverted && began.elapsed() <= Duration::from_secs(2),
            );
            self.verify()?;
        } else {
            std::thread::sleep(Duration::from_secs(2));
            let stays = self.is_watching() && self.live.view().share > 0.0;
            self.check("the share stays where it is", yes_no(stays), "yes".to_owned(), stays);
            self.guards_are_armed(knobs)?;
        }
        let refused = matches!(change_as(self.running, "promote"), Err(OperationError::Refused(_)));
        self.check("a promotion is refused", yes_no(refused), "yes".to_owned(), refused);
        let last = self.history()?.pop().map(|row| row.actor).unwrap_or_default();
        let is_alone = last == "another-gateway";
        self.check("the last row is the other leader's", last, "another-gateway".to_owned(), is_alone);
        Ok(())
    }

    /// With the control plane lost, a candidate that breaks is thrown back all the same, in memory.
    fn guards_are_armed(&mut self, knobs: &Value) -> Result<(), Stop> {
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

    fn is_watching(&self) -> bool {
        self.live.view().watching
    }

    fn share(&self) -> f64 {
        self.policy.step(self.plan.step_idx).map_or(0.0, |step| step.share)
    }

    fn is_early(&self) -> bool {
        self.policy.step(self.plan.step_idx).is_none_or(|step| step.stage <= Stage::Canary)
    }

    /// Answers of the candidate that were counted.
    fn candidate_answers(&self) -> u64 {
        self.live.evidence().arm(Arm::Candidate).tally(Metric::Error).n
    }

    fn history(&self) -> Result<Vec<TransitionRow>, Stop> {
        rollouts::history(&self.running.desk.reader(), ROLLOUT).map_err(operation)
    }

    fn rollback(&self) -> Option<TransitionRow> {
        self.history().ok()?.into_iter().find(|row| row.event == "rollback")
    }

    /// Waits for a state; whether it came in time.
    fn until(&self, at_most: Duration, reached: impl Fn(&Self) -> bool) -> Result<bool, Stop> {
        let deadline = Instant::now() + at_most;
        while !reached(self) {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }

    fn check(&mut self, what: &str, measured: String, target: String, holds: bool) {
        self.played.checks.push(Check::new(what, measured, target, holds));
    }
}

fn yes_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn change(running: &Running, verb: &str) -> Result<(), Stop> {
    change_as(running, verb).map_err(operation)
}

fn change_as(running: &Running, verb: &str) -> Result<(), OperationError> {
    let actor = Actor::trusted("drill", Role::Admin);
    rollouts::change(&running.desk, &actor, ROLLOUT, verb, "drill").map(|_| ())
}
