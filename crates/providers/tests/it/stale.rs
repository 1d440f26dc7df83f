//! What happens when a kept connection turns out to be dead.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use providers::{Call, Client};
use scripted::{After, Script, Upstream, chat_stream};
use wire::failure::FailureKind;

use super::{SECOND, ask, call, provider, provider_with, streamed};

fn closes_silently() -> Upstream {
    Upstream::start(vec![Script::stream(chat_stream(&["a"], false)).after(After::CloseSilently)])
}

#[tokio::test]
async fn an_upstream_that_closes_after_each_answer_without_a_word_costs_no_call() {
    let upstream = closes_silently();
    let provider = provider(&upstream.url());
    let client = Client::new();
    for _ in 0..200 {
        ask(&client, &provider, streamed()).await.unwrap();
    }
    assert_eq!(upstream.requests().len(), 200, "nothing was sent twice");
}

#[tokio::test]
async fn many_calls_at_once_over_connections_that_close_without_a_word_all_succeed() {
    let upstream = closes_silently();
    let provider = provider(&upstream.url());
    let client = Client::new();
    let one = async || {
        for _ in 0..25 {
            ask(&client, &provider, streamed()).await.unwrap();
        }
    };
    tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
    assert_eq!(upstream.requests().len(), 200, "nothing was sent twice");
}

#[tokio::test]
async fn a_close_that_the_runtime_has_not_seen_yet_costs_no_call_and_fires_the_hook_once() {
    let upstream = closes_silently();
    let provider = provider(&upstream.url());
    let client = Client::new();
    let n_fired: Rc<Cell<u32>> = Rc::default();
    for round in 1..=20 {
        let fired = Rc::clone(&n_fired);
        let sent: providers::Sent = Box::new(move || fired.set(fired.get() + 1));
        ask(&client, &provider, Call { sent: Some(sent), ..streamed() }).await.unwrap();
        assert_eq!(n_fired.get(), round);
        // The runtime's thread is held up, so it cannot look at its sockets while the close arrives.
        upstream.wait_until(SECOND, |received| received.iter().all(|request| request.answered.is_some()));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(upstream.requests().len(), 20, "nothing was sent twice");
}

#[tokio::test]
async fn a_request_that_was_read_and_then_dropped_is_not_sent_again() {
    let upstream = Upstream::start(vec![Script::json("{}").after(After::CloseOnNext)]);
    let provider = provider(&upstream.url());
    let client = Client::new();
    ask(&client, &provider, call()).await.unwrap();
    let failure = ask(&client, &provider, call()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Disconnected);
    assert!(failure.may_fail_over());
    assert_eq!(upstream.requests().len(), 2, "it may have been processed, so it was not sent a third time");
}

#[tokio::test]
async fn an_idle_connection_is_given_up_after_the_idle_timeout() {
    let upstream = Upstream::start(vec![Script::json("{}")]);
    let provider = provider_with(&upstream.url(), |config| config.idle_timeout = Duration::from_millis(20));
    let client = Client::new();
    ask(&client, &provider, call()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    ask(&client, &provider, call()).await.unwrap();
    assert_eq!(upstream.n_connections(), 2);
}
