//! Task quality: the candidate beside the baseline on the same cases, from the newest evaluation of just these two targets.

use eval::compare::{ALPHA, Comparison, Pair, Question, Verdict, compare};
use eval::metric::Range;
use serde::Serialize;
use stats::multiplicity::holm;
use std::collections::BTreeMap;

use crate::area::{Area, Found, Standing};
use crate::commands;
use crate::figure::{Figure, Unit};
use crate::report::Stale;
use crate::rows::{Asked, CasePair, Rows, Run};
use crate::settings::{Move, TargetFacts};
use crate::words::{each, n_of};

/// Slices with fewer cases are not looked at on their own.
const SMALLEST_SLICE: usize = 20;

/// What the evaluations say of a move.
pub(crate) struct Quality {
    pub found: Found,
    /// Parts that reach parity by themselves, where the whole does not.
    pub good_parts: Vec<Part>,
    /// Parts in which the candidate is worse beyond chance.
    pub worse_parts: Vec<Part>,
    /// Evaluations that are not counted, and why.
    pub stale: Vec<Stale>,
    /// How much better the candidate is.
    pub delta: Figure,
}

/// A part of the workload: a slice of its cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// The dimension and the value, `language=de`.
    pub slice: String,
    /// Its cases.
    pub cases: u64,
    /// The candidate less the baseline.
    pub difference: Figure,
    /// How much of the baseline's quality is kept.
    pub parity: Figure,
}

const WHAT_IT_IS: &str = "Quality delta, candidate less baseline";

/// What is known of the quality of a move's candidate.
pub(crate) fn quality(rows: &Rows, mv: &Move, key: &str) -> Quality {
    let demand = &rows.settings.scorecard.quality;
    let parity = demand.parity.0;
    let asks = format!("scores at least {} of the baseline's mean on our own tasks", Unit::Share.shown(parity));
    let target = format!("mean score ≥ {} of the baseline's", Unit::Share.shown(parity));
    let no_delta = Figure::new(format!("{key}.quality.delta"), WHAT_IT_IS, None, Unit::Value);
    let mut stale = Vec::new();
    let mut fresh = fresh(rows, mv, &mut stale);
    let Some((idx, run)) = fresh.pop() else {
        let because = match stale.len() {
            0 => "no evaluation of these two targets is on record".to_owned(),
            n => format!("{} of these two targets on record, none counts: {}", n_of(n, "evaluation"), each(&stale)),
        };
        let settle = format!("{} on your own cases", commands::eval(mv, None));
        let found = Found::not_run(Area::Quality, (demand.required, asks, target), &because, &settle);
        return Quality { found, good_parts: Vec::new(), worse_parts: Vec::new(), stale, delta: no_delta };
    };
    let file = Rows::run_file(idx);
    let (alpha, comparison) = whole(rows, run);
    let unit = unit(run);
    let delta = difference(&comparison, (format!("{key}.quality.delta"), WHAT_IT_IS), unit).of(&file);
    let kept = kept(&comparison, format!("{key}.quality.parity")).of(&file);
    let n = Figure::new(format!("{key}.quality.cases"), "Cases compared", Some(comparison.n as f64), Unit::Count);
    let (standing, because, settle) = judged(rows, mv, run, (&comparison, parity));
    let disagrees = displaced((rows, mv), (run, standing), &fresh, (parity, &mut stale));
    let (good_parts, worse_parts) = parts(rows, (idx, run), (key, parity, alpha));
    let decides = Some(kept.id.clone());
    let found = Found {
        area: Area::Quality,
        required: demand.required,
        asks,
        target,
        standing,
        because: format!(
            "{because} (run `{}`, metric {}, margin {}){}{disagrees}",
            run.head.run,
            run.head.primary,
            run.head.margin.0,
            agreement(run)
        ),
        settle,
        again: None,
        figures: vec![delta.clone(), kept, n.of(&file)],
        decides,
        simulated: run.head.simulated,
    };
    Quality { found, good_parts, worse_parts, stale, delta }
}

