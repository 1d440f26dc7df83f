use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bench::engine::turns::Turns;
use bench::plan::Plan;
use bench::result::{BenchResult, Load};
use bench::run::run;
use bench::slo::{Slo, Verdict};
use scripted::{Cut, Received, Script, Upstream, chat_completion, chat_stream};
use serde_json::Value;

use crate::stage::{self, plan, ran};

fn engine(servers: &[(&str, &Upstream)]) -> bench::engine::Engine {
    let servers: Vec<(&str, String)> = servers.iter().map(|(name, server)| (*name, server.url())).collect();
    stage::engine(&servers)
}

/// Answers in three chunks of one token; the list of models is refused.
fn answers(request: &Received) -> Script {
    if request.method == "GET" { Script::status(404) } else { Script::stream(chat_stream(&["a", "b", "c"], true)) }
}

#[test]
fn an_open_loop_sends_what_is_due_and_counts_what_came() {
    let server = Upstream::with(answers);
    let result = ran(&engine(&[("a", &server)]), &plan(Load::Rate { per_s: 100.0 }));
    let level = &result.levels[0];
    assert_eq!((level.n_requests, level.n_good, level.errors.len()), (40, 40, 0), "{:?}", level.errors);
    assert_eq!((level.mean_output_tokens, level.mean_input_tokens), (Some(3.0), Some(9.0)));
    assert_eq!(level.tokens_from.get("usage"), Some(&40));
    assert_eq!((level.latency["gap"].n, level.latency["tpot"].n), (80, 40));
    // A round trip was measured before, and no prompt was sent twice.
    assert!(level.budget.network_ms.is_some() && level.budget.prefill_ms.is_none());
    let mut bodies: Vec<String> =
        server.requests().iter().filter(|request| request.method == "POST").map(Received::text).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 40);
    let body: Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!((&body["max_tokens"], &body["stream_options"]["include_usage"]), (&Value::from(3), &Value::from(true)));
}

#[test]
fn an_open_loop_does_not_wait_for_a_server_that_stands_still() {
    // Nothing is answered for 600 ms; 40 requests are due in 400 ms, and all of them are sent meanwhile.
    let server = Upstream::with(|request: &Received| answers(request).delay(Duration::from_millis(600)));
    let result = ran(&engine(&[("a", &server)]), &plan(Load::Rate { per_s: 100.0 }));
    let at: Vec<_> =
        server.requests().iter().filter(|request| request.method == "POST").map(|request| request.at).collect();
    let first_answer = server
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .filter_map(|request| request.answered)
        .min();
    let before = at.iter().filter(|at| **at < first_answer.unwrap()).count();
    assert!(before >= 35, "{before} of 40 were sent before the first answer");
    assert!(result.levels[0].latency["ttft.intended"].value("p50").unwrap() >= 600.0);
}

#[test]
fn a_place_of_a_closed_loop_goes_on_with_its_connection() {
    // All answers of a round end together, when every place wants the next connection.
    let server = Upstream::with(|request: &Received| answers(request).delay(Duration::from_millis(20)));
    let engine = engine(&[("a", &server)]);
    let plan = Plan { most_requests: Some(300), ..plan(Load::Concurrency { n: 100 }) };
    let result = ran(&engine, &plan);
    assert_eq!((result.levels[0].n_requests, result.levels[0].n_good), (300, 300));
    // One more asked for the round trip.
    assert_eq!(engine.targets[0].provider.n_connections(), 101);
}

#[test]
fn every_place_of_a_closed_loop_is_under_way_however_many_connect_at_once() {
    // No answer comes before 800 ms; the places of two workers begin in turns long before.
    let server = Upstream::with(|request: &Received| answers(request).delay(Duration::from_millis(800)));
    let plan = Plan { most_requests: Some(200), ..plan(Load::Concurrency { n: 200 }) };
    let result = ran(&engine(&[("a", &server)]), &plan);
    assert_eq!(result.levels[0].n_good, 200);
    let asked: Vec<_> = server.requests().into_iter().filter(|request| request.method == "POST").collect();
    let first_answer = asked.iter().filter_map(|request| request.answered).min().unwrap();
    let n_before = asked.iter().filter(|request| request.at < first_answer).count();
    assert!(n_before >= 190, "{n_before} of 200 were sent before the first answer");
}

