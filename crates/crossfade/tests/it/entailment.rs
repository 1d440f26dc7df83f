//! `entailment` of a suite: a model says what documents entail, in calls that are on record, charged, taken over and counted like those for answers.

use std::collections::BTreeSet;
use std::time::Duration;

use scripted::{Received, Script, Upstream, chat_completion};
use serde_json::{Value, json};

use crate::parts::{House, until};

/// Cases that are asked; the last two have no answer in their documents.
const N_CASES: usize = 10;
const N_ANSWERABLE: usize = 8;
/// Questions of each kind that come up, each counted once.
const N_ENTAILMENT: usize = 14;
const N_CLAIMS: usize = 14;
const N_ABSTENTION: usize = 13;
const UNKNOWN: &str = "Das steht nicht in den Unterlagen.";

/// `m-old` cites what it rests on. `m-new` says the same on every other case; else it cites a document too many, or makes a price up.
fn answer(model: &str, idx: usize) -> String {
    match idx {
        N_ANSWERABLE.. => UNKNOWN.to_owned(),
        1 | 5 if model == "m-new" => format!("Item {idx} costs {idx} euros [1][2]."),
        3 | 7 if model == "m-new" => format!("Item {idx} costs 99 euros [2]."),
        _ => format!("Item {idx} costs {idx} euros [1]."),
    }
}

/// The texts of a question's sections whose name begins so.
fn sections(question: &str, name: &str) -> Vec<String> {
    let begins = question.split("\n\n").filter(|part| part.starts_with(&format!("[{name} ")));
    begins.map(|part| part.split_once("]\n").unwrap().1.split_once("\n[end of ").unwrap().0.to_owned()).collect()
}

/// One that reads: what stands in a document word for word is entailed.
fn verdict(model: &str, question: &str) -> String {
    let documents = sections(question, "document").join("\n");
    let holds = |text: &str| documents.contains(text.trim_end_matches('.'));
    let yes_or_no = |is: bool| if is { "yes" } else { "no" };
    let said = match &sections(question, "statement")[..] {
        [statement] => json!({ "reason": "r", "verdict": yes_or_no(holds(statement)) }),
        _ => {
            let answer = sections(question, "answer").remove(0);
            let plain = answer.split(" [").next().unwrap().trim_end_matches('.').to_owned();
            match documents.is_empty() {
                true => json!({ "reason": "r", "verdict": yes_or_no(answer == UNKNOWN) }),
                false if answer == UNKNOWN => json!({ "claims": [] }),
                false => json!({ "claims": [{ "claim": plain, "supported": yes_or_no(holds(&plain)) }] }),
            }
        }
    };
    match model {
        "j-chatty" if question.contains("Item 2") => format!("Sure! {said}"),
        "j-wrong" => {
            said.to_string().replace("\"yes\"", "\"x\"").replace("\"no\"", "\"yes\"").replace("\"x\"", "\"no\"")
        }
        _ => said.to_string(),
    }
}

fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Targets and judges on one socket; judges take so long.
fn upstream(delay: Duration) -> Upstream {
    Upstream::with(move |request| {
        let body = body(request);
        let model = body["model"].as_str().unwrap();
        let text = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
        if model.starts_with("j-") {
            return Script::json(chat_completion(&verdict(model, text))).delay(delay);
        }
        Script::json(chat_completion(&answer(model, text.trim_start_matches("Question ").parse().unwrap())))
    })
}

/// What judges were asked.
fn asked(upstream: &Upstream) -> Vec<Value> {
    let bodies = upstream.requests().iter().map(body).collect::<Vec<_>>();
    bodies.into_iter().filter(|body| body["model"].as_str().unwrap().starts_with("j-")).collect()
}

