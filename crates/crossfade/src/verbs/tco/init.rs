//! `crossfade tco init`: a worksheet to fill in. What the record knows is in it, with where it is from; the rest is unknown.

mod again;
mod known;
mod week;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use cost::When;
use cost::date::Date;
use cost::decimal::dollars;
use cost::sheet::STANDARD;
use eval::compare::{CandidateReport, Report, TargetSummary};
use operations::tco::recorded;

use crate::config::worksheet as read_worksheet;
use crate::load;
use crate::out::{Exit, Out, Stop};
use crate::verbs::dataset::readable;
use crate::verbs::source::{names_like, operation};
use crate::verbs::time::now_us;
use crate::verbs::{Place, eval as evaluations};

use known::{Known, measured, text};

/// A worksheet that lacks nothing, of figures that are made up.
const EXAMPLE: &str = include_str!("example.yaml");

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The route whose recorded requests are the tasks, and whose target is the baseline.
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// The evaluation run that says how often each side is right at the first attempt.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// The candidate, where the run has several or there is none: a target of the config.
    #[arg(long, value_name = "TARGET")]
    candidate: Option<String>,
    /// How often the application asks again for an answer that is wrong; how likely the answer is right then is that of the run, which asked each case
    /// so often (`crossfade eval run --repeats`).
    #[arg(long, value_name = "N", requires = "run", value_parser = clap::value_parser!(u32).range(1..=5))]
    retries: Option<u32>,
    /// Requests of so many days, today included.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// What `crossfade tco size --week --format json` said: the candidate's replicas by the hour of the week.
    #[arg(long, value_name = "FILE")]
    size: Option<PathBuf>,
    /// A worksheet that is filled in from top to bottom with made-up figures, to see how it is done; it is marked, and nothing takes it for evidence.
    #[arg(long, conflicts_with_all = ["route", "run", "candidate", "retries", "size"])]
    example: bool,
    /// The file.
    #[arg(long, short, alias = "out", value_name = "FILE", default_value = "tco.yaml")]
    output: PathBuf,
    /// Print the worksheet instead of writing it.
    #[arg(long)]
    print: bool,
}

/// Writes a worksheet; never over a file that is there.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    if args.example {
        let today = When::from_us(now_us()).date();
        return example(args, &EXAMPLE.replace("@DATE@", &today.to_string()), out);
    }
    let (worksheet, known) = gathered(place, args)?;
    if args.print {
        out.print(&worksheet);
    } else {
        write(args, &worksheet)?;
        let path = args.output.display();
        out.answer(&serde_json::json!({ "written": args.output, "known": known.said }), || format!("{path}\n"));
    }
    for words in &known.said {
        out.say(words);
    }
    out.say(format_args!("hint: fill in what is unknown, then `crossfade tco run {}`", args.output.display()));
    Ok(Exit::Ok)
}

/// The worksheet that these arguments would write of a route with its candidate and an evaluation, and what is said of it.
pub(crate) fn draft(
    place: &Place,
    route: &str,
    (run, candidate): (Option<String>, Option<String>),
) -> Result<(String, Vec<String>), Stop> {
    let args = Args {
        route: Some(route.to_owned()),
        run,
        candidate,
        retries: None,
        days: 30,
        size: None,
        example: false,
        output: PathBuf::new(),
        print: true,
    };
    gathered(place, &args).map(|(worksheet, known)| (worksheet, known.said))
}

fn gathered(place: &Place, args: &Args) -> Result<(String, Known), Stop> {
    let mut known = Known::new(When::from_us(now_us()).date());
    known.names[1].clone_from(&args.candidate);
    if let Some(run) = &args.run {
        of_run(place, (run, args.candidate.as_deref(), args.retries), &mut known)?;
    }
    if let Some(route) = &args.route {
        of_route(place, (route, args.days), &mut known)?;
    }
    if args.route.is_some() || args.run.is_some() {
        of_reviews(place, args.days, &mut known)?;
    }
    if let Some(path) = &args.size {
        known.hours = Some(week::hours(path, known.today)?);
        known.said.push(format!("the candidate's replicas by the hour of the week are those of {}", path.display()));
    }
    machines(place, &mut known);
    let worksheet = assumed(place, &mut known)?;
    Ok((worksheet, known))
}

/// Writes the example; never over a file that is there.
fn example(args: &Args, worksheet: &str, out: &Out) -> Result<Exit, Stop> {
    if args.print {
        out.print(worksheet);
    } else {
        write(args, worksheet)?;
        let path = args.output.display();
        out.answer(&serde_json::json!({ "written": args.output, "example": true }), || format!("{path}\n"));
    }
    out.say("every figure in it is made up: `tco run` says EXAMPLE, and `report` does not count it");
    out.say("hint: `crossfade tco init` without `--example` writes one for figures of your own");
    Ok(Exit::Ok)
}

