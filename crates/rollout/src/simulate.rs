//! A whole rollout against made-up or recorded traffic: the same assignment, evidence, guards, gates and transitions as in production, with
//! chance as an argument. Thousands of these say how often a policy throws a good candidate back, lets a bad one through, and how long it
//! takes to tell.

mod chance;
mod late;
mod summary;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::assign::{self, Arm};
use crate::breach::BreachCause;
use crate::cost::CostOutcome;
use crate::coverage;
use crate::decide::Health;
use crate::evidence::{Evidence, Outcome, PairOutcome, Signal};
use crate::filed::Filed;
use crate::metric::{Metric, MetricSet};
use crate::policy::{FiledPolicy, Policy, Stage};
use crate::state::{State, Status};
use crate::transition::{Event, apply};
use crate::{Timestamp, decide};

pub use chance::Chance;
pub use late::{Late, Latency, Spread, Told};
pub use summary::{Delay, Proportion, Summary, summary};
pub use world::{Costs, RecordedRequest, RecordedUnit, Units, World};

use late::{Known, Queue, Took, parts};
use world::Drawn;

/// Gates are looked at after so many requests; guards after every one.
const LOOK_EVERY: u64 = 50;
/// Nano-dollars that a request costs the baseline on average; what it is does not matter.
const MEAN_COST: f64 = 1e6;
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
    /// Whether the guard of costs stopped it.
    pub dear: bool,
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
    /// People were asked to approve a step, and said no.
    Refused,
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
        queue: Queue::default(),
        state: draft,
        requests: 0,
        worse_since: None,
        candidate_requests: 0,
        candidate_before: 0,
        days_to_full: None,
        promoted_while_worse: false,
        dear: false,
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
    queue: Queue,
    requests: u64,
    worse_since: Option<u64>,
    candidate_requests: u64,
    candidate_before: u64,
    days_to_full: Option<f64>,
    promoted_while_worse: bool,
    dear: bool,
}