fn house(upstream: &Upstream) -> House {
    let names = [
        ("incumbent", "m-old"),
        ("newcomer", "m-new"),
        ("good", "j-good"),
        ("chatty", "j-chatty"),
        ("wrong", "j-wrong"),
    ];
    let target = |(name, model): (&str, &str)| {
        format!(
            "  {name}: {{ provider: p, model: {model}, price: {{ rates: {{ input: 1, output: 1 }}, source: a test, checked: 2026-11-26 }} }}\n"
        )
    };
    let targets: String = names.map(target).concat();
    let house = House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ dialect: openai, base_url: {}/v1 }}\ntargets:\n{targets}routes:\n  m: {{ target: incumbent }}\n",
        upstream.url()
    ));
    let case = |idx: usize, labelled: bool| {
        let mut case = json!({
            "id": format!("c{idx}"), "input": format!("Question {idx}"), "expected": format!("{idx} euros"), "answerable": idx < N_ANSWERABLE,
            "documents": [{ "id": "a", "text": format!("Item {idx} costs {idx} euros today.") }, { "id": "b", "text": format!("Item {idx} is blue.") }],
        });
        if labelled {
            case["verdicts"] = json!([
                { "statement": format!("Item {idx} costs {idx} euros."), "documents": ["a"], "entailed": true },
                { "statement": format!("Item {idx} is green."), "entailed": false },
            ]);
        }
        case.to_string() + "\n"
    };
    for (name, labelled) in [("cases.jsonl", false), ("labelled.jsonl", true)] {
        let lines: String = (0..N_CASES).map(|idx| case(idx, labelled)).collect();
        std::fs::write(house.path().join(name), lines).unwrap();
    }
    suite(&house, "s.yaml", &format!("{ALL}entailment: good\n"));
    house
}

const ALL: &str = "metrics: [contains, citation_recall, citation_precision, groundedness, abstention, { name: abstention, as: declined, abstains: judge }]\n";

fn suite(house: &House, name: &str, rest: &str) {
    let head = "file: cases.jsonl\ntargets: [incumbent, newcomer]\nmargin: 0.5\n";
    std::fs::write(house.path().join(name), format!("{head}{rest}")).unwrap();
}

fn report(house: &House, run: &str) -> Value {
    house.run(&["eval", "report", run, "--as", "json"]).exits(0).json()
}

#[track_caller]
fn check(report: &Value, metric: &str, [old, new]: [f64; 2]) {
    let mean = |target: usize| report["targets"][target]["means"][metric].as_f64().unwrap_or(f64::NAN);
    let is = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
    assert!(is(mean(0), old) && is(mean(1), new), "{metric}: {} and {}, not {old} and {new}", mean(0), mean(1));
}

#[test]
fn what_documents_entail_is_asked_once_and_measured_as_worked_out_by_hand() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream);
    let said = house.run(&["eval", "run", "s.yaml", "--run", "r"]);
    assert!(said.stdout.contains("entailment by good (j-good), entailment@crossfade-1:"), "{}", said.stdout);
    assert!(said.stdout.contains("untested, no verdict of people"), "{}", said.stdout);
    let report = report(&house, "r");
    // Of ten, two say that they do not know and cite nothing; of the newcomer's, two cite what does not hold them.
    check(&report, "citation_recall", [0.8, 0.6]);
    // Two cite a document that is not needed.
    check(&report, "citation_precision", [0.8, 0.5]);
    // Of eight that claim something, two claims of the newcomer stand nowhere.
    check(&report, "groundedness", [1.0, 0.75]);
    assert_eq!(report["targets"][0]["unscored"]["groundedness"], json!({ "no_claims": 2 }), "{report}");
    // The phrases know no German, and the judge does.
    check(&report, "abstention", [0.8, 0.8]);
    check(&report, "declined", [1.0, 1.0]);
    let id = |metric: &str| report["definitions"][metric]["id"].as_str().unwrap().to_owned();
    let judge = report["entailment"]["id"].as_str().unwrap();
    assert_eq!(id("citation_recall"), format!("citation_recall@alce-246c476:judge={judge}"));
    assert_eq!(
        (id("abstention"), id("declined")),
        ("abstention@crossfade-1".to_owned(), format!("abstention@crossfade-1:abstains=judge:judge={judge}"))
    );

    let asked = asked(&upstream);
    assert_eq!(asked.len(), N_ENTAILMENT + N_CLAIMS + N_ABSTENTION);
    let distinct: BTreeSet<String> = asked.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), asked.len(), "what two targets say alike is asked once");
    for body in &asked {
        let text = body["messages"].to_string();
        for word in ["incumbent", "newcomer", "m-old", "m-new", "Question"] {
            assert!(!text.contains(word), "`{word}` is in {text}");
        }
        assert_eq!((&body["temperature"], &body["seed"]), (&json!(0.0), &json!(1)), "{body}");
    }
    let of = &report["entailment"];
    assert_eq!(
        (&of["n_questions"], &of["n_calls"], &of["whole"], &of["prompts"]),
        (&json!(41), &json!(41), &json!(true), &json!("crossfade-1"))
    );
    assert!(of["cost"].as_f64().unwrap() > 0.0, "{of}");
    let kinds: Vec<(&str, u64)> = of["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| (kind["kind"].as_str().unwrap(), kind["n_asked"].as_u64().unwrap()))
        .collect();
    assert_eq!(kinds, [("entailment", 14), ("claims", 14), ("abstention", 13)]);
    let stopped = house.run(&["eval", "report", "r~entailment"]).exits(2);
    assert!(stopped.stderr.contains("eval report r"), "{}", stopped.stderr);
    let watched = house.run(&["eval", "watch", "r", "--once", "--format", "json"]).exits(0).json();
    assert_eq!(
        watched["judges"][0],
        json!({ "run": "r~entailment", "n_questions": 41, "n_answered": 41 }),
        "{watched}"
    );
    for file in ["r.html", "r.md"] {
        house.run(&["eval", "report", "r", "-o", file]).exits(0);
        let text = std::fs::read_to_string(house.path().join(file)).unwrap();
        assert!(text.contains(judge) && text.contains("no verdict of people"), "{file}");
    }
}

