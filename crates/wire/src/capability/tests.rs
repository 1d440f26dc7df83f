use bytes::Bytes;
use expect_test::{Expect, expect};

use super::{BackendKind, Capability, Profile, State, Treatment, translate};
use crate::record::Endpoint;
use crate::request;
use crate::splice::Patch;

/// What becomes of `request` at a generic server whose `capability` is treated like this: the body and the report, or the
/// field it is refused for.
#[track_caller]
fn check(capability: Capability, treatment: Treatment, request: &str, expected: Expect) {
    let overrides = [(capability, treatment)];
    expected.assert_eq(&become_of(&Profile::with(BackendKind::Generic, &overrides), request));
}

fn become_of(profile: &Profile, request: &str) -> String {
    let endpoint = if request.contains("\"input\"") { Endpoint::Embeddings } else { Endpoint::ChatCompletions };
    let body = Bytes::copy_from_slice(request.as_bytes());
    let view = request::parse(endpoint, &body).unwrap();
    let mut patch = Patch::new(&body, &view, "t");
    if let Err(unsupported) = translate(profile, &body, &view, &mut patch) {
        return format!("refused: {}", unsupported.0.field());
    }
    let (pieces, changes) = patch.finish();
    let text = String::from_utf8(pieces.to_bytes().to_vec()).unwrap();
    serde_json::from_str::<serde::de::IgnoredAny>(&text).unwrap();
    let report: Vec<String> =
        changes.iter().map(|change| format!("{} {}", change.field, change.action.as_str())).collect();
    if report.is_empty() && text == request { "untouched".to_owned() } else { format!("{text}\n{}", report.join(", ")) }
}