/// What right answers that are answers of the two targets make of a score: agreement. Of others nothing is said.
fn agreement(run: &Run) -> String {
    let of = |(target, role): (&Asked, &str)| {
        let n = run.head.answered_by.get(&target.name)?;
        Some(format!("{n} of {} right answers are the {role}'s own, of the record", run.cases.len()))
    };
    let both = [(&run.head.baseline, "baseline"), (&run.head.candidate, "candidate")];
    let parts: Vec<String> = both.into_iter().filter_map(of).collect();
    if parts.is_empty() { String::new() } else { format!("; agreement, not correctness: {}", parts.join(", ")) }
}

/// The runs that may be counted, the newest last; why others may not goes to `stale`.
fn fresh<'r>(rows: &'r Rows, mv: &Move, stale: &mut Vec<Stale>) -> Vec<(usize, &'r Run)> {
    let Some(candidate) = mv.candidate.as_ref() else { return Vec::new() };
    let of_both = |run: &Run| run.head.baseline.name == mv.baseline.name && run.head.candidate.name == candidate.name;
    let mut fresh = Vec::new();
    for (idx, run) in rows.runs.iter().enumerate().filter(|(_, run)| of_both(run)) {
        let old = rows
            .settings
            .too_old(run.head.at_us)
            .map(|days| format!("it is {days} days old; {} are the most", rows.settings.scorecard.max_age_days));
        let changed = changed(&run.head.baseline, &mv.baseline).or_else(|| changed(&run.head.candidate, candidate));
        match old.or(changed) {
            Some(why) => stale.push(Stale { what: format!("evaluation `{}`", run.head.run), why }),
            None => fresh.push((idx, run)),
        }
    }
    fresh.sort_by(|(_, one), (_, other)| (one.head.at_us, &one.head.run).cmp(&(other.head.at_us, &other.head.run)));
    fresh
}

/// All cases of a run, and how sure what is said of them has to be.
fn whole(rows: &Rows, run: &Run) -> (f64, Comparison) {
    let alpha = ALPHA / run.head.n_candidates.max(1) as f64;
    let all: Vec<&CasePair> = run.cases.iter().collect();
    (alpha, compared(rows, run, &all, (run.head.margin.0, alpha)))
}

/// Earlier evaluations, which the newest stands before: each is listed with its own result, and one that disagrees is named on the row.
fn displaced(
    (rows, mv): (&Rows, &Move),
    (run, standing): (&Run, Standing),
    earlier: &[(usize, &Run)],
    (parity, stale): (f64, &mut Vec<Stale>),
) -> String {
    let mut disagree = Vec::new();
    for (_, other) in earlier {
        let (_, comparison) = whole(rows, other);
        let (was, ..) = judged(rows, mv, other, (&comparison, parity));
        let cases = n_of(usize::try_from(comparison.n).unwrap_or(usize::MAX), "case");
        let why =
            format!("`{}` of the same two targets is newer; this one is {} on {cases}", run.head.run, was.label());
        stale.push(Stale { what: format!("evaluation `{}`", other.head.run), why });
        if was != standing {
            disagree.push(format!(
                "`{}` is {} on {cases} at a margin of {}",
                other.head.run,
                was.label(),
                other.head.margin.0
            ));
        }
    }
    // The latest of them says most.
    disagree.reverse();
    match disagree.as_slice() {
        [] => String::new(),
        [only] => format!("; an earlier run disagrees: {only}"),
        [latest, more @ ..] => format!("; {} earlier runs disagree: {latest}, and {} more", more.len() + 1, more.len()),
    }
}

/// What the row of quality says of earlier evaluations that disagree.
pub(crate) fn disagreement(because: &str) -> Option<&str> {
    because.split("; ").find(|part| part.contains("earlier run disagrees") || part.contains("earlier runs disagree"))
}

/// Why a target is not the one that was asked.
pub(crate) fn changed(then: &Asked, now: &TargetFacts) -> Option<String> {
    if then.fingerprint == now.fingerprint && then.provider == now.provider && then.model == now.model {
        return None;
    }
    Some(if then.model != now.model {
        format!("`{}` was the model {} then and is {} now", now.name, then.model, now.model)
    } else if then.provider == now.provider {
        format!("the prompt or the parameters of `{}` have changed since", now.name)
    } else {
        format!("`{}` was at the provider {} then and is at {} now", now.name, then.provider, now.provider)
    })
}

