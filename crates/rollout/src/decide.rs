//! What the evidence says should happen next.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::assign::Arm;
use crate::breach::{Breach, BreachCause, percent, rounded};
use crate::coverage::{self, StratumCoverage};
use crate::evidence::Evidence;
use crate::filed::{Filed, FiledKind};
use crate::gates::CertificateEvidence;
use crate::metric::Metric;
use crate::policy::{Policy, Stage, StepPolicy};
use crate::state::{State, Status};

/// An e-value against the intended split of units of 1000 makes the evidence invalid.
const SAMPLE_RATIO_E: f64 = 1000.0;

/// What else must be in order before anything is promoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Records offered to the journal.
    pub journal_records: u64,
    /// Those that were lost.
    pub journal_dropped: u64,
    /// Whether the candidate's circuit breaker is open.
    pub candidate_breaker_open: bool,
    /// Results that were filed for this rollout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filed: Vec<Filed>,
}

/// What should happen next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Stay. Undecided is a reason to stay.
    Hold {
        /// What is missing.
        because: Vec<Reason>,
    },
    /// Everything is proven; people must consent.
    AwaitApproval {
        /// How many have.
        have: u32,
        /// How many must.
        need: u32,
    },
    /// Go to the next step.
    Promote {
        /// Its index.
        to: usize,
    },
    /// Throw the candidate back.
    Rollback {
        /// The proof.
        because: Breach,
    },
    /// Stay, and have a person look at what a guard has proven.
    Pause {
        /// The proof.
        because: Breach,
    },
    /// Stay, and have a person say what becomes of it: time is up, or will not help.
    HoldForPerson {
        /// Why.
        because: HeldBecause,
    },
    /// The evidence that was to be approved does not pass any more: what was approved is void.
    Withdraw {
        /// What is missing now.
        because: Vec<Reason>,
    },
    /// The rollout is done.
    Complete,
}

/// Why only a person can say how it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "held", rename_all = "snake_case")]
pub enum HeldBecause {
    /// The step has lasted as long as it may.
    MaxDuration {
        /// Seconds it may last.
        max_s: u64,
    },
    /// At the rate of arrival so far the minimum is not reached before the step's time is up.
    Unreachable {
        /// `pairs` or `units`.
        what: String,
        /// Seen.
        have: u64,
        /// Needed.
        need: u64,
        /// To be expected when the time is up.
        expected: u64,
    },
    /// Nothing was counted for too long.
    Stale {
        /// Seconds since anything was counted, or since a person last looked.
        for_s: u64,
    },
    /// Nobody approved in time.
    ApprovalExpired {
        /// Seconds it waited.
        for_s: u64,
    },
}

impl HeldBecause {
    /// Why, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::MaxDuration { max_s } => {
                format!("the step has lasted {} and is neither passed nor thrown back", duration(*max_s))
            }
            Self::Unreachable { what, have, need, expected } => {
                format!("{have} of {need} {what}, and at this rate {expected} when the step's time is up")
            }
            Self::Stale { for_s } => format!("nothing was counted for {}", duration(*for_s)),
            Self::ApprovalExpired { for_s } => format!("nobody approved within {}", duration(*for_s)),
        }
    }
}

