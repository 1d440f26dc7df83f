//! The record, read back.

use serde::Serialize;
use store::{BodyKind, Database, ExchangeDetail, ExchangeFilter, PairCounts};
use wire::ids::ExchangeId;

use crate::desk::OperationError;

pub use store::{AttemptRow, CostRow, ExchangeRow, PairRow};

/// Exchanges that match a filter, and how many the record holds.
#[derive(Debug, Serialize)]
pub struct ExchangePage {
    /// Newest first.
    pub exchanges: Vec<ExchangeRow>,
    /// All that the store holds.
    pub counts: store::Counts,
}

/// Pairs that match a filter, and what became of the others.
#[derive(Debug, Serialize)]
pub struct PairPage {
    /// Newest first.
    pub pairs: Vec<PairRow>,
    /// All that match the rollout and the epoch.
    pub counts: PairCounts,
}

/// One exchange with its bodies, as text.
#[derive(Debug, Serialize)]
pub struct ExchangeView {
    /// Everything but the bodies.
    #[serde(flatten)]
    pub detail: ExchangeDetail,
    /// The request as it came.
    pub request: Option<String>,
    /// The answer the caller got.
    pub answer: Option<String>,
    /// The candidate's answer to the copy; of the first rollout, when several copied it.
    pub shadow: Option<String>,
    /// Further answers that nobody but Crossfade reads.
    pub copies: Vec<CopyView>,
    /// Whether its bodies were recorded and have been taken away since.
    pub bodies_pruned: bool,
}

/// An answer that nobody but Crossfade reads.
#[derive(Debug, Serialize)]
pub struct CopyView {
    /// The rollout it was asked for.
    pub rollout: String,
    /// The baseline's second answer, not the candidate's.
    pub duplicate: bool,
    /// What it says.
    pub answer: String,
}

/// So many exchanges are looked through for one page.
const SPAN: u32 = 10_000;

/// A page of a list: what matches, newest first, and from where to go on.
#[derive(Debug)]
pub struct Page<T> {
    /// What matches.
    pub rows: Vec<T>,
    /// Where the next page begins, in front of which everything was looked through: nothing when the record ends here.
    pub before: Option<ExchangeId>,
    /// Whether this page is full.
    pub is_full: bool,
}

/// A page of exchanges that match, without counting what the record holds and without reading all of it: what finds little is looked for in ten thousand exchanges
/// at a time.
///
/// # Errors
/// When the store cannot be read.
pub fn newest(database: &Database, filter: &ExchangeFilter) -> Result<Page<ExchangeRow>, OperationError> {
    let reading = |source| OperationError::Store { doing: "list exchanges", source };
    let (rows, rest) = database.list_within(filter, SPAN).map_err(reading)?;
    let last = rows.last().map(|row| row.id);
    Ok(page(filter, rows, (last, rest)))
}

/// The page that these rows are; behind a full one the next begins with the last row, else where the looking ended.
pub(crate) fn page<T>(
    filter: &ExchangeFilter,
    rows: Vec<T>,
    (last, rest): (Option<ExchangeId>, Option<ExchangeId>),
) -> Page<T> {
    let is_full = filter.limit.is_some_and(|limit| rows.len() >= limit as usize);
    Page { rows, before: if is_full { last } else { rest }, is_full }
}

/// Exchanges that match, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn list(database: &Database, filter: &ExchangeFilter) -> Result<ExchangePage, OperationError> {
    let reading = |source| OperationError::Store { doing: "list exchanges", source };
    Ok(ExchangePage { exchanges: database.list(filter).map_err(reading)?, counts: database.counts().map_err(reading)? })
}

/// Pairs of baseline and candidate answers that match, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn pairs(database: &Database, filter: &ExchangeFilter) -> Result<PairPage, OperationError> {
    let reading = |source| OperationError::Store { doing: "list pairs", source };
    Ok(PairPage {
        pairs: database.pairs(filter).map_err(reading)?,
        counts: database.pair_counts(filter).map_err(reading)?,
    })
}

/// One exchange with its bodies.
///
/// # Errors
/// When the id is none, there is no such exchange, or the store cannot be read.
pub fn show(database: &Database, id: &str) -> Result<ExchangeView, OperationError> {
    let reading = |source| OperationError::Store { doing: "read the exchange", source };
    let id: ExchangeId = id.parse().map_err(|_| OperationError::Invalid(format!("`{id}` is not an exchange id")))?;
    let missing = || OperationError::NotFound(format!("there is no exchange {id}, or it is still under way"));
    let detail = database.show(id).map_err(reading)?.ok_or_else(missing)?;
    let body = |kind| -> Result<Option<String>, OperationError> {
        let body = database.body(id, kind).map_err(reading)?;
        Ok(body.map(|body| String::from_utf8_lossy(body.expose()).into_owned()))
    };
    let mut copies: Vec<CopyView> = database
        .copy_bodies(id)
        .map_err(reading)?
        .into_iter()
        .map(|copy| CopyView {
            rollout: copy.rollout,
            duplicate: copy.duplicate,
            answer: String::from_utf8_lossy(copy.body.expose()).into_owned(),
        })
        .collect();
    let first = copies.iter().position(|copy| !copy.duplicate).map(|first| copies.remove(first).answer);
    Ok(ExchangeView {
        request: body(BodyKind::Request)?,
        answer: body(BodyKind::Answer)?,
        shadow: first,
        copies,
        bodies_pruned: detail.bodies.is_empty() && detail.attempts.iter().any(|attempt| attempt.answer_bytes > 0),
        detail,
    })
}

/// A filter from names and values, as a query string or flags give them.
///
/// # Errors
/// When a name or a value is not one a filter has.
pub fn filter(pairs: &[(String, String)]) -> Result<ExchangeFilter, OperationError> {
    let mut filter = ExchangeFilter::default();
    for (name, value) in pairs {
        let number = || {
            let wrong = || OperationError::Invalid(format!("`{name}` wants a whole number, not `{value}`"));
            value.parse::<u64>().map_err(|_| wrong())
        };
        let small = || {
            number().and_then(|number| {
                u32::try_from(number).map_err(|_| OperationError::Invalid(format!("`{name}` is too large")))
            })
        };
        match name.as_str() {
            "route" => filter.route = Some(value.clone()),
            "rollout" => filter.rollout = Some(value.clone()),
            "epoch" => filter.epoch = Some(small()?),
            "arm" => filter.arm = Some(value.clone()),
            "outcome" => filter.outcome = Some(value.clone()),
            "since_us" => filter.since_us = Some(number()?),
            "until_us" => filter.until_us = Some(number()?),
            "limit" => filter.limit = Some(small()?),
            "before" => {
                let wrong = |_| OperationError::Invalid(format!("`{value}` is not an exchange id"));
                filter.before = Some(value.parse().map_err(wrong)?);
            }
            other => return Err(OperationError::Invalid(format!("there is no filter `{other}`"))),
        }
    }
    Ok(filter)
}
