//! Rankings of documents against graded relevance: nDCG, reciprocal rank, recall and precision at k.
//!
//! nDCG has linear gain and a discount of log2(rank + 1), as in Järvelin and Kekäläinen 2002, trec_eval and scikit-learn; over
//! scores with ties every document of a tie has the tie's mean gain (McSherry and Najork 2008), which is what scikit-learn does.
//! For the ranking in an answer, an id that comes up twice counts where it came first.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Metric, Range, Score, Unscored};

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
}

/// `ndcg_at_k`, `mrr`, `recall_at_k`, `precision_at_k`. Without `k` the whole ranking counts.
pub(super) fn metric(name: &str, ranked: Ranked, k: Option<usize>) -> Metric {
    let (source, definition) = match ranked {
        Ranked::Ndcg => {
            ("trec_eval-9", "sum of relevance / log2(rank + 1) over the first k, divided by that of the best order")
        }
        Ranked::ReciprocalRank => ("trec_eval-9", "1 / rank of the first relevant document within the first k, else 0"),
        Ranked::Recall => ("trec_eval-9", "relevant documents within the first k / all relevant ones"),
        Ranked::Precision => ("trec_eval-9", "relevant documents within the first k / k"),
    };
    let settings = k.map_or_else(String::new, |k| format!(":k={k}"));
    Metric::new(format!("{name}@{source}{settings}"), definition, move |case: &Case, answer| {
        if case.relevance.values().any(|gain| !gain.is_finite() || *gain < 0.0) {
            return Score::unscored(Unscored::MalformedCase);
        }
        if !case.relevance.values().any(|gain| *gain > 0.0) {
            return Score::unscored(Unscored::NoContext);
        }
        Score::value(of(ranked, &case.relevance, &answer.ranking, k).clamp(0.0, 1.0))
    })
    .within(Range::UNIT)
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
    match ranked {
        Ranked::Ndcg => {
            let mut best: Vec<f64> = relevance.values().copied().collect();
            best.sort_by(|one, other| other.total_cmp(one));
            best.truncate(k.unwrap_or(usize::MAX));
            quotient(discounted(&gains), discounted(&best))
        }
        Ranked::ReciprocalRank => gains.iter().position(|gain| *gain > 0.0).map_or(0.0, |at| 1.0 / (at + 1) as f64),
        Ranked::Recall => quotient(n_found, relevance.values().filter(|gain| **gain > 0.0).count() as f64),
        Ranked::Precision => quotient(n_found, k.unwrap_or(gains.len()) as f64),
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

    fn check(ranked: Ranked, ranking: &[&str], k: Option<usize>, expected: f64) {
        let relevance = [("a", 3.0), ("b", 2.0), ("c", 0.0)].map(|(id, gain)| (id.to_owned(), gain)).into();
        let ranking: Vec<String> = ranking.iter().map(|id| (*id).to_owned()).collect();
        let found = of(ranked, &relevance, &ranking, k);
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
    }

    #[test]
    fn a_tie_has_its_mean_gain() {
        let log3 = 3.0_f64.log2();
        let tied = ndcg_of_scores(&[1.0, 0.0], &[5.0, 5.0], None);
        assert!((tied - 0.5 * (1.0 + 1.0 / log3)).abs() < 1e-12);
        assert_eq!(ndcg_of_scores(&[0.0], &[1.0], None), 0.0);
    }
}
