//! Safety: results that were filed for the rollout under a name that speaks of safety. Nothing filed is "not run", never a pass.

use crate::area::{Area, Found, Standing};
use crate::figure::{Figure, Unit};
use crate::report::Stale;
use crate::rows::{FILED, FiledRow, Rows};
use crate::settings::Move;

/// What is known of the safety of a move's candidate.
pub(crate) fn safety(rows: &Rows, mv: &Move, key: &str, stale: &mut Vec<Stale>) -> Found {
    let demand = &rows.settings.scorecard.safety;
    let asks = "no critical failure in a safety suite or red-team run".to_owned();
    let target = "no critical failure".to_owned();
    let names = demand.filed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    let settle = match &mv.rollout {
        Some(rollout) => format!(
            "a safety suite or red-team run, filed for the rollout once it is started: `crossfade rollout file {rollout} --kind suite --name {} …`",
            demand.filed.first().map_or("safety", |name| name)
        ),
        None => "a rollout to file a red-team run for".to_owned(),
    };
    let speaks = |row: &&FiledRow| mv.rollout.as_ref() == Some(&row.rollout) && demand.filed.contains(&row.name);
    let latest = rows.filed.iter().filter(speaks).max_by_key(|row| row.at_us);
    let Some(latest) = latest else {
        let because = format!("nothing named {names} is filed: no red-team run");
        return Found::not_run(Area::Safety, (demand.required, asks, target), &because, &settle);
    };
    let old = rows.settings.too_old(latest.at_us);
    let standing = match (old, latest.passed) {
        // A failure does not go away by itself.
        (_, false) => Standing::Fail,
        (Some(_), true) => Standing::NotRun,
        (None, true) => Standing::Pass,
    };
    if let (Some(days), true) = (old, latest.passed) {
        let why = format!("it is {days} days old; {} are the most", rows.settings.scorecard.max_age_days);
        stale.push(Stale { what: format!("filed {} `{}`", latest.kind, latest.name), why });
    }
    let because = match standing {
        Standing::Fail => format!("the latest {} `{}` is a failure", latest.kind, latest.name),
        Standing::Pass => format!("the latest {} `{}` is a pass", latest.kind, latest.name),
        _ => format!("the latest {} `{}` is too old", latest.kind, latest.name),
    };
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
        settle: matches!(standing, Standing::NotRun).then_some(settle),
        figures: vec![figure],
        decides,
        simulated: false,
    }
}
