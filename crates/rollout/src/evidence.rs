//! What has been seen in one epoch, in counters and sketches of fixed size.

mod judged;

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use stats::LatencySketch;

use crate::Timestamp;
use crate::assign::Arm;
use crate::breach::{Action, Breach};
use crate::comparison::{Compared, Comparisons};
use crate::cost::{CostGuard, CostOutcome};
use crate::coverage::Coverage;
use crate::examples::Examples;
use crate::gates::{CertificateEvidence, GateEvidence};
use crate::guards::{Absolute, Guards};
use crate::metric::{Metric, MetricSet};
use crate::policy::{Objectives, Policy, Stage, Unit};
use crate::seen::{Marks, SeenUnit, SeenUnits};
use crate::strata::StrataGates;

pub use judged::JudgedPair;

/// What came of one request of a unit that is in the rollout. Forced assignments and answers of an emergency fallback are no
/// evidence: do not report them.
///
/// The arm is the one the unit is assigned to, and what is judged is that arm's attempt, whoever answered in the end. An attempt
/// that a breaker, a queue or a limit refused is one too: observed and bad on [`Metric::Error`]. A request may
/// be reported in parts, as its facts become known: a timeout when the deadline passes, the rest when the attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The unit's position on the interval, or any other hash of its key.
    pub unit: u64,
    /// The arm it is assigned to.
    pub arm: Arm,
    /// When the request was admitted; one admitted before the epoch began is ignored.
    pub admitted_at: Timestamp,
    /// When this became known.
    pub at: Timestamp,
    /// The metrics this report is about.
    pub observed: MetricSet,
    /// Those of them that were bad.
    pub bad: MetricSet,
    /// Time to the first token, if one came.
    pub time_to_first_token_us: Option<u64>,
    /// Time to the end, if it came.
    pub duration_us: Option<u64>,
}

/// What both arms made of the same request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairOutcome {
    /// The unit's position on the interval, or any other hash of its key.
    pub unit: u64,
    /// When the request was admitted; one admitted before the epoch began is ignored.
    pub admitted_at: Timestamp,
    /// When the pair became complete.
    pub at: Timestamp,
    /// The metrics known for both answers.
    pub observed: MetricSet,
    /// Those the baseline was bad on.
    pub baseline_bad: MetricSet,
    /// Those the candidate was bad on.
    pub candidate_bad: MetricSet,
    /// The candidate's time to the first token, if one came.
    pub time_to_first_token_us: Option<u64>,
    /// The candidate's time to the end, if it came.
    pub duration_us: Option<u64>,
}

/// What somebody says of an answer after it was given: feedback, a judge's verdict, something that happened outside.
///
/// It counts when it arrives, for the epoch in which the exchange was admitted: one that comes when that epoch is over says nothing of
/// the next one. Report each exchange's signal of a metric once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The exchange's unit.
    pub unit: u64,
    /// The arm the unit was assigned to.
    pub arm: Arm,
    /// What it is about; see [`Metric::is_signal`].
    pub metric: Metric,
    /// Whether it is bad; a good one counts as well.
    pub bad: bool,
    /// When the exchange was admitted.
    pub admitted_at: Timestamp,
    /// When the signal arrived.
    pub at: Timestamp,
}

impl From<Signal> for Outcome {
    fn from(signal: Signal) -> Self {
        let Signal { unit, arm, metric, bad, admitted_at, at } = signal;
        let observed = MetricSet::of(&[metric]);
        let bad = if bad { observed } else { MetricSet::EMPTY };
        Self { unit, arm, admitted_at, at, observed, bad, time_to_first_token_us: None, duration_us: None }
    }
}

/// Requests judged on one metric, and those that were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests judged.
    pub n: u64,
    /// Requests that were bad.
    pub bad: u64,
}

