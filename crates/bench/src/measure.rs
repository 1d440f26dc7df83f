//! A level of load: what its requests come to.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::{micros, millis};
use crate::definition;
use crate::quantile::{Quantile, SHOWN, of_sorted, sorted_ms};
use crate::result::{Budget, Distribution, Goodput, Level, Load, short};
use crate::sample::{Outcome, Sample, ServerTimes};
use crate::slo::{Attained, Slo};

/// The longest gap that is told apart, an hour, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// Points of a curve of shares.
const N_POINTS: usize = 60;

/// What a client may always lag: 1 ms.
const LAG_MS: f64 = 1.0;

/// The same in a closed loop, where lag shifts no load and only what the clock says of it: 5 ms.
const CLOSED_LAG_MS: f64 = 5.0;

/// The share of a latency, or of what is allowed to one, that the client may take of it.
const LAG_SHARE: f64 = 0.01;

/// Counts of gaps, three digits each. A worker has one for each target; none for each stream.
#[derive(Debug, Clone)]
pub struct Gaps(Option<Histogram<u64>>);

impl Gaps {
    /// No gap yet.
    #[must_use]
    pub fn new() -> Gaps {
        // The bounds are in order and the digits are few: it is always made.
        Gaps(Histogram::new_with_bounds(1, LONGEST_US, 3).ok())
    }

    /// One more.
    pub fn add(&mut self, gap: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(micros(gap));
        }
    }

    /// Those of another worker.
    pub fn merge(&mut self, other: &Gaps) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds.
            histogram.add(other).unwrap_or_default();
        }
    }

    /// None are left.
    pub fn clear(&mut self) {
        if let Some(histogram) = &mut self.0 {
            histogram.reset();
        }
    }

    /// What they come to. Gaps of one request are not independent: there is no interval.
    fn distribution(&self) -> Distribution {
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Distribution::default();
        };
        let ms = |us: u64| us as f64 / 1e3;
        let quantile = |p: f64| Quantile { value: Some(ms(histogram.value_at_quantile(p))), low: None, high: None };
        Distribution {
            n: histogram.len(),
            n_beyond: 0,
            mean: Some(histogram.mean() / 1e3),
            max: Some(ms(histogram.max())),
            quantiles: SHOWN.iter().map(|(name, p)| ((*name).to_owned(), quantile(*p))).collect(),
        }
    }
}

impl Default for Gaps {
    fn default() -> Gaps {
        Gaps::new()
    }
}

/// One level of one target, as the engine leaves it.
#[derive(Debug)]
pub struct Measured<'s> {
    /// Whose it is.
    pub target: &'s str,
    /// How much was sent.
    pub load: Load,
    /// From when to when requests were due that count.
    pub window: (Duration, Duration),
    /// Seconds of it in which this target was asked.
    pub active_s: f64,
    /// These requests.
    pub samples: Vec<&'s Sample>,
    /// Requests that were due before the window and ended in it or after.
    pub earlier: Vec<&'s Sample>,
    /// Gaps of these requests.
    pub gaps: &'s Gaps,
    /// Of a closed loop: how late its workers came to what a clock gave them to do.
    pub beats: &'s [Duration],
    /// A round trip to the server without a model, where one was measured.
    pub network_ms: Option<f64>,
}

