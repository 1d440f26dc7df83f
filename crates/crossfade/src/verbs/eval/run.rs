//! `crossfade eval run`: the run itself.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use eval::compare::{Comparison, Verdict};
use eval::encode::{self, Encoder};
use eval::entail;
use eval::judge::questions::{self, run_name, subjects};
use eval::results::Results;
use eval::run::{Ended, Job, Plan, PlannedTarget, RunError, Scorer, work};
use operations::evaluations::SEED;
use providers::Shared;
use store::{Database, Lease};
use wire::record::Lane;

use super::encoder::Model;
use super::plan::{Planned, plan};
use super::progress::Shown;
use super::{asker, bench, exit, facts, summarised, words};
use crate::config::{Config, nanodollars};
use crate::load;
use crate::out::{Exit, Out, Stop};
use crate::verbs::ledger::Collected;
use crate::verbs::time::now_us;
use crate::verbs::{Place, dataset};

/// Workers that one store takes at a time.
pub(super) const PLACES: usize = 64;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file that says what is asked, of whom, and what decides; what is typed goes before it.
    #[arg(value_name = "SUITE")]
    pub(super) suite: Option<PathBuf>,
    /// A dataset of the store.
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(super) dataset: Option<String>,
    /// A file of cases, which is kept first.
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Who is asked, the baseline first; given once for each.
    #[arg(long = "target", value_name = "NAME")]
    pub(super) targets: Vec<String>,
    /// What answers are measured by; given once for each.
    #[arg(long = "metric", value_name = "NAME")]
    pub(super) metrics: Vec<String>,
    /// The metric that decides; the first when it is not said.
    #[arg(long, value_name = "NAME")]
    pub(super) primary: Option<String>,
    /// By this much and more the candidate must not be worse, in the metric's own unit.
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    pub(super) margin: Option<f64>,
    /// The workload of the config whose risk says the margin.
    #[arg(long, value_name = "NAME")]
    pub(super) workload: Option<String>,
    /// How often each case is asked.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) repeats: Option<u64>,
    /// Sent with every request as `seed`, the repeat's number added.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Only the first so many cases.
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Calls under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// The most the run may cost, in dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub(super) max_cost: Option<u64>,
    /// What the run is called; the dataset's name and a mark of the plan when it is not said.
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Call again where an earlier run has the answer to the same request by the same target.
    #[arg(long)]
    pub(super) no_reuse: bool,
    /// The target that makes vectors of texts, for metrics that need them.
    #[arg(long, value_name = "TARGET")]
    pub(super) encoder: Option<String>,
    /// The target that says what documents entail, for metrics that need it.
    #[arg(long, value_name = "TARGET")]
    pub(super) entailment: Option<String>,
    /// Ask for streams, and measure the time to the first token and the gaps after it.
    #[arg(long)]
    pub(super) stream: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0, such as 0.05".to_owned())
}

fn dollars(text: &str) -> Result<u64, String> {
    nanodollars(text).ok_or_else(|| "expected an amount of dollars such as 2.50".to_owned())
}

/// Plans the run or finds it planned, works until it is whole, and compares.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let config = load::config(&place.config)?;
    let mut planned = plan(place, args, &config, out)?;
    let encoder = planned.encoder.take();
    if planned.max_cost_nanos.is_some() {
        priced(&config, &planned.plan)?;
    }
    bench::examine(&planned.plan, out)?;
    let name = args.run.clone().unwrap_or_else(|| format!("{}-{}", planned.plan.dataset, planned.plan.mark()));
    let database = dataset::writable(place)?;
    begin(&database, &name, &planned.plan, out)?;
    let cap = planned.max_cost_nanos;
    // Whoever has none of them asked does not read the run for it.
    let (has_encoder, has_entailment) = (planned.plan.encoder.is_some(), planned.plan.entailment.is_some());
    let has_judges = !planned.plan.judges.is_empty();
    let mut ended = worked(place, (&config, &name, args), planned, out)?;
    if ended == Ended::Whole && has_encoder {
        ended = encoded(place, &database, (&config, &name, args), (cap, encoder.as_ref(), out))?;
    }
    if ended == Ended::Whole && has_entailment {
        ended = entailed(place, &database, (&config, &name, args), (cap, out))?;
    }
    if ended == Ended::Whole && has_judges {
        ended = judged(place, &database, (&config, &name, args), (cap, out))?;
    }
    let results = Results::load_numbers(&database, &name).map_err(Stop::failed)?;
    let report = summarised(&results, SEED);
    out.answer(&facts(&report), || words::comparison(&report));
    if ended == Ended::CostCap {
        out.say("stopped before it costs more than it may; the same with a larger `--max-cost` goes on from here");
        return Ok(Exit::Undecided);
    }
    let exit = exit(&report);
    let is_short = |of: &Comparison| of.verdict == Verdict::Undecided && of.still_needed.is_some_and(|more| more > 0);
    if report.candidates.iter().any(|of| is_short(&of.primary)) {
        out.say(format_args!(
            "next: `crossfade dataset import FILE --name {}` with more cases, then the same command with another `--run`; `crossfade eval report {name} -o answers.html` shows every answer",
            results.plan.dataset
        ));
    }
    Ok(exit)
}