/// What one arm did, request by request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmEvidence {
    /// Distinct units counted.
    pub units: u64,
    #[serde(deserialize_with = "tallies")]
    tallies: [Tally; Metric::COUNT],
    /// Times to the first token.
    pub time_to_first_token: LatencySketch,
    /// Times to the end.
    pub duration: LatencySketch,
}

/// What an epoch leaves to the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Carry {
    /// The finished steps' part of the harm e-value, and the weight they had in it.
    finished: f64,
    finished_weight: f64,
    /// The baseline's bad rates, as a guess for the next epoch's differences.
    rates: BTreeMap<Metric, f64>,
}

/// The evidence of one epoch: constant share, targets and rules. Never pooled with another's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    epoch: u32,
    step_idx: usize,
    stage: Stage,
    share: f64,
    started: Timestamp,
    warm_from: Timestamp,
    unit_is_request: bool,
    arms: [ArmEvidence; 2],
    n_pairs: u64,
    gates: Vec<GateEvidence>,
    guards: Guards,
    coverage: Coverage,
    key_sources: BTreeMap<String, u64>,
    breach: Option<Breach>,
    #[serde(default)]
    comparisons: Comparisons,
    #[serde(skip)]
    seen: SeenUnits,
    /// Bad exchanges, by name.
    #[serde(default)]
    examples: Examples,
    /// Proof that does not roll back, the first of each cause and metric.
    #[serde(default)]
    alarms: Vec<Breach>,
    #[serde(default)]
    cost: Option<CostGuard>,
    #[serde(default)]
    certificates: Vec<CertificateEvidence>,
    /// When anything was counted last.
    #[serde(default)]
    last_at: Timestamp,
    #[serde(default)]
    objectives: Objectives,
    /// What each kind of request says, where the policy asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strata: Option<StrataGates>,
    /// The kind of the pair that comes next, and when that was admitted.
    #[serde(skip)]
    next_stratum: Option<(String, Timestamp)>,
}

impl Evidence {
    /// Empty evidence for one epoch on one step.
    #[must_use]
    pub fn new(policy: &Policy, epoch: u32, step_idx: usize, carry: &Carry, started: Timestamp) -> Self {
        let (stage, share) = policy.step(step_idx).map_or((Stage::Shadow, 0.0), |step| (step.stage, step.share));
        let gates = policy.gates.iter().filter(|gate| gate.metric.is_asked_in(stage));
        let gates = gates.map(|gate| GateEvidence::new(gate, share, carry.rate(gate.metric)));
        let certificates = policy.certificates.iter().filter(|one| one.metric.is_asked_in(stage));
        Self {
            epoch,
            step_idx,
            stage,
            share,
            started,
            warm_from: started.plus(policy.warm_up),
            unit_is_request: policy.unit == Unit::Request,
            arms: Default::default(),
            n_pairs: 0,
            gates: gates.collect(),
            guards: Guards::new(policy, stage, share, carry),
            coverage: Coverage::default(),
            key_sources: BTreeMap::new(),
            breach: None,
            comparisons: Comparisons::default(),
            seen: SeenUnits::default(),
            examples: Examples::default(),
            alarms: Vec::new(),
            cost: policy.cost.as_ref().and_then(|cost| CostGuard::new(cost, share)),
            certificates: certificates.map(CertificateEvidence::new).collect(),
            last_at: Timestamp::default(),
            objectives: policy.objectives,
            strata: policy.strata_gate.filter(|_| stage == Stage::Shadow).map(|_| StrataGates::default()),
            next_stratum: None,
        }
    }

