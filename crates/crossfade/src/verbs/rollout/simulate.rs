//! `crossfade rollout simulate`: a policy played thousands of times.

mod histogram;
mod plot;
mod times;

use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use operations::plan::Planned;
use rollout::simulate::{Chance, Costs, Delay, Ending, Fate, Proportion, Summary, World, play, summary};
use rollout::{Metric, Objectives, Policy, Risk, Timestamp};
use serde::Serialize;

use super::plan::{TrafficArgs, duration, metric_rate, store_of, too_little, unknown};
use crate::config::{show_duration, show_share};
use crate::load;
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;

/// Requests a day where nothing is recorded or stated.
const PER_DAY: f64 = 10_000.0;
/// 1970-01-05, a Monday at midnight: where simulated time begins, so that the same seed gives the same bytes on every day.
const MONDAY: Timestamp = Timestamp(4 * 86_400_000_000);
/// Where progress is not drawn, it is told this often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rollout of the config whose policy and traffic are taken; without it, the template of `--risk`.
    #[arg(conflicts_with = "risk")]
    name: Option<String>,
    /// The template to play.
    #[arg(long, value_name = "RISK", value_enum)]
    risk: Option<RiskName>,
    /// How many rollouts are played.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    runs: u64,
    /// What all chance is derived from; the same seed gives the same bytes.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// What is wrong with the candidate, such as `error=0.02`; repeatable. Without it, it is as good as the baseline.
    #[arg(long, value_name = "METRIC=RATE", value_parser = metric_rate)]
    effect: Vec<(Metric, f64)>,
    /// Requests after which it becomes wrong.
    #[arg(long, value_name = "N", default_value_t = 0)]
    effect_after: u64,
    /// Draw units from what a recorded rollout counted on its baseline, in place of made-up ones.
    #[arg(long, requires = "name", alias = "recorded")]
    from_recorded: bool,
    #[command(flatten)]
    times: times::Times,
    #[command(flatten)]
    traffic: TrafficArgs,
    /// How much bad rates swing over a day, of both targets alike: 0.5 is between half and one and a half times.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0)]
    drift: f64,
    /// How different units are in size: sigma of a lognormal; 2 has very heavy ones.
    #[arg(long, value_name = "SIGMA", default_value_t = 1.0)]
    size_spread: f64,
    /// How different units are in their bad rate: sigma of a lognormal.
    #[arg(long, value_name = "SIGMA", default_value_t = 1.0)]
    rate_spread: f64,
    /// The candidate's mean cost in place of the baseline's, such as 2; without it no cost is known.
    #[arg(long, value_name = "TIMES")]
    cost_ratio: Option<f64>,
    /// How different requests are in cost, on both targets: sigma of a lognormal [default: as recorded, else 1].
    #[arg(long, value_name = "SIGMA", requires = "cost_ratio")]
    cost_spread: Option<f64>,
    /// The chance that people say no when they are asked to approve a step.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0)]
    refuse: f64,
    /// How long a rollout is played at most.
    #[arg(long, value_name = "DURATION", default_value = "180d")]
    at_most: String,
    /// Draw how long the rollouts took and how they ended; `.html` has the numbers beside the picture.
    #[arg(long, value_name = "FILE.svg|FILE.html")]
    plot: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RiskName {
    Low,
    Medium,
    High,
}

/// The facts: what was played, and what came of it.
#[derive(Debug, Serialize)]
struct Played<'a> {
    rollout: Option<&'a str>,
    simulated: bool,
    seed: u64,
    policy_hash: String,
    requests_per_day: f64,
    requests_per_unit: f64,
    rates: &'a std::collections::BTreeMap<Metric, f64>,
    effect: &'a std::collections::BTreeMap<Metric, f64>,
    effect_after: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_ratio: Option<f64>,
    refuse: f64,
    recorded_units: usize,
    assumed: &'a [String],
    summary: &'a Summary,
}

