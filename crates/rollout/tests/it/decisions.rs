use std::time::Duration;

use rollout::{
    Arm, Breach, BreachCause, Decision, Evidence, Health, Metric, MetricSet, Outcome, Policy, Reason, Risk, Signal,
    State, Status, Timestamp, Unit, decide, explain,
};

use crate::support::{ERROR, Random, at_share, medium, outcome, pair, set_if, started};

const NOW: Timestamp = Timestamp(10);
const BOTH: MetricSet = MetricSet::of(&[Metric::Error, Metric::Format, Metric::ToolCall]);

fn in_shadow(policy: &Policy, n_pairs: u64) -> (State, Evidence) {
    let state = started(policy);
    let mut evidence = Evidence::begin(policy, &state, None);
    for unit in 0..n_pairs {
        evidence.observe_pair(&pair(unit, BOTH, MetricSet::EMPTY, MetricSet::EMPTY));
    }
    (state, evidence)
}

fn check(policy: &Policy, state: &State, evidence: &Evidence, expected: &[&str]) {
    let words: Vec<String> = match decide(policy, state, evidence, &Health::default(), NOW) {
        Decision::Hold { because } => because.iter().map(Reason::words).collect(),
        other => vec![format!("{other:?}")],
    };
    assert_eq!(words, expected);
}

#[test]
fn twelve_hundred_clean_pairs_leave_shadow() {
    let policy = medium();
    let (state, evidence) = in_shadow(&policy, 1200);
    check(&policy, &state, &evidence, &["Promote { to: 1 }"]);
}

#[test]
fn one_pair_too_few_holds() {
    let policy = medium();
    let (state, evidence) = in_shadow(&policy, 1199);
    check(&policy, &state, &evidence, &["1199 of 1200 pairs"]);
}

#[test]
fn nothing_seen_is_never_a_pass() {
    let mut policy = medium();
    policy.steps[0].min_pairs = 0;
    let (state, evidence) = in_shadow(&policy, 0);
    check(
        &policy,
        &state,
        &evidence,
        &[
            "error rate not proven within its margin after 0 (e-value 1.00, 20.00 needed)",
            "format failure rate not proven within its margin after 0 (e-value 1.00, 20.00 needed)",
            "invalid tool call rate not proven within its margin after 0 (e-value 1.00, 20.00 needed)",
            "none of sampled requests have a complete pair, 90 % needed",
        ],
    );
}

#[test]
fn a_candidate_worse_by_the_margin_holds() {
    let policy = medium();
    let (state, mut evidence) = in_shadow(&policy, 0);
    for unit in 0..2000 {
        evidence.observe_pair(&pair(unit, BOTH, set_if(unit % 50 == 0), set_if(unit % 50 == 25 || unit % 100 == 75)));
    }
    let Decision::Hold { because } = decide(&policy, &state, &evidence, &Health::default(), NOW) else {
        panic!("promoted");
    };
    assert!(matches!(because[..], [Reason::GateUndecided { metric: Metric::Error, .. }]), "{because:?}");
}

#[test]
fn a_conversation_counts_once() {
    let mut policy = medium();
    policy.unit = Unit::Conversation;
    let (_, mut evidence) = in_shadow(&policy, 10);
    for _ in 0..1000 {
        evidence.observe_pair(&pair(3, BOTH, MetricSet::EMPTY, ERROR));
    }
    assert_eq!((evidence.n_pairs(), evidence.breach()), (10, None));
    assert_eq!(evidence.arm(Arm::Candidate).tally(Metric::Error).bad, 1000, "pages still show every request");
}

#[test]
fn dropped_pairs_hold_by_reason() {
    let policy = medium();
    let (state, mut evidence) = in_shadow(&policy, 1200);
    (0..150).for_each(|_| evidence.count_shadow_drop("queue_full", "0k/-/whole", false));
    (0..20).for_each(|_| evidence.count_shadow_drop("timeout", "0k/-/whole", false));
    let expected = "87.59 % of sampled requests have a complete pair, 90 % needed, most lost to queue_full: copies come faster than they are sent: \
                    lower `stages.shadow.sample`";
    check(&policy, &state, &evidence, &[expected]);
}

