//! What a migration costs: the worksheet, what the record fills in, and the answers in every form.

use scripted::{Script, Upstream, chat_completion};
use serde_json::Value;

use crate::parts::{CONFIG, House, until};

/// A worksheet that lacks nothing: the worked answers W8 and W9.
const RIGHT: &str = include_str!("../../src/config/worksheet/right.yaml");

fn house(worksheet: &str) -> (House, String) {
    let house = House::new(CONFIG);
    let file = house.path().join("tco.yaml");
    std::fs::write(&file, worksheet).unwrap();
    let file = file.display().to_string();
    (house, file)
}

fn figure(facts: &Value, id: &str) -> String {
    let cells = facts["cells"].as_array().unwrap();
    let cell = cells.iter().find(|cell| cell["id"] == id).unwrap_or_else(|| panic!("no {id}"));
    cell["shown"].as_str().unwrap().to_owned()
}

#[test]
fn a_study_says_the_same_in_every_form() {
    let (house, file) = house(RIGHT);
    let run = |more: &[&str]| house.run(&[&["tco", "run", &file, "--draws", "20000"][..], more].concat());
    let text = run(&[]).exits(4).stdout;
    for words in [
        "A successful task costs $0.10212 at own and $0.1255 at api",
        "undecided",
        "0 because the vendor is",
        "candidate.first_pass",
    ] {
        assert!(text.contains(words), "{words} not in\n{text}");
    }
    let facts = run(&["--format", "json"]).exits(4).json();
    assert_eq!(facts["baseline"]["cost_per_successful_task"], 0.125_497_25);
    assert_eq!(figure(&facts, "baseline.total"), "150596.70");
    assert_eq!(facts["verdict"], "undecided");
    let median = facts["odds"]["saving"]["p50"].as_f64().unwrap();
    assert!((median - 0.18).abs() < 0.02, "{median}");
    let csv = run(&["--as", "csv"]).exits(4).stdout;
    assert!(csv.contains("\nbaseline.total,Everything,$/month,150596.70,derived,2026-11-26,"), "{csv}");
    let focus = run(&["--as", "focus"]).exits(4).stdout;
    assert!(focus.lines().count() == 9 && focus.contains("planned, not billed: API fees of api, a month"), "{focus}");
    let page = house.path().join("tco.html");
    let said = run(&["-o", page.to_str().unwrap()]).exits(4);
    assert!(said.stdout.is_empty() && said.stderr.contains("the study is in"), "{}", said.stderr);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("150596.70") && !page.contains("<script"));
    let wrong = house.path().join("t.pdf");
    let refused = run(&["-o", wrong.to_str().unwrap()]).exits(2).stderr;
    assert!(refused.contains("ending `.pdf`") && refused.contains(".html, .json, .csv, .xlsx, .txt"), "{refused}");
    assert!(!wrong.exists() && run(&["-o", wrong.to_str().unwrap(), "--as", "focus"]).exits(4).stdout.is_empty());
    let again = run(&["--format", "json"]).exits(4).json();
    assert_eq!(facts, again, "the same seed gives the same answer");
}

#[test]
fn what_if_decides_and_a_name_that_is_none_is_answered_with_the_nearest() {
    let (house, file) = house(RIGHT);
    let what_if = |set: &str, code| house.run(&["tco", "run", &file, "--draws", "5000", "--set", set]).exits(code);
    what_if("candidate.first_pass=0.99", 0);
    what_if("candidate.first_pass=0.80", 3);
    assert!(what_if("candidate.gpu.count=3", 2).stderr.contains("did you mean `candidate.gpus.count`?"));
    assert!(what_if("candidate.first_pas=0.9", 2).stderr.contains("did you mean `candidate.first_pass`?"));
    assert!(what_if("candidate.first_pass=1.9", 2).stderr.contains("a share from 0 to 1"));
    assert!(what_if("baseline.total=1", 2).stderr.contains("is computed"));
    assert!(what_if("baseline.total", 2).stderr.contains("write it like"));
}

