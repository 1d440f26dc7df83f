//! Metrics whose number is of all cases together (a corpus BLEU, a macro F1): computed over all, and compared by drawing whole clusters of cases.

use std::collections::BTreeMap;

use stats::bootstrap::Bootstrap;
use stats::random::Random;

use super::{Comparison, Interval, Question, Verdict};
use crate::case::Answer;
use crate::metric::{Basis, Measured, Pool, Score, Unscored};
use crate::results::{Results, Yardstick};

/// Scores that are read in one bootstrap at most: more cases are drawn fewer times.
const MOST_READ: usize = 4_000_000;
/// Draws at most, and at least.
const RESAMPLES: (usize, usize) = (2000, 200);

/// The scores of both answers to a case, repeat by repeat.
type Both = (Vec<Score>, Vec<Score>);

/// Whether the number of a metric is no mean of its cases.
pub(super) fn is_whole(results: &Results, yardstick: &Yardstick) -> bool {
    results.scorer.metric(&yardstick.name).is_some_and(|metric| matches!(metric.pool, Pool::Whole(_)))
}

/// The number of a target over all cases, and how many have none. A call that failed for good counts as an empty answer.
pub(super) fn number(
    results: &Results,
    yardstick: &Yardstick,
    target_idx: usize,
) -> (Option<f64>, BTreeMap<Unscored, u64>) {
    let Some(metric) = results.scorer.metric(&yardstick.name) else { return (None, BTreeMap::new()) };
    let scores: Vec<Score> =
        (0..results.cases.len()).flat_map(|case_idx| scores(results, yardstick, (case_idx, target_idx))).collect();
    let summary = metric.summarise(&scores);
    (summary.value, summary.unscored)
}

/// Baseline and candidate over the cases of which both have a score.
pub(super) fn compare(
    results: &Results,
    yardstick: &Yardstick,
    (target_idx, question): (usize, Question),
) -> Option<Comparison> {
    let Pool::Whole(whole) = &results.scorer.metric(&yardstick.name)?.pool else { return None };
    let mut n_missing = 0;
    let mut clusters: BTreeMap<(u8, String, usize), Vec<Both>> = BTreeMap::new();
    for (case_idx, case) in results.cases.iter().enumerate() {
        let [baseline, candidate] =
            [0, target_idx].map(|target_idx| scores(results, yardstick, (case_idx, target_idx)));
        let has_value = |scores: &[Score]| {
            !scores.is_empty() && scores.iter().all(|score| matches!(score.measured, Measured::Value(_)))
        };
        if !has_value(&baseline) || !has_value(&candidate) {
            n_missing += 1;
            continue;
        }
        let name = match &case.cluster {
            Some(cluster) => (0, cluster.clone(), 0),
            None => (1, String::new(), case_idx),
        };
        clusters.entry(name).or_default().push((baseline, candidate));
    }
    let clusters: Vec<Vec<Both>> = clusters.into_values().collect();
    let added = Added::of(&clusters);
    let of = |drawn: &[usize], is_candidate: bool| {
        if let Some(added) = &added {
            return whole(&[&added.score(drawn, is_candidate)]);
        }
        let cases = drawn.iter().flat_map(|cluster_idx| &clusters[*cluster_idx]);
        let scores: Vec<&Score> =
            cases.flat_map(|(baseline, candidate)| if is_candidate { candidate } else { baseline }).collect();
        whole(&scores)
    };
    let all: Vec<usize> = (0..clusters.len()).collect();
    let (baseline, candidate) = (of(&all, false), of(&all, true));
    let gain = |drawn: &[usize]| Some(yardstick.gain(of(drawn, false)?, of(drawn, true)?));
    let n: usize = clusters.iter().map(Vec::len).sum();
    let n_resamples = (MOST_READ / n.max(1)).clamp(RESAMPLES.1, RESAMPLES.0);
    let mut random = Random::new(question.seed);
    let mut drawn = vec![0; clusters.len()];
    let distribution = (0..n_resamples).filter_map(|_| {
        drawn.iter_mut().for_each(|cluster_idx| *cluster_idx = random.below(clusters.len()));
        gain(&drawn)
    });
    let distribution: Vec<f64> = if clusters.is_empty() { Vec::new() } else { distribution.collect() };
    let difference = gain(&all);
    let bootstrap = Bootstrap::from_parts(difference.unwrap_or(f64::NAN), distribution, Vec::new());
    let ends = bootstrap.percentile(2.0 * question.alpha).filter(|_| difference.is_some());
    Some(Comparison {
        n: n as u64,
        n_missing,
        n_clusters: clusters.len() as u64,
        baseline,
        candidate,
        difference,
        interval: ends.map(|(low, high)| Interval { low, high, level: 1.0 - 2.0 * question.alpha }),
        method: "a number of all cases: the percentile bootstrap of whole clusters",
        margin: question.margin,
        p_non_inferior: None,
        p_equivalent: None,
        p_different: None,
        flips: None,
        parity: None,
        detectable: None,
        provable_margin: None,
        needed: None,
        still_needed: None,
        is_empty: false,
        verdict: Verdict::Undecided,
        because: None,
    })
}

