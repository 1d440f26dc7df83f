//! Latency and throughput: of recorded calls, and of benchmarks.

use stats::LatencySketch;
use stats::quantile::interval;

use crate::area::{Area, Found, Standing};
use crate::bench::{Benches, Level, Most};
use crate::figure::{Figure, Unit};
use crate::load::{Traffic, peak_per_second};
use crate::rows::{CALLS, Call, Rows};
use crate::settings::{LatencyOf, Move};

/// Fewer answers than this say nothing of a 95th percentile.
const FEWEST: u64 = 100;
/// Each arm's interval holds with 95 %, both at once with at least 90 %.
const ALPHA: f64 = 0.05;

/// What is known of the times of a move.
pub(crate) struct Times {
    pub latency: Found,
    pub throughput: Found,
    /// How much later the candidate's answers come, at their 95th percentile.
    pub delta: Figure,
    /// The durations of both, for a plot: milliseconds and the share of answers that came within.
    pub curves: [Vec<(f64, f64)>; 2],
}

/// A 95th percentile of recorded calls.
struct P95 {
    n: u64,
    value_ms: f64,
    low_ms: f64,
    high_ms: Option<f64>,
}

/// Times of a move's calls.
pub(crate) fn times(rows: &Rows, mv: &Move, (traffic, benches): (&Traffic<'_>, &Benches), key: &str) -> Times {
    let of = rows.settings.scorecard.latency.of;
    let sketches = [&traffic.baseline, &traffic.candidate].map(|calls| sketch(calls, of));
    let [baseline, candidate] = [0, 1].map(|idx| p95(&sketches[idx]));
    let figure = |which: &str, label: &str, p95: Option<&P95>| {
        let figure = Figure::new(
            format!("{key}.latency.{which}"),
            format!("P95 of {label}, {}", of.words()),
            p95.map(|p95| p95.value_ms),
            Unit::Milliseconds,
        );
        let n = p95.map_or(0, |p95| p95.n);
        let kind = format!("95 %, at any n; {n} answers");
        figure.between(p95.map(|p95| p95.low_ms), p95.and_then(|p95| p95.high_ms), kind).of(CALLS)
    };
    let figures = vec![
        figure("baseline", "the baseline", baseline.as_ref()),
        figure("candidate", "the candidate", candidate.as_ref()),
    ];
    let delta = delta(key, of, baseline.as_ref(), candidate.as_ref());
    let own_load = peak_per_second(traffic.candidate.iter().copied());
    let latency = latency(rows, (traffic, own_load), candidate.as_ref(), figures);
    let latency = with_bench(rows, latency, (traffic, benches), key);
    let throughput = with_most(throughput(rows, mv, traffic, key), (rows, traffic), benches.most.as_ref(), key);
    let curves = sketches.map(|sketch| curve(&sketch));
    Times { latency, throughput, delta, curves }
}

fn sketch(calls: &[&Call], of: LatencyOf) -> LatencySketch {
    let mut sketch = LatencySketch::new();
    let times = calls.iter().filter(|call| call.failure.is_none()).filter_map(|call| match of {
        LatencyOf::Total => call.duration_us,
        LatencyOf::FirstToken => call.first_token_us,
    });
    times.for_each(|us| sketch.record_us(us));
    sketch
}

fn p95(sketch: &LatencySketch) -> Option<P95> {
    let quantiles = sketch.quantiles()?;
    let (low, high) = interval(0.95, sketch, ALPHA);
    let ms = |us: u64| us as f64 / 1000.0;
    Some(P95 { n: quantiles.n, value_ms: ms(quantiles.p95_us), low_ms: ms(low), high_ms: high.map(ms) })
}

fn delta(key: &str, of: LatencyOf, baseline: Option<&P95>, candidate: Option<&P95>) -> Figure {
    let both = baseline.zip(candidate);
    let value = both.map(|(one, other)| other.value_ms - one.value_ms);
    let low = both.and_then(|(one, other)| Some(other.low_ms - one.high_ms?));
    let high = both.and_then(|(one, other)| Some(other.high_ms? - one.low_ms));
    let label = format!("Latency delta at P95, candidate less baseline, {}", of.words());
    Figure::new(format!("{key}.latency.delta"), label, value, Unit::Milliseconds)
        .between(low, high, "90 %, from both arms' intervals")
        .of(CALLS)
}

/// What recorded calls prove: that it is too slow at whatever load there was; that it is fast enough only where the load was the one that is asked for.
fn latency(
    rows: &Rows,
    (traffic, own_load): (&Traffic<'_>, Option<f64>),
    candidate: Option<&P95>,
    figures: Vec<Figure>,
) -> Found {
    let demand = &rows.settings.scorecard.latency;
    let limit = demand.p95_ms as f64;
    let at = traffic.target_load.map_or_else(|| "the target load".to_owned(), |load| Unit::PerSecond.shown(load));
    let asks = format!("P95 of the {} below {} ms at {at}", demand.of.words(), demand.p95_ms);
    let bench = match traffic.target_load {
        Some(load) => format!("a benchmark of the candidate at {}", Unit::PerSecond.shown(load)),
        None => "a target load (`report.target_load`, or recorded traffic) and a benchmark at it".to_owned(),
    };
    let Some(p95) = candidate else {
        let because = if traffic.n_other_model > 0 {
            "the candidate was called only as another model"
        } else {
            "the candidate has answered nothing on record"
        };
        return Found::not_run(Area::Latency, (demand.required, asks), because, &bench);
    };
    let simulated = traffic.candidate.iter().any(|call| call.simulated);
    let held = own_load.zip(traffic.target_load).is_some_and(|(own, target)| own >= target);
    let (standing, because, settle) = if p95.n < FEWEST {
        let more = FEWEST - p95.n;
        (
            Standing::Undecided,
            format!("{} answers are too few", p95.n),
            Some(format!("{more} more answers, or {bench}")),
        )
    } else if p95.low_ms > limit {
        (Standing::Fail, format!("it is above {} ms, certainly", Unit::Milliseconds.bare(p95.low_ms)), None)
    } else if p95.high_ms.is_some_and(|high| high < limit) {
        if held {
            (Standing::Pass, "below the limit, certainly, at the load of the record".to_owned(), None)
        } else {
            let own = own_load.map_or_else(|| "no load".to_owned(), |load| Unit::PerSecond.shown(load));
            (Standing::Undecided, format!("below the limit, but at {own} only"), Some(bench))
        }
    } else {
        (Standing::Undecided, "the interval holds the limit".to_owned(), Some(format!("more answers, or {bench}")))
    };
    Found { area: Area::Latency, required: demand.required, asks, standing, because, settle, figures, simulated }
}

/// What load is to be held. Recorded calls never prove that more could be.
fn throughput(rows: &Rows, mv: &Move, traffic: &Traffic<'_>, key: &str) -> Found {
    let demand = &rows.settings.scorecard.throughput;
    let wanted = traffic.target_load.map(|load| load * (1.0 + demand.headroom.0));
    let asks = match wanted {
        Some(wanted) => {
            format!("holds {}: the peak and {} more", Unit::PerSecond.shown(wanted), percent(demand.headroom.0))
        }
        None => format!("holds the peak and {} more", percent(demand.headroom.0)),
    };
    let label = "Load that is to be held, headroom included";
    let figure = Figure::new(format!("{key}.throughput.wanted"), label, wanted, Unit::PerSecond).of(traffic.load_from);
    let name = mv.candidate.as_ref().map_or("the candidate", |target| &target.name);
    let settle = match wanted {
        Some(wanted) => format!("a benchmark of `{name}` at {}", Unit::PerSecond.shown(wanted)),
        None => "recorded traffic or `report.target_load`, and a benchmark at it".to_owned(),
    };
    let found = Found::not_run(
        Area::Throughput,
        (demand.required, asks),
        "no benchmark of the candidate is on record",
        &settle,
    );
    Found { figures: wanted.map(|_| figure).into_iter().collect(), ..found }
}

/// A benchmark at the target load or more decides; one at less can only show that it is too slow already.
fn with_bench(rows: &Rows, found: Found, (traffic, benches): (&Traffic<'_>, &Benches), key: &str) -> Found {
    let demand = &rows.settings.scorecard.latency;
    let limit = demand.p95_ms as f64;
    // A target load is a mean: a level that was asked for within a thousandth of it is at it.
    let at_target = |level: &&Level| traffic.target_load.is_some_and(|target| level.per_s >= target * 0.999);
    // Of several at one load the newest counts.
    let nearest = benches.levels.iter().rev().filter(at_target).min_by(|a, b| a.per_s.total_cmp(&b.per_s));
    let below = || benches.levels.iter().rev().find(|level| level.low_ms.is_some_and(|low| low > limit));
    let Some(level) = nearest.or_else(below) else { return found };
    let load = Unit::PerSecond.shown(level.per_s);
    let (standing, because, settle) = if level.low_ms.is_some_and(|low| low > limit) {
        (Standing::Fail, format!("benchmarked above the limit, certainly, at {load}"), None)
    } else if level.high_ms.is_some_and(|high| high < limit) {
        (Standing::Pass, format!("benchmarked below the limit, certainly, at {load}"), None)
    } else {
        let settle = format!("a longer benchmark at {load}");
        (Standing::Undecided, format!("the benchmark's interval at {load} holds the limit"), Some(settle))
    };
    let label = format!("P95 of the candidate, {}, benchmarked at {load}", demand.of.words());
    let figure = Figure::new(format!("{key}.latency.bench"), label, Some(level.value_ms), Unit::Milliseconds)
        .between(level.low_ms, level.high_ms, "95 %, order statistics")
        .of(&level.file);
    let mut figures = found.figures;
    figures.insert(0, figure);
    Found { standing, because, settle, figures, simulated: found.simulated || level.simulated, ..found }
}

/// What a search for the most load found, held against what is wanted.
fn with_most(found: Found, (rows, traffic): (&Rows, &Traffic<'_>), most: Option<&Most>, key: &str) -> Found {
    let Some((most, load)) = most.zip(traffic.target_load) else { return found };
    let wanted = load * (1.0 + rows.settings.scorecard.throughput.headroom.0);
    let (standing, because, settle) = if most.sustained.is_some_and(|held| held >= wanted) {
        (Standing::Pass, "held in a benchmark".to_owned(), None)
    } else if most.failed.is_some_and(|failed| failed <= wanted) {
        let share = most.sustained.unwrap_or(0.0) / wanted;
        (Standing::Fail, format!("it holds {} of that within its objective", Unit::Share.shown(share)), None)
    } else {
        let settle = format!("a search that goes to {}", Unit::PerSecond.shown(wanted));
        (
            Standing::Undecided,
            "the search ended below what is wanted, and not at the server's limit".to_owned(),
            Some(settle),
        )
    };
    let label = "Most load within the benchmark's objective";
    let figure = Figure::new(format!("{key}.throughput.sustained"), label, most.sustained, Unit::PerSecond)
        .between(most.sustained, most.failed, "held and not held")
        .of(&most.file);
    let mut figures = found.figures;
    figures.push(figure);
    Found { standing, because, settle, figures, simulated: most.simulated, ..found }
}

fn percent(share: f64) -> String {
    Unit::Share.shown(share)
}

/// Points of the distribution, at most so many as a plot shows.
fn curve(sketch: &LatencySketch) -> Vec<(f64, f64)> {
    let n = sketch.n();
    let mut below = 0;
    let mut points = Vec::new();
    for (_, high, here) in sketch.ranges() {
        below += here;
        points.push((high as f64 / 1000.0, below as f64 / n as f64));
    }
    let every = points.len().div_ceil(120).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(idx, _)| idx % every == 0 || *idx == last).map(|(_, point)| point).collect()
}
