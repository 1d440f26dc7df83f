//! `judges` of a suite: what they are asked, what their word comes to, and when it may decide.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scripted::{Received, Script, Upstream, chat_completion};
use serde_json::{Value, json};

use crate::parts::{House, until};

/// Cases that are asked.
const N_CASES: usize = 40;

/// What a target answers: on every second case the incumbent is good, on three of four the newcomer, who says more but for every eighth case.
fn answer(model: &str, idx: usize) -> String {
    let is_old = model == "m-old";
    let word = if idx.is_multiple_of(if is_old { 2 } else { 4 }) { "poor" } else { "good" };
    let is_long = is_old == (idx % 8 == 1);
    let padding =
        if is_long { " and here is some more of the same to read".repeat(1 + idx % 3) } else { String::new() };
    format!("A {word} answer to {idx}{padding}.")
}

/// What stands in a section of a judge's question.
fn section<'q>(question: &'q str, name: &str) -> &'q str {
    let begin = format!("[{name} ");
    let rest = question.split(&*begin).nth(1).unwrap_or_else(|| panic!("no {name} in {question}"));
    let (_, rest) = rest.split_once("]\n").unwrap();
    rest.split_once("\n[end of ").unwrap().0
}

/// A judge that says which of two texts it prefers, by its model's habit.
fn verdict(model: &str, question: &str) -> String {
    if model == "j-grade" {
        let grade = if section(question, "answer").contains("good") { 5 } else { 2 };
        return json!({ "reason": "r", "scores": { "right": grade, "polite": 4 } }).to_string();
    }
    if model == "j-odd" {
        let grade = if section(question, "answer").contains("good") { 9 } else { 2 };
        let said = json!({ "scores": { "right": grade, "polite": 4 } }).to_string();
        return if section(question, "answer").contains("more") { format!("Sure! {said}") } else { said };
    }
    let (a, b) = (section(question, "answer A"), section(question, "answer B"));
    let worth = |text: &str| if model == "j-long" { text.len() } else { usize::from(text.contains("good")) };
    let word = match (model, worth(a), worth(b)) {
        ("j-first", ..) => "A",
        ("j-rubbish", ..) => return "I like A more, on the whole.".to_owned(),
        (_, a, b) if a > b => "A",
        (_, a, b) if a < b => "B",
        _ => "tie",
    };
    json!({ "reason": "r", "verdict": word }).to_string()
}

fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Targets and judges on one socket; judges take so long.
fn upstream(delay: Duration) -> Upstream {
    Upstream::with(move |request| {
        let body = body(request);
        let model = body["model"].as_str().unwrap();
        let messages = body["messages"].as_array().unwrap();
        let text = messages.last().unwrap()["content"].as_str().unwrap();
        if model == "j-mood" {
            // It decides by the seed where it has nothing else to decide by.
            let good = ["answer A", "answer B"].map(|name| section(text, name).contains("good"));
            let word = match good {
                [true, false] => "A",
                [false, true] => "B",
                _ => {
                    if body["seed"].as_u64().unwrap().is_multiple_of(2) {
                        "A"
                    } else {
                        "B"
                    }
                }
            };
            return Script::json(chat_completion(&json!({ "verdict": word }).to_string())).delay(delay);
        }
        if model == "j-half" {
            // On every eighth case it goes by the place, on another eighth by the seed.
            let [a, b] = ["answer A", "answer B"].map(|name| section(text, name));
            let idx: u64 = a.split("answer to ").nth(1).unwrap().split([' ', '.']).next().unwrap().parse().unwrap();
            let word = match (idx % 8, a.contains("good"), b.contains("good")) {
                (1, ..) => "A",
                (5, ..) => ["A", "B"][usize::from(body["seed"].as_u64().unwrap().is_multiple_of(2))],
                (_, true, false) => "A",
                (_, false, true) => "B",
                _ => "tie",
            };
            return Script::json(chat_completion(&json!({ "verdict": word }).to_string())).delay(delay);
        }
        if model.starts_with("j-") {
            return Script::json(chat_completion(&verdict(model, text))).delay(delay);
        }
        let idx = text.trim_start_matches("Question ").trim_end_matches('?').parse().unwrap();
        Script::json(chat_completion(&answer(model, idx)))
    })
}

