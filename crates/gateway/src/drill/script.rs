//! What is answered in the candidate's place, and what is counted of it. Requests of every worker meet it: atomics alone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use providers::{Reply, Timeouts, fault};
use rollout::Policy;
use wire::failure::{Failure, FailureKind};
use wire::openai::ResponseFormat;
use wire::record::{Arm, AttemptRecord, Endpoint, ExchangeOutcome};

use super::{Kind, Plan, late};
use crate::parse::Parsed;

/// A time that has not come.
const NEVER: u64 = u64::MAX;

/// The script of one drill.
#[derive(Debug)]
pub(crate) struct Script {
    kind: Kind,
    /// It is on copies: what callers are served is left alone.
    on_copies: bool,
    /// How late an answer is, streamed and not; `None` where no objective says what that is.
    late: [Option<Duration>; 2],
    patience: Duration,
    most_faults: u64,
    began: Instant,
    /// No fault begins after this.
    until: Instant,
    verify_requests: u64,
    faults: AtomicU64,
    /// Microseconds from `began`: the first fault, the last one, the last answer that was to be verified.
    first_fault_us: AtomicU64,
    last_fault_us: AtomicU64,
    verified_us: AtomicU64,
    switched: OnceLock<Instant>,
    over: AtomicBool,
    callers_failed: AtomicU64,
    callers_answered: AtomicU64,
    /// Requests that came after the switch, by who answered.
    after_by_baseline: AtomicU64,
    after_by_candidate: AtomicU64,
}

/// One request's part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    kind: Kind,
    late: Option<Duration>,
    patience: Duration,
}

impl Script {
    pub(super) fn new(plan: &Plan, policy: &Policy, on_copies: bool, began: Instant) -> Self {
        Self {
            kind: plan.kind,
            on_copies,
            late: [late(policy, false), late(policy, true)],
            patience: plan.patience(policy),
            most_faults: plan.most_faults,
            began,
            until: began + plan.at_most(),
            verify_requests: plan.verify_requests,
            faults: AtomicU64::new(0),
            first_fault_us: AtomicU64::new(NEVER),
            last_fault_us: AtomicU64::new(NEVER),
            verified_us: AtomicU64::new(NEVER),
            switched: OnceLock::new(),
            over: AtomicBool::new(false),
            callers_failed: AtomicU64::new(0),
            callers_answered: AtomicU64::new(0),
            after_by_baseline: AtomicU64::new(0),
            after_by_candidate: AtomicU64::new(0),
        }
    }

    /// What happens to a call of the candidate for `request`, a copy or not; `None` when it is made as ever.
    pub(crate) fn fault(&self, request: &Parsed, is_copy: bool) -> Option<Fault> {
        let late = self.late[usize::from(request.streamed())];
        let applies = match self.kind {
            Kind::Malformed => request.view.response_format != ResponseFormat::Text,
            Kind::Latency => late.is_some(),
            Kind::Error | Kind::Refusal | Kind::Hang => true,
        };
        let is_over =
            self.over.load(Ordering::Acquire) || self.switched.get().is_some() || Instant::now() >= self.until;
        if self.on_copies != is_copy || !applies || is_over {
            return None;
        }
        let more = |n: u64| (n < self.most_faults).then_some(n + 1);
        self.faults.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        let now = self.micros();
        self.first_fault_us.fetch_min(now, Ordering::AcqRel);
        self.last_fault_us.store(now, Ordering::Release);
        Some(Fault { kind: self.kind, late, patience: self.patience })
    }

    /// The stand-in's share went to 0.
    pub(crate) fn switched_off(&self, seen: Instant) {
        self.switched.get_or_init(|| seen);
    }

