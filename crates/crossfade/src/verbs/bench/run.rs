//! `crossfade bench run`: plans it, runs it, keeps what it came to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use bench::arrivals::{Pattern, trace};
use bench::engine::Engine;
use bench::engine::turns::Turns;
use bench::prompt::{Lengths, Maker, Source};
use bench::result::{BenchResult, Load};
use bench::run::{Plan, Progress};
use bench::search::Range;
use bench::slo::{Slo, Verdict};
use providers::Shared;
use serde_json::{Map, Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use wire::record::Lane;

use super::show;
use super::subject::Subjects;
use crate::out::{Exit, Out, Stop};
use crate::verbs::eval::{draw, rough};
use crate::verbs::ledger::Collected;
use crate::verbs::time::now_us;
use crate::verbs::{Place, dataset};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    subjects: Subjects,
    /// Requests a second of an open loop; several are levels one after the other: `1,2,4,8`.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = positive, group = "load")]
    rate: Vec<f64>,
    /// Answers under way at once in a closed loop; several are levels: `1,8,32`.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65_535), group = "load")]
    concurrency: Vec<u32>,
    /// Replay the moments and lengths of a trace: CSV of `TIMESTAMP,ContextTokens,GeneratedTokens`.
    #[arg(long, value_name = "FILE", group = "load")]
    trace: Option<PathBuf>,
    /// Replay the moments and lengths of requests on record; their texts are made up.
    #[arg(long, value_name = "ROUTE", group = "load")]
    route: Option<String>,
    /// Search the most that keeps to the objective: `rate` or `concurrency`.
    #[arg(long, value_name = "OVER", value_parser = ["rate", "concurrency"], group = "load")]
    search: Option<String>,
    /// Days of the record that are replayed, today included.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=366), requires = "route")]
    days: u32,
    /// So many times as fast as it was recorded.
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = positive)]
    speed: f64,
    /// The first load of a search, within a factor of a few hundred of the answer.
    #[arg(long, value_name = "N", default_value = "1", value_parser = positive, requires = "search")]
    start: f64,
    /// No more than this is tried.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = positive, requires = "search")]
    most: f64,
    /// The load that is expected at the peak: the search passes with 20 % above it.
    #[arg(long, value_name = "N", value_parser = positive, requires = "search")]
    peak: Option<f64>,
    /// How arrivals are spread: `poisson`, `constant`, or `gamma:CV` for bursts with this coefficient of variation.
    #[arg(long, value_name = "PATTERN", default_value = "poisson", value_parser = pattern)]
    arrivals: Pattern,
    /// How long a level is; hours make a soak.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// Requests of a level at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Load before each level that does not count.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration_or_none)]
    warm_up: Duration,
    /// How long an answer may take.
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = duration)]
    timeout: Duration,
    /// How long answers that are under way at the end of a level are waited for.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration_or_none)]
    drain: Duration,
    /// Tokens of a prompt: `256`, `100..500`, `normal:300:50` or `lognormal:300:0.6`.
    #[arg(long, value_name = "LENGTHS", default_value = "256", value_parser = lengths)]
    input_tokens: Lengths,
    /// Tokens of an answer, the same way.
    #[arg(long, value_name = "LENGTHS", value_parser = lengths)]
    output_tokens: Option<Lengths>,
    /// Tokens that prompts begin with in common, and how many such beginnings there are: `200` or `200:8`. Without it no two are alike.
    #[arg(long, value_name = "TOKENS[:N]", default_value = "0", value_parser = prefix)]
    prefix: (u64, u64),
    /// Requests of a file in place of made-up ones: JSON lines with `messages`, a `request` that has them, or a `prompt`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["trace", "route"])]
    file: Option<PathBuf>,
    /// Ask the server to go on to the wanted length (`ignore_eos`); an answer more than 10 % off is then of wrong length.
    #[arg(long)]
    ignore_eos: bool,
    /// Members that every request gets: `{"temperature":0}`.
    #[arg(long, value_name = "JSON", value_parser = object)]
    extra: Option<Map<String, Value>>,
    /// Ask for whole answers in place of streams.
    #[arg(long)]
    no_stream: bool,
    /// What is allowed: `ttft=500ms,e2e=2.5s,tpot=50ms,gap=1s`, any of them.
    #[arg(long, value_name = "LIMITS", value_parser = limits)]
    slo: Option<Slo>,
    /// The share of requests that must keep to it.
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = share)]
    share: f64,
    /// Several targets: `blocks` of time in random order, or `each` arrival to all.
    #[arg(long, value_name = "HOW", default_value = "blocks", value_parser = ["blocks", "each"])]
    interleave: String,
    /// How long a block is.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    block: Duration,
    /// Threads that send and read.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Decides arrivals, lengths, texts and turns.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    pub(super) keep: Keep,
}

