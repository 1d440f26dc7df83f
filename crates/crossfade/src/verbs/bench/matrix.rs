//! `crossfade bench matrix`: one load over servers that are started with different settings, one after the other.

mod server;
mod shown;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bench::cell::{Cell, CellState};
use bench::engine::Engine;
use bench::matrix::merge;
use bench::result::BenchResult;
use bench::slo::Verdict;
use clap::{Args as _, FromArgMatches};
use providers::Shared;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::Database;
use wire::record::Lane;

use super::flags::Flags;
use super::load;
use super::run::{Keep, heed};
use super::subject::Subjects;
use super::{cases, tokens};
use crate::config::{CellPlan, LoadFlags, Matrix, fill_in, matrix};
use crate::out::{Exit, Out, Stop};
use crate::verbs::eval::draw;
use crate::verbs::ledger::Collected;
use crate::verbs::time::now_us;
use crate::verbs::{Place, dataset};

use server::{NoAnswer, Server};

/// Flags of `bench run` that say nothing of one server.
const NOT_OF_A_CELL: [&str; 3] = ["help", "interleave", "block"];
/// Flags that name files beside the matrix.
const PATHS: [&str; 3] = ["file", "trace", "tokenizer"];

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file: `url`, `start`, `settings`, `load`, and more; docs/reference/bench.md shows one.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Measure cells again that have a result already.
    #[arg(long)]
    again: bool,
    /// Only cells whose settings are like this: `slots=4`; given again, all of them.
    #[arg(long = "only", value_name = "SETTING=VALUE")]
    only: Vec<String>,
    /// Start nothing and send nothing: list the cells, their commands, and which have a result.
    #[arg(long, conflicts_with = "report")]
    list: bool,
    /// Start nothing and send nothing: compare the cells that have a result.
    #[arg(long)]
    report: bool,
    /// Keep what servers write in this directory, a file for each cell.
    #[arg(long, value_name = "DIRECTORY")]
    logs: Option<PathBuf>,
    #[command(flatten)]
    keep: Keep,
}

/// One cell on its way.
struct Planned {
    plan: CellPlan,
    /// What decides whether a result is of this very cell: commands, place, model and load.
    identity: String,
    done: Option<BenchResult>,
}

/// Runs it.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let path = &args.file;
    let text = std::fs::read_to_string(path)
        .map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))?;
    let flags = LoadFlags { known: known(), paths: &PATHS, check: &|arguments| flags_of(arguments).map(|_| ()) };
    let file = matrix(&path.display().to_string(), &text, &flags).map_err(Stop::config)?;
    let stem = path.file_stem().map_or("matrix".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let name = args.keep.name.clone().or_else(|| file.name.clone()).unwrap_or(stem);
    let mut head = args.keep.head("matrix", &[])?;
    head.name.clone_from(&name);
    head.metadata.extend(file.metadata.clone());
    let database = place.config.exists().then(|| dataset::writable(place)).transpose()?;
    let mut planned: Vec<Planned> =
        file.cells.iter().map(|cell| planned(cell, &name, database.as_ref())).collect::<Result<_, _>>()?;
    only(&mut planned, &args.only)?;
    head.plan = json!({ "file": path.display().to_string(), "cells": planned.len(), "load": planned[0].plan.load });
    let mut loads: Vec<&[String]> = planned.iter().map(|cell| &*cell.plan.load).collect();
    loads.dedup();
    for load in loads {
        // What cannot be sent is said before anything is started.
        let flags = flags_of(load).map_err(|(_, why)| Stop::usage(why))?;
        let (plan, _) = load::plan(place, &flags)?;
        load::maker(place, &flags, &plan)?;
    }
    if args.list {
        out.answer(&shown::list_facts(&planned), || shown::list(&planned));
        return Ok(Exit::Ok);
    }
    let runner = Runner {
        place,
        args,
        out,
        file: &file,
        name: &name,
        database,
        stop: heed()?,
        ledger: Arc::new(Collected::default()),
    };
    let cells = runner.all(planned)?;
    runner.ledger.note(place, out);
    merge(&mut head, cells);
    head.ended_us = now_us();
    runner.finish(head)
}

