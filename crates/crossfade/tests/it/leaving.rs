//! `crossfade exit`: a scripted vendor that speaks the published API is emptied into a directory, whatever happens on the way.

use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scripted::{Received, Script, Upstream};
use serde_json::{Value, json};

use crate::parts::{CONFIG, House};

/// What the vendor holds, and how often it is asked for what.
struct Held {
    n_files: usize,
    n_chats: usize,
    n_batches: AtomicU64,
    n_asked: AtomicU64,
    /// Requests for bytes, by path.
    contents: Mutex<HashMap<String, u64>>,
    is_unruly: bool,
}

impl Held {
    fn of(n: usize) -> Arc<Held> {
        Arc::new(Held {
            n_files: n,
            n_chats: n / 2,
            n_batches: AtomicU64::new(30),
            n_asked: AtomicU64::new(0),
            contents: Mutex::default(),
            is_unruly: true,
        })
    }

    /// Everything a complete export has.
    fn n_objects(&self) -> u64 {
        (self.n_files + self.n_chats) as u64 + self.n_batches.load(Ordering::Relaxed) + 3 + 3 * 7 + 2 + 1 + 1
    }

    fn answer(&self, request: &Received) -> Script {
        let n = self.n_asked.fetch_add(1, Ordering::Relaxed);
        if self.is_unruly && n % 41 == 7 {
            return Script::error(429, "requests", "rate_limit_exceeded").header("retry-after", "0");
        }
        if self.is_unruly && n % 89 == 11 {
            return Script::status(503);
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        let after = asked("after");
        if self.is_unruly && after.is_some() && n % 53 == 5 {
            return Script::error(404, "invalid_request_error", "no_such_cursor");
        }
        let limit = asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20);
        let steps: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match steps[..] {
            ["files"] => page("file", 0..self.n_files, after, limit),
            ["chat", "completions"] => page("chatcmpl", 0..self.n_chats, after, limit.min(100)),
            ["chat", "completions", id, "messages"] => {
                let number: usize = id.rsplit('-').next().unwrap().parse().unwrap();
                page("msg", 0..number % 3, after, limit)
            }
            ["batches"] => newest_first(self.n_batches.load(Ordering::Relaxed), after, 10),
            ["vector_stores"] => page("vs", 0..3, after, limit),
            ["vector_stores", _, "files"] => page("file", 0..7, after, 3),
            ["files", id, "content"] | ["vector_stores", _, "files", id, "content"] => {
                *self.contents.lock().unwrap().entry(path.to_owned()).or_default() += 1;
                // Of some purposes the vendor does not give the bytes out.
                match id {
                    "file-000005" if path.starts_with("/v1/files") => Script::error(
                        400,
                        "invalid_request_error",
                        "Not allowed to download files of purpose: assistants",
                    ),
                    id => Script::json(format!("the bytes of {id}\n").repeat(3)),
                }
            }
            ["responses", "resp_gone"] => Script::error(404, "invalid_request_error", "not_found"),
            ["responses", id] => Script::json(json!({ "id": id, "status": "completed", "output": [] }).to_string()),
            ["responses", _, "input_items"] => page("item", 0..2, after, limit),
            ["conversations", id] => Script::json(json!({ "id": id }).to_string()),
            ["conversations", _, "items"] => page("item", 0..130, after, limit.min(100)),
            ["models"] => Script::json(
                json!({ "object": "list", "data": [{ "id": "ft:gpt:acme", "owned_by": "acme" }] }).to_string(),
            ),
            ["organization", ..] => Script::error(403, "invalid_request_error", "missing_scopes"),
            _ => Script::error(404, "invalid_request_error", "unknown_url"),
        }
    }
}

fn id(kind: &str, number: usize) -> String {
    format!("{kind}-{number:06}")
}

fn page(kind: &str, all: std::ops::Range<usize>, after: Option<&str>, limit: usize) -> Script {
    let from =
        after.and_then(|after| after.rsplit('-').next()?.parse::<usize>().ok()).map_or(all.start, |last| last + 1);
    let to = (from + limit).min(all.end);
    let data: Vec<Value> = (from..to)
        .map(|number| json!({ "id": id(kind, number), "object": kind, "created_at": 1_700_000_000 + number }))
        .collect();
    let last = data.last().map(|object| object["id"].clone());
    Script::json(json!({ "object": "list", "data": data, "last_id": last, "has_more": to < all.end }).to_string())
}

