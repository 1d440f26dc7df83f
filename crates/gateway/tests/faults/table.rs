//! The table.

use crate::row::{Row, play};
use crate::upstreams;

/// What the page says below the table.
pub const ELSEWHERE: &str = "\
Rows 30 to 33, 39 and 41 of the matrix are about what is recorded when disks and processes die; they are tested with the journal
(`crates/store`), by `scripts/test-crashes` and by `tests/e2e/kill_gateway.py`. Row 42, memory over time, is `scripts/bench-memory`; its figures
are in [reference/memory.md](reference/memory.md).
";

pub const ROWS: &[Row] = &[
    Row {
        n: 1,
        fault: "the provider refuses connections, takes none in time, or its name does not resolve",
        sees: "the answer of a fallback, else an error as soon as connecting has failed",
        answers: &["200", "502 upstream_connect", "502 upstream_dns", "504 timeout_connect"],
        records: &["complete", "failed connect", "failed dns", "failed timeout_connect"],
        calls: (0, 1),
        trial: upstreams::unreachable,
    },
    Row {
        n: 2,
        fault: "the request is taken and never answered",
        sees: "the answer of a fallback, else a timeout",
        answers: &["200", "504 timeout_first_token", "504 timeout_total"],
        records: &["complete", "failed timeout_first_token", "failed timeout_total"],
        calls: (1, 2),
        trial: upstreams::no_head,
    },
    Row {
        n: 3,
        fault: "the head of an answer, then silence or comments, before any content",
        sees: "the answer of a fallback, else a timeout",
        answers: &["200", "504 timeout_first_token", "504 timeout_total"],
        records: &["complete", "failed timeout_first_token", "failed timeout_total"],
        calls: (1, 2),
        trial: upstreams::head_then_silence,
    },
    Row {
        n: 4,
        fault: "a stream stalls in the middle",
        sees: "all that came, then an error event",
        answers: &["200, then timeout_inter_token"],
        records: &["truncated timeout_inter_token"],
        calls: (1, 1),
        trial: upstreams::stall_in_the_middle,
    },
    Row {
        n: 5,
        fault: "a stream stalls and comments keep coming",
        sees: "the same: comments are no sign of life",
        answers: &["200, then timeout_inter_token"],
        records: &["truncated timeout_inter_token"],
        calls: (1, 1),
        trial: upstreams::stall_behind_comments,
    },
    Row {
        n: 6,
        fault: "the connection is reset at any byte",
        sees: "before content the answer of a fallback or an error; then an error event. Never part of a whole answer",
        answers: &["200", "200, then upstream_disconnected", "502 upstream_disconnected"],
        records: &["complete", "failed disconnected", "truncated disconnected"],
        calls: (1, 2),
        trial: upstreams::reset,
    },
    Row {
        n: 7,
        fault: "a stream is closed in order after any of its events",
        sees: "a whole answer only if it says that it is: `[DONE]`, or a finish reason and a marked end",
        answers: &["200", "200, then upstream_disconnected", "502 upstream_disconnected"],
        records: &["complete", "failed disconnected", "truncated disconnected"],
        calls: (1, 1),
        trial: upstreams::clean_end,
    },
    Row {
        n: 8,
        fault: "a stream is cut inside the arguments of a tool call",
        sees: "an error event, and no finish reason that nobody gave",
        answers: &["200, then upstream_disconnected"],
        records: &["truncated disconnected"],
        calls: (1, 1),
        trial: upstreams::cut_in_a_tool_call,
    },
    Row {
        n: 9,
        fault: "status 200 with an error as its body",
        sees: "the answer of a fallback, else an error",
        answers: &["200", "502 upstream_error"],
        records: &["complete", "failed error_in_body"],
        calls: (2, 3),
        trial: upstreams::error_in_a_200,
    },
    Row {
        n: 10,
        fault: "an error event in a stream",
        sees: "before content the answer of a fallback; then the provider's event, and ours",
        answers: &["200", "200, then upstream_error"],
        records: &["complete", "truncated error_in_stream"],
        calls: (1, 2),
        trial: upstreams::error_event,
    },
    Row {
        n: 11,
        fault: "an event stream in any spelling, or none: CR, LF, BOM, split lines, joined frames, HTML, an event of 2 MiB",
        sees: "any spelling byte for byte; nonsense is an error, or no end of the stream",
        answers: &[
            "200",
            "200, then upstream_disconnected",
            "200, then upstream_malformed",
            "502 upstream_disconnected",
            "502 upstream_malformed",
        ],
        records: &[
            "complete",
            "failed disconnected",
            "failed malformed",
            "truncated disconnected",
            "truncated malformed",
        ],
        calls: (1, 2),
        trial: upstreams::malformed_stream,
    },
    Row {
        n: 12,
        fault: "characters split at any byte",
        sees: "the same bytes",
        answers: &["200"],
        records: &["complete"],
        calls: (1, 1),
        trial: upstreams::split_characters,
    },
    Row {
        n: 13,
        fault: "a length that is wrong or no number, a chunk that is none, compression nobody asked for",
        sees: "the answer of a fallback, an error, or an error event",
        answers: &["200", "200, then upstream_malformed", "502 upstream_disconnected", "502 upstream_malformed"],
        records: &["complete", "failed disconnected", "failed malformed", "truncated malformed"],
        calls: (1, 2),
        trial: upstreams::broken_framing,
    },
];

macro_rules! played {
    ($($name:ident = $n:literal),+ $(,)?) => {
        $(#[test]
        fn $name() {
            play($n);
        })+

        #[test]
        fn every_row_is_played() {
            let numbers: Vec<u8> = ROWS.iter().map(|row| row.n).collect();
            assert_eq!(numbers, [$($n),+]);
        }
    };
}

played! {
    row_01_nobody_answers_there = 1,
    row_02_no_answer_begins = 2,
    row_03_nothing_follows_the_head = 3,
    row_04_a_stream_stalls = 4,
    row_05_a_stream_stalls_behind_comments = 5,
    row_06_a_reset_at_any_byte = 6,
    row_07_a_close_in_order_is_no_end = 7,
    row_08_a_cut_in_a_tool_call_gets_no_finish_reason = 8,
    row_09_an_error_in_a_200 = 9,
    row_10_an_error_event = 10,
    row_11_any_spelling_and_nonsense = 11,
    row_12_split_characters = 12,
    row_13_broken_framing = 13,
}