    /// Counts one outcome. Returns the breach if this outcome completes the first one of the epoch.
    pub fn observe(&mut self, outcome: &Outcome) -> Option<Breach> {
        if outcome.admitted_at < self.started {
            return None;
        }
        self.last_at = self.last_at.max(outcome.at);
        let bad = outcome.bad.and(outcome.observed);
        let arm = &mut self.arms[outcome.arm.idx()];
        arm.count(outcome.observed, bad, outcome.time_to_first_token_us, outcome.duration_us);
        if self.share <= 0.0 {
            return None;
        }
        let is_candidate = outcome.arm == Arm::Candidate;
        let observed = |limit: &Option<Absolute>| {
            let metric = limit.as_ref().map(|limit| limit.metric);
            metric.filter(|metric| is_candidate && outcome.observed.contains(*metric))
        };
        let (breaker, late) = (observed(&self.guards.absolute), observed(&self.guards.late));
        let breaker_bad = breaker.is_some_and(|metric| bad.contains(metric));
        let late_bad = late.is_some_and(|metric| bad.contains(metric));
        let is_warm = outcome.at >= self.warm_from;
        let counted = if is_warm { bad.and(self.guards.watched()) } else { MetricSet::EMPTY };
        let gated = if is_warm { outcome.observed } else { MetricSet::EMPTY };
        let wanted = Marks::bad(counted)
            .and_gates(gated)
            .and_breaker(breaker_bad)
            .and_late(late_bad)
            .and_unit(is_warm && outcome.observed.contains(Metric::Error));
        let new = self.mark(outcome.unit, wanted);
        self.arms[outcome.arm.idx()].units += u64::from(new.unit());
        for gate in self.gates.iter_mut().filter(|gate| new.gate_metrics().contains(gate.metric)) {
            gate.unpaired.observe(is_candidate, bad.contains(gate.metric));
        }
        if is_candidate {
            self.count_certificates(new.gate_metrics(), bad);
        }
        // A good event each time, a bad one once for a unit.
        if let Some(limit) =
            self.guards.absolute.as_mut().filter(|_| new.breaker() || breaker.is_some() && !breaker_bad)
        {
            limit.observe(breaker_bad);
        }
        if let Some(limit) = self.guards.late.as_mut().filter(|_| new.late() || late.is_some() && !late_bad) {
            limit.observe(late_bad);
        }
        self.guards.observe_bad(new.bad_metrics(), outcome.arm);
        let is_news = new.breaker() || new.late() || !new.bad_metrics().is_empty();
        if is_news { self.first_breach() } else { None }
    }

    /// Counts one complete pair. Returns the breach if this pair completes the first one of the epoch.
    pub fn observe_pair(&mut self, pair: &PairOutcome) -> Option<Breach> {
        if pair.admitted_at < self.started {
            return None;
        }
        self.coverage.complete += 1;
        self.last_at = self.last_at.max(pair.at);
        if self.stage != Stage::Shadow {
            return None;
        }
        let candidate_bad = pair.candidate_bad.and(pair.observed);
        let baseline_bad = pair.baseline_bad.and(pair.observed);
        let arm = &mut self.arms[Arm::Candidate.idx()];
        arm.count(pair.observed, candidate_bad, pair.time_to_first_token_us, pair.duration_us);
        let discordant = candidate_bad.xor(baseline_bad).and(self.guards.watched());
        let wanted = Marks::bad(discordant).and_gates(pair.observed).and_unit(pair.observed.contains(Metric::Error));
        let new = self.mark(pair.unit, wanted);
        self.n_pairs += u64::from(new.unit());
        let next = self.next_stratum.take().filter(|(_, admitted_at)| *admitted_at == pair.admitted_at);
        let stratum = next.as_ref().map_or("", |(stratum, _)| stratum);
        self.weigh(new, [baseline_bad, candidate_bad], stratum)
    }

    /// Gives gates and guards what of a pair is new to them. Returns the breach if it completes the first one of the epoch.
    fn weigh(
        &mut self,
        new: Marks,
        bad @ [baseline_bad, candidate_bad]: [MetricSet; 2],
        stratum: &str,
    ) -> Option<Breach> {
        if let Some(strata) = &mut self.strata {
            let gated = self.gates.iter().map(|gate| gate.metric).filter(|metric| new.gate_metrics().contains(*metric));
            strata.observe(stratum, gated, bad);
        }
        for gate in self.gates.iter_mut().filter(|gate| new.gate_metrics().contains(gate.metric)) {
            gate.paired.observe(baseline_bad.contains(gate.metric), candidate_bad.contains(gate.metric));
        }
        self.count_certificates(new.gate_metrics(), candidate_bad);
        let first_bad = new.bad_metrics();
        self.guards.observe_bad(first_bad.and(candidate_bad), Arm::Candidate);
        self.guards.observe_bad(first_bad.and(baseline_bad), Arm::Baseline);
        if first_bad.is_empty() { None } else { self.first_breach() }
    }

