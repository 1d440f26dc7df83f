//! A model is asked which answer of a pair is better, or what each is worth: on the shadow's side, within a budget and a number of pairs at once of
//! its own. What it is asked and what its word comes to is somebody else's business ([`ModelJudge`]); what the calls cost, how far they may
//! go and how long they may take is this one's.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::HeaderValue;
use providers::Timeouts;
use rollout::Asked;
use store::Database;
use wire::failure::{Failure, FailureKind};
use wire::openai::answer::inspect;
use wire::private::Private;
use wire::record::{AttemptRecord, AttemptRole, Endpoint, Record, ShadowRecord};

use super::judged::{Spoken, Worth};
use super::settings::ShadowBudget;
use super::{Offer, Room, Shadow, draw};
use crate::offline::{Prepared, prepare_question};
use crate::record::{begun, bytes_sent, micros};

/// The longest answer of a judge that is read: it is asked for a sentence and a word.
const MAX_ANSWER: usize = 1 << 20;

/// How long it is taken for known whether a judge agrees with people.
pub const TRUST_AGE: Duration = Duration::from_secs(60);

/// Whoever says what a model is asked about a pair. It works only with what it is given: no clock, no socket.
pub trait ModelJudge: fmt::Debug + Send + Sync {
    /// The id of the definition; what is judged by another one is other evidence.
    fn definition(&self) -> &str;

    /// What the values of [`Ruling::worth`] are called.
    fn measure(&self) -> &str;

    /// What is asked about the baseline's answer and the candidate's. `names` of models must not reach the judge; the flag says whether the
    /// candidate's answer stands first in the question that is asked first.
    ///
    /// # Errors
    /// Why nothing can be asked, as a word.
    fn round<'j>(
        &'j self,
        request: &[u8],
        answers: [&Spoken; 2],
        drawn: (&[String], bool),
    ) -> Result<Box<dyn Round + 'j>, &'static str>;

    /// Whether its word may decide without being shown to agree with people.
    fn decides_untested(&self) -> bool;

    /// Whether it is shown to agree with people, by what the store knows. Asked on a thread that may wait for the disk.
    fn trust(&self, database: &Database) -> Trusted;
}

/// The questions about one pair.
pub trait Round {
    /// Chat completions without a model, in the order in which they are asked.
    fn questions(&self) -> Vec<Bytes>;

    /// What the answers come to, each a chat completion, in the order of the questions; `None` for a call that failed, after which no more was
    /// asked.
    fn verdict(&self, said: &[Option<Bytes>]) -> Ruling;
}

/// What a judge's word on a pair comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// What the baseline's answer is worth, and the candidate's; or why there is no verdict, as a word.
    pub worth: Result<[Worth; 2], &'static str>,
    /// How it went.
    pub asked: Asked,
}

/// Whether a judge's word may decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Trusted {
    /// It may.
    pub trusted: bool,
    /// Why, or why not.
    pub why: String,
    /// How far it agrees with people; nothing where that cannot be read.
    pub agreement: Option<Agreement>,
}

/// How far a judge agrees with people, and how far it has to.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Pairs that both judged.
    pub n_labelled: u64,
    /// Cohen's kappa; none where it is not defined.
    pub kappa: Option<f64>,
    /// Its 95 % interval; none of few pairs.
    pub interval: Option<(f64, f64)>,
    /// The kappa that is asked for.
    pub floor: f64,
    /// On so many pairs.
    pub floor_labelled: u64,
}