fn house(upstream: &Upstream, suite: &str) -> House {
    let names = [("incumbent", "m-old"), ("newcomer", "m-new")].into_iter();
    let judges =
        ["j-good", "j-first", "j-long", "j-rubbish", "j-grade", "j-odd", "j-mood", "j-half"].map(|name| (name, name));
    let target = |(name, model): (&str, &str)| {
        format!(
            "  {name}: {{ provider: p, model: {model}, price: {{ rates: {{ input: 1, output: 1 }}, source: a test, checked: 2026-11-20 }} }}\n"
        )
    };
    let targets: String = names.chain(judges).map(target).collect();
    let house = House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ dialect: openai, base_url: {}/v1 }}\ntargets:\n{targets}routes:\n  m: {{ target: incumbent }}\n",
        upstream.url()
    ));
    let cases: String = (0..N_CASES)
        .map(|idx| format!("{{\"id\":\"c{idx}\",\"input\":\"Question {idx}?\",\"expected\":\"good\"}}\n"))
        .collect();
    std::fs::write(house.path().join("cases.jsonl"), cases).unwrap();
    let head = "file: cases.jsonl\ntargets: [incumbent, newcomer]\nmetrics: [contains]\nmargin: 0.5\n";
    std::fs::write(house.path().join("s.yaml"), format!("{head}{suite}")).unwrap();
    house
}

fn report(house: &House, run: &str) -> Value {
    house.run(&["eval", "report", run, "--as", "json"]).exits(0).json()
}

#[track_caller]
fn check(value: &Value, expected: f64) {
    assert!(value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-9), "{value}, not {expected}");
}

fn pairwise(name: &str) -> String {
    format!("  {name}: {{ target: j-{name}, kind: pairwise, criteria: says what is right }}\n")
}

#[test]
fn people_see_first_of_what_a_judge_says_one_thing_and_another() {
    let upstream = upstream(Duration::ZERO);
    let judge = pairwise("half").replace(" }", ", repeats: 2 }");
    let house = house(&upstream, &format!("judges:\n{judge}"));
    house.run(&["eval", "run", "s.yaml", "--run", "r"]);
    let handed = house.run(&["eval", "review", "hand-out", "r", "--reviewer", "ana", "--pairs", "20"]).exits(0).stdout;
    let idx = |line: &str| -> u64 {
        let pair: Value = serde_json::from_str(line).unwrap();
        let question = pair["question"].as_str().unwrap();
        question.trim_start_matches("Question ").trim_end_matches('?').parse().unwrap()
    };
    let first: BTreeSet<u64> = handed.lines().map(idx).collect();
    // Both answers are good there, and metrics see nothing; they come in turns with others, so all ten are among the first twenty.
    let told: Vec<u64> = first.iter().copied().filter(|idx| idx % 4 == 1).collect();
    assert!(first.len() == 20 && told == [1, 5, 9, 13, 17, 21, 25, 29, 33, 37], "{first:?}");
    let assign = ["eval", "review", "assign", "s", "--reviewer", "ana", "--pairs", "20", "--telling", "0.5"];
    house.run(&["eval", "run", "s.yaml", "--run", "s"]);
    assert!(house.run(&assign).exits(0).stdout.contains("10 pairs by chance, 10 that metrics see differently"));
}

