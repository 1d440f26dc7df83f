//! What ends in a person's hands: steps that last too long, evidence that is stale, alarms, approvals, and what must be filed.

use std::time::Duration;

use rollout::{
    Action, Arm, BreachCause, CertificatePolicy, CostOutcome, CostPolicy, Decision, Event, Evidence, Filed, FiledKind,
    FiledPolicy, GuardPolicy, Health, HeldBecause, Metric, MetricSet, Policy, Reason, Refused, Stage, State, Status,
    Timestamp, apply, decide,
};

use crate::support::{ERROR, Random, after, at_share, medium, outcome, pair, request, set_if, started};

const DAY: u64 = 86_400_000_000;
const SEEN: MetricSet = MetricSet::of(&[Metric::Error, Metric::Format, Metric::ToolCall, Metric::SlowFirstToken]);

fn day(n: u64) -> Timestamp {
    Timestamp(1 + n * DAY)
}

/// A rollout in shadow that may stay there for ten days, and this many clean pairs.
fn in_shadow(policy: &mut Policy, n_pairs: u64) -> (State, Evidence) {
    policy.steps[0].max_duration = Some(Duration::from_secs(10 * 86_400));
    policy.stale_after = None;
    let state = started(policy);
    let mut evidence = Evidence::begin(policy, &state, None);
    for unit in 0..n_pairs {
        evidence.observe_pair(&pair(unit, SEEN, MetricSet::EMPTY, MetricSet::EMPTY));
    }
    (state, evidence)
}

fn said() -> (String, String) {
    ("ben".to_owned(), "the traffic is thin in August".to_owned())
}

#[test]
fn a_step_that_lasts_too_long_is_held_and_a_person_extends_or_accepts_it() {
    let mut policy = medium();
    let (state, evidence) = in_shadow(&mut policy, 1199);
    let decision = |state: &State, now| decide(&policy, state, &evidence, &Health::default(), now);
    assert!(matches!(decision(&state, day(9)), Decision::Hold { .. }));
    let held = decision(&state, day(10));
    assert_eq!(held, Decision::HoldForPerson { because: HeldBecause::MaxDuration { max_s: 864_000 } });
    let state = after(&policy, &state, &held.into_event().unwrap(), &evidence, day(10));
    assert_eq!((state.status, state.label(&policy).as_str()), (Status::Held, "shadow 0 % (held)"));
    assert_eq!(state.reason, "held for a person: the step has lasted 10 d 0 h and is neither passed nor thrown back");
    assert_eq!(
        decision(&state, day(11)),
        Decision::Hold { because: vec![Reason::NotActive { status: Status::Held }] },
        "held is held, whatever comes in"
    );
    let (actor, reason) = said();
    let silent = Event::Extend { actor: actor.clone(), reason: " ".to_owned() };
    assert_eq!(apply(&policy, &state, &silent, Some(&evidence), day(12)).unwrap_err(), Refused::NoReason);
    let extended =
        after(&policy, &state, &Event::Extend { actor: actor.clone(), reason: reason.clone() }, &evidence, day(12));
    assert_eq!((extended.status, extended.epoch), (Status::Active, state.epoch), "the evidence goes on");
    assert!(matches!(decision(&extended, day(19)), Decision::Hold { .. }));
    assert!(matches!(decision(&extended, day(20)), Decision::HoldForPerson { .. }));
    let accepted =
        after(&policy, &state, &Event::Accept { actor: actor.clone(), reason: reason.clone() }, &evidence, day(12));
    assert_eq!((accepted.status, accepted.step_idx, accepted.epoch), (Status::Active, 1, state.epoch + 1));
    policy.forced_promotion = false;
    let refused = apply(&policy, &state, &Event::Accept { actor, reason }, Some(&evidence), day(12)).unwrap_err();
    assert_eq!(refused, Refused::NotForced, "where nobody may overrule the gates, nobody accepts");
}

