//! A rollout as one page of facts: what the command line, the admin API and the console show.

use serde::{Deserialize, Serialize};
use stats::interval::wilson;
use stats::sketch::Quantiles;

use crate::Timestamp;
use crate::assign::Arm;
use crate::bands::Bands;
use crate::breach::{Breach, percent, rounded};
use crate::comparison::ComparisonsView;
use crate::cost::CostGuard;
use crate::coverage::Coverage;
use crate::decide::{Decision, Health, decide, withheld};
use crate::evidence::Evidence;
use crate::filed::FiledKind;
use crate::gates::{CertificateEvidence, GateEvidence};
use crate::metric::Metric;
use crate::plan::needed;
use crate::policy::{FiledPolicy, Policy, Stage};
use crate::state::{Approval, State, Status};
use crate::strata::StratumReading;

/// 95 % of a normal distribution lies within this many standard deviations.
const NORMAL_95: f64 = 1.959_964;
/// Pairs or units from which a difference above the margin is said to be one.
const WORSE_FROM: u64 = 5;

/// Everything there is to say about a rollout at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Its name.
    pub rollout: String,
    /// The target in production today.
    pub baseline: String,
    /// The target on trial.
    pub candidate: String,
    /// What it is doing.
    pub status: Status,
    /// Why, in words.
    pub reason: String,
    /// The stage it is in.
    pub stage: Stage,
    /// The step it is on.
    pub step_idx: usize,
    /// Every step, for the rail.
    pub steps: Vec<StepView>,
    /// The candidate's fraction of units.
    pub share: f64,
    /// The span of constant share it is in.
    pub epoch: u32,
    /// How long this span has lasted.
    pub epoch_age_s: u64,
    /// How long it lasts at least.
    pub min_duration_s: u64,
    /// Complete pairs of distinct units, and how many are needed.
    pub pairs: Progress,
    /// Distinct units of both arms, and how many are needed.
    pub units: Progress,
    /// The baseline, then the candidate.
    pub arms: Vec<ArmView>,
    /// What must be proven.
    pub gates: Vec<GateView>,
    /// What is watched.
    pub guards: Vec<GuardView>,
    /// The guards' common verdict.
    pub harm: HarmView,
    /// What became of the shadow's copies.
    pub coverage: Coverage,
    /// The complete fraction of them.
    pub coverage_fraction: Option<f64>,
    /// Where the units' keys came from.
    pub key_sources: Vec<(String, u64)>,
    /// Consent given on this step, and how much is needed.
    pub approvals: Vec<Approval>,
    /// How many must approve before the step is left.
    pub approvals_needed: u32,
    /// The breach of this epoch.
    pub breach: Option<Breach>,
    /// What the evidence says should happen.
    pub verdict: Verdict,
    /// That decision in one line.
    pub decision: String,
    /// What is missing, one line each.
    pub missing: Vec<String>,
    /// Of what is missing, what waiting alone does not bring, one line each.
    #[serde(default)]
    pub stuck: Vec<String>,
    /// What must be proven of the candidate by itself.
    #[serde(default)]
    pub certificates: Vec<CertificateView>,
    /// What must be filed, and whether it is.
    #[serde(default)]
    pub filed: Vec<FiledView>,
    /// What guards that pause have proven.
    #[serde(default)]
    pub alarms: Vec<Breach>,
    /// What the arms cost.
    #[serde(default)]
    pub cost: Option<CostView>,
    /// How long the step may last before a person is asked.
    #[serde(default)]
    pub max_duration_s: Option<u64>,
    /// How far the answers of pairs are apart, for triage.
    #[serde(default)]
    pub comparisons: ComparisonsView,
    /// Whether whoever started it may approve it.
    #[serde(default)]
    pub author_may_approve: bool,
    /// What each kind of request says by itself, where a gate asks for that.
    #[serde(default)]
    pub strata: Vec<StratumView>,
    /// Where rates and times lie, whenever one looks.
    #[serde(default)]
    pub bands: Bands,
}

/// What the pairs of one kind of request say on one gated metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StratumView {
    /// The kind: size, task, streamed or not; or all small ones together.
    pub stratum: String,
    /// What is counted.
    pub metric: Metric,
    /// Pairs counted.
    pub n: u64,
    /// How much worse it may be, 0..1.
    pub margin: f64,
    /// The e-value against "worse by the margin".
    pub e_value: f64,
    /// The e-value that passes.
    pub threshold: f64,
    /// Pass, or undecided.
    pub verdict: Verdict,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateView {
    /// What is counted.
    pub metric: Metric,
    /// What it asks, in words.
    pub name: String,
    /// Pairs or units counted, one outcome each.
    pub n: u64,
    /// Those that were bad.
    pub bad: u64,
    /// The rate that would be too high.
    pub limit: f64,
    /// The e-value against "at the limit or above it".
    pub e_value: f64,
    /// The e-value that passes.
    pub threshold: f64,
    /// Pass, or undecided.
    pub verdict: Verdict,
}

