//! Where code of answers is run, for a suite whose metrics run it.

use std::sync::Arc;

use eval::metric::code::{Bench, NAMES};
use eval::run::Plan;
use sandbox::Sandbox;

use crate::out::{Out, Stop};

/// The bench of this process: its sandboxes are stages of this very program.
pub(super) fn bench() -> Arc<Bench> {
    Arc::new(Bench::new(Sandbox::of_this_program()))
}

/// Tries out whether code can be run, before anything is asked that could not be scored.
pub(super) fn examine(plan: &Plan, out: &Out) -> Result<(), Stop> {
    for spec in plan.metrics.iter().filter(|spec| NAMES.contains(&spec.name.as_str())) {
        if spec.settings["sandbox"] == "none" {
            out.say(format_args!("`{}` runs code of answers without a sandbox, as the suite says", spec.label()));
        }
        let Err(unavailable) = bench().try_out(&spec.own_settings()) else { continue };
        let why = format!("code cannot be run for `{}`: {unavailable}", spec.label());
        if spec.label() == plan.primary {
            let stop = Stop::failed(anyhow::anyhow!(why));
            return Err(unavailable.hint.into_iter().fold(stop, Stop::hint));
        }
        out.say(format_args!("{why}; it has no numbers"));
    }
    Ok(())
}
