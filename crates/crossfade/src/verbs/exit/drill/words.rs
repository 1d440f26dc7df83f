//! A drill's report for people.

use std::fmt::Write as _;

use gateway::detour::{DetourReport, Part, Way, WayBack};
use gateway::drill::{Check, Verdict};

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

/// What to do where a drill was no pass; `None` where it was.
pub(super) fn next(report: &DetourReport) -> Option<String> {
    let DetourReport { route, to, .. } = report;
    let again = format!("`crossfade exit drill {route} --to {to}`");
    let failed = || {
        format!(
            "`crossfade exchanges list --route {route} --outcome failed` has requests that failed for callers and `crossfade conformance {to}` what the \
             alternative does otherwise; put that right, then {again}"
        )
    };
    match (report.verdict?, report.way_back?) {
        (Verdict::Pass, _) => None,
        (_, WayBack::CallerFailed | WayBack::Failing) | (Verdict::Fail, _) => Some(failed()),
        (Verdict::Undecided, WayBack::TimeUp) => Some(format!("{again} with a longer `--at-most`")),
        (Verdict::Undecided, WayBack::Unwatched | WayBack::Reloaded | WayBack::Stopped | WayBack::BrokenOff) => {
            Some(format!("{again}, and leave it and the gateway alone until it is over"))
        }
        (Verdict::Undecided, WayBack::Asked) if report.before.by_alternative > 0 && report.before.by_others == 0 => {
            Some(format!(
                "{to} answered every request of {route} beforehand, so that nothing was switched: drill to a target that does not answer it \
                 today, or another route"
            ))
        }
        (Verdict::Undecided, WayBack::Asked) if report.away.moved() == 0 => Some(format!(
            "{again} while requests come, with a longer `--hold`, or with `--data ADDRESS` for requests of its own"
        )),
        (Verdict::Undecided, WayBack::Asked) => Some(format!(
            "what is marked NO above was too little to tell: {again} with a longer `--hold`, more traffic or a larger `--own-rate`"
        )),
    }
}

/// What `--end` did.
pub(super) fn sent_back(report: &DetourReport) -> String {
    let DetourReport { route, from, to, .. } = report;
    match report.way_back {
        Some(WayBack::BrokenOff) | None => {
            format!(
                "traffic of {route} is sent back from {to} to {from}; the drill is broken off and comes to no verdict\n"
            )
        }
        Some(why) => format!("traffic of {route} is back at {from} already: {}\n", why.words()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_back_by_hand_is_told_and_what_was_back_already_too() {
        let report = |way_back: &str| -> DetourReport {
            let part = serde_json::json!({
                "arrived": 0, "requests": 0, "own": 0, "by_alternative": 0, "by_others": 0, "fell_back": 0, "failed": 0,
                "callers_own": 0, "gone": 0, "stayed": 0, "median_ms": null, "p95_ms": null,
            });
            let report = serde_json::json!({
                "route": "chat", "from": "gpt", "to": "qwen", "simulated": false, "actor": "dora", "reason": "",
                "plan": { "to": "qwen" }, "at_us": 0, "phase": "back", "way_back": way_back, "verdict": null, "there": {},
                "home": {}, "away_ms": null, "before": part, "away": part, "back": part, "probes": null, "checks": [],
            });
            serde_json::from_value(report).unwrap()
        };
        let told = sent_back(&report("broken_off"));
        assert!(
            told.starts_with("traffic of chat is sent back from qwen to gpt; ") && told.contains("no verdict"),
            "{told}"
        );
        assert_eq!(next(&report("asked")), None, "it is under way");
        let over = |way_back: &str, verdict| next(&DetourReport { verdict: Some(verdict), ..report(way_back) });
        assert_eq!(over("asked", Verdict::Pass), None);
        let failing = over("failing", Verdict::Fail).unwrap();
        assert!(
            failing.contains("exchanges list --route chat --outcome failed")
                && failing.contains("exit drill chat --to qwen")
        );
        assert!(over("asked", Verdict::Undecided).unwrap().contains("while requests come"));
        let mut there = DetourReport { verdict: Some(Verdict::Undecided), ..report("asked") };
        there.before.by_alternative = 8;
        assert!(next(&there).unwrap().starts_with("qwen answered every request of chat beforehand"));
        assert!(over("time_up", Verdict::Undecided).unwrap().contains("`--at-most`"));
        assert!(sent_back(&report("asked")).contains("at gpt already: switched back as planned"));
    }
}