/// Plays and prints.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let (policy, mut world, assumed) = world(place, args)?;
    world.effect = args.effect.iter().copied().collect();
    world.observed = world.observed.or(world.effect.keys().copied().collect());
    let (policy, late, living) = args.times.late(policy, !world.recorded.is_empty())?;
    let told = late.signals.keys().copied().collect::<Vec<_>>();
    if let Some(metric) = world.effect.keys().find(|metric| metric.is_signal() && !told.contains(metric)) {
        out.say(format_args!(
            "note: {metric} is told of every answer at once; `--signal {metric}=FRACTION/DELAY` says of how many and how late"
        ));
    }
    let slows = late.latency.as_ref().is_some_and(|latency| latency.candidate > 1.0 || latency.hangs > 0.0);
    if slows && policy.objectives == Objectives::default() {
        out.say("note: nothing judges how long answers take; `--objective-total` and `--objective-first-token` say what is late");
    }
    // What nobody tells is not known; what is stated, recorded or an effect is.
    let stated = args.traffic.stated()?.rates;
    let is_known =
        |metric: &Metric| !metric.is_signal() || stated.contains_key(metric) || world.effect.contains_key(metric);
    world.observed = world.observed.iter().filter(is_known).collect();
    let world = world.living(late, &policy);
    if world.effect.iter().any(|(metric, rate)| *rate < world.traffic.rate(*metric)) {
        out.say("note: an effect below the baseline's rate is an improvement");
    }
    let fates = play_all(&policy, &world, args.seed, args.runs)?;
    let allowed = policy.cost.map_or(f64::INFINITY, |cost| cost.ratio);
    let is_dear = world.costs.is_some_and(|costs| costs.ratio > allowed);
    let is_worse = slows || is_dear || world.effect.iter().any(|(metric, rate)| *rate > world.traffic.rate(*metric));
    let summary = summary(&fates, policy.steps.len(), is_worse);
    let facts = Played {
        rollout: args.name.as_deref(),
        simulated: true,
        seed: args.seed,
        policy_hash: policy.hash(),
        requests_per_day: world.traffic.per_day(),
        requests_per_unit: world.traffic.requests_per_unit,
        rates: &world.traffic.rates,
        effect: &world.effect,
        effect_after: world.effect_after,
        times: (!living.is_empty()).then_some(living),
        cost_ratio: args.cost_ratio,
        refuse: args.refuse,
        recorded_units: world.recorded.len(),
        assumed: &assumed,
        summary: &summary,
    };
    let page = || render(&facts, &policy);
    if let Some(path) = &args.plot {
        let is_page = path.extension().is_some_and(|extension| extension == "html");
        let drawn = if is_page { plot::html(&fates, &page()) } else { plot::svg(&fates) };
        std::fs::write(path, drawn).with_context(|| format!("could not write {}", path.display()))?;
    }
    out.answer(&facts, || page() + &picture(&fates, is_worse));
    Ok(Exit::Ok)
}

/// What one looks at first: how soon a worse candidate was found, or how long a good one took.
fn picture(fates: &[Fate], is_worse: bool) -> String {
    if is_worse {
        let found = fates.iter().filter(|fate| fate.ending == Ending::RolledBack);
        let requests = found.filter_map(|fate| fate.after_effect.map(|n| n as f64));
        histogram::text("rollbacks by requests since the candidate was worse", requests)
    } else {
        by_time(fates)
    }
}

/// In hours where nearly all of them took less than a day.
fn by_time(fates: &[Fate]) -> String {
    let days = || fates.iter().filter_map(|fate| fate.days_to_full);
    let longer = days().filter(|days| *days >= 1.0).count();
    if longer * 20 > days().count() {
        histogram::text("rollouts by days to full", days())
    } else {
        histogram::text("rollouts by hours to full", days().map(|days| days * 24.0))
    }
}