fn unit(run: &Run) -> Unit {
    let (low, high) = (run.head.range.0.0, run.head.range.1.0);
    if (high - low - 1.0).abs() < 1e-9 { Unit::Points } else { Unit::Value }
}

fn compared(rows: &Rows, run: &Run, cases: &[&CasePair], (margin, alpha): (f64, f64)) -> Comparison {
    let pair = |case: &&CasePair| {
        Some(Pair { cluster: case.cluster.clone(), baseline: case.baseline?, candidate: case.candidate? })
    };
    let pairs: Vec<Pair> = cases.iter().filter_map(pair).collect();
    let range = Range { low: run.head.range.0.0, high: run.head.range.1.0 };
    compare(&pairs, (cases.len() - pairs.len()) as u64, Question { margin, alpha, seed: rows.settings.seed, range })
}

fn difference(comparison: &Comparison, (id, label): (String, &str), unit: Unit) -> Figure {
    let figure = Figure::new(id, label, comparison.difference, unit);
    let ends = comparison.interval;
    let level = ends.map_or(0.9, |ends| ends.level);
    let kind = format!("{} %, {}", (level * 1000.0).round() / 10.0, comparison.method);
    figure.between(ends.map(|ends| ends.low), ends.map(|ends| ends.high), kind)
}

fn kept(comparison: &Comparison, id: String) -> Figure {
    let parity = comparison.parity;
    let ends = parity.and_then(|parity| parity.interval);
    let level = ends.map_or(0.9, |ends| ends.level);
    Figure::new(id, "Mean score, as a share of the baseline's", parity.map(|parity| parity.share), Unit::Share).between(
        ends.map(|ends| ends.low),
        ends.map(|ends| ends.high),
        format!("{} %, bootstrap over cases", (level * 1000.0).round() / 10.0),
    )
}

/// Pass where both the parity that is demanded and the margin that the run stated before it began allow; fail where either is proven wrong.
fn judged(
    rows: &Rows,
    mv: &Move,
    run: &Run,
    (comparison, parity): (&Comparison, f64),
) -> (Standing, String, Option<String>) {
    let again = commands::eval(mv, Some(&run.head.dataset));
    let by_margin = format!("the candidate is less than the run's own margin of {} worse, or not", run.head.margin.0);
    let by_parity = format!("the mean score is {} of the baseline's, or not", Unit::Share.shown(parity));
    let more = |cases: Option<u64>, what: &str| match cases {
        Some(cases) if cases > 0 => {
            format!(
                "{cases} more evaluation cases to show that {what}, if what was seen so far is the truth: {again} with them in the dataset"
            )
        }
        Some(_) => {
            format!(
                "fresh cases: so many decide it four times in five, and these did not; {again} with them in the dataset"
            )
        }
        None => format!(
            "another dataset, or another metric or margin stated before the run: no number of cases like these would settle it; {again}"
        ),
    };
    if !run.head.whole {
        let settle = format!("the run to its end, typed as it was begun: {again}");
        return (Standing::Undecided, "the run is not whole".to_owned(), Some(settle));
    }
    if let Some(held) = &run.head.held {
        return (Standing::Undecided, held.clone(), Some(format!("a run whose verdict counts: {again}")));
    }
    if comparison.is_empty {
        let settle = format!(
            "cases that say what they expect as these targets answer, or a metric that reads it: `crossfade eval report {} -o answers.html` \
             shows the answers, then {again}",
            run.head.run
        );
        return (Standing::Undecided, comparison.because.clone().unwrap_or_default(), Some(settle));
    }
    let ends = comparison.parity.and_then(|kept| kept.interval);
    let needed = || {
        // So much worse as parity allows is the margin that is to be proven.
        let allowed = comparison.baseline.map_or(0.0, |mean| (1.0 - parity) * mean).min(run.head.margin.0);
        let cases: Vec<&CasePair> = run.cases.iter().collect();
        let asked = compared(rows, run, &cases, (allowed, ALPHA / run.head.n_candidates.max(1) as f64));
        // Without an answer to that, the run's own margin is asked.
        match asked.still_needed {
            Some(cases) if allowed < run.head.margin.0 => more(Some(cases), &by_parity),
            _ => more(comparison.still_needed, &by_margin),
        }
    };
    let proven = |share: f64, end: &str| {
        format!("{} of the baseline's mean score, the {end} end of the interval", Unit::Share.shown(share))
    };
    match (ends, comparison.verdict) {
        (_, Verdict::Fail) => {
            (Standing::Fail, "worse than the baseline by the run's own margin or more".to_owned(), None)
        }
        (Some(ends), _) if ends.high < parity => {
            (Standing::Fail, format!("at most {}", proven(ends.high, "high")), None)
        }
        (Some(ends), Verdict::Pass) if ends.low >= parity => {
            (Standing::Pass, format!("at least {}", proven(ends.low, "low")), None)
        }
        (Some(ends), Verdict::Undecided) if ends.low >= parity => {
            let why = comparison.because.clone();
            let why = why.unwrap_or_else(|| "the margin that the run stated is not proven yet".to_owned());
            (Standing::Undecided, why, Some(more(comparison.still_needed, &by_margin)))
        }
        (None, verdict) => {
            // A share of no width, or of values that can be below nothing: the run's own margin is all there is.
            let all_kept = comparison.parity.is_some_and(|kept| kept.share >= parity);
            if verdict == Verdict::Pass && all_kept {
                return (
                    Standing::Pass,
                    "not worse by the run's own margin, and no case says otherwise".to_owned(),
                    None,
                );
            }
            let why = comparison.because.clone().unwrap_or_else(|| "too few cases".to_owned());
            (Standing::Undecided, why, Some(more(comparison.still_needed, &by_margin)))
        }
        _ => {
            let why = comparison.because.clone();
            (Standing::Undecided, why.unwrap_or_else(|| "the interval holds both".to_owned()), Some(needed()))
        }
    }
}

