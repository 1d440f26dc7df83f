//! Who is to judge which pairs of a run, said before the first is shown.

use eval::review::{Assignment, MARGIN, assigned, provable_margin};
use govern::Role;
use serde::{Deserialize, Serialize};
use store::{AuditRow, BlindPlanRow, Database};

use super::{failed, load};
use crate::desk::{Actor, OperationError};

/// The most pairs of a plan.
const MOST_PAIRS: usize = 10_000;

/// What is to be planned.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignRequest {
    /// Who plans, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of which candidate; without it the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// Who judges.
    pub reviewers: Vec<String>,
    /// How many pairs; every case with both answers where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// The part of them that everybody judges; none when it is not said.
    #[serde(default)]
    pub overlap: f64,
    /// The part of them that metrics see differently; none when it is not said.
    #[serde(default)]
    pub telling: f64,
    /// How much below one half the win rate may be; 0.05 when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
}

/// What was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assigned {
    /// Of which candidate.
    pub candidate: String,
    /// Pairs that were drawn by chance, which the proof is made of.
    pub by_chance: u64,
    /// Pairs that metrics see differently.
    pub telling: u64,
    /// Verdicts that are asked for.
    pub verdicts: u64,
    /// How much below one half the win rate may be.
    pub margin: f64,
    /// The smallest margin that so many pairs prove of equals four times in five, were nobody ever to say that neither is better.
    pub provable_margin: Option<f64>,
    /// Cases that were left out of the draw: each of the reviewers sees them with another candidate.
    #[serde(default)]
    pub left_out: u64,
}

/// Says who judges which pairs of a candidate: once, before the first is shown.
///
/// # Errors
/// When the actor may not, there is no such run or candidate, the plan makes no sense, there is one, or a pair was shown.
pub fn assign(
    database: &Database,
    actor: &Actor,
    (run, at_us): (&str, u64),
    request: &AssignRequest,
) -> Result<Assigned, OperationError> {
    actor.needs(Role::Operator)?;
    sensible(request)?;
    let results = load(database, run)?;
    if !results.is_whole() {
        return Err(OperationError::Refused(format!(
            "the run `{run}` lacks answers; pairs are drawn when it is whole"
        )));
    }
    let names: Vec<&str> = results.plan.targets.iter().skip(1).map(|target| target.name.as_str()).collect();
    let candidate = match (&request.candidate, names.as_slice()) {
        (Some(name), _) if names.contains(&name.as_str()) => name.clone(),
        (None, [only]) => (*only).to_owned(),
        _ => {
            let known = names.join("`, `");
            return Err(OperationError::Invalid(format!("the run's `candidate` is one of `{known}`")));
        }
    };
    let target_idx = names.iter().position(|name| *name == candidate).map_or(1, |idx| idx + 1);
    let plan = Assignment {
        reviewers: request.reviewers.clone(),
        pairs: request.pairs.unwrap_or(MOST_PAIRS),
        overlap: request.overlap,
        telling: request.telling,
        margin: request.margin.unwrap_or(MARGIN),
    };
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| OperationError::Unavailable(format!("the system gives no random bytes: {error}")))?;
    let shown = database.blind_pairs(run).map_err(failed("read the pairs"))?;
    let planned = database.review_assigned(run).map_err(failed("read who judges which pairs"))?;
    let (rows, left_out) = assigned(&results, target_idx, (&plan, (&shown, &planned)), &secret);
    if rows.is_empty() && left_out > 0 {
        return Err(OperationError::Refused(format!(
            "each of these reviewers sees every case with another candidate, and would read from the answer in both pairs whose it is: `{candidate}` needs other `reviewers`"
        )));
    }
    if rows.is_empty() {
        return Err(OperationError::Refused(format!("no case has an answer of the baseline and of `{candidate}`")));
    }
    let cases = |why: &str| {
        let cases: std::collections::BTreeSet<u64> =
            rows.iter().filter(|row| row.why == why).map(|row| row.case_idx).collect();
        cases.len() as u64
    };
    let (by_chance, telling) = (cases("chance"), cases("telling"));
    // A plan is texts and numbers: it always serialises.
    let plan_json = serde_json::to_string(&plan).unwrap_or_default();
    let row = BlindPlanRow {
        run: run.to_owned(),
        candidate: candidate.clone(),
        at_us,
        actor: actor.name.clone(),
        plan_json: plan_json.clone(),
    };
    let audit = AuditRow {
        at_us,
        actor: actor.name.clone(),
        action: "review.assign".to_owned(),
        subject: format!("run:{run}"),
        reason: String::new(),
        detail_json: plan_json,
    };
    if !database.plan_review(&row, &rows, &audit).map_err(failed("plan the review"))? {
        return Err(OperationError::Refused(format!(
            "pairs of `{candidate}` are assigned or were shown already: who judges which is said before the first is shown"
        )));
    }
    Ok(Assigned {
        candidate,
        by_chance,
        telling,
        verdicts: rows.len() as u64,
        margin: plan.margin,
        provable_margin: provable_margin(by_chance),
        left_out,
    })
}

fn sensible(request: &AssignRequest) -> Result<(), OperationError> {
    let wrong = |words: &str| Err(OperationError::Invalid(words.to_owned()));
    let reviewers = &request.reviewers;
    if reviewers.is_empty() || reviewers.iter().any(|reviewer| reviewer.trim().is_empty()) {
        return wrong("a plan names `reviewers`");
    }
    if reviewers.iter().enumerate().any(|(idx, one)| reviewers[..idx].contains(one)) {
        return wrong("a reviewer is named twice");
    }
    if request.pairs == Some(0) || request.pairs.is_some_and(|pairs| pairs > MOST_PAIRS) {
        return wrong("`pairs` is a number from 1 to 10000");
    }
    let is_part = |value: f64| (0.0..=1.0).contains(&value);
    if !is_part(request.overlap) || !is_part(request.telling) || request.telling >= 1.0 {
        return wrong("`overlap` is a part from 0 to 1, `telling` one below 1");
    }
    if !request.margin.is_none_or(|margin| (0.0..=0.5).contains(&margin)) {
        return wrong("`margin` is a number from 0 to 0.5");
    }
    Ok(())
}
