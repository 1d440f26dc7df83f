//! `eval review` over the admin listener: what reviewers get, byte by byte, who may ask what, and verdicts from a file.

use std::collections::BTreeMap;

use scripted::{Script, Upstream, chat_completion};
use serde_json::Value;

use crate::panel::{config, raw_as, scan, upstream};
use crate::parts::{Gateway, House, request};

/// Cases that both answer with their names in it, in a run of the name `r`.
fn judged_by_people(old: &Upstream, new: &Upstream, n_cases: usize) -> House {
    let house = House::new(&format!("auth: {{ required: true }}\n{}", config(old, new)));
    let lines: String = (0..n_cases)
        .map(|idx| {
            let topic = ["billing", "refunds"][idx % 2];
            format!("{{\"id\":\"c{idx}\",\"input\":\"Question number {idx}.\",\"expected\":\"Old words\",\"slices\":{{\"topic\":\"{topic}\"}}}}\n")
        })
        .collect();
    std::fs::write(house.path().join("cases.jsonl"), lines).unwrap();
    let run = ["eval", "run", "--file", "cases.jsonl", "--target", "gpt", "--target", "qwen", "--run", "r"];
    let done = house.run(&run);
    assert!(matches!(done.code, 3 | 4), "{}", done.stderr);
    house
}

fn key(house: &House, name: &str, role: &str) -> String {
    house.run(&["keys", "create", name, "--role", role]).exits(0).stdout.trim().to_owned()
}

fn read(gateway: &Gateway<'_>, key: &str, path: &str) -> (u16, Value) {
    let bearer = format!("Bearer {key}");
    let answer = request(gateway.admin, "GET", path, &[("authorization", &bearer)], "");
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[test]
fn no_byte_of_the_admin_api_says_whose_an_answer_is_and_no_id_or_place_in_the_order_does() {
    let (old, new) = (upstream("Vendorsecret-4o", "Old words"), upstream("Opensecret-32B", "New words"));
    let house = judged_by_people(&old, &new, 60);
    let (ana, ben, op) = (key(&house, "ana", "viewer"), key(&house, "ben", "viewer"), key(&house, "op", "operator"));
    let gateway = house.serve();
    let next = "/api/evaluations/r/review/next";
    let mut shown: Vec<(u64, bool)> = Vec::new();
    for (who, key) in [("ana", &ana), ("ben", &ben)] {
        loop {
            // The name in the body counts for nothing where a key says who asks.
            let answer = raw_as(&gateway, Some(key), next, "{\"reviewer\":\"somebody\",\"overlap\":2}");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            scan(&answer, head);
            let handed: Value = serde_json::from_str(body).unwrap();
            let Some(pair) = handed["pairs"].get(0) else { break };
            let members: Vec<&str> = pair.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members, ["first", "pair", "question", "second"]);
            let first = pair["first"].as_str().unwrap();
            assert!(first.starts_with("I am [name]."), "{first}");
            let token = pair["pair"].as_str().unwrap();
            let new_first = first.contains("New words");
            shown.push((u64::from_str_radix(token, 16).unwrap(), new_first));
            let other = if who == "ana" { &ben } else { &ana };
            let choice = if new_first { "second" } else { "first" };
            let say = |key: &str| {
                let body = format!("{{\"pair\":\"{token}\",\"choice\":\"{choice}\"}}");
                raw_as(&gateway, Some(key), "/api/evaluations/r/review/judge", &body)
            };
            assert!(say(other).starts_with("HTTP/1.1 404"));
            let answer = say(key);
            scan(&answer, answer.split_once("\r\n\r\n").unwrap().0);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(say(key).starts_with("HTTP/1.1 409"));
        }
    }
    assert_eq!(shown.len(), 120);
    assert_tells_nothing(&shown);
    for path in ["/api/evaluations/r/review", "/api/evaluations/r/review/results"] {
        assert_eq!(read(&gateway, &ana, path).0, 403, "{path}");
    }
    let (_, progress) = read(&gateway, &op, "/api/evaluations/r/review");
    let of_candidate = &progress["candidates"]["qwen"];
    assert_eq!((of_candidate["verdicts"].as_u64(), of_candidate["overlapping"].as_u64()), (Some(120), Some(60)));
    assert_eq!(progress["reviewers"]["ana"], serde_json::json!([60, 60]));
    let (_, results) = read(&gateway, &op, "/api/evaluations/r/review/results");
    let standing = &results[0];
    assert_eq!((standing["lost"].as_u64(), standing["n_masked"].as_u64()), (Some(120), Some(120)), "{standing}");
    assert_eq!(standing["times"][1]["n_timed"].as_u64(), Some(60), "{standing}");
    gateway.stop();
}

