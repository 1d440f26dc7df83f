use std::time::{Duration, Instant};

use providers::{Call, Client, Timeouts};
use scripted::{Hang, Script, Upstream, chat_stream};
use wire::failure::FailureKind;

use super::{SECOND, call, provider, streamed};

/// The upstream of a dropped answer or call sees the client go within a second.
#[track_caller]
fn assert_gone(upstream: &Upstream, since: Instant) {
    // One second is the aim, five the patience with a busy machine.
    let patience = 5 * SECOND;
    let seen = upstream.wait_until(patience, |received| received.iter().all(|request| request.disconnected.is_some()));
    let (at, _) = seen.last().unwrap().disconnected.expect("the upstream sees the client go");
    assert!(at - since < patience);
}

#[tokio::test]
async fn dropping_a_streams_body_aborts_the_upstream() {
    let script = Script::stream(chat_stream(&["a", "b"], false)).hang(Hang::AfterPieces);
    let upstream = Upstream::start(vec![script]);
    let client = Client::new();
    let provider = provider(&upstream.url());
    let mut reply = client.call(&provider, streamed()).await.unwrap();
    reply.body.next().await.unwrap().unwrap();
    let dropped = Instant::now();
    drop(reply);
    let upstream = tokio::task::spawn_blocking(move || {
        assert_gone(&upstream, dropped);
        upstream
    })
    .await
    .unwrap();
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn giving_up_a_call_that_waits_for_its_answer_aborts_the_upstream() {
    let upstream = Upstream::start(vec![Script::silent()]);
    let client = Client::new();
    let provider = provider(&upstream.url());
    let given_up = tokio::time::timeout(Duration::from_millis(50), client.call(&provider, call())).await;
    assert!(given_up.is_err());
    let dropped = Instant::now();
    tokio::task::spawn_blocking(move || assert_gone(&upstream, dropped)).await.unwrap();
}

#[tokio::test]
async fn dropping_a_whole_answers_body_in_the_middle_aborts_the_upstream() {
    let script = Script::json("{").piece_after(Duration::from_secs(30), "}");
    let upstream = Upstream::start(vec![script]);
    let client = Client::new();
    let provider = provider(&upstream.url());
    let mut reply = client.call(&provider, call()).await.unwrap();
    reply.body.next().await.unwrap().unwrap();
    let dropped = Instant::now();
    drop(reply);
    tokio::task::spawn_blocking(move || assert_gone(&upstream, dropped)).await.unwrap();
}

#[tokio::test]
async fn dropping_a_head_whose_body_hangs_aborts_the_upstream() {
    let upstream = Upstream::start(vec![Script::stream(["x"]).hang(Hang::AfterHeaders)]);
    let client = Client::new();
    let provider = provider(&upstream.url());
    let reply = client.call(&provider, streamed()).await.unwrap();
    let dropped = Instant::now();
    drop(reply);
    tokio::task::spawn_blocking(move || assert_gone(&upstream, dropped)).await.unwrap();
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_a_timeout_and_is_aborted() {
    for (streamed, kind) in [(true, FailureKind::TimeoutFirstToken), (false, FailureKind::TimeoutTotal)] {
        let upstream = Upstream::start(vec![Script::silent()]);
        let client = Client::new();
        let short = Duration::from_millis(60);
        let timeouts = Timeouts { first_token: short, total: short, ..Timeouts::default() };
        let started = Instant::now();
        let failure = client.call(&provider(&upstream.url()), Call { streamed, timeouts, ..call() }).await.unwrap_err();
        assert_eq!(failure.kind, kind);
        assert!(started.elapsed() >= short && started.elapsed() < 5 * SECOND);
        tokio::task::spawn_blocking(move || assert_gone(&upstream, started)).await.unwrap();
    }
}