/// A model that judges the pairs of a rollout.
#[derive(Debug, Clone)]
pub struct ByModel {
    /// What it is asked.
    pub judge: Arc<dyn ModelJudge>,
    /// The target that is asked.
    pub target: String,
    /// What it may use.
    pub budget: ShadowBudget,
    /// Questions in a day (UTC).
    pub calls_per_day: Option<u64>,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl PartialEq for ByModel {
    fn eq(&self, other: &Self) -> bool {
        let Self { judge, target, budget, calls_per_day, timeout } = other;
        (&self.target, self.budget, self.calls_per_day, self.timeout) == (target, *budget, *calls_per_day, *timeout)
            && self.judge.definition() == judge.definition()
            && self.judge.decides_untested() == judge.decides_untested()
    }
}

/// What is known of a rollout's judge.
pub(super) struct Known {
    definition: String,
    /// When it was looked up.
    at: Instant,
    /// It is shown to agree with people.
    trusted: bool,
}

/// The ledger of a rollout's judge.
pub(super) fn ledger_of(rollout: &str) -> String {
    format!("{rollout} judge")
}

/// What the model says of the baseline's answer and the candidate's, and whether that may decide; or why it was not asked.
pub(super) async fn rule(
    shadow: &Shadow,
    offer: &Offer,
    model: &ByModel,
    (baseline, candidate): (&Spoken, &Spoken),
) -> Result<(Ruling, bool), &'static str> {
    let names = names(shadow, offer);
    let candidate_first = draw::is_drawn(&offer.live.identity.salt, "judge order", offer.id, 0.5);
    let round = model.judge.round(&offer.request.body, [baseline, candidate], (&names, candidate_first))?;
    let questions = round.questions();
    let ledger = ledger_of(&offer.live.identity.name);
    begin(shadow, &ledger, model, questions.len() as u64)?;
    let (mut said, mut refused, mut failed) = (Vec::with_capacity(questions.len()), false, None);
    for (number, question) in questions.into_iter().enumerate() {
        let answer = ask(shadow, (offer, model, &ledger), number, question).await;
        if let Err(no) = &answer {
            refused |= no.is_refused;
            failed = Some(no.why);
        }
        said.push(answer.ok());
        if failed.is_some() {
            break;
        }
    }
    shadow.with_ledger(&ledger, super::Ledger::end);
    let mut ruling = round.verdict(&said);
    // A question that its provider will not have is one without a verdict: what is left out by it is not left out by chance.
    ruling.asked.questions += u64::from(refused);
    ruling.asked.unread += u64::from(refused);
    if let Some(why) = failed {
        ruling.worth = Err(why);
    }
    let decides = model.judge.decides_untested() || trusted(shadow, offer, &model.judge).await;
    ruling.asked.untrusted = u64::from(!decides);
    Ok((ruling, decides))
}

/// The names of both models, by which an answer could tell whose it is.
fn names(shadow: &Shadow, offer: &Offer) -> Vec<String> {
    let prepared = shadow.prepared();
    let identity = &offer.live.identity;
    let targets = [&identity.baseline, &identity.candidate];
    let models = targets.into_iter().filter_map(|name| prepared.destination(name));
    models.map(|destination| destination.target.model.clone()).collect()
}

/// Room for one more pair.
fn begin(shadow: &Shadow, ledger: &str, model: &ByModel, n_questions: u64) -> Result<(), &'static str> {
    let (now, mut nothing) = ((Instant::now(), crate::live::now().0), Room::default());
    shadow.with_ledger(ledger, |ledger| {
        if model.calls_per_day.is_some_and(|most| ledger.n_calls(now.1) + n_questions > most) {
            return Err("judge_budget");
        }
        ledger.begin(&model.budget, &mut nothing, now).map_err(|drop| match drop {
            wire::record::ShadowDrop::Rate => "judge_rate",
            wire::record::ShadowDrop::Concurrency => "judge_busy",
            _ => "judge_budget",
        })
    })
}

/// A question without an answer.
struct NoAnswer {
    why: &'static str,
    /// Its provider will not have this question, whoever asks it and when.
    is_refused: bool,
}

