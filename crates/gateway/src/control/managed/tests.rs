use std::time::Duration;

use rollout::Risk;
use store::EpochOutcome;
use wire::ids::ExchangeId;

use super::*;

fn exchange(n: u8) -> ExchangeId {
    ExchangeId::new(1, [n; 10])
}

/// An answer of the candidate that took 30 ms, 20 of them to its first token.
fn answered(n: u8) -> EpochOutcome {
    EpochOutcome {
        unit: n.into(),
        arm: "candidate".to_owned(),
        received_at_us: 1_000,
        ended_at_us: 31_000,
        served_elsewhere: false,
        failure: None,
        format_valid: None,
        schema_valid: None,
        tool_calls_valid: None,
        not_validated: false,
        time_to_first_token_us: Some(20_000),
        duration_us: Some(30_000),
        exchange: exchange(n),
        streamed: true,
        finish_reason: Some("stop".to_owned()),
        declined: Some(false),
        cost_nanos: Some(70),
    }
}

/// What is counted of these outcomes after a crash, with evidence that had counted nothing but what `lately` says.
fn check(objectives: Objectives, lately: Lately, outcomes: Vec<EpochOutcome>) -> Counting {
    let policy = Policy { objectives, warm_up: Duration::ZERO, ..Policy::template(Risk::Low) };
    let state = State::draft("support", "salt", "ann", ("a", "b"), &policy);
    let saved = Saved { evidence: None, counted: Vec::new(), outcomes, signals: Vec::new(), n_inputs: 0, lately };
    restore(&policy, &state, saved).unwrap()
}

fn tally(counting: &Counting, metric: Metric) -> (u64, u64) {
    let tally = counting.evidence.arm(Arm::Candidate).tally(metric);
    (tally.n, tally.bad)
}

#[test]
fn refusals_costs_and_late_first_tokens_are_counted_again() {
    let declined = EpochOutcome { declined: Some(true), ..answered(1) };
    let filtered = EpochOutcome { finish_reason: Some("content_filter".to_owned()), declined: None, ..answered(2) };
    let unknown = EpochOutcome { declined: None, streamed: false, cost_nanos: None, ..answered(3) };
    let failed = EpochOutcome { failure: Some("http_server_error".to_owned()), declined: None, ..answered(4) };
    let objectives =
        Objectives { first_token: Some(Duration::from_millis(10)), total: Some(Duration::from_millis(40)) };
    let outcomes = vec![answered(0), declined, filtered, unknown, failed];
    let mut counting = check(objectives, Lately::default(), outcomes);
    assert_eq!(tally(&counting, Metric::Refusal), (3, 2), "not of one that failed, nor where it is not known");
    assert_eq!(tally(&counting, Metric::SlowFirstToken), (4, 4), "of streams");
    assert_eq!(tally(&counting, Metric::Slow), (4, 0), "of whole answers");
    assert_eq!(tally(&counting, Metric::Error), (5, 1));
    let inputs = counting.log.take().inputs;
    let costs: Vec<u64> =
        inputs.iter().filter_map(|input| if let Input::Cost(cost) = input { Some(cost.nanos) } else { None }).collect();
    assert_eq!(costs, [70, 70, 70], "what failed is no cost of an answer");
}

#[test]
fn what_was_counted_before_is_not_counted_again() {
    let mut lately = Lately::default();
    lately.counted(exchange(1), 31_000);
    lately.late(exchange(2), MetricSet::of(&[Metric::SlowFirstToken]));
    let objectives =
        Objectives { first_token: Some(Duration::from_millis(10)), total: Some(Duration::from_millis(40)) };
    let counting = check(objectives, lately, vec![answered(1), answered(2), answered(3)]);
    assert_eq!(tally(&counting, Metric::Error), (2, 0));
    assert_eq!(tally(&counting, Metric::SlowFirstToken), (1, 1), "of one it was told before its end");
    assert_eq!(tally(&counting, Metric::Slow), (2, 0));
    let has = counting.lately.has();
    assert_eq!([1, 2, 3].map(|n| has(exchange(n))), [true; 3], "and is known when the next process dies");
}