#[test]
fn a_minimum_that_cannot_be_reached_is_said_when_half_of_the_time_is_over() {
    let mut policy = medium();
    let (state, evidence) = in_shadow(&mut policy, 500);
    let decision = |now| decide(&policy, &state, &evidence, &Health::default(), now);
    assert!(matches!(decision(day(4)), Decision::Hold { .. }));
    let because = HeldBecause::Unreachable { what: "pairs".to_owned(), have: 500, need: 1200, expected: 1000 };
    assert_eq!(decision(day(5)), Decision::HoldForPerson { because });
}

#[test]
fn evidence_that_stopped_coming_is_stale_until_a_person_looks() {
    let mut policy = medium();
    let (state, evidence) = in_shadow(&mut policy, 700);
    policy.stale_after = Some(Duration::from_secs(86_400));
    let decision = |state: &State, now| decide(&policy, state, &evidence, &Health::default(), now);
    let held = decision(&state, day(1));
    assert_eq!(held, Decision::HoldForPerson { because: HeldBecause::Stale { for_s: 86_400 } });
    let state = after(&policy, &state, &held.into_event().unwrap(), &evidence, day(1));
    let (actor, reason) = said();
    let extended = after(&policy, &state, &Event::Extend { actor, reason }, &evidence, day(2));
    assert!(matches!(decision(&extended, day(2)), Decision::Hold { .. }));
    assert!(matches!(decision(&extended, day(3)), Decision::HoldForPerson { .. }));
}

#[test]
fn guards_run_while_a_rollout_is_held() {
    let policy = medium();
    let mut evidence = at_share(&policy, 0.5);
    let state = State { step_idx: evidence.step_idx(), status: Status::Held, ..started(&policy) };
    for unit in 0..20 {
        evidence.observe(&outcome(unit, Arm::Candidate, ERROR, ERROR));
    }
    let decision = decide(&policy, &state, &evidence, &Health::default(), Timestamp(10));
    assert!(matches!(decision, Decision::Rollback { .. }));
    let event = decision.into_event().unwrap();
    assert_eq!(after(&policy, &state, &event, &evidence, Timestamp(10)).status, Status::RolledBack);
}

#[test]
fn approvals_expire_and_are_void_when_the_evidence_no_longer_passes() {
    let mut policy = medium();
    policy.steps[0].approvals = 2;
    policy.approval_expiry = Duration::from_secs(86_400);
    let (state, mut evidence) = in_shadow(&mut policy, 1200);
    let health = Health::default();
    let awaiting = after(&policy, &state, &Event::AwaitApproval, &evidence, day(0));
    let approve = |state: &State, actor: &str, now| {
        let event = Event::Approve { actor: actor.to_owned(), role: "approver".to_owned() };
        apply(&policy, state, &event, Some(&evidence), now).map(|(next, _)| next)
    };
    let once = approve(&awaiting, "ben", Timestamp(2)).unwrap();
    let approval = &once.approvals[0];
    assert_eq!((approval.rollout.as_str(), approval.role.as_str()), ("support-to-qwen", "approver"));
    assert_eq!(approval.expires_at, Some(Timestamp(2 + DAY)));
    assert_eq!(decide(&policy, &once, &evidence, &health, Timestamp(3)), Decision::AwaitApproval { have: 1, need: 2 });
    // Ben's is a day old when Cleo comes: one of two.
    let held = decide(&policy, &once, &evidence, &health, Timestamp(2 + DAY));
    assert!(matches!(held, Decision::HoldForPerson { because: HeldBecause::ApprovalExpired { .. } }), "{held:?}");
    let again = approve(&once, "ben", Timestamp(2 + DAY)).unwrap();
    assert_eq!((again.approvals.len(), again.n_approvals(Timestamp(2 + DAY))), (1, 1));
    let twice = approve(&once, "cleo", Timestamp(4)).unwrap();
    assert_eq!(decide(&policy, &twice, &evidence, &health, Timestamp(5)), Decision::Promote { to: 1 });
    // Errors of the candidate alone come in, too few for a guard.
    for unit in 2000..2005 {
        evidence.observe_pair(&pair(unit, SEEN, MetricSet::EMPTY, ERROR));
    }
    policy.gates[0].margin = 0.004;
    let mut strict = Evidence::begin(&policy, &state, None);
    for unit in 0..1200 {
        strict.observe_pair(&pair(unit, SEEN, MetricSet::EMPTY, set_if(unit % 240 == 0)));
    }
    let decision = decide(&policy, &twice, &strict, &health, Timestamp(6));
    assert!(matches!(decision, Decision::Withdraw { .. }), "{decision:?}");
    let withdrawn = after(&policy, &twice, &decision.into_event().unwrap(), &strict, Timestamp(6));
    assert_eq!((withdrawn.status, withdrawn.approvals.len()), (Status::Active, 0));
}

