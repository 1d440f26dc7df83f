use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::failure::FailureKind;
use wire::record::{AttemptRecord, AttemptRole, ExchangeOutcome};

use super::*;
use crate::drill::Verdict;

fn detour(plan: Plan) -> Arc<Detour> {
    let asked = Asked { actor: "dora".into(), reason: String::new() };
    Arc::new(Detour::new((plan, asked), ("r", "old"), "config", true))
}

fn attempt(target: &str, failure: Option<FailureKind>) -> AttemptRecord {
    AttemptRecord {
        idx: 0,
        target: target.into(),
        provider: "p".into(),
        model: "m".into(),
        arm: None,
        role: AttemptRole::Live,
        started_us: live::now().0,
        status: None,
        failure,
        time_to_first_token_us: None,
        duration_us: 0,
        usage: None,
        finish_reason: None,
        format_valid: None,
        simulated: true,
        truncated: false,
        answer_bytes: 0,
        cost: None,
        validity: Default::default(),
        request_bytes: 0,
    }
}

/// One request from its coming to its end, answered by whoever comes last; a failure of the last is the caller's.
fn ask(detour: &Arc<Detour>, movable: bool, attempts: &[(&str, Option<FailureKind>)]) {
    let seat = detour.seat(Instant::now(), movable).unwrap();
    let attempts: Vec<_> = attempts.iter().map(|(target, failure)| attempt(target, *failure)).collect();
    let last = attempts.last().unwrap();
    let outcome = if last.failure.is_none() { ExchangeOutcome::Complete } else { ExchangeOutcome::Failed };
    let served = last.failure.is_none().then(|| last.target.clone());
    seat.ended(outcome, &attempts, served.as_deref());
}

const FINE: Option<FailureKind> = None;
const BROKEN: Option<FailureKind> = Some(FailureKind::HttpServerError);

#[test]
fn both_ways_are_measured_and_a_drill_passes_when_nothing_failed() {
    let detour = detour(Plan { verify_requests: 2, ..Plan::to("new") });
    ask(&detour, true, &[("old", FINE)]);
    assert_eq!(detour.due("config", Instant::now()), None);
    assert_eq!(detour.due("config", Instant::now() + Duration::from_secs(3)), Some(Due::Switch));
    detour.switch();
    (0..4).for_each(|_| ask(&detour, true, &[("new", FINE)]));
    ask(&detour, false, &[("old", FINE)]);
    detour.note_probes(Probes { golden_passed: 2, ..Probes::default() });
    detour.go_back(WayBack::Asked);
    ask(&detour, true, &[("old", FINE)]);
    assert_eq!(detour.due("config", Instant::now()), None);
    ask(&detour, true, &[("old", FINE)]);
    assert_eq!(detour.due("config", Instant::now()), Some(Due::Over));
    let report = detour.end();
    assert_eq!(report.verdict, Some(Verdict::Pass), "{:#?}", report.checks);
    assert_eq!((report.away.by_alternative, report.away.stayed, report.back.by_others), (4, 1, 2));
    assert!(report.there.time_to_switch_ms.unwrap() < 5_000.0 && report.home.time_to_switch_ms.is_some());
    assert!(detour.seat(Instant::now(), true).is_none(), "what is over counts nothing");
}

#[test]
fn a_caller_whose_answer_fails_ends_it_in_the_thread_that_saw_it() {
    let detour = detour(Plan::to("new"));
    detour.switch();
    ask(&detour, true, &[("new", FINE)]);
    let seat = detour.seat(Instant::now(), true).unwrap();
    assert!(seat.is_away());
    ask(&detour, true, &[("new", BROKEN), ("old", BROKEN)]);
    assert!(!seat.is_away(), "read anew before every attempt");
    assert_eq!((detour.phase(), detour.end().verdict), (Phase::Back, Some(Verdict::Fail)));
}

#[test]
fn an_alternative_that_fails_is_left_after_three_and_a_lone_failure_in_a_thousand_is_not_the_end() {
    let failing = detour(Plan::to("new"));
    failing.switch();
    (0..3).for_each(|_| ask(&failing, true, &[("new", BROKEN), ("old", FINE)]));
    failing.go_back(WayBack::Asked);
    let report = failing.end();
    assert_eq!((report.way_back, report.verdict), (Some(WayBack::Failing), Some(Verdict::Fail)));
    assert_eq!((report.away.fell_back, report.away.failed), (3, 0));
    assert!(report.words().contains("3 requests, 0 failed for callers and 3 at the alternative"), "{}", report.words());

    // Three of the first hundred and fifty are no proof of more than one in a hundred, and no proof of less.
    let unlucky = detour(Plan { verify_requests: 1, ..Plan::to("new") });
    unlucky.switch();
    for n in 0..150 {
        let failed = [("new", BROKEN), ("old", FINE)];
        ask(&unlucky, true, if n % 60 == 20 { &failed } else { &[("new", FINE)] });
    }
    assert_eq!(unlucky.phase(), Phase::Away);
    unlucky.go_back(WayBack::Asked);
    ask(&unlucky, true, &[("old", FINE)]);
    assert_eq!((unlucky.end().away.fell_back, unlucky.end().verdict), (3, Some(Verdict::Undecided)));

    let good = detour(Plan::to("new"));
    good.switch();
    (0..999).for_each(|_| ask(&good, true, &[("new", FINE)]));
    ask(&good, true, &[("new", BROKEN), ("old", FINE)]);
    assert_eq!(good.phase(), Phase::Away);
}

