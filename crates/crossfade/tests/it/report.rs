//! `report`: what it decides of a real store, what it says when the evidence is gone, and bundles that are verified.

use scripted::{Script, Upstream, chat_completion};

use crate::parts::{CONFIG, House};

/// Two targets at one scripted upstream; only quality is required.
fn house(upstream: &Upstream) -> House {
    House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ dialect: openai, base_url: {0}/v1 }}\n  \
         own: {{ dialect: openai, base_url: {0}/v1, class: self_hosted }}\ntargets:\n  gpt: {{ provider: p, model: m }}\n  \
         qwen: {{ provider: own, model: q }}\nroutes:\n  chat: {{ target: gpt, workload: support }}\nworkloads:\n  support: {{ risk: low }}\n\
         report:\n  scorecard:\n    latency: {{ required: false }}\n    throughput: {{ required: false }}\n    \
         safety: {{ required: false }}\n    tco: {{ required: false }}\n",
        upstream.url()
    ))
}

/// Answers "yes" to all but, of the model `q`, every so many.
fn upstream(wrong_every: usize) -> Upstream {
    Upstream::with(move |request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let number: usize =
            body.split("Question ").nth(1).and_then(|rest| rest.split('?').next()?.parse().ok()).unwrap_or(0);
        let wrong = body.contains("\"q\"") && number.is_multiple_of(wrong_every);
        Script::json(chat_completion(if wrong { "no" } else { "yes" }))
    })
}

fn evaluate(house: &House, n: usize, code: i32) {
    let cases: String = (0..n)
        .map(|idx| format!("{{\"id\":\"c{idx}\",\"input\":\"Question {idx}?\",\"expected\":\"yes\"}}\n"))
        .collect();
    std::fs::write(house.path().join("cases.jsonl"), cases).unwrap();
    let run = [
        "eval",
        "run",
        "--file",
        "cases.jsonl",
        "--target",
        "gpt",
        "--target",
        "qwen",
        "--run",
        "parity",
        "--margin",
        "0.05",
    ];
    house.run(&run).exits(code);
}

#[test]
fn good_answers_switch_and_deleted_evaluations_are_not_enough_evidence() {
    let upstream = upstream(200);
    let house = house(&upstream);
    let said = house.run(&["report"]).exits(4).stdout;
    assert!(said.contains("not enough evidence") && said.contains("There is no store yet"), "{said}");
    evaluate(&house, 400, 0);
    let facts = house.run(&["report", "--format", "json"]).exits(0).json();
    assert_eq!(
        (&facts["moves"][0]["decision"], &facts["moves"][0]["rule"]),
        (&"switch".into(), &"A1".into()),
        "{facts:#}"
    );
    assert_eq!(facts["simulated"], false);
    let database = rusqlite::Connection::open(house.path().join("crossfade.db")).unwrap();
    database.execute("DELETE FROM eval_runs", []).unwrap();
    drop(database);
    let facts = house.run(&["report", "--format", "json", "--candidate", "qwen"]).exits(4).json();
    assert_eq!(facts["moves"][0]["decision"], "not_enough_evidence", "{facts:#}");
    assert!(facts["moves"][0]["next"].as_str().unwrap().contains("crossfade eval run --target gpt --target qwen"));
}

#[test]
fn worse_answers_stay_and_a_changed_model_makes_the_evaluation_stale() {
    let upstream = upstream(3);
    let house = house(&upstream);
    evaluate(&house, 200, 3);
    let facts = house.run(&["report", "--format", "json"]).exits(3).json();
    assert_eq!(facts["moves"][0]["rule"], "Q1", "{facts:#}");
    let config = std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap();
    house.write(&config.replace("model: q }", "model: q2 }"));
    let said = house.run(&["report"]).exits(4).stdout;
    assert!(said.contains("was the model q then and is q2 now"), "{said}");
}

