//! Sections of what was measured of the alternative: parity, capacity, capabilities, cost.

use super::Section;
use super::facts::{Leaving, MatrixAlternative, Replacements};
use crate::area::{Area, Found, Standing};
use crate::figure::Figure;

fn area(of: &Leaving, area: Area) -> Option<&Found> {
    of.mv.areas.iter().find(|found| found.area == area)
}

/// Whether an area passed.
pub(super) fn passes(of: &Leaving, wanted: Area) -> Option<&Found> {
    area(of, wanted).filter(|found| found.standing == Standing::Pass)
}

/// A table of areas; what is open in them is missing.
fn areas(section: &mut Section, of: &Leaving, wanted: &[Area]) {
    let found: Vec<&Found> = wanted.iter().filter_map(|wanted| area(of, *wanted)).collect();
    let row = |found: &&Found| {
        vec![
            found.area.label().to_owned(),
            found.standing.label().to_owned(),
            found.measured().map_or_else(|| "–".to_owned(), Figure::shown),
            found.target.clone(),
            found.because.clone(),
        ]
    };
    section.table(&["what", "result", "measured", "target", "why"], found.iter().map(row).collect());
    for found in found {
        if matches!(found.standing, Standing::NotRun | Standing::Undecided) {
            // A plan takes what a decision takes.
            let own = format!("`crossfade exit plan {} --", of.mv.route);
            let settle = found.settle.clone().unwrap_or_else(|| "`crossfade report` says what".to_owned());
            let settle = settle.replace("`crossfade report --", &own);
            section.lacks(format!("{}: {}", found.area.label().to_lowercase(), found.because), settle);
        }
    }
}

pub(super) fn parity(of: &Leaving) -> Section {
    let mut section = Section::new("Alternative and measured parity");
    section.says(format!("Decision report: **{}**. {}", of.mv.label(), of.mv.verdict));
    areas(&mut section, of, &[Area::Quality, Area::Safety]);
    if let Some(live) = &of.mv.live {
        section.says(format!("Rollout `{}` stands at {}: {}", live.rollout, live.label, live.reason));
        let row = |gate: &crate::live::LiveGate| {
            vec![
                gate.name.clone(),
                gate.n.to_string(),
                gate.difference.shown(),
                gate.margin.shown(),
                if gate.passed { "pass" } else { "undecided" }.to_owned(),
            ]
        };
        section.table(&["live gate", "n", "difference", "margin", "result"], live.gates.iter().map(row).collect());
    }
    section.list(of.mv.gaps.iter().map(|gap| format!("Capabilities: {gap}")).collect());
    section
}

pub(super) fn capacity(of: &Leaving) -> Section {
    let mut section = Section::new("Capacity");
    areas(&mut section, of, &[Area::Throughput, Area::Latency]);
    section
}

pub(super) fn cost(of: &Leaving) -> Section {
    let mut section = Section::new("Cost of leaving");
    areas(&mut section, of, &[Area::Tco]);
    let row = |figure: &Figure| vec![figure.label.clone(), figure.shown()];
    section.table(&["what", "figure"], of.mv.recorded.iter().map(row).collect());
    section
}

/// Rows that are shown; the matrix has all.
const MOST_ROWS: usize = 25;

pub(super) fn replacements(of: &Leaving) -> Section {
    let mut section = Section::new("What replaces what");
    let Some(matrix) = &of.replacements else {
        section.lacks(
            "which used capabilities have a replacement, and what proves it",
            format!(
                "`crossfade inventory matrix PATH… -o matrix.json`, then `crossfade exit plan {} --matrix matrix.json`",
                of.mv.route
            ),
        );
        return section;
    };
    let about = if matrix.of.is_empty() { String::new() } else { format!(", of {}", matrix.of.join(", ")) };
    section.says(format!("Of {}{about}: {}", matrix.date, matrix.headline));
    measured_against(&mut section, of, matrix);
    // Without traffic joined to it the matrix knows of no requests.
    let has_requests = matrix.rows.iter().any(|row| row.requests > 0);
    let row = |row: &super::facts::MatrixRow| {
        let (best, risk) = row.named(of.to());
        let mut cells = vec![row.what.clone()];
        cells.extend(has_requests.then(|| row.requests.to_string()));
        cells.extend([best.unwrap_or("–"), &row.standing, &row.effort, risk].map(str::to_owned));
        cells
    };
    let mut headings = vec!["used", "requests", "best alternative", "standing", "effort", "risk"];
    headings.retain(|heading| has_requests || *heading != "requests");
    section.table(&headings, matrix.rows.iter().take(MOST_ROWS).map(row).collect());
    let rest = matrix.rows.len().saturating_sub(MOST_ROWS);
    if rest > 0 {
        section.says(format!("… and {rest} more rows in the matrix."));
    }
    let n_unproved = matrix.rows.iter().filter(|row| row.standing == "unproved").count();
    if n_unproved > 0 {
        let what = format!("proof of {n_unproved} used capabilities");
        section.lacks(
            what,
            "`crossfade conformance TARGET -o FILE.json`, and the matrix made anew with `--conformance FILE.json`",
        );
    }
    section
}

/// What the matrix was measured against; one of another server, or of another route's, is no proof for this plan.
fn measured_against(section: &mut Section, of: &Leaving, matrix: &Replacements) {
    if !matrix.alternatives.is_empty() {
        let words: Vec<String> = matrix.alternatives.iter().map(MatrixAlternative::words).collect();
        section.says(format!("Measured against {}.", words.join("; ")));
    }
    let Some(to) = of.to() else { return };
    if let Some(differs) = matrix.differs(to) {
        section.says(format!("WARNING: {differs}."));
        section.lacks(
            format!("a matrix of this route's alternative: {differs}"),
            format!(
                "`crossfade conformance {0} -o probe.json`, `crossfade inventory matrix PATH… --target {0} --conformance probe.json -o matrix.json`, then \
                 `crossfade exit plan {1} --matrix matrix.json`",
                to.name, of.mv.route
            ),
        );
    }
}