#[test]
fn what_is_unknown_is_asked_for_and_never_taken_for_nothing() {
    let (house, file) = house(&RIGHT.replace("review_hour: { value: 60, low: 30, high: 120 }", "review_hour: unknown"));
    let said = house.run(&["tco", "run", &file]).exits(4);
    for words in ["1 figure has to be filled in", "line 5", "review_hour", "QA and human review"] {
        assert!(said.stdout.contains(words), "{words} not in\n{}", said.stdout);
    }
    let facts = house.run(&["tco", "run", &file, "--format", "json"]).exits(4).json();
    assert_eq!((&facts["unknown"][0]["id"], &facts["odds"]), (&"review_hour".into(), &Value::Null));
    assert_eq!(facts["baseline"]["cost_per_successful_task"], Value::Null);

    std::fs::write(&file, RIGHT.replace("review_hour", "review_hours")).unwrap();
    assert!(house.run(&["tco", "run", &file]).exits(2).stderr.contains("did you mean `review_hour`?"));
    assert!(house.run(&["tco", "run", "nowhere.yaml"]).exits(2).stderr.contains("crossfade tco init"));
}

#[test]
fn a_worksheet_begins_with_what_the_record_knows() {
    let sheet = r#"{ "source": "a test", "checked": "2026-11-20", "models": [
      { "vendor": "acme", "id": "big", "prices": [{ "rates": { "request": "0.25", "input": 0, "output": 0 } }] } ] }"#;
    let config =
        CONFIG.replace("model: gpt-4o }", "model: gpt-4o, price: acme/big }") + "prices: { files: [acme.json] }\n";
    let house = House::new(&config);
    std::fs::write(house.path().join("acme.json"), sheet).unwrap();
    let gateway = house.serve();
    for n in 0..5 {
        assert_eq!(gateway.chat("gpt-4o", &format!("question {n}")).status, 200);
    }
    until(|| (house.run(&["prices", "spent"]).exits(0).stdout.contains("1.25")).then_some(()));
    let file = house.path().join("costs.yaml").display().to_string();
    let said = house.run(&["tco", "init", "--route", "gpt-4o", "-o", &file]).exits(0);
    let too_short = "stay unknown, for the record is too short: 5 requests of route gpt-4o in ";
    assert!(said.stderr.contains(too_short), "{}", said.stderr);
    let worksheet = std::fs::read_to_string(&file).unwrap();
    assert!(worksheet.contains("tasks_per_month: unknown        # too short a record: 5 requests in "), "{worksheet}");
    assert!(worksheet.contains("attempt: { value: 0.25, provenance: measured, date: 20"), "{worksheet}");
    assert!(worksheet.contains("evidence: \"5 priced calls of target"), "{worksheet}");
    let facts = house.run(&["tco", "run", &file, "--format", "json"]).exits(4).json();
    assert_eq!(figure(&facts, "baseline.attempt"), "0.25");
    assert!(facts["unknown"].as_array().unwrap().len() > 30);
    assert!(house.run(&["tco", "init", "-o", &file]).exits(2).stderr.contains("exists and is left as it is"));
    assert!(
        house.run(&["tco", "init", "--route", "gpt-4", "--print"]).exits(2).stderr.contains("did you mean `gpt-4o`")
    );
}

