use rollout::{Breach, Event, Evidence, HeldBecause, Policy, Refused, Risk, State, Status, Timestamp, apply};

use crate::support::{ERROR, draft, medium, outcome, started};

const NOW: Timestamp = Timestamp(50);

fn by(actor: &str) -> (String, String) {
    (actor.to_owned(), "because".to_owned())
}

/// Every event, with arguments that are right for a rollout on its first step.
fn events() -> Vec<Event> {
    let (actor, reason) = by("ben");
    vec![
        Event::Start { actor: actor.clone() },
        Event::Promote { to: 1 },
        Event::ForcePromote { actor: actor.clone(), reason: reason.clone() },
        Event::AwaitApproval,
        Event::Approve { actor: actor.clone(), role: String::new() },
        Event::Withdraw { missing: "a gate".to_owned() },
        Event::Hold { because: HeldBecause::MaxDuration { max_s: 60 } },
        Event::Extend { actor: actor.clone(), reason: reason.clone() },
        Event::Accept { actor: actor.clone(), reason: reason.clone() },
        Event::Alarm { breach: Breach::breaker_opened() },
        Event::Pause { actor: actor.clone(), reason: reason.clone() },
        Event::Resume { actor: actor.clone(), reason: reason.clone() },
        Event::Rollback { breach: Breach::breaker_opened() },
        Event::Abort { actor, reason },
        Event::Complete,
        Event::Changed { what: "the prompt".to_owned(), baseline: "gpt".to_owned(), candidate: "qwen-2".to_owned() },
    ]
}

fn in_status(policy: &Policy, status: Status) -> State {
    if status == Status::Draft { draft(policy) } else { State { status, ..started(policy) } }
}

#[test]
fn the_table_of_the_state_machine() {
    let policy = medium();
    let statuses = [
        Status::Draft,
        Status::Active,
        Status::AwaitingApproval,
        Status::Held,
        Status::Paused,
        Status::RolledBack,
        Status::Aborted,
        Status::Completed,
    ];
    let mut table = String::new();
    for event in events() {
        let mut row = format!("{:14}", event.name());
        for status in statuses {
            let state = in_status(&policy, status);
            let evidence = Evidence::begin(&policy, &state, None);
            let to = apply(&policy, &state, &event, Some(&evidence), NOW).map(|(next, _)| next.status.as_str());
            row.push_str(&format!(" {:17}", to.unwrap_or("-")));
        }
        table.push_str(row.trim_end());
        table.push('\n');
    }
    // Columns: draft, active, awaiting_approval, held, paused, rolled_back, aborted, completed.
    let expected = "\
start          active            -                 -                 -                 -                 -                 -                 -
promote        -                 active            active            -                 -                 -                 -                 -
force_promote  -                 active            active            -                 -                 -                 -                 -
await_approval -                 awaiting_approval -                 -                 -                 -                 -                 -
approve        -                 -                 awaiting_approval held              -                 -                 -                 -
withdraw       -                 -                 active            -                 -                 -                 -                 -
hold           -                 held              held              -                 -                 -                 -                 -
extend         -                 -                 -                 active            -                 -                 -                 -
accept         -                 -                 -                 active            -                 -                 -                 -
alarm          -                 paused            paused            -                 -                 -                 -                 -
pause          -                 paused            paused            paused            -                 -                 -                 -
resume         -                 -                 -                 -                 active            active            active            -
rollback       -                 rolled_back       rolled_back       rolled_back       rolled_back       -                 -                 rolled_back
abort          aborted           aborted           aborted           aborted           aborted           -                 -                 aborted
complete       -                 -                 -                 -                 -                 -                 -                 -
changed        draft             active            active            active            paused            rolled_back       aborted           active
";
    assert_eq!(table, expected);
}

