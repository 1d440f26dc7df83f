//! How many evaluation cases would settle whether the target is reached: studies of so many cases are made up, with the rates that were
//! seen so far taken for the truth, and each is judged as the real one is.
//!
//! Given everything else, what a task costs and how many succeed are straight lines in the side's first-pass success, so that each draw of
//! the rest is kept as two lines a side. What a study would leave uncertain of a rate is drawn as a logistic normal with the mean and variance
//! of the logit of Beta(s + 1/2, n - s + 1/2), approximately `ln(s / (n - s))` and `1/s + 1/(n - s)`.

use serde::Serialize;
use stats::random::Random;

use super::{Book, Plan, Ref};
use crate::tco::spread::{Spread, beta};

/// Studies that are made up for each number of cases.
const STUDIES: usize = 400;
/// Draws of everything else that each is judged by.
const ROWS: usize = 500;
/// A plan is for a decision four times in five; somewhat more is asked of so few studies.
const POWER: f64 = 0.82;
/// More cases than anybody has.
const MOST: u64 = 1 << 20;
const FEWEST: u64 = 16;

/// Evaluation cases that would settle it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Needed {
    /// So many cases of each side settle it four times in five, those there are included, if what was seen so far is the truth.
    Cases {
        /// In all.
        cases: u64,
        /// Beyond those there are of the side that has fewer.
        more: u64,
        /// Those there are, of the side that has fewer.
        there: u64,
        /// Whether they would show that the target is reached; else that it is not.
        reached: bool,
    },
    /// No number of cases would: something else is too uncertain.
    NotByCases {
        /// The input whose swing is largest, evaluations apart.
        because: Option<String>,
    },
    /// First-pass success is not from counted cases.
    NotCounted,
}

/// A side's cost and success as lines in its first-pass failures.
#[derive(Debug, Clone, Copy)]
struct Line {
    cost: f64,
    cost_slope: f64,
    success_slope: f64,
}

impl Line {
    fn per_success(self, wrong: f64) -> f64 {
        (self.cost + wrong * self.cost_slope) / (1.0 - wrong * self.success_slope)
    }
}

struct Rates {
    /// The cell, the rate that was seen, and in how many cases.
    sides: [(Ref, f64, Option<u64>); 2],
}

/// Asks how many.
pub(super) fn needed(book: &Book, plan: &Plan<'_>, (target, certainty): (f64, f64), seed: u64) -> Needed {
    let Some(rates) = rates(book) else { return Needed::NotCounted };
    let Some(rows) = rows(book, &rates, seed) else { return Needed::NotCounted };
    let truth = rates.sides.map(|(_, rate, _)| rate);
    let known = share(&rows, |_| truth, target);
    let reached = known >= certainty;
    if !reached && known > 1.0 - certainty {
        return Needed::NotByCases { because: largest(book, plan, &rates) };
    }
    let enough = |cases: u64| power(&rows, &rates, (cases, target), (certainty, reached), seed) >= POWER;
    let mut upper = FEWEST;
    while !enough(upper) {
        if upper >= MOST {
            return Needed::NotByCases { because: largest(book, plan, &rates) };
        }
        upper *= 2;
    }
    let mut lower = upper / 2;
    // To one in fifty: the figure is no more certain than that.
    while upper - lower > (upper / 50).max(1) {
        let middle = lower.midpoint(upper);
        if enough(middle) { upper = middle } else { lower = middle }
    }
    let there = rates.sides.iter().filter_map(|(_, _, n)| *n).min().unwrap_or(0);
    Needed::Cases { cases: upper, more: upper.saturating_sub(there), there, reached }
}

fn rates(book: &Book) -> Option<Rates> {
    let side = |id: &str| {
        let at = book.at(id)?;
        let cell = book.cell(at);
        let n = match cell.spread.as_deref() {
            Some(Spread::Seen { of, .. }) => Some(*of),
            _ => None,
        };
        Some((at, cell.value.as_ref()?.to_f64(), n))
    };
    let sides = [side("baseline.first_pass")?, side("candidate.first_pass")?];
    sides.iter().any(|(_, _, n)| n.is_some()).then_some(Rates { sides })
}

