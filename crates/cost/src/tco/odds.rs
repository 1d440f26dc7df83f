//! How sure one can be: every uncertain input drawn many times, and what the saving comes to. A price or wage that both sides pay is one cell
//! and so one draw for both. The same seed gives the same draws on every machine with the same arithmetic.

mod fan;
mod needed;
#[cfg(test)]
mod tests;

pub use fan::Month;
pub use needed::Needed;

use serde::Serialize;
use stats::random::Random;

use super::book::{Book, Expr, Ref};
use super::spread::Sampler;

/// Draws that decide the last digit of what is shown.
pub const DRAWS: u32 = 200_000;
/// Draws that ranks are compared on: enough for two digits of a share.
const RANKED: usize = 20_000;
/// Bars of the histogram.
const BARS: usize = 60;

/// The cells whose distribution is wanted.
const BASELINE: &str = "baseline.cost_per_successful_task";
const CANDIDATE: &str = "candidate.cost_per_successful_task";
const SAVING: &str = "saving.share";

/// What is drawn, and from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// How often.
    pub draws: u32,
    /// Decides what comes.
    pub seed: u64,
}

/// Three points of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Nine in ten are above.
    pub p10: f64,
    /// The middle.
    pub p50: f64,
    /// One in ten is above.
    pub p90: f64,
}

/// What the odds say of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The saving reaches the target with the certainty that is wanted.
    Reached,
    /// It falls short of it with that certainty.
    Missed,
    /// Neither.
    Undecided,
}

impl Verdict {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Reached => "reached",
            Verdict::Missed => "missed",
            Verdict::Undecided => "undecided",
        }
    }
}

/// What an input does to the saving by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Swing {
    /// The input.
    pub id: String,
    /// What it is.
    pub label: String,
    /// Its own 10th and 90th percentile.
    pub input: (f64, f64),
    /// The saving at these, the rest at their values.
    pub saving: (f64, f64),
    /// Its part of the squared rank correlations with the saving; all parts come to 1.
    pub share: f64,
}

/// How sure one can be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Odds {
    /// Draws.
    pub draws: u32,
    /// What decided them.
    pub seed: u64,
    /// Dollars for a successful task of the baseline.
    pub baseline: Quantiles,
    /// The same of the candidate.
    pub candidate: Quantiles,
    /// The saving for a successful task, as a share of the baseline's cost.
    pub saving: Quantiles,
    /// How likely the candidate is cheaper.
    pub cheaper: f64,
    /// The saving that is wanted.
    pub target: f64,
    /// How likely it is reached.
    pub reaches: f64,
    /// How sure one wants to be.
    pub certainty: f64,
    /// What that says.
    pub verdict: Verdict,
    /// The inputs that are uncertain, the largest swing first.
    pub tornado: Vec<Swing>,
    /// Savings from the 0.5th to the 99.5th percentile: where the first bar begins, how wide a bar is, and draws in each.
    pub histogram: (f64, f64, Vec<u32>),
    /// Evaluation cases that would settle it.
    pub needed: Needed,
    /// What has been saved by each month.
    pub months: Vec<Month>,
}

/// The odds of a study; `None` where what a successful task costs or saves is unknown.
#[must_use]
pub fn odds(book: &Book, draw: Draw) -> Option<Odds> {
    let plan = Plan::of(book, &[BASELINE, CANDIDATE, SAVING])?;
    let figure = |id: &str| Some(book.value(id)?.to_f64());
    let (target, certainty) = (figure("target_saving")?, figure("certainty")?);
    let (inputs, outputs) = plan.draws(book, draw);
    let savings = &outputs[2];
    let n = savings.len() as f64;
    let part = |holds: &dyn Fn(f64) -> bool| savings.iter().filter(|saving| holds(**saving)).count() as f64 / n;
    let (cheaper, reaches) = (part(&|saving| saving > 0.0), part(&|saving| saving >= target));
    let mut sorted = outputs.clone();
    sorted.iter_mut().for_each(|values| values.sort_unstable_by(f64::total_cmp));
    let needed = needed::needed(book, &plan, (target, certainty), draw.seed);
    let verdict = if reaches >= certainty {
        Verdict::Reached
    } else if reaches <= 1.0 - certainty {
        Verdict::Missed
    } else {
        Verdict::Undecided
    };
    Some(Odds {
        draws: draw.draws.max(1),
        seed: draw.seed,
        baseline: quantiles(&sorted[0]),
        candidate: quantiles(&sorted[1]),
        saving: quantiles(&sorted[2]),
        cheaper,
        target,
        reaches,
        certainty,
        verdict,
        tornado: tornado(book, &plan, &inputs, savings),
        histogram: histogram(&sorted[2]),
        needed,
        months: fan::fan(book, draw),
    })
}

