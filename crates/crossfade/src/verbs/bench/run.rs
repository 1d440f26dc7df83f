//! `crossfade bench run`: plans it, runs it, keeps what it came to.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use bench::engine::Engine;
use bench::engine::turns::Turns;
use bench::plan::Plan;
use bench::result::{BenchResult, Load, TargetFacts};
use bench::run::{Progress, Told};
use bench::sample::Sample;
use providers::Shared;
use signal_hook::consts::{SIGINT, SIGTERM};
use wire::record::Lane;

use super::flags::{Flags, KEPT, SEVERAL};
use super::load;
use super::resume;
use super::subject::{self, Subjects};
use super::{cases, show, tokens};
use crate::out::{Exit, Out, Stop};
use crate::verbs::eval::{draw, rough};
use crate::verbs::ledger::Collected;
use crate::verbs::time::{now_us, us_to_text};
use crate::verbs::{Place, dataset};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    flags: Flags,
    /// This target is the first one's server through a gateway: what is asked through it longer is the gateway's part of the time.
    #[arg(long, value_name = "TARGET", requires = "targets", help_heading = SEVERAL)]
    through_gateway: Option<String>,
    /// Write every request that counts to this file, a JSON object a line; the server reads its `id` as `x-request-id`.
    #[arg(long, value_name = "FILE", help_heading = KEPT)]
    samples: Option<PathBuf>,
    /// Go on with the run of this name that was killed, or with the newest of just this load: levels, or probes of a search, that it has are not measured
    /// again. Begins one where there is none. Only where nobody else runs it still.
    #[arg(long, help_heading = KEPT)]
    resume: bool,
    #[command(flatten)]
    pub(super) keep: Keep,
}

/// How a result is kept.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = KEPT)]
pub(super) struct Keep {
    /// What it is called in the store; its kind and moment when it is not said.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Write it to this file too: .json, .csv or .html.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Say what each figure is, by its id.
    #[arg(long)]
    pub(super) explain: bool,
    /// Something to remember of the server: `quantisation=awq`, `gpu=H100`, `flags=…`; given once for each.
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) metadata: Vec<(String, String)>,
    /// Where it is measured from, such as `eu-west`.
    #[arg(long, value_name = "PLACE")]
    pub(super) location: Option<String>,
    /// Who runs it.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    pub(super) by: String,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let both = text.split_once('=').filter(|(name, _)| !name.is_empty());
    both.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "expected NAME=VALUE".to_owned())
}

/// Runs it.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let ledger = Arc::new(Collected::default());
    let shared = Shared::new().watched(Arc::clone(&ledger) as _, Lane::Evaluation);
    let found = args.subjects.resolve(place, &shared)?;
    let mut flags = args.flags.clone();
    if let Some(through) = &args.through_gateway {
        subject::is_beside(through, &found)?;
    }
    let (mut targets, facts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let earlier = if args.resume { earlier(place, args, &facts)? } else { None };
    flags.seed = flags.seed.or(earlier.as_ref().and_then(resume::seed));
    let (flags, (plan, from)) = (&flags, load::plan(place, &flags)?);
    cases::may_leave(place, flags.dataset.as_ref(), &targets)?;
    let mut result = args.keep.head(kind(flags), &facts)?;
    let n_workers = load::workers(flags.workers, n_at_once(&plan, targets.len()));
    if let Some(words) = from.left_out() {
        out.say(format_args!("warning: {words}"));
        result.why.push(words);
    }
    if let Some(words) = from.recorded_peak(&plan) {
        out.say(words);
    }
    result.plan = load::facts_of(flags, &plan, (from, n_workers));
    let (is_going_on, is_search) = (earlier.is_some(), flags.search.is_some());
    match earlier {
        Some(found) => {
            out.say(resume::words(&found, (!is_search).then_some(plan.loads.len())));
            result = BenchResult { crossfade: result.crossfade, ..found };
            result.go_on(&us_to_text(now_us()));
        }
        None => args.keep.is_free(place, &result)?,
    }
    tokens::find(&mut targets, &shared, flags.tokenizer.as_deref())?;
    if let Some(few) = plan.too_few_blocks(targets.len()) {
        out.say(format_args!("warning: {few}"));
    }
    let engine = Engine { targets, maker: load::maker(place, flags, &plan)?, n_workers, stop: heed()? };
    let measured: Option<Vec<Load>> = is_going_on.then(|| result.levels.iter().map(|level| level.load).collect());
    let lines = args.samples.as_deref().map(|path| Lines::to(path, measured.as_deref())).transpose()?;
    let take = |load: Load, names: &[&str], samples: &[Sample]| {
        if let Some(lines) = &lines {
            lines.take(load, names, samples);
        }
    };
    let database = place.config.exists().then(|| dataset::writable(place)).transpose()?;
    let so_far = |result: &BenchResult| {
        // What cannot be kept now is tried again with the next level, and told at the end.
        if let Some(database) = &database {
            result.keep_so_far(database, &args.keep.by).ok();
        }
    };
    let search = |words: &str| {
        draw("");
        out.say(words);
    };
    let told = Told { show: &told(out, is_search), take: &take, so_far: &so_far, search: &search };
    bench::run::run_with(&engine, &plan, &mut result, &told);
    drop(database);
    draw("");
    if let Some(lines) = lines {
        lines.end()?;
    }
    if let Some(through) = &args.through_gateway {
        result.gateway_part(through);
    }
    result.ended_us = now_us();
    ledger.note(place, out);
    args.keep.finish(place, result, out)
}

