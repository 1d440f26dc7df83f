//! Is what is found after a move as good as what was found before?
//!
//! Three questions that are often taken for one. How alike the two lists are: overlap, rank-biased overlap, Kendall's tau. How much an index loses against comparing with
//! everything: `ann_recall@k`. And how good the lists are: nDCG, recall and the like against relevance that people judged. Only the last can say that a new model is better, and
//! only by it is a change of models judged; lists that are the same within the margin need no judgement.
//!
//! The bootstrap's interval is what one reads; the verdict is by Gaffke's bound ([`stats::sample_mean`]), which is not fooled by a few dozen queries none of which is a loss.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stats::bootstrap::Bootstrap;
use stats::equivalence::Moments;
use stats::multiplicity::holm;
use stats::retrieval::{self, Ranked};
use stats::sample_mean::SampleMean;
use stats::sample_size::{Errors, NonInferiority, non_inferior_bounded_means, provable_bounded_margin};

use crate::relevance::Scored;

/// Resamples of the bootstrap.
const N_RESAMPLES: usize = 10_000;
/// How likely a reader goes on to the next rank, for rank-biased overlap.
const PERSISTENCE: f64 = 0.9;
/// Fewer queries than these make no slice of their own.
pub const LEAST_SLICE: usize = 10;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// How many of a list count.
    pub k: usize,
    /// How much worse the target may be, in the metric's own unit.
    pub margin: f64,
    /// How often a worse one may pass.
    pub alpha: f64,
    /// How often an equal one shall pass, where the number of queries needed is said.
    pub power: f64,
    /// For what is drawn by chance.
    pub seed: u64,
}

/// What one side found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Documents by query, the best first.
    pub lists: BTreeMap<String, Vec<String>>,
    /// The k truly nearest by query and what is as near as the k-th, where `lists` came out of an index.
    pub exact: Option<BTreeMap<String, Vec<String>>>,
}

/// A mean over queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is of.
    pub name: String,
    /// Over how many queries.
    pub n: usize,
    /// The mean.
    pub mean: f64,
    /// The bootstrap's 95 % interval; none for fewer than two queries.
    pub interval: Option<(f64, f64)>,
}

/// A metric on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub metric: String,
    /// Over how many queries.
    pub n: usize,
    /// Its mean before.
    pub source: f64,
    /// Its mean after.
    pub target: f64,
    /// After minus before, and the 95 % interval of the paired bootstrap (bias-corrected and accelerated).
    pub difference: Figure,
    /// Queries on which it is higher after, lower, and the same.
    pub n_better_worse_same: (usize, usize, usize),
    /// How likely so good a sample is, were the target worse by the margin.
    pub p_not_worse: f64,
    /// How likely so bad a sample is, were it not.
    pub p_worse: f64,
    /// What these say.
    pub verdict: Verdict,
    /// The smallest margin that as many queries prove where nothing changed, with the power asked for: nothing smaller can be seen.
    pub provable_margin: Option<f64>,
    /// Queries needed in all to prove the margin, if nothing changed.
    pub n_needed: Option<u64>,
}

/// What the evidence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not worse by more than the margin.
    Pass,
    /// Worse by more than the margin.
    Fail,
    /// Neither is proven.
    Undecided,
}

/// Queries of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Which, as `FIELD=VALUE`.
    pub name: String,
    /// The metrics that decide, on these queries alone; `p_worse` is adjusted for the number of slices (Holm).
    pub changes: Vec<Change>,
}

/// How many queries have an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// With at least one document.
    pub n_answered: usize,
    /// With k of them.
    pub n_full: usize,
}

