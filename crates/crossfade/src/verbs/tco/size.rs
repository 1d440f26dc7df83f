//! `crossfade tco size`: how many replicas hold the load that was recorded, and how many a size from averages would have bought.

use std::path::{Path, PathBuf};

use cost::capacity::{Arrival, Curve, Machine, Objective, Router, Served, at_random, needed, percentile, replay};
use cost::date::Date;
use serde_json::json;

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::dataset::readable;
use crate::verbs::source::operation;
use crate::verbs::time::now_us;

/// Fewest requests that a size is found from.
const FEWEST: usize = 100;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file of requests: CSV with a moment, tokens of the prompt and tokens of the answer (`TIMESTAMP,ContextTokens,GeneratedTokens`).
    #[arg(long, value_name = "FILE", conflicts_with = "route", required_unless_present = "route")]
    requests: Option<PathBuf>,
    /// The route whose recorded requests are played.
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Recorded requests of so many days, today included.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// Milliseconds for a token of each, by how many a replica works on: `1:20.5,8:23.7,32:37.8`, as a benchmark measured it.
    #[arg(long, value_name = "CURVE", value_parser = curve)]
    curve: Curve,
    /// Tokens of prompts a replica reads in a second, while nobody gets an answer; without it, reading takes no time of its own.
    #[arg(long, value_name = "N", value_parser = positive)]
    reads: Option<f64>,
    /// Most requests a replica works on at once.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    most_active: u32,
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
    /// Decides the random arrivals of the comparison.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0).ok_or_else(|| "expected a number above 0".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "expected a share above 0, at most 1; for 95 % write 0.95".to_owned())
}

fn curve(text: &str) -> Result<Curve, String> {
    let point = |part: &str| {
        let (n, ms) = part.split_once(':')?;
        Some((n.trim().parse::<f64>().ok()?, ms.trim().parse::<f64>().ok()? / 1000.0))
    };
    let points: Option<Vec<(f64, f64)>> = text.split(',').map(point).collect();
    let points =
        points.ok_or("write it like `1:20.5,8:23.7`: how many at once, and milliseconds for a token of each")?;
    Curve::new(&points).ok_or_else(|| "both numbers rise from each point to the next, and are above 0".to_owned())
}

/// Finds the size. The exit is 3 where even the most replicas do not hold the load, 4 where there are too few requests.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let (arrivals, from) = arrivals(place, args)?;
    if arrivals.len() < FEWEST {
        let stop = Stop::failed(anyhow::anyhow!("{from}: {} requests are too few to find a size from", arrivals.len()));
        return Err(stop.exit(Exit::Undecided));
    }
    let machine = Machine {
        curve: args.curve.clone(),
        reads: args.reads,
        most_active: args.most_active as usize,
        memory: args.memory_tokens,
    };
    let seconds = |ms: Option<f64>| ms.map(|ms| ms / 1000.0);
    let objective = Objective { share: args.share, first_s: seconds(args.first_ms), done_s: seconds(args.done_ms) };
    let most = args.most as usize;
    let played = needed(&arrivals, &machine, objective, most);
    let random = at_random(&arrivals, args.seed);
    let averaged = needed(&random, &machine, objective, most);
    let with = |replicas: usize| replay(&arrivals, &machine, (replicas, Router::LeastOutstanding));
    let rows: Vec<(&str, usize, Vec<Served>)> = [("as recorded", played), ("at random, as many", averaged)]
        .into_iter()
        .filter_map(|(name, replicas)| replicas.map(|replicas| (name, replicas, with(replicas))))
        .collect();
    let span = arrivals.last().map_or(0.0, |last| last.at_s) - arrivals.first().map_or(0.0, |first| first.at_s);
    let kept = |served: &[Served]| objective.kept(served);
    let ms =
        |served: &[Served], of: fn(&Served) -> f64| percentile(served, args.share, of).unwrap_or_default() * 1000.0;
    let fact = |(name, replicas, served): &(&str, usize, Vec<Served>)| {
        json!({ "sized_for": name, "replicas": replicas, "kept_by": kept(served),
            "first_ms": ms(served, |served| served.first_s), "done_ms": ms(served, |served| served.done_s) })
    };
    let facts = json!({ "requests": arrivals.len(), "from": from, "seconds": span, "peak_minute_over_mean": peak(&arrivals, span),
        "replicas": played, "replicas_at_random": averaged, "share": args.share, "sizes": rows.iter().map(fact).collect::<Vec<_>>() });
    out.answer(&facts, || {
        let row = |(name, replicas, served): &(&str, usize, Vec<Served>)| {
            vec![
                (*name).to_owned(),
                replicas.to_string(),
                format!("{:.1} %", kept(served) * 100.0),
                format!("{:.0}", ms(served, |served| served.first_s)),
                format!("{:.0}", ms(served, |served| served.done_s)),
            ]
        };
        let p = args.share * 100.0;
        let (first, done) = (format!("first token ms, p{p}"), format!("end ms, p{p}"));
        table(
            &["sized for arrivals", "replicas", "kept by, as recorded", &first, &done],
            &rows.iter().map(row).collect::<Vec<_>>(),
        )
    });
    out.say(format_args!(
        "{} requests of {from} in {span:.0} s; the busiest minute has {:.1} times the mean",
        arrivals.len(),
        peak(&arrivals, span)
    ));
    match (played, averaged) {
        (Some(played), Some(averaged)) if averaged < played => {
            out.say(format_args!(
                "a size from averages, {averaged}, would not hold these arrivals: they need {played}"
            ));
        }
        (None, _) => out.say(format_args!("even {most} replicas do not hold these arrivals")),
        _ => {}
    }
    Ok(if played.is_some() { Exit::Ok } else { Exit::No })
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

