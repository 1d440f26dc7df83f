//! What one key, tenant or route has used of its limits. Limits are an argument of every call, so that a change of them keeps
//! what was used.

use std::time::Duration;

use super::bucket::{Bucket, Poured};
use super::{Budget, Limits, Period};

/// The most a request may come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ask {
    /// Tokens of prompt and answer.
    pub tokens: u64,
    /// Nano-dollars.
    pub nanos: u64,
}

/// What a request came to.
pub type Used = Ask;

/// The kinds of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Requests under way at once.
    Concurrency,
    /// Money.
    Budget,
}

/// Why a request was not let in. Nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Which limit.
    pub kind: LimitKind,
    /// The limit: requests, tokens, requests at once, or nano-dollars.
    pub limit: u64,
    /// When the same request has room if nobody else comes; `None` when it is not known, or never.
    pub wait: Option<Duration>,
    /// The same request never has room.
    pub never: bool,
}

/// What was taken of an account, to be settled once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    requests: Option<Poured>,
    tokens: Option<Poured>,
    nanos: u64,
}

/// How an account stands, as `x-ratelimit-*` says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Limit, room, and time until all of it is there again: of requests per minute.
    pub requests: Option<(u64, u64, Duration)>,
    /// The same of tokens per minute.
    pub tokens: Option<(u64, u64, Duration)>,
}

impl Standing {
    /// What is tighter of either.
    #[must_use]
    pub fn tighter(self, other: Standing) -> Standing {
        let tighter = |a: Option<(u64, u64, Duration)>, b: Option<(u64, u64, Duration)>| match (a, b) {
            (Some(a), Some(b)) => Some(if b.1 < a.1 { b } else { a }),
            (a, b) => a.or(b),
        };
        Standing { requests: tighter(self.requests, other.requests), tokens: tighter(self.tokens, other.tokens) }
    }
}

/// What of an account outlives the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// The number of a period.
    pub period: u64,
    /// Nano-dollars spent in it.
    pub nanos: u64,
}

impl Kept {
    /// What of it was spent in the period of `per` that `unix_us` is in.
    #[must_use]
    pub fn spent(&self, per: Period, unix_us: u64) -> u64 {
        if self.period == period_number(per, unix_us) { self.nanos } else { 0 }
    }
}

/// The time, by the clock that never goes back and by the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since some beginning.
    pub ns: u64,
    /// Unix microseconds.
    pub unix_us: u64,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    requests: Bucket,
    tokens: Bucket,
    in_flight: u32,
    spend: Spend,
}

/// Money that was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Spend {
    /// Which period it is of; see [`period_number`].
    period: u64,
    nanos: u64,
    held: u64,
}

impl Account {
    /// Lets a request in, and takes the most it may come to.
    ///
    /// # Errors
    /// The first limit that has no room, in the order concurrency, requests, tokens, money; then nothing is taken.
    pub fn admit(&mut self, limits: &Limits, ask: Ask, now: Moment) -> Result<Taken, Exceeded> {
        self.check(limits, ask, now)?;
        self.in_flight += 1;
        let requests = limits.requests_per_minute.map(|limit| self.requests.pour(1, limit.get(), now.ns));
        let tokens = limits.tokens_per_minute.map(|limit| self.tokens.pour(ask.tokens, limit.get(), now.ns));
        let nanos = if limits.budget.is_some() { ask.nanos } else { 0 };
        self.spend.held = self.spend.held.saturating_add(nanos);
        Ok(Taken { requests, tokens, nanos })
    }

