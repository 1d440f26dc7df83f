//! Answers made of retrieved documents: how often each outcome came, who lost what, whether answers abstain where they should, and each candidate
//! beside the baseline, share by share, on the same cases.
//!
//! Shares of one target have Wilson's interval, or the bootstrap's over whole clusters. Differences are of pairs, by the tests of every comparison:
//! a case counts in a share only where both targets' answers belong to what the share is of. The shares are looked at together, so that the chance of calling any of them
//! different without reason is 5 % (Holm). The bootstrap of few clusters is narrower than its level: where the exact test does not see a difference, the interval is widened
//! to hold 0.

use std::collections::BTreeMap;

use serde::Serialize;
use stats::bootstrap::Bootstrap;
use stats::interval::wilson;
use stats::multiplicity::holm;

use super::{ALPHA, Interval, Pair, Question, RESAMPLES, decide};
use crate::metric::Range;
use crate::metric::rag::{Cause, Outcome};
use crate::results::{Record, Results};

/// Quantile of the normal distribution for intervals at 95 %.
const Z: f64 = 1.959_963_984_540_054;
/// Of answers without a number, and calls that failed.
const FAILED: &str = "call_failed";

/// What a run says of retrieval and answers, together and apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rag {
    /// The metric whose outcomes these are.
    pub metric: String,
    /// The targets, the baseline first.
    pub targets: Vec<RagTarget>,
    /// Each other target beside the baseline.
    pub candidates: Vec<RagCandidate>,
}

/// How the answers of one target came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RagTarget {
    /// The target.
    pub name: String,
    /// Its answers, by outcome; `call_failed` are calls without an answer.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Answers of which too little is known: no labels, or nothing to say what is right.
    pub n_unscored: u64,
    /// Shares of its answers.
    pub shares: Vec<RagShare>,
    /// Whether it abstains where it should.
    pub abstention: Abstention,
}

/// Of one target, a share of answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RagShare {
    /// What is counted.
    pub share: Share,
    /// Cases it is a share of.
    pub n: u64,
    /// The share.
    pub value: Option<f64>,
    /// Its interval at 95 %.
    pub interval: Option<Interval>,
}

/// Answers by whether what was shown holds one, and whether one was given. Calls that failed are in none of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Abstention {
    /// The passages hold an answer, and one was given.
    pub held_answered: u64,
    /// The passages hold an answer, and none was given.
    pub held_abstained: u64,
    /// The passages hold none, and one was given.
    pub not_held_answered: u64,
    /// The passages hold none, and none was given.
    pub not_held_abstained: u64,
    /// Of abstentions, those that were right.
    pub precision: Option<f64>,
    /// Of cases whose passages hold no answer, those that were abstained on.
    pub recall: Option<f64>,
}

/// A candidate beside the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RagCandidate {
    /// The candidate.
    pub candidate: String,
    /// Share by share.
    pub rows: Vec<RagRow>,
}

/// A share at both targets, on the same cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RagRow {
    /// What is counted.
    pub share: Share,
    /// Cases it is a share of at both.
    pub n: u64,
    /// Clusters they come in.
    pub n_clusters: u64,
    /// The baseline's share.
    pub baseline: Option<f64>,
    /// The candidate's.
    pub candidate: Option<f64>,
    /// The candidate's less the baseline's.
    pub difference: Option<f64>,
    /// Its interval at 95 %.
    pub interval: Option<Interval>,
    /// How likely a difference as large is, were there none, adjusted for all shares (Holm).
    pub p_adjusted: Option<f64>,
    /// Whether the candidate is worse in it beyond chance.
    pub worse: bool,
    /// Whether it is better.
    pub better: bool,
}

/// What is counted, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// All answers: right with their source, or rightly none.
    EndToEnd,
    /// Of what the corpus holds: shown to the model.
    Retrieved,
    /// All answers: right, given what was shown.
    Generated,
    /// All answers: lost by the retriever.
    LostByRetriever,
    /// All answers: lost by the model.
    LostByModel,
    /// Of what was shown: answered wrong.
    Wrong,
    /// Of what was shown: right, without its source.
    Unsourced,
    /// Of what was shown: not answered.
    AbstainedNeedlessly,
    /// Of what was not shown or is nowhere: answered all the same, and not right.
    MadeUp,
}

