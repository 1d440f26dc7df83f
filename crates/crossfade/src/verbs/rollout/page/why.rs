//! Why it stands where it stands, and what would change it.

use operations::rollouts::RolloutView;
use rollout::why::{BadExchanges, Why};

/// The exchanges shown of a metric and arm; `--format json` has the others.
const SHOWN: usize = 3;

/// The lines of the section.
pub(super) fn lines(view: &RolloutView, crossfade: &str) -> String {
    let why = &view.why;
    let mut text = String::new();
    if let Some(nearest) = why.nearest_words() {
        text += &format!("guard     nearest: {nearest}\n");
    }
    if let Some(rate) = why.per_hour {
        let what = if view.explanation.stage == rollout::Stage::Shadow { "pairs" } else { "units" };
        text += &format!("rate      {rate:.0} {what} an hour in this epoch\n");
    }
    for wait in &why.waits {
        text += &format!("needs     {}\n", wait.words());
    }
    text + &bad(why, crossfade)
}

fn bad(why: &Why, crossfade: &str) -> String {
    let line = |bad: &BadExchanges| {
        let shown: Vec<&str> = bad.exchanges.iter().rev().take(SHOWN).map(String::as_str).collect();
        format!("bad       {} of the {}: {}\n", bad.metric, bad.arm.as_str(), shown.join(" "))
    };
    let text: String = why.bad_exchanges.iter().map(line).collect();
    if text.is_empty() {
        text
    } else {
        text + &format!("          `{crossfade} exchanges show ID` has each; the newest are first\n")
    }
}
