//! The page that is the table.

use std::fmt::Write as _;

use expect_test::expect_file;

use crate::row::Row;
use crate::table::{ELSEWHERE, ROWS};

const HEAD: &str = "\
# What goes wrong, and what is seen of it

This page is printed by the tests (`crates/gateway/tests/faults`; `UPDATE_EXPECT=1 cargo test -p gateway --test faults page` writes it again). A row is
played in seeded trials on real sockets against a whole gateway: five in CI, 200 with `CROSSFADE_SLOW_TESTS=1` (row 42: one). Each trial draws its timing,
offsets, sizes and whether the answer is a stream, and fails when a caller, the record or an upstream sees anything that is not in its row.
After each, nothing may be held five seconds later: no request, call, place in a queue, connection or file descriptor.

- **Answers**: every way in which an answer may end. `200` is a whole answer. `200, then CODE` is an answer that was cut: the last event is
  an error with this code, there is no `[DONE]`, and the body has no proper end. A status with a code is an error in the dialect's envelope.
  `closed` is no answer.
- **Record**: what the journal and the store have of it, as outcome and failure.
- **Calls**: how many calls an upstream sees for one request, as it counts them itself.

| row | what happens | what the caller sees | answers | record | calls |
|---|---|---|---|---|---|
";

fn line(row: &Row) -> String {
    let code = |all: &[&str]| all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
    let calls = if row.calls.0 == row.calls.1 {
        row.calls.0.to_string()
    } else {
        format!("{} to {}", row.calls.0, row.calls.1)
    };
    let record = if row.records.is_empty() { "none".to_owned() } else { code(row.records) };
    format!("| {} | {} | {} | {} | {record} | {calls} |\n", row.n, row.fault, row.sees, code(row.answers))
}

#[test]
fn the_page_is_the_table() {
    let mut page = HEAD.to_owned();
    ROWS.iter().for_each(|row| page.push_str(&line(row)));
    write!(page, "\n{ELSEWHERE}").unwrap();
    expect_file!["../../../../docs/reliability.md"].assert_eq(&page);
}
