//! Calls of a candidate that are under way when it is thrown back. Mostly they go on to their end (the rollout *drains*). Where the rollout says
//! `on_rollback: retry`, one of whose answer nothing was shown is given up and the baseline is asked: whoever waits for a
//! candidate that hangs waits no longer than until somebody has found out.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use wire::failure::{Failure, FailureKind};
use wire::record::{Arm, AttemptRole};

use crate::live::LiveRollout;
use crate::record::Exchange;

/// How often a call under way looks whether it is still wanted. A switch wakes nobody: it is one store in the thread that found the breach.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What ends a call before its time.
pub(super) struct Withdrawal {
    live: Arc<LiveRollout>,
    look: Interval,
}

/// For the attempt under way, where it is the candidate's and its rollout does not wait.
pub(super) fn of(exchange: &Exchange) -> Option<Withdrawal> {
    let assignment = exchange.assignment.as_ref().filter(|assignment| !assignment.forced)?;
    let attempt = exchange.attempt.as_ref()?;
    let is_trial = attempt.record.arm == Some(Arm::Candidate) && attempt.record.role != AttemptRole::Failover;
    let settings = exchange.prepared.snapshot.rollouts.get(&assignment.live.identity.name)?;
    (is_trial && assignment.arm == Arm::Candidate && settings.retry_on_rollback).then(|| {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Withdrawal { live: Arc::clone(&assignment.live), look }
    })
}

impl Withdrawal {
    /// Ready when the candidate was thrown back.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        while self.look.poll_tick(cx).is_ready() {
            if !self.live.view().watching {
                let failure = Failure::new(FailureKind::Withdrawn, "the candidate was thrown back meanwhile");
                return Poll::Ready(failure);
            }
        }
        Poll::Pending
    }
}
