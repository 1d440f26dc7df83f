//! A rollout seen from a request: who is assigned, what counts, what is copied.

use std::sync::Arc;
use std::time::Duration;

use gateway::live::LiveRollout;
use gateway::shadow::{ShadowBudget, ShadowSettings};
use rollout::{Arm, Comparison, Metric, MetricSet, Outcome, Timestamp};
use scripted::{Hang, Script, Upstream, chat_completion, chat_stream};
use store::ExchangeFilter;

use crate::client::{Answer, Connection, post};
use crate::harness::{PLAIN, STREAMED, Setup, rollout, rollout_under, until};

fn answering(words: &'static str) -> Upstream {
    Upstream::with(move |request| {
        if request.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&[words], true))
        } else {
            Script::json(chat_completion(words))
        }
    })
}

fn tally(live: &LiveRollout, arm: Arm, metric: Metric) -> (u64, u64) {
    let tally = live.evidence().arm(arm).tally(metric);
    (tally.n, tally.bad)
}

#[test]
fn requests_are_split_by_share_and_outcomes_counted_for_their_arm() {
    let (a, b) = (answering("from a"), answering("from b"));
    let live = rollout(0.5, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    let mut connection = Connection::open(gateway.addr);
    for _ in 0..40 {
        connection.post(PLAIN);
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    let (baseline, candidate) =
        (tally(&live, Arm::Baseline, Metric::Error), tally(&live, Arm::Candidate, Metric::Error));
    assert_eq!(baseline.0 + candidate.0, 40);
    assert_eq!(baseline.1 + candidate.1, 0);
    assert_eq!(usize::try_from(candidate.0), Ok(b.requests().len()));
    assert!(candidate.0 > 5 && baseline.0 > 5, "{candidate:?}");
    let with_unit = gateway.exchanges(40);
    assert!(with_unit.iter().all(|one| one.exchange.rollout.as_deref() == Some("to-b") && one.exchange.unit.is_some()));
}

#[test]
fn a_conversation_stays_on_its_arm() {
    let (a, b) = (answering("from a"), answering("from b"));
    let mut identity = rollout(0.5, 0.0);
    Arc::get_mut(&mut identity).unwrap().identity.unit = rollout::Unit::Conversation;
    let gateway = Setup::to(&[&a, &b]).with(&identity).start();
    let mut connection = Connection::open(gateway.addr);
    for conversation in 0..10 {
        let id = format!("conversation-{conversation}");
        let mut served = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let headers = [("x-crossfade-conversation-id", id.as_str())];
            connection.send("POST", "/v1/chat/completions", &headers, PLAIN.as_bytes());
            served.insert(connection.answer().unwrap().header("x-crossfade-target").unwrap().to_owned());
        }
        assert_eq!(served.len(), 1);
    }
    assert_eq!(identity.evidence().key_sources()["header"], 40);
}

#[test]
fn a_candidate_that_fails_counts_although_the_caller_sees_an_answer() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::status(500)]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for request in [PLAIN, STREAMED] {
        let answer = post(gateway.addr, request);
        assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")));
    }
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (2, 2));
    assert_eq!(tally(&live, Arm::Baseline, Metric::Error), (0, 0));
}

#[test]
fn what_only_the_candidate_refuses_is_its_failure_and_what_both_refuse_is_the_callers() {
    let refusing = || Upstream::start(vec![Script::error(400, "invalid_request_error", "context_length_exceeded")]);
    let (a, b) = (answering("from a"), refusing());
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (1, 1));

    let (a, b) = (refusing(), refusing());
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 400);
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (0, 0));
}

#[test]
fn a_candidate_is_nobodys_fallback_unless_the_route_says_so() {
    let (a, b) = (Upstream::start(vec![Script::status(500)]), answering("from b"));
    let gateway = Setup::to(&[&a, &b]).with(&rollout(0.0, 0.0)).falling_back_to(&["b"]).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 502);
    assert_eq!(b.requests().len(), 0);

    let live = rollout(0.0, 0.0);
    let mut setup = Setup::to(&[&a, &b]).with(&live);
    setup.emergency_fallback = true;
    let gateway = setup.start();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.header("x-crossfade-emergency")), (200, Some("true")));
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (0, 0));
}

