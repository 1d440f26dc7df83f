//! Looking ahead from the command line: what a rollout will take, and how its policy behaves in many made-up ones.

use serde_json::Value;

use crate::parts::{CONFIG, Done, House, until, with_policy};

const STATED: [&str; 4] = ["--requests-per-day", "50000", "--error-rate", "0.01"];

fn plan(house: &House, arguments: &[&str]) -> Done {
    house.run(&[&["rollout", "plan", "to-qwen", "--format", "json"], arguments].concat())
}

fn refusals(done: &Done) -> Vec<String> {
    let report = done.json();
    let refusals = report["outlook"]["refusals"].as_array().unwrap();
    refusals.iter().map(|words| words.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_plan_has_every_gate_and_guard_and_refuses_what_can_never_be_decided() {
    let house = House::new(CONFIG);
    let nothing = plan(&house, &[]).exits(4);
    assert!(nothing.stderr.contains("hint: state the traffic"), "{}", nothing.stderr);
    let good = plan(&house, &STATED).exits(0).json();
    let steps = good["outlook"]["steps"].as_array().unwrap();
    assert_eq!((steps[0]["gates"].as_array().unwrap().len(), steps[1]["guards"].as_array().unwrap().len()), (3, 10));
    assert!(steps[0]["cost"].is_null() && steps[1]["cost"]["allowed"] == 1.5, "{}", steps[1]);
    assert_eq!(steps[1]["filed"][0]["kind"], "drill", "asked where majority is entered");
    let page = house.run(&[&["rollout", "plan", "to-qwen", "--all-guards"], &STATED[..]].concat()).exits(0).stdout;
    for words in
        ["gate error +0.01", "coverage 1 of 0.9", "filed drill any", "approvals 1", "times 1.5 allowed, pauses"]
    {
        assert!(page.contains(words), "{words} not in\n{page}");
    }
    assert!(page.contains("The guard on the slow answer rate sees nothing: there is no `objectives.total`"), "{page}");

    let policy =
        "objectives: { total: 2s }, certificates: { slow: { limit: 0.05 } }, gates: { feedback: { margin: 0.02 } }";
    house.write(&with_policy("shadow: { sample: 1.0, budget: { tokens_per_day: 1000 } }", policy));
    let late = [&STATED[..], &["--rate", "slow=0.1", "--tokens-per-request", "500", "--baseline-token-limit", "1000"]]
        .concat();
    let refused = refusals(&plan(&house, &late).exits(3));
    for words in [
        "the certificate of a slow answer rate below 5 % can never be decided: it is 10 % on the baseline",
        "the gate on the negative feedback rate (margin 2 %) can never be decided: nobody has said anything",
        "1000 tokens a day leave 0 % of the copies",
        "the baseline takes 1000 tokens a minute",
    ] {
        assert!(refused.iter().any(|refusal| refusal.contains(words)), "{words} not in {refused:#?}");
    }
}

#[test]
fn a_plan_says_when_the_limit_on_late_answers_finds_that_all_are() {
    let house =
        House::new(&with_policy("shadow: { sample: 1.0 }", "objectives: { total: 2s }, absolute: { slow: 0.4 }"));
    let report = plan(&house, &STATED).json();
    let steps = report["outlook"]["steps"].as_array().unwrap();
    assert!(steps[0]["late"].is_null(), "nobody waits for copies");
    let [all, half] = [0, 1].map(|idx| steps[1]["late"][idx].as_u64().unwrap());
    // Fifteen or so of the candidate's, which are a twentieth of the requests.
    assert!((200..400).contains(&all) && half > 5 * all, "{all} {half}");
    assert!(steps[1]["outage"][0].as_u64().unwrap() < all, "errors have the lower limit");
    house.write(&with_policy("shadow: { sample: 1.0 }", "objectives: { total: 2s }, absolute: { slow: 0.5 }"));
    let page = house.run(&[&["rollout", "plan", "to-qwen"], &STATED[..]].concat()).stdout;
    assert!(page.contains("half never") && page.contains("all failing 100,"), "{page}");
}

#[test]
fn candidates_that_cost_more_and_people_who_say_no_are_played() {
    let house = House::new(CONFIG);
    let dear = simulate(&house, &["--cost-ratio", "4", "--cost-spread", "0.5", "--runs", "10"]);
    assert_eq!((&dear["cost_ratio"], &dear["summary"]["dear"]["n"]), (&4.0.into(), &10.into()), "{dear:#}");
    assert!(dear["summary"]["dear_after"]["median"].as_f64() > Some(0.0), "{dear:#}");
    let some = ["rollout", "simulate", "--risk", "medium", "--runs", "2", "--refuse", "1"];
    let page = house.run(&some).exits(0).stdout;
    assert!(page.contains("refused by people"), "{page}");
    house.run(&["rollout", "simulate", "--refuse", "2"]).exits(2);
    let checked = house.run(&["check"]).exits(0).stdout;
    let said = "at a rollback calls under way go on to their end; baseline probed every 1h; gates read anew every 30d once completed";
    assert!(checked.contains(said), "{checked}");
}

#[test]
fn a_plan_reads_the_record_how_late_answers_were_how_long_and_what_users_said() {
    let policy = "objectives: { total: 1us }, certificates: { slow: { limit: 0.05 } }";
    let house = House::new(&with_policy("shadow: { sample: 1.0 }", policy).replace("1us", "1ms"));
    let gateway = house.serve();
    for n in 0..120 {
        let answer = gateway.chat("gpt-4o", "hello");
        let id = answer.header("x-crossfade-exchange-id").unwrap();
        if n % 10 == 0 {
            let body = serde_json::json!({ "exchange_id": id, "kind": "thumb", "value": "up" });
            assert_eq!(crate::parts::post(gateway.data, "/v1/feedback", &body.to_string()).status, 200);
        }
    }
    let report = until(|| {
        let done = plan(&house, &[]);
        let report = if done.code == 4 { return None } else { done.json() };
        (report["basis"]["recorded_requests"] == 120).then_some(report)
    });
    let traffic = &report["basis"]["traffic"];
    assert!(traffic["rates"]["slow"].as_f64() > Some(0.9), "nobody answers within a millisecond: {traffic}");
    assert!(traffic["tokens_per_request"].as_f64() > Some(1.0), "{traffic}");
    let told = traffic["observed"]["feedback"].as_f64().unwrap();
    assert!((told - 0.1).abs() < 0.02, "{told}");
    let refused = report["outlook"]["refusals"].to_string();
    assert!(refused.contains("can never be decided: it is "), "{refused}");
    let started = gateway.run(&["rollout", "start", "to-qwen"]).exits(0).stderr;
    assert!(
        started.contains("note: at the traffic on record the plan refuses it: canary 5 %: the certificate"),
        "{started}"
    );
}

fn simulate(house: &House, arguments: &[&str]) -> Value {
    let some = ["rollout", "simulate", "--risk", "low", "--format", "json"];
    let runs: &[&str] = if arguments.contains(&"--runs") { &[] } else { &["--runs", "40"] };
    house.run(&[&some[..], runs, arguments].concat()).exits(0).json()
}

#[test]
fn many_rollouts_are_played_with_intervals_and_the_same_seed_plays_them_again() {
    let house = House::new(CONFIG);
    let worse = simulate(&house, &["--effect", "error=0.1"]);
    let detection = &worse["summary"]["detection"];
    let number = |value: &Value| value.as_f64().unwrap();
    let [low, high] = [0, 1].map(|end| number(&detection["median_interval"][end]));
    assert!(low <= number(&detection["median"]) && number(&detection["median"]) <= high && high > low, "{detection}");
    assert_eq!(worse["summary"]["rolled_back"]["n"], 40);
    assert_eq!(worse, simulate(&house, &["--effect", "error=0.1"]));

    let times = ["--total", "8s/20s", "--objective-total", "30s"];
    let slow = simulate(&house, &[&times[..], &["--slower", "3"]].concat());
    assert_eq!(slow["summary"]["rolled_back"]["n"], 40, "{slow}");
    let lossy = simulate(&house, &["--lost-copies", "0.3", "--at-most", "40d"]);
    assert_eq!(lossy["summary"]["completed"]["n"], 0, "{lossy}");
    let untimed = house.run(&["rollout", "simulate", "--slower", "3"]).exits(2);
    assert!(untimed.stderr.contains("hint: for instance `--total 8s/20s`"), "{}", untimed.stderr);
    house.run(&["rollout", "simulate", "--signal", "error=0.5/2h"]).exits(2);

    let arguments =
        ["rollout", "simulate", "--risk", "low", "--runs", "40", "--effect", "error=0.1", "--plot", "plot.html"];
    let page = house.run(&arguments).exits(0).stdout;
    assert!(
        page.contains("rollbacks by requests since the candidate was worse, from") && page.contains("####"),
        "{page}"
    );
    let plot = std::fs::read_to_string(house.path().join("plot.html")).unwrap();
    assert!(
        plot.contains("<svg") && plot.contains("rolled back") && !plot.contains("http-equiv") && !plot.contains("src=")
    );
}

#[test]
fn recorded_units_and_times_are_played() {
    let policy = "objectives: { total: 5s }";
    let house = House::new(&with_policy("shadow: { sample: 1.0 }", policy));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    (0..120).for_each(|_| drop(gateway.chat("gpt-4o", "hello")));
    assert_eq!(gateway.stop(), 0);
    let play = |arguments: &[&str]| {
        let some =
            ["rollout", "simulate", "to-qwen", "--recorded", "--runs", "10", "--at-most", "30d", "--format", "json"];
        house.run(&[&some[..], &["--requests-per-day", "20000"], arguments].concat()).exits(0).json()
    };
    let equal = play(&[]);
    assert_eq!((&equal["recorded_units"], &equal["summary"]["rolled_back"]["n"]), (&120.into(), &0.into()), "{equal}");
    // Recorded answers take milliseconds: a candidate that takes ten thousand times as long is late.
    let slow = play(&["--slower", "10000"]);
    assert_eq!(slow["summary"]["rolled_back"]["n"], 10, "{slow}");
}