    /// Counts what a request cost. Returns the breach if this completes the first one of the epoch; a guard of cost pauses unless its policy
    /// says otherwise.
    pub fn observe_cost(&mut self, cost: &CostOutcome) -> Option<Breach> {
        if self.cost.is_none() || cost.admitted_at < self.started || cost.at < self.warm_from {
            return None;
        }
        if self.mark(cost.unit, Marks::cost()).is_none() {
            return None;
        }
        let guard = self.cost.as_mut()?;
        guard.observe(cost.arm, cost.nanos);
        let (breach, action) = (guard.breach()?, guard.action);
        match action {
            Action::Rollback if self.breach.is_none() => {
                self.breach = Some(breach.clone());
                Some(breach)
            }
            Action::Rollback => None,
            Action::Pause => {
                self.note_alarm(breach);
                None
            }
        }
    }

    /// Counts a request that was drawn and whose copy the shadow took.
    pub fn count_shadow_offer(&mut self, stratum: &str) {
        self.coverage.draw_one(stratum);
        self.coverage.offered += 1;
    }

    /// Counts a request that the shadow did not copy, or whose copy came to nothing. `drawn` says that it is counted for the first time.
    pub fn count_shadow_drop(&mut self, reason: &str, stratum: &str, drawn: bool) {
        if drawn {
            self.coverage.draw_one(stratum);
        }
        self.coverage.drop_one(reason, stratum);
    }

    /// Counts the stratum of a complete pair; [`observe_pair`](Self::observe_pair) counts the pair.
    pub fn count_pair_of(&mut self, stratum: &str, admitted_at: Timestamp) {
        if admitted_at >= self.started {
            self.coverage.complete_one(stratum);
            if self.strata.is_some() {
                self.next_stratum = Some((stratum.to_owned(), admitted_at));
            }
        }
    }

    /// Counts how far the answers of a pair are apart. It moves no guard and no gate.
    pub fn observe_comparison(&mut self, compared: &Compared) {
        self.comparisons.observe(compared);
    }

    /// Counts where a unit's key came from.
    pub fn count_key_source(&mut self, source: &str) {
        if let Some(n) = self.key_sources.get_mut(source) {
            *n += 1;
        } else {
            self.key_sources.insert(source.to_owned(), 1);
        }
    }

    /// Notes that `exchange` is among the bad ones, so that it can be looked at; it counts for nothing. One admitted before the
    /// epoch began is not noted.
    pub fn note_example(&mut self, arm: Arm, bad: MetricSet, admitted_at: Timestamp, exchange: &str) {
        if admitted_at >= self.started {
            self.examples.note(arm, bad, exchange);
        }
    }

    /// Some of the bad exchanges.
    #[must_use]
    pub fn examples(&self) -> &Examples {
        &self.examples
    }

    /// Notes a breach found outside the statistics (an open circuit breaker). The first one stays.
    pub fn note_breach(&mut self, breach: Breach) {
        self.breach.get_or_insert(breach);
    }

    /// What guards that pause have proven, the first proof of each cause and metric.
    #[must_use]
    pub fn alarms(&self) -> &[Breach] {
        &self.alarms
    }

    /// When anything was counted last; 0 before.
    #[must_use]
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// What an answer may take in this epoch.
    #[must_use]
    pub fn objectives(&self) -> Objectives {
        self.objectives
    }

