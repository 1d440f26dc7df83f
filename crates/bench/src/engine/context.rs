//! What the requests of one worker share: its connections, and the book of what became of each.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use providers::Client;
use tokio::sync::Semaphore;

use super::turns::Turns;
use super::{CONNECTING, Common, Due, Engine, Phase, Target};
use crate::clock::millis;
use crate::measure::Gaps;
use crate::prompt::Maker;
use crate::sample::{Outcome, Sample};
use crate::slo::Slo;
use crate::tokens::{COMPARED, Kept};

/// What the tasks of a worker share.
pub(super) struct Context {
    pub(super) common: Arc<Common>,
    pub(super) client: Client,
    pub(super) targets: Vec<Target>,
    pub(super) timeout: Duration,
    pub(super) maker: Maker,
    pub(super) turns: Turns,
    pub(super) window: (Duration, Duration),
    slo: Option<Slo>,
    most: Option<u64>,
    /// The number of the next request of a closed loop, and how far the one after is.
    pub(super) next_idx: Cell<(u64, u64)>,
    pub(super) samples: RefCell<Vec<Sample>>,
    pub(super) gaps: RefCell<Vec<Gaps>>,
    /// What is kept of the words of answers.
    pub(super) texts: RefCell<Vec<Kept>>,
    /// Of each target: answers whose words were kept whole, and answers whose server counted their tokens.
    counted: RefCell<Vec<(usize, usize)>>,
    pub(super) beats: RefCell<Vec<Duration>>,
    /// Room for places of a closed loop that begin.
    pub(super) begins: Arc<Semaphore>,
    pub(super) refused: RefCell<Option<String>>,
}

impl Context {
    /// Before anything is sent.
    pub(super) fn new(
        (engine, phase): (&Engine, &Phase),
        common: &Arc<Common>,
        (number, n_workers): (usize, usize),
    ) -> Context {
        Context {
            common: Arc::clone(common),
            client: Client::new(),
            targets: engine.targets.clone(),
            timeout: phase.timeout,
            maker: engine.maker.clone(),
            turns: phase.turns,
            window: (phase.warm_up, phase.end),
            slo: phase.give_up,
            most: phase.most,
            next_idx: Cell::new((phase.first_idx + number as u64, n_workers as u64)),
            samples: RefCell::default(),
            gaps: RefCell::new(vec![Gaps::new(); engine.targets.len()]),
            texts: RefCell::default(),
            counted: RefCell::new(vec![(0, 0); engine.targets.len()]),
            beats: RefCell::default(),
            begins: Arc::new(Semaphore::new(CONNECTING)),
            refused: RefCell::default(),
        }
    }

    /// Whether a request that was due then counts.
    pub(super) fn counts(&self, intended: Duration) -> bool {
        intended >= self.window.0 && intended < self.window.1
    }

    /// Whether one more request of a closed loop may count.
    pub(super) fn may_count(&self) -> bool {
        let n_before = self.common.n_counted.fetch_add(1, Ordering::Relaxed);
        self.most.is_none_or(|most| n_before < most)
    }

    /// Requests under way that cannot keep to the objective any more.
    pub(super) fn n_late(&self, slo: &Slo) -> u64 {
        let now = self.common.now();
        let is_over = |limit: Option<f64>, sample: &Sample| {
            limit.is_some_and(|limit| millis(now.saturating_sub(sample.intended)) > limit)
        };
        let is_late = |sample: &&Sample| {
            self.counts(sample.intended)
                && sample.outcome == Outcome::Unfinished
                && (is_over(slo.e2e_ms, sample) || (sample.first.is_none() && is_over(slo.ttft_ms, sample)))
        };
        self.samples.borrow().iter().filter(is_late).count() as u64
    }

    /// A request begins: its place in the book.
    pub(super) fn begin(&self, due: &Due) -> usize {
        self.common.n_begun.fetch_add(1, Ordering::Relaxed);
        let mut samples = self.samples.borrow_mut();
        let sample = Sample::begun(due.target, due.block, (due.intended, self.common.now()));
        samples.push(Sample { number: due.number, ..sample });
        samples.len() - 1
    }

    /// The chunks with content of one request are so far apart.
    pub(super) fn gap(&self, target: usize, gap: Duration) {
        self.gaps.borrow_mut()[target].add(gap);
    }

    /// A place for an answer's words, where something counts tokens: whole as long as its server does not count, and for some answers anyway.
    pub(super) fn keeps(&self, target: usize) -> Option<Kept> {
        if self.targets[target].counters.is_empty() {
            return None;
        }
        let counted = &mut self.counted.borrow_mut()[target];
        let is_whole = counted.1 == 0 || counted.0 < COMPARED;
        counted.0 += usize::from(is_whole);
        Some(Kept { text: is_whole.then(String::new), ..Kept::default() })
    }

    /// An answer is over: keeps its words, and remembers whether its server counts.
    pub(super) fn keep(&self, target: usize, kept: Kept, is_counted: bool) -> usize {
        self.counted.borrow_mut()[target].1 += usize::from(is_counted);
        let mut texts = self.texts.borrow_mut();
        texts.push(kept);
        texts.len() - 1
    }

    /// Changes what is known of a request.
    pub(super) fn update(&self, place: usize, change: impl FnOnce(&mut Sample)) {
        if let Some(sample) = self.samples.borrow_mut().get_mut(place) {
            change(sample);
        }
    }

    /// A request is over.
    pub(super) fn end(&self, place: usize, outcome: Outcome) {
        let now = self.common.now();
        self.common.n_ended.fetch_add(1, Ordering::Relaxed);
        self.update(place, |sample| (sample.outcome, sample.ended) = (outcome, now));
        if outcome != Outcome::Good {
            self.common.n_failed.fetch_add(1, Ordering::Relaxed);
        }
        let sample = self.samples.borrow().get(place).copied();
        let Some((slo, sample)) = self.slo.zip(sample).filter(|(_, sample)| self.counts(sample.intended)) else {
            return;
        };
        if slo.kept(&sample) == Some(false)
            && self.common.n_missed.fetch_add(1, Ordering::Relaxed) >= self.common.may_miss
        {
            self.common.given_up.store(true, Ordering::Relaxed);
        }
    }
}