#[test]
fn a_question_is_not_asked_again_of_the_same_judge_and_is_of_another() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream);
    house.run(&["eval", "run", "s.yaml", "--run", "r"]);
    let n = upstream.requests().len();
    house.run(&["eval", "run", "s.yaml", "--run", "again"]);
    assert_eq!(upstream.requests().len(), n);
    let again = report(&house, "again");
    assert_eq!((&again["entailment"]["n_reused"], &again["entailment"]["n_calls"]), (&json!(41), &json!(0)));
    check(&again, "citation_precision", [0.8, 0.5]);
    // Recall alone needs no part of what is cited, and neither claims nor abstention.
    suite(&house, "recall.yaml", "metrics: [citation_recall]\nentailment: { target: good, seed: 2 }\n");
    house.run(&["eval", "run", "recall.yaml", "--run", "other-seed"]);
    assert_eq!(upstream.requests().len(), n + 12, "two parts are not asked");
    // One that is wrong throughout says so in the numbers.
    house.run(&["eval", "run", "s.yaml", "--run", "wrong", "--entailment", "wrong"]);
    let wrong = report(&house, "wrong");
    assert_eq!(wrong["entailment"]["n_calls"], 41);
    check(&wrong, "citation_recall", [0.0, 0.2]);
    check(&wrong, "groundedness", [0.0, 0.25]);
    check(&wrong, "declined", [0.0, 0.0]);
}

#[test]
fn a_word_that_cannot_be_read_is_unscored_and_counted_and_too_many_decide_nothing() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream);
    let rest =
        "metrics: [citation_recall, groundedness]\nentailment: { target: chatty, agreement: { labelled: 10 } }\n";
    suite(&house, "chatty.yaml", rest);
    let path = house.path().join("chatty.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replace("cases.jsonl", "labelled.jsonl");
    std::fs::write(path, text).unwrap();
    let said = house.run(&["eval", "run", "chatty.yaml", "--run", "r"]).exits(4);
    assert!(said.stdout.contains("leaked") && said.stdout.contains("withheld:"), "{}", said.stdout);
    let report = report(&house, "r");
    assert_eq!(report["targets"][0]["unscored"]["citation_recall"], json!({ "no_verdict": 1 }), "{report}");
    let kind = &report["entailment"]["kinds"][0];
    // Of case 2: the statement of both targets, and two more that people judged, of which one is the same.
    assert_eq!(
        (&kind["unscored"], &kind["trust"]["n_labelled"], &kind["trust"]["n_unscored"]),
        (&json!({ "leaked": 2 }), &json!(18), &json!(2))
    );
    let because = report["candidates"][0]["primary"]["because"].as_str().unwrap();
    assert!(
        because.contains("the judge of entailment decides nothing") && because.contains("more than 1 %"),
        "{because}"
    );
    assert!(said.stdout.contains("citation_recall (judge withheld)"), "{}", said.stdout);
}

