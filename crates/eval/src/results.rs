//! A run as it is on record: its plan, its cases, and every answer with its scores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use store::{AnsweredRow, Database, DatabaseError, EvalRunRow};

use crate::case::{Answer, Case, Lineage};
use crate::encode::{self, Encoding};
use crate::entail::{self, Entailing};
use crate::judge::reviewed;
use crate::judge::said::Judged;
use crate::judge::trust::Labels;
use crate::metric::{Basis, Direction, Measured, Needs, Range, Score, UnknownMetric, Unscored, code, vectors};
use crate::run::{Answered, Item, Plan, Scorer, Took};

/// Everything that is known of a run.
#[derive(Debug)]
pub struct Results {
    /// How far it is.
    pub row: EvalRunRow,
    /// What it does.
    pub plan: Plan,
    /// The cases it asks, in their order.
    pub cases: Vec<Case>,
    /// What answers are worth.
    pub scorer: Scorer,
    /// The answers there are, by item.
    pub records: Vec<Record>,
    /// What judges say of them; their grades are among the scores.
    pub judged: Vec<Judged>,
    /// What became of the encoder's items; what is measured by its vectors is among the scores.
    pub(crate) encoding: Option<Encoding>,
    /// What was said on entailment; what is measured by it is among the scores.
    pub(crate) entailing: Option<Entailing>,
}

/// An answer with its scores.
#[derive(Debug)]
pub struct Record {
    /// To what.
    pub item: Item,
    /// Whether no call was made for it.
    pub reused: bool,
    /// The answer, or why there is none.
    pub answered: Answered,
    /// What it is worth, by the id of the definition.
    pub scores: Scores,
}

/// Scores of one answer. There are few, and there are many answers: a list that shares the ids is a tenth of a map, and most scores are a number.
#[derive(Debug, Default)]
pub struct Scores(Box<[Kept]>);

#[derive(Debug)]
struct Kept {
    id: Arc<str>,
    measured: Measured,
    /// The whole score, where it is more than what is measured.
    whole: Option<Box<Score>>,
}

/// A score of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'s> {
    /// The value, or why there is none.
    pub measured: Measured,
    whole: Option<&'s Score>,
}

impl<'s> Scored<'s> {
    /// The value, if there is one.
    #[must_use]
    pub fn as_value(self) -> Option<f64> {
        match self.measured {
            Measured::Value(value) => Some(value),
            Measured::Unscored(_) => None,
        }
    }

    /// What happened, in the metric's word.
    #[must_use]
    pub fn outcome(self) -> Option<&'s str> {
        self.whole?.outcome.as_deref()
    }

    /// What a report shows of it beside the number.
    #[must_use]
    pub fn detail(self) -> Option<&'s str> {
        self.whole?.detail.as_deref()
    }

    /// The score with everything that belongs to it.
    #[must_use]
    pub fn to_score(self) -> Score {
        let plain = Score { measured: self.measured, outcome: None, detail: None, basis: Basis::None };
        self.whole.cloned().unwrap_or(plain)
    }
}

impl Kept {
    fn of(id: Arc<str>, mut score: Score) -> Kept {
        let measured = score.measured;
        if let Basis::Counts(counts) = &mut score.basis {
            counts.shrink_to_fit();
        }
        let is_plain = score.outcome.is_none() && score.detail.is_none() && score.basis == Basis::None;
        Kept { id, measured, whole: (!is_plain).then(|| Box::new(score)) }
    }
}

impl Scores {
    /// The one by the definition of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Scored<'_>> {
        let kept = self.0.iter().find(|kept| *kept.id == *id)?;
        Some(Scored { measured: kept.measured, whole: kept.whole.as_deref() })
    }

    /// Adds one, or puts it in the place of the one by the same definition.
    pub(crate) fn put(&mut self, id: &Arc<str>, score: Score) {
        let mut scores = std::mem::take(&mut self.0).into_vec();
        scores.retain(|kept| kept.id != *id);
        scores.push(Kept::of(Arc::clone(id), score));
        self.0 = scores.into_boxed_slice();
    }
}

