//! A model judges pairs of the shadow while they come: its word moves the gate from undecided to pass, throws a worse candidate back, and
//! decides nothing where it cannot be read, is not trusted, may not be asked or has spent its budget.

use scripted::{Received, Script, Upstream, chat_completion};
use serde_json::{Value, json};

use crate::parts::{Gateway, House, get, request, until, with_policy};

/// What a model answers to a question: the incumbent is good on every second one, the newcomer on three of four, the bad one never. Each says
/// its name.
fn answer(model: &str, idx: usize) -> String {
    let is_poor = match model {
        "m-old" => idx.is_multiple_of(2),
        "m-new" => idx.is_multiple_of(4),
        _ => true,
    };
    format!("A {} answer to {idx}, by {model}.", if is_poor { "poor" } else { "good" })
}

/// What stands in a section of a judge's question.
fn section<'q>(question: &'q str, name: &str) -> &'q str {
    let begin = format!("[{name} ");
    let rest = question.split(&*begin).nth(1).unwrap_or_else(|| panic!("no {name} in {question}"));
    rest.split_once("]\n").unwrap().1.split_once("\n[end of ").unwrap().0
}

/// A judge that prefers what is good, one that goes by its mood, and one that talks.
fn verdict(model: &str, body: &Value) -> String {
    let question = body["messages"][1]["content"].as_str().unwrap();
    let is_good = |name: &str| section(question, name).contains("good");
    if model == "j-talks" {
        return "I like A more, on the whole.".to_owned();
    }
    if model == "j-grade" {
        let grade = if is_good("answer") { 5 } else { 2 };
        return json!({ "reason": "r", "scores": { "quality": grade } }).to_string();
    }
    let word = match (is_good("answer A"), is_good("answer B")) {
        // It cannot make up its mind where it has to decide by nothing.
        (false, false) if model == "j-mood" => match body["seed"].as_u64().unwrap() % 3 {
            0 => "A",
            1 => "B",
            _ => "tie",
        },
        (true, false) => "A",
        (false, true) => "B",
        _ => "tie",
    };
    json!({ "reason": "r", "verdict": word }).to_string()
}

fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn upstream() -> Upstream {
    Upstream::with(|request| {
        let body = body(request);
        let model = body["model"].as_str().unwrap();
        if model == "j-down" {
            return Script::error(500, "server_error", "down");
        }
        if model == "j-slow" {
            return Script::silent();
        }
        if model.starts_with("j-") {
            return Script::json(chat_completion(&verdict(model, &body)));
        }
        // A baseline is probed with a question of its own.
        let text = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
        let idx = text.trim_start_matches("Question ").trim_end_matches('?').parse().unwrap_or_default();
        Script::json(chat_completion(&answer(model, idx)))
    })
}

/// What judges have been asked.
fn asked(upstream: &Upstream) -> Vec<Received> {
    let is_judge = |request: &Received| body(request)["model"].as_str().unwrap().starts_with("j-");
    upstream.requests().into_iter().filter(is_judge).collect()
}

/// A rollout to `candidate`, whose pairs are judged so.
fn config(upstream: &Upstream, candidate: &str, judge: &str) -> String {
    let stages = format!(
        "shadow: {{ sample: 1.0, min_pairs: 10, min_duration: 0, judged: {{ judge: {{ criteria: helps more, {judge} }} }} }}, \
         canary: {{ shares: [0.5] }}, majority: {{ shares: [0.9] }}"
    );
    let gates = "gates: { error: false, format: false, tool_call: false, judged: { margin: 0.3 } }";
    let config = with_policy(&stages, gates);
    let (before, rest) = config.split_once("providers:").unwrap();
    let (_, after) = rest.split_once("routes:").unwrap();
    let url = upstream.url();
    let price = "price: { rates: { input: 1, output: 1 }, source: a test, checked: 2026-11-20 }";
    let judges: String = ["good", "mood", "talks", "grade", "down", "slow"]
        .map(|name| format!("  {name}: {{ provider: outside, model: j-{name}, {price} }}\n"))
        .concat();
    format!(
        "{before}providers:\n  p: {{ base_url: {url}/v1, class: self_hosted }}\n  outside: {{ base_url: {url}/v1 }}\ntargets:\n  gpt: {{ provider: p, model: m-old }}\n  qwen: {{ provider: p, model: {candidate} }}\n{judges}routes:{after}"
    )
}

/// Sends the questions from `n` on, some at a time.
fn chat(gateway: &Gateway<'_>, n: &mut usize) {
    for _ in 0..4 {
        assert_eq!(gateway.chat("gpt-4o", &format!("Question {n}?")).status, 200);
        *n += 1;
    }
}