#[test]
fn a_panel_of_pairs_is_no_agreement_on_entailment() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream);
    let rest = "metrics: [citation_recall]\nentailment: { target: good, agreement: { panels: [support-1] } }\n";
    suite(&house, "panels.yaml", rest);
    let refused = house.run(&["eval", "run", "panels.yaml", "--run", "r"]).exits(2).stderr;
    for words in [
        "panels.yaml:",
        "`entailment.agreement.panels`",
        "says nothing of what documents entail",
        "write `verdicts` of people",
    ] {
        assert!(refused.contains(words), "{words} is not in\n{refused}");
    }
}

#[test]
fn a_judge_of_entailment_decides_once_it_agrees_with_people() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream);
    let rest = |target: &str, more: &str| {
        format!("metrics: [citation_recall]\nentailment: {{ target: {target}, agreement: {{ labelled: 20{more} }} }}\n")
    };
    let labelled = |name: &str, rest: &str| {
        suite(&house, name, rest);
        let path = house.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap().replace("cases.jsonl", "labelled.jsonl");
        std::fs::write(path, text).unwrap();
    };
    // Nobody said anything.
    suite(&house, "untested.yaml", &rest("good", ""));
    house.run(&["eval", "run", "untested.yaml", "--run", "untested"]).exits(4);
    let because = report(&house, "untested")["candidates"][0]["primary"]["because"].as_str().unwrap().to_owned();
    assert!(because.contains("not trusted: untested, no verdict of people"), "{because}");
    // People said as it does.
    labelled("labelled.yaml", &rest("good", ""));
    let said = house.run(&["eval", "run", "labelled.yaml", "--run", "labelled"]);
    assert!(said.stdout.contains("] on 20 such questions is at or above 0.6"), "{}", said.stdout);
    let trust = |run: &str| report(&house, run)["entailment"]["kinds"][0]["trust"].clone();
    assert_eq!((&trust("labelled")["trusted"], &trust("labelled")["n_labelled"]), (&json!(true), &json!(20)));
    let found = report(&house, "labelled");
    assert_eq!(found["candidates"][0]["primary"]["because"], Value::Null, "{}", found["targets"]);
    // And what they said in another run counts where the same judge was asked.
    suite(&house, "by-other.yaml", &rest("good", ", runs: [labelled, nowhere]"));
    house.run(&["eval", "run", "by-other.yaml", "--run", "by-other"]);
    assert_eq!(trust("by-other")["trusted"], true, "{}", trust("by-other"));
    assert!(trust("by-other")["why"].as_str().unwrap().contains("no run `nowhere`"), "{}", trust("by-other"));
    // One that says the contrary is found out.
    labelled("wrong.yaml", &rest("wrong", ""));
    house.run(&["eval", "run", "wrong.yaml", "--run", "wrong"]).exits(4);
    assert_eq!((trust("wrong")["trusted"].as_bool(), trust("wrong")["kappa"].as_f64()), (Some(false), Some(-1.0)));
}

#[test]
fn one_that_is_killed_goes_on_and_asks_nothing_twice_but_what_was_in_flight() {
    let upstream = upstream(Duration::from_millis(40));
    let house = house(&upstream);
    let (mut n_kills, mut before) = (0, 0);
    for goal in [8, 20, 32] {
        let mut child = house.spawn(&["eval", "run", "s.yaml", "--run", "r", "--concurrency", "2"]);
        until(|| (asked(&upstream).len() >= goal).then_some(()));
        child.kill().unwrap();
        child.wait().unwrap();
        n_kills += 1;
        let report = report(&house, "r");
        let n_asked = report["entailment"]["n_asked"].as_u64().unwrap();
        assert!(
            report["entailment"]["whole"] == false && n_asked >= before && n_asked < 41,
            "{}",
            report["entailment"]
        );
        before = n_asked;
    }
    house.run(&["eval", "run", "s.yaml", "--run", "r", "--concurrency", "2"]);
    let bodies: Vec<String> = asked(&upstream).iter().map(Value::to_string).collect();
    let distinct: BTreeSet<&String> = bodies.iter().collect();
    assert_eq!(distinct.len(), 41);
    assert!(
        bodies.len() - distinct.len() <= n_kills * 2,
        "{} calls again after {n_kills} kills",
        bodies.len() - distinct.len()
    );
    check(&report(&house, "r"), "citation_precision", [0.8, 0.5]);
}

