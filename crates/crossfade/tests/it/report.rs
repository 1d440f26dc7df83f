//! `report`: what it decides of a real store, what it says when the evidence is gone, and bundles that are verified.

use scripted::{Script, Upstream, chat_completion};

use crate::parts::{CONFIG, House, post};

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
    // A worksheet whose rates are of that evaluation is of that model as well.
    let sheet = include_str!("../../src/config/worksheet/right.yaml");
    let sheet = sheet.replace("name: api", "name: gpt").replace("name: own", "name: qwen");
    let sheet =
        sheet.replace("evidence: eval run parity-3 }", "evidence: eval run parity, evidence_id: \"eval-run:parity\" }");
    std::fs::write(house.path().join("tco.yaml"), sheet).unwrap();
    let said = house.run(&["report", "--tco", "tco.yaml"]).exits(4).stdout;
    assert!(said.contains("was the model q then and is q2 now"), "{said}");
    assert!(said.contains("worksheet `tco.yaml`: its first-pass success is of the evaluation `parity`"), "{said}");
}

#[test]
fn worksheets_of_other_sides_do_not_count_two_of_one_workload_are_refused_and_what_is_set_is_said() {
    let upstream = upstream(200);
    let house = house(&upstream);
    let sheet = include_str!("../../src/config/worksheet/right.yaml");
    std::fs::write(house.path().join("other.yaml"), sheet).unwrap();
    let sheet = sheet.replace("name: api", "name: gpt").replace("name: own", "name: qwen");
    std::fs::write(house.path().join("tco.yaml"), sheet).unwrap();
    let report = |more: &[&str]| {
        let usual = ["report", "--candidate", "qwen", "--set", "max_age=9999d", "--set", "quality.required=false"];
        house.run(&[&usual[..], more].concat())
    };
    let said = report(&["--tco", "support=other.yaml"]).exits(4).stdout;
    assert!(said.contains("worksheet `other.yaml`: its sides are `api` and `own`"), "{said}");
    assert!(said.contains("Loosened on the command line: max_age=9999d, quality.required=false."), "{said}");
    let said = report(&["--tco", "support=tco.yaml"]).exits(4).stdout;
    assert!(!said.contains("worksheet `tco.yaml`") && said.contains(" a month, "), "{said}");
    let wrong = report(&["--tco", "tco.yaml", "--tco", "support=other.yaml"]).exits(2).stderr;
    assert!(wrong.contains("tco.yaml and other.yaml are both worksheets of costs of `support`"), "{wrong}");
}

#[test]
fn a_bundle_verifies_offline_and_names_the_figure_that_was_changed() {
    let upstream = upstream(50);
    let house = house(&upstream);
    evaluate(&house, 300, 0);
    std::fs::write(house.path().join("o.csv"), "arm,csat\nbaseline,4\ncandidate,x\ncandidate,5\n").unwrap();
    let said = house.run(&["report", "--output", "r", "--no-pdf", "--outcomes", "o.csv"]).exits(0).stdout;
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
    std::fs::write(house.path().join("r/report.pdf"), "%PDF of other figures").unwrap();
    let said = house.run(&["report", "verify", "r"]).exits(0).stderr;
    assert!(said.contains("report.pdf is not checked"), "{said}");
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
    assert!(said.ends_with("NOT verified: 1 difference\n"), "{said}");
    std::fs::create_dir(house.path().join("other")).unwrap();
    std::fs::write(house.path().join("other/manifest.json"), "{\"files\":{}}").unwrap();
    house.run(&["report", "verify", "other"]).exits(2);
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
    std::fs::write(house.path().join("study.xlsx"), b"PK\x03\x04\xff\xfe").unwrap();
    let wrong = house.run(&["report", "--tco", "study.xlsx"]).exits(2).stderr;
    assert!(wrong.contains("study.xlsx is a spreadsheet") && wrong.contains("crossfade tco init"), "{wrong}");
    std::fs::write(house.path().join("o.csv"), "a,b\n").unwrap();
    let wrong = house.run(&["report", "--outcomes", "o.csv"]).exits(2).stderr;
    assert!(wrong.contains("no column `arm`"), "{wrong}");
    std::fs::write(house.path().join("o.csv"), "arm,csat\nbaseline,4\n").unwrap();
    let wrong = house.run(&["report", "--outcomes", "o.csv"]).exits(2).stderr;
    assert!(wrong.contains("no row of the arm `candidate`"), "{wrong}");
    let wrong = house.run(&["report", "--outcomes", "suport=o.csv"]).exits(2).stderr;
    assert!(wrong.contains("`--outcomes suport=…` names neither") && wrong.contains("support"), "{wrong}");
    house.write(&format!("{CONFIG}report: {{ target_load: {{ gpt: 1 }}, scorecard: {{ speed: {{}} }} }}\n"));
    let wrong = house.run(&["check"]).exits(2).stderr;
    assert!(wrong.contains("gpt-4o") && wrong.contains("speed"), "{wrong}");
}

