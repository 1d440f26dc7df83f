//! Retrieval and answers, together and apart, as part of a page, of a comment and of a terminal.

use super::html::escaped;
use super::plain::cell;
use super::{ends, signed};
use crate::compare::{Interval, Rag, RagRow, RagShare, RagTarget};
use crate::metric::rag::{Cause, Outcome};

/// What the numbers are.
const SAID: &str = "An answer is lost by the retriever where the corpus holds it and the passages do not, else by the model. Each row holds both targets against each \
                    other on the same cases, with the interval of the difference at 95 %; p is adjusted for all rows (Holm).";

/// A table: what it is of, its headings, and its rows. The first column is text, the others are numbers.
pub struct Table {
    /// What it is of.
    pub title: String,
    /// What its columns are.
    pub headings: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

/// Everything there is to say, as tables.
#[must_use]
pub fn tables(rag: &Rag) -> Vec<Table> {
    let names: Vec<String> = rag.targets.iter().map(|target| target.name.clone()).collect();
    let mut tables = vec![outcomes(rag, &names), shares(rag, &names), abstention(rag)];
    let baseline = names.first().map_or("", String::as_str);
    tables.extend(rag.candidates.iter().map(|candidate| Table {
        title: format!("{} beside {baseline}: who lost what", candidate.candidate),
        headings: strings(["share", "cases", "baseline", "candidate", "difference", "95 % interval", "p", ""]),
        rows: candidate.rows.iter().map(row).collect(),
    }));
    tables
}

fn strings<const N: usize>(of: [&str; N]) -> Vec<String> {
    of.map(str::to_owned).to_vec()
}

fn blame(outcome: Outcome) -> &'static str {
    match outcome.cause() {
        None => "nobody",
        Some(Cause::Model) => "model",
        Some(Cause::Retriever) => "retriever",
    }
}

fn outcomes(rag: &Rag, names: &[String]) -> Table {
    let n = |target: &RagTarget, word: &str| target.outcomes.get(word).copied().unwrap_or(0).to_string();
    let mut rows: Vec<Vec<String>> = Outcome::ALL
        .iter()
        .map(|outcome| {
            let mut cells = strings([outcome.as_str(), blame(*outcome)]);
            cells.extend(rag.targets.iter().map(|target| n(target, outcome.as_str())));
            cells
        })
        .collect();
    let mut failed = strings(["call_failed", "-"]);
    failed.extend(rag.targets.iter().map(|target| n(target, "call_failed")));
    let mut unscored = strings(["no number", "-"]);
    unscored.extend(rag.targets.iter().map(|target| target.n_unscored.to_string()));
    rows.extend([failed, unscored]);
    let headings = [strings(["outcome", "lost by"]), names.to_vec()].concat();
    Table { title: format!("How answers came out, by {}", rag.metric), headings, rows }
}

fn shares(rag: &Rag, names: &[String]) -> Table {
    let one = |share: &RagShare| match (share.value, share.interval) {
        (Some(value), Some(Interval { low, high, .. })) => {
            format!("{:.1} % [{:.1}, {:.1}]", value * 100.0, low * 100.0, high * 100.0)
        }
        _ => "-".to_owned(),
    };
    let n = rag.targets.first().map_or(0, |target| target.shares.len());
    let rows = (0..n).map(|idx| {
        let mut cells = vec![rag.targets[0].shares[idx].share.words().to_owned()];
        cells.extend(rag.targets.iter().map(|target| one(&target.shares[idx])));
        cells
    });
    let headings = [strings(["share"]), names.to_vec()].concat();
    Table { title: "Shares, with their 95 % interval".to_owned(), rows: rows.collect(), headings }
}

fn abstention(rag: &Rag) -> Table {
    let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", value * 100.0));
    let rows = rag.targets.iter().map(|target| {
        let of = &target.abstention;
        vec![
            target.name.clone(),
            of.held_answered.to_string(),
            of.held_abstained.to_string(),
            of.not_held_answered.to_string(),
            of.not_held_abstained.to_string(),
            percent(of.precision),
            percent(of.recall),
        ]
    });
    let headings = strings([
        "target",
        "held: answered",
        "held: abstained",
        "not held: answered",
        "not held: abstained",
        "precision of abstaining",
        "recall",
    ]);
    Table { title: "Abstention, by whether the passages hold an answer".to_owned(), rows: rows.collect(), headings }
}

fn row(row: &RagRow) -> Vec<String> {
    let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", value * 100.0));
    let verdict = match (row.worse, row.better) {
        (true, _) => "worse",
        (_, true) => "better",
        _ => "",
    };
    vec![
        row.share.words().to_owned(),
        row.n.to_string(),
        percent(row.baseline),
        percent(row.candidate),
        signed(row.difference),
        ends(row.interval),
        row.p_adjusted.map_or_else(|| "-".to_owned(), |p| format!("{p:.4}")),
        verdict.to_owned(),
    ]
}

pub(super) fn html(rag: &Rag) -> String {
    let mut page = String::from("<h2>Retrieval and answers</h2>\n");
    page.extend(tables(rag).iter().map(table_html));
    page + &format!("<p class=\"small\">{SAID}</p>\n")
}

pub(super) fn table_html(table: &Table) -> String {
    let mut page = format!("<h3>{}</h3>\n<div class=\"wide\"><table><tr>", escaped(&table.title));
    let class = |idx: usize| if idx == 0 { "" } else { " class=\"n\"" };
    page.extend(table.headings.iter().enumerate().map(|(idx, text)| format!("<th{}>{}", class(idx), escaped(text))));
    for row in &table.rows {
        page += "\n<tr>";
        for (idx, text) in row.iter().enumerate() {
            let marked = match text.as_str() {
                "worse" if idx > 0 => "<span class=\"fail\">worse</span>".to_owned(),
                "better" if idx > 0 => "<span class=\"pass\">better</span>".to_owned(),
                text => escaped(text),
            };
            page += &format!("<td{}>{marked}", class(idx));
        }
    }
    page + "\n</table></div>\n"
}

pub(super) fn markdown(rag: &Rag) -> String {
    let tables: String = tables(rag).iter().map(table_markdown).collect();
    format!("\n### Retrieval and answers\n{tables}")
}

pub(super) fn table_markdown(table: &Table) -> String {
    let row =
        |cells: &[String]| format!("| {} |\n", cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(" | "));
    let mut text = format!("\n{}\n\n{}", cell(&table.title), row(&table.headings));
    text += &format!("|{}\n", "---|".repeat(table.headings.len()));
    text.extend(table.rows.iter().map(|cells| row(cells)));
    text
}