/// The worksheet, with what the config assumes in place of what nobody knows.
fn assumed(place: &Place, known: &mut Known) -> Result<String, Stop> {
    let plain = known.worksheet();
    // Without a config that is right nothing is assumed.
    let config = if place.config.exists() { load::config(&place.config).ok() } else { None };
    let Some((worksheet, n)) = config.map(|config| config.assumed.fill(&plain)).filter(|(_, n)| *n > 0) else {
        return Ok(plain);
    };
    // What was there before is right: what is wrong is an assumption.
    if let Err(errors) = read_worksheet("tco.yaml", &worksheet) {
        let wrong: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect();
        let stop = Stop::usage(format!("`tco.assumed` of {}: {}", place.config.display(), wrong.join("; ")));
        return Err(stop.hint("what a figure can be is in docs/reference/tco.md"));
    }
    let figures = counted(n as u64, "figure");
    known.said.push(format!("{figures} are assumptions of {}: put your own in their place", place.config.display()));
    Ok(worksheet)
}

fn write(args: &Args, worksheet: &str) -> Result<(), Stop> {
    let path = &args.output;
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let stop = Stop::usage(format!("{} exists and is left as it is", path.display()));
            stop.hint("`--output FILE` writes another; `--print` shows the text")
        }
        _ => Stop::failed(anyhow::Error::new(error).context(format!("could not write {}", path.display()))),
    })?;
    file.write_all(worksheet.as_bytes()).with_context(|| format!("could not write {}", path.display()))?;
    Ok(())
}

/// The sides of a run: how often each is right, and what its calls cost.
fn of_run(
    place: &Place,
    (run, candidate, retries): (&str, Option<&str>, Option<u32>),
    known: &mut Known,
) -> Result<(), Stop> {
    let report = evaluations::load(place, run)?;
    let names = || report.candidates.iter().map(|candidate| candidate.candidate.as_str());
    let chosen: &CandidateReport = match (candidate, report.candidates.as_slice()) {
        (None, [only]) => only,
        (Some(name), all) => all.iter().find(|candidate| candidate.candidate == name).ok_or_else(|| {
            Stop::usage(format!("run `{run}` has no candidate `{name}`")).hint(names_like(name, names()))
        })?,
        (None, _) => {
            let stop = Stop::usage(format!("run `{run}` has not one candidate"));
            return Err(
                stop.hint(format!("name it with `--candidate`; there are: {}", names().collect::<Vec<_>>().join(", ")))
            );
        }
    };
    let baseline = report.targets.first().map(|target| target.name.clone()).unwrap_or_default();
    known.names = [Some(baseline.clone()), Some(chosen.candidate.clone())];
    let date = When::from_us(report.at_us).date();
    let asked = again::Asked { run, date, report: &report, names: [&baseline, &chosen.candidate] };
    match &chosen.primary.flips {
        _ if report.repeats > 1 => again::of_repeats(place, &asked, retries, known)?,
        _ if retries.is_some() => return Err(again::once(run)),
        Some(_) if chosen.primary.is_empty => known.said.push(format!(
            "warning: first-pass success stays unknown: run {run} has none to speak of at {baseline}; read its answers with `crossfade eval report {run} -o answers.html`"
        )),
        Some(flips) => {
            let n = chosen.primary.n;
            known.put("BASELINE_FIRST_PASS", asked.seen(flips.both_right + flips.lost, n, ""));
            known.put("CANDIDATE_FIRST_PASS", asked.seen(flips.both_right + flips.won, n, ""));
            known.said.push(format!("first-pass success is that of {n} cases of run {run}{}", asked.made_up()));
        }
        None => known.said.push(asked.not_right_or_wrong()),
    }
    for (idx, name) in [&baseline, &chosen.candidate].into_iter().enumerate() {
        if let Some(target) = report.targets.iter().find(|target| target.name == *name) {
            of_calls((run, date), idx, target, known);
        }
    }
    of_whole_run((run, date), &report, known);
    Ok(())
}

/// What the run itself cost, its judges included: what another costs.
fn of_whole_run((run, date): (&str, Date), report: &Report, known: &mut Known) {
    let of_target = |target: &TargetSummary| Some(target.speed_and_cost.cost_per_case? * target.n_answered as f64);
    let answers: Option<f64> = report.targets.iter().map(of_target).sum();
    let (judges, n_unpriced) =
        report.judges.iter().fold((0.0, 0), |(sum, n), judge| (sum + judge.cost, n + judge.n_unpriced));
    match answers {
        Some(answers) if n_unpriced == 0 => {
            let (all, n) = (answers + judges, counted(report.targets.len() as u64, "target"));
            let evidence = format!("eval run {run}: ${answers:.6} for answers of {n}, ${judges:.6} for judges");
            let price = measured(&plain(all), date, (&evidence, &format!("eval-run:{run}")));
            known.put(
                "EVALUATION_RUNS",
                format!("{{ quantity: unknown, price: {price} }}    # runs a month: people know this"),
            );
            known.said.push(format!("another run like {run} costs ${all:.6}, ${judges:.6} of it for judges"));
        }
        _ => known.said.push(format!("calls of run {run} had no price: what another run costs is not taken from it")),
    }
}

