//! One migration from its start to its end, watched through the same operations an operator has.

use std::time::{Duration, Instant};

use anyhow::Context;
use gateway::live::LiveRollout;
use operations::rollouts::{self, RolloutView};
use operations::{Actor, OperationError, Role};
use rollout::Status;
use serde::Serialize;
use store::TransitionRow;

use super::story::Story;
use super::traffic::Traffic;
use crate::out::Stop;
use crate::running::Running;
use crate::verbs::source::operation;

/// How often the act looks at the rollout.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How long the candidate serves well in canary before the regression is planted.
const HONEYMOON: Duration = Duration::from_secs(1);
/// The candidate's error rate from then on; it was 0.5 %.
const REGRESSED_ERROR_RATE: f64 = 0.06;
/// How long after a rollback nothing more may reach the candidate.
const AFTERWARDS: Duration = Duration::from_secs(1);

const AUTHOR: &str = "quickstart-operator";
const APPROVER: &str = "quickstart-approver";

/// How a migration ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// The candidate serves everything but the holdback.
    Full,
    /// The candidate was thrown back.
    RolledBack,
}

/// What is to happen.
#[derive(Debug)]
pub(crate) struct Plot {
    /// The rollout.
    pub rollout: &'static str,
    /// Which of the traffic's routes it splits.
    pub route: usize,
    /// The candidate's provider.
    pub provider: &'static str,
    /// How it is planned to end.
    pub ending: Ending,
}

/// What did happen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct End {
    /// The rollout.
    pub rollout: &'static str,
    /// How it ended; `None` when the time was over first.
    pub ending: Option<Ending>,
    /// From start to end.
    pub took_s: f64,
    /// From the planting of the regression to the rollback.
    pub detected: Option<Detected>,
    /// Every transition.
    pub transitions: Vec<TransitionRow>,
}

/// How long a planted regression lived.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Detected {
    /// Seconds.
    pub after_s: f64,
    /// Requests of both arms.
    pub after_requests: u64,
    /// Candidate attempts.
    pub after_candidate_attempts: u64,
    /// Candidate attempts begun in the second after the rollback was seen.
    pub attempts_afterwards: u64,
}

/// When the regression was planted.
#[derive(Debug, Clone, Copy)]
struct Planted {
    at: Instant,
    requests: u64,
    attempts: u64,
}

/// One migration being played.
pub(crate) struct Act<'a> {
    /// What is to happen.
    pub plot: &'a Plot,
    /// The gateway.
    pub running: &'a Running,
    /// Who sends requests.
    pub traffic: &'a Traffic,
    /// Who tells it.
    pub story: &'a Story,
    /// When everything must be over.
    pub curtain: Instant,
}

