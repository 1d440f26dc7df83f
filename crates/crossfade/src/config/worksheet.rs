//! A worksheet of costs: what only people know about two sides, read like the config. A figure is a number, `unknown`, or a map that also says
//! how far it may be off, where it is from and when. What is missing is unknown, never 0.

mod figure;
mod side;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cost::date::Date;
use cost::tco::study::{Because, Study};
use cost::tco::{Exact, Provenance, Quantity, Source};

use super::error::ConfigError;
use super::reader::{Item, Section};
use super::with_root;

use figure::Kind;

/// The first member of a worksheet says what it is.
const FORMAT: &str = "crossfade-tco/1";
/// Months that are looked at where nobody says.
const MONTHS: u64 = 36;
/// What a worksheet may have beside its sides, its first two lines, `horizon` and `growth`.
const BESIDE_THE_SIDES: [&str; 8] =
    ["scenarios", "name", "example", "tasks_per_month", "review_hour", "one_off", "target_saving", "certainty"];

/// What every figure of a worksheet may fall back on.
struct Sheet<'a> {
    /// The file, as evidence names it.
    name: &'a str,
    /// The day of figures that say no other.
    date: Date,
}

/// Reads a worksheet.
///
/// # Errors
/// Every problem found, in the order of the file.
pub(crate) fn worksheet(source_name: &str, text: &str) -> Result<Study, Vec<ConfigError>> {
    let environment = |name: &str| std::env::var(name).ok();
    let study = with_root(source_name, text, &environment, |root| read(root, source_name))?;
    // Without a study there was a problem, and so no way to here.
    study.ok_or_else(Vec::new)
}

/// `None` where it is none, or lacks a side: that was noted, and what else it lacks follows from it.
fn read(root: Section<'_>, source_name: &str) -> Option<Study> {
    let Some(item) = root.get("worksheet") else {
        let hint = "`crossfade tco init` writes one to fill in";
        root.note(
            format!("this is no worksheet of costs: one has the line `worksheet: {FORMAT}`"),
            Some(hint.to_owned()),
        );
        return None;
    };
    item.parsed(&format!("`{FORMAT}`, the format of this file"), |text| (text == FORMAT).then_some(()));
    let date = root.need("date").and_then(|item| item.parsed("a day such as 2026-11-26", Date::parse));
    let sheet = Sheet { name: source_name, date: date.unwrap_or(Date(0)) };
    let horizon = root.section("horizon");
    let months = horizon.get("months").and_then(|item| item.count(2, 120)).unwrap_or(MONTHS);
    let growth = root.section("growth");
    let sides = (side::read(&root, "baseline", &sheet), side::read(&root, "candidate", &sheet));
    let (Some(baseline), Some(candidate)) = sides else {
        // What else there is waits, but for keys that are none: a side may be there under a name that is mistyped.
        for key in BESIDE_THE_SIDES {
            root.get(key);
        }
        root.finish();
        return None;
    };
    let study = Study {
        name: text(&root, "name").unwrap_or_else(|| "costs".to_owned()),
        date: sheet.date,
        example: root.get("example").and_then(|item| item.boolean()).unwrap_or_default(),
        tasks: sheet.figure(&root, "tasks_per_month", Kind::Positive),
        review_hour: sheet.figure(&root, "review_hour", Kind::Amount),
        months: u32::try_from(months).unwrap_or(120),
        discount: sheet.figure(&horizon, "discount", Kind::Change),
        volume_growth: sheet.figure(&growth, "tasks", Kind::Change),
        token_growth: sheet.figure(&growth, "tokens", Kind::Change),
        one_off: one_off(&root, &sheet),
        target_saving: sheet.figure(&root, "target_saving", Kind::Change),
        certainty: sheet.figure(&root, "certainty", Kind::Certainty),
        baseline,
        candidate,
        scenarios: scenarios(&root),
    };
    horizon.finish();
    growth.finish();
    root.finish();
    Some(study)
}

fn text(section: &Section<'_>, key: &'static str) -> Option<String> {
    section.get(key).and_then(|item| item.string()).map(|written| written.value)
}

fn one_off(root: &Section<'_>, sheet: &Sheet<'_>) -> Vec<(String, Quantity)> {
    let Some(item) = root.need("one_off") else { return Vec::new() };
    item.named().iter().map(|(name, item)| (name.value.clone(), sheet.read(item, Kind::Amount))).collect()
}

/// Scenarios by their names: figures with other values.
fn scenarios(root: &Section<'_>) -> Vec<(String, BTreeMap<String, Exact>)> {
    let Some(item) = root.get("scenarios") else { return Vec::new() };
    let changed = |(figure, item): &(super::reader::Written<String>, Item<'_>)| {
        let value = item.parsed("a number: the figure's value in this scenario", Exact::parse)?;
        Some((figure.value.clone(), value))
    };
    let of = |item: &Item<'_>| item.named().iter().filter_map(changed).collect();
    item.named().iter().map(|(name, item)| (name.value.clone(), of(item))).collect()
}

impl Sheet<'_> {
    /// A figure under a key; unknown where it is not there.
    fn figure(&self, section: &Section<'_>, key: &'static str, kind: Kind) -> Quantity {
        section.get(key).map_or_else(|| self.unwritten(section), |item| self.read(&item, kind))
    }

    /// What nobody wrote, with where it belongs.
    fn unwritten(&self, section: &Section<'_>) -> Quantity {
        let unknown = self.unknown(section.line());
        let evidence = format!("not written: it belongs {}", section.home());
        Quantity { line: None, source: Source { evidence, ..unknown.source }, ..unknown }
    }

    fn unknown(&self, line: usize) -> Quantity {
        Quantity { value: None, spread: None, source: self.source(Provenance::Assumed, line), line: Some(line) }
    }

    fn source(&self, provenance: Provenance, line: usize) -> Source {
        Source {
            provenance,
            date: self.date,
            evidence: format!("{}, line {line}", self.name),
            id: format!("worksheet:{}:{line}", self.name),
        }
    }

    /// The reason of `{ none: reason }`.
    fn because(&self, item: &Item<'_>) -> Option<Because> {
        let section = item.section()?;
        let words = section.need("none").and_then(|item| item.string()).map(|written| written.value);
        section.finish();
        let source = self.source(Provenance::Stated, item.line());
        if words.as_ref().is_some_and(|words| words.trim().is_empty()) {
            item.note("what costs nothing needs a reason: `{ none: the reason }`", None);
        }
        Some(Because { words: words?, source })
    }

    /// A reason where the file has a problem: the study is not used then.
    fn no_reason(&self) -> Because {
        Because { words: String::new(), source: self.source(Provenance::Stated, 1) }
    }
}

/// A whole number as a figure.
fn whole(value: u64) -> Exact {
    Exact::of(value)
}