/// Dollars as a worksheet has them.
fn plain(dollars: f64) -> String {
    let text = format!("{dollars:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How long people took over answers they were shown.
fn of_reviews(place: &Place, days: u32, known: &mut Known) -> Result<(), Stop> {
    let since_us = now_us().saturating_sub(u64::from(days) * 86_400_000_000);
    let found = operations::tco::review_times(&readable(place)?, since_us).map_err(operation)?;
    known.reviews(found.as_ref(), days);
    Ok(())
}

/// What an answer of a run's target cost on average, calls that were made again included.
fn of_calls((run, date): (&str, Date), idx: usize, target: &TargetSummary, known: &mut Known) {
    let name = &target.name;
    let cost = &target.speed_and_cost;
    let Some(dollars) = cost.cost_per_case else {
        if cost.n_unpriced > 0 {
            let n = counted(cost.n_unpriced, "answer");
            known.attempt_words[idx]
                .push(format!("{n} of {name} in run {run} had no price: what an attempt costs is not taken from it"));
        }
        return;
    };
    let answers = counted(target.n_answered, "case");
    let made_up = if target.simulated { ", simulated" } else { "" };
    let evidence = format!("eval run {run}, the mean of {answers} asked of target {name}{made_up}");
    known.attempts[idx] = Some(measured(&plain(dollars), date, (&evidence, &format!("eval-run:{run}"))));
    known.attempt_words[idx].push(format!("an attempt at {name} costs what {answers} of run {run} cost on average"));
}

/// What was recorded of a route and of its targets.
fn of_route(place: &Place, (route, days): (&str, u32), known: &mut Known) -> Result<(), Stop> {
    let config = load::config(&place.config)?;
    let routes = &config.snapshot.routes;
    let target = routes.get(route).map(|route| route.target.clone()).ok_or_else(|| {
        let stop = Stop::usage(format!("the config has no route `{route}`"));
        stop.hint(names_like(route, routes.keys().map(String::as_str)))
    })?;
    let rollout = config.snapshot.rollouts.values().find(|rollout| rollout.route == route);
    known.put("NAME", text(route));
    known.names[0].get_or_insert(target);
    if let (None, Some(rollout)) = (&known.names[1], rollout) {
        known.names[1] = Some(rollout.candidate.clone());
    }
    let to = u32::try_from(known.today.0).unwrap_or(0).saturating_add(1);
    let database = readable(place)?;
    let recorded = recorded(&database, route, (to.saturating_sub(days), to)).map_err(operation)?;
    known.traffic(route, &recorded);
    for idx in [0, 1] {
        // The cases of a run are the same for both sides; what each was asked in traffic is not.
        let (Some(name), None) = (known.names[idx].clone(), &known.attempts[idx]) else { continue };
        let cost = recorded.costs.iter().find(|cost| cost.target == name && cost.sums.known > 0);
        let Some(cost) = cost else { continue };
        let mean = cost.sums.nanos.saturating_add(cost.sums.known / 2) / cost.sums.known;
        let unpriced = match cost.sums.unknown {
            0 => String::new(),
            n => format!("; {} without a price left out", counted(n, "call")),
        };
        let calls = counted(cost.sums.known, "priced call");
        let target = config.snapshot.targets.get(&name);
        let made_up = if target.is_some_and(|target| target.provider.is_simulated()) { ", simulated" } else { "" };
        let evidence = format!("{calls} of target {name}{made_up} in {}{unpriced}", counted(days.into(), "day"));
        known.attempts[idx] = Some(measured(&dollars(mean), known.today, (&evidence, &format!("costs:{name}"))));
        known.attempt_words[idx].push(format!("an attempt at {name} costs what {calls} cost on average{unpriced}"));
    }
    Ok(())
}

/// Who runs the machines of each side, by the class of its provider in the config.
fn machines(place: &Place, known: &mut Known) {
    let is_named = known.names.iter().any(Option::is_some);
    // Without a config that is right nobody knows; a verb that writes a form to fill in goes on.
    let config = if is_named { load::config(&place.config).ok() } else { None };
    for idx in [0, 1] {
        let name = known.names[idx].as_deref();
        let target = config.as_ref().zip(name).and_then(|(config, name)| config.snapshot.targets.get(name));
        let class = target.map(|target| target.provider.class);
        let tariff = config
            .as_ref()
            .zip(target)
            .and_then(|(config, target)| config.snapshot.prices.tariff(&target.name, &target.model));
        let row = tariff.and_then(|tariff| tariff.row(When::from_us(now_us()), STANDARD));
        known.machines(idx, class, row.and_then(|row| row.gpu_hour.as_ref()));
    }
}

/// How many of something: `1 call`, `2 calls`.
fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
