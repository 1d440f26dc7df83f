//! What people say of pairs of answers when they do not know whose they are: which pair comes next, and what all verdicts come to.
//!
//! Pairs that metrics (judges among them) see differently come in turns with pairs of every slice: first those of which one metric says
//! that the candidate is better and another that the baseline is, or of which a judge contradicts itself, then those of which the metric that decides says that the answers are
//! not worth the same. The first show where automatic judgement is not to be trusted, the pairs of every slice what is usual; the seed
//! decides the order within each. A pair goes to as many people as said before new ones are begun, so that agreement can be measured.
//! The unit is the case: several verdicts on one are averaged.

mod assigned;
mod elsewhere;
mod proof;

pub use assigned::{Assignment, assigned, provable_margin};
pub use elsewhere::{Alike, Elsewhere};
pub use proof::{MARGIN, Proof, proof};

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stats::agreement::{Scale, krippendorff};
use stats::random::Random;
use stats::sample_mean::SampleMean;
use store::BlindPairRow;

use crate::agreement::{Kappa, Ratings, all, each_two};
use crate::compare::{ALPHA, Interval};
use crate::panel::names_itself;
use crate::results::{Results, Yardstick};

/// What is said of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The answer that stands first is better.
    First,
    /// The second one is.
    Second,
    /// Neither is.
    Tie,
}

impl Choice {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Choice::First => "first",
            Choice::Second => "second",
            Choice::Tie => "tie",
        }
    }

    /// The choice of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Choice> {
        [Choice::First, Choice::Second, Choice::Tie].into_iter().find(|choice| choice.as_str() == word)
    }
}

/// What all verdicts on a candidate come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The candidate.
    pub candidate: String,
    /// Cases with a verdict.
    pub n_cases: u64,
    /// Verdicts.
    pub n_verdicts: u64,
    /// Of these, for the candidate.
    pub won: u64,
    /// Of these, neither.
    pub tied: u64,
    /// Of these, for the baseline.
    pub lost: u64,
    /// Wins and half of the ties over the verdicts, averaged by case: 0.5 is even.
    pub win_rate: Option<f64>,
    /// Its bootstrap interval over cases, or clusters of them.
    pub interval: Option<Interval>,
    /// Krippendorff's alpha (ordinal) of verdicts on the same cases; none where no case has two.
    pub agreement: Option<f64>,
    /// How often the answer that stood first was chosen, ties apart: far from 0.5 people go by the place.
    pub first_chosen: Option<f64>,
    /// The middle of the times from showing to verdict, in seconds.
    pub median_seconds: Option<f64>,
    /// Cohen's kappa of each two reviewers over what both judged.
    pub cohen: Vec<Kappa>,
    /// Fleiss' kappa over cases that equally many judged.
    pub fleiss: Kappa,
    /// What each reviewer's verdicts took.
    pub times: Vec<ReviewTime>,
    /// Verdicts on pairs of which an answer named itself: the name was made unreadable.
    pub n_masked: u64,
    /// The win rate without these.
    pub win_rate_unmasked: Option<f64>,
    /// Pairs that were withdrawn before anybody judged them: no part of anything above.
    #[serde(default)]
    pub n_withdrawn: u64,
}

/// The time of a reviewer: what people cost is counted from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewTime {
    /// Who.
    pub reviewer: String,
    /// Verdicts.
    pub n_verdicts: u64,
    /// Of these, such whose time is known.
    pub n_timed: u64,
    /// Their times together, in seconds.
    pub seconds: f64,
    /// The middle one.
    pub median_seconds: Option<f64>,
}

/// The cases of a candidate in the order in which they are judged.
#[derive(Debug)]
pub struct Queue {
    candidate: String,
    order: Vec<usize>,
}

impl Queue {
    /// Of a candidate of a run. Cases that lack an answer are left out.
    #[must_use]
    pub fn of(results: &Results, target_idx: usize, seed: u64) -> Queue {
        Queue { candidate: results.plan.targets[target_idx].name.clone(), order: order(results, target_idx, seed) }
    }

    /// How many cases it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The next case for a reviewer; `None` when there is none left. Each case goes to `overlap` people, and nobody gets one that he sees
    /// elsewhere.
    #[must_use]
    pub fn next(&self, shown: &[BlindPairRow], who: (&str, u64), elsewhere: &Elsewhere<'_>) -> Option<usize> {
        let (free, begun) = self.free(shown, who);
        let free = || free.iter().copied().filter(|case_idx| !elsewhere.has(*case_idx as u64));
        free().find(|case_idx| begun.contains(&(*case_idx as u64))).or_else(|| free().next())
    }

