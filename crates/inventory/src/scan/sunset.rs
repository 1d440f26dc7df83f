//! What has an end: models and endpoints that vendors have switched off or set a day for. One table with a source for each row.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::finding::{Finding, Sunset};
use super::models;

/// One row: what, until when, and where the vendor says so.
struct Row {
    what: &'static str,
    ends: &'static str,
    source: &'static str,
    known_by: &'static str,
}

/// The table, by tabs: what it is about (`model`, served by who made it; another vendor, for a model that it serves; or `operation`), its
/// name, the day, the source, how it is known.
const TABLE: &str = include_str!("sunset.tsv");

/// The day the table was last compared with its sources.
pub const TABLE_OF: &str = "2026-11-26";

/// The row about a model or an operation.
fn row(about: &str, what: &str) -> Option<&'static Row> {
    static ROWS: OnceLock<HashMap<&str, HashMap<&str, Row>>> = OnceLock::new();
    let rows = ROWS.get_or_init(|| {
        let mut rows: HashMap<&str, HashMap<&str, Row>> = HashMap::new();
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            if let [about, what, ends, source, known_by] = line.split('\t').collect::<Vec<_>>()[..] {
                rows.entry(about).or_default().insert(what, Row { what, ends, source, known_by });
            }
        }
        rows
    });
    rows.get(about)?.get(what)
}

/// Who serves models that others made.
const SERVERS: [&str; 13] = [
    "azure-openai",
    "azure-ai",
    "github",
    "github-copilot",
    "openrouter",
    "aimlapi",
    "openai-compatible",
    "google-vertex",
    "aws-bedrock",
    "groq",
    "together",
    "fireworks",
    "replicate",
];

/// What of a finding has an end.
pub(crate) fn of(finding: &Finding) -> Vec<Sunset> {
    let mut sunsets = Vec::new();
    if let Some(id) = &finding.model.id {
        let id = id.strip_prefix("openai/").or_else(|| id.strip_prefix("openai:")).unwrap_or(id);
        // Served by others, a model has another end, or none that is known.
        let is_others = SERVERS.contains(&finding.vendor.as_str())
            && models::maker_of(id).is_some_and(|maker| maker != finding.vendor);
        let about = if is_others { &finding.vendor } else { "model" };
        let bare = id.rsplit(['/', ':']).next().filter(|_| is_others).unwrap_or(id);
        sunsets.extend(row(about, bare).map(sunset));
    }
    let operation = format!("{}/{}", finding.vendor, finding.operation);
    sunsets.extend(row("operation", &operation).map(sunset));
    sunsets
}

fn sunset(row: &Row) -> Sunset {
    Sunset {
        what: row.what.to_owned(),
        ends: row.ends.to_owned(),
        source: row.source.to_owned(),
        known_by: row.known_by.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_another_serves_ends_by_that_ones_day_or_has_none() {
        let ends = |vendor: &str, id: &str| {
            let line = format!("{id}: x");
            let mut finding =
                crate::scan::text::configuration_of("a.yml", "base: https://api.openai.com/v1\n").remove(0);
            (finding.vendor, finding.model.id) = (vendor.to_owned(), Some(id.to_owned()));
            of(&finding).into_iter().map(|sunset| sunset.ends).next().unwrap_or(line)
        };
        assert_eq!(ends("openai", "gpt-4o"), "2027-01-14");
        assert_eq!(ends("unknown", "gpt-4o"), "2027-01-14");
        assert_eq!(ends("azure-openai", "gpt-4o"), "gpt-4o: x");
        assert_eq!(ends("azure-openai", "azure/dall-e-2"), "2025-01-27");
        assert_eq!(ends("openrouter", "openai/gpt-4o"), "openai/gpt-4o: x");
    }

    #[test]
    fn every_row_is_found_by_its_name() {
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('\t').collect();
            let found = cells.first().zip(cells.get(1)).and_then(|(about, what)| row(about, what));
            assert_eq!(found.map(|row| row.ends), cells.get(2).copied(), "{line}");
        }
    }

    #[test]
    fn every_row_has_a_day_and_a_source_and_no_name_comes_twice() {
        let mut names = std::collections::HashSet::new();
        let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        for line in lines {
            let cells: Vec<&str> = line.split('\t').collect();
            let [about, what, ends, source, known_by] = cells.as_slice() else { panic!("{line}") };
            assert!(["model", "operation", "azure-openai"].contains(about), "{line}");
            assert!(ends.len() == 10 && ends.starts_with("20") && ends.as_bytes()[4] == b'-', "{line}");
            assert!(source.starts_with("https://"), "{line}");
            assert!(["vendor", "cited", "unread"].contains(known_by), "{line}");
            assert!(names.insert((*about, *what)), "{line}");
        }
    }
}
