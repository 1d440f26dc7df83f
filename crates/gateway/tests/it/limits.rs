//! How much may be called: what is refused, what every answer says, and that nothing stays taken, however a request ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use govern::limits::{Budget, Limits, Period};
use govern::{KeySpec, Routes, Subject};
use scripted::{Cut, Hang, Script, Upstream, chat_completion, chat_stream};

use crate::client::{Answer, Connection, post};
use crate::cost::price;
use crate::endpoints::change;
use crate::harness::{Gateway, PLAIN, STREAMED, Setup, until};

fn upstream() -> Upstream {
    Upstream::with(|request| {
        if request.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&["one", "two"], true))
        } else {
            Script::json(chat_completion("x"))
        }
    })
}

/// A stream that begins and does not go on.
fn endless() -> Script {
    Script::stream(chat_stream(&["one"], false)[..2].to_vec()).hang(Hang::AfterPieces)
}

fn limits(requests: u64, tokens: u64, concurrency: u32) -> Limits {
    Limits {
        requests_per_minute: requests.try_into().ok(),
        tokens_per_minute: tokens.try_into().ok(),
        concurrency: concurrency.try_into().ok(),
        budget: None,
    }
}

fn spec(limits: Limits, tenant: Option<&str>) -> KeySpec {
    KeySpec { routes: Routes::All, tenant: tenant.map(str::to_owned), limits, ..KeySpec::default() }
}

fn chat(gateway: &Gateway, key: &str, body: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/chat/completions", &[("api-key", key)], body.as_bytes());
    connection.answer().expect("an answer")
}

impl Gateway {
    /// Requests under way and tokens that have room, on the account of the route.
    fn route_stands(&self) -> (u32, u64) {
        let limits = self.snapshot.load().routes["gpt-4o"].limits;
        let now = self.accounts.moment(Instant::now(), 0);
        let account = self.accounts.of(Subject::Route("gpt-4o"));
        let mut account = account.lock();
        (account.in_flight(), account.standing(&limits, now).tokens.map_or(0, |tokens| tokens.1))
    }
}

/// Room in a bucket of 2 000 that leaks 33 tokens a second: what 1 050 reserved tokens leave has not as much within patience.
const BUCKET: u64 = 2_000;

#[track_caller]
fn settled(gateway: &Gateway, used: u64) {
    until(&format!("nothing is under way and at most {used} tokens are used"), || {
        let (in_flight, room) = gateway.route_stands();
        in_flight == 0 && room >= BUCKET - used
    });
}

#[track_caller]
fn refused(answer: &Answer, kind: &str, code: &str) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!((answer.error()["type"].as_str(), answer.error()["code"].as_str()), (Some(kind), Some(code)));
    assert_eq!(answer.header("x-crossfade-origin"), Some("caller"));
}

fn number(answer: &Answer, name: &str) -> Option<u64> {
    answer.header(name)?.parse().ok()
}

#[test]
fn requests_of_a_key_beyond_its_limit_are_refused_and_told_when_to_come_back() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).keys_required().start();
    let key = gateway.key("app", spec(limits(3, 0, 0), None), None);
    let other = gateway.key("other", spec(limits(3, 0, 0), None), None);
    for (left, body) in [(2, PLAIN), (1, STREAMED), (0, PLAIN)] {
        let answer = chat(&gateway, &key, body);
        assert_eq!(answer.status, 200);
        assert_eq!(number(&answer, "x-ratelimit-limit-requests"), Some(3));
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), Some(left));
        assert!(answer.header("x-ratelimit-reset-requests").unwrap().ends_with('s'));
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), None, "what is not limited is not shown");
    }
    let over = chat(&gateway, &key, PLAIN);
    refused(&over, "requests", "rate_limit_exceeded");
    assert_eq!(over.header("x-should-retry"), None);
    let (seconds, ms) = (number(&over, "retry-after").unwrap(), number(&over, "retry-after-ms").unwrap());
    assert!(seconds == 20 && (15_000..=20_000).contains(&ms), "{seconds} s, {ms} ms");
    assert!(over.text().contains("limit 3. Please try again in "), "{}", over.text());
    assert_eq!(number(&over, "x-ratelimit-remaining-requests"), Some(0));
    assert_eq!(chat(&gateway, &other, PLAIN).status, 200, "each key has its own");
    assert_eq!(upstream.requests().len(), 4);
    assert_eq!(gateway.serving.totals().refused["request_limit"], 1);
    gateway.exchanges(4);
}

