use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;

use providers::{BaseUrl, Call, Client, Dialect, ProviderConfig, Shared};
use scripted::{After, Framing, Script, Upstream, chat_completion, chat_stream};
use wire::failure::FailureKind;
use wire::private::Private;
use wire::splice::{Edit, Pieces};

use super::{BODY, SECOND, ask, call, provider, provider_with, spliced, streamed};

#[tokio::test]
async fn a_call_sends_the_spliced_body_and_only_the_headers_on_the_list() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("hi"))]);
    let provider = provider_with(&upstream.url(), |config| config.api_key = Some(Private::new("sk-own".to_owned())));
    let request_id = Some(HeaderValue::from_static("req-1"));
    let client = Client::new();
    let answer = ask(&client, &provider, Call { body: spliced(), request_id, ..call() }).await.unwrap();
    assert_eq!(answer, chat_completion("hi"));

    let seen = &upstream.requests()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(seen.text(), BODY.replace("gpt-4o", "tiny"));
    let mut headers: Vec<(&str, &str)> = seen.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    headers.sort_unstable();
    let host = upstream.addr().to_string();
    let length = seen.body.len().to_string();
    assert_eq!(
        headers,
        [
            ("accept", "application/json"),
            ("authorization", "Bearer sk-own"),
            ("content-length", length.as_str()),
            ("content-type", "application/json"),
            ("host", host.as_str()),
            ("user-agent", concat!("crossfade/", env!("CARGO_PKG_VERSION"))),
            ("x-request-id", "req-1"),
        ]
    );
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection() {
    let upstream = Upstream::start(vec![Script::json("{}"), Script::stream(chat_stream(&["a"], false))]);
    let provider = provider(&upstream.url());
    let client = Client::new();
    for _ in 0..10 {
        ask(&client, &provider, streamed()).await.unwrap();
    }
    assert_eq!((upstream.requests().len(), upstream.n_connections()), (10, 1));
    assert_eq!(upstream.requests()[0].header("accept"), Some("text/event-stream"));
    client.close().await;
}

#[tokio::test]
async fn a_streams_pieces_come_as_they_are_sent() {
    let events = chat_stream(&["one ", "two"], true);
    let upstream = Upstream::start(vec![Script::stream(events.clone()).pace(Duration::from_millis(5))]);
    let provider = provider(&upstream.url());
    let client = Client::new();
    let mut reply = client.call(&provider, streamed()).await.unwrap();
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let mut pieces = Vec::new();
    while let Some(piece) = reply.body.next().await {
        pieces.push(String::from_utf8(piece.unwrap().to_vec()).unwrap());
    }
    assert_eq!(pieces.concat(), events.concat());
    assert!(pieces.len() > 1);
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_its_connection() {
    let upstream = Upstream::start(vec![Script::json("{\"a\":1}").framing(Framing::UntilClose)]);
    let client = Client::new();
    assert_eq!(ask(&client, &provider(&upstream.url()), call()).await.unwrap(), "{\"a\":1}");
}

#[tokio::test]
async fn the_hook_fires_when_the_request_is_out_and_before_the_answer() {
    let upstream = Upstream::start(vec![Script::json("{}").delay(Duration::from_millis(50))]);
    let provider = provider(&upstream.url());
    let client = Client::new();
    let fired: Rc<Cell<Option<Instant>>> = Rc::default();
    let hook = Rc::clone(&fired);
    let sent: providers::Sent = Box::new(move || hook.set(Some(Instant::now())));
    ask(&client, &provider, Call { sent: Some(sent), body: spliced(), ..call() }).await.unwrap();
    let seen = &upstream.requests()[0];
    let fired = fired.get().expect("the hook fired");
    assert!(fired < seen.at + Duration::from_millis(40), "it fired with the answer");
}

#[tokio::test]
async fn the_hook_does_not_fire_when_there_is_no_connection() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fired: Rc<Cell<bool>> = Rc::default();
    let hook = Rc::clone(&fired);
    let call = Call { sent: Some(Box::new(move || hook.set(true))), ..call() };
    let failure = ask(&Client::new(), &provider(&format!("http://{unused}")), call).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Connect);
    assert!(!fired.get());
}

#[tokio::test]
async fn a_large_prompt_arrives_whole_in_turns_and_with_pauses() {
    for pause in [Duration::ZERO, Duration::from_millis(1)] {
        let upstream = Upstream::start(vec![Script::json("{}")]);
        let prompt = "x".repeat(3 << 20);
        let body = Pieces::of(Bytes::from(prompt.clone()), &[Edit::new(10..11, "y")]);
        let began = Instant::now();
        ask(&Client::new(), &provider(&upstream.url()), Call { body, pause, ..call() }).await.unwrap();
        assert!(began.elapsed() >= pause * 10, "a turn of the others after each 256 KiB");
        let seen = upstream.requests()[0].text();
        assert!(seen.len() == prompt.len() && seen.starts_with("xxxxxxxxxxy"));
    }
}

#[tokio::test]
async fn calls_above_the_limit_are_refused_and_finished_ones_make_room() {
    let upstream = Upstream::start(vec![Script::stream(chat_stream(&["a"], false)).after(After::KeepAlive)]);
    let provider = provider_with(&upstream.url(), |config| config.max_connections = 1);
    let client = Client::new();
    let first = client.call(&provider, streamed()).await.unwrap();
    assert_eq!(provider.in_flight(), 1);
    let refused = client.call(&provider, streamed()).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Capacity);
    drop(first);
    assert_eq!(provider.in_flight(), 0);
    ask(&client, &provider, streamed()).await.unwrap();
}

#[tokio::test]
async fn a_reload_with_the_same_identity_keeps_limits_and_connections() {
    let upstream = Upstream::start(vec![Script::json("{}")]);
    let shared = Shared::new();
    let config = || ProviderConfig::new("test", Dialect::Openai, BaseUrl::parse(&upstream.url()).unwrap());
    let before = shared.provider(Arc::new(config())).unwrap();
    let mut changed = config();
    changed.timeouts.total = SECOND;
    let after = shared.provider(Arc::new(changed)).unwrap();
    let client = Client::new();
    ask(&client, &before, call()).await.unwrap();
    client.retain(&[after.identity()]);
    ask(&client, &after, call()).await.unwrap();
    assert_eq!(upstream.n_connections(), 1);
    let other_lane = shared.lane().provider(Arc::new(config())).unwrap();
    let under_way = client.call(&before, call()).await.unwrap();
    assert_eq!((before.in_flight(), after.in_flight()), (1, 1));
    assert_eq!(other_lane.in_flight(), 0, "the shadow has its own limit");
    drop(under_way);
}

#[tokio::test]
async fn a_provider_is_forgotten_once_it_is_in_no_config_and_nobody_has_it() {
    let shared = Shared::new();
    let provider = || {
        let config = ProviderConfig::simulated("test", providers::simulated::SimulatedConfig::default());
        shared.provider(Arc::new(config)).unwrap()
    };
    let (first, lane) = (provider(), shared.lane());
    let in_lane = lane.provider(Arc::new(first.config().clone())).unwrap();
    let is_the_same = |server: &Option<Arc<providers::simulated::Simulated>>| {
        server.as_ref().is_some_and(|server| Arc::ptr_eq(server, first.simulated().unwrap()))
    };
    shared.retain(&[]);
    assert!(is_the_same(&shared.simulated("test")), "somebody has it");
    drop(in_lane);
    lane.retain(&[]);
    assert!(is_the_same(&shared.simulated("test")), "another lane has it");
    drop(first);
    shared.retain(&[]);
    assert!(shared.simulated("test").is_none());
}
