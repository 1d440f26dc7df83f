//! Alerts through the binary: told, tried, listed, sent again; and nothing is harmed by a webhook that is dead.

use scripted::{Script, Upstream};
use serde_json::Value;

use crate::parts::{CONFIG, House, get, until};

fn with_webhooks(webhooks: &[(&str, &str)]) -> String {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let item = |(name, url): &(&str, &str)| format!("  - {{ name: {name}, url: {url}, secret: {secret} }}\n");
    format!("{CONFIG}alerts:\n{}", webhooks.iter().map(item).collect::<String>())
}

fn list(run: impl Fn(&[&str]) -> crate::parts::Done) -> Value {
    run(&["alerts", "list", "--format", "json"]).exits(0).json()
}

#[test]
fn people_are_told_of_a_rollout_and_a_dead_webhook_is_seen_and_harms_nothing() {
    let hook = Upstream::start(vec![Script::status(200)]);
    let url = format!("{}/crossfade", hook.url());
    let house = House::new(&with_webhooks(&[("pager", &url), ("dead", "http://127.0.0.1:1/")]));
    house.run(&["check"]).exits(0);
    let gateway = house.serve();
    assert_eq!(gateway.run(&["alerts", "test", "--webhook", "pager"]).exits(0).stderr, "");
    gateway.run(&["alerts", "test", "--webhook", "nobody"]).exits(2);
    let failed = gateway.run(&["alerts", "test"]).exits(1);
    assert!(failed.stdout.contains("dead") && failed.stdout.contains("connect"), "{}", failed.stdout);
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let started = until(|| {
        let page = list(|arguments| gateway.run(arguments));
        let alerts = page["alerts"].as_array().unwrap().clone();
        let moved = alerts.into_iter().find(|alert| alert["kind"] == "rollout.moved")?;
        let delivered = moved["deliveries"].as_array().unwrap().iter().any(|delivery| delivery["state"] == "delivered");
        delivered.then_some(moved)
    });
    assert_eq!(gateway.chat("gpt-4o", "hello").status, 200);
    let metrics = until(|| {
        let metrics = get(gateway.admin, "/metrics").body;
        metrics.contains("crossfade_alerts_waiting{webhook=\"dead\"} 2").then_some(metrics)
    });
    assert!(metrics.contains("crossfade_alert_tries_total{webhook=\"pager\",outcome=\"delivered\"} 3"), "{metrics}");
    let page = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(page.contains("alerts that did not arrive") && page.contains("dead: 2 wait"), "{page}");
    assert_eq!(gateway.stop(), 0);

    // Without a gateway too: it waits in the store.
    let id = started["id"].as_str().unwrap();
    house.run(&["alerts", "resend", id, "--webhook", "pager"]).exits(0);
    house.run(&["alerts", "resend", "msg_none"]).exits(2);
    let before = hook.requests().len();
    let gateway = house.serve();
    until(|| (hook.requests().len() > before).then_some(()));
    let again = hook.requests().pop().unwrap();
    assert_eq!(again.header("webhook-id"), Some(id));
    assert!(!gateway.log().contains("whsec_"));
}

#[test]
fn a_webhook_that_cannot_be_is_refused_with_its_place() {
    let house = House::new(&format!("{CONFIG}alerts: [{{ url: ftp://a, secret: short, on: [breach] }}]\n"));
    let refused = house.run(&["check"]).exits(2).stderr;
    for words in ["alerts[0].url", "at least 16 bytes", "breaches"] {
        assert!(refused.contains(words), "{words} not in\n{refused}");
    }
    assert!(!refused.contains("short"), "{refused}");
}