/// Neither a bit of what a pair is called nor where it stands in the order goes with the side. Of 120 fair coins, 30 or fewer, or 90 or more,
/// fall alike once in thirty million times.
#[track_caller]
fn assert_tells_nothing(shown: &[(u64, bool)]) {
    let check = |what: &str, tells: &dyn Fn(usize, u64) -> bool| {
        let alike = shown.iter().enumerate().filter(|(idx, (token, side))| tells(*idx, *token) == *side).count();
        assert!((31..90).contains(&alike), "{what} goes with the side in {alike} of {}", shown.len());
    };
    check("nothing", &|_, _| true);
    check("every other", &|idx, _| idx % 2 == 0);
    check("the half", &|idx, _| idx < shown.len() / 2);
    check("the one before", &|idx, _| idx > 0 && shown[idx - 1].1);
    for bit in 0..64 {
        check(&format!("bit {bit}"), &|_, token| token >> bit & 1 == 1);
    }
}

#[test]
fn verdicts_of_a_file_are_taken_whole_or_not_at_all() {
    let (old, new) = (upstream("Vendorsecret-4o", "Old words"), upstream("Opensecret-32B", "New words"));
    let house = judged_by_people(&old, &new, 12);
    let hand_out = ["eval", "review", "hand-out", "r", "--reviewer", "ana", "--pairs", "8"];
    let handed = house.run(&hand_out).exits(0);
    scan(&handed.stdout, "");
    scan(&handed.stderr, "");
    let table = house.run(&[&hand_out[..], &["--as", "csv"]].concat()).exits(0).stdout;
    let pairs: Vec<Value> = handed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(pairs.len() == 8 && pairs.iter().all(|pair| table.contains(pair["pair"].as_str().unwrap())), "{table}");
    let judged = |pairs: &[Value], choice: &dyn Fn(usize) -> Value| -> String {
        let line = |(idx, pair): (usize, &Value)| {
            let mut pair = pair.clone();
            pair["choice"] = choice(idx);
            pair["seconds"] = 12.into();
            pair.to_string() + "\n"
        };
        pairs.iter().enumerate().map(line).collect()
    };
    let file = |text: &str| {
        std::fs::write(house.path().join("verdicts.jsonl"), text).unwrap();
        house.run(&["eval", "review", "file", "r", "verdicts.jsonl", "--reviewer", "ana"])
    };
    let verdicts = || house.run(&["eval", "review", "results", "r", "--format", "json"]).exits(0).json()[0].clone();
    let wrong = file(&judged(&pairs, &|idx| if idx == 3 { "best".into() } else { "tie".into() })).exits(2);
    assert!(wrong.stderr.contains("verdicts.jsonl:4:choice: `best` is none of first, second, tie"), "{}", wrong.stderr);
    let mut others = pairs.clone();
    others[0]["pair"] = "0000".into();
    others[1]["reviewer"] = "ben".into();
    let wrong = file(&judged(&others, &|_| "tie".into())).exits(2);
    assert!(wrong.stderr.contains("verdicts.jsonl:1:pair") && wrong.stderr.contains(":2:reviewer"), "{}", wrong.stderr);
    assert_eq!(verdicts()["n_verdicts"], 0);
    let taken = file(&judged(&pairs, &|idx| if idx < 6 { "first".into() } else { Value::Null })).exits(0);
    assert_eq!(taken.stdout, "6 verdicts\n");
    assert!(taken.stderr.contains("2 pairs have no choice"), "{}", taken.stderr);
    let standing = verdicts();
    assert_eq!((standing["n_verdicts"].as_u64(), standing["median_seconds"].as_f64()), (Some(6), Some(12.0)));
    let again = file(&judged(&pairs, &|_| "tie".into())).exits(2);
    assert!(again.stderr.contains("is judged already"), "{}", again.stderr);
    assert_eq!(verdicts(), standing);
    // Those that were left open come again, before new ones.
    let open = house.run(&hand_out[..6]).exits(0).stdout;
    assert!(open.lines().take(2).zip(&pairs[6..]).all(|(line, pair)| line.contains(pair["pair"].as_str().unwrap())));
    let queue = house.run(&["eval", "review", "queue", "r"]).exits(0).stdout;
    assert!(queue.contains("qwen") && queue.contains("ana"), "{queue}");
    let next = house.run(&["eval", "review", "next", "r", "--reviewer", "ana"]).exits(0);
    let say =
        format!("eval review say {} first|second|tie --run r --reviewer ana`", pairs[6]["pair"].as_str().unwrap());
    assert!(next.stderr.contains(&say), "{}", next.stderr);
    // Somebody else judges all, in times nobody knows: what was left open holds the proof up no more.
    let page = || house.run(&["eval", "review", "results", "r"]).exits(0).stdout;
    assert!(
        page().contains("6 verdicts are still to come") && page().contains("6 pairs are open with ana"),
        "{}",
        page()
    );
    let handed =
        house.run(&["eval", "review", "hand-out", "r", "--reviewer", "ben", "--pairs", "12", "--overlap", "2"]);
    let line = |line: &str| {
        let mut pair: Value = serde_json::from_str(line).unwrap();
        pair["choice"] = "tie".into();
        pair.to_string() + "\n"
    };
    let verdicts: String = handed.exits(0).stdout.lines().map(line).collect();
    std::fs::write(house.path().join("verdicts.jsonl"), &verdicts).unwrap();
    assert_eq!(verdicts.lines().count(), 12);
    house.run(&["eval", "review", "file", "r", "verdicts.jsonl", "--reviewer", "ben"]).exits(0);
    assert!(page().contains("people judged 12 of 12 cases") && !page().contains("still to come"), "{}", page());
    assert!(page().contains("ben: 0 of 12 verdicts timed"), "{}", page());
}

