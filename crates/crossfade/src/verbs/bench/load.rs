//! The load of a benchmark: the plan and the requests that its flags come to.

use std::path::Path;
use std::sync::Arc;

use bench::arrivals::trace;
use bench::engine::turns::Turns;
use bench::plan::Plan;
use bench::prompt::{Lengths, Maker, Source};
use bench::result::{HEADROOM, Load, short};
use bench::search::Range;
use serde_json::{Value, json};

use super::cases;
use super::flags::Flags;
use super::judge::{self, Judged};
use crate::out::Stop;
use crate::verbs::time::now_us;
use crate::verbs::{Place, dataset};

/// One thread for every two processors: the rest is for whoever answers here. Where requests are due at the same moment, one for each of them at least, so that
/// none is late by what the one beside it costs.
pub(super) fn workers(asked: Option<u16>, n_at_once: usize) -> usize {
    let half = std::thread::available_parallelism().map_or(1, |n| n.get() / 2).clamp(1, 8);
    asked.map_or(half.max(n_at_once), usize::from)
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
    /// Requests on record that are not replayed, because nobody counted their tokens.
    n_uncounted: u64,
}

impl From {
    /// The peak that a search is held against, where the record says it and nobody.
    pub(super) fn recorded_peak(&self, plan: &Plan) -> Option<String> {
        let (peak, from) = (plan.peak?, self.judged["peak"].as_str()?);
        (from != "report.target_load").then(|| {
            format!("the peak is {} a second, {from}; `--peak N` says another for this run, `report.target_load` in the config for all", short(peak))
        })
    }

    /// What to say of a replay that leaves requests out.
    pub(super) fn left_out(&self) -> Option<String> {
        let n = self.n_uncounted;
        (n > 0).then(|| format!("{n} more requests are on record and are not replayed, for nobody counted their tokens: the load is less than it was"))
    }
}

/// The plan, and where it is from.
pub(super) fn plan(place: &Place, flags: &Flags) -> Result<(Plan, From), Stop> {
    let Judged { slo, peak, from: judged } = judge::of(place, flags)?;
    if flags.search.is_some() && slo.is_none() {
        return Err(Stop::usage("a search needs an objective")
            .hint("such as `--slo ttft=500ms,e2e=2.5s`, or `--workload NAME` of the config"));
    }
    if flags.until_peak && (peak.is_none() || flags.search.as_deref() != Some("rate")) {
        return Err(Stop::usage("`--until-peak` ends a `--search rate` where a known peak is held")
            .hint("`--peak N` says it, or `--workload NAME` of a config with traffic"));
    }
    if flags.no_stream && slo.is_some_and(|slo| slo.tpot_ms.is_some() || slo.gap_max_ms.is_some()) {
        return Err(Stop::usage("answers that come whole have no `tpot` and no `gap` to hold an objective against"));
    }
    let Replayed { mut shapes, from: replayed, n_uncounted } = replayed(place, flags)?;
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
        start: flags.start.or(peak.filter(|_| over == "rate")).unwrap_or(Range::default().start),
        most: flags.most,
        is_whole: over == "concurrency",
        enough: peak.filter(|_| over == "rate" && flags.until_peak).map(|peak| peak * (1.0 + HEADROOM)),
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
    Ok((plan, From { replayed, judged, dataset, n_uncounted }))
}

/// The requests of a replay.
#[derive(Default)]
struct Replayed {
    shapes: Vec<trace::Shape>,
    /// What they are of.
    from: Value,
    /// Requests on record that are not among them, because nobody counted their tokens.
    n_uncounted: u64,
}

fn replayed(place: &Place, flags: &Flags) -> Result<Replayed, Stop> {
    let mut n_uncounted = 0;
    let shapes = if let Some(path) = &flags.trace {
        trace::read(&read(path)?).map_err(|error| {
            let stop = Stop::usage(format!("{}: {error}", path.display()));
            stop.hint(
                "a line is a moment (`2023-11-16 18:17:03.98`, or seconds), tokens of the prompt, tokens of the answer",
            )
        })?
    } else if let Some(route) = &flags.route {
        let since = now_us().saturating_sub(u64::from(flags.days) * 86_400_000_000);
        let database = dataset::readable(place)?;
        let recorded = database.route_shapes(route, since).map_err(Stop::failed)?;
        let n_all: u64 =
            database.route_traffic(route, since).map_err(Stop::failed)?.per_hour.iter().map(|(_, n)| n).sum();
        n_uncounted = n_all.saturating_sub(recorded.len() as u64);
        trace::of_record(&recorded).map_err(|_| {
            let stop =
                Stop::usage(format!("no request of `{route}` with counted tokens is on record in {} days", flags.days));
            stop.hint("`crossfade exchanges list` shows what is there; `--days N` looks further back")
        })?
    } else {
        return Ok(Replayed::default());
    };
    let from = flags.trace.as_ref().map(|path| path.display().to_string()).or_else(|| flags.route.clone());
    Ok(Replayed { shapes: trace::at_speed(shapes, flags.speed), from: json!(from), n_uncounted })
}

/// The plan as a result says it.
pub(super) fn facts_of(flags: &Flags, plan: &Plan, (from, n_workers): (From, usize)) -> Value {
    json!({
        "loads": plan.loads,
        "arrivals": plan.pattern.words(),
        "replayed": from.replayed,
        "not_replayed": from.n_uncounted,
        "judged_by": from.judged,
        "dataset": from.dataset,
        "speed": flags.speed,
        "search": flags.search,
        "until_peak": flags.until_peak,
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
        "workers": n_workers,
        "seed": plan.seed,
    })
}
