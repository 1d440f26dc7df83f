//! Rankings of documents against graded relevance: nDCG, reciprocal rank, recall and precision at k.

pub use stats::retrieval::{Ranked, ndcg_of_scores, of};

use super::{Case, Metric, Range, Score, Unscored};

/// `ndcg_at_k`, `mrr`, `recall_at_k`, `precision_at_k`, `map_at_k`. Without `k` the whole ranking counts.
pub(super) fn metric(name: &str, ranked: Ranked, k: Option<usize>) -> Metric {
    let (source, definition) = match ranked {
        Ranked::Ndcg => {
            ("trec_eval-9", "sum of relevance / log2(rank + 1) over the first k, divided by that of the best order")
        }
        Ranked::ReciprocalRank => ("trec_eval-9", "1 / rank of the first relevant document within the first k, else 0"),
        Ranked::Recall => ("trec_eval-9", "relevant documents within the first k / all relevant ones"),
        Ranked::Precision => ("trec_eval-9", "relevant documents within the first k / k"),
        Ranked::AveragePrecision => (
            "trec_eval-9",
            "mean over all relevant documents of the precision at the rank of each, 0 beyond the first k",
        ),
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
