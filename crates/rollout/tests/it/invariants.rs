//! The laws of the state machine, held against any sequence of events, crashes and reloads that chance comes up with.
//!
//! What is tried is not what the controller would do but anything at all: commands in states they do not belong to, evidence of other epochs, approvals of
//! anybody, policies that change in between, evidence that comes twice, late, or in another order.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop, proptest};
use proptest::test_runner::Config;
use rollout::{
    Arm, Breach, Carry, Decision, Event, Evidence, Health, HeldBecause, MetricSet, Outcome, Policy, Risk, State,
    Status, Timestamp, Transition, Unit, apply, decide,
};
use sha2::{Digest, Sha256};

use crate::replicas;
use crate::support::{ERROR, draft, medium, outcome, set_if};

const PEOPLE: [&str; 4] = ["ada", "ben", "cleo", "dan"];

/// Which evidence somebody comes with.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Current,
    Nothing,
    OfTheEpochBefore,
    OfAnotherStep,
    Breached,
}

#[derive(Clone, Debug)]
enum Move {
    /// Some event, possible or not, and the evidence it comes with.
    Event { kind: usize, to: usize, by: usize, reason: bool, shown: Shown },
    /// What the evidence says is carried out.
    Decide,
    /// So many units, of which this part of the candidate's fail.
    Traffic { n: u64, failing: f64 },
    /// Everything in memory is lost; state and evidence come back as they were written down.
    Crash,
    /// Another policy from now on.
    Reload { risk: Risk },
    /// Nothing happens for so many hours.
    Wait { hours: u64 },
}

fn shown() -> impl Strategy<Value = Shown> {
    prop::sample::select(vec![
        Shown::Current,
        Shown::Current,
        Shown::Current,
        Shown::Nothing,
        Shown::OfTheEpochBefore,
        Shown::OfAnotherStep,
        Shown::Breached,
    ])
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let event = (0..N_KINDS, 0_usize..9, 0..PEOPLE.len(), any::<bool>(), shown())
        .prop_map(|(kind, to, by, reason, shown)| Move::Event { kind, to, by, reason, shown });
    // The events that lead upwards come more often, or nothing would ever be far enough up to be wrong.
    let upwards = (prop::sample::select(vec![0_usize, 1, 1, 2, 4, 4, 6, 8]), 1..PEOPLE.len())
        .prop_map(|(kind, by)| Move::Event { kind, to: usize::MAX, by, reason: true, shown: Shown::Current });
    let traffic = (1_u64..60, prop::sample::select(vec![0.0, 0.01, 0.3, 1.0]))
        .prop_map(|(n, failing)| Move::Traffic { n, failing });
    let risk = prop::sample::select(vec![Risk::Low, Risk::Medium, Risk::High]);
    prop::collection::vec(
        proptest::prop_oneof![
            4 => event,
            4 => upwards,
            3 => Just(Move::Decide),
            3 => traffic,
            1 => Just(Move::Crash),
            1 => risk.prop_map(|risk| Move::Reload { risk }),
            2 => (1_u64..200).prop_map(|hours| Move::Wait { hours }),
        ],
        1..120,
    )
}

const N_KINDS: usize = 16;

fn event(kind: usize, to: usize, by: usize, has_reason: bool) -> Event {
    let actor = PEOPLE[by].to_owned();
    let reason = if has_reason { "because".to_owned() } else { " ".to_owned() };
    match kind {
        0 => Event::Start { actor },
        1 => Event::Promote { to },
        2 => Event::ForcePromote { actor, reason },
        3 => Event::AwaitApproval,
        4 => Event::Approve { actor, role: String::new() },
        5 => Event::Withdraw { missing: "a gate".to_owned() },
        6 => Event::Hold { because: HeldBecause::MaxDuration { max_s: 60 } },
        7 => Event::Extend { actor, reason },
        8 => Event::Accept { actor, reason },
        9 => Event::Alarm { breach: Breach::breaker_opened() },
        10 => Event::Pause { actor, reason },
        11 => Event::Resume { actor, reason },
        12 => Event::Rollback { breach: Breach::breaker_opened() },
        13 => Event::Abort { actor, reason },
        14 => Event::Complete,
        _ => changed(),
    }
}