#[test]
fn how_a_caller_stands_is_on_every_answer() {
    let bad = Upstream::start(vec![
        Script::error(400, "invalid_request_error", "no").header("x-ratelimit-remaining-requests", "12345"),
        Script::error(500, "server_error", "boom"),
        Script::json(chat_completion("x")).header("x-ratelimit-limit-tokens", "999"),
    ]);
    let mut setup = Setup::to(&[&bad]).keys_required();
    setup.retries.max_attempts = Some(1);
    let gateway = setup.start();
    let key = gateway.key("app", spec(limits(100, 100_000, 0), None), None);
    let ask = |method: &str, path: &str, body: &str| {
        let mut connection = Connection::open(gateway.addr);
        connection.send(method, path, &[("api-key", &key)], body.as_bytes());
        connection.answer().unwrap()
    };
    for (method, path, body, status, remaining) in [
        ("POST", "/v1/chat/completions", PLAIN, 400, 99),
        ("POST", "/v1/chat/completions", PLAIN, 502, 98),
        ("POST", "/v1/chat/completions", PLAIN, 200, 97),
        ("POST", "/v1/chat/completions", "{", 400, 97),
        ("POST", "/v1/chat/completions", r#"{"model":"nope","messages":[]}"#, 404, 97),
        ("GET", "/v1/models", "", 200, 97),
        ("GET", "/v1/nothing", "", 404, 97),
    ] {
        let answer = ask(method, path, body);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), Some(remaining), "{path} {body}");
        assert_eq!(number(&answer, "x-ratelimit-limit-tokens"), Some(100_000));
        assert!(number(&answer, "x-ratelimit-remaining-tokens").is_some_and(|tokens| tokens > 98_000));
        for header in ["x-ratelimit-limit-requests", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"] {
            assert!(answer.header(header).is_some(), "{header}");
        }
    }
}

#[test]
fn tokens_are_reserved_at_their_worst_and_settled_by_what_the_provider_counted() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).route_limits(limits(0, BUCKET, 0)).start();
    let first = post(gateway.addr, PLAIN);
    let after = number(&first, "x-ratelimit-remaining-tokens").unwrap();
    // 93 bytes of prompt, and the 1 024 tokens that are assumed.
    assert_eq!(after, BUCKET - 1_024 - (PLAIN.len() as u64).div_ceil(3));
    settled(&gateway, 12);
    assert_eq!(post(gateway.addr, STREAMED).status, 200);
    settled(&gateway, 24);
    let small = PLAIN.replace("\"unknown", "\"max_tokens\":5,\"n\":2,\"unknown");
    let answer = post(gateway.addr, &small);
    let taken = 10 + (small.len() as u64).div_ceil(3);
    let remaining = number(&answer, "x-ratelimit-remaining-tokens").unwrap();
    assert!((BUCKET - 24 - taken..=BUCKET - taken).contains(&remaining), "{remaining}");
}

#[test]
fn tokens_beyond_the_limit_are_refused_and_what_never_fits_is_told_apart() {
    let hanging = Upstream::start(vec![endless()]);
    let gateway = Setup::to(&[&hanging]).route_limits(limits(0, BUCKET, 0)).start();
    let mut under_way = Connection::open(gateway.addr);
    under_way.post(STREAMED);
    assert_eq!(under_way.head().unwrap().status, 200);
    let over = post(gateway.addr, PLAIN);
    refused(&over, "tokens", "rate_limit_exceeded");
    assert!(number(&over, "retry-after").is_some_and(|seconds| (1..=60).contains(&seconds)));
    for fields in [r#""max_tokens":2001,"#, r#""max_tokens":18446744073709551615,"#, r#""max_tokens":700,"n":3,"#] {
        let never = post(gateway.addr, &PLAIN.replace("\"unknown", &format!("{fields}\"unknown")));
        refused(&never, "tokens", "rate_limit_exceeded");
        assert_eq!((never.header("x-should-retry"), never.header("retry-after")), (Some("false"), None), "{fields}");
        assert!(never.text().contains("Request too large"), "{}", never.text());
    }
    assert_eq!(hanging.requests().len(), 1);
    assert_eq!(gateway.serving.totals().refused["token_limit"], 4);
}

