//! A price sheet as it is written down: vendors, models, and for each model rows with their source and date.
//!
//! A sheet is JSON (or the same tree in another notation: [`Sheet::read`] takes a tree). `docs/reference/prices.md` has the
//! format. The first row that holds prices a call, so a row for some hours stands before the one for the rest.

mod read;
mod write;

use std::fmt;

use crate::date::Date;
use crate::decimal::Decimal;
use crate::gpu::GpuHours;
use crate::meter::Meter;
use crate::pattern::Match;
use crate::rates::TierKind;
use crate::row::Hours;

/// The first member of a sheet says what it is.
pub const FORMAT: &str = "crossfade-prices/1";

/// The service a call gets unless it asks for another.
pub const STANDARD: &str = "standard";

/// The sheet that comes with Crossfade: list prices of models people migrate from and to, each with source and date.
pub const SHIPPED: &str = include_str!("../prices.json");

/// Prices as written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Who sells.
    pub vendors: Vec<Vendor>,
    /// What other currencies are worth.
    pub currencies: Vec<Currency>,
    /// What is sold.
    pub models: Vec<Model>,
}

/// Who sells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vendor {
    /// The word configs and rows name it by.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Hosts its API is at; `*.example.com` is any host below.
    pub hosts: Vec<String>,
    /// Vendors whose models it also sells, at their prices, unless it has its own.
    pub fallback: Vec<String>,
    /// Whether its counts of output leave reasoning out, although it is charged as output.
    pub reasoning_apart: bool,
}

/// What a currency is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    /// Its three letters.
    pub code: String,
    /// US dollars for one.
    pub usd: Decimal,
    /// Who says so, and when.
    pub stated: Stated,
}

/// One model at one vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Who sells it.
    pub vendor: String,
    /// The word rows name it by.
    pub id: String,
    /// The names it is called by.
    pub names: Match,
    /// Its rows; the first that holds prices a call.
    pub prices: Vec<Price>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The first day it holds.
    pub from: Option<Date>,
    /// The first day it no longer holds.
    pub to: Option<Date>,
    /// The kind of service.
    pub service: String,
    /// The hours it holds at.
    pub hours: Option<Hours>,
    /// `USD`, or a currency of the sheet.
    pub currency: String,
    /// What is charged.
    pub charges: Charges,
    /// Who says so, and when.
    pub stated: Stated,
    /// What a reader should know.
    pub note: Option<String>,
}

/// What a row charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charges {
    /// By what is counted.
    Meters {
        /// The price of each meter, for as many as [`Meter::per`] says.
        rates: Vec<(Meter, Decimal)>,
        /// How the tiers are meant.
        kind: TierKind,
        /// Above so many input tokens, these prices instead; others stay as in the tier below.
        tiers: Vec<(u64, Vec<(Meter, Decimal)>)>,
    },
    /// By the hours of a self-hosted replica.
    Gpu(GpuHours),
}

/// Who says so, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// A page, a contract, a benchmark run.
    pub source: String,
    /// The day somebody looked.
    pub checked: Date,
    /// What kind of statement it is.
    pub provenance: Provenance,
}

/// What kind of statement a price is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provenance {
    /// The vendor's public list.
    #[default]
    List,
    /// A contract.
    Contract,
    /// An invoice.
    Invoice,
    /// Measured.
    Measured,
    /// Assumed.
    Assumption,
}

impl Provenance {
    /// Every kind.
    pub const ALL: [Provenance; 5] =
        [Provenance::List, Provenance::Contract, Provenance::Invoice, Provenance::Measured, Provenance::Assumption];

    /// The word in sheets.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Provenance::List => "list",
            Provenance::Contract => "contract",
            Provenance::Invoice => "invoice",
            Provenance::Measured => "measured",
            Provenance::Assumption => "assumption",
        }
    }
}

/// A step on the way to a place in a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into the member of this name.
    Key(String),
    /// To the item at this place, from 0.
    Idx(usize),
}

/// What is wrong with a sheet, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", At(path))]
pub struct SheetError {
    /// The way from the root of the sheet.
    pub path: Vec<Step>,
    /// What is wrong.
    pub message: String,
    /// For a key nobody knows: those that are known there.
    pub known: &'static [&'static str],
}

struct At<'a>(&'a [Step]);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => write!(f, "{}{key}", if idx == 0 { "" } else { "." })?,
                Step::Idx(at) => write!(f, "[{at}]")?,
            }
        }
        f.write_str(if self.0.is_empty() { "" } else { ": " })
    }
}

#[cfg(test)]
mod tests;