/// How a result is kept.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Keep {
    /// What it is called in the store; its kind and moment when it is not said.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Write it to this file too: .json, .csv or .html.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Something to remember of the server: `quantisation=awq`, `gpu=H100`, `flags=…`; given once for each.
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) metadata: Vec<(String, String)>,
    /// Where it is measured from, such as `eu-west`.
    #[arg(long, value_name = "PLACE")]
    pub(super) location: Option<String>,
    /// Who runs it.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    duration_or_none(text).ok().filter(|time| !time.is_zero()).ok_or_else(|| "expected a time such as 30s".to_owned())
}

pub(super) fn duration_or_none(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text).ok_or_else(|| "expected a time such as 30s, or 0s".to_owned())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    match (text, text.strip_prefix("gamma:").and_then(|cv| positive(cv).ok())) {
        ("poisson", _) => Ok(Pattern::Poisson),
        ("constant", _) => Ok(Pattern::Constant),
        (_, Some(cv)) => Ok(Pattern::Gamma { cv }),
        _ => Err("expected `poisson`, `constant`, or `gamma:CV` with a number above 0, such as `gamma:3`".to_owned()),
    }
}

pub(super) fn lengths(text: &str) -> Result<Lengths, String> {
    let words = "expected `256`, `100..500`, `normal:MEAN:DEVIATION` or `lognormal:MEDIAN:SIGMA`, at least 1";
    Lengths::parse(text).ok_or_else(|| words.to_owned())
}

fn prefix(text: &str) -> Result<(u64, u64), String> {
    let (tokens, n) = text.split_once(':').unwrap_or((text, "1"));
    let both = tokens.parse().ok().zip(n.parse().ok().filter(|n| *n > 0));
    both.ok_or_else(|| "expected tokens, and how many beginnings: `200` or `200:8`".to_owned())
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("expected a JSON object: {error}"))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "expected a share between 0 and 1; for 95 % write 0.95".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let both = text.split_once('=').filter(|(name, _)| !name.is_empty());
    both.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "expected NAME=VALUE".to_owned())
}

pub(super) fn limits(text: &str) -> Result<Slo, String> {
    let mut slo = Slo { ttft_ms: None, e2e_ms: None, tpot_ms: None, gap_max_ms: None, share: 0.95 };
    for part in text.split(',') {
        let (name, limit) = part.split_once('=').ok_or("expected limits such as `ttft=500ms,e2e=2.5s`")?;
        let limit = Some(duration(limit)?.as_secs_f64() * 1e3);
        match name.trim() {
            "ttft" => slo.ttft_ms = limit,
            "e2e" => slo.e2e_ms = limit,
            "tpot" => slo.tpot_ms = limit,
            "gap" => slo.gap_max_ms = limit,
            other => return Err(format!("`{other}` is no limit; there are ttft, e2e, tpot and gap")),
        }
    }
    Ok(slo)
}