fn changed() -> Event {
    Event::Changed { what: "the policy".to_owned(), baseline: "gpt".to_owned(), candidate: "qwen".to_owned() }
}

/// A template with numbers that a few dozen units reach; people, holdback and alphas stay.
fn small(risk: Risk) -> Policy {
    let mut policy = Policy::template(risk);
    policy.unit = Unit::Conversation;
    policy.warm_up = Duration::ZERO;
    policy.filed.clear();
    policy.min_coverage = 0.0;
    policy.gates.truncate(1);
    policy.gates[0].margin = 0.4;
    for step in &mut policy.steps {
        (step.min_pairs, step.min_units) = (step.min_pairs.min(20), step.min_units.min(20));
        step.min_duration = step.min_duration.min(Duration::from_secs(3600));
    }
    policy
}

struct Walk {
    policy: Policy,
    state: State,
    evidence: Evidence,
    before: Option<Evidence>,
    now: Timestamp,
    unit: u64,
    audit: Vec<Transition>,
}

impl Walk {
    fn new(risk: Risk) -> Self {
        let policy = small(risk);
        let state = draft(&policy);
        let evidence = Evidence::begin(&policy, &state, None);
        Self { policy, state, evidence, before: None, now: Timestamp(1), unit: 0, audit: Vec::new() }
    }

    fn make(&mut self, one: &Move) {
        match one {
            Move::Event { kind, to, by, reason, shown } => {
                let to = if *to == usize::MAX { self.state.step_idx + 1 } else { *to };
                self.carry_out(&event(*kind, to, *by, *reason), *shown);
            }
            Move::Decide => self.decide(),
            Move::Traffic { n, failing } => (0..*n).for_each(|idx| self.request(idx, *failing)),
            Move::Crash => {
                self.state = serde_json::from_str(&serde_json::to_string(&self.state).unwrap()).unwrap();
                let units = self.evidence.take_new_seen_units();
                self.evidence = serde_json::from_str(&serde_json::to_string(&self.evidence).unwrap()).unwrap();
                self.evidence.import_seen_units(units);
            }
            Move::Reload { risk } => {
                self.policy = small(*risk);
                self.carry_out(&changed(), Shown::Current);
            }
            Move::Wait { hours } => self.now = self.now.plus(Duration::from_secs(3600 * hours)),
        }
        self.check_state();
    }

    fn request(&mut self, idx: u64, failing: f64) {
        if !self.state.status.is_serving() {
            return;
        }
        self.unit += 1;
        self.now.0 += 1000;
        let bad = set_if((idx as f64 * 0.618).fract() < failing);
        if self.state.is_shadowing(&self.policy) {
            let pair = crate::support::pair(self.unit, ERROR, MetricSet::EMPTY, bad);
            self.evidence.observe_pair(&rollout::PairOutcome { admitted_at: self.now, at: self.now, ..pair });
        } else {
            let position =
                rollout::assign::position(&self.state.salt, rollout::assign::ASSIGN, &self.unit.to_be_bytes());
            let share = self.state.share(&self.policy);
            let is_candidate = rollout::assign::is_below(position, share);
            let arm = if is_candidate { Arm::Candidate } else { Arm::Baseline };
            let seen = outcome(position, arm, ERROR, if is_candidate { bad } else { MetricSet::EMPTY });
            self.evidence.observe(&Outcome { admitted_at: self.now, at: self.now, ..seen });
        }
    }

    fn decide(&mut self) {
        let decision = decide(&self.policy, &self.state, &self.evidence, &Health::default(), self.now);
        if self.evidence.breach().is_some() && self.state.status.is_serving() {
            assert!(matches!(decision, Decision::Rollback { .. }), "{decision:?} though a guard is breached");
        }
        let fresh = Evidence::begin(&self.policy, &self.state, None);
        let of_nothing = decide(&self.policy, &self.state, &fresh, &Health::default(), self.now);
        let passes =
            matches!(of_nothing, Decision::Promote { .. } | Decision::AwaitApproval { .. } | Decision::Complete);
        assert!(!passes, "no data passed: {of_nothing:?} at step {}", self.state.step_idx);
        if let Some(event) = decision.into_event() {
            self.carry_out(&event, Shown::Current);
        }
    }

