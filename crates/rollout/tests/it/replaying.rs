//! G12: rollouts led by chance through traffic, operators, breaches and kills, written down as the controller writes them, and decided again
//! from what was written: every decision, every look between them and every number comes out the same, to the bit. And a record in which
//! one outcome was changed does not.

use std::time::Duration;

use rollout::{
    Arm, Breach, CostOutcome, Decided, Event, Evidence, Health, Input, InputLog, InputPart, Looked, Metric, MetricSet,
    Outcome, PairOutcome, Policy, Replay, Risk, SeenUnit, State, Status, Timestamp, Transition, Unit, apply, decide,
};

use crate::support::{Random, draft, figure, grouped, size};

const JUDGED: MetricSet = MetricSet::of(&[Metric::Error, Metric::Timeout, Metric::Format, Metric::ToolCall]);

/// What is on disk, in order.
enum Row {
    /// The first entry's number, the entries as lines, and what was made of them, as JSON.
    Counted(u64, Vec<u8>, String),
    /// What was decided and the transition it led to, as JSON.
    Decided(String, String),
}

struct Life {
    policy: Policy,
    random: Random,
    now: Timestamp,
    state: State,
    evidence: Evidence,
    log: InputLog,
    /// Units of the epoch that are on disk, and the evidence as it was saved last.
    seen: Vec<SeenUnit>,
    saved: String,
    /// How often candidates fail, in thousandths.
    failing: u64,
    n_kills: u64,
    rows: Vec<Row>,
}

impl Life {
    fn led_by(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut policy = Policy::template(random.one_of(&[Risk::Low, Risk::Medium, Risk::High]));
        policy.unit = random.one_of(&[Unit::Request, Unit::Conversation]);
        policy.filed.clear();
        policy.warm_up = Duration::from_secs(random.below(3) * 30);
        for step in &mut policy.steps {
            (step.min_pairs, step.min_units) = (step.min_pairs.min(50), step.min_units.min(50));
            step.min_duration = Duration::from_secs(60);
        }
        policy.gates.iter_mut().for_each(|gate| gate.margin = 0.2);
        let state = draft(&policy);
        let evidence = Evidence::begin(&policy, &state, None);
        let (log, seen, rows, saved) = (InputLog::default(), Vec::new(), Vec::new(), String::new());
        let (now, failing, n_kills) = (Timestamp(1_000_000), 10, 0);
        let mut life = Self { policy, random, now, state, evidence, log, seen, saved, failing, n_kills, rows };
        life.happen(Event::Start { actor: "ada".to_owned() }, None, false);
        for _ in 0..60 {
            life.goes_on();
        }
        life.save(&Health::default());
        life
    }

    fn goes_on(&mut self) {
        let (actor, reason) = ("ben".to_owned(), "because".to_owned());
        match self.random.below(100) {
            0..70 => self.traffic(),
            70..74 => self.die(),
            74..77 => self.failing = self.random.one_of(&[0, 10, 30, 300, 1000]),
            77..80 => self.happen(Event::Pause { actor, reason }, None, false),
            80..88 => self.happen(Event::Resume { actor, reason }, None, false),
            88..92 => self.happen(Event::ForcePromote { actor, reason }, None, false),
            92..93 => self.happen(Event::Abort { actor, reason }, None, false),
            93..96 => self.happen(Event::Extend { actor, reason }, None, false),
            _ => self.now = self.now.plus(Duration::from_secs(self.random.below(5 * 86_400))),
        }
        if self.state.status == Status::AwaitingApproval {
            for actor in ["eve", "bob"] {
                let (actor, role) = (actor.to_owned(), "approver".to_owned());
                self.happen(Event::Approve { actor, role }, None, false);
            }
        }
        self.decide();
    }

    fn traffic(&mut self) {
        for _ in 0..self.random.below(200) {
            self.now = self.now.plus(Duration::from_millis(100 + self.random.below(2000)));
            for input in self.request() {
                let breach = self.evidence.take(&input);
                self.log.push(input);
                if let Some(breach) = breach {
                    self.happen(Event::Rollback { breach }, None, true);
                    return;
                }
            }
        }
    }

