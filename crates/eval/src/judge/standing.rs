//! What a judge comes to over a whole run, for reports.

use std::collections::BTreeMap;

use serde::Serialize;
use stats::interval::wilson;

use super::length::{LengthControl, Point, control};
use super::pairs::{Pair, Word};
use super::said::Judged;
use super::trust::Trust;
use super::{Kind, MOST_UNREAD, NoVerdict, Z};
use crate::compare::Interval;
use crate::results::Results;
use crate::review::{Choice, rate};

/// A judge of a run, by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeReport {
    /// Its name.
    pub name: String,
    /// `rubric` or `pairwise`.
    pub kind: &'static str,
    /// The id of the definition.
    pub id: String,
    /// In a sentence.
    pub definition: String,
    /// The target that judges.
    pub target: String,
    /// Its model.
    pub model: String,
    /// Whether its word is made up.
    pub simulated: bool,
    /// Whether it has been asked everything.
    pub whole: bool,
    /// What it is asked: a grade for each answer, or two orders of each pair, each as often as it is asked.
    pub n_questions: u64,
    /// Questions that have been asked.
    pub n_asked: u64,
    /// Of these, without a verdict, by reason.
    pub unscored: BTreeMap<NoVerdict, u64>,
    /// Of these, taken over from earlier calls.
    pub n_reused: u64,
    /// Calls that were made for this run, those that were made again included.
    pub n_calls: u64,
    /// What these cost, in dollars, apart from what the answers cost.
    pub cost: f64,
    /// Verdicts whose cost is not known.
    pub n_unpriced: u64,
    /// How often each question is asked.
    pub n_repeats: u64,
    /// Of the questions asked more than once, the part it answered the same way each time; none where each is asked once.
    pub self_agreement: Option<f64>,
    /// Its Wilson interval.
    pub self_agreement_interval: Option<Interval>,
    /// Why nothing may be decided by it, where too many of its verdicts cannot be read.
    pub withheld: Option<String>,
    /// Whether it agrees with people.
    pub trust: Trust,
    /// Of a pairwise judge, what it says of each candidate.
    pub candidates: Vec<PairwiseReport>,
}

/// What a pairwise judge says of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairwiseReport {
    /// The candidate.
    pub candidate: String,
    /// Pairs there are.
    pub n_pairs: u64,
    /// Of these, for the candidate.
    pub won: u64,
    /// Neither; pairs on which the orders disagree among them.
    pub tied: u64,
    /// For the baseline.
    pub lost: u64,
    /// Without a verdict.
    pub n_unscored: u64,
    /// Of those won, tied and lost: nobody was asked, because an answer was missing or both said the same.
    pub n_not_asked: u64,
    /// Wins and half of the ties over the verdicts, averaged by case: 0.5 is even.
    pub win_rate: Option<f64>,
    /// Its bootstrap interval over cases, or clusters of them.
    pub interval: Option<Interval>,
    /// Pairs on which the two orders disagree: ties.
    pub n_inconsistent: u64,
    /// Of the pairs that were read in both orders, the part on which these agree.
    pub position_consistency: Option<f64>,
    /// Of the verdicts that name an answer, the part that names the one that stood first: far from 0.5, the place decides.
    pub first_chosen: Option<f64>,
    /// How the preference goes with length.
    pub length: LengthControl,
}

/// What all judges of a run come to.
pub(crate) fn reports(results: &Results, seed: u64) -> Vec<JudgeReport> {
    results.judged.iter().map(|judged| report(results, judged, seed)).collect()
}

