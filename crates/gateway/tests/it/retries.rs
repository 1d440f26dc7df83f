//! When a call is made again, how often at most, and what the caller's own retries are to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gateway::snapshot::Snapshot;
use rollout::{Arm, Metric};
use scripted::{Cut, Script, Upstream, chat_completion, chat_stream};

use crate::client::{Answer, Connection, post};
use crate::harness::{Gateway, PLAIN, STREAMED, Setup, rollout, until};

fn ok() -> Script {
    Script::json(chat_completion("here"))
}

fn broken() -> Script {
    Script::error(500, "server_error", "boom")
}

fn post_with(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/chat/completions", headers, body.as_bytes());
    connection.answer().expect("an answer")
}

fn roles(gateway: &Gateway) -> Vec<String> {
    gateway.exchange().attempts.iter().map(|attempt| attempt.role.clone()).collect()
}

/// What the only target does at first, whether the answer is there after all, and how often the target was called.
#[track_caller]
fn check(setup: impl Fn(Setup) -> Setup, first: &Script, (status, n_calls): (u16, usize)) {
    for request in [PLAIN, STREAMED] {
        let second = if request == PLAIN { ok() } else { Script::stream(chat_stream(&["here"], false)) };
        let upstream = Upstream::start(vec![first.clone(), second]);
        let gateway = setup(Setup::to(&[&upstream])).start();
        let answer = post(gateway.addr, request);
        assert_eq!((answer.status, upstream.requests().len()), (status, n_calls), "{first:?}");
    }
}

#[test]
fn a_failure_before_anything_was_shown_is_tried_again_where_nobody_else_could() {
    let in_body = Script::json(r#"{"error":{"message":"no","type":"server_error"}}"#);
    for failure in [broken(), Script::status(503), in_body] {
        check(|setup| setup, &failure, (200, 2));
    }
    let error_event = Script::stream(["data: {\"error\":{\"message\":\"no\"}}\n\n"]);
    let upstream = Upstream::start(vec![error_event, Script::stream(chat_stream(&["here"], false))]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(gateway.addr, STREAMED);
    assert!(answer.whole && answer.text().contains("here") && !answer.text().contains("error"), "{}", answer.text());
}

#[test]
fn the_record_says_why_each_call_was_made() {
    let upstream = Upstream::start(vec![broken(), broken(), ok()]);
    let gateway = Setup::to(&[&upstream]).calling_up_to(3).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    assert_eq!(roles(&gateway), ["live", "retry", "retry"]);
    let exchange = gateway.exchange();
    assert_eq!(exchange.attempts[0].measured.failure.as_deref(), Some("http_server_error"));
    assert_eq!(exchange.attempts[2].measured.failure, None);
    let totals = gateway.serving.totals();
    assert_eq!((totals.attempts, totals.retries, totals.failovers), (3, 2, 0));
}

#[test]
fn what_another_call_would_not_change_is_not_called_again() {
    for (failure, status) in [
        (Script::error(400, "invalid_request_error", "bad"), 400),
        (Script::error(401, "invalid_request_error", "invalid_api_key"), 502),
        (Script::error(429, "rate_limit_error", "rate_limit_exceeded"), 429),
        (Script::status(501), 502),
        (Script::status(302), 502),
        (Script::json("<html>"), 502),
    ] {
        check(|setup| setup.calling_up_to(3), &failure, (status, 1));
    }
}

#[test]
fn what_may_have_been_done_is_done_again_only_where_the_policy_says_so() {
    let cut = Script::hang_up(Cut::Fin);
    check(|setup| setup.calling_up_to(3), &cut, (502, 1));
    let replaying = |mut setup: Setup| {
        setup.retries.replay_ambiguous = Some(true);
        setup
    };
    check(|setup| replaying(setup.calling_up_to(3)), &cut, (200, 2));
    let impatient = |setup: Setup| {
        setup.calling_up_to(3).timeouts(|timeouts| {
            timeouts.first_token = Duration::from_millis(500);
            timeouts.total = Duration::from_millis(500);
        })
    };
    check(impatient, &Script::silent(), (504, 1));
    check(|setup| replaying(impatient(setup)), &Script::silent(), (200, 2));
}

#[test]
fn a_target_is_called_as_often_as_it_says_before_another_is() {
    let (bad, good) = (Upstream::start(vec![broken()]), Upstream::start(vec![ok()]));
    let gateway = Setup::to(&[&bad, &good]).falling_back_to(&["b"]).calling_up_to(3).start();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("b")));
    assert_eq!(
        (bad.requests().len(), roles(&gateway)),
        (3, ["live", "retry", "retry", "failover"].map(str::to_owned).into())
    );
}

