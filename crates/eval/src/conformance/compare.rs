//! Two reports side by side.

use serde::Serialize;
use wire::capability::Capability;

use super::{Report, Verdict};

/// How one server's row stands to the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Both alike.
    Same,
    /// The first is better.
    Better,
    /// The first is worse: an application that moves notices it.
    Worse,
    /// One of them was not measured.
    Unknown,
}

impl Change {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Change::Same => "same",
            Change::Better => "better",
            Change::Worse => "worse",
            Change::Unknown => "unknown",
        }
    }
}

/// One report held against another.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The subject of the other report.
    pub against: String,
    /// Rows in which the first is worse.
    pub worse: usize,
    /// Rows in which it is better.
    pub better: usize,
    /// Rows that are alike.
    pub same: usize,
    /// Rows that one of them has not measured.
    pub unknown: usize,
    /// Each row, in the order of the list.
    #[serde(serialize_with = "by_id")]
    pub rows: Vec<(Capability, Change)>,
}

fn by_id<S: serde::Serializer>(rows: &[(Capability, Change)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rows.iter().map(|(capability, change)| (capability.id(), change)))
}

/// Holds `report` against `against`.
pub fn compare(report: &Report, against: &Report) -> Comparison {
    let rows: Vec<(Capability, Change)> = report
        .rows
        .iter()
        .map(|row| {
            let other = against.row(row.capability).map_or(Verdict::NotMeasured, |row| row.verdict);
            (row.capability, change(row.verdict, other))
        })
        .collect();
    let count = |change| rows.iter().filter(|(_, found)| *found == change).count();
    Comparison {
        against: against.subject.clone(),
        worse: count(Change::Worse),
        better: count(Change::Better),
        same: count(Change::Same),
        unknown: count(Change::Unknown),
        rows,
    }
}

fn change(first: Verdict, other: Verdict) -> Change {
    let rank = |verdict| match verdict {
        Verdict::Equivalent => Some(2),
        Verdict::Degraded => Some(1),
        Verdict::None => Some(0),
        Verdict::NotMeasured => None,
    };
    match (rank(first), rank(other)) {
        (Some(first), Some(other)) if first < other => Change::Worse,
        (Some(first), Some(other)) if first > other => Change::Better,
        (Some(_), Some(_)) => Change::Same,
        _ => Change::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_neither_better_nor_worse() {
        assert_eq!(change(Verdict::None, Verdict::Degraded), Change::Worse);
        assert_eq!(change(Verdict::Equivalent, Verdict::None), Change::Better);
        assert_eq!(change(Verdict::Degraded, Verdict::Degraded), Change::Same);
        assert_eq!(change(Verdict::NotMeasured, Verdict::Equivalent), Change::Unknown);
        assert_eq!(change(Verdict::Equivalent, Verdict::NotMeasured), Change::Unknown);
    }
}
