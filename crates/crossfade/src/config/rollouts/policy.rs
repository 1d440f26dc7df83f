//! The policy of a rollout: the template of its risk, then what the config says otherwise.

use gateway::shadow::ShadowSettings;
use rollout::template::judged_margin;
use rollout::{
    AbsolutePolicy, Action, CertificatePolicy, FiledKind, FiledPolicy, GatePolicy, GuardPolicy, Metric, Policy, Risk,
    Stage, StageShares, StrataGatePolicy,
};

use super::UNITS;
use crate::config::reader::{Item, Section};
use crate::config::targets::Targets;

/// Reads `unit`, `stages` and `policy`. Without a workload on the route the risk is medium.
pub(super) fn read(section: &Section<'_>, risk: Option<Risk>, targets: &Targets) -> (Policy, ShadowSettings) {
    read_over(section, Policy::template(risk.unwrap_or(Risk::Medium)), targets)
}

/// The same over what is there already.
pub(super) fn read_over(section: &Section<'_>, mut policy: Policy, targets: &Targets) -> (Policy, ShadowSettings) {
    if let Some(unit) = section.get("unit").and_then(|item| item.word(&UNITS)) {
        policy.unit = unit;
    }
    let shadow = stages(section, &mut policy, targets);
    overrides(section, &mut policy);
    for problem in policy.problems() {
        let place = section.get("stages").filter(|_| problem.at.starts_with("stages"));
        let place = place.or_else(|| section.get("policy").filter(|_| !problem.at.starts_with("stages")));
        let message = format!("{}: {}", problem.at, problem.problem);
        match place {
            Some(item) => item.note(message, None),
            None => section.note(message, None),
        }
    }
    (policy, shadow)
}

fn stages(section: &Section<'_>, policy: &mut Policy, targets: &Targets) -> ShadowSettings {
    let stages = section.section("stages");
    let of = |stage: Stage, policy: &Policy| -> Vec<f64> {
        policy.steps.iter().filter(|step| step.stage == stage).map(|step| step.share).collect()
    };
    let shadow = stages.section("shadow");
    let canary = stages.section("canary");
    let majority = stages.section("majority");
    let full = stages.section("full");
    if let Some(sample) = shadow.get("sample").and_then(|item| item.share()) {
        policy.shadow_sample = sample.value;
    }
    let settings = super::shadow::read(&shadow, targets);
    let holdback = full.get("holdback").and_then(|item| item.share()).map(|share| share.value);
    let (in_canary, in_majority) = (shares(&canary), shares(&majority));
    // Other shares take the template's minimums; without any, what is there stays.
    if holdback.is_some() || in_canary.is_some() || in_majority.is_some() {
        let shares = StageShares {
            canary: in_canary.unwrap_or_else(|| of(Stage::Canary, policy)),
            majority: in_majority.unwrap_or_else(|| of(Stage::Majority, policy)),
            holdback: holdback.unwrap_or(policy.holdback),
        };
        policy.set_shares(&shares);
    }
    for (stage, section) in
        [(Stage::Shadow, shadow), (Stage::Canary, canary), (Stage::Majority, majority), (Stage::Full, full)]
    {
        steps(section, stage, policy);
    }
    stages.finish();
    settings
}

fn shares(stage: &Section<'_>) -> Option<Vec<f64>> {
    let items = stage.get("shares")?.list("shares such as `[0.05, 0.10]`")?;
    let shares: Vec<_> = items.iter().map(|item| (item, item.share())).collect();
    for (item, share) in &shares {
        if share.as_ref().is_some_and(|share| share.value == 0.0) {
            item.note("a serving stage has a share above 0", Some("remove the step, or leave it out".into()));
        }
    }
    let whole: Option<Vec<f64>> = shares.into_iter().map(|(_, share)| share.map(|share| share.value)).collect();
    whole.filter(|shares| shares.iter().all(|share| *share > 0.0))
}