fn known() -> Vec<String> {
    let command = Flags::augment_args(clap::Command::default());
    let names = command.get_arguments().filter_map(|argument| argument.get_long());
    names.filter(|name| !NOT_OF_A_CELL.contains(name)).map(|name| name.replace('-', "_")).collect()
}

/// The load that flags say; else the key that is wrong, where that is known, and why.
fn flags_of(arguments: &[String]) -> Result<Flags, (Option<String>, String)> {
    let command = Flags::augment_args(clap::Command::default().no_binary_name(true).disable_help_flag(true));
    let found = command.try_get_matches_from(arguments).and_then(|matches| Flags::from_arg_matches(&matches));
    found.map_err(|error| {
        let key = match error.get(clap::error::ContextKind::InvalidArg) {
            Some(clap::error::ContextValue::String(text)) => {
                let name = text.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
                Some(name.replace('-', "_"))
            }
            _ => None,
        };
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        (key, first.trim_start_matches("error: ").to_owned())
    })
}

/// A cell with the newest result of it that is evidence.
fn planned(plan: &CellPlan, name: &str, database: Option<&Database>) -> Result<Planned, Stop> {
    let said = json!([plan.start, plan.stop, plan.url, plan.model, plan.load]).to_string();
    let identity: String = Sha256::digest(said).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let base = format!("{name}/{}", plan.label);
    let is_of = |found: &str| found == base || found.strip_prefix(&base).is_some_and(|rest| rest.starts_with('~'));
    let mut done = None;
    for row in database.map(Database::benches).transpose().map_err(Stop::failed)?.unwrap_or_default() {
        if done.is_none() && is_of(&row.name) {
            let result = BenchResult::parse(&row.result_json).map_err(Stop::failed)?;
            done = Some(result).filter(|result| result.is_evidence() && result.plan["matrix"]["identity"] == *identity);
        }
    }
    Ok(Planned { plan: plan.clone(), identity, done })
}

/// Leaves the cells that have all these settings.
fn only(planned: &mut Vec<Planned>, wanted: &[String]) -> Result<(), Stop> {
    for one in wanted {
        let (name, value) = one.split_once('=').ok_or_else(|| {
            Stop::usage(format!("`--only {one}` is no setting")).hint("write it like `--only slots=4`")
        })?;
        let known: Vec<String> = planned.iter().map(|cell| cell.plan.label.clone()).collect();
        planned.retain(|cell| cell.plan.settings.iter().any(|setting| setting.0 == name && setting.1 == value));
        if planned.is_empty() {
            let stop = Stop::usage(format!("no cell has `{one}`"));
            return Err(stop.hint(format!("there are: {}", known.join("; "))));
        }
    }
    Ok(())
}

struct Runner<'r> {
    place: &'r Place,
    args: &'r Args,
    out: &'r Out,
    file: &'r Matrix,
    name: &'r str,
    database: Option<Database>,
    stop: Arc<AtomicBool>,
    ledger: Arc<Collected>,
}

