//! An index that applications ask moves from one store to another and back, in a gateway that runs, is killed, or does not run.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::console::ask;
use crate::parts::{Gateway, House, post, until};

const CONFIG: &str = "\
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
vectors:
  listen: 127.0.0.1:0
  indexes:
    docs:
      store: \"sqlite-vec:old.db#docs\"
      moves_to: { store: \"sqlite-vec:new.db#docs\", shadow: { reads: 40, margin: 0.1 } }
    still: { store: \"sqlite-vec:old.db#docs\" }
";

/// A house with twenty rows in the old store.
fn house() -> House {
    let house = House::new(CONFIG);
    let line =
        |n: i32| json!({ "id": format!("old{n}"), "vector": [1, n, n * n % 7], "metadata": { "n": n } }).to_string();
    house.write_file("rows.jsonl", &(0..20).map(line).collect::<Vec<_>>().join("\n"));
    house.run(&["vectors", "copy", "jsonl:rows.jsonl", "sqlite-vec:old.db#docs", "--metric", "dense=cosine"]).exits(0);
    house
}

fn address(house: &House) -> SocketAddr {
    let addresses = std::fs::read_to_string(house.path().join("addresses.json")).unwrap();
    let addresses: Value = serde_json::from_str(&addresses).unwrap();
    addresses["vectors"].as_str().unwrap().parse().unwrap()
}

fn upsert(address: SocketAddr, id: &str, n: u32) -> u16 {
    let body = json!({ "vectors": [{ "id": id, "values": [1, n, 3], "metadata": { "n": n } }] });
    post(address, "/data/docs/vectors/upsert", &body.to_string()).status
}

fn found(address: SocketAddr, n: u32) -> Value {
    found_by(address, &json!([1.0, f64::from(n) / 3.0, 0.5]))
}

fn found_by(address: SocketAddr, vector: &Value) -> Value {
    let body = json!({ "vector": vector, "topK": 5 });
    let answer = post(address, "/data/docs/query", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str::<Value>(&answer.body).unwrap()["matches"].clone()
}

fn how(house: &House) -> Value {
    house.run(&["vectors", "mode", "docs", "--format", "json"]).exits(0).json()
}

fn has_everything(house: &House) {
    until(|| (how(house)["n_waiting"] == 0).then_some(()));
}

fn is_same(house: &House) {
    house.run(&["vectors", "verify", "sqlite-vec:old.db#docs", "sqlite-vec:new.db#docs"]).exits(0);
}

/// Brings it to dual writes, with a row that was written while the target was copied.
fn doubled(house: &House, address: SocketAddr) {
    house.run(&["vectors", "mode", "docs", "collect"]).exits(0);
    assert_eq!(upsert(address, "while", 2), 200);
    house.run(&["vectors", "copy", "sqlite-vec:old.db#docs", "sqlite-vec:new.db#docs"]).exits(0);
    house.run(&["vectors", "mode", "docs", "dual-write"]).exits(0);
}

#[test]
fn an_index_is_switched_on_evidence_in_a_running_gateway_and_rolled_back() {
    let house = house();
    let gateway: Gateway<'_> = house.serve();
    let address = address(&house);
    doubled(&house, address);
    let refused = house.run(&["vectors", "switch", "docs"]).exits(4);
    assert!(refused.stderr.contains("nothing says") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    house.run(&["vectors", "mode", "docs", "shadow"]).exits(0);
    for n in 0..39 {
        assert_eq!(found(address, n).as_array().unwrap().len(), 5);
    }
    let undecided = |code| house.run(&["vectors", "shadow", "docs", "--format", "json"]).exits(code).json();
    until(|| (undecided(4)["n_reads"] == 39).then_some(()));
    let refused = house.run(&["vectors", "switch", "docs"]).exits(4);
    assert!(refused.stderr.contains("39 of 40 different queries"), "{}", refused.stderr);
    found(address, 40);
    until(|| (house.run(&["vectors", "shadow", "docs"]).code == 0).then_some(()));
    let switched = house.run(&["vectors", "switch", "docs", "--format", "json"]).exits(0).json();
    assert_eq!((&switched["mode"], switched["answers"].as_str().unwrap().contains("new.db")), (&json!("target"), true));
    // What is there now came only from the new store, and what is written now gets into the old one.
    assert_eq!(upsert(address, "after", 1), 200);
    assert!(found_by(address, &json!([1, 1, 3])).to_string().contains("after"));
    has_everything(&house);
    is_same(&house);
    let back =
        house.run(&["vectors", "rollback", "docs", "--reason", "to see the way", "--format", "json"]).exits(0).json();
    assert_eq!(back["mode"], "rolled-back");
    assert!(found_by(address, &json!([1, 1, 3])).to_string().contains("after"));
    let events = how(&house)["events"].clone();
    assert_eq!((&events[0]["reason"], &events[0]["actor"]), (&json!("to see the way"), &json!("tester")));
    assert_eq!(events[1]["evidence"]["shadow"]["verdict"], "pass");
    gateway.stop();
}

#[test]
fn an_index_is_switched_on_what_the_shadow_proved_and_rolled_back_from_the_console() {
    let house = house();
    let gateway: Gateway<'_> = house.serve();
    let address = address(&house);
    let page = || ask(gateway.admin, "GET", "/vectors", ("", ""));
    let begun = page();
    for word in ["docs", "still", "moves nowhere", "crossfade vectors mode docs collect", "No query was asked"] {
        assert!(begun.status == 200 && begun.body.contains(word), "{word}: {}", begun.body);
    }
    let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    doubled(&house, address);
    house.run(&["vectors", "mode", "docs", "shadow"]).exits(0);
    (0..40).for_each(|n| drop(found(address, n)));
    until(|| (house.run(&["vectors", "shadow", "docs"]).code == 0).then_some(()));
    let shown = ask(gateway.admin, "GET", "/vectors", (&cookie, ""));
    assert!(shown.body.contains("Answer from the new store"), "{}", shown.body);
    let turn = |verb: &str, reason: &str| {
        let form = format!("csrf={}&as=ana&reason={reason}", shown.token());
        ask(gateway.admin, "POST", &format!("/vectors/{verb}"), (&cookie, &form))
    };
    assert_eq!((turn("docs/switch", "").status, turn("nowhere/switch", "x").status), (400, 404));
    assert_eq!(turn("docs/switch", "it+is+proven").status, 303);
    assert_eq!(how(&house)["mode"], "target");
    assert_eq!(turn("docs/switch", "again").status, 409, "its mode does not allow that");
    assert!(page().body.contains("Answer from the old store again"), "{}", page().body);
    assert_eq!(turn("docs/rollback", "to+see+the+way").status, 303);
    let events = how(&house)["events"].clone();
    assert_eq!((&events[0]["reason"], &events[0]["actor"]), (&json!("to see the way"), &json!("ana")));
    assert_eq!(events[1]["evidence"]["shadow"]["verdict"], "pass");
    for word in ["rolled-back", "it is proven", "to see the way", "ana", "Evidence"] {
        assert!(page().body.contains(word), "{word}");
    }
    gateway.stop();
}

#[test]
fn a_gateway_that_is_killed_while_it_is_written_to_loses_no_change_of_either_store() {
    let house = house();
    let first = house.serve();
    doubled(&house, address(&house));
    let mut gateway = Some(first);
    let mut n_taken = 0;
    for round in 0..3 {
        let (address, ends) = (address(&house), AtomicBool::new(false));
        let taken = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut taken = Vec::new();
                for n in 0.. {
                    let id = format!("{round}-{n}");
                    // After the kill nobody answers.
                    let body = json!({ "vectors": [{ "id": id, "values": [1, n, 3] }] }).to_string();
                    match std::panic::catch_unwind(|| post(address, "/data/docs/vectors/upsert", &body)) {
                        Ok(answer) if answer.status == 200 => taken.push(id),
                        _ if ends.load(Ordering::Acquire) => break,
                        _ => {}
                    }
                }
                taken
            });
            until(|| (n_written(address, round) >= 5).then_some(()));
            gateway.take().unwrap().kill();
            ends.store(true, Ordering::Release);
            writer.join().unwrap()
        });
        n_taken += taken.len();
        gateway = Some(house.serve());
        has_everything(&house);
        is_same(&house);
        for id in &taken {
            assert!(there(self::address(&house), id), "{id} was taken and is gone");
        }
    }
    assert!(n_taken > 0);
    gateway.unwrap().stop();
}

