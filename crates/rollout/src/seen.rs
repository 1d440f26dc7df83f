//! Which units have been counted for what, so that a guard takes at most the first bad event of a unit and a gate one outcome.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use crate::metric::{Metric, MetricSet};

/// Above this many units no new one is counted for gates; their first bad events still are. 16 bytes a unit.
const MOST_UNITS: usize = 4_000_000;

/// A unit and what it has been counted for, in the evidence's own encoding: export it, keep it, import it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenUnit {
    /// The unit's hash.
    pub unit: u64,
    /// What it was counted for.
    pub marks: u64,
}

/// What a unit can be counted for, one bit each: the first eight metrics' bad events and gates in the first two bytes, the breaker and the
/// unit in the third, and the further metrics' from bit 32 on, so that what an older store holds means the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u64);

impl Marks {
    const GATES: u32 = 8;
    const BREAKER: u64 = 1 << 16;
    const UNIT: u64 = 1 << 17;
    const COST: u64 = 1 << 18;
    const LATE: u64 = 1 << 19;
    /// Set while the unit is in the list of changed ones.
    const CHANGED: u64 = 1 << 31;
    /// Where the metrics after the eighth go on.
    const FURTHER: u32 = 32;
    const BAD: u64 = 0xff | 0xff << Self::FURTHER;

    /// Marks for these first bad events.
    pub(crate) fn bad(metrics: MetricSet) -> Self {
        Self(Self::spread(metrics))
    }

    pub(crate) fn and_gates(self, metrics: MetricSet) -> Self {
        Self(self.0 | Self::spread(metrics) << Self::GATES)
    }

    pub(crate) fn and_breaker(self, wanted: bool) -> Self {
        Self(self.0 | if wanted { Self::BREAKER } else { 0 })
    }

    /// The same for the limit on late answers.
    pub(crate) fn and_late(self, wanted: bool) -> Self {
        Self(self.0 | if wanted { Self::LATE } else { 0 })
    }

    pub(crate) fn and_unit(self, wanted: bool) -> Self {
        Self(self.0 | if wanted { Self::UNIT } else { 0 })
    }

    /// Marks for a unit's first priced request.
    pub(crate) fn cost() -> Self {
        Self(Self::COST)
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn bad_metrics(self) -> MetricSet {
        Self::gather(self.0)
    }

    pub(crate) fn gate_metrics(self) -> MetricSet {
        Self::gather(self.0 >> Self::GATES)
    }

    fn spread(metrics: MetricSet) -> u64 {
        let bits = u64::from(metrics.bits());
        bits & 0xff | bits >> 8 << Self::FURTHER
    }

    fn gather(bits: u64) -> MetricSet {
        let [first, _, _, _, further, ..] = bits.to_le_bytes();
        MetricSet::from_bits(u16::from_le_bytes([first, further]))
    }

    pub(crate) fn breaker(self) -> bool {
        self.0 & Self::BREAKER != 0
    }

    pub(crate) fn late(self) -> bool {
        self.0 & Self::LATE != 0
    }

    pub(crate) fn unit(self) -> bool {
        self.0 & Self::UNIT != 0
    }
}

/// The units of one epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenUnits {
    marks: HashMap<u64, u64, BuildHasherDefault<UnitHasher>>,
    changed: Vec<u64>,
}

impl SeenUnits {
    /// Marks `unit` and returns the marks it did not have yet.
    pub(crate) fn mark(&mut self, unit: u64, wanted: Marks) -> Marks {
        if wanted.0 == 0 {
            return wanted;
        }
        let is_full = self.marks.len() >= MOST_UNITS;
        let new = match self.marks.entry(unit) {
            Entry::Occupied(mut marks) => {
                let (before, new) = (*marks.get(), wanted.0 & !*marks.get());
                if new == 0 {
                    return Marks::default();
                }
                *marks.get_mut() = before | new | Marks::CHANGED;
                if before & Marks::CHANGED != 0 {
                    return Marks(new);
                }
                new
            }
            Entry::Vacant(place) => {
                let new = if is_full { wanted.0 & (Marks::BAD | Marks::BREAKER) } else { wanted.0 };
                if new == 0 {
                    return Marks::default();
                }
                place.insert(new | Marks::CHANGED);
                new
            }
        };
        self.changed.push(unit);
        Marks(new)
    }

