//! A thread that sends and reads, with a runtime and connections of its own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use providers::Client;
use tokio::sync::mpsc::Receiver;
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use super::turns::Turns;
use super::{Common, Due, Engine, HEED, Pace, Phase, Target, ToDo, call};
use crate::clock::millis;
use crate::measure::Gaps;
use crate::prompt::Maker;
use crate::sample::{Outcome, Sample};
use crate::slo::Slo;
use crate::tokens::{COMPARED, Kept};

/// What a worker saw.
#[derive(Default)]
pub(super) struct Part {
    pub(super) samples: Vec<Sample>,
    pub(super) earlier: Vec<Sample>,
    pub(super) gaps: Vec<Gaps>,
    /// Of a closed loop: the number after the last that was sent.
    pub(super) next_idx: u64,
    pub(super) beats: Vec<Duration>,
    pub(super) texts: Vec<Kept>,
    pub(super) refused: Option<String>,
}

/// What the tasks of a worker share.
pub(super) struct Context {
    pub(super) common: Arc<Common>,
    pub(super) client: Client,
    pub(super) targets: Vec<Target>,
    pub(super) timeout: Duration,
    maker: Maker,
    turns: Turns,
    window: (Duration, Duration),
    slo: Option<Slo>,
    most: Option<u64>,
    /// The number of the next request of a closed loop, and how far the one after is.
    next_idx: Cell<(u64, u64)>,
    samples: RefCell<Vec<Sample>>,
    gaps: RefCell<Vec<Gaps>>,
    /// What is kept of the words of answers.
    texts: RefCell<Vec<Kept>>,
    /// Of each target: answers whose words were kept whole, and answers whose server counted their tokens.
    counted: RefCell<Vec<(usize, usize)>>,
    beats: RefCell<Vec<Duration>>,
    refused: RefCell<Option<String>>,
}

/// Runs a worker until its part of the phase is over.
pub(super) fn run(
    (engine, phase): (&Engine, &Phase),
    common: &Arc<Common>,
    to_do: Receiver<ToDo>,
    (number, n_workers): (usize, usize),
) -> Part {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Part { refused: Some("no runtime".to_owned()), ..Part::default() };
    };
    let context = Rc::new(Context {
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
        refused: RefCell::default(),
    });
    let tasks = TaskTracker::new();
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let looking = TaskTracker::new();
        if let Some(slo) = phase.give_up {
            let context = Rc::clone(&context);
            looking.spawn_local(async move { look(&context, &slo).await });
        }
        match &phase.pace {
            Pace::Open(_) => take(to_do, &context, &tasks).await,
            Pace::Closed(n) => {
                closed((*n, number, n_workers), &context, &tasks);
                tasks.close();
                // It may be over before its time is; then nobody is there for what the clock gives to do.
                tokio::select! {
                    () = take(to_do, &context, &tasks) => {}
                    () = tasks.wait() => {}
                }
            }
        }
        tasks.close();
        let until = phase.end.max(common.now()) + phase.drain;
        while !tasks.is_empty() && !common.is_over() && common.now() < until {
            tokio::time::timeout(HEED, tasks.wait()).await.ok();
        }
    });
    let end = common.now();
    // What is still under way is given up here.
    drop((local, runtime));
    let mut samples = context.samples.take();
    for sample in samples.iter_mut().filter(|sample| sample.outcome == Outcome::Unfinished) {
        sample.ended = end;
    }
    // What was due in the warm-up and went on after it is part of what the server did in the window.
    let goes_on = |sample: &&Sample| sample.intended < context.window.0 && sample.ended > context.window.0;
    let earlier = samples.iter().filter(goes_on).copied().collect();
    samples.retain(|sample| context.counts(sample.intended));
    let next_idx = context.next_idx.get().0;
    let beats = context.beats.take();
    let texts = context.texts.take();
    Part { earlier, next_idx, samples, gaps: context.gaps.take(), beats, texts, refused: context.refused.take() }
}

/// Gives up as soon as those that missed the objective and those that will, whatever comes, are too many.
async fn look(context: &Context, slo: &Slo) {
    while !context.common.is_over() {
        tokio::time::sleep(HEED).await;
        let n_late = context.n_late(slo);
        if n_late.saturating_add(context.common.n_missed.load(Ordering::Relaxed)) > context.common.may_miss {
            context.common.given_up.store(true, Ordering::Relaxed);
        }
    }
}

/// Begins each request as it comes, whatever became of those before.
async fn take(mut to_do: Receiver<ToDo>, context: &Rc<Context>, tasks: &TaskTracker) {
    while let Some(to_do) = to_do.recv().await {
        match to_do {
            ToDo::Ask(due) => {
                let context = Rc::clone(context);
                tasks.spawn_local(async move {
                    call::ask(&context, due).await;
                });
            }
            ToDo::Beat(at) => context.beats.borrow_mut().push(context.common.now().saturating_sub(at)),
        }
    }
}

/// Fills this worker's part of the places; each begins the next request when the one before has ended.
fn closed((n, number, n_workers): (usize, usize, usize), context: &Rc<Context>, tasks: &TaskTracker) {
    let is_each = context.turns == Turns::Each;
    let n_places = if is_each { n * context.targets.len() } else { n };
    for place in (0..n_places).filter(|place| place % n_workers == number) {
        let target = is_each.then_some(place % context.targets.len());
        let context = Rc::clone(context);
        tasks.spawn_local(async move { keep(&context, target).await });
    }
}

/// One place of a closed loop.
async fn keep(context: &Rc<Context>, of: Option<usize>) {
    let mut round = 0;
    loop {
        let intended = context.common.now();
        if intended >= context.window.1 || context.common.is_over() {
            return;
        }
        if context.counts(intended) && !context.may_count() {
            return;
        }
        let turn = context.turns.now(intended, context.targets.len());
        let (target, block) = of.map(|target| (target, round)).or(turn).unwrap_or_default();
        round += 1;
        let (idx, step) = context.next_idx.get();
        context.next_idx.set((idx + step, step));
        let made = context.maker.make(idx, &context.targets[target].model, None);
        let asked = match context.targets[target].ask.prepare(made.body) {
            Ok(asked) => asked,
            Err(failure) => {
                *context.refused.borrow_mut() = Some(format!("{}: {}", context.targets[target].name, failure.detail));
                return;
            }
        };
        if call::ask(context, Due { number: idx, intended, target, block, asked, wanted: made.wanted }).await
            != Outcome::Good
        {
            // A server that refuses at once is not asked without a pause.
            tokio::time::sleep(HEED).await;
        }
    }
}

impl Context {
    /// Whether a request that was due then counts.
    pub(super) fn counts(&self, intended: Duration) -> bool {
        intended >= self.window.0 && intended < self.window.1
    }

    /// Whether one more request of a closed loop may count.
    fn may_count(&self) -> bool {
        let n_before = self.common.n_counted.fetch_add(1, Ordering::Relaxed);
        self.most.is_none_or(|most| n_before < most)
    }

    /// Requests under way that cannot keep to the objective any more.
    fn n_late(&self, slo: &Slo) -> u64 {
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
        if !slo.is_met(&sample) && self.common.n_missed.fetch_add(1, Ordering::Relaxed) >= self.common.may_miss {
            self.common.given_up.store(true, Ordering::Relaxed);
        }
    }
}
