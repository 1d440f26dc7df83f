//! `serve`: it answers, says where, drains, and keeps a second one away from its store.

use std::collections::BTreeSet;

use crate::parts::{CONFIG, House, get};

#[test]
fn a_request_is_answered_and_says_by_whom() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let answer = gateway.chat("gpt-4o", "hello");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-crossfade-target"), Some("gpt"));
    assert_eq!(gateway.chat("gpt-5", "hello").status, 404);
    assert_eq!(get(gateway.data, "/ready").status, 200);
    assert_eq!(get(gateway.admin, "/ready").status, 200);
    let metrics = get(gateway.admin, "/metrics").body;
    assert!(metrics.contains("crossfade_exchanges_total{outcome=\"complete\"} 1"), "{metrics}");
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn a_second_gateway_on_the_same_store_is_refused() {
    let house = House::new(CONFIG);
    let _gateway = house.serve();
    let done = house.run(&["serve"]).exits(1);
    assert!(done.stderr.contains("another gateway uses this store"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: one process at a time"), "{}", done.stderr);
}

#[test]
fn an_address_in_use_is_said_with_its_key() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let other = House::new(&CONFIG.replace("listen: 127.0.0.1:0\nadmin", &format!("listen: {}\nadmin", gateway.data)));
    let done = other.run(&["serve"]).exits(1);
    assert!(done.stderr.contains(&format!("could not listen on {}", gateway.data)), "{}", done.stderr);
}

#[test]
fn the_log_can_be_json() {
    // An address that is taken, so that it ends by itself.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let house = House::new(&CONFIG.replace("listen: 127.0.0.1:0 }", &format!("listen: {address} }}")));
    let done = house.run(&["serve", "--log-format", "json"]).exits(1);
    let lines = done.stderr.lines().filter(|line| line.starts_with('{'));
    for line in lines {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn every_metric_is_on_its_page_and_the_page_has_no_other() {
    let page = include_str!("../../../../docs/reference/metrics.md");
    let named: BTreeSet<&str> = page.split('`').filter(|word| word.starts_with("crossfade_")).collect();
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let metrics = get(gateway.admin, "/metrics").body;
    let families = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    assert_eq!(families.collect::<BTreeSet<&str>>(), named);
}