/// Why a rollout stays where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// It is not collecting evidence.
    NotActive {
        /// What it is doing instead.
        status: Status,
    },
    /// The evidence belongs to another epoch.
    StaleEvidence,
    /// The step's time is not up.
    TooEarly {
        /// Seconds to go.
        left_s: u64,
    },
    /// Not enough pairs of distinct units.
    TooFewPairs {
        /// Pairs seen.
        have: u64,
        /// Pairs needed.
        need: u64,
    },
    /// Not enough distinct units.
    TooFewUnits {
        /// Units seen.
        have: u64,
        /// Units needed.
        need: u64,
    },
    /// A gate has not proven its margin.
    GateUndecided {
        /// Which.
        metric: Metric,
        /// Pairs or units counted.
        n: u64,
        /// The e-value reached.
        e_value: f64,
        /// The e-value needed.
        threshold: f64,
    },
    /// A kind of request has not proven its margin by itself.
    StratumUndecided {
        /// Which kind.
        stratum: String,
        /// On what.
        metric: Metric,
        /// Pairs counted.
        n: u64,
        /// The e-value reached.
        e_value: f64,
        /// The e-value needed.
        threshold: f64,
    },
    /// What is judged proves nothing: too many questions to the judge have no verdict that can be read.
    JudgeUnread {
        /// Questions without one.
        unread: u64,
        /// Questions asked.
        questions: u64,
    },
    /// The judge's word decides nothing: it has not been shown to agree with people.
    JudgeUntrusted {
        /// Pairs that it judged.
        pairs: u64,
    },
    /// A rate is not proven to be below its limit.
    CertificateUndecided {
        /// Of what.
        metric: Metric,
        /// The limit.
        limit: f64,
        /// Pairs or units counted.
        n: u64,
        /// The e-value reached.
        e_value: f64,
        /// The e-value needed.
        threshold: f64,
    },
    /// A result that must be filed is not there, not a pass or not fresh.
    NotFiled {
        /// What kind of result.
        kind: FiledKind,
        /// Which one.
        name: String,
        /// What is wrong, in words.
        problem: String,
    },
    /// Too few kinds of requests are covered.
    StrataCoverage {
        /// Strata that are.
        covered: usize,
        /// Strata there are.
        of: usize,
        /// The fraction needed.
        need: f64,
        /// The one that is covered worst, and what it is lost to.
        worst: Option<String>,
    },
    /// Too many sampled requests have no complete pair.
    Coverage {
        /// The complete fraction, if anything settled.
        fraction: Option<f64>,
        /// The fraction needed.
        need: f64,
        /// The reason that cost most.
        worst: Option<String>,
    },
    /// The journal lost too many records.
    JournalDrops {
        /// The lost fraction.
        fraction: f64,
        /// The fraction allowed.
        allowed: f64,
    },
    /// Units are not split as the share says: something keeps an arm from being counted.
    SampleRatio {
        /// The natural log of the Bayes factor.
        log_bayes_factor: f64,
    },
    /// In shadow, the candidate cannot be reached at all.
    BreakerOpen,
}

impl Reason {
    /// What is missing, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::NotActive { status } => format!("the rollout is {}", status.as_str().replace('_', " ")),
            Self::StaleEvidence => "the evidence belongs to another epoch".to_owned(),
            Self::TooEarly { left_s } => format!("{} of the step's time left", duration(*left_s)),
            Self::TooFewPairs { have, need } => format!("{have} of {need} pairs"),
            Self::TooFewUnits { have, need } => format!("{have} of {need} units"),
            Self::GateUndecided { metric, n, e_value, threshold } => format!(
                "{} not proven within its margin after {n} (e-value {}, {} needed)",
                metric.rate_name(),
                rounded(*e_value),
                rounded(*threshold)
            ),
            Self::StratumUndecided { stratum, metric, n, e_value, threshold } => format!(
                "{} not proven within its margin for requests of kind {stratum} after {n} (e-value {}, {} needed)",
                metric.rate_name(),
                rounded(*e_value),
                rounded(*threshold)
            ),
            Self::JudgeUnread { unread, questions } => format!(
                "{unread} of {questions} questions to the judge have no verdict that can be read, more than 1 %: what it judged proves nothing"
            ),
            Self::JudgeUntrusted { pairs } => {
                format!("the judge's word on {pairs} pairs decides nothing: it has not been shown to agree with people")
            }
            Self::CertificateUndecided { metric, limit, n, e_value, threshold } => format!(
                "{} not proven to be below {} after {n} (e-value {}, {} needed)",
                metric.rate_name(),
                percent(*limit),
                rounded(*e_value),
                rounded(*threshold)
            ),
            Self::NotFiled { kind, name, problem } => format!("{} `{name}`: {problem}", kind.as_str()),
            Self::StrataCoverage { covered, of, need, worst } => {
                let worst = worst.as_ref().map_or(String::new(), |worst| format!(", worst is {worst}"));
                format!("{covered} of {of} kinds of requests are covered by pairs, {} needed{worst}", percent(*need))
            }
            Self::Coverage { fraction, need, worst } => {
                let have = fraction.map_or("none".to_owned(), percent);
                let worst = worst
                    .as_ref()
                    .map_or(String::new(), |worst| format!(", most lost to {}", coverage::lost_to(worst)));
                format!("{have} of sampled requests have a complete pair, {} needed{worst}", percent(*need))
            }
            Self::JournalDrops { fraction, allowed } => {
                format!("the journal lost {} of its records, {} allowed", percent(*fraction), percent(*allowed))
            }
            Self::SampleRatio { log_bayes_factor } => format!(
                "units are not split as the share says (log Bayes factor {}): the evidence is not valid",
                rounded(*log_bayes_factor)
            ),
            Self::BreakerOpen => "the candidate's circuit breaker is open".to_owned(),
        }
    }

    /// Why waiting alone does not bring it, in short; `None` of what comes with time and traffic, or comes to a person by itself.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        let lost = |reason: &str| coverage::remedy(reason).map(|_| format!("copies are lost to {reason}"));
        match self {
            Self::BreakerOpen => {
                Some("the candidate's circuit breaker is open: its server has to answer again".to_owned())
            }
            // While the breaker is open, that says so; once it is shut, new requests make up for what was lost.
            Self::Coverage { worst, .. } => lost(worst.as_ref().filter(|worst| *worst != "breaker_open")?),
            Self::StrataCoverage { worst: Some(_), .. } => Some("copies of some kinds of requests are lost".to_owned()),
            Self::NotFiled { kind, name, .. } => Some(format!("{} `{name}` is not filed", kind.as_str())),
            Self::JournalDrops { .. } => Some("the journal has lost too many records".to_owned()),
            Self::SampleRatio { .. } => Some("units are not split as the share says".to_owned()),
            Self::JudgeUnread { .. } => Some("the judge gives verdicts that cannot be read".to_owned()),
            Self::JudgeUntrusted { .. } => Some("the judge is not shown to agree with people".to_owned()),
            _ => None,
        }
    }
}

