//! G11: three replicas, a leader that may be deposed, a store that comes and goes, and kills between any two steps. The share
//! never rises without evidence that is in the store, and no replica serves more than was committed.
//!
//! The replicas are a model around the pure room: each has a share that requests read, evidence of its own requests for its own guards, and
//! a journal that survives it. The store has rows, the leader's evidence, the state and the lease, and changes only by whole commits
//! that compare the generation and the lease's fence. What an operator or a dead leader left half done may be carried out at any later time.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, prop, prop_oneof};
use rollout::{
    Arm, Decision, Event, Evidence, Health, Outcome, PairOutcome, Policy, Stage, State, Status, Timestamp, Transition,
    apply, decide,
};

use crate::support::{ERROR, Random, draft, figure, grouped, medium, outcome, pair, set_if, size};

pub const N_REPLICAS: usize = 3;
/// Out of touch with the store for so long, a replica in shadow or canary goes back to the baseline.
const LEASE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
enum Row {
    Served(Outcome),
    Pair(PairOutcome),
}

/// A row as it lies in the store: which epoch its request was admitted in, and where it came from.
struct Stored {
    epoch: u32,
    source: (usize, u64),
    row: Row,
}

struct Store {
    is_reachable: bool,
    rows: Vec<Stored>,
    state: State,
    /// The leader's evidence and how many rows it has read, written together.
    evidence: (String, usize),
    fence: u64,
    lease_until: Timestamp,
    audit: Vec<Transition>,
}

/// What a leader has decided and not yet written.
struct Pending {
    fence: u64,
    read_generation: u64,
    next: State,
    transition: Transition,
    event: Event,
    evidence: (String, usize),
}

struct Replica {
    share: f64,
    state: State,
    evidence: Evidence,
    /// Rows that the store has not confirmed, numbered; on disk.
    journal: Vec<(u64, u32, Row)>,
    n_journaled: u64,
    /// The epoch in which its own guards found harm; on disk.
    breached: Option<u32>,
    last_contact: Timestamp,
    leads_with: Option<u64>,
    pending: Option<Pending>,
}

struct World {
    policy: Policy,
    random: Random,
    now: Timestamp,
    unit: u64,
    failing: f64,
    store: Store,
    replicas: Vec<Replica>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    kills: u64,
    outages: u64,
    rises: u64,
    rollbacks: u64,
    completed: u64,
    fenced: u64,
    breaches: u64,
}

/// The process died here; what is not on disk or in the store is lost.
struct Killed;

impl World {
    fn new(seed: u64) -> Self {
        let mut policy = medium();
        for step in &mut policy.steps {
            (step.min_pairs, step.min_units, step.approvals) = (step.min_pairs.min(20), step.min_units.min(20), 0);
        }
        policy.gates.truncate(1);
        policy.gates[0].margin = 0.4;
        let state = draft(&policy);
        let empty = Evidence::begin(&policy, &state, None);
        let replica = || Replica {
            share: 0.0,
            state: state.clone(),
            evidence: Evidence::begin(&policy, &state, None),
            journal: Vec::new(),
            n_journaled: 0,
            breached: None,
            last_contact: Timestamp(1),
            leads_with: None,
            pending: None,
        };
        let store = Store {
            is_reachable: true,
            rows: Vec::new(),
            state: state.clone(),
            evidence: (serde_json::to_string(&empty).unwrap(), 0),
            fence: 0,
            lease_until: Timestamp(0),
            audit: Vec::new(),
        };
        let replicas = (0..N_REPLICAS).map(|_| replica()).collect();
        let (random, now, counts) = (Random::new(seed), Timestamp(1), Counts::default());
        Self { policy, random, now, unit: 0, failing: 0.01, store, replicas, counts }
    }

    /// A moment at which the process may die, and at which every law must hold.
    fn survive(&mut self) -> Result<(), Killed> {
        for replica in &self.replicas {
            let committed = replica.state.share(&self.policy);
            assert!(replica.share <= committed, "served {} where {committed} was committed", replica.share);
            assert!(replica.state.generation <= self.store.state.generation, "a state nobody committed");
            if replica.breached == Some(replica.state.epoch) {
                assert_eq!(replica.share, 0.0, "its own guards found harm in this epoch");
            }
        }
        if self.random.chance(0.05) { Err(Killed) } else { Ok(()) }
    }

