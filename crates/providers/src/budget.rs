//! How much of what a provider gets may be retries: attempts ≤ (1 + ratio) × requests, over any ten seconds.
//!
//! A **request** is counted when it wants this provider for the first time: it comes from a caller that has not sent it before,
//! or it fails over from another target or replica. Its first attempt is never refused here. Every further attempt is: another try at
//! the same target, and the first try of a request that a caller's SDK sends again. A request that was turned away without an
//! attempt (an open breaker, a pause) counts all the same, so that its caller's next try finds room.
//!
//! The shape is that of tower's `retry::Budget` and of Kubernetes' GEP-3388: a ratio of the traffic, a small floor for little
//! traffic, and a time after which what was saved is forgotten. The difference: the floor is not added to the ratio's part,
//! the larger of the two counts, so that the ratio holds exactly where there is traffic.
//!
//! Time is an argument. Counting a request is one compare-and-swap; only a retry takes a lock, so that two of them cannot both
//! take the last place.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Seconds after which a request no longer pays for retries.
pub const WINDOW: u64 = N_SLOTS as u64;
const N_SLOTS: usize = 10;

/// How many retries a provider may get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetLimits {
    /// Retries per request, 0..1.
    pub ratio: f64,
    /// So many in ten seconds are allowed however few requests there are.
    pub floor: u32,
}

impl Default for BudgetLimits {
    fn default() -> Self {
        Self { ratio: 0.2, floor: 3 }
    }
}

/// The last ten seconds of one provider, shared by all who call it.
#[derive(Debug)]
pub struct RetryBudget {
    seconds: [AtomicU64; N_SLOTS],
    begun: Instant,
    another: Mutex<()>,
}

impl RetryBudget {
    /// Nothing counted yet.
    pub fn new(now: Instant) -> Self {
        Self { seconds: Default::default(), begun: now, another: Mutex::new(()) }
    }

    /// A request's first attempt at this provider begins.
    pub fn first(&self, now: Instant) {
        self.count(self.second(now), 1, 1);
    }

    /// A request wanted this provider and was turned away without an attempt.
    pub fn turned_away(&self, now: Instant) {
        self.count(self.second(now), 1, 0);
    }

    /// Whether a further attempt may be made; it is counted when it may.
    #[must_use]
    pub fn another(&self, limits: BudgetLimits, now: Instant) -> bool {
        let one_at_a_time = self.another.lock().unwrap_or_else(PoisonError::into_inner);
        let may = self.has_room(limits, now);
        if may {
            self.count(self.second(now), 0, 1);
        }
        drop(one_at_a_time);
        may
    }

    /// Whether a further attempt would be allowed at this moment.
    pub fn has_room(&self, limits: BudgetLimits, now: Instant) -> bool {
        let (requests, attempts) = self.counts(now);
        // Exact: both numbers are far below 2^52.
        let by_ratio = (requests as f64 * (1.0 + limits.ratio)).floor();
        let allowed = by_ratio.max((requests + u64::from(limits.floor)) as f64);
        (attempts + 1) as f64 <= allowed
    }

    /// Requests and attempts of the last ten seconds.
    pub fn counts(&self, now: Instant) -> (u64, u64) {
        self.sums(self.second(now))
    }

    /// From 1, so that an empty slot is of no second.
    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_secs() + 1
    }

    fn sums(&self, second: u64) -> (u64, u64) {
        let slots = self.seconds.iter().map(|slot| Slot::of(slot.load(Ordering::Acquire)));
        let recent = slots.filter(|slot| slot.is_within(second));
        recent.fold((0, 0), |(requests, attempts), slot| (requests + slot.requests, attempts + slot.attempts))
    }

    fn count(&self, second: u64, requests: u64, attempts: u64) {
        let slot = &self.seconds[usize::try_from(second % WINDOW).unwrap_or_default()];
        let add = |word: u64| {
            let found = Slot::of(word);
            // Another thread may have read the clock a moment later: what is newer stays.
            let base = if found.is_before(second) { Slot { second, requests: 0, attempts: 0 } } else { found };
            Some(base.plus(requests, attempts).word())
        };
        slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok();
    }
}

/// One second: 24 bits say which (they repeat after 194 days, and a slot is written anew every ten seconds), 20 bits each
/// count requests and attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    second: u64,
    requests: u64,
    attempts: u64,
}

