//! How an answer ended, in a few words, and that no cut answer looks like a whole one.

use crate::client::Answer;

/// `200`: whole. `200, then CODE`: cut after some of it, by an error event with this code. `STATUS CODE`: an error. `closed`: no
/// answer at all.
#[track_caller]
pub fn ending(answer: Option<&Answer>, streamed: bool) -> String {
    let Some(answer) = answer else { return "closed".to_owned() };
    let text = answer.text();
    if answer.status != 200 {
        assert!(answer.whole, "an error that was cut: {text}");
        let code = serde_json::from_str::<serde_json::Value>(&text).ok();
        let code = code.and_then(|value| Some(value["error"]["code"].as_str()?.to_owned()));
        return code.map_or_else(|| answer.status.to_string(), |code| format!("{} {code}", answer.status));
    }
    if !streamed {
        assert!(answer.whole, "a whole answer that was cut: {text}");
        serde_json::from_str::<serde_json::Value>(&text).expect("a whole answer is JSON");
        return "200".to_owned();
    }
    if answer.whole {
        let is_done = text.contains("data: [DONE]") || text.contains("\"finish_reason\":\"");
        assert!(is_done && !text.contains("\"error\""), "a clean end of an answer that has none: {text}");
        return "200".to_owned();
    }
    assert!(!text.contains("[DONE]"), "cut after its end: {text}");
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let last = last.rsplit("data: ").next().unwrap();
    let error: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("cut without a word: {text}"));
    for key in ["message", "type", "param", "code"] {
        assert!(error["error"].get(key).is_some(), "{key} is missing in {error}");
    }
    format!("200, then {}", error["error"]["code"].as_str().unwrap())
}
