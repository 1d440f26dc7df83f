//! The exit drill of the rollout's route: the one under way, or what came of the last.

use gateway::detour::{DetourReport, Phase};
use operations::rollouts::RolloutView;

use crate::verbs::time::us_to_text;

/// Above the last drill.
pub(super) const TITLE: &str = "last exit drill of the route";

/// That one is under way, and how far it is.
pub(super) fn notice(view: &RolloutView) -> Option<String> {
    let drill = view.exit_drill.as_ref()?;
    let DetourReport { route, from, to, actor, .. } = drill;
    let how_far = match drill.phase {
        Phase::Before => format!("watched as it is, before traffic goes from `{from}` to `{to}`"),
        Phase::Away => {
            let n = drill.away.requests;
            format!(
                "`{to}` answers in place of `{from}`, {n} requests so far; `crossfade exit drill {route} --end` sends them back"
            )
        }
        Phase::Back => format!("traffic is back at `{from}` and is watched"),
        Phase::Over => return None,
    };
    let since = us_to_text(drill.at_us);
    Some(format!(
        "an exit drill of route `{route}` is under way since {since} UTC, begun by {actor}: {how_far}; nothing of it counts for the rollout"
    ))
}

/// What came of the last one.
pub(super) fn last(view: &RolloutView) -> String {
    let Some(drill) = view.exit_drill.as_ref().filter(|drill| drill.phase == Phase::Over) else { return String::new() };
    let DetourReport { from, to, actor, away, .. } = drill;
    let verdict = drill.verdict.map_or("no verdict", |verdict| verdict.as_str());
    let simulated = if drill.simulated { "SIMULATED, " } else { "" };
    let ms = |time: Option<f64>| time.map_or_else(|| "not measured".to_owned(), |ms| format!("{ms:.1} ms"));
    let why = drill.way_back.map_or("", |why| why.words());
    let (there, home) = (ms(drill.there.time_to_switch_ms), ms(drill.home.time_to_switch_ms));
    let mut text =
        format!("{} UTC  {simulated}{from} -> {to}: {verdict}, begun by {actor}: {why}\n", us_to_text(drill.at_us));
    text += &format!(
        "time to switch {there}, back {home}; {} of {} requests failed, {} fell back to {from}\n",
        away.failed, away.requests, away.fell_back
    );
    for check in drill.checks.iter().filter(|check| !check.holds) {
        text += &format!("did not hold: {}: {}, asked for is {}\n", check.what, check.measured, check.target);
    }
    text
}
