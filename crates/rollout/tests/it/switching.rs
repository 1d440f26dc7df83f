//! G7, the half about other replicas: from the breach on one of eight to a share of 0 on all.
//!
//! Replicas do not share a store yet; this is a model of how they will be told, around the pure room that decides. Its delays are assumptions
//! and its times are simulated: a commit takes 5 ms, an announcement 10 ms (p99 87 ms, as PostgreSQL's NOTIFY was measured on two busy cores, and
//! here one in a hundred is lost), a poll of the store comes every second and takes as long as a commit. A replica that cannot reach the store
//! tells the others itself: 20 ms (p99 200 ms), one try in ten fails, and is made again after 250 ms, then after twice as long each time. What
//! is not assumed is what the state machine makes of it: the leader may promote in between, others may find the same harm, and a
//! replica may hear of an older state after a newer one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rollout::{Arm, Breach, Event, Evidence, Policy, State, Status, Timestamp, apply};

use crate::support::{ERROR, Random, at_share, figure, medium, outcome, quantile, size, started};

const N_REPLICAS: usize = 8;
/// Requests a second that each replica gets.
const PER_SECOND: u64 = 50;
const MS: u64 = 1000;
/// How long a simulated store is away.
const AWAY: u64 = 60_000 * MS;
/// 2.326 standard deviations are the 99th percentile.
const P99: f64 = 2.326;

/// What happens next, and to whom; times are microseconds after the breach.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// It tries to write the rollback down.
    Commit(usize),
    /// It reads the store.
    Read(usize),
    /// It is told by another one that the candidate of this epoch does harm.
    Told(usize, u32),
    /// It tells the others, for the n-th time.
    Tell { by: usize, whom: usize, attempt: u32 },
    /// The leader raises the share on evidence that it had before the breach.
    Promote,
}

struct Replica {
    state: State,
    share: f64,
    zero_at: Option<u64>,
}

struct World {
    policy: Policy,
    breach: Breach,
    random: Random,
    evidence: Evidence,
    /// The store: the state, and how many rollbacks are written down.
    state: State,
    n_rollbacks: u64,
    back_at: u64,
    replicas: Vec<Replica>,
    queue: BinaryHeap<Reverse<(u64, Next)>>,
    served: u64,
}

impl World {
    fn new(seed: u64, store_is_down: bool) -> Self {
        let policy = medium();
        let evidence = at_share(&policy, 0.5);
        let state = State { step_idx: evidence.step_idx(), status: Status::Active, ..started(&policy) };
        let mut random = Random::new(seed);
        // The first replica's own guards see an outage.
        let mut own = evidence.clone();
        let breach =
            (0..1000).find_map(|unit| own.observe(&outcome(unit, Arm::Candidate, ERROR, ERROR))).expect("a breach");
        let replica = |idx: usize| Replica {
            state: state.clone(),
            share: if idx == 0 { 0.0 } else { 0.5 },
            zero_at: (idx == 0).then_some(0),
        };
        let replicas = (0..N_REPLICAS).map(replica).collect();
        let mut queue = BinaryHeap::new();
        let back_at = if store_is_down { AWAY } else { 0 };
        if store_is_down {
            (1..N_REPLICAS).for_each(|whom| queue.push(Reverse((0, Next::Tell { by: 0, whom, attempt: 0 }))));
        } else if random.chance(0.3) {
            queue.push(Reverse((random.below(10 * MS), Next::Promote)));
        }
        (1..N_REPLICAS).for_each(|idx| queue.push(Reverse((random.below(1000 * MS), Next::Read(idx)))));
        let (n_rollbacks, served) = (0, 0);
        let mut world = Self { policy, breach, random, evidence, state, n_rollbacks, back_at, replicas, queue, served };
        world.after(0, (5, 50), Next::Commit(0));
        world
    }

    /// Lognormal, by its median and its 99th percentile in milliseconds.
    fn delay(&mut self, (median, p99): (u64, u64)) -> u64 {
        let sigma = (p99 as f64 / median as f64).ln() / P99;
        let micros = (median * MS) as f64 * (sigma * self.random.normal()).exp();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and far below 2^53")]
        let micros = micros as u64;
        micros
    }

    fn after(&mut self, now: u64, (median, p99): (u64, u64), next: Next) {
        let at = now + self.delay((median, p99));
        self.queue.push(Reverse((at, next)));
    }

    /// Until all serve nobody, and the rollback is in the store. The time the last one needed.
    fn run(&mut self) -> u64 {
        while let Some(Reverse((now, next))) = self.queue.pop() {
            self.step(now, next);
            let all_off = self.replicas.iter().all(|replica| replica.zero_at.is_some());
            if all_off && self.state.status == Status::RolledBack {
                break;
            }
            assert!(now < 2 * AWAY, "somebody is never told");
        }
        let last = self.replicas.iter().filter_map(|replica| replica.zero_at).max().unwrap_or(u64::MAX);
        let late: u64 = self.replicas.iter().filter_map(|replica| replica.zero_at).sum();
        self.served = late * PER_SECOND / 2 / 1_000_000;
        last
    }