    /// A dead process comes back with what is on disk: its journal and its own alarm. It serves nobody before it has read the state.
    fn restart(&mut self, idx: usize) {
        self.counts.kills += 1;
        let evidence = Evidence::begin(&self.policy, &self.replicas[idx].state, None);
        let replica = &mut self.replicas[idx];
        (replica.share, replica.evidence, replica.leads_with, replica.pending) = (0.0, evidence, None, None);
    }

    fn traffic(&mut self, idx: usize) -> Result<(), Killed> {
        for _ in 0..self.random.below(30) {
            self.now.0 += 100_000;
            self.unit += 1;
            let replica = &mut self.replicas[idx];
            let share = replica.state.share(&self.policy);
            // A replica that serves less than the epoch's share would bias the arms: its requests are no evidence.
            if !replica.state.status.is_serving() || (share > 0.0 && replica.share < share) {
                continue;
            }
            let breach = if replica.state.is_shadowing(&self.policy) {
                let (baseline, candidate) = (self.random.chance(0.01), self.random.chance(self.failing));
                let seen = pair(self.unit, ERROR, set_if(baseline), set_if(candidate));
                let seen = PairOutcome { admitted_at: self.now, at: self.now, ..seen };
                replica.keep(Row::Pair(seen));
                replica.evidence.observe_pair(&seen)
            } else {
                let is_candidate = self.random.chance(share);
                let rate = if is_candidate { self.failing } else { 0.01 };
                let arm = if is_candidate { Arm::Candidate } else { Arm::Baseline };
                let seen = outcome(self.unit, arm, ERROR, set_if(self.random.chance(rate)));
                let seen = Outcome { admitted_at: self.now, at: self.now, ..seen };
                replica.keep(Row::Served(seen));
                replica.evidence.observe(&seen)
            };
            if let Some(breach) = breach {
                // The switch first, then the disk, then the store, then the others, who may not hear it.
                (replica.share, replica.breached) = (0.0, Some(replica.state.epoch));
                self.counts.breaches += 1;
                self.survive()?;
                self.commit_lowering(idx, &Event::Rollback { breach })?;
            }
        }
        Ok(())
    }

    /// Anybody may lower the share, without the lease, if the state is still the one it read.
    fn commit_lowering(&mut self, idx: usize, event: &Event) -> Result<(), Killed> {
        let replica = &self.replicas[idx];
        if !self.store.is_reachable || replica.state.generation != self.store.state.generation {
            return Ok(());
        }
        let before = self.store.state.share(&self.policy);
        let applied = apply(&self.policy, &self.store.state, event, Some(&replica.evidence), self.now);
        let Ok((next, transition)) = applied else { return Ok(()) };
        assert!(next.share(&self.policy) <= before, "{event:?} raised the share");
        self.write(next, transition);
        self.survive()?;
        for peer in 0..N_REPLICAS {
            if peer == idx || self.random.chance(0.5) {
                self.poll(peer);
            }
        }
        self.survive()
    }

    fn write(&mut self, next: State, transition: Transition) {
        self.counts.rollbacks += u64::from(transition.event == "rollback");
        self.counts.completed += u64::from(transition.to == "completed");
        self.store.state = next;
        self.store.audit.push(transition);
    }

    /// Sends what the journal holds. The store may have the rows and the journal not know it: they are numbered.
    fn flush(&mut self, idx: usize) -> Result<(), Killed> {
        if !self.store.is_reachable {
            return Ok(());
        }
        let highest = self.store.rows.iter().filter(|row| row.source.0 == idx).map(|row| row.source.1).max();
        let news: Vec<(u64, u32, Row)> = self.replicas[idx].journal.clone();
        for (number, epoch, row) in
            news.into_iter().filter(|(number, ..)| highest.is_none_or(|highest| *number > highest))
        {
            self.store.rows.push(Stored { epoch, source: (idx, number), row });
        }
        self.survive()?;
        self.replicas[idx].journal.clear();
        Ok(())
    }

    fn poll(&mut self, idx: usize) {
        let replica = &mut self.replicas[idx];
        if self.store.is_reachable {
            if replica.state.epoch != self.store.state.epoch {
                replica.evidence = Evidence::begin(&self.policy, &self.store.state, None);
            }
            replica.state = self.store.state.clone();
            replica.last_contact = self.now;
            let is_breached = replica.breached == Some(replica.state.epoch);
            replica.share = if is_breached { 0.0 } else { replica.state.share(&self.policy) };
        } else if self.now.since(replica.last_contact) > LEASE
            && matches!(replica.state.stage(&self.policy), Stage::Shadow | Stage::Canary)
        {
            replica.share = 0.0;
        }
    }

