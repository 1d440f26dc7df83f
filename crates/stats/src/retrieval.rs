//! Ranked lists: how good one is against graded relevance, and how alike two are.
//!
//! nDCG has linear gain and a discount of log2(rank + 1), as in Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002), trec_eval and
//! scikit-learn; over scores with ties every document of a tie has the tie's mean gain (McSherry and Najork, "Computing information retrieval performance measures
//! efficiently in the presence of tied scores", 2008), which is what scikit-learn does. Rank-biased overlap is that of Webber, Moffat and Zobel, "A similarity measure for
//! indefinite rankings" (2010), equation 32. In every list an id that comes up twice counts where it came first.

use std::collections::{BTreeMap, BTreeSet};

/// What is measured of a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranked {
    /// Discounted gain over the largest there could be.
    Ndcg,
    /// 1 / the rank of the first relevant document.
    ReciprocalRank,
    /// Relevant documents that are there among all relevant ones.
    Recall,
    /// Relevant documents among the k.
    Precision,
    /// The mean, over all relevant documents, of the precision at the rank of each; 0 for one that is not there.
    AveragePrecision,
}

/// The figure of a ranking. Some document must be relevant.
///
/// By hand: gains 3, 2 in the order 2, 3: (2/1 + 3/log2 3) / (3/1 + 2/log2 3) = 0.9134…
#[must_use]
pub fn of(ranked: Ranked, relevance: &BTreeMap<String, f64>, ranking: &[String], k: Option<usize>) -> f64 {
    let mut seen = BTreeSet::new();
    let gains: Vec<f64> = ranking
        .iter()
        .filter(|id| seen.insert(id.as_str()))
        .take(k.unwrap_or(usize::MAX))
        .map(|id| relevance.get(id).copied().unwrap_or(0.0))
        .collect();
    let n_found = gains.iter().filter(|gain| **gain > 0.0).count() as f64;
    let n_relevant = relevance.values().filter(|gain| **gain > 0.0).count() as f64;
    match ranked {
        Ranked::Ndcg => {
            let mut best: Vec<f64> = relevance.values().copied().collect();
            best.sort_by(|one, other| other.total_cmp(one));
            best.truncate(k.unwrap_or(usize::MAX));
            quotient(discounted(&gains), discounted(&best))
        }
        Ranked::ReciprocalRank => gains.iter().position(|gain| *gain > 0.0).map_or(0.0, |at| 1.0 / (at + 1) as f64),
        Ranked::Recall => quotient(n_found, n_relevant),
        Ranked::Precision => quotient(n_found, k.unwrap_or(gains.len()) as f64),
        Ranked::AveragePrecision => {
            let relevant_ranks = gains.iter().enumerate().filter(|(_, gain)| **gain > 0.0);
            let sum: f64 =
                relevant_ranks.enumerate().map(|(n_before, (at, _))| (n_before + 1) as f64 / (at + 1) as f64).sum();
            quotient(sum, n_relevant)
        }
    }
}

/// nDCG of scores, with the mean gain of a tie for each in it. 0 where nothing is relevant. Both lists have one entry a document.
#[must_use]
pub fn ndcg_of_scores(relevance: &[f64], scores: &[f64], k: Option<usize>) -> f64 {
    let mut order: Vec<usize> = (0..relevance.len().min(scores.len())).collect();
    order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
    let within = |rank: usize| if k.is_none_or(|k| rank < k) { discount(rank) } else { 0.0 };
    let mut gain = 0.0;
    let mut rank = 0;
    for tie in order.chunk_by(|one, other| scores[*one] == scores[*other]) {
        let mean = tie.iter().map(|at| relevance[*at]).sum::<f64>() / tie.len() as f64;
        gain += mean * (rank..rank + tie.len()).map(within).sum::<f64>();
        rank += tie.len();
    }
    let mut best = relevance.to_vec();
    best.sort_by(|one, other| other.total_cmp(one));
    best.truncate(k.unwrap_or(usize::MAX));
    quotient(gain, discounted(&best))
}