#[test]
fn only_so_many_requests_are_under_way_at_once() {
    let hanging = Upstream::start(vec![endless()]);
    let gateway = Setup::to(&[&hanging]).route_limits(limits(0, 0, 2)).start();
    let mut streams: Vec<Connection> = (0..2).map(|_| Connection::open(gateway.addr)).collect();
    for stream in &mut streams {
        stream.post(STREAMED);
        assert_eq!(stream.head().unwrap().status, 200);
    }
    let over = post(gateway.addr, STREAMED);
    refused(&over, "requests", "rate_limit_exceeded");
    assert_eq!(number(&over, "retry-after"), Some(1));
    assert_eq!(gateway.serving.totals().refused["concurrency_limit"], 1);
    drop(streams.pop());
    until("the place of the caller that left is free", || {
        let mut next = Connection::open(gateway.addr);
        next.post(STREAMED);
        next.head().unwrap().status == 200
    });
}

#[test]
fn nothing_stays_taken_however_a_request_ends() {
    type Ends = (&'static str, Script, &'static str, u64);
    let stream = chat_stream(&["one", "two"], true);
    let cut_at = stream[0].len() + stream[1].len();
    let ends: Vec<Ends> = vec![
        ("whole", Script::json(chat_completion("x")), PLAIN, 12),
        ("stream", Script::stream(stream.clone()), STREAMED, 11),
        ("refused by the provider", Script::error(400, "invalid_request_error", "no"), PLAIN, 0),
        ("failed", Script::error(500, "server_error", "boom"), PLAIN, 0),
        ("not the dialect", Script::json("<html>"), PLAIN, 0),
        ("reset before an answer", Script::hang_up(Cut::Rst), PLAIN, 0),
        ("no answer in time", Script::silent(), PLAIN, 0),
        // Two events came and no usage: the prompt, and what the bytes make.
        ("stream cut", Script::stream(stream.clone()).cut_after(cut_at, Cut::Fin), STREAMED, 40),
        ("stream stalled", Script::stream(stream[..2].to_vec()).hang(Hang::AfterPieces), STREAMED, 40),
    ];
    for (what, script, body, used) in ends {
        let upstream = Upstream::start(vec![script]);
        let gateway = Setup::to(&[&upstream])
            .route_limits(limits(0, BUCKET, 1))
            .timeouts(|timeouts| {
                timeouts.first_token = Duration::from_millis(100);
                timeouts.inter_token = Duration::from_millis(100);
                timeouts.total = Duration::from_millis(200);
            })
            .start();
        let answer = post(gateway.addr, body);
        assert_ne!(answer.status, 429, "{what}");
        settled(&gateway, used);
    }
}

#[test]
fn a_caller_that_leaves_gives_its_place_back_at_every_point() {
    for (what, script, body) in [
        ("before the answer", Script::silent(), PLAIN),
        ("before the stream", Script::silent(), STREAMED),
        ("in the stream", endless(), STREAMED),
    ] {
        let upstream = Upstream::start(vec![script]);
        let gateway = Setup::to(&[&upstream]).route_limits(limits(0, BUCKET, 1)).start();
        let mut caller = Connection::open(gateway.addr);
        caller.post(body);
        upstream.wait_for(1, crate::client::PATIENCE);
        assert_eq!(gateway.route_stands().0, 1, "{what}");
        if what == "in the stream" {
            caller.head().unwrap();
        }
        drop(caller);
        settled(&gateway, 40);
        gateway.exchanges(1);
    }
}

#[test]
fn every_target_that_was_paid_for_counts() {
    let stream = chat_stream(&["one", "two"], true);
    let bad = Upstream::start(vec![Script::json(r#"{"error":{"message":"no","type":"server_error"}}"#)]);
    let good = Upstream::start(vec![Script::stream(stream)]);
    let gateway = Setup::to(&[&bad, &good]).falling_back_to(&["b"]).route_limits(limits(10, BUCKET, 1)).start();
    let answer = post(gateway.addr, STREAMED);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("b")));
    assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), Some(9), "one request, however many attempts");
    // An error that came with 200 has bytes that somebody may have paid for: the prompt, and what the bytes make.
    settled(&gateway, 11 + 26 + 13);
}