/// Judges everything that a reviewer is handed: for the answer with these words in three of four pairs.
fn judges(house: &House, reviewer: &str, words: &str) -> usize {
    let hand_out = ["eval", "review", "hand-out", "r", "--reviewer", reviewer, "--pairs", "200"];
    let handed = house.run(&hand_out).exits(0).stdout;
    let line = |(idx, line): (usize, &str)| {
        let mut pair: Value = serde_json::from_str(line).unwrap();
        let is_first = pair["first"].as_str().unwrap().contains(words);
        pair["choice"] = if is_first == (idx % 4 != 0) { "first".into() } else { "second".into() };
        pair["seconds"] = 6.into();
        pair.to_string() + "\n"
    };
    let verdicts: String = handed.lines().enumerate().map(line).collect();
    std::fs::write(house.path().join("verdicts.jsonl"), verdicts).unwrap();
    if !handed.is_empty() {
        house.run(&["eval", "review", "file", "r", "verdicts.jsonl", "--reviewer", reviewer]).exits(0);
    }
    handed.lines().count()
}

/// Cases that the baseline and two candidates answer, in a run of the name `r`.
fn of_two_candidates([old, new, third]: [&Upstream; 3], n_cases: usize) -> House {
    let provider = format!("  third: {{ dialect: openai, base_url: {}/v1 }}\ntargets:", third.url());
    let target = "  other: { provider: third, model: Opensecret-7B }\nroutes:";
    let house = House::new(&config(old, new).replacen("targets:", &provider, 1).replacen("routes:", target, 1));
    let line =
        |idx: usize| format!("{{\"id\":\"c{idx}\",\"input\":\"Question number {idx}.\",\"expected\":\"Old words\"}}\n");
    std::fs::write(house.path().join("cases.jsonl"), (0..n_cases).map(line).collect::<String>()).unwrap();
    answer_with_both(&house, "r");
    house
}

fn answer_with_both(house: &House, run: &str) {
    let targets = ["--target", "gpt", "--target", "qwen", "--target", "other"];
    let done = house.run(&[&["eval", "run", "--file", "cases.jsonl", "--run", run][..], &targets].concat());
    assert!(matches!(done.code, 3 | 4), "{}", done.stderr);
}

/// Everything that a reviewer is handed, and what is said beside.
fn handed(house: &House, run: &str, reviewer: &str) -> (Vec<Value>, String) {
    let handed = house.run(&["eval", "review", "hand-out", run, "--reviewer", reviewer, "--pairs", "200"]).exits(0);
    scan(&handed.stdout, "");
    scan(&handed.stderr, "");
    (handed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), handed.stderr)
}

/// The two answers of a pair.
fn texts(pair: &Value) -> [&str; 2] {
    ["first", "second"].map(|side| pair[side].as_str().unwrap())
}

