//! Words that every form of the report has.

use crate::report::{MoveReport, Report};
use crate::rules::Rule;
use crate::settings::Scorecard;

/// `2026-11-26 08:00 UTC`.
pub(crate) fn moment(us: u64) -> String {
    let minutes = us / 60_000_000;
    let day = i64::try_from(minutes / 1440).unwrap_or(0);
    format!("{} {:02}:{:02} UTC", cost::date::Date(day), minutes / 60 % 24, minutes % 60)
}

/// A rule's conditions, for people.
pub(crate) fn conditions(rule: &Rule) -> String {
    if rule.when.is_empty() {
        return "otherwise".to_owned();
    }
    let one = |(fact, values): &(&str, Vec<&str>)| format!("{} is {}", fact.replace('_', " "), values.join(" or "));
    rule.when.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// From which target to which.
pub(crate) fn from_to(mv: &MoveReport) -> String {
    let candidate = mv.candidate.as_ref().map_or("no candidate", |target| &target.name);
    format!("{} → {candidate}", mv.baseline.name)
}

/// What the report is of, and when.
pub(crate) fn made(report: &Report) -> String {
    format!("{} · crossfade {} · evidence {}", moment(report.at_us), report.version, &report.evidence[..16])
}

/// What is to be known of the scorecard.
pub(crate) fn aged(scorecard: &Scorecard) -> String {
    format!(
        "Evidence older than {} days is not counted. Undecided and not run never count as a pass.",
        scorecard.max_age_days
    )
}

/// A sovereignty's line.
pub(crate) fn sovereignty(mv: &MoveReport) -> String {
    let [today, after] = &mv.sovereignty;
    if today == after {
        format!("{} of 5 today ({}), the same after", today.class, today.means)
    } else {
        format!("{} of 5 today ({}), {} after ({})", today.class, today.means, after.class, after.means)
    }
}
