//! What page one says to do: of what is decided and of where the rollout stands.

use super::*;
use crate::report::Report;

/// A rollout that stands so.
fn stands(state: &str) -> RolloutRow {
    RolloutRow {
        name: "to-own".to_owned(),
        route: "chat".to_owned(),
        fingerprint: "f".to_owned(),
        fingerprint_now: Some("f".to_owned()),
        simulated: false,
        state_json: state.to_owned(),
        policy_json: String::new(),
        evidence_json: None,
    }
}

fn page_one(found: &Report) -> String {
    html(found).split("class=\"detail").next().unwrap().to_owned()
}

fn at(state: &str, mut rows: Rows) -> Report {
    rows.rollouts.push(stands(state));
    report(&rows, &Plain)
}

#[test]
fn a_switch_that_has_completed_names_the_line_of_the_config() {
    let found = at("completed", rows());
    let mv = &found.moves[0];
    assert!(mv.verdict.starts_with("Make `own` the route's target: "), "{}", mv.verdict);
    assert!(mv.verdict.contains("98.0 % of users' requests"), "{}", mv.verdict);
    assert!(mv.next.contains("`routes.chat.target: own`"), "{}", mv.next);
    assert!(
        mv.next.contains("take the rollout `to-own` out, then `crossfade reload`: with that its guards end"),
        "{}",
        mv.next
    );
    assert!(!mv.next.contains("raise"), "nothing raises a completed rollout: {}", mv.next);
}

#[test]
fn what_is_done_says_so_and_how_to_go_back_as_long_as_its_evidence_stands() {
    let mut rows = rows();
    (rows.settings.moves[0].switched, rows.settings.moves[0].fallback) = (true, Vec::new());
    let found = at("completed", rows.clone());
    let mv = &found.moves[0];
    assert_eq!((mv.decision, mv.label()), (Decision::Switch, "switched"));
    assert!(
        mv.verdict.starts_with("Done: `own` is the route's target since the rollout `to-own` completed"),
        "{}",
        mv.verdict
    );
    assert!(mv.next.contains("The way back: in the config set `routes.chat.target: gpt`"), "{}", mv.next);
    assert_eq!(found.phases[0].name, "Done");
    let page = page_one(&found);
    assert!(page.contains("Before <code>gpt</code>") && !page.contains("rollout abort"), "{page}");
    assert_eq!(mv.live.as_ref().unwrap().share.value, Some(1.0));
    // What is found out later is said, with the way back that there is then.
    let mut bad = rows.clone();
    bad.runs = vec![run(cases(600, 50))];
    let found = at("completed", bad);
    assert!(found.moves[0].verdict.starts_with("Take it back to `gpt`: `own` is the route's target"));
    assert!(!found.moves[0].next.contains("abort"), "{}", found.moves[0].next);
    rows.runs.clear();
    let found = at("completed", rows);
    assert!(found.moves[0].verdict.starts_with("Leave it as it is: "), "{}", found.moves[0].verdict);
    assert!(found.moves[0].verdict.contains("1 of 3 required checks is open"), "{}", found.moves[0].verdict);
}

