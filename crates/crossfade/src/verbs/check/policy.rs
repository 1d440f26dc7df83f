//! The policy of a rollout, resolved: what the risk's template says and the config says otherwise.

use std::time::Duration;

use gateway::control::RolloutSettings;
use rollout::{Action, GatePolicy, GuardPolicy, Policy, StepPolicy};

use super::word;
use crate::config::{show_duration, show_share};
use crate::out::table;

pub(super) fn text(policy: &Policy) -> String {
    let steps: Vec<Vec<String>> = policy.steps.iter().map(step).collect();
    let steps = table(&["stage", "share", "min pairs", "min units", "min time", "max time", "approvals"], &steps);
    let mut text = format!("  risk {}, unit {}\n", word(&policy.risk), word(&policy.unit));
    text += &steps.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let mut line = |name: &str, said: String| text += &format!("  {name:<9} {said}\n");
    let gates = policy.gates.iter().map(gate).collect::<Vec<_>>().join(", ");
    line("gates", format!("not worse by {gates} (alpha {})", policy.alpha_promote));
    let certificates: Vec<String> =
        policy.certificates.iter().map(|one| format!("{} below {} %", one.metric, points(one.limit))).collect();
    if !certificates.is_empty() {
        line("", format!("proven {}", certificates.join(", ")));
    }
    for demand in &policy.filed {
        let cases = if demand.min_n > 0 { format!(" of {} cases", demand.min_n) } else { String::new() };
        let (kind, name, age) = (demand.kind.as_str(), &demand.name, show_duration(demand.max_age));
        line("", format!("filed {kind} `{name}`{cases}, at most {age} old, before {}", demand.before.as_str()));
    }
    let guards = policy.guards.iter().map(guard).collect::<Vec<_>>().join(", ");
    if let Some(strata) = &policy.strata_gate {
        line("kinds", format!("+{} pp each, from {} pairs on", points(strata.margin), strata.min_pairs));
    }
    line("guards", format!("{guards} (alpha {})", policy.alpha_harm));
    let limits = policy.absolute.iter().chain(&policy.absolute_late);
    let limits =
        limits.map(|limit| format!("{} above {} % (alpha {})", limit.metric, points(limit.limit), limit.alpha));
    let limits: Vec<String> = limits.collect();
    line("breaker", if limits.is_empty() { "none".to_owned() } else { limits.join(", ") });
    let cost = policy.cost.as_ref().map_or_else(
        || "not watched".to_owned(),
        |cost| format!("above {} times the baseline's (alpha {}){}", cost.ratio, cost.alpha, then(cost.action)),
    );
    line("cost", cost);
    let objectives = [("first token within", policy.objectives.first_token), ("end within", policy.objectives.total)];
    let objectives = objectives.iter().filter_map(|(what, time)| Some(format!("{what} {}", show_duration((*time)?))));
    let objectives: Vec<String> = objectives.collect();
    line("objective", if objectives.is_empty() { "none".to_owned() } else { objectives.join(", ") });
    let (sample, holdback) = (show_share(policy.shadow_sample), show_share(policy.holdback));
    let coverage = format!("{} % of pairs, of {} % of kinds", points(policy.min_coverage), points(policy.min_strata));
    text += &format!(
        "  shadow sample {sample}, coverage {coverage}, holdback {holdback}, warm-up {}\n",
        show_duration(policy.warm_up)
    );
    let stale = policy.stale_after.map_or_else(|| "never".to_owned(), show_duration);
    let approver =
        if policy.author_may_approve { "whoever starts it may approve it" } else { "whoever starts it may not" };
    let expiry = show_duration(policy.approval_expiry);
    text += &format!("  approvals hold for {expiry}, {approver}; evidence is stale after {stale}\n");
    text
}

/// What the rollout says beside its policy.
pub(super) fn beside(rollout: &RolloutSettings) -> String {
    let calls = if rollout.retry_on_rollback { "are given up and the baseline is asked" } else { "go on to their end" };
    let every = |time: Option<Duration>| {
        time.map_or_else(|| "never".to_owned(), |time| format!("every {}", show_duration(time)))
    };
    let (probe, again) = (every(rollout.probe_every), every(rollout.revalidate.map(|(time, _)| time)));
    format!(
        "  at a rollback calls under way {calls}; baseline probed {probe}; gates read anew {again} once completed\n"
    )
}

fn points(fraction: f64) -> String {
    show_share((fraction * 1e6).round() / 1e4)
}

fn gate(gate: &GatePolicy) -> String {
    let alpha = gate.alpha.map_or_else(String::new, |alpha| format!(" (alpha {alpha})"));
    format!("{} +{} pp{alpha}", gate.metric, points(gate.margin))
}

fn guard(guard: &GuardPolicy) -> String {
    let effect = match guard.min_effect {
        effect if effect > 0.0 => format!(", pauses below +{} pp", points(effect)),
        _ => String::new(),
    };
    format!("{} x{} (weight {}{effect}{})", guard.metric, guard.ratio, guard.weight, then(guard.action))
}

fn then(action: Action) -> &'static str {
    match action {
        Action::Rollback => "",
        Action::Pause => ", pauses",
    }
}

fn step(step: &StepPolicy) -> Vec<String> {
    vec![
        step.stage.as_str().to_owned(),
        show_share(step.share),
        step.min_pairs.to_string(),
        step.min_units.to_string(),
        show_duration(step.min_duration),
        step.max_duration.map_or_else(|| "-".to_owned(), show_duration),
        step.approvals.to_string(),
    ]
}
