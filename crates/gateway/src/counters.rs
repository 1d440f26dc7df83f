//! What the data path counts. Every worker has its own set, so that no two cores share a cache line; readers add them up.

mod choices;
mod forms;
mod pairs;
mod verdicts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wire::failure::FailureKind;
use wire::record::{Adaptation, AttemptRecord, Charge, ExchangeOutcome, ShadowDrop};

pub use choices::{CacheTotal, ChoiceTotals, Followed};
pub(crate) use forms::Forms;
pub use forms::{FormTotals, Judged};
pub use pairs::PairTotal;
use pairs::Pairs;
pub(crate) use verdicts::Verdicts;
pub use verdicts::{VerdictKey, VerdictTotal};

/// One worker's numbers. Only that worker writes them; anybody may read.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections open now.
    pub connections: AtomicU64,
    /// Connections accepted so far.
    pub connections_accepted: AtomicU64,
    /// Requests whose exchange is not finished.
    pub in_flight: AtomicU64,
    /// Requests answered on any path, health checks included.
    pub requests: AtomicU64,
    /// Requests refused before they became an exchange, by [`FailureKind`] in the order of its list.
    pub refused: PerKind,
    /// Exchanges finished, by [`ExchangeOutcome`].
    pub exchanges: [AtomicU64; 5],
    /// Attempts begun at a provider.
    pub attempts: AtomicU64,
    /// Attempts at another target after one failed.
    pub failovers: AtomicU64,
    /// Attempts at the same target after it failed.
    pub retries: AtomicU64,
    /// Replicas that failed and that another one of the same target replaced.
    pub replaced: AtomicU64,
    /// Attempts for requests that their callers' SDKs sent before.
    pub caller_retries: AtomicU64,
    /// Retries that a provider's budget did not allow.
    pub retries_denied: AtomicU64,
    /// Requests for which breakers were not asked, because those of all targets were open.
    pub panics: AtomicU64,
    /// Attempts that failed, by kind.
    pub attempt_failures: PerKind,
    /// Tokens read and written, as providers counted them.
    pub input_tokens: AtomicU64,
    /// Tokens written, as providers counted them.
    pub output_tokens: AtomicU64,
    /// Records the journal did not take.
    pub records_failed: AtomicU64,
    /// Copies taken by the shadow.
    pub shadow_offered: AtomicU64,
    /// Copies the shadow did not make, by [`ShadowDrop`].
    pub shadow_dropped: [AtomicU64; ShadowDrop::ALL.len()],
    /// Changes made to requests, by target, field and action. Locked: requests that need one are not the common case.
    adaptations: Mutex<BTreeMap<(String, String, &'static str), u64>>,
    /// Answers that were to have a form.
    pub(crate) forms: Forms,
    /// What policies found.
    pub(crate) verdicts: Verdicts,
    /// What was found of pairs that were to be judged.
    pub(crate) pairs: Pairs,
    /// Which way requests went.
    pub(crate) choices: choices::Choices,
    /// What attempts cost, by target. Locked, but by nobody else than a reader once in a while.
    costs: Mutex<BTreeMap<String, CostTotal>>,
}

/// What the attempts of a target cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct CostTotal {
    /// Nano-dollars of those with a known price.
    pub nanos: u64,
    /// How many have a known price.
    pub priced: u64,
    /// How many were charged for and have none.
    pub unknown: u64,
}

/// A counter for each failure kind.
#[derive(Debug)]
pub struct PerKind(Vec<AtomicU64>);

