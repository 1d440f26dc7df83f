//! What a rollout must prove, and what stops it: resolved once, stored with the rollout, named by its hash in every audit row.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::breach::Action;
use crate::filed::FiledKind;
use crate::metric::Metric;

/// How much can go wrong; picks the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Tagging, summaries.
    Low,
    /// Internal assistants and search.
    Medium,
    /// Legal, finance, health.
    High,
}

/// What is assigned and stays together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Every request by itself.
    Request,
    /// A conversation.
    Conversation,
    /// A session.
    Session,
    /// A user.
    User,
    /// A tenant.
    Tenant,
}

/// The four stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Both answer, users see the baseline.
    Shadow,
    /// A small share.
    Canary,
    /// A large share.
    Majority,
    /// Everything but the holdback.
    Full,
}

impl Stage {
    /// The word used in config, metrics and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Majority => "majority",
            Self::Full => "full",
        }
    }
}

/// One share within a stage, and what it takes to leave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepPolicy {
    /// The stage it belongs to.
    pub stage: Stage,
    /// The candidate's fraction, 0..1.
    pub share: f64,
    /// Pairs of distinct units to see before the step may be left.
    pub min_pairs: u64,
    /// Distinct units, of both arms together, to see before the step may be left.
    pub min_units: u64,
    /// Time to spend before the step may be left.
    pub min_duration: Duration,
    /// People who must approve before the step is left.
    pub approvals: u32,
    /// Time after which a step that is neither passed nor thrown back waits for a person; `None` waits for ever.
    #[serde(default)]
    pub max_duration: Option<Duration>,
}

/// Demands proof that the candidate's bad rate is not higher by `margin`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatePolicy {
    /// What is compared.
    pub metric: Metric,
    /// The difference of rates that would matter, for instance 0.01.
    pub margin: f64,
    /// The chance that it passes a candidate which is worse by its margin; the policy's `alpha_promote` if `None`.
    #[serde(default)]
    pub alpha: Option<f64>,
}

/// Demands proof that the candidate's bad rate is below `limit`, whatever the baseline does: a p95 below T is a rate of answers slower than
/// T below 0.05.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificatePolicy {
    /// What is counted.
    pub metric: Metric,
    /// The rate that would be too high.
    pub limit: f64,
    /// The chance that it passes a candidate at the limit; the policy's `alpha_promote` if `None`.
    #[serde(default)]
    pub alpha: Option<f64>,
}

/// Demands a result that somebody filed: it must be the latest of its kind and name, a pass, and fresh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FiledPolicy {
    /// What kind of result.
    pub kind: FiledKind,
    /// Which suite, drill or review; `any` for whichever was filed last.
    pub name: String,
    /// How old it may be.
    pub max_age: Duration,
    /// It is demanded where this stage is entered.
    pub before: Stage,
    /// How many cases it must have covered.
    #[serde(default)]
    pub min_n: u64,
}

/// What the candidate may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostPolicy {
    /// The largest ratio of mean costs per request that is no harm.
    pub ratio: f64,
    /// The chance of a false alarm, per epoch.
    pub alpha: f64,
    /// What happens on proof.
    #[serde(default = "pause")]
    pub action: Action,
}

fn pause() -> Action {
    Action::Pause
}

/// What an answer may take; a later one is bad the moment it is late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objectives {
    /// To the first token of a stream.
    pub first_token: Option<Duration>,
    /// To the end.
    pub total: Option<Duration>,
}

/// Watches for harm: the candidate's risk above `ratio` times the baseline's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardPolicy {
    /// What is watched.
    pub metric: Metric,
    /// The largest ratio of risks that is no harm.
    pub ratio: f64,
    /// Its part of the harm budget; the weights of all guards sum to at most 1.
    pub weight: f64,
    /// What happens on proof.
    #[serde(default)]
    pub action: Action,
    /// The difference of rates that matters, for instance 0.001: harm that is proven, but not to be more than this, pauses instead of
    /// rolling back. With 0 all proven harm rolls back.
    #[serde(default)]
    pub min_effect: f64,
}

/// Watches for an outage: the candidate's bad rate above `limit`, whatever the baseline does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbsolutePolicy {
    /// What is watched.
    pub metric: Metric,
    /// The rate that is too high.
    pub limit: f64,
    /// The chance of a false alarm, per epoch.
    pub alpha: f64,
}

