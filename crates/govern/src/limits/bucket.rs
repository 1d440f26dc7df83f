//! A leaky bucket: it holds a minute's worth, and what was poured in leaks out at the limit's rate, first in, first out. In whole
//! numbers, so that what is given back at once leaves exactly what was there (the leaky-bucket form of the generic cell rate
//! algorithm, ITU-T I.371 annex A).
//!
//! What was poured in for a request and is not needed comes out again, but only what of it has not leaked out yet: otherwise
//! reservations kept open for long would be allowance for a burst. Because a reservation's place in the bucket is not moved
//! when one ahead of it is taken out, up to a minute's worth may be given back that has leaked out, never more: in any span
//! of time at most two minutes' worth and the rate are let through, and over all time at most one and the rate.

use std::time::Duration;

/// One unit is held as so many parts: then a limit of one per minute leaks one part per nanosecond, and every limit whole parts.
const UNIT: u128 = 60_000_000_000;

/// What is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Parts of units.
    level: u128,
    /// Parts that ever leaked out.
    leaked: u128,
    /// When it was so, nanoseconds.
    at_ns: u64,
}

/// What was poured in, and how much will have leaked out when the last of it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Poured {
    parts: u128,
    gone_at: u128,
}

impl Bucket {
    /// Lets leak out what does until `now_ns`. A clock that goes back stands still.
    fn leak(&mut self, limit: u64, now_ns: u64) {
        let leaks = (u128::from(now_ns.saturating_sub(self.at_ns)) * u128::from(limit)).min(self.level);
        self.level -= leaks;
        self.leaked += leaks;
        self.at_ns = self.at_ns.max(now_ns);
    }

    /// How long until `n` units have room; `None` when they never have.
    pub(super) fn wait(&mut self, n: u64, limit: u64, now_ns: u64) -> Option<Duration> {
        if n > limit {
            return None;
        }
        self.leak(limit, now_ns);
        let over = (self.level + u128::from(n) * UNIT).saturating_sub(u128::from(limit) * UNIT);
        Some(nanos(over.div_ceil(u128::from(limit))))
    }

    /// Pours `n` units in, whether they have room or not.
    pub(super) fn pour(&mut self, n: u64, limit: u64, now_ns: u64) -> Poured {
        self.leak(limit, now_ns);
        let parts = u128::from(n) * UNIT;
        self.level += parts;
        Poured { parts, gone_at: self.leaked + self.level }
    }

    /// Takes out again what of `poured` is not needed but for `n` units; pours in what is needed more.
    pub(super) fn settle(&mut self, poured: Poured, n: u64, limit: u64, now_ns: u64) {
        self.leak(limit, now_ns);
        let parts = u128::from(n) * UNIT;
        let still_in = poured.gone_at.saturating_sub(self.leaked).min(poured.parts);
        self.level = self.level.saturating_sub(poured.parts.saturating_sub(parts).min(still_in));
        self.level += parts.saturating_sub(poured.parts);
    }

    /// How many whole units have room now.
    pub(super) fn room(&mut self, limit: u64, now_ns: u64) -> u64 {
        self.leak(limit, now_ns);
        let room = (u128::from(limit) * UNIT).saturating_sub(self.level) / UNIT;
        u64::try_from(room).unwrap_or(u64::MAX)
    }

    /// How long until it is dry.
    pub(super) fn dry_in(&mut self, limit: u64, now_ns: u64) -> Duration {
        self.leak(limit, now_ns);
        nanos(self.level.div_ceil(u128::from(limit)))
    }
}

