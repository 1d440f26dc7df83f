//! What is on the screens.

use super::ask;
use crate::parts::{CONFIG, Gateway, House, WIDE_GATES, request, until, with_policy};

/// The path of a page, and what it shows.
#[track_caller]
pub(super) fn shows(gateway: &Gateway<'_>, path: &str, words: &[&str]) -> String {
    let page = ask(gateway.admin, "GET", path, ("", ""));
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    for word in words {
        assert!(page.body.contains(word), "`{word}` is not on {path}:\n{}", page.body);
    }
    page.body
}

#[test]
fn a_rollout_is_started_watched_and_aborted_from_its_page() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    shows(&gateway, "/", &["to-qwen", "not started", "crossfade inventory PATH --file", "missing"]);
    let page = ask(gateway.admin, "GET", "/rollouts/to-qwen", ("", ""));
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let form = format!("csrf={}&reason=a+try", page.token());
    let go = |verb: &str| ask(gateway.admin, "POST", &format!("/rollouts/to-qwen/{verb}"), (&cookie, &form)).status;
    assert_eq!(go("start"), 303);
    for nth in 0..3 {
        gateway.chat("gpt-4o", &format!("question {nth}"));
    }
    until(|| {
        let page = shows(&gateway, "/rollouts/to-qwen", &["Abort", "Gates", "Guards", "shadow", "to-qwen/trail"]);
        page.contains("error rate").then_some(())
    });
    assert_eq!((go("pause"), go("resume"), go("abort")), (303, 303, 303));
    shows(&gateway, "/rollouts/to-qwen/trail", &["aborted", "a try", "shadow"]);
    assert_eq!(go("extend"), 409, "its state does not allow that");
    shows(&gateway, "/", &["aborted"]);
}

#[test]
fn what_is_approved_is_the_evidence_that_was_shown() {
    let stages = "shadow: { sample: 1.0, min_pairs: 3, min_duration: 0, approvals: 1 }, \
                  canary: { shares: [0.5], min_units: 100000 }, majority: { shares: [0.9] }";
    let house = House::new(&with_policy(stages, WIDE_GATES));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let mut nth = 0;
    let page = until(|| {
        nth += 1;
        gateway.chat("gpt-4o", &format!("question {nth}"));
        let page = ask(gateway.admin, "GET", "/rollouts/to-qwen", ("", ""));
        page.body.contains("name=\"hash\"").then_some(page)
    });
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let hash = page.body.split("name=\"hash\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(hash.len(), 64);
    let approve = |hash: &str| {
        let form = format!("csrf={}&as=ana&hash={hash}", page.token());
        ask(gateway.admin, "POST", "/rollouts/to-qwen/approve", (&cookie, &form))
    };
    let other = approve(&"0".repeat(64));
    assert!(other.status == 409 && other.body.contains("other evidence"), "{}", other.body);
    assert_eq!(approve(hash).status, 303);
    until(|| {
        let page = shows(&gateway, "/rollouts/to-qwen/trail", &[]);
        (page.contains("approved by ana") && page.contains("canary 50 %")).then_some(())
    });
}

#[test]
fn a_panel_is_opened_on_its_page_by_who_is_asked_for_a_name() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    shows(&gateway, "/review", &["start one, then open a panel here"]);
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    for nth in 0..6 {
        gateway.chat("gpt-4o", &format!("question {nth}"));
    }
    until(|| {
        let pairs = gateway.run(&["exchanges", "pairs", "--format", "json"]).json();
        let whole = |pair: &serde_json::Value| pair["shadow"]["duration_us"].is_u64();
        (pairs.as_array().unwrap().iter().filter(|pair| whole(pair)).count() == 6).then_some(())
    });
    let page = ask(gateway.admin, "GET", "/review?rollout=to-qwen", ("", ""));
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let open = |form: &str| {
        let form = format!("csrf={}&rollout=to-qwen&overlap=0.2&{form}", page.token());
        ask(gateway.admin, "POST", "/review", (&cookie, &form))
    };
    let opened = open("panel=look&reviewers=ana%2C+ben&pairs=9&disagreeing=0&as=cleo");
    assert_eq!(opened.status, 200, "{}", opened.body);
    for words in ["The panel <bdi>look</bdi> is open", "6 of 6 pairs", "Fewer than the 9", "<bdi>ben</bdi>"] {
        assert!(opened.body.contains(words), "{words}: {}", opened.body);
    }
    shows(&gateway, "/review", &["<bdi>cleo</bdi>", "<bdi>look</bdi>"]);
    shows(&gateway, "/review/look?as=ana", &["Which is better", "name=\"as\" value=\"ana\""]);
    let again = open("panel=look&reviewers=dora&pairs=5&disagreeing=0");
    assert!(again.status == 409 && again.body.contains("there is a panel <code>look</code> already"), "{}", again.body);
    for (form, words) in [
        ("panel=b&reviewers=+&pairs=5&disagreeing=0", "needs reviewers"),
        ("panel=b&reviewers=ana&pairs=many&disagreeing=0", "wants a whole number"),
        ("panel=b&reviewers=ana&pairs=5&disagreeing=7", "from 0 to 1"),
        ("panel=../b&reviewers=ana&pairs=5&disagreeing=0", "a panel&#39;s name has letters"),
    ] {
        let wrong = open(form);
        let words = words.replace("&#39;", "'");
        assert!(wrong.status == 400 && wrong.body.contains(&words), "{form}: {}", wrong.body);
    }
}

