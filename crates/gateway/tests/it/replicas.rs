//! A target that is several servers.

use std::sync::Arc;

use gateway::live::LiveRollout;
use providers::{BaseUrl, ProviderConfig};
use rollout::{Arm, Metric};
use scripted::{Script, Upstream, chat_completion};

use crate::client::{Connection, post};
use crate::harness::{PLAIN, STREAMED, Setup, rollout, until};

const NOBODY: &str = "http://127.0.0.1:1";

fn server() -> Upstream {
    Upstream::with(|request| {
        if request.text().contains("\"stream\":true") {
            Script::stream(scripted::chat_stream(&["here"], true))
        } else {
            Script::json(chat_completion("here"))
        }
    })
}

/// The target of this name on all of these places.
fn on(setup: Setup, name: &str, urls: &[&str]) -> Setup {
    let base = setup.targets.iter().find(|target| target.name == name).unwrap();
    let first = ProviderConfig { base_url: BaseUrl::parse(urls[0]).unwrap(), ..(*base.provider).clone() };
    let others: Vec<_> = urls[1..].iter().map(|url| Arc::new(first.at(BaseUrl::parse(url).unwrap()))).collect();
    let mut setup = setup.calling(name, |calling| calling.replicas.clone_from(&others));
    for target in setup.targets.iter_mut().filter(|target| target.name == name) {
        target.provider = Arc::new(first.clone());
    }
    setup
}

fn tally(live: &LiveRollout) -> (u64, u64) {
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::Error);
    (tally.n, tally.bad)
}

#[test]
fn conversations_spread_over_the_replicas_and_come_back_to_theirs() {
    let servers = [server(), server(), server()];
    let urls: Vec<String> = servers.iter().map(Upstream::url).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let gateway = on(Setup::to_urls(&urls[..1]), "a", &urls).start();
    let mut connection = Connection::open(gateway.addr);
    for conversation in 0..20 {
        let before: Vec<usize> = servers.iter().map(|server| server.requests().len()).collect();
        for turn in 0..3 {
            let body = format!(
                r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"conversation {conversation}"}},{{"role":"assistant","content":"turn {turn}"}}]}}"#
            );
            connection.post(&body);
            assert_eq!(connection.answer().unwrap().status, 200);
        }
        let more: Vec<usize> =
            servers.iter().zip(before).map(|(server, before)| server.requests().len() - before).collect();
        assert!(more.contains(&3), "all three turns on one replica: {more:?}");
    }
    let n_each: Vec<usize> = servers.iter().map(|server| server.requests().len()).collect();
    assert!(n_each.iter().all(|n| *n >= 3), "{n_each:?}");
    let providers: std::collections::BTreeSet<_> =
        gateway.exchanges(60).iter().map(|one| one.attempts[0].provider.clone()).collect();
    assert_eq!(providers.len(), 3, "the record says which replica: {providers:?}");
}

#[test]
fn a_replica_that_is_full_is_passed_over() {
    let (slow, quick) = (Upstream::start(vec![Script::silent()]), server());
    // Whichever of the two the key prefers holds its first calls; later ones go to the other.
    let gateway = on(Setup::to(&[&slow]), "a", &[&slow.url(), &quick.url()]).start();
    let mut held = Vec::new();
    until("a call is held by the slow one", || {
        let mut connection = Connection::open(gateway.addr);
        connection.post(&PLAIN.replace("hi", &format!("hi {}", slow.requests().len() + quick.requests().len())));
        let n = slow.requests().len() + quick.requests().len();
        until("it arrived", || slow.requests().len() + quick.requests().len() > n || !slow.requests().is_empty());
        !slow.requests().is_empty()
    });
    let key = slow.requests()[0].text();
    // One after the other: calls of one moment would not know of one another.
    for _ in 0..6 {
        let n = slow.requests().len() + quick.requests().len();
        let mut connection = Connection::open(gateway.addr);
        connection.post(&key.replace("model-a", "gpt-4o"));
        held.push(connection);
        until("it arrived", || slow.requests().len() + quick.requests().len() > n);
    }
    // Seven calls, two replicas: 3.5 each, times 1.25, rounded up.
    assert!(slow.requests().len() <= 5, "{} calls hang on the slow one", slow.requests().len());
}

