//! A thread that sends and reads, with a runtime and connections of its own.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use super::context::Context;
use super::turns::Turns;
use super::{Common, Due, Engine, HEED, Pace, Phase, ToDo, call, soon};
use crate::measure::Gaps;
use crate::sample::{Outcome, Sample};
use crate::slo::Slo;
use crate::tokens::Kept;

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

/// Runs a worker until its part of the phase is over.
pub(super) fn run(
    (engine, phase): (&Engine, &Phase),
    common: &Arc<Common>,
    to_do: Receiver<ToDo>,
    (number, n_workers): (usize, usize),
) -> Part {
    soon::run_soon();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Part { refused: Some("no runtime".to_owned()), ..Part::default() };
    };
    let context = Rc::new(Context::new((engine, phase), common, (number, n_workers)));
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
    let mut begins = Arc::clone(&context.begins).acquire_owned().await.ok();
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
        let due = Due { number: idx, intended, target, block, asked, wanted: made.wanted, begins: begins.take() };
        if call::ask(context, due).await != Outcome::Good {
            // A server that refuses at once is not asked without a pause.
            tokio::time::sleep(HEED).await;
        }
        // The place goes on with the connection that it had: as many are open as places, and no first token waits for a new one.
        context.client.give_back().await;
    }
}
