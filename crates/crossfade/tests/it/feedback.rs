//! Feedback through the binary: acknowledged is on record, whatever ends the process.

use serde_json::json;

use crate::parts::{CONFIG, House, post, until};

#[test]
fn acknowledged_feedback_survives_a_kill_and_is_shown_with_its_exchange() {
    let config = format!("{CONFIG}feedback: {{ bad_below: 0.3, bad_labels: [wrong] }}\n");
    let house = House::new(&config);
    let gateway = house.serve();
    let answer = gateway.chat("gpt-4o", "hello");
    let id = answer.header("x-crossfade-exchange-id").unwrap().to_owned();
    let say = |kind: &str, value: serde_json::Value| {
        let body = json!({ "exchange_id": id, "kind": kind, "value": value, "comment": "as told by a user" });
        post(gateway.data, "/v1/feedback", &body.to_string())
    };
    assert_eq!(say("score", json!(0.4)).status, 200);
    assert_eq!(say("label", json!("wrong")).status, 200);
    assert!(say("score", json!(2)).body.contains("\"param\":\"value\""));
    gateway.kill();

    // What the journal has, the next process brings to the database.
    let gateway = house.serve();
    let show = ["exchanges", "show", &id, "--format", "json"];
    let feedback = until(|| {
        let shown = gateway.run(&show).exits(0).json();
        (shown["feedback"].as_array().unwrap().len() == 2).then(|| shown["feedback"].clone())
    });
    let of = |kind: &str| feedback.as_array().unwrap().iter().find(|row| row["kind"] == kind).unwrap().clone();
    assert_eq!((&of("score")["value"], &of("score")["bad"]), (&json!(0.4), &json!(false)));
    assert_eq!((&of("label")["label"], &of("label")["bad"]), (&json!("wrong"), &json!(true)));
    let page = gateway.run(&["exchanges", "show", &id]).exits(0).stdout;
    for words in ["feedback (UTC)", "wrong", "bad", "as told by a user"] {
        assert!(page.contains(words), "{words} not in\n{page}");
    }
    let again = json!({ "exchange_id": id, "kind": "label", "value": "wrong" });
    let again = post(gateway.data, "/v1/feedback", &again.to_string());
    assert!(again.status == 200 && again.body.contains("\"recorded\":false"), "{}", again.body);
    assert!(!gateway.log().contains("as told by a user"));
}
