//! What a rollout will take at a given traffic, step by step: requests, units and days until its gates can pass and its guards can
//! find harm, and whether it can be decided at all.
//!
//! "Typical" is what the expected evidence needs; "nine in ten" what it needs after bad luck of 1.28 standard deviations. Both are about a
//! candidate that is exactly as good as the baseline (for gates and certificates) or exactly worse by the ratio named (for guards).

mod ahead;
mod finding;
mod reasons;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::breach::Action;
use crate::metric::Metric;
use crate::policy::{AbsolutePolicy, FiledPolicy, Policy, Stage};
use crate::traffic::Traffic;

use ahead::Ahead;

/// What is asked of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// When the rollout would start.
    pub from: Timestamp,
    /// How long a step may last where its policy does not say.
    pub within: Option<Duration>,
    /// Requests a minute that the baseline's provider takes, if that is known.
    pub per_minute: Option<f64>,
    /// Calls the baseline's provider may have under way, if that is limited.
    pub concurrency: Option<f64>,
    /// Tokens a minute that the baseline's provider takes, if that is known.
    pub tokens_per_minute: Option<f64>,
    /// What the copies in shadow may use.
    pub shadow: ShadowLimits,
}

impl Question {
    /// Nothing is limited, and a step may last for ever.
    #[must_use]
    pub fn at(from: Timestamp) -> Self {
        Self {
            from,
            within: None,
            per_minute: None,
            concurrency: None,
            tokens_per_minute: None,
            shadow: ShadowLimits::default(),
        }
    }
}

/// What the copies in shadow may use. What is beyond it is dropped, and drops count against coverage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShadowLimits {
    /// Tokens a day.
    pub tokens_per_day: Option<u64>,
    /// Copies begun a second.
    pub per_second: Option<f64>,
    /// Nano-dollars a day.
    pub nanos_per_day: Option<u64>,
    /// Nano-dollars that a copy costs, where that is known.
    pub nanos_per_copy: Option<f64>,
}

/// Something needed, in all the measures people ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Amount {
    /// Pairs, units or bad events of both arms; `None` where no number is enough.
    pub n: Option<u64>,
    /// Requests of the route.
    pub requests: Option<u64>,
    /// Days from the step's beginning; `None` for more than ten years.
    pub days: Option<f64>,
}

/// When a gate can pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateOutlook {
    /// Its metric.
    pub metric: Metric,
    /// Its margin.
    pub margin: f64,
    /// The bad rate of both arms that is assumed.
    pub rate: f64,
    /// What it needs half of the time.
    pub typical: Amount,
    /// What it needs nine times in ten.
    pub nine_in_ten: Amount,
    /// Why no number of requests will do, where that has another cause than the margin.
    #[serde(default)]
    pub never: Option<String>,
}

/// When a certificate can be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateOutlook {
    /// Its metric.
    pub metric: Metric,
    /// The rate that must be proven to be higher than the candidate's.
    pub limit: f64,
    /// The candidate's rate that is assumed: the baseline's.
    pub rate: f64,
    /// What it needs half of the time; units of the candidate.
    pub typical: Amount,
    /// What it needs nine times in ten.
    pub nine_in_ten: Amount,
    /// Why no number of requests will do.
    #[serde(default)]
    pub never: Option<String>,
}

/// How much of what is drawn in shadow becomes pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoverageOutlook {
    /// The fraction the gate asks for.
    pub need: f64,
    /// The fraction that the budgets leave.
    pub expected: f64,
    /// The budget that takes most.
    pub limited_by: Option<String>,
}

/// How soon the guard of costs finds a candidate that costs `ratio` times as much as the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostFinding {
    /// The ratio of mean costs.
    pub ratio: f64,
    /// Half of the time.
    pub typical: Amount,
    /// Nine times in ten.
    pub nine_in_ten: Amount,
}

/// What the guard of costs can find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostOutlook {
    /// The ratio that is no harm.
    pub allowed: f64,
    /// What it does on proof.
    pub action: Action,
    /// Candidates of growing cost.
    pub finds: Vec<CostFinding>,
}

/// How soon a guard finds a candidate whose risk is `ratio` times the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The ratio of risks.
    pub ratio: f64,
    /// The candidate's bad rate then.
    pub rate: f64,
    /// What happens then. Harm that is smaller than the guard's `min_effect` pauses.
    #[serde(default)]
    pub action: Action,
    /// Half of the time.
    pub typical: Amount,
    /// Nine times in ten.
    pub nine_in_ten: Amount,
}

