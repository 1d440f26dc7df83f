//! How many replicas hold a load: recorded arrivals are played through a model of a fleet.
//!
//! A replica is limited processor sharing on a measured curve: with `n` requests at work each is a token further every `TPOT(n)` seconds, at
//! most so many at once, and no more than its memory for their tokens holds. What comes beyond that waits in line. A request that is read stops
//! the others for as long as its prompt takes. "Tokens per second" of a server is not one number but this curve.
//!
//! Checked against what is known exactly: Erlang's C formula where `TPOT` does not depend on `n`, the birth-death chain of state-dependent
//! processor sharing where it does (`p_n ∝ Π λ/μ(k)`; it holds for any distribution of lengths while the limit is not reached), and the
//! bound `M / (b E[g])` of a memory of `M` tokens.

pub mod bursts;
pub mod fleet;
mod replica;
#[cfg(test)]
mod tests;
pub mod week;

use stats::random::Random;

use fleet::{Fleet, play};

/// Seconds for a token of each, by how many are at work.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// How many, and seconds for a token of each; both rising.
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// A curve through these points; `None` unless both numbers rise from each to the next, and are above 0.
    #[must_use]
    pub fn new(points: &[(f64, f64)]) -> Option<Curve> {
        let is_rising = points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let is_positive = points.iter().all(|(n, seconds)| *n > 0.0 && *seconds > 0.0 && seconds.is_finite());
        (is_rising && is_positive && !points.is_empty()).then(|| Curve { points: points.to_vec() })
    }

    /// The most at work for which a time is known.
    #[must_use]
    pub fn ends_at(&self) -> f64 {
        self.points.last().map_or(0.0, |(n, _)| *n)
    }

    /// Seconds for a token of each of `n`: straight between points; below the first as there; above the last, as many tokens a second in
    /// all as there.
    #[must_use]
    pub fn at(&self, n: f64) -> f64 {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return f64::NAN };
        if n <= first.0 {
            return first.1;
        }
        if n >= last.0 {
            return last.1 * n / last.0;
        }
        let idx = self.points.partition_point(|(at, _)| *at < n);
        let (low, high) = (self.points[idx - 1], self.points[idx]);
        low.1 + (high.1 - low.1) * (n - low.0) / (high.0 - low.0)
    }
}

/// What a replica can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// How fast it writes.
    pub curve: Curve,
    /// How it reads prompts.
    pub reading: Reading,
    /// Most requests at work at once.
    pub most_active: usize,
    /// Most tokens of prompts and answers in its memory.
    pub memory: Option<f64>,
}

/// How prompts are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// In no time of its own: it is in the curve.
    Free,
    /// Whole, while nobody gets an answer.
    Stalls {
        /// Tokens of prompts in a second.
        tokens_per_second: f64,
    },
    /// In pieces between the tokens of answers, one prompt after the other: while one is read, a token of each takes as much longer as a piece
    /// takes.
    Chunked {
        /// Tokens of prompts in a second, with nobody else at work.
        tokens_per_second: f64,
        /// Tokens of a piece.
        chunk: f64,
    },
}

/// A request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// When it comes, in seconds.
    pub at_s: f64,
    /// Tokens of its prompt.
    pub input: f64,
    /// Tokens of its answer.
    pub output: f64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A replica answered it.
    Answered,
    /// The vendor did.
    AtVendor,
    /// Nobody did.
    Lost,
}

/// What became of a request, in seconds since it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// The request.
    pub arrival: Arrival,
    /// When work on it began.
    pub began_s: f64,
    /// When its first token was there.
    pub first_s: f64,
    /// When it was done.
    pub done_s: f64,
    /// How often it had been tried before.
    pub tries: u32,
    /// How it ended.
    pub end: End,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests, at work or in line.
    LeastOutstanding,
}

/// What became of every request at so many replicas to which nothing happens, in the order in which it was seen. Arrivals are in order of time.
#[must_use]
pub fn replay(arrivals: &[Arrival], machine: &Machine, (replicas, router): (usize, Router)) -> Vec<Served> {
    play(arrivals, machine, &Fleet::constant(replicas, router)).served
}

/// What a fleet is to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// The share of requests that keep it: 0.95.
    pub share: f64,
    /// Seconds to the first token.
    pub first_s: Option<f64>,
    /// Seconds to the end.
    pub done_s: Option<f64>,
}

impl Objective {
    /// The share of requests that keep it; 0 of none.
    #[must_use]
    pub fn kept(&self, served: &[Served]) -> f64 {
        let n = served.iter().filter(|served| self.keeps(served)).count();
        n as f64 / served.len().max(1) as f64
    }

    /// Whether this one keeps it. A request that nobody answered does not.
    #[must_use]
    pub fn keeps(&self, served: &Served) -> bool {
        served.end != End::Lost
            && self.first_s.is_none_or(|most| served.first_s <= most)
            && self.done_s.is_none_or(|most| served.done_s <= most)
    }

    /// Whether enough keep it.
    #[must_use]
    pub fn is_kept(&self, served: &[Served]) -> bool {
        !served.is_empty() && self.kept(served) >= self.share
    }
}

/// The fewest replicas, up to `most`, with which the objective is kept; `None` where even `most` do not. More replicas never make a replay
/// worse but for chance, so that halving finds it.
#[must_use]
pub fn needed(arrivals: &[Arrival], machine: &Machine, objective: Objective, most: usize) -> Option<usize> {
    fewest(most, 1, |replicas| objective.is_kept(&replay(arrivals, machine, (replicas, Router::LeastOutstanding))))
}

/// The fewest, up to `most`, that are enough, looked for around `guess`.
fn fewest(most: usize, guess: usize, enough: impl Fn(usize) -> bool) -> Option<usize> {
    let guess = guess.clamp(1, most.max(1));
    // `lower` are not enough, as none never are; `upper` are.
    let (mut lower, mut upper, mut step) = (guess, guess, 1);
    if enough(guess) {
        loop {
            lower = upper.saturating_sub(step);
            if lower == 0 || !enough(lower) {
                break;
            }
            (upper, step) = (lower, step * 2);
        }
    } else {
        loop {
            if lower >= most {
                return None;
            }
            upper = (lower + step).min(most);
            if enough(upper) {
                break;
            }
            (lower, step) = (upper, step * 2);
        }
    }
    while upper - lower > 1 {
        let middle = lower.midpoint(upper);
        if enough(middle) { upper = middle } else { lower = middle }
    }
    Some(upper)
}

/// The same requests at random times: as many in the same span, each moment as likely. What a size from averages is a size for.
#[must_use]
pub fn at_random(arrivals: &[Arrival], seed: u64) -> Vec<Arrival> {
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else { return Vec::new() };
    let mut random = Random::new(seed);
    let mut times: Vec<f64> = arrivals
        .iter()
        .map(|_| first.at_s + (last.at_s - first.at_s) * (random.bits() >> 11) as f64 / 9_007_199_254_740_992.0)
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    arrivals.iter().zip(times).map(|(arrival, at_s)| Arrival { at_s, ..*arrival }).collect()
}

/// A percentile of what became of requests: the smallest value that so many are not above.
#[must_use]
pub fn percentile(served: &[Served], share: f64, of: fn(&Served) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = served.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    let below = values.len() as f64 * share;
    values.iter().enumerate().find(|(idx, _)| (idx + 1) as f64 >= below).map(|(_, value)| *value)
}
