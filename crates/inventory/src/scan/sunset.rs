//! What has an end: models and endpoints that vendors have switched off or set a day for. One table with a source for each row.

use super::finding::{Finding, Sunset};

/// One row: what, until when, and where the vendor says so.
struct Row {
    what: &'static str,
    ends: &'static str,
    source: &'static str,
}

/// The table, by tabs: what it is about (`model` or `operation`), its name, the day, the source.
const TABLE: &str = include_str!("sunset.tsv");

/// The day the table was last compared with its sources.
pub const TABLE_OF: &str = "2026-11-26";

fn rows(about: &'static str) -> impl Iterator<Item = Row> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
        let mut cells = line.split('\t');
        let kind = cells.next()?;
        let (what, ends, source) = (cells.next()?, cells.next()?, cells.next()?);
        (kind == about).then_some(Row { what, ends, source })
    })
}

/// What of a finding has an end.
pub(crate) fn of(finding: &Finding) -> Vec<Sunset> {
    let mut sunsets = Vec::new();
    if let Some(id) = &finding.model.id {
        // Served by others, a model has another end.
        let id = id.strip_prefix("openai/").or_else(|| id.strip_prefix("openai:")).unwrap_or(id);
        sunsets.extend(rows("model").filter(|row| row.what == id).map(|row| sunset(&row)));
    }
    let operation = format!("{}/{}", finding.vendor, finding.operation);
    sunsets.extend(rows("operation").filter(|row| row.what == operation).map(|row| sunset(&row)));
    sunsets
}

fn sunset(row: &Row) -> Sunset {
    Sunset { what: row.what.to_owned(), ends: row.ends.to_owned(), source: row.source.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_day_and_a_source_and_no_name_comes_twice() {
        let mut names = std::collections::HashSet::new();
        let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        for line in lines {
            let cells: Vec<&str> = line.split('\t').collect();
            let [about, what, ends, source] = cells.as_slice() else { panic!("{line}") };
            assert!(["model", "operation"].contains(about), "{line}");
            assert!(ends.len() == 10 && ends.starts_with("20") && ends.as_bytes()[4] == b'-', "{line}");
            assert!(source.starts_with("https://"), "{line}");
            assert!(names.insert((*about, *what)), "{line}");
        }
    }
}
