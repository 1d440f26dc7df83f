//! Targets with a bound on the calls under way, and the queue before them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::snapshot::Snapshot;
use providers::Queue;
use rollout::{Arm, Metric};
use scripted::{Hang, Script, Upstream, chat_completion, chat_stream};

use crate::client::{Connection, PATIENCE, post};
use crate::harness::{Gateway, PLAIN, STREAMED, Setup, rollout, until};

fn ok() -> Script {
    Script::json(chat_completion("here"))
}

/// One call at a time, and this queue.
fn one_at_a_time(setup: Setup, name: &str, max: usize, timeout: Duration) -> Setup {
    setup.calling(name, |calling| {
        calling.max_concurrency = Some(1);
        calling.queue = Queue { max, timeout };
    })
}

fn begin(gateway: &Gateway, body: &str) -> Connection {
    let mut connection = Connection::open(gateway.addr);
    connection.post(body);
    connection
}

fn waiting(gateway: &Gateway, target: usize) -> usize {
    gateway.serving.target_statuses()[target].waiting
}

#[test]
fn one_call_is_under_way_one_waits_and_the_next_is_shed() {
    let slow = ok().delay(Duration::from_millis(300));
    let upstream = Upstream::start(vec![slow]);
    let gateway = one_at_a_time(Setup::to(&[&upstream]), "a", 1, PATIENCE).start();
    let mut first = begin(&gateway, PLAIN);
    upstream.wait_for(1, PATIENCE);
    let mut second = begin(&gateway, PLAIN);
    until("the second waits", || waiting(&gateway, 0) == 1);
    let third = post(gateway.addr, PLAIN);
    assert_eq!((third.status, third.error()["code"].as_str()), (503, Some("capacity")));
    assert_eq!((third.header("retry-after"), third.header("x-crossfade-origin")), (Some("1"), Some("crossfade")));
    assert_eq!(upstream.requests().len(), 1, "not before the first has ended");
    assert_eq!((first.answer().unwrap().status, second.answer().unwrap().status), (200, 200));
    assert_eq!((upstream.requests().len(), waiting(&gateway, 0)), (2, 0));
    let at = |idx: usize| upstream.requests()[idx].clone();
    assert!(at(1).at >= at(0).answered.unwrap(), "one at a time");
}

#[test]
fn a_stream_holds_its_place_to_its_end() {
    let events = chat_stream(&["one"], false);
    let hanging = Script::stream(events[..2].to_vec()).hang(Hang::AfterPieces);
    let upstream = Upstream::start(vec![hanging, ok()]);
    let gateway = one_at_a_time(Setup::to(&[&upstream]), "a", 0, PATIENCE).start();
    let mut stream = begin(&gateway, STREAMED);
    stream.head().unwrap();
    assert_eq!(post(gateway.addr, PLAIN).status, 503);
    drop(stream);
    until("its place is free", || post(gateway.addr, PLAIN).status == 200);
}

#[test]
fn a_wait_has_an_end() {
    let upstream = Upstream::start(vec![Script::silent()]);
    let gateway = one_at_a_time(Setup::to(&[&upstream]), "a", 1, Duration::from_millis(100)).start();
    let _held = begin(&gateway, PLAIN);
    upstream.wait_for(1, PATIENCE);
    let began = Instant::now();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.error()["code"].as_str()), (503, Some("capacity")));
    assert!(began.elapsed() >= Duration::from_millis(100) && began.elapsed() < Duration::from_secs(5));
}

#[test]
fn whoever_leaves_the_queue_leaves_no_trace() {
    let upstream = Upstream::start(vec![Script::silent(), ok()]);
    let gateway = one_at_a_time(Setup::to(&[&upstream]), "a", 3, PATIENCE).start();
    let held = begin(&gateway, PLAIN);
    upstream.wait_for(1, PATIENCE);
    let waits = [begin(&gateway, PLAIN), begin(&gateway, PLAIN)];
    until("two wait", || waiting(&gateway, 0) == 2);
    drop(waits);
    until("nobody waits", || waiting(&gateway, 0) == 0);
    drop(held);
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    assert_eq!(upstream.requests().len(), 2, "those that left were never called for");
    until("nothing in flight", || gateway.serving.totals().in_flight == 0 && gateway.calls_in_flight() == 0);
    let outcomes: Vec<_> = gateway.exchanges(4).iter().map(|one| one.exchange.outcome.clone()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "client_gone").count(), 3, "{outcomes:?}");
}

#[test]
fn a_full_target_gives_way_and_a_candidate_that_was_full_is_a_bad_event() {
    let (a, b) = (Upstream::start(vec![ok()]), Upstream::start(vec![Script::silent()]));
    let live = rollout(1.0, 0.0);
    let gateway = one_at_a_time(Setup::to(&[&a, &b]).with(&live), "b", 0, PATIENCE).start();
    let held = begin(&gateway, PLAIN);
    b.wait_for(1, PATIENCE);
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")));
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    assert_eq!((tally.n, tally.bad), (1, 1));
    assert_eq!(gateway.exchange().attempts[0].measured.failure.as_deref(), Some("capacity"));
    drop(held);
    until("nobody is on the candidate", || live.attempt_counts().in_flight == 0);
}

#[test]
fn time_in_the_queue_is_the_targets_and_not_its_providers() {
    let slow = ok().delay(Duration::from_millis(1000));
    let upstream = Upstream::start(vec![slow]);
    // Each call may take 1.9 s; the second is there after 2, half of it in the queue.
    let setup = one_at_a_time(Setup::to(&[&upstream]), "a", 1, PATIENCE);
    let gateway = setup.timeouts(|timeouts| timeouts.total = Duration::from_millis(1900)).start();
    let mut first = begin(&gateway, PLAIN);
    upstream.wait_for(1, PATIENCE);
    let mut second = begin(&gateway, PLAIN);
    assert_eq!((first.answer().unwrap().status, second.answer().unwrap().status), (200, 200));
    let longest = gateway.exchanges(2).iter().map(|one| one.attempts[0].measured.duration_us.unwrap()).max();
    assert!(longest.is_some_and(|longest| longest >= 1_900_000), "{longest:?}");
}

#[test]
fn a_reload_changes_the_bound_and_keeps_the_calls_under_way() {
    let upstream = Upstream::start(vec![Script::silent(), Script::silent(), ok()]);
    let gateway = one_at_a_time(Setup::to(&[&upstream]), "a", 0, PATIENCE).start();
    let first = begin(&gateway, PLAIN);
    upstream.wait_for(1, PATIENCE);
    assert_eq!(post(gateway.addr, PLAIN).status, 503);
    let mut snapshot = Snapshot::clone(&gateway.snapshot.load());
    Arc::make_mut(snapshot.targets.get_mut("a").unwrap()).calling.max_concurrency = Some(2);
    gateway.snapshot.store(Arc::new(snapshot));
    let second = begin(&gateway, PLAIN);
    upstream.wait_for(2, PATIENCE);
    assert_eq!(post(gateway.addr, PLAIN).status, 503);
    drop((first, second));
    until("both places are free", || post(gateway.addr, PLAIN).status == 200);
}
