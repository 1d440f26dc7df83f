//! Page one: what to do and why, for somebody who has seen nothing else.

use crate::area::{Area, Found, Standing};
use crate::decision::Decision;
use crate::figure::Unit;
use crate::phases::Phase;
use crate::report::{MoveReport, Report, title};
use crate::words::{self, from_to, made, sovereignty};

use super::pieces::{badge, badge_of, behind, class, code, escaped, measured, more, standing, standing_as, value};

/// Workloads that page one has rows for.
const MOST_ROWS: usize = 30;
/// Up to so many have a line on why, too.
const MOST_REASONS: usize = 8;
/// Rows on what is open, where there are up to three workloads.
const MOST_OPEN: usize = 10;
/// Up to so many have their values in the table, too.
const MOST_VALUES: usize = 8;

pub(super) fn page(page: &mut String, report: &Report) {
    *page += "<section class=\"first\">\n";
    match report.moves.as_slice() {
        [only] => one(page, report, only),
        _ => many(page, report),
    }
    *page += "</section>\n";
}

fn head(page: &mut String, report: &Report, of: &str) {
    *page += &format!("<h1>Decision report: {}</h1>\n<p class=\"small\">{}</p>\n", escaped(of), escaped(&made(report)));
    if report.simulated {
        *page += &format!("<p class=\"warn\">{}</p>\n", escaped(&report.headline));
    }
    if let Some(unserved) = words::unserved(report) {
        *page += &format!("<p class=\"warn\"><b>{}</b></p>\n", code(unserved));
    }
    let changed = words::set(report);
    if !changed.is_empty() {
        *page += &format!("<p><b>{}</b></p>\n", escaped(&changed));
    }
}

fn one(page: &mut String, report: &Report, mv: &MoveReport) {
    let asked = if mv.switched { format!("{} has moved", title(mv)) } else { format!("should {} move?", title(mv)) };
    head(page, report, &asked);
    *page += &format!("<p>{}</p>\n", code(&words::targets(mv)));
    *page += &words::live(mv).map_or_else(String::new, |live| format!("<p>{}</p>\n", code(&live)));
    let why = mv.reasons.first().map_or("", String::as_str);
    *page += &format!(
        "<div class=\"box {}\">\n<p>{} <span class=\"say\">{}</span></p>\n<p><b>Why.</b> {} <span class=\"small\">(rule {}; all are on the last page)</span></p>\n\
         <p><b>Do next.</b> {}</p>\n<p><b>If you do nothing:</b> {}</p>\n</div>\n",
        class(mv.decision),
        badge_of(mv),
        code(&mv.verdict),
        code(why),
        mv.rule,
        code(&mv.next),
        code(&mv.idle)
    );
    *page += "<h2>The three differences, candidate against baseline</h2>\n<div class=\"deltas\">\n";
    for (label, figure, words, unknown) in [
        ("Quality", &mv.quality_delta, ["better", "worse"], "no evaluation of both that counts"),
        ("Latency at P95", &mv.latency_delta, ["slower", "faster"], "not measured of both"),
        ("Saving for a successful task", &mv.cost_delta, ["cheaper", "dearer"], "no complete worksheet"),
    ] {
        *page += &format!("<div title=\"{}\"><span class=\"name\">{label}</span>", escaped(&figure.id));
        *page += &match figure.value {
            Some(_) => format!(
                "{} <span class=\"small\">{}</span><br>{}",
                behind(figure, &value(figure)),
                escaped(without_method(figure.interval.as_deref().unwrap_or_default())),
                figure.way(words)
            ),
            None => format!("<b>not known</b><br><span class=\"small\">{unknown}</span>"),
        };
        *page += "</div>\n";
    }
    *page += "</div>\n<h2>Scorecard</h2>\n";
    scorecard(page, mv);
    *page += &format!("<p class=\"small\"><b>{}.</b></p>\n", code(&mv.load));
    *page += &format!("<p class=\"small\">{}</p>\n", code(&words::legend(&report.scorecard)));
    *page += &format!(
        "<h2>Sovereignty, from 1 (pure API) to 5 (nothing leaves the house)</h2>\n<p>{}.</p>\n",
        code(&sovereignty(mv))
    );
    if !mv.risks.is_empty() {
        super::pieces::list(page, "Main risks", &mv.risks, 5);
    }
    super::pieces::list(page, "Capability gaps of the candidate's server", &mv.gaps, 3);
}

/// How sure an interval is and of what, without the name of its method, which the detail has.
fn without_method(interval: &str) -> &str {
    interval.split_once(": ").map_or(interval, |(of, _)| of)
}

