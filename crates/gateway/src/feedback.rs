//! What users say of answers: posted with the id of the exchange, on record before it is acknowledged, and evidence for the epoch
//! the exchange was admitted in.
//!
//! Of one exchange, kind and source the first signal stands: the same again is acknowledged again and counts nothing, another
//! value is refused. An exchange counts once as bad, and once as good unless it was bad before; what its unit then counts for is
//! the evidence's own rule.

mod claims;
mod outcomes;
mod read;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use rollout::{Arm, Metric, Signal, Timestamp};
use serde_json::json;
use store::{Database, DatabaseError, Judged, JudgedPlace};
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::openai::{ErrorBody, Refusal};
use wire::record::{FeedbackRecord, Record};

use crate::authenticate::Principal;
use crate::body::Body;
use crate::live::{self, LiveRollout};
use crate::parse;
use crate::record::on_record;
use crate::refuse;
use crate::worker::Worker;

pub(crate) use claims::Signals;
use claims::{Claimed, Said};
pub(crate) use outcomes::take as take_outcome;
use read::Posted;

/// The longest body that is read.
const LONGEST_BODY: usize = 64 << 10;
/// An exchange this young may be on its way to the database.
const YOUNG: Duration = Duration::from_secs(60);
/// How long one that is on its way is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long a question to the database may take.
const QUESTION: Duration = Duration::from_secs(5);

/// Takes one signal.
pub(crate) async fn take(worker: &Worker, principal: &Principal, body: Incoming) -> Result<Response<Body>, Refusal> {
    let prepared = worker.prepared();
    let bytes = parse::small(body, &prepared.snapshot.limits, LONGEST_BODY).await?;
    let signal = read::signal(&bytes, &prepared.snapshot.feedback)?;
    let judged = look_up(worker, signal.exchange).await?;
    let judged = judged.filter(|judged| may_judge(principal, judged)).ok_or_else(|| unknown(signal.exchange))?;
    let said = Said::of(&signal);
    let recorded: Vec<Said> = judged.feedback.iter().map(Said::on_record).collect();
    let claims = &worker.signals.feedback;
    let counts = match claims.claim(&signal.exchange, &said, &recorded) {
        Claimed::Again => return Ok(acknowledged(&signal, Err("it was on record already"), false)),
        Claimed::Differs => return Err(differs(&signal)),
        Claimed::Busy => return Err(busy()),
        Claimed::New { counts } => counts,
    };
    let now = live::now();
    if let Err(failure) = write(worker, &signal, now).await {
        claims.give_up(&signal.exchange, &said);
        return Err(Refusal::of(&failure));
    }
    claims.done(&signal.exchange, &said);
    let counted = if counts { count(worker, &judged, &signal, now) } else { Err(uncounted(&signal)) };
    Ok(acknowledged(&signal, counted, true))
}

/// Who made the exchange may, and whoever may do everything.
fn may_judge(principal: &Principal, judged: &Judged) -> bool {
    let is_admin = principal.key().is_some_and(|key| key.scope.role == Some(govern::Role::Admin));
    is_admin || principal.id() == judged.principal.as_deref()
}

