//! A whole rollout against made-up or recorded traffic: the same assignment, evidence, guards, gates and transitions as in production, with
//! chance as an argument. Thousands of these say how often a policy throws a good candidate back, lets a bad one through, and how long it
//! takes to tell.

mod chance;
mod summary;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::assign::{self, Arm};
use crate::coverage;
use crate::decide::Health;
use crate::evidence::{Evidence, Outcome, PairOutcome};
use crate::metric::{Metric, MetricSet};
use crate::policy::{Policy, Stage};
use crate::state::{State, Status};
use crate::transition::{Event, apply};
use crate::{Timestamp, decide};

pub use chance::Chance;
pub use summary::{Delay, Proportion, Summary, summary};
pub use world::{RecordedUnit, Units, World};

/// Gates are looked at after so many requests; guards after every one.
const LOOK_EVERY: u64 = 50;
/// People answer after an hour.
const CONSENT: Duration = Duration::from_secs(3600);

/// What became of one simulated rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fate {
    /// How it ended.
    pub ending: Ending,
    /// The step it ended on.
    pub step_idx: usize,
    /// The guard's metric, where one ended it.
    pub metric: Option<Metric>,
    /// Days from the start to the end.
    pub days: f64,
    /// Requests of the route from the start to the end.
    pub requests: u64,
    /// Requests from the moment the candidate became worse to the end; `None` if it never did.
    pub after_effect: Option<u64>,
    /// The candidate's among these.
    pub candidate_after_effect: Option<u64>,
    /// Days until it had reached full; `None` if it did not.
    pub days_to_full: Option<f64>,
    /// Whether it was promoted while the candidate was worse.
    pub promoted_while_worse: bool,
}

/// How a simulated rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It soaked at full.
    Completed,
    /// A guard threw it back.
    RolledBack,
    /// It stopped where only people could go on.
    Waiting,
    /// The time that was simulated ended first.
    Undecided,
}

/// Plays one rollout. The same chance gives the same fate.
#[must_use]
pub fn play(policy: &Policy, world: &World, mut chance: Chance) -> Fate {
    let salt = format!("simulated-{}", chance.bits());
    let draft = State::draft("simulated", &salt, "simulation", ("baseline", "candidate"), policy);
    let mut game = Game {
        policy,
        world,
        units: world.units(&mut chance),
        chance,
        now: world.from,
        evidence: Evidence::begin(policy, &draft, None),
        state: draft,
        requests: 0,
        worse_since: None,
        candidate_requests: 0,
        candidate_before: 0,
        days_to_full: None,
        promoted_while_worse: false,
    };
    game.happen(&Event::Start { actor: "simulation".into() });
    game.play()
}

struct Game<'a> {
    policy: &'a Policy,
    world: &'a World,
    units: Units<'a>,
    chance: Chance,
    now: Timestamp,
    state: State,
    evidence: Evidence,
    requests: u64,
    worse_since: Option<u64>,
    candidate_requests: u64,
    candidate_before: u64,
    days_to_full: Option<f64>,
    promoted_while_worse: bool,
}

impl Game<'_> {
    fn play(mut self) -> Fate {
        loop {
            match self.state.status {
                Status::RolledBack => return self.fate(Ending::RolledBack),
                Status::Completed => return self.fate(Ending::Completed),
                Status::Active | Status::AwaitingApproval => {}
                _ => return self.fate(Ending::Waiting),
            }
            let Some(now) = self.world.next_request(self.now) else { return self.fate(Ending::Undecided) };
            if now.since(self.world.from) > self.world.at_most {
                return self.fate(Ending::Undecided);
            }
            self.now = now;
            self.request();
            if self.evidence.breach().is_some() || self.requests.is_multiple_of(LOOK_EVERY) {
                self.look();
            }
        }
    }

    /// One request: a unit, its arm, and what comes of it.
    fn request(&mut self) {
        self.requests += 1;
        let is_worse = self.requests > self.world.effect_after;
        if is_worse && self.worse_since.is_none() {
            (self.worse_since, self.candidate_before) = (Some(self.requests - 1), self.candidate_requests);
        }
        let unit = self.units.next(&mut self.chance);
        let shadowing = self.state.is_shadowing(self.policy);
        let arm = if shadowing {
            Arm::Baseline
        } else {
            assign::arm(unit.position, self.evidence.share(), self.policy.holdback)
        };
        let factor = self.world.factor(self.now);
        let baseline = self.world.baseline(&unit, factor, &mut self.chance);
        let is_copied = shadowing && self.chance.one_in(self.policy.shadow_sample);
        let candidate = (is_copied || arm == Arm::Candidate).then(|| {
            self.candidate_requests += 1;
            self.world.candidate(&unit, factor, is_worse, &mut self.chance)
        });
        let outcome = |arm, bad| Outcome {
            unit: unit.position,
            arm,
            admitted_at: self.now,
            at: self.now,
            observed: self.world.observed,
            bad,
            time_to_first_token_us: None,
            duration_us: None,
        };
        let served = if arm == Arm::Candidate { candidate.unwrap_or(MetricSet::EMPTY) } else { baseline };
        let served = outcome(arm, served);
        self.evidence.observe(&served);
        if let (true, Some(candidate_bad)) = (is_copied, candidate) {
            self.evidence.count_shadow_offer(coverage::OTHER);
            self.evidence.observe_pair(&PairOutcome {
                unit: unit.position,
                admitted_at: self.now,
                at: self.now,
                observed: self.world.observed,
                baseline_bad: baseline,
                candidate_bad,
                time_to_first_token_us: None,
                duration_us: None,
            });
        }
    }

    fn look(&mut self) {
        let decision = decide(self.policy, &self.state, &self.evidence, &Health::default(), self.now);
        let Some(event) = decision.into_event() else { return };
        if event == Event::AwaitApproval && self.state.status == Status::AwaitingApproval {
            return;
        }
        self.happen(&event);
        if self.state.status == Status::AwaitingApproval {
            let needed = self.policy.step(self.state.step_idx).map_or(0, |step| step.approvals);
            self.now = self.now.plus(CONSENT);
            for person in 0..needed {
                self.happen(&Event::Approve { actor: format!("person-{person}"), role: "approver".into() });
            }
        }
    }

    /// What is refused changes nothing, here as there.
    fn happen(&mut self, event: &Event) {
        let Ok((next, _)) = apply(self.policy, &self.state, event, Some(&self.evidence), self.now) else { return };
        if next.step_idx > self.state.step_idx {
            self.promoted_while_worse |= self.worse_since.is_some();
            if next.stage(self.policy) == Stage::Full {
                self.days_to_full.get_or_insert(days(self.now.since(self.world.from)));
            }
        }
        if next.epoch != self.state.epoch {
            self.evidence = Evidence::begin(self.policy, &next, Some(&self.evidence));
        }
        self.state = next;
    }

    fn fate(self, ending: Ending) -> Fate {
        Fate {
            ending,
            step_idx: self.state.step_idx,
            metric: self.evidence.breach().and_then(|breach| breach.metric),
            days: days(self.now.since(self.world.from)),
            requests: self.requests,
            after_effect: self.worse_since.map(|since| self.requests - since),
            candidate_after_effect: self.worse_since.map(|_| self.candidate_requests - self.candidate_before),
            days_to_full: self.days_to_full,
            promoted_while_worse: self.promoted_while_worse,
        }
    }
}

fn days(time: Duration) -> f64 {
    time.as_secs_f64() / 86_400.0
}

/// Bad rates by metric.
pub type Rates = BTreeMap<Metric, f64>;
