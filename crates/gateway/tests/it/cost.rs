//! What an exchange cost, on record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::prices::{PricedBy, TargetPrices};
use gateway::probe::Asked;
use gateway::snapshot::Snapshot;
use scripted::{Cut, Script, Upstream, chat_stream};

use crate::client::{Connection, PATIENCE, post};
use crate::harness::{Gateway, PLAIN, STREAMED, Setup, rollout, until};

const SHEET: &str = r#"{ "source": "a test", "checked": "2026-11-25", "models": [
  { "vendor": "acme", "id": "model-a", "prices": [
    { "service": "priority", "rates": { "input": 4, "output": 20 } },
    { "rates": { "input": 2, "cached": 0.5, "output": 10 } } ] },
  { "vendor": "acme", "id": "model-b", "prices": [{ "rates": { "input": 1, "output": 1 } }] } ] }"#;

/// 600 at 2 a million, 400 at 0.5, 10 at 10.
const COST_OF_A: u64 = 600 * 2_000 + 400 * 500 + 10 * 10_000;
const COST_OF_B: u64 = 1_010 * 1_000;

fn usage() -> &'static str {
    r#""usage":{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010,"prompt_tokens_details":{"cached_tokens":400}}"#
}

fn answer(more: &str) -> Script {
    Script::json(format!(
        r#"{{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],{}{more}}}"#,
        usage()
    ))
}

fn stream() -> Script {
    let mut events = chat_stream(&["hi"], false);
    let done = events.pop().unwrap();
    events.push(format!("data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[],{}}}\n\n", usage()));
    events.push(done);
    Script::stream(events)
}

/// Prices every target by the sheet.
pub fn price(gateway: &Gateway, sheet: &str) {
    let sheet = cost::sheet::Sheet::parse(sheet).unwrap();
    let all = Arc::new(cost::Prices::new(&[("test", &sheet)]).unwrap());
    let old = gateway.snapshot.load_full();
    let by = |name: &String| (name.clone(), PricedBy::Vendor("acme".to_owned()));
    gateway.snapshot.store(Arc::new(Snapshot {
        prices: TargetPrices { all, of: old.targets.keys().map(by).collect() },
        ..(*old).clone()
    }));
}

#[test]
fn whole_and_streamed_answers_carry_their_cost_and_the_row_that_says_so() {
    let upstream =
        Upstream::with(|request| if request.text().contains("\"stream\":true") { stream() } else { answer("") });
    let gateway = Setup::to(&[&upstream]).start();
    price(&gateway, SHEET);
    for request in [PLAIN, STREAMED] {
        assert_eq!(post(gateway.addr, request).status, 200);
    }
    for detail in gateway.exchanges(2) {
        for cost in [detail.exchange.cost.as_ref(), detail.attempts[0].measured.cost.as_ref()] {
            let cost = cost.unwrap();
            assert_eq!((cost.nanos, cost.unknown.as_deref()), (Some(COST_OF_A), None));
            assert!(cost.row.as_deref().unwrap().starts_with("test:acme/model-a#"), "{cost:?}");
        }
    }
    let totals = gateway.serving.totals();
    assert_eq!((totals.costs["a"].nanos, totals.costs["a"].priced, totals.costs["a"].unknown), (2 * COST_OF_A, 2, 0));
}