    fn carry_out(&mut self, event: &Event, shown: Shown) {
        let other =
            |epoch: u32, step_idx: usize| Evidence::new(&self.policy, epoch, step_idx, &Carry::none(), self.now);
        let made = match shown {
            Shown::Current => Some(self.evidence.clone()),
            Shown::Nothing => None,
            Shown::OfTheEpochBefore => self.before.clone(),
            Shown::OfAnotherStep => Some(other(self.state.epoch, self.state.step_idx + 1)),
            Shown::Breached => {
                let mut breached = self.evidence.clone();
                breached.note_breach(Breach::breaker_opened());
                Some(breached)
            }
        };
        let Ok((next, transition)) = apply(&self.policy, &self.state, event, made.as_ref(), self.now) else { return };
        self.check(event, made.as_ref(), &next, &transition);
        if next.epoch != self.state.epoch {
            let begun = Evidence::begin(&self.policy, &next, Some(&self.evidence));
            assert_eq!((begun.n_units(), begun.n_pairs()), (0, 0), "evidence of one epoch was pooled with another's");
            self.before = Some(std::mem::replace(&mut self.evidence, begun));
        }
        self.state = next;
        self.audit.push(transition);
    }

    /// What holds of every step that is taken.
    fn check(&self, event: &Event, evidence: Option<&Evidence>, next: &State, transition: &Transition) {
        let (policy, before) = (&self.policy, &self.state);
        assert_eq!(next.generation, before.generation + 1);
        assert!(next.epoch == before.epoch || next.epoch == before.epoch + 1, "epochs only rise, one at a time");
        if next.step_idx != before.step_idx {
            assert_eq!(next.epoch, before.epoch + 1, "another share is another epoch");
        }
        if next.epoch != before.epoch {
            assert!(next.approvals.is_empty() && next.acknowledged.is_empty() && next.alarm.is_none());
        }
        let hash: String = Sha256::digest(&transition.evidence_json).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(transition.evidence_hash, hash, "an audit row names the evidence it shows");
        if matches!(before.status, Status::RolledBack | Status::Aborted) {
            let leaves = matches!(event, Event::Resume { .. });
            assert!(leaves || next.status == before.status, "{event:?} led out of {:?}", before.status);
        }
        let (from, to) = (before.share(policy), next.share(policy));
        assert_eq!((transition.from_share, transition.to_share), (from, to));
        if to > from {
            let rises = matches!(event, Event::Promote { .. } | Event::ForcePromote { .. } | Event::Accept { .. });
            assert!(rises, "{event:?} raised the share from {from} to {to}");
            assert_eq!(next.step_idx, before.step_idx + 1, "one step at a time");
            let evidence = evidence.expect("a rise without evidence");
            assert_eq!((evidence.epoch(), evidence.step_idx()), (before.epoch, before.step_idx));
            assert!(evidence.breach().is_none(), "a rise past a breach");
            assert!(transition.evidence_json != "null");
            self.check_consent();
        }
    }

    /// As many different people as the step asks for, none of them the author where that is not allowed, and all of them lately.
    fn check_consent(&self) {
        let (policy, before) = (&self.policy, &self.state);
        let mut people: Vec<&str> = before
            .approvals
            .iter()
            .filter(|approval| (approval.epoch, approval.step_idx) == (before.epoch, before.step_idx))
            .filter(|approval| approval.expires_at.is_none_or(|end| self.now < end))
            .map(|approval| approval.actor.as_str())
            .collect();
        people.sort_unstable();
        people.dedup();
        let need = policy.steps[before.step_idx].approvals as usize;
        assert!(people.len() >= need, "{people:?} where {need} must agree");
        assert!(
            need == 0 || policy.author_may_approve || !people.contains(&before.author.as_str()),
            "the author agreed"
        );
    }

