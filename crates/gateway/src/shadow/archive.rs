//! What the shadow asks of the store: what its rollouts used today, and requests that are copied later. A thread of its own asks, for the
//! shadow's must not wait for a disk while it reads answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use store::{BodyKind, CopySpend, Database, DatabaseError, DeferredRow};
use tokio::sync::oneshot;
use wire::failure::FailureKind;
use wire::ids::ExchangeId;
use wire::record::{Arm, AttemptRole, DrawnRecord, Endpoint};

use super::{Half, Heard, ModelJudge, Trusted};
use crate::observe::{Form, verdict};

/// Questions that may wait; each asker waits for its answer, so there are few.
const MAX_QUESTIONS: usize = 16;

/// A request that is copied later, as it is on record.
pub(super) struct Due {
    pub(super) endpoint: Endpoint,
    pub(super) request: Bytes,
    pub(super) received_us: u64,
    pub(super) live: Half,
    pub(super) heard: Option<Heard>,
}

enum Question {
    Spend { rollout: String, span_us: (u64, u64), reply: oneshot::Sender<CopySpend> },
    Waiting { rollout: String, epoch: u32, at_most: u32, reply: oneshot::Sender<Vec<DrawnRecord>> },
    Take { rollout: String, id: ExchangeId, now_us: u64, reply: oneshot::Sender<Option<Result<Due, &'static str>>> },
    Interrupted { before_us: u64, reply: oneshot::Sender<Vec<DeferredRow>> },
    Forget { rollout: String, before_epoch: u32 },
    JudgeSpend { rollout: String, span_us: (u64, u64), reply: oneshot::Sender<CopySpend> },
    Trust { judge: Arc<dyn ModelJudge>, reply: oneshot::Sender<Trusted> },
}

/// The way to the store.
pub(super) struct Archive {
    questions: Option<SyncSender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl Archive {
    /// Starts the thread. A store that cannot be opened answers nothing: nothing is copied later then.
    pub(super) fn start(store: PathBuf) -> std::io::Result<Self> {
        let (questions, asked) = sync_channel(MAX_QUESTIONS);
        let thread =
            std::thread::Builder::new().name("shadow-store".to_owned()).spawn(move || answer(&store, &asked))?;
        Ok(Self { questions: Some(questions), thread: Some(thread) })
    }

    /// What a rollout's copies have used from one moment to another; `None` when the store does not say.
    pub(super) async fn spend(&self, rollout: &str, span_us: (u64, u64)) -> Option<CopySpend> {
        self.ask(|reply| Question::Spend { rollout: rollout.to_owned(), span_us, reply }).await
    }

    /// The same of the questions to the judge of its pairs.
    pub(super) async fn judge_spend(&self, rollout: &str, span_us: (u64, u64)) -> Option<CopySpend> {
        self.ask(|reply| Question::JudgeSpend { rollout: rollout.to_owned(), span_us, reply }).await
    }

    /// Whether a judge is shown to agree with people; `None` when the store does not say.
    pub(super) async fn trust(&self, judge: &Arc<dyn ModelJudge>) -> Option<Trusted> {
        self.ask(|reply| Question::Trust { judge: Arc::clone(judge), reply }).await
    }

    /// Requests that wait to be copied, oldest first.
    pub(super) async fn waiting(&self, rollout: &str, epoch: u32, at_most: u32) -> Vec<DrawnRecord> {
        let rollout = rollout.to_owned();
        self.ask(|reply| Question::Waiting { rollout, epoch, at_most, reply }).await.unwrap_or_default()
    }

    /// Takes one of them for good, and reads it. `None` when somebody took it before, or the store does not answer.
    pub(super) async fn take(&self, rollout: &str, id: ExchangeId, now_us: u64) -> Option<Result<Due, &'static str>> {
        let rollout = rollout.to_owned();
        self.ask(|reply| Question::Take { rollout, id, now_us, reply }).await?
    }

    /// Those that were taken before a moment and have no copy.
    pub(super) async fn interrupted(&self, before_us: u64) -> Vec<DeferredRow> {
        self.ask(|reply| Question::Interrupted { before_us, reply }).await.unwrap_or_default()
    }

    /// Forgets those of epochs that have ended.
    pub(super) fn forget(&self, rollout: &str, before_epoch: u32) {
        if let Some(questions) = &self.questions {
            // A full channel: the next look forgets them.
            questions.try_send(Question::Forget { rollout: rollout.to_owned(), before_epoch }).ok();
        }
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.questions.as_ref()?.try_send(question(reply)).ok()?;
        answer.await.ok()
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.questions = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the shadow's thread for the store panicked");
        }
    }
}