/// Parts that keep parity by themselves, and parts that are worse beyond chance, both corrected for how many parts are looked at.
fn parts(rows: &Rows, (idx, run): (usize, &Run), (key, parity, alpha): (&str, f64, f64)) -> (Vec<Part>, Vec<Part>) {
    let mut by_slice: BTreeMap<(&String, &String), Vec<&CasePair>> = BTreeMap::new();
    for case in &run.cases {
        for slice in &case.slices {
            by_slice.entry(slice).or_default().push(case);
        }
    }
    // A slice of all cases is no part.
    by_slice.retain(|_, cases| cases.len() >= SMALLEST_SLICE && cases.len() < run.cases.len());
    if !run.head.whole || run.head.held.is_some() || by_slice.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let alpha = alpha / by_slice.len() as f64;
    let file = Rows::run_file(idx);
    let looked: Vec<(Part, Comparison)> = by_slice
        .into_iter()
        .map(|((name, value), cases)| {
            let comparison = compared(rows, run, &cases, (run.head.margin.0, alpha));
            let slice = format!("{name}={value}");
            let id = format!("{key}.quality.part.{slice}");
            let part = Part {
                difference: difference(&comparison, (format!("{id}.delta"), "Quality delta of a part"), unit(run))
                    .of(&file),
                parity: kept(&comparison, format!("{id}.parity")).of(&file),
                cases: comparison.n,
                slice,
            };
            (part, comparison)
        })
        .collect();
    let tested: Vec<(usize, f64)> =
        looked.iter().enumerate().filter_map(|(idx, (_, one))| Some((idx, one.p_different?))).collect();
    let adjusted = holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    let is_worse = |(idx, p): (usize, f64)| p <= ALPHA && looked[idx].1.difference.is_some_and(|by| by < 0.0);
    let worse: Vec<usize> = tested
        .iter()
        .zip(adjusted)
        .map(|((idx, _), p)| (*idx, p))
        .filter(|one| is_worse(*one))
        .map(|(idx, _)| idx)
        .collect();
    let is_good = |comparison: &Comparison| {
        let kept = comparison.parity;
        let is_kept = match kept.and_then(|kept| kept.interval) {
            Some(ends) => ends.low >= parity,
            None => kept.is_some_and(|kept| kept.share >= parity),
        };
        comparison.verdict == Verdict::Pass && is_kept
    };
    let good = looked.iter().enumerate().filter(|(idx, (_, one))| is_good(one) && !worse.contains(idx));
    let good = good.map(|(_, (part, _))| part.clone()).collect();
    (good, worse.iter().map(|idx| looked[*idx].0.clone()).collect())
}
