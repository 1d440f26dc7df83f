//! Cells as people and programs read them.

use std::fmt::Write as _;

use bench::definition;
use bench::result::{BenchResult, short};
use serde_json::{Value, json};

use super::Planned;
use crate::out::table;

/// The cells that would be measured.
pub(super) fn list(planned: &[Planned]) -> String {
    let mut text = String::new();
    for (idx, cell) in planned.iter().enumerate() {
        let plan = &cell.plan;
        let done =
            cell.done.as_ref().map_or("to be measured".to_owned(), |result| format!("measured, as {}", result.name));
        // Writing to a String cannot fail.
        writeln!(text, "{} {}: {done}", idx + 1, plan.label).unwrap_or_default();
        for (word, command) in [("start", &plan.start), ("stop", &plan.stop)] {
            if let Some(command) = command {
                writeln!(text, "    {word}: {}", command.trim()).unwrap_or_default();
            }
        }
        writeln!(text, "    load of {} at {}: {}", plan.model, plan.url, plan.load.join(" ")).unwrap_or_default();
    }
    text
}

/// The same for programs.
pub(super) fn list_facts(planned: &[Planned]) -> Value {
    let cell = |cell: &Planned| {
        let plan = &cell.plan;
        json!({
            "label": plan.label,
            "settings": plan.settings.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "start": plan.start, "stop": plan.stop, "url": plan.url, "model": plan.model, "load": plan.load,
            "result": cell.done.as_ref().map(|result| &result.name),
        })
    };
    planned.iter().map(cell).collect()
}

/// Cells beside each other.
pub(in crate::verbs::bench) fn compared(result: &BenchResult) -> String {
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
        let state = if cell.state == bench::matrix::CellState::Done && !cell.is_valid {
            "INVALID"
        } else {
            cell.state.as_str()
        };
        vec![
            cell.label.clone(),
            state.to_owned(),
            number(cell.ready_ms.map(|ms| ms / 1e3)),
            number(row.sustained),
            number(row.best.and_then(|level| level.out_tok_s)),
            row.against_first.map_or("-".to_owned(), |part| format!("{:+.1} %", part * 100.0)),
            number(row.best.and_then(|level| level.requests_per_s)),
            row.best.map_or("-".to_owned(), |level| level.load.words()),
            number(row.latency(definition::TTFT_INTENDED, "p95")),
            number(row.latency(definition::E2E_INTENDED, "p95")),
            number(row.tpot_ms()),
            cell.slo.map_or("-", |verdict| verdict.as_str()).to_owned(),
        ]
    };
    table(&headings, &bench::matrix::rows(result).iter().map(row).collect::<Vec<_>>())
}