#[test]
fn what_time_and_traffic_bring_is_told_from_what_they_do_not() {
    let policy = medium();
    let open = Health { candidate_breaker_open: true, ..Health::default() };
    let stuck = |evidence: &Evidence, health: &Health| explain(&policy, &started(&policy), evidence, health, NOW).stuck;
    let (_, few) = in_shadow(&policy, 10);
    assert_eq!(stuck(&few, &Health::default()), [""; 0], "pairs come with traffic");
    let words = "the candidate's circuit breaker is open: its server has to answer again";
    assert_eq!(stuck(&few, &open), [words]);
    let (_, mut lossy) = in_shadow(&policy, 1200);
    (0..200).for_each(|_| lossy.count_shadow_drop("shutting_down", "0k/-/whole", true));
    assert_eq!(stuck(&lossy, &Health::default()), [""; 0], "that passes by itself");
    (0..300).for_each(|_| lossy.count_shadow_drop("overload", "0k/-/whole", true));
    assert_eq!(stuck(&lossy, &open), ["copies are lost to overload", words]);
}

#[test]
fn a_lossy_journal_holds() {
    let policy = medium();
    let (state, evidence) = in_shadow(&policy, 1200);
    let decision = |journal_dropped| {
        let health = Health { journal_records: 10_000, journal_dropped, ..Health::default() };
        decide(&policy, &state, &evidence, &health, NOW)
    };
    assert_eq!(decision(10), Decision::Promote { to: 1 });
    assert!(matches!(decision(11), Decision::Hold { .. }));
}

#[test]
fn the_steps_time_must_be_up() {
    let mut policy = medium();
    policy.steps[0].min_duration = Duration::from_secs(7 * 86_400);
    let (state, evidence) = in_shadow(&policy, 1200);
    check(&policy, &state, &evidence, &["6 d 23 h of the step's time left"]);
    let later = Timestamp(state.epoch_started.0 + 7 * 86_400_000_000);
    assert_eq!(decide(&policy, &state, &evidence, &Health::default(), later), Decision::Promote { to: 1 });
}

#[test]
fn proof_of_harm_on_pairs_ends_the_shadow_unless_the_policy_says_otherwise() {
    for (shadow_guards, rolls_back) in [(true, true), (false, false)] {
        let mut policy = medium();
        policy.shadow_guards = shadow_guards;
        let (state, mut evidence) = in_shadow(&policy, 100);
        let breach = (100..200).find_map(|unit| evidence.observe_pair(&pair(unit, BOTH, MetricSet::EMPTY, ERROR)));
        assert_eq!(breach.is_some(), rolls_back);
        let decision = decide(&policy, &state, &evidence, &Health::default(), NOW);
        assert_eq!(matches!(decision, Decision::Rollback { .. }), rolls_back);
    }
}

/// A serving state at a share, with this status.
fn serving(policy: &Policy, share: f64, status: Status) -> (State, Evidence) {
    let evidence = at_share(policy, share);
    (State { step_idx: evidence.step_idx(), status, ..started(policy) }, evidence)
}

#[test]
fn rollback_when_candidate_errors_double_whatever_it_waits_for() {
    for status in [Status::Active, Status::AwaitingApproval, Status::Paused] {
        let policy = medium();
        let (state, mut evidence) = serving(&policy, 0.5, status);
        let mut random = Random::new(31);
        while crate::support::request(&mut random, &mut evidence, 0.02, 0.04).1.is_none() {}
        let Decision::Rollback { because } = decide(&policy, &state, &evidence, &Health::default(), NOW) else {
            panic!("{status:?} did not roll back");
        };
        assert_eq!((because.cause, because.metric), (BreachCause::Relative, Some(Metric::Error)));
        assert_eq!(evidence.breach(), Some(&because));
        assert!(because.n_candidate > because.bad_candidate && because.n_baseline > 0);
    }
}