/// Everything [`decide`](crate::decide()) needs to know about a rollout that does not change while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The template it came from.
    pub risk: Risk,
    /// What is assigned and stays together.
    pub unit: Unit,
    /// The steps in order: shadow with share 0 first, full last.
    pub steps: Vec<StepPolicy>,
    /// What must be proven on every step but the last.
    pub gates: Vec<GatePolicy>,
    /// What is watched relative to the baseline.
    pub guards: Vec<GuardPolicy>,
    /// What is watched absolutely.
    pub absolute: Option<AbsolutePolicy>,
    /// The chance that a candidate as good as the baseline is rolled back, over the whole rollout.
    pub alpha_harm: f64,
    /// The chance that a gate passes a candidate which is worse by its margin.
    pub alpha_promote: f64,
    /// How long after an epoch's start the relative guards and the gates begin to count: the longest a request may take, or the arm that
    /// fails faster is seen first. The absolute breaker counts at once.
    pub warm_up: Duration,
    /// Fraction of baseline requests copied to the candidate while in shadow.
    pub shadow_sample: f64,
    /// Fraction of units that stay on the baseline at full.
    pub holdback: f64,
    /// Fraction of sampled pairs that must be complete for a gate to pass.
    pub min_coverage: f64,
    /// Fraction of journal records that may be lost for a gate to pass.
    pub max_journal_drops: f64,
    /// Whether proof of harm on pairs ends the rollout while still in shadow, where no user is hurt.
    pub shadow_guards: bool,
    /// Whether an operator may promote before the gates have passed, giving a reason.
    pub forced_promotion: bool,
    /// Whether who started the rollout may approve it.
    pub author_may_approve: bool,
    /// What must be proven of the candidate by itself on every step but the last.
    #[serde(default)]
    pub certificates: Vec<CertificatePolicy>,
    /// What somebody must have filed.
    #[serde(default)]
    pub filed: Vec<FiledPolicy>,
    /// What an answer may take.
    #[serde(default)]
    pub objectives: Objectives,
    /// What the candidate may cost.
    #[serde(default)]
    pub cost: Option<CostPolicy>,
    /// Fraction of the strata (sizes, tasks, streamed or not) that must each be covered as `min_coverage` says.
    #[serde(default)]
    pub min_strata: f64,
    /// How long an approval holds, and how long a rollout waits for one.
    #[serde(default = "week")]
    pub approval_expiry: Duration,
    /// How long nothing may be counted before the evidence is stale; `None` never is.
    #[serde(default)]
    pub stale_after: Option<Duration>,
    /// What the pairs of each kind of request must prove by themselves; `None` looks at all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strata_gate: Option<StrataGatePolicy>,
    /// The rate of answers later than an objective that is too high whatever the baseline does; `None` compares arms alone. Where the
    /// candidate serves nearly everybody a comparison says little, and answers that never come are seen at their timeout only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_late: Option<AbsolutePolicy>,
}

/// Demands in shadow that every kind of request (size, task, streamed or not) proves by itself what the gates prove of all together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrataGatePolicy {
    /// The difference of rates that would matter in one kind: larger than a gate's, since there are fewer pairs of each.
    pub margin: f64,
    /// A kind with fewer pairs is judged together with the other small ones, and these once they have as many.
    pub min_pairs: u64,
}

fn week() -> Duration {
    Duration::from_secs(7 * 24 * 3600)
}

