//! Pages two to five: workload by workload, as much of each as there is room for.

use crate::area::Standing;
use crate::plot;
use crate::quality::Part;
use crate::report::{MoveReport, Report, title};
use crate::words::{self, from_to, sovereignty, targets};

use super::pieces::{badge_of, code, escaped, list, more, number, standing, value};

/// Sheets there are for workloads.
const SHEETS: usize = 4;
/// Workloads on a sheet where each has a few lines.
const BRIEF: usize = 8;

pub(super) fn pages(page: &mut String, report: &Report) {
    let moves = report.in_order();
    match moves.len() {
        0 => {}
        1 | 2 => moves.iter().for_each(|mv| whole(page, report, mv, (6, "detail sheet"))),
        n if n <= SHEETS => moves.iter().for_each(|mv| whole(page, report, mv, (3, "detail page"))),
        n if n <= 2 * SHEETS => halves(page, &moves),
        n => {
            *page += "<section class=\"sheet\">\n<h2>Workload by workload</h2>\n";
            // The heading takes the place of one.
            let most = SHEETS * BRIEF - 1;
            for mv in moves.iter().take(most) {
                brief(page, mv);
            }
            *page += &more(n.saturating_sub(most));
            *page += "</section>\n";
        }
    }
}

fn head(page: &mut String, mv: &MoveReport) {
    let risk = mv.risk.as_ref().map(|risk| format!(" · {} risk", escaped(risk))).unwrap_or_default();
    *page += &format!(
        "<h2>{} {}</h2>\n<p class=\"clamp2\">{}{risk} · rule {}: {}</p>\n",
        escaped(&title(mv)),
        badge_of(mv),
        code(&targets(mv)),
        mv.rule,
        code(mv.reasons.first().map_or("", String::as_str))
    );
    if mv.simulated {
        *page += "<p class=\"warn\">Some answers behind this are made up by a simulated provider.</p>\n";
    }
}

/// A workload with its plots, its gates and so many lines of each list.
pub(super) fn whole(page: &mut String, report: &Report, mv: &MoveReport, (most, class): (usize, &str)) {
    *page += &format!("<section class=\"{class}\">\n");
    head(page, mv);
    if report.moves.len() > 1 || most == usize::MAX {
        *page += &format!("<p><b>{}</b> {}</p>\n", code(&mv.verdict), code(&mv.next));
        super::first::scorecard(page, mv);
        *page += &deltas(mv);
    }
    *page += &plots(report, mv);
    parts(page, "Parts that could move by themselves", &mv.good_parts, most);
    parts(page, "Parts that should stay", &mv.worse_parts, most);
    live(page, mv, most);
    list(page, "Risks", &mv.risks, most);
    list(page, "Capability gaps of the candidate's server", &mv.gaps, most);
    list(page, "Open questions, with what settles them", &mv.questions, most.max(5));
    figures(page, mv, most);
    if report.moves.len() > 1 || most == usize::MAX {
        *page += &format!("<p><b>Sovereignty.</b> {}.</p>\n", code(&sovereignty(mv)));
    }
    *page += "</section>\n";
}

/// The figures of every area, with what kind of interval each has; where everything is in the appendix they are listed there.
fn figures(page: &mut String, mv: &MoveReport, most: usize) {
    if most == usize::MAX {
        return;
    }
    let known: Vec<_> = mv
        .figures()
        .filter(|figure| figure.value.is_some() && !figure.id.contains(".live.") && !figure.id.contains(".part."))
        .collect();
    if known.is_empty() {
        return;
    }
    *page += "<h3>Measured</h3>\n<table class=\"small\">\n<colgroup><col class=\"w52\"><col class=\"w24\"><col></colgroup>\n";
    for figure in known.iter().take(3 * most) {
        *page += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escaped(&figure.label),
            escaped(&figure.shown()),
            escaped(figure.interval.as_deref().unwrap_or_default())
        );
    }
    *page += "</table>\n";
    *page += &more(known.len().saturating_sub(3 * most));
}

/// Two on a sheet.
fn halves(page: &mut String, moves: &[&MoveReport]) {
    for sheet in moves.chunks(2) {
        *page += "<div class=\"sheet\">\n";
        for mv in sheet {
            *page += "<section class=\"detail half\">\n";
            head(page, mv);
            *page += &format!("<p class=\"clamp2\"><b>{}</b> {}</p>\n", code(&mv.verdict), code(&mv.next));
            super::first::scorecard(page, mv);
            *page += &deltas(mv);
            let line = |page: &mut String, name: &str, lines: &[String]| {
                if !lines.is_empty() {
                    *page += &format!("<p class=\"clamp2\"><b>{name}.</b> {}</p>\n", code(&lines.join(" ")));
                }
            };
            line(page, "Risks", &mv.risks);
            line(page, "Capability gaps", &mv.gaps);
            *page += "</section>\n";
        }
        *page += "</div>\n";
    }
}

