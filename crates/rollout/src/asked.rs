//! What came of asking a model that judges pairs: how often its word could not be read, how often it says the same when it is asked again, and
//! how often it goes by the place of an answer. A judge that cannot be read often enough leaves out what it finds hard, so that what is left is
//! no fair part of the pairs.

use serde::{Deserialize, Serialize};

/// Of the questions asked, more than one in so many without a verdict, and nothing is proven by the others.
const MOST_UNREAD: u64 = 100;

/// Counts of one pair, or of many in the order they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Pairs that it was asked about.
    #[serde(default)]
    pub pairs: u64,
    /// Questions that it answered, whatever with.
    #[serde(default)]
    pub questions: u64,
    /// Of these, without a verdict that can be read.
    #[serde(default)]
    pub unread: u64,
    /// Questions that were asked more than once and read each time.
    #[serde(default)]
    pub repeated: u64,
    /// Of these, that it answered the same way each time.
    #[serde(default)]
    pub same: u64,
    /// Pairs that were read in both orders.
    #[serde(default)]
    pub both_orders: u64,
    /// Of these, on which the orders disagree.
    #[serde(default)]
    pub flipped: u64,
    /// Pairs since the last one that decided whose verdict decides nothing, because the judge is not shown to agree with people.
    #[serde(default)]
    pub untrusted: u64,
}

impl Asked {
    /// Whether nobody was asked.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what came of the next ones.
    pub fn add(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.questions += other.questions;
        self.unread += other.unread;
        self.repeated += other.repeated;
        self.same += other.same;
        self.both_orders += other.both_orders;
        self.flipped += other.flipped;
        self.untrusted = if other.pairs > other.untrusted { other.untrusted } else { self.untrusted + other.untrusted };
    }

    /// Whether what is judged proves nothing, because more than 1 % of the questions have no verdict.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.unread * MOST_UNREAD > self.questions
    }

    /// Of the questions that were asked more than once, the part answered the same way each time.
    #[must_use]
    pub fn self_agreement(&self) -> Option<f64> {
        part(self.same, self.repeated)
    }

    /// Of the pairs that were read in both orders, the part on which the orders disagree.
    #[must_use]
    pub fn flip_rate(&self) -> Option<f64> {
        part(self.flipped, self.both_orders)
    }
}

fn part(n: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| n as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_may_be_unread_and_not_one_more() {
        let of = |questions, unread| Asked { questions, unread, ..Asked::default() };
        let withheld = [(0, 0), (100, 1), (199, 1), (1, 1), (99, 1), (100, 2)].map(|(n, un)| of(n, un).is_withheld());
        assert_eq!(withheld, [false, false, false, true, true, true]);
    }

    #[test]
    fn a_judge_that_has_come_to_be_trusted_is_trusted() {
        let mut all = Asked::default();
        for (untrusted, expected) in [(1, 1), (1, 2), (0, 0), (1, 1)] {
            all.add(&Asked { pairs: 1, untrusted, ..Asked::default() });
            assert_eq!(all.untrusted, expected);
        }
    }

    #[test]
    fn counts_add_and_rates_are_none_of_nothing() {
        let mut all = Asked::default();
        assert_eq!((all.self_agreement(), all.flip_rate(), all.is_nothing()), (None, None, true));
        all.add(&Asked { repeated: 2, same: 1, both_orders: 1, flipped: 1, ..Asked::default() });
        all.add(&Asked { repeated: 2, same: 2, both_orders: 3, ..Asked::default() });
        assert_eq!((all.self_agreement(), all.flip_rate(), all.is_nothing()), (Some(0.75), Some(0.25), false));
    }
}
