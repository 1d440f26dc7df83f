//! `crossfade panel file NAME`: what people said of a rollout's own pairs, for its gates.
//!
//! Only what is proven is filed, of pairs of one epoch, and only while both targets are what they were when the panel was opened. The interval holds at
//! all times, so that a panel may be filed whenever it proves something. The digest is the SHA-256 of what `panel result NAME --format json` prints.

use operations::panels::Plan;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{margin, outcome, verdict};
use crate::load;
use crate::out::{Exit, Out, Stop};
use crate::rooms::sides_of;
use crate::verbs::Place;
use crate::verbs::source::{Source, percent};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The panel.
    name: String,
    /// How much below one half the win rate may be.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = margin)]
    margin: f64,
    /// The name that the gate asks for; the panel's when it is not said.
    #[arg(long = "as", value_name = "NAME")]
    called: Option<String>,
    /// Who files it.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
}

/// Files the win rate through the running gateway.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let outcome = outcome(place, &args.name)?;
    let plan: Plan = serde_json::from_value(outcome.plan.clone()).map_err(Stop::failed)?;
    if plan.epoch.is_none() {
        let stop =
            Stop::usage(format!("the panel `{}` holds pairs of whatever epoch: they are no evidence", args.name));
        return Err(stop.hint("`crossfade panel open --epoch N` shows those of one"));
    }
    same_targets(place, &args.name, &plan)?;
    let summary = &outcome.summary;
    let exit = verdict(summary, args.margin);
    if exit == Exit::Undecided {
        out.say("nothing is filed: the verdicts do not prove anything yet");
        return Ok(exit);
    }
    let text = serde_json::to_string_pretty(&outcome).map_err(Stop::failed)? + "\n";
    let digest: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let passed = exit == Exit::Ok;
    let word = if passed { "pass" } else { "fail" };
    let (low, high) = summary.win_rate_interval.unwrap_or_default();
    let body = json!({
        "actor": args.actor,
        "kind": "review",
        "name": args.called.as_ref().unwrap_or(&args.name),
        "passed": passed,
        "digest": digest,
        "n": summary.n_pairs,
        "reason": format!(
            "panel {}: win rate {:.3} [{low:.3}, {high:.3}] over {} pairs of epoch {}, margin {}",
            args.name,
            summary.win_rate.unwrap_or_default(),
            summary.n_pairs,
            plan.epoch.unwrap_or_default(),
            args.margin
        ),
    });
    let source = Source::open(place)?;
    let row = source.change(&format!("/api/rollouts/{}/file", percent(&plan.rollout)), &body)?;
    let row = row.ok_or_else(|| source.nobody())?;
    out.answer(&row, || format!("{}: review filed as a {word}, {} pairs\n", plan.rollout, summary.n_pairs));
    Ok(exit)
}

/// Refuses a panel of targets that have changed since.
fn same_targets(place: &Place, name: &str, plan: &Plan) -> Result<(), Stop> {
    let config = load::config(&place.config)?;
    let sides = sides_of(&config.snapshot, &plan.rollout);
    let is_same = sides.is_some_and(|sides| {
        (sides.baseline, sides.candidate) == (plan.baseline.clone(), plan.candidate.clone())
            && sides.fingerprints == plan.fingerprints
    });
    if is_same {
        return Ok(());
    }
    let stop = Stop::usage(format!("`{}` has other targets than when the panel `{name}` was opened", plan.rollout));
    Err(stop.hint("open another panel"))
}
