//! `crossfade vectors mode`: how far an index is on its way to another store.

use serde_json::json;
use vectors::facade::pair::Mode;

use super::moves::{self, By, Moving};
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::time::us_to_text;

/// How many refused changes and events are named.
const MAX_NAMED: u32 = 10;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The index.
    index: String,
    /// What it becomes: collect (changes are kept while the new store is copied), dual-write (and written to it), shadow (and queries are asked of both), source (none of it any more).
    #[arg(value_parser = word)]
    mode: Option<Mode>,
    /// Give changes that the other store refused to it once more.
    #[arg(long)]
    retry_refused: bool,
    #[command(flatten)]
    by: By,
}

fn word(text: &str) -> Result<Mode, String> {
    match Mode::of(text) {
        Some(Mode::Target) => Err("`crossfade vectors switch` does that".to_owned()),
        Some(Mode::RolledBack) => Err("`crossfade vectors rollback` does that".to_owned()),
        Some(mode) => Ok(mode),
        None => Err("it is one of collect, dual-write, shadow and source".to_owned()),
    }
}

/// Turns it where that is asked, and says how it stands.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let moving = moves::find(place, &args.index)?;
    if args.retry_refused {
        let n = moving.read(moving.changes.try_refused_again(&args.index))?;
        out.say(format_args!("{n} refused changes wait again"));
    }
    if let Some(mode) = args.mode {
        moving.turn(place, out, mode, &args.by, (None, false))?;
        out.say(next(mode, &moving));
    }
    said(&moving, out)?;
    Ok(Exit::Ok)
}

fn next(mode: Mode, moving: &Moving) -> String {
    let (index, source, target) = (&moving.of.index, &moving.of.source, &moving.of.target);
    match mode {
        Mode::Collect => format!(
            "every change is kept from now on. Now `crossfade vectors copy {source} {target}` (or `reembed`), then `crossfade vectors mode {index} dual-write`"
        ),
        Mode::DualWrite => format!(
            "what was kept is being written. Then `crossfade vectors mode {index} shadow`, or `crossfade vectors eval`"
        ),
        Mode::Shadow => format!(
            "{} different queries are being asked of both; `crossfade vectors shadow {index}` says how alike the lists are",
            moving.moves_to.shadow.n_reads
        ),
        _ => format!("{target} gets nothing any more; a new move begins with a new copy"),
    }
}

fn said(moving: &Moving, out: &Out) -> Result<(), Stop> {
    let (changes, index) = (&moving.changes, &moving.of.index);
    let mode = moving.standing()?.mode;
    let counts = moving.read(changes.counts(index))?;
    let refused = moving.read(changes.refused(index, MAX_NAMED))?;
    let trouble = moving.read(changes.trouble(index))?;
    let events = moving.read(changes.events(index, MAX_NAMED))?;
    let facts = json!({
        "index": index, "source": moving.of.source, "target": moving.of.target, "mode": mode, "n_waiting": counts.n_waiting, "n_refused": counts.n_refused,
        "trouble": trouble, "refused": refused.iter().map(|(row, why)| json!({ "row": row, "why": why })).collect::<Vec<_>>(), "events": events,
    });
    out.answer(&facts, || {
        let mut text = format!("{index} is in mode {mode}: from {} to {}\n", moving.of.source, moving.of.target);
        text += &format!(
            "{} changes wait for the other store, {} were refused by it\n",
            counts.n_waiting, counts.n_refused
        );
        text += &trouble.map(|why| format!("it does not take them now: {why}\n")).unwrap_or_default();
        refused.iter().for_each(|(row, why)| text += &format!("refused: {row}: {why}\n"));
        let rows: Vec<Vec<String>> = events
            .iter()
            .map(|event| {
                let reason = event.reason.clone().unwrap_or_default();
                vec![
                    us_to_text(event.at_us.cast_unsigned()),
                    event.from.to_string(),
                    event.to.to_string(),
                    event.actor.clone(),
                    reason,
                ]
            })
            .collect();
        if !rows.is_empty() {
            text += &format!("\n{}", table(&["when (UTC)", "from", "to", "by", "why"], &rows));
        }
        text
    });
    Ok(())
}
