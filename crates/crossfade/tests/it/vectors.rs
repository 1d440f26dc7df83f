//! A knowledge base moved by the binary, which is killed on the way.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::parts::{Done, House, until};

/// How many rows move.
const N_ROWS: usize = 3000;
/// How often each hop is killed.
const N_KILLS: u64 = 5;

/// Rows with identifiers, numbers and texts that stores stumble over.
fn rows() -> String {
    let ids = ["", "a", "A", "ä", "a\u{308}", "'; DROP TABLE rows; --", "nul\0nul", "🙂", "line\nbreak", "\u{feff}"];
    let metadata = [
        r#"{"n":1,"m":1.0,"big":9007199254740993,"huge":18446744073709551616}"#,
        r#"{"nested":{"a":[1,2.5,{"b":null}],"":""},"text":"\u0000\"\\"}"#,
        r#"{"tiny":5e-324,"minus":-0.0,"yes":true}"#,
        "{}",
    ];
    let line = |n: usize| {
        let number = f64::from(u32::try_from(n).unwrap());
        let (namespace, id) = (["", "tenant", "Tenant"][n % 3], format!("{}{}", ids[n % ids.len()], n / 30));
        let mut row = json!({ "namespace": namespace, "id": id });
        if !n.is_multiple_of(7) {
            row["vectors"] = json!({ "dense": [number / 7.0, -0.0, number.sin(), 1e-40, 0.5, 3.0, -1.0, 0.1] });
        }
        if n.is_multiple_of(2) {
            row["vectors"]["bits"] = json!({ "dtype": "binary", "dims": 16, "hex": format!("{:04x}", n % 65_536) });
            row["sparse"] = json!({ "words": { "indices": [1, n, 4_294_967_295_u32], "values": [0.5, 0.0, -number] } });
        }
        if n.is_multiple_of(5) {
            row["multi"] = json!({ "late": { "dims": 2, "values": [number, 1.0, 2.0, 3.0] } });
            row["space"] = json!("provider/model@1#8");
        }
        if !n.is_multiple_of(3) {
            row["text"] = json!(format!("text {n} \0 of it"));
        }
        // Written as text: a value of JSON in memory would round what is beyond 64 bits.
        let line = row.to_string();
        format!("{},\"metadata\":{}}}\n", line.strip_suffix('}').unwrap(), metadata[n % 4])
    };
    (2..N_ROWS + 2).map(line).collect()
}

/// Batches that the journal of a run knows to be acknowledged.
fn n_acknowledged(house: &House, run: &str) -> u64 {
    let count = || {
        let journal = Connection::open(house.path().join(run).join("journal.db")).ok()?;
        let count: i64 = journal.query_row("SELECT sum(n_parts) FROM partition", [], |row| row.get(0)).ok()?;
        u64::try_from(count).ok()
    };
    // Not there yet, or not begun.
    count().unwrap_or(0)
}

/// Copies, kills the copy again and again while it is under way, and copies to the end.
fn hop(house: &House, source: &str, target: &str, run: &str) -> Done {
    let arguments = ["vectors", "copy", source, target, "--run", run, "--batch-rows", "25"];
    let mut n_killed = 0;
    let mut after = 0;
    while n_killed < N_KILLS {
        let mut child = house.spawn(&arguments);
        until(|| (n_acknowledged(house, run) > after || child.try_wait().unwrap().is_some()).then_some(()));
        assert!(
            child.try_wait().unwrap().is_none(),
            "{source} to {target}: it ended before it was killed {N_KILLS} times"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        n_killed += 1;
        after = n_acknowledged(house, run) + n_killed;
    }
    house.run(&[&arguments[..], &["--format", "json"]].concat()).exits(0)
}

fn verified(house: &House, source: &str, target: &str) -> Value {
    house.run(&["vectors", "verify", source, target, "--format", "json"]).exits(0).json()
}

#[test]
fn after_five_kills_at_each_hop_not_a_row_is_lost_doubled_or_altered() {
    let house = House::new("");
    house.write_file("source.jsonl", &rows());
    let stores = ["jsonl:source.jsonl", "parquet:one", "sqlite-vec:kb.db#docs", "parquet:two", "jsonl:three"];
    for (n, pair) in stores.windows(2).enumerate() {
        let done = hop(&house, pair[0], pair[1], &format!("run-{n}")).json();
        assert_eq!((&done["n_rows"], &done["n_aside"]), (&json!(N_ROWS), &json!(0)), "{pair:?}");
        let comparison = verified(&house, stores[0], pair[1]);
        assert_eq!(comparison["n_target"], N_ROWS, "{pair:?}");
        assert_eq!(comparison["digest_source"], done["digest"], "{pair:?}");
    }
    // What is through is not done again, and says the same.
    let again =
        house.run(&["vectors", "copy", stores[0], stores[1], "--run", "run-0", "--format", "json"]).exits(0).json();
    assert_eq!(again["n_rows"], N_ROWS);
    // Another copy does not get into the same directory.
    let other = house.run(&["vectors", "copy", stores[0], "parquet:four", "--run", "run-0"]).exits(2);
    assert!(other.stderr.contains("copies jsonl:source.jsonl to parquet:one"), "{}", other.stderr);
}

#[test]
fn a_changed_store_is_told_from_its_source_row_by_row() {
    let house = House::new("");
    house.write_file("source.jsonl", &rows());
    let (source, target) = ("jsonl:source.jsonl", "sqlite-vec:kb.db");
    house.run(&["vectors", "copy", source, target, "--verify"]).exits(0);
    let database = Connection::open(house.path().join("kb.db")).unwrap();
    database
        .execute("UPDATE rows SET metadata = replace(metadata, '\"n\":1}', '\"n\":1.0}') WHERE rowid = 3", [])
        .unwrap();
    database.execute("UPDATE rows SET namespace = 'other' WHERE rowid = 10", []).unwrap();
    database.execute("DELETE FROM rows_sparse WHERE \"row\" = 5", []).unwrap();
    database.execute("DELETE FROM rows WHERE rowid = 20", []).unwrap();
    let comparison = house.run(&["vectors", "verify", source, target, "--format", "json"]).exits(3).json();
    let said: Vec<String> =
        comparison["differences"].as_array().unwrap().iter().map(|row| row["what"].to_string()).collect();
    let mut said: Vec<&str> = said.iter().map(String::as_str).collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            "\"extra\"",
            "\"missing\"",
            "\"missing\"",
            r#"{"altered":["metadata `n`"]}"#,
            r#"{"altered":["sparse vector `words`"]}"#
        ]
    );
    let text = house.run(&["vectors", "verify", source, target]).exits(3).stdout;
    assert!(text.starts_with("not the same: 3000 rows in the source, 2999 in the target\n"), "{text}");
}

