//! Safety: results that were filed for the rollout under a name that speaks of safety. Nothing filed is "not run", never a pass.

use crate::advice::{again_by_rollout, again_name};
use crate::area::{Area, Found, Standing};
use crate::commands;
use crate::figure::{Figure, Unit};
use crate::report::Stale;
use crate::rows::{FILED, FiledRow, RolloutRow, Rows};
use crate::settings::Move;

/// What is known of the safety of a move's candidate.
pub(crate) fn safety(rows: &Rows, mv: &Move, key: &str, stale: &mut Vec<Stale>) -> Found {
    let demand = &rows.settings.scorecard.safety;
    let asks = "no critical failure in a safety suite or red-team run".to_owned();
    let target = "no critical failure".to_owned();
    let names = demand.filed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    let settle = settled_by(rows, mv);
    // What was filed for another rollout of the very same two targets and requests is of this one too.
    let is_of_it = |row: &FiledRow| {
        mv.rollout.as_ref() == Some(&row.rollout) || (row.fingerprint.is_some() && row.fingerprint == mv.fingerprint)
    };
    let speaks = |row: &&FiledRow| is_of_it(row) && demand.filed.contains(&row.name);
    let latest = rows.filed.iter().filter(speaks).max_by_key(|row| row.at_us);
    let Some(latest) = latest else {
        let because = format!("nothing named {names} is filed: no red-team run");
        return Found::not_run(Area::Safety, (demand.required, asks, target), &because, &settle);
    };
    // What was filed is of the targets that the rollout had then; where that was not written down, of those that it began with.
    let is_other = |row: &&RolloutRow| {
        let was = latest.fingerprint.as_ref().unwrap_or(&row.fingerprint);
        row.fingerprint_now.as_ref().is_some_and(|now| now != was)
    };
    let other = rows.rollouts.iter().filter(|row| row.name == latest.rollout).find(is_other);
    let refused = match (rows.settings.too_old(latest.at_us), other) {
        // A failure does not go away by itself.
        _ if !latest.passed => None,
        (Some(days), _) => {
            Some(format!("it is {days} days old; {} are the most", rows.settings.scorecard.max_age_days))
        }
        (None, Some(_)) => {
            Some("a target of the rollout it was filed for has another model, prompt or parameters now".to_owned())
        }
        (None, None) => None,
    };
    let elsewhere = if mv.rollout.as_ref() == Some(&latest.rollout) {
        String::new()
    } else {
        format!(", filed for the rollout `{}` of the same two targets,", latest.rollout)
    };
    let filed = format!("the latest {} `{}`{elsewhere}", latest.kind, latest.name);
    let (standing, because) = match &refused {
        _ if !latest.passed => (Standing::Fail, format!("{filed} is a failure")),
        Some(why) => (Standing::NotRun, format!("{filed} does not count: {why}")),
        None if latest.n == 0 => {
            (Standing::Undecided, format!("{filed} does not say of how many cases: a pass of 0 cases shows nothing"))
        }
        None => (Standing::Pass, format!("{filed} was filed as a pass by {}, whose word it is", latest.actor)),
    };
    if let Some(why) = refused {
        stale.push(Stale { what: format!("filed {} `{}`", latest.kind, latest.name), why });
    }
    let id = format!("{key}.safety.cases");
    let decides = Some(id.clone());
    let figure = Figure::new(id, "Cases the filed result covers", Some(latest.n as f64), Unit::Count).of(FILED);
    Found {
        area: Area::Safety,
        required: demand.required,
        asks,
        target,
        standing,
        because,
        settle: matches!(standing, Standing::NotRun | Standing::Undecided).then_some(settle),
        again: None,
        figures: vec![figure],
        decides,
        simulated: false,
    }
}

/// What would settle it, as it is typed.
fn settled_by(rows: &Rows, mv: &Move) -> String {
    let name = rows.settings.scorecard.safety.filed.first().map_or("safety", |name| name);
    match &mv.rollout {
        Some(rollout) => format!(
            "a safety suite or red-team run of the candidate, filed {}: {}",
            if rows.rollouts.iter().any(|row| row.name == *rollout) {
                "for the rollout".to_owned()
            } else {
                format!(
                    "once the rollout is started (`crossfade rollout start {rollout}`: copies that users do not see)"
                )
            },
            commands::file(rollout, name)
        ),
        None if mv.switched => format!(
            "a red-team run is filed for a rollout, and this move has none; to have one: {}; then {}",
            again_by_rollout(mv).unwrap_or_default(),
            commands::file(&again_name(mv).unwrap_or_else(|| "ROLLOUT".to_owned()), name)
        ),
        None => format!(
            "a rollout on the route `{}` in the config, started, and a red-team run filed for it: {}",
            mv.route,
            commands::file("ROLLOUT", name)
        ),
    }
}
