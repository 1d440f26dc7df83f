//! `crossfade rollout …`: start, watch and steer a migration.

mod compare;
mod drill;
mod file;
mod history;
mod page;
mod plan;
mod replay;
mod revalidate;
mod simulate;
mod watch;

use std::io::IsTerminal;

use anyhow::Context;
use clap::Subcommand;
use operations::rollouts::{RolloutLine, RolloutView};
use operations::{Actor, Role};
use rollout::{Status, Transition};
use serde_json::{Value, json};
use store::{Database, Lease, TransitionRow};

use super::Place;
use super::source::{Source, percent};
use super::time::now_us;
use crate::config::show_share;
use crate::out::{Exit, Out, Stop, table};

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Begin in shadow: both answer, users see the baseline.
    Start(Change),
    /// Where a rollout stands, on one page; exits 3 when it was rolled back. Without a name, a line for each.
    Status {
        /// The rollout.
        name: Option<String>,
        /// Draw the page again each second; ends when the rollout does.
        #[arg(long)]
        watch: bool,
    },
    /// Go to the next step without waiting for the gates; needs a reason, and the approvals of the step. Recorded as such.
    Promote(Change),
    /// Agree to leave the step that waits for approval.
    Approve(Change),
    /// Keep the share and stop promotions; guards stay armed.
    Pause(Change),
    /// Everybody back to the baseline, now. Works without a running gateway too.
    Abort(Change),
    /// Go on after a pause; after a rollback or an abort, begin again in shadow.
    Resume(Change),
    /// Give a held rollout more time: as much again as its step may last; needs a reason.
    Extend(Change),
    /// Take a held rollout to the next step as it is; needs a reason, and the approvals of the step. Recorded as such.
    Accept(Change),
    /// File a result that was found elsewhere, for the gates to ask for: an evaluation suite, a drill, a review.
    File(file::Result),
    /// What was filed for a rollout, newest first.
    Filed {
        /// The rollout.
        name: String,
    },
    /// What it will take at the recorded or stated traffic, for every step, gate and guard; exits 3 when a gate can never be decided.
    Plan(plan::Args),
    /// Rehearse a failure with the rollout's own policy, in a gateway of its own or on the running one, and measure detection, switch and
    /// verification.
    Drill(drill::Args),
    /// Decide everything again from the record; exits 3 when anything comes out otherwise than it is recorded.
    Replay {
        /// The rollout.
        name: String,
    },
    /// Play the policy against made-up or recorded traffic, thousands of times: false rollbacks, false promotions, delays.
    Simulate(Box<simulate::Args>),
    /// The candidates of one route side by side: who leads, who is out and why; exits 4 while none is proven the best.
    Compare {
        /// The route.
        route: String,
    },
    /// Read the gates of a completed rollout anew, of the last while alone; exits 4 when they are not proven again.
    Revalidate(revalidate::Args),
    /// Every transition with who, why, and the numbers and exchanges it rested on; `--format json` has all of the evidence.
    History {
        /// The rollout.
        name: String,
    },
}

/// A change and who answers for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    /// The rollout.
    name: String,
    /// Who asks; the audit row names you.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator", value_parser = own_name)]
    actor: String,
    /// Why; the audit row keeps it. Needed where evidence is overruled.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Carries out one of them.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    let source = || Source::open(place);
    match verb {
        Verb::Drill(args) => drill::run(place, &args, out),
        Verb::Plan(args) => plan::run(place, &args, out),
        Verb::Simulate(args) => simulate::run(place, &args, out),
        Verb::Replay { name } => replay::run(&source()?, &name, out),
        Verb::Status { name: None, .. } => list(&source()?, out),
        Verb::Status { name: Some(name), watch } if watch && std::io::stdout().is_terminal() => {
            watch::watch(&source()?, &name, out)
        }
        Verb::Status { name: Some(name), .. } => status(&source()?, &name, out),
        Verb::Compare { route } => compare::run(&source()?, &route, out),
        Verb::Revalidate(args) => revalidate::run(&source()?, &args, out),
        Verb::History { name } => history(&source()?, &name, out),
        Verb::Start(change) => {
            let exit = carry_out(&source()?, "start", &change, out)?;
            for refusal in plan::refusals(place, &change.name) {
                out.say(format_args!("note: at the traffic on record the plan refuses it: {refusal}"));
            }
            Ok(exit)
        }
        Verb::Promote(change) => carry_out(&source()?, "promote", &change, out),
        Verb::Approve(change) => carry_out(&source()?, "approve", &change, out),
        Verb::Pause(change) => carry_out(&source()?, "pause", &change, out),
        Verb::Abort(change) => carry_out(&source()?, "abort", &change, out),
        Verb::Resume(change) => carry_out(&source()?, "resume", &change, out),
        Verb::Extend(change) => carry_out(&source()?, "extend", &change, out),
        Verb::Accept(change) => carry_out(&source()?, "accept", &change, out),
        Verb::File(result) => file::file(&source()?, &result, out),
        Verb::Filed { name } => file::filed(&source()?, &name, out),
    }
}