/// A browser that answers over its pipes as Chromium does, and prints so many pages.
fn browser(n_pages: usize) -> String {
    let pages = "L1R5cGUgL1BhZ2UK".repeat(n_pages);
    let answers = [
        // "%PDF-1.4" and "/Type /Page" for each page, lines of twelve bytes.
        ("*printToPDF*", format!(r#"{{"data":"JVBERi0xLjQK{pages}"}}"#)),
        ("*attachToTarget*", r#"{"sessionId":"s"}"#.to_owned()),
        ("*getFrameTree*", r#"{"frameTree":{"frame":{"id":"f"}}}"#.to_owned()),
        ("*", r#"{"targetId":"t"}"#.to_owned()),
    ];
    let cases: String = answers.map(|(of, result)| format!("{of}) result='{result}';;\n")).concat();
    format!(
        "echo \"$@\" > arguments\nwhile IFS= read -r -d '' message <&3; do\n\
         case $message in *setDocumentContent*) echo \"$message\" > page;; esac\n\
         id=${{message#*\\\"id\\\":}}; id=${{id%%,*}}\ncase $message in\n{cases}esac\n\
         printf '{{\"method\":\"Some.event\"}}\\0{{\"id\":%s,\"result\":%s}}\\0' \"$id\" \"$result\" >&4\ndone"
    )
}

#[test]
fn a_browser_prints_the_page_over_its_pipes_and_one_that_fails_or_hangs_leaves_the_page_and_a_hint() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new(CONFIG);
    let path = house.path().join("browser");
    let report = |text: &str, patience: &str| {
        std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let named = [("CROSSFADE_BROWSER", path.to_str().unwrap()), ("PATH", "/usr/bin:/bin")];
        house.run_with(&["report", "--output", "r", "--pdf-timeout", patience], &named).exits(4)
    };
    let of = |name: &str| std::fs::read_to_string(house.path().join(name)).unwrap();
    let said = report(&browser(1), "60");
    assert!(said.stdout.contains("r/report.pdf"), "{}", said.stderr);
    assert!(of("r/report.pdf").starts_with("%PDF-1.4"));
    assert!(of("arguments").contains("--headless") && of("arguments").contains("--remote-debugging-pipe"));
    assert!(of("page").contains("Decision report"), "{}", of("page"));
    let said = report(&browser(7), "60");
    assert!(said.stderr.contains("the PDF has 7 pages, more than 6"), "{}", said.stderr);
    for (text, patience, why) in [
        ("echo cannot open shared object file >&2; exit 3", "60", "cannot open shared object file"),
        ("sleep 600", "1", "it took longer than 1 s"),
        ("while IFS= read -r -d '' message <&3; do :; done", "1", "it took longer than 1 s"),
    ] {
        let said = report(text, patience);
        let stderr = &said.stderr;
        assert!(stderr.contains("no PDF: ") && stderr.contains(why) && stderr.contains("hint: "), "{stderr}");
        assert!(!house.path().join("r/report.pdf").exists() && house.path().join("r/report.html").exists());
    }
}

#[test]
fn every_profile_is_a_config_that_check_takes() {
    for profile in ["startup", "regulated", "platform"] {
        let house = House::new("");
        let text = house.run(&["init", "--profile", profile, "--print"]).exits(0).stdout;
        house.write(&text);
        house.run_with(&["check"], &KEYS).exits(0);
        let facts = house.run_with(&["report", "--format", "json"], &KEYS).exits(4).json();
        assert_eq!(facts["moves"][0]["decision"], "not_enough_evidence", "{profile}");
    }
}

/// What the profiles' configs take from the environment.
const KEYS: [(&str, &str); 2] =
    [("OPENAI_API_KEY", "sk-not-a-key"), ("CROSSFADE_ADMIN_TOKEN", "not-a-token-0123456789abcdef")];

#[test]
fn every_profile_is_served_and_the_regulated_one_demands_keys_approvals_evidence_and_retention() {
    let rollouts = [("startup", "support-to-qwen"), ("regulated", "advice-to-own"), ("platform", "agents-to-large")];
    for (profile, rollout) in rollouts {
        let house = House::new("");
        let text = house.run(&["init", "--profile", profile, "--print"]).exits(0).stdout;
        let text = text.replace("127.0.0.1:4000", "127.0.0.1:0").replace("127.0.0.1:4001", "127.0.0.1:0");
        house.write(&text.replace("https://api.openai.com/v1", "http://127.0.0.1:9/v1"));
        let said = house.run_with(&["check"], &KEYS).exits(0).stdout;
        let gateway = house.serve_with(&KEYS);
        let body = r#"{"model":"assistant","messages":[{"role":"user","content":"hi"}]}"#;
        let asks_for_keys = profile != "startup";
        assert_eq!(post(gateway.data, "/v1/chat/completions", body).status == 401, asks_for_keys, "{profile}");
        let start = ["rollout", "start", rollout, "--actor", "ana"];
        if asks_for_keys {
            let refused = gateway.run(&start);
            assert_ne!(refused.code, 0, "{profile}: an operator without the token");
        }
        // On this machine alone the startup's operators need no token.
        let run = |arguments: &[&str]| {
            if asks_for_keys { gateway.run_as(KEYS[1].1, arguments) } else { gateway.run(arguments) }
        };
        run(&start).exits(0);
        let promoted = run(&["rollout", "promote", rollout, "--actor", "ana", "--reason", "in a hurry"]);
        if profile != "regulated" {
            continue;
        }
        assert!(
            promoted.code != 0 && promoted.stderr.contains("before the gates have passed"),
            "{}{}",
            promoted.stdout,
            promoted.stderr
        );
        for words in [
            "record    strict",
            "bodies go after 30 d, exchanges go after 400 d",
            "asks every caller for a key",
            "filed suite `any` of 500 cases, at most 30d old, before canary",
            "filed suite `safety` of 300 cases, at most 30d old, before canary",
            "filed review `any` of 200 cases, at most 30d old, before majority",
            "filed drill `any`, at most 30d old, before majority",
            "approvals hold for 3d, whoever starts it may not",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        // Two people agree after shadow, canary and majority.
        let stages =
            said.lines().filter(|line| line.trim_start().starts_with(['s', 'c', 'm']) && line.ends_with("  2"));
        assert_eq!(stages.count(), 3, "{said}");
    }
}

#[test]
fn what_the_scorecard_demands_is_edited_in_the_config_and_at_the_command_line() {
    let upstream = upstream(20);
    let house = house(&upstream);
    evaluate(&house, 400, 4);
    let target = |house: &House, set: &[&str]| {
        let arguments: Vec<&str> = ["report", "--format", "json"].iter().chain(set).copied().collect();
        let facts = house.run(&arguments).json();
        (facts["moves"][0]["areas"][0]["target"].clone(), facts["moves"][0]["areas"][0]["standing"].clone())
    };
    // 95 of 100 right is at least 90 %, and not shown to be 95 %.
    assert_eq!(target(&house, &["--set", "quality.parity=0.95"]).0, "mean score ≥ 95.0 % of the baseline's");
    let config = std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap();
    house.write(&config.replace("scorecard:\n", "scorecard:\n    quality: { parity: 0.99 }\n"));
    assert_eq!(target(&house, &[]), ("mean score ≥ 99.0 % of the baseline's".into(), "fail".into()));
    assert_eq!(target(&house, &["--set", "quality.parity=0.5"]).0, "mean score ≥ 50.0 % of the baseline's");
}