    /// Takes or keeps the lease, reads the new rows, writes the evidence, and decides.
    fn lead(&mut self, idx: usize) -> Result<(), Killed> {
        if !self.store.is_reachable {
            return Ok(());
        }
        let holds = self.replicas[idx].leads_with == Some(self.store.fence);
        if !holds && self.now < self.store.lease_until {
            return Ok(());
        }
        if !holds {
            self.store.fence += 1;
            self.replicas[idx].leads_with = Some(self.store.fence);
        }
        self.store.lease_until = self.now.plus(Duration::from_secs(20));
        self.survive()?;
        let (evidence, n_read) = read_rows(&self.policy, &self.store, self.store.rows.len());
        self.store.evidence = (serde_json::to_string(&evidence).unwrap(), n_read);
        self.survive()?;
        let state = self.store.state.clone();
        let decision = decide(&self.policy, &state, &evidence, &Health::default(), self.now);
        let event = match decision {
            Decision::Hold { .. } if state.status == Status::Draft => Event::Start { actor: "ada".to_owned() },
            other => match other.into_event() {
                Some(event) => event,
                None => return Ok(()),
            },
        };
        let Ok((next, transition)) = apply(&self.policy, &state, &event, Some(&evidence), self.now) else {
            return Ok(());
        };
        let (fence, read_generation) = (self.store.fence, state.generation);
        let evidence = self.store.evidence.clone();
        self.replicas[idx].pending = Some(Pending { fence, read_generation, next, transition, event, evidence });
        self.survive()
    }

    /// Writes what was decided, perhaps long ago: the store compares fence and generation.
    fn commit(&mut self, idx: usize) -> Result<(), Killed> {
        if !self.store.is_reachable {
            return Ok(());
        }
        let Some(pending) = self.replicas[idx].pending.take() else { return Ok(()) };
        if pending.fence != self.store.fence || pending.read_generation != self.store.state.generation {
            self.counts.fenced += 1;
            return Ok(());
        }
        let (before, after) = (self.store.state.share(&self.policy), pending.next.share(&self.policy));
        if after > before {
            self.counts.rises += 1;
            self.check_rise(&pending);
        }
        self.write(pending.next, pending.transition);
        self.survive()?;
        self.poll(idx);
        self.survive()
    }

    /// A rise is one step, decided on evidence in the store, and the rows in the store give that evidence and that decision again.
    fn check_rise(&self, pending: &Pending) {
        let (state, (json, n_read)) = (&self.store.state, &pending.evidence);
        assert!(matches!(pending.event, Event::Promote { .. }), "{:?} raised the share", pending.event);
        assert_eq!((pending.next.step_idx, pending.next.epoch), (state.step_idx + 1, state.epoch + 1));
        assert!(
            *n_read <= self.store.rows.len() && *n_read <= self.store.evidence.1,
            "evidence that was not committed"
        );
        let (again, _) = read_rows(&self.policy, &self.store, *n_read);
        assert_eq!(&serde_json::to_string(&again).unwrap(), json, "the rows say something else");
        let decision = decide(&self.policy, state, &again, &Health::default(), pending.transition.at);
        assert_eq!(decision, Decision::Promote { to: pending.next.step_idx });
    }

    fn operator(&mut self, idx: usize) -> Result<(), Killed> {
        let (actor, reason) = ("ben".to_owned(), "because".to_owned());
        let event = match self.random.below(4) {
            0 => Event::Pause { actor, reason },
            1 => Event::Abort { actor, reason },
            _ => Event::Resume { actor, reason },
        };
        self.poll(idx);
        self.commit_lowering(idx, &event)
    }

    fn step(&mut self, idx: usize) -> Result<(), Killed> {
        if self.random.chance(0.002) {
            self.failing = self.random.one_of(&[0.01, 0.01, 0.3, 1.0]);
        }
        if self.random.chance(if self.store.is_reachable { 0.01 } else { 0.08 }) {
            self.act(idx, Step::Outage)?;
        }
        let step = match self.random.below(100) {
            0..35 => Step::Traffic,
            35..55 => Step::Flush,
            55..70 => Step::Poll,
            70..84 => Step::Lead,
            84..98 => Step::Commit,
            98 => Step::Operator,
            _ => Step::Sleep,
        };
        self.act(idx, step)
    }

