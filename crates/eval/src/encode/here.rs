//! A worker whose encoder runs in this process: it claims blocks of the encoder's run as any worker does, one item after the other.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;
use store::{AnsweredRow, Database, DatabaseError, EvalWriter};

use super::{Encoded, Texts, texts};
use crate::case::{Case, digest};
use crate::metric::vectors::{Encode, Encoding, bert_score};
use crate::results::Results;
use crate::run::{Answered, LEASE, Plan, micros, now_us};

/// What is to be encoded.
pub struct Job<'r> {
    /// The run that it is about.
    pub results: &'r Results,
    /// The name of the run that holds the vectors.
    pub run: String,
    /// Its plan.
    pub plan: Plan,
    /// Its cases.
    pub cases: Vec<Case>,
    /// The store.
    pub store: PathBuf,
    /// The worker's name, which no other living worker has.
    pub worker: String,
    /// Workers that are known to work no more.
    pub dead: Vec<String>,
}

/// Why the work stopped. What is on record stays.
#[derive(Debug, thiserror::Error)]
pub enum HereError {
    /// The store failed.
    #[error("the vectors cannot be kept")]
    Store(#[from] DatabaseError),
}

/// Works until every item that nobody else works on has its vectors; `progress` hears how many items this worker did, and of how many. A text that the
/// encoder fails on is its case's failure.
///
/// # Errors
/// When the store fails.
pub fn work<E: Encode>(job: &Job<'_>, encoder: &E, progress: &dyn Fn(u64, u64)) -> Result<(), HereError>
where
    E::Error: std::fmt::Display,
{
    let mut writer = EvalWriter::open(&job.store, &job.run, &job.worker)?;
    for worker in &job.dead {
        writer.release(worker)?;
    }
    let worked = items(job, encoder, (&mut writer, progress));
    writer.release(&job.worker)?;
    worked
}

fn items<E: Encode>(
    job: &Job<'_>,
    encoder: &E,
    (writer, progress): (&mut EvalWriter, &dyn Fn(u64, u64)),
) -> Result<(), HereError>
where
    E::Error: std::fmt::Display,
{
    let reading = Database::open_read_only(&job.store)?;
    let by_item: Vec<Texts> = (0..job.results.cases.len())
        .map(|case_idx| texts(job.results, case_idx))
        .filter(|texts| !texts.all.is_empty())
        .collect();
    let (size, mut held, mut n_here) = ((job.plan.block(), job.plan.n_items()), Instant::now(), 0);
    while let Some(claimed) = writer.claim(size, now_us(), now_us() + micros(LEASE))? {
        for number in claimed.items {
            if held.elapsed() > LEASE / 3 {
                writer.hold(now_us() + micros(LEASE))?;
                held = Instant::now();
            }
            let place = usize::try_from(number).unwrap_or(usize::MAX);
            let (Some(texts), Some(case)) = (by_item.get(place), job.cases.get(place)) else { continue };
            let row = item(job, encoder, (number, texts, case), &reading)?;
            writer.write(&[row], &[])?;
            n_here += 1;
            progress(n_here, job.plan.n_items());
        }
        writer.write(&[], &[claimed.block])?;
    }
    Ok(())
}

fn item<E: Encode>(
    job: &Job<'_>,
    encoder: &E,
    (number, texts, case): (u64, &Texts, &Case),
    reading: &Database,
) -> Result<AnsweredRow, HereError>
where
    E::Error: std::fmt::Display,
{
    let asked = Value::Object(case.request.clone()).to_string();
    let held_against = format!("{:?} {:?}", texts.references, texts.answers);
    let id = encoder.id();
    let parts = ["crossfade encoder 1", &id, &asked, &held_against].map(str::as_bytes);
    let key = digest(&parts).as_bytes()[..32].to_vec();
    let earlier = if job.plan.reuse { reading.reusable_answer(&key)? } else { None };
    let earlier: Option<Answered> = earlier.and_then(|json| serde_json::from_str(&json).ok());
    let reused = earlier.is_some();
    let answered = earlier.unwrap_or_else(|| {
        let began = Instant::now();
        let encoded = encode(encoder, texts);
        let took_us = micros(began.elapsed());
        let (answer, failure) = match encoded {
            Ok(encoded) => (Some(encoded.kept()), None),
            Err(why) => (None, Some(why)),
        };
        Answered { answer, failure, latency_us: took_us, total_us: took_us, cost_nanos: Some(0), ..Answered::default() }
    });
    Ok(AnsweredRow {
        item: number,
        at_us: now_us(),
        key,
        reused,
        failure: answered.failure.clone(),
        spent_nanos: 0,
        // Texts and numbers: it always serialises.
        json: serde_json::to_string(&answered).unwrap_or_default(),
        scores: Vec::new(),
    })
}

fn encode<E: Encode>(encoder: &E, texts: &Texts) -> Result<Encoded, String>
where
    E::Error: std::fmt::Display,
{
    let encodings: Vec<Encoding> = texts
        .all
        .iter()
        .map(|text| encoder.encode(text).map_err(|error| format!("encoder: {error}")))
        .collect::<Result<_, _>>()?;
    let mut matches = Vec::with_capacity(texts.answers.len() * texts.references.len());
    for answer in &texts.answers {
        for reference in &texts.references {
            let score = bert_score(&encodings[*answer].tokens, &encodings[*reference].tokens);
            matches.push(score.ok_or_else(|| "encoder: a token's vector is not usable".to_owned())?);
        }
    }
    Ok(Encoded { vectors: encodings.into_iter().map(|encoding| encoding.vector).collect(), matches })
}
