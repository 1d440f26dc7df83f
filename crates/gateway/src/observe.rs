//! What the guards learn of an exchange. What counts is the attempt of the arm the unit was assigned to, not what the caller saw
//! after a failover. Not counted: callers that soon went away, callers' own mistakes, what ended because Crossfade did, and what
//! the ramp of a target that has just recovered held back.
//!
//! A request counts once. Of several tries at the same target the first one counts: a retry must not hide a failure. A replica
//! that failed and that another one of the same target replaced is not the target's failure: the last replica's attempt counts. A
//! request that its caller's SDK sends again counted when it came first.
//!
//! A caller that gives up after a while without any content is evidence: a target that hangs is otherwise invisible wherever
//! callers are less patient than Crossfade. See [`patience`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use providers::Timeouts;
use rollout::{CostOutcome, Metric, MetricSet, Objectives, Outcome, Timestamp};
use wire::failure::FailureKind;
use wire::record::{Arm, AttemptRecord, AttemptRole, Charge, ExchangeOutcome};

use crate::record::Exchange;
use crate::shadow::{Half, Heard};

/// What every ended attempt tells.
const ENDED: MetricSet = MetricSet::of(&[Metric::Error, Metric::Timeout]);

/// The longest that a caller may have to wait for the first content before its leaving is held against the target.
const LONGEST_PATIENCE: Duration = Duration::from_secs(15);

/// How old an attempt without content must be for its caller's leaving to count as a timeout of the target: a quarter of what
/// the target is allowed until the first token, and at most 15 s. A caller that leaves earlier changed its mind, and says
/// nothing of the target.
///
/// The same bound holds for both arms and for answers of both kinds, streamed or not: callers that are impatient by nature
/// leave both arms alike, and the relative guards see no difference. The limit of an absolute guard must leave room for them.
/// A pair does not count them at all, because nobody gives up a copy.
pub(crate) fn patience(timeouts: &Timeouts) -> Duration {
    (timeouts.first_token / 4).min(LONGEST_PATIENCE)
}

/// What the record says of an answer's form.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    pub(crate) format_valid: Option<bool>,
    pub(crate) schema_valid: Option<bool>,
    pub(crate) tool_calls_valid: Option<bool>,
    /// Some of it had a schema and was not held against it: then it may be bad, and cannot be found good.
    pub(crate) unknown: bool,
}

impl Form {
    pub(crate) fn of(record: &AttemptRecord) -> Self {
        Self {
            format_valid: record.format_valid,
            schema_valid: record.validity.schema_valid,
            tool_calls_valid: record.validity.tool_calls_valid,
            unknown: record.validity.not_validated.is_some(),
        }
    }

    /// What is observed, and what of it is bad. A request that asked for no form is answered in the right one.
    fn judge(self) -> (MetricSet, MetricSet) {
        let is_bad = [
            (Metric::Format, self.format_valid == Some(false) || self.schema_valid == Some(false)),
            (Metric::ToolCall, self.tool_calls_valid == Some(false)),
        ];
        let bad: MetricSet = is_bad.iter().filter(|(_, is_bad)| *is_bad).map(|(metric, _)| *metric).collect();
        let good = if self.unknown { MetricSet::EMPTY } else { MetricSet::of(&[Metric::Format, Metric::ToolCall]) };
        (bad.or(good), bad)
    }
}

/// The metrics an attempt was judged on, and those it was bad on; `None` when it is no evidence. From facts that the record
/// keeps, so that the same verdict is reached after a crash.
pub(crate) fn verdict(failure: Option<FailureKind>, form: Form) -> Option<(MetricSet, MetricSet)> {
    match failure {
        None => {
            let (observed, bad) = form.judge();
            Some((ENDED.or(observed), bad))
        }
        Some(kind) if no_evidence(kind) => None,
        Some(kind) => {
            let bad = MetricSet::of(&[Metric::Error]);
            Some((ENDED, if kind.is_timeout() { bad.with(Metric::Timeout) } else { bad }))
        }
    }
}

const fn no_evidence(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::ClientGone
            | FailureKind::InvalidRequest
            | FailureKind::NotFound
            | FailureKind::TooLarge
            | FailureKind::RecordUnavailable
            | FailureKind::ShuttingDown
            | FailureKind::Internal
            | FailureKind::HttpClientError
            | FailureKind::Unsupported
            | FailureKind::Unauthenticated
            | FailureKind::Forbidden
            | FailureKind::CallerDeadline
            | FailureKind::Recovering
            | FailureKind::Withdrawn
            | FailureKind::RequestLimit
            | FailureKind::TokenLimit
            | FailureKind::ConcurrencyLimit
            | FailureKind::BudgetLimit
            | FailureKind::Residency
            | FailureKind::Policy
            | FailureKind::Referred
    )
}

