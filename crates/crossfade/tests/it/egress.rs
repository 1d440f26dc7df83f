//! What left the house, as it is shown.

use scripted::vendor::vendor;
use scripted::{Script, Upstream, chat_completion};

use crate::parts::{CONFIG, House, until};

/// The usual config, its targets on two servers: one of a vendor, and one in the house.
fn config(vendor: &Upstream, house: &Upstream) -> String {
    let (vendor, house) = (vendor.url(), house.url());
    let providers = format!(
        "providers:\n  old: {{ base_url: {vendor}, region: us-east-1 }}\n  new: {{ base_url: {house}, class: self_hosted }}\n"
    );
    let from = CONFIG.find("providers:").unwrap();
    let to = CONFIG.find("targets:").unwrap();
    let tenants = "tenants: { clinic: { residency: internal } }\n";
    format!("{}{providers}{}{tenants}", &CONFIG[..from], &CONFIG[to..])
}

#[test]
fn what_left_is_shown_by_whom_and_why_and_line_by_line() {
    let (out, within) = (Upstream::start(vec![Script::json(chat_completion("x"))]), vendor(&[]));
    let house = House::new(&config(&out, &within));
    let gateway = house.serve();
    for n in 0..3 {
        assert_eq!(gateway.chat("gpt-4o", &format!("question {n}")).status, 200);
    }
    let egress = ["egress", "--format", "json"];
    let facts = until(|| {
        let facts = gateway.run(&egress).exits(0).json();
        (facts["calls"][0]["calls"] == 3).then_some(facts)
    });
    let call = &facts["calls"][0];
    assert_eq!((&call["route"], &call["role"], &call["target"]), (&"gpt-4o".into(), &"live".into(), &"gpt".into()));
    let n_bytes: usize = out.requests().iter().map(|received| received.body.len()).sum();
    assert_eq!(call["bytes_out"].as_u64(), Some(n_bytes as u64));
    let metrics = crate::parts::get(gateway.admin, "/metrics").body;
    assert!(metrics.contains("crossfade_egress_unrecorded_total 0"), "{metrics}");
    assert_eq!(gateway.stop(), 0);

    // Another verb that calls out is on the ledger too.
    house.run(&["conformance", "qwen", "--budget", "150s"]).exits(0);
    let facts = house.run(&egress).exits(0).json();
    let peers = facts["peers"].as_array().unwrap();
    let of = |lane: &str| peers.iter().find(|peer| peer["lane"] == lane).unwrap();
    let live = of("live");
    let sum = |count: fn(&scripted::Accepted) -> u64| out.connections().iter().map(count).sum::<u64>();
    assert_eq!(live["connections"].as_u64(), Some(out.n_connections() as u64));
    assert_eq!(live["bytes_out"].as_u64(), Some(sum(|accepted| accepted.bytes_read)));
    assert_eq!(live["bytes_in"].as_u64(), Some(sum(|accepted| accepted.bytes_written)));
    assert_eq!((&live["class"], &live["region"], &live["open"]), (&"vendor".into(), &"us-east-1".into(), &0.into()));
    assert_eq!(live["remote"], out.addr().to_string());
    assert_eq!(of("conformance")["connections"].as_u64(), Some(within.n_connections() as u64));

    let text = house.run(&["egress"]).exits(0).stdout;
    for words in ["gpt-4o  live", "us-east-1", "self_hosted", &out.addr().to_string()] {
        assert!(text.contains(words), "{words} not in\n{text}");
    }
    let csv = house.run(&["egress", "--csv", "--external"]).exits(0).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + out.n_connections(), "{csv}");
    assert!(out.connections().iter().all(|accepted| csv.contains(&format!(",{},{},", accepted.peer, out.addr()))));
    let rows = house.run(&["egress", "--connections", "--format", "json"]).exits(0).json();
    assert_eq!(rows.as_array().unwrap().len(), out.n_connections() + within.n_connections());
    house.run(&["egress", "--csv", "--format", "json"]).exits(2);
}