/// What a stage's steps must see before they are left. Approvals are asked at the last step of a stage.
fn steps(section: Section<'_>, stage: Stage, policy: &mut Policy) {
    let min_units = match stage {
        Stage::Canary | Stage::Majority => section.get("min_units").and_then(|item| item.count(0, u64::MAX)),
        Stage::Shadow | Stage::Full => None,
    };
    let min_pairs = match stage {
        Stage::Shadow => section.get("min_pairs").and_then(|item| item.count(0, u64::MAX)),
        _ => None,
    };
    let soak = if stage == Stage::Full { section.get("soak") } else { None };
    let least = section.get("min_duration");
    if let (Some(soak), Some(_)) = (&soak, &least) {
        soak.note("`soak` and `min_duration` of full are the same", Some("write one of them".into()));
    }
    let min_duration = soak.or(least).and_then(|item| item.duration());
    let max_duration = match stage {
        Stage::Full => None,
        _ => section.get("max_duration").and_then(|item| item.duration()),
    };
    let approvals = match stage {
        Stage::Full => None,
        _ => section.get("approvals").and_then(|item| item.count(0, 16)).and_then(|n| u32::try_from(n).ok()),
    };
    section.finish();
    let last = policy.steps.iter().rposition(|step| step.stage == stage);
    for (idx, step) in policy.steps.iter_mut().enumerate().filter(|(_, step)| step.stage == stage) {
        step.min_units = min_units.unwrap_or(step.min_units);
        step.min_pairs = min_pairs.unwrap_or(step.min_pairs);
        step.min_duration = min_duration.unwrap_or(step.min_duration);
        // A longer minimum than the template's maximum moves that too, where nothing is said of it.
        let of_template = step.max_duration.map(|most| most.max(step.min_duration * 2));
        step.max_duration = max_duration.or(of_template);
        if Some(idx) == last {
            step.approvals = approvals.unwrap_or(step.approvals);
        }
    }
}

fn overrides(section: &Section<'_>, policy: &mut Policy) {
    let section = section.section("policy");
    let number = |key, slot: &mut f64| {
        if let Some(number) = section.get(key).and_then(|item| item.number(0.0, 1.0)) {
            *slot = number;
        }
    };
    let flag = |key, slot: &mut bool| {
        if let Some(flag) = section.get(key).and_then(|item| item.boolean()) {
            *slot = flag;
        }
    };
    number("alpha_harm", &mut policy.alpha_harm);
    number("alpha_promote", &mut policy.alpha_promote);
    number("min_coverage", &mut policy.min_coverage);
    number("max_journal_drops", &mut policy.max_journal_drops);
    flag("shadow_guards", &mut policy.shadow_guards);
    flag("forced_promotion", &mut policy.forced_promotion);
    flag("author_may_approve", &mut policy.author_may_approve);
    if let Some(warm_up) = section.get("warm_up").and_then(|item| item.duration()) {
        policy.warm_up = warm_up;
    }
    number("min_strata", &mut policy.min_strata);
    if let Some(expiry) = section.get("approval_expiry").and_then(|item| item.duration()) {
        policy.approval_expiry = expiry;
    }
    if let Some(item) = section.get("stale_after") {
        policy.stale_after = if item.is_boolean() == Some(false) { None } else { item.duration() };
    }
    gates(&section, policy);
    guards(&section, policy);
    objectives(&section, policy);
    certificates(&section, policy);
    cost(&section, policy);
    requires(&section, policy);
    absolute(&section, policy);
    strata(&section, policy);
    section.finish();
}

/// `strata: { margin: 0.02, min_pairs: 500 }` asks every kind of request for proof of its own; `false` does not.
fn strata(section: &Section<'_>, policy: &mut Policy) {
    let Some(item) = section.get("strata") else { return };
    if item.is_boolean() == Some(false) {
        policy.strata_gate = None;
        return;
    }
    let Some(section) = item.section() else { return };
    let margin = section.get("margin").and_then(|item| item.share()).map(|margin| margin.value);
    let min_pairs = section.get("min_pairs").and_then(|item| item.count(1, 10_000_000));
    section.finish();
    let of_template = policy.strata_gate.unwrap_or(StrataGatePolicy { margin: 0.02, min_pairs: 500 });
    policy.strata_gate = Some(StrataGatePolicy {
        margin: margin.unwrap_or(of_template.margin),
        min_pairs: min_pairs.unwrap_or(of_template.min_pairs),
    });
}