/// A few lines.
fn brief(page: &mut String, mv: &MoveReport) {
    let open: Vec<String> = mv
        .areas
        .iter()
        .filter(|found| found.required && found.standing != Standing::Pass)
        .map(|found| format!("{} {} ({})", found.area.label(), found.standing.label(), found.because))
        .collect();
    let open = if open.is_empty() { "every required area passes".to_owned() } else { open.join("; ") };
    *page += &format!(
        "<div class=\"brief\"><p>{} <b>{}</b> <span class=\"small\">{} · rule {}</span></p>\n<p class=\"clamp2\"><b>{}</b></p>\n<p class=\"clamp1\">{}</p>\n\
         <p class=\"clamp2\">{}</p>\n<p class=\"clamp2\"><b>Do next.</b> {}</p></div>\n",
        badge_of(mv),
        escaped(&title(mv)),
        escaped(&from_to(mv)),
        mv.rule,
        code(&mv.verdict),
        line_of_deltas(mv),
        code(&open),
        code(&mv.next)
    );
}

fn line_of_deltas(mv: &MoveReport) -> String {
    let shown = [("quality", &mv.quality_delta), ("latency P95", &mv.latency_delta), ("saving a task", &mv.cost_delta)];
    shown.map(|(name, figure)| format!("{name} {}", escaped(&figure.shown()))).join(" · ")
}

fn deltas(mv: &MoveReport) -> String {
    let shown = [
        ("Quality delta", &mv.quality_delta),
        ("Latency delta, P95", &mv.latency_delta),
        ("Saving for a successful task", &mv.cost_delta),
    ];
    let cell = |(name, figure)| format!("<div>{name} {}</div>\n", value(figure));
    format!("<div class=\"deltas\">\n{}</div>\n", shown.map(cell).concat())
}

fn plots(report: &Report, mv: &MoveReport) -> String {
    let kept = mv.areas.iter().flat_map(|found| &found.figures).find(|figure| figure.id.ends_with(".quality.parity"));
    let demands = &report.scorecard;
    let all = [
        (
            kept.and_then(|kept| plot::parity(kept, demands.quality.parity.0)),
            "Mean score, as a share of the baseline's".to_owned(),
        ),
        (
            plot::times(&mv.plots.times, demands.latency.p95_ms as f64),
            format!("Answers within a time, {}: dashed the baseline, solid the candidate", demands.latency.of.words()),
        ),
        (
            mv.plots.saving.as_ref().and_then(|drawn| plot::saving(drawn, demands.tco.saving.0)),
            "Saving for a successful task, over all draws".to_owned(),
        ),
    ];
    let drawn: String = all
        .into_iter()
        .filter_map(|(svg, caption)| Some(format!("<figure>{}<figcaption>{caption}</figcaption></figure>\n", svg?)))
        .collect();
    if drawn.is_empty() { drawn } else { format!("<div class=\"plots\">\n{drawn}</div>\n") }
}

fn parts(page: &mut String, heading: &str, parts: &[Part], most: usize) {
    if parts.is_empty() {
        return;
    }
    *page += &format!(
        "<h3>{heading}</h3>\n<table><tr><th>Part</th><th>Cases</th><th>Quality delta</th><th>Kept</th></tr>\n"
    );
    for part in parts.iter().take(most) {
        *page += &format!(
            "<tr><td>{}</td><td>{}</td>{}{}</tr>\n",
            escaped(&part.slice),
            part.cases,
            number(&part.difference),
            number(&part.parity)
        );
    }
    *page += "</table>\n";
    *page += &more(parts.len().saturating_sub(most));
}

fn live(page: &mut String, mv: &MoveReport, most: usize) {
    let Some(live) = &mv.live else { return };
    *page += &format!(
        "<h3>{}</h3>\n<p class=\"clamp2\">{}</p>\n",
        code(&words::live(mv).unwrap_or_default()),
        escaped(&live.reason)
    );
    if live.gates.is_empty() {
        return;
    }
    *page += "<table><tr><th>Gate</th><th>n</th><th>Difference</th><th>Margin</th><th></th></tr>\n";
    for gate in live.gates.iter().take(most) {
        let word = if gate.passed { Standing::Pass } else { Standing::Undecided };
        *page += &format!(
            "<tr><td>{}</td><td>{}</td>{}{}<td>{}</td></tr>\n",
            escaped(&gate.name),
            gate.n,
            number(&gate.difference),
            number(&gate.margin),
            standing(word)
        );
    }
    *page += "</table>\n";
    *page += &more(live.gates.len().saturating_sub(most));
}