/// What the comparison came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// How many of a list count.
    pub k: usize,
    /// The margin.
    pub margin: f64,
    /// Queries.
    pub n_queries: usize,
    /// Queries whose relevance is known and that have a relevant document; the metrics are over these.
    pub n_judged: usize,
    /// Judged queries without any relevant document: in no mean.
    pub n_without_relevant: usize,
    /// Of the source, of the target.
    pub coverage: (Coverage, Coverage),
    /// How alike the lists are.
    pub alike: Vec<Figure>,
    /// What the source's index loses, and the target's: `ann_recall@k`.
    pub index: (Option<Figure>, Option<Figure>),
    /// Metrics against relevance; the first two decide.
    pub quality: Vec<Change>,
    /// The same by slice.
    pub slices: Vec<Slice>,
    /// Slices that were too small to say anything of.
    pub n_small_slices: usize,
    /// In all.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// Per query: its overlap, and its change of the first metric where it is judged.
    pub queries: BTreeMap<String, (f64, Option<f64>)>,
}

/// Compares. `relevance` grades documents by query; `slices` are sets of queries by name. A query that a side did not answer has an empty list there and counts as such.
#[must_use]
pub fn compare(
    (source, target): (&Found, &Found),
    relevance: &Scored,
    slices: &BTreeMap<String, BTreeSet<String>>,
    ask: Ask,
) -> Parity {
    let k = ask.k;
    let queries: BTreeSet<&String> = source.lists.keys().chain(target.lists.keys()).chain(relevance.keys()).collect();
    let lists = |query: &String| (list(source, query), list(target, query));
    let mean = |name: String, value: &dyn Fn(&String) -> Option<f64>| {
        figure(name, &queries.iter().filter_map(|query| value(query)).collect::<Vec<f64>>(), ask)
    };
    let overlap = |query: &String| retrieval::overlap(lists(query).0, lists(query).1, k);
    let first = |list: &[String]| list.iter().take(k).cloned().collect::<Vec<String>>();
    let alike = vec![
        mean(format!("overlap@{k}"), &|query| Some(overlap(query))),
        mean(format!("jaccard@{k}"), &|query| Some(retrieval::jaccard(lists(query).0, lists(query).1, k))),
        mean(format!("rbo@{k}"), &|query| {
            Some(retrieval::rank_biased_overlap(&first(lists(query).0), &first(lists(query).1), PERSISTENCE))
        }),
        mean(format!("kendall@{k}"), &|query| retrieval::kendall(&first(lists(query).0), &first(lists(query).1))),
    ];
    let index = |side: &Found| {
        let exact = side.exact.as_ref()?;
        let value = |query: &String| exact.get(query).and_then(|exact| ann_recall(list(side, query), exact, k));
        Some(mean(format!("ann_recall@{k}"), &value))
    };
    let has_relevant = |grades: &BTreeMap<String, f64>| grades.values().any(|grade| *grade > 0.0);
    let judged: BTreeSet<&String> =
        relevance.iter().filter(|(_, grades)| has_relevant(grades)).map(|(query, _)| query).collect();
    let scores = |ranked, within: &dyn Fn(&String) -> bool| -> Vec<(f64, f64)> {
        let of = |list: &[String], query: &String| retrieval::of(ranked, &relevance[query], list, Some(k));
        judged
            .iter()
            .filter(|query| within(query))
            .map(|query| (of(lists(query).0, query), of(lists(query).1, query)))
            .collect()
    };
    let quality: Vec<Change> = METRICS
        .iter()
        .filter(|_| !judged.is_empty())
        .map(|(name, ranked)| change(&format!("{name}@{k}"), &scores(*ranked, &|_| true), ask))
        .collect();
    let n_within = |members: &BTreeSet<String>| judged.iter().filter(|query| members.contains(**query)).count();
    let (large, small): (Vec<_>, Vec<_>) = slices.iter().partition(|(_, members)| n_within(members) >= LEAST_SLICE);
    let mut by_slice: Vec<Slice> = large
        .into_iter()
        .map(|(name, members)| {
            let of = |(metric, ranked): &(&str, Ranked)| {
                change(&format!("{metric}@{k}"), &scores(*ranked, &|query| members.contains(query)), ask)
            };
            Slice { name: name.clone(), changes: METRICS[..N_DECIDING].iter().map(of).collect() }
        })
        .collect();
    adjust(&mut by_slice, ask);
    let (verdict, why) =
        judge(&queries.iter().map(|query| overlap(query)).collect::<Vec<f64>>(), &quality, &by_slice, ask);
    let gain = |query: &String| {
        let (one, other) = lists(query);
        let of = |list: &[String]| retrieval::of(METRICS[0].1, &relevance[query], list, Some(k));
        judged.contains(query).then(|| of(other) - of(one))
    };
    Parity {
        k,
        margin: ask.margin,
        n_queries: queries.len(),
        n_judged: judged.len(),
        n_without_relevant: relevance.len() - judged.len(),
        coverage: (coverage(source, &queries, k), coverage(target, &queries, k)),
        alike,
        index: (index(source), index(target)),
        quality,
        slices: by_slice,
        n_small_slices: small.len(),
        verdict,
        why,
        queries: queries.iter().map(|query| ((*query).clone(), (overlap(query), gain(query)))).collect(),
    }
}