/// A result that must be filed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FiledView {
    /// What kind of result.
    pub kind: FiledKind,
    /// Which one.
    pub name: String,
    /// The stage whose entry demands it.
    pub before: Stage,
    /// Pass, or undecided.
    pub verdict: Verdict,
    /// What is missing, in words; empty when passed.
    pub missing: String,
}

/// What the arms cost, by the first priced request of each unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostView {
    /// Units counted, the baseline's, then the candidate's.
    pub units: [u64; 2],
    /// Their mean costs in nano-dollars.
    pub mean_nanos: [Option<f64>; 2],
    /// The largest ratio that is no harm.
    pub ratio: f64,
    /// The e-value against "at most that".
    pub e_value: f64,
    /// The e-value that is enough.
    pub threshold: f64,
}

/// What a gate, a guard or the whole rollout says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proven.
    Pass,
    /// Proven to be bad.
    Fail,
    /// Neither.
    Undecided,
}

/// One step on the rail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// Its stage.
    pub stage: Stage,
    /// Its share.
    pub share: f64,
    /// Whether the rollout has left it behind.
    pub is_done: bool,
    /// Whether the rollout is on it.
    pub is_current: bool,
}

/// How much there is of how much is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// There is.
    pub have: u64,
    /// Is needed.
    pub need: u64,
}

/// What one arm did. In shadow the candidate's requests are the copies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmView {
    /// Which.
    pub arm: Arm,
    /// Distinct units counted.
    pub units: u64,
    /// Bad rates by metric, where any request was judged.
    pub rates: Vec<RateView>,
    /// Times to the first token.
    pub time_to_first_token: Option<Quantiles>,
    /// Times to the end.
    pub duration: Option<Quantiles>,
}

/// One arm's bad rate, counting every request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateView {
    /// Of what.
    pub metric: Metric,
    /// Requests judged.
    pub n: u64,
    /// Requests that were bad.
    pub bad: u64,
    /// `bad / n`.
    pub rate: f64,
    /// A 95 % Wilson interval, for display only.
    pub interval: Option<(f64, f64)>,
}

/// What a gate says, and what it still needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateView {
    /// What is compared.
    pub metric: Metric,
    /// What it asks, in words.
    pub name: String,
    /// Pairs or units counted, one outcome each.
    pub n: u64,
    /// The candidate's bad rate less the baseline's.
    pub estimate: Option<f64>,
    /// The difference is below this, whenever one looks, with the gate's confidence.
    pub upper_bound: Option<f64>,
    /// The difference that would matter.
    pub margin: f64,
    /// The e-value against "worse by the margin or more".
    pub e_value: f64,
    /// The e-value that passes.
    pub threshold: f64,
    /// Pass, or undecided; a gate does not fail, guards do.
    pub verdict: Verdict,
    /// About how many more are needed if the arms are equal.
    pub n_more: Option<u64>,
    /// What is missing, in words; empty when passed.
    pub missing: String,
}

/// What a guard has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardView {
    /// What is watched.
    pub metric: Metric,
    /// Relative to the baseline, or against a fixed limit.
    pub kind: GuardKind,
    /// Bad events of the baseline, first per unit.
    pub bad_baseline: u64,
    /// Bad events of the candidate, first per unit.
    pub bad_candidate: u64,
    /// The e-value against "no harm".
    pub e_value: f64,
    /// The e-value that rolls back if this guard alone spoke.
    pub threshold: f64,
    /// Fail rolls back; otherwise undecided, for no harm seen is not proof of none.
    pub verdict: Verdict,
}

/// What a guard compares with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GuardKind {
    /// The baseline.
    Relative {
        /// Its part of the harm budget.
        weight: f64,
    },
    /// A fixed rate.
    Absolute {
        /// The rate.
        limit: f64,
    },
}

/// The weighted average of all relative guards over all steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HarmView {
    /// The e-value reached.
    pub e_value: f64,
    /// The e-value that rolls back.
    pub threshold: f64,
}