#[test]
fn what_is_done_and_fails_today_is_taken_back_until_its_newest_calls_are_good_again() {
    let mut rows = rows();
    rows.settings.moves[0].switched = true;
    let of_users = |from_us: u64, n: u64, failing: u64| {
        let mut calls = calls(n, &target("own", "self_hosted"), 300);
        for (idx, call) in calls.iter_mut().enumerate() {
            (call.at_us, call.is_shadow) = (from_us + idx as u64, false);
            call.failure = ((idx as u64) < failing).then(|| "http_server_error".to_owned());
        }
        calls
    };
    // One failing call in twenty is what chance gives; the baseline's and the callers' own are nobody's fault here.
    rows.calls.extend(of_users(NOW_US - 5_000_000, 40, 2));
    assert_eq!(at("completed", rows.clone()).moves[0].rule, "A1");
    rows.calls.extend(of_users(NOW_US - 4_000_000, 40, 30));
    let found = at("completed", rows.clone());
    let mv = &found.moves[0];
    assert_eq!((mv.decision, mv.rule, mv.label()), (Decision::Stay, "S3", "go back"));
    assert!(mv.idle.contains("goes on failing those who ask it"), "{}", mv.idle);
    assert!(
        mv.verdict.starts_with("Take it back to `gpt` now: `own` is the route's target since the rollout `to-own` completed, and 32 of its newest 80 calls failed, most by `http_server_error`, the last at "),
        "{}",
        mv.verdict
    );
    assert!(mv.next.starts_with("The way back: in the config set `routes.chat.target: gpt`, then"), "{}", mv.next);
    // A config that names the target as its own fallback is refused.
    rows.settings.moves[0].fallback = vec![target("gpt", "vendor")];
    let next = at("completed", rows.clone()).moves[0].next.clone();
    assert!(next.contains("`routes.chat.target: gpt` and take `gpt` out of `routes.chat.fallback`, then"), "{next}");
    // Beside one that stays it stands first, by itself.
    let mut two = rows.clone();
    let other = Move { workload: "billing".to_owned(), switched: false, ..two.settings.moves[0].clone() };
    two.settings.moves.push(other);
    two.runs = vec![run(cases(600, 50))];
    let found = at("completed", two);
    assert_eq!(found.phases[0].name, "Now: go back to what answered before");
    assert!(page_one(&found).contains("<span class=\"d stay\">go back</span> <b>support"), "{}", page_one(&found));
    assert_eq!((found.phases.len(), found.phases[0].keys.len()), (2, 1));
    // So many good answers since the last failure are no chance, long before the newest 100 are good again.
    let mut mended = rows.clone();
    mended.calls.extend(of_users(NOW_US - 3_000_000, 9, 0));
    assert_eq!(at("completed", mended.clone()).moves[0].rule, "S3", "19 since");
    mended.calls.extend(of_users(NOW_US - 2_500_000, 1, 0));
    let found = at("completed", mended);
    let mv = &found.moves[0];
    assert_eq!(mv.rule, "A1");
    assert!(
        mv.verdict.contains("Of its newest 90 calls 32 failed, most by `http_server_error`, the last at ")
            && mv.verdict.ends_with("and none of the 20 since: find out what that was."),
        "{}",
        mv.verdict
    );
    assert!(
        mv.risks.iter().any(|risk| risk.starts_with("Of its 90 calls for users in the last day 32 failed")),
        "{:?}",
        mv.risks
    );
    rows.calls.extend(of_users(NOW_US - 3_000_000, 100, 0));
    assert_eq!(at("completed", rows).moves[0].rule, "A1");
}

#[test]
fn what_failed_before_it_was_repaired_is_measured_again_by_a_benchmark_after_that() {
    let mut rows = rows();
    rows.settings.moves[0].set_back = true;
    let mut failing = calls(160, &target("own", "self_hosted"), 300);
    let last = NOW_US - 60_000_000;
    failing.iter_mut().for_each(|call| (call.at_us, call.failure) = (last, Some("http_server_error".to_owned())));
    rows.calls.extend(failing);
    let found = at("completed", rows.clone());
    let mv = &found.moves[0];
    assert_eq!((mv.decision, mv.rule), (Decision::Stay, "S3"));
    let start = "Keep `gpt`: when `own` was asked last, 100 of its newest 100 calls failed, most by `http_server_error`, the last at ";
    assert!(mv.verdict.starts_with(start), "{}", mv.verdict);
    assert!(mv.areas[1].because.starts_with("more than one call in twenty failed: 160 of 760"), "{:?}", mv.areas[1]);
    assert!(mv.next.contains("Once it is repaired a benchmark shows it, `crossfade bench run"), "{}", mv.next);
    assert!(
        mv.next.contains("`rollouts: { to-own-again: { route: chat, baseline: gpt, candidate: own } }`"),
        "{}",
        mv.next
    );
    // A long good record before the outage does not hide it, nor does a benchmark of before.
    let mut long = rows.clone();
    long.calls.extend(
        calls(6_000, &target("own", "self_hosted"), 300).into_iter().map(|call| Call { at_us: last - 1, ..call }),
    );
    long.benches = vec![bench(FAST, 64.0, 70.0)];
    let found = at("completed", long);
    assert_eq!((found.moves[0].areas[1].standing, found.moves[0].rule), (Standing::Pass, "S3"));
    // Guards watch what has users; copies that fail are no reason to switch, and go on.
    let mut watched = rows.clone();
    watched.settings.moves[0].set_back = false;
    assert_ne!(at("resumed live", watched.clone()).moves[0].rule, "S3");
    let mv = &at("active", watched).moves[0];
    assert_eq!(mv.rule, "S3");
    assert!(
        mv.next.starts_with(
            "Approve nothing and switch nothing by hand; find out why it fails: `crossfade rollout status to-own`"
        ),
        "{}",
        mv.next
    );
    let at_us = |at_us: u64| {
        let mut upload = document("again", vec![level(50.0, FAST, &[])], (64.0, 70.0));
        let mut text: Value = serde_json::from_str(&upload.text).unwrap();
        text["at_us"] = json!(at_us);
        upload.text = text.to_string();
        upload
    };
    rows.benches.push(at_us(last - 1));
    assert_eq!(at("completed", rows.clone()).moves[0].rule, "S3", "it began before the last call failed");
    rows.benches.push(at_us(last + 1));
    let found = at("completed", rows);
    assert_eq!(found.moves[0].rule, "A1", "{:?}", found.moves[0].areas[1]);
}