fn there(address: SocketAddr, id: &str) -> bool {
    let answer = crate::parts::get(address, &format!("/data/docs/vectors/fetch?ids={id}"));
    answer.body.contains(id)
}

/// How much of this round was written.
fn n_written(address: SocketAddr, round: u32) -> usize {
    let answer = crate::parts::get(address, &format!("/data/docs/vectors/list?prefix={round}-&limit=100"));
    answer.body.matches("\"id\"").count()
}

#[test]
fn what_cannot_be_turned_says_why_and_what_comes_next() {
    let house = house();
    let refuses = |arguments: &[&str], code: i32, expected: &str| {
        let done = house.run(&[&["vectors"], arguments].concat()).exits(code);
        assert!(done.stderr.contains(expected), "{arguments:?}: {}", done.stderr);
    };
    refuses(&["mode", "nowhere"], 2, "there are docs, still");
    refuses(&["mode", "still"], 2, "`moves_to: { store: … }`");
    refuses(&["mode", "docs", "target"], 2, "`crossfade vectors switch` does that");
    refuses(&["switch", "docs"], 2, "`collect` comes next");
    refuses(&["switch", "docs", "--force"], 2, "--reason");
    refuses(&["shadow", "docs"], 4, "was never in shadow");
    // Nobody serves: whoever types it turns it. What is not there yet cannot be written to.
    house.run(&["vectors", "mode", "docs", "collect"]).exits(0);
    refuses(&["mode", "docs", "dual-write"], 3, "new.db");
    house.run(&["vectors", "copy", "sqlite-vec:old.db#docs", "sqlite-vec:new.db#docs"]).exits(0);
    house.run(&["vectors", "mode", "docs", "dual-write"]).exits(0);
    let queries = "{\"id\":\"q\",\"vector\":[1,0,0]}\n";
    house.write_file("queries.jsonl", queries);
    let eval = |from: &str, to: &str| {
        let (from, to) = (format!("sqlite-vec:{from}.db#docs"), format!("sqlite-vec:{to}.db#docs"));
        house
            .run(&["vectors", "eval", &from, &to, "--queries", "jsonl:queries.jsonl", "--format", "json"])
            .exits(4)
            .stdout
    };
    house.write_file("backwards.json", &eval("new", "old"));
    refuses(&["switch", "docs", "--evidence", "backwards.json"], 2, "its source is sqlite-vec:new.db#docs");
    house.write_file("one.json", &eval("old", "new"));
    refuses(&["switch", "docs", "--evidence", "one.json"], 4, "is not switched");
    house
        .run(&[
            "vectors",
            "switch",
            "docs",
            "--evidence",
            "one.json",
            "--force",
            "--reason",
            "one query is enough here",
        ])
        .exits(0);
    house.run(&["vectors", "rollback", "docs"]).exits(0);
}
