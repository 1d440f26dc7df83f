//! Drills on the running gateway: a rollout's candidate fails by script, and what its policy makes of that is measured.

use gateway::control::ControlError;
use gateway::detour::DetourReport;
use gateway::drill::{DrillReport, Plan};
use govern::Role;
use rollout::FiledKind;
use serde::{Deserialize, Serialize};
use store::{Database, FiledRow, TransitionRow};

use crate::desk::{Actor, Desk, OperationError};

/// A drill to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillRequest {
    /// Who begins it; recorded where no key says so.
    #[serde(default)]
    pub actor: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// What, and within which bounds.
    pub plan: Plan,
}

/// Begins a drill on a live rollout. It ends by itself, within its bounds; sooner when nobody asks how it goes.
///
/// # Errors
/// When the actor may not, there is no such rollout, its state or policy does not allow it, or the store refuses.
pub fn begin(desk: &Desk, actor: &Actor, name: &str, request: DrillRequest) -> Result<DrillReport, OperationError> {
    actor.needs(Role::Operator)?;
    desk.control.drill(request.plan, name, &actor.name, &request.reason).map_err(|error| match error {
        ControlError::Unknown(_) => crate::rollouts::not_started(name),
        error => error.into(),
    })
}

/// How the last drill of a rollout goes, or went. Whoever asks keeps it going.
///
/// # Errors
/// When there was none in this process.
pub fn report(desk: &Desk, name: &str) -> Result<DrillReport, OperationError> {
    let none = || OperationError::NotFound(format!("no drill has been begun for `{name}` since the gateway started"));
    let drill = desk.live.last_drill(name).ok_or_else(none)?;
    drill.watch();
    Ok(drill.report())
}

/// Ends the drill that is on.
///
/// # Errors
/// When the actor may not, none is on, or the controller does not answer.
pub fn end(desk: &Desk, actor: &Actor, name: &str) -> Result<DrillReport, OperationError> {
    actor.needs(Role::Operator)?;
    Ok(desk.control.end_drill(name, &actor.name)?)
}

/// A drill of a rollout on record, with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FiledDrill {
    /// Its number: the next page is before the last of this one.
    pub number: u64,
    /// What was filed.
    #[serde(flatten)]
    pub row: FiledRow,
}

/// Drills of rollouts that were filed, the last first: a page, before the one of this number.
///
/// # Errors
/// When the store cannot be read.
pub fn on_record(database: &Database, page: (Option<u64>, u32)) -> Result<Vec<FiledDrill>, OperationError> {
    let reading = |source| OperationError::Store { doing: "read drills", source };
    let rows = database.filed_page(FiledKind::Drill.as_str(), page).map_err(reading)?;
    Ok(rows.into_iter().map(|(number, row)| FiledDrill { number, row }).collect())
}

/// Drills that are on now, of rollouts and of a route. Looking keeps none of them going.
///
/// # Errors
/// When the store cannot be read.
pub fn now(desk: &Desk) -> Result<(Vec<DrillReport>, Option<DetourReport>), OperationError> {
    let lines = crate::rollouts::list(&desk.reader())?;
    let drills = lines.iter().filter_map(|line| under_way(desk, &line.name)).collect();
    Ok((drills, crate::leaving::now(desk)))
}

/// The drill that is on for a rollout, without keeping it going.
pub(crate) fn under_way(desk: &Desk, name: &str) -> Option<DrillReport> {
    desk.live.last_drill(name).filter(|drill| drill.is_on()).map(|drill| drill.report())
}

/// Filed drills as rows of a history: they moved nothing, and stand where they were.
pub(crate) fn rows(
    database: &Database,
    name: &str,
    moves: &[TransitionRow],
) -> Result<Vec<TransitionRow>, OperationError> {
    let reading = |source| OperationError::Store { doing: "read what was filed", source };
    let filed = database.filed(name).map_err(reading)?;
    let drills = filed.into_iter().filter(|row| row.kind == FiledKind::Drill.as_str());
    Ok(drills.map(|row| beside(row, moves)).collect())
}

fn beside(row: FiledRow, moves: &[TransitionRow]) -> TransitionRow {
    let at = moves.iter().rfind(|moved| moved.at_us <= row.at_us);
    let place = at.map(|moved| moved.to.clone()).unwrap_or_default();
    let share = at.map_or(0.0, |moved| moved.to_share);
    let verdict = if row.passed { "pass" } else { "fail" };
    let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
    TransitionRow {
        rollout: row.rollout,
        generation: at.map_or(0, |moved| moved.generation),
        at_us: row.at_us,
        from: place.clone(),
        to: place,
        from_share: share,
        to_share: share,
        epoch: at.map_or(0, |moved| moved.epoch),
        actor: row.actor,
        event: "drill".to_owned(),
        reason: format!(
            "{verdict} of `{}`{note}; digest {}",
            row.name,
            row.digest.chars().take(16).collect::<String>()
        ),
        evidence_json: "null".to_owned(),
        policy_hash: at.map(|moved| moved.policy_hash.clone()).unwrap_or_default(),
    }
}
