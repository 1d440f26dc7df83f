use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn show(stream: &[u8], splits: &[usize]) -> String {
    let mut out = String::new();
    let (events, end) = decode(stream, splits);
    for event in events {
        let raw = event.raw.escape_ascii();
        writeln!(out, "{:?} {} <- {raw}", event.kind, event.data.escape_ascii()).unwrap();
    }
    if let Err(error) = end {
        writeln!(out, "{error}").unwrap();
    } else if let Ok(incomplete) = end
        && !incomplete.is_empty()
    {
        writeln!(out, "incomplete {}", incomplete.escape_ascii()).unwrap();
    }
    out
}

fn decode(stream: &[u8], splits: &[usize]) -> (Vec<Event>, Result<Bytes, SseError>) {
    decode_with(Decoder::new(), stream, splits)
}

fn decode_with(mut decoder: Decoder, stream: &[u8], splits: &[usize]) -> (Vec<Event>, Result<Bytes, SseError>) {
    let stream = Bytes::copy_from_slice(stream);
    let mut events = Vec::new();
    let mut at = 0;
    for &split in splits.iter().chain([&stream.len()]) {
        let split = split.clamp(at, stream.len());
        if let Err(error) = decoder.push(stream.slice(at..split), &mut events) {
            return (events, Err(error));
        }
        at = split;
    }
    let end = decoder.finish();
    events.extend(end.event);
    (events, Ok(end.incomplete))
}

fn check(stream: &str, expected: &Expect) {
    expected.assert_eq(&show(stream.as_bytes(), &[]));
}