#[test]
fn first_pass_success_is_that_of_an_evaluation_run() {
    let upstream = Upstream::with(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let question = body["messages"][0]["content"].as_str().unwrap();
        let is_wrong = body["model"] == "other" && question.ends_with("0?");
        Script::json(chat_completion(if is_wrong { "no" } else { "yes" }))
    });
    let price = "price: { rates: { input: 1, output: 1 }, source: a test, checked: 2026-11-20 }";
    let house = House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ dialect: openai, base_url: {}/v1 }}\n\
         targets:\n  t: {{ provider: p, model: m, {price} }}\n  u: {{ provider: p, model: other, {price} }}\nroutes:\n  m: {{ target: t }}\n",
        upstream.url()
    ));
    let line = |idx: usize| format!("{{\"id\":\"c{idx}\",\"input\":\"Question {idx}?\",\"expected\":\"yes\"}}\n");
    std::fs::write(house.path().join("cases.jsonl"), (0..40).map(line).collect::<String>()).unwrap();
    let asked = house.run(&["eval", "run", "--file", "cases.jsonl", "--target", "t", "--target", "u", "--run", "r"]);
    assert!(asked.stderr.contains("eval report") || !asked.stdout.is_empty(), "{}", asked.stderr);
    let sheet = house.run(&["tco", "init", "--run", "r", "--print"]).exits(0).stdout;
    assert!(sheet.contains("first_pass: { seen: 40, of: 40, provenance: measured, date: 20"), "{sheet}");
    assert!(sheet.contains("first_pass: { seen: 36, of: 40, "), "{sheet}");
    // Nine tokens in and three out, at a dollar for a million of either.
    assert_eq!(sheet.matches("attempt: { value: 0.000012, provenance: measured, date: 20").count(), 2, "{sheet}");
    assert!(sheet.contains("evidence: \"eval run r, the mean of 40 cases asked of target u\""), "{sheet}");
    assert_eq!(sheet.matches("gpus: { none: \"the vendor runs the machines\" }").count(), 2, "{sheet}");
    let config = std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap();
    house.write(&config.replace("dialect: openai,", "dialect: openai, class: self_hosted,"));
    let own = house.run(&["tco", "init", "--run", "r", "--print"]).exits(0);
    assert!(own.stdout.contains("attempt: { none: \"it runs on GPUs of its own\" }"), "{}", own.stdout);
    assert!(own.stdout.contains("per_hour: unknown") && own.stderr.contains("u is self_hosted"), "{}", own.stderr);
    assert!(
        sheet.contains("name: \"t\"") && sheet.contains("name: \"u\"") && sheet.contains("eval run r, "),
        "{sheet}"
    );
    assert!(house.run(&["tco", "init", "--run", "q", "--print"]).exits(2).stderr.contains("there are: r"));
    let wrong = house.run(&["tco", "init", "--run", "r", "--candidate", "v", "--print"]).exits(2).stderr;
    assert!(wrong.contains("no candidate `v`") && wrong.contains("there are: u"), "{wrong}");
}

#[test]
fn a_fleet_is_sized_for_the_arrivals_that_were_recorded() {
    let house = House::new(CONFIG);
    // An hour; of every eight minutes one has 24 requests a second and the others two.
    let mut lines = "TIMESTAMP,ContextTokens,GeneratedTokens\n".to_owned();
    for second in 0..1_920 {
        let n = if second / 60 % 8 == 0 { 24 } else { 2 };
        for idx in 0..n {
            let at = f64::from(second) + f64::from(idx) / f64::from(n);
            lines += &format!("2026-11-25 {:02}:{:02}:{:06.3},500,200\n", second / 3600, second / 60 % 60, at % 60.0);
        }
    }
    std::fs::write(house.path().join("trace.csv"), lines).unwrap();
    let curve = ["--curve", "1:20,8:24,32:38,64:48", "--most-active", "64", "--reads", "20000"];
    let size = |more: &[&str]| {
        house.run(&[&["tco", "size", "--requests", "trace.csv", "--format", "json"][..], &curve, more].concat())
    };
    let facts = size(&["--done-ms", "15000"]).exits(0).json();
    let replicas = |name: &str| facts[name].as_u64().unwrap();
    assert!(replicas("replicas") > replicas("replicas_at_random"), "{facts}");
    assert!(facts["sizes"][0]["kept_by"].as_f64().unwrap() >= 0.95, "{facts}");
    assert!(facts["sizes"][1]["kept_by"].as_f64().unwrap() < 0.95, "{facts}");
    assert!(size(&["--done-ms", "1000"]).exits(3).stderr.contains("do not hold these arrivals"));
    assert!(size(&[]).exits(2).stderr.contains("--first-ms"));
    let curve =
        house.run(&["tco", "size", "--requests", "trace.csv", "--curve", "8:24,1:20", "--first-ms", "9"]).exits(2);
    assert!(curve.stderr.contains("both numbers rise"), "{}", curve.stderr);
    let gateway = house.serve();
    drop(gateway);
    let few = house.run(&["tco", "size", "--route", "gpt-4o", "--curve", "1:20", "--first-ms", "9"]).exits(4);
    assert!(few.stderr.contains("route gpt-4o: 0 requests are too few"), "{}", few.stderr);
}