fn carry_out(source: &Source, verb: &str, change: &Change, out: &Out) -> Result<Exit, Stop> {
    let body = json!({ "actor": change.actor, "reason": change.reason });
    let path = format!("/api/rollouts/{}/{verb}", percent(&change.name));
    let answer = source.change(&path, &body).and_then(|answer| match answer {
        Some(transition) => Ok(transition),
        None if verb == "abort" => Ok(json!(abort_stored(source, change)?)),
        None => Err(source.nobody()),
    });
    let transition = match answer {
        Ok(transition) => transition,
        Err(stop) if verb == "abort" && is_not_started(&stop) && source.has_rollout(&change.name) => {
            let facts = json!({ "rollout": change.name, "already": "not started" });
            let said = || format!("{}: it has not been started, everybody is on the baseline\n", change.name);
            out.answer(&facts, said);
            return Ok(Exit::Ok);
        }
        Err(stop) => {
            let Some(state) = already(verb, &stop) else { return Err(refused(source, stop, verb, &change.name)) };
            let facts = json!({ "rollout": change.name, "already": state });
            out.answer(&facts, || format!("{}: {state} already, nothing changed\n", change.name));
            return Ok(Exit::Ok);
        }
    };
    let read: Transition = serde_json::from_value(transition.clone()).context("could not read the answer")?;
    out.answer(&transition, || {
        if verb == "approve" {
            return format!("{}: {}\n", read.rollout, read.reason);
        }
        let (from, to) = (show_share(read.from_share), show_share(read.to_share));
        let moved = if read.from == read.to {
            format!("{}: {}, {}", read.rollout, read.reason, read.to)
        } else {
            format!("{}: {} -> {}", read.rollout, read.from, read.to)
        };
        let overruled = read.reason.split_once("; overrules: ").map(|(_, overruled)| overruled);
        let overruled = overruled.map_or_else(String::new, |overruled| format!("overrules: {overruled}\n"));
        format!("{moved}, share {from} -> {to}, epoch {}\n{overruled}", read.epoch)
    });
    if verb == "start" {
        out.say(format_args!("hint: `crossfade rollout status {} --watch` follows it", change.name));
    }
    if verb == "approve" {
        out.say(format_args!(
            "hint: with all its approvals it goes on by itself, at the next look; `crossfade rollout status {} --watch` shows it",
            change.name
        ));
    }
    Ok(Exit::Ok)
}

fn is_not_started(stop: &Stop) -> bool {
    stop.error.to_string().ends_with("has not been started")
}

/// Whether who asked may not approve, or has: others can.
fn needs_another(stop: &Stop) -> bool {
    let said = stop.error.to_string();
    said.ends_with("started this rollout and may not approve it") || said.ends_with("has approved this step already")
}

/// The state a rollout is in, when it is the one that `verb` was to bring about: whoever wants everybody on the baseline has it.
fn already(verb: &str, stop: &Stop) -> Option<&'static str> {
    let states: &[&'static str] = match verb {
        "abort" => &["aborted", "rolled back"],
        "pause" => &["paused"],
        _ => &[],
    };
    let said = stop.error.to_string();
    let is = |state: &&&str| said.ends_with(&format!("`{verb}` is not possible while the rollout is {state}"));
    states.iter().find(is).copied()
}

/// A refusal with the next step: what the verb lacks, or where to see what is possible.
fn refused(source: &Source, stop: Stop, verb: &str, name: &str) -> Stop {
    match (stop.hint.is_some(), stop.exit) {
        (true, _) => stop,
        (_, Exit::Usage) if verb == "start" && source.has_rollout(name) => {
            stop.hint("the config has it and the gateway has not taken it up yet: `crossfade reload`")
        }
        (_, Exit::Usage) => source.with_rollouts(stop, name),
        _ if needs_another(&stop) => stop.hint(format!(
            "somebody else has to: `crossfade rollout approve {name} --actor NAME`; where the admin listener asks for a key, with theirs in \
             CROSSFADE_ADMIN_TOKEN"
        )),
        _ if stop.error.to_string().ends_with("a reason is needed") => {
            let stop = Stop { exit: Exit::Usage, ..stop };
            stop.hint("give `--reason TEXT`; the audit row keeps it")
        }
        _ => stop.hint(format!("`crossfade rollout status {name}` shows where it stands and what can be done")),
    }
}

