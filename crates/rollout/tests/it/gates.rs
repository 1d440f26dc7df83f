//! G8: how often a gate passes a candidate that is worse by exactly its margin, and whether the plan's numbers suffice.

use rollout::{Arm, Decision, Evidence, GatePolicy, Health, Metric, Policy, State, Timestamp, Unit, decide, plan_lite};
use stats::{PairedDifference, PairedScores, UnpairedDifference};

use crate::support::{
    ERROR, Random, Users, at_share, figure, grouped, medium, outcome, pair, percent, point, set_if, size, started,
};

fn one_gate() -> Policy {
    let mut policy = medium();
    policy.gates = vec![GatePolicy { metric: Metric::Error, margin: 0.01, alpha: None }];
    policy.guards.clear();
    policy.absolute = None;
    policy.min_coverage = 0.0;
    for step in &mut policy.steps {
        (step.min_pairs, step.min_units, step.approvals) = (0, 0, 0);
    }
    policy
}

/// Evidence on the first step or on the one with this share, and a state that stands there.
fn begin(policy: &Policy, share: f64) -> (State, Evidence) {
    let evidence = at_share(policy, share);
    let state = State { step_idx: evidence.step_idx(), epoch: evidence.epoch(), ..started(policy) };
    (state, evidence)
}

/// Whether the gate ever passes within `n` pairs (share 0) or units, looking every 50.
fn passes(policy: &Policy, random: &mut Random, share: f64, rates: (f64, f64), n: u64) -> bool {
    let (state, mut evidence) = begin(policy, share);
    (1..=n).any(|idx| {
        let breach = if share == 0.0 {
            let (baseline, candidate) = (set_if(random.chance(rates.0)), set_if(random.chance(rates.1)));
            evidence.observe_pair(&pair(random.next(), ERROR, baseline, candidate))
        } else {
            let is_candidate = random.chance(share);
            let bad = set_if(random.chance(if is_candidate { rates.1 } else { rates.0 }));
            let arm = if is_candidate { Arm::Candidate } else { Arm::Baseline };
            evidence.observe(&outcome(random.next(), arm, ERROR, bad))
        };
        assert_eq!(breach, None);
        let is_peek = idx % 50 == 0 || idx == n;
        is_peek
            && matches!(decide(policy, &state, &evidence, &Health::default(), Timestamp(2)), Decision::Promote { .. })
    })
}

#[test]
fn a_candidate_worse_by_the_margin_passes_at_most_once_in_twenty() {
    let (policy, mut random) = (one_gate(), Random::new(23));
    let n_runs = size(200, 10_000);
    for share in [0.0, 0.1, 0.5] {
        let n = 20_000;
        let n_passed = (0..n_runs).filter(|_| passes(&policy, &mut random, share, (0.01, 0.02), n)).count();
        let rate = n_passed as f64 / n_runs as f64;
        figure(
            "G8",
            &format!("worse by exactly the margin of 0.01 at a share of {share}, within {}: passed", grouped(n)),
            &format!("{:.1} %", rate * 100.0),
            "≤ 5 %",
            n_runs,
        );
        assert!(rate <= 0.05 + 2.0 * (0.05 * 0.95 / n_runs as f64).sqrt(), "{rate}");
    }
}

#[test]
fn equals_pass_nine_times_in_ten_with_the_planned_number() {
    let (policy, mut random) = (one_gate(), Random::new(29));
    let n_runs = size(100, 10_000);
    for planned in plan_lite(&policy, |_| 0.01) {
        let n = planned.nine_in_ten.unwrap();
        let n_passed = (0..n_runs).filter(|_| passes(&policy, &mut random, planned.share, (0.01, 0.01), n)).count();
        let rate = n_passed as f64 / n_runs as f64;
        figure(
            "G8",
            &format!("equals at a share of {}, within the planned {}: passed", planned.share, grouped(n)),
            &format!("{:.1} % (half of them within {})", rate * 100.0, grouped(planned.typical.unwrap())),
            "≥ 90 %",
            n_runs,
        );
        assert!(rate >= 0.9 - 2.0 * (0.09 / n_runs as f64).sqrt(), "{rate} at {}", planned.share);
    }
}

/// Whether the gate ever passes within `n` requests of heavy users, whose candidate is worse by the margin for each of them.
fn passes_with_users(policy: &Policy, random: &mut Random, share: f64, n: u64) -> bool {
    let users = Users::new(random, 20_000);
    let (state, mut evidence) = begin(policy, share);
    (1..=n).any(|idx| {
        let user = users.pick(random);
        let candidate_rate = (users.propensity[user] + 0.01).min(1.0);
        if share == 0.0 {
            let (baseline, candidate) =
                (set_if(random.chance(users.propensity[user])), set_if(random.chance(candidate_rate)));
            evidence.observe_pair(&pair(user as u64, ERROR, baseline, candidate));
        } else {
            let is_candidate = users.position[user] < share;
            let rate = if is_candidate { candidate_rate } else { users.propensity[user] };
            let arm = if is_candidate { Arm::Candidate } else { Arm::Baseline };
            evidence.observe(&outcome(user as u64, arm, ERROR, set_if(random.chance(rate))));
        }
        let is_peek = idx % 100 == 0 || idx == n;
        is_peek
            && matches!(decide(policy, &state, &evidence, &Health::default(), Timestamp(2)), Decision::Promote { .. })
    })
}

