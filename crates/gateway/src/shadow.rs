//! Copies of baseline requests to the candidate of a rollout. Everything here is the shadow's own: thread, runtime,
//! connections, breakers, limits. A request on its way to a caller only ever tries to leave a copy at the door; when there is
//! no room the copy is dropped and the reason counted.

mod apart;
mod archive;
mod compared;
mod copy;
mod draw;
mod governor;
mod judged;
mod later;
mod ledger;
mod meaning;
mod offer;
mod pair;
mod room;
mod ruling;
mod settings;
mod strip;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;
use wire::record::{AttemptRecord, Record, ShadowDrop};

use crate::counters::Counters;
use crate::drain::{LocalPhase, Phase};
use crate::memory::Bodies;
use crate::outward::Outward;
use crate::serve::{Deps, StartError, spawn};
use crate::worker::{Prepared, Worker};

use archive::Archive;
use copy::Whose;
pub(crate) use draw::{Drawn, Stratum, draw, task};
use governor::Governor;
pub use governor::Overload;
pub use judged::{Judge, Judging, Spoken, Worth};
use ledger::Ledger;
use offer::Offer;
pub(crate) use offer::on_sent;
pub(crate) use pair::{Half, Heard, Pair};
use room::Pool;
pub(crate) use room::{AnswerRoom, Room};
pub use ruling::{Agreement, ByModel, ModelJudge, Round, Ruling, TRUST_AGE, Trusted};
pub use settings::{Meaning, ShadowBudget, ShadowSettings, Window};

/// Bounds of the shadow.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowLimits {
    /// Copies that may wait to be looked at. They wait for microseconds; a full queue means that the machine is busy.
    pub queue: usize,
    /// Bytes of requests and answers held at once. A copy takes what its request and its answer come to, the answer twice: once kept, and
    /// once to make sense of what arrives.
    pub max_bytes: usize,
    /// Copies under way at once.
    pub max_in_flight: usize,
    /// A copy that waited longer than this is dropped.
    pub max_age: Duration,
    /// Bytes kept of one answer; the rest is read, counted and forgotten.
    pub max_answer: usize,
    /// When nothing is copied because the machine has nothing left for it; `None` never looks.
    pub overload: Option<Overload>,
}

impl Default for ShadowLimits {
    fn default() -> Self {
        Self {
            queue: 1024,
            max_bytes: 128 << 20,
            max_in_flight: 256,
            max_age: Duration::from_secs(1),
            max_answer: 256 << 10,
            overload: None,
        }
    }
}

/// What the shadow did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ShadowTotals {
    /// Copies sent to a candidate.
    pub sent: u64,
    /// Copies answered well.
    pub answered: u64,
    /// Copies that failed.
    pub failed: u64,
    /// Copies under way.
    pub in_flight: u64,
    /// Bytes held for them.
    pub bytes: u64,
    /// Answers that were read and not kept whole, because the copies held as much as they may.
    pub unkept: u64,
    /// Records the journal did not take.
    pub unrecorded: u64,
    /// Second answers asked of baselines.
    pub duplicates_sent: u64,
    /// Those that failed.
    pub duplicates_failed: u64,
    /// How often the machine had nothing left for copies.
    pub overloads: u64,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    unkept: AtomicU64,
    unrecorded: AtomicU64,
    duplicates_sent: AtomicU64,
    duplicates_failed: AtomicU64,
}

impl Counts {
    fn sent(&self, whose: Whose) -> &AtomicU64 {
        if whose == Whose::Candidate { &self.sent } else { &self.duplicates_sent }
    }

    fn ended(&self, whose: Whose, failed: bool) {
        let counter = match (whose, failed) {
            (Whose::Candidate, true) => &self.failed,
            (Whose::Candidate, false) => &self.answered,
            (Whose::Baseline, true) => &self.duplicates_failed,
            (Whose::Baseline, false) => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where workers leave copies.
#[derive(Clone)]
pub(crate) struct ShadowDoor {
    sender: mpsc::Sender<Offer>,
    memory: Pool,
    max_answer: usize,
    governor: Arc<Governor>,
}

impl ShadowDoor {
    /// Room for one copy and the beginning of its answers, if there is any.
    fn reserve(&self, n_request: usize, n_answers: usize) -> Option<Room> {
        self.memory.take(room::at_first(n_request, n_answers, self.max_answer))
    }

    /// Room for an answer to compare with. One that is longer than what is kept of a copy's is not compared, and needs none.
    pub(crate) fn reserve_answer(&self, n_bytes: usize) -> Option<Room> {
        if n_bytes <= self.max_answer { self.memory.take(n_bytes) } else { None }
    }

    /// Bytes kept of one answer.
    pub(crate) const fn max_answer(&self) -> usize {
        self.max_answer
    }

    /// Looks for overload for as long as the worker at `seat` runs.
    pub(crate) async fn watch(self, seat: usize, worker: Rc<Worker>) {
        self.governor.watch(seat, worker).await;
    }
}

/// The shadow's thread.
pub(crate) struct ShadowThread {
    door: ShadowDoor,
    counts: Arc<Counts>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl ShadowThread {
    pub(crate) fn door(&self) -> ShadowDoor {
        self.door.clone()
    }

    /// What the shadow's own thread dropped.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    pub(crate) fn totals(&self) -> ShadowTotals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShadowTotals {
            sent: read(&self.counts.sent),
            answered: read(&self.counts.answered),
            failed: read(&self.counts.failed),
            in_flight: read(&self.counts.in_flight),
            bytes: self.door.memory.held() as u64,
            unkept: read(&self.counts.unkept),
            unrecorded: read(&self.counts.unrecorded),
            duplicates_sent: read(&self.counts.duplicates_sent),
            duplicates_failed: read(&self.counts.duplicates_failed),
            overloads: self.door.governor.times(),
        }
    }

    pub(crate) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the shadow's thread panicked");
        }
    }
}

