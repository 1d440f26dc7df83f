//! `crossfade bench recovery` and `bench cold-start`: a server is killed under load, or started from nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::arrivals::{Arrivals, Pattern};
use bench::engine::turns::Turns;
use bench::engine::{Engine, Pace, Phase, Seen, Target};
use bench::prompt::{Lengths, Maker, Source};
use bench::quantile::{of_sorted, sorted_ms};
use bench::result::{ColdStart, Start};
use bench::sample::Sample;
use providers::Shared;
use serde_json::{Map, json};
use wire::record::Lane;

use super::flags::{duration, duration_or_none, lengths, positive};
use super::load::workers;
use super::process::Server;
use super::run::{Keep, heed};
use super::subject::Subjects;
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;
use crate::verbs::eval::draw;
use crate::verbs::ledger::Collected;
use crate::verbs::time::now_us;

/// What both have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    subjects: Subjects,
    /// The command that starts the server, in the foreground: it is killed with SIGKILL.
    #[arg(long, value_name = "COMMAND")]
    start: String,
    /// How long a start may take.
    #[arg(long, value_name = "DURATION", default_value = "300s", value_parser = duration)]
    patience: Duration,
    /// Tokens of a prompt.
    #[arg(long, value_name = "LENGTHS", default_value = "64", value_parser = lengths)]
    input_tokens: Lengths,
    /// Tokens of an answer.
    #[arg(long, value_name = "LENGTHS", default_value = "32", value_parser = lengths)]
    output_tokens: Lengths,
    /// How long an answer may take.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// Decides arrivals and texts.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    keep: Keep,
}

/// What can be typed of `bench recovery`.
#[derive(Debug, clap::Args)]
pub(crate) struct RecoveryArgs {
    #[command(flatten)]
    common: Common,
    /// Requests a second.
    #[arg(long, value_name = "N", default_value = "5", value_parser = positive)]
    rate: f64,
    /// Load before the kill.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    before: Duration,
    /// From the kill until the server is started again.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration_or_none)]
    down: Duration,
    /// Load after the kill.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    after: Duration,
}

/// What can be typed of `bench cold-start`.
#[derive(Debug, clap::Args)]
pub(crate) struct ColdArgs {
    #[command(flatten)]
    common: Common,
    /// How often it is started.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    starts: u32,
    /// Requests after each start, one after the other, of which the second half says what is steady.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    requests: u32,
    /// The state of caches before each start, in your words: kept with the result.
    #[arg(long, value_name = "WORDS")]
    cache: Option<String>,
}

impl Common {
    fn engine(
        &self,
        place: &Place,
        ledger: &Arc<Collected>,
    ) -> Result<(Engine, Vec<bench::result::TargetFacts>), Stop> {
        let shared = Shared::new().watched(Arc::clone(ledger) as _, Lane::Evaluation);
        let (targets, facts): (Vec<Target>, Vec<_>) = self.subjects.resolve(place, &shared)?.into_iter().unzip();
        if targets.len() != 1 {
            return Err(Stop::usage("one server is started and killed here, so one target is asked"));
        }
        if facts[0].simulated {
            return Err(Stop::usage("a simulated provider is no process that could be killed"));
        }
        let maker = Maker {
            source: Source::Synthetic { input: self.input_tokens, prefix: (0, 1) },
            output: Some(self.output_tokens),
            extra: Map::new(),
            stream: true,
            ignore_eos: false,
            seed: self.seed,
        };
        Ok((Engine { targets, maker, n_workers: workers(None, 1), stop: heed()? }, facts))
    }

    fn phase(&self, pace: Pace, end: Duration, first_idx: u64) -> Phase {
        Phase {
            pace,
            turns: Turns::Each,
            warm_up: Duration::ZERO,
            end,
            drain: self.timeout,
            timeout: self.timeout,
            give_up: None,
            most: None,
            first_idx,
        }
    }

    /// One request, now.
    fn once(&self, engine: &Engine, idx: u64) -> (Option<Sample>, Instant) {
        let began = Instant::now();
        let phase = self.phase(Pace::Open(vec![(Duration::ZERO, None)]), Duration::from_secs(1), idx);
        let seen: Seen = engine.run(&phase, &|_| {});
        (seen.samples.first().copied(), began)
    }
}