/// The numbers a transition is based on: what its audit row keeps and an approval is bound to.
#[derive(Serialize)]
struct Summary<'a> {
    epoch: u32,
    step_idx: usize,
    stage: Stage,
    share: f64,
    pairs: u64,
    units: u64,
    arms: Vec<ArmView>,
    gates: Vec<GateView>,
    guards: Vec<GuardView>,
    harm: HarmView,
    coverage: &'a Coverage,
    sample_ratio_log_bayes_factor: Option<f64>,
    breach: Option<&'a Breach>,
    certificates: Vec<CertificateView>,
    cost: Option<CostView>,
    alarms: &'a [Breach],
    bad_exchanges: Vec<crate::why::BadExchanges>,
    /// Only where they are gates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strata: Vec<StratumView>,
}

/// The page of facts.
#[must_use]
pub fn explain(policy: &Policy, state: &State, evidence: &Evidence, health: &Health, now: Timestamp) -> Explanation {
    let step = policy.step(state.step_idx);
    let decision = decide(policy, state, evidence, health, now);
    let mut missing: Vec<String> = match &decision {
        Decision::Hold { because } => because.iter().map(crate::Reason::words).collect(),
        Decision::Withdraw { because } => because.iter().map(crate::Reason::words).collect(),
        Decision::AwaitApproval { have, need } => vec![format!("{have} of {need} approvals")],
        _ => Vec::new(),
    };
    let stuck = match &decision {
        Decision::Hold { because } | Decision::Withdraw { because } => {
            because.iter().filter_map(crate::Reason::stuck).collect()
        }
        _ => Vec::new(),
    };
    if state.status.is_serving() {
        missing.extend(crate::remarks::keyless(policy.unit, evidence.key_sources()));
    }
    Explanation {
        rollout: state.name.clone(),
        baseline: state.baseline.clone(),
        candidate: state.candidate.clone(),
        status: state.status,
        reason: state.reason.clone(),
        stage: state.stage(policy),
        step_idx: state.step_idx,
        steps: rail(policy, state),
        share: state.share(policy),
        epoch: state.epoch,
        epoch_age_s: now.since(state.epoch_started).as_secs(),
        min_duration_s: step.map_or(0, |step| step.min_duration.as_secs()),
        pairs: Progress { have: evidence.n_pairs(), need: step.map_or(0, |step| step.min_pairs) },
        units: Progress { have: evidence.n_units(), need: step.map_or(0, |step| step.min_units) },
        arms: arms(evidence),
        gates: gates(policy, evidence),
        guards: guards(evidence),
        harm: harm(evidence),
        coverage: evidence.coverage().clone(),
        coverage_fraction: evidence.coverage().fraction(),
        key_sources: evidence.key_sources().iter().map(|(source, n)| (source.clone(), *n)).collect(),
        approvals: state.approvals.clone(),
        approvals_needed: step.map_or(0, |step| step.approvals),
        breach: evidence.breach().cloned(),
        verdict: verdict(state, &decision),
        decision: decision_words(policy, state, &decision),
        missing,
        stuck,
        certificates: certificates(policy, evidence),
        filed: filed(policy, health, now),
        alarms: evidence.alarms().to_vec(),
        cost: evidence.cost().map(cost),
        max_duration_s: state.max_duration(policy).map(|most| most.as_secs()),
        comparisons: evidence.comparisons().view(policy.alpha_promote),
        author_may_approve: policy.author_may_approve,
        strata: strata(policy, evidence),
        bands: Bands::of(evidence),
    }
}

fn strata(policy: &Policy, evidence: &Evidence) -> Vec<StratumView> {
    let (Some(demand), Some(strata)) = (&policy.strata_gate, evidence.strata()) else { return Vec::new() };
    let view = |reading: StratumReading| {
        let gate = policy.gates.iter().find(|gate| gate.metric == reading.metric)?;
        let threshold = 1.0 / gate.alpha.unwrap_or(policy.alpha_promote);
        Some(StratumView {
            stratum: reading.stratum,
            metric: reading.metric,
            n: reading.n,
            margin: demand.margin.max(gate.margin),
            e_value: reading.log_e.min(690.0).exp(),
            threshold,
            verdict: if reading.log_e >= threshold.ln() { Verdict::Pass } else { Verdict::Undecided },
        })
    };
    strata.readings(&policy.gates, demand).into_iter().filter_map(view).collect()
}