fn report(results: &Results, judged: &Judged, seed: u64) -> JudgeReport {
    let asked = || judged.said.iter().flatten();
    let judge = &judged.judge;
    let n_targets = results.plan.targets.len();
    let candidates = match judge.rules.kind {
        Kind::Rubric(_) => Vec::new(),
        Kind::Pairwise => (1..n_targets).map(|target_idx| pairwise(results, judged, (target_idx, seed))).collect(),
    };
    let (n_repeated, n_same) = judged.repeated();
    let unscored = judged.unscored();
    JudgeReport {
        name: judge.name.clone(),
        kind: judge.rules.kind(),
        id: judge.id(),
        definition: judge.definition(),
        target: judge.target.name.clone(),
        model: judge.target.model.clone(),
        simulated: judge.target.simulated || asked().any(|(answered, _)| answered.simulated),
        whole: results.is_whole() && judged.is_whole(),
        n_questions: judged.said.len() as u64,
        n_asked: asked().count() as u64,
        n_repeats: judge.rules.repeats,
        self_agreement: (n_repeated > 0).then(|| n_same as f64 / n_repeated as f64),
        self_agreement_interval: wilson(n_same, n_repeated, Z).map(|(low, high)| Interval { low, high, level: 0.95 }),
        withheld: withheld(unscored.values().sum(), asked().count() as u64),
        unscored,
        n_reused: asked().filter(|(_, reused)| *reused).count() as u64,
        n_calls: asked().filter(|(_, reused)| !reused).map(|(answered, _)| u64::from(answered.attempts)).sum(),
        cost: judged.spent_nanos as f64 * 1e-9,
        n_unpriced: asked().filter(|(answered, _)| answered.cost_nanos.is_none()).count() as u64,
        trust: judged.labels.trust(&judge.floor),
        candidates,
    }
}

/// Why nothing may be decided by a judge of whose questions too many have no verdict: it leaves out what it finds hard.
#[must_use]
pub fn withheld(n_unread: u64, n_asked: u64) -> Option<String> {
    let is_too_many = n_unread as f64 > MOST_UNREAD * n_asked as f64;
    is_too_many.then(|| {
        format!(
            "{n_unread} of {n_asked} questions have no verdict that can be read, more than {:.0} %: the others prove nothing",
            100.0 * MOST_UNREAD
        )
    })
}

fn pairwise(results: &Results, judged: &Judged, (target_idx, seed): (usize, u64)) -> PairwiseReport {
    let pairs = || judged.pairs.iter().filter(move |pair| pair.target_idx == target_idx);
    let mut report = PairwiseReport {
        candidate: results.plan.targets[target_idx].name.clone(),
        n_pairs: pairs().count() as u64,
        won: 0,
        tied: 0,
        lost: 0,
        n_unscored: 0,
        n_not_asked: 0,
        win_rate: None,
        interval: None,
        n_inconsistent: 0,
        position_consistency: None,
        first_chosen: None,
        length: LengthControl::default(),
    };
    let mut by_case: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let (mut n_read, mut chosen, mut points) = (0_u64, [0_u64; 2], Vec::new());
    for pair in pairs() {
        let Some(worth) = pair.word.worth() else {
            report.n_unscored += 1;
            continue;
        };
        match worth {
            worth if worth > 0.75 => report.won += 1,
            worth if worth < 0.25 => report.lost += 1,
            _ => report.tied += 1,
        }
        by_case.entry(pair.case_idx as u64).or_default().push(worth);
        if let Word::Said { baseline_first, candidate_first } = pair.word {
            n_read += 1;
            report.n_inconsistent += u64::from(pair.word.is_consistent() == Some(false));
            for choice in [baseline_first, candidate_first] {
                chosen[0] += u64::from(choice == Choice::First);
                chosen[1] += u64::from(choice == Choice::Second);
            }
        } else {
            report.n_not_asked += 1;
        }
        points.extend(point(results, pair, worth));
    }
    let part = |n: u64, of: u64| (of > 0).then(|| n as f64 / of as f64);
    report.position_consistency = part(n_read - report.n_inconsistent, n_read);
    report.first_chosen = part(chosen[0], chosen[0] + chosen[1]);
    (report.win_rate, report.interval) = rate(results, &by_case, seed);
    report.length = control(&points, seed);
    report
}

fn point(results: &Results, pair: &Pair, worth: f64) -> Option<Point> {
    let cluster = results.cases.get(pair.case_idx).and_then(|case| case.cluster.clone());
    let cluster = cluster.unwrap_or_else(|| format!("\u{0}{}", pair.case_idx));
    Some(Point { cluster, longer_by: pair.longer_by?, worth })
}
