//! What a migration costs and saves, from worksheets that the config names and from drafts that the record fills in.

use std::collections::BTreeMap;
use std::fmt;

use crate::desk::{Desk, OperationError};

pub use cost::tco::odds::{DRAWS, Odds, Quantiles, Swing, Verdict};
pub use cost::tco::page::{ScenarioTable, percent, plots, rounded, sentences, simulated};
use cost::tco::scenario::scenarios;
pub use cost::tco::study::LineItem;
pub use cost::tco::{Cell, Costed, Draw, Exact, Provenance, Study};
use cost::tco::{WhatIfError, what_if};

/// The least and the most draws that may be asked for.
pub const DRAWN: std::ops::RangeInclusive<u32> = 100..=2_000_000;

/// What can be studied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// The workload or route.
    pub name: String,
    /// The worksheet's file; `None` where there is none and the record alone fills one in.
    pub file: Option<String>,
}

/// A worksheet as it was read.
#[derive(Debug, Clone)]
pub struct Read {
    /// What it says.
    pub study: Study,
    /// Its text.
    pub text: String,
    /// What a reader is told of where it is from.
    pub said: Vec<String>,
}

/// Reads worksheets as the config is read, and drafts them as `crossfade tco init` does.
pub struct Sheets {
    /// What there is.
    pub list: Box<dyn Fn() -> Vec<Sheet> + Send + Sync>,
    /// Reads one, or drafts it from the record.
    pub read: ReadFn,
}

/// Reads the worksheet of this name; of one without a file, makes a draft.
pub type ReadFn = Box<dyn Fn(&Sheet) -> Result<Read, OperationError> + Send + Sync>;

impl fmt::Debug for Sheets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sheets").finish_non_exhaustive()
    }
}

/// What can be studied: worksheets of the config, and routes without one.
#[must_use]
pub fn list(desk: &Desk) -> Vec<Sheet> {
    (desk.sheets.list)()
}

/// The worksheet of this name; a draft of it where it has no file.
///
/// # Errors
/// When there is none, or it has errors.
pub fn read(desk: &Desk, name: &str) -> Result<(Sheet, Read), OperationError> {
    let sheets = list(desk);
    let sheet = sheets.iter().find(|sheet| sheet.name == name).cloned().ok_or_else(|| {
        let names: Vec<&str> = sheets.iter().map(|sheet| sheet.name.as_str()).collect();
        OperationError::NotFound(format!(
            "no worksheet and no route is called `{name}`; there are: {}",
            names.join(", ")
        ))
    })?;
    let read = (desk.sheets.read)(&sheet)?;
    Ok((sheet, read))
}

/// `FIGURE=VALUE`.
///
/// # Errors
/// What is wrong with it.
pub fn assignment(text: &str) -> Result<(String, Exact), String> {
    let (name, value) = text.split_once('=').ok_or("write it like `candidate.first_pass=0.92`")?;
    let value = Exact::parse(value.trim()).ok_or_else(|| format!("`{value}` is no number"))?;
    Ok((name.trim().to_owned(), value))
}

/// A "what if" that cannot be asked of a study.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unasked {
    /// Why.
    pub error: WhatIfError,
    /// The scenario of the worksheet that asks it; `None` where somebody asked it here.
    pub scenario: Option<String>,
}

/// A study with what is asked of it: every figure, the odds, and its scenarios.
///
/// # Errors
/// When a figure that is asked for is none, or is computed.
pub fn costed(study: &Study, asked: &BTreeMap<String, Exact>, draw: Draw) -> Result<Costed, Unasked> {
    let book = what_if(study, asked).map_err(|error| Unasked { error, scenario: None })?;
    let costed = Costed::new(study, book, draw);
    let played = scenarios(study, asked).map_err(|(name, error)| Unasked { error, scenario: Some(name) })?;
    Ok(costed.with_scenarios(played))
}