#[test]
fn the_service_the_answer_names_is_the_one_that_is_priced() {
    let upstream = Upstream::start(vec![answer(r#","service_tier":"priority""#), answer(r#","service_tier":"novel""#)]);
    let gateway = Setup::to(&[&upstream]).start();
    price(&gateway, SHEET);
    post(gateway.addr, PLAIN);
    post(gateway.addr, PLAIN);
    let costs: Vec<_> = gateway.exchanges(2).into_iter().rev().map(|detail| detail.exchange.cost.unwrap()).collect();
    assert_eq!(costs[0].nanos, Some(1_000 * 4_000 + 10 * 20_000));
    assert_eq!(costs[1].unknown.as_deref(), Some("no_row_then"));
}

#[test]
fn a_failover_costs_what_was_charged_on_the_way() {
    let broken = Upstream::start(vec![Script::error(500, "server_error", "boom")]);
    let good = Upstream::start(vec![answer("")]);
    let gateway = Setup::to(&[&broken, &good]).falling_back_to(&["b"]).start();
    price(&gateway, SHEET);
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    let detail = gateway.exchange();
    assert_eq!(detail.attempts[0].measured.cost, None, "the provider refused it");
    assert_eq!(detail.attempts[1].measured.cost.as_ref().unwrap().nanos, Some(COST_OF_B));
    assert_eq!(detail.exchange.cost.unwrap().nanos, Some(COST_OF_B));
}

#[test]
fn a_cut_stream_has_no_known_cost() {
    let events = chat_stream(&["hi", " there"], false);
    let bytes = events[..3].concat().len();
    let upstream = Upstream::start(vec![Script::stream(events).cut_after(bytes, Cut::Fin)]);
    let gateway = Setup::to(&[&upstream]).start();
    price(&gateway, SHEET);
    post(gateway.addr, STREAMED);
    assert_eq!(gateway.exchange().exchange.cost.unwrap().unknown.as_deref(), Some("no_usage"));
}

#[test]
fn a_retry_of_the_callers_sdk_is_one_request() {
    let upstream = Upstream::with(|_| answer(""));
    let gateway = Setup::to(&[&upstream]).with(&rollout(0.0, 0.0)).start();
    price(&gateway, SHEET);
    for retry in ["0", "1", "2"] {
        let mut connection = Connection::open(gateway.addr);
        let headers = [("content-type", "application/json"), ("x-stainless-retry-count", retry)];
        connection.send("POST", "/v1/chat/completions", &headers, PLAIN.as_bytes());
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    let mut retries: Vec<_> = gateway.exchanges(3).iter().map(|detail| detail.exchange.client_retry).collect();
    // Requests of the same millisecond are in no order.
    retries.sort_unstable();
    assert_eq!(retries, [0, 1, 2]);
    let cost = gateway.database.arm_cost("to-b", 1, "baseline").unwrap();
    assert_eq!((cost.requests, cost.known, cost.nanos), (1, 3, 3 * COST_OF_A));
    assert_eq!(gateway.database.target_costs(0, u32::MAX).unwrap()[0].sums, cost);
}

#[test]
fn a_copy_has_its_own_cost_on_the_candidates_side() {
    let (live, copied) = (Upstream::with(|_| answer("")), Upstream::with(|_| answer("")));
    let gateway = Setup::to(&[&live, &copied]).with(&rollout(0.0, 1.0)).start();
    price(&gateway, SHEET);
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    let both = || {
        gateway.exchanges(1);
        let arm = |arm| gateway.database.arm_cost("to-b", 1, arm).unwrap();
        (arm("baseline").nanos, arm("candidate").nanos)
    };
    until("both sides are on record", || both() == (COST_OF_A, COST_OF_B));
    assert_eq!(gateway.exchange().exchange.cost.unwrap().nanos, Some(COST_OF_A), "the copy is not the caller's");
}

#[test]
fn a_copy_that_is_cut_keeps_the_cost_of_what_it_had_said_it_used() {
    let mut events = chat_stream(&["hi", " there"], false);
    events.insert(
        1,
        format!("data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[],{}}}\n\n", usage()),
    );
    let bytes = events[..3].concat().len();
    let (live, copied) =
        (Upstream::with(|_| stream()), Upstream::start(vec![Script::stream(events).cut_after(bytes, Cut::Fin)]));
    let gateway = Setup::to(&[&live, &copied]).with(&rollout(0.0, 1.0)).start();
    price(&gateway, SHEET);
    assert_eq!(post(gateway.addr, STREAMED).status, 200);
    let candidate = || gateway.database.arm_cost("to-b", 1, "candidate").unwrap();
    until("the copy is on record", || candidate().known + candidate().unknown > 0);
    assert_eq!((candidate().nanos, candidate().unknown), (COST_OF_B, 0));
}

#[test]
fn a_probe_of_the_baseline_is_paid_for_like_any_call() {
    let upstream = Upstream::with(|_| answer(""));
    let gateway = Setup::to(&[&upstream]).start();
    price(&gateway, SHEET);
    let snapshot = gateway.snapshot.load();
    let target = snapshot.target("a").unwrap();
    let body = format!(r#"{{"choices":[{{"message":{{"content":"pong"}},"finish_reason":"stop"}}],{}}}"#, usage());
    let asked = |status, body| Asked {
        rollout: ("to-b", 1),
        started_us: gateway::live::now().0,
        took: Duration::from_millis(5),
        status: Some(status),
        failure: None,
        body,
    };
    let (whole, refused) = (Bytes::from(body), Bytes::from_static(b"{}"));
    for asked in [asked(200, &whole), asked(200, &whole), asked(401, &refused)] {
        let record = gateway::probe::record(&snapshot, target, &asked);
        gateway.journal.submit(&record).unwrap().wait_blocking().unwrap();
    }
    until("the probes on record", || !gateway.database.target_costs(0, u32::MAX).unwrap().is_empty());
    until("all of them", || gateway.database.target_costs(0, u32::MAX).unwrap()[0].sums.requests == 3);
    let costs = gateway.database.target_costs(0, u32::MAX).unwrap();
    assert_eq!((costs.len(), costs[0].target.as_str(), costs[0].role.as_str()), (1, "a", "probe"));
    assert_eq!((costs[0].sums.known, costs[0].sums.nanos), (2, 2 * COST_OF_A));
    assert_eq!(gateway.database.arm_cost("to-b", 1, "baseline").unwrap().nanos, 0, "no request of an arm");
}

#[test]
fn a_request_is_priced_by_the_snapshot_it_began_on() {
    let (release, released) = std::sync::mpsc::sync_channel(1);
    let released = std::sync::Mutex::new(released);
    let upstream = Upstream::with(move |_| {
        released.lock().unwrap().recv().unwrap();
        answer("")
    });
    let gateway = Setup::to(&[&upstream]).start();
    price(&gateway, SHEET);
    let mut connection = Connection::open(gateway.addr);
    connection.post(PLAIN);
    upstream.wait_for(1, PATIENCE);
    price(&gateway, &SHEET.replace("\"input\": 2", "\"input\": 200"));
    release.send(()).unwrap();
    assert_eq!(connection.answer().unwrap().status, 200);
    assert_eq!(gateway.exchange().exchange.cost.unwrap().nanos, Some(COST_OF_A));
}