#[test]
fn a_guard_that_pauses_leaves_the_share_and_is_not_raised_again_once_a_person_let_it_pass() {
    let mut policy = medium();
    for guard in policy.guards.iter_mut().filter(|guard| guard.metric == Metric::Feedback) {
        *guard = GuardPolicy { action: Action::Pause, ..*guard };
    }
    let mut evidence = at_share(&policy, 0.5);
    let state = State { step_idx: evidence.step_idx(), ..started(&policy) };
    let feedback = MetricSet::of(&[Metric::Feedback]);
    for unit in 0..200 {
        assert_eq!(evidence.observe(&outcome(unit, Arm::Candidate, feedback, feedback)), None, "no breach");
    }
    let Decision::Pause { because } = decide(&policy, &state, &evidence, &Health::default(), Timestamp(10)) else {
        panic!("not paused");
    };
    assert_eq!((because.cause, because.metric), (BreachCause::Relative, Some(Metric::Feedback)));
    let paused = after(&policy, &state, &Event::Alarm { breach: because }, &evidence, Timestamp(10));
    assert_eq!((paused.status, paused.share(&policy)), (Status::Paused, 0.5));
    let resume = |reason: &str| Event::Resume { actor: "ben".to_owned(), reason: reason.to_owned() };
    assert_eq!(
        apply(&policy, &paused, &resume(""), Some(&evidence), Timestamp(11)).unwrap_err(),
        Refused::NoReason,
        "what a guard has proven, nobody passes over in silence"
    );
    let resumed = after(&policy, &paused, &resume("a bug of the app"), &evidence, Timestamp(11));
    assert!(matches!(decide(&policy, &resumed, &evidence, &Health::default(), Timestamp(12)), Decision::Hold { .. }));
    // The guards that roll back are armed all the same.
    let breach = (1000..1100).find_map(|unit| evidence.observe(&outcome(unit, Arm::Candidate, ERROR, ERROR)));
    assert!(breach.is_some());
}

#[test]
fn harm_that_is_proven_to_be_small_pauses_and_harm_that_matters_rolls_back() {
    let check = |min_effect: f64, candidate: f64| {
        let mut policy = medium();
        policy.absolute = None;
        for guard in &mut policy.guards {
            guard.min_effect = min_effect;
        }
        let mut evidence = at_share(&policy, 0.5);
        let mut random = Random::new(53);
        // One in a hundred of the baseline's units is bad, which is what is guessed beforehand.
        for unit in 0..1_000_000_u64 {
            if request(&mut random, &mut evidence, 0.01, candidate).1.is_some() {
                return "rolled back";
            }
            if unit % 10_000 == 9_999 && !evidence.alarms().is_empty() {
                return "paused";
            }
        }
        "nothing"
    };
    assert_eq!(check(0.0, 0.013), "rolled back");
    assert_eq!(check(0.005, 0.013), "paused", "three thousandths more");
    assert_eq!(check(0.005, 0.03), "rolled back", "twenty thousandths more");
}

#[test]
fn a_dear_candidate_pauses() {
    let mut policy = medium();
    policy.cost = Some(CostPolicy { ratio: 1.5, alpha: 0.01, action: Action::Pause });
    let mut evidence = at_share(&policy, 0.5);
    let state = State { step_idx: evidence.step_idx(), ..started(&policy) };
    for unit in 0..4000_u64 {
        let arm = if unit % 2 == 0 { Arm::Baseline } else { Arm::Candidate };
        let nanos = 1000 * (1 + unit / 2 % 10) * if arm == Arm::Candidate { 2 } else { 1 };
        let at = Timestamp(1);
        assert_eq!(evidence.observe_cost(&CostOutcome { unit, arm, admitted_at: at, at, nanos }), None);
    }
    let Decision::Pause { because } = decide(&policy, &state, &evidence, &Health::default(), Timestamp(10)) else {
        panic!("not paused");
    };
    assert_eq!((because.cause, because.metric), (BreachCause::Cost, None));
}

