//! `crossfade tco size`: how many replicas hold the load that was recorded, and how many a size from averages would have bought.

mod from;
mod ways;

use std::path::PathBuf;

use clap::ValueEnum;
use cost::capacity::bursts::Pattern;
use cost::capacity::week::{Asked, Week, week};
use cost::capacity::{Arrival, Machine, Objective, Reading, Router, Served, at_random, needed, percentile, replay};
use serde_json::json;

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::dataset::readable;

use from::{Measured, measured, pattern, requests, tokens};

/// Fewest requests that a size is found from.
const FEWEST: usize = 100;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file of requests: CSV with a moment, tokens of the prompt and tokens of the answer (`TIMESTAMP,ContextTokens,GeneratedTokens`).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["route", "made_up"], required_unless_present_any = ["route", "made_up"])]
    requests: Option<PathBuf>,
    /// The route whose recorded requests are played.
    #[arg(long, value_name = "ROUTE", conflicts_with = "made_up")]
    route: Option<String>,
    /// Recorded requests of so many days, today included.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// For who has no record: requests that are made up, `random:RATE` or `bursts:RATE,RATE,SECONDS,SECONDS` (calm and burst, and how long each lasts).
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    made_up: Option<Pattern>,
    /// Mean tokens of a made-up prompt and of its answer.
    #[arg(long, value_name = "IN,OUT", default_value = "1000,200", value_parser = tokens)]
    tokens: (f64, f64),
    /// Hours for which requests are made up.
    #[arg(long, value_name = "N", default_value_t = 4.0, value_parser = hours)]
    hours: f64,
    /// Milliseconds for a token of each, by how many a replica works on: `1:20.5,8:23.7,32:37.8`, as a benchmark measured it; or a file of it.
    #[arg(long, value_name = "CURVE", value_parser = measured, required_unless_present = "bench")]
    curve: Option<Measured>,
    /// The benchmark in the store that measured the curve, and how fast prompts are read.
    #[arg(long, value_name = "RUN", conflicts_with = "curve")]
    bench: Option<String>,
    /// The target of the benchmark, where it is of several.
    #[arg(long, value_name = "TARGET", requires = "bench")]
    target: Option<String>,
    /// Tokens of prompts a replica reads in a second, while nobody gets an answer; without it, reading takes no time of its own.
    #[arg(long, value_name = "N", value_parser = positive)]
    reads: Option<f64>,
    /// Prompts are read in pieces of so many tokens between the tokens of answers, as chunked prefill does; without it whole, while the rest waits.
    #[arg(long, value_name = "N", value_parser = positive)]
    chunk: Option<f64>,
    /// Most requests a replica works on at once; 256 where nobody says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    most_active: Option<u32>,
    /// Most tokens in a replica's memory, of prompts and answers.
    #[arg(long, value_name = "N", value_parser = positive)]
    memory_tokens: Option<f64>,
    /// Milliseconds to the first token that are allowed.
    #[arg(long, value_name = "MS", value_parser = positive, required_unless_present = "done_ms")]
    first_ms: Option<f64>,
    /// Milliseconds to the end that are allowed.
    #[arg(long, value_name = "MS", value_parser = positive)]
    done_ms: Option<f64>,
    /// The share of requests that must keep to it.
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = share)]
    share: f64,
    /// Most replicas that are tried.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1024))]
    most: u32,
    /// Decides the random arrivals of the comparison, and what else happens at random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Who gets a request, where the ways to run it are compared.
    #[arg(long, value_enum, default_value = "least-outstanding")]
    router: Turn,
    /// Size every hour of the week by itself, and compare what a fleet of one size and one that follows the hours come to.
    #[arg(long)]
    week: bool,
    /// Arrivals come as much faster in every hour of the week: 0.2 is a fifth more.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = headroom)]
    headroom: f64,
    /// Replicas that stand in for others, in every hour of the week.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=64))]
    spare: u32,
    #[command(flatten)]
    events: ways::Events,
}

/// Who gets a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Turn {
    /// One replica after the other.
    RoundRobin,
    /// The replica with the fewest at work or in line.
    LeastOutstanding,
}

fn hours(text: &str) -> Result<f64, String> {
    positive(text).and_then(|hours| if hours <= 336.0 { Ok(hours) } else { Err("at most 336 hours".to_owned()) })
}

fn headroom(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=10.0).contains(share));
    share.ok_or_else(|| "expected a share of at least 0; for 20 % write 0.2".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0).ok_or_else(|| "expected a number above 0".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "expected a share above 0, at most 1; for 95 % write 0.95".to_owned())
}

