//! Two results beside each other.

use bench::beside::Row;
use bench::result::{BenchResult, short};

use crate::out::table;

/// For people.
pub(super) fn text(first: &BenchResult, second: &BenchResult, rows: &[Row]) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), short);
    let cells = |row: &Row| {
        vec![
            row.target.clone(),
            row.load.clone(),
            row.figure.clone(),
            number(row.first),
            number(row.second),
            row.change.map_or("-".to_owned(), |change| format!("{:+.1} %", change * 100.0)),
            match row.is_apart {
                Some(true) => "apart",
                Some(false) => "overlap",
                None => "none",
            }
            .to_owned(),
        ]
    };
    let headings = ["target", "load", "figure", &first.name, &second.name, "change", "95 % intervals"];
    let mut text = String::new();
    for result in [first, second] {
        let at = crate::verbs::time::us_to_text(result.at_us);
        let state = if result.is_evidence() { "" } else { ", NO EVIDENCE" };
        let said: Vec<String> = result.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text += &format!(
            "{}: {} of {at}{state}{}{}\n",
            result.name,
            result.kind,
            if said.is_empty() { "" } else { "; " },
            said.join(", ")
        );
    }
    if rows.is_empty() {
        return text + "they have no load in common\n";
    }
    text += &format!("\n{}", table(&headings, &rows.iter().map(cells).collect::<Vec<_>>()));
    text + "\nThey were measured at different times: what changed on the machines in between is in every change. Targets of one `bench run` share it.\n"
}
