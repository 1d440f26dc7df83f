//! The report as Markdown.

use inventory::matrix::render::markdown_cell as cell;

use crate::area::Found;
use crate::outcomes::Outcomes;
use crate::phases;
use crate::quality::Part;
use crate::report::{MoveReport, Report, title};
use crate::words::{self, conditions, from_to, legend, made, set, sovereignty, targets};

/// The report as Markdown.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = format!("# Decision report\n\n**{}**\n\n{}\n\n", cell(&report.headline), made(report));
    if let Some(unserved) = words::unserved(report) {
        text += &format!("**{}**\n\n", cell(unserved));
    }
    let changed = set(report);
    if !changed.is_empty() {
        text += &format!("**{}**\n\n", cell(&changed));
    }
    for mv in report.in_order() {
        text += &format!("- **{}: {}.** {} {}\n", cell(&title(mv)), mv.label(), cell(&mv.verdict), cell(&mv.next));
    }
    text += "\n";
    text +=
        "| workload | decision | quality delta | latency delta | saving | rule (below) |\n|---|---|---|---|---|---|\n";
    for mv in report.in_order() {
        text += &row(&[
            &format!("{} {}", title(mv), from_to(mv)),
            &format!("**{}**", mv.label()),
            &mv.quality_delta.shown(),
            &mv.latency_delta.shown(),
            &mv.cost_delta.shown(),
            mv.rule,
        ]);
    }
    for mv in report.in_order() {
        one(&mut text, mv);
    }
    text += "\n## Phases\n\n";
    for phase in &report.phases {
        text += &format!("- {}: {}\n", phase.name, cell(&phase.workloads.join(", ")));
    }
    for rule in phases::RULES {
        text += &format!("- {rule}\n");
    }
    for of in &report.outcomes {
        outcomes(&mut text, of);
    }
    list(
        &mut text,
        "Evidence that is not counted",
        report.stale.iter().map(|one| format!("{}: {}.", one.what, one.why)),
    );
    list(&mut text, "Of the rows", report.notes.iter().cloned());
    text +=
        "\n## Rules\n\nThe first whose conditions hold decides.\n\n| rule | when | then | why |\n|---|---|---|---|\n";
    for rule in &report.rules {
        text += &row(&[rule.id, &conditions(rule), rule.then.label(), rule.says]);
    }
    text += &format!(
        "\n{}\n\n## Every figure\n\n| figure | what | value | interval | rows |\n|---|---|---|---|---|\n",
        cell(&legend(&report.scorecard))
    );
    for figure in report.moves.iter().flat_map(MoveReport::figures) {
        let interval = figure.interval.clone().unwrap_or_default();
        text += &row(&[&figure.id, &figure.label, &figure.shown(), &interval, &figure.rows.join(", ")]);
    }
    text += "\n`crossfade report verify bundle.tar` makes every figure again from these rows.\n";
    text
}

fn one(text: &mut String, mv: &MoveReport) {
    let risk = mv.risk.as_ref().map(|risk| format!(", {risk} risk")).unwrap_or_default();
    *text += &format!(
        "\n## {}{risk}: {}\n\n{}\n\n**{}** {} (rule {}).\n\n**Next:** {}\n\n**If you do nothing:** {}\n\n",
        cell(&title(mv)),
        mv.label(),
        cell(&targets(mv)),
        cell(&mv.verdict),
        cell(mv.reasons.first().map_or("", |reason| reason.trim_end_matches('.'))),
        mv.rule,
        cell(&mv.next),
        cell(&mv.idle)
    );
    *text += "| area | result | measured | target | why | would settle it |\n|---|---|---|---|---|---|\n";
    for found in &mv.areas {
        *text += &area(found);
    }
    if let Some((live, [result, target])) = mv.live.as_ref().zip(words::live_result(mv)) {
        *text +=
            &row(&["Live rollout", &format!("**{result}**"), &live.share.shown(), target, &words::live_why(live), ""]);
    }
    *text += &format!("\n{}.\n", cell(&mv.load));
    *text += &parts("Parts that could move by themselves", &mv.good_parts);
    *text += &parts("Parts that should stay", &mv.worse_parts);
    if let Some(live) = &mv.live {
        *text += &format!(
            "\n{} {}.\n\n",
            cell(&words::live(mv).unwrap_or_default()),
            cell(live.reason.trim_end_matches('.'))
        );
    }
    if let Some(live) = mv.live.as_ref().filter(|live| !live.gates.is_empty()) {
        *text += "| live gate | n | difference | margin | |\n|---|---|---|---|---|\n";
        for gate in &live.gates {
            let passed = if gate.passed { "pass" } else { "undecided" };
            *text += &row(&[&gate.name, &gate.n.to_string(), &gate.difference.shown(), &gate.margin.shown(), passed]);
        }
    }
    list(text, "Risks", mv.risks.iter().cloned());
    list(text, "Capability gaps", mv.gaps.iter().cloned());
    list(text, "Open questions", mv.questions.iter().cloned());
    *text += &format!("\nSovereignty: {}.\n", sovereignty(mv));
}

fn area(found: &Found) -> String {
    let required = if found.required { "" } else { " (not required)" };
    row(&[
        &format!("{}{required}", found.area.label()),
        &format!("**{}**", found.standing.label()),
        &found.measured().map_or_else(|| "–".to_owned(), crate::figure::Figure::shown_with_level),
        &found.target,
        &found.because,
        found.settle.as_deref().unwrap_or_default(),
    ])
}

fn parts(heading: &str, parts: &[Part]) -> String {
    if parts.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{heading}:\n\n| part | cases | quality delta | kept |\n|---|---|---|---|\n");
    for part in parts {
        text += &row(&[&part.slice, &part.cases.to_string(), &part.difference.shown(), &part.parity.shown()]);
    }
    text
}

fn outcomes(text: &mut String, of: &Outcomes) {
    let whose = of.of.as_ref().map(|of| format!(" of {}", cell(of))).unwrap_or_default();
    *text += &format!("\n## Business outcomes{whose}, from {}\n\n", cell(&of.source));
    *text += "| metric | cohort | baseline | candidate | difference | says |\n|---|---|---|---|---|---|\n";
    for line in &of.lines {
        *text += &row(&[
            &line.metric,
            line.cohort.as_deref().unwrap_or("all"),
            &format!("{} (n {})", line.baseline.shown(), line.n.0),
            &format!("{} (n {})", line.candidate.shown(), line.n.1),
            &line.difference.shown(),
            line.says,
        ]);
    }
    if of.n_bad > 0 {
        *text += &format!("\n{} rows are left out: {}\n", of.n_bad, cell(&of.bad.join("; ")));
    }
}

fn list(text: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        *text += &format!("\n**{heading}**\n\n");
        for line in lines {
            *text += &format!("- {}\n", cell(&line));
        }
    }
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(" | "))
}