#[test]
fn a_directory_is_imported_only_as_its_manifest_says() {
    let house = House::new("");
    house.write_file("source.jsonl", &rows());
    house.run(&["vectors", "export", "jsonl:source.jsonl", "-o", "kb"]).exits(0);
    let done = house.run(&["vectors", "import", "kb", "sqlite-vec:kb.db", "--format", "json"]).exits(0).json();
    assert_eq!(done["comparison"]["n_buckets"], 0);
    let part = std::fs::read_dir(house.path().join("kb/data")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let refused = house.run(&["vectors", "import", "kb", "sqlite-vec:other.db"]).exits(3);
    assert!(refused.stderr.contains("its SHA-256 differs"), "{}", refused.stderr);
    assert!(!house.path().join("other.db").exists());
    let bare = house.run(&["vectors", "import", "nowhere", "sqlite-vec:other.db"]).exits(2);
    assert!(bare.stderr.contains("nowhere has no manifest.json"), "{}", bare.stderr);
}

#[test]
fn what_cannot_be_kept_is_refused_and_what_is_not_taken_is_put_aside_whole() {
    let house = House::new("");
    let lines = [
        r#"{"id":"a","vector":[1.0,0.5],"space":"m@1"}"#,
        r#"{"id":"b","vector":[1.0,0.5],"space":"m@2"}"#,
        r#"{"id":"c","vector":[1.0,0.5,0.25]}"#,
        "{\"id\":\"d\"",
        r#"{"id":"a","vector":[1.0,0.5],"space":"m@1"}"#,
    ];
    house.write_file("source.jsonl", &lines.join("\n"));
    let (source, target) = ("jsonl:source.jsonl", "sqlite-vec:kb.db");
    let plan = house.run(&["vectors", "plan", source, target, "--metric", "dense=dot"]).exits(3);
    assert!(plan.stdout.contains("compared by Dot, which sqlite-vec does not do"), "{}", plan.stdout);
    house.run(&["vectors", "copy", source, target, "--metric", "dense=dot"]).exits(3);
    assert!(!house.path().join("kb.db").exists());
    house.run(&["vectors", "copy", source, target, "--metric", "other=l2"]).exits(2);
    house.run(&["vectors", "plan", source, target, "--metric", "dense=cosine"]).exits(0);

    let doctor = house.run(&["vectors", "doctor", source, "--format", "json"]).exits(3).json();
    let counts = |name: &str| doctor["faults"][name]["n"].as_u64();
    assert_eq!(
        [counts("identifier_repeated"), counts("other_shape"), counts("unreadable")],
        [Some(2), Some(2), Some(1)]
    );

    let done = house.run(&["vectors", "copy", source, target, "--run", "run", "--format", "json"]).exits(3).json();
    assert_eq!(done["n_aside"], 3);
    let why: Vec<&str> = done["aside"].as_array().unwrap().iter().map(|row| row["why"].as_str().unwrap()).collect();
    assert!(why.iter().any(|why| why.contains("live in the space `m@2`, the collection's in `m@1`")), "{why:?}");
    let found: Vec<&str> = done["aside"].as_array().unwrap().iter().map(|row| row["found"].as_str().unwrap()).collect();
    assert!(found.contains(&"{\"id\":\"d\""), "{found:?}");
    let few = house.run(&["vectors", "copy", source, "sqlite-vec:few.db", "--max-aside", "1"]).exits(1);
    assert!(few.stderr.contains("3 rows were put aside, and 1 are the most"), "{}", few.stderr);
    house.run(&["vectors", "copy", source, "nosuch:x"]).exits(2);
}