/// What a successful task costs on both sides with one input at each of these values and the rest as it is; `None` where that is unknown.
pub(super) fn moved(book: &Book, input: &str, values: &[f64]) -> Option<Vec<[f64; 2]>> {
    let at = book.at(input)?;
    let plan = Plan::moving(book, &[BASELINE, CANDIDATE], &[at])?;
    let both = |value: &f64| {
        let costs = plan.with(&[(at, *value)]);
        [costs[0], costs[1]]
    };
    Some(values.iter().map(both).collect())
}

/// What has to be computed anew for every draw.
pub(super) struct Plan<'a> {
    /// Values of all cells at the inputs' own values; what is not drawn stays as here.
    base: Vec<f64>,
    /// Inputs that are drawn.
    inputs: Vec<(Ref, Sampler)>,
    /// Cells that depend on them and that the outputs depend on, in order.
    steps: Vec<(Ref, &'a Expr)>,
    /// What is wanted.
    outputs: Vec<Ref>,
}

impl<'a> Plan<'a> {
    /// `None` where a wanted cell has no value.
    pub(super) fn of(book: &'a Book, wanted: &[&str]) -> Option<Plan<'a>> {
        Plan::moving(book, wanted, &[])
    }

    /// The same where these inputs may get other values too, though they have no spread.
    fn moving(book: &'a Book, wanted: &[&str], also: &[Ref]) -> Option<Plan<'a>> {
        let cells = book.cells();
        let outputs: Vec<Ref> = wanted.iter().map(|id| book.at(id)).collect::<Option<_>>()?;
        let base: Vec<f64> =
            cells.iter().map(|cell| cell.value.as_ref().map_or(f64::NAN, super::Exact::to_f64)).collect();
        if outputs.iter().any(|at| base[at.0].is_nan()) {
            return None;
        }
        let mut is_needed = vec![false; cells.len()];
        outputs.iter().for_each(|at| is_needed[at.0] = true);
        let (mut named, mut moves) = (Vec::new(), vec![false; cells.len()]);
        for idx in (0..cells.len()).rev().filter(|idx| cells[*idx].formula.is_some()) {
            if !is_needed[idx] {
                continue;
            }
            named.clear();
            cells[idx].formula.iter().for_each(|formula| formula.cells(&mut named));
            named.iter().for_each(|at| is_needed[at.0] = true);
        }
        let (mut inputs, mut steps) = (Vec::new(), Vec::new());
        for (idx, cell) in cells.iter().enumerate().filter(|(idx, _)| is_needed[*idx]) {
            match (&cell.formula, &cell.spread) {
                (None, Some(spread)) => {
                    moves[idx] = true;
                    inputs.push((Ref(idx), spread.sampler(base[idx])));
                }
                (Some(formula), _) => {
                    named.clear();
                    formula.cells(&mut named);
                    moves[idx] = named.iter().any(|at| moves[at.0]);
                    if moves[idx] {
                        steps.push((Ref(idx), formula));
                    }
                }
                (None, None) => moves[idx] = also.contains(&Ref(idx)),
            }
        }
        Some(Plan { base, inputs, steps, outputs })
    }

    /// Computes the steps in `cells`, whose inputs are set.
    pub(super) fn compute(&self, cells: &mut [f64]) {
        for (at, formula) in &self.steps {
            cells[at.0] = formula.compute(cells);
        }
    }

    /// The wanted cells with some inputs at other values.
    fn with(&self, changed: &[(Ref, f64)]) -> Vec<f64> {
        let mut cells = self.base.clone();
        changed.iter().for_each(|(at, value)| cells[at.0] = *value);
        self.compute(&mut cells);
        self.outputs.iter().map(|at| cells[at.0]).collect()
    }

    /// A stream for each input, that its name decides: another input more or less leaves its draws as they were.
    pub(super) fn streams(&self, book: &Book, seed: u64) -> Vec<Random> {
        let stream = |(at, _): &(Ref, Sampler)| Random::new(seed ^ hash(&book.cell(*at).id));
        self.inputs.iter().map(stream).collect()
    }

    /// Draws of the inputs and of the outputs, by cell.
    fn draws(&self, book: &Book, draw: Draw) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let n = draw.draws.max(1) as usize;
        let mut streams = self.streams(book, draw.seed);
        let empty = |n_lists: usize| (0..n_lists).map(|_| Vec::with_capacity(n)).collect::<Vec<Vec<f64>>>();
        let (mut inputs, mut outputs) = (empty(self.inputs.len()), empty(self.outputs.len()));
        let mut cells = self.base.clone();
        for _ in 0..n {
            for (idx, (at, sampler)) in self.inputs.iter().enumerate() {
                let value = sampler.draw(&mut streams[idx]);
                cells[at.0] = value;
                inputs[idx].push(value);
            }
            self.compute(&mut cells);
            for (values, at) in outputs.iter_mut().zip(&self.outputs) {
                values.push(cells[at.0]);
            }
        }
        (inputs, outputs)
    }
}

/// FNV-1a, 64 bits.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A place in a sorted list, between two by their distance.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let below = place.floor();
    let idx = index(below, sorted.len());
    let above = sorted[(idx + 1).min(sorted.len() - 1)];
    sorted[idx] + (above - sorted[idx]) * (place - below)
}