#[test]
fn what_is_asked_on_entailment_is_charged_under_the_cap_of_the_run() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream);
    suite(&house, "plain.yaml", "metrics: [contains]\n");
    house.run(&["eval", "run", "plain.yaml", "--run", "plain"]);
    let listed = house.run(&["eval", "list", "--format", "json"]).exits(0).json();
    let spent =
        listed.as_array().unwrap().iter().find(|row| row["run"] == "plain").unwrap()["spent_nanos"].as_u64().unwrap();
    // Twice what the answers cost: forty-one questions come to more.
    let cap = format!("{:.9}", spent as f64 * 1.5e-9);
    let capped = house
        .run(&["eval", "run", "s.yaml", "--run", "r", "--no-reuse", "--max-cost", &cap, "--concurrency", "1"])
        .exits(4);
    assert!(capped.stderr.contains("stopped before it costs more"), "{}", capped.stderr);
    let n = asked(&upstream).len();
    assert!((1..41).contains(&n), "{n}");
    house.run(&["eval", "run", "s.yaml", "--run", "r", "--no-reuse", "--max-cost", "1"]);
    assert_eq!(asked(&upstream).len(), 41);
}

#[test]
fn a_check_of_a_case_may_need_a_models_word_too() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream);
    let lines = std::fs::read_to_string(house.path().join("cases.jsonl")).unwrap();
    let checked: String = lines
        .lines()
        .take(4)
        .map(|line| {
            let mut case: Value = serde_json::from_str(line).unwrap();
            case["checks"] =
                json!([{ "metric": "citation_precision", "threshold": 0.9 }, { "metric": "groundedness" }]);
            case.to_string() + "\n"
        })
        .collect();
    std::fs::write(house.path().join("checked.jsonl"), checked).unwrap();
    let of = ["eval", "run", "--file", "checked.jsonl", "--target", "incumbent", "--target", "newcomer", "--run", "r"];
    let refused = house.run(&of).exits(2);
    assert!(refused.stderr.contains("case `c0`: a check needs a model's word"), "{}", refused.stderr);
    house.run(&[&of[..], &["--entailment", "good"]].concat());
    check(&report(&house, "r"), "checks", [1.0, 0.5]);
}

#[test]
fn what_cannot_be_asked_is_said_before_anything_is_asked() {
    let upstream = upstream(Duration::ZERO);
    let house = house(&upstream);
    let told = |rest: &str| {
        suite(&house, "other.yaml", rest);
        house.run(&["eval", "run", "other.yaml"]).exits(2).stderr
    };
    for metric in ["citation_recall", "citation_precision", "groundedness", "{ name: abstention, abstains: judge }"] {
        let refused = told(&format!("metrics: [contains, {metric}]\n"));
        assert!(
            refused.contains("needs a model's word on what documents entail")
                && refused.contains("--entailment TARGET"),
            "{refused}"
        );
    }
    assert!(
        told("metrics: [{ name: rag_generation, abstains: judge }]\n")
            .contains("`rag_generation` needs a model's word")
    );
    assert!(told("metrics: [contains, abstention]\nentailment: good\n").contains("no metric asks that"));
    assert!(told("metrics: [groundedness]\nentailment: nobody\n").contains("there is no target `nobody`"));
    assert!(told("metrics: [groundedness]\nentailment: { seed: 1 }\n").contains("`entailment.target`"));
    assert!(told("metrics: [groundedness]\nentailment: { target: good, tempreature: 1 }\n").contains("temperature"));
    let judge = "judges:\n  entailment: { target: good, kind: rubric, criteria: good }\n";
    assert!(
        told(&format!("metrics: [groundedness]\nentailment: good\n{judge}"))
            .contains("no judge is called `entailment`")
    );
    std::fs::write(
        house.path().join("bad.jsonl"),
        "{\"id\":\"c\",\"input\":\"q\",\"documents\":[{\"id\":\"a\",\"text\":\"t\"}],\"verdicts\":[{\"statement\":\"s\",\"documents\":[\"z\"],\"entailed\":true}]}\n",
    )
    .unwrap();
    let refused = house.run(&["dataset", "check", "bad.jsonl"]);
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains("verdicts[0].documents") && said.contains("no document `z`"), "{said}");
    assert_eq!(upstream.requests().len(), 0);
}
