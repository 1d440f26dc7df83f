//! How answers came out, and which class was said for which, as part of a page, of a comment and of a terminal.

use super::html::escaped;
use super::plain::cell;
use super::rag::Table;
use crate::compare::{ConfusionMatrix, Report};

/// Classes that a page shows of one matrix.
const ON_A_PAGE: usize = 40;
/// Classes that a terminal or a comment shows of one.
pub const SHOWN: usize = 12;

/// Characters of a class that are shown.
const LONGEST: usize = 32;

/// How often the answers of each target came out how, by metrics that say it in a word.
fn outcomes(report: &Report) -> Option<Table> {
    let rows: Vec<Vec<String>> = report
        .targets
        .iter()
        .flat_map(|target| target.outcomes.iter().map(move |(metric, counts)| (target, metric, counts)))
        .map(|(target, metric, counts)| {
            let counts: Vec<String> = counts.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
            vec![target.name.clone(), metric.clone(), counts.join(", ")]
        })
        .collect();
    let headings = ["target", "metric", "answers"].map(str::to_owned).to_vec();
    (!rows.is_empty()).then(|| Table { title: "How answers came out".to_owned(), headings, rows })
}

/// Each matrix as a table: expected classes down, what was said across, and the figures of each class. Of more classes than `most` those with the most
/// cases, and a sentence that says so.
#[must_use]
pub fn matrices(report: &Report, most: usize) -> Vec<(Table, Option<String>)> {
    report.confusion.iter().map(|matrix| table(matrix, most)).collect()
}

/// A class in one short line: where there are no labels it is whatever a model said.
fn brief(class: &str) -> String {
    let line: Vec<&str> =
        class.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = line.join(" ");
    if line.chars().count() > LONGEST { line.chars().take(LONGEST - 1).chain(['…']).collect() } else { line }
}

fn table(matrix: &ConfusionMatrix, most: usize) -> (Table, Option<String>) {
    let classes = &matrix.classes;
    let mut shown: Vec<usize> = (0..classes.len()).collect();
    shown.sort_by_key(|idx| std::cmp::Reverse(classes[*idx].support + classes[*idx].predicted));
    shown.truncate(most);
    // Answers that name no class are shown wherever there are any.
    let last = classes.len() - 1;
    if classes[last].predicted > 0 && !shown.contains(&last) {
        shown.pop();
        shown.push(last);
    }
    shown.sort_unstable();
    let n_hidden = classes.len() - shown.len();
    let has_counts = !matrix.counts.is_empty();
    let mut headings = vec!["expected".to_owned()];
    if has_counts {
        headings.extend(shown.iter().map(|idx| format!("said {}", brief(&classes[*idx].class))));
        headings.extend((n_hidden > 0).then(|| "said another".to_owned()));
    }
    headings.extend(["precision", "recall", "F1", "support"].map(str::to_owned));
    let row = |idx: &usize| {
        let class = &classes[*idx];
        let mut cells = vec![brief(&class.class)];
        if let Some(counts) = matrix.counts.get(*idx) {
            let of_shown: Vec<u64> = shown.iter().map(|column| counts[*column]).collect();
            let others = class.support - of_shown.iter().sum::<u64>();
            cells.extend(of_shown.iter().map(u64::to_string));
            cells.extend((n_hidden > 0).then(|| others.to_string()));
        }
        cells.extend([class.precision, class.recall, class.f1].map(|figure| format!("{figure:.4}")));
        cells.push(class.support.to_string());
        cells
    };
    // Nobody expects an answer that names none.
    let rows = shown.iter().filter(|idx| **idx != last || classes[last].support > 0).map(row).collect();
    let note = match (n_hidden, has_counts) {
        (0, _) => None,
        (n, true) => Some(format!("{n} more classes, with fewer cases, are in the JSON report.")),
        (n, false) => Some(format!("{n} more classes are in the JSON report; of so many there is no matrix.")),
    };
    let title = format!("{} by {}: expected classes and what was said", matrix.target, matrix.id);
    (Table { title, headings, rows }, note)
}

pub(super) fn outcomes_html(report: &Report) -> String {
    let Some(table) = outcomes(report) else { return String::new() };
    let mut page = format!("<h3>{}</h3>\n<table><tr><th>target<th>metric<th>answers", escaped(&table.title));
    for row in &table.rows {
        page += "\n<tr>";
        page.extend(row.iter().map(|text| format!("<td>{}", escaped(text))));
    }
    page + "\n</table>\n"
}

pub(super) fn matrices_html(report: &Report) -> String {
    let mut page = String::new();
    if !report.confusion.is_empty() {
        page += "<h2>Classes</h2>\n";
    }
    for (table, note) in matrices(report, ON_A_PAGE) {
        page += &super::rag::table_html(&table);
        if let Some(note) = note {
            page += &format!("<p class=\"small\">{}</p>\n", escaped(&note));
        }
    }
    page
}

pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let tables = outcomes(report).into_iter().map(|table| (table, None)).chain(matrices(report, SHOWN));
    for (table, note) in tables {
        text += &super::rag::table_markdown(&table);
        text += &note.map(|note| format!("\n{}\n", cell(&note))).unwrap_or_default();
    }
    text
}