impl<Id: Into<Arc<str>>> FromIterator<(Id, Score)> for Scores {
    fn from_iter<T: IntoIterator<Item = (Id, Score)>>(scores: T) -> Scores {
        Scores(scores.into_iter().map(|(id, score)| Kept::of(id.into(), score)).collect())
    }
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The store failed.
    #[error("the run cannot be read")]
    Store(#[from] DatabaseError),
    /// There is none of this name.
    #[error("there is no run `{0}`")]
    NoRun(String),
    /// It holds what a judge said of another run.
    #[error("`{run}` holds what a judge said of the run `{of}`, whose report shows it")]
    OfJudge {
        /// The run.
        run: String,
        /// The run that was judged.
        of: String,
    },
    /// It holds the vectors of another run.
    #[error("`{run}` holds the vectors of the run `{of}`, whose report shows what is measured by them")]
    OfEncoder {
        /// The run.
        run: String,
        /// The run whose texts they are of.
        of: String,
    },
    /// Something of it is not as this program writes it.
    #[error("the run `{run}` holds {what} that cannot be read")]
    Unreadable {
        /// The run.
        run: String,
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It is measured by what this program does not know.
    #[error("the run `{run}` is measured by what is not known here")]
    Metric {
        /// The run.
        run: String,
        /// Which.
        #[source]
        source: UnknownMetric,
    },
}

/// A metric as answers are compared by it.
#[derive(Debug, Clone)]
pub struct Yardstick {
    /// Its name.
    pub name: String,
    /// The id of its definition.
    pub id: String,
    /// The definition in a sentence.
    pub definition: String,
    /// Which way is better.
    pub direction: Direction,
    /// The values it can take.
    pub range: Range,
    /// What a model has to say before there is a value.
    pub needs: Needs,
}

impl Results {
    /// Reads a run.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be read.
    pub fn load(database: &Database, run: &str) -> Result<Results, ResultsError> {
        Results::with_labels(database, run, Depth::Everything)
    }

    /// Reads of a run what a [`summary`](crate::compare::summary_report) says, which is the same of it as of the whole: without the texts of cases and
    /// answers, where no judge, no encoder and no judge of entailment reads them.
    ///
    /// # Errors
    /// As [`load`](Results::load).
    pub fn load_numbers(database: &Database, run: &str) -> Result<Results, ResultsError> {
        Results::with_labels(database, run, Depth::Numbers)
    }

    fn with_labels(database: &Database, run: &str, depth: Depth) -> Result<Results, ResultsError> {
        let mut results = Results::alone(database, run, depth)?;
        for judged in &mut results.judged {
            let (id, floor) = (judged.judge.id(), judged.judge.floor.clone());
            let others = floor.runs.iter().filter(|other| *other != run);
            judged.labels.add(&Results::labels(database, &id, others)?);
            judged.labels.add(&reviewed::labels(database, &id, &floor.panels)?);
        }
        if let Some(entailing) = &mut results.entailing {
            let entailer = results.plan.entailment.iter();
            for other in entailer.flat_map(|entailer| &entailer.floor.runs).filter(|other| *other != run) {
                let found = match Results::alone(database, other, Depth::Everything) {
                    Err(ResultsError::NoRun(_)) => None,
                    other => Some(other?),
                };
                entailing.add(other, found.as_ref().and_then(|found| found.entailing.as_ref()));
            }
        }
        Ok(results)
    }

    /// What people said, in these runs, of pairs that the judge of this id judged there.
    ///
    /// # Errors
    /// When one of them cannot be read. One that is not there, or was not judged by this judge, is missing among the labels.
    pub fn labels<'r>(
        database: &Database,
        judge: &str,
        runs: impl Iterator<Item = &'r String>,
    ) -> Result<Labels, ResultsError> {
        let mut all = Labels::default();
        for run in runs {
            let labels = match Results::alone(database, run, Depth::Everything) {
                Err(ResultsError::NoRun(_)) => None,
                Err(error) => return Err(error),
                Ok(results) => results.judged.into_iter().find(|one| one.judge.id() == judge).map(|one| one.labels),
            };
            match labels {
                Some(labels) => all.add(&labels),
                None => all.missing.push(format!("no run `{run}` was judged by the same judge")),
            }
        }
        Ok(all)
    }

    /// A run without what other runs say of its judges.
    fn alone(database: &Database, run: &str, depth: Depth) -> Result<Results, ResultsError> {
        let row = database.eval_run(run)?.ok_or_else(|| ResultsError::NoRun(run.to_owned()))?;
        let unreadable = |what| move |source| ResultsError::Unreadable { run: run.to_owned(), what, source };
        let plan: Plan = serde_json::from_value(row.plan.clone()).map_err(unreadable("a plan"))?;
        if let Some(of) = plan.judge_of {
            return Err(ResultsError::OfJudge { run: run.to_owned(), of });
        }
        if let Some(of) = plan.encoder_of {
            return Err(ResultsError::OfEncoder { run: run.to_owned(), of });
        }
        let is_light =
            depth == Depth::Numbers && plan.judges.is_empty() && plan.encoder.is_none() && plan.entailment.is_none();
        let scorer = Scorer::of(&plan.metrics);
        let scorer = scorer.map_err(|source| ResultsError::Metric { run: run.to_owned(), source })?;
        let ids: Vec<Arc<str>> = scorer.ids().map(|(_, id)| Arc::from(id)).collect();
        let mut records = Vec::new();
        database.eval_answers(run, |row| {
            let mut record = record(&plan, &ids, row).map_err(unreadable("an answer"))?;
            if is_light && unmeasured(&record, &ids).next().is_none() {
                record.answered.answer = record.answered.answer.map(|_| Answer::default());
            }
            records.push(record);
            Ok::<(), ResultsError>(())
        })?;
        records.shrink_to_fit();
        // Where there is no answer, metrics of all cases together score an empty one, for which they want the case; so does what is measured again.
        let is_scored_here = |one: &&Record| one.answered.answer.is_none() || unmeasured(one, &ids).next().is_some();
        let unanswered: BTreeSet<usize> = records.iter().filter(is_scored_here).map(|one| one.item.case_idx).collect();
        let cases = database.dataset_cases(&plan.version, plan.n_cases, |case_idx, line| {
            let is_whole = !is_light || unanswered.contains(&case_idx);
            if is_whole { serde_json::from_str(line) } else { serde_json::from_str(line).map(Named::case) }
        })?;
        let cases: Vec<Case> = cases.into_iter().collect::<Result<_, _>>().map_err(unreadable("a case"))?;
        for record in &mut records {
            measure_again(record, &cases, (&scorer, &ids));
            if is_light {
                record.answered.answer = record.answered.answer.take().map(|_| Answer::default());
            }
        }
        let mut results =
            Results { row, cases, scorer, records, plan, judged: Vec::new(), encoding: None, entailing: None };
        if let Some(entailer) = results.plan.entailment.clone() {
            results.entailing = Some(Entailing::load(database, &results, &entailer)?);
            entail::score(&mut results);
        }
        if let Some(encoder) = results.plan.encoder.clone() {
            results.encoding = Some(encode::score(database, &mut results, &encoder)?);
        }
        let judges = results.plan.judges.clone();
        for judge in &judges {
            let judged = Judged::load(database, &mut results, judge)?;
            results.judged.push(judged);
        }
        Ok(results)
    }

    /// What has to be known of answers that only a model, or a person, can say.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.cases.iter().map(|case| self.scorer.needs(case)).fold(Needs::default(), Needs::and)
    }