#[test]
fn a_key_its_tenant_and_the_route_each_have_a_say_and_a_refusal_by_one_costs_the_others_nothing() {
    let upstream = upstream();
    let mut setup = Setup::to(&[&upstream]).keys_required().route_limits(limits(100, 0, 0));
    setup.tenants.insert("acme".to_owned(), limits(5, 0, 0));
    let gateway = setup.start();
    let strict = gateway.key("strict", spec(limits(2, 0, 0), Some("acme")), None);
    let free = gateway.key("free", spec(Limits::default(), Some("acme")), None);
    let outside = gateway.key("outside", spec(Limits::default(), None), None);
    let shown = |answer: &Answer| {
        (number(answer, "x-ratelimit-limit-requests"), number(answer, "x-ratelimit-remaining-requests"))
    };
    assert_eq!(shown(&chat(&gateway, &strict, PLAIN)), (Some(2), Some(1)), "the tightest is shown");
    assert_eq!(chat(&gateway, &strict, PLAIN).status, 200);
    for _ in 0..3 {
        let over = chat(&gateway, &strict, PLAIN);
        refused(&over, "requests", "rate_limit_exceeded");
        assert!(over.text().contains("for this API key"), "{}", over.text());
    }
    assert_eq!(shown(&chat(&gateway, &free, PLAIN)), (Some(5), Some(2)), "three that were refused took nothing");
    for _ in 0..2 {
        assert_eq!(chat(&gateway, &free, PLAIN).status, 200);
    }
    let over = chat(&gateway, &free, PLAIN);
    refused(&over, "requests", "rate_limit_exceeded");
    assert!(over.text().contains("for tenant `acme`"), "{}", over.text());
    assert_eq!(shown(&chat(&gateway, &outside, PLAIN)), (Some(100), Some(94)));
}

#[test]
fn limits_change_with_a_reload_and_what_was_used_stays_used() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).keys_required().start();
    let key = gateway.key("app", spec(Limits::default(), None), None);
    assert_eq!(chat(&gateway, &key, PLAIN).header("x-ratelimit-limit-requests"), None);
    let set = |n: u64| change(&gateway, |snapshot| snapshot.auth.key_limits = limits(n, 0, 0));
    set(2);
    assert_eq!(number(&chat(&gateway, &key, PLAIN), "x-ratelimit-remaining-requests"), Some(1));
    assert_eq!(number(&chat(&gateway, &key, PLAIN), "x-ratelimit-remaining-requests"), Some(0));
    set(3);
    assert_eq!(number(&chat(&gateway, &key, PLAIN), "x-ratelimit-remaining-requests"), Some(0));
    refused(&chat(&gateway, &key, PLAIN), "requests", "rate_limit_exceeded");
    set(1);
    refused(&chat(&gateway, &key, PLAIN), "requests", "rate_limit_exceeded");
}

#[test]
fn many_at_once_never_pass_the_limit() {
    let upstream = upstream();
    let gateway = Arc::new(Setup::to(&[&upstream]).keys_required().start());
    let key = gateway.key("app", spec(limits(40, 0, 0), None), None);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (gateway, key) = (Arc::clone(&gateway), key.clone());
            std::thread::spawn(move || (0..10).filter(|_| chat(&gateway, &key, PLAIN).status == 200).count())
        })
        .collect();
    let began = Instant::now();
    let n_ok: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
    // One more has room every 1.5 s.
    let leaked = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!((40..=40 + leaked).contains(&n_ok), "{n_ok}");
    assert_eq!(upstream.requests().len(), n_ok);
}

/// A dollar per million tokens either way: a token is 1 000 nano-dollars. Target `b` has no price.
const SHEET: &str = r#"{ "source": "a test", "checked": "2026-11-25", "models": [
  { "vendor": "acme", "id": "model-a", "prices": [{ "rates": { "input": 1, "output": 1 } }] } ] }"#;

fn budget(tokens: u64) -> Limits {
    Limits { budget: Some(Budget { nanos: tokens * 1_000, per: Period::Total }), ..Limits::default() }
}

impl Gateway {
    /// Tokens' worth that the account of the route has spent.
    fn spent(&self) -> u64 {
        self.accounts.of(Subject::Route("gpt-4o")).lock().kept().nanos / 1_000
    }
}

#[track_caller]
fn out_of_money(answer: &Answer) {
    refused(answer, "insufficient_quota", "insufficient_quota");
    assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None));
}

