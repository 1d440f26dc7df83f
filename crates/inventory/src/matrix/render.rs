//! A matrix as files for people and other programs. JSON is the matrix itself.

mod csv;
mod html;
mod markdown;
#[cfg(test)]
mod tests;

pub use csv::csv;
pub use html::html;
pub use markdown::{cell as markdown_cell, markdown};

use super::{Alternative, Cell, Dependency, Matrix, Row};
use crate::scan::Asked;
use crate::sovereignty::Sovereignty;

/// `1 of 5`.
fn class(of: &Sovereignty) -> String {
    of.class.map_or_else(|| "not known".to_owned(), |class| format!("{class} of 5"))
}

/// What an alternative is, in a line.
fn about(alternative: &Alternative) -> String {
    let Alternative { model, provider, class, .. } = alternative;
    let at = if provider.is_empty() { String::new() } else { format!("at {provider}") };
    let class = class.replace('_', " ");
    [model.as_str(), &at, &class].iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", ")
}

/// The report that an alternative's cells are from, or why there is none.
fn proof_of(alternative: &Alternative) -> String {
    match (&alternative.probe, &alternative.unproved) {
        (Some(probe), _) => format!("{}, probed {}", probe.source, day(probe.began_s)),
        (None, why) => why.clone().unwrap_or_default(),
    }
}

/// Where a cell's rows are in the report.
fn evidence(cell: &Cell) -> String {
    let one = |proof: &super::Proof| {
        let entries =
            if proof.evidence.is_empty() { String::new() } else { format!(" ({})", proof.evidence.join(" ")) };
        format!("{} {}{entries}", proof.capability, proof.verdict.as_str())
    };
    cell.proofs.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What is known of a cell, with what servers of its kind are said to do.
fn known(cell: &Cell) -> String {
    match &cell.expected {
        Some(expected) => format!("{}; {} ({})", cell.how, expected.says, expected.source),
        None => cell.how.clone(),
    }
}

/// What has an end, each with its day, and whether that is over.
fn ends(ends: &[crate::scan::Sunset], date: &str) -> String {
    let one = |end: &crate::scan::Sunset| {
        let over = if end.ends.as_str() <= date { " (over)" } else { "" };
        format!("{} {}{over}", end.what, end.ends)
    };
    ends.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What a vendor is called; of one that is chosen at run time, among whom.
#[must_use]
pub fn vendor(of: &Dependency) -> String {
    match of.among.as_slice() {
        [] if of.vendor == "unknown" => "not said in the code".to_owned(),
        [] => of.vendor.clone(),
        among => format!("chosen at run time ({})", among.join(" or ")),
    }
}

/// What of a vendor has an end, what of it is over on the day, and of how many of its calls nobody can say so.
#[must_use]
pub fn ended(of: &Dependency, date: &str) -> String {
    let known = ends(&of.ends, date);
    match (of.asked, known.is_empty()) {
        (Asked { unknown: 0, .. }, _) => known,
        (Asked { calls, unknown }, true) => format!("model of {unknown} of {calls} calls not known"),
        (Asked { calls, unknown }, false) => format!("{known}; model of {unknown} of {calls} calls not known"),
    }
}

/// Of how many calls nobody knows whether the model has an end.
#[must_use]
pub fn open_models(matrix: &Matrix) -> String {
    let of = |count: fn(&Asked) -> usize| matrix.dependencies.iter().map(|of| count(&of.asked)).sum();
    Asked { calls: of(|asked| asked.calls), unknown: of(|asked| asked.unknown) }.words()
}

/// How often a row is used; that nothing of it was recorded is said where a record was read.
fn used(row: &Row, is_recorded: bool) -> String {
    let places = match row.places.len() {
        0 if is_recorded => "no place seen".to_owned(),
        0 => String::new(),
        1 => "1 place".to_owned(),
        n => format!("{n} places"),
    };
    let requests = match row.requests {
        0 if is_recorded => "no request".to_owned(),
        0 => String::new(),
        1 => "1 request".to_owned(),
        n => format!("{n} requests"),
    };
    [places, requests].iter().filter(|words| !words.is_empty()).cloned().collect::<Vec<_>>().join(", ")
}

/// The ways of a dependence: today, after, at best.
fn ways(of: &Dependency) -> [String; 3] {
    [class(&of.today), class(&of.after), of.at_best.as_ref().map_or_else(|| "-".to_owned(), class)]
}

/// `YYYY-MM-DD` of Unix seconds, by the civil calendar (Hinnant's days_from_civil the other way round).
fn day(unix_s: u64) -> String {
    let days = i64::try_from(unix_s / 86_400).unwrap_or(0) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
