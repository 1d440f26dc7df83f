use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const BOUNDARY: &str = "d3adb33f";

/// A form from parts: the text after `name="`, then the content.
fn form(parts: &[(&str, &[u8])]) -> Bytes {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body.into()
}

fn check(body: &Bytes, expected: &Expect) {
    let shown = match parse(Endpoint::Transcriptions, BOUNDARY, body, None) {
        Ok(view) => {
            let (changed, change) = with_model(body, BOUNDARY, &view, ("whisper-large", "t"));
            let head: String = changed.to_bytes().iter().map(|byte| char::from(*byte)).collect();
            format!(
                "model {} stream {} user {:?}\n{:?}\n{}",
                view.model,
                view.stream,
                view.user,
                change.map(|change| change.action),
                head.replace('\r', "")
            )
        }
        Err(error) => format!("{error} [{}]\n", error.param.unwrap_or("-")),
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_boundary_is_read_from_its_header() {
    assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
    assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\""), Some("a b"));
    for none in ["multipart/form-data", "multipart/mixed; boundary=abc", "multipart/form-data; boundary=", "text/plain"]
    {
        assert_eq!(boundary(none), None, "{none}");
    }
    assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))), None);
}

#[test]
fn the_model_is_found_and_replaced_between_files() {
    check(
        &form(&[
            ("file\"; filename=\"a.wav\"", b"RIFF\r\n--d3adb33\r\nnot a boundary"),
            ("model\"", b"whisper-1"),
            ("stream\"", b"true"),
            ("user\"", b"u-1"),
        ]),
        &expect![[r#"
            model whisper-1 stream true user Some("u-1")
            Some(Replaced)
            --d3adb33f
            Content-Disposition: form-data; name="file"; filename="a.wav"

            RIFF
            --d3adb33
            not a boundary
            --d3adb33f
            Content-Disposition: form-data; name="model"

            whisper-large
            --d3adb33f
            Content-Disposition: form-data; name="stream"

            true
            --d3adb33f
            Content-Disposition: form-data; name="user"

            u-1
            --d3adb33f--
        "#]],
    );
}

#[test]
fn a_file_called_model_is_a_file() {
    let body = form(&[("model\"; filename=\"model\"", b"evil"), ("model\"", b"real")]);
    assert_eq!(parse(Endpoint::Transcriptions, BOUNDARY, &body, None).unwrap().model, "real");
}

#[test]
fn a_form_that_cannot_be_read_says_why() {
    check(
        &form(&[("model\"", b"a"), ("model\"", b"b")]),
        &expect![[r#"
        `model` is given twice (at byte 123) [model]
    "#]],
    );
    check(
        &form(&[("file\"; filename=\"x\"", b"x")]),
        &expect![[r#"
        you must provide a `model` (at byte 0) [model]
    "#]],
    );
    check(
        &Bytes::from_static(b"--other\r\n"),
        &expect![[r#"
        the form does not begin with its boundary (at byte 0) [-]
    "#]],
    );
    check(
        &Bytes::from_static(b"--d3adb33f\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nabc"),
        &expect![[r#"
            the form ends inside a part (at byte 60) [-]
        "#]],
    );
    check(
        &form(&[("model\"", b"a\r\nb")]),
        &expect![[r#"
            `model` is not a short text (at byte 60) [model]
        "#]],
    );
}

#[test]
fn an_empty_part_and_a_preamble_are_stepped_over() {
    let body = format!(
        "preamble\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n--{BOUNDARY}  \r\n\
         content-disposition: form-data; name=model\r\n\r\nm\r\n--{BOUNDARY}--"
    );
    assert_eq!(parse(Endpoint::ImageEdits, BOUNDARY, body.as_bytes(), None).unwrap().model, "m");
}

#[test]
fn a_model_nobody_named_is_added_as_a_part_of_its_own() {
    let body = form(&[("image\"; filename=\"a.png\"", b"PNG")]);
    let view = parse(Endpoint::ImageVariations, BOUNDARY, &body, None).unwrap();
    assert_eq!(view.model, "dall-e-2");
    let (changed, _) = with_model(&body, BOUNDARY, &view, ("flux", "t"));
    let again = parse(Endpoint::ImageVariations, BOUNDARY, &changed.to_bytes(), None).unwrap();
    assert_eq!(again.model, "flux");
    assert!(changed.to_bytes().ends_with(&body[..]), "everything else is as it was");
}

proptest! {
    #[test]
    fn nothing_but_the_model_changes(before: Vec<u8>, after: Vec<u8>, model in "[a-z0-9/.:-]{1,40}") {
        let hidden = |content: &[u8]| memmem::find(content, BOUNDARY.as_bytes()).is_some();
        prop_assume!(!hidden(&before) && !hidden(&after));
        let parts = |model: &[u8]| form(&[
            ("file\"; filename=\"a\"", before.as_slice()), ("model\"", model), ("mask\"; filename=\"b\"", after.as_slice()),
        ]);
        let body = parts(model.as_bytes());
        let view = parse(Endpoint::ImageEdits, BOUNDARY, &body, None).unwrap();
        prop_assert_eq!(&view.model, &model);
        let (changed, _) = with_model(&body, BOUNDARY, &view, ("other", "t"));
        prop_assert_eq!(changed.to_bytes(), parts(b"other"));
    }

    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>) {
        parse(Endpoint::Transcriptions, BOUNDARY, &body, None).ok();
        parse(Endpoint::Transcriptions, BOUNDARY, &[b"--d3adb33f".as_slice(), &body].concat(), None).ok();
    }
}