impl Act<'_> {
    /// Plays it to its end or to the curtain.
    pub(crate) fn play(&self) -> Result<End, Stop> {
        let began = Instant::now();
        self.traffic.send_to(self.plot.route);
        self.change("start", AUTHOR, Role::Operator)?;
        // Kept beyond its life in the table, so that attempts after a rollback would be seen.
        let live = self.running.live(self.plot.rollout).context("the rollout did not become live")?;
        let mut told = 0;
        let mut planted: Option<Planted> = None;
        let mut canary_since: Option<Instant> = None;
        let mut said = Instant::now();
        loop {
            std::thread::sleep(LOOK_EVERY);
            let view = self.view()?;
            let facts = &view.explanation;
            told = self.tell_new(told, &view)?;
            if facts.share > 0.0 && canary_since.is_none() {
                canary_since = Some(Instant::now());
            }
            let may_plant = self.plot.ending == Ending::RolledBack && planted.is_none();
            if may_plant && canary_since.is_some_and(|since| since.elapsed() >= HONEYMOON) {
                planted = Some(self.plant(&live)?);
            }
            // Once: between the approval and the promotion lies a tick of the controller.
            if facts.status == Status::AwaitingApproval && facts.approvals.is_empty() {
                self.approve()?;
            }
            let ending = match facts.status {
                Status::Completed => Some(Ending::Full),
                Status::RolledBack | Status::Aborted => Some(Ending::RolledBack),
                _ => None,
            };
            if ending.is_some() || Instant::now() >= self.curtain {
                return self.end(began, ending, planted, &live);
            }
            if said.elapsed() >= PROGRESS_EVERY {
                said = Instant::now();
                self.story.progress(&view, self.traffic.n_sent());
            }
        }
    }

    fn end(
        &self,
        began: Instant,
        ending: Option<Ending>,
        planted: Option<Planted>,
        live: &LiveRollout,
    ) -> Result<End, Stop> {
        let attempts_begun = || live.attempt_counts().begun;
        let detected = planted.filter(|_| ending == Some(Ending::RolledBack)).map(|planted| {
            let (after_s, requests, attempts) = (planted.at.elapsed(), self.traffic.n_sent(), attempts_begun());
            std::thread::sleep(AFTERWARDS);
            Detected {
                after_s: after_s.as_secs_f64(),
                after_requests: requests - planted.requests,
                after_candidate_attempts: attempts - planted.attempts,
                attempts_afterwards: attempts_begun() - attempts,
            }
        });
        let transitions = self.history()?;
        let end =
            End { rollout: self.plot.rollout, ending, took_s: began.elapsed().as_secs_f64(), detected, transitions };
        self.story.act_ended(self.plot, &end);
        Ok(end)
    }

    /// Turns the knob of the candidate that passed shadow well.
    fn plant(&self, live: &LiveRollout) -> Result<Planted, Stop> {
        let patch = serde_json::json!({ "error_rate": REGRESSED_ERROR_RATE }).to_string();
        let attempts = live.attempt_counts().begun;
        let planted = Planted { at: Instant::now(), requests: self.traffic.n_sent(), attempts };
        operations::simulated::turn(
            &self.running.desk,
            &actor(AUTHOR, Role::Operator),
            self.plot.provider,
            patch.as_bytes(),
        )
        .map_err(operation)?;
        self.story.planted(self.plot, REGRESSED_ERROR_RATE);
        Ok(planted)
    }

    /// A rollback may come between the look and the approval; then there is nothing to approve.
    fn approve(&self) -> Result<(), Stop> {
        let approver = actor(APPROVER, Role::Approver);
        match rollouts::change(&self.running.desk, &approver, self.plot.rollout, "approve", "quickstart") {
            Ok(_) | Err(OperationError::Refused(_)) => Ok(()),
            Err(error) => Err(operation(error)),
        }
    }

    fn change(&self, verb: &str, who: &str, role: Role) -> Result<(), Stop> {
        let reason = "quickstart";
        rollouts::change(&self.running.desk, &actor(who, role), self.plot.rollout, verb, reason).map_err(operation)?;
        Ok(())
    }

    fn view(&self) -> Result<RolloutView, Stop> {
        rollouts::status(&self.running.desk.reader(), self.plot.rollout).map_err(operation)
    }

    fn history(&self) -> Result<Vec<TransitionRow>, Stop> {
        rollouts::history(&self.running.desk.reader(), self.plot.rollout).map_err(operation)
    }

    /// Tells the transitions after the first `told`, and says how many there are now.
    fn tell_new(&self, told: u64, view: &RolloutView) -> Result<u64, Stop> {
        let is_new = view.transitions.first().is_some_and(|last| last.generation > told);
        if !is_new {
            return Ok(told);
        }
        let history = self.history()?;
        let new = history.iter().filter(|row| row.generation > told);
        new.for_each(|row| self.story.transition(self.running, row));
        Ok(history.last().map_or(told, |row| row.generation))
    }
}

fn actor(name: &str, role: Role) -> Actor {
    Actor::trusted(name, role)
}