    /// What holds of every state.
    fn check_state(&self) {
        let share = self.state.share(&self.policy);
        assert!(share <= 1.0 - self.policy.holdback + 1e-12, "{share} leaves less than the holdback");
        assert!(share == 0.0 || self.state.status.is_serving(), "a share of {share} while {:?}", self.state.status);
        assert_eq!((self.evidence.epoch(), self.evidence.step_idx()), (self.state.epoch, self.state.step_idx));
        for (row, after) in self.audit.iter().zip(self.audit.iter().skip(1)) {
            assert!(row.generation + 1 == after.generation && row.epoch <= after.epoch, "a gap in the audit trail");
        }
    }
}

proptest! {
    #[test]
    fn no_sequence_of_events_breaks_a_law(
        risk in prop::sample::select(vec![Risk::Low, Risk::Medium, Risk::High]),
        moves in moves(),
    ) {
        let mut walk = Walk::new(risk);
        moves.iter().for_each(|one| walk.make(one));
    }
}

/// On no step of any template, however long it waited, and at full as little as before.
#[test]
fn no_data_is_never_a_pass() {
    for risk in [Risk::Low, Risk::Medium, Risk::High] {
        let mut policy = Policy::template(risk);
        policy.filed.clear();
        for (step_idx, step) in policy.steps.iter().enumerate() {
            let state = State { status: Status::Active, step_idx, epoch: 1, ..draft(&policy) };
            let evidence = Evidence::begin(&policy, &state, None);
            for days in [0, 2, 8, 40, 400] {
                let now = Timestamp(1).plus(Duration::from_secs(days * 24 * 3600));
                let decision = decide(&policy, &state, &evidence, &Health::default(), now);
                let stays = matches!(decision, Decision::Hold { .. } | Decision::HoldForPerson { .. });
                assert!(stays, "{decision:?} after {days} days of nothing at a share of {}", step.share);
            }
        }
    }
}

/// One outcome of a few units, and what becomes of its delivery.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    unit: u64,
    bad: bool,
    /// Admitted before the epoch began.
    is_late: bool,
    /// After it the evidence is written down.
    is_saved: bool,
    /// After it the process dies.
    is_lost: bool,
}

fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    let one = (
        0_u64..40,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(
        one.prop_map(|(unit, bad, is_late, is_saved, is_lost)| Delivery { unit, bad, is_late, is_saved, is_lost }),
        0..200,
    )
}

fn at_half() -> (Policy, Evidence) {
    let policy = Policy { unit: Unit::Conversation, ..medium() };
    let step_idx = policy.steps.iter().position(|step| step.share == 0.5).unwrap();
    let evidence = Evidence::new(&policy, 1, step_idx, &Carry::none(), Timestamp(1000));
    (policy, evidence)
}

fn deliver(evidence: &mut Evidence, delivery: &Delivery, at: u64) {
    let arm = if delivery.unit.is_multiple_of(2) { Arm::Candidate } else { Arm::Baseline };
    let admitted_at = Timestamp(if delivery.is_late { 999 } else { 1000 + at });
    let seen = outcome(delivery.unit, arm, ERROR, set_if(delivery.bad));
    evidence.observe(&Outcome { admitted_at, at: Timestamp(2000 + at), ..seen });
}

fn part(evidence: &Evidence, name: &str) -> serde_json::Value {
    serde_json::to_value(evidence).unwrap()[name].clone()
}