/// What is open or fails, why, and the command that settles it: what is required first, as many rows as there is room for.
fn open(page: &mut String, moves: &[&MoveReport], most: usize) {
    let is_listed = |found: &&Found| found.standing != Standing::Pass;
    let of = |is_required: bool| {
        moves.iter().flat_map(move |mv| {
            mv.areas
                .iter()
                .filter(is_listed)
                .filter(move |found| found.required == is_required)
                .map(move |found| (*mv, found))
        })
    };
    let rows: Vec<(&MoveReport, &Found)> = of(true).chain(of(false)).collect();
    let is_back = |mv: &&&MoveReport| mv.live.as_ref().is_some_and(|live| live.taken_back);
    let back: Vec<&MoveReport> = moves.iter().filter(is_back).copied().collect();
    if (rows.is_empty() && back.is_empty()) || most == 0 {
        return;
    }
    *page += "<h2>What is open or fails, and the command for each</h2>\n<table class=\"fine\">\n<colgroup><col class=\"w19\"><col class=\"w31\">\
              <col></colgroup>\n<tr><th>Area</th><th>Why</th><th>What settles it</th></tr>\n";
    for mv in &back {
        let Some(live) = &mv.live else { continue };
        *page += &format!(
            "<tr><td><span class=\"clamp1\"><b>{}</b></span>Live, taken back</td><td><span class=\"clamp3\">{}</span></td><td><span class=\"clamp5\">{}</span></td></tr>\n",
            escaped(&title(mv)),
            code(&live.reason),
            code(&mv.next)
        );
    }
    let most = most.saturating_sub(back.len());
    for (mv, found) in rows.iter().take(most) {
        let settle =
            found.settle.as_deref().unwrap_or("nothing: it is decided; a candidate that was changed is measured again");
        *page += &format!(
            "<tr><td><span class=\"clamp1\"><b>{}</b></span>{}, {}{}</td><td><span class=\"clamp3\">{}</span></td><td><span class=\"clamp5\">{}</span></td></tr>\n",
            escaped(&title(mv)),
            found.area.label(),
            found.standing.label(),
            if found.required { "" } else { ", not required" },
            code(&found.because),
            code(settle)
        );
    }
    *page += "</table>\n";
    if let Some(n) = rows.len().checked_sub(most).filter(|n| *n > 0) {
        *page += &format!("<p class=\"small\">… and {n} more, workload by workload on the pages that follow.</p>\n");
    }
}

/// The five areas of a workload, one below the other.
pub(super) fn scorecard(page: &mut String, mv: &MoveReport) {
    *page += "<table>\n<colgroup><col class=\"w13\"><col class=\"w12\"><col class=\"w18\"><col class=\"w17\"><col></colgroup>\n\
              <tr><th>Area</th><th>Result</th><th>Measured [interval]</th><th>Target</th><th>Why, and what would settle it</th></tr>\n";
    for found in &mv.areas {
        *page += &format!(
            "<tr><td>{}{}</td><td>{}</td><td>{}{}</td><td>{}</td><td>{}</td></tr>\n",
            found.area.label(),
            optional(found),
            standing(found.standing),
            measured(found),
            a_month(found),
            escaped(&found.target),
            why(found)
        );
    }
    *page += &live(mv);
    *page += "</table>\n";
}

/// Below the areas: where the rollout stands, whose guards decide without the scorecard.
fn live(mv: &MoveReport) -> String {
    let Some((live, [result, target])) = mv.live.as_ref().zip(words::live_result(mv)) else { return String::new() };
    let chip = if live.taken_back { standing_as(Standing::Fail, result) } else { format!("<b>{result}</b>") };
    format!(
        "<tr><td>Live rollout</td><td>{chip}</td><td>{} <span class=\"small\">of users' requests</span></td><td>{target}</td><td><span class=\"clamp3\">{}</span></td></tr>\n",
        behind(&live.share, &value(&live.share)),
        code(&words::live_why(live))
    )
}

fn optional(found: &Found) -> &'static str {
    if found.required { "" } else { "<br><span class=\"small\">not required</span>" }
}

fn why(found: &Found) -> String {
    let settle =
        found.settle.as_ref().map(|settle| format!("<span class=\"clamp6\"><b>To settle:</b> {}</span>", code(settle)));
    format!("<span class=\"clamp5\">{}</span> {}", code(&found.because), settle.unwrap_or_default())
}

