use super::*;

/// The word for what came of it.
fn check(schema: &str, text: &str) -> String {
    match Compiled::new(schema.as_bytes()).map(|compiled| compiled.check(text.as_bytes())) {
        Err(why) | Ok(Some(Verdict::Unknown(why))) => why.as_str().to_owned(),
        Ok(None) => "not JSON".to_owned(),
        Ok(Some(Verdict::Valid)) => "valid".to_owned(),
        Ok(Some(Verdict::Invalid(finding))) => format!("{}: {}", finding.path, finding.keyword),
    }
}

/// A tree of anything, and one whose nodes have nothing but children.
const TREE: &str = r##"{"$id":"strict","$dynamicAnchor":"node","$ref":"tree","unevaluatedProperties":false,"$defs":{"tree":
    {"$id":"tree","$dynamicAnchor":"node","properties":{"children":{"items":{"$dynamicRef":"#node"}}}}}}"##;

#[test]
fn the_keywords_of_2020_12_are_held() {
    for (schema, text, expected) in [
        (r#"{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}"#, r#"["a",1,2]"#, "valid"),
        (r#"{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}"#, r#"["a",1,"b"]"#, "/2: type"),
        (r#"{"dependentRequired":{"a":["b"]}}"#, r#"{"a":1}"#, ": required"),
        (r#"{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}"#, r#"{"a":1}"#, "valid"),
        (
            r#"{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}"#,
            r#"{"b":1}"#,
            ": unevaluatedProperties",
        ),
        (r#"{"if":{"required":["a"]},"then":{"required":["b"]}}"#, r#"{"a":1}"#, ": required"),
        (r#"{"contains":{"const":1},"minContains":2}"#, "[1,2]", ": contains"),
        (r#"{"properties":{"a":{"pattern":"^[a-z]+$"}}}"#, r#"{"a":"x1"}"#, "/a: pattern"),
        (r#"{"additionalProperties":{"type":"integer"}}"#, r#"{"said by the model":"x"}"#, "/*: type"),
        (r#"{"format":"email"}"#, r#""no address""#, "valid"),
        (r#"{"multipleOf":0.1}"#, "0.3", "valid"),
        ("false", "1", ": falseSchema"),
        ("true", "1", "valid"),
        ("true", "{1}", "not JSON"),
        ("{}", "1e999", "number"),
        (r##"{"$ref":"#name","$defs":{"a":{"$anchor":"name","type":"integer"}}}"##, "1", "valid"),
        (r##"{"$ref":"#name","$defs":{"a/b":{"not":{"$anchor":"name","type":"integer"}}}}"##, "\"x\"", ": type"),
        (r##"{"$ref":"#/$defs/a%25b","$defs":{"a%b":{"type":"integer"}}}"##, "\"x\"", ": type"),
        // Of another draft, as its generators say themselves.
        (
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}],"additionalItems":false}"#,
            r#"["a",1]"#,
            ": additionalItems",
        ),
        (r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}"#, "{}", "valid"),
        // Parts with names of their own, and the meta-schema.
        (
            r##"{"properties":{"a":{"$ref":"part#x"}},"$defs":{"p":{"$id":"part","$defs":{"x":{"$anchor":"x","type":"null"}}}}}"##,
            r#"{"a":1}"#,
            "/a: type",
        ),
        (r#"{"$ref":"https://json-schema.org/draft/2020-12/schema"}"#, r#"{"not":{"items":{"type":"null"}}}"#, "valid"),
        (
            r#"{"$ref":"https://json-schema.org/draft/2020-12/schema"}"#,
            r#"{"not":{"items":{"minimum":"x"}}}"#,
            "/not/items/minimum: type",
        ),
        (TREE, r#"{"children":[{"children":[]}]}"#, "valid"),
        (TREE, r#"{"children":[{"childern":[]}]}"#, "/children/0: unevaluatedProperties"),
    ] {
        assert_eq!(check(schema, text), expected, "{schema} {text}");
    }
}

#[test]
fn what_is_not_here_is_not_fetched_and_what_is_no_schema_is_told() {
    for (schema, expected) in [
        (r#"{"$ref":"https://example.com/a.json"}"#, "reference"),
        (r#"{"$ref":"file:///etc/passwd"}"#, "reference"),
        (r#"{"$ref":"other.json#/a"}"#, "reference"),
        (r##"{"$ref":"#name","$defs":{"a":{"$anchor":"name"},"b":{"$anchor":"name"}}}"##, "reference"),
        (r##"{"$ref":"#name","enum":[{"$anchor":"name"}]}"##, "reference"),
        (r##"{"$ref":"#nobody"}"##, "reference"),
        (r##"{"$ref":"#/$defs/a%2"}"##, "reference"),
        (r##"{"$anchor":"name","$ref":"#name"}"##, "schema_too_complex"),
        (r##"{"properties":{"a":{"$id":"https://example.com/b","$ref":"#"}}}"##, "schema_too_complex"),
        (r##"{"properties":{"a":{"$id":"https://example.com/b","$ref":"c"}}}"##, "reference"),
        (r##"{"properties":{"a":{"$schema":"https://json-schema.org/draft/2020-12/schema"}}}"##, "reference"),
        (r##"{"$schema":"http://json-schema.org/draft-07/schema#","not":{"$id":"b","$ref":"b"}}"##, "reference"),
        (r##"{"$ref":"https://json-schema.org/draft/2019-09/schema"}"##, "reference"),
        (r##"{"$ref":"#/$defs/none"}"##, "schema"),
        (r#"{"$schema":"https://example.com/mine"}"#, "reference"),
        (r##"{"$dynamicRef":"#x"}"##, "reference"),
        (r##"{"$recursiveRef":"#"}"##, "schema_too_complex"),
        (r##"{"$id":"https://example.com/a#part","$ref":"b"}"##, "schema"),
        (r##"{"$ref":"https://example.com/%zz"}"##, "reference"),
        (r##"{"$ref":"http://["}"##, "reference"),
        (r##"{"$id":"http://[","$ref":"b"}"##, "schema"),
        (r##"{"$ref":"b","$defs":{"b":{"$id":"b"},"c":{"$id":"b","type":"null"}}}"##, "reference"),
        (r#"{"type":"strnig"}"#, "schema"),
        (r#"{"properties":[]}"#, "schema"),
        (r#"{"pattern":"("}"#, "schema"),
        (r#"{"pattern":"(?<=a)b"}"#, "schema"),
        ("[]", "schema"),
        ("{", "schema"),
    ] {
        assert_eq!(check(schema, "{}"), expected, "{schema}");
    }
    let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(MAX_SCHEMA_BYTES));
    assert_eq!(check(&long, "1"), "schema_too_long");
    assert_eq!(check("{}", &format!("\"{}\"", "x".repeat(MAX_TEXT_BYTES))), "answer_too_long");
    assert_eq!(
        check(r##"{"items":{"$ref":"#"}}"##, &format!("{}{}", "[".repeat(100), "]".repeat(100))),
        "answer_too_deep"
    );
}

#[test]
fn a_schema_that_could_take_for_ever_is_not_tried() {
    assert_eq!(check(r##"{"$ref":"#"}"##, "1"), "schema_too_complex");
    assert_eq!(check(r##"{"anyOf":[{"allOf":[{"$ref":"#"}]}]}"##, "1"), "schema_too_complex");
    // Each definition holds the value against the next one twice: two to the power of their number.
    let link =
        |n: usize| format!(r##""d{n}":{{"anyOf":[{{"$ref":"#/$defs/d{}"}},{{"$ref":"#/$defs/d{}"}}]}}"##, n + 1, n + 1);
    let links: Vec<String> = (0..40).map(link).collect();
    let doubling = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{},"d40":{{"type":"string"}}}}}}"##, links.join(","));
    assert_eq!(check(&doubling, "1"), "schema_too_complex");
    // The same along the value instead of the schema: both ways lead one level down.
    let down = r##"{"$defs":{"n":{"anyOf":[{"properties":{"c":{"$ref":"#/$defs/n"}},"required":["x"]},{"properties":{"c":{"$ref":"#/$defs/n"}},"required":["x"]}]}},"$ref":"#/$defs/n"}"##;
    let nested = |depth: usize| format!("{}{{}}{}", r#"{"c":"#.repeat(depth), "}".repeat(depth));
    assert_eq!(check(down, &nested(3)), ": anyOf");
    assert_eq!(check(down, &nested(50)), "too_much_work");
    // What is not evaluated is found by evaluating once more, at every level.
    let again = r##"{"$defs":{"n":{"anyOf":[{"properties":{"c":{"$ref":"#/$defs/n"}}}],"unevaluatedProperties":false}},"$ref":"#/$defs/n"}"##;
    assert_eq!((check(again, &nested(5)), check(again, &nested(50))), ("valid".into(), "too_much_work".into()));
    let patterns: Vec<String> = (0..65).map(|n| format!(r#""{n}":{{"pattern":"a{n}"}}"#)).collect();
    assert_eq!(check(&format!(r#"{{"properties":{{{}}}}}"#, patterns.join(",")), "{}"), "schema_too_complex");
    assert_eq!(check(r#"{"pattern":"(((a{200}){200}){200}){200}"}"#, "\"a\""), "schema");
}

#[test]
fn the_deepest_check_that_is_made_fits_the_stack_of_a_thread() {
    // A chain as long as is taken, at every level of a value as deep as is taken.
    let chain = |inner: &str| {
        let levels = (crate::graph::MAX_CHAIN - 2) / 2;
        format!("{}{inner}{}", r#"{"allOf":[{"not":{"not":{"allOf":["#.repeat(levels / 2), "]}}}]}".repeat(levels / 2))
    };
    let schema = format!(
        r##"{{"$defs":{{"n":{}}},"$ref":"#/$defs/n"}}"##,
        chain(r##"{"type":"array","items":{"$ref":"#/$defs/n"}}"##)
    );
    let text = |inner: &str| {
        format!("{}{inner}{}", "[".repeat(crate::work::MAX_DEPTH - 1), "]".repeat(crate::work::MAX_DEPTH - 1))
    };
    let check = move || (check(&schema, &text("[]")), check(&schema, &text("7")));
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(check).unwrap();
    let (valid, invalid) = thread.join().unwrap();
    assert_eq!(valid, "valid");
    assert!(invalid.ends_with(": allOf") || invalid.ends_with(": not"), "{invalid}");
}

/// Schemas that are written down once for each way to them, of which there are two to the power of the number of layers.
#[test]
fn a_schema_with_too_many_dynamic_scopes_is_given_up_early() {
    let layer = |n: usize, side: &str| {
        let next = format!(r#"{{"$ref":"a{}"}},{{"$ref":"b{}"}}"#, n + 1, n + 1);
        let end = r##"{"$dynamicRef":"a20#m0"}"##;
        let inner = if n < 20 { next } else { end.to_owned() };
        let anchor =
            if side == "a" { format!(r#""$defs":{{"m":{{"$dynamicAnchor":"m{n}"}}}},"#) } else { String::new() };
        let anchor = if n == 20 { r#""$defs":{"m":{"$dynamicAnchor":"m0"}},"#.to_owned() } else { anchor };
        format!(r#""{side}{n}":{{"$id":"{side}{n}",{anchor}"properties":{{"p":{{"anyOf":[{inner}]}}}}}}"#)
    };
    let layers = |first: usize| {
        let all: Vec<_> = (first..=20).flat_map(|n| [layer(n, "a"), layer(n, "b")]).collect();
        format!(r##"{{"$ref":"a{first}","$defs":{{{}}}}}"##, all.join(","))
    };
    assert_eq!(check(&layers(17), r#"{"p":{"p":1}}"#), "valid");
    assert_eq!(check(&layers(0), "{}"), "schema_too_complex");
    // What is copied with them is bounded as well.
    let long = layers(14).replace(r#""properties""#, &format!(r#""const":"{}","properties""#, "x".repeat(8500)));
    assert_eq!(check(&long, "{}"), "schema_too_complex");
}

#[test]
fn what_is_told_holds_no_word_of_the_model() {
    let compiled =
        Compiled::new(br#"{"properties":{"a":{"enum":["x"]}},"additionalProperties":{"type":"integer"}}"#).unwrap();
    for text in [r#"{"a":"SECRET"}"#, r#"{"SECRET":"SECRET"}"#] {
        let Some(Verdict::Invalid(finding)) = compiled.check(text.as_bytes()) else { panic!("{text}") };
        assert!(!format!("{finding:?}").contains("SECRET"), "{finding:?}");
    }
}
