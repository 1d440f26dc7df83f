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

use std::time::Duration;

use providers::Timeouts;
use rollout::{Metric, MetricSet, Outcome, Timestamp};
use wire::failure::FailureKind;
use wire::record::{Arm, AttemptRecord, AttemptRole, ExchangeOutcome};

use crate::record::Exchange;
use crate::shadow::Half;

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

/// The metrics an attempt was judged on, and those it was bad on; `None` when it is no evidence. From the two facts that the
/// record keeps, so that the same verdict is reached after a crash.
pub(crate) fn verdict(failure: Option<FailureKind>, format_valid: Option<bool>) -> Option<(MetricSet, MetricSet)> {
    match failure {
        None => {
            let bad = if format_valid == Some(false) { MetricSet::of(&[Metric::Format]) } else { MetricSet::EMPTY };
            Some((ENDED.with(Metric::Format), bad))
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
            | FailureKind::RequestLimit
            | FailureKind::TokenLimit
            | FailureKind::ConcurrencyLimit
            | FailureKind::BudgetLimit
    )
}

/// The target did not take the request: it said so, or is declared not to.
pub(crate) const fn is_refusal(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::HttpClientError | FailureKind::Unsupported)
}

/// Reports an attempt that ended.
pub(crate) fn attempt(exchange: &mut Exchange, record: &AttemptRecord) {
    let Some(assignment) = &exchange.assignment else { return };
    if record.role != AttemptRole::Live || record.arm != Some(assignment.arm) {
        return settle_refused(exchange, record);
    }
    // What the candidate refuses is judged when it is known what the baseline makes of it.
    if record.failure.is_some_and(is_refusal) && assignment.arm == Arm::Candidate {
        exchange.candidate_refused = Some(record.clone());
        return;
    }
    if let Some((observed, bad)) = verdict(record.failure, record.format_valid) {
        report(exchange, record, observed, bad);
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
        report(exchange, &refused, ENDED, MetricSet::of(&[Metric::Error]));
    }
}

fn report(exchange: &Exchange, record: &AttemptRecord, observed: MetricSet, bad: MetricSet) {
    let Some(assignment) = &exchange.assignment else { return };
    let complete = record.failure.is_none();
    let outcome = Outcome {
        unit: assignment.unit,
        arm: match assignment.arm {
            Arm::Baseline => rollout::Arm::Baseline,
            Arm::Candidate => rollout::Arm::Candidate,
        },
        admitted_at: Timestamp(exchange.arrival.unix_us),
        at: crate::live::now(),
        observed,
        bad,
        time_to_first_token_us: record.time_to_first_token_us,
        duration_us: complete.then_some(record.duration_us),
    };
    assignment.live.observe(assignment.epoch, &outcome);
}

/// Hands the live side of a pair to the comparison.
pub(crate) fn exchange(exchange: &mut Exchange, outcome: ExchangeOutcome) {
    let Some(pair) = exchange.pair.take() else { return };
    let baseline = exchange
        .attempts
        .iter()
        .find(|record| record.role == AttemptRole::Live && record.arm == Some(Arm::Baseline))
        .filter(|_| outcome != ExchangeOutcome::ClientGone);
    let half = match baseline.and_then(|record| verdict(record.failure, record.format_valid)) {
        Some((observed, bad)) => Half::Known { observed, bad, times: (None, None) },
        None => Half::NoEvidence,
    };
    pair.live(half);
}