/// Without a gateway nobody holds the lease: the abort is written where the next gateway finds it.
fn abort_stored(source: &Source, change: &Change) -> Result<Transition, Stop> {
    drop(source.database()?);
    let lease = Lease::acquire(source.store()).map_err(|error| {
        Stop::failed(error)
            .hint("a gateway runs but its admin listener does not answer at this address; use `--admin ADDRESS`")
    })?;
    let database = Database::open(source.store()).map_err(Stop::failed)?;
    let actor = Actor::trusted(change.actor.clone(), Role::Operator);
    let transition = operations::rollouts::abort_stored(&database, &actor, &change.name, &change.reason);
    drop(lease);
    transition.map_err(super::source::operation)
}

fn list(source: &Source, out: &Out) -> Result<Exit, Stop> {
    let value = source.read("/api/rollouts", operations::rollouts::list)?;
    let rollouts: Vec<RolloutLine> = serde_json::from_value(value.clone()).context("could not read the answer")?;
    let row = |line: &RolloutLine| {
        let RolloutLine { name, route, label, share, baseline, candidate, .. } = line;
        let targets = format!("{baseline} -> {candidate}");
        let asked = if line.is_asked_anyway() { ", but the route asks it itself" } else { "" };
        vec![name.clone(), route.clone(), label.clone(), show_share(*share) + asked, targets]
    };
    let rows: Vec<Vec<String>> = rollouts.iter().map(row).collect();
    out.answer(&value, || table(&["rollout", "route", "where", "share", "targets"], &rows));
    if rollouts.is_empty() {
        out.say("hint: no rollout has been started; `crossfade rollout start NAME` starts one of the config");
    }
    Ok(Exit::Ok)
}

/// Whether a running gateway says that the candidate of a rollout takes no calls now.
pub(crate) fn down(source: &Source, name: &str) -> Option<report::Down> {
    let path = format!("/api/rollouts/{}", percent(name));
    let value = source.read(&path, |database| operations::rollouts::status(database, name)).ok()?;
    let down = serde_json::from_value::<RolloutView>(value).ok()?.down?;
    Some(report::Down { since_us: down.since_us, kind: down.kind })
}

/// A rollout as it was found, and how its page is to look.
struct Reading {
    value: Value,
    view: RolloutView,
    look: page::Look,
}

fn read(source: &Source, name: &str, out: &Out) -> Result<Reading, Stop> {
    let path = format!("/api/rollouts/{}", percent(name));
    let value = source.read(&path, |database| operations::rollouts::status(database, name));
    let mut value = value.map_err(|stop| source.with_rollouts(stop, name))?;
    let mut view: RolloutView = serde_json::from_value(value.clone()).context("could not read the answer")?;
    if source.is_alone() {
        view.judge = source.judge(name);
        value["judge"] = json!(view.judge);
    }
    // What scripts ask for most, without knowing how the page is built.
    value["share"] = json!(view.explanation.share);
    value["status"] = json!(view.explanation.status);
    value["from_store"] = json!(source.is_alone());
    let now_us = now_us();
    let notice = source.is_alone().then(|| {
        let moved = view.transitions.first().map(|row| row.at_us);
        let age = view.evidence_saved_at_us.max(moved).map(|at| now_us.saturating_sub(at) / 1_000_000);
        let age = age.map_or_else(String::new, |age| format!(", {age} s old"));
        format!("{}: this is what the store says{age}", source.no_answer())
    });
    let look = page::Look { now_us, colour: out.has_colour(), config: out.config(), notice };
    Ok(Reading { value, view, look })
}

fn status(source: &Source, name: &str, out: &Out) -> Result<Exit, Stop> {
    let Reading { value, view, look } = read(source, name, out)?;
    out.answer(&value, || page::render(&view, &look));
    Ok(exit_of(view.explanation.status))
}

/// Rolled back is "the evidence says no"; everything else is a state like any other.
fn exit_of(status: Status) -> Exit {
    if status == Status::RolledBack { Exit::No } else { Exit::Ok }
}

fn history(source: &Source, name: &str, out: &Out) -> Result<Exit, Stop> {
    let path = format!("/api/rollouts/{}/history", percent(name));
    let value = source.read(&path, |database| operations::rollouts::history(database, name));
    let value = value.map_err(|stop| source.with_rollouts(stop, name))?;
    let rows: Vec<TransitionRow> = serde_json::from_value(value.clone()).context("could not read the answer")?;
    out.answer(&value, || history::render(&rows, &page::crossfade(out.config())));
    Ok(Exit::Ok)
}
/// The name of whoever types: not the word that a printed command has in its place.
fn own_name(text: &str) -> Result<String, String> {
    if text == "NAME" {
        return Err("it stands in the printed command for your own name, which goes on record".to_owned());
    }
    Ok(text.to_owned())
}