/// The target did not take the request: it said so, or is declared not to.
pub(crate) const fn is_refusal(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::HttpClientError | FailureKind::Unsupported)
}

/// An attempt's times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) first_token_us: Option<u64>,
    pub(crate) duration_us: u64,
    pub(crate) has_failed: bool,
}

/// What an attempt's times tell, held against what an answer may take.
pub(crate) fn speed(record: &AttemptRecord, streamed: bool, objectives: Objectives) -> (MetricSet, MetricSet) {
    let times = Times {
        first_token_us: record.time_to_first_token_us,
        duration_us: record.duration_us,
        has_failed: record.failure.is_some(),
    };
    lateness(times, streamed, objectives)
}

/// Late is late, whatever came of it in the end; what ended early otherwise than well would have been neither.
pub(crate) fn lateness(times: Times, streamed: bool, objectives: Objectives) -> (MetricSet, MetricSet) {
    let is_over = |time_us: u64, most: Duration| Duration::from_micros(time_us) > most;
    let mut verdicts = (MetricSet::EMPTY, MetricSet::EMPTY);
    let mut judge = |metric: Metric, is_bad: bool, is_known: bool| {
        if is_known {
            verdicts.0.insert(metric);
        }
        if is_known && is_bad {
            verdicts.1.insert(metric);
        }
    };
    if let Some(most) = objectives.total {
        let is_late = is_over(times.duration_us, most);
        judge(Metric::Slow, is_late, is_late || !times.has_failed);
    }
    if let Some(most) = objectives.first_token.filter(|_| streamed) {
        let first = times.first_token_us;
        let is_late = is_over(first.unwrap_or(times.duration_us), most);
        judge(Metric::SlowFirstToken, is_late, is_late || first.is_some());
    }
    verdicts
}

/// Whether a whole answer declines or says nothing, as far as is known: `declined` of its text, the reason for its end of both.
pub(crate) fn refusal(record: &AttemptRecord, declined: Option<bool>) -> (MetricSet, MetricSet) {
    manner(record.failure.is_some(), record.finish_reason.as_deref(), declined)
}

/// The same of what is stored.
pub(crate) fn manner(has_failed: bool, finish_reason: Option<&str>, declined: Option<bool>) -> (MetricSet, MetricSet) {
    let is_filtered = finish_reason.is_some_and(|reason| matches!(reason, "content_filter" | "refusal"));
    let metric = MetricSet::of(&[Metric::Refusal]);
    match (has_failed, is_filtered, declined) {
        (true, ..) | (false, false, None) => (MetricSet::EMPTY, MetricSet::EMPTY),
        (false, true, _) | (false, _, Some(true)) => (metric, metric),
        (false, false, Some(false)) => (metric, MetricSet::EMPTY),
    }
}

/// Reports an attempt that ended. What was `late` has been reported as soon as it was.
pub(crate) fn attempt(exchange: &mut Exchange, record: &AttemptRecord, late: MetricSet) {
    // It ended because nobody was to get the script's answer. The answer itself is judged.
    let judged =
        (record.failure == Some(FailureKind::Drill)).then(|| AttemptRecord { failure: None, ..record.clone() });
    let record = judged.as_ref().unwrap_or(record);
    let Some(assignment) = exchange.assignment.as_ref().filter(|assignment| !assignment.forced) else { return };
    if record.role != AttemptRole::Live || record.arm != Some(assignment.arm) {
        return settle_refused(exchange, record);
    }
    // What the candidate refuses is judged when it is known what the baseline makes of it.
    if record.failure.is_some_and(is_refusal) && assignment.arm == Arm::Candidate {
        exchange.candidate_refused = Some(record.clone());
        return;
    }
    if let Some((observed, bad)) = verdict(record.failure, Form::of(record)) {
        let speed = speed(record, exchange.request.streamed(), assignment.live.objectives());
        let refusal = refusal(record, exchange.declined);
        let not_late = MetricSet::ALL.xor(late);
        let observed = observed.or(speed.0.and(not_late)).or(refusal.0);
        let bad = bad.or(speed.1.and(not_late)).or(refusal.1);
        report(exchange, record, (observed, bad), record.started_us.saturating_add(record.duration_us));
    }
}