#[test]
fn a_candidate_whose_breaker_is_open_is_no_reason_to_switch_whatever_the_record_says() {
    let mut rows = rows();
    assert_eq!(at("active", rows.clone()).moves[0].rule, "A1");
    rows.settings.moves[0].down = Some(crate::Down { since_us: NOW_US - 60_000_000, kind: "http_500".to_owned() });
    let mv = &at("active", rows.clone()).moves[0];
    assert_eq!((mv.decision, mv.rule), (Decision::Stay, "S3"));
    assert!(mv.verdict.starts_with("Keep `gpt`: `own` takes no calls now; its breaker has been open since "));
    assert!(mv.verdict.ends_with("the last failure before that `http_500`."), "{}", mv.verdict);
    assert!(mv.idle.starts_with("copies go on at active; users are sent to `own` only once all"), "{}", mv.idle);
    // Of a candidate that has users its guards decide.
    assert_ne!(at("resumed live", rows).moves[0].rule, "S3");
}

#[test]
fn slow_calls_are_of_the_past_once_the_newest_two_hundred_and_a_benchmark_after_them_are_fast() {
    let mut rows = rows();
    let own = target("own", "self_hosted");
    let from = |from_us: u64, n: u64, ms: u64| {
        let calls = calls(n, &own, ms).into_iter().enumerate();
        calls.map(move |(idx, call)| Call { at_us: from_us + idx as u64, ..call }).collect::<Vec<Call>>()
    };
    rows.calls.extend(from(NOW_US - 9_000_000, 600, 5_000));
    let benched = |at_us: u64| {
        let mut upload = bench(FAST, 64.0, 70.0);
        let mut text: Value = serde_json::from_str(&upload.text).unwrap();
        text["at_us"] = json!(at_us);
        upload.text = text.to_string();
        vec![upload]
    };
    rows.benches = benched(NOW_US - 1_000_000);
    let latency = |rows: &Rows| report(rows, &Plain).moves[0].areas[1].clone();
    let found = latency(&rows);
    assert_eq!(found.standing, Standing::Fail);
    assert!(found.because.contains("that is over once the newest 200 calls, copies too"), "{}", found.because);
    rows.calls.extend(from(NOW_US - 5_000_000, 150, 300));
    assert_eq!(latency(&rows).standing, Standing::Fail);
    rows.calls.extend(from(NOW_US - 4_000_000, 150, 300));
    assert_eq!(latency(&rows).standing, Standing::Pass);
    rows.benches = benched(NOW_US - 10_000_000);
    assert_eq!(latency(&rows).standing, Standing::Fail, "a benchmark of before it was slow shows nothing of today");
}

#[test]
fn a_target_that_the_config_made_the_routes_without_a_rollout_says_so_and_the_way_back() {
    let mut rows = rows();
    (rows.settings.moves[0].switched, rows.settings.moves[0].rollout) = (true, None);
    let mut unsafe_yet = rows.clone();
    unsafe_yet.filed.clear();
    let settle = report(&unsafe_yet, &Plain).moves[0].areas[3].settle.clone().unwrap();
    let edit = "in one edit of the config, which gives users back to `gpt` meanwhile, `routes.chat.target: gpt` and `rollouts: { gpt-to-own: {";
    assert!(settle.contains(edit) && settle.contains("`crossfade rollout file gpt-to-own"), "{settle}");
    let mv = &report(&rows, &Plain).moves[0];
    let start = "Leave it as it is: the config made `own` the route's target, and no rollout on record proved it on live traffic. Today ";
    assert!(mv.verdict.starts_with(start), "{}", mv.verdict);
    assert!(mv.next.contains("The way back: in the config set `routes.chat.target: gpt`"), "{}", mv.next);
}