#[test]
fn a_p95_is_certified_by_answers_in_time_and_by_nothing_else() {
    let mut policy = medium();
    policy.objectives.first_token = Some(Duration::from_secs(2));
    policy.certificates = vec![CertificatePolicy { metric: Metric::SlowFirstToken, limit: 0.05, alpha: None }];
    assert_eq!(policy.problems(), []);
    let slow = MetricSet::of(&[Metric::SlowFirstToken]);
    let check = |n_pairs: u64, observed: MetricSet, one_slow_in: u64| {
        let (state, mut evidence) = in_shadow(&mut policy.clone(), 0);
        for unit in 0..n_pairs {
            // The baseline is as slow, at other requests.
            let bad = |n: u64| if n.is_multiple_of(one_slow_in) { slow } else { MetricSet::EMPTY };
            evidence.observe_pair(&pair(unit, observed, bad(unit + one_slow_in / 2), bad(unit)));
        }
        match decide(&policy, &state, &evidence, &Health::default(), Timestamp(10)) {
            Decision::Hold { because } => because.iter().map(Reason::words).collect::<Vec<_>>().join("; "),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(check(1200, SEEN, 100), "Promote { to: 1 }");
    assert_eq!(
        check(1200, SEEN.xor(slow), 100),
        "slow first token rate not proven to be below 5 % after 0 (e-value 1.00, 20.00 needed)"
    );
    let at_the_limit = check(1200, SEEN, 20);
    assert!(at_the_limit.starts_with("slow first token rate not proven to be below 5 % after 1200"), "{at_the_limit}");
    policy.objectives.first_token = None;
    assert_eq!(policy.problems().len(), 1, "late for what?");
}

#[test]
fn a_stage_is_entered_only_with_the_drill_it_demands() {
    let mut policy = medium();
    let max_age = Duration::from_secs(7 * 86_400);
    let demand =
        FiledPolicy { kind: FiledKind::Drill, name: "any".to_owned(), max_age, before: Stage::Canary, min_n: 0 };
    policy.filed = vec![demand];
    let (state, evidence) = in_shadow(&mut policy, 1200);
    let check = |filed: Vec<Filed>, expected: &str| {
        let health = Health { filed, ..Health::default() };
        let found = match decide(&policy, &state, &evidence, &health, day(9)) {
            Decision::Hold { because } => because.iter().map(Reason::words).collect::<Vec<_>>().join("; "),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected);
    };
    let drill = |passed, at| Filed {
        kind: FiledKind::Drill,
        name: "error".to_owned(),
        passed,
        at,
        digest: "d1".to_owned(),
        n: 1,
    };
    check(vec![], "drill `any`: nothing is filed");
    check(vec![drill(true, day(1))], "drill `any`: the latest is 8 d 0 h old");
    check(vec![drill(true, day(8)), drill(false, day(9))], "drill `any`: the latest is a failure");
    check(vec![drill(true, day(8))], "Promote { to: 1 }");
}

#[test]
fn kinds_of_requests_that_never_become_pairs_keep_a_rollout_in_shadow() {
    let mut policy = medium();
    let (state, mut evidence) = in_shadow(&mut policy, 1200);
    for n in 0..1200 {
        evidence.count_pair_of(if n % 2 == 0 { "short" } else { "short, streamed" }, Timestamp(u64::MAX));
    }
    (0..4).for_each(|_| evidence.count_shadow_drop("memory_full", "long", true));
    let Decision::Hold { because } = decide(&policy, &state, &evidence, &Health::default(), Timestamp(10)) else {
        panic!("promoted");
    };
    let words: Vec<String> = because.iter().map(Reason::words).collect();
    let expected = "2 of 3 kinds of requests are covered by pairs, 90 % needed, worst is long, most lost to memory_full: raise `stages.shadow.budget.max_bytes`";
    assert!(matches!(&words[..], [only] if only.starts_with(expected)), "{words:?}");
}