    fn act(&mut self, idx: usize, step: Step) -> Result<(), Killed> {
        match step {
            Step::Traffic => self.traffic(idx),
            Step::Flush => self.flush(idx),
            Step::Lead => self.lead(idx),
            Step::Commit => self.commit(idx),
            Step::Operator => self.operator(idx),
            Step::Kill => Err(Killed),
            Step::Poll => {
                self.poll(idx);
                Ok(())
            }
            Step::Sleep => {
                // A long pause: leases expire, and who slept still believes what it knew.
                self.now = self.now.plus(Duration::from_secs(30));
                Ok(())
            }
            Step::Outage => {
                self.store.is_reachable = !self.store.is_reachable;
                self.counts.outages += u64::from(!self.store.is_reachable);
                Ok(())
            }
            Step::Failing(per_cent) => {
                self.failing = f64::from(per_cent) / 100.0;
                Ok(())
            }
        }
    }

    fn check_audit(&self) {
        for (row, after) in self.store.audit.iter().zip(self.store.audit.iter().skip(1)) {
            assert_eq!((row.to_share, row.generation + 1), (after.from_share, after.generation), "an unbroken chain");
            assert!(row.epoch <= after.epoch, "epochs only rise");
        }
    }
}

/// What one replica does next, or what is done to it or to the store.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Traffic,
    Flush,
    Poll,
    Lead,
    Commit,
    Operator,
    Sleep,
    Kill,
    Outage,
    Failing(u8),
}

pub fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Traffic),
        5 => Just(Step::Flush),
        4 => Just(Step::Poll),
        4 => Just(Step::Lead),
        4 => Just(Step::Commit),
        1 => Just(Step::Operator),
        1 => Just(Step::Sleep),
        1 => Just(Step::Kill),
        1 => Just(Step::Outage),
        1 => prop::sample::select(vec![Step::Failing(1), Step::Failing(30), Step::Failing(100)]),
    ]
}

/// A world in which the replicas take these steps.
pub fn walk(seed: u64, steps: &[(usize, Step)]) {
    let mut world = World::new(seed);
    for (idx, step) in steps {
        if world.act(*idx, *step).is_err() {
            world.restart(*idx);
        }
    }
    world.check_audit();
}

impl Replica {
    fn keep(&mut self, row: Row) {
        self.n_journaled += 1;
        self.journal.push((self.n_journaled, self.state.epoch, row));
    }
}

/// The evidence of the committed epoch from the first `n` rows of the store.
fn read_rows(policy: &Policy, store: &Store, n: usize) -> (Evidence, usize) {
    let mut evidence = Evidence::begin(policy, &store.state, None);
    for stored in store.rows.iter().take(n).filter(|stored| stored.epoch == store.state.epoch) {
        let breach = match &stored.row {
            Row::Served(outcome) => evidence.observe(outcome),
            Row::Pair(pair) => evidence.observe_pair(pair),
        };
        if breach.is_some() {
            break;
        }
    }
    (evidence, n)
}

#[test]
fn three_replicas_and_a_store_that_comes_and_goes_never_raise_a_share_without_committed_evidence() {
    let n_worlds = size(60, 1000);
    let mut total = Counts::default();
    for seed in 0..n_worlds {
        let mut world = World::new(seed as u64);
        for _ in 0..900 {
            let idx = usize::try_from(world.random.below(N_REPLICAS as u64)).unwrap();
            if world.step(idx).is_err() {
                world.restart(idx);
            }
        }
        world.check_audit();
        let Counts { kills, outages, rises, rollbacks, completed, fenced, breaches } = world.counts;
        total.kills += kills;
        total.outages += outages;
        total.rises += rises;
        total.rollbacks += rollbacks;
        total.completed += completed;
        total.fenced += fenced;
        total.breaches += breaches;
    }
    let Counts { kills, outages, rises, rollbacks, completed, fenced, breaches } = total;
    figure(
        "G11",
        "three replicas, kills between any two steps, store lost and found, deposed leaders: rises without committed evidence",
        &format!(
            "0 of {} rises ({} kills, {} outages, {} stale commits refused, {} breaches, {} rollbacks, {} completed)",
            grouped(rises),
            grouped(kills),
            grouped(outages),
            grouped(fenced),
            grouped(breaches),
            grouped(rollbacks),
            grouped(completed)
        ),
        "0",
        n_worlds,
    );
    assert!(rises > 100 && kills > 500 && outages > 50 && fenced > 10 && rollbacks > 10, "too little happened");
}