/// Draws of everything but the rates, as lines.
fn rows(book: &Book, rates: &Rates, seed: u64) -> Option<Vec<[Line; 2]>> {
    let wanted = ["baseline.total", "baseline.succeeds", "candidate.total", "candidate.succeeds", "tasks_per_month"];
    let plan = Plan::of(book, &wanted)?;
    let mut streams = plan.streams(book, seed.wrapping_add(1));
    let mut cells = plan.base.clone();
    let at_rates = |cells: &mut [f64], wrong: f64| {
        rates.sides.iter().for_each(|(at, ..)| cells[at.0] = 1.0 - wrong);
        plan.compute(cells);
        plan.outputs.iter().map(|at| cells[at.0]).collect::<Vec<f64>>()
    };
    let mut row = || {
        for (idx, (at, sampler)) in plan.inputs.iter().enumerate() {
            cells[at.0] = sampler.draw(&mut streams[idx]);
        }
        let (none, all) = (at_rates(&mut cells, 0.0), at_rates(&mut cells, 1.0));
        [0, 2].map(|idx| Line {
            cost: none[idx] / none[4],
            cost_slope: (all[idx] - none[idx]) / none[4],
            success_slope: none[idx + 1] - all[idx + 1],
        })
    };
    Some((0..ROWS).map(|_| row()).collect())
}

/// The share of rows in which the target is reached.
fn share(rows: &[[Line; 2]], rates: impl Fn(usize) -> [f64; 2], target: f64) -> f64 {
    let reached = |(idx, [baseline, candidate]): (usize, &[Line; 2])| {
        let [of_baseline, of_candidate] = rates(idx);
        1.0 - candidate.per_success(1.0 - of_candidate) / baseline.per_success(1.0 - of_baseline) >= target
    };
    rows.iter().enumerate().filter(|row| reached((row.0, row.1))).count() as f64 / rows.len() as f64
}

/// How often a study of so many cases a side comes to the right decision.
fn power(
    rows: &[[Line; 2]],
    rates: &Rates,
    (cases, target): (u64, f64),
    (certainty, reached): (f64, bool),
    seed: u64,
) -> f64 {
    let mut random = Random::new(seed ^ 0x5eed);
    // The same normal draws for every study and number of cases: what differs is what the study saw.
    let normals: Vec<[f64; 2]> = rows.iter().map(|_| [0, 1].map(|_| normal(&mut random))).collect();
    let mut decided = 0_usize;
    for _ in 0..STUDIES {
        let seen = rates.sides.map(|(_, rate, counted)| {
            counted.map(|_| {
                let successes = binomial(cases, rate, &mut random) as f64;
                let (right, wrong) = (successes.max(0.5), (cases as f64 - successes).max(0.5));
                ((right / wrong).ln(), (1.0 / right + 1.0 / wrong).sqrt())
            })
        });
        let drawn = |idx: usize| {
            [0, 1].map(|side| match seen[side] {
                Some((middle, deviation)) => 1.0 / (1.0 + (-(middle + deviation * normals[idx][side])).exp()),
                None => rates.sides[side].1,
            })
        };
        let known = share(rows, drawn, target);
        decided += usize::from(if reached { known >= certainty } else { known <= 1.0 - certainty });
    }
    decided as f64 / STUDIES as f64
}

/// The label of the input with the largest swing, the rates apart.
fn largest(book: &Book, plan: &Plan<'_>, rates: &Rates) -> Option<String> {
    let swing = |at: Ref| {
        let cell = book.cell(at);
        let ends = match cell.spread.as_deref()? {
            Spread::Triangular { low, high } | Spread::Pert { low, high } => [low.to_f64(), high.to_f64()],
            Spread::Seen { .. } => return None,
        };
        let [low, high] = ends.map(|end| plan.with(&[(at, end)])[2]);
        Some(((high - low).abs(), cell.label.clone()))
    };
    let others = plan.inputs.iter().map(|(at, _)| *at).filter(|at| rates.sides.iter().all(|(rate, ..)| rate != at));
    others.filter_map(swing).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, label)| label)
}

fn normal(random: &mut Random) -> f64 {
    stats::special::normal_quantile(random.uniform())
}

/// How many of `n` come out right, each with probability `p`: the middle order statistic of `n` uniform draws is a beta draw, which
/// halves what is left (Ahrens and Dieter 1974).
pub(super) fn binomial(mut n: u64, mut p: f64, random: &mut Random) -> u64 {
    let mut right = 0;
    while n > 24 {
        let middle = n / 2 + 1;
        let at = beta(middle as f64, (n + 1 - middle) as f64, random);
        if at <= p {
            right += middle;
            n -= middle;
            p = (p - at) / (1.0 - at);
        } else {
            n = middle - 1;
            p /= at;
        }
    }
    right + (0..n).filter(|_| random.uniform() < p).count() as u64
}