    /// The drill is over: whoever was assigned before and calls now calls as ever.
    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// An exchange that was assigned by the stand-in has ended.
    pub(crate) fn ended(
        &self,
        (arrived, met): (Instant, bool),
        outcome: ExchangeOutcome,
        (attempts, by_candidate): (&[AttemptRecord], bool),
    ) {
        let is_callers = attempts.last().is_some_and(|last| last.failure == Some(FailureKind::HttpClientError));
        match outcome {
            ExchangeOutcome::Complete if met => drop(self.callers_answered.fetch_add(1, Ordering::AcqRel)),
            ExchangeOutcome::Failed | ExchangeOutcome::Truncated if met && !is_callers => {
                self.callers_failed.fetch_add(1, Ordering::AcqRel);
            }
            _ => {}
        }
        let is_after = self.switched.get().is_some_and(|switched| arrived >= *switched);
        let was_called = attempts.iter().any(|attempt| attempt.arm == Some(Arm::Candidate));
        if is_after && (by_candidate || was_called) {
            self.after_by_candidate.fetch_add(1, Ordering::AcqRel);
        } else if is_after && outcome == ExchangeOutcome::Complete {
            let n = self.after_by_baseline.fetch_add(1, Ordering::AcqRel) + 1;
            if n == self.verify_requests {
                self.verified_us.store(self.micros(), Ordering::Release);
            }
        }
    }

    pub(super) fn on_copies(&self) -> bool {
        self.on_copies
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Acquire)
    }

    pub(super) fn switched(&self) -> Option<Instant> {
        self.switched.get().copied()
    }

    pub(super) fn callers_failed(&self) -> u64 {
        self.callers_failed.load(Ordering::Acquire)
    }

    pub(super) fn callers_answered(&self) -> u64 {
        self.callers_answered.load(Ordering::Acquire)
    }

    /// Requests that came after the switch: answered by the baseline, and those for which the candidate was called.
    pub(super) fn after(&self) -> (u64, u64) {
        (self.after_by_baseline.load(Ordering::Acquire), self.after_by_candidate.load(Ordering::Acquire))
    }

    /// From the first fault to the switch.
    pub(super) fn detected_after(&self) -> Option<Duration> {
        let first = self.moment(&self.first_fault_us)?;
        Some(self.switched()?.saturating_duration_since(first))
    }

    /// From the switch to the last answer that was to be verified.
    pub(super) fn verified_after(&self) -> Option<Duration> {
        let verified = self.moment(&self.verified_us)?;
        Some(verified.saturating_duration_since(self.switched()?))
    }

    /// Every fault that was allowed has been met, and its consequences are known.
    pub(super) fn is_used_up(&self, now: Instant) -> bool {
        let settled = self.patience + Duration::from_secs(1);
        let last = self.moment(&self.last_fault_us);
        self.faults() >= self.most_faults && last.is_some_and(|last| now.saturating_duration_since(last) >= settled)
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(NEVER - 1)
    }

    fn moment(&self, at: &AtomicU64) -> Option<Instant> {
        let micros = at.load(Ordering::Acquire);
        (micros != NEVER).then(|| self.began + Duration::from_micros(micros))
    }
}

impl Fault {
    /// Plays it for a call to `endpoint` that may take so long, and whose caller waits for so long at most. `None` when the answer is only
    /// late: by now it is.
    pub(crate) async fn play(
        self,
        (endpoint, streamed): (Endpoint, bool),
        timeouts: &Timeouts,
        left: Option<Duration>,
    ) -> Option<Result<Reply, Failure>> {
        let answered = match self.kind {
            Kind::Error => fault::Fault::Error,
            Kind::Malformed => fault::Fault::Malformed,
            Kind::Refusal => fault::Fault::Refusal,
            Kind::Latency => {
                tokio::time::sleep(self.late.unwrap_or_default().min(self.patience)).await;
                return None;
            }
            Kind::Hang => {
                let (kind, timeout) = if streamed {
                    (FailureKind::TimeoutFirstToken, timeouts.first_token)
                } else {
                    (FailureKind::TimeoutTotal, timeouts.whole_answer())
                };
                // Half of what its caller still waits is the baseline's.
                let timeout = timeout.min(self.patience).min(left.map_or(Duration::MAX, |left| left / 2));
                tokio::time::sleep(timeout).await;
                return Some(Err(Failure::new(kind, format!("a drill's silence of {timeout:?}"))));
            }
        };
        Some(Ok(fault::answer(answered, endpoint)))
    }
}