/// What the level comes to.
#[must_use]
pub fn level(measured: &Measured<'_>, slo: Option<&Slo>) -> Level {
    let (begin, end) = measured.window;
    let seconds = measured.active_s;
    // What is done goes on while another target has its turn: it is counted over the whole window.
    let span_s = end.saturating_sub(begin).as_secs_f64();
    let is_whole = (span_s - seconds).abs() < 1e-6;
    let samples = &measured.samples;
    let good: Vec<&Sample> = samples.iter().copied().filter(|sample| sample.is_good()).collect();
    let all = || measured.earlier.iter().chain(samples).copied();
    let is_done = |sample: &&Sample| sample.is_good() && sample.ended >= begin && sample.ended <= end;
    let done: Vec<&Sample> = all().filter(is_done).collect();
    let per_s = |n: f64| (span_s > 0.0).then(|| n / span_s);
    let tokens =
        |samples: &[&Sample]| samples.iter().filter_map(|sample| sample.output).map(|(n, _)| n).sum::<u64>() as f64;
    let input = done.iter().filter_map(|sample| sample.input).map(|(n, _)| n).sum::<u64>() as f64;
    let steady = (begin + (end - begin) / 10, begin + (end - begin) / 10 * 9);
    let is_steady = |sample: &&Sample| sample.ended >= steady.0 && sample.ended <= steady.1;
    let in_steady: Vec<&Sample> = done.iter().copied().filter(is_steady).collect();
    let latency = latency(measured, &good);
    let lag = match measured.load {
        // A request that begins when another has ended is late for nothing.
        Load::Concurrency { .. } => summary(measured.beats.iter().copied(), 0),
        Load::Rate { .. } | Load::Replay { .. } => summary(samples.iter().map(|sample| sample.lag()), 0),
    };
    let ttft_ms = latency.get(definition::TTFT_INTENDED).and_then(|ttft| ttft.value("p50"));
    let attained = slo.map(|slo| Attained::of(slo, samples.iter().copied()));
    let active: f64 =
        all().map(|sample| sample.ended.min(end).saturating_sub(sample.started.max(begin)).as_secs_f64()).sum();
    Level {
        target: measured.target.to_owned(),
        load: measured.load,
        seconds,
        duty: if span_s > 0.0 { seconds / span_s } else { 1.0 },
        n_requests: samples.len() as u64,
        n_good: good.len() as u64,
        errors: errors(samples),
        gave_up: false,
        requests_per_s: per_s(done.len() as f64),
        out_tok_s: per_s(tokens(&done)),
        out_tok_s_steady: (seconds > 0.0 && is_whole).then(|| tokens(&in_steady) / (seconds * 0.8)),
        in_tok_s: per_s(input),
        // No requests at all are minus nothing.
        mean_active: per_s(active + 0.0),
        prefill_tok_s: prefill(&good),
        mean_input_tokens: mean(good.iter().filter_map(|sample| sample.input).map(|(n, _)| n as f64)),
        mean_output_tokens: mean(good.iter().filter_map(|sample| sample.output).map(|(n, _)| n as f64)),
        cached_share: cached_share(&good),
        tokens_from: counted(good.iter().filter_map(|sample| sample.output).map(|(_, source)| source.as_str())),
        goodput: attained.map(|attained| Goodput {
            per_s: per_s(attained.n_met as f64),
            attained,
            interval: attained.interval(),
        }),
        verdict: slo.zip(attained).map(|(slo, attained)| slo.judge(&attained)),
        invalid: invalid(&lag, &AllowedLag::of(measured.load, ttft_ms, slo)),
        budget: budget(&good, measured.network_ms),
        shares: shares(&good),
        token_checks: Vec::new(),
        client_lag: lag,
        latency,
    }
}

/// Every latency by the id of its definition.
fn latency(measured: &Measured<'_>, good: &[&Sample]) -> BTreeMap<String, Distribution> {
    let n_beyond = measured.samples.iter().filter(|sample| sample.outcome.is_later()).count();
    let times = |read: fn(&Sample) -> Option<Duration>| good.iter().filter_map(move |sample| read(sample));
    let mut found: BTreeMap<String, Distribution> = [
        (definition::TTFT_INTENDED, Sample::ttft_intended as fn(&Sample) -> Option<Duration>),
        (definition::TTFT_SENT, Sample::ttft_sent),
        (definition::E2E_INTENDED, Sample::e2e_intended),
        (definition::E2E_SENT, Sample::e2e_sent),
    ]
    .into_iter()
    .map(|(id, read)| (id.to_owned(), summary(times(read), n_beyond)))
    .collect();
    found.insert(definition::GAP_MAX.to_owned(), summary(good.iter().filter_map(|sample| sample.longest_gap), 0));
    let mut tpot: Vec<f64> = good.iter().filter_map(|sample| sample.tpot_ms()).collect();
    tpot.sort_unstable_by(f64::total_cmp);
    found.insert(definition::TPOT.to_owned(), of_values(&tpot, 0));
    found.insert(definition::GAP.to_owned(), measured.gaps.distribution());
    found
}

/// What times come to; `n_beyond` more are longer than all of them.
pub fn summary(times: impl Iterator<Item = Duration>, n_beyond: usize) -> Distribution {
    of_values(&sorted_ms(times), n_beyond)
}