/// Finds the size. The exit is 3 where even the most replicas do not hold the load, 4 where there are too few requests.
pub(crate) fn run(place: &Place, mut args: Args, out: &Out) -> Result<Exit, Stop> {
    args.events.measured_start(place)?;
    let args = &args;
    let asked = requests(place, args)?;
    let (arrivals, from) = (&asked.arrivals, &asked.from);
    if arrivals.len() < FEWEST {
        let stop = Stop::failed(anyhow::anyhow!("{from}: {} requests are too few to find a size from", arrivals.len()));
        let hint = "`--made-up random:RATE` sizes for requests that nobody sent, and says so";
        return Err(stop.hint(hint).exit(Exit::Undecided));
    }
    let curve = curve_of(place, args, out)?;
    let machine = machine(args, &curve)?;
    if machine.curve.ends_at() < machine.most_active as f64 {
        out.say(format_args!(
            "warning: the curve ends at {:.1} at once and a replica takes on up to {}: beyond, it is taken to write no more tokens a second in all, which asks \
             for too many replicas where it could; measure up to where it writes no more, or say `--most-active`",
            machine.curve.ends_at(),
            machine.most_active
        ));
    }
    let objective = objective(args);
    let most = args.most as usize;
    let played = needed(arrivals, &machine, objective, most);
    let averaged = needed(&at_random(arrivals, args.seed), &machine, objective, most);
    let with = |replicas: usize| replay(arrivals, &machine, (replicas, Router::LeastOutstanding));
    let names = if asked.is_made_up { "as made up" } else { "as recorded" };
    let rows: Vec<Sized> = [(names, played), ("at random, as many", averaged)]
        .into_iter()
        .filter_map(|(name, replicas)| replicas.map(|replicas| (name, replicas, with(replicas))))
        .collect();
    let week = args.week.then(|| hours_of(args, &asked, (&machine, objective)));
    let ways = ways::compare(args, &asked, (&machine, played, week.as_ref()));
    let span = arrivals.last().map_or(0.0, |last| last.at_s);
    let fact = |(name, replicas, served): &Sized| {
        let (answers, tokens) = throughput(served, span);
        json!({ "sized_for": name, "replicas": replicas, "kept_by": objective.kept(served), "requests_per_s": answers, "out_tok_s": tokens,
            "first_ms": ms(served, args.share, |served| served.first_s), "done_ms": ms(served, args.share, |served| served.done_s) })
    };
    let poisson_keeps = rows.get(1).map(|(_, _, served)| objective.is_kept(served));
    let facts = json!({ "format": FORMAT, "requests": arrivals.len(), "from": from, "made_up": asked.is_made_up,
        "curve": curve.evidence, "seconds": span, "peak_minute_over_mean": peak(arrivals, span),
        "replicas": played, "replicas_at_random": averaged, "at_random_keeps": poisson_keeps, "share": args.share,
        "sizes": rows.iter().map(fact).collect::<Vec<_>>(),
        "hours": week.as_ref().map(|week| ways::hours(week, args)), "ways": ways.iter().map(|way| way.fact(objective, args.share)).collect::<Vec<_>>() });
    out.answer(&facts, || {
        let mut text = sizes(args, objective, &rows, asked.is_made_up);
        if let Some(week) = &week {
            text += &format!("\n{}", ways::table_of_hours(week));
        }
        if !ways.is_empty() {
            text += &format!("\n{}", ways::table_of_ways(&ways, objective, args.share));
        }
        text
    });
    let kind =
        if asked.is_made_up { "; nobody sent them, a size from them is for these and not for yours" } else { "" };
    out.say(format_args!(
        "{} requests of {from} in {span:.0} s; the busiest minute has {:.1} times the mean{kind}",
        arrivals.len(),
        peak(arrivals, span)
    ));
    match (played, averaged, poisson_keeps) {
        (Some(played), Some(averaged), Some(false)) => {
            out.say(format_args!("a size from averages, {averaged}, would not hold these arrivals: they need {played}"))
        }
        (None, ..) => {
            out.say(format_args!("even {most} replicas do not hold these arrivals"));
            out.say(alone(arrivals, &machine, objective));
        }
        _ => {}
    }
    if let Some(week) = &week {
        out.say(format_args!("{} of 168 hours of the week are on record", week.n_recorded()));
    }
    let is_held = played.is_some() && week.as_ref().is_none_or(|week| week.peak().is_some());
    Ok(if is_held { Exit::Ok } else { Exit::No })
}