fn judged_gate(status: &Value) -> &Value {
    let gates = status["explanation"]["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["metric"] == "judged").unwrap()
}

fn replays_equal(house: &House, events: &[&str]) {
    let report = house.run(&["rollout", "replay", "to-qwen", "--format", "json"]).exits(0).json();
    let found: Vec<&Value> = report["transitions"].as_array().unwrap().iter().map(|line| &line["event"]).collect();
    assert_eq!(found, events, "{report:#}");
    assert_eq!((&report["verdict"], &report["n_differences"]), (&"equal".into(), &0.into()), "{report:#}");
}

#[test]
fn the_judges_word_moves_the_gate_from_undecided_to_pass() {
    let upstream = upstream();
    let judge = "target: mood, kind: pairwise, repeats: 3, agreement: false";
    let config = config(&upstream, "m-new", judge).replace("judged: { judge:", "judged: { sample: 0.9, judge:");
    let house = House::new(&config.replace("min_pairs: 10,", "min_pairs: 120,"));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let mut n = 0;
    chat(&gateway, &mut n);
    let status = gateway.status();
    assert_eq!(judged_gate(&status)["verdict"], "undecided", "{status:#}");
    // How it went with the judge stands beside what it says.
    let counted = until(|| {
        chat(&gateway, &mut n);
        let counted = gateway.status()["explanation"]["comparisons"]["asked"].clone();
        (counted["pairs"].as_u64() >= Some(24)).then_some(counted)
    });
    until(|| {
        chat(&gateway, &mut n);
        (gateway.status()["explanation"]["stage"] == "canary").then_some(())
    });
    let count = |name: &str| counted[name].as_u64().unwrap();
    assert!(count("questions") >= 6 * count("both_orders") && count("unread") == 0, "{counted}");
    assert!(count("repeated") > count("same") && count("same") > 0, "the mood shows: {counted}");
    let metrics = get(gateway.admin, "/metrics").body;
    assert!(
        metrics.contains("crossfade_shadow_judged_total{rollout=\"to-qwen\",verdict=\"baseline_bad\"}"),
        "{metrics}"
    );
    // Every pair is asked both ways round, three times each, by nobody's name.
    for request in asked(&upstream) {
        let text = request.text().to_lowercase();
        for word in ["m-old", "m-new", "candidate", "baseline", "gpt", "qwen"] {
            assert!(!text.contains(word), "`{word}` is in {text}");
        }
        assert_eq!(body(&request)["response_format"]["type"], "json_schema", "{text}");
    }
    let pairs = until(|| {
        let pairs = gateway.run(&["exchanges", "pairs", "--format", "json"]).exits(0).stdout;
        // The newest pairs may be on record before what the judge said of them.
        (pairs.contains("judge.pairwise@") && pairs.contains("preferred 0 / 1")).then_some(pairs)
    });
    assert!(pairs.contains("drawn 0.9"), "{pairs}");
    // What left the house is on record as what it is, once the judge has said its last word.
    until(|| {
        let facts = house.run(&["egress", "--format", "json"]).exits(0).json();
        let calls = facts["calls"].as_array().unwrap();
        let call = calls.iter().find(|call| call["role"] == "judge")?;
        assert_eq!(call["target"], "mood", "{facts:#}");
        (call["calls"].as_u64() == Some(asked(&upstream).len() as u64)).then_some(())
    });
    assert_eq!(gateway.stop(), 0);
    replays_equal(&house, &["start", "promote"]);
}

#[test]
fn a_candidate_that_the_judge_finds_worse_is_thrown_back() {
    let upstream = upstream();
    let house = House::new(&config(&upstream, "m-bad", "target: grade, kind: rubric, threshold: 4, agreement: false"));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let mut n = 0;
    let status = until(|| {
        chat(&gateway, &mut n);
        let status = gateway.status();
        (status["status"] == "rolled_back").then_some(status)
    });
    assert_eq!(status["explanation"]["breach"]["metric"], "judged", "{status:#}");
    assert_eq!(gateway.stop(), 0);
    replays_equal(&house, &["start", "rollback"]);
}

/// What holds a rollout whose candidate is good and whose judge is this one: a reason in `not_judged`, and words.
#[track_caller]
fn check_holds(judge: &str, (reason, words): (&str, &str)) -> Upstream {
    let upstream = upstream();
    let house = House::new(&config(&upstream, "m-new", judge));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let mut n = 0;
    // Far more pairs than would have passed the gate.
    let status = until(|| {
        chat(&gateway, &mut n);
        let status = gateway.status();
        let not_judged = &status["explanation"]["comparisons"]["not_judged"][reason];
        (not_judged.as_u64() >= Some(60)).then_some(status)
    });
    let facts = &status["explanation"];
    assert_eq!(
        (&facts["stage"], &judged_gate(&status)["verdict"]),
        (&"shadow".into(), &"undecided".into()),
        "{facts:#}"
    );
    let page = gateway.run(&["rollout", "status", "to-qwen"]).stdout;
    assert!(page.contains(words), "{words} is not in\n{page}");
    assert_eq!(gateway.stop(), 0);
    replays_equal(&house, &["start"]);
    upstream
}

#[test]
fn a_judge_that_cannot_be_read_scores_nothing_and_the_gate_holds() {
    let judge = "target: talks, kind: pairwise, agreement: false";
    check_holds(judge, ("judge_no_verdict", "questions to the judge have no verdict that can be read, more than 1 %"));
}

#[test]
fn a_judge_that_is_down_decides_nothing_and_no_caller_notices() {
    let judge = "target: down, kind: pairwise, agreement: false";
    check_holds(judge, ("judge_failed", "judge_failed"));
}

#[test]
fn a_judge_that_says_nothing_is_given_up_and_what_it_has_no_room_for_meanwhile_is_counted() {
    let judge = "target: slow, kind: pairwise, agreement: false, timeout: 100ms, budget: { in_flight: 2 }";
    let upstream = check_holds(judge, ("judge_busy", "judge_too_slow"));
    // Of a pair whose first question is not answered the second one is not asked.
    let orders = asked(&upstream)
        .iter()
        .map(|request| section(body(request)["messages"][1]["content"].as_str().unwrap(), "conversation").to_owned())
        .collect::<std::collections::BTreeSet<_>>();
    assert_eq!(orders.len(), asked(&upstream).len());
}

#[test]
fn a_judge_that_is_not_shown_to_agree_with_people_decides_nothing() {
    let judge = "target: good, kind: pairwise";
    check_holds(judge, ("judge_not_trusted", "it has not been shown to agree with people"));
    let none = "judge `good`: no verdict of people on pairs that it judged, 0.6 over 50 is asked for: its word decides nothing yet";
    check_holds(judge, ("judge_not_trusted", none));
}

#[test]
fn a_judge_asks_no_more_than_its_budget() {
    let judge = "target: good, kind: pairwise, agreement: false, budget: { calls_per_day: 4, in_flight: 1 }";
    let upstream = check_holds(judge, ("judge_budget", "judge_budget"));
    assert_eq!(asked(&upstream).len(), 4);
}

#[test]
fn what_may_not_leave_the_house_is_judged_by_nobody_outside() {
    let upstream = upstream();
    let judge = "target: good, kind: pairwise, agreement: false";
    let tenants = "tenants: { clinic: { residency: internal } }\nauth: { required: true }\n";
    let house = House::new(&(config(&upstream, "m-new", judge) + tenants));
    let root = house.run(&["keys", "create", "root", "--role", "admin", "--reason", "first"]).exits(0);
    let root = root.stdout.trim().to_owned();
    let key = |name: &str, more: &[&str]| {
        let arguments = ["keys", "create", name, "--routes", "gpt-4o", "--expires", "1d"];
        let arguments: Vec<&str> = arguments.into_iter().chain(more.iter().copied()).collect();
        house.run(&arguments).exits(0).stdout.trim().to_owned()
    };
    let (clinic, shop) = (key("clinic", &["--tenant", "clinic"]), key("shop", &[]));
    let gateway = house.serve();
    gateway.run_as(&root, &["rollout", "start", "to-qwen"]).exits(0);
    let mut n = 0;
    let mut chat = |key: &str| {
        let text = format!("Question {n}?");
        n += 1;
        let body = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": text }] }).to_string();
        let head = [("authorization", &*format!("Bearer {key}"))];
        assert_eq!(request(gateway.data, "POST", "/v1/chat/completions", &head, &body).status, 200);
    };
    let counted = |reason: &str| {
        let status = gateway.run_as(&root, &["rollout", "status", "to-qwen", "--format", "json"]).json();
        status["explanation"]["comparisons"]["not_judged"][reason].as_u64()
    };
    until(|| {
        chat(&clinic);
        (counted("residency") >= Some(5)).then_some(())
    });
    assert_eq!(asked(&upstream).len(), 0);
    // The same judge is asked what may leave.
    until(|| {
        chat(&shop);
        (asked(&upstream).len() >= 2).then_some(())
    });
}

#[test]
fn a_judge_that_agreed_with_people_in_a_run_decides_on_live_pairs() {
    let upstream = upstream();
    let judge = "target: good, kind: pairwise, agreement: { labelled: 12, runs: [r] }";
    let house = House::new(&config(&upstream, "m-new", judge));
    let cases: String = (0..16)
        .map(|idx| format!("{{\"id\":\"c{idx}\",\"input\":\"Question {idx}?\",\"expected\":\"good\"}}\n"))
        .collect();
    std::fs::write(house.path().join("cases.jsonl"), cases).unwrap();
    let suite = "file: cases.jsonl\ntargets: [gpt, qwen]\nmetrics: [contains]\nmargin: 0.5\njudges:\n  j: { target: good, kind: pairwise, criteria: helps more }\n";
    std::fs::write(house.path().join("s.yaml"), suite).unwrap();
    house.run(&["eval", "run", "s.yaml", "--run", "r"]).exits(0);
    for _ in 0..12 {
        let pair = house.run(&["eval", "review", "next", "r", "--reviewer", "ann", "--format", "json"]).exits(0).json();
        let is_good = |side: &str| pair[side].as_str().unwrap().contains("good");
        let choice = match (is_good("first"), is_good("second")) {
            (true, false) => "first",
            (false, true) => "second",
            _ => "tie",
        };
        house.run(&["eval", "review", "say", pair["pair"].as_str().unwrap(), choice]).exits(0);
    }
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let mut n = 0;
    until(|| {
        chat(&gateway, &mut n);
        (gateway.status()["explanation"]["stage"] == "canary").then_some(())
    });
    assert!(gateway.log().contains("] on 12 pairs is at or above 0.6"), "{}", gateway.log());
    let status = gateway.status();
    assert_eq!((&status["judge"]["kappa"], &status["judge"]["n_labelled"]), (&1.0.into(), &12.into()), "{status:#}");
    let page = gateway.run(&["rollout", "status", "to-qwen"]).stdout;
    assert!(page.contains("judge `good`: kappa with people 1.000 (") && page.contains("its word decides\n"), "{page}");
    assert_eq!(gateway.stop(), 0);
    replays_equal(&house, &["start", "promote"]);
}

#[test]
fn a_judge_that_agreed_with_people_on_live_pairs_of_a_panel_decides_on_those_that_come() {
    let upstream = upstream();
    let judge =
        |panels: &str| format!("target: good, kind: pairwise, agreement: {{ labelled: 12, panels: [{panels}] }}");
    let house = House::new(&config(&upstream, "m-new", &judge("p")));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let mut n = 0;
    until(|| {
        chat(&gateway, &mut n);
        let untrusted = gateway.status()["explanation"]["comparisons"]["not_judged"]["judge_not_trusted"].as_u64();
        (untrusted >= Some(40)).then_some(())
    });
    until(|| {
        let pairs = gateway.run(&["exchanges", "pairs", "--limit", "100", "--format", "json"]).exits(0).stdout;
        (pairs.matches("not trusted, decides nothing").count() >= 40).then_some(())
    });
    let open =
        ["panel", "open", "p", "--rollout", "to-qwen", "--reviewer", "ann", "--pairs", "24", "--disagreeing", "0"];
    gateway.run(&open).exits(0);
    for _ in 0..24 {
        let pair = gateway.run(&["panel", "next", "p", "--reviewer", "ann", "--format", "json"]).exits(0).json();
        let is_good = |side: &str| pair[side].as_str().unwrap().contains("good");
        let verdict = match (is_good("a"), is_good("b")) {
            (true, false) => "a",
            (false, true) => "b",
            _ => "tie",
        };
        let item = pair["item"].as_str().unwrap();
        gateway.run(&["panel", "judge", "p", item, "--verdict", verdict, "--reviewer", "ann"]).exits(0);
    }
    gateway.stop();
    let status = house.run(&["rollout", "status", "to-qwen", "--format", "json"]).json();
    let judge_view = &status["judge"];
    assert!(judge_view["kappa"] == 1.0 && judge_view["n_labelled"].as_u64() >= Some(12), "{judge_view:#}");
    house.write(&config(&upstream, "m-new", &judge("p, none")));
    let page = house.run(&["rollout", "status", "to-qwen", "--format", "json"]).json();
    assert!(page["judge"]["why"].as_str().unwrap().contains("no pair of the panel `none`"), "{page:#}");
    // Now what it says counts.
    let gateway = house.serve();
    until(|| {
        chat(&gateway, &mut n);
        (gateway.status()["explanation"]["stage"] == "canary").then_some(())
    });
    assert_eq!(gateway.stop(), 0);
}