fn newest_first(n: u64, after: Option<&str>, limit: u64) -> Script {
    let from = after.and_then(|after| after.rsplit('-').next()?.parse::<u64>().ok()).unwrap_or(n);
    let data: Vec<Value> = (from.saturating_sub(limit)..from)
        .rev()
        .map(|number| json!({ "id": format!("batch-{number}"), "status": "completed" }))
        .collect();
    Script::json(json!({ "data": data, "has_more": from > limit }).to_string())
}

fn vendor(held: &Arc<Held>) -> Upstream {
    let held = Arc::clone(held);
    Upstream::with(move |request: &Received| held.answer(request))
}

#[test]
fn a_vendor_is_emptied_through_limits_lost_cursors_and_kills_and_nothing_is_fetched_twice() {
    let n = if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 66_600 } else { 400 };
    let (house, held) = (House::new(CONFIG), Held::of(n));
    let server = vendor(&held);
    let url = format!("{}/v1", server.url());
    std::fs::remove_file(house.path().join("crossfade.yaml")).unwrap();
    std::fs::write(house.path().join("ids.txt"), "resp_1\nresp_gone\nconv_1\n\nresp_2\n").unwrap();
    house.run(&["keys", "signing", "mine.key"]).exits(0);
    let arguments = ["exit", "export", "out", "--url", &url, "--ids", "ids.txt", "--rate", "0", "--sign", "mine.key"];

    // Killed again and again while it fetches, further on each time.
    let n_kills = 6;
    for kill in 0..n_kills {
        let before = held.n_asked.load(Ordering::Relaxed);
        let mut child = house.spawn(&arguments);
        let enough = before + 60 + kill * 17;
        while held.n_asked.load(Ordering::Relaxed) < enough && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done = house.run(&arguments);
    // What the vendor does not give out is named, and the exit code says that it is not all.
    assert_eq!(done.code, 3, "{}{}", done.stdout, done.stderr);
    for said in ["content of file-000005: status 400", "resp_gone: status 404", "costs: the list: status 403"] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
    let manifest = manifest(&house);
    let n_objects: u64 =
        manifest["collections"].as_array().unwrap().iter().map(|facts| facts["n_objects"].as_u64().unwrap()).sum();
    assert_eq!((n_objects, &manifest["complete"]), (held.n_objects(), &json!(true)), "{}", done.stdout);
    let n_contents: u64 =
        manifest["collections"].as_array().unwrap().iter().map(|facts| facts["n_contents"].as_u64().unwrap()).sum();
    assert_eq!(n_contents, n as u64 - 1 + 21);
    // A kill loses at most what was under way: eight at once.
    let fetched: u64 = held.contents.lock().unwrap().values().sum();
    let n_failed = fetched - (n as u64 + 21);
    assert!(n_failed <= 8 * n_kills + fetched / 20, "{n_failed} of {fetched} contents were asked for again");
    let conversation = std::fs::read_to_string(house.path().join("out/conversations.jsonl")).unwrap();
    let line: Value = serde_json::from_str(conversation.lines().next().unwrap()).unwrap();
    assert_eq!(line["parts"]["items"].as_array().unwrap().len(), 130);

    // A second run brings nothing, and changes nothing.
    let bytes = std::fs::read(house.path().join("out/manifest.json")).unwrap();
    let again = house.run(&arguments).exits(3);
    assert!(again.stdout.contains("0 objects fetched now"), "{}", again.stdout);
    assert_eq!(held.contents.lock().unwrap().values().sum::<u64>(), fetched);
    assert_eq!(std::fs::read(house.path().join("out/manifest.json")).unwrap(), bytes);
    // What is new is brought, also in front of a list of the newest first.
    held.n_batches.fetch_add(4, Ordering::Relaxed);
    assert!(house.run(&arguments).stdout.contains("4 objects fetched now"));

    let sound = house.run(&["exit", "verify", "out", "--key", "mine.pub"]).exits(0);
    assert!(sound.stdout.contains("the signature holds"), "{}", sound.stdout);
    is_verified_by_openssl(&house);
    if n < 1000 {
        every_change_is_seen(&house);
    }
}

fn manifest(house: &House) -> Value {
    serde_json::from_slice(&std::fs::read(house.path().join("out/manifest.json")).unwrap()).unwrap()
}

