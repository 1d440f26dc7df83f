//! Copies of baseline requests to the candidate of a rollout. Everything here is the shadow's own: thread, runtime,
//! connections, breakers, limits. A request on its way to a caller only ever tries to leave a copy at the door; when there is
//! no room the copy is dropped and the reason counted.

mod compare;
mod copy;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use govern::Residency;
use govern::policy::Policy;
use providers::Sent;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record::{Arm, Record, ShadowDrop, ShadowRecord};

use crate::counters::Counters;
use crate::drain::{LocalPhase, Phase};
use crate::live::LiveRollout;
use crate::memory::Bodies;
use crate::outward::Outward;
use crate::parse::Parsed;
use crate::record::{Arrival, Exchange};
use crate::serve::{Deps, StartError, spawn};
use crate::worker::{Prepared, Worker};

pub(crate) use compare::{Half, Pair};

/// Bounds of the shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowLimits {
    /// Copies that may wait to be looked at. They wait for microseconds; a full queue means that the machine is busy.
    pub queue: usize,
    /// Bytes of requests and answers held at once.
    pub max_bytes: usize,
    /// Copies under way at once.
    pub max_in_flight: usize,
    /// A copy that waited longer than this is dropped.
    pub max_age: Duration,
    /// Bytes kept of one answer; the rest is read, counted and forgotten. As many again may be held to make sense of what
    /// arrives, so that a copy takes its request and twice this from `max_bytes`.
    pub max_answer: usize,
}