#[test]
fn a_config_that_the_running_gateway_does_not_serve_is_said_before_all_else() {
    let mut rows = rows();
    assert!(!page_one(&report(&rows, &Plain)).contains("does not serve this config"));
    rows.settings.unserved = true;
    let found = report(&rows, &Plain);
    let page = page_one(&found);
    assert!(page.contains("does not serve this config") && page.contains("<code>crossfade reload</code>"), "{page}");
    assert!(crate::markdown(&found).contains("does not serve this config"));
}

#[test]
fn what_the_config_made_the_target_although_its_rollout_did_not_complete_says_so_and_the_way_back() {
    let mut rows = rows();
    rows.settings.moves[0].switched = true;
    let found = at("rolled_back", rows.clone());
    let mv = &found.moves[0];
    assert_eq!((mv.rule, mv.label()), ("S2", "go back"));
    assert_eq!(
        mv.verdict,
        "Take it back to `gpt`: the config made `own` the route's target though its rollout `to-own` did not complete (rolled_back: so it is)."
    );
    assert!(mv.next.starts_with("The way back: in the config set `routes.chat.target: gpt`"), "{}", mv.next);
    let found = at("aborted", rows);
    assert!(found.moves[0].verdict.contains("did not complete (aborted: so it is)"), "{}", found.moves[0].verdict);
}

#[test]
fn what_waits_for_people_and_is_not_proven_is_not_to_be_approved_and_not_paused() {
    let mut open = rows();
    open.runs.clear();
    let found = at("awaiting_approval", open);
    let next = &found.moves[0].next;
    assert!(next.ends_with("Until then give the rollout `to-own` no approval: it waits for that alone."), "{next}");
    let mut bad = rows();
    bad.runs = vec![run(cases(600, 50))];
    let verdict = at("awaiting_approval", bad).moves[0].verdict.clone();
    assert!(verdict.contains("goes on to users once it is approved"), "{verdict}");
}

#[test]
fn what_was_set_back_by_the_config_says_so_keeps_what_was_filed_and_says_how_to_switch_again() {
    let mut rows = rows();
    rows.settings.moves[0].set_back = true;
    let found = at("completed", rows);
    let mv = &found.moves[0];
    assert_eq!(
        (mv.decision, mv.label(), mv.live.as_ref().unwrap().share.value),
        (Decision::Switch, "switch", Some(0.0))
    );
    assert!(mv.next.contains("the config was set back to `gpt` since"), "{}", mv.next);
    assert!(
        mv.next
            .contains("To switch again at once: in the config set `routes.chat.target: own`, then `crossfade reload`"),
        "{}",
        mv.next
    );
    assert_eq!(mv.idle, "`gpt` goes on answering all.");
    assert!(mv.verdict.starts_with("Find out why the config was set back to `gpt`"), "{}", mv.verdict);
    let page = page_one(&found);
    assert!(page.contains("the route asks <code>gpt</code> again") && page.contains("<b>set back</b>"), "{page}");
}

#[test]
fn what_waits_for_a_person_says_so_with_the_command() {
    let found = at("awaiting_approval", rows());
    let mv = &found.moves[0];
    assert_eq!(mv.decision, Decision::Switch);
    assert!(
        mv.next.contains("waits for people: 0 of 2 approvals by others than who started it are given, and the last takes it to canary 25 %. Each is `crossfade rollout approve to-own --actor NAME`."),
        "{}",
        mv.next
    );
    assert_eq!(
        mv.idle,
        "it stays at awaiting_approval until 2 more approvals take it to canary 25 %; no user is sent to it."
    );
    let found = at("last", rows());
    assert!(found.moves[0].next.contains("on its last step, last, and completes by itself"), "{}", found.moves[0].next);
    assert!(found.moves[0].idle.contains("completes by itself when its gates pass"), "{}", found.moves[0].idle);
    let found = at("paused", rows());
    assert!(
        found.moves[0].next.contains("`crossfade rollout resume to-own --reason TEXT` lets it go on"),
        "{}",
        found.moves[0].next
    );
    assert!(!found.moves[0].idle.contains("goes on to more users"), "{}", found.moves[0].idle);
    let mut open = rows();
    open.runs.clear();
    let found = at("active", open.clone());
    assert!(
        found.moves[0].next.ends_with("To hold the rollout until then: `crossfade rollout pause to-own`."),
        "{}",
        found.moves[0].next
    );
    let found = at("aborted", open);
    assert!(
        found.moves[0].next.contains("`crossfade rollout resume to-own --reason TEXT` begins again with copies"),
        "{}",
        found.moves[0].next
    );
}