fn certificates(policy: &Policy, evidence: &Evidence) -> Vec<CertificateView> {
    let may_not = withheld(evidence);
    let view = |one: &CertificateEvidence| {
        let is_withheld = one.metric == Metric::Judged && !may_not.is_empty();
        let threshold = 1.0 / one.alpha.unwrap_or(policy.alpha_promote);
        let log_e = one.log_e();
        CertificateView {
            metric: one.metric,
            name: format!("{} below {}", one.metric.rate_name(), percent(one.limit)),
            n: one.n(),
            bad: one.n_bad,
            limit: one.limit,
            e_value: log_e.min(690.0).exp(),
            threshold,
            verdict: if !is_withheld && log_e >= threshold.ln() { Verdict::Pass } else { Verdict::Undecided },
        }
    };
    if evidence.stage() == Stage::Full { Vec::new() } else { evidence.certificates().iter().map(view).collect() }
}

fn filed(policy: &Policy, health: &Health, now: Timestamp) -> Vec<FiledView> {
    let view = |demand: &FiledPolicy| {
        let missing = demand.unmet(&health.filed, now);
        FiledView {
            kind: demand.kind,
            name: demand.name.clone(),
            before: demand.before,
            verdict: if missing.is_none() { Verdict::Pass } else { Verdict::Undecided },
            missing: missing.unwrap_or_default(),
        }
    };
    policy.filed.iter().map(view).collect()
}

fn cost(guard: &CostGuard) -> CostView {
    let arms = [Arm::Baseline, Arm::Candidate].map(|arm| guard.mean(arm));
    CostView {
        units: arms.map(|(n, _)| n),
        mean_nanos: arms.map(|(_, mean)| mean),
        ratio: guard.ratio(),
        e_value: guard.e_value(),
        threshold: guard.threshold(),
    }
}

/// The summary of evidence as JSON.
pub(crate) fn summary_json(policy: &Policy, evidence: &Evidence) -> String {
    let summary = Summary {
        epoch: evidence.epoch(),
        step_idx: evidence.step_idx(),
        stage: evidence.stage(),
        share: evidence.share(),
        pairs: evidence.n_pairs(),
        units: evidence.n_units(),
        arms: arms(evidence),
        gates: gates(policy, evidence),
        guards: guards(evidence),
        harm: harm(evidence),
        coverage: evidence.coverage(),
        sample_ratio_log_bayes_factor: evidence.sample_ratio_log_bayes_factor(),
        breach: evidence.breach(),
        certificates: certificates(policy, evidence),
        cost: evidence.cost().map(cost),
        alarms: evidence.alarms(),
        bad_exchanges: crate::why::bad_exchanges(evidence),
        strata: strata(policy, evidence),
    };
    serde_json::to_string(&summary).unwrap_or_else(|_| "null".to_owned())
}

fn rail(policy: &Policy, state: &State) -> Vec<StepView> {
    let is_on_rail = state.status.is_serving();
    let steps = policy.steps.iter().enumerate().map(|(idx, step)| StepView {
        stage: step.stage,
        share: step.share,
        is_done: is_on_rail && (idx < state.step_idx || state.status == Status::Completed),
        is_current: is_on_rail && idx == state.step_idx && state.status != Status::Completed,
    });
    steps.collect()
}

fn arms(evidence: &Evidence) -> Vec<ArmView> {
    let view = |arm: Arm| {
        let seen = evidence.arm(arm);
        let rates = Metric::ALL.into_iter().map(|metric| (metric, seen.tally(metric))).filter(|(_, tally)| tally.n > 0);
        ArmView {
            arm,
            units: seen.units,
            rates: rates
                .map(|(metric, tally)| RateView {
                    metric,
                    n: tally.n,
                    bad: tally.bad,
                    rate: tally.bad as f64 / tally.n as f64,
                    interval: wilson(tally.bad, tally.n, NORMAL_95),
                })
                .collect(),
            time_to_first_token: seen.time_to_first_token.quantiles(),
            duration: seen.duration.quantiles(),
        }
    };
    vec![view(Arm::Baseline), view(Arm::Candidate)]
}

pub(crate) fn gates(policy: &Policy, evidence: &Evidence) -> Vec<GateView> {
    if evidence.stage() == Stage::Full {
        return Vec::new();
    }
    evidence.gates().iter().map(|gate| gate_view(policy, evidence, gate)).collect()
}