/// Answers until nobody can ask any more. Who does not wait for an answer any more does not get it.
fn answer(path: &std::path::Path, asked: &Receiver<Question>) {
    let database = match Database::open(path) {
        Ok(database) => database,
        Err(error) => return tracing::error!(%error, "the shadow cannot open the store"),
    };
    while let Ok(question) = asked.recv() {
        if let Err(error) = one(&database, question) {
            tracing::warn!(%error, "the store did not answer the shadow");
        }
    }
}

fn one(database: &Database, question: Question) -> Result<(), DatabaseError> {
    match question {
        Question::Spend { rollout, span_us, reply } => drop(reply.send(database.copy_spend(&rollout, span_us)?)),
        Question::JudgeSpend { rollout, span_us, reply } => {
            reply.send(database.judge_spend(&rollout, span_us)?).ok();
        }
        Question::Trust { judge, reply } => drop(reply.send(judge.trust(database))),
        Question::Waiting { rollout, epoch, at_most, reply } => {
            let rows = database.deferred(&rollout, epoch, at_most)?;
            drop(reply.send(rows.into_iter().map(|row| row.drawn).collect()));
        }
        Question::Take { rollout, id, now_us, reply } => {
            let taken = database.take_deferred(&rollout, &[id], now_us)?;
            let due = if taken.is_empty() { None } else { Some(due(database, id)?) };
            drop(reply.send(due));
        }
        Question::Interrupted { before_us, reply } => drop(reply.send(database.drop_interrupted(before_us)?)),
        Question::Forget { rollout, before_epoch } => {
            database.forget_deferred(&rollout, before_epoch)?;
        }
    }
    Ok(())
}

/// One request with what its baseline made of it; or why it cannot be copied.
fn due(database: &Database, id: ExchangeId) -> Result<Result<Due, &'static str>, DatabaseError> {
    let Some(detail) = database.show(id)? else { return Ok(Err("its exchange is not on record")) };
    let endpoint =
        detail.exchange.endpoint.as_deref().and_then(|name| Endpoint::ALL.iter().copied().find(|e| e.as_str() == name));
    let request = database.body(id, BodyKind::Request)?;
    let (Some(endpoint), Some(request)) = (endpoint, request) else { return Ok(Err("its body is not on record")) };
    let baseline = detail.attempts.iter().find(|attempt| {
        attempt.role == AttemptRole::Live.as_str() && attempt.arm.as_deref() == Some(arm_name(Arm::Baseline))
    });
    let is_gone = detail.exchange.outcome == "client_gone";
    let known = |name: &str| {
        FailureKind::ALL.iter().copied().find(|kind| kind.as_str() == name).unwrap_or(FailureKind::Internal)
    };
    let judged = baseline.filter(|_| !is_gone).and_then(|attempt| {
        let measured = &attempt.measured;
        let failure = measured.failure.as_deref().map(known);
        let form = Form {
            format_valid: measured.format_valid,
            schema_valid: measured.schema_valid,
            tool_calls_valid: measured.tool_calls_valid,
            unknown: measured.not_validated.is_some(),
        };
        Some((attempt, failure, verdict(failure, form)?))
    });
    let (live, heard) = match judged {
        None => (Half::NoEvidence, None),
        Some((attempt, failure, (observed, bad))) => {
            let is_own = detail.exchange.served_by == attempt.target && failure.is_none();
            let answer = if is_own { database.body(id, BodyKind::Answer)? } else { None };
            let heard = Heard {
                answer: answer.map(|answer| Bytes::copy_from_slice(answer.expose())).unwrap_or_default(),
                n_bytes: attempt.answer_bytes,
                failure,
                finish_reason: attempt.measured.finish_reason.clone(),
                ..Heard::default()
            };
            (Half::Known { observed, bad, times: (None, None) }, Some(heard))
        }
    };
    let received_us = detail.exchange.received_at_us.unwrap_or_default();
    Ok(Ok(Due { endpoint, request: Bytes::copy_from_slice(request.expose()), received_us, live, heard }))
}

const fn arm_name(arm: Arm) -> &'static str {
    match arm {
        Arm::Baseline => "baseline",
        Arm::Candidate => "candidate",
    }
}