#[test]
fn a_target_whose_stand_in_is_shut_is_called_again() {
    let (shaky, dead) = (Upstream::start(vec![broken(), ok()]), Upstream::start(vec![broken()]));
    let gateway = Setup::to(&[&shaky, &dead]).falling_back_to(&["b"]).start();
    for _ in 0..5 {
        post(gateway.addr, &PLAIN.replace("gpt-4o", "to-b-directly"));
    }
    assert_eq!(post(gateway.addr, PLAIN).header("x-crossfade-target"), Some("a"));
    assert_eq!((shaky.requests().len(), dead.requests().len()), (2, 5));
}

/// Fails four of five, so that its breaker never opens.
fn mostly_broken() -> Upstream {
    let nth = AtomicUsize::new(0);
    Upstream::with(move |_| if nth.fetch_add(1, Ordering::Relaxed) % 5 == 4 { ok() } else { broken() })
}

#[test]
fn retries_are_at_most_a_fifth_of_the_requests_and_the_callers_are_told_to_stop() {
    let upstream = mostly_broken();
    let gateway = Setup::to(&[&upstream]).calling_up_to(3).start();
    let mut final_words = 0;
    for _ in 0..100 {
        let answer = post(gateway.addr, PLAIN);
        assert!(matches!(answer.status, 200 | 502));
        final_words += usize::from(answer.header("x-should-retry") == Some("false"));
    }
    let n_calls = upstream.requests().len();
    assert!((115..=120).contains(&n_calls), "{n_calls} calls for 100 requests");
    assert!(final_words >= 60, "{final_words}");
    assert!(gateway.serving.totals().retries_denied >= 50);
}

#[test]
fn the_sdks_retries_are_in_the_same_budget() {
    let upstream = mostly_broken();
    let gateway = Setup::to(&[&upstream]).calling_up_to(1).start();
    let mut refused = 0;
    for _ in 0..50 {
        assert_ne!(post_with(&gateway, &[("x-stainless-retry-count", "0")], PLAIN).status, 503);
        for again in ["1", "2"] {
            let answer = post_with(&gateway, &[("x-stainless-retry-count", again)], PLAIN);
            if answer.status == 503 {
                refused += 1;
                assert_eq!(answer.error()["code"], "retry_budget");
                assert_eq!(answer.header("x-should-retry"), Some("false"));
                assert_eq!(answer.header("x-crossfade-origin"), Some("crossfade"));
            }
        }
    }
    let n_calls = upstream.requests().len();
    assert!(n_calls <= 60, "{n_calls} calls for 50 requests");
    assert_eq!(n_calls + refused, 150);
}

#[test]
fn whoever_was_turned_away_may_come_back() {
    let upstream = Upstream::start((0..5).map(|_| broken()).chain([ok()]).collect());
    let gateway = Setup::to(&[&upstream]).calling_up_to(1).start();
    for _ in 0..30 {
        post(gateway.addr, PLAIN);
    }
    assert_eq!(upstream.requests().len(), 5, "25 met the open breaker");
    // All of them come back as retries: far more than a fifth of the calls made.
    let again = || post_with(&gateway, &[("x-stainless-retry-count", "1")], PLAIN);
    until("the breaker closes", || again().status == 200);
    assert_eq!((0..10).filter(|_| again().status == 200).count(), 10);
}

#[test]
fn one_call_that_failed_leaves_the_retry_to_the_caller() {
    let upstream = Upstream::start(vec![Script::hang_up(Cut::Rst)]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.header("x-should-retry")), (502, None));
}