/// Has the texts of a whole run made into vectors, in a run of its own beside it.
fn encoded(
    place: &Place,
    database: &Database,
    (config, name, args): (&Config, &str, &Args),
    (cap, model, out): (Option<u64>, Option<&Model>, &Out),
) -> Result<Ended, Stop> {
    let results = Results::load(database, name).map_err(Stop::failed)?;
    let Some(encoder) = &results.plan.encoder else { return Ok(Ended::Whole) };
    let cases = encode::cases(&results);
    if cases.is_empty() {
        return Ok(Ended::Whole);
    }
    let (run, plan) = (encode::run_name(name), encode::plan(&results, encoder, &cases));
    begin(database, &run, &plan, out)?;
    match model {
        Some(model) => {
            model.work(place, &results, (run, plan, cases), out)?;
            Ok(Ended::Whole)
        }
        None => {
            let max_cost_nanos = cap.map(|cap| cap.saturating_sub(results.row.spent_nanos));
            worked(place, (config, &run, args), Planned { plan, cases, max_cost_nanos, encoder: None }, out)
        }
    }
}

/// Has the judges of a whole run judge it, one after the other. What they are asked is a run of its own, so that it is shared, resumed and taken over
/// like one; the cap is that of everything together.
fn judged(
    place: &Place,
    database: &Database,
    (config, name, args): (&Config, &str, &Args),
    (cap, out): (Option<u64>, &Out),
) -> Result<Ended, Stop> {
    let results = Results::load(database, name).map_err(Stop::failed)?;
    let mut spent = results.row.spent_nanos
        + spent_by(database, &encode::run_name(name))?
        + spent_by(database, &entail::run_name(name))?;
    for judge in &results.plan.judges {
        warn_of_own(&results, (&judge.name, &judge.target), out);
        let cases = questions::cases(&results, judge, &subjects(&results, judge));
        if cases.is_empty() {
            continue;
        }
        let run = run_name(name, &judge.name);
        let plan = questions::plan(&results, judge, &cases);
        begin(database, &run, &plan, out)?;
        let max_cost_nanos = cap.map(|cap| cap.saturating_sub(spent));
        let planned = Planned { plan, cases, max_cost_nanos, encoder: None };
        if worked(place, (config, &run, args), planned, out)? == Ended::CostCap {
            return Ok(Ended::CostCap);
        }
        spent += spent_by(database, &run)?;
    }
    Ok(Ended::Whole)
}

/// What a run has cost; nothing where there is none.
fn spent_by(database: &Database, run: &str) -> Result<u64, Stop> {
    Ok(database.eval_run(run).map_err(Stop::failed)?.map_or(0, |row| row.spent_nanos))
}

fn warn_of_own(results: &Results, (judge, target): (&str, &PlannedTarget), out: &Out) {
    if results.plan.targets.iter().any(|judged| judged.model == target.model) {
        out.say(format_args!(
            "the judge `{judge}` is the model of a target that it judges; models tend to prefer their own answers"
        ));
    }
}