#[test]
fn a_replica_that_fails_is_replaced_and_that_is_no_failure_of_the_target() {
    let (a, good) = (server(), server());
    let live = rollout(1.0, 0.0);
    let setup = Setup::to(&[&a, &good]).with(&live);
    let gateway = on(setup, "b", &[NOBODY, &good.url()]).start();
    for n in 0..20 {
        for body in [PLAIN, STREAMED] {
            let answer = post(gateway.addr, &body.replace("hi", &format!("hi {n}")));
            assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("b")));
        }
    }
    until("all counted", || tally(&live).0 == 40);
    assert_eq!((tally(&live), live.view().share), ((40, 0), 1.0));
    let exchanges = gateway.exchanges(40);
    let replaced = exchanges.iter().find(|one| one.attempts.len() == 2).expect("one met the dead replica");
    let attempts: Vec<_> =
        replaced.attempts.iter().map(|one| (one.role.as_str(), one.measured.failure.as_deref())).collect();
    assert_eq!(attempts, [("replaced", Some("connect")), ("live", None)]);
    assert_ne!(replaced.attempts[0].provider, replaced.attempts[1].provider);
    let n_replaced = exchanges.iter().filter(|one| one.attempts.len() == 2).count();
    assert_eq!((n_replaced, gateway.serving.totals().replaced), (5, 5), "then its breaker was open");
}

#[test]
fn the_rollout_ends_when_the_breakers_of_all_replicas_are_open_and_not_before() {
    let a = server();
    let mut live = rollout(1.0, 0.0);
    // Without guards, which would have seen enough before the second breaker opens.
    let mut policy = rollout::Policy::template(rollout::Risk::Medium);
    policy.absolute = None;
    policy.guards.clear();
    let evidence = rollout::Evidence::new(&policy, 1, 1, &rollout::Carry::none(), rollout::Timestamp(0));
    let (wake, _) = std::sync::mpsc::sync_channel(1);
    let (identity, view) = (live.identity.clone(), (**live.view()).clone());
    live = Arc::new(LiveRollout::new(identity, view, evidence, wake));
    let gateway = on(Setup::to(&[&a, &a]).with(&live), "b", &[NOBODY, "http://127.0.0.1:2"]).start();
    let n_open = || {
        let statuses = gateway.serving.target_statuses();
        statuses[1].replicas.iter().filter(|replica| replica.opened > 0).count()
    };
    for n in 0..60 {
        let shares_before = (n_open(), live.view().share);
        assert_eq!(post(gateway.addr, &PLAIN.replace("hi", &format!("hi {n}"))).status, 200);
        if shares_before.0 < 2 && n_open() < 2 {
            assert_eq!(live.view().share, 1.0, "one open breaker of two is not the target's");
        }
    }
    assert_eq!((n_open(), live.view().share), (2, 0.0));
}

#[test]
fn a_rate_limit_of_one_replica_goes_to_another_at_once() {
    let busy = Script::error(429, "rate_limit_error", "rate_limit_exceeded").header("retry-after", "60");
    let (full, free) = (Upstream::start(vec![busy]), server());
    let gateway = on(Setup::to(&[&full]), "a", &[&full.url(), &free.url()]).start();
    for n in 0..20 {
        assert_eq!(post(gateway.addr, &PLAIN.replace("hi", &format!("hi {n}"))).status, 200);
    }
    assert_eq!((full.requests().len(), free.requests().len()), (1, 20));
}

#[test]
fn copies_are_spread_over_the_replicas_too() {
    let (a, first, second) = (server(), server(), server());
    let live = rollout(0.0, 1.0);
    let gateway = on(Setup::to(&[&a, &first]).with(&live), "b", &[&first.url(), &second.url()]).start();
    for n in 0..30 {
        post(gateway.addr, &PLAIN.replace("hi", &format!("hi {n}")));
    }
    until("all copies settled", || live.evidence().n_pairs() + live.evidence().coverage().n_dropped() >= 30);
    assert!(first.requests().len() >= 5 && second.requests().len() >= 5);
}
