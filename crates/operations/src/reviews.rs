//! What policies referred to people, and what these decided.

use serde::{Deserialize, Serialize};
use store::{AuditRow, CheckRow, Database, ReferralRow, ReviewRow, VerdictSums};
use wire::ids::ExchangeId;

use crate::desk::{Actor, OperationError};
use crate::exchanges::{self, ExchangeView};
use govern::Role;

/// What can be decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It was in order.
    Approve,
    /// It was not.
    #[default]
    Reject,
}

impl Decision {
    /// The word on record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Decision::Approve => "approve",
            Decision::Reject => "reject",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is decided.
    pub decision: Decision,
    /// Why, for the record.
    #[serde(default)]
    pub reason: String,
    /// Who asks, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// A referred exchange with all that is known of it.
#[derive(Debug, Serialize)]
pub struct Referred {
    /// The exchange and its bodies.
    #[serde(flatten)]
    pub exchange: ExchangeView,
    /// Every check of it.
    pub checks: Vec<CheckRow>,
    /// What was decided.
    pub review: Option<ReviewRow>,
}

/// Now, in Unix microseconds.
#[must_use]
pub fn now() -> u64 {
    gateway::live::now().0
}

/// Exchanges that wait for a person, oldest first; with `all`, those that somebody has decided too.
///
/// # Errors
/// When the store cannot be read.
pub fn list(database: &Database, all: bool, limit: u32) -> Result<Vec<ReferralRow>, OperationError> {
    database.referrals(all, limit).map_err(|source| OperationError::Store { doing: "list referrals", source })
}

/// One exchange, its checks and what was decided of it.
///
/// # Errors
/// When there is no such exchange, or the store cannot be read.
pub fn show(database: &Database, id: &str) -> Result<Referred, OperationError> {
    let reading = |source| OperationError::Store { doing: "read the referral", source };
    let exchange = exchanges::show(database, id)?;
    let id = exchange.detail.exchange.id;
    Ok(Referred {
        exchange,
        checks: database.checks(id).map_err(reading)?,
        review: database.review(id).map_err(reading)?,
    })
}

/// Decides what was referred: once, with a reason, on record.
///
/// # Errors
/// When the actor may not, nothing of this id was referred, or somebody has decided.
pub fn resolve(
    database: &Database,
    actor: &Actor,
    (id, at_us): (&str, u64),
    request: &Request,
) -> Result<ReviewRow, OperationError> {
    actor.needs(Role::Operator)?;
    let failed = |source| OperationError::Store { doing: "decide the referral", source };
    let exchange: ExchangeId =
        id.parse().map_err(|_| OperationError::Invalid(format!("`{id}` is not an exchange id")))?;
    let was_referred = |check: &CheckRow| check.verdict == "escalate" && !check.shadow;
    if !database.checks(exchange).map_err(failed)?.iter().any(was_referred) {
        return Err(OperationError::NotFound(format!("nothing of exchange {id} was referred to anybody")));
    }
    if request.reason.trim().is_empty() {
        return Err(OperationError::Invalid("a decision needs a reason".to_owned()));
    }
    let decision = request.decision.as_str();
    let review = ReviewRow {
        at_us,
        actor: actor.name.clone(),
        decision: decision.to_owned(),
        reason: request.reason.trim().to_owned(),
    };
    let audit = AuditRow {
        at_us,
        actor: actor.name.clone(),
        action: format!("review.{decision}"),
        subject: format!("exchange:{exchange}"),
        reason: review.reason.clone(),
        detail_json: "{}".to_owned(),
    };
    if !database.decide_review(exchange, &review, &audit).map_err(failed)? {
        return Err(OperationError::Refused(format!("somebody has decided exchange {id} already")));
    }
    Ok(review)
}

/// Verdicts of policies on exchanges of a time, by route, check, phase and arm.
///
/// # Errors
/// When the store cannot be read.
pub fn verdicts(database: &Database, from_us: u64, to_us: u64) -> Result<Vec<VerdictSums>, OperationError> {
    database.verdicts(from_us, to_us).map_err(|source| OperationError::Store { doing: "add up verdicts", source })
}
