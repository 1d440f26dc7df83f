//! Reports, costs, evaluations, benchmarks and what waits for a person, on their pages: the same figures as the command line says.

use super::{Shown, ask};
use crate::console::screens::shows;
use crate::parts::{CONFIG, Gateway, House, until};

const RIGHT: &str = include_str!("../../../src/config/worksheet/right.yaml");

/// The cookie of whoever looks at a page, and the token of its forms.
fn held(page: &Shown) -> (String, String) {
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap();
    (cookie.to_owned(), page.token().to_owned())
}

fn send(gateway: &Gateway<'_>, path: &str, form: &str) -> Shown {
    let (cookie, token) = held(&ask(gateway.admin, "GET", "/reports", ("", "")));
    ask(gateway.admin, "POST", path, (&cookie, &format!("csrf={token}&{form}")))
}

#[test]
fn a_report_is_made_when_it_is_asked_for_and_says_what_the_command_says() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    shows(&gateway, "/reports", &["None has been made", "Make a report"]);
    let made = send(&gateway, "/reports", "workload=support");
    assert_eq!(made.status, 303, "{}", made.body);
    let at = made.header("location").unwrap().to_owned();
    let page =
        shows(&gateway, &at, &["Decision report: should support", "not enough evidence", "Scorecard", "appendix.html"]);
    assert!(!page.contains(" style=") && !page.contains("href=\"appendix.html"), "{page}");
    let told = gateway.run(&["report", "--workload", "support", "--format", "json"]).exits(4).json();
    let file = ask(gateway.admin, "GET", &format!("{at}/report.json"), ("", ""));
    assert!(file.header("content-disposition").unwrap().contains("report.json"), "{}", file.head);
    let found: serde_json::Value = serde_json::from_str(&file.body).unwrap();
    assert_eq!((&found["headline"], &found["moves"][0]["rule"]), (&told["headline"], &told["moves"][0]["rule"]));
    shows(&gateway, "/reports", &[&at, "support"]);

    for name in ["report.html", "appendix.html"] {
        let page = ask(gateway.admin, "GET", &format!("{at}/{name}"), ("", ""));
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains("style-src 'sha256-") && !policy.contains("unsafe") && !policy.contains("script-src"),
            "{policy}"
        );
        assert!(page.body.starts_with("<!doctype html>") && !page.body.contains(" style="), "{name}");
    }
    let bundle = ask(gateway.admin, "GET", &format!("{at}/bundle.tar"), ("", ""));
    assert!(bundle.status == 200 && bundle.body.contains("manifest.json"));
    assert_eq!(ask(gateway.admin, "GET", &format!("{at}/rows"), ("", "")).status, 404);
    assert_eq!(ask(gateway.admin, "GET", "/reports/0000", ("", "")).status, 404);
    let refused = send(&gateway, "/reports", "workload=suport");
    assert!(refused.status == 400 && refused.body.contains("did you mean <code>support</code>"), "{}", refused.body);
}

#[test]
fn a_worksheet_of_the_config_is_studied_with_figures_that_the_address_changes() {
    let house = House::new(&format!("{CONFIG}tco: {{ worksheets: {{ support: tco.yaml }} }}\n"));
    house.write_file("tco.yaml", RIGHT);
    let gateway = house.serve();
    shows(&gateway, "/costs", &["support", "tco.yaml"]);
    let words = [
        "$0.1255",
        "$0.10212",
        "Likely to be cheaper",
        "What moves the saving",
        "Where both would be even",
        "measured",
        "<svg",
    ];
    shows(&gateway, "/costs/support?draws=2000", &words);
    let told = house.run(&["tco", "run", "tco.yaml", "--draws", "2000", "--format", "json"]).exits(4).json();
    let p50 = told["odds"]["saving"]["p50"].as_f64().unwrap();
    let p50 = format!("{:.1} %", p50 * 100.0);
    shows(&gateway, "/costs/support?draws=2000", &[&p50, "undecided"]);
    shows(
        &gateway,
        "/costs/support?draws=2000&set=candidate.first_pass%3D0.99",
        &["reached", "value=\"candidate.first_pass=0.99\""],
    );
    for (query, words) in [
        ("set=candidate.first_pas%3D0.9", "candidate.first_pas"),
        ("set=candidate.first_pass", "write it like"),
        ("draws=1", "a number from 100 to 2000000"),
    ] {
        let refused = ask(gateway.admin, "GET", &format!("/costs/support?{query}"), ("", ""));
        assert!(refused.status == 400 && refused.body.contains(words), "{query}: {}", refused.body);
    }
    // The report counts it without being told.
    let stale = house.run(&["report", "--format", "json"]).exits(4).json()["stale"].to_string();
    assert!(stale.contains("tco.yaml"), "its sides are other targets than those of the route: {stale}");
    house.write_file("tco.yaml", "worksheet: crossfade-tco/1\n");
    let refused = ask(gateway.admin, "GET", "/costs/support", ("", ""));
    assert!(refused.status == 400 && refused.body.contains("tco.yaml"), "{}", refused.body);
    house.write(&format!("{CONFIG}tco: {{ worksheets: {{ suport: tco.yaml }} }}\n"));
    assert!(house.run(&["check"]).exits(2).stderr.contains("did you mean `support`?"));
}

