//! Exit drills: a route's traffic goes to another target and back, and both ways are measured.

use gateway::control::ControlError;
use gateway::detour::{DetourReport, Phase, Plan, Probes, WayBack};
use govern::Role;
use serde::{Deserialize, Serialize};
use store::{Database, DatabaseError};

use crate::desk::{Actor, Desk, OperationError};

/// An exit drill to begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitDrillRequest {
    /// Who begins it; recorded where no key says so.
    #[serde(default)]
    pub actor: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Where to, and within which bounds.
    pub plan: Plan,
}

/// The order to go back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WayBackRequest {
    /// Who gives it; recorded where no key says so.
    #[serde(default)]
    pub actor: Option<String>,
    /// What was found of the alternative meanwhile.
    #[serde(default)]
    pub probes: Option<Probes>,
    /// Whether enough was seen for a verdict; otherwise the drill is broken off.
    #[serde(default)]
    pub enough: bool,
}

/// Begins an exit drill of a route. It goes back by itself, within its bounds; sooner when nobody asks how it goes.
///
/// # Errors
/// When the actor may not, route or target is unknown, either takes no calls, or the store refuses.
pub fn begin(
    desk: &Desk,
    actor: &Actor,
    route: &str,
    request: ExitDrillRequest,
) -> Result<DetourReport, OperationError> {
    // Everybody is served by a target that no gate let through: more than an operator may raise a share by.
    actor.needs(Role::Approver)?;
    desk.control.detour(request.plan, route, &actor.name, &request.reason).map_err(refused)
}

/// How the last exit drill of a route goes, or went. Whoever asks keeps it going.
///
/// # Errors
/// When there was none in this process.
pub fn report(desk: &Desk, route: &str) -> Result<DetourReport, OperationError> {
    let none =
        || OperationError::NotFound(format!("no exit drill of route `{route}` was begun since the gateway started"));
    let detour = desk.live.detour().filter(|detour| detour.route() == route).ok_or_else(none)?;
    detour.watch();
    Ok(detour.report())
}

/// The exit drill of a route that is under way, without keeping it going.
pub(crate) fn under_way(desk: &Desk, route: &str) -> Option<DetourReport> {
    let detour = desk.live.detour().filter(|detour| detour.route() == route)?;
    Some(detour.report()).filter(|report| report.phase != Phase::Over)
}

/// The exit drill that is under way, of whatever route, without keeping it going.
pub(crate) fn now(desk: &Desk) -> Option<DetourReport> {
    let report = desk.live.detour()?.report();
    (report.phase != Phase::Over).then_some(report)
}

/// An exit drill on record, with its number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExitDrill {
    /// Its number: the next page is before the last of this one.
    pub number: u64,
    /// When it was over, Unix microseconds.
    pub over_us: u64,
    /// How it went.
    pub report: DetourReport,
}

/// Exit drills that are over, the last first, as the audit keeps them: a page, before the one of this number. One that another version wrote otherwise is
/// left out.
///
/// # Errors
/// When the store cannot be read.
pub fn on_record(database: &Database, page: (Option<u64>, u32)) -> Result<Vec<ExitDrill>, OperationError> {
    let reading = |source| OperationError::Store { doing: "read exit drills", source };
    let rows = database.audit_of(("route", "exit.drill_over"), page).map_err(reading)?;
    let drill = |(number, row): (u64, store::AuditRow)| {
        let report = serde_json::from_str(&row.detail_json).ok()?;
        Some(ExitDrill { number, over_us: row.at_us, report })
    };
    Ok(rows.into_iter().filter_map(drill).collect())
}

/// The last exit drill of a route that is over, as the audit keeps it; one that another version wrote otherwise is none.
pub(crate) fn last(database: &Database, route: &str) -> Result<Option<DetourReport>, DatabaseError> {
    let rows = database.audit(Some(&format!("route:{route}")))?;
    let over = rows.into_iter().rfind(|row| row.action == "exit.drill_over");
    Ok(over.and_then(|row| serde_json::from_str(&row.detail_json).ok()))
}

/// Sends the route back.
///
/// # Errors
/// When the actor may not, none is on, or the controller does not answer.
pub fn end(desk: &Desk, actor: &Actor, route: &str, request: WayBackRequest) -> Result<DetourReport, OperationError> {
    actor.needs(Role::Operator)?;
    let why = if request.enough { WayBack::Asked } else { WayBack::BrokenOff };
    desk.control.end_detour(route, (request.probes, why), &actor.name).map_err(refused)
}

/// A route is no rollout: what the controller does not know of one is said otherwise.
fn refused(error: ControlError) -> OperationError {
    match error {
        ControlError::Unavailable => {
            OperationError::Unavailable("the controller does not answer; nothing was switched".to_owned())
        }
        error => error.into(),
    }
}