fn many(page: &mut String, report: &Report) {
    let n = report.moves.len();
    head(page, report, &format!("which of {n} workloads should move?"));
    if n == 0 {
        *page += "<div class=\"box\"><p><span class=\"say\">Not enough evidence: the config has no route to decide on.</span></p></div>\n";
        return;
    }
    for phase in &report.phases {
        let decision = phase.decision;
        let advice = match decision {
            Decision::Switch => "Everything required is proven.",
            Decision::Hybridize => "A part of each is proven; the rest stays where it is.",
            Decision::NotEnoughEvidence
                if report.moves.iter().any(|mv| mv.rule == "R1" && phase.keys.contains(&mv.key)) =>
            {
                "Go no further with these: what is required is not proven, or it was taken back before and has to prove itself again."
            }
            Decision::NotEnoughEvidence => {
                "Go no further with these: what is required is not proven, and nothing proven says no."
            }
            Decision::Stay if report.moves.iter().any(|mv| mv.switched && phase.keys.contains(&mv.key)) => {
                "These were switched, and what is seen since says no: take them back."
            }
            Decision::Stay => {
                "The candidate is not to answer these: what is proven says no. Below stands what is live and how to take it back."
            }
        };
        // Of one workload its own verdict, which names the number.
        let only = report.moves.iter().find(|mv| phase.keys.as_slice() == [mv.key.clone()]);
        let advice = only.map_or_else(|| advice.to_owned(), |mv| code(&mv.verdict));
        *page += &format!(
            "<div class=\"box {}\">\n<p class=\"clamp3\">{} <b>{}</b> <span class=\"small\">({} of {n} workloads · {})</span></p>\n<p>{advice}</p>\n{}</div>\n",
            class(decision),
            badge_of_all(report, phase),
            escaped(&phase.workloads.join(", ")),
            phase.workloads.len(),
            phase.name,
            commonest(report, phase)
        );
    }
    if is_listed(report) {
        *page += "<h2>What to do, and why</h2>\n<ul>\n";
        // A box of one workload has said it.
        let is_said = |mv: &&&MoveReport| report.phases.iter().any(|phase| phase.keys.as_slice() == [mv.key.clone()]);
        for mv in report.in_order().iter().filter(|mv| !is_said(mv)) {
            *page += &format!(
                "<li><span class=\"{}\"><b>{}</b>: {} {} <b>If you do nothing:</b> {}</span></li>\n",
                if n <= MOST_REASONS / 2 { "clamp6" } else { "clamp3" },
                escaped(&title(mv)),
                code(&mv.verdict),
                code(&mv.next),
                code(&mv.idle)
            );
        }
        *page += "</ul>\n";
    }
    matrix(page, report);
    *page += &format!(
        "<p class=\"small\">{} Order: safe to move first, low risk before high, larger saving before smaller.</p>\n",
        code(&words::legend(&report.scorecard))
    );
    let most = match n {
        0..=2 => MOST_OPEN,
        3 => 3,
        _ => 0,
    };
    open(page, &report.in_order(), most);
}

/// The badge of a phase: that of its workloads, where it is one.
fn badge_of_all(report: &Report, phase: &Phase) -> String {
    let mut of = report.moves.iter().filter(|mv| phase.keys.contains(&mv.key));
    match of.next() {
        Some(first) if of.all(|mv| mv.label() == first.label()) => badge_of(first),
        _ => badge(phase.decision),
    }
}

/// Whether what to do is said workload by workload. Where every phase is of one workload its box has said it.
fn is_listed(report: &Report) -> bool {
    report.moves.len() <= MOST_REASONS && report.phases.iter().any(|phase| phase.workloads.len() > 1)
}

/// What keeps the workloads of a decision from moving, the commonest first.
fn commonest(report: &Report, phase: &Phase) -> String {
    let decision = phase.decision;
    let counts = |found: &Found| match decision {
        Decision::NotEnoughEvidence => found.required && found.standing != Standing::Pass,
        Decision::Stay => found.required && found.standing == Standing::Fail,
        Decision::Switch | Decision::Hybridize => false,
    };
    let of_decision = || report.moves.iter().filter(|mv| phase.keys.contains(&mv.key));
    let mut areas: Vec<(usize, Area)> = Area::ALL
        .into_iter()
        .map(|area| {
            (of_decision().filter(|mv| mv.areas.iter().any(|found| found.area == area && counts(found))).count(), area)
        })
        .filter(|(n, _)| *n > 0)
        .collect();
    areas.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let Some(first) = of_decision().min_by_key(|mv| place(report, mv)) else { return String::new() };
    let n_back = of_decision().filter(|mv| mv.live.as_ref().is_some_and(|live| live.taken_back)).count();
    let back = (decision == Decision::Stay && n_back > 0).then(|| format!("taken back live in {n_back}"));
    let n_before = of_decision().filter(|mv| mv.rule == "R1").count();
    let before = (n_before > 0).then(|| format!("taken back before in {n_before}"));
    if areas.is_empty() && back.is_none() && before.is_none() && of_decision().count() > 1 && is_listed(report) {
        return "<p><b>Do next:</b> the command of each is under “What to do, and why”.</p>\n".to_owned();
    }
    if areas.is_empty() && back.is_none() && before.is_none() {
        return format!(
            "<p class=\"clamp6\"><b>Do next</b>, with {}. {} <b>If you do nothing:</b> {}</p>\n",
            escaped(&title(first)),
            code(&first.next),
            code(&first.idle)
        );
    }
    // Of one workload its verdict has named them.
    if of_decision().count() == 1 {
        return format!(
            "<p class=\"clamp6\"><b>Do next.</b> {} <b>If you do nothing:</b> {}</p>\n",
            code(&first.next),
            code(&first.idle)
        );
    }
    let word = if decision == Decision::Stay { "What fails" } else { "What is open" };
    let listed = areas.iter().map(|(n, area)| format!("{} in {n} of them", area.label()));
    let listed: Vec<String> = listed.chain(back).chain(before).collect();
    if is_listed(report) {
        return format!(
            "<p class=\"clamp6\"><b>{word}:</b> {}. <b>Do next:</b> the command of each is under “What to do, and why”.</p>\n",
            listed.join(", ")
        );
    }
    format!(
        "<p class=\"clamp6\"><b>{word}:</b> {}. <b>Do next, with {}.</b> {} <b>If you do nothing:</b> {}</p>\n",
        listed.join(", "),
        escaped(&title(first)),
        code(&first.next),
        code(&first.idle)
    )
}