    /// How many questions on entailment there are.
    #[must_use]
    pub fn n_entailment_questions(&self) -> u64 {
        self.entailing.as_ref().map_or(0, Entailing::n_questions)
    }

    /// Whether every item has its answer.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.records.len() as u64 == self.plan.n_items()
    }

    /// Whether any answer is made up.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.records.iter().any(|record| record.answered.simulated)
    }

    /// Cases whose right answer is what a target answered in recorded traffic, by the target.
    #[must_use]
    pub fn answered_by(&self) -> BTreeMap<String, u64> {
        let targets = self.cases.iter().filter_map(|case| case.source.as_ref()?.answered_by.clone());
        targets.fold(BTreeMap::new(), |mut counts, target| {
            *counts.entry(target).or_default() += 1;
            counts
        })
    }

    /// The metrics of the plan, and after them the judges that grade.
    #[must_use]
    pub fn yardsticks(&self) -> Vec<Yardstick> {
        let of_checks = self.scorer.needs_of_checks(&self.cases);
        let one = |(name, id): (&str, &str)| {
            let metric = self.scorer.metric(name);
            Yardstick {
                name: name.to_owned(),
                id: id.to_owned(),
                definition: metric
                    .map_or("1 when everything holds that the case asks of its answer, else 0", |metric| {
                        metric.definition
                    })
                    .to_owned(),
                direction: metric.map_or(Direction::HigherIsBetter, |metric| metric.direction),
                range: metric.map_or(Range::UNIT, |metric| metric.range),
                needs: metric.map_or(of_checks, |metric| metric.needs),
            }
        };
        let graded = self.plan.judges.iter().filter_map(|judge| {
            Some(Yardstick {
                name: judge.name.clone(),
                id: judge.id(),
                definition: judge.definition(),
                direction: Direction::HigherIsBetter,
                range: judge.scale()?.range(),
                needs: Needs::default(),
            })
        });
        self.scorer.ids().map(one).chain(graded).collect()
    }

    /// The answers of a target to a case.
    pub fn of(&self, case_idx: usize, target_idx: usize) -> impl Iterator<Item = &Record> {
        let first = (case_idx as u64 * self.plan.targets.len() as u64 + target_idx as u64) * self.plan.repeats;
        let from = self.records.partition_point(|record| record.item.number < first);
        let to = self.records.partition_point(|record| record.item.number < first + self.plan.repeats);
        self.records[from..to].iter()
    }

    /// What the answers of a target to a case are worth: the mean over repeats. A call that failed for good is worth the worst the metric
    /// can say, where that is a number.
    ///
    /// # Errors
    /// Why there is no number.
    pub fn worth(&self, yardstick: &Yardstick, case_idx: usize, target_idx: usize) -> Result<f64, Unscored> {
        let worths = self.worths(yardstick, case_idx, target_idx)?;
        Ok(worths.iter().sum::<f64>() / worths.len() as f64)
    }

    /// What each of these answers is worth, in the order in which they were asked for.
    ///
    /// # Errors
    /// Why one has no number.
    pub fn worths(&self, yardstick: &Yardstick, case_idx: usize, target_idx: usize) -> Result<Vec<f64>, Unscored> {
        let mut worths = Vec::new();
        for record in self.of(case_idx, target_idx) {
            worths.push(match (&record.answered.answer, record.scores.get(&yardstick.id)) {
                (None, _) if record.answered.withheld.is_some() => return Err(Unscored::Withheld),
                (None, _) => yardstick.worst().ok_or(Unscored::NoAnswer)?,
                (Some(_), None) => return Err(Unscored::NoJudgement),
                (Some(_), Some(score)) => match score.measured {
                    Measured::Value(value) => value,
                    Measured::Unscored(why) => return Err(why),
                },
            });
        }
        if (worths.len() as u64) < self.plan.repeats { Err(Unscored::NoAnswer) } else { Ok(worths) }
    }
}