#[test]
fn a_field_goes_by_the_name_the_server_knows() {
    use Capability::MaxCompletionTokens;
    check(
        MaxCompletionTokens,
        Treatment::Rename,
        r#"{"model":"m","messages":[],"max_completion_tokens":8}"#,
        expect![[r#"
            {"model":"m","messages":[],"max_tokens":8}
            max_completion_tokens renamed"#]],
    );
    check(
        MaxCompletionTokens,
        Treatment::Rename,
        r#"{"model":"m","messages":[],"max_tokens":8}"#,
        expect!["untouched"],
    );
}

#[test]
fn what_a_server_would_ignore_is_dropped_counted_or_refused() {
    let request = r#"{"model":"m","messages":[],"logit_bias":{"5":1},"user":"u","store":true}"#;
    check(
        Capability::LogitBias,
        Treatment::Drop,
        request,
        expect![[r#"
            {"model":"m","messages":[],"user":"u","store":true}
            logit_bias removed"#]],
    );
    check(
        Capability::LogitBias,
        Treatment::Count,
        request,
        expect![[r#"
            {"model":"m","messages":[],"logit_bias":{"5":1},"user":"u","store":true}
            logit_bias counted"#]],
    );
    check(Capability::LogitBias, Treatment::Refuse, request, expect!["refused: logit_bias"]);
    check(
        Capability::VendorFields,
        Treatment::Drop,
        request,
        expect![[r#"
            {"model":"m","messages":[],"logit_bias":{"5":1}}
            user removed, store removed"#]],
    );
    check(Capability::Seed, Treatment::Refuse, request, expect!["untouched"]);
    check(
        Capability::UnknownFields,
        Treatment::Drop,
        r#"{"x_mine":1,"model":"m","messages":[]}"#,
        expect![[r#"
            {"model":"m","messages":[]}
            x_mine removed"#]],
    );
    check(
        Capability::WrongType,
        Treatment::Refuse,
        r#"{"model":"m","messages":[],"temperature":"hot"}"#,
        expect!["refused: temperature"],
    );
}

#[test]
fn only_the_forms_a_server_does_not_take_are_touched() {
    let with = |rest: &str| format!(r#"{{"model":"m","messages":[]{rest}}}"#);
    check(
        Capability::StopString,
        Treatment::Fix,
        &with(r#","stop":"a\"b""#),
        expect![[r#"
            {"model":"m","messages":[],"stop":["a\"b"]}
            stop replaced"#]],
    );
    check(Capability::StopString, Treatment::Refuse, &with(r#","stop":["a"]"#), expect!["untouched"]);
    check(Capability::StopArray, Treatment::Refuse, &with(r#","stop":["a"]"#), expect!["refused: stop"]);
    check(Capability::N, Treatment::Refuse, &with(r#","n":1"#), expect!["untouched"]);
    check(Capability::N, Treatment::Refuse, &with(r#","n":2"#), expect!["refused: n"]);
    check(Capability::ToolChoiceNamed, Treatment::Refuse, &with(r#","tool_choice":"auto""#), expect!["untouched"]);
    let named = with(r#","tool_choice":{"type":"function","function":{"name":"f"}}"#);
    check(Capability::ToolChoiceNamed, Treatment::Refuse, &named, expect!["refused: tool_choice"]);
    check(Capability::ToolChoiceRequired, Treatment::Refuse, &named, expect!["untouched"]);
    let schema = with(r#","response_format":{"type":"json_schema","json_schema":{}}"#);
    check(Capability::JsonSchema, Treatment::Refuse, &schema, expect!["refused: response_format"]);
    check(Capability::JsonObject, Treatment::Refuse, &schema, expect!["untouched"]);
}

#[test]
fn tools_are_put_right() {
    check(
        Capability::ToolChoiceNone,
        Treatment::Fix,
        r#"{"model":"m","messages":[],"tools":[{}],"tool_choice":"none","parallel_tool_calls":false}"#,
        expect![[r#"
            {"model":"m","messages":[]}
            tools removed, tool_choice removed, parallel_tool_calls removed"#]],
    );
    check(
        Capability::ToolStrict,
        Treatment::Fix,
        r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"strict":true,"name":"f"}},{"function":{"name":"g","strict":false}},{"function":{"strict":true}},{"function":{"name":"h"}}]}"#,
        expect![[r#"
            {"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f"}},{"function":{"name":"g"}},{"function":{}},{"function":{"name":"h"}}]}
            tools.strict fixed"#]],
    );
}

#[test]
fn messages_are_put_right_one_by_one() {
    let request = r#"{"model":"m","messages":[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"a\n"},{"type":"text","text":"b"}]},{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:"}}]}]}"#;
    check(
        Capability::DeveloperRole,
        Treatment::Fix,
        request,
        expect![[r#"
            {"model":"m","messages":[{"role":"system","content":"d"},{"role":"user","content":[{"type":"text","text":"a\n"},{"type":"text","text":"b"}]},{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:"}}]}]}
            messages.developer fixed"#]],
    );
    check(
        Capability::TextParts,
        Treatment::Fix,
        request,
        expect![[r#"
            {"model":"m","messages":[{"role":"developer","content":"d"},{"role":"user","content":"a\n\nb"},{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:"}}]}]}
            messages.content fixed"#]],
    );
    check(Capability::ImagePart, Treatment::Refuse, request, expect!["refused: messages.image_url"]);
    check(Capability::ToolMessages, Treatment::Refuse, request, expect!["untouched"]);
}

#[test]
fn embeddings_have_their_own_rows() {
    let request = r#"{"model":"m","input":["a"],"dimensions":8,"encoding_format":"base64"}"#;
    check(
        Capability::EmbeddingsBase64,
        Treatment::Fix,
        request,
        expect![[r#"
            {"model":"m","input":["a"],"dimensions":8,"encoding_format":"float"}
            encoding_format replaced"#]],
    );
    check(Capability::EmbeddingsDimensions, Treatment::Refuse, request, expect!["refused: dimensions"]);
    check(Capability::EmbeddingsTokens, Treatment::Refuse, request, expect!["untouched"]);
    for tokens in ["[1,2]", "[[1,2],[3]]"] {
        let request = format!(r#"{{"model":"m","input":{tokens}}}"#);
        check(Capability::EmbeddingsTokens, Treatment::Refuse, &request, expect!["refused: input.tokens"]);
        check(Capability::JsonObject, Treatment::Refuse, &request, expect!["untouched"]);
    }
}

#[test]
fn a_request_to_the_vendor_is_never_touched() {
    let request = r#"{"model":"m","messages":[{"role":"developer","content":[{"type":"text","text":"x"}]}],"n":2,"stop":"x","logit_bias":{},"tools":[],"stream":true,"x":1,"temperature":0,"seed":1,"user":"u"}"#;
    for kind in [BackendKind::Openai, BackendKind::Azure, BackendKind::Anthropic, BackendKind::Generic] {
        assert_eq!(become_of(&Profile::of(kind), request), "untouched", "{}", kind.as_str());
    }
    assert!(Profile::of(BackendKind::Openai).treated().is_empty(), "nothing is looked at on the vendor's path");
}

#[test]
fn every_row_is_whole() {
    let mut ids: Vec<&str> = Capability::ALL.iter().map(|capability| capability.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), Capability::ALL.len());
    for &capability in Capability::ALL {
        assert_eq!(Capability::named(capability.id()), Some(capability));
        assert!(!capability.what().is_empty() && !capability.judged().is_empty(), "{}", capability.id());
        for kind in BackendKind::ALL {
            let known = kind.known(capability);
            let at = format!("{} at {}", capability.id(), kind.as_str());
            let possible = known.treatment == Treatment::Pass || capability.treatments().contains(&known.treatment);
            assert!(possible, "{at}: {} cannot be done", known.treatment.as_str());
            assert!(known.source.is_some() || known.state != State::Degraded, "{at}: who says so?");
            let silent = matches!(known.state, State::Degraded | State::None)
                && known.treatment == Treatment::Pass
                && capability.inherent().is_none();
            assert!(!silent, "{at}: a known fault passes in silence");
        }
    }
}

#[test]
fn the_config_has_the_last_word() {
    let profile = Profile::with(
        BackendKind::LlamaCpp,
        &[(Capability::ImagePart, Treatment::Pass), (Capability::Seed, Treatment::Drop)],
    );
    assert_eq!(profile.treatment(Capability::ImagePart), Treatment::Pass);
    assert!(profile.does(Capability::Seed, Treatment::Drop));
    assert!(profile.does(Capability::Functions, Treatment::Refuse), "the kind's own stays");
    assert!(profile.treated().iter().all(|(_, treatment)| *treatment != Treatment::Pass));
}