#[test]
fn a_good_judge_finds_the_winner_and_the_habits_of_others_show() {
    let upstream = upstream(Duration::ZERO);
    let suite: String = ["good", "first", "long", "rubbish"].map(pairwise).concat();
    let house = house(&upstream, &format!("judges:\n{suite}"));
    house.run(&["eval", "run", "s.yaml", "--run", "r"]).exits(0);
    let report = report(&house, "r");
    let judges: BTreeMap<&str, &Value> =
        report["judges"].as_array().unwrap().iter().map(|judge| (judge["name"].as_str().unwrap(), judge)).collect();
    let found = |name: &str| &judges[name]["candidates"][0];
    // Ten of forty are good at the newcomer alone.
    let good = found("good");
    assert_eq!((&good["won"], &good["tied"], &good["lost"]), (&json!(10), &json!(30), &json!(0)), "{good}");
    check(&good["win_rate"], 0.625);
    check(&good["position_consistency"], 1.0);
    assert!(good["interval"]["low"].as_f64().unwrap() > 0.5, "{good}");
    // Whoever goes by the place says nothing.
    let first = found("first");
    assert_eq!((&first["tied"], &first["n_inconsistent"]), (&json!(40), &json!(40)), "{first}");
    check(&first["position_consistency"], 0.0);
    check(&first["first_chosen"], 1.0);
    check(&first["win_rate"], 0.5);
    // Whoever goes by length is found out.
    let long = found("long");
    check(&long["win_rate"], 0.875);
    check(&long["length"]["longer_won"], 1.0);
    let controlled = long["length"]["win_rate"].as_f64().unwrap();
    assert!(controlled < 0.8, "{long}");
    assert!(long["length"]["slope"].as_f64().unwrap() > 1.0, "{long}");
    // Rubbish is counted and is no loss.
    let rubbish = found("rubbish");
    assert_eq!((&rubbish["n_unscored"], &rubbish["win_rate"]), (&json!(40), &Value::Null), "{rubbish}");
    assert_eq!(judges["rubbish"]["unscored"], json!({ "no_verdict": 80 }));

    // Every pair is asked both ways round, by nobody's name, and paid for apart.
    let asked: Vec<Received> =
        upstream.requests().into_iter().filter(|request| body(request)["model"] == "j-good").collect();
    assert_eq!((asked.len(), &judges["good"]["n_calls"]), (80, &json!(80)));
    let mut orders: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for request in &asked {
        let (text, body) = (request.text().to_lowercase(), body(request));
        for word in ["incumbent", "newcomer", "m-old", "m-new", "candidate", "baseline"] {
            assert!(!text.contains(word), "`{word}` is in {text}");
        }
        assert_eq!((&body["temperature"], &body["seed"]), (&json!(0.0), &json!(1)), "{body}");
        let question = body["messages"][1]["content"].as_str().unwrap();
        let [a, b] = ["answer A", "answer B"].map(|name| section(question, name).to_owned());
        orders.entry(section(question, "conversation").to_owned()).or_default().push((a, b));
    }
    assert_eq!(orders.len(), N_CASES);
    for pair in orders.values() {
        assert_eq!((pair.len(), &pair[0].0, &pair[0].1), (2, &pair[1].1, &pair[1].0));
    }
    assert!(judges["good"]["cost"].as_f64().unwrap() > 0.0);
    let listed = house.run(&["eval", "list", "--format", "json"]).exits(0).json();
    let of_run = |name: &str| listed.as_array().unwrap().iter().find(|row| row["run"] == name).unwrap().clone();
    assert_eq!((&of_run("r")["n_items"], &of_run("r~good")["n_items"]), (&json!(80), &json!(80)));
    let stopped = house.run(&["eval", "report", "r~good"]).exits(2);
    assert!(stopped.stderr.contains("eval report r"), "{}", stopped.stderr);
    for (file, words) in [("r.html", "position consistency"), ("r.md", "### Judges")] {
        house.run(&["eval", "report", "r", "-o", file]).exits(0);
        let text = std::fs::read_to_string(house.path().join(file)).unwrap();
        for word in [words, "not trusted", judges["good"]["id"].as_str().unwrap()] {
            assert!(text.contains(word), "{word} is not in {file}");
        }
    }

    // The same question of the same judge is not asked again, in whatever run.
    let before = upstream.requests().len();
    house.run(&["eval", "run", "s.yaml", "--run", "again"]).exits(0);
    assert_eq!(upstream.requests().len(), before);
}