fn nanos(n: u128) -> Duration {
    Duration::from_nanos(u64::try_from(n).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_minutes_worth_comes_at_once_and_then_one_at_a_time() {
        let mut bucket = Bucket::default();
        for left in (0..60).rev() {
            assert_eq!(bucket.wait(1, 60, 5), Some(Duration::ZERO));
            bucket.pour(1, 60, 5);
            assert_eq!(bucket.room(60, 5), left);
        }
        assert_eq!(bucket.wait(1, 60, 5), Some(Duration::from_secs(1)));
        assert_eq!(bucket.wait(30, 60, 5), Some(Duration::from_secs(30)));
        assert_eq!(bucket.dry_in(60, 5), Duration::from_secs(60));
        assert_eq!(bucket.wait(1, 60, 5 + SECOND), Some(Duration::ZERO));
        assert_eq!((bucket.room(60, 5 + SECOND), bucket.room(60, 5 + 61 * SECOND)), (1, 60));
    }

    #[test]
    fn what_never_has_room_is_told_apart() {
        assert_eq!(Bucket::default().wait(61, 60, 0), None);
        assert_eq!(Bucket::default().wait(60, 60, 0), Some(Duration::ZERO));
    }

    #[test]
    fn limits_that_do_not_divide_a_minute_count_whole_units_too() {
        for limit in [1, 7, 59, 61, 1_000_003, 1_000_000_000_000] {
            let mut bucket = Bucket::default();
            bucket.pour(1, limit, 9);
            assert_eq!(bucket.room(limit, 9), limit - 1, "{limit}");
        }
    }

    #[test]
    fn what_is_given_back_has_room_again_and_what_is_owed_has_not() {
        let mut bucket = Bucket::default();
        let poured = bucket.pour(50, 60, 0);
        bucket.settle(poured, 20, 60, 0);
        assert_eq!(bucket.room(60, 0), 40);
        let poured = bucket.pour(10, 60, 0);
        bucket.settle(poured, 60, 60, 0);
        assert_eq!((bucket.room(60, 0), bucket.wait(1, 60, 0)), (0, Some(Duration::from_secs(21))));
    }

    #[test]
    fn what_leaked_out_is_not_given_back_twice() {
        let mut bucket = Bucket::default();
        let early = bucket.pour(30, 60, 0);
        let late = bucket.pour(60, 60, 40 * SECOND);
        bucket.settle(early, 10, 60, 40 * SECOND);
        assert_eq!(bucket.room(60, 40 * SECOND), 0, "the first was gone after 30 s");
        bucket.settle(late, 60, 60, 40 * SECOND);
        assert_eq!(bucket.room(60, 41 * SECOND), 1);
    }

    #[test]
    fn a_clock_that_goes_back_opens_nothing() {
        let mut bucket = Bucket::default();
        bucket.pour(60, 60, 100 * SECOND);
        assert_eq!(bucket.room(60, 0), 0);
        assert_eq!(bucket.room(60, 101 * SECOND), 1);
    }

    /// One request: how long after the one before, what it reserves, what of that it uses, and how many requests later it ends.
    type Step = (u64, u64, u64, usize);

    fn steps() -> impl Strategy<Value = (u64, Vec<Step>)> {
        let step = (0..20 * SECOND, 0..50_u64, 0..50_u64, 0..8_usize);
        (1..200_u64, prop::collection::vec(step.prop_map(|(gap, n, used, later)| (gap, n, used.min(n), later)), 1..60))
    }

    proptest! {
        #[test]
        fn what_is_let_through_and_used_stays_within_the_limit_over_any_span((limit, steps) in steps()) {
            let mut bucket = Bucket::default();
            let mut open: Vec<(usize, Poured, u64)> = Vec::new();
            let mut uses: Vec<(u64, u64)> = Vec::new();
            let mut now_ns = 0;
            for (idx, (gap, n, used, later)) in steps.into_iter().enumerate() {
                now_ns += gap;
                for (_, poured, used) in open.extract_if(.., |(end, ..)| *end <= idx) {
                    bucket.settle(poured, used, limit, now_ns);
                }
                if bucket.wait(n, limit, now_ns) == Some(Duration::ZERO) {
                    open.push((idx + later, bucket.pour(n, limit, now_ns), used));
                    uses.push((now_ns, used));
                }
            }
            for from in 0..uses.len() {
                let mut used = 0_u128;
                for (at_ns, n) in &uses[from..] {
                    used += u128::from(*n);
                    let may = match from {
                        0 => UNIT + u128::from(*at_ns),
                        _ => 2 * UNIT + u128::from(at_ns - uses[from].0),
                    };
                    let may = u128::from(limit) * may;
                    prop_assert!(used * UNIT <= may, "{used} from {from}");
                }
            }
        }

        #[test]
        fn settled_before_the_next_comes_it_is_as_if_only_the_use_had_been_poured_in((limit, steps) in steps()) {
            let (mut reserved, mut exact) = (Bucket::default(), Bucket::default());
            let mut now_ns = 0;
            for (gap, n, used, _) in steps {
                now_ns += gap;
                let poured = reserved.pour(n, limit, now_ns);
                exact.pour(used, limit, now_ns);
                now_ns += gap / 3;
                reserved.settle(poured, used, limit, now_ns);
                prop_assert_eq!(reserved.room(limit, now_ns), exact.room(limit, now_ns));
                prop_assert_eq!(reserved.level, exact.level);
            }
        }
    }
}
