//! The facts of one exchange, gathered while it runs and written to the journal: the request before the first byte of its
//! answer, the answer before the last. Whatever ends an exchange early (its caller leaves, a panic, the end of the process's
//! patience) drops it, and dropping it writes down how it ended.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use govern::Residency;
use routing::cascade::Told;
use schema::judge::Judgement;
use store::Ticket;
use tracing::error;
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record::{
    Adaptation, AnswerRecord, Arm, AttemptRecord, AttemptRole, Charge, Decision, ExchangeOutcome, Record, RequestRecord,
};
use wire::usage::Usage;

use crate::allowance::Allowance;
use crate::assign::Assignment;
use crate::authenticate::Principal;
use crate::cache::{CACHE, Missed};
use crate::call::Attempt;
use crate::counters::{InFlight, add};
use crate::detour::Seat;
use crate::drain::Phase;
use crate::observe;
use crate::parse::Parsed;
use crate::policy::{self, Findings};
use crate::shadow::Pair;
use crate::snapshot::{Route, Target};
use crate::targets::Destination;
use crate::translate::Marks;
use crate::worker::{Prepared, Worker};

/// How long an answer waits for its record. A disk that hangs for longer is one that does not take records.
const RECORD_PATIENCE: Duration = Duration::from_secs(30);

/// The status of an answer nobody waited for, in records only.
const CLIENT_GONE: u16 = 499;

/// What is known of a request before it becomes an exchange.
pub(crate) struct Opening {
    pub(crate) id: ExchangeId,
    pub(crate) arrival: Arrival,
    pub(crate) principal: Principal,
    pub(crate) request: Arc<Parsed>,
    pub(crate) route: Arc<Route>,
    pub(crate) assignment: Option<Assignment>,
    pub(crate) affinity: Option<u64>,
    pub(crate) allowance: Allowance,
    pub(crate) decision: Option<Decision>,
    pub(crate) residency: Residency,
    pub(crate) findings: Findings,
    pub(crate) detour: Option<Seat>,
}

/// When a request was there, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) unix_us: u64,
}

impl Arrival {
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), unix_us: crate::live::now().0 }
    }

    /// The wall clock as it would read `at`. One reading of the wall clock per exchange: its times cannot run backwards.
    pub(crate) fn unix_us_at(&self, at: Instant) -> u64 {
        self.unix_us + micros(at.saturating_duration_since(self.at))
    }
}

/// Whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The record of an attempt that has just begun: who is called and why, and nothing of what will come of it.
pub(crate) fn begun(
    target: &Target,
    model: &str,
    idx: usize,
    (arm, role): (Option<Arm>, AttemptRole),
    at_us: u64,
) -> AttemptRecord {
    AttemptRecord {
        idx: u16::try_from(idx).unwrap_or(u16::MAX),
        target: target.name.clone(),
        provider: target.provider.name.clone(),
        model: model.to_owned(),
        arm,
        role,
        started_us: at_us,
        status: None,
        failure: None,
        time_to_first_token_us: None,
        duration_us: 0,
        usage: None,
        finish_reason: None,
        format_valid: None,
        simulated: target.provider.is_simulated(),
        truncated: false,
        answer_bytes: 0,
        cost: None,
        validity: Default::default(),
        request_bytes: 0,
    }
}

/// How much of a body of this length is taken to have been sent: all of it, once there was a connection to send it on.
pub(crate) fn bytes_sent(failure: Option<&Failure>, n_bytes: u64) -> u64 {
    let was_not_sent = |failure: &Failure| {
        let kind = failure.kind;
        matches!(kind, FailureKind::Connect | FailureKind::Dns | FailureKind::Tls | FailureKind::TimeoutConnect)
            || matches!(kind, FailureKind::Capacity | FailureKind::Residency | FailureKind::NotFound)
    };
    if failure.is_some_and(was_not_sent) { 0 } else { n_bytes }
}