#[test]
fn an_emergency_is_no_evidence_even_when_it_is_the_first_attempt() {
    let b = answering("from b");
    let mut setup = Setup::to(&[&b, &b]).with(&rollout(0.0, 0.0));
    // A reload took the baseline out of the config.
    setup.targets.remove(0);
    setup.emergency_fallback = true;
    let gateway = setup.start();
    assert_eq!(post(gateway.addr, PLAIN).header("x-crossfade-emergency"), Some("true"));
    assert_eq!(gateway.exchange().attempts[0].role, "failover");
}

#[test]
fn a_dead_candidate_is_rolled_back_and_no_caller_notices() {
    let a = answering("from a");
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to_urls(&[&a.url(), "http://127.0.0.1:1"]).with(&live).start();
    for _ in 0..20 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    assert_eq!(live.view().share, 0.0);
    assert!(live.attempt_counts().begun <= 5, "{:?}", live.attempt_counts());
    assert_eq!(live.attempt_counts().in_flight, 0);
}

#[test]
fn a_candidate_that_its_breaker_refuses_is_a_bad_event_each_time() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::status(500)]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    // Two routes to the same target: its breaker is open before the rollout hears of a failure.
    for _ in 0..5 {
        assert_eq!(post(gateway.addr, &PLAIN.replace("gpt-4o", "to-b-directly")).status, 502);
    }
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (0, 0));
    for _ in 0..2 {
        assert_eq!(post(gateway.addr, PLAIN).header("x-crossfade-target"), Some("a"));
    }
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (2, 2));
    assert_eq!(b.requests().len(), 5, "the candidate was not called");
}

#[test]
fn a_caller_that_left_is_no_evidence() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::silent()]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    let mut connection = Connection::open(gateway.addr);
    connection.post(PLAIN);
    b.wait_for(1, crate::client::PATIENCE);
    drop(connection);
    assert_eq!(gateway.exchange().exchange.outcome, "client_gone");
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (0, 0));
    assert_eq!(live.attempt_counts().in_flight, 0);
}

#[test]
fn a_candidate_that_hangs_is_rolled_back_although_its_callers_give_up_first() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::silent()]));
    let live = rollout(1.0, 0.0);
    let gateway =
        Setup::to(&[&a, &b]).with(&live).timeouts(|timeouts| timeouts.first_token = Duration::from_secs(2)).start();
    let mut callers: Vec<_> = (0..6).map(|_| Connection::open(gateway.addr)).collect();
    for (caller, request) in callers.iter_mut().zip([PLAIN, STREAMED].into_iter().cycle()) {
        caller.post(request);
    }
    assert_eq!(b.wait_for(6, crate::client::PATIENCE).len(), 6);
    // A quarter of the time to the first token, and a little.
    std::thread::sleep(Duration::from_millis(600));
    drop(callers);
    until("share 0", || live.view().share == 0.0);
    for exchange in gateway.exchanges(6) {
        assert_eq!(exchange.exchange.outcome, "client_gone");
        assert_eq!(exchange.attempts[0].measured.failure.as_deref(), Some("timeout_first_token"));
    }
    // The breaker opened at the fifth, and no outcome counts after the switch.
    assert!(tally(&live, Arm::Candidate, Metric::Timeout).1 >= 5);
}

/// A caller of a candidate that hangs, and is thrown back meanwhile: the caller's answer, and what became of the first attempt.
fn thrown_back_under_a_caller(request: &str, setup: impl Fn(Setup) -> Setup) -> (Answer, Vec<Option<String>>) {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::silent()]));
    let live = rollout(1.0, 0.0);
    let gateway = setup(Setup::to(&[&a, &b]).with(&live)).start();
    let mut caller = Connection::open(gateway.addr);
    caller.post(request);
    b.wait_for(1, crate::client::PATIENCE);
    let error = MetricSet::of(&[Metric::Error]);
    for unit in 0..20 {
        let (admitted_at, at) = (Timestamp(1), Timestamp(1));
        let (time_to_first_token_us, duration_us) = (None, None);
        let (arm, observed, bad) = (Arm::Candidate, error, error);
        live.observe(1, &Outcome { unit, arm, admitted_at, at, observed, bad, time_to_first_token_us, duration_us });
    }
    assert_eq!(live.view().share, 0.0);
    let answer = caller.answer().unwrap();
    let attempts = gateway.exchange().attempts;
    (answer, attempts.into_iter().map(|attempt| attempt.measured.failure).collect())
}