/// Has what a whole run needs to know of entailment said, in a run of its own beside it.
fn entailed(
    place: &Place,
    database: &Database,
    (config, name, args): (&Config, &str, &Args),
    (cap, out): (Option<u64>, &Out),
) -> Result<Ended, Stop> {
    let results = Results::load(database, name).map_err(Stop::failed)?;
    let Some(entailer) = &results.plan.entailment else { return Ok(Ended::Whole) };
    warn_of_own(&results, (entail::NAME, &entailer.target), out);
    let cases = entail::cases(&results, entailer);
    if cases.is_empty() {
        return Ok(Ended::Whole);
    }
    let (run, plan) = (entail::run_name(name), entail::plan(&results, entailer, &cases));
    begin(database, &run, &plan, out)?;
    let spent = results.row.spent_nanos + spent_by(database, &encode::run_name(name))?;
    let max_cost_nanos = cap.map(|cap| cap.saturating_sub(spent));
    worked(place, (config, &run, args), Planned { plan, cases, max_cost_nanos, encoder: None }, out)
}

/// A cap holds only where every call has a price.
fn priced(config: &Config, plan: &Plan) -> Result<(), Stop> {
    let unpriced = plan
        .targets
        .iter()
        .chain(plan.judges.iter().map(|judge| &judge.target))
        .chain(plan.entailment.iter().map(|entailer| &entailer.target))
        .chain(plan.encoder.iter().filter_map(|encoder| match encoder {
            Encoder::Target(target) => Some(target),
            Encoder::Here(_) => None,
        }))
        .find(|target| !target.simulated && config.snapshot.prices.tariff(&target.name, &target.model).is_none());
    match unpriced {
        None => Ok(()),
        Some(target) => {
            let stop = Stop::usage(format!("what `{}` costs is not known, so that no cap would hold", target.name));
            Err(stop.hint("give the target a `price` in the config, or leave `--max-cost` out"))
        }
    }
}

/// Plans the run; one that is there already goes on if it does the same.
fn begin(database: &Database, name: &str, plan: &Plan, out: &Out) -> Result<(), Stop> {
    let text = serde_json::to_string(plan).map_err(Stop::failed)?;
    if database.plan_run(name, now_us(), (plan.n_items(), &text)).map_err(Stop::failed)? {
        out.say(format_args!("run {name}: {} answers to get", plan.n_items()));
        return Ok(());
    }
    let row = database.eval_run(name).map_err(Stop::failed)?;
    let row = row.ok_or_else(|| Stop::failed(anyhow::anyhow!("the run `{name}` is gone")))?;
    let before: Plan = serde_json::from_value(row.plan).map_err(Stop::failed)?;
    let different = before.differences(plan);
    if !different.is_empty() {
        let stop = Stop::usage(format!("the run `{name}` is planned already, and {} differ", different.join(", ")));
        return Err(stop.hint("`--run NAME` gives this one a name of its own"));
    }
    out.say(format_args!("run {name} goes on: {} of {} answers are there", row.n_answered, row.n_items));
    Ok(())
}

fn worked(
    place: &Place,
    (config, name, args): (&Config, &str, &Args),
    planned: Planned,
    out: &Out,
) -> Result<Ended, Stop> {
    let store = load::places(&place.config)?.store;
    let taken = Lease::acquire_place(&store, "eval", PLACES).map_err(Stop::failed)?;
    let (lease, own, dead) =
        taken.ok_or_else(|| Stop::failed(anyhow::anyhow!("{PLACES} workers use this store already")))?;
    let worker = |place: usize| format!("worker-{place}");
    let ledger = Arc::new(Collected::default());
    let bench = bench::bench();
    let Planned { plan, cases, max_cost_nanos, .. } = planned;
    let targets = plan.targets.iter().filter_map(|target| config.snapshot.targets.get(&target.name));
    let job = Job {
        run: name.to_owned(),
        targets: targets.map(|target| asker::target(&config.snapshot, target, plan.judge_of.is_some())).collect(),
        scorer: Scorer::at(&plan.metrics, Some(&bench)).map_err(Stop::failed)?,
        plan,
        cases,
        store,
        worker: worker(own),
        dead: dead.into_iter().map(worker).collect(),
        concurrency: usize::from(args.concurrency),
        max_cost_nanos,
        providers: Arc::new(Shared::new().watched(Arc::clone(&ledger) as _, Lane::Evaluation)),
    };
    let shown = Shown::new(out);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let ended = runtime.block_on(work(job, &|progress| shown.show(progress)));
    drop(runtime);
    shown.end();
    ledger.note(place, out);
    drop(lease);
    ended.map_err(|error| match &error {
        RunError::Standstill { .. } => Stop::failed(error)
            .hint("what is answered is kept; the same command goes on from there once the target can be called"),
        _ => Stop::failed(error),
    })
}
