//! Answers that are late, told to the guards when they become late and not when they end: a target that hangs is seen at the objective.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rollout::{Metric, MetricSet, Objectives, Outcome, Timestamp};
use tokio::task::AbortHandle;
use wire::ids::ExchangeId;
use wire::record::{Arm, AttemptRole};

use crate::live::{self, LiveRollout};
use crate::record::Exchange;

/// Watches one attempt until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Rc<Seen>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Seen {
    /// The first content has come.
    answering: Cell<bool>,
    /// What was reported as late.
    late: Cell<MetricSet>,
}

impl Watch {
    /// The first content has come: it is not late any more.
    pub(crate) fn answers(&self) {
        self.seen.answering.set(true);
    }

    /// What was reported as late already.
    pub(crate) fn late(&self) -> MetricSet {
        self.seen.late.get()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whose answer is awaited.
struct Awaited {
    live: Arc<LiveRollout>,
    epoch: u32,
    unit: u64,
    arm: rollout::Arm,
    admitted_at: Timestamp,
    exchange: ExchangeId,
}

impl Awaited {
    fn is_late(&self, metric: Metric) {
        let late = MetricSet::of(&[metric]);
        let outcome = Outcome {
            unit: self.unit,
            arm: self.arm,
            admitted_at: self.admitted_at,
            at: live::now(),
            observed: late,
            bad: late,
            time_to_first_token_us: None,
            duration_us: None,
        };
        self.live.observe_late(self.epoch, &outcome, self.exchange);
    }
}

/// Begins to watch the attempt that leaves now, when it is the one that counts and there is an objective to miss.
pub(super) fn watch(exchange: &Exchange, (arm, role): (Option<Arm>, AttemptRole), started: Instant) -> Option<Watch> {
    let assignment = exchange.assignment.as_ref().filter(|assignment| !assignment.forced)?;
    if role != AttemptRole::Live || arm != Some(assignment.arm) {
        return None;
    }
    let Objectives { first_token, total } = assignment.live.objectives();
    let first_token = first_token.filter(|_| exchange.request.streamed());
    if first_token.is_none() && total.is_none() {
        return None;
    }
    let awaited = Awaited {
        live: Arc::clone(&assignment.live),
        epoch: assignment.epoch,
        unit: assignment.unit,
        arm: assignment.rollout_arm(),
        admitted_at: Timestamp(exchange.arrival.unix_us),
        exchange: exchange.id,
    };
    let seen = Rc::new(Seen::default());
    let deadlines = Deadlines { started, first_token, total };
    let task = exchange.worker.tasks.spawn_local(deadlines.wait(awaited, Rc::clone(&seen))).abort_handle();
    Some(Watch { seen, task })
}

struct Deadlines {
    started: Instant,
    first_token: Option<Duration>,
    total: Option<Duration>,
}

impl Deadlines {
    async fn wait(self, awaited: Awaited, seen: Rc<Seen>) {
        let mut deadlines = [(Metric::SlowFirstToken, self.first_token), (Metric::Slow, self.total)];
        deadlines.sort_by_key(|(_, after)| *after);
        for (metric, after) in deadlines {
            let Some(after) = after else { continue };
            tokio::time::sleep_until((self.started + after).into()).await;
            if metric == Metric::SlowFirstToken && seen.answering.get() {
                continue;
            }
            seen.late.set(seen.late.get().with(metric));
            awaited.is_late(metric);
        }
    }
}
