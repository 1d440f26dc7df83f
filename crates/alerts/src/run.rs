//! The thread that tells. It reads the store and counters, writes down what is to be told, and delivers it; nobody waits for it, and a
//! receiver that is slow or dead costs its own deliveries and nothing else.

mod deliver;
mod look;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use providers::{Client, Shared};
use store::{Database, DatabaseError, Tried, WebhookState};
use tokio::sync::watch as signal;
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use crate::event::Event;
use crate::probe::{Busiest, Finding, Made, Plan};
use crate::watch::{Reading, Watch};
use crate::webhook::Settings;

/// How often the outbox and the transitions are looked at.
pub const TICK: Duration = Duration::from_secs(1);
/// Counters are looked at so many ticks apart.
const LOOK_EVERY: u32 = 10;
/// How long a stopping thread waits for tries under way. What does not end is tried again after the next start.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// What the thread looks at, and what it needs to know of rollouts. Called on its own thread; must not wait for long.
pub trait Facts: Send {
    /// Counters as they stand.
    fn reading(&self) -> Reading;
    /// The probes that are to be made now and again.
    fn probes(&self) -> Vec<Plan>;
    /// A probe was made: it cost something like any call.
    fn probed(&self, plan: &Plan, made: &Made);
    /// What else is worth telling, that takes reading the store: asked now and then, and told once.
    fn findings(&self, database: &Database, now_us: u64) -> Vec<Event>;
    /// Whether the requests of this rollout's route stay in the house.
    fn is_internal(&self, rollout: &str) -> bool;
}

/// What the thread works with.
pub struct Parts {
    /// Its own connection to the store.
    pub database: Database,
    /// Who may be called, with a ledger of connections of its own lane.
    pub providers: Shared,
    /// Who is told of what; may be swapped while it runs.
    pub settings: Arc<ArcSwap<Settings>>,
    /// What it looks at.
    pub facts: Box<dyn Facts>,
    /// How often it looks at the outbox: [`TICK`], but for tests.
    pub tick: Duration,
}

/// The running thread.
pub struct Alerts {
    shared: Arc<Mutex<Status>>,
    stop: signal::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How telling stands.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Each webhook, as the store has it.
    pub webhooks: Vec<WebhookState>,
    /// Tries since the start, by webhook and outcome: `delivered`, `failed` or `given_up`.
    pub tries: BTreeMap<(String, &'static str), u64>,
    /// Events since the start, by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// The last finding of each rollout's probe.
    pub probes: BTreeMap<String, Finding>,
    /// How often the store did not take or give something.
    pub store_failures: u64,
}

impl Alerts {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread or no runtime to be had.
    pub fn start(parts: Parts) -> io::Result<Alerts> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = signal::channel(false);
        let shared = Arc::<Mutex<Status>>::default();
        let status = Arc::clone(&shared);
        let run = move || {
            let work = Rc::new(Work::new(parts, status));
            LocalSet::new().block_on(&runtime, work.run(stopped));
        };
        let thread = std::thread::Builder::new().name("alerts".to_owned()).spawn(run)?;
        Ok(Alerts { shared, stop, thread: Mutex::new(Some(thread)) })
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        lock(&self.shared).clone()
    }

    /// Stops it. What waits, waits in the store.
    pub fn stop(&self) {
        // Nobody listens when it has ended by itself.
        self.stop.send(true).ok();
        if let Some(thread) = lock(&self.thread).take()
            && thread.join().is_err()
        {
            tracing::error!("alerts thread panicked");
        }
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Unix microseconds.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// What became of a try and is not in the store yet.
struct Unsaved {
    alert: String,
    webhook: String,
    tried: Tried,
    at_us: u64,
}

struct Work {
    parts: Parts,
    status: Arc<Mutex<Status>>,
    client: Client,
    tasks: TaskTracker,
    /// Webhooks that a delivery is under way to: one at a time.
    busy: RefCell<HashSet<String>>,
    unsaved: RefCell<Vec<Unsaved>>,
    watch: RefCell<Watch>,
    busiest: RefCell<HashMap<String, Busiest>>,
    /// When each rollout is probed next, Unix microseconds, and what the last probe found.
    probes: RefCell<HashMap<String, look::Probing>>,
    /// Whether the store's refusal was said.
    complained: RefCell<bool>,
}

impl Work {
    fn new(parts: Parts, status: Arc<Mutex<Status>>) -> Self {
        Self {
            parts,
            status,
            client: Client::new(),
            tasks: TaskTracker::new(),
            busy: RefCell::default(),
            unsaved: RefCell::default(),
            watch: RefCell::default(),
            busiest: RefCell::default(),
            probes: RefCell::default(),
            complained: RefCell::new(false),
        }
    }

    async fn run(self: Rc<Self>, mut stopped: signal::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.parts.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looked: Option<tokio::time::Instant> = None;
        while !*stopped.borrow() {
            let settings = self.parts.settings.load_full();
            self.tell_transitions(&settings);
            if looked.is_none_or(|looked| looked.elapsed() >= self.parts.tick * LOOK_EVERY) {
                looked = Some(tokio::time::Instant::now());
                self.look(&settings);
            }
            self.probe(&settings);
            self.deliver(&settings);
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopped.changed() => break,
            }
        }
        self.tasks.close();
        tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.unwrap_or_default();
        self.save_unsaved();
    }

    /// Writes an event down for whoever is to hear of it.
    fn tell(&self, event: &Event, told_of: Option<(&str, u64)>, settings: &Settings) -> bool {
        let hearers = settings.webhooks.iter().filter(|webhook| webhook.hears_of(event.kind));
        let names: Vec<String> = hearers.map(|webhook| webhook.name.clone()).collect();
        let added = self.parts.database.add_alert(&event.row(), &names, told_of, now_us());
        let is_new = self.store(added);
        if is_new == Some(true) {
            tracing::warn!(kind = event.kind.as_str(), subject = event.subject, webhooks = names.len(), "alert");
            *lock(&self.status).events.entry(event.kind.as_str()).or_default() += 1;
        }
        is_new.is_some()
    }

    /// What the store gave; its refusal is said once, until it gives again.
    fn store<T>(&self, result: Result<T, DatabaseError>) -> Option<T> {
        let mut complained = self.complained.borrow_mut();
        match result {
            Ok(value) => {
                *complained = false;
                Some(value)
            }
            Err(error) => {
                lock(&self.status).store_failures += 1;
                if !*complained {
                    *complained = true;
                    tracing::error!(error = &error as &dyn std::error::Error, "alerts wait for the store");
                }
                None
            }
        }
    }
}