/// The documents of a run by falling score, ties by falling id: the order of trec_eval.
#[must_use]
pub fn in_order(scored: &BTreeMap<String, f64>) -> Vec<String> {
    let mut order: Vec<(&String, f64)> = scored.iter().map(|(id, score)| (id, *score)).collect();
    order.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| other.0.cmp(one.0)));
    order.into_iter().map(|(id, _)| id.clone()).collect()
}

/// How many of the first k two rankings share, over k; over the longer list, where both are shorter. 1 for two empty ones.
#[must_use]
pub fn overlap(one: &[String], other: &[String], k: usize) -> f64 {
    let (one, other) = (first(one, k), first(other, k));
    let most = k.min(one.len().max(other.len()));
    if most == 0 { 1.0 } else { one.intersection(&other).count() as f64 / most as f64 }
}

/// How many of the first k two rankings share, over how many different ones they have. 1 for two empty ones.
#[must_use]
pub fn jaccard(one: &[String], other: &[String], k: usize) -> f64 {
    let (one, other) = (first(one, k), first(other, k));
    let n_all = one.union(&other).count();
    if n_all == 0 { 1.0 } else { one.intersection(&other).count() as f64 / n_all as f64 }
}

/// Rank-biased overlap, extrapolated; `p` in (0, 1) is how likely a reader goes on to the next rank. 1 for two empty lists, 0 for one.
///
/// By hand: a b c d against b a c e at 0.9 share 0, 2, 3, 3 at depths 1 to 4: (0.1/0.9) (0.81 + 0.729 + 0.75 x 0.6561) + 0.75 x 0.6561 = 0.71775.
#[must_use]
pub fn rank_biased_overlap(one: &[String], other: &[String], p: f64) -> f64 {
    let (one, other) = (once(one), once(other));
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if short.is_empty() {
        return if long.is_empty() { 1.0 } else { 0.0 };
    }
    let (n_short, n_long) = (short.len() as f64, long.len() as f64);
    let (mut in_short, mut in_long) = (BTreeSet::new(), BTreeSet::new());
    let (mut n_shared, mut n_shared_short) = (0.0, 0.0);
    let mut sum = 0.0;
    for (at, of_long) in long.iter().enumerate() {
        let depth = (at + 1) as f64;
        in_long.insert(*of_long);
        n_shared += f64::from(u8::from(in_short.contains(of_long)));
        if let Some(of_short) = short.get(at) {
            in_short.insert(*of_short);
            n_shared += f64::from(u8::from(in_long.contains(of_short)));
            n_shared_short = n_shared;
        }
        let unseen = n_shared_short * (depth - n_short).max(0.0) / n_short;
        sum += (n_shared + unseen) / depth * p.powf(depth);
    }
    (1.0 - p) / p * sum + ((n_shared - n_shared_short) / n_long + n_shared_short / n_short) * p.powf(n_long)
}

/// Kendall's tau over the documents that both lists have: pairs in the same order less pairs in the other, over all pairs. None for fewer than two.
#[must_use]
pub fn kendall(one: &[String], other: &[String]) -> Option<f64> {
    let places: BTreeMap<&str, usize> = once(other).into_iter().enumerate().map(|(at, id)| (id, at)).collect();
    let common: Vec<usize> = once(one).into_iter().filter_map(|id| places.get(id).copied()).collect();
    let n_pairs = common.len() * common.len().saturating_sub(1) / 2;
    let n_same: usize = common
        .iter()
        .enumerate()
        .map(|(at, place)| common[at + 1..].iter().filter(|later| *later > place).count())
        .sum();
    (n_pairs > 0).then(|| (n_same as f64 - (n_pairs - n_same) as f64) / n_pairs as f64)
}