/// The metrics, those that decide first.
const METRICS: [(&str, Ranked); 5] = [
    ("ndcg", Ranked::Ndcg),
    ("recall", Ranked::Recall),
    ("mrr", Ranked::ReciprocalRank),
    ("precision", Ranked::Precision),
    ("map", Ranked::AveragePrecision),
];
const N_DECIDING: usize = 2;

/// How much of the truly nearest an index found: of the first k of its list, those among `exact` (which has those as near as the k-th too), over k, or over how many there are.
#[must_use]
pub fn ann_recall(list: &[String], exact: &[String], k: usize) -> Option<f64> {
    let near: BTreeSet<&String> = exact.iter().collect();
    let most = k.min(near.len());
    let n_found = list.iter().take(k).collect::<BTreeSet<_>>().intersection(&near).count().min(most);
    (most > 0).then(|| n_found as f64 / most as f64)
}

fn list<'found>(found: &'found Found, query: &String) -> &'found [String] {
    found.lists.get(query).map_or(&[], Vec::as_slice)
}

fn coverage(found: &Found, queries: &BTreeSet<&String>, k: usize) -> Coverage {
    let n_with = |least: usize| queries.iter().filter(|query| list(found, query).len() >= least).count();
    Coverage { n_answered: n_with(1), n_full: n_with(k) }
}

/// The mean of values and its interval.
pub(crate) fn figure(name: String, values: &[f64], ask: Ask) -> Figure {
    let units: Vec<(u64, f64)> = values.iter().map(|value| (1, *value)).collect();
    let bootstrap = Bootstrap::of_mean(&units, N_RESAMPLES, ask.seed);
    let interval = bootstrap.bias_corrected(0.05).or_else(|| bootstrap.percentile(0.05)).filter(|_| values.len() > 1);
    Figure { name, n: values.len(), mean: if values.is_empty() { 0.0 } else { bootstrap.estimate() }, interval }
}

fn change(metric: &str, scores: &[(f64, f64)], ask: Ask) -> Change {
    let differences: Vec<f64> = scores.iter().map(|(before, after)| after - before).collect();
    let mean_of =
        |value: &dyn Fn(&(f64, f64)) -> f64| scores.iter().map(value).sum::<f64>() / scores.len().max(1) as f64;
    let count = |is: &dyn Fn(f64) -> bool| differences.iter().filter(|difference| is(**difference)).count();
    let units: Vec<(u64, f64)> = differences.iter().map(|difference| (1, *difference)).collect();
    let bound = SampleMean::new(&units, (-1.0, 1.0), 1.0, ask.seed);
    let p_not_worse = bound.as_ref().map_or(1.0, |bound| bound.p_at_most(-ask.margin));
    let p_worse = bound.as_ref().map_or(1.0, |bound| bound.p_at_least(-ask.margin));
    let deviation = Moments::of(&differences).variance.sqrt();
    let errors = Errors { alpha: ask.alpha, power: ask.power };
    let no_change = NonInferiority { margin: ask.margin, difference: 0.0 };
    Change {
        metric: metric.to_owned(),
        n: scores.len(),
        source: mean_of(&|pair| pair.0),
        target: mean_of(&|pair| pair.1),
        difference: figure(format!("{metric}, after minus before"), &differences, ask),
        n_better_worse_same: (count(&|d| d > 0.0), count(&|d| d < 0.0), count(&|d| d == 0.0)),
        p_not_worse,
        p_worse,
        verdict: verdict_of(p_not_worse, p_worse, ask.alpha),
        provable_margin: provable_bounded_margin(scores.len() as u64, deviation, 1.0, errors),
        n_needed: non_inferior_bounded_means(deviation, 1.0, no_change, errors),
    }
}