/// Starts the shadow.
pub(crate) fn start(
    deps: &Deps,
    (limits, n_workers): (&ShadowLimits, usize),
    phase: watch::Receiver<Phase>,
) -> Result<ShadowThread, StartError> {
    let (sender, offers) = mpsc::channel(limits.queue.max(1));
    let counts = Arc::new(Counts::default());
    let limits = ShadowLimits { max_answer: limits.max_answer.min(limits.max_bytes / 4), ..limits.clone() };
    let (memory, max_answer) = (Pool::new(limits.max_bytes), limits.max_answer);
    let governor = Governor::new(limits.overload, n_workers);
    let door = ShadowDoor { sender, memory, max_answer, governor };
    let counters = Arc::new(Counters::default());
    let (deps, kept, inner) = (deps.clone(), (Arc::clone(&counts), Arc::clone(&counters)), door.clone());
    let thread = spawn("shadow", move || async move {
        step_back();
        Shadow::new(deps, (limits, inner), kept).run(offers, phase).await;
    })?;
    Ok(ShadowThread { door, counts, counters, thread: Mutex::new(Some(thread)) })
}

/// When there is more work than cores, callers come first: the shadow then gets about a tenth of a core's time, and what it
/// cannot do in time it drops.
fn step_back() {
    // On Linux this is the priority of the calling thread; elsewhere that of the process, so it is left alone there.
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::setpriority_process(None, 10)
    {
        tracing::debug!(%error, "the shadow keeps its priority");
    }
}

/// The shadow on its own thread.
struct Shadow {
    deps: Deps,
    limits: ShadowLimits,
    counts: Arc<Counts>,
    /// What this thread drops, beside what the workers drop at the door.
    counters: Arc<Counters>,
    /// A lane of its own: limits are not those of live traffic.
    providers: providers::Shared,
    /// What translated copies hold, apart from what callers do.
    bodies: Arc<Bodies>,
    client: Outward,
    /// Holds copies' answers against schemas.
    validator: RefCell<schema::Validator>,
    phase: LocalPhase,
    prepared: RefCell<Rc<Prepared>>,
    /// Room for what is copied later.
    door: ShadowDoor,
    /// When this process began, Unix microseconds.
    began_us: u64,
    /// What each rollout's copies use.
    ledgers: RefCell<HashMap<String, Ledger>>,
    /// The way to the store, where there is one.
    archive: RefCell<Option<Rc<Archive>>>,
    /// What is known of the judges, by rollout.
    trusts: RefCell<HashMap<String, ruling::Known>>,
}

impl Shadow {
    fn new(
        deps: Deps,
        (limits, door): (ShadowLimits, ShadowDoor),
        (counts, counters): (Arc<Counts>, Arc<Counters>),
    ) -> Rc<Self> {
        let providers = deps.providers.lane();
        let prepared = Prepared::new(deps.snapshot.load_full(), &providers, &deps.lanes.shadow);
        Rc::new(Self {
            deps,
            limits,
            counts,
            counters,
            providers,
            bodies: Arc::default(),
            client: Outward::new(),
            validator: RefCell::default(),
            phase: LocalPhase::new(),
            prepared: RefCell::new(Rc::new(prepared)),
            door,
            began_us: crate::live::now().0,
            ledgers: RefCell::default(),
            archive: RefCell::default(),
            trusts: RefCell::default(),
        })
    }

    fn prepared(&self) -> Rc<Prepared> {
        let current = self.deps.snapshot.load();
        if !Arc::ptr_eq(&self.prepared.borrow().snapshot, &current) {
            let prepared = Prepared::new(Arc::clone(&current), &self.providers, &self.deps.lanes.shadow);
            let identities = prepared.identities();
            self.client.retain(&identities);
            drop(self.prepared.replace(Rc::new(prepared)));
            self.providers.retain(&identities);
            self.deps.lanes.shadow.retain(&current);
        }
        Rc::clone(&self.prepared.borrow())
    }