#[test]
fn a_completed_rollout_is_still_guarded() {
    let policy = medium();
    let (state, mut evidence) = serving(&policy, 0.98, Status::Completed);
    for unit in 0..5 {
        evidence.observe(&outcome(unit, Arm::Candidate, ERROR, ERROR));
    }
    assert!(matches!(decide(&policy, &state, &evidence, &Health::default(), NOW), Decision::Rollback { .. }));
}

#[test]
fn an_open_circuit_breaker_rolls_back_once_anybody_is_served() {
    let policy = medium();
    let open = Health { candidate_breaker_open: true, ..Health::default() };
    let (state, evidence) = serving(&policy, 0.05, Status::Active);
    let expected = Decision::Rollback { because: Breach::breaker_opened() };
    assert_eq!(decide(&policy, &state, &evidence, &open, NOW), expected);
    let (state, evidence) = in_shadow(&policy, 1200);
    assert_eq!(
        decide(&policy, &state, &evidence, &open, NOW),
        Decision::Hold { because: vec![Reason::BreakerOpen] },
        "in shadow nobody is hurt"
    );
}

#[test]
fn relative_guards_wait_for_the_warm_up_and_the_breaker_does_not() {
    let mut policy = medium();
    policy.warm_up = Duration::from_secs(60);
    policy.absolute = None;
    let fail = |evidence: &mut Evidence, at: u64| {
        (0..200).find_map(|unit| {
            let at = Timestamp(at);
            evidence.observe(&Outcome { admitted_at: at, at, ..outcome(unit, Arm::Candidate, ERROR, ERROR) })
        })
    };
    let mut evidence = at_share(&policy, 0.1);
    assert_eq!(fail(&mut evidence, 59_999_999), None);
    assert_eq!(evidence.n_units(), 0, "nor do gates count");
    assert!(fail(&mut evidence, 60_000_000).is_some());
    policy.absolute = medium().absolute;
    assert!(fail(&mut at_share(&policy, 0.1), 5).is_some_and(|breach| breach.cause == BreachCause::Absolute));
}

#[test]
fn what_was_admitted_before_the_epoch_is_no_evidence() {
    let policy = medium();
    let step_idx = 1;
    let mut evidence = Evidence::new(&policy, 2, step_idx, &rollout::Carry::none(), Timestamp(100));
    for unit in 0..100 {
        let late =
            Outcome { admitted_at: Timestamp(99), at: Timestamp(200), ..outcome(unit, Arm::Candidate, ERROR, ERROR) };
        assert_eq!(evidence.observe(&late), None);
    }
    assert_eq!(evidence.arm(Arm::Candidate).tally(Metric::Error).n, 0);
}

#[test]
fn one_broken_user_is_one_bad_event() {
    let mut policy = medium();
    policy.unit = Unit::User;
    let mut evidence = at_share(&policy, 0.5);
    for _ in 0..10_000 {
        assert_eq!(evidence.observe(&outcome(7, Arm::Candidate, ERROR, ERROR)), None);
    }
}

#[test]
fn units_split_otherwise_than_the_share_says_pause() {
    let mut policy = medium();
    policy.gates.clear();
    let (state, mut evidence) = serving(&policy, 0.5, Status::Active);
    for unit in 0..10_000 {
        let arm = if unit % 100 < 45 { Arm::Candidate } else { Arm::Baseline };
        evidence.observe(&outcome(unit, arm, ERROR, MetricSet::EMPTY));
    }
    let Decision::Pause { because } = decide(&policy, &state, &evidence, &Health::default(), NOW) else {
        panic!("promoted");
    };
    assert_eq!((because.cause, because.n_candidate, because.n_baseline), (BreachCause::SampleRatio, 4500, 5500));
    let seen = State { acknowledged: vec![because.alarm()], ..state };
    let Decision::Hold { because } = decide(&policy, &seen, &evidence, &Health::default(), NOW) else {
        panic!("whoever let it pass has not made the evidence valid");
    };
    assert!(matches!(because[..], [Reason::SampleRatio { .. }]), "{because:?}");
}