impl Runner<'_> {
    /// Every cell in turn. What was measured before is taken as it is.
    fn all(&self, planned: Vec<Planned>) -> Result<Vec<(Cell, Option<BenchResult>)>, Stop> {
        let (n, mut cells) = (planned.len(), Vec::new());
        for (idx, one) in planned.into_iter().enumerate() {
            let settings: BTreeMap<String, String> = one.plan.settings.iter().cloned().collect();
            let label = one.plan.label.clone();
            let bare = Cell { label: label.clone(), settings: settings.clone(), ..Cell::default() };
            let words = format!("cell {} of {n}: {label}", idx + 1);
            if let Some(result) = one.done.clone().filter(|_| !self.args.again) {
                self.out.say(format_args!("{words}: measured already, as {}", result.name));
                cells.push((bench::matrix::cell(&label, &settings, &result), Some(result)));
            } else if self.args.report || self.stop.load(Ordering::Relaxed) {
                cells.push((bare, None));
            } else {
                self.out.say(format_args!("{words}"));
                match self.one(idx, &one)? {
                    Ok(result) => {
                        self.kept(&result)?;
                        cells.push((bench::matrix::cell(&label, &settings, &result), Some(result)));
                    }
                    Err(NoAnswer::Stopped) => cells.push((bare, None)),
                    Err(NoAnswer::Failed(why)) => {
                        self.out.say(format_args!("{label} failed: {why}"));
                        cells.push((
                            Cell { state: CellState::Failed, failure: Some(why), at_us: now_us(), ..bare },
                            None,
                        ));
                    }
                }
            }
        }
        Ok(cells)
    }

    /// Starts a cell's server, sends the load, and stops it.
    fn one(&self, idx: usize, planned: &Planned) -> Result<Result<BenchResult, NoAnswer>, Stop> {
        let cell = filled(&planned.plan)?;
        let shared = Shared::new().watched(Arc::clone(&self.ledger) as _, Lane::Evaluation);
        let subjects = Subjects {
            targets: Vec::new(),
            url: Some(cell.url.clone()),
            model: cell.model.clone(),
            key_from: self.file.key_from.clone(),
        };
        let (mut target, mut facts) = subjects.resolve(self.place, &shared)?.remove(0);
        target.name.clone_from(&cell.label);
        facts.name.clone_from(&cell.label);
        // What was checked when the file was read is right.
        let flags = flags_of(&with_seed(&cell.load, self.name)).map_err(|(_, why)| Stop::usage(why))?;
        let (plan, from) = load::plan(self.place, &flags)?;
        let mut targets = vec![target];
        cases::may_leave(self.place, flags.dataset.as_ref(), &targets)?;
        let mut engine = Engine {
            targets: targets.clone(),
            maker: load::maker(self.place, &flags, &plan)?,
            n_workers: load::workers(flags.workers, 1),
            stop: Arc::clone(&self.stop),
        };
        let mut result = self.args.keep.head(if flags.search.is_some() { "search" } else { "load" }, &[facts])?;
        result.name = self.free(&format!("{}/{}", self.name, cell.label))?;
        result.metadata.extend(self.file.metadata.clone());
        result.metadata.extend(cell.settings.iter().cloned());
        result.plan = load::facts_of(&flags, &plan, (from, load::workers(flags.workers, 1)));
        let log = self.log(idx)?;
        let mut server = match &cell.start {
            Some(_) if engine.targets[0].is_healthy() => {
                let why = format!("something answers at {} before the server was started; stop it first", cell.url);
                return Ok(Err(NoAnswer::Failed(why)));
            }
            Some(command) => Some(Server::start(command, &log, cell.stop.is_some()).map_err(Stop::failed)?),
            None => None,
        };
        draw(&format!("{}: waiting for the server", cell.label));
        let ready = match &mut server {
            Some(server) => server.ready(&engine, self.file.ready_within).map(Some),
            None if server::answers(&engine) => Ok(None),
            None => Err(NoAnswer::Failed(format!("no server answers at {}, and there is no `start`", cell.url))),
        };
        let ready_ms = ready.as_ref().ok().copied().flatten().map(|time| time.as_secs_f64() * 1e3);
        result.plan["matrix"] = json!({
            "name": self.name, "identity": planned.identity, "start": cell.start, "stop": cell.stop, "ready_ms": ready_ms,
        });
        let mut outcome = ready.map(|_| ());
        if outcome.is_ok() {
            tokens::find(&mut targets, &shared, flags.tokenizer.as_deref())?;
            engine.targets = targets;
            bench::run::run(&engine, &plan, &mut result, &super::run::shown);
            outcome = judged(&result, server.as_mut());
        }
        draw("");
        result.ended_us = now_us();
        if let Some(server) = server {
            let stopped = server.stop(cell.stop.as_deref(), (&engine.targets[0], self.file.stop_within));
            if let Err(why) = stopped {
                self.out.say(format_args!("{}: {why}", cell.label));
                result.why.push(why);
            }
        }
        if self.args.logs.is_none() {
            std::fs::remove_file(&log).ok();
        }
        for level in &result.levels {
            self.out.say(format_args!("  {}", bench::run::line(level)));
        }
        Ok(outcome.map(|()| result))
    }

    fn kept(&self, result: &BenchResult) -> Result<(), Stop> {
        if let Some(database) = &self.database {
            result.keep(database, &self.args.keep.by).map_err(Stop::failed)?;
        }
        Ok(())
    }

    /// A name that no result has yet: the base, else the base with a number.
    fn free(&self, base: &str) -> Result<String, Stop> {
        let Some(database) = &self.database else { return Ok(base.to_owned()) };
        let mut name = base.to_owned();
        let mut n = 1;
        while database.bench(&name).map_err(Stop::failed)?.is_some() {
            n += 1;
            name = format!("{base}~{n}");
        }
        Ok(name)
    }

    /// Where a cell's server writes.
    fn log(&self, idx: usize) -> Result<PathBuf, Stop> {
        let Some(directory) = &self.args.logs else {
            return Ok(std::env::temp_dir().join(format!("crossfade-bench-{}-{idx}.log", std::process::id())));
        };
        std::fs::create_dir_all(directory)
            .map_err(|error| Stop::failed(anyhow::anyhow!("cannot make {}: {error}", directory.display())))?;
        Ok(directory.join(format!("cell-{}.log", idx + 1)))
    }

    /// Keeps the comparison where something was measured and nothing is left to do, and says it.
    fn finish(&self, mut head: BenchResult) -> Result<Exit, Stop> {
        let is_whole = !head.partial && !self.args.report;
        if self.database.is_some() && is_whole {
            head.name = self.free(self.name)?;
            self.kept(&head)?;
            self.out.say(format_args!("kept as {0}; `crossfade bench show {0}` shows it again", head.name));
        } else if self.database.is_none() {
            let words = "the results are kept in no store, and what is stopped cannot be gone on with";
            self.out.say(format_args!("there is no {}: {words}", self.place.config.display()));
        } else if head.partial && !self.args.report {
            self.out.say(format_args!("cells are left: the same command goes on with them"));
        }
        if let Some(path) = &self.args.keep.output {
            super::show::write(path, &head)?;
            self.out.say(format_args!("written to {}", path.display()));
        }
        self.out.answer(&head, || super::show::text(&head, self.args.keep.explain));
        Ok(exit(&head))
    }
}

