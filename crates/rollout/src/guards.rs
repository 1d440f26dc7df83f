//! The guards of one epoch: relative ones that share a harm budget, and the absolute breaker beside them.

use serde::{Deserialize, Serialize};
use stats::{AbsoluteGuard, RelativeGuard};

use crate::assign::Arm;
use crate::breach::{Breach, BreachCause};
use crate::metric::{Metric, MetricSet};
use crate::policy::{Policy, Stage};

/// A relative guard bets this much at once and keeps the rest for a regression that comes later. More would find one from the
/// start sooner, less one that comes later: doubled errors at a share of 50 % take 134 bad events from the start and 234 after 2 000
/// (1.75 times as many; goal: at most twice). With 0.5 it is 140 and 222, with 0.8 it is 129 and 245.
const RELATIVE_START: f64 = 0.7;
/// The breaker keeps half: an outage may come at any time.
const ABSOLUTE_START: f64 = 0.5;
/// In shadow both arms see every request: a bad event that only one of them had is either's with even chance.
const EVEN: f64 = 0.5;
/// `exp` of this is the largest e-value written down.
const LARGEST_LOG_E: f64 = 690.0;

/// Everything that can stop a rollout during one epoch.
///
/// The harm e-value is one weighted average over guards and steps: `sum over steps (1/P) sum over guards w_k E_k`. A finished
/// step keeps the value it ended with, a step to come counts 1, and so does weight that no guard has. An average of e-values
/// is an e-value whatever their dependence, so reaching `1 / alpha_harm` at any time of the whole rollout has probability at most
/// `alpha_harm` for a candidate as good as the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guards {
    pub(crate) relative: Vec<Relative>,
    pub(crate) absolute: Option<Absolute>,
    alpha_harm: f64,
    step_weight: f64,
    /// What finished steps contribute, and the weight they had.
    finished: f64,
    finished_weight: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Relative {
    pub(crate) metric: Metric,
    pub(crate) weight: f64,
    pub(crate) guard: RelativeGuard,
    pub(crate) e_value: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Absolute {
    pub(crate) metric: Metric,
    pub(crate) limit: f64,
    pub(crate) alpha: f64,
    pub(crate) guard: AbsoluteGuard,
}

impl Guards {
    pub(crate) fn new(policy: &Policy, stage: Stage, share: f64, finished: f64, finished_weight: f64) -> Self {
        let is_shadow = stage == Stage::Shadow;
        let watched = if is_shadow && !policy.shadow_guards { &[][..] } else { &policy.guards[..] };
        let relative = watched.iter().map(|guard| Relative {
            metric: guard.metric,
            weight: guard.weight,
            guard: RelativeGuard::new(if is_shadow { EVEN } else { share }, guard.ratio, RELATIVE_START),
            e_value: 1.0,
        });
        let absolute = policy.absolute.filter(|_| share > 0.0).map(|absolute| Absolute {
            metric: absolute.metric,
            limit: absolute.limit,
            alpha: absolute.alpha,
            guard: AbsoluteGuard::new(absolute.limit, ABSOLUTE_START),
        });
        Self {
            relative: relative.collect(),
            absolute,
            alpha_harm: policy.alpha_harm,
            step_weight: policy.step_weight(),
            finished,
            finished_weight,
        }
    }

    /// The metrics some relative guard watches.
    pub(crate) fn watched(&self) -> MetricSet {
        self.relative.iter().map(|relative| relative.metric).collect()
    }

    /// Counts the first bad events of a unit.
    pub(crate) fn observe_bad(&mut self, metrics: MetricSet, arm: Arm) {
        for relative in self.relative.iter_mut().filter(|relative| metrics.contains(relative.metric)) {
            relative.guard.observe_bad(arm == Arm::Candidate);
            relative.e_value = relative.guard.log_e().min(LARGEST_LOG_E).exp();
        }
    }

    /// The harm e-value of the whole rollout so far.
    pub(crate) fn harm(&self) -> f64 {
        let to_come = (1.0 - self.finished_weight - self.step_weight).max(0.0);
        self.finished + self.step_weight * self.step_e_value() + to_come
    }

    pub(crate) fn harm_threshold(&self) -> f64 {
        1.0 / self.alpha_harm
    }

    /// Each step's part of the harm budget.
    pub(crate) fn step_weight(&self) -> f64 {
        self.step_weight
    }

    /// What this step contributes to the steps after it.
    pub(crate) fn carry(&self) -> (f64, f64) {
        (self.finished + self.step_weight * self.step_e_value(), self.finished_weight + self.step_weight)
    }

    pub(crate) fn relative_breach(&self) -> Option<Breach> {
        let (harm, threshold) = (self.harm(), self.harm_threshold());
        if harm < threshold {
            return None;
        }
        let contribution = |relative: &Relative| relative.weight * relative.e_value;
        let worst = self.relative.iter().max_by(|a, b| contribution(a).total_cmp(&contribution(b)))?;
        Some(Breach {
            cause: BreachCause::Relative,
            metric: Some(worst.metric),
            e_value: harm,
            threshold,
            bad_candidate: worst.guard.n_candidate(),
            bad_baseline: worst.guard.n_baseline(),
            ..Breach::breaker_opened()
        })
    }

    pub(crate) fn absolute_breach(&self) -> Option<Breach> {
        let absolute = self.absolute.as_ref()?;
        let log_e = absolute.guard.log_e();
        if log_e < -absolute.alpha.ln() {
            return None;
        }
        Some(Breach {
            cause: BreachCause::Absolute,
            metric: Some(absolute.metric),
            e_value: log_e.min(LARGEST_LOG_E).exp(),
            threshold: 1.0 / absolute.alpha,
            bad_candidate: absolute.guard.n_bad(),
            ..Breach::breaker_opened()
        })
    }

    fn step_e_value(&self) -> f64 {
        let weights: f64 = self.relative.iter().map(|relative| relative.weight).sum();
        let weighted: f64 = self.relative.iter().map(|relative| relative.weight * relative.e_value).sum();
        weighted + (1.0 - weights).max(0.0)
    }
}