    /// The first breach of the epoch.
    #[must_use]
    pub fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    /// What the next step's evidence begins with.
    #[must_use]
    pub fn carry(&self) -> Carry {
        let (finished, finished_weight) = self.guards.carry();
        let baseline = &self.arms[Arm::Baseline.idx()];
        let rates = Metric::ALL.into_iter().map(|metric| {
            let tally = baseline.tally(metric);
            (metric, (tally.bad as f64 + 1.0) / (tally.n as f64 + 100.0))
        });
        Carry { finished, finished_weight, rates: rates.collect() }
    }

    /// A copy to write down, read or explain. It does not remember units: never count on it.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let Self {
            epoch,
            step_idx,
            stage,
            share,
            started,
            warm_from,
            unit_is_request,
            n_pairs,
            last_at,
            objectives,
            ..
        } = *self;
        Self {
            epoch,
            step_idx,
            stage,
            share,
            started,
            warm_from,
            unit_is_request,
            n_pairs,
            arms: self.arms.clone(),
            gates: self.gates.clone(),
            guards: self.guards.clone(),
            coverage: self.coverage.clone(),
            key_sources: self.key_sources.clone(),
            breach: self.breach.clone(),
            comparisons: self.comparisons.clone(),
            seen: SeenUnits::default(),
            examples: self.examples.clone(),
            alarms: self.alarms.clone(),
            cost: self.cost.clone(),
            certificates: self.certificates.clone(),
            last_at,
            objectives,
            strata: self.strata.clone(),
            next_stratum: None,
        }
    }

    /// The units counted for something new since the last call. Not part of the serialized evidence: keep them apart (marks of
    /// the same unit are joined by "or"), and import them after a restart.
    pub fn take_new_seen_units(&mut self) -> Vec<SeenUnit> {
        self.seen.take_changed()
    }

    /// Gives back what [`take_new_seen_units`](Self::take_new_seen_units) or [`SeenUnit::from_record`] gave.
    pub fn import_seen_units(&mut self, units: impl IntoIterator<Item = SeenUnit>) {
        if !self.unit_is_request {
            self.seen.import(units);
        }
    }

    fn mark(&mut self, unit: u64, wanted: Marks) -> Marks {
        if self.unit_is_request { wanted } else { self.seen.mark(unit, wanted) }
    }

    fn count_certificates(&mut self, first: MetricSet, bad: MetricSet) {
        for certificate in self.certificates.iter_mut().filter(|one| first.contains(one.metric)) {
            certificate.count(bad.contains(certificate.metric));
        }
    }

    fn note_alarm(&mut self, breach: Breach) {
        if self.alarms.iter().all(|known| known.alarm() != breach.alarm()) {
            self.alarms.push(breach);
        }
    }

    /// The absolute breaker speaks first: it says more about what happened. What does not roll back is noted as an alarm.
    fn first_breach(&mut self) -> Option<Breach> {
        let pauses: Vec<Breach> = self.guards.pauses().collect();
        for pause in pauses {
            let pause = self.counted(pause);
            self.note_alarm(pause);
        }
        if self.breach.is_some() {
            return None;
        }
        let (breach, matters) = match self.guards.absolute_breach() {
            Some(breach) => (breach, true),
            None => self.guards.relative_breach()?,
        };
        let breach = self.counted(breach);
        if !matters {
            self.note_alarm(breach);
            return None;
        }
        self.breach = Some(breach.clone());
        Some(breach)
    }

    /// With the requests it was counted in.
    fn counted(&self, breach: Breach) -> Breach {
        let metric = breach.metric.unwrap_or(Metric::Error);
        let n = |arm: Arm| self.arms[arm.idx()].tally(metric).n;
        Breach { n_candidate: n(Arm::Candidate), n_baseline: n(Arm::Baseline), share: self.share, ..breach }
    }
}

impl Evidence {
    /// The epoch it belongs to.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The step it belongs to.
    #[must_use]
    pub fn step_idx(&self) -> usize {
        self.step_idx
    }

