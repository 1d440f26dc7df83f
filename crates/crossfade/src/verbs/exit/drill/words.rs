//! A drill's report for people.

use std::fmt::Write as _;

use gateway::detour::{DetourReport, Part, Way};
use gateway::drill::Check;

use crate::out::table;

/// All of it.
pub(super) fn page(report: &DetourReport) -> String {
    let simulated = if report.simulated { "SIMULATED " } else { "" };
    let mut text = format!("{simulated}exit drill of {} from {} to {}\n\n", report.route, report.from, report.to);
    let check = |check: &Check| {
        let holds = if check.holds { "yes" } else { "NO" };
        vec![check.what.clone(), check.measured.clone(), check.target.clone(), holds.to_owned()]
    };
    let checks: Vec<Vec<String>> = report.checks.iter().map(check).collect();
    if !checks.is_empty() {
        text += &table(&["what", "measured", "target", "holds"], &checks);
        text += "\n";
    }
    let parts = [("before", &report.before), ("away", &report.away), ("back", &report.back)].map(part);
    let headings =
        ["", "requests", "own", "alternative", "others", "fell back", "failed", "cannot move", "median ms", "p95 ms"];
    text += &table(&headings, &parts);
    let ways = [("there", &report.there), ("back", &report.home)].map(way);
    let headings = ["ms from the order", "first request", "its answer", "last request to the old", "its last answer"];
    text += "\n";
    text += &table(&headings, &ways);
    if report.away.arrived > report.away.requests {
        let n = report.away.arrived - report.away.requests;
        writeln!(text, "\n{n} requests that came while away had not ended").unwrap_or_default();
    }
    if report.away.stayed > 0 {
        // Writing to a String cannot fail.
        writeln!(
            text,
            "\n{} requests could not be moved: what they go on from, make or may reach is with {}",
            report.away.stayed, report.from
        )
        .unwrap_or_default();
    }
    text += &match (report.verdict, report.way_back) {
        (Some(verdict), Some(why)) => format!("\n{}: {}\n", verdict.as_str(), why.words()),
        _ => "\nunder way\n".to_owned(),
    };
    text
}

fn part((name, part): (&str, &Part)) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    let counts =
        [part.requests, part.own, part.by_alternative, part.by_others, part.fell_back, part.failed, part.stayed];
    cells.extend(counts.map(|count| count.to_string()));
    cells.extend([part.median_ms, part.p95_ms].map(ms));
    cells
}

fn way((name, way): (&str, &Way)) -> Vec<String> {
    let times =
        [way.first_asked_ms, way.first_answer_ms, way.last_asked_of_previous_ms, way.last_answer_of_previous_ms];
    let mut cells = vec![name.to_owned()];
    cells.extend(times.map(ms));
    cells
}

fn ms(time: Option<f64>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1}"))
}