#[test]
fn a_request_that_its_caller_sends_again_counts_once_and_is_copied_once() {
    let (a, b) = (Upstream::start(vec![ok()]), Upstream::start(vec![broken()]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    post_with(&gateway, &[("x-stainless-retry-count", "0")], PLAIN);
    post_with(&gateway, &[("x-stainless-retry-count", "1")], PLAIN);
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    assert_eq!((tally.n, tally.bad), (1, 1));
    let mut roles: Vec<_> = gateway.exchanges(2).iter().map(|one| one.attempts[0].role.clone()).collect();
    roles.sort();
    assert_eq!(roles, ["caller_retry", "live"]);
    assert_eq!(gateway.serving.totals().caller_retries, 1);

    let live = rollout(0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    post_with(&gateway, &[("x-stainless-retry-count", "1")], PLAIN);
    post_with(&gateway, &[("x-stainless-retry-count", "0")], PLAIN);
    until("one copy settled", || live.evidence().n_pairs() + live.evidence().coverage().n_dropped() > 0);
    assert_eq!(live.evidence().coverage().offered, 1);
}

#[test]
fn a_retry_hides_no_failure_from_the_guards() {
    let (a, b) = (Upstream::start(vec![ok()]), Upstream::start(vec![broken(), ok()]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).calling_up_to(2).start();
    assert_eq!(post(gateway.addr, PLAIN).header("x-crossfade-target"), Some("b"));
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    assert_eq!((tally.n, tally.bad), (1, 1));
}

#[test]
fn a_candidate_refused_by_its_dialect_is_judged_by_whoever_answers_in_the_end() {
    let refusing = Script::error(400, "invalid_request_error", "context_length_exceeded");
    let (a, b) = (Upstream::start(vec![broken(), ok()]), Upstream::start(vec![refusing]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200, "the baseline's second try");
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    assert_eq!((tally.n, tally.bad), (1, 1));
}

#[test]
fn the_callers_patience_is_the_deadline_of_everything() {
    let silent = || Upstream::start(vec![Script::silent()]);
    let (a, b) = (silent(), silent());
    // The first target's own limit comes before the caller's; the second is cut short by it.
    let gateway = Setup::to(&[&a, &b])
        .falling_back_to(&["b"])
        .timeouts(|timeouts| timeouts.total = Duration::from_millis(600))
        .start();
    let began = Instant::now();
    let answer = post_with(&gateway, &[("x-stainless-read-timeout", "1")], PLAIN);
    let took = began.elapsed();
    assert_eq!((answer.status, answer.error()["code"].as_str()), (504, Some("caller_deadline")));
    assert!(took >= Duration::from_millis(970) && took < Duration::from_secs(5), "{took:?}");
    let failures: Vec<_> = gateway.exchange().attempts.iter().map(|one| one.measured.failure.clone()).collect();
    assert_eq!(failures, [Some("timeout_total".to_owned()), Some("caller_deadline".to_owned())]);
    let received = b.wait_until(crate::client::PATIENCE, |all| all[0].disconnected.is_some());
    assert!(received[0].disconnected.is_some(), "the upstream was left running");
}

#[test]
fn a_stream_must_begin_within_the_callers_patience_and_may_go_on_beyond_it() {
    let events = chat_stream(&["one", "two"], false);
    let slow = Script::stream(events.clone()).pace(Duration::from_millis(500));
    let upstream = Upstream::start(vec![slow, Script::silent()]);
    let gateway = Setup::to(&[&upstream]).calling_up_to(1).start();
    let patience = [("x-stainless-timeout", "1"), ("x-stainless-read-timeout", "2")];
    let answer = post_with(&gateway, &patience, STREAMED);
    assert!(answer.whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let answer = post_with(&gateway, &patience, STREAMED);
    assert_eq!((answer.status, answer.error()["code"].as_str()), (504, Some("caller_deadline")));
}

#[test]
fn a_callers_short_patience_is_not_held_against_the_target() {
    let (a, b) = (Upstream::start(vec![ok()]), Upstream::start(vec![Script::silent()]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for _ in 0..6 {
        assert_eq!(post_with(&gateway, &[("x-stainless-read-timeout", "0.3")], PLAIN).status, 504);
    }
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    assert_eq!((tally.n, live.view().share), (0, 1.0));
    assert_eq!(b.requests().len(), 6, "its breaker heard nothing");
}

#[test]
fn no_retry_outlives_the_callers_patience() {
    let upstream = Upstream::start(vec![broken()]);
    let mut setup = Setup::to(&[&upstream]).calling_up_to(10);
    // Longer than any wait on a busy machine.
    setup.retries.base = Some(Duration::from_secs(80));
    setup.retries.cap = Some(Duration::from_secs(80));
    let gateway = setup.start();
    let began = Instant::now();
    let answer = post_with(&gateway, &[("x-stainless-read-timeout", "0.2")], PLAIN);
    assert_eq!(answer.status, 502, "the provider's failure says more than the deadline");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_reload_forgets_no_budget_and_no_breaker() {
    let upstream = mostly_broken();
    let gateway = Setup::to(&[&upstream]).calling_up_to(2).start();
    let reload = || {
        let mut snapshot = Snapshot::clone(&gateway.snapshot.load());
        let route = snapshot.routes.get_mut("gpt-4o").unwrap();
        std::sync::Arc::make_mut(route).workload = Some("other".to_owned());
        gateway.snapshot.store(std::sync::Arc::new(snapshot));
    };
    for _ in 0..40 {
        post(gateway.addr, PLAIN);
        reload();
    }
    let n_calls = upstream.requests().len();
    assert!(n_calls <= 48, "{n_calls} calls for 40 requests");
}