#[test]
fn what_was_taken_back_and_begun_again_unchanged_does_not_switch_until_its_rollout_completes() {
    let found = at("resumed", rows());
    let mv = &found.moves[0];
    assert_eq!((mv.decision, mv.rule), (Decision::NotEnoughEvidence, "R1"));
    assert!(
        mv.verdict.contains(
            "the rollout's guards took `own` back — slower by 300 ms — and it was begun again with the same model"
        ),
        "{}",
        mv.verdict
    );
    assert!(mv.next.contains("`crossfade rollout history to-own`"), "{}", mv.next);
    // From canary on it is to go on, as nothing else is open: only that counts.
    let found = at("resumed live", rows());
    let mv = &found.moves[0];
    assert_eq!(mv.rule, "R1");
    assert!(mv.next.starts_with("Let the rollout prove it: ") && !mv.next.contains("pause"), "{}", mv.next);
    let mut open = rows();
    open.runs.clear();
    let found = at("resumed live", open);
    assert!(found.moves[0].next.contains("`crossfade rollout pause to-own`"), "{}", found.moves[0].next);
    let found = at("paused after", rows());
    assert!(
        found.moves[0].next.contains("`crossfade rollout resume to-own --reason TEXT` lets it go on"),
        "{}",
        found.moves[0].next
    );
    // Completed, it is proven; that it was taken back before is not forgotten.
    let found = at("completed after", rows());
    assert_eq!(found.moves[0].rule, "A1");
    assert!(found.moves[0].risks.iter().any(|risk| risk.contains("took it back before")), "{:?}", found.moves[0].risks);
    // Taken back once more: by what did it now.
    let found = at("rolled_back after", rows());
    assert_eq!(found.moves[0].verdict, "Keep `gpt`: the rollout's guards took `own` back — so it is.");
    let mut slow = rows();
    slow.runs = vec![run(cases(600, 50))];
    let found = at("resumed", slow);
    assert!(found.moves[0].risks.iter().any(|risk| risk.contains("took it back before")), "{:?}", found.moves[0].risks);
    let found = at("aborted after", rows());
    let mv = &found.moves[0];
    assert_eq!(mv.rule, "S2");
    assert_eq!(
        mv.verdict,
        "Keep `gpt`: the rollout's guards took `own` back — slower by 300 ms; it was begun again with the same model, prompt and parameters, and ended (aborted)."
    );
    assert!(mv.next.starts_with("Leave the route where it is") && !mv.next.contains("abort to-own"), "{}", mv.next);
}

#[test]
fn what_is_open_while_the_candidate_is_live_says_to_leave_it_and_how_to_undo_it() {
    let mut open = rows();
    open.runs.clear();
    let found = at("completed", open);
    let mv = &found.moves[0];
    assert_eq!(mv.decision, Decision::NotEnoughEvidence);
    assert!(mv.verdict.starts_with("Go no further with `own`, which has 98.0 % of users' requests"), "{}", mv.verdict);
    assert!(mv.next.starts_with("Leave the completed rollout as it is"), "{}", mv.next);
    assert!(mv.next.contains("To undo it instead: `crossfade rollout abort to-own --reason TEXT`"), "{}", mv.next);
    assert!(mv.next.contains("`crossfade eval run --target gpt --target own --dataset NAME`"), "{}", mv.next);
    assert!(!page_one(&found).contains("Keep <code>gpt</code> for now"));
}

