use std::time::Instant;

use rollout::{Metric, MetricSet, Outcome, Timestamp, Unit};

use crate::support::{Random, at_share, medium};

/// The mean time of `observe` at a 2 % error rate; printed, and bounded far above what it takes so that a busy machine passes.
#[test]
fn observing_an_outcome_takes_well_under_a_microsecond() {
    for unit in [Unit::Request, Unit::Conversation] {
        let mut policy = medium();
        policy.unit = unit;
        let mut evidence = at_share(&policy, 0.1);
        let mut random = Random::new(1);
        let n = 200_000_u64;
        let outcomes: Vec<Outcome> = (0..n)
            .map(|idx| Outcome {
                unit: random.below(n / 4),
                arm: if random.chance(0.1) { rollout::Arm::Candidate } else { rollout::Arm::Baseline },
                admitted_at: Timestamp(idx),
                at: Timestamp(idx),
                observed: MetricSet::of(&[Metric::Error, Metric::Timeout, Metric::Format, Metric::ToolCall]),
                bad: if random.chance(0.02) { MetricSet::of(&[Metric::Error]) } else { MetricSet::EMPTY },
                time_to_first_token_us: Some(200_000 + random.below(100_000)),
                duration_us: Some(2_000_000 + random.below(1_000_000)),
            })
            .collect();
        let begun = Instant::now();
        let n_breaches = outcomes.iter().filter(|outcome| evidence.observe(outcome).is_some()).count();
        let each_ns = begun.elapsed().as_nanos() / u128::from(n);
        println!("observe, unit {unit:?}: {each_ns} ns ({n_breaches} breaches, {} units)", evidence.n_units());
        assert!(each_ns < 10_000, "{each_ns} ns");
    }
}
