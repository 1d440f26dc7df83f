//! What a request asks for, read from its body.

use wire::record::Endpoint;
use wire::scan::{self, Kind, Member};

/// Longest name of a parameter that is kept: what is longer nobody wrote as one.
const LONGEST: usize = 48;

/// What one request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    /// What it asks for beside an answer; `streaming` is not among it, for that is on record for every request.
    pub(crate) capabilities: Vec<&'static str>,
    /// The names of its members.
    pub(crate) parameters: Vec<String>,
    /// Of these, the ones that say something else than what holds without them.
    pub(crate) given: Vec<String>,
}

/// Reads a body; `None` when it is not the JSON of a request, such as a form with a file.
pub(crate) fn read(endpoint: &str, body: &[u8]) -> Option<Asks> {
    let members = scan::top_level(body).ok()?;
    let get = |name: &str| members.iter().find(|member| member.key == name && member.kind != Kind::Null);
    let mut capabilities = Vec::new();
    let mut add = |is_asked: bool, name: &'static str| {
        if is_asked {
            capabilities.push(name);
        }
    };
    let is_true = |name: &str| get(name).is_some_and(|member| member.kind == Kind::True);
    let holds_any = |name: &str| get(name).is_some_and(|member| !is_empty(body, member));
    add(holds_any("tools") || holds_any("functions"), "tools");
    add(asks_for_form(body, &members, "\"json_schema\""), "schema");
    add(asks_for_form(body, &members, "\"json_object\""), "json_mode");
    let said: Vec<&[u8]> =
        ["messages", "input", "system"].iter().filter_map(|name| body.get(get(name)?.value.clone())).collect();
    // A name in quotation marks is a key or a whole value: inside a text the marks have backslashes.
    let says = |words: &[&str]| said.iter().any(|part| words.iter().any(|word| scan::contains(part, word.as_bytes())));
    let is_messages = endpoint == Endpoint::Messages.as_str();
    add(says(&["\"image_url\"", "\"input_image\""]) || is_messages && says(&["\"image\""]), "vision");
    let completions = endpoint == Endpoint::Completions.as_str();
    add(is_true("logprobs") || completions && get("logprobs").is_some() || get("top_logprobs").is_some(), "logprobs");
    add(says(&["\"input_audio\""]) || get("audio").is_some(), "audio");
    add(says(&["\"input_file\"", "\"file_data\""]) || is_messages && says(&["\"document\""]), "documents");
    add(get("n").is_some_and(|n| body.get(n.value.clone()).is_some_and(|n| n != b"1")), "several_answers");
    let kept = ["previous_response_id", "conversation", "container"].iter().any(|name| get(name).is_some());
    add(kept || is_true("store"), "kept_by_vendor");
    let tools = get("tools").and_then(|tools| body.get(tools.value.clone())).unwrap_or_default();
    let offers = |words: &[&str]| words.iter().any(|word| scan::contains(tools, word.as_bytes()));
    add(get("web_search_options").is_some() || offers(&["\"web_search"]), "web_search");
    add(offers(&["\"file_search\""]), "file_search");
    let names = |of: &dyn Fn(&&Member<'_>) -> bool| {
        let names = members.iter().filter(of).map(|member| member.key.as_ref()).filter(|name| is_name(name));
        names.map(str::to_owned).collect()
    };
    let parameters = names(&|_| true);
    Some(Asks { capabilities, parameters, given: names(&|member| is_given(body, member)) })
}

/// Whether a member says something else than what holds without it: SDKs send some as they are anyway.
fn is_given(body: &[u8], member: &Member<'_>) -> bool {
    if member.kind == Kind::Null {
        return false;
    }
    let value = body.get(member.value.clone()).unwrap_or_default();
    match member.key.as_ref() {
        "n" => value != b"1",
        "tool_choice" => value != b"\"auto\"",
        "parallel_tool_calls" => member.kind != Kind::True,
        "store" | "background" => member.kind == Kind::True,
        "tools" | "functions" | "stop" | "logit_bias" => !is_empty(body, member),
        _ => true,
    }
}

