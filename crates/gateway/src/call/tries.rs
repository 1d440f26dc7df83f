//! What comes after a failed attempt: another replica, another try, or nothing more at this target.

use std::time::{Duration, Instant};

use providers::RetryRules;
use wire::failure::{Failure, FailureKind, Retry};
use wire::record::AttemptRole;

use super::attempt::{note, was_not_called};
use super::enter::Ready;
use super::steps::Step;
use crate::counters::add;
use crate::record::Exchange;
use crate::targets::{Pick, bit};

/// How often one target was tried for one request.
pub(super) struct Tries {
    rules: RetryRules,
    n: u32,
    /// One bit for each replica that was called.
    tried: u32,
    /// Why the next attempt is made.
    pub(super) role: AttemptRole,
    /// A replica that has let the next attempt in already.
    pub(super) ready: Option<Ready>,
}

/// What to do next at the same target.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing.
    Over,
    /// Another replica is ready; the one that failed does not count as the target's failure.
    Replica,
    /// Try again after this long.
    After(Duration),
}

impl Tries {
    pub(super) fn begin(exchange: &mut Exchange, step: &Step) -> Self {
        let escalating = std::mem::take(&mut exchange.escalating);
        // An emergency is no evidence, whatever came before it.
        let role = match (exchange.attempts.is_empty() && !step.emergency, exchange.request.sent_before()) {
            (false, _) if escalating => AttemptRole::Escalation,
            (false, _) => AttemptRole::Failover,
            (true, true) => AttemptRole::CallerRetry,
            (true, false) => AttemptRole::Live,
        };
        let rules = exchange.route.retries.over(step.destination.target.calling.retries);
        Self { rules, n: 0, tried: 0, role, ready: None }
    }

    /// One more attempt at a target that has answered by the replica `called`, when its provider's budget allows one.
    pub(super) fn once_more(
        exchange: &Exchange,
        step: &Step,
        called: Option<usize>,
        role: AttemptRole,
    ) -> Option<Self> {
        let provider = &step.destination.replicas.get(called?)?.provider;
        if !provider.budget().another(provider.config().retry_budget, Instant::now()) {
            add(&exchange.worker.counters.retries_denied, 1);
            return None;
        }
        add(&exchange.worker.counters.retries, 1);
        let rules = exchange.route.retries.over(step.destination.target.calling.retries);
        Some(Self { rules, n: 1, tried: 0, role, ready: None })
    }

    /// Whether the next attempt is the first at this target.
    pub(super) fn is_first(&self) -> bool {
        self.n == 0
    }

    /// Who may be picked for the next attempt.
    pub(super) fn pick(&self, exchange: &Exchange, step: &Step, rest: &[Step], now: Instant) -> Pick {
        Pick {
            tried: self.tried,
            key: exchange.affinity,
            random: if step.destination.replicas.len() > 1 { exchange.worker.random() } else { 0 },
            last_resort: !somebody_else(rest, now),
            panic: step.panic,
        }
    }

    /// Decides what comes after `failure` of the attempt under way, and takes what it needs for it: a place in the budget, the
    /// permit of another replica.
    pub(super) fn next(&mut self, exchange: &mut Exchange, step: &Step, rest: &[Step], failure: &Failure) -> Next {
        self.n += 1;
        let called = exchange.attempt.as_ref().and_then(|attempt| attempt.called());
        let Some(called) = called.filter(|_| !was_not_called(failure) && !exchange.is_overdue()) else {
            return Next::Over;
        };
        // Its rollout took the call back: neither it nor a replica is asked again.
        if failure.kind == FailureKind::Withdrawn {
            return Next::Over;
        }
        if exchange.request.changes_what_is_kept() && !surely_not_done(failure) {
            return Next::Over;
        }
        self.tried |= bit(called);
        let now = Instant::now();
        let n_replicas = u32::try_from(step.destination.replicas.len()).unwrap_or(u32::MAX);
        let else_ = somebody_else(rest, now);
        // Another replica is as soon as another target, and it is the same model.
        let at_least = if self.rules.max_attempts.is_none() { n_replicas.min(2) } else { 1 };
        if self.n >= self.rules.max_attempts(else_).max(at_least) {
            return Next::Over;
        }
        if let Some(next) = self.another_replica(exchange, step, rest, failure) {
            return next;
        }
        self.again(exchange, step, failure, called)
    }

    /// Another replica, at once. `None` when there is none that would take the call.
    fn another_replica(
        &mut self,
        exchange: &mut Exchange,
        step: &Step,
        rest: &[Step],
        failure: &Failure,
    ) -> Option<Next> {
        if step.destination.replicas.len() < 2 || !failure.may_fail_over() {
            return None;
        }
        let now = Instant::now();
        let picked = step.destination.pick(self.pick(exchange, step, rest, now), now).ok()?;
        let provider = &step.destination.replicas[picked.idx].provider;
        // To this provider it is a request like one that fails over from another target.
        if !exchange.request.sent_before() {
            provider.budget().first(now);
        } else if !provider.budget().another(provider.config().retry_budget, now) {
            return Some(self.denied(exchange));
        }
        let place = exchange.attempt.as_mut().and_then(|attempt| attempt.hand_over());
        self.ready = Some(Ready { picked, place });
        note(exchange, |record| self.role = std::mem::replace(&mut record.role, AttemptRole::Replaced));
        add(&exchange.worker.counters.replaced, 1);
        Some(Next::Replica)
    }

    /// The same replicas, after a wait.
    fn again(&mut self, exchange: &mut Exchange, step: &Step, failure: &Failure, called: usize) -> Next {
        if !self.rules.allow(failure) {
            return Next::Over;
        }
        let asked = if let Retry::After(asked) = failure.retry { asked } else { Duration::ZERO };
        let wait = self.rules.wait(self.n, exchange.worker.random_fraction()).max(asked);
        let now = Instant::now();
        if wait > self.rules.longest_wait() || exchange.left(now).is_some_and(|left| left <= wait) {
            return Next::Over;
        }
        let provider = &step.destination.replicas[called].provider;
        if !provider.budget().another(provider.config().retry_budget, now) {
            return self.denied(exchange);
        }
        self.tried = 0;
        self.role = AttemptRole::Retry;
        add(&exchange.worker.counters.retries, 1);
        Next::After(wait)
    }

    fn denied(&self, exchange: &mut Exchange) -> Next {
        exchange.budget_spent = true;
        add(&exchange.worker.counters.retries_denied, 1);
        Next::Over
    }
}

/// Whether the provider surely did nothing with the request.
const fn surely_not_done(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Connect
            | FailureKind::Dns
            | FailureKind::Tls
            | FailureKind::TimeoutConnect
            | FailureKind::RateLimited
            | FailureKind::Capacity
    )
}

/// Whether a later target would take the call now.
fn somebody_else(rest: &[Step], now: Instant) -> bool {
    rest.iter().any(|step| step.panic || !step.destination.is_shut(now))
}