impl Game<'_> {
    fn play(mut self) -> Fate {
        loop {
            match self.state.status {
                Status::RolledBack => return self.fate(Ending::RolledBack),
                Status::Completed => return self.fate(Ending::Completed),
                Status::Aborted => return self.fate(Ending::Refused),
                Status::Active | Status::AwaitingApproval => {}
                _ => return self.fate(Ending::Waiting),
            }
            let Some(now) = self.world.next_request(self.now) else { return self.fate(Ending::Undecided) };
            if now.since(self.world.from) > self.world.at_most {
                return self.fate(Ending::Undecided);
            }
            self.learn(now);
            if self.evidence.breach().is_some() {
                self.look();
                continue;
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
        let served = if arm == Arm::Candidate { candidate.unwrap_or(MetricSet::EMPTY) } else { baseline };
        let took = self.world.took(&unit, (arm, is_worse), &mut self.chance);
        self.answer(unit.position, arm, served, took);
        self.tell(&unit, (arm, is_worse), took);
        if let (false, Some(costs)) = (shadowing, self.world.costs) {
            let ratio = if is_worse && arm == Arm::Candidate { costs.ratio } else { 1.0 };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
            let nanos = (MEAN_COST * ratio * self.chance.lognormal(costs.spread)) as u64;
            let (unit, admitted_at) = (unit.position, self.now);
            self.evidence.observe_cost(&CostOutcome { unit, arm, admitted_at, at: admitted_at, nanos });
        }
        if let (true, Some(candidate_bad)) = (is_copied, candidate) {
            self.evidence.count_shadow_offer(coverage::OTHER);
            if self.chance.one_in(self.world.late.lost_copies) {
                self.evidence.count_shadow_drop("simulated", coverage::OTHER, false);
            } else {
                let of_copy = self.world.took(&unit, (Arm::Candidate, is_worse), &mut self.chance);
                self.pair(unit.position, (baseline, took), (candidate_bad, of_copy));
            }
        }
    }

    /// What comes of an answer: what is late becomes known when it is late, the rest at its end.
    fn answer(&mut self, unit: u64, arm: Arm, bad: MetricSet, took: Took) {
        let judged = parts(self.world.objectives, (self.world.observed, bad), took);
        let admitted_at = self.now;
        let outcome = |after_us: u64, observed, bad| Outcome {
            unit,
            arm,
            admitted_at,
            at: Timestamp(admitted_at.0 + after_us),
            observed,
            bad,
            time_to_first_token_us: None,
            duration_us: None,
        };
        for (metric, after_us) in judged.early {
            let late = MetricSet::of(&[metric]);
            let late = outcome(after_us, late, late);
            self.queue.push(late.at, Known::Outcome(late));
        }
        let end = Outcome {
            time_to_first_token_us: took.first_token_us,
            duration_us: took.total_us,
            ..outcome(took.total_us.unwrap_or(0), judged.observed, judged.bad)
        };
        if took == Took::default() {
            self.evidence.observe(&end);
        } else {
            self.queue.push(end.at, Known::Outcome(end));
        }
    }

    /// A pair is complete when both answers have ended.
    fn pair(&mut self, unit: u64, (baseline, took): (MetricSet, Took), (candidate, of_copy): (MetricSet, Took)) {
        let judge = |bad: MetricSet, took: Took| {
            let judged = parts(self.world.objectives, (self.world.observed, bad), took);
            let late: MetricSet = judged.early.iter().map(|(metric, _)| *metric).collect();
            (judged.observed.or(late), judged.bad.or(late))
        };
        let ((of_baseline, baseline_bad), (of_candidate, candidate_bad)) =
            (judge(baseline, took), judge(candidate, of_copy));
        let after_us = took.total_us.max(of_copy.total_us).unwrap_or(0);
        let pair = PairOutcome {
            unit,
            admitted_at: self.now,
            at: Timestamp(self.now.0 + after_us),
            observed: of_baseline.and(of_candidate),
            baseline_bad,
            candidate_bad,
            time_to_first_token_us: of_copy.first_token_us,
            duration_us: of_copy.total_us,
        };
        if after_us == 0 {
            self.evidence.observe_pair(&pair);
        } else {
            self.queue.push(pair.at, Known::Pair(pair));
        }
    }

    /// What people will say of an answer, or what will happen to whoever got it.
    fn tell(&mut self, unit: &Drawn, whose: (Arm, bool), took: Took) {
        for (metric, told) in &self.world.late.signals {
            if took.hangs || !self.chance.one_in(told.of) {
                continue;
            }
            let bad = self.world.told(*metric, unit, whose, &mut self.chance);
            let delay = -(1.0 - self.chance.fraction()).ln() * told.delay.as_secs_f64();
            let at =
                self.now.plus(Duration::from_secs_f64(delay)).plus(Duration::from_micros(took.total_us.unwrap_or(0)));
            let signal = Signal { unit: unit.position, arm: whose.0, metric: *metric, bad, admitted_at: self.now, at };
            self.queue.push(at, Known::Outcome(signal.into()));
        }
    }

    /// Counts what has become known by now, up to a breach.
    fn learn(&mut self, now: Timestamp) {
        while self.evidence.breach().is_none() {
            let Some(known) = self.queue.pop(now) else { return };
            let at = match &known {
                Known::Outcome(outcome) => outcome.at,
                Known::Pair(pair) => pair.at,
            };
            self.now = self.now.max(at);
            match known {
                Known::Outcome(outcome) => self.evidence.observe(&outcome),
                Known::Pair(pair) => self.evidence.observe_pair(&pair),
            };
        }
    }

    fn look(&mut self) {
        let health = Health { filed: self.filed(), ..Health::default() };
        let decision = decide(self.policy, &self.state, &self.evidence, &health, self.now);
        let Some(event) = decision.into_event() else { return };
        if event == Event::AwaitApproval && self.state.status == Status::AwaitingApproval {
            return;
        }
        self.happen(&event);
        if self.state.status == Status::AwaitingApproval {
            let needed = self.policy.step(self.state.step_idx).map_or(0, |step| step.approvals);
            self.now = self.now.plus(CONSENT);
            if self.chance.one_in(self.world.refusals) {
                self.happen(&Event::Abort { actor: "person-0".into(), reason: "no".into() });
                return;
            }
            for person in 0..needed {
                self.happen(&Event::Approve { actor: format!("person-{person}"), role: "approver".into() });
            }
        }
    }

    /// Drills, reviews and suites are somebody's work: whatever the policy asks for is on file, a pass and fresh.
    fn filed(&self) -> Vec<Filed> {
        let result = |demand: &FiledPolicy| Filed {
            kind: demand.kind,
            name: demand.name.clone(),
            passed: true,
            at: self.now,
            digest: "simulated".to_owned(),
            n: demand.min_n,
        };
        self.policy.filed.iter().map(result).collect()
    }

    /// What is refused changes nothing, here as there.
    fn happen(&mut self, event: &Event) {
        let Ok((next, _)) = apply(self.policy, &self.state, event, Some(&self.evidence), self.now) else { return };
        if let Event::Alarm { breach } | Event::Rollback { breach } = event {
            self.dear |= breach.cause == BreachCause::Cost;
        }
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
            dear: self.dear,
        }
    }
}

fn days(time: Duration) -> f64 {
    time.as_secs_f64() / 86_400.0
}

/// Bad rates by metric.
pub type Rates = BTreeMap<Metric, f64>;