/// Why what was measured is no result of a cell.
fn judged(result: &BenchResult, server: Option<&mut Server>) -> Result<(), NoAnswer> {
    if result.partial {
        return Err(NoAnswer::Stopped);
    }
    let ended = server.and_then(|server| Some((server.ended()?, server)));
    if let Some((status, server)) = ended {
        return Err(NoAnswer::Failed(server.words(&format!("the server ended ({status}) under the load"))));
    }
    if result.levels.iter().all(|level| level.n_good == 0) {
        let errors: std::collections::BTreeSet<&str> =
            result.levels.iter().flat_map(|level| level.errors.keys().map(String::as_str)).collect();
        let errors = errors.into_iter().collect::<Vec<_>>().join(", ");
        return Err(NoAnswer::Failed(format!("no request had a whole answer: {errors}")));
    }
    Ok(())
}

/// The same arrivals and prompts for every cell, where the file says no seed.
fn with_seed(load: &[String], name: &str) -> Vec<String> {
    let said = load.iter().any(|flag| flag.starts_with("--seed"));
    let seed = Sha256::digest(name).iter().take(4).fold(0_u32, |seed, byte| seed << 8 | u32::from(*byte));
    load.iter().cloned().chain((!said).then(|| format!("--seed={seed}"))).collect()
}

/// A cell with its port.
fn filled(plan: &CellPlan) -> Result<CellPlan, Stop> {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map_err(Stop::failed)?
        .port()
        .to_string();
    // Every other name was filled in when the file was read; what is left in braces is text.
    let of = |text: &String| {
        fill_in(text, |name| Some(if name == "port" { port.clone() } else { format!("{{{name}}}") }))
            .unwrap_or_else(|_| text.clone())
    };
    Ok(CellPlan {
        start: plan.start.as_ref().map(of),
        stop: plan.stop.as_ref().map(of),
        url: of(&plan.url),
        model: of(&plan.model),
        ..plan.clone()
    })
}

/// The exit code of a matrix: what cannot be measured is an error, what nobody came to is not enough.
fn exit(head: &BenchResult) -> Exit {
    if head.partial {
        return Exit::Undecided;
    }
    if head.cells.iter().any(|cell| cell.state == CellState::Failed) {
        return Exit::Failed;
    }
    match head.slo_verdict() {
        _ if head.cells.iter().any(|cell| !cell.is_valid) => Exit::Undecided,
        Some(Verdict::Fail) => Exit::No,
        Some(Verdict::Undecided) => Exit::Undecided,
        Some(Verdict::Pass) | None => Exit::Ok,
    }
}
