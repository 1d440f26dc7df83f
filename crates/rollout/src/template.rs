//! The three risk templates.

use std::time::Duration;

use crate::breach::Action;
use crate::filed::{ANY, FiledKind};
use crate::metric::Metric;
use crate::policy::{
    AbsolutePolicy, CostPolicy, FiledPolicy, GatePolicy, GuardPolicy, Objectives, Policy, Risk, Stage, StepPolicy,
    StrataGatePolicy, Unit,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How the harm budget is divided among the guards.
///
/// A guard of weight `w` on one of `P` steps must reach about `P / (w alpha)`, so halving a weight costs `ln 2` nats, about a
/// tenth more events; what the weights must not do is slow the one guard that sees nearly every fault. Errors get 0.76: with 6 steps
/// and alpha 1 % that guard needs an e-value of about 780, and a doubling of a 1 % error rate is found after about 23 000 requests at a share
/// of 10 % and 9 000 at 50 % (medians of 10 000 runs; goals: 25 000 and 10 000). With four even weights it would need 2 400 and miss
/// both. The others watch what an error rate may not show (a timeout is an error too) and pay 2.5 to 4.3 nats for their smaller weight: a
/// guard with 0.01 of it needs an e-value of 60 000, which at a share of 50 % is 20 bad events of the candidate and none of the baseline.
pub const GUARD_WEIGHTS: [(Metric, f64); 10] = [
    (Metric::Error, 0.76),
    (Metric::Format, 0.06),
    (Metric::Timeout, 0.04),
    (Metric::Slow, 0.03),
    (Metric::SlowFirstToken, 0.03),
    (Metric::ToolCall, 0.03),
    (Metric::Refusal, 0.02),
    (Metric::Feedback, 0.01),
    (Metric::Judged, 0.01),
    (Metric::External, 0.01),
];

/// The shares of the serving stages.
#[derive(Clone, Debug, PartialEq)]
pub struct StageShares {
    /// Shares of the canary steps.
    pub canary: Vec<f64>,
    /// Shares of the majority steps.
    pub majority: Vec<f64>,
    /// Fraction of units that stay on the baseline at full.
    pub holdback: f64,
}

struct Template {
    shares: StageShares,
    pairs: u64,
    shadow: Duration,
    margin: f64,
    alpha_harm: f64,
    canary: StepPolicy,
    majority: StepPolicy,
    soak: Duration,
    last_canary_approvals: u32,
    shadow_approvals: u32,
    last_majority_approvals: u32,
    min_effect: f64,
    filed: Vec<FiledPolicy>,
    approval_expiry: Duration,
    stale_after: Duration,
    strata_gate: Option<StrataGatePolicy>,
}

/// The margin of the gate on judged losses, where it is switched on: the net loss rate that would matter. There is no such gate in a
/// template, because it could never pass where nobody judges.
#[must_use]
pub fn judged_margin(risk: Risk) -> f64 {
    match risk {
        Risk::Low => 0.10,
        Risk::Medium => 0.05,
        Risk::High => 0.02,
    }
}

/// The longest a step of this stage may last before a person is asked.
fn longest(stage: Stage) -> Option<Duration> {
    match stage {
        Stage::Shadow => Some(28 * DAY),
        Stage::Canary | Stage::Majority => Some(14 * DAY),
        Stage::Full => None,
    }
}

fn drill(max_age: Duration, before: Stage) -> FiledPolicy {
    FiledPolicy { kind: FiledKind::Drill, name: ANY.to_owned(), max_age, before, min_n: 0 }
}

/// The template for a risk.
pub(crate) fn policy(risk: Risk) -> Policy {
    let template = template(risk);
    let mut policy = Policy {
        risk,
        unit: Unit::Conversation,
        steps: vec![StepPolicy {
            stage: Stage::Shadow,
            share: 0.0,
            min_pairs: template.pairs,
            min_units: 0,
            min_duration: template.shadow,
            approvals: template.shadow_approvals,
            max_duration: longest(Stage::Shadow),
        }],
        gates: [Metric::Error, Metric::Format, Metric::ToolCall]
            .map(|metric| GatePolicy { metric, margin: template.margin, alpha: None })
            .to_vec(),
        guards: GUARD_WEIGHTS
            .map(|(metric, weight)| GuardPolicy {
                metric,
                ratio: 1.0,
                weight,
                action: Action::Rollback,
                min_effect: template.min_effect,
            })
            .to_vec(),
        absolute: Some(AbsolutePolicy { metric: Metric::Error, limit: 0.05, alpha: 1e-4 }),
        alpha_harm: template.alpha_harm,
        alpha_promote: 0.05,
        warm_up: Duration::from_secs(60),
        shadow_sample: 0.25,
        holdback: template.shares.holdback,
        min_coverage: 0.9,
        max_journal_drops: 0.001,
        shadow_guards: true,
        forced_promotion: risk != Risk::High,
        author_may_approve: risk == Risk::Low,
        certificates: Vec::new(),
        filed: template.filed,
        objectives: Objectives::default(),
        cost: Some(CostPolicy { ratio: 1.5, alpha: 0.01, action: Action::Pause }),
        min_strata: 0.9,
        approval_expiry: template.approval_expiry,
        stale_after: Some(template.stale_after),
        strata_gate: template.strata_gate,
        absolute_late: None,
    };
    policy.set_shares(&template.shares);
    policy
}

impl Policy {
    /// Replaces the serving steps by these shares; minimum numbers, times and approvals stay those of the risk's template.
    pub fn set_shares(&mut self, shares: &StageShares) {
        let template = template(self.risk);
        self.holdback = shares.holdback;
        self.steps.truncate(1);
        for (list, like, approvals) in [
            (&shares.canary, &template.canary, template.last_canary_approvals),
            (&shares.majority, &template.majority, template.last_majority_approvals),
        ] {
            for (idx, share) in list.iter().enumerate() {
                let is_last = idx + 1 == list.len();
                let approvals = if is_last { approvals } else { like.approvals };
                self.steps.push(StepPolicy { share: *share, approvals, ..like.clone() });
            }
        }
        self.steps.push(StepPolicy {
            stage: Stage::Full,
            share: 1.0 - shares.holdback,
            min_pairs: 0,
            min_units: 0,
            min_duration: template.soak,
            approvals: 0,
            max_duration: longest(Stage::Full),
        });
    }
}

fn template(risk: Risk) -> Template {
    match risk {
        Risk::Low => Template {
            shares: StageShares { canary: vec![0.1], majority: vec![0.5], holdback: 0.01 },
            pairs: 400,
            shadow: DAY,
            margin: 0.02,
            alpha_harm: 0.02,
            canary: serving(Stage::Canary, 500, HOUR),
            majority: serving(Stage::Majority, 500, HOUR),
            soak: DAY,
            last_canary_approvals: 0,
            shadow_approvals: 0,
            last_majority_approvals: 0,
            min_effect: 0.002,
            filed: Vec::new(),
            approval_expiry: 7 * DAY,
            stale_after: 3 * DAY,
            strata_gate: None,
        },
        Risk::Medium => Template {
            shares: StageShares { canary: vec![0.05, 0.1], majority: vec![0.5, 0.9], holdback: 0.02 },
            pairs: 1200,
            shadow: 7 * DAY,
            margin: 0.01,
            alpha_harm: 0.01,
            canary: serving(Stage::Canary, 2000, DAY),
            majority: serving(Stage::Majority, 2000, DAY),
            soak: 7 * DAY,
            last_canary_approvals: 1,
            shadow_approvals: 0,
            last_majority_approvals: 0,
            min_effect: 0.001,
            filed: vec![drill(30 * DAY, Stage::Majority)],
            approval_expiry: 7 * DAY,
            stale_after: 3 * DAY,
            strata_gate: None,
        },
        Risk::High => Template {
            shares: StageShares { canary: vec![0.01, 0.05, 0.1, 0.25], majority: vec![0.5, 0.75], holdback: 0.05 },
            pairs: 6000,
            shadow: 14 * DAY,
            margin: 0.005,
            alpha_harm: 0.01,
            canary: serving(Stage::Canary, 5000, 2 * DAY),
            majority: serving(Stage::Majority, 5000, 2 * DAY),
            soak: 14 * DAY,
            last_canary_approvals: 2,
            shadow_approvals: 2,
            last_majority_approvals: 2,
            min_effect: 0.0,
            filed: vec![drill(7 * DAY, Stage::Canary), human_review()],
            approval_expiry: 3 * DAY,
            stale_after: DAY,
            strata_gate: Some(StrataGatePolicy { margin: 0.02, min_pairs: 500 }),
        },
    }
}

fn serving(stage: Stage, min_units: u64, min_duration: Duration) -> StepPolicy {
    StepPolicy { stage, share: 0.0, min_pairs: 0, min_units, min_duration, approvals: 0, max_duration: longest(stage) }
}

/// At least 200 pairs that people have looked at.
fn human_review() -> FiledPolicy {
    FiledPolicy {
        kind: FiledKind::Review,
        name: "human".to_owned(),
        max_age: 28 * DAY,
        before: Stage::Canary,
        min_n: 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_run() {
        for risk in [Risk::Low, Risk::Medium, Risk::High] {
            assert_eq!(Policy::template(risk).problems(), []);
        }
    }

    #[test]
    fn medium_is_the_published_one() {
        let policy = Policy::template(Risk::Medium);
        let shares: Vec<f64> = policy.steps.iter().map(|step| step.share).collect();
        assert_eq!(shares, [0.0, 0.05, 0.1, 0.5, 0.9, 0.98]);
        let approvals: Vec<u32> = policy.steps.iter().map(|step| step.approvals).collect();
        assert_eq!(approvals, [0, 0, 1, 0, 0, 0]);
        assert_eq!(policy.steps[0].min_pairs, 1200);
    }

    #[test]
    fn other_shares_keep_the_templates_minimums() {
        let mut policy = Policy::template(Risk::Medium);
        policy.set_shares(&StageShares { canary: vec![0.2], majority: vec![0.6], holdback: 0.0 });
        assert_eq!(policy.problems(), []);
        assert_eq!(policy.steps.len(), 4);
        assert_eq!((policy.steps[1].min_units, policy.steps[1].approvals), (2000, 1));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut policy = Policy::template(Risk::Low);
        policy.set_shares(&StageShares { canary: vec![0.5], majority: vec![0.4], holdback: 0.1 });
        policy.alpha_harm = 0.0;
        policy.gates[0].margin = 1.0;
        policy.guards[0].weight = 0.9;
        let problems: Vec<String> = policy.problems().iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 4, "{problems:?}");
    }

    #[test]
    fn a_changed_policy_has_another_hash() {
        let policy = Policy::template(Risk::Low);
        let mut other = policy.clone();
        other.shadow_sample = 0.5;
        assert_eq!(policy.hash(), policy.clone().hash());
        assert_ne!(policy.hash(), other.hash());
        assert_eq!(policy.hash().len(), 64);
    }
}
