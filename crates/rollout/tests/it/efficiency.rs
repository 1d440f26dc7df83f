use std::time::Instant;

use rollout::{CostOutcome, Evidence, Input, InputLog, Metric, MetricSet, Outcome, Timestamp, Unit};

use crate::support::{Random, at_share, medium};

fn outcomes(random: &mut Random, n: u64) -> Vec<Outcome> {
    (0..n)
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
        .collect()
}

/// The mean time of `observe` at a 2 % error rate; printed, and bounded far above what it takes so that a busy machine passes.
#[test]
fn observing_an_outcome_takes_well_under_a_microsecond() {
    for unit in [Unit::Request, Unit::Conversation] {
        let mut policy = medium();
        policy.unit = unit;
        let mut evidence = at_share(&policy, 0.1);
        let n = 200_000_u64;
        let outcomes = outcomes(&mut Random::new(1), n);
        let begun = Instant::now();
        let n_breaches = outcomes.iter().filter(|outcome| evidence.observe(outcome).is_some()).count();
        let each_ns = begun.elapsed().as_nanos() / u128::from(n);
        println!("observe, unit {unit:?}: {each_ns} ns ({n_breaches} breaches, {} units)", evidence.n_units());
        assert!(each_ns < 10_000, "{each_ns} ns");
    }
}

/// What keeping each entry for `rollout replay` adds to counting what a request leaves: its outcome, where its unit's key came from, what it cost.
/// Both ways in turn, eleven times, and the median of the ratios. The log is handed over every ten thousand requests, as the controller
/// takes it twice a second.
#[test]
fn keeping_what_was_counted_for_a_replay_costs_less_than_counting_it() {
    let mut policy = medium();
    policy.unit = Unit::Conversation;
    let n = 100_000_u64;
    let outcomes = outcomes(&mut Random::new(1), n);
    let of_request = |outcome: &Outcome| {
        let Outcome { unit, arm, admitted_at, at, .. } = *outcome;
        let cost = CostOutcome { unit, arm, admitted_at, at, nanos: 2_000_000 };
        [Input::KeySource { source: "header".into() }, Input::Outcome(*outcome), Input::Cost(cost)]
    };
    let nanoseconds = |is_kept: bool| {
        let (mut evidence, mut log): (Evidence, InputLog) = (at_share(&policy, 0.1), InputLog::default());
        let begun = Instant::now();
        for (idx, outcome) in outcomes.iter().enumerate() {
            for input in of_request(outcome) {
                evidence.take(&input);
                if is_kept {
                    log.push(input);
                }
            }
            if is_kept && idx % 10_000 == 9_999 {
                drop(log.take());
            }
        }
        begun.elapsed().as_nanos() as f64 / n as f64
    };
    let mut rounds: Vec<(f64, f64)> = (0..11).map(|_| (nanoseconds(false), nanoseconds(true))).collect();
    rounds.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    let (without, with) = rounds[5];
    println!("replay log: {without:.0} ns a request without, {with:.0} ns with: {:.2} times", with / without);
    assert!(with < 20_000.0, "{with} ns");
}
