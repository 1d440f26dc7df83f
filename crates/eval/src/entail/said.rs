//! What was said, as metrics read it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use store::Database;

use super::prompt::{Word, read};
use super::questions::{Asked, asked};
use super::{Entailer, Kind, run_name};
use crate::judge::NoVerdict;
use crate::judge::trust::Labels;
use crate::metric::citations::Entailment;
use crate::metric::{Judged, Score, Unscored};
use crate::results::{Results, ResultsError};
use crate::run::{Answered, Took};

/// What was said of a run, and what became of each question.
#[derive(Debug)]
pub(crate) struct Entailing {
    pub(super) entailer: Entailer,
    pub(super) kinds: Vec<Kind>,
    /// What came of each question; `None` where it has not been asked yet.
    pub(super) said: Vec<Option<Said>>,
    /// What is known of each answer, by the place of its record.
    pub(crate) judged: HashMap<usize, Judged>,
    /// Where people said the same, by kind.
    pub(crate) labels: BTreeMap<Kind, Labels>,
    pub(super) spent_nanos: u64,
}

/// What came of a question.
#[derive(Debug)]
pub(super) struct Said {
    /// The word, or why there is none.
    pub(super) word: Result<Word, NoVerdict>,
    /// It may not go to whoever is asked.
    pub(super) is_withheld: bool,
    pub(super) reused: bool,
    pub(super) attempts: u32,
    pub(super) is_unpriced: bool,
    pub(super) simulated: bool,
}

impl Said {
    fn of(kind: Kind, answered: &Answered, reused: bool) -> Said {
        let answer = answered.answer.as_ref().ok_or(NoVerdict::NoAnswer);
        Said {
            word: answer.and_then(|answer| read(kind, answer)),
            is_withheld: answered.withheld.is_some(),
            reused,
            attempts: answered.attempts,
            is_unpriced: answered.cost_nanos.is_none(),
            simulated: answered.simulated,
        }
    }

    fn word(&self) -> Result<&Word, Unscored> {
        self.word.as_ref().map_err(|why| match why {
            _ if self.is_withheld => Unscored::Withheld,
            NoVerdict::NoAnswer => Unscored::NoJudgement,
            _ => Unscored::NoVerdict,
        })
    }
}

impl Entailing {
    /// Reads what was said. Labels of other runs are not looked at yet.
    pub(crate) fn load(database: &Database, results: &Results, entailer: &Entailer) -> Result<Entailing, ResultsError> {
        let run = run_name(&results.row.run);
        let asked = asked(results);
        let mut said: Vec<Option<Said>> = Vec::new();
        said.resize_with(asked.kinds.len(), || None);
        // A run of this name that asks something else is no word on this one.
        let row = database.eval_run(&run)?.filter(|row| row.n_items == said.len() as u64);
        if row.is_some() {
            database.eval_answers(&run, |row| {
                let answered: Answered = serde_json::from_str(&row.json)
                    .map_err(|source| ResultsError::Unreadable { run: run.clone(), what: "an answer", source })?;
                let number = usize::try_from(row.item).unwrap_or(usize::MAX);
                if let (Some(place), Some(kind)) = (said.get_mut(number), asked.kinds.get(number)) {
                    *place = Some(Said::of(*kind, &answered, row.reused));
                }
                Ok::<(), ResultsError>(())
            })?;
        }
        let judged = judged(results, &asked, &said);
        let mut labels: BTreeMap<Kind, Labels> = BTreeMap::new();
        for (number, people) in &asked.labelled {
            let word = said[*number].as_ref().and_then(|said| said.word.as_ref().ok());
            labels.entry(asked.kinds[*number]).or_default().note(*people, word.map(Word::is));
        }
        let spent_nanos = row.map_or(0, |row| row.spent_nanos);
        Ok(Entailing { entailer: entailer.clone(), kinds: asked.kinds, said, judged, labels, spent_nanos })
    }

    /// How many questions there are.
    pub(crate) fn n_questions(&self) -> u64 {
        self.said.len() as u64
    }

    /// Adds what people said in another run that the same was asked about.
    pub(crate) fn add(&mut self, run: &str, other: Option<&Entailing>) {
        match other.filter(|other| other.entailer.id() == self.entailer.id()) {
            Some(other) => {
                for (kind, labels) in &other.labels {
                    self.labels.entry(*kind).or_default().add(labels);
                }
            }
            None => {
                for kind in Kind::ALL {
                    let missing = format!("no run `{run}` was asked by the same judge of entailment");
                    self.labels.entry(kind).or_default().missing.push(missing);
                }
            }
        }
    }
}

/// What is known of each answer.
fn judged(results: &Results, asked: &Asked, said: &[Option<Said>]) -> HashMap<usize, Judged> {
    let mut judged: HashMap<usize, Judged> = HashMap::new();
    for (place, record) in results.records.iter().enumerate() {
        let needs = results.scorer.needs(&results.cases[record.item.case_idx]);
        if let Some(answer) = record.answered.answer.as_ref().filter(|_| needs.is_any()) {
            let claims = (needs.claims && answer.text.trim().is_empty()).then(Vec::new);
            let entailed = needs.entailed.then(Vec::new);
            judged.insert(place, Judged { claims, entailed, ..Judged::default() });
        }
    }
    for subject in &asked.subjects {
        let Some(of) = judged.get_mut(&subject.place) else { continue };
        let word = said[subject.question].as_ref().map_or(Err(Unscored::NoJudgement), Said::word);
        match (asked.kinds[subject.question], word) {
            (_, Err(why)) => of.missing = Some(of.missing.map_or(why, |before| before.max(why))),
            (Kind::Entailment, Ok(word)) => of.entailed.get_or_insert_default().push(Entailment {
                statement: subject.statement,
                documents: subject.documents.clone(),
                holds: word.is(),
            }),
            (Kind::Abstention, Ok(word)) => of.abstained = Some(word.is()),
            (Kind::Claims, Ok(Word::Claims(claims))) => of.claims = Some(claims.clone()),
            (Kind::Claims, Ok(Word::Is(_))) => {}
        }
    }
    judged
}

/// Puts what is measured by what was said among the scores. A check by meaning waits for its vectors, which then bring this along.
pub(crate) fn score(results: &mut Results) {
    let Some(entailing) = &results.entailing else { return };
    let ids: Vec<Arc<str>> = results.scorer.ids().map(|(_, id)| Arc::from(id)).collect();
    let mut scored: Vec<(usize, Vec<(String, Score)>)> = Vec::new();
    for (place, judged) in &entailing.judged {
        let record = &results.records[*place];
        let Some(answer) = &record.answered.answer else { continue };
        let took = Took { latency_us: Some(record.answered.latency_us), cost_nanos: record.answered.cost_nanos };
        let case = &results.cases[record.item.case_idx];
        scored.push((*place, results.scorer.by_judge(case, (answer, took), judged.clone())));
    }
    for (place, scores) in scored {
        for (id, score) in scores {
            let shared = ids.iter().find(|known| ***known == *id).map_or_else(|| id.into(), Arc::clone);
            results.records[place].scores.put(&shared, score);
        }
    }
}