/// A place from 0 to below `n`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and n - 1 just before")]
fn index(place: f64, n: usize) -> usize {
    place.clamp(0.0, (n - 1) as f64) as usize
}

fn quantiles(sorted: &[f64]) -> Quantiles {
    Quantiles { p10: quantile(sorted, 0.1), p50: quantile(sorted, 0.5), p90: quantile(sorted, 0.9) }
}

fn histogram(sorted: &[f64]) -> (f64, f64, Vec<u32>) {
    let (low, high) = (quantile(sorted, 0.005), quantile(sorted, 0.995));
    let width = (high - low) / BARS as f64;
    let mut bars = vec![0; BARS];
    if width > 0.0 {
        for value in sorted.iter().filter(|value| (low..=high).contains(*value)) {
            bars[index((value - low) / width, BARS)] += 1;
        }
    }
    (low, width, bars)
}

fn tornado(book: &Book, plan: &Plan<'_>, inputs: &[Vec<f64>], savings: &[f64]) -> Vec<Swing> {
    let n = savings.len().min(RANKED);
    let of_saving = ranks(&savings[..n]);
    let mut swings: Vec<Swing> = plan
        .inputs
        .iter()
        .zip(inputs)
        .map(|((at, _), draws)| {
            let mut sorted = draws.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let input = (quantile(&sorted, 0.1), quantile(&sorted, 0.9));
            let at_end = |value: f64| plan.with(&[(*at, value)])[2];
            let cell = book.cell(*at);
            Swing {
                id: cell.id.clone(),
                label: cell.label.clone(),
                input,
                saving: (at_end(input.0), at_end(input.1)),
                share: correlation(&ranks(&draws[..n]), &of_saving).powi(2),
            }
        })
        .collect();
    let sum: f64 = swings.iter().map(|swing| swing.share).sum();
    swings.iter_mut().filter(|_| sum > 0.0).for_each(|swing| swing.share /= sum);
    let width = |swing: &Swing| (swing.saving.1 - swing.saving.0).abs();
    swings.sort_by(|a, b| width(b).total_cmp(&width(a)).then_with(|| a.id.cmp(&b.id)));
    swings
}

/// The place of each in order. Draws are continuous: equals do not matter.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    order.into_iter().enumerate().for_each(|(rank, idx)| ranks[idx] = rank as f64);
    ranks
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        both += x * y;
        of_a += x * x;
        of_b += y * y;
    }
    if of_a > 0.0 && of_b > 0.0 { both / (of_a * of_b).sqrt() } else { 0.0 }
}