#[test]
fn every_lie_of_a_server_has_a_bucket_of_its_own() {
    let n = AtomicUsize::new(0);
    let server = Upstream::with(move |request: &Received| {
        if request.method == "GET" {
            return Script::status(404);
        }
        let truncated = || chat_stream(&["a"], false).into_iter().take(2).collect::<Vec<_>>();
        match n.fetch_add(1, Ordering::SeqCst) % 8 {
            0 => answers(request),
            1 => Script::stream(truncated()),
            2 => Script::stream(chat_stream(&[], true)),
            3 => Script::stream(chat_stream(&["a", "b", "c", "d", "e"], true)),
            4 => Script::stream(["data: {\"error\":{\"message\":\"out of memory\"}}\n\n"]),
            5 => Script::error(503, "server_error", "overloaded"),
            6 => Script::error(429, "rate_limit", "slow"),
            _ => Script::hang_up(Cut::Rst),
        }
    });
    let result = ran(&engine(&[("a", &server)]), &plan(Load::Rate { per_s: 200.0 }));
    let level = &result.levels[0];
    for word in ["truncated", "empty", "wrong_length", "error_event", "http_5xx", "http_429"] {
        assert!(level.errors.get(word).is_some_and(|n| *n >= 1), "{word} in {:?}", level.errors);
    }
    assert_eq!(level.n_good + level.errors.values().sum::<u64>(), 40, "{:?}", level.errors);
}

#[test]
fn a_whole_answer_to_a_stream_that_was_asked_for_is_read_too() {
    let server = Upstream::with(|request: &Received| {
        if request.method == "GET" { Script::status(404) } else { Script::json(chat_completion("a b c")) }
    });
    let result =
        ran(&engine(&[("a", &server)]), &Plan { span: Duration::from_millis(500), ..plan(Load::Concurrency { n: 4 }) });
    let level = &result.levels[0];
    assert!(level.n_good > 0 && level.errors.is_empty(), "{level:?}");
    assert_eq!(level.latency["tpot"].n, 0);
}

#[test]
fn targets_in_turns_share_the_time_and_are_compared() {
    let fast = Upstream::with(answers);
    let slow = Upstream::with(|request: &Received| answers(request).delay(Duration::from_millis(80)));
    let mut plan = Plan { span: Duration::from_secs(3), ..plan(Load::Rate { per_s: 60.0 }) };
    plan.turns = Turns::Blocks { length: Duration::from_millis(100), seed: 3 };
    plan.most_requests = None;
    let result = ran(&engine(&[("fast", &fast), ("slow", &slow)]), &plan);
    let n: Vec<u64> = result.levels.iter().map(|level| level.n_good).collect();
    assert!(n.iter().all(|n| (60..=120).contains(n)), "{n:?}");
    let delta = result.deltas.iter().find(|delta| delta.metric == "ttft.intended" && delta.quantile == "p50").unwrap();
    assert!(delta.is_shown() && delta.delta_ms > 40.0, "{delta:?}");
}

#[test]
fn no_prompt_is_sent_twice_however_much_of_a_closed_loop_is_warm_up() {
    let server = Upstream::with(answers);
    let mut plan = Plan { warm_up: Duration::from_millis(600), ..plan(Load::Concurrency { n: 3 }) };
    (plan.loads, plan.span) = (vec![Load::Concurrency { n: 3 }; 2], Duration::from_millis(50));
    let result = ran(&engine(&[("a", &server)]), &plan);
    assert!(result.levels.iter().all(|level| level.n_good > 0), "{:?}", result.levels);
    let mut bodies: Vec<String> =
        server.requests().iter().filter(|request| request.method == "POST").map(Received::text).collect();
    let n = bodies.len();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), n);
}

#[test]
fn a_run_that_is_stopped_leaves_what_there_was() {
    let server = Upstream::with(answers);
    let engine = engine(&[("a", &server)]);
    let (stop, mut plan) = (Arc::clone(&engine.stop), plan(Load::Rate { per_s: 50.0 }));
    plan.most_requests = None;
    plan.slo = Some(Slo { ttft_ms: Some(1e6), e2e_ms: None, tpot_ms: None, gap_max_ms: None, share: 0.5 });
    let mut result = BenchResult::new("r", "load", 1);
    run(&engine, &plan, &mut result, &|progress| {
        stop.fetch_or(progress.live.n_ended >= 20, Ordering::Relaxed);
    });
    assert!(result.partial && result.levels[0].n_good >= 20, "{:?}", result.levels[0].errors);
    assert_eq!(result.slo_verdict(), Some(Verdict::Undecided));
}

#[test]
fn a_closed_loop_is_over_with_the_requests_that_it_was_to_have() {
    let server = Upstream::with(answers);
    // A minute, were it not for the forty requests.
    let result = ran(&engine(&[("a", &server)]), &plan(Load::Concurrency { n: 4 }));
    let level = &result.levels[0];
    assert_eq!((level.n_requests, level.n_good), (40, 40), "{:?}", level.errors);
    assert!(level.seconds < 30.0 && level.requests_per_s.unwrap() > 1.0, "{level:?}");
}