/// Reads the evidence against the policy. Harm is looked for first, and whenever the candidate may serve anyone.
#[must_use]
pub fn decide(policy: &Policy, state: &State, evidence: &Evidence, health: &Health, now: Timestamp) -> Decision {
    let hold = |reason: Reason| Decision::Hold { because: vec![reason] };
    if !state.status.is_serving() {
        return hold(Reason::NotActive { status: state.status });
    }
    if evidence.epoch() != state.epoch || evidence.step_idx() != state.step_idx {
        return hold(Reason::StaleEvidence);
    }
    if let Some(breach) = evidence.breach() {
        return Decision::Rollback { because: breach.clone() };
    }
    if health.candidate_breaker_open && state.share(policy) > 0.0 {
        return Decision::Rollback { because: Breach::breaker_opened() };
    }
    if !matches!(state.status, Status::Active | Status::AwaitingApproval) {
        return hold(Reason::NotActive { status: state.status });
    }
    if let Some(because) = alarm(state, evidence) {
        return Decision::Pause { because };
    }
    let Some(step) = policy.step(state.step_idx) else {
        return hold(Reason::StaleEvidence);
    };
    let because = missing(policy, step, state, evidence, health, now);
    match (because.is_empty(), state.status) {
        (true, _) => proven(policy, step, state, now),
        (false, Status::AwaitingApproval) => Decision::Withdraw { because },
        (false, _) => match held(policy, step, state, evidence, now) {
            Some(because) => Decision::HoldForPerson { because },
            None => Decision::Hold { because },
        },
    }
}

/// Everything is proven: people first, where they must agree.
fn proven(policy: &Policy, step: &StepPolicy, state: &State, now: Timestamp) -> Decision {
    let have = state.n_approvals(now);
    let waited = now.since(state.moved_at.max(state.epoch_started));
    if have < step.approvals && state.status == Status::AwaitingApproval && waited >= policy.approval_expiry {
        Decision::HoldForPerson { because: HeldBecause::ApprovalExpired { for_s: waited.as_secs() } }
    } else if have < step.approvals {
        Decision::AwaitApproval { have, need: step.approvals }
    } else if policy.is_last(state.step_idx) {
        Decision::Complete
    } else {
        Decision::Promote { to: state.step_idx + 1 }
    }
}

/// The first proof that pauses and that nobody has let pass.
fn alarm(state: &State, evidence: &Evidence) -> Option<Breach> {
    let is_new = |breach: &&Breach| !state.acknowledged.contains(&breach.alarm());
    let found = evidence.alarms().iter().find(is_new).cloned();
    found.or_else(|| sample_ratio(evidence).filter(|breach| is_new(&breach)))
}

fn sample_ratio(evidence: &Evidence) -> Option<Breach> {
    let log_factor =
        evidence.sample_ratio_log_bayes_factor().filter(|log_factor| *log_factor >= SAMPLE_RATIO_E.ln())?;
    Some(Breach {
        e_value: log_factor.min(690.0).exp(),
        threshold: SAMPLE_RATIO_E,
        n_candidate: evidence.arm(Arm::Candidate).units,
        n_baseline: evidence.arm(Arm::Baseline).units,
        share: evidence.share(),
        ..Breach::without_numbers(BreachCause::SampleRatio)
    })
}