#[test]
fn who_waits_for_a_candidate_that_is_thrown_back_is_answered_by_the_baseline_where_the_rollout_says_so() {
    // Whoever waited for the candidate's own time limit would wait longer than this test does.
    let patient = |setup: Setup| {
        setup.retrying_on_rollback().timeouts(|timeouts| timeouts.first_token = Duration::from_secs(600))
    };
    for request in [PLAIN, STREAMED] {
        let (answer, failures) = thrown_back_under_a_caller(request, patient);
        assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")));
        assert_eq!(failures, [Some("withdrawn".to_owned()), None]);
    }
    // Otherwise it goes on to its end.
    let brief = |setup: Setup| setup.timeouts(|timeouts| timeouts.first_token = Duration::from_millis(300));
    let (answer, failures) = thrown_back_under_a_caller(STREAMED, brief);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")));
    assert_eq!(failures, [Some("timeout_first_token".to_owned()), None]);
}

#[test]
fn malformed_json_counts_where_json_was_asked_for() {
    let (a, b) = (answering("from a"), answering("{\\\"a\\\":"));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    let head = r#"{"model":"gpt-4o","messages":[],"response_format":{"type":"json_object"}"#;
    for end in ["}", r#","stream":true}"#] {
        assert_eq!(post(gateway.addr, &format!("{head}{end}")).status, 200);
    }
    assert_eq!(tally(&live, Arm::Candidate, Metric::Format), (2, 2));
    assert!(gateway.exchanges(2).iter().all(|one| one.attempts[0].measured.format_valid == Some(false)));
}

#[test]
fn every_baseline_request_is_copied_and_every_pair_complete() {
    let (a, b) = (answering("from a"), answering("from b"));
    let live = rollout(0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for request in [PLAIN, STREAMED] {
        for _ in 0..10 {
            assert_eq!(post(gateway.addr, request).header("x-crossfade-target"), Some("a"));
        }
    }
    until("all pairs complete", || live.evidence().n_pairs() == 20);
    assert_eq!(gateway.exchanges(20).len(), 20);
    until("all pairs on record", || gateway.database.pair_counts(&ExchangeFilter::default()).unwrap().complete == 20);
    assert!(b.requests().iter().all(|copy| copy.text().contains("\"store\":false")));
    assert!(b.requests().iter().all(|copy| copy.text().contains("\"model\":\"model-b\"")));
}

#[test]
fn a_copy_holds_no_more_than_its_limit_and_what_it_cannot_judge_is_not_counted() {
    let long = format!("{{\\\"a\\\":\\\"{}\\\"}}", "x".repeat(1 << 16));
    let whole = chat_completion(&long.replace("\\\"", "\""));
    let words: Vec<&str> = std::iter::once("{\"a\":\"").chain(["xxxxxxxx"; 400]).chain(["\"}"]).collect();
    let stream = chat_stream(&words, true).concat();
    let sizes = [whole.len(), stream.len()];
    let copies = Upstream::with(move |request| {
        if request.text().contains("\"stream\":true") {
            Script::stream([stream.as_bytes()])
        } else {
            Script::json(whole.as_bytes())
        }
    });
    let (a, live) = (answering("{}"), rollout(0.0, 1.0));
    let mut setup = Setup::to(&[&a, &copies]).with(&live);
    setup.size.shadow.max_answer = 4096;
    let gateway = setup.start();
    let head = r#"{"model":"gpt-4o","messages":[],"response_format":{"type":"json_object"}"#;
    for end in ["}", r#","stream":true}"#] {
        assert_eq!(post(gateway.addr, &format!("{head}{end}")).status, 200);
    }
    until("both pairs complete", || live.evidence().n_pairs() == 2);
    until("both pairs on record", || gateway.database.pair_counts(&ExchangeFilter::default()).unwrap().complete == 2);
    let mut kept = Vec::new();
    for exchange in gateway.exchanges(2) {
        let copy = exchange.attempts.iter().find(|attempt| attempt.role == "shadow").unwrap();
        assert_eq!((copy.measured.failure.as_deref(), copy.measured.format_valid), (None, None));
        kept.push(copy.answer_bytes);
    }
    kept.sort_unstable();
    let mut sizes = sizes.map(|n| n as u64);
    sizes.sort_unstable();
    assert_eq!(kept, sizes, "the whole answer is read and counted");
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (2, 0));
    assert_eq!(tally(&live, Arm::Candidate, Metric::Format), (0, 0));
    until("nothing held", || gateway.serving.shadow_totals().bytes == 0);
}