/// A policy that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct PolicyError {
    /// The field, as a path.
    pub at: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Policy {
    /// The template for a risk.
    #[must_use]
    pub fn template(risk: Risk) -> Self {
        crate::template::policy(risk)
    }

    /// Everything that is wrong with it, at once; empty when it can be run.
    #[must_use]
    pub fn problems(&self) -> Vec<PolicyError> {
        let mut problems = Problems(Vec::new());
        self.check_steps(&mut problems);
        self.check_tests(&mut problems);
        problems.0
    }

    /// The step at `step_idx`; the last one beyond the end.
    #[must_use]
    pub fn step(&self, step_idx: usize) -> Option<&StepPolicy> {
        self.steps.get(step_idx.min(self.steps.len().saturating_sub(1)))
    }

    /// Whether `step_idx` is the last step.
    #[must_use]
    pub fn is_last(&self, step_idx: usize) -> bool {
        step_idx + 1 >= self.steps.len()
    }

    /// SHA-256 of the policy as JSON, in hexadecimal: what an audit row names.
    #[must_use]
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex(&Sha256::digest(json))
    }

    /// Each step's part of the harm budget.
    pub(crate) fn step_weight(&self) -> f64 {
        1.0 / (self.steps.len().max(1) as f64)
    }

    fn check_steps(&self, problems: &mut Problems) {
        let first_is_shadow = self.steps.first().is_some_and(|step| step.stage == Stage::Shadow && step.share == 0.0);
        problems.unless(first_is_shadow, "stages", || "the first step must be shadow, with a share of 0".to_owned());
        let last_is_full = self.steps.len() > 1 && self.steps.last().is_some_and(|step| step.stage == Stage::Full);
        problems.unless(last_is_full, "stages", || "the last step must be full".to_owned());
        for (before, after) in self.steps.iter().zip(self.steps.iter().skip(1)) {
            let at = || format!("stages.{}", after.stage.as_str());
            problems.unless(after.share > before.share, &at(), || {
                format!("share {} must be higher than the step before ({})", after.share, before.share)
            });
            problems.unless(after.stage >= before.stage, &at(), || "stages must come in order".to_owned());
        }
        let ceiling = 1.0 - self.holdback;
        for step in &self.steps {
            let at = format!("stages.{}", step.stage.as_str());
            problems.unless(step.max_duration.is_none_or(|most| most > step.min_duration), &at, || {
                "max_duration must be longer than min_duration".to_owned()
            });
            problems.unless(step.share <= ceiling + 1e-12, &at, || {
                format!("share {} is above what the holdback leaves ({ceiling})", step.share)
            });
        }
    }

    fn check_tests(&self, problems: &mut Problems) {
        for (at, value) in [("alpha_harm", self.alpha_harm), ("alpha_promote", self.alpha_promote)] {
            problems.unless(value > 0.0 && value < 1.0, at, || format!("{value} must be above 0 and below 1"));
        }
        for gate in &self.gates {
            problems.unless(gate.margin > 0.0 && gate.margin < 1.0, &format!("gates.{}.margin", gate.metric), || {
                format!("{} must be above 0 and below 1; for 1 percentage point write 0.01", gate.margin)
            });
        }
        self.check_certificates(problems);
        for guard in &self.guards {
            let in_range = (0.0..1.0).contains(&guard.min_effect);
            problems.unless(in_range, &format!("guards.{}.min_effect", guard.metric), || {
                format!(
                    "{} must be 0 or more and below 1; for a tenth of a percentage point write 0.001",
                    guard.min_effect
                )
            });
            problems.unless(
                guard.ratio >= 1.0 && guard.ratio.is_finite(),
                &format!("guards.{}.ratio", guard.metric),
                || format!("{} must be 1 or more", guard.ratio),
            );
            problems.unless(guard.weight > 0.0, &format!("guards.{}.weight", guard.metric), || {
                "must be above 0".to_owned()
            });
        }
        let weights: f64 = self.guards.iter().map(|guard| guard.weight).sum();
        problems.unless(weights <= 1.0 + 1e-9, "guards", || format!("the weights sum to {weights}, more than 1"));
        for absolute in self.absolute.iter().chain(&self.absolute_late) {
            for (at, value) in [("absolute.limit", absolute.limit), ("absolute.alpha", absolute.alpha)] {
                problems.unless(value > 0.0 && value < 1.0, at, || format!("{value} must be above 0 and below 1"));
            }
        }
        if let Some(cost) = &self.cost {
            problems.unless(cost.ratio >= 1.0 && cost.ratio.is_finite(), "cost.ratio", || {
                format!("{} must be 1 or more", cost.ratio)
            });
            problems.unless(cost.alpha > 0.0 && cost.alpha < 1.0, "cost.alpha", || {
                format!("{} must be above 0 and below 1", cost.alpha)
            });
        }
        for (at, value) in [
            ("min_strata", self.min_strata),
            ("strata.margin", self.strata_gate.map_or(0.0, |strata| strata.margin)),
            ("shadow.sample", self.shadow_sample),
            ("full.holdback", self.holdback),
            ("min_coverage", self.min_coverage),
            ("max_journal_drops", self.max_journal_drops),
        ] {
            problems.unless((0.0..=1.0).contains(&value), at, || {
                format!("{value} must be between 0 and 1; for 5 % write 0.05")
            });
        }
    }
}

impl Policy {
    fn check_certificates(&self, problems: &mut Problems) {
        let alphas = self.gates.iter().map(|gate| ("gates", gate.metric, gate.alpha));
        let of_certificates = self.certificates.iter().map(|one| ("certificates", one.metric, one.alpha));
        for (what, metric, alpha) in alphas.chain(of_certificates) {
            problems.unless(
                alpha.is_none_or(|alpha| alpha > 0.0 && alpha < 1.0),
                &format!("{what}.{metric}.alpha"),
                || "must be above 0 and below 1".to_owned(),
            );
        }
        for one in &self.certificates {
            problems.unless(one.limit > 0.0 && one.limit < 1.0, &format!("certificates.{}.limit", one.metric), || {
                format!("{} must be above 0 and below 1; for 5 % write 0.05", one.limit)
            });
            let objective = match one.metric {
                Metric::Slow => self.objectives.total,
                Metric::SlowFirstToken => self.objectives.first_token,
                _ => Some(Duration::ZERO),
            };
            problems.unless(objective.is_some(), &format!("certificates.{}", one.metric), || {
                "there is no objective that an answer could be late for: set one under `objectives`".to_owned()
            });
        }
    }
}

struct Problems(Vec<PolicyError>);

impl Problems {
    fn unless(&mut self, right: bool, at: &str, problem: impl FnOnce() -> String) {
        if !right {
            self.0.push(PolicyError { at: at.to_owned(), problem: problem() });
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}