    /// How many cases a reviewer would get next, did he not see them elsewhere.
    #[must_use]
    pub fn n_elsewhere(&self, shown: &[BlindPairRow], who: (&str, u64), elsewhere: &Elsewhere<'_>) -> u64 {
        let (free, _) = self.free(shown, who);
        free.into_iter().filter(|case_idx| elsewhere.has(*case_idx as u64)).count() as u64
    }

    /// The cases that this reviewer was not shown with this candidate and that want another verdict, in their order; and those that were shown to
    /// somebody.
    fn free(&self, shown: &[BlindPairRow], (reviewer, overlap): (&str, u64)) -> (Vec<usize>, BTreeSet<u64>) {
        let mut n_shown: BTreeMap<u64, u64> = BTreeMap::new();
        let mut own = BTreeSet::new();
        for pair in shown.iter().filter(|pair| pair.candidate == self.candidate) {
            // A pair that was withdrawn leaves its case to others, and does not come again.
            if !pair.is_withdrawn() {
                *n_shown.entry(pair.case_idx).or_default() += 1;
            }
            if pair.reviewer == reviewer {
                own.insert(pair.case_idx);
            }
        }
        let free = |case_idx: &usize| {
            let case_idx = *case_idx as u64;
            !own.contains(&case_idx) && n_shown.get(&case_idx).copied().unwrap_or(0) < overlap
        };
        (self.order.iter().copied().filter(free).collect(), n_shown.into_keys().collect())
    }
}

/// How much a pair tells of where automatic judgement is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// One metric or judge says that the candidate is better, and another that the baseline is; or a pairwise judge contradicts itself.
    Opposed,
    /// The metric that decides says that the answers are not worth the same.
    Differing,
    /// Neither.
    Alike,
}

impl Telling {
    fn rank(self) -> f64 {
        match self {
            Telling::Opposed => 1.0,
            Telling::Differing => 0.5,
            Telling::Alike => 0.0,
        }
    }
}

/// What metrics see of a candidate's pairs.
struct Sight<'r> {
    results: &'r Results,
    yardsticks: Vec<Yardstick>,
    target_idx: usize,
    /// Cases of whose pair a pairwise judge says one thing in one order, or once, and another in the other, or again.
    contradicted: BTreeSet<usize>,
    /// What each pairwise judge's word of a case's pair is worth beyond one half, on average over its times.
    preferred: BTreeMap<usize, Vec<f64>>,
}

impl Sight<'_> {
    fn of(results: &Results, target_idx: usize) -> Sight<'_> {
        let of_target = |(_, of): &(usize, usize)| *of == target_idx;
        let contradicted = results.judged.iter().flat_map(|judged| judged.contradicted()).filter(of_target);
        let contradicted = contradicted.map(|(case_idx, _)| case_idx).collect();
        let mut preferred: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for judged in &results.judged {
            let mut of_case: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
            for pair in judged.pairs.iter().filter(|pair| pair.target_idx == target_idx) {
                if let Some(worth) = pair.word.worth() {
                    let sum = of_case.entry(pair.case_idx).or_default();
                    *sum = (sum.0 + worth - 0.5, sum.1 + 1.0);
                }
            }
            for (case_idx, (sum, n)) in of_case {
                preferred.entry(case_idx).or_default().push(sum / n);
            }
        }
        Sight { results, yardsticks: results.yardsticks(), target_idx, contradicted, preferred }
    }

    /// How much the pair of a case tells; nothing where one of the answers is missing, and there is no pair.
    fn telling(&self, case_idx: usize) -> Option<Telling> {
        let has_answer = |target_idx: usize| {
            self.results.of(case_idx, target_idx).next().is_some_and(|record| record.answered.answer.is_some())
        };
        if !has_answer(0) || !has_answer(self.target_idx) {
            return None;
        }
        let worth = |yardstick: &Yardstick, target_idx: usize| self.results.worth(yardstick, case_idx, target_idx).ok();
        let gain =
            |yardstick: &Yardstick| Some(yardstick.gain(worth(yardstick, 0)?, worth(yardstick, self.target_idx)?));
        let preferred = self.preferred.get(&case_idx).map(Vec::as_slice).unwrap_or_default();
        let gains = || self.yardsticks.iter().filter_map(gain).chain(preferred.iter().copied());
        let primary = self.yardsticks.iter().find(|yardstick| yardstick.name == self.results.plan.primary);
        let of = |target_idx| primary.and_then(|primary| worth(primary, target_idx)).map(f64::to_bits);
        // Metrics with the candidate ahead, and with the baseline.
        let is_split = || gains().any(|gain| gain > 0.0) && gains().any(|gain| gain < 0.0);
        Some(if self.contradicted.contains(&case_idx) || is_split() {
            Telling::Opposed
        } else if of(0) == of(self.target_idx) {
            Telling::Alike
        } else {
            Telling::Differing
        })
    }

    /// The slices of a case, as one.
    fn slice(&self, case_idx: usize) -> String {
        let case = self.results.cases.get(case_idx);
        case.map(|case| case.slices.values().cloned().collect::<Vec<_>>().join(" / ")).unwrap_or_default()
    }
}