#[test]
fn heavy_users_do_not_pass_a_candidate_worse_by_the_margin() {
    let n_runs = size(60, 4000);
    let mut random = Random::new(31);
    for share in [0.0, 0.1, 0.5] {
        let policy = Policy { unit: Unit::User, ..one_gate() };
        let n_passed = (0..n_runs).filter(|_| passes_with_users(&policy, &mut random, share, 20_000)).count();
        figure(
            "G8",
            &format!("worse by exactly the margin, heavy users who stay on their arm, share {share}: passed"),
            &format!("{:.1} %", percent(n_passed, n_runs)),
            "≤ 5 %",
            n_runs,
        );
        let rate = n_passed as f64 / n_runs as f64;
        assert!(rate <= 0.05 + 2.0 * (0.05 * 0.95 / n_runs as f64).sqrt(), "{rate} at a share of {share}");
    }
}

/// Scores of a judge: a candidate that loses more often than it wins by exactly the margin.
#[test]
fn judged_scores_at_the_margin_pass_at_most_once_in_twenty() {
    let n_runs = size(200, 4000);
    let mut random = Random::new(37);
    for (margin, n_pairs) in [(0.05, 5000), (0.1, 2000)] {
        let (mut n_worse, mut n_equal) = (0, 0);
        for (net, n_passed) in [(-margin, &mut n_worse), (0.0, &mut n_equal)] {
            for _ in 0..n_runs {
                let mut scores = PairedScores::default();
                let is_passed = (1..=n_pairs).any(|idx: u64| {
                    let draw = random.fraction();
                    let candidate = if draw < 0.15 + 0.5 * net {
                        1.0
                    } else if draw < 0.3 {
                        0.0
                    } else {
                        0.5
                    };
                    // A win is a score of 1 against 0: the difference is the net of wins and losses.
                    scores.observe(1.0 - candidate, candidate);
                    idx.is_multiple_of(25) && scores.log_e(margin) >= 20_f64.ln()
                });
                *n_passed += usize::from(is_passed);
            }
        }
        figure(
            "G8",
            &format!("judged pairs, 70 % ties, net wins at minus the margin of {margin}, within {n_pairs}: passed"),
            &format!("{:.1} %; equals {:.1} %", percent(n_worse, n_runs), percent(n_equal, n_runs)),
            "≤ 5 %",
            n_runs,
        );
        let rate = n_worse as f64 / n_runs as f64;
        assert!(rate <= 0.05 + 2.0 * (0.05 * 0.95 / n_runs as f64).sqrt(), "{rate}");
        assert!(n_equal as f64 >= 0.9 * n_runs as f64, "{n_equal} of {n_runs} equals passed");
    }
}

/// The plot of power: the part of gates that have passed by n, for equals and for a candidate worse by the margin.
#[test]
fn gates_pass_by_n() {
    let mut random = Random::new(41);
    let n_runs = size(100, 1000);
    for (name, share, most) in [("shadow", 0.0, 6000), ("share 0.1", 0.1, 40_000), ("share 0.5", 0.5, 12_000)] {
        for (how, rate) in [("", 0.01), (", worse by the margin", 0.02)] {
            let first_pass: Vec<Option<u64>> =
                (0..n_runs).map(|_| first_pass(&mut random, share, rate, most)).collect();
            let passed = |n: u64| first_pass.iter().filter(|first| first.is_some_and(|first| first <= n)).count();
            for part in 1..=20 {
                let n = most * part / 20;
                point("power", &format!("{name}{how}"), n as f64, percent(passed(n), n_runs));
            }
            if rate == 0.01 {
                assert!(passed(most) * 10 >= n_runs * 9, "{name}: {} of {n_runs}", passed(most));
            } else {
                assert!(passed(most) <= n_runs / 10, "{name}{how}: {} of {n_runs}", passed(most));
            }
        }
    }
}

/// The number of pairs or units at which a margin of 0.01 is first proven, looking every 50, if it is within `most`.
fn first_pass(random: &mut Random, share: f64, candidate_rate: f64, most: u64) -> Option<u64> {
    let (mut paired, mut unpaired) = (PairedDifference::default(), UnpairedDifference::new(share, 0.01));
    (1..=most).find(|idx| {
        if share == 0.0 {
            paired.observe(random.chance(0.01), random.chance(candidate_rate));
        } else {
            let is_candidate = random.chance(share);
            unpaired.observe(is_candidate, random.chance(if is_candidate { candidate_rate } else { 0.01 }));
        }
        let log_e = || if share == 0.0 { paired.log_e(0.01) } else { unpaired.log_e(0.01) };
        idx.is_multiple_of(50) && log_e() >= 20_f64.ln()
    })
}
