//! G1 and G2: how often a candidate as good as the baseline is thrown back, when every event is looked at.

use rollout::{Action, Arm, Evidence, GuardPolicy, Metric, MetricSet, Policy, State, Status, Unit};

use crate::support::{Random, Users, figure, medium, outcome, pair, percent, size, started, whole};

/// A guard of equal weight on every metric, each seeing bad events at 1 %.
fn every_metric() -> Policy {
    let mut policy = medium();
    policy.guards = Metric::ALL
        .map(|metric| GuardPolicy { metric, ratio: 1.0, weight: 0.1, action: Action::Rollback, min_effect: 0.0 })
        .to_vec();
    policy
}

fn one_bad_in_hundred_each(random: &mut Random) -> MetricSet {
    let idx = usize::try_from(random.below(100)).unwrap();
    Metric::ALL.get(idx).map_or(MetricSet::EMPTY, |metric| MetricSet::of(&[*metric]))
}

/// The evidence of the step after, as a promotion would begin it.
fn next_step(policy: &Policy, state: &mut State, evidence: &Evidence) -> Evidence {
    state.step_idx += 1;
    state.epoch += 1;
    Evidence::begin(policy, state, Some(evidence))
}

/// Whether any guard speaks on the way from shadow to full.
fn is_rolled_back(policy: &Policy, random: &mut Random, per_step: usize) -> bool {
    let mut state = started(policy);
    assert_eq!(state.status, Status::Active);
    let mut evidence = Evidence::begin(policy, &state, None);
    for _ in 0..per_step / 4 {
        let (baseline, candidate) = (one_bad_in_hundred_each(random), one_bad_in_hundred_each(random));
        if evidence.observe_pair(&pair(random.next(), MetricSet::ALL, baseline, candidate)).is_some() {
            return true;
        }
    }
    for _ in 1..policy.steps.len() {
        evidence = next_step(policy, &mut state, &evidence);
        for _ in 0..per_step {
            let arm = if random.chance(evidence.share()) { Arm::Candidate } else { Arm::Baseline };
            let bad = one_bad_in_hundred_each(random);
            if evidence.observe(&outcome(random.next(), arm, MetricSet::ALL, bad)).is_some() {
                return true;
            }
        }
    }
    false
}

/// Two standard errors above the goal: a true rate at the goal passes, one clearly above it does not.
fn allowed(n_runs: usize, goal: f64) -> usize {
    let expected = n_runs as f64 * goal;
    whole(expected + 2.0 * expected.sqrt())
}

#[test]
fn a_rollout_between_equals_is_rolled_back_once_in_a_hundred() {
    let n_runs = size(200, 10_000);
    let (policy, mut random) = (every_metric(), Random::new(17));
    let n_alarms = (0..n_runs).filter(|_| is_rolled_back(&policy, &mut random, 20_000)).count();
    figure(
        "G1",
        "equals, six metrics, every event looked at, five serving steps of 20 000 requests: rolled back",
        &format!("{:.2} %", percent(n_alarms, n_runs)),
        "≤ 1 %",
        n_runs,
    );
    assert!(n_alarms <= allowed(n_runs, 0.01), "{n_alarms}");
}

fn is_rolled_back_with_users(policy: &Policy, random: &mut Random, per_step: usize) -> bool {
    let users = Users::new(random, 2000);
    let mut state = started(policy);
    let mut evidence = Evidence::begin(policy, &state, None);
    for _ in 1..policy.steps.len() {
        evidence = next_step(policy, &mut state, &evidence);
        for _ in 0..per_step {
            let user = users.pick(random);
            let arm = if users.position[user] < evidence.share() { Arm::Candidate } else { Arm::Baseline };
            let bad: MetricSet =
                Metric::ALL.into_iter().take(2).filter(|_| random.chance(users.propensity[user])).collect();
            if evidence.observe(&outcome(user as u64, arm, MetricSet::ALL, bad)).is_some() {
                return true;
            }
        }
    }
    false
}

#[test]
fn heavy_users_do_not_roll_a_rollout_between_equals_back() {
    let n_runs = size(200, 10_000);
    let mut policy = every_metric();
    policy.unit = Unit::User;
    let mut random = Random::new(19);
    let n_alarms = (0..n_runs).filter(|_| is_rolled_back_with_users(&policy, &mut random, 20_000)).count();
    policy.unit = Unit::Request;
    let n_naive_runs = n_runs / 4;
    let n_naive = (0..n_naive_runs).filter(|_| is_rolled_back_with_users(&policy, &mut random, 20_000)).count();
    figure(
        "G2",
        "the same with heavy users who stay on their arm: rolled back",
        &format!(
            "{:.2} %; counting every bad request {:.0} %",
            percent(n_alarms, n_runs),
            percent(n_naive, n_naive_runs)
        ),
        "≤ 1 %",
        n_runs,
    );
    assert!(n_alarms <= allowed(n_runs, 0.01), "{n_alarms}");
    assert!(n_naive > n_naive_runs / 10, "the rule is what makes the difference: {n_naive}");
}