#[test]
fn what_only_the_caller_did_wrong_is_not_held_against_the_alternative() {
    let detour = detour(Plan::to("new"));
    detour.switch();
    let refused = Some(FailureKind::HttpClientError);
    (0..5).for_each(|_| ask(&detour, true, &[("new", refused), ("old", refused)]));
    assert_eq!((detour.phase(), detour.report().away.callers_own), (Phase::Away, 5));
    // What the own target takes is the alternative's failure.
    ask(&detour, true, &[("new", refused), ("old", FINE)]);
    assert_eq!(detour.report().away.fell_back, 1);
}

#[test]
fn it_ends_by_its_bounds_when_nobody_watches_and_by_a_reload() {
    let at = |seconds| Instant::now() + Duration::from_secs(seconds);
    let watched = |plan| {
        let detour = detour(plan);
        detour.switch();
        detour
    };
    let plan = Plan { at_most_ms: 5_000, ..Plan::to("new") };
    assert_eq!(watched(plan.clone()).due("config", at(6)), Some(Due::Back(WayBack::TimeUp)));
    assert_eq!(watched(Plan::to("new")).due("config", at(11)), Some(Due::Back(WayBack::Unwatched)));
    assert_eq!(watched(Plan::to("new")).due("other", at(0)), Some(Due::Back(WayBack::Reloaded)));
    // Requests look at the same bounds by themselves, should the controller hang.
    assert!(watched(plan.clone()).is_away(at(5)) && !watched(plan).is_away(at(7)));
    assert!(watched(Plan::to("new")).is_away(at(10)) && !watched(Plan::to("new")).is_away(at(12)));
}

#[test]
fn without_traffic_or_findings_it_is_undecided() {
    let quiet = detour(Plan::to("new"));
    quiet.switch();
    quiet.go_back(WayBack::Asked);
    assert_eq!(quiet.end().verdict, Some(Verdict::Undecided));

    let never_away = detour(Plan::to("new"));
    assert_eq!(never_away.due("other", Instant::now()), Some(Due::Back(WayBack::Reloaded)));
    never_away.go_back(WayBack::Reloaded);
    assert_eq!(never_away.due("other", Instant::now()), Some(Due::Over));
    assert_eq!(never_away.end().verdict, Some(Verdict::Undecided));
}

#[test]
fn traffic_that_was_at_the_alternative_anyway_rehearses_no_switch() {
    let detour = detour(Plan { verify_requests: 1, ..Plan::to("new") });
    (0..8).for_each(|_| ask(&detour, true, &[("new", FINE)]));
    detour.switch();
    (0..8).for_each(|_| ask(&detour, true, &[("new", FINE)]));
    detour.go_back(WayBack::Asked);
    ask(&detour, true, &[("new", FINE)]);
    let report = detour.end();
    assert_eq!(report.verdict, Some(Verdict::Undecided));
    let open: Vec<&str> = report.checks.iter().filter(|check| !check.holds).map(|check| check.what.as_str()).collect();
    assert_eq!(open, ["answered by another than the alternative beforehand"]);
}

#[test]
fn a_drill_that_is_broken_off_by_hand_is_no_verdict_however_well_it_went() {
    for (why, verdict) in [(WayBack::Asked, Verdict::Pass), (WayBack::BrokenOff, Verdict::Undecided)] {
        let detour = detour(Plan { verify_requests: 1, ..Plan::to("new") });
        detour.switch();
        ask(&detour, true, &[("new", FINE)]);
        detour.go_back(why);
        // What the command line says once it has heard of it changes nothing.
        detour.go_back(WayBack::Asked);
        ask(&detour, true, &[("old", FINE)]);
        let report = detour.end();
        assert_eq!((report.way_back, report.verdict), (Some(why), Some(verdict)), "{:#?}", report.checks);
    }
}

#[test]
fn an_alternative_without_something_essential_fails_whatever_else_held() {
    let detour = detour(Plan { verify_requests: 1, ..Plan::to("new") });
    detour.switch();
    ask(&detour, true, &[("new", FINE)]);
    let essential_missing = vec!["chat.stream".to_owned()];
    detour.note_probes(Probes { capabilities_there: 3, essential_missing, ..Probes::default() });
    detour.go_back(WayBack::Asked);
    ask(&detour, true, &[("old", FINE)]);
    assert_eq!(detour.end().verdict, Some(Verdict::Fail));
}

#[test]
fn it_is_not_over_before_what_was_moved_has_ended() {
    let detour = detour(Plan { verify_requests: 1, ..Plan::to("new") });
    detour.switch();
    let long = detour.seat(Instant::now(), true).unwrap();
    detour.go_back(WayBack::Asked);
    ask(&detour, true, &[("old", FINE)]);
    assert_eq!(detour.due("config", Instant::now()), None);
    assert_eq!(detour.due("config", Instant::now() + Duration::from_secs(31)), Some(Due::Over), "a bound is a bound");
    // It fails at last: the drill knows.
    long.ended(ExchangeOutcome::Truncated, &[attempt("new", BROKEN)], Some("new"));
    assert_eq!(detour.due("config", Instant::now()), Some(Due::Over));
    let report = detour.end();
    assert_eq!((report.away.arrived, report.away.failed, report.verdict), (1, 1, Some(Verdict::Fail)));
}