/// A program that knows nothing of this one agrees, where it is there.
#[expect(clippy::print_stderr, reason = "what is not run is said")]
fn is_verified_by_openssl(house: &House) {
    let hex = std::fs::read_to_string(house.path().join("out/manifest.sig")).unwrap();
    let bytes: Vec<u8> = hex
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    std::fs::write(house.path().join("signature"), bytes).unwrap();
    let said = Command::new("openssl")
        .current_dir(house.path())
        .args([
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "mine.pub",
            "-rawin",
            "-in",
            "out/manifest.json",
            "-sigfile",
            "signature",
        ])
        .output();
    match said {
        Ok(said) => assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout)),
        Err(error) => eprintln!("openssl is not here, so that its word is left out: {error}"),
    }
}

fn every_change_is_seen(house: &House) {
    let out = house.path().join("out");
    let seen = |what: &str| {
        let done = house.run(&["exit", "verify", "out", "--key", "mine.pub"]).exits(3);
        assert!(done.stdout.contains(what), "{what}: {}", done.stdout);
    };
    let changed = |name: &str, said: &str| {
        let path = out.join(name);
        let before = std::fs::read(&path).unwrap();
        let mut bytes = before.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        seen(said);
        std::fs::write(&path, before).unwrap();
    };
    changed("files.jsonl", "files.jsonl: its SHA-256");
    changed("content/files/file-000007", "content/files/file-000007: its SHA-256");
    changed("manifest.sig", "manifest.sig");
    let text = std::fs::read_to_string(out.join("manifest.json")).unwrap();
    std::fs::write(out.join("manifest.json"), text.replace("\"complete\": true", "\"complete\": false")).unwrap();
    seen("no signature of this manifest");
    std::fs::write(out.join("manifest.json"), text).unwrap();
    std::fs::write(out.join("more.txt"), "x").unwrap();
    seen("more.txt: the manifest does not have it");
    std::fs::remove_file(out.join("more.txt")).unwrap();
    std::fs::rename(out.join("content/files/file-000009"), house.path().join("away")).unwrap();
    seen("content/files/file-000009: it is missing");
    std::fs::rename(house.path().join("away"), out.join("content/files/file-000009")).unwrap();
    house.run(&["keys", "signing", "other.key"]).exits(0);
    house.run(&["exit", "verify", "out", "--key", "other.pub"]).exits(3);
    house.run(&["exit", "verify", "out", "--key", "mine.pub"]).exits(0);
}

#[test]
fn what_crossfade_recorded_leaves_in_open_files_and_no_verifier_of_a_key_with_it() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["keys", "create", "app"]).exits(0);
    for _ in 0..3 {
        assert_eq!(gateway.chat("gpt-4o", "hello").status, 200);
    }
    assert_eq!(gateway.stop(), 0);
    let done = house.run(&["exit", "export", "out"]).exits(0);
    assert!(done.stdout.contains("own record"), "{}", done.stdout);
    let exchanges = std::fs::read_to_string(house.path().join("out/own/exchanges.jsonl")).unwrap();
    assert_eq!(exchanges.lines().count(), 3);
    let line: Value = serde_json::from_str(exchanges.lines().next().unwrap()).unwrap();
    assert_eq!(line["route"], "gpt-4o");
    assert!(house.path().join("out/own/audit.jsonl").exists());
    assert!(!house.path().join("out/own/key_secrets.jsonl").exists());
    let sound = house.run(&["exit", "verify", "out"]).exits(0);
    assert!(sound.stdout.contains("nobody signed it"), "{}", sound.stdout);
}

#[test]
fn what_cannot_be_exported_says_why_and_leaves_everything_as_it_was() {
    let house = House::new(CONFIG);
    let said = |arguments: &[&str], code: i32, words: &str| {
        let done = house.run(arguments).exits(code);
        assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
    };
    said(&["exit", "export", "out"], 2, "nothing to export");
    said(&["exit", "export", "out", "--provider", "nobody"], 2, "there are: new, old");
    said(&["exit", "export", "out", "--provider", "old"], 2, "does not speak the OpenAI dialect");
    said(&["exit", "export", "out", "--url", "http://127.0.0.1:9/v1", "--only", "filez"], 2, "no collection `filez`");
    said(
        &["exit", "export", "out", "--url", "http://127.0.0.1:9/v1", "--key-from", "NO_SUCH"],
        2,
        "NO_SUCH is not set",
    );
    said(&["exit", "export", "out", "--url", "http://127.0.0.1:9/v1", "--sign", "crossfade.yaml"], 2, "no Ed25519 key");
    said(&["exit", "verify", "out"], 2, "holds no export");
    assert!(!house.path().join("out").exists());
    house.run(&["keys", "signing", "a.key"]).exits(0);
    said(&["keys", "signing", "a.key"], 2, "there is a file a.key already");
}