/// Why waiting goes on no longer.
fn held(policy: &Policy, step: &StepPolicy, state: &State, evidence: &Evidence, now: Timestamp) -> Option<HeldBecause> {
    let seen_at = evidence.last_at().max(state.moved_at).max(state.epoch_started);
    let quiet = now.since(seen_at);
    if policy.stale_after.is_some_and(|most| quiet >= most) {
        return Some(HeldBecause::Stale { for_s: quiet.as_secs() });
    }
    let (most, lasted) = (state.max_duration(policy)?, now.since(state.epoch_started));
    if lasted >= most {
        return Some(HeldBecause::MaxDuration { max_s: most.as_secs() });
    }
    // Half of the time says enough of the other half.
    if lasted < most / 2 {
        return None;
    }
    let times = most.as_secs_f64() / lasted.as_secs_f64();
    [("pairs", evidence.n_pairs(), step.min_pairs), ("units", evidence.n_units(), step.min_units)].into_iter().find_map(
        |(what, have, need)| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
            let expected = (have as f64 * times).round() as u64;
            let what = what.to_owned();
            (expected < need).then_some(HeldBecause::Unreachable { what, have, need, expected })
        },
    )
}

/// The same for a rollout that is on a step, whatever it waits for.
pub(crate) fn unmet(
    policy: &Policy,
    state: &State,
    evidence: &Evidence,
    health: &Health,
    now: Timestamp,
) -> Vec<Reason> {
    // Who waits for approval is measured a little more mildly; whoever overrules is not.
    let state = State { status: Status::Active, ..state.clone() };
    policy.step(state.step_idx).map_or_else(Vec::new, |step| missing(policy, step, &state, evidence, health, now))
}

/// Everything that keeps the step from being left.
fn missing(
    policy: &Policy,
    step: &StepPolicy,
    state: &State,
    evidence: &Evidence,
    health: &Health,
    now: Timestamp,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let left = step.min_duration.saturating_sub(now.since(state.epoch_started));
    if !left.is_zero() {
        reasons.push(Reason::TooEarly { left_s: left.as_secs().max(1) });
    }
    if evidence.n_pairs() < step.min_pairs {
        reasons.push(Reason::TooFewPairs { have: evidence.n_pairs(), need: step.min_pairs });
    }
    // At full no gate speaks; that nobody came is no soak.
    let least_units = step.min_units.max(u64::from(step.stage == Stage::Full));
    if evidence.n_units() < least_units {
        reasons.push(Reason::TooFewUnits { have: evidence.n_units(), need: least_units });
    }
    if step.stage != Stage::Full {
        reasons.extend(undecided_gates(policy, state, evidence));
        reasons.extend(undecided_certificates(policy, state, evidence));
        reasons.extend(withheld(evidence));
    }
    reasons.extend(not_filed(policy, state, health, now));
    if step.stage == Stage::Shadow {
        reasons.extend(poor_coverage(policy, evidence));
        reasons.extend(poor_strata(policy, evidence));
        reasons.extend(undecided_strata(policy, state, evidence));
        reasons.extend(health.candidate_breaker_open.then_some(Reason::BreakerOpen));
    }
    let lost = health.journal_dropped as f64 / health.journal_records.max(1) as f64;
    if lost > policy.max_journal_drops {
        reasons.push(Reason::JournalDrops { fraction: lost, allowed: policy.max_journal_drops });
    }
    // Whoever let the alarm pass has not made the evidence valid.
    let mismatch = evidence.sample_ratio_log_bayes_factor().filter(|log_factor| *log_factor >= SAMPLE_RATIO_E.ln());
    reasons.extend(mismatch.map(|log_bayes_factor| Reason::SampleRatio { log_bayes_factor }));
    reasons
}

/// The e-value that is enough. What people are about to approve is not withdrawn for a little less than that: an e-value that hovers would
/// call them again and again.
fn enough(state: &State, alpha: f64) -> f64 {
    let enough = -alpha.ln();
    if state.status == Status::AwaitingApproval { enough - 2.0_f64.ln() } else { enough }
}

fn undecided_gates(policy: &Policy, state: &State, evidence: &Evidence) -> impl Iterator<Item = Reason> {
    evidence.gates().iter().filter_map(move |gate| {
        let alpha = gate.alpha.unwrap_or(policy.alpha_promote);
        let log_e = gate.log_e(evidence.stage());
        (log_e < enough(state, alpha)).then(|| Reason::GateUndecided {
            metric: gate.metric,
            n: gate.n(evidence.stage()),
            e_value: log_e.exp(),
            threshold: 1.0 / alpha,
        })
    })
}