/// Kills it under load and starts it again.
pub(super) fn recovery(place: &Place, args: &RecoveryArgs, out: &Out) -> Result<Exit, Stop> {
    let (common, ledger) = (&args.common, Arc::new(Collected::default()));
    let (engine, facts) = common.engine(place, &ledger)?;
    let mut result = common.keep.head("recovery", &facts)?;
    common.keep.is_free(place, &result)?;
    result.plan = json!({
        "start": common.start, "rate_per_s": args.rate, "before_s": args.before.as_secs_f64(), "down_s": args.down.as_secs_f64(),
        "after_s": args.after.as_secs_f64(), "seed": common.seed,
    });
    let mut server = Server::start(&common.start)?;
    if server.healthy(&engine.targets[0], common.patience).is_none()
        || !common.once(&engine, u64::MAX / 2).0.is_some_and(|sample| sample.is_good())
    {
        return Err(Stop::failed(anyhow::anyhow!("the server that `--start` starts does not answer"))
            .hint("it has to stay in the foreground and listen where the target or `--url` says"));
    }
    let end = args.before + args.after;
    let slots = Arrivals::new(Pattern::Poisson, args.rate, common.seed)
        .take_while(|at| *at < end)
        .map(|at| (at, None))
        .collect();
    let phase = common.phase(Pace::Open(slots), end, 0);
    let began = Instant::now();
    let (seen, killed, restarted) = std::thread::scope(|scope| {
        let load = scope
            .spawn(|| engine.run(&phase, &|live| draw(&format!("{} begun, {} failed", live.n_begun, live.n_failed))));
        std::thread::sleep(args.before.saturating_sub(began.elapsed()));
        let killed = began.elapsed();
        server.kill();
        std::thread::sleep(args.down);
        let restarted = began.elapsed();
        let again = Server::start(&common.start);
        let seen = load.join().unwrap_or_default();
        again.map(|again| {
            server = again;
            (seen, killed, restarted)
        })
    })?;
    draw("");
    let found = bench::recovery::recovery(&engine.targets[0].name, &seen.samples, (killed, restarted));
    if found.first_good_s.is_none() {
        result.why.push("no request that was due after the kill had a whole answer".to_owned());
    }
    result.partial = seen.is_stopped;
    result.recovery = Some(found);
    result.ended_us = now_us();
    drop(server);
    ledger.note(place, out);
    let is_back = result.recovery.as_ref().is_some_and(|found| found.first_good_s.is_some());
    let exit = common.keep.finish(place, result, out)?;
    Ok(if exit == Exit::Ok && !is_back { Exit::No } else { exit })
}

/// Starts it from nothing, again and again.
pub(super) fn cold(place: &Place, args: &ColdArgs, out: &Out) -> Result<Exit, Stop> {
    let (common, ledger) = (&args.common, Arc::new(Collected::default()));
    let (engine, facts) = common.engine(place, &ledger)?;
    let mut result = common.keep.head("cold_start", &facts)?;
    common.keep.is_free(place, &result)?;
    result.plan =
        json!({ "start": common.start, "starts": args.starts, "requests": args.requests, "seed": common.seed });
    let mut cold = ColdStart { target: facts[0].name.clone(), cache: args.cache.clone(), ..ColdStart::default() };
    for number in 0..args.starts {
        draw(&format!("start {} of {}", number + 1, args.starts));
        if engine.stop.load(std::sync::atomic::Ordering::Relaxed) {
            result.partial = true;
            break;
        }
        cold.starts.push(start(&engine, args, number)?);
    }
    draw("");
    let phase = |read: fn(&Start) -> Option<f64>| {
        let times = cold.starts.iter().filter_map(read).map(|ms| bench::clock::seconds(ms / 1e3));
        bench::measure::summary(times, 0)
    };
    cold.phases = BTreeMap::from([
        ("1 listening".to_owned(), phase(|start| start.listening_ms)),
        ("2 health".to_owned(), phase(|start| start.health_ms)),
        ("3 first_token".to_owned(), phase(|start| start.first_token_ms)),
        ("4 steady".to_owned(), phase(|start| start.steady_ms)),
    ]);
    if cold.starts.iter().all(|start| start.first_token_ms.is_none()) {
        result.invalidate("no start came to a first token".to_owned());
    } else if cold.starts.len() < 5 {
        result.why.push("fewer than five starts say little".to_owned());
    }
    result.cold_start = Some(cold);
    result.ended_us = now_us();
    ledger.note(place, out);
    common.keep.finish(place, result, out)
}

fn start(engine: &Engine, args: &ColdArgs, number: u32) -> Result<Start, Stop> {
    let common = &args.common;
    let mut server = Server::start(&common.start)?;
    let started = server.started();
    let mut found = Start::default();
    let since_start = |at: Instant| at.saturating_duration_since(started).as_secs_f64() * 1e3;
    found.listening_ms = server.listening(&engine.targets[0], common.patience).map(since_start);
    let Some(healthy) = server.healthy(&engine.targets[0], common.patience) else {
        found.failed = Some("it did not become healthy, or ended".to_owned());
        return Ok(found);
    };
    found.health_ms = Some(since_start(healthy));
    let mut firsts: Vec<(f64, Duration)> = Vec::new();
    for idx in 0..args.requests {
        let (sample, began) = common.once(engine, u64::from(number * args.requests + idx));
        let Some((sample, first)) = sample.filter(Sample::is_good).and_then(|sample| Some((sample, sample.first?)))
        else {
            continue;
        };
        let at = since_start(began + first);
        firsts.push((at, sample.ttft_intended().unwrap_or_default()));
    }
    let half = firsts.len() / 2;
    found.first_token_ms = firsts.first().map(|(at, _)| *at);
    found.steady_ttft_ms = of_sorted(&sorted_ms(firsts.iter().skip(half).map(|(_, ttft)| *ttft)), 0, 0.5).value;
    if let Some(steady) = found.steady_ttft_ms {
        let is_steady = |(_, ttft): &&(f64, Duration)| ttft.as_secs_f64() * 1e3 <= steady * 1.1;
        found.steady_ms = firsts.iter().find(is_steady).map(|(at, _)| *at);
    }
    server.kill();
    Ok(found)
}