/// What happens to a fleet, hour by hour: from a file of a curve and requests that nobody sent, which is said.
#[test]
fn ways_to_run_a_fleet_are_compared_with_what_happens_to_it() {
    let house = House::new(CONFIG);
    let curve = r#"{ "format": "crossfade-curve/1", "points": [{ "active": 1, "token_ms": 20 }, { "active": 64, "token_ms": 48 }],
      "prompt_tokens_per_second": 20000, "most_active": 64, "measured": "2026-11-20", "evidence": "bench run b1" }"#;
    std::fs::write(house.path().join("curve.json"), curve).unwrap();
    let size = |more: &[&str]| {
        let made_up = ["--made-up", "bursts:2,12,600,120", "--tokens", "500,200", "--hours", "5", "--first-ms", "2000"];
        house.run(&[&["tco", "size", "--curve", "curve.json", "--format", "json"][..], &made_up, more].concat())
    };
    let ran = size(&[
        "--week",
        "--cold-start-s",
        "180",
        "--fails-every-h",
        "2",
        "--autoscale",
        "30",
        "--vendor-after-s",
        "5",
        "--chunk",
        "512",
    ]);
    let (said, facts) = (ran.stderr.clone(), ran.exits(0).json());
    assert!(said.contains("nobody sent them"), "{said}");
    assert!(facts["made_up"] == true && facts["curve"].as_str().unwrap().contains("bench run b1"), "{facts}");
    let ways = facts["ways"].as_array().unwrap();
    let names: Vec<&str> = ways.iter().map(|way| way["way"].as_str().unwrap()).collect();
    assert_eq!(names, ["one size", "by the hour", "by the load"]);
    assert!(ways.iter().all(|way| way["failures"].as_u64().unwrap() > 0 && way["lost"] == 0.0), "{facts}");
    assert!(ways[2]["replicas_paid"].as_f64().unwrap() < ways[0]["replicas_paid"].as_f64().unwrap(), "{facts}");
    assert_eq!(facts["hours"]["replicas"].as_array().unwrap().len(), 168);
    assert!((5..=6).contains(&facts["hours"]["recorded"].as_u64().unwrap()), "{facts}");
    assert!(size(&[]).exits(0).json()["ways"].as_array().unwrap().is_empty());
    for (wrong, words) in [
        (&["--made-up", "often", "--curve", "1:20"][..], "write `random:RATE`"),
        (&["--made-up", "random:1", "--curve", "nowhere.json"], "nor a file that can be read"),
        (&["--made-up", "random:1", "--curve", "crossfade.yaml"], "crossfade.yaml: expected"),
        (&["--made-up", "random:1", "--curve", "1:20", "--chunk", "64"], "`--reads N`"),
        (&["--made-up", "random:1", "--route", "gpt-4o", "--curve", "1:20"], "cannot be used with"),
    ] {
        let refused = house.run(&[&["tco", "size", "--first-ms", "9"][..], wrong].concat()).exits(2).stderr;
        assert!(refused.contains(words), "{words} not in {refused}");
    }
}