/// The exchange from the record. One that has just ended is waited for: its answer may have left before its row is there.
async fn look_up(worker: &Worker, id: ExchangeId) -> Result<Option<Judged>, Refusal> {
    let age = Duration::from_millis((live::now().0 / 1000).saturating_sub(id.unix_ms()));
    let n_looks = if age < YOUNG { PATIENCE.as_millis() / LOOK_EVERY.as_millis() } else { 1 };
    for look in 0..n_looks {
        if look > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let found = asked(worker, move |database| database.judged(id)).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Asks the record something, away from the worker.
async fn asked<T: Send + 'static>(
    worker: &Worker,
    question: impl FnOnce(&Database) -> Result<Option<T>, DatabaseError> + Send + 'static,
) -> Result<Option<T>, Refusal> {
    let recall = Arc::clone(&worker.deps.recall);
    let answer = tokio::task::spawn_blocking(move || match recall.database()? {
        Some(database) => question(&database),
        None => Ok(None),
    });
    let problem = match tokio::time::timeout(QUESTION, answer).await {
        Ok(Ok(Ok(found))) => return Ok(found),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {QUESTION:?}"),
    };
    tracing::error!(%problem, "the exchange that feedback is about could not be looked up");
    Err(Refusal::of(&Failure::new(FailureKind::RecordUnavailable, problem)))
}

async fn write(worker: &Worker, signal: &Posted, now: Timestamp) -> Result<(), Failure> {
    let record = FeedbackRecord {
        id: signal.exchange,
        at_us: now.0,
        kind: signal.kind,
        source: signal.source.clone(),
        value: signal.value,
        label: signal.label.clone(),
        comment: signal.comment.clone(),
        bad: signal.bad,
    };
    keep(worker, &Record::Feedback(record)).await
}

/// Writes a record and waits until it is as safe as the journal promises.
async fn keep(worker: &Worker, record: &Record) -> Result<(), Failure> {
    let unavailable = |error: store::SubmitError| Failure::new(FailureKind::RecordUnavailable, error.to_string());
    let ticket = worker.deps.journal.submit(record).map_err(unavailable)?;
    on_record(worker, ticket).await
}

/// Reports a signal that is on record to the evidence; why not, when it is none.
fn count(worker: &Worker, judged: &Judged, said: &Posted, now: Timestamp) -> Result<(), &'static str> {
    let bad = said.bad.ok_or("it says neither good nor bad")?;
    let place = judged.place.as_ref().ok_or("the exchange was in no rollout")?;
    judged.no_evidence.map_or(Ok(()), Err)?;
    let live = still_counting(worker, place).ok_or("the epoch it was admitted in has ended")?;
    let signal = Signal {
        unit: place.unit,
        arm: arm(&place.arm),
        metric: Metric::Feedback,
        bad,
        admitted_at: Timestamp(judged.received_at_us),
        at: now,
    };
    live.observe_exchange(place.epoch, &signal.into(), said.exchange);
    Ok(())
}

/// The rollout of this place, while it counts for this epoch.
fn still_counting(worker: &Worker, place: &JudgedPlace) -> Option<Arc<LiveRollout>> {
    let live = worker.deps.live.all().into_iter().find(|live| live.identity.name == place.rollout)?;
    let view = live.view();
    let counts = view.epoch == place.epoch && view.watching;
    drop(view);
    counts.then_some(live)
}

/// The arm of that word.
pub(crate) fn arm(word: &str) -> Arm {
    if word == Arm::Candidate.as_str() { Arm::Candidate } else { Arm::Baseline }
}

const fn uncounted(signal: &Posted) -> &'static str {
    match signal.bad {
        None => "it says neither good nor bad",
        Some(_) => "the exchange has counted already",
    }
}

fn acknowledged(signal: &Posted, counted: Result<(), &'static str>, recorded: bool) -> Response<Body> {
    let body = json!({
        "object": "feedback",
        "exchange_id": signal.exchange,
        "kind": signal.kind.as_str(),
        "source": signal.source,
        "recorded": recorded,
        "counted": counted.is_ok(),
        "because": counted.err(),
    });
    refuse::json(StatusCode::OK, Bytes::from(body.to_string()))
}

/// The same for one that does not exist and one that is somebody else's.
fn unknown(id: ExchangeId) -> Refusal {
    let mut refusal = Refusal::no_such_path("POST", "/v1/feedback");
    let words = format!("No exchange `{id}` of yours is on record.");
    refusal.body =
        ErrorBody::new(words, "invalid_request_error").with_param("exchange_id").with_code("unknown_exchange");
    let age = Duration::from_millis((live::now().0 / 1000).saturating_sub(id.unix_ms()));
    if age < YOUNG {
        // Its row may still come.
        refusal.retry_after = Some(PATIENCE);
        refusal.may_retry = true;
    }
    refusal
}

fn differs(signal: &Posted) -> Refusal {
    let what = format!("Another {} by `{}`", signal.kind.as_str(), signal.source);
    differs_in("value", "feedback_exists", &what)
}

fn differs_in(param: &'static str, code: &'static str, what: &str) -> Refusal {
    let words = format!("{what} is on record, and what is on record is not changed. Name another `source`.");
    let mut refusal = Refusal::invalid_value(words, param);
    refusal.status = 409;
    refusal.body = refusal.body.with_code(code);
    refusal
}

fn busy() -> Refusal {
    let words = "The same feedback is being recorded at this moment. Send it again.";
    let mut refusal = Refusal::invalid_request(words, None);
    refusal.status = 409;
    refusal.body = refusal.body.with_code("feedback_in_progress");
    refusal.may_retry = true;
    refusal.retry_after = Some(Duration::from_millis(100));
    refusal
}