impl Share {
    /// All of them, in the order of reports.
    pub const ALL: [Share; 9] = [
        Share::EndToEnd,
        Share::Retrieved,
        Share::Generated,
        Share::LostByRetriever,
        Share::LostByModel,
        Share::Wrong,
        Share::Unsourced,
        Share::AbstainedNeedlessly,
        Share::MadeUp,
    ];

    /// What is counted and of what, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Share::EndToEnd => "right end to end, of all",
            Share::Retrieved => "retrieved, of what the corpus holds",
            Share::Generated => "right given the passages, of all",
            Share::LostByRetriever => "lost by the retriever, of all",
            Share::LostByModel => "lost by the model, of all",
            Share::Wrong => "answered wrong, of what was retrieved",
            Share::Unsourced => "right without its source, of what was retrieved",
            Share::AbstainedNeedlessly => "abstained needlessly, of what was retrieved",
            Share::MadeUp => "made up, of what the passages do not hold",
        }
    }

    /// Whether more of it is better.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Share::EndToEnd | Share::Retrieved | Share::Generated)
    }

    /// Whether an answer that came out so is counted; `None` where it is none of what this is a share of.
    fn counts(self, outcome: Outcome, is_good: bool) -> Option<bool> {
        match self {
            Share::EndToEnd => Some(is_good),
            Share::Retrieved => outcome.is_in_corpus().then_some(outcome.is_shown()),
            Share::Generated => Some(is_good || outcome == Outcome::MissedAbstained),
            Share::LostByRetriever => Some(!is_good && outcome.cause() == Some(Cause::Retriever)),
            Share::LostByModel => Some(!is_good && outcome.cause() == Some(Cause::Model)),
            Share::Wrong => outcome.is_shown().then_some(outcome == Outcome::Wrong),
            Share::Unsourced => outcome.is_shown().then_some(outcome == Outcome::Unsourced),
            Share::AbstainedNeedlessly => outcome.is_shown().then_some(outcome == Outcome::AbstainedNeedlessly),
            Share::MadeUp => {
                (!outcome.is_shown()).then_some(matches!(outcome, Outcome::MadeUp | Outcome::MissedMadeUp))
            }
        }
    }
}

/// What became of one answer.
#[derive(Debug, Clone, Copy)]
enum Came {
    Out(Outcome, bool),
    Failed,
    Unscored,
}

/// The metric whose outcomes say it: retrieval and answer together, where both are measured. Its name and its id.
fn named(results: &Results) -> Option<(String, String)> {
    let of = |kind: &str| results.scorer.ids().find(|(_, id)| id.starts_with(kind));
    let (name, id) = of("rag_end_to_end@").or_else(|| of("rag_generation@"))?;
    Some((name.to_owned(), id.to_owned()))
}

/// The outcome of the first answer of a target to a case, as a page shows it.
pub(super) fn outcome_of(results: &Results, record: Option<&Record>) -> Option<Outcome> {
    let (_, id) = named(results)?;
    Outcome::of(record?.scores.get(&id)?.outcome()?)
}

/// What there is to say; `None` where no metric asks.
pub(super) fn rag(results: &Results, seed: u64) -> Option<Rag> {
    let (metric, id) = named(results)?;
    let came = |record: &Record| match record.scores.get(&id) {
        _ if record.answered.withheld.is_some() => Came::Unscored,
        _ if record.answered.answer.is_none() => Came::Failed,
        Some(score) => {
            let outcome = score.outcome().and_then(Outcome::of);
            // Given a miss, no answer is right of the model and still no answer.
            let is_good = score.as_value() == Some(1.0) && outcome != Some(Outcome::MissedAbstained);
            outcome.map_or(Came::Unscored, |outcome| Came::Out(outcome, is_good))
        }
        None => Came::Unscored,
    };
    let n_targets = results.plan.targets.len();
    let of_case =
        |case_idx| (0..n_targets).map(|target_idx| results.of(case_idx, target_idx).map(came).collect()).collect();
    let table: Vec<Vec<Vec<Came>>> = (0..results.cases.len()).map(of_case).collect();
    let targets = (0..n_targets).map(|target_idx| target(results, (&table, target_idx), seed));
    let candidates = (1..n_targets).map(|target_idx| candidate(results, (&table, target_idx), seed));
    Some(Rag { metric, targets: targets.collect(), candidates: candidates.collect() })
}