/// One question, one call.
async fn ask(
    shadow: &Shadow,
    (offer, model, ledger): (&Offer, &ByModel, &str),
    number: usize,
    question: Bytes,
) -> Result<Bytes, NoAnswer> {
    let not_asked = |why| NoAnswer { why, is_refused: false };
    let prepared = shadow.prepared();
    let destination = prepared.destination(&model.target).ok_or(not_asked("judge_gone"))?;
    let (target, provider) = (&destination.target, &destination.provider);
    let question = prepare_question(&prepared.snapshot, target, (question, offer.residency)).map_err(|failure| {
        not_asked(if failure.kind == FailureKind::Residency { "residency" } else { "judge_not_asked" })
    })?;
    let started = Instant::now();
    let part = (None, AttemptRole::Judge);
    let mut record = Box::new(begun(target, &target.model, number, part, crate::live::now().0));
    let usual = provider.config().timeouts;
    let timeouts = Timeouts { total: model.timeout.min(usual.total), ..usual };
    let read = Box::pin(read(shadow, (offer, provider, &question), timeouts, &mut record));
    let read = tokio::time::timeout(timeouts.total, read).await;
    let read =
        read.unwrap_or_else(|_| Err(Failure::new(FailureKind::TimeoutTotal, "the judge did not answer in time")));
    record.duration_us = micros(started.elapsed());
    record.failure = read.as_ref().err().map(|failure| failure.kind);
    record.cost = prepared.snapshot.prices.charge(Endpoint::ChatCompletions, &record);
    shadow.counters.count_cost(&record);
    if shadow.with_ledger(ledger, |ledger| ledger.spend(&record, crate::live::now().0)) {
        tracing::warn!(
            rollout = %offer.live.identity.name, target = %record.target,
            "a call of the judge has no known price: where it has a budget in dollars, nothing more is judged today"
        );
    }
    let status = record.status;
    write(shadow, offer, *record);
    read.map_err(|failure| match failure.kind {
        FailureKind::TimeoutTotal | FailureKind::TimeoutFirstToken => not_asked("judge_too_slow"),
        FailureKind::Residency => not_asked("residency"),
        _ if matches!(status, Some(400 | 413 | 422)) => NoAnswer { why: "judge_refused", is_refused: true },
        _ => not_asked("judge_failed"),
    })
}

async fn read(
    shadow: &Shadow,
    (offer, provider, question): (&Offer, &providers::Provider, &Prepared),
    timeouts: Timeouts,
    record: &mut AttemptRecord,
) -> Result<Bytes, Failure> {
    let n_bytes = question.body.len() as u64;
    let call =
        providers::Call { request_id: HeaderValue::try_from(offer.id.to_string()).ok(), ..question.call(timeouts) };
    let reply = shadow.client.call(offer.residency, provider, call).await;
    record.request_bytes = bytes_sent(reply.as_ref().err(), n_bytes);
    let reply = reply?;
    record.status = Some(reply.status.as_u16());
    record.simulated |= reply.simulated;
    let (status, headers) = (reply.status, reply.headers);
    let body = reply.body.collect(MAX_ANSWER).await?;
    record.answer_bytes = body.len() as u64;
    if !status.is_success() {
        return Err(providers::classify(status, &headers, &body, SystemTime::now()));
    }
    if let Some(failure) = providers::error_in_body(&body) {
        return Err(failure);
    }
    let body = question.read(&body)?;
    let facts = inspect(&body);
    record.usage = facts.usage;
    record.finish_reason = facts.finish_reason;
    Ok(body)
}

/// What left the house and what it cost is on record like any other call.
fn write(shadow: &Shadow, offer: &Offer, attempt: AttemptRecord) {
    shadow.write(&Record::Judgement(ShadowRecord {
        id: offer.id,
        rollout: offer.live.identity.name.clone(),
        epoch: offer.epoch,
        attempt: Some(attempt),
        drop: None,
        body: Private::new(Bytes::new()),
        declined: None,
    }));
}

/// Whether a judge is shown to agree with people, as far as that was known a minute ago. While it is being looked up what was known before holds.
async fn trusted(shadow: &Shadow, offer: &Offer, judge: &Arc<dyn ModelJudge>) -> bool {
    let rollout = &offer.live.identity.name;
    let before = {
        let mut trusts = shadow.trusts.borrow_mut();
        let known = trusts.get(rollout).filter(|known| known.definition == judge.definition());
        if let Some(known) = known.filter(|known| known.at.elapsed() < TRUST_AGE) {
            return known.trusted;
        }
        let trusted = known.is_some_and(|known| known.trusted);
        let known = Known { definition: judge.definition().to_owned(), at: Instant::now(), trusted };
        trusts.insert(rollout.clone(), known);
        trusted
    };
    let archive = shadow.archive.borrow().clone();
    let Some(archive) = archive else { return false };
    let Some(found) = archive.trust(judge).await else { return before };
    if found.trusted != before {
        tracing::info!(rollout = %rollout, trusted = found.trusted, why = %found.why, "the judge of pairs was looked up");
    }
    let mut trusts = shadow.trusts.borrow_mut();
    if let Some(known) = trusts.get_mut(rollout).filter(|known| known.definition == judge.definition()) {
        known.trusted = found.trusted;
    }
    found.trusted
}
