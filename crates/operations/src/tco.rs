//! What the record knows of what a study of costs needs.

use serde::{Deserialize, Serialize};
use store::{Database, TargetCost};

use crate::desk::OperationError;

const US_PER_DAY: u64 = 86_400_000_000;

/// What was recorded of a route, and what its targets cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Requests of the route.
    pub requests: u64,
    /// When the first and the last of them came, in Unix microseconds.
    pub between_us: Option<(u64, u64)>,
    /// Mean tokens of a request and of its answer.
    pub tokens: Option<(f64, f64)>,
    /// The most requests in a minute.
    pub peak_per_minute: u64,
    /// What calls for callers cost, by target; of all routes.
    pub costs: Vec<TargetCost>,
}

/// What was recorded of `route` from the day `from_day` to before `to_day`, both counted from 1970 in UTC.
///
/// # Errors
/// When the store cannot be read.
pub fn recorded(database: &Database, route: &str, (from_day, to_day): (u32, u32)) -> Result<Recorded, OperationError> {
    let failed = |source| OperationError::Store { doing: "read what costs are made of", source };
    let traffic = database.route_traffic(route, u64::from(from_day) * US_PER_DAY).map_err(failed)?;
    let mut costs = database.target_costs(from_day, to_day).map_err(failed)?;
    costs.retain(|cost| cost.role == "live");
    Ok(Recorded {
        requests: traffic.per_hour.iter().map(|(_, n)| n).sum(),
        between_us: traffic.between_us,
        tokens: traffic.mean_tokens,
        peak_per_minute: traffic.peak_per_minute,
        costs,
    })
}

/// When requests of `route` came since `since_us`, in Unix microseconds, with the tokens of each and of its answer.
///
/// # Errors
/// When the store cannot be read.
pub fn arrivals(database: &Database, route: &str, since_us: u64) -> Result<Vec<(u64, u64, u64)>, OperationError> {
    let failed = |source| OperationError::Store { doing: "read when requests came", source };
    database.route_arrivals(route, since_us).map_err(failed)
}