/// Runs it.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let ledger = Arc::new(Collected::default());
    let shared = Shared::new().watched(Arc::clone(&ledger) as _, Lane::Evaluation);
    let found = args.subjects.resolve(place, &shared)?;
    let (plan, shapes_from) = plan(place, args)?;
    let (targets, facts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let mut result = args.keep.head("load", &facts)?;
    if args.search.is_some() {
        "search".clone_into(&mut result.kind);
    }
    result.plan = facts_of(args, &plan, shapes_from);
    args.keep.is_free(place, &result)?;
    let engine = Engine { targets, maker: maker(args, &plan)?, n_workers: workers(args.workers), stop: heed()? };
    bench::run::run(&engine, &plan, &mut result, &|progress| shown(progress));
    draw("");
    result.ended_us = now_us();
    ledger.note(place, out);
    args.keep.finish(place, result, out)
}

/// One thread for every two processors: the rest is for whoever answers here.
pub(super) fn workers(asked: Option<u16>) -> usize {
    let half = std::thread::available_parallelism().map_or(1, |n| n.get() / 2).clamp(1, 8);
    asked.map_or(half, usize::from)
}

/// A flag that the usual signals to stop set.
pub(super) fn heed() -> Result<Arc<AtomicBool>, Stop> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("could not listen for signals")?;
    }
    Ok(stop)
}

fn shown(progress: Progress) {
    let bench::engine::Live { at, n_begun, n_ended, n_failed } = progress.live;
    let left = rough(progress.of.saturating_sub(at));
    let active = n_begun.saturating_sub(n_ended);
    let words = progress.load.words();
    draw(&format!("{words}: {n_begun} begun, {active} under way, {n_failed} failed, {left} left"));
}

fn maker(args: &Args, plan: &Plan) -> Result<Maker, Stop> {
    let source = match &args.file {
        Some(path) => {
            let text = read(path)?;
            let requests =
                bench::prompt::requests(&text).map_err(|error| Stop::usage(format!("{}: {error}", path.display())))?;
            Source::Requests(Arc::new(requests))
        }
        None => Source::Synthetic { input: args.input_tokens, prefix: args.prefix },
    };
    let usual = args.file.is_none().then_some(Lengths::Fixed(128));
    Ok(Maker {
        source,
        output: args.output_tokens.or(usual),
        extra: args.extra.clone().unwrap_or_default(),
        stream: !args.no_stream,
        ignore_eos: args.ignore_eos,
        seed: plan.seed,
    })
}

fn read(path: &std::path::Path) -> Result<String, Stop> {
    std::fs::read_to_string(path).map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))
}

fn plan(place: &Place, args: &Args) -> Result<(Plan, Value), Stop> {
    let slo = args.slo.map(|slo| Slo { share: args.share, ..slo });
    if args.search.is_some() && slo.is_none() {
        return Err(Stop::usage("a search needs an objective").hint("such as `--slo ttft=500ms,e2e=2.5s`"));
    }
    let (shapes, from) = shapes(place, args)?;
    let loads = if let Some(last) = shapes.last() {
        let per_s = shapes.len() as f64 / last.at.as_secs_f64().max(1e-3);
        vec![Load::Replay { per_s }]
    } else if !args.concurrency.is_empty() {
        args.concurrency.iter().map(|n| Load::Concurrency { n: *n as usize }).collect()
    } else {
        args.rate.iter().map(|per_s| Load::Rate { per_s: *per_s }).collect()
    };
    if loads.is_empty() && args.search.is_none() {
        let stop = Stop::usage("no load is said");
        return Err(
            stop.hint("`--rate 1,2,4`, `--concurrency 1,8`, `--trace FILE`, `--route ROUTE` or `--search rate`")
        );
    }
    let search = args.search.as_ref().map(|over| Range {
        start: args.start,
        most: args.most,
        is_whole: over == "concurrency",
        ..Range::default()
    });
    let turns =
        if args.interleave == "each" { Turns::Each } else { Turns::Blocks { length: args.block, seed: args.seed } };
    let plan = Plan {
        loads,
        pattern: args.arrivals,
        shapes,
        turns,
        warm_up: args.warm_up,
        span: args.duration,
        most_requests: args.requests,
        drain: args.drain,
        timeout: args.timeout,
        slo,
        search,
        peak: args.peak,
        seed: args.seed,
    };
    Ok((plan, from))
}