/// Somebody who finds the good answer better judges so many pairs.
fn people(house: &House, n: usize) {
    for _ in 0..n {
        let pair = house.run(&["eval", "review", "next", "r", "--reviewer", "ann", "--format", "json"]).exits(0).json();
        let is_good = |side: &str| pair[side].as_str().unwrap().contains("good");
        let choice = match (is_good("first"), is_good("second")) {
            (true, false) => "first",
            (false, true) => "second",
            _ => "tie",
        };
        house.run(&["eval", "review", "say", pair["pair"].as_str().unwrap(), choice]).exits(0);
    }
}

#[test]
fn grades_decide_only_once_the_judge_agrees_with_people() {
    let upstream = upstream(Duration::ZERO);
    let house = house(
        &upstream,
        "primary: grade\njudges:\n  grade:\n    target: j-grade\n    kind: rubric\n    scale: 1-5\n    criteria: { right: says what is right, polite: is polite }\n    agreement: { labelled: 20 }\n  odd:\n    target: j-odd\n    kind: rubric\n    criteria: { right: says what is right, polite: is polite }\n",
    );
    let done = house.run(&["eval", "run", "s.yaml", "--run", "r"]).exits(4);
    assert!(done.stdout.contains("not trusted: people judged 0 pairs of the 20"), "{}", done.stdout);
    let before = report(&house, "r");
    let primary = &before["candidates"][0]["primary"];
    // (5 + 4) / 2 and (2 + 4) / 2 on half of the cases each, and on three and one of four.
    check(&primary["baseline"], 3.75);
    check(&primary["candidate"], 4.125);
    assert_eq!(primary["verdict"], "undecided");
    // What is no verdict is nobody's grade: leaked, or off the scale.
    let odd = &before["judges"][1];
    let n = |word: &str| odd["unscored"][word].as_u64().unwrap();
    assert!(n("leaked") > 0 && n("out_of_scale") > 0, "{odd}");
    let unscored = |idx: usize| before["targets"][idx]["unscored"]["odd"]["no_verdict"].as_u64().unwrap();
    assert_eq!(unscored(0) + unscored(1), n("leaked") + n("out_of_scale"));
    assert_eq!(house.run(&["eval", "compare", "r"]).code, 4);

    people(&house, 19);
    house.run(&["eval", "compare", "r"]).exits(4);
    people(&house, 1);
    let done = house.run(&["eval", "compare", "r"]).exits(0);
    assert!(done.stdout.contains("trusted: kappa 1.000 [0.663, 1.000] on 20 pairs"), "{}", done.stdout);
    let trust = &report(&house, "r")["judges"][0]["trust"];
    assert_eq!((&trust["trusted"], &trust["n_labelled"]), (&json!(true), &json!(20)), "{trust}");

    // Another run of the same judge takes its word from there; another wording of it does not.
    let suite = std::fs::read_to_string(house.path().join("s.yaml")).unwrap();
    let suite = suite.replace("labelled: 20", "labelled: 20, runs: [r]");
    std::fs::write(house.path().join("s.yaml"), &suite).unwrap();
    house.run(&["eval", "run", "s.yaml", "--run", "later"]).exits(0);
    std::fs::write(house.path().join("s.yaml"), suite.replace("is polite }", "is very polite }")).unwrap();
    let other = house.run(&["eval", "run", "s.yaml", "--run", "other"]).exits(4);
    assert!(other.stdout.contains("no run `r` was judged by the same judge"), "{}", other.stdout);
}