fn arrivals(place: &Place, args: &Args) -> Result<(Vec<Arrival>, String), Stop> {
    let (mut arrivals, from) = match (&args.requests, &args.route) {
        (Some(path), _) => (of_file(path)?, path.display().to_string()),
        (None, Some(route)) => {
            let since_us = now_us().saturating_sub(u64::from(args.days) * 86_400_000_000);
            let rows = operations::tco::arrivals(&readable(place)?, route, since_us).map_err(operation)?;
            let arrival = |(us, input, output): &(u64, u64, u64)| Arrival {
                at_s: *us as f64 / 1e6,
                input: *input as f64,
                output: *output as f64,
            };
            (rows.iter().map(arrival).collect(), format!("route {route}"))
        }
        (None, None) => (Vec::new(), String::new()),
    };
    arrivals.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    // Seconds since the first: moments of today have too many digits to add milliseconds to.
    let first_s = arrivals.first().map_or(0.0, |first: &Arrival| first.at_s);
    arrivals.iter_mut().for_each(|arrival| arrival.at_s -= first_s);
    Ok((arrivals, from))
}

fn of_file(path: &Path) -> Result<Vec<Arrival>, Stop> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))?;
    let mut arrivals = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match arrival(line) {
            Some(arrival) => arrivals.push(arrival),
            // The first line may be headings.
            None if idx == 0 => {}
            None => {
                let stop = Stop::usage(format!("{}, line {}: `{line}` is no request", path.display(), idx + 1));
                return Err(stop.hint("a line is a moment (`2023-11-16 18:17:03.98`, or seconds), tokens of the prompt, tokens of the answer"));
            }
        }
    }
    Ok(arrivals)
}

fn arrival(line: &str) -> Option<Arrival> {
    let mut fields = line.split(',').map(str::trim);
    let at_s = moment(fields.next()?)?;
    let mut tokens = || fields.next()?.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    Some(Arrival { at_s, input: tokens()?, output: tokens()? })
}

/// `2023-11-16 18:17:03.9799600`, also with a `T` and a `Z`, or seconds.
fn moment(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds).filter(|seconds| seconds.is_finite());
    }
    let (day, time) = text.trim_end_matches('Z').split_once([' ', 'T'])?;
    let mut parts = time.split(':').map(|part| part.parse::<f64>().ok().filter(|part| *part >= 0.0));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    Some(Date::parse(day)?.0 as f64 * 86_400.0 + hour * 3_600.0 + minute * 60.0 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_trace_are_read() {
        let read = |line: &str| arrival(line).map(|arrival| (arrival.at_s, arrival.input, arrival.output));
        assert_eq!(read("1970-01-02 01:01:01.5,100,20"), Some((86_400.0 + 3_661.5, 100.0, 20.0)));
        assert_eq!(read("12.25, 1, 2"), Some((12.25, 1.0, 2.0)));
        assert_eq!(read("TIMESTAMP,ContextTokens,GeneratedTokens"), None);
        assert_eq!(read("12.25,1"), None);
    }
}
