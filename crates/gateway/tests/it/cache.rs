//! The cache of a route: who gets which answer again, and that nobody else does.

use std::sync::Arc;
use std::time::Duration;

use gateway::snapshot::{CacheScope, Cacheable, Caching, Route, Snapshot, Target};
use govern::{KeySpec, Routes};
use scripted::{Script, Upstream, chat_completion, chat_stream};

use crate::client::{Answer, Connection};
use crate::cost::price;
use crate::harness::{Gateway, Setup, rollout, until};

const SHEET: &str = r#"{ "source": "a test", "checked": "2026-11-25", "models": [
  { "vendor": "acme", "id": "model-a", "prices": [{ "rates": { "input": 2, "output": 10 } }] } ] }"#;

/// Every answer says another thing, streamed if so asked.
fn counting() -> Upstream {
    let n = std::sync::atomic::AtomicUsize::new(0);
    Upstream::with(move |request| {
        let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        if request.text().contains(r#""stream":true"#) {
            Script::stream(chat_stream(&["answer ", &n], true))
        } else {
            Script::json(chat_completion(&format!("answer {n}")))
        }
    })
}

fn set(gateway: &Gateway, change: impl Fn(&mut Snapshot)) {
    let mut snapshot: Snapshot = (*gateway.snapshot.load_full()).clone();
    change(&mut snapshot);
    gateway.snapshot.store(Arc::new(snapshot));
}

/// Gives `gpt-4o` this cache.
fn caching(gateway: &Gateway, caching: &Caching) {
    set(gateway, |snapshot| {
        let route = Route { cache: Some(caching.clone()), ..(*snapshot.routes["gpt-4o"]).clone() };
        snapshot.routes.insert("gpt-4o".to_owned(), Arc::new(route));
    });
}

fn start(upstream: &Upstream) -> Gateway {
    let gateway = Setup::to(&[upstream]).start();
    caching(&gateway, &Caching::default());
    gateway
}

fn ask(gateway: &Gateway, headers: &[(&str, &str)], more: &str) -> Answer {
    let body = format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", "/v1/chat/completions", headers, body.as_bytes());
    connection.answer().expect("an answer")
}

const COLD: &str = r#","temperature":0"#;

/// What `x-crossfade-cache` says of these, one after the other.
#[track_caller]
fn says(gateway: &Gateway, asked: &[(&[(&str, &str)], &str)], expected: &[&str]) {
    let said: Vec<_> = asked
        .iter()
        .map(|(headers, more)| {
            let answer = ask(gateway, headers, more);
            assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
            answer.header("x-crossfade-cache").unwrap_or("-").to_owned()
        })
        .collect();
    assert_eq!(said, expected);
}

#[test]
fn the_same_request_gets_the_same_answer_again_and_nobody_is_called() {
    let upstream = counting();
    let gateway = start(&upstream);
    price(&gateway, SHEET);
    let first = ask(&gateway, &[], COLD);
    assert_eq!((first.header("x-crossfade-cache"), first.header("x-crossfade-target")), (Some("miss"), Some("a")));
    let again = ask(&gateway, &[], COLD);
    assert_eq!((again.status, again.header("x-crossfade-cache")), (200, Some("hit")));
    assert_eq!((again.header("x-crossfade-target"), again.header("age")), (Some("cache"), Some("0")));
    assert_eq!((&again.body, again.header("content-type")), (&first.body, first.header("content-type")));
    assert_ne!(again.header("x-crossfade-exchange-id"), first.header("x-crossfade-exchange-id"));
    assert_eq!(upstream.requests().len(), 1);
    let exchange = gateway.exchanges(2).remove(0);
    assert_eq!(exchange.exchange.served_by.as_deref(), Some("cache"));
    assert_eq!((exchange.exchange.outcome.as_str(), exchange.attempts.len()), ("complete", 0));
    let cost = exchange.exchange.cost.as_ref().unwrap();
    assert_eq!((cost.nanos, cost.row.as_deref()), (Some(0), Some("cache")));
    let because = exchange.exchange.decisions[0]["because"].as_str().unwrap();
    assert_eq!(
        because,
        format!("the answer of exchange {}, 0 s old", first.header("x-crossfade-exchange-id").unwrap())
    );
    let body = gateway.database.body(exchange.exchange.id, store::BodyKind::Answer).unwrap().unwrap();
    assert_eq!(body.expose(), &first.body, "on record is what the caller got");
    let totals = &gateway.serving.totals().choices.caches["gpt-4o"];
    let paid = gateway.exchanges(2).remove(1).exchange.cost.unwrap().nanos.unwrap();
    assert!(paid > 0);
    assert_eq!((totals.results["hit"], totals.results["miss"], totals.saved_nanos), (1, 1, paid));
    let status = &gateway.serving.cache_statuses()[0];
    assert_eq!((status.route.as_str(), status.n_answers), ("gpt-4o", 1));
    assert!(status.n_bytes > first.body.len() as u64);
}