#[test]
fn a_judge_that_is_killed_goes_on_and_asks_nothing_twice_but_what_was_in_flight() {
    let upstream = upstream(Duration::from_millis(5));
    let house = house(&upstream, &format!("judges:\n{}", pairwise("good")));
    let arguments = ["eval", "run", "s.yaml", "--run", "r", "--concurrency", "4"];
    let n_judged = || upstream.requests().iter().filter(|request| body(request)["model"] == "j-good").count();
    for goal in [20, 50] {
        let mut child = house.spawn(&arguments);
        until(|| (n_judged() >= goal).then_some(()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(n_judged() < 80);
    let killed = report(&house, "r");
    assert_eq!(killed["judges"][0]["whole"], false);
    house.run(&arguments).exits(0);
    let judge = &report(&house, "r")["judges"][0];
    assert_eq!((&judge["whole"], &judge["n_asked"]), (&json!(true), &json!(80)), "{judge}");
    assert!((80..=88).contains(&n_judged()), "{}", n_judged());
}

#[test]
fn the_cap_is_that_of_answers_and_judges_together() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream, &format!("judges:\n{}", pairwise("good")));
    house.run(&["eval", "run", "s.yaml", "--run", "free"]).exits(0);
    let answers = report(&house, "free")["targets"].as_array().unwrap().len() as f64;
    assert!((answers - 2.0).abs() < f64::EPSILON);
    let listed = house.run(&["eval", "list", "--format", "json"]).exits(0).json();
    let spent = |name: &str| {
        listed.as_array().unwrap().iter().find(|row| row["run"] == name).unwrap()["spent_nanos"].as_u64().unwrap()
    };
    // Enough for every answer and half of what the judge takes.
    let cap = (spent("free") + spent("free~good") / 2) as f64 * 1e-9;
    let stopped =
        house.run(&["eval", "run", "s.yaml", "--run", "r", "--no-reuse", "--max-cost", &cap.to_string()]).exits(4);
    assert!(stopped.stderr.contains("stopped before it costs more"), "{}", stopped.stderr);
    let judge = &report(&house, "r")["judges"][0];
    let n_asked = judge["n_asked"].as_u64().unwrap();
    assert!((20..60).contains(&n_asked), "{judge}");
}

#[test]
fn a_suite_with_a_judge_that_makes_no_sense_is_refused_with_its_place() {
    let upstream = upstream(Duration::ZERO);
    let table = [
        ("judges:\n  a: { target: j-good, kind: pairwise, criteria: x, scale: 1-5 }\n", "s.yaml:6:"),
        ("judges:\n  a: { target: j-good, kind: rubric, criteria: x, scale: 5-1 }\n", "points such as `1-5`"),
        ("judges:\n  a: { target: j-good, kind: rubrik, criteria: x }\n", "did you mean `rubric`?"),
        ("judges:\n  a: { target: j-good, kind: rubric }\n", "`criteria` is missing"),
        ("judges:\n  a: { target: j-good, kind: rubric, criteria: x, floor: 1 }\n", "unknown"),
        ("judges:\n  a: { target: nobody, kind: rubric, criteria: x }\n", "there is no target `nobody`"),
        ("judges:\n  contains: { target: j-good, kind: rubric, criteria: x }\n", "is a metric and a judge"),
        ("primary: a\njudges:\n  a: { target: j-good, kind: pairwise, criteria: x }\n", "compares pairs"),
    ];
    for (suite, words) in table {
        let done = house(&upstream, suite).run(&["eval", "run", "s.yaml", "--run", "r"]).exits(2);
        assert!(done.stderr.contains(words), "{words} is not in\n{}", done.stderr);
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_judge_that_is_asked_again_shows_how_far_it_agrees_with_itself() {
    let upstream = upstream(Duration::ZERO);
    let suite = pairwise("mood").replace(" }", ", repeats: 3 }");
    let house = house(&upstream, &format!("judges:\n{suite}"));
    house.run(&["eval", "run", "s.yaml", "--run", "r"]).exits(0);
    let judge = &report(&house, "r")["judges"][0];
    assert_eq!((&judge["n_questions"], &judge["n_asked"], &judge["n_calls"]), (&json!(240), &json!(240), &json!(240)));
    // Of forty pairs ten have a winner, on which it always says the same; two orders each.
    check(&judge["self_agreement"], 0.25);
    let interval = &judge["self_agreement_interval"];
    assert!(interval["low"].as_f64() < Some(0.25) && interval["high"].as_f64() > Some(0.25), "{judge}");
    assert_eq!(judge["candidates"][0]["won"], 10, "what most say counts: {judge}");
    let seeds: std::collections::BTreeSet<u64> = upstream
        .requests()
        .iter()
        .map(body)
        .filter(|body| body["model"] == "j-mood")
        .map(|body| body["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    house.run(&["eval", "report", "r", "-o", "r.md"]).exits(0);
    let text = std::fs::read_to_string(house.path().join("r.md")).unwrap();
    assert!(text.contains("asked 3 times, the same each time 0.2500"), "{text}");
}

#[test]
fn a_judge_of_which_more_than_one_in_a_hundred_verdicts_cannot_be_read_decides_nothing() {
    let upstream = upstream(Duration::ZERO);
    let house = house(
        &upstream,
        "primary: odd\njudges:\n  odd:\n    target: j-odd\n    kind: rubric\n    criteria: { right: says what is right, polite: is polite }\n",
    );
    let done = house.run(&["eval", "run", "s.yaml", "--run", "r"]).exits(4);
    assert!(done.stdout.contains("have no verdict that can be read, more than 1 %"), "{}", done.stdout);
    let candidate = &report(&house, "r")["candidates"][0]["primary"];
    assert_eq!(candidate["verdict"], "undecided");
    assert!(candidate["because"].as_str().unwrap().contains("`odd` decides nothing"), "{candidate}");
}

#[test]
fn a_judge_is_asked_in_the_form_that_its_server_takes() {
    for (refused, form, has_seed) in [
        ("", json!("json_schema"), true),
        ("json_schema: refuse", json!("json_object"), true),
        ("json_schema: refuse, json_object: refuse", Value::Null, true),
        ("json_schema: refuse, json_object: refuse, seed: refuse", Value::Null, false),
    ] {
        let upstream = upstream(Duration::ZERO);
        let house = house(&upstream, &format!("judges:\n{}", pairwise("good")));
        let config = std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap();
        let refusing = format!(
            "  q: {{ dialect: openai, base_url: {}/v1, capabilities: {{ {refused} }} }}\ntargets:",
            upstream.url()
        );
        let config = config.replace("targets:", &refusing).replace("j-good: { provider: p,", "j-good: { provider: q,");
        house.write(&config);
        house.run(&["eval", "run", "s.yaml", "--run", "r"]).exits(0);
        let asked: Vec<Value> = upstream.requests().iter().map(body).filter(|body| body["model"] == "j-good").collect();
        assert_eq!(asked.len(), 80);
        for body in asked {
            assert_eq!((&body["response_format"]["type"], body.get("seed").is_some()), (&form, has_seed), "{body}");
        }
        assert_eq!(report(&house, "r")["judges"][0]["candidates"][0]["won"], 10);
    }
}

#[test]
fn whoever_watches_a_run_waits_for_its_judges() {
    let upstream = upstream(Duration::from_millis(20));
    let house = house(&upstream, &format!("judges:\n{}", pairwise("good")));
    let mut child = house.spawn(&["eval", "run", "s.yaml", "--run", "r", "--concurrency", "4"]);
    until(|| upstream.requests().iter().any(|request| body(request)["model"] == "j-good").then_some(()));
    let once = house.run(&["eval", "watch", "r", "--once", "--format", "json"]).exits(4).json();
    assert_eq!((&once["n_answered"], &once["judges"][0]["n_questions"]), (&json!(80), &json!(80)), "{once}");
    let done = house.run(&["eval", "watch", "r", "--format", "json"]).exits(0).json();
    assert_eq!(done["judges"], json!([{ "run": "r~good", "n_questions": 80, "n_answered": 80 }]), "{done}");
    assert!(child.wait().unwrap().success());
}