#[test]
fn a_rollout_walks_from_shadow_to_completed() {
    let policy = medium();
    let mut state = started(&policy);
    let mut walked = vec![state.label(&policy)];
    let mut evidence = Evidence::begin(&policy, &state, None);
    while !policy.is_last(state.step_idx) {
        let needs_approval = policy.steps[state.step_idx].approvals > 0;
        if needs_approval {
            for event in [Event::AwaitApproval, Event::Approve { actor: "ben".to_owned(), role: String::new() }] {
                state = apply(&policy, &state, &event, Some(&evidence), NOW).unwrap().0;
                walked.push(state.label(&policy));
            }
        }
        let event = Event::Promote { to: state.step_idx + 1 };
        let (next, transition) = apply(&policy, &state, &event, Some(&evidence), NOW).unwrap();
        assert_eq!((transition.from_share, transition.to_share), (state.share(&policy), next.share(&policy)));
        assert_eq!(next.generation, state.generation + 1);
        assert_ne!(transition.evidence_json, "null");
        state = next;
        evidence = Evidence::begin(&policy, &state, Some(&evidence));
        walked.push(state.label(&policy));
    }
    state = apply(&policy, &state, &Event::Complete, Some(&evidence), NOW).unwrap().0;
    walked.push(state.label(&policy));
    let expected = [
        "shadow 0 %",
        "canary 5 %",
        "canary 10 %",
        "canary 10 % (awaiting_approval)",
        "canary 10 % (awaiting_approval)",
        "majority 50 %",
        "majority 90 %",
        "full 98 %",
        "completed",
    ];
    assert_eq!(walked, expected);
    assert_eq!(state.share(&policy), 0.98);
}

#[test]
fn a_share_is_raised_on_evidence_of_its_own_epoch_only() {
    let policy = medium();
    let state = started(&policy);
    let promote =
        |to, evidence: Option<&Evidence>| apply(&policy, &state, &Event::Promote { to }, evidence, NOW).map(|_| ());
    let evidence = Evidence::begin(&policy, &state, None);
    assert_eq!(promote(1, None), Err(Refused::NoEvidence { epoch: 1 }));
    let later = Evidence::begin(&policy, &State { epoch: 2, ..state.clone() }, None);
    assert_eq!(promote(1, Some(&later)), Err(Refused::NoEvidence { epoch: 1 }));
    assert_eq!(promote(2, Some(&evidence)), Err(Refused::NotTheNextStep { from: 0, to: 2 }));
    assert_eq!(promote(1, Some(&evidence)), Ok(()));
}

#[test]
fn nobody_promotes_past_a_breach() {
    let policy = medium();
    let state = State { step_idx: 1, epoch: 2, ..started(&policy) };
    let mut evidence = Evidence::begin(&policy, &state, None);
    for unit in 0..5 {
        let late =
            rollout::Outcome { admitted_at: NOW, at: NOW, ..outcome(unit, rollout::Arm::Candidate, ERROR, ERROR) };
        evidence.observe(&late);
    }
    let (actor, reason) = by("ben");
    for event in [Event::Promote { to: 2 }, Event::ForcePromote { actor, reason }] {
        assert!(matches!(apply(&policy, &state, &event, Some(&evidence), NOW), Err(Refused::Breached { .. })));
    }
}

#[test]
fn approvals_are_other_peoples_and_count_once() {
    let mut policy = medium();
    policy.steps[0].approvals = 2;
    let waiting = State { status: Status::AwaitingApproval, ..started(&policy) };
    let evidence = Evidence::begin(&policy, &waiting, None);
    let approve = |state: &State, actor: &str| {
        apply(
            &policy,
            state,
            &Event::Approve { actor: actor.to_owned(), role: "approver".to_owned() },
            Some(&evidence),
            NOW,
        )
        .map(|(next, _)| next)
    };
    let promote =
        |state: &State| apply(&policy, state, &Event::Promote { to: 1 }, Some(&evidence), NOW).map(|(next, _)| next);
    assert_eq!(approve(&waiting, "ada"), Err(Refused::OwnRollout { actor: "ada".to_owned() }));
    let once = approve(&waiting, "ben").unwrap();
    assert_eq!(approve(&once, "ben"), Err(Refused::ApprovedAlready { actor: "ben".to_owned() }));
    assert_eq!(promote(&once), Err(Refused::NotApproved { have: 1, need: 2 }));
    let twice = approve(&once, "cleo").unwrap();
    assert_eq!(twice.approvals[0].evidence_hash.len(), 64);
    let promoted = promote(&twice).unwrap();
    assert_eq!((promoted.step_idx, promoted.n_approvals(NOW)), (1, 0), "the next step needs its own");
}

