//! What a judge said of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use store::Database;

use super::pairs::{Pair, pairs};
use super::questions::{Subject, run_name, subjects};
use super::trust::Labels;
use super::verdict::{all_same, mean, most};
use super::{Judge, Kind, NoVerdict};
use crate::case::Answer;
use crate::metric::Score;
use crate::results::{Results, ResultsError};
use crate::review::Choice;
use crate::run::Answered;

/// A judge and its word on everything it is asked about.
#[derive(Debug)]
pub struct Judged {
    /// The judge.
    pub judge: Judge,
    /// What it is asked about.
    pub subjects: Vec<Subject>,
    /// Its answers to these, as often as each is asked, and whether no call was made for it; `None` where it has not been asked yet.
    pub said: Vec<Option<(Answered, bool)>>,
    /// Of a pairwise judge, what it says of each pair.
    pub pairs: Vec<Pair>,
    /// Where people judged the same pairs.
    pub labels: Labels,
    /// What its calls cost, in billionths of a dollar.
    pub spent_nanos: u64,
}

impl Judged {
    /// Reads what a judge said, and adds its grades to the scores of the answers. Labels of other runs are not looked at yet.
    pub(crate) fn load(database: &Database, results: &mut Results, judge: &Judge) -> Result<Judged, ResultsError> {
        let run = run_name(&results.row.run, &judge.name);
        let row = database.eval_run(&run)?;
        let subjects = subjects(results, judge);
        let n_repeats = usize::try_from(judge.rules.repeats).unwrap_or(1);
        let mut said: Vec<Option<(Answered, bool)>> = Vec::new();
        said.resize_with(subjects.len() * n_repeats, || None);
        // A run of this name that asks something else is no word on this one.
        let row = row.filter(|row| row.n_items == said.len() as u64);
        if row.is_some() {
            database.eval_answers(&run, |answer| {
                let answered = serde_json::from_str(&answer.json).map_err(|source| ResultsError::Unreadable {
                    run: run.clone(),
                    what: "an answer",
                    source,
                })?;
                let place = usize::try_from(answer.item).ok().and_then(|idx| said.get_mut(idx));
                if let Some(place) = place {
                    *place = Some((answered, answer.reused));
                }
                Ok::<(), ResultsError>(())
            })?;
        }
        let spent_nanos = row.map_or(0, |row| row.spent_nanos);
        let judge = judge.clone();
        let mut judged = Judged { judge, subjects, said, pairs: Vec::new(), labels: Labels::default(), spent_nanos };
        match judged.judge.rules.kind {
            Kind::Rubric(_) => judged.grade(results),
            Kind::Pairwise => judged.pairs = pairs(results, &judged),
        }
        let shown = database.blind_pairs(&results.row.run)?;
        judged.labels = Labels::of(results, &judged, &shown);
        Ok(judged)
    }

    /// Whether it has been asked everything.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.said.iter().all(Option::is_some)
    }

    /// The answers to a question, one for each time it is asked; `None` where it has not been asked as often as that.
    fn answers(&self, idx: usize) -> Option<Vec<Result<&Answer, NoVerdict>>> {
        let n_repeats = usize::try_from(self.judge.rules.repeats).unwrap_or(1);
        let said = self.said.get(idx * n_repeats..(idx + 1) * n_repeats)?.iter();
        let one = |said: &'_ Option<(Answered, bool)>| said.is_some();
        if !said.clone().all(one) {
            return None;
        }
        Some(said.flatten().map(|(answered, _)| answered.answer.as_ref().ok_or(NoVerdict::NoAnswer)).collect())
    }

    fn grades(&self, idx: usize) -> Option<Vec<Result<f64, NoVerdict>>> {
        let grade = |answer: Result<&Answer, NoVerdict>| answer.and_then(|answer| self.judge.rules.score(answer));
        Some(self.answers(idx)?.into_iter().map(grade).collect())
    }

    fn choices(&self, idx: usize) -> Option<Vec<Result<Choice, NoVerdict>>> {
        let choice = |answer: Result<&Answer, NoVerdict>| answer.and_then(|answer| self.judge.rules.preference(answer));
        Some(self.answers(idx)?.into_iter().map(choice).collect())
    }

    /// Which answer it prefers in one order of a pair, all repeats together; `None` where it has not been asked.
    pub(super) fn choice(&self, idx: usize) -> Option<Result<Choice, NoVerdict>> {
        self.choices(idx).map(|choices| most(&choices))
    }

    /// Questions that were asked more than once and read each time, and how many of these it answered the same way each time.
    #[must_use]
    pub fn repeated(&self) -> (u64, u64) {
        let same = |idx| match self.judge.rules.kind {
            Kind::Rubric(_) => all_same(&self.grades(idx)?),
            Kind::Pairwise => all_same(&self.choices(idx)?),
        };
        let known = (0..self.subjects.len()).filter_map(same);
        known.fold((0, 0), |(n, n_same), same| (n + 1, n_same + u64::from(same)))
    }

    /// Cases and candidates of whose pair a pairwise judge contradicts itself: its two orders say different things, or one order does when it is
    /// asked again.
    #[must_use]
    pub fn contradicted(&self) -> BTreeSet<(usize, usize)> {
        let of_orders = self.pairs.iter().filter(|pair| pair.word.is_consistent() == Some(false));
        let of_orders = of_orders.map(|pair| (pair.case_idx, pair.target_idx));
        let is_other_again = |idx: &usize| self.choices(*idx).and_then(|choices| all_same(&choices)) == Some(false);
        let n_pairwise = if self.pairs.is_empty() { 0 } else { self.subjects.len() };
        let of_repeats = (0..n_pairwise).filter(is_other_again).filter_map(|idx| self.subjects.get(idx));
        of_orders.chain(of_repeats.map(|subject| (subject.case_idx, subject.target_idx))).collect()
    }

    /// Puts the grades beside the other scores.
    fn grade(&self, results: &mut Results) {
        let id: Arc<str> = self.judge.id().into();
        let n_targets = results.plan.targets.len() as u64;
        for (idx, subject) in self.subjects.iter().enumerate() {
            let Some(grades) = self.grades(idx) else { continue };
            let score = mean(&grades).map_or_else(NoVerdict::score, Score::value);
            let pair = subject.case_idx as u64 * n_targets + subject.target_idx as u64;
            let number = pair * results.plan.repeats + subject.repeat;
            let place = results.records.binary_search_by_key(&number, |record| record.item.number);
            if let Ok(place) = place {
                results.records[place].scores.put(&id, score);
            }
        }
    }

    /// What came of every time a question has been asked and has no verdict, by reason.
    #[must_use]
    pub fn unscored(&self) -> BTreeMap<NoVerdict, u64> {
        let mut reasons = BTreeMap::new();
        let rules = &self.judge.rules;
        for (answered, _) in self.said.iter().flatten() {
            let why = match (&answered.answer, rules.kind) {
                (None, _) => Some(NoVerdict::NoAnswer),
                (Some(answer), Kind::Rubric(_)) => rules.score(answer).err(),
                (Some(answer), Kind::Pairwise) => rules.preference(answer).err(),
            };
            if let Some(why) = why {
                *reasons.entry(why).or_default() += 1;
            }
        }
        reasons
    }
}
