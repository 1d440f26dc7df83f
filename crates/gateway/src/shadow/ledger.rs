//! What the shadow of one rollout has used and may use. It belongs to the shadow's thread; nothing of it is ever waited for: what
//! there is no room for is dropped, by reason.

use std::time::Instant;

use wire::record::{AttemptRecord, Charge, ShadowDrop};

use super::room::{Pool, Room};
use super::settings::ShadowBudget;

const US_PER_DAY: u64 = 86_400_000_000;

/// What one rollout's shadow uses.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    day: u64,
    nanos: u64,
    tokens: u64,
    /// Calls that ended today, to guess what those under way will come to.
    n_calls: u64,
    /// A call of today was charged for and nobody knows how much.
    has_unknown: bool,
    in_flight: usize,
    memory: Pool,
    /// Copies that may begin, and when that was counted.
    allowance: Option<(f64, Instant)>,
}

impl Ledger {
    /// What it used before this process began, on the day of `now_us`.
    pub(crate) fn resume(&mut self, (nanos, tokens): (u64, u64), now_us: u64) {
        self.turn(now_us);
        self.nanos = self.nanos.saturating_add(nanos);
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// Calls it made before this process began, on the day of `now_us`.
    pub(crate) fn resume_calls(&mut self, n_calls: u64, now_us: u64) {
        self.turn(now_us);
        self.n_calls = self.n_calls.saturating_add(n_calls);
    }

    /// Calls that ended on the day of `now_us`.
    pub(crate) fn n_calls(&mut self, now_us: u64) -> u64 {
        self.turn(now_us);
        self.n_calls
    }

    /// One more copy, until [`end`](Self::end). What its `room` holds, now and later, is held of this rollout's share, too.
    pub(crate) fn begin(
        &mut self,
        budget: &ShadowBudget,
        room: &mut Room,
        (now, now_us): (Instant, u64),
    ) -> Result<(), ShadowDrop> {
        self.may_begin(budget, room.n_bytes(), (now, now_us))?;
        if !room.also_of(self.memory.within(budget.max_bytes.unwrap_or(usize::MAX))) {
            return Err(ShadowDrop::MemoryFull);
        }
        if let Some((left, _)) = &mut self.allowance {
            *left -= 1.0;
        }
        self.in_flight += 1;
        Ok(())
    }

    /// Whether there is room now for a copy that holds `n_bytes`.
    pub(crate) fn may_begin(
        &mut self,
        budget: &ShadowBudget,
        n_bytes: usize,
        (now, now_us): (Instant, u64),
    ) -> Result<(), ShadowDrop> {
        self.turn(now_us);
        if budget.in_flight.is_some_and(|most| self.in_flight >= most) {
            return Err(ShadowDrop::Concurrency);
        }
        if budget.max_bytes.is_some_and(|most| self.memory.held().saturating_add(n_bytes) > most) {
            return Err(ShadowDrop::MemoryFull);
        }
        // Those under way cost what the others did.
        let under_way = |used: u64| used / self.n_calls.max(1) * self.in_flight as u64;
        if budget
            .nanos_per_day
            .is_some_and(|most| self.has_unknown || self.nanos.saturating_add(under_way(self.nanos)) >= most)
        {
            return Err(ShadowDrop::BudgetDollars);
        }
        if budget.tokens_per_day.is_some_and(|most| self.tokens.saturating_add(under_way(self.tokens)) >= most) {
            return Err(ShadowDrop::BudgetTokens);
        }
        self.allowance = self.allowance.filter(|_| budget.per_second.is_some());
        if let Some(rate) = budget.per_second {
            let most = rate.max(1.0);
            let (left, at) = self.allowance.unwrap_or((most, now));
            let left = (left + rate * now.saturating_duration_since(at).as_secs_f64()).min(most);
            self.allowance = Some((left, now));
            if left < 1.0 {
                return Err(ShadowDrop::Rate);
            }
        }
        Ok(())
    }

    /// The calls of a copy are over.
    pub(crate) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A call ended. Whether it is the first of the day whose price is not known.
    pub(crate) fn spend(&mut self, call: &AttemptRecord, now_us: u64) -> bool {
        let tokens = call.usage.map_or(0, |usage| usage.input_tokens.saturating_add(usage.output_tokens));
        self.spend_tokens(tokens, call.cost.as_ref(), now_us)
    }

    fn spend_tokens(&mut self, tokens: u64, cost: Option<&Charge>, now_us: u64) -> bool {
        self.turn(now_us);
        self.n_calls += 1;
        self.tokens = self.tokens.saturating_add(tokens);
        match cost {
            Some(Charge::Priced { nanos, .. }) => self.nanos = self.nanos.saturating_add(*nanos),
            Some(Charge::Unknown { .. }) => return !std::mem::replace(&mut self.has_unknown, true),
            None => {}
        }
        false
    }

    fn turn(&mut self, now_us: u64) {
        let day = now_us / US_PER_DAY;
        if day > self.day {
            (self.day, self.nanos, self.tokens, self.n_calls, self.has_unknown) = (day, 0, 0, 0, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOON: u64 = 20_000 * US_PER_DAY + US_PER_DAY / 2;

    fn priced(nanos: u64) -> Option<Charge> {
        Some(Charge::Priced { nanos, row: String::new() })
    }

    #[test]
    fn a_day_has_its_dollars_and_the_next_day_has_them_again() {
        let budget = ShadowBudget { nanos_per_day: Some(100), ..ShadowBudget::default() };
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        for _ in 0..2 {
            ledger.begin(&budget, &mut Room::default(), (now, NOON)).unwrap();
            ledger.spend_tokens(0, priced(50).as_ref(), NOON);
            ledger.end();
        }
        assert_eq!(ledger.begin(&budget, &mut Room::default(), (now, NOON)), Err(ShadowDrop::BudgetDollars));
        ledger.begin(&budget, &mut Room::default(), (now, NOON + US_PER_DAY)).unwrap();
    }

    #[test]
    fn copies_under_way_are_taken_to_cost_what_the_others_did() {
        let budget = ShadowBudget { nanos_per_day: Some(100), ..ShadowBudget::default() };
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.spend_tokens(0, priced(40).as_ref(), NOON);
        ledger.begin(&budget, &mut Room::default(), (now, NOON)).unwrap();
        ledger.begin(&budget, &mut Room::default(), (now, NOON)).unwrap();
        assert_eq!(
            ledger.begin(&budget, &mut Room::default(), (now, NOON)),
            Err(ShadowDrop::BudgetDollars),
            "40 + 2 x 40"
        );
    }

    #[test]
    fn what_is_not_known_is_not_nothing() {
        let budget = ShadowBudget { nanos_per_day: Some(100), ..ShadowBudget::default() };
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        assert!(ledger.spend_tokens(5, Some(&Charge::Unknown { why: "no_price".into() }), NOON));
        assert!(!ledger.spend_tokens(5, Some(&Charge::Unknown { why: "no_price".into() }), NOON), "said once a day");
        assert_eq!(ledger.begin(&budget, &mut Room::default(), (now, NOON)), Err(ShadowDrop::BudgetDollars));
        assert_eq!(
            ledger.begin(&ShadowBudget::default(), &mut Room::default(), (now, NOON)),
            Ok(()),
            "nobody asked for the price"
        );
    }

    #[test]
    fn tokens_rate_concurrency_and_bytes_each_have_their_reason() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.resume((0, 90), NOON);
        let tokens = ShadowBudget { tokens_per_day: Some(90), ..ShadowBudget::default() };
        assert_eq!(
            ledger.begin(&tokens, &mut Room::default(), (now, NOON)),
            Err(ShadowDrop::BudgetTokens),
            "used before the restart"
        );
        let all = Pool::new(1000);
        let room = || all.take(10).unwrap();
        let mut rooms: Vec<Room> = (0..4).map(|_| room()).collect();
        let rate = ShadowBudget { per_second: Some(2.0), ..ShadowBudget::default() };
        ledger.begin(&rate, &mut rooms[0], (now, NOON)).unwrap();
        ledger.begin(&rate, &mut rooms[1], (now, NOON)).unwrap();
        assert_eq!(ledger.begin(&rate, &mut rooms[2], (now, NOON)), Err(ShadowDrop::Rate));
        ledger.begin(&rate, &mut rooms[2], (now + Duration::from_millis(500), NOON)).unwrap();
        let most = ShadowBudget { in_flight: Some(3), ..ShadowBudget::default() };
        assert_eq!(ledger.begin(&most, &mut Room::default(), (now, NOON)), Err(ShadowDrop::Concurrency));
        let bytes = ShadowBudget { max_bytes: Some(35), ..ShadowBudget::default() };
        assert_eq!(ledger.begin(&bytes, &mut rooms[3], (now, NOON)), Err(ShadowDrop::MemoryFull));
        drop(rooms.remove(0));
        assert_eq!(ledger.begin(&bytes, &mut rooms[2], (now, NOON)), Ok(()));
    }
}