/// No answer stands in two pairs: whoever saw one twice would know that it is the one that all candidates are held against.
#[track_caller]
fn assert_no_text_comes_twice(pairs: &[Value]) {
    let mut all: Vec<&str> = pairs.iter().flat_map(texts).collect();
    let n = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), n, "{pairs:?}");
}

#[test]
fn of_two_candidates_nobody_gets_a_case_twice_and_no_answer_stands_in_two_pairs_of_a_reviewer() {
    let (old, new) = (upstream("Vendorsecret-4o", "Old words"), upstream("Opensecret-32B", "New words"));
    let third = upstream("Opensecret-7B", "Third words");
    let house = of_two_candidates([&old, &new, &third], 60);
    // Without a plan: who judges first gets each case with one of them, the second with the other, and then nothing is left.
    let (ana, said) = handed(&house, "r", "ana");
    assert_eq!(ana.len(), 60);
    assert!(said.contains("nothing more is left for you in this run") && said.contains("the 60 pairs"), "{said}");
    assert_no_text_comes_twice(&ana);
    let n_new = ana.iter().filter(|pair| texts(pair).iter().any(|text| text.contains("New words"))).count();
    assert_eq!(n_new, 30);
    // Nor does he get the other one when he asks for it by name, or with the verdicts given.
    let by_name = ["eval", "review", "next", "r", "--reviewer", "ana", "--overlap", "9", "--candidate", "other"];
    let verdicts: String =
        ana.iter().map(|pair| format!("{{\"pair\":{},\"choice\":\"tie\"}}\n", pair["pair"])).collect();
    std::fs::write(house.path().join("verdicts.jsonl"), verdicts).unwrap();
    house.run(&["eval", "review", "file", "r", "verdicts.jsonl", "--reviewer", "ana"]).exits(0);
    let none = house.run(&by_name).exits(0);
    assert!(none.stdout.starts_with("nothing is left for you in this run: ") && none.stderr.is_empty(), "{none:?}");
    let (ben, said) = handed(&house, "r", "ben");
    assert_eq!((ben.len(), said.contains("is left")), (60, false), "{said}");
    assert_no_text_comes_twice(&ben);
    let none = house.run(&["eval", "review", "next", "r", "--reviewer", "cleo"]).exits(0);
    assert_eq!(none.stdout, "nothing is left to judge\n");
    // With a plan for each: shared cases of the first are nobody's of the second.
    answer_with_both(&house, "s");
    let assign = |run: &str, candidate: &str, rest: &[&str]| {
        house.run(&[&["eval", "review", "assign", run, "--candidate", candidate, "--reviewer", "ana"], rest].concat())
    };
    let both = ["--reviewer", "ben", "--overlap", "0.2"];
    let said = assign("s", "qwen", &both).exits(0);
    assert!(said.stdout.contains("60 pairs by chance") && said.stdout.contains("72 verdicts"), "{}", said.stdout);
    let said = assign("s", "other", &both).exits(0);
    assert!(said.stdout.contains("48 pairs by chance") && said.stdout.contains("48 verdicts"), "{}", said.stdout);
    assert!(said.stderr.contains("12 cases were left out"), "{}", said.stderr);
    let (ana, _) = handed(&house, "s", "ana");
    let (ben, _) = handed(&house, "s", "ben");
    assert_eq!(ana.len() + ben.len(), 120);
    assert_no_text_comes_twice(&ana);
    assert_no_text_comes_twice(&ben);
    // One person cannot judge every case of both; and what is planned of one is not handed out with the other.
    answer_with_both(&house, "t");
    assign("t", "qwen", &["--pairs", "20"]).exits(0);
    let (ana, said) = handed(&house, "t", "ana");
    assert!(ana.len() == 60 && said.contains("the 20 pairs"), "{} {said}", ana.len());
    assert_no_text_comes_twice(&ana);
    answer_with_both(&house, "u");
    assign("u", "qwen", &[]).exits(0);
    let refused = assign("u", "other", &[]);
    assert!(refused.code != 0 && refused.stderr.contains("`other` needs other `reviewers`"), "{}", refused.stderr);
}