/// One exchange under way.
pub(crate) struct Exchange {
    pub(crate) worker: Rc<Worker>,
    pub(crate) prepared: Rc<Prepared>,
    pub(crate) id: ExchangeId,
    pub(crate) arrival: Arrival,
    pub(crate) principal: Principal,
    pub(crate) request: Arc<Parsed>,
    pub(crate) route: Arc<Route>,
    pub(crate) assignment: Option<Assignment>,
    /// What comes back to the same replica of a target.
    pub(crate) affinity: Option<u64>,
    /// How far it may go.
    pub(crate) residency: Residency,
    /// What the policy of the route found.
    pub(crate) findings: Findings,
    /// When the caller stops waiting for the beginning of its answer.
    deadline: Option<Instant>,
    /// Calls made so far.
    pub(crate) n_calls: u32,
    /// A further call was wanted and a provider's budget for retries did not allow it.
    pub(crate) budget_spent: bool,
    /// What of the caller's limits it holds.
    pub(crate) allowance: Allowance,
    /// The attempt under way.
    pub(crate) attempt: Option<Attempt>,
    /// The attempts that ended.
    pub(crate) attempts: Vec<AttemptRecord>,
    pub(crate) adaptations: Vec<Adaptation>,
    /// What was decided about who should answer.
    pub(crate) decisions: Vec<Decision>,
    /// Where the shadow's side of each comparison waits for this one.
    pub(crate) pairs: Vec<Arc<Pair>>,
    /// The candidate answered 4xx: its fault if another target takes the same request, else the caller's.
    pub(crate) candidate_refused: Option<AttemptRecord>,
    /// The answer as the provider sent it, up to the limit.
    pub(crate) answer: BytesMut,
    /// The same, when it came in one piece.
    pub(crate) whole_answer: Option<Bytes>,
    pub(crate) served: Option<Served>,
    /// The form of the answer under way, once it is known.
    pub(crate) form: Judgement,
    /// Whether the answer under way declines or says nothing, once it is known.
    pub(crate) declined: Option<bool>,
    /// The same of the attempts that ended, by their places.
    pub(crate) declined_by: Vec<(u16, bool)>,
    /// What the route's cache has to do with it, when the route has one and it was not answered from there.
    pub(crate) cache: Option<Missed>,
    /// Nobody was called: it was answered from the route's cache.
    pub(crate) is_cached: bool,
    /// The answer under way is one of a cascade's step: what it tells is looked at.
    pub(crate) judging: bool,
    /// What it tells.
    pub(crate) told: Option<Box<Told>>,
    /// The answer before was not good enough for the route's cascade.
    pub(crate) escalating: bool,
    /// What is sent instead of the caller's request: the same, and what was wrong with the first answer to it.
    pub(crate) instead: Option<Arc<Parsed>>,
    /// A drill's script answered a call of it.
    pub(crate) met_a_drill: bool,
    /// Its place in a detour of its route.
    pub(crate) detour: Option<Seat>,
    request_ticket: Option<Ticket>,
    finished: bool,
    _in_flight: InFlight,
}

/// Whose answer the caller gets.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) time_to_first_token: Option<Duration>,
    pub(crate) usage: Option<Usage>,
    /// When the first of an answer that was held back left, from the arrival of the request.
    pub(crate) released: Option<Duration>,
}

impl Served {
    pub(crate) fn new(destination: &Destination, status: u16) -> Self {
        Self { target: destination.target.name.clone(), status, time_to_first_token: None, usage: None, released: None }
    }
}

/// Opens an exchange: its request is on its way to the journal when this returns.
pub(crate) fn open(worker: &Rc<Worker>, prepared: &Rc<Prepared>, opening: Opening) -> Result<Box<Exchange>, Failure> {
    let Opening {
        id,
        arrival,
        principal,
        request,
        route,
        assignment,
        allowance,
        affinity,
        decision,
        residency,
        findings,
        detour,
    } = opening;
    let record = Record::Request(RequestRecord {
        id,
        received_at_us: arrival.unix_us,
        endpoint: request.endpoint,
        route: route.name.clone(),
        principal: principal.id().map(str::to_owned),
        streamed: request.streamed(),
        rollout: assignment.as_ref().map(Assignment::to_ref),
        body: Private::new(request.recorded(&prepared.snapshot.limits)),
        client_retry: request.client_retry(),
        asked: request.beside.asked(),
    });
    let ticket = submit(worker, &record)?;
    let deadline = request.patience().map(|patience| arrival.at + patience);
    Ok(Box::new(Exchange {
        worker: Rc::clone(worker),
        prepared: Rc::clone(prepared),
        id,
        arrival,
        principal,
        request,
        route,
        assignment,
        affinity,
        residency,
        findings,
        deadline,
        n_calls: 0,
        budget_spent: false,
        allowance,
        attempt: None,
        attempts: Vec::with_capacity(1),
        adaptations: Vec::new(),
        decisions: decision.into_iter().chain(detour.as_ref().and_then(Seat::decision)).collect(),
        pairs: Vec::new(),
        candidate_refused: None,
        answer: BytesMut::new(),
        whole_answer: None,
        served: None,
        form: Judgement::default(),
        declined: None,
        declined_by: Vec::new(),
        cache: None,
        is_cached: false,
        judging: false,
        told: None,
        escalating: false,
        instead: None,
        met_a_drill: false,
        detour,
        request_ticket: Some(ticket),
        finished: false,
        _in_flight: InFlight::begin(&worker.counters),
    }))
}

fn submit(worker: &Worker, record: &Record) -> Result<Ticket, Failure> {
    worker.deps.journal.submit(record).map_err(|error| {
        add(&worker.counters.records_failed, 1);
        Failure::new(FailureKind::RecordUnavailable, error.to_string())
    })
}

/// With more exchanges than this under way a worker leaves its records to the writer thread, which then writes many at once.
const FEW: u64 = 4;