/// What a run is called.
fn kind(flags: &Flags) -> &'static str {
    if flags.search.is_some() { "search" } else { "load" }
}

/// Requests that are due at the same moment.
fn n_at_once(plan: &Plan, n_targets: usize) -> usize {
    if plan.turns == Turns::Each { n_targets } else { 1 }
}

/// The run of just this load that was cut off.
fn earlier(place: &Place, args: &Args, facts: &[TargetFacts]) -> Result<Option<BenchResult>, Stop> {
    let flags = &args.flags;
    let (plan, from) = load::plan(place, flags)?;
    let mut head = args.keep.head(kind(flags), facts)?;
    head.plan = load::facts_of(flags, &plan, (from, load::workers(flags.workers, n_at_once(&plan, facts.len()))));
    let (is_named, is_seeded) = (args.keep.name.is_some(), flags.seed.is_some());
    resume::earlier(place, &resume::Asked { head: &head, slo: plan.slo, is_named, is_seeded })
}

/// The file with a line for each request.
struct Lines {
    path: PathBuf,
    file: RefCell<std::io::Result<BufWriter<File>>>,
}

impl Lines {
    /// Begins the file anew. Of a run that goes on, what is there of levels that are measured stays.
    fn to(path: &Path, measured: Option<&[Load]>) -> Result<Lines, Stop> {
        let cannot = |error| Stop::usage(format!("cannot write {}: {error}", path.display()));
        let before = measured.and_then(|_| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let words: Vec<String> = measured.unwrap_or_default().iter().map(|load| load.words()).collect();
        let is_measured = |line: &&str| {
            serde_json::from_str::<serde_json::Value>(line)
                .is_ok_and(|line| words.iter().any(|load| line["load"] == **load))
        };
        let mut file = BufWriter::new(File::create(path).map_err(cannot)?);
        for line in before.lines().filter(is_measured) {
            writeln!(file, "{line}").map_err(cannot)?;
        }
        Ok(Lines { path: path.to_owned(), file: RefCell::new(Ok(file)) })
    }

    /// Writes as long as it can; the first failure is told at the end, so that no run is lost for it.
    fn take(&self, load: Load, names: &[&str], samples: &[Sample]) {
        let words = load.words();
        for sample in samples {
            let line = sample.line(names.get(sample.target).unwrap_or(&""), &words);
            let mut file = self.file.borrow_mut();
            if let Ok(open) = &mut *file
                && let Err(error) = writeln!(open, "{line}")
            {
                *file = Err(error);
            }
        }
        // A level that is kept has its lines in the file.
        let mut file = self.file.borrow_mut();
        if let Ok(open) = &mut *file
            && let Err(error) = open.flush()
        {
            *file = Err(error);
        }
    }

    fn end(self) -> Result<(), Stop> {
        let flushed = self.file.into_inner().and_then(|mut file| file.flush());
        flushed.with_context(|| format!("cannot write {}", self.path.display())).map_err(Stop::failed)
    }
}

/// A flag that the usual signals to stop set.
pub(super) fn heed() -> Result<Arc<AtomicBool>, Stop> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("could not listen for signals")?;
    }
    Ok(stop)
}