#[test]
fn cases_with_the_same_answer_of_the_baseline_come_to_a_reviewer_with_one_candidate() {
    // Two questions each get the same words of the baseline, and words of their own of the candidates.
    let old = Upstream::with(|request| {
        let asked = request.text();
        let nth = asked.split("number ").nth(1).and_then(|rest| rest.split('.').next()).unwrap_or("0").to_owned();
        Script::json(chat_completion(&format!("Old words {}", nth.parse::<u32>().unwrap() / 2)))
    });
    let (new, third) = (upstream("Opensecret-32B", "New words"), upstream("Opensecret-7B", "Third words"));
    let house = of_two_candidates([&old, &new, &third], 40);
    for reviewer in ["ana", "ben"] {
        let (pairs, _) = handed(&house, "r", reviewer);
        assert_eq!(pairs.len(), 40);
        let mut with: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for pair in &pairs {
            let is_new = texts(pair).iter().any(|text| text.contains("New words"));
            let old = texts(pair).into_iter().find(|text| text.starts_with("Old words")).unwrap();
            with.entry(old).or_default().push(is_new);
        }
        assert!(with.len() == 20 && with.values().all(|with| with[0] == with[1]), "{with:?}");
    }
}

#[test]
fn pairs_that_are_withdrawn_come_to_nobody_and_hold_nothing_up() {
    let (old, new) = (upstream("Vendorsecret-4o", "Old words"), upstream("Opensecret-32B", "New words"));
    let house = judged_by_people(&old, &new, 40);
    let (ana, op) = (key(&house, "ana", "viewer"), key(&house, "op", "operator"));
    let assign = ["eval", "review", "assign", "r", "--reviewer", "ana", "--reviewer", "ben", "--overlap", "0.95"];
    house.run(&assign).exits(0);
    let gateway = house.serve();
    let ask = |key: &str, what: &str, body: &str| {
        let bearer = format!("Bearer {key}");
        let heads = [("authorization", &*bearer), ("content-type", "application/json")];
        let answer = request(gateway.admin, "POST", &format!("/api/evaluations/r/review/{what}"), &heads, body);
        (answer.status, answer.body)
    };
    let next = || serde_json::from_str::<Value>(&ask(&ana, "next", "{}").1).unwrap()["pairs"][0]["pair"].clone();
    let pair = next();
    let body = format!("{{\"pairs\":[{pair}],\"reason\":\"shows a name\"}}");
    assert_eq!(ask(&ana, "withdraw", &body).0, 403);
    for wrong in ["{\"reason\":\"why\"}", &format!("{{\"pairs\":[{pair}],\"reason\":\" \"}}")] {
        assert_eq!(ask(&op, "withdraw", wrong).0, 400, "{wrong}");
    }
    assert_eq!(ask(&op, "withdraw", "{\"pairs\":[\"0000\"],\"reason\":\"why\"}").0, 404);
    assert_eq!(ask(&op, "withdraw", &body), (200, "{\"open\":1,\"unshown\":0}".to_owned()));
    assert_eq!(ask(&op, "withdraw", &body).0, 409);
    let verdict = |pair: &Value| format!("{{\"pair\":{pair},\"choice\":\"tie\"}}");
    let (status, words) = ask(&ana, "judge", &verdict(&pair));
    assert!(status == 409 && words.contains("was withdrawn"), "{words}");
    let second = next();
    assert_ne!(second, pair);
    assert_eq!(ask(&ana, "judge", &verdict(&second)).0, 200);
    let (status, words) = ask(&op, "withdraw", &body.replace(pair.as_str().unwrap(), second.as_str().unwrap()));
    assert!(status == 409 && words.contains("is judged, and stays so"), "{words}");
    gateway.stop();
    // Ben judges what is his, and what is left of ana's goes.
    judges(&house, "ben", "Old words");
    let third = house.run(&["eval", "review", "next", "r", "--reviewer", "ana", "--format", "json"]).exits(0).json();
    let queue = house.run(&["eval", "review", "queue", "r"]).exits(0).stdout;
    let open: Vec<&str> = queue.lines().filter(|line| line.contains(third["pair"].as_str().unwrap())).collect();
    assert!(matches!(open[..], [line] if line.contains("qwen") && line.contains("ana")), "{queue}");
    let withdraw = ["eval", "review", "withdraw", "r", "--reason", "ana has left", "--actor", "op"];
    let eve = house.run(&[&withdraw[..], &["--reviewer", "eve"]].concat()).exits(2);
    assert!(eve.stderr.contains("assigned to `eve`; `ana`, `ben` were"), "{}", eve.stderr);
    let gone = house.run(&[&withdraw[..], &["--reviewer", "ana"]].concat()).exits(0);
    assert!(gone.stdout.contains("that were not shown yet"), "{}", gone.stdout);
    let results = house.run(&["eval", "review", "results", "r", "--format", "json"]).exits(0).json()[0].clone();
    let (standing, proof) = (&results, &results["proof"]);
    let (n_open, withdrawn) = (proof["n_open"].as_u64(), standing["n_withdrawn"].as_u64());
    assert!(n_open == Some(0) && withdrawn > Some(30), "{results}");
    assert!(proof["n_withdrawn"].as_u64() <= Some(2) && proof["n"].as_u64() >= Some(38), "{results}");
    let page = house.run(&["eval", "review", "results", "r"]).exits(0).stdout;
    assert!(page.contains("before anybody judged") && !page.contains("still to come"), "{page}");
    assert_eq!(judges(&house, "ana", "Old words"), 0);
    let audited = store::Database::open(house.path().join("crossfade.db")).unwrap().audit(Some("run:r")).unwrap();
    let audited: Vec<(&str, &str)> =
        audited.iter().filter(|row| row.action == "review.withdraw").map(|row| (&*row.actor, &*row.reason)).collect();
    assert!(audited.contains(&("op", "ana has left")) && audited.len() == 2, "{audited:?}");
}

