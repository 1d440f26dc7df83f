//! `panel`: blinded pairs from the shadow of a rollout, judged by people.

use std::io::{Read, Write};
use std::net::TcpStream;

use scripted::{Script, Upstream, chat_completion};
use serde_json::Value;

use crate::parts::{CONFIG, Gateway, House, until};

/// Both arms say who they are, in text, headers, ids and usage; the candidate's answers are longer.
pub(crate) fn upstream(model: &'static str, answer: &'static str) -> Upstream {
    Upstream::with(move |request| {
        let asked = request.text();
        let nth = asked.split("number ").nth(1).and_then(|rest| rest.split('.').next()).unwrap_or("0").to_owned();
        let text = format!("I am {model}. {answer} {nth}");
        let body = chat_completion(&text).replace("chatcmpl", model);
        Script::json(body).header("x-served-by", model).header("openai-processing-ms", "17")
    })
}

pub(crate) fn config(old: &Upstream, new: &Upstream) -> String {
    let line = |line: &str| match line.split(':').next() {
        Some("  old") => format!("  old: {{ dialect: openai, base_url: {}/v1 }}", old.url()),
        Some("  new") => format!("  new: {{ dialect: openai, base_url: {}/v1 }}", new.url()),
        _ => line
            .replace("model: gpt-4o }", "model: vendorsecret-4o }")
            .replace("model: qwen }", "model: Opensecret/Opensecret-32B }"),
    };
    CONFIG.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// A request to the admin listener, and every byte of its answer.
fn raw(gateway: &Gateway<'_>, path: &str, body: &str) -> String {
    raw_as(gateway, None, path, body)
}

/// The same, with a key.
pub(crate) fn raw_as(gateway: &Gateway<'_>, key: Option<&str>, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(gateway.admin).unwrap();
    let n = body.len();
    let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    write!(stream, "POST {path} HTTP/1.1\r\nhost: localhost\r\n{key}content-type: application/json\r\ncontent-length: {n}\r\nconnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn no_byte_that_a_reviewer_gets_before_the_verdict_says_whose_an_answer_is() {
    let (old, new) = (upstream("Vendorsecret-4o", "Old words"), upstream("Opensecret-32B", "New words"));
    let house = House::new(&config(&old, &new));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    for nth in 0..40 {
        assert_eq!(gateway.chat("gpt-4o", &format!("Question number {nth}.")).status, 200);
    }
    let pairs = ["exchanges", "pairs", "--limit", "100", "--format", "json"];
    until(|| {
        let pairs = gateway.run(&pairs).json().as_array().unwrap().clone();
        (pairs.iter().filter(|pair| !pair["shadow"].is_null() && !pair["outcome"].is_null()).count() >= 30)
            .then_some(())
    });
    let open = [
        "panel",
        "open",
        "p",
        "--rollout",
        "to-qwen",
        "--reviewer",
        "ana",
        "--reviewer",
        "ben",
        "--pairs",
        "24",
        "--overlap",
        "0.5",
        "--disagreeing",
        "0",
        "--epoch=1",
    ];
    let said = gateway.run(&open).exits(0).stderr;
    assert!(!said.contains("asked for"), "{said}");
    gateway.run(&open).exits(1);
    open_more_than_there_are(&gateway);
    let mut sides = Vec::new();
    for reviewer in ["ana", "ben"] {
        let mut items = Vec::new();
        loop {
            let answer = raw(&gateway, "/api/panels/p/next", &format!("{{\"reviewer\":\"{reviewer}\"}}"));
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            scan(&answer, head);
            let next: Value = serde_json::from_str(body).unwrap();
            if next.is_null() {
                break;
            }
            let keys: Vec<&str> = next.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["a", "b", "item", "panel", "progress", "question"]);
            let a_is_new = next["a"].as_str().unwrap().contains("New words");
            sides.push(a_is_new);
            let item = next["item"].as_str().unwrap().to_owned();
            let verdict = if a_is_new { "a" } else { "b" };
            let judge = format!("{{\"reviewer\":\"{reviewer}\",\"item\":\"{item}\",\"verdict\":\"{verdict}\"}}");
            let answer = raw(&gateway, "/api/panels/p/judge", &judge);
            scan(&answer, answer.split_once("\r\n\r\n").unwrap().0);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            items.push(item);
        }
        assert!(items.is_sorted() && items.iter().all(|item| item.len() == 20), "{items:?}");
    }
    // The side is by chance: 36 items all on one side is a chance in thirty thousand million.
    assert_eq!(sides.len(), 36);
    assert!(sides.contains(&true) && sides.contains(&false), "{sides:?}");
    let result = gateway.run(&["panel", "result", "p", "--format", "json"]).exits(0).json();
    let summary = &result["summary"];
    assert_eq!((&summary["wins"], &summary["losses"], &summary["win_rate"]), (&24.into(), &0.into(), &1.0.into()));
    assert_eq!((&summary["fleiss"]["n_pairs"], &summary["n_verdicts"]), (&12.into(), &36.into()));
    assert!(summary["win_rate_interval"][0].as_f64().unwrap() > 0.45, "{summary}");
    let page = gateway.run(&["panel", "result", "p"]).exits(0).stdout;
    assert!(page.contains("win rate of the candidate  1.000") && page.contains("Cohen's kappa"), "{page}");
    is_filed(&gateway);
    assert_eq!(gateway.stop(), 0);
    house.run(&["panel", "next", "p", "--reviewer", "eve"]).exits(1);
    let unknown = house.run(&["panel", "next", "none", "--reviewer", "ana"]).exits(2).stderr;
    assert!(unknown.contains("there are: ") && unknown.contains("`p`"), "{unknown}");
    let done = house.run(&["panel", "next", "p", "--reviewer", "ana"]).exits(0);
    assert_eq!(done.stdout, "everything is judged\n");
    assert!(done.stderr.contains("`crossfade panel result p`"), "{}", done.stderr);
    let more = house.run(&["panel", "next", "many", "--reviewer", "cleo"]).exits(0).stderr;
    assert!(more.contains("`crossfade panel judge many ") && more.contains(" --reviewer cleo`"), "{more}");
    nobody_gets_a_request_in_two_panels(&house);
}

/// Ana and ben have 24 requests between them in one panel and a few in another; a third asks for all that there are.
fn nobody_gets_a_request_in_two_panels(house: &House) {
    assert!(house.run(&["panel", "list"]).exits(0).stdout.contains("ana 18 of 18"));
    let open = ["panel", "open", "again", "--rollout", "to-qwen", "--pairs", "1000", "--disagreeing", "0"];
    let open = [&open[..], &["--overlap", "1", "--reviewer", "ana", "--reviewer", "ben"]].concat();
    let said = house.run(&open).exits(0).stderr;
    assert!(said.contains(" of them stand in another panel for each of these reviewers"), "{said}");
    let database = store::Database::open(house.path().join("crossfade.db")).unwrap();
    let sources = database.panel_sources().unwrap();
    let n_items = |reviewer: &str| {
        let of = |panel: &str| {
            let items = database.panel_items(panel).unwrap();
            items.iter().filter(|item| item.reviewer == reviewer).count()
        };
        ["p", "many", "empty", "again"].map(of).iter().sum::<usize>()
    };
    for reviewer in ["ana", "ben", "cleo"] {
        // As many judgements as requests: none comes twice.
        assert_eq!(n_items(reviewer), sources.iter().filter(|(whose, _)| whose == reviewer).count(), "{reviewer}");
    }
    assert!(n_items("ana") >= 30, "{}", n_items("ana"));
    let open = ["panel", "open", "more", "--rollout", "to-qwen", "--pairs", "1000", "--reviewer", "ana"];
    let refused = house.run(&open);
    assert!(refused.code != 0 && refused.stderr.contains("in a panel already: name others"), "{}", refused.stderr);
}

/// What is proven of one epoch is evidence for a gate; what is of any epoch, or proves nothing, is not.
fn is_filed(gateway: &Gateway<'_>) {
    assert_eq!(gateway.run(&["panel", "file", "p"]).exits(0).stdout, "to-qwen: review filed as a pass, 24 pairs\n");
    let filed = gateway.run(&["rollout", "filed", "to-qwen", "--format", "json"]).exits(0).json();
    assert_eq!((&filed[0]["kind"], &filed[0]["name"], &filed[0]["n"]), (&"review".into(), &"p".into(), &24.into()));
    let any = gateway.run(&["panel", "file", "many"]).exits(2).stderr;
    assert!(any.contains("pairs of whatever epoch") && any.contains("--epoch N"), "{any}");
    let empty = ["panel", "open", "empty", "--rollout", "to-qwen", "--reviewer", "ana", "--pairs", "5", "--epoch", "1"];
    gateway.run(&empty).exits(0);
    gateway.run(&["panel", "file", "empty"]).exits(4);
    let page = gateway.run(&["panel", "result", "empty", "--per-hour", "30"]).exits(4).stdout;
    assert!(page.contains("unknown of people's time"), "{page}");
}

/// A panel that asks for more pairs than there are says how many it has, and why.
fn open_more_than_there_are(gateway: &Gateway<'_>) {
    let many =
        ["panel", "open", "many", "--rollout", "to-qwen", "--reviewer", "cleo", "--pairs", "1000", "--format", "json"];
    let short = gateway.run(&many).exits(0);
    assert!(short.stderr.contains("pairs of the 1000 asked for: "), "{}", short.stderr);
    assert!(short.stderr.contains("pairs are recorded of `to-qwen`"), "{}", short.stderr);
    // The baseline was never asked twice: what is far apart may be so by noise, and that is said.
    assert!(short.stderr.contains("the baseline's own noise was not measured: set "), "{}", short.stderr);
    assert_eq!(short.json()["is_noise_measured"], false);
    let shown = short.json()["pairs"].as_u64().unwrap();
    assert!((30..=40).contains(&shown), "{shown}");
}

/// Nothing that names a model, target, provider or arm, no time, no usage, no exchange, no header of an upstream.
#[track_caller]
pub(crate) fn scan(answer: &str, head: &str) {
    let lower = answer.to_lowercase();
    for word in [
        "vendorsecret",
        "opensecret",
        "qwen",
        "gpt",
        "baseline",
        "candidate",
        "shadow",
        "arm\"",
        "fingerprint",
        "token",
        "usage",
        "_us",
        "_ms",
        "latency",
        "duration",
        "exchange",
        "stratum",
        "served",
        "processing",
        "chatcmpl",
        "secret",
        "source",
        "target",
        "epoch",
    ] {
        assert!(!lower.contains(word), "`{word}` is in\n{answer}");
    }
    let mut headers: Vec<String> =
        head.lines().skip(1).map(|line| line.split(':').next().unwrap_or_default().to_lowercase()).collect();
    headers.retain(|name| !matches!(name.as_str(), "content-type" | "content-length" | "connection" | "date"));
    assert!(headers.is_empty(), "{headers:?}");
}