    fn request(&mut self) -> Vec<Input> {
        let bad = |random: &mut Random, rate: u64| -> MetricSet {
            JUDGED
                .iter()
                .filter(|metric| random.below(1000) < if *metric == Metric::Error { rate } else { 3 })
                .collect()
        };
        let (unit, at) = (self.random.below(5000), self.now);
        let share = self.state.share(&self.policy);
        if !self.state.status.is_serving() {
            return Vec::new();
        }
        let source = Input::KeySource { source: "header".into() };
        let (baseline_bad, candidate_bad) = (bad(&mut self.random, 10), bad(&mut self.random, self.failing));
        let (time_to_first_token_us, duration_us) = (Some(1000 + self.random.below(1_000_000)), Some(2_000_000));
        if share <= 0.0 {
            let stratum = self.random.one_of(&["0k/-/whole", "1k/-/stream"]);
            if self.random.below(20) == 0 {
                return vec![Input::ShadowDrop { reason: "rate".into(), stratum: stratum.into(), drawn: true }];
            }
            let (admitted_at, observed) = (at, JUDGED);
            let pair = PairOutcome {
                unit,
                admitted_at,
                at,
                observed,
                baseline_bad,
                candidate_bad,
                time_to_first_token_us,
                duration_us,
            };
            let of = Input::PairOf { stratum: stratum.into(), admitted_at };
            return vec![source, Input::ShadowOffer { stratum: stratum.into() }, of, Input::Pair(pair)];
        }
        let is_candidate = (unit as f64) < share * 5000.0;
        let (arm, bad) = if is_candidate { (Arm::Candidate, candidate_bad) } else { (Arm::Baseline, baseline_bad) };
        let (admitted_at, observed) = (at, JUDGED);
        let outcome = Outcome { unit, arm, admitted_at, at, observed, bad, time_to_first_token_us, duration_us };
        let cost = CostOutcome { unit, arm, admitted_at, at, nanos: 1000 + self.random.below(5000) };
        vec![source, Input::Cost(cost), Input::Outcome(outcome)]
    }

    /// What the controller does ten times a second.
    fn decide(&mut self) {
        let health = Health {
            journal_records: 1000,
            journal_dropped: self.random.below(3),
            candidate_breaker_open: self.random.below(60) == 0,
            ..Health::default()
        };
        match decide(&self.policy, &self.state, &self.evidence, &health, self.now).into_event() {
            Some(event) => self.happen(event, Some(health), false),
            None => self.save(&health),
        }
    }

    /// The evidence, what it counted, and what was decided of it.
    fn save(&mut self, health: &Health) {
        let part = self.log.take();
        let looked = Looked::at(&self.policy, &self.state, &self.evidence, health.clone(), self.now);
        self.rows.push(Row::Counted(part.first, part.to_lines(), serde_json::to_string(&looked).unwrap()));
        self.seen.extend(self.evidence.take_new_seen_units());
        self.saved = serde_json::to_string(&self.evidence).unwrap();
    }

    /// With the health that a decision was told, or with a breach that the request path has found.
    fn happen(&mut self, event: Event, health: Option<Health>, noted: bool) {
        let is_start = self.state.status == Status::Draft;
        let seen = |life: &Self| (!is_start).then(|| life.evidence.snapshot());
        let carried_out = |life: &Self| apply(&life.policy, &life.state, &event, seen(life).as_ref(), life.now);
        if carried_out(self).is_err() {
            return;
        }
        if !is_start {
            self.save(&health.clone().unwrap_or_default());
        }
        if let (true, Event::Rollback { breach }) = (noted, &event) {
            self.evidence.note_breach(breach.clone());
        }
        let (next, transition) = carried_out(self).unwrap();
        let decided = Decided {
            position: (!is_start).then(|| self.log.next()),
            health,
            noted,
            ..Decided::without_evidence(self.now, self.state.clone(), self.policy.clone(), event.clone())
        };
        let json = |value: &Transition| serde_json::to_string(value).unwrap();
        self.rows.push(Row::Decided(serde_json::to_string(&decided).unwrap(), json(&transition)));
        if next.epoch != self.state.epoch {
            self.evidence = Evidence::begin(&self.policy, &next, seen(self).as_ref());
            (self.log, self.seen) = (InputLog::default(), Vec::new());
        }
        self.saved = serde_json::to_string(&self.evidence).unwrap();
        self.state = next;
    }