proptest! {
    /// What is not written down is counted again from the record: nothing is counted twice, nothing is left out, bit for bit.
    #[test]
    fn evidence_that_was_lost_and_counted_again_is_the_evidence_that_was_not(deliveries in deliveries()) {
        let (_, mut whole) = at_half();
        let (_, mut broken) = at_half();
        let (mut saved, mut units, mut n_saved) = (serde_json::to_string(&broken).unwrap(), Vec::new(), 0);
        for (idx, delivery) in deliveries.iter().enumerate() {
            deliver(&mut whole, delivery, idx as u64);
            deliver(&mut broken, delivery, idx as u64);
            if delivery.is_saved {
                units.extend(broken.take_new_seen_units());
                (saved, n_saved) = (serde_json::to_string(&broken).unwrap(), idx + 1);
            }
            if delivery.is_lost {
                broken = serde_json::from_str(&saved).unwrap();
                broken.import_seen_units(units.iter().copied());
                for (again, delivery) in deliveries.iter().enumerate().take(idx + 1).skip(n_saved) {
                    deliver(&mut broken, delivery, again as u64);
                }
            }
        }
        assert_eq!(serde_json::to_string(&broken).unwrap(), serde_json::to_string(&whole).unwrap());
    }

    /// Heard twice, everything that decides is as if it had been heard once.
    #[test]
    fn evidence_that_comes_twice_decides_as_evidence_that_comes_once(deliveries in deliveries()) {
        let ((_, mut once), (_, mut twice)) = (at_half(), at_half());
        for (idx, delivery) in deliveries.iter().enumerate().filter(|(_, delivery)| delivery.bad) {
            deliver(&mut once, delivery, idx as u64);
            deliver(&mut twice, delivery, idx as u64);
            deliver(&mut twice, delivery, idx as u64);
        }
        for name in ["guards", "gates", "certificates", "n_pairs"] {
            assert_eq!(part(&once, name), part(&twice, name), "{name}");
        }
        assert_eq!((once.n_units(), once.breach().is_some()), (twice.n_units(), twice.breach().is_some()));
    }

    /// In whatever order each unit's only outcome comes, the gates prove the same; what was admitted before the epoch changes nothing.
    #[test]
    fn evidence_in_another_order_proves_the_same_and_late_evidence_proves_nothing(
        deliveries in deliveries(),
        order in any::<u64>(),
    ) {
        let ((_, mut ordered), (_, mut shuffled)) = (at_half(), at_half());
        let mut apart: Vec<Delivery> =
            deliveries.iter().enumerate().map(|(idx, delivery)| Delivery { unit: idx as u64, ..*delivery }).collect();
        apart.iter().for_each(|delivery| deliver(&mut ordered, delivery, 0));
        apart.retain(|delivery| !delivery.is_late);
        apart.sort_by_key(|delivery| (delivery.unit + 1).wrapping_mul(order | 1));
        apart.iter().for_each(|delivery| deliver(&mut shuffled, delivery, 0));
        for name in ["gates", "arms", "certificates"] {
            assert_eq!(part(&ordered, name), part(&shuffled, name), "{name}");
        }
    }

    /// The first breach of an epoch is its last word: nothing that comes later takes it back or makes it another one.
    #[test]
    fn a_breach_stays(deliveries in deliveries()) {
        let (policy, mut evidence) = at_half();
        (0..40).for_each(|idx| {
            let outage = Delivery { unit: 1000 + 2 * idx, bad: true, is_late: false, is_saved: false, is_lost: false };
            deliver(&mut evidence, &outage, idx);
        });
        let breach = evidence.breach().cloned();
        assert!(breach.is_some());
        for (idx, delivery) in deliveries.iter().enumerate() {
            deliver(&mut evidence, &Delivery { bad: false, ..*delivery }, 100 + idx as u64);
            assert_eq!(evidence.breach(), breach.as_ref());
        }
        let state = State { status: Status::Active, step_idx: evidence.step_idx(), epoch: 1, ..draft(&policy) };
        let decision = decide(&policy, &state, &evidence, &Health::default(), Timestamp(1 << 50));
        assert!(matches!(decision, Decision::Rollback { .. }), "{decision:?}");
    }
}

proptest! {
    #![proptest_config(Config { cases: Config::default().cases / 4, ..Config::default() })]

    /// Three replicas in any order of traffic, flushes, polls, leases and commits, with a store that goes and leaders that are deposed. The
    /// model checks its laws at every moment at which a process may die.
    #[test]
    fn no_order_of_three_replicas_steps_raises_a_share_without_committed_evidence(
        seed in any::<u64>(),
        steps in prop::collection::vec((0..replicas::N_REPLICAS, replicas::steps()), 1..400),
    ) {
        replicas::walk(seed, &steps);
    }
}
