//! The data listener as the binary sees it: start it, read its counters, drain it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use providers::ProviderError;
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use crate::accept::{self, Door, HAND_OVER};
use crate::cache::{CacheStatus, Caches};
use crate::counters::{Counters, Totals};
use crate::drain::Phase;
use crate::feedback::Signals;
use crate::live::LiveTable;
use crate::memory::Bodies;
use crate::recall::Recall;
use crate::shadow::{self, ShadowLimits, ShadowTotals};
use crate::snapshot::Snapshot;
use crate::targets::{Lanes, TargetStatus};
use crate::worker::{self, Post};

/// How long requests that were cut may take to write their error event.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// How often a drain looks whether everybody has left.
const DRAIN_TICK: Duration = Duration::from_millis(5);

/// What the data path works with. Everything here outlives a reload.
#[derive(Clone)]
pub struct Deps {
    /// The config; a reload stores a new one.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The live rollouts.
    pub live: Arc<LiveTable>,
    /// Where exchanges are written.
    pub journal: store::Journal,
    /// The keys callers are held against.
    pub keys: Arc<ArcSwap<govern::KeyTable>>,
    /// What callers have used of their limits.
    pub accounts: Arc<govern::Accounts>,
    /// The limits on calls to providers, and the simulated servers.
    pub providers: Arc<providers::Shared>,
    /// Earlier responses that callers may go on from.
    pub recall: Arc<Recall>,
    /// Breakers, pauses and places of targets.
    pub lanes: Arc<Lanes>,
    /// The store, where the shadow finds what it used before and what it copies later; without one it does neither.
    pub store: Option<std::path::PathBuf>,
}

/// How much of a machine the listener uses.
#[derive(Debug, Clone)]
pub struct Size {
    /// Request workers, one thread each.
    pub n_workers: usize,
    /// Bounds of the shadow.
    pub shadow: ShadowLimits,
}

impl Default for Size {
    /// One worker per core.
    fn default() -> Self {
        let n_workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { n_workers, shadow: ShadowLimits::default() }
    }
}

/// Why the listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A provider cannot be set up.
    #[error("provider of target `{target}` cannot be set up")]
    Provider {
        /// The target.
        target: String,
        /// Why.
        #[source]
        source: ProviderError,
    },
    /// The socket cannot be used.
    #[error("the data listener cannot be used")]
    Listener(#[source] io::Error),
    /// A thread or its runtime cannot be started.
    #[error("thread `{name}` cannot be started")]
    Thread {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The running data listener.
pub struct Serving {
    addr: SocketAddr,
    phase: watch::Sender<Phase>,
    hurry: AtomicBool,
    doors: Vec<Door>,
    counters: Vec<Arc<Counters>>,
    shadow: shadow::ShadowThread,
    threads: Mutex<Vec<JoinHandle<()>>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    lanes: Arc<Lanes>,
    caches: Arc<Caches>,
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// From the closing of the door to the end.
    pub took: Duration,
    /// Connections that were still busy at the deadline; their requests ended with an error and are on record.
    pub cut: usize,
}

/// Sets up every provider of a snapshot: what can fail of a reload, done before the swap.
pub fn prepare(snapshot: &Snapshot, providers: &providers::Shared) -> Result<(), StartError> {
    for target in snapshot.targets.values() {
        for provider in target.providers() {
            providers
                .provider(Arc::clone(provider))
                .map_err(|source| StartError::Provider { target: target.name.clone(), source })?;
        }
    }
    Ok(())
}

/// Starts the acceptor, the workers and the shadow.
pub fn start(listener: std::net::TcpListener, deps: &Deps, size: &Size) -> Result<Serving, StartError> {
    prepare(&deps.snapshot.load(), &deps.providers)?;
    listener.set_nonblocking(true).map_err(StartError::Listener)?;
    let addr = listener.local_addr().map_err(StartError::Listener)?;
    let (phase, phase_reader) = watch::channel(Phase::Serving);
    let shadow = shadow::start(deps, (&size.shadow, size.n_workers.max(1)), phase_reader.clone())?;
    let (bodies, caches) = (Arc::new(Bodies::default()), Arc::new(Caches::default()));
    let signals = Arc::<Signals>::default();
    let mut threads = Vec::with_capacity(size.n_workers + 1);
    let mut doors = Vec::with_capacity(size.n_workers);
    let mut all_counters = vec![shadow.counters()];
    for idx in 0..size.n_workers.max(1) {
        let (sender, connections) = mpsc::channel(HAND_OVER);
        let n_connections = Arc::new(AtomicUsize::new(0));
        let counters = Arc::new(Counters::default());
        doors.push(Door { sender, n_connections: Arc::clone(&n_connections) });
        all_counters.push(Arc::clone(&counters));
        let post = Post {
            deps: deps.clone(),
            shadow: shadow.door(),
            seat: idx,
            bodies: Arc::clone(&bodies),
            caches: Arc::clone(&caches),
            signals: Arc::clone(&signals),
            counters,
            connections,
            n_connections,
            phase: phase_reader.clone(),
        };
        threads.push(spawn(&format!("worker-{idx}"), move || worker::run(post))?);
    }
    let (accept_doors, config) = (doors.clone(), Arc::clone(&deps.snapshot));
    threads.push(spawn("acceptor", move || async move {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                accept::accept(listener, accept_doors, move || config.load().limits.max_connections, phase_reader)
                    .await;
            }
            Err(error) => error!(%error, "the data listener cannot be registered"),
        }
    })?);
    Ok(Serving {
        addr,
        phase,
        hurry: AtomicBool::new(false),
        doors,
        counters: all_counters,
        shadow,
        threads: Mutex::new(threads),
        snapshot: Arc::clone(&deps.snapshot),
        lanes: Arc::clone(&deps.lanes),
        caches,
    })
}