#[test]
fn events_end_at_a_blank_line_whatever_ends_a_line() {
    check(
        "data: a\n\ndata: b\r\n\r\ndata:c\r\rdata: d\n\r\n",
        &expect![[r#"
        Data a <- data: a\n\n
        Data b <- data: b\r\n\r\n
        Data c <- data:c\r\r
        Data d <- data: d\n\r\n
    "#]],
    );
    check(
        "data: a\r\n\r\n",
        &expect![[r#"
        Data a <- data: a\r\n\r\n
    "#]],
    );
    check(
        "data: a\r\r",
        &expect![[r#"
        Data a <- data: a\r\r
    "#]],
    );
    check(
        "data: a\n\r",
        &expect![[r#"
        Data a <- data: a\n\r
    "#]],
    );
    check(
        "data: a\r\r\ndata: b\n\n",
        &expect![[r#"
        Data a <- data: a\r\r
        Comment  <- \n
        Data b <- data: b\n\n
    "#]],
    );
}

#[test]
fn comments_blank_lines_and_bare_fields_are_no_sign_of_life() {
    check(
        ": ping\n\n\n\r\n: a\n: b\n\nid: 3\nretry: 10\n\nevent: x\n\ndatabase: 1\n\n",
        &expect![[r#"
        Comment  <- : ping\n\n
        Comment  <- \n
        Comment  <- \r\n
        Comment  <- : a\n: b\n\n
        Comment  <- id: 3\nretry: 10\n\n
        Comment  <- event: x\n\n
        Comment  <- database: 1\n\n
    "#]],
    );
    check(
        "data\n\ndata:\n\ndata: \n\n",
        &expect![[r#"
        Data  <- data\n\n
        Data  <- data:\n\n
        Data  <- data: \n\n
    "#]],
    );
}

#[test]
fn several_data_lines_are_joined() {
    check(
        "id: 1\ndata: {\"a\":\ndata:1}\n\n",
        &expect![[r#"
        Data {\"a\":\n1} <- id: 1\ndata: {\"a\":\ndata:1}\n\n
    "#]],
    );
    check(
        "data: a\r\ndata\r\ndata:  c\r\n: note\r\n\r\n",
        &expect![[r#"
        Data a\n\n c <- data: a\r\ndata\r\ndata:  c\r\n: note\r\n\r\n
    "#]],
    );
}

#[test]
fn a_byte_order_mark_is_kept_and_skipped_at_the_beginning_only() {
    check(
        "\u{feff}data: a\n\n\u{feff}data: b\n\n",
        &expect![[r#"
        Data a <- \xef\xbb\xbfdata: a\n\n
        Comment  <- \xef\xbb\xbfdata: b\n\n
    "#]],
    );
}

#[test]
fn errors_named_so_are_told_apart() {
    check(
        "event: error\ndata: {\"message\":\"x\"}\n\nerror: {\"code\":500}\n\nevent: done\ndata: y\n\n",
        &expect![[r#"
        Error {\"message\":\"x\"} <- event: error\ndata: {\"message\":\"x\"}\n\n
        Error {\"code\":500} <- error: {\"code\":500}\n\n
        Data y <- event: done\ndata: y\n\n
    "#]],
    );
}

#[test]
fn an_event_that_never_ended_is_what_is_left() {
    check(
        "data: a\n\ndata: [DO",
        &expect![[r#"
        Data a <- data: a\n\n
        incomplete data: [DO
    "#]],
    );
    check(
        "data: [DONE]\n",
        &expect![[r#"
        incomplete data: [DONE]\n
    "#]],
    );
    check(
        "data: [DONE]\r",
        &expect![[r#"
        incomplete data: [DONE]\r
    "#]],
    );
    check("", &expect![""]);
    let mut decoder = Decoder::default();
    decoder.push(Bytes::from_static(b"data: a"), &mut Vec::new()).unwrap();
    assert_eq!(decoder.pending(), b"data: a");
}

#[test]
fn an_event_within_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: one\n\ndata: two\n\n");
    let mut events = Vec::new();
    Decoder::new().push(chunk.clone(), &mut events).unwrap();
    assert_eq!(events[1].raw.as_ptr(), chunk[11..].as_ptr());
    assert_eq!(events[1].data.as_ptr(), chunk[17..].as_ptr());
}

#[test]
fn an_event_that_is_too_long_ends_the_stream_for_good() {
    let long = format!("data: a\n\ndata: {}\n\ndata: b\n\n", "x".repeat(MAX_EVENT_BYTES));
    for step in [long.len(), 4096] {
        let splits: Vec<usize> = (0..long.len()).step_by(step).collect();
        let (events, end) = decode(long.as_bytes(), &splits);
        assert_eq!(events.len(), 1);
        assert_eq!(end, Err(SseError::TooLong { limit: MAX_EVENT_BYTES }));
    }
    let mut decoder = Decoder::with_limit(10);
    let mut events = Vec::new();
    decoder.push(Bytes::from_static(b"data: 12"), &mut events).unwrap();
    decoder.push(Bytes::from_static(b"\n\n"), &mut events).unwrap();
    assert_eq!(events.len(), 1);
    assert!(decoder.push(Bytes::from_static(b"data: 12345"), &mut events).is_err());
    assert!(decoder.push(Bytes::from_static(b"\n\n"), &mut events).is_err());
    assert_eq!(decoder.pending(), b"");
}

#[test]
fn a_long_line_in_single_bytes_costs_one_look_at_each() {
    let stream = format!("data: {}\n\n", "x".repeat(200_000));
    let splits: Vec<usize> = (0..stream.len()).collect();
    let (events, end) = decode(stream.as_bytes(), &splits);
    assert_eq!((events.len(), end), (1, Ok(Bytes::new())));
}

#[test]
fn an_error_event_is_what_the_sdks_raise() {
    let event = error_event(&ErrorBody::new("cut\nshort", "upstream_error").with_code("upstream_disconnected"));
    expect![[r#"
        data: {"error":{"message":"cut\nshort","type":"upstream_error","param":null,"code":"upstream_disconnected"}}

    "#]]
    .assert_eq(std::str::from_utf8(&event).unwrap());
    assert_eq!(decode(&event, &[]).0.len(), 1);
}

#[test]
fn a_part_of_the_data_can_be_cut() {
    let cut = |raw: &'static str, range| {
        let event = Event::parse(Bytes::from_static(raw.as_bytes()));
        String::from_utf8(event.without(range).to_bytes().to_vec()).unwrap()
    };
    assert_eq!(cut("id: 7\r\ndata: {\"a\":1,\"u\":null}\r\n\r\n", 6..15), "id: 7\r\ndata: {\"a\":1}\r\n\r\n");
    assert_eq!(cut("data: {\"a\":1,\ndata: \"u\":null}\n\n", 6..16), "data: {\"a\":1}\n\n");
}

#[test]
fn characters_split_at_every_offset_arrive_whole() {
    let stream = "data: {\"é\":\"日本語 😀\"}\r\n\r\n: ünïcode\n\ndata: [DONE]\n\n".as_bytes();
    let whole = decode(stream, &[]);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            assert_eq!(decode(stream, &[first, second]), whole, "{first} {second}");
        }
    }
    assert_eq!(whole.0[0].data, "{\"é\":\"日本語 😀\"}".as_bytes());
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "data: ",
        "data:",
        "data",
        "event: error",
        "error: x",
        ": ping",
        "id: 1",
        "{\"a\":\"é😀\"}",
        "[DONE]",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        "\r\r",
        "\u{feff}",
        "x",
        " ",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(prop::sample::select(b"d:\n\r ax\xff".to_vec()), 0..60),
    ]
}

/// Two thousand, unless `PROPTEST_CASES` says otherwise.
fn n_cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(n_cases()))]

    #[test]
    fn how_a_stream_is_split_makes_no_difference(stream in stream(), mut splits in prop::collection::vec(0_usize..120, 0..12)) {
        splits.sort_unstable();
        let whole = decode(&stream, &[]);
        prop_assert_eq!(&decode(&stream, &splits), &whole);
        let each: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(&decode(&stream, &each), &whole);
        let (events, incomplete) = whole;
        let mut raw: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
        raw.extend_from_slice(&incomplete.unwrap());
        prop_assert_eq!(raw, stream);
    }

    #[test]
    fn the_bound_holds_however_a_stream_is_split(stream in stream(), mut splits in prop::collection::vec(0_usize..120, 0..12)) {
        splits.sort_unstable();
        let bounded = || Decoder::with_limit(12);
        prop_assert_eq!(decode_with(bounded(), &stream, &splits), decode_with(bounded(), &stream, &[]));
    }

    #[test]
    fn data_is_what_the_specification_says(lines in prop::collection::vec(("(data|data:|data: |: |x)", "[a-c:é ]{0,6}"), 1..6), ending in prop::sample::select(vec!["\n", "\r\n", "\r"])) {
        let text: Vec<String> = lines.iter().map(|(name, value)| format!("{name}{value}")).collect();
        let stream = text.iter().map(|line| format!("{line}{ending}")).collect::<String>() + ending;
        let data: Vec<&str> = text.iter().filter_map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name == "data").then(|| value.strip_prefix(' ').unwrap_or(value))
        }).collect();
        let (events, _) = decode(stream.as_bytes(), &[]);
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(events[0].is_comment(), data.is_empty());
        prop_assert_eq!(std::str::from_utf8(&events[0].data).unwrap(), data.join("\n"));
    }
}
