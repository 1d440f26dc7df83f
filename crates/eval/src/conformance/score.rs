//! One number for how much of the vendor's dialect a server speaks.

use serde::Serialize;

use super::{Row, Verdict};

/// What the score is, in words, with a version: a change of the list, the weights or the rule is another definition.
pub const DEFINITION: &str = "drop-in/1: the points of the measured rows (essential 3, usual 2, rare 1), of which an \
equivalent row earns all, a degraded one half and a missing one none, divided by all points of the measured rows; rows that \
were not measured count on neither side";

/// The drop-in score of a report.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// From 0 to 1; `None` when nothing was measured.
    pub value: Option<f64>,
    /// Points of the measured rows.
    pub measured_points: u32,
    /// Points of all rows.
    pub all_points: u32,
    /// Rows found equivalent.
    pub equivalent: usize,
    /// Rows found degraded.
    pub degraded: usize,
    /// Rows found missing.
    pub none: usize,
    /// Rows that were not measured.
    pub not_measured: usize,
}

impl Score {
    /// The score of these rows, by [`DEFINITION`].
    pub fn of(rows: &[Row]) -> Score {
        let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        let points = |verdict| -> u32 {
            rows.iter().filter(|row| row.verdict == verdict).map(|row| row.capability.weight().points()).sum()
        };
        let (full, half) = (points(Verdict::Equivalent), points(Verdict::Degraded));
        let measured_points = full + half + points(Verdict::None);
        let earned = f64::from(full) + f64::from(half) / 2.0;
        Score {
            value: (measured_points > 0).then(|| earned / f64::from(measured_points)),
            measured_points,
            all_points: measured_points + points(Verdict::NotMeasured),
            equivalent: count(Verdict::Equivalent),
            degraded: count(Verdict::Degraded),
            none: count(Verdict::None),
            not_measured: count(Verdict::NotMeasured),
        }
    }

    /// The part of all points that was measured, from 0 to 1.
    pub fn coverage(&self) -> f64 {
        if self.all_points == 0 { 0.0 } else { f64::from(self.measured_points) / f64::from(self.all_points) }
    }
}

#[cfg(test)]
mod tests {
    use wire::capability::Capability;

    use super::*;

    #[test]
    fn half_for_degraded_and_nothing_for_what_was_not_measured() {
        let row =
            |capability, verdict| Row { capability, verdict, how: String::new(), evidence: Vec::new(), advice: None };
        // 3 of 3, half of 2, none of 1, and 3 that are not measured: 4 / 6.
        let rows = [
            row(Capability::Chat, Verdict::Equivalent),
            row(Capability::Seed, Verdict::Degraded),
            row(Capability::N, Verdict::None),
            row(Capability::Stream, Verdict::NotMeasured),
            row(Capability::Tokenize, Verdict::None),
        ];
        let score = Score::of(&rows);
        assert_eq!(score.value, Some(4.0 / 6.0));
        assert_eq!((score.measured_points, score.all_points), (6, 9));
        assert_eq!((score.equivalent, score.degraded, score.none, score.not_measured), (1, 1, 2, 1));
        assert_eq!(Score::of(&rows[3..4]).value, None);
    }
}