#[test]
fn a_budget_reserves_the_worst_case_and_is_charged_what_it_came_to() {
    let upstream = upstream();
    // Room for the worst of one request, and after one that came to 12 tokens, for another.
    let worst = 1_024 + (PLAIN.len() as u64).div_ceil(3);
    let gateway = Setup::to(&[&upstream]).route_limits(budget(worst + 12)).start();
    price(&gateway, SHEET);
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    until("12 tokens are spent", || gateway.spent() == 12);
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    until("24 tokens are spent", || gateway.spent() == 24);
    let over = post(gateway.addr, PLAIN);
    out_of_money(&over);
    assert!(over.text().contains("The budget of model `gpt-4o` is used up, or would be"), "{}", over.text());
    let small = PLAIN.replace("\"unknown", "\"max_completion_tokens\":9,\"unknown");
    assert_eq!(post(gateway.addr, &small).status, 200, "who asks for less has room");
    let huge = PLAIN.replace("\"unknown", "\"max_tokens\":100000,\"unknown");
    let never = post(gateway.addr, &huge);
    out_of_money(&never);
    assert!(never.text().contains("Request too large for the budget"), "{}", never.text());
    assert_eq!(gateway.serving.totals().refused["budget_limit"], 2);
    gateway.exchanges(3);
}

#[test]
fn money_is_given_back_however_a_request_ends_and_cut_answers_are_charged_by_their_bytes() {
    let stream = chat_stream(&["one", "two"], true);
    let cut_at = stream[0].len() + stream[1].len();
    let prompt = (STREAMED.len() as u64).div_ceil(3);
    let bytes = (cut_at as u64) / 150;
    for (what, script, body, tokens) in [
        ("whole", Script::json(chat_completion("x")), PLAIN, 12),
        ("stream", Script::stream(stream.clone()), STREAMED, 11),
        ("refused by the provider", Script::error(400, "invalid_request_error", "no"), PLAIN, 0),
        ("failed", Script::error(500, "server_error", "boom"), PLAIN, 0),
        ("stream cut", Script::stream(stream.clone()).cut_after(cut_at, Cut::Fin), STREAMED, prompt + bytes),
    ] {
        let upstream = Upstream::start(vec![script]);
        let mut setup =
            Setup::to(&[&upstream]).route_limits(Limits { concurrency: 1.try_into().ok(), ..budget(2_000) });
        setup.retries.max_attempts = Some(1);
        let gateway = setup.start();
        price(&gateway, SHEET);
        assert_ne!(post(gateway.addr, body).status, 429, "{what}");
        until(what, || gateway.route_stands().0 == 0 && gateway.spent() == tokens);
    }
}

#[test]
fn what_has_no_price_is_refused_where_there_is_a_budget_and_only_there() {
    let (a, b) = (upstream(), upstream());
    let gateway = Setup::to(&[&a, &b]).keys_required().start();
    price(&gateway, SHEET);
    let key = gateway.key("app", spec(budget(1_000_000), None), None);
    let free = gateway.key("free", spec(Limits::default(), None), None);
    let unpriced = PLAIN.replace("gpt-4o", "to-b-directly");
    let refusal = chat(&gateway, &key, &unpriced);
    out_of_money(&refusal);
    let words = "The price of `to-b-directly` is not known, and this API key has a budget";
    assert!(refusal.text().contains(words), "{}", refusal.text());
    assert_eq!(chat(&gateway, &free, &unpriced).status, 200);
    assert_eq!(chat(&gateway, &key, PLAIN).status, 200);
    assert_eq!((a.requests().len(), b.requests().len()), (1, 1));
}

#[test]
fn a_fallback_without_a_price_takes_over_and_is_charged_as_what_was_reserved() {
    let bad = Upstream::start(vec![Script::error(500, "server_error", "boom")]);
    let good = upstream();
    let mut setup = Setup::to(&[&bad, &good]).falling_back_to(&["b"]).route_limits(budget(5_000));
    setup.retries.max_attempts = Some(2);
    let gateway = setup.start();
    price(&gateway, SHEET);
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("b")));
    let reserved = 1_024 + (PLAIN.len() as u64).div_ceil(3);
    until("what was reserved is spent", || gateway.spent() == reserved);
}

#[test]
fn what_was_spent_outlives_the_process() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).route_limits(budget(2_000)).start();
    price(&gateway, SHEET);
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    until("12 tokens are spent", || gateway.spent() == 12);
    gateway.keeper.stop();
    let next = govern::Keeper::start(store::Database::open(gateway.database.path()).unwrap()).unwrap();
    assert_eq!(next.accounts().of(Subject::Route("gpt-4o")).lock().kept().nanos, 12_000);
}
