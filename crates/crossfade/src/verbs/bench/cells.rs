//! The cells of a matrix beside each other, for people.

use bench::definition;
use bench::result::{BenchResult, short};

use crate::out::table;

/// Cells beside each other.
pub(super) fn compared(result: &BenchResult) -> String {
    let headings = [
        "cell",
        "state",
        "ready s",
        "sustained",
        "tok/s",
        "vs first",
        "req/s",
        "at",
        "ttft p95",
        "e2e p95",
        "tpot p50",
        "slo",
    ];
    let number = |value: Option<f64>| value.map_or("-".to_owned(), short);
    let row = |row: &bench::matrix::Row<'_>| {
        let cell = row.cell;
        let state =
            if cell.state == bench::cell::CellState::Done && !cell.is_valid { "INVALID" } else { cell.state.as_str() };
        vec![
            cell.label.clone(),
            state.to_owned(),
            number(cell.ready_ms.map(|ms| ms / 1e3)),
            number(row.sustained),
            number(row.best.and_then(|level| level.out_tok_s)),
            row.against_first.map_or("-".to_owned(), |part| format!("{:+.1} %", part * 100.0)),
            number(row.best.and_then(|level| level.requests_per_s)),
            row.best.map_or("-".to_owned(), |level| level.load_words()),
            number(row.latency(definition::TTFT_INTENDED, "p95")),
            number(row.latency(definition::E2E_INTENDED, "p95")),
            number(row.tpot_ms()),
            cell.slo.map_or("-", |verdict| verdict.as_str()).to_owned(),
        ]
    };
    table(&headings, &bench::matrix::rows(result).iter().map(row).collect::<Vec<_>>())
}
