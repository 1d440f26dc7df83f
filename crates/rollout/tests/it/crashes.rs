//! kill -9 at any point resumes where the evidence stands and never with a higher share.
//!
//! The model of a process: a share that requests read, evidence in memory, and a disk that changes only by whole commits. What
//! the process does to each is split into the steps between which it can die.

use rollout::{
    Arm, Decision, Event, Evidence, Health, HeldBecause, Outcome, PairOutcome, Policy, State, Status, Timestamp,
    Transition, apply, decide,
};

use crate::support::{ERROR, Random, draft, figure, grouped, medium, outcome, pair, set_if, size};

struct Disk {
    state: State,
    evidence: Option<String>,
    audit: Vec<Transition>,
}

struct Process {
    share: f64,
    evidence: Evidence,
}

struct World {
    policy: Policy,
    random: Random,
    now: Timestamp,
    disk: Disk,
    process: Process,
    /// The candidate's chance of failing at present.
    failing: f64,
    unit: u64,
}

/// The process died here; nothing in memory is left.
struct Killed;

impl World {
    fn new(seed: u64) -> Self {
        let mut policy = medium();
        for step in &mut policy.steps {
            (step.min_pairs, step.min_units) = (step.min_pairs.min(20), step.min_units.min(20));
        }
        for gate in &mut policy.gates {
            gate.margin = 0.4;
        }
        policy.gates.truncate(1);
        let state = draft(&policy);
        let process = Process { share: 0.0, evidence: Evidence::begin(&policy, &state, None) };
        let disk = Disk { state, evidence: None, audit: Vec::new() };
        Self { policy, random: Random::new(seed), now: Timestamp(1), disk, process, failing: 0.0, unit: 0 }
    }

    /// A moment at which the process may die.
    fn survive(&mut self) -> Result<(), Killed> {
        assert!(
            self.process.share <= self.disk.state.share(&self.policy),
            "requests saw a share of {} while {} was committed",
            self.process.share,
            self.disk.state.share(&self.policy)
        );
        if self.random.chance(0.15) { Err(Killed) } else { Ok(()) }
    }

