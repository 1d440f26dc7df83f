//! The matrix for people, as text.

use inventory::matrix::{Alternative, Cell, Dependency, Matrix, Row, render};
use inventory::sovereignty::Sovereignty;

use crate::out;

/// What is used by what might take its place, then why it is so, then vendor by vendor.
pub(super) fn table(made: &Matrix) -> String {
    let names: Vec<&str> = made.alternatives.iter().map(|alternative| alternative.name.as_str()).collect();
    let mut headings = vec!["capability", "places"];
    headings.extend(made.traffic.iter().map(|_| "requests"));
    headings.push("of");
    headings.extend(&names);
    headings.extend(["effort", "risk"]);
    let rows: Vec<Vec<String>> = made.rows.iter().map(|row| cells(row, made.traffic.is_some())).collect();
    let mut text = if rows.is_empty() { String::new() } else { out::table(&headings, &rows) };
    for alternative in &made.alternatives {
        text += &format!("\n{}", about(alternative));
    }
    if let Some(traffic) = &made.traffic {
        text += &format!("\n{}", traffic.words());
    }
    for row in made.rows.iter().filter(|row| !row.note.is_empty()) {
        text += &format!("\n{}: {}", row.id(), row.note);
    }
    for service in &made.services {
        let places = service.places.iter().map(|place| format!("{}:{}", place.path, place.line));
        text += &format!("\nother hosted AI service {}: {}", service.name, places.collect::<Vec<_>>().join(", "));
    }
    let why: Vec<Vec<String>> = made.rows.iter().flat_map(why).collect();
    if !why.is_empty() {
        text += "\n\n";
        text += &out::table(&["capability", "at", "what is known", "without it"], &why);
    }
    if !made.dependencies.is_empty() {
        let rows: Vec<Vec<String>> = made.dependencies.iter().map(|of| dependency(of, made)).collect();
        let headings = [
            "vendor",
            "call sites",
            "requests",
            "equivalent",
            "degraded",
            "none",
            "unproved",
            "effort",
            "risk",
            "today",
            "after",
            "at best",
            "ends",
        ];
        text += "\n";
        text += &out::table(&headings, &rows);
        let open = render::open_models(made);
        text += &if open.is_empty() { open } else { format!("\n{open}\n") };
    }
    text
}

fn cells(row: &Row, is_recorded: bool) -> Vec<String> {
    let mut cells = vec![row.id(), row.places.len().to_string()];
    cells.extend(is_recorded.then(|| row.requests.to_string()));
    cells.push(row.vendors.join(" "));
    cells.extend(row.cells.iter().map(|cell| {
        let repaired = if cell.repaired { ", repaired" } else { "" };
        format!("{}{repaired}", cell.standing.as_str())
    }));
    cells.extend([row.effort.as_str().to_owned(), row.risk.as_str().to_owned()]);
    cells
}

fn about(alternative: &Alternative) -> String {
    let Alternative { name, model, class, .. } = alternative;
    let what =
        [model.as_str(), class.as_str()].iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", ");
    match (&alternative.probe, &alternative.unproved) {
        (Some(probe), _) => format!("{name} ({what}): by {}", probe.source),
        (None, Some(why)) => format!("{name} ({what}): {why}"),
        (None, None) => format!("{name} ({what})"),
    }
}

/// What there is to say of the best cell; of one that is equivalent, nothing.
fn why(row: &Row) -> Option<Vec<String>> {
    let cell: &Cell = row.best_cell().filter(|cell| !cell.how.is_empty() || cell.workaround.is_some())?;
    let known = match &cell.expected {
        Some(expected) => format!("said of {}: {}", cell.alternative, expected.says),
        None => cell.how.clone(),
    };
    Some(vec![row.id(), cell.alternative.clone(), known, cell.workaround.clone().unwrap_or_default()])
}

fn dependency(of: &Dependency, made: &Matrix) -> Vec<String> {
    let class = |of: &Sovereignty| of.class.map_or_else(|| "not known".to_owned(), |class| format!("{class} of 5"));
    vec![
        render::vendor(of),
        of.sites.to_string(),
        if made.traffic.is_some() { of.requests.to_string() } else { "-".to_owned() },
        of.counts.equivalent.to_string(),
        of.counts.degraded.to_string(),
        of.counts.none.to_string(),
        of.counts.unproved.to_string(),
        of.effort.as_str().to_owned(),
        of.risk.as_str().to_owned(),
        class(&of.today),
        class(&of.after),
        of.at_best.as_ref().map_or_else(|| "-".to_owned(), class),
        render::ended(of, &made.date),
    ]
}