    fn step(&mut self, now: u64, next: Next) {
        let is_down = now < self.back_at;
        match next {
            Next::Promote => {
                let event = Event::Promote { to: self.state.step_idx + 1 };
                if let Ok((next, _)) = apply(&self.policy, &self.state, &event, Some(&self.evidence), at(now)) {
                    self.state = next;
                    self.announce(now, usize::MAX);
                }
            }
            Next::Commit(idx) if is_down => self.after(now, (1000, 1100), Next::Commit(idx)),
            Next::Commit(idx) if self.state.status == Status::RolledBack => self.read(now, idx),
            // Whatever generation there is by now: a share may be lowered from any.
            Next::Commit(idx) => {
                let event = Event::Rollback { breach: self.breach.clone() };
                let before = self.state.share(&self.policy);
                let (next, transition) = apply(&self.policy, &self.state, &event, None, at(now)).expect("lowered");
                assert!(next.share(&self.policy) < before && transition.event == "rollback");
                self.state = next;
                self.n_rollbacks += 1;
                self.read(now, idx);
                self.announce(now, idx);
            }
            Next::Read(idx) => {
                if !is_down {
                    self.read(now, idx);
                }
                self.queue.push(Reverse((now + 1000 * MS, Next::Read(idx))));
            }
            Next::Tell { by, whom, attempt } => {
                let epoch = self.replicas[by].state.epoch;
                if self.random.chance(0.1) {
                    let again = now + ((250 * MS) << attempt.min(6));
                    self.queue.push(Reverse((again, Next::Tell { by, whom, attempt: attempt + 1 })));
                } else {
                    self.after(now, (20, 200), Next::Told(whom, epoch));
                }
            }
            Next::Told(idx, epoch) => {
                let replica = &mut self.replicas[idx];
                if replica.state.epoch <= epoch {
                    replica.turn_off(now);
                }
            }
        }
    }

    /// Tells the others that there is something new in the store.
    fn announce(&mut self, now: u64, by: usize) {
        for idx in (0..N_REPLICAS).filter(|idx| *idx != by) {
            if !self.random.chance(0.01) {
                let heard = now + self.delay((10, 87));
                self.queue.push(Reverse((heard, Next::Read(idx))));
            }
        }
    }

    fn read(&mut self, now: u64, idx: usize) {
        let took = self.delay((5, 50));
        let replica = &mut self.replicas[idx];
        // What is read is what was there when the reading began; an older state than the one it has is none.
        if self.state.generation < replica.state.generation {
            return;
        }
        replica.state = self.state.clone();
        match replica.state.share(&self.policy) {
            share if share <= 0.0 => replica.turn_off(now + took),
            // Who has found harm serves nobody before the rollback is there, whatever was promoted meanwhile.
            share if replica.zero_at.is_none() => replica.share = share,
            _ => {}
        }
    }
}

impl Replica {
    fn turn_off(&mut self, now: u64) {
        self.share = 0.0;
        self.zero_at.get_or_insert(now);
    }
}

fn at(micros: u64) -> Timestamp {
    Timestamp(10 + micros)
}

fn check(what: &str, store_is_down: bool, (typical_ms, most_ms): (u64, u64)) {
    let n_runs = size(500, 20_000);
    let (mut times, mut served) = (Vec::new(), Vec::new());
    for seed in 0..n_runs {
        let mut world = World::new(seed as u64, store_is_down);
        times.push(world.run());
        served.push(world.served);
        assert_eq!(world.n_rollbacks, 1, "one row says it");
        assert!(world.replicas.iter().all(|replica| replica.share <= 0.0), "somebody serves after the rollback");
    }
    let (median, p99) = (quantile(&mut times, 0.5) / MS, quantile(&mut times, 0.99) / MS);
    figure(
        "G7",
        what,
        &format!(
            "median {median} ms, p99 {p99} ms; {} candidate requests meanwhile (p99)",
            quantile(&mut served, 0.99)
        ),
        &format!("median ≤ {typical_ms} ms, p99 ≤ {most_ms} ms"),
        n_runs,
    );
    assert!(median <= typical_ms && p99 <= most_ms, "median {median} ms, p99 {p99} ms");
}

#[test]
fn eight_replicas_serve_nobody_within_a_second_of_a_breach_on_one_of_them() {
    check(
        "model of eight replicas, announcements through the store: breach on one to share 0 on all",
        false,
        (100, 1000),
    );
}

#[test]
fn without_the_store_eight_replicas_are_told_by_the_one_that_saw_it() {
    check("the same while the store is down, told by the one that saw it", true, (500, 2000));
}