    fn traffic(&mut self) -> Result<(), Killed> {
        for _ in 0..self.random.below(60) {
            self.now.0 += 1000;
            self.unit += 1;
            let breach = if self.disk.state.is_shadowing(&self.policy) {
                let candidate_bad = set_if(self.random.chance(self.failing));
                let pair = pair(self.unit, ERROR, set_if(self.random.chance(0.01)), candidate_bad);
                self.process.evidence.observe_pair(&PairOutcome { admitted_at: self.now, at: self.now, ..pair })
            } else {
                let is_candidate = self.random.chance(self.process.share);
                let failing = if is_candidate { self.failing } else { 0.01 };
                let arm = if is_candidate { Arm::Candidate } else { Arm::Baseline };
                let outcome = outcome(self.unit, arm, ERROR, set_if(self.random.chance(failing)));
                self.process.evidence.observe(&Outcome { admitted_at: self.now, at: self.now, ..outcome })
            };
            if breach.is_some() {
                // The switch comes first; the controller writes it down on its next tick.
                self.process.share = 0.0;
                self.survive()?;
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Killed> {
        let health = Health::default();
        let decision = decide(&self.policy, &self.disk.state, &self.process.evidence, &health, self.now);
        if let Some(event) = decision.into_event() {
            self.carry_out(&event)?;
        }
        if self.random.chance(0.5) {
            self.disk.evidence = Some(serde_json::to_string(&self.process.evidence).unwrap());
            self.survive()?;
        }
        Ok(())
    }

    fn carry_out(&mut self, event: &Event) -> Result<(), Killed> {
        let before = self.disk.state.clone();
        let Ok((next, transition)) = apply(&self.policy, &before, event, Some(&self.process.evidence), self.now) else {
            return Ok(());
        };
        check_transition(&self.policy, &before, &next, event, &transition);
        let (from, to) = (before.share(&self.policy), next.share(&self.policy));
        if to < from {
            self.process.share = to;
            self.survive()?;
        }
        let evidence = if next.epoch == before.epoch {
            self.process.evidence.clone()
        } else {
            Evidence::begin(&self.policy, &next, Some(&self.process.evidence))
        };
        self.disk.evidence = Some(serde_json::to_string(&evidence).unwrap());
        self.disk.state = next;
        self.disk.audit.push(transition);
        self.survive()?;
        self.process.evidence = evidence;
        if self.process.evidence.breach().is_none() {
            self.process.share = to;
        }
        self.survive()
    }

    fn operator(&mut self) -> Result<(), Killed> {
        let (actor, reason) = ("ben".to_owned(), "because".to_owned());
        let event = match self.random.below(15) {
            0..3 => Event::Start { actor },
            3..5 => Event::Approve { actor, role: String::new() },
            5 => Event::Pause { actor, reason },
            6..8 => Event::Resume { actor, reason },
            8 => Event::Abort { actor, reason },
            9 => Event::ForcePromote { actor, reason },
            10 => Event::Changed {
                what: "the prompt".to_owned(),
                baseline: "gpt".to_owned(),
                candidate: "qwen".to_owned(),
            },
            11 => Event::Extend { actor, reason },
            12 => Event::Accept { actor, reason },
            13 => Event::Hold { because: HeldBecause::MaxDuration { max_s: 1 } },
            _ => Event::Promote { to: self.random.one_of(&[0, 1, 2, 3, 4, 5, 6]) },
        };
        self.carry_out(&event)
    }

    /// What a new process does before it admits anybody: read the disk, decide, and only then publish a share.
    fn restart(&mut self) {
        let committed = self.disk.state.share(&self.policy);
        let evidence = self.disk.evidence.as_deref().map(|json| serde_json::from_str::<Evidence>(json).unwrap());
        let of_this_epoch = evidence.filter(|evidence| evidence.epoch() == self.disk.state.epoch);
        let evidence = of_this_epoch.unwrap_or_else(|| Evidence::begin(&self.policy, &self.disk.state, None));
        self.process = Process { share: 0.0, evidence };
        let decision = decide(&self.policy, &self.disk.state, &self.process.evidence, &Health::default(), self.now);
        if !matches!(decision, Decision::Rollback { .. }) {
            self.process.share = committed;
        }
        assert!(self.process.share <= committed);
        assert!(self.process.evidence.breach().is_none() || self.process.share == 0.0);
    }

    fn step(&mut self) -> Result<(), Killed> {
        if self.random.chance(0.02) {
            self.failing = self.random.one_of(&[0.0, 0.01, 0.01, 0.3, 1.0]);
        }
        match self.random.below(10) {
            0..5 => self.traffic(),
            5..9 => self.tick(),
            _ => self.operator(),
        }
    }
}

fn check_transition(policy: &Policy, before: &State, next: &State, event: &Event, transition: &Transition) {
    assert_eq!(next.generation, before.generation + 1);
    let (from, to) = (before.share(policy), next.share(policy));
    assert_eq!((transition.from_share, transition.to_share), (from, to));
    if to > from {
        let rises = matches!(event, Event::Promote { .. } | Event::ForcePromote { .. } | Event::Accept { .. });
        assert!(rises, "{event:?} raised the share");
        assert_eq!((next.step_idx, next.epoch), (before.step_idx + 1, before.epoch + 1));
        assert!(transition.evidence_json.contains(&format!("\"epoch\":{},", before.epoch)));
    }
    if matches!(before.status, Status::RolledBack | Status::Aborted) && next.epoch == before.epoch {
        assert_eq!((next.status, to), (before.status, 0.0), "thrown back for good within an epoch");
    }
}

/// The audit trail alone tells the same story: an unbroken chain of shares and generations.
fn check_audit(audit: &[Transition]) {
    for (row, after) in audit.iter().zip(audit.iter().skip(1)) {
        assert_eq!((row.to_share, row.generation + 1), (after.from_share, after.generation));
        assert_eq!(row.to, after.from);
    }
}

#[test]
fn killed_at_any_point_a_rollout_never_resumes_with_a_higher_share() {
    let (mut n_kills, mut n_rises, mut n_rollbacks, mut n_full) = (0_u64, 0, 0, 0);
    for seed in 0..size(300, 2000) {
        let mut world = World::new(seed as u64);
        for _ in 0..300 {
            if world.step().is_err() {
                n_kills += 1;
                world.restart();
            }
        }
        check_audit(&world.disk.audit);
        n_rises += world.disk.audit.iter().filter(|row| row.to_share > row.from_share).count();
        n_rollbacks += world.disk.audit.iter().filter(|row| row.event == "rollback").count();
        n_full += world.disk.audit.iter().filter(|row| row.to == "completed").count();
    }
    figure(
        "G11",
        "one process, kills between any two steps: resumed with a higher share",
        &format!(
            "0 of {} kills ({} rises, {} rollbacks, {} completed)",
            grouped(n_kills),
            n_rises,
            n_rollbacks,
            n_full
        ),
        "0",
        size(300, 2000),
    );
    assert!(n_kills > 1000 && n_rises > 100 && n_rollbacks > 100 && n_full > 0);
}