#[test]
fn a_hanging_candidate_never_delays_the_baseline_and_drops_are_counted() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::silent()]));
    let live = rollout(0.0, 1.0);
    let mut setup = Setup::to(&[&a, &b]).with(&live).timeouts(|timeouts| timeouts.total = Duration::from_secs(600));
    setup.size.shadow.max_in_flight = 2;
    let gateway = setup.start();
    let mut connection = Connection::open(gateway.addr);
    for _ in 0..50 {
        connection.post(PLAIN);
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    until("48 drops", || live.evidence().coverage().n_dropped() == 48);
    assert_eq!(gateway.serving.shadow_totals().in_flight, 2);
    assert_eq!(gateway.exchanges(50).len(), 50);
}

#[test]
fn copies_hold_what_their_requests_and_answers_come_to() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::silent()]));
    let live = rollout(0.0, 1.0);
    let mut setup = Setup::to(&[&a, &b]).with(&live).timeouts(|timeouts| timeouts.total = Duration::from_secs(600));
    // Room for three answers of the longest kind that is kept.
    setup.size.shadow.max_bytes = 2 << 20;
    let gateway = setup.start();
    let mut connection = Connection::open(gateway.addr);
    for _ in 0..60 {
        connection.post(PLAIN);
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    until("all copies under way", || gateway.serving.shadow_totals().in_flight == 60);
    assert_eq!(live.evidence().coverage().n_dropped(), 0);
    until("the baselines' answers are held", || gateway.serving.shadow_totals().bytes > 60 << 14);
    let held = gateway.serving.shadow_totals().bytes;
    assert!(held < 60 * 20_000, "{held} bytes for 60 short requests");
}

#[test]
fn an_answer_that_there_is_no_room_for_is_judged_without_being_kept() {
    let long = "x".repeat(1 << 16);
    let (whole, stream) = (chat_completion(&long), chat_stream(&["xxxxxxxx"; 1000], true).concat());
    let copies = Upstream::with(move |request| match request.text().contains("\"stream\":true") {
        true => Script::stream([stream.as_bytes()]),
        false => Script::json(whole.as_bytes()),
    });
    let (a, live) = (answering("{}"), rollout(0.0, 1.0));
    let mut setup = Setup::to(&[&a, &copies]).with(&live);
    setup.size.shadow.max_bytes = 40_000;
    setup.size.shadow.max_answer = 10_000;
    let shadow = ShadowSettings {
        budget: ShadowBudget { max_bytes: Some(17_000), ..ShadowBudget::default() },
        ..ShadowSettings::default()
    };
    let gateway = Setup { shadow, ..setup }.start();
    let head = r#"{"model":"gpt-4o","messages":[],"response_format":{"type":"json_object"}"#;
    for (n, end) in ["}", r#","stream":true}"#].into_iter().enumerate() {
        assert_eq!(post(gateway.addr, &format!("{head}{end}")).status, 200);
        until("a pair", || live.evidence().comparisons().n == n as u64 + 1);
        until("nothing held", || gateway.serving.shadow_totals().bytes == 0);
    }
    assert_eq!(tally(&live, Arm::Candidate, Metric::Error), (2, 0), "they did answer");
    assert_eq!(tally(&live, Arm::Candidate, Metric::Format), (0, 0), "in which format is not known");
    assert_eq!((gateway.serving.shadow_totals().unkept, live.evidence().coverage().n_dropped()), (2, 0));
    until("both pairs on record", || gateway.exchanges(2).iter().all(|exchange| exchange.pairs.len() == 1));
    for exchange in gateway.exchanges(2) {
        assert_eq!(exchange.pairs[0].not_compared.as_deref(), Some("memory_full"));
        let copy = exchange.attempts.iter().find(|attempt| attempt.role == "shadow").unwrap();
        assert!(copy.answer_bytes > 16 << 10, "all of it was read");
    }
}