/// Shows how far a run is: on a line that is drawn anew for eyes, and a line for each load for logs; a search says its own.
fn told(out: &Out, is_search: bool) -> impl Fn(Progress) {
    let (last, said) = (Cell::new(None), Cell::new(0));
    move |progress| {
        if !std::io::stderr().is_terminal() {
            // Every quarter of a minute a line, so that a log shows that it goes on.
            let quarter = progress.live.at.as_secs() / 15;
            if quarter > said.replace(quarter) {
                out.say(words(&progress));
            }
        }
        if !is_search && !std::io::stderr().is_terminal() && last.replace(Some(progress.load)) != Some(progress.load) {
            out.say(format_args!("{}: for about {}", progress.load.words(), rough(progress.of)));
        }
        shown(progress);
    }
}

/// Shows how far a run is, where somebody watches.
pub(super) fn shown(progress: Progress) {
    draw(&words(&progress));
}

fn words(progress: &Progress) -> String {
    let bench::engine::Live { at, n_begun, n_ended, n_failed } = progress.live;
    let left = rough(progress.of.saturating_sub(at));
    let active = n_begun.saturating_sub(n_ended);
    let words = progress.load.words();
    format!("{words}: {n_begun} begun, {active} under way, {n_failed} failed, {left} left")
}

impl Keep {
    /// A result of now, with what the operator says of it.
    pub(super) fn head(&self, kind: &str, facts: &[bench::result::TargetFacts]) -> Result<BenchResult, Stop> {
        let at_us = now_us();
        let usual = || format!("{kind}-{}", at_us / 1_000_000);
        let mut result = BenchResult::new(&self.name.clone().unwrap_or_else(usual), kind, at_us);
        result.targets = facts.to_vec();
        result.simulated = facts.iter().any(|target| target.simulated);
        result.location.clone_from(&self.location);
        result.metadata = self.metadata.iter().cloned().collect::<BTreeMap<_, _>>();
        if let Some(path) = &self.output {
            show::form_of(path)?;
            let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
            if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
                let stop = Stop::usage(format!("{} is no directory", directory.display()));
                return Err(stop.hint(format!("{} is to be written there when the run is over", path.display())));
            }
        }
        Ok(result)
    }

    /// Whether the name is free in the store: a run whose result cannot be kept is not begun.
    pub(super) fn is_free(&self, place: &Place, result: &BenchResult) -> Result<(), Stop> {
        if !place.config.exists() {
            return Ok(());
        }
        let database = dataset::writable(place)?;
        // A name that nobody said gets a number where it is taken.
        if self.name.is_some() && database.bench(&result.name).map_err(Stop::failed)?.is_some() {
            let stop = Stop::usage(format!("there is a result `{}` already", result.name));
            return Err(stop
                .hint("`--name NAME` gives this one a name of its own; `--resume` goes on with one that was killed"));
        }
        Ok(())
    }

    /// Keeps a result, writes it where it was asked for, and says what it came to. Where it cannot be kept or written it is shown all the same: nobody
    /// measures it again.
    pub(super) fn finish(&self, place: &Place, mut result: BenchResult, out: &Out) -> Result<Exit, Stop> {
        let kept = if place.config.exists() { Some(self.keep(place, &mut result)) } else { None };
        let written = self.output.as_ref().map(|path| show::write(path, &result));
        out.answer(&result, || show::text(&result, self.explain));
        let mut failed = Vec::new();
        match kept {
            Some(Ok(())) => {
                out.say(format_args!("kept as {0}; `crossfade bench show {0}` shows it again", result.name));
            }
            Some(Err(stop)) => failed.push(stop),
            None => out.say(format_args!("there is no {}: the result is kept in no store", place.config.display())),
        }
        match (written, &self.output) {
            (Some(Ok(())), Some(path)) => out.say(format_args!("written to {}", path.display())),
            (Some(Err(stop)), _) => failed.push(stop),
            _ => {}
        }
        // The answer is on stdout already: these are words beside it.
        failed.iter().for_each(|stop| out.say(format_args!("error: {}", stop.full_text())));
        Ok(if failed.is_empty() { show::exit(&result) } else { Exit::Failed })
    }

    /// Keeps it, under another name where somebody took its own meanwhile.
    fn keep(&self, place: &Place, result: &mut BenchResult) -> Result<(), Stop> {
        let (database, name) = (dataset::writable(place)?, result.name.clone());
        let mut number = 1;
        while !result.keep(&database, &self.by).map_err(Stop::failed)? {
            number += 1;
            result.name = format!("{name}-{number}");
        }
        Ok(())
    }
}