impl Slot {
    const SECOND: u64 = (1 << 24) - 1;
    const MOST: u64 = (1 << 20) - 1;

    fn of(word: u64) -> Self {
        Self { second: word >> 40, requests: word >> 20 & Self::MOST, attempts: word & Self::MOST }
    }

    fn word(self) -> u64 {
        (self.second & Self::SECOND) << 40 | self.requests << 20 | self.attempts
    }

    fn plus(self, requests: u64, attempts: u64) -> Self {
        let add = |n: u64, more: u64| (n + more).min(Self::MOST);
        Self { requests: add(self.requests, requests), attempts: add(self.attempts, attempts), ..self }
    }

    /// Seconds from this one to `second`, as the 24 bits tell.
    fn age(self, second: u64) -> u64 {
        second.wrapping_sub(self.second) & Self::SECOND
    }

    fn is_within(self, second: u64) -> bool {
        self.age(second) < WINDOW
    }

    fn is_before(self, second: u64) -> bool {
        (1..=Self::SECOND / 2).contains(&self.age(second))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: BudgetLimits = BudgetLimits { ratio: 0.2, floor: 3 };

    #[test]
    fn a_fifth_of_the_requests_may_be_tried_again() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        (0..100).for_each(|_| budget.first(now));
        assert_eq!((0..50).filter(|_| budget.another(LIMITS, now)).count(), 20);
        assert_eq!(budget.counts(now), (100, 120));
    }

    #[test]
    fn little_traffic_has_a_floor_that_comes_back() {
        let begun = Instant::now();
        let budget = RetryBudget::new(begun);
        budget.first(begun);
        let n = |at| (0..10).filter(|_| budget.another(LIMITS, at)).count();
        assert_eq!(n(begun), 3);
        assert_eq!(n(begun + Duration::from_secs(9)), 0);
        assert_eq!(n(begun + Duration::from_secs(10)), 3);
    }

    #[test]
    fn whoever_was_turned_away_may_come_back_and_call() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        (0..100).for_each(|_| budget.turned_away(now));
        assert_eq!((0..200).filter(|_| budget.another(LIMITS, now)).count(), 120);
    }

    #[test]
    fn the_last_place_is_taken_once() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        (0..1000).for_each(|_| budget.first(now));
        let taken = |budget: &RetryBudget| (0..300).filter(|_| budget.another(LIMITS, now)).count();
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| taken(&budget))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(total, 200);
    }

    #[test]
    fn a_slot_keeps_its_numbers_and_knows_its_age_over_the_wrap() {
        let slot = Slot { second: Slot::SECOND, requests: 7, attempts: Slot::MOST };
        assert_eq!(Slot::of(slot.word()), slot);
        assert_eq!(slot.plus(1, 1), Slot { second: Slot::SECOND, requests: 8, attempts: Slot::MOST });
        assert!(
            slot.is_within(Slot::SECOND + 3) && slot.is_before(Slot::SECOND + 1) && !slot.is_within(Slot::SECOND + 11)
        );
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        First,
        TurnedAway,
        Another,
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => Just(Step::First),
            1 => Just(Step::TurnedAway),
            6 => Just(Step::Another),
            1 => (0_u64..4_000).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..600)
    }

    proptest! {
        /// Whatever the order: over the whole run attempts stay within the ratio, plus the floor once per ten seconds.
        #[test]
        fn attempts_never_exceed_the_budget(steps in steps()) {
            let begun = Instant::now();
            let (budget, mut now) = (RetryBudget::new(begun), begun);
            let (mut requests, mut attempts) = (0_u64, 0_u64);
            for step in steps {
                match step {
                    Step::First => {
                        budget.first(now);
                        (requests, attempts) = (requests + 1, attempts + 1);
                    }
                    Step::TurnedAway => {
                        budget.turned_away(now);
                        requests += 1;
                    }
                    Step::Another => attempts += u64::from(budget.another(LIMITS, now)),
                    Step::Pass(ms) => now += Duration::from_millis(ms),
                }
            }
            let windows = (now - begun).as_secs() / WINDOW + 1;
            let most = requests as f64 * 1.2 + (windows * u64::from(LIMITS.floor)) as f64;
            prop_assert!(attempts as f64 <= most, "{attempts} attempts for {requests} requests in {windows} windows");
        }
    }
}
