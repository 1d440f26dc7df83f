//! A run's report in the forms others read: a page that needs nothing else, JUnit for a build server, CSV for a spreadsheet, Markdown for a
//! pull request. JSON is the report itself.

mod classes;
mod html;
mod judges;
mod plain;
mod plot;
mod rag;
mod ranking;

pub use classes::{SHOWN, matrices};
pub(crate) use html::POLICY;
pub use html::html;
pub use judges::{entailment, label, lines};
pub use plain::{csv, junit, markdown};
pub use rag::{Table, tables};

use crate::compare::{Comparison, Interval, Report, Verdict};

/// What a report says of answers that were made up.
pub const SIMULATED: &str = "Simulated: answers were made up by a simulated provider.";

/// A number to four places, or a dash.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// A difference with its sign.
fn signed(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:+.4}"))
}

/// `[low, high]`.
fn ends(interval: Option<Interval>) -> String {
    interval.map_or_else(|| "-".to_owned(), |Interval { low, high, .. }| format!("[{low:+.4}, {high:+.4}]"))
}

/// What a comparison comes to, in a sentence that names its interval.
#[must_use]
pub fn sentence(candidate: &str, report: &Report, comparison: &Comparison) -> String {
    let Comparison { difference, interval, margin, n, .. } = comparison;
    let (Some(difference), Some(interval)) = (difference, interval) else {
        let because = comparison.because.clone().unwrap_or_else(|| "there is nothing to compare".to_owned());
        return format!("{candidate}: undecided, {because}.");
    };
    let level = interval.level * 100.0;
    let mut text = format!(
        "{candidate}: {} by {} ({n} cases): {difference:+.4} against the baseline, {level:.1} % interval [{:+.4}, {:+.4}], margin -{margin}",
        comparison.verdict.as_str(),
        label(report, &report.primary),
        interval.low,
        interval.high
    );
    match (comparison.verdict, &comparison.because, comparison.still_needed) {
        (Verdict::Undecided, Some(because), _) => text += &format!("; {because}"),
        (Verdict::Undecided, None, Some(still)) if still > 0 => {
            text += &format!("; about {still} more cases decide it four times in five");
        }
        (Verdict::Undecided, None, _) => text += "; so many cases decide it four times in five, and these did not",
        _ => {}
    }
    text + "."
}