#[test]
fn a_route_without_a_worksheet_is_drafted_from_the_record() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    shows(&gateway, "/costs", &["gpt-4o", "the record alone"]);
    shows(
        &gateway,
        "/costs/gpt-4o?draws=1000",
        &["Asked for", "tasks_per_month", "crossfade tco init --route gpt-4o", "Every figure"],
    );
    assert_eq!(ask(gateway.admin, "GET", "/costs/nothing", ("", "")).status, 404);
}

#[test]
fn evaluations_are_listed_shown_and_held_against_each_other() {
    let house = House::new(CONFIG);
    let line = |n: usize| {
        format!(
            "{{\"id\":\"c{n}\",\"input\":\"Question {n}? </script><script>alert(1)</script>\",\"expected\":\"yes\"}}\n"
        )
    };
    house.write_file("cases.jsonl", &(0..12).map(line).collect::<String>());
    for run in ["first", "second"] {
        let done =
            house.run(&["eval", "run", "--file", "cases.jsonl", "--target", "gpt", "--target", "qwen", "--run", run]);
        assert!([0, 3, 4].contains(&done.code), "{}", done.stderr);
    }
    let gateway = house.serve();
    shows(&gateway, "/evaluations", &["first", "second", "24 of 24"]);
    let report = house.run(&["eval", "report", "first", "--as", "json"]).exits(0).json();
    let verdict = report["candidates"][0]["primary"]["verdict"].as_str().unwrap();
    shows(
        &gateway,
        "/evaluations/first",
        &[verdict, "qwen", "Every case side by side", "Simulated", "/evaluations/first/beside"],
    );
    let page = ask(gateway.admin, "GET", "/evaluations/first/page", ("", ""));
    assert!(page.header("content-security-policy").unwrap().contains("style-src 'sha256-"), "{}", page.head);
    assert!(page.body.contains("&lt;script&gt;alert(1)") && !page.body.contains("<script"), "{}", page.body);
    shows(&gateway, "/evaluations/first/beside?with=second", &["P95, ms", "failed calls", "no interval between them"]);
    assert_eq!(ask(gateway.admin, "GET", "/evaluations/first/beside", ("", "")).status, 400);
    assert_eq!(ask(gateway.admin, "GET", "/evaluations/third", ("", "")).status, 404);
}

#[test]
fn benchmarks_are_listed_shown_and_held_against_each_other() {
    let house = House::new(CONFIG);
    for name in ["night", "day"] {
        let run =
            ["bench", "run", "--target", "gpt", "--rate", "20", "--duration", "1s", "--warm-up", "0s", "--name", name];
        let done = house.run(&run);
        assert!([0, 4].contains(&done.code), "{}", done.stderr);
    }
    let gateway = house.serve();
    shows(&gateway, "/benches", &["night", "day", "load"]);
    shows(
        &gateway,
        "/benches/night",
        &["Loads; times from when a request was due", "simulated", "/benches/night/beside"],
    );
    let page = ask(gateway.admin, "GET", "/benches/night/page", ("", ""));
    assert!(
        page.body.contains("<svg") && page.header("content-security-policy").unwrap().contains("sha256-"),
        "{}",
        page.body
    );
    shows(&gateway, "/benches/night/beside?with=day", &["ttft.intended p50, ms", "95 % intervals"]);
    assert_eq!(ask(gateway.admin, "GET", "/benches/noon", ("", "")).status, 404);
}

#[test]
fn what_is_referred_waits_and_is_decided_once_on_its_page() {
    let policy = "workload: support, policy: { checks: { medicine: { deny: [\"(?i)overdose\"], then: escalate } } } }";
    let house = House::new(&CONFIG.replace("workload: support }", policy));
    let gateway = house.serve();
    shows(&gateway, "/waiting", &["Nothing is referred", "No rollout asks for approval"]);
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "pause", "to-qwen", "--reason", "a look"]).exits(0);
    let referred = gateway.chat("gpt-4o", "<b>an overdose</b> of \u{202e}it");
    let id = referred.header("x-crossfade-exchange-id").unwrap().to_owned();
    until(|| ask(gateway.admin, "GET", "/waiting", ("", "")).body.contains(&id).then_some(()));
    shows(&gateway, "/waiting", &["to be resumed or aborted", "medicine", "nobody yet"]);
    let page = shows(
        &gateway,
        &format!("/waiting/{id}"),
        &["medicine", "&lt;b&gt;an overdose", "⟨U+202E⟩it", "It was in order"],
    );
    assert!(!page.contains("<b>an overdose"), "{page}");
    let path = format!("/waiting/{id}");
    assert_eq!(send(&gateway, &path, "decision=approve&reason=").status, 400, "a decision needs a reason");
    assert_eq!(send(&gateway, &path, "decision=perhaps&reason=x").status, 400);
    assert_eq!(send(&gateway, &path, "decision=approve&reason=a+nurse+asked").status, 303);
    assert_eq!(send(&gateway, &path, "decision=reject&reason=x").status, 409);
    shows(&gateway, &path, &["approve", "a nurse asked"]);
    shows(&gateway, "/waiting?all=1", &[&id]);
    let audit = shows(&gateway, "/audit", &["review.approve"]);
    assert!(audit.contains(&id));
}
