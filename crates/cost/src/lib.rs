//! Room `cost`: what a call costs. Pure: rows, usage and time are arguments; a price is a return value.
//!
//! The parts, in the order a price is found: a [`sheet`] is what was written down, by hand or by an [`import`]er, with its
//! source and date; [`Prices`] is several sheets resolved and checked; a [`Tariff`] is what of them is about one model at one
//! vendor; [`Tariff::price`] finds the [`Row`] that holds at a moment and charges a [`Usage`]. Self-hosted targets have a
//! tariff made from the price of a GPU-hour and measured throughput ([`gpu`]). What [`people`] cost who judge answers is time by the hour.
//!
//! Amounts are exact decimals until the very end: a charge is summed as a fraction and rounded once, half up, to integer
//! nano-dollars. What cannot be priced is [`Unknown`], with the reason; it is never 0.

pub mod capacity;
pub mod date;
pub mod decimal;
pub mod gpu;
pub mod import;

pub mod json;
pub mod meter;
pub mod pattern;
pub mod people;
mod prices;
mod rates;
mod row;
pub mod sheet;
pub mod tco;

pub use date::When;
pub use decimal::Decimal;
pub use meter::{Meter, Usage};
pub use prices::{Asked, Prices, PricesError, Tariff, price};
pub use rates::{RatesError, Unknown};
pub use row::{Cost, GpuHour, Row};
