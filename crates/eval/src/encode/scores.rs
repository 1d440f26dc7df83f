//! What answers are worth by their vectors, and the vectors of a run as such.

use std::collections::HashMap;
use std::sync::Arc;

use stats::random::Random;
use store::Database;

use super::standing::Encoding;
use super::texts::is_checked;
use super::{Encoded, Encoder, Texts, run_name, texts};
use crate::metric::vectors::BertScore;
use crate::metric::{Judged, Score, Unscored, Vectors};
use crate::results::{Results, ResultsError};
use crate::run::{Answered, Took};

/// Goes through what the encoder said of each case, in the order of the cases: the case, its texts and the answer. One after the other, so that the vectors
/// of a long run are not held together.
fn each(
    database: &Database,
    results: &Results,
    mut take: impl FnMut(usize, Texts, (Answered, bool)),
) -> Result<(), ResultsError> {
    let run = run_name(&results.row.run);
    let n_cases = results.cases.len();
    let mut asked = (0..n_cases).map(|idx| (idx, texts(results, idx))).filter(|(_, texts)| !texts.all.is_empty());
    let mut next = 0;
    database.eval_answers(&run, |row| {
        let answered = serde_json::from_str(&row.json).map_err(|source| ResultsError::Unreadable {
            run: run.clone(),
            what: "an answer",
            source,
        })?;
        let skipped = usize::try_from(row.item).unwrap_or(usize::MAX).saturating_sub(next);
        next += skipped + 1;
        if let Some((case_idx, texts)) = asked.nth(skipped) {
            take(case_idx, texts, (answered, row.reused));
        }
        Ok(())
    })
}

/// Reads what the encoder of a run said, and puts what is measured by it among the scores.
pub(crate) fn score(database: &Database, results: &mut Results, encoder: &Encoder) -> Result<Encoding, ResultsError> {
    let mut encoding = Encoding::new(encoder, results);
    let row = database.eval_run(&run_name(&results.row.run))?;
    // A run of this name that asks something else is no word on this one.
    let Some(row) = row.filter(|row| row.n_items == encoding.n_items) else { return Ok(encoding) };
    encoding.spent_nanos = row.spent_nanos;
    let ids: Vec<Arc<str>> = results.scorer.ids().map(|(_, id)| Arc::from(id)).collect();
    let mut scored: Vec<(usize, Arc<str>, Score)> = Vec::new();
    each(database, results, |case_idx, texts, (answered, reused)| {
        encoding.count(&answered, reused);
        let said = said(&answered, &texts);
        let is_checked = is_checked(&results.cases[case_idx].checks);
        for target_idx in 0..results.plan.targets.len() {
            for record in results.of(case_idx, target_idx) {
                let Some(answer) = &record.answered.answer else { continue };
                let took =
                    Took { latency_us: Some(record.answered.latency_us), cost_nanos: record.answered.cost_nanos };
                let case = &results.cases[case_idx];
                let place = results.records.partition_point(|other| other.item.number < record.item.number);
                let by_judge = results.entailing.as_ref().and_then(|entailing| entailing.judged.get(&place));
                let scores = match &said {
                    Ok(encoded) => {
                        let judged = judged(encoded, &texts, (&answer.text, by_judge));
                        results.scorer.by_meaning((case, is_checked), (answer, took), judged)
                    }
                    Err(why) => results.scorer.without_meaning(is_checked, *why),
                };
                let shared =
                    |id: String| ids.iter().find(|known| ***known == *id).map_or_else(|| id.into(), Arc::clone);
                scored.extend(scores.into_iter().map(|(id, score)| (place, shared(id), score)));
            }
        }
    })?;
    for (place, id, score) in scored {
        results.records[place].scores.put(&id, score);
    }
    Ok(encoding)
}

/// What was said of a case, or why nothing is measured by it.
fn said(answered: &Answered, texts: &Texts) -> Result<Encoded, Unscored> {
    match (&answered.answer, &answered.withheld) {
        (Some(answer), _) => Encoded::of(answer, texts).ok_or(Unscored::BadVector),
        (None, Some(_)) => Err(Unscored::Withheld),
        (None, None) => Err(Unscored::NoJudgement),
    }
}

/// As a metric reads it, with what a judge says of the answer.
fn judged(encoded: &Encoded, texts: &Texts, (answer, by_judge): (&str, Option<&Judged>)) -> Judged {
    let at = |place: &usize| (texts.all[*place].clone(), encoded.vectors[*place].clone());
    let answer_place = texts.answers.iter().position(|place| texts.all[*place] == answer);
    let mut vectors: HashMap<String, Vec<f32>> = texts.references.iter().map(at).collect();
    vectors.extend(answer_place.map(|place| at(&texts.answers[place])));
    let n = texts.references.len();
    let of_answer = answer_place.and_then(|place| encoded.matches.get(place * n..(place + 1) * n));
    let matches = texts.references.iter().zip(of_answer.unwrap_or_default());
    let matches: HashMap<String, BertScore> =
        matches.map(|(place, score)| (texts.all[*place].clone(), *score)).collect();
    Judged { vectors: Some(Vectors(vectors)), matches: Some(matches), ..by_judge.cloned().unwrap_or_default() }
}

/// Vectors of a run's texts.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The encoder's id: vectors of two encoders say nothing of each other.
    pub encoder: String,
    /// Of what was asked.
    pub inputs: Vec<Vec<f32>>,
    /// Of the answers of each target, in the order of the plan.
    pub answers: Vec<Vec<Vec<f32>>>,
}

/// The vectors on record of so many cases of a run at most, drawn by `seed`; `None` where the run has no encoder.
///
/// # Errors
/// When the store fails, or holds what cannot be read.
pub fn recorded(
    database: &Database,
    results: &Results,
    most: usize,
    seed: u64,
) -> Result<Option<Recorded>, ResultsError> {
    let Some(encoder) = &results.plan.encoder else { return Ok(None) };
    let n_targets = results.plan.targets.len();
    let mut recorded = Recorded { encoder: encoder.id(), inputs: Vec::new(), answers: vec![Vec::new(); n_targets] };
    let drawn = drawn(results.cases.len(), most, seed);
    each(database, results, |case_idx, texts, (answered, _)| {
        let Ok(encoded) = said(&answered, &texts) else { return };
        if !drawn[case_idx] {
            return;
        }
        let vector = |text: &str| {
            let place = texts.all.iter().position(|known| known == text)?;
            let vector = &encoded.vectors[place];
            vector.iter().all(|number| number.is_finite()).then(|| vector.clone())
        };
        recorded.inputs.extend(vector(&results.cases[case_idx].question()));
        for (target_idx, answers) in recorded.answers.iter_mut().enumerate() {
            let said = results.of(case_idx, target_idx).filter_map(|record| record.answered.answer.as_ref());
            answers.extend(said.filter_map(|answer| vector(&answer.text)));
        }
    })?;
    Ok(Some(recorded))
}

/// Which of so many are drawn.
fn drawn(n: usize, most: usize, seed: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut random = Random::new(seed);
    let mut is_drawn = vec![false; n];
    for idx in 0..most.min(n) {
        order.swap(idx, idx + random.below(n - idx));
        is_drawn[order[idx]] = true;
    }
    is_drawn
}