/// The part of the answers to a case that is counted; `None` where one of them is none of what this is a share of, or nothing is known of it.
fn part(share: Share, came: &[Came]) -> Option<f64> {
    let one = |came: &Came| match came {
        Came::Out(outcome, is_good) => share.counts(*outcome, *is_good),
        // No answer is no right one, and nobody knows what it would have been.
        Came::Failed => matches!(share, Share::EndToEnd | Share::Generated).then_some(false),
        Came::Unscored => None,
    };
    let counted = came.iter().map(one).collect::<Option<Vec<bool>>>().filter(|counted| !counted.is_empty())?;
    Some(counted.iter().filter(|counted| **counted).count() as f64 / counted.len() as f64)
}

fn target(results: &Results, (table, target_idx): (&[Vec<Vec<Came>>], usize), seed: u64) -> RagTarget {
    let (mut outcomes, mut n_unscored, mut abstention) = (BTreeMap::new(), 0, Abstention::default());
    for came in table.iter().flat_map(|case| &case[target_idx]) {
        match came {
            Came::Failed => *outcomes.entry(FAILED).or_default() += 1,
            Came::Unscored => n_unscored += 1,
            Came::Out(outcome, _) => {
                *outcomes.entry(outcome.as_str()).or_default() += 1;
                let cell = match (outcome.is_shown(), outcome.is_abstention()) {
                    (true, false) => &mut abstention.held_answered,
                    (true, true) => &mut abstention.held_abstained,
                    (false, false) => &mut abstention.not_held_answered,
                    (false, true) => &mut abstention.not_held_abstained,
                };
                *cell += 1;
            }
        }
    }
    let quotient = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let right = abstention.not_held_abstained;
    abstention.precision = quotient(right, right + abstention.held_abstained);
    abstention.recall = quotient(right, right + abstention.not_held_answered);
    let shares = Share::ALL.map(|share| {
        let mut clusters: BTreeMap<(Option<&str>, usize), (u64, f64)> = BTreeMap::new();
        let mut n = 0;
        for (case_idx, (case, came)) in results.cases.iter().zip(table).enumerate() {
            let Some(value) = part(share, &came[target_idx]) else { continue };
            let alone = if case.cluster.is_some() { 0 } else { case_idx };
            let cluster = clusters.entry((case.cluster.as_deref(), alone)).or_default();
            (cluster.0, cluster.1, n) = (cluster.0 + 1, cluster.1 + value, n + 1);
        }
        let clusters: Vec<(u64, f64)> = clusters.into_values().collect();
        let sum: f64 = clusters.iter().map(|(_, sum)| sum).sum();
        let value = (n > 0).then(|| sum / n as f64);
        RagShare { share, n, value, interval: interval(&clusters, n, seed) }
    });
    RagTarget {
        name: results.plan.targets[target_idx].name.clone(),
        outcomes,
        n_unscored,
        shares: shares.into(),
        abstention,
    }
}

/// The interval of a share at 95 %.
fn interval(clusters: &[(u64, f64)], n: u64, seed: u64) -> Option<Interval> {
    let level = 1.0 - ALPHA;
    let sum: f64 = clusters.iter().map(|(_, sum)| sum).sum();
    let is_counts = clusters.iter().all(|(n, sum)| *n == 1 && (*sum == 0.0 || *sum == 1.0));
    let drawn = (!is_counts)
        .then(|| Bootstrap::of_mean(clusters, RESAMPLES, seed))
        .and_then(|bootstrap| bootstrap.bias_corrected(ALPHA).or_else(|| bootstrap.percentile(ALPHA)))
        .filter(|(low, high)| low < high);
    // Where no draw differs from another, clusters are counted as what they all are.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a count")]
    let (low, high) = drawn.or_else(|| {
        let n_units = clusters.len() as u64;
        let n_counted = (sum / n.max(1) as f64 * n_units as f64).round() as u64;
        wilson(n_counted, n_units, Z)
    })?;
    Some(Interval { low, high, level })
}

