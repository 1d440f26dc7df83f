//! As CSV (RFC 4180).

use super::{ends, evidence};
use crate::matrix::{Cell, Matrix, Row};
use crate::scan::render::quoted;

const HEADINGS: &str = "capability,what,places,requests,vendors,models,owners,ends,alternative,is_best,standing,repaired,how,proofs,expected,\
                        workaround,change,effort,risk,where";

/// One row for each capability at each alternative, below a row of headings.
#[must_use]
pub fn csv(matrix: &Matrix) -> String {
    let mut text = format!("{HEADINGS}\r\n");
    for row in &matrix.rows {
        for cell in &row.cells {
            let cells: Vec<String> = cells(row, cell).iter().map(|cell| quoted(cell)).collect();
            text += &cells.join(",");
            text += "\r\n";
        }
    }
    text
}

fn cells(row: &Row, cell: &Cell) -> [String; 20] {
    let expected = cell.expected.as_ref().map(|expected| format!("{} ({})", expected.says, expected.source));
    let places: Vec<String> = row.places.iter().map(|place| format!("{}:{}", place.path, place.line)).collect();
    let truth = |value: bool| if value { "1" } else { "0" }.to_owned();
    [
        row.id(),
        row.what.clone(),
        row.places.len().to_string(),
        row.requests.to_string(),
        row.vendors.join(" "),
        row.models.join(" "),
        row.owners.join(" "),
        ends(&row.ends, ""),
        cell.alternative.clone(),
        truth(row.best.as_ref() == Some(&cell.alternative)),
        cell.standing.as_str().to_owned(),
        truth(cell.repaired),
        cell.how.clone(),
        evidence(cell),
        expected.unwrap_or_default(),
        cell.workaround.clone().unwrap_or_default(),
        cell.change.as_str().to_owned(),
        cell.effort.as_str().to_owned(),
        cell.risk.as_str().to_owned(),
        places.join(" "),
    ]
}
