//! The report as one page that needs nothing else, and prints on few.

use crate::area::{Found, Standing};
use crate::decision::Decision;
use crate::figure::Figure;
use crate::outcomes::Outcomes;
use crate::phases;
use crate::plot;
use crate::quality::Part;
use crate::report::{MoveReport, Report, title};
use crate::words::{aged, conditions, from_to, made, sovereignty};

const STYLE: &str = "\
@page{size:A4;margin:12mm 13mm}\
*{box-sizing:border-box}\
body{font:13px/1.42 system-ui,'Segoe UI','DejaVu Sans',sans-serif;color:#1f2328;background:#fff;max-width:62rem;margin:1.5rem auto;padding:0 1rem}\
h1{font-size:1.35rem;margin:0 0 .3rem}h2{font-size:1.05rem;margin:1.1rem 0 .35rem;break-after:avoid}h3{font-size:.95rem;margin:.7rem 0 .2rem;break-after:avoid}\
p{margin:.25rem 0}ul{margin:.2rem 0 .4rem;padding-left:1.1rem}li{margin:.1rem 0}\
table{border-collapse:collapse;width:100%;margin:.3rem 0}th,td{text-align:left;vertical-align:top;padding:.2rem .45rem;border-bottom:1px solid #d1d9e0;overflow-wrap:break-word}\
th{font-weight:600;background:#f6f8fa}tr{break-inside:avoid}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}\
.small,.small td,.small th{font-size:11px;color:#59636e}.small td{overflow-wrap:anywhere}.head{font-size:1.05rem;font-weight:600;border-left:5px solid #59636e;padding:.35rem .7rem;background:#f6f8fa;margin:.5rem 0}\
.simulated{border-color:#9a6700;background:#fff8c5}\
.d{display:inline-block;padding:.05rem .5rem;border-radius:.7rem;font-weight:700;color:#fff;white-space:nowrap}\
.d.switch{background:#1a7f37}.d.hybridize{background:#0969da}.d.stay{background:#cf222e}.d.open{background:#9a6700}\
.pass{color:#1a7f37;font-weight:700}.fail{color:#cf222e;font-weight:700}.undecided,.not_run{color:#9a6700;font-weight:700}\
.workload{break-before:page}.plots{display:flex;gap:.8rem;margin:.3rem 0}.plots figure{margin:0;flex:1;min-width:0}figcaption{font-size:11px;color:#59636e}\
svg{width:100%;height:auto;font:10px system-ui,sans-serif}svg text{fill:#59636e}svg line.axis,svg line.grid{stroke:#8c959f}svg line.grid{stroke-dasharray:2 3}\
svg line.limit{stroke:#cf222e;stroke-dasharray:4 3}svg line.range{stroke:#0969da;stroke-width:4}svg circle{fill:#0969da}\
svg polyline{fill:none;stroke-width:1.8}svg polyline.baseline{stroke:#8c959f}svg polyline.candidate{stroke:#0969da}svg rect.reached{fill:#1a7f37}svg rect.missed{fill:#8c959f}\
@media print{body{margin:0;padding:0;max-width:none;font-size:11px}.small,.small td,.small th{font-size:8.5px}}";

/// The report as a page.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Decision report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    first_page(&mut page, report);
    for mv in &report.moves {
        workload(&mut page, report, mv);
    }
    last_page(&mut page, report);
    page + "</body>\n</html>\n"
}