#[test]
fn evidence_of_another_epoch_decides_nothing() {
    let policy = medium();
    let (state, evidence) = in_shadow(&policy, 1200);
    let state = State { epoch: state.epoch + 1, ..state };
    check(&policy, &state, &evidence, &["the evidence belongs to another epoch"]);
}

#[test]
fn evidence_state_and_policy_come_back_bit_for_bit() {
    let mut random = Random::new(37);
    for risk in [Risk::Low, Risk::Medium, Risk::High] {
        let mut policy = Policy::template(risk);
        policy.warm_up = Duration::from_micros(1);
        let share = policy.steps[1].share;
        let mut evidence = at_share(&policy, share);
        for _ in 0..3000 {
            let arm = if random.chance(share) { Arm::Candidate } else { Arm::Baseline };
            let mut outcome = outcome(random.below(500), arm, MetricSet::ALL, set_if(random.chance(0.03)));
            outcome.time_to_first_token_us = Some(random.below(3_000_000));
            outcome.duration_us = Some(random.below(60_000_000));
            evidence.observe(&outcome);
            evidence.observe_pair(&pair(random.below(500), ERROR, MetricSet::EMPTY, set_if(random.chance(0.01))));
        }
        evidence.count_shadow_drop("queue_full", "0k/-/whole", false);
        evidence.count_key_source("header");
        let json = serde_json::to_string(&evidence).unwrap();
        let again: Evidence = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), json);
        assert_eq!(serde_json::to_string(&again.carry()).unwrap(), serde_json::to_string(&evidence.carry()).unwrap());
        assert_eq!(serde_json::from_str::<Policy>(&serde_json::to_string(&policy).unwrap()).unwrap(), policy);
        let state = started(&policy);
        assert_eq!(serde_json::from_str::<State>(&serde_json::to_string(&state).unwrap()).unwrap(), state);
        println!("evidence of {risk:?} is {} bytes of JSON", json.len());
    }
}

#[test]
fn evidence_of_a_store_that_knew_fewer_metrics_opens() {
    let policy = medium();
    let mut evidence = at_share(&policy, 0.5);
    evidence.observe(&outcome(1, Arm::Candidate, BOTH, ERROR));
    let mut json: serde_json::Value = serde_json::to_value(&evidence).unwrap();
    for arm in json["arms"].as_array_mut().unwrap() {
        arm["tallies"].as_array_mut().unwrap().truncate(6);
    }
    let again: Evidence = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&evidence).unwrap());
    let tallies = json["arms"][0]["tallies"].as_array_mut().unwrap();
    (0..20).for_each(|_| tallies.push(serde_json::json!({"n": 0, "bad": 0})));
    assert!(serde_json::from_value::<Evidence>(json).is_err(), "a store of a later version does not");
}

#[test]
fn signals_count_for_the_epoch_their_exchange_was_admitted_in() {
    let policy = medium();
    let mut evidence = Evidence::new(&policy, 2, 3, &rollout::Carry::none(), Timestamp(100));
    let signal = |unit, admitted_at| Signal {
        unit,
        arm: Arm::Candidate,
        metric: Metric::Feedback,
        bad: true,
        admitted_at: Timestamp(admitted_at),
        at: Timestamp(500),
    };
    assert_eq!(evidence.observe(&signal(1, 99).into()), None);
    assert_eq!(evidence.arm(Arm::Candidate).tally(Metric::Feedback).n, 0);
    let breach = (1..100).find_map(|unit| evidence.observe(&signal(unit, 100).into())).unwrap();
    assert_eq!((breach.metric, breach.bad_candidate), (Some(Metric::Feedback), 20));
    assert_eq!(evidence.arm(Arm::Candidate).tally(Metric::Error).n, 0, "a signal is no request");
}