/// Each id where it stands first.
fn once(list: &[String]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    list.iter().map(String::as_str).filter(|id| seen.insert(*id)).collect()
}

fn first(list: &[String], k: usize) -> BTreeSet<&str> {
    once(list).into_iter().take(k).collect()
}

fn discounted(gains: &[f64]) -> f64 {
    gains.iter().enumerate().map(|(rank, gain)| gain * discount(rank)).sum()
}

fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 2.0).log2()
}

fn quotient(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn check(ranked: Ranked, ranking: &[&str], k: Option<usize>, expected: f64) {
        let relevance = [("a", 3.0), ("b", 2.0), ("c", 0.0)].map(|(id, gain)| (id.to_owned(), gain)).into();
        let found = of(ranked, &relevance, &list(ranking), k);
        assert!((found - expected).abs() < 1e-12, "{found}");
    }

    #[test]
    fn the_figures_are_those_worked_out_by_hand() {
        let log3 = 3.0_f64.log2();
        check(Ranked::Ndcg, &["b", "a"], None, (2.0 + 3.0 / log3) / (3.0 + 2.0 / log3));
        check(Ranked::Ndcg, &["a", "b", "c"], Some(2), 1.0);
        check(Ranked::ReciprocalRank, &["c", "x", "b"], None, 1.0 / 3.0);
        check(Ranked::ReciprocalRank, &["c", "x", "b"], Some(2), 0.0);
        check(Ranked::Recall, &["c", "b"], Some(2), 0.5);
        check(Ranked::Precision, &["b"], Some(5), 0.2);
        check(Ranked::Recall, &["a", "a", "b"], Some(2), 1.0);
        check(Ranked::AveragePrecision, &["x", "a", "x", "c", "b"], None, f64::midpoint(1.0 / 2.0, 2.0 / 4.0));
        check(Ranked::AveragePrecision, &["x", "a", "b"], Some(2), 0.25);
    }

    #[test]
    fn a_tie_has_its_mean_gain() {
        let log3 = 3.0_f64.log2();
        let tied = ndcg_of_scores(&[1.0, 0.0], &[5.0, 5.0], None);
        assert!((tied - 0.5 * (1.0 + 1.0 / log3)).abs() < 1e-12);
        assert_eq!(ndcg_of_scores(&[0.0], &[1.0], None), 0.0);
    }

    #[test]
    fn of_equal_scores_the_later_id_comes_first() {
        let scored = [("d1", 0.5), ("d2", 0.5), ("d0", 0.9)].map(|(id, score)| (id.to_owned(), score)).into();
        assert_eq!(in_order(&scored), list(&["d0", "d2", "d1"]));
    }

    #[test]
    fn two_lists_are_alike_as_far_as_worked_out_by_hand() {
        let (one, other) = (list(&["a", "b", "c", "d"]), list(&["b", "a", "c", "e"]));
        assert!((rank_biased_overlap(&one, &other, 0.9) - 0.71775).abs() < 1e-12);
        assert!((rank_biased_overlap(&one, &one, 0.9) - 1.0).abs() < 1e-12);
        assert_eq!((overlap(&one, &other, 4), jaccard(&one, &other, 4)), (0.75, 0.6));
        assert_eq!(overlap(&one[..1], &[], 10), 0.0);
        assert_eq!(kendall(&one, &other), Some(1.0 / 3.0));
        assert_eq!(kendall(&one[..1], &other), None);
    }

    #[test]
    fn a_list_that_ends_early_is_taken_to_go_on_as_it_did() {
        // a b against a b c at 0.5: both share all they can, so they are as alike as lists can be seen to be.
        let alike = rank_biased_overlap(&list(&["a", "b"]), &list(&["a", "b", "c"]), 0.5);
        assert!((alike - (0.5 + 0.25 + 0.125 + 0.125)).abs() < 1e-12, "{alike}");
        assert_eq!(rank_biased_overlap(&[], &list(&["a"]), 0.9), 0.0);
    }
}