fn first_page(page: &mut String, report: &Report) {
    let class = if report.simulated { "head simulated" } else { "head" };
    *page += &format!(
        "<h1>Decision report: stay, switch or hybridize</h1>\n<p class=\"{class}\">{}</p>\n<p class=\"small\">{}</p>\n",
        escaped(&report.headline),
        escaped(&made(report))
    );
    *page += "<table><tr><th>Workload</th><th>Decision</th><th>Quality delta</th><th>Latency delta, P95</th><th>Saving a task</th></tr>\n";
    for mv in &report.moves {
        *page += &format!(
            "<tr><td><b>{}</b><br>{}</td><td>{}<br><span class=\"small\">rule {}</span></td>{}{}{}</tr>\n",
            escaped(&title(mv)),
            escaped(&from_to(mv)),
            badge(mv.decision),
            mv.rule,
            number(&mv.quality_delta),
            number(&mv.latency_delta),
            number(&mv.cost_delta)
        );
    }
    *page += "</table>\n<h2>What to do, and why</h2>\n<ul>\n";
    for mv in &report.moves {
        let why = mv.reasons.first().map_or("", String::as_str);
        *page += &format!("<li><b>{}</b>: {} {}</li>\n", escaped(&title(mv)), escaped(why), code(&mv.next));
    }
    *page += "</ul>\n<h2>Scorecard</h2>\n<table><tr><th>Area</th><th>Demanded</th>";
    for mv in &report.moves {
        *page += &format!("<th>{}</th>", escaped(&title(mv)));
    }
    *page += "</tr>\n";
    if let Some(first) = report.moves.first() {
        for (idx, area) in first.areas.iter().enumerate() {
            let required = if area.required { "" } else { " (not required)" };
            *page += &format!("<tr><td>{}{required}</td><td>{}</td>", area.area.label(), escaped(&area.asks));
            for found in report.moves.iter().filter_map(|mv| mv.areas.get(idx)) {
                *page += &format!("<td>{}</td>", standing(found.standing));
            }
            *page += "</tr>\n";
        }
    }
    *page += &format!("</table>\n<p class=\"small\">{}</p>\n", aged(&report.scorecard));
    *page += "<h2>Which workloads first</h2>\n<ul>\n";
    for phase in &report.phases {
        *page += &format!("<li><b>{}</b>: {}</li>\n", phase.name, escaped(&phase.workloads.join(", ")));
    }
    *page += &format!("</ul>\n<p class=\"small\">{}</p>\n", phases::RULES.join(" "));
    *page += "<h2>Sovereignty</h2>\n<ul>\n";
    for mv in &report.moves {
        *page += &format!("<li><b>{}</b>: {}</li>\n", escaped(&title(mv)), escaped(&sovereignty(mv)));
    }
    *page += "</ul>\n";
}

fn workload(page: &mut String, report: &Report, mv: &MoveReport) {
    let risk = mv.risk.as_ref().map(|risk| format!(" · {} risk", escaped(risk))).unwrap_or_default();
    *page += &format!(
        "<section class=\"workload\">\n<h2>{} {}</h2>\n<p>{}{risk} · rule {}</p>\n",
        escaped(&title(mv)),
        badge(mv.decision),
        escaped(&from_to(mv)),
        mv.rule
    );
    if mv.simulated {
        *page += "<p class=\"head simulated\">Some answers behind this are made up by a simulated provider.</p>\n";
    }
    *page += &format!("<p><b>Next.</b> {}</p>\n", code(&mv.next));
    *page += "<table><tr><th>Area</th><th></th><th>Why</th><th>What would settle it</th></tr>\n";
    for found in &mv.areas {
        *page += &area(found);
    }
    *page += "</table>\n";
    *page += &plots(report, mv);
    *page += &parts("Parts that could move by themselves", &mv.good_parts);
    *page += &parts("Parts that should stay", &mv.worse_parts);
    if let Some(live) = &mv.live {
        *page += &format!(
            "<h3>Live: rollout <code>{}</code> at {}</h3>\n<p>{}</p>\n",
            escaped(&live.rollout),
            escaped(&live.label),
            escaped(&live.reason)
        );
        *page += "<table><tr><th>Gate</th><th>n</th><th>Difference</th><th>Margin</th><th></th></tr>\n";
        for gate in &live.gates {
            let word = if gate.passed { Standing::Pass } else { Standing::Undecided };
            *page += &format!(
                "<tr><td>{}</td><td class=\"n\">{}</td>{}{}<td>{}</td></tr>\n",
                escaped(&gate.name),
                gate.n,
                number(&gate.difference),
                number(&gate.margin),
                standing(word)
            );
        }
        *page += "</table>\n";
    }
    list(page, "Risks", &mv.risks);
    list(page, "Capability gaps", &mv.gaps);
    list(page, "Open questions, with what settles them", &mv.questions);
    *page += "</section>\n";
}

fn area(found: &Found) -> String {
    let required = if found.required { "" } else { " (not required)" };
    let figures: Vec<String> = found
        .figures
        .iter()
        .map(|figure| {
            format!(
                "<span title=\"{}\">{}: {}</span>",
                escaped(&figure.id),
                escaped(&figure.label),
                escaped(&figure.shown())
            )
        })
        .collect();
    format!(
        "<tr><td>{}{required}</td><td>{}</td><td>{}<br><span class=\"small\">{}</span></td><td>{}</td></tr>\n",
        found.area.label(),
        standing(found.standing),
        code(&found.because),
        figures.join(" · "),
        found.settle.as_deref().map(code).unwrap_or_default()
    )
}

