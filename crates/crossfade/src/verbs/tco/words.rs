//! A study for people.

use cost::tco::odds::Odds;
use cost::tco::page::{ScenarioTable, percent, rounded, sentences, simulated};
use cost::tco::scenario::Scenario;
use cost::tco::study::LineItem;
use cost::tco::{Cell, Costed, Provenance};

use crate::out::table;

/// Inputs that are shown of those that move the saving.
const MOST_SWINGS: usize = 8;

pub(super) fn text(costed: &Costed) -> String {
    let mark = if simulated(costed).is_some() { "SIMULATED · " } else { "" };
    let mut text = format!("{mark}{}: {} beside {}\n\n", costed.name, costed.sides[1], costed.sides[0]);
    for sentence in sentences(costed) {
        text += &sentence;
        text.push('\n');
    }
    text.push('\n');
    text += &items(costed);
    if let Some(odds) = &costed.odds {
        text.push('\n');
        text += &swings(odds);
    }
    if costed.odds.is_some() && !costed.scenarios.is_empty() {
        text.push('\n');
        text += &scenarios(costed);
    }
    let unknown: Vec<&Cell> = costed.book.unknown().collect();
    if !unknown.is_empty() {
        text += "\nasked for\n";
        let row = |cell: &&Cell| vec![cell.place(), cell.id.clone(), cell.label.clone(), cell.unit.to_owned()];
        text += &table(&["where", "figure", "what it is", "unit"], &unknown.iter().map(row).collect::<Vec<_>>());
    }
    let n = |provenance| costed.n_from(provenance);
    let counts = [Provenance::Measured, Provenance::Stated, Provenance::Assumed, Provenance::Derived].map(n);
    let unknown = match unknown.len() {
        0 => String::new(),
        n => format!("{n} unknown, "),
    };
    text += &format!(
        "\nfigures: {unknown}{} measured, {} stated, {} assumed and {} computed from these; `--as json` has each with its source.\n",
        counts[0], counts[1], counts[2], counts[3]
    );
    text
}

fn items(costed: &Costed) -> String {
    let shown = |cell: Option<&Cell>, places: u32| {
        cell.and_then(|cell| rounded(cell, places)).unwrap_or_else(|| "unknown".to_owned())
    };
    let mut rows = Vec::new();
    for item in LineItem::ALL {
        let both = costed.item(item);
        let reasons: Vec<&str> = both
            .iter()
            .flatten()
            .filter_map(|cell| cell.source.evidence.strip_prefix("0 because ").map(|_| cell.source.evidence.as_str()))
            .collect();
        let reason = match reasons.as_slice() {
            [one, other] if one == other => (*one).to_owned(),
            reasons => reasons.join("; "),
        };
        rows.push(vec![item.label().to_owned(), shown(both[0], 2), shown(both[1], 2), reason]);
    }
    for (label, name, places) in [
        ("everything, a month", "total", 2),
        ("a successful task", "cost_per_successful_task", 6),
        ("a right answer of the model", "cost_per_accepted_answer", 6),
        ("an attempt", "cost_per_attempt", 6),
    ] {
        let cell = |side: usize| shown(costed.cell(side, name), places);
        rows.push(vec![label.to_owned(), cell(0), cell(1), String::new()]);
    }
    let (baseline, candidate) = (format!("{}, $", costed.sides[0]), format!("{}, $", costed.sides[1]));
    table(&["a month, by the worksheet's own values", &baseline, &candidate, "why nothing"], &rows)
}

fn scenarios(costed: &Costed) -> String {
    let found = ScenarioTable::of(costed);
    let heads: Vec<&str> = ["if"].into_iter().chain(found.heads.iter().map(String::as_str)).collect();
    let row = |(scenario, cells): (&Scenario, &Vec<String>)| {
        [scenario.name.clone()].into_iter().chain(cells.iter().cloned()).collect::<Vec<String>>()
    };
    let rows: Vec<Vec<String>> = costed.scenarios.iter().zip(&found.rows).map(row).collect();
    let same = found.same().map_or_else(String::new, |same| same + "\n");
    same + &table(&heads, &rows)
}

fn swings(odds: &Odds) -> String {
    if odds.tornado.is_empty() {
        return "no input has a spread: every figure is taken for certain\n".to_owned();
    }
    let row = |swing: &cost::tco::odds::Swing| {
        vec![
            swing.id.clone(),
            format!("{:.4} / {:.4}", swing.input.0, swing.input.1),
            percent(swing.saving.0),
            percent(swing.saving.1),
            percent(swing.share),
        ]
    };
    let rows: Vec<Vec<String>> = odds.tornado.iter().take(MOST_SWINGS).map(row).collect();
    table(&["what moves the saving", "P10 / P90", "saved there", "and there", "of the uncertainty"], &rows)
}
