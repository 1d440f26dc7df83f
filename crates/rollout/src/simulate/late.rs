//! What a simulated request is not over with when it was made: answers that take their time, copies that come to nothing, and what people
//! say hours later.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::chance::Chance;
use super::world::{Drawn, World};
use crate::Timestamp;
use crate::assign::Arm;
use crate::evidence::{Outcome, PairOutcome};
use crate::metric::{Metric, MetricSet};
use crate::policy::{Objectives, Policy};

/// What a normal's 95th percentile is.
const P95: f64 = 1.644_854;

/// What is not known at once, and what gets lost. By default everything is known at once and nothing gets lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Late {
    /// The fraction of copies that come to nothing.
    pub lost_copies: f64,
    /// How long answers take; `None` takes no time.
    pub latency: Option<Latency>,
    /// What somebody says later, by metric.
    pub signals: BTreeMap<Metric, Told>,
}

/// How long answers take.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// To the first token of a stream; where it is `None`, what is recorded, else nothing is streamed.
    pub first_token: Option<Spread>,
    /// To the end; where it is `None`, what is recorded.
    pub total: Option<Spread>,
    /// How many times as long the candidate takes once it is worse; before, and the baseline always, once.
    pub candidate: f64,
    /// The fraction of the candidate's answers that never come once it is worse.
    pub hangs: f64,
    /// When an answer that never comes is given up.
    pub timeout: Duration,
}

/// A lognormal time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle.
    pub median: Duration,
    /// Sigma of its logarithm.
    pub sigma: f64,
}

/// Something that is told of some answers, some time later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// The fraction of answers that anything is told of.
    pub of: f64,
    /// How much later on average; the delays are exponential.
    pub delay: Duration,
}

impl Spread {
    /// With this middle and this 95th percentile.
    #[must_use]
    pub fn with_p95(median: Duration, p95: Duration) -> Self {
        let times = p95.as_secs_f64() / median.as_secs_f64().max(1e-6);
        Self { median, sigma: times.max(1.0).ln() / P95 }
    }

    fn draw_us(self, chance: &mut Chance) -> u64 {
        micros(self.median.as_secs_f64() * (self.sigma * chance.normal()).exp())
    }
}

/// What one answer took; neither when nothing takes time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Took {
    pub(super) first_token_us: Option<u64>,
    pub(super) total_us: Option<u64>,
    pub(super) hangs: bool,
}

impl World {
    /// The same world with things that take time. What comes late is not judged at once, and how late an answer may be the policy says.
    #[must_use]
    pub fn living(mut self, late: Late, policy: &Policy) -> Self {
        self.objectives = policy.objectives;
        let timed =
            late.latency.as_ref().map_or(MetricSet::EMPTY, |_| MetricSet::of(&[Metric::Slow, Metric::SlowFirstToken]));
        let told: MetricSet = late.signals.keys().copied().collect();
        self.observed = self.observed.iter().filter(|metric| !timed.or(told).contains(*metric)).collect();
        self.late = late;
        self
    }

    /// What the answer takes.
    pub(super) fn took(&self, unit: &Drawn, (arm, is_worse): (Arm, bool), chance: &mut Chance) -> Took {
        let Some(latency) = &self.late.latency else { return Took::default() };
        let worse = arm == Arm::Candidate && is_worse;
        let times = if worse { latency.candidate } else { 1.0 };
        let recorded = unit.recorded();
        let draw = |spread: Option<Spread>, recorded: Option<u64>, chance: &mut Chance| {
            let us = spread.map(|spread| spread.draw_us(chance)).or(recorded);
            us.map(|us| micros(us as f64 / 1e6 * times))
        };
        let total_us = draw(latency.total, recorded.and_then(|request| request.duration_us), chance);
        let first = draw(latency.first_token, recorded.and_then(|request| request.time_to_first_token_us), chance);
        if worse && chance.one_in(latency.hangs) {
            return Took { first_token_us: None, total_us: Some(micros(latency.timeout.as_secs_f64())), hangs: true };
        }
        let first_token_us = first.map(|first| total_us.map_or(first, |total| first.min(total)));
        Took { first_token_us, total_us, hangs: false }
    }
}

/// What an answer is bad on at its end, and what is known before that: a late answer is bad the moment it is late.
pub(super) struct Parts {
    pub(super) observed: MetricSet,
    pub(super) bad: MetricSet,
    /// Metrics that are bad before the end, and after how many microseconds.
    pub(super) early: Vec<(Metric, u64)>,
}