#[test]
fn exchanges_are_found_by_the_address_paged_by_key_and_hostile_ones_are_inert() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    shows(&gateway, "/exchanges", &["Nothing is on record"]);
    let hostile = "</pre><script>alert(1)</script><img src=x onerror=alert(2)> \u{202e}turned";
    for _ in 0..60 {
        gateway.chat("gpt-4o", hostile);
    }
    let everything = "/exchanges?route=gpt-4o&outcome=complete&since_us=1";
    // Until the last of them is in the database, a page is not what it will be.
    until(|| {
        (gateway.run(&["exchanges", "list", "--limit", "100", "--format", "json"]).json().as_array()?.len() == 60)
            .then_some(())
    });
    let first = shows(&gateway, everything, &["Older ones"]);
    let links =
        first.split("href=\"/exchanges?").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
    let older = links.into_iter().find(|link| link.contains("before=")).unwrap();
    assert!(older.starts_with("route=gpt-4o&outcome=complete&since_us=1&before="), "{older}");
    let second = shows(&gateway, &format!("/exchanges?{older}"), &["gpt-4o"]);
    let ids = |page: &str| {
        page.split("class=\"id\" href=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&first).len(), 50);
    assert!(ids(&second).len() == 10 && ids(&second).iter().all(|id| !ids(&first).contains(id)));
    let one = shows(&gateway, &ids(&first)[0], &["Attempts", "&lt;script&gt;alert(1)", "⟨U+202E⟩turned"]);
    assert!(!one.contains("<script>") && !one.contains("<img") && !one.contains('\u{202e}'), "{one}");
    assert_eq!(ask(gateway.admin, "GET", "/exchanges?epoch=x", ("", "")).status, 400);
    assert_eq!(ask(gateway.admin, "GET", "/exchanges/nope", ("", "")).status, 400);
}

#[test]
fn what_was_found_in_code_and_what_would_take_its_place_is_shown_once_it_is_filed() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    shows(
        &gateway,
        "/inventory",
        &["No inventory is filed", "crossfade inventory PATH --file", "No replacement matrix is filed"],
    );
    let code = "from openai import OpenAI\nclient = OpenAI()\nclient.chat.completions.create(model=\"gpt-3.5-turbo-0301\", messages=[])\nclient.embeddings.create(model=\"text-embedding-3-small\", input=\"x\")\n";
    std::fs::create_dir(house.path().join("shop")).unwrap();
    house.write_file("shop/<b>ask.py", code);
    let quiet = ["--no-cache", "--file", "--actor", "ana"];
    house.run(&[&["inventory", "shop"], quiet.as_slice()].concat()).exits(0);
    house.run(&[&["inventory", "matrix", "shop"], quiet.as_slice()].concat()).exits(0);
    let page = shows(
        &gateway,
        "/inventory",
        &[
            "filed by",
            "ana",
            "openai",
            "chat",
            "embeddings",
            "&lt;b&gt;ask.py",
            "gpt-3.5-turbo-0301",
            "What would take their place",
            "unproved",
        ],
    );
    assert!(!page.contains("<b>ask"), "{page}");
    let chosen = shows(&gateway, "/inventory?operation=embeddings", &["text-embedding-3-small", "All of them"]);
    assert!(!chosen.contains("openai:gpt") && chosen.matches("ask.py").count() == 1, "{chosen}");
    shows(&gateway, "/inventory?after=100000", &["Nothing matches"]);
    assert_eq!(ask(gateway.admin, "GET", "/inventory?after=x", ("", "")).status, 400);
    shows(&gateway, "/", &["inventory of shop is filed, by ana", "replacement matrix of shop is filed"]);
    shows(&gateway, "/audit?subject=inventory%3Ashop", &["inventory.file", "matrix.file"]);
}

