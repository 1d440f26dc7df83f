//! Every figure of a study: what it is, where it is from, and the way to what it is made of.

use maud::{Markup, html};
use operations::costing::{Cell, Costed, Provenance, rounded};

use crate::pages::fields::{address, escape};
use crate::pages::frame::{badge, table};
use crate::pages::words::inert;

/// Figures at which both sides would cost the same, and in which month the change has paid for itself.
const EVENS: [&str; 4] = ["even.month", "even.volume", "even.first_pass", "even.review_hour"];

/// A figure with the way to its line among all of them.
pub(super) fn to(id: &str, shown: &str) -> Markup {
    html! { a href=(format!("#figure-{}", escape(id))) { bdi { (shown) } } }
}

/// Four digits that say something.
pub(super) fn four(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let places = (0..=9_usize).find(|n| *n as f64 >= 3.0 - digits).unwrap_or(9);
    format!("{value:.places$}")
}

/// Where both would be even. A month of 0 is none within the horizon.
pub(super) fn evens(costed: &Costed) -> Markup {
    let cells: Vec<&Cell> =
        EVENS.iter().filter_map(|id| costed.book.find(id)).filter(|cell| cell.value.is_some()).collect();
    let shown = |cell: &Cell| match (cell.id.as_str(), rounded(cell, if cell.unit == "tasks/month" { 0 } else { 4 })) {
        ("even.month", Some(month)) if month == "0" => format!("not within {} months", costed.months),
        (_, shown) => shown.unwrap_or_default(),
    };
    html! {
        @if !cells.is_empty() {
            (table("Where both would be even", &["What", "At", "Unit"], &html! {
                @for cell in &cells { tr { td { bdi { (cell.label) } } td.number { (to(&cell.id, &shown(cell))) } td { (cell.unit) } } }
            }))
        }
    }
}

/// Every figure with its source.
pub(super) fn every(costed: &Costed) -> Markup {
    let n = |provenance| costed.n_from(provenance);
    html! {
        h2 #figures { "Every figure" }
        p.sub { (costed.book.cells().len()) " figures, unknown: " (costed.book.unknown().count()) ", measured: " (n(Provenance::Measured)) ", stated: " (n(Provenance::Stated))
            ", assumed: " (n(Provenance::Assumed)) "; the rest is computed from these." }
        details { summary { "Each with where it is from" }
            (table("Every figure", &["Figure", "What", "Value", "Unit", "From", "Day", "Evidence or formula"], &html! {
                @for cell in costed.book.cells() {
                    tr id=(format!("figure-{}", cell.id)) {
                        td { code { (cell.id) } } td { bdi { (cell.label) } } td.number { (cell.shown().unwrap_or_else(|| "unknown".to_owned())) }
                        td { (cell.unit) } td { (badge(kind(cell.source.provenance), cell.source.provenance.as_str())) } td { (cell.source.date.to_string()) }
                        td.wide { bdi { (inert(&cell.source.evidence)) } @if let Some(place) = place(&cell.source.id) { " " a href=(place) { "Look" } } }
                    }
                }
            }))
        }
    }
}

fn kind(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Measured => "good",
        Provenance::Assumed => "warn",
        Provenance::Stated | Provenance::Derived => "calm",
    }
}

/// The page that shows what a source is, where this console has one.
fn place(source: &str) -> Option<String> {
    let (of, name) = source.split_once(':')?;
    match of {
        "eval-run" => Some(format!("/evaluations/{}", escape(name))),
        "traffic" => Some(address("/exchanges", &[("route".to_owned(), name.to_owned())])),
        "costs" => Some("/keys".to_owned()),
        "reviews" => Some("/review".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_leads_to_the_page_that_shows_it() {
        assert_eq!(place("eval-run:a/b"), Some("/evaluations/a%2Fb".to_owned()));
        assert_eq!(place("traffic:gpt 4"), Some("/exchanges?route=gpt%204".to_owned()));
        assert_eq!((place("worksheet:tco.yaml:12"), place("nothing")), (None, None));
    }

    #[test]
    fn four_digits_are_shown_whatever_the_size() {
        assert_eq!([0.0, 0.004_217_3, 12.345_67, 98_765.4].map(four), ["0.000", "0.004217", "12.35", "98765"]);
    }
}