/// A thread with its own runtime that runs one future, whose tasks need not be `Send`.
pub(crate) fn spawn<F: Future<Output = ()> + 'static>(
    name: &str,
    body: impl FnOnce() -> F + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let failed = |source| StartError::Thread { name: name.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
    let run = move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move { body().await });
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(failed)
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it is between serving and gone.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Every worker's numbers added up.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::of(&self.counters);
        totals.connections = self.open_connections() as u64;
        totals
    }

    /// The shadow's numbers.
    #[must_use]
    pub fn shadow_totals(&self) -> ShadowTotals {
        self.shadow.totals()
    }

    /// What the caches of routes hold.
    #[must_use]
    pub fn cache_statuses(&self) -> Vec<CacheStatus> {
        self.caches.statuses()
    }

    /// What is known of every target of the config, for callers.
    #[must_use]
    pub fn target_statuses(&self) -> Vec<TargetStatus> {
        self.lanes.statuses(&self.snapshot.load(), Instant::now())
    }

    /// The same for copies.
    #[must_use]
    pub fn shadow_target_statuses(&self) -> Vec<TargetStatus> {
        self.lanes.shadow_statuses(&self.snapshot.load(), Instant::now())
    }

    /// Why a target takes no calls, from callers or, with `shadowing`, copies; `None` while it takes some.
    #[must_use]
    pub fn trouble(&self, target: &str, shadowing: bool) -> Option<providers::Trouble> {
        let snapshot = self.snapshot.load();
        self.lanes.trouble(snapshot.target(target)?, shadowing)
    }

    /// Ends the listener in order: readiness off, accept on for `pre_stop`, close the door, wait for what is under way up to
    /// the deadline, cut what is left, and wait for the threads. Blocks. The journal must be closed after this, not before.
    pub fn drain(&self) -> Drained {
        let settings = self.snapshot.load().drain.clone();
        self.move_to(Phase::Unready);
        self.wait(settings.pre_stop, || false);
        let closed = Instant::now();
        self.move_to(Phase::Closing);
        self.wait(settings.deadline, || self.open_connections() == 0);
        let cut = self.open_connections();
        if cut > 0 {
            self.move_to(Phase::Cutting);
            self.hurry.store(false, Ordering::Release);
            self.wait(CUT_GRACE, || self.open_connections() == 0);
        }
        self.move_to(Phase::Stopped);
        self.join();
        let drained = Drained { took: closed.elapsed(), cut };
        info!(cut, took_ms = u64::try_from(drained.took.as_millis()).unwrap_or(u64::MAX), "data listener drained");
        drained
    }

    /// Ends the waiting of a drain under way (a second signal).
    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::Release);
    }

    fn open_connections(&self) -> usize {
        self.doors.iter().map(|door| door.n_connections.load(Ordering::Acquire)).sum()
    }

    fn move_to(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let forward = phase > *current;
            *current = phase.max(*current);
            forward
        });
    }

    fn wait(&self, at_most: Duration, done: impl Fn() -> bool) {
        let deadline = Instant::now() + at_most;
        while Instant::now() < deadline && !done() && !self.hurry.load(Ordering::Acquire) {
            std::thread::sleep(DRAIN_TICK);
        }
    }

    fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                error!("a thread of the data listener panicked");
            }
        }
        self.shadow.join();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.move_to(Phase::Stopped);
        self.join();
    }
}