#[test]
fn the_page_of_facts_says_what_is_missing() {
    let policy = medium();
    let (state, mut evidence) = serving(&policy, 0.1, Status::Active);
    let mut random = Random::new(41);
    for _ in 0..3000 {
        crate::support::request(&mut random, &mut evidence, 0.01, 0.01);
    }
    let page = explain(&policy, &state, &evidence, &Health::default(), NOW);
    assert_eq!(page.verdict, rollout::explain::Verdict::Undecided);
    assert_eq!(page.decision, "hold");
    assert_eq!((page.units.have, page.units.need), (3000, 2000));
    let gate = &page.gates[0];
    assert_eq!(gate.name, "error rate not higher by 1 points");
    assert!(
        gate.missing.starts_with("about ") && gate.missing.ends_with(" more units if both are equal"),
        "{}",
        gate.missing
    );
    assert_eq!(page.guards.len(), policy.guards.len() + 1);
    assert!(page.harm.e_value < page.harm.threshold);
    assert_eq!(page.arms[1].rates[0].n + page.arms[0].rates[0].n, 3000);
    let json = serde_json::to_string(&page).unwrap();
    assert_eq!(serde_json::from_str::<rollout::Explanation>(&json).unwrap(), page);
}

/// At high risk the long prompts must prove themselves: what all pairs together prove is no pass where one kind fails.
#[test]
fn at_high_risk_one_kind_that_is_worse_holds_what_all_together_would_pass() {
    let mut policy = Policy { unit: Unit::Request, warm_up: Duration::ZERO, ..Policy::template(Risk::High) };
    policy.filed.clear();
    policy.guards.clear();
    policy.gates.truncate(1);
    policy.steps[0].min_duration = Duration::ZERO;
    policy.steps[0].approvals = 0;
    let state = started(&policy);
    let in_kinds = |failing_in_hundred: u64| {
        let mut evidence = Evidence::begin(&policy, &state, None);
        for unit in 0..40_000_u64 {
            let is_long = unit.is_multiple_of(40);
            let stratum = if is_long { "64k/-/whole" } else { "1k/-/whole" };
            evidence.count_shadow_offer(stratum);
            evidence.count_pair_of(stratum, Timestamp(1));
            let bad = set_if(is_long && unit / 40 % 100 < failing_in_hundred);
            evidence.observe_pair(&pair(unit, ERROR, MetricSet::EMPTY, bad));
        }
        evidence
    };
    check(&policy, &state, &in_kinds(0), &["Promote { to: 1 }"]);
    let worse = in_kinds(5);
    let words = |evidence: &Evidence| match decide(&policy, &state, evidence, &Health::default(), NOW) {
        Decision::Hold { because } => because.iter().map(Reason::words).collect::<Vec<_>>().join("; "),
        other => format!("{other:?}"),
    };
    let of_kind = "error rate not proven within its margin for requests of kind 64k/-/whole after 1000";
    assert!(words(&worse).starts_with(of_kind), "{}", words(&worse));
    let again: Evidence = serde_json::from_str(&serde_json::to_string(&worse).unwrap()).unwrap();
    assert_eq!(words(&again), words(&worse), "what was written down says the same");
    let page = explain(&policy, &state, &worse, &Health::default(), NOW);
    let kinds: Vec<_> = page.strata.iter().map(|it| (it.stratum.as_str(), it.n, it.verdict)).collect();
    assert_eq!(
        kinds,
        [
            ("1k/-/whole", 39_000, rollout::explain::Verdict::Pass),
            ("64k/-/whole", 1000, rollout::explain::Verdict::Undecided)
        ]
    );
    let of_all = Policy { strata_gate: None, ..policy.clone() };
    check(&of_all, &state, &worse, &["Promote { to: 1 }"]);
}