/// What a guard can find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardOutlook {
    /// Its metric.
    pub metric: Metric,
    /// The bad rate of the baseline that is assumed.
    pub rate: f64,
    /// Effects of growing size.
    pub finds: Vec<Finding>,
    /// The smallest of these that is found nine times in ten before the step is over.
    pub smallest_in_step: Option<f64>,
    /// Its part of the harm budget.
    #[serde(default)]
    pub weight: f64,
    /// Why it sees nothing on this step.
    #[serde(default)]
    pub blind: Option<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOutlook {
    /// Its index.
    pub step_idx: usize,
    /// Its stage.
    pub stage: Stage,
    /// Its share.
    pub share: f64,
    /// What the policy's own minimum of pairs, units and time takes.
    pub minimum: Amount,
    /// Its gates.
    pub gates: Vec<GateOutlook>,
    /// Its guards.
    pub guards: Vec<GuardOutlook>,
    /// What must be proven of the candidate by itself.
    #[serde(default)]
    pub certificates: Vec<CertificateOutlook>,
    /// How much becomes pairs; in shadow only.
    #[serde(default)]
    pub coverage: Option<CoverageOutlook>,
    /// The guard of costs; where both arms serve.
    #[serde(default)]
    pub cost: Option<CostOutlook>,
    /// What must be filed before it is left.
    #[serde(default)]
    pub filed: Vec<FiledPolicy>,
    /// Requests of the route until an outage of the candidate is found, all of them or half of them failing (`None` where that is not above the
    /// limit); `None` in shadow, or without a breaker.
    pub outage: Option<[Option<u64>; 2]>,
    /// The same for the limit on late answers, all of them or half of them late.
    #[serde(default)]
    pub late: Option<[Option<u64>; 2]>,
    /// Days until the step can be left.
    pub typical_days: Option<f64>,
    /// The same, nine times in ten.
    pub nine_in_ten_days: Option<f64>,
    /// Longest it may last.
    pub max_days: Option<f64>,
    /// People who must approve; their time is not in the days.
    pub approvals: u32,
    /// Requests a minute that a rollback gives back to the baseline at the peak.
    pub given_back_per_minute: f64,
    /// What each kind of request must prove by itself; in shadow, where a gate asks for that.
    #[serde(default)]
    pub strata: Vec<StratumOutlook>,
}

/// What one kind of request needs for its proof on one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StratumOutlook {
    /// The metric.
    pub metric: Metric,
    /// The margin.
    pub margin: f64,
    /// Pairs of one kind that it needs half of the time; `None` where no number is enough.
    pub typical: Option<u64>,
    /// The same, nine times in ten.
    pub nine_in_ten: Option<u64>,
}

/// A whole rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Every step.
    pub steps: Vec<StepOutlook>,
    /// Days to the end, people's time not counted.
    pub typical_days: Option<f64>,
    /// The same, nine times in ten on every step.
    pub nine_in_ten_days: Option<f64>,
    /// Requests a minute that the baseline must take back at the peak, and calls under way then.
    pub peak_per_minute: f64,
    /// Calls of the baseline under way at the peak, where its answers' duration is known.
    pub peak_concurrency: Option<f64>,
    /// Why it should not be started as it is; empty when it can be decided.
    pub refusals: Vec<String>,
    /// What will be otherwise than one may think, and is no reason not to start.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// Attempts of the candidate, all of them bad and nothing before them, until a limit has its proof; `None` where it never has.
#[must_use]
pub fn attempts_of_an_outage(limit: &AbsolutePolicy) -> Option<u64> {
    finding::outage_attempts(limit, 1.0).map(whole)
}

/// Looks ahead.
#[must_use]
pub fn outlook(policy: &Policy, traffic: &Traffic, question: &Question) -> Outlook {
    let mut outlook = Outlook {
        steps: Vec::new(),
        typical_days: Some(0.0),
        nine_in_ten_days: Some(0.0),
        peak_per_minute: traffic.peak_per_minute,
        peak_concurrency: traffic.mean_duration.map(|mean| traffic.peak_per_minute / 60.0 * mean.as_secs_f64()),
        refusals: Vec::new(),
        remarks: reasons::remarks(policy, traffic),
    };
    let mut from = question.from;
    for (step_idx, step) in policy.steps.iter().enumerate() {
        let planned = Ahead { policy, traffic, question, step, from }.plan(step_idx);
        outlook.refusals.extend(reasons::refusals(&planned, step, (policy, traffic)));
        outlook.typical_days = add(outlook.typical_days, planned.typical_days);
        outlook.nine_in_ten_days = add(outlook.nine_in_ten_days, planned.nine_in_ten_days);
        // The next step begins at another hour of the week; where that cannot be known, at the same one.
        from = planned.typical_days.map_or(from, |days| from.plus(from_days(days)));
        outlook.steps.push(planned);
    }
    outlook.refusals.extend(reasons::quota(&outlook, traffic, question));
    outlook
}

fn add(total: Option<f64>, more: Option<f64>) -> Option<f64> {
    Some(total? + more?)
}

fn days(time: Duration) -> f64 {
    time.as_secs_f64() / 86_400.0
}

fn from_days(days: f64) -> Duration {
    Duration::from_secs_f64((days * 86_400.0).clamp(0.0, 1e10))
}

fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
    let whole = value.max(0.0).ceil() as u64;
    whole
}
