//! The exit plan over the binary: what nobody knows is missing, and a drill's figures are in the plan that is made after it.

use serde_json::Value;

use crate::exit_drill::{quickstart, with_callers};
use crate::parts::House;

/// The rows of the plan's table of Art. 10 that have their evidence.
fn met(plan: &Value) -> Vec<&str> {
    let items = plan["items"].as_array().unwrap().iter().filter(|item| !item["evidence"].is_null());
    items.map(|item| item["asks"].as_str().unwrap()).collect()
}

#[test]
fn after_a_drill_the_plan_of_the_quickstarts_route_shows_its_figures() {
    let house = House::new(&quickstart());
    let json = ["exit", "plan", "support", "--format", "json"];
    // Nothing was recorded yet, and nobody said anything.
    let before = house.run(&json).exits(4).json();
    assert!(before["headline"].as_str().unwrap().contains("it was never rehearsed"), "{}", before["headline"]);
    assert_eq!((met(&before).len(), before["items"].as_array().unwrap().len()), (0, 12));

    let gateway = house.serve();
    let arguments = ["exit", "drill", "support", "--before", "500ms", "--hold", "500ms", "--format", "json"];
    let (done, _, broken) = with_callers(&gateway, "support", || gateway.run(&arguments));
    let report = done.exits(0).json();
    assert_eq!(broken, 0);
    drop(gateway);

    let after = house.run(&json).exits(4).json();
    // A rehearsal of made-up providers is no test of leaving the real one.
    assert_eq!((&after["simulated"], met(&after).len()), (&true.into(), 0));
    let text = house.run(&["exit", "plan", "support"]).exits(4).stdout;
    let ms = report["there"]["time_to_switch_ms"].as_f64().unwrap();
    let shown = if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") };
    assert!(
        text.contains(&format!("switched in {shown}, in memory; the reload itself is not measured")),
        "{shown} in\n{text}"
    );
    let requests = format!("0 of {} requests failed", report["away"]["requests"]);
    assert!(text.contains(&requests), "{requests} in\n{text}");
    assert!(text.contains("SIMULATED") && text.contains("MISSING: a rehearsal with the real providers"), "{text}");
}

#[test]
fn what_only_people_know_is_written_in_a_worksheet_that_is_never_overwritten() {
    let house = House::new(&quickstart());
    house.run(&["exit", "plan", "support", "--init"]).exits(0);
    assert!(house.run(&["exit", "plan", "support", "--init"]).exits(2).stderr.contains("is left as it is"));
    let worksheet = std::fs::read_to_string(house.path().join("exit.yaml")).unwrap();
    let missing = |house: &House| {
        let plan = house.run(&["exit", "plan", "support", "--format", "json"]).exits(4).json();
        let sections = plan["sections"].as_array().unwrap();
        sections.iter().map(|section| section["missing"].as_array().unwrap().len()).sum::<usize>()
    };
    let all = missing(&house);
    house.write_file("exit.yaml", &worksheet.replace("reference: unknown", "reference: C-17"));
    assert_eq!(missing(&house), all - 1);
    house.write_file("exit.yaml", &worksheet.replace("notice_days: unknown", "notice_days: soon"));
    let refused = house.run(&["exit", "plan", "support"]).exits(2).stderr;
    assert!(refused.contains("exit.yaml") && refused.contains("a whole number, or `unknown`"), "{refused}");
}

#[test]
fn the_plan_is_written_in_every_form_and_without_a_browser_it_says_so() {
    let house = House::new(&quickstart());
    let browser = [("CROSSFADE_BROWSER", "/nobody/here")];
    let done = house.run_with(&["exit", "plan", "support", "-o", "plan"], &browser).exits(4);
    assert!(done.stderr.contains("no PDF:") && done.stdout.contains("exit-plan.html"), "{}", done.stderr);
    let read = |name: &str| std::fs::read_to_string(house.path().join("plan").join(name)).unwrap();
    let plan: Value = serde_json::from_str(&read("exit-plan.json")).unwrap();
    assert_eq!(plan["format"], "crossfade-exit-plan/1");
    for section in plan["sections"].as_array().unwrap() {
        let title = section["title"].as_str().unwrap();
        assert!(read("exit-plan.md").contains(title) && read("exit-plan.html").contains(title), "{title}");
    }
    assert!(house.run(&["exit", "plan", "suport"]).exits(2).stderr.contains("did you mean `support`?"));
    house.write_file("inventory.json", r#"{"date":"2026-11-26","findings":[]}"#);
    let refused = house.run(&["exit", "plan", "support", "--matrix", "inventory.json"]).exits(2).stderr;
    assert!(refused.contains("is an inventory, not a matrix") && refused.contains("inventory matrix"), "{refused}");
    assert!(house.run(&["exit", "plan", "support", "--export", "."]).exits(2).stderr.contains("holds no export"));
}