#[test]
fn a_bundle_verifies_offline_and_names_the_figure_that_was_changed() {
    let upstream = upstream(50);
    let house = house(&upstream);
    evaluate(&house, 300, 0);
    std::fs::write(house.path().join("o.csv"), "arm,csat\nbaseline,4\ncandidate,x\ncandidate,5\n").unwrap();
    let said = house.run(&["report", "--out", "r", "--no-pdf", "--outcomes", "o.csv"]).exits(0).stdout;
    assert!(said.contains("bundle.tar") && !said.contains("report.pdf"), "{said}");
    let page = std::fs::read_to_string(house.path().join("r/report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("<script") && page.contains("line 3: `x` under `csat`"));
    assert!(!page.contains("Question 1?") && !page.contains("http"), "no prompt, and nothing is loaded");
    // Neither config nor store is needed.
    let elsewhere = tempfile::tempdir().unwrap();
    let there = elsewhere.path().join("b.tar");
    std::fs::copy(house.path().join("r/bundle.tar"), &there).unwrap();
    std::fs::remove_file(house.path().join("crossfade.yaml")).unwrap();
    let there = there.to_str().unwrap();
    let said = house.run(&["report", "verify", there]).exits(0).stdout;
    assert!(said.starts_with("verified: "), "{said}");
    house.run(&["report", "verify", "r"]).exits(0);
    house.run(&["report", "verify", there, "--evidence", "0123456789"]).exits(3);
    let mut bytes = std::fs::read(there).unwrap();
    let figure = b"\"standing\": \"pass\"";
    let at = bytes.windows(figure.len()).position(|window| window == figure).unwrap();
    bytes[at + 13..at + 17].copy_from_slice(b"fail");
    std::fs::write(there, bytes).unwrap();
    let said = house.run(&["report", "verify", there]).exits(3).stdout;
    assert!(
        said.contains("report.json: moves[0].areas[0].standing: \"fail\" is written, and the rows come to \"pass\""),
        "{said}"
    );
    house.run(&["report", "verify", "cases.jsonl"]).exits(2);
    house.run(&["report", "verify", "nothing.tar"]).exits(2);
}

#[test]
fn simulated_targets_are_in_the_headline_and_wrong_words_are_refused() {
    let house = House::new(CONFIG);
    let said = house.run(&["report"]).exits(4).stdout;
    assert!(said.contains("SIMULATED"), "{said}");
    let wrong = house.run(&["report", "--workload", "suport"]).exits(2).stderr;
    assert!(wrong.contains("did you mean `support`?"), "{wrong}");
    let wrong = house.run(&["report", "--set", "quality.party=1"]).exits(2).stderr;
    assert!(wrong.contains("did you mean `quality.parity`?"), "{wrong}");
    let wrong = house.run(&["report", "--tco", "none.yaml"]).exits(2).stderr;
    assert!(wrong.contains("cannot read none.yaml"), "{wrong}");
    std::fs::write(house.path().join("o.csv"), "a,b\n").unwrap();
    let wrong = house.run(&["report", "--outcomes", "o.csv"]).exits(2).stderr;
    assert!(wrong.contains("no column `arm`"), "{wrong}");
    house.write(&format!("{CONFIG}report: {{ target_load: {{ gpt: 1 }}, scorecard: {{ speed: {{}} }} }}\n"));
    let wrong = house.run(&["check"]).exits(2).stderr;
    assert!(wrong.contains("gpt-4o") && wrong.contains("speed"), "{wrong}");
}

#[cfg(unix)]
#[test]
fn a_browser_that_is_named_prints_the_page_and_one_that_fails_leaves_the_page_and_a_hint() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new(CONFIG);
    let browser = house.path().join("browser");
    let script = |text: &str| {
        std::fs::write(&browser, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
        let named = browser.to_str().unwrap();
        house.run_with(&["report", "--out", "r"], &[("CROSSFADE_BROWSER", named), ("PATH", "/usr/bin:/bin")]).exits(4)
    };
    let said = script("for a in \"$@\"; do case $a in --print-to-pdf=*) echo \"$@\" > \"${a#*=}\";; esac; done");
    assert!(said.stdout.contains("r/report.pdf"), "{}", said.stderr);
    let arguments = std::fs::read_to_string(house.path().join("r/report.pdf")).unwrap();
    assert!(
        arguments.contains("--headless") && arguments.contains("file:///") && arguments.contains("r/report.html"),
        "{arguments}"
    );
    let said = script("exit 3");
    assert!(
        said.stderr.contains("no PDF: ")
            && said.stderr.contains("hint: ")
            && !house.path().join("r/report.pdf").exists()
    );
    assert!(house.path().join("r/report.html").exists());
}

#[test]
fn every_profile_is_a_config_that_check_takes() {
    for profile in ["startup", "regulated", "platform"] {
        let house = House::new("");
        let text = house.run(&["init", "--profile", profile, "--print"]).exits(0).stdout;
        house.write(&text);
        let keys = [("OPENAI_API_KEY", "sk-not-a-key"), ("CROSSFADE_ADMIN_TOKEN", "not-a-token-0123456789abcdef")];
        house.run_with(&["check"], &keys).exits(0);
        let facts = house.run_with(&["report", "--format", "json"], &keys).exits(4).json();
        assert_eq!(facts["moves"][0]["decision"], "not_enough_evidence", "{profile}");
    }
}