fn of_values(sorted: &[f64], n_beyond: usize) -> Distribution {
    Distribution {
        n: sorted.len() as u64,
        n_beyond: n_beyond as u64,
        mean: mean(sorted.iter().copied()),
        max: sorted.last().copied(),
        quantiles: SHOWN.iter().map(|(name, p)| ((*name).to_owned(), of_sorted(sorted, n_beyond, *p))).collect(),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    (n > 0.0).then(|| sum / n)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    of_sorted(&values, 0, 0.5).value
}

fn counted(words: impl Iterator<Item = &'static str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    words.for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
    counts
}

fn errors(samples: &[&Sample]) -> BTreeMap<String, u64> {
    counted(
        samples.iter().map(|sample| sample.outcome).filter(|outcome| *outcome != Outcome::Good).map(Outcome::as_str),
    )
}

/// What helps a client that lags.
pub(crate) const REMEDY: &str = "measure from a machine with nothing else to do, or with more `--workers`; where the servers run on this machine, start them with `chrt --idle 0`";

/// How much of its own lag a client may have at a load, and where that is from.
#[derive(Debug, PartialEq)]
struct AllowedLag {
    ms: f64,
    because: String,
}

impl AllowedLag {
    /// The most of what is always allowed, of 1 % of the median first token, and of 1 % of the objective's smallest limit; in an open loop no more than the mean time
    /// from one arrival to the next, so that the arrivals keep their shape. Lag makes `ttft.intended` and `e2e.intended` longer, never shorter: a limit of these may be missed
    /// for it and is never met for it. It can make a `tpot` or a `gap.max` shorter, by no more than the lag itself: 1 % of what is allowed to them.
    fn of(load: Load, ttft_ms: Option<f64>, slo: Option<&Slo>) -> AllowedLag {
        let (always, gap_ms) = match load {
            Load::Concurrency { .. } => (CLOSED_LAG_MS, None),
            Load::Rate { per_s } | Load::Replay { per_s } => (LAG_MS, Some(1e3 / per_s)),
        };
        let hint = if slo.is_none() { "; with an objective, `--slo`, 1 % of its smallest limit is" } else { "" };
        let mut allowed = AllowedLag { ms: always, because: format!("what is always allowed{hint}") };
        let of_ttft = ttft_ms.map(|ms| (ms, format!("1 % of the p50 of ttft.intended, {} ms", short(ms))));
        let limit = slo.and_then(Slo::smallest);
        let of_slo = limit.map(|(name, ms)| (ms, format!("1 % of the objective's {name} <= {} ms", short(ms))));
        for (ms, because) in of_ttft.into_iter().chain(of_slo) {
            if ms * LAG_SHARE > allowed.ms {
                allowed = AllowedLag { ms: ms * LAG_SHARE, because };
            }
        }
        match gap_ms {
            Some(gap_ms) if gap_ms.max(always) < allowed.ms => AllowedLag {
                ms: gap_ms.max(always),
                because: format!("arrivals are {} ms apart on the mean", short(gap_ms)),
            },
            _ => allowed,
        }
    }
}

/// Why the client's own lag makes the level no evidence.
fn invalid(lag: &Distribution, allowed: &AllowedLag) -> Option<String> {
    let lag = lag.value("p99")?;
    let AllowedLag { ms, because } = allowed;
    (lag > *ms).then(|| {
        format!("the client could not keep up: p99 of client_lag is {lag:.2} ms, of which {ms:.2} ms are allowed ({because}); {REMEDY}")
    })
}

fn prefill(good: &[&Sample]) -> Option<f64> {
    let both = good.iter().filter_map(|sample| sample.server.prefill_tokens.zip(sample.server.prefill_ms));
    let (tokens, ms) = both.fold((0.0, 0.0), |(tokens, ms), (n, time)| (tokens + n, ms + time));
    (ms > 0.0 && tokens > 0.0).then(|| tokens / ms * 1e3)
}

fn cached_share(good: &[&Sample]) -> Option<f64> {
    let input = good.iter().filter_map(|sample| sample.input);
    let (all, cached) =
        input.fold((0.0, 0.0), |(all, cached), (n, of_cache)| (all + n as f64, cached + of_cache as f64));
    (all > 0.0).then(|| cached / all)
}

/// Where a median request's time goes, as far as the server says.
fn budget(good: &[&Sample], network_ms: Option<f64>) -> Budget {
    let of =
        |read: fn(&ServerTimes) -> Option<f64>| median(good.iter().filter_map(|sample| read(&sample.server)).collect());
    let prefill_ms = of(|server| server.prefill_ms);
    let queue_of = |sample: &&&Sample| {
        let ttft = sample.ttft_sent().map(millis)?;
        let server = &sample.server;
        let known = network_ms? + server.prefill_ms? + server.gateway_ms.unwrap_or_default();
        Some((ttft - known).max(0.0))
    };
    let left = || median(good.iter().filter_map(|sample| queue_of(&sample)).collect());
    let after_first = |sample: &&Sample| Some(millis(sample.e2e_sent()?.checked_sub(sample.ttft_sent()?)?));
    Budget {
        network_ms,
        gateway_ms: of(|server| server.gateway_ms),
        queue_ms: of(|server| server.queue_ms).or_else(left),
        prefill_ms,
        decode_ms: of(|server| server.decode_ms).or_else(|| median(good.iter().filter_map(after_first).collect())),
    }
}

/// Curves of the share of requests below a time, for plots.
fn shares(good: &[&Sample]) -> BTreeMap<String, Vec<(f64, f64)>> {
    let curve = |read: fn(&Sample) -> Option<Duration>| {
        let sorted = sorted_ms(good.iter().filter_map(|sample| read(sample)));
        let n = sorted.len();
        let n_points = n.min(N_POINTS);
        let point = |idx: usize| {
            let rank = (idx + 1) * n / n_points;
            (sorted[rank - 1], rank as f64 / n as f64)
        };
        (0..n_points).map(point).collect::<Vec<_>>()
    };
    [
        (definition::TTFT_INTENDED.to_owned(), curve(Sample::ttft_intended)),
        (definition::E2E_INTENDED.to_owned(), curve(Sample::e2e_intended)),
    ]
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests;
