//! The guards of one epoch: relative ones that share a harm budget, and the absolute breaker beside them.

use serde::{Deserialize, Serialize};
use stats::{AbsoluteGuard, RelativeGuard};

use crate::assign::Arm;
use crate::breach::{Action, Breach, BreachCause};
use crate::evidence::Carry;
use crate::metric::{Metric, MetricSet};
use crate::policy::{AbsolutePolicy, Policy, Stage};

/// A relative guard bets this much at once and keeps the rest for a regression that comes later. More would find one from the
/// start sooner, less one that comes later: doubled errors at a share of 50 % take 134 bad events from the start and 234 after 2 000
/// (1.75 times as many; goal: at most twice). With 0.5 it is 140 and 222, with 0.8 it is 129 and 245.
pub(crate) const RELATIVE_START: f64 = 0.7;
/// The breaker keeps more than half: an outage may come at any time.
pub(crate) const ABSOLUTE_START: f64 = 0.4;
/// In shadow both arms see every request: a bad event that only one of them had is either's with even chance.
pub(crate) const EVEN: f64 = 0.5;
/// `exp` of this is the largest e-value written down.
const LARGEST_LOG_E: f64 = 690.0;

/// How surely an effect must be larger than the one that matters.
pub(crate) const EFFECT_ALPHA: f64 = 0.05;

/// Everything that can stop a rollout during one epoch.
///
/// The harm e-value is one weighted average over the guards that roll back and over steps: `sum over steps (1/P) sum over guards w_k E_k`. A finished
/// step keeps the value it ended with, a step to come counts 1, and so does weight that no guard has. An average of e-values
/// is an e-value whatever their dependence, so reaching `1 / alpha_harm` at any time of the whole rollout has probability at most
/// `alpha_harm` for a candidate as good as the baseline.
///
/// A guard that pauses speaks for itself: it needs `1 / (w_k alpha_harm / P)`, so that over all of them and all steps a pause without
/// cause has probability at most `alpha_harm` too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guards {
    pub(crate) relative: Vec<Relative>,
    pub(crate) absolute: Option<Absolute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) late: Option<Absolute>,
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
    #[serde(default)]
    pub(crate) action: Action,
    #[serde(default)]
    pub(crate) min_effect: f64,
    /// The same test against the ratio of risks that `min_effect` is at the baseline's rate, as it was guessed before the epoch.
    #[serde(default)]
    effect: Option<RelativeGuard>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Absolute {
    pub(crate) metric: Metric,
    pub(crate) limit: f64,
    pub(crate) alpha: f64,
    pub(crate) guard: AbsoluteGuard,
}

impl Guards {
    pub(crate) fn new(policy: &Policy, stage: Stage, share: f64, carry: &Carry) -> Self {
        let (finished, finished_weight) = carry.finished();
        let is_shadow = stage == Stage::Shadow;
        let even = if is_shadow { EVEN } else { share };
        let watched = if is_shadow && !policy.shadow_guards { &[][..] } else { &policy.guards[..] };
        let relative = watched.iter().map(|guard| Relative {
            metric: guard.metric,
            weight: guard.weight,
            guard: RelativeGuard::new(even, guard.ratio, RELATIVE_START),
            e_value: 1.0,
            action: guard.action,
            min_effect: guard.min_effect,
            effect: (guard.min_effect > 0.0).then(|| {
                let ratio = guard.ratio + guard.min_effect / carry.rate(guard.metric);
                RelativeGuard::new(even, ratio, RELATIVE_START)
            }),
        });
        let absolute = |policy: Option<AbsolutePolicy>| {
            policy.filter(|_| share > 0.0).map(|absolute| Absolute {
                metric: absolute.metric,
                limit: absolute.limit,
                alpha: absolute.alpha,
                guard: AbsoluteGuard::new(absolute.limit, ABSOLUTE_START),
            })
        };
        Self {
            relative: relative.collect(),
            absolute: absolute(policy.absolute),
            late: absolute(policy.absolute_late),
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
            if let Some(effect) = &mut relative.effect {
                effect.observe_bad(arm == Arm::Candidate);
            }
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

    /// What this step contributes to the steps after it.
    pub(crate) fn carry(&self) -> (f64, f64) {
        (self.finished + self.step_weight * self.step_e_value(), self.finished_weight + self.step_weight)
    }

    /// The proof of harm, and whether it is proven to be more than the effect that matters.
    pub(crate) fn relative_breach(&self) -> Option<(Breach, bool)> {
        let (harm, threshold) = (self.harm(), self.harm_threshold());
        if harm < threshold {
            return None;
        }
        let contribution = |relative: &&Relative| relative.weight * relative.e_value;
        let of_rollback = self.relative.iter().filter(|relative| relative.action == Action::Rollback);
        let worst = of_rollback.max_by(|a, b| contribution(a).total_cmp(&contribution(b)))?;
        Some((worst.breach(harm, threshold), worst.matters()))
    }

    /// What guards that pause have proven.
    pub(crate) fn pauses(&self) -> impl Iterator<Item = Breach> {
        let pausing = self.relative.iter().filter(|relative| relative.action == Action::Pause);
        pausing.filter_map(|relative| {
            let threshold = self.threshold_alone(relative);
            (relative.e_value >= threshold).then(|| relative.breach(relative.e_value, threshold))
        })
    }

    /// The e-value a guard must reach if it alone speaks.
    pub(crate) fn threshold_alone(&self, relative: &Relative) -> f64 {
        self.harm_threshold() / (relative.weight * self.step_weight)
    }

    pub(crate) fn absolute_breach(&self) -> Option<Breach> {
        self.limits().find_map(Absolute::breach)
    }

    /// What holds whatever the baseline does.
    pub(crate) fn limits(&self) -> impl Iterator<Item = &Absolute> {
        self.absolute.iter().chain(&self.late)
    }

    fn step_e_value(&self) -> f64 {
        let of_rollback = || self.relative.iter().filter(|relative| relative.action == Action::Rollback);
        let weights: f64 = of_rollback().map(|relative| relative.weight).sum();
        let weighted: f64 = of_rollback().map(|relative| relative.weight * relative.e_value).sum();
        weighted + (1.0 - weights).max(0.0)
    }
}

impl Absolute {
    pub(crate) fn observe(&mut self, is_bad: bool) {
        if is_bad {
            self.guard.observe_bad();
        } else {
            self.guard.observe_good();
        }
    }

    fn breach(&self) -> Option<Breach> {
        let log_e = self.guard.log_e();
        if log_e < -self.alpha.ln() {
            return None;
        }
        Some(Breach {
            cause: BreachCause::Absolute,
            metric: Some(self.metric),
            e_value: log_e.min(LARGEST_LOG_E).exp(),
            threshold: 1.0 / self.alpha,
            bad_candidate: self.guard.n_bad(),
            ..Breach::breaker_opened()
        })
    }
}

impl Relative {
    /// Whether the candidate's rate is proven to be above the baseline's by more than the effect that matters.
    fn matters(&self) -> bool {
        self.effect.as_ref().is_none_or(|effect| effect.log_e() >= -EFFECT_ALPHA.ln())
    }

    fn breach(&self, e_value: f64, threshold: f64) -> Breach {
        Breach {
            metric: Some(self.metric),
            e_value,
            threshold,
            bad_candidate: self.guard.n_candidate(),
            bad_baseline: self.guard.n_baseline(),
            ..Breach::without_numbers(BreachCause::Relative)
        }
    }
}
