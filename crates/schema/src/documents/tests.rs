use super::*;
use crate::{Compiled, Verdict};

fn read(documents: &[(&str, &str)]) -> Result<Documents, String> {
    Documents::new(documents.iter().map(|(uri, text)| (*uri, text.as_bytes()))).map_err(|error| error.to_string())
}

/// The word for what came of it.
fn check(documents: &[(&str, &str)], schema: &str, text: &str) -> String {
    let documents = read(documents).unwrap();
    match Compiled::with_documents(schema.as_bytes(), &documents).map(|compiled| compiled.check(text.as_bytes())) {
        Err(why) => why.as_str().to_owned(),
        Ok(Some(Verdict::Valid)) => "valid".to_owned(),
        Ok(Some(Verdict::Invalid(finding))) => format!("{}: {}", finding.path, finding.keyword),
        Ok(other) => format!("{other:?}"),
    }
}

#[test]
fn a_schema_refers_to_documents_by_where_they_were_found_and_by_their_own_name() {
    let address = (
        "https://example.com/a/address",
        r##"{"$id":"urn:address","required":["city"],"$defs":{"n":{"type":"integer"}}}"##,
    );
    let order = (
        "https://example.com/order",
        r##"{"properties":{"to":{"$ref":"a/address"},"n":{"$ref":"urn:address#/$defs/n"}}}"##,
    );
    let documents = [address, order];
    let by_place = r##"{"$ref":"https://example.com/order"}"##;
    assert_eq!(check(&documents, by_place, r#"{"to":{"city":1},"n":2}"#), "valid");
    assert_eq!(check(&documents, by_place, r#"{"to":{}}"#), "/to: required");
    assert_eq!(check(&documents, by_place, r#"{"n":"x"}"#), "/n: type");
    let by_base = r##"{"$id":"https://example.com/other","items":{"$ref":"/order"}}"##;
    assert_eq!(check(&documents, by_base, r#"[{"to":{}}]"#), "/0/to: required");
    assert_eq!(check(&documents[1..], by_place, "{}"), "reference", "what a document refers to is needed too");
    // What is not referred to does no harm.
    assert_eq!(check(&documents[1..], r#"{"type":"null"}"#, "1"), ": type");
}

#[test]
fn a_meta_schema_of_ones_own_says_which_keywords_mean_anything() {
    let meta = |vocabulary: &str| {
        format!(
            r##"{{"$schema":"https://json-schema.org/draft/2020-12/schema","$vocabulary":{{"https://json-schema.org/draft/2020-12/vocab/core":true,
            "https://json-schema.org/draft/2020-12/vocab/applicator":true{vocabulary}}}}}"##
        )
    };
    let schema = r##"{"$schema":"https://example.com/meta","properties":{"a":false,"b":{"type":"null"}}}"##;
    let check = |vocabulary: &str, text| check(&[("https://example.com/meta", &meta(vocabulary))], schema, text);
    assert_eq!(check("", r#"{"b":1}"#), "valid");
    assert_eq!(check("", r#"{"a":1}"#), "/a: falseSchema");
    assert_eq!(check(r#","https://json-schema.org/draft/2020-12/vocab/validation":true"#, r#"{"b":1}"#), "/b: type");
    assert_eq!(check(r#","https://example.com/vocab":false"#, r#"{"b":1}"#), "valid");
    assert_eq!(check(r#","https://example.com/vocab":true"#, r#"{"b":1}"#), "schema");
    assert_eq!(check(r#","https://json-schema.org/draft/2020-12/vocab/format-assertion":true"#, "{}"), "schema");
}

#[test]
fn what_is_no_document_is_told_with_its_name() {
    let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(MAX_BYTES));
    for (documents, problem) in [
        (vec![("a.json", "{}")], "`a.json` is no URI with a scheme and without a fragment"),
        (vec![("urn:a#b", "{}")], "`urn:a#b` is no URI with a scheme and without a fragment"),
        (vec![("urn:a", "{")], "`urn:a` is no JSON"),
        (vec![("urn:a", r#"{"type":"strnig"}"#)], "`urn:a` is no JSON Schema of draft 2020-12"),
        (vec![("urn:a", "{}"), ("urn:a", "{}")], "`urn:a` is the name of two documents"),
        (vec![("urn:a", r#"{"not":{"$id":"http://["}}"#)], "`urn:a` has an `$id` or `$schema` that cannot be"),
        (vec![("urn:a", &long)], "`urn:a` is too long: all documents may have 1 MiB"),
    ] {
        assert_eq!(read(&documents).unwrap_err(), problem);
    }
}