impl Default for PerKind {
    fn default() -> Self {
        Self(FailureKind::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl PerKind {
    pub(crate) fn add(&self, kind: FailureKind) {
        if let Some(counter) = self.0.get(kind as usize) {
            add(counter, 1);
        }
    }

    fn read(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        FailureKind::ALL.iter().zip(&self.0).map(|(kind, n)| (*kind, n.load(Ordering::Relaxed)))
    }
}

/// Adds without a lock on the bus where only one thread writes; relaxed because a reader wants a number, not an order.
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Holds up the number of requests in flight for as long as it lives.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Counters>);

impl InFlight {
    pub(crate) fn begin(counters: &Arc<Counters>) -> Self {
        add(&counters.in_flight, 1);
        Self(Arc::clone(counters))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

const OUTCOMES: [ExchangeOutcome; 5] = [
    ExchangeOutcome::Complete,
    ExchangeOutcome::Truncated,
    ExchangeOutcome::ClientGone,
    ExchangeOutcome::Failed,
    ExchangeOutcome::Refused,
];

impl Counters {
    pub(crate) fn count_exchange(&self, outcome: ExchangeOutcome) {
        add(&self.exchanges[outcome as usize], 1);
    }

    pub(crate) fn count_shadow_drop(&self, reason: ShadowDrop) {
        add(&self.shadow_dropped[reason as usize], 1);
    }

    pub(crate) fn count_cost(&self, attempt: &AttemptRecord) {
        let Some(cost) = &attempt.cost else { return };
        let mut costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        if !costs.contains_key(&attempt.target) {
            costs.insert(attempt.target.clone(), CostTotal::default());
        }
        let Some(total) = costs.get_mut(&attempt.target) else { return };
        match cost {
            Charge::Priced { nanos, .. } => {
                total.nanos = total.nanos.saturating_add(*nanos);
                total.priced += 1;
            }
            Charge::Unknown { .. } => total.unknown += 1,
        }
    }

    pub(crate) fn count_adaptations(&self, adaptations: &[Adaptation]) {
        if adaptations.is_empty() {
            return;
        }
        let mut counts = self.adaptations.lock().unwrap_or_else(PoisonError::into_inner);
        for change in adaptations {
            let key = (change.target.clone(), change.field.to_string(), change.action.as_str());
            *counts.entry(key).or_default() += 1;
        }
    }
}

/// Every worker's numbers added up.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Connections open now.
    pub connections: u64,
    /// Connections accepted so far.
    pub connections_accepted: u64,
    /// Requests whose exchange is not finished.
    pub in_flight: u64,
    /// Requests answered on any path.
    pub requests: u64,
    /// Requests refused before they became an exchange, by failure kind.
    pub refused: BTreeMap<&'static str, u64>,
    /// Exchanges finished, by outcome.
    pub exchanges: BTreeMap<&'static str, u64>,
    /// Attempts begun at a provider.
    pub attempts: u64,
    /// Attempts at another target after one failed.
    pub failovers: u64,
    /// Attempts at the same target after it failed.
    pub retries: u64,
    /// Replicas that failed and that another one of the same target replaced.
    pub replaced: u64,
    /// Attempts for requests that their callers' SDKs sent before.
    pub caller_retries: u64,
    /// Retries that a provider's budget did not allow.
    pub retries_denied: u64,
    /// Requests for which breakers were not asked, because those of all targets were open.
    pub panics: u64,
    /// Attempts that failed, by failure kind.
    pub attempt_failures: BTreeMap<&'static str, u64>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Records the journal did not take.
    pub records_failed: u64,
    /// Copies taken by the shadow.
    pub shadow_offered: u64,
    /// Copies the shadow did not make, by reason.
    pub shadow_dropped: BTreeMap<&'static str, u64>,
    /// Changes made to requests: target, field, action and how often.
    pub adaptations: Vec<(String, String, &'static str, u64)>,
    /// What attempts cost, by target.
    pub costs: BTreeMap<String, CostTotal>,
    /// Answers that were to have a form.
    pub forms: FormTotals,
    /// What policies found.
    pub verdicts: Vec<(VerdictKey, VerdictTotal)>,
    /// Which way requests went.
    pub choices: ChoiceTotals,
    /// What was found of pairs that were to be judged.
    pub pairs: Vec<PairTotal>,
}

impl Totals {
    /// Adds up several workers' numbers.
    #[must_use]
    pub fn of<'a>(all: impl IntoIterator<Item = &'a Arc<Counters>>) -> Self {
        let mut totals = Self::default();
        let mut adaptations: BTreeMap<(String, String, &'static str), u64> = BTreeMap::new();
        let mut verdicts = BTreeMap::new();
        for one in all {
            one.verdicts.add_to(&mut verdicts);
            totals.pairs.extend(one.pairs.totals());
            totals.add_numbers(one);
            one.forms.add_to(&mut totals.forms);
            one.choices.add_to(&mut totals.choices);
            for (key, n) in one.adaptations.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                *adaptations.entry(key.clone()).or_default() += n;
            }
            for (target, cost) in one.costs.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let total = totals.costs.entry(target.clone()).or_default();
                total.nanos = total.nanos.saturating_add(cost.nanos);
                total.priced += cost.priced;
                total.unknown += cost.unknown;
            }
        }
        totals.verdicts = verdicts.into_iter().collect();
        totals.adaptations =
            adaptations.into_iter().map(|((target, field, action), n)| (target, field, action, n)).collect();
        totals
    }

    fn add_numbers(&mut self, one: &Counters) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.connections += read(&one.connections);
        self.connections_accepted += read(&one.connections_accepted);
        self.in_flight += read(&one.in_flight);
        self.requests += read(&one.requests);
        self.attempts += read(&one.attempts);
        self.failovers += read(&one.failovers);
        self.retries += read(&one.retries);
        self.replaced += read(&one.replaced);
        self.caller_retries += read(&one.caller_retries);
        self.retries_denied += read(&one.retries_denied);
        self.panics += read(&one.panics);
        self.input_tokens += read(&one.input_tokens);
        self.output_tokens += read(&one.output_tokens);
        self.records_failed += read(&one.records_failed);
        self.shadow_offered += read(&one.shadow_offered);
        for (kind, n) in one.refused.read() {
            *self.refused.entry(kind.as_str()).or_default() += n;
        }
        for (kind, n) in one.attempt_failures.read() {
            *self.attempt_failures.entry(kind.as_str()).or_default() += n;
        }
        for (outcome, n) in OUTCOMES.iter().zip(&one.exchanges) {
            *self.exchanges.entry(outcome.as_str()).or_default() += read(n);
        }
        for (reason, n) in ShadowDrop::ALL.iter().zip(&one.shadow_dropped) {
            *self.shadow_dropped.entry(reason.as_str()).or_default() += read(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_numbers_stay_together() {
        let counters = Arc::new(Counters::default());
        counters.count_exchange(ExchangeOutcome::ClientGone);
        counters.count_shadow_drop(ShadowDrop::Expired);
        counters.refused.add(FailureKind::TooLarge);
        let totals = Totals::of([&counters, &counters]);
        assert_eq!(totals.exchanges["client_gone"], 2);
        assert_eq!(totals.shadow_dropped["expired"], 2);
        assert_eq!(totals.refused["too_large"], 2);
        assert_eq!(totals.refused["internal"], 0);
    }
}