const PROMPT: &str = "\
variables:
  question: { type: string }
messages:
  - { role: system, text: \"SAID\" }
  - { role: user, text: \"{{question}}\" }
variants:
  short: { targets: [qwen], instruction: One sentence. }
tests:
  - name: refund
    with: { question: How long? }
    expect: [{ contains: thirty days }]
";

#[test]
fn prompts_are_shown_with_their_versions_variants_difference_and_golden_tests() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    shows(&gateway, "/prompts", &["No version of a prompt is kept", "crossfade prompts test"]);
    assert_eq!(ask(gateway.admin, "GET", "/prompts/support", ("", "")).status, 404);
    std::fs::create_dir(house.path().join("prompts")).unwrap();
    let write = |said: &str| {
        house.write_file("prompts/support.yaml", &PROMPT.replace("SAID", said));
    };
    write("You answer <i>shortly</i>.");
    house.run(&["prompts", "label", "support", "production", "--reason", "the first"]).exits(0);
    write("You answer at length.");
    house.run(&["prompts", "test", "--target", "qwen", "--actor", "ana"]).exits(3);
    shows(&gateway, "/prompts", &["support", "production", "0 of 1 passed", "simulated"]);
    let page = shows(
        &gateway,
        "/prompts/support",
        &[
            "You answer at length.",
            "One sentence.",
            "Variant ",
            "qwen",
            "refund",
            "1 failed, 0 not measured",
            "the first",
            "<del>",
            "<ins>",
            "&lt;i&gt;shortly",
        ],
    );
    assert!(!page.contains("<i>shortly"), "{page}");
    let first = shows(&gateway, "/prompts/support?version=production", &["You answer &lt;i&gt;shortly"]);
    assert!(first.contains("aria-current=\"true\""), "{first}");
    assert_eq!(ask(gateway.admin, "GET", "/prompts/support?version=zz", ("", "")).status, 404);
}

#[test]
fn drills_on_record_are_on_one_page() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    shows(&gateway, "/drills", &["No drill of a rollout is on record", "No exit drill is on record"]);
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let filed = r#"{"kind":"drill","name":"hang","passed":true,"digest":"0f3a9c","n":3,"reason":"by the book"}"#;
    let json = [("content-type", "application/json")];
    assert_eq!(request(gateway.admin, "POST", "/api/rollouts/to-qwen/file", &json, filed).status, 200);
    shows(&gateway, "/drills", &["to-qwen", "hang", "by the book", "pass", "0f3a9c"]);
    let data = gateway.data.to_string();
    let quick = ["--no-probes", "--before", "500ms", "--hold", "500ms", "--own-rate", "50", "--data", &data];
    gateway.run(&[["exit", "drill", "gpt-4o", "--to", "qwen"].as_slice(), &quick].concat()).exits(0);
    shows(&gateway, "/drills", &["gpt → qwen".replace(" → ", "</bdi> → <bdi>").as_str(), "simulated", " hold"]);
    assert_eq!(ask(gateway.admin, "GET", "/drills?before=x", ("", "")).status, 400);
}
