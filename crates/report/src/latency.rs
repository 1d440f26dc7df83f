//! Latency and throughput: of recorded calls, and of benchmarks.

use std::collections::BTreeSet;

use stats::LatencySketch;
use stats::interval::wilson;
use stats::quantile::interval;

use crate::area::{Area, Found, Standing};
use crate::bench::{Benches, InTurns, Level, Most};
use crate::commands;
use crate::failing;
use crate::figure::{Figure, Unit};
use crate::load::{Traffic, at_load, peak_per_second};
use crate::rows::{CALLS, Call, Rows, SETTINGS};
use crate::settings::{LatencyDemand, LatencyOf, Move};
use crate::words::{moment, n_of};

/// Fewer answers than this say nothing of a 95th percentile.
const FEWEST: u64 = 100;
/// Each arm's interval holds with 95 %, both at once with at least 90 %.
const ALPHA: f64 = 0.05;
/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_964;
/// Benchmarks whose loads are this close count as of one load, of which the newest counts.
const SAME_LOAD: f64 = 1.1;
/// So many of the newest calls show whether slow ones are of the past.
const NEWEST: usize = 200;
/// What a call without an answer counts as: later than any that had one. The sketch keeps nothing longer.
const NEVER_US: u64 = 3_600_000_000;
/// Failures that say nothing of how fast a target answers: the caller's own doing, or nobody was asked.
pub(crate) const NOT_LATE: [&str; 20] = [
    "client_gone",
    "invalid_request",
    "not_found",
    "too_large",
    "http_client_error",
    "unauthenticated",
    "forbidden",
    "request_limit",
    "token_limit",
    "concurrency_limit",
    "budget_limit",
    "residency",
    "policy",
    "referred",
    "unsupported",
    "record_unavailable",
    "shutting_down",
    "internal",
    "drill",
    "withdrawn",
];

/// What is known of the times of a move.
pub(crate) struct Times {
    pub latency: Found,
    pub throughput: Found,
    /// The benchmark that the latency is held against, by its number.
    pub decided: Option<usize>,
    /// How much later the candidate's answers come, at their 95th percentile.
    pub delta: Figure,
    /// The durations of both, for a plot: milliseconds and the share of answers that came within.
    pub curves: [Vec<(f64, f64)>; 2],
}

/// A 95th percentile of recorded calls; those that failed count as later than all that had an answer.
struct P95 {
    n: u64,
    n_failed: u64,
    value_ms: Option<f64>,
    low_ms: f64,
    high_ms: Option<f64>,
}

impl P95 {
    fn figure(found: Option<&P95>, id: String, label: String) -> Figure {
        let figure = Figure::new(id, label, found.and_then(|p95| p95.value_ms), Unit::Milliseconds);
        let kind = match found {
            Some(P95 { n, n_failed: 0, .. }) => format!("95 %, at any n; {n} answers"),
            Some(P95 { n, n_failed, .. }) => format!("95 %, at any n; {n} calls, {n_failed} failed"),
            None => "95 %, at any n; 0 answers".to_owned(),
        };
        figure.between(found.map(|p95| p95.low_ms), found.and_then(|p95| p95.high_ms), kind).of(CALLS)
    }
}

