//! How much may be called: limits, and the account of what of them is used. Pure: the time is an argument.

mod account;
mod bucket;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

pub use account::{Account, Ask, Exceeded, Kept, LimitKind, Moment, Standing, Taken, Used, civil};

/// What a key, a tenant or a route may use. `None` is without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests per minute; a minute's worth may come at once.
    pub requests_per_minute: Option<NonZeroU64>,
    /// Tokens per minute, of prompts and answers together; a minute's worth may come at once.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Requests under way at once.
    pub concurrency: Option<NonZeroU32>,
    /// Money.
    pub budget: Option<Budget>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }

    /// These, and where these say nothing, what `others` say.
    #[must_use]
    pub fn or(&self, others: &Limits) -> Limits {
        Limits {
            requests_per_minute: self.requests_per_minute.or(others.requests_per_minute),
            tokens_per_minute: self.tokens_per_minute.or(others.tokens_per_minute),
            concurrency: self.concurrency.or(others.concurrency),
            budget: self.budget.or(others.budget),
        }
    }
}

/// Money for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Nano-dollars.
    pub nanos: u64,
    /// For how long.
    pub per: Period,
}

/// For how long a budget is; the next begins with all of it. Days and months are UTC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Midnight to midnight.
    Day,
    /// The first of a month to the next.
    Month,
    /// For good.
    Total,
}

impl Period {
    /// Every period.
    pub const ALL: [Period; 3] = [Period::Day, Period::Month, Period::Total];

    /// The word in configs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Period::Day => "day",
            Period::Month => "month",
            Period::Total => "total",
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