    /// SIGKILL: what was not saved is gone, and the evidence is what the store has.
    fn die(&mut self) {
        if self.state.status == Status::Draft {
            return;
        }
        self.n_kills += 1;
        let kept = self.rows.iter().rev().find_map(|row| match row {
            Row::Counted(first, lines, _) => Some(first + lines.iter().filter(|byte| **byte == b'\n').count() as u64),
            Row::Decided(decided, _) => {
                let decided: Decided = serde_json::from_str(decided).unwrap();
                (decided.state.epoch != self.state.epoch).then_some(0)
            }
        });
        self.evidence = serde_json::from_str(&self.saved).unwrap();
        self.evidence.import_seen_units(self.seen.iter().copied());
        self.log = InputLog::from_number(kept.unwrap_or(0));
    }
}

#[derive(Default)]
struct Counts {
    decisions: u64,
    looks: u64,
    entries: u64,
    differences: u64,
}

/// Decides everything again.
fn replayed(rows: &[Row]) -> (Counts, Option<State>) {
    let (mut replay, mut counts) = (Replay::default(), Counts::default());
    for row in rows {
        match row {
            Row::Counted(first, lines, looked) => {
                let part = InputPart::from_lines(*first, lines).unwrap();
                let looked: Looked = serde_json::from_str(looked).unwrap();
                (counts.looks, counts.entries) = (counts.looks + 1, counts.entries + part.inputs.len() as u64);
                counts.differences += replay.count(&part, &looked).len() as u64;
            }
            Row::Decided(decided, transition) => {
                let decided: Decided = serde_json::from_str(decided).unwrap();
                counts.decisions += 1;
                let redone = replay.transition(&decided).unwrap();
                let is_same = serde_json::to_string(&redone.transition).unwrap() == *transition;
                counts.differences += redone.differences.len() as u64 + u64::from(!is_same);
            }
        }
    }
    (counts, replay.state().cloned())
}

#[test]
fn every_decision_of_rollouts_led_by_chance_comes_out_of_their_record_again() {
    let n_runs = size(20, 500);
    let (mut total, mut n_kills, mut n_breaches) = (Counts::default(), 0, 0);
    for seed in 0..n_runs {
        let life = Life::led_by(seed as u64);
        let (counts, state) = replayed(&life.rows);
        assert_eq!((counts.differences, state.as_ref()), (0, Some(&life.state)), "seed {seed}");
        total.decisions += counts.decisions;
        total.looks += counts.looks;
        total.entries += counts.entries;
        n_kills += life.n_kills;
        n_breaches += life.rows.iter().filter(|row| is_rollback(row)).count() as u64;
    }
    let Counts { decisions, looks, entries, .. } = total;
    figure(
        "G12",
        "rollouts led by chance through traffic, operators, breaches and kills: decisions that come out of the record otherwise",
        &format!(
            "0 of {}, and 0 of {} looks between them ({} entries, {} rollbacks, {} kills)",
            grouped(decisions),
            grouped(looks),
            grouped(entries),
            grouped(n_breaches),
            grouped(n_kills)
        ),
        "0",
        n_runs,
    );
    assert!(decisions > 100 && looks > 500 && n_breaches > 5 && n_kills > 10, "too little happened");
}

fn is_rollback(row: &Row) -> bool {
    matches!(row, Row::Decided(_, transition) if transition.contains("\"event\":\"rollback\""))
}

#[test]
fn a_record_in_which_one_outcome_was_changed_is_found_out() {
    let mut n_changed = 0;
    for seed in 0..20 {
        let mut rows = Life::led_by(seed).rows;
        let changed = rows.iter_mut().find_map(|row| {
            let Row::Counted(_, lines, _) = row else { return None };
            let text = String::from_utf8(lines.clone()).unwrap();
            let now = text.replacen("\"bad\":0,", "\"bad\":1,", 1);
            (now != text).then(|| *lines = now.into_bytes())
        });
        if changed.is_some() {
            n_changed += 1;
            assert!(replayed(&rows).0.differences > 0, "seed {seed}");
        }
    }
    assert!(n_changed > 5, "{n_changed} records hold an outcome");
}

/// A breaker that opened is no number of the evidence: it is noted, and decided again all the same.
#[test]
fn a_breaker_that_opened_is_decided_again() {
    let mut life = Life::led_by(1);
    let n_rows = life.rows.len();
    life.happen(Event::Resume { actor: "ben".to_owned(), reason: "again".to_owned() }, None, false);
    life.happen(Event::Rollback { breach: Breach::breaker_opened() }, None, true);
    assert!(life.rows.len() > n_rows);
    assert_eq!(replayed(&life.rows).0.differences, 0);
}