/// The candidate had refused the request: its failure if another target took it, the caller's mistake if that refused it
/// too, and unknown if that failed otherwise.
fn settle_refused(exchange: &mut Exchange, record: &AttemptRecord) {
    // Another failure decides nothing: the next attempt may.
    if !matches!(record.failure, None | Some(FailureKind::HttpClientError)) {
        return;
    }
    if let Some(refused) = exchange.candidate_refused.take()
        && record.failure.is_none()
    {
        // It is known only now.
        report(exchange, &refused, (ENDED, MetricSet::of(&[Metric::Error])), crate::live::now().0);
    }
}

fn report(exchange: &Exchange, record: &AttemptRecord, (observed, bad): (MetricSet, MetricSet), ended_us: u64) {
    let Some(assignment) = &exchange.assignment else { return };
    let complete = record.failure.is_none();
    let outcome = Outcome {
        unit: assignment.unit,
        arm: assignment.rollout_arm(),
        admitted_at: Timestamp(exchange.arrival.unix_us),
        at: crate::live::now(),
        observed,
        bad,
        time_to_first_token_us: record.time_to_first_token_us,
        duration_us: complete.then_some(record.duration_us),
    };
    let cost = match &record.cost {
        Some(Charge::Priced { nanos, .. }) if complete => Some(*nanos),
        _ => None,
    };
    let Outcome { unit, arm, admitted_at, at, .. } = outcome;
    let cost = cost.map(|nanos| CostOutcome { unit, arm, admitted_at, at, nanos });
    assignment.live.observe_answer(assignment.epoch, (&outcome, cost), (exchange.id, ended_us));
    // They are not split by it, and learn of the baseline what there is to learn.
    for contender in &assignment.contenders {
        let outcome = Outcome { unit: contender.unit, ..outcome };
        contender.live.observe_exchange(contender.epoch, &outcome, exchange.id);
    }
}

/// Hands the live side of its pairs to the comparison: what became of it, and the answer, when it is the baseline's own.
pub(crate) fn exchange(exchange: &mut Exchange, outcome: ExchangeOutcome, (served_by, answer): (Option<&str>, &Bytes)) {
    drilled(exchange, outcome, served_by);
    if let Some(seat) = &exchange.detour {
        seat.ended(outcome, &exchange.attempts, served_by);
    }
    let pairs = std::mem::take(&mut exchange.pairs);
    let Some(assignment) = exchange.assignment.as_ref().filter(|_| !pairs.is_empty()) else { return };
    let baseline = exchange
        .attempts
        .iter()
        .find(|record| record.role == AttemptRole::Live && record.arm == Some(Arm::Baseline))
        .filter(|_| outcome != ExchangeOutcome::ClientGone);
    let objectives = exchange.assignment.as_ref().map(|assignment| assignment.live.objectives()).unwrap_or_default();
    let judged = baseline.and_then(|record| {
        let (observed, bad) = verdict(record.failure, Form::of(record))?;
        let speed = speed(record, exchange.request.streamed(), objectives);
        let refusal = refusal(record, exchange.declined);
        Some((observed.or(speed.0).or(refusal.0), bad.or(speed.1).or(refusal.1)))
    });
    let half = match judged {
        Some((observed, bad)) => Half::Known { observed, bad, times: (None, None) },
        None => Half::NoEvidence,
    };
    let is_own = served_by == Some(assignment.live.identity.baseline.as_str());
    let heard = baseline.filter(|_| half != Half::NoEvidence).map(|record| {
        let n_bytes = record.answer_bytes;
        let mut heard =
            Heard { n_bytes, failure: record.failure, finish_reason: record.finish_reason.clone(), ..Heard::default() };
        // What there is no room for is not compared; what was said about it stays.
        if is_own && record.failure.is_none() {
            heard.room = exchange.worker.shadow.reserve_answer(answer.len());
            heard.unkept = heard.room.is_none() && answer.len() <= exchange.worker.shadow.max_answer();
            heard.answer = if heard.room.is_some() { answer.clone() } else { Bytes::new() };
        }
        Arc::new(heard)
    });
    for pair in &pairs {
        pair.live(half, heard.clone());
    }
}

/// Tells a drill what became of an exchange that was assigned while it was on.
fn drilled(exchange: &Exchange, outcome: ExchangeOutcome, served_by: Option<&str>) {
    let Some(assignment) = exchange.assignment.as_ref() else { return };
    let Some(script) = assignment.live.script() else { return };
    let by_candidate = served_by == Some(assignment.live.identity.candidate.as_str());
    script.ended((exchange.arrival.at, exchange.met_a_drill), outcome, (&exchange.attempts, by_candidate));
}
