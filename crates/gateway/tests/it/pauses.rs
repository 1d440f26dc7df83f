//! What a target asked for, and what its breaker says: pauses, probes, the ramp, and what happens when nobody is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use providers::breaker::State;
use rollout::{Arm, Metric};
use scripted::{Script, Upstream, chat_completion};

use crate::client::{Answer, post};
use crate::harness::{Gateway, PLAIN, Setup, rollout, until};

fn ok() -> Script {
    Script::json(chat_completion("here"))
}

fn busy() -> Script {
    Script::error(429, "rate_limit_error", "rate_limit_exceeded")
}

fn used_up() -> Script {
    Script::error(429, "insufficient_quota", "insufficient_quota")
}

/// An upstream that is broken until it is told to be well.
fn ill() -> (Upstream, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&well);
    (Upstream::with(move |_| if told.load(Ordering::Acquire) { ok() } else { Script::status(500) }), well)
}

fn open_the_breaker(gateway: &Gateway, route: &str) {
    for _ in 0..5 {
        post(gateway.addr, &PLAIN.replace("gpt-4o", route));
    }
}

fn wait(answer: &Answer) -> Option<u64> {
    answer.header("retry-after").map(|seconds| seconds.parse().unwrap())
}

/// Whether a first 429 with this header keeps the second request from the provider, and for how many seconds at most.
#[track_caller]
fn check(header: &str, value: &str, longest: Option<u64>) {
    let upstream = Upstream::start(vec![busy().header(header, value), ok()]);
    let gateway = Setup::to(&[&upstream]).start();
    let first = post(gateway.addr, PLAIN);
    assert_eq!((first.status, first.header(header)), (429, Some(value)), "the provider's words");
    let second = post(gateway.addr, PLAIN);
    match longest {
        Some(longest) => {
            assert_eq!((second.status, upstream.requests().len()), (429, 1), "{header}: {value}");
            let wait = wait(&second).unwrap();
            assert!(wait <= longest && wait + 5 >= longest, "{header}: {value}: {wait}");
            assert_eq!(second.error()["code"], "rate_limit_exceeded");
            assert_eq!(second.header("x-should-retry"), None, "it is worth coming back");
        }
        None => assert_eq!((second.status, upstream.requests().len()), (200, 2), "{header}: {value}"),
    }
}

#[test]
fn a_pause_is_heeded_in_every_form_it_comes_in() {
    check("retry-after", "7", Some(7));
    check("retry-after", "7.5", Some(8));
    check("retry-after-ms", "7000", Some(7));
    check("retry-after", &httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30)), Some(30));
    check("retry-after", "315360000", Some(120));
    check("retry-after", &httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(315_360_000)), Some(120));
    for nonsense in ["-7", "NaN", "inf", "soon"] {
        check("retry-after", nonsense, None);
    }
    check("retry-after", &httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(30)), None);
}

#[test]
fn whoever_else_can_answers_during_a_pause() {
    let (a, b) = (Upstream::start(vec![busy().header("retry-after", "60")]), Upstream::start(vec![ok()]));
    let gateway = Setup::to(&[&a, &b]).falling_back_to(&["b"]).start();
    for _ in 0..8 {
        assert_eq!(post(gateway.addr, PLAIN).header("x-crossfade-target"), Some("b"));
    }
    assert_eq!(a.requests().len(), 1);
    let first = &gateway.serving.target_statuses()[0].replicas[0];
    assert_eq!((first.breaker, first.paused.map(|cause| cause.as_str())), (State::Closed, Some("throttled")));
    let kinds: Vec<_> =
        gateway.exchanges(8).iter().map(|one| one.attempts[0].measured.failure.clone().unwrap()).collect();
    assert!(kinds.iter().all(|kind| kind == "rate_limited"), "{kinds:?}");
    assert_eq!(gateway.serving.totals().attempts, 9, "a call that was not made is no call");
}

#[test]
fn a_used_up_account_keeps_the_providers_words_and_is_left_alone() {
    let a = Upstream::start(vec![used_up()]);
    let gateway = Setup::to(&[&a]).start();
    let first = post(gateway.addr, PLAIN);
    assert_eq!((first.status, first.error()["message"].as_str()), (429, Some("scripted 429")));
    assert_eq!(first.header("x-should-retry"), Some("false"), "nothing changes until somebody pays");
    let second = post(gateway.addr, PLAIN);
    assert_eq!((second.status, second.error()["code"].as_str()), (429, Some("insufficient_quota")));
    assert_eq!((a.requests().len(), second.header("x-should-retry")), (1, Some("false")));
    let paused = gateway.serving.target_statuses()[0].replicas[0].paused.map(|cause| cause.as_str());
    assert_eq!(paused, Some("quota_exhausted"));

    let (a, b) = (Upstream::start(vec![used_up()]), Upstream::start(vec![ok()]));
    let gateway = Setup::to(&[&a, &b]).falling_back_to(&["b"]).calling_up_to(3).start();
    for _ in 0..3 {
        assert_eq!(post(gateway.addr, PLAIN).header("x-crossfade-target"), Some("b"));
    }
    assert_eq!(a.requests().len(), 1, "elsewhere at once");
}