/// The counts of each cluster, added up once: what is drawn again and again is then a sum of rows, and not of scores. Of both targets, side by side.
struct Added {
    n_counts: usize,
    rows: Vec<f64>,
}

impl Added {
    /// `None` where the metric's number is made of anything but counts.
    fn of(clusters: &[Vec<Both>]) -> Option<Added> {
        let counts = |score: &Score| match &score.basis {
            Basis::Counts(counts) => Some(counts.len()),
            _ => None,
        };
        let n_counts = counts(clusters.first()?.first()?.0.first()?)?;
        let mut rows = vec![0.0; clusters.len() * 2 * n_counts];
        for (cluster, row) in clusters.iter().zip(rows.chunks_exact_mut(2 * n_counts.max(1))) {
            let (baseline, candidate) = row.split_at_mut(n_counts);
            for both in cluster {
                for (scores, row) in [(&both.0, &mut *baseline), (&both.1, &mut *candidate)] {
                    for score in scores {
                        let Basis::Counts(counts) = &score.basis else { return None };
                        if counts.len() != n_counts {
                            return None;
                        }
                        row.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
                    }
                }
            }
        }
        Some(Added { n_counts, rows })
    }

    /// All of these clusters as one score of a target.
    fn score(&self, drawn: &[usize], is_candidate: bool) -> Score {
        let mut sum = vec![0.0; self.n_counts];
        for cluster_idx in drawn {
            let from = (2 * cluster_idx + usize::from(is_candidate)) * self.n_counts;
            let row = self.rows.get(from..from + self.n_counts).unwrap_or_default();
            sum.iter_mut().zip(row).for_each(|(sum, n)| *sum += n);
        }
        Score::value(0.0).with_basis(Basis::Counts(sum))
    }
}