impl Yardstick {
    /// The worst value there is; `None` where there is no bound.
    #[must_use]
    pub fn worst(&self) -> Option<f64> {
        let worst = match self.direction {
            Direction::HigherIsBetter => self.range.low,
            Direction::LowerIsBetter => self.range.high,
        };
        worst.is_finite().then_some(worst)
    }

    /// The values there are, turned so that the larger is the better: what [`gain`](Yardstick::gain) over 0 lies within.
    #[must_use]
    pub fn gains(&self) -> Range {
        match self.direction {
            Direction::HigherIsBetter => self.range,
            Direction::LowerIsBetter => Range { low: -self.range.high, high: -self.range.low },
        }
    }

    /// How much better the second is than the first: above 0 when it is.
    #[must_use]
    pub fn gain(&self, first: f64, second: f64) -> f64 {
        match self.direction {
            Direction::HigherIsBetter => second - first,
            Direction::LowerIsBetter => first - second,
        }
    }
}

/// The definitions by which an answer was not measured when it came: those that have changed since. What runs code or needs vectors is not among them:
/// it is not measured by reading.
fn unmeasured<'i>(record: &'i Record, ids: &'i [Arc<str>]) -> impl Iterator<Item = &'i Arc<str>> {
    let by_reading = |id: &str| {
        let name = id.split('@').next().unwrap_or_default();
        !code::NAMES.contains(&name) && !vectors::is_by_meaning(id)
    };
    let ids = ids.iter().filter(|_| record.answered.answer.is_some());
    ids.filter(move |id| record.scores.get(id).is_none() && by_reading(id))
}

fn measure_again(record: &mut Record, cases: &[Case], (scorer, ids): (&Scorer, &[Arc<str>])) {
    let missing: Vec<Arc<str>> = unmeasured(record, ids).map(Arc::clone).collect();
    let (Some(answer), Some(case)) = (&record.answered.answer, cases.get(record.item.case_idx)) else { return };
    if missing.is_empty() {
        return;
    }
    let took = Took { latency_us: Some(record.answered.latency_us), cost_nanos: record.answered.cost_nanos };
    for (id, score) in scorer.score_call(case, answer, took) {
        if let Some(id) = missing.iter().find(|missing| missing.as_ref() == id.as_str()) {
            record.scores.put(id, score);
        }
    }
}

/// How much of a run is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Everything,
    Numbers,
}

/// What a comparison reads of a case.
#[derive(Deserialize)]
struct Named {
    id: String,
    #[serde(default)]
    slices: BTreeMap<String, String>,
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    source: Option<Lineage>,
}

impl Named {
    fn case(self) -> Case {
        Case {
            id: self.id,
            request: serde_json::Map::new(),
            expected: Vec::new(),
            documents: Vec::new(),
            answerable: None,
            checks: Vec::new(),
            slices: self.slices,
            cluster: self.cluster,
            source: self.source,
            relevance: None,
            evidence: Vec::new(),
            code: None,
            verdicts: Vec::new(),
        }
    }
}

fn record(plan: &Plan, ids: &[Arc<str>], row: AnsweredRow) -> Result<Record, serde_json::Error> {
    let named = |metric: String| ids.iter().find(|id| ***id == *metric).map_or_else(|| metric.into(), Arc::clone);
    let scores = row.scores.into_iter().map(|scored| Ok((named(scored.metric), serde_json::from_str(&scored.json)?)));
    Ok(Record {
        item: plan.item(row.item),
        reused: row.reused,
        answered: serde_json::from_str(&row.json)?,
        scores: scores.collect::<Result<_, serde_json::Error>>()?,
    })
}
