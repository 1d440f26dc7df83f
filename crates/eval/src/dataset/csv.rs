//! Comma-separated values as RFC 4180 has them, with a row of headings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::own::asking;
use super::read::Placed;
use super::{Columns, Problems};
use crate::case::Case;

const INPUTS: [&str; 3] = ["input", "question", "prompt"];
const ANSWERS: [&str; 5] = ["expected", "ideal", "answer", "reference", "label"];
/// A column whose name begins so is a slice.
const SLICE: &str = "slice.";

/// What a column is.
enum Use {
    Id,
    Input,
    System,
    Expected,
    Cluster,
    Slice(String),
    Nothing,
}

/// The cases of a file. Right answers beyond the first are in further columns of the same name.
pub(super) fn cases(
    text: &str,
    columns: &Columns,
    (left_out, problems): (&mut BTreeMap<String, u64>, &mut Problems),
) -> Placed {
    let mut rows = rows(text, problems).into_iter();
    let Some((_, headings)) = rows.next() else { return Vec::new() };
    let uses = uses(&headings, columns, problems);
    let mut placed = Vec::new();
    for (line, cells) in rows {
        if cells.len() == 1 && cells[0].is_empty() {
            continue;
        }
        if cells.len() != headings.len() {
            problems.note(line, "", format!("{} columns, where the headings are {}", cells.len(), headings.len()));
            continue;
        }
        let (mut case, mut system, mut input) = (Case::asking("", "", []), None, None);
        for ((cell, what), heading) in cells.into_iter().zip(&uses).zip(&headings) {
            match what {
                Use::Id => case.id = cell,
                Use::Input => input = Some(cell),
                Use::System => system = Some(cell).filter(|text| !text.is_empty()),
                Use::Expected => case.expected.extend((!cell.is_empty()).then_some(Value::String(cell))),
                Use::Cluster => case.cluster = Some(cell).filter(|text| !text.is_empty()),
                Use::Slice(name) if !cell.is_empty() => drop(case.slices.insert(name.clone(), cell)),
                Use::Slice(_) => {}
                Use::Nothing => *left_out.entry(heading.clone()).or_default() += u64::from(!cell.is_empty()),
            }
        }
        match input.filter(|text| !text.trim().is_empty()) {
            Some(input) => placed.push((line, Case { request: asking(system.as_deref(), &input), ..case })),
            None => problems.note(line, "input", "empty"),
        }
    }
    placed
}

fn uses(headings: &[String], columns: &Columns, problems: &mut Problems) -> Vec<Use> {
    let chosen = |named: &Option<String>, usual: &[&str]| match named {
        Some(name) => Some(name.clone()),
        None => {
            usual.iter().find(|name| headings.iter().any(|heading| heading == *name)).map(|name| (*name).to_owned())
        }
    };
    let input = chosen(&columns.input, &INPUTS);
    let expected = chosen(&columns.expected, &ANSWERS);
    let id = chosen(&columns.id, &["id"]);
    let cluster = chosen(&columns.cluster, &["cluster"]);
    let named = [&columns.input, &columns.expected, &columns.id, &columns.cluster];
    for name in named.into_iter().flatten().chain(&columns.slices).filter(|name| !headings.contains(name)) {
        problems.note(1, name, "there is no such column");
    }
    if input.is_none() {
        problems.note(1, "input", "there is no such column; `--input COLUMN` names the one with the question");
    }
    let is = |what: &Option<String>, heading: &String| what.as_ref() == Some(heading);
    headings
        .iter()
        .map(|heading| match heading {
            heading if is(&input, heading) => Use::Input,
            heading if is(&expected, heading) => Use::Expected,
            heading if is(&id, heading) => Use::Id,
            heading if is(&cluster, heading) => Use::Cluster,
            heading if heading == "system" => Use::System,
            heading if columns.slices.contains(heading) => Use::Slice(heading.clone()),
            heading => heading.strip_prefix(SLICE).map_or(Use::Nothing, |name| Use::Slice(name.to_owned())),
        })
        .collect()
}

/// Rows with the lines they begin on. A quotation that does not end, or text after one, is a problem.
pub(crate) fn rows(text: &str, problems: &mut Problems) -> Vec<(usize, Vec<String>)> {
    let (mut rows, mut cells, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begun) = (1, 1);
    // Whether within quotation marks, and whether the cell had any.
    let (mut quoted, mut was_quoted) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            ',' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                was_quoted = false;
            }
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                line += 1;
                cells.push(std::mem::take(&mut cell));
                rows.push((begun, std::mem::take(&mut cells)));
                (begun, was_quoted) = (line, false);
            }
            other => {
                if was_quoted && !quoted {
                    problems.note(line, "", "text after a closing quotation mark");
                    was_quoted = false;
                }
                line += usize::from(other == '\n');
                cell.push(other);
            }
        }
    }
    if quoted {
        problems.note(begun, "", "a quotation that does not end");
    }
    if !cell.is_empty() || !cells.is_empty() || was_quoted {
        cells.push(cell);
        rows.push((begun, cells));
    }
    rows
}