/// The scores of a target's answers to a case.
pub(super) fn scores(results: &Results, yardstick: &Yardstick, (case_idx, target_idx): (usize, usize)) -> Vec<Score> {
    let one = |record: &crate::results::Record| match (&record.answered.answer, record.scores.get(&yardstick.id)) {
        (Some(_), Some(score)) => score.to_score(),
        (Some(_), None) => Score::unscored(Unscored::NoJudgement),
        (None, _) if record.answered.withheld.is_some() => Score::unscored(Unscored::Withheld),
        (None, _) => {
            let scored = results.scorer.score(&results.cases[case_idx], &Answer::default());
            let found = scored.into_iter().find(|(id, _)| *id == yardstick.id);
            found.map_or(Score::unscored(Unscored::NoAnswer), |(_, score)| score)
        }
    };
    results.of(case_idx, target_idx).map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use store::EvalRunRow;

    use super::*;
    use crate::case::Case;
    use crate::metric::Range;
    use crate::results::Record;
    use crate::run::{Answered, Plan, PlannedTarget, Scorer, Spec};

    /// Two targets on cases with a label, the second of which answers what `said` says.
    fn results(said: &[(&str, &str)]) -> Results {
        let target = |name: &str| PlannedTarget {
            name: name.to_owned(),
            fingerprint: name.to_owned(),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            simulated: false,
        };
        let metrics = vec![Spec { name: "f1_macro".to_owned(), settings: serde_json::Value::Null }];
        let plan = Plan {
            dataset: "d".to_owned(),
            version: "v".to_owned(),
            n_cases: said.len() as u64,
            targets: vec![target("a"), target("b")],
            repeats: 1,
            seed: None,
            metrics: metrics.clone(),
            primary: "f1_macro".to_owned(),
            margin: 0.05,
            reuse: true,
            stream: false,
            judges: Vec::new(),
            judge_of: None,
            encoder: None,
            encoder_of: None,
            entailment: None,
        };
        let scorer = Scorer::of(&metrics).unwrap();
        let cases: Vec<Case> = said
            .iter()
            .enumerate()
            .map(|(idx, (right, _))| Case::asking(idx.to_string(), "Q?", [json!(right)]))
            .collect();
        let records = (0..plan.n_items()).map(|number| {
            let item = plan.item(number);
            let (right, said) = said[item.case_idx];
            let text = if item.target_idx == 0 { right } else { said }.to_owned();
            let answer = Answer { text, ..Answer::default() };
            let scores = scorer.score(&cases[item.case_idx], &answer).into_iter().collect();
            let answered = Answered { answer: Some(answer), ..Answered::default() };
            Record { item, reused: false, answered, scores }
        });
        let records = records.collect();
        let row = EvalRunRow {
            run: "r".to_owned(),
            at_us: 0,
            n_items: plan.n_items(),
            plan: serde_json::Value::Null,
            n_answered: plan.n_items(),
            n_failed: 0,
            n_reused: 0,
            spent_nanos: 0,
        };
        Results { row, plan, cases, scorer, records, judged: Vec::new(), encoding: None, entailing: None }
    }

    #[test]
    fn counts_of_clusters_are_added_once_and_come_to_the_same() {
        let score = |counts: &[f64]| Score::value(1.0).with_basis(Basis::Counts(counts.to_vec()));
        let both = |baseline: &[f64], candidate: &[f64]| (vec![score(baseline)], vec![score(candidate)]);
        let clusters = vec![
            vec![both(&[1.0, 2.0], &[3.0, 4.0]), both(&[10.0, 0.0], &[0.0, 1.0])],
            vec![both(&[5.0, 5.0], &[7.0, 7.0])],
        ];
        let added = Added::of(&clusters).unwrap();
        let of = |drawn: &[usize], is_candidate| added.score(drawn, is_candidate).basis;
        assert_eq!(of(&[0, 1, 1], false), Basis::Counts(vec![21.0, 12.0]));
        assert_eq!(of(&[0, 1, 1], true), Basis::Counts(vec![17.0, 19.0]));
        let other = vec![vec![both(&[1.0, 2.0], &[3.0])]];
        assert!(Added::of(&other).is_none() && Added::of(&[]).is_none());
    }

    #[test]
    fn a_macro_f1_is_of_all_cases_and_no_mean_of_right_ones() {
        // Nine of class x are right; the one of class y is called x: precision of x 0.9, recall 1, F1 18/19; of y 0.
        let mut said = vec![("x", "x"); 9];
        said.push(("y", "x"));
        let results = results(&said);
        let yardstick = &results.yardsticks()[0];
        assert!(is_whole(&results, yardstick));
        let expected = 0.5 * 18.0 / 19.0;
        assert!((number(&results, yardstick, 1).0.unwrap() - expected).abs() < 1e-12);
        let question = Question { margin: 0.05, alpha: 0.05, seed: 1, range: Range::UNIT };
        let comparison = compare(&results, yardstick, (1, question)).unwrap();
        assert!((comparison.difference.unwrap() - (expected - 1.0)).abs() < 1e-12, "{comparison:?}");
        let interval = comparison.interval.unwrap();
        assert!(interval.low < comparison.difference.unwrap() && interval.high <= 0.0, "{interval:?}");
    }
}
