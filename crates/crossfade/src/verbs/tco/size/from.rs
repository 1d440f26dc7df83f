//! What `tco size` plays: requests on record, of a file, or made up; and the curve of a replica.

use std::path::Path;

use cost::capacity::bursts::{Pattern, made_up};
use cost::capacity::{Arrival, Curve};
use cost::date::Date;
use serde::Deserialize;

use super::Args;
use crate::out::Stop;
use crate::verbs::Place;
use crate::verbs::dataset::readable;
use crate::verbs::source::operation;
use crate::verbs::time::now_us;

/// Requests that are played.
pub(super) struct Requests {
    /// In order, in seconds since the first.
    pub(super) arrivals: Vec<Arrival>,
    /// Unix seconds of the first.
    pub(super) epoch_s: f64,
    /// Where they are from, in words.
    pub(super) from: String,
    /// Nobody sent these.
    pub(super) is_made_up: bool,
}

pub(super) fn requests(place: &Place, args: &Args) -> Result<Requests, Stop> {
    let (mut arrivals, from) = match (&args.requests, &args.route, args.made_up) {
        (Some(path), ..) => (of_file(path)?, path.display().to_string()),
        (None, Some(route), _) => {
            let since_us = now_us().saturating_sub(u64::from(args.days) * 86_400_000_000);
            let database = readable(place)?;
            let rows = operations::tco::arrivals(&database, route, since_us).map_err(operation)?;
            let all = database.route_traffic(route, since_us).map_err(Stop::failed)?;
            let n_all: u64 = all.per_hour.iter().map(|(_, n)| n).sum();
            // Who failed asked as well: a fleet for the others alone is too small for all.
            let left_out = match n_all.saturating_sub(rows.len() as u64) {
                0 => String::new(),
                n => format!(" ({n} more, whose tokens nobody counted, are not among them)"),
            };
            let arrival = |(us, input, output): &(u64, u64, u64)| Arrival {
                at_s: *us as f64 / 1e6,
                input: *input as f64,
                output: *output as f64,
            };
            (rows.iter().map(arrival).collect(), format!("route {route}{left_out}"))
        }
        (None, None, Some(pattern)) => {
            let arrivals = made_up(pattern, args.tokens, args.hours * 3_600.0, args.seed);
            (arrivals, format!("made-up requests ({})", words(pattern)))
        }
        (None, None, None) => (Vec::new(), String::new()),
    };
    arrivals.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    // Seconds since the first: moments of today have too many digits to add milliseconds to.
    let epoch_s = arrivals.first().map_or(0.0, |first: &Arrival| first.at_s);
    arrivals.iter_mut().for_each(|arrival| arrival.at_s -= epoch_s);
    Ok(Requests { arrivals, epoch_s, from, is_made_up: args.made_up.is_some() })
}

fn words(pattern: Pattern) -> String {
    match pattern {
        Pattern::Random { rate } => format!("Poisson, {rate} a second"),
        Pattern::Bursts { rates, lasts_s } => format!(
            "Markov-modulated Poisson: {} a second for {} s, {} a second for {} s",
            rates[0], lasts_s[0], rates[1], lasts_s[1]
        ),
    }
}

/// `random:5`, or `bursts:2,40,600,60`.
pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    let numbers = |text: &str| -> Option<Vec<f64>> {
        let number = |part: &str| part.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        text.split(',').map(number).collect()
    };
    let read = || {
        let (word, rest) = text.split_once(':')?;
        match (word, numbers(rest)?.as_slice()) {
            ("random", [rate]) if *rate > 0.0 => Some(Pattern::Random { rate: *rate }),
            ("bursts", [calm, burst, calm_s, burst_s]) if *calm_s > 0.0 && *burst_s > 0.0 && calm + burst > 0.0 => {
                Some(Pattern::Bursts { rates: [*calm, *burst], lasts_s: [*calm_s, *burst_s] })
            }
            _ => None,
        }
    };
    read().ok_or_else(|| {
        "write `random:RATE`, or `bursts:RATE,RATE,SECONDS,SECONDS`: requests a second while calm and in a burst, and how long each lasts on \
         average"
            .to_owned()
    })
}

/// `1155,211`.
pub(super) fn tokens(text: &str) -> Result<(f64, f64), String> {
    let number = |part: &str| part.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 1.0);
    let read = || text.split_once(',').and_then(|(input, output)| Some((number(input)?, number(output)?)));
    read().ok_or_else(|| "write the mean tokens of a prompt and of an answer: `1155,211`".to_owned())
}

