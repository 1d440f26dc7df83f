//! G8: how often a gate passes a candidate that is worse by exactly its margin, and whether the plan's numbers suffice.

use rollout::{Arm, Decision, Evidence, GatePolicy, Health, Metric, Policy, State, Timestamp, decide, plan_lite};

use crate::support::{ERROR, Random, at_share, medium, outcome, pair, set_if, size, started};

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
    let n_runs = size(200, 4000);
    for share in [0.0, 0.1, 0.5] {
        let n = 20_000;
        let n_passed = (0..n_runs).filter(|_| passes(&policy, &mut random, share, (0.01, 0.02), n)).count();
        let rate = n_passed as f64 / n_runs as f64;
        println!("G8: worse by the margin at a share of {share}: {:.2} % pass within {n} (goal 5 %)", rate * 100.0);
        assert!(rate <= 0.05 + 2.0 * (0.05 * 0.95 / n_runs as f64).sqrt(), "{rate}");
    }
}

#[test]
fn equals_pass_nine_times_in_ten_with_the_planned_number() {
    let (policy, mut random) = (one_gate(), Random::new(29));
    let n_runs = size(100, 2000);
    for planned in plan_lite(&policy, |_| 0.01) {
        let n = planned.nine_in_ten.unwrap();
        let n_passed = (0..n_runs).filter(|_| passes(&policy, &mut random, planned.share, (0.01, 0.01), n)).count();
        let rate = n_passed as f64 / n_runs as f64;
        println!(
            "G8: equals at 1 % errors, share {}: {:.1} % pass within the planned {n} (typically {})",
            planned.share,
            rate * 100.0,
            planned.typical.unwrap()
        );
        assert!(rate >= 0.9 - 2.0 * (0.09 / n_runs as f64).sqrt(), "{rate} at {}", planned.share);
    }
}