fn verdict_of(p_not_worse: f64, p_worse: f64, alpha: f64) -> Verdict {
    match (p_not_worse <= alpha, p_worse <= alpha) {
        (true, _) => Verdict::Pass,
        (false, true) => Verdict::Fail,
        (false, false) => Verdict::Undecided,
    }
}

/// Many slices find a loss by chance: the chance that any is called worse wrongly is `alpha`.
fn adjust(slices: &mut [Slice], ask: Ask) {
    let mut changes: Vec<&mut Change> = slices.iter_mut().flat_map(|slice| &mut slice.changes).collect();
    let adjusted = holm(&changes.iter().map(|change| change.p_worse).collect::<Vec<f64>>());
    for (change, p_worse) in changes.iter_mut().zip(adjusted) {
        change.p_worse = p_worse;
        change.verdict = verdict_of(change.p_not_worse, p_worse, ask.alpha);
    }
}

fn judge(overlaps: &[f64], quality: &[Change], slices: &[Slice], ask: Ask) -> (Verdict, String) {
    let Ask { k, margin, alpha, .. } = ask;
    let deciding = &quality[..N_DECIDING.min(quality.len())];
    if let Some(worse) = deciding.iter().find(|change| change.verdict == Verdict::Fail) {
        return (
            Verdict::Fail,
            format!(
                "{} is worse by more than {margin}: {} before, {} after",
                worse.metric,
                short(worse.source),
                short(worse.target)
            ),
        );
    }
    let worse = slices
        .iter()
        .find_map(|slice| Some((slice, slice.changes.iter().find(|change| change.verdict == Verdict::Fail)?)));
    if let Some((slice, worse)) = worse {
        return (
            Verdict::Fail,
            format!(
                "where {}, {} is worse by more than {margin}: {} before, {} after",
                slice.name,
                worse.metric,
                short(worse.source),
                short(worse.target)
            ),
        );
    }
    let n_undecided = deciding.iter().filter(|change| change.verdict == Verdict::Undecided).count();
    if !deciding.is_empty() && n_undecided == 0 {
        return (
            Verdict::Pass,
            format!("neither {} nor {} is worse by more than {margin}", deciding[0].metric, deciding[1].metric),
        );
    }
    // What two lists do not share can change recall and precision by no more than its part of them: lists that are the same need no judgement.
    let units: Vec<(u64, f64)> = overlaps.iter().map(|overlap| (1, *overlap)).collect();
    let same =
        SampleMean::new(&units, (0.0, 1.0), 1.0, ask.seed).is_some_and(|bound| bound.p_at_most(1.0 - margin) <= alpha);
    if same && deciding.is_empty() {
        return (Verdict::Pass, format!("the first {k} are the same documents but for less than {margin} of them"));
    }
    if deciding.is_empty() {
        return (
            Verdict::Undecided,
            "the lists differ, and nothing says which is better: judge documents and give them with `--qrels`"
                .to_owned(),
        );
    }
    let needed = deciding
        .iter()
        .filter(|change| change.verdict == Verdict::Undecided)
        .filter_map(|change| change.n_needed)
        .max();
    let settle =
        needed.map_or_else(String::new, |needed| format!("; {needed} judged queries would, if nothing changed"));
    (
        Verdict::Undecided,
        format!("{} queries do not show whether it is worse by more than {margin}{settle}", deciding[0].n),
    )
}

fn short(value: f64) -> String {
    format!("{value:.3}")
}

#[cfg(test)]
mod tests;
