//! Evaluations: every run, what one comes to, two beside each other, and the page with every case.

use maud::{Markup, html};
use operations::OperationError;
use operations::evaluations::{
    self, CandidateReport, Comparison, Interval, Report, RunLine, SIMULATED, Speed, TargetSummary, Verdict, sentence,
};

use super::exchanges::older;
use super::fields::{address, escape};
use super::frame::{self, badge, table};
use super::words::{coded, count, dollars, moment, percent};
use super::{PageAnswer, Visit};

/// Runs on a page, and to choose another one from.
const PAGE: usize = 50;

pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let before = visit.query.text("before");
    let runs = evaluations::runs(&visit.desk.reader(), (before, PAGE))?;
    let last = runs.last().filter(|_| runs.len() == PAGE).map(|line| line.row.run.clone());
    let main = html! {
        h1 { "Evaluations" }
        p.sub { "Cases asked of targets and scored; each run compares its first target with the others." }
        @if runs.is_empty() { (frame::empty("No run is on record.", "crossfade eval run --dataset DATASET --target BASELINE --target CANDIDATE")) }
        @else { (table("Runs, newest first", &["Run", "Planned", "Cases of", "Targets", "Answers", "Failed", "Cost"], &html! {
            @for line in &runs { (row(line)) }
        })) }
        (older("/evaluations", &[], last))
    };
    frame::page(visit, "Evaluations", &main)
}

fn row(line: &RunLine) -> Markup {
    let run = &line.row;
    let kind = if run.n_answered >= run.n_items { "good" } else { "warn" };
    html! {
        tr {
            td { @match &line.of { Some(of) => { bdi { (run.run) } " " span.hint { "of " (at(of)) } } None => (at(&run.run)) } }
            td { (moment(run.at_us)) }
            td { bdi { (line.dataset) } " " code { (short(&line.version)) } }
            td { bdi { (line.targets.join(", ")) } }
            td.number { (badge(kind, &format!("{} of {}", count(run.n_answered), count(run.n_items)))) }
            td.number { (count(run.n_failed)) }
            td.number { (dollars(run.spent_nanos)) }
        }
    }
}

/// A link to a run.
pub(super) fn at(run: &str) -> Markup {
    html! { a href=(format!("/evaluations/{}", escape(run))) { bdi { (run) } } }
}

fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

pub(super) fn one(visit: &Visit<'_>) -> PageAnswer {
    let database = visit.desk.own_reader()?;
    let report = evaluations::summary(&database, visit.name())?;
    let others = evaluations::runs(&database, (None, PAGE))?;
    let page = format!("/evaluations/{}/page", escape(&report.run));
    let main = html! {
        h1 { "Evaluation " bdi { (report.run) } }
        p.sub { (count(report.n_cases)) " cases of " bdi { (report.dataset) } " " code { (short(&report.version)) } ", each asked " (report.repeats) "×; planned " (moment(report.at_us)) "." }
        @if report.simulated { p.notice { (SIMULATED) } }
        @if !report.whole { p.notice { "The run is not whole: it has no verdict. Next: " code { "crossfade eval watch " (report.run) } } }
        @for candidate in &report.candidates { p { (verdict(&candidate.primary)) " " (coded(&sentence(&candidate.candidate, &report, &candidate.primary))) } }
        p { a href=(page) { "Every case side by side, plots and slices" } }
        (targets(&report))
        @for candidate in &report.candidates { (against(&report, candidate)) }
        h2 { "What the numbers are" }
        dl { @for (name, one) in &report.definitions { dt { bdi { (name) } " " code { (one.id) } } dd { bdi { (one.definition) } } } }
        (beside_form("/evaluations", &report.run, &others.iter().filter(|line| line.of.is_none()).map(|line| line.row.run.as_str()).collect::<Vec<_>>()))
    };
    frame::page(visit, &format!("Evaluation {}", report.run), &main)
}

/// Chooses another one to hold this against.
pub(super) fn beside_form(under: &str, name: &str, others: &[&str]) -> Markup {
    let others: Vec<&&str> = others.iter().filter(|other| **other != name).collect();
    html! {
        @if !others.is_empty() {
            form.filter method="get" action=(format!("{under}/{}/beside", escape(name))) {
                label { "Beside another one" select name="with" { @for other in others { option value=(other) { (other) } } } }
                button { "Compare" }
            }
        }
    }
}

fn verdict(comparison: &Comparison) -> Markup {
    let kind = match comparison.verdict {
        Verdict::Pass => "good",
        Verdict::Fail => "bad",
        Verdict::Undecided => "warn",
    };
    badge(kind, comparison.verdict.as_str())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

fn ends(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || "–".to_owned(),
        |one| format!("{:.0} %: [{:+.4}, {:+.4}]", one.level * 100.0, one.low, one.high),
    )
}

