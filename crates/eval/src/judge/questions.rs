//! The questions that a judge is asked about a run. They are a run of their own, beside the run they are about: what holds for answers (claims, keys,
//! retries, costs, the cap, going on after a kill) holds for verdicts.

use super::prompt::text_of_answer;
use super::{Judge, Kind};
use crate::case::{Answer, Case, digest};
use crate::results::Results;
use crate::review::names;
use crate::run::{Answered, Plan};

/// What one question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Which case.
    pub case_idx: usize,
    /// Whose answer is graded, or held against the baseline's.
    pub target_idx: usize,
    /// Which time the case was asked.
    pub repeat: u64,
    /// Of a pair, whether the candidate's answer stands first.
    pub candidate_first: bool,
}

/// The name of the run that holds what a judge says of a run.
#[must_use]
pub fn run_name(run: &str, judge: &str) -> String {
    format!("{run}~{judge}")
}

/// What a judge is asked about a whole run, in this order: every answer there is, or every pair of two answers that differ, in both orders.
#[must_use]
pub fn subjects(results: &Results, judge: &Judge) -> Vec<Subject> {
    let mut subjects = Vec::new();
    let n_targets = results.plan.targets.len();
    for (case_idx, case) in results.cases.iter().enumerate() {
        match judge.rules.kind {
            Kind::Rubric(_) => {
                for (target_idx, repeat) in each(0..n_targets, results.plan.repeats) {
                    if answer(results, (case_idx, target_idx, repeat)).is_some() {
                        subjects.push(Subject { case_idx, target_idx, repeat, candidate_first: false });
                    }
                }
            }
            Kind::Pairwise => {
                for (target_idx, repeat) in each(1..n_targets, results.plan.repeats) {
                    if differing(results, (case_idx, target_idx, repeat)).is_some() {
                        let first = is_first(judge.rules.seed, case, (target_idx, repeat));
                        let one = |candidate_first| Subject { case_idx, target_idx, repeat, candidate_first };
                        subjects.extend([one(first), one(!first)]);
                    }
                }
            }
        }
    }
    subjects
}

fn each(targets: std::ops::Range<usize>, repeats: u64) -> impl Iterator<Item = (usize, u64)> {
    targets.flat_map(move |target_idx| (0..repeats).map(move |repeat| (target_idx, repeat)))
}

/// Whether the order with the candidate first is the one that is asked first: the seed's decision.
fn is_first(seed: u64, case: &Case, (target_idx, repeat): (usize, u64)) -> bool {
    let parts = [seed, target_idx as u64, repeat].map(u64::to_be_bytes);
    let drawn = digest(&[&parts[0], &parts[1], &parts[2], case.id.as_bytes()]);
    drawn.as_bytes().first().is_some_and(|letter| letter.is_ascii_digit() && letter % 2 == 0 || *letter > b'c')
}

/// What came of asking a target a case, which time.
pub(super) fn answered(results: &Results, (case_idx, target_idx, repeat): (usize, usize, u64)) -> Option<&Answered> {
    Some(&results.of(case_idx, target_idx).find(|record| record.item.repeat == repeat)?.answered)
}

/// The answer, where there is one.
fn answer(results: &Results, key: (usize, usize, u64)) -> Option<&Answer> {
    answered(results, key)?.answer.as_ref()
}

/// The baseline's answer and the candidate's, where there are both and they do not say the same.
fn differing(results: &Results, (case_idx, target_idx, repeat): (usize, usize, u64)) -> Option<(&Answer, &Answer)> {
    let baseline = answer(results, (case_idx, 0, repeat))?;
    let candidate = answer(results, (case_idx, target_idx, repeat))?;
    (text_of_answer(baseline) != text_of_answer(candidate)).then_some((baseline, candidate))
}

/// The questions as cases, one for each subject.
#[must_use]
pub fn cases(results: &Results, judge: &Judge, subjects: &[Subject]) -> Vec<Case> {
    let (rules, names) = (&judge.rules, names(results));
    let one = |subject: &Subject| {
        let case = &results.cases[subject.case_idx];
        let key = (subject.case_idx, subject.target_idx, subject.repeat);
        Some(match rules.kind {
            Kind::Rubric(_) => rules.question(case, answer(results, key)?, &names),
            Kind::Pairwise => {
                let (baseline, candidate) = differing(results, key)?;
                let pair = if subject.candidate_first { (candidate, baseline) } else { (baseline, candidate) };
                rules.pair_question(case, pair, &names)
            }
        })
    };
    subjects.iter().filter_map(one).collect()
}

/// The plan of the judge's run.
#[must_use]
pub fn plan(results: &Results, judge: &Judge, cases: &[Case]) -> Plan {
    Plan {
        repeats: judge.rules.repeats,
        seed: (judge.rules.repeats > 1).then_some(judge.rules.seed),
        judge_of: Some(results.row.run.clone()),
        ..results.plan.beside(judge.target.clone(), cases)
    }
}
