//! What the console shows of the indexes that a gateway serves, and how it turns their moves.

use std::collections::BTreeMap;

use operations::vectors::{EventView, IndexView, MoveView, NotTurned, ShadowView, Turn};
use serde_json::Value;
use vectors::facade::IndexSettings;
use vectors::facade::changes::{Event, Outcome, Wish};
use vectors::facade::pair::{Mode, Which};
use vectors::facade::shadow::Shadowed;
use vectors::parity::Verdict;

use super::moves::{self, Moving};
use super::{shadow, switch};
use crate::out::Stop;
use crate::verbs::Place;

/// How many refused changes and events are shown.
const MAX_NAMED: u32 = 20;

/// Every index, as its file says that it stands.
pub(crate) fn views(place: &Place, indexes: &BTreeMap<String, IndexSettings>) -> Result<Vec<IndexView>, String> {
    let view = |(name, settings): (&String, &IndexSettings)| {
        let moves = settings.moves_to.is_some().then(|| moves::find(place, name).and_then(|moving| view(&moving)));
        let moves = moves.transpose().map_err(|stop| stop.full_text())?;
        Ok(IndexView { name: name.clone(), source: settings.source.store.to_string(), moves })
    };
    indexes.iter().map(view).collect()
}

fn view(moving: &Moving) -> Result<MoveView, Stop> {
    let (changes, of) = (&moving.changes, &moving.of);
    let mode = moving.standing()?.mode;
    let counts = moving.read(changes.counts(&of.index))?;
    Ok(MoveView {
        target: of.target.clone(),
        mode: mode.to_string(),
        answers: if mode.answers() == Which::Target { of.target.clone() } else { of.source.clone() },
        n_waiting: counts.n_waiting,
        n_refused: counts.n_refused,
        trouble: moving.read(changes.trouble(&of.index))?,
        refused: moving.read(changes.refused(&of.index, MAX_NAMED))?,
        shadow: shadow::of(moving)?.map(shadowed),
        events: moving.read(changes.events(&of.index, MAX_NAMED))?.into_iter().map(event).collect(),
    })
}

fn shadowed(of: Shadowed) -> ShadowView {
    let word = match of.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Undecided => "undecided",
    };
    let alike = of.parity.alike.into_iter().filter(|figure| figure.n > 0);
    ShadowView {
        verdict: word.to_owned(),
        why: of.why,
        n_reads: of.n_reads as u64,
        n_needed: of.n_needed.into(),
        n_lost: of.n_lost,
        n_failed: of.n_failed as u64,
        alike: alike.map(|figure| (figure.name, figure.mean, figure.interval)).collect(),
        latency_ms: [of.latency.source_ms, of.latency.target_ms],
    }
}

fn event(of: Event) -> EventView {
    EventView {
        at_us: of.at_us.cast_unsigned(),
        from: of.from.to_string(),
        to: of.to.to_string(),
        actor: of.actor,
        reason: of.reason.unwrap_or_default(),
        evidence: of.evidence,
    }
}

/// Turns a move as `vectors switch` and `vectors rollback` do, without their `--force`: the gateway that serves the index is asked.
pub(crate) fn turn(place: &Place, turn: &Turn) -> Result<(), NotTurned> {
    let unknown = |stop: Stop| NotTurned::Unknown(stop.full_text());
    let failed = |stop: Stop| NotTurned::Unavailable(stop.full_text());
    let moving = moves::find(place, &turn.index).map_err(unknown)?;
    let to = if turn.forward { Mode::Target } else { Mode::RolledBack };
    let mode = moving.standing().map_err(failed)?.mode;
    mode.may_turn(to).map_err(NotTurned::Refused)?;
    let evidence = if turn.forward { Some(proof(&moving, mode)?) } else { None };
    let wish = Wish {
        of: moving.of.clone(),
        to,
        actor: turn.actor.clone(),
        reason: Some(turn.reason.clone()),
        evidence,
        is_forced: false,
    };
    match moving.turned_there(&wish).map_err(failed)? {
        Outcome::Turned(_) => Ok(()),
        Outcome::Refused(why) => Err(NotTurned::Refused(why)),
    }
}

/// What the shadow proves.
fn proof(moving: &Moving, mode: Mode) -> Result<Value, NotTurned> {
    let not_there = "a switch from the console rests on queries that were asked of both: turn it to `shadow` first";
    if mode != Mode::Shadow {
        return Err(NotTurned::Refused(not_there.to_owned()));
    }
    match switch::shadowed(moving).map_err(|stop| NotTurned::Unavailable(stop.full_text()))? {
        (Verdict::Pass, _, evidence) => Ok(evidence),
        (_, why, _) => Err(NotTurned::Refused(why)),
    }
}