/// The kind of request that is furthest from its proof, on each gated metric.
fn undecided_strata(policy: &Policy, state: &State, evidence: &Evidence) -> Vec<Reason> {
    let (Some(demand), Some(strata)) = (&policy.strata_gate, evidence.strata()) else { return Vec::new() };
    let readings = strata.readings(&policy.gates, demand);
    let worst = policy.gates.iter().filter_map(|gate| {
        let alpha = gate.alpha.unwrap_or(policy.alpha_promote);
        let of_metric = readings.iter().filter(|reading| reading.metric == gate.metric);
        let worst = of_metric.min_by(|a, b| a.log_e.total_cmp(&b.log_e))?;
        (worst.log_e < enough(state, alpha)).then(|| Reason::StratumUndecided {
            stratum: worst.stratum.clone(),
            metric: gate.metric,
            n: worst.n,
            e_value: worst.log_e.exp(),
            threshold: 1.0 / alpha,
        })
    });
    worst.collect()
}

fn undecided_certificates(policy: &Policy, state: &State, evidence: &Evidence) -> impl Iterator<Item = Reason> {
    evidence.certificates().iter().filter_map(move |certificate: &CertificateEvidence| {
        let alpha = certificate.alpha.unwrap_or(policy.alpha_promote);
        let log_e = certificate.log_e();
        (log_e < enough(state, alpha)).then(|| Reason::CertificateUndecided {
            metric: certificate.metric,
            limit: certificate.limit,
            n: certificate.n(),
            e_value: log_e.exp(),
            threshold: 1.0 / alpha,
        })
    })
}

/// Why what a model judged may not decide, where a gate or a certificate asks for it.
pub(crate) fn withheld(evidence: &Evidence) -> Vec<Reason> {
    let asks = evidence.gates().iter().any(|gate| gate.metric == Metric::Judged)
        || evidence.certificates().iter().any(|certificate| certificate.metric == Metric::Judged);
    let asked = evidence.comparisons().asked;
    if evidence.stage() != Stage::Shadow || !asks {
        return Vec::new();
    }
    let unread = Reason::JudgeUnread { unread: asked.unread, questions: asked.questions };
    let untrusted = Reason::JudgeUntrusted { pairs: asked.untrusted };
    let reasons = [(asked.is_withheld(), unread), (asked.untrusted > 0, untrusted)];
    reasons.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect()
}

/// What the entry of the next step's stage demands, where that is another stage than this step's.
fn not_filed(policy: &Policy, state: &State, health: &Health, now: Timestamp) -> impl Iterator<Item = Reason> {
    let stage = |step_idx: usize| policy.steps.get(step_idx).map(|step| step.stage);
    let (here, next) = (stage(state.step_idx), stage(state.step_idx + 1));
    let demanded = policy.filed.iter().filter(move |demand| here < Some(demand.before) && next >= Some(demand.before));
    demanded.filter_map(move |demand| {
        let problem = demand.unmet(&health.filed, now)?;
        Some(Reason::NotFiled { kind: demand.kind, name: demand.name.clone(), problem })
    })
}

fn poor_strata(policy: &Policy, evidence: &Evidence) -> Option<Reason> {
    // Of requests of one kind the coverage of all says the same.
    let found = evidence.coverage().strata_covered(policy.min_coverage).filter(|found| found.of > 1)?;
    let is_enough = found.covered as f64 >= policy.min_strata * found.of as f64;
    // What most of that kind is lost to may be another reason than that of all.
    let worst = found.worst.map(|(name, _)| {
        let reason = evidence.coverage().strata.get(&name).and_then(StratumCoverage::worst);
        let lost = reason.map_or(String::new(), |(reason, _)| format!(", most lost to {}", coverage::lost_to(reason)));
        name + &lost
    });
    (!is_enough).then_some(Reason::StrataCoverage {
        covered: found.covered,
        of: found.of,
        need: policy.min_strata,
        worst,
    })
}

fn poor_coverage(policy: &Policy, evidence: &Evidence) -> Option<Reason> {
    let coverage = evidence.coverage();
    let fraction = coverage.fraction();
    if fraction.is_some_and(|fraction| fraction >= policy.min_coverage) {
        return None;
    }
    let worst = coverage.worst().map(|(reason, _)| reason.to_owned());
    Some(Reason::Coverage { fraction, need: policy.min_coverage, worst })
}

/// A duration in the two largest units.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