#[test]
fn a_pause_of_the_candidate_is_a_bad_event_each_time() {
    let (a, b) = (Upstream::start(vec![ok()]), Upstream::start(vec![busy().header("retry-after", "60")]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for _ in 0..2 {
        assert_eq!(post(gateway.addr, PLAIN).header("x-crossfade-target"), Some("a"));
    }
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    assert_eq!((tally.n, tally.bad, b.requests().len()), (2, 2, 1));
}

#[test]
fn with_all_targets_ejected_the_answer_is_quick_and_says_when_to_come_back() {
    let (a, b) = (ill().0, ill().0);
    let gateway = Setup::to(&[&a, &b]).falling_back_to(&["b"]).start();
    open_the_breaker(&gateway, "to-a-directly");
    open_the_breaker(&gateway, "to-b-directly");
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("breaker_open")));
    assert!(wait(&answer).is_some_and(|wait| (1..=2).contains(&wait)), "{:?}", wait(&answer));
    assert_eq!((a.requests().len(), b.requests().len()), (5, 5));
}

#[test]
fn a_route_that_panics_calls_them_all_the_same() {
    let ((a, well), (b, _)) = (ill(), ill());
    let mut setup = Setup::to(&[&a, &b]).falling_back_to(&["b"]);
    setup.panic = true;
    let gateway = setup.start();
    open_the_breaker(&gateway, "to-a-directly");
    open_the_breaker(&gateway, "to-b-directly");
    well.store(true, Ordering::Release);
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")));
    assert_eq!(gateway.serving.totals().panics, 1);
    let exchanges = gateway.exchanges(11);
    let last = exchanges.iter().find(|one| one.exchange.served_by.as_deref() == Some("a") && one.attempts.len() > 1);
    let last = last.expect("the one that panicked");
    let failures: Vec<_> = last.attempts.iter().map(|one| one.measured.failure.as_deref()).collect();
    assert_eq!(failures, [Some("breaker_open"), Some("breaker_open"), None]);
}

#[test]
fn a_panic_never_reaches_for_the_candidate() {
    let ((a, _), (b, well)) = (ill(), ill());
    let mut setup = Setup::to(&[&a, &b]).with(&rollout(1.0, 0.0)).calling_up_to(1);
    setup.panic = true;
    let gateway = setup.start();
    open_the_breaker(&gateway, "to-a-directly");
    open_the_breaker(&gateway, "to-b-directly");
    well.store(true, Ordering::Release);
    assert_eq!(post(gateway.addr, PLAIN).status, 502, "the baseline was called and failed");
    assert_eq!((a.requests().len(), b.requests().len()), (6, 5));
}

#[test]
fn a_target_that_recovers_gets_a_part_first_and_the_rest_is_no_evidence() {
    let ((b, well), a) = (ill(), Upstream::start(vec![ok()]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    open_the_breaker(&gateway, "to-b-directly");
    well.store(true, Ordering::Release);
    let state = || gateway.serving.target_statuses()[1].replicas[0].breaker;
    until("a probe succeeds", || {
        post(gateway.addr, &PLAIN.replace("gpt-4o", "to-b-directly"));
        state() == State::Recovering
    });
    let before = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    let by_candidate = (0..20).filter(|_| post(gateway.addr, PLAIN).header("x-crossfade-target") == Some("b")).count();
    assert!((1..=10).contains(&by_candidate), "about a tenth at first: {by_candidate}");
    let after = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    assert_eq!((before.bad, after.bad), (0, 0), "what the ramp held back is no failure");
    assert_eq!(usize::try_from(after.n - before.n), Ok(by_candidate));
    assert_eq!(live.view().share, 1.0);
    assert!(gateway.serving.totals().attempt_failures["recovering"] >= 10);
    // Where nobody else could take it, nothing is held back.
    assert_eq!(post(gateway.addr, &PLAIN.replace("gpt-4o", "to-b-directly")).status, 200);
}