fn candidate(results: &Results, (table, target_idx): (&[Vec<Vec<Came>>], usize), seed: u64) -> RagCandidate {
    let question = Question { margin: 1.0, alpha: 0.5 * ALPHA, seed, range: Range::UNIT };
    let row = |share: Share| {
        let pairs = results.cases.iter().zip(table).filter_map(|(case, came)| {
            let (baseline, candidate) = (part(share, &came[0])?, part(share, &came[target_idx])?);
            Some(Pair { cluster: case.cluster.clone(), baseline, candidate })
        });
        let pairs: Vec<Pair> = pairs.collect();
        let compared = decide(&pairs, 0, question);
        let row = RagRow {
            share,
            n: compared.n,
            n_clusters: compared.n_clusters,
            baseline: compared.baseline,
            candidate: compared.candidate,
            difference: compared.difference,
            interval: compared.interval.map(|interval| widened(interval, compared.p_different)),
            p_adjusted: None,
            worse: false,
            better: false,
        };
        (row, compared.p_different)
    };
    let (mut rows, p_values): (Vec<RagRow>, Vec<Option<f64>>) = Share::ALL.map(row).into_iter().unzip();
    let tested: Vec<usize> = (0..rows.len()).filter(|idx| p_values[*idx].is_some()).collect();
    let known: Vec<f64> = p_values.iter().flatten().copied().collect();
    for (idx, p_adjusted) in tested.into_iter().zip(holm(&known)) {
        let row = &mut rows[idx];
        row.p_adjusted = Some(p_adjusted);
        let is_more = row.difference.unwrap_or(0.0) > 0.0;
        let differs = p_adjusted <= ALPHA && row.difference.is_some_and(|difference| difference != 0.0);
        row.worse = differs && is_more != row.share.is_good();
        row.better = differs && is_more == row.share.is_good();
    }
    RagCandidate { candidate: results.plan.targets[target_idx].name.clone(), rows }
}

