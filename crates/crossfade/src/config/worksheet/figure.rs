//! One figure: its value, how far it may be off, and where it is from.

use cost::date::Date;
use cost::tco::{Exact, Provenance, Quantity, Source, Spread};

use super::{Sheet, whole};
use crate::config::reader::{Item, Section};

/// What a figure can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not below 0.
    Amount,
    /// Above 0.
    Positive,
    /// From 0 to 1.
    Share,
    /// A share that may be below 0, but not -1: growth, interest.
    Change,
    /// Above a half, below 1.
    Certainty,
}

/// The word for what nobody knows yet.
const UNKNOWN: &str = "unknown";

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Kind::Amount => "a number of at least 0, or `unknown`",
            Kind::Positive => "a number above 0, or `unknown`",
            Kind::Share => "a share from 0 to 1 (for 5 % write 0.05), or `unknown`",
            Kind::Change => "a share above -1 (for 5 % less write -0.05), or `unknown`",
            Kind::Certainty => "a share above 0.5 and below 1, or `unknown`",
        }
    }

    fn admits(self, value: &Exact) -> bool {
        let one = whole(1);
        match self {
            Kind::Amount => !value.is_negative(),
            Kind::Positive => !value.is_negative() && !value.is_zero(),
            Kind::Share => !value.is_negative() && *value <= one,
            Kind::Change => !(value + &one).is_negative() && !(value + &one).is_zero(),
            Kind::Certainty => (value + value) > one && *value < one,
        }
    }
}

impl Sheet<'_> {
    /// Reads a figure.
    pub(super) fn read(&self, item: &Item<'_>, kind: Kind) -> Quantity {
        let unknown = self.unknown(item.line());
        if !item.is_map() {
            return Quantity { value: value(item, kind), ..unknown };
        }
        let Some(section) = item.section() else { return unknown };
        let number = |key: &'static str| section.get(key).and_then(|item| value(&item, kind));
        let (own, low, high) = (number("value"), number("low"), number("high"));
        let seen = counted(&section, kind);
        let shape = section.get("shape").and_then(|item| item.word(&[("triangular", false), ("pert", true)]));
        let (value, spread) = match (own, seen, low.zip(high)) {
            (None, Some((successes, of)), None) => {
                (whole(successes).over(&whole(of)), Some(Spread::Seen { successes, of }))
            }
            (Some(own), None, Some((low, high))) => {
                if !(low <= own && own <= high && low < high) {
                    item.note("`low` is below `high`, and `value` not outside them", None);
                }
                let spread = match shape {
                    Some(true) => Spread::Pert { low, high },
                    _ => Spread::Triangular { low, high },
                };
                (Some(own), Some(spread))
            }
            (own, None, None) => (own, None),
            _ => {
                item.note("a figure has a `value`, perhaps with `low` and `high`, or `seen` and `of`", None);
                (None, None)
            }
        };
        let words = Provenance::OF_INPUTS.map(|provenance| (provenance.as_str(), provenance));
        let provenance = section.get("provenance").and_then(|item| item.word(&words));
        let evidence = section.get("evidence").and_then(|item| item.string()).map(|written| written.value);
        let id = section.get("evidence_id").and_then(|item| item.string()).map(|written| written.value);
        let date = section.get("date").and_then(|item| item.parsed("a day such as 2026-11-26", Date::parse));
        section.finish();
        // Counted cases were measured, what has a source was stated, and anything else is an assumption.
        let usual = match (&spread, &evidence) {
            (Some(Spread::Seen { .. }), _) => Provenance::Measured,
            (_, Some(_)) => Provenance::Stated,
            (_, None) => Provenance::Assumed,
        };
        let mut source = self.source(provenance.unwrap_or(usual), item.line());
        source.evidence = evidence.unwrap_or(source.evidence);
        source.id = id.unwrap_or(source.id);
        source.date = date.unwrap_or(source.date);
        Quantity { value, spread: spread.map(Box::new), source, line: Some(item.line()) }
    }
}

impl Sheet<'_> {
    /// Where figures are from that stand in one section; `None` where it does not say.
    pub(super) fn source_of(&self, section: &Section<'_>) -> Option<Source> {
        let text = |key: &'static str| section.get(key).and_then(|item| item.string()).map(|written| written.value);
        let words = Provenance::OF_INPUTS.map(|provenance| (provenance.as_str(), provenance));
        let provenance = section.get("provenance").and_then(|item| item.word(&words));
        let (evidence, id) = (text("evidence"), text("evidence_id"));
        let date = section.get("date").and_then(|item| item.parsed("a day such as 2026-11-26", Date::parse));
        let evidence = evidence?;
        let source = self.source(provenance.unwrap_or(Provenance::Stated), section.line());
        Some(Source { date: date.unwrap_or(source.date), id: id.unwrap_or(source.id), evidence, ..source })
    }
}

/// A number; `None` for `unknown`, and where a problem was noted.
fn value(item: &Item<'_>, kind: Kind) -> Option<Exact> {
    item.parsed(kind.expected(), |text| {
        if text == UNKNOWN {
            return Some(None);
        }
        Exact::parse(text).filter(|value| kind.admits(value)).map(Some)
    })?
}

fn counted(section: &Section<'_>, kind: Kind) -> Option<(u64, u64)> {
    let count = |key: &'static str, least| section.get(key).and_then(|item| item.count(least, 1_000_000_000));
    let (seen, of) = (count("seen", 0), count("of", 1));
    match (seen, of) {
        (None, None) => None,
        (Some(seen), Some(of)) if seen <= of && kind == Kind::Share => Some((seen, of)),
        (Some(_), Some(_)) if kind != Kind::Share => {
            section.note("only shares are counted: this figure needs a `value`", None);
            None
        }
        _ => {
            section.note("`seen` and `of` go together, and no more are seen than there are", None);
            None
        }
    }
}