/// All cases with both answers, in the order in which they are judged.
fn order(results: &Results, target_idx: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    let sight = Sight::of(results, target_idx);
    let (mut opposed, mut differing, mut by_slice) = (Vec::new(), Vec::new(), BTreeMap::<String, Vec<usize>>::new());
    for case_idx in 0..results.cases.len() {
        match sight.telling(case_idx) {
            None => {}
            Some(Telling::Opposed) => opposed.push(case_idx),
            Some(Telling::Differing) => differing.push(case_idx),
            Some(Telling::Alike) => by_slice.entry(sight.slice(case_idx)).or_default().push(case_idx),
        }
    }
    let mut alike = Vec::new();
    while !by_slice.is_empty() {
        for cases in by_slice.values_mut() {
            alike.push(cases.swap_remove(random.below(cases.len())));
        }
        by_slice.retain(|_, cases| !cases.is_empty());
    }
    let mut order = Vec::with_capacity(opposed.len() + differing.len() + alike.len());
    let mut alike = alike.into_iter();
    for mut telling in [opposed, differing] {
        while !telling.is_empty() {
            order.push(telling.swap_remove(random.below(telling.len())));
            order.extend(alike.next());
        }
    }
    order.extend(alike);
    order
}

/// What verdicts are worth to the candidate, with their cases: 1, 0.5 or 0.
fn worths(rows: &[&BlindPairRow]) -> Vec<(u64, f64)> {
    rows.iter().filter_map(|pair| Some((pair.case_idx, worth(pair)?))).collect()
}

fn worth(pair: &BlindPairRow) -> Option<f64> {
    Some(match (Choice::named(pair.choice.as_deref()?)?, pair.candidate_first) {
        (Choice::Tie, _) => 0.5,
        (Choice::First, true) | (Choice::Second, false) => 1.0,
        (Choice::First, false) | (Choice::Second, true) => 0.0,
    })
}

/// A verdict, and what it is worth to the candidate: 1, 0.5 or 0.
struct Judged<'p> {
    pair: &'p BlindPairRow,
    choice: Choice,
    worth: f64,
    is_masked: bool,
}

/// What the verdicts on a candidate come to.
#[must_use]
pub fn standing(results: &Results, (target_idx, shown): (usize, &[BlindPairRow]), seed: u64) -> Standing {
    let candidate = results.plan.targets[target_idx].name.clone();
    let of_candidate = || shown.iter().filter(|pair| pair.candidate == candidate);
    let n_withdrawn = of_candidate().filter(|pair| pair.is_withdrawn()).count() as u64;
    let judged: Vec<Judged<'_>> = of_candidate().filter_map(|pair| judged(results, target_idx, pair)).collect();
    let count = |from: f64, to: f64| judged.iter().filter(|one| one.worth > from && one.worth < to).count() as u64;
    let (won, tied, lost) = (count(0.75, 2.0), count(0.25, 0.75), count(-1.0, 0.25));
    let n_first = judged.iter().filter(|one| one.choice == Choice::First).count();
    let by_case = |keep: &dyn Fn(&Judged<'_>) -> bool| {
        let mut by_case: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for one in judged.iter().filter(|one| keep(one)) {
            by_case.entry(one.pair.case_idx).or_default().push(one.worth);
        }
        by_case
    };
    let all_cases = by_case(&|_| true);
    let (win_rate, interval) = rate(results, &all_cases, seed);
    let items: Vec<Vec<f64>> = all_cases.values().filter(|verdicts| verdicts.len() > 1).cloned().collect();
    let mut ratings = Ratings::new();
    for one in &judged {
        let category = if one.worth > 0.75 { 2 } else { usize::from(one.worth > 0.25) };
        ratings.entry(one.pair.case_idx).or_default().insert(one.pair.reviewer.clone(), category);
    }
    let reviewers: BTreeSet<&String> = judged.iter().map(|one| &one.pair.reviewer).collect();
    let reviewers: Vec<String> = reviewers.into_iter().cloned().collect();
    Standing {
        candidate,
        n_cases: all_cases.len() as u64,
        n_verdicts: judged.len() as u64,
        won,
        tied,
        lost,
        win_rate,
        interval,
        agreement: krippendorff(&items, Scale::Ordinal),
        first_chosen: (won + lost > 0).then(|| n_first as f64 / (won + lost) as f64),
        median_seconds: median(seconds(&judged, None)),
        cohen: each_two(&ratings, &reviewers, seed),
        fleiss: all(&ratings, &reviewers, seed),
        times: reviewers.iter().map(|reviewer| time(&judged, reviewer)).collect(),
        n_masked: judged.iter().filter(|one| one.is_masked).count() as u64,
        win_rate_unmasked: rate(results, &by_case(&|one| !one.is_masked), seed).0,
        n_withdrawn,
    }
}