fn world(place: &Place, args: &Args) -> Result<(Policy, World, Vec<String>), Stop> {
    let mut stated = args.traffic.stated()?;
    let at_most = duration("--at-most", &args.at_most)?;
    let (policy, basis, recorded) = match &args.name {
        Some(name) => {
            let config = load::config(&place.config)?;
            let settings = config.snapshot.rollouts.get(name).ok_or_else(|| unknown(name, &config))?;
            let (route, baseline) = (settings.route.as_str(), settings.baseline.as_str());
            let planned = Planned { name: name.as_str(), route, baseline, policy: &settings.policy };
            let database = store_of(&config)?;
            let since_us = args.traffic.since_us()?;
            let basis = operations::plan::basis(database.as_ref(), &planned, &stated, since_us).map_err(too_little)?;
            let recorded = match database.as_ref().filter(|_| args.from_recorded) {
                Some(database) => operations::plan::recorded_units(database, name).map_err(too_little)?,
                None if args.from_recorded => {
                    return Err(Stop::failed(anyhow::anyhow!("there is no store yet")).exit(Exit::Undecided));
                }
                None => Vec::new(),
            };
            (settings.policy.clone(), basis, recorded)
        }
        None => {
            let policy = Policy::template(match args.risk {
                Some(RiskName::Low) => Risk::Low,
                Some(RiskName::High) => Risk::High,
                Some(RiskName::Medium) | None => Risk::Medium,
            });
            stated.requests_per_day.get_or_insert(PER_DAY);
            let planned = Planned { name: "", route: "", baseline: "", policy: &policy };
            let basis = operations::plan::basis(None, &planned, &stated, 0).map_err(too_little)?;
            (policy.clone(), basis, Vec::new())
        }
    };
    let mut traffic = basis.traffic;
    if !recorded.is_empty() {
        // What is drawn has its own rates: the effect is told from these.
        traffic.rates = operations::plan::rates_of(&recorded);
    }
    let spread = args.cost_spread.or(traffic.cost_spread).unwrap_or(1.0);
    let costs = args.cost_ratio.map(|ratio| Costs { ratio, spread });
    if !(0.0..=1.0).contains(&args.refuse) || costs.is_some_and(|costs| !(costs.ratio > 0.0 && costs.spread >= 0.0)) {
        return Err(Stop::usage(
            "`--refuse` is between 0 and 1, `--cost-ratio` above 0, and `--cost-spread` 0 or more",
        ));
    }
    let world = World {
        effect_after: args.effect_after,
        drift: args.drift.clamp(0.0, 1.0),
        size_spread: args.size_spread.max(0.0),
        rate_spread: args.rate_spread.max(0.0),
        costs,
        refusals: args.refuse,
        recorded,
        from: MONDAY,
        at_most,
        ..World::plain(traffic, &policy)
    };
    Ok((policy, world, basis.assumed))
}

/// Every run has chance of its own, so it does not matter which thread plays it.
fn play_all(policy: &Policy, world: &World, seed: u64, runs: u64) -> Result<Vec<Fate>, Stop> {
    let n_threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (next, done) = (AtomicU64::new(0), AtomicUsize::new(0));
    let work = || {
        let mut fates = Vec::new();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return fates;
            }
            fates.push((run, play(policy, world, Chance::of(seed, run))));
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut fates = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        show_progress(&done, runs, || threads.iter().all(|thread| thread.is_finished()));
        let joined: Option<Vec<_>> = threads.into_iter().map(|thread| thread.join().ok()).collect();
        joined.map(|parts| parts.into_iter().flatten().collect::<Vec<_>>())
    })
    .context("a simulation panicked")?;
    fates.sort_by_key(|(run, _)| *run);
    Ok(fates.into_iter().map(|(_, fate)| fate).collect())
}

fn show_progress(done: &AtomicUsize, runs: u64, is_over: impl Fn() -> bool) {
    let shows = std::io::stderr().is_terminal();
    let (width, begun) = (30, Instant::now());
    let mut told = begun;
    while !is_over() {
        std::thread::sleep(Duration::from_millis(if shows { 200 } else { 5 }));
        let done = done.load(Ordering::Relaxed);
        let left = left(begun.elapsed(), done, runs).map_or_else(String::new, |left| format!(", {left} left"));
        // Progress that cannot be shown is no reason to stop.
        if shows {
            let filled = done * width / usize::try_from(runs.max(1)).unwrap_or(usize::MAX);
            let bar: String = (0..width).map(|at| if at < filled { '#' } else { '.' }).collect();
            write!(std::io::stderr(), "\r[{bar}] {done} of {runs}{left}\x1b[K").ok();
        } else if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            writeln!(std::io::stderr(), "{done} of {runs}{left}").ok();
        }
    }
    if shows {
        writeln!(std::io::stderr()).ok();
    }
}

/// How long the rest will take, once some are done.
fn left(elapsed: Duration, done: usize, runs: u64) -> Option<String> {
    let rest = runs.checked_sub(done as u64).filter(|rest| *rest > 0 && done > 0)?;
    let seconds = elapsed.as_secs_f64() / done as f64 * rest as f64;
    Some(show_duration(Duration::from_secs(Duration::try_from_secs_f64(seconds).ok()?.as_secs() + 1)))
}

