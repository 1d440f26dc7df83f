//! Pairs that nobody is to judge any more: a reviewer has left, or a pair should not have been shown.

use std::collections::BTreeSet;

use govern::Role;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{AuditRow, BlindPairRow, Database};

use super::{failed, random};
use crate::desk::{Actor, OperationError};

/// What is to be withdrawn.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawRequest {
    /// Who withdraws, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Pairs by what they are called.
    #[serde(default)]
    pub pairs: Vec<String>,
    /// Or everything of this reviewer without a verdict: what was shown, and what is assigned and was not shown yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
    /// Why, for the record.
    #[serde(default)]
    pub reason: String,
}

/// What was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Pairs that were open.
    pub open: u64,
    /// Pairs that were assigned and not shown yet.
    pub unshown: u64,
}

/// Withdraws pairs without a verdict: all that are named, or none. They are shown to nobody again, wait for nothing and count for nothing.
///
/// # Errors
/// When the actor may not, the request names neither pairs nor a reviewer or gives no reason, no such pair was shown, or one is judged.
pub fn withdraw(
    database: &Database,
    actor: &Actor,
    (run, at_us): (&str, u64),
    request: &WithdrawRequest,
) -> Result<Withdrawn, OperationError> {
    actor.needs(Role::Operator)?;
    let reason = request.reason.trim();
    if reason.is_empty() {
        return Err(OperationError::Invalid("a withdrawal needs a `reason`".to_owned()));
    }
    let rows = database.blind_pairs(run).map_err(failed("read the pairs"))?;
    let (open, unshown) = match &request.reviewer {
        None if request.pairs.is_empty() => {
            return Err(OperationError::Invalid("a withdrawal names `pairs`, or a `reviewer`".to_owned()));
        }
        Some(_) if !request.pairs.is_empty() => {
            return Err(OperationError::Invalid("a withdrawal names `pairs` or a `reviewer`, and not both".to_owned()));
        }
        None => (named(&rows, run, &request.pairs)?, Vec::new()),
        Some(reviewer) => of_reviewer(database, &rows, (run, reviewer), at_us)?,
    };
    let done = Withdrawn { open: open.len() as u64, unshown: unshown.len() as u64 };
    let pairs: Vec<BlindPairRow> = open.into_iter().chain(unshown).collect();
    let names: Vec<&str> = pairs.iter().map(|pair| pair.token.as_str()).collect();
    let audit = AuditRow {
        at_us,
        actor: actor.name.clone(),
        action: "review.withdraw".to_owned(),
        subject: format!("run:{run}"),
        reason: reason.to_owned(),
        detail_json: json!({ "pairs": names, "reviewer": request.reviewer }).to_string(),
    };
    match database.withdraw_pairs(&pairs, (reason, at_us), &audit).map_err(failed("withdraw the pairs"))? {
        None => Ok(done),
        Some(token) => Err(OperationError::Refused(format!("`{token}` was judged just now; nothing was withdrawn"))),
    }
}

fn named(rows: &[BlindPairRow], run: &str, pairs: &[String]) -> Result<Vec<BlindPairRow>, OperationError> {
    let pairs: BTreeSet<&String> = pairs.iter().collect();
    let one = |token: &&String| match rows.iter().find(|pair| pair.token == **token) {
        None => Err(OperationError::NotFound(format!("no pair `{token}` of the run `{run}` was shown"))),
        Some(pair) if pair.is_withdrawn() => {
            Err(OperationError::Refused(format!("the pair `{token}` is withdrawn already")))
        }
        Some(pair) if pair.is_judged() => {
            Err(OperationError::Refused(format!("the pair `{token}` is judged, and stays so")))
        }
        Some(pair) => Ok(pair.clone()),
    };
    pairs.iter().map(one).collect()
}

/// What is open with a reviewer, and what is assigned to him and was not shown yet.
fn of_reviewer(
    database: &Database,
    rows: &[BlindPairRow],
    (run, reviewer): (&str, &str),
    at_us: u64,
) -> Result<(Vec<BlindPairRow>, Vec<BlindPairRow>), OperationError> {
    let assigned = database.review_assigned(run).map_err(failed("read who judges which pairs"))?;
    let known: BTreeSet<&str> = rows
        .iter()
        .map(|pair| &pair.reviewer)
        .chain(assigned.iter().map(|one| &one.reviewer))
        .map(String::as_str)
        .collect();
    if !known.contains(reviewer) {
        let known = known.into_iter().collect::<Vec<_>>().join("`, `");
        let known = if known.is_empty() { "nobody was".to_owned() } else { format!("`{known}` were") };
        return Err(OperationError::NotFound(format!(
            "nothing of the run `{run}` was shown or assigned to `{reviewer}`; {known}"
        )));
    }
    let own = rows.iter().filter(|pair| pair.reviewer == reviewer);
    let open: Vec<BlindPairRow> = own.clone().filter(|pair| pair.is_open()).cloned().collect();
    let shown: BTreeSet<(&str, u64)> = own.map(|pair| (pair.candidate.as_str(), pair.case_idx)).collect();
    let mut unshown = Vec::new();
    for one in assigned.iter().filter(|one| one.reviewer == reviewer) {
        if shown.contains(&(one.candidate.as_str(), one.case_idx)) {
            continue;
        }
        unshown.push(BlindPairRow {
            token: format!("{:016x}", random()?),
            run: run.to_owned(),
            candidate: one.candidate.clone(),
            case_idx: one.case_idx,
            reviewer: reviewer.to_owned(),
            shown_at_us: at_us,
            candidate_first: random()? & 1 == 1,
            judged_at_us: None,
            choice: None,
            took_us: None,
        });
    }
    if open.is_empty() && unshown.is_empty() {
        return Err(OperationError::Refused(format!("nothing of the run `{run}` is open with `{reviewer}`")));
    }
    Ok((open, unshown))
}