    /// The stage it belongs to.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The share it was counted at.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.share
    }

    /// When the epoch began.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// What one arm did. In shadow the candidate's requests are the copies.
    #[must_use]
    pub fn arm(&self, arm: Arm) -> &ArmEvidence {
        &self.arms[arm.idx()]
    }

    /// Complete pairs of distinct units.
    #[must_use]
    pub fn n_pairs(&self) -> u64 {
        self.n_pairs
    }

    /// Distinct units counted on both arms.
    #[must_use]
    pub fn n_units(&self) -> u64 {
        self.arms.iter().map(|arm| arm.units).sum()
    }

    /// What became of the shadow's copies.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// How far the answers of its pairs are apart.
    #[must_use]
    pub fn comparisons(&self) -> &Comparisons {
        &self.comparisons
    }

    /// Where the units' keys came from.
    #[must_use]
    pub fn key_sources(&self) -> &BTreeMap<String, u64> {
        &self.key_sources
    }

    /// How strongly the split of units contradicts the share: the natural log of a Bayes factor. `None` in shadow.
    #[must_use]
    pub fn sample_ratio_log_bayes_factor(&self) -> Option<f64> {
        let is_split = self.share > 0.0 && self.share < 1.0;
        let counts = [self.arm(Arm::Candidate).units, self.arm(Arm::Baseline).units];
        is_split.then(|| stats::sample_ratio::log_bayes_factor(&counts, &[self.share, 1.0 - self.share]))
    }

    pub(crate) fn gates(&self) -> &[GateEvidence] {
        &self.gates
    }

    pub(crate) fn guards(&self) -> &Guards {
        &self.guards
    }

    pub(crate) fn strata(&self) -> Option<&StrataGates> {
        self.strata.as_ref()
    }

    pub(crate) fn cost(&self) -> Option<&CostGuard> {
        self.cost.as_ref()
    }

    pub(crate) fn certificates(&self) -> &[CertificateEvidence] {
        &self.certificates
    }

    /// How many units are remembered.
    #[must_use]
    pub fn n_seen(&self) -> usize {
        self.seen.len()
    }
}

/// Fewer counters than there are metrics are those of an older store, which did not know the last ones.
fn tallies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[Tally; Metric::COUNT], D::Error> {
    let kept = Vec::<Tally>::deserialize(deserializer)?;
    let mut tallies = [Tally::default(); Metric::COUNT];
    if kept.len() > tallies.len() {
        return Err(D::Error::invalid_length(kept.len(), &"one counter for each metric"));
    }
    tallies.iter_mut().zip(kept).for_each(|(tally, kept)| *tally = kept);
    Ok(tallies)
}

impl ArmEvidence {
    /// Requests judged on `metric`, and those that were bad.
    #[must_use]
    pub fn tally(&self, metric: Metric) -> Tally {
        self.tallies[metric.idx()]
    }

    fn count(&mut self, observed: MetricSet, bad: MetricSet, first_token_us: Option<u64>, duration_us: Option<u64>) {
        for metric in observed.iter() {
            let tally = &mut self.tallies[metric.idx()];
            tally.n += 1;
            tally.bad += u64::from(bad.contains(metric));
        }
        if let Some(first_token_us) = first_token_us {
            self.time_to_first_token.record_us(first_token_us);
        }
        if let Some(duration_us) = duration_us {
            self.duration.record_us(duration_us);
        }
    }
}

impl Carry {
    /// For the first step: nothing finished, no rates known.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The finished steps' part of the harm e-value, and the weight they had in it.
    pub(crate) fn finished(&self) -> (f64, f64) {
        (self.finished, self.finished_weight)
    }

    /// A guess of the baseline's bad rate; 1 % where nothing is known.
    pub(crate) fn rate(&self, metric: Metric) -> f64 {
        self.rates.get(&metric).copied().unwrap_or(0.01)
    }
}