/// Judges what an answer took by the objectives.
pub(super) fn parts(objectives: Objectives, (observed, bad): (MetricSet, MetricSet), took: Took) -> Parts {
    let mut parts = Parts { observed, bad, early: Vec::new() };
    if took.hangs {
        // It never came: of what it would have said nothing is known.
        let failed = MetricSet::of(&[Metric::Error, Metric::Timeout]).and(observed.or(MetricSet::of(&[Metric::Error])));
        (parts.observed, parts.bad) = (failed, failed);
    }
    let late = |objective: Option<Duration>| objective.map(|time| micros(time.as_secs_f64()));
    let mut judge = |metric: Metric, objective: Option<u64>, us: Option<u64>| {
        let Some((objective, us)) = objective.zip(us) else { return };
        if us > objective {
            parts.early.push((metric, objective));
        } else {
            parts.observed.insert(metric);
        }
    };
    judge(Metric::Slow, late(objectives.total), took.total_us);
    let first = if took.hangs { took.total_us } else { took.first_token_us };
    judge(Metric::SlowFirstToken, late(objectives.first_token), first);
    parts
}

/// Something that will become known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Known {
    Outcome(Outcome),
    Pair(PairOutcome),
}

/// What will become known, the next first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Entry>,
    n: u64,
}

#[derive(Debug)]
struct Entry {
    at: Timestamp,
    n: u64,
    known: Known,
}

impl Queue {
    pub(super) fn push(&mut self, at: Timestamp, known: Known) {
        self.n += 1;
        self.heap.push(Entry { at, n: self.n, known });
    }

    /// The next that is known at `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Known> {
        let is_due = self.heap.peek().is_some_and(|entry| entry.at <= now);
        if is_due { self.heap.pop().map(|entry| entry.known) } else { None }
    }
}

/// The largest of a heap is its top: the earliest is the largest, and of these the first.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.n).cmp(&(self.at, self.n))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

fn micros(seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
    let us = (seconds * 1e6).max(0.0) as u64;
    us
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVES: Objectives =
        Objectives { first_token: Some(Duration::from_secs(1)), total: Some(Duration::from_secs(10)) };

    #[test]
    fn a_late_answer_is_bad_when_it_is_late_and_not_when_it_ends() {
        let error = MetricSet::of(&[Metric::Error]);
        let took = Took { first_token_us: Some(400_000), total_us: Some(30_000_000), hangs: false };
        let late = parts(OBJECTIVES, (error, MetricSet::EMPTY), took);
        assert_eq!(late.early, [(Metric::Slow, 10_000_000)]);
        assert_eq!((late.observed, late.bad), (error.with(Metric::SlowFirstToken), MetricSet::EMPTY));
        let hangs = Took { first_token_us: None, total_us: Some(600_000_000), hangs: true };
        let never = parts(OBJECTIVES, (error, MetricSet::EMPTY), hangs);
        assert_eq!(never.early, [(Metric::Slow, 10_000_000), (Metric::SlowFirstToken, 1_000_000)]);
        assert_eq!(never.bad, error);
        assert!(parts(Objectives::default(), (error, error), took).early.is_empty());
    }

    #[test]
    fn what_is_known_comes_in_order_and_what_came_first_first() {
        let mut queue = Queue::default();
        let outcome = |unit| {
            let (admitted_at, at) = (Timestamp(0), Timestamp(0));
            let (observed, bad) = (MetricSet::EMPTY, MetricSet::EMPTY);
            Known::Outcome(Outcome {
                unit,
                arm: Arm::Baseline,
                admitted_at,
                at,
                observed,
                bad,
                time_to_first_token_us: None,
                duration_us: None,
            })
        };
        for (at, unit) in [(5, 1), (3, 2), (5, 3), (9, 4)] {
            queue.push(Timestamp(at), outcome(unit));
        }
        let order: Vec<Known> = std::iter::from_fn(|| queue.pop(Timestamp(5))).collect();
        assert_eq!(order, [outcome(2), outcome(1), outcome(3)]);
        assert_eq!(queue.pop(Timestamp(9)), Some(outcome(4)));
    }

    #[test]
    fn a_spread_has_its_middle_and_its_95th_percentile() {
        let spread = Spread::with_p95(Duration::from_secs(1), Duration::from_secs(4));
        let mut chance = Chance::of(1, 1);
        let mut drawn: Vec<u64> = (0..20_000).map(|_| spread.draw_us(&mut chance)).collect();
        drawn.sort_unstable();
        let near = |us: u64, seconds: f64| (us as f64 / 1e6 / seconds - 1.0).abs() < 0.06;
        assert!(near(drawn[10_000], 1.0) && near(drawn[19_000], 4.0), "{} {}", drawn[10_000], drawn[19_000]);
    }
}
