//! The load of a benchmark: what can be said of it on the command line or in the file of a matrix, and the plan that it comes to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bench::arrivals::{Pattern, trace};
use bench::engine::turns::Turns;
use bench::prompt::{Lengths, Maker, Source};
use bench::result::Load;
use bench::run::Plan;
use bench::search::Range;
use bench::slo::Slo;
use serde_json::{Map, Value, json};

use super::cases;
use super::judge::{self, Judged};
use crate::out::Stop;
use crate::verbs::time::now_us;
use crate::verbs::{Place, dataset};

/// What can be said of it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Flags {
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
    pub(super) route: Option<String>,
    /// Search the most that keeps to the objective: `rate` or `concurrency`.
    #[arg(long, value_name = "OVER", value_parser = ["rate", "concurrency"], group = "load")]
    pub(super) search: Option<String>,
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
    pub(super) peak: Option<f64>,
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
    /// The requests of a dataset of the store, in turn.
    #[arg(long, value_name = "NAME[@VERSION]", conflicts_with_all = ["trace", "route", "file"])]
    pub(super) dataset: Option<String>,
    /// Count tokens by this tokenizer.json too, and alone where the server counts none (a binary with the feature `tokenizer`).
    #[arg(long, value_name = "FILE")]
    pub(super) tokenizer: Option<PathBuf>,
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
    pub(super) slo: Option<Slo>,
    /// Judge as this route of the config: by its rollouts' `objectives`, or by what reports demand, where no `--slo` is said; and by its recorded peak.
    #[arg(long, value_name = "ROUTE", conflicts_with = "route")]
    pub(super) for_route: Option<String>,
    /// The same for the routes of a workload together.
    #[arg(long, value_name = "NAME", conflicts_with = "for_route")]
    pub(super) workload: Option<String>,
    /// The share of requests that must keep to it.
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = share)]
    pub(super) share: f64,
    /// Several targets: `blocks` of time in random order, or `each` arrival to all.
    #[arg(long, value_name = "HOW", default_value = "blocks", value_parser = ["blocks", "each"])]
    interleave: String,
    /// How long a block is.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    block: Duration,
    /// Threads that send and read.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) workers: Option<u16>,
    /// Decides arrivals, lengths, texts and turns; another one for every run where it is not said, so that no server has the prompts in its cache.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
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

/// One thread for every two processors: the rest is for whoever answers here.
pub(super) fn workers(asked: Option<u16>) -> usize {
    let half = std::thread::available_parallelism().map_or(1, |n| n.get() / 2).clamp(1, 8);
    asked.map_or(half, usize::from)
}

/// What makes its requests.
pub(super) fn maker(place: &Place, flags: &Flags, plan: &Plan) -> Result<Maker, Stop> {
    let source = match (&flags.file, &flags.dataset) {
        (None, Some(name)) => Source::Requests(Arc::new(cases::requests(place, name)?)),
        (Some(path), _) => {
            let text = read(path)?;
            let requests =
                bench::prompt::requests(&text).map_err(|error| Stop::usage(format!("{}: {error}", path.display())))?;
            Source::Requests(Arc::new(requests))
        }
        (None, None) => Source::Synthetic { input: flags.input_tokens, prefix: flags.prefix },
    };
    let usual = (flags.file.is_none() && flags.dataset.is_none()).then_some(Lengths::Fixed(128));
    Ok(Maker {
        source,
        output: flags.output_tokens.or(usual),
        extra: flags.extra.clone().unwrap_or_default(),
        stream: !flags.no_stream,
        ignore_eos: flags.ignore_eos,
        seed: plan.seed,
    })
}

fn read(path: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(path).map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))
}

/// Where parts of a plan are from.
pub(super) struct From {
    /// What is replayed.
    replayed: Value,
    /// The objective and the peak.
    judged: Value,
    /// The dataset and its version.
    dataset: Option<String>,
}