impl Default for ShadowLimits {
    fn default() -> Self {
        Self {
            queue: 1024,
            max_bytes: 128 << 20,
            max_in_flight: 256,
            max_age: Duration::from_secs(1),
            max_answer: 256 << 10,
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
    /// Records the journal did not take.
    pub unrecorded: u64,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    unrecorded: AtomicU64,
}

/// A baseline request to be copied.
struct Offer {
    id: ExchangeId,
    request: Arc<Parsed>,
    live: Arc<LiveRollout>,
    epoch: u32,
    pair: Arc<Pair>,
    arrival: Arrival,
    affinity: Option<u64>,
    residency: Residency,
    policy: Option<Arc<Policy>>,
    offered: Instant,
    _bytes: Bytes,
}

/// Bytes held for one copy, given back when it ends.
struct Bytes(Arc<AtomicUsize>, usize);

impl Drop for Bytes {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

/// Where workers leave copies.
#[derive(Clone)]
pub(crate) struct ShadowDoor {
    sender: mpsc::Sender<Offer>,
    bytes: Arc<AtomicUsize>,
    max_bytes: usize,
    /// What one copy may hold besides its request.
    max_held: usize,
}

impl ShadowDoor {
    /// Room for one copy and its answer, if there is any.
    fn reserve(&self, n_bytes: usize) -> Option<Bytes> {
        let reserved = Bytes(Arc::clone(&self.bytes), n_bytes + self.max_held);
        let before = self.bytes.fetch_add(reserved.1, Ordering::AcqRel);
        (before + reserved.1 <= self.max_bytes).then_some(reserved)
    }
}

/// What to do once the baseline's request was written: leave a copy at the shadow's door. `None` when this request is not
/// copied. Never waits.
pub(crate) fn on_sent(exchange: &mut Exchange, arm: Option<Arm>) -> Option<Sent> {
    let assignment = exchange.assignment.as_ref()?;
    // A request that its caller's SDK sends again was drawn when it came first.
    let first = exchange.attempts.is_empty() && exchange.pair.is_none() && !exchange.request.sent_before();
    if !first || arm != Some(Arm::Baseline) || assignment.arm != Arm::Baseline || assignment.shadow.is_none() {
        return None;
    }
    let live = Arc::clone(&assignment.live);
    let pair = Arc::new(Pair::new(&live, assignment.epoch, assignment.unit, (exchange.arrival.unix_us, exchange.id)));
    exchange.pair = Some(Arc::clone(&pair));
    let (id, epoch, arrival, affinity) = (exchange.id, assignment.epoch, exchange.arrival, exchange.affinity);
    let (residency, policy) = (exchange.residency, exchange.route.policy.clone());
    let request = Arc::clone(&exchange.request);
    let worker = Rc::clone(&exchange.worker);
    Some(Box::new(move || {
        let door = &worker.shadow;
        let offered = match door.reserve(request.body.len()) {
            None => Err(ShadowDrop::MemoryFull),
            Some(bytes) => {
                let offered = Instant::now();
                let live = Arc::clone(&live);
                let offer = Offer {
                    id,
                    request,
                    live,
                    epoch,
                    pair,
                    arrival,
                    affinity,
                    residency,
                    policy,
                    offered,
                    _bytes: bytes,
                };
                door.sender.try_send(offer).map_err(|error| match error {
                    TrySendError::Full(_) => ShadowDrop::QueueFull,
                    TrySendError::Closed(_) => ShadowDrop::ShuttingDown,
                })
            }
        };
        match offered {
            Ok(()) => {
                crate::counters::add(&worker.counters.shadow_offered, 1);
                live.shadow_offered(epoch);
            }
            Err(reason) => {
                worker.counters.count_shadow_drop(reason);
                live.shadow_dropped(epoch, reason);
                not_taken(&worker, id, (&live, epoch), reason);
            }
        }
    }))
}

/// Writes down that a copy was dropped at the door, so that every request that was drawn is on record as a pair or as none.
/// Nobody waits for it.
fn not_taken(worker: &Worker, id: ExchangeId, (live, epoch): (&LiveRollout, u32), reason: ShadowDrop) {
    let record = Record::Shadow(ShadowRecord {
        id,
        rollout: live.identity.name.clone(),
        epoch,
        attempt: None,
        drop: Some(reason),
        body: Private::new(bytes::Bytes::new()),
    });
    if worker.deps.journal.submit(&record).is_err() {
        crate::counters::add(&worker.counters.records_failed, 1);
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
            bytes: self.door.bytes.load(Ordering::Relaxed) as u64,
            unrecorded: read(&self.counts.unrecorded),
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
    limits: &ShadowLimits,
    phase: watch::Receiver<Phase>,
) -> Result<ShadowThread, StartError> {
    let (sender, offers) = mpsc::channel(limits.queue.max(1));
    let counts = Arc::new(Counts::default());
    let limits = ShadowLimits { max_answer: limits.max_answer.min(limits.max_bytes / 4), ..limits.clone() };
    let (bytes, max_held) = (Arc::default(), 2 * limits.max_answer);
    let door = ShadowDoor { sender, bytes, max_bytes: limits.max_bytes, max_held };
    let counters = Arc::new(Counters::default());
    let (deps, kept) = (deps.clone(), (Arc::clone(&counts), Arc::clone(&counters)));
    let thread = spawn("shadow", move || async move {
        step_back();
        Shadow::new(deps, limits, kept).run(offers, phase).await;
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
    validator: std::cell::RefCell<schema::Validator>,
    phase: LocalPhase,
    prepared: std::cell::RefCell<Rc<Prepared>>,
}

impl Shadow {
    fn new(deps: Deps, limits: ShadowLimits, (counts, counters): (Arc<Counts>, Arc<Counters>)) -> Rc<Self> {
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
            validator: std::cell::RefCell::default(),
            phase: LocalPhase::new(),
            prepared: std::cell::RefCell::new(Rc::new(prepared)),
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

    fn take(self: &Rc<Self>, offer: Offer, tasks: &TaskTracker) {
        let refused = if self.phase.get() >= Phase::Closing {
            Some(ShadowDrop::ShuttingDown)
        } else if offer.offered.elapsed() > self.limits.max_age {
            Some(ShadowDrop::Expired)
        } else if self.counts.in_flight.load(Ordering::Relaxed) >= self.limits.max_in_flight as u64 {
            Some(ShadowDrop::Concurrency)
        } else {
            None
        };
        match refused {
            Some(reason) => copy::dropped(self, &offer, reason),
            None => {
                tasks.spawn_local(copy::send(copy::UnderWay::begin(self, offer)));
            }
        }
    }
}
