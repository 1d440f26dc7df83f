//! As Markdown.

use super::{about, ended, evidence, known, open_models, proof_of, used, vendor, ways};
use crate::matrix::{Cell, Matrix, Row, Standing};

/// The matrix as Markdown.
#[must_use]
pub fn markdown(matrix: &Matrix) -> String {
    let of = if matrix.of.is_empty() { String::new() } else { format!(" of {}", cell(&matrix.of.join(", "))) };
    let mut text = format!("# Replacement matrix{of}\n\n**{}** {}\n", cell(&matrix.headline), matrix.date);
    if let Some(traffic) = &matrix.traffic {
        text += &format!("\n{}\n", traffic.words());
    }
    dependencies(&mut text, matrix);
    if !matrix.rows.is_empty() {
        capabilities(&mut text, matrix);
        details(&mut text, matrix);
    }
    if !matrix.services.is_empty() {
        text += "\n## Other hosted AI services that the code uses\n\nThey are no vendor's language models: nothing is claimed of what could replace \
                 them.\n\n| service | places |\n|---|---|\n";
        for service in &matrix.services {
            let places = service.places.iter().map(|place| format!("{}:{}", place.path, place.line));
            text += &row(&[service.name.clone(), places.collect::<Vec<_>>().join(", ")]);
        }
    }
    text += "\n## Alternatives\n\n| alternative | what it is | proof |\n|---|---|---|\n";
    for alternative in &matrix.alternatives {
        text += &row(&[alternative.name.clone(), about(alternative), proof_of(alternative)]);
    }
    text += "\n## Rules\n\n";
    for (name, rule) in &matrix.rules {
        text += &format!("- **{name}**: {}\n", cell(rule));
    }
    text
}

fn dependencies(text: &mut String, matrix: &Matrix) {
    *text += "\n## Vendor by vendor\n\n| vendor | call sites | requests | equivalent | degraded | none | unproved | effort | risk | today | after | at best | \
              ends |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for of in &matrix.dependencies {
        let [today, after, at_best] = ways(of);
        let counts = of.counts;
        let requests = if matrix.traffic.is_some() { of.requests.to_string() } else { "-".to_owned() };
        let mut cells = vec![vendor(of), of.sites.to_string(), requests];
        cells.extend([counts.equivalent, counts.degraded, counts.none, counts.unproved].map(|n| n.to_string()));
        cells.extend([
            of.effort.as_str().to_owned(),
            of.risk.as_str().to_owned(),
            today,
            after,
            at_best,
            ended(of, &matrix.date),
        ]);
        *text += &row(&cells);
    }
    let open = open_models(matrix);
    if !open.is_empty() {
        *text += &format!("\n{}\n", cell(&open));
    }
}

fn capabilities(text: &mut String, matrix: &Matrix) {
    let names: Vec<String> = matrix.alternatives.iter().map(|alternative| cell(&alternative.name)).collect();
    *text +=
        &format!("\n## Capability by capability\n\n| capability | used | {} | effort | risk |\n", names.join(" | "));
    *text += &format!("|---|---|{}---|---|\n", "---|".repeat(names.len()));
    for of in &matrix.rows {
        let mut cells = vec![format!("{} (`{}`)", of.what, of.id()), used(of, matrix.traffic.is_some())];
        if !of.note.is_empty() {
            cells[1] += &format!("; {}", of.note);
        }
        cells.extend(of.cells.iter().map(|cell| standing(of, cell)));
        cells.extend([of.effort.as_str().to_owned(), of.risk.as_str().to_owned()]);
        *text += &row(&cells);
    }
}

/// The standing, in bold where it is the replacement and proved.
fn standing(row: &Row, cell: &Cell) -> String {
    let repaired = if cell.repaired { ", repaired" } else { "" };
    let words = format!("{}{repaired}", cell.standing.as_str());
    let is_best = row.best.as_ref() == Some(&cell.alternative);
    if is_best && cell.standing <= Standing::Degraded { format!("**{words}**") } else { words }
}

fn details(text: &mut String, matrix: &Matrix) {
    *text += "\n## What the cells rest on\n\n| capability | at | standing | what is known | proof | without it |\n|---|---|---|---|---|---|\n";
    for of in &matrix.rows {
        for cell in &of.cells {
            *text += &row(&[
                of.id(),
                cell.alternative.clone(),
                cell.standing.as_str().to_owned(),
                known(cell),
                evidence(cell),
                cell.workaround.clone().unwrap_or_default(),
            ]);
        }
    }
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(" | "))
}

/// Text for a cell or a line of Markdown. Names of others are in it: nothing of them makes another cell, line or tag.
#[must_use]
pub fn cell(text: &str) -> String {
    without_tags(&text.replace(['\n', '\r'], " ").replace('|', "\\|"))
}

/// A `<` that could begin a tag is escaped; one that is less than stays, as Markdown reads it so.
fn without_tags(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let begins_tag = character == '<'
            && characters.peek().is_some_and(|next| next.is_ascii_alphabetic() || "/!?".contains(*next));
        if begins_tag { safe.push_str("&lt;") } else { safe.push(character) }
    }
    safe
}