/// The plan, and where it is from.
pub(super) fn plan(place: &Place, flags: &Flags) -> Result<(Plan, From), Stop> {
    let Judged { slo, peak, from: judged } = judge::of(place, flags)?;
    if flags.search.is_some() && slo.is_none() {
        return Err(Stop::usage("a search needs an objective")
            .hint("such as `--slo ttft=500ms,e2e=2.5s`, or `--workload NAME` of the config"));
    }
    if flags.no_stream && slo.is_some_and(|slo| slo.tpot_ms.is_some() || slo.gap_max_ms.is_some()) {
        return Err(Stop::usage("answers that come whole have no `tpot` and no `gap` to hold an objective against"));
    }
    let (mut shapes, replayed) = shapes(place, flags)?;
    // The load of a replay is that of the requests that are sent.
    shapes.truncate(flags.requests.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX)));
    let seed = flags.seed.unwrap_or_else(|| now_us() / 1_000 % 1_000_000_000);
    let loads = if let Some(last) = shapes.last() {
        let per_s = shapes.len() as f64 / last.at.as_secs_f64().max(1e-3);
        vec![Load::Replay { per_s }]
    } else if !flags.concurrency.is_empty() {
        flags.concurrency.iter().map(|n| Load::Concurrency { n: *n as usize }).collect()
    } else {
        flags.rate.iter().map(|per_s| Load::Rate { per_s: *per_s }).collect()
    };
    if loads.is_empty() && flags.search.is_none() {
        let stop = Stop::usage("no load is said");
        return Err(
            stop.hint("`--rate 1,2,4`, `--concurrency 1,8`, `--trace FILE`, `--route ROUTE` or `--search rate`")
        );
    }
    let search = flags.search.as_ref().map(|over| Range {
        start: flags.start,
        most: flags.most,
        is_whole: over == "concurrency",
        ..Range::default()
    });
    let turns = if flags.interleave == "each" { Turns::Each } else { Turns::Blocks { length: flags.block, seed } };
    let plan = Plan {
        loads,
        pattern: flags.arrivals,
        shapes,
        turns,
        warm_up: flags.warm_up,
        span: flags.duration,
        most_requests: flags.requests,
        drain: flags.drain,
        timeout: flags.timeout,
        slo,
        search,
        peak,
        seed,
    };
    let dataset = flags.dataset.as_ref().map(|name| cases::version(place, name)).transpose()?;
    Ok((plan, From { replayed, judged, dataset }))
}

/// The requests of a replay, and what they are of.
fn shapes(place: &Place, flags: &Flags) -> Result<(Vec<trace::Shape>, Value), Stop> {
    let shapes = if let Some(path) = &flags.trace {
        trace::read(&read(path)?).map_err(|error| {
            let stop = Stop::usage(format!("{}: {error}", path.display()));
            stop.hint(
                "a line is a moment (`2023-11-16 18:17:03.98`, or seconds), tokens of the prompt, tokens of the answer",
            )
        })?
    } else if let Some(route) = &flags.route {
        let since = now_us().saturating_sub(u64::from(flags.days) * 86_400_000_000);
        let recorded = dataset::readable(place)?.route_shapes(route, since).map_err(Stop::failed)?;
        trace::of_record(&recorded).map_err(|_| {
            let stop =
                Stop::usage(format!("no request of `{route}` with counted tokens is on record in {} days", flags.days));
            stop.hint("`crossfade exchanges list` shows what is there; `--days N` looks further back")
        })?
    } else {
        return Ok((Vec::new(), Value::Null));
    };
    let from = flags.trace.as_ref().map(|path| path.display().to_string()).or_else(|| flags.route.clone());
    Ok((trace::at_speed(shapes, flags.speed), json!(from)))
}

/// The plan as a result says it.
pub(super) fn facts_of(flags: &Flags, plan: &Plan, from: From) -> Value {
    json!({
        "loads": plan.loads,
        "arrivals": plan.pattern.words(),
        "replayed": from.replayed,
        "judged_by": from.judged,
        "dataset": from.dataset,
        "speed": flags.speed,
        "search": flags.search,
        "warm_up_s": plan.warm_up.as_secs_f64(),
        "duration_s": plan.span.as_secs_f64(),
        "requests": plan.most_requests,
        "timeout_s": plan.timeout.as_secs_f64(),
        "drain_s": plan.drain.as_secs_f64(),
        "input_tokens": format!("{:?}", flags.input_tokens),
        "output_tokens": flags.output_tokens.map(|lengths| format!("{lengths:?}")),
        "prefix_tokens": flags.prefix.0,
        "prefixes": flags.prefix.1,
        "file": flags.file.as_ref().map(|path| path.display().to_string()),
        "tokenizer": flags.tokenizer.as_ref().map(|path| path.display().to_string()),
        "ignore_eos": flags.ignore_eos,
        "extra": flags.extra,
        "stream": !flags.no_stream,
        "interleave": flags.interleave,
        "block_s": flags.block.as_secs_f64(),
        "workers": workers(flags.workers),
        "seed": plan.seed,
    })
}