#[test]
fn a_high_risk_rollout_is_never_forced_and_others_only_with_a_reason() {
    let force = |risk, reason: &str| {
        let policy = Policy::template(risk);
        let state = started(&policy);
        let event = Event::ForcePromote { actor: "ben".to_owned(), reason: reason.to_owned() };
        let evidence = Evidence::begin(&policy, &state, None);
        apply(&policy, &state, &event, Some(&evidence), NOW).map(|(_, transition)| transition.reason)
    };
    assert_eq!(force(Risk::High, "the vendor is down"), Err(Refused::NotForced));
    assert_eq!(force(Risk::Medium, " "), Err(Refused::NoReason));
    let said = "promoted by ben without waiting for the gates: the vendor is down";
    assert_eq!(force(Risk::Medium, "the vendor is down"), Ok(said.to_owned()));
}

#[test]
fn an_operator_overrules_gates_but_not_the_people_who_must_agree() {
    let policy = medium();
    let step_idx = policy.steps.iter().position(|step| step.approvals == 1).unwrap();
    let state = State { step_idx, ..started(&policy) };
    let evidence = Evidence::begin(&policy, &state, None);
    let event = Event::ForcePromote { actor: "ann".to_owned(), reason: "in a hurry".to_owned() };
    let refused = apply(&policy, &state, &event, Some(&evidence), NOW).unwrap_err();
    assert_eq!(refused, Refused::NotApproved { have: 0, need: 1 });
}

#[test]
fn a_resumed_rollout_begins_again_in_shadow_with_fresh_evidence() {
    let policy = medium();
    let state = State { step_idx: 3, epoch: 4, ..started(&policy) };
    let rolled_back =
        apply(&policy, &state, &Event::Rollback { breach: Breach::breaker_opened() }, None, NOW).unwrap().0;
    assert_eq!((rolled_back.share(&policy), rolled_back.epoch), (0.0, 4));
    let (actor, reason) = by("ben");
    let (resumed, transition) =
        apply(&policy, &rolled_back, &Event::Resume { actor, reason }, None, Timestamp(99)).unwrap();
    assert_eq!((resumed.step_idx, resumed.epoch, resumed.epoch_started), (0, 5, Timestamp(99)));
    assert_eq!((transition.from.as_str(), transition.to.as_str()), ("rolled_back", "shadow 0 %"));
    let before = Evidence::begin(&policy, &state, None);
    let fresh = Evidence::begin(&policy, &resumed, Some(&before));
    let expected = Evidence::begin(&policy, &resumed, None);
    assert_eq!(serde_json::to_string(&fresh).unwrap(), serde_json::to_string(&expected).unwrap());
}

#[test]
fn a_paused_rollout_goes_on_where_it_was() {
    let policy = medium();
    let state = State { step_idx: 2, epoch: 3, ..started(&policy) };
    let (actor, reason) = by("ben");
    let paused =
        apply(&policy, &state, &Event::Pause { actor: actor.clone(), reason: reason.clone() }, None, NOW).unwrap().0;
    assert_eq!(paused.share(&policy), 0.1);
    let resumed = apply(&policy, &paused, &Event::Resume { actor, reason }, None, NOW).unwrap().0;
    assert_eq!((resumed.step_idx, resumed.epoch, resumed.epoch_started), (2, 3, state.epoch_started));
}