/// What it was sized for, how many, and what became of the arrivals there.
type Sized = (&'static str, usize, Vec<Served>);

/// The form of the facts.
const FORMAT: &str = "crossfade-size/1";

fn ms(served: &[Served], share: f64, of: fn(&Served) -> f64) -> f64 {
    percentile(served, share, of).unwrap_or_default() * 1000.0
}

/// Answers a second that ended before the last request came, and tokens of these: what a benchmark of the same requests counts.
fn throughput(served: &[Served], span_s: f64) -> (f64, f64) {
    let first_s = served.iter().map(|served| served.arrival.at_s).fold(f64::INFINITY, f64::min);
    let is_done = |served: &&Served| served.arrival.at_s + served.done_s <= first_s + span_s;
    let done = || served.iter().filter(is_done);
    let span_s = span_s.max(1e-9);
    (done().count() as f64 / span_s, done().map(|served| served.arrival.output).sum::<f64>() / span_s)
}

fn sizes(args: &Args, objective: Objective, rows: &[Sized], is_made_up: bool) -> String {
    let row = |(name, replicas, served): &Sized| {
        vec![
            (*name).to_owned(),
            replicas.to_string(),
            format!("{:.1} %", objective.kept(served) * 100.0),
            format!("{:.0}", ms(served, args.share, |served| served.first_s)),
            format!("{:.0}", ms(served, args.share, |served| served.done_s)),
        ]
    };
    let p = args.share * 100.0;
    let (first, done) = (format!("first token ms, p{p}"), format!("end ms, p{p}"));
    let kept = if is_made_up { "kept by, as made up" } else { "kept by, as recorded" };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    table(&["sized for arrivals", "replicas", kept, &first, &done], &rows)
}

/// The curve that is typed, of a file, or of a benchmark in the store.
fn curve_of(place: &Place, args: &Args, out: &Out) -> Result<Measured, Stop> {
    let name = match (&args.curve, &args.bench) {
        (Some(curve), _) => return Ok(curve.clone()),
        (None, Some(name)) => name,
        (None, None) => return Err(Stop::usage("nothing says how fast a replica is")),
    };
    let found = operations::tco::benchmark(&readable(place)?, name, args.target.as_deref()).map_err(Stop::usage)?;
    let measured = from::of_benchmark(name, &found, args.reads).map_err(Stop::usage)?;
    if found.simulated {
        out.say(format_args!("warning: the answers of benchmark {name} are made up"));
    }
    if measured.reads.is_none() {
        out.say(format_args!(
            "warning: benchmark {name} does not say how fast prompts are read, so reading takes no time here; `--reads N` says it"
        ));
    }
    Ok(measured)
}

fn machine(args: &Args, curve: &Measured) -> Result<Machine, Stop> {
    let reading = match (args.reads.or(curve.reads), args.chunk) {
        (None, None) => Reading::Free,
        (Some(tokens_per_second), None) => Reading::Stalls { tokens_per_second },
        (Some(tokens_per_second), Some(chunk)) => Reading::Chunked { tokens_per_second, chunk },
        (None, Some(_)) => {
            let stop = Stop::usage("`--chunk` says how prompts are read in pieces, and nothing says how fast");
            return Err(stop.hint("`--reads N`: tokens of prompts in a second"));
        }
    };
    Ok(Machine {
        curve: curve.curve.clone(),
        reading,
        most_active: args.most_active.or(curve.most_active).unwrap_or(256).min(4096) as usize,
        memory: args.memory_tokens.or(curve.memory_tokens),
    })
}

fn objective(args: &Args) -> Objective {
    let seconds = |ms: Option<f64>| ms.map(|ms| ms / 1000.0);
    Objective { share: args.share, first_s: seconds(args.first_ms), done_s: seconds(args.done_ms) }
}

fn hours_of(args: &Args, asked: &from::Requests, (machine, objective): (&Machine, Objective)) -> Week {
    let spare = args.spare as usize;
    let of_hour = Asked { objective, headroom: args.headroom, spare, least: 1 + spare, most: args.most as usize };
    week(&asked.arrivals, asked.epoch_s, machine, &of_hour)
}

/// Why more replicas may be of no use: what a request takes that has one for itself.
fn alone(arrivals: &[Arrival], machine: &Machine, objective: Objective) -> String {
    // Further apart than anything takes.
    let apart = arrivals.iter().enumerate().map(|(idx, arrival)| Arrival { at_s: idx as f64 * 1e6, ..*arrival });
    let served = replay(&apart.collect::<Vec<_>>(), machine, (1, Router::RoundRobin));
    let seconds = |of| percentile(&served, objective.share, of).unwrap_or_default();
    let p = objective.share * 100.0;
    let (first, done) = (seconds(|served| served.first_s), seconds(|served| served.done_s));
    if objective.is_kept(&served) {
        "hint: alone on a replica they would keep it: `--most N` tries more, a faster replica needs fewer".to_owned()
    } else {
        format!(
            "hint: alone on a replica p{p} of them takes {:.0} ms to the first token and {:.0} ms to the end: no number of replicas keeps what is asked, a \
             faster one or shorter answers might",
            first * 1000.0,
            done * 1000.0
        )
    }
}

/// Requests of the busiest minute over those of a mean one.
fn peak(arrivals: &[Arrival], span_s: f64) -> f64 {
    let mut most = 0;
    let mut first = 0;
    for (idx, arrival) in arrivals.iter().enumerate() {
        while arrivals[first].at_s < arrival.at_s - 60.0 {
            first += 1;
        }
        most = most.max(idx - first + 1);
    }
    most as f64 / (arrivals.len() as f64 * 60.0 / span_s.max(60.0))
}
