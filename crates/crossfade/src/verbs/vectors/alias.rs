//! A name of Qdrant that applications ask, and that stands for one collection and then for another.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use vectors::parity::Verdict;
use vectors::stores::{Address, Alias, Shown};

use super::moves::By;
use super::{address, shadow, stop_of, switch};
use crate::out::{Exit, Out, Stop};

/// How a name is turned.
pub(super) struct Turn<'a> {
    /// The collection that it is to stand for.
    pub(super) to: Option<&'a str>,
    /// What a comparison printed.
    pub(super) evidence: Option<&'a Path>,
    /// Though nothing carries it.
    pub(super) is_forced: bool,
}

/// Whether what was typed is an address, and not an index of the config.
pub(super) fn is_one(index: &str) -> bool {
    index.contains(':')
}

/// Has a name stand for another collection.
pub(super) fn switch(written: &str, turn: &Turn<'_>, by: &By, out: &Out) -> Result<Exit, Stop> {
    let (here, alias) = named(written)?;
    let to = turn.to.ok_or_else(|| {
        Stop::usage(format_args!("--to COLLECTION says which collection `{}` is to stand for", alias.name()))
    })?;
    let there = alias.beside(to).map_err(|why| Stop::usage(format_args!("--to: {why}")))?;
    let from = alias.stands_for().map_err(stop_of)?;
    if from.as_deref() == Some(to) {
        return Err(Stop::usage(format_args!("`{}` stands for {to} already", alias.name())));
    }
    let shown = alias.shown(to).map_err(stop_of)?;
    let evidence = match &from {
        None => json!({}),
        Some(from) => carried(&alias, turn, (&here, from), (&there, &shown))?,
    };
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut known = Map::new();
    known.insert("actor".to_owned(), Value::from(by.actor.as_str()));
    known.insert("reason".to_owned(), Value::from(by.reason.as_deref()));
    known.insert("at_ms".to_owned(), Value::from(u64::try_from(at_ms).unwrap_or(u64::MAX)));
    known.insert("evidence".to_owned(), evidence);
    let began = Instant::now();
    alias.turn(from.as_deref(), to, known).map_err(stop_of)?;
    said(&alias, from.as_deref(), to, began, out);
    if from.is_some() {
        out.say(format_args!("`crossfade vectors rollback {here}` goes back"));
    }
    Ok(Exit::Ok)
}

/// Has it stand for what it stood for before.
pub(super) fn rollback(written: &str, out: &Out) -> Result<Exit, Stop> {
    let (here, alias) = named(written)?;
    let Some(from) = alias.stands_for().map_err(stop_of)? else {
        return Err(Stop::usage(format_args!("there is no name `{}` on that server", alias.name())));
    };
    let Some(to) = alias.before(&from).map_err(stop_of)? else {
        let stop = Stop::failed(anyhow::anyhow!("{from} does not say what `{}` stood for before", alias.name()));
        return Err(stop.hint(format!("`crossfade vectors switch {here} --to COLLECTION` names the collection")));
    };
    // What is gone cannot be gone back to.
    alias.shown(&to).map_err(stop_of)?;
    let began = Instant::now();
    alias.back(&from, &to).map_err(stop_of)?;
    said(&alias, Some(&from), &to, began, out);
    Ok(Exit::Ok)
}

/// The address, and the name in it.
fn named(written: &str) -> Result<(Address, Alias), Stop> {
    let here = address(written)?;
    let alias = here.alias().ok_or_else(|| {
        Stop::usage(format_args!(
            "{here} has no name that could stand for another collection: that is done with qdrant:HOST:PORT#NAME, or with an index of the config"
        ))
    })?;
    Ok((here, alias))
}

/// The evidence that carries a switch, or why there is none.
fn carried(
    alias: &Alias,
    turn: &Turn<'_>,
    (here, from): (&Address, &str),
    (there, shown): (&Address, &Shown),
) -> Result<Value, Stop> {
    let before = alias.beside(from).map_err(Stop::usage)?;
    let (verdict, why, evidence) = match turn.evidence {
        Some(file) => switch::compared(file, &[&before, here], there)?,
        None => {
            let why = format!("nothing says that as much is found in {there} as in {before}");
            (Verdict::Undecided, why, json!({}))
        }
    };
    if turn.is_forced {
        return Ok(evidence);
    }
    let refused = |why: String, exit: Exit, hint: String| {
        let stop = Stop::failed(anyhow::anyhow!("`{}` is not switched: {why}", alias.name()));
        Err(stop.exit(exit).hint(format!("{hint}; `--force --reason TEXT` does without")))
    };
    let old = alias.shown(from).map_err(stop_of)?;
    if let Some(why) = differs(&old, shown) {
        return refused(
            why,
            Exit::No,
            "applications that ask by this name have to change at the same moment".to_owned(),
        );
    }
    if old.n_rows != shown.n_rows {
        return refused(
            format!("{from} has {} rows and the new collection {}", old.n_rows, shown.n_rows),
            Exit::No,
            format!("`crossfade vectors verify {before} {there}` names what differs"),
        );
    }
    if verdict != Verdict::Pass {
        return refused(
            why,
            shadow::exit(verdict),
            format!(
                "compare with `crossfade vectors eval {before} {there} --format json` and give what it prints to `--evidence`"
            ),
        );
    }
    Ok(evidence)
}

/// What an application that goes on asking as before would stumble over.
fn differs(old: &Shown, new: &Shown) -> Option<String> {
    if old.is_nameless != new.is_nameless {
        let (without, with) = if old.is_nameless { ("before", "after") } else { ("after", "before") };
        return Some(format!(
            "its vector has no name {without} the switch and has one {with} it, which queries say as `using`"
        ));
    }
    old.schema.dense.iter().find_map(|(name, shape)| match new.schema.dense.get(name) {
        None => Some(format!("the new collection has no vector `{name}`")),
        Some(other) if other.dims != shape.dims => {
            Some(format!("`{name}` has {} numbers there and {} before: they are of two models", other.dims, shape.dims))
        }
        Some(other) if other.metric != shape.metric => {
            Some(format!("`{name}` is compared by {:?} there and by {:?} before", other.metric, shape.metric))
        }
        Some(_) => None,
    })
}

fn said(alias: &Alias, from: Option<&str>, to: &str, began: Instant, out: &Out) {
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let facts = json!({ "alias": alias.name(), "from": from, "to": to, "took_ms": took_ms });
    out.answer(&facts, || format!("{} stands for {to} now, {took_ms} ms after it was asked for\n", alias.name()));
}
