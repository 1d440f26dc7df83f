use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn check(body: &str, expected: &Expect) {
    let mut out = String::new();
    match top_level(body.as_bytes()) {
        Ok(members) => {
            for member in &members {
                writeln!(out, "{} = {} {:?}", member.key, &body[member.value.clone()], member.kind).unwrap();
            }
        }
        Err(error) => writeln!(out, "{error}").unwrap(),
    }
    expected.assert_eq(&out);
}

#[test]
fn members_are_found_with_their_places_and_kinds() {
    check(
        " {\"a\" : 1.5e3,\n\"b\":\"x\\\"}\\\\\",\"c\":[{\"d\":[[]]},{}] , \"e\":{\"f\":null},\"g\":true,\"h\":false,\"i\":null} ",
        &expect![[r#"
            a = 1.5e3 Number
            b = "x\"}\\" String
            c = [{"d":[[]]},{}] Array
            e = {"f":null} Object
            g = true True
            h = false False
            i = null Null
        "#]],
    );
    check("{}", &expect![""]);
}

#[test]
fn keys_are_unescaped_before_they_are_compared() {
    check(
        r#"{"\u006dodel":"a","\ud83d\ude00":1}"#,
        &expect![[r#"
            model = "a" String
            😀 = 1 Number
        "#]],
    );
    let body = br#"{"model":"a","x":1,"mod\u0065l":"b"}"#;
    let members = top_level(body).unwrap();
    assert_eq!(&body[duplicate(&members).unwrap().value.clone()], b"\"b\"");
}

#[test]
fn what_is_not_one_object_is_refused() {
    let broken = [
        "",
        "   ",
        "[]",
        "1",
        "null",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":1}x",
        "{\"a\":1}{}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":nul}",
        "{\"a\":NaN}",
        "{\"a\":[1,2}",
        "{\"a\":[}]}",
        "{\"a\":{\"b\":1]}",
        "{\"a\":[1 2]}x",
        "{\"a\":\"b}",
        "{\"a\":\"b\\\"}",
        "{\"a\":[\"b\",]}",
        "{\"a\":[,]}",
        "{\"a\":{\"b\"}}",
        "{\"a\":/*\"*/1}",
        "{\"a\":1//\n}",
        "{\"a\\x\":1}",
        "{\"\\ud800\":1}",
        "{\"a\nb\":1}",
    ];
    for body in broken {
        assert!(top_level(body.as_bytes()).is_err(), "{body}");
        assert!(serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(body).is_err(), "{body}");
    }
    assert!(top_level(b"{\"\xff\":1}").is_err());
}

#[test]
fn an_error_says_where() {
    check(
        r#"{"a":1,"b":[1,}"#,
        &expect![[r#"
        expected a JSON value (at byte 14)
    "#]],
    );
    check(
        r#"{"a":1} {"a":2}"#,
        &expect![[r#"
        something follows the end of the JSON value (at byte 8)
    "#]],
    );
    check(
        r#"{"a":"never ends"#,
        &expect![[r#"
        this string does not end (at byte 5)
    "#]],
    );
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| {
            let inner = if close == "}" { "1" } else { "" };
            format!("{{\"a\":{}{inner}{}}}", open.repeat(depth), close.repeat(depth))
        };
        assert!(top_level(nested(128).as_bytes()).is_ok());
        assert!(top_level(nested(129).as_bytes()).unwrap_err().what.contains("too deeply"));
        assert!(top_level(nested(10_000).as_bytes()).is_err());
        assert!(top_level(format!("{{\"a\":{}", open.repeat(1_000_000)).as_bytes()).is_err());
    }
}

#[test]
fn an_array_of_numbers_cannot_hide_a_bracket() {
    assert!(top_level(br#"{"a":[1,[2],3],"b":1}"#).is_ok());
    assert!(top_level(br#"{"a":[1,"]",3],"b":1}"#).is_ok());
    assert!(top_level(br#"{"a":[1,{"x":"]"}],"b":1}"#).is_ok());
    assert!(top_level(br#"{"a":[1,2"#).is_err());
    assert!(top_level(br#"{"a":[[1,2],[3,4]],"b":1}"#).is_ok());
}

#[test]
fn text_is_unescaped_strictly_or_as_far_as_possible() {
    let strict = |literal: &str| unescape(literal.as_bytes(), 0..literal.len()).map(Cow::into_owned);
    assert_eq!(strict(r#""a\n\t\r\b\f\/\\\"\u00e9\u20AC\ud83d\ude00""#).unwrap(), "a\n\t\r\u{8}\u{c}/\\\"é€😀");
    for broken in
        [r#""\ud800""#, r#""\ud800\u0041""#, r#""\udc00""#, r#""\u12""#, r#""\q""#, "\"\n\"", "3", "\"\\u+123\""]
    {
        assert!(strict(broken).is_err(), "{broken}");
    }
    let lossy = |literal: &str| {
        let mut out = Vec::new();
        unescape_lossy(literal.as_bytes(), 0..literal.len(), &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(lossy(r#""a\ud800b\qc\u12""#), "a\u{fffd}b\\qc\u{fffd}");
}

#[test]
fn whole_numbers_are_read_and_others_are_not() {
    assert_eq!(unsigned(b"0"), Some(0));
    assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
    for other in ["", "18446744073709551616", "-1", "1.0", "1e3", "999999999999999999999"] {
        assert_eq!(unsigned(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn quotation_marks_are_found_at_every_distance() {
    for n in 0..100 {
        for filler in ["a", "\\\"", "\\\\", "é", "!", "#", "\u{1}"] {
            let body = format!("{{\"k\":\"{}\",\"next\":1}}", filler.repeat(n));
            let members = top_level(body.as_bytes()).unwrap();
            assert_eq!(members.len(), 2, "{body}");
            assert_eq!(members[0].value, 5..7 + filler.len() * n);
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,40}".prop_map(Into::into),
        "[\\\\\"/\\[\\]{},:]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = serde_json::Map<String, serde_json::Value>> {
    prop::collection::btree_map(".{0,8}", json(), 0..6).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn the_scanner_sees_what_a_full_parser_sees(map in object(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&map) } else { serde_json::to_string(&map) }.unwrap();
        let members = top_level(text.as_bytes()).unwrap();
        prop_assert_eq!(members.len(), map.len());
        for member in members {
            let value: serde_json::Value = serde_json::from_str(&text[member.value]).unwrap();
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&map[member.key.as_ref()].to_string()).unwrap(), &value);
        }
    }

    #[test]
    fn a_damaged_body_never_panics_and_is_accepted_only_where_a_full_parser_agrees_on_the_keys(
        map in object(), at in any::<prop::sample::Index>(), byte in prop::sample::select(b"\"\\[]{},:x0 -".to_vec()), cut in any::<bool>(),
    ) {
        let mut text = serde_json::to_vec(&map).unwrap();
        let at = at.index(text.len());
        if cut { text.truncate(at) } else { text[at] = byte }
        if let (Ok(members), Ok(full)) = (top_level(&text), serde_json::from_slice::<serde_json::Map<_, _>>(&text)) {
            let full: serde_json::Map<String, serde_json::Value> = full;
            for member in members {
                prop_assert!(full.contains_key(member.key.as_ref()));
            }
        }
    }

    #[test]
    fn what_a_full_parser_accepts_the_scanner_accepts(map in object(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = serde_json::to_vec(&map).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text).is_ok() {
            prop_assert!(top_level(&text).is_ok());
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let read = top_level(&bytes).is_ok();
        let braced = bytes.trim_ascii().starts_with(b"{");
        prop_assert!(!read || braced);
        let mut framed = b"{\"a\":".to_vec();
        framed.extend_from_slice(&bytes);
        prop_assert!(top_level(&framed).map_or(0, |members| members.len()) <= framed.len());
    }
}