#[test]
fn what_fails_while_the_candidate_is_live_is_taken_back() {
    let mut bad = rows();
    bad.runs = vec![run(cases(600, 50))];
    let found = at("completed", bad);
    let mv = &found.moves[0];
    assert_eq!(mv.decision, Decision::Stay);
    assert!(mv.verdict.starts_with("Take it back to `gpt`: `own` fails task quality"), "{}", mv.verdict);
    assert!(mv.next.starts_with("`crossfade rollout abort to-own --reason TEXT`"), "{}", mv.next);
}

#[test]
fn what_fails_while_its_rollout_is_in_shadow_is_stopped_before_its_gates_let_it_on() {
    let mut bad = rows();
    bad.runs = vec![run(cases(600, 50))];
    let next = |state: &str| at(state, bad.clone()).moves[0].next.clone();
    assert!(next("active").starts_with("`crossfade rollout abort to-own --reason TEXT`."), "{}", next("active"));
    let verdict = at("active", bad.clone()).moves[0].verdict.clone();
    assert!(
        verdict
            .starts_with("Stop the rollout, which is at active and goes on to users when its gates pass: `own` fails"),
        "{verdict}"
    );
    assert!(next("draft").starts_with("Leave the route where it is"), "{}", next("draft"));
}

#[test]
fn what_was_taken_back_live_says_so_with_its_reason_first_and_in_the_scorecard() {
    let found = at("rolled_back", rows());
    let mv = &found.moves[0];
    assert_eq!(mv.rule, "S2");
    assert_eq!(mv.verdict, "Keep `gpt`: the rollout's guards took `own` back — so it is.");
    assert!(mv.next.contains("`crossfade rollout resume to-own --reason TEXT`"), "{}", mv.next);
    let page = page_one(&found);
    assert!(page.contains("<td>Live rollout</td><td><span class=\"s fail\">taken back</span></td>"), "{page}");
    assert!(markdown(&found).contains("| Live rollout | **taken back** |"));
    let mut two = rows();
    two.rollouts.push(stands("rolled_back"));
    let other = Move { workload: "billing".to_owned(), rollout: None, ..two.settings.moves[0].clone() };
    two.settings.moves.push(other);
    let page = page_one(&report(&two, &Plain));
    assert!(!page.contains("proven to fail") && page.contains("the rollout's guards took"), "{page}");
    assert!(page.contains("Live, taken back</td>"), "{page}");
}

#[test]
fn a_safety_result_is_filed_for_a_rollout_that_has_begun_and_after_the_start_of_one_that_has_not() {
    let mut none = rows();
    none.filed.clear();
    let settle = |found: &Report| found.moves[0].areas[3].settle.clone().unwrap();
    assert!(settle(&report(&none, &Plain)).contains("filed once the rollout is started"));
    let begun = settle(&at("completed", none));
    assert!(begun.contains("filed for the rollout: `crossfade rollout file to-own"), "{begun}");
}

#[test]
fn a_safety_result_counts_for_a_second_rollout_of_the_same_two_targets_and_for_no_other() {
    let mut rows = rows();
    rows.settings.moves[0].rollout = Some("to-own-again".to_owned());
    rows.settings.moves[0].fingerprint = Some("f".to_owned());
    rows.filed[0].fingerprint = Some("f".to_owned());
    let safety = |rows: &Rows| report(rows, &Plain).moves[0].areas[3].clone();
    let found = safety(&rows);
    assert_eq!(found.standing, Standing::Pass);
    assert!(found.because.contains("filed for the rollout `to-own` of the same two targets"), "{}", found.because);
    rows.filed[0].fingerprint = Some("of another model".to_owned());
    assert_eq!(safety(&rows).standing, Standing::NotRun);
}

#[test]
fn a_switch_without_a_rollout_has_its_lines_of_the_config() {
    let mut rows = rows();
    rows.settings.moves[0].rollout = None;
    rows.settings.scorecard.safety.required = false;
    let next = report(&rows, &Plain).moves[0].next.clone();
    assert!(next.contains("`rollouts: { gpt-to-own: { route: chat, baseline: gpt, candidate: own } }`"), "{next}");
    assert!(next.ends_with("`crossfade rollout start gpt-to-own`."), "{next}");
}