fn gate_view(policy: &Policy, evidence: &Evidence, gate: &GateEvidence) -> GateView {
    let alpha = gate.alpha.unwrap_or(policy.alpha_promote);
    let threshold = 1.0 / alpha;
    let reading = gate.reading(evidence.stage(), alpha);
    let withheld = if gate.metric == Metric::Judged { withheld(evidence) } else { Vec::new() };
    let has_passed = withheld.is_empty() && reading.log_e >= threshold.ln();
    let tally = evidence.arm(Arm::Baseline).tally(gate.metric);
    let rate = if tally.n == 0 { 0.01 } else { tally.bad as f64 / tally.n as f64 };
    let wanted = needed(alpha, gate.margin, evidence.share(), rate, 0.0);
    // Far on the wrong side, "if both are equal" is no help.
    let is_worse = !has_passed && reading.n >= WORSE_FROM && reading.estimate > Some(gate.margin);
    let n_more = wanted.filter(|_| !has_passed && !is_worse).map(|wanted| wanted.saturating_sub(reading.n));
    let what = if evidence.stage() == Stage::Shadow { "pairs" } else { "units" };
    let e_value = reading.log_e.min(690.0).exp();
    let missing = match (has_passed, n_more) {
        (true, _) => String::new(),
        _ if !withheld.is_empty() => withheld.iter().map(crate::Reason::words).collect::<Vec<_>>().join("; "),
        _ if is_worse => {
            let seen = percent(reading.estimate.unwrap_or_default()).replace(" %", "");
            format!("worse by {seen} points so far, over the margin")
        }
        (false, Some(0)) if reading.n > 0 => {
            format!("not proven after {} {what}: the candidate may be worse", reading.n)
        }
        (false, Some(more)) => format!("about {more} more {what} if both are equal"),
        (false, None) => format!("e-value {} of {}", rounded(e_value), rounded(threshold)),
    };
    GateView {
        metric: gate.metric,
        name: format!("{} not higher by {} points", gate.metric.rate_name(), percent(gate.margin).replace(" %", "")),
        n: reading.n,
        estimate: reading.estimate,
        upper_bound: reading.upper_bound,
        margin: gate.margin,
        e_value,
        threshold,
        verdict: if has_passed { Verdict::Pass } else { Verdict::Undecided },
        n_more,
        missing,
    }
}

fn guards(evidence: &Evidence) -> Vec<GuardView> {
    let guards = evidence.guards();
    let relative = guards.relative.iter().map(|relative| {
        let threshold = guards.threshold_alone(relative);
        GuardView {
            metric: relative.metric,
            kind: GuardKind::Relative { weight: relative.weight },
            bad_baseline: relative.guard.n_baseline(),
            bad_candidate: relative.guard.n_candidate(),
            e_value: relative.e_value,
            threshold,
            verdict: if relative.e_value >= threshold { Verdict::Fail } else { Verdict::Undecided },
        }
    });
    let absolute = guards.limits().map(|absolute| {
        let (e_value, threshold) = (absolute.guard.log_e().min(690.0).exp(), 1.0 / absolute.alpha);
        GuardView {
            metric: absolute.metric,
            kind: GuardKind::Absolute { limit: absolute.limit },
            bad_baseline: 0,
            bad_candidate: absolute.guard.n_bad(),
            e_value,
            threshold,
            verdict: if e_value >= threshold { Verdict::Fail } else { Verdict::Undecided },
        }
    });
    relative.chain(absolute).collect()
}

fn harm(evidence: &Evidence) -> HarmView {
    HarmView { e_value: evidence.guards().harm(), threshold: evidence.guards().harm_threshold() }
}

fn verdict(state: &State, decision: &Decision) -> Verdict {
    match (state.status, decision) {
        (Status::RolledBack, _) | (_, Decision::Rollback { .. }) => Verdict::Fail,
        (Status::Completed, _) => Verdict::Pass,
        (_, Decision::Promote { .. } | Decision::Complete) => Verdict::Pass,
        (
            _,
            Decision::Hold { .. }
            | Decision::AwaitApproval { .. }
            | Decision::Pause { .. }
            | Decision::HoldForPerson { .. }
            | Decision::Withdraw { .. },
        ) => Verdict::Undecided,
    }
}

fn decision_words(policy: &Policy, state: &State, decision: &Decision) -> String {
    match decision {
        Decision::Hold { .. } => "hold".to_owned(),
        Decision::AwaitApproval { have, need } => format!("wait for approval ({have} of {need})"),
        Decision::Promote { to } => {
            let next = State { step_idx: *to, status: Status::Active, ..state.clone() };
            format!("promote to {}", next.label(policy))
        }
        Decision::Rollback { because } => format!("roll back: {}", because.words()),
        Decision::Pause { because } => format!("pause: {}", because.words()),
        Decision::HoldForPerson { because } => format!("hold for a person: {}", because.words()),
        Decision::Withdraw { .. } => "withdraw what is to be approved".to_owned(),
        Decision::Complete => "complete".to_owned(),
    }
}