fn plots(report: &Report, mv: &MoveReport) -> String {
    let kept = mv.areas.iter().flat_map(|found| &found.figures).find(|figure| figure.id.ends_with(".quality.parity"));
    let demands = &report.scorecard;
    let all = [
        (
            kept.and_then(|kept| plot::parity(kept, demands.quality.parity.0)),
            "Share of the baseline's quality kept".to_owned(),
        ),
        (
            plot::times(&mv.plots.times, demands.latency.p95_ms as f64),
            format!("Answers within a time, {}: grey the baseline, blue the candidate", demands.latency.of.words()),
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

fn parts(heading: &str, parts: &[Part]) -> String {
    if parts.is_empty() {
        return String::new();
    }
    let mut text =
        format!("<h3>{heading}</h3>\n<table><tr><th>Part</th><th>Cases</th><th>Quality delta</th><th>Kept</th></tr>\n");
    for part in parts {
        text += &format!(
            "<tr><td>{}</td><td class=\"n\">{}</td>{}{}</tr>\n",
            escaped(&part.slice),
            part.cases,
            number(&part.difference),
            number(&part.parity)
        );
    }
    text + "</table>\n"
}

fn last_page(page: &mut String, report: &Report) {
    for of in &report.outcomes {
        outcomes(page, of);
    }
    let stale: Vec<String> = report.stale.iter().map(|one| format!("{}: {}.", one.what, one.why)).collect();
    *page += "<section class=\"workload\">\n";
    list(page, "Evidence that is not counted", &stale);
    list(page, "Of the rows", &report.notes);
    *page += "<h2>Rules</h2>\n<p>The first whose conditions hold decides.</p>\n<table class=\"small\"><tr><th></th><th>When</th><th>Then</th><th>Why</th></tr>\n";
    for rule in &report.rules {
        *page += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            rule.id,
            conditions(rule),
            rule.then.label(),
            rule.says
        );
    }
    *page += "</table>\n<h2>Where every figure is from</h2>\n<p><code>crossfade report verify bundle.tar</code> makes each again from these rows, offline.</p>\n\
              <table class=\"small\"><tr><th>Figure</th><th>What</th><th>Value</th><th>Interval</th><th>Rows</th></tr>\n";
    for figure in report.moves.iter().flat_map(MoveReport::figures).filter(|figure| figure.value.is_some()) {
        *page += &format!(
            "<tr><td>{}</td><td>{}</td>{}<td>{}</td><td>{}</td></tr>\n",
            escaped(&figure.id),
            escaped(&figure.label),
            number(figure),
            escaped(figure.interval.as_deref().unwrap_or_default()),
            escaped(&figure.rows.join(", "))
        );
    }
    *page += "</table>\n</section>\n";
}

fn outcomes(page: &mut String, of: &Outcomes) {
    *page += &format!("<h2>Business outcomes of {}</h2>\n", escaped(&of.source));
    *page += "<table><tr><th>Metric</th><th>Cohort</th><th>Baseline</th><th>Candidate</th><th>Difference</th><th></th></tr>\n";
    for line in &of.lines {
        *page += &format!(
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{} (n {})</td><td class=\"n\">{} (n {})</td>{}<td>{}</td></tr>\n",
            escaped(&line.metric),
            escaped(line.cohort.as_deref().unwrap_or("all")),
            escaped(&line.baseline.shown()),
            line.n.0,
            escaped(&line.candidate.shown()),
            line.n.1,
            number(&line.difference),
            line.says
        );
    }
    *page += "</table>\n";
    if of.n_bad > 0 {
        *page += &format!("<p>{} rows are left out: {}</p>\n", of.n_bad, escaped(&of.bad.join("; ")));
    }
}

fn list(page: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    *page += &format!("<h3>{heading}</h3>\n<ul>\n");
    for line in lines {
        *page += &format!("<li>{}</li>\n", code(line));
    }
    *page += "</ul>\n";
}

fn badge(decision: Decision) -> String {
    let class = match decision {
        Decision::Switch => "switch",
        Decision::Hybridize => "hybridize",
        Decision::Stay => "stay",
        Decision::NotEnoughEvidence => "open",
    };
    format!("<span class=\"d {class}\">{}</span>", decision.label())
}

fn standing(standing: Standing) -> String {
    format!("<span class=\"{}\">{}</span>", standing.as_str(), standing.label())
}

/// The value over its interval, so that the columns stay narrow.
fn number(figure: &Figure) -> String {
    let shown = escaped(&figure.shown());
    let shown = shown.replacen(" [", "<br><span class=\"small\">[", 1);
    let end = if shown.contains("<span") { "</span>" } else { "" };
    format!("<td class=\"n\" title=\"{}\">{shown}{end}</td>", escaped(&figure.id))
}

/// Text with what stands between backticks as code.
fn code(text: &str) -> String {
    let mut html = String::new();
    for (idx, piece) in escaped(text).split('`').enumerate() {
        html += match idx {
            0 => "",
            idx if idx % 2 == 1 => "<code>",
            _ => "</code>",
        };
        html += piece;
    }
    if text.matches('`').count() % 2 == 1 { html + "</code>" } else { html }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
