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

/// What a report says where right answers are what targets answered in recorded traffic.
#[must_use]
pub fn agreement(report: &Report) -> Option<String> {
    let baseline = report.targets.first().map(|target| target.name.as_str());
    let of = |(target, n): (&String, &u64)| {
        let role = if Some(target.as_str()) == baseline { ", the baseline" } else { "" };
        format!("{n} of `{target}`{role}")
    };
    let parts: Vec<String> = report.answered_by.iter().map(of).collect();
    (!parts.is_empty()).then(|| {
        format!(
            "Agreement, not correctness: of {} cases the right answers are recorded answers, {}. What is held against them is scored by how far it agrees with \
             these targets, right or wrong.",
            report.n_cases,
            parts.join(", ")
        )
    })
}

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

/// A sum of dollars with its interval, where there is one.
#[must_use]
pub fn dollars(value: Option<f64>, interval: Option<Interval>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let ends = interval.map(|Interval { low, high, .. }| format!(" [{low:.6}, {high:.6}]"));
    format!("{value:.6}{}", ends.unwrap_or_default())
}

/// Milliseconds with their interval, where there is one.
fn ms(value: f64, interval: Option<Interval>) -> String {
    let ends = interval.map(|Interval { low, high, .. }| format!(" [{low:.1}, {high:.1}]"));
    format!("{value:.1}{}", ends.unwrap_or_default())
}

/// A metric by the id of its definition, with its name before it where the id does not begin with that.
fn defined(name: &str, id: &str) -> String {
    let is_said = id.strip_prefix(name).is_some_and(|rest| rest.starts_with('@'));
    if is_said { id.to_owned() } else { format!("{name} = {id}") }
}

/// The ids of the definitions that numbers are by, in a line.
#[must_use]
pub fn definitions(report: &Report) -> String {
    let ids = report.definitions.iter().map(|(name, definition)| defined(name, &definition.id));
    format!("by: {}", ids.collect::<Vec<_>>().join(", "))
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
    if comparison.n_missing > 0 && comparison.because.as_ref().is_none_or(|because| !because.contains("no number")) {
        text += &format!("; {} of {} cases have no number", comparison.n_missing, n + comparison.n_missing);
    }
    match (comparison.verdict, &comparison.because, comparison.still_needed) {
        (Verdict::Undecided, Some(because), _) => {
            text += &format!("; {because}");
            if comparison.is_empty {
                text += &format!(" (read them: `crossfade eval report {} -o answers.html`)", report.run);
            }
        }
        (Verdict::Undecided, None, Some(still)) if still > 0 => {
            text += &format!("; about {still} more cases decide by that margin four times in five");
        }
        (Verdict::Undecided, None, _) => text += "; so many cases decide it four times in five, and these did not",
        _ => {}
    }
    text + "."
}
