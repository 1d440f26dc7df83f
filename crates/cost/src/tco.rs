//! What a migration costs and saves, all in: two sides with the same line items, every figure a cell with value, unit, source, date and
//! evidence; what a *successful* task costs; where both would be even; and how sure one can be, given how little is known of some inputs.
//!
//! A [`Study`] is what people and the record supply. [`model`] makes a [`Book`] of it, whose cells are computed exactly, as fractions, and
//! rounded once when they are shown.

mod book;
mod exact;
mod facts;
mod focus;
mod model;
mod natural;
pub mod odds;
pub mod page;
#[cfg(test)]
mod samples;
pub mod scenario;
pub mod sizing;
mod spread;
pub mod study;
mod xlsx;

pub use book::{Book, Cell, Expr, Provenance, Quantity, Ref, Source};
pub use exact::Exact;
pub use facts::Costed;
pub use focus::focus;
pub use model::{WhatIfError, model, what_if};
pub use odds::{Draw, Odds, odds};
pub use spread::Spread;
pub use study::Study;
pub use xlsx::xlsx;
