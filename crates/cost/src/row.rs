//! A price row: what holds from a day to a day, at some hours, for one service, and what it charges.

use crate::date::{Date, When};
use crate::decimal::Decimal;
use crate::json::Json;
use crate::meter::{Meter, Usage};
use crate::rates::{Rates, Unknown};
use crate::sheet::Stated;

/// What a call costs, and the row that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost<'a> {
    /// Nano-dollars (10^-9 US dollars).
    pub nanos: u64,
    /// The id of the row.
    pub row: &'a str,
}

/// One resolved price row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Names it in records: vendor, model and, where there are several, what tells it from the others.
    pub id: Box<str>,
    /// The kind of service it is for: `standard`, `batch`, `flex`, `priority` …
    pub service: Box<str>,
    /// The first day it holds, in UTC.
    pub from: Option<Date>,
    /// The first day it no longer holds.
    pub to: Option<Date>,
    /// The hours it holds at.
    pub hours: Option<Hours>,
    /// What was written down for it, source and date included.
    pub said: Json,
    /// Where it is by the hours of a GPU, what one costs: who is charged so runs the machines.
    pub gpu_hour: Option<GpuHour>,
    /// Whether output counts exclude reasoning, which is charged as output.
    pub(crate) reasoning_apart: bool,
    pub(crate) rates: Rates,
}

/// What an hour of a GPU costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuHour {
    /// Dollars; `None` where it is in another currency.
    pub dollars: Option<Decimal>,
    /// Who says so, and when.
    pub stated: Stated,
}

impl Row {
    /// Whether it holds at `when` for `service`.
    #[must_use]
    pub fn holds(&self, when: When, service: &str) -> bool {
        let date = when.date();
        &*self.service == service
            && self.from.is_none_or(|from| from <= date)
            && self.to.is_none_or(|to| date < to)
            && self.hours.as_ref().is_none_or(|hours| hours.hold(when))
    }

    /// What `usage` costs.
    ///
    /// # Errors
    /// When the row cannot price it; see [`Unknown`].
    pub fn charge(&self, usage: &Usage) -> Result<Cost<'_>, Unknown> {
        let inclusive = |usage: &Usage| {
            let output = usage.get(Meter::Output).checked_add(usage.get(Meter::Reasoning));
            output.map(|output| usage.with(Meter::Output, output)).ok_or(Unknown::TooMuch)
        };
        let nanos = if self.reasoning_apart { self.rates.charge(&inclusive(usage)?) } else { self.rates.charge(usage) };
        Ok(Cost { nanos: nanos?, row: &self.id })
    }

    /// What `n` of `meter` cost by themselves below any tier, in nano-dollars, rounded half up; `None` when it has no price of
    /// its own.
    #[must_use]
    pub fn list_price(&self, meter: Meter, n: u64) -> Option<u64> {
        self.rates.list_price(meter, n)
    }

    /// The meters it prices.
    pub fn meters(&self) -> impl Iterator<Item = Meter> {
        self.rates.meters()
    }
}

/// Hours of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// How far their clock is ahead of UTC, in minutes.
    pub offset_min: i16,
    /// They hold in any of these.
    pub windows: Vec<Window>,
}

impl Hours {
    fn hold(&self, when: When) -> bool {
        let (minute, weekday) = when.local(self.offset_min);
        self.windows.iter().any(|window| window.holds(minute, weekday))
    }
}

/// A span of the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Minute of the day it begins.
    pub from: u16,
    /// Minute of the day it ends. At or before the beginning, it goes on after midnight; the same is the whole day.
    pub to: u16,
    /// The weekdays it holds on, 1 Monday to 7 Sunday; empty is every day. What is after midnight counts by its own weekday.
    pub days: Vec<u8>,
}

impl Window {
    fn holds(&self, minute: u16, weekday: u8) -> bool {
        let in_span = if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        };
        in_span && (self.days.is_empty() || self.days.contains(&weekday))
    }
}