#[test]
fn a_stream_is_given_again_as_the_stream_it_was() {
    let upstream = counting();
    let gateway = start(&upstream);
    let streamed = r#","temperature":0,"stream":true"#;
    let first = ask(&gateway, &[], streamed);
    let again = ask(&gateway, &[], streamed);
    assert_eq!((first.header("x-crossfade-cache"), again.header("x-crossfade-cache")), (Some("miss"), Some("hit")));
    assert_eq!(again.header("content-type"), Some("text/event-stream"));
    assert!(again.whole && again.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(again.text(), first.text());
    assert!(!again.text().contains("usage"), "what Crossfade asked for was cut before it was kept");
    let other = ask(&gateway, &[], r#","temperature":0,"stream":true,"stream_options":{"include_usage":true}"#);
    assert_eq!(other.header("x-crossfade-cache"), Some("miss"));
    assert!(other.text().contains("usage"));
    says(&gateway, &[(&[], COLD)], &["miss"]);
}

#[test]
fn no_tenant_sees_what_another_was_told() {
    for (scope, expected) in [
        (CacheScope::Tenant, ["miss", "hit", "miss", "miss", "miss"]),
        (CacheScope::Key, ["miss", "miss", "miss", "miss", "miss"]),
        (CacheScope::Route, ["miss", "hit", "hit", "hit", "hit"]),
    ] {
        let upstream = counting();
        let gateway = Setup::to(&[&upstream]).keys_required().start();
        caching(&gateway, &Caching { scope, ..Caching::default() });
        let key = |name: &str, tenant: Option<&str>| {
            let spec = KeySpec { routes: Routes::All, tenant: tenant.map(str::to_owned), ..KeySpec::default() };
            format!("Bearer {}", gateway.key(name, spec, None))
        };
        let keys =
            [key("a", Some("shop")), key("b", Some("shop")), key("c", Some("bank")), key("d", None), key("e", None)];
        let said = keys.map(|key| {
            let answer = ask(&gateway, &[("authorization", &key), ("x-crossfade-tenant-id", "shop")], COLD);
            answer.header("x-crossfade-cache").unwrap().to_owned()
        });
        assert_eq!(said, expected, "{scope:?}");
    }
}

#[test]
fn callers_may_keep_out_of_it_or_ask_for_a_newer_answer() {
    let upstream = counting();
    let gateway = start(&upstream);
    let no_store: &[(&str, &str)] = &[("cache-control", "no-store")];
    let no_cache: &[(&str, &str)] = &[("cache-control", "no-cache")];
    let fresh: &[(&str, &str)] = &[("cache-control", "max-age=0")];
    says(
        &gateway,
        &[(no_store, COLD), (&[], COLD), (no_store, COLD), (&[], COLD)],
        &["bypass", "miss", "bypass", "hit"],
    );
    says(&gateway, &[(no_cache, COLD), (fresh, COLD)], &["miss", "miss"]);
    let newest = ask(&gateway, &[], COLD);
    assert_eq!(newest.header("x-crossfade-cache"), Some("hit"));
    assert!(newest.text().contains("answer 4"), "the newest of five: {}", newest.text());
}

#[test]
fn only_requests_for_the_same_answer_every_time_unless_the_route_says_any() {
    let upstream = counting();
    let gateway = start(&upstream);
    let asked = [
        "",
        r#","temperature":0.7"#,
        r#","temperature":0.7,"seed":1"#,
        r#","temperature":0,"store":true"#,
        r#","temperature":0,"n":2"#,
    ];
    let asked = asked.map(|more| (&[][..], more));
    says(&gateway, &asked, &["bypass", "bypass", "miss", "bypass", "bypass"]);
    let searching = (&[][..], r#","temperature":0,"web_search_options":{}"#);
    says(&gateway, &[searching], &["bypass"]);
    caching(&gateway, &Caching { requests: Cacheable::Any, ..Caching::default() });
    says(&gateway, &[(&[], ""), (&[], ""), searching], &["miss", "hit", "bypass"]);
}

#[test]
fn only_good_answers_are_kept() {
    let answer = |content: &str, finish: &str| {
        Script::json(format!(
            r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"}},"finish_reason":"{finish}"}}]}}"#
        ))
    };
    let json = r#","temperature":0,"response_format":{"type":"json_object"}"#;
    let streamed = r#","temperature":0,"stream":true"#;
    let mut cut = chat_stream(&["half"], false);
    cut.truncate(2);
    for (script, more) in [
        (answer("cut", "length"), COLD),
        (answer("", "content_filter"), COLD),
        (answer("not json", "stop"), json),
        (Script::status(500), COLD),
        (Script::stream(cut), streamed),
    ] {
        let upstream = Upstream::start(vec![script]);
        let gateway = start(&upstream);
        for _ in 0..2 {
            assert_eq!(ask(&gateway, &[], more).header("x-crossfade-cache"), Some("miss"), "{more}");
        }
        assert_eq!(gateway.serving.cache_statuses()[0].n_answers, 0);
    }
    // Nor is the answer of a fallback, which is no answer of the route's target.
    let (a, b) = (Upstream::start(vec![Script::status(503)]), counting());
    let gateway = Setup::to(&[&a, &b]).falling_back_to(&["b"]).start();
    caching(&gateway, &Caching::default());
    says(&gateway, &[(&[], COLD), (&[], COLD)], &["miss", "miss"]);
}

#[test]
fn a_request_in_a_live_rollout_neither_reads_nor_fills_it() {
    let (a, b) = (counting(), counting());
    let live = rollout(0.5, 1.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    caching(&gateway, &Caching { requests: Cacheable::Any, ..Caching::default() });
    let n = 10;
    says(&gateway, &vec![(&[][..], COLD); n], &vec!["bypass"; n]);
    let exchanges = gateway.exchanges(n);
    assert!(exchanges.iter().all(|exchange| exchange.exchange.arm.is_some() && !exchange.attempts.is_empty()));
    until("every request or its copy reached both", || a.requests().len() + b.requests().len() >= n);
    assert!(gateway.serving.cache_statuses().is_empty(), "there is not even one");
}

#[test]
fn another_target_another_prompt_or_time_makes_it_another_answer() {
    let upstream = counting();
    let gateway = start(&upstream);
    says(&gateway, &[(&[], COLD), (&[], COLD)], &["miss", "hit"]);
    set(&gateway, |snapshot| {
        // What the config makes of a changed target, prompt variant or parameter.
        let target = Target { fingerprint: "another".to_owned(), ..(*snapshot.targets["a"]).clone() };
        snapshot.targets.insert("a".to_owned(), Arc::new(target));
    });
    says(&gateway, &[(&[], COLD), (&[], COLD)], &["miss", "hit"]);
    caching(&gateway, &Caching { ttl: Duration::from_nanos(1), ..Caching::default() });
    says(&gateway, &[(&[], COLD), (&[], COLD)], &["miss", "miss"]);
    set(&gateway, |snapshot| {
        let route = Route { cache: None, ..(*snapshot.routes["gpt-4o"]).clone() };
        snapshot.routes.insert("gpt-4o".to_owned(), Arc::new(route));
    });
    says(&gateway, &[(&[], COLD)], &["-"]);
    until("its answers are forgotten", || {
        ask(&gateway, &[], COLD);
        gateway.serving.cache_statuses().is_empty()
    });
}

#[test]
fn it_holds_no_more_than_it_may_and_no_answer_that_is_too_long() {
    let upstream = counting();
    let gateway = start(&upstream);
    caching(&gateway, &Caching { max_bytes: 4_000, max_answer: 2_000, ..Caching::default() });
    for n in 0..50 {
        ask(&gateway, &[], &format!(r#","temperature":0,"seed":{n}"#));
        assert!(gateway.serving.cache_statuses()[0].n_bytes <= 4_000);
    }
    assert!(gateway.serving.cache_statuses()[0].n_answers > 0);
    caching(&gateway, &Caching { max_bytes: 4_001, max_answer: 20, ..Caching::default() });
    let streamed = r#","temperature":0,"stream":true"#;
    says(&gateway, &[(&[], COLD), (&[], COLD), (&[], streamed), (&[], streamed)], &["miss"; 4]);
}

#[test]
fn limits_count_what_comes_from_the_cache_too() {
    let upstream = counting();
    let limits = govern::limits::Limits { requests_per_minute: 2.try_into().ok(), ..Default::default() };
    let gateway = Setup::to(&[&upstream]).route_limits(limits).start();
    caching(&gateway, &Caching::default());
    let statuses = [0, 1, 2].map(|_| ask(&gateway, &[], COLD).status);
    assert_eq!((statuses, upstream.requests().len()), ([200, 200, 429], 1));
}