fn render(facts: &Played<'_>, policy: &Policy) -> String {
    let Played { summary, .. } = facts;
    let mut text = format!(
        "{} simulated rollouts at {:.0} requests a day, {:.1} requests of a unit\n",
        summary.runs, facts.requests_per_day, facts.requests_per_unit
    );
    let effect = facts.effect.iter().map(|(metric, rate)| {
        let was = facts.rates.get(metric).copied().unwrap_or(0.0);
        format!("{} {:.2} % in place of {:.2} %", metric.rate_name(), rate * 100.0, was * 100.0)
    });
    let effect: Vec<String> = effect.collect();
    text.push_str(&if effect.is_empty() {
        "the candidate is as good as the baseline\n".to_owned()
    } else {
        format!("the candidate's {}, after {} requests\n", effect.join(", "), facts.effect_after)
    });
    if let Some(times) = facts.cost_ratio {
        text.push_str(&format!("a request of the candidate costs {times} times the baseline's on average\n"));
    }
    for said in facts.times.iter().flatten() {
        text.push_str(&format!("{said}\n"));
    }
    for assumed in facts.assumed {
        text.push_str(&format!("  assumed: {assumed}\n"));
    }
    text.push('\n');
    text.push_str(&table(&["of all runs", "", "95 % interval"], &proportions(summary)));
    let delays = [
        ("requests until a worse candidate was thrown back", summary.detection),
        ("of these the candidate's", summary.detection_candidate),
        ("requests until a dear candidate was stopped", summary.dear_after),
        to_full(summary.days_to_full),
        ("requests to the end", summary.requests),
    ];
    let rows = delays.into_iter().filter_map(|(what, delay)| {
        let Delay { n, median, median_interval, p95, p95_interval } = delay?;
        let of = |value: f64, (low, high): (f64, f64)| format!("{value:.1} ({low:.1} to {high:.1})");
        Some(vec![what.to_owned(), n.to_string(), of(median, median_interval), of(p95, p95_interval)])
    });
    text.push('\n');
    text.push_str(&table(
        &["", "runs", "median (95 % interval)", "95th percentile (95 % interval)"],
        &rows.collect::<Vec<_>>(),
    ));
    let steps = policy.steps.iter().zip(&summary.rollbacks_by_step).filter(|(_, n)| **n > 0);
    let steps: Vec<String> =
        steps.map(|(step, n)| format!("{} {}: {n}", step.stage.as_str(), show_share(step.share))).collect();
    if !steps.is_empty() {
        text.push_str(&format!("\nrolled back at {}\n", steps.join(", ")));
    }
    text
}

/// How long it took, in hours where that is less than a day.
fn to_full(days: Option<Delay>) -> (&'static str, Option<Delay>) {
    match days {
        Some(Delay { n, median, median_interval, p95, p95_interval }) if p95 < 1.0 => {
            let hours = |(low, high): (f64, f64)| (low * 24.0, high * 24.0);
            let (median_interval, p95_interval) = (hours(median_interval), hours(p95_interval));
            let (median, p95) = (median * 24.0, p95 * 24.0);
            ("hours to full", Some(Delay { n, median, median_interval, p95, p95_interval }))
        }
        days => ("days to full", days),
    }
}

fn proportions(summary: &Summary) -> Vec<Vec<String>> {
    let false_or_not = if summary.is_worse { "rolled back" } else { "rolled back (falsely)" };
    let all = [
        (false_or_not, Some(summary.rolled_back)),
        ("promoted while worse", summary.promoted_while_worse),
        ("at full while worse", summary.full_while_worse),
        ("completed", Some(summary.completed)),
        ("stopped for a person", Some(summary.waiting)),
        ("stopped by the guard of costs", Some(summary.dear).filter(|dear| dear.n > 0)),
        ("refused by people", Some(summary.refused).filter(|refused| refused.n > 0)),
        ("undecided at the end", Some(summary.undecided)),
    ];
    let row = |(what, proportion): (&str, Option<Proportion>)| {
        let Proportion { fraction, interval: (low, high), .. } = proportion?;
        let percent = |fraction: f64| format!("{:.2} %", fraction * 100.0);
        Some(vec![what.to_owned(), percent(fraction), format!("{} to {}", percent(low), percent(high))])
    };
    all.into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollouts_of_less_than_a_day_are_told_in_hours() {
        let delay = |median: f64, p95: f64| {
            Some(Delay { n: 9, median, median_interval: (median, median), p95, p95_interval: (p95, p95) })
        };
        let (what, hours) = to_full(delay(0.25, 0.5));
        assert_eq!(
            (what, hours.map(|it| (it.median, it.p95, it.p95_interval))),
            ("hours to full", Some((6.0, 12.0, (12.0, 12.0))))
        );
        let (what, days) = to_full(delay(0.25, 1.5));
        assert_eq!((what, days.map(|it| it.p95)), ("days to full", Some(1.5)));
        assert_eq!(to_full(None).0, "days to full");
    }
}