/// The interval with 0 in it, unless the exact test of no difference says that there is one.
fn widened(interval: Interval, p_different: Option<f64>) -> Interval {
    if p_different.is_some_and(|p| p <= ALPHA) {
        return interval;
    }
    Interval { low: interval.low.min(0.0), high: interval.high.max(0.0), ..interval }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::case::{Answer, Case, Document, Evidence};
    use crate::compare::tests::results_of;
    use crate::run::Spec;

    /// So many cases whose passage holds the answer, that the retriever missed, and that have none.
    fn cases([shown, missed, nowhere]: [usize; 3]) -> Vec<Case> {
        let case = |idx: usize| {
            let mut case = Case::asking(format!("c{idx}"), "How long?", [json!("72 hours")]);
            case.documents = vec![
                Document { id: "a".to_owned(), text: "Refunds take 72 hours.".to_owned() },
                Document { id: "b".to_owned(), text: "Lockers are grey all over.".to_owned() },
            ];
            let holds = if idx < shown { "a" } else { "elsewhere" };
            case.relevance =
                Some(if idx < shown + missed { BTreeMap::from([(holds.to_owned(), 1.0)]) } else { BTreeMap::new() });
            case
        };
        (0..shown + missed + nowhere).map(case).collect()
    }

    fn answer(text: &str) -> Option<Answer> {
        Some(Answer { text: text.to_owned(), ..Answer::default() })
    }

    const UNKNOWN: &str = "I could not find that in the documents.";

    #[test]
    fn a_model_that_makes_things_up_is_told_from_a_retriever_that_misses() {
        let cases = cases([60, 20, 20]);
        // The baseline is right wherever it can be; the candidate cites another passage in 20 of 60, and never abstains.
        let said = |case_idx: usize, target_idx: usize| match (target_idx, case_idx) {
            (0, 0..60) | (1, 20..60) => answer("It takes 72 hours [1]."),
            (1, 0..20) => answer("It takes 72 hours [2]."),
            (0, _) => answer(UNKNOWN),
            _ => answer("It takes 3 days [1]."),
        };
        let results = results_of(&cases, &[Spec { name: "rag_end_to_end".to_owned(), settings: json!(null) }], said);
        let rag = rag(&results, 1).unwrap();
        let outcomes =
            |idx: usize| rag.targets[idx].outcomes.iter().map(|(word, n)| format!("{word} {n}")).collect::<Vec<_>>();
        assert_eq!(outcomes(0), ["abstained 20", "missed_abstained 20", "right 60"]);
        assert_eq!(outcomes(1), ["made_up 20", "missed_made_up 20", "right 40", "unsourced 20"]);
        let of = |share: Share| rag.candidates[0].rows.iter().find(|row| row.share == share).unwrap();
        let check = |share, (n, baseline, candidate): (u64, f64, f64), verdict: &str| {
            let row = of(share);
            assert_eq!((row.n, row.baseline, row.candidate), (n, Some(baseline), Some(candidate)), "{row:?}");
            let found = if row.worse {
                "worse"
            } else if row.better {
                "better"
            } else {
                ""
            };
            assert_eq!(found, verdict, "{row:?}");
            let Interval { low, high, level } = row.interval.unwrap();
            assert!(low <= candidate - baseline && candidate - baseline <= high && level == 0.95, "{row:?}");
        };
        check(Share::EndToEnd, (100, 0.8, 0.4), "worse");
        check(Share::Retrieved, (80, 0.75, 0.75), "");
        check(Share::Generated, (100, 1.0, 0.4), "worse");
        check(Share::LostByRetriever, (100, 0.2, 0.2), "");
        check(Share::LostByModel, (100, 0.0, 0.4), "worse");
        check(Share::Wrong, (60, 0.0, 0.0), "");
        check(Share::Unsourced, (60, 0.0, 1.0 / 3.0), "worse");
        check(Share::MadeUp, (40, 0.0, 1.0), "worse");
        let abstention = rag.targets[0].abstention;
        assert_eq!((abstention.held_answered, abstention.not_held_abstained), (60, 40));
        assert_eq!((abstention.precision, abstention.recall), (Some(1.0), Some(1.0)));
        let abstention = rag.targets[1].abstention;
        assert_eq!((abstention.not_held_answered, abstention.precision, abstention.recall), (40, None, Some(0.0)));
        let share = &rag.targets[1].shares[6];
        let Interval { low, high, .. } = share.interval.unwrap();
        // Wilson: 20 of 60.
        assert!((low - 0.227_3).abs() < 1e-3 && (high - 0.459_3).abs() < 1e-3, "{share:?}");
    }

    #[test]
    fn a_retriever_that_is_better_is_seen_where_answers_bring_along_what_they_rest_on() {
        let mut cases = cases([0, 40, 0]);
        cases.iter_mut().for_each(|case| {
            case.evidence = vec![Evidence { document: "elsewhere".to_owned(), text: "72 hours".to_owned() }]
        });
        let said = |case_idx: usize, target_idx: usize| {
            let id = if target_idx == 1 && case_idx >= 10 { "elsewhere" } else { "z" };
            let passages = vec![Document { id: id.to_owned(), text: "It takes 72 hours to refund.".to_owned() }];
            let text = if id == "elsewhere" { "72 hours [1]." } else { UNKNOWN };
            Some(Answer { text: text.to_owned(), passages, ..Answer::default() })
        };
        let results = results_of(&cases, &[Spec { name: "rag_generation".to_owned(), settings: json!(null) }], said);
        let rag = rag(&results, 1).unwrap();
        let of = |share: Share| rag.candidates[0].rows.iter().find(|row| row.share == share).unwrap();
        let row = of(Share::Retrieved);
        assert_eq!((row.baseline, row.candidate, row.better), (Some(0.0), Some(0.75), true));
        assert_eq!((of(Share::LostByRetriever).candidate, of(Share::LostByModel).candidate), (Some(0.25), Some(0.0)));
        assert_eq!((of(Share::EndToEnd).candidate, of(Share::Generated).candidate), (Some(0.75), Some(1.0)));
        // Not one case was shown by both.
        assert_eq!((of(Share::Wrong).n, of(Share::Wrong).difference), (0, None));
    }

    #[test]
    fn calls_that_fail_are_right_nowhere_and_are_nobodys_of_the_two() {
        let cases = cases([10, 0, 0]);
        let said = |case_idx: usize, target_idx: usize| {
            (target_idx == 0 || case_idx > 3).then(|| answer("72 hours [1]").unwrap())
        };
        let results = results_of(&cases, &[Spec { name: "rag_end_to_end".to_owned(), settings: json!(null) }], said);
        let rag = rag(&results, 1).unwrap();
        assert_eq!(rag.targets[1].outcomes, BTreeMap::from([("right", 6), (FAILED, 4)]));
        let share = |share: Share| {
            rag.targets[1].shares.iter().find(|one| one.share == share).map(|one| (one.n, one.value)).unwrap()
        };
        assert_eq!(share(Share::EndToEnd), (10, Some(0.6)));
        assert_eq!(share(Share::LostByModel), (6, Some(0.0)));
    }
}