    fn check(&mut self, limits: &Limits, ask: Ask, now: Moment) -> Result<(), Exceeded> {
        let exceeded = |kind, limit, wait, never| Err(Exceeded { kind, limit, wait, never });
        if let Some(limit) = limits.concurrency
            && self.in_flight >= limit.get()
        {
            return exceeded(LimitKind::Concurrency, limit.get().into(), None, false);
        }
        for (kind, limit, bucket, n) in [
            (LimitKind::Requests, limits.requests_per_minute, &mut self.requests, 1),
            (LimitKind::Tokens, limits.tokens_per_minute, &mut self.tokens, ask.tokens),
        ] {
            let Some(limit) = limit else { continue };
            let wait = bucket.wait(n, limit.get(), now.ns);
            if wait != Some(Duration::ZERO) {
                return exceeded(kind, limit.get(), wait, wait.is_none());
            }
        }
        if let Some(Budget { nanos, per }) = limits.budget {
            let spend = self.spend_in(per, now.unix_us);
            // Once all is spent, what costs nothing is refused too.
            let is_over =
                spend.nanos >= nanos || spend.nanos.saturating_add(spend.held).saturating_add(ask.nanos) > nanos;
            if is_over {
                return exceeded(LimitKind::Budget, nanos, None, ask.nanos > nanos);
            }
        }
        Ok(())
    }

    /// Ends a request: gives back what it did not use, and charges what it used more. Of a period that has ended meanwhile, the
    /// use counts to the next.
    pub fn settle(&mut self, limits: &Limits, taken: Taken, used: Used, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let (Some(poured), Some(limit)) = (taken.tokens, limits.tokens_per_minute) {
            self.tokens.settle(poured, used.tokens, limit.get(), now.ns);
        }
        self.spend.held = self.spend.held.saturating_sub(taken.nanos);
        if let Some(budget) = limits.budget {
            let spend = self.spend_in(budget.per, now.unix_us);
            spend.nanos = spend.nanos.saturating_add(used.nanos);
        }
    }

    /// Undoes an admission: another account had no room.
    pub fn undo(&mut self, limits: &Limits, taken: Taken, now: Moment) {
        if let (Some(poured), Some(limit)) = (taken.requests, limits.requests_per_minute) {
            self.requests.settle(poured, 0, limit.get(), now.ns);
        }
        self.settle(limits, taken, Used::default(), now);
    }

    /// How it stands.
    pub fn standing(&mut self, limits: &Limits, now: Moment) -> Standing {
        let look = |bucket: &mut Bucket, limit: u64| (limit, bucket.room(limit, now.ns), bucket.dry_in(limit, now.ns));
        Standing {
            requests: limits.requests_per_minute.map(|limit| look(&mut self.requests, limit.get())),
            tokens: limits.tokens_per_minute.map(|limit| look(&mut self.tokens, limit.get())),
        }
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// What was spent, to be kept.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept { period: self.spend.period, nanos: self.spend.nanos }
    }

    /// An account that has spent what was kept of it.
    #[must_use]
    pub fn of(kept: Kept) -> Account {
        Account { spend: Spend { period: kept.period, nanos: kept.nanos, held: 0 }, ..Account::default() }
    }

    /// The spend of the period that `unix_us` is in. What is held is held whatever the period; a calendar that goes back
    /// begins no period.
    fn spend_in(&mut self, per: Period, unix_us: u64) -> &mut Spend {
        let period = period_number(per, unix_us);
        if period > self.spend.period || kind_of(period) != kind_of(self.spend.period) {
            self.spend = Spend { period, nanos: 0, held: self.spend.held };
        }
        &mut self.spend
    }
}

/// Periods of one kind in their order; the kind is in the two highest bits, so that no day is a month.
fn period_number(per: Period, unix_us: u64) -> u64 {
    let days = unix_us / 86_400_000_000;
    let (year, month, _) = civil(days);
    match per {
        Period::Day => (1 << 62) | days,
        Period::Month => (2 << 62) | (year * 12 + month - 1),
        Period::Total => 3 << 62,
    }
}

const fn kind_of(period: u64) -> u64 {
    period >> 62
}

/// Days since 1970-01-01 as year, month, day in the Gregorian calendar, by counting from 0000-03-01 in eras of 400 years
/// (146 097 days), where a leap day ends its year. 19 782 days are 2024-02-29.
#[must_use]
pub fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