fn judged<'p>(results: &Results, target_idx: usize, pair: &'p BlindPairRow) -> Option<Judged<'p>> {
    let (choice, worth) = (Choice::named(pair.choice.as_deref()?)?, worth(pair)?);
    let names = names(results);
    let case_idx = usize::try_from(pair.case_idx).ok()?;
    let names_itself = |target_idx| {
        let answer = results.of(case_idx, target_idx).next().and_then(|record| record.answered.answer.as_ref());
        answer.is_some_and(|answer| names_itself(answer, &names))
    };
    Some(Judged { pair, choice, worth, is_masked: names_itself(0) || names_itself(target_idx) })
}

/// The names of models that are made unreadable before a reviewer sees an answer of this run.
#[must_use]
pub fn names(results: &Results) -> Vec<String> {
    results.plan.targets.iter().map(|target| target.model.clone()).collect()
}

fn seconds(judged: &[Judged<'_>], reviewer: Option<&str>) -> Vec<f64> {
    let of = judged.iter().filter(|one| reviewer.is_none_or(|name| one.pair.reviewer == name));
    of.filter_map(|one| one.pair.took_us).map(|took| took as f64 * 1e-6).collect()
}

fn median(mut seconds: Vec<f64>) -> Option<f64> {
    seconds.sort_unstable_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

fn time(judged: &[Judged<'_>], reviewer: &str) -> ReviewTime {
    let seconds = seconds(judged, Some(reviewer));
    ReviewTime {
        reviewer: reviewer.to_owned(),
        n_verdicts: judged.iter().filter(|one| one.pair.reviewer == reviewer).count() as u64,
        n_timed: seconds.len() as u64,
        // A sum of nothing is -0.
        seconds: seconds.iter().sum::<f64>() + 0.0,
        median_seconds: median(seconds),
    }
}

/// The win rate, averaged by case, and its interval over cases, or clusters of them ([`stats::sample_mean`]): where all verdicts are alike it has a width too.
pub(crate) fn rate(results: &Results, by_case: &BTreeMap<u64, Vec<f64>>, seed: u64) -> (Option<f64>, Option<Interval>) {
    let mut clusters: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for (case_idx, verdicts) in by_case {
        let case = usize::try_from(*case_idx).ok().and_then(|case_idx| results.cases.get(case_idx));
        let cluster = case.and_then(|case| case.cluster.clone()).unwrap_or_else(|| format!("\u{0}{case_idx}"));
        let sum = clusters.entry(cluster).or_default();
        *sum = (sum.0 + 1, sum.1 + verdicts.iter().sum::<f64>() / verdicts.len() as f64);
    }
    let clusters: Vec<(u64, f64)> = clusters.into_values().collect();
    if clusters.is_empty() {
        return (None, None);
    }
    let (n, sum) = clusters.iter().fold((0, 0.0), |(n, sum), (n_here, sum_here)| (n + n_here, sum + sum_here));
    let largest = clusters.iter().map(|(n, _)| *n).max().unwrap_or(1);
    // A verdict is worth 0 to 1. Of two cases there is an interval, and it says nothing.
    let mean = SampleMean::new(&clusters, (0.0, 1.0), largest as f64, seed).filter(|_| clusters.len() > 2);
    let interval = mean.map(|mean| mean.interval(2.0 * ALPHA));
    (Some(sum / n as f64), interval.map(|(low, high)| Interval { low, high, level: 1.0 - 2.0 * ALPHA }))
}