    /// The units marked since the last call.
    pub(crate) fn take_changed(&mut self) -> Vec<SeenUnit> {
        let taken = std::mem::take(&mut self.changed);
        let units = taken.into_iter().filter_map(|unit| {
            let marks = self.marks.get_mut(&unit)?;
            *marks &= !Marks::CHANGED;
            Some(SeenUnit { unit, marks: *marks })
        });
        units.collect()
    }

    pub(crate) fn import(&mut self, units: impl IntoIterator<Item = SeenUnit>) {
        for SeenUnit { unit, marks } in units {
            *self.marks.entry(unit).or_default() |= marks & !Marks::CHANGED;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }
}

impl SeenUnit {
    /// A unit rebuilt from the record: it was observed on `observed`, bad on `bad`.
    #[must_use]
    pub fn from_record(unit: u64, observed: MetricSet, bad: MetricSet) -> Self {
        let marks = Marks::bad(bad).and_gates(observed).and_breaker(bad.contains(Metric::Error)).and_unit(true);
        Self { unit, marks: marks.0 }
    }
}

/// Units are positions of a salted SHA-256 already; one multiplication spreads them over the table.
#[derive(Default)]
pub(crate) struct UnitHasher(u64);

impl Hasher for UnitHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, unit: u64) {
        let product = (self.0 ^ unit).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_new_once_for_each_purpose() {
        let mut seen = SeenUnits::default();
        let errors = MetricSet::of(&[Metric::Error]);
        let first = seen.mark(7, Marks::bad(errors).and_gates(MetricSet::ALL).and_unit(true));
        assert!(first.unit() && first.bad_metrics() == errors && first.gate_metrics() == MetricSet::ALL);
        assert_eq!(seen.mark(7, Marks::bad(errors).and_unit(true)), Marks::default());
        let timeouts = MetricSet::of(&[Metric::Timeout]);
        assert_eq!(seen.mark(7, Marks::bad(errors.or(timeouts))).bad_metrics(), timeouts);
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn every_metric_has_marks_of_its_own_and_the_first_eight_those_of_older_stores() {
        for metric in Metric::ALL {
            let set = MetricSet::of(&[metric]);
            let marks = Marks::bad(set);
            assert_eq!((marks.bad_metrics(), marks.gate_metrics()), (set, MetricSet::EMPTY));
            assert!(!marks.breaker() && !marks.unit());
            let marks = Marks::default().and_gates(set);
            assert_eq!((marks.bad_metrics(), marks.gate_metrics()), (MetricSet::EMPTY, set));
            assert!(!marks.breaker() && !marks.unit());
        }
        assert_eq!(Marks::bad(MetricSet::of(&[Metric::ToolCall])).and_gates(MetricSet::of(&[Metric::Error])).0, 0x120);
    }

    #[test]
    fn exported_units_are_seen_after_an_import() {
        let mut seen = SeenUnits::default();
        seen.mark(7, Marks::bad(MetricSet::of(&[Metric::Error])).and_breaker(true));
        let mut restarted = SeenUnits::default();
        let exported = seen.take_changed();
        assert_eq!((exported.len(), seen.take_changed().len()), (1, 0));
        restarted.import(exported);
        let again = restarted.mark(7, Marks::bad(MetricSet::of(&[Metric::Error])).and_breaker(true));
        assert_eq!(again, Marks::default());
        restarted.import([SeenUnit::from_record(8, MetricSet::ALL, MetricSet::EMPTY)]);
        assert_eq!(restarted.mark(8, Marks::default().and_gates(MetricSet::ALL).and_unit(true)), Marks::default());
    }
}
