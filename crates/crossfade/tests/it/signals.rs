//! What becomes known after the answer guards like what is known at once: users who complain, and what other systems count.

use serde_json::{Value, json};

use crate::parts::{CONFIG, Gateway, House, get, post, request, until};

/// The weight of the guard on errors goes to the guard on `metric`.
fn watching(metric: &str) -> String {
    let guards =
        format!("policy: {{ warm_up: 0, guards: {{ error: {{ weight: 0.2 }}, {metric}: {{ weight: 0.5 }} }} }}");
    CONFIG.replace("policy: { warm_up: 0 }", &guards)
}

fn to_canary(gateway: &Gateway<'_>) {
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
}

/// Asked of the admin listener, without a process for each question.
fn is_rolled_back(gateway: &Gateway<'_>) -> bool {
    let facts: Value = serde_json::from_str(&get(gateway.admin, "/api/rollouts/to-qwen").body).unwrap();
    facts["explanation"]["status"] == "rolled_back"
}

#[track_caller]
fn rolled_back_by(gateway: &Gateway<'_>, metric: &str) {
    let facts = gateway.status();
    assert_eq!((&facts["status"], &facts["share"]), (&json!("rolled_back"), &json!(0.0)));
    assert_eq!(facts["explanation"]["breach"]["metric"], metric, "{facts}");
    let history = gateway.run(&["rollout", "history", "to-qwen"]).exits(0).stdout;
    assert!(history.contains(&format!("what failed: the guard on `{metric}` ")), "{history}");
    gateway.run(&["rollout", "replay", "to-qwen"]).exits(0);
}

#[test]
fn users_who_complain_of_the_candidate_alone_throw_it_back() {
    let house = House::new(&watching("feedback"));
    let gateway = house.serve();
    to_canary(&gateway);
    let mut n_bad = 0;
    until(|| {
        let answer = gateway.chat("gpt-4o", "hello");
        let id = answer.header("x-crossfade-exchange-id").unwrap();
        let is_bad = answer.header("x-crossfade-target") == Some("qwen");
        n_bad += usize::from(is_bad);
        let body = json!({ "exchange_id": id, "kind": "thumb", "value": if is_bad { "down" } else { "up" } });
        assert_eq!(post(gateway.data, "/v1/feedback", &body.to_string()).status, 200);
        is_rolled_back(&gateway).then_some(())
    });
    assert!(n_bad >= 5, "{n_bad} complaints are no proof yet");
    rolled_back_by(&gateway, "feedback");
    let history = gateway.run(&["rollout", "history", "to-qwen"]).exits(0).stdout;
    assert!(history.contains("bad: feedback of the candidate: "), "{history}");
}

#[test]
fn tickets_of_the_candidates_conversations_throw_it_back_a_unit_at_most_once() {
    let config = watching("external").replace("unit: request", "unit: conversation\n    outcomes: [tickets]");
    let house = House::new(&config);
    let gateway = house.serve();
    to_canary(&gateway);
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
    let chat = |unit: &str| {
        let headers = [("x-crossfade-conversation-id", unit)];
        let answer = request(gateway.data, "POST", "/v1/chat/completions", &headers, body);
        answer.header("x-crossfade-target").unwrap().to_owned()
    };
    let mut at = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let mut ticket = |unit: &str, bad: bool| {
        // Another moment makes it another ticket.
        at += 0.001;
        let body = json!({ "unit": unit, "metric": "tickets", "bad": bad, "at": at });
        let answer = post(gateway.data, "/v1/outcomes", &body.to_string());
        // Thrown back by the one before, it counts nothing any more.
        assert!(answer.status == 200 || answer.body.contains("unknown_rollout"), "{}", answer.body);
        answer.body.contains("\"counted\":true")
    };
    // Many tickets of one conversation are one bad unit.
    let heavy = (0..).map(|n| format!("heavy-{n}")).find(|unit| chat(unit) == "qwen").unwrap();
    assert!(ticket(&heavy, true));
    assert!((0..30).all(|_| !ticket(&heavy, true)));
    assert_eq!(gateway.status()["status"], "active");
    let mut n = 0;
    until(|| {
        let unit = format!("conversation-{n}");
        n += 1;
        let is_candidates = chat(&unit) == "qwen";
        ticket(&unit, is_candidates);
        is_rolled_back(&gateway).then_some(())
    });
    rolled_back_by(&gateway, "external");
}