#[test]
fn a_copy_that_finds_no_room_is_on_record_as_dropped() {
    let (a, b) = (answering("from a"), answering("from b"));
    let live = rollout(0.0, 1.0);
    let mut setup = Setup::to(&[&a, &b]).with(&live);
    setup.size.shadow.max_bytes = 8;
    let gateway = setup.start();
    for _ in 0..3 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    assert_eq!(gateway.exchanges(3).len(), 3);
    let dropped = || gateway.database.pair_counts(&ExchangeFilter::default()).unwrap().dropped;
    until("all drops on record", || dropped().get("memory_full") == Some(&3));
    assert_eq!(live.evidence().coverage().n_dropped(), 3);
}

#[test]
fn a_copy_that_is_under_way_at_the_end_is_on_record_as_dropped() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::silent()]));
    let live = rollout(0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    assert_eq!(b.wait_for(1, crate::client::PATIENCE).len(), 1);
    gateway.serving.drain();
    // Nobody waits for a copy's record, so it may be shipped after the exchange's.
    let dropped = || gateway.database.pair_counts(&ExchangeFilter::default()).unwrap().dropped;
    until("the drop on record", || gateway.exchanges(1).len() == 1 && dropped().get("shutting_down") == Some(&1));
    assert_eq!(gateway.serving.shadow_totals().in_flight, 0);
}

#[test]
fn the_shadows_failures_leave_the_live_breaker_alone() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::status(500)]));
    let live = rollout(0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for n in 1..=10 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
        until("the copy settled", || {
            let evidence = live.evidence();
            evidence.n_pairs() + evidence.coverage().n_dropped() == n
        });
    }
    assert_eq!(b.requests().len(), 5, "five failures open the shadow's breaker");
    assert_eq!(a.requests().len(), 10);
}

#[test]
fn a_stream_of_the_candidate_that_stalls_is_a_timeout_of_its_arm() {
    let script = Script::stream(chat_stream(&["one"], false)[..2].to_vec()).hang(Hang::AfterPieces);
    let (a, b) = (answering("from a"), Upstream::start(vec![script]));
    let live = rollout(1.0, 0.0);
    let gateway =
        Setup::to(&[&a, &b]).with(&live).timeouts(|timeouts| timeouts.inter_token = Duration::from_millis(100)).start();
    assert!(!post(gateway.addr, STREAMED).whole);
    assert_eq!(tally(&live, Arm::Candidate, Metric::Timeout), (1, 1));
}