/// Where a move stands in the order of phases.
fn place(report: &Report, mv: &MoveReport) -> usize {
    report.in_order().iter().position(|other| other.key == mv.key).unwrap_or(usize::MAX)
}

/// A row for each workload, a column for each area.
fn matrix(page: &mut String, report: &Report) {
    let is_wide = report.moves.len() <= MOST_VALUES;
    let table = if is_wide { "" } else { " class=\"cut small\"" };
    *page += &format!(
        "<h2>Scorecard</h2>\n<table{table}>\n<colgroup><col class=\"{}\"><col class=\"{}\">",
        if is_wide { "w17" } else { "w27" },
        if is_wide { "w13" } else { "w17" }
    );
    // The cell of costs has most to say.
    *page += "<col><col><col><col><col class=\"w18\"></colgroup>\n<tr><th>Workload</th><th>Decision</th>";
    let first = report.moves.first();
    for found in first.iter().flat_map(|mv| &mv.areas) {
        *page += &format!("<th>{}{}</th>", found.area.label(), optional(found));
    }
    *page += "</tr>\n";
    let moves = report.in_order();
    for mv in moves.iter().take(MOST_ROWS) {
        let live = mv.live.as_ref().zip(words::live_result(mv));
        let live = live.map(|(live, [result, _])| format!("<br>live: {result}, {}", live.share.shown()));
        let live = live.unwrap_or_default();
        let from_to = if is_wide {
            format!("<br><span class=\"small\">{}{live}</span>", escaped(&from_to(mv)))
        } else {
            String::new()
        };
        *page += &format!("<tr><td><b>{}</b>{from_to}</td><td>{}</td>", escaped(&title(mv)), badge_of(mv));
        for found in &mv.areas {
            let values = if is_wide { format!("<br>{}{}", measured(found), a_month(found)) } else { String::new() };
            *page += &format!("<td>{}{values}</td>", standing(found.standing));
        }
        *page += "</tr>\n";
    }
    *page += "</table>\n";
    *page += &more(moves.len().saturating_sub(MOST_ROWS));
    *page += &format!("<p class=\"small\"><b>Targets.</b> {}.</p>\n", escaped(&targets(report)));
    if is_wide {
        for mv in &moves {
            *page += &format!("<p class=\"small\"><b>{}.</b> {}.</p>\n", escaped(&title(mv)), code(&mv.load));
        }
    }
}

/// Dollars a month, in the cell of costs.
fn a_month(found: &Found) -> String {
    let month = found.figures.iter().find(|figure| found.area == Area::Tco && figure.id.ends_with(".tco.per_month"));
    let saved = month.and_then(|figure| figure.value);
    let saved = saved.map(|saved| format!("<br><span class=\"small\">as stated, {}</span>", words::a_month(saved)));
    saved.unwrap_or_default()
}

/// What is demanded of all; of load, each its own.
fn targets(report: &Report) -> String {
    let card = &report.scorecard;
    let share = |share: f64| Unit::Share.shown(share);
    format!(
        "Task quality: mean score ≥ {} of the baseline's · Latency: P95 of the {} < {} ms at the workload's own peak · Throughput: holds that peak and {} more · \
         Safety: no critical failure · Cost: saves ≥ {}, {} sure",
        share(card.quality.parity.0),
        card.latency.of.words(),
        card.latency.p95_ms,
        share(card.throughput.headroom.0),
        share(card.tco.saving.0),
        share(card.tco.certainty.0)
    )
}