#[test]
fn page_one_says_at_which_load_it_was_judged_where_that_is_from_and_how_sure_each_interval_is() {
    let mut rows = rows();
    let page = page_one(&report(&rows, &Plain));
    assert!(
        page.contains("Target load: 10.00 req/s, the busiest minute on record of the route <code>chat</code>"),
        "{page}"
    );
    assert!(page.contains("<code>report.target_load: { chat: N }</code> in the config sets another"), "{page}");
    assert!(page.contains("] 95 %</span>") && page.contains("] 90 %</span>"), "{page}");
    assert!(!page.contains("of quality and latency 90 %"));
    rows.settings.moves[0].target_load = Some(Real(12.0));
    assert!(page_one(&report(&rows, &Plain)).contains("Target load: 12.00 req/s, as the config says"));
}

#[test]
fn workloads_stand_in_one_order_in_all_forms() {
    let mut rows = rows();
    let first = Move { workload: "aaa".to_owned(), candidate: None, rollout: None, ..rows.settings.moves[0].clone() };
    rows.settings.moves.insert(0, first);
    let found = report(&rows, &Plain);
    for form in [markdown(&found), html(&found)] {
        let heading = |name: &str| form.find(name).unwrap();
        assert!(heading("support (chat)") < heading("aaa (chat)"), "what may switch comes first: {form}");
    }
}

#[test]
fn a_benchmark_without_a_say_is_listed_with_its_reason() {
    let mut rows = rows();
    let level = |per_s: f64, invalid: Value| {
        json!({ "target": "own", "load": { "kind": "rate", "per_s": per_s }, "invalid": invalid, "n_requests": 100, "n_good": 100,
            "latency": { "e2e.intended": { "n": 100, "p95": { "value": 50.0, "low": 40.0, "high": 60.0 } } } })
    };
    for (name, level) in
        [("slow", level(2.0, Value::Null)), ("lagged", level(10.0, json!("the client lagged by 80 ms")))]
    {
        let document = json!({ "format": "crossfade.bench/1", "name": name, "verdict": "valid", "at_us": NOW_US - DAY_US,
            "targets": [{ "name": "own", "model": "own-model" }], "levels": [level], "deltas": [], "found": [] });
        rows.benches.push(Upload { source: name.to_owned(), text: document.to_string() });
    }
    let found = report(&rows, &Plain);
    let why = |name: &str| found.stale.iter().find(|one| one.what.contains(name)).map(|one| one.why.clone()).unwrap();
    assert_eq!(why("slow"), "its load of 2.00 req/s is below the target load of 10.00 req/s");
    assert_eq!(why("lagged"), "it is no evidence: the client lagged by 80 ms");
}

#[test]
fn a_number_of_cases_says_what_it_would_show() {
    let mut few = rows();
    few.runs = vec![run(cases(100, 84))];
    let found = report(&few, &Plain);
    let settle = found.moves[0].areas[0].settle.clone().unwrap();
    assert!(
        settle.contains(
            "more evaluation cases to show that the candidate is less than the run's own margin of 0.05 worse, or not"
        ),
        "{settle}"
    );
    few.runs[0].head.margin = Real(0.2);
    let found = report(&few, &Plain);
    let settle = found.moves[0].areas[0].settle.clone().unwrap();
    assert!(settle.contains("to show that the mean score is 90.0 % of the baseline's, or not"), "{settle}");
}

#[test]
fn how_much_later_a_candidate_is_comes_from_minutes_in_which_both_answered_users() {
    let mut rows = rows();
    let own = TargetFacts { name: "own".to_owned(), ..rows.settings.moves[0].candidate.clone().unwrap() };
    // Copies of a busy hour were slow; in the minutes that both had, both took as long.
    rows.calls.iter_mut().filter(|call| call.is_shadow).for_each(|call| call.duration_us = Some(900_000));
    let of_users = |mut call: Call| {
        call.is_shadow = false;
        call
    };
    rows.calls.extend(calls(600, &own, 400).into_iter().map(of_users));
    let found = only(&rows).latency_delta;
    assert_eq!(found.value, Some(0.0), "{found:?}");
    assert!(found.label.ends_with("in minutes in which both answered users"), "{}", found.label);
    // Where they never answered in the same minute, all that is on record is compared.
    rows.calls
        .iter_mut()
        .filter(|call| !call.is_shadow && call.target == "own")
        .for_each(|call| call.at_us += 3_600_000_000);
    assert!(!only(&rows).latency_delta.label.contains("both answered"));
}