/// Goal A-8, on a public trace of code completion: the fleet that is recommended keeps the objective in the replay, and one for as many requests at
/// random times would not, which the answer says.
#[test]
fn a_fleet_for_random_arrivals_would_not_hold_a_recorded_trace() {
    let Some(traces) = std::env::var_os("CROSSFADE_TRACES") else {
        println!("NOT RUN: CROSSFADE_TRACES names no directory of azure_llm_inference_2023_code.csv and _conv.csv");
        return;
    };
    let house = House::new(CONFIG);
    for (name, done_ms) in [("code", "20000"), ("conv", "40000")] {
        let trace = std::path::Path::new(&traces).join(format!("azure_llm_inference_2023_{name}.csv"));
        let words = [
            "tco",
            "size",
            "--requests",
            trace.to_str().unwrap(),
            "--curve",
            "1:20.5,8:23.7,32:37.8,64:48.3,128:76.9,256:114.4",
        ];
        let more = ["--reads", "4000", "--done-ms", done_ms, "--format", "json"];
        let ran = house.run(&[&words[..], &more].concat());
        let (said, facts) = (ran.stderr.clone(), ran.exits(0).json());
        println!("{name}: {} replicas, {} at random; {said}", facts["replicas"], facts["replicas_at_random"]);
        assert!(facts["sizes"][0]["kept_by"].as_f64().unwrap() >= 0.95, "{facts}");
        if name == "code" {
            assert_eq!(facts["at_random_keeps"], false, "{facts}");
            assert!(said.contains("would not hold these arrivals"), "{said}");
        }
    }
}

/// From requests to replicas by the hour of the week to a worksheet to a page: nothing is typed that a file knows.
#[test]
fn replicas_by_the_hour_of_the_week_go_into_the_worksheet_and_its_scenarios_are_played() {
    let house = House::new(CONFIG);
    let sized = house.run(&[
        "tco",
        "size",
        "--made-up",
        "random:6",
        "--hours",
        "3",
        "--curve",
        "1:20,64:48",
        "--first-ms",
        "2000",
        "--week",
        "--cold-start-s",
        "120",
        "--format",
        "json",
    ]);
    std::fs::write(house.path().join("size.json"), sized.exits(0).stdout).unwrap();
    let sheet = house.run(&["tco", "init", "--size", "size.json", "--print"]).exits(0).stdout;
    assert!(
        sheet.contains("provenance: assumed")
            && sheet.contains("cold_start_s: 120")
            && sheet.contains("evidence_id: \"size:size.json\""),
        "{sheet}"
    );
    let facts = house.path().join("empty.yaml");
    std::fs::write(&facts, &sheet).unwrap();
    let facts = house.run(&["tco", "run", facts.to_str().unwrap(), "--format", "json"]).exits(4).json();
    let early: f64 = figure(&facts, "candidate.gpus.hour_000").parse().unwrap();
    assert!(
        early >= 2.0
            && facts["cells"].as_array().unwrap().iter().all(|cell| !cell["evidence_id"].as_str().unwrap().is_empty())
    );
    for (name, text) in
        [("a.json", "{}"), ("b.json", "nothing"), ("c.json", r#"{ "format": "crossfade-size/1", "hours": null }"#)]
    {
        std::fs::write(house.path().join(name), text).unwrap();
        assert!(house.run(&["tco", "init", "--size", name, "--print"]).exits(2).stderr.contains("tco size"), "{name}");
    }

    let file = house.path().join("tco.yaml").display().to_string();
    let with = |scenarios: &str| {
        std::fs::write(&file, RIGHT.replace("one_off:", &format!("scenarios: {scenarios}\none_off:"))).unwrap()
    };
    with("{ nobody checks: { review_hour: 0 }, a raise: { candidate.item.on_call: 9000, growth.tasks: 0.01 } }");
    let facts = house.run(&["tco", "run", &file, "--draws", "1000", "--format", "json"]).exits(4).json();
    let names: Vec<&str> =
        facts["scenarios"].as_array().unwrap().iter().map(|one| one["scenario"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names[0], names[6], names[7]), (8, "as it stands", "nobody checks", "a raise"));
    assert_eq!(facts["odds"]["months"].as_array().unwrap().len(), 24);
    assert!(
        house.run(&["tco", "run", &file, "--draws", "1000"]).exits(4).stdout.contains("vendor prices fall 3 % a month")
    );
    with("{ wrong: { review_hours: 0 } }");
    let refused = house.run(&["tco", "run", &file]).exits(2).stderr;
    assert!(refused.contains("review_hours") && refused.contains("the scenario `wrong`"), "{refused}");
    with("{ wrong: { review_hour: often } }");
    assert!(house.run(&["tco", "run", &file]).exits(2).stderr.contains("the figure's value in this scenario"));
}