/// Whether the answer has to keep to a form, which is JSON or a schema: by chat's `response_format`, Responses' `text.format` or Anthropic's
/// `output_config.format`.
fn asks_for_form(body: &[u8], members: &[Member<'_>], form: &str) -> bool {
    let part = |name: &str| members.iter().find(|member| member.key == name).and_then(|of| body.get(of.value.clone()));
    let has = |part: Option<&[u8]>| part.is_some_and(|part| scan::contains(part, form.as_bytes()));
    has(part("response_format")) || has(part("text")) || has(part("output_config")) || has(part("output_format"))
}

fn is_empty(body: &[u8], member: &Member<'_>) -> bool {
    let inner = body.get(member.value.start + 1..member.value.end.saturating_sub(1)).unwrap_or_default();
    inner.iter().all(u8::is_ascii_whitespace)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(endpoint: &str, body: &str, capabilities: &[&str]) {
        assert_eq!(read(endpoint, body.as_bytes()).unwrap().capabilities, capabilities, "{body}");
    }

    #[test]
    fn capabilities_are_read_in_each_dialect() {
        let chat = "chat_completions";
        check(chat, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, &[]);
        check(
            chat,
            r#"{"tools":[{"type":"function"}],"logprobs":true,"n":2}"#,
            &["tools", "logprobs", "several_answers"],
        );
        check(chat, r#"{"tools":[ ],"n":1,"logprobs":false,"functions":null}"#, &[]);
        check(chat, r#"{"response_format":{"type":"json_object"}}"#, &["json_mode"]);
        check(chat, r#"{"response_format":{"type":"json_schema","json_schema":{}}}"#, &["schema"]);
        check(chat, r#"{"response_format":{"type":"text"}}"#, &[]);
        check(chat, r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"x"}}]}]}"#, &["vision"]);
        check("responses", r#"{"text":{"format":{"type":"json_schema"}},"store":true}"#, &["schema", "kept_by_vendor"]);
        check(
            "responses",
            r#"{"input":[{"content":[{"type":"input_image"},{"type":"input_file"}]}]}"#,
            &["vision", "documents"],
        );
        check("messages", r#"{"messages":[{"content":[{"type":"image","source":{}}]}]}"#, &["vision"]);
        check("completions", r#"{"prompt":"a","logprobs":3}"#, &["logprobs"]);
        check(
            "responses",
            r#"{"tools":[{"type":"web_search_preview"},{"type":"file_search"}]}"#,
            &["tools", "web_search", "file_search"],
        );
    }

    #[test]
    fn words_about_a_capability_are_no_use_of_it() {
        check("chat_completions", r#"{"messages":[{"role":"user","content":"what is \"image_url\" for?"}]}"#, &[]);
        check("chat_completions", r#"{"tools":[],"metadata":{"image_url":"x"}}"#, &[]);
    }

    #[test]
    fn what_is_no_request_in_json_is_not_read() {
        assert_eq!(read("transcriptions", b"--boundary\r\n"), None);
        let asks = read("chat_completions", br#"{"model":"m","temperature":0,"a key with blanks":1}"#).unwrap();
        assert_eq!(asks.parameters, ["model", "temperature"]);
    }

    #[test]
    fn a_member_that_says_what_holds_anyway_is_not_given() {
        let body = br#"{"n":1,"stop":null,"tool_choice":"auto","store":false,"tools":[],"logit_bias":{},"seed":0,"parallel_tool_calls":true}"#;
        let asks = read("chat_completions", body).unwrap();
        assert_eq!((asks.parameters.len(), asks.given), (8, vec!["seed".to_owned()]));
        let body = br#"{"n":2,"stop":"x","tool_choice":"none","store":true,"parallel_tool_calls":false}"#;
        assert_eq!(read("chat_completions", body).unwrap().given.len(), 5);
    }
}
