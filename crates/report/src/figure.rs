//! A figure of a report: a value, how sure it is, and the rows it is made of.

use serde::Serialize;

use crate::canonical::rounded;

/// What a figure counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share of one, shown as a percentage.
    Share,
    /// A share of a cost that is saved: below 0 it is dearer.
    Saved,
    /// A difference of shares, shown in percentage points.
    Points,
    /// The metric's own unit.
    Value,
    /// Milliseconds.
    Milliseconds,
    /// Requests in a second.
    PerSecond,
    /// US dollars.
    Dollars,
    /// A number of things.
    Count,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What tells it from the others.
    pub id: String,
    /// What it is, in words.
    pub label: String,
    /// The figure; `None` where nothing says.
    pub value: Option<f64>,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// What kind of interval it is.
    pub interval: Option<String>,
    /// What it counts in.
    pub unit: Unit,
    /// Files of the bundle with the rows it is made of.
    pub rows: Vec<String>,
}

impl Figure {
    /// A figure without an interval.
    pub(crate) fn new(id: impl Into<String>, label: impl Into<String>, value: Option<f64>, unit: Unit) -> Figure {
        let value = value.filter(|value| value.is_finite()).map(rounded);
        let (id, label) = (id.into(), label.into());
        Figure { id, label, value, low: None, high: None, interval: None, unit, rows: Vec::new() }
    }

    /// The same with its interval; an end without a bound is `None`.
    pub(crate) fn between(self, low: Option<f64>, high: Option<f64>, interval: impl Into<String>) -> Figure {
        let end = |value: Option<f64>| value.filter(|value| value.is_finite()).map(rounded);
        Figure { low: end(low), high: end(high), interval: Some(interval.into()), ..self }
    }

    /// The same with the rows it is made of.
    pub(crate) fn of(mut self, file: &str) -> Figure {
        self.rows.push(file.to_owned());
        self
    }

    /// Which way a difference goes, where its interval leaves 0 out: words for more than 0, and for less.
    pub(crate) fn way(&self, [more, less]: [&'static str; 2]) -> &'static str {
        match (self.value, self.low, self.high) {
            (None, _, _) => "",
            (_, Some(low), _) if low > 0.0 => more,
            (_, _, Some(high)) if high < 0.0 => less,
            _ => "no difference shown",
        }
    }

    /// How sure its interval is, in a few signs: `95 %`; `None` where there is none or it is no level.
    pub(crate) fn level(&self) -> Option<&str> {
        self.low.or(self.high)?;
        let first = self.interval.as_deref()?.split(',').next()?;
        let first = first.split(" (").next()?;
        first.contains('%').then_some(first)
    }

    /// The value with its interval and how sure that is, for people.
    #[must_use]
    pub fn shown_with_level(&self) -> String {
        self.level().map_or_else(|| self.shown(), |level| format!("{} {level}", self.shown()))
    }

    /// The value with its interval, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let Some(value) = self.value else { return "not known".to_owned() };
        let value = self.unit.shown(value);
        match (self.low, self.high) {
            (None, None) => value,
            (low, high) => {
                let end = |end: Option<f64>, open: &str| end.map_or_else(|| open.to_owned(), |end| self.unit.bare(end));
                format!("{value} [{} to {}]", end(low, "…"), end(high, "no bound"))
            }
        }
    }
}

impl Unit {
    /// A number with its unit.
    pub(crate) fn shown(self, value: f64) -> String {
        let bare = self.bare(value);
        match self {
            Unit::Share => bare + " %",
            Unit::Saved => bare + " % saved",
            Unit::Points => bare + " pp",
            Unit::Milliseconds => bare + " ms",
            Unit::PerSecond => bare + " req/s",
            Unit::Dollars => match bare.strip_prefix('-') {
                Some(bare) => format!("-${bare}"),
                None => format!("${bare}"),
            },
            Unit::Value | Unit::Count => bare,
        }
    }

    /// A number without it.
    pub(crate) fn bare(self, value: f64) -> String {
        let places = match self {
            Unit::Share | Unit::Saved | Unit::Points => return plain(value * 100.0, 1),
            Unit::Milliseconds if value.abs() < 100.0 => 1,
            Unit::Milliseconds | Unit::Count => 0,
            Unit::PerSecond => 2,
            Unit::Value => 3,
            Unit::Dollars if value.abs() >= 1000.0 => 0,
            Unit::Dollars if value.abs() >= 1.0 => 2,
            // Three digits that say something: a small call is not free.
            Unit::Dollars => digits(value),
        };
        plain(value, places)
    }
}

/// Places that leave three digits of a part of a dollar, five at least.
fn digits(value: f64) -> usize {
    let mut places = 5;
    while value != 0.0 && places < 12 && value.abs() * 10f64.powi(i32::try_from(places).unwrap_or(12)) < 100.0 {
        places += 1;
    }
    places
}

/// So many places, without a minus before a zero.
fn plain(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|character| matches!(character, '0' | '.')) => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_in_their_units() {
        let share = Figure::new("a", "b", Some(0.9412), Unit::Share).between(Some(0.9), None, "90 %");
        assert_eq!(share.shown(), "94.1 % [90.0 to no bound]");
        assert_eq!(Figure::new("a", "b", Some(-0.0001), Unit::Points).shown(), "0.0 pp");
        assert_eq!(Figure::new("a", "b", Some(-12_345.6), Unit::Dollars).shown(), "-$12346");
        for (value, shown) in
            [(0.0, "$0.00000"), (0.001_234, "$0.00123"), (0.000_000_26, "$0.000000260"), (1e-15, "$0.000000000000")]
        {
            assert_eq!(Figure::new("a", "b", Some(value), Unit::Dollars).shown(), shown);
        }
        assert_eq!(Figure::new("a", "b", Some(f64::NAN), Unit::Count).shown(), "not known");
    }
}