/// `gates: { error: { margin: 0.01 } }` replaces the gates of the template, metric by metric; `false` takes one out.
fn gates(section: &Section<'_>, policy: &mut Policy) {
    for (metric, item) in metrics(section.get("gates")) {
        if item.is_boolean() == Some(false) {
            policy.gates.retain(|gate| Some(gate.metric) != metric);
            continue;
        }
        let Some(section) = item.section() else { continue };
        // Of judged losses the template has a margin and no gate.
        let margin = match metric {
            Some(Metric::Judged) => section.get("margin"),
            _ => section.need("margin"),
        };
        let margin = margin.and_then(|item| item.share()).map(|margin| margin.value);
        let margin = margin.or_else(|| (metric == Some(Metric::Judged)).then(|| judged_margin(policy.risk)));
        let alpha = section.get("alpha").and_then(|item| item.number(0.0, 1.0));
        section.finish();
        let (Some(metric), Some(margin)) = (metric, margin) else { continue };
        // In place: the order is part of the policy's hash.
        let gate = GatePolicy { metric, margin, alpha };
        match policy.gates.iter_mut().find(|gate| gate.metric == metric) {
            Some(of_template) => *of_template = gate,
            None => policy.gates.push(gate),
        }
    }
}

/// `guards: { error: { ratio: 1.25, weight: 0.6, action: pause, min_effect: 0.001 } }`, the same way.
fn guards(section: &Section<'_>, policy: &mut Policy) {
    for (metric, item) in metrics(section.get("guards")) {
        if item.is_boolean() == Some(false) {
            policy.guards.retain(|guard| Some(guard.metric) != metric);
            continue;
        }
        let Some(section) = item.section() else { continue };
        let ratio = section.get("ratio").and_then(|item| item.number(1.0, 100.0));
        let weight = section.get("weight").and_then(|item| item.number(0.0, 1.0));
        let action = section.get("action").and_then(|item| item.word(&ACTIONS));
        let min_effect = section.get("min_effect").and_then(|item| item.share()).map(|effect| effect.value);
        section.finish();
        let Some(metric) = metric else { continue };
        let new = GuardPolicy { metric, ratio: 1.0, weight: 0.1, action: Action::Rollback, min_effect: 0.0 };
        let of_template = policy.guards.iter_mut().find(|guard| guard.metric == metric);
        let guard = of_template.as_deref().copied().unwrap_or(new);
        let guard = GuardPolicy {
            metric,
            ratio: ratio.unwrap_or(guard.ratio),
            weight: weight.unwrap_or(guard.weight),
            action: action.unwrap_or(guard.action),
            min_effect: min_effect.unwrap_or(guard.min_effect),
        };
        match of_template {
            Some(of_template) => *of_template = guard,
            None => policy.guards.push(guard),
        }
    }
}

/// `objectives: { first_token: 2s, total: 30s }`.
fn objectives(section: &Section<'_>, policy: &mut Policy) {
    let section = section.section("objectives");
    let read = |key| section.get(key).and_then(|item| item.duration());
    policy.objectives.first_token = read("first_token").or(policy.objectives.first_token);
    policy.objectives.total = read("total").or(policy.objectives.total);
    section.finish();
}

/// `certificates: { slow: { limit: 0.05 } }`: a rate that must be proven to be below its limit.
fn certificates(section: &Section<'_>, policy: &mut Policy) {
    for (metric, item) in metrics(section.get("certificates")) {
        let Some(section) = item.section() else { continue };
        let limit = section.need("limit").and_then(|item| item.share());
        let alpha = section.get("alpha").and_then(|item| item.number(0.0, 1.0));
        section.finish();
        let (Some(metric), Some(limit)) = (metric, limit) else { continue };
        policy.certificates.push(CertificatePolicy { metric, limit: limit.value, alpha });
    }
}