/// Times of a move's calls.
pub(crate) fn times(rows: &Rows, mv: &Move, (traffic, benches): (&Traffic<'_>, &Benches), key: &str) -> Times {
    let of = rows.settings.scorecard.latency.of;
    let sketches = [&traffic.baseline, &traffic.candidate].map(|calls| sketch(calls, of));
    let [baseline, candidate] = [0, 1].map(|idx| p95(&sketches[idx]));
    let figure = |which: &str, label: &str, p95: Option<&P95>| {
        P95::figure(p95, format!("{key}.latency.{which}"), format!("P95 of {label}, {}", of.words()))
    };
    let mut figures = vec![
        figure("baseline", "the baseline", baseline.as_ref()),
        figure("candidate", "the candidate", candidate.as_ref()),
    ];
    let together = together(&traffic.baseline, &traffic.candidate);
    let recorded = match together.each_ref().map(|calls| p95(&sketch(calls, of))) {
        [Some(one), Some(other)] if one.n >= FEWEST && other.n >= FEWEST => {
            let mut fair = delta(key, of, Some(&one), Some(&other));
            fair.label += ", in minutes in which both answered users";
            fair
        }
        _ => delta(key, of, baseline.as_ref(), candidate.as_ref()),
    };
    let delta = in_turns(key, of, traffic.target_load, benches).unwrap_or(recorded);
    let under_load = traffic.target_load.map(|load| at_load(&traffic.candidate, load)).unwrap_or_default();
    let under_load = p95(&sketch(&under_load, of));
    if let Some(p95) = &under_load {
        figures.push(figure("at_load", "the candidate in minutes of the target load", Some(p95)));
    }
    let latency = latency((rows, mv), traffic, [candidate.as_ref(), under_load.as_ref()], figures);
    let latency = with_bench((rows, mv), latency, (traffic, benches), key);
    let throughput =
        with_most(throughput(rows, mv, (traffic, benches), key), (rows, mv, traffic), benches.most.as_ref(), key);
    let curves = sketches.map(|sketch| curve(&sketch));
    let limit = rows.settings.scorecard.latency.p95_ms as f64;
    let decided = decided(benches, traffic.target_load, limit).map(|(level, _)| level.document);
    Times { latency, throughput, decided, delta, curves }
}

fn sketch(calls: &[&Call], of: LatencyOf) -> LatencySketch {
    let mut sketch = LatencySketch::new();
    let times = calls.iter().filter_map(|call| match (&call.failure, of) {
        (Some(failure), _) => (!NOT_LATE.contains(&failure.as_str())).then_some(NEVER_US),
        (None, LatencyOf::Total) => call.duration_us,
        (None, LatencyOf::FirstToken) => call.first_token_us,
    });
    times.for_each(|us| sketch.record_us(us));
    sketch
}

fn p95(sketch: &LatencySketch) -> Option<P95> {
    let quantiles = sketch.quantiles()?;
    let (low, high) = interval(0.95, sketch, ALPHA);
    let ms = |us: u64| us as f64 / 1000.0;
    let came = |us: &u64| *us < NEVER_US;
    let n_failed = sketch.ranges().filter(|(_, high, _)| !came(high)).map(|(_, _, n)| n).sum();
    Some(P95 {
        n: quantiles.n,
        n_failed,
        value_ms: Some(quantiles.p95_us).filter(came).map(ms),
        low_ms: ms(low),
        high_ms: high.filter(came).map(ms),
    })
}

/// The calls of both for users, of the minutes in which both had some: at other times, and for copies, the machine was another.
fn together<'r>(baseline: &[&'r Call], candidate: &[&'r Call]) -> [Vec<&'r Call>; 2] {
    let minute = |call: &Call| call.at_us / 60_000_000;
    let for_users = |calls: &[&'r Call]| calls.iter().filter(|call| !call.is_shadow).copied().collect::<Vec<&Call>>();
    let both = [for_users(baseline), for_users(candidate)];
    let [one, other] = both.each_ref().map(|calls| calls.iter().map(|call| minute(call)).collect::<BTreeSet<u64>>());
    both.map(|calls| {
        let is_shared = |call: &&Call| one.contains(&minute(call)) && other.contains(&minute(call));
        calls.into_iter().filter(is_shared).collect()
    })
}

fn delta(key: &str, of: LatencyOf, baseline: Option<&P95>, candidate: Option<&P95>) -> Figure {
    let both = baseline.zip(candidate);
    let value = both.and_then(|(one, other)| Some(other.value_ms? - one.value_ms?));
    let low = both.and_then(|(one, other)| Some(other.low_ms - one.high_ms?));
    let high = both.and_then(|(one, other)| Some(other.high_ms? - one.low_ms));
    let label = format!("Latency delta at P95, candidate less baseline, {}", of.words());
    Figure::new(format!("{key}.latency.delta"), label, value, Unit::Milliseconds)
        .between(low, high, "90 %, from both arms' intervals")
        .of(CALLS)
}

/// The delta of the benchmark that asked both in turns: the newest at the least load that is the target's or more, else the newest of all. What the machine
/// did meanwhile is in both, and both had the same requests: better than what was recorded of each.
fn in_turns(key: &str, of: LatencyOf, target_load: Option<f64>, benches: &Benches) -> Option<Figure> {
    let runs = || benches.in_turns.iter().rev();
    let at_target = |run: &&InTurns| target_load.is_some_and(|target| run.per_s >= target * 0.999);
    let run = runs().filter(at_target).min_by(|a, b| a.per_s.total_cmp(&b.per_s)).or_else(|| runs().next())?;
    let label = format!(
        "Latency delta at P95, candidate {} ms less baseline {} ms, {}, in turns at {}",
        Unit::Milliseconds.bare(run.candidate_ms),
        Unit::Milliseconds.bare(run.baseline_ms),
        of.words(),
        Unit::PerSecond.shown(run.per_s)
    );
    let (low, high) = run.interval_ms;
    let figure = Figure::new(format!("{key}.latency.delta"), label, Some(run.delta_ms), Unit::Milliseconds);
    Some(figure.between(Some(low), Some(high), "95 %, bootstrap over blocks of requests").of(&run.file))
}

/// What recorded calls prove: that it is too slow at whatever load there was; that it is fast enough only in minutes of the load that is asked for.
fn latency(
    (rows, mv): (&Rows, &Move),
    traffic: &Traffic<'_>,
    [candidate, under_load]: [Option<&P95>; 2],
    figures: Vec<Figure>,
) -> Found {
    let demand = &rows.settings.scorecard.latency;
    let limit = demand.p95_ms as f64;
    let at = traffic.target_load.map_or_else(|| "the target load".to_owned(), |load| Unit::PerSecond.shown(load));
    let asks = format!("P95 of the {} below {} ms at {at}", demand.of.words(), demand.p95_ms);
    let target = format!("P95 < {} ms at {at}", demand.p95_ms);
    let bench = commands::bench(mv, demand, traffic.known_load());
    let Some(p95) = candidate else {
        let because = if traffic.n_other_model > 0 {
            "the candidate was called only as another model"
        } else {
            "the candidate has answered nothing on record"
        };
        return Found::not_run(Area::Latency, (demand.required, asks, target), because, &bench);
    };
    let simulated = traffic.candidate.iter().any(|call| call.simulated);
    let is_below = |p95: &P95| p95.high_ms.is_some_and(|high| high < limit);
    let (standing, because, settle) = if p95.n < FEWEST {
        let more = FEWEST - p95.n;
        let settle = Some(format!("{more} more answers, or {bench}"));
        (Standing::Undecided, format!("{} answers are too few", p95.n), settle)
    } else if is_outage(p95) && failing::is_over(&traffic.candidate) {
        let because = format!(
            "{} of {} calls on record failed, the last at {}, and hardly any since: that outage is over, and the record shows no speed",
            p95.n_failed,
            p95.n,
            moment(failing::last_us(&traffic.candidate))
        );
        (Standing::Undecided, because, Some(bench))
    } else if is_outage(p95) {
        // Nobody may ask it any more, so that the record alone would hold this against it for ever.
        let last = moment(failing::last_us(&traffic.candidate));
        let because = format!(
            "more than one call in twenty failed: {} of {}, which is not by chance, the last at {last}",
            p95.n_failed, p95.n
        );
        (Standing::Fail, because, None)
    } else if p95.low_ms > limit {
        (Standing::Fail, too_slow("it is", p95), None)
    } else {
        match under_load {
            Some(under) if under.n >= FEWEST && under.low_ms > limit => {
                (Standing::Fail, too_slow("in minutes of the target load it is", under), None)
            }
            Some(under) if under.n >= FEWEST && is_below(under) && traffic.too_short.is_none() => {
                (Standing::Pass, "shown to be below the limit in minutes of the target load".to_owned(), None)
            }
            _ if is_below(p95) => {
                let own = peak_per_second(&traffic.candidate);
                let own = own.map_or_else(|| "no load".to_owned(), |load| Unit::PerSecond.shown(load));
                let because = format!("below the limit, but not shown at the target load: at most {own} came");
                (Standing::Undecided, because, Some(bench))
            }
            _ => {
                let because = "the limit lies within the interval".to_owned();
                (Standing::Undecided, because, Some(format!("more answers, or {bench}")))
            }
        }
    };
    let decides = under_load.map_or("candidate", |_| "at_load");
    let decides = figures.iter().find(|figure| figure.id.ends_with(decides)).map(|figure| figure.id.clone());
    // Of an outage no percentile says anything.
    let decides = decides.filter(|_| !is_outage(p95));
    let required = demand.required;
    let again = Some(commands::bench(mv, demand, traffic.known_load()));
    Found { area: Area::Latency, required, asks, target, standing, because, settle, again, figures, decides, simulated }
}

/// Whether it is failures, not slow answers, that make the percentile late.
fn is_outage(p95: &P95) -> bool {
    p95.low_ms * 1000.0 >= NEVER_US as f64 * 0.98
}

fn too_slow(what: &str, p95: &P95) -> String {
    format!("{what} above {} ms, the low end of its interval", Unit::Milliseconds.bare(p95.low_ms))
}

/// What load is to be held. Recorded calls never prove that more could be.
fn throughput(rows: &Rows, mv: &Move, (traffic, benches): (&Traffic<'_>, &Benches), key: &str) -> Found {
    let demand = &rows.settings.scorecard.throughput;
    let wanted = traffic.target_load.map(|load| load * (1.0 + demand.headroom.0));
    let asks = match wanted {
        Some(wanted) => {
            format!("holds {}: the peak and {} more", Unit::PerSecond.shown(wanted), percent(demand.headroom.0))
        }
        None => format!("holds the peak and {} more", percent(demand.headroom.0)),
    };
    let target = match wanted {
        Some(wanted) => format!("holds ≥ {}", Unit::PerSecond.shown(wanted)),
        None => format!("holds ≥ peak + {}", percent(demand.headroom.0)),
    };
    let label = "Load that is to be held, headroom included";
    let figure = Figure::new(format!("{key}.throughput.wanted"), label, wanted, Unit::PerSecond).of(SETTINGS);
    let settle = commands::search(mv, &rows.settings.scorecard.latency, traffic.known_load());
    let because = match (benches.n_counted, benches.uncounted()) {
        (0, None) => "no benchmark of the candidate is on record".to_owned(),
        (0, Some(uncounted)) => uncounted,
        (n, _) => {
            format!("no search for the most load among {} of the candidate on record", n_of(n, "valid benchmark"))
        }
    };
    let found = Found::not_run(Area::Throughput, (demand.required, asks, target), &because, &settle);
    Found { figures: wanted.map(|_| figure).into_iter().collect(), ..found }
}

/// The level that decides, and what it shows: below the limit only where the load was the target or more, above it only where it was no more.
fn decided(benches: &Benches, target: Option<f64>, limit: f64) -> Option<(&Level, Standing)> {
    let is_slow = |level: &Level| {
        let lost = wilson(level.n_lost, level.n_requests, Z).is_some_and(|(low, _)| low > 0.05);
        lost || level.low_ms.is_some_and(|low| low > limit)
    };
    // A target load is a mean: a level that was asked for within a thousandth of it is at it.
    let at_least = |level: &&Level| target.is_some_and(|target| level.mean_per_s >= target * 0.999);
    let at_most = |level: &&Level| target.is_some_and(|target| level.per_s <= target * 1.001);
    let passes = |level: &&Level| {
        // Nineteen in twenty of all requests within the limit is what its 95th percentile below it says.
        !is_slow(level)
            && (level.high_ms.is_some_and(|high| high < limit) || level.kept.is_some_and(|(_, [low, _])| low > 0.95))
    };
    let nearest = benches.levels.iter().filter(at_least).map(|level| level.mean_per_s).reduce(f64::min);
    let same = |level: &&Level| nearest.is_some_and(|nearest| level.mean_per_s <= nearest * SAME_LOAD);
    if let Some(level) = benches.levels.iter().rev().filter(at_least).find(same) {
        let standing = if is_slow(level) {
            if at_most(&level) { Standing::Fail } else { Standing::Undecided }
        } else if passes(&level) {
            Standing::Pass
        } else {
            // What is below the limit under more load is below it under less.
            let more = benches.levels.iter().rev().filter(|more| more.mean_per_s >= level.mean_per_s).find(passes);
            return Some(more.map_or((level, Standing::Undecided), |more| (more, Standing::Pass)));
        };
        return Some((level, standing));
    }
    let newest = benches.levels.iter().filter(at_most).map(|level| level.document).max()?;
    let slow = benches.levels.iter().filter(at_most).find(|level| level.document == newest && is_slow(level))?;
    Some((slow, Standing::Fail))
}

/// A benchmark at the target load decides; one at less can only show that it is too slow already. What recorded calls prove to be too slow stays so.
fn with_bench(
    (rows, mv): (&Rows, &Move),
    found: Found,
    (traffic, benches): (&Traffic<'_>, &Benches),
    key: &str,
) -> Found {
    let demand = &rows.settings.scorecard.latency;
    let limit = demand.p95_ms as f64;
    let Some((level, shown)) = decided(benches, traffic.target_load, limit) else {
        let uncounted = benches.uncounted().filter(|_| benches.n_counted == 0 && found.settle.is_some());
        let short = benches.levels.iter().map(|level| level.mean_per_s).reduce(f64::max);
        let short = short.filter(|_| found.settle.is_some()).zip(traffic.target_load).map(|(most, target)| {
            let [most, target] = [most, target].map(|load| Unit::PerSecond.shown(load));
            format!("benchmarked at {most} at most, which is not the target load of {target}")
        });
        let more = uncounted.into_iter().chain(short);
        let because = more.fold(found.because, |because, more| format!("{because}; {more}"));
        return Found { because, ..found };
    };
    let load = Unit::PerSecond.shown(level.per_s);
    let failed = match level.n_failed {
        0 => String::new(),
        n => format!("; {n} of {} requests had no whole answer and count as later than all", level.n_requests),
    };
    let (standing, because, settle) = match (shown, &traffic.too_short) {
        (Standing::Fail, _) => {
            let when = moment(level.at_us);
            (shown, format!("a benchmark of {when} shows it above the limit at {load}{failed}"), None)
        }
        (Standing::Pass, Some(short)) => {
            let because = format!("benchmarked below the limit at {load}, but {short} and may not have seen the peak");
            (Standing::Undecided, because, Some(said_load(mv)))
        }
        (Standing::Pass, None) => (
            shown,
            format!(
                "a benchmark shows it below the limit at {load}: of its {} requests {} came within {} ms{failed}",
                level.n_requests,
                level.kept.map_or_else(|| "enough".to_owned(), |(share, _)| Unit::Share.shown(share)),
                demand.p95_ms
            ),
            None,
        ),
        _ => {
            let at = traffic.target_load.unwrap_or(level.per_s);
            let settle = format!("a longer one, with another `--duration`: {}", commands::bench(mv, demand, Some(at)));
            (Standing::Undecided, format!("the benchmark at {load} does not show it{failed}"), Some(settle))
        }
    };
    let mut label = format!("P95 of the candidate, {}, benchmarked at {load}", demand.of.words());
    if level.stands_for_p95 != "p95" {
        let of = level.stands_for_p95.to_uppercase();
        label = format!("{label}: at most the {of} of whole answers, as failures count as later than all");
    }
    let figure = Figure::new(format!("{key}.latency.bench"), label, level.value_ms, Unit::Milliseconds)
        .between(level.low_ms, level.high_ms, "95 %, order statistics")
        .of(&level.file);
    // Where few answers leave the quantile without an end, the share of requests in time is what passes.
    let is_by_share = standing == Standing::Pass && level.high_ms.is_none_or(|high| high >= limit);
    let mut decides = Some(figure.id.clone());
    let mut figures = found.figures;
    if let Some((share, [low, high])) = level.kept {
        let label = format!("Requests of the candidate within {} ms, benchmarked at {load}", demand.p95_ms);
        let kept = Figure::new(format!("{key}.latency.kept"), label, Some(share), Unit::Share);
        decides = if is_by_share { Some(kept.id.clone()) } else { decides };
        figures.insert(0, kept.between(Some(low), Some(high), "95 %, Wilson").of(&level.file));
    }
    figures.insert(0, figure);
    let simulated = found.simulated || level.simulated;
    if found.standing == Standing::Fail && !is_past((standing, demand), &traffic.candidate, level.at_us) {
        let until = if standing == Standing::Pass {
            format!(
                "; that is over once the newest {NEWEST} calls, copies too, are below it as well, and a benchmark of then"
            )
        } else {
            String::new()
        };
        return Found {
            because: format!("{} on record; {because}{until}", found.because),
            figures,
            simulated,
            ..found
        };
    }
    Found { standing, because, settle, figures, decides, simulated, ..found }
}

/// Whether what fails on record is of the past: calls that failed before a benchmark began, at `benched_us`, say nothing of it; slow ones do, unless newer ones
/// are not.
fn is_past((standing, demand): (Standing, &LatencyDemand), calls: &[&Call], benched_us: u64) -> bool {
    let of_all = p95(&sketch(calls, demand.of));
    of_all.as_ref().is_some_and(is_outage) && failing::last_us(calls) < benched_us
        || standing == Standing::Pass && was_slow(calls, demand, benched_us)
}

/// Whether slow calls on record are of the past: of the newest nineteen in twenty are shown to be in time, and those before them that were late came before a
/// benchmark, at `benched_us`, that passes.
fn was_slow(calls: &[&Call], demand: &LatencyDemand, benched_us: u64) -> bool {
    let is_late = |call: &&&Call| {
        let took = if demand.of == LatencyOf::Total { call.duration_us } else { call.first_token_us };
        match &call.failure {
            Some(failure) => !NOT_LATE.contains(&failure.as_str()),
            None => took.is_some_and(|us| us as f64 >= demand.p95_ms as f64 * 1000.0),
        }
    };
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| std::cmp::Reverse(call.at_us));
    let (newest, before) = calls.split_at(calls.len().min(NEWEST));
    let n_late = newest.iter().filter(is_late).count();
    let in_time = wilson((newest.len() - n_late) as u64, newest.len() as u64, Z);
    newest.len() == NEWEST
        && in_time.is_some_and(|(low, _)| low > 0.95)
        && before.iter().filter(is_late).all(|call| call.at_us < benched_us)
}

/// What a search for the most load found, held against what is wanted.
fn with_most(found: Found, (rows, mv, traffic): (&Rows, &Move, &Traffic<'_>), most: Option<&Most>, key: &str) -> Found {
    let Some(most) = most else { return found };
    let Some(load) = traffic.target_load else {
        let held = most.sustained.map_or_else(|| "no load".to_owned(), |held| Unit::PerSecond.shown(held));
        let because = format!("a search found that it holds {held}, but what it has to hold is not known");
        return Found { standing: Standing::Undecided, because, settle: Some(said_load(mv)), ..found };
    };
    let wanted = load * (1.0 + rows.settings.scorecard.throughput.headroom.0);
    let demand = &rows.settings.scorecard.latency;
    let holds = most.sustained.is_some_and(|held| held >= wanted);
    let wanted_shown = Unit::PerSecond.shown(wanted);
    let (standing, because, settle) = if holds && demand.required && !most.is_strict {
        let settle = commands::search(mv, demand, traffic.known_load());
        (
            Standing::Undecided,
            "held, but within an objective that asks for less than the scorecard".to_owned(),
            Some(settle),
        )
    } else if let Some(short) = traffic.too_short.as_ref().filter(|_| holds) {
        let because = format!("held in a benchmark, but {short} and may not have seen the peak");
        (Standing::Undecided, because, Some(said_load(mv)))
    } else if holds {
        (Standing::Pass, "held in a benchmark".to_owned(), None)
    } else if most.failed.is_some_and(|failed| failed <= wanted) {
        let share = most.sustained.unwrap_or(0.0) / wanted;
        (Standing::Fail, format!("it holds {} of that within its objective", Unit::Share.shown(share)), None)
    } else {
        let search = commands::search(mv, demand, traffic.known_load());
        let (because, how) = if most.is_client_bound {
            ("the benchmark's own process lagged below what is wanted", "from a quieter or another machine")
        } else {
            (
                "the search ended below what is wanted, without showing that the server holds no more",
                "with a longer `--duration`",
            )
        };
        let settle = format!("a search that goes to {wanted_shown}, {how}: {search}");
        (Standing::Undecided, because.to_owned(), Some(settle))
    };
    let label = "Most load within the benchmark's objective";
    let figure = Figure::new(format!("{key}.throughput.sustained"), label, most.sustained, Unit::PerSecond)
        .between(most.sustained, most.failed, "held and not held")
        .of(&most.file);
    let mut figures = found.figures;
    let decides = Some(figure.id.clone());
    figures.push(figure);
    Found { standing, because, settle, figures, decides, simulated: most.simulated, ..found }
}

/// What settles that nobody knows the peak.
fn said_load(mv: &Move) -> String {
    format!("`report.target_load: {{ {}: N }}` in the config, or a day of record", mv.route)
}

fn percent(share: f64) -> String {
    Unit::Share.shown(share)
}

/// Points of the distribution, at most so many as a plot shows.
fn curve(sketch: &LatencySketch) -> Vec<(f64, f64)> {
    let n = sketch.n();
    let mut below = 0;
    let mut points = Vec::new();
    for (_, high, here) in sketch.ranges().filter(|(_, high, _)| *high < NEVER_US) {
        below += here;
        points.push((high as f64 / 1000.0, below as f64 / n as f64));
    }
    let every = points.len().div_ceil(120).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(idx, _)| idx % every == 0 || *idx == last).map(|(_, point)| point).collect()
}