    /// Takes offers until the door closes. What is waiting or under way at the end is dropped, and on record as that.
    async fn run(self: Rc<Self>, mut offers: mpsc::Receiver<Offer>, mut phase: watch::Receiver<Phase>) {
        let tasks = TaskTracker::new();
        match self.deps.store.clone().map(Archive::start) {
            Some(Ok(archive)) => {
                let archive = Rc::new(archive);
                self.archive.replace(Some(Rc::clone(&archive)));
                drop(tasks.spawn_local(later::run(Rc::clone(&self), archive, tasks.clone())));
            }
            Some(Err(error)) => tracing::error!(%error, "nothing is copied later: no thread for the store"),
            None => {}
        }
        loop {
            tokio::select! {
                biased;
                changed = phase.changed() => {
                    let now = *phase.borrow_and_update();
                    self.phase.advance(now);
                    if changed.is_err() || now == Phase::Stopped {
                        offers.close();
                        while let Ok(offer) = offers.try_recv() {
                            copy::dropped(&self, &offer, ShadowDrop::ShuttingDown);
                        }
                        return;
                    }
                }
                Some(offer) = offers.recv() => self.take(offer, &tasks),
            }
        }
    }

    fn take(self: &Rc<Self>, mut offer: Offer, tasks: &TaskTracker) {
        let refused = if self.phase.get() >= Phase::Closing {
            Some(ShadowDrop::ShuttingDown)
        } else if offer.offered.is_some_and(|offered| offered.elapsed() > self.limits.max_age) {
            Some(ShadowDrop::Expired)
        } else if self.counts.in_flight.load(Ordering::Relaxed) >= self.limits.max_in_flight as u64 {
            Some(ShadowDrop::Concurrency)
        } else {
            self.begin(&mut offer).err()
        };
        match refused {
            Some(reason) => copy::dropped(self, &offer, reason),
            None => {
                tasks.spawn_local(copy::send(copy::UnderWay::begin(self, offer)));
            }
        }
    }

    /// What the config says of a rollout's shadow; nothing when it has the rollout no more.
    fn settings(&self, rollout: &str) -> Option<ShadowSettings> {
        let snapshot = self.deps.snapshot.load();
        snapshot.rollouts.get(rollout).map(|settings| settings.shadow.clone())
    }

    /// Room for one copy in the ledger of its rollout.
    fn begin(&self, offer: &mut Offer) -> Result<(), ShadowDrop> {
        let (name, room) = (&offer.live.identity.name, offer.room.get_or_insert_default());
        let snapshot = self.deps.snapshot.load();
        let budget = snapshot.rollouts.get(name).map(|settings| settings.shadow.budget).unwrap_or_default();
        let now = (Instant::now(), crate::live::now().0);
        self.with_ledger(name, |ledger| ledger.begin(&budget, room, now))
    }

    /// Whether one more copy of a rollout could begin now.
    fn may_begin(&self, rollout: &str) -> Result<(), ShadowDrop> {
        let snapshot = self.deps.snapshot.load();
        let budget = snapshot.rollouts.get(rollout).map(|settings| settings.shadow.budget).unwrap_or_default();
        let now = (Instant::now(), crate::live::now().0);
        self.with_ledger(rollout, |ledger| ledger.may_begin(&budget, room::at_first(0, 1, self.limits.max_answer), now))
    }

    /// Whether the machine, and all copies together, leave room for one that nobody waits for.
    fn is_idle_enough(&self) -> bool {
        let in_flight = self.counts.in_flight.load(Ordering::Relaxed);
        in_flight < self.limits.max_in_flight as u64 && !self.door.governor.is_overloaded()
    }

    /// The copy's calls have ended.
    fn end(&self, offer: &Offer) {
        self.with_ledger(&offer.live.identity.name, Ledger::end);
    }

    /// A call ended.
    fn spent(&self, offer: &Offer, call: &AttemptRecord) {
        let name = &offer.live.identity.name;
        if self.with_ledger(name, |ledger| ledger.spend(call, crate::live::now().0)) {
            tracing::warn!(
                rollout = %name, target = %call.target,
                "a call of the shadow has no known price: where it has a budget in dollars, nothing more is copied today"
            );
        }
    }

    fn with_ledger<T>(&self, rollout: &str, act: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledgers = self.ledgers.borrow_mut();
        if let Some(ledger) = ledgers.get_mut(rollout) {
            return act(ledger);
        }
        act(ledgers.entry(rollout.to_owned()).or_default())
    }

    /// Puts an entry in the journal. Nobody waits for it: a full journal loses it, and the loss is counted.
    fn write(&self, record: &Record) {
        if self.deps.journal.submit(record).is_err() {
            self.counts.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
    }
}