#[test]
fn a_late_answer_is_a_bad_event_when_it_becomes_late_and_not_when_it_ends() {
    let (a, b) = (answering("from a"), Upstream::start(vec![Script::silent()]));
    let mut policy = rollout::Policy::template(rollout::Risk::Medium);
    policy.objectives.first_token = Some(Duration::from_millis(50));
    policy.objectives.total = Some(Duration::from_millis(100));
    let live = rollout_under(&policy, 1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    let mut waiting = Connection::open(gateway.addr);
    waiting.post(STREAMED);
    until("late", || tally(&live, Arm::Candidate, Metric::Slow) == (1, 1));
    assert_eq!(tally(&live, Arm::Candidate, Metric::SlowFirstToken), (1, 1));
    assert_eq!(live.attempt_counts().in_flight, 1, "it is still awaited");
    drop(waiting);
    gateway.exchange();
    assert_eq!(tally(&live, Arm::Candidate, Metric::Slow), (1, 1), "and counts once");
}

#[test]
fn an_answer_in_time_is_a_good_event() {
    let (a, b) = (answering("from a"), answering("from b"));
    let mut policy = rollout::Policy::template(rollout::Risk::Medium);
    policy.objectives.first_token = Some(Duration::from_secs(60));
    policy.objectives.total = Some(Duration::from_secs(60));
    let live = rollout_under(&policy, 1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for request in [PLAIN, STREAMED] {
        assert_eq!(post(gateway.addr, request).status, 200);
    }
    assert_eq!(tally(&live, Arm::Candidate, Metric::Slow), (2, 0));
    assert_eq!(
        tally(&live, Arm::Candidate, Metric::SlowFirstToken),
        (1, 0),
        "only a stream has a first token to wait for"
    );
}

#[test]
fn a_copy_is_judged_on_speed_and_refusal_as_an_answer_is() {
    let empty = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#;
    let (a, b) = (answering("from a"), Upstream::with(move |_| Script::json(empty)));
    let mut policy = rollout::Policy::template(rollout::Risk::Medium);
    policy.objectives.total = Some(Duration::from_secs(60));
    let live = rollout_under(&policy, 0.0, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    until("the pair", || tally(&live, Arm::Candidate, Metric::Refusal) == (1, 1));
    assert_eq!(tally(&live, Arm::Baseline, Metric::Refusal), (1, 0));
    assert_eq!(tally(&live, Arm::Candidate, Metric::Slow), (1, 0));
}

#[test]
fn answers_that_decline_or_say_nothing_are_refusals() {
    let declining = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"no"},"finish_reason":"stop"}]}"#;
    let empty = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#;
    let calling = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    let filtered = chat_completion("I").to_owned().replace("\"stop\"", "\"content_filter\"");
    let scripts = [declining, empty, calling, filtered.as_str(), &chat_completion("yes")];
    let scripts: Vec<Script> = scripts.iter().map(|body| Script::json(body.as_bytes())).collect();
    let live = rollout(1.0, 0.0);
    let (a, b) = (answering("from a"), Upstream::start(scripts));
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for n_bad in [1, 2, 2, 3, 3] {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
        assert_eq!(tally(&live, Arm::Candidate, Metric::Refusal).1, n_bad);
    }
    assert_eq!(tally(&live, Arm::Candidate, Metric::Refusal).0, 5);
}

#[test]
fn refusals_in_plain_words_and_in_streams_are_seen_of_both_arms() {
    let declining = chat_completion("Es tut mir leid, aber dabei kann ich nicht helfen.");
    let blank = chat_completion(" \n ");
    let stream = |deltas: &[&str]| Script::stream(chat_stream(deltas, true));
    let refusing = chat_stream(&["x"], true).concat().replace("\"content\":\"x\"", "\"refusal\":\"I can't\"");
    let long = "I'm sorry, but I can't help with that. ".repeat(30);
    // The answers first: so many refusals throw a candidate back.
    let scripts = vec![
        stream(&["Glad", "ly."]),
        stream(&[&long]),
        Script::json(declining.as_bytes()),
        Script::json(blank.as_bytes()),
        stream(&["I\u{2019}m sorry, ", "but I can\u{2019}t", " help with that."]),
        Script::stream([refusing.as_bytes()]),
        stream(&[" ", "\n"]),
    ];
    let (a, b) = (answering("from a"), Upstream::start(scripts));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for (request, n_bad) in
        [(STREAMED, 0), (STREAMED, 0), (PLAIN, 1), (PLAIN, 2), (STREAMED, 3), (STREAMED, 4), (STREAMED, 5)]
    {
        assert_eq!(post(gateway.addr, request).status, 200);
        until("judged", || tally(&live, Arm::Candidate, Metric::Refusal).1 == n_bad);
    }
    until("all judged", || tally(&live, Arm::Candidate, Metric::Refusal).0 == 7);
    assert_eq!(tally(&live, Arm::Candidate, Metric::Refusal).1, 5, "neither an answer nor one that goes on");
    // A copy is judged as an answer is, and both its answers stand side by side.
    let live = rollout(0.0, 1.0);
    let (a, b) = (answering("from a"), answering("Sorry, I can't help with that."));
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    for request in [PLAIN, STREAMED] {
        assert_eq!(post(gateway.addr, request).status, 200);
    }
    until("two pairs", || live.evidence().comparisons().n == 2);
    assert_eq!(tally(&live, Arm::Candidate, Metric::Refusal), (2, 2));
    assert_eq!(tally(&live, Arm::Baseline, Metric::Refusal), (2, 0));
    assert_eq!(live.evidence().comparisons().of(Comparison::Refusal).unwrap().mean(), Some(1.0));
}