/// `cost: { ratio: 1.5, alpha: 0.01, action: pause }`, or `false`.
fn cost(section: &Section<'_>, policy: &mut Policy) {
    let Some(item) = section.get("cost") else { return };
    if item.is_boolean() == Some(false) {
        policy.cost = None;
        return;
    }
    let Some(section) = item.section() else { return };
    let ratio = section.get("ratio").and_then(|item| item.number(1.0, 100.0));
    let alpha = section.get("alpha").and_then(|item| item.number(0.0, 1.0));
    let action = section.get("action").and_then(|item| item.word(&ACTIONS));
    section.finish();
    if let Some(cost) = &mut policy.cost {
        cost.ratio = ratio.unwrap_or(cost.ratio);
        cost.alpha = alpha.unwrap_or(cost.alpha);
        cost.action = action.unwrap_or(cost.action);
    }
}

/// `requires: [ { kind: drill, name: error, max_age: 7d, before: canary } ]` replaces what the template requires to be filed.
fn requires(section: &Section<'_>, policy: &mut Policy) {
    let Some(item) = section.get("requires") else { return };
    let Some(items) = item.list("results that must be filed") else { return };
    let kinds = FiledKind::ALL.map(|kind| (kind.as_str(), kind));
    let stages = [Stage::Canary, Stage::Majority, Stage::Full].map(|stage| (stage.as_str(), stage));
    let read = |item: &Item<'_>| {
        let section = item.section()?;
        let kind = section.need("kind").and_then(|item| item.word(&kinds));
        let name = section.get("name").and_then(|item| item.string()).map_or("any".to_owned(), |name| name.value);
        let max_age = section.need("max_age").and_then(|item| item.duration());
        let before = section.need("before").and_then(|item| item.word(&stages));
        let min_n = section.get("min_cases").and_then(|item| item.count(0, u64::MAX)).unwrap_or(0);
        section.finish();
        Some(FiledPolicy { kind: kind?, name, max_age: max_age?, before: before?, min_n })
    };
    policy.filed = items.iter().filter_map(read).collect();
}

const ACTIONS: [(&str, Action); 2] = [("rollback", Action::Rollback), ("pause", Action::Pause)];

/// `absolute: { limit: 0.05, alpha: 0.0001, slow: 0.5 }`; `slow` is of answers later than `objectives.total`.
fn absolute(section: &Section<'_>, policy: &mut Policy) {
    let section = section.section("absolute");
    let limit = section.get("limit").and_then(|item| item.share()).map(|share| share.value);
    let alpha = section.get("alpha").and_then(|item| item.number(0.0, 1.0));
    if let Some(item) = section.get("slow") {
        if policy.objectives.total.is_none() {
            item.note(
                "nothing is late without an objective",
                Some("write `objectives: { total: 30s }` beside it".into()),
            );
        }
        let of_template = policy.absolute.map_or(1e-4, |absolute| absolute.alpha);
        policy.absolute_late = item.share().map(|share| AbsolutePolicy {
            metric: Metric::Slow,
            limit: share.value,
            alpha: alpha.unwrap_or(of_template),
        });
    }
    section.finish();
    if let Some(absolute) = &mut policy.absolute {
        let AbsolutePolicy { metric, limit: of_limit, alpha: of_alpha } = *absolute;
        *absolute = AbsolutePolicy { metric, limit: limit.unwrap_or(of_limit), alpha: alpha.unwrap_or(of_alpha) };
    }
}

fn metrics(item: Option<Item<'_>>) -> Vec<(Option<Metric>, Item<'_>)> {
    let named = item.map(|item| item.named()).unwrap_or_default();
    let words: Vec<(&str, Metric)> = Metric::ALL.iter().map(|metric| (metric.as_str(), *metric)).collect();
    let read = |(name, item): (crate::config::reader::Written<String>, _)| {
        let item: Item<'_> = item;
        let metric = words.iter().find(|(word, _)| *word == name.value).map(|(_, metric)| *metric);
        if metric.is_none() {
            item.unknown_key(&name, words.iter().map(|(word, _)| *word));
        }
        (metric, item)
    };
    named.into_iter().map(read).collect()
}
