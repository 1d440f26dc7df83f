//! What an epoch's evidence counted, one entry for each thing, in the order it was counted: enough to count it again.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::assign::Arm;
use crate::breach::Breach;
use crate::comparison::Compared;
use crate::cost::CostOutcome;
use crate::evidence::{Evidence, JudgedPair, Outcome, PairOutcome};
use crate::metric::MetricSet;

/// One thing that was counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Input {
    /// What came of a request.
    Outcome(Outcome),
    /// What both arms made of a request.
    Pair(PairOutcome),
    /// A bad exchange, by name.
    Example {
        /// The arm that was bad.
        arm: Arm,
        /// On what.
        bad: MetricSet,
        /// When it was admitted.
        admitted_at: Timestamp,
        /// Its name.
        exchange: String,
    },
    /// A request was drawn and the shadow took a copy.
    ShadowOffer {
        /// What kind of request it is.
        #[serde(default)]
        stratum: Cow<'static, str>,
    },
    /// The shadow took no copy, or the copy came to nothing.
    ShadowDrop {
        /// Why.
        reason: Cow<'static, str>,
        /// What kind of request it is.
        #[serde(default)]
        stratum: Cow<'static, str>,
        /// It was drawn just now, and not taken.
        #[serde(default)]
        drawn: bool,
    },
    /// What a request cost.
    Cost(CostOutcome),
    /// A pair of this kind of request is complete; the pair itself comes next.
    PairOf {
        /// What kind of request it is.
        stratum: Cow<'static, str>,
        /// When it was admitted.
        admitted_at: Timestamp,
    },
    /// How far the answers of a pair are apart.
    Compared(Compared),
    /// What the checks say of a pair that was counted before.
    Judged(JudgedPair),
    /// Where a unit's key came from.
    KeySource {
        /// Where.
        source: Cow<'static, str>,
    },
}

impl Evidence {
    /// Counts one entry. Returns the breach if it completes the first one of the epoch.
    pub fn take(&mut self, input: &Input) -> Option<Breach> {
        match input {
            Input::Outcome(outcome) => return self.observe(outcome),
            Input::Pair(pair) => return self.observe_pair(pair),
            Input::Example { arm, bad, admitted_at, exchange } => self.note_example(*arm, *bad, *admitted_at, exchange),
            Input::Cost(cost) => return self.observe_cost(cost),
            Input::ShadowOffer { stratum } => self.count_shadow_offer(stratum),
            Input::ShadowDrop { reason, stratum, drawn } => self.count_shadow_drop(reason, stratum, *drawn),
            Input::PairOf { stratum, admitted_at } => self.count_pair_of(stratum, *admitted_at),
            Input::Judged(pair) => return self.observe_judged(pair),
            Input::Compared(compared) => self.observe_comparison(compared),
            Input::KeySource { source } => self.count_key_source(source),
        }
        None
    }
}

/// The entries of an epoch that are not written down yet.
///
/// Between two savings at most [`MOST`](Self::MOST) are kept. What comes after them is counted and not kept: the next part begins at a
/// later number, and whoever reads them knows that some are missing.
#[derive(Debug, Default)]
pub struct InputLog {
    first: u64,
    kept: Vec<Input>,
    n_lost: u64,
}

/// A part of an epoch's entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputPart {
    /// The number of the first one; the epoch's first is 0.
    pub first: u64,
    /// The entries.
    pub inputs: Vec<Input>,
}

impl InputLog {
    /// Entries kept between two savings: at half a second, a quarter of a million a second. About 100 bytes each.
    pub const MOST: usize = 1 << 17;

    /// A log that goes on at `next`.
    #[must_use]
    pub fn from_number(next: u64) -> Self {
        Self { first: next, ..Self::default() }
    }

    /// Keeps one entry, if there is room.
    pub fn push(&mut self, input: Input) {
        if self.n_lost == 0 && self.kept.len() < Self::MOST {
            self.kept.push(input);
        } else {
            self.n_lost += 1;
        }
    }

    /// The number the next entry gets: how many the epoch has counted.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first + self.kept.len() as u64 + self.n_lost
    }

    /// Hands over what was kept since the last call.
    pub fn take(&mut self) -> InputPart {
        let next = self.next();
        // As many as last time will come again, so the vector does not grow while somebody waits.
        let room = Vec::with_capacity(self.kept.len());
        let taken = InputPart { first: self.first, inputs: std::mem::replace(&mut self.kept, room) };
        (self.first, self.n_lost) = (next, 0);
        taken
    }
}

impl InputPart {
    /// One line of JSON for each entry.
    #[must_use]
    pub fn to_lines(&self) -> Vec<u8> {
        let mut lines = Vec::with_capacity(self.inputs.len() * 160);
        for input in &self.inputs {
            // An entry is numbers and words: it always has a JSON form.
            if serde_json::to_writer(&mut lines, input).is_ok() {
                lines.push(b'\n');
            }
        }
        lines
    }

    /// What [`to_lines`](Self::to_lines) wrote.
    ///
    /// # Errors
    /// When a line is no entry.
    pub fn from_lines(first: u64, lines: &[u8]) -> Result<Self, serde_json::Error> {
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(Self { first, inputs: lines.map(serde_json::from_slice).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::Comparison;
    use crate::metric::Metric;

    fn entries() -> Vec<Input> {
        let outcome = Outcome {
            unit: u64::MAX,
            arm: Arm::Candidate,
            admitted_at: Timestamp(1),
            at: Timestamp(2),
            observed: MetricSet::ALL,
            bad: MetricSet::of(&[Metric::Error]),
            time_to_first_token_us: None,
            duration_us: Some(3),
        };
        vec![
            Input::Outcome(outcome),
            Input::ShadowOffer { stratum: "0k/-/whole".into() },
            Input::ShadowDrop { reason: "full".into(), stratum: "0k/-/whole".into(), drawn: true },
            Input::PairOf { stratum: "0k/-/whole".into(), admitted_at: Timestamp(1) },
            Input::Compared(Compared {
                probability: 0.25,
                distances: vec![(Comparison::Json, 333_333, Some(1))],
                ..Compared::default()
            }),
            Input::Judged(JudgedPair {
                unit: 9,
                admitted_at: Timestamp(1),
                at: Timestamp(2),
                baseline_bad: false,
                candidate_bad: true,
                stratum: "0k/-/whole".into(),
            }),
            Input::KeySource { source: "header".into() },
        ]
    }

    #[test]
    fn entries_come_back_as_they_were_written() {
        let part = InputPart { first: 7, inputs: entries() };
        assert_eq!(InputPart::from_lines(7, &part.to_lines()).unwrap(), part);
        assert!(InputPart::from_lines(0, b"{\"of\":\"nothing\"}").is_err());
    }

    #[test]
    fn what_finds_no_room_is_numbered_all_the_same() {
        let mut log = InputLog::from_number(10);
        (0..InputLog::MOST + 5).for_each(|_| log.push(Input::ShadowOffer { stratum: "".into() }));
        let part = log.take();
        assert_eq!((part.first, part.inputs.len()), (10, InputLog::MOST));
        log.push(Input::ShadowOffer { stratum: "".into() });
        let next = log.take();
        assert_eq!((next.first, next.inputs.len()), (10 + InputLog::MOST as u64 + 5, 1));
        assert_eq!(log.next(), next.first + 1);
    }
}