/// Waits until a record is as safe as the journal's mode promises. A worker that serves few writes it itself.
pub(crate) async fn on_record(worker: &Worker, ticket: Ticket) -> Result<(), Failure> {
    if worker.counters.in_flight.load(Ordering::Relaxed) <= FEW {
        ticket.write_here();
    }
    let detail = match tokio::time::timeout(RECORD_PATIENCE, ticket.wait()).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("the journal did not write within {RECORD_PATIENCE:?}"),
    };
    add(&worker.counters.records_failed, 1);
    Err(Failure::new(FailureKind::RecordUnavailable, detail))
}

impl Exchange {
    /// Whether the journal has refused the request by now. Nobody waits.
    pub(crate) fn request_so_far(&self) -> Result<(), Failure> {
        match self.request_ticket.as_ref().and_then(Ticket::peek) {
            Some(Err(error)) => Err(Failure::new(FailureKind::RecordUnavailable, error.to_string())),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Waits until the request is on record. The first byte of the answer waits for this.
    pub(crate) async fn request_on_record(&mut self) -> Result<(), Failure> {
        match self.request_ticket.take() {
            Some(ticket) => on_record(&self.worker, ticket).await,
            None => Ok(()),
        }
    }

    /// What ids and times of a translated answer are made from.
    pub(crate) fn marks(&self) -> Marks {
        Marks { id: self.id, created_us: self.arrival.unix_us }
    }

    /// How long the caller still waits, when it said so.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }

    /// Whether the caller has stopped waiting.
    pub(crate) fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Keeps bytes of the answer for the record, up to the limit.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        let room = self.prepared.snapshot.limits.max_recorded_answer.saturating_sub(self.answer.len());
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Forgets the answer of a target that failed.
    pub(crate) fn forget_answer(&mut self) {
        self.answer.clear();
        self.whole_answer = None;
        self.served = None;
        self.form = Judgement::default();
        self.declined = None;
        self.told = None;
    }

    /// Closes the exchange: its last record is on its way to the journal when this returns.
    pub(crate) fn finish(&mut self, outcome: ExchangeOutcome, failure: Option<FailureKind>) -> Result<Ticket, Failure> {
        self.finished = true;
        let finished = Instant::now();
        let served = self.served.take();
        let unserved = if failure == Some(FailureKind::Internal) { 500 } else { CLIENT_GONE };
        let status = served.as_ref().map_or(unserved, |served| served.status);
        let usage = served.as_ref().and_then(|served| served.usage);
        let body = self.whole_answer.take().unwrap_or_else(|| self.answer.split().freeze());
        let limit = self.prepared.snapshot.limits.max_recorded_answer;
        let counters = &self.worker.counters;
        counters.count_exchange(outcome);
        counters.count_adaptations(&self.adaptations);
        if let Some(usage) = usage {
            add(&counters.input_tokens, usage.input_tokens);
            add(&counters.output_tokens, usage.output_tokens);
        }
        observe::exchange(self, outcome, (served.as_ref().map(|served| served.target.as_str()), &body));
        let cost = if self.is_cached {
            Some(Charge::Priced { nanos: 0, row: CACHE.to_owned() })
        } else {
            Charge::sum(self.attempts.iter().filter_map(|attempt| attempt.cost.as_ref()))
        };
        self.allowance.settle(&self.prepared.snapshot, &self.attempts, (finished, self.arrival.unix_us_at(finished)));
        if let Some(checks) = policy::take_record(self, self.arrival.unix_us_at(finished)) {
            // The answer's ticket covers what was submitted before it.
            drop(submit(&self.worker, &checks)?);
        }
        let record = Record::Answer(AnswerRecord {
            id: self.id,
            finished_at_us: self.arrival.unix_us_at(finished),
            status,
            outcome,
            failure,
            time_to_first_token_us: served.as_ref().and_then(|served| served.time_to_first_token).map(micros),
            served_by: served.map(|served| served.target),
            duration_us: micros(finished.saturating_duration_since(self.arrival.at)),
            usage,
            adaptations: std::mem::take(&mut self.adaptations),
            attempts: std::mem::take(&mut self.attempts),
            body: Private::new(if body.len() > limit { body.slice(..limit) } else { body }),
            cost,
            decisions: std::mem::take(&mut self.decisions),
            declined: std::mem::take(&mut self.declined_by),
        });
        submit(&self.worker, &record)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let kind = if std::thread::panicking() {
            self.worker.panicked.set(Some(self.id));
            FailureKind::Internal
        } else if self.worker.phase.get() >= Phase::Cutting {
            FailureKind::ShuttingDown
        } else {
            FailureKind::ClientGone
        };
        let (outcome, failure) = match kind {
            FailureKind::ClientGone => (ExchangeOutcome::ClientGone, crate::call::left(self)),
            // Nothing of an answer was there to be cut.
            _ if self.served.is_none() => (ExchangeOutcome::Failed, Failure::new(kind, "the exchange was given up")),
            _ => (ExchangeOutcome::Truncated, Failure::new(kind, "the exchange was given up")),
        };
        crate::call::end_attempt(self, Some(&failure));
        if let Err(failure) = self.finish(outcome, Some(kind)) {
            error!(exchange = %self.id, %failure, "an exchange that was given up is not on record");
        }
    }
}