/// The requests of a replay, and what they are of.
fn shapes(place: &Place, args: &Args) -> Result<(Vec<trace::Shape>, Value), Stop> {
    let shapes = if let Some(path) = &args.trace {
        trace::read(&read(path)?).map_err(|error| {
            let stop = Stop::usage(format!("{}: {error}", path.display()));
            stop.hint(
                "a line is a moment (`2023-11-16 18:17:03.98`, or seconds), tokens of the prompt, tokens of the answer",
            )
        })?
    } else if let Some(route) = &args.route {
        let since = now_us().saturating_sub(u64::from(args.days) * 86_400_000_000);
        let recorded = dataset::readable(place)?.route_shapes(route, since).map_err(Stop::failed)?;
        trace::of_record(&recorded).map_err(|_| {
            let stop =
                Stop::usage(format!("no request of `{route}` with counted tokens is on record in {} days", args.days));
            stop.hint("`crossfade exchanges list` shows what is there; `--days N` looks further back")
        })?
    } else {
        return Ok((Vec::new(), Value::Null));
    };
    let from = args.trace.as_ref().map(|path| path.display().to_string()).or_else(|| args.route.clone());
    Ok((trace::at_speed(shapes, args.speed), json!(from)))
}

fn facts_of(args: &Args, plan: &Plan, shapes_from: Value) -> Value {
    json!({
        "loads": plan.loads,
        "arrivals": plan.pattern.words(),
        "replayed": shapes_from,
        "speed": args.speed,
        "search": args.search,
        "warm_up_s": plan.warm_up.as_secs_f64(),
        "duration_s": plan.span.as_secs_f64(),
        "requests": plan.most_requests,
        "timeout_s": plan.timeout.as_secs_f64(),
        "drain_s": plan.drain.as_secs_f64(),
        "input_tokens": format!("{:?}", args.input_tokens),
        "output_tokens": args.output_tokens.map(|lengths| format!("{lengths:?}")),
        "prefix_tokens": args.prefix.0,
        "prefixes": args.prefix.1,
        "file": args.file.as_ref().map(|path| path.display().to_string()),
        "ignore_eos": args.ignore_eos,
        "extra": args.extra,
        "stream": !args.no_stream,
        "interleave": args.interleave,
        "block_s": args.block.as_secs_f64(),
        "workers": workers(args.workers),
        "seed": args.seed,
    })
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
        if let Some(path) = &self.out {
            show::form_of(path)?;
        }
        Ok(result)
    }

    /// Whether the name is free in the store: a run whose result cannot be kept is not begun.
    pub(super) fn is_free(&self, place: &Place, result: &BenchResult) -> Result<(), Stop> {
        if !place.config.exists() {
            return Ok(());
        }
        let database = dataset::writable(place)?;
        if database.bench(&result.name).map_err(Stop::failed)?.is_some() {
            let stop = Stop::usage(format!("there is a result `{}` already", result.name));
            return Err(stop.hint("`--name NAME` gives this one a name of its own"));
        }
        Ok(())
    }

    /// Keeps a result, writes it where it was asked for, and says what it came to.
    pub(super) fn finish(&self, place: &Place, result: BenchResult, out: &Out) -> Result<Exit, Stop> {
        if place.config.exists() {
            result.keep(&dataset::writable(place)?, &self.by).map_err(Stop::failed)?;
            out.say(format_args!("kept as {}; `crossfade bench show {}` shows it again", result.name, result.name));
        } else {
            out.say(format_args!("there is no {}: the result is kept in no store", place.config.display()));
        }
        if let Some(path) = &self.out {
            show::write(path, &result)?;
            out.say(format_args!("written to {}", path.display()));
        }
        out.answer(&result, || show::text(&result));
        Ok(exit(&result))
    }
}

/// The exit code of a result.
pub(super) fn exit(result: &BenchResult) -> Exit {
    match result.slo_verdict() {
        _ if !result.is_evidence() => Exit::Undecided,
        Some(Verdict::Fail) => Exit::No,
        Some(Verdict::Undecided) => Exit::Undecided,
        Some(Verdict::Pass) | None => Exit::Ok,
    }
}
