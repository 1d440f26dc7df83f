use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::record::Endpoint;
use crate::request;

fn check(body: &str, change: impl FnOnce(&mut Patch<'_>), expected: &Expect) {
    let (text, report) = patched(body, change);
    expected.assert_eq(&format!("{text}\n{report}"));
}

fn patched(body: &str, change: impl FnOnce(&mut Patch<'_>)) -> (String, String) {
    let body = Bytes::from(body.to_owned());
    let view = request::parse(Endpoint::ChatCompletions, &body).unwrap();
    let mut patch = Patch::new(&body, &view, "qwen");
    change(&mut patch);
    let (pieces, adaptations) = patch.finish();
    let text = String::from_utf8(pieces.to_bytes().to_vec()).unwrap();
    assert_eq!(pieces.len(), text.len());
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let mut report = String::new();
    for adaptation in adaptations {
        writeln!(report, "{} {} for {}", adaptation.field, adaptation.action.as_str(), adaptation.target).unwrap();
    }
    (text, report)
}

const PLAIN: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"seed":1}"#;

#[test]
fn the_model_is_replaced_and_everything_else_is_the_callers_memory() {
    check(
        r#"{ "model" : "gpt-4o" , "messages":[ ] }"#,
        |patch| patch.model("Qwen/\"3\""),
        &expect![[r#"
        { "model" : "Qwen/\"3\"" , "messages":[ ] }
        model replaced for qwen
    "#]],
    );
    check(
        PLAIN,
        |patch| patch.model("gpt-4o"),
        &expect![[r#"
        {"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"seed":1}
    "#]],
    );
    let body = Bytes::from_static(PLAIN.as_bytes());
    let view = request::parse(Endpoint::ChatCompletions, &body).unwrap();
    let mut patch = Patch::new(&body, &view, "qwen");
    patch.model("qwen");
    let (pieces, _) = patch.finish();
    assert_eq!(pieces.parts().len(), 3);
    assert_eq!(pieces.parts()[2].as_ptr(), body[17..].as_ptr());
}

#[test]
fn usage_is_asked_for_whatever_the_caller_said() {
    for (options, expected) in [
        (
            "",
            expect![[r#"
            {"model":"m","messages":[],"stream_options":{"include_usage":true}}
            stream_options.include_usage added for qwen
        "#]],
        ),
        (
            r#","stream_options":null"#,
            expect![[r#"
            {"model":"m","messages":[],"stream_options":{"include_usage":true}}
            stream_options.include_usage replaced for qwen
        "#]],
        ),
        (
            r#","stream_options":{ }"#,
            expect![[r#"
            {"model":"m","messages":[],"stream_options":{"include_usage":true }}
            stream_options.include_usage added for qwen
        "#]],
        ),
        (
            r#","stream_options":{"x":1}"#,
            expect![[r#"
            {"model":"m","messages":[],"stream_options":{"include_usage":true,"x":1}}
            stream_options.include_usage added for qwen
        "#]],
        ),
        (
            r#","stream_options":{"include_usage":false}"#,
            expect![[r#"
            {"model":"m","messages":[],"stream_options":{"include_usage":true}}
            stream_options.include_usage replaced for qwen
        "#]],
        ),
        (
            r#","stream_options":{"include_usage":true}"#,
            expect![[r#"
            {"model":"m","messages":[],"stream_options":{"include_usage":true}}
        "#]],
        ),
    ] {
        check(&format!(r#"{{"model":"m","messages":[]{options}}}"#), |patch| patch.include_usage(), &expected);
    }
}

#[test]
fn the_shadow_stores_nothing() {
    check(
        PLAIN,
        |patch| patch.store_false(),
        &expect![[r#"
        {"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"seed":1,"store":false}
        store added for qwen
    "#]],
    );
    check(
        r#"{"model":"m","store":true,"messages":[]}"#,
        |patch| patch.store_false(),
        &expect![[r#"
        {"model":"m","store":false,"messages":[]}
        store replaced for qwen
    "#]],
    );
    check(
        r#"{"model":"m","store":false,"messages":[]}"#,
        |patch| patch.store_false(),
        &expect![[r#"
        {"model":"m","store":false,"messages":[]}
    "#]],
    );
}

#[test]
fn a_default_is_set_only_where_nothing_stays() {
    check(
        PLAIN,
        |patch| {
            patch.rename("seed", "random_seed");
            patch.set_default("random_seed", "2");
            patch.set_default("seed", "3");
            patch.set_default("seed", "4");
            patch.remove("messages");
            patch.set_default("messages", "[]");
            patch.set_default("model", r#""other""#);
        },
        &expect![[r#"
            {"model":"gpt-4o","random_seed":1,"seed":3,"messages":[]}
            seed renamed for qwen
            seed added for qwen
            messages removed for qwen
            messages added for qwen
        "#]],
    );
}

#[test]
fn fields_are_set_renamed_and_removed() {
    check(
        r#"{"logit_bias":{"1":2},"top_k":4, "model":"m","messages":[],"max_tokens":9 , "seed":1, "seed":2 }"#,
        |patch| {
            patch.remove("logit_bias");
            patch.remove("seed");
            patch.remove("absent");
            patch.rename("max_tokens", "max_completion_tokens");
            patch.set("top_k", "5");
            patch.set("temperature", "0.2");
            patch.model("n");
        },
        &expect![[r#"
            {"top_k":5, "model":"n","messages":[],"max_completion_tokens":9,"temperature":0.2 }
            logit_bias removed for qwen
            seed removed for qwen
            max_tokens renamed for qwen
            top_k replaced for qwen
            temperature added for qwen
            model replaced for qwen
        "#]],
    );
    check(
        r#"{"a":1,"b":2,"model":"m","messages":[],"c":3,"d":4}"#,
        |patch| ["a", "b", "c", "d"].iter().for_each(|name| patch.remove(name)),
        &expect![[r#"
            {"model":"m","messages":[]}
            a removed for qwen
            b removed for qwen
            c removed for qwen
            d removed for qwen
        "#]],
    );
}

#[test]
fn the_last_word_on_a_field_counts() {
    check(
        PLAIN,
        |patch| {
            patch.set("seed", "1");
            patch.set("top_p", "1");
            patch.set("top_p", "0.5");
            patch.remove("seed");
            patch.set("seed", "3");
        },
        &expect![[r#"
            {"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"seed":3,"top_p":0.5}
            top_p added for qwen
            seed removed for qwen
            seed replaced for qwen
        "#]],
    );
    check(
        r#"{"model":"m","messages":[],"old":1,"new":2}"#,
        |patch| patch.rename("old", "new"),
        &expect![[r#"
        {"model":"m","messages":[],"new":1}
        old renamed for qwen
    "#]],
    );
}

#[test]
fn a_prompt_variant_meets_every_kind_of_system_message() {
    let replace = SystemPrompt::Replace("Be \"brief\".".to_owned());
    let prepend = SystemPrompt::Prepend("Be \"brief\".".to_owned());
    let mut out = String::new();
    for messages in [
        r"[]",
        r#"[{"role":"user","content":"hi"}]"#,
        r#"[{"role":"system","content":"old"}]"#,
        r#"[{"role":"developer","content":[{"type":"text","text":"old"}]}]"#,
        r#"[{"role":"system","content":[]}]"#,
        r#"[{"role":"system","content":null}]"#,
        r#"[{"role":"system"}]"#,
    ] {
        for prompt in [&replace, &prepend] {
            let (text, _) = patched(&format!(r#"{{"model":"m","messages":{messages}}}"#), |p| p.system_prompt(prompt));
            writeln!(out, "{}", &text[24..text.len() - 1]).unwrap();
        }
    }
    expect![[r#"
        [{"role":"system","content":"Be \"brief\"."}]
        [{"role":"system","content":"Be \"brief\"."}]
        [{"role":"system","content":"Be \"brief\"."},{"role":"user","content":"hi"}]
        [{"role":"system","content":"Be \"brief\"."},{"role":"user","content":"hi"}]
        [{"role":"system","content":"Be \"brief\"."}]
        [{"role":"system","content":"Be \"brief\".\n\nold"}]
        [{"role":"developer","content":"Be \"brief\"."}]
        [{"role":"developer","content":[{"type":"text","text":"Be \"brief\"."},{"type":"text","text":"old"}]}]
        [{"role":"system","content":"Be \"brief\"."}]
        [{"role":"system","content":[{"type":"text","text":"Be \"brief\"."}]}]
        [{"role":"system","content":"Be \"brief\"."}]
        [{"role":"system","content":"Be \"brief\"."}]
        [{"content":"Be \"brief\".","role":"system"}]
        [{"content":"Be \"brief\".","role":"system"}]
    "#]]
    .assert_eq(&out);
    check(
        PLAIN,
        |patch| patch.system_prompt(&prepend),
        &expect![[r#"
        {"model":"gpt-4o","messages":[{"role":"system","content":"Be \"brief\"."},{"role":"user","content":"hi"}],"seed":1}
        messages.system added for qwen
    "#]],
    );
}

#[test]
fn edits_that_overlap_or_leave_the_body_are_left_out() {
    let body = Bytes::from_static(b"0123456789");
    let edits = [
        Edit::new(6..8, "x"),
        Edit::new(2..5, "abc"),
        Edit::new(4..6, "no"),
        Edit::new(9..12, "no"),
        Edit::new(5..5, "+"),
    ];
    assert_eq!(Pieces::of(body.clone(), &edits).to_bytes(), "01abc+5x89");
    assert_eq!(Pieces::of(body.clone(), &[]).parts().len(), 1);
    assert!(Pieces::cut(body, 0..10).is_empty());
}

proptest! {
    #[test]
    fn any_mix_of_changes_leaves_json_that_says_what_was_asked(
        order in Just(vec!["a", "b", "model", "c", "messages", "d"]).prop_shuffle(),
        removed in prop::collection::btree_set(prop::sample::select(vec!["a", "b", "c", "d"]), 0..5),
        set in prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c", "d", "e"]), 10_u32..99, 0..4),
        usage in any::<bool>(),
    ) {
        let fields: Vec<String> = order.iter().map(|&name| match name {
            "messages" => r#""messages" : []"#.to_owned(),
            "model" => r#""model":"m""#.to_owned(),
            name => format!("\"{name}\": 1"),
        }).collect();
        let (text, _) = patched(&format!("{{ {} }}", fields.join(" , ")), |patch| {
            removed.iter().for_each(|name| patch.remove(name));
            set.iter().for_each(|(name, value)| patch.set(name, value.to_string()));
            patch.model("other");
            if usage { patch.include_usage() }
        });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&value["model"], "other");
        prop_assert_eq!(value["stream_options"]["include_usage"].as_bool(), usage.then_some(true));
        for name in ["a", "b", "c", "d", "e"] {
            let expected = set.get(name).copied().or((name != "e" && !removed.contains(name)).then_some(1));
            prop_assert_eq!(value.get(name).and_then(|v| v.as_u64()), expected.map(u64::from), "{}", name);
        }
    }
}