/// What a benchmark of one replica measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) curve: Curve,
    pub(super) reads: Option<f64>,
    pub(super) most_active: Option<u32>,
    pub(super) memory_tokens: Option<f64>,
    /// Where it is from, for who reads the answer.
    pub(super) evidence: String,
}

/// What a stored benchmark measured, for a replica that reads prompts as fast as is typed, or as the benchmark says.
pub(super) fn of_benchmark(
    name: &str,
    found: &operations::tco::Benchmark,
    reads: Option<f64>,
) -> Result<Measured, String> {
    let reads = reads.or(found.prompt_tokens_per_second.filter(|n| n.is_finite() && *n > 0.0));
    let points: Vec<(f64, f64)> = found.curve(reads).iter().map(|(n, ms)| (*n, ms / 1000.0)).collect();
    let day = cost::When::from_us(found.at_us).date();
    Ok(Measured {
        curve: curve(&points)?,
        reads,
        most_active: None,
        memory_tokens: None,
        evidence: format!("bench:{name}, target {}, measured {day}", found.target),
    })
}

/// The file of a curve.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCurve {
    format: String,
    points: Vec<RawPoint>,
    prompt_tokens_per_second: Option<f64>,
    most_active: Option<u32>,
    memory_tokens: Option<f64>,
    measured: Option<String>,
    evidence: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPoint {
    active: f64,
    token_ms: f64,
}

/// The first member of a file of a curve says what it is.
const CURVE: &str = "crossfade-curve/1";

/// A curve as it is typed, or a file of one.
pub(super) fn measured(text: &str) -> Result<Measured, String> {
    if let Some(points) = typed(text) {
        return Ok(Measured {
            curve: curve(&points)?,
            reads: None,
            most_active: None,
            memory_tokens: None,
            evidence: "as typed".to_owned(),
        });
    }
    let content = std::fs::read_to_string(text).map_err(|error| {
        format!(
            "neither a curve like `1:20.5,8:23.7` (how many at once, and milliseconds for a token of each) nor a file that can be read: {error}"
        )
    })?;
    let raw: RawCurve = serde_json::from_str(&content).map_err(|error| format!("{text}: {error}"))?;
    if raw.format != CURVE {
        return Err(format!("{text}: the format is `{}`; what is read here is `{CURVE}`", raw.format));
    }
    let is_right = |n: &f64| n.is_finite() && *n > 0.0;
    if ![raw.prompt_tokens_per_second, raw.memory_tokens].iter().flatten().all(is_right) || raw.most_active == Some(0) {
        return Err(format!("{text}: what a replica can do is above 0, or not said"));
    }
    if raw.measured.as_deref().is_some_and(|day| Date::parse(day).is_none()) {
        return Err(format!("{text}: `measured` is a day such as 2026-11-26"));
    }
    let points: Vec<(f64, f64)> = raw.points.iter().map(|point| (point.active, point.token_ms / 1000.0)).collect();
    let said = [raw.evidence, raw.measured.map(|day| format!("measured {day}"))];
    let said: Vec<String> = std::iter::once(text.to_owned()).chain(said.into_iter().flatten()).collect();
    Ok(Measured {
        curve: curve(&points).map_err(|words| format!("{text}: {words}"))?,
        reads: raw.prompt_tokens_per_second,
        most_active: raw.most_active,
        memory_tokens: raw.memory_tokens,
        evidence: said.join(", "),
    })
}

/// `1:20.5,8:23.7`; `None` of what is nothing like it, such as a path.
fn typed(text: &str) -> Option<Vec<(f64, f64)>> {
    let point = |part: &str| {
        let (n, ms) = part.split_once(':')?;
        Some((n.trim().parse::<f64>().ok()?, ms.trim().parse::<f64>().ok()? / 1000.0))
    };
    text.split(',').map(point).collect()
}

fn curve(points: &[(f64, f64)]) -> Result<Curve, String> {
    Curve::new(points).ok_or_else(|| "both numbers rise from each point to the next, and are above 0".to_owned())
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

    #[test]
    fn patterns_are_read_and_what_is_none_is_refused() {
        assert_eq!(pattern("random:2.5"), Ok(Pattern::Random { rate: 2.5 }));
        assert_eq!(pattern("bursts:1, 20,600,60"), Ok(Pattern::Bursts { rates: [1.0, 20.0], lasts_s: [600.0, 60.0] }));
        for wrong in
            ["random", "random:0", "random:-1", "bursts:1,2,3", "bursts:0,0,1,1", "bursts:1,2,0,1", "poisson:2"]
        {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
        assert_eq!((tokens("1155,211"), tokens("0,5").is_err()), (Ok((1155.0, 211.0)), true));
    }
}