#[test]
fn a_planned_review_is_evidence_for_a_gate_when_its_last_verdict_is_there() {
    let (old, new) = (upstream("Vendorsecret-4o", "Old words"), upstream("Opensecret-32B", "New words"));
    let open = config(&old, &new);
    let house = House::new(&open);
    let line =
        |idx: usize| format!("{{\"id\":\"c{idx}\",\"input\":\"Question number {idx}.\",\"expected\":\"Old words\"}}\n");
    std::fs::write(house.path().join("cases.jsonl"), (0..100).map(line).collect::<String>()).unwrap();
    house.run(&["eval", "run", "--file", "cases.jsonl", "--target", "gpt", "--target", "qwen", "--run", "r"]);
    let assign = [
        "eval",
        "review",
        "assign",
        "r",
        "--reviewer",
        "ana",
        "--reviewer",
        "ben",
        "--pairs",
        "80",
        "--overlap",
        "0.25",
    ];
    let said = house.run(&[&assign[..], &["--margin", "0.1"]].concat()).exits(0);
    assert_eq!(said.stdout, "qwen: 80 pairs by chance, 0 that metrics see differently, 100 verdicts\n");
    assert!(said.stderr.contains("prove a margin of 0.14"), "{}", said.stderr);
    let again = house.run(&assign);
    assert!(again.code != 0 && again.stderr.contains("before the first is shown"), "{}", again.stderr);
    // Nobody else gets a pair, and nobody more than his own.
    assert_eq!((judges(&house, "eve", "New words"), judges(&house, "ana", "New words")), (0, 50));
    let queue = house.run(&["eval", "review", "queue", "r", "--format", "json"]).exits(0).json();
    assert_eq!((queue["assigned"]["ben"].as_u64(), queue["reviewers"]["ben"].is_null()), (Some(50), true));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let file = || gateway.run(&["eval", "file", "r", "--rollout", "to-qwen", "--review"]);
    let early = file().exits(4);
    assert!(early.stderr.contains("50 verdicts are still to come"), "{}", early.stderr);
    assert_eq!(judges(&house, "ben", "New words"), 50);
    let results = ["eval", "review", "results", "r", "--per-hour", "30"];
    let page = gateway.run(&results).exits(0).stdout;
    // 100 verdicts of 6 seconds at 30 dollars an hour.
    assert!(page.contains("cost           $5 of people's time") || page.contains("$5.00"), "{page}");
    assert!(
        page.contains("people judged 80 of 80 cases (drawn by chance)") && page.contains("proven not to be"),
        "{page}"
    );
    file().exits(0);
    let filed = gateway.run(&["rollout", "filed", "to-qwen", "--format", "json"]).exits(0).json();
    let filed = &filed.as_array().unwrap()[0];
    assert_eq!(
        (filed["kind"].as_str(), filed["name"].as_str(), filed["n"].as_u64(), filed["passed"].as_bool()),
        (Some("review"), Some("cases"), Some(80), Some(true)),
        "{filed}"
    );
    gateway.stop();
    house.write(&open.replace("Opensecret-32B", "Opensecret-33B"));
    let changed = house.run(&["eval", "file", "r", "--rollout", "to-qwen", "--review"]).exits(2);
    assert!(changed.stderr.contains("`qwen` is not what it was"), "{}", changed.stderr);
}
