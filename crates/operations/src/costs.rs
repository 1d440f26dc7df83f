//! What was paid.

use serde::{Deserialize, Serialize};
use store::{Database, TargetCost};

use crate::desk::OperationError;

/// What targets cost in some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The first day, counted from 1 January 1970 in UTC.
    pub from_day: u32,
    /// The first day that is not in it any more.
    pub to_day: u32,
    /// By target and by why it was called.
    pub targets: Vec<TargetCost>,
}

/// What every target cost from the day `from_day` to before `to_day`.
///
/// # Errors
/// When the store cannot be read.
pub fn spent(database: &Database, from_day: u32, to_day: u32) -> Result<Spent, OperationError> {
    let found = database.target_costs(from_day, to_day);
    let targets = found.map_err(|source| OperationError::Store { doing: "add up the costs", source })?;
    Ok(Spent { from_day, to_day, targets })
}
