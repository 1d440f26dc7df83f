//! Rehearsed failures and rehearsed exits: what is on now, and what is on record.

use maud::{Markup, html};
use operations::drills::{self, FiledDrill};
use operations::leaving::{self, ExitDrill};

use super::fields::{address, escape};
use super::frame::{self, badge, rollout_link, table};
use super::words::{count, moment, word};
use super::{PageAnswer, Visit};

const PAGE: u32 = 50;

/// All of them.
pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let (now, detour) = drills::now(visit.desk)?;
    let filed = drills::on_record(&visit.desk.reader(), (visit.number("before")?, PAGE))?;
    let exits = leaving::on_record(&visit.desk.reader(), (visit.number("exits_before")?, PAGE))?;
    let main = html! {
        h1 { "Drills" }
        p.sub { "A drill makes a failure, or the way out, happen by script, and measures how long it takes to be seen and to switch." }
        @for drill in &now {
            p.notice { "A drill is on: " (rollout_link(&drill.rollout)) ", begun by " bdi { (drill.actor) } " at " (moment(drill.at_us)) "." }
        }
        @if let Some(drill) = &detour {
            p.notice { "An exit drill is on: route " bdi { (drill.route) } " is asked of " bdi { (drill.to) } " instead of " bdi { (drill.from) } ", begun by " bdi { (drill.actor) } " at " (moment(drill.at_us)) "." }
        }
        h2 { "Of rollouts" }
        @if filed.is_empty() { (frame::empty("No drill of a rollout is on record.", "crossfade rollout drill NAME --kind error")) }
        @else { (rows(&filed)) (more("before", filed.last().filter(|_| filed.len() >= PAGE as usize).map(|row| row.number))) }
        h2 { "Of leaving" }
        @if exits.is_empty() { (frame::empty("No exit drill is on record.", "crossfade exit drill ROUTE --to TARGET")) }
        @else { (out(&exits)) (more("exits_before", exits.last().filter(|_| exits.len() >= PAGE as usize).map(|row| row.number))) }
    };
    frame::page(visit, "Drills", &main)
}

fn more(name: &str, last: Option<u64>) -> Markup {
    html! { @if let Some(last) = last { p.more { a rel="next" href=(address("/drills", &[(name.to_owned(), last.to_string())])) { "Older ones" } } } }
}

fn rows(filed: &[FiledDrill]) -> Markup {
    table(
        "Drills that were filed, the last first",
        &["Found", "Rollout", "Failure", "Verdict", "Requests", "Filed by", "What was said", "Evidence"],
        &html! {
            @for FiledDrill { row, .. } in filed {
                tr {
                    td { (moment(row.at_us)) }
                    td { (rollout_link(&row.rollout)) }
                    td { bdi { (row.name) } }
                    td { @if row.passed { (badge("good", "pass")) } @else { (badge("bad", "fail")) } }
                    td.number { (count(row.n)) }
                    td { bdi { (row.actor) } }
                    td.wide { bdi { (row.note) } }
                    td { a href=(format!("/rollouts/{}/trail", escape(&row.rollout))) title=(row.digest) { code.hash { (row.digest.chars().take(12).collect::<String>()) } } }
                }
            }
        },
    )
}

fn out(exits: &[ExitDrill]) -> Markup {
    table(
        "Exit drills that are over, the last first",
        &[
            "Over",
            "Route",
            "From → to",
            "Verdict",
            "There",
            "Back",
            "Away",
            "Requests",
            "Failed",
            "Begun by",
            "What was held against it",
        ],
        &html! {
            @for ExitDrill { over_us, report, .. } in exits {
                tr {
                    td { (moment(*over_us)) }
                    td { a href=(address("/audit", &[("subject".to_owned(), format!("route:{}", report.route))])) { bdi { (report.route) } } }
                    td { bdi { (report.from) } " → " bdi { (report.to) } @if report.simulated { " " (badge("warn", "simulated")) } }
                    td { (verdict(report.verdict.map(|verdict| word(&verdict)))) }
                    td.number { (millis(report.there.time_to_switch_ms)) }
                    td.number { (millis(report.home.time_to_switch_ms)) }
                    td.number { (millis(report.away_ms)) }
                    td.number { (count(report.away.requests)) }
                    td.number { (count(report.away.failed)) }
                    td { bdi { (report.actor) } }
                    td.wide { details { summary { (report.checks.iter().filter(|check| check.holds).count()) " of " (report.checks.len()) " hold" }
                        ul { @for check in &report.checks { li { @if !check.holds { (badge("bad", "not")) " " } bdi { (check.what) } ": " bdi { (check.measured) } ", wanted " bdi { (check.target) } } } } } }
                }
            }
        },
    )
}

fn verdict(word: Option<String>) -> Markup {
    match word.as_deref() {
        Some("pass") => badge("good", "pass"),
        Some("fail") => badge("bad", "fail"),
        _ => badge("warn", "undecided"),
    }
}

fn millis(ms: Option<f64>) -> String {
    match ms {
        None => "–".to_owned(),
        Some(ms) if ms < 1000.0 => format!("{ms:.1} ms"),
        Some(ms) => format!("{:.2} s", ms / 1000.0),
    }
}