fn targets(report: &Report) -> Markup {
    let mut heads = vec!["Target", "Model"];
    heads.extend(report.definitions.keys().map(String::as_str));
    heads.extend(["Failed", "P50", "P95", "For a case", "For a success"]);
    let time = |target: &TargetSummary, pick: fn(&Speed) -> f64| {
        target.speed_and_cost.latency.as_ref().map_or_else(|| "–".to_owned(), |speed| format!("{:.0} ms", pick(speed)))
    };
    let money = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("${value:.6}"));
    table(
        "Targets, the baseline first",
        &heads,
        &html! {
            @for target in &report.targets {
                tr {
                    td { bdi { (target.name) } @if target.simulated { " " (badge("warn", "simulated")) } }
                    td { bdi { (target.model) } }
                    @for name in report.definitions.keys() { td.number { (number(target.means.get(name).copied().flatten())) } }
                    td.number { (count(target.n_failed)) " of " (count(target.n_answered)) }
                    td.number { (time(target, |speed| speed.p50_ms)) } td.number { (time(target, |speed| speed.p95_ms)) }
                    td.number { (money(target.speed_and_cost.cost_per_case)) } td.number { (money(target.speed_and_cost.cost_per_successful_task)) }
                }
            }
        },
    )
}

fn against(report: &Report, candidate: &CandidateReport) -> Markup {
    let baseline = report.targets.first().map_or("", |target| target.name.as_str());
    let rows = std::iter::once((&report.primary, &candidate.primary)).chain(&candidate.others);
    table(
        &format!("{} against {baseline}; the first metric decides, margin {}", candidate.candidate, report.margin),
        &[
            "Metric",
            "Cases",
            "Baseline",
            "Candidate",
            "Difference",
            "Interval",
            "Lost",
            "Won",
            "Without a number",
            "Made by",
        ],
        &html! {
            @for (name, one) in rows {
                tr {
                    td { bdi { (name) } } td.number { (count(one.n)) } td.number { (number(one.baseline)) } td.number { (number(one.candidate)) }
                    td.number { (one.difference.map_or_else(|| "–".to_owned(), |value| format!("{value:+.4}"))) } td.number { (ends(one.interval)) }
                    @match &one.flips { Some(flips) => { td.number { (flips.lost) } td.number { (flips.won) } } None => { td { "–" } td { "–" } } }
                    td.number { (count(one.n_missing)) } td { span.hint { (one.method) } }
                }
            }
        },
    )
}

/// The page that `crossfade eval report` writes.
pub(super) fn document(visit: &Visit<'_>) -> PageAnswer {
    Ok(frame::document(&evaluations::document(&visit.desk.own_reader()?, visit.name())?))
}

pub(super) fn beside(visit: &Visit<'_>) -> PageAnswer {
    let with = other(visit)?;
    let database = visit.desk.own_reader()?;
    let first = evaluations::summary(&database, visit.name())?;
    let second = evaluations::summary(&database, with)?;
    let found = evaluations::beside(&first, &second);
    let main = html! {
        h1 { "Evaluations " bdi { (first.run) } " and " bdi { (second.run) } }
        @for one in [&first, &second] {
            p { (at(&one.run)) ", " (moment(one.at_us)) ": " @for candidate in &one.candidates { (verdict(&candidate.primary)) " " bdi { (candidate.candidate) } " " }
                @if one.simulated { (badge("warn", "simulated")) } }
        }
        @for note in &found.notes { p.notice { bdi { (coded(note)) } } }
        @if !found.rows.is_empty() { (table("Figures of targets that both have", &["Target", "Figure", &first.run, &second.run, "Change"], &html! {
            @for row in &found.rows {
                tr { td { bdi { (row.target) } } td { bdi { (row.figure) } } td.number { (number(row.first)) } td.number { (number(row.second)) } td.number { (change(row.first, row.second)) } }
            }
        })) }
        p.hint { "Runs of different times have no interval between them: a difference may be chance. Targets that one run asks have one." }
        p { a href=(address(&format!("/evaluations/{}/beside", escape(&second.run)), &[("with".to_owned(), first.run.clone())])) { "The other way round" } }
    };
    frame::page(visit, "Two evaluations", &main)
}

/// The other one that is asked for.
pub(super) fn other<'v>(visit: &'v Visit<'_>) -> Result<&'v str, OperationError> {
    let with = visit.query.text("with");
    with.ok_or_else(|| {
        OperationError::Invalid("`with` says which other one; choose it on the page of this one".to_owned())
    })
}

/// The second by the first.
pub(super) fn change(first: Option<f64>, second: Option<f64>) -> String {
    let change = first.zip(second).filter(|(first, _)| *first > 0.0).map(|(first, second)| second / first - 1.0);
    change
        .map_or_else(|| "–".to_owned(), |change| format!("{}{}", if change > 0.0 { "+" } else { "" }, percent(change)))
}
